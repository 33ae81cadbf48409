/* SPDX-License-Identifier: Apache-2.0 */
/*
 * edn_list.h - keys of foreign histories that are lists: [:append key element], [:r key [1 2 3]].
 *
 * A list tells the order of its writes: the longest one that was read, of each key, is the order in
 * which its elements were appended. Only reads that a transaction made before it appended to the
 * key itself take part; what it reads afterwards holds its own.
 *
 * First all appends are noted, then reads are added, then edn_lists_settle() leaves in the check
 * who came after whom (check->links) and what cannot be (check->clashes). Forms point into the
 * text, which must stay.
 */
#ifndef ABAFT_TOOLS_HISTORY_EDN_LIST_H
#define ABAFT_TOOLS_HISTORY_EDN_LIST_H

#include "tools/history/edn.h"
#include "tools/history/model.h"

/* Zero it before use. */
struct edn_lists {
	struct check_names names; /* keys as they stand; lists have the first numbers */
	struct check_list lists;
	struct check_list reads;
};

/* The transaction that appended an element to a key, CHECK_NONE if not known: 0 or a negative
 * errno. */
typedef int edn_list_who(void *arg, const struct edn_form *key, const struct edn_form *element,
			 uint32_t *txn);

/* All return 0, -ENOMEM or -E2BIG. The key is a list. */
__attribute__((warn_unused_result)) int edn_lists_note(struct edn_lists *lists,
						       const struct edn_form *key);
/* Its number, CHECK_NONE if it is none. */
__attribute__((warn_unused_result)) int
edn_lists_find(struct edn_lists *lists, const struct edn_form *key, uint32_t *number);
/* The transaction that is being read appends to it. */
void edn_lists_append(struct edn_lists *lists, uint32_t number, uint32_t transaction);
/* It reads the list; `op` is its number in check->ops. */
__attribute__((warn_unused_result)) int edn_lists_read(struct edn_lists *lists, uint32_t number,
						       uint32_t transaction,
						       const struct edn_form *value, uint32_t op);
__attribute__((warn_unused_result)) int
edn_lists_settle(struct edn_lists *lists, struct check *check, edn_list_who *who, void *arg);
void edn_lists_free(struct edn_lists *lists);

#endif
