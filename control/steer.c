/* SPDX-License-Identifier: Apache-2.0 */
/*
 * steer.c - attaches bpf/steer.bpf.c to an interface and takes it off without a trace.
 *
 * I1. The program is held by a BPF link of this process, never pinned: when the process ends, in
 *     whatever way, the kernel takes it off.
 * I2. Only one program fits an interface, so whoever attached owns the interface's pins, sysctls
 *     and state file; they are changed only after attaching and put back before detaching.
 * I3. What a sysctl was is on file before it is changed.
 */
#include "control/steer.h"

#include <arpa/inet.h>
#include <errno.h>
#include <net/if.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <linux/if_link.h>

#include "bpf/decide.h"
#include "control/steer_left.h"

/* Generated; not written for our warnings. */
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wsign-conversion"
#include "bpf/steer.skel.h"
#pragma GCC diagnostic pop

__attribute__((format(printf, 3, 4))) static int say(char *why, int err, const char *format, ...)
{
	va_list args;

	va_start(args, format);
	vsnprintf(why, STEER_WHY_BYTES, format, args);
	va_end(args);
	return err;
}

static bool is_loopback(const char *interface)
{
	struct ifreq request = {0};
	int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	bool yes = false;

	if (fd < 0)
		return false;
	snprintf(request.ifr_name, sizeof(request.ifr_name), "%s", interface);
	if (!ioctl(fd, SIOCGIFFLAGS, &request))
		yes = request.ifr_flags & IFF_LOOPBACK;
	close(fd);
	return yes;
}

int steer_rules_read(struct steer_rules *rules, const struct steer_config *config, char *why)
{
	memset(rules, 0, sizeof(*rules));
	if (!config->workers || config->workers > ABAFT_WORKERS_MAX ||
	    config->port_base + config->workers > 65536 || !config->port_base)
		return say(why, -EINVAL, "%u workers do not fit UDP ports from %u on",
			   config->workers, config->port_base);
	rules->port_base = config->port_base;
	rules->workers = config->workers;
	for (uint32_t i = 0; i < config->addresses_count; i++) {
		const char *text = config->addresses[i];

		if (rules->ipv4_count == STEER_ADDRESSES_MAX ||
		    rules->ipv6_count == STEER_ADDRESSES_MAX)
			return say(why, -ENOSPC, "more than %d addresses of one family",
				   STEER_ADDRESSES_MAX);
		if (inet_pton(AF_INET, text, rules->ipv4[rules->ipv4_count]) == 1)
			rules->ipv4_count++;
		else if (inet_pton(AF_INET6, text, rules->ipv6[rules->ipv6_count]) == 1)
			rules->ipv6_count++;
		else
			return say(why, -EINVAL, "'%s' is neither an IPv4 nor an IPv6 address",
				   text);
	}
	return 0;
}

/* Who stands on the interface already? */
static int check_free(uint32_t ifindex, const char *interface, char *why)
{
	LIBBPF_OPTS(bpf_xdp_query_opts, query);
	struct bpf_prog_info info = {0};
	__u32 id, len = sizeof(info);
	int fd, err = bpf_xdp_query((int)ifindex, 0, &query);

	if (err)
		return say(why, err, "cannot ask which XDP program is on %s: %s", interface,
			   strerror(-err));
	id = query.prog_id;
	if (!id)
		id = query.drv_prog_id ? query.drv_prog_id : query.skb_prog_id;
	if (!id && !query.hw_prog_id)
		return 0;
	fd = bpf_prog_get_fd_by_id(id);
	if (fd >= 0) {
		(void)bpf_obj_get_info_by_fd(fd, &info, &len);
		close(fd);
	}
	if (!strcmp(info.name, "xsk_def_prog"))
		return say(why, -EBUSY,
			   "%s has an AF_XDP program already (id %u): another abaftd or AF_XDP "
			   "application runs on it; stop it, or if none runs: ip link set dev %s "
			   "xdp off",
			   interface, id, interface);
	return say(why, -EBUSY,
		   "%s has an XDP program of someone else ('%s', id %u); take it off (ip link set "
		   "dev %s xdp off) or use another interface",
		   interface, info.name, id, interface);
}

/* Puts right what a killed run left; the interface is free of programs. Number of things. */
static int clean(struct steer *steer, char *why)
{
	struct steer_left left;
	int pins, things = 0, err = steer_left_read(&left, steer->state_path);

	if (!err) {
		for (int i = 0; i < 2; i++) {
			if (left.old[i] < 0 || steer_sysctl_get(steer->interface, i) != 1)
				continue;
			if (steer_sysctl_set(steer->interface, i, left.old[i]) == 0)
				things++;
		}
		if (strcmp(left.pin_dir, steer->pin_dir) && steer_pins_in_use(left.pin_dir) == 0) {
			pins = steer_pins_remove(left.pin_dir);
			things += pins > 0 ? pins : 0;
		}
		if (unlink(steer->state_path) < 0)
			return say(why, -errno, "cannot remove %s of a run that was killed: %s",
				   steer->state_path, strerror(errno));
		things++;
	} else if (err != -ENOENT) {
		return say(why, err, "cannot read %s (%s): look at it, then remove it",
			   steer->state_path, strerror(-err));
	}
	pins = steer_pins_remove(steer->pin_dir);
	if (pins < 0)
		return say(why, pins, "cannot remove old pins in %s: %s", steer->pin_dir,
			   strerror(-pins));
	return things + pins;
}

