/* SPDX-License-Identifier: Apache-2.0 */
/*
 * function - one function of a chain, as a process: writes and reads keys, calls the next function,
 * answers whoever called it. bench/aft/client starts the first of a chain, each starts the next.
 *
 *	function --store KIND [OPTION...]	invocations come on standard input, replies go to
 *						standard output (invocation.h)
 *
 * The first reply says that it and all behind it are ready. With --cold a process serves one
 * invocation, which is what a platform without warm instances does: fork, exec, connect.
 *
 * What it wrote and read goes to a history (tools/history) that `abaft check` judges, and when each
 * operation was asked for into a second file, one line a part: ID STEP ATTEMPT TIME... Both are
 * written when the caller has its answer.
 */
#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "bench/aft/store.h"
#include "tools/history/history.h"
#include "tools/load/zipf.h"

#define ARGUMENTS_MAX 64

struct function {
	struct store store;
	struct store_config config;
	uint32_t position, of, hop_us, value_bytes;
	bool cold, final;
	const char *client, *history_path;
	struct history_writer *history;
	int times_fd;
	int argc;
	char **argv;
	struct function_process next;
	struct zipf_random random;

	struct invocation_message message;
	/* Of the invocation at hand. */
	struct store_op op[INVOCATION_OPS_MAX];
	uint32_t count, done; /* operations; of them those that were run */
	uint64_t start_us, end_us;
	struct store_end end;
	char value[INVOCATION_OPS_MAX][INVOCATION_VALUE_MAX];
};

static struct function function;

enum {
	OPTION_STORE = 1000,
	OPTION_ADDRESS,
	OPTION_PORT,
	OPTION_ENDPOINT,
	OPTION_BUCKET,
	OPTION_TIMEOUT,
	OPTION_BATCHED,
	OPTION_POSITION,
	OPTION_OF,
	OPTION_HOP,
	OPTION_VALUE,
	OPTION_COLD,
	OPTION_CLIENT,
	OPTION_HISTORY,
	OPTION_FINAL,
};

static const struct option options[] = {
	{"store", required_argument, NULL, OPTION_STORE},
	{"address", required_argument, NULL, OPTION_ADDRESS},
	{"port", required_argument, NULL, OPTION_PORT},
	{"endpoint", required_argument, NULL, OPTION_ENDPOINT},
	{"bucket", required_argument, NULL, OPTION_BUCKET},
	{"timeout-ms", required_argument, NULL, OPTION_TIMEOUT},
	{"batched", no_argument, NULL, OPTION_BATCHED},
	{"position", required_argument, NULL, OPTION_POSITION},
	{"of", required_argument, NULL, OPTION_OF},
	{"hop-us", required_argument, NULL, OPTION_HOP},
	{"value-bytes", required_argument, NULL, OPTION_VALUE},
	{"cold", no_argument, NULL, OPTION_COLD},
	{"client", required_argument, NULL, OPTION_CLIENT},
	{"history", required_argument, NULL, OPTION_HISTORY},
	{"final", no_argument, NULL, OPTION_FINAL}, /* its reads are the final state */
	{NULL, 0, NULL, 0},
};

static uint32_t number(const char *text, uint32_t max)
{
	char *end;
	unsigned long value = strtoul(text, &end, 10);

	if (end == text || *end || value > max) {
		fprintf(stderr, "function: '%s' is no number up to %u\n", text, max);
		exit(2);
	}
	return (uint32_t)value;
}

