// SPDX-License-Identifier: Apache-2.0
/*
 * edn_test.c - the cursor over EDN, what is refused, what foreign histories become, and that ours
 * come back from EDN with the same verdict.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cmocka.h>

#include "tests/unit/history/world.h"
#include "tools/history/edn.h"

enum { ROUNDS = 2000 };

/* The forms of a text as "KIND:text ", with what went wrong at the end. */
static const char *forms(const char *text)
{
	static const char *const names[] = {"none", "map", "list", "key",
					    "str",  "num", "nil",  "atom"};
	struct edn edn = {text, text + strlen(text), 1};
	struct edn_form form;
	static char out[1024];
	const char *why = "";
	size_t at = 0;
	int err;

	out[0] = '\0';
	while (!(err = edn_next(&edn, &form, &why)) && form.kind != EDN_NONE)
		at += (size_t)snprintf(out + at, sizeof(out) - at, "%s:%.*s ", names[form.kind],
				       (int)form.len, form.text);
	if (err)
		snprintf(out + at, sizeof(out) - at, "! line %u: %s", edn.line, why);
	return out;
}

static void takes_forms(void **state)
{
	assert_string_equal(forms(""), "");
	assert_string_equal(forms(" , ; nothing\n\t"), "");
	assert_string_equal(forms(":a/b nil -12 +7 1.5 true x \\] \\newline ##Inf"),
			    "key:a/b nil:nil num:-12 num:+7 atom:1.5 atom:true atom:x atom:\\] "
			    "atom:\\newline atom:##Inf ");
	assert_string_equal(forms("\"a \\\" ] b\"5"), "str:a \\\" ] b num:5 ");
	assert_string_equal(forms("[1 [2 \"]\" \\] ; ]\n] 3]{:a (1)}#{4}"),
			    "list:1 [2 \"]\" \\] ; ]\n] 3 map::a (1) map:4 ");
	assert_string_equal(forms("#jepsen.Op {:a 1} #inst \"x\""), "map::a 1 str:x ");
	assert_string_equal(forms("1 #_ 2 #_ #_ [3 4] 5 6 #_\"a\" #_#t 7"), "num:1 num:6 ");
	assert_string_equal(forms("nilx - :"), "atom:nilx atom:- key: ");
}

static void refuses_broken_text(void **state)
{
	char deep[2 * EDN_DEPTH_MAX + 8] = "";

	assert_string_equal(forms("1\n(2"), "num:1 ! line 2: a bracket is not closed");
	assert_string_equal(forms("(1]"), "! line 1: a bracket is closed by another kind");
	assert_string_equal(forms("1)"), "num:1 ! line 1: a bracket is closed that was not opened");
	assert_string_equal(forms("\"ab"), "! line 1: a string has no end");
	assert_string_equal(forms("\"ab\\"), "! line 1: a string has no end");
	assert_string_equal(forms("[\"ab\\\""), "! line 1: a string has no end");
	assert_string_equal(forms("#_"), "! line 1: nothing follows a #_");
	memset(deep, '[', EDN_DEPTH_MAX);
	memset(deep + EDN_DEPTH_MAX, ']', EDN_DEPTH_MAX);
	assert_null(strchr(forms(deep), '!'));
	memset(deep, '[', EDN_DEPTH_MAX + 1);
	memset(deep + EDN_DEPTH_MAX + 1, ']', EDN_DEPTH_MAX + 1);
	assert_string_equal(forms(deep), "! line 1: brackets nest too deeply");
}

static int text_fd(const char *text)
{
	int fd = memfd_create("history.edn", MFD_CLOEXEC);

	assert_true(fd >= 0);
	assert_int_equal(write(fd, text, strlen(text)), strlen(text));
	return fd;
}

static struct check *judge_fd(int fd, const char *name)
{
	struct check *check = check_create(3);

	if (check_read_fd(check, fd, name))
		fail_msg("%s", check->error);
	assert_int_equal(check_judge(check), 0);
	close(fd);
	return check;
}

static void complains(const char *text, const char *where, const char *part)
{
	struct check *check = check_create(0);
	int fd = text_fd(text);

	assert_int_not_equal(check_read_fd(check, fd, "h.edn"), 0);
	if (!strstr(check->error, part) || strncmp(check->error, where, strlen(where)) != 0)
		fail_msg("'%s' does not say %s %s", check->error, where, part);
	check_destroy(check);
	close(fd);
}

/* clang-format off */
#define OK(p, value) "{:type :ok, :process " #p ", :f :txn, :value " value "}\n"
/* clang-format on */

