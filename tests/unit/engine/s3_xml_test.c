/* SPDX-License-Identifier: Apache-2.0 */
/*
 * s3_xml_test.c - what S3 answers in XML: as the manual shows it, as servers write it, and as
 * somebody would who means harm.
 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "dataplane/engine/s3_xml.h"

#define XML   "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n"
#define SPACE " xmlns=\"http://s3.amazonaws.com/doc/2006-03-01/\""

/* All keys told, each with a blank behind it; for deletes "KEY=CODE". */
static char told[4096];
static bool enough;

static bool on_key(void *arg, const char *key)
{
	size_t used = strlen(told);

	assert_ptr_equal(arg, told);
	snprintf(told + used, sizeof(told) - used, "%s ", key);
	return !enough;
}

static bool on_failed(void *arg, const char *key, const struct s3_error *error)
{
	size_t used = strlen(told);

	snprintf(told + used, sizeof(told) - used, "%s=%s ", key, error->code);
	return !enough;
}

static int page_of(const char *text, struct s3_page *page, struct s3_error *error)
{
	/* From the heap, so that a sanitizer sees a byte too far. */
	uint32_t bytes = (uint32_t)strlen(text);
	char *copy = malloc(bytes + 1);
	int err;

	assert_non_null(copy);
	memcpy(copy, text, bytes);
	told[0] = '\0';
	err = s3_page_parse(copy, bytes, page, error, on_key, told);
	free(copy);
	return err;
}

static int deleted_of(const char *text, struct s3_error *error)
{
	told[0] = '\0';
	return s3_deleted_parse(text, (uint32_t)strlen(text), error, on_failed, NULL);
}

static const char *code_of(const char *text)
{
	static struct s3_error error;

	if (s3_error_parse(text, (uint32_t)strlen(text), &error) != 0)
		return "none";
	return error.code;
}

static void test_errors(void **state)
{
	assert_string_equal(code_of(XML
				    "<Error><Code>NoSuchKey</Code><Message>The resource you "
				    "requested does not exist</Message><Resource>/b/k</Resource>"
				    "<RequestId>4442587FB7D0A2F9</RequestId></Error>"),
			    "NoSuchKey");
	assert_string_equal(
		code_of("<Error" SPACE "><Message>first</Message><Code>A1</Code></Error>"), "A1");
	assert_string_equal(code_of("<s:Error xmlns:s=\"x\"><s:Code>A</s:Code></s:Error>"), "A");
	/* Cut behind the code: it counts; within it: not. */
	assert_string_equal(code_of("<Error><Code>SlowDown</Code><Mess"), "SlowDown");
	assert_string_equal(code_of("<Error><Code>SlowDown</Co"), "none");
	assert_string_equal(code_of("<Error><Code>Slow"), "none");
	assert_string_equal(code_of(""), "none");
	assert_string_equal(code_of("<Error></Error>"), "none");
	assert_string_equal(code_of("<Error><Code></Code></Error>"), "none");
	assert_string_equal(code_of("<Fault><Code>A</Code></Fault>"), "none");
	assert_string_equal(code_of("<Error><In><Code>A</Code></In></Error>"), "none");
	assert_string_equal(code_of("<html><body>502 Bad Gateway</body></html>"), "none");
}

/* What is shown to people has letters and digits alone, and is short. */
static void test_codes_that_cannot_be_shown(void **state)
{
	char text[256];

	assert_string_equal(code_of("<Error><Code>a b</Code></Error>"), "none");
	assert_string_equal(code_of("<Error><Code>\x1b[31m</Code></Error>"), "none");
	assert_string_equal(code_of("<Error><Code>&lt;b&gt;</Code></Error>"), "none");
	assert_string_equal(code_of("<Error><Code>caf\xc3\xa9</Code></Error>"), "none");
	snprintf(text, sizeof(text), "<Error><Code>%0*d</Code></Error>", S3_CODE_BYTES - 1, 0);
	assert_int_equal(strlen(code_of(text)), S3_CODE_BYTES - 1);
	snprintf(text, sizeof(text), "<Error><Code>%0*d</Code></Error>", S3_CODE_BYTES, 0);
	assert_string_equal(code_of(text), "none");
}

