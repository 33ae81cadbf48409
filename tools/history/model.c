// SPDX-License-Identifier: Apache-2.0
/*
 * model.c - histories in memory: what reading, resolving and judging them share.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "tools/history/model.h"

struct check *check_create(uint32_t witnesses_max)
{
	struct check *check = calloc(1, sizeof(*check));

	if (check)
		check->witnesses_max = witnesses_max;
	return check;
}

void check_destroy(struct check *check)
{
	if (!check)
		return;
	check_names_free(&check->keys);
	check_names_free(&check->txn_ids);
	check_names_free(&check->clients);
	for (uint32_t i = 0; i < check->file_count; i++)
		free(check->files[i]);
	free(check->ops);
	free(check->parts);
	free(check->finals.data);
	free(check->declared.data);
	free(check->txns);
	free(check->part_order);
	free(check->writes);
	free(check->key);
	free(check->links.data);
	free(check->heirs.data);
	free(check->clashes.data);
	free(check->effects.data);
	free(check->updates.data);
	free(check->installs.data);
	free(check->witnesses.data);
	free(check->steps.data);
	free(check);
}

int check_list_add(struct check_list *list, const void *record, size_t size)
{
	if (check_grow(&list->data, &list->cap, list->count + 1, size))
		return -ENOMEM;
	memcpy((char *)list->data + list->count++ * size, record, size);
	return 0;
}

int check_version_compare(struct abaft_version a, struct abaft_version b)
{
	if (a.time != b.time)
		return a.time < b.time ? -1 : 1;
	return a.origin == b.origin ? 0 : a.origin < b.origin ? -1 : 1;
}

int check_number_compare(struct tag_number a, struct tag_number b)
{
	if (a.step != b.step)
		return a.step < b.step ? -1 : 1;
	if (a.attempt != b.attempt)
		return a.attempt < b.attempt ? -1 : 1;
	return a.seq == b.seq ? 0 : a.seq < b.seq ? -1 : 1;
}

bool check_delete_explains(const struct check *check, uint32_t key, struct abaft_version version)
{
	const struct check_key *k = &check->key[key];

	return k->deleted_unversioned ||
	       (k->deleted_max.time && check_version_compare(k->deleted_max, version) > 0);
}

const struct check_write *check_write_of(const struct check *check, uint32_t txn, uint32_t key)
{
	const struct check_txn *t = &check->txns[txn];
	uint32_t low = t->writes_at, high = t->writes_at + t->writes_count;

	while (low < high) {
		uint32_t middle = low + (high - low) / 2;

		if (check->writes[middle].key == key)
			return &check->writes[middle];
		if (check->writes[middle].key < key)
			low = middle + 1;
		else
			high = middle;
	}
	return NULL;
}

const struct check_part *check_part_of(const struct check *check, uint32_t op)
{
	size_t low = 0, high = check->parts_count;

	/* Lines are in the order of their operations: the first that begins behind it. */
	while (low < high) {
		size_t middle = low + (high - low) / 2;

		if (check->parts[middle].ops_at <= op)
			low = middle + 1;
		else
			high = middle;
	}
	if (low == 0 || op >= check->parts[low - 1].ops_at + check->parts[low - 1].ops_count)
		return NULL;
	return &check->parts[low - 1];
}

void check_mark(struct check *check, enum check_kind kind, uint32_t txn)
{
	uint32_t bit = 1u << kind;

	if (txn != CHECK_NONE && check->txns[txn].found & bit)
		return;
	if (txn != CHECK_NONE)
		check->txns[txn].found |= bit;
	check->transactions[kind]++;
}

int check_found(struct check *check, enum check_kind kind, const struct check_witness *witness)
{
	check->pairs[kind]++;
	check_mark(check, kind, witness->txn);
	if (check->kept[kind] == check->witnesses_max)
		return 0;
	check->kept[kind]++;
	return check_list_add(&check->witnesses, witness, sizeof(*witness));
}
