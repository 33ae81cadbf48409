/* SPDX-License-Identifier: Apache-2.0 */
/* region.h - cmocka, and a memory region that must be whole again when a case ends. */
#ifndef ABAFT_TESTS_REGION_H
#define ABAFT_TESTS_REGION_H

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "dataplane/core/memory.h"

struct region {
	struct mapper mapper;
	struct memory memory;
	struct memory_cache cache;
};

static inline void region_open(struct region *r, uint64_t mib)
{
	memset(r, 0, sizeof(*r));
	assert_int_equal(memory_init(&r->memory, &r->mapper, mib << 20), 0);
	memory_cache_init(&r->cache, &r->memory);
}

/* Fails when a block is still in use. */
static inline void region_close(struct region *r)
{
	assert_int_equal(r->cache.bytes_used, 0);
	memory_cache_flush(&r->cache);
	assert_int_equal(r->memory.free_span_count, r->memory.spans_total);
	memory_fini(&r->memory, &r->mapper);
}

#endif
