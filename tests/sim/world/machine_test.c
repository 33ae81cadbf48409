/* SPDX-License-Identifier: Apache-2.0 */
/*
 * machine_test.c - the machine by itself: a plain client that puts one key in each transaction and
 * resends until it is answered, over a network that delays, loses and doubles. No platform, no
 * judge: what is asked for is that each acknowledged write is found, once, with its version, and
 * that a seed goes the same way twice.
 *
 *	machine_test [--seed FIRST] [--seeds COUNT] [--verbose]
 */
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <xxhash.h>

#include <abaft/error.h>

#include "dataplane/core/hlc.h"
#include "tests/lib/core_packet.h"
#include "tests/lib/logdev_sim.h"
#include "tests/sim/world/machine.h"
#include "tests/sim/world/net.h"
#include "tests/sim/world/world.h"

#define HEADERS	     (14 + 20 + 8)
#define REQUESTS_MAX 2000
#define KEYS_MAX     64
#define FLIGHTS_MAX  4096
#define HEAL_US	     UINT64_C(60000000)

struct request {
	uint32_t number, key;
	uint32_t owner; /* the id's worker */
	uint32_t sent;
	bool done, reads, gone;
	uint64_t begun_us;
	struct vnum version; /* of the commit */
	struct event event;
	struct packet packet;
};

/* Packets on their way. */
struct flight {
	struct event event;
	bool used;
	struct net_packet packet;
};

static struct {
	struct world world;
	uint32_t requests, workers, keys, left;
	struct request request[REQUESTS_MAX + KEYS_MAX];
	struct vnum newest[KEYS_MAX]; /* acknowledged */
	uint32_t newest_request[KEYS_MAX];
	struct flight flight[FLIGHTS_MAX];
	net_receive_fn node;
	void *node_arg;
	uint64_t given_up;
} t;

void world_fail(struct world *world, const char *rule, const char *format, ...)
{
	va_list args;

	va_start(args, format);
	fprintf(stderr, "seed %" PRIu64 ": %s: ", world->options.seed, rule);
	vfprintf(stderr, format, args);
	fprintf(stderr, "\n");
	va_end(args);
	abort();
}

uint64_t world_roll(struct world *world, enum world_stream stream, uint64_t limit)
{
	return sim_random(&world->stream[stream], limit);
}

bool world_chance(struct world *world, enum world_stream stream, uint32_t permille)
{
	return world_roll(world, stream, 1000) < permille;
}

void world_note_bytes(struct world *world, const void *bytes, uint32_t count)
{
	world->trace = XXH3_64bits_withSeed(bytes, count, world->trace);
}

void world_note(struct world *world, const char *format, ...)
{
	char text[256];
	va_list args;

	va_start(args, format);
	vsnprintf(text, sizeof(text), format, args);
	va_end(args);
	world_note_bytes(world, &world->events.now_us, sizeof(world->events.now_us));
	world_note_bytes(world, text, (uint32_t)strlen(text));
	if (world->options.verbose)
		printf("# %10.6f %s\n", (double)(world->events.now_us - WORLD_BEGIN_US) / 1e6,
		       text);
}

static uint64_t roll(uint64_t limit)
{
	return world_roll(&t.world, STREAM_NET, limit);
}

/* The network. */

void net_listen(struct net *net, uint32_t address, net_receive_fn fn, void *arg)
{
	t.node = fn;
	t.node_arg = arg;
}

static void fly(const struct net_packet *packet, event_fn fn)
{
	uint32_t copies = roll(50) == 0 ? 0 : roll(50) == 0 ? 2 : 1;

	for (uint32_t i = 0; i < FLIGHTS_MAX && copies > 0; i++) {
		struct flight *f = &t.flight[i];

		if (f->used)
			continue;
		f->used = true;
		f->packet = *packet;
		event_set(&t.world.events, &f->event, t.world.events.now_us + 10 + roll(200), fn,
			  f);
		copies--;
	}
}

static void at_node(void *arg)
{
	struct flight *f = arg;

	f->used = false;
	if (t.node)
		t.node(t.node_arg, &f->packet);
}

static void answer(const uint8_t *payload, uint32_t bytes);

static void at_client(void *arg)
{
	struct flight *f = arg;

	f->used = false;
	answer(f->packet.frame + HEADERS, f->packet.frame_bytes - HEADERS);
}

void net_send_frame(struct net *net, const uint8_t *frame, uint32_t bytes)
{
	struct net_packet packet = {.frame_bytes = bytes};

	memcpy(packet.frame, frame, bytes);
	fly(&packet, at_client);
}

