/* SPDX-License-Identifier: Apache-2.0 */
/*
 * daemon.c - see daemon.h.
 */
#include "control/daemon.h"

#include <errno.h>
#include <rte_lcore.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

#include "control/engine_info.h"
#include "control/engine_watch.h"
#include "control/huge.h"
#include "control/queues.h"
#include "dataplane/core/node.h"
#include "dataplane/post.h"
#include "dataplane/xcore/handover.h"

/* Frames a queue's own rings take up, beside those that wait for the log. */
#define QUEUE_BUFFERS 8191u
/* What DPDK itself wants. */
#define EAL_MIB	      64u

static uint64_t random_u64(void)
{
	uint64_t value = 0;

	/* The pool is seeded long before a daemon starts; then this neither waits nor fails. */
	if (getrandom(&value, sizeof(value), 0) != (ssize_t)sizeof(value))
		value = (uint64_t)(uintptr_t)&value;
	return value;
}

static uint32_t frame_buffers(const struct daemon *d)
{
	return d->spec.queues * QUEUE_BUFFERS +
	       d->workers * (ABAFT_COMMITS_PENDING_MAX + ABAFT_FETCH_WAITERS_MAX);
}

/* A worker reads one queue; what comes on a queue that no worker reads would be lost. */
static int read_port(struct daemon *d, char *why)
{
	int err = port_spec_parse(&d->spec, d->config->port, why);

	if (err == 0 && d->spec.queues > d->workers) {
		snprintf(why, DAEMON_WHY_BYTES,
			 "port %s: %u queues need at least as many workers, not %u",
			 d->config->port, d->spec.queues, d->workers);
		err = -EINVAL;
	}
	return err;
}

static int start_eal(struct daemon *d, char *why)
{
	struct eal_config eal = {
		.memory_mib =
			EAL_MIB + (uint32_t)((uint64_t)frame_buffers(d) * PORT_BUFFER_BYTES >> 20),
		.huge_pages = d->config->huge_pages,
		.pci = d->spec.kind == PORT_PCI ? d->spec.name : NULL,
		.verbose = d->report->level == REPORT_DEBUG,
	};
	int err = port_eal_start(&eal, why);

	d->eal = err == 0;
	return err;
}

/* A node without telemetry serves as well; but not in the place of another one. */
static int start_telemetry(struct daemon *d, char *why)
{
	const struct telemetry_config telemetry = {.pin_dir = d->config->pin_dir,
						   .version = ABAFT_VERSION,
						   .port = d->config->port,
						   .data_dir = d->devices.place,
						   .engine = d->devices.engine != NULL,
						   .workers = d->workers,
						   .node = (uint32_t)d->config->node,
						   .udp_port = (uint32_t)d->config->udp_port,
						   .slow_ms = d->config->slow_ms};
	int err;

	if (!d->config->telemetry) {
		/* What a killed run left would say that this node is gone; a running one's stays.
		 */
		(void)telemetry_clean(d->config->pin_dir, why);
		why[0] = '\0';
		snprintf(d->unpinned, sizeof(d->unpinned), "telemetry = no");
		return 0;
	}
	d->unpinned[0] = '\0';
	err = telemetry_open(&d->telemetry, &telemetry, d->unpinned);
	if (err == -EBUSY) {
		snprintf(why, DAEMON_WHY_BYTES, "%s", d->unpinned);
		return err;
	}
	if (err != 0)
		report(d->report, REPORT_WARNING,
		       "no telemetry but what abaft status shows: %s (telemetry = no leaves this "
		       "out)",
		       d->unpinned);
	return 0;
}

