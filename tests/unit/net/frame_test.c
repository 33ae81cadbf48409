/* SPDX-License-Identifier: Apache-2.0 */
/* frame_test.c - frames in, frames out; checksums are verified by packet.h's slow sum. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <errno.h>

#include <cmocka.h>

#include "dataplane/net/frame.h"
#include "tests/lib/packet.h"

#define OURS .from = 40000, .to = 7401

static const struct packet_shape shapes[] = {
	{OURS, .payload_len = 100},
	{OURS, .payload_len = 101},
	{OURS, .payload_len = 0},
	{OURS, .payload_len = 1},
	{OURS, .payload_len = ABAFT_PACKET_BYTES_MAX},
	{OURS, .payload_len = 99, .vlans = 1},
	{OURS, .payload_len = 100, .vlans = 2, .option_bytes = 12},
	{OURS, .payload_len = 100, .ipv6 = true},
	{OURS, .payload_len = 81, .ipv6 = true, .vlans = 2},
	{OURS, .payload_len = 83, .ipv6 = true, .extensions = 4, .extension_bytes = 24},
};
#define SHAPES (sizeof(shapes) / sizeof(shapes[0]))

struct made {
	uint8_t bytes[PACKET_ROOM];
	struct frame frame;
};

static void make(struct made *made, const struct packet_shape *shape)
{
	memset(&made->frame, 0, sizeof(made->frame));
	made->frame.len = packet_build(made->bytes, shape);
	made->frame.data = made->bytes;
	made->frame.room = PACKET_ROOM;
}

static enum frame_result parse(const struct made *made)
{
	struct frame_view view;

	return frame_parse(&made->frame, false, &view);
}

static void views(void **state)
{
	struct made made;

	for (size_t i = 0; i < SHAPES; i++) {
		const struct packet_shape *shape = &shapes[i];
		struct frame_view view;

		make(&made, shape);
		assert_int_equal(frame_parse(&made.frame, false, &view), FRAME_OK);
		assert_int_equal(view.ip, packet_ip(shape));
		assert_int_equal(view.udp, packet_udp(shape));
		assert_int_equal(view.payload, packet_udp(shape) + 8);
		assert_int_equal(view.payload_len, shape->payload_len);
		assert_int_equal(view.port_from, shape->from);
		assert_int_equal(view.port_to, shape->to);
		assert_int_equal(view.address_bytes, shape->ipv6 ? 16 : 4);
		assert_memory_equal(view.address_from,
				    made.bytes + view.ip + (shape->ipv6 ? 8 : 12),
				    view.address_bytes);
		assert_memory_equal(view.address_to, made.bytes + view.ip + (shape->ipv6 ? 24 : 16),
				    view.address_bytes);
	}
}

/* The frame stands at the end of its allocation, so that ASan sees any read beyond it. */
static void cut_at_every_byte(void **state)
{
	struct frame_view view;
	struct made made;

	for (size_t i = 0; i < SHAPES; i++) {
		make(&made, &shapes[i]);
		for (uint32_t len = 0; len < made.frame.len; len++) {
			struct frame cut = {.len = len, .room = len};

			cut.data = malloc(len ? len : 1);
			assert_non_null(cut.data);
			memcpy(cut.data, made.bytes, len);
			assert_int_equal(frame_parse(&cut, false, &view), FRAME_CUT);
			free(cut.data);
		}
	}
}

static void any_flipped_bit_is_seen(void **state)
{
	struct packet_shape ipv4 = {OURS, .payload_len = 90}, ipv6 = ipv4;
	struct made made;

	ipv6.ipv6 = true;
	for (int v6 = 0; v6 < 2; v6++) {
		make(&made, v6 ? &ipv6 : &ipv4);
		/* But for the tag-less Ethernet header and IPv6's class, label and hops. */
		for (uint32_t at = v6 ? 18 : 14; at < made.frame.len; at++) {
			if (v6 && at == 14 + 7)
				continue;
			made.bytes[at] ^= 4;
			assert_int_not_equal(parse(&made), FRAME_OK);
			made.bytes[at] ^= 4;
		}
		assert_int_equal(parse(&made), FRAME_OK);
	}
}

static void checksums(void **state)
{
	struct packet_shape shape = {OURS, .payload_len = 90};
	struct frame_view view;
	struct made made;

	make(&made, &shape);
	made.bytes[100] ^= 1;
	assert_int_equal(parse(&made), FRAME_BAD_CHECKSUM);
	/* A local sender, or the device, vouches. */
	assert_int_equal(frame_parse(&made.frame, true, &view), FRAME_OK);
	made.frame.flags = FRAME_CHECKSUM_GOOD;
	assert_int_equal(parse(&made), FRAME_OK);
	make(&made, &shape);
	made.frame.flags = FRAME_CHECKSUM_BAD;
	assert_int_equal(parse(&made), FRAME_BAD_CHECKSUM);
	make(&made, &shape);
	made.bytes[14 + 10] ^= 1;
	assert_int_equal(parse(&made), FRAME_BAD_CHECKSUM);
	/* 0 means none: IPv4 allows it, IPv6 does not. */
	make(&made, &shape);
	packet_be16(made.bytes + 34 + 6, 0);
	assert_int_equal(parse(&made), FRAME_OK);
	shape.ipv6 = true;
	make(&made, &shape);
	packet_be16(made.bytes + 54 + 6, 0);
	assert_int_equal(parse(&made), FRAME_BAD_CHECKSUM);
}

