/* SPDX-License-Identifier: Apache-2.0 */
/*
 * watchers_test.c - control/watchers.c where it may do everything, and where it may not: each
 * obstacle is told in one line, and what can run runs.
 */
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <linux/capability.h>

#include "tests/lib/watch_bed.h"

/* CAP_PERFMON and CAP_BPF are not in older headers. */
#define CAPABILITY_PERFMON 38
#define CAPABILITY_BPF	   39

static struct watch_bed bed;

static const char *const pins[] = {"uring_write", "uring_sync", "uring_read", "block_write",
				   "block_flush", "block_read", "run_delay",  "preempted",
				   "thieves",	  "softirqs"};
#define PINS (sizeof(pins) / sizeof(pins[0]))

static uint32_t count_pins(void)
{
	uint32_t count = 0;

	for (size_t i = 0; i < PINS; i++) {
		int fd = watch_bed_map(&bed, pins[i]);

		if (fd < 0)
			continue;
		count++;
		close(fd);
	}
	return count;
}

/* The kernel's number of a program that runs. */
static __u32 program_id(void)
{
	struct bpf_link_info info = {0};
	__u32 bytes = sizeof(info);
	int fd = bpf_link__fd(bed.watchers.watcher[0].link[0]);

	return bpf_obj_get_info_by_fd(fd, &info, &bytes) ? 0 : info.prog_id;
}

/* The kernel frees programs a moment after their last user is gone. */
static void expect_gone(__u32 id)
{
	int fd = -1;

	for (int i = 0; i < 300; i++) {
		fd = bpf_prog_get_fd_by_id(id);
		if (fd < 0)
			return;
		close(fd);
		usleep(10000);
	}
	fail_msg("program %u is still there", id);
}

static void all_run(void **state)
{
	__u32 id;

	watch_bed_start(&bed);
	assert_int_equal(bed.notes, 0);
	assert_int_equal(bed.watchers.running, WATCHERS_COUNT);
	assert_int_equal(count_pins(), PINS);
	id = program_id();
	assert_true(id > 0);
	watchers_stop(&bed.watchers);
	assert_int_equal(bed.watchers.running, 0);
	assert_int_equal(count_pins(), 0);
	expect_gone(id);
	watchers_stop(&bed.watchers); /* twice is harmless */
}

