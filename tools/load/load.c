// SPDX-License-Identifier: Apache-2.0
/*
 * load.c - `abaft load`: the command line, the phases, the progress bar.
 */
#include <errno.h>
#include <inttypes.h>
#include <math.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "tools/load/load.h"
#include "tools/load/recording.h"

static const char help[] =
	"usage: abaft load [OPTION...]\n\n"
	"Runs transactions against a node and measures them. A transaction is a chain of "
	"functions,\n"
	"each of which writes and reads keys; what fails is retried as a function platform would:\n"
	"the whole request again, with the same id.\n\n"
	"What a transaction does:\n"
	"  -F, --functions N      functions in a transaction (default 2)\n"
	"      --writes N         writes of a function, before its reads (1)\n"
	"      --reads N          reads of a function (2)\n"
	"      --read-share P     each operation is a read with probability P (0 to 1) instead\n"
	"      --abort-share P    abort this share of transactions on purpose (0)\n"
	"  -1, --one-packet       all functions in one submit: one packet if they fit; without it "
	"one\n"
	"                         submit for each function\n"
	"  -k, --keys N           keys (10000)\n"
	"  -b, --value-bytes N    bytes of a value (4096)\n"
	"  -z, --zipf S           draw keys by Zipf's law with exponent S, 0.5 to 2 (1.0)\n"
	"      --uniform          draw all keys alike\n"
	"      --prefix TEXT      before the ten digits of a key (k)\n\n"
	"How many:\n"
	"  -c, --clients N        transactions in flight, all threads together (16)\n"
	"  -T, --threads N        threads, each with a socket of its own (1)\n"
	"  -r, --rate R           open loop: R transactions begin each second, at random "
	"(Poisson);\n"
	"                         latency counts from when each should have begun. Without it a "
	"closed\n"
	"                         loop: each client begins the next when the last has ended\n"
	"      --constant         with --rate: evenly spaced\n"
	"  -s, --seconds S        stop after S seconds (10)\n"
	"  -n, --transactions N   or after N transactions\n"
	"      --retries N        give a transaction up after so many failures (100)\n"
	"      --seed N           of all random choices (1)\n\n"
	"Before, beside and after it:\n"
	"      --preload          first write every key once\n"
	"      --history FILE     append what every transaction did and saw, for `abaft check`\n"
	"      --dump FILE        at the end read every key: the final state, for `abaft check "
	"--final`\n"
	"      --record DIR       write the result, a line for each second and the distribution "
	"of\n"
	"                         latencies into a new folder, for `abaft report`\n"
	"      --no-run           only --preload or --dump\n"
	"  -q, --quiet            no progress bar\n\n" COMMAND_OPTIONS_HELP
	"\nexit codes: 0 done; 1 some transactions failed or have an unknown outcome, or it was\n"
	"interrupted; 2 the command line is wrong; 3 no node answers; 6 it could not run\n";

enum {
	OPTION_WRITES = 1000,
	OPTION_READS,
	OPTION_READ_SHARE,
	OPTION_ABORT_SHARE,
	OPTION_UNIFORM,
	OPTION_PREFIX,
	OPTION_CONSTANT,
	OPTION_RETRIES,
	OPTION_SEED,
	OPTION_PRELOAD,
	OPTION_HISTORY,
	OPTION_DUMP,
	OPTION_RECORD,
	OPTION_NO_RUN,
};

static const struct option options[] = {
	COMMAND_LONG_OPTIONS,
	{"functions", required_argument, NULL, 'F'},
	{"writes", required_argument, NULL, OPTION_WRITES},
	{"reads", required_argument, NULL, OPTION_READS},
	{"read-share", required_argument, NULL, OPTION_READ_SHARE},
	{"abort-share", required_argument, NULL, OPTION_ABORT_SHARE},
	{"one-packet", no_argument, NULL, '1'},
	{"keys", required_argument, NULL, 'k'},
	{"value-bytes", required_argument, NULL, 'b'},
	{"zipf", required_argument, NULL, 'z'},
	{"uniform", no_argument, NULL, OPTION_UNIFORM},
	{"prefix", required_argument, NULL, OPTION_PREFIX},
	{"clients", required_argument, NULL, 'c'},
	{"threads", required_argument, NULL, 'T'},
	{"rate", required_argument, NULL, 'r'},
	{"constant", no_argument, NULL, OPTION_CONSTANT},
	{"seconds", required_argument, NULL, 's'},
	{"transactions", required_argument, NULL, 'n'},
	{"retries", required_argument, NULL, OPTION_RETRIES},
	{"seed", required_argument, NULL, OPTION_SEED},
	{"preload", no_argument, NULL, OPTION_PRELOAD},
	{"history", required_argument, NULL, OPTION_HISTORY},
	{"dump", required_argument, NULL, OPTION_DUMP},
	{"record", required_argument, NULL, OPTION_RECORD},
	{"no-run", no_argument, NULL, OPTION_NO_RUN},
	{"quiet", no_argument, NULL, 'q'},
	{NULL, 0, NULL, 0},
};

