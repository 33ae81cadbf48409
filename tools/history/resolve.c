// SPDX-License-Identifier: Apache-2.0
/*
 * resolve.c - what became of each transaction, and what it wrote.
 *
 * Of a transaction with several attempts, the operations that took effect are: those of the whole
 * line that was acknowledged; or, if its steps have lines of their own, those of each step's last
 * attempt. If that is not known (no acknowledgement came), only keys that every attempt wrote count
 * as written by it, so that nothing is called an anomaly that need not be one.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "tools/history/model.h"

/* Parts by transaction; within one whole lines first, then by step and attempt. */
static int part_compare(const void *a, const void *b, void *arg)
{
	const struct check_part *parts = arg;
	const struct check_part *x = &parts[*(const uint32_t *)a];
	const struct check_part *y = &parts[*(const uint32_t *)b];

	if (x->txn != y->txn)
		return x->txn < y->txn ? -1 : 1;
	if (x->whole != y->whole)
		return x->whole ? -1 : 1;
	if (x->step != y->step)
		return x->step < y->step ? -1 : 1;
	if (x->attempt != y->attempt)
		return x->attempt < y->attempt ? -1 : 1;
	/* Twice the same: by time, so that the order of lines and files says nothing. */
	if (x->end_us != y->end_us)
		return x->end_us < y->end_us ? -1 : 1;
	return x < y ? -1 : 1;
}

static int order_parts(struct check *check)
{
	check->txns = calloc(check->txn_ids.count + 1ul, sizeof(*check->txns));
	check->key = calloc(check->keys.count + 1ul, sizeof(*check->key));
	check->part_order = calloc(check->parts_count + 1, sizeof(*check->part_order));
	if (!check->txns || !check->key || !check->part_order)
		return -ENOMEM;
	for (uint32_t i = 0; i < check->keys.count; i++)
		check->key[i].final = CHECK_NONE;
	for (uint32_t i = 0; i < check->parts_count; i++)
		check->part_order[i] = i;
	qsort_r(check->part_order, check->parts_count, sizeof(*check->part_order), part_compare,
		check->parts);
	for (uint32_t i = 0; i < check->parts_count; i++) {
		struct check_txn *txn = &check->txns[check->parts[check->part_order[i]].txn];

		if (txn->parts_count++ == 0)
			txn->parts_at = i;
	}
	return 0;
}

/* Fate, times and version, from the lines alone. */
static void tell_fate(struct check *check, struct check_txn *txn)
{
	bool outcome[HISTORY_OUTCOMES] = {false};
	uint64_t commit_from_us = UINT64_MAX;

	txn->start_us = UINT64_MAX;
	for (uint32_t i = 0; i < txn->parts_count; i++) {
		const struct check_part *part = &check->parts[check->part_order[txn->parts_at + i]];

		outcome[part->outcome] = true;
		if (part->start_us < txn->start_us)
			txn->start_us = part->start_us;
		if (part->end_us > txn->end_us)
			txn->end_us = part->end_us;
		if (part->version.time) {
			txn->version = part->version;
			txn->told = true;
		}
		if ((part->outcome == HISTORY_COMMITTED || part->outcome == HISTORY_UNKNOWN) &&
		    part->start_us < commit_from_us)
			commit_from_us = part->start_us;
	}
	if (outcome[HISTORY_COMMITTED] || outcome[HISTORY_REPEATED])
		txn->fate = CHECK_COMMITTED;
	else if (outcome[HISTORY_ABORTED])
		txn->fate = CHECK_DROPPED;
	else if (outcome[HISTORY_UNKNOWN] || outcome[HISTORY_OPEN])
		txn->fate = CHECK_UNDECIDED;
	else
		txn->fate = CHECK_DROPPED;
	/* Of the lines that are not known to have taken effect it may be any, or one never written:
	 * it may have committed at any time. */
	if (outcome[HISTORY_REPEATED] && !outcome[HISTORY_COMMITTED])
		commit_from_us = 0;
	txn->commit_from_us = commit_from_us == UINT64_MAX ? 0 : commit_from_us;
}

