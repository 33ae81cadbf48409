/* SPDX-License-Identifier: (BSD-2-Clause OR GPL-2.0) */
/*
 * decide.h - whose packet is this: one pure function for XDP, for librte_bpf and for plain C.
 *
 * steer.bpf.c calls it on kernel interfaces, steer_port.bpf.c on ports the kernel does not see, the
 * tests directly. It touches nothing but the frame, the rules and what it returns.
 *
 * Understood: Ethernet; up to STEER_VLANS_MAX tags (802.1Q, 802.1ad); IPv4 with options; IPv6 with
 * up to STEER_EXTENSIONS_MAX hop-by-hop, routing and destination headers of up to
 * STEER_EXTENSION_BYTES_MAX bytes each; UDP. Anything else is left to the kernel.
 *
 * I1. A frame is dropped only if its UDP port and its address are ours: what is not ours passes
 *     untouched, however broken it is.
 * I2. A frame is redirected only if a whole, well-formed header of wire.h lies within UDP's length,
 *     that within IP's, and that within the frame; header and payload length agree. What is told
 *     about the frame is read within that header.
 * I3. Each read follows a check against `end`. No loop survives compilation, no read lies further
 *     than STEER_WINDOW_BYTES from the start: librte_bpf's verifier needs both.
 */
#ifndef ABAFT_BPF_DECIDE_H
#define ABAFT_BPF_DECIDE_H

#include <abaft/limits.h>
#include <abaft/telemetry.h>
#include <abaft/wire.h>
#include <linux/types.h>

#define STEER_VLANS_MAX		  2
#define STEER_EXTENSIONS_MAX	  4
#define STEER_EXTENSION_BYTES_MAX 256
#define STEER_ADDRESSES_MAX	  8 /* of each family */
#define STEER_TENANTS_MAX	  1024
/* Ethernet, tags, IPv6, its extensions, UDP, our header: 14 + 8 + 40 + 1024 + 8 + 80 = 1174. */
#define STEER_WINDOW_BYTES	  1176

/* One verdict for each counter, in the counters' order. */
enum steer_verdict {
#define STEER_VERDICT_ENUM(name, text) STEER_##name,
	ABAFT_STEER_COUNTERS(STEER_VERDICT_ENUM)
#undef STEER_VERDICT_ENUM
		STEER_VERDICTS
};

/* What is ours. The names show in `bpftool map dump`. */
struct steer_rules {
	__u16 port_base; /* ours: port_base <= UDP destination port < port_base + workers */
	__u16 workers;
	__u16 ipv4_count; /* both counts 0: every unicast address is ours */
	__u16 ipv6_count;
	__u8 ipv4[STEER_ADDRESSES_MAX][4];
	__u8 ipv6[STEER_ADDRESSES_MAX][16];
};

/* What else is told about a frame: set if it is redirected, else left alone. */
struct steer_about {
	__u32 tenant; /* as the header says, which nobody has checked yet */
};

#define STEER_INLINE static inline __attribute__((always_inline))
#ifdef __clang__
#define STEER_UNROLL _Pragma("clang loop unroll(full)")
#else
#define STEER_UNROLL
#endif

/* The frame from `at` on. */
struct steer_cursor {
	const __u8 *at;
	const __u8 *end;
};

/* The next n bytes, or NULL if the frame ends before. */
STEER_INLINE const __u8 *steer_take(struct steer_cursor *cursor, __u32 n)
{
	const __u8 *p = cursor->at;

	if (p + n > cursor->end)
		return (const __u8 *)0;
	cursor->at = p + n;
	return p;
}

STEER_INLINE __u32 steer_be16(const __u8 *p)
{
	return (__u32)p[0] << 8 | p[1];
}

/* Little-endian, at any address. */
STEER_INLINE __u32 steer_word(const __u8 *p)
{
	return (__u32)p[0] | (__u32)p[1] << 8 | (__u32)p[2] << 16 | (__u32)p[3] << 24;
}