/* On the CPUs that are left when the workers have theirs, if any is. */
static int start_metrics(struct daemon *d, char *why)
{
	struct metrics_config metrics = {.pin_dir = d->config->pin_dir,
					 .unpinned = d->unpinned,
					 .version = ABAFT_VERSION,
					 .node = (uint32_t)d->config->node,
					 .workers = d->workers,
					 .cpus = d->allowed};
	char note[METRICS_WHY_BYTES];
	bool chosen = config_metrics(d->config, &metrics.endpoint);
	int err;

	if (metrics.endpoint.bytes == 0)
		return 0;
	for (uint32_t w = 0; w < d->workers; w++)
		if (config_core(d->config, w) >= 0)
			CPU_CLR((size_t)config_core(d->config, w), &metrics.cpus);
	if (CPU_COUNT(&metrics.cpus) == 0)
		metrics.cpus = d->allowed;
	err = metrics_start(&d->metrics, &metrics, note);
	if (err == 0)
		return 0;
	/* Nobody has asked for the default one, and a node serves without it. */
	if (!chosen) {
		report(d->report, REPORT_WARNING, "%s", note);
		return 0;
	}
	snprintf(why, DAEMON_WHY_BYTES, "%s", note);
	return err;
}

static int start_nodes(struct daemon *d, char *why)
{
	const struct config *config = d->config;
	struct store_config store = {.workers = d->workers,
				     .keys_max = config->keys,
				     .memory_bytes = config->memory_bytes,
				     .cache_bytes = config->cache_bytes,
				     .logs = storage_logs(config, &d->devices),
				     .seed = random_u64(),
				     .map = config->huge_pages ? huge_map : huge_ask_map,
				     .unmap = huge_unmap};
	int err = store_create(&d->store, &store);

	for (uint32_t w = 0; w < d->workers && err == 0; w++) {
		struct node_config node = {.worker = w,
					   .origin = (uint32_t)config->node << 8 | w,
					   .txns_max = (uint32_t)config->txns,
					   .outcomes_max = (uint32_t)config->outcomes,
					   .window_ms = config->window_ms,
					   .skew_ms = config->skew_ms,
					   .deadline_ms = (uint32_t)config->deadline_ms,
					   .instance_seed = random_u64(),
					   .telemetry = telemetry_of(&d->telemetry, w)};

		err = node_create(&d->nodes[w], d->store, &node);
	}
	if (err != 0)
		snprintf(why, DAEMON_WHY_BYTES,
			 "memory for the store cannot be had (%s): lower memory, keys, txns or "
			 "outcomes%s",
			 strerror(-err),
			 config->huge_pages
				 ? ", set more huge pages aside (sysctl vm.nr_hugepages), "
				   "or take huge-pages = no"
				 : "");
	return err;
}

/* The addresses of the configuration, one by one. Returns how many. */
static uint32_t split_addresses(char text[CONFIG_TEXT_BYTES], const char *out[HOST_ADDRESSES_MAX])
{
	uint32_t count = 0;
	char *rest = text, *one;

	while (count < HOST_ADDRESSES_MAX && (one = strsep(&rest, ",")) != NULL)
		out[count++] = one;
	return count;
}

static int start_steering(struct daemon *d, const char *const *addresses, uint32_t count, char *why)
{
	struct steer_config steer = {.interface = d->spec.name,
				     .port_base = (uint16_t)d->config->udp_port,
				     .workers = (uint16_t)d->workers,
				     .addresses = addresses,
				     .addresses_count = count,
				     .pin_dir = d->config->pin_dir,
				     .state_dir = d->config->state_dir};
	int err = steer_rules_read(&d->rules, &steer, why);

	if (err != 0 || d->spec.kind != PORT_AFXDP) /* else the workers steer: start_workers() */
		return err;
	err = steer_attach(&d->steer, &steer, why);
	if (err != 0)
		return err;
	d->steered = true;
	if (queues_of(d->spec.name) > d->spec.queues)
		report(d->report, REPORT_WARNING,
		       "%s has %u receive queues, of which we listen on %u: requests on the others "
		       "are lost; set port = afxdp:%s,queues=%u, or ethtool -L %s to fewer queues",
		       d->spec.name, queues_of(d->spec.name), d->spec.queues, d->spec.name,
		       queues_of(d->spec.name), d->spec.name);
	if (d->steer.cleaned)
		report(d->report, REPORT_WARNING, "%s", d->steer.note);
	return 0;
}

