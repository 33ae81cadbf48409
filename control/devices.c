/* SPDX-License-Identifier: Apache-2.0 */
/* devices.c - see devices.h. */
#include "control/devices.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <unistd.h>

#include "dataplane/log/filedev.h"
#include "dataplane/log/logdev.h"

#define HOLD_FILE "backup"

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

int devices_open(struct devices *devices, const struct config *config, char *why)
{
	int err;

	devices->place = config->data_dir;
	err = datadir_open(&devices->dir, config->data_dir, why, DEVICES_WHY_BYTES);
	if (err != 0)
		return err;
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

int devices_log(const struct devices *devices, uint32_t number, bool create, struct logdev **out,
		char *why, size_t why_bytes)
{
	return logdev_uring_create(out, devices->place, number, create, why, why_bytes);
}

int devices_checkpoints(const struct devices *devices, struct filedev **out, char *why,
			size_t why_bytes)
{
	return filedev_dir_create(out, devices->place, why, why_bytes);
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

void devices_close(struct devices *devices)
{
	if (!devices->local)
		return;
	close(devices->hold_fd);
	datadir_close(&devices->dir);
	devices->local = false;
}
