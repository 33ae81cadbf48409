/* SPDX-License-Identifier: Apache-2.0 */
/*
 * litmus_test.c - what the code between threads relies on, on real cores: each loop runs the code
 * itself and counts outcomes that its fences exclude, which must be none; its control experiment is
 * the same pattern with the fence, the exchange or the grace period left out, and is only counted.
 *
 * An x86 core shows one reordering, a store after a later load (store buffering). Stores among each
 * other and loads among each other stay in order whatever the code says: the controls of message
 * passing cannot appear there, which does not mean that the fences are idle on other machines (or
 * for the compiler). TSan looks at those (tests/tsan).
 */
#include <poll.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <ck_epoch.h>
#include <cmocka.h>

#include "dataplane/core/cache.h"
#include "dataplane/core/index.h"
#include "dataplane/log/logdev.h"
#include "dataplane/log/shelf.h"
#include "dataplane/xcore/handover.h"
#include "tests/litmus/pair.h"

#define ROUNDS 40000
#define X86    "cannot appear on x86"

/* A flag or a payload alone in its line. */
struct cell {
	_Atomic uint64_t value;
} __attribute__((aligned(128)));

/*
 * Store buffering: each side says its own and looks at the other's. Both looked too early: the
 * sleeper sleeps, and nobody wakes it.
 */
struct buffering {
	struct cell flag[2];
	uint64_t seen[2];
	bool fence;
};

static void buffering_before(void *arg)
{
	struct buffering *b = arg;

	atomic_store(&b->flag[0].value, 0);
	atomic_store(&b->flag[1].value, 0);
}

static inline void buffering_side(struct buffering *b, int self)
{
	atomic_store_explicit(&b->flag[self].value, 1, memory_order_relaxed);
	if (b->fence)
		atomic_thread_fence(memory_order_seq_cst);
	else
		atomic_signal_fence(memory_order_seq_cst); /* the compiler's order stays */
	b->seen[self] = atomic_load_explicit(&b->flag[!self].value, memory_order_relaxed);
}

static void buffering_a(void *arg)
{
	buffering_side(arg, 0);
}

static void buffering_b(void *arg)
{
	buffering_side(arg, 1);
}

static bool buffering_forbidden(void *arg)
{
	struct buffering *b = arg;

	return !b->seen[0] && !b->seen[1];
}

static void store_buffering(void **state)
{
	static struct buffering b;
	struct pair pair = {"store buffering, fenced",
			    buffering_before,
			    {buffering_a, buffering_b},
			    buffering_forbidden,
			    &b,
			    ROUNDS};

	b.fence = true;
	assert_int_equal(pair_run(&pair), 0);
	b.fence = false;
	pair.name = "control: store buffering without the fence";
	pair_run(&pair);
}

/* handover.h I4, by its own functions: worker 0 goes to sleep while worker 1 lends. */
struct wake {
	struct handover *handover;
	bool sleeps;
	int item;
};

static void wake_sleeper(void *arg)
{
	struct wake *w = arg;

	w->sleeps = handover_sleep_begin(w->handover, 0);
}

static void wake_lender(void *arg)
{
	struct wake *w = arg;

	if (!handover_lend(w->handover, 1, 0, &w->item))
		abort();
	handover_wake(w->handover, 1 << 0);
}

/* It sleeps, something waits, and its descriptor does not poll readable. */
static bool wake_forbidden(void *arg)
{
	struct wake *w = arg;
	struct pollfd p = {.fd = handover_sleep_fd(w->handover, 0), .events = POLLIN};
	bool lost = w->sleeps && poll(&p, 1, 0) != 1;

	if (w->sleeps)
		handover_sleep_end(w->handover, 0);
	if (handover_borrow(w->handover, 0, 1) != &w->item)
		abort();
	handover_give_back(w->handover, 0, 1, &w->item);
	return lost || handover_take_back(w->handover, 1, 0) != &w->item;
}

static void sleeping_workers_are_woken(void **state)
{
	static struct wake w;
	const struct pair pair = {"a lender's wake-up lost",
				  NULL,
				  {wake_sleeper, wake_lender},
				  wake_forbidden,
				  &w,
				  ROUNDS};

	assert_int_equal(handover_create(&w.handover, 2), 0);
	assert_int_equal(pair_run(&pair), 0);
	handover_destroy(w.handover);
}

/* handover.h I3: a payload of plain stores goes over the ring and comes back changed. */
#define PAYLOAD 8

struct passing {
	struct handover *handover; /* NULL: by a pointer without order */
	_Atomic(uint64_t *) bare;
	uint64_t payload[PAYLOAD], round;
	bool torn;
};

