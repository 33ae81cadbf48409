/* SPDX-License-Identifier: Apache-2.0 */
/*
 * audit.c - what goes through the ports, and each slow request. See audit.h.
 *
 * Time stands still within a pass, so that a request's time in the node is known exactly, and:
 *
 * S1. Whatever was in the node for longer than the threshold has an entry, in the order in which
 *     the answers leave, and nothing else has.
 * S2. An entry says of the request what its answer says.
 * S3. Its phases from `arrival` on make up the time in the node.
 * S4. `open` reaches back to the first packet of the transaction: not behind the first answer of
 *     this instance of it, not before the first frame of its id.
 * S5. It ended a transaction if COMMIT or ABORT was answered with OK, for the first time. Only what
 *     ends with one of these waited for the log, and only what reads waited for values.
 */
#include "tests/sim/world/audit.h"

#include <stdlib.h>
#include <string.h>
#include <xxhash.h>

#include <abaft/error.h>
#include <abaft/wire.h>

#include "dataplane/core/bytes.h"
#include "dataplane/core/node.h"
#include "dataplane/net/frame.h"
#include "tests/sim/world/audit_impl.h"

#define RULE "telemetry"

static void *must(void *memory)
{
	if (!memory)
		abort();
	return memory;
}

/* Whole cache lines. */
static void *lines_of(size_t bytes)
{
	return must(aligned_alloc(64, bytes));
}

struct audit *audit_create(struct world *world, uint32_t workers_max)
{
	static const uint64_t slow_ns[] = {0, 0, 0, 100000, 2000000};
	struct audit *a = must(calloc(1, sizeof(*a)));

	a->world = world;
	a->workers_max = workers_max;
	a->slow_ns = slow_ns[world->options.seed % (sizeof(slow_ns) / sizeof(slow_ns[0]))];
	a->arrivals = world->options.seed % 4 != 0;
	a->ids_room = 1024;
	a->ids = must(calloc(a->ids_room, sizeof(*a->ids)));
	a->account = lines_of(workers_max * sizeof(*a->account));
	a->disk = lines_of(workers_max * sizeof(*a->disk));
	a->memory = lines_of(workers_max * sizeof(*a->memory));
	return a;
}

void audit_destroy(struct audit *a)
{
	free(a->memory);
	free(a->disk);
	free(a->account);
	free(a->ids);
	free(a);
}

void audit_begin(struct audit *a, uint32_t workers)
{
	a->workers = workers;
	memset(&a->refused, 0, sizeof(a->refused));
	memset(a->ids, 0, a->ids_room * sizeof(*a->ids));
	a->ids_used = 0;
	memset(a->account, 0, a->workers_max * sizeof(*a->account));
	memset(a->disk, 0, a->workers_max * sizeof(*a->disk));
	for (uint32_t w = 0; w < a->workers_max; w++)
		telemetry_memory_init(&a->memory[w], a->slow_ns);
}

struct telemetry *audit_telemetry(struct audit *a, uint32_t worker)
{
	return a->world->options.no_telemetry ? NULL : &a->memory[worker].telemetry;
}

void audit_time(struct audit *a, uint64_t mono_us)
{
	a->now_ns = mono_us * 1000;
}

/* Ids. */

static struct audit_id *id_place(struct audit *a, const uint64_t key[3])
{
	uint32_t at = (uint32_t)XXH3_64bits(key, 3 * sizeof(key[0])) & (a->ids_room - 1);

	while (a->ids[at].used && memcmp(a->ids[at].key, key, sizeof(a->ids[at].key)) != 0)
		at = (at + 1) & (a->ids_room - 1);
	return &a->ids[at];
}

static void ids_grow(struct audit *a)
{
	struct audit_id *old = a->ids;
	uint32_t room = a->ids_room;

	a->ids_room *= 2;
	a->ids = must(calloc(a->ids_room, sizeof(*a->ids)));
	for (uint32_t i = 0; i < room; i++)
		if (old[i].used)
			*id_place(a, old[i].key) = old[i];
	free(old);
}

