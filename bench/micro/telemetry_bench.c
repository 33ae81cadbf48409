/* SPDX-License-Identifier: Apache-2.0 */
/*
 * telemetry_bench - what telemetry costs: cycles per request of the worker and the core with all of
 * it on, against all of it off.
 *
 * One worker, the real core, a port that hands over frames which were made before, a log that is
 * durable at once. The same worker over the same keys, so that memory lies alike: in turns a round
 * with telemetry and one without, and the ratio of each pair. Prints medians. Whole passes are
 * timed, clock readings and answers' checksums included; the driver and the disk are not.
 *
 * The same for being read: telemetry is on in both, and in one round a thread on another core
 * copies all of it a thousand times a second, where a scrape does so once in some seconds.
 */
#include <errno.h>
#include <inttypes.h>
#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>
#include <x86intrin.h>

#include "bench/micro/telemetry_switch.h"
#include "bench/peer/request.h"
#include "dataplane/core/bytes.h"
#include "dataplane/core/node.h"
#include "dataplane/core/place.h"
#include "dataplane/core/telemetry.h"
#include "dataplane/log/log.h"
#include "dataplane/net/port.h"
#include "dataplane/worker.h"
#include "dataplane/xcore/handover.h"

#define KEYS_DEFAULT (1u << 20)
#define VALUE_BYTES  128
#define PAIRS	     61
#define BURSTS	     256
#define FRAME_ROOM   2048
#define UDP_PORT     7400
#define READ_US	     1000

/* All records are durable when the worker next looks. */
struct log {
	uint64_t appended, bytes;
	uint8_t record[1 << 16];
};

struct bench {
	struct port port; /* first: the ops get it back */
	struct log log;
	struct store *store;
	struct node *node;
	struct worker *worker;
	struct handover *handover;
	struct worker_group group;
	struct telemetry telemetry;
	bool reader; /* being read is measured, not being counted */
	_Atomic bool reading, over;
	uint64_t random, number;
	uint32_t keys, burst, given;
	uint64_t refused;
	uint8_t frame[ABAFT_BURST][FRAME_ROOM];
	uint32_t frame_bytes;
};

static struct bench bench;

uint8_t *log_reserve(struct log *log, uint32_t bytes)
{
	return bytes <= sizeof(log->record) ? log->record : NULL;
}

uint64_t log_append(struct log *log, uint32_t bytes, uint8_t type)
{
	(void)type;
	log->bytes += bytes;
	return ++log->appended;
}

uint64_t log_place(const struct log *log)
{
	return place_make(0, (uint32_t)(log->bytes >> 26),
			  (uint32_t)(log->bytes & ((1u << 26) - 1)));
}

void log_submit(struct log *log, struct now now)
{
	(void)log;
	(void)now;
}

uint64_t log_poll(struct log *log)
{
	return log->appended;
}

uint64_t log_durable(const struct log *log)
{
	return log->appended;
}

uint64_t log_given_ns(const struct log *log, uint64_t record)
{
	(void)log;
	(void)record;
	return 0;
}

int log_error(const struct log *log)
{
	(void)log;
	return 0;
}

bool log_busy(const struct log *log)
{
	(void)log;
	return false;
}

uint64_t log_stalled_us(const struct log *log)
{
	(void)log;
	return 0;
}

int log_sleep_fd(const struct log *log)
{
	(void)log;
	return -1;
}

void log_stats(const struct log *log, struct log_stats *out)
{
	*out = (struct log_stats){.records = log->appended, .record_bytes = log->bytes};
}

void log_mark(const struct log *log, struct log_mark *out)
{
	(void)log;
	*out = (struct log_mark){0};
}

int log_read(struct log *log, const struct log_read *read)
{
	(void)log;
	(void)read;
	return -EAGAIN;
}

uint32_t log_read_done(struct log *log, struct log_read_done *done, uint32_t max)
{
	(void)log;
	(void)done;
	(void)max;
	return 0;
}

static unsigned int rx(struct port *port, struct frame *frames, unsigned int n)
{
	struct bench *b = (struct bench *)port;
	unsigned int count = 0;

	while (b->given < b->burst && count < n) {
		frames[count] = (struct frame){.data = b->frame[b->given],
					       .len = b->frame_bytes,
					       .room = FRAME_ROOM,
					       .flags = FRAME_CHECKSUM_GOOD};
		b->given++;
		count++;
	}
	return count;
}

static void tx(struct port *port, const struct frame *frames, unsigned int n)
{
	struct bench *b = (struct bench *)port;

	for (unsigned int i = 0; i < n; i++) {
		const struct abaft_wire_header *header =
			(const void *)(frames[i].data + REQUEST_HEADERS);

		b->refused += load_le16(header->flags) & ABAFT_FLAG_REFUSED;
	}
}

static void drop(struct port *port, const struct frame *frame)
{
	(void)frame;
	((struct bench *)port)->refused++;
}