static void passing_from(void *arg)
{
	struct passing *p = arg;

	p->round++;
	for (int i = 0; i < PAYLOAD; i++)
		p->payload[i] = p->round;
	if (!p->handover) {
		atomic_signal_fence(memory_order_seq_cst);
		atomic_store_explicit(&p->bare, p->payload, memory_order_relaxed);
	} else if (!handover_lend(p->handover, 0, 1, p->payload)) {
		abort();
	}
}

static uint64_t *passing_take(struct passing *p)
{
	if (p->handover)
		return handover_borrow(p->handover, 1, 0);
	return atomic_exchange_explicit(&p->bare, NULL, memory_order_relaxed);
}

static void passing_to(void *arg)
{
	struct passing *p = arg;
	uint64_t *payload;

	while (!(payload = passing_take(p)))
		;
	p->torn = false;
	for (int i = PAYLOAD; i > 0; i--)
		p->torn |= payload[i - 1] != payload[0];
	for (int i = 0; i < PAYLOAD; i++)
		payload[i] = ~payload[i];
	if (p->handover)
		handover_give_back(p->handover, 1, 0, payload);
}

static bool passing_forbidden(void *arg)
{
	struct passing *p = arg;
	bool wrong = p->torn;

	if (p->handover && handover_take_back(p->handover, 0, 1) != p->payload)
		abort();
	for (int i = 0; i < PAYLOAD; i++)
		wrong |= p->payload[i] != ~p->round;
	return wrong;
}

static void payloads_go_with_their_item(void **state)
{
	static struct passing p;
	struct pair pair = {"a payload lent and not whole",
			    NULL,
			    {passing_from, passing_to},
			    passing_forbidden,
			    &p,
			    ROUNDS};

	assert_int_equal(handover_create(&p.handover, 2), 0);
	assert_int_equal(pair_run(&pair), 0);
	handover_destroy(p.handover);
	p.handover = NULL;
	pair.name = "control: by a relaxed pointer (" X86 ")";
	pair_run(&pair);
}

/*
 * Message passing of a publication (P5): two versions under one commit record, linked by the
 * index's functions while a reader looks; one store makes both visible.
 */
struct publication {
	struct mapper mapper;
	struct memory memory;
	struct memory_cache cache;
	struct index index;
	struct {
		struct commit *commit; /* binds no keys */
		struct version version[2];
		uint8_t value[2][64];
	} round[2]; /* the one before stands below */
	uint64_t rounds;
	bool relaxed, wrong;
};

static const char *const names[2] = {"left", "right"};

static void link_one(struct publication *p, int key, struct version *v)
{
	struct key_id id = index_id(&p->index, (const uint8_t *)names[key], 4);

	if (index_link(&p->index, &p->cache, id, (const uint8_t *)names[key], 4, v))
		abort();
}

static void publication_writer(void *arg)
{
	struct publication *p = arg;
	uint64_t n = ++p->rounds;
	struct commit *commit = p->round[n & 1].commit;

	for (int key = 0; key < 2; key++) {
		struct version *v = &p->round[n & 1].version[key];
		uint8_t *value = p->round[n & 1].value[key];

		memset(value, (int)(n & 0xff), 64);
		v->number = (struct vnum){.time = n};
		v->bytes = 64;
		v->commit = commit;
		v->slot = VERSION_NO_SLOT;
		atomic_store_explicit(&v->value, value, memory_order_relaxed);
		link_one(p, key, v);
	}
	atomic_signal_fence(memory_order_seq_cst);
	atomic_store_explicit(&commit->published, n,
			      p->relaxed ? memory_order_relaxed : memory_order_release);
}

static const struct version *newest_visible(const struct publication *p, int key)
{
	struct key_id id = index_id(&p->index, (const uint8_t *)names[key], 4);
	const struct key *k = index_find(&p->index, id, (const uint8_t *)names[key], 4);
	const struct version *v = k ? atomic_load_explicit(&k->newest, memory_order_acquire) : NULL;

	while (v && !version_published(v))
		v = atomic_load_explicit(&v->older, memory_order_acquire);
	return v;
}

/* The right key read after the left one is at least as new, and each value is its number's. */
static void publication_reader(void *arg)
{
	struct publication *p = arg;
	const struct version *left = newest_visible(p, 0), *right = newest_visible(p, 1);

	p->wrong = left && (!right || right->number.time < left->number.time);
	for (int i = 0; left && i < 64; i++)
		p->wrong |= version_value(left)[i] != (left->number.time & 0xff);
	for (int i = 0; right && i < 64; i++)
		p->wrong |= version_value(right)[i] != (right->number.time & 0xff);
}

