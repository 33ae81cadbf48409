/* SPDX-License-Identifier: Apache-2.0 */
/*
 * steer_fuzz.c - arbitrary frames into steering, all of it: XDP in the kernel (BPF_PROG_TEST_RUN),
 * librte_bpf's machine code, plain C, and frame_parse() behind them, held against a reference that
 * shares no line with them (steer_reference.h).
 *
 * Input: a byte that chooses the rules, then the frame. What must hold: all say what the reference
 * says; no byte behind the frame matters; XDP's action is the verdict's; the frame's bytes are
 * counted by that verdict, and by the tenant that the reference reads if it is redirected; and
 * frame_parse() takes exactly what is redirected, but for senders that cannot be answered, and
 * finds it where the reference does. Without root XDP is left out, which the replay says.
 */
#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <bpf/bpf.h>
#include <bpf/libbpf.h>

#include "bpf/decide.h"
#include "dataplane/net/frame.h"
#include "dataplane/net/port_dpdk.h"
#include "dataplane/net/steer_port.h"
#include "tests/fuzz/replay.h"
#include "tests/fuzz/steer_reference.h"

#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wsign-conversion"
#include "bpf/steer.skel.h"
#pragma GCC diagnostic pop

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define CPUS_MAX	 1024
#define FRAME_BYTES_MAX	 4096
#define KERNEL_BYTES_MIN 14   /* what BPF_PROG_TEST_RUN takes */
#define KERNEL_BYTES_MAX 3000 /* less than a page, behind the room that it adds */

static const struct reference_rules choices[] = {
	{.port_first = 7400, .ports = 4},
	{.port_first = 7400, .ports = 4, .ipv4s = 2, .ipv4 = {{127, 0, 0, 1}, {10, 1, 2, 4}}},
	{.port_first = 7400, .ports = 4, .ipv6s = 2, .ipv6 = {{[15] = 1}, {0xfd, 7, [15] = 1}}},
	{.port_first = 7400,
	 .ports = 1,
	 .ipv4s = 8,
	 .ipv6s = 8,
	 .ipv4 = {{10, 0, 0, 1},
		  {10, 0, 0, 2},
		  {10, 0, 0, 3},
		  {10, 0, 0, 4},
		  {10, 0, 0, 5},
		  {10, 0, 0, 6},
		  {10, 0, 0, 7},
		  {10, 1, 2, 4}},
	 .ipv6 = {{1, [15] = 1},
		  {2, [15] = 1},
		  {3, [15] = 1},
		  {4, [15] = 1},
		  {5, [15] = 1},
		  {6, [15] = 1},
		  {7, [15] = 1},
		  {0xfd, 7, [15] = 1}}},
	{.port_first = 65535, .ports = 64},
};

#define CHOICES (sizeof(choices) / sizeof(choices[0]))

static const char *const names[] = {
#define NAME(name, text) #name,
	ABAFT_STEER_COUNTERS(NAME)
#undef NAME
};

static struct {
	bool begun;
	const char *left_out; /* why XDP is not run */
	struct xsk_def_steer *xdp;
	int socket;
	size_t rules_now; /* in XDP's map */
	struct steer_rules rules[CHOICES];
	struct steer_port *port[CHOICES];
	__u64 counted[2 * STEER_VERDICTS];
} steer;

static void must(bool holds)
{
	if (!holds)
		abort();
}

static struct steer_rules rules_of(const struct reference_rules *from)
{
	struct steer_rules rules = {.port_base = (__u16)from->port_first,
				    .workers = (__u16)from->ports,
				    .ipv4_count = (__u16)from->ipv4s,
				    .ipv6_count = (__u16)from->ipv6s};

	memcpy(rules.ipv4, from->ipv4, sizeof(rules.ipv4));
	memcpy(rules.ipv6, from->ipv6, sizeof(rules.ipv6));
	return rules;
}

