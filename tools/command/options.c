/* SPDX-License-Identifier: Apache-2.0 */
/*
 * options.c - the options all subcommands share, and numbers on command lines.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tools/command/command.h"

bool command_number(const char *what, const char *text, uint64_t min, uint64_t max, uint64_t *out)
{
	unsigned long long number;
	char *end;

	errno = 0;
	number = strtoull(text, &end, 10);
	if (text[0] < '0' || text[0] > '9' || *end || errno || number < min || number > max) {
		fprintf(stderr, "abaft: %s is '%s'; give a whole number from %llu to %llu\n", what,
			text, (unsigned long long)min, (unsigned long long)max);
		return false;
	}
	*out = number;
	return true;
}

static bool option_write(struct command_options *options, const char *format)
{
	if (strcmp(format, "json") && strcmp(format, "text")) {
		fprintf(stderr, "abaft: --write is '%s'; give `text` or `json`\n", format);
		return false;
	}
	options->json = !strcmp(format, "json");
	return true;
}

bool command_option(struct command_options *options, int option, const char *name, const char *help,
		    int *exit_code)
{
	uint64_t number = 0;
	bool ok = false;

	*exit_code = COMMAND_USAGE;
	switch (option) {
	case 'a':
		options->address = optarg;
		return true;
	case 'p':
		ok = command_number("--port", optarg, 1, 65535, &number);
		options->port = (uint16_t)number;
		return ok;
	case 't':
		ok = command_number("--timeout", optarg, 1, 3600000, &number);
		options->timeout_ms = (uint32_t)number;
		return ok;
	case COMMAND_PACKET_BYTES:
		ok = command_number("--packet-bytes", optarg, ABAFT_PACKET_BYTES_MIN,
				    ABAFT_PACKET_BYTES_MAX, &number);
		options->packet_bytes = (uint32_t)number;
		return ok;
	case 'w':
		return option_write(options, optarg);
	case 'h':
		fputs(help, stdout);
		*exit_code = COMMAND_OK;
		return false;
	default:
		/* getopt_long() has named the bad option. */
		fprintf(stderr, "abaft: see `abaft %s --help`\n", name);
		return false;
	}
}
