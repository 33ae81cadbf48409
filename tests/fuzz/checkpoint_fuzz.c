/* SPDX-License-Identifier: Apache-2.0 */
/*
 * checkpoint_fuzz.c - arbitrary files into the reading of checkpoints.
 *
 * Input: a byte of choices, then the file, to be filled up with zeros to whole blocks; with the
 * lowest choice bit set, what only a real block has (magic, version, node, number, place, chain,
 * checksums) is filled in, so that the deeper checks are reached. What must hold: what is not valid
 * has a sentence; what is valid is handed over as it was counted, and written once more in the same
 * pieces it is valid again and holds the same.
 */
#include <stdlib.h>
#include <string.h>

#include "dataplane/log/checkpoint.h"
#include "dataplane/log/format.h"
#include "tests/lib/filedev_sim.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define BYTES_MAX   (64u << 10)
#define CHOOSE_MEND 1

static const uint8_t node[16] = "abaft fuzz test";
static char why[512];

/* Sums over what is handed over, and whereto it is written once more, if anywhere. */
struct seen {
	struct checkpoint_writer *writer;
	uint64_t segments, key_bytes, outcome_bytes;
	uint32_t crc;
};

static void put_u32(uint8_t *at, uint32_t value)
{
	memcpy(at, &value, sizeof(value));
}

/* Gives each block, as its own length leads from one to the next, what a real one has. */
static void mend(uint8_t *file, uint32_t size)
{
	uint32_t chain = 0, index = 0, payload, bytes;

	for (uint32_t at = 0; at < size; at += bytes) {
		uint8_t *header = file + at;

		memcpy(&payload, header + 40, sizeof(payload));
		payload %= size - at - CHECKPOINT_HEADER_BYTES + 1;
		bytes = format_blocks_up(CHECKPOINT_HEADER_BYTES + payload);
		put_u32(header, 0x4b434241);
		put_u32(header + 4, CHECKPOINT_FORMAT | (uint32_t)header[6] << 16);
		memcpy(header + 8, node, sizeof(node));
		put_u32(header + 24, 1);
		put_u32(header + 28, index++);
		put_u32(header + 32, at / ABAFT_LOG_BLOCK_BYTES);
		put_u32(header + 40, payload);
		put_u32(header + 44, format_crc(header + 64, bytes - 64));
		put_u32(header + 48, chain);
		chain = format_crc(header, 60);
		put_u32(header + 60, chain);
	}
}

static int on_segments(void *arg, const struct checkpoint_segment *segments, uint32_t count)
{
	struct seen *seen = arg;

	seen->segments += count;
	seen->crc ^= format_crc((const uint8_t *)segments, count * sizeof(*segments));
	return seen->writer ? checkpoint_segments(seen->writer, segments, count) : 0;
}

static int on_keys(void *arg, const uint8_t *data, uint32_t bytes)
{
	struct seen *seen = arg;

	seen->key_bytes += bytes;
	seen->crc ^= format_crc(data, bytes);
	return seen->writer ? checkpoint_add(seen->writer, CHECKPOINT_KEYS, data, bytes, 1) : 0;
}

static int on_outcomes(void *arg, const uint8_t *data, uint32_t bytes)
{
	struct seen *seen = arg;

	seen->outcome_bytes += bytes;
	seen->crc ^= format_crc(data, bytes) * 3;
	return seen->writer ? checkpoint_add(seen->writer, CHECKPOINT_OUTCOMES, data, bytes, 1) : 0;
}

static int load(struct filedev *dev, uint32_t number, struct seen *seen)
{
	const struct checkpoint_visitor visitor = {seen, on_segments, on_keys, on_outcomes};

	return checkpoint_load(dev, node, number, &visitor, why, sizeof(why));
}

static void write_again(struct filedev *dev, struct checkpoint_head *head,
			const struct checkpoint_stats *stats)
{
	struct seen first = {0}, second = {0};
	struct checkpoint_head again;
	uint64_t horizon_ms = head->horizon_ms;

	head->number = 2;
	if (checkpoint_begin(&first.writer, dev, node, head))
		abort();
	if (load(dev, 1, &first) || first.segments != stats->segments)
		abort();
	if (checkpoint_finish(first.writer, horizon_ms, NULL))
		abort();
	if (checkpoint_verify(dev, node, 2, &again, NULL, why, sizeof(why)) ||
	    load(dev, 2, &second))
		abort();
	if (memcmp(&again, head, sizeof(again)) != 0 || second.segments != first.segments ||
	    second.key_bytes != first.key_bytes || second.outcome_bytes != first.outcome_bytes)
		abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static uint8_t file[BYTES_MAX];
	struct checkpoint_head head;
	struct checkpoint_stats stats;
	struct sim_files *files;
	struct seen seen = {0};
	struct filedev *dev;
	uint32_t bytes;
	int error;

	if (size < 1 || size > BYTES_MAX)
		return 0;
	bytes = format_blocks_up((uint32_t)size - 1);
	memset(file, 0, bytes);
	memcpy(file, data + 1, size - 1);
	if (data[0] & CHOOSE_MEND)
		mend(file, bytes);
	files = sim_files_create(NULL, size);
	dev = sim_files_filedev(files);
	sim_files_put(files, 1, file, bytes);
	error = checkpoint_verify(dev, node, 1, &head, &stats, why, sizeof(why));
	if (error == 0)
		write_again(dev, &head, &stats);
	else if (why[0] == '\0' || load(dev, 1, &seen) == 0)
		abort();
	sim_files_destroy(files);
	return 0;
}
