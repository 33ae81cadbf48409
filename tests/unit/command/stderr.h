/* SPDX-License-Identifier: Apache-2.0 */
/*
 * stderr.h - what the tested code says on stderr, for tests that judge the words.
 */
#ifndef ABAFT_TESTS_UNIT_COMMAND_STDERR_H
#define ABAFT_TESTS_UNIT_COMMAND_STDERR_H

/* From here stderr goes into a buffer... */
void stderr_capture(void);
/* ...until here. */
void stderr_release(void);
/* What was caught last, cut at 4 KiB. */
const char *stderr_text(void);

#endif
