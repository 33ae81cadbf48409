/* SPDX-License-Identifier: Apache-2.0 */
/*
 * wire_test.c - docs/wire.md says what wire.h, error.h and the client's packets say.
 *
 * The tables and the example are read out of the document itself, so neither can change alone.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "tests/lib/fake_path.h"

static char *document;

static int read_document(void **state)
{
	FILE *file = fopen(WIRE_DOCUMENT, "r");
	size_t len;

	if (!file)
		return -1;
	document = calloc(1, 1 << 17);
	len = document ? fread(document, 1, (1 << 17) - 1, file) : 0;
	fclose(file);
	return len ? 0 : -1;
}

static int free_document(void **state)
{
	free(document);
	return 0;
}

struct field {
	const char *name;
	size_t offset, bytes;
};

#define FIELD(type, name)                                                                          \
	{                                                                                          \
#name, offsetof(struct type, name), sizeof(((struct type *)NULL)->name)            \
	}

/* The table's rows, after the line that begins with `head`, are these fields and no more. */
static void table_is(const char *head, const struct field *fields, size_t count, size_t total)
{
	const char *at = strstr(document, head);
	size_t next = 0;

	assert_non_null(at);
	at = strchr(at, '\n') + 1; /* |---| */
	at = strchr(at, '\n') + 1;
	for (size_t i = 0; i < count; i++) {
		unsigned int offset, bytes;
		char name[32];

		assert_int_equal(sscanf(at, "| %u | %u | %31s |", &offset, &bytes, name), 3);
		assert_string_equal(name, fields[i].name);
		assert_int_equal(offset, fields[i].offset);
		assert_int_equal(bytes, fields[i].bytes);
		assert_int_equal(offset, next);
		next = offset + bytes;
		at = strchr(at, '\n') + 1;
	}
	assert_int_equal(next, total);
	assert_int_not_equal(*at, '|');
}

static void header_table(void **state)
{
	static const struct field fields[] = {
		FIELD(abaft_wire_header, magic),       FIELD(abaft_wire_header, version),
		FIELD(abaft_wire_header, kind),	       FIELD(abaft_wire_header, flags),
		FIELD(abaft_wire_header, length),      FIELD(abaft_wire_header, ops),
		FIELD(abaft_wire_header, status),      FIELD(abaft_wire_header, workers),
		FIELD(abaft_wire_header, request),     FIELD(abaft_wire_header, txn),
		FIELD(abaft_wire_header, step),	       FIELD(abaft_wire_header, attempt),
		FIELD(abaft_wire_header, seq),	       FIELD(abaft_wire_header, instance),
		FIELD(abaft_wire_header, deadline_ms), FIELD(abaft_wire_header, tenant),
		FIELD(abaft_wire_header, auth),
	};

	table_is("| offset | bytes | field |", fields, sizeof(fields) / sizeof(fields[0]), 80);
}

static void operation_table(void **state)
{
	static const struct field fields[] = {
		FIELD(abaft_wire_op, code),    FIELD(abaft_wire_op, flags),
		FIELD(abaft_wire_op, key_len), FIELD(abaft_wire_op, total),
		FIELD(abaft_wire_op, offset),  FIELD(abaft_wire_op, data_len),
	};

	table_is("| offset | bytes | operation |", fields, sizeof(fields) / sizeof(fields[0]), 16);
}

static void result_table(void **state)
{
	static const struct field fields[] = {
		FIELD(abaft_wire_result, code),	    FIELD(abaft_wire_result, flags),
		FIELD(abaft_wire_result, status),   FIELD(abaft_wire_result, total),
		FIELD(abaft_wire_result, offset),   FIELD(abaft_wire_result, data_len),
		FIELD(abaft_wire_result, time),	    FIELD(abaft_wire_result, origin),
		FIELD(abaft_wire_result, reserved),
	};

	table_is("| offset | bytes | result |", fields, sizeof(fields) / sizeof(fields[0]), 32);
}

static void code_table(void **state)
{
	static const char *const names[] = {"GET",    "PUT",   "DELETE", "PUT_PART", "GET_PART",
					    "COMMIT", "ABORT", "STATUS", "INFO",     "APPEND"};
	const char *at = strstr(document, "| code | name |");

	assert_int_equal(ABAFT_OP_GET, 1);
	assert_int_equal(ABAFT_OP_COMMIT, 6);
	assert_int_equal(ABAFT_OP_APPEND, 10);
	for (int i = 0; i < 10; i++) {
		char row[32];

		snprintf(row, sizeof(row), "\n| %d | %s |", i + 1, names[i]);
		assert_non_null(strstr(at, row));
	}
}

static void status_table(void **state)
{
	const char *at = strstr(document, "| status | name | retry |");
	static const char *const retries[] = {"no", "same", "restart", "new"};

	for (int code = 0; code <= ABAFT_CORRUPT; code++) {
		char row[160];

		snprintf(row, sizeof(row), "\n| %d | %s | %s | %s |\n", code,
			 abaft_error_name(code), retries[abaft_retry_of(code)],
			 abaft_strerror(code));
		if (!strstr(at, row))
			print_error("missing: %s", row);
		assert_non_null(strstr(at, row));
	}
}

