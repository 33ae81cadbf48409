// SPDX-License-Identifier: Apache-2.0
/*
 * memory_test.c - histories that never were files: written to a memfd and judged in the same
 * process, as simulations do it. Linked with history_dep alone.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cmocka.h>

#include "tools/history/model.h"

static struct abaft_id id_of(uint8_t n)
{
	return (struct abaft_id){{[6] = 0x70, [8] = 0x80, [15] = n}};
}

/* A transaction that writes x and y at version 10 * n. */
static void write_both(struct history_writer *writer, uint8_t n)
{
	struct history_head head = {.id = id_of(n),
				    .client = "sim",
				    .whole = true,
				    .start_us = 100u * n,
				    .end_us = 100u * n + 50,
				    .outcome = HISTORY_COMMITTED,
				    .version = {.time = 10u * n, .origin = 1}};

	history_begin(writer, &head);
	history_write(writer, "x", 1, (struct tag_number){0, 0, 1}, head.start_us);
	history_write(writer, "y", 1, (struct tag_number){0, 0, 2}, head.start_us);
	assert_int_equal(history_finish(writer), 0);
}

static void read_one(struct history_writer *writer, const char *key, uint8_t from)
{
	struct abaft_id id = id_of(from);
	struct tag_source source = {.id = &id,
				    .number = {0, 0, key[0] == 'x' ? 1 : 2},
				    .time_us = 100u * from,
				    .key = {key, 1}};
	char value[256];
	ssize_t n = tag_write(value, sizeof(value), &source);

	assert_true(n > 0);
	history_read(writer, key, 1, (struct abaft_version){.time = 10u * from, .origin = 1}, value,
		     (size_t)n);
}

/* A reader of x from transaction 2 and y from transaction `y`. */
static void read_both(struct history_writer *writer, uint8_t y)
{
	struct history_head head = {.id = id_of(9),
				    .client = "sim",
				    .whole = true,
				    .start_us = 900,
				    .end_us = 950,
				    .outcome = HISTORY_COMMITTED};

	history_begin(writer, &head);
	read_one(writer, "x", 2);
	read_one(writer, "y", y);
	assert_int_equal(history_finish(writer), 0);
}

/* The judged history of two writers and that reader. */
static struct check *judge(uint8_t y)
{
	int fd = memfd_create("history", MFD_CLOEXEC);
	struct check *check = check_create(3);
	struct history_writer *writer;

	assert_true(fd >= 0);
	assert_non_null(check);
	assert_int_equal(history_open_fd(&writer, fd), 0);
	write_both(writer, 1);
	write_both(writer, 2);
	read_both(writer, y);
	history_close(writer);
	assert_int_equal(check_read_fd(check, fd, "seed 7"), 0);
	assert_int_equal(lseek(fd, 0, SEEK_CUR), lseek(fd, 0, SEEK_END)); /* where it was */
	assert_int_equal(close(fd), 0);
	assert_int_equal(check_judge(check), 0);
	return check;
}

static void judges_in_process(void **state)
{
	struct check *check = judge(2);

	assert_int_equal(check_anomalies(check), 0);
	assert_int_equal(check->fates[CHECK_COMMITTED], 3);
	assert_string_equal(check->files[0], "seed 7");
	check_destroy(check);
	check = judge(1);
	assert_int_equal(check_anomalies(check), 1);
	assert_int_equal(check->transactions[CHECK_fractured_forward], 1);
	check_destroy(check);
}

/* A campaign does it for each seed; under ASan a leak shows, here lost descriptors do. */
static void judges_many_in_turn(void **state)
{
	int before = dup(0), after;

	for (int i = 0; i < 300; i++) {
		struct check *check = judge(i % 2 ? 1 : 2);

		assert_int_equal(check_anomalies(check), i % 2);
		check_destroy(check);
	}
	after = dup(0);
	assert_int_equal(after, before + 1);
	close(before);
	close(after);
}

static void says_what_it_cannot_read(void **state)
{
	int fd = memfd_create("history", MFD_CLOEXEC);
	struct check *check = check_create(0);

	assert_int_equal(write(fd, "nonsense\n", 9), 9);
	assert_int_not_equal(check_read_fd(check, fd, "seed 8"), 0);
	assert_non_null(strstr(check->error, "seed 8:1: "));
	assert_int_equal(close(fd), 0);
	assert_int_not_equal(check_read_fd(check, fd, "seed 9"), 0);
	assert_non_null(strstr(check->error, "seed 9: "));
	check_destroy(check);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(judges_in_process),
		cmocka_unit_test(judges_many_in_turn),
		cmocka_unit_test(says_what_it_cannot_read),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
