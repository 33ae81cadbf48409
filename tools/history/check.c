// SPDX-License-Identifier: Apache-2.0
/*
 * check.c - `abaft check`: judges histories by the rules of read atomicity and exactly-once.
 *
 * The command line only; model.h names the parts that do the work.
 */
#include <errno.h>
#include <stdio.h>

#include "tools/command/command.h"
#include "tools/history/model.h"

static const char help[] =
	"usage: abaft check [OPTION...] FILE...\n\n"
	"Reads histories (of `abaft load --history`, `abaft demo`, or anything that writes the "
	"format\n"
	"in docs/history.md; one file or one for each process, judged together) and reports every\n"
	"violation of read atomicity and of exactly-once, with how many transactions and pairs of\n"
	"operations show it, and the first few in full. `-` reads standard input.\n\n"
	"  -A, --allowed          print witnesses also of what read atomicity allows: lost "
	"updates\n"
	"                         and read skew\n"
	"  -f, --final FILE       the state read after everything had stopped (`abaft load "
	"--dump`):\n"
	"                         acknowledged commits must be in it\n"
	"  -n, --witnesses COUNT  print that many of each anomaly in full (default 3, up to 100)\n"
	"  -w, --write FORMAT     write `text` (default) or `json`\n"
	"  -h, --help             this text\n\n"
	"exit codes: 0 clean, 1 anomalies found, 2 a file cannot be read or judged\n";

static const struct option options[] = {
	COMMAND_LONG_OPTIONS,
	{"allowed", no_argument, NULL, 'A'},
	{"final", required_argument, NULL, 'f'},
	{"witnesses", required_argument, NULL, 'n'},
	{NULL, 0, NULL, 0},
};

struct request {
	const char *final;
	uint64_t witnesses;
	bool allowed;
};

static int read_file(struct check *check, const char *path)
{
	int err = check_read(check, path[0] == '-' && !path[1] ? "/dev/stdin" : path);

	if (err)
		fprintf(stderr, "abaft check: %s\n", check->error);
	return err;
}

static int run(int argc, char **argv, const struct command_options *common,
	       const struct request *request)
{
	struct check *check = check_create((uint32_t)request->witnesses);
	const char *final = request->final;
	int err = check ? 0 : -ENOMEM;

	if (check)
		check->print_allowed = request->allowed;
	for (int i = optind; !err && i < argc; i++) {
		err = read_file(check, argv[i]);
		if (err)
			goto out;
	}
	if (!err && final) {
		err = read_file(check, final);
		if (err)
			goto out;
	}
	if (!err)
		err = check_judge(check);
	if (!err && common->json)
		err = check_print_json(check);
	else if (!err)
		check_print(check);
	if (err)
		fprintf(stderr, "abaft check: out of memory; judge fewer files at once\n");
out:
	if (err) {
		check_destroy(check);
		return COMMAND_USAGE;
	}
	err = check_anomalies(check) ? COMMAND_NO : COMMAND_OK;
	check_destroy(check);
	return err;
}

int command_check(int argc, char **argv)
{
	struct command_options common = {0};
	struct request request = {.witnesses = 3};
	int option, code;

	optind = 0;
	while ((option = getopt_long(argc, argv, COMMAND_SHORT_OPTIONS "Af:n:", options, NULL)) !=
	       -1) {
		if (option == 'f') {
			request.final = optarg;
		} else if (option == 'A') {
			request.allowed = true;
		} else if (option == 'n') {
			if (!command_number("--witnesses", optarg, 0, CHECK_WITNESSES_MAX,
					    &request.witnesses))
				return COMMAND_USAGE;
		} else if (!command_option(&common, option, "check", help, &code)) {
			return code;
		}
	}
	if (optind == argc) {
		fprintf(stderr, "abaft check: no history given; see `abaft check --help`\n");
		return COMMAND_USAGE;
	}
	return run(argc, argv, &common, &request);
}
