/* SPDX-License-Identifier: Apache-2.0 */
/*
 * config_test.c - the daemon's configuration: every type, every refusal, and that the commented
 * example in the tree is what the table says.
 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "control/config.h"
#include "control/endpoint.h"

static struct config config;
static char why[CONFIG_WHY_BYTES];

/* Writes text to a file, reads it as a configuration over the defaults. */
static int read_text(const char *text)
{
	char path[] = "/tmp/abaft-config-XXXXXX";
	int fd = mkstemp(path), err;

	assert_true(fd >= 0);
	assert_int_equal(write(fd, text, strlen(text)), strlen(text));
	close(fd);
	config_defaults(&config);
	why[0] = '\0';
	err = config_read(&config, path, why);
	unlink(path);
	return err;
}

static void refused(const char *text, const char *says)
{
	assert_int_equal(read_text(text), -EINVAL);
	if (strstr(why, says) == NULL)
		fail_msg("\"%s\" does not say \"%s\"", why, says);
}

static int flags(int argc, const char **argv, struct config_asked *asked)
{
	why[0] = '\0';
	return config_flags(&config, argc, (char **)(uintptr_t)argv, asked, why);
}

static void defaults_suit_a_laptop(void **state)
{
	config_defaults(&config);
	assert_string_equal(config.port, "afxdp:lo");
	assert_string_equal(config.addresses, "127.0.0.1,::1");
	assert_int_equal(config.workers, 1);
	assert_int_equal(config.udp_port, 7400);
	assert_true(config.sync);
	assert_false(config.huge_pages);
	assert_false(config.poll);
	assert_int_equal(config_check(&config, why), 0);
}

static void sizes_and_times_take_units(void **state)
{
	assert_int_equal(read_text("memory = 64M\nwindow=2m\ndeadline = 1500ms\nskew = 3s\n"
				   "segment-size = 16777216\nlog-bytes-max = 3G\ncache = 16M\n"
				   "checkpoint = 64M\nclean-below = 80\nclean-rate = 8M\n"),
			 0);
	assert_int_equal(config.memory_bytes, 64 << 20);
	assert_int_equal(config.window_ms, 120000);
	assert_int_equal(config.deadline_ms, 1500);
	assert_int_equal(config.skew_ms, 3000);
	assert_int_equal(config.segment_bytes, 16 << 20);
	assert_int_equal(config.log_bytes_max, UINT64_C(3) << 30);
	assert_int_equal(config.cache_bytes, 16 << 20);
	assert_int_equal(config.checkpoint_bytes, 64 << 20);
	assert_int_equal(config.clean_below, 80);
	assert_int_equal(config.clean_rate, 8 << 20);
	assert_int_equal(config_check(&config, why), 0);
}

static void blanks_and_comments_are_fine(void **state)
{
	assert_int_equal(
		read_text("# c\n; c\n\n   workers   =  3  \n\tpoll = yes\ncores = 0,1,5\n"), 0);
	assert_int_equal(config.workers, 3);
	assert_true(config.poll);
	assert_int_equal(config_core(&config, 2), 5);
	assert_int_equal(config_check(&config, why), 0);
}

static void refusals_name_file_line_and_key(void **state)
{
	refused("workers = 1\nmemory = 10Q\n", ":2: memory: \"10Q\" is not a size");
	refused("\n\nwindow = 5\n", ":3: window: \"5\" is not a time");
	refused("workers = 0\n", ":1: workers: \"0\" is out of range: 1 to 64");
	refused("workers = -1\n", ":1: workers: \"-1\" is not a whole number");
	refused("workers = 99999999999999999999999\n", "is not a whole number");
	refused("memory = 99999999999999999G\n", "is not a size");
	refused("sync = maybe\n", ":1: sync: \"maybe\" is not yes or no");
	refused("log-format = xml\n", ":1: log-format: \"xml\" is not text or json");
	refused("log-level = loud\n", ":1: log-level: \"loud\" is not error, warning");
	refused("data-dir =\n", ":1: data-dir: must have 1 to 255 characters");
	refused("segment-size = 2G\n", ":1: segment-size: \"2G\" is out of range");
	refused("clean-below = 96\n", ":1: clean-below: \"96\" is out of range: 0 to 95");
	refused("colour = blue\n", ":1: colour: there is no such key");
	refused("workers = 1\nworkers = 2\n", ":2: workers: given twice, first in line 1");
	refused("[node]\n", ":1: sections are not used");
	refused("workers\n", ":1: neither a comment nor");
}

