/* SPDX-License-Identifier: Apache-2.0 */
/*
 * command.h - what the subcommands of `abaft` share: their entries, options, and exit codes.
 *
 * A subcommand is a function that gets its own argument list (argv[0] is its name) and returns an
 * exit code. It parses with getopt_long(), taking the options that all subcommands know from here,
 * so that they are spelt and explained alike everywhere.
 *
 * To add a subcommand: its prototype here, its row in the table of tools/abaft.c, its source and a
 * line in meson.build: in this folder, or in one of its own if it has several sources.
 */
#ifndef ABAFT_TOOLS_COMMAND_COMMAND_H
#define ABAFT_TOOLS_COMMAND_COMMAND_H

#include <getopt.h>
#include <stdbool.h>
#include <stdint.h>

#include <abaft/abaft.h>

/* Scripts rely on these; `abaft help` prints them. */
enum command_exit {
	COMMAND_OK = 0,	     /* done */
	COMMAND_NO = 1,	     /* done, and the answer is no: no such key, an anomaly found */
	COMMAND_USAGE = 2,   /* the command line or a script is wrong; nothing was sent */
	COMMAND_AGAIN = 3,   /* busy or no answer: run the same again */
	COMMAND_RESTART = 4, /* the transaction is gone: same id, later attempt */
	COMMAND_NEW_ID = 5,  /* this id can not work any more: take a new one */
	COMMAND_FAILED = 6,  /* refused or failed; the same again gives the same */
};

/* What every subcommand that talks to a node, or prints data, takes. */
struct command_options {
	const char *address;   /* --address; NULL = 127.0.0.1 */
	uint16_t port;	       /* --port; 0 = ABAFT_UDP_PORT_DEFAULT */
	uint32_t timeout_ms;   /* --timeout; 0 = the library's default */
	uint32_t packet_bytes; /* --packet-bytes; 0 = the protocol's largest */
	bool json;	       /* -w json */
};

/* For the option string and the table of getopt_long(). Start the string with '+' where operands
 * may look like options. Values from 1000 up are free for a subcommand's long-only options. */
#define COMMAND_SHORT_OPTIONS "ha:p:t:w:"
#define COMMAND_PACKET_BYTES  999
#define COMMAND_LONG_OPTIONS                                                                       \
	{"help", no_argument, NULL, 'h'}, {"address", required_argument, NULL, 'a'},               \
		{"port", required_argument, NULL, 'p'}, {"timeout", required_argument, NULL, 't'}, \
		{"packet-bytes", required_argument, NULL, COMMAND_PACKET_BYTES},                   \
	{                                                                                          \
		"write", required_argument, NULL, 'w'                                              \
	}
#define COMMAND_OPTIONS_HELP                                                                       \
	"  -a, --address ADDRESS  name or address of the node (default 127.0.0.1)\n"               \
	"  -p, --port PORT        its base UDP port (default 7400)\n"                              \
	"  -t, --timeout MS       longest wait for one exchange, resends included (5000)\n"        \
	"      --packet-bytes N   largest UDP payload, 512 to 1440: at most the path's MTU - 48\n" \
	"  -w, --write FORMAT     write data as `text` (default) or `json`\n"                      \
	"  -h, --help             this text\n"

/*
 * Takes what getopt_long() returned. True: go on with the next option. False: leave with *exit_code
 * (--help printed `help`; or a bad value, or an unknown option, was explained on stderr). Call it
 * for every value the subcommand does not know itself, '?' included.
 */
bool command_option(struct command_options *options, int option, const char *name, const char *help,
		    int *exit_code);
/* A whole decimal number from min to max, or false with a complaint that names `what`. */
bool command_number(const char *what, const char *text, uint64_t min, uint64_t max, uint64_t *out);

/* Opens a client as the options say. Returns an exit code; COMMAND_OK: *out is the caller's. */
int command_open(const struct command_options *options, struct abaft **out);
/* Says on stderr what failed, why (an enum abaft_error) and what to do. Returns the exit code. */
int command_failed(const char *what, int err);

/* The subcommands. */
int command_get(int argc, char **argv);
int command_put(int argc, char **argv);
int command_del(int argc, char **argv);
int command_txn(int argc, char **argv);
int command_shell(int argc, char **argv);
int command_status(int argc, char **argv);
int command_stats(int argc, char **argv);
int command_top(int argc, char **argv);
int command_slow(int argc, char **argv);
int command_drops(int argc, char **argv);
int command_load(int argc, char **argv);
int command_report(int argc, char **argv);
int command_check(int argc, char **argv);
int command_demo(int argc, char **argv);
int command_demo_function(int argc, char **argv);
int command_log(int argc, char **argv);
/* `abaft log repair`: COMMAND_NO: it was damaged, and was repaired. */
int command_log_repair(const char *from, const char *to, bool json);
int command_backup(int argc, char **argv);
int command_restore(int argc, char **argv);
int command_version(int argc, char **argv);

#endif
