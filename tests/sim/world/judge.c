/* SPDX-License-Identifier: Apache-2.0 */
/*
 * judge.c - see judge.h.
 *
 * What is told is kept until the verdict, because what a request's later runs are told says more
 * about its earlier ones:
 *
 * I1. If a request is committed, nobody was told that it was his commit, and only one run ever
 *     sent one, then it was that run's.
 * I2. If no run of a request ever sent a COMMIT, then it must not be visible, though its
 *     steps ended well.
 * I3. A step that ended well and was gone on from is part of the line of who went on; it
 *     needs none of its own.
 * I4. Who began when it was known to be committed did not commit it, whatever he was told (EXPIRED,
 *     once the node has forgotten it), and whatever he sent.
 */
#include "tests/sim/world/judge.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "tests/sim/world/world.h"
#include "tools/history/model.h"
#include "tools/history/story.h"

/* Of a value only its tag counts; with keys as short as the platform's none is longer. */
#define VALUE_BYTES 256
/* Of so many reads one may be left unjudged. Of acknowledged writes more: who was told COMMITTED by
 * an operation, as his commit's own answer was lost, knows no version. */
#define READS_OF    100
#define COMMITS_OF  5
#define COMMITS_FEW 50

struct step_run {
	uint16_t step, attempt;
};

struct told_op {
	char kind;
	bool found; /* r */
	char key[PLATFORM_KEY_BYTES];
	struct tag_number number;
	uint64_t time_us;
	struct abaft_version version;
	size_t value; /* in judge->values */
	uint32_t value_bytes;
};

struct told {
	uint32_t request;
	uint32_t order; /* of telling */
	struct abaft_id id;
	char client[HISTORY_CLIENT_BYTES_MAX];
	struct step_run self, before[PLATFORM_STEPS_MAX];
	uint32_t before_count;
	bool sent_commit, dropped;
	uint64_t start_us, end_us;
	enum history_outcome outcome;
	struct abaft_version version;
	size_t ops, ops_count; /* in judge->ops */
};

struct judge {
	struct world *world;
	int fd;
	struct history_writer *writer;
	struct told *told;
	struct told_op *ops;
	char *values;
	size_t told_count, told_room, ops_count, ops_room, values_count, values_room;
};

struct judge *judge_create(struct world *world)
{
	struct judge *judge = calloc(1, sizeof(*judge));

	if (judge == NULL)
		abort();
	judge->world = world;
	judge->fd = memfd_create("history", MFD_CLOEXEC);
	if (judge->fd < 0 || history_open_fd(&judge->writer, judge->fd))
		abort();
	return judge;
}

void judge_destroy(struct judge *judge)
{
	history_close(judge->writer);
	close(judge->fd);
	free(judge->told);
	free(judge->ops);
	free(judge->values);
	free(judge);
}

static void grow(void *array, size_t *room, size_t need, size_t size)
{
	if (check_grow(array, room, need, size))
		abort();
}

static void tell_op(struct judge *judge, const struct run_op *op)
{
	struct told_op *told;
	uint32_t bytes = 0;

	if (op->kind == 'r' && (!op->answered || (op->result.status != ABAFT_OK &&
						  op->result.status != ABAFT_NOT_FOUND)))
		return;
	grow(&judge->ops, &judge->ops_room, judge->ops_count + 1, sizeof(*judge->ops));
	told = &judge->ops[judge->ops_count++];
	*told = (struct told_op){.kind = op->kind,
				 .number = op->number,
				 .time_us = op->time_us,
				 .version = op->result.version};
	memcpy(told->key, op->key, sizeof(told->key));
	if (op->kind != 'r' || op->result.status != ABAFT_OK)
		return;
	bytes = op->result.len < VALUE_BYTES ? op->result.len : VALUE_BYTES;
	grow(&judge->values, &judge->values_room, judge->values_count + bytes, 1);
	if (bytes)
		memcpy(judge->values + judge->values_count, op->value, bytes);
	told->found = true;
	told->value = judge->values_count;
	told->value_bytes = bytes;
	judge->values_count += bytes;
}

static void tell_ops(struct judge *judge, struct told *told, const struct run *run)
{
	const struct run *chain[PLATFORM_STEPS_MAX];
	uint32_t count = 0;

	for (; run && count < PLATFORM_STEPS_MAX; run = run->before)
		chain[count++] = run;
	for (uint32_t i = 1; i < count; i++)
		told->before[told->before_count++] =
			(struct step_run){chain[i]->step, chain[i]->attempt};
	told->ops = judge->ops_count;
	while (count-- > 0)
		for (uint32_t i = 0; i < chain[count]->ops_count; i++)
			tell_op(judge, &chain[count]->ops[i]);
	told->ops_count = judge->ops_count - told->ops;
}

