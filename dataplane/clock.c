/* SPDX-License-Identifier: Apache-2.0 */
/* clock.c - see clock.h. */
#include "dataplane/clock.h"

#include <cpuid.h>

/* The rate is measured over at least this long, and then anew: the looks are off by some ns. */
#define RATE_NS	      UINT64_C(1000000)
#define RATE_AGAIN_NS UINT64_C(10000000000)
/* Advanced power management, EDX: the counter runs at a constant rate in all states. */
#define CPUID_POWER   0x80000007u
#define INVARIANT_TSC (1u << 8)

static bool counter_is_constant(void)
{
	unsigned int eax, ebx, ecx, edx;

	return __get_cpuid(CPUID_POWER, &eax, &ebx, &ecx, &edx) && (edx & INVARIANT_TSC);
}

void clock_init(struct clock *clock, bool ticks)
{
	*clock = (struct clock){.ticks = ticks && counter_is_constant()};
}

void clock_begin(struct clock *clock, uint64_t mono_ns)
{
	uint64_t passed_ns;

	clock->base_ns = mono_ns;
	if (!clock->ticks)
		return;
	clock->base_ticks = clock_ticks();
	passed_ns = mono_ns - clock->first_ns;
	if (clock->first_ns == 0 || passed_ns > 2 * RATE_AGAIN_NS) {
		clock->first_ns = mono_ns;
		clock->first_ticks = clock->base_ticks;
	} else if (passed_ns >= RATE_NS && (clock->rate == 0 || passed_ns > RATE_AGAIN_NS)) {
		uint64_t ticks = clock->base_ticks - clock->first_ticks;

		if (ticks == 0)
			return;
		clock->rate = (uint64_t)(((unsigned __int128)passed_ns << 32) / ticks);
		if (passed_ns > RATE_AGAIN_NS) {
			clock->first_ns = mono_ns;
			clock->first_ticks = clock->base_ticks;
		}
	}
}
