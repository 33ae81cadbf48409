/* SPDX-License-Identifier: Apache-2.0 */
/*
 * cacheline - the round trip of a cache line between two cores: cacheline CORE CORE. On virtual
 * machines it moves by a factor of five and takes every figure that crosses cores with it, so it
 * stands beside them. Prints the median and the fastest of the rounds, in nanoseconds.
 */
#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#define ROUNDS 21
#define TRIPS  10000

struct line {
	_Alignas(128) atomic_uint value;
	_Alignas(128) unsigned int core;
};

static void pin(unsigned int core)
{
	cpu_set_t set;

	CPU_ZERO(&set);
	CPU_SET(core, &set);
	if (sched_setaffinity(0, sizeof(set), &set) != 0)
		perror("cacheline: cannot pin");
}

/* Sends even numbers back as odd ones. */
static void *echo(void *arg)
{
	struct line *line = arg;

	pin(line->core);
	for (unsigned int i = 0; i < 2 * ROUNDS * TRIPS; i += 2) {
		while (atomic_load_explicit(&line->value, memory_order_acquire) != i + 1)
			;
		atomic_store_explicit(&line->value, i + 2, memory_order_release);
	}
	return NULL;
}

static uint64_t now_ns(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (uint64_t)ts.tv_sec * 1000000000u + (uint64_t)ts.tv_nsec;
}

static int compare(const void *a, const void *b)
{
	const uint64_t *x = a, *y = b;

	return (*x > *y) - (*x < *y);
}

int main(int argc, char **argv)
{
	static struct line line;
	uint64_t ns[ROUNDS];
	unsigned int i = 0;
	pthread_t thread;

	if (argc != 3) {
		fprintf(stderr, "usage: cacheline CORE CORE\n");
		return 2;
	}
	line.core = (unsigned int)strtoul(argv[2], NULL, 10);
	pin((unsigned int)strtoul(argv[1], NULL, 10));
	if (pthread_create(&thread, NULL, echo, &line) != 0)
		return 1;
	for (int round = 0; round < ROUNDS; round++) {
		uint64_t start = now_ns();

		for (int trip = 0; trip < TRIPS; trip++, i += 2) {
			atomic_store_explicit(&line.value, i + 1, memory_order_release);
			while (atomic_load_explicit(&line.value, memory_order_acquire) != i + 2)
				;
		}
		ns[round] = now_ns() - start;
	}
	pthread_join(thread, NULL);
	qsort(ns, ROUNDS, sizeof(ns[0]), compare);
	printf("median %.0f fastest %.0f\n", (double)ns[ROUNDS / 2] / TRIPS, (double)ns[0] / TRIPS);
	return 0;
}
