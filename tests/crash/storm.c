/* SPDX-License-Identifier: Apache-2.0 */
/*
 * storm.c - the load of the crash test: many clients, multi-key transactions with ids of their own,
 * and a memory of everything that was acknowledged. It outlives the nodes that are killed under it.
 *
 * Commands on standard input, one answer line each on standard output; before it, while it checks,
 * one that begins with "at" for each PROGRESS slots that the node answered:
 *
 *	load    clients run until "halt" comes; then no more begin, the open ones end or time out
 *	check   every transaction of the last load, and some of all before, against the node
 *	all     the same for all keys there ever were
 *	tail    a node of one worker has lost the end of its log: of each transaction all or nothing
 *	        is there, and none of those that began when a missing one had been acknowledged
 *
 * A transaction writes the keys of a slot and, every third one, a pair that many write; each value
 * names the transaction and the attempt. There are SLOTS, of two to four keys, three on average,
 * and no more however long it runs: the node must have room for them. Transactions overwrite each
 * other's, one at a time, and some delete; with "fresh" each has a slot of its own as long as there
 * are any, and none deletes. Checked after a restart:
 *   - acknowledged: all keys are there, of one attempt, or all are deleted;
 *   - not acknowledged: all or none of it, as STATUS says, and if none, then what the slot held
 *     before; then the same id runs again, later attempt: if it was there the first attempt's
 *     values stay, else the new ones are there, all of them;
 *   - a pair read in one transaction is of one writer, and that writer's commit took effect.
 */
#include <inttypes.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include <abaft/abaft.h>

#define CLIENTS	       4
#define FLIGHTS	       3 /* transactions in flight for each client */
#define TXNS_MAX       (1u << 20)
#define KEYS_MAX       4
#define PAIRS	       8
#define VALUE_USUAL    20000 /* of the larger ones */
#define VALUE_MAX      ((ABAFT_TXN_VALUE_BYTES_MAX - 4096) / 3)
#define ROUND_FULL     4000 /* then slower: each is looked at afterwards */
#define OLD_CHECKED    300
#define ROUND_CHECKED  500 /* of a round's, if slots are not fresh */
#define PROGRESS       100
#define NONE	       UINT32_MAX
#define FULL_PAUSE_US  2000
#define FULL_MS_MAX    20000 /* cleaning makes room in less */
#define LOAD_MS	       400   /* a submit's time-out while nodes die */
#define LOAD_LARGE_MS  2000
#define CHECK_MS       5000
#define LOOK_TRIES     3 /* "large": reads of some megabytes that nobody has in memory */
#define ATTEMPTS_MAX   100
#define TAG_BYTES      32
#define KEY_TEXT_BYTES 32

struct record {
	struct abaft_id id;
	uint32_t slot;
	uint8_t keys;
	bool pair;
	bool deletes;
	bool exact; /* acknowledged by the attempt that committed: its values must be there */
	uint16_t attempt;
	uint32_t value_bytes;
	uint64_t begun_us, acknowledged_us; /* of the last attempt */
};

/* Keys that one transaction after the other writes. */
struct slot {
	uint32_t number;  /* who committed last, or NONE */
	uint32_t pending; /* who runs, or ended without an answer, or NONE: nobody else may then */
};

struct found {
	uint64_t checked, lost, partial, mixed, undead, contradicts, twice, fractured, dirty,
		errors;
};

struct storm;

struct flight {
	struct storm *storm;
	uint32_t client;
	uint32_t number; /* of its record */
	struct abaft_txn *txn;
	struct abaft_result commit;
	struct abaft_result read[2];
	char pair[2][TAG_BYTES];
	bool first_step; /* of two */
	bool busy;
};

struct storm {
	struct abaft *client[CLIENTS];
	struct abaft *checker;
	struct record *record;
	struct slot *slot;
	uint32_t slots, slots_used;
	bool fresh; /* a slot of one's own, as long as there are any */
	bool large;
	uint32_t records, round_first;
	uint32_t full_us; /* this check may still wait for room; else each slot would for itself */
	uint32_t answered;
	uint64_t random;
	bool loading;
	uint64_t acknowledged, failed, full, fractured;
	struct flight flight[CLIENTS * FLIGHTS];
};

