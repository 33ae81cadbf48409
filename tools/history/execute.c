// SPDX-License-Identifier: Apache-2.0
/*
 * execute.c - runs through what each transaction did, in order, and holds its reads against
 * what their writers did.
 *
 * I1. An execution is one whole line, or the last attempts of all steps; an earlier attempt of a
 *     step is run after the steps before it, and then only what it did itself counts.
 * I2. Reading x from T and y from anyone is fractured if T wrote y too and the y that was read is
 *     older than T's. "Older" is decided by versions where both are known. Where they are not (a
 *     store without versions) by the times of the two writes of y as their tags tell them; if T's
 *     write of y is not known exactly, its tag on x stands for it (as in the AFT paper).
 */
#include <errno.h>
#include <stdlib.h>

#include "tools/history/model.h"

/* A read of another's value, unlike the one before it of the same key. */
struct observation {
	uint32_t op;
	uint32_t part;	 /* number of the line, or CHECK_NONE */
	uint32_t before; /* observation + 1 of the same key */
	bool counts;	 /* I1 */
};

struct step {
	uint32_t op, part;
	bool counts;
};

struct execution {
	struct check *check;
	uint32_t txn; /* CHECK_NONE: the final state */
	struct step *steps;
	size_t count, cap;
	struct observation *seen;
	size_t seen_count, seen_cap;
	bool fractured;
};

static int found(struct execution *run, enum check_kind kind, const struct step *step,
		 uint32_t first, uint32_t second, uint32_t other)
{
	struct check_witness witness = {.kind = kind,
					.txn = run->txn,
					.part = step->part,
					.other = other,
					.op = {first, second},
					.key = CHECK_NONE};

	if (!step->counts)
		return 0;
	if (run->txn == CHECK_NONE) /* of the final state: the writer is who suffers */
		witness.txn = other;
	return check_found(run->check, kind, &witness);
}

static struct check_key *key_of(struct execution *run, uint32_t key)
{
	struct check_key *k = &run->check->key[key];

	if (k->epoch != run->check->epoch) {
		k->epoch = run->check->epoch;
		k->own = k->seen = 0;
	}
	return k;
}

static bool same_result(const struct check_op *a, const struct check_op *b)
{
	return a->seen == b->seen && a->writer == b->writer &&
	       check_number_compare(a->number, b->number) == 0 &&
	       check_version_compare(a->version, b->version) == 0;
}

/* Whether the earlier step that wrote this has a line, so that its absence means something. */
static bool step_told(const struct execution *run, uint32_t step)
{
	for (size_t i = 0; i < run->count; i++) {
		const struct check_part *part = &run->check->parts[run->steps[i].part];

		if (part->whole || part->step == step)
			return true;
	}
	return false;
}

/* Its own value, though it wrote none to this key before (in the lines there are). */
static int judge_own_stray(struct execution *run, const struct step *step)
{
	const struct check_op *op = &run->check->ops[step->op];
	const struct check_part *part = &run->check->parts[step->part];
	bool retry = part->whole || part->step == op->number.step;

	if (retry && op->number.attempt < part->attempt)
		return found(run, CHECK_duplicate_effect, step, step->op, CHECK_NONE, run->txn);
	if (!step_told(run, op->number.step)) {
		run->check->reads_unjudged += step->counts;
		return 0;
	}
	return found(run, CHECK_read_your_writes, step, CHECK_NONE, step->op, CHECK_NONE);
}

static int judge_own(struct execution *run, const struct step *step, uint32_t own)
{
	const struct check_op *op = &run->check->ops[step->op];
	const struct check_op *write = &run->check->ops[own];

	if (write->kind == 'd' && op->seen == HISTORY_SEEN_NONE)
		return 0;
	if (write->kind == 'w' && op->writer == run->txn &&
	    check_number_compare(op->number, write->number) == 0)
		return 0;
	/* A value too short for a tag cannot be judged. */
	if (write->kind == 'w' && op->seen == HISTORY_SEEN_UNTAGGED) {
		run->check->reads_unjudged += step->counts;
		return 0;
	}
	return found(run, CHECK_read_your_writes, step, own, step->op, CHECK_NONE);
}

