/* SPDX-License-Identifier: Apache-2.0 */
/*
 * port_spec.c - reads the short text that names a port.
 */
#include "dataplane/net/port_device.h"
#include "dataplane/net/port_why.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

struct kind_name {
	const char *name;
	enum port_kind kind;
	bool argument; /* needs something behind the colon */
	bool queues;   /* takes ,queues=N */
};

static const struct kind_name kinds[] = {
	{"afxdp", PORT_AFXDP, true, true},   {"pci", PORT_PCI, true, true},
	{"memif", PORT_MEMIF, true, false},  {"vhost", PORT_VHOST, true, true},
	{"virtio", PORT_VIRTIO, true, true}, {"tap", PORT_TAP, true, false},
	{"ring", PORT_RING, false, false},   {"vdev", PORT_VDEV, true, false},
};

/* Cuts ",queues=N" off the name. */
static int take_queues(struct port_spec *spec, const char *text, char *why)
{
	char *comma = strchr(spec->name, ','), *end;
	unsigned long n;

	if (!comma)
		return 0;
	if (strncmp(comma, ",queues=", 8))
		return port_say(why, -EINVAL,
				"port '%s': '%s' is unknown, only ,queues=N may follow", text,
				comma);
	n = strtoul(comma + 8, &end, 10);
	if (end == comma + 8 || *end || !n || n > PORT_QUEUES_MAX)
		return port_say(why, -EINVAL, "port '%s': queues must be 1 to %d", text,
				PORT_QUEUES_MAX);
	spec->queues = (uint32_t)n;
	*comma = 0;
	return 0;
}

static int take_arguments(struct port_spec *spec, const struct kind_name *kind, const char *text,
			  char *why)
{
	char name[PORT_NAME_BYTES];
	int err = kind->queues ? take_queues(spec, text, why) : 0;

	if (err || kind->kind != PORT_PCI)
		return err;
	memcpy(name, spec->name, sizeof(name));
	return port_pci_name(spec->name, name, why);
}

int port_spec_parse(struct port_spec *spec, const char *text, char *why)
{
	const char *colon = strchr(text, ':'), *rest = colon ? colon + 1 : "";
	size_t len = colon ? (size_t)(colon - text) : strlen(text);

	memset(spec, 0, sizeof(*spec));
	spec->queues = 1;
	for (size_t i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++) {
		const struct kind_name *kind = &kinds[i];

		if (strlen(kind->name) != len || memcmp(kind->name, text, len) != 0)
			continue;
		if (kind->argument && !*rest)
			return port_say(why, -EINVAL, "port '%s': something must follow '%s:'",
					text, kind->name);
		if (strlen(rest) >= sizeof(spec->name))
			return port_say(why, -EINVAL, "port '%s' is longer than %d bytes", text,
					PORT_NAME_BYTES);
		spec->kind = kind->kind;
		memcpy(spec->name, rest, strlen(rest) + 1);
		return take_arguments(spec, kind, text, why);
	}
	return port_say(
		why, -EINVAL,
		"port '%s': the kind must be afxdp, pci, memif, vhost, virtio, tap, ring or "
		"vdev, followed by a colon",
		text);
}