static void long_lines_are_refused(void **state)
{
	char text[400];

	memset(text, 'x', sizeof(text));
	memcpy(text, "data-dir = ", 11);
	text[sizeof(text) - 2] = '\n';
	text[sizeof(text) - 1] = '\0';
	refused(text, ":1: the line is too long");
}

/* One was read as a line of no bytes, and what stood before that line was looked at. */
static void a_nul_is_refused_wherever_it_stands(void **state)
{
	static const char *const before[] = {"", "workers = 2\n", "workers = 2", "# c"};

	for (int i = 0; i < 4; i++) {
		char path[] = "/tmp/abaft-config-XXXXXX";
		int fd = mkstemp(path);
		size_t bytes = strlen(before[i]) + 1;

		assert_int_equal(write(fd, before[i], bytes), bytes);
		assert_int_equal(write(fd, "x", 1), 1);
		close(fd);
		config_defaults(&config);
		assert_int_equal(config_read(&config, path, why), -EINVAL);
		assert_non_null(strstr(why, i == 1 ? ":2: the line holds a NUL"
						   : ":1: the line holds a NUL"));
		unlink(path);
	}
}

static void a_missing_file_is_named(void **state)
{
	config_defaults(&config);
	assert_int_equal(config_read(&config, "/nowhere/abaft.conf", why), -ENOENT);
	assert_non_null(strstr(why, "/nowhere/abaft.conf: cannot be read: No such file"));
}

static void flags_lie_over_the_file(void **state)
{
	const char *argv[] = {"abaftd", "--workers", "2",	  "--config",
			      NULL,	"--poll",    "--sync=no", NULL};
	char path[] = "/tmp/abaft-config-XXXXXX";
	struct config_asked asked;
	int fd = mkstemp(path);

	assert_int_equal(write(fd, "workers = 5\nnode = 9\n", 21), 21);
	close(fd);
	argv[4] = path;
	assert_int_equal(flags(7, argv, &asked), 0);
	unlink(path);
	assert_int_equal(config.workers, 2);
	assert_int_equal(config.node, 9);
	assert_true(config.poll);
	assert_false(config.sync);
	assert_string_equal(asked.file, path);
	assert_false(asked.check);
}

static void flags_are_refused_by_name(void **state)
{
	const char *unknown[] = {"abaftd", "--colour", "blue", NULL};
	const char *bad[] = {"abaftd", "--memory", "much", NULL};
	const char *bare[] = {"abaftd", "--memory", NULL};
	const char *word[] = {"abaftd", "--poll", "start", NULL};
	struct config_asked asked;

	assert_int_equal(flags(3, unknown, &asked), -EINVAL);
	assert_non_null(strstr(why, "--colour: there is no such flag"));
	assert_int_equal(flags(3, bad, &asked), -EINVAL);
	assert_non_null(strstr(why, "command line: memory: \"much\" is not a size"));
	assert_int_equal(flags(2, bare, &asked), -EINVAL);
	assert_non_null(strstr(why, "--memory: needs a value"));
	assert_int_equal(flags(3, word, &asked), -EINVAL);
	assert_non_null(strstr(why, "start: only flags are understood"));
}

/* What no file can say: printed, it would be another configuration. */
static void flags_hold_to_what_a_file_can_say(void **state)
{
	static const char *const bad[] = {"/a\nworkers = 5", "/a ; b", "; b", " /a", "/a ", "a\tb"};
	const char *argv[] = {"abaftd", "--data-dir", "/a;b c", NULL};
	struct config_asked asked;

	assert_int_equal(flags(3, argv, &asked), 0);
	assert_string_equal(config.data_dir, "/a;b c");
	for (int i = 0; i < 6; i++) {
		argv[2] = bad[i];
		assert_int_equal(flags(3, argv, &asked), -EINVAL);
		assert_non_null(strstr(why, "command line: data-dir: control characters"));
	}
}

static void contradictions(const char *text, const char *says)
{
	assert_int_equal(read_text(text), 0);
	assert_int_equal(config_check(&config, why), -EINVAL);
	if (strstr(why, says) == NULL)
		fail_msg("\"%s\" does not say \"%s\"", why, says);
}