static void put_be16(uint8_t *to, uint32_t value)
{
	to[0] = (uint8_t)(value >> 8);
	to[1] = (uint8_t)value;
}

static uint16_t ip_sum(const uint8_t *ip)
{
	uint32_t sum = 0;

	for (uint32_t i = 0; i < 20; i += 2)
		sum += (uint32_t)ip[i] << 8 | ip[i + 1];
	return (uint16_t) ~(sum + (sum >> 16));
}

/* UDP without a checksum, as IPv4 allows. */
static void send(struct request *r)
{
	struct net_packet packet = {.from = NET_CLIENT, .to = NET_NODE};
	uint8_t *frame = packet.frame, *ip = frame + 14, *udp = ip + 20;
	uint32_t bytes = r->packet.used;

	/* A node with fewer workers listens on fewer ports. */
	packet.to_port = (uint16_t)(NET_UDP_PORT + (++r->sent % 3 ? r->owner : 0));
	packet.frame_bytes = HEADERS + bytes;
	memcpy(frame, "\x02\0\0\0\0\x01\x02\0\0\0\0\x02\x08\0\x45", 15);
	put_be16(ip + 2, bytes + 28);
	ip[8] = 64;
	ip[9] = 17;
	memcpy(ip + 12, "\x0a\x01\0\0\x0a\0\0\x01", 8);
	put_be16(ip + 10, ip_sum(ip));
	put_be16(udp, 9000);
	put_be16(udp + 2, packet.to_port);
	put_be16(udp + 4, bytes + 8);
	memcpy(udp + 8, r->packet.bytes, bytes);
	fly(&packet, at_node);
}

/* The client. */

static uint16_t key_text(char text[16], uint32_t key)
{
	return (uint16_t)snprintf(text, 16, "key-%u", key);
}

static uint32_t value_bytes(uint32_t number)
{
	return number % 3 ? 8 + number * 37 % 1200 : 8;
}

static void value_fill(uint32_t number, uint8_t *to)
{
	memset(to, (int)(number & 0xff), value_bytes(number));
	memcpy(to, &number, sizeof(number));
}

static void resend(void *arg)
{
	struct request *r = arg;

	send(r);
	event_set(&t.world.events, &r->event, t.world.events.now_us + 5000 + roll(100000), resend,
		  r);
}

/* For the first time, or under a new id: the number is in it, so that answers find it. */
static void begin(void *arg)
{
	struct request *r = arg;
	uint8_t id[16], value[ABAFT_PACKET_BYTES_MAX];
	char text[16];
	uint16_t bytes = key_text(text, r->key);

	r->begun_us = t.world.events.now_us;
	packet_id(id, r->begun_us / 1000, r->number,
		  (uint32_t)((((uint64_t)r->owner << 32) + (1ull << 31)) / t.workers));
	packet_begin(&r->packet, id, 0, 0, 0, r->number, ABAFT_FLAG_OPEN);
	packet_deadline(&r->packet, 500);
	value_fill(r->number, value);
	if (r->reads || r->number % 2)
		packet_get(&r->packet, text, bytes, 0);
	if (!r->reads)
		packet_put(&r->packet, text, bytes, value, value_bytes(r->number));
	packet_commit(&r->packet);
	packet_finish(&r->packet);
	resend(r);
}

static void done(struct request *r)
{
	event_remove(&t.world.events, &r->event);
	r->done = true;
	t.left--;
}

/* Asks once more, when it has its answer. */
static void repeat(void *arg)
{
	send(arg);
}

static void acknowledged(struct request *r, struct vnum version)
{
	if (r->done && !r->gone && !vnum_equal(r->version, version) && !r->reads)
		world_fail(&t.world, "P6", "request %u has two versions, %" PRIu64 " and %" PRIu64,
			   r->number, r->version.time, version.time);
	if (r->done)
		return;
	r->version = version;
	done(r);
	if (!r->reads && roll(4) == 0)
		event_set(&t.world.events, &r->event, t.world.events.now_us + roll(1000000), repeat,
			  r);
	if (r->reads || vnum_less(version, t.newest[r->key]))
		return;
	t.newest[r->key] = version;
	t.newest_request[r->key] = r->number;
}