static bool u32_option(const char *what, uint64_t min, uint64_t max, uint32_t *out)
{
	uint64_t value;

	if (!command_number(what, optarg, min, max, &value))
		return false;
	*out = (uint32_t)value;
	return true;
}

static bool real_option(const char *what, double min, double max, double *out)
{
	char *end;
	double value = strtod(optarg, &end);

	if (end == optarg || *end || !(value >= min && value <= max)) {
		fprintf(stderr, "abaft: %s is '%s'; give a number from %g to %g\n", what, optarg,
			min, max);
		return false;
	}
	*out = value;
	return true;
}

static bool prefix_option(struct load_config *config)
{
	size_t bytes = strlen(optarg);

	if (bytes > LOAD_PREFIX_BYTES_MAX) {
		fprintf(stderr, "abaft: --prefix has %zu characters; give at most %d\n", bytes,
			LOAD_PREFIX_BYTES_MAX);
		return false;
	}
	config->prefix = optarg;
	return true;
}

/* Sets *known to false if the option is not one of this subcommand's own. */
static bool own_option(struct load_config *c, int option, bool *known)
{
	*known = true;
	switch (option) {
	case 'F':
		return u32_option("--functions", 1, 32, &c->functions);
	case OPTION_WRITES:
		return u32_option("--writes", 0, LOAD_OPS_MAX, &c->writes);
	case OPTION_READS:
		return u32_option("--reads", 0, LOAD_OPS_MAX, &c->reads);
	case OPTION_READ_SHARE:
		return real_option("--read-share", 0, 1, &c->read_share);
	case OPTION_ABORT_SHARE:
		return real_option("--abort-share", 0, 1, &c->abort_share);
	case '1':
		return c->one_packet = true;
	case 'k':
		return command_number("--keys", optarg, 1, 9999999999, &c->keys);
	case 'b':
		return u32_option("--value-bytes", 0, ABAFT_VALUE_BYTES_MAX, &c->value_bytes);
	case 'z':
		return real_option("--zipf", 0.5, 2, &c->exponent);
	case OPTION_UNIFORM:
		c->exponent = 0;
		return true;
	case OPTION_PREFIX:
		return prefix_option(c);
	case 'c':
		return u32_option("--clients", 1, LOAD_CLIENTS_MAX, &c->clients);
	case 'T':
		return u32_option("--threads", 1, LOAD_THREADS_MAX, &c->threads);
	case 'r':
		return real_option("--rate", 0.001, 1e8, &c->rate);
	case OPTION_CONSTANT:
		return c->constant = true;
	case 's':
		return real_option("--seconds", 0.001, 1e7, &c->seconds);
	case 'n':
		return command_number("--transactions", optarg, 1, 1ull << 50, &c->transactions);
	case OPTION_RETRIES:
		return u32_option("--retries", 0, 60000, &c->retries);
	case OPTION_SEED:
		return command_number("--seed", optarg, 0, UINT64_MAX, &c->seed);
	case OPTION_PRELOAD:
		return c->preload = true;
	case OPTION_HISTORY:
		c->history = optarg;
		return true;
	case OPTION_DUMP:
		c->dump = optarg;
		return true;
	case OPTION_RECORD:
		c->record = optarg;
		return true;
	case OPTION_NO_RUN:
		return c->no_run = true;
	case 'q':
		return c->quiet = true;
	default:
		*known = false;
		return true;
	}
}

