/* SPDX-License-Identifier: Apache-2.0 */
/*
 * port_socket.c - in the place of client/socket.c: a client's packets over a DPDK port, polled.
 *
 * ABAFT_BENCH_PORT is the port, as abaftd's (docs/ports.md), ABAFT_BENCH_CORE the core to run on,
 * ABAFT_BENCH_TO and ABAFT_BENCH_FROM the IPv4 addresses of the node and of this side. One client
 * of a process. All UDP checksums are right; those of answers are not looked at.
 *
 * The client's descriptor is one that is always readable, so that abaft_poll() never sleeps.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>

#include <rte_cycles.h>
#include <rte_ethdev.h>
#include <rte_mbuf.h>

#include "client/client.h"
#include "client/drive.h"
#include "dataplane/net/checksum.h"
#include "dataplane/net/port_device.h"

#define IP	    14
#define UDP	    34
#define UDP_BYTES   8
#define HEADERS	    42
#define OUR_PORT    40000
#define BURST	    32
#define LINK_WAIT_S 20
/* Passes without a packet before the core is given to whoever wants it: the kernel must end the
 * node's syncs somewhere. */
#define IDLE_PASSES 64

struct port_socket {
	struct port_device *device;
	uint16_t ethdev;
	uint8_t header[HEADERS];
	struct rte_mbuf *unsent[2 * BURST];
	uint32_t unsent_count;
};

static struct port_socket ours;

static void store_be16(uint8_t *p, uint32_t v)
{
	p[0] = (uint8_t)(v >> 8);
	p[1] = (uint8_t)v;
}

static const char *setting(const char *name, const char *standard)
{
	const char *value = getenv(name);

	return value && *value ? value : standard;
}

static bool make_header(struct port_socket *s)
{
	uint8_t *ip = s->header + IP;

	memcpy(s->header, "\x02\0\0\0\0\x01\x02\0\0\0\0\x02\x08\0", IP);
	ip[0] = 0x45;
	ip[8] = 64;
	ip[9] = IPPROTO_UDP;
	store_be16(s->header + UDP, OUR_PORT);
	return inet_pton(AF_INET, setting("ABAFT_BENCH_FROM", "10.7.0.2"), ip + 12) == 1 &&
	       inet_pton(AF_INET, setting("ABAFT_BENCH_TO", "10.7.0.1"), ip + 16) == 1;
}

static bool wait_for_link(const struct port_socket *s)
{
	struct rte_eth_link link = {0};

	for (int i = 0; i < LINK_WAIT_S * 100; i++) {
		if (rte_eth_link_get_nowait(s->ethdev, &link) == 0 && link.link_status)
			return true;
		rte_delay_us_sleep(10000);
	}
	fprintf(stderr, "port_load: nobody came to the other end in %d s\n", LINK_WAIT_S);
	return false;
}

static bool open_port(struct port_socket *s)
{
	char lcores[32], why[PORT_WHY_BYTES] = "";
	struct eal_config eal = {.lcores = lcores, .prefix = "abaft-load", .memory_mib = 256};
	struct port_device_config config = {.port_base = 1, .workers = 1};
	struct port_spec spec;

	snprintf(lcores, sizeof(lcores), "0@%s", setting("ABAFT_BENCH_CORE", "0"));
	if (port_spec_parse(&spec, setting("ABAFT_BENCH_PORT", ""), why) ||
	    port_eal_start(&eal, why) || port_device_open(&s->device, &spec, &config, why)) {
		fprintf(stderr, "port_load: ABAFT_BENCH_PORT: %s\n", why);
		return false;
	}
	s->ethdev = s->device->ethdev[0];
	return wait_for_link(s);
}

int client_connect(struct abaft *client, const struct abaft_config *config)
{
	(void)config;
	/* Preload, run and dump each open a client; the port stays. */
	if (!ours.device && (!make_header(&ours) || !open_port(&ours)))
		return ABAFT_NETWORK;
	client->fd = eventfd(1, EFD_CLOEXEC | EFD_NONBLOCK);
	return client->fd < 0 ? ABAFT_NETWORK : ABAFT_OK;
}

