/* SPDX-License-Identifier: Apache-2.0 */
/*
 * peer - a client of a node on the other end of any DPDK port, as fast as one core goes.
 *
 *	read      transactions that read keys at random, under fresh ids
 *	commit    transactions that write keys at random, under fresh ids
 *	preload   writes every key once; what stays without an answer is sent again
 *	forward   the frames of `read`, sent round and round through a forwarder (testpmd)
 *
 * It keeps `window` requests in flight and sends the next ones as answers come. Each answer is
 * judged (request.h). A request without an answer counts as unanswered after UNANSWERED_MS and is
 * not sent again, so a lost frame shows as such. Prints one line of JSON; see bench/README.md.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <getopt.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <rte_cycles.h>
#include <rte_ethdev.h>
#include <rte_mbuf.h>

#include <abaft/error.h>

#include "bench/peer/request.h"
#include "dataplane/core/bytes.h"
#include "dataplane/net/port_device.h"

#define WINDOW_MAX    4096
#define BURST	      ABAFT_BURST
#define UNANSWERED_MS 200
#define WARM_UP_S     0.5
#define LINK_WAIT_S   20
#define PRELOAD_S_MAX 120
#define SUM_EVERY     64 /* verifies the checksum of one answer in so many */
#define DRAIN_MS      300
#define SCAN_PERIOD   4096 /* passes */

enum mode { MODE_READ, MODE_COMMIT, MODE_PRELOAD, MODE_FORWARD };

static const char *const mode_names[] = {"read", "commit", "preload", "forward"};

struct counts {
	uint64_t sent, ok, refused, wrong, late, stray, unanswered, resent, passes, idle_passes;
	uint64_t latency_tsc;
	uint64_t statuses[REQUEST_STATUSES];
};

struct peer {
	enum mode mode;
	struct request_shape shape;
	uint32_t window;
	uint64_t keys;
	double seconds;
	const char *port_text, *core;
	struct port_device *device;
	uint16_t ethdev;
	uint64_t random, next_key, numbers;
	uint64_t wall_ms;
	uint64_t heard_tsc; /* `forward`: when the last frame came */
	struct counts counts;
	struct request request[WINDOW_MAX];
	uint32_t idle[WINDOW_MAX];
	uint32_t idle_count;
	struct rte_mbuf *unsent[2 * BURST];
	uint32_t unsent_count;
};

static uint64_t next_random(struct peer *p)
{
	p->random ^= p->random << 13;
	p->random ^= p->random >> 7;
	p->random ^= p->random << 17;
	return p->random;
}

/* A UUIDv7 of this millisecond. */
static void make_id(struct peer *p, uint8_t id[16])
{
	store_le64(id, __builtin_bswap64(p->wall_ms << 16 | (next_random(p) & 0xffff)));
	store_le64(id + 8, next_random(p));
	id[6] = (uint8_t)(0x70 | (id[6] & 0x0f));
	id[8] = (uint8_t)(0x80 | (id[8] & 0x3f));
}

static void tell_time(struct peer *p)
{
	struct timespec ts;

	clock_gettime(CLOCK_REALTIME, &ts);
	p->wall_ms = (uint64_t)ts.tv_sec * 1000 + (uint64_t)ts.tv_nsec / 1000000;
}

/* The slot's number stands in the low bits of a request's number. */
static void plan(struct peer *p, struct request *request, uint32_t slot)
{
	request->number = ++p->numbers * WINDOW_MAX + slot;
	make_id(p, request->id);
	for (uint32_t i = 0; i < p->shape.ops; i++)
		request->key[i] = p->mode == MODE_PRELOAD ? p->next_key++ % p->keys
							  : next_random(p) % p->keys;
	request->waiting = true;
}

static void send_request(struct peer *p, struct request *request, struct rte_mbuf *mbuf,
			 uint64_t now)
{
	request_build(&p->shape, request, rte_pktmbuf_mtod(mbuf, uint8_t *));
	mbuf->data_len = (uint16_t)p->shape.frame_bytes;
	mbuf->pkt_len = p->shape.frame_bytes;
	mbuf->ol_flags = 0;
	request->sent_tsc = now;
	p->unsent[p->unsent_count++] = mbuf;
}

/* The frame that the queue refuses stays for the next pass. */
static void flush(struct peer *p)
{
	uint32_t sent;

	if (p->unsent_count == 0)
		return;
	sent = rte_eth_tx_burst(p->ethdev, 0, p->unsent, (uint16_t)p->unsent_count);
	p->counts.sent += sent;
	p->unsent_count -= sent;
	memmove(p->unsent, p->unsent + sent, p->unsent_count * sizeof(p->unsent[0]));
}

