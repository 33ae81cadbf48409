/* SPDX-License-Identifier: Apache-2.0 */
/* clock.c - see clock.h. */
#include "dataplane/clock.h"

#include <cpuid.h>
#include <time.h>

/* The rate is measured over at least this long, and anew after so long. */
#define RATE_NS_MIN   UINT64_C(1000000)
#define RATE_NS_MAX   UINT64_C(10000000000)
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

/* From the readings so far. */
static void measure(struct clock *clock)
{
	uint64_t passed_ns = clock->sync_mono_ns - clock->first_mono_ns;
	uint64_t ticks = clock->sync_ticks - clock->first_ticks;

	if (clock->first_ticks != 0 && passed_ns >= RATE_NS_MIN && ticks != 0)
		clock->rate = (uint64_t)(((unsigned __int128)passed_ns << 32) / ticks);
	if (clock->first_ticks == 0 || passed_ns > RATE_NS_MAX) {
		clock->first_mono_ns = clock->sync_mono_ns;
		clock->first_ticks = clock->sync_ticks;
	}
}

static void sync_clocks(struct clock *clock)
{
	uint64_t mono_ns = system_ns(CLOCK_MONOTONIC);

	clock->sync_wall_ns = system_ns(CLOCK_REALTIME);
	clock->sync_ticks = counter();
	clock->sync_mono_ns = mono_ns > clock->mono_ns ? mono_ns : clock->mono_ns; /* C1 */
	if (clock->constant)
		measure(clock);
}

struct now clock_pass(struct clock *clock)
{
	uint64_t since_ns = 0;

	clock->ticks = counter();
	if (clock->rate != 0)
		since_ns = scaled(clock->ticks - clock->sync_ticks, clock->rate);
	if (clock->rate == 0 || since_ns >= CLOCK_SYNC_NS) {
		sync_clocks(clock);
		clock->ticks = clock->sync_ticks;
		since_ns = 0;
	}
	clock->mono_ns = clock->sync_mono_ns + since_ns;
	clock->wall_ns = clock->sync_wall_ns + since_ns;
	return (struct now){.wall_us = clock->wall_ns / 1000, .mono_us = clock->mono_ns / 1000};
}

void clock_set(struct clock *clock, struct now now)
{
	clock->mono_ns = now.mono_us * 1000;
	clock->wall_ns = now.wall_us * 1000;
}

uint64_t clock_now_ns(const struct clock *clock)
{
	if (clock->rate == 0)
		return clock->mono_ns;
	return clock->mono_ns + scaled(counter() - clock->ticks, clock->rate);
}