/* Alone: the version before the newest goes, so that its place can be used again. */
static bool publication_forbidden(void *arg)
{
	struct publication *p = arg;
	uint64_t before = ~p->rounds & 1;

	for (int key = 0; key < 2; key++)
		if (p->rounds > 1)
			index_unlink(&p->index, &p->round[before].version[key]);
	memset(p->round[before].version, 0, sizeof(p->round[before].version));
	memset(p->round[before].commit, 0, sizeof(struct commit));
	return p->wrong;
}

static void publications_are_seen_whole(void **state)
{
	static struct publication p;
	struct pair pair = {
		"half of a publication seen", NULL, {publication_writer, publication_reader},
		publication_forbidden,	      &p,   ROUNDS};

	for (int relaxed = 0; relaxed < 2; relaxed++) {
		uint64_t wrong;

		memset(&p, 0, sizeof(p));
		p.relaxed = relaxed;
		assert_int_equal(memory_init(&p.memory, &p.mapper, 8 << 20), 0);
		memory_cache_init(&p.cache, &p.memory);
		assert_int_equal(index_init(&p.index, &p.mapper, 64, 1), 0);
		for (int i = 0; i < 2; i++) {
			p.round[i].commit = calloc(1, sizeof(struct commit));
			assert_non_null(p.round[i].commit);
		}
		wrong = pair_run(&pair);
		assert_true(relaxed || wrong == 0);
		for (int i = 0; i < 2; i++)
			free(p.round[i].commit);
		index_fini(&p.index, &p.mapper);
		memory_fini(&p.memory, &p.mapper);
		pair.name = "control: published relaxed (" X86 ")";
	}
}

/* ck_epoch: a reader in a section, a writer that takes a block out and overwrites it. */
struct grace {
	ck_epoch_t epoch;
	ck_epoch_record_t record[2];
	_Atomic(uint64_t *) shown;
	uint64_t block[2][PAYLOAD], rounds;
	bool wait, wrong;
};

static void grace_before(void *arg)
{
	struct grace *g = arg;
	uint64_t *block = g->block[++g->rounds & 1];

	for (int i = 0; i < PAYLOAD; i++)
		block[i] = g->rounds;
	atomic_store(&g->shown, block);
}

static void grace_reader(void *arg)
{
	struct grace *g = arg;
	const volatile uint64_t *block;

	g->wrong = false;
	ck_epoch_begin(&g->record[0], NULL);
	block = atomic_load_explicit(&g->shown, memory_order_acquire);
	for (int i = 0; block && i < PAYLOAD; i++)
		g->wrong |= block[i] == UINT64_MAX;
	ck_epoch_end(&g->record[0], NULL);
}

static void grace_writer(void *arg)
{
	struct grace *g = arg;
	uint64_t *block = atomic_load_explicit(&g->shown, memory_order_relaxed);

	atomic_store_explicit(&g->shown, NULL, memory_order_release);
	if (g->wait)
		ck_epoch_synchronize(&g->record[1]);
	for (int i = 0; i < PAYLOAD; i++)
		((volatile uint64_t *)block)[i] = UINT64_MAX;
}

static bool grace_forbidden(void *arg)
{
	return ((struct grace *)arg)->wrong;
}

static void blocks_stay_while_they_are_read(void **state)
{
	static struct grace g;
	struct pair pair = {"a block freed under its reader",
			    grace_before,
			    {grace_reader, grace_writer},
			    grace_forbidden,
			    &g,
			    ROUNDS};

	ck_epoch_init(&g.epoch);
	for (int i = 0; i < 2; i++)
		ck_epoch_register(&g.epoch, &g.record[i], NULL);
	g.wait = true;
	assert_int_equal(pair_run(&pair), 0);
	g.wait = false;
	pair.name = "control: no grace period";
	pair_run(&pair);
}

/* shelf.c I3: held, or taken off, never both. */
struct holding {
	struct shelf *shelf;
	uint32_t number;
	_Atomic bool closed;
	bool wrong;
	struct cell readers, leaving; /* the control's two words */
};

static void holding_close(struct logdev *dev, int handle);
static const struct logdev_ops holding_ops = {.close = holding_close};
static struct holding holding;
static struct logdev holding_dev = {.ops = &holding_ops};

static void holding_close(struct logdev *dev, int handle)
{
	atomic_store(&holding.closed, true);
}

static void holding_before(void *arg)
{
	struct holding *h = arg;
	struct shelf_segment segment = {.segment = ++h->number, .dev = &holding_dev};

	atomic_store(&h->closed, false);
	atomic_store(&h->readers.value, 0);
	atomic_store(&h->leaving.value, 0);
	h->wrong = false;
	if (h->shelf && shelf_add(h->shelf, &segment))
		abort();
}

