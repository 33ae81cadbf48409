/* SPDX-License-Identifier: Apache-2.0 */
/*
 * steer_test.c - every verdict of steering, from XDP, from librte_bpf and from plain C.
 *
 * XDP runs in the kernel by BPF_PROG_TEST_RUN: no interface is touched. Each frame goes through all
 * three; what they must say is in the table, what they must agree on is everything.
 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

#include <bpf/bpf.h>
#include <bpf/libbpf.h>

#include "bpf/decide.h"
#include "dataplane/net/port_dpdk.h"
#include "dataplane/net/steer_port.h"
#include "tests/lib/packet.h"

#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wsign-conversion"
#include "bpf/steer.skel.h"
#pragma GCC diagnostic pop

#define BASE	      7400
#define WORKERS	      4
#define CPUS_MAX      1024
#define RANDOM_FRAMES 4000

struct deciders {
	struct xsk_def_steer *xdp;
	struct steer_port *port;
	struct steer_rules rules;
	int socket;
};

static const char *const names[] = {
#define NAME(name, text) #name,
	ABAFT_STEER_COUNTERS(NAME)
#undef NAME
};

static int teardown(void **state)
{
	struct deciders *deciders = *state;

	steer_port_close(deciders->port);
	xsk_def_steer__destroy(deciders->xdp);
	close(deciders->socket);
	port_eal_stop();
	return 0;
}

/* Gives all three these rules. */
static void use_rules(struct deciders *deciders, const struct steer_rules *rules)
{
	char why[PORT_WHY_BYTES];
	__u32 zero = 0;

	if (rules != &deciders->rules)
		deciders->rules = *rules;
	steer_port_close(deciders->port);
	assert_int_equal(steer_port_open(&deciders->port, rules, why), 0);
	if (deciders->xdp)
		assert_int_equal(bpf_map_update_elem(bpf_map__fd(deciders->xdp->maps.steer_rules),
						     &zero, rules, 0),
				 0);
}

static int setup(void **state)
{
	static struct deciders deciders;
	struct eal_config eal = {.memory_mib = 64};
	char why[PORT_WHY_BYTES] = "";

	deciders.rules = (struct steer_rules){.port_base = BASE, .workers = WORKERS};
	if (port_eal_start(&eal, why) || steer_port_open(&deciders.port, &deciders.rules, why)) {
		print_error("%s\n", why);
		return -1;
	}
	libbpf_set_print(NULL);
	if (!geteuid())
		deciders.xdp = xsk_def_steer__open_and_load();
	else
		print_message("# XDP itself is not run: it needs root\n");
	if (!geteuid() && !deciders.xdp)
		return -1;
	use_rules(&deciders, &deciders.rules);
	deciders.socket = socket(AF_XDP, SOCK_RAW, 0);
	*state = &deciders;
	return 0;
}

/* Somebody listens on queue 0, or nobody. */
static void listen_there(struct deciders *deciders, bool yes)
{
	int map;
	__u32 zero = 0;

	if (!deciders->xdp)
		return;
	map = bpf_map__fd(deciders->xdp->maps.xsks_map);
	if (yes)
		assert_int_equal(bpf_map_update_elem(map, &zero, &deciders->socket, 0), 0);
	else
		(void)bpf_map_delete_elem(map, &zero);
}

/* An entry of a map that has one for each CPU, added up. Whether there is one. */
static bool sum_entry(const struct bpf_map *map, __u32 key, __u64 *sum, size_t words)
{
	static __u64 values[CPUS_MAX * STEER_VERDICTS];
	int cpus = libbpf_num_possible_cpus();

	assert_in_range(cpus, 1, CPUS_MAX);
	memset(sum, 0, words * sizeof(*sum));
	if (bpf_map_lookup_elem(bpf_map__fd(map), &key, values))
		return false;
	for (size_t i = 0; i < (size_t)cpus * words; i++)
		sum[i % words] += values[i];
	return true;
}

struct counted {
	__u64 packets[STEER_VERDICTS], bytes[STEER_VERDICTS];
};

static struct counted counted(struct deciders *deciders)
{
	struct counted now;