static void take_option(struct function *f, int option)
{
	switch (option) {
	case OPTION_STORE:
		f->config.kind = optarg;
		break;
	case OPTION_ADDRESS:
		f->config.address = optarg;
		break;
	case OPTION_PORT:
		f->config.port = (uint16_t)number(optarg, UINT16_MAX);
		break;
	case OPTION_ENDPOINT:
		f->config.endpoint = optarg;
		break;
	case OPTION_BUCKET:
		f->config.bucket = optarg;
		break;
	case OPTION_TIMEOUT:
		f->config.timeout_ms = number(optarg, 600000);
		break;
	case OPTION_BATCHED:
		f->config.batched = true;
		break;
	case OPTION_POSITION:
		f->position = number(optarg, INVOCATION_STEPS_MAX - 1);
		break;
	case OPTION_OF:
		f->of = number(optarg, INVOCATION_STEPS_MAX);
		break;
	case OPTION_HOP:
		f->hop_us = number(optarg, 10000000);
		break;
	case OPTION_VALUE:
		f->value_bytes = number(optarg, INVOCATION_VALUE_MAX);
		break;
	case OPTION_COLD:
		f->cold = true;
		break;
	case OPTION_CLIENT:
		f->client = optarg;
		break;
	case OPTION_HISTORY:
		f->history_path = optarg;
		break;
	case OPTION_FINAL:
		f->final = true;
		break;
	default:
		exit(2);
	}
}

static void take_options(struct function *f, int argc, char **argv)
{
	int option;

	f->argc = argc;
	f->argv = argv;
	f->config = (struct store_config){.kind = "abaft",
					  .address = "127.0.0.1",
					  .endpoint = "",
					  .bucket = "aft",
					  .timeout_ms = 10000,
					  .access_key = getenv("AWS_ACCESS_KEY_ID"),
					  .secret_key = getenv("AWS_SECRET_ACCESS_KEY")};
	f->value_bytes = 4096;
	f->of = 1;
	f->client = "c";
	while ((option = getopt_long(argc, argv, "", options, NULL)) != -1)
		take_option(f, option);
	if (!f->config.access_key)
		f->config.access_key = "none";
	if (!f->config.secret_key)
		f->config.secret_key = "none";
	if (f->position >= f->of || argc + 3 > ARGUMENTS_MAX) {
		fprintf(stderr, "function: position %u of %u cannot be\n", f->position, f->of);
		exit(2);
	}
}

/* The next function of the chain: this program with this command line, one place further on. */
static int start_next(struct function *f)
{
	char *argv[ARGUMENTS_MAX + 3];
	char position[16];
	struct reply ready;
	int err;

	memcpy(argv, f->argv, sizeof(*argv) * (size_t)f->argc);
	snprintf(position, sizeof(position), "%u", f->position + 1);
	argv[0] = (char[]){"/proc/self/exe"};
	argv[f->argc] = (char[]){"--position"};
	argv[f->argc + 1] = position;
	argv[f->argc + 2] = NULL;
	err = function_start(&f->next, argv);
	if (!err)
		err = reply_receive(f->next.from, &ready);
	if (!err && ready.err)
		err = -EIO;
	if (err)
		fprintf(stderr, "function %u: the next one did not start: %s\n", f->position,
			strerror(-err));
	return err;
}

/* The time that a platform takes to invoke a function. */
static void hop(const struct function *f)
{
	struct timespec pause = {.tv_sec = f->hop_us / 1000000,
				 .tv_nsec = f->hop_us % 1000000 * 1000};

	if (f->hop_us)
		nanosleep(&pause, NULL);
}

/* Random bytes behind a tag that names the writer and all that it writes beside. */
static int make_value(struct function *f, struct store_op *op)
{
	const struct invocation *head = &f->message.head;
	static char keys[INVOCATION_OPS_MAX][INVOCATION_KEY_BYTES];
	static struct tag_key with[INVOCATION_OPS_MAX];
	struct tag_source source = {.id = &head->id,
				    .number = op->number,
				    .time_us = op->time_us,
				    .key = {op->key, op->key_bytes},
				    .with = with};

	for (size_t at = 0; at < f->value_bytes; at += 8) {
		uint64_t bits = zipf_random_u64(&f->random);
		size_t left = f->value_bytes - at;

		memcpy(op->value + at, &bits, left < 8 ? left : 8);
	}
	for (uint32_t i = 0; i < head->ops; i++) {
		uint32_t n = (uint32_t)source.with_count;

		if (!head->op[i].write)
			continue;
		with[n] = (struct tag_key){keys[n], invocation_key(head->op[i].rank, keys[n])};
		source.with_count++;
	}
	op->value_bytes = f->value_bytes;
	return tag_write(op->value, op->value_bytes, &source) < 0 ? ABAFT_TOO_LARGE : ABAFT_OK;
}