static int start_port(struct daemon *d, char *why)
{
	struct port_device_config device = {.port_base = (uint16_t)d->config->udp_port,
					    .workers = (uint16_t)d->workers,
					    .buffers = frame_buffers(d),
					    .verify_checksums = d->config->verify_checksums};
	char text[CONFIG_TEXT_BYTES];
	const char *addresses[HOST_ADDRESSES_MAX];
	uint32_t count;
	int err;

	memcpy(text, d->config->addresses, sizeof(text));
	count = split_addresses(text, addresses);
	for (uint32_t i = 0; i < count; i++)
		if (host_add(&d->host, addresses[i]) != 0) {
			snprintf(why, DAEMON_WHY_BYTES, "addresses: \"%s\" cannot be used",
				 addresses[i]);
			return -EINVAL;
		}
	err = start_steering(d, addresses, count, why);
	if (err == 0)
		err = port_device_open(&d->device, &d->spec, &device, why);
	if (err == 0)
		port_device_mac(d->device, d->host.mac);
	if (err == 0 && port_device_spread(d->device)[0] != '\0')
		report(d->report, REPORT_INFO, "NIC %s: %s", d->spec.name,
		       port_device_spread(d->device));
	return err;
}

/* A core that only we use (isolcpus) need not be given way on. */
static bool cores_isolated(const struct daemon *d)
{
	char list[256] = "";
	FILE *file;
	char *at = list, *end;
	uint32_t alone = 0;

	file = fopen("/sys/devices/system/cpu/isolated", "re");
	if (file == NULL)
		return false;
	if (fgets(list, sizeof(list), file) == NULL)
		list[0] = '\0';
	fclose(file);
	while (*at >= '0' && *at <= '9') {
		long first = strtol(at, &end, 10), last = first;

		if (*end == '-')
			last = strtol(end + 1, &end, 10);
		for (uint32_t w = 0; w < d->workers; w++) {
			int core = config_core(d->config, w);

			alone += core >= first && core <= last;
		}
		at = *end == ',' ? end + 1 : end;
	}
	return alone == d->workers;
}

static int start_workers(struct daemon *d, char *why)
{
	uint32_t queues = port_device_queues(d->device);
	bool yield = !cores_isolated(d);
	int err = handover_create(&d->handover, d->workers);

	if (err != 0)
		snprintf(why, DAEMON_WHY_BYTES, "memory for the hand-over rings cannot be had: %s",
			 strerror(-err));
	for (uint32_t w = 0; w < d->workers && err == 0; w++) {
		struct worker_config config = {
			.number = w,
			.workers = d->workers,
			.udp_port = (uint16_t)d->config->udp_port,
			.port = w < queues ? port_device_queue(d->device, w) : NULL,
			.host = &d->host,
			.node = d->nodes[w],
			.log = d->storage.logs[w],
			.post = &d->storage.posts[w],
			.handover = d->handover,
			.group = &d->group,
			.telemetry = telemetry_of(&d->telemetry, w),
			.version = ABAFT_VERSION,
			.more = w == 0 ? storage_info : NULL,
			.more_arg = &d->storage,
			.poll = d->config->poll,
			.yield = yield,
		};

		if (config.port != NULL && config.port->owns_device)
			err = steer_port_open(&d->threads[w].steer, &d->rules, why);
		if (err != 0)
			break;
		config.steer = d->threads[w].steer;
		err = worker_create(&d->threads[w].worker, &config);
		if (err != 0)
			snprintf(why, DAEMON_WHY_BYTES, "memory for the workers cannot be had: %s",
				 strerror(-err));
	}
	return err;
}

static void *run_worker(void *arg)
{
	struct daemon_thread *thread = arg;

	/* The packet pools keep a cache for each registered thread; without one they are slower,
	 * not wrong. */
	(void)rte_thread_register();
	telemetry_thread(&thread->daemon->telemetry, thread->number, thread->cpu);
	thread->err = worker_run(thread->worker);
	rte_thread_unregister();
	return NULL;
}

