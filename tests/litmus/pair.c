/* SPDX-License-Identifier: Apache-2.0 */
/*
 * pair.c - see pair.h.
 *
 * The threads meet at a barrier of two counters, each written by its own thread. Who waits long
 * gives the core up, as there may be others on this machine. A line takes as long from core to core
 * as what is to be seen, so a round begins not with the barrier but at a count of the cores' common
 * clock, which thread 0 says and which lies some hundred nanoseconds ahead.
 */
#include "tests/litmus/pair.h"

#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>

#define SPINS_MAX 2000
#define AHEAD	  3000 /* counts of the clock */

struct meeting {
	const struct pair *pair;
	_Atomic uint64_t begin; /* of the round, by the clock */
	struct {
		_Atomic uint64_t count;
	} __attribute__((aligned(128))) side[2];
};

struct walker {
	struct meeting *meeting;
	int number, cpu;
	uint64_t forbidden;
};

static void arrive(struct meeting *m, int self, uint64_t count)
{
	atomic_store_explicit(&m->side[self].count, count, memory_order_release);
}

static void await(struct meeting *m, int self, uint64_t count)
{
	uint32_t spins = 0;

	while (atomic_load_explicit(&m->side[!self].count, memory_order_acquire) < count) {
		if (++spins % SPINS_MAX == 0)
			sched_yield();
	}
}

/* Both leave at the same moment, if both are awake, but for a few counts that differ. */
static void begin(struct meeting *m, int self, uint64_t count, uint32_t jitter)
{
	uint64_t until;

	if (self == 0) {
		await(m, self, count);
		atomic_store_explicit(&m->begin, __builtin_ia32_rdtsc() + AHEAD,
				      memory_order_relaxed);
	}
	arrive(m, self, count);
	await(m, self, count);
	until = atomic_load_explicit(&m->begin, memory_order_relaxed) + jitter;
	while (__builtin_ia32_rdtsc() < until)
		;
}

static void pin(int cpu)
{
	cpu_set_t set;

	CPU_ZERO(&set);
	CPU_SET((size_t)cpu, &set);
	(void)pthread_setaffinity_np(pthread_self(), sizeof(set), &set);
}

static void *walk(void *arg)
{
	struct walker *w = arg;
	const struct pair *pair = w->meeting->pair;
	uint32_t random = 1;

	pin(w->cpu);
	for (uint64_t round = 0; round < pair->rounds; round++) {
		if (w->number == 0 && pair->before)
			pair->before(pair->arg);
		random = random * 1664525 + 1013904223 + (uint32_t)w->number;
		begin(w->meeting, w->number, 2 * round + 1, random >> 24);
		pair->side[w->number](pair->arg);
		arrive(w->meeting, w->number, 2 * round + 2);
		await(w->meeting, w->number, 2 * round + 2);
		if (w->number == 0)
			w->forbidden += pair->forbidden(pair->arg);
	}
	return NULL;
}

/* Two CPUs that this process may use; the same twice if there is only one. */
static void two_cpus(int cpu[2])
{
	cpu_set_t set;
	int n = 0;

	cpu[0] = cpu[1] = 0;
	if (sched_getaffinity(0, sizeof(set), &set))
		return;
	for (int i = 0; i < CPU_SETSIZE && n < 2; i++)
		if (CPU_ISSET((size_t)i, &set))
			cpu[n++] = i;
	if (n < 2) {
		cpu[1] = cpu[0];
		printf("# one core only: nothing can be seen here\n");
	}
}

uint64_t pair_run(const struct pair *pair)
{
	struct meeting meeting = {.pair = pair};
	struct walker walker[2];
	pthread_t thread[2];
	int cpu[2];

	two_cpus(cpu);
	for (int i = 0; i < 2; i++) {
		walker[i] = (struct walker){.meeting = &meeting, .number = i, .cpu = cpu[i]};
		if (pthread_create(&thread[i], NULL, walk, &walker[i]))
			abort();
	}
	for (int i = 0; i < 2; i++)
		pthread_join(thread[i], NULL);
	printf("# %s: %llu of %llu\n", pair->name, (unsigned long long)walker[0].forbidden,
	       (unsigned long long)pair->rounds);
	return walker[0].forbidden;
}
