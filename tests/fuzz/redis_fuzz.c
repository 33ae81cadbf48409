/* SPDX-License-Identifier: Apache-2.0 */
/*
 * redis_fuzz.c - arbitrary bytes as the answers of Redis servers, to one operation of each kind.
 *
 * The first byte says how the first connection is greeted: 0 not at all, 1 by a single server, 2 by
 * one of a cluster. Then records: two bits which connection, six bits how many bytes, the bytes.
 *
 * What must hold: each operation ends once, at the driver's end at the latest; with it each item,
 * and in an error unless it was really answered; nothing is written behind what the caller gave; a
 * LIST is in order; and what a GET brought was in the input.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "tests/lib/redis_bed.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { OPS = 5, NAMES = 3, BYTES = 4, LONG_MS = 60000, RECORDS_MAX = 64 };

struct work {
	struct engine_op ops[OPS];
	struct engine_item put, put_new, remove, get[2];
	struct engine_list list;
	char leaves[NAMES][ENGINE_LEAF_BYTES];
	uint8_t *to; /* of its exact size, so that ASan sees its end */
};

static void prepare(struct work *work)
{
	*work = (struct work){
		.put = {.name = {"d", "a"}, .data = (const uint8_t *)"data", .bytes = BYTES},
		.put_new = {.name = {"d", "b"}, .data = (const uint8_t *)"", .bytes = 0},
		.remove = {.name = {"e", "c"}},
		.get = {{.name = {"d", "a"}, .bytes = BYTES}, {.name = {"f", "g"}}},
		.list = {.dir = "d", .max = NAMES},
	};
	work->to = malloc(BYTES);
	work->get[0].to = work->to;
	work->list.leaf = work->leaves;
	work->ops[0] = (struct engine_op){.verb = ENGINE_PUT, .count = 1, .items = &work->put};
	work->ops[1] =
		(struct engine_op){.verb = ENGINE_PUT_NEW, .count = 1, .items = &work->put_new};
	work->ops[2] =
		(struct engine_op){.verb = ENGINE_DELETE, .count = 1, .items = &work->remove};
	work->ops[3] = (struct engine_op){.verb = ENGINE_GET, .count = 2, .items = work->get};
	work->ops[4] = (struct engine_op){.verb = ENGINE_LIST, .list = &work->list};
}

static void must(bool holds)
{
	if (!holds)
		abort();
}

static void check_op(const struct engine_op *op)
{
	int first = 0;

	for (uint32_t i = 0; op->verb != ENGINE_LIST && i < op->count; i++) {
		must(op->items[i].result != -EINPROGRESS && op->items[i].result <= 0);
		if (first == 0)
			first = op->items[i].result;
	}
	if (op->verb != ENGINE_LIST)
		must((op->result == 0) == (first == 0));
	if (op->result == -EEXIST)
		must(op->verb == ENGINE_PUT_NEW);
	if (op->result == -ENOENT)
		must(op->verb == ENGINE_GET);
}

static void check_work(const struct work *work, const uint8_t *data, size_t size)
{
	const struct engine_item *get = &work->get[0];

	for (int i = 0; i < OPS; i++)
		check_op(&work->ops[i]);
	must(get->got <= BYTES && work->get[1].got == 0);
	if (get->result == 0 && get->got > 0)
		must(memmem(data, size, get->to, 1) != NULL);
	must(work->list.count <= NAMES);
	for (uint32_t i = 1; work->ops[4].result == 0 && i < work->list.count; i++)
		must(strcmp(work->leaves[i - 1], work->leaves[i]) < 0);
}

static void greet(struct redis_bed *bed, uint8_t how)
{
	redis_bed_run(bed);
	if (how == 1)
		redis_bed_say(bed, 0, "*2\r\n$4\r\nrole\r\n$6\r\nmaster\r\n");
	else if (how == 2)
		redis_bed_say(bed, 0, "*2\r\n$4\r\nmode\r\n$7\r\ncluster\r\n");
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct redis_bed bed;
	struct work work;
	size_t at = 1;

	if (size == 0 || !redis_bed_open(&bed, "u", data[0] & 4 ? "pw" : NULL, 2))
		return 0;
	prepare(&work);
	for (int i = 0; i < OPS; i++)
		redis_bed_begin(&bed, &work.ops[i], LONG_MS);
	greet(&bed, data[0] & 3);
	for (int records = 0; at < size && records < RECORDS_MAX; records++) {
		uint32_t server = data[at] >> 6;
		size_t bytes = data[at++] & 63;

		if (bytes > size - at)
			bytes = size - at;
		redis_bed_heard(&bed, server);
		redis_bed_say_bytes(&bed, server, data + at, bytes);
		at += bytes;
	}
	redis_bed_close(&bed);
	must(bed.ended_count == OPS);
	check_work(&work, data, size);
	free(work.to);
	return 0;
}
