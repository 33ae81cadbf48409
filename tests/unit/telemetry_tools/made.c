// SPDX-License-Identifier: Apache-2.0
/*
 * made.c - snapshots made by hand, and pages as text, for tests of what shows them.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "tests/unit/telemetry_tools/made.h"

static size_t bytes_of(uint32_t workers)
{
	size_t bytes = sizeof(struct snapshot) + workers * sizeof(struct scrape_worker);

	return (bytes + 63) / 64 * 64;
}

struct snapshot *made_snapshot(uint32_t workers)
{
	struct snapshot *snapshot = aligned_alloc(64, bytes_of(workers));

	assert_non_null(snapshot);
	memset(snapshot, 0, bytes_of(workers));
	snapshot->node = (struct telemetry_node){
		.layout = TELEMETRY_LAYOUT,
		.pid = 1234,
		.pid_start = 77,
		.started_unix_us = MADE_STARTED_US,
		.node = 3,
		.workers = workers,
		.udp_port = 7400,
		.version = "0.1.0",
		.port = "afxdp:lo",
		.data_dir = "/var/lib/abaft",
	};
	snapshot->unix_us = MADE_STARTED_US + 3605000000;
	snapshot->alive = true;
	snapshot->workers = workers;
	return snapshot;
}

struct snapshot *made_later(const struct snapshot *snapshot)
{
	struct snapshot *later = made_snapshot(snapshot->workers);

	memcpy(later, snapshot, bytes_of(snapshot->workers));
	later->unix_us += 1000000;
	return later;
}

void made_add(struct histogram *histogram, uint64_t number, uint32_t times)
{
	while (times-- > 0)
		histogram_add(histogram, number);
}

const char *made_text(const struct top_page *page)
{
	static char *text;
	size_t bytes;
	FILE *file;

	free(text);
	file = open_memstream(&text, &bytes);
	assert_non_null(file);
	top_page_print(page, file);
	fclose(file);
	return text;
}

const char *made_line(const struct top_page *page, const char *begin)
{
	static char line[TOP_COLUMNS_MAX + 1];
	const char *at = made_text(page);

	line[0] = '\0';
	for (; *at; at += strcspn(at, "\n") + 1) {
		if (strncmp(at, begin, strlen(begin)))
			continue;
		snprintf(line, sizeof(line), "%.*s", (int)strcspn(at, "\n"), at);
		break;
	}
	return line;
}

void made_shows(const struct top_page *page, const char *text)
{
	if (!strstr(made_text(page), text))
		fail_msg("the page lacks \"%s\":\n%s", text, made_text(page));
}

void made_lacks(const struct top_page *page, const char *text)
{
	if (strstr(made_text(page), text))
		fail_msg("the page holds \"%s\":\n%s", text, made_text(page));
}
