/* SPDX-License-Identifier: Apache-2.0 */
/* devices.c - see devices.h. */
#include "control/devices.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/random.h>
#include <unistd.h>

#include "control/engine_info.h"
#include "dataplane/engine/engine.h"
#include "dataplane/log/filedev.h"
#include "dataplane/log/logdev.h"
#include "dataplane/remote/behind.h"
#include "dataplane/remote/remote.h"

#define HOLD_FILE "backup"
/* What the node asks of the engine waits for it, and its senders are told BUSY: no limit in time.
 * devices_cut() ends it. */
#define CALL_MS	  UINT32_MAX

static int open_hold_file(struct devices *devices, char *why)
{
	char path[CONFIG_TEXT_BYTES + sizeof(HOLD_FILE) + 1];
	int err;

	snprintf(path, sizeof(path), "%s/%s", devices->place, HOLD_FILE);
	devices->hold_fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0644);
	if (devices->hold_fd >= 0)
		return 0;
	err = -errno;
	snprintf(why, DEVICES_WHY_BYTES, "%s cannot be opened: %s", path, strerror(-err));
	return err;
}

static int open_dir(struct devices *devices, char *why)
{
	const char *path = devices->config->data_dir;
	int err = datadir_open(&devices->dir, path, why, DEVICES_WHY_BYTES);

	if (err != 0)
		return err;
	devices->place = path;
	err = open_hold_file(devices, why);
	if (err != 0) {
		datadir_close(&devices->dir);
		return err;
	}
	devices->local = true;
	memcpy(devices->node_id, devices->dir.node_id, sizeof(devices->node_id));
	memcpy(devices->logs, devices->dir.logs, sizeof(devices->logs));
	devices->logs_count = devices->dir.logs_count;
	return 0;
}

static int fill_random(void *to, size_t bytes, char *why)
{
	if (getrandom(to, bytes, 0) == (ssize_t)bytes)
		return 0;
	snprintf(why, DEVICES_WHY_BYTES, "no random numbers can be had");
	return -EIO;
}

static int open_engine(struct devices *devices, char *why)
{
	const struct config *config = devices->config;
	struct engine_config engine = {
		.url = config->engine,
		.credentials = config->engine_credentials,
		.try_ms = (uint32_t)config->engine_timeout_ms,
		.delete_rate = config->engine_delete_rate,
	};
	char text[ENGINE_WHY_BYTES] = "";
	int err = fill_random(&engine.seed, sizeof(engine.seed), why);

	if (err != 0)
		return err;
	if (!devices->local)
		devices->place = config->engine;
	err = engine_open(&devices->engine, &engine, text);
	if (err != 0)
		snprintf(why, DEVICES_WHY_BYTES, "engine %s: %s", config->engine,
			 text[0] != '\0' ? text : strerror(-err));
	return err;
}

int devices_open(struct devices *devices, const struct config *config, char *why)
{
	enum config_place place = config_place(config);
	int err = 0;

	devices->config = config;
	if (place != CONFIG_ENGINE)
		err = open_dir(devices, why);
	if (err == 0 && place != CONFIG_EMBEDDED)
		err = open_engine(devices, why);
	return err;
}

/* The engine's copy of what the directory has must be of this directory. */
static int begin_behind(struct devices *devices, char *why)
{
	int err;

	if (memcmp(devices->node_id, remote_node_id(devices->remote), sizeof(devices->node_id)) !=
	    0) {
		snprintf(why, DEVICES_WHY_BYTES,
			 "%.160s has the logs of another data directory than %.160s: restore that "
			 "one, start with engine-ack = storage from what the engine has, or give "
			 "this node a prefix of its own",
			 devices->config->engine, devices->place);
		return -EBADMSG;
	}
	err = behind_create(&devices->behind, devices->remote, devices->config->engine_lag);
	if (err != 0)
		snprintf(why, DEVICES_WHY_BYTES, "no memory for the storage engine");
	return err;
}

static int find_logs(struct devices *devices, char *why)
{
	int count;

	memcpy(devices->node_id, remote_node_id(devices->remote), sizeof(devices->node_id));
	count = remote_logs(devices->remote, devices->logs);

	if (count < 0) {
		snprintf(why, DEVICES_WHY_BYTES, "%s: its logs cannot be listed: %s",
			 devices->place, strerror(-count));
		return count;
	}
	devices->logs_count = (uint32_t)count;
	return 0;
}

int devices_meet(struct devices *devices, char *why)
{
	struct remote_config remote = {.engine = devices->engine, .call_ms = CALL_MS};
	int err;

	if (devices->engine == NULL)
		return 0;
	err = fill_random(remote.writer, sizeof(remote.writer), why);
	memcpy(remote.node_id, devices->node_id, sizeof(remote.node_id));
	if (err == 0 && !devices->local)
		err = fill_random(remote.node_id, sizeof(remote.node_id), why);
	/* Before remote_open() makes an identity where there is none. */
	if (err == 0)
		err = engine_seen_read(&devices->seen, devices->engine, why);
	if (err == 0)
		err = engine_seen_check(&devices->seen, devices->config, why);
	if (err == 0)
		err = remote_open(&devices->remote, &remote, why, DEVICES_WHY_BYTES);
	if (err != 0)
		return err;
	err = devices->local ? begin_behind(devices, why) : find_logs(devices, why);
	if (err == 0)
		err = engine_seen_read(&devices->seen, devices->engine, why);
	if (err == 0)
		err = engine_seen_note(&devices->seen, devices->config, why);
	if (err != 0)
		return err;
	err = engine_seen_begin(&devices->seen, devices->engine);
	if (err != 0)
		snprintf(why, DEVICES_WHY_BYTES, "no memory for the storage engine");
	return err;
}

