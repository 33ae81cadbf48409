// SPDX-License-Identifier: Apache-2.0
/*
 * judge.c - judges, first each transaction (execute.c), then what needs all histories together: the
 * final state against acknowledged commits, effects seen twice, updates lost, circles (cycle.c).
 */
#include <errno.h>
#include <stdlib.h>

#include "tools/history/model.h"

enum verdict { KEPT, LOST, UNJUDGED };

/* Does the final state hold this acknowledged write, or something newer? */
static enum verdict judge_commit(const struct check *check, uint32_t number,
				 const struct check_write *write)
{
	const struct check_txn *txn = &check->txns[number];
	const struct check_op *op = &check->ops[check->key[write->key].final];
	const struct check_txn *other;

	if (op->misplaced) /* counted as such */
		return UNJUDGED;
	if (op->seen == HISTORY_SEEN_NONE && op->version.time == 0)
		return write->deleted || check_delete_explains(check, write->key, txn->version)
			       ? KEPT
			       : LOST;
	if (op->version.time && txn->version.time)
		return check_version_compare(op->version, txn->version) < 0 ? LOST : KEPT;
	if (op->seen != HISTORY_SEEN_TAGGED)
		return UNJUDGED;
	if (op->writer == number)
		return write->deleted ? LOST : KEPT;
	/* Without versions: lost if the other was over before this one began. */
	other = &check->txns[op->writer];
	if (other->fate == CHECK_UNSEEN || txn->commit_from_us == 0)
		return UNJUDGED;
	return other->end_us < txn->start_us ? LOST : KEPT;
}

static int judge_final_state(struct check *check)
{
	const uint32_t *finals = check->finals.data;

	for (size_t i = 0; i < check->finals.count; i++)
		check->key[check->ops[finals[i]].key].final = finals[i];
	if (check->finals.count == 0)
		return 0;
	for (uint32_t i = 0; i < check->txn_ids.count; i++) {
		const struct check_txn *txn = &check->txns[i];

		for (uint32_t j = 0; txn->fate == CHECK_COMMITTED && j < txn->writes_count; j++) {
			const struct check_write *write = &check->writes[txn->writes_at + j];
			uint32_t final = check->key[write->key].final;
			struct check_witness witness = {CHECK_lost_commit,
							i,
							check->part_order[txn->parts_at],
							CHECK_NONE,
							{final, CHECK_NONE},
							write->key};
			enum verdict verdict =
				final == CHECK_NONE ? UNJUDGED : judge_commit(check, i, write);

			check->commits_judged += verdict != UNJUDGED;
			check->commits_unjudged += verdict == UNJUDGED;
			if (verdict == LOST && check_found(check, CHECK_lost_commit, &witness))
				return -ENOMEM;
		}
	}
	return 0;
}

static int effect_compare(const void *a, const void *b)
{
	const struct check_effect *x = a, *y = b;

	if (x->txn != y->txn)
		return x->txn < y->txn ? -1 : 1;
	if (x->step != y->step)
		return x->step < y->step ? -1 : 1;
	if (x->attempt != y->attempt)
		return x->attempt < y->attempt ? -1 : 1;
	return check_version_compare(x->version, y->version);
}

/* Versions that acknowledgements told. */
static int add_acknowledged(struct check *check)
{
	for (uint32_t i = 0; i < check->parts_count; i++) {
		const struct check_part *part = &check->parts[i];
		struct check_effect effect = {.txn = part->txn,
					      .step = CHECK_NONE,
					      .op = CHECK_NONE,
					      .version = part->version};

		if (part->version.time && check_list_add(&check->effects, &effect, sizeof(effect)))
			return -ENOMEM;
	}
	return 0;
}