/* Which lines hold the operations that took effect: marks them, returns how many may. */
static uint32_t choose_parts(const struct check *check, struct check_txn *txn, bool chosen[])
{
	const uint32_t *order = &check->part_order[txn->parts_at];
	bool whole = check->parts[order[0]].whole;
	uint32_t count = 0, last = CHECK_NONE;

	memset(chosen, 0, txn->parts_count * sizeof(*chosen));
	if (!whole) {
		txn->certain = txn->fate == CHECK_COMMITTED;
		for (uint32_t i = 0; i < txn->parts_count; i++) {
			const struct check_part *part = &check->parts[order[i]];

			chosen[i] = i + 1 == txn->parts_count ||
				    check->parts[order[i + 1]].step != part->step;
			if (part->outcome == HISTORY_REPEATED)
				txn->certain = false;
		}
		return 1;
	}
	for (uint32_t i = 0; i < txn->parts_count && check->parts[order[i]].whole; i++)
		if (check->parts[order[i]].outcome == HISTORY_COMMITTED)
			last = i;
	if (last != CHECK_NONE) {
		chosen[last] = txn->certain = true;
		return 1;
	}
	for (uint32_t i = 0; i < txn->parts_count && check->parts[order[i]].whole; i++) {
		enum history_outcome outcome = check->parts[order[i]].outcome;

		chosen[i] = txn->fate == CHECK_DROPPED || outcome == HISTORY_UNKNOWN ||
			    outcome == HISTORY_OPEN;
		count += chosen[i];
	}
	for (uint32_t i = 0; count == 0 && i < txn->parts_count; i++)
		chosen[i] = check->parts[order[i]].outcome == HISTORY_REPEATED;
	return txn->fate == CHECK_DROPPED ? 1 : count ? count : 1;
}

struct change {
	uint32_t key, part, order;
	struct check_write write;
};

static int change_compare(const void *a, const void *b)
{
	const struct change *x = a, *y = b;

	if (x->key != y->key)
		return x->key < y->key ? -1 : 1;
	return x->order < y->order ? -1 : 1;
}

/* From the changes in order, the last of each key that `need` parts agree on. */
static int keep_last(struct check *check, struct check_txn *txn, struct check_list *changes,
		     uint32_t need)
{
	const struct change *change = changes->data;

	if (changes->count == 0)
		return 0;
	qsort(changes->data, changes->count, sizeof(*change), change_compare);
	if (check_grow((void **)&check->writes, &check->writes_cap,
		       check->writes_count + changes->count, sizeof(*check->writes)))
		return -ENOMEM;
	for (size_t i = 0; i < changes->count;) {
		uint32_t parts = 1, key = change[i].key;

		for (i++; i < changes->count && change[i].key == key; i++)
			parts += change[i].part != change[i - 1].part;
		if (need > 1 && parts < need)
			continue;
		check->writes[check->writes_count++] = change[i - 1].write;
		txn->writes_count++;
	}
	return 0;
}

/* Effective writes of a transaction that has lines. */
static int collect_writes(struct check *check, struct check_txn *txn, struct check_list *changes,
			  bool chosen[])
{
	uint32_t need = choose_parts(check, txn, chosen);

	changes->count = 0;
	txn->writes_at = (uint32_t)check->writes_count;
	for (uint32_t i = 0; i < txn->parts_count; i++) {
		struct check_part *part = &check->parts[check->part_order[txn->parts_at + i]];

		part->effective = chosen[i] && txn->certain;
		for (uint32_t j = 0; chosen[i] && j < part->ops_count; j++) {
			const struct check_op *op = &check->ops[part->ops_at + j];
			struct change change = {
				op->key,
				i,
				(uint32_t)changes->count,
				{op->key, op->kind == 'd', op->number, op->time_us}};

			if (op->kind != 'r' && check_list_add(changes, &change, sizeof(change)))
				return -ENOMEM;
		}
	}
	return keep_last(check, txn, changes, need);
}

static int declared_compare(const void *a, const void *b)
{
	const struct check_declared *x = a, *y = b;

	if (x->txn != y->txn)
		return x->txn < y->txn ? -1 : 1;
	return x->key == y->key ? 0 : x->key < y->key ? -1 : 1;
}