static void says_what_it_cannot_read(void **state)
{
	complains("{:type :ok}\n[1]", "h.edn:2: ", "no map");
	complains("{:type}", "h.edn:1: ", "no value");
	complains("\n{:type :done, :process 1, :value []}", "h.edn:2: ", ":type");
	complains("{:type :ok, :process 1, :f :read, :value 5}", "h.edn:1: ", "no transaction");
	complains("{:type :ok, :process 1, :f :txn, :value 5}", "h.edn:1: ", ":value");
	complains(OK(1, "[[:r x 1]]") OK(1, "[[:r x]]"), "h.edn:2: ", ":r key value");
	complains(OK(1, "[[:cas x 1]]"), "h.edn:1: ", "neither");
	complains("{:type :invoke, :process 1, :value []}\n{:type :invoke, :process 1, :value []}",
		  "h.edn:2: ", "before its last");
	complains("{:type :ok, :process 1, :abaft/id \"x y\", :value [], :abaft/ops []}",
		  "h.edn:1: ", "space");
	complains("{:type :ok, :process 1, :abaft/id \"x\", :value [], :abaft/ops []}",
		  "h.edn:1: ", ":abaft/ field");
	complains("{:type :ok, :process 1, :f :final, :value [[:r \"x\" nil]], :abaft/ops []}",
		  "h.edn:1: ", "less than :value");
	complains("{", "h.edn:1: ", "not closed");
}

static void takes_foreign_histories(void **state)
{
	struct check *check = judge_fd(
		text_fd("; a nemesis, invocations, and a :fail without a value\n"
			"{:type :info, :process :nemesis, :f :start, :value \"cut\"}\n"
			"{:type :invoke, :process 0, :f :txn, :value [[:w :x 1] [:w 5 \"a\"]]}\n"
			"{:type :invoke, :process 1, :f :txn, :value [[:r :x nil]]}\n"
			"{:type :ok, :process 1, :f :txn, :value [[:r :x 1]]}\n"
			"{:type :ok, :process 0, :f :txn, :value [[:w :x 1] [:w 5 \"a\"]]}\n"
			"{:type :invoke, :process 0, :f :txn, :value [[:w :x 2]]}\n"
			"{:type :fail, :process 0, :f :txn}\n"
			"{:type :invoke, :process 1, :f :txn, :value [[:r :x nil] [:r :y nil]]}\n"
			"{:type :ok, :process 1, :f :txn, :value [[:r :x 2] [:r :y 9]]}\n"
			"{:type :invoke, :process 2, :f :txn, :value [[:w :y 3]]}\n"),
		"h");

	assert_int_equal(check->fates[CHECK_COMMITTED], 3);
	assert_int_equal(check->fates[CHECK_DROPPED], 1);
	assert_int_equal(check->fates[CHECK_UNDECIDED], 1);
	assert_int_equal(check->reads_unjudged, 1); /* y 9 was never written */
	assert_int_equal(check_anomalies(check), 1);
	assert_int_equal(check->pairs[CHECK_aborted_read], 1);
	check_destroy(check);
	/* In one vector, with tags; a value written twice is nobody's; times instead of places. */
	check = judge_fd(
		text_fd("[#jepsen.history.Op{:type :ok :process 0 :time 9000 :value [[:w x 1]]}"
			"#_{} {:type :ok :process 1 :time 7000 :value [[:r x 1] [:r x 1]]}\n"
			"{:type :ok :process 1 :time 1000 :value [[:w y 1] [:w y 1]]}"
			"{:type :ok :process 1 :time 9999 :value [[:r y 1]]}]"),
		"h");
	assert_int_equal(check->fates[CHECK_COMMITTED], 4);
	assert_int_equal(check->pairs[CHECK_dirty_read], 1);
	assert_int_equal(check_anomalies(check), 1);
	assert_int_equal(check->reads_unjudged, 1);
	check_destroy(check);
}

static int to_edn(int fd)
{
	int edn = memfd_create("history", MFD_CLOEXEC);
	FILE *out = fdopen(dup(edn), "w");
	char path[32], error[256];
	const char *paths[] = {path};

	assert_non_null(out);
	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	if (history_to_edn(paths, 1, out, error))
		fail_msg("%s", error);
	fclose(out);
	return edn;
}

static void same_verdict(const struct check *a, const struct check *b)
{
	assert_memory_equal(a->transactions, b->transactions, sizeof(a->transactions));
	assert_memory_equal(a->pairs, b->pairs, sizeof(a->pairs));
	assert_memory_equal(a->fates, b->fates, sizeof(a->fates));
	assert_int_equal(a->reads, b->reads);
	assert_int_equal(a->changes, b->changes);
	assert_int_equal(a->pairs_judged, b->pairs_judged);
	assert_int_equal(a->commits_judged, b->commits_judged);
	assert_int_equal(a->reads_unjudged, b->reads_unjudged);
	assert_int_equal(a->commits_unjudged, b->commits_unjudged);
	assert_int_equal(a->orders_unjudged, b->orders_unjudged);
	assert_int_equal(a->edges, b->edges);
	assert_int_equal(a->finals.count, b->finals.count);
}