void judge_run(struct judge *judge, const struct run *run, const char *client, uint64_t start_us,
	       uint64_t end_us, enum history_outcome outcome, struct abaft_version version)
{
	struct told *told;

	grow(&judge->told, &judge->told_room, judge->told_count + 1, sizeof(*judge->told));
	told = &judge->told[judge->told_count];
	*told = (struct told){.request = run->request->number,
			      .order = (uint32_t)judge->told_count++,
			      .id = run->request->id,
			      .self = {run->step, run->attempt},
			      .sent_commit = run->commits,
			      .start_us = start_us,
			      .end_us = end_us,
			      .outcome = outcome,
			      .version = version};
	snprintf(told->client, sizeof(told->client), "%s", client);
	tell_ops(judge, told, run);
}

void judge_final(struct judge *judge, const struct run_op *op)
{
	bool found = op->result.status == ABAFT_OK;

	if (!op->answered || (!found && op->result.status != ABAFT_NOT_FOUND))
		world_fail(judge->world, "final state", "%s cannot be read: %s", op->key,
			   op->answered ? abaft_error_name(op->result.status) : "no answer");
	history_begin_final(judge->writer);
	history_read(judge->writer, op->key, strlen(op->key), op->result.version,
		     found ? (const char *)op->value : NULL, found ? op->result.len : 0);
	if (history_finish(judge->writer))
		abort();
}

static int told_compare(const void *a, const void *b)
{
	const struct told *x = a, *y = b;

	if (x->request != y->request)
		return x->request < y->request ? -1 : 1;
	return x->order < y->order ? -1 : 1;
}

/* When it was first told that it is committed. */
static uint64_t known_us(const struct told *told, size_t count)
{
	uint64_t us = UINT64_MAX;

	for (size_t i = 0; i < count; i++)
		if ((told[i].outcome == HISTORY_COMMITTED || told[i].outcome == HISTORY_REPEATED) &&
		    told[i].end_us < us)
			us = told[i].end_us;
	return us;
}

/* I1, I2, I4 */
static void resolve(struct told *told, size_t count)
{
	uint32_t outcomes[HISTORY_OUTCOMES] = {0}, senders = 0;
	uint64_t known = known_us(told, count);
	struct told *sender = NULL;
	struct abaft_version version = {0};

	for (size_t i = 0; i < count; i++) {
		if (told[i].start_us > known && told[i].outcome == HISTORY_UNKNOWN)
			told[i].outcome = HISTORY_FAILED;
		outcomes[told[i].outcome]++;
		if (told[i].version.time)
			version = told[i].version;
		if (told[i].start_us <= known &&
		    (told[i].outcome == HISTORY_UNKNOWN ||
		     (told[i].outcome == HISTORY_REPEATED && told[i].sent_commit))) {
			sender = &told[i];
			senders++;
		}
	}
	if (!outcomes[HISTORY_COMMITTED] && outcomes[HISTORY_REPEATED] && senders == 1) {
		sender->outcome = HISTORY_COMMITTED;
		sender->version = version;
	}
	if (outcomes[HISTORY_OPEN] + outcomes[HISTORY_FAILED] < count)
		return;
	for (size_t i = 0; i < count; i++)
		told[i].outcome = HISTORY_FAILED;
}

/* I3 */
static bool was_gone_on_from(const struct told *told, size_t count, struct step_run run)
{
	for (size_t i = 0; i < count; i++)
		for (uint32_t j = 0; j < told[i].before_count; j++)
			if (told[i].before[j].step == run.step &&
			    told[i].before[j].attempt == run.attempt)
				return true;
	return false;
}

static void write_line(struct judge *judge, const struct told *told)
{
	struct history_head head = {.id = told->id,
				    .client = told->client,
				    .whole = true,
				    .attempt = told->self.attempt,
				    .start_us = told->start_us,
				    .end_us = told->end_us,
				    .outcome = told->outcome,
				    .version = told->version};

	history_begin(judge->writer, &head);
	for (size_t i = 0; i < told->ops_count; i++) {
		const struct told_op *op = &judge->ops[told->ops + i];
		size_t key_bytes = strlen(op->key);

		if (op->kind == 'w')
			history_write(judge->writer, op->key, key_bytes, op->number, op->time_us);
		else if (op->kind == 'd')
			history_delete(judge->writer, op->key, key_bytes, op->number, op->time_us);
		else
			history_read(judge->writer, op->key, key_bytes, op->version,
				     op->found ? judge->values + op->value : NULL, op->value_bytes);
	}
	if (history_finish(judge->writer))
		abort();
}

