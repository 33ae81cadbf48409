/* SPDX-License-Identifier: Apache-2.0 */
/*
 * txn.c - `abaft txn`: a transaction from a script, so that shell scripts can be functions that
 * take effect exactly once.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "tools/command/command.h"
#include "tools/command/script.h"

static const char txn_help[] =
	"usage: abaft txn [OPTION...] [FILE]\n\n"
	"Runs the script in FILE (or standard input) as one transaction:\n\n"
	"  get KEY...                     # a comment\n"
	"  put KEY VALUE [KEY VALUE]...   VALUE may be @FILE\n"
	"  del KEY...\n"
	"  commit                         (or: abort)\n\n"
	"'…' takes everything as it is, \"…\" knows \\n \\t \\r \\0 \\\\ \\\" \\xHH. What the "
	"gets\n"
	"found is printed as `abaft get` does. Run again with the same --id, a script takes "
	"effect\n"
	"once: a retry counts --attempt up, and a script of a chain has its number as --step.\n\n"
	"  -i, --id ID            the request's id, a UUIDv7 (default: a new one; --new-id prints "
	"one)\n"
	"  -s, --step N           number of this function in its chain (0)\n"
	"  -n, --attempt N        number of this run of the function (0)\n"
	"  -j, --join CONTEXT     go on with the transaction of the step before\n"
	"  -e, --export           leave it open and print the CONTEXT for the next step\n"
	"      --new-id           print a new id and leave\n" COMMAND_OPTIONS_HELP;

struct txn_command {
	struct command_options options;
	struct abaft_id id;
	struct abaft_begin begin;
	bool give_context; /* --export */
	struct batch batch;
};

enum { OPTION_NEW_ID = 1000 };

static int new_id(void)
{
	char text[ABAFT_ID_TEXT_BYTES];
	struct abaft_id id;

	abaft_id_new(&id);
	abaft_id_text(&id, text);
	puts(text);
	return COMMAND_OK;
}

/* -1: go on; else the exit code. */
static int txn_option(struct txn_command *txn, int option)
{
	uint64_t number;
	int code;

	switch (option) {
	case 'i':
		if (abaft_id_parse(&txn->id, optarg)) {
			fprintf(stderr, "abaft: --id '%s' is no UUIDv7; make one by --new-id\n",
				optarg);
			return COMMAND_USAGE;
		}
		txn->begin.id = &txn->id;
		return -1;
	case 's':
		if (!command_number("--step", optarg, 0, UINT16_MAX, &number))
			return COMMAND_USAGE;
		txn->begin.step = (uint16_t)number;
		return -1;
	case 'n':
		if (!command_number("--attempt", optarg, 0, UINT16_MAX, &number))
			return COMMAND_USAGE;
		txn->begin.attempt = (uint16_t)number;
		return -1;
	case 'j':
		txn->begin.context = optarg;
		return -1;
	case 'e':
		txn->give_context = true;
		return -1;
	case OPTION_NEW_ID:
		return new_id();
	default:
		return command_option(&txn->options, option, "txn", txn_help, &code) ? -1 : code;
	}
}

static bool txn_read(struct txn_command *txn, const char *name)
{
	bool from_stdin = !name || !strcmp(name, "-");
	FILE *file = from_stdin ? stdin : fopen(name, "r");
	bool ok;

	if (!file) {
		fprintf(stderr, "abaft: opening the script %s: %s\n", name, strerror(errno));
		return false;
	}
	ok = script_read(file, from_stdin ? "standard input" : name, &txn->batch);
	if (!from_stdin)
		fclose(file);
	if (!ok)
		return false;
	if (!txn->batch.count) {
		fputs("abaft: the script holds no operation\n", stderr);
		return false;
	}
	if (!batch_end_op(&txn->batch) == txn->give_context)
		return true;
	fputs(txn->give_context
		      ? "abaft: --export hands the transaction on, so the script must not end it\n"
		      : "abaft: the script neither commits nor aborts: end it with `commit`, or "
			"give --export to hand the transaction on\n",
	      stderr);
	return false;
}

