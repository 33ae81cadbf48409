// SPDX-License-Identifier: Apache-2.0
/*
 * load_test.c - `abaft load` and `abaft check` as processes, against a fake node: what is counted,
 * what the history holds, how failures are retried.
 */
#include <math.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cJSON.h>
#include <cmocka.h>

#include "tests/lib/fake_server.h"
#include "tests/lib/scratch.h"
#include "tools/history/model.h"

struct run {
	struct fake_server *server;
	char *folder;
	int code;
	cJSON *json;
	char output[65536];
};

static int set_up(void **state)
{
	struct run *run = calloc(1, sizeof(*run));

	if (!run || scratch_setup((void **)&run->folder))
		return -1;
	run->server = fake_server_start(AF_INET, 2);
	*state = run;
	return 0;
}

static int tear_down(void **state)
{
	struct run *run = *state;
	int err = scratch_teardown((void **)&run->folder);

	assert_null(run->server->node->fault);
	fake_server_stop(run->server);
	cJSON_Delete(run->json);
	free(run);
	return err;
}

/* Runs `abaft ARGUMENTS`, a shell's words; in them $D is the test's folder and $P the port. */
static void run_abaft(struct run *run, const char *arguments)
{
	char command[4096];
	FILE *output;
	int status;
	size_t n;

	snprintf(command, sizeof(command), "D=%s; P=%u; exec '%s' %s 2>&1", run->folder,
		 run->server->port, getenv("ABAFT_COMMAND"), arguments);
	output = popen(command, "r");
	assert_non_null(output);
	n = fread(run->output, 1, sizeof(run->output) - 1, output);
	run->output[n] = '\0';
	status = pclose(output);
	run->code = WIFEXITED(status) ? WEXITSTATUS(status) : -1;
	cJSON_Delete(run->json);
	run->json = cJSON_Parse(run->output);
}

static double number(const struct run *run, const char *name)
{
	const cJSON *item = cJSON_GetObjectItem(run->json, name);

	if (!cJSON_IsNumber(item))
		fail_msg("no number '%s' in: %s", name, run->output);
	return item->valuedouble;
}

static double error_count(const struct run *run, const char *name)
{
	const cJSON *item = cJSON_GetObjectItem(cJSON_GetObjectItem(run->json, "errors"), name);

	return item ? item->valuedouble : 0;
}

static struct check *read_history(const struct run *run)
{
	struct check *check = check_create(0);
	char path[512];

	snprintf(path, sizeof(path), "%s/history", run->folder);
	if (check_read(check, path))
		fail_msg("%s", check->error);
	return check;
}

/* The preload, every operation and the final state are told, and nothing else is. */
static void counts_and_history_agree(void **state)
{
	struct run *run = *state;
	struct check *check;

	run_abaft(run, "load -p $P -n 200 -c 1 -k 50 -b 300 --one-packet --preload -w json "
		       "--history $D/history --dump $D/final");
	assert_int_equal(run->code, 0);
	assert_true(number(run, "committed") == 200);
	assert_true(number(run, "writes") == 400);
	assert_true(number(run, "reads") == 800);
	assert_true(number(run, "not_found") == 0);
	assert_true(number(run, "failed") + number(run, "unknown") == 0);
	assert_int_equal(fake_node_commits(run->server->node), 200 + 2 + 2);

	check = read_history(run);
	assert_int_equal(check->parts_count, 200 + 2);
	assert_int_equal(check_judge(check), 0);
	assert_int_equal(check->fates[CHECK_COMMITTED], 202);
	assert_int_equal(check->reads, 800);
	assert_int_equal(check->changes, 450);
	assert_int_equal(check->reads_unjudged, 0);
	assert_int_equal(check_anomalies(check), 0);
	check_destroy(check);

	run_abaft(run, "check -w json $D/history --final $D/final");
	assert_int_equal(run->code, 0);
	assert_true(number(run, "final_keys") == 50);
	assert_true(number(run, "commits_judged") > 400);
	assert_true(number(run, "commits_unjudged") == 0);
}