static int observe(struct execution *run, const struct step *step)
{
	const struct check_op *op = &run->check->ops[step->op];
	struct check_key *key = key_of(run, op->key);
	struct observation seen = {step->op, step->part, key->seen, step->counts};

	if (key->seen) {
		const struct observation *last = &run->seen[key->seen - 1];

		if (same_result(&run->check->ops[last->op], op))
			return 0;
		if (found(run, CHECK_repeatable_read, step, last->op, step->op, CHECK_NONE))
			return -ENOMEM;
	}
	if (check_grow((void **)&run->seen, &run->seen_cap, run->seen_count + 1,
		       sizeof(*run->seen)))
		return -ENOMEM;
	run->seen[run->seen_count++] = seen;
	key->seen = (uint32_t)run->seen_count;
	return 0;
}

/* First pass: own writes, repeated reads; gathers the observations. */
static int run_through(struct execution *run)
{
	struct check *check = run->check;

	check->epoch++;
	run->seen_count = 0;
	run->fractured = false;
	for (size_t i = 0; i < run->count; i++) {
		const struct step *step = &run->steps[i];
		const struct check_op *op = &check->ops[step->op];
		struct check_key *key = key_of(run, op->key);
		int err = 0;

		if (op->kind != 'r') {
			key->own = step->op + 1;
			continue;
		}
		if (op->misplaced)
			err = found(run, CHECK_misplaced_value, step, step->op, CHECK_NONE,
				    op->writer);
		else if (key->own)
			err = judge_own(run, step, key->own - 1);
		else if (op->writer == run->txn && op->writer != CHECK_NONE)
			err = judge_own_stray(run, step);
		else
			err = observe(run, step);
		if (err)
			return err;
	}
	return 0;
}

/* Whether an operation with this number is among those that took effect. */
static bool took_effect(const struct check *check, uint32_t txn, const struct check_op *op)
{
	const struct check_txn *t = &check->txns[txn];

	for (uint32_t i = 0; i < t->parts_count; i++) {
		const struct check_part *part = &check->parts[check->part_order[t->parts_at + i]];

		if (part->whole && part->outcome != HISTORY_COMMITTED)
			continue;
		for (uint32_t j = 0; j < part->ops_count; j++) {
			const struct check_op *other = &check->ops[part->ops_at + j];

			if (other->kind == 'w' && other->key == op->key &&
			    check_number_compare(other->number, op->number) == 0)
				return part->whole || i + 1 == t->parts_count ||
				       check->parts[check->part_order[t->parts_at + i + 1]].step !=
					       part->step;
		}
	}
	return false;
}

/* Did the value's writer commit it, and before it was read? */
static int judge_source(struct execution *run, const struct observation *seen)
{
	struct check *check = run->check;
	const struct check_op *op = &check->ops[seen->op];
	const struct step step = {seen->op, seen->part, seen->counts};
	const struct check_txn *writer = &check->txns[op->writer];
	const struct check_write *last = check_write_of(check, op->writer, op->key);
	uint64_t read_us = seen->part == CHECK_NONE ? UINT64_MAX : check->parts[seen->part].end_us;

	if (writer->fate == CHECK_DROPPED)
		return found(run, CHECK_aborted_read, &step, seen->op, CHECK_NONE, op->writer);
	if (writer->fate != CHECK_COMMITTED)
		return 0;
	if (read_us < writer->commit_from_us &&
	    found(run, CHECK_dirty_read, &step, seen->op, CHECK_NONE, op->writer))
		return -ENOMEM;
	if (!writer->certain ||
	    (last && !last->deleted && check_number_compare(last->number, op->number) == 0))
		return 0;
	return found(run,
		     took_effect(check, op->writer, op) ? CHECK_intermediate_read
							: CHECK_aborted_read,
		     &step, seen->op, CHECK_NONE, op->writer);
}

/* Whether what op read of a key is older than the write of `writer`, whose value `by` read. */
static bool older(const struct check *check, const struct check_op *op,
		  const struct check_write *write, const struct check_op *by)
{
	struct abaft_version version =
		by->version.time ? by->version : check->txns[by->writer].version;
	uint64_t write_us = write->time_us;

	if (op->seen == HISTORY_SEEN_NONE && op->version.time == 0)
		return !write->deleted && !check_delete_explains(check, op->key, version);
	if (op->version.time && version.time)
		return check_version_compare(op->version, version) < 0;
	if (op->seen != HISTORY_SEEN_TAGGED)
		return false;
	if (op->time_us == 0)
		return check_lineage_older(check, op->key, op->writer, by->writer);
	/* An earlier attempt may have written y before: only the tag on x is sure then. */
	if (write_us == 0 ||
	    (write->number.attempt != 0 && (write->number.step != by->number.step ||
					    write->number.attempt != by->number.attempt)))
		write_us = by->time_us;
	return op->time_us < write_us;
}