static uint64_t now_us(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (uint64_t)ts.tv_sec * 1000000 + (uint64_t)ts.tv_nsec / 1000;
}

/* xorshift64*: the seed decides the whole run but for time. */
static uint32_t draw(struct storm *storm, uint32_t below)
{
	storm->random ^= storm->random >> 12;
	storm->random ^= storm->random << 25;
	storm->random ^= storm->random >> 27;
	return (uint32_t)((storm->random * UINT64_C(2685821657736338717)) >> 32) % below;
}

static void die(const char *what, int err)
{
	fprintf(stderr, "storm: %s: %s\n", what, abaft_strerror(err));
	exit(1);
}

static size_t key_of(char key[KEY_TEXT_BYTES], uint32_t slot, uint32_t i)
{
	return (size_t)snprintf(key, KEY_TEXT_BYTES, "u/%08x/%u", slot, i);
}

static size_t pair_of(char key[KEY_TEXT_BYTES], uint32_t number, uint32_t half)
{
	return (size_t)snprintf(key, KEY_TEXT_BYTES, "h/%u/%c", number % PAIRS, "ab"[half]);
}

static uint8_t keys_of(uint32_t slot)
{
	return (uint8_t)(2 + slot % (KEYS_MAX - 1));
}

/* The value's first bytes name its writer; the rest is filled with what follows from that. */
static void tag_of(char *value, uint32_t bytes, uint32_t number, uint32_t attempt)
{
	memset(value, (int)('a' + (number + attempt) % 26), bytes);
	snprintf(value, TAG_BYTES, "%08x %04x", number, attempt);
}

static bool prep_writes(struct storm *storm, struct flight *f, uint32_t from, uint32_t to)
{
	static char value[VALUE_MAX];
	const struct record *r = &storm->record[f->number];
	char key[KEY_TEXT_BYTES];
	int err = 0;

	tag_of(value, r->value_bytes, f->number, r->attempt);
	for (uint32_t i = from; i < to && err == 0; i++) {
		size_t bytes = key_of(key, r->slot, i);

		err = r->deletes ? abaft_prep_delete(f->txn, key, bytes, NULL)
				 : abaft_prep_put(f->txn, key, bytes, value, r->value_bytes, NULL);
	}
	return err == 0;
}

static bool prep_pair(struct storm *storm, struct flight *f)
{
	const struct record *r = &storm->record[f->number];
	char value[TAG_BYTES], key[KEY_TEXT_BYTES];
	int err = 0;

	tag_of(value, sizeof(value), f->number, r->attempt);
	for (uint32_t half = 0; r->pair && half < 2 && err == 0; half++)
		err = abaft_prep_put(f->txn, key, pair_of(key, f->number, half), value,
				     sizeof(value), NULL);
	return err == 0;
}

static void flight_done(void *arg, struct abaft_txn *txn, int err);

static void flight_failed(struct flight *f, const char *what)
{
	fprintf(stderr, "storm: %s could not be prepared\n", what);
	exit(1);
}

/* Begins (or begins again, with a later attempt) the flight's transaction. */
static void flight_begin(struct flight *f)
{
	struct storm *storm = f->storm;
	struct record *r = &storm->record[f->number];
	struct abaft_begin begin = {.id = &r->id, .attempt = r->attempt};
	char key[KEY_TEXT_BYTES];
	bool good;
	int err = abaft_begin(storm->client[f->client], &begin, &f->txn);

	if (err != 0)
		die("begin", err);
	r->begun_us = now_us();
	/* Half of them take two packets' rounds, so that nodes die between. */
	f->first_step = f->number % 2 == 0;
	good = prep_writes(storm, f, 0, f->first_step ? 1 : r->keys);
	for (uint32_t half = 0; f->first_step && half < 2 && good; half++)
		good = abaft_prep_get(f->txn, key, pair_of(key, f->number + 1, half), f->pair[half],
				      TAG_BYTES, &f->read[half]) == 0;
	if (!f->first_step)
		good = good && prep_pair(storm, f) && abaft_prep_commit(f->txn, &f->commit) == 0;
	if (!good || abaft_submit(f->txn, flight_done, f) != 0)
		flight_failed(f, "a transaction");
	f->busy = true;
}