static void contradictions_are_found(void **state)
{
	contradictions("udp-port = 65535\nworkers = 2\n", "udp-port: 65535 leaves no room");
	contradictions("window = 1s\ndeadline = 2s\n", "deadline: 2000 ms is longer than window");
	contradictions("segment-size = 16777217\n", "segment-size: 16777217 is no multiple");
	contradictions("memory = 64M\ncache = 65M\n", "cache: 68157440 is more than memory");
	contradictions("workers = 2\ncores = 1\n", "cores: \"1\" must name 2 CPUs");
	contradictions("cores = a\n", "cores: \"a\" must name 1 CPUs");
	contradictions("addresses = 127.0.0.1,localhost\n", "addresses: \"localhost\" is neither");
	contradictions("metrics = localhost\n", "metrics: \"localhost\" is no numeric address");
	contradictions("metrics = 127.0.0.1:0\n", "metrics: \"127.0.0.1:0\" has no port");
}

static void metrics_are(const char *text, const char *endpoint, bool chosen)
{
	struct endpoint out;
	char back[ENDPOINT_TEXT_BYTES];

	assert_int_equal(read_text(text), 0);
	assert_int_equal(config_check(&config, why), 0);
	assert_int_equal(config_metrics(&config, &out), chosen);
	endpoint_text(&out, back);
	assert_string_equal(back, endpoint);
}

static void metrics_have_the_port_of_udp_port(void **state)
{
	metrics_are("", "127.0.0.1:7400", false);
	metrics_are("udp-port = 9000\n", "127.0.0.1:9000", false);
	metrics_are("metrics = [::1]:81\nudp-port = 9000\n", "[::1]:81", true);
	metrics_are("metrics = no\n", "no", true);
}

static void sets_log_bytes(const char *rest, uint64_t bytes)
{
	char text[200];

	snprintf(text, sizeof(text), "segment-size = 8M\nworkers = 2\nlog-bytes-max = %llu\n%s",
		 (unsigned long long)bytes, rest);
	assert_int_equal(read_text(text), 0);
}

/* Two segments a worker; with cleaning three more. One byte less is refused. */
static void log_bytes_max_must_hold_all_logs(void **state)
{
	const uint64_t segment = 8 << 20;

	sets_log_bytes("checkpoint = 4M\n", 7 * segment);
	assert_true(config_keeps(&config));
	assert_int_equal(config_log_reserve(&config), 3 * segment);
	assert_int_equal(config_check(&config, why), 0);
	sets_log_bytes("checkpoint = 4M\n", 7 * segment - 1);
	assert_int_equal(config_check(&config, why), -EINVAL);
	assert_non_null(strstr(why, "log-bytes-max: 58720255 is too little"));
	assert_non_null(strstr(why, "and three for cleaning take 58720256"));
	sets_log_bytes("checkpoint = 0\n", 4 * segment);
	assert_false(config_keeps(&config));
	assert_int_equal(config_log_reserve(&config), 0);
	assert_int_equal(config_check(&config, why), 0);
	sets_log_bytes("checkpoint = 0\n", 4 * segment - 1);
	assert_int_equal(config_check(&config, why), -EINVAL);
	assert_null(strstr(why, "for cleaning"));
}

static void checkpoints_must_come_before_the_logs_are_full(void **state)
{
	sets_log_bytes("checkpoint = 16M\n", 64 << 20);
	assert_int_equal(config_check(&config, why), 0);
	sets_log_bytes("checkpoint = 17M\n", 64 << 20);
	assert_int_equal(config_check(&config, why), -EINVAL);
	assert_non_null(strstr(why, "checkpoint: 17825792 is more than a quarter"));
}

/* What config_print() writes, read back, is the same configuration. */
static void place_is(const char *text, enum config_place place, bool forgets)
{
	assert_int_equal(read_text(text), 0);
	assert_int_equal(config_check(&config, why), 0);
	assert_int_equal(config_place(&config), place);
	assert_int_equal(config_forgets(&config), forgets);
}

static void an_engine_says_where_the_logs_are(void **state)
{
	place_is("", CONFIG_EMBEDDED, false);
	place_is("engine = embedded\n", CONFIG_EMBEDDED, false);
	place_is("engine = redis://127.0.0.1:6379/a\n", CONFIG_ENGINE, false);
	place_is("engine = redis://127.0.0.1:6379/a\nengine-ack = storage\n", CONFIG_ENGINE, false);
	place_is("engine = redis://127.0.0.1:6379/a\nengine-ack = log\n", CONFIG_BOTH, false);
	place_is("engine = redis://127.0.0.1:6379/a\nengine-ack = log\nsync = no\n", CONFIG_BOTH,
		 false);
	place_is("engine = memory:\n", CONFIG_ENGINE, true);
	place_is("engine = memory:\nengine-ack = log\n", CONFIG_BOTH, false);
	assert_int_equal(read_text("engine = s3://b/p?endpoint=http://127.0.0.1:9000\n"
				   "engine-credentials = /etc/abaft/keys\nengine-lag = 16M\n"
				   "engine-delete-rate = 0\nengine-timeout = 2s\n"),
			 0);
	assert_int_equal(config_check(&config, why), 0);
	assert_string_equal(config.engine, "s3://b/p?endpoint=http://127.0.0.1:9000");
	assert_string_equal(config.engine_credentials, "/etc/abaft/keys");
	assert_int_equal(config.engine_lag, 16 << 20);
	assert_int_equal(config.engine_delete_rate, 0);
	assert_int_equal(config.engine_timeout_ms, 2000);
}

