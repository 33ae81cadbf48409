// SPDX-License-Identifier: Apache-2.0
/*
 * story.c - tells witnesses in sentences.
 *
 * Each kind has a few sentences of its own around the same three: who wrote a key, what a read of a
 * key found, what comes after what.
 */
#include "tools/history/story.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

/* Of a text inside a sentence: a key, a name, what a read found. */
#define PHRASE_MAX 320

struct phrase {
	char text[PHRASE_MAX];
};

/* What does not fit is cut. */
__attribute__((format(printf, 1, 2))) static struct phrase phrase(const char *format, ...)
{
	struct phrase made;
	va_list args;

	va_start(args, format);
	vsnprintf(made.text, sizeof(made.text), format, args);
	va_end(args);
	return made;
}

/* A sentence; what does not fit is cut. */
__attribute__((format(printf, 2, 3))) static void say(struct story *story, const char *format, ...)
{
	va_list args;

	if (story->count == STORY_STEPS_MAX)
		return;
	va_start(args, format);
	vsnprintf(story->steps[story->count], STORY_TEXT_MAX, format, args);
	va_end(args);
	if (story->steps[story->count][0] == 't')
		story->steps[story->count][0] = 'T';
	story->count++;
}

static void story_key(const struct check *check, uint32_t key, char text[STORY_TEXT_MAX])
{
	size_t bytes;
	const void *name = check_names_get(&check->keys, key, &bytes);
	ssize_t n = tag_escape(text, STORY_TEXT_MAX - 1, name, bytes < 64 ? bytes : 64);

	text[n < 0 ? 0 : n] = '\0';
}

static struct phrase key_of(const struct check *check, uint32_t key)
{
	char text[STORY_TEXT_MAX];

	story_key(check, key, text);
	return phrase("%s", text);
}

/* "T3", or "the reader of the final state". */
static struct phrase name_of(struct story *story, uint32_t txn)
{
	uint32_t n = 0;

	if (txn == CHECK_NONE)
		return phrase("the reader of the final state");
	while (n < story->txn_count && story->txns[n] != txn)
		n++;
	if (n == 2 * STORY_STEPS_MAX)
		return phrase("another transaction");
	if (n == story->txn_count)
		story->txns[story->txn_count++] = txn;
	return phrase("T%" PRIu32, n + 1);
}

/* " at version 10.1", or nothing. */
static struct phrase at_version(struct abaft_version version)
{
	if (version.time == 0)
		return phrase("%s", "");
	return phrase(" at version %" PRIu64 ".%" PRIu32, version.time, version.origin);
}

/* "operation 0.1.2": step, attempt, number. */
static struct phrase operation(struct tag_number number)
{
	return phrase("operation %u.%u.%" PRIu32, number.step, number.attempt, number.seq);
}

/* "x and found what T1 wrote (operation 0.0.1) at version 10.1" */
static struct phrase finding(const struct check *check, struct story *story, uint32_t number)
{
	const struct check_op *op = &check->ops[number];
	struct phrase key = key_of(check, op->key);

	if (op->seen == HISTORY_SEEN_TAGGED)
		return phrase("%s and found what %s wrote (%s)%s", key.text,
			      name_of(story, op->writer).text, operation(op->number).text,
			      at_version(op->version).text);
	return phrase("%s and found %s", key.text,
		      op->seen == HISTORY_SEEN_NONE ? "no value" : "a value without a tag");
}

static uint32_t reader_of(const struct check *check, uint32_t op)
{
	const struct check_part *part = check_part_of(check, op);

	return part ? part->txn : CHECK_NONE;
}

/* "T1 wrote x (operation 0.0.1) at version 10.1." if it is known. */
static void say_wrote(const struct check *check, struct story *story, uint32_t txn, uint32_t key)
{
	const struct check_write *write = check_write_of(check, txn, key);
	struct phrase who = name_of(story, txn);

	if (!write)
		return;
	if (write->number.seq == 0) /* no line tells it, a tag does */
		say(story, "%s wrote %s too, as the tag of its other value says.", who.text,
		    key_of(check, key).text);
	else
		say(story, "%s %s %s (%s)%s.", who.text, write->deleted ? "deleted" : "wrote",
		    key_of(check, key).text, operation(write->number).text,
		    at_version(check->txns[txn].version).text);
}

static void say_read(const struct check *check, struct story *story, uint32_t op, const char *then)
{
	struct phrase who = name_of(story, reader_of(check, op));

	say(story, "%s%s read %s.", who.text, then, finding(check, story, op).text);
}

static void tell_fractured(const struct check *check, const struct check_witness *witness,
			   struct story *story)
{
	bool second = check->ops[witness->op[1]].writer == witness->other;
	const struct check_op *old = &check->ops[witness->op[second ? 0 : 1]];
	const struct check_op *by = &check->ops[witness->op[second ? 1 : 0]];
	struct phrase writer, reader;