/* A value that was read: some request's, whole; at the end the newest acknowledged, or newer. */
static void check_read(const struct request *r, const struct reply_result *result)
{
	struct vnum version = {.time = result->time, .origin = result->origin};
	uint8_t expected[ABAFT_PACKET_BYTES_MAX];
	uint32_t number;

	if (result->status == ABAFT_NOT_FOUND && (!r->reads || t.newest[r->key].time == 0))
		return;
	if (result->status != ABAFT_OK)
		world_fail(&t.world, "P5", "key %u is gone: status %u", r->key, result->status);
	memcpy(&number, result->data, sizeof(number));
	if (number >= t.requests || t.request[number].key != r->key)
		world_fail(&t.world, "P1", "key %u has a value of another", r->key);
	value_fill(number, expected);
	if (result->data_bytes != value_bytes(number) ||
	    memcmp(result->data, expected, result->data_bytes) != 0)
		world_fail(&t.world, "P1", "key %u has other bytes", r->key);
	if (r->reads && vnum_less(version, t.newest[r->key]))
		world_fail(&t.world, "P4", "key %u is older than what was acknowledged", r->key);
	if (r->reads && vnum_equal(version, t.newest[r->key]) && number != t.newest_request[r->key])
		world_fail(&t.world, "P4", "key %u is another request's", r->key);
}

/* True if the request's fate is known. */
static bool judge(struct request *r, struct reply *reply)
{
	struct reply_result get = {.code = 0}, result;

	result = (struct reply_result){.status = reply->status};
	while (!(reply->flags & ABAFT_FLAG_REFUSED) && reply_next(reply, &result))
		if (result.code == ABAFT_OP_GET)
			get = result;
	if (result.code != ABAFT_OP_COMMIT || result.status != ABAFT_OK)
		return result.status == ABAFT_EXPIRED || result.status == ABAFT_CLOCK_SKEW;
	if (get.code && get.status != ABAFT_COMMITTED)
		check_read(r, &get);
	acknowledged(r, (struct vnum){.time = result.time, .origin = result.origin});
	return false;
}

static void answer(const uint8_t *payload, uint32_t bytes)
{
	struct reply reply;
	struct request *r;

	if (!reply_open(&reply, payload, bytes) || reply.request >= t.requests + t.keys)
		world_fail(&t.world, "answer", "it is malformed");
	r = &t.request[reply.request];
	if (!judge(r, &reply) || r->done)
		return;
	t.given_up++;
	r->gone = true;
	done(r); /* whether an earlier packet of it took effect is not asked for here */
}

/* Runs. */

static void choose(uint64_t seed, uint32_t faults)
{
	struct world *world = &t.world;

	memset(&t, 0, sizeof(t));
	world->options.seed = seed;
	for (uint32_t i = 0; i < STREAMS; i++)
		world->stream[i] = seed * STREAMS * 2 + 2 * i + 1;
	events_create(&world->events, WORLD_BEGIN_US);
	world->plan = (struct world_plan){
		.faults = faults,
		.requests = 200 + (uint32_t)roll(800),
		.workers = 1 + (uint32_t)roll(4),
		.rate_us = 50u << roll(7),
		.lives = 1 + (uint32_t)roll(6),
	};
	world->plan.length_us =
		(uint64_t)world->plan.requests * world->plan.rate_us + roll(2000000);
	t.requests = world->plan.requests;
	t.workers = world->plan.workers;
	t.keys = 1 + (uint32_t)roll(KEYS_MAX);
}

static void live(uint64_t until_us)
{
	while (t.left > 0 && events_step(&t.world.events, until_us))
		t.world.counts.events++;
}

static void read_all(void)
{
	t.left = t.keys;
	for (uint32_t key = 0; key < t.keys; key++) {
		struct request *r = &t.request[t.requests + key];

		*r = (struct request){.number = t.requests + key,
				      .key = key,
				      .owner = (uint32_t)roll(t.workers),
				      .reads = true};
		begin(r);
	}
	live(t.world.events.now_us + HEAL_US);
	if (t.left)
		world_fail(&t.world, "P7", "%u reads get no answer", t.left);
}

static void be_idle(void)
{
	uint64_t until_us = t.world.events.now_us + HEAL_US;

	while (!machine_is_idle(t.world.machine))
		if (!events_step(&t.world.events, until_us))
			world_fail(&t.world, "P7", "it is never at rest");
}