static int start_threads(struct daemon *d, char *why)
{
	pthread_attr_t attr;
	int err = 0;

	for (uint32_t w = 0; w < d->workers && err == 0; w++) {
		struct daemon_thread *thread = &d->threads[w];
		char name[16];
		cpu_set_t set = d->allowed;
		int core = config_core(d->config, w);

		thread->daemon = d;
		thread->number = w;
		thread->cpu = core;
		if (core >= 0) {
			CPU_ZERO(&set);
			CPU_SET((size_t)core, &set);
		}
		pthread_attr_init(&attr);
		pthread_attr_setaffinity_np(&attr, sizeof(set), &set);
		err = -pthread_create(&thread->thread, &attr, run_worker, thread);
		pthread_attr_destroy(&attr);
		thread->running = err == 0;
		snprintf(name, sizeof(name), "abaft-worker%u", w % 100);
		if (err == 0)
			(void)pthread_setname_np(thread->thread, name);
		else
			snprintf(why, DAEMON_WHY_BYTES, "worker %u cannot run%s: %s", w,
				 core >= 0 ? " on the core that cores names" : "", strerror(-err));
	}
	return err;
}

/* watchers_config.report */
static void tell_unwatched(void *daemon, const char *note)
{
	report(((struct daemon *)daemon)->report, REPORT_WARNING, "%s", note);
}

void daemon_watch(struct daemon *d)
{
	uint32_t cpus[ABAFT_WORKERS_MAX];
	struct watchers_config config = {.pin_dir = d->config->pin_dir,
					 .worker_threads_fd = telemetry_threads_fd(&d->telemetry),
					 .workers = d->workers,
					 .cpus = cpus,
					 .report = tell_unwatched,
					 .report_arg = d};

	if (config.worker_threads_fd < 0 || !d->config->watch)
		return;
	/* Softirqs are many where packets come through the kernel: they are counted on cores that
	 * are meant to be the workers' alone. */
	for (; config.cpus_count < d->workers && config_core(d->config, config.cpus_count) >= 0;
	     config.cpus_count++)
		cpus[config.cpus_count] = (uint32_t)config_core(d->config, config.cpus_count);
	watchers_start(&d->watchers, &config);
}

/* keeper_config.wake */
static void wake_worker(void *handover, uint32_t worker)
{
	handover_kick(handover, worker);
}

static void cut_devices(void *devices)
{
	devices_cut(devices);
}

/* Nothing without an engine. */
static int begin_watch(struct daemon *d, struct engine_watch **out,
		       const struct engine_watch_config *config, char *why)
{
	struct engine_watch_config watch = *config;
	int err;

	*out = NULL;
	if (d->devices.engine == NULL)
		return 0;
	watch.engine = d->devices.engine;
	watch.report = d->report;
	watch.metrics = d->metrics;
	watch.cut = cut_devices;
	watch.cut_arg = &d->devices;
	err = engine_watch_begin(out, &watch);
	if (err != 0)
		snprintf(why, DAEMON_WHY_BYTES, "nobody can watch the storage engine: %s",
			 strerror(-err));
	return err;
}

/* All that may have to wait for the storage engine. */
static int start_storage(struct daemon *d, const sigset_t *signals, char *why)
{
	const struct engine_watch_config config = {
		.doing = "starting", .signals = signals, .refusals = true};
	struct engine_watch *watch;
	char why_cut[ENGINE_WATCH_WHY_BYTES];
	enum engine_watch_end end;
	int err = begin_watch(d, &watch, &config, why);

	if (err == 0)
		err = devices_meet(&d->devices, why);
	if (err == 0)
		err = start_nodes(d, why);
	for (uint32_t w = 0; w < d->workers; w++)
		d->storage.telemetry[w] = telemetry_of(&d->telemetry, w);
	if (err == 0)
		err = storage_open(&d->storage, d->config, d->report, &d->devices, d->store,
				   d->nodes, why);
	end = engine_watch_end(watch, why_cut);
	if (err == 0 && devices_unfenced(&d->devices))
		report(d->report, REPORT_WARNING,
		       "%s does not refuse a name that is taken: nothing keeps a second node out "
		       "that is started with the same engine; see to it that there is none",
		       d->config->engine);
	if (end == ENGINE_WATCH_UNCUT)
		return err;
	snprintf(why, DAEMON_WHY_BYTES, "%s", why_cut);
	return end == ENGINE_WATCH_SIGNAL ? -EINTR : -EACCES;
}

