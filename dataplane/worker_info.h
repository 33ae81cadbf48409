/* SPDX-License-Identifier: Apache-2.0 */
/*
 * worker_info.h - a worker's facts and counters as text, for INFO requests: lines "name value\n".
 * A number stands at the end of 20 columns, so that the text never changes its length. What is
 * known of a damaged value is 0 and "-" where there is none.
 *
 * Pure; called by the worker's own thread.
 */
#ifndef ABAFT_DATAPLANE_WORKER_INFO_H
#define ABAFT_DATAPLANE_WORKER_INFO_H

#include <stdbool.h>
#include <stdint.h>

#include <abaft/telemetry.h>

#include "dataplane/core/node.h"
#include "dataplane/log/log.h"

/* A text that grows line by line; a line that does not fit, and all behind it, are left out. */
struct info_text {
	char *at;
	uint32_t bytes, room;
	bool full;
};
void info_number(struct info_text *text, const char *name, uint64_t value);
/* At most INFO_WORDS_MAX columns, cut there and filled up with blanks; what is not printable
 * becomes a question mark. */
#define INFO_WORDS_MAX 160
void info_words(struct info_text *text, const char *name, const char *words, uint32_t columns);

struct worker_facts {
	const char *version;
	uint64_t uptime_s;
	uint32_t worker, workers;
	uint32_t parked, fetching, lent;
	uint64_t tx_dropped;
	int log_error;
	const struct node_damage *damage; /* NULL: none */
	const struct worker_counters *counters;
	const struct node_counters *node;
	const struct steer_counters *steer;    /* NULL: the kernel steers */
	const struct steer_bytes *steer_bytes; /* of these frames */
	struct log_stats log;
	/* Further lines, behind these; or NULL. */
	void (*more)(void *arg, struct info_text *text);
	void *more_arg;
};

/* Writes the text, whole lines only, as many as fit. Returns its bytes. */
uint32_t worker_info(const struct worker_facts *facts, char *text, uint32_t text_bytes);

#endif
