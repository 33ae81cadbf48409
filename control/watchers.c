/* SPDX-License-Identifier: Apache-2.0 */
/*
 * watchers.c - loads the programs of bpf/ that watch the kernel's side, and takes them off again.
 *
 * One table says what there is; the rest is the same for all. A watcher runs wholly or not at all:
 * whatever it lacks, what it has taken so far is given back, and a line tells of it.
 */
#include "control/watchers.h"

#include <errno.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <bpf/bpf.h>
#include <bpf/btf.h>
#include <bpf/libbpf.h>

#include <abaft/telemetry.h>

/* Generated; not written for our warnings. */
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wsign-conversion"
#include "bpf/log_block.skel.h"
#include "bpf/log_uring.skel.h"
#include "bpf/sched.skel.h"
#include "bpf/softirq.skel.h"
#pragma GCC diagnostic pop

/* /proc/self/ns/pid of the first pid namespace; the same number in all kernels. */
#define PID_NAMESPACE_FIRST 0xeffffffcu
#define TYPES		    "/sys/kernel/btf/vmlinux"
#define NEEDS_MAX	    5

struct kind {
	const char *name;
	const char *what; /* of "not measured: " */
	const void *(*elf)(size_t *bytes);
	/* Tracepoints; of names with a bar between them one is enough. */
	const char *needs[NEEDS_MAX];
	const char *pins[WATCHERS_PINS_MAX];
};

static const struct kind kinds[WATCHERS_COUNT] = {
	{"log_uring",
	 "io_uring's share of the log's time (uring_*)",
	 log_uring__elf_bytes,
	 {"io_uring_submit_req|io_uring_submit_sqe", "io_uring_link", "io_uring_queue_async_work",
	  "io_uring_complete"},
	 {"uring_write", "uring_sync", "uring_read"}},
	{"log_block",
	 "the block device's share of the log's time (block_*)",
	 log_block__elf_bytes,
	 {"block_bio_queue", "block_rq_issue", "block_rq_complete", "block_bio_complete"},
	 {"block_write", "block_flush", "block_read"}},
	{"sched",
	 "who keeps workers from running (run_delay, preempted, thieves)",
	 sched__elf_bytes,
	 {"sched_switch", "sched_wakeup"},
	 {"run_delay", "preempted", "thieves"}},
	{"softirq",
	 "softirqs on the workers' CPUs (softirqs)",
	 softirq__elf_bytes,
	 {"softirq_entry", "softirq_exit"},
	 {"softirqs"}},
};

/* Whether there is anything for it to watch. */
static bool has_cause(const struct kind *kind, const struct watchers_config *config)
{
	return config->cpus_count > 0 || strcmp(kind->name, "softirq") != 0;
}

__attribute__((format(printf, 3, 4))) static int say(char *why, int err, const char *format, ...)
{
	va_list args;

	va_start(args, format);
	vsnprintf(why, WATCHERS_NOTE_BYTES, format, args);
	va_end(args);
	return err;
}

static bool has_tracepoint(const struct btf *btf, const char *name, size_t bytes)
{
	char type[80];

	snprintf(type, sizeof(type), "btf_trace_%.*s", (int)bytes, name);
	return btf__find_by_name_kind(btf, type, BTF_KIND_TYPEDEF) > 0;
}

/* Whether the kernel has all that a watcher needs. */
static int check_needs(const struct kind *kind, const struct btf *btf, char *why)
{
	for (int i = 0; i < NEEDS_MAX && kind->needs[i]; i++) {
		const char *name = kind->needs[i];
		bool found = false;

		while (!found && *name) {
			size_t bytes = strcspn(name, "|");

			found = has_tracepoint(btf, name, bytes);
			name += bytes + (name[bytes] == '|');
		}
		if (!found)
			return say(why, -ENOENT, "this kernel has no tracepoint %s",
				   kind->needs[i]);
	}
	return 0;
}

