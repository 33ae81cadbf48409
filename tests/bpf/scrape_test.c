/* SPDX-License-Identifier: Apache-2.0 */
/*
 * scrape_test.c - pinned maps are read as they are: every slot of every worker, all CPUs' counts,
 * maps that are missing, of another layout or size, and nodes that are gone.
 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/wait.h>
#include <unistd.h>

#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <cmocka.h>

#include "telemetry/names.h"
#include "tests/bpf/scrape_bed.h"

static char root[SCRAPE_PATH_BYTES];
static char why[SCRAPE_WHY_BYTES];
static struct bed bed;

static int make_bed(void **state)
{
	bed_make(&bed, root, "abaft");
	return 0;
}

static int end_bed(void **state)
{
	bed_end(&bed);
	return 0;
}

/* Opens, reads, closes. */
static struct snapshot *read_all(void)
{
	struct scrape *scrape;
	struct snapshot *snapshot;

	assert_int_equal(scrape_open(&scrape, bed.folder, why), 0);
	snapshot = scrape_alloc(scrape);
	assert_non_null(snapshot);
	assert_int_equal(scrape_read(scrape, snapshot, why), 0);
	scrape_close(scrape);
	return snapshot;
}

static void refused(int err, const char *says)
{
	struct scrape *scrape = NULL;

	assert_int_equal(scrape_open(&scrape, bed.folder, why), err);
	assert_null(scrape);
	if (strstr(why, says) == NULL)
		fail_msg("\"%s\" does not say \"%s\"", why, says);
}

/* Every word of every slot has a number of its own. */
static uint64_t number_of(const char *map, uint32_t worker, uint32_t word)
{
	uint64_t hash = 14695981039346656037u + worker * 1000003 + word;

	for (; *map != '\0'; map++)
		hash = (hash ^ (uint8_t)*map) * 1099511628211u;
	return hash >> 8;
}

static void fill_map(const struct bpf_map *map)
{
	for (uint32_t w = 0; w < BED_WORKERS; w++) {
		uint64_t *slot = bed_slot(&bed, map, w);

		for (uint32_t i = 0; i < bpf_map__value_size(map) / 8; i++)
			slot[i] = number_of(bpf_map__name(map), w, i);
	}
}

static void holds(const char *map, uint32_t worker, const void *slot, size_t bytes)
{
	for (uint32_t i = 0; i < bytes / 8; i++)
		assert_int_equal(counter_at(slot, i), number_of(map, worker, i));
}

static void every_word_of_every_worker_is_read(void **state)
{
	struct snapshot *snapshot;
	const struct bpf_map *map;

	bpf_object__for_each_map(map, bed.maps->obj)
	{
		if (bpf_map__type(map) == BPF_MAP_TYPE_ARRAY && bpf_map__max_entries(map) > 1)
			fill_map(map);
	}
	*(struct telemetry_engine *)bed_slot(&bed, bed.maps->maps.engine, 0) =
		(struct telemetry_engine){.puts = 77, .failed = 3, .error = 5, .name = "s3\1"};
	snapshot = read_all();
	assert_true(snapshot->has_engine);
	assert_int_equal(snapshot->engine.puts, 77);
	assert_int_equal(snapshot->engine.failed, 3);
	assert_int_equal(snapshot->engine.error, 5);
	assert_string_equal(snapshot->engine.name, "s3?");
	assert_int_equal(snapshot->workers, BED_WORKERS);
	assert_memory_equal(&snapshot->node, bed.node, sizeof(*bed.node));
	for (uint32_t w = 0; w < BED_WORKERS; w++) {
		const struct scrape_worker *worker = &snapshot->worker[w];

		holds("worker_counters", w, &worker->worker, sizeof(worker->worker));
		holds("node_counters", w, &worker->node, sizeof(worker->node));
		holds("log_counters", w, &worker->log, sizeof(worker->log));
		holds("op_counters", w, &worker->ops, sizeof(worker->ops));
		for (uint32_t h = 0; h < HISTOGRAM_COUNT; h++)
			holds(histogram_texts[h].name, w, &worker->histogram[h],
			      sizeof(struct histogram));
	}
	assert_false(snapshot->has_steer || snapshot->has_thieves || snapshot->has_softirqs);
	assert_false(snapshot->has_kernel[HISTOGRAM_run_delay]);
	free(snapshot);
}

