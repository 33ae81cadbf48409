/* SPDX-License-Identifier: Apache-2.0 */
/*
 * kv.c - `abaft get`, `put` and `del`: one transaction from one command line.
 */
#include <stdio.h>
#include <string.h>

#include "tools/command/batch.h"
#include "tools/command/command.h"

static const char get_help[] =
	"usage: abaft get [OPTION...] KEY...\n\n"
	"Reads the keys in one transaction, so that they fit together (read atomic). A single\n"
	"value is printed as it is, several as KEY<tab>VALUE lines. Exit code 1: one was "
	"missing.\n\n"
	"  -r, --raw              the values' bytes only, no keys, no "
	"newlines\n" COMMAND_OPTIONS_HELP;

static const char put_help[] =
	"usage: abaft put [OPTION...] KEY VALUE|-|@FILE [KEY VALUE|-|@FILE]...\n\n"
	"Writes the values in one transaction: all of them or none. VALUE `-` is standard input,\n"
	"`@FILE` the bytes of a file, `@@TEXT` the text `@TEXT`.\n\n" COMMAND_OPTIONS_HELP;

static const char del_help[] = "usage: abaft del [OPTION...] KEY...\n\n"
			       "Deletes the keys in one transaction. A key that has no value is no "
			       "error.\n\n" COMMAND_OPTIONS_HELP;

struct kv {
	const char *name, *help;
	enum batch_verb verb;
	int group; /* operands come in groups of so many */
	struct command_options options;
	bool raw;
	struct batch batch;
};

static int kv_parse(struct kv *kv, int argc, char **argv)
{
	static const struct option longs[] = {
		COMMAND_LONG_OPTIONS, {"raw", no_argument, NULL, 'r'}, {0}};
	const char *shorts =
		kv->verb == BATCH_GET ? COMMAND_SHORT_OPTIONS "r" : COMMAND_SHORT_OPTIONS;
	int option, code;

	optind = 0;
	while ((option = getopt_long(argc, argv, shorts, longs, NULL)) != -1) {
		if (option == 'r' && kv->verb == BATCH_GET)
			kv->raw = true;
		else if (!command_option(&kv->options, option, kv->name, kv->help, &code))
			return code;
	}
	if (optind == argc || (argc - optind) % kv->group) {
		fprintf(stderr, "abaft: %s needs %s; see `abaft %s --help`\n", kv->name,
			kv->group == 1 ? "keys" : "a value for each key", kv->name);
		return COMMAND_USAGE;
	}
	return -1;
}

static bool kv_fill(struct kv *kv, int operands, char **operand)
{
	for (int i = 0; i < operands; i += kv->group) {
		struct value key = {0}, value = {0};

		if (!value_copy(&key, operand[i], strlen(operand[i])))
			return false;
		if (kv->verb == BATCH_PUT && !value_operand(&value, operand[i + 1])) {
			value_free(&key);
			return false;
		}
		if (!batch_add(&kv->batch, kv->verb, &key, &value))
			return false;
	}
	return batch_add(&kv->batch, BATCH_COMMIT, NULL, NULL);
}

static int kv_print(struct kv *kv, const struct abaft_id *id)
{
	unsigned int missing = 0;
	char text[ABAFT_ID_TEXT_BYTES];
	char version[VALUE_VERSION_BYTES];
	cJSON *json;

	if (!kv->options.json) {
		missing = batch_print(&kv->batch, kv->raw);
		return missing ? COMMAND_NO : COMMAND_OK;
	}
	if (kv->verb == BATCH_GET) {
		json = batch_json(&kv->batch, &missing);
	} else {
		json = cJSON_CreateObject();
		abaft_id_text(id, text);
		value_version(&batch_end_op(&kv->batch)->result.version, version);
		cJSON_AddStringToObject(json, "id", text);
		cJSON_AddStringToObject(json, "outcome", "committed");
		cJSON_AddStringToObject(json, "version", version);
	}
	value_print_json(json);
	return missing ? COMMAND_NO : COMMAND_OK;
}

static int kv_run(struct kv *kv)
{
	struct abaft *client = NULL;
	struct abaft_txn *txn = NULL;
	char text[ABAFT_ID_TEXT_BYTES];
	char what[160];
	int code = command_open(&kv->options, &client);
	int err;

	if (code)
		return code;
	err = abaft_begin(client, NULL, &txn);
	if (err) {
		code = command_failed("beginning a transaction", err);
		goto close;
	}
	err = batch_run(&kv->batch, txn);
	if (!err) {
		code = kv_print(kv, abaft_txn_id(txn));
		goto end;
	}
	abaft_id_text(abaft_txn_id(txn), text);
	snprintf(what, sizeof(what), "%s '%.64s'%s", kv->name, kv->batch.ops[0].key.data,
		 kv->batch.count > 2 ? " and the others" : "");
	code = command_failed(what, err);
	if (kv->verb != BATCH_GET && abaft_retry_of(err) == ABAFT_RETRY_SAME)
		fprintf(stderr, "abaft: whether it was done is not known: ask `abaft status %s`\n",
			text);
end:
	abaft_end(txn);
close:
	abaft_close(client);
	return code;
}

static int kv_command(struct kv *kv, int argc, char **argv)
{
	int code = kv_parse(kv, argc, argv);

	if (code >= 0)
		return code;
	code = COMMAND_USAGE;
	if (kv_fill(kv, argc - optind, argv + optind))
		code = kv_run(kv);
	batch_free(&kv->batch);
	return code;
}

int command_get(int argc, char **argv)
{
	struct kv kv = {.name = "get", .help = get_help, .verb = BATCH_GET, .group = 1};

	return kv_command(&kv, argc, argv);
}

int command_put(int argc, char **argv)
{
	struct kv kv = {.name = "put", .help = put_help, .verb = BATCH_PUT, .group = 2};

	return kv_command(&kv, argc, argv);
}

int command_del(int argc, char **argv)
{
	struct kv kv = {.name = "del", .help = del_help, .verb = BATCH_DEL, .group = 1};

	return kv_command(&kv, argc, argv);
}
