/* SPDX-License-Identifier: Apache-2.0 */
/*
 * amount.h - numbers for people: three digits and a unit, in few columns.
 *
 * Each function fills `text`, AMOUNT_BYTES of it, and returns it. Pure; any thread.
 */
#ifndef ABAFT_TOOLS_TELEMETRY_AMOUNT_H
#define ABAFT_TOOLS_TELEMETRY_AMOUNT_H

#include <stdint.h>

#define AMOUNT_BYTES 24

/* "0", "0.25", "7.5", "999", "1.23k", "45.6M": a count, or a count per second. What is not 0 never
 * looks like 0. Negative and undefined numbers are "-". */
const char *amount_count(char *text, double number);
/* The same in bytes: "1.23MB", in powers of 1000. */
const char *amount_bytes(char *text, double bytes);
/* "850ns", "12.3us", "1.23ms", "95ms", "68.7s". */
const char *amount_time(char *text, uint64_t ns);
/* "95.1%" of a whole that may be 0: "-". */
const char *amount_share(char *text, double part, double whole);
/* A span of wall clock: "42s", "7m12s", "3h05m", "12d04h". */
const char *amount_span(char *text, uint64_t seconds);

#endif
