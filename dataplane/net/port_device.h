/* SPDX-License-Identifier: Apache-2.0 */
/*
 * port_device.h - within the ports' sources: a device and its queues.
 */
#ifndef ABAFT_NET_PORT_DEVICE_H
#define ABAFT_NET_PORT_DEVICE_H

#include "dataplane/net/port_dpdk.h"

struct rte_mempool;
struct rte_flow;

struct port_queue {
	struct port port;
	uint16_t device; /* ethdev: for afxdp each queue is an ethdev of its own */
	uint16_t number; /* queue of it */
	int fd;		 /* readable when frames came, or -1 */
	bool stamped;	 /* XDP metadata may stand before a frame: the kernel wrote the buffer */
};

struct port_device {
	struct port_spec spec;
	bool verify_checksums;
	struct rte_mempool *pool;
	uint32_t queues;  /* of ours */
	uint32_t ethdevs; /* opened: 1, for afxdp as many as queues */
	uint16_t ethdev[PORT_QUEUES_MAX];
	uint8_t mac[6];
	char spread[PORT_SPREAD_BYTES];
	struct port_queue queue[PORT_QUEUES_MAX];
};

extern const struct port_ops port_dpdk_ops;

/* The pool of the device's frame buffers. 0 or negative errno. */
int port_pool_make(struct port_device *device, const struct port_device_config *config, char *why);

/* Buffers that are free at a moment. */
struct port_pool_note {
	void **buffers;
	uint32_t count;
};

/* Before a driver takes buffers of the pool, which it loses when it fails: notes what is free. To
 * be forgotten in the end. 0 or -ENOMEM. As long as no worker runs. */
__attribute__((warn_unused_result)) int port_pool_note(struct rte_mempool *pool,
						       struct port_pool_note *note);
/* It failed, and holds none of them any more: what was free is free again. */
void port_pool_restore(struct rte_mempool *pool, const struct port_pool_note *note);
void port_pool_forget(struct port_pool_note *note);

/* A PCI address in full, as DPDK and the kernel name the device. 0 or -EINVAL. */
__attribute__((warn_unused_result)) int port_pci_name(char name[PORT_NAME_BYTES], const char *text,
						      char *why);
/* How a NIC that has no MSI-X interrupts: "msi" or "legacy". NULL: by MSI-X, or not to be told.
 * DPDK tries MSI-X on every NIC and complains. */
const char *port_pci_interrupts(const char *name);

/* One rule for each worker's UDP port and each IP version. How many the device took. */
uint32_t port_flow_rules(uint16_t ethdev, const struct port_device_config *config, uint32_t queues);

#endif
