/* SPDX-License-Identifier: Apache-2.0 */
/* The object node/id: who a prefix belongs to, and how long its objects are. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#include "dataplane/core/crc.h"
#include "dataplane/remote/remote_impl.h"
#include "tests/unit/remote/process.h"

#define ID_BYTES  32
#define FORMAT_AT 4
#define NODE_AT	  8
#define PART_AT	  24
#define CRC_AT	  28

static uint32_t word_at(const uint8_t *id, uint32_t at)
{
	uint32_t word;

	memcpy(&word, id + at, sizeof(word));
	return word;
}

/* Changes a word of the object and makes it whole again. */
static void forge(struct fake_store *store, uint32_t at, uint32_t word)
{
	uint8_t id[ID_BYTES];
	uint32_t bytes, crc;

	memcpy(id, fake_store_find(store, "node", "id", &bytes), ID_BYTES);
	memcpy(id + at, &word, sizeof(word));
	crc = crc32c(id, CRC_AT);
	memcpy(id + CRC_AT, &crc, sizeof(crc));
	fake_store_put(store, "node", "id", id, ID_BYTES);
}

static void refused(struct fake_store *store, int error, const char *text)
{
	struct process process;

	assert_int_equal(process_try(&process, store, 9), error);
	if (!strstr(process.why, text))
		fail_msg("\"%s\" does not say \"%s\"", process.why, text);
}

/* The first process makes it, of what its configuration says; all others read it. */
static void made_and_read(void **state)
{
	struct fake_store *store = fake_store_create(1);
	struct process first, second;
	uint8_t node[16];
	const uint8_t *id;
	uint32_t bytes;

	process_start(&first, store, 1);
	memset(node, 0x51, sizeof(node));
	assert_memory_equal(remote_node_id(first.remote), node, 16);
	id = fake_store_find(store, "node", "id", &bytes);
	assert_non_null(id);
	assert_int_equal(bytes, ID_BYTES);
	assert_memory_equal(id, "ABID", 4);
	assert_int_equal(word_at(id, FORMAT_AT), REMOTE_FORMAT);
	assert_memory_equal(id + NODE_AT, node, 16);
	assert_int_equal(word_at(id, PART_AT), ABAFT_LOG_GROUP_BYTES_MAX + REMOTE_WRITER_BYTES);
	assert_int_equal(word_at(id, CRC_AT), crc32c(id, CRC_AT));
	process_start(&second, store, 2);
	assert_memory_equal(remote_node_id(second.remote), node, 16);
	assert_int_equal(fake_store_count(store, NULL), 1);
	process_end(&first);
	process_end(&second);
	fake_store_destroy(store);
}

/* Parts are as long as the engine that it was made over takes, and stay so. */
static void part_bytes(void **state)
{
	struct fake_store *store = fake_store_create(1);
	struct process process;

	fake_faults(store)->value_max = 350000;
	process_start(&process, store, 1);
	assert_int_equal(process.remote->part_bytes, 350000);
	process_end(&process);
	fake_faults(store)->value_max = 0;
	process_start(&process, store, 1);
	assert_int_equal(process.remote->part_bytes, 350000);
	process_end(&process);
	fake_faults(store)->value_max = 300000;
	refused(store, -EBADMSG, "objects under this prefix have up to 350000 bytes");
	fake_store_destroy(store);
}

/* Over an engine that takes too little nothing is made. */
static void too_small_parts(void **state)
{
	struct fake_store *store = fake_store_create(1);

	fake_faults(store)->value_max = REMOTE_PART_BYTES_MIN - 1;
	refused(store, -EINVAL, "takes objects of 65535 bytes at most");
	assert_int_equal(fake_store_count(store, NULL), 0);
	fake_store_destroy(store);
}