/* Names, checks and leftovers: all that comes before something is changed. */
static int prepare(struct steer *steer, const struct steer_config *config, char *why)
{
	const char *pin_dir = config->pin_dir ? config->pin_dir : STEER_PIN_DIR;
	const char *state_dir = config->state_dir ? config->state_dir : STEER_STATE_DIR;
	int err;

	memset(steer, 0, sizeof(*steer));
	steer->link_fd = -1;
	if (snprintf(steer->interface, sizeof(steer->interface), "%s", config->interface) >=
		    (int)sizeof(steer->interface) ||
	    snprintf(steer->pin_dir, sizeof(steer->pin_dir), "%s", pin_dir) >=
		    (int)sizeof(steer->pin_dir))
		return say(why, -ENAMETOOLONG, "'%s' or '%s' is too long", config->interface,
			   pin_dir);
	err = steer_left_path(steer->state_path, state_dir, steer->interface);
	if (err)
		return say(why, err, "state folder '%s': %s", state_dir, strerror(-err));
	steer->ifindex = if_nametoindex(steer->interface);
	if (!steer->ifindex)
		return say(why, -ENOENT,
			   "there is no interface '%s' (ip link shows those there "
			   "are)",
			   steer->interface);
	steer->loopback = is_loopback(steer->interface);
	err = check_free(steer->ifindex, steer->interface, why);
	if (err)
		return err;
	err = steer_pins_in_use(steer->pin_dir);
	if (err > 0)
		return say(why, -EBUSY,
			   "the pins in %s belong to a running node; give this one "
			   "another pin folder",
			   steer->pin_dir);
	if (err < 0)
		return say(why, err, "cannot look at the pins in %s: %s%s", steer->pin_dir,
			   strerror(-err), err == -EPERM ? "; run as root" : "");
	err = clean(steer, why);
	if (err > 0) {
		steer->cleaned = true;
		snprintf(steer->note, sizeof(steer->note),
			 "an earlier run on %s was killed: put right %d things it left (pins in "
			 "%s, sysctls, %s)",
			 steer->interface, err, steer->pin_dir, steer->state_path);
	}
	return err < 0 ? err : 0;
}

static int load(struct steer *steer, const struct steer_rules *rules, char *why)
{
	libbpf_print_fn_t print = libbpf_set_print(NULL);
	__u32 zero = 0;
	int err;

	steer->bpf = xsk_def_steer__open_and_load();
	err = steer->bpf ? 0 : -errno;
	libbpf_set_print(print);
	if (err)
		return say(why, err, "the kernel refused the steering program: %s%s",
			   strerror(-err), err == -EPERM ? "; run as root" : "");
	err = bpf_map_update_elem(bpf_map__fd(steer->bpf->maps.steer_rules), &zero, rules, 0);
	if (err)
		return say(why, err, "cannot write the steering rules: %s", strerror(-err));
	steer->counters_fd = bpf_map__fd(steer->bpf->maps.steer_counters);
	steer->cpus = libbpf_num_possible_cpus();
	if (steer->cpus <= 0)
		return say(why, -EINVAL, "cannot tell the number of CPUs");
	return 0;
}

static int attach(struct steer *steer, bool generic, char *why)
{
	LIBBPF_OPTS(bpf_link_create_opts, opts);
	int prog = bpf_program__fd(steer->bpf->progs.xsk_def_prog);
	int err = 0;

	opts.flags = XDP_FLAGS_DRV_MODE;
	if (!generic)
		steer->link_fd = bpf_link_create(prog, (int)steer->ifindex, BPF_XDP, &opts);
	steer->native = steer->link_fd >= 0;
	if (steer->link_fd < 0) {
		opts.flags = XDP_FLAGS_SKB_MODE;
		steer->link_fd = bpf_link_create(prog, (int)steer->ifindex, BPF_XDP, &opts);
	}
	if (steer->link_fd < 0) {
		err = steer->link_fd;
		steer->link_fd = -1;
		return say(why, err, "cannot attach the steering program to %s: %s",
			   steer->interface, strerror(-err));
	}
	return 0;
}

static int pin(struct steer *steer, char *why)
{
	const int fds[STEER_PINS] = {bpf_program__fd(steer->bpf->progs.xsk_def_prog),
				     steer->counters_fd,
				     bpf_map__fd(steer->bpf->maps.steer_bytes),
				     bpf_map__fd(steer->bpf->maps.steer_tenants),
				     bpf_map__fd(steer->bpf->maps.steer_rules),
				     bpf_map__fd(steer->bpf->maps.xsks_map)};
	char path[STEER_PATH_BYTES + 16];
	int err = steer_pins_folder(steer->pin_dir);

	if (err)
		return say(why, err, "cannot make the pin folder %s: %s%s", steer->pin_dir,
			   strerror(-err),
			   err == -ENOTSUP ? "; it must lie on a mounted bpf file system" : "");
	for (int i = 0; i < STEER_PINS; i++) {
		snprintf(path, sizeof(path), "%s/%s", steer->pin_dir, steer_pin_names[i]);
		err = bpf_obj_pin(fds[i], path);
		if (err)
			return say(why, err, "cannot pin %s: %s", path, strerror(-err));
	}
	return 0;
}

