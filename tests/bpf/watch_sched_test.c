/* SPDX-License-Identifier: Apache-2.0 */
/*
 * watch_sched_test.c - run_delay, preempted and thieves: threads that fight for a CPU, and one that
 * has it alone. Others may use the machine meanwhile, so times are only compared with each other
 * and with the threads' own CPU clocks. Each case has a worker number of its own.
 */
#include <errno.h>
#include <pthread.h>
#include <sched.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

#include <bpf/bpf.h>

#include "tests/lib/watch_bed.h"

#define MS	  1000000u
#define FIGHT_MS  400u
#define SLEEPS	  50
#define THIEF	  "abaft-thief"
#define NO_WORKER UINT32_MAX

static struct watch_bed bed;

/* A thread on one CPU: spins, or sleeps again and again. */
struct fighter {
	pthread_t thread;
	const char *name;
	uint32_t worker; /* NO_WORKER: none */
	uint32_t cpu;
	int sleeps;	 /* 0: spins for FIGHT_MS */
	bool real_time;	 /* nothing but the kernel's own can take its CPU */
	_Atomic int tid; /* while it runs; then 0 */
	bool denied;
	uint64_t cpu_ns; /* what it had */
};

static void *fight(void *arg)
{
	struct fighter *fighter = arg;
	const struct sched_param first = {.sched_priority = 1};
	const struct timespec nap = {.tv_nsec = MS};
	struct timespec used;
	uint64_t end_ns;
	cpu_set_t cpus;

	CPU_ZERO(&cpus);
	CPU_SET(fighter->cpu, &cpus);
	pthread_setaffinity_np(pthread_self(), sizeof(cpus), &cpus);
	pthread_setname_np(pthread_self(), fighter->name);
	if (fighter->real_time && pthread_setschedparam(pthread_self(), SCHED_FIFO, &first)) {
		fighter->denied = true;
		return NULL;
	}
	if (fighter->worker != NO_WORKER)
		watch_bed_enter(&bed, gettid(), fighter->worker, (int)fighter->cpu);
	atomic_store(&fighter->tid, gettid());
	for (int i = 0; i < fighter->sleeps; i++)
		nanosleep(&nap, NULL);
	end_ns = watch_bed_now_ns() + FIGHT_MS * MS;
	while (!fighter->sleeps && watch_bed_now_ns() < end_ns)
		;
	clock_gettime(CLOCK_THREAD_CPUTIME_ID, &used);
	fighter->cpu_ns = (uint64_t)used.tv_sec * 1000 * MS + (uint64_t)used.tv_nsec;
	if (fighter->worker != NO_WORKER)
		watch_bed_leave(&bed, gettid());
	return NULL;
}

static void start(struct fighter *fighter)
{
	fighter->cpu = bed.cpus[bed.cpus_count - 1];
	assert_int_equal(pthread_create(&fighter->thread, NULL, fight, fighter), 0);
}

static void join(struct fighter *fighter)
{
	assert_int_equal(pthread_join(fighter->thread, NULL), 0);
}

/* The entry of a thief; false if there is none. All of the worker's are added up in *all_ns. */
static bool find_thief(uint32_t worker, int tid, struct thief *out, uint64_t *all_ns)
{
	int fd = watch_bed_map(&bed, "thieves");
	struct thief_key key, *last = NULL;
	struct thief thief;
	bool found = false;

	assert_true(fd >= 0);
	*all_ns = 0;
	while (bpf_map_get_next_key(fd, last, &key) == 0) {
		last = &key;
		if (key.worker != worker || bpf_map_lookup_elem(fd, &key, &thief))
			continue;
		*all_ns += thief.ns;
		if ((int)key.pid != tid)
			continue;
		found = true;
		*out = thief;
	}
	close(fd);
	return found;
}

/* What all thieves of a worker had is what the worker waited. */
static void expect_all_told(uint32_t worker, uint64_t thieves_ns)
{
	uint64_t waited_ns = watch_bed_histogram(&bed, "preempted", worker).sum +
			     watch_bed_histogram(&bed, "run_delay", worker).sum;

	print_message("# worker %u waited %lu us, its thieves had %lu us\n", worker,
		      waited_ns / 1000, thieves_ns / 1000);
	assert_int_equal(thieves_ns, waited_ns);
}