/* A value for each CPU; more than the snapshot has room for is no other map's. */
static void every_cpus_counts_are_added(void **state)
{
	int cpus = libbpf_num_possible_cpus();
	int counters = bed_add(&bed, "steer_counters", BPF_MAP_TYPE_PERCPU_ARRAY, 4,
			       sizeof(struct steer_counters), 1);
	int bytes = bed_add(&bed, "steer_bytes", BPF_MAP_TYPE_PERCPU_ARRAY, 4,
			    sizeof(struct steer_bytes), 1);
	int tenants = bed_add(&bed, "steer_tenants", BPF_MAP_TYPE_LRU_PERCPU_HASH, 4,
			      sizeof(struct tenant_counter), 64);
	struct steer_counters *counter = calloc((size_t)cpus, sizeof(*counter));
	struct tenant_counter *tenant = calloc((size_t)cpus, sizeof(*tenant));
	struct snapshot *snapshot;
	uint32_t key = 0;

	for (int cpu = 0; cpu < cpus; cpu++) {
		counter[cpu].redirected = 100 + (uint64_t)cpu;
		counter[cpu].drop_length = 1;
	}
	assert_int_equal(bpf_map_update_elem(counters, &key, counter, 0), 0);
	counter[0].redirected = 5000;
	assert_int_equal(bpf_map_update_elem(bytes, &key, counter, 0), 0);
	for (key = 9; key > 0; key -= 3) {
		for (int cpu = 0; cpu < cpus; cpu++)
			tenant[cpu] = (struct tenant_counter){key, key * 10};
		assert_int_equal(bpf_map_update_elem(tenants, &key, tenant, 0), 0);
	}
	snapshot = read_all();
	assert_true(snapshot->has_steer);
	assert_int_equal(snapshot->steer.redirected, 100 * cpus + cpus * (cpus - 1) / 2);
	assert_int_equal(snapshot->steer.drop_length, cpus);
	assert_int_equal(snapshot->steer.drop_magic, 0);
	assert_int_equal(snapshot->steer_bytes.redirected,
			 5000 + 100 * (cpus - 1) + cpus * (cpus - 1) / 2);
	assert_int_equal(snapshot->tenants, 3);
	for (uint32_t i = 0; i < 3; i++) {
		assert_int_equal(snapshot->tenant[i].tenant, 3 + 3 * i);
		assert_int_equal(snapshot->tenant[i].counter.packets, (3 + 3 * i) * (uint32_t)cpus);
		assert_int_equal(snapshot->tenant[i].counter.bytes, (30 + 30 * i) * (uint32_t)cpus);
	}
	free(snapshot);
	free(counter);
	free(tenant);
	close(counters);
	close(bytes);
	close(tenants);
}

static void thieves_come_worst_first(void **state)
{
	int fd = bed_add(&bed, "thieves", BPF_MAP_TYPE_LRU_HASH, sizeof(struct thief_key),
			 sizeof(struct thief), 1024);
	struct snapshot *snapshot;

	for (uint32_t i = 1; i <= SCRAPE_THIEVES_MAX + 44; i++) {
		struct thief_key key = {.worker = i % BED_WORKERS, .pid = i};
		struct thief thief = {.comm = "bash\x1b[2J", .count = i, .ns = i * 7 % 1009};

		assert_int_equal(bpf_map_update_elem(fd, &key, &thief, 0), 0);
	}
	snapshot = read_all();
	assert_true(snapshot->has_thieves);
	assert_int_equal(snapshot->thieves, SCRAPE_THIEVES_MAX);
	for (uint32_t i = 0; i < snapshot->thieves; i++) {
		const struct scrape_thief *thief = &snapshot->thief[i];

		assert_int_equal(thief->thief.ns, thief->key.pid * 7 % 1009);
		assert_int_equal(thief->thief.count, thief->key.pid);
		assert_int_equal(thief->key.worker, thief->key.pid % BED_WORKERS);
		assert_true(i == 0 || snapshot->thief[i - 1].thief.ns >= thief->thief.ns);
		assert_string_equal(thief->thief.comm, "bash?[2J");
	}
	free(snapshot);
	close(fd);
}