/* What the options mean together; says what does not fit. */
static bool check_config(struct load *load)
{
	struct load_config *c = &load->config;
	const char *complaint = NULL;
	uint32_t batch = (2u << 20) / (c->value_bytes + 1024);

	load->per_function = c->reads + c->writes;
	load->ops_max = load->per_function * c->functions;
	batch = batch > LOAD_BATCH_OPS ? LOAD_BATCH_OPS : batch;
	if (load->ops_max < batch)
		load->ops_max = batch;
	load->buffer_bytes = c->value_bytes < 1024 ? 1024 : c->value_bytes;
	if (c->seconds == 0 && c->transactions == 0)
		c->seconds = 10;
	if (c->transactions == 0)
		c->transactions = UINT64_MAX;
	if (load->per_function == 0)
		complaint = "--reads and --writes are both 0";
	else if (load->per_function * c->functions > LOAD_OPS_MAX)
		complaint = "a transaction has more than 256 operations";
	else if ((c->read_share < 0 ? (uint64_t)c->writes : load->per_function) * c->functions *
			 c->value_bytes >
		 ABAFT_TXN_VALUE_BYTES_MAX)
		complaint = "a transaction writes more than 3 MiB";
	else if (c->clients < c->threads)
		complaint = "there are fewer --clients than --threads";
	else if ((uint64_t)c->clients * load->ops_max * load->buffer_bytes > LOAD_BUFFER_BYTES_MAX)
		complaint = "--clients times operations times --value-bytes is over 4 GiB";
	else if (c->history && c->value_bytes < 160)
		complaint = "with --history values need at least 160 bytes, for the tag that names "
			    "their writer";
	else if (c->no_run && !c->preload && !c->dump)
		complaint = "--no-run without --preload or --dump does nothing";
	else if (c->no_run && c->record)
		complaint = "--record with --no-run has nothing to record";
	else if (c->constant && c->rate <= 0)
		complaint = "--constant needs --rate";
	if (complaint)
		fprintf(stderr, "abaft load: %s\n", complaint);
	return !complaint;
}

/* A phase and its report on stderr if it went wrong. */
static int phase_run(struct load *load, enum load_phase phase, struct load_counts *counts,
		     double *seconds)
{
	int code = load_phase_run(load, phase, counts, seconds);

	if (code == COMMAND_OK && phase != LOAD_RUN && (counts->failed || counts->unknown)) {
		fprintf(stderr,
			"abaft load: %" PRIu64 " transactions of the %s did not commit; "
			"see that the node has room (`abaft status`)\n",
			counts->failed + counts->unknown,
			phase == LOAD_PRELOAD ? "preload" : "dump");
		code = COMMAND_FAILED;
	}
	return code;
}

/* The run itself, and its result. */
static int measure(struct load *load, struct recording *recording, struct load_counts *counts)
{
	const struct load_config *c = &load->config;
	double seconds = 0;
	int code, recorded;

	load->recording = recording;
	code = phase_run(load, LOAD_RUN, counts, &seconds);
	load->recording = NULL;
	if (code != COMMAND_OK && code != COMMAND_NO)
		return code;
	if (code == COMMAND_OK && (counts->failed || counts->unknown))
		code = COMMAND_NO;
	if (!c->common.json)
		load_print(load, counts, seconds);
	else if (load_print_json(load, counts, seconds))
		code = command_failed("printing the result", ABAFT_NO_MEMORY);
	recorded = recording ? recording_result(recording, load, counts, seconds) : COMMAND_OK;
	return recorded == COMMAND_OK ? code : recorded;
}

static int run(struct load *load)
{
	const struct load_config *c = &load->config;
	struct load_counts *counts = calloc(1, sizeof(*counts));
	struct recording *recording = NULL;
	double seconds = 0;
	int code = COMMAND_OK;

	if (!counts || zipf_init(&load->zipf, c->keys, c->exponent)) {
		free(counts);
		return command_failed("starting", ABAFT_NO_MEMORY);
	}
	if (c->record)
		code = recording_open(&recording, c->record);
	if (code == COMMAND_OK && c->preload)
		code = phase_run(load, LOAD_PRELOAD, counts, &seconds);
	if (code == COMMAND_OK && !c->no_run)
		code = measure(load, recording, counts);
	if (c->dump && (code == COMMAND_OK || code == COMMAND_NO)) {
		int dump = phase_run(load, LOAD_DUMP, counts, &seconds);

		code = dump == COMMAND_OK ? code : dump;
	}
	recording_close(recording);
	free(counts);
	return code;
}

int command_load(int argc, char **argv)
{
	struct load load = {.config = {.keys = 10000,
				       .value_bytes = 4096,
				       .functions = 2,
				       .writes = 1,
				       .reads = 2,
				       .read_share = -1,
				       .exponent = 1,
				       .clients = 16,
				       .threads = 1,
				       .retries = 100,
				       .seed = 1,
				       .prefix = "k"}};
	int option, code;

	optind = 0;
	while ((option = getopt_long(argc, argv, COMMAND_SHORT_OPTIONS "F:1k:b:z:c:T:r:s:n:q",
				     options, NULL)) != -1) {
		bool known;

		if (!own_option(&load.config, option, &known))
			return COMMAND_USAGE;
		if (!known && !command_option(&load.config.common, option, "load", help, &code))
			return code;
	}
	if (optind < argc) {
		fprintf(stderr, "abaft load: '%s' is no option; see `abaft load --help`\n",
			argv[optind]);
		return COMMAND_USAGE;
	}
	return check_config(&load) ? run(&load) : COMMAND_USAGE;
}