/* Two functions, two submits: the second joins the first. */
static void functions_are_steps(void **state)
{
	struct run *run = *state;
	struct check *check;
	bool second = false;

	run_abaft(run, "load -p $P -n 20 -c 1 -k 50 -b 200 -w json --history $D/history -T 1");
	assert_int_equal(run->code, 0);
	assert_true(number(run, "committed") == 20);
	for (uint32_t i = 0; i < run->server->node->seen_count; i++)
		second |= run->server->node->seen[i].step == 1;
	assert_true(second);
	check = read_history(run);
	second = false;
	for (size_t i = 0; i < check->ops_count; i++)
		second |= check->ops[i].kind == 'w' && check->ops[i].number.step == 1;
	assert_true(second);
	check_destroy(check);
}

static void unknown_txn_runs_again(void **state)
{
	struct run *run = *state;
	struct check *check;
	int failed = 0, later = 0;

	run->server->node->refusals = 3;
	run->server->node->refuse = ABAFT_UNKNOWN_TXN;
	run_abaft(run,
		  "load -p $P -n 50 -c 4 -k 50 -b 200 -w json --history $D/history --one-packet");
	assert_int_equal(run->code, 0);
	assert_true(number(run, "committed") == 50);
	assert_true(number(run, "reruns") == 3);
	assert_true(error_count(run, "UNKNOWN_TXN") == 3);
	check = read_history(run);
	for (size_t i = 0; i < check->parts_count; i++) {
		failed += check->parts[i].outcome == HISTORY_FAILED;
		later +=
			check->parts[i].attempt > 0 && check->parts[i].outcome == HISTORY_COMMITTED;
	}
	assert_int_equal(failed, 3);
	assert_in_range(later, 1, 3);
	check_destroy(check);
}

/* An answer that says no once and for all is not tried again. */
static void refused_for_good(void **state)
{
	struct run *run = *state;

	run->server->node->refusals = 2;
	run->server->node->refuse = ABAFT_NO_SPACE;
	run_abaft(run, "load -p $P -n 10 -c 1 -k 50 -b 200 -w json --one-packet");
	assert_int_equal(run->code, 1);
	/* A resend on a busy machine may take one of the two refusals. */
	assert_in_range((int)error_count(run, "NO_SPACE"), 1, 2);
	assert_true(number(run, "committed") == 10 - error_count(run, "NO_SPACE"));
	assert_true(number(run, "failed") + number(run, "unknown") == error_count(run, "NO_SPACE"));
	assert_true(number(run, "reruns") == 0);
}

/* An acknowledgement that never came: unknown, then repeated by the next attempt. */
static void lost_acknowledgements(void **state)
{
	struct run *run = *state;
	struct check *check;

	run->server->lose_permille = 300;
	run->server->twice = true;
	run_abaft(run, "load -p $P -n 100 -c 8 -k 20 -b 200 -t 40 -w json --history $D/history "
		       "--preload -F 1");
	assert_int_equal(run->code, 0);
	assert_true(number(run, "committed") == 100);
	assert_true(number(run, "resends") > 0);
	assert_true(error_count(run, "TIMEOUT") > 0);
	check = read_history(run);
	assert_int_equal(check_judge(check), 0);
	assert_int_equal(check->pairs[CHECK_duplicate_effect], 0);
	assert_int_equal(check->pairs[CHECK_aborted_read], 0);
	assert_int_equal(check->fates[CHECK_COMMITTED], 101);
	check_destroy(check);
}

static void aborts_on_purpose(void **state)
{
	struct run *run = *state;

	run_abaft(run,
		  "load -p $P -n 200 -c 2 -k 50 -b 200 --abort-share 0.5 -w json --one-packet");
	assert_int_equal(run->code, 0);
	assert_true(number(run, "aborted") > 50 && number(run, "committed") > 50);
	assert_true(number(run, "aborted") + number(run, "committed") == 200);
	assert_int_equal(fake_node_commits(run->server->node), (uint32_t)number(run, "committed"));
}

/* The node is silent for about 35 ms: turns that came meanwhile waited, and must say so. A closed
 * loop would show a single slow transaction. */
