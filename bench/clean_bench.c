/* SPDX-License-Identifier: Apache-2.0 */
/*
 * clean_bench.c - what cleaning costs: bytes written to the disk for each byte committed, at a
 * given use of the disk: `clean_bench uniform|EXPONENT USE_PERCENT [KEYS]`.
 *
 * The whole node but for its ports, over simulated disks (tests/lib/keeper_bed.h): bytes are exact
 * there, and the disk's speed plays no part. Keys are written once; then keys are overwritten, all
 * alike or by Zipf's law, with the keeper told to clean while less than USE_PERCENT of the
 * segments' bytes are live, until three times the segments' bytes were committed; what is counted
 * is the next three times. Prints one line of JSON.
 *
 * Beside it stands the curve of a greedy cleaner under uniform overwrites: victims of use m, where
 * use = (1 - m) / -ln m, cost 1 / (1 - m) (Desnoyers, "Analytic Models of SSD Write Performance",
 * ACM TOS 10:2, 2014, section 4; Menon and Stockmeyer found it for log-structured arrays).
 */
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "dataplane/core/record.h"
#include "dataplane/log/shelf.h"
#include "tests/lib/keeper_bed.h"
#include "tools/load/zipf.h"

#define SEGMENT_BYTES	(64u << 10)
#define VALUE_BYTES_MAX 1300
#define KEYS_DEFAULT	12000
#define SIZES_BEFORE	3
#define SIZES_COUNTED	3
#define COMMITS_A_PASS	16

static struct keeper_bed bed;

static void die(const char *what)
{
	fprintf(stderr, "clean_bench: %s\n", what);
	exit(1);
}

static void commit(uint32_t key)
{
	uint64_t value = keeper_bed_value(&bed);

	for (uint32_t tries = 0; !keeper_bed_commit(&bed, &key, &value, 1); tries++) {
		if (tries > 100000)
			die("the log stays full");
		keeper_bed_pass(&bed);
	}
}

static void fill(uint32_t keys)
{
	for (uint32_t key = 0; key < keys; key++) {
		commit(key);
		if (key % COMMITS_A_PASS == 0)
			keeper_bed_pass(&bed);
	}
}

/* So that the hot keys are not those that were written beside each other. */
static uint32_t scatter(uint64_t rank, uint32_t keys)
{
	return (uint32_t)(rank * 2654435761u % keys);
}

static void overwrite(uint64_t bytes, uint32_t keys, const struct zipf *zipf,
		      struct zipf_random *random)
{
	uint64_t end = bed.user_bytes + bytes;

	for (uint32_t i = 0; bed.user_bytes < end; i++) {
		commit(zipf ? scatter(zipf_draw(zipf, random), keys)
			    : (uint32_t)(zipf_random_u64(random) % keys));
		if (i % COMMITS_A_PASS == 0)
			keeper_bed_pass(&bed);
	}
}

static uint64_t keeper_live(void)
{
	struct keeper_stats stats;

	keeper_bed_stats(&bed, &stats);
	return stats.live_bytes;
}

/* All that went to disk for the workers' logs, for copies, and for checkpoints. */
struct written {
	uint64_t log, kept, checkpoints, cleaned;
	double useful; /* share of the segments that could be live: not headers and padding */
};

static struct written written(void)
{
	struct log_stats log, kept;
	struct keeper_stats keeper;
	struct written w;

	log_stats(bed.log[0], &log);
	log_stats(bed.log[ABAFT_LOG_KEPT], &kept);
	keeper_bed_stats(&bed, &keeper);
	w.log = log.group_bytes;
	w.kept = kept.group_bytes;
	w.cleaned = keeper.cleaned_segments;
	w.checkpoints = keeper.checkpoints * keeper.checkpoint_bytes;
	w.useful = (double)(log.record_bytes + kept.record_bytes -
			    RECORD_HEAD_BYTES * (log.records + kept.records)) /
		   (double)(w.log + w.kept);
	return w;
}

/* The greedy cleaner's cost under uniform overwrites, by bisection for m. */
static double curve(double use)
{
	double low = 1e-9, high = 1 - 1e-9;

	while (high - low > 1e-9) {
		double m = (low + high) / 2;

		if ((1 - m) / -log(m) < use)
			low = m;
		else
			high = m;
	}
	return 1 / (1 - low);
}

static void report(const char *law, uint32_t use, const struct written *a, const struct written *b)
{
	double user = (double)(b->log - a->log);
	double copies = (double)(b->kept - a->kept) / user;
	double found = (double)keeper_live() / (double)shelf_bytes(bed.shelf) / b->useful;
	double checkpoints = (double)(b->checkpoints - a->checkpoints) / user;

	printf("{\"keys\": \"%s\", \"use_percent\": %u, \"use_found\": %.3f, \"amplification\": "
	       "%.3f, \"copies\": %.3f, "
	       "\"checkpoints\": %.3f, \"greedy_uniform\": %.3f, \"segments_cleaned\": %" PRIu64
	       ", \"log_bytes\": %.0f}\n",
	       law, use, found, 1 + copies + checkpoints, copies, checkpoints, curve(found),
	       b->cleaned - a->cleaned, user);
}

int main(int argc, char **argv)
{
	struct zipf_random random = {7};
	struct written before, after;
	struct zipf zipf, *law = NULL;
	uint32_t use, keys;
	uint64_t disk;

	if (argc < 3 || argc > 4) {
		fprintf(stderr, "usage: clean_bench uniform|EXPONENT USE_PERCENT [KEYS]\n");
		return 2;
	}
	use = (uint32_t)strtoul(argv[2], NULL, 10);
	if (use < 1 || use > 90)
		die("USE_PERCENT must be 1 to 90");
	keys = argc == 4 ? (uint32_t)strtoul(argv[3], NULL, 10) : KEYS_DEFAULT;
	if (keys < 100 || keys > KEEPER_BED_KEYS_MAX)
		die("KEYS must be 100 to 16384");
	if (strcmp(argv[1], "uniform") != 0) {
		if (zipf_init(&zipf, keys, strtod(argv[1], NULL)))
			die("the exponent must be 0 to 20");
		law = &zipf;
	}
	keeper_bed_begin(&bed, 1, 1);
	bed.keys = keys;
	bed.value_bytes_max = VALUE_BYTES_MAX;
	bed.segment_bytes = SEGMENT_BYTES;
	bed.bytes_max = 0;
	bed.reserve = 0;
	bed.memory_bytes = 96 << 20;
	bed.config.checkpoint_bytes = 4 * SEGMENT_BYTES;
	bed.config.room_bytes = 0;
	bed.config.use_percent = use;
	if (keeper_bed_open(&bed))
		die(bed.why);
	fill(keys);
	disk = keeper_live() * 100 / use;
	overwrite(SIZES_BEFORE * disk, keys, law, &random);
	before = written();
	overwrite(SIZES_COUNTED * disk, keys, law, &random);
	after = written();
	report(argv[1], use, &before, &after);
	keeper_bed_end(&bed);
	return 0;
}