	assert_true(sum_entry(deciders->xdp->maps.steer_counters, 0, now.packets, STEER_VERDICTS));
	assert_true(sum_entry(deciders->xdp->maps.steer_bytes, 0, now.bytes, STEER_VERDICTS));
	return now;
}

static struct tenant_counter tenant(struct deciders *deciders, __u32 number)
{
	__u64 sum[2];

	(void)sum_entry(deciders->xdp->maps.steer_tenants, number, sum, 2);
	return (struct tenant_counter){.packets = sum[0], .bytes = sum[1]};
}

/* The verdict of the XDP program, read off the one counter that moved, by one, as that of its bytes
 * did by the frame's; and its action is checked. */
static enum steer_verdict run_xdp(struct deciders *deciders, const uint8_t *frame, uint32_t len)
{
	LIBBPF_OPTS(bpf_test_run_opts, opts, .data_in = frame, .data_size_in = len, .repeat = 1);
	struct counted before = counted(deciders), after;
	enum steer_verdict verdict = STEER_VERDICTS;
	__u32 action;

	assert_int_equal(
		bpf_prog_test_run_opts(bpf_program__fd(deciders->xdp->progs.xsk_def_prog), &opts),
		0);
	after = counted(deciders);
	for (int i = 0; i < STEER_VERDICTS; i++) {
		bool moved = after.packets[i] != before.packets[i];

		assert_int_equal(after.bytes[i], before.bytes[i] + (moved ? len : 0));
		if (!moved)
			continue;
		assert_int_equal(after.packets[i], before.packets[i] + 1);
		assert_int_equal(verdict, STEER_VERDICTS);
		verdict = (enum steer_verdict)i;
	}
	assert_int_not_equal(verdict, STEER_VERDICTS);
	action = verdict == STEER_redirected   ? XDP_REDIRECT
		 : verdict >= STEER_drop_short ? XDP_DROP
					       : XDP_PASS;
	assert_int_equal(opts.retval, action);
	return verdict;
}

/* What librte_bpf's program says, counted with its bytes. */
static enum steer_verdict run_port(struct deciders *deciders, const struct frame *frame)
{
	const __u64 *bytes = (const __u64 *)steer_port_bytes(deciders->port);
	__u64 before[STEER_VERDICTS];
	enum steer_verdict verdict;

	memcpy(before, bytes, sizeof(before));
	verdict = steer_port_decide(deciders->port, frame);
	for (int i = 0; i < STEER_VERDICTS; i++)
		assert_int_equal(bytes[i], before[i] + (i == (int)verdict ? (__u64)frame->len : 0));
	return verdict;
}

/* All three agree; returns what they say. */
static enum steer_verdict decide(struct deciders *deciders, const uint8_t *frame, uint32_t len)
{
	struct frame handed = {
		.data = (uint8_t *)(uintptr_t)frame, .len = len, .room = PACKET_ROOM};
	struct steer_about about;
	enum steer_verdict plain = steer_decide(frame, frame + len, &deciders->rules, &about);
	/* The same bytes end at the end of an allocation: a read beyond it is an error under ASan.
	 */
	uint8_t *exact = malloc(len ? len : 1);

	assert_non_null(exact);
	memcpy(exact, frame, len);
	assert_int_equal(steer_decide(exact, exact + len, &deciders->rules, &about), plain);
	free(exact);
	assert_string_equal(names[run_port(deciders, &handed)], names[plain]);
	/* The kernel takes no test frame shorter than an Ethernet header. */
	if (deciders->xdp && len >= 14)
		assert_string_equal(names[run_xdp(deciders, frame, len)], names[plain]);
	return plain;
}

struct fixture {
	const char *name;
	struct packet_shape shape;
	enum steer_verdict verdict;
	/* One byte changed, counted from the start of ...; 0: none. */
	enum { NOWHERE, ETHERNET, IP, UDP, WIRE } where;
	uint32_t at;
	uint8_t value;
	uint32_t cut; /* bytes taken off the end */
};

#define OURS .from = 40000, .to = BASE, .payload_len = 100

