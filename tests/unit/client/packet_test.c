/* SPDX-License-Identifier: Apache-2.0 */
/*
 * packet_test.c - what is written fits, and each way an answer can be wrong is told.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#include "client/packet.h"

/* An answer with one result of 5 bytes of data. */
struct answer {
	struct abaft_wire_header header;
	struct abaft_wire_result result;
	uint8_t data[5];
};

static struct answer answer(void)
{
	struct answer a = {
		.header = {.magic = "ABFT",
			   .version = 1,
			   .kind = ABAFT_KIND_ANSWER,
			   .length = {sizeof(struct answer)},
			   .ops = {1},
			   .workers = {3},
			   .request = {1, 2, 3, 4, 5, 6, 7, 8},
			   .instance = {8, 7, 6, 5, 4, 3, 2, 1}},
		.result = {.code = ABAFT_OP_GET,
			   .flags = ABAFT_RESULT_OWN,
			   .status = {1, 2},
			   .total = {5, 0, 1},
			   .offset = {0, 1},
			   .data_len = {5},
			   .time = {1, 0, 0, 0, 0, 0, 0, 2},
			   .origin = {9, 0, 0, 1}},
		.data = "value",
	};

	return a;
}

static enum packet_fault open_answer(const struct answer *a, uint32_t bytes)
{
	struct packet_header header;
	struct packet_cursor cursor;

	return packet_open(&cursor, &header, (const uint8_t *)a, bytes);
}

static void answers_are_read(void **state)
{
	struct answer a = answer();
	struct packet_header header;
	struct packet_cursor cursor;
	struct packet_result result;

	assert_int_equal(packet_open(&cursor, &header, (uint8_t *)&a, sizeof(a)), PACKET_OK);
	assert_int_equal(header.ops, 1);
	assert_int_equal(header.workers, 3);
	assert_true(header.request == 0x0807060504030201);
	assert_true(header.instance == 0x0102030405060708);
	assert_int_equal(packet_next(&cursor, &result), PACKET_OK);
	assert_int_equal(result.code, ABAFT_OP_GET);
	assert_int_equal(result.flags, ABAFT_RESULT_OWN);
	assert_int_equal(result.status, 0x0201);
	assert_int_equal(result.total, 0x10005);
	assert_int_equal(result.offset, 0x100);
	assert_true(result.time == 0x0200000000000001);
	assert_int_equal(result.origin, 0x01000009);
	assert_int_equal(result.data_len, 5);
	assert_memory_equal(result.data, "value", 5);
	assert_int_equal(packet_close(&cursor), PACKET_OK);
	assert_int_equal(packet_next(&cursor, &result), PACKET_RESULT);
}

static void wrong_headers(void **state)
{
	struct answer a = answer();

	for (uint32_t bytes = 0; bytes < sizeof(a.header); bytes++)
		assert_int_equal(open_answer(&a, bytes), PACKET_SHORT);
	assert_int_equal(open_answer(&a, sizeof(a) - 1), PACKET_LENGTH);
	a.header.magic[3] ^= 1;
	assert_int_equal(open_answer(&a, sizeof(a)), PACKET_MAGIC);
	a = answer();
	a.header.version = 2;
	assert_int_equal(open_answer(&a, sizeof(a)), PACKET_VERSION);
	a = answer();
	a.header.kind = ABAFT_KIND_REQUEST;
	assert_int_equal(open_answer(&a, sizeof(a)), PACKET_KIND);
	a = answer();
	a.header.flags[1] = 1;
	assert_int_equal(open_answer(&a, sizeof(a)), PACKET_FLAGS);
	a = answer();
	a.header.flags[0] = ABAFT_FLAG_OPEN;
	assert_int_equal(open_answer(&a, sizeof(a)), PACKET_FLAGS);
	a = answer();
	a.header.status[0] = ABAFT_FLAG_REFUSED;
	assert_int_equal(open_answer(&a, sizeof(a)), PACKET_REFUSED);
	a.header.flags[0] = ABAFT_FLAG_REFUSED;
	assert_int_equal(open_answer(&a, sizeof(a)), PACKET_REFUSED);
	a.header.ops[0] = 0;
	assert_int_equal(open_answer(&a, sizeof(a)), PACKET_OK);
	a.header.status[0] = 0;
	assert_int_equal(open_answer(&a, sizeof(a)), PACKET_REFUSED);
}

static void wrong_results(void **state)
{
	struct answer a = answer();
	struct packet_header header;
	struct packet_cursor cursor;
	struct packet_result result;

	for (int byte = 0; byte < 4; byte++) {
		a = answer();
		a.result.data_len[byte] = 0xff;
		assert_int_equal(packet_open(&cursor, &header, (uint8_t *)&a, sizeof(a)),
				 PACKET_OK);
		assert_int_equal(packet_next(&cursor, &result), PACKET_RESULT);
	}
	a = answer();
	a.result.data_len[0] = 4;
	assert_int_equal(packet_open(&cursor, &header, (uint8_t *)&a, sizeof(a)), PACKET_OK);
	assert_int_equal(packet_next(&cursor, &result), PACKET_OK);
	assert_int_equal(packet_close(&cursor), PACKET_TRAILER);
	assert_int_equal(packet_next(&cursor, &result), PACKET_RESULT);
}

static void only_what_fits_is_written(void **state)
{
	uint8_t buf[129], key[10] = "0123456789", data[18];
	struct packet_op op = {.code = ABAFT_OP_PUT,
			       .key_bytes = sizeof(key),
			       .key = key,
			       .total = sizeof(data),
			       .data = data,
			       .data_len = sizeof(data)};
	struct packet_header header = {.request = 5, .seq = 1};
	struct packet_writer writer;

	memset(data, 'd', sizeof(data));
	memset(buf, 0xee, sizeof(buf));
	packet_writer_begin(&writer, buf, 80 + 16 + 10 + 18);
	assert_true(packet_add(&writer, &op));
	assert_false(packet_add(&writer, &op));
	assert_int_equal(packet_writer_finish(&writer, &header), 124);
	assert_int_equal(buf[8], 124);
	assert_int_equal(buf[10], 1);
	assert_memory_equal(buf + 96, "0123456789dddddddddddddddddd", 28);
	assert_int_equal(buf[124], 0xee);
	packet_writer_begin(&writer, buf, 80 + 16 + 10 + 17);
	assert_false(packet_add(&writer, &op));
	assert_int_equal(packet_writer_finish(&writer, &header), 80);
	/* What is only wanted takes no room. */
	op.data = NULL;
	op.data_len = 1 << 20;
	packet_writer_begin(&writer, buf, 80 + 16 + 10);
	assert_true(packet_add(&writer, &op));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(answers_are_read),
		cmocka_unit_test(wrong_headers),
		cmocka_unit_test(wrong_results),
		cmocka_unit_test(only_what_fits_is_written),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
