/* SPDX-License-Identifier: Apache-2.0 */
/* The log over io_uring and real files, in a directory of its own; a child process is killed in
 * mid-write. */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "dataplane/core/place.h"
#include "dataplane/log/format.h"
#include "dataplane/log/log.h"
#include "dataplane/log/logdev.h"
#include "dataplane/log/recover.h"
#include "dataplane/log/shelf.h"
#include "tests/lib/scratch.h"

#define SEGMENT_BYTES (8u << 20)

static char why[512];

static struct log_config config_of(void **state)
{
	struct log_config config = {
		.dir = *state,
		.number = 7,
		.segment_bytes = SEGMENT_BYTES,
		.sync = true,
	};

	memset(config.node_id, 0xa5, sizeof(config.node_id));
	return config;
}

static void fill(uint8_t *at, uint64_t sequence, uint32_t bytes)
{
	for (uint32_t i = 0; i < bytes; i++)
		at[i] = (uint8_t)(sequence * 31 + i * 7 + i / 251);
}

static uint32_t bytes_of(uint64_t sequence)
{
	return sequence % 97 == 0 ? LOG_RECORD_BYTES_MAX : (uint32_t)(sequence * 7919 % 20000);
}

static bool append(struct log *log, uint64_t sequence)
{
	uint32_t bytes = bytes_of(sequence);
	uint8_t *at = log_reserve(log, bytes);

	if (!at)
		return false;
	fill(at, sequence, bytes);
	assert_int_equal(log_append(log, bytes, (uint8_t)(1 + sequence % 2)), sequence);
	return true;
}

static int check(void *arg, uint64_t sequence, uint8_t type, uint64_t place, const uint8_t *data,
		 uint32_t bytes)
{
	static uint8_t expected[LOG_RECORD_BYTES_MAX];
	uint64_t *last = arg;

	fill(expected, sequence, bytes_of(sequence));
	if (sequence != *last + 1 || type != 1 + sequence % 2 || bytes != bytes_of(sequence) ||
	    memcmp(expected, data, bytes))
		return -EPROTO;
	*last = sequence;
	return 0;
}

/* Sleeps until the log has something; fails the test when it does not wake. */
static void sleep_on(struct log *log)
{
	struct pollfd fd = {.fd = log_sleep_fd(log), .events = POLLIN};

	assert_int_equal(poll(&fd, 1, 5000), 1);
}

static struct log *reopen(struct log_config *config, uint64_t *last)
{
	struct log_tail *tail = NULL;
	struct log *log;
	int error;

	*last = 0;
	error = log_recover(config, NULL, check, last, &tail, why, sizeof(why));
	if (error && error != -ENOENT)
		fail_msg("%s", why);
	if (log_open(&log, config, tail, why, sizeof(why)))
		fail_msg("%s", why);
	log_tail_free(tail);
	assert_int_equal(log_durable(log), *last);
	return log;
}

static void run(struct log *log, uint64_t from, uint64_t to)
{
	while (from <= to || log_busy(log)) {
		while (from <= to && append(log, from))
			from++;
		log_submit(log, (struct now){0});
		if (log_busy(log))
			sleep_on(log);
		else
			usleep(1000); /* the next segment is being made */
		log_poll(log);
		assert_int_equal(log_error(log), 0);
	}
}

static void round_trip(void **state)
{
	struct log_config config = config_of(state);
	struct log_stats stats;
	uint64_t last;
	struct log *log = reopen(&config, &last);

	run(log, 1, 300);
	log_stats(log, &stats);
	assert_int_equal(stats.records, 300);
	assert_true(stats.groups > 3 && stats.segments > 1);
	log_close(log);
	log = reopen(&config, &last);
	assert_int_equal(last, 300);
	run(log, 301, 320);
	log_close(log);
	log = reopen(&config, &last);
	assert_int_equal(last, 320);
	log_close(log);
}

/* Two writers in turn, each write durable by itself in one, the file synced behind it in the other.
 */
static void durable_by_either_way(void **state)
{
	struct log_config config = config_of(state);
	uint64_t last;

	for (uint64_t from = 1; from < 200; from += 50) {
		struct log *log;

		config.dsync = !config.dsync;
		log = reopen(&config, &last);
		assert_int_equal(last, from - 1);
		run(log, from, from + 49);
		log_close(log);
	}
}