/* I3: first to the file, then to the kernel. */
static int change_sysctls(struct steer *steer, char *why)
{
	struct steer_left left = {.old = {-1, -1}, .pid = getpid()};
	int err;

	memcpy(left.pin_dir, steer->pin_dir, sizeof(left.pin_dir));
	for (int i = 0; i < 2 && steer->loopback; i++) {
		int old = steer_sysctl_get(steer->interface, i);

		if (old < 0)
			return say(why, old, "cannot read the sysctl net.ipv4.conf.%s.%s: %s",
				   steer->interface, steer_sysctl_name(i), strerror(-old));
		/* What stands at 1 already is not ours to put back. */
		if (!old)
			left.old[i] = old;
	}
	err = steer_left_write(&left, steer->state_path);
	if (err)
		return say(why, err, "cannot write %s: %s", steer->state_path, strerror(-err));
	for (int i = 0; i < 2; i++) {
		if (left.old[i] < 0)
			continue;
		err = steer_sysctl_set(steer->interface, i, 1);
		if (err)
			return say(why, err, "cannot set the sysctl net.ipv4.conf.%s.%s: %s",
				   steer->interface, steer_sysctl_name(i), strerror(-err));
	}
	return 0;
}

int steer_attach(struct steer *steer, const struct steer_config *config, char *why)
{
	struct steer_rules rules;
	char ignored[STEER_WHY_BYTES];
	int err;

	err = steer_rules_read(&rules, config, why);
	if (!err)
		err = prepare(steer, config, why);
	if (err) {
		memset(steer, 0, sizeof(*steer));
		return err;
	}
	err = load(steer, &rules, why);
	if (!err)
		err = attach(steer, config->generic, why);
	if (!err)
		err = change_sysctls(steer, why);
	if (!err)
		err = pin(steer, why);
	if (err)
		(void)steer_detach(steer, ignored);
	return err;
}

/* Before the link goes (I2). */
static int put_back(struct steer *steer, char *why)
{
	struct steer_left left;
	int err = steer_pins_remove(steer->pin_dir), failed = 0;

	if (err < 0)
		failed = say(why, err, "pins stayed in %s (%s); remove them by hand",
			     steer->pin_dir, strerror(-err));
	err = steer_left_read(&left, steer->state_path);
	for (int i = 0; i < 2 && !err; i++) {
		int set = left.old[i] < 0 ? 0 : steer_sysctl_set(steer->interface, i, left.old[i]);

		/* An interface that is gone took its sysctls along. */
		if (set < 0 && set != -ENOENT)
			failed = say(why, set,
				     "a sysctl stayed changed (%s); put it back: sysctl -w "
				     "net.ipv4.conf.%s.%s=%d",
				     strerror(-set), steer->interface, steer_sysctl_name(i),
				     left.old[i]);
	}
	if (!failed && unlink(steer->state_path) < 0 && errno != ENOENT)
		failed = say(why, -errno, "cannot remove %s: %s", steer->state_path,
			     strerror(errno));
	if (!failed) {
		*strrchr(steer->state_path, '/') = 0;
		/* Stays if it holds anything else. */
		(void)rmdir(steer->state_path);
	}
	return failed;
}

int steer_detach(struct steer *steer, char *why)
{
	int err = 0;

	why[0] = 0;
	if (!steer->bpf)
		return 0;
	if (steer->link_fd >= 0) {
		err = put_back(steer, why);
		close(steer->link_fd);
	}
	xsk_def_steer__destroy(steer->bpf);
	memset(steer, 0, sizeof(*steer));
	steer->link_fd = -1;
	return err;
}

int steer_read_counters(const struct steer *steer, struct steer_counters *out)
{
	size_t words = sizeof(*out) / sizeof(__u64), cpus = (size_t)steer->cpus;
	__u64 *values = calloc(cpus, sizeof(*out)), *sum = (__u64 *)out;
	__u32 zero = 0;
	int err;

	if (!values)
		return -ENOMEM;
	err = bpf_map_lookup_elem(steer->counters_fd, &zero, values);
	memset(out, 0, sizeof(*out));
	for (size_t i = 0; i < cpus * words && !err; i++)
		sum[i % words] += values[i];
	free(values);
	return err;
}

int steer_clean(const struct steer_config *config, char *why)
{
	struct steer steer;
	int err = prepare(&steer, config, why);

	if (err)
		return err;
	if (steer.cleaned)
		snprintf(why, STEER_WHY_BYTES, "%s", steer.note);
	return steer.cleaned;
}
