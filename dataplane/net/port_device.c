/* SPDX-License-Identifier: Apache-2.0 */
/*
 * port_device.c - opens, starts and closes a device; main thread only.
 *
 * An afxdp port is one ethdev for each queue (start_queue=N): DPDK 22.11's driver takes several
 * queues in one ethdev on few interfaces only. They share one pool, so that any queue sends a frame
 * that another one received without a copy.
 *
 * I1. An afxdp ethdev whose queue the kernel refused, as a killed run still has it, is never used
 *     again, nor closed. The driver keeps its count of what it put into the fill ring, but the next
 *     try gets an empty ring: after one refusal the kernel would find zeros in it, and receive 2048
 *     frames into one and the same buffer, which the pool then holds as often; after two it would
 *     never fit again. Closing frees once more what the driver freed when it failed. So each try is
 *     a new ethdev, and the pool is put right in between (port_pool.c, I2).
 */
#include "dataplane/net/port_device.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <bpf/libbpf.h>

#include <rte_dev.h>
#include <rte_errno.h>
#include <rte_ethdev.h>
#include <rte_log.h>
#include <rte_mbuf.h>

#include "dataplane/net/port_iface.h"
#include "dataplane/net/port_why.h"

#define RING_FRAMES	   512
/* After kill -9 the kernel holds an AF_XDP queue for about 20 ms, on a busy machine for longer.
 * Each try is a device of its own, and DPDK has room for 32; the pauses grow and make 2 s together.
 */
#define QUEUE_TRIES	   15
#define QUEUE_TRY_PAUSE_US 20000
#define DEVICE_NAMES_MAX   256

/* Makes a virtual device under the first free name of its driver. */
static int make_vdev(const char *driver, const char *args, uint16_t *ethdev, char *why)
{
	char name[RTE_ETH_NAME_MAX_LEN];
	int err;

	for (int i = 0; i < DEVICE_NAMES_MAX; i++) {
		snprintf(name, sizeof(name), "%s%d", driver, i);
		if (rte_eth_dev_get_port_by_name(name, ethdev))
			break;
	}
	err = rte_eal_hotplug_add("vdev", name, args);
	if (err)
		return port_say(why, err, "DPDK does not make the device %s (%s): %s", name, args,
				rte_strerror(-err));
	err = rte_eth_dev_get_port_by_name(name, ethdev);
	if (err)
		return port_say(why, err, "DPDK made no port of %s", name);
	return 0;
}

/* vdev:NAME,ARGS as after --vdev. */
static int make_raw_vdev(const char *text, uint16_t *ethdev, char *why)
{
	char name[PORT_NAME_BYTES];
	char *comma;
	int err;

	snprintf(name, sizeof(name), "%s", text);
	comma = strchr(name, ',');
	if (comma)
		*comma = 0;
	err = rte_eal_hotplug_add("vdev", name, comma ? comma + 1 : "");
	if (!err)
		err = rte_eth_dev_get_port_by_name(name, ethdev);
	if (err)
		return port_say(why, err, "DPDK does not make the device '%s': %s", text,
				rte_strerror(-err));
	return 0;
}

static int make_ethdev(struct port_device *device, uint32_t queue, char *why)
{
	const struct port_spec *spec = &device->spec;
	uint16_t *ethdev = &device->ethdev[queue];
	char args[PORT_NAME_BYTES + 64];
	int err;

	switch (spec->kind) {
	case PORT_AFXDP:
		/* A budget lets the driver busy-poll the NIC's interrupts; here there are none. */
		snprintf(args, sizeof(args), "iface=%s,start_queue=%u,queue_count=1%s", spec->name,
			 queue, iface_is_local(spec->name) ? ",busy_budget=0" : "");
		return make_vdev("net_af_xdp", args, ethdev, why);
	case PORT_PCI:
		err = rte_eth_dev_get_port_by_name(spec->name, ethdev);
		if (err)
			return port_say(
				why, err,
				"DPDK does not see the NIC %s: bind it first (dpdk-devbind.py "
				"-b vfio-pci %s, see docs/ports.md)",
				spec->name, spec->name);
		return 0;
	case PORT_MEMIF:
		return make_vdev("net_memif", spec->name, ethdev, why);
	case PORT_VHOST:
		snprintf(args, sizeof(args), "iface=%s,queues=%u", spec->name, spec->queues);
		return make_vdev("net_vhost", args, ethdev, why);
	case PORT_VIRTIO:
		snprintf(args, sizeof(args), "path=%s,queues=%u,packed_vq=1", spec->name,
			 spec->queues);
		return make_vdev("net_virtio_user", args, ethdev, why);
	case PORT_TAP:
		snprintf(args, sizeof(args), "iface=%s", spec->name);
		return make_vdev("net_tap", args, ethdev, why);
	case PORT_RING:
		return make_vdev("net_ring", spec->name, ethdev, why);
	case PORT_VDEV:
		return make_raw_vdev(spec->name, ethdev, why);
	}
	return -EINVAL;
}