/* One record at a time: each is woken for by the descriptor alone. */
static void sleeper_wakes_by(void **state, bool dsync)
{
	struct log_config config = config_of(state);
	uint64_t last;
	struct log *log;

	config.dsync = dsync;
	log = reopen(&config, &last);
	for (uint64_t i = 1; i <= 50; i++) {
		assert_true(append(log, i));
		log_submit(log, (struct now){0});
		while (log_poll(log) < i)
			sleep_on(log);
	}
	log_close(log);
}

static void sleeper_wakes(void **state)
{
	sleeper_wakes_by(state, false);
}

static void sleeper_wakes_of_dsync(void **state)
{
	sleeper_wakes_by(state, true);
}

static void *own(void *arg)
{
	run(arg, 1, 40);
	log_close(arg);
	return NULL;
}

static void opener_hands_over_to_owner(void **state)
{
	struct log_config config = config_of(state);
	pthread_t owner;
	uint64_t last;
	struct log *log = reopen(&config, &last);

	assert_int_equal(pthread_create(&owner, NULL, own, log), 0);
	pthread_join(owner, NULL);
	log = reopen(&config, &last);
	assert_int_equal(last, 40);
	log_close(log);
}

/* A child appends without end and publishes what is durable in shared memory, until it is killed.
 */
static void child(struct log_config *config, volatile uint64_t *durable)
{
	uint64_t next, last = 0;
	struct log_tail *tail = NULL;
	struct log *log;

	if (log_recover(config, NULL, check, &last, &tail, why, sizeof(why)) < 0 && tail)
		_exit(1);
	if (log_open(&log, config, tail, why, sizeof(why)))
		_exit(2);
	for (next = last + 1;;) {
		if (append(log, next))
			next++;
		log_submit(log, (struct now){0});
		*durable = log_poll(log);
	}
}

static void kill_loses_nothing(void **state)
{
	struct log_config config = config_of(state);
	volatile uint64_t *durable =
		mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	uint64_t last = 0;

	for (int i = 0; i < 5; i++) {
		struct log_tail *tail;
		pid_t pid;

		*durable = 0;
		pid = fork();
		if (pid == 0)
			child(&config, durable);
		for (int waited = 0; *durable < last + 20 && waited < 5000; waited++)
			usleep(1000);
		kill(pid, SIGKILL);
		assert_int_equal(waitpid(pid, NULL, 0), pid);
		last = 0;
		if (log_recover(&config, NULL, check, &last, &tail, why, sizeof(why)))
			fail_msg("%s", why);
		log_tail_free(tail);
		assert_true(*durable > 0 && last >= *durable);
	}
	munmap((void *)(uintptr_t)durable, 4096);
}

static void log_is_used_by_one(void **state)
{
	struct log_config config = config_of(state);
	struct log_tail *tail;
	struct log *log, *other;
	uint64_t last;

	log = reopen(&config, &last);
	log_close(log);
	assert_int_equal(log_open(&other, &config, NULL, why, sizeof(why)), -EEXIST);
	assert_non_null(strstr(why, "recover it first"));
	config.number = 8;
	assert_int_equal(log_recover(&config, NULL, check, &last, &tail, why, sizeof(why)),
			 -ENOENT);
	config.segment_bytes = 1u << 20;
	assert_int_equal(log_open(&other, &config, NULL, why, sizeof(why)), -EINVAL);
}

static void segment_cut_short_in_the_making_is_no_segment(void **state)
{
	struct log_config config = config_of(state);
	char path[512];
	uint64_t last;
	struct log *log = reopen(&config, &last);
	int fd;

	run(log, 1, 3);
	log_close(log);
	snprintf(path, sizeof(path), "%s/log-007/seg-00000009.new", (char *)*state);
	fd = open(path, O_CREAT | O_WRONLY, 0644);
	assert_true(fd >= 0);
	close(fd);
	log = reopen(&config, &last);
	assert_int_equal(last, 3);
	log_close(log);
}