static void softirqs_come_by_cpu(void **state)
{
	int fd = bed_add(&bed, "softirqs", BPF_MAP_TYPE_HASH, 4, sizeof(struct softirqs), 256);
	struct softirqs softirqs = {.net_rx = {3, 4000}, .rcu = {1, 2}};
	struct snapshot *snapshot;
	uint32_t cpu = 77;

	assert_int_equal(bpf_map_update_elem(fd, &cpu, &softirqs, 0), 0);
	snapshot = read_all();
	assert_true(snapshot->has_softirqs);
	assert_int_equal(snapshot->cpus, 1);
	assert_int_equal(snapshot->softirqs[0].cpu, 77);
	assert_memory_equal(&snapshot->softirqs[0].softirqs, &softirqs, sizeof(softirqs));
	free(snapshot);
	close(fd);
	bed_unpin(&bed, "softirqs");

	struct softirqs *each = calloc((size_t)libbpf_num_possible_cpus(), sizeof(*each));
	uint32_t zero = 0, last = (uint32_t)libbpf_num_possible_cpus() - 1;

	fd = bed_add(&bed, "softirqs", BPF_MAP_TYPE_PERCPU_ARRAY, 4, sizeof(struct softirqs), 1);
	each[last] = softirqs;
	assert_int_equal(bpf_map_update_elem(fd, &zero, each, 0), 0);
	snapshot = read_all();
	assert_int_equal(snapshot->cpus, 1); /* CPUs on which nothing happened are left out */
	assert_int_equal(snapshot->softirqs[0].cpu, last);
	assert_memory_equal(&snapshot->softirqs[0].softirqs, &softirqs, sizeof(softirqs));
	free(snapshot);
	free(each);
	close(fd);
}

/* Not mapped into memory, as a BPF program's own maps are. */
static void kernel_histograms_are_read_by_lookup(void **state)
{
	int fd = bed_add(&bed, "run_delay", BPF_MAP_TYPE_ARRAY, 4, sizeof(struct histogram),
			 BED_WORKERS);
	struct histogram *histogram = calloc(1, sizeof(*histogram));
	struct snapshot *snapshot;
	uint32_t last = BED_WORKERS - 1;

	histogram_add(histogram, 12345);
	assert_int_equal(bpf_map_update_elem(fd, &last, histogram, 0), 0);
	snapshot = read_all();
	assert_true(snapshot->has_kernel[HISTOGRAM_run_delay]);
	assert_false(snapshot->has_kernel[HISTOGRAM_preempted]);
	assert_memory_equal(&snapshot->worker[last].kernel[HISTOGRAM_run_delay], histogram,
			    sizeof(*histogram));
	assert_int_equal(snapshot->worker[0].kernel[HISTOGRAM_run_delay].count, 0);
	free(snapshot);
	free(histogram);
	close(fd);
}

static void missing_maps_are_zero(void **state)
{
	struct snapshot *snapshot;

	fill_map(bed.maps->maps.worker_counters);
	bed_unpin(&bed, "node_counters");
	bed_unpin(&bed, "service");
	bed_unpin(&bed, "slow_txns");
	snapshot = read_all();
	holds("worker_counters", 1, &snapshot->worker[1].worker,
	      sizeof(snapshot->worker[1].worker));
	assert_int_equal(snapshot->worker[1].node.gets, 0);
	assert_int_equal(snapshot->worker[1].histogram[HISTOGRAM_service].count, 0);
	free(snapshot);
	bed_unpin(&bed, "node");
	refused(-ENOENT, "no node has pinned its maps there");
}