	if (old->seen == HISTORY_SEEN_TAGGED && old->writer != CHECK_NONE)
		say_wrote(check, story, old->writer, old->key);
	say_wrote(check, story, witness->other, by->key);
	say_wrote(check, story, witness->other, old->key);
	say_read(check, story, witness->op[0], "");
	say_read(check, story, witness->op[1], " then");
	writer = name_of(story, witness->other);
	reader = name_of(story, reader_of(check, witness->op[0]));
	say(story, "So %s has %s of %s, but a %s from before it: half of a transaction.",
	    reader.text, key_of(check, by->key).text, writer.text, key_of(check, old->key).text);
}

static void tell_own(const struct check *check, const struct check_witness *witness,
		     struct story *story)
{
	struct phrase who = name_of(story, witness->txn);

	if (witness->op[0] == CHECK_NONE) {
		say_read(check, story, witness->op[1], "");
		say(story, "But %s had not written that before.", who.text);
		return;
	}
	say(story, "%s %s %s (%s).", who.text,
	    check->ops[witness->op[0]].kind == 'd' ? "deleted" : "wrote",
	    key_of(check, check->ops[witness->op[0]].key).text,
	    operation(check->ops[witness->op[0]].number).text);
	say_read(check, story, witness->op[1], " then");
	say(story, "It should have found its own last write.");
}

static void tell_repeat(const struct check *check, const struct check_witness *witness,
			struct story *story)
{
	say_read(check, story, witness->op[0], "");
	say_read(check, story, witness->op[1], " then");
	say(story, "It had not written %s in between.",
	    key_of(check, check->ops[witness->op[0]].key).text);
}

static void tell_dirty(const struct check *check, const struct check_witness *witness,
		       struct story *story)
{
	const struct check_part *part = check_part_of(check, witness->op[0]);

	say_read(check, story, witness->op[0], "");
	say(story,
	    "%s was over at %" PRIu64 " us, but %s did not ask for its commit before %" PRIu64
	    " us.",
	    name_of(story, witness->txn).text, part ? part->end_us : 0,
	    name_of(story, witness->other).text, check->txns[witness->other].commit_from_us);
}

static void tell_source(const struct check *check, const struct check_witness *witness,
			struct story *story)
{
	const struct check_op *op = &check->ops[witness->op[0]];
	const struct check_write *last = check_write_of(check, witness->other, op->key);
	struct phrase writer = name_of(story, witness->other), key = key_of(check, op->key);

	if (op->writer != witness->other) { /* further inside a list */
		say(story, "%s appended to %s, and did not commit.", writer.text, key.text);
		say(story, "%s read %s as a list with that in it.",
		    name_of(story, witness->txn).text, key.text);
		return;
	}
	say(story, "%s wrote %s (%s).", writer.text, key.text, operation(op->number).text);
	if (check->txns[witness->other].fate == CHECK_DROPPED)
		say(story, "%s did not commit.", writer.text);
	else if (witness->kind == CHECK_aborted_read)
		say(story, "That attempt of %s is not the one that took effect.", writer.text);
	else if (last)
		say(story, "%s %s %s again (%s) before it committed.", writer.text,
		    last->deleted ? "changed" : "wrote", key.text, operation(last->number).text);
	say_read(check, story, witness->op[0], "");
}

static void tell_misplaced(const struct check *check, const struct check_witness *witness,
			   struct story *story)
{
	say_read(check, story, witness->op[0], "");
	say(story, "But the tag of that value says that it was written to another key.");
}

static void tell_incompatible(const struct check *check, const struct check_witness *witness,
			      struct story *story)
{
	say_read(check, story, witness->op[0], "");
	say_read(check, story, witness->op[1], "");
	say(story,
	    "Of these two lists neither begins the other, so %s was not written in one order.",
	    key_of(check, check->ops[witness->op[0]].key).text);
}

static void tell_lost(const struct check *check, const struct check_witness *witness,
		      struct story *story)
{
	say_wrote(check, story, witness->txn, witness->key);
	say(story, "%s was told that it had committed.", name_of(story, witness->txn).text);
	say_read(check, story, witness->op[0], "");
	say(story, "That is older.");
}

static void tell_duplicate(const struct check *check, const struct check_witness *witness,
			   struct story *story)
{
	struct phrase who = name_of(story, witness->txn);

	if (witness->op[0] != CHECK_NONE && witness->op[0] == witness->op[1]) {
		say(story, "%s read %s as a list in which %s appended the same twice.",
		    name_of(story, reader_of(check, witness->op[0])).text,
		    key_of(check, check->ops[witness->op[0]].key).text, who.text);
		return;
	}
	for (int i = 0; i < 2; i++) {
		if (witness->op[i] != CHECK_NONE)
			say_read(check, story, witness->op[i], "");
		else if (check->txns[witness->txn].told)
			say(story, "%s was told that it had committed%s.", who.text,
			    at_version(check->txns[witness->txn].version).text);
	}
	say(story, "One transaction takes effect once, of one attempt, at one version: %s did not.",
	    who.text);
}

static void tell_update(const struct check *check, const struct check_witness *witness,
			struct story *story)
{
	uint32_t key = check->ops[witness->op[0]].key;

