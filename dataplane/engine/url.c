/* SPDX-License-Identifier: Apache-2.0 */
/*
 * url.c - one pass from left to right, each part up to the character that ends it. There is no
 * %-decoding: what would need it is in no part's alphabet.
 */
#include "dataplane/engine/url.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "dataplane/engine/scheme.h"

#define LETTERS "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
#define DIGITS	"0123456789"

#define REGION_DEFAULT "us-east-1"

struct reader {
	const char *at; /* the rest */
	struct engine_url *url;
	char *why;
};

__attribute__((format(printf, 2, 3))) static int refuse(struct reader *r, const char *format, ...)
{
	va_list args;
	int used = snprintf(r->why, ENGINE_WHY_BYTES, "the engine's URL: ");

	va_start(args, format);
	vsnprintf(r->why + used, ENGINE_WHY_BYTES - (size_t)used, format, args);
	va_end(args);
	return -EINVAL;
}

/* Moves up to the first character of `ends` to `to`. False: it is too long. */
static bool take(struct reader *r, char *to, size_t bytes, const char *ends)
{
	size_t length = strcspn(r->at, ends);

	if (length >= bytes)
		return false;
	memcpy(to, r->at, length);
	to[length] = '\0';
	r->at += length;
	return true;
}

static bool skip(struct reader *r, const char *prefix)
{
	size_t length = strlen(prefix);

	if (strncmp(r->at, prefix, length) != 0)
		return false;
	r->at += length;
	return true;
}

static bool only(const char *text, const char *alphabet)
{
	return text[strspn(text, alphabet)] == '\0';
}

static int take_scheme(struct reader *r, const struct engine_scheme **out)
{
	struct engine_url *url = r->url;
	char names[128];

	engine_scheme_names(names, sizeof(names));
	if (!take(r, url->scheme, sizeof(url->scheme), ":") || r->at[0] != ':' ||
	    !only(url->scheme, LETTERS DIGITS))
		return refuse(r, "begins with no scheme; there are %s", names);
	*out = engine_scheme_find(url->scheme);
	if (*out == NULL)
		return refuse(r, "%s is no engine; there are %s", url->scheme, names);
	r->at++;
	return 0;
}

/* HOST or [ADDRESS], and perhaps :PORT. */
static int take_server(struct reader *r, char *host, size_t bytes, uint16_t *port)
{
	bool address = skip(r, "[");
	uint32_t number = 0;

	if (!take(r, host, bytes, address ? "]" : ":/?#"))
		return refuse(r, "the host's name is too long");
	if (host[0] == '\0' || !only(host, address ? DIGITS "abcdefABCDEF:." : LETTERS DIGITS ".-"))
		return refuse(r, "names no host; write HOST, HOST:PORT or [IPv6]:PORT");
	if (address && !skip(r, "]"))
		return refuse(r, "the address lacks its ]");
	*port = 0;
	if (!skip(r, ":"))
		return 0;
	while (r->at[0] >= '0' && r->at[0] <= '9' && number <= UINT16_MAX)
		number = number * 10 + (uint32_t)(*r->at++ - '0');
	if (number == 0 || number > UINT16_MAX || strchr("/?#", r->at[0]) == NULL)
		return refuse(r, "the port behind %s is none from 1 to 65535", host);
	*port = (uint16_t)number;
	return 0;
}

static bool dots_alone(const char *prefix)
{
	for (const char *at = prefix; at != NULL; at = strchr(at, '/')) {
		at += at != prefix;
		size_t length = strcspn(at, "/");

		if (length == 0 || (length <= 2 && strspn(at, ".") == length))
			return true;
	}
	return false;
}

static int take_prefix(struct reader *r)
{
	char *prefix = r->url->prefix;

	if (!skip(r, "/") || r->at[0] == '\0' || r->at[0] == '?')
		return 0;
	if (!take(r, prefix, sizeof(r->url->prefix), "?#"))
		return refuse(r, "the prefix is longer than %zu characters",
			      sizeof(r->url->prefix) - 1);
	if (!only(prefix, LETTERS DIGITS "._/-"))
		return refuse(r, "a prefix has letters, digits and . _ / - alone");
	if (prefix[strlen(prefix) - 1] == '/' || dots_alone(prefix))
		return refuse(r,
			      "a prefix's parts are not empty, not . and not .., and no / stands "
			      "at its end");
	return 0;
}

