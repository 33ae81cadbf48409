/* SPDX-License-Identifier: Apache-2.0 */
/* keeper_bed_client.c - the bed's clients and their model, and passes; see keeper_bed.h. */
#include <errno.h>
#include <inttypes.h>
#include <string.h>

#include "dataplane/core/crc.h"
#include "dataplane/core/node_impl.h"
#include "dataplane/core/place.h"
#include "dataplane/core/record.h"
#include "tests/lib/core_packet.h"
#include "tests/lib/keeper_bed_impl.h"

#define KEY_BYTES	24
/* Values begin with seed and key, or are empty. */
#define VALUE_BYTES_MIN 12
#define PASSES_MAX	200000
/* A refused transaction is not tried again: it must not hold versions back for long. */
#define DEADLINE_MS	20
/* Keeper steps in a pass of the others: it has a core of its own. */
#define KEEPER_STEPS	200

static uint32_t value_bytes(const struct keeper_bed *bed, uint64_t seed)
{
	uint32_t most = seed % 3 ? bed->value_bytes_max : VERSION_INLINE_BYTES;
	uint32_t bytes = (uint32_t)(seed / 3 % (most + 1));

	return bytes < VALUE_BYTES_MIN ? 0 : bytes;
}

/* It names its seed and its key, so that what is read can be judged by itself. */
static void value_fill(const struct keeper_bed *bed, uint32_t key, uint64_t seed, uint8_t *to)
{
	uint32_t bytes = value_bytes(bed, seed);

	if (bytes == 0)
		return;
	memcpy(to, &seed, sizeof(seed));
	memcpy(to + sizeof(seed), &key, sizeof(key));
	for (uint32_t i = VALUE_BYTES_MIN; i < bytes; i += 8) {
		uint64_t word = sim_random(&seed, UINT64_MAX);

		memcpy(to + i, &word, bytes - i < 8 ? bytes - i : 8);
	}
}

static uint16_t key_text(char text[KEY_BYTES], uint32_t key)
{
	return (uint16_t)snprintf(text, KEY_BYTES, "key-%u", key);
}

/* Nothing of the key is in flight. */
static bool is_settled(const struct keeper_bed *bed, uint32_t key)
{
	for (uint32_t i = 0; i < KEEPER_BED_TXNS_MAX; i++) {
		const struct keeper_bed_txn *txn = &bed->txn[key % bed->workers][i];

		for (uint32_t j = 0; txn->used && j < txn->count; j++)
			if (txn->write[j].key == key)
				return false;
	}
	return true;
}

/* The seed of a value that was read; KEEPER_BED_NEVER: it is no value of the key. */
static uint64_t value_seed(const struct keeper_bed *bed, uint32_t key, const uint8_t *value,
			   uint32_t bytes)
{
	uint8_t expected[ABAFT_PACKET_BYTES_MAX];
	uint64_t seed;

	memcpy(&seed, value, sizeof(seed));
	value_fill(bed, key, seed, expected);
	return bytes == value_bytes(bed, seed) && memcmp(value, expected, bytes) == 0
		       ? seed
		       : KEEPER_BED_NEVER;
}

/* True if the answer is what the model says, as far as it knows. */
static bool read_fits(const struct keeper_bed *bed, const struct keeper_bed_read *read,
		      const struct reply_result *result)
{
	uint64_t acked = bed->acked[read->key], seed = KEEPER_BED_DELETED;
	bool known = read->settled && is_settled(bed, read->key) && acked == read->acked;

	if (result->status == ABAFT_OK && result->data_bytes > 0)
		seed = value_seed(bed, read->key, result->data, result->data_bytes);
	if (!known || seed == KEEPER_BED_NEVER)
		return seed != KEEPER_BED_NEVER;
	if (result->status == ABAFT_NOT_FOUND)
		return acked <= KEEPER_BED_DELETED;
	return acked > KEEPER_BED_DELETED &&
	       (result->data_bytes > 0 ? seed == acked : value_bytes(bed, acked) == 0);
}