static void write_lines(struct judge *judge)
{
	size_t end;

	if (judge->told_count)
		qsort(judge->told, judge->told_count, sizeof(*judge->told), told_compare);
	for (size_t at = 0; at < judge->told_count; at = end) {
		struct told *told = &judge->told[at];

		for (end = at; end < judge->told_count; end++)
			if (judge->told[end].request != told->request)
				break;
		for (size_t i = 0; i < end - at; i++)
			told[i].dropped = told[i].outcome == HISTORY_OPEN &&
					  was_gone_on_from(told, end - at, told[i].self);
		resolve(told, end - at);
		for (size_t i = 0; i < end - at; i++)
			if (!told[i].dropped)
				write_line(judge, &told[i]);
	}
}

static const char *const kind_names[] = {
#define KIND_NAME(name, also, anomaly, text) #name,
	CHECK_KINDS(KIND_NAME)
#undef KIND_NAME
};

/* Why the run fails. */
struct reason {
	const char *rule; /* NULL: it does not */
	char text[3072];
	size_t bytes;
};

__attribute__((format(printf, 2, 3))) static void say(struct reason *reason, const char *format,
						      ...)
{
	size_t room = sizeof(reason->text) - reason->bytes;
	va_list args;
	int bytes;

	va_start(args, format);
	bytes = vsnprintf(reason->text + reason->bytes, room, format, args);
	va_end(args);
	reason->bytes += (size_t)bytes < room ? (size_t)bytes : room - 1;
}

static void say_anomaly(struct reason *reason, const struct check *check,
			const struct check_witness *witness)
{
	struct story story;
	char who[STORY_TEXT_MAX];

	story_tell(check, witness, &story);
	reason->rule = kind_names[witness->kind];
	for (uint32_t i = 0; i < story.count; i++)
		say(reason, "\n  %2" PRIu32 ". %s", i + 1, story.steps[i]);
	for (uint32_t i = 0; i < story.txn_count; i++) {
		story_who(check, &story, i, who);
		say(reason, "\n      T%" PRIu32 ": %s", i + 1, who);
	}
}

/* The run is not judged if much of it is left out. */
static void say_unjudged(struct reason *reason, const struct check *check)
{
	reason->rule = "unjudged";
	if (check->reads_unjudged > check->reads / READS_OF)
		say(reason, "%" PRIu64 " of %" PRIu64 " reads are of writers that no line tells of",
		    check->reads_unjudged, check->reads);
	else if (check->commits_unjudged > COMMITS_FEW + check->commits_judged / COMMITS_OF)
		say(reason,
		    "%" PRIu64 " acknowledged writes cannot be held against the final state, "
		    "%" PRIu64 " can",
		    check->commits_unjudged, check->commits_judged);
	else
		reason->rule = NULL;
}

static void judge_history(struct judge *judge, struct check *check, struct reason *reason)
{
	const struct check_witness *witness;
	size_t i = 0;

	if (check_read_fd(check, judge->fd, "history")) {
		reason->rule = "history";
		say(reason, "%s", check->error);
		return;
	}
	if (check_judge(check))
		abort();
	world_note(judge->world,
		   "judged: %" PRIu64 " reads, %" PRIu64 " writes, %" PRIu64 " pairs, %" PRIu64
		   " acknowledged writes; %" PRIu64 " committed, %" PRIu64 " undecided",
		   check->reads, check->changes, check->pairs_judged, check->commits_judged,
		   check->fates[CHECK_COMMITTED], check->fates[CHECK_UNDECIDED]);
	witness = check->witnesses.data;
	while (i < check->witnesses.count && !check_kind_is_anomaly(witness[i].kind))
		i++;
	if (i < check->witnesses.count)
		say_anomaly(reason, check, &witness[i]);
	else
		say_unjudged(reason, check);
}

void judge_verdict(struct judge *judge)
{
	struct check *check = check_create(1);
	struct reason reason = {0};

	if (check == NULL)
		abort();
	write_lines(judge);
	judge_history(judge, check, &reason);
	check_destroy(check);
	if (reason.rule)
		world_fail(judge->world, reason.rule, "%s", reason.text);
}