static void fight_for_a_cpu(void **state)
{
	struct fighter thief = {.name = THIEF, .worker = NO_WORKER};
	struct fighter worker = {.name = "abaft-worker", .worker = 0};
	struct histogram preempted;
	struct thief stolen;
	uint64_t all_ns, wall_ns = watch_bed_now_ns();

	start(&thief);
	start(&worker);
	join(&worker);
	join(&thief);
	wall_ns = watch_bed_now_ns() - wall_ns;
	preempted = watch_bed_histogram(&bed, "preempted", 0);
	assert_true(preempted.count >= 3);
	assert_in_range(preempted.sum, FIGHT_MS * MS / 5, wall_ns);
	assert_in_range(preempted.max, preempted.sum / preempted.count, preempted.sum);
	assert_true(find_thief(0, atomic_load(&thief.tid), &stolen, &all_ns));
	assert_string_equal(stolen.comm, THIEF);
	print_message("# %s had the CPU for %lu us, %lu us of them while worker 0 waited\n", THIEF,
		      thief.cpu_ns / 1000, (uint64_t)stolen.ns / 1000);
	/* Both run together nearly all of the time. Where the machine itself waits for a CPU, only
	 * the watch counts that; what is counted twice shows all the same. */
	assert_in_range(stolen.ns, thief.cpu_ns / 3, thief.cpu_ns + thief.cpu_ns / 2);
	assert_true(stolen.ns <= wall_ns);
	assert_true(stolen.count >= 3);
	expect_all_told(0, all_ns);
}

/* It wakes up again and again, and nobody may take its CPU but the kernel's own threads of the
 * highest priority, now and then; a sleep that is taken for a preemption shows fifty times. */
static void alone(void **state)
{
	struct fighter worker = {
		.name = "abaft-worker", .worker = 1, .sleeps = SLEEPS, .real_time = true};
	struct histogram run_delay;
	struct thief stolen;
	uint64_t all_ns, wall_ns = watch_bed_now_ns();

	start(&worker);
	join(&worker);
	wall_ns = watch_bed_now_ns() - wall_ns;
	if (worker.denied) {
		print_message("# no right to SCHED_FIFO: nothing keeps others off the CPU\n");
		skip();
	}
	run_delay = watch_bed_histogram(&bed, "run_delay", 1);
	print_message("# %d sleeps: run_delay %lu times, %lu us each\n", SLEEPS,
		      (uint64_t)run_delay.count, (uint64_t)run_delay.sum / 1000 / SLEEPS);
	assert_in_range(run_delay.count, SLEEPS, SLEEPS + SLEEPS / 2);
	assert_in_range(run_delay.sum, 1, wall_ns);
	assert_true(watch_bed_histogram(&bed, "preempted", 1).count < SLEEPS / 2);
	find_thief(1, -1, &stolen, &all_ns);
	expect_all_told(1, all_ns);
}

static void workers_of_one_cpu(void **state)
{
	struct fighter two = {.name = "abaft-two", .worker = 2};
	struct fighter three = {.name = "abaft-three", .worker = 3};
	struct thief stolen;
	uint64_t all_ns;

	start(&two);
	start(&three);
	join(&two);
	join(&three);
	assert_true(find_thief(2, atomic_load(&three.tid), &stolen, &all_ns));
	assert_string_equal(stolen.comm, "abaft-three");
	expect_all_told(2, all_ns);
	assert_true(find_thief(3, atomic_load(&two.tid), &stolen, &all_ns));
	assert_string_equal(stolen.comm, "abaft-two");
	expect_all_told(3, all_ns);
}

static void not_workers(void **state)
{
	struct fighter one = {.name = "abaft-one", .worker = NO_WORKER};
	struct fighter other = {.name = "abaft-other", .worker = NO_WORKER};
	uint64_t preempted = watch_bed_count(&bed, "preempted");
	uint64_t run_delay = watch_bed_count(&bed, "run_delay");
	struct thief stolen;
	uint64_t all_ns;

	start(&one);
	start(&other);
	join(&one);
	join(&other);
	assert_int_equal(watch_bed_count(&bed, "preempted"), preempted);
	assert_int_equal(watch_bed_count(&bed, "run_delay"), run_delay);
	for (uint32_t worker = 0; worker < WATCH_BED_WORKERS; worker++) {
		assert_false(find_thief(worker, atomic_load(&one.tid), &stolen, &all_ns));
		assert_false(find_thief(worker, atomic_load(&other.tid), &stolen, &all_ns));
	}
}

static int setup(void **state)
{
	watch_bed_make(&bed);
	watch_bed_start(&bed);
	return 0;
}

static int teardown(void **state)
{
	watch_bed_remove(&bed);
	return 0;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(fight_for_a_cpu),
		cmocka_unit_test(alone),
		cmocka_unit_test(workers_of_one_cpu),
		cmocka_unit_test(not_workers),
	};

	watch_bed_needs();
	return cmocka_run_group_tests_name("watch_sched", tests, setup, teardown);
}