/* Every other read of a key that the writer of this value wrote too. */
static int judge_pairs(struct execution *run, uint32_t at)
{
	struct check *check = run->check;
	const struct observation *seen = &run->seen[at];
	const struct check_op *by = &check->ops[seen->op];
	const struct check_txn *writer = &check->txns[by->writer];

	for (uint32_t i = 0; i < writer->writes_count; i++) {
		const struct check_write *write = &check->writes[writer->writes_at + i];
		uint32_t next = write->key == by->key ? 0 : key_of(run, write->key)->seen;

		for (; next; next = run->seen[next - 1].before) {
			const struct observation *other = &run->seen[next - 1];
			const struct check_op *op = &check->ops[other->op];
			bool forward = next - 1 > at;
			const struct observation *later = forward ? other : seen;
			struct step step = {later->op, later->part, later->counts};

			check->pairs_judged += step.counts;
			if (op->writer == by->writer || !older(check, op, write, by))
				continue;
			run->fractured = true;
			if (found(run,
				  run->txn == CHECK_NONE ? CHECK_partial_commit
				  : forward		 ? CHECK_fractured_forward
							 : CHECK_fractured_backward,
				  &step, forward ? seen->op : other->op,
				  forward ? other->op : seen->op, by->writer))
				return -ENOMEM;
		}
	}
	return 0;
}

/* The value was seen: check_judge() finds out whether the same request was seen twice. */
static int note_effect(struct check *check, uint32_t number)
{
	const struct check_op *op = &check->ops[number];
	struct check_effect effect = {.txn = op->writer,
				      .step = op->number.step,
				      .attempt = op->number.attempt,
				      .op = number};
	int err = check_list_add(&check->effects, &effect, sizeof(effect));

	if (err || op->version.time == 0)
		return err;
	effect.step = CHECK_NONE;
	effect.attempt = 0;
	effect.version = op->version;
	return check_list_add(&check->effects, &effect, sizeof(effect));
}

/* Second pass. */
static int judge_observations(struct execution *run)
{
	for (uint32_t i = 0; i < run->seen_count; i++) {
		const struct check_op *op = &run->check->ops[run->seen[i].op];

		if (op->seen == HISTORY_SEEN_NONE)
			continue;
		if (op->writer == CHECK_NONE || run->check->txns[op->writer].fate == CHECK_UNSEEN)
			run->check->reads_unjudged += run->seen[i].counts;
		if (op->writer == CHECK_NONE)
			continue;
		if (judge_source(run, &run->seen[i]) || judge_pairs(run, i) ||
		    note_effect(run->check, run->seen[i].op))
			return -ENOMEM;
	}
	return 0;
}

/* Informational: what snapshots or serializability would forbid. */
static int note_updates(struct execution *run)
{
	struct check *check = run->check;

	for (size_t i = 0; i < run->seen_count; i++) {
		const struct check_op *op = &check->ops[run->seen[i].op];
		struct check_update update = {op->key, op->writer, run->txn, run->seen[i].op,
					      op->number};

		if (key_of(run, op->key)->own && op->seen != HISTORY_SEEN_UNTAGGED &&
		    check_list_add(&check->updates, &update, sizeof(update)))
			return -ENOMEM;
	}
	return 0;
}

static bool install_after(const struct check *check, uint32_t key, struct abaft_version from,
			  struct abaft_version to)
{
	const struct check_install *install = check->installs.data;
	size_t low = 0, high = check->installs.count;

	while (low < high) { /* the first beyond (key, from) */
		size_t middle = low + (high - low) / 2;

		if (install[middle].key < key ||
		    (install[middle].key == key &&
		     check_version_compare(install[middle].version, from) <= 0))
			low = middle + 1;
		else
			high = middle;
	}
	return low < check->installs.count && install[low].key == key &&
	       check_version_compare(install[low].version, to) <= 0;
}

