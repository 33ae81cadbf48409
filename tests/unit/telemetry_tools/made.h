/* SPDX-License-Identifier: Apache-2.0 */
/*
 * made.h - snapshots made by hand, and pages as text, for tests of what shows them.
 */
#ifndef ABAFT_TESTS_UNIT_TELEMETRY_TOOLS_MADE_H
#define ABAFT_TESTS_UNIT_TELEMETRY_TOOLS_MADE_H

#include "telemetry/scrape.h"
#include "tools/telemetry/top_page.h"

#define MADE_STARTED_US UINT64_C(1790000000000000)

/* A node that lives since an hour and five seconds and has counted nothing; free() it. */
struct snapshot *made_snapshot(uint32_t workers);
/* The same a second later; free() it. */
struct snapshot *made_later(const struct snapshot *snapshot);
/* A number, so many times. */
void made_add(struct histogram *histogram, uint64_t number, uint32_t times);

/* The page as it is printed; valid until the next call. */
const char *made_text(const struct top_page *page);
/* The first line that begins so, without its end; "" if there is none. Valid until the next call.
 */
const char *made_line(const struct top_page *page, const char *begin);
/* Fails with the whole page if it does not, or does, hold the text. */
void made_shows(const struct top_page *page, const char *text);
void made_lacks(const struct top_page *page, const char *text);

#endif
