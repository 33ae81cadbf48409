/* SPDX-License-Identifier: Apache-2.0 */
/*
 * failure.c - reaching a node, and saying what went wrong, to what, and what to do.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "tools/command/command.h"

int command_failed(const char *what, int err)
{
	static const struct {
		enum abaft_retry retry;
		enum command_exit code;
		const char *advice;
	} by_retry[] = {
		{ABAFT_RETRY_SAME, COMMAND_AGAIN, "run the same again after a pause"},
		{ABAFT_RETRY_RESTART, COMMAND_RESTART,
		 "run the whole transaction again, with the same --id and a later --attempt"},
		{ABAFT_RETRY_NEW, COMMAND_NEW_ID, "only a new transaction id can work"},
		{ABAFT_RETRY_NO, COMMAND_FAILED, NULL},
	};
	enum abaft_retry retry = abaft_retry_of(err);
	const char *advice = NULL;
	int code = COMMAND_FAILED;
	int cause = errno;

	for (size_t i = 0; i < sizeof(by_retry) / sizeof(by_retry[0]); i++) {
		if (by_retry[i].retry != retry)
			continue;
		advice = by_retry[i].advice;
		code = (int)by_retry[i].code;
	}
	if (err == ABAFT_TIMEOUT)
		advice = "see that abaftd runs there (--address, --port), or allow more --timeout";
	fprintf(stderr, "abaft: %s: %s (%s)", what, abaft_strerror(err), abaft_error_name(err));
	if (err == ABAFT_NETWORK && cause)
		fprintf(stderr, ": %s", strerror(cause));
	fprintf(stderr, "%s%s\n", advice ? "; " : "", advice ? advice : "");
	return code;
}

int command_open(const struct command_options *options, struct abaft **out)
{
	struct abaft_config config = {
		.address = options->address,
		.port = options->port,
		.timeout_ms = options->timeout_ms,
		.packet_bytes = options->packet_bytes,
	};
	int err = abaft_open(out, &config);
	char what[160];

	if (!err)
		return COMMAND_OK;
	snprintf(what, sizeof(what), "opening a client for the node at %s",
		 options->address ? options->address : "127.0.0.1");
	return command_failed(what, err);
}
