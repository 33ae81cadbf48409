/* SPDX-License-Identifier: Apache-2.0 */
/* watch_bed.c - see watch_bed.h. */
#include "tests/lib/watch_bed.h"

#include <errno.h>
#include <sched.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

#include <bpf/bpf.h>

void watch_bed_needs(void)
{
	const char *lacks = NULL;

	if (geteuid() != 0)
		lacks = "root (BPF programs on tracepoints)";
	else if (access("/sys/kernel/btf/vmlinux", R_OK) < 0)
		lacks = "a kernel that tells its types in /sys/kernel/btf/vmlinux";
	if (!lacks)
		return;
	printf("1..0 # SKIP needs %s\n", lacks);
	exit(0);
}

void watch_bed_make(struct watch_bed *bed)
{
	cpu_set_t cpus;

	memset(bed, 0, sizeof(*bed));
	assert_int_equal(unshare(CLONE_NEWNS), 0);
	assert_int_equal(mount("none", "/", NULL, MS_REC | MS_PRIVATE, NULL), 0);
	snprintf(bed->dir, sizeof(bed->dir), "/sys/fs/bpf");
	assert_int_equal(mount("bpf", bed->dir, "bpf", 0, NULL), 0);
	bed->threads_fd = bpf_map_create(BPF_MAP_TYPE_HASH, "worker_threads", sizeof(__u32),
					 sizeof(struct worker_thread), ABAFT_WORKERS_MAX, NULL);
	assert_true(bed->threads_fd >= 0);
	assert_int_equal(sched_getaffinity(0, sizeof(cpus), &cpus), 0);
	for (uint32_t cpu = 0; cpu < CPU_SETSIZE; cpu++)
		if (CPU_ISSET(cpu, &cpus))
			bed->cpus[bed->cpus_count++] = cpu;
}

void watch_bed_remove(struct watch_bed *bed)
{
	watchers_stop(&bed->watchers);
	close(bed->threads_fd);
	assert_int_equal(umount2(bed->dir, MNT_DETACH), 0);
}

static void keep_note(void *arg, const char *note)
{
	struct watch_bed *bed = arg;

	print_message("# note: %s\n", note);
	assert_true(bed->notes < WATCH_BED_NOTES);
	snprintf(bed->note[bed->notes++], sizeof(bed->note[0]), "%s", note);
}

void watch_bed_start(struct watch_bed *bed)
{
	const struct watchers_config config = {
		.pin_dir = bed->dir,
		.worker_threads_fd = bed->threads_fd,
		.workers = WATCH_BED_WORKERS,
		.cpus = bed->cpus,
		.cpus_count = bed->cpus_count,
		.report = keep_note,
		.report_arg = bed,
	};

	bed->notes = 0;
	watchers_start(&bed->watchers, &config);
}

void watch_bed_enter(struct watch_bed *bed, int tid, uint32_t worker, int cpu)
{
	const struct worker_thread thread = {.worker = worker, .cpu = cpu};
	const __u32 key = (__u32)tid;

	assert_int_equal(bpf_map_update_elem(bed->threads_fd, &key, &thread, BPF_ANY), 0);
}

void watch_bed_leave(struct watch_bed *bed, int tid)
{
	const __u32 key = (__u32)tid;

	assert_int_equal(bpf_map_delete_elem(bed->threads_fd, &key), 0);
}

int watch_bed_map(const struct watch_bed *bed, const char *name)
{
	char path[WATCHERS_PATH_BYTES + 32];

	snprintf(path, sizeof(path), "%s/%s", bed->dir, name);
	return bpf_obj_get(path);
}

struct histogram watch_bed_histogram(const struct watch_bed *bed, const char *name, uint32_t worker)
{
	struct histogram histogram;
	uint64_t counted = 0;
	int fd = watch_bed_map(bed, name);

	assert_true(fd >= 0);
	assert_int_equal(bpf_map_lookup_elem(fd, &worker, &histogram), 0);
	close(fd);
	for (int i = 0; i < HISTOGRAM_SIZE; i++)
		counted += histogram.bucket[i];
	assert_int_equal(counted, histogram.count);
	return histogram;
}

uint64_t watch_bed_count(const struct watch_bed *bed, const char *name)
{
	uint64_t count = 0;

	for (uint32_t worker = 0; worker < WATCH_BED_WORKERS; worker++)
		count += watch_bed_histogram(bed, name, worker).count;
	return count;
}

uint64_t watch_bed_now_ns(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}
