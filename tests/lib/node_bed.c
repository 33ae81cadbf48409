/* SPDX-License-Identifier: Apache-2.0 */
/* node_bed.c - see node_bed.h. */
#include "tests/lib/node_bed.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/lib/telemetry_core.h"

static void must(bool ok, const char *what)
{
	if (ok)
		return;
	fprintf(stderr, "node_bed: %s\n", what);
	abort();
}

void bed_defaults(struct bed *bed, uint32_t workers)
{
	memset(bed, 0, sizeof(*bed));
	bed->workers = workers;
	bed->store_config = (struct store_config){
		.workers = workers, .keys_max = 4096, .memory_bytes = BED_MEMORY_BYTES, .seed = 7};
	bed->config = (struct node_config){.txns_max = 64,
					   .outcomes_max = 256,
					   .window_ms = ABAFT_OUTCOME_WINDOW_MS,
					   .skew_ms = ABAFT_CLOCK_SKEW_MS,
					   .deadline_ms = 5000,
					   .instance_seed = 1000};
	bed->log_records = 1 << 16;
	bed->log_bytes = 32 << 20;
	bed->now = (struct now){.wall_us = BED_WALL_US, .mono_us = 1000000};
}

static void nodes_open(struct bed *bed)
{
	must(store_create(&bed->store, &bed->store_config) == 0, "no store");
	for (uint32_t w = 0; w < bed->workers; w++) {
		struct node_config config = bed->config;
		struct node_log log = log_fake_ops(&bed->log[w]);

		if (bed->unread)
			log.read = NULL;
		config.worker = w;
		config.origin = 1 << 8 | w;
		config.instance_seed += (uint64_t)w << 32;
		telemetry_memory_init(&bed->telemetry[w], 0);
		config.telemetry = &bed->telemetry[w].telemetry;
		must(node_create(&bed->node[w], bed->store, &config) == 0, "no node");
		node_attach_log(bed->node[w], &log);
	}
}

/* Whatever a test did: what its nodes have counted must agree. */
static void must_agree(const struct bed *bed)
{
	char why[TELEMETRY_WRONG_BYTES];

	for (uint32_t w = 0; w < bed->workers; w++)
		must(!telemetry_core_wrong(&bed->telemetry[w], bed->node[w], why), why);
}

static void nodes_close(struct bed *bed)
{
	must_agree(bed);
	for (uint32_t w = 0; w < bed->workers; w++)
		node_destroy(bed->node[w]);
	store_destroy(bed->store);
}

void bed_open(struct bed *bed)
{
	bed->telemetry = aligned_alloc(64, bed->workers * sizeof(*bed->telemetry));
	must(bed->telemetry != NULL, "no memory");
	for (uint32_t w = 0; w < bed->workers; w++) {
		must(log_fake_init(&bed->log[w], bed->log_records, bed->log_bytes) == 0, "no log");
		bed->log[w].number = w;
		bed->log[w].shelf = bed->log;
		bed->log[w].shelf_logs = bed->workers;
	}
	nodes_open(bed);
}

void bed_close(struct bed *bed)
{
	nodes_close(bed);
	for (uint32_t w = 0; w < bed->workers; w++)
		log_fake_fini(&bed->log[w]);
	free(bed->telemetry);
}

void bed_crash(struct bed *bed)
{
	nodes_close(bed);
	bed->config.instance_seed += 1000000;
	for (uint32_t w = 0; w < bed->workers; w++) {
		log_fake_crash(&bed->log[w]);
		bed->log[w].busy = false;
		bed->log[w].error = 0;
		bed->log[w].reserve_error = 0;
	}
	nodes_open(bed);
}

int bed_restart(struct bed *bed)
{
	int err = 0;

	bed_crash(bed);
	node_recover_begin(bed->node, (1u << bed->workers) - 1);
	for (uint32_t w = 0; w < bed->workers && err == 0; w++) {
		err = log_fake_replay(&bed->log[w], w, 0, bed->node, bed->workers);
		node_recover_end(bed->node, w);
	}
	node_recovered(bed->node, bed->workers);
	return err;
}