static void change(uint32_t at, uint8_t value, bool ipv6, enum frame_result want)
{
	struct packet_shape shape = {OURS, .payload_len = 90, .ipv6 = ipv6};
	struct frame_view view;
	struct made made;

	make(&made, &shape);
	made.bytes[at] = value;
	assert_int_equal(frame_parse(&made.frame, true, &view), want);
}

static void refusals(void **state)
{
	change(12, 9, false, FRAME_NOT_OURS);	     /* another EtherType */
	change(14, 0x55, false, FRAME_NOT_OURS);     /* version */
	change(14, 0x44, false, FRAME_CUT);	     /* header of 16 bytes */
	change(14 + 3, 19, false, FRAME_CUT);	     /* total within the header */
	change(14 + 3, 27, false, FRAME_CUT);	     /* no room for UDP */
	change(14 + 2, 1, false, FRAME_CUT);	     /* total beyond the frame */
	change(14 + 9, 6, false, FRAME_NOT_OURS);    /* TCP */
	change(14 + 6, 0x20, false, FRAME_NOT_OURS); /* more fragments */
	change(14 + 7, 1, false, FRAME_NOT_OURS);    /* an offset */
	change(14 + 12, 224, false, FRAME_NOT_OURS); /* from multicast */
	change(14 + 12, 0, false, FRAME_NOT_OURS);   /* from 0.x */
	change(14 + 16, 255, false, FRAME_NOT_OURS); /* to broadcast */
	change(14 + 16, 0, false, FRAME_NOT_OURS);   /* to 0.x */
	change(34 + 5, 7, false, FRAME_CUT);	     /* UDP within its header */
	change(34 + 5, 99, false, FRAME_CUT);	     /* UDP beyond IP */
	change(14, 0x45, true, FRAME_NOT_OURS);
	change(14 + 6, 6, true, FRAME_NOT_OURS);
	change(14 + 6, 44, true, FRAME_NOT_OURS);
	change(14 + 5, 7, true, FRAME_CUT);
	change(14 + 4, 1, true, FRAME_CUT);
	change(14 + 8, 0xff, true, FRAME_NOT_OURS);
	change(14 + 24, 0xff, true, FRAME_NOT_OURS);
}

static void port_zero_has_no_answer(void **state)
{
	struct packet_shape shape = {.to = 7400, .payload_len = 90};
	struct made made;

	make(&made, &shape);
	assert_int_equal(parse(&made), FRAME_NOT_OURS);
}

static void from_nowhere_has_no_answer(void **state)
{
	struct packet_shape shape = {OURS, .payload_len = 90, .ipv6 = true};
	struct made made;

	make(&made, &shape);
	memset(made.bytes + 14 + 8, 0, 16);
	packet_finish(made.bytes, &shape);
	assert_int_equal(parse(&made), FRAME_NOT_OURS);
}

static void too_many_headers(void **state)
{
	struct packet_shape tags = {OURS, .payload_len = 90, .vlans = 3};
	struct packet_shape five = {OURS, .payload_len = 90, .ipv6 = true, .extensions = 5};
	struct packet_shape large = {OURS, .payload_len = 90, .ipv6 = true, .extensions = 1,
				     .extension_bytes = 264};
	struct made made;

	make(&made, &tags);
	assert_int_equal(parse(&made), FRAME_NOT_OURS);
	make(&made, &five);
	assert_int_equal(parse(&made), FRAME_NOT_OURS);
	make(&made, &large);
	assert_int_equal(parse(&made), FRAME_NOT_OURS);
}

