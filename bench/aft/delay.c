/* SPDX-License-Identifier: Apache-2.0 */
/*
 * delay - stands between a client and a storage server on this machine, and makes its answers come
 * as late as those of a storage service: log-normal times, given by their median and 99th
 * percentile. The same for a store as it is and for abaft over it.
 *
 *	delay --listen PORT --to PORT [--median-us T --p99-us T] [--kib-us T] [--resp] [--seed N]
 *
 * An answer leaves when the server has given it, or that long after its request began to come,
 * whichever is later: so what the server itself takes is part of the time and not added to it.
 * --kib-us comes on top for each KiB of request and answer.
 *
 * --resp: several requests of a connection may be under way, as Redis has it. Those that come
 * together share one time, as they share the way, and answers keep their order. Without it the
 * protocol is HTTP, where each side speaks in turn.
 *
 * Also counts: on SIGUSR1, and at its end (SIGTERM), a line of JSON on standard output.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <getopt.h>
#include <inttypes.h>
#include <math.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "bench/aft/resp.h"
#include "tools/load/zipf.h"

#define CONNECTIONS_MAX 512
#define PENDING_MAX	4096 /* requests of a connection that have no answer yet */
#define BUFFER_BYTES	(16u << 20)
#define READ_BYTES	(256u << 10)
/* The 99th percentile of the normal distribution. */
#define NORMAL_P99	2.3263478740408408

/* Bytes on their way, and how many of them may go at which time. */
struct stream {
	uint8_t *data; /* BUFFER_BYTES, made when first used */
	size_t start, end;
	struct {
		uint64_t at_ns;
		size_t bytes;
	} hold[PENDING_MAX]; /* a ring; the last may still grow */
	uint32_t first, holds;
};

struct connection {
	int client, server; /* -1: none */
	struct stream up, down;
	struct resp asked, answered;
	uint64_t due_ns[PENDING_MAX]; /* a ring: of requests without an answer */
	uint32_t first, pending;
	bool answering;	 /* HTTP: the answer has begun */
	bool client_eof; /* nothing more comes from it */
};

struct counts {
	uint64_t requests, trips, bytes_up, bytes_down, connections;
};

struct delay {
	double mu, sigma; /* of the logarithm, in nanoseconds; sigma < 0: no delay */
	double kib_ns;
	bool resp;
	uint16_t listen_port, to_port;
	int listener, signals;
	struct zipf_random random;
	struct counts counts;
	struct connection connection[CONNECTIONS_MAX];
};

static struct delay delay;

