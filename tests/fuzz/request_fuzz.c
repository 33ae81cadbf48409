/* SPDX-License-Identifier: Apache-2.0 */
/*
 * request_fuzz.c - a node of two workers under a sequence of commands made from the input: packets
 * (some damaged, some raw bytes, some twice), time, logs that become durable or refuse, values that
 * leave memory, crashes.
 *
 * After each packet the answer must be well-formed, the counters add up, and a model judges it
 * (request_model.h: own writes, atomic and repeatable reads, exactly once). A restart must bring
 * back exactly what was visible, which is what the model says. In the end everything expires, every
 * key is deleted, and not a byte of memory may be in use.
 */
#include <assert.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "dataplane/core/crc.h"
#include "tests/fuzz/request_model.h"
#include "tests/lib/node_bed.h"

#define WORKERS	     2
#define IDS	     8
#define KEYS_MAX     64
#define COMMANDS_MAX 256
#define RESTARTS_MAX 3
#define ANSWERS	     64 /* more than transactions there can be */

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

struct input {
	const uint8_t *at, *end;
};

struct waiting {
	struct bed_answer answer;
	bool waits;
};

struct fuzz {
	struct bed bed;
	struct model *model;
	uint32_t values; /* made so far: each is another one */
	uint8_t *last;	 /* the request before, if nothing came since; and its answer */
	uint32_t last_bytes, last_worker;
	struct bed_answer last_answer;
	struct input in;
	uint8_t id[WORKERS][IDS][16];
	uint64_t instance[WORKERS][IDS];
	struct waiting waiting[ANSWERS];
	uint32_t restarts;
};

/* What a key shows: copied, as a restart frees the store. */
struct shown {
	uint8_t key[ABAFT_KEY_BYTES_MAX];
	uint32_t key_bytes, bytes;
	struct vnum number;
	uint64_t sum;
};

/* The store's memory, the same for each input: giving pages back is the quickest way to zero them,
 * and an input is over in less time than it takes to clear tables. */
#define ARENA_BYTES (128u << 20)

static struct {
	uint8_t *base;
	uint64_t used, blocks;
} arena;

