/* SPDX-License-Identifier: Apache-2.0 */
/*
 * check_bench - how long `abaft check` takes for each transaction, however many there are.
 *
 *	check_bench TRANSACTIONS...
 *
 * Histories in memory, written as clients do and judged in this process, two kinds of each size:
 * "clean": each transaction reads two keys and writes two, of a fourth as many keys as
 * transactions, one after the other; and "circle": each reads what the next one wrote, the last one
 * what the first wrote, so that all of them are one component, as large as one can be, and the
 * search for the shortest witness ends by its limit. Prints microseconds of processor time per
 * transaction, so that other work on the machine counts less, and the most memory used so far.
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

#include "tools/history/model.h"

#define TRANSACTIONS_MAX 10000000u
#define KEY_BYTES	 12

struct bench {
	struct history_writer *writer;
	uint32_t transactions;
	uint32_t *last; /* of each key: its last writer + 1 */
	uint32_t *seq;	/* and which of its two writes that was */
	uint64_t random;
};

static void fail(const char *what)
{
	fprintf(stderr, "check_bench: %s\n", what);
	exit(1);
}

static double now_us(void)
{
	struct timespec t;

	clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
	return (double)t.tv_sec * 1e6 + (double)t.tv_nsec / 1e3;
}

static uint32_t pick(struct bench *b, uint32_t below)
{
	b->random ^= b->random << 13;
	b->random ^= b->random >> 7;
	b->random ^= b->random << 17;
	return (uint32_t)((b->random >> 32) * below >> 32);
}

static struct abaft_id id_of(uint32_t txn)
{
	struct abaft_id id = {{[6] = 0x70, [8] = 0x80}};

	memcpy(&id.bytes[12], &txn, sizeof(txn));
	return id;
}

static struct abaft_version version_of(uint32_t txn)
{
	return (struct abaft_version){.time = txn + 1u, .origin = 1};
}

static void begin(struct bench *b, uint32_t txn, uint64_t end_us)
{
	struct history_head head = {.id = id_of(txn),
				    .client = "bench",
				    .whole = true,
				    .start_us = 10u * txn + 1,
				    .end_us = end_us,
				    .outcome = HISTORY_COMMITTED,
				    .version = version_of(txn)};

	history_begin(b->writer, &head);
}

static size_t key_of(uint32_t key, char text[KEY_BYTES])
{
	return (size_t)snprintf(text, KEY_BYTES, "k%" PRIu32, key);
}

/* A read of what `writer` wrote as its operation `seq`. */
static void add_read(struct bench *b, uint32_t key, uint32_t writer, uint32_t seq)
{
	struct abaft_id id = id_of(writer);
	char name[KEY_BYTES], value[128];
	size_t bytes = key_of(key, name);
	struct tag_source source = {.id = &id,
				    .number = {0, 0, seq},
				    .time_us = 10u * writer + 1,
				    .key = {name, bytes}};
	ssize_t n = tag_write(value, sizeof(value), &source);

	if (n < 0)
		fail("a tag is too long");
	history_read(b->writer, name, bytes, version_of(writer), value, (size_t)n);
}

static void add_write(struct bench *b, uint32_t key, uint32_t txn, uint32_t seq)
{
	char name[KEY_BYTES];
	size_t bytes = key_of(key, name);

	history_write(b->writer, name, bytes, (struct tag_number){0, 0, seq}, 10u * txn + 1);
}

static void add_clean(struct bench *b, uint32_t txn)
{
	uint32_t keys = b->transactions / 4 + 2, first = pick(b, keys);
	uint32_t key[2] = {first, (first + 1 + pick(b, keys - 1)) % keys};

	begin(b, txn, 10u * txn + 9);
	for (uint32_t i = 0; i < 2; i++) {
		char name[KEY_BYTES];

		if (b->last[key[i]])
			add_read(b, key[i], b->last[key[i]] - 1, b->seq[key[i]]);
		else
			history_read(b->writer, name, key_of(key[i], name),
				     (struct abaft_version){0}, NULL, 0);
	}
	for (uint32_t i = 0; i < 2; i++) {
		add_write(b, key[i], txn, i + 1);
		b->last[key[i]] = txn + 1;
		b->seq[key[i]] = i + 1;
	}
}

static void add_circle(struct bench *b, uint32_t txn)
{
	uint32_t next = (txn + 1) % b->transactions;

	begin(b, txn, 10u * b->transactions);
	add_write(b, txn, txn, 1);
	add_read(b, next, next, 1);
}

static void measure(struct bench *b, const char *name, bool circle)
{
	int fd = memfd_create("history", MFD_CLOEXEC);
	struct check *check = check_create(3);
	double start, read, judged;
	struct rusage usage;

	if (fd < 0 || !check || history_open_fd(&b->writer, fd))
		fail("no memory");
	memset(b->last, 0, (b->transactions + 4ul) * sizeof(*b->last));
	for (uint32_t i = 0; i < b->transactions; i++) {
		if (circle)
			add_circle(b, i);
		else
			add_clean(b, i);
		if (history_finish(b->writer))
			fail("no memory for the history");
	}
	history_close(b->writer);
	start = now_us();
	if (check_read_fd(check, fd, name))
		fail(check->error);
	read = now_us();
	if (check_judge(check))
		fail("no memory to judge it");
	judged = now_us();
	if (check_anomalies(check) != circle || check->pairs[CHECK_circular_flow] != circle)
		fail("a wrong verdict");
	getrusage(RUSAGE_SELF, &usage);
	printf("%-8s %10" PRIu32 " transactions  read %6.3f  judged %6.3f  both %6.3f us each  "
	       "most memory %5ld MiB\n",
	       name, b->transactions, (read - start) / b->transactions,
	       (judged - read) / b->transactions, (judged - start) / b->transactions,
	       usage.ru_maxrss / 1024);
	fflush(stdout);
	check_destroy(check);
	close(fd);
}

int main(int argc, char **argv)
{
	if (argc < 2) {
		fprintf(stderr, "usage: check_bench TRANSACTIONS...\n");
		return 2;
	}
	printf("check_bench: clean: 2 reads and 2 writes each; circle: 1 and 1, all in one\n");
	for (int i = 1; i < argc; i++) {
		unsigned long count = strtoul(argv[i], NULL, 10);
		struct bench b = {.transactions = (uint32_t)count, .random = 88172645463325252ull};

		if (count < 2 || count > TRANSACTIONS_MAX)
			fail("from 2 to 10000000 transactions");
		b.last = calloc(count + 4, sizeof(*b.last));
		b.seq = calloc(count + 4, sizeof(*b.seq));
		if (!b.last || !b.seq)
			fail("no memory");
		measure(&b, "clean", false);
		measure(&b, "circle", true);
		free(b.last);
		free(b.seq);
	}
	return 0;
}
