/* SPDX-License-Identifier: Apache-2.0 */
/*
 * echo.c - the smallest user of ports and steering: answers each request with its own payload.
 *
 *	echo PORT-SPEC INTERFACE|- PORT-BASE WORKERS PIN-DIR STATE-DIR [generic|huge|ADDRESS ...]
 *
 * tests/net/port_test.py runs it in a namespace of its own. Prints "ready MODE NOTE" when it
 * answers, ends on SIGTERM or when its standard input ends, and prints "counters ..." last. Before
 * that it tells how many frames came with a time of arrival, how many with an impossible one, and
 * the least and the most time that they had taken when rx() gave them up.
 * Workers share this thread: what it proves is the port, not the worker. Where the device is wholly
 * ours it is also a host with the addresses given.
 */
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include <abaft/limits.h>

#include "control/steer.h"
#include "dataplane/net/frame.h"
#include "dataplane/net/host.h"
#include "dataplane/net/port_dpdk.h"

/* A sleep that no descriptor ends is this short at the longest. */
#define NAP_MS	  100
#define MINUTE_NS UINT64_C(60000000000)

static volatile sig_atomic_t stopping;

static void stop(int number)
{
	stopping = number;
}

struct tally {
	struct host host;
	unsigned long answers, hosted[4], refused[4], sleeps;
	unsigned long arrivals, impossible;
	uint64_t least_ns, most_ns;
};

static uint64_t now_ns(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (uint64_t)ts.tv_sec * 1000000000 + (uint64_t)ts.tv_nsec;
}

/* As a worker would do it. */
static void note_arrival(struct tally *tally, const struct frame *frame, uint64_t now)
{
	uint64_t ns = now - frame->arrival_ns;

	if (!frame->arrival_ns)
		return;
	tally->arrivals++;
	if (frame->arrival_ns > now || ns > MINUTE_NS) {
		tally->impossible++;
		return;
	}
	if (ns > tally->most_ns)
		tally->most_ns = ns;
	if (!tally->least_ns || ns < tally->least_ns)
		tally->least_ns = ns;
}

static void answer(struct port *port, struct frame *frame, struct tally *tally)
{
	struct frame_view view;
	enum frame_result result = frame_parse(frame, port->local_senders, &view);

	if (result && port->owns_device) {
		enum host_result hosted = host_answer(&tally->host, frame);

		tally->hosted[hosted]++;
		if (hosted != HOST_NONE) {
			port->ops->tx(port, frame, 1);
			return;
		}
	}
	tally->refused[result]++;
	if (result || frame_reply(frame, &view, view.payload_len)) {
		port->ops->release(port, frame);
		return;
	}
	port->ops->tx(port, frame, 1);
	tally->answers++;
}

static unsigned int pass(struct port_device *device, struct tally *tally)
{
	struct frame frames[ABAFT_BURST];
	unsigned int all = 0;

	for (uint32_t q = 0; q < port_device_queues(device); q++) {
		struct port *port = port_device_queue(device, q);
		unsigned int n = port->ops->rx(port, frames, ABAFT_BURST);
		uint64_t now = n ? now_ns() : 0;

		for (unsigned int i = 0; i < n; i++) {
			note_arrival(tally, &frames[i], now);
			answer(port, &frames[i], tally);
		}
		all += n;
	}
	return all;
}

static void serve(struct port_device *device, struct tally *tally)
{
	struct pollfd fds[PORT_QUEUES_MAX + 1] = {{.fd = STDIN_FILENO, .events = POLLIN}};
	nfds_t n = 1;

	for (uint32_t q = 0; q < port_device_queues(device); q++) {
		struct port *port = port_device_queue(device, q);

		fds[n++] = (struct pollfd){.fd = port->ops->sleep_fd(port), .events = POLLIN};
	}
	while (!stopping) {
		if (pass(device, tally))
			continue;
		tally->sleeps++;
		(void)poll(fds, n, NAP_MS);
		if (fds[0].revents)
			stopping = 1;
	}
}

static int run(char **argv, struct steer *steer, char *why)
{
	struct eal_config eal = {.memory_mib = 128};
	struct port_device_config config = {.port_base = (uint16_t)atoi(argv[3]),
					    .workers = (uint16_t)atoi(argv[4])};
	struct steer_config steering = {.interface = argv[2],
					.port_base = config.port_base,
					.workers = config.workers,
					.pin_dir = argv[5],
					.state_dir = argv[6]};
	struct port_device *device = NULL;
	struct tally tally = {0};
	struct port_spec spec;
	int err = port_spec_parse(&spec, argv[1], why);

	for (char **more = argv + 7; *more && !err; more++) {
		if (!strcmp(*more, "generic"))
			steering.generic = true;
		else if (!strcmp(*more, "huge"))
			eal.huge_pages = true;
		else
			err = host_add(&tally.host, *more);
	}
	if (!err && strcmp(argv[2], "-"))
		err = steer_attach(steer, &steering, why);
	if (!err)
		err = port_eal_start(&eal, why);
	if (!err)
		err = port_device_open(&device, &spec, &config, why);
	if (err)
		return err;
	printf("ready %s fd=%d %s\n", steer->native ? "native" : "generic",
	       port_device_queue(device, 0)->ops->sleep_fd(port_device_queue(device, 0)) >= 0,
	       steer->note);
	fflush(stdout);
	port_device_mac(device, tally.host.mac);
	serve(device, &tally);
	port_device_close(device);
	printf("answers %lu not_ours %lu cut %lu bad_checksum %lu arp %lu nd %lu echo %lu sleeps "
	       "%lu\n",
	       tally.answers, tally.refused[1], tally.refused[2], tally.refused[3],
	       tally.hosted[HOST_ARP], tally.hosted[HOST_ND], tally.hosted[HOST_ECHO],
	       tally.sleeps);
	printf("arrivals %lu impossible %lu least_us %lu most_us %lu\n", tally.arrivals,
	       tally.impossible, (unsigned long)(tally.least_ns / 1000),
	       (unsigned long)(tally.most_ns / 1000));
	return 0;
}

static void print_counters(const struct steer *steer)
{
	struct steer_counters counters;

	if (!steer->bpf || steer_read_counters(steer, &counters))
		return;
#define PRINT(name, text) printf("%s %llu ", #name, counters.name);
	printf("counters ");
	ABAFT_STEER_COUNTERS(PRINT)
#undef PRINT
	printf("\n");
}

int main(int argc, char **argv)
{
	struct sigaction action = {.sa_handler = stop};
	char why[STEER_WHY_BYTES] = "";
	struct steer steer = {0};
	int err;

	if (argc < 7)
		return 2;
	sigaction(SIGTERM, &action, NULL);
	err = run(argv, &steer, why);
	if (err)
		printf("error %d %s\n", err, why);
	print_counters(&steer);
	if (steer_detach(&steer, why))
		printf("error detach %s\n", why);
	port_eal_stop();
	return err ? 1 : 0;
}
