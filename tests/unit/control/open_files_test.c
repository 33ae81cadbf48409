/* SPDX-License-Identifier: Apache-2.0 */
/* Tests of control/open_files.c, each in a child process whose limits it may change. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "control/open_files.h"

/* The limit that a child with this soft and hard one ends up with; unless `stay` it is nobody. 0:
 * it did not tell what it has. */
static uint64_t raised(uint64_t soft, uint64_t hard, uint64_t wanted, bool stay)
{
	int ends[2], status;
	uint64_t got = 0;
	pid_t pid;

	assert_int_equal(pipe(ends), 0);
	pid = fork();
	if (pid == 0) {
		struct rlimit limit = {soft, hard};

		if (setrlimit(RLIMIT_NOFILE, &limit) || (!stay && setuid(65534)))
			_exit(1);
		got = open_files_raise(wanted);
		if (getrlimit(RLIMIT_NOFILE, &limit) || limit.rlim_cur != got)
			_exit(1);
		_exit(write(ends[1], &got, sizeof(got)) != sizeof(got));
	}
	close(ends[1]);
	if (read(ends[0], &got, sizeof(got)) != sizeof(got))
		got = 0;
	close(ends[0]);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	return got;
}

/* Root of a container may not. */
static bool hard_limits_can_be_raised(void)
{
	struct rlimit little = {100, 200}, more = {100, 300};
	pid_t pid = fork();
	int status;

	if (pid == 0)
		_exit(setrlimit(RLIMIT_NOFILE, &little) || setrlimit(RLIMIT_NOFILE, &more));
	assert_int_equal(waitpid(pid, &status, 0), pid);
	if (status == 0)
		return true;
	print_message("# no CAP_SYS_RESOURCE: hard limits cannot be raised\n");
	return false;
}

static void soft_limit_is_raised_as_wanted(void **state)
{
	assert_int_equal(raised(100, 200, 150, true), 150);
	assert_int_equal(raised(100, 200, 200, true), 200);
	assert_int_equal(raised(100, 200, 50, true), 100); /* never lowered */
}

static void hard_limit_bounds_who_has_no_privilege(void **state)
{
	bool privileged = hard_limits_can_be_raised() && geteuid() == 0;

	assert_int_equal(raised(100, 200, 300, !privileged), 200);
	assert_int_equal(raised(100, 200, UINT64_MAX, !privileged), 200);
}

static void root_is_bound_by_the_kernel(void **state)
{
	unsigned long max = 0;
	FILE *file;

	if (!hard_limits_can_be_raised())
		return;
	file = fopen("/proc/sys/fs/nr_open", "r");
	assert_non_null(file);
	assert_int_equal(fscanf(file, "%lu", &max), 1);
	fclose(file);
	assert_int_equal(raised(100, 200, 300, true), 300);
	assert_int_equal(raised(100, 200, UINT64_MAX, true), max);
}

static void one_for_each_segment(void **state)
{
	uint64_t few = open_files_wanted(UINT64_C(1) << 30, 64u << 20);

	assert_true(few >= 16 + 100 && few < 10000);
	assert_int_equal(open_files_wanted(UINT64_C(1) << 40, 64u << 20) - few, (1u << 14) - 16);
	assert_int_equal(open_files_wanted(0, 64u << 20), UINT64_MAX);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(soft_limit_is_raised_as_wanted),
		cmocka_unit_test(hard_limit_bounds_who_has_no_privilege),
		cmocka_unit_test(root_is_bound_by_the_kernel),
		cmocka_unit_test(one_for_each_segment),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
