/* SPDX-License-Identifier: Apache-2.0 */
/* core_model.c - see core_model.h. */
#include "tests/sim/core_model.h"

#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "dataplane/core/bytes.h"
#include "dataplane/core/node_impl.h"
#include "dataplane/core/record.h"

void sim_fail(const struct sim *s, const char *what)
{
	printf("not ok 1 - seed %" PRIu64 " step %u: %s\n", s->seed, s->step, what);
	fflush(stdout);
	signal(SIGABRT, SIG_DFL); /* all is said */
	abort();
}

uint32_t below(struct sim *s, uint32_t n)
{
	s->random ^= s->random << 13;
	s->random ^= s->random >> 7;
	s->random ^= s->random << 17;
	return (uint32_t)((s->random >> 16) % n);
}

static struct vnum vnum_max(struct vnum a, struct vnum b)
{
	return vnum_less(a, b) ? b : a;
}

void value_make(uint8_t *value, uint32_t *bytes, uint32_t writer, uint32_t key, uint32_t token)
{
	*bytes = 12 + (writer * 31 + key * 7 + token * 97) % (VALUE_BYTES_MAX - 12);
	store_le32(value, writer);
	store_le32(value + 4, key);
	store_le32(value + 8, token);
	for (uint32_t i = 12; i < *bytes; i++)
		value[i] = (uint8_t)(writer + key + token + i);
}

/* P1 for the pair: what `c` read of `key` does not contradict that it read from `writer`. */
static void check_pair(struct sim *s, const struct client *c, const struct client *writer)
{
	for (uint32_t k = 0; k < KEYS; k++) {
		const struct mine *m = &c->key[k];

		if (!m->read || !writer->key[k].wrote)
			continue;
		CHECK(s, !vnum_less(m->none ? m->buried : m->number, writer->number),
		      "P1: fractured read");
	}
}

static struct client *writer_of(struct sim *s, struct vnum number)
{
	for (uint32_t i = 0; i < s->clients; i++)
		if (s->client[i].fate == COMMITTED && vnum_equal(s->client[i].number, number))
			return &s->client[i];
	return NULL;
}

static void check_atomic(struct sim *s, const struct client *c)
{
	for (uint32_t k = 0; k < KEYS; k++) {
		const struct client *writer;

		if (!c->key[k].read || c->key[k].none)
			continue;
		writer = writer_of(s, c->key[k].number);
		CHECK(s, writer && writer->key[k].wrote, "dirty read: no such commit");
		check_pair(s, c, writer);
	}
}

static void check_value(struct sim *s, const struct reply_result *r, uint32_t key, uint32_t writer,
			uint32_t token)
{
	uint8_t value[VALUE_BYTES_MAX];
	uint32_t bytes;

	value_make(value, &bytes, writer, key, token);
	CHECK(s, r->total == bytes && r->data_bytes <= bytes, "value of another length");
	CHECK(s, memcmp(r->data, value, r->data_bytes) == 0, "value of another write");
}

static void check_first_read(struct sim *s, struct client *c, uint32_t key,
			     const struct reply_result *r)
{
	struct mine *m = &c->key[key];
	struct vnum number = {.time = r->time, .origin = r->origin};
	const struct client *writer;

	m->read = true;
	m->none = r->time == 0;
	m->number = number;
	m->buried = s->visible[key].buried;
	if (m->none) {
		CHECK(s, r->status == ABAFT_NOT_FOUND, "a value without a version");
		CHECK(s, !vnum_less(m->buried, c->begin[key]), "P8: a version went missing");
	} else {
		CHECK(s, !vnum_less(number, c->begin[key]), "R2: older than at the begin");
		writer = writer_of(s, number);
		CHECK(s, writer && writer->key[key].wrote, "dirty read");
		CHECK(s, writer->key[key].deleted == (r->status == ABAFT_NOT_FOUND), "tombstone");
		if (r->status == ABAFT_OK)
			check_value(s, r, key, (uint32_t)(writer - s->client),
				    writer->key[key].token);
	}
	check_atomic(s, c);
}

void check_get(struct sim *s, struct client *c, uint32_t key, const struct reply_result *r,
	       const struct mine *own)
{
	const struct mine *m = &c->key[key];
	struct vnum number = {.time = r->time, .origin = r->origin};

	s->reads++;
	CHECK(s, r->status == ABAFT_OK || r->status == ABAFT_NOT_FOUND, "GET failed");
	if (own->wrote) {
		CHECK(s, r->flags & ABAFT_RESULT_OWN, "P2: own write not read");
		CHECK(s, own->deleted == (r->status == ABAFT_NOT_FOUND), "P2: own delete");
		if (!own->deleted)
			check_value(s, r, key, (uint32_t)(c - s->client), own->token);
	} else if (m->read) {
		CHECK(s, vnum_equal(number, m->number), "P3: another version");
	} else {
		check_first_read(s, c, key, r);
	}
}

void model_commit(struct sim *s, struct client *c)
{
	c->fate = COMMITTED;
	s->commits++;
	for (uint32_t k = 0; k < KEYS; k++) {
		if (!c->key[k].wrote)
			continue;
		if (vnum_less(s->visible[k].number, c->number)) {
			s->visible[k].number = c->number;
			s->visible[k].writer = (uint32_t)(c - s->client);
		}
		if (c->key[k].deleted)
			s->visible[k].buried = vnum_max(s->visible[k].buried, c->number);
	}
}

void model_recover(struct sim *s)
{
	for (uint32_t i = 0; i < s->clients; i++) {
		struct client *c = &s->client[i];

		if (c->fate == LIVE || c->fate == ENDING)
			c->fate = c->fate == ENDING ? ENDING : GONE;
	}
	for (uint32_t w = 0; w < s->workers; w++)
		for (uint64_t i = 0; i < s->log[w].count; i++) {
			const struct log_fake_record *record = &s->log[w].records[i];
			struct client *c = NULL;

			for (uint32_t n = 0; n < s->clients && !c; n++)
				if (memcmp(s->client[n].id, record->data, 16) == 0)
					c = &s->client[n];
			CHECK(s, c != NULL, "a record of nobody");
			if (c->fate != ENDING)
				continue;
			c->number = (struct vnum){.time = load_le64(record->data + 16),
						  .origin = load_le32(record->data + 24)};
			if (record->type == RECORD_ABORT)
				c->fate = ABORTED;
			else
				model_commit(s, c);
		}
	for (uint32_t i = 0; i < s->clients; i++)
		if (s->client[i].fate == ENDING)
			s->client[i].fate = GONE; /* its record was lost, and nobody was told */
}

/* The first of its commit's versions that are left. */
static bool leads(const struct version *v)
{
	if (v->slot == VERSION_NO_SLOT)
		return false;
	for (uint32_t i = 0; i < v->slot; i++)
		if (atomic_load(&v->commit->key[i].lo))
			return false;
	return true;
}

void model_walk(struct sim *s, uint64_t *commits, uint64_t *live)
{
	struct memory_cache *memory = &s->node[0]->memory;
	uint64_t cursor = 0, before = memory->bytes_used;
	const struct version *v;
	const struct key *key;

	*commits = 0;
	*live = 0;
	while ((key = index_walk(&s->store->index, &cursor, UINT64_MAX)))
		for (v = atomic_load(&key->newest); v; v = atomic_load(&v->older)) {
			*live += space_bytes(key->bytes, v->bytes);
			if (leads(v)) {
				uint32_t bytes = commit_bytes(v->commit->keys);
				void *block = memory_alloc(memory, bytes);

				*commits += memory->bytes_used - before;
				memory_free(memory, block, bytes);
			}
		}
}