static void other_layouts_and_sizes_are_refused(void **state)
{
	int fd;

	struct scrape *scrape;
	struct snapshot *snapshot;

	assert_int_equal(scrape_open(&scrape, bed.folder, why), 0);
	snapshot = scrape_alloc(scrape);
	bed.node->layout = TELEMETRY_LAYOUT + 1;
	assert_int_equal(scrape_read(scrape, snapshot, why), -EPROTO);
	free(snapshot);
	scrape_close(scrape);
	refused(-EPROTO, "its layout");
	refused(-EPROTO, "use the `abaft` that came with that node");
	bed.node->layout = TELEMETRY_LAYOUT;
	bed.node->workers = ABAFT_WORKERS_MAX + 1;
	refused(-EPROTO, "workers");
	bed.node->workers = BED_WORKERS + 1;
	refused(-EPROTO, "entries");
	bed.node->workers = BED_WORKERS;
	bed_unpin(&bed, "service");
	fd = bed_add(&bed, "service", BPF_MAP_TYPE_ARRAY, 4, sizeof(struct histogram) - 8,
		     BED_WORKERS);
	refused(-EPROTO, "service: bytes of a value");
	close(fd);
	bed_unpin(&bed, "service");
	fd = bed_add(&bed, "thieves", BPF_MAP_TYPE_HASH, 4, sizeof(struct thief), 16);
	refused(-EPROTO, "thieves: bytes of a key");
	close(fd);
	bed_unpin(&bed, "thieves");
	bed_unpin(&bed, "node");
	fd = bed_add(&bed, "node", BPF_MAP_TYPE_ARRAY, 4, 4, 1);
	refused(-EPROTO, "layout: 0");
	close(fd);
	bed_unpin(&bed, "node");
	fd = bed_add(&bed, "node", BPF_MAP_TYPE_ARRAY, 4, 2, 1);
	refused(-EPROTO, "no map of abaft's");
	close(fd);
}

/* A child that has ended and been waited for: its pid is nobody's. */
static int dead_pid(void)
{
	int pid = fork();

	if (pid == 0)
		_exit(0);
	assert_true(pid > 0);
	assert_int_equal(waitpid(pid, NULL, 0), pid);
	return pid;
}

static bool seems_alive(void)
{
	struct snapshot *snapshot = read_all();
	bool alive = snapshot->alive;

	free(snapshot);
	return alive;
}

static void a_dead_node_is_known_and_read(void **state)
{
	struct worker_counters *counters = bed_slot(&bed, bed.maps->maps.worker_counters, 1);
	struct snapshot *snapshot;
	int zombie, ready[2];
	char byte;

	counters->frames = 99;
	assert_true(seems_alive());
	bed.node->pid_start++; /* the same pid, another process */
	assert_false(seems_alive());
	bed.node->pid = (uint32_t)dead_pid();
	snapshot = read_all();
	assert_false(snapshot->alive);
	assert_int_equal(snapshot->worker[1].worker.frames, 99);
	free(snapshot);
	/* It has ended, and its parent has not looked yet. */
	assert_int_equal(pipe(ready), 0);
	zombie = fork();
	if (zombie == 0)
		_exit(read(ready[0], &byte, 1) != 1);
	bed.node->pid = (uint32_t)zombie;
	bed.node->pid_start = bed_start_time(zombie);
	assert_true(seems_alive());
	assert_int_equal(write(ready[1], "x", 1), 1);
	assert_int_equal(waitid(P_PID, (id_t)zombie, &(siginfo_t){0}, WEXITED | WNOWAIT), 0);
	assert_false(seems_alive());
	assert_int_equal(waitpid(zombie, NULL, 0), zombie);
	close(ready[0]);
	close(ready[1]);
}

static void a_restarted_node_is_noticed(void **state)
{
	struct scrape *scrape;
	struct bed again;
	int fd;

	assert_int_equal(scrape_open(&scrape, bed.folder, why), 0);
	assert_false(scrape_outdated(scrape));
	bed_end(&bed);
	assert_true(scrape_outdated(scrape)); /* gone */
	bed_make(&again, root, "abaft");
	assert_true(scrape_outdated(scrape)); /* and back */
	scrape_close(scrape);
	bed = again;
	assert_int_equal(scrape_open(&scrape, bed.folder, why), 0);
	assert_false(scrape_outdated(scrape));
	fd = bed_add(&bed, "thieves", BPF_MAP_TYPE_HASH, 8, sizeof(struct thief), 16);
	assert_true(scrape_outdated(scrape)); /* one more than there was */
	close(fd);
	scrape_close(scrape);
}