static uint64_t mono_ns(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

/* A draw of the distribution. */
static uint64_t draw_ns(struct delay *d)
{
	double u = 1 - zipf_random_unit(&d->random), v = zipf_random_unit(&d->random);

	if (d->sigma < 0)
		return 0;
	return (uint64_t)exp(d->mu + d->sigma * sqrt(-2 * log(u)) * cos(2 * M_PI * v));
}

static uint64_t size_ns(const struct delay *d, size_t bytes)
{
	return (uint64_t)(d->kib_ns * (double)bytes / 1024);
}

static bool stream_room(struct stream *stream)
{
	if (!stream->data)
		stream->data = malloc(BUFFER_BYTES);
	if (!stream->data)
		return false;
	if (stream->start && BUFFER_BYTES - stream->end < READ_BYTES) {
		memmove(stream->data, stream->data + stream->start, stream->end - stream->start);
		stream->end -= stream->start;
		stream->start = 0;
	}
	return BUFFER_BYTES - stream->end >= READ_BYTES && stream->holds < PENDING_MAX - 1;
}

/* The next bytes may go at that time. */
static void stream_hold(struct stream *stream, uint64_t at_ns, size_t bytes)
{
	uint32_t last = (stream->first + stream->holds - 1) % PENDING_MAX;

	/* Answers keep their order. */
	if (stream->holds && stream->hold[last].at_ns >= at_ns) {
		stream->hold[last].bytes += bytes;
		return;
	}
	last = (stream->first + stream->holds++) % PENDING_MAX;
	stream->hold[last].at_ns = at_ns;
	stream->hold[last].bytes = bytes;
}

static size_t stream_due(const struct stream *stream, uint64_t now_ns)
{
	size_t bytes = 0;

	for (uint32_t i = 0; i < stream->holds; i++) {
		uint32_t at = (stream->first + i) % PENDING_MAX;

		if (stream->hold[at].at_ns > now_ns)
			break;
		bytes += stream->hold[at].bytes;
	}
	return bytes;
}

static void stream_sent(struct stream *stream, size_t bytes)
{
	stream->start += bytes;
	while (bytes > 0 && stream->holds > 0) {
		size_t some = stream->hold[stream->first].bytes;

		some = some < bytes ? some : bytes;
		stream->hold[stream->first].bytes -= some;
		bytes -= some;
		if (stream->hold[stream->first].bytes)
			break;
		stream->first = (stream->first + 1) % PENDING_MAX;
		stream->holds--;
	}
	if (stream->start == stream->end)
		stream->start = stream->end = 0;
}

static void request_begins(struct delay *d, struct connection *c, uint64_t due_ns)
{
	if (c->pending == PENDING_MAX)
		return; /* the answer goes at once */
	c->due_ns[(c->first + c->pending++) % PENDING_MAX] = due_ns;
	d->counts.requests++;
}

/* More of the youngest request has come. */
static void request_grows(struct delay *d, struct connection *c, size_t bytes)
{
	if (c->pending)
		c->due_ns[(c->first + c->pending - 1) % PENDING_MAX] += size_ns(d, bytes);
}

static void asked(struct delay *d, struct connection *c, const uint8_t *data, size_t bytes,
		  uint64_t now_ns)
{
	uint64_t due_ns = now_ns + draw_ns(d);
	bool begun = false;

	d->counts.bytes_up += bytes;
	stream_hold(&c->up, 0, bytes);
	if (!d->resp) {
		if (c->answering || !c->pending) {
			c->pending = 0;
			c->answering = false;
			request_begins(d, c, due_ns);
			d->counts.trips++;
		}
		request_grows(d, c, bytes);
		return;
	}
	while (bytes > 0) {
		bool complete, begins = resp_idle(&c->asked);
		size_t some = resp_take(&c->asked, data, bytes, &complete);

		if (begins)
			request_begins(d, c, due_ns);
		begun |= begins;
		request_grows(d, c, some);
		data += some;
		bytes -= some;
	}
	d->counts.trips += begun;
}

static void answered(struct delay *d, struct connection *c, const uint8_t *data, size_t bytes,
		     uint64_t now_ns)
{
	uint64_t due_ns = c->pending ? c->due_ns[c->first] : 0;

	d->counts.bytes_down += bytes;
	if (!d->resp) {
		c->answering = true;
		due_ns += size_ns(d, bytes);
		c->due_ns[c->first] = due_ns;
		stream_hold(&c->down, due_ns > now_ns ? due_ns : now_ns, bytes);
		return;
	}
	while (bytes > 0) {
		bool complete;
		size_t some = resp_take(&c->answered, data, bytes, &complete);

		due_ns = c->pending ? c->due_ns[c->first] + size_ns(d, some) : 0;
		if (c->pending)
			c->due_ns[c->first] = due_ns;
		stream_hold(&c->down, due_ns > now_ns ? due_ns : now_ns, some);
		if (complete && c->pending) {
			c->first = (c->first + 1) % PENDING_MAX;
			c->pending--;
		}
		data += some;
		bytes -= some;
	}
}

static void connection_close(struct connection *c)
{
	if (c->client >= 0)
		close(c->client);
	if (c->server >= 0)
		close(c->server);
	c->up.start = c->up.end = c->down.start = c->down.end = 0;
	c->up.holds = c->down.holds = 0;
	c->asked = c->answered = (struct resp){0};
	c->first = c->pending = 0;
	c->answering = c->client_eof = false;
	c->client = c->server = -1;
}

static void no_delay(int fd)
{
	int yes = 1;

	(void)setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &yes, sizeof(yes));
}

