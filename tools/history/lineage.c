// SPDX-License-Identifier: Apache-2.0
/*
 * lineage.c - which write of a key came after which, where neither versions nor times tell: from
 * transactions that wrote what they had read before, and from lists (edn_list.h).
 *
 * I1. check->links lead from a write to the one it came after: its parent. With them the writes of
 *     a key are trees (or rows); a write that has several parents keeps the first.
 * I2. A write is older than another if it is among its ancestors: if the other's place lies within
 *     its own, in the order in which a walk enters and leaves them. Walks do not recurse.
 * I3. What goes in a circle hangs on no root, is never entered, and older than nothing.
 */
#include <errno.h>
#include <stdlib.h>

#include "tools/history/model.h"

/* A read of another's value that tells neither version nor time. */
static bool tells_nothing_else(const struct check_op *op, uint32_t reader)
{
	return op->kind == 'r' && op->writer != CHECK_NONE && op->writer != reader &&
	       !op->misplaced && op->version.time == 0 && op->time_us == 0;
}

/* Such reads of keys that the line then wrote: from its end to its beginning, marking what is
 * written behind. Most lines have none. */
static int link_part(struct check *check, const struct check_part *part)
{
	/* A history may have no operation at all. */
	const struct check_op *ops = check->ops ? check->ops + part->ops_at : NULL;
	uint32_t i = part->ops_count;
	bool any = false;
	int err = 0;

	for (uint32_t j = 0; j < part->ops_count && !any; j++)
		any = tells_nothing_else(&ops[j], part->txn);
	check->epoch++;
	while (any && !err && i-- > 0) {
		struct check_link link = {ops[i].key, part->txn, ops[i].writer, part->ops_at + i,
					  false};

		if (ops[i].kind != 'r')
			check->key[ops[i].key].epoch = check->epoch;
		else if (tells_nothing_else(&ops[i], part->txn) &&
			 check->key[ops[i].key].epoch == check->epoch)
			err = check_list_add(&check->links, &link, sizeof(link));
	}
	return err;
}

static int heir_compare(const void *a, const void *b)
{
	const struct check_heir *x = a, *y = b;

	if (x->key != y->key)
		return x->key < y->key ? -1 : 1;
	return x->txn == y->txn ? 0 : x->txn < y->txn ? -1 : 1;
}

static struct check_heir *find(const struct check *check, uint32_t key, uint32_t txn)
{
	struct check_heir wanted = {.key = key, .txn = txn};

	if (check->heirs.count == 0)
		return NULL;
	return bsearch(&wanted, check->heirs.data, check->heirs.count, sizeof(wanted),
		       heir_compare);
}

/* Every end of a link once, in order. */
static int collect_heirs(struct check *check)
{
	const struct check_link *link = check->links.data;
	struct check_heir *heir;
	size_t count = 0;

	for (size_t i = 0; i < check->links.count; i++) {
		struct check_heir child = {.key = link[i].key, .txn = link[i].txn};
		struct check_heir parent = {.key = link[i].key, .txn = link[i].parent};

		if (check_list_add(&check->heirs, &child, sizeof(child)) ||
		    check_list_add(&check->heirs, &parent, sizeof(parent)))
			return -ENOMEM;
	}
	heir = check->heirs.data;
	if (check->heirs.count)
		qsort(heir, check->heirs.count, sizeof(*heir), heir_compare);
	for (size_t i = 0; i < check->heirs.count; i++)
		if (i == 0 || heir_compare(&heir[count - 1], &heir[i]) != 0)
			heir[count++] = heir[i];
	check->heirs.count = count;
	for (size_t i = 0; i < count; i++)
		heir[i].parent = heir[i].child = heir[i].sibling = CHECK_NONE;
	return 0;
}

static void hang_up(struct check *check)
{
	const struct check_link *link = check->links.data;
	struct check_heir *heir = check->heirs.data;

	for (size_t i = 0; i < check->links.count; i++) {
		struct check_heir *child = find(check, link[i].key, link[i].txn);
		struct check_heir *parent = find(check, link[i].key, link[i].parent);

		if (child->parent != CHECK_NONE)
			continue;
		child->parent = (uint32_t)(parent - heir);
		child->sibling = parent->child;
		parent->child = (uint32_t)(child - heir);
	}
}

/* I2: one tree. */
static void walk(struct check_heir *heir, uint32_t root, uint32_t *count)
{
	uint32_t at = root;

	heir[at].enter = ++*count;
	for (;;) {
		if (heir[at].child != CHECK_NONE && heir[at].leave == 0) {
			at = heir[at].child;
			heir[at].enter = ++*count;
			continue;
		}
		heir[at].leave = ++*count;
		if (at == root)
			return;
		if (heir[at].sibling != CHECK_NONE) {
			at = heir[at].sibling;
			heir[at].enter = ++*count;
			continue;
		}
		at = heir[at].parent;
		heir[at].leave = *count; /* all its children are done */
	}
}

int check_lineage(struct check *check)
{
	struct check_heir *heir;
	uint32_t count = 0;
	int err = 0;

	for (uint32_t i = 0; !err && i < check->parts_count; i++)
		if (check->parts[i].effective)
			err = link_part(check, &check->parts[i]);
	if (!err)
		err = collect_heirs(check);
	if (err)
		return err;
	hang_up(check);
	heir = check->heirs.data;
	for (uint32_t i = 0; i < check->heirs.count; i++)
		if (heir[i].parent == CHECK_NONE)
			walk(heir, i, &count);
	return 0;
}

bool check_lineage_knows(const struct check *check, uint32_t key, uint32_t txn)
{
	return find(check, key, txn) != NULL;
}

bool check_lineage_older(const struct check *check, uint32_t key, uint32_t old, uint32_t young)
{
	const struct check_heir *a = find(check, key, old), *b = find(check, key, young);

	return a && b && a != b && a->enter && b->enter && a->enter < b->enter &&
	       b->leave <= a->leave;
}
