/* SPDX-License-Identifier: Apache-2.0 */
/*
 * recover.h - reads a log from its first group, or from a mark, to its true end, over any device.
 *
 * Called by log_recover() (log.h), by the tools that print a log, and by the tests. Writes nothing
 * to the log. The rule and why it is right: recover.c.
 */
#ifndef ABAFT_LOG_RECOVER_H
#define ABAFT_LOG_RECOVER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "dataplane/log/format.h"
#include "dataplane/log/log.h"
#include "dataplane/log/logdev.h"

struct log_tail_segment {
	uint64_t bytes;
	uint32_t number;
};

/* Where the next group goes and what it follows. Free with log_tail_free(). */
struct log_tail {
	uint64_t offset; /* in `segment`; its length when it is full */
	uint64_t group;	 /* sequence of the last group; 0: none */
	uint64_t record; /* sequence of the last record; 0: none */
	uint64_t bytes;	 /* of all segments on disk */
	uint32_t segment;
	uint32_t previous_crc;		   /* header checksum of the last group */
	uint32_t incarnation;		   /* of the last group, 0: none */
	uint32_t incarnation_max;	   /* seen anywhere, also behind the end */
	uint16_t version;		   /* format of the last group that was read, 0: none */
	bool sealed;			   /* the last group that was read is a seal */
	bool claimed;			   /* its bytes are, on the shelf of the configuration */
	uint32_t segments;		   /* how many are on disk: */
	struct log_tail_segment on_disk[]; /* by number, ascending; gaps only before the mark */
};

/* The newest number on disk: the segments behind `segment` are made, but hold nothing yet. */
static inline uint32_t log_tail_last(const struct log_tail *tail)
{
	return tail->on_disk[tail->segments - 1].number;
}

struct recover_visitor {
	void *arg;
	/* Each whole group before its records; may be NULL. Non-zero stops. */
	int (*group)(void *arg, const struct group_header *header, uint64_t offset);
	log_record_fn record; /* may be NULL */
};

/* As log_recover(), over `dev`. Of `config` uses number and node_id, and dir for sentences. */
int recover_scan(struct logdev *dev, const struct log_config *config, const struct log_mark *mark,
		 const struct recover_visitor *visitor, struct log_tail **tail, char *why,
		 size_t why_bytes) __attribute__((warn_unused_result));

/* log_recover() over `dev`, which is destroyed in any case; NULL: there is no such log. */
int log_recover_on(struct logdev *dev, const struct log_config *config, const struct log_mark *mark,
		   log_record_fn fn, void *arg, struct log_tail **tail, char *why, size_t why_bytes)
	__attribute__((warn_unused_result));

/* log_open() over `dev`, which the log owns from then on, also when this fails. */
int log_open_on(struct log **out, struct logdev *dev, const struct log_config *config,
		const struct log_tail *tail, char *why, size_t why_bytes)
	__attribute__((warn_unused_result));

#endif