/* Without CAP_IPC_LOCK registered buffers may exceed RLIMIT_MEMLOCK: the log works without. */
static void works_without_registered_buffers(void **state)
{
	struct log_config config = config_of(state);
	struct rlimit little = {1 << 20, 1 << 20}; /* enough for the ring */
	pid_t pid = fork();
	int status;

	if (pid == 0) {
		uint64_t last;
		struct log *log;

		if (setrlimit(RLIMIT_MEMLOCK, &little) || (geteuid() == 0 && setuid(65534)))
			_exit(77);
		log = reopen(&config, &last);
		run(log, 1, 30);
		log_close(log);
		log = reopen(&config, &last);
		log_close(log);
		_exit(last == 30 ? 0 : 1);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_true(WIFEXITED(status));
	assert_int_equal(WEXITSTATUS(status), 0);
}

/* The kernel writes up to the limit of a file's length and no more: a write cut short is a failed
 * one, and nothing behind it is ever called durable. */
static void short_write_fails_the_log(void **state)
{
	struct log_config config = config_of(state);
	struct rlimit limit = {(1u << 20) + 2 * ABAFT_LOG_BLOCK_BYTES, RLIM_INFINITY};
	struct rlimit before, some = {1u << 30, RLIM_INFINITY};
	uint64_t last, sequence = 1, durable;
	struct log *log;

	assert_int_equal(getrlimit(RLIMIT_FSIZE, &before), 0);
	signal(SIGXFSZ, SIG_IGN);
	/* The device looks at its start whether there is a limit. */
	assert_int_equal(setrlimit(RLIMIT_FSIZE, &some), 0);
	log = reopen(&config, &last);
	assert_int_equal(setrlimit(RLIMIT_FSIZE, &limit), 0);
	while (!log_error(log)) { /* one by one: the second segment is never needed */
		assert_true(append(log, sequence++));
		log_submit(log, (struct now){0});
		while (log_busy(log)) {
			sleep_on(log);
			log_poll(log);
		}
	}
	assert_int_equal(setrlimit(RLIMIT_FSIZE, &before), 0);
	assert_true(log_error(log) == -EIO || log_error(log) == -EFBIG);
	durable = log_durable(log);
	assert_int_equal(durable, sequence - 2);
	log_close(log);
	log = reopen(&config, &last);
	assert_true(last >= durable);
	log_close(log);
}

/* Between the two names nothing of it may be taken for a part of the log. */
static void recycled_file_has_a_new_name_and_a_zero_block(void **state)
{
	static uint8_t old[3 * ABAFT_LOG_BLOCK_BYTES], got[sizeof(old)];
	struct logdev *dev;
	uint64_t bytes;
	char path[512];
	int fd, handle;

	assert_int_equal(logdev_uring_create(&dev, *state, 7, true, why, sizeof(why)), 0);
	assert_int_equal(dev->ops->create(dev, 0x1f, sizeof(old)), 0);
	memset(old, 0xee, sizeof(old));
	snprintf(path, sizeof(path), "%s/log-007/seg-0000001f", (char *)*state);
	fd = open(path, O_WRONLY);
	assert_int_equal(write(fd, old, sizeof(old)), sizeof(old));
	close(fd);
	assert_int_equal(dev->ops->recycle(dev, 0x1f, 0x22), 0);
	assert_int_equal(access(path, F_OK), -1);
	handle = dev->ops->open(dev, 0x22, &bytes);
	assert_true(handle >= 0);
	assert_int_equal(bytes, sizeof(old));
	snprintf(path, sizeof(path), "%s/log-007/seg-00000022", (char *)*state);
	fd = open(path, O_RDONLY);
	assert_int_equal(read(fd, got, sizeof(got)), sizeof(got));
	close(fd);
	memset(old, 0, ABAFT_LOG_BLOCK_BYTES);
	assert_memory_equal(got, old, sizeof(old));
	dev->ops->close(dev, handle);
	assert_int_equal(dev->ops->recycle(dev, 0x1f, 0x23), -ENOENT);
	assert_int_equal(dev->ops->remove(dev, 0x22), 0);
	assert_int_equal(access(path, F_OK), -1);
	assert_int_equal(dev->ops->remove(dev, 0x22), -ENOENT);
	dev->ops->destroy(dev);
}

/* What the keeper does, beside the owner and the thread that makes segments. Groups of the last
 * few segments may still be in flight; the keeper would see it by the mark. */
static void *free_all(void *arg)
{
	const struct log_config *config = ((void **)arg)[0];
	struct log *log = ((void **)arg)[1];
	atomic_bool *stop = ((void **)arg)[2];

	while (!atomic_load(stop)) {
		struct shelf_segment segment;
		uint32_t number = 0, open = 0;

		while (shelf_next(config->shelf, 7, &open, &segment) && !segment.open)
			open++;
		for (; shelf_next(config->shelf, 7, &number, &segment); number++) {
			if (number + 4 >= open)
				break;
			shelf_remove(config->shelf, 7, number);
			while (shelf_gone(config->shelf, 7, number) &&
			       log_free_segment(log, number) == -EAGAIN)
				usleep(1000);
		}
		usleep(1000);
	}
	return NULL;
}

/* The log goes round over a few files; what is left is whole. */
static void freed_segments_are_used_again(void **state)
{
	struct log_config config = config_of(state);
	struct log_tail *tail = NULL;
	struct log_stats stats;
	struct log_mark mark;
	atomic_bool stop = false;
	pthread_t keeper;
	uint64_t last;
	struct log *log;

	assert_int_equal(shelf_create(&config.shelf, 0, 0), 0);
	log = reopen(&config, &last);
	assert_int_equal(pthread_create(&keeper, NULL, free_all, (void *[]){&config, log, &stop}),
			 0);
	run(log, 1, 7000);
	log_mark(log, &mark);
	for (int ms = 0; ms < 10000; ms++) { /* whoever was slow comes to it */
		log_stats(log, &stats);
		if (stats.recycled > 0 && stats.segments < mark.segment)
			break;
		usleep(1000);
	}
	atomic_store(&stop, true);
	pthread_join(keeper, NULL);
	log_stats(log, &stats);
	assert_int_equal(mark.record, 7000);
	assert_true(mark.segment >= 10);
	assert_true(stats.recycled > 0 && stats.recycled <= mark.segment);
	assert_true(stats.segments < mark.segment);
	run(log, 7001, 7100);
	log_close(log);
	last = 7000;
	assert_int_equal(log_recover(&config, &mark, check, &last, &tail, why, sizeof(why)), 0);
	assert_int_equal(last, 7100);
	log_tail_free(tail);
	shelf_destroy(config.shelf);
}

#define VALUES 1000

/* Records and where they stand; record i is sequence i + 1. */
struct placed {
	struct log *log;
	struct shelf *shelf;
	uint64_t place[VALUES];
	uint64_t appended;
	uint64_t readable; /* durable, so that they are on the disk */
};

static bool append_placed(struct placed *placed)
{
	if (!append(placed->log, placed->appended + 1))
		return false;
	placed->place[placed->appended++] = log_place(placed->log);
	return true;
}

/* Opens log `number` on the shelf and appends `count` records. */
static void open_placed(struct placed *placed, struct log_config *config, uint32_t number,
			uint64_t count)
{
	uint64_t last;

	config->number = number;
	config->shelf = placed->shelf;
	placed->appended = 0;
	placed->log = reopen(config, &last);
	assert_int_equal(last, 0);
	while (placed->appended < count || log_busy(placed->log)) {
		while (placed->appended < count && append_placed(placed))
			;
		log_submit(placed->log, (struct now){0});
		usleep(100);
		log_poll(placed->log);
	}
	placed->readable = count;
}

/* One read by `log` of record `sequence`, or of a part of it, into memory of its own. */
struct wanted {
	uint64_t sequence;
	uint32_t from, bytes;
	uint8_t *to;
};

static struct wanted wanted[ABAFT_FETCHES_MAX];
static uint8_t record[LOG_RECORD_BYTES_MAX];

static void want(struct log *log, const struct placed *of, uint32_t tag)
{
	struct wanted *want = &wanted[tag];
	uint64_t sequence = 1 + (tag * 7919u + 13) % of->readable;
	uint32_t bytes = bytes_of(sequence), from = bytes / 3;
	struct log_read read = {.tag = tag};

	want->sequence = sequence;
	want->from = from;
	want->bytes = bytes - from < ABAFT_VALUE_BYTES_MAX ? bytes - from : ABAFT_VALUE_BYTES_MAX;
	want->bytes += want->bytes == 0;
	want->to = malloc(want->bytes);
	read.place = of->place[sequence - 1] + from;
	read.bytes = want->bytes;
	read.to = want->to;
	assert_int_equal(log_read(log, &read), 0);
}

/* Takes what has ended and looks at it. */
static uint32_t take_reads(struct log *log)
{
	struct log_read_done done[16];
	uint32_t count = log_read_done(log, done, 16);

	for (uint32_t i = 0; i < count; i++) {
		struct wanted *want = &wanted[done[i].tag];

		assert_int_equal(done[i].result, 0);
		fill(record, want->sequence, bytes_of(want->sequence));
		if (bytes_of(want->sequence))
			assert_memory_equal(want->to, record + want->from, want->bytes);
		free(want->to);
		want->to = NULL;
	}
	return count;
}

/* `log` reads what stands in `of`, which may be another's, sleeping on its descriptor; with
 * `write` it appends meanwhile. */
static void read_back(struct placed *by, const struct placed *of, uint32_t count, bool write)
{
	uint32_t asked = 0, came = 0;
	bool both = false;

	while (came < count) {
		uint32_t took;

		for (uint32_t i = 0; i < 20 && asked < count; i++)
			want(by->log, of, asked++);
		if (write && by->appended < VALUES)
			append_placed(by);
		log_submit(by->log, (struct now){0});
		both |= log_busy(by->log);
		sleep_on(by->log);
		log_poll(by->log);
		assert_int_equal(log_error(by->log), 0);
		while ((took = take_reads(by->log)))
			came += took;
	}
	assert_true(both == write);
}

static void cold_reads(void **state)
{
	struct log_config config = config_of(state);
	struct placed first = {0}, second = {0};
	struct log_stats stats;

	assert_int_equal(shelf_create(&first.shelf, 0, 0), 0);
	second.shelf = first.shelf;
	open_placed(&first, &config, 7, 300);
	open_placed(&second, &config, 8, 100);
	read_back(&first, &first, 500, false);
	read_back(&second, &second, 500, true);
	read_back(&second, &first, 500, true);
	log_stats(second.log, &stats);
	assert_int_equal(stats.reads, 1000);
	assert_int_equal(stats.read_errors, 0);
	assert_true(stats.device_reads > 0);
	run(second.log, 1, 0);
	log_close(second.log);
	log_close(first.log);
	shelf_destroy(first.shelf);
}

/* One at a time: each is woken for by the descriptor alone. */
static void sleeper_wakes_for_a_read(void **state)
{
	struct log_config config = config_of(state);
	struct placed placed = {0};

	assert_int_equal(shelf_create(&placed.shelf, 0, 0), 0);
	open_placed(&placed, &config, 7, 50);
	for (uint32_t i = 0; i < 50; i++) {
		want(placed.log, &placed, i);
		log_submit(placed.log, (struct now){0});
		do {
			sleep_on(placed.log);
			log_poll(placed.log);
		} while (!take_reads(placed.log));
	}
	log_close(placed.log);
	shelf_destroy(placed.shelf);
}

static void closing_waits_for_reads(void **state)
{
	struct log_config config = config_of(state);
	struct placed placed = {0};

	assert_int_equal(shelf_create(&placed.shelf, 0, 0), 0);
	open_placed(&placed, &config, 7, 100);
	for (uint32_t i = 0; i < 200; i++)
		want(placed.log, &placed, i);
	log_submit(placed.log, (struct now){0});
	log_close(placed.log);
	for (uint32_t i = 0; i < 200; i++)
		free(wanted[i].to);
	shelf_destroy(placed.shelf);
}

static int setup_open(void **state)
{
	if (scratch_setup(state))
		return -1;
	return chmod(*state, 0777);
}

int main(void)
{
#define CASE(f) cmocka_unit_test_setup_teardown(f, setup_open, scratch_teardown)
	const struct CMUnitTest tests[] = {
		CASE(round_trip),
		CASE(durable_by_either_way),
		CASE(sleeper_wakes),
		CASE(sleeper_wakes_of_dsync),
		CASE(opener_hands_over_to_owner),
		CASE(kill_loses_nothing),
		CASE(log_is_used_by_one),
		CASE(segment_cut_short_in_the_making_is_no_segment),
		CASE(works_without_registered_buffers),
		CASE(short_write_fails_the_log),
		CASE(recycled_file_has_a_new_name_and_a_zero_block),
		CASE(freed_segments_are_used_again),
		CASE(cold_reads),
		CASE(sleeper_wakes_for_a_read),
		CASE(closing_waits_for_reads),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