/* A slot that nobody writes, or NONE. */
static uint32_t free_slot(struct storm *storm)
{
	if (storm->slots_used < storm->slots)
		return storm->slots_used++;
	for (uint32_t tries = 0; tries < 64; tries++) {
		uint32_t slot = draw(storm, storm->slots);

		if (storm->slot[slot].pending == NONE)
			return slot;
	}
	return NONE;
}

static void record_draw(struct storm *storm, struct record *r, uint32_t slot)
{
	bool again = !storm->fresh;

	memset(r, 0, sizeof(*r));
	abaft_id_new(&r->id);
	r->slot = slot;
	r->keys = keys_of(slot);
	r->pair = draw(storm, 3) == 0;
	r->deletes = again && draw(storm, 8) == 0;
	r->value_bytes = draw(storm, again ? 20 : 80) == 0
				 ? VALUE_USUAL
				 : TAG_BYTES + draw(storm, again ? 3000 : 300);
	if (storm->large && draw(storm, 8) == 0)
		r->value_bytes = VALUE_MAX / (r->keys == KEYS_MAX ? 2 : 1);
}

static void flight_next(struct flight *f)
{
	struct storm *storm = f->storm;
	uint32_t slot;

	f->busy = false;
	if (!storm->loading || storm->records == TXNS_MAX)
		return;
	slot = free_slot(storm);
	if (slot == NONE)
		return;
	if (storm->fresh && storm->records - storm->round_first > ROUND_FULL)
		usleep(500);
	f->number = storm->records++;
	storm->slot[slot].pending = f->number;
	record_draw(storm, &storm->record[f->number], slot);
	flight_begin(f);
}

static bool pair_fits(const struct flight *f)
{
	if (f->read[0].status != f->read[1].status)
		return false;
	return f->read[0].status != ABAFT_OK || memcmp(f->pair[0], f->pair[1], TAG_BYTES) == 0;
}

static void second_step(struct flight *f)
{
	const struct record *r = &f->storm->record[f->number];

	f->storm->fractured += !pair_fits(f);
	f->first_step = false;
	if (!prep_writes(f->storm, f, 1, r->keys) || !prep_pair(f->storm, f) ||
	    abaft_prep_commit(f->txn, &f->commit) != 0 || abaft_submit(f->txn, flight_done, f) != 0)
		flight_failed(f, "a second step");
}

/* abaft_done_fn */
static void flight_done(void *arg, struct abaft_txn *txn, int err)
{
	struct flight *f = arg;
	struct record *r = &f->storm->record[f->number];

	if (err == 0 && f->first_step) {
		second_step(f);
		return;
	}
	abaft_end(txn);
	if (err != 0 && abaft_retry_of(err) == ABAFT_RETRY_RESTART && r->attempt < ATTEMPTS_MAX) {
		r->attempt++;
		flight_begin(f);
		return;
	}
	if (err == ABAFT_NO_SPACE && f->storm->loading && r->attempt < ATTEMPTS_MAX) {
		f->storm->full++;
		usleep(FULL_PAUSE_US);
		r->attempt++;
		flight_begin(f);
		return;
	}
	if (err == 0 || err == ABAFT_COMMITTED) {
		r->exact = err == 0 && !f->commit.repeat;
		r->acknowledged_us = now_us();
		f->storm->slot[r->slot] = (struct slot){.number = f->number, .pending = NONE};
		f->storm->acknowledged++;
	} else {
		f->storm->failed++;
	}
	flight_next(f);
}

static bool command_waits(void)
{
	struct pollfd input = {.fd = STDIN_FILENO, .events = POLLIN};

	return poll(&input, 1, 0) == 1;
}

static bool any_busy(const struct storm *storm)
{
	for (uint32_t i = 0; i < CLIENTS * FLIGHTS; i++)
		if (storm->flight[i].busy)
			return true;
	return false;
}

