/* SPDX-License-Identifier: Apache-2.0 */
/* clock.c - see clock.h. */
#include "dataplane/clock.h"

#include <cpuid.h>
#include <time.h>

/* The rate is first measured over at least this long; once it is known, over longer, and from a new
 * beginning after so long. */
#define RATE_NS_FIRST UINT64_C(1000000)
#define RATE_NS_MIN   UINT64_C(1000000000)
#define RATE_NS_MAX   UINT64_C(10000000000)
/* A reading that takes longer was interrupted, and says nothing of the rate. */
#define READING_TICKS 32768
/* Advanced power management, EDX: the counter runs at a constant rate in all states. */
#define CPUID_POWER   0x80000007u
#define INVARIANT_TSC (1u << 8)

static uint64_t counter(void)
{
	return __builtin_ia32_rdtsc();
}

static bool counter_is_constant(void)
{
	unsigned int eax, ebx, ecx, edx;

	return __get_cpuid(CPUID_POWER, &eax, &ebx, &ecx, &edx) && (edx & INVARIANT_TSC);
}

static uint64_t system_ns(clockid_t which)
{
	struct timespec ts;

	clock_gettime(which, &ts);
	return (uint64_t)ts.tv_sec * 1000000000 + (uint64_t)ts.tv_nsec;
}

static uint64_t scaled(uint64_t ticks, uint64_t rate)
{
	return (uint64_t)((unsigned __int128)ticks * rate >> 32);
}

void clock_init(struct clock *clock)
{
	*clock = (struct clock){.constant = counter_is_constant()};
}

/* Whether nothing came between the clocks and the counter. */
static bool read_clocks(struct clock *clock)
{
	uint64_t before = counter();

	clock->sync_wall_ns = system_ns(CLOCK_REALTIME);
	clock->sync_mono_ns = system_ns(CLOCK_MONOTONIC);
	clock->sync_ticks = counter();
	return clock->sync_ticks - before < READING_TICKS;
}

/* The machine was suspended, or this thread is on a CPU whose counter is another: what was measured
 * holds no more. */
static bool rate_is_wrong(const struct clock *clock, uint64_t passed_ns, uint64_t ticks)
{
	uint64_t by_rate_ns = scaled(ticks, clock->rate);
	uint64_t off_ns = by_rate_ns > passed_ns ? by_rate_ns - passed_ns : passed_ns - by_rate_ns;

	return off_ns > passed_ns / 16 + CLOCK_SYNC_NS;
}

/* From the readings so far. The system's alone: with times that we told, a rate that is wrong would
 * confirm itself. */
static void measure(struct clock *clock)
{
	uint64_t passed_ns = clock->sync_mono_ns - clock->first_mono_ns;
	uint64_t ticks = clock->sync_ticks - clock->first_ticks;

	if (clock->first_ticks != 0 && ticks != 0 && passed_ns >= clock->least_ns)
		clock->rate = (uint64_t)(((unsigned __int128)passed_ns << 32) / ticks);
	if (clock->first_ticks == 0 || passed_ns > RATE_NS_MAX) {
		clock->least_ns = clock->first_ticks == 0 ? RATE_NS_FIRST : RATE_NS_MIN;
		clock->first_mono_ns = clock->sync_mono_ns;
		clock->first_ticks = clock->sync_ticks;
	}
}

static void sync_clocks(struct clock *clock)
{
	uint64_t mono_ns = clock->sync_mono_ns, ticks = clock->sync_ticks;
	bool exact = read_clocks(clock) || (clock->constant && read_clocks(clock));

	if (!clock->constant)
		return;
	if (clock->rate != 0 &&
	    rate_is_wrong(clock, clock->sync_mono_ns - mono_ns, clock->sync_ticks - ticks))
		clock->rate = clock->first_ticks = 0;
	if (exact)
		measure(clock);
}

/* C1. */
static uint64_t tell(struct clock *clock, uint64_t mono_ns)
{
	if (mono_ns > clock->told_ns)
		clock->told_ns = mono_ns;
	return clock->told_ns;
}

struct now clock_pass(struct clock *clock)
{
	uint64_t since_ns = 0;

	/* Of a counter that is behind the last reading's this is huge. */
	if (clock->rate != 0)
		since_ns = scaled(counter() - clock->sync_ticks, clock->rate);
	if (clock->rate == 0 || since_ns >= CLOCK_SYNC_NS) {
		sync_clocks(clock);
		since_ns = 0;
	}
	clock->mono_ns = tell(clock, clock->sync_mono_ns + since_ns);
	clock->wall_ns = clock->sync_wall_ns + since_ns;
	return (struct now){.wall_us = clock->wall_ns / 1000, .mono_us = clock->mono_ns / 1000};
}

void clock_set(struct clock *clock, struct now now)
{
	clock->mono_ns = now.mono_us * 1000;
	clock->wall_ns = now.wall_us * 1000;
}

uint64_t clock_now_ns(struct clock *clock)
{
	uint64_t ticks = counter() - clock->sync_ticks;

	if (clock->rate == 0)
		return clock->mono_ns;
	if ((int64_t)ticks < 0) /* the counter of another CPU, a little behind */
		return clock->told_ns;
	return tell(clock, clock->sync_mono_ns + scaled(ticks, clock->rate));
}
