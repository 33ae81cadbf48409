/* SPDX-License-Identifier: Apache-2.0 */
/*
 * credentials.c - reads them. Not by libinih, which cuts lines at 200 bytes, where session tokens
 * are longer, and takes " ;" inside a password for a comment.
 */
#include "dataplane/engine/credentials.h"

#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define FILE_BYTES_MAX 16384
#define BLANKS	       " \t\r"

/* Keys of one set come from one place. */
enum set { SET_USER, SET_ACCESS, SET_CA, SET_CERTIFICATE, SETS };

struct key {
	const char *name;
	const char *variable;
	enum set set;
	size_t offset;
	size_t bytes;
};

#define KEY(name, variable, set, field)                                                            \
	{                                                                                          \
		name, variable, set, offsetof(struct engine_credentials, field),                   \
			sizeof(((struct engine_credentials *)NULL)->field)                         \
	}

static const struct key keys[] = {
	KEY("user", "ABAFT_ENGINE_USER", SET_USER, user),
	KEY("password", "ABAFT_ENGINE_PASSWORD", SET_USER, password),
	KEY("access-key", "AWS_ACCESS_KEY_ID", SET_ACCESS, access_key),
	KEY("secret-key", "AWS_SECRET_ACCESS_KEY", SET_ACCESS, secret_key),
	KEY("session-token", "AWS_SESSION_TOKEN", SET_ACCESS, session_token),
	KEY("ca-file", "ABAFT_ENGINE_CA_FILE", SET_CA, ca_file),
	KEY("certificate-file", "ABAFT_ENGINE_CERTIFICATE_FILE", SET_CERTIFICATE, certificate_file),
	KEY("key-file", "ABAFT_ENGINE_KEY_FILE", SET_CERTIFICATE, key_file),
};

#define KEYS (sizeof(keys) / sizeof(keys[0]))

struct reader {
	struct engine_credentials *out;
	const char *file;
	char *why;
	uint32_t line;
	bool said[SETS]; /* by the file */
	bool seen[KEYS];
};

__attribute__((format(printf, 3, 4))) static int refuse(struct reader *r, int err,
							const char *format, ...)
{
	va_list args;
	int used = 0;

	if (r->line != 0)
		used = snprintf(r->why, ENGINE_WHY_BYTES, "%.300s:%u: ", r->file, r->line);
	va_start(args, format);
	vsnprintf(r->why + used, ENGINE_WHY_BYTES - (size_t)used, format, args);
	va_end(args);
	return err;
}

static int store(struct reader *r, const struct key *key, const char *value, size_t length,
		 const char *name)
{
	char *to = (char *)r->out + key->offset;

	if (length >= key->bytes)
		return refuse(r, -EINVAL, "%s is longer than %zu bytes", name, key->bytes - 1);
	/* It becomes part of lines of a protocol. */
	for (size_t i = 0; i < length; i++)
		if ((unsigned char)value[i] < ' ' || value[i] == 0x7f)
			return refuse(r, -EINVAL, "%s has a control character", name);
	memcpy(to, value, length);
	to[length] = '\0';
	return 0;
}

static const char *skip_blanks(const char *at, const char *end)
{
	while (at < end && strchr(BLANKS, *at) != NULL)
		at++;
	return at;
}

static const char *trim_end(const char *at, const char *end)
{
	while (end > at && strchr(BLANKS, end[-1]) != NULL)
		end--;
	return end;
}

static int take_line(struct reader *r, const char *at, const char *end)
{
	const char *equals, *name_end;

	r->line++;
	if (memchr(at, '\0', (size_t)(end - at)) != NULL)
		return refuse(r, -EINVAL, "has a NUL byte");
	at = skip_blanks(at, end);
	if (at == end || *at == '#' || *at == ';')
		return 0;
	equals = memchr(at, '=', (size_t)(end - at));
	if (equals == NULL)
		return refuse(r, -EINVAL, "neither a comment nor `key = value`");
	name_end = trim_end(at, equals);
	equals = skip_blanks(equals + 1, end);
	end = trim_end(equals, end);
	for (size_t i = 0; i < KEYS; i++) {
		const struct key *key = &keys[i];

		if (strlen(key->name) != (size_t)(name_end - at) ||
		    memcmp(key->name, at, strlen(key->name)) != 0)
			continue;
		if (r->seen[i])
			return refuse(r, -EINVAL, "%s stands there twice", key->name);
		r->seen[i] = true;
		r->said[key->set] = true;
		return store(r, key, equals, (size_t)(end - equals), key->name);
	}
	return refuse(r, -EINVAL,
		      "no such key; there are user, password, access-key, secret-key, "
		      "session-token, ca-file, certificate-file, key-file");
}