static int take_endpoint(struct reader *r)
{
	struct engine_url *url = r->url;
	struct engine_url server;
	struct reader inner = {.url = &server, .why = r->why};
	int err;

	if (url->endpoint[0] != '\0')
		return refuse(r, "names two endpoints");
	if (!take(r, url->endpoint, sizeof(url->endpoint), "&#"))
		return refuse(r, "the endpoint is too long");
	inner.at = url->endpoint;
	if (!skip(&inner, "http://") && !skip(&inner, "https://"))
		return refuse(r, "the endpoint begins with neither http:// nor https://");
	err = take_server(&inner, server.host, sizeof(server.host), &server.port);
	if (err != 0)
		return err;
	if (strcmp(inner.at, "/") == 0)
		url->endpoint[inner.at - url->endpoint] = '\0';
	else if (inner.at[0] != '\0')
		return refuse(r,
			      "the endpoint is http://HOST:PORT or https://HOST:PORT, with nothing "
			      "behind it");
	return 0;
}

static int take_region(struct reader *r)
{
	char *region = r->url->region;

	if (region[0] != '\0')
		return refuse(r, "names two regions");
	if (!take(r, region, sizeof(r->url->region), "&#") || region[0] == '\0' ||
	    !only(region, LETTERS DIGITS "-"))
		return refuse(r, "a region has letters, digits and - alone, 63 at most");
	return 0;
}

/* Behind the ? of s3 and dynamodb. */
static int take_query(struct reader *r)
{
	int err = 0;

	do {
		if (skip(r, "endpoint="))
			err = take_endpoint(r);
		else if (skip(r, "region="))
			err = take_region(r);
		else
			err = refuse(r, "behind the ? only endpoint=URL and region=NAME are known");
	} while (err == 0 && skip(r, "&"));
	return err;
}

static int take_behind(struct reader *r)
{
	struct engine_url *url = r->url;
	int err;

	if (!take(r, url->host, sizeof(url->host), "/?#") || url->host[0] == '\0' ||
	    !only(url->host, LETTERS DIGITS "._-"))
		return refuse(r,
			      "behind %s:// stands the name of the %s, of letters, digits and "
			      ". _ -",
			      url->scheme, strcmp(url->scheme, "s3") == 0 ? "bucket" : "table");
	err = take_prefix(r);
	if (err == 0 && skip(r, "?"))
		err = take_query(r);
	if (err == 0 && url->endpoint[0] == '\0')
		err = refuse(r, "lacks ?endpoint=http://HOST:PORT");
	if (err == 0 && url->region[0] == '\0')
		memcpy(url->region, REGION_DEFAULT, sizeof(REGION_DEFAULT));
	return err;
}

static int take_options(struct reader *r)
{
	struct engine_url *url = r->url;

	if (!take(r, url->host, sizeof(url->host), "?#") || !only(url->host, LETTERS DIGITS "._-"))
		return refuse(r, "a name behind %s: has letters, digits and . _ - alone",
			      url->scheme);
	if (skip(r, "?") && !take(r, url->options, sizeof(url->options), "#"))
		return refuse(r, "more than %zu characters of options", sizeof(url->options) - 1);
	return 0;
}

static int take_rest(struct reader *r, const struct engine_scheme *scheme)
{
	int err;

	if (scheme->form == ENGINE_FORM_OPTIONS)
		return take_options(r);
	if (!skip(r, "//"))
		return refuse(r, "behind %s: lacks //", scheme->name);
	if (scheme->form == ENGINE_FORM_BEHIND)
		return take_behind(r);
	err = take_server(r, r->url->host, sizeof(r->url->host), &r->url->port);
	return err != 0 ? err : take_prefix(r);
}

int engine_url_parse(struct engine_url *out, const char *text, char *why)
{
	struct reader r = {.at = text, .url = out, .why = why};
	const struct engine_scheme *scheme;
	int err;

	memset(out, 0, sizeof(*out));
	/* First of all: what follows quotes parts of it. */
	if (strchr(text, '@') != NULL)
		return refuse(&r, "has an @; user and password belong into the file that "
				  "engine-credentials names");
	err = take_scheme(&r, &scheme);
	if (err == 0)
		err = take_rest(&r, scheme);
	if (err == 0 && r.at[0] != '\0')
		err = refuse(&r, "there is more behind it than %s has parts", scheme->name);
	return err;
}