/* What is known of the id, or of that instance of it; if nothing is: from now on. */
static struct audit_id *id_find(struct audit *a, const uint8_t id[16], uint64_t instance)
{
	uint64_t key[3] = {load_le64(id), load_le64(id + 8), instance};
	struct audit_id *found = id_place(a, key);

	if (found->used)
		return found;
	if (2 * ++a->ids_used > a->ids_room) {
		ids_grow(a);
		found = id_place(a, key);
	}
	memcpy(found->key, key, sizeof(key));
	found->first_ns = a->now_ns;
	found->used = true;
	return found;
}

/* Frames. */

uint64_t audit_arrived(const struct audit *a)
{
	return a->arrivals ? a->now_ns : 0;
}

/* When the node first knew of it. */
static uint64_t came_ns(const struct audit_frame *frame)
{
	return frame->arrival_ns ? frame->arrival_ns : frame->received_ns;
}

static uint64_t between(uint64_t from_ns, uint64_t to_ns)
{
	return to_ns > from_ns ? to_ns - from_ns : 0;
}

/* Where its payload is, NULL if it has none. Its checksums are the worker's matter. */
static const uint8_t *payload_of(const uint8_t *frame, uint32_t bytes, uint32_t *payload_bytes)
{
	struct frame whole = {.data = (uint8_t *)(uintptr_t)frame, .len = bytes, .room = bytes};
	struct frame_view view;

	if (frame_parse(&whole, true, &view) != FRAME_OK)
		return NULL;
	*payload_bytes = view.payload_len;
	return frame + view.payload;
}

void audit_received(struct audit *a, uint32_t worker, const uint8_t *frame, uint32_t bytes,
		    struct audit_frame *out)
{
	const struct abaft_wire_header *header = (const void *)out->request;
	const uint8_t *payload;

	if (a->world->options.no_telemetry)
		return;
	a->account[worker].frames++;
	out->received_ns = a->now_ns;
	out->bytes = 0;
	payload = payload_of(frame, bytes, &out->bytes);
	if (!payload || out->bytes > sizeof(out->request)) /* too much to be any of ours */
		out->bytes = 0;
	else
		memcpy(out->request, payload, out->bytes);
	if (out->bytes >= sizeof(*header))
		id_find(a, header->txn, 0)->frames++;
}

/* Answers. */

struct audit_answer {
	const struct audit_frame *request;
	const struct abaft_wire_header *header;
	const struct abaft_wire_result *last; /* NULL: it has none */
	uint32_t home, owner, bytes;
	uint32_t ops;
	bool refused;
	bool reads;    /* it has a GET */
	bool commands; /* its last operation is COMMIT or ABORT */
	bool ended;    /* which ended the transaction now */
};

static uint16_t status_of(const struct abaft_wire_result *result)
{
	return load_le16(result->status);
}

static void count(struct op_counter *counter, uint64_t bytes, uint16_t status)
{
	counter->count++;
	counter->bytes += bytes;
	if (status != ABAFT_OK)
		op_count_error(counter, status);
}

/* Bytes that a write brought which was executed, perhaps in vain. */
static uint64_t written(const struct abaft_wire_result *result, const struct abaft_wire_op *op)
{
	uint16_t status = status_of(result);

	if (result->code != ABAFT_OP_PUT && result->code != ABAFT_OP_PUT_PART)
		return 0;
	if (status == ABAFT_SKIPPED || status == ABAFT_COMMITTED || status == ABAFT_ABORTED ||
	    result->flags & ABAFT_RESULT_REPEAT)
		return 0;
	return load_le32(op->data_len);
}

static const uint8_t *op_next(const struct abaft_wire_op *op)
{
	const uint8_t *at = (const uint8_t *)(op + 1) + load_le16(op->key_len);

	return op->code == ABAFT_OP_PUT || op->code == ABAFT_OP_PUT_PART
		       ? at + load_le32(op->data_len)
		       : at;
}