/* In a child of its own, for what cannot be undone: 0 if `check` got to its end. */
static void in_child(void (*check)(void))
{
	int status;
	pid_t pid = fork();

	assert_true(pid >= 0);
	if (pid == 0) {
		check();
		fflush(NULL);
		_exit(0);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_int_equal(status, 0);
}

/* cmocka's checks would go on as the parent's test in a child. */
static void must(bool good, const char *what)
{
	if (good)
		return;
	print_message("# not so: %s\n", what);
	fflush(NULL);
	_exit(1);
}

static void expect_none(const char *because)
{
	watch_bed_start(&bed);
	must(bed.watchers.running == 0, "nothing runs");
	must(bed.notes == 1, "one line tells of it");
	must(bed.notes == 1 && strstr(bed.note[0], because) != NULL, because);
	must(count_pins() == 0, "no pins");
	watchers_stop(&bed.watchers);
}

static void drop_rights(void)
{
	struct __user_cap_header_struct header = {.version = _LINUX_CAPABILITY_VERSION_3};
	struct __user_cap_data_struct data[2];

	must(syscall(SYS_capget, &header, data) == 0, "capabilities are read");
	data[0].effective &= ~(1u << CAP_SYS_ADMIN);
	data[1].effective &= ~(1u << (CAPABILITY_BPF - 32) | 1u << (CAPABILITY_PERFMON - 32));
	must(syscall(SYS_capset, &header, data) == 0, "capabilities are dropped");
	expect_none("run as root, or with CAP_BPF and CAP_PERFMON");
}

static void without_rights(void **state)
{
	in_child(drop_rights);
}

/* An empty folder in the place of one of /sys, for this process and its children only. */
static void hide(const char *path)
{
	must(unshare(CLONE_NEWNS) == 0, "a mount namespace");
	must(mount("tmpfs", path, "tmpfs", 0, NULL) == 0 || errno == ENOENT, path);
}

static void hide_types(void)
{
	hide("/sys/kernel/btf");
	expect_none("/sys/kernel/btf/vmlinux");
}

static void without_types(void **state)
{
	in_child(hide_types);
}

/* The programs do not need it: they attach by the kernel's types. */
static void hide_tracefs(void)
{
	hide("/sys/kernel/tracing");
	hide("/sys/kernel/debug");
	watch_bed_start(&bed);
	must(bed.notes == 0, "nothing is told");
	must(bed.watchers.running == WATCHERS_COUNT, "all run");
	watchers_stop(&bed.watchers);
}

static void without_tracefs(void **state)
{
	in_child(hide_tracefs);
}

static void other_pids(void)
{
	pid_t pid;
	int status;

	must(unshare(CLONE_NEWPID) == 0, "a pid namespace");
	pid = fork();
	must(pid >= 0, "a process in it");
	if (pid == 0) {
		must(unshare(CLONE_NEWNS) == 0 && mount("proc", "/proc", "proc", 0, NULL) == 0,
		     "/proc of it");
		expect_none("pid namespace");
		fflush(NULL);
		_exit(0);
	}
	must(waitpid(pid, &status, 0) == pid && status == 0, "what it checks");
}

static void in_a_pid_namespace(void **state)
{
	in_child(other_pids);
}

/* Each watcher tells for itself that it cannot pin, and takes its programs off. */
static void without_bpffs(void **state)
{
	struct watch_bed elsewhere = bed;

	snprintf(elsewhere.dir, sizeof(elsewhere.dir), "/mnt");
	assert_int_equal(mount("tmpfs", "/mnt", "tmpfs", 0, NULL), 0);
	watch_bed_start(&elsewhere);
	assert_int_equal(elsewhere.watchers.running, 0);
	assert_in_range(elsewhere.notes, 1, WATCHERS_COUNT);
	assert_non_null(strstr(elsewhere.note[0], "cannot pin /mnt/"));
	watchers_stop(&elsewhere.watchers);
	umount2("/mnt", MNT_DETACH);
}

/* One that cannot run does not keep the others from it. */
static void one_is_missing(void **state)
{
	uint32_t cpus = bed.cpus_count;

	bed.cpus_count = UINT32_MAX; /* what no map can have */
	watch_bed_start(&bed);
	bed.cpus_count = cpus;
	assert_int_equal(bed.watchers.running, WATCHERS_COUNT - 1);
	assert_int_equal(bed.notes, 1);
	assert_non_null(strstr(bed.note[0], "softirq"));
	assert_int_equal(count_pins(), PINS - 1);
	watchers_stop(&bed.watchers);
}

/* Without CPUs of the workers' own there are no softirqs to be counted, and nothing to tell. */
static void no_cpus(void **state)
{
	uint32_t cpus = bed.cpus_count;

	bed.cpus_count = 0;
	watch_bed_start(&bed);
	bed.cpus_count = cpus;
	assert_int_equal(bed.watchers.running, WATCHERS_COUNT - 1);
	assert_int_equal(bed.notes, 0);
	assert_int_equal(count_pins(), PINS - 1);
	watchers_stop(&bed.watchers);
}

/* After kill -9 the kernel takes the programs off; the maps stay, and the next start's replace
 * them. */
static void killed(void **state)
{
	struct histogram seen;
	int status, ready[2];
	__u32 id = 0;
	pid_t pid;

	assert_int_equal(pipe(ready), 0);
	pid = fork();
	assert_true(pid >= 0);
	if (pid == 0) {
		watch_bed_start(&bed);
		watch_bed_enter(&bed, gettid(), 0, -1);
		usleep(20000);
		id = program_id();
		must(write(ready[1], &id, sizeof(id)) == sizeof(id), "the parent hears");
		pause();
		_exit(1);
	}
	close(ready[1]);
	assert_int_equal(read(ready[0], &id, sizeof(id)), sizeof(id));
	assert_true(id > 0);
	close(ready[0]);
	assert_int_equal(kill(pid, SIGKILL), 0);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	watch_bed_leave(&bed, pid);
	expect_gone(id);
	assert_int_equal(count_pins(), PINS);
	seen = watch_bed_histogram(&bed, "run_delay", 0);
	assert_true(seen.count >= 1);
	watch_bed_start(&bed);
	assert_int_equal(bed.watchers.running, WATCHERS_COUNT);
	assert_int_equal(watch_bed_histogram(&bed, "run_delay", 0).count, 0);
	watchers_stop(&bed.watchers);
	assert_int_equal(count_pins(), 0);
}

static int setup(void **state)
{
	watch_bed_make(&bed);
	return 0;
}

/* So that a case that fails leaves no pins to the next. */
static int stop(void **state)
{
	watchers_stop(&bed.watchers);
	return 0;
}

static int teardown(void **state)
{
	watch_bed_remove(&bed);
	return 0;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_teardown(all_run, stop),
		cmocka_unit_test_teardown(without_rights, stop),
		cmocka_unit_test_teardown(without_types, stop),
		cmocka_unit_test_teardown(without_tracefs, stop),
		cmocka_unit_test_teardown(without_bpffs, stop),
		cmocka_unit_test_teardown(in_a_pid_namespace, stop),
		cmocka_unit_test_teardown(one_is_missing, stop),
		cmocka_unit_test_teardown(no_cpus, stop),
		cmocka_unit_test_teardown(killed, stop),
	};

	watch_bed_needs();
	return cmocka_run_group_tests_name("watchers", tests, setup, teardown);
}
