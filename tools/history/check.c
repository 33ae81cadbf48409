// SPDX-License-Identifier: Apache-2.0
/*
 * check.c - `abaft check`: judges histories by the rules of read atomicity and exactly-once.
 *
 * The command line only; model.h names the parts that do the work.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "tools/command/command.h"
#include "tools/history/model.h"

static const char help[] =
	"usage: abaft check [OPTION...] FILE...\n\n"
	"Reads histories, all of them judged together: of `abaft load --history`, of `abaft demo`, "
	"or\n"
	"of anything else that writes the format in docs/history.md; also EDN, as Jepsen keeps "
	"it.\n"
	"Reports every violation of read atomicity and of exactly-once, and G0, G1a, G1b and G1c "
	"by\n"
	"name: how many transactions and instances show it, and the first few told step by step.\n"
	"`-` reads standard input.\n\n"
	"  -A, --allowed          tell witnesses also of what read atomicity allows: lost updates\n"
	"                         and read skew\n"
	"  -E, --export-edn FILE  write the histories as EDN too, into a new file (only of files,\n"
	"                         and not of what is EDN already)\n"
	"  -f, --final FILE       the state read after everything had stopped, of\n"
	"                         `abaft load --dump`: acknowledged commits must be in it\n"
	"  -n, --witnesses COUNT  tell that many of each anomaly in full (default 3, up to 100)\n"
	"  -w, --write FORMAT     write `text` (default) or `json`\n"
	"  -h, --help             this text\n\n"
	"exit codes: 0 clean, 1 anomalies found, 2 a file cannot be read or judged\n";

static const struct option options[] = {
	COMMAND_LONG_OPTIONS,
	{"allowed", no_argument, NULL, 'A'},
	{"export-edn", required_argument, NULL, 'E'},
	{"final", required_argument, NULL, 'f'},
	{"witnesses", required_argument, NULL, 'n'},
	{NULL, 0, NULL, 0},
};

struct request {
	const char *final;
	uint64_t witnesses;
	bool allowed;
	const char *edn; /* file to write */
};

static int read_file(struct check *check, const char *path)
{
	int err = check_read(check, path[0] == '-' && !path[1] ? "/dev/stdin" : path);

	if (err)
		fprintf(stderr, "abaft check: %s\n", check->error);
	return err;
}

/* The histories, which have been read without complaint, as EDN into a new file. */
static int write_edn(char **paths, int count, const struct request *request)
{
	const char *all[CHECK_FILES_MAX];
	char error[256] = "";
	size_t n = 0;
	FILE *file;
	int err;

	for (int i = 0; i < count; i++)
		all[n++] = paths[i];
	if (request->final)
		all[n++] = request->final;
	file = fopen(request->edn, "wxe");
	if (!file) {
		err = -errno;
		fprintf(stderr, "abaft check: %s: %s\n", request->edn, strerror(-err));
		return err;
	}
	err = history_to_edn(all, n, file, error);
	if (err)
		fprintf(stderr, "abaft check: as EDN: %s\n", error);
	if (fclose(file) != 0 && !err) {
		err = -errno;
		fprintf(stderr, "abaft check: %s: %s\n", request->edn, strerror(-err));
	}
	if (err)
		unlink(request->edn);
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
	if (!err && request->edn) {
		err = write_edn(&argv[optind], argc - optind, request);
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
	while ((option = getopt_long(argc, argv, COMMAND_SHORT_OPTIONS "AE:f:n:", options, NULL)) !=
	       -1) {
		if (option == 'f') {
			request.final = optarg;
		} else if (option == 'E') {
			request.edn = optarg;
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