/* A read whose value had been replaced when the newest value that was read appeared. */
static int judge_skew(struct execution *run)
{
	struct check *check = run->check;
	uint32_t newest = CHECK_NONE;

	for (uint32_t i = 0; i < run->seen_count; i++)
		if (newest == CHECK_NONE ||
		    check_version_compare(check->ops[run->seen[i].op].version,
					  check->ops[run->seen[newest].op].version) > 0)
			newest = i;
	for (uint32_t i = 0; newest != CHECK_NONE && i < run->seen_count; i++) {
		const struct check_op *op = &check->ops[run->seen[i].op];
		const struct check_op *top = &check->ops[run->seen[newest].op];
		const struct step step = {run->seen[i].op, run->seen[i].part, run->seen[i].counts};

		if (i == newest || op->seen == HISTORY_SEEN_UNTAGGED ||
		    (op->seen == HISTORY_SEEN_TAGGED && op->version.time == 0) ||
		    (op->version.time == 0 && check_delete_explains(check, op->key, op->version)) ||
		    !install_after(check, op->key, op->version, top->version))
			continue;
		if (found(run, CHECK_read_skew, &step, run->seen[i].op, run->seen[newest].op,
			  CHECK_NONE))
			return -ENOMEM;
	}
	return 0;
}

static int add_part(struct execution *run, uint32_t number, bool counts)
{
	const struct check_part *part = &run->check->parts[number];

	if (check_grow((void **)&run->steps, &run->cap, run->count + part->ops_count,
		       sizeof(*run->steps)))
		return -ENOMEM;
	for (uint32_t i = 0; i < part->ops_count; i++)
		run->steps[run->count++] = (struct step){part->ops_at + i, number, counts};
	return 0;
}

static int judge(struct execution *run, bool effective)
{
	struct check *check = run->check;
	int err = run_through(run);

	if (!err)
		err = judge_observations(run);
	if (!err && effective && check->txns[run->txn].fate == CHECK_COMMITTED)
		err = note_updates(run);
	if (!err && effective && !run->fractured)
		err = judge_skew(run);
	return err;
}

/* Whether the i-th part of a transaction is the last attempt of its step. */
static bool last_attempt(const struct check *check, const struct check_txn *txn, uint32_t i)
{
	const uint32_t *order = &check->part_order[txn->parts_at];

	return i + 1 == txn->parts_count ||
	       check->parts[order[i + 1]].step != check->parts[order[i]].step;
}

/* The steps before `end`, then `end` itself, unless it is parts_count. */
static int judge_steps(struct execution *run, const struct check_txn *txn, uint32_t from,
		       uint32_t end)
{
	const struct check *check = run->check;
	const uint32_t *order = &check->part_order[txn->parts_at];
	bool all = end == txn->parts_count;
	int err = 0;

	run->count = 0;
	for (uint32_t i = from; !err && i < end; i++)
		if (last_attempt(check, txn, i) &&
		    (all || check->parts[order[i]].step < check->parts[order[end]].step))
			err = add_part(run, order[i], all);
	if (!err && !all)
		err = add_part(run, order[end], true);
	return err ? err : judge(run, all);
}

static int judge_txn(struct execution *run, uint32_t number)
{
	const struct check *check = run->check;
	const struct check_txn *txn = &check->txns[number];
	const uint32_t *order = &check->part_order[txn->parts_at];
	uint32_t i;
	int err = 0;

	run->txn = number;
	for (i = 0; !err && i < txn->parts_count && check->parts[order[i]].whole; i++) {
		run->count = 0;
		err = add_part(run, order[i], true);
		if (!err)
			err = judge(run, check->parts[order[i]].outcome == HISTORY_COMMITTED);
	}
	if (err || i == txn->parts_count)
		return err;
	err = judge_steps(run, txn, i, txn->parts_count);
	for (uint32_t j = i; !err && j < txn->parts_count; j++)
		if (!last_attempt(check, txn, j))
			err = judge_steps(run, txn, i, j);
	return err;
}

int check_executions(struct check *check)
{
	const uint32_t *finals = check->finals.data;
	struct execution run = {.check = check};
	int err = 0;

	for (uint32_t i = 0; !err && i < check->txn_ids.count; i++)
		if (check->txns[i].parts_count)
			err = judge_txn(&run, i);
	run.txn = CHECK_NONE;
	run.count = 0;
	if (!err)
		err = check_grow((void **)&run.steps, &run.cap, check->finals.count + 1,
				 sizeof(*run.steps));
	for (size_t i = 0; !err && i < check->finals.count; i++)
		run.steps[run.count++] = (struct step){finals[i], CHECK_NONE, true};
	if (!err)
		err = run_through(&run);
	if (!err)
		err = judge_observations(&run);
	free(run.steps);
	free(run.seen);
	return err;
}