static void load(struct storm *storm)
{
	storm->round_first = storm->records;
	storm->acknowledged = storm->failed = storm->full = 0;
	storm->loading = true;
	for (uint32_t i = 0; i < CLIENTS * FLIGHTS; i++)
		flight_next(&storm->flight[i]);
	while (any_busy(storm)) {
		if (storm->loading && command_waits())
			storm->loading = false;
		for (uint32_t i = 0; i < CLIENTS; i++)
			(void)abaft_poll(storm->client[i], 200);
	}
	printf("loaded %u acknowledged %" PRIu64 " unknown %" PRIu64 " full %" PRIu64
	       " fractured %" PRIu64 "\n",
	       storm->records - storm->round_first, storm->acknowledged, storm->failed, storm->full,
	       storm->fractured);
}

/* What the keys of a slot hold now. */
struct seen {
	uint32_t present;
	uint32_t number, attempt; /* who wrote them */
	bool whole;		  /* all that are there are right, and of one writer */
};

static void look_at(const struct storm *storm, struct seen *seen, const char *value, size_t bytes)
{
	static char want[VALUE_MAX];
	uint32_t number = (uint32_t)strtoul(value, NULL, 16);
	uint32_t attempt = (uint32_t)strtoul(value + 9, NULL, 16);
	bool right = number < storm->records && bytes == storm->record[number].value_bytes;

	if (right)
		tag_of(want, (uint32_t)bytes, number, attempt);
	if (!right || memcmp(value, want, bytes) != 0)
		seen->whole = false;
	if (seen->present++ == 0) {
		seen->number = number;
		seen->attempt = attempt;
	} else if (number != seen->number || attempt != seen->attempt) {
		seen->whole = false;
	}
}

/* Reads all keys of a slot in one transaction. */
static int look_once(struct storm *storm, uint32_t slot, struct seen *seen)
{
	static char value[KEYS_MAX][VALUE_MAX];
	struct abaft_result result[KEYS_MAX], commit;
	uint32_t keys = keys_of(slot);
	struct abaft_txn *txn;
	char key[KEY_TEXT_BYTES];
	int err = abaft_begin(storm->checker, NULL, &txn);

	*seen = (struct seen){.number = NONE, .whole = true};
	if (err != 0)
		return err;
	for (uint32_t i = 0; i < keys && err == 0; i++)
		err = abaft_prep_get(txn, key, key_of(key, slot, i), value[i], VALUE_MAX,
				     &result[i]);
	if (err == 0)
		err = abaft_prep_commit(txn, &commit);
	if (err == 0)
		err = abaft_run(txn);
	abaft_end(txn);
	for (uint32_t i = 0; i < keys && err == 0; i++) {
		if (result[i].status == ABAFT_OK)
			look_at(storm, seen, value[i], result[i].len);
		else if (result[i].status != ABAFT_NOT_FOUND)
			err = result[i].status;
	}
	return err;
}

static int look(struct storm *storm, uint32_t slot, struct seen *seen)
{
	int err = look_once(storm, slot, seen);

	for (uint32_t i = 1; err != 0 && storm->large && i < LOOK_TRIES; i++)
		err = look_once(storm, slot, seen);
	return err;
}

/* Is it what this transaction, or none, leaves behind? */
static bool left_by(const struct storm *storm, const struct seen *seen, uint32_t number)
{
	const struct record *r;

	if (number == NONE || storm->record[number].deletes)
		return seen->present == 0;
	r = &storm->record[number];
	return seen->present == r->keys && seen->whole && seen->number == number;
}

/* Runs the whole transaction once more, as a platform's retry would. */
static int again_once(struct storm *storm, uint32_t number)
{
	struct record *r = &storm->record[number];
	struct flight f = {.storm = storm, .number = number};
	struct abaft_begin begin = {.id = &r->id};
	int err;

	r->attempt++;
	r->begun_us = now_us();
	begin.attempt = r->attempt;
	err = abaft_begin(storm->checker, &begin, &f.txn);
	if (err != 0)
		return err;
	if (!prep_writes(storm, &f, 0, r->keys) || !prep_pair(storm, &f) ||
	    abaft_prep_commit(f.txn, &f.commit) != 0)
		flight_failed(&f, "a retry");
	err = abaft_run(f.txn);
	abaft_end(f.txn);
	return err;
}