/* Configures and starts one ethdev with `queues` queues. */
static int start_ethdev(struct port_device *device, uint16_t ethdev, uint16_t queues, char *why)
{
	struct rte_eth_conf conf = {0};
	struct rte_eth_dev_info info;
	int err = rte_eth_dev_info_get(ethdev, &info);

	if (err)
		return port_say(why, err, "cannot read the device's abilities: %s",
				rte_strerror(-err));
	if (queues > info.max_rx_queues || queues > info.max_tx_queues)
		return port_say(why, -EINVAL, "%s has %u receive and %u send queues, not %u",
				device->spec.name, info.max_rx_queues, info.max_tx_queues, queues);
	conf.rxmode.offloads = info.rx_offload_capa &
			       (RTE_ETH_RX_OFFLOAD_IPV4_CKSUM | RTE_ETH_RX_OFFLOAD_UDP_CKSUM);
	if (queues > 1 && info.flow_type_rss_offloads) {
		conf.rxmode.mq_mode = RTE_ETH_MQ_RX_RSS;
		conf.rx_adv_conf.rss_conf.rss_hf =
			info.flow_type_rss_offloads & (RTE_ETH_RSS_IP | RTE_ETH_RSS_UDP);
	}
	err = rte_eth_dev_configure(ethdev, queues, queues, &conf);
	for (uint16_t i = 0; i < queues && !err; i++)
		err = rte_eth_tx_queue_setup(ethdev, i, RING_FRAMES, (unsigned int)SOCKET_ID_ANY,
					     NULL);
	for (uint16_t i = 0; i < queues && !err; i++)
		err = rte_eth_rx_queue_setup(ethdev, i, RING_FRAMES, (unsigned int)SOCKET_ID_ANY,
					     NULL, device->pool);
	if (!err)
		err = rte_eth_dev_start(ethdev);
	if (err)
		return port_say(why, err, "cannot start the queues of %s: %s%s", device->spec.name,
				rte_strerror(-err),
				device->spec.kind == PORT_AFXDP
					? "; another AF_XDP application may hold one (it needs "
					  "CAP_NET_ADMIN and CAP_NET_RAW)"
					: "");
	return 0;
}

static void fill_queue(struct port_device *device, uint32_t number, uint16_t ethdev, uint16_t queue,
		       int fd)
{
	struct port_queue *q = &device->queue[number];

	q->port.ops = &port_dpdk_ops;
	/* Where there is a kernel's stack beside us it answers ARP, ND and ping. */
	q->port.owns_device = device->spec.kind != PORT_AFXDP;
	q->port.local_senders = device->spec.kind == PORT_AFXDP && !device->verify_checksums &&
				iface_is_local(device->spec.name);
	q->stamped = device->spec.kind == PORT_AFXDP;
	q->device = ethdev;
	q->number = queue;
	q->fd = fd;
}

/* The ethdev is there. */
static int start_queue(struct port_device *device, uint32_t number, char *why)
{
	struct iface_sockets before;
	int err;

	iface_sockets(&before);
	err = start_ethdev(device, device->ethdev[number], 1, why);
	if (!err)
		fill_queue(device, number, device->ethdev[number], 0, iface_new_socket(&before));
	return err;
}

/* I1. */
static int open_queue(struct port_device *device, uint32_t number, char *why)
{
	struct port_pool_note note;
	int err = port_pool_note(device->pool, &note);

	if (err)
		return port_say(why, err, "no memory to note the free frame buffers in");
	for (uint32_t tries = 1;; tries++) {
		err = make_ethdev(device, number, why);
		if (err)
			break;
		err = start_queue(device, number, why);
		if (!err || tries == QUEUE_TRIES)
			break;
		port_pool_restore(device->pool, &note);
		usleep(tries * QUEUE_TRY_PAUSE_US);
	}
	port_pool_forget(&note);
	return err;
}