static bool more(const struct peer *p)
{
	return p->mode != MODE_PRELOAD || p->next_key < p->keys;
}

static void take_answer(struct peer *p, struct rte_mbuf *mbuf, uint64_t now)
{
	const uint8_t *frame = rte_pktmbuf_mtod(mbuf, const uint8_t *);
	uint64_t number = request_answered(frame, mbuf->data_len);
	struct request *request = &p->request[number % WINDOW_MAX];
	enum request_verdict verdict;

	if (number == UINT64_MAX) {
		p->counts.stray++;
		return;
	}
	if (!request->waiting || request->number != number) {
		p->counts.late++;
		return;
	}
	verdict = request_judge(&p->shape, request, frame, mbuf->data_len,
				p->counts.ok % SUM_EVERY == 0, p->counts.statuses);
	p->counts.ok += verdict == REQUEST_OK;
	p->counts.refused += verdict == REQUEST_REFUSED;
	p->counts.wrong += verdict == REQUEST_WRONG;
	p->counts.latency_tsc += now - request->sent_tsc;
	/* A preload that was told BUSY is sent again in its time. */
	if (p->mode == MODE_PRELOAD && verdict == REQUEST_REFUSED)
		return;
	request->waiting = false;
	p->idle[p->idle_count++] = (uint32_t)(number % WINDOW_MAX);
}

/* Gives up what has waited too long, or, preloading, sends it again. */
static void scan(struct peer *p, uint64_t now)
{
	uint64_t limit = rte_get_tsc_hz() / 1000 * UNANSWERED_MS;

	tell_time(p);
	for (uint32_t i = 0; i < p->window; i++) {
		struct request *request = &p->request[i];
		struct rte_mbuf *mbuf;

		if (!request->waiting || now - request->sent_tsc < limit)
			continue;
		if (p->mode != MODE_PRELOAD) {
			p->counts.unanswered++;
			request->waiting = false;
			p->idle[p->idle_count++] = i;
			continue;
		}
		if (p->unsent_count >= BURST || (mbuf = rte_pktmbuf_alloc(p->device->pool)) == NULL)
			return;
		p->counts.resent++;
		send_request(p, request, mbuf, now);
	}
}

/* One pass: answers in, as many requests out. */
static void pass(struct peer *p, bool sending)
{
	struct rte_mbuf *mbufs[BURST];
	uint16_t got = rte_eth_rx_burst(p->ethdev, 0, mbufs, BURST);
	uint64_t now = rte_rdtsc();

	p->counts.passes++;
	p->counts.idle_passes += got == 0;
	for (uint32_t i = 0; i < got; i++)
		rte_prefetch0(rte_pktmbuf_mtod(mbufs[i], uint8_t *));
	for (uint32_t i = 0; i < got; i++)
		take_answer(p, mbufs[i], now);
	for (uint32_t i = 0; sending && p->idle_count && more(p) && p->unsent_count < BURST; i++) {
		uint32_t slot = p->idle[p->idle_count - 1];
		struct rte_mbuf *mbuf = got ? mbufs[--got] : rte_pktmbuf_alloc(p->device->pool);

		if (mbuf == NULL)
			break;
		p->idle_count--;
		plan(p, &p->request[slot], slot);
		send_request(p, &p->request[slot], mbuf, now);
	}
	while (got)
		rte_pktmbuf_free(mbufs[--got]);
	flush(p);
	if (p->counts.passes % SCAN_PERIOD == 0)
		scan(p, now);
}

/* `forward`: sends a window of frames on their way. */
static void fill_window(struct peer *p)
{
	p->heard_tsc = rte_rdtsc();
	for (uint32_t i = 0; i < p->window; i++) {
		struct rte_mbuf *mbuf = rte_pktmbuf_alloc(p->device->pool);

		if (mbuf == NULL)
			return;
		plan(p, &p->request[i], i);
		send_request(p, &p->request[i], mbuf, rte_rdtsc());
		for (uint32_t tries = 0; p->unsent_count && tries < 1000000; tries++)
			flush(p);
	}
}

/* One pass of `forward`: what comes back goes out again as it is. */
static void pass_forward(struct peer *p)
{
	struct rte_mbuf *mbufs[BURST];
	uint64_t now = rte_rdtsc();
	uint16_t got;

	p->counts.passes++;
	flush(p);
	if (p->unsent_count > BURST)
		return;
	got = rte_eth_rx_burst(p->ethdev, 0, mbufs, BURST);
	p->counts.idle_passes += got == 0;
	if (got) {
		p->heard_tsc = now;
	} else if (now - p->heard_tsc > rte_get_tsc_hz() / 1000 * UNANSWERED_MS) {
		p->counts.unanswered += p->window;
		fill_window(p);
	}
	for (uint32_t i = 0; i < got; i++) {
		if (mbufs[i]->data_len != p->shape.frame_bytes) {
			p->counts.stray++;
			rte_pktmbuf_free(mbufs[i]);
			continue;
		}
		p->counts.ok++;
		mbufs[i]->ol_flags = 0;
		p->unsent[p->unsent_count++] = mbufs[i];
	}
}

