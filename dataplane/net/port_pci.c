/* SPDX-License-Identifier: Apache-2.0 */
/*
 * port_pci.c - what must be known of a NIC before DPDK looks at it: its name, its interrupts.
 */
#include "dataplane/net/port_why.h"

#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

#include <rte_pci.h>

#include "dataplane/net/port_device.h"

#define CONFIG_BYTES	256
#define STATUS		6
#define STATUS_LIST	0x10
#define LIST		0x34
#define CAPABILITY_MSI	0x05
#define CAPABILITY_MSIX 0x11
#define CAPABILITIES	48 /* that fit; a list that runs in a circle ends */

int port_pci_name(char name[PORT_NAME_BYTES], const char *text, char *why)
{
	struct rte_pci_addr address;

	if (rte_pci_addr_parse(text, &address))
		return port_say(why, -EINVAL,
				"port 'pci:%s': that is no PCI address, as 0000:01:00.0 is", text);
	rte_pci_device_name(&address, name, PORT_NAME_BYTES);
	return 0;
}

static bool has_capability(const uint8_t config[CONFIG_BYTES], uint8_t id)
{
	uint8_t at = config[STATUS] & STATUS_LIST ? config[LIST] & 0xfc : 0;

	for (int i = 0; i < CAPABILITIES && at; i++) {
		if (config[at] == id)
			return true;
		at = config[at + 1] & 0xfc;
	}
	return false;
}

const char *port_pci_interrupts(const char *name)
{
	char path[PORT_NAME_BYTES + 32];
	uint8_t config[CONFIG_BYTES] = {0};
	ssize_t got;
	int fd;

	snprintf(path, sizeof(path), "/sys/bus/pci/devices/%s/config", name);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return NULL;
	got = read(fd, config, sizeof(config));
	close(fd);
	if (got != CONFIG_BYTES || has_capability(config, CAPABILITY_MSIX))
		return NULL;
	return has_capability(config, CAPABILITY_MSI) ? "msi" : "legacy";
}