static void open_loop_counts_from_the_turn(void **state)
{
	struct run *run = *state;
	const cJSON *latency;

	pthread_mutex_lock(&run->server->lock);
	run->server->silent = 3; /* sent again after 5, 10 and 20 ms */
	pthread_mutex_unlock(&run->server->lock);
	run_abaft(run, "load -p $P -n 100 -c 1 -k 50 -b 200 --rate 1000 --constant -w json "
		       "--one-packet");
	assert_int_equal(run->code, 0);
	assert_true(number(run, "committed") == 100);
	latency = cJSON_GetObjectItem(run->json, "latency_us");
	assert_true(cJSON_GetObjectItem(latency, "max")->valuedouble > 20000);
	assert_true(cJSON_GetObjectItem(latency, "p90")->valuedouble > 8000);
	/* 100 turns of 1 ms each: it cannot be over much sooner. */
	assert_true(number(run, "seconds") > 0.09);
}

static void rate_and_seconds(void **state)
{
	struct run *run = *state;

	run_abaft(run,
		  "load -p $P -s 0.5 -c 8 -k 50 -b 200 --rate 400 -w json --one-packet --seed 3");
	assert_int_equal(run->code, 0);
	/* Poisson with mean 200: 6 standard deviations. */
	assert_true(number(run, "committed") + number(run, "not_started") > 115);
	assert_true(number(run, "committed") + number(run, "not_started") < 285);
	assert_true(number(run, "seconds") >= 0.5);
}

/* The recording's file as text; the test's folder is $D. */
static const char *recorded(const struct run *run, const char *name)
{
	static char text[1 << 18];
	char path[512];
	FILE *file;
	size_t n;

	snprintf(path, sizeof(path), "%s/rec/%s", run->folder, name);
	file = fopen(path, "r");
	if (!file)
		fail_msg("%s is not there", path);
	n = fread(text, 1, sizeof(text) - 1, file);
	fclose(file);
	text[n] = '\0';
	return text;
}

static double member(const cJSON *object, const char *name)
{
	const cJSON *item = cJSON_GetObjectItem(object, name);

	if (!cJSON_IsNumber(item))
		fail_msg("no number '%s'", name);
	return item->valuedouble;
}

struct series_sums {
	double committed, aborted, failed, unknown, errors, retries, resends, seconds, max_us;
	int lines;
};

static struct series_sums read_series(const struct run *run)
{
	struct series_sums sums = {0};

	for (const char *line = recorded(run, "series.jsonl"); *line;
	     line = strchr(line, '\n') + 1) {
		const char *end = NULL;
		cJSON *second = cJSON_ParseWithOpts(line, &end, 0);
		const cJSON *latency = cJSON_GetObjectItem(second, "latency_us");
		bool any = member(second, "committed") + member(second, "aborted") > 0;

		assert_true(end && *end == '\n');
		assert_true(member(second, "t") == sums.lines++);
		sums.committed += member(second, "committed");
		sums.aborted += member(second, "aborted");
		sums.failed += member(second, "failed");
		sums.unknown += member(second, "unknown");
		sums.errors += member(second, "errors");
		sums.retries += member(second, "retries");
		sums.resends += member(second, "resends");
		sums.seconds += member(second, "seconds");
		assert_true(any == !cJSON_IsNull(latency));
		if (any) {
			assert_true(member(latency, "p50") <= member(latency, "p90"));
			assert_true(member(latency, "p99") <= member(latency, "p99.9"));
			assert_true(member(latency, "p99.9") <= member(latency, "max"));
			sums.max_us = fmax(sums.max_us, member(latency, "max"));
		}
		cJSON_Delete(second);
	}
	return sums;
}