static void accept_one(struct delay *d)
{
	struct sockaddr_in to = {.sin_family = AF_INET, .sin_port = htons(d->to_port)};
	int client = accept4(d->listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
	struct connection *c = NULL;

	if (client < 0)
		return;
	for (int i = 0; i < CONNECTIONS_MAX && !c; i++)
		if (d->connection[i].client < 0)
			c = &d->connection[i];
	if (!c) {
		fprintf(stderr, "delay: more than %d connections\n", CONNECTIONS_MAX);
		close(client);
		return;
	}
	to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	c->client = client;
	c->server = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	/* On loopback this does not wait: it is refused or goes into the server's backlog. */
	if (c->server < 0 || connect(c->server, (struct sockaddr *)&to, sizeof(to))) {
		connection_close(c);
		return;
	}
	no_delay(client);
	no_delay(c->server);
	d->counts.connections++;
}

/* Takes what has come on one side. False: that side is closed. */
static bool take(struct delay *d, struct connection *c, bool from_client, uint64_t now_ns)
{
	struct stream *stream = from_client ? &c->up : &c->down;
	int fd = from_client ? c->client : c->server;
	ssize_t n;

	if (!stream_room(stream))
		return true;
	n = recv(fd, stream->data + stream->end, READ_BYTES, MSG_DONTWAIT);
	if (n < 0)
		return errno == EAGAIN || errno == EINTR;
	if (n == 0)
		return false;
	if (from_client)
		asked(d, c, stream->data + stream->end, (size_t)n, now_ns);
	else
		answered(d, c, stream->data + stream->end, (size_t)n, now_ns);
	stream->end += (size_t)n;
	return true;
}

/* Sends what is due. False: the other side is closed. */
static bool give(struct stream *stream, int fd, uint64_t now_ns)
{
	size_t due = stream_due(stream, now_ns);
	ssize_t n;

	if (!due)
		return true;
	n = send(fd, stream->data + stream->start, due, MSG_DONTWAIT | MSG_NOSIGNAL);
	if (n < 0)
		return errno == EAGAIN || errno == EINTR;
	stream_sent(stream, (size_t)n);
	return true;
}

static bool connection_run(struct delay *d, struct connection *c, const struct pollfd *polled,
			   uint64_t now_ns)
{
	if (polled[0].revents & (POLLIN | POLLHUP | POLLERR))
		c->client_eof |= !take(d, c, true, now_ns);
	if ((polled[1].revents & (POLLIN | POLLHUP | POLLERR)) && !take(d, c, false, now_ns))
		return false;
	if (c->client_eof && c->up.start == c->up.end)
		return false;
	return give(&c->up, c->server, now_ns) && give(&c->down, c->client, now_ns);
}

static short events_of(struct stream *in, const struct stream *out, uint64_t now_ns, bool eof)
{
	return (short)((stream_room(in) && !eof ? POLLIN : 0) |
		       (stream_due(out, now_ns) ? POLLOUT : 0));
}

/* When the next held answer may go; UINT64_MAX: there is none. */
static uint64_t next_due_ns(const struct delay *d, uint64_t now_ns)
{
	uint64_t next_ns = UINT64_MAX;

	for (int i = 0; i < CONNECTIONS_MAX; i++) {
		const struct stream *down = &d->connection[i].down;

		for (uint32_t k = 0; d->connection[i].client >= 0 && k < down->holds; k++) {
			uint64_t at_ns = down->hold[(down->first + k) % PENDING_MAX].at_ns;

			if (at_ns <= now_ns)
				continue;
			next_ns = at_ns < next_ns ? at_ns : next_ns;
			break;
		}
	}
	return next_ns;
}

static void print_counts(const struct delay *d)
{
	printf("{\"requests\": %" PRIu64 ", \"trips\": %" PRIu64 ", \"bytes_up\": %" PRIu64
	       ", \"bytes_down\": %" PRIu64 ", \"connections\": %" PRIu64 "}\n",
	       d->counts.requests, d->counts.trips, d->counts.bytes_up, d->counts.bytes_down,
	       d->counts.connections);
	fflush(stdout);
}

/* False: it is time to end. */
static bool signalled(struct delay *d)
{
	struct signalfd_siginfo info;

	if (read(d->signals, &info, sizeof(info)) != sizeof(info))
		return true;
	print_counts(d);
	return info.ssi_signo == SIGUSR1;
}

static void run(struct delay *d)
{
	static struct pollfd polled[2 + 2 * CONNECTIONS_MAX];
	static struct connection *of[CONNECTIONS_MAX];
	bool go_on = true;

	while (go_on) {
		uint64_t now_ns = mono_ns(), next_ns = next_due_ns(d, now_ns);
		uint64_t wait_ns = next_ns - now_ns;
		struct timespec wait = {.tv_sec = (time_t)(wait_ns / 1000000000),
					.tv_nsec = (long)(wait_ns % 1000000000)};
		nfds_t count = 2;

		polled[0] = (struct pollfd){.fd = d->listener, .events = POLLIN};
		polled[1] = (struct pollfd){.fd = d->signals, .events = POLLIN};
		for (int i = 0; i < CONNECTIONS_MAX; i++) {
			struct connection *c = &d->connection[i];

			if (c->client < 0)
				continue;
			of[(count - 2) / 2] = c;
			polled[count++] = (struct pollfd){
				c->client, events_of(&c->up, &c->down, now_ns, c->client_eof), 0};
			polled[count++] = (struct pollfd){
				c->server, events_of(&c->down, &c->up, now_ns, false), 0};
		}
		if (ppoll(polled, count, next_ns == UINT64_MAX ? NULL : &wait, NULL) < 0)
			continue;
		now_ns = mono_ns();
		for (nfds_t i = 2; i < count; i += 2)
			if (!connection_run(d, of[(i - 2) / 2], &polled[i], now_ns))
				connection_close(of[(i - 2) / 2]);
		if (polled[0].revents)
			accept_one(d);
		if (polled[1].revents)
			go_on = signalled(d);
	}
}

static int start(struct delay *d)
{
	struct sockaddr_in at = {.sin_family = AF_INET, .sin_port = htons(d->listen_port)};
	sigset_t signals;
	int yes = 1;

	for (int i = 0; i < CONNECTIONS_MAX; i++)
		d->connection[i].client = d->connection[i].server = -1;
	sigemptyset(&signals);
	sigaddset(&signals, SIGUSR1);
	sigaddset(&signals, SIGTERM);
	sigprocmask(SIG_BLOCK, &signals, NULL);
	d->signals = signalfd(-1, &signals, SFD_CLOEXEC);
	at.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	d->listener = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	if (d->signals < 0 || d->listener < 0 ||
	    setsockopt(d->listener, SOL_SOCKET, SO_REUSEADDR, &yes, sizeof(yes)) ||
	    bind(d->listener, (struct sockaddr *)&at, sizeof(at)) || listen(d->listener, 128)) {
		fprintf(stderr, "delay: port %u: %s\n", d->listen_port, strerror(errno));
		return 1;
	}
	prctl(PR_SET_TIMERSLACK, 1000); /* the kernel may be late by a microsecond, not by 50 */
	puts("ready");
	fflush(stdout);
	return 0;
}

int main(int argc, char **argv)
{
	static const struct option options[] = {{"listen", required_argument, NULL, 'l'},
						{"to", required_argument, NULL, 't'},
						{"median-us", required_argument, NULL, 'm'},
						{"p99-us", required_argument, NULL, 'p'},
						{"kib-us", required_argument, NULL, 'k'},
						{"seed", required_argument, NULL, 's'},
						{"resp", no_argument, NULL, 'r'},
						{NULL, 0, NULL, 0}};
	double median_us = 0, p99_us = 0;
	int option;

	delay.random.state = 1;
	while ((option = getopt_long(argc, argv, "", options, NULL)) != -1) {
		double value = optarg ? strtod(optarg, NULL) : 0;

		if (option == 'l')
			delay.listen_port = (uint16_t)value;
		else if (option == 't')
			delay.to_port = (uint16_t)value;
		else if (option == 'm')
			median_us = value;
		else if (option == 'p')
			p99_us = value;
		else if (option == 'k')
			delay.kib_ns = value * 1000;
		else if (option == 's')
			delay.random.state = (uint64_t)value;
		else if (option == 'r')
			delay.resp = true;
		else
			return 2;
	}
	if (!delay.listen_port || !delay.to_port || (median_us > 0 && p99_us < median_us)) {
		fputs("delay: needs --listen and --to, and --p99-us beside --median-us\n", stderr);
		return 2;
	}
	delay.mu = median_us > 0 ? log(median_us * 1000) : 0;
	delay.sigma = median_us > 0 ? log(p99_us / median_us) / NORMAL_P99 : -1;
	if (start(&delay))
		return 1;
	run(&delay);
	return 0;
}