/* Executes a read in a pass; it stays `used` while it waits for the disk. */
static void read_run(struct keeper_bed *bed, struct keeper_bed_read *read)
{
	uint8_t answer[ABAFT_PACKET_BYTES_MAX];
	struct reply_result result;
	struct reply reply;
	uint32_t bytes;

	read->used = node_execute(bed->node[read->worker], read->request, read->bytes, answer,
				  &bytes, read) == NODE_FETCH;
	if (read->used)
		return;
	bed->reads++;
	must(reply_open(&reply, answer, bytes), "a malformed answer");
	if ((reply.flags & ABAFT_FLAG_REFUSED) || !reply_next(&reply, &result) ||
	    (result.status != ABAFT_OK && result.status != ABAFT_NOT_FOUND)) {
		bed->failed_reads++;
		return;
	}
	if (!read_fits(bed, read, &result) && bed->wrong_reads++ == 0)
		fprintf(stderr, "seed %" PRIu64 ": key %u is read wrong\n", bed->seed, read->key);
}

void keeper_bed_again(void *arg, void *token)
{
	read_run(arg, token);
}

static void transaction_end(struct keeper_bed *bed, struct keeper_bed_txn *txn, uint16_t status)
{
	txn->used = false;
	if (status != ABAFT_OK)
		return;
	bed->commits++;
	for (uint32_t i = 0; i < txn->count; i++)
		bed->acked[txn->write[i].key] = txn->write[i].seed;
}

static uint16_t status_of(const struct keeper_bed_txn *txn)
{
	struct reply_result result = {.status = ABAFT_BUSY};
	struct reply reply;

	must(reply_open(&reply, txn->answer, txn->answer_bytes), "a malformed answer");
	if (reply.flags & ABAFT_FLAG_REFUSED)
		return reply.status;
	while (reply_next(&reply, &result))
		;
	return result.status; /* the commit's */
}

void keeper_bed_done(void *arg, void *token, const uint8_t *result, uint32_t at, uint32_t bytes)
{
	struct keeper_bed_txn *txn = token;

	memcpy(txn->answer + at, result, bytes);
	transaction_end(arg, txn, status_of(txn));
}

static void take_reads(struct keeper_bed *bed, uint32_t w)
{
	struct log_read_done ended[16];
	uint32_t count;

	while ((count = log_read_done(bed->log[w], ended, 16)) > 0)
		for (uint32_t i = 0; i < count; i++)
			node_read_done(bed->node[w], ended[i].tag, ended[i].result);
	node_fetched(bed->node[w], bed->again, bed->client);
}

static void worker_pass(struct keeper_bed *bed, uint32_t w)
{
	struct node *node = bed->node[w];
	struct log *log = bed->log[w];

	node_pass_begin(node, bed->now);
	node_durable(node, log_poll(log), bed->done, bed->client);
	take_reads(bed, w);
	post_serve(&bed->post[w], node, log);
	if (log_error(log) && log_error(log) != -ENOSPC)
		node_log_failed(node, bed->done, bed->client);
	log_submit(log, bed->now);
	node_tick(node);
	node_pass_end(node);
}

static void keeper_pass(struct keeper_bed *bed)
{
	for (uint32_t i = 0; i < KEEPER_STEPS && bed->now.mono_us >= bed->keeper_due_us; i++)
		bed->keeper_due_us = bed->now.mono_us +
				     keeper_step(bed->keeper, bed->now.wall_us, bed->now.mono_us);
}

void keeper_bed_pass(struct keeper_bed *bed)
{
	uint32_t first = (uint32_t)roll(bed, bed->workers);

	bed->now.wall_us += bed->step_us;
	bed->now.mono_us += bed->step_us;
	for (uint32_t i = 0; i < bed->workers; i++)
		worker_pass(bed, (first + i) % bed->workers);
	if (!bed->threaded)
		keeper_pass(bed);
}

bool keeper_bed_drain(struct keeper_bed *bed)
{
	for (uint32_t i = 0; i < PASSES_MAX; i++) {
		bool busy = false;

		for (uint32_t w = 0; w < bed->workers; w++)
			busy |= node_pending(bed->node[w]);
		for (uint32_t r = 0; r < KEEPER_BED_READS_MAX; r++)
			busy |= bed->read[r].used;
		if (!busy)
			return true;
		keeper_bed_pass(bed);
	}
	return false;
}