static int open_afxdp(struct port_device *device, char *why)
{
	int err = iface_check(device->spec.name, why);

	for (uint32_t i = 0; i < device->spec.queues && !err; i++) {
		err = open_queue(device, i, why);
		device->ethdevs += !err;
	}
	return err;
}

/* Flow rules where the NIC takes them, RSS where it has it; and tells what it came to. */
static void open_spread(struct port_device *device, const struct port_device_config *config)
{
	uint32_t queues = device->spec.queues, want = 2u * config->workers, taken;
	struct rte_eth_dev_info info;
	bool rss = false;

	if (queues == 1) {
		snprintf(device->spread, sizeof(device->spread), "one queue");
		return;
	}
	if (!rte_eth_dev_info_get(device->ethdev[0], &info))
		rss = info.flow_type_rss_offloads != 0;
	taken = port_flow_rules(device->ethdev[0], config, queues);
	if (taken == want)
		snprintf(device->spread, sizeof(device->spread),
			 "%u queues, flow rules bring each worker its own", queues);
	else
		snprintf(device->spread, sizeof(device->spread),
			 "%u queues, %u of %u flow rules taken, %s", queues, taken, want,
			 rss ? "RSS spreads the rest" : "no RSS: it spreads as it likes");
}

static int open_other(struct port_device *device, const struct port_device_config *config,
		      char *why)
{
	int err = make_ethdev(device, 0, why);

	if (err)
		return err;
	device->ethdevs = 1;
	err = start_ethdev(device, device->ethdev[0], (uint16_t)device->spec.queues, why);
	if (err)
		return err;
	for (uint32_t i = 0; i < device->spec.queues; i++)
		fill_queue(device, i, device->ethdev[0], (uint16_t)i, -1);
	if (device->spec.kind == PORT_PCI) {
		open_spread(device, config);
		/* Neighbour solicitations come by multicast. Not every NIC needs telling. */
		(void)rte_eth_allmulticast_enable(device->ethdev[0]);
	}
	return 0;
}

int port_device_open(struct port_device **out, const struct port_spec *spec,
		     const struct port_device_config *config, char *why)
{
	struct port_device *device = calloc(1, sizeof(*device));
	struct rte_ether_addr mac = {0};
	int err;

	*out = NULL;
	if (!device)
		return port_say(why, -ENOMEM, "no memory for a port");
	device->spec = *spec;
	device->verify_checksums = config->verify_checksums;
	err = port_pool_make(device, config, why);
	if (!err)
		err = spec->kind == PORT_AFXDP ? open_afxdp(device, why)
					       : open_other(device, config, why);
	if (err) {
		port_device_close(device);
		return err;
	}
	device->queues = spec->queues;
	if (!rte_eth_macaddr_get(device->ethdev[0], &mac))
		memcpy(device->mac, mac.addr_bytes, sizeof(device->mac));
	*out = device;
	return 0;
}

uint32_t port_device_queues(const struct port_device *device)
{
	return device->queues;
}

struct port *port_device_queue(struct port_device *device, uint32_t queue)
{
	return queue < device->queues ? &device->queue[queue].port : NULL;
}

const char *port_device_spread(const struct port_device *device)
{
	return device->spread;
}

void port_device_mac(const struct port_device *device, uint8_t mac[6])
{
	memcpy(mac, device->mac, sizeof(device->mac));
}

/* The AF_XDP driver tries to take the steering program off as if it were its own. The kernel
 * refuses, as a link holds it; the complaints about that are of no use to anyone. */
static void close_quietly(uint16_t ethdev)
{
	libbpf_print_fn_t print = libbpf_set_print(NULL);
	uint32_t level = rte_log_get_global_level();

	rte_log_set_global_level(RTE_LOG_CRIT);
	(void)rte_eth_dev_stop(ethdev);
	(void)rte_eth_dev_close(ethdev);
	rte_log_set_global_level(level);
	libbpf_set_print(print);
}

void port_device_close(struct port_device *device)
{
	if (!device)
		return;
	for (uint32_t i = 0; i < device->ethdevs; i++) {
		struct rte_eth_dev_info info;
		int err = rte_eth_dev_info_get(device->ethdev[i], &info);

		close_quietly(device->ethdev[i]);
		if (!err && info.device)
			(void)rte_dev_remove(info.device);
	}
	rte_mempool_free(device->pool);
	free(device);
}
