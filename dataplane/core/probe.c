/* SPDX-License-Identifier: Apache-2.0 */
/* probe.c - the semaphores of probe.h, in the section where the kernel finds them. */
#include "dataplane/core/probe.h"

#define PROBE_SEMAPHORE(name)                                                                      \
	volatile unsigned short /* tidy: allow, because the kernel writes it */                    \
		abaft_##name##_semaphore                                                           \
		__attribute__((section(".probes"), visibility("hidden")));
ABAFT_PROBES(PROBE_SEMAPHORE)