/* The same step of a request seen from two attempts, or the same transaction at two versions. */
static int judge_effects(struct check *check)
{
	const struct check_effect *effect;

	if (add_acknowledged(check))
		return -ENOMEM;
	effect = check->effects.data;
	if (check->effects.count == 0)
		return 0;
	qsort(check->effects.data, check->effects.count, sizeof(*effect), effect_compare);
	for (size_t i = 1; i < check->effects.count; i++) {
		struct check_witness witness = {
			CHECK_duplicate_effect,		  effect[i].txn, CHECK_NONE, effect[i].txn,
			{effect[i - 1].op, effect[i].op}, CHECK_NONE};

		if (effect[i].txn == effect[i - 1].txn && effect[i].step == effect[i - 1].step &&
		    effect_compare(&effect[i], &effect[i - 1]) != 0 &&
		    check_found(check, CHECK_duplicate_effect, &witness))
			return -ENOMEM;
	}
	return 0;
}

/* What lists tell at once, and appends inside of them that never committed. */
static int judge_lists(struct check *check)
{
	const struct check_clash *clash = check->clashes.data;
	const struct check_link *link = check->links.data;
	int err = 0;

	for (size_t i = 0; !err && i < check->clashes.count; i++) {
		const struct check_part *part = check_part_of(check, clash[i].op[1]);
		struct check_witness witness = {clash[i].kind,
						clash[i].txn != CHECK_NONE ? clash[i].txn
									   : part->txn,
						CHECK_NONE,
						CHECK_NONE,
						{clash[i].op[0], clash[i].op[1]},
						CHECK_NONE};

		err = check_found(check, (enum check_kind)clash[i].kind, &witness);
	}
	for (size_t i = 0; !err && i < check->links.count; i++) {
		struct check_witness witness = {
			CHECK_aborted_read,	  CHECK_NONE, CHECK_NONE, link[i].parent,
			{link[i].op, CHECK_NONE}, CHECK_NONE};

		if (!link[i].list || check->txns[link[i].parent].fate != CHECK_DROPPED)
			continue;
		witness.txn = check_part_of(check, link[i].op)->txn;
		err = check_found(check, CHECK_aborted_read, &witness);
	}
	return err;
}

static int update_compare(const void *a, const void *b)
{
	const struct check_update *x = a, *y = b;
	int number = check_number_compare(x->number, y->number);

	if (x->key != y->key)
		return x->key < y->key ? -1 : 1;
	if (x->writer != y->writer)
		return x->writer < y->writer ? -1 : 1;
	if (number)
		return number;
	return x->txn == y->txn ? 0 : x->txn < y->txn ? -1 : 1;
}

static int judge_updates(struct check *check)
{
	const struct check_update *update = check->updates.data;

	if (check->updates.count == 0)
		return 0;
	qsort(check->updates.data, check->updates.count, sizeof(*update), update_compare);
	for (size_t i = 1; i < check->updates.count; i++) {
		struct check_witness witness = {CHECK_lost_update,
						update[i].txn,
						CHECK_NONE,
						update[i - 1].txn,
						{update[i - 1].op, update[i].op},
						CHECK_NONE};

		if (update[i].key != update[i - 1].key || update[i].txn == update[i - 1].txn ||
		    update[i].writer != update[i - 1].writer ||
		    check_number_compare(update[i].number, update[i - 1].number) != 0)
			continue;
		check_mark(check, CHECK_lost_update, update[i - 1].txn); /* both show it */
		if (check_found(check, CHECK_lost_update, &witness))
			return -ENOMEM;
	}
	return 0;
}

int check_judge(struct check *check)
{
	int err = check_resolve(check);

	for (size_t i = 0; i < check->ops_count; i++) {
		check->reads += check->ops[i].kind == 'r';
		check->changes += check->ops[i].kind != 'r';
	}
	check->reads -= check->finals.count;
	if (!err)
		err = check_lineage(check);
	if (!err)
		err = check_executions(check);
	if (!err)
		err = judge_lists(check);
	if (!err)
		err = judge_final_state(check);
	if (!err)
		err = judge_effects(check);
	if (!err)
		err = judge_updates(check);
	return err ? err : check_cycles(check);
}