/* An entry of a map that has one for each CPU, added up; zeroes if there is none. */
static void xdp_sum(const struct bpf_map *map, __u32 key, __u64 *sum, size_t words)
{
	static __u64 values[CPUS_MAX * STEER_VERDICTS];
	int cpus = libbpf_num_possible_cpus();

	must(cpus >= 1 && cpus <= CPUS_MAX);
	memset(sum, 0, words * sizeof(*sum));
	if (bpf_map_lookup_elem(bpf_map__fd(map), &key, values))
		return;
	for (size_t i = 0; i < (size_t)cpus * words; i++)
		sum[i % words] += values[i];
}

/* Packets in front, bytes behind. */
static void xdp_count(__u64 sum[2 * STEER_VERDICTS])
{
	xdp_sum(steer.xdp->maps.steer_counters, 0, sum, STEER_VERDICTS);
	xdp_sum(steer.xdp->maps.steer_bytes, 0, sum + STEER_VERDICTS, STEER_VERDICTS);
}

/* Somebody listens on queue 0, so that what is ours is redirected. */
static void xdp_begin(void)
{
	__u32 zero = 0;

	if (geteuid()) {
		steer.left_out = "XDP itself is not run: it needs root";
		return;
	}
	libbpf_set_print(NULL);
	steer.xdp = xsk_def_steer__open_and_load();
	if (!steer.xdp) {
		steer.left_out =
			"XDP itself is not run: the kernel does not load BPF programs here";
		return;
	}
	steer.socket = socket(AF_XDP, SOCK_RAW, 0);
	must(steer.socket >= 0);
	must(!bpf_map_update_elem(bpf_map__fd(steer.xdp->maps.xsks_map), &zero, &steer.socket, 0));
	steer.rules_now = CHOICES;
	xdp_count(steer.counted);
}

static void begin(void)
{
	const struct eal_config eal = {.memory_mib = 64, .prefix = "steer-fuzz"};
	char why[PORT_WHY_BYTES];

	if (steer.begun)
		return;
	must(port_eal_start(&eal, why) == 0);
	for (size_t i = 0; i < CHOICES; i++) {
		steer.rules[i] = rules_of(&choices[i]);
		must(steer_port_open(&steer.port[i], &steer.rules[i], why) == 0);
	}
	xdp_begin();
	steer.begun = true;
}

const char *fuzz_left_out(void)
{
	begin();
	return steer.left_out;
}

/* The one counter that moved, by one and the frame's bytes. */
static size_t xdp_moved(size_t bytes)
{
	__u64 now[2 * STEER_VERDICTS];
	size_t moved = STEER_VERDICTS;

	xdp_count(now);
	for (size_t i = 0; i < STEER_VERDICTS; i++) {
		const __u64 *was = &steer.counted[i], *is = &now[i];

		if (is[0] != was[0]) {
			must(moved == STEER_VERDICTS && is[0] == was[0] + 1);
			moved = i;
		}
		must(is[STEER_VERDICTS] == was[STEER_VERDICTS] + (moved == i ? bytes : 0));
	}
	must(moved < STEER_VERDICTS);
	memcpy(steer.counted, now, sizeof(now));
	return moved;
}

/* XDP's action is its counter's, and only what is redirected counts for its tenant. */
static void check_xdp(const struct reference_frame *said, const uint8_t *frame, size_t bytes,
		      size_t choice)
{
	LIBBPF_OPTS(bpf_test_run_opts, opts, .data_in = frame, .data_size_in = (__u32)bytes,
		    .repeat = 1);
	bool ours = strcmp(said->verdict, "redirected") == 0;
	__u64 before[2], after[2];
	__u32 zero = 0, action;

	if (steer.rules_now != choice)
		must(!bpf_map_update_elem(bpf_map__fd(steer.xdp->maps.steer_rules), &zero,
					  &steer.rules[choice], 0));
	steer.rules_now = choice;
	xdp_sum(steer.xdp->maps.steer_tenants, said->tenant, before, 2);
	must(!bpf_prog_test_run_opts(bpf_program__fd(steer.xdp->progs.xsk_def_prog), &opts));
	must(strcmp(names[xdp_moved(bytes)], said->verdict) == 0);
	xdp_sum(steer.xdp->maps.steer_tenants, said->tenant, after, 2);
	must(after[0] == before[0] + ours && after[1] == before[1] + (ours ? bytes : 0));
	action = ours					   ? XDP_REDIRECT
		 : strncmp(said->verdict, "drop_", 5) == 0 ? XDP_DROP
							   : XDP_PASS;
	must(opts.retval == action);
}

