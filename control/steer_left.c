/* SPDX-License-Identifier: Apache-2.0 */
/*
 * steer_left.c - see steer_left.h.
 */
#include "control/steer_left.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <unistd.h>

#include <bpf/bpf.h>
#include <linux/magic.h>

const char *const steer_pin_names[STEER_PINS] = {"steer",	  "steer_counters", "steer_bytes",
						 "steer_tenants", "steer_rules",    "xsks_map"};

/* Answers to 127.0.0.1 come in by lo from outside the stack: the kernel must route them and must
 * not mind that they bear a local source address. */
static const char *const sysctl_names[2] = {"route_localnet", "accept_local"};

const char *steer_sysctl_name(int which)
{
	return sysctl_names[which];
}

/* Makes a folder and those above it. */
static int make_folders(const char *path, mode_t mode)
{
	char part[STEER_PATH_BYTES];
	size_t len = strlen(path);

	if (path[0] != '/' || len >= sizeof(part))
		return -EINVAL;
	memcpy(part, path, len + 1);
	for (char *slash = strchr(part + 1, '/'); slash; slash = strchr(slash + 1, '/')) {
		*slash = 0;
		if (mkdir(part, mode) < 0 && errno != EEXIST)
			return -errno;
		*slash = '/';
	}
	if (mkdir(part, mode) < 0 && errno != EEXIST)
		return -errno;
	return 0;
}

int steer_left_path(char path[STEER_PATH_BYTES], const char *state_dir, const char *interface)
{
	struct stat st;
	int n;

	if (stat("/proc/thread-self/ns/net", &st) < 0)
		return -errno;
	n = snprintf(path, STEER_PATH_BYTES, "%s/steer-%lu-%s", state_dir, (unsigned long)st.st_ino,
		     interface);
	return n < STEER_PATH_BYTES - 4 ? 0 : -ENAMETOOLONG;
}

int steer_left_read(struct steer_left *left, const char *path)
{
	FILE *file = fopen(path, "re");
	int n;

	if (!file)
		return -errno;
	/* The width is STEER_PATH_BYTES - 1. */
	n = fscanf(file, "pid %d\nroute_localnet %d\naccept_local %d\npins %191[^\n]", &left->pid,
		   &left->old[0], &left->old[1], left->pin_dir);
	fclose(file);
	return n == 4 ? 0 : -EBADMSG;
}

int steer_left_write(const struct steer_left *left, const char *path)
{
	char other[STEER_PATH_BYTES + 4], folder[STEER_PATH_BYTES];
	FILE *file;
	int err;

	snprintf(folder, sizeof(folder), "%s", path);
	*strrchr(folder, '/') = 0;
	err = make_folders(folder, 0755);
	if (err)
		return err;
	snprintf(other, sizeof(other), "%s.new", path);
	file = fopen(other, "we");
	if (!file)
		return -errno;
	fprintf(file, "pid %d\nroute_localnet %d\naccept_local %d\npins %s\n", left->pid,
		left->old[0], left->old[1], left->pin_dir);
	if (fclose(file) || rename(other, path) < 0) {
		err = -errno;
		unlink(other);
		return err;
	}
	return 0;
}

static int sysctl_open(const char *interface, int which, int flags)
{
	char path[128];

	snprintf(path, sizeof(path), "/proc/sys/net/ipv4/conf/%s/%s", interface,
		 sysctl_names[which]);
	return open(path, flags | O_CLOEXEC);
}

int steer_sysctl_get(const char *interface, int which)
{
	int fd = sysctl_open(interface, which, O_RDONLY);
	char text[16] = "";
	ssize_t n;

	if (fd < 0)
		return -errno;
	n = read(fd, text, sizeof(text) - 1);
	close(fd);
	return n > 0 && text[0] >= '0' && text[0] <= '9' ? text[0] - '0' : -EIO;
}

int steer_sysctl_set(const char *interface, int which, int value)
{
	int fd = sysctl_open(interface, which, O_WRONLY);
	char text[16];
	int len, err = 0;

	if (fd < 0)
		return -errno;
	len = snprintf(text, sizeof(text), "%d\n", value);
	if (write(fd, text, (size_t)len) != len)
		err = -errno;
	close(fd);
	return err;
}

int steer_pins_remove(const char *pin_dir)
{
	char path[STEER_PATH_BYTES + 16];
	int removed = 0, err = 0;

	for (int i = 0; i < STEER_PINS; i++) {
		snprintf(path, sizeof(path), "%s/%s", pin_dir, steer_pin_names[i]);
		if (!unlink(path))
			removed++;
		else if (errno != ENOENT && errno != ENOTDIR)
			err = -errno;
	}
	if (rmdir(pin_dir) < 0 && errno != ENOENT && errno != ENOTEMPTY && errno != ENOTDIR)
		err = err ? err : -errno;
	return err ? err : removed;
}

int steer_pins_in_use(const char *pin_dir)
{
	char path[STEER_PATH_BYTES + 16];
	struct bpf_prog_info prog = {0};
	__u32 len = sizeof(prog), id = 0;
	int fd, err;

	snprintf(path, sizeof(path), "%s/%s", pin_dir, steer_pin_names[0]);
	fd = bpf_obj_get(path);
	if (fd < 0)
		return errno == ENOENT || errno == ENOTDIR ? 0 : -errno;
	err = bpf_obj_get_info_by_fd(fd, &prog, &len);
	close(fd);
	if (err)
		return -errno;
	while (!bpf_link_get_next_id(id, &id)) {
		struct bpf_link_info link = {0};

		fd = bpf_link_get_fd_by_id(id);
		if (fd < 0)
			continue;
		len = sizeof(link);
		err = bpf_obj_get_info_by_fd(fd, &link, &len);
		close(fd);
		if (!err && link.prog_id == prog.id)
			return 1;
	}
	return 0;
}

int steer_pins_folder(const char *pin_dir)
{
	struct statfs fs;
	int err = make_folders(pin_dir, 0700);

	/* systemd mounts it at boot; containers and small systems may not have it. */
	if (!strncmp(pin_dir, "/sys/fs/bpf/", 12) &&
	    (statfs("/sys/fs/bpf", &fs) < 0 || fs.f_type != BPF_FS_MAGIC)) {
		if (mount("bpf", "/sys/fs/bpf", "bpf", MS_NOSUID | MS_NODEV | MS_NOEXEC,
			  "mode=700") < 0)
			return -errno;
		err = make_folders(pin_dir, 0700);
	}
	if (err)
		return err;
	if (statfs(pin_dir, &fs) < 0)
		return -errno;
	if (fs.f_type == BPF_FS_MAGIC)
		return 0;
	rmdir(pin_dir); /* if nothing is in it: nothing can be put there */
	return -ENOTSUP;
}
