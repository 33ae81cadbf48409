/* SPDX-License-Identifier: Apache-2.0 */
/*
 * probe.h - USDT probes: where bpftrace, bpftool's programs and debuggers can look at one
 * transaction's life. docs/operations.md lists them with their arguments; names and arguments are
 * stable.
 *
 * A probe that nobody watches is one test of a word that is 0 (its semaphore, which the kernel
 * counts up for watchers) and a nop. It calls nothing and changes nothing, so the core stays pure.
 */
#ifndef ABAFT_CORE_PROBE_H
#define ABAFT_CORE_PROBE_H

#define _SDT_HAS_SEMAPHORES 1
#include <sys/sdt.h>

/* clang-format off */
#define ABAFT_PROBES(X)                                                                            \
	X(txn__start)      /* id, instance, step, attempt */                                       \
	X(txn__first_read) /* id, key, key bytes */                                                \
	X(txn__put)        /* id, key, key bytes, value bytes */                                   \
	X(txn__commit)     /* id, log sequence, record bytes, keys written */                      \
	X(txn__durable)    /* id, log sequence */                                                  \
	X(txn__publish)    /* id, version time, keys written */                                    \
	X(txn__ack)        /* id, status, ns since it was executed, worker */                      \
	X(txn__abort)      /* id */                                                                \
	X(txn__expire)     /* id, age in us, 1 if it made room for others */                       \
	X(txn__handover)   /* id, from worker, to worker */                                        \
	X(version__reclaim) /* version time, bytes, lag in ns */
/* clang-format on */

#define PROBE_SEMAPHORE(name)                                                                      \
	extern volatile unsigned short /* tidy: allow, because the kernel writes it */             \
		abaft_##name##_semaphore;
ABAFT_PROBES(PROBE_SEMAPHORE)
#undef PROBE_SEMAPHORE

/* PROBE(txn__abort, 1, id): fires when somebody watches; else the arguments are not even made. */
#define PROBE(name, count, ...)                                                                    \
	do {                                                                                       \
		if (__builtin_expect(abaft_##name##_semaphore != 0, 0))                            \
			DTRACE_PROBE##count(abaft, name, __VA_ARGS__);                             \
	} while (0)

#endif
