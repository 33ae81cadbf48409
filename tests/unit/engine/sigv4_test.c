/* SPDX-License-Identifier: Apache-2.0 */
/*
 * sigv4_test.c - signatures that AWS has published: those of its test suite for version 4 (service
 * "service", of 2015-08-30), and the examples of S3's manual (of 2013-05-24).
 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "dataplane/engine/sigv4.h"

#define COUNT(array) ((uint32_t)(sizeof(array) / sizeof((array)[0])))
#define NO_PAYLOAD   "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"

#define SUITE_SCOPE "AKIDEXAMPLE/20150830/us-east-1/service/aws4_request"
#define SUITE_STAMP "20150830T123600Z"

static struct sigv4_signer suite_signer(void)
{
	return (struct sigv4_signer){.access_key = "AKIDEXAMPLE",
				     .secret_key = "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY",
				     .region = "us-east-1",
				     .service = "service"};
}

/* One of the suite: its head is host, x-amz-date and what is added. */
struct vector {
	const char *name, *method, *path;
	struct sigv4_pair query[3];
	uint32_t query_count;
	struct sigv4_pair head[6];
	uint32_t head_count;
	const char *body, *names, *signature;
};

static const struct vector vectors[] = {
	{.name = "get-vanilla",
	 .method = "GET",
	 .path = "/",
	 .names = "host;x-amz-date",
	 .signature = "5fa00fa31553b73ebf1942676e86291e8372ff2a2260956d9b8aae1d763fbf31"},
	{.name = "get-unreserved",
	 .method = "GET",
	 .path = "/-._~0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz",
	 .names = "host;x-amz-date",
	 .signature = "07ef7494c76fa4850883e2b006601f940f8a34d404d0cfa977f52a65bbf5f24f"},
	{.name = "get-vanilla-query-order-key-case",
	 .method = "GET",
	 .path = "/",
	 .query = {{"Param2", "value2"}, {"Param1", "value1"}},
	 .query_count = 2,
	 .names = "host;x-amz-date",
	 .signature = "b97d918cfa904a5beff61c982a1b6f458b799221646efd99d3219ec94cdf2500"},
	{.name = "get-vanilla-query-order-value",
	 .method = "GET",
	 .path = "/",
	 .query = {{"Param1", "value2"}, {"Param1", "value1"}},
	 .query_count = 2,
	 .names = "host;x-amz-date",
	 .signature = "5772eed61e12b33fae39ee5e7012498b51d56abc0abb7c60486157bd471c4694"},
	{.name = "get-vanilla-utf8-query",
	 .method = "GET",
	 .path = "/",
	 .query = {{"\xe1\x88\xb4", "bar"}},
	 .query_count = 1,
	 .names = "host;x-amz-date",
	 .signature = "2cdec8eed098649ff3a119c94853b13c643bcf08f8b0a1d91e12c9027818dd04"},
	{.name = "get-header-value-order",
	 .method = "GET",
	 .path = "/",
	 .head = {{"my-header1", "value4"},
		  {"my-header1", "value1"},
		  {"my-header1", "value3"},
		  {"my-header1", "value2"}},
	 .head_count = 4,
	 .names = "host;my-header1;x-amz-date",
	 .signature = "08c7e5a9acfcfeb3ab6b2185e75ce8b1deb5e634ec47601a50643f830c755c01"},
	{.name = "get-header-key-duplicate",
	 .method = "GET",
	 .path = "/",
	 .head = {{"my-header1", "value2"}, {"my-header1", "value2"}, {"my-header1", "value1"}},
	 .head_count = 3,
	 .names = "host;my-header1;x-amz-date",
	 .signature = "c9d5ea9f3f72853aea855b47ea873832890dbdd183b4468f858259531a5138ea"},
	{.name = "get-header-value-trim",
	 .method = "GET",
	 .path = "/",
	 .head = {{"my-header1", " value1"}, {"my-header2", " \"a   b   c\" "}},
	 .head_count = 2,
	 .names = "host;my-header1;my-header2;x-amz-date",
	 .signature = "acc3ed3afb60bb290fc8d2dd0098b9911fcaa05412b367055dee359757a9c736"},
	{.name = "post-x-www-form-urlencoded",
	 .method = "POST",
	 .path = "/",
	 .head = {{"content-type", "application/x-www-form-urlencoded"}},
	 .head_count = 1,
	 .body = "Param1=value1",
	 .names = "content-type;host;x-amz-date",
	 .signature = "ff11897932ad3f4e8b18135d722051e5ac45fc38421b1da7b9d196a0fe09473a"},
	{.name = "get-vanilla-with-session-token",
	 .method = "GET",
	 .path = "/",
	 .head = {{"x-amz-security-token",
		   "6e86291e8372ff2a2260956d9b8aae1d763fbf315fa00fa31553b73ebf194267"}},
	 .head_count = 1,
	 .names = "host;x-amz-date;x-amz-security-token",
	 .signature = "07ec1639c89043aa0e3e2de82b96708f198cceab042d4a97044c66dd9f74e7f8"},
};

