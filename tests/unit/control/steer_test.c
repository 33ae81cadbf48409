/* SPDX-License-Identifier: Apache-2.0 */
/* steer_test.c - what steering refuses before it touches anything, and its state file. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "control/steer.h"
#include "control/steer_left.h"
#include "tests/lib/scratch.h"

static void refused(const struct steer_config *config, int want, const char *words)
{
	char why[STEER_WHY_BYTES] = "";
	struct steer steer;

	assert_int_equal(steer_attach(&steer, config, why), want);
	if (!strstr(why, words))
		fail_msg("\"%s\" is not in \"%s\"", words, why);
	/* Nothing to undo, and undoing it is harmless. */
	assert_int_equal(steer_detach(&steer, why), 0);
}

static void rules(void **state)
{
	static const char *const wrong[] = {"10.0.0.1", "10.0.0.256"};
	static const char *const many[] = {"::1", "::1", "::1", "::1", "::1",
					   "::1", "::1", "::1", "::1"};
	struct steer_config config = {.interface = "lo", .port_base = 7400};

	refused(&config, -EINVAL, "0 workers");
	config.workers = 65;
	refused(&config, -EINVAL, "65 workers");
	config.workers = 2;
	config.port_base = 0;
	refused(&config, -EINVAL, "from 0 on");
	config.port_base = 65535;
	refused(&config, -EINVAL, "from 65535 on");
	config.port_base = 7400;
	config.addresses = wrong;
	config.addresses_count = 2;
	refused(&config, -EINVAL, "'10.0.0.256' is neither");
	config.addresses = many;
	config.addresses_count = 9;
	refused(&config, -ENOSPC, "more than 8");
}

static void names(void **state)
{
	char path[STEER_PATH_BYTES + 8];
	struct steer_config config = {.port_base = 7400, .workers = 1};

	config.interface = "an-interface-with-a-long-name";
	refused(&config, -ENAMETOOLONG, "too long");
	config.interface = "nothing0";
	refused(&config, -ENOENT, "no interface 'nothing0'");
	memset(path, 'a', sizeof(path) - 1);
	path[0] = '/';
	path[sizeof(path) - 1] = 0;
	config.pin_dir = path;
	refused(&config, -ENAMETOOLONG, "too long");
}

static void state_file(void **state)
{
	struct steer_left out = {.pin_dir = "/sys/fs/bpf/a b", .old = {-1, 0}, .pid = 77}, in;
	char path[STEER_PATH_BYTES];
	FILE *file;

	snprintf(path, sizeof(path), "%s/folder/of/its/own", (const char *)*state);
	assert_int_equal(steer_left_read(&in, path), -ENOENT);
	assert_int_equal(steer_left_write(&out, path), 0);
	memset(&in, 0, sizeof(in));
	assert_int_equal(steer_left_read(&in, path), 0);
	assert_string_equal(in.pin_dir, out.pin_dir);
	assert_memory_equal(in.old, out.old, sizeof(in.old));
	assert_int_equal(in.pid, 77);
	/* What others wrote is not believed. */
	file = fopen(path, "w");
	assert_non_null(file);
	fputs("pid 77\nroute_localnet yes\n", file);
	fclose(file);
	assert_int_equal(steer_left_read(&in, path), -EBADMSG);
}

static void namespaces_have_paths_of_their_own(void **state)
{
	char lo[STEER_PATH_BYTES], eth[STEER_PATH_BYTES];

	assert_int_equal(steer_left_path(lo, "/run/abaft", "lo"), 0);
	assert_int_equal(steer_left_path(eth, "/run/abaft", "eth0"), 0);
	assert_string_not_equal(lo, eth);
	assert_int_equal(strncmp(lo, "/run/abaft/steer-", 17), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(rules),
		cmocka_unit_test(names),
		cmocka_unit_test_setup_teardown(state_file, scratch_setup, scratch_teardown),
		cmocka_unit_test(namespaces_have_paths_of_their_own),
	};

	return cmocka_run_group_tests_name("steer", tests, NULL, NULL);
}
