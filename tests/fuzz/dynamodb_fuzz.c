/* SPDX-License-Identifier: Apache-2.0 */
/*
 * dynamodb_fuzz.c - arbitrary bytes as what a DynamoDB answers.
 *
 * The first byte says what was asked for: a verb, and how many items. The rest is the body, in
 * memory that ends with it, taken as an answer and then as an error. What must hold: an answer is
 * taken, and then each item has a result and no more content than was asked for, and leaves are
 * names of ours, each above the one before; or it is refused with a reason. An error is one that a
 * driver may end in, and its sentence has nothing that disturbs a terminal.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "dataplane/engine/dynamodb_answer.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define ITEMS	 4
#define CONTENT	 8
#define LEAVES	 3
#define BODY_MAX (64u << 10)

static const struct dynamodb_table table = {.name = "T", .prefix = "p"};
static char leaves[LEAVES][ENGINE_LEAF_BYTES];

static void must(bool holds)
{
	if (!holds)
		abort();
}

static void check_items(const struct dynamodb_part *part)
{
	for (uint32_t i = 0; i < part->count; i++) {
		const struct engine_item *item = part->items[i];

		must(item->result == 0 || item->result == -EBUSY ||
		     (item->result == -ENOENT && part->items[0]->to));
		must(item->got <= item->bytes);
	}
}

static void check_list(const struct dynamodb_part *part, const struct engine_list *list)
{
	const char *last = list->after;

	must(list->count <= list->max);
	must(!list->more || (list->count == list->max && part->start[0] == '\0'));
	for (uint32_t i = 0; i < list->count; i++) {
		must(memchr(leaves[i], '\0', ENGINE_LEAF_BYTES) != NULL);
		must(strcmp(leaves[i], last) > 0);
		last = leaves[i];
	}
}

static void check_sentence(const char *why)
{
	must(why[0] != '\0' && memchr(why, '\0', ENGINE_WHY_BYTES) != NULL);
	for (; *why; why++)
		must(*why >= ' ' && *why <= '~');
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct engine_item items[ITEMS] = {0};
	struct engine_list list = {.dir = "d", .after = "a", .leaf = leaves, .max = LEAVES};
	static struct dynamodb_part part;
	char why[ENGINE_WHY_BYTES] = "";
	struct engine_op op = {.items = items, .list = &list};
	uint8_t *body, *to;
	int err;

	if (size == 0 || size > BODY_MAX)
		return 0;
	body = malloc(size);
	to = malloc((size_t)ITEMS * CONTENT);
	must(body && to);
	memcpy(body, data + 1, size - 1);
	op.verb = data[0] % ENGINE_VERBS;
	op.count = 1 + data[0] / ENGINE_VERBS % ITEMS;
	for (uint32_t i = 0; i < op.count; i++) {
		items[i].name = (struct engine_name){.dir = "d", .leaf = {(char)('0' + i)}};
		items[i].to = op.verb == ENGINE_GET ? to + (size_t)i * CONTENT : NULL;
		items[i].bytes = op.verb == ENGINE_GET ? CONTENT : 0;
		items[i].offset = i;
		items[i].result = -EINPROGRESS;
	}
	dynamodb_part_take(&part, &op, 0, DYNAMODB_GETS_MAX);
	err = dynamodb_answer_take(&table, &part, body, size - 1, why);
	if (err == 0) {
		check_items(&part);
		check_list(&part, &list);
	} else {
		must(err == -EPROTO);
		check_sentence(why);
	}
	err = dynamodb_answer_error(&table, &part, 400, body, size - 1, why);
	must(err == -EBUSY || err == -ENOTCONN || err == -EACCES || err == -ENOSPC ||
	     err == -E2BIG || err == -EPROTO ||
	     (err == -EEXIST && part.action == DYNAMODB_PUT_NEW));
	check_sentence(why);
	free(to);
	free(body);
	return 0;
}
