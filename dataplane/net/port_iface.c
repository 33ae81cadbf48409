/* SPDX-License-Identifier: Apache-2.0 */
/*
 * port_iface.c - see port_iface.h.
 *
 * DPDK 22.11's AF_XDP driver has no receive interrupts and does not tell its sockets, yet a worker
 * must be able to sleep until a frame comes. Each queue opens exactly one AF_XDP socket, so the one
 * that /proc/self/fd shows after and did not show before is the queue's. It polls readable when the
 * queue holds frames.
 */
#include "dataplane/net/port_iface.h"

#include <dirent.h>
#include <errno.h>
#include <net/if.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include <bpf/libbpf.h>
#include <linux/ethtool.h>
#include <linux/sockios.h>

#include "dataplane/net/port_why.h"

bool iface_is_local(const char *interface)
{
	static const char *const local[] = {"veth", "tun", "dummy"};
	struct ethtool_drvinfo driver = {.cmd = ETHTOOL_GDRVINFO};
	struct ifreq request = {0};
	int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	bool yes = false;

	if (fd < 0)
		return false;
	snprintf(request.ifr_name, sizeof(request.ifr_name), "%s", interface);
	if (!ioctl(fd, SIOCGIFFLAGS, &request))
		yes = request.ifr_flags & IFF_LOOPBACK;
	request.ifr_data = (char *)&driver;
	if (!yes && !ioctl(fd, SIOCETHTOOL, &request))
		for (size_t i = 0; i < sizeof(local) / sizeof(local[0]); i++)
			yes = yes || !strcmp(driver.driver, local[i]);
	close(fd);
	return yes;
}

int iface_check(const char *interface, char *why)
{
	unsigned int ifindex = if_nametoindex(interface);
	__u32 id = 0;
	int err;

	if (!ifindex)
		return port_say(why, -ENOENT, "there is no interface '%s'", interface);
	err = bpf_xdp_query_id((int)ifindex, 0, &id);
	if (err)
		return port_say(why, err, "cannot ask for the XDP program of %s: %s", interface,
				strerror(-err));
	/* Without it the driver would attach one that takes every packet from the kernel. */
	if (!id)
		return port_say(why, -ENOENT, "no steering program is attached to %s", interface);
	return 0;
}

void iface_sockets(struct iface_sockets *sockets)
{
	DIR *folder = opendir("/proc/self/fd");
	struct dirent *entry;

	sockets->count = 0;
	if (!folder)
		return;
	while ((entry = readdir(folder)) && sockets->count < IFACE_SOCKETS_MAX) {
		int fd = (int)strtoul(entry->d_name, NULL, 10), domain = 0;
		socklen_t len = sizeof(domain);

		if (!getsockopt(fd, SOL_SOCKET, SO_DOMAIN, &domain, &len) && domain == AF_XDP)
			sockets->fds[sockets->count++] = fd;
	}
	closedir(folder);
}

int iface_new_socket(const struct iface_sockets *before)
{
	struct iface_sockets now;

	iface_sockets(&now);
	for (int i = 0; i < now.count; i++) {
		bool old = false;

		for (int j = 0; j < before->count; j++)
			old = old || before->fds[j] == now.fds[i];
		if (!old)
			return now.fds[i];
	}
	return -1;
}
