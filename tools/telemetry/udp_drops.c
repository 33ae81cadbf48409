/* SPDX-License-Identifier: Apache-2.0 */
/*
 * udp_drops.c - the life of bpf/udp_drops.bpf.c, and the kernel's names of its reasons.
 */
#include "tools/telemetry/udp_drops.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <bpf/bpf.h>
#include <bpf/btf.h>
#include <bpf/libbpf.h>

/* Generated; not written for our warnings. */
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wsign-conversion"
#include "bpf/udp_drops.skel.h"
#pragma GCC diagnostic pop

#define TYPES  "/sys/kernel/btf/vmlinux"
#define PREFIX "SKB_DROP_REASON_"

struct udp_drops {
	struct udp_drops_bpf *bpf;
	struct btf *btf; /* the kernel's */
	const struct btf_type *reasons;
};

__attribute__((format(printf, 3, 4))) static int say(char *why, int err, const char *format, ...)
{
	va_list args;

	va_start(args, format);
	vsnprintf(why, UDP_DROPS_WHY_BYTES, format, args);
	va_end(args);
	return err;
}

static int find_reasons(struct udp_drops *drops, char *why)
{
	int id, err;

	drops->btf = btf__load_vmlinux_btf();
	if (!drops->btf) {
		err = access(TYPES, R_OK) < 0 ? -errno : -EINVAL;
		return say(why, err,
			   "cannot read the kernel's own types from " TYPES " (%s); that needs "
			   "sysfs and a kernel with CONFIG_DEBUG_INFO_BTF",
			   strerror(-err));
	}
	id = btf__find_by_name_kind(drops->btf, "skb_drop_reason", BTF_KIND_ENUM);
	if (id <= 0)
		return say(why, -ENOENT, "this kernel gives no reasons; Linux 5.17 and later do");
	drops->reasons = btf__type_by_id(drops->btf, (__u32)id);
	return 0;
}

static int load(struct udp_drops *drops, uint16_t port_base, uint16_t ports, char *why)
{
	int err;

	drops->bpf = udp_drops_bpf__open();
	if (!drops->bpf)
		return say(why, -errno, "cannot open the program: %s", strerror(errno));
	drops->bpf->rodata->port_base = port_base;
	drops->bpf->rodata->port_count = ports;
	err = udp_drops_bpf__load(drops->bpf);
	if (err == -EPERM)
		return say(why, err,
			   "no permission to load BPF programs; run it as root, or with "
			   "CAP_BPF and CAP_PERFMON");
	if (err)
		return say(why, err, "the kernel refused the program: %s", strerror(-err));
	err = udp_drops_bpf__attach(drops->bpf);
	return err ? say(why, err, "cannot attach to the tracepoint skb:kfree_skb: %s",
			 strerror(-err))
		   : 0;
}

int udp_drops_open(struct udp_drops **out, uint16_t port_base, uint16_t ports, char *why)
{
	libbpf_print_fn_t print = libbpf_set_print(NULL);
	struct udp_drops *drops = calloc(1, sizeof(*drops));
	int err = drops ? 0 : say(why, -ENOMEM, "out of memory");

	if (!err)
		err = find_reasons(drops, why);
	if (!err)
		err = load(drops, port_base, ports, why);
	libbpf_set_print(print);
	if (err)
		udp_drops_close(drops);
	else
		*out = drops;
	return err;
}

void udp_drops_close(struct udp_drops *drops)
{
	if (!drops)
		return;
	udp_drops_bpf__destroy(drops->bpf);
	btf__free(drops->btf);
	free(drops);
}

/* Other parts of the kernel have reasons of their own, which this enum does not list. */
static void name_reason(const struct udp_drops *drops, struct udp_drops_reason *reason)
{
	const struct btf_enum *member = btf_enum(drops->reasons);

	for (uint32_t i = 0; i < btf_vlen(drops->reasons); i++, member++) {
		const char *name = btf__name_by_offset(drops->btf, member->name_off);

		if ((uint32_t)member->val != reason->number || !name)
			continue;
		if (strncmp(name, PREFIX, strlen(PREFIX)) == 0)
			name += strlen(PREFIX);
		snprintf(reason->name, sizeof(reason->name), "%s", name);
		return;
	}
	snprintf(reason->name, sizeof(reason->name), "%u", reason->number);
}

static int by_number(const void *a, const void *b)
{
	const struct udp_drops_reason *x = a, *y = b;

	return x->number < y->number ? -1 : x->number > y->number;
}

uint32_t udp_drops_read(struct udp_drops *drops, struct udp_drops_reason *out)
{
	int fd = bpf_map__fd(drops->bpf->maps.udp_drops);
	uint32_t count = 0;
	__u32 key, *last = NULL;

	while (count < UDP_DROPS_REASONS_MAX && bpf_map_get_next_key(fd, last, &key) == 0) {
		struct udp_drops_reason *reason = &out[count];

		last = &key;
		if (bpf_map_lookup_elem(fd, &key, &reason->since_start))
			continue;
		reason->number = key;
		name_reason(drops, reason);
		count++;
	}
	qsort(out, count, sizeof(*out), by_number);
	return count;
}
