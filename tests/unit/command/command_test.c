/* SPDX-License-Identifier: Apache-2.0 */
/*
 * command_test.c - the abaft command as people and scripts run it, against a fake node: output,
 * exit codes, and what it leaves in the node.
 */
#include <errno.h>
#include <poll.h>
#include <pty.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "tests/lib/fake_server.h"
#include "tools/command/command.h"

#define OUTPUT_BYTES 65536
#define ID	     "01920000-0000-7000-8000-000000000001"

struct run {
	struct fake_server *server;
	char port[16];
	char output[OUTPUT_BYTES]; /* stdout and stderr */
	int code;
};

static int set_up(void **state)
{
	struct run *run = calloc(1, sizeof(*run));

	run->server = fake_server_start(AF_INET, 2);
	snprintf(run->port, sizeof(run->port), "%u", run->server->port);
	*state = run;
	return 0;
}

static int tear_down(void **state)
{
	struct run *run = *state;

	assert_null(run->server->node->fault);
	fake_server_stop(run->server);
	free(run);
	return 0;
}

/* Runs `abaft ARGUMENTS`, a shell's words, with `input` as stdin; ABAFT_PORT stands for ours. */
static void run_with(struct run *run, const char *arguments, const char *input)
{
	char command[4096], input_path[] = "/tmp/abaft-command-test-XXXXXX";
	int fd = mkstemp(input_path);
	FILE *output;
	size_t bytes;
	int status;

	assert_true(fd >= 0);
	assert_int_equal(write(fd, input, strlen(input)), (ssize_t)strlen(input));
	close(fd);
	snprintf(command, sizeof(command), "P=%s; A='%s'; { %s; } < %s 2>&1", run->port,
		 getenv("ABAFT_COMMAND"), arguments, input_path);
	output = popen(command, "r");
	assert_non_null(output);
	bytes = fread(run->output, 1, sizeof(run->output) - 1, output);
	run->output[bytes] = '\0';
	status = pclose(output);
	unlink(input_path);
	assert_true(WIFEXITED(status));
	run->code = WEXITSTATUS(status);
}

static void expect(struct run *run, const char *arguments, const char *input, int code,
		   const char *output)
{
	run_with(run, arguments, input);
	if (run->code != code || !strstr(run->output, output))
		fail_msg("%s: exit code %d, not %d, or no '%s' in:\n%s", arguments, run->code, code,
			 output, run->output);
}

static void assert_stored(struct run *run, const char *key, const char *text)
{
	const struct fake_value *value;

	pthread_mutex_lock(&run->server->lock);
	value = fake_node_value(run->server->node, key);
	if (!text) {
		assert_true(!value || value->deleted);
	} else {
		assert_non_null(value);
		assert_int_equal(value->total, strlen(text));
		assert_memory_equal(value->bytes, text, strlen(text));
	}
	pthread_mutex_unlock(&run->server->lock);
}

static uint32_t commits(struct run *run)
{
	uint32_t count;

	pthread_mutex_lock(&run->server->lock);
	count = fake_node_commits(run->server->node);
	pthread_mutex_unlock(&run->server->lock);
	return count;
}

static void every_subcommand_has_help(void **state)
{
	static const char *const names[] = {"get", "put", "del", "txn", "shell", "status"};
	char arguments[64];

	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		char usage[32];

		snprintf(arguments, sizeof(arguments), "$A %s --help", names[i]);
		snprintf(usage, sizeof(usage), "usage: abaft %s", names[i]);
		expect(*state, arguments, "", COMMAND_OK, usage);
		expect(*state, "$A help", "", COMMAND_OK, names[i]);
	}
	expect(*state, "$A --version", "", COMMAND_OK, "abaft 0.");
}

static void wrong_command_lines_are_refused(void **state)
{
	expect(*state, "$A", "", COMMAND_USAGE, "usage: abaft");
	expect(*state, "$A frob", "", COMMAND_USAGE, "no subcommand 'frob'");
	expect(*state, "$A get", "", COMMAND_USAGE, "get needs keys");
	expect(*state, "$A put a", "", COMMAND_USAGE, "a value for each key");
	expect(*state, "$A put a b c", "", COMMAND_USAGE, "a value for each key");
	expect(*state, "$A status nonsense", "", COMMAND_USAGE, "a UUIDv7");
	expect(*state, "$A txn --id nonsense", "", COMMAND_USAGE, "no UUIDv7");
	expect(*state, "$A txn --step 65536", "", COMMAND_USAGE, "--step is '65536'");
	expect(*state, "$A txn /nonexistent/s", "", COMMAND_USAGE, "/nonexistent/s");
	expect(*state, "$A get --address nonsense.invalid a", "", COMMAND_FAILED,
	       "nonsense.invalid");
}

static void several_keys_are_one_transaction(void **state)
{
	expect(*state, "$A put -p $P a 1 b 2", "", COMMAND_OK, "");
	assert_stored(*state, "a", "1");
	assert_stored(*state, "b", "2");
	assert_int_equal(commits(*state), 1);
	expect(*state, "$A get -p $P a b", "", COMMAND_OK, "a\t1\nb\t2\n");
}