/* Each result, beside its operation. */
static void account_results(struct audit *a, struct audit_answer *answer)
{
	struct op_counters *ops = &a->account[answer->owner].ops;
	const uint8_t *at = (const uint8_t *)(answer->header + 1);
	const uint8_t *op = answer->request->request + sizeof(*answer->header);

	for (uint32_t i = 0; i < answer->ops; i++) {
		const struct abaft_wire_result *result = (const void *)at;
		const struct abaft_wire_op *asked = (const void *)op;
		uint32_t data_bytes = load_le32(result->data_len);

		if (result->code != asked->code || result->code > ABAFT_OP_INFO)
			world_fail(a->world, RULE, "operation %u is answered as %u", asked->code,
				   result->code);
		count((struct op_counter *)ops + result->code, data_bytes + written(result, asked),
		      status_of(result));
		answer->reads |= result->code == ABAFT_OP_GET || result->code == ABAFT_OP_GET_PART;
		answer->last = result;
		at += sizeof(*result) + data_bytes;
		op = op_next(asked);
	}
}

/* S5 */
static void judge_end(struct audit_answer *answer)
{
	const struct abaft_wire_result *last = answer->last;

	if (!last)
		return;
	answer->commands = last->code == ABAFT_OP_COMMIT || last->code == ABAFT_OP_ABORT;
	answer->ended = answer->commands && status_of(last) == ABAFT_OK &&
			!(last->flags & ABAFT_RESULT_REPEAT);
}

static void account_answer(struct audit *a, struct audit_answer *answer)
{
	const struct abaft_wire_header *header = answer->header;

	answer->refused = load_le16(header->flags) & ABAFT_FLAG_REFUSED;
	answer->ops = load_le16(header->ops);
	answer->owner = node_owner(header->txn, a->workers);
	a->account[answer->home].answers++;
	if (answer->refused) {
		count(&a->refused, answer->request->bytes, load_le16(header->status));
		return;
	}
	count(&a->account[answer->owner].ops.packet, answer->request->bytes, ABAFT_OK);
	account_results(a, answer);
	judge_end(answer);
}

/* Slow requests. */

static void slow_fail(struct audit *a, const struct audit_answer *answer, const char *what,
		      uint64_t is, uint64_t should)
{
	world_fail(a->world, RULE,
		   "slow request %llu of worker %u, status %u, %u operations: %s is %llu, not %llu",
		   (unsigned long long)a->account[answer->home].slow, answer->home,
		   load_le16(answer->header->status), answer->ops, what, (unsigned long long)is,
		   (unsigned long long)should);
}

/* S2 */
static void judge_entry(struct audit *a, const struct audit_answer *answer,
			const struct slow_txn *entry)
{
	const struct abaft_wire_header *header = answer->header;
	const struct {
		const char *what;
		uint64_t is, should;
	} each[] = {
		{"sequence", entry->sequence, a->account[answer->home].slow},
		{"id", XXH3_64bits(entry->id, 16), XXH3_64bits(header->txn, 16)},
		{"step", entry->step, load_le16(header->step)},
		{"attempt", entry->attempt, load_le16(header->attempt)},
		{"ops", entry->ops, answer->ops},
		{"status", entry->status, load_le16(header->status)},
		{"request_bytes", entry->request_bytes, answer->request->bytes},
		{"answer_bytes", entry->answer_bytes, answer->bytes},
		{"ended", entry->ended, answer->ended}, /* S5 */
		{"worker", entry->worker,
		 answer->refused && entry->worker == answer->home ? answer->home : answer->owner},
	};

	for (uint32_t i = 0; i < sizeof(each) / sizeof(each[0]); i++)
		if (each[i].is != each[i].should)
			slow_fail(a, answer, each[i].what, each[i].is, each[i].should);
}