/* As a worker does it. */
static void write_slow(struct slow_txns *ring, uint64_t sequence)
{
	struct slow_txn *entry = &ring->entry[sequence % SLOW_TXNS];

	entry->sequence = 0;
	entry->request_bytes = (uint32_t)sequence * 3;
	entry->sequence = sequence;
	ring->written = sequence;
}

static void slow_transactions_come_in_order(void **state)
{
	struct slow_txns *ring = bed_slot(&bed, bed.maps->maps.slow_txns, 2);
	static struct slow_txn out[SLOW_TXNS];
	uint64_t next = 0, lost = 0;
	struct scrape *scrape;

	assert_int_equal(scrape_open(&scrape, bed.folder, why), 0);
	assert_int_equal(scrape_slow(scrape, 2, &next, out, SLOW_TXNS, &lost), 0);
	for (uint64_t s = 1; s <= 5; s++)
		write_slow(ring, s);
	assert_int_equal(scrape_slow(scrape, 2, &next, out, 3, &lost), 3);
	assert_int_equal(out[2].sequence, 3);
	assert_int_equal(scrape_slow(scrape, 2, &next, out, SLOW_TXNS, &lost), 2);
	assert_int_equal(out[1].sequence, 5);
	assert_int_equal(out[1].request_bytes, 15);
	assert_int_equal(next, 6);
	assert_int_equal(lost, 0);
	/* 6 to 305: the ring holds the last 256; one of them is being written over. */
	for (uint64_t s = 6; s <= 305; s++)
		write_slow(ring, s);
	ring->entry[306 % SLOW_TXNS].sequence = 0;
	assert_int_equal(scrape_slow(scrape, 2, &next, out, SLOW_TXNS, &lost), SLOW_TXNS - 1);
	assert_int_equal(out[0].sequence, 51);
	assert_int_equal(out[SLOW_TXNS - 2].sequence, 305);
	assert_int_equal(lost, 45);
	/* Who begins now has lost nothing. */
	next = 0;
	lost = 0;
	write_slow(ring, 306);
	assert_int_equal(scrape_slow(scrape, 2, &next, out, SLOW_TXNS, &lost), SLOW_TXNS);
	assert_int_equal(out[0].sequence, 51);
	assert_int_equal(lost, 0);
	/* Whatever stands there, it ends. */
	ring->written = UINT64_MAX;
	assert_int_equal(scrape_slow(scrape, 2, &next, out, SLOW_TXNS, &lost), 0);
	assert_in_range(lost, 1, UINT64_MAX);
	next = 0;
	assert_int_equal(scrape_slow(scrape, 0, &next, out, SLOW_TXNS, &lost), 0);
	assert_int_equal(scrape_slow(scrape, BED_WORKERS, &next, out, SLOW_TXNS, &lost), 0);
	scrape_close(scrape);
}

/* By bpf(), where the ring cannot be mapped. */
static void slow_transactions_of_a_copy(void **state)
{
	struct slow_txns *ring = calloc(1, sizeof(*ring));
	static struct slow_txn out[4];
	uint64_t next = 2, lost = 0;
	uint32_t worker = 1;
	struct scrape *scrape;
	int fd;

	bed_unpin(&bed, "slow_txns");
	fd = bed_add(&bed, "slow_txns", BPF_MAP_TYPE_ARRAY, 4, sizeof(*ring), BED_WORKERS);
	for (uint64_t s = 1; s <= 3; s++)
		write_slow(ring, s);
	assert_int_equal(bpf_map_update_elem(fd, &worker, ring, 0), 0);
	assert_int_equal(scrape_open(&scrape, bed.folder, why), 0);
	assert_int_equal(scrape_slow(scrape, worker, &next, out, 4, &lost), 2);
	assert_int_equal(out[1].request_bytes, 9);
	assert_int_equal(next, 4);
	scrape_close(scrape);
	free(ring);
	close(fd);
}