static void an_engine_that_cannot_be_is_refused(void **state)
{
	contradictions("engine-ack = log\n", "engine-ack: log says that an engine");
	contradictions("engine-credentials = /etc/abaft/keys\n", "engine-credentials: there is no");
	contradictions("engine = redis://127.0.0.1:6379/a\nsync = no\n",
		       "sync: no contradicts engine-ack = storage");
	contradictions("engine = redis\n", "engine: the engine's URL");
	contradictions("engine = mongodb://127.0.0.1/a\n", "engine: the engine's URL");
	contradictions("engine = redis://me:secret@127.0.0.1:6379/a\n", "engine: the engine's URL");
	assert_null(strstr(why, "secret"));
	refused("engine-ack = later\n", ":1: engine-ack: \"later\" is not storage or log");
	refused("engine-lag = 1M\n", "engine-lag: \"1M\" is out of range");
	refused("engine-timeout = 5ms\n", "engine-timeout: \"5ms\" is out of range");
}

static void a_printed_configuration_reads_back(void **state)
{
	struct config before;
	char text[8192] = "";
	FILE *file = fmemopen(text, sizeof(text), "w");

	assert_int_equal(read_text("workers = 2\nwindow = 3m\nmemory = 9M\npoll = yes\n"), 0);
	before = config;
	config_print(&config, file);
	fclose(file);
	assert_int_equal(read_text(text), 0);
	memset(before.line, 0, sizeof(before.line));
	memset(config.line, 0, sizeof(config.line));
	assert_memory_equal(&before, &config, sizeof(config));
}

/* Takes the comment sign off every `#key = value` line. */
static void uncomment(char *text)
{
	char *from = text, *to = text;

	while (*from != '\0') {
		size_t bytes = strcspn(from, "\n") + 1;

		if (from[0] == '#' && from[1] != ' ')
			from++, bytes--;
		memmove(to, from, bytes);
		to += bytes;
		from += bytes;
	}
	*to = '\0';
}

static void the_example_is_the_table(void **state)
{
	char want[16384] = "", have[16384] = "";
	struct config defaults;
	FILE *file = fmemopen(want, sizeof(want), "w");

	config_print_example(file);
	fclose(file);
	file = fopen(getenv("ABAFT_EXAMPLE"), "r");
	assert_non_null(file);
	have[fread(have, 1, sizeof(have) - 1, file)] = '\0';
	fclose(file);
	assert_string_equal(have, want);
	uncomment(want);
	assert_int_equal(read_text(want), 0);
	for (int i = 0; i < 26; i++)
		assert_int_not_equal(config.line[i], 0);
	config_defaults(&defaults);
	memset(config.line, 0, sizeof(config.line));
	assert_memory_equal(&config, &defaults, sizeof(config));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(defaults_suit_a_laptop),
		cmocka_unit_test(sizes_and_times_take_units),
		cmocka_unit_test(blanks_and_comments_are_fine),
		cmocka_unit_test(refusals_name_file_line_and_key),
		cmocka_unit_test(long_lines_are_refused),
		cmocka_unit_test(a_nul_is_refused_wherever_it_stands),
		cmocka_unit_test(a_missing_file_is_named),
		cmocka_unit_test(flags_lie_over_the_file),
		cmocka_unit_test(flags_are_refused_by_name),
		cmocka_unit_test(flags_hold_to_what_a_file_can_say),
		cmocka_unit_test(contradictions_are_found),
		cmocka_unit_test(metrics_have_the_port_of_udp_port),
		cmocka_unit_test(log_bytes_max_must_hold_all_logs),
		cmocka_unit_test(checkpoints_must_come_before_the_logs_are_full),
		cmocka_unit_test(an_engine_says_where_the_logs_are),
		cmocka_unit_test(an_engine_that_cannot_be_is_refused),
		cmocka_unit_test(a_printed_configuration_reads_back),
		cmocka_unit_test(the_example_is_the_table),
	};

	return cmocka_run_group_tests_name("config", tests, NULL, NULL);
}