/* Seconds, the distribution and the result tell the same story. */
static void recording_agrees(void **state)
{
	struct run *run = *state;
	const cJSON *latency;
	struct series_sums sums;
	double last = 0, last_us = 0;
	cJSON *root, *point;

	run->server->node->refusals = 5;
	run->server->node->refuse = ABAFT_UNKNOWN_TXN;
	run_abaft(run, "load -p $P -s 2.3 -c 4 -T 2 -k 50 -b 200 --rate 300 --abort-share 0.2 "
		       "-t 500 -w json --one-packet --preload --record $D/rec");
	assert_int_equal(run->code, 0);
	sums = read_series(run);
	assert_true(sums.committed == number(run, "committed") && sums.committed > 200);
	assert_true(sums.aborted == number(run, "aborted") && sums.aborted > 20);
	assert_true(sums.failed + sums.unknown == 0);
	assert_true(sums.errors == error_count(run, "UNKNOWN_TXN") + error_count(run, "TIMEOUT"));
	assert_true(sums.retries == number(run, "reruns") + number(run, "new_ids"));
	assert_true(sums.resends == number(run, "resends"));
	assert_int_equal(sums.lines, (int)ceil(sums.seconds));
	assert_true(fabs(sums.seconds - number(run, "seconds")) < 0.01);
	assert_true(number(run, "start_unix_s") > 1.7e9);
	latency = cJSON_GetObjectItem(run->json, "latency_us");
	assert_true(fabs(sums.max_us - member(latency, "max")) < 0.1);

	root = cJSON_Parse(recorded(run, "load.json"));
	assert_true(cJSON_Compare(root, run->json, true));
	cJSON_Delete(root);
	root = cJSON_Parse(recorded(run, "percentiles.json"));
	assert_true(member(root, "count") == sums.committed + sums.aborted);
	cJSON_ArrayForEach(point, cJSON_GetObjectItem(root, "points"))
	{
		double us = cJSON_GetArrayItem(point, 0)->valuedouble;
		double share = cJSON_GetArrayItem(point, 1)->valuedouble;

		assert_true(us >= last_us && share > last);
		if (last < 0.99 && share >= 0.99)
			assert_true(fabs(us - member(latency, "p99")) < 0.01);
		last_us = us;
		last = share;
	}
	assert_true(last == 1 && fabs(last_us - member(latency, "max")) < 0.01);
	cJSON_Delete(root);
}

/* A second in which nothing ends has a line, too; what ends is where it belongs. */
static void recording_of_a_silence(void **state)
{
	struct run *run = *state;
	struct series_sums sums;
	const char *line;
	int empty = 0;

	run->server->silent = 9; /* sent again after 5, 10, 20 .. ms, 1.3 s together */
	run_abaft(run, "load -p $P -n 3 -c 1 -k 50 -b 200 -t 20000 -F 1 --record $D/rec");
	assert_int_equal(run->code, 0);
	sums = read_series(run);
	assert_in_range(sums.lines, 2, 10);
	assert_true(sums.committed == 3 && sums.resends >= 5 && sums.max_us > 1e6);
	for (line = recorded(run, "series.jsonl"); *line; line = strchr(line, '\n') + 1)
		empty += !strncmp(strstr(line, "latency_us"), "latency_us\":null", 16);
	assert_true(empty >= 1 && empty == sums.lines - 1);
}

/* A folder in which something stands is left alone, but for what looks at the node beside us. */
static void recording_overwrites_nothing(void **state)
{
	struct run *run = *state;
	char path[512], *scrapes;

	run_abaft(run, "load -p $P -n 1 -b 200 --record $D/rec");
	assert_int_equal(run->code, 0);
	run_abaft(run, "load -p $P -n 1 -b 200 --record $D/rec");
	assert_int_equal(run->code, 2);
	assert_non_null(strstr(run->output, "not empty"));
	assert_non_null(strstr(run->output, "rm -r"));
	snprintf(path, sizeof(path), "%s/rec", run->folder);
	assert_true(asprintf(&scrapes, "%s/stats.jsonl", path) > 0);
	for (size_t i = 0; i < 3; i++) {
		static const char *const files[] = {"load.json", "series.jsonl",
						    "percentiles.json"};
		char file[600];

		snprintf(file, sizeof(file), "%s/%s", path, files[i]);
		assert_int_equal(unlink(file), 0);
	}
	fclose(fopen(scrapes, "w"));
	run_abaft(run, "load -p $P -n 1 -b 200 --record $D/rec");
	assert_int_equal(run->code, 0);
	free(scrapes);
	run_abaft(run, "load -p $P -n 1 -b 200 --record $D/none/deeper");
	assert_int_equal(run->code, 6);
	assert_non_null(strstr(run->output, "none/deeper: No such"));
	run_abaft(run, "load -p $P -n 1 -b 200 --record /dev/null");
	assert_int_equal(run->code, 6);
	assert_non_null(strstr(run->output, "Not a directory"));
	/* Who could not run leaves nothing behind. */
	pthread_mutex_lock(&run->server->lock);
	run->server->silent = UINT32_MAX;
	pthread_mutex_unlock(&run->server->lock);
	run_abaft(run, "load -p $P -s 30 -b 200 -t 50 --record $D/silent");
	assert_int_equal(run->code, 3);
	snprintf(path, sizeof(path), "%s/silent", run->folder);
	assert_int_not_equal(access(path, F_OK), 0);
}

