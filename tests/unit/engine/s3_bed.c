/* SPDX-License-Identifier: Apache-2.0 */
/* s3_bed.c - see s3_bed.h. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <cmocka.h>

#include "tests/unit/engine/s3_bed.h"

struct s3_fake *fake;
struct engine_driver *driver;
struct engine_counters counters;
uint32_t ended;
struct engine_item items[ITEMS];
uint8_t bytes[ITEMS][64];

uint64_t now_us(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * 1000000 + (uint64_t)now.tv_nsec / 1000;
}

static void on_end(void *arg, struct engine_op *op, int result)
{
	op->result = result;
	ended++;
	/* D2, D4 */
	for (uint32_t i = 0; op->verb != ENGINE_LIST && i < op->count; i++)
		assert_int_not_equal(op->items[i].result, -EINPROGRESS);
	assert_null(strstr(driver->why, SECRET));
	assert_null(strstr(driver->why, TOKEN));
}

int create(uint16_t port, const char *bucket, uint32_t connections)
{
	struct engine_credentials credentials = {
		.access_key = "key", .secret_key = SECRET, .session_token = TOKEN};
	struct engine_config config = {.connections = connections};
	struct engine_url url = {.scheme = "s3", .prefix = "a/b", .region = "us-east-1"};
	char why[ENGINE_WHY_BYTES];

	snprintf(url.host, sizeof(url.host), "%s", bucket);
	snprintf(url.endpoint, sizeof(url.endpoint), "http://127.0.0.1:%u", port);
	if (s3_driver_create(&driver, &url, &credentials, &config, why) != 0)
		return -1;
	memset(&counters, 0, sizeof(counters));
	driver->counters = &counters;
	driver->end = on_end;
	driver->end_arg = NULL;
	ended = 0;
	return 0;
}

static int start(const struct s3_fake_ways *ways, uint32_t connections)
{
	fake = s3_fake_start(ways);
	return create(s3_fake_port(fake), S3_FAKE_BUCKET, connections);
}

int setup(void **state)
{
	return start(&(struct s3_fake_ways){0}, 4);
}

int teardown(void **state)
{
	driver->ops->destroy(driver);
	s3_fake_stop(fake);
	return 0;
}

/* Another fake with ways of its own. */
void restart(const struct s3_fake_ways *ways)
{
	teardown(NULL);
	assert_int_equal(start(ways, 4), 0);
}

void name_set(struct engine_item *item, const char *leaf)
{
	snprintf(item->name.dir, sizeof(item->name.dir), "dir");
	snprintf(item->name.leaf, sizeof(item->name.leaf), "%s", leaf);
}

void begin(struct engine_op *op)
{
	op->result = -EINPROGRESS;
	if (op->own.try_until_us == 0)
		op->own.try_until_us = now_us() + LONG_US;
	driver->ops->begin(driver, op);
}

void wait_for(uint32_t count)
{
	uint64_t until = now_us() + 2 * LONG_US;

	while (ended < count && now_us() < until)
		driver->ops->run(driver, -1, 100);
	assert_int_equal(ended, count);
}

/* A try of these items, all to be sent. */
int try_items(enum engine_verb verb, uint32_t count)
{
	struct engine_op op = {.verb = verb, .count = count, .items = items};
	uint32_t before = ended;

	for (uint32_t i = 0; i < count; i++)
		items[i].result = -EINPROGRESS;
	begin(&op);
	wait_for(before + 1);
	return op.result;
}

int try_put(enum engine_verb verb, const char *leaf, const char *text)
{
	name_set(&items[0], leaf);
	items[0].data = (const uint8_t *)text;
	items[0].bytes = (uint32_t)strlen(text);
	return try_items(verb, 1);
}

int try_get(const char *leaf, uint32_t offset, uint32_t count)
{
	name_set(&items[0], leaf);
	memset(bytes[0], '-', sizeof(bytes[0]));
	items[0].to = bytes[0];
	items[0].offset = offset;
	items[0].bytes = count;
	items[0].got = 0;
	return try_items(ENGINE_GET, 1);
}

/* Items of a batch: leaves "0000", …. */
void batch(uint32_t count)
{
	char leaf[ENGINE_LEAF_BYTES];

	for (uint32_t i = 0; i < count; i++) {
		snprintf(leaf, sizeof(leaf), "%04u", i);
		name_set(&items[i], leaf);
		snprintf((char *)bytes[i], sizeof(bytes[i]), "data of %u", i);
		items[i].data = items[i].to = bytes[i];
		items[i].bytes = (uint32_t)strlen((char *)bytes[i]);
		items[i].offset = 0;
	}
}

void rule(const char *method, uint32_t count, enum s3_fake_do what, int status, const char *text)
{
	s3_fake_rule(fake, &(struct s3_fake_rule){method, count, what, status, text});
}