static int no_device(const struct devices *devices, int err, const char *what, char *why,
		     size_t why_bytes)
{
	if (err != 0)
		snprintf(why, why_bytes, "%s in %s: no device can be made for it: %s", what,
			 devices->config->engine, strerror(-err));
	return err;
}

/* What is read is all in the directory, if there is one. */
int devices_log(const struct devices *devices, uint32_t number, bool create, struct logdev **out,
		char *why, size_t why_bytes)
{
	struct logdev *near;
	char what[16];
	int err;

	snprintf(what, sizeof(what), "log-%03u", number % 1000);
	if (!devices->local)
		return no_device(devices, remote_logdev(devices->remote, number, out), what, why,
				 why_bytes);
	err = logdev_uring_create(&near, devices->place, number, create, why, why_bytes);
	if (err != 0)
		return err;
	*out = near;
	if (devices->behind == NULL || !create)
		return 0;
	err = behind_logdev(devices->behind, number, devices->node_id, near, out);
	return no_device(devices, err, what, why, why_bytes);
}

int devices_checkpoints(const struct devices *devices, struct filedev **out, char *why,
			size_t why_bytes)
{
	struct filedev *near;
	int err;

	if (!devices->local)
		return no_device(devices, remote_filedev(devices->remote, out), "a checkpoint", why,
				 why_bytes);
	err = filedev_dir_create(&near, devices->place, why, why_bytes);
	if (err != 0)
		return err;
	*out = near;
	if (devices->behind == NULL)
		return 0;
	err = behind_filedev(devices->behind, near, out);
	return no_device(devices, err, "a checkpoint", why, why_bytes);
}

bool devices_unfenced(const struct devices *devices)
{
	return devices->engine != NULL &&
	       (engine_caps(devices->engine)->flags & ENGINE_CONDITIONAL) == 0;
}

/* An exclusive lock cannot be had while a backup has a shared one. */
bool devices_held(const struct devices *devices)
{
	if (!devices->local)
		return false;
	if (flock(devices->hold_fd, LOCK_EX | LOCK_NB) < 0)
		return true;
	(void)flock(devices->hold_fd, LOCK_UN);
	return false;
}

void devices_look(struct devices *devices, uint64_t mono_us, struct faults_engine *out)
{
	struct engine_health health;
	struct behind_stats behind;

	*out = (struct faults_engine){.behind = devices->behind != NULL};
	if (devices->engine == NULL)
		return;
	if (devices->lost == 0 && !atomic_load(&devices->cut)) {
		devices->lost = engine_seen_look(&devices->seen, mono_us);
		if (devices->lost != 0)
			devices_cut(devices);
	}
	engine_health(devices->engine, &health);
	out->url = devices->config->engine;
	out->lost = devices->lost;
	out->failing_us = health.failing_us;
	out->error = health.error;
	snprintf(out->why, sizeof(out->why), "%s", health.why);
	if (devices->behind == NULL)
		return;
	behind_stats(devices->behind, &behind);
	out->lag_bytes = behind.lag_bytes;
	out->behind_error = behind.error;
}

bool devices_facts(const struct devices *devices, struct engine_facts *out)
{
	if (devices->engine == NULL)
		return false;
	*out = (struct engine_facts){.name = engine_caps(devices->engine)->name,
				     .behind = devices->behind != NULL};
	engine_counters(devices->engine, &out->counters);
	engine_health(devices->engine, &out->health);
	if (out->behind)
		behind_stats(devices->behind, &out->lag);
	return true;
}

bool devices_failing(struct devices *devices)
{
	struct engine_health health;

	if (devices->engine == NULL)
		return false;
	engine_health(devices->engine, &health);
	return health.failing_us >= FAULTS_ENGINE_US || atomic_load(&devices->cut);
}

void devices_cut(struct devices *devices)
{
	if (devices->engine == NULL || atomic_exchange(&devices->cut, true))
		return;
	if (devices->behind != NULL)
		behind_give_up(devices->behind);
	engine_close(devices->engine, 0);
}

void devices_close(struct devices *devices)
{
	devices_cut(devices);
	engine_seen_end(&devices->seen);
	if (devices->behind != NULL)
		behind_destroy(devices->behind);
	if (devices->remote != NULL)
		remote_close(devices->remote);
	if (devices->engine != NULL)
		engine_destroy(devices->engine);
	devices->behind = NULL;
	devices->remote = NULL;
	devices->engine = NULL;
	if (!devices->local)
		return;
	close(devices->hold_fd);
	datadir_close(&devices->dir);
	devices->local = false;
}