/* Reads Ethernet and tags; the EtherType behind them, or 0. */
STEER_INLINE __u32 steer_ethertype(struct steer_cursor *cursor)
{
	const __u8 *p = steer_take(cursor, 14);
	__u32 type;

	if (!p)
		return 0;
	type = steer_be16(p + 12);
	STEER_UNROLL
	for (int i = 0; i < STEER_VLANS_MAX; i++) {
		if (type != 0x8100 && type != 0x88a8)
			break;
		p = steer_take(cursor, 4);
		if (!p)
			return 0;
		type = steer_be16(p + 2);
	}
	return type;
}

STEER_INLINE __u64 steer_long(const __u8 *p)
{
	return steer_word(p) | (__u64)steer_word(p + 4) << 32;
}

/* 0 if x is 0, else 1, and no branch, which the barrier keeps clang from making of it. */
STEER_INLINE __u64 steer_nonzero(__u64 x)
{
	__u64 negative = -x;

	__asm__("" : "+r"(negative));
	return (x | negative) >> 63;
}

/*
 * Own addresses are compared without branches, as librte_bpf's verifier walks every path: `miss`
 * stays 1 unless one is equal. Slots not used are zeroes, which no packet is sent to.
 */
STEER_INLINE int steer_own_ipv4(const struct steer_rules *rules, const __u8 *address)
{
	__u64 word = steer_word(address), miss = 1;

	/* 0.x, multicast, broadcast and reserved: an answer could not come from there. */
	if (!address[0] || address[0] >= 224)
		return 0;
	if (!rules->ipv4_count && !rules->ipv6_count)
		return 1;
	STEER_UNROLL
	for (int i = 0; i < STEER_ADDRESSES_MAX; i++)
		miss &= steer_nonzero(word ^ steer_word(rules->ipv4[i]));
	return !miss;
}

STEER_INLINE int steer_own_ipv6(const struct steer_rules *rules, const __u8 *address)
{
	__u64 high = steer_long(address), low = steer_long(address + 8), miss = 1;

	if (address[0] == 0xff || !(high | low))
		return 0;
	if (!rules->ipv4_count && !rules->ipv6_count)
		return 1;
	STEER_UNROLL
	for (int i = 0; i < STEER_ADDRESSES_MAX; i++)
		miss &= steer_nonzero((high ^ steer_long(rules->ipv6[i])) |
				      (low ^ steer_long(rules->ipv6[i] + 8)));
	return !miss;
}

/*
 * The cursor stands before UDP, `ip_left` bytes of which belong to the IP packet by its header
 * (may be negative: its length is shorter than its headers). `cut`: the frame ends before the IP
 * packet does.
 */
STEER_INLINE enum steer_verdict steer_udp(struct steer_cursor *cursor,
					  const struct steer_rules *rules, __s32 ip_left, int cut,
					  int own_address, struct steer_about *about)
{
	const __u8 *udp = steer_take(cursor, 8);
	const __u8 *header;
	__s32 length;

	if (!udp)
		return STEER_pass_not_udp;
	if (steer_be16(udp + 2) - rules->port_base >= rules->workers)
		return STEER_pass_other_port;
	if (!own_address)
		return STEER_pass_other_address;
	length = (__s32)steer_be16(udp + 4);
	if (cut || length > ip_left || length < 8 + (__s32)sizeof(struct abaft_wire_header))
		return STEER_drop_short;
	header = steer_take(cursor, sizeof(struct abaft_wire_header));
	if (!header)
		return STEER_drop_short;
	if (steer_word(header) != ABAFT_WIRE_MAGIC)
		return STEER_drop_magic;
	if (header[4] != ABAFT_WIRE_VERSION)
		return STEER_drop_version;
	if (header[5] != ABAFT_KIND_REQUEST)
		return STEER_drop_kind;
	if ((__s32)(header[8] | (__u32)header[9] << 8) != length - 8 ||
	    length - 8 > ABAFT_PACKET_BYTES_MAX)
		return STEER_drop_length;
	about->tenant = steer_word(header + __builtin_offsetof(struct abaft_wire_header, tenant));
	return STEER_redirected;
}

