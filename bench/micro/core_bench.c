/* SPDX-License-Identifier: Apache-2.0 */
/*
 * core_bench - cycles per request of the pure transaction core, without packets and disk.
 *
 * Whole transactions in one packet each, over 1 M keys (or fewer) chosen uniformly: an atomic read
 * of 1 and of 4 keys, and a commit of 2 puts whose record goes to a log that is durable at once.
 * Requests are built before the clock starts, in bursts as a worker sees them. Prints TSC cycles
 * per request: the median of the rounds, and the fastest.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>
#include <x86intrin.h>

#include <abaft/wire.h>

#include "dataplane/core/bytes.h"
#include "dataplane/core/node.h"
#include "dataplane/core/place.h"

#define KEYS_DEFAULT (1u << 20)
#define VALUE_BYTES  128
#define ROUNDS	     31
#define BURSTS	     1024

struct bench {
	struct store *store;
	struct node *node;
	uint64_t random;
	uint32_t keys;
	uint64_t wall_us;
	uint64_t seq;
	uint64_t log_bytes;
	uint8_t record[1 << 16];
	uint8_t packets[ABAFT_BURST][ABAFT_PACKET_BYTES_MAX];
	uint32_t bytes[ABAFT_BURST];
	uint8_t out[ABAFT_PACKET_BYTES_MAX];
};

/* As the daemon does it without reserved huge pages. */
static void *map(uint64_t bytes)
{
	uint8_t *p = mmap(NULL, bytes + (2u << 20), PROT_READ | PROT_WRITE,
			  MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	if (p == MAP_FAILED)
		return NULL;
	p = (uint8_t *)(((uintptr_t)p + (2u << 20) - 1) & ~(uintptr_t)((2u << 20) - 1));
	madvise(p, bytes, MADV_HUGEPAGE);
	memset(p, 0, bytes);
	return p;
}

static void unmap(void *memory, uint64_t bytes)
{
	munmap(memory, bytes);
}

static uint64_t now_us(void)
{
	struct timespec t;

	clock_gettime(CLOCK_REALTIME, &t);
	return (uint64_t)t.tv_sec * 1000000 + (uint64_t)t.tv_nsec / 1000;
}

static uint64_t next_random(struct bench *b)
{
	b->random ^= b->random << 13;
	b->random ^= b->random >> 7;
	b->random ^= b->random << 17;
	return b->random;
}

static uint8_t *log_reserve(void *log, uint32_t bytes)
{
	struct bench *b = log;

	return bytes <= sizeof(b->record) ? b->record : NULL;
}

static uint64_t log_append(void *log, uint32_t bytes, uint8_t type, uint64_t *place)
{
	struct bench *b = log;

	(void)type;
	/* A real log's: segments of 64 MiB, one behind the other. */
	b->log_bytes += bytes;
	*place = place_make(0, (uint32_t)(b->log_bytes >> 26),
			    (uint32_t)(b->log_bytes & ((1u << 26) - 1)));
	return ++b->seq;
}

static int log_error(void *log)
{
	(void)log;
	return 0;
}

static void done(void *arg, void *token, const uint8_t *result, uint32_t at, uint32_t bytes)
{
	struct bench *b = arg;

	(void)token;
	memcpy(b->out + at, result, bytes);
}

static void make_id(struct bench *b, uint8_t id[16])
{
	uint64_t ms = b->wall_us / 1000;

	store_le64(id, next_random(b));
	store_le64(id + 8, next_random(b));
	for (int i = 0; i < 6; i++)
		id[i] = (uint8_t)(ms >> (40 - 8 * i));
	id[6] = (uint8_t)(0x70 | (id[6] & 0x0f));
	id[8] = (uint8_t)(0x80 | (id[8] & 0x3f));
}

static uint8_t *add_op(uint8_t *p, uint8_t code, uint64_t key, uint32_t value_bytes)
{
	struct abaft_wire_op *op = (void *)p;

	memset(op, 0, sizeof(*op));
	op->code = code;
	p += sizeof(*op);
	if (code == ABAFT_OP_COMMIT)
		return p;
	store_le16(op->key_len, 16);
	store_le64(p, key);
	store_le64(p + 8, key * 0x9e3779b97f4a7c15ull);
	p += 16;
	if (code == ABAFT_OP_GET)
		return p;
	store_le32(op->total, value_bytes);
	store_le32(op->data_len, value_bytes);
	memset(p, 'v', value_bytes);
	return p + value_bytes;
}

/* One transaction of n operations on random keys (or from `first` on) and a COMMIT. */
static void make_packet(struct bench *b, uint32_t at, uint8_t code, uint32_t n, int64_t first)
{
	uint8_t *p = b->packets[at] + sizeof(struct abaft_wire_header);
	struct abaft_wire_header *h = (void *)b->packets[at];

	memset(h, 0, sizeof(*h));
	store_le32(h->magic, ABAFT_WIRE_MAGIC);
	h->version = ABAFT_WIRE_VERSION;
	h->kind = ABAFT_KIND_REQUEST;
	store_le16(h->flags, ABAFT_FLAG_OPEN);
	make_id(b, h->txn);
	for (uint32_t i = 0; i < n; i++)
		p = add_op(p, code, first >= 0 ? (uint64_t)first + i : next_random(b) % b->keys,
			   VALUE_BYTES);
	p = add_op(p, ABAFT_OP_COMMIT, 0, 0);
	store_le16(h->ops, (uint16_t)(n + 1));
	b->bytes[at] = (uint32_t)(p - b->packets[at]);
	store_le16(h->length, (uint16_t)b->bytes[at]);
}

/* One pass of a worker: a burst of requests, then what became durable, then the tick. */
static uint64_t run_burst(struct bench *b, uint32_t n)
{
	uint64_t start = __rdtsc();
	uint32_t out_bytes;

	b->wall_us = now_us();
	node_pass_begin(b->node, (struct now){.wall_us = b->wall_us, .mono_us = b->wall_us});
	for (uint32_t i = 0; i < n; i++)
		node_ahead(b->node, b->packets[i], b->bytes[i]);
	node_ahead_run(b->node);
	for (uint32_t i = 0; i < n; i++)
		if (node_execute(b->node, b->packets[i], b->bytes[i], b->out, &out_bytes, b) ==
			    NODE_DROP ||
		    load_le16(b->out + 12) != 0) {
			fprintf(stderr, "core_bench: a request was refused\n");
			exit(1);
		}
	node_durable(b->node, b->seq, done, b);
	node_tick(b->node);
	node_pass_end(b->node);
	return __rdtsc() - start;
}

static int compare(const void *a, const void *b)
{
	const double *x = a, *y = b;

	return (*x > *y) - (*x < *y);
}

static void measure(struct bench *b, const char *only, const char *what, uint8_t code, uint32_t n,
		    uint32_t burst)
{
	double cycles[ROUNDS];

	if (!strstr(what, only))
		return;

	for (uint32_t round = 0; round < ROUNDS; round++) {
		uint64_t sum = 0;

		for (uint32_t i = 0; i < BURSTS; i++) {
			for (uint32_t at = 0; at < burst; at++)
				make_packet(b, at, code, n, -1);
			sum += run_burst(b, burst);
		}
		cycles[round] = (double)sum / (BURSTS * burst);
	}
	qsort(cycles, ROUNDS, sizeof(cycles[0]), compare);
	printf("%-28s burst %2u  median %7.0f  fastest %7.0f cycles per request\n", what, burst,
	       cycles[ROUNDS / 2], cycles[0]);
}

/* core_bench [TEXT [KEYS]]: the lines that contain TEXT, over so many keys. */
int main(int argc, char **argv)
{
	const char *only = argc > 1 ? argv[1] : "";
	uint32_t keys = argc > 2 ? (uint32_t)strtoul(argv[2], NULL, 10) : KEYS_DEFAULT;

	struct store_config store = {.workers = 1,
				     .keys_max = 2 * KEYS_DEFAULT,
				     .memory_bytes = 2ull << 30,
				     .seed = 7,
				     .map = map,
				     .unmap = unmap};
	struct node_config node = {.txns_max = 1024,
				   .outcomes_max = 1u << 20,
				   .window_ms = 600000,
				   .skew_ms = 60000,
				   .instance_seed = 1};
	struct bench *b = calloc(1, sizeof(*b));
	struct node_log log = {
		.log = b, .reserve = log_reserve, .append = log_append, .error = log_error};

	if (!b || store_create(&b->store, &store) != 0 ||
	    node_create(&b->node, b->store, &node) != 0) {
		fprintf(stderr, "core_bench: no memory: 3 GiB are needed\n");
		return 1;
	}
	b->keys = keys < 8 ? 8 : keys > KEYS_DEFAULT ? KEYS_DEFAULT : keys;
	b->random = 88172645463325252ull;
	b->wall_us = now_us();
	node_attach_log(b->node, &log);
	for (uint32_t key = 0; key < b->keys; key += 8) {
		make_packet(b, 0, ABAFT_OP_PUT, 8, key);
		run_burst(b, 1);
	}
	printf("core_bench: %u keys of 16 bytes, values of %u bytes, whole transactions\n", b->keys,
	       VALUE_BYTES);
	for (uint32_t burst = 1; burst <= ABAFT_BURST; burst *= 32) {
		measure(b, only, "atomic read of 1 key", ABAFT_OP_GET, 1, burst);
		measure(b, only, "atomic read of 4 keys", ABAFT_OP_GET, 4, burst);
		measure(b, only, "commit of 2 puts", ABAFT_OP_PUT, 2, burst);
	}
	node_destroy(b->node);
	store_destroy(b->store);
	free(b);
	return 0;
}