static void check_vector(struct sigv4_signer *signer, const struct vector *vector)
{
	char payload[SIGV4_HEX_BYTES], have[SIGV4_AUTHORIZATION_BYTES];
	char want[SIGV4_AUTHORIZATION_BYTES];
	struct sigv4_pair head[8];
	struct sigv4_request request = {.method = vector->method,
					.path = vector->path,
					.query = vector->query,
					.query_count = vector->query_count,
					.head = head,
					.head_count = vector->head_count + 2,
					.payload = payload};
	const char *body = vector->body != NULL ? vector->body : "";

	memcpy(head, vector->head, vector->head_count * sizeof(head[0]));
	head[vector->head_count] = (struct sigv4_pair){"x-amz-date", SUITE_STAMP};
	head[vector->head_count + 1] = (struct sigv4_pair){"host", "example.amazonaws.com"};
	assert_int_equal(sigv4_hash(body, strlen(body), payload), 0);
	assert_int_equal(sigv4_sign(signer, &request, SUITE_STAMP, have), 0);
	snprintf(want, sizeof(want),
		 "AWS4-HMAC-SHA256 Credential=" SUITE_SCOPE ", SignedHeaders=%s, Signature=%s",
		 vector->names, vector->signature);
	if (strcmp(have, want) != 0)
		print_message("# %s\n", vector->name);
	assert_string_equal(have, want);
}

static void test_suite(void **state)
{
	struct sigv4_signer signer = suite_signer();

	for (uint32_t i = 0; i < COUNT(vectors); i++)
		check_vector(&signer, &vectors[i]);
}

/* The examples of S3's manual: a path with a $, a header of each kind, queries. */
static void check_s3(struct sigv4_signer *signer, struct sigv4_request request,
		     const char *signature)
{
	char have[SIGV4_AUTHORIZATION_BYTES];
	const char *at;

	assert_int_equal(sigv4_sign(signer, &request, "20130524T000000Z", have), 0);
	at = strstr(have, "Signature=");
	assert_non_null(at);
	assert_string_equal(at + strlen("Signature="), signature);
}

static void test_s3_manual(void **state)
{
	struct sigv4_signer signer = {.access_key = "AKIAIOSFODNN7EXAMPLE",
				      .secret_key = "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY",
				      .region = "us-east-1",
				      .service = "s3"};
	char payload[SIGV4_HEX_BYTES];
	struct sigv4_pair host = {"host", "examplebucket.s3.amazonaws.com"};
	struct sigv4_pair date = {"x-amz-date", "20130524T000000Z"};
	struct sigv4_pair empty = {"x-amz-content-sha256", NO_PAYLOAD};
	struct sigv4_pair plain[] = {host, date, empty};
	struct sigv4_pair get[] = {host, {"range", "bytes=0-9"}, empty, date};
	struct sigv4_pair put[] = {{"x-amz-storage-class", "REDUCED_REDUNDANCY"},
				   {"date", "Fri, 24 May 2013 00:00:00 GMT"},
				   {"x-amz-content-sha256", payload},
				   host,
				   date};
	struct sigv4_pair lifecycle[] = {{"lifecycle", ""}};
	struct sigv4_pair list[] = {{"prefix", "J"}, {"max-keys", "2"}};

	check_s3(&signer,
		 (struct sigv4_request){"GET", "/test.txt", NULL, 0, get, COUNT(get), NO_PAYLOAD},
		 "f0e8bdb87c964420e857bd35b5d6ed310bd44f0170aba48dd91039c6036bdb41");
	assert_int_equal(sigv4_hash("Welcome to Amazon S3.", 21, payload), 0);
	check_s3(
		&signer,
		(struct sigv4_request){"PUT", "/test$file.text", NULL, 0, put, COUNT(put), payload},
		"98ad721746da40c64f1a55b78f14c238d841ea1380cd77a1b5971af0ece108bd");
	check_s3(&signer,
		 (struct sigv4_request){"GET", "/", lifecycle, 1, plain, COUNT(plain), NO_PAYLOAD},
		 "fea454ca298b7da1c68078a5d1bdbfbbe0d65c699e0f91ac7a200a0136783543");
	check_s3(&signer,
		 (struct sigv4_request){"GET", "/", list, 2, plain, COUNT(plain), NO_PAYLOAD},
		 "34b48302e7b5fa45bde8084f4b7868a86f0a534bc59db6670ed5711ef69dc6f7");
}

