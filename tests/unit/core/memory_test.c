/* SPDX-License-Identifier: Apache-2.0 */
/* memory_test.c - spans, classes and the workers' caches. */
#include "tests/unit/core/region.h"

static void blocks_hold_what_was_asked(void **state)
{
	static const uint32_t sizes[] = {
		1,    63,   64,	   65,	  96,	 97,	 128,		129,
		192,  193,  256,   1000,  4096,	 4097,	 6144,		6145,
		8192, 8193, 65536, 65537, 98304, 262144, (1 << 20) - 1, 1 << 20};
	struct region r;

	region_open(&r, 8);
	for (uint32_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
		uint64_t before = r.cache.bytes_used;
		uint8_t *block = memory_alloc(&r.cache, sizes[i]), *next;
		uint64_t used = r.cache.bytes_used - before;

		assert_non_null(block);
		assert_int_equal((uintptr_t)block % 32, 0);
		assert_true(used >= sizes[i] && (sizes[i] < 64 || used <= sizes[i] * 3 / 2));
		if (used != 96)
			assert_int_equal((uintptr_t)block % 64, 0);
		next = memory_alloc(&r.cache, sizes[i]);
		assert_non_null(next);
		assert_true(next >= block + sizes[i] || block >= next + sizes[i]);
		memset(block, 0x55, sizes[i]);
		memset(next, 0xaa, sizes[i]);
		assert_int_equal(block[sizes[i] - 1], 0x55);
		memory_free(&r.cache, block, sizes[i]);
		memory_free(&r.cache, next, sizes[i]);
		memory_cache_flush(&r.cache);
	}
	assert_null(memory_alloc(&r.cache, (1 << 20) + 1));
	memory_free(&r.cache, NULL, 100);
	region_close(&r);
}

static void ends_when_the_region_is_used_up(void **state)
{
	struct region r;
	void *a, *b;

	region_open(&r, 2);
	a = memory_alloc(&r.cache, 1 << 20);
	b = memory_alloc(&r.cache, 700000);
	assert_non_null(a);
	assert_non_null(b);
	assert_null(memory_alloc(&r.cache, 1 << 20));
	assert_null(memory_alloc(&r.cache, 1));
	memory_free(&r.cache, b, 700000);
	assert_null(memory_alloc(&r.cache, 1 << 20)); /* its span is still cut for 768 KiB */
	memory_cache_flush(&r.cache);
	b = memory_alloc(&r.cache, 1 << 20);
	assert_non_null(b);
	memory_free(&r.cache, a, 1 << 20);
	memory_free(&r.cache, b, 1 << 20);
	region_close(&r);
}

/* Every block of a span can be had, no more, and none twice. */
static void a_span_gives_all_its_blocks(void **state)
{
	const uint32_t n = (1 << 20) / 96;
	struct region r;
	uint8_t **blocks = calloc(n, sizeof(*blocks));

	assert_non_null(blocks);
	region_open(&r, 1);
	for (uint32_t i = 0; i < n; i++) {
		blocks[i] = memory_alloc(&r.cache, 90);
		assert_non_null(blocks[i]);
		memcpy(blocks[i], &i, sizeof(i));
		memcpy(blocks[i] + 86, &i, sizeof(i));
	}
	assert_null(memory_alloc(&r.cache, 90));
	for (uint32_t i = 0; i < n; i++) {
		assert_memory_equal(blocks[i], &i, sizeof(i));
		assert_memory_equal(blocks[i] + 86, &i, sizeof(i));
		memory_free(&r.cache, blocks[i], 90);
	}
	memory_cache_flush(&r.cache);
	assert_int_equal(r.memory.free_span_count, 1);
	blocks[0] = memory_alloc(&r.cache, 1 << 20); /* the span serves another class now */
	assert_non_null(blocks[0]);
	memory_free(&r.cache, blocks[0], 1 << 20);
	free(blocks);
	region_close(&r);
}

static void another_worker_may_free(void **state)
{
	struct memory_cache other;
	void *blocks[1000];
	struct region r;

	region_open(&r, 4);
	memory_cache_init(&other, &r.memory);
	for (uint32_t round = 0; round < 20; round++) {
		for (uint32_t i = 0; i < 1000; i++) {
			blocks[i] = memory_alloc(&r.cache, 200);
			assert_non_null(blocks[i]);
		}
		for (uint32_t i = 0; i < 1000; i++)
			memory_free(&other, blocks[i], 200);
	}
	assert_int_equal(r.cache.bytes_used + other.bytes_used, 0);
	memory_cache_flush(&other);
	memory_cache_flush(&r.cache);
	assert_int_equal(r.memory.free_span_count, 4);
	r.cache.bytes_used = 0;
	region_close(&r);
}

/* Blocks of all classes come and go; what is in them stays. */
static void random_use_keeps_contents(void **state)
{
	enum { LIVE = 300, STEPS = 20000 };
	static struct {
		uint8_t *block;
		uint32_t bytes;
		uint8_t fill;
	} live[LIVE];
	uint64_t random = 12345;
	struct region r;

	region_open(&r, 64);
	for (uint32_t step = 0; step < STEPS; step++) {
		uint32_t i;

		random = random * 6364136223846793005ull + 1442695040888963407ull;
		i = (uint32_t)(random >> 33) % LIVE;
		if (live[i].block) {
			assert_int_equal(live[i].block[0], live[i].fill);
			assert_int_equal(live[i].block[live[i].bytes - 1], live[i].fill);
			memory_free(&r.cache, live[i].block, live[i].bytes);
			live[i].block = NULL;
			continue;
		}
		live[i].bytes = 1 + (uint32_t)(random >> 20) % (1u << (4 + (random >> 56) % 13));
		live[i].fill = (uint8_t)random;
		live[i].block = memory_alloc(&r.cache, live[i].bytes);
		assert_non_null(live[i].block);
		memset(live[i].block, live[i].fill, live[i].bytes);
	}
	for (uint32_t i = 0; i < LIVE; i++)
		memory_free(&r.cache, live[i].block, live[i].bytes);
	region_close(&r);
}

