/* SPDX-License-Identifier: Apache-2.0 */
/*
 * credentials_test.c - where credentials come from, which files are not read, and that no value
 * ever stands in a sentence.
 */
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "dataplane/engine/credentials.h"
#include "tests/lib/scratch.h"

static struct engine_credentials got;
static char why[ENGINE_WHY_BYTES], path[256];

static const char *const variables[] = {
	"ABAFT_ENGINE_USER",
	"ABAFT_ENGINE_PASSWORD",
	"AWS_ACCESS_KEY_ID",
	"AWS_SECRET_ACCESS_KEY",
	"AWS_SESSION_TOKEN",
	"ABAFT_ENGINE_CA_FILE",
	"ABAFT_ENGINE_CERTIFICATE_FILE",
	"ABAFT_ENGINE_KEY_FILE",
};

static int setup(void **state)
{
	for (size_t i = 0; i < sizeof(variables) / sizeof(variables[0]); i++)
		unsetenv(variables[i]);
	return scratch_setup(state);
}

static void write_file(void **state, const char *text, size_t bytes, mode_t mode)
{
	int fd;

	snprintf(path, sizeof(path), "%s/credentials", (const char *)*state);
	unlink(path);
	fd = open(path, O_CREAT | O_EXCL | O_WRONLY, 0600);
	assert_true(fd >= 0);
	assert_int_equal(write(fd, text, bytes), bytes);
	assert_int_equal(fchmod(fd, mode), 0);
	close(fd);
}

static void loads(void **state, const char *text)
{
	write_file(state, text, strlen(text), 0600);
	if (engine_credentials_load(&got, path, why) != 0)
		fail_msg("%s", why);
}

/* Refused in these words, and nothing of it is left or shown. */
static void refused(int err, const char *says)
{
	static const struct engine_credentials none;

	memset(&got, 'x', sizeof(got));
	why[0] = '\0';
	assert_int_equal(engine_credentials_load(&got, path, why), err);
	if (strstr(why, says) == NULL)
		fail_msg("\"%s\" does not say \"%s\"", why, says);
	assert_null(strstr(why, "S3CRET"));
	assert_memory_equal(&got, &none, sizeof(got));
}

static void refused_text(void **state, const char *text, const char *says)
{
	write_file(state, text, strlen(text), 0600);
	refused(-EINVAL, says);
}

static void files_are_read(void **state)
{
	loads(state, "# who we are\n\n ; and a secret\n\tuser=me \r\npassword =  p=w ; # x y \n"
		     "access-key = AKIA\nsecret-key=a/b+c==\nsession-token=t\nca-file=/etc/ca.pem\n"
		     "certificate-file=/etc/us.crt\nkey-file = /etc/us.key");
	assert_string_equal(got.user, "me");
	assert_string_equal(got.password, "p=w ; # x y");
	assert_string_equal(got.access_key, "AKIA");
	assert_string_equal(got.secret_key, "a/b+c==");
	assert_string_equal(got.session_token, "t");
	assert_string_equal(got.ca_file, "/etc/ca.pem");
	assert_string_equal(got.certificate_file, "/etc/us.crt");
	assert_string_equal(got.key_file, "/etc/us.key");
	loads(state, "");
	assert_string_equal(got.user, "");
	loads(state, "password = alone\n");
	assert_string_equal(got.password, "alone");
}

static void long_tokens_fit(void **state)
{
	char text[4096] = "access-key=a\nsecret-key=b\nsession-token=";
	size_t at = strlen(text);

	memset(text + at, 't', sizeof(got.session_token) - 1);
	loads(state, text);
	assert_int_equal(strlen(got.session_token), sizeof(got.session_token) - 1);
	text[at + sizeof(got.session_token) - 1] = 't';
	refused_text(state, text, ":3: session-token is longer than 2047 bytes");
}

static void environment_speaks_where_the_file_does_not(void **state)
{
	setenv("ABAFT_ENGINE_USER", "env-user", 1);
	setenv("ABAFT_ENGINE_PASSWORD", "env-password", 1);
	setenv("AWS_ACCESS_KEY_ID", "env-access", 1);
	setenv("AWS_SECRET_ACCESS_KEY", "env-secret", 1);
	setenv("AWS_SESSION_TOKEN", "env-token", 1);
	setenv("ABAFT_ENGINE_CA_FILE", "/env/ca", 1);
	assert_int_equal(engine_credentials_load(&got, NULL, why), 0);
	assert_string_equal(got.user, "env-user");
	assert_string_equal(got.password, "env-password");
	assert_string_equal(got.access_key, "env-access");
	assert_string_equal(got.secret_key, "env-secret");
	assert_string_equal(got.session_token, "env-token");
	assert_string_equal(got.ca_file, "/env/ca");
	/* A file's keys never get the environment's token. */
	loads(state, "access-key = file-access\nsecret-key = file-secret\n");
	assert_string_equal(got.access_key, "file-access");
	assert_string_equal(got.secret_key, "file-secret");
	assert_string_equal(got.session_token, "");
	assert_string_equal(got.user, "env-user");
	loads(state, "password = file-password\n");
	assert_string_equal(got.user, "");
	assert_string_equal(got.password, "file-password");
	assert_string_equal(got.access_key, "env-access");
	loads(state, "ca-file=\n");
	assert_string_equal(got.ca_file, "");
}

