/* SPDX-License-Identifier: Apache-2.0 */
/*
 * kinds_test.c - the kinds of port that need no kernel interface: frames go in and come out.
 *
 * With the argument "huge": vhost and virtio, which need memory that a peer can map. It sets aside
 * no huge pages, but is skipped where too few are free.
 *
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include <rte_ethdev.h>
#include <rte_mbuf.h>

#include <abaft/telemetry.h>

#include "dataplane/net/port_device.h"
#include "tests/lib/packet.h"

/* Peers find each other by DPDK's own timers. */
#define TRIES	    500
#define TRY_US	    10000
#define FRAMES	    100
#define FULL_BURSTS 50
#define HUGE_PAGES  64

static struct port_device *open_port(const char *text)
{
	struct port_device_config config = {.port_base = 7400, .workers = 1, .buffers = 4095};
	char why[PORT_WHY_BYTES] = "";
	struct port_device *device = NULL;
	struct port_spec spec;

	assert_int_equal(port_spec_parse(&spec, text, why), 0);
	if (port_device_open(&device, &spec, &config, why))
		fail_msg("%s: %s", text, why);
	assert_int_equal(port_device_queues(device), 1);
	assert_non_null(port_device_queue(device, 0));
	assert_null(port_device_queue(device, 1));
	return device;
}

/* A frame to send; the pool is the first device's. */
static struct frame make_frame(uint32_t number)
{
	struct packet_shape shape = {.from = 40000, .to = 7400, .payload_len = 100};
	struct rte_mbuf *mbuf = rte_pktmbuf_alloc(rte_mempool_lookup("abaft-frames-0"));
	uint8_t bytes[PACKET_ROOM];
	struct frame frame = {.handle = mbuf};

	assert_non_null(mbuf);
	frame.data = rte_pktmbuf_mtod(mbuf, uint8_t *);
	frame.len = packet_build(bytes, &shape);
	memcpy(bytes + frame.len - 4, &number, 4);
	memcpy(frame.data, bytes, frame.len);
	return frame;
}

/* Sends one frame until it arrives (peers may still be meeting); then a sequence, in order. */
static void crosses(struct port *from, struct port *to)
{
	struct frame out, in;
	uint32_t number;

	for (int i = 0; i < TRIES; i++) {
		out = make_frame(FRAMES);
		from->ops->tx(from, &out, 1);
		if (to->ops->rx(to, &in, 1)) {
			to->ops->release(to, &in);
			break;
		}
		usleep(TRY_US);
	}
	while (to->ops->rx(to, &in, 1))
		to->ops->release(to, &in);
	for (uint32_t i = 0; i < FRAMES; i++) {
		unsigned int got = 0;

		out = make_frame(i);
		from->ops->tx(from, &out, 1);
		for (int t = 0; t < TRIES && !got; t++)
			got = to->ops->rx(to, &in, 1);
		assert_int_equal(got, 1);
		memcpy(&number, in.data + in.len - 4, 4);
		assert_int_equal(number, i);
		assert_true(in.room >= in.len);
		to->ops->release(to, &in);
	}
}

static void ring(void **state)
{
	struct port_device *device = open_port("ring");
	struct port *port = port_device_queue(device, 0);

	assert_true(port->owns_device);
	assert_false(port->local_senders);
	assert_int_equal(port->ops->sleep_fd(port), -1);
	crosses(port, port);
	port_device_close(device);
}

/* A queue that nobody empties: what does not fit is dropped and counted, never waited for. */
static void full_queue(void **state)
{
	struct port_device *device = open_port("ring");
	struct port *port = port_device_queue(device, 0);
	uint64_t sent = 0, got = 0;
	struct frame frames[64];
	unsigned int n;

	for (int i = 0; i < FULL_BURSTS; i++) {
		for (uint32_t j = 0; j < 64; j++)
			frames[j] = make_frame(j);
		port->ops->tx(port, frames, 64);
		sent += 64;
		if (port->tx_dropped)
			break;
	}
	assert_true(port->tx_dropped > 0);
	while ((n = port->ops->rx(port, frames, 64))) {
		got += n;
		while (n--)
			port->ops->release(port, &frames[n]);
	}
	assert_int_equal(got + port->tx_dropped, sent);
	/* Nothing leaked: all buffers are back. */
	assert_int_equal(rte_mempool_in_use_count(rte_mempool_lookup("abaft-frames-0")), 0);
	port_device_close(device);
}

