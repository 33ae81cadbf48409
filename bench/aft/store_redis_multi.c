/* SPDX-License-Identifier: Apache-2.0 */
/*
 * store_redis_multi.c - Redis with its own transactions: what they can do for a chain of functions.
 *
 * A connection is a process's, so neither MULTI nor WATCH reaches from one function to the next.
 * What can be had: a function's reads in one MULTI, and all writes of the chain in one MULTI of its
 * last function, as the AFT paper does with DynamoDB's transactions. Reads of different functions
 * are not of one moment then. `redis-validated` closes that: a script makes the writes only if all
 * that was read is still there, else the whole chain runs again.
 *
 * Each commit counts up the key "commits" in the same transaction, so that histories know in which
 * order Redis made them.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "bench/aft/store_redis.h"

#define COUNTER "commits"

/* KEYS: what was read, then what is written, then the counter. ARGV: how many were read, the tags
 * that were read ("" nothing), the values. */
static const char script[] =
	"local n = tonumber(ARGV[1])\n"
	"for i = 1, n do\n"
	"  local tag = ARGV[1 + i]\n"
	"  if #tag == 0 then\n"
	"    if redis.call('EXISTS', KEYS[i]) == 1 then return 0 end\n"
	"  elseif redis.call('GETRANGE', KEYS[i], 0, #tag - 1) ~= tag then\n"
	"    return 0\n"
	"  end\n"
	"end\n"
	"for i = n + 1, #KEYS - 1 do redis.call('SET', KEYS[i], ARGV[1 + i]) end\n"
	"return redis.call('INCR', KEYS[#KEYS])\n";

#define WORDS_MAX (4 + 4 * INVOCATION_OPS_MAX)

struct multi {
	bool validated;
	struct store_op late[INVOCATION_OPS_MAX];
	char value[INVOCATION_OPS_MAX][INVOCATION_VALUE_MAX];
};

/* The store's own is the connection; of a process there is one such store. */
static struct multi *multi;

static int open_multi(struct store *store)
{
	multi = calloc(1, sizeof(*multi));
	if (!multi)
		return ABAFT_NO_MEMORY;
	multi->validated = strcmp(store->config.kind, "redis-validated") == 0;
	return redis_open(store);
}

static void close_multi(struct store *store)
{
	redis_close(store);
	free(multi);
	multi = NULL;
}

static int begin(struct store *store, struct invocation_message *message)
{
	(void)message;
	return ABAFT_OK;
}

/* The transaction's own write of the key, if there is one. */
static bool from_notes(struct store *store, struct store_op *op)
{
	const uint8_t *data, *found = NULL;
	struct invocation_note note;
	uint32_t at = 0, bytes = 0;

	while (invocation_carried(store->message, &at, &note, &data)) {
		if (!note.write || note.rank != op->rank)
			continue;
		found = data;
		bytes = note.bytes;
	}
	if (!found || bytes > op->value_bytes)
		return false;
	memcpy(op->value, found, bytes);
	op->value_bytes = bytes;
	op->found = op->buffered = true;
	return true;
}

static int note_read(struct store *store, const struct store_op *op)
{
	struct invocation_note note = {.rank = op->rank};
	struct tag tag;

	if (!multi->validated)
		return ABAFT_OK;
	if (op->found && tag_read(op->value, op->value_bytes, &tag) == 0)
		note.bytes = (uint32_t)(tag.body + tag.body_len + 1 - op->value);
	return invocation_carry(store->message, note, op->value) ? ABAFT_TOO_LARGE : ABAFT_OK;
}

static int ask_word(struct store *store, const char *word)
{
	size_t bytes = strlen(word);

	return redis_ask(store, 1, &word, &bytes);
}

/* Reads in one MULTI: the answer to its EXEC has them all. */
static int read_all(struct store *store, struct store_op **op, uint32_t count)
{
	redisReply *reply = NULL;
	int err = ask_word(store, "MULTI");

	for (uint32_t i = 0; i < count && !err; i++)
		err = redis_ask_op(store, op[i]);
	if (!err)
		err = ask_word(store, "EXEC");
	store->counts.trips++;
	for (uint32_t i = 0; i < count + 2 && !err; i++) {
		if (reply)
			freeReplyObject(reply);
		err = redis_answer(store, &reply);
	}
	if (err)
		return err;
	if (reply->type != REDIS_REPLY_ARRAY || reply->elements != count)
		err = ABAFT_PROTOCOL;
	for (uint32_t i = 0; i < count && !err; i++) {
		redis_take(store, op[i], reply->element[i]);
		err = note_read(store, op[i]);
	}
	freeReplyObject(reply);
	return err;
}

static int run(struct store *store, struct store_op *op, uint32_t count)
{
	struct store_op *read[INVOCATION_OPS_MAX];
	uint32_t reads = 0;
	int err = ABAFT_OK;

	for (uint32_t i = 0; i < count && !err; i++) {
		struct invocation_note note = {true, op[i].rank, (uint32_t)op[i].value_bytes};

		if (!op[i].write) {
			if (!from_notes(store, &op[i]))
				read[reads++] = &op[i];
			continue;
		}
		op[i].buffered = true;
		if (invocation_carry(store->message, note, op[i].value))
			err = ABAFT_TOO_LARGE;
	}
	return reads && !err ? read_all(store, read, reads) : err;
}