/* Logs that are full become less so by cleaning. */
static int again(struct storm *storm, uint32_t number)
{
	int err = again_once(storm, number);

	while (err == ABAFT_NO_SPACE && storm->full_us >= FULL_PAUSE_US * 10) {
		storm->full_us -= FULL_PAUSE_US * 10;
		usleep(FULL_PAUSE_US * 10);
		err = again_once(storm, number);
	}
	return err;
}

static void progress(struct storm *storm)
{
	if (++storm->answered % PROGRESS != 0)
		return;
	printf("at %u\n", storm->answered);
	fflush(stdout);
}

static void failed(struct found *found, const char *what, uint32_t slot, int err)
{
	fprintf(stderr, "storm: slot %u: %s: %s\n", slot, what, abaft_strerror(err));
	found->errors++;
}

/* Neither what is known to have been committed, nor what may have been. */
static void wrong(const struct storm *storm, uint32_t slot, const struct seen *seen,
		  struct found *found)
{
	const struct slot *s = &storm->slot[slot];
	bool gone = s->number == NONE || storm->record[s->number].deletes;

	fprintf(stderr, "storm: slot %u: last %x, pending %x, but %u of %u keys of %x %02x\n", slot,
		s->number, s->pending, seen->present, keys_of(slot), seen->number, seen->attempt);
	if (!seen->whole)
		found->mixed++;
	else if (seen->present == 0)
		found->lost++;
	else if (seen->present != keys_of(slot))
		found->partial++;
	else if (gone)
		found->undead++;
	else
		found->lost++;
}

static void check_unknown(struct storm *storm, uint32_t slot, const struct seen *seen,
			  struct found *found)
{
	struct slot *s = &storm->slot[slot];
	struct record *r = &storm->record[s->pending];
	bool before = left_by(storm, seen, s->number), took = left_by(storm, seen, s->pending);
	enum abaft_outcome outcome;
	struct seen after;
	int err = abaft_status(storm->checker, &r->id, &outcome, NULL);

	if (err != 0) {
		failed(found, "its status", slot, err);
		return;
	}
	if (!before && !took)
		wrong(storm, slot, seen, found);
	else if (before && took) /* deleted what was not there */
		took = outcome == ABAFT_OUTCOME_COMMITTED;
	else if ((outcome == ABAFT_OUTCOME_COMMITTED) != took)
		found->contradicts++;
	err = again(storm, s->pending);
	/* COMMITTED: told at its first packet already that there is nothing left to do. */
	if (err == 0 || (err == ABAFT_COMMITTED && took))
		err = look(storm, slot, &after);
	if (err != 0) {
		failed(found, "running it again", slot, err);
		return;
	}
	s->number = s->pending;
	s->pending = NONE;
	r->exact = !took;
	r->acknowledged_us = now_us();
	if (!left_by(storm, &after, s->number))
		wrong(storm, slot, &after, found);
	else if (!r->deletes && after.attempt != (took ? seen->attempt : r->attempt))
		found->twice++;
}

static void check_slot(struct storm *storm, uint32_t slot, struct found *found)
{
	const struct slot *s = &storm->slot[slot];
	const struct record *r;
	struct seen seen;
	int err;

	found->checked++;
	err = look(storm, slot, &seen);
	if (err == 0)
		progress(storm);
	if (err != 0)
		failed(found, "reading it", slot, err);
	else if (s->pending != NONE)
		check_unknown(storm, slot, &seen, found);
	else if (!left_by(storm, &seen, s->number))
		wrong(storm, slot, &seen, found);
	if (err != 0 || seen.present == 0 || s->number != seen.number)
		return;
	r = &storm->record[seen.number];
	found->twice += r->exact && seen.attempt != r->attempt;
}

/* Did the commit of a pair's writer take effect in its own slot? A later one may have followed. */
static bool writer_took(struct storm *storm, uint32_t writer)
{
	const struct slot *s;
	struct seen seen;
	uint32_t slot;

	if (writer >= storm->records)
		return false;
	slot = storm->record[writer].slot;
	s = &storm->slot[slot];
	if (s->number != writer && s->pending != writer)
		return s->number != NONE && s->number > writer;
	/* Behind the writer's commit there may be one that is not known. */
	return look(storm, slot, &seen) == 0 &&
	       (left_by(storm, &seen, writer) ||
		(s->pending != NONE && s->number == writer && left_by(storm, &seen, s->pending)));
}