/* What the tags of its values say a transaction meant to write, where its lines do not tell for
 * certain: more than they know if it died. */
static int collect_declared(struct check *check)
{
	const struct check_declared *declared = check->declared.data;
	struct check_txn *txn = NULL;

	if (check->declared.count == 0)
		return 0;
	qsort(check->declared.data, check->declared.count, sizeof(*declared), declared_compare);
	if (check_grow((void **)&check->writes, &check->writes_cap,
		       check->writes_count + check->declared.count, sizeof(*check->writes)))
		return -ENOMEM;
	for (size_t i = 0; i < check->declared.count; i++) {
		if (i == 0 || declared[i].txn != declared[i - 1].txn) {
			txn = &check->txns[declared[i].txn];
			if (txn->certain)
				continue;
			txn->writes_at = (uint32_t)check->writes_count;
			txn->writes_count = 0;
		} else if (declared[i].key == declared[i - 1].key) {
			continue;
		}
		if (txn->certain)
			continue;
		check->writes[check->writes_count++] = (struct check_write){.key = declared[i].key};
		txn->writes_count++;
	}
	return 0;
}

/* Versions of transactions whose lines do not tell, from the reads of their values: the first, if
 * these disagree. */
static void learn_versions(struct check *check)
{
	for (size_t i = 0; i < check->ops_count; i++) {
		const struct check_op *op = &check->ops[i];
		struct check_txn *writer;

		if (op->kind != 'r' || op->writer == CHECK_NONE || op->version.time == 0)
			continue;
		writer = &check->txns[op->writer];
		if (!writer->told && (writer->version.time == 0 ||
				      check_version_compare(op->version, writer->version) < 0))
			writer->version = op->version;
	}
}

static int install_compare(const void *a, const void *b)
{
	const struct check_install *x = a, *y = b;

	if (x->key != y->key)
		return x->key < y->key ? -1 : 1;
	return check_version_compare(x->version, y->version);
}

/* When each key changed, by version: for what is only informational. */
static int collect_installs(struct check *check)
{
	for (uint32_t i = 0; i < check->txn_ids.count; i++) {
		const struct check_txn *txn = &check->txns[i];

		if (txn->version.time == 0 || txn->fate == CHECK_DROPPED)
			continue;
		for (uint32_t j = 0; j < txn->writes_count; j++) {
			struct check_install install = {check->writes[txn->writes_at + j].key,
							txn->version};

			if (check_list_add(&check->installs, &install, sizeof(install)))
				return -ENOMEM;
		}
	}
	if (check->installs.count)
		qsort(check->installs.data, check->installs.count, sizeof(struct check_install),
		      install_compare);
	return 0;
}

static void note_deletes(struct check *check)
{
	for (uint32_t i = 0; i < check->parts_count; i++) {
		const struct check_part *part = &check->parts[i];
		const struct check_txn *txn = &check->txns[part->txn];

		for (uint32_t j = 0; txn->fate != CHECK_DROPPED && j < part->ops_count; j++) {
			const struct check_op *op = &check->ops[part->ops_at + j];
			struct check_key *key = &check->key[op->key];

			if (op->kind != 'd')
				continue;
			if (txn->version.time == 0)
				key->deleted_unversioned = true;
			else if (check_version_compare(txn->version, key->deleted_max) > 0)
				key->deleted_max = txn->version;
		}
	}
}

int check_resolve(struct check *check)
{
	struct check_list changes = {0};
	bool *chosen = calloc(check->parts_count + 1, sizeof(*chosen));
	int err = chosen ? order_parts(check) : -ENOMEM;

	for (uint32_t i = 0; !err && i < check->txn_ids.count; i++) {
		struct check_txn *txn = &check->txns[i];

		if (txn->parts_count == 0)
			continue;
		tell_fate(check, txn);
		err = collect_writes(check, txn, &changes, chosen);
	}
	if (!err)
		err = collect_declared(check);
	free(chosen);
	free(changes.data);
	if (err)
		return err;
	learn_versions(check);
	note_deletes(check);
	for (uint32_t i = 0; i < check->txn_ids.count; i++)
		check->fates[check->txns[i].fate]++;
	return collect_installs(check);
}