static void step(struct peer *p)
{
	if (p->mode == MODE_FORWARD)
		pass_forward(p);
	else
		pass(p, true);
}

/* Until `seconds` are over; a preload until every key is answered. False: it took too long. */
static bool run_for(struct peer *p, double seconds)
{
	uint64_t end = rte_rdtsc() + (uint64_t)(seconds * (double)rte_get_tsc_hz());

	while (rte_rdtsc() < end) {
		if (p->mode == MODE_PRELOAD && !more(p) && p->idle_count == p->window)
			return true;
		step(p);
	}
	return p->mode != MODE_PRELOAD;
}

/* Takes what is still on its way, so that it does not count as lost. */
static void drain(struct peer *p)
{
	uint64_t end = rte_rdtsc() + rte_get_tsc_hz() / 1000 * DRAIN_MS;

	while (p->mode != MODE_FORWARD && p->idle_count < p->window && rte_rdtsc() < end)
		pass(p, false);
}

static double thread_s(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_THREAD_CPUTIME_ID, &ts);
	return (double)ts.tv_sec + (double)ts.tv_nsec / 1e9;
}

static void print(const struct peer *p, const struct counts *c, double seconds, double cpu_s)
{
	uint64_t judged = c->ok + c->refused + c->wrong;
	double hz = (double)rte_get_tsc_hz(), rate = (double)c->ok / seconds;

	printf("{\"mode\": \"%s\", \"seconds\": %.3f, \"ok\": %" PRIu64 ", \"per_s\": %.0f, "
	       "\"cycles\": %.0f, \"sent\": %" PRIu64 ", \"unanswered\": %" PRIu64
	       ", \"refused\": %" PRIu64 ", \"wrong\": %" PRIu64 ", \"late\": %" PRIu64
	       ", \"stray\": %" PRIu64 ", \"resent\": %" PRIu64 ", \"mean_us\": %.1f, "
	       "\"request_bytes\": %u, \"window\": %u, \"peer_idle\": %.3f, \"peer_cpu\": %.3f, "
	       "\"statuses\": {",
	       mode_names[p->mode], seconds, c->ok, rate, rate > 0 ? hz / rate : 0, c->sent,
	       c->unanswered, c->refused, c->wrong, c->late, c->stray, c->resent,
	       judged ? (double)c->latency_tsc / (double)judged / hz * 1e6 : 0,
	       p->shape.frame_bytes, p->window,
	       c->passes ? (double)c->idle_passes / (double)c->passes : 0, cpu_s / seconds);
	for (uint32_t i = 0, n = 0; i < REQUEST_STATUSES; i++)
		if (c->statuses[i])
			printf("%s\"%u\": %" PRIu64, n++ ? ", " : "", i, c->statuses[i]);
	printf("}}\n");
}

static bool wait_for_link(const struct peer *p)
{
	struct rte_eth_link link = {0};

	for (int i = 0; i < LINK_WAIT_S * 100; i++) {
		if (rte_eth_link_get_nowait(p->ethdev, &link) == 0 && link.link_status)
			return true;
		rte_delay_us_sleep(10000);
	}
	fprintf(stderr, "peer: nobody came to the other end of %s in %d s\n", p->port_text,
		LINK_WAIT_S);
	return false;
}

static int measure(struct peer *p)
{
	struct counts zero = {0}, counts;
	double start_cpu;
	uint64_t start;
	bool done = true;

	tell_time(p);
	for (uint32_t i = 0; i < p->window; i++)
		p->idle[p->idle_count++] = i;
	if (p->mode == MODE_FORWARD)
		fill_window(p);
	if (p->mode != MODE_PRELOAD)
		(void)run_for(p, WARM_UP_S);
	p->counts = zero;
	start = rte_rdtsc();
	start_cpu = thread_s();
	done = run_for(p, p->mode == MODE_PRELOAD ? PRELOAD_S_MAX : p->seconds);
	counts = p->counts;
	print(p, &counts, (double)(rte_rdtsc() - start) / (double)rte_get_tsc_hz(),
	      thread_s() - start_cpu);
	drain(p);
	if (!done)
		fprintf(stderr, "peer: preloading was not done in %d s\n", PRELOAD_S_MAX);
	return done && counts.ok && !counts.wrong ? 0 : 1;
}

