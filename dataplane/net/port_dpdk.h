/* SPDX-License-Identifier: Apache-2.0 */
/*
 * port_dpdk.h - real ports: any DPDK ethdev, named by a short text.
 *
 *	afxdp:IFACE[,queues=N]      AF_XDP sockets on a kernel interface (lo, veth, a NIC)
 *	pci:ADDRESS[,queues=N]      a NIC bound to vfio-pci; the whole device is ours
 *	memif:ARGS                  shared memory to another process, e.g.
 *memif:role=client,socket=P vhost:PATH[,queues=N]       vhost-user server on a socket
 *	virtio:PATH[,queues=N]      virtio-user client of such a socket
 *	tap:IFACE                   a TAP interface that DPDK makes
 *	ring[:NAME]                 loops back what is sent: measures the port layer itself
 *	vdev:ARGS                   any other DPDK virtual device, as after --vdev
 *
 * Order at start: port_eal_start(); for afxdp steer_attach() (control/steer.h) on the interface;
 * port_device_open(); then each worker takes its queue by port_device_queue(). At the end the
 * reverse: port_device_close(), steer_detach(), port_eal_stop(). All of these on the main thread.
 * docs/ports.md tells what each kind needs from the machine.
 *
 * `why` points to PORT_WHY_BYTES bytes that get one line for a person when a call fails.
 */
#ifndef ABAFT_NET_PORT_DPDK_H
#define ABAFT_NET_PORT_DPDK_H

#include <stdbool.h>
#include <stdint.h>

#include "dataplane/net/port.h"

#define PORT_WHY_BYTES	  256
/* Longest interface name, PCI address, socket path or argument list in a port's text. */
#define PORT_NAME_BYTES	  128
#define PORT_QUEUES_MAX	  64
#define PORT_SPREAD_BYTES 96
/* Memory for one frame buffer: a page, and its place in the pool. */
#define PORT_BUFFER_BYTES 4160u

enum port_kind {
	PORT_AFXDP,
	PORT_PCI,
	PORT_MEMIF,
	PORT_VHOST,
	PORT_VIRTIO,
	PORT_TAP,
	PORT_RING,
	PORT_VDEV,
};

struct port_spec {
	enum port_kind kind;
	char name[PORT_NAME_BYTES]; /* interface, address, path, or the arguments as they stand */
	uint32_t queues;	    /* 1 if not given */
};

/* Reads a port's text. 0 or -EINVAL. */
__attribute__((warn_unused_result)) int port_spec_parse(struct port_spec *spec, const char *text,
							char *why);

struct eal_config {
	const char *lcores;  /* as DPDK's --lcores, e.g. "0@1,1@2"; NULL: one, not pinned */
	const char *prefix;  /* file prefix with huge pages; NULL: "abaft" */
	uint32_t memory_mib; /* without huge pages: memory to set aside; 0: 256 */
	bool huge_pages;     /* else --no-huge --no-shconf */
	const char *pci;     /* address of the NIC that is bound to vfio-pci; NULL: no PCI */
	bool verbose;	     /* DPDK's own log lines, else only its errors */
};

/* Starts DPDK, once in the life of a process. 0 or negative errno. */
__attribute__((warn_unused_result)) int port_eal_start(const struct eal_config *config, char *why);
/* Ends DPDK; no port call afterwards. */
void port_eal_stop(void);

struct port_device_config {
	uint16_t port_base; /* worker w answers on this UDP port + w: flow rules of NICs */
	uint16_t workers;
	uint32_t buffers;      /* frame buffers; 0: 8191 for each queue */
	bool verify_checksums; /* on lo and veth, too: port->local_senders is not set */
};

struct port_device;

/*
 * Opens and starts a device with spec->queues queues. A NIC gets one flow rule for each worker
 * (UDP port base + w -> queue w % queues) or, where it cannot, RSS over addresses and ports. An
 * AF_XDP queue that is still held by a process just killed is tried again for up to a second.
 * 0, -ENOENT (no such interface, or no steering program on it), -EBUSY, other negative errno.
 */
__attribute__((warn_unused_result)) int port_device_open(struct port_device **out,
							 const struct port_spec *spec,
							 const struct port_device_config *config,
							 char *why);
uint32_t port_device_queues(const struct port_device *device);
/* The device's, valid until port_device_close(). Only one thread uses a queue at a time. */
struct port *port_device_queue(struct port_device *device, uint32_t queue);
/* How a NIC brings packets to its queues, in words; empty for other kinds. */
const char *port_device_spread(const struct port_device *device);
/* The device's MAC address, for host.h. */
void port_device_mac(const struct port_device *device, uint8_t mac[6]);
/* Stops and frees; no worker may use the queues, and all frames must have been given back. */
void port_device_close(struct port_device *device);

#endif
