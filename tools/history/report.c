// SPDX-License-Identifier: Apache-2.0
/*
 * report.c - prints what was found: a table and the smallest witness of each anomaly for
 * people, or JSON for programs.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cJSON.h>

#include "tools/history/model.h"

struct kind_text {
	const char *name, *text;
	bool anomaly;
};

static const struct kind_text kinds[CHECK_KIND_COUNT] = {
#define CHECK_KIND_TEXT(name, anomaly, text) {#name, text, anomaly},
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

#define TEXT_BYTES 256

static const char *key_text(const struct check *check, uint32_t key, char text[TEXT_BYTES])
{
	size_t bytes;
	const void *name = check_names_get(&check->keys, key, &bytes);
	ssize_t n = tag_escape(text, TEXT_BYTES - 1, name, bytes < 64 ? bytes : 64);

	text[n < 0 ? 0 : n] = '\0';
	return text;
}

static const char *txn_text(const struct check *check, uint32_t txn, char text[TEXT_BYTES])
{
	struct abaft_id id;
	size_t bytes;

	if (txn == CHECK_NONE)
		return "the final state";
	memcpy(&id, check_names_get(&check->txn_ids, txn, &bytes), sizeof(id));
	tag_id_text(&id, text);
	return text;
}

static size_t version_text(struct abaft_version version, char *text, size_t bytes)
{
	if (version.time == 0)
		return 0;
	return (size_t)snprintf(text, bytes, ", version %" PRIu64 ".%" PRIu32, version.time,
				version.origin);
}

/* "read k1: written by ID (step 0, attempt 1, operation 2), version 5.1" */
static void op_text(const struct check *check, uint32_t number, char text[2 * TEXT_BYTES])
{
	const struct check_op *op = &check->ops[number];
	char key[TEXT_BYTES], id[TEXT_BYTES];
	size_t at;

	key_text(check, op->key, key);
	if (op->kind != 'r') {
		snprintf(text, 2 * TEXT_BYTES, "%s %s (step %u, attempt %u, operation %" PRIu32 ")",
			 op->kind == 'w' ? "wrote" : "deleted", key, op->number.step,
			 op->number.attempt, op->number.seq);
		return;
	}
	if (op->seen == HISTORY_SEEN_TAGGED)
		at = (size_t)snprintf(text, 2 * TEXT_BYTES,
				      "read %s: written by %s (step %u, attempt %u, operation "
				      "%" PRIu32 ")",
				      key, txn_text(check, op->writer, id), op->number.step,
				      op->number.attempt, op->number.seq);
	else
		at = (size_t)snprintf(text, 2 * TEXT_BYTES, "read %s: %s", key,
				      op->seen == HISTORY_SEEN_NONE ? "no value"
								    : "a value without a tag");
	version_text(op->version, text + at, 2 * TEXT_BYTES - at);
}

