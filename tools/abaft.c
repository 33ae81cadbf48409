/* SPDX-License-Identifier: Apache-2.0 */
/*
 * abaft.c - the `abaft` command: finds the subcommand and runs it.
 *
 * The table below is all there is to know here; each subcommand has its own source and its own
 * --help. Output that is data goes to stdout, everything else to stderr.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tools/command/command.h"

struct subcommand {
	const char *name;
	int (*run)(int argc, char **argv);
	const char *brief; /* NULL: not for people */
};

static const struct subcommand subcommands[] = {
	{"get", command_get, "read keys in one transaction"},
	{"put", command_put, "write keys in one transaction"},
	{"del", command_del, "delete keys in one transaction"},
	{"txn", command_txn, "run a script as one transaction, exactly once over retries"},
	{"shell", command_shell, "type operations one after another"},
	{"status", command_status, "a node's counters, or the outcome of a transaction"},
	{"stats", command_stats, "a node's counters and latencies, out of its BPF maps"},
	{"top", command_top, "watch the nodes of this host: rates, percentiles, drops"},
	{"slow", command_slow, "follow slow transactions, each with its phases"},
	{"drops", command_drops, "what a client's host drops of a node's datagrams, and why"},
	{"load", command_load, "run transactions by the thousand and measure them"},
	{"report", command_report, "make a page with plots of a recorded load"},
	{"check", command_check, "judge histories of transactions"},
	{"log", command_log, "read the commit logs of a stopped node"},
	{"backup", command_backup, "copy a node's data while it serves"},
	{"restore", command_restore, "check a backup and make a data directory of it"},
	{"demo", command_demo, "see functions killed and retried, without abaft and with it"},
	{"demo-function", command_demo_function, NULL},
	{"version", command_version, "print the version"},
};

#define SUBCOMMANDS (sizeof(subcommands) / sizeof(subcommands[0]))

static void help(FILE *file)
{
	fputs("usage: abaft SUBCOMMAND [OPTION...] [ARGUMENT...]\n\n"
	      "Talks to an abaft node: read-atomic, exactly-once transactions.\n\n",
	      file);
	for (size_t i = 0; i < SUBCOMMANDS; i++)
		if (subcommands[i].brief)
			fprintf(file, "  %-10s %s\n", subcommands[i].name, subcommands[i].brief);
	fputs("\n`abaft SUBCOMMAND --help` tells more.\n\n"
	      "exit codes:\n"
	      "  0  done\n"
	      "  1  done, and the answer is no: no such key, an anomaly found\n"
	      "  2  the command line or a script is wrong; nothing was sent\n"
	      "  3  busy or no answer: run the same again\n"
	      "  4  the transaction is gone: run it again with the same id and a later attempt\n"
	      "  5  this transaction id can not work any more: take a new one\n"
	      "  6  refused or failed; the same again gives the same\n",
	      file);
}

int command_version(int argc, char **argv)
{
	puts("abaft " ABAFT_VERSION);
	return COMMAND_OK;
}

int main(int argc, char **argv)
{
	const char *name = argc > 1 ? argv[1] : "";

	for (size_t i = 0; i < SUBCOMMANDS; i++) {
		int code;

		if (strcmp(name, subcommands[i].name))
			continue;
		code = subcommands[i].run(argc - 1, argv + 1);
		if (fflush(stdout) || ferror(stdout)) {
			perror("abaft: writing the output");
			return COMMAND_FAILED;
		}
		return code;
	}
	if (!strcmp(name, "help") || !strcmp(name, "--help") || !strcmp(name, "-h")) {
		help(stdout);
		return COMMAND_OK;
	}
	if (!strcmp(name, "--version"))
		return command_version(argc, argv);
	if (*name)
		fprintf(stderr, "abaft: no subcommand '%s'\n\n", name);
	help(stderr);
	return COMMAND_USAGE;
}