bool keeper_bed_checkpoints(struct keeper_bed *bed, uint32_t count)
{
	struct keeper_stats stats;
	uint64_t goal;

	keeper_stats(bed->keeper, &stats);
	for (goal = stats.checkpoints + 1; count > 0; goal++, count--) {
		keeper_ask_checkpoint(bed->keeper);
		for (uint32_t i = 0; i < PASSES_MAX && stats.checkpoints < goal; i++) {
			keeper_bed_pass(bed);
			keeper_stats(bed->keeper, &stats);
		}
	}
	return stats.checkpoints + 1 >= goal;
}

/* Values. */

uint64_t keeper_bed_value(struct keeper_bed *bed)
{
	uint64_t seed = roll(bed, UINT64_MAX);

	return seed > KEEPER_BED_DELETED ? seed : 2;
}

static struct keeper_bed_txn *transaction_take(struct keeper_bed *bed, uint32_t worker)
{
	for (uint32_t i = 0; i < KEEPER_BED_TXNS_MAX; i++)
		if (!bed->txn[worker][i].used)
			return &bed->txn[worker][i];
	return NULL;
}

static void packet_write(const struct keeper_bed *bed, struct packet *p, uint32_t key,
			 uint64_t seed)
{
	uint8_t value[ABAFT_PACKET_BYTES_MAX];
	char text[KEY_BYTES];
	uint16_t bytes = key_text(text, key);

	if (seed == KEEPER_BED_DELETED) {
		packet_delete(p, text, bytes);
		return;
	}
	value_fill(bed, key, seed, value);
	packet_put(p, text, bytes, value, value_bytes(bed, seed));
}

static void packet_open(struct keeper_bed *bed, struct packet *p, uint32_t worker)
{
	uint64_t owner = (((uint64_t)worker << 32) + (1ull << 31)) / bed->workers;
	uint8_t id[16];

	packet_id(id, bed->now.wall_us / 1000, ++bed->ids, (uint32_t)owner);
	packet_begin(p, id, 0, 0, 0, 0, ABAFT_FLAG_OPEN);
	packet_deadline(p, DEADLINE_MS);
}

static void packet_make(struct keeper_bed *bed, struct packet *p, const struct keeper_bed_txn *txn)
{
	packet_open(bed, p, txn->worker);
	for (uint32_t i = 0; i < txn->count; i++)
		packet_write(bed, p, txn->write[i].key, txn->write[i].seed);
	packet_commit(p);
	packet_finish(p);
	must(!p->cut && p->used <= ABAFT_PACKET_BYTES_MAX, "values do not fit a packet");
}

bool keeper_bed_read(struct keeper_bed *bed, uint32_t key)
{
	struct keeper_bed_read *read = bed->read;
	char text[KEY_BYTES];
	struct packet p;

	while (read->used)
		if (++read == bed->read + KEEPER_BED_READS_MAX)
			return false;
	read->worker = key % bed->workers;
	read->key = key;
	read->settled = is_settled(bed, key);
	read->acked = bed->acked[key];
	packet_open(bed, &p, read->worker);
	packet_get(&p, text, key_text(text, key), 0);
	packet_commit(&p);
	read->bytes = packet_finish(&p);
	memcpy(read->request, p.bytes, read->bytes);
	node_pass_begin(bed->node[read->worker], bed->now);
	read_run(bed, read);
	node_pass_end(bed->node[read->worker]);
	bed->cold_reads += read->used;
	return true;
}

void keeper_bed_packet(struct keeper_bed *bed, struct packet *p, uint32_t key, uint64_t seed)
{
	packet_open(bed, p, key % bed->workers);
	packet_write(bed, p, key, seed);
	packet_commit(p);
	packet_finish(p);
}

uint16_t keeper_bed_send(struct keeper_bed *bed, uint32_t worker, const struct packet *p,
			 struct vnum *number)
{
	struct keeper_bed_txn *txn = transaction_take(bed, worker);
	struct reply_result result = {0};
	struct reply reply;