static void *no_memory(uint64_t bytes)
{
	return NULL;
}

static void refuses_what_cannot_be(void **state)
{
	struct mapper none = {.map = no_memory};
	struct mapper plain = {.map = NULL};
	struct memory memory;

	assert_int_equal(memory_init(&memory, &plain, (1 << 20) - 1), -EINVAL);
	assert_int_equal(memory_init(&memory, &none, 4 << 20), -ENOMEM);
	assert_int_equal(memory_init(&memory, &plain, 3 << 20), 0); /* an odd number of spans */
	memory_fini(&memory, &plain);
}

static uint64_t debt_of(struct region *r)
{
	uint64_t debt = memory_short(&r->memory);

	memory_paid(&r->memory, debt);
	return debt;
}

/* What is taken asks for as much to go once little is left, and for more the less it is. */
static void the_shorter_it_is_the_more_should_go(void **state)
{
	static uint8_t *blocks[64 * 16];
	uint64_t debt = 0, last = 0;
	struct region r;
	uint32_t n = 0;

	region_open(&r, 64);
	while ((blocks[n] = memory_alloc(&r.cache, 65536))) {
		n++;
		/* A cache takes two at a time; four spans are low, three only for deletes. */
		if (n < (64 - 3 - 4) * 16)
			assert_int_equal(memory_short(&r.memory), 0);
		debt = debt_of(&r);
		if (debt > 0) {
			assert_true(debt >= 2 * 65536 && debt <= 4 * 2 * 65536);
			assert_true(debt >= last);
			last = debt;
		}
	}
	assert_int_equal(n, (64 - 3) * 16);
	assert_true(last > 3 * 2 * 65536);
	assert_int_equal(memory_short(&r.memory), 4 << 20); /* asked in vain */
	assert_null(memory_alloc(&r.cache, 65536));
	assert_null(memory_alloc(&r.cache, 65536));
	assert_int_equal(memory_short(&r.memory), 8 << 20); /* and no end */
	memory_paid(&r.memory, 1 << 20);
	assert_int_equal(memory_short(&r.memory), 7 << 20);
	memory_paid(&r.memory, 100 << 20);
	assert_int_equal(memory_short(&r.memory), 0);
	/* Room of its own class is room; that of another class is not. */
	for (uint32_t i = 0; i < 6 * 16; i++)
		memory_give_back(&r.cache, blocks[--n], 65536);
	blocks[n++] = memory_alloc(&r.cache, 65536);
	assert_int_equal(memory_short(&r.memory), 0);
	while (n > 0)
		memory_free(&r.cache, blocks[--n], 65536);
	region_close(&r);
}

static void what_is_given_back_skips_the_cache(void **state)
{
	struct region r;
	void *block;

	region_open(&r, 1);
	block = memory_alloc(&r.cache, 1 << 20);
	assert_int_equal(r.memory.free_span_count, 0);
	memory_give_back(&r.cache, block, 1 << 20);
	assert_int_equal(r.memory.free_span_count, 1);
	region_close(&r);
}

static void a_span_is_sparse_when_most_of_it_is_free(void **state)
{
	void *blocks[16];
	struct region r;

	region_open(&r, 1);
	for (uint32_t i = 0; i < 16; i++)
		blocks[i] = memory_alloc(&r.cache, 65536);
	assert_false(memory_sparse(&r.memory, blocks[0]));
	for (uint32_t i = 15; i > 7; i--)
		memory_give_back(&r.cache, blocks[i], 65536);
	assert_false(memory_sparse(&r.memory, blocks[0]));
	memory_give_back(&r.cache, blocks[7], 65536);
	assert_true(memory_sparse(&r.memory, blocks[0]));
	for (uint32_t i = 0; i < 7; i++)
		memory_give_back(&r.cache, blocks[i], 65536);
	region_close(&r);
}

/* Then every worker gives back what it keeps: it may be all that is left of a span. */
static void a_wanted_span_is_told(void **state)
{
	struct memory_cache other;
	struct region r;
	void *block;

	region_open(&r, 1);
	memory_cache_init(&other, &r.memory);
	memory_free(&other, memory_alloc(&other, 100), 100);
	memory_cache_flush(&r.cache);
	assert_false(memory_scattered(&other));
	assert_null(memory_alloc(&r.cache, 1000));
	assert_true(memory_scattered(&other));
	memory_cache_flush(&other);
	assert_false(memory_scattered(&other));
	block = memory_alloc(&r.cache, 1000);
	assert_non_null(block);
	memory_free(&r.cache, block, 1000);
	region_close(&r);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(blocks_hold_what_was_asked),
		cmocka_unit_test(ends_when_the_region_is_used_up),
		cmocka_unit_test(a_span_gives_all_its_blocks),
		cmocka_unit_test(another_worker_may_free),
		cmocka_unit_test(random_use_keeps_contents),
		cmocka_unit_test(the_shorter_it_is_the_more_should_go),
		cmocka_unit_test(what_is_given_back_skips_the_cache),
		cmocka_unit_test(a_span_is_sparse_when_most_of_it_is_free),
		cmocka_unit_test(a_wanted_span_is_told),
		cmocka_unit_test(refuses_what_cannot_be),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