static const struct fixture fixtures[] = {
	{"a request", {OURS}, STEER_redirected},
	{"to the last worker", {.to = BASE + WORKERS - 1, .payload_len = 80}, STEER_redirected},
	{"the largest", {.to = BASE, .payload_len = ABAFT_PACKET_BYTES_MAX}, STEER_redirected},
	{"over IPv6", {OURS, .ipv6 = true}, STEER_redirected},
	{"one tag", {OURS, .vlans = 1}, STEER_redirected},
	{"two tags, IPv6", {OURS, .vlans = 2, .ipv6 = true}, STEER_redirected},
	{"IPv4 options", {OURS, .option_bytes = 40}, STEER_redirected},
	{"one extension", {OURS, .ipv6 = true, .extensions = 1}, STEER_redirected},
	{"four of the largest",
	 {.to = BASE,
	  .payload_len = 80,
	  .ipv6 = true,
	  .vlans = 2,
	  .extensions = 4,
	  .extension_bytes = 256},
	 STEER_redirected},
	{"three tags", {OURS, .vlans = 3}, STEER_pass_not_ip},
	{"ARP", {OURS}, STEER_pass_not_ip, ETHERNET, 13, 6},
	{"IP version 5", {OURS}, STEER_pass_not_ip, IP, 0, 0x55},
	{"IPv6's version 4", {OURS, .ipv6 = true}, STEER_pass_not_ip, IP, 0, 0x45},
	{"header of 16 bytes", {OURS}, STEER_pass_not_ip, IP, 0, 0x44},
	{"cut in IPv4", {OURS}, STEER_pass_not_ip, NOWHERE, 0, 0, 100 + 8 + 1},
	{"cut in IPv6", {OURS, .ipv6 = true}, STEER_pass_not_ip, NOWHERE, 0, 0, 100 + 8 + 1},
	{"TCP", {OURS}, STEER_pass_not_udp, IP, 9, 6},
	{"TCP over IPv6", {OURS, .ipv6 = true}, STEER_pass_not_udp, IP, 6, 6},
	{"cut in UDP", {OURS}, STEER_pass_not_udp, NOWHERE, 0, 0, 101},
	{"five extensions", {OURS, .ipv6 = true, .extensions = 5}, STEER_pass_not_udp},
	{"an extension too long",
	 {OURS, .ipv6 = true, .extensions = 1, .extension_bytes = 264},
	 STEER_pass_not_udp},
	{"an extension cut",
	 {OURS, .ipv6 = true, .extensions = 1, .extension_bytes = 64},
	 STEER_pass_not_udp,
	 NOWHERE,
	 0,
	 0,
	 100 + 8 + 1},
	{"the port below", {.to = BASE - 1, .payload_len = 100}, STEER_pass_other_port},
	{"the port above", {.to = BASE + WORKERS, .payload_len = 100}, STEER_pass_other_port},
	{"port 53, short", {.to = 53, .payload_len = 1}, STEER_pass_other_port},
	{"IPv4 multicast", {OURS}, STEER_pass_other_address, IP, 16, 224},
	{"IPv4 broadcast", {OURS}, STEER_pass_other_address, IP, 16, 255},
	{"IPv6 multicast", {OURS, .ipv6 = true}, STEER_pass_other_address, IP, 24, 0xff},
	{"first fragment", {OURS}, STEER_pass_fragment, IP, 6, 0x20},
	{"later fragment", {OURS}, STEER_pass_fragment, IP, 7, 1},
	{"IPv6 fragment", {OURS, .ipv6 = true}, STEER_pass_fragment, IP, 6, 44},
	{"don't fragment is fine", {OURS}, STEER_redirected, IP, 6, 0x40},
	{"empty", {.to = BASE, .payload_len = 0}, STEER_drop_short},
	{"79 bytes", {.to = BASE, .payload_len = 79}, STEER_drop_short},
	{"UDP's length 0", {OURS}, STEER_drop_short, UDP, 5, 0},
	{"UDP's length beyond IP's", {OURS}, STEER_drop_short, UDP, 5, 109},
	{"IP's length beyond the frame", {OURS}, STEER_drop_short, IP, 3, 200},
	{"IP's length within its header", {OURS}, STEER_drop_short, IP, 3, 19},
	{"IPv6's length beyond the frame", {OURS, .ipv6 = true}, STEER_drop_short, IP, 5, 200},
	{"IPv6's length 0", {OURS, .ipv6 = true}, STEER_drop_short, IP, 5, 0},
	{"the last byte missing", {OURS}, STEER_drop_short, NOWHERE, 0, 0, 1},
	{"magic, first byte", {OURS}, STEER_drop_magic, WIRE, 0, 'a'},
	{"magic, last byte", {OURS}, STEER_drop_magic, WIRE, 3, 't'},
	{"version 0", {OURS}, STEER_drop_version, WIRE, 4, 0},
	{"version 2", {OURS}, STEER_drop_version, WIRE, 4, 2},
	{"an answer", {OURS}, STEER_drop_kind, WIRE, 5, ABAFT_KIND_ANSWER},
	{"kind 0", {OURS}, STEER_drop_kind, WIRE, 5, 0},
	{"length too small", {OURS}, STEER_drop_length, WIRE, 8, 99},
	{"length too large", {OURS}, STEER_drop_length, WIRE, 9, 1},
	{"more than a packet holds",
	 {.to = BASE, .payload_len = ABAFT_PACKET_BYTES_MAX + 1},
	 STEER_drop_length},
};