static int check_mode(struct reader *r, int fd)
{
	struct stat st;

	if (fstat(fd, &st) != 0)
		return refuse(r, -EINVAL, "%.300s: %s", r->file, strerror(errno));
	if (!S_ISREG(st.st_mode))
		return refuse(r, -EINVAL, "%.300s is no file", r->file);
	if (st.st_uid != 0 && st.st_uid != geteuid())
		return refuse(
			r, -EACCES,
			"%.300s belongs to user %u, who could change it; run: chown %u %.100s",
			r->file, st.st_uid, geteuid(), r->file);
	if ((st.st_mode & 077) != 0)
		return refuse(r, -EACCES,
			      "%.300s holds secrets, but others may use it (mode %03o); run: chmod "
			      "600 %.100s",
			      r->file, st.st_mode & 0777, r->file);
	return 0;
}

/* Into `buffer`, all of it. */
static int read_file(struct reader *r, char *buffer, size_t *bytes)
{
	int fd = open(r->file, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
	ssize_t n = 1;
	int err;

	if (fd < 0)
		return refuse(r, errno == EACCES ? -EACCES : -EINVAL,
			      "credentials: %.300s cannot be opened: %s", r->file, strerror(errno));
	err = check_mode(r, fd);
	*bytes = 0;
	while (err == 0 && n > 0 && *bytes < FILE_BYTES_MAX) {
		n = read(fd, buffer + *bytes, FILE_BYTES_MAX - *bytes);
		if (n < 0 && errno != EINTR)
			err = refuse(r, -EINVAL, "%.300s cannot be read: %s", r->file,
				     strerror(errno));
		*bytes += n > 0 ? (size_t)n : 0;
	}
	close(fd);
	if (err == 0 && *bytes == FILE_BYTES_MAX)
		err = refuse(r, -EINVAL, "%.300s is larger than %d bytes", r->file,
			     FILE_BYTES_MAX - 1);
	return err;
}

static int load_file(struct reader *r)
{
	char *buffer = malloc(FILE_BYTES_MAX);
	size_t bytes = 0;
	int err;

	if (buffer == NULL)
		return refuse(r, -ENOMEM, "no memory to read %.300s", r->file);
	err = read_file(r, buffer, &bytes);
	for (size_t at = 0; err == 0 && at < bytes;) {
		const char *end = memchr(buffer + at, '\n', bytes - at);

		if (end == NULL)
			end = buffer + bytes;
		err = take_line(r, buffer + at, end);
		at = (size_t)(end - buffer) + 1;
	}
	explicit_bzero(buffer, FILE_BYTES_MAX);
	free(buffer);
	return err;
}

static int load_environment(struct reader *r)
{
	int err = 0;

	r->line = 0;
	for (size_t i = 0; err == 0 && i < KEYS; i++) {
		const char *value = r->said[keys[i].set] ? NULL : secure_getenv(keys[i].variable);

		if (value != NULL)
			err = store(r, &keys[i], value, strlen(value), keys[i].variable);
	}
	return err;
}

static int check_pairs(struct reader *r)
{
	const struct engine_credentials *c = r->out;
	bool access = c->access_key[0] != '\0', secret = c->secret_key[0] != '\0';

	if (access != secret)
		return refuse(r, -EINVAL,
			      "credentials: %s, but no %s; both come from one place, the "
			      "file or the environment",
			      access ? "an access key" : "a secret key",
			      access ? "secret key" : "access key");
	if (c->session_token[0] != '\0' && !access)
		return refuse(r, -EINVAL, "credentials: a session token, but no access key");
	if (c->user[0] != '\0' && c->password[0] == '\0')
		return refuse(r, -EINVAL,
			      "credentials: a user, but no password; both come from one "
			      "place, the file or the environment");
	if ((c->certificate_file[0] != '\0') != (c->key_file[0] != '\0'))
		return refuse(
			r, -EINVAL,
			"credentials: a certificate needs a key, and a key a certificate; both "
			"come from one place, the file or the environment");
	return 0;
}

int engine_credentials_load(struct engine_credentials *out, const char *file, char *why)
{
	struct reader r = {.out = out, .file = file, .why = why};
	int err = 0;

	memset(out, 0, sizeof(*out));
	if (file != NULL && file[0] != '\0')
		err = load_file(&r);
	if (err == 0)
		err = load_environment(&r);
	if (err == 0)
		err = check_pairs(&r);
	if (err != 0)
		engine_credentials_wipe(out);
	return err;
}

void engine_credentials_wipe(struct engine_credentials *credentials)
{
	explicit_bzero(credentials, sizeof(*credentials));
}
