/* SPDX-License-Identifier: Apache-2.0 */
/*
 * stderr.c - what the tested code says on stderr, for tests that judge the words.
 */
#include "tests/unit/command/stderr.h"

#include <stdio.h>

static FILE *original;
static FILE *captured;
static char text[4096];

void stderr_capture(void)
{
	original = stderr;
	text[0] = '\0';
	captured = fmemopen(text, sizeof(text) - 1, "w");
	if (captured)
		stderr = captured;
}

void stderr_release(void)
{
	if (captured)
		fclose(captured);
	captured = NULL;
	stderr = original;
}

const char *stderr_text(void)
{
	return text;
}