static uint64_t run(uint64_t seed, uint32_t faults, bool verbose)
{
	struct world *world = &t.world;

	choose(seed, faults);
	world->options.verbose = verbose;
	world->machine = machine_create(world);
	machine_begin(world->machine);
	t.left = t.requests;
	for (uint32_t i = 0; i < t.requests; i++) {
		struct request *r = &t.request[i];

		*r = (struct request){.number = i,
				      .key = (uint32_t)roll(t.keys),
				      .owner = (uint32_t)roll(t.workers)};
		event_set(&world->events, &r->event,
			  WORLD_BEGIN_US + i * (uint64_t)world->plan.rate_us, begin, r);
	}
	live(WORLD_BEGIN_US + world->plan.length_us);
	world->healing = true;
	world_note(world, "heals, %u requests are open", t.left);
	machine_heal(world->machine);
	live(world->events.now_us + HEAL_US);
	if (t.left)
		world_fail(world, "P7", "%u requests get no answer", t.left);
	read_all();
	be_idle();
	machine_restart(world->machine, (uint32_t)seed);
	read_all();
	machine_destroy(world->machine);
	world->counts.virtual_us = world->events.now_us - WORLD_BEGIN_US;
	world->counts.committed = t.requests - t.given_up;
	world->counts.given_up = t.given_up;
	events_destroy(&world->events);
	return world->trace;
}

static const char *const fault_text[] = {
#define FAULT_TEXT(name, text) text,
	WORLD_FAULTS(FAULT_TEXT)
#undef FAULT_TEXT
};

static const uint32_t machines_faults =
	1u << WORLD_NODE_CLOCK | 1u << WORLD_SCHEDULE | 1u << WORLD_KILL | 1u << WORLD_POWER_CUT |
	1u << WORLD_CUT_ANYWHERE | 1u << WORLD_STOP | 1u << WORLD_DISK_SLOW |
	1u << WORLD_DISK_STUCK | 1u << WORLD_DISK_WRITE | 1u << WORLD_DISK_FULL |
	1u << WORLD_DISK_READ | 1u << WORLD_TINY_CACHE | 1u << WORLD_TIGHT;

static uint32_t faults_of(uint64_t seed)
{
	uint64_t state = seed, faults = sim_random(&state, UINT64_MAX);

	if (seed % 2) /* a half of them, or a quarter */
		faults &= sim_random(&state, UINT64_MAX);
	return (uint32_t)faults & machines_faults;
}

static bool report(const struct world_counts *sum)
{
	bool all = true;

	for (uint32_t i = 0; i < WORLD_FAULT_COUNT; i++) {
		if (!(machines_faults >> i & 1))
			continue;
		printf("# %10" PRIu64 "  %s\n", sum->fault[i], fault_text[i]);
		all &= sum->fault[i] > 0;
	}
#define COUNT_LINE(name, text) printf("# %10" PRIu64 "  %s\n", sum->name, text);
	WORLD_COUNTS(COUNT_LINE)
#undef COUNT_LINE
	return all && sum->handed_over && sum->cold && sum->checkpoints && sum->cleaned;
}

static const char *option(int argc, char **argv, const char *name)
{
	for (int i = 1; i + 1 < argc; i++)
		if (strcmp(argv[i], name) == 0)
			return argv[i + 1];
	return NULL;
}

int main(int argc, char **argv)
{
	const char *one = option(argc, argv, "--seed"), *many = option(argc, argv, "--seeds");
	uint64_t first = one ? strtoull(one, NULL, 0) : 1;
	uint64_t count = many ? strtoull(many, NULL, 0) : one ? 1 : 100, trace = 0, again;
	bool verbose = argc > 1 && strcmp(argv[argc - 1], "--verbose") == 0, all;
	struct world_counts sum = {{0}};

	/* Nodes touch little of their memory. */
	prctl(PR_SET_THP_DISABLE, 1, 0, 0, 0);
	printf("1..3\n");
	for (uint64_t seed = first; seed < first + count; seed++) {
		const uint64_t *from = (const uint64_t *)&t.world.counts;

		trace = run(seed, faults_of(seed), verbose);
		for (size_t i = 0; i < sizeof(sum) / sizeof(uint64_t); i++)
			((uint64_t *)&sum)[i] += from[i];
	}
	printf("ok 1 - seeds %" PRIu64 " to %" PRIu64 "\n", first, first + count - 1);
	again = run(first + count - 1, faults_of(first + count - 1), false);
	printf("%sok 2 - a seed replays: trace %016" PRIx64 "\n", again == trace ? "" : "not ",
	       again);
	all = report(&sum) || count < 100;
	printf("%sok 3 - all that can happen did\n", all ? "" : "not ");
	return !all || again != trace;
}