/* The key is kept for a day's scope and made anew for another, and back. */
static void test_day_changes(void **state)
{
	struct sigv4_signer signer = suite_signer();
	char first[SIGV4_AUTHORIZATION_BYTES], other[SIGV4_AUTHORIZATION_BYTES];
	struct sigv4_pair head[] = {{"host", "example.amazonaws.com"}};
	struct sigv4_request request = {"GET", "/", NULL, 0, head, 1, NO_PAYLOAD};

	check_vector(&signer, &vectors[0]);
	assert_int_equal(sigv4_sign(&signer, &request, "20150831T000000Z", first), 0);
	check_vector(&signer, &vectors[0]);
	signer = suite_signer();
	assert_int_equal(sigv4_sign(&signer, &request, "20150831T000000Z", other), 0);
	assert_string_equal(first, other);
}

static void test_stamp(void **state)
{
	char stamp[SIGV4_STAMP_BYTES];

	sigv4_stamp(1369353600, stamp);
	assert_string_equal(stamp, "20130524T000000Z");
	sigv4_stamp(1440938160, stamp);
	assert_string_equal(stamp, SUITE_STAMP);
	sigv4_stamp(4107542399, stamp); /* beyond 2038 */
	assert_string_equal(stamp, "21000228T235959Z");
}

static void test_encode(void **state)
{
	char text[64];

	assert_int_equal(sigv4_encode("a b/c+~%\xff", false, text, sizeof(text)), 19);
	assert_string_equal(text, "a%20b%2Fc%2B~%25%FF");
	assert_int_equal(sigv4_encode("/a b/", true, text, sizeof(text)), 7);
	assert_string_equal(text, "/a%20b/");
}

/* What is too long is refused and cut, and writes nothing behind the room. */
static void test_bounds(void **state)
{
	struct sigv4_signer signer = suite_signer();
	struct sigv4_pair pairs[SIGV4_PAIRS_MAX + 1], head[1] = {{"host", "h"}};
	char to[8], text[SIGV4_AUTHORIZATION_BYTES];
	static char token[SIGV4_CANONICAL_BYTES + 1];
	struct sigv4_request request = {"GET", "/", NULL, 0, head, 1, NO_PAYLOAD};

	memset(to, 'x', sizeof(to));
	assert_int_equal(sigv4_encode("abc", false, to, 4), 3);
	assert_int_equal(sigv4_encode("abcd", false, to, 4), -E2BIG);
	assert_int_equal(sigv4_encode("ab\x01", false, to, 4), -E2BIG);
	assert_int_equal(to[4], 'x');
	for (uint32_t i = 0; i < COUNT(pairs); i++)
		pairs[i] = (struct sigv4_pair){"name", "value"};
	assert_int_equal(sigv4_query(pairs, COUNT(pairs), text, sizeof(text)), -E2BIG);
	assert_true(sigv4_query(pairs, SIGV4_PAIRS_MAX, text, sizeof(text)) > 0);
	request.head = pairs;
	request.head_count = COUNT(pairs);
	assert_int_equal(sigv4_sign(&signer, &request, SUITE_STAMP, text), -E2BIG);
	memset(token, 't', sizeof(token) - 1);
	request.head = &(struct sigv4_pair){"x-amz-security-token", token};
	request.head_count = 1;
	assert_int_equal(sigv4_sign(&signer, &request, SUITE_STAMP, text), -E2BIG);
	request.head = head;
	signer.secret_key = token;
	assert_int_equal(sigv4_sign(&signer, &request, SUITE_STAMP, text), -E2BIG);
	signer = suite_signer();
	signer.access_key = token;
	assert_int_equal(sigv4_sign(&signer, &request, SUITE_STAMP, text), -E2BIG);
}

/* A session token of the greatest size fits. */
static void test_long_token(void **state)
{
	struct sigv4_signer signer = suite_signer();
	char token[2048], text[SIGV4_AUTHORIZATION_BYTES];
	struct sigv4_pair head[] = {{"host", "h"}, {"x-amz-security-token", token}};
	struct sigv4_request request = {"GET", "/", NULL, 0, head, COUNT(head), NO_PAYLOAD};

	memset(token, 't', sizeof(token) - 1);
	token[sizeof(token) - 1] = '\0';
	assert_int_equal(sigv4_sign(&signer, &request, SUITE_STAMP, text), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_suite),	    cmocka_unit_test(test_s3_manual),
		cmocka_unit_test(test_day_changes), cmocka_unit_test(test_stamp),
		cmocka_unit_test(test_encode),	    cmocka_unit_test(test_bounds),
		cmocka_unit_test(test_long_token),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