void bed_id(struct bed *bed, uint32_t worker, uint8_t id[16])
{
	uint64_t owner = (((uint64_t)worker << 32) + (1ull << 31)) / bed->workers;

	packet_id(id, bed->now.wall_us / 1000, ++bed->ids, (uint32_t)owner);
	must(node_owner(id, bed->workers) == worker, "an id of another worker");
}

static void pass_begin(struct bed *bed, uint32_t worker)
{
	bed->telemetry[worker].telemetry.now_ns = bed->now.mono_us * 1000;
	node_pass_begin(bed->node[worker], bed->now);
}

enum node_verdict bed_send_bytes(struct bed *bed, uint32_t worker, const uint8_t *in, uint32_t n,
				 struct bed_answer *answer)
{
	struct node *node = bed->node[worker];

	answer->in_bytes = n < sizeof(answer->in) ? n : (uint32_t)sizeof(answer->in);
	memcpy(answer->in, in, answer->in_bytes);
	answer->again = 0;
	answer->n = 0;
	answer->told = 0;
	pass_begin(bed, worker);
	answer->verdict = node_execute(node, in, n, answer->bytes, &answer->n, answer);
	node_pass_end(node);
	return answer->verdict;
}

enum node_verdict bed_send(struct bed *bed, uint32_t worker, const struct packet *packet,
			   struct bed_answer *answer)
{
	return bed_send_bytes(bed, worker, packet->bytes, packet->used, answer);
}

static void done(void *arg, void *token, const uint8_t *result, uint32_t at, uint32_t bytes)
{
	struct bed_answer *answer = token;
	struct bed *bed = arg;

	must(at + bytes <= answer->n, "a result beyond its answer");
	memcpy(answer->bytes + at, result, bytes);
	answer->told++;
	answer->order = ++bed->told;
}

void bed_durable(struct bed *bed, uint32_t worker, uint64_t n)
{
	pass_begin(bed, worker);
	node_durable(bed->node[worker], log_fake_sync(&bed->log[worker], n), done, bed);
	node_pass_end(bed->node[worker]);
}

/* node_again_fn */
static void again(void *arg, void *token)
{
	struct bed_answer *answer = token;
	struct node *node = arg;

	answer->again++;
	answer->verdict =
		node_execute(node, answer->in, answer->in_bytes, answer->bytes, &answer->n, answer);
}

void bed_fetch(struct bed *bed, uint32_t worker, uint32_t n)
{
	struct node *node = bed->node[worker];

	pass_begin(bed, worker);
	for (; n > 0 && bed->log[worker].reading > 0; n--) {
		uint64_t tag = 0;
		int result = log_fake_read(&bed->log[worker], 0, &tag);

		node_read_done(node, tag, result);
	}
	node_fetched(node, again, node);
	node_pass_end(node);
}

struct version *bed_version(struct bed *bed, const char *key)
{
	const struct index *index = &bed->store->index;
	struct key_id id = index_id(index, (const uint8_t *)key, (uint32_t)strlen(key));
	struct key *k = index_find(index, id, (const uint8_t *)key, (uint32_t)strlen(key));

	must(k != NULL, "no such key");
	return atomic_load_explicit(&k->newest, memory_order_acquire);
}

void bed_evict(struct node *node, struct version *version)
{
	const uint8_t *value;

	must(version_is_large(version) && version_value(version), "no value to evict");
	value = cache_take(&node->store->cache, version);
	atomic_store_explicit(&version->value, NULL, memory_order_relaxed);
	memory_free(&node->memory, (void *)(uintptr_t)value, version->bytes);
}

void bed_cold(struct bed *bed, const char *key)
{
	bed_evict(bed->node[0], bed_version(bed, key));
}

void bed_run(struct bed *bed, uint32_t worker, const struct packet *packet,
	     struct bed_answer *answer)
{
	bed_send(bed, worker, packet, answer);
	while (answer->verdict == NODE_FETCH)
		bed_fetch(bed, worker, UINT32_MAX);
	if (answer->verdict == NODE_WAIT)
		bed_durable(bed, worker, UINT64_MAX);
}