static void damaged(void **state)
{
	struct fake_store *store = fake_store_create(1);
	struct process process;
	uint8_t id[ID_BYTES];
	uint32_t bytes;

	process_start(&process, store, 1);
	process_end(&process);
	memcpy(id, fake_store_find(store, "node", "id", &bytes), ID_BYTES);
	for (uint32_t bit = 0; bit < 8 * ID_BYTES; bit++) {
		id[bit / 8] ^= (uint8_t)(1u << bit % 8);
		fake_store_put(store, "node", "id", id, ID_BYTES);
		refused(store, -EBADMSG, "node/id is damaged or not abaft's");
		id[bit / 8] ^= (uint8_t)(1u << bit % 8);
	}
	for (uint32_t i = 0; i < ID_BYTES; i++) {
		fake_store_put(store, "node", "id", id, i);
		refused(store, -EBADMSG, "node/id is damaged or not abaft's");
	}
	forge(store, PART_AT, REMOTE_PART_BYTES_MIN - 1);
	refused(store, -EBADMSG, "node/id is damaged or not abaft's");
	forge(store, PART_AT, ENGINE_OBJECT_BYTES_MAX + 1);
	refused(store, -EBADMSG, "node/id is damaged or not abaft's");
	fake_store_destroy(store);
}

static void of_another_format(void **state)
{
	struct fake_store *store = fake_store_create(1);
	struct process process;

	process_start(&process, store, 1);
	process_end(&process);
	forge(store, FORMAT_AT, REMOTE_FORMAT + 1);
	refused(store, -EBADMSG, "objects are of format 2, this program knows 1");
	forge(store, FORMAT_AT, 0);
	refused(store, -EBADMSG, "objects are of format 0, this program knows 1");
	fake_store_destroy(store);
}

static void unreachable(void **state)
{
	struct fake_store *store = fake_store_create(1);
	struct process process;

	fake_store_fail(store, ENGINE_GET, -EACCES);
	refused(store, -EACCES, "node/id cannot be read");
	fake_store_fail(store, ENGINE_GET, 0);
	fake_store_fail(store, ENGINE_PUT_NEW, -ENOSPC);
	refused(store, -ENOSPC, "node/id cannot be made");
	fake_store_fail(store, ENGINE_PUT_NEW, 0);
	fake_store_outage(store, 1000000);
	refused(store, -ETIMEDOUT, "node/id cannot be read");
	fake_store_outage(store, 0);
	process_start(&process, store, 1);
	process_end(&process);
	fake_store_destroy(store);
}

struct race {
	struct fake_store *store;
	struct process process[3];
	int error[3];
	uint32_t begun;
};

/* The next maker begins while one before waits: its own waiting is not interrupted. */
static void next_maker(void *arg)
{
	struct race *race = arg;
	uint32_t i = race->begun++;

	if (i < 3)
		race->error[i] = process_try(&race->process[i], race->store, i);
}

/* Who comes second takes what the first made, at whatever moment, also when answers are lost. */
static void two_makers(void **state)
{
	uint64_t refusals = 0;

	for (uint64_t seed = 1; seed <= 300; seed++) {
		struct race race = {.store = fake_store_create(seed)};

		*fake_faults(race.store) = (struct fake_faults){.delay = 6,
								.lost_put = seed % 2 ? 3 : 0,
								.lost_other = 5,
								.late = 2,
								.late_ticks = 20};
		fake_store_meanwhile(race.store, next_maker, &race);
		next_maker(&race);
		fake_store_meanwhile(race.store, NULL, NULL);
		while (race.begun < 3)
			next_maker(&race);
		for (uint32_t i = 0; i < 3; i++) {
			assert_int_equal(race.error[i], 0);
			assert_memory_equal(remote_node_id(race.process[i].remote),
					    remote_node_id(race.process[0].remote), 16);
		}
		for (uint32_t i = 0; i < 3; i++)
			process_end(&race.process[i]);
		refusals += fake_fired(race.store)->refused;
		fake_store_destroy(race.store);
	}
	assert_true(refusals > 20);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(made_and_read),     cmocka_unit_test(part_bytes),
		cmocka_unit_test(too_small_parts),   cmocka_unit_test(damaged),
		cmocka_unit_test(of_another_format), cmocka_unit_test(unreachable),
		cmocka_unit_test(two_makers),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
