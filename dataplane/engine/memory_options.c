/* SPDX-License-Identifier: Apache-2.0 */
/*
 * memory_options.c - the table of memory_driver.h's options.
 */
#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "dataplane/engine/memory_store.h"

/* 99 % of a normal distribution lie below so many standard deviations. */
#define P99_SIGMAS 2.3263478740408408
#define NEVER	   UINT64_MAX

enum type {
	TYPE_SEED,
	TYPE_LATENCY, /* of the verb at `offset`; ENGINE_VERBS: of all */
	TYPE_PROBABILITY,
	TYPE_LATE,
	TYPE_MS,
	TYPE_BYTES,
	TYPE_COUNT,
	TYPE_BOOL,
	TYPE_DOWN,
};

struct option {
	const char *name;
	enum type type;
	size_t offset;
};

#define AT(field) offsetof(struct memory_faults, field)

static const struct option options_known[] = {
	{"seed", TYPE_SEED, 0},
	{"latency", TYPE_LATENCY, ENGINE_VERBS},
	{"get", TYPE_LATENCY, ENGINE_GET},
	{"put", TYPE_LATENCY, ENGINE_PUT},
	{"put_new", TYPE_LATENCY, ENGINE_PUT_NEW},
	{"delete", TYPE_LATENCY, ENGINE_DELETE},
	{"list", TYPE_LATENCY, ENGINE_LIST},
	{"error", TYPE_PROBABILITY, AT(error)},
	{"throttle", TYPE_PROBABILITY, AT(throttle)},
	{"lost", TYPE_PROBABILITY, AT(lost)},
	{"late", TYPE_LATE, 0},
	{"partial", TYPE_PROBABILITY, AT(partial)},
	{"lose", TYPE_PROBABILITY, AT(lose)},
	{"stale", TYPE_MS, AT(stale_us)},
	{"full", TYPE_BYTES, AT(full_bytes)},
	{"denied", TYPE_BOOL, AT(denied)},
	{"down", TYPE_DOWN, 0},
	{"conditional", TYPE_BOOL, AT(conditional)},
	{"ranges", TYPE_BOOL, AT(ranges)},
	{"value_max", TYPE_COUNT, AT(value_max)},
	{"batch_max", TYPE_COUNT, AT(batch_max)},
	{"delete_max", TYPE_COUNT, AT(delete_max)},
};

#define OPTIONS (sizeof(options_known) / sizeof(options_known[0]))

void memory_faults_none(struct memory_faults *faults)
{
	*faults = (struct memory_faults){
		.down_us = NEVER,
		.up_us = NEVER,
		.conditional = true,
		.ranges = true,
		.value_max = ENGINE_OBJECT_BYTES_MAX,
		.batch_max = ENGINE_ITEMS_MAX,
		.delete_max = ENGINE_ITEMS_MAX,
	};
}

/* A number that is all of the text, from 0 to `most`. */
static bool number(const char *text, double most, double *out)
{
	char *end;

	if (text[0] < '0' || text[0] > '9')
		return false;
	*out = strtod(text, &end);
	return *end == '\0' && *out >= 0 && *out <= most;
}

/* A/B; changes the text. */
static bool two_numbers(char *text, double most, double *a, double *b)
{
	char *slash = strchr(text, '/');

	if (slash == NULL)
		return false;
	*slash = '\0';
	return number(text, most, a) && number(slash + 1, most, b);
}

static bool set_latency(struct memory_faults *faults, size_t verb, char *value)
{
	struct memory_latency latency = {0};
	double p99_us;

	if (!two_numbers(value, 1e9, &latency.median_us, &p99_us) || p99_us < latency.median_us)
		return false;
	if (latency.median_us > 0)
		latency.sigma = log(p99_us / latency.median_us) / P99_SIGMAS;
	for (size_t i = 0; i < ENGINE_VERBS; i++)
		if (verb == ENGINE_VERBS || verb == i)
			faults->latency[i] = latency;
	return true;
}

static bool yes_or_no(const char *value, bool *out)
{
	*out = strcmp(value, "yes") == 0;
	return *out || strcmp(value, "no") == 0;
}

static bool set_down(struct memory_faults *faults, char *value, uint64_t now_us)
{
	double from_ms, to_ms;
	bool down;

	if (yes_or_no(value, &down)) {
		faults->down_us = down ? 0 : NEVER;
		faults->up_us = NEVER;
		return true;
	}
	if (!two_numbers(value, 1e9, &from_ms, &to_ms))
		return false;
	faults->down_us = now_us + (uint64_t)(from_ms * 1000);
	faults->up_us = now_us + (uint64_t)(to_ms * 1000);
	return true;
}

static bool set_late(struct memory_faults *faults, char *value)
{
	double late, ms;

	if (!two_numbers(value, 1e9, &late, &ms) || late > 1)
		return false;
	faults->late = late;
	faults->late_us = (uint64_t)(ms * 1000);
	return true;
}

static bool set(struct memory_store *store, const struct option *option, char *value,
		uint64_t now_us)
{
	void *field = (char *)&store->faults + option->offset;
	double x;

	switch (option->type) {
	case TYPE_LATENCY:
		return set_latency(&store->faults, option->offset, value);
	case TYPE_LATE:
		return set_late(&store->faults, value);
	case TYPE_DOWN:
		return set_down(&store->faults, value, now_us);
	case TYPE_BOOL:
		return yes_or_no(value, field);
	case TYPE_PROBABILITY:
		return number(value, 1, field);
	default:
		break;
	}
	if (!number(value, option->type == TYPE_COUNT ? ENGINE_OBJECT_BYTES_MAX : 0x1p53, &x))
		return false;
	if (option->type == TYPE_SEED)
		store->random = (uint64_t)x;
	else if (option->type == TYPE_COUNT)
		*(uint32_t *)field = (uint32_t)x;
	else
		*(uint64_t *)field = (uint64_t)x * (option->type == TYPE_MS ? 1000 : 1);
	return option->type != TYPE_COUNT || x > 0;
}

int memory_faults_set(struct memory_store *store, const char *options, uint64_t now_us, char *why)
{
	char copy[sizeof(((struct engine_url *)NULL)->options)];
	char *rest = copy, *name;

	if ((size_t)snprintf(copy, sizeof(copy), "%s", options) >= sizeof(copy)) {
		snprintf(why, ENGINE_WHY_BYTES, "memory: too many options");
		return -EINVAL;
	}
	while ((name = strsep(&rest, "&")) != NULL) {
		char *value = strchr(name, '=');
		size_t i = 0;

		if (value != NULL)
			*value++ = '\0';
		while (i < OPTIONS && strcmp(options_known[i].name, name) != 0)
			i++;
		if (name[0] == '\0' && value == NULL)
			continue;
		if (i == OPTIONS || value == NULL ||
		    !set(store, &options_known[i], value, now_us)) {
			snprintf(why, ENGINE_WHY_BYTES,
				 "memory: %.40s: %s; memory_driver.h says what there is", name,
				 i == OPTIONS ? "no such option" : "not a value that it takes");
			return -EINVAL;
		}
	}
	return 0;
}
