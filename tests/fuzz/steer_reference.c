/* SPDX-License-Identifier: Apache-2.0 */
/*
 * steer_reference.c - see steer_reference.h. In plain steps and slow: each layer says where the
 * next one begins and where it must end, as offsets; a frame that ends before a layer's fixed part
 * is not of that layer.
 */
#include "tests/fuzz/steer_reference.h"

#include <string.h>

enum { ETHERNET = 14, TAG = 4, TAGS = 2, UDP = 8, WIRE = 80, TENANT = 60, WIRE_MOST = 1440 };
enum { EXTENSIONS = 4, EXTENSION_MOST = 256 };
enum { HOP_BY_HOP = 0, UDP_NEXT = 17, ROUTING = 43, FRAGMENT = 44, DESTINATION = 60 };

struct layers {
	const uint8_t *frame;
	size_t bytes;
	size_t udp; /* where UDP begins */
	size_t end; /* where IP says that it ends; may lie before udp, or behind the frame */
};

static unsigned int network16(const uint8_t *p)
{
	return p[0] * 256u + p[1];
}

static bool all_zero(const uint8_t *p, size_t n)
{
	while (n > 0)
		if (p[--n] != 0)
			return false;
	return true;
}

/* Whether somebody can have it: RFC 1122 3.2.1.3, RFC 4291 2.5. */
static bool somebodys(const uint8_t *address, size_t bytes)
{
	if (bytes == 4)
		return address[0] != 0 && address[0] < 224;
	return address[0] != 255 && !all_zero(address, 16);
}

static bool ours(const struct reference_rules *rules, const uint8_t *address, size_t bytes)
{
	if (!somebodys(address, bytes))
		return false;
	if (rules->ipv4s + rules->ipv6s == 0)
		return true;
	for (size_t i = 0; bytes == 4 && i < rules->ipv4s; i++)
		if (memcmp(rules->ipv4[i], address, 4) == 0)
			return true;
	for (size_t i = 0; bytes == 16 && i < rules->ipv6s; i++)
		if (memcmp(rules->ipv6[i], address, 16) == 0)
			return true;
	return false;
}

/* NULL: UDP follows. */
static const char *read_ipv4(struct layers *l, size_t ip, struct reference_frame *out)
{
	const uint8_t *p = l->frame + ip;
	size_t header;

	if (l->bytes < ip + 20 || p[0] / 16 != 4)
		return "pass_not_ip";
	header = p[0] % 16 * 4u;
	if (header < 20 || l->bytes < ip + header)
		return "pass_not_ip";
	if (p[9] != UDP_NEXT)
		return "pass_not_udp";
	if (network16(p + 6) % 0x4000 != 0)
		return "pass_fragment";
	l->udp = ip + header;
	l->end = ip + network16(p + 2);
	out->address_bytes = 4;
	out->from = p + 12;
	out->to = p + 16;
	return NULL;
}

static const char *read_ipv6(struct layers *l, size_t ip, struct reference_frame *out)
{
	const uint8_t *p = l->frame + ip;
	size_t at = ip + 40;
	unsigned int next;

	if (l->bytes < at || p[0] / 16 != 6)
		return "pass_not_ip";
	next = p[6];
	for (int i = 0; i < EXTENSIONS; i++) {
		size_t length;

		if (next != HOP_BY_HOP && next != ROUTING && next != DESTINATION)
			break;
		if (l->bytes < at + 8)
			return "pass_not_udp";
		next = l->frame[at];
		length = 8 + 8u * l->frame[at + 1];
		if (length > EXTENSION_MOST || l->bytes < at + length)
			return "pass_not_udp";
		at += length;
	}
	if (next == FRAGMENT)
		return "pass_fragment";
	if (next != UDP_NEXT)
		return "pass_not_udp";
	l->udp = at;
	l->end = ip + 40 + network16(p + 4);
	out->address_bytes = 16;
	out->from = p + 8;
	out->to = p + 24;
	return NULL;
}

/* Ours by port and address: is it a request's header, and all there? */
static const char *read_wire(const struct layers *l, struct reference_frame *out)
{
	const uint8_t *wire = l->frame + out->payload;
	size_t length = network16(l->frame + l->udp + 4);

	out->udp_fits = l->end <= l->bytes && length >= UDP && l->udp + length <= l->end;
	if (!out->udp_fits || length < UDP + WIRE)
		return "drop_short";
	out->payload_bytes = length - UDP;
	if (memcmp(wire, "ABFT", 4) != 0)
		return "drop_magic";
	if (wire[4] != 1)
		return "drop_version";
	if (wire[5] != 1)
		return "drop_kind";
	if (wire[8] + wire[9] * 256u != out->payload_bytes || out->payload_bytes > WIRE_MOST)
		return "drop_length";
	for (int i = 3; i >= 0; i--)
		out->tenant = out->tenant * 256 + wire[TENANT + i];
	return "redirected";
}

static const char *read_udp(const struct reference_rules *rules, const struct layers *l,
			    struct reference_frame *out)
{
	const uint8_t *p = l->frame + l->udp;

	if (l->bytes < l->udp + UDP)
		return "pass_not_udp";
	out->port_from = network16(p);
	out->port_to = network16(p + 2);
	out->payload = l->udp + UDP;
	if (out->port_to < rules->port_first || out->port_to >= rules->port_first + rules->ports)
		return "pass_other_port";
	if (!ours(rules, out->to, out->address_bytes))
		return "pass_other_address";
	out->answerable = out->port_from != 0 && somebodys(out->from, out->address_bytes);
	return read_wire(l, out);
}

void reference_steer(const struct reference_rules *rules, const uint8_t *frame, size_t bytes,
		     struct reference_frame *out)
{
	struct layers l = {.frame = frame, .bytes = bytes};
	size_t ip = ETHERNET;

	memset(out, 0, sizeof(*out));
	out->verdict = "pass_not_ip";
	if (bytes < ETHERNET)
		return;
	for (int tags = 0; tags < TAGS; tags++) {
		unsigned int type = network16(frame + ip - 2);

		if (type != 0x8100 && type != 0x88a8)
			break;
		ip += TAG;
		if (bytes < ip)
			return;
	}
	if (network16(frame + ip - 2) == 0x0800)
		out->verdict = read_ipv4(&l, ip, out);
	else if (network16(frame + ip - 2) == 0x86dd)
		out->verdict = read_ipv6(&l, ip, out);
	if (!out->verdict)
		out->verdict = read_udp(rules, &l, out);
}