int daemon_start(struct daemon *d, const struct config *config, const struct report *report,
		 const sigset_t *signals, char *why)
{
	int err;

	memset(d, 0, sizeof(*d));
	d->config = config;
	d->report = report;
	d->workers = (uint32_t)config->workers;
	why[0] = '\0';
	/* DPDK pins the main thread; workers must not inherit that. */
	sched_getaffinity(0, sizeof(d->allowed), &d->allowed);
	err = read_port(d, why);
	if (err == 0)
		err = devices_open(&d->devices, config, why);
	if (err == 0)
		err = start_eal(d, why);
	if (err == 0)
		err = start_telemetry(d, why);
	if (err == 0)
		err = start_metrics(d, why);
	if (err == 0)
		err = start_storage(d, signals, why);
	if (err == 0)
		err = start_port(d, why);
	if (err == 0)
		err = start_workers(d, why);
	if (err == 0)
		err = start_threads(d, why);
	if (err == 0)
		err = storage_keep(&d->storage, wake_worker, d->handover, why);
	if (err == 0)
		metrics_ready(d->metrics, NULL);
	return err;
}

static int stop_workers(struct daemon *d)
{
	int err = 0;

	if (d->handover != NULL)
		worker_group_stop(&d->group, d->handover, d->workers);
	for (uint32_t w = 0; w < d->workers; w++) {
		struct daemon_thread *thread = &d->threads[w];

		if (!thread->running)
			continue;
		pthread_join(thread->thread, NULL);
		if (thread->err != 0)
			report(d->report, REPORT_ERROR,
			       "worker %u: gave up waiting for its log; %u commits in flight were "
			       "not acknowledged: the next start tells whether they are there",
			       w, worker_parked(thread->worker));
		err = err == 0 ? thread->err : err;
	}
	return err;
}

static int stop_steering(struct daemon *d)
{
	char why[DAEMON_WHY_BYTES];
	int err = d->steered ? steer_detach(&d->steer, why) : 0;

	if (err != 0)
		report(d->report, REPORT_ERROR, "%s", why);
	return err;
}

/* Logs whose disk does not answer: they cannot be waited for, nor freed what their threads use. */
static bool some_dead(const struct daemon *d)
{
	for (uint32_t w = 0; w < d->workers; w++)
		if (d->threads[w].err != 0)
			return true;
	return false;
}

/* What is not done then the next start does. Nothing when none was ready, or what is there is not
 * what was told. */
static void say_unfinished(const struct daemon *d, const char *why)
{
	if (!d->threads[0].running || d->devices.lost != 0)
		return;
	report(d->report, REPORT_WARNING, "%s; %s", why,
	       d->devices.local ? "what it lacks is on the disk, and the next start brings it over"
				: "what clients were told is there, but the next start reads more");
}

/* All that may have to wait for the storage engine: which is not waited for when it does not answer
 * anyway, and else for DAEMON_ENGINE_STOP_MS. */
static void stop_storage(struct daemon *d)
{
	const struct engine_watch_config config = {.doing = "stopping",
						   .limit_ms = DAEMON_ENGINE_STOP_MS};
	struct engine_watch *watch;
	char why[DAEMON_WHY_BYTES];

	if (devices_failing(&d->devices)) {
		say_unfinished(d, "stopping without the storage engine");
		devices_cut(&d->devices);
	}
	if (begin_watch(d, &watch, &config, why) != 0) {
		say_unfinished(d, why);
		devices_cut(&d->devices);
	}
	if (!devices_failing(&d->devices))
		storage_rest(&d->storage, d->nodes);
	storage_close(&d->storage);
	if (engine_watch_end(watch, why) != ENGINE_WATCH_UNCUT)
		say_unfinished(d, why);
}