static int sleep_fd(struct port *port)
{
	(void)port;
	return -1;
}

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

static uint64_t wall_ms(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_REALTIME, &ts);
	return (uint64_t)ts.tv_sec * 1000 + (uint64_t)ts.tv_nsec / 1000000;
}

static uint64_t next_random(struct bench *b)
{
	b->random ^= b->random << 13;
	b->random ^= b->random >> 7;
	b->random ^= b->random << 17;
	return b->random;
}

/* `first`: the keys from there on, else random ones. */
static void make_frame(struct bench *b, const struct request_shape *shape, uint32_t at,
		       int64_t first)
{
	struct request request = {.number = ++b->number};
	uint64_t ms = wall_ms();

	store_le64(request.id, next_random(b));
	store_le64(request.id + 8, next_random(b));
	for (int i = 0; i < 6; i++)
		request.id[i] = (uint8_t)(ms >> (40 - 8 * i));
	request.id[6] = (uint8_t)(0x70 | (request.id[6] & 0x0f));
	request.id[8] = (uint8_t)(0x80 | (request.id[8] & 0x3f));
	for (uint32_t i = 0; i < shape->ops; i++)
		request.key[i] = first >= 0 ? (uint64_t)first + i : next_random(b) % b->keys;
	request_build(shape, &request, b->frame[at]);
	b->frame_bytes = shape->frame_bytes;
}

/* One pass over a burst, as the worker's loop has it. Returns its cycles. */
static uint64_t run_pass(struct bench *b)
{
	uint64_t begin = __rdtsc();

	b->given = 0;
	(void)worker_pass(b->worker, telemetry_clock_pass(b->worker));
	return __rdtsc() - begin;
}

/* A round with what is measured, or without. */
static double run_round(struct bench *b, const struct request_shape *shape, bool with)
{
	uint64_t cycles = 0;

	telemetry_switch(b->worker, b->node, with || b->reader ? &b->telemetry : NULL);
	atomic_store(&b->reading, with && b->reader);
	for (uint32_t i = 0; i < BURSTS; i++) {
		for (uint32_t at = 0; at < b->burst; at++)
			make_frame(b, shape, at, -1);
		cycles += run_pass(b);
	}
	return (double)cycles / (BURSTS * b->burst);
}

static int compare(const void *a, const void *b)
{
	const double *x = a, *y = b;

	return (*x > *y) - (*x < *y);
}

static double median(double *values)
{
	qsort(values, PAIRS, sizeof(values[0]), compare);
	return values[PAIRS / 2];
}

static void measure(struct bench *b, const char *what, uint8_t code, uint32_t ops, uint32_t burst)
{
	struct request_shape shape = {.code = code,
				      .ops = ops,
				      .value_bytes = VALUE_BYTES,
				      .from = {10, 7, 0, 2},
				      .to = {10, 7, 0, 1},
				      .port = UDP_PORT};
	double with[PAIRS], without[PAIRS], ratio[PAIRS];

	if (!request_shape_make(&shape))
		exit(1);
	b->burst = burst;
	(void)run_round(b, &shape, true);
	for (uint32_t i = 0; i < PAIRS; i++) {
		/* Who comes first takes turns as well. */
		if (i % 2 == 0)
			with[i] = run_round(b, &shape, true);
		without[i] = run_round(b, &shape, false);
		if (i % 2 == 1)
			with[i] = run_round(b, &shape, true);
		ratio[i] = with[i] / without[i];
	}
	printf("%-22s burst %2u  %s %6.0f  %s %6.0f cycles per request  %s %.3f\n", what, burst,
	       b->reader ? "read" : "on", median(with), b->reader ? "not" : "off", median(without),
	       b->reader ? "read / not" : "on / off", median(ratio));
	fflush(stdout);
}

