// SPDX-License-Identifier: Apache-2.0
/*
 * order.c - in which order each key was written, and what depends on what by it.
 *
 * I1. Only transactions that certainly committed take part: acknowledged ones, and writers whose
 *     value one of these (or the final state) read. Of the latter only what was read counts as
 *     written, and none of their reads: what else they did may never have happened.
 * I2. The order of a key's writes is that of their versions if any of them has one; writes of that
 *     key without one are not judged. A version that readers saw counts beside the commit's own.
 * I3. Without versions it is by time: a write is after another if that one was over before it was
 *     issued. It was over when its transaction issued its next write, or ended. Which of two that
 *     overlap was first is not known, and not judged.
 * I4. Without either it is by lineage (lineage.c): a write is after the value that its own
 *     transaction had read before, or after the element before it in a list.
 * I5. Edges are as few as operations: by version from each write to the next; by time to each write
 *     from the one that was over last before it.
 */
#include <errno.h>
#include <stdlib.h>

#include "tools/history/model.h"

/* A write of a key that took effect. */
struct place {
	uint32_t key, txn;
	struct abaft_version version;
	uint64_t from_us, until_us;
};

struct ordering {
	const struct check *check;
	struct check_list *edges;
	struct check_list places; /* struct place */
	uint64_t unjudged;
	const struct place **by_end; /* I3, of one key */
	size_t by_end_cap;
};

static int place_compare(const void *a, const void *b)
{
	const struct place *x = a, *y = b;
	int version = check_version_compare(x->version, y->version);

	if (x->key != y->key)
		return x->key < y->key ? -1 : 1;
	if (version)
		return version;
	if (x->from_us != y->from_us)
		return x->from_us < y->from_us ? -1 : 1;
	return x->txn == y->txn ? 0 : x->txn < y->txn ? -1 : 1;
}

static int end_compare(const void *a, const void *b)
{
	const struct place *x = *(const struct place *const *)a;
	const struct place *y = *(const struct place *const *)b;

	if (x->until_us != y->until_us)
		return x->until_us < y->until_us ? -1 : 1;
	return x < y ? -1 : x > y;
}

/* Whether a read tells of a write that took effect: the writer's last to the key. */
static bool tells(const struct check *check, const struct check_op *op)
{
	const struct check_write *last;

	if (op->kind != 'r' || op->writer == CHECK_NONE || op->misplaced ||
	    check->txns[op->writer].fate == CHECK_DROPPED)
		return false;
	if (!check->txns[op->writer].certain)
		return true;
	last = check_write_of(check, op->writer, op->key);
	return last && !last->deleted && check_number_compare(last->number, op->number) == 0;
}

/* Until when the change at `at` of a part may have taken effect (I3). */
static uint64_t over_at(const struct check *check, const struct check_part *part, uint32_t at)
{
	uint64_t from_us = check->ops[part->ops_at + at].time_us;

	for (uint32_t i = at + 1; i < part->ops_count; i++) {
		const struct check_op *next = &check->ops[part->ops_at + i];

		if (next->kind != 'r' && next->time_us >= from_us)
			return next->time_us;
	}
	return part->end_us > from_us ? part->end_us : from_us;
}

static int add_read_place(struct ordering *o, const struct check_op *op)
{
	const struct check_txn *writer;
	struct place place = {op->key, op->writer, op->version, op->time_us, UINT64_MAX};

	if (!tells(o->check, op))
		return 0;
	writer = &o->check->txns[op->writer];
	if (writer->certain &&
	    (op->version.time == 0 || check_version_compare(op->version, writer->version) == 0))
		return 0; /* its own line told the same */
	return check_list_add(&o->places, &place, sizeof(place));
}

/* What one line wrote, and what its reads tell of others' writes. */
static int add_part_places(struct ordering *o, const struct check_part *part)
{
	const struct check *check = o->check;
	int err = 0;

	for (uint32_t i = 0; !err && i < part->ops_count; i++) {
		const struct check_op *op = &check->ops[part->ops_at + i];
		const struct check_write *last;
		struct place place = {op->key, part->txn, check->txns[part->txn].version,
				      op->time_us, 0};

		if (op->kind == 'r') {
			err = add_read_place(o, op);
			continue;
		}
		last = check_write_of(check, part->txn, op->key);
		if (!last || check_number_compare(last->number, op->number) != 0)
			continue;
		place.until_us = over_at(check, part, i);
		err = check_list_add(&o->places, &place, sizeof(place));
	}
	return err;
}

/* Of transactions that committed, but nobody knows in which attempt. */
static int add_uncertain_places(struct ordering *o, uint32_t txn)
{
	const struct check_txn *t = &o->check->txns[txn];
	int err = 0;

	for (uint32_t i = 0; !err && i < t->writes_count; i++) {
		const struct check_write *write = &o->check->writes[t->writes_at + i];
		struct place place = {write->key, txn, t->version, write->time_us, UINT64_MAX};

		err = check_list_add(&o->places, &place, sizeof(place));
	}
	return err;
}