void bed_log_failed(struct bed *bed, uint32_t worker, int error)
{
	bed->log[worker].error = error;
	pass_begin(bed, worker);
	node_log_failed(bed->node[worker], done, bed);
	node_pass_end(bed->node[worker]);
}

void bed_advance_us(struct bed *bed, uint64_t us)
{
	bed->now.wall_us += us;
	bed->now.mono_us += us;
}

uint64_t bed_tick(struct bed *bed, uint32_t worker)
{
	uint64_t us;

	pass_begin(bed, worker);
	us = node_tick(bed->node[worker]);
	node_pass_end(bed->node[worker]);
	return us;
}

void bed_ticks(struct bed *bed, uint32_t steps)
{
	for (uint32_t i = 0; i < steps; i++) {
		bed_advance_us(bed, 10000);
		for (uint32_t w = 0; w < bed->workers; w++)
			bed_tick(bed, w);
	}
}

uint16_t bed_status(const struct bed_answer *answer, uint32_t i)
{
	struct reply reply;

	must(reply_open(&reply, answer->bytes, answer->n), "a malformed answer");
	if (reply.flags & ABAFT_FLAG_REFUSED)
		return reply.status;
	return bed_result(answer, i).status;
}

struct reply_result bed_result(const struct bed_answer *answer, uint32_t i)
{
	struct reply_result result;
	struct reply reply;

	must(reply_open(&reply, answer->bytes, answer->n), "a malformed answer");
	for (uint32_t k = 0; k <= i; k++)
		must(reply_next(&reply, &result), "a result is missing");
	return result;
}

uint64_t bed_instance(const struct bed_answer *answer)
{
	struct reply reply;

	must(reply_open(&reply, answer->bytes, answer->n), "a malformed answer");
	return reply.instance;
}

const struct node_counters *bed_counters(const struct bed *bed, uint32_t worker)
{
	return node_counters(bed->node[worker]);
}

static void put(struct packet *p, const char *key, const char *value)
{
	if (value)
		packet_put(p, key, (uint16_t)strlen(key), value, (uint32_t)strlen(value));
	else
		packet_delete(p, key, (uint16_t)strlen(key));
}

static uint16_t commit_of(struct bed *bed, uint32_t worker, const char *a, const char *b,
			  const char *value)
{
	struct bed_answer answer;
	struct packet p;
	uint8_t id[16];

	bed_id(bed, worker, id);
	packet_begin(&p, id, 0, 0, 0, 0, ABAFT_FLAG_OPEN);
	put(&p, a, value);
	if (b)
		put(&p, b, value);
	packet_commit(&p);
	packet_finish(&p);
	bed_run(bed, worker, &p, &answer);
	return bed_status(&answer, b ? 2 : 1);
}

uint16_t bed_put(struct bed *bed, uint32_t worker, const char *key, const char *value)
{
	return commit_of(bed, worker, key, NULL, value);
}

uint16_t bed_put2(struct bed *bed, uint32_t worker, const char *a, const char *b, const char *value)
{
	return commit_of(bed, worker, a, b, value);
}

void bed_get(struct bed *bed, uint32_t worker, const char *key, char *text, uint32_t text_bytes)
{
	struct reply_result result;
	struct bed_answer answer;
	struct packet p;
	uint8_t id[16];

	bed_id(bed, worker, id);
	packet_begin(&p, id, 0, 0, 0, 0, ABAFT_FLAG_OPEN);
	packet_get(&p, key, (uint16_t)strlen(key), 0);
	packet_commit(&p);
	packet_finish(&p);
	bed_run(bed, worker, &p, &answer);
	result = bed_result(&answer, 0);
	must(result.status == ABAFT_OK || result.status == ABAFT_NOT_FOUND, "a read failed");
	snprintf(text, text_bytes, "%.*s", (int)result.data_bytes, (const char *)result.data);
}

uint64_t bed_used(const struct bed *bed)
{
	uint64_t used = 0;

	for (uint32_t w = 0; w < bed->workers; w++)
		used += bed->node[w]->memory.bytes_used;
	return used;
}