static uint32_t make(uint8_t frame[PACKET_ROOM], const struct fixture *fixture)
{
	const uint32_t starts[] = {0, 0, packet_ip(&fixture->shape), packet_udp(&fixture->shape),
				   packet_udp(&fixture->shape) + 8};
	uint32_t len = packet_build(frame, &fixture->shape);

	if (fixture->where != NOWHERE)
		frame[starts[fixture->where] + fixture->at] = fixture->value;
	return len - fixture->cut;
}

static void each_fixture(void **state)
{
	bool seen[STEER_VERDICTS] = {0};
	uint8_t frame[PACKET_ROOM];

	listen_there(*state, true);
	for (size_t i = 0; i < sizeof(fixtures) / sizeof(fixtures[0]); i++) {
		uint32_t len = make(frame, &fixtures[i]);
		enum steer_verdict verdict = decide(*state, frame, len);

		if (verdict != fixtures[i].verdict)
			fail_msg("%s: %s instead of %s", fixtures[i].name, names[verdict],
				 names[fixtures[i].verdict]);
		seen[verdict] = true;
	}
	for (int i = 0; i < STEER_VERDICTS; i++)
		if (i != STEER_pass_no_socket && !seen[i])
			fail_msg("no fixture for %s", names[i]);
}

static void needs_root(const struct deciders *deciders)
{
	if (deciders->xdp)
		return;
	print_message("# needs root\n");
	skip();
}

static void nobody_listens(void **state)
{
	struct deciders *deciders = *state;
	struct packet_shape shape = {OURS};
	uint8_t frame[PACKET_ROOM];
	uint32_t len = packet_build(frame, &shape);

	needs_root(deciders);
	listen_there(deciders, false);
	assert_string_equal(names[run_xdp(deciders, frame, len)], "pass_no_socket");
	listen_there(deciders, true);
	assert_string_equal(names[run_xdp(deciders, frame, len)], "redirected");
}

/* Whatever is missing at the end, nothing of a cut frame is taken for a request. */
static void cut_at_every_byte(void **state)
{
	static const struct packet_shape shapes[] = {
		{OURS},
		{OURS, .vlans = 2, .option_bytes = 40},
		{OURS, .vlans = 1, .ipv6 = true, .extensions = 4, .extension_bytes = 16},
	};
	uint8_t frame[PACKET_ROOM];

	listen_there(*state, true);
	for (size_t s = 0; s < sizeof(shapes) / sizeof(shapes[0]); s++) {
		uint32_t len = packet_build(frame, &shapes[s]);

		for (uint32_t cut = 0; cut < len; cut++)
			assert_int_not_equal(decide(*state, frame, cut), STEER_redirected);
		assert_int_equal(decide(*state, frame, len), STEER_redirected);
		/* Padding behind IP's end is no harm. */
		assert_int_equal(decide(*state, frame, len + 7), STEER_redirected);
	}
}