static void make_telemetry(struct bench *b)
{
	/* As in the daemon each histogram has pages of its own, of 4 KiB. */
	size_t bytes = (sizeof(struct histogram) + 4095) / 4096 * 4096;
	uint8_t *at = mmap(NULL, HISTOGRAM_COUNT * bytes, PROT_READ | PROT_WRITE,
			   MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	static _Alignas(64) struct worker_counters worker;
	static _Alignas(64) struct node_counters node;
	static _Alignas(64) struct log_counters log;
	static _Alignas(64) struct op_counters ops;
	static _Alignas(64) struct slow_txns slow;

	if (at == MAP_FAILED)
		exit(1);
	b->telemetry = (struct telemetry){.worker = &worker,
					  .node = &node,
					  .log = &log,
					  .ops = &ops,
					  .slow = &slow,
					  .slow_ns = 100000000};
	for (uint32_t h = 0; h < HISTOGRAM_COUNT; h++)
		b->telemetry.histogram[h] = (struct histogram *)(at + h * bytes);
}

/* Copies all that a scrape reads, while it is wanted. */
static void *run_reader(void *arg)
{
	static struct {
		struct worker_counters worker;
		struct node_counters node;
		struct op_counters ops;
		struct slow_txns slow;
		struct histogram histogram[HISTOGRAM_COUNT];
	} copy;
	struct bench *b = arg;

	while (!atomic_load(&b->over)) {
		if (atomic_load(&b->reading)) {
			memcpy(&copy.worker, b->telemetry.worker, sizeof(copy.worker));
			memcpy(&copy.node, b->telemetry.node, sizeof(copy.node));
			memcpy(&copy.ops, b->telemetry.ops, sizeof(copy.ops));
			memcpy(&copy.slow, b->telemetry.slow, sizeof(copy.slow));
			for (uint32_t h = 0; h < HISTOGRAM_COUNT; h++)
				memcpy(&copy.histogram[h], b->telemetry.histogram[h],
				       sizeof(copy.histogram[h]));
		}
		usleep(READ_US);
	}
	return NULL;
}

/* On any CPU but ours. */
static pthread_t start_reader(struct bench *b)
{
	pthread_attr_t attr;
	pthread_t thread;
	cpu_set_t others;

	CPU_ZERO(&others);
	for (int cpu = 0; cpu < CPU_SETSIZE; cpu++)
		if (cpu != sched_getcpu())
			CPU_SET((size_t)cpu, &others);
	pthread_attr_init(&attr);
	pthread_attr_setaffinity_np(&attr, sizeof(others), &others);
	if (pthread_create(&thread, &attr, run_reader, b) != 0) {
		fprintf(stderr, "telemetry_bench: needs two CPUs\n");
		exit(1);
	}
	pthread_attr_destroy(&attr);
	return thread;
}

static void make_worker(struct bench *b)
{
	static const struct port_ops ops = {
		.rx = rx, .tx = tx, .release = drop, .sleep_fd = sleep_fd};
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
				   .instance_seed = 1,
				   .telemetry = &b->telemetry};
	struct worker_config worker = {.workers = 1,
				       .udp_port = UDP_PORT,
				       .port = &b->port,
				       .log = &b->log,
				       .group = &b->group,
				       .telemetry = &b->telemetry,
				       .version = "bench",
				       .poll = true};

	b->port.ops = &ops;
	if (store_create(&b->store, &store) != 0 || node_create(&b->node, b->store, &node) != 0 ||
	    handover_create(&b->handover, 1) != 0) {
		fprintf(stderr, "telemetry_bench: no memory: 3 GiB are needed\n");
		exit(1);
	}
	worker.node = b->node;
	worker.handover = b->handover;
	if (worker_create(&b->worker, &worker) != 0)
		exit(1);
}

static void load(struct bench *b)
{
	struct request_shape shape = {.code = ABAFT_OP_PUT,
				      .ops = 8,
				      .value_bytes = VALUE_BYTES,
				      .from = {10, 7, 0, 2},
				      .to = {10, 7, 0, 1},
				      .port = UDP_PORT};

	if (!request_shape_make(&shape))
		exit(1);
	b->burst = 1;
	for (uint32_t key = 0; key < b->keys; key += 8) {
		make_frame(b, &shape, 0, key);
		(void)run_pass(b);
	}
}

/* telemetry_bench [KEYS] */
int main(int argc, char **argv)
{
	struct bench *b = &bench;
	pthread_t reader;
	uint32_t keys = argc > 1 ? (uint32_t)strtoul(argv[1], NULL, 10) : KEYS_DEFAULT;

	b->keys = keys < 8 ? 8 : keys > KEYS_DEFAULT ? KEYS_DEFAULT : keys;
	b->random = 88172645463325252ull;
	make_telemetry(b);
	make_worker(b);
	load(b);
	printf("telemetry_bench: %u keys of 16 bytes, values of %u bytes, whole transactions\n",
	       b->keys, VALUE_BYTES);
	for (uint32_t burst = 1; burst <= ABAFT_BURST; burst *= 32) {
		measure(b, "atomic read of 1 key", ABAFT_OP_GET, 1, burst);
		measure(b, "atomic read of 4 keys", ABAFT_OP_GET, 4, burst);
		measure(b, "commit of 2 puts", ABAFT_OP_PUT, 2, burst);
	}
	reader = start_reader(b);
	b->reader = true;
	measure(b, "atomic read of 4 keys", ABAFT_OP_GET, 4, ABAFT_BURST);
	measure(b, "commit of 2 puts", ABAFT_OP_PUT, 2, ABAFT_BURST);
	atomic_store(&b->over, true);
	pthread_join(reader, NULL);
	if (b->refused != 0 || b->telemetry.node->commits == 0 ||
	    b->telemetry.histogram[HISTOGRAM_service]->count == 0) {
		fprintf(stderr, "telemetry_bench: %" PRIu64 " requests were refused\n", b->refused);
		return 1;
	}
	return 0;
}