	must(txn, "too many in flight");
	*txn = (struct keeper_bed_txn){.worker = worker};
	node_pass_begin(bed->node[worker], bed->now);
	txn->used = node_execute(bed->node[worker], p->bytes, p->used, txn->answer,
				 &txn->answer_bytes, txn) == NODE_WAIT;
	node_pass_end(bed->node[worker]);
	for (uint32_t i = 0; txn->used && i < PASSES_MAX; i++)
		keeper_bed_pass(bed);
	must(reply_open(&reply, txn->answer, txn->answer_bytes), "a malformed answer");
	while (reply_next(&reply, &result))
		;
	*number = (struct vnum){.time = result.time, .origin = result.origin};
	return status_of(txn);
}

static void count_refusal(struct keeper_bed *bed, uint16_t status)
{
	must(status == ABAFT_NO_SPACE || status == ABAFT_BUSY || status == ABAFT_LOG_FAILED,
	     "refused for another reason");
	bed->refused_space += status == ABAFT_NO_SPACE;
	bed->refused_busy += status == ABAFT_BUSY;
}

bool keeper_bed_commit(struct keeper_bed *bed, const uint32_t *keys, const uint64_t *seeds,
		       uint32_t count)
{
	uint32_t worker = keys[0] % bed->workers;
	struct keeper_bed_txn *txn = transaction_take(bed, worker);
	struct packet p;

	if (!txn)
		return false;
	*txn = (struct keeper_bed_txn){.worker = worker, .count = count};
	for (uint32_t i = 0; i < count; i++) {
		must(keys[i] % bed->workers == worker, "a key of another worker");
		txn->write[i].key = keys[i];
		txn->write[i].seed = seeds[i];
	}
	packet_make(bed, &p, txn);
	node_pass_begin(bed->node[worker], bed->now);
	txn->used = node_execute(bed->node[worker], p.bytes, p.used, txn->answer,
				 &txn->answer_bytes, txn) == NODE_WAIT;
	node_pass_end(bed->node[worker]);
	if (txn->used)
		bed->user_bytes += p.used;
	else
		count_refusal(bed, status_of(txn));
	return txn->used;
}

bool keeper_bed_commit_any(struct keeper_bed *bed, uint32_t worker, uint32_t deletes)
{
	uint32_t keys[KEEPER_BED_WRITES_MAX], count = 1, mine = bed->keys / bed->workers;
	uint64_t seeds[KEEPER_BED_WRITES_MAX];
	uint32_t first = (uint32_t)roll(bed, mine), bytes = 0;

	if (roll(bed, 4) == 0)
		count = 1 + (uint32_t)roll(bed, KEEPER_BED_WRITES_MAX);
	for (uint32_t i = 0; i < count; i++) {
		keys[i] = (first + i) % mine * bed->workers + worker;
		seeds[i] = deletes && roll(bed, deletes) == 0 ? KEEPER_BED_DELETED
							      : keeper_bed_value(bed);
		bytes += seeds[i] == KEEPER_BED_DELETED ? 0 : value_bytes(bed, seeds[i]);
		if (bytes > ABAFT_PACKET_BYTES_MAX - 300) { /* must fit one packet */
			count = i ? i : 1;
			break;
		}
	}
	return keeper_bed_commit(bed, keys, seeds, count);
}

/* What the node has of a key, against the model. */

static const struct version *newest_visible(struct keeper_bed *bed, uint32_t number)
{
	char text[KEY_BYTES];
	uint16_t bytes = key_text(text, number);
	const struct index *index = &bed->store->index;
	struct key_id id = index_id(index, (const uint8_t *)text, bytes);
	const struct key *key = index_find(index, id, (const uint8_t *)text, bytes);
	const struct version *v = key ? atomic_load(&key->newest) : NULL;

	while (v && !version_published(v))
		v = atomic_load(&v->older);
	return v;
}

uint64_t keeper_bed_place(struct keeper_bed *bed, uint32_t key)
{
	const struct version *v = newest_visible(bed, key);

	return v ? atomic_load(&v->place) : PLACE_NONE;
}