static void own_addresses(void **state)
{
	struct steer_rules rules = {.port_base = BASE, .workers = WORKERS, .ipv4_count = 2};
	struct packet_shape ipv4 = {OURS}, ipv6 = {OURS, .ipv6 = true};
	uint8_t four[PACKET_ROOM], six[PACKET_ROOM];
	uint32_t four_len = packet_build(four, &ipv4), six_len = packet_build(six, &ipv6);
	struct steer_rules any = ((struct deciders *)*state)->rules;

	listen_there(*state, true);
	memcpy(rules.ipv4[1], four + packet_ip(&ipv4) + 16, 4);
	use_rules(*state, &rules);
	assert_int_equal(decide(*state, four, four_len), STEER_redirected);
	assert_int_equal(decide(*state, six, six_len), STEER_pass_other_address);
	four[packet_ip(&ipv4) + 19]++;
	assert_int_equal(decide(*state, four, four_len), STEER_pass_other_address);
	/* A slot that is not used is no address. */
	memset(four + packet_ip(&ipv4) + 16, 0, 4);
	assert_int_equal(decide(*state, four, four_len), STEER_pass_other_address);

	memset(&rules, 0, sizeof(rules));
	rules.port_base = BASE;
	rules.workers = WORKERS;
	rules.ipv6_count = STEER_ADDRESSES_MAX;
	memset(rules.ipv6, 7, sizeof(rules.ipv6));
	memcpy(rules.ipv6[STEER_ADDRESSES_MAX - 1], six + packet_ip(&ipv6) + 24, 16);
	use_rules(*state, &rules);
	assert_int_equal(decide(*state, six, six_len), STEER_redirected);
	for (uint32_t i = 1; i < 16; i++) {
		six[packet_ip(&ipv6) + 24 + i] ^= 1;
		assert_int_equal(decide(*state, six, six_len), STEER_pass_other_address);
		six[packet_ip(&ipv6) + 24 + i] ^= 1;
	}
	/* A slot that is not used is no address. */
	rules.ipv6_count = 1;
	memset(rules.ipv6[1], 0, sizeof(rules.ipv6) - sizeof(rules.ipv6[0]));
	use_rules(*state, &rules);
	memset(six + packet_ip(&ipv6) + 24, 0, 16);
	assert_int_equal(decide(*state, six, six_len), STEER_pass_other_address);
	use_rules(*state, &any);
}

/* Fixtures with random bytes changed and random ends: the three agree on all of them. */
static void random_frames(void **state)
{
	uint8_t frame[PACKET_ROOM];
	uint32_t seed = 1;

	listen_there(*state, true);
	for (int i = 0; i < RANDOM_FRAMES; i++) {
		uint32_t len;

		seed = seed * 1664525 + 1013904223;
		len = make(frame,
			   &fixtures[(seed >> 8) % (sizeof(fixtures) / sizeof(fixtures[0]))]);
		for (int flips = 0; flips < 3; flips++) {
			seed = seed * 1664525 + 1013904223;
			frame[(seed >> 8) % 80] = (uint8_t)(seed >> 24);
		}
		if (!(seed & 0x700))
			len -= (seed >> 12) % len;
		(void)decide(*state, frame, len);
	}
}

/* Rules that no packet fits, and all ports. */
static void port_ranges(void **state)
{
	struct deciders *deciders = *state;
	struct steer_rules any = deciders->rules, rules = any;
	struct packet_shape shape = {OURS};
	uint8_t frame[PACKET_ROOM];
	uint32_t len;

	listen_there(deciders, true);
	rules.workers = 0;
	use_rules(deciders, &rules);
	len = packet_build(frame, &shape);
	assert_int_equal(decide(deciders, frame, len), STEER_pass_other_port);
	rules = (struct steer_rules){.port_base = 65535, .workers = 4};
	use_rules(deciders, &rules);
	shape.to = 65535;
	len = packet_build(frame, &shape);
	assert_int_equal(decide(deciders, frame, len), STEER_redirected);
	shape.to = 1;
	len = packet_build(frame, &shape);
	assert_int_equal(decide(deciders, frame, len), STEER_pass_other_port);
	use_rules(deciders, &any);
}