static void test_pages(void **state)
{
	struct s3_error error;
	struct s3_page page;

	assert_int_equal(
		page_of(XML "<ListBucketResult" SPACE "><Name>bucket</Name><Prefix>Key</Prefix>"
			    "<KeyCount>2</KeyCount><MaxKeys>2</MaxKeys>"
			    "<IsTruncated>true</IsTruncated>"
			    "<Contents><Key>a/1</Key><LastModified>x</LastModified>"
			    "<Owner><ID>1</ID><DisplayName>Key</DisplayName></Owner></Contents>\n"
			    "<Contents><Size>0</Size><Key>a/2</Key></Contents>"
			    "<CommonPrefixes><Prefix>b/</Prefix></CommonPrefixes>"
			    "<NextContinuationToken>1ueG/=+</NextContinuationToken>"
			    "</ListBucketResult>",
			&page, &error),
		0);
	assert_string_equal(told, "a/1 a/2 ");
	assert_true(page.truncated);
	assert_int_equal(page.keys, 2);
	assert_string_equal(page.token, "1ueG/=+");
	assert_int_equal(page_of("<ListBucketResult/>", &page, &error), 0);
	assert_string_equal(told, "");
	assert_false(page.truncated);
	assert_string_equal(page.token, "");
	assert_int_equal(page_of("<ListBucketResult><IsTruncated>false</IsTruncated>"
				 "</ListBucketResult>",
				 &page, &error),
			 0);
	assert_false(page.truncated);
}

static void test_keys_are_decoded(void **state)
{
#define KEYS(keys, more) "<ListBucketResult>" keys more "</ListBucketResult>"
#define KEY(key)	 "<Contents><Key>" key "</Key></Contents>"
#define URL		 "<EncodingType>url</EncodingType>"
	struct s3_error error;
	struct s3_page page;

	assert_int_equal(
		page_of(KEYS(KEY("a%2Fb%2fc") KEY("d+e") KEY("%C3%A9"), URL), &page, &error), 0);
	assert_string_equal(told, "a/b/c d e \xc3\xa9 ");
	/* As they are when nothing is said. */
	assert_int_equal(page_of(KEYS(KEY("a%2Fb") KEY("a&amp;b"), ""), &page, &error), 0);
	assert_string_equal(told, "a%2Fb a&b ");
	/* Others' that cannot be: passed over. */
	assert_int_equal(page_of(KEYS(KEY("a%") KEY("a%4") KEY("%zz") KEY("a%00b") KEY("%41"), URL),
				 &page, &error),
			 0);
	assert_string_equal(told, "A ");
	assert_int_equal(page.keys, 5);
}

/* A key of the greatest length, each byte encoded; and more. */
static void test_long_keys(void **state)
{
	static char text[8192];
	struct s3_error error;
	struct s3_page page;
	size_t used;

	for (uint32_t extra = 0; extra < 2; extra++) {
		used = (size_t)snprintf(text, sizeof(text),
					"<ListBucketResult>" URL "<Contents><Key>");
		for (uint32_t i = 0; i < S3_KEY_BYTES - 1 + extra; i++)
			used += (size_t)snprintf(text + used, sizeof(text) - used, "%%41");
		snprintf(text + used, sizeof(text) - used, "</Key></Contents></ListBucketResult>");
		assert_int_equal(page_of(text, &page, &error), extra == 0 ? 0 : -EPROTO);
		assert_int_equal(strlen(told), extra == 0 ? S3_KEY_BYTES : 0);
	}
	/* Not encoded; and far more than there can be. */
	for (uint32_t length = 1024; length < sizeof(text) * 8;
	     length = length == 1024 ? 1025 : 65000) {
		static char plain[sizeof(text) * 8];

		snprintf(plain, sizeof(plain), KEYS("<Contents><Key>%0*u</Key></Contents>", ""),
			 (int)length, 0u);
		assert_int_equal(page_of(plain, &page, &error), length == 1024 ? 0 : -EPROTO);
		if (length == 65000)
			break;
	}
	/* A token that is too long is none. */
	used = (size_t)snprintf(text, sizeof(text),
				"<ListBucketResult><NextContinuationToken>%0*d"
				"</NextContinuationToken></ListBucketResult>",
				S3_TOKEN_BYTES, 0);
	assert_true(used < sizeof(text));
	assert_int_equal(page_of(text, &page, &error), 0);
	assert_string_equal(page.token, "");
}

/* Whole or not at all. */
static void test_cut_documents(void **state)
{
	static const char text[] = XML "<ListBucketResult><Contents><Key>a</Key></Contents>"
				       "<IsTruncated>false</IsTruncated></ListBucketResult>";
	struct s3_error error;
	struct s3_page page;
	char part[sizeof(text)];

	for (size_t bytes = 0; bytes < sizeof(text) - 1; bytes++) {
		memcpy(part, text, bytes);
		part[bytes] = '\0';
		assert_int_equal(page_of(part, &page, &error), -EPROTO);
	}
	assert_int_equal(page_of(text, &page, &error), 0);
	snprintf(part, sizeof(part), "<ListBucketResult/><ListBucketResult/>");
	assert_int_equal(page_of(part, &page, &error), -EPROTO);
}