	say_read(check, story, witness->op[0], "");
	say_read(check, story, witness->op[1], "");
	say_wrote(check, story, witness->other, key);
	say_wrote(check, story, witness->txn, key);
	say(story, "Each replaced the same value without seeing the other's.");
}

static void tell_skew(const struct check *check, const struct check_witness *witness,
		      struct story *story)
{
	say_read(check, story, witness->op[0], "");
	say_read(check, story, witness->op[1], " also");
	say(story, "When the second value appeared, the first had been replaced already.");
}

static void say_edge(const struct check *check, struct story *story, const struct check_edge *edge)
{
	struct phrase from = name_of(story, edge->from), to = name_of(story, edge->to);
	struct phrase key = key_of(check, edge->key);

	if (edge->kind == CHECK_READS_FROM)
		say_read(check, story, edge->op, "");
	else if (edge->op != CHECK_NONE && reader_of(check, edge->op) != edge->to)
		say(story, "%s appended to %s after %s, as the list shows that %s read.", to.text,
		    key.text, from.text, name_of(story, reader_of(check, edge->op)).text);
	else if (edge->op != CHECK_NONE)
		say(story, "%s overwrote %s, which it had read from %s.", to.text, key.text,
		    from.text);
	else if (edge->version[0].time)
		say(story, "%s wrote %.128s%s, and %s overwrote it%s.", from.text, key.text,
		    at_version(edge->version[0]).text, to.text, at_version(edge->version[1]).text);
	else
		say(story,
		    "%s wrote %.128s (at %" PRIu64 " us), and when that was over %s overwrote it "
		    "(at %" PRIu64 " us).",
		    from.text, key.text, edge->time_us[0], to.text, edge->time_us[1]);
}

static void tell_circle(const struct check *check, const struct check_witness *witness,
			struct story *story)
{
	const struct check_edge *edge = check->steps.data;
	uint32_t shown = witness->steps_count;

	edge += witness->steps_at;
	if (shown > STORY_STEPS_MAX - 2)
		shown = STORY_STEPS_MAX - 2;
	for (uint32_t i = 0; i < shown; i++)
		say_edge(check, story, &edge[i]);
	if (shown < witness->steps_count)
		say(story, "(And %" PRIu32 " more such steps.)", witness->steps_count - shown);
	say(story, "So %s comes before itself.", name_of(story, witness->txn).text);
}

void story_tell(const struct check *check, const struct check_witness *witness, struct story *story)
{
	static void (*const tell[CHECK_KIND_COUNT])(
		const struct check *, const struct check_witness *, struct story *) = {
		[CHECK_fractured_forward] = tell_fractured,
		[CHECK_fractured_backward] = tell_fractured,
		[CHECK_partial_commit] = tell_fractured,
		[CHECK_read_your_writes] = tell_own,
		[CHECK_repeatable_read] = tell_repeat,
		[CHECK_dirty_read] = tell_dirty,
		[CHECK_aborted_read] = tell_source,
		[CHECK_intermediate_read] = tell_source,
		[CHECK_dirty_write] = tell_circle,
		[CHECK_circular_flow] = tell_circle,
		[CHECK_incompatible_order] = tell_incompatible,
		[CHECK_misplaced_value] = tell_misplaced,
		[CHECK_lost_commit] = tell_lost,
		[CHECK_duplicate_effect] = tell_duplicate,
		[CHECK_lost_update] = tell_update,
		[CHECK_read_skew] = tell_skew,
	};

	story->count = story->txn_count = 0;
	tell[witness->kind](check, witness, story);
}

/* The line that says most of a transaction: of what took effect, else its last. */
static const struct check_part *line_of(const struct check *check, uint32_t txn)
{
	const struct check_txn *t = &check->txns[txn];
	const struct check_part *line = NULL;

	for (uint32_t i = 0; i < t->parts_count; i++) {
		const struct check_part *part = &check->parts[check->part_order[t->parts_at + i]];

		if (!line || !line->effective || part->effective)
			line = part;
	}
	return line;
}

void story_who(const struct check *check, const struct story *story, uint32_t n,
	       char text[STORY_TEXT_MAX])
{
	const struct check_part *line = line_of(check, story->txns[n]);
	char id_text[ABAFT_ID_TEXT_BYTES];
	struct phrase who;
	const char *client;
	struct abaft_id id;
	size_t bytes;

	memcpy(&id, check_names_get(&check->txn_ids, story->txns[n], &bytes), sizeof(id));
	tag_id_text(&id, id_text);
	if (line) {
		client = check_names_get(&check->clients, line->client, &bytes);
		who = phrase("%s of client %.*s, %s%s, %.*s:%" PRIu32, id_text, (int)bytes, client,
			     history_outcome_name(line->outcome),
			     at_version(check->txns[story->txns[n]].version).text, 100,
			     check->files[line->file], line->line);
	} else {
		who = phrase("%s, of which no history tells", id_text);
	}
	memcpy(text, who.text, sizeof(who.text));
}
