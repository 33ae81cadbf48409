/* SPDX-License-Identifier: Apache-2.0 */
/*
 * images_fuzz.c - damaged data directories: all logs and checkpoints of a node, changed as the
 * input says, and a restart over them.
 *
 * Input: a byte that chooses the image (four lives of a node, made once: fresh, cleaned, killed,
 * after a power cut) and whether changed groups get right checksums again; then changes, each an
 * operation, a target (a segment or a checkpoint), an offset and what the operation needs.
 *
 * What must hold: the restart is refused with a sentence, or the node serves: every key that can be
 * read has a whole value that was once written to this very key (unless checksums were mended); it
 * takes commits; and after a good end it starts again with them, or says in a sentence why not.
 */
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include <abaft/error.h>

#include "dataplane/core/mapper.h"
#include "tests/fuzz/mend.h"
#include "tests/lib/keeper_bed.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define IMAGES	      4
#define PARTS_MAX     512
#define SEGMENTS_SEEN 1024
#define FILES_SEEN    256
#define CHANGES_MAX   16
#define SEGMENT_BYTES (32u << 10)
#define KEYS	      240
#define BATCH	      20 /* keys read at a time */
#define ARENA_BYTES   (64u << 20)
#define NO_LOG	      UINT32_MAX /* a checkpoint */

enum choice { CHOOSE_MEND = 0x80, CHOOSE_IMAGE = 0x03 };
enum change { FLIP, WRITE, ZERO_BLOCK, COPY_BLOCK, REMOVE, RENAME, ZERO_SECTOR, CUT, CHANGES };

/* One segment or checkpoint of an image. */
struct part {
	uint32_t log, number;
	uint64_t bytes;
	uint8_t *data;
};

static struct {
	struct part part[PARTS_MAX];
	uint32_t parts, workers;
	struct now now;
	uint64_t ids;
} image[IMAGES];

static struct keeper_bed bed;

static void must(bool holds)
{
	if (!holds)
		abort();
}

/* The store's memory, the same for each input; see request_fuzz.c. */
static struct {
	uint8_t *base;
	uint64_t used, blocks;
} arena;