static void test_errors_where_pages_should_be(void **state)
{
	struct s3_error error;
	struct s3_page page;

	assert_int_equal(page_of("<Error><Code>InternalError</Code></Error>", &page, &error),
			 -EREMOTEIO);
	assert_string_equal(error.code, "InternalError");
	assert_int_equal(page_of("<Error><Code>a b</Code></Error>", &page, &error), -EPROTO);
	assert_int_equal(page_of("<DeleteResult/>", &page, &error), -EPROTO);
	/* A key of a document that is none of a listing is not told. */
	assert_int_equal(page_of("<Other>" KEY("a") "</Other>", &page, &error), -EPROTO);
	assert_string_equal(told, "");
	enough = true;
	assert_int_equal(page_of(KEYS(KEY("a") KEY("b"), ""), &page, &error), -EPROTO);
	enough = false;
	assert_string_equal(told, "a ");
}

static void test_deletes(void **state)
{
	struct s3_error error;

	assert_int_equal(deleted_of("<DeleteResult" SPACE "/>", &error), 0);
	assert_int_equal(
		deleted_of(XML "<DeleteResult><Deleted><Key>a/1</Key></Deleted>"
			       "<Error><Key>a/2</Key><Code>AccessDenied</Code><Message>m</Message>"
			       "</Error><Error><Code>InternalError</Code><Key>a/3</Key></Error>"
			       "<Error><Key>a/4</Key></Error></DeleteResult>",
			   &error),
		0);
	assert_string_equal(told, "a/2=AccessDenied a/3=InternalError a/4= ");
	assert_int_equal(deleted_of("<Error><Code>MalformedXML</Code></Error>", &error),
			 -EREMOTEIO);
	assert_string_equal(error.code, "MalformedXML");
	assert_int_equal(deleted_of("<DeleteResult><Error><Key>a</Key></Error>", &error), -EPROTO);
	assert_int_equal(deleted_of("<ListBucketResult/>", &error), -EPROTO);
}

/* Documents that are made to take memory or time, or to read what is ours. */
static void test_hostile_documents(void **state)
{
	static const char *const texts[] = {
		"<!DOCTYPE a [<!ENTITY e \"Code\">]><Error><Code>&e;</Code></Error>",
		"<!DOCTYPE a SYSTEM \"file:///etc/passwd\"><Error><Code>A</Code></Error>",
		"<!DOCTYPE a [<!ENTITY x SYSTEM \"file:///etc/passwd\">]>"
		"<Error><Code>&x;</Code></Error>",
		"<!DOCTYPE lol [<!ENTITY a \"aaaaaaaaaa\"><!ENTITY b \"&a;&a;&a;&a;&a;&a;\">"
		"<!ENTITY c \"&b;&b;&b;&b;&b;&b;\">]><Error><Code>&c;</Code></Error>",
		"<Error><Code>&undefined;</Code></Error>",
		"<?xml version=\"1.0\" encoding=\"UTF-16\"?><Error><Code>A</Code></Error>",
		"<Error><Code>A</Error></Code>",
		"\xef\xbb\xbf",
		"<Error attribute='1' attribute='2'><Code>A</Code></Error>",
	};
	static char deep[64 << 10];
	struct s3_error error;
	struct s3_page page;
	size_t used = 0;

	for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
		assert_string_equal(code_of(texts[i]), "none");
		assert_int_equal(page_of(texts[i], &page, &error), -EPROTO);
		assert_int_equal(deleted_of(texts[i], &error), -EPROTO);
	}
	while (used + 3 < sizeof(deep) / 2)
		used += (size_t)snprintf(deep + used, sizeof(deep) - used, "<a>");
	while (used + 4 < sizeof(deep))
		used += (size_t)snprintf(deep + used, sizeof(deep) - used, "</a>");
	assert_int_equal(page_of(deep, &page, &error), -EPROTO);
	/* A name that is cut would be one of ours: it is none. */
	assert_int_equal(page_of("<ListBucketResult><IsTruncatedIsTruncatedIsTruncated>true"
				 "</IsTruncatedIsTruncatedIsTruncated></ListBucketResult>",
				 &page, &error),
			 0);
	assert_false(page.truncated);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_errors),
		cmocka_unit_test(test_codes_that_cannot_be_shown),
		cmocka_unit_test(test_pages),
		cmocka_unit_test(test_keys_are_decoded),
		cmocka_unit_test(test_long_keys),
		cmocka_unit_test(test_cut_documents),
		cmocka_unit_test(test_errors_where_pages_should_be),
		cmocka_unit_test(test_deletes),
		cmocka_unit_test(test_hostile_documents),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