static int prepare_op(struct function *f, uint32_t i)
{
	const struct invocation *head = &f->message.head;
	uint32_t at = head->first[head->step] + i;
	struct store_op *op = &f->op[i];

	*op = (struct store_op){.write = head->op[at].write,
				.rank = head->op[at].rank,
				.value = f->value[i],
				.value_bytes = INVOCATION_VALUE_MAX,
				.number = {head->step, head->attempt, at + 1},
				.time_us = store_now_us()};
	op->key_bytes = invocation_key(op->rank, op->key);
	return op->write ? make_value(f, op) : ABAFT_OK;
}

/* The function's own work. */
static int run_part(struct function *f)
{
	const struct invocation *head = &f->message.head;
	int err = f->store.ops->begin(&f->store, &f->message);

	f->count = (uint32_t)head->first[head->step + 1] - head->first[head->step];
	f->done = 0;
	for (uint32_t i = 0; i < f->count && !err; i++) {
		err = prepare_op(f, i);
		if (err || f->config.batched)
			continue;
		err = f->store.ops->run(&f->store, &f->op[i], 1);
		f->done += !err;
	}
	if (!err && f->config.batched) {
		err = f->store.ops->run(&f->store, f->op, f->count);
		f->done = err ? 0 : f->count;
	}
	if (!err)
		err = f->store.ops->end(&f->store, &f->end);
	return err;
}

static enum history_outcome outcome_of(const struct function *f, int err)
{
	if (!err && !store_is_last(&f->store))
		return HISTORY_OPEN;
	if (!err)
		return f->end.repeat ? HISTORY_REPEATED : HISTORY_COMMITTED;
	if (err == ABAFT_COMMITTED)
		return HISTORY_REPEATED;
	return f->end.commit_sent && abaft_retry_of(err) == ABAFT_RETRY_SAME ? HISTORY_UNKNOWN
									     : HISTORY_FAILED;
}

static void log_write(struct function *f, const struct store_op *op)
{
	history_write(f->history, op->key, op->key_bytes, op->number, op->time_us);
}

static void log_read(struct function *f, const struct store_op *op)
{
	history_read(f->history, op->key, op->key_bytes, op->version, op->found ? op->value : NULL,
		     op->value_bytes);
}

static void finish_line(struct function *f)
{
	if (!history_finish(f->history))
		return;
	fputs("function: the history cannot be written\n", stderr);
	exit(1);
}

static void tell_final(struct function *f)
{
	for (uint32_t i = 0; i < f->done; i++) {
		history_begin_final(f->history);
		log_read(f, &f->op[i]);
		finish_line(f);
	}
}

/* The part's line, and when its operations were asked for. */
static void tell(struct function *f, int err)
{
	const struct invocation *head = &f->message.head;
	struct history_head line = {.id = head->id,
				    .client = f->client,
				    .step = head->step,
				    .attempt = head->attempt,
				    .start_us = f->start_us,
				    .end_us = f->end_us > f->start_us ? f->end_us : f->start_us,
				    .outcome = outcome_of(f, err),
				    .version = f->end.version};
	char times[64 + 20 * 2 * INVOCATION_OPS_MAX];
	int at;

	if (!f->history)
		return;
	if (f->final) {
		tell_final(f);
		return;
	}
	abaft_id_text(&head->id, times);
	at = ABAFT_ID_TEXT_BYTES - 1;
	at += snprintf(times + at, sizeof(times) - (size_t)at, " %u %u", head->step, head->attempt);
	history_begin(f->history, &line);
	for (uint32_t i = 0; i < f->done; i++) {
		const struct store_op *op = &f->op[i];

		if (op->buffered)
			continue;
		if (op->write)
			log_write(f, op);
		else
			log_read(f, op);
		at += snprintf(times + at, sizeof(times) - (size_t)at, " %" PRIu64, op->time_us);
	}
	for (uint32_t i = 0; i < f->end.late_count; i++) {
		log_write(f, &f->end.late[i]);
		at += snprintf(times + at, sizeof(times) - (size_t)at, " %" PRIu64,
			       f->end.late[i].time_us);
	}
	finish_line(f);
	times[at++] = '\n';
	if (write(f->times_fd, times, (size_t)at) != at) {
		fputs("function: the file of times cannot be written\n", stderr);
		exit(1);
	}
}