static void others_must_not_read(void **state)
{
	static const mode_t modes[] = {0604, 0640, 0602, 0620, 0601, 0610, 0644};

	for (size_t i = 0; i < sizeof(modes) / sizeof(modes[0]); i++) {
		write_file(state, "password=S3CRET\n", 16, modes[i]);
		refused(-EACCES, "run: chmod 600 ");
	}
	write_file(state, "password=ok\n", 12, 0400);
	assert_int_equal(engine_credentials_load(&got, path, why), 0);
}

static void others_must_not_own(void **state)
{
	if (geteuid() != 0) {
		print_message("# only root can give files away\n");
		skip();
	}
	write_file(state, "password=S3CRET\n", 16, 0600);
	assert_int_equal(chown(path, 12345, 0), 0);
	refused(-EACCES, "belongs to user 12345");
}

static void what_is_no_file(void **state)
{
	snprintf(path, sizeof(path), "%s/missing", (const char *)*state);
	refused(-EINVAL, "cannot be opened: No such file");
	snprintf(path, sizeof(path), "%s", (const char *)*state);
	refused(-EINVAL, "is no file");
	snprintf(path, sizeof(path), "%s/fifo", (const char *)*state);
	assert_int_equal(mkfifo(path, 0600), 0);
	refused(-EINVAL, "is no file");
}

static void lines_are_checked(void **state)
{
	char text[20000];

	refused_text(state, "user = a\n[section]\n", ":2: neither a comment nor");
	refused_text(state, "S3CRET\n", ":1: neither a comment nor");
	refused_text(state, "passwort = S3CRET\n", ":1: no such key; there are user");
	refused_text(state, "= S3CRET\n", ":1: no such key");
	refused_text(state, "pass = S3CRET\n", ":1: no such key");
	refused_text(state, "password = S3CRET\npassword = S3CRET\n", ":2: password stands there");
	refused_text(state, "password = S3C\vRET\n", "has a control character");
	refused_text(state, "password = S3CRET\x7f\n", "has a control character");
	write_file(state, "password=S3\0CRET\n", 17, 0600);
	refused(-EINVAL, "NUL byte");
	memset(text, '\n', sizeof(text));
	write_file(state, text, 16384, 0600);
	refused(-EINVAL, "larger than 16383 bytes");
	write_file(state, text, 16383, 0600);
	assert_int_equal(engine_credentials_load(&got, path, why), 0);
}

static void halves_are_refused(void **state)
{
	refused_text(state, "access-key = S3CRET\n", "an access key, but no secret key");
	refused_text(state, "secret-key = S3CRET\n", "a secret key, but no access key");
	refused_text(state, "session-token = S3CRET\n", "a session token, but no access key");
	refused_text(state, "user = S3CRET\n", "a user, but no password");
	refused_text(state, "certificate-file = S3CRET\n", "a certificate needs a key");
	refused_text(state, "key-file = S3CRET\n", "a key a certificate");
	setenv("AWS_SECRET_ACCESS_KEY", "S3CRET", 1);
	refused_text(state, "access-key = S3CRET\n", "an access key, but no secret key");
	setenv("ABAFT_ENGINE_PASSWORD", "S3CRET\n", 1);
	refused_text(state, "", "ABAFT_ENGINE_PASSWORD has a control character");
}

static void wiping_leaves_nothing(void **state)
{
	static const struct engine_credentials none;

	loads(state,
	      "user=a\npassword=b\naccess-key=c\nsecret-key=d\nsession-token=e\nca-file=f\n");
	engine_credentials_wipe(&got);
	assert_memory_equal(&got, &none, sizeof(got));
}

#define CASE(name) cmocka_unit_test_setup_teardown(name, setup, scratch_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		CASE(files_are_read),
		CASE(long_tokens_fit),
		CASE(environment_speaks_where_the_file_does_not),
		CASE(others_must_not_read),
		CASE(others_must_not_own),
		CASE(what_is_no_file),
		CASE(lines_are_checked),
		CASE(halves_are_refused),
		CASE(wiping_leaves_nothing),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
