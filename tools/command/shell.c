/* SPDX-License-Identifier: Apache-2.0 */
/*
 * shell.c - `abaft shell`: operations as they are typed, each a transaction of its own or all of
 * them in an open one.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tools/command/command.h"
#include "tools/command/line.h"
#include "tools/command/script.h"
#include "tools/command/status.h"

static const char shell_help[] =
	"usage: abaft shell [OPTION...]\n\n"
	"Reads commands, from a terminal with line editing, history (~/.abaft_history) and\n"
	"completion, or from a pipe. `help` tells which. Exit code: that of the last command that\n"
	"failed.\n\n" COMMAND_OPTIONS_HELP;

static const char commands_help[] =
	"  begin [ID]                    open a transaction (its operations share one view)\n"
	"  get KEY...                    read\n"
	"  put KEY VALUE [KEY VALUE]...  write; @FILE is a file's bytes, '…' and \"…\" quote\n"
	"  del KEY...                    delete\n"
	"  commit                        make the open transaction's writes durable and visible\n"
	"  abort                         forget the open transaction\n"
	"  status [ID]                   outcome of a transaction (the open one), or the node's\n"
	"  help, quit\n"
	"Outside a transaction each line is one of its own, committed at once.\n";

static const char *const commands[] = {"begin", "get",	  "put",  "del",  "commit",
				       "abort", "status", "help", "quit", NULL};

struct shell {
	struct command_options options;
	struct abaft *client;
	struct abaft_txn *txn; /* the open one, or NULL */
	struct line_reader *lines;
	struct script_words words;
	int code;
	bool quit;
};

static void shell_prompt(struct shell *shell)
{
	char id[ABAFT_ID_TEXT_BYTES];
	char prompt[64];

	if (!shell->txn) {
		line_prompt(shell->lines, "abaft> ");
		return;
	}
	abaft_id_text(abaft_txn_id(shell->txn), id);
	snprintf(prompt, sizeof(prompt), "abaft …%s> ", id + 30);
	line_prompt(shell->lines, prompt);
}

static int shell_begin(struct shell *shell)
{
	struct abaft_begin begin = {0};
	char text[ABAFT_ID_TEXT_BYTES];
	struct abaft_id id;
	int err;

	if (shell->txn) {
		fputs("abaft: a transaction is open already; commit or abort it first\n", stderr);
		return COMMAND_USAGE;
	}
	if (shell->words.count > 2 ||
	    (shell->words.count == 2 && abaft_id_parse(&id, shell->words.word[1].text))) {
		fputs("abaft: begin takes at most one ID, a UUIDv7\n", stderr);
		return COMMAND_USAGE;
	}
	if (shell->words.count == 2)
		begin.id = &id;
	err = abaft_begin(shell->client, &begin, &shell->txn);
	if (err)
		return command_failed("begin", err);
	abaft_id_text(abaft_txn_id(shell->txn), text);
	printf("begun %s\n", text);
	return COMMAND_OK;
}

static int shell_print(struct shell *shell, const struct batch *batch)
{
	const struct batch_op *end = batch_end_op(batch);
	char version[VALUE_VERSION_BYTES];
	unsigned int missing = 0;

	if (shell->options.json)
		value_print_json(batch_json(batch, &missing));
	else
		missing = batch_print(batch, false);
	if (end && end->verb == BATCH_ABORT)
		puts("aborted");
	else if (end && end->result.version.time) {
		value_version(&end->result.version, version);
		printf("committed %s%s\n", version, end->result.repeat ? " (earlier)" : "");
	} else if (end && shell->txn)
		puts("committed (nothing written)");
	return missing ? COMMAND_NO : COMMAND_OK;
}

/* Runs the batch in the open transaction, or in one of its own. */
static int shell_run(struct shell *shell, struct batch *batch)
{
	bool ends = batch_end_op(batch) != NULL;
	struct abaft_txn *txn = shell->txn;
	enum abaft_retry retry;
	int err, code;

	if (!txn && ends) {
		fputs("abaft: no transaction is open; `begin` opens one\n", stderr);
		return COMMAND_USAGE;
	}
	if (!txn) {
		if (!batch_add(batch, BATCH_COMMIT, NULL, NULL))
			return COMMAND_USAGE;
		err = abaft_begin(shell->client, NULL, &txn);
		if (err)
			return command_failed("beginning a transaction", err);
	}
	err = batch_run(batch, txn);
	code = err ? command_failed(shell->words.word[0].text, err) : shell_print(shell, batch);
	if (!shell->txn) {
		abaft_end(txn);
		return code;
	}
	retry = abaft_retry_of(err);
	if (err && (retry == ABAFT_RETRY_RESTART || retry == ABAFT_RETRY_NEW))
		fputs("abaft: the open transaction is gone, with what it wrote\n", stderr);
	else if (!ends || err)
		return code;
	abaft_end(txn);
	shell->txn = NULL;
	return code;
}

