/* SPDX-License-Identifier: Apache-2.0 */
/*
 * url_test.c - every form of an engine's URL, and a refusal in words for all that is none.
 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "dataplane/engine/url.h"

static struct engine_url url;
static char why[ENGINE_WHY_BYTES];

static void parsed(const char *text)
{
	int err = engine_url_parse(&url, text, why);

	if (err != 0)
		fail_msg("%s: %s", text, why);
}

static void refused(const char *text, const char *says)
{
	why[0] = '\0';
	assert_int_equal(engine_url_parse(&url, text, why), -EINVAL);
	if (strstr(why, says) == NULL)
		fail_msg("%s: \"%s\" does not say \"%s\"", text, why, says);
}

static void servers(void **state)
{
	parsed("redis://localhost");
	assert_string_equal(url.scheme, "redis");
	assert_string_equal(url.host, "localhost");
	assert_int_equal(url.port, 0);
	assert_string_equal(url.prefix, "");
	parsed("rediss://10.0.0.1:65535/a/b.c_d-e");
	assert_string_equal(url.scheme, "rediss");
	assert_string_equal(url.host, "10.0.0.1");
	assert_int_equal(url.port, 65535);
	assert_string_equal(url.prefix, "a/b.c_d-e");
	parsed("redis://[fe80::1]:6379/");
	assert_string_equal(url.host, "fe80::1");
	assert_int_equal(url.port, 6379);
	assert_string_equal(url.prefix, "");
	parsed("redis://[::1]/x");
	assert_string_equal(url.host, "::1");
	assert_string_equal(url.prefix, "x");
}

static void names_behind_endpoints(void **state)
{
	parsed("s3://bucket/pre/fix?endpoint=http://127.0.0.1:9000");
	assert_string_equal(url.host, "bucket");
	assert_string_equal(url.prefix, "pre/fix");
	assert_string_equal(url.endpoint, "http://127.0.0.1:9000");
	assert_string_equal(url.region, "us-east-1");
	parsed("s3://bucket/?region=eu-central-1&endpoint=https://s3.example.com/");
	assert_string_equal(url.prefix, "");
	assert_string_equal(url.endpoint, "https://s3.example.com");
	assert_string_equal(url.region, "eu-central-1");
	parsed("dynamodb://Table_1.x?endpoint=http://[::1]:8000");
	assert_string_equal(url.scheme, "dynamodb");
	assert_string_equal(url.host, "Table_1.x");
	assert_string_equal(url.endpoint, "http://[::1]:8000");
}

static void memory(void **state)
{
	parsed("memory:");
	assert_string_equal(url.host, "");
	assert_string_equal(url.options, "");
	parsed("memory:left?seed=7&put=3000/5450");
	assert_string_equal(url.host, "left");
	assert_string_equal(url.options, "seed=7&put=3000/5450");
}

static void schemes_are_known(void **state)
{
	refused("", "no scheme; there are redis, rediss, s3, dynamodb, memory");
	refused("localhost/x", "no scheme");
	refused("http://localhost", "http is no engine; there are redis");
	refused("averyveryverylongscheme://x", "no scheme");
	refused("re dis://x", "no scheme");
	refused("redis:localhost", "lacks //");
}

static void hosts_and_ports(void **state)
{
	char text[300] = "redis://";

	refused("redis://", "no host");
	refused("redis:///prefix", "no host");
	refused("redis://a b", "no host");
	refused("redis://h%41", "no host");
	refused("redis://h:0", "none from 1 to 65535");
	refused("redis://h:65536", "none from 1 to 65535");
	refused("redis://h:99999999999999999999", "none from 1 to 65535");
	refused("redis://h:", "none from 1 to 65535");
	refused("redis://h:63x/y", "none from 1 to 65535");
	refused("redis://[::1", "lacks its ]");
	refused("redis://[host]", "no host");
	memset(text + 8, 'h', 128);
	refused(text, "too long");
	text[8 + 127] = '\0';
	parsed(text);
}

static void prefixes(void **state)
{
	char text[128] = "redis://h/";

	refused("redis://h//a", "parts are not empty");
	refused("redis://h/a/", "no / stands at its end");
	refused("redis://h/a//b", "parts are not empty");
	refused("redis://h/./b", "not .");
	refused("redis://h/a/..", "not ..");
	refused("redis://h/a\n", "letters, digits");
	refused("redis://h/{a}", "letters, digits");
	refused("redis://h/\xc3\xa4", "letters, digits");
	parsed("redis://h/.../a.b");
	memset(text + 10, 'p', ENGINE_PREFIX_BYTES);
	refused(text, "longer than 63");
	text[10 + ENGINE_PREFIX_BYTES - 1] = '\0';
	parsed(text);
}

static void queries(void **state)
{
	char text[400] = "s3://b?endpoint=http://";

	refused("s3://b", "lacks ?endpoint=");
	refused("s3://?endpoint=http://h", "name of the bucket");
	refused("dynamodb:///p?endpoint=http://h", "name of the table");
	refused("s3://b?endpoint=h", "neither http:// nor https://");
	refused("s3://b?endpoint=ftp://h", "neither http:// nor https://");
	refused("s3://b?endpoint=http://h/path", "nothing behind it");
	refused("s3://b?endpoint=http://h?x", "nothing behind it");
	refused("s3://b?endpoint=http://h:0", "none from 1 to 65535");
	refused("s3://b?endpoint=http://h&endpoint=http://h", "two endpoints");
	refused("s3://b?endpoint=http://h&region=a&region=b", "two regions");
	refused("s3://b?endpoint=http://h&region=", "a region has");
	refused("s3://b?endpoint=http://h&region=a_b", "a region has");
	refused("s3://b?endpoint=http://h&", "only endpoint=URL and region=NAME");
	refused("s3://b?acl=public", "only endpoint=URL and region=NAME");
	refused("s3://b?endpoint=http://h#x", "more behind it");
	refused("redis://h?db=1", "more behind it");
	refused("redis://h/p#x", "more behind it");
	refused("memory:a/b", "letters, digits");
	refused("memory:?a#b", "more behind it");
	memset(text + 23, 'h', 300);
	refused(text, "endpoint is too long");
}

/* S3CRET never comes back, wherever it stands. */
static void secrets_are_not_shown(void **state)
{
	static const char *const texts[] = {
		"redis://user:S3CRET@host:1/p",
		"redis://:S3CRET@host",
		"S3CRET@host",
		"s3://S3CRET@b?endpoint=http://h",
		"s3://b?endpoint=http://k:S3CRET@h",
		"s3://b?secret=S3CRET",
		"s3://b?endpoint=http://h&password=S3CRET",
		"memory:S3CRET@x",
		"rediss://h/p?password=S3CRET",
	};

	for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
		refused(texts[i], "the engine's URL: ");
		assert_null(strstr(why, "S3CRET"));
		if (strchr(texts[i], '@') != NULL)
			refused(texts[i], "has an @; user and password belong into the file");
	}
}

static void options_are_bounded(void **state)
{
	char text[600] = "memory:?";

	memset(text + 8, 'x', 512);
	refused(text, "more than 511");
	text[8 + 511] = '\0';
	parsed(text);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(servers),
		cmocka_unit_test(names_behind_endpoints),
		cmocka_unit_test(memory),
		cmocka_unit_test(schemes_are_known),
		cmocka_unit_test(hosts_and_ports),
		cmocka_unit_test(prefixes),
		cmocka_unit_test(queries),
		cmocka_unit_test(secrets_are_not_shown),
		cmocka_unit_test(options_are_bounded),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
