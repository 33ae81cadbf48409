/* SPDX-License-Identifier: Apache-2.0 */
/*
 * probe.h - USDT probes: where bpftrace, bpftool's programs and debuggers can look at one
 * transaction's life. docs/operations.md lists them with their arguments; names and arguments are
 * stable.
 *
 * A probe that nobody watches is one test of a word that is 0 (its semaphore, which the kernel
 * counts up for watchers) and, in cold code behind it, a nop. It calls nothing and changes nothing,
 * so the core stays pure.
 *
 * Each argument is 64 bits wide and in a register when the probe fires, or a constant: there are
 * tracers that understand nothing else, and bpftrace 0.17 knows the first six. A transaction's id
 * is two of them, its first and its last 8 bytes as numbers, so that it can be compared, be a map's
 * key and be printed with %016lx.
 */
#ifndef ABAFT_CORE_PROBE_H
#define ABAFT_CORE_PROBE_H

#define _SDT_HAS_SEMAPHORES	1
#define STAP_SDT_ARG_CONSTRAINT nr
#include <sys/sdt.h>

#include "dataplane/core/bytes.h"

/* clang-format off */
#define ABAFT_PROBES(X)                                                                            \
	X(txn__start)       /* id, id, instance, step, attempt */                                  \
	X(txn__first_read)  /* id, id, key, key bytes, value bytes */                              \
	X(txn__put)         /* id, id, operation, key, key bytes, value bytes */                   \
	X(txn__commit)      /* id, id, log sequence, record bytes, keys written */                 \
	X(txn__durable)     /* id, id, log sequence */                                             \
	X(txn__publish)     /* id, id, version time, keys written */                               \
	X(txn__ack)         /* id, id, operation, ns since it was executed, worker */              \
	X(txn__abort)       /* id, id */                                                           \
	X(txn__expire)      /* id, id, age in ns, 1 if it made room for others */                  \
	X(txn__handover)    /* id, id, from worker, to worker */                                   \
	X(version__reclaim) /* version time, bytes, lag in ns */
/* clang-format on */

/* Hidden: reached directly, not by a table of addresses. */
#define PROBE_SEMAPHORE(name)                                                                      \
	extern volatile unsigned short /* tidy: allow, because the kernel writes it */             \
		abaft_##name##_semaphore __attribute__((visibility("hidden")));
ABAFT_PROBES(PROBE_SEMAPHORE)
#undef PROBE_SEMAPHORE

#define PROBE_U64(x) ((uint64_t)(x))
#define PROBE_ID(id) load_be64(id), load_be64((id) + 8)

#define PROBE_2(name, a, b)    DTRACE_PROBE2(abaft, name, PROBE_U64(a), PROBE_U64(b))
#define PROBE_3(name, a, b, c) DTRACE_PROBE3(abaft, name, PROBE_U64(a), PROBE_U64(b), PROBE_U64(c))
#define PROBE_4(name, a, b, c, d)                                                                  \
	DTRACE_PROBE4(abaft, name, PROBE_U64(a), PROBE_U64(b), PROBE_U64(c), PROBE_U64(d))
#define PROBE_5(name, a, b, c, d, e)                                                               \
	DTRACE_PROBE5(abaft, name, PROBE_U64(a), PROBE_U64(b), PROBE_U64(c), PROBE_U64(d),         \
		      PROBE_U64(e))
#define PROBE_6(name, a, b, c, d, e, f)                                                            \
	DTRACE_PROBE6(abaft, name, PROBE_U64(a), PROBE_U64(b), PROBE_U64(c), PROBE_U64(d),         \
		      PROBE_U64(e), PROBE_U64(f))

#define PROBE_WATCHED(name) __builtin_expect(abaft_##name##_semaphore != 0, 0)

/* PROBE(txn__abort, 2, PROBE_ID(id)): fires when somebody watches; else the arguments are not even
 * made. The id is two of the counted arguments. */
#define PROBE(name, count, ...)                                                                    \
	do {                                                                                       \
		if (PROBE_WATCHED(name))                                                           \
			PROBE_##count(name, __VA_ARGS__);                                          \
	} while (0)

#endif