/* Looks at an answer's every field. */
static void check_answer(const struct made *answer, const struct made *request,
			 const struct packet_shape *shape, const uint8_t *payload, uint32_t len)
{
	uint32_t ip = packet_ip(shape), ip_bytes = shape->ipv6 ? 40 : 20, udp = ip + ip_bytes;
	const uint8_t *out = answer->bytes, *in = request->bytes;

	assert_int_equal(answer->frame.len, udp + 8 + len);
	assert_memory_equal(out, in + 6, 6);
	assert_memory_equal(out + 6, in, 6);
	assert_memory_equal(out + 12, in + 12, ip - 12); /* tags and EtherType */
	if (shape->ipv6) {
		assert_int_equal(out[ip], 0x60);
		assert_int_equal(out[ip + 4] << 8 | out[ip + 5], 8 + len);
		assert_int_equal(out[ip + 6], 17);
		assert_int_equal(out[ip + 7], 64);
		assert_memory_equal(out + ip + 8, in + ip + 24, 16);
		assert_memory_equal(out + ip + 24, in + ip + 8, 16);
	} else {
		assert_int_equal(out[ip], 0x45);
		assert_int_equal(out[ip + 2] << 8 | out[ip + 3], 28 + len);
		assert_int_equal(out[ip + 8], 64);
		assert_int_equal(out[ip + 9], 17);
		assert_memory_equal(out + ip + 12, in + ip + 16, 4);
		assert_memory_equal(out + ip + 16, in + ip + 12, 4);
		assert_int_equal(packet_sum(NULL, 0, out + ip, 20), 0);
	}
	assert_int_equal(out[udp] << 8 | out[udp + 1], shape->to);
	assert_int_equal(out[udp + 2] << 8 | out[udp + 3], shape->from);
	assert_int_equal(out[udp + 4] << 8 | out[udp + 5], 8 + len);
	assert_true(out[udp + 6] || out[udp + 7]);
	assert_int_equal(packet_upper_sum(out + ip, 17, out + udp, 8 + len), 0);
	assert_memory_equal(out + udp + 8, payload, len);
}

static void answers(void **state)
{
	static const uint16_t lens[] = {0, 1, 80, 81, 1439, ABAFT_PACKET_BYTES_MAX};
	uint8_t payload[ABAFT_PACKET_BYTES_MAX];
	struct made request, answer;
	struct frame_view view;

	for (uint32_t i = 0; i < sizeof(payload); i++)
		payload[i] = (uint8_t)(i * 7 + 3);
	for (size_t i = 0; i < SHAPES; i++) {
		for (size_t l = 0; l < sizeof(lens) / sizeof(lens[0]); l++) {
			make(&request, &shapes[i]);
			make(&answer, &shapes[i]);
			assert_int_equal(frame_parse(&answer.frame, false, &view), FRAME_OK);
			memcpy(answer.bytes + view.payload, payload, lens[l]);
			assert_int_equal(frame_reply(&answer.frame, &view, lens[l]), 0);
			check_answer(&answer, &request, &shapes[i], payload, lens[l]);
			/* The view is the answer's now. */
			assert_memory_equal(answer.bytes + view.payload, payload, lens[l]);
			assert_int_equal(view.port_from, shapes[i].to);
			assert_int_equal(parse(&answer), FRAME_OK);
		}
	}
}

/* A payload can be chosen so that the sum is 0; it is sent as 0xffff (RFC 768). */
static void sum_of_zero(void **state)
{
	for (int v6 = 0; v6 < 2; v6++) {
		struct packet_shape shape = {OURS, .payload_len = 2, .ipv6 = v6};
		struct frame_view view;
		struct made made;
		uint32_t udp = packet_udp(&shape);

		make(&made, &shape);
		assert_int_equal(frame_parse(&made.frame, false, &view), FRAME_OK);
		packet_be16(made.bytes + udp + 8, 0);
		assert_int_equal(frame_reply(&made.frame, &view, 2), 0);
		/* With 0 there the checksum is s; with s there it is 0. */
		memcpy(made.bytes + udp + 8, made.bytes + udp + 6, 2);
		packet_be16(made.bytes + udp + 6, 0);
		assert_int_equal(packet_upper_sum(made.bytes + 14, 17, made.bytes + udp, 10), 0);
		assert_int_equal(frame_parse(&made.frame, true, &view), FRAME_OK);
		assert_int_equal(frame_reply(&made.frame, &view, 2), 0);
		assert_int_equal(made.bytes[udp + 6] << 8 | made.bytes[udp + 7], 0xffff);
	}
}

static void no_room(void **state)
{
	struct packet_shape shape = {OURS, .payload_len = 90};
	struct made made, before;
	struct frame_view view;

	make(&made, &shape);
	assert_int_equal(frame_parse(&made.frame, false, &view), FRAME_OK);
	made.frame.room = view.payload + 100u;
	assert_int_equal(frame_reply_room(&made.frame, &view), 100);
	before = made;
	assert_int_equal(frame_reply(&made.frame, &view, 101), -EMSGSIZE);
	assert_memory_equal(made.bytes, before.bytes, PACKET_ROOM);
	assert_int_equal(frame_reply(&made.frame, &view, 100), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(views),
		cmocka_unit_test(cut_at_every_byte),
		cmocka_unit_test(any_flipped_bit_is_seen),
		cmocka_unit_test(checksums),
		cmocka_unit_test(refusals),
		cmocka_unit_test(port_zero_has_no_answer),
		cmocka_unit_test(from_nowhere_has_no_answer),
		cmocka_unit_test(too_many_headers),
		cmocka_unit_test(answers),
		cmocka_unit_test(sum_of_zero),
		cmocka_unit_test(no_room),
	};

	return cmocka_run_group_tests_name("frame", tests, NULL, NULL);
}