static int find_places(struct ordering *o)
{
	const struct check *check = o->check;
	const uint32_t *finals = check->finals.data;
	int err = 0;

	for (uint32_t i = 0; !err && i < check->parts_count; i++)
		if (check->parts[i].effective)
			err = add_part_places(o, &check->parts[i]);
	for (uint32_t i = 0; !err && i < check->txn_ids.count; i++)
		if (check->txns[i].fate == CHECK_COMMITTED && !check->txns[i].certain)
			err = add_uncertain_places(o, i);
	for (size_t i = 0; !err && i < check->finals.count; i++)
		err = add_read_place(o, &check->ops[finals[i]]);
	if (!err && o->places.count)
		qsort(o->places.data, o->places.count, sizeof(struct place), place_compare);
	return err;
}

static int add_overwrite(struct ordering *o, const struct place *from, const struct place *to)
{
	struct check_edge edge = {.from = from->txn,
				  .to = to->txn,
				  .key = to->key,
				  .kind = CHECK_OVERWRITES,
				  .op = CHECK_NONE,
				  .version = {from->version, to->version},
				  .time_us = {from->from_us, to->from_us}};

	if (from->txn == to->txn)
		return 0;
	return check_list_add(o->edges, &edge, sizeof(edge));
}

/* I2. Those without a version stand in front. */
static int order_by_version(struct ordering *o, const struct place *place, size_t count)
{
	int err = 0;

	o->unjudged += place[0].version.time == 0;
	for (size_t i = 1; !err && i < count; i++) {
		if (place[i].version.time == 0)
			o->unjudged++;
		else if (place[i - 1].version.time &&
			 check_version_compare(place[i - 1].version, place[i].version) < 0)
			err = add_overwrite(o, &place[i - 1], &place[i]);
	}
	return err;
}

/* I3. */
static int order_by_time(struct ordering *o, const struct place *place, size_t count)
{
	const struct place *before = NULL;
	size_t over = 0;
	int err = check_grow((void **)&o->by_end, &o->by_end_cap, count, sizeof(*o->by_end));

	if (err)
		return err;
	for (size_t i = 0; i < count; i++)
		o->by_end[i] = &place[i];
	qsort(o->by_end, count, sizeof(*o->by_end), end_compare);
	for (size_t i = 0; !err && i < count; i++) {
		if (place[i].from_us == 0) {
			o->unjudged += !check_lineage_knows(o->check, place[i].key, place[i].txn);
			continue;
		}
		for (; o->by_end[over]->until_us < place[i].from_us; over++)
			if (o->by_end[over]->from_us)
				before = o->by_end[over];
		if (before)
			err = add_overwrite(o, before, &place[i]);
	}
	return err;
}

static int order_keys(struct ordering *o)
{
	const struct place *place = o->places.data;
	int err = 0;

	for (size_t i = 0, end; !err && i < o->places.count; i = end) {
		for (end = i + 1; end < o->places.count && place[end].key == place[i].key; end++)
			;
		err = place[end - 1].version.time ? order_by_version(o, &place[i], end - i)
						  : order_by_time(o, &place[i], end - i);
	}
	return err;
}

/* I4. */
static int add_links(struct ordering *o)
{
	const struct check *check = o->check;
	const struct check_link *link = check->links.data;
	int err = 0;

	for (size_t i = 0; !err && i < check->links.count; i++) {
		struct check_edge edge = {.from = link[i].parent,
					  .to = link[i].txn,
					  .key = link[i].key,
					  .kind = CHECK_OVERWRITES,
					  .op = link[i].op};

		if (check->txns[edge.from].fate != CHECK_DROPPED &&
		    check->txns[edge.to].fate != CHECK_DROPPED &&
		    (link[i].list || tells(check, &check->ops[link[i].op])))
			err = check_list_add(o->edges, &edge, sizeof(edge));
	}
	return err;
}

/* What an acknowledged transaction read. */
static int add_reads(struct ordering *o, const struct check_part *part)
{
	const struct check *check = o->check;
	int err = 0;

	for (uint32_t i = 0; !err && i < part->ops_count; i++) {
		const struct check_op *op = &check->ops[part->ops_at + i];
		struct check_edge edge = {.from = op->writer,
					  .to = part->txn,
					  .key = op->key,
					  .kind = CHECK_READS_FROM,
					  .op = part->ops_at + i};

		if (!tells(check, op) || op->writer == part->txn)
			continue;
		err = check_list_add(o->edges, &edge, sizeof(edge));
	}
	return err;
}

int check_dependencies(const struct check *check, struct check_list *edges, uint64_t *unjudged)
{
	struct ordering o = {.check = check, .edges = edges};
	int err = find_places(&o);

	if (!err)
		err = order_keys(&o);
	if (!err)
		err = add_links(&o);
	for (uint32_t i = 0; !err && i < check->parts_count; i++)
		if (check->parts[i].effective)
			err = add_reads(&o, &check->parts[i]);
	*unjudged = o.unjudged;
	free(o.places.data);
	free(o.by_end);
	return err;
}