static void comes_back_the_same(void **state)
{
	struct zipf_random random = {4711};
	uint64_t anomalies = 0;

	for (int round = 0; round < ROUNDS; round++) {
		FILE *file = fdopen(memfd_create("history", MFD_CLOEXEC), "w");
		struct check *own, *edn;
		struct world world;

		assert_non_null(file);
		world_make(&world, &random);
		world_print(&world, file);
		fflush(file);
		edn = judge_fd(to_edn(fileno(file)), "h");
		own = judge_fd(dup(fileno(file)), "h");
		fclose(file);
		same_verdict(own, edn);
		anomalies += check_anomalies(own) != 0;
		check_destroy(own);
		check_destroy(edn);
	}
	assert_true(anomalies > ROUNDS / 4 && anomalies < ROUNDS);
}

/* What random worlds do not have: steps, attempts, names and keys that need care, no value. */
static void keeps_what_is_rare(void **state)
{
	static const char text[] =
#define ID "00000000-0000-7000-8000-000000000001"
		"# a note\n"
		"T " ID " c\"\\; 3 2 5 9 open - w,a%20%22,3.2.1,7 d,b,3.2.2,8\n"
		"T " ID " c\"\\; 4 0 9 9 committed 18446744073709551615.4294967295 r,b,-,-\n"
		"T 00000000-0000-7000-8000-000000000002 d all 1 10 18446744073709551615 repeated - "
		"r,a%20%22,7.1," ID "/3.2.1/7/a%20%22/b,c r,b,9.9,?\n"
		"F r,a%20%22,7.1," ID "/3.2.1/7/a%20%22/b,c\n"
		"T cut short";
	struct check *own = judge_fd(text_fd(text), "h");
	int fd = text_fd(text);
	struct check *edn = judge_fd(to_edn(fd), "h");
	const struct check_part *a = own->parts, *b = edn->parts;

	close(fd);
	assert_int_equal(own->torn_lines, 1);
	same_verdict(own, edn);
	assert_int_equal(own->parts_count, edn->parts_count);
	assert_int_equal(own->ops_count, edn->ops_count);
	assert_memory_equal(own->ops, edn->ops, own->ops_count * sizeof(*own->ops));
	assert_int_equal(own->declared.count, edn->declared.count);
	for (size_t i = 0; i < own->parts_count; i++) {
		assert_int_equal(a[i].step, b[i].step);
		assert_int_equal(a[i].whole, b[i].whole);
		assert_int_equal(a[i].attempt, b[i].attempt);
		assert_int_equal(a[i].outcome, b[i].outcome);
		assert_int_equal(a[i].start_us, b[i].start_us);
		assert_int_equal(a[i].end_us, b[i].end_us);
		assert_memory_equal(&a[i].version, &b[i].version, sizeof(a[i].version));
	}
	assert_memory_equal(own->keys.text, edn->keys.text, own->keys.start[own->keys.count]);
	assert_memory_equal(own->clients.text, edn->clients.text,
			    own->clients.start[own->clients.count]);
	check_destroy(own);
	check_destroy(edn);
}

/* Foreign lists: everybody appends its number to each list, and reads them as they were at one
 * moment before its own, with what it has appended itself behind. */
static void print_lists(FILE *file, struct zipf_random *random)
{
	bool failed[TXNS], own[KEYS];

	for (int t = 0; t < TXNS; t++) {
		int moment = (int)(zipf_random_u64(random) % (unsigned)(t + 1));

		failed[t] = zipf_random_u64(random) % 5 == 0;
		memset(own, 0, sizeof(own));
		fprintf(file, "{:type :%s :process %d :value [", failed[t] ? "fail" : "ok", t);
		for (int i = 0; i < OPS + KEYS; i++) {
			int key = i < OPS ? (int)(zipf_random_u64(random) % KEYS) : i - OPS;

			if (i < OPS && zipf_random_u64(random) % 2) {
				fprintf(file, "[:r %d [", key);
				for (int w = 0; w < moment; w++)
					if (!failed[w])
						fprintf(file, " %d", w);
				fprintf(file, own[key] ? " %d]]" : "]]", t);
			} else if (!own[key]) {
				fprintf(file, "[:append %d %d]", key, t);
				own[key] = true;
			}
		}
		fprintf(file, "]}\n");
	}
}

static void nothing_is_invented_of_lists(void **state)
{
	struct zipf_random random = {815};
	uint64_t edges = 0, pairs = 0;

	for (int round = 0; round < ROUNDS; round++) {
		FILE *file = fdopen(memfd_create("history", MFD_CLOEXEC), "w");
		struct check *check;

		assert_non_null(file);
		print_lists(file, &random);
		fflush(file);
		check = judge_fd(dup(fileno(file)), "lists");
		fclose(file);
		assert_int_equal(check_anomalies(check), 0);
		edges += check->edges;
		pairs += check->pairs_judged;
		check_destroy(check);
	}
	assert_true(edges > ROUNDS && pairs > ROUNDS);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(takes_forms),
		cmocka_unit_test(refuses_broken_text),
		cmocka_unit_test(says_what_it_cannot_read),
		cmocka_unit_test(takes_foreign_histories),
		cmocka_unit_test(comes_back_the_same),
		cmocka_unit_test(keeps_what_is_rare),
		cmocka_unit_test(nothing_is_invented_of_lists),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