/* A buffer smaller than the window goes to the C version, which needs no more than the frame. */
static void small_buffer(void **state)
{
	struct deciders *deciders = *state;
	struct packet_shape shape = {OURS};
	uint8_t frame[PACKET_ROOM];
	uint32_t len = packet_build(frame, &shape);
	uint8_t *exact = malloc(len);
	struct frame handed = {.data = exact, .len = len, .room = len};
	__u64 before = steer_port_counters(deciders->port)->redirected;

	assert_non_null(exact);
	memcpy(exact, frame, len);
	assert_int_equal(run_port(deciders, &handed), STEER_redirected);
	assert_int_equal(steer_port_counters(deciders->port)->redirected, before + 1);
	free(exact);
}

static uint32_t tenants_frame(uint8_t frame[PACKET_ROOM], const struct packet_shape *shape,
			      uint32_t number)
{
	uint32_t len = packet_build(frame, shape);
	uint8_t *at = frame + packet_udp(shape) + 8 + offsetof(struct abaft_wire_header, tenant);

	for (int i = 0; i < 4; i++)
		at[i] = (uint8_t)(number >> 8 * i);
	return len;
}

/* Frames handed to the data plane count for the tenant that their header names, no others do. */
static void tenants(void **state)
{
	static const __u32 numbers[] = {0, 1, 0x04030201, 0xffffffff};
	static const struct packet_shape shapes[] = {
		{OURS},
		{OURS, .vlans = 2, .option_bytes = 40},
		{.ipv6 = true, .extensions = 3, .to = BASE, .payload_len = 1440},
	};
	struct deciders *deciders = *state;
	uint8_t frame[PACKET_ROOM];

	needs_root(deciders);
	listen_there(deciders, true);
	for (size_t i = 0; i < sizeof(numbers) / sizeof(numbers[0]); i++)
		for (size_t s = 0; s < sizeof(shapes) / sizeof(shapes[0]); s++) {
			uint32_t len = tenants_frame(frame, &shapes[s], numbers[i]);
			struct tenant_counter before = tenant(deciders, numbers[i]), after;
			struct steer_about about = {0};

			(void)steer_decide(frame, frame + len, &deciders->rules, &about);
			assert_int_equal(about.tenant, numbers[i]);
			assert_int_equal(run_xdp(deciders, frame, len), STEER_redirected);
			frame[packet_udp(&shapes[s]) + 8 + 4]++;
			assert_int_equal(run_xdp(deciders, frame, len), STEER_drop_version);
			frame[packet_udp(&shapes[s]) + 8 + 4]--;
			listen_there(deciders, false);
			assert_int_equal(run_xdp(deciders, frame, len), STEER_pass_no_socket);
			listen_there(deciders, true);
			after = tenant(deciders, numbers[i]);
			assert_int_equal(after.packets, before.packets + 1);
			assert_int_equal(after.bytes, before.bytes + len);
		}
}

static uint32_t tenants_known(const struct deciders *deciders)
{
	int map = bpf_map__fd(deciders->xdp->maps.steer_tenants);
	__u32 key, *before = NULL, known = 0;

	for (; !bpf_map_get_next_key(map, before, &key) && known < 100000; known++)
		before = &key;
	return known;
}

/* More tenants than there is room for: the newest are there, all frames are handed on. */
static void tenants_without_end(void **state)
{
	struct deciders *deciders = *state;
	struct packet_shape shape = {OURS};
	uint8_t frame[PACKET_ROOM];
	uint32_t len = 0, last = 1000 + 2 * STEER_TENANTS_MAX;

	needs_root(deciders);
	listen_there(deciders, true);
	for (uint32_t number = 1000; number <= last; number++) {
		LIBBPF_OPTS(bpf_test_run_opts, opts, .data_in = frame, .repeat = 1);

		len = tenants_frame(frame, &shape, number);
		opts.data_size_in = len;
		assert_int_equal(bpf_prog_test_run_opts(
					 bpf_program__fd(deciders->xdp->progs.xsk_def_prog), &opts),
				 0);
		assert_int_equal(opts.retval, XDP_REDIRECT);
	}
	assert_in_range(tenants_known(deciders), STEER_TENANTS_MAX / 2, STEER_TENANTS_MAX);
	assert_int_equal(tenant(deciders, last).packets, 1);
	assert_int_equal(tenant(deciders, last).bytes, len);
}

static __u64 now_ns(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (__u64)ts.tv_sec * 1000000000 + (__u64)ts.tv_nsec;
}