STEER_INLINE enum steer_verdict
steer_ipv4(struct steer_cursor *cursor, const struct steer_rules *rules, struct steer_about *about)
{
	const __u8 *ip = steer_take(cursor, 20);
	__u32 header_bytes, total;

	if (!ip || ip[0] >> 4 != 4)
		return STEER_pass_not_ip;
	header_bytes = (ip[0] & 15u) * 4;
	if (header_bytes < 20 || ip + header_bytes > cursor->end)
		return STEER_pass_not_ip;
	cursor->at = ip + header_bytes;
	if (ip[9] != 17)
		return STEER_pass_not_udp;
	/* More fragments, or an offset. */
	if (steer_be16(ip + 6) & 0x3fff)
		return STEER_pass_fragment;
	total = steer_be16(ip + 2);
	return steer_udp(cursor, rules, (__s32)total - (__s32)header_bytes,
			 ip + total > cursor->end, steer_own_ipv4(rules, ip + 16), about);
}

/* Steps over one extension header, if `next` names one. 0 if it is cut or too long. */
STEER_INLINE int steer_extension(struct steer_cursor *cursor, __u32 *next, __u32 *bytes)
{
	const __u8 *extension;
	__u32 units;

	/* Hop-by-hop, routing, destination: one branch, not three. */
	if (*next > 60 || !((1ull << 0 | 1ull << 43 | 1ull << 60) >> *next & 1))
		return 1;
	extension = steer_take(cursor, 8);
	if (!extension)
		return 0;
	*next = extension[0];
	units = extension[1];
	if (units >= STEER_EXTENSION_BYTES_MAX / 8)
		return 0;
	units &= STEER_EXTENSION_BYTES_MAX / 8 - 1;
	*bytes += units * 8 + 8;
	return steer_take(cursor, units * 8) != (const __u8 *)0;
}

STEER_INLINE enum steer_verdict
steer_ipv6(struct steer_cursor *cursor, const struct steer_rules *rules, struct steer_about *about)
{
	const __u8 *ip = steer_take(cursor, 40);
	__u32 next, payload, extensions = 0;

	if (!ip || ip[0] >> 4 != 6)
		return STEER_pass_not_ip;
	next = ip[6];
	payload = steer_be16(ip + 4);
	/* STEER_EXTENSIONS_MAX times; clang does not unroll a loop with so many ways out. */
	if (!steer_extension(cursor, &next, &extensions) ||
	    !steer_extension(cursor, &next, &extensions) ||
	    !steer_extension(cursor, &next, &extensions) ||
	    !steer_extension(cursor, &next, &extensions))
		return STEER_pass_not_udp;
	if (next == 44)
		return STEER_pass_fragment;
	if (next != 17)
		return STEER_pass_not_udp;
	return steer_udp(cursor, rules, (__s32)payload - (__s32)extensions,
			 ip + 40 + payload > cursor->end, steer_own_ipv6(rules, ip + 24), about);
}

/* The verdict on the frame in [start, end), and what is told about it. Never pass_no_socket: only
 * the caller can know that. */
STEER_INLINE enum steer_verdict steer_decide(const __u8 *start, const __u8 *end,
					     const struct steer_rules *rules,
					     struct steer_about *about)
{
	struct steer_cursor cursor = {start, end};
	__u32 type = steer_ethertype(&cursor);

	if (type == 0x0800)
		return steer_ipv4(&cursor, rules, about);
	if (type == 0x86dd)
		return steer_ipv6(&cursor, rules, about);
	return STEER_pass_not_ip;
}

/* Is a frame with this verdict to be dropped? */
STEER_INLINE int steer_drops(enum steer_verdict verdict)
{
	return verdict >= STEER_drop_short;
}

#endif