static void add_counts(struct reply *to, const struct reply *from)
{
	to->trips += from->trips;
	to->requests += from->requests;
	to->missing += from->missing;
	to->bytes_written += from->bytes_written;
	to->bytes_read += from->bytes_read;
	to->commit_sent |= from->commit_sent;
}

/* Calls the next function and waits for it. */
static int call_next(struct function *f, struct reply *reply)
{
	struct reply below;
	int err = f->next.pid ? 0 : start_next(f);

	f->message.head.step++;
	if (!err)
		err = invocation_send(f->next.to, &f->message);
	if (!err)
		err = reply_receive(f->next.from, &below);
	f->message.head.step--;
	if (f->cold)
		function_stop(&f->next);
	if (err)
		return err;
	add_counts(reply, &below);
	reply->err = below.err;
	return 0;
}

/* 0, or a negative errno if a pipe or the next function is gone. */
static int serve(struct function *f)
{
	struct reply reply;
	int err, failed = 0;

	hop(f);
	f->end = (struct store_end){0};
	f->store.counts = (struct reply){0};
	f->store.message = &f->message;
	f->start_us = store_now_us();
	err = run_part(f);
	f->end_us = store_now_us();
	reply = f->store.counts;
	reply.err = err == ABAFT_COMMITTED ? ABAFT_OK : err;
	reply.commit_sent = f->end.commit_sent;
	for (uint32_t i = 0; i < f->done; i++)
		reply.missing += !f->op[i].write && !f->op[i].found;
	/* An earlier attempt has committed: there is nothing to go on with. */
	if (!err && !store_is_last(&f->store))
		failed = call_next(f, &reply);
	if (!failed)
		failed = reply_send(STDOUT_FILENO, &reply);
	tell(f, err);
	f->store.ops->forget(&f->store);
	return failed;
}

static int open_files(struct function *f)
{
	char path[512];
	int err;

	f->times_fd = -1;
	if (!f->history_path)
		return 0;
	err = history_open(&f->history, f->history_path);
	if (err)
		return err;
	snprintf(path, sizeof(path), "%s.times", f->history_path);
	f->times_fd = open(path, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC, 0644);
	return f->times_fd < 0 ? -errno : 0;
}

int main(int argc, char **argv)
{
	struct function *f = &function;
	struct reply ready = {0};
	struct abaft_id seed;
	int err;

	take_options(f, argc, argv);
	err = open_files(f);
	if (err) {
		fprintf(stderr, "function: %s: %s\n", f->history_path, strerror(-err));
		return 1;
	}
	abaft_id_new(&seed); /* the kernel's random numbers */
	memcpy(&f->random.state, seed.bytes + 8, sizeof(f->random.state));
	err = store_open(&f->store, &f->config);
	if (err) {
		fprintf(stderr, "function: the store: %s\n", abaft_strerror(err));
		return 1;
	}
	if (!f->cold && f->position + 1 < f->of && start_next(f))
		return 1;
	if (reply_send(STDOUT_FILENO, &ready))
		return 1;
	do {
		err = invocation_receive(STDIN_FILENO, &f->message);
		if (!err)
			err = serve(f);
	} while (!err && !f->cold);
	function_stop(&f->next);
	store_close(&f->store);
	history_close(f->history);
	return err && err != -EPIPE;
}