static void print_witness(const struct check *check, const struct check_witness *witness)
{
	char text[2 * TEXT_BYTES], name[TEXT_BYTES];

	printf("\n%s: %s\n", kinds[witness->kind].name, kinds[witness->kind].text);
	printf("  transaction %s", txn_text(check, witness->txn, name));
	if (witness->part != CHECK_NONE) {
		const struct check_part *part = &check->parts[witness->part];
		size_t bytes;
		const char *client = check_names_get(&check->clients, part->client, &bytes);

		printf(" of client %.*s, %s, at %s:%" PRIu32, (int)bytes, client,
		       history_outcome_name(part->outcome), check->files[part->file], part->line);
	}
	printf("\n");
	for (int i = 0; i < 2; i++) {
		if (witness->op[i] == CHECK_NONE)
			continue;
		op_text(check, witness->op[i], text);
		printf("    %s\n", text);
	}
	if (witness->key != CHECK_NONE)
		printf("    had written %s\n", key_text(check, witness->key, name));
	if (witness->other != CHECK_NONE && witness->other != witness->txn) {
		const struct check_txn *other = &check->txns[witness->other];

		text[version_text(other->version, text, sizeof(text))] = '\0';
		printf("    the other: %s%s, which wrote", txn_text(check, witness->other, name),
		       text);
		for (uint32_t i = 0; i < other->writes_count && i < 8; i++)
			printf(" %s",
			       key_text(check, check->writes[other->writes_at + i].key, name));
		printf("%s\n", other->writes_count == 0	 ? " nothing that is known"
			       : other->writes_count > 8 ? " ..."
							 : "");
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
	printf("\n%-20s %12s %12s\n", "anomaly", "transactions", "pairs");
	for (int i = 0; i < CHECK_KIND_COUNT; i++) {
		if (i > 0 && kinds[i - 1].anomaly && !kinds[i].anomaly)
			printf("allowed by read atomic:\n");
		printf("%-20s %12" PRIu64 " %12" PRIu64 "\n", kinds[i].name, check->transactions[i],
		       check->pairs[i]);
	}
	for (size_t i = 0; i < check->witnesses.count; i++)
		if (kinds[witness[i].kind].anomaly)
			print_witness(check, &witness[i]);
	printf("\n%s\n", anomalies ? "ANOMALIES FOUND" : "clean: no anomaly found");
}

static bool number(cJSON *object, const char *name, uint64_t value)
{
	return cJSON_AddNumberToObject(object, name, (double)value) != NULL;
}

static bool json_witness(const struct check *check, cJSON *array,
			 const struct check_witness *witness)
{
	char text[2 * TEXT_BYTES], name[TEXT_BYTES];
	cJSON *object = cJSON_CreateObject();
	cJSON *ops;
	bool ok;

	if (!object || !cJSON_AddItemToArray(array, object)) {
		cJSON_Delete(object);
		return false;
	}
	ok = cJSON_AddStringToObject(object, "kind", kinds[witness->kind].name) &&
	     cJSON_AddStringToObject(object, "transaction", txn_text(check, witness->txn, name));
	if (ok && witness->part != CHECK_NONE) {
		const struct check_part *part = &check->parts[witness->part];

		ok = cJSON_AddStringToObject(object, "file", check->files[part->file]) &&
		     number(object, "line", part->line);
	}
	if (ok && witness->other != CHECK_NONE)
		ok = cJSON_AddStringToObject(object, "other",
					     txn_text(check, witness->other, name));
	if (ok && witness->key != CHECK_NONE)
		ok = cJSON_AddStringToObject(object, "key", key_text(check, witness->key, name));
	ops = ok ? cJSON_AddArrayToObject(object, "operations") : NULL;
	for (int i = 0; ops && i < 2; i++) {
		if (witness->op[i] == CHECK_NONE)
			continue;
		op_text(check, witness->op[i], text);
		ok = ok && cJSON_AddItemToArray(ops, cJSON_CreateString(text));
	}
	return ok && ops;
}

static bool json_counts(const struct check *check, cJSON *root)
{
	cJSON *anomalies = cJSON_AddObjectToObject(root, "anomalies");
	cJSON *allowed = cJSON_AddObjectToObject(root, "allowed");
	bool ok = anomalies && allowed;

	for (int i = 0; ok && i < CHECK_KIND_COUNT; i++) {
		cJSON *kind = cJSON_AddObjectToObject(kinds[i].anomaly ? anomalies : allowed,
						      kinds[i].name);

		ok = kind && number(kind, "transactions", check->transactions[i]) &&
		     number(kind, "pairs", check->pairs[i]);
	}
	return ok;
}

int check_print_json(const struct check *check)
{
	const struct check_witness *witness = check->witnesses.data;
	cJSON *root = cJSON_CreateObject();
	cJSON *witnesses;
	char *text = NULL;
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
		  number(root, "torn_lines", check->torn_lines) && json_counts(check, root);

	witnesses = ok ? cJSON_AddArrayToObject(root, "witnesses") : NULL;
	ok = witnesses != NULL;
	for (size_t i = 0; ok && i < check->witnesses.count; i++)
		ok = json_witness(check, witnesses, &witness[i]);
	if (ok)
		text = cJSON_Print(root);
	if (text)
		puts(text);
	cJSON_free(text);
	cJSON_Delete(root);
	return text ? 0 : -ENOMEM;
}