static int open_port(struct peer *p)
{
	struct eal_config eal = {.lcores = p->core, .prefix = "abaft-peer", .memory_mib = 128};
	struct port_device_config config = {.port_base = 1, .workers = 1};
	char why[PORT_WHY_BYTES] = "";
	char lcores[32];
	struct port_spec spec;

	snprintf(lcores, sizeof(lcores), "0@%s", p->core);
	eal.lcores = lcores;
	if (port_spec_parse(&spec, p->port_text, why) || port_eal_start(&eal, why) ||
	    port_device_open(&p->device, &spec, &config, why)) {
		fprintf(stderr, "peer: %s\n", why);
		return -EINVAL;
	}
	p->ethdev = p->device->ethdev[0];
	return 0;
}

static const char help[] =
	"usage: peer --port PORT [OPTION...]\n"
	"  --port PORT     as abaftd's (docs/ports.md); AF_XDP: vdev:net_af_xdp0,iface=NAME\n"
	"  --mode MODE     read, commit, preload or forward (read)\n"
	"  --to ADDRESS    the node's IPv4 address (10.7.0.1); --from ADDRESS ours (10.7.0.2)\n"
	"  --ops N         operations before the COMMIT (4)\n"
	"  --keys N        (1048576)   --value-bytes N (128)\n"
	"  --window N      requests in flight, at most 4096 (512)\n"
	"  --seconds S     (3)         --core N   to run on (0)\n";

enum { PORT = 1, MODE, TO, FROM, OPS, KEYS, VALUE_BYTES, WINDOW, SECONDS, CORE };

static const struct option options[] = {
	{"port", required_argument, NULL, PORT},
	{"mode", required_argument, NULL, MODE},
	{"to", required_argument, NULL, TO},
	{"from", required_argument, NULL, FROM},
	{"ops", required_argument, NULL, OPS},
	{"keys", required_argument, NULL, KEYS},
	{"value-bytes", required_argument, NULL, VALUE_BYTES},
	{"window", required_argument, NULL, WINDOW},
	{"seconds", required_argument, NULL, SECONDS},
	{"core", required_argument, NULL, CORE},
	{NULL, 0, NULL, 0},
};

static bool set_mode(struct peer *p, const char *name)
{
	for (uint32_t i = 0; i < sizeof(mode_names) / sizeof(mode_names[0]); i++)
		if (strcmp(name, mode_names[i]) == 0) {
			p->mode = (enum mode)i;
			return true;
		}
	return false;
}

static bool set_option(struct peer *p, int option)
{
	switch (option) {
	case PORT:
		p->port_text = optarg;
		return true;
	case MODE:
		return set_mode(p, optarg);
	case TO:
		return inet_pton(AF_INET, optarg, p->shape.to) == 1;
	case FROM:
		return inet_pton(AF_INET, optarg, p->shape.from) == 1;
	case OPS:
		p->shape.ops = (uint32_t)strtoul(optarg, NULL, 10);
		return true;
	case KEYS:
		p->keys = strtoull(optarg, NULL, 10);
		return p->keys >= REQUEST_OPS_MAX;
	case VALUE_BYTES:
		p->shape.value_bytes = (uint32_t)strtoul(optarg, NULL, 10);
		return true;
	case WINDOW:
		p->window = (uint32_t)strtoul(optarg, NULL, 10);
		return p->window >= 1 && p->window <= WINDOW_MAX;
	case SECONDS:
		p->seconds = strtod(optarg, NULL);
		return p->seconds > 0 && p->seconds < 3600;
	case CORE:
		p->core = optarg;
		return true;
	default:
		return false;
	}
}

int main(int argc, char **argv)
{
	struct peer *p = calloc(1, sizeof(*p));
	int option, code = 1;

	if (p == NULL)
		return 1;
	*p = (struct peer){.window = 512,
			   .keys = 1u << 20,
			   .seconds = 3,
			   .core = "0",
			   .shape = {.ops = 4,
				     .value_bytes = 128,
				     .port = ABAFT_UDP_PORT_DEFAULT,
				     .from = {10, 7, 0, 2},
				     .to = {10, 7, 0, 1}},
			   .random = rte_rdtsc() | 1};
	while ((option = getopt_long(argc, argv, "", options, NULL)) != -1)
		if (!set_option(p, option)) {
			fputs(help, stderr);
			return 2;
		}
	p->shape.code =
		p->mode == MODE_COMMIT || p->mode == MODE_PRELOAD ? ABAFT_OP_PUT : ABAFT_OP_GET;
	if (p->port_text == NULL || !request_shape_make(&p->shape)) {
		fputs(help, stderr);
		return 2;
	}
	if (open_port(p) == 0 && wait_for_link(p))
		code = measure(p);
	if (p->device)
		port_device_close(p->device);
	free(p);
	return code;
}