int daemon_stop(struct daemon *d)
{
	int err, failed;
	bool dead;

	metrics_ready(d->metrics, "stopping");
	err = stop_workers(d);
	if (some_dead(d)) /* of an engine, what they wait for can be ended */
		devices_cut(&d->devices);
	dead = some_dead(d) && d->devices.local;

	watchers_stop(&d->watchers);
	if (!dead) {
		stop_storage(d);
		handover_destroy(d->handover);
	}
	for (uint32_t w = 0; w < d->workers; w++) {
		worker_destroy(d->threads[w].worker);
		steer_port_close(d->threads[w].steer);
	}
	if (d->device != NULL)
		port_device_close(d->device);
	failed = stop_steering(d);
	err = err == 0 ? failed : err;
	for (uint32_t w = 0; w < d->workers && !dead; w++)
		if (d->nodes[w] != NULL)
			node_destroy(d->nodes[w]);
	if (d->store != NULL && !dead)
		store_destroy(d->store);
	metrics_stop(d->metrics);
	if (!dead) /* else the log's memory is still in use */
		telemetry_close(&d->telemetry);
	/* Threads of a dead disk go with the process, and until then nobody else may come. */
	if (!dead)
		devices_close(&d->devices);
	if (d->eal)
		port_eal_stop();
	return err;
}

uint64_t daemon_passes(const struct daemon *d, uint32_t worker)
{
	return __atomic_load_n(&worker_counters(d->threads[worker].worker)->passes,
			       __ATOMIC_RELAXED);
}

void daemon_kick(struct daemon *d, uint32_t worker)
{
	handover_kick(d->handover, worker);
}

/* As metrics tell it. */
static void say_ready(struct daemon *d, const struct faults_seen *seen)
{
	char text[FAULTS_WHY_BYTES + 64];
	const char *why = NULL;

	if (seen->log_error != 0)
		why = seen->log_error == -ENOSPC ? "no room for the commit log"
						 : "the commit log failed";
	else if (seen->engine.failing_us >= FAULTS_ENGINE_US && !seen->engine.behind)
		why = text;
	snprintf(text, sizeof(text), "the storage engine %s since %.0f s: %s",
		 faults_engine_does(seen->engine.error), (double)seen->engine.failing_us / 1e6,
		 seen->engine.why);
	metrics_ready(d->metrics, why);
}

static void tell_engine(struct daemon *d)
{
	struct telemetry_engine *to = telemetry_engine_of(&d->telemetry);
	struct engine_facts facts;

	if (to != NULL && devices_facts(&d->devices, &facts))
		engine_tell(&facts, to);
}

void daemon_faults(struct daemon *d, struct faults_seen *out, uint64_t mono_us)
{
	struct worker *workers[ABAFT_WORKERS_MAX];
	struct keeper_stats keeper;

	*out = (struct faults_seen){.mono_us = mono_us};
	devices_look(&d->devices, mono_us, &out->engine);
	tell_engine(d);
	for (uint32_t w = 0; w < d->workers; w++) {
		uint64_t stalled_us;
		struct node_damage damage;

		workers[w] = d->threads[w].worker;
		stalled_us = worker_log_stalled_us(workers[w]);
		if (stalled_us > out->stalled_us)
			out->stalled_us = stalled_us;
		if (worker_damage(workers[w], &damage)) {
			out->corrupt += damage.count;
			out->damage = damage;
		}
		out->unread += __atomic_load_n(&node_counters(d->nodes[w])->fetches_failed,
					       __ATOMIC_RELAXED);
	}
	out->log_error = workers_log_error(workers, d->workers, &out->no_room);
	say_ready(d, out);
	if (storage_stats(&d->storage, &keeper)) {
		out->checkpoint_error = keeper.error;
		out->kept_error = keeper.kept_error;
	}
}