static void values_come_from_stdin_and_files(void **state)
{
	expect(*state, "$A put -p $P a -", "from stdin", COMMAND_OK, "");
	assert_stored(*state, "a", "from stdin");
	expect(*state, "F=$(mktemp); printf file >$F; $A put -p $P a @$F b @@x; rm $F", "",
	       COMMAND_OK, "");
	assert_stored(*state, "a", "file");
	assert_stored(*state, "b", "@x");
}

static void a_missing_key_is_exit_code_1(void **state)
{
	expect(*state, "$A get -p $P nothing", "", COMMAND_NO, "get 'nothing': the key has no");
	expect(*state, "$A put -p $P a 1 && $A del -p $P a && $A get -p $P a", "", COMMAND_NO,
	       "get 'a': the key has no");
	assert_stored(*state, "a", NULL);
}

static void json_is_written(void **state)
{
	expect(*state, "$A put -w json -p $P a 1", "", COMMAND_OK, "\"outcome\":\t\"committed\"");
	expect(*state, "$A get -w json -p $P a", "", COMMAND_OK, "\"value\":\t\"1\"");
	expect(*state, "$A get -w json -p $P b", "", COMMAND_NO, "\"status\":\t\"NOT_FOUND\"");
}

static void no_answer_is_exit_code_3(void **state)
{
	struct run *run = *state;

	pthread_mutex_lock(&run->server->lock);
	run->server->silent = UINT32_MAX;
	pthread_mutex_unlock(&run->server->lock);
	expect(run, "$A get -p $P -t 100 a", "", COMMAND_AGAIN, "see that abaftd runs there");
	expect(run, "$A put -p $P -t 100 a b", "", COMMAND_AGAIN, "ask `abaft status 0");
}

static void a_script_is_one_transaction(void **state)
{
	expect(*state, "$A txn -p $P --id " ID " --step 1",
	       "put a 1 b 'two words'\nget a\ncommit\n", COMMAND_OK, "1\n");
	assert_stored(*state, "b", "two words");
	assert_int_equal(commits(*state), 1);
}

static void a_script_takes_effect_once(void **state)
{
	expect(*state, "$A txn -p $P --id " ID, "put a 1\ncommit\n", COMMAND_OK, "committed " ID);
	expect(*state, "$A put -p $P a other", "", COMMAND_OK, "");
	expect(*state, "$A txn -p $P --id " ID " --attempt 1", "put a 1\ncommit\n", COMMAND_OK,
	       "by an earlier run");
	assert_stored(*state, "a", "other");
	expect(*state, "$A status -p $P " ID, "", COMMAND_OK, "committed");
}

static void a_broken_script_sends_nothing(void **state)
{
	expect(*state, "$A txn -p $P", "put a 1\nput b\ncommit\n", COMMAND_USAGE,
	       "standard input:2: put needs");
	expect(*state, "$A txn -p $P", "put a 1\n", COMMAND_USAGE, "neither commits nor aborts");
	expect(*state, "$A txn -p $P --export", "put a 1\ncommit\n", COMMAND_USAGE,
	       "must not end it");
	expect(*state, "$A txn -p $P", "# nothing\n", COMMAND_USAGE, "no operation");
	assert_stored(*state, "a", NULL);
	assert_int_equal(commits(*state), 0);
}

static void an_aborted_script_leaves_nothing(void **state)
{
	expect(*state, "$A txn -p $P --id " ID, "put a 1\nabort\n", COMMAND_OK, "aborted " ID);
	assert_stored(*state, "a", NULL);
	expect(*state, "$A txn -p $P --id " ID " -n 1", "put a 1\ncommit\n", COMMAND_NEW_ID,
	       "only a new transaction id");
}

static void a_chain_of_scripts_is_one_transaction(void **state)
{
	expect(*state,
	       "C=$(printf 'put a 1' | $A txn -p $P --id " ID " --step 1 --export 2>/dev/null); "
	       "$A get -p $P a; printf 'put b 2\nget a\ncommit\n' | "
	       "$A txn -p $P --join \"$C\" --step 2",
	       "", COMMAND_OK, "get 'a': the key has no");
	assert_non_null(strstr(((struct run *)*state)->output, "committed " ID));
	assert_stored(*state, "a", "1");
	assert_stored(*state, "b", "2");
	/* The chain's, and that of the get between. */
	assert_int_equal(commits(*state), 2);
}

static void new_ids_are_made(void **state)
{
	expect(*state, "$A status -p $P $($A txn --new-id)", "", COMMAND_NO, "unknown");
}

static void status_shows_the_workers(void **state)
{
	struct run *run = *state;

	pthread_mutex_lock(&run->server->lock);
	run->server->node->info = "version 9\ngets 21\n";
	pthread_mutex_unlock(&run->server->lock);
	expect(run, "$A status -p $P", "", COMMAND_OK, "gets                               42");
	expect(run, "$A status -w json -p $P", "", COMMAND_OK, "\"gets\":\t42");
}