/* What lets no watcher run. */
static int check_kernel(struct btf **btf, char *why)
{
	struct stat space;
	int err;

	/* The programs know threads by their ids in the first namespace, the daemon its own by
	 * those in its own. */
	if (stat("/proc/self/ns/pid", &space) == 0 && space.st_ino != PID_NAMESPACE_FIRST)
		return say(why, -EOPNOTSUPP,
			   "the node runs in a pid namespace of its own; run it in the host's "
			   "(--pid=host)");
	*btf = btf__load_vmlinux_btf();
	if (*btf)
		return 0;
	err = access(TYPES, R_OK) < 0 ? -errno : -EINVAL;
	return say(why, err,
		   "cannot read the kernel's own types from " TYPES " (%s); that needs sysfs and a "
		   "kernel with CONFIG_DEBUG_INFO_BTF",
		   strerror(-err));
}

static int set_maps(struct bpf_object *object, const struct watchers_config *config, char *why)
{
	struct bpf_map *map;
	int cpus = libbpf_num_possible_cpus();
	int err = cpus < 0 ? cpus : 0;

	bpf_object__for_each_map(map, object)
	{
		const char *name = bpf_map__name(map);

		if (err)
			break;
		if (strcmp(name, "worker_threads") == 0)
			err = bpf_map__reuse_fd(map, config->worker_threads_fd);
		else if (strcmp(name, "sched_cpus") == 0)
			err = bpf_map__set_max_entries(map, (__u32)cpus);
		else if (strcmp(name, "softirqs") == 0)
			err = bpf_map__set_max_entries(map, config->cpus_count);
		else if (bpf_map__value_size(map) == sizeof(struct histogram) ||
			 strcmp(name, "sched_runs") == 0)
			err = bpf_map__set_max_entries(map, config->workers);
	}
	return err ? say(why, err, "cannot set up its maps: %s", strerror(-err)) : 0;
}

static int load(struct watcher *watcher, const struct kind *kind, const struct btf *btf,
		const struct watchers_config *config, char *why)
{
	LIBBPF_OPTS(bpf_object_open_opts, opts, .object_name = kind->name);
	struct bpf_program *program;
	size_t bytes;
	const void *elf = kind->elf(&bytes);
	int err;

	watcher->object = bpf_object__open_mem(elf, bytes, &opts);
	if (!watcher->object)
		return say(why, -errno, "cannot open its program: %s", strerror(errno));
	bpf_object__for_each_program(program, watcher->object)
	{
		const char *name = strchr(bpf_program__section_name(program), '/') + 1;

		if (!has_tracepoint(btf, name, strlen(name)))
			bpf_program__set_autoload(program, false);
	}
	err = set_maps(watcher->object, config, why);
	if (err)
		return err;
	err = bpf_object__load(watcher->object);
	if (err == -EPERM)
		return say(why, err,
			   "no permission to load BPF programs; run as root, or with "
			   "CAP_BPF and CAP_PERFMON");
	return err ? say(why, err, "the kernel refused its program: %s", strerror(-err)) : 0;
}

/* Entries for the CPUs that count. */
static int put_cpus(struct bpf_object *object, const struct watchers_config *config, char *why)
{
	int fd = bpf_object__find_map_fd_by_name(object, "softirqs"), err = 0;
	struct softirqs none = {0};

	for (uint32_t i = 0; i < config->cpus_count && fd >= 0 && !err; i++)
		err = bpf_map_update_elem(fd, &config->cpus[i], &none, BPF_ANY);
	return err ? say(why, err, "cannot enter the CPUs: %s", strerror(-err)) : 0;
}

static int attach(struct watcher *watcher, char *why)
{
	struct bpf_program *program;

	bpf_object__for_each_program(program, watcher->object)
	{
		struct bpf_link *link;

		if (!bpf_program__autoload(program))
			continue;
		if (watcher->links == WATCHERS_PROGRAMS_MAX)
			return say(why, -E2BIG, "it has too many programs");
		link = bpf_program__attach(program);
		if (!link)
			return say(why, -errno, "cannot attach to %s: %s",
				   bpf_program__section_name(program), strerror(errno));
		watcher->link[watcher->links++] = link;
	}
	return 0;
}