/* Each pair is of one writer whose own keys are there. */
static void check_pair(struct storm *storm, uint32_t number, struct found *found)
{
	struct flight f = {.storm = storm, .number = number};
	char key[KEY_TEXT_BYTES];
	int err = abaft_begin(storm->checker, NULL, &f.txn);

	for (uint32_t half = 0; half < 2 && err == 0; half++)
		err = abaft_prep_get(f.txn, key, pair_of(key, number, half), f.pair[half],
				     TAG_BYTES, &f.read[half]);
	if (err == 0)
		err = abaft_run(f.txn);
	abaft_end(f.txn);
	if (err != 0)
		found->errors++;
	else if (!pair_fits(&f))
		found->fractured++;
	if (err == 0 && f.read[0].status == ABAFT_OK &&
	    !writer_took(storm, (uint32_t)strtoul(f.pair[0], NULL, 16)))
		found->dirty++;
}

/* What is not known, always; of the rest all, or if slots are not fresh, some. */
static void check_round(struct storm *storm, struct found *found)
{
	uint32_t round = storm->records - storm->round_first;

	for (uint32_t i = storm->round_first; i < storm->records; i++) {
		uint32_t slot = storm->record[i].slot;
		bool some = storm->fresh || draw(storm, round) < ROUND_CHECKED;

		if (storm->slot[slot].pending == i || (storm->slot[slot].number == i && some))
			check_slot(storm, slot, found);
	}
}

static void check(struct storm *storm, bool all)
{
	uint32_t slots = storm->slots_used;
	struct found found = {0};

	/* Where slots are fresh nothing gives room back. */
	storm->full_us = storm->fresh ? 0 : FULL_MS_MAX * 1000;
	/* Pairs first: running the unknown ones again writes to them. */
	for (uint32_t i = 0; i < PAIRS; i++)
		check_pair(storm, i, &found);
	check_round(storm, &found);
	for (uint32_t i = 0; i < slots && all; i++)
		check_slot(storm, i, &found);
	for (uint32_t i = 0; i < OLD_CHECKED && i < slots && !all; i++)
		check_slot(storm, draw(storm, slots), &found);
	printf("checked %" PRIu64 " lost %" PRIu64 " partial %" PRIu64 " mixed %" PRIu64
	       " undead %" PRIu64 " contradicts %" PRIu64 " twice %" PRIu64 " fractured %" PRIu64
	       " dirty %" PRIu64 " errors %" PRIu64 "\n",
	       found.checked, found.lost, found.partial, found.mixed, found.undead,
	       found.contradicts, found.twice, found.fractured, found.dirty, found.errors);
}

/* The end of a log. */
struct tail {
	uint64_t missing, bytes;
	uint64_t first_us; /* when the first of the missing ones was acknowledged */
};

/* Of a slot that is whole: is what was acknowledged missing? */
static bool is_missing(const struct slot *s, const struct seen *seen)
{
	return s->number != NONE && seen->present == 0;
}

static void tail_slot(struct storm *storm, uint32_t slot, struct seen *seen, struct found *found)
{
	const struct slot *s = &storm->slot[slot];
	int err = look(storm, slot, seen);

	found->checked++;
	if (err == 0)
		progress(storm);
	else
		failed(found, "reading it", slot, err);
	if (err == 0 && seen->present != 0 && !left_by(storm, seen, s->number) &&
	    (s->pending == NONE || !left_by(storm, seen, s->pending)))
		wrong(storm, slot, seen, found);
}