static void limit_table(void **state)
{
	static const struct {
		const char *name;
		unsigned int value;
	} limits[] = {
		{"bytes of a packet", ABAFT_PACKET_BYTES_MAX},
		{"operations in a packet", ABAFT_OPS_MAX},
		{"granule of value parts", ABAFT_PART_BYTES},
		{"keys read by a transaction", ABAFT_TXN_READS_MAX},
		{"keys written by a transaction", ABAFT_TXN_WRITES_MAX},
		{"bytes of a transaction's keys and metadata", ABAFT_TXN_META_BYTES_MAX},
		{"bytes of a transaction's values", ABAFT_TXN_VALUE_BYTES_MAX},
		{"steps of a transaction", ABAFT_TXN_STEPS_MAX},
		{"default life of a transaction after a packet", ABAFT_TXN_DEADLINE_MS_DEFAULT},
		{"longest life that can be asked for", ABAFT_TXN_DEADLINE_MS_MAX},
	};

	for (size_t i = 0; i < sizeof(limits) / sizeof(limits[0]); i++) {
		char row[128];

		snprintf(row, sizeof(row), "\n| %s | %u", limits[i].name, limits[i].value);
		if (!strstr(document, row))
			print_error("missing: %s\n", row);
		assert_non_null(strstr(document, row));
	}
	assert_non_null(strstr(document, "| bytes of a key | 1 to 1024 |"));
	assert_non_null(strstr(document, "| bytes of a value | 0 to 1048576 |"));
	assert_int_equal(ABAFT_KEY_BYTES_MAX, 1024);
	assert_int_equal(ABAFT_VALUE_BYTES_MAX, 1048576);
}

/* The document's block named `name` is these bytes: lines of "offset  hex  # comment". */
static void block_is(const char *name, const uint8_t *bytes, uint32_t len)
{
	char fence[32];
	const char *at;
	uint32_t found = 0;

	snprintf(fence, sizeof(fence), "```%s\n", name);
	at = strstr(document, fence);
	assert_non_null(at);
	at = strchr(at, '\n') + 1;
	while (*at && *at != '`') {
		unsigned int offset, byte;
		int used;

		assert_int_equal(sscanf(at, "%u%n", &offset, &used), 1);
		assert_int_equal(offset, found);
		for (at += used; sscanf(at, " %2x%n", &byte, &used) == 1 && *at != '\n';
		     at += used) {
			assert_true(found < len);
			if (byte != bytes[found])
				print_error("%s: byte %u is %02x\n", name, found, bytes[found]);
			assert_int_equal(byte, bytes[found]);
			found++;
			if (at[used] == ' ' && at[used + 1] == ' ')
				break;
		}
		at = strchr(at, '\n') + 1;
	}
	if (found != len) {
		for (uint32_t i = 0; i < len; i++)
			print_error("%02x%s", bytes[i], i % 16 == 15 ? "\n" : " ");
	}
	assert_int_equal(found, len);
}

static void example(void **state)
{
	struct fake_path *path = fake_path_create(1, 1, ABAFT_PACKET_BYTES_MAX);
	uint8_t request[ABAFT_PACKET_BYTES_MAX], answer[ABAFT_PACKET_BYTES_MAX], buf[16];
	struct abaft_begin begin = {0};
	struct packet_header header;
	struct packet_cursor cursor;
	struct txn_flight *flight;
	struct abaft_txn *txn;
	struct abaft_id id;
	uint32_t len;

	assert_int_equal(abaft_id_parse(&id, "0199a8f3-5c00-7abc-8def-0123456789ab"), ABAFT_OK);
	begin.id = &id;
	txn = fake_path_begin(path, 0, &begin);
	assert_int_equal(abaft_prep_put(txn, "a", 1, "one", 3, NULL), ABAFT_OK);
	assert_int_equal(abaft_prep_get(txn, "b", 1, buf, sizeof(buf), NULL), ABAFT_OK);
	assert_int_equal(abaft_prep_commit(txn, NULL), ABAFT_OK);
	assert_int_equal(txn_start(txn, path->now_us), ABAFT_OK);
	flight = txn_next(txn);
	assert_non_null(flight);
	len = txn_encode(flight, request);
	block_is("request", request, len);
	len = fake_node_handle(path->node, request, len, answer);
	block_is("answer", answer, len);
	assert_int_equal(packet_open(&cursor, &header, answer, len), PACKET_OK);
	txn_answer(flight, &header, &cursor, path->now_us);
	assert_int_equal(txn->err, ABAFT_OK);
	assert_null(path->node->fault);
	fake_path_destroy(path);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(header_table), cmocka_unit_test(operation_table),
		cmocka_unit_test(result_table), cmocka_unit_test(code_table),
		cmocka_unit_test(status_table), cmocka_unit_test(limit_table),
		cmocka_unit_test(example),
	};

	return cmocka_run_group_tests(tests, read_document, free_document);
}