/* What stands at a place: NULL, or `bytes` bytes, good until the next call. */
static const uint8_t *look(struct keeper_bed *bed, uint64_t place, uint32_t bytes)
{
	static uint8_t memory[RECORD_WRITE_BYTES + KEY_BYTES + ABAFT_PACKET_BYTES_MAX];
	uint32_t log = place_log(place), offset = place_offset(place);
	const uint8_t *at;
	uint64_t all;

	must(bytes <= sizeof(memory), "a value is too large to be looked at");
	if (log >= ABAFT_LOGS_MAX)
		return NULL;
	if (bed->devices.begin)
		return bed->devices.look(bed->devices.arg, place, memory, bytes) ? memory : NULL;
	at = bed->disk[log] ? sim_disk_segment(bed->disk[log], place_segment(place), &all) : NULL;
	return at && offset + bytes <= all ? at + offset : NULL;
}

/* True if the key's write with this value stands at the place. */
static bool stands_at(struct keeper_bed *bed, uint64_t place, uint32_t number,
		      const struct version *v, const uint8_t *value)
{
	char text[KEY_BYTES];
	uint16_t key_bytes = key_text(text, number);
	const uint8_t *at = look(bed, place, RECORD_WRITE_BYTES + key_bytes + v->bytes);

	return at && load_le16(at) == key_bytes && at[2] == v->kind &&
	       load_le32(at + 4) == v->bytes &&
	       memcmp(at + RECORD_WRITE_BYTES, text, key_bytes) == 0 &&
	       memcmp(at + RECORD_WRITE_BYTES + key_bytes, value, v->bytes) == 0;
}

/* What is wrong with the key, were it `seed`; NULL: nothing. */
static const char *fault_of(struct keeper_bed *bed, uint32_t key, uint64_t seed)
{
	const struct version *v = newest_visible(bed, key);
	bool is_there = v && v->kind == VERSION_VALUE;
	uint8_t value[ABAFT_PACKET_BYTES_MAX];

	if (seed == KEEPER_BED_NEVER || seed == KEEPER_BED_DELETED)
		return is_there ? "is there" : NULL;
	if (!is_there)
		return "is missing";
	value_fill(bed, key, seed, value);
	if (v->bytes != value_bytes(bed, seed))
		return "has another length";
	if (v->bytes > 0 && version_value(v) && memcmp(version_value(v), value, v->bytes) != 0)
		return "has other bytes in memory";
	if (v->bytes > 0 && !version_value(v) && !version_is_large(v))
		return "is small and not in memory";
	if (version_is_large(v) &&
	    version_large((struct version *)(uintptr_t)v)->crc != crc32c(value, v->bytes))
		return "has another checksum";
	if (!stands_at(bed, atomic_load(&v->place), key, v, value))
		return "does not stand at its place";
	return NULL;
}

/* True if what was in flight when it crashed explains the key: the model learns it. */
static bool explained(struct keeper_bed *bed, uint32_t key)
{
	for (uint32_t i = 0; i < KEEPER_BED_TXNS_MAX; i++) {
		const struct keeper_bed_txn *txn = &bed->txn[key % bed->workers][i];

		for (uint32_t j = 0; txn->used && j < txn->count; j++)
			if (txn->write[j].key == key && !fault_of(bed, key, txn->write[j].seed)) {
				bed->acked[key] = txn->write[j].seed;
				return true;
			}
	}
	return false;
}

uint32_t keeper_bed_wrong(struct keeper_bed *bed)
{
	uint32_t wrong = 0;

	for (uint32_t key = 0; key < bed->keys; key++) {
		const char *fault = fault_of(bed, key, bed->acked[key]);
		uint64_t place = keeper_bed_place(bed, key);

		if (!fault || explained(bed, key))
			continue;
		if (wrong++ == 0)
			fprintf(stderr,
				"seed %" PRIu64 ": key %u %s (log %u, segment %u, byte %u)\n",
				bed->seed, key, fault, place_log(place), place_segment(place),
				place_offset(place));
	}
	memset(bed->txn, 0, sizeof(bed->txn));
	memset(bed->read, 0, sizeof(bed->read));
	return wrong + (uint32_t)bed->wrong_reads;
}

uint32_t keeper_bed_use(const struct keeper_bed *bed)
{
	return (uint32_t)(space_total(&bed->store->space) * 100 / bed->bytes_max);
}

bool keeper_bed_cold(struct keeper_bed *bed, uint32_t key)
{
	const struct version *v = newest_visible(bed, key);

	return v && v->bytes > 0 && !version_value(v);
}