/* A frame that came in two buffers, and may yet parse by its first (its IP length says less): what
 * is sent of it is what its frame says, and neither buffer is lost. */
static void two_buffers(void **state)
{
	struct port_device *device = open_port("ring");
	struct port *port = port_device_queue(device, 0);
	struct rte_mempool *pool = rte_mempool_lookup("abaft-frames-0");

	for (int send = 0; send < 2; send++) {
		struct frame frame = make_frame(0);
		uint32_t bytes = frame.len;
		struct rte_mbuf *rest = rte_pktmbuf_alloc(pool);
		struct rte_mbuf *mbuf = frame.handle;

		assert_non_null(rest);
		rest->data_len = 500;
		mbuf->data_len = (uint16_t)bytes;
		mbuf->pkt_len = bytes + 500;
		mbuf->nb_segs = 2;
		mbuf->next = rest;
		assert_int_equal(rte_eth_tx_burst(0, 0, &mbuf, 1), 1);
		assert_int_equal(port->ops->rx(port, &frame, 1), 1);
		assert_int_equal(frame.len, bytes);
		if (!send) {
			port->ops->release(port, &frame);
			continue;
		}
		port->ops->tx(port, &frame, 1);
		assert_int_equal(rte_eth_rx_burst(0, 0, &mbuf, 1), 1);
		assert_int_equal(mbuf->nb_segs, 1);
		assert_null(mbuf->next);
		assert_int_equal(mbuf->pkt_len, bytes);
		rte_pktmbuf_free(mbuf);
	}
	assert_int_equal(rte_mempool_in_use_count(pool), 0);
	port_device_close(device);
}

/* The frame goes round once more; what rx() says of its arrival. */
static uint64_t arrival_of(struct port *port, struct frame *frame)
{
	port->ops->tx(port, frame, 1);
	memset(frame, 0xff, sizeof(*frame));
	assert_int_equal(port->ops->rx(port, frame, 1), 1);
	return frame->arrival_ns;
}

/* A time of arrival is read on AF_XDP's ports only, once, and only if it is one. */
static void metadata(void **state)
{
	struct steer_meta meta = {.arrival_ns = 77, .magic = STEER_META_MAGIC};
	struct port_device *device = open_port("ring");
	struct port *port = port_device_queue(device, 0);
	struct frame frame = make_frame(0);
	struct rte_mbuf *mbuf = frame.handle;

	memcpy(frame.data - sizeof(meta), &meta, sizeof(meta));
	assert_int_equal(arrival_of(port, &frame), 0);
	/* A loop in AF_XDP's place: the metadata are still there. */
	((struct port_queue *)port)->stamped = true;
	assert_int_equal(arrival_of(port, &frame), 77);
	assert_int_equal(arrival_of(port, &frame), 0);
	meta.magic++;
	memcpy(frame.data - sizeof(meta), &meta, sizeof(meta));
	assert_int_equal(arrival_of(port, &frame), 0);
	/* No room for them before the frame: what stands there is not the buffer's. */
	meta.magic--;
	mbuf->data_off = sizeof(meta) - 1;
	frame.data = mbuf->buf_addr;
	memset(frame.data, 1, mbuf->data_off);
	frame.data += mbuf->data_off;
	memcpy(frame.data - sizeof(meta) + 8, &meta.magic, sizeof(meta.magic));
	assert_int_equal(arrival_of(port, &frame), 0);
	mbuf->data_off = RTE_PKTMBUF_HEADROOM;
	port->ops->release(port, &frame);
	port_device_close(device);
}

/* DPDK 22.11's memif notices on its interrupt thread that the peer went, and then uses what a close
 * at the same moment frees: both ends in one process must not be closed at once. */
static void wait_until_down(const char *name)
{
	struct rte_eth_link link = {.link_status = RTE_ETH_LINK_UP};
	uint16_t ethdev;

	assert_int_equal(rte_eth_dev_get_port_by_name(name, &ethdev), 0);
	for (int i = 0; i < TRIES && link.link_status == RTE_ETH_LINK_UP; i++) {
		usleep(TRY_US);
		assert_int_equal(rte_eth_link_get_nowait(ethdev, &link), 0);
	}
	assert_int_equal(link.link_status, RTE_ETH_LINK_DOWN);
	usleep(10 * TRY_US);
}