static void check_port(const struct reference_frame *said, uint8_t *buffer, size_t bytes,
		       size_t choice)
{
	const __u64 *counted = (const __u64 *)steer_port_bytes(steer.port[choice]);
	struct frame frame = {.data = buffer,
			      .len = (uint32_t)bytes,
			      .room = FRAME_BYTES_MAX + STEER_WINDOW_BYTES};
	__u64 before[STEER_VERDICTS];

	memcpy(before, counted, sizeof(before));
	for (int fill = 0; fill < 2; fill++) {
		memset(buffer + bytes, fill ? 0xff : 0, STEER_WINDOW_BYTES);
		must(!strcmp(names[steer_port_decide(steer.port[choice], &frame)], said->verdict));
	}
	for (size_t i = 0; i < STEER_VERDICTS; i++)
		must(counted[i] == before[i] + (strcmp(names[i], said->verdict) ? 0 : 2 * bytes));
}

static void check_verdict(const struct reference_frame *said, uint8_t *buffer, const uint8_t *exact,
			  size_t bytes, size_t choice)
{
	struct steer_about about = {.tenant = 0};

	must(!strcmp(names[steer_decide(exact, exact + bytes, &steer.rules[choice], &about)],
		     said->verdict));
	must(about.tenant == said->tenant);
	check_port(said, buffer, bytes, choice);
	if (steer.xdp && bytes >= KERNEL_BYTES_MIN && bytes <= KERNEL_BYTES_MAX)
		check_xdp(said, exact, bytes, choice);
}

/* Of what goes to our ports and addresses; the rest frame_parse() cannot tell. */
static void check_parse(const struct reference_frame *said, uint8_t *exact, size_t bytes)
{
	struct frame frame = {.data = exact, .len = (uint32_t)bytes, .room = (uint32_t)bytes};
	bool redirected = strcmp(said->verdict, "redirected") == 0;
	enum frame_result result;
	struct frame_view view;

	memset(&view, 0, sizeof(view));
	result = frame_parse(&frame, true, &view);
	if (strncmp(said->verdict, "drop_", 5) != 0 && !redirected)
		return;
	must((result == FRAME_OK) == (said->udp_fits && said->answerable));
	if (!redirected || result != FRAME_OK)
		return;
	must(view.payload == said->payload && view.payload_len == said->payload_bytes);
	must(view.port_from == said->port_from && view.port_to == said->port_to);
	must(view.address_bytes == said->address_bytes);
	must(!memcmp(view.address_from, said->from, said->address_bytes));
	must(!memcmp(view.address_to, said->to, said->address_bytes));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static uint8_t buffer[FRAME_BYTES_MAX + STEER_WINDOW_BYTES];
	struct reference_frame said;
	size_t choice, bytes;
	uint8_t *exact;

	if (size < 1 || size > FRAME_BYTES_MAX)
		return 0;
	begin();
	choice = data[0] % CHOICES;
	bytes = size - 1;
	memcpy(buffer, data + 1, bytes);
	exact = malloc(bytes ? bytes : 1); /* a read behind it is an error under ASan */
	must(exact != NULL);
	memcpy(exact, data + 1, bytes);
	reference_steer(&choices[choice], exact, bytes, &said);
	check_verdict(&said, buffer, exact, bytes, choice);
	check_parse(&said, exact, bytes);
	free(exact);
	return 0;
}