static void wrong_command_lines(void **state)
{
	static const struct {
		const char *arguments, *says;
	} lines[] = {
		{"load --zipf 3", "--zipf"},
		{"load --keys 0", "--keys"},
		{"load --reads 0 --writes 0", "both 0"},
		{"load -F 32 --reads 100", "256 operations"},
		{"load -b 1048576 --writes 4", "3 MiB"},
		{"load -c 1 -T 2", "--threads"},
		{"load -b 100 --history x", "160 bytes"},
		{"load --no-run", "nothing"},
		{"load --constant", "--rate"},
		{"load --no-run --preload --record x", "nothing to record"},
		{"load -b 1048576 -c 65536 -F 1 --reads 250", "4 GiB"},
		{"load --prefix 01234567890123456789012345678901234567890", "--prefix"},
		{"load extra", "extra"},
		{"load --nonsense", "nonsense"},
	};
	struct run *run = *state;

	for (size_t i = 0; i < sizeof(lines) / sizeof(lines[0]); i++) {
		run_abaft(run, lines[i].arguments);
		if (run->code != 2 || !strstr(run->output, lines[i].says))
			fail_msg("`%s` exits %d and says: %s", lines[i].arguments, run->code,
				 run->output);
	}
	run_abaft(run, "load --help");
	assert_int_equal(run->code, 0);
	assert_non_null(strstr(run->output, "--one-packet"));
	run_abaft(run, "load -p $P -n 1 -b 200 --history /nonexistent/history");
	assert_int_equal(run->code, 6);
	assert_non_null(strstr(run->output, "/nonexistent/history"));
}

static void nobody_answers(void **state)
{
	struct run *run = *state;

	pthread_mutex_lock(&run->server->lock);
	run->server->silent = UINT32_MAX;
	pthread_mutex_unlock(&run->server->lock);
	run_abaft(run, "load -p $P -s 30 -c 4 -T 2 -b 200 -t 50 -w text");
	assert_int_equal(run->code, 3);
	assert_non_null(strstr(run->output, "no answer"));
}

static void table_for_people(void **state)
{
	struct run *run = *state;

	run_abaft(run, "load -p $P -n 20 -c 2 -T 2 -k 50 -b 200 --uniform --read-share 0.9");
	assert_int_equal(run->code, 0);
	assert_non_null(strstr(run->output, "20 committed"));
	assert_non_null(strstr(run->output, "p99.99"));
	assert_non_null(strstr(run->output, "uniform"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(counts_and_history_agree, set_up, tear_down),
		cmocka_unit_test_setup_teardown(functions_are_steps, set_up, tear_down),
		cmocka_unit_test_setup_teardown(unknown_txn_runs_again, set_up, tear_down),
		cmocka_unit_test_setup_teardown(refused_for_good, set_up, tear_down),
		cmocka_unit_test_setup_teardown(lost_acknowledgements, set_up, tear_down),
		cmocka_unit_test_setup_teardown(aborts_on_purpose, set_up, tear_down),
		cmocka_unit_test_setup_teardown(open_loop_counts_from_the_turn, set_up, tear_down),
		cmocka_unit_test_setup_teardown(rate_and_seconds, set_up, tear_down),
		cmocka_unit_test_setup_teardown(recording_agrees, set_up, tear_down),
		cmocka_unit_test_setup_teardown(recording_of_a_silence, set_up, tear_down),
		cmocka_unit_test_setup_teardown(recording_overwrites_nothing, set_up, tear_down),
		cmocka_unit_test_setup_teardown(wrong_command_lines, set_up, tear_down),
		cmocka_unit_test_setup_teardown(nobody_answers, set_up, tear_down),
		cmocka_unit_test_setup_teardown(table_for_people, set_up, tear_down),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