/* S3, S4, S5 */
static void judge_phases(struct audit *a, const struct audit_answer *answer,
			 const struct slow_phases *phase)
{
	uint64_t came = came_ns(answer->request);
	uint64_t instance = load_le64(answer->header->instance);
	uint64_t log_ns = phase->log_wait + phase->device + phase->publish;
	uint64_t sum_ns = phase->arrival + phase->fetch + phase->service + log_ns + phase->reply;
	uint64_t first_ns = id_find(a, answer->header->txn, 0)->first_ns;

	if (sum_ns != a->now_ns - came)
		slow_fail(a, answer, "sum of phases", sum_ns, a->now_ns - came);
	if (phase->open > between(first_ns, came))
		slow_fail(a, answer, "open, at most,", phase->open, between(first_ns, came));
	if (instance) {
		uint64_t answered_ns = id_find(a, answer->header->txn, instance)->first_ns;

		if (phase->open < between(answered_ns, came))
			slow_fail(a, answer, "open, at least,", phase->open,
				  between(answered_ns, came));
	} else if (phase->open) {
		slow_fail(a, answer, "open", phase->open, 0);
	}
	if (log_ns && !answer->commands)
		slow_fail(a, answer, "time in the log", log_ns, 0);
	if (phase->fetch && !answer->reads && !answer->refused)
		slow_fail(a, answer, "time for values", phase->fetch, 0);
}

/* What the entry says that histograms must hold, each in its bucket. Of what did not wait for the
 * log the execution may be timed a moment after the answer has left. */
static void account_phases(struct audit *a, const struct audit_answer *answer,
			   const struct slow_phases *phase)
{
	struct audit_account *account = &a->account[answer->owner];
	uint64_t log_ns = phase->log_wait + phase->device;
	uint64_t life_ns = phase->service + log_ns;
	struct histogram *lives = log_ns ? &account->txn_life : &account->txn_life_least;

	if (!answer->refused && answer->request->arrival_ns)
		histogram_add(&account->arrival, phase->arrival);
	if (!answer->refused && answer->owner != answer->home)
		histogram_add(&account->handover, came_ns(answer->request) + phase->arrival -
							  answer->request->received_ns);
	if (!answer->ended)
		return;
	if (log_ns) {
		histogram_add(&account->commit_durable, log_ns);
		histogram_add(&a->account[answer->home].durable_ack, phase->publish + phase->reply);
	}
	if (phase->open)
		histogram_add(lives, phase->open + phase->arrival + phase->fetch + life_ns);
	else if (id_find(a, answer->header->txn, 0)->frames == 1 && !phase->fetch)
		/* It was its beginning, too, and nobody displaced it while it was parked. */
		histogram_add(lives, life_ns);
}

/* S1 */
static void judge_slow(struct audit *a, const struct audit_answer *answer)
{
	const struct slow_txns *slow = &a->memory[answer->home].slow;
	struct audit_account *account = &a->account[answer->home];
	const struct slow_txn *entry;

	if (a->now_ns - came_ns(answer->request) <= a->slow_ns)
		return;
	account->slow++;
	if (slow->written < account->slow)
		slow_fail(a, answer, "entries written", slow->written, account->slow);
	a->world->counts.slow++;
	entry = &slow->entry[account->slow % SLOW_TXNS];
	judge_entry(a, answer, entry);
	judge_phases(a, answer, &entry->phase_ns);
	account_phases(a, answer, &entry->phase_ns);
}

void audit_sent(struct audit *a, uint32_t worker, const uint8_t *frame, uint32_t bytes,
		const struct audit_frame *request)
{
	struct audit_answer answer = {.request = request, .home = worker};

	if (a->world->options.no_telemetry)
		return;
	answer.header = (const void *)payload_of(frame, bytes, &answer.bytes);
	if (!answer.header || answer.bytes < sizeof(*answer.header) || !request->bytes)
		world_fail(a->world, RULE, "worker %u sends what is no answer", worker);
	account_answer(a, &answer);
	if (load_le64(answer.header->instance))
		(void)id_find(a, answer.header->txn, load_le64(answer.header->instance));
	judge_slow(a, &answer);
}