static int shell_status(struct shell *shell)
{
	struct abaft_id id;

	if (shell->words.count == 1 && shell->txn)
		return status_of_id(shell->client, abaft_txn_id(shell->txn), shell->options.json);
	if (shell->words.count == 1)
		return status_of_node(shell->client, shell->options.json, false);
	if (shell->words.count > 2 || abaft_id_parse(&id, shell->words.word[1].text)) {
		fputs("abaft: status takes at most one ID, a UUIDv7\n", stderr);
		return COMMAND_USAGE;
	}
	return status_of_id(shell->client, &id, shell->options.json);
}

static int shell_operation(struct shell *shell)
{
	char error[SCRIPT_ERROR_BYTES];
	struct batch batch = {0};
	int code = COMMAND_USAGE;

	if (script_operation(&shell->words, &batch, error))
		code = shell_run(shell, &batch);
	else if (*error)
		fprintf(stderr, "abaft: %s\n", error);
	batch_free(&batch);
	return code;
}

static int shell_line(struct shell *shell, char *line, size_t bytes)
{
	char error[SCRIPT_ERROR_BYTES];
	const char *name;

	if (!script_split(line, bytes, &shell->words, error)) {
		fprintf(stderr, "abaft: %s\n", error);
		return COMMAND_USAGE;
	}
	if (!shell->words.count)
		return COMMAND_OK;
	name = shell->words.word[0].text;
	if (script_is_operation(&shell->words))
		return shell_operation(shell);
	if (!strcmp(name, "begin"))
		return shell_begin(shell);
	if (!strcmp(name, "status"))
		return shell_status(shell);
	if (!strcmp(name, "help")) {
		fputs(commands_help, stdout);
		return COMMAND_OK;
	}
	if (!strcmp(name, "quit") || !strcmp(name, "exit")) {
		shell->quit = true;
		return COMMAND_OK;
	}
	fprintf(stderr, "abaft: no command '%.40s'; `help` lists them\n", name);
	return COMMAND_USAGE;
}

static void shell_loop(struct shell *shell)
{
	while (!shell->quit) {
		size_t bytes = 0;
		char *line;
		int code;

		shell_prompt(shell);
		line = line_read(shell->lines, &bytes);
		if (!line)
			break;
		code = shell_line(shell, line, bytes);
		if (code)
			shell->code = code;
		fflush(stdout);
	}
	if (shell->txn) {
		fputs("abaft: the open transaction was not committed; aborting it\n", stderr);
		if (abaft_abort(shell->txn))
			fputs("abaft: no answer; its deadline ends it\n", stderr);
		abaft_end(shell->txn);
	}
}

int command_shell(int argc, char **argv)
{
	static const struct option longs[] = {COMMAND_LONG_OPTIONS, {0}};
	struct shell *shell = calloc(1, sizeof(*shell));
	int option, code = COMMAND_FAILED;

	if (!shell)
		return code;
	optind = 0;
	while ((option = getopt_long(argc, argv, COMMAND_SHORT_OPTIONS, longs, NULL)) != -1)
		if (!command_option(&shell->options, option, "shell", shell_help, &code))
			goto out;
	code = COMMAND_USAGE;
	if (optind < argc) {
		fputs("abaft: shell takes no arguments; see `abaft shell --help`\n", stderr);
		goto out;
	}
	code = command_open(&shell->options, &shell->client);
	if (code)
		goto out;
	shell->lines = line_open(commands);
	code = COMMAND_FAILED;
	if (shell->lines) {
		if (line_interactive(shell->lines))
			puts("abaft shell; `help` lists the commands, Ctrl-D leaves");
		shell_loop(shell);
		code = shell->code;
		line_close(shell->lines);
	}
	abaft_close(shell->client);
out:
	free(shell);
	return code;
}
