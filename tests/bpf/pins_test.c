/* SPDX-License-Identifier: Apache-2.0 */
/*
 * pins_test.c - a node's telemetry where something stands in its way: no BPF file system, pins of
 * other versions, of living nodes and of strangers, too few rights.
 */
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <bpf/bpf.h>
#include <cmocka.h>

#include "control/telemetry.h"
#include "tests/bpf/scrape_bed.h"

#define WORKERS 2

static char root[SCRAPE_PATH_BYTES], folder[SCRAPE_PATH_BYTES + 8];
static char why[TELEMETRY_WHY_BYTES], scrape_why[SCRAPE_WHY_BYTES];
static struct telemetry_maps maps;

static int try(const char *pin_dir)
{
	const struct telemetry_config config = {.pin_dir = pin_dir,
						.version = "0.1.0",
						.port = "afxdp:lo",
						.data_dir = "/var/lib/abaft",
						.workers = WORKERS,
						.slow_ms = 100};

	why[0] = '\0';
	return telemetry_open(&maps, &config, why);
}

static bool there(const char *name)
{
	char path[sizeof(folder) + 64];

	snprintf(path, sizeof(path), "%s/%s", folder, name);
	return access(path, F_OK) == 0;
}

/* A `node` of a process, larger than ours: of a later version. */
static void pin_later_node(uint32_t pid, uint64_t pid_start)
{
	const struct telemetry_node node = {.layout = 99, .pid = pid, .pid_start = pid_start};
	struct bed bed = {0};
	uint8_t value[sizeof(node) + 64] = {0};
	uint32_t zero = 0;
	int fd;

	memcpy(value, &node, sizeof(node));
	memcpy(bed.folder, folder, sizeof(bed.folder));
	assert_int_equal(mkdir(folder, 0700), 0);
	fd = bed_add(&bed, "node", BPF_MAP_TYPE_ARRAY, 4, sizeof(value), 1);
	assert_int_equal(bpf_map_update_elem(fd, &zero, value, BPF_ANY), 0);
	close(fd);
}

static void remove_node(void)
{
	char path[sizeof(folder) + 8];

	snprintf(path, sizeof(path), "%s/node", folder);
	assert_int_equal(unlink(path), 0);
	assert_int_equal(rmdir(folder), 0);
}

static void a_node_leaves_nothing(void **state)
{
	struct scrape *scrape;

	assert_int_equal(try(folder), 0);
	assert_non_null(telemetry_of(&maps, WORKERS - 1));
	assert_int_equal(scrape_open(&scrape, folder, scrape_why), 0);
	scrape_close(scrape);
	telemetry_close(&maps);
	assert_int_not_equal(access(folder, F_OK), 0);
	assert_null(telemetry_of(&maps, 0));
}

static void without_a_bpf_file_system(void **state)
{
	assert_true(try("/tmp/abaft-no-bpffs") < 0);
	assert_non_null(strstr(why, "it must lie on a mounted bpf file system"));
	assert_null(telemetry_of(&maps, 0));
	assert_int_not_equal(access("/tmp/abaft-no-bpffs", F_OK), 0);
}

/* A wrong pin-dir in the configuration must not cost somebody his files. */
static void files_are_no_pins(void **state)
{
	char other[] = "/tmp/abaft-pins-XXXXXX", path[64];
	int fd;

	assert_non_null(mkdtemp(other));
	snprintf(path, sizeof(path), "%s/service", other);
	fd = open(path, O_CREAT | O_WRONLY | O_CLOEXEC, 0600);
	assert_true(fd >= 0);
	close(fd);
	assert_true(try(other) < 0);
	assert_int_equal(unlink(path), 0);
	assert_int_equal(rmdir(other), 0);
}

static void a_dead_nodes_pins_of_another_version_are_replaced(void **state)
{
	struct scrape *scrape;

	pin_later_node((uint32_t)getpid(), bed_start_time(getpid()) + 1); /* the pid is another's */
	assert_int_equal(try(folder), 0);
	assert_int_equal(scrape_open(&scrape, folder, scrape_why), 0);
	scrape_close(scrape);
	telemetry_close(&maps);
	assert_int_not_equal(access(folder, F_OK), 0);
}

/* Dead, but its parent has not asked yet. */
static void a_zombies_pins_are_replaced(void **state)
{
	uint64_t start;
	int pid = fork();

	if (pid == 0) {
		pause();
		_exit(0);
	}
	start = bed_start_time(pid);
	assert_int_equal(kill(pid, SIGKILL), 0);
	assert_int_equal(waitid(P_PID, (id_t)pid, &(siginfo_t){0}, WEXITED | WNOWAIT), 0);
	pin_later_node((uint32_t)pid, start);
	assert_int_equal(try(folder), 0);
	telemetry_close(&maps);
	assert_int_equal(waitpid(pid, NULL, 0), pid);
}

static void a_living_nodes_pins_of_another_version_are_not(void **state)
{
	char pid[32];

	snprintf(pid, sizeof(pid), "pid %d", getpid());
	pin_later_node((uint32_t)getpid(), bed_start_time(getpid()));
	assert_int_equal(try(folder), -EBUSY);
	assert_non_null(strstr(why, pid));
	assert_non_null(strstr(why, "another pin-dir"));
	assert_true(there("node") && !there("service"));
	remove_node();
}

/* Of a map with a value for each CPU a look brings as many; a hash has no entry 0. */
static void a_strangers_map_is_left_alone(void **state)
{
	static const enum bpf_map_type types[] = {BPF_MAP_TYPE_PERCPU_ARRAY, BPF_MAP_TYPE_HASH};
	struct bed bed = {0};

	memcpy(bed.folder, folder, sizeof(bed.folder));
	for (size_t i = 0; i < sizeof(types) / sizeof(types[0]); i++) {
		assert_int_equal(mkdir(folder, 0700), 0);
		close(bed_add(&bed, "node", types[i], 4, 4096, 1));
		assert_int_equal(try(folder), -EPROTO);
		assert_non_null(strstr(why, "is no map of abaft's"));
		assert_true(there("node") && !there("service"));
		remove_node();
	}
}

static void without_rights(void **state)
{
	int status, pid = fork();

	if (pid == 0) {
		if (setgid(65534) != 0 || setuid(65534) != 0)
			_exit(3);
		status = try(folder);
		_exit(status == -EPERM && strstr(why, "run as root") != NULL ? 0 : 1);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_int_equal(status, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_node_leaves_nothing),
		cmocka_unit_test(without_a_bpf_file_system),
		cmocka_unit_test(files_are_no_pins),
		cmocka_unit_test(a_dead_nodes_pins_of_another_version_are_replaced),
		cmocka_unit_test(a_zombies_pins_are_replaced),
		cmocka_unit_test(a_living_nodes_pins_of_another_version_are_not),
		cmocka_unit_test(a_strangers_map_is_left_alone),
		cmocka_unit_test(without_rights),
	};
	int err = geteuid() == 0 ? bed_mount(root) : -EPERM;
	int failed;

	if (err != 0) {
		printf("1..0 # SKIP a BPF file system cannot be mounted here (%s): needs root\n",
		       strerror(-err));
		return 0;
	}
	snprintf(folder, sizeof(folder), "%.150s/node", root);
	failed = cmocka_run_group_tests_name("pins", tests, NULL, NULL);
	umount2(root, MNT_DETACH);
	rmdir(root);
	return failed;
}