/* All writes that were carried here, the last of each key. */
static int gather(struct store *store, struct store_end *end)
{
	struct invocation_note note;
	const uint8_t *data;
	uint32_t at = 0, count = 0;

	while (invocation_carried(store->message, &at, &note, &data)) {
		struct store_op *op = multi->late;
		struct tag tag;

		if (!note.write)
			continue;
		while (op < multi->late + count && op->rank != note.rank)
			op++;
		if (op == multi->late + count)
			count++;
		if (count > INVOCATION_OPS_MAX || note.bytes > INVOCATION_VALUE_MAX)
			return ABAFT_TOO_LARGE;
		op->value = multi->value[op - multi->late];
		memcpy(op->value, data, note.bytes);
		if (tag_read(op->value, note.bytes, &tag))
			return ABAFT_INVALID;
		op->write = true;
		op->rank = note.rank;
		op->key_bytes = invocation_key(note.rank, op->key);
		op->value_bytes = note.bytes;
		op->number = tag.number;
		op->time_us = tag.time_us;
	}
	end->late = multi->late;
	end->late_count = count;
	return ABAFT_OK;
}

static int commit_multi(struct store *store, struct store_end *end, long long *count)
{
	const char *words[2] = {"INCR", COUNTER};
	size_t bytes[2] = {4, strlen(COUNTER)};
	redisReply *reply = NULL;
	int err = ask_word(store, "MULTI");

	for (uint32_t i = 0; i < end->late_count && !err; i++)
		err = redis_ask_op(store, &end->late[i]);
	if (!err)
		err = redis_ask(store, 2, words, bytes);
	if (!err)
		err = ask_word(store, "EXEC");
	end->commit_sent = true;
	for (uint32_t i = 0; i < end->late_count + 3 && !err; i++) {
		if (reply)
			freeReplyObject(reply);
		err = redis_answer(store, &reply);
	}
	if (err)
		return err;
	if (reply->type != REDIS_REPLY_ARRAY || reply->elements != end->late_count + 1)
		err = ABAFT_PROTOCOL;
	else
		*count = reply->element[end->late_count]->integer;
	freeReplyObject(reply);
	return err;
}

struct words {
	const char *word[WORDS_MAX];
	size_t bytes[WORDS_MAX];
	int count;
};

static void add_word(struct words *words, const void *word, size_t bytes)
{
	words->word[words->count] = word;
	words->bytes[words->count++] = bytes;
}

/* The script's call: keys and arguments in the order that it says. */
static int commit_validated(struct store *store, struct store_end *end, long long *count)
{
	static char key[INVOCATION_OPS_MAX][INVOCATION_KEY_BYTES];
	char keys_text[16], reads_text[16];
	struct words words = {.count = 0};
	struct invocation_note note;
	const uint8_t *data;
	redisReply *reply;
	uint32_t at = 0, reads = 0;
	int err;

	while (invocation_carried(store->message, &at, &note, &data))
		reads += !note.write;
	if (reads > INVOCATION_OPS_MAX)
		return ABAFT_TOO_LARGE;
	snprintf(keys_text, sizeof(keys_text), "%u", reads + end->late_count + 1);
	snprintf(reads_text, sizeof(reads_text), "%u", reads);
	add_word(&words, "EVAL", 4);
	add_word(&words, script, sizeof(script) - 1);
	add_word(&words, keys_text, strlen(keys_text));
	reads = 0;
	for (at = 0; invocation_carried(store->message, &at, &note, &data);)
		if (!note.write) {
			add_word(&words, key[reads], invocation_key(note.rank, key[reads]));
			reads++;
		}
	for (uint32_t i = 0; i < end->late_count; i++)
		add_word(&words, end->late[i].key, end->late[i].key_bytes);
	add_word(&words, COUNTER, strlen(COUNTER));
	add_word(&words, reads_text, strlen(reads_text));
	for (at = 0; invocation_carried(store->message, &at, &note, &data);)
		if (!note.write)
			add_word(&words, data, note.bytes);
	for (uint32_t i = 0; i < end->late_count; i++) {
		add_word(&words, end->late[i].value, end->late[i].value_bytes);
		store->counts.bytes_written += end->late[i].key_bytes + end->late[i].value_bytes;
	}
	err = redis_ask(store, words.count, words.word, words.bytes);
	end->commit_sent = true;
	if (!err)
		err = redis_answer(store, &reply);
	if (err)
		return err;
	*count = reply->type == REDIS_REPLY_INTEGER ? reply->integer : -1;
	freeReplyObject(reply);
	return *count < 0 ? ABAFT_PROTOCOL : ABAFT_OK;
}

static int end(struct store *store, struct store_end *end)
{
	long long count = 0;
	int err;

	if (!store_is_last(store))
		return ABAFT_OK;
	err = gather(store, end);
	if (err)
		return err;
	store->counts.trips++;
	err = multi->validated ? commit_validated(store, end, &count)
			       : commit_multi(store, end, &count);
	if (err)
		return err;
	if (count == 0) {
		/* Something changed meanwhile: nothing was written. */
		end->commit_sent = false;
		return ABAFT_UNKNOWN_TXN;
	}
	end->version = (struct abaft_version){.time = (uint64_t)count};
	return ABAFT_OK;
}

static void forget(struct store *store)
{
	store_redis.forget(store);
}

const struct store_ops store_redis_multi = {
	.open = open_multi,
	.close = close_multi,
	.begin = begin,
	.run = run,
	.end = end,
	.forget = forget,
};