static void memif(void **state)
{
	char server_text[64], client_text[64];
	struct port_device *server, *client;

	snprintf(server_text, sizeof(server_text), "memif:role=server,socket=abaft-test-%d",
		 getpid());
	snprintf(client_text, sizeof(client_text), "memif:role=client,socket=abaft-test-%d",
		 getpid());
	server = open_port(server_text);
	client = open_port(client_text);
	crosses(port_device_queue(client, 0), port_device_queue(server, 0));
	crosses(port_device_queue(server, 0), port_device_queue(client, 0));
	port_device_close(client);
	wait_until_down("net_memif0");
	port_device_close(server);
}

static void any_vdev(void **state)
{
	struct port_device *device = open_port("vdev:net_null7,size=64");
	struct port *port = port_device_queue(device, 0);
	struct frame frame;

	assert_int_equal(port->ops->rx(port, &frame, 1), 1);
	assert_int_equal(frame.len, 64);
	port->ops->tx(port, &frame, 1);
	assert_int_equal(port->tx_dropped, 0);
	port_device_close(device);
}

static void refused(const char *text)
{
	struct port_device_config config = {.port_base = 7400, .workers = 1, .buffers = 1023};
	char why[PORT_WHY_BYTES] = "";
	struct port_device *device;
	struct port_spec spec;

	assert_int_equal(port_spec_parse(&spec, text, why), 0);
	assert_true(port_device_open(&device, &spec, &config, why) < 0);
	assert_null(device);
	assert_true(strlen(why) > 10);
	/* Nothing stayed: the name of the pool is free again. */
	assert_null(rte_mempool_lookup("abaft-frames-0"));
}

static void what_is_not_there(void **state)
{
	refused("pci:0000:ff:1f.7");
	refused("vdev:net_nothing0");
	refused("memif:role=nonsense");
	refused("afxdp:nothing0");
}

static void vhost_and_virtio(void **state)
{
	char folder[] = "/tmp/abaft-vhost-XXXXXX", text[64];
	struct port_device *vhost, *virtio;

	assert_non_null(mkdtemp(folder));
	snprintf(text, sizeof(text), "vhost:%s/s", folder);
	vhost = open_port(text);
	snprintf(text, sizeof(text), "virtio:%s/s", folder);
	virtio = open_port(text);
	crosses(port_device_queue(virtio, 0), port_device_queue(vhost, 0));
	crosses(port_device_queue(vhost, 0), port_device_queue(virtio, 0));
	port_device_close(virtio);
	port_device_close(vhost);
	snprintf(text, sizeof(text), "%s/s", folder);
	(void)unlink(text);
	assert_int_equal(rmdir(folder), 0);
}

static long free_huge_pages(void)
{
	FILE *file = fopen("/sys/kernel/mm/hugepages/hugepages-2048kB/free_hugepages", "re");
	long pages = 0;

	if (!file)
		return 0;
	if (fscanf(file, "%ld", &pages) != 1)
		pages = 0;
	fclose(file);
	return pages;
}

static int setup_huge(void **state)
{
	struct eal_config eal = {.huge_pages = true};
	char why[PORT_WHY_BYTES] = "";
	int err = port_eal_start(&eal, why);

	if (err)
		print_error("%s\n", why);
	return err;
}

static int setup(void **state)
{
	struct eal_config eal = {.memory_mib = 128};
	char why[PORT_WHY_BYTES] = "";
	int err = port_eal_start(&eal, why);

	if (err)
		print_error("%s\n", why);
	return err;
}

static int teardown(void **state)
{
	port_eal_stop();
	return 0;
}

int main(int argc, char **argv)
{
	const struct CMUnitTest huge[] = {cmocka_unit_test(vhost_and_virtio)};
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(ring),	       cmocka_unit_test(full_queue),
		cmocka_unit_test(two_buffers), cmocka_unit_test(memif),
		cmocka_unit_test(any_vdev),    cmocka_unit_test(what_is_not_there),
		cmocka_unit_test(metadata),
	};

	if (argc < 2)
		return cmocka_run_group_tests_name("kinds", tests, setup, teardown);
	if (free_huge_pages() < HUGE_PAGES) {
		printf("1..0 # SKIP needs %d free huge pages of 2 MiB\n", HUGE_PAGES);
		return 0;
	}
	return cmocka_run_group_tests_name("huge", huge, setup_huge, teardown);
}