static void *map(uint64_t bytes)
{
	void *block;

	if (!arena.base) {
		uint8_t *p = mmap(NULL, ARENA_BYTES + MAPPER_ALIGN, PROT_READ | PROT_WRITE,
				  MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

		assert(p != MAP_FAILED);
		arena.base = p + (MAPPER_ALIGN - (uintptr_t)p % MAPPER_ALIGN);
	}
	if (arena.used + bytes > ARENA_BYTES)
		return NULL;
	block = arena.base + arena.used;
	arena.used += bytes;
	arena.blocks++;
	return block;
}

static void unmap(void *memory, uint64_t bytes)
{
	int err = madvise(memory, bytes, MADV_DONTNEED);

	assert(err == 0);
	if (--arena.blocks == 0)
		arena.used = 0;
}

static uint8_t u8(struct input *in)
{
	return in->at < in->end ? *in->at++ : 0;
}

static void check_counters(const struct bed *bed)
{
	for (uint32_t w = 0; w < WORKERS; w++) {
		const struct node_counters *c = bed_counters(bed, w);
		uint64_t ended = c->commits + c->commits_read_only + c->aborts + c->expired;

		assert(c->opened == ended + bed->node[w]->txns.open);
	}
}

static void check_answer(const struct bed_answer *answer)
{
	struct reply_result result;
	struct reply reply;

	assert(reply_open(&reply, answer->bytes, answer->n));
	while (reply.left > 0) {
		assert(reply_next(&reply, &result));
		assert(result.data_bytes == 0 || result.status == ABAFT_OK);
		assert(result.offset <= result.total || result.data_bytes == 0);
		assert(result.data_bytes <= result.total);
	}
	assert(reply_ended(&reply));
}

static struct waiting *place(struct fuzz *f)
{
	for (uint32_t i = 0; i < ANSWERS; i++)
		if (!f->waiting[i].waits)
			return &f->waiting[i];
	abort(); /* more commits wait than there are transactions */
}

/* Executes it; what is on disk is read at once. */
static enum node_verdict execute(struct fuzz *f, uint32_t worker, const uint8_t *bytes, uint32_t n,
				 struct bed_answer *answer)
{
	bed_send_bytes(&f->bed, worker, bytes, n, answer);
	while (answer->verdict == NODE_FETCH)
		bed_fetch(&f->bed, worker, UINT32_MAX);
	return answer->verdict;
}

static void forget_last(struct fuzz *f)
{
	free(f->last);
	f->last = NULL;
}

static void send(struct fuzz *f, uint32_t worker, const uint8_t *bytes, uint32_t n,
		 uint64_t *instance)
{
	uint8_t *copy = malloc(n ? n : 1); /* its exact size: ASan sees a step beyond */
	struct waiting *w = place(f);
	enum node_verdict verdict;

	assert(copy);
	if (n > 0)
		memcpy(copy, bytes, n);
	node_pass_begin(f->bed.node[worker], f->bed.now);
	node_ahead(f->bed.node[worker], copy, n);
	node_ahead_run(f->bed.node[worker]);
	node_pass_end(f->bed.node[worker]);
	verdict = execute(f, worker, copy, n, &w->answer);
	w->waits = verdict == NODE_WAIT;
	forget_last(f);
	if (verdict == NODE_DROP) {
		free(copy);
		return;
	}
	f->last = copy;
	f->last_bytes = n;
	f->last_worker = worker;
	f->last_answer = w->answer;
	check_answer(&w->answer);
	check_counters(&f->bed);
	model_answer(f->model, copy, n, &w->answer);
	if (instance && bed_instance(&w->answer))
		*instance = bed_instance(&w->answer);
}

/* The packet before once more: the same answer. */
static void twice_command(struct fuzz *f)
{
	struct waiting *w = place(f);

	if (!f->last)
		return;
	execute(f, f->last_worker, f->last, f->last_bytes, &w->answer);
	w->waits = w->answer.verdict == NODE_WAIT;
	assert(w->answer.verdict != NODE_DROP);
	check_answer(&w->answer);
	check_counters(&f->bed);
	model_answer(f->model, f->last, f->last_bytes, &w->answer);
	model_twice(f->model, f->last, f->last_bytes, &f->last_answer, &w->answer);
	forget_last(f);
}

static void add_op(struct fuzz *f, struct packet *p)
{
	static const uint32_t totals[] = {0, 256, 300, 1000, 5000, 100000, 1 << 20, (1 << 20) + 1};
	static const uint32_t lengths[] = {0, 1, 100, 160, 161, 255, 256, 700};
	static const char *keys[] = {"a", "b", "c", "dd", "a longer key", "f", "g", "h"};
	static uint8_t value[1024];
	uint8_t code = u8(&f->in), size = u8(&f->in);
	const char *key = keys[code >> 5];
	uint16_t key_bytes = (uint16_t)strlen(key);
	uint32_t total = totals[size & 7], offset = (size >> 3) * 256u;

	memset(value, size, sizeof(value));
	f->values++;
	memcpy(value, &f->values, sizeof(f->values));
	switch (1 + code % 9) {
	case ABAFT_OP_GET:
		packet_get(p, key, key_bytes, size & 128 ? size : 0);
		break;
	case ABAFT_OP_PUT:
		packet_put(p, key, key_bytes, value, lengths[size & 7]);
		break;
	case ABAFT_OP_DELETE:
		packet_delete(p, key, key_bytes);
		break;
	case ABAFT_OP_PUT_PART:
		packet_put_part(p, key, key_bytes, total, offset, value,
				total < offset		? 256
				: total - offset < 1024 ? total - offset
							: 1024);
		break;
	case ABAFT_OP_GET_PART:
		packet_get_part(p, key, key_bytes, offset, 0);
		break;
	case ABAFT_OP_COMMIT:
		packet_commit(p);
		break;
	case ABAFT_OP_ABORT:
		packet_abort(p);
		break;
	case ABAFT_OP_STATUS:
		packet_status(p);
		break;
	default:
		packet_info(p, offset);
		break;
	}
}

static void packet_command(struct fuzz *f)
{
	static const uint32_t deadlines[] = {0, 100, 600000, UINT32_MAX};
	static const uint16_t answers[] = {0, 512, 200, 81};
	uint8_t who = u8(&f->in), what = u8(&f->in), seq = u8(&f->in), ops = u8(&f->in);
	uint32_t worker = who & 1, i = who >> 1 & 7;
	uint64_t instance = f->instance[worker][i];
	struct packet p;

	if (who & 128) {
		bed_id(&f->bed, worker, f->id[worker][i]);
		instance = 0;
	}
	packet_begin(&p, f->id[worker][i], who & 64 ? 0 : instance, what & 3, what >> 2 & 3, seq,
		     who & 16 ? ABAFT_FLAG_OPEN : 0);
	packet_deadline(&p, deadlines[what >> 4 & 3]);
	packet_answer_max(&p, answers[what >> 6]);
	for (int n = 1 + (ops & 63) % 6; n > 0; n--)
		add_op(f, &p);
	packet_finish(&p);
	for (int n = ops >> 6; n > 0; n--) {
		uint32_t at = u8(&f->in) | (uint32_t)u8(&f->in) << 8;

		p.bytes[at % p.used] ^= u8(&f->in);
	}
	send(f, worker, p.bytes, p.used, &f->instance[worker][i]);
}

static void raw_command(struct fuzz *f)
{
	uint32_t worker = u8(&f->in) & 1, n = u8(&f->in) * 8u;

	if (n > (size_t)(f->in.end - f->in.at))
		n = (uint32_t)(f->in.end - f->in.at);
	send(f, worker, f->in.at, n, NULL);
	f->in.at += n;
}

static void durable(struct fuzz *f, uint32_t worker, uint64_t n)
{
	bed_durable(&f->bed, worker, n);
	for (uint32_t i = 0; i < ANSWERS; i++)
		if (f->waiting[i].waits && f->waiting[i].answer.told) {
			assert(f->waiting[i].answer.told == 1);
			f->waiting[i].waits = false;
			check_answer(&f->waiting[i].answer);
			model_told(f->model, &f->waiting[i].answer);
		}
	check_counters(&f->bed);
}

static void time_command(struct fuzz *f)
{
	static const uint32_t steps_us[] = {1,	    900,     5000,    20000,
					    150000, 1100000, 7000000, 40000000};

	bed_advance_us(&f->bed, steps_us[u8(&f->in) & 7]);
	for (uint32_t w = 0; w < WORKERS; w++)
		bed_tick(&f->bed, w);
	check_counters(&f->bed);
}

/* The newest visible version, if it is a value. */
static const struct version *visible(const struct key *key)
{
	const struct version *v = atomic_load(&key->newest);

	while (v && !version_published(v))
		v = atomic_load(&v->older);
	return v && v->kind == VERSION_VALUE ? v : NULL;
}

static uint32_t show_bucket(struct bucket *b, struct shown *out, uint32_t n)
{
	for (uint32_t i = 0; i < INDEX_SLOTS; i++) {
		uint64_t slot = atomic_load(&b->slot[i]);
		const struct key *key = (const void *)(uintptr_t)(slot & ((1ull << 48) - 1));
		struct version *v = key ? (struct version *)(uintptr_t)visible(key) : NULL;

		if (!v)
			continue;
		assert(n < KEYS_MAX);
		out[n] = (struct shown){
			.key_bytes = key->bytes, .bytes = v->bytes, .number = v->number};
		memcpy(out[n].key, key->data, key->bytes);
		if (version_is_large(v)) /* a restored one may be on disk only */
			out[n].sum = version_large(v)->crc;
		for (uint32_t k = 0; k < v->bytes && !version_is_large(v); k++)
			out[n].sum = out[n].sum * 31 + v->value[k];
		n++;
	}
	return n;
}

static uint32_t show(const struct bed *bed, struct shown *out)
{
	struct index *index = &bed->store->index;
	uint32_t n = 0;

	for (uint64_t i = 0; i <= index->mask; i++)
		for (struct bucket *b = &index->buckets[i]; b; b = atomic_load(&b->overflow))
			n = show_bucket(b, out, n);
	return n;
}

/* M5. */
static void check_shown(const struct fuzz *f, const struct shown *shown, uint32_t n)
{
	assert(n == model_visible(f->model));
	for (uint32_t i = 0; i < n; i++) {
		const struct shown *s = &shown[i];
		struct model_value value;
		uint64_t sum = 0;

		assert(model_newest(f->model, s->key, s->key_bytes, &value));
		assert(s->number.time == value.time && s->number.origin == value.origin);
		assert(s->bytes == value.bytes);
		if (!value.known)
			continue;
		if (value.bytes > VERSION_INLINE_BYTES)
			sum = crc32c(value.data, value.bytes);
		else
			for (uint32_t k = 0; k < value.bytes; k++)
				sum = sum * 31 + value.data[k];
		assert(s->sum == sum);
	}
}

/* A large value leaves memory: the n-th of those that are there. */
static void evict_command(struct fuzz *f, uint32_t n)
{
	struct index *index = &f->bed.store->index;
	uint64_t cursor = 0;
	struct key *key;

	while ((key = index_walk(index, &cursor, UINT64_MAX))) {
		struct version *v = (struct version *)(uintptr_t)visible(key);

		if (v && version_is_large(v) && version_value(v) && v->place != PLACE_NONE &&
		    n-- == 0) {
			bed_evict(f->bed.node[0], v);
			return;
		}
	}
}

static void restart_command(struct fuzz *f)
{
	static struct shown before[KEYS_MAX], after[KEYS_MAX];
	uint32_t n, m;
	int err;

	if (f->restarts++ >= RESTARTS_MAX)
		return;
	n = show(&f->bed, before);
	check_shown(f, before, n);
	model_crash(f->model);
	err = bed_restart(&f->bed);
	assert(err == 0);
	for (uint32_t i = 0; i < ANSWERS; i++)
		f->waiting[i].waits = false;
	m = show(&f->bed, after);
	assert(n == m);
	for (uint32_t i = 0; i < n; i++) {
		uint32_t k = 0;

		while (k < m && (after[k].key_bytes != before[i].key_bytes ||
				 memcmp(after[k].key, before[i].key, before[i].key_bytes) != 0))
			k++;
		assert(k < m);
		assert(vnum_equal(after[k].number, before[i].number));
		assert(after[k].bytes == before[i].bytes && after[k].sum == before[i].sum);
	}
}

static void delete_key(struct fuzz *f, const struct shown *s)
{
	struct bed_answer answer;
	struct packet p;
	uint8_t id[16];

	bed_id(&f->bed, 0, id);
	packet_begin(&p, id, 0, 0, 0, 0, ABAFT_FLAG_OPEN);
	packet_delete(&p, s->key, (uint16_t)s->key_bytes);
	packet_commit(&p);
	packet_finish(&p);
	bed_run(&f->bed, 0, &p, &answer);
	assert(bed_status(&answer, 1) == ABAFT_OK);
}

/* P7, P8: what is reachable is all that is in use. */
static void end(struct fuzz *f)
{
	static struct shown left[KEYS_MAX];
	uint32_t n;

	for (uint32_t w = 0; w < WORKERS; w++) {
		f->bed.log[w].busy = false;
		durable(f, w, UINT64_MAX);
	}
	bed_advance_us(&f->bed, (ABAFT_TXN_DEADLINE_MS_MAX + 1000) * 1000ull);
	bed_ticks(&f->bed, 25);
	for (uint32_t w = 0; w < WORKERS; w++)
		assert(f->bed.node[w]->txns.open == 0);
	n = show(&f->bed, left);
	check_shown(f, left, n);
	for (uint32_t i = 0; i < n; i++)
		delete_key(f, &left[i]);
	bed_ticks(&f->bed, 25);
	assert(atomic_load(&f->bed.store->index.keys) == 0);
	assert(bed_used(&f->bed) == 0);
	for (uint32_t w = 0; w < WORKERS; w++)
		memory_cache_flush(&f->bed.node[w]->memory);
	assert(f->bed.store->memory.free_span_count == f->bed.store->memory.spans_total);
	bed_close(&f->bed);
}

static void command(struct fuzz *f)
{
	uint8_t c = u8(&f->in);

	if (c % 8 == 2 && c >> 6 == 0) {
		if (c >> 3 & 1)
			evict_command(f, c >> 4 & 3);
		else
			twice_command(f);
		return;
	}
	switch (c % 8) {
	case 3:
		raw_command(f);
		return;
	case 4:
		time_command(f);
		break;
	case 5:
		durable(f, c >> 3 & 1, c & 128 ? 1 : UINT64_MAX);
		break;
	case 6:
		f->bed.log[c >> 3 & 1].busy = c & 128;
		break;
	case 7:
		restart_command(f);
		break;
	default:
		packet_command(f);
		return;
	}
	forget_last(f);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct fuzz f;

	memset(&f, 0, sizeof(f));
	f.in = (struct input){.at = data, .end = data + size};
	bed_defaults(&f.bed, WORKERS);
	f.bed.store_config.keys_max = KEYS_MAX;
	f.bed.store_config.memory_bytes = 8 << 20;
	f.bed.store_config.map = map;
	f.bed.store_config.unmap = unmap;
	f.bed.log_records = 1024;
	f.bed.log_bytes = 8 << 20;
	f.bed.config.txns_max = 16;
	f.bed.config.outcomes_max = 32;
	bed_open(&f.bed);
	f.model = model_create();
	for (uint32_t w = 0; w < WORKERS; w++)
		for (uint32_t i = 0; i < IDS; i++)
			bed_id(&f.bed, w, f.id[w][i]);
	for (uint32_t n = 0; n < COMMANDS_MAX && f.in.at < f.in.end; n++)
		command(&f);
	end(&f);
	forget_last(&f);
	model_destroy(f.model);
	return 0;
}