static void holding_reader(void *arg)
{
	struct holding *h = arg;
	struct shelf_segment segment;

	if (shelf_hold(h->shelf, 0, h->number, &segment))
		return;
	h->wrong = atomic_load_explicit(&h->closed, memory_order_relaxed);
	shelf_give(h->shelf, 0, h->number);
}

static void holding_keeper(void *arg)
{
	struct holding *h = arg;

	shelf_remove(h->shelf, 0, h->number);
	while (!shelf_gone(h->shelf, 0, h->number))
		;
}

static void split_reader(void *arg)
{
	struct holding *h = arg;

	atomic_store_explicit(&h->readers.value, 1, memory_order_relaxed);
	atomic_signal_fence(memory_order_seq_cst);
	h->wrong = !atomic_load_explicit(&h->leaving.value, memory_order_relaxed);
}

static void split_keeper(void *arg)
{
	struct holding *h = arg;

	atomic_store_explicit(&h->leaving.value, 1, memory_order_relaxed);
	atomic_signal_fence(memory_order_seq_cst);
	if (!atomic_load_explicit(&h->readers.value, memory_order_relaxed))
		atomic_store_explicit(&h->closed, true, memory_order_relaxed);
}

static bool holding_forbidden(void *arg)
{
	return ((struct holding *)arg)->wrong;
}

static bool split_forbidden(void *arg)
{
	struct holding *h = arg;

	return h->wrong && atomic_load(&h->closed);
}

static void held_segments_stay_open(void **state)
{
	struct pair pair = {"a segment closed while it is held",
			    holding_before,
			    {holding_reader, holding_keeper},
			    holding_forbidden,
			    &holding,
			    ROUNDS};

	assert_int_equal(shelf_create(&holding.shelf, 0, 0), 0);
	assert_int_equal(pair_run(&pair), 0);
	shelf_destroy(holding.shelf);
	holding.shelf = NULL;
	pair = (struct pair){"control: count and state in two words, without a fence",
			     holding_before,
			     {split_reader, split_keeper},
			     split_forbidden,
			     &holding,
			     ROUNDS};
	pair_run(&pair);
}

/* cache.h: two workers bring the same value in; one of them does, and the other takes that one. */
struct bringing {
	struct version version;
	uint8_t block[2][64];
	const uint8_t *got[2];
	bool won[2], wrong[2], exchange;
	uint64_t rounds;
};

static void bringing_before(void *arg)
{
	struct bringing *b = arg;

	b->rounds++;
	b->wrong[0] = b->wrong[1] = false;
	atomic_store(&b->version.value, NULL);
}

static inline void bringing_side(struct bringing *b, int self)
{
	const uint8_t *there = NULL;
	uint8_t *block = b->block[self];

	memset(block, (int)(b->rounds & 0xff), 64);
	if (b->exchange) {
		b->won[self] = atomic_compare_exchange_strong(&b->version.value, &there, block);
	} else {
		there = version_value(&b->version);
		b->won[self] = !there;
		if (!there)
			atomic_store(&b->version.value, block);
	}
	b->got[self] = b->won[self] ? block : there;
	for (int i = 63; i >= 0; i--)
		b->wrong[self] |= b->got[self][i] != (b->rounds & 0xff);
}

static void bringing_a(void *arg)
{
	bringing_side(arg, 0);
}

static void bringing_b(void *arg)
{
	bringing_side(arg, 1);
}

static bool bringing_forbidden(void *arg)
{
	struct bringing *b = arg;

	return b->won[0] == b->won[1] || b->got[0] != b->got[1] || b->wrong[0] || b->wrong[1];
}

static void a_value_is_brought_in_once(void **state)
{
	static struct bringing b;
	struct pair pair = {"a value brought in twice",
			    bringing_before,
			    {bringing_a, bringing_b},
			    bringing_forbidden,
			    &b,
			    ROUNDS};

	b.exchange = true;
	assert_int_equal(pair_run(&pair), 0);
	b.exchange = false;
	pair.name = "control: looked and stored instead of exchanged";
	pair_run(&pair);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(store_buffering),
		cmocka_unit_test(sleeping_workers_are_woken),
		cmocka_unit_test(payloads_go_with_their_item),
		cmocka_unit_test(publications_are_seen_whole),
		cmocka_unit_test(blocks_stay_while_they_are_read),
		cmocka_unit_test(held_segments_stay_open),
		cmocka_unit_test(a_value_is_brought_in_once),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