static void pin_path(char path[WATCHERS_PATH_BYTES + 16], const char *pin_dir, const char *name)
{
	snprintf(path, WATCHERS_PATH_BYTES + 16, "%s/%s", pin_dir, name);
}

static int pin(struct watcher *watcher, const struct kind *kind, const char *pin_dir, char *why)
{
	char path[WATCHERS_PATH_BYTES + 16];
	int err;

	for (int i = 0; i < WATCHERS_PINS_MAX && kind->pins[i]; i++) {
		int fd = bpf_object__find_map_fd_by_name(watcher->object, kind->pins[i]);

		pin_path(path, pin_dir, kind->pins[i]);
		(void)unlink(path); /* a killed run's */
		err = fd < 0 ? fd : bpf_obj_pin(fd, path);
		if (err)
			return say(why, err, "cannot pin %s: %s%s", path, strerror(-err),
				   err == -EPERM ? "; it must lie on a mounted bpf file system"
						 : "");
		watcher->pins++;
	}
	return 0;
}

static void watcher_stop(struct watcher *watcher, const struct kind *kind, const char *pin_dir)
{
	char path[WATCHERS_PATH_BYTES + 16];

	while (watcher->links)
		(void)bpf_link__destroy(watcher->link[--watcher->links]);
	while (watcher->pins) {
		pin_path(path, pin_dir, kind->pins[--watcher->pins]);
		(void)unlink(path);
	}
	bpf_object__close(watcher->object);
	watcher->object = NULL;
}

static int watcher_start(struct watcher *watcher, const struct kind *kind, const struct btf *btf,
			 const struct watchers_config *config, char *why)
{
	int err = check_needs(kind, btf, why);

	if (!err)
		err = load(watcher, kind, btf, config, why);
	if (!err)
		err = put_cpus(watcher->object, config, why);
	if (!err)
		err = pin(watcher, kind, config->pin_dir, why);
	if (!err)
		err = attach(watcher, why);
	if (err)
		watcher_stop(watcher, kind, config->pin_dir);
	return err;
}

static void tell(const struct watchers_config *config, const char *what, const char *why)
{
	char note[2 * WATCHERS_NOTE_BYTES];

	snprintf(note, sizeof(note), "not measured: %s: %s", what, why);
	config->report(config->report_arg, note);
}

void watchers_start(struct watchers *watchers, const struct watchers_config *config)
{
	libbpf_print_fn_t print = libbpf_set_print(NULL);
	char why[WATCHERS_NOTE_BYTES];
	struct btf *btf = NULL;
	int err;

	memset(watchers, 0, sizeof(*watchers));
	if (snprintf(watchers->pin_dir, sizeof(watchers->pin_dir), "%s", config->pin_dir) >=
	    (int)sizeof(watchers->pin_dir))
		err = say(why, -ENAMETOOLONG, "the pin folder's name is too long");
	else
		err = check_kernel(&btf, why);
	for (int i = 0; i < WATCHERS_COUNT && !err; i++) {
		int failed;

		if (!has_cause(&kinds[i], config))
			continue;
		failed = watcher_start(&watchers->watcher[i], &kinds[i], btf, config, why);
		watchers->running += failed == 0;
		if (failed == -EPERM && !watchers->running)
			err = failed; /* the others would be refused alike */
		else if (failed)
			tell(config, kinds[i].what, why);
	}
	if (err)
		tell(config,
		     "the kernel's side of the workers (io_uring, block device, scheduler, "
		     "softirqs)",
		     why);
	btf__free(btf);
	libbpf_set_print(print);
}

void watchers_stop(struct watchers *watchers)
{
	for (int i = 0; i < WATCHERS_COUNT; i++)
		watcher_stop(&watchers->watcher[i], &kinds[i], watchers->pin_dir);
	watchers->running = 0;
}