static void print_json(const struct txn_command *txn, const char *id, const char *outcome,
		       bool repeat, const char *context, unsigned int *missing)
{
	const struct batch_op *end = batch_end_op(&txn->batch);
	cJSON *json = cJSON_CreateObject();
	char version[VALUE_VERSION_BYTES];

	cJSON_AddStringToObject(json, "id", id);
	cJSON_AddStringToObject(json, "outcome", outcome);
	cJSON_AddBoolToObject(json, "repeat", repeat);
	if (end && end->result.version.time) {
		value_version(&end->result.version, version);
		cJSON_AddStringToObject(json, "version", version);
	}
	cJSON_AddItemToObject(json, "reads", batch_json(&txn->batch, missing));
	if (*context)
		cJSON_AddStringToObject(json, "context", context);
	value_print_json(json);
}

static int txn_print(const struct txn_command *txn, struct abaft_txn *handle, bool repeat)
{
	const struct batch_op *end = batch_end_op(&txn->batch);
	char id[ABAFT_ID_TEXT_BYTES], context[ABAFT_CONTEXT_BYTES] = "";
	const char *outcome = "open";
	unsigned int missing = 0;
	int err;

	abaft_id_text(abaft_txn_id(handle), id);
	if (txn->give_context) {
		err = abaft_export(handle, context);
		if (err)
			return command_failed("handing the transaction on", err);
	}
	if (end)
		outcome = end->verb == BATCH_COMMIT ? "committed" : "aborted";
	if (txn->options.json) {
		print_json(txn, id, outcome, repeat, context, &missing);
		return COMMAND_OK;
	}
	if (!repeat)
		batch_print(&txn->batch, false);
	if (*context)
		puts(context);
	fprintf(stderr, "%s %s%s\n", outcome, id, repeat ? ", by an earlier run" : "");
	return COMMAND_OK;
}

static int txn_run(struct txn_command *txn)
{
	struct abaft *client = NULL;
	struct abaft_txn *handle = NULL;
	int code = command_open(&txn->options, &client);
	char what[80] = "the transaction";
	const struct batch_op *end = batch_end_op(&txn->batch);
	int err;

	if (code)
		return code;
	err = abaft_begin(client, &txn->begin, &handle);
	if (err) {
		code = command_failed("beginning the transaction", err);
		goto close;
	}
	err = batch_run(&txn->batch, handle);
	/* An earlier attempt got through: that is what exactly-once means, not a failure. */
	if (err == ABAFT_COMMITTED && end && end->verb == BATCH_COMMIT) {
		code = txn_print(txn, handle, true);
	} else if (err) {
		memcpy(what, "transaction ", 12);
		abaft_id_text(abaft_txn_id(handle), what + 12);
		code = command_failed(what, err);
	} else {
		code = txn_print(txn, handle, end && end->result.repeat);
	}
	abaft_end(handle);
close:
	abaft_close(client);
	return code;
}

int command_txn(int argc, char **argv)
{
	static const struct option longs[] = {COMMAND_LONG_OPTIONS,
					      {"id", required_argument, NULL, 'i'},
					      {"step", required_argument, NULL, 's'},
					      {"attempt", required_argument, NULL, 'n'},
					      {"join", required_argument, NULL, 'j'},
					      {"export", no_argument, NULL, 'e'},
					      {"new-id", no_argument, NULL, OPTION_NEW_ID},
					      {0}};
	struct txn_command txn = {0};
	int option, code = COMMAND_USAGE;

	optind = 0;
	while ((option = getopt_long(argc, argv, COMMAND_SHORT_OPTIONS "i:s:n:j:e", longs, NULL)) !=
	       -1) {
		int left = txn_option(&txn, option);

		if (left >= 0)
			return left;
	}
	if (argc - optind > 1)
		fputs("abaft: txn takes one script; see `abaft txn --help`\n", stderr);
	else if (txn_read(&txn, argv[optind]))
		code = txn_run(&txn);
	batch_free(&txn.batch);
	return code;
}
