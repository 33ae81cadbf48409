/* SPDX-License-Identifier: Apache-2.0 */
/*
 * port_dpdk.c - a device's queues as ports: bursts of mbufs turned into frames and back.
 *
 * The data path of the port layer: rx, tx, release run on workers' threads, allocate nothing but
 * mbufs from the device's pool, and never block. port_device.c makes the queues.
 */
#include "dataplane/net/port_device.h"

#include <string.h>

#include <abaft/limits.h>
#include <abaft/telemetry.h>

#include <rte_ethdev.h>
#include <rte_mbuf.h>
#include <rte_pause.h>

/* A full queue is tried this often before frames are dropped; senders send again. */
#define TX_TRIES 16

static uint32_t checksum_flags(uint64_t ol_flags)
{
	uint64_t udp = ol_flags & RTE_MBUF_F_RX_L4_CKSUM_MASK;

	if (udp == RTE_MBUF_F_RX_L4_CKSUM_BAD ||
	    (ol_flags & RTE_MBUF_F_RX_IP_CKSUM_MASK) == RTE_MBUF_F_RX_IP_CKSUM_BAD)
		return FRAME_CHECKSUM_BAD;
	/* NONE: not filled in, but the sender is on this machine and the data are whole. */
	if (udp == RTE_MBUF_F_RX_L4_CKSUM_GOOD || udp == RTE_MBUF_F_RX_L4_CKSUM_NONE)
		return FRAME_CHECKSUM_GOOD;
	return 0;
}

/* Else the answer, which is written into the first, would be sent with the others behind it. */
static void keep_first(struct rte_mbuf *mbuf)
{
	rte_pktmbuf_free(mbuf->next);
	mbuf->next = NULL;
	mbuf->nb_segs = 1;
	mbuf->pkt_len = mbuf->data_len;
}

/*
 * When the XDP program saw the frame, out of the metadata that it put before it; 0: not known.
 *
 * What stands there is the kernel's: an AF_XDP frame begins in its buffer behind DPDK's headroom
 * and 256 bytes of the kernel's own, always at the same place, and the kernel copies the metadata
 * (in copy mode), or has them written (in zero-copy mode), right before it. No sender's byte ever
 * gets there: frames grow towards the end, answers are written in place, and no other buffers are
 * sent from this pool.
 *
 * The buffer is used again, and a frame that came without metadata must not find those of the one
 * before. Of those that came up here the magic is cleared. One that was not given to us, as the
 * socket's ring was full, left them uncleared; but the program puts metadata before each frame that
 * it redirects, if the driver takes them at all, also if it has no time to tell.
 */
static uint64_t take_arrival(struct rte_mbuf *mbuf)
{
	struct steer_meta meta;
	uint8_t *at = rte_pktmbuf_mtod(mbuf, uint8_t *) - sizeof(meta);

	if (unlikely(rte_pktmbuf_headroom(mbuf) < sizeof(meta)))
		return 0;
	memcpy(&meta, at, sizeof(meta));
	if (meta.magic != STEER_META_MAGIC)
		return 0;
	memset(at, 0, sizeof(meta));
	return meta.arrival_ns;
}

static unsigned int rx(struct port *port, struct frame *frames, unsigned int n)
{
	struct port_queue *queue = (struct port_queue *)port;
	struct rte_mbuf *mbufs[ABAFT_BURST];
	unsigned int got;

	got = rte_eth_rx_burst(queue->device, queue->number, mbufs,
			       (uint16_t)(n < ABAFT_BURST ? n : ABAFT_BURST));
	for (unsigned int i = 0; i < got; i++) {
		struct rte_mbuf *mbuf = mbufs[i];

		/* Of a frame in several buffers, longer than our MTU, only the first is kept. It
		 * parses as cut, unless its headers say that the rest is padding. */
		if (unlikely(mbuf->nb_segs > 1))
			keep_first(mbuf);
		frames[i].data = rte_pktmbuf_mtod(mbuf, uint8_t *);
		frames[i].len = mbuf->data_len;
		frames[i].room = (uint32_t)mbuf->buf_len - mbuf->data_off;
		frames[i].flags = checksum_flags(mbuf->ol_flags);
		frames[i].arrival_ns = queue->stamped ? take_arrival(mbuf) : 0;
		frames[i].handle = mbuf;
	}
	return got;
}

static void tx_burst(struct port_queue *queue, struct rte_mbuf **mbufs, uint16_t n)
{
	uint16_t sent = 0;

	for (int i = 0; i < TX_TRIES && sent < n; i++) {
		if (i)
			rte_pause();
		sent = (uint16_t)(sent + rte_eth_tx_burst(queue->device, queue->number,
							  mbufs + sent, (uint16_t)(n - sent)));
	}
	queue->port.tx_dropped += (uint64_t)(n - sent);
	while (sent < n)
		rte_pktmbuf_free(mbufs[sent++]);
}

static void tx(struct port *port, const struct frame *frames, unsigned int n)
{
	struct rte_mbuf *mbufs[ABAFT_BURST];

	while (n) {
		unsigned int burst = n < ABAFT_BURST ? n : ABAFT_BURST;

		for (unsigned int i = 0; i < burst; i++) {
			struct rte_mbuf *mbuf = frames[i].handle;

			mbuf->data_len = (uint16_t)frames[i].len;
			mbuf->pkt_len = frames[i].len;
			/* What was said of the request is not true of the answer. */
			mbuf->ol_flags = 0;
			mbufs[i] = mbuf;
		}
		tx_burst((struct port_queue *)port, mbufs, (uint16_t)burst);
		frames += burst;
		n -= burst;
	}
}

static void release(struct port *port, const struct frame *frame)
{
	rte_pktmbuf_free(frame->handle);
}

static int sleep_fd(struct port *port)
{
	return ((struct port_queue *)port)->fd;
}

const struct port_ops port_dpdk_ops = {
	.rx = rx,
	.tx = tx,
	.release = release,
	.sleep_fd = sleep_fd,
};
