// SPDX-License-Identifier: Apache-2.0
/*
 * report.c - prints what was found: a table and witnesses told in sentences for people, or
 * JSON for programs.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cJSON.h>

#include "tools/history/model.h"
#include "tools/history/story.h"

struct kind_text {
	const char *name, *also, *text;
	bool anomaly;
};

static const struct kind_text kinds[CHECK_KIND_COUNT] = {
#define CHECK_KIND_TEXT(name, also, anomaly, text) {#name, also, text, anomaly},
	CHECK_KINDS(CHECK_KIND_TEXT)
#undef CHECK_KIND_TEXT
};

bool check_kind_is_anomaly(enum check_kind kind)
{
	return kinds[kind].anomaly;
}

uint64_t check_anomalies(const struct check *check)
{
	uint64_t sum = 0;

	for (int i = 0; i < CHECK_KIND_COUNT; i++)
		sum += kinds[i].anomaly ? check->pairs[i] : 0;
	return sum;
}

static void print_witness(const struct check *check, const struct check_witness *witness)
{
	const struct kind_text *kind = &kinds[witness->kind];
	struct story story;
	char who[STORY_TEXT_MAX];

	story_tell(check, witness, &story);
	printf("\n%s%s%s%s: %s\n", kind->name, *kind->also ? " (" : "", kind->also,
	       *kind->also ? ")" : "", kind->text);
	for (uint32_t i = 0; i < story.count; i++)
		printf("  %2" PRIu32 ". %s\n", i + 1, story.steps[i]);
	for (uint32_t i = 0; i < story.txn_count; i++) {
		story_who(check, &story, i, who);
		printf("      T%" PRIu32 ": %s\n", i + 1, who);
	}
}

void check_print(const struct check *check)
{
	const struct check_witness *witness = check->witnesses.data;
	uint64_t anomalies = check_anomalies(check);

	printf("transactions: %" PRIu64 " committed, %" PRIu64 " aborted or failed, %" PRIu64
	       " undecided, %" PRIu64 " seen only through their values\n",
	       check->fates[CHECK_COMMITTED], check->fates[CHECK_DROPPED],
	       check->fates[CHECK_UNDECIDED], check->fates[CHECK_UNSEEN]);
	printf("operations: %" PRIu64 " reads, %" PRIu64 " writes; %" PRIu64
	       " pairs of reads judged; %" PRIu64 " reads not judged\n",
	       check->reads, check->changes, check->pairs_judged, check->reads_unjudged);
	if (check->finals.count)
		printf("final state: %zu keys; %" PRIu64 " acknowledged writes judged, %" PRIu64
		       " not judged\n",
		       check->finals.count, check->commits_judged, check->commits_unjudged);
	else
		printf("final state: none given, so lost commits were not looked for\n");
	if (check->torn_lines)
		printf("last lines cut short, and left out: %" PRIu32 "\n", check->torn_lines);
	printf("circles: looked for in %" PRIu64 " dependencies; the place of %" PRIu64
	       " writes among those of their key is not known\n",
	       check->edges, check->orders_unjudged);
	printf("\n%-20s %-15s %12s %12s\n", "anomaly", "also called", "transactions", "instances");
	for (int i = 0; i < CHECK_KIND_COUNT; i++) {
		if (i > 0 && kinds[i - 1].anomaly && !kinds[i].anomaly)
			printf("allowed by read atomic:\n");
		printf("%-20s %-15s %12" PRIu64 " %12" PRIu64 "\n", kinds[i].name, kinds[i].also,
		       check->transactions[i], check->pairs[i]);
	}
	for (size_t i = 0; i < check->witnesses.count; i++)
		if (check->print_allowed || kinds[witness[i].kind].anomaly)
			print_witness(check, &witness[i]);
	printf("\n%s\n", anomalies ? "ANOMALIES FOUND" : "clean: no anomaly found");
}

static bool number(cJSON *object, const char *name, uint64_t value)
{
	return cJSON_AddNumberToObject(object, name, (double)value) != NULL;
}

static bool text(cJSON *array, const char *line)
{
	cJSON *item = cJSON_CreateString(line);

	if (item && cJSON_AddItemToArray(array, item))
		return true;
	cJSON_Delete(item);
	return false;
}

static bool json_story(const struct check *check, cJSON *object,
		       const struct check_witness *witness)
{
	cJSON *steps = cJSON_AddArrayToObject(object, "steps");
	cJSON *transactions = cJSON_AddArrayToObject(object, "transactions");
	struct story story;
	char who[STORY_TEXT_MAX];
	bool ok = steps && transactions;

	story_tell(check, witness, &story);
	for (uint32_t i = 0; ok && i < story.count; i++)
		ok = text(steps, story.steps[i]);
	for (uint32_t i = 0; ok && i < story.txn_count; i++) {
		story_who(check, &story, i, who);
		ok = text(transactions, who);
	}
	return ok;
}

static bool json_witness(const struct check *check, cJSON *array,
			 const struct check_witness *witness)
{
	const struct kind_text *kind = &kinds[witness->kind];
	cJSON *object = cJSON_CreateObject();
	bool ok;

	if (!object || !cJSON_AddItemToArray(array, object)) {
		cJSON_Delete(object);
		return false;
	}
	ok = cJSON_AddStringToObject(object, "kind", kind->name) &&
	     cJSON_AddStringToObject(object, "also", kind->also);
	if (ok && witness->part != CHECK_NONE) {
		const struct check_part *part = &check->parts[witness->part];

		ok = cJSON_AddStringToObject(object, "file", check->files[part->file]) &&
		     number(object, "line", part->line);
	}
	return ok && json_story(check, object, witness);
}

static bool json_counts(const struct check *check, cJSON *root)
{
	cJSON *anomalies = cJSON_AddObjectToObject(root, "anomalies");
	cJSON *allowed = cJSON_AddObjectToObject(root, "allowed");
	bool ok = anomalies && allowed;

	for (int i = 0; ok && i < CHECK_KIND_COUNT; i++) {
		cJSON *kind = cJSON_AddObjectToObject(kinds[i].anomaly ? anomalies : allowed,
						      kinds[i].name);

		ok = kind && cJSON_AddStringToObject(kind, "also", kinds[i].also) &&
		     number(kind, "transactions", check->transactions[i]) &&
		     number(kind, "instances", check->pairs[i]);
	}
	return ok;
}

int check_print_json(const struct check *check)
{
	const struct check_witness *witness = check->witnesses.data;
	cJSON *root = cJSON_CreateObject();
	cJSON *witnesses;
	char *printed = NULL;
	bool ok = root && cJSON_AddBoolToObject(root, "clean", check_anomalies(check) == 0) &&
		  number(root, "committed", check->fates[CHECK_COMMITTED]) &&
		  number(root, "dropped", check->fates[CHECK_DROPPED]) &&
		  number(root, "undecided", check->fates[CHECK_UNDECIDED]) &&
		  number(root, "unseen", check->fates[CHECK_UNSEEN]) &&
		  number(root, "reads", check->reads) && number(root, "writes", check->changes) &&
		  number(root, "pairs_judged", check->pairs_judged) &&
		  number(root, "reads_unjudged", check->reads_unjudged) &&
		  number(root, "final_keys", check->finals.count) &&
		  number(root, "commits_judged", check->commits_judged) &&
		  number(root, "commits_unjudged", check->commits_unjudged) &&
		  number(root, "edges", check->edges) &&
		  number(root, "orders_unjudged", check->orders_unjudged) &&
		  number(root, "torn_lines", check->torn_lines) && json_counts(check, root);

	witnesses = ok ? cJSON_AddArrayToObject(root, "witnesses") : NULL;
	ok = witnesses != NULL;
	for (size_t i = 0; ok && i < check->witnesses.count; i++)
		ok = json_witness(check, witnesses, &witness[i]);
	if (ok)
		printed = cJSON_Print(root);
	if (printed)
		puts(printed);
	cJSON_free(printed);
	cJSON_Delete(root);
	return printed ? 0 : -ENOMEM;
}