/* The metadata that stand before the frame after so many runs; their bytes. */
static uint32_t metadata(struct deciders *deciders, const uint8_t *frame, uint32_t len, int runs,
			 struct steer_meta *meta)
{
	uint8_t out[PACKET_ROOM + 256];
	struct xdp_md in = {.data_end = len}, about = {0};
	LIBBPF_OPTS(bpf_test_run_opts, opts, .data_in = frame, .data_size_in = len, .data_out = out,
		    .data_size_out = sizeof(out), .ctx_in = &in, .ctx_size_in = sizeof(in),
		    .ctx_out = &about, .ctx_size_out = sizeof(about), .repeat = runs);

	assert_int_equal(
		bpf_prog_test_run_opts(bpf_program__fd(deciders->xdp->progs.xsk_def_prog), &opts),
		0);
	assert_int_equal(opts.data_size_out, about.data + len);
	assert_memory_equal(out + about.data, frame, len);
	memset(meta, 0, sizeof(*meta));
	if (about.data >= sizeof(*meta))
		memcpy(meta, out + about.data - sizeof(*meta), sizeof(*meta));
	return about.data;
}

/* A tick passes, or more. */
static void wait_for_tick(void)
{
	const struct timespec tick = {.tv_nsec = 11000000};

	nanosleep(&tick, NULL);
}

/* What is handed on bears its time of arrival, and the frame is what it was; all else is untouched.
 */
static void arrival(void **state)
{
	struct deciders *deciders = *state;
	uint8_t frame[PACKET_ROOM];
	struct steer_meta meta;

	needs_root(deciders);
	listen_there(deciders, true);
	wait_for_tick(); /* the test before was a flood */
	for (size_t i = 0; i < sizeof(fixtures) / sizeof(fixtures[0]); i++) {
		bool ours = fixtures[i].verdict == STEER_redirected;
		uint32_t len = make(frame, &fixtures[i]);
		__u64 before = now_ns();

		if (len < 14)
			continue;
		assert_int_equal(metadata(deciders, frame, len, 1, &meta), ours ? sizeof(meta) : 0);
		if (!ours)
			continue;
		assert_int_equal(meta.magic, STEER_META_MAGIC);
		assert_in_range(meta.arrival_ns, before, now_ns());
	}
	listen_there(deciders, false);
	assert_int_equal(metadata(deciders, frame, make(frame, &fixtures[0]), 1, &meta), 0);
	listen_there(deciders, true);
}

/* A flood makes the program look at the clock less often. A frame without a time says so: else the
 * one of an older frame could stand in its buffer. Afterwards each frame is timed again. */
static void arrival_in_floods(void **state)
{
	struct deciders *deciders = *state;
	uint8_t frame[PACKET_ROOM];
	struct steer_meta meta;
	uint32_t len, timed = 0, untimed = 0;

	needs_root(deciders);
	listen_there(deciders, true);
	len = make(frame, &fixtures[0]);
	/* In a tick there is time for more runs than these. */
	for (int runs = 4000; runs < 4100; runs++) {
		__u64 before = now_ns();

		assert_int_equal(metadata(deciders, frame, len, runs, &meta), sizeof(meta));
		assert_int_equal(meta.magic, STEER_META_MAGIC);
		if (meta.arrival_ns)
			assert_in_range(meta.arrival_ns, before, now_ns());
		timed += meta.arrival_ns != 0;
		untimed += meta.arrival_ns == 0;
	}
	assert_true(untimed > 0);
	assert_true(timed > 0);
	wait_for_tick();
	for (int i = 0; i < 20; i++) {
		(void)metadata(deciders, frame, len, 1, &meta);
		assert_int_not_equal(meta.arrival_ns, 0);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(each_fixture),	       cmocka_unit_test(nobody_listens),
		cmocka_unit_test(cut_at_every_byte),   cmocka_unit_test(own_addresses),
		cmocka_unit_test(port_ranges),	       cmocka_unit_test(small_buffer),
		cmocka_unit_test(random_frames),       cmocka_unit_test(tenants),
		cmocka_unit_test(tenants_without_end), cmocka_unit_test(arrival),
		cmocka_unit_test(arrival_in_floods),
	};

	return cmocka_run_group_tests_name("steer", tests, setup, teardown);
}
