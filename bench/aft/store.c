/* SPDX-License-Identifier: Apache-2.0 */
/*
 * store.c - finds a store by its name.
 */
#include "bench/aft/store.h"

#include <stdio.h>
#include <string.h>
#include <time.h>

static const struct {
	const char *name;
	const struct store_ops *ops;
} kinds[] = {
	{"abaft", &store_abaft},
	{"redis", &store_redis},
	{"redis-multi", &store_redis_multi},
	{"redis-validated", &store_redis_multi},
	{"s3", &store_s3},
	{"dynamodb", &store_dynamodb},
};

int store_open(struct store *store, const struct store_config *config)
{
	*store = (struct store){.config = *config};
	for (size_t i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++)
		if (strcmp(kinds[i].name, config->kind) == 0)
			store->ops = kinds[i].ops;
	if (!store->ops) {
		fprintf(stderr, "there is no store '%s'; see bench/aft/store.h\n", config->kind);
		return ABAFT_INVALID;
	}
	return store->ops->open(store);
}

void store_close(struct store *store)
{
	if (store->ops)
		store->ops->close(store);
}

uint64_t store_now_us(void)
{
	struct timespec now;

	clock_gettime(CLOCK_REALTIME, &now);
	return (uint64_t)now.tv_sec * 1000000u + (uint64_t)now.tv_nsec / 1000;
}