static void *map(uint64_t bytes)
{
	if (!arena.base) {
		uint8_t *p = mmap(NULL, ARENA_BYTES + MAPPER_ALIGN, PROT_READ | PROT_WRITE,
				  MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

		must(p != MAP_FAILED);
		arena.base = p + (MAPPER_ALIGN - (uintptr_t)p % MAPPER_ALIGN);
	}
	must(arena.used + bytes <= ARENA_BYTES);
	arena.used += bytes;
	arena.blocks++;
	return arena.base + arena.used - bytes;
}

static void unmap(void *memory, uint64_t bytes)
{
	must(madvise(memory, bytes, MADV_DONTNEED) == 0);
	if (--arena.blocks == 0)
		arena.used = 0;
}

static void begin(uint64_t seed, uint32_t workers)
{
	keeper_bed_begin(&bed, seed, workers);
	bed.keys = KEYS;
	bed.value_bytes_max = 600;
	bed.segment_bytes = SEGMENT_BYTES;
	bed.bytes_max = 40 * bed.segment_bytes;
	bed.reserve = 2 * bed.segment_bytes;
	bed.config.room_bytes = 8 * bed.segment_bytes;
	bed.config.checkpoint_bytes = 4 * bed.segment_bytes;
	bed.config.use_percent = 75;
	bed.memory_bytes = 8 << 20;
	bed.keys_max = 4096;
	bed.map = map;
	bed.unmap = unmap;
}

static void take_part(uint32_t n, uint32_t log, uint32_t number, const uint8_t *bytes,
		      uint64_t count)
{
	struct part *part = &image[n].part[image[n].parts++];

	must(image[n].parts <= PARTS_MAX);
	*part = (struct part){.log = log, .number = number, .bytes = count, .data = malloc(count)};
	must(part->data != NULL);
	memcpy(part->data, bytes, count);
}

static void take_image(uint32_t n)
{
	const uint8_t *bytes;
	uint64_t count;

	image[n].workers = bed.workers;
	image[n].now = bed.now;
	image[n].ids = bed.ids;
	for (uint32_t log = 0; log < ABAFT_LOGS_MAX; log++)
		for (uint32_t i = 0; bed.disk[log] && i < SEGMENTS_SEEN; i++)
			if ((bytes = sim_disk_segment(bed.disk[log], i, &count)))
				take_part(n, log, i, bytes, count);
	for (uint32_t i = 0; i < FILES_SEEN; i++)
		if ((bytes = sim_files_bytes(bed.files, i, &count)))
			take_part(n, NO_LOG, i, bytes, count);
}

/* The lives that end in images; called before the first input. */
static void make_image(uint32_t n)
{
	static const uint32_t passes[IMAGES] = {8, 260, 120, 200};

	begin(n + 1, 1 + n % 2);
	must(keeper_bed_open(&bed) == 0);
	for (uint32_t i = 0; i < passes[n]; i++) {
		for (uint32_t w = 0; w < bed.workers; w++)
			for (uint32_t k = 0; k < 4; k++)
				(void)keeper_bed_commit_any(&bed, w, 5);
		keeper_bed_pass(&bed);
	}
	if (n < 2)
		must(keeper_bed_drain(&bed));
	if (n < 2)
		keeper_bed_close(&bed);
	else if (n == 2)
		keeper_bed_kill(&bed);
	else
		keeper_bed_power_cut(&bed);
	take_image(n);
	keeper_bed_end(&bed);
}

struct input {
	const uint8_t *at, *end;
};

static uint32_t u8(struct input *in)
{
	return in->at < in->end ? *in->at++ : 0;
}

static uint32_t u16(struct input *in)
{
	uint32_t low = u8(in);

	return low | u8(in) << 8;
}

static struct part *pick_part(struct part *parts, uint32_t count, struct input *in)
{
	return &parts[u8(in) % count];
}

static uint8_t *block_of(const struct part *part, uint64_t at)
{
	return part->data + at / ABAFT_LOG_BLOCK_BYTES * ABAFT_LOG_BLOCK_BYTES;
}

/* Applies one change to copies of the image's parts. */
static void change(struct part *parts, uint32_t count, struct input *in)
{
	enum change kind = (enum change)(u8(in) % CHANGES);
	struct part *part = pick_part(parts, count, in), *other;
	uint64_t at = part->bytes * u16(in) >> 16, room = part->bytes - at;
	uint64_t block = room < ABAFT_LOG_BLOCK_BYTES ? room : ABAFT_LOG_BLOCK_BYTES;

	if (part->bytes < ABAFT_LOG_BLOCK_BYTES)
		return;
	switch (kind) {
	case FLIP:
		part->data[at] ^= (uint8_t)(1u << (u8(in) & 7));
		break;
	case WRITE:
		for (uint32_t n = 1 + u8(in) % 32; n > 0 && at < part->bytes; n--)
			part->data[at++] = (uint8_t)u8(in);
		break;
	case ZERO_BLOCK:
		memset(block_of(part, at), 0, block);
		break;
	case COPY_BLOCK:
		other = pick_part(parts, count, in);
		if (other->bytes >= ABAFT_LOG_BLOCK_BYTES)
			memmove(block_of(part, at), block_of(other, other->bytes * u16(in) >> 16),
				block);
		break;
	case REMOVE:
		part->bytes = 0;
		break;
	case RENAME:
		other = pick_part(parts, count, in);
		if (other->log != part->log)
			break;
		at = other->number;
		other->number = part->number;
		part->number = (uint32_t)at;
		break;
	case ZERO_SECTOR:
		memset(part->data + at / 512 * 512, 0, room < 512 ? room : 512);
		break;
	case CUT:
		part->bytes = at / ABAFT_LOG_BLOCK_BYTES * ABAFT_LOG_BLOCK_BYTES;
		break;
	case CHANGES:
		break;
	}
}

/* Groups of a segment get right checksums. */
static void mend_part(const struct part *part)
{
	static const uint8_t node_id[16] = {1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16};
	uint32_t blocks = (uint32_t)(part->bytes / ABAFT_LOG_BLOCK_BYTES);
	const struct mend_log log = {.node_id = node_id,
				     .number = part->log,
				     .segment_blocks = SEGMENT_BYTES / ABAFT_LOG_BLOCK_BYTES,
				     .payload = true};

	for (uint32_t block = 0; part->log != NO_LOG && block < blocks; block++)
		mend_group(&log, part->data, part->number, block, blocks);
}

static void put_image(uint32_t n, bool mend, struct input *in)
{
	static struct part parts[PARTS_MAX];
	uint32_t count = image[n].parts;

	for (uint32_t i = 0; i < count; i++) {
		parts[i] = image[n].part[i];
		parts[i].data = malloc(parts[i].bytes + ABAFT_LOG_BLOCK_BYTES);
		must(parts[i].data != NULL);
		memcpy(parts[i].data, image[n].part[i].data, parts[i].bytes);
	}
	for (uint32_t i = 0; i < CHANGES_MAX && in->at < in->end; i++)
		change(parts, count, in);
	for (uint32_t i = 0; i < count; i++) {
		const struct part *part = &parts[i];

		if (mend)
			mend_part(part);
		if (part->bytes > 0 && part->log == NO_LOG)
			sim_files_put(bed.files, part->number, part->data, part->bytes);
		else if (part->bytes > 0)
			sim_disk_put(bed.disk[part->log], part->number, part->data, part->bytes);
		free(part->data);
	}
}

/* To the bed a key that a transaction in flight writes may be anything that was ever written to it,
 * or nothing: so reads are judged by themselves. */
static void anything_goes(uint32_t from, uint32_t count, bool yes)
{
	for (uint32_t i = 0; i < count; i++) {
		uint32_t key = from + i;
		struct keeper_bed_txn *txn = &bed.txn[key % bed.workers][i];

		txn->used = yes;
		txn->worker = key % bed.workers;
		txn->count = 1;
		txn->write[0].key = key;
	}
}

static void read_all(void)
{
	for (uint32_t key = 0; key < KEYS; key += BATCH) {
		anything_goes(key, BATCH, true);
		for (uint32_t i = 0; i < BATCH; i++)
			must(keeper_bed_read(&bed, key + i));
		must(keeper_bed_drain(&bed));
		anything_goes(key, BATCH, false);
	}
}

/* New commits, and what a further start has of them. What an image holds may use all its room. */
static void go_on(bool mend)
{
	uint64_t seed[4];
	uint32_t taken = 0;

	for (uint32_t key = 0; key < 4; key++) {
		seed[key] = 1000 + key;
		taken |= (uint32_t)keeper_bed_commit(&bed, &key, &seed[key], 1) << key;
	}
	must(keeper_bed_drain(&bed));
	for (uint32_t key = 0; key < 4; key++)
		if (bed.acked[key] != seed[key])
			taken &= ~(1u << key);
	keeper_bed_close(&bed);
	bed.why[0] = '\0';
	if (keeper_bed_open(&bed)) {
		must(bed.why[0] != '\0');
		return;
	}
	for (uint32_t key = 0; key < 4; key++)
		if (taken >> key & 1)
			must(keeper_bed_read(&bed, key));
	must(keeper_bed_drain(&bed));
	must(bed.wrong_reads == 0 || mend);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct input in = {data + 1, data + size};
	bool mend;
	uint32_t n;

	if (size < 1)
		return 0;
	for (n = 0; image[0].parts == 0 && n < IMAGES; n++)
		make_image(IMAGES - 1 - n);
	n = data[0] & CHOOSE_IMAGE;
	mend = data[0] & CHOOSE_MEND;
	begin(n + 1, image[n].workers);
	bed.now = image[n].now;
	bed.now.wall_us += 1000000;
	bed.ids = image[n].ids;
	put_image(n, mend, &in);
	bed.why[0] = '\0';
	if (keeper_bed_open(&bed)) {
		must(bed.why[0] != '\0');
	} else {
		read_all();
		must(bed.wrong_reads == 0 || mend);
		go_on(mend);
	}
	keeper_bed_end(&bed);
	return 0;
}