bool client_is_node(const struct abaft *client, const struct sockaddr_storage *from)
{
	(void)client;
	(void)from;
	return true; /* nobody else is at the other end */
}

static void flush(struct abaft *client)
{
	uint32_t sent;

	if (ours.unsent_count == 0)
		return;
	sent = rte_eth_tx_burst(ours.ethdev, 0, ours.unsent, (uint16_t)ours.unsent_count);
	client->stats.packets_sent += sent;
	ours.unsent_count -= sent;
	memmove(ours.unsent, ours.unsent + sent, ours.unsent_count * sizeof(ours.unsent[0]));
}

static void encode(struct abaft *client, struct txn_flight *flight, struct rte_mbuf *mbuf)
{
	uint8_t *frame = rte_pktmbuf_mtod(mbuf, uint8_t *), *ip = frame + IP, *udp = frame + UDP;
	uint32_t payload = txn_encode(flight, frame + HEADERS);
	uint32_t udp_bytes = UDP_BYTES + payload;
	uint64_t sum;

	memcpy(frame, ours.header, HEADERS);
	store_be16(ip + 2, UDP - IP + udp_bytes);
	checksum_store(ip + 10, checksum_fold(checksum_add(0, ip, UDP - IP)));
	store_be16(udp + 2, client->port + drive_worker(flight));
	store_be16(udp + 4, udp_bytes);
	sum = checksum_pseudo(ip + 12, ip + 16, 4, IPPROTO_UDP, udp_bytes);
	checksum_store(udp + 6, checksum_fold(checksum_add(sum, udp, udp_bytes)));
	mbuf->data_len = (uint16_t)(HEADERS + payload);
	mbuf->pkt_len = mbuf->data_len;
	mbuf->ol_flags = 0;
}

void client_send(struct abaft *client, uint64_t now_us)
{
	flush(client);
	/* The frames that the queue refuses stay for the next pass. */
	while (ours.unsent_count < BURST) {
		struct rte_mbuf *mbuf = rte_pktmbuf_alloc(ours.device->pool);
		struct txn_flight *flight = mbuf ? drive_next(&client->shared) : NULL;

		if (!flight) {
			rte_pktmbuf_free(mbuf);
			break;
		}
		if (flight->tries)
			client->stats.resends++;
		encode(client, flight, mbuf);
		txn_sent(flight, now_us);
		ours.unsent[ours.unsent_count++] = mbuf;
		if (ours.unsent_count == BURST)
			flush(client);
	}
	flush(client);
}

static void take(struct abaft *client, const struct rte_mbuf *mbuf, uint64_t now_us)
{
	const uint8_t *frame = rte_pktmbuf_mtod(mbuf, const uint8_t *);
	uint32_t bytes = (uint32_t)frame[UDP + 4] << 8 | frame[UDP + 5];

	client->stats.packets_received++;
	if (mbuf->data_len < HEADERS || frame[12] != 0x08 || frame[13] != 0 || frame[IP] != 0x45 ||
	    frame[IP + 9] != IPPROTO_UDP || bytes < UDP_BYTES ||
	    bytes > mbuf->data_len - (uint32_t)UDP ||
	    !drive_take(&client->shared, frame + HEADERS, bytes - UDP_BYTES, now_us))
		client->stats.ignored++;
}

void client_receive(struct abaft *client, uint64_t now_us)
{
	struct rte_mbuf *mbufs[BURST];
	uint16_t got = 0;

	for (int pass = 0; pass < IDLE_PASSES && !got; pass++)
		got = rte_eth_rx_burst(ours.ethdev, 0, mbufs, BURST);
	if (!got)
		sched_yield();
	for (uint16_t i = 0; i < got; i++)
		rte_prefetch0(rte_pktmbuf_mtod(mbufs[i], uint8_t *));
	for (uint16_t i = 0; i < got; i++)
		take(client, mbufs[i], now_us);
	rte_pktmbuf_free_bulk(mbufs, got);
}
