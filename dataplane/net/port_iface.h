/* SPDX-License-Identifier: Apache-2.0 */
/*
 * port_iface.h - what an afxdp port asks the kernel about its interface and its sockets.
 */
#ifndef ABAFT_NET_PORT_IFACE_H
#define ABAFT_NET_PORT_IFACE_H

#include <stdbool.h>
#include <stdint.h>

#define IFACE_SOCKETS_MAX 128

/* The AF_XDP sockets this process holds. */
struct iface_sockets {
	int count;
	int fds[IFACE_SOCKETS_MAX];
};

/* lo, veth, tun, dummy: frames come from this machine with checksums unfinished. */
bool iface_is_local(const char *interface);
/* 0, -ENOENT (no such interface, or no XDP program on it), other negative errno. */
int iface_check(const char *interface, char *why);
void iface_sockets(struct iface_sockets *sockets);
/* The socket that is held now and was not before, or -1. */
int iface_new_socket(const struct iface_sockets *before);

#endif