/* No system call for each map, and nothing that could be written by mistake. */
static void maps_are_read_as_memory(void **state)
{
	char line[512], rights[8], path[256];
	struct scrape *scrape;
	uint32_t maps = 0;
	FILE *file;

	assert_int_equal(scrape_open(&scrape, bed.folder, why), 0);
	file = fopen("/proc/self/maps", "re");
	assert_non_null(file);
	while (fgets(line, sizeof(line), file) != NULL)
		if (sscanf(line, "%*s %7s %*s %*s %*s %255s", rights, path) == 2 &&
		    strstr(path, "bpf-map") != NULL && strcmp(rights, "r--s") == 0)
			maps++;
	fclose(file);
	/* node, engine, four of counters, slow transactions, histograms */
	assert_int_equal(maps, 7 + HISTOGRAM_COUNT);
	scrape_close(scrape);
}

static void nodes_are_found(void **state)
{
	char paths[4][SCRAPE_PATH_BYTES];
	struct bed other;

	bed_make(&other, root, "abaft-b");
	other.node->layout = 99; /* another version's is listed, too */
	assert_int_equal(scrape_find(root, paths, 4), 2);
	assert_string_equal(paths[0], bed.folder);
	assert_string_equal(paths[1], other.folder);
	assert_int_equal(scrape_find(root, paths, 1), 1);
	bed_unpin(&other, "node");
	assert_int_equal(scrape_find(root, paths, 4), 1);
	close(bed_add(&other, "node", BPF_MAP_TYPE_HASH, 4, sizeof(struct telemetry_node), 8));
	assert_int_equal(scrape_find(root, paths, 4), 1); /* somebody else's */
	bed_end(&other);
	assert_int_equal(scrape_find("/nowhere", paths, 4), 0);
}

static void what_is_wrong_is_said(void **state)
{
	struct scrape *scrape;
	int status, pid;

	assert_int_equal(scrape_open(&scrape, "/tmp/abaft-nowhere", why), -ENOENT);
	assert_non_null(strstr(why, "no BPF file system is mounted there"));
	pid = fork();
	if (pid == 0) { /* somebody else's process */
		if (setgid(65534) != 0 || setuid(65534) != 0)
			_exit(3);
		status = scrape_open(&scrape, bed.folder, why);
		_exit(status == -EPERM && strstr(why, "run this as root") != NULL ? 0 : 1);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_int_equal(status, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_word_of_every_worker_is_read),
		cmocka_unit_test(every_cpus_counts_are_added),
		cmocka_unit_test(thieves_come_worst_first),
		cmocka_unit_test(softirqs_come_by_cpu),
		cmocka_unit_test(kernel_histograms_are_read_by_lookup),
		cmocka_unit_test(missing_maps_are_zero),
		cmocka_unit_test(other_layouts_and_sizes_are_refused),
		cmocka_unit_test(a_dead_node_is_known_and_read),
		cmocka_unit_test(a_restarted_node_is_noticed),
		cmocka_unit_test(slow_transactions_come_in_order),
		cmocka_unit_test(slow_transactions_of_a_copy),
		cmocka_unit_test(maps_are_read_as_memory),
		cmocka_unit_test(nodes_are_found),
		cmocka_unit_test(what_is_wrong_is_said),
	};
	struct CMUnitTest each[sizeof(tests) / sizeof(tests[0])];
	int err = geteuid() == 0 ? bed_mount(root) : -EPERM;
	int failed;

	if (err != 0) {
		printf("1..0 # SKIP a BPF file system cannot be mounted here (%s): needs root\n",
		       strerror(-err));
		return 0;
	}
	for (size_t i = 0; i < sizeof(tests) / sizeof(tests[0]); i++) {
		each[i] = tests[i];
		each[i].setup_func = make_bed;
		each[i].teardown_func = end_bed;
	}
	failed = cmocka_run_group_tests_name("scrape", each, NULL, NULL);
	umount2(root, MNT_DETACH);
	rmdir(root);
	return failed;
}
