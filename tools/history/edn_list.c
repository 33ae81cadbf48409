// SPDX-License-Identifier: Apache-2.0
/*
 * edn_list.c - in which order lists were appended to; see edn_list.h. Linear in the text of all
 * reads.
 */
#include "tools/history/edn_list.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

struct list {
	struct edn_form key;
	uint32_t appender;    /* transaction + 1 that appended to it last, as they are read */
	uint32_t longest;     /* read + 1 */
	uint32_t longest_len; /* its elements */
};

struct list_read {
	uint32_t list, op;
	struct edn_form value;
};

int edn_lists_note(struct edn_lists *lists, const struct edn_form *key)
{
	struct list list = {.key = *key};
	uint32_t number;
	int err = check_names_add(&lists->names, key->all, key->all_len, &number);

	if (err || number < lists->lists.count)
		return err;
	return check_list_add(&lists->lists, &list, sizeof(list));
}

int edn_lists_find(struct edn_lists *lists, const struct edn_form *key, uint32_t *number)
{
	int err = check_names_add(&lists->names, key->all, key->all_len, number);

	if (*number >= lists->lists.count)
		*number = CHECK_NONE;
	return err;
}

void edn_lists_append(struct edn_lists *lists, uint32_t number, uint32_t transaction)
{
	((struct list *)lists->lists.data)[number].appender = transaction + 1;
}

int edn_lists_read(struct edn_lists *lists, uint32_t number, uint32_t transaction,
		   const struct edn_form *value, uint32_t op)
{
	struct list *list = (struct list *)lists->lists.data + number;
	struct list_read read = {number, op, *value};
	struct edn edn = edn_inside(value);
	struct edn_form element;
	const char *why;
	uint32_t len = 0;

	if (list->appender == transaction + 1)
		return 0;
	while (!edn_next(&edn, &element, &why) && element.kind != EDN_NONE)
		len++;
	if (check_list_add(&lists->reads, &read, sizeof(read)))
		return -ENOMEM;
	if (!list->longest || len > list->longest_len) {
		list->longest = (uint32_t)lists->reads.count;
		list->longest_len = len;
	}
	return 0;
}

/* Whether the one begins the other. */
static bool begins(const struct list_read *shorter, const struct list_read *longer)
{
	struct edn a = edn_inside(&shorter->value), b = edn_inside(&longer->value);
	struct edn_form x, y;
	const char *why;

	while (!edn_next(&a, &x, &why) && x.kind != EDN_NONE)
		if (edn_next(&b, &y, &why) || x.all_len != y.all_len ||
		    memcmp(x.all, y.all, x.all_len) != 0)
			return false;
	return true;
}

/* Each element of the longest list comes after the one before it. */
static int link_elements(const struct list *list, const struct list_read *read, struct check *check,
			 edn_list_who *who, void *arg)
{
	struct edn edn = edn_inside(&read->value);
	struct check_names seen = {0};
	uint32_t before = CHECK_NONE, number, count = 0;
	struct edn_form element;
	const char *why;
	int err = 0;

	while (!err && !edn_next(&edn, &element, &why) && element.kind != EDN_NONE) {
		struct check_link link = {check->ops[read->op].key, CHECK_NONE, before, read->op,
					  true};
		struct check_clash clash = {
			CHECK_duplicate_effect, CHECK_NONE, {read->op, read->op}};

		err = who(arg, &list->key, &element, &link.txn);
		if (!err)
			err = check_names_add(&seen, element.all, element.all_len, &number);
		clash.txn = link.txn;
		if (!err && number < count && link.txn != CHECK_NONE)
			err = check_list_add(&check->clashes, &clash, sizeof(clash));
		if (!err && before != CHECK_NONE && link.txn != CHECK_NONE && link.txn != before)
			err = check_list_add(&check->links, &link, sizeof(link));
		before = link.txn;
		count = seen.count;
	}
	check_names_free(&seen);
	return err;
}

int edn_lists_settle(struct edn_lists *lists, struct check *check, edn_list_who *who, void *arg)
{
	const struct list *list = lists->lists.data;
	const struct list_read *read = lists->reads.data;
	int err = 0;

	for (size_t i = 0; !err && i < lists->reads.count; i++) {
		const struct list_read *longest = &read[list[read[i].list].longest - 1];
		struct check_clash clash = {
			CHECK_incompatible_order, CHECK_NONE, {longest->op, read[i].op}};

		if (!begins(&read[i], longest))
			err = check_list_add(&check->clashes, &clash, sizeof(clash));
	}
	for (size_t i = 0; !err && i < lists->lists.count; i++)
		if (list[i].longest)
			err = link_elements(&list[i], &read[list[i].longest - 1], check, who, arg);
	return err;
}

void edn_lists_free(struct edn_lists *lists)
{
	check_names_free(&lists->names);
	free(lists->lists.data);
	free(lists->reads.data);
}
