/* SPDX-License-Identifier: Apache-2.0 */
/*
 * steer_bench - what the XDP program costs each packet: BPF_PROG_TEST_RUN, a frame of each kind
 * some hundred thousand times, in turns with a program that only passes. Needs root; touches no
 * interface.
 *
 * Prints nanoseconds: the median of the rounds, the fastest, and the median less the empty
 * program's. What repeats one frame has it and the maps' entries in the first-level cache. A tenant
 * never seen before cannot be repeated: it is single runs, in which all is cold, beside single runs
 * of a tenant that is known.
 */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <linux/bpf.h>

#include "bpf/decide.h"
#include "tests/lib/packet.h"

#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wsign-conversion"
#include "bpf/steer.skel.h"
#pragma GCC diagnostic pop

#define PORT	    7400
#define ROUNDS	    21
#define REPEAT	    200000
#define SINGLE_RUNS 4001
#define TENANT_AT   60 /* within the wire's header */
#define FRAME_KINDS 6
#define NANOSECONDS 1e9

struct kind {
	const char *name;
	struct packet_shape shape;
	uint32_t action;
	uint8_t frame[PACKET_ROOM];
	uint32_t bytes;
	double ns[ROUNDS];
};

static struct kind kinds[FRAME_KINDS] = {
	{"an empty program", {.to = PORT, .payload_len = 100}, XDP_PASS},
	{"request, IPv4", {.to = PORT, .payload_len = 100}, XDP_REDIRECT},
	{"request, IPv6, 1400 bytes",
	 {.ipv6 = true, .to = PORT, .payload_len = 1400},
	 XDP_REDIRECT},
	{"other UDP port", {.to = 53, .payload_len = 100}, XDP_PASS},
	{"TCP", {.to = PORT, .payload_len = 100}, XDP_PASS},
	{"of another version", {.to = PORT, .payload_len = 100}, XDP_DROP},
};

static int failed(const char *what)
{
	fprintf(stderr, "steer_bench: cannot %s\n", what);
	return 1;
}

static int empty_program(void)
{
	const struct bpf_insn pass[] = {
		{.code = BPF_ALU64 | BPF_MOV | BPF_K, .dst_reg = BPF_REG_0, .imm = XDP_PASS},
		{.code = BPF_JMP | BPF_EXIT},
	};

	return bpf_prog_load(BPF_PROG_TYPE_XDP, "empty", "GPL", pass, 2, NULL);
}

/* Nanoseconds for a run, of many; negative: it did something else than it should. By the kernel's
 * clock around the runs, in whole nanoseconds: what is around them waits for ticks. */
static double run_many(int program, const struct kind *kind)
{
	LIBBPF_OPTS(bpf_test_run_opts, opts, .data_in = kind->frame, .data_size_in = kind->bytes,
		    .repeat = REPEAT);

	if (bpf_prog_test_run_opts(program, &opts) || opts.retval != kind->action)
		return -1;
	return opts.duration;
}

static int by_size(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;

	return (x > y) - (x < y);
}

static double median(double *ns, size_t n)
{
	qsort(ns, n, sizeof(*ns), by_size);
	return ns[n / 2];
}

static void make_frames(void)
{
	for (int i = 0; i < FRAME_KINDS; i++)
		kinds[i].bytes = packet_build(kinds[i].frame, &kinds[i].shape);
	kinds[4].frame[packet_ip(&kinds[4].shape) + 9] = 6;
	kinds[5].frame[packet_udp(&kinds[5].shape) + 8 + 4]++;
}

static int measure(int steer, int empty)
{
	for (int round = 0; round < ROUNDS; round++)
		for (int i = 0; i < FRAME_KINDS; i++) {
			kinds[i].ns[round] = run_many(i ? steer : empty, &kinds[i]);
			if (kinds[i].ns[round] < 0)
				return failed(kinds[i].name);
		}
	for (int i = 0; i < FRAME_KINDS; i++) {
		double middle = median(kinds[i].ns, ROUNDS), base = kinds[0].ns[ROUNDS / 2];

		printf("%-28s median %4.0f ns  fastest %4.0f ns  more than empty %4.0f ns\n",
		       kinds[i].name, middle, kinds[i].ns[0], middle - base);
	}
	return 0;
}

/* Single runs, each with another tenant or all with the same. */
static int measure_single(int steer, bool same)
{
	static double ns[SINGLE_RUNS];
	struct kind kind = kinds[1];
	uint8_t *tenant = kind.frame + packet_udp(&kind.shape) + 8 + TENANT_AT;

	for (uint32_t i = 0; i < SINGLE_RUNS; i++) {
		LIBBPF_OPTS(bpf_test_run_opts, opts, .data_in = kind.frame,
			    .data_size_in = kind.bytes, .repeat = 1);
		uint32_t number = same ? 1 : i + 2;

		memcpy(tenant, &number, sizeof(number));
		if (bpf_prog_test_run_opts(steer, &opts) || opts.retval != kind.action)
			return failed("run single frames");
		ns[i] = opts.duration;
	}
	printf("single runs, %-15s median %4.0f ns\n", same ? "a known tenant" : "new tenants",
	       median(ns, SINGLE_RUNS));
	return 0;
}

static int prepare(struct xsk_def_steer *steer, int sock)
{
	struct steer_rules rules = {.port_base = PORT, .workers = 4};
	__u32 zero = 0;

	make_frames();
	if (bpf_map_update_elem(bpf_map__fd(steer->maps.steer_rules), &zero, &rules, 0))
		return failed("write the rules");
	if (bpf_map_update_elem(bpf_map__fd(steer->maps.xsks_map), &zero, &sock, 0))
		return failed("listen on queue 0");
	return 0;
}

int main(void)
{
	struct xsk_def_steer *steer;
	int sock, empty, program, status;

	if (geteuid()) {
		fprintf(stderr, "steer_bench: it needs root to load BPF programs\n");
		return 1;
	}
	libbpf_set_print(NULL);
	steer = xsk_def_steer__open_and_load();
	empty = empty_program();
	sock = socket(AF_XDP, SOCK_RAW, 0);
	if (!steer || empty < 0 || sock < 0)
		return failed("load the programs, or make an AF_XDP socket");
	program = bpf_program__fd(steer->progs.xsk_def_prog);
	status = prepare(steer, sock);
	if (!status)
		status = measure(program, empty);
	if (!status)
		status = measure_single(program, true);
	if (!status)
		status = measure_single(program, false);
	close(sock);
	close(empty);
	xsk_def_steer__destroy(steer);
	return status;
}