/* Each slot was used once at most ("fresh"). */
static void tail(struct storm *storm)
{
	struct seen *seen = calloc(storm->slots_used + 1, sizeof(*seen));
	struct tail end = {.first_us = UINT64_MAX};
	struct found found = {0};
	uint64_t holes = 0;

	if (seen == NULL)
		die("a look at all", ABAFT_NO_MEMORY);
	for (uint32_t i = 0; i < storm->slots_used; i++) {
		const struct record *r;

		tail_slot(storm, i, &seen[i], &found);
		if (!is_missing(&storm->slot[i], &seen[i]))
			continue;
		r = &storm->record[storm->slot[i].number];
		end.missing++;
		end.bytes += (uint64_t)r->keys * r->value_bytes;
		end.first_us =
			r->acknowledged_us < end.first_us ? r->acknowledged_us : end.first_us;
	}
	for (uint32_t i = 0; i < storm->slots_used; i++)
		holes += seen[i].present != 0 &&
			 storm->record[seen[i].number].begun_us > end.first_us;
	for (uint32_t i = 0; i < PAIRS; i++)
		check_pair(storm, i, &found);
	free(seen);
	printf("checked %" PRIu64 " missing %" PRIu64 " bytes %" PRIu64 " holes %" PRIu64
	       " lost %" PRIu64 " partial %" PRIu64 " mixed %" PRIu64 " undead %" PRIu64
	       " contradicts 0 twice 0 fractured %" PRIu64 " dirty %" PRIu64 " errors %" PRIu64
	       "\n",
	       found.checked, end.missing, end.bytes, holes, found.lost, found.partial, found.mixed,
	       found.undead, found.fractured, found.dirty, found.errors);
}

static void open_clients(struct storm *storm, const char *address, uint16_t port)
{
	struct abaft_config config = {.address = address,
				      .port = port,
				      .timeout_ms = storm->large ? LOAD_LARGE_MS : LOAD_MS};
	int err = 0;

	for (uint32_t i = 0; i < CLIENTS && err == 0; i++)
		err = abaft_open(&storm->client[i], &config);
	config.timeout_ms = CHECK_MS;
	if (err == 0)
		err = abaft_open(&storm->checker, &config);
	if (err != 0)
		die("open", err);
	for (uint32_t i = 0; i < CLIENTS * FLIGHTS; i++) {
		storm->flight[i].storm = storm;
		storm->flight[i].client = i / FLIGHTS;
	}
}

/* One line without buffering, so that poll() sees what has not been read. */
static bool read_command(char *line, size_t room)
{
	size_t used = 0;

	while (used + 1 < room && read(STDIN_FILENO, line + used, 1) == 1)
		if (line[used++] == '\n')
			break;
	line[used] = '\0';
	return used != 0;
}

int main(int argc, char **argv)
{
	static struct storm storm;
	bool good = argc >= 5;
	char line[32];

	for (int i = 5; i < argc; i++) {
		good = good && (strcmp(argv[i], "fresh") == 0 || strcmp(argv[i], "large") == 0);
		storm.fresh = storm.fresh || argv[i][0] == 'f';
		storm.large = storm.large || argv[i][0] == 'l';
	}
	if (good)
		storm.slots = (uint32_t)strtoul(argv[4], NULL, 10);
	if (storm.slots == 0 || storm.slots > TXNS_MAX) {
		fprintf(stderr,
			"usage: storm ADDRESS PORT SEED SLOTS [fresh] [large]; at most %u slots\n",
			TXNS_MAX);
		return 2;
	}
	storm.slots_used = storm.fresh ? 0 : storm.slots;
	storm.record = calloc(TXNS_MAX, sizeof(*storm.record));
	storm.random = strtoull(argv[3], NULL, 10) * 2 + 1;
	storm.slot = malloc(storm.slots * sizeof(*storm.slot));
	if (storm.record == NULL || storm.slot == NULL)
		die("records", ABAFT_NO_MEMORY);
	for (uint32_t i = 0; i < storm.slots; i++)
		storm.slot[i] = (struct slot){.number = NONE, .pending = NONE};
	open_clients(&storm, argv[1], (uint16_t)strtoul(argv[2], NULL, 10));
	while (read_command(line, sizeof(line))) {
		if (strcmp(line, "load\n") == 0)
			load(&storm);
		else if (strcmp(line, "check\n") == 0)
			check(&storm, false);
		else if (strcmp(line, "all\n") == 0)
			check(&storm, true);
		else if (strcmp(line, "tail\n") == 0)
			tail(&storm);
		else if (strcmp(line, "halt\n") != 0)
			return 2;
		fflush(stdout);
	}
	for (uint32_t i = 0; i < CLIENTS; i++)
		abaft_close(storm.client[i]);
	abaft_close(storm.checker);
	free(storm.slot);
	free(storm.record);
	return 0;
}