static void the_shell_commits_each_line(void **state)
{
	expect(*state, "$A shell -p $P", "put a 1 b 2\nget a b\n\n# done\nquit\nput a 3\n",
	       COMMAND_OK, "a\t1\nb\t2\n");
	assert_stored(*state, "a", "1");
}

static void the_shell_holds_a_transaction(void **state)
{
	expect(*state, "$A shell -p $P", "begin " ID "\nput a 1\nget a\nstatus\ncommit\nget a\n",
	       COMMAND_OK, "begun " ID "\n1\nopen\ncommitted ");
	assert_stored(*state, "a", "1");
	expect(*state, "$A shell -p $P", "begin\nput a 2\nabort\nget a\n", COMMAND_OK,
	       "aborted\n1\n");
	expect(*state, "$A shell -p $P", "begin\nput a 3\n", COMMAND_OK, "aborting it");
	assert_stored(*state, "a", "1");
}

static void the_shell_explains_mistakes(void **state)
{
	expect(*state, "$A shell -p $P", "frob\n", COMMAND_USAGE, "no command 'frob'");
	expect(*state, "$A shell -p $P", "commit\n", COMMAND_USAGE, "no transaction is open");
	expect(*state, "$A shell -p $P", "begin\nbegin\nabort\n", COMMAND_USAGE, "open already");
	expect(*state, "$A shell -p $P", "put a\n", COMMAND_USAGE, "KEY VALUE pairs");
	expect(*state, "$A shell -p $P", "get 'a\nput a 5\n", COMMAND_USAGE, "without its end");
	assert_stored(*state, "a", "5");
	expect(*state, "$A shell -p $P", "help\n", COMMAND_OK, "get KEY...");
}

/* Reads from the terminal until `text` came, at most 10 s. */
static void terminal_expect(int terminal, const char *text)
{
	struct pollfd ready = {.fd = terminal, .events = POLLIN};
	char seen[16384] = "";
	size_t bytes = 0;

	while (bytes < sizeof(seen) - 1 && poll(&ready, 1, 10000) == 1) {
		ssize_t got = read(terminal, seen + bytes, sizeof(seen) - 1 - bytes);

		if (got <= 0)
			break;
		bytes += (size_t)got;
		seen[bytes] = '\0';
		if (memmem(seen, bytes, text, strlen(text)))
			return;
	}
	fail_msg("no '%s' on the terminal but:\n%s", text, seen);
}

static void terminal_type(int terminal, const char *text)
{
	assert_int_equal(write(terminal, text, strlen(text)), (ssize_t)strlen(text));
}

static void the_shell_edits_lines_on_a_terminal(void **state)
{
	struct run *run = *state;
	char home[] = "/tmp/abaft-command-test-XXXXXX";
	char history[64], text[256] = "";
	int terminal, status;
	FILE *file;
	pid_t pid;

	assert_non_null(mkdtemp(home));
	snprintf(history, sizeof(history), "%s/.abaft_history", home);
	pid = forkpty(&terminal, NULL, NULL, NULL);
	assert_true(pid >= 0);
	if (!pid) {
		setenv("HOME", home, 1);
		setenv("TERM", "dumb", 1);
		execl(getenv("ABAFT_COMMAND"), "abaft", "shell", "-p", run->port, NULL);
		_exit(127);
	}
	terminal_expect(terminal, "abaft> ");
	/* Tab completes, backspace erases. */
	terminal_type(terminal, "pu\ta x\x7f"
				"1\n");
	terminal_expect(terminal, "abaft> ");
	terminal_type(terminal, "get a\n");
	terminal_expect(terminal, "\n1\r\n");
	terminal_type(terminal, "quit\n");
	/* A pty's master reads an error at the end. */
	while (read(terminal, text, sizeof(text)) > 0)
		;
	assert_int_equal(waitpid(pid, &status, 0), pid);
	close(terminal);
	assert_true(WIFEXITED(status) && WEXITSTATUS(status) == 0);
	assert_stored(run, "a", "1");
	file = fopen(history, "r");
	assert_non_null(file);
	text[fread(text, 1, sizeof(text) - 1, file)] = '\0';
	fclose(file);
	unlink(history);
	rmdir(home);
	assert_non_null(strstr(text, "get\\040a"));
}

int main(void)
{
#define CASE(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
	const struct CMUnitTest tests[] = {
		CASE(every_subcommand_has_help),
		CASE(wrong_command_lines_are_refused),
		CASE(several_keys_are_one_transaction),
		CASE(values_come_from_stdin_and_files),
		CASE(a_missing_key_is_exit_code_1),
		CASE(json_is_written),
		CASE(no_answer_is_exit_code_3),
		CASE(a_script_is_one_transaction),
		CASE(a_script_takes_effect_once),
		CASE(a_broken_script_sends_nothing),
		CASE(an_aborted_script_leaves_nothing),
		CASE(a_chain_of_scripts_is_one_transaction),
		CASE(new_ids_are_made),
		CASE(status_shows_the_workers),
		CASE(the_shell_commits_each_line),
		CASE(the_shell_holds_a_transaction),
		CASE(the_shell_explains_mistakes),
		CASE(the_shell_edits_lines_on_a_terminal),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
