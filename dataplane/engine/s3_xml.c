/* SPDX-License-Identifier: Apache-2.0 */
/*
 * s3_xml.c - expat calls at each end of an element; what is wanted is known by its name, its
 * parent's and its depth. See s3_xml.h.
 */
#include "dataplane/engine/s3_xml.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <expat.h>

/* Of what is wanted, the deepest is ListBucketResult/Contents/Key, 2; Owner is below. */
#define DEPTH_MAX  8
#define NAME_BYTES 32
/* A key of which each byte is encoded. */
#define TEXT_BYTES (3 * S3_KEY_BYTES)

struct document {
	XML_Parser parser;
	char names[DEPTH_MAX][NAME_BYTES];
	uint32_t depth; /* elements that are open */
	char text[TEXT_BYTES];
	uint32_t text_bytes;
	bool text_cut;
	bool bad;
	int err;
	/* At the end of an element, which names[depth - 1] still has. */
	void (*ended)(struct document *document);

	struct s3_error *error;
	struct s3_page *page;
	bool encoded;		/* keys */
	char key[S3_KEY_BYTES]; /* of the delete that failed */
	struct s3_error failure;
	s3_key_fn *on_key;
	s3_failed_fn *on_failed;
	void *arg;
};

static void refuse(struct document *document, int err)
{
	document->bad = true;
	document->err = err;
	XML_StopParser(document->parser, XML_FALSE);
}

static const char *local_name(const char *name)
{
	const char *colon = strrchr(name, ':');

	return colon != NULL ? colon + 1 : name;
}

static void XMLCALL on_start(void *arg, const XML_Char *name, const XML_Char **attributes)
{
	struct document *document = arg;

	(void)attributes;
	if (document->depth == DEPTH_MAX) {
		refuse(document, -EPROTO);
		return;
	}
	/* A longer name is none that is wanted, cut or not. */
	snprintf(document->names[document->depth++], NAME_BYTES, "%s", local_name(name));
	document->text_bytes = 0;
	document->text_cut = false;
}

static void XMLCALL on_text(void *arg, const XML_Char *text, int length)
{
	struct document *document = arg;
	uint32_t bytes = (uint32_t)length, left = TEXT_BYTES - 1 - document->text_bytes;

	if (bytes > left) {
		document->text_cut = true;
		bytes = left;
	}
	memcpy(document->text + document->text_bytes, text, bytes);
	document->text_bytes += bytes;
}

static void XMLCALL on_end(void *arg, const XML_Char *name)
{
	struct document *document = arg;

	(void)name;
	document->text[document->text_bytes] = '\0';
	if (!document->bad)
		document->ended(document);
	document->depth--;
	document->text_bytes = 0;
	document->text_cut = false;
}

static void XMLCALL on_doctype(void *arg, const XML_Char *name, const XML_Char *system,
			       const XML_Char *public, int internal)
{
	(void)name;
	(void)system;
	(void)public;
	(void)internal;
	refuse(arg, -EPROTO);
}

/* Is the element that ends ROOT/NAME, or with `parent` ROOT/PARENT/NAME? */
static bool at(const struct document *document, const char *root, const char *parent,
	       const char *name)
{
	uint32_t depth = parent == NULL ? 2 : 3;

	return document->depth == depth && strcmp(document->names[depth - 1], name) == 0 &&
	       strcmp(document->names[0], root) == 0 &&
	       (parent == NULL || strcmp(document->names[1], parent) == 0);
}

static void code_take(struct document *document, struct s3_error *error)
{
	static const char good[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789";
	const char *text = document->text;

	if (document->text_bytes >= sizeof(error->code) || text[0] == '\0' ||
	    text[strspn(text, good)] != '\0')
		return;
	memcpy(error->code, text, document->text_bytes + 1);
}

static void error_ended(struct document *document)
{
	if (at(document, "Error", NULL, "Code"))
		code_take(document, document->error);
}

static int digit_of(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	if (c >= 'A' && c <= 'F')
		return c - 'A' + 10;
	if (c >= 'a' && c <= 'f')
		return c - 'a' + 10;
	return -1;
}

/* In place. False: it is none that C can hold. */
static bool decode(struct document *document)
{
	char *from = document->text, *to = document->text;
	int high, low;

	for (; *from != '\0'; from++) {
		if (*from != '%') {
			*to++ = *from == '+' ? ' ' : *from; /* some write blanks so */
			continue;
		}
		high = digit_of(from[1]);
		low = high < 0 ? -1 : digit_of(from[2]);
		if (low < 0 || (high | low) == 0)
			return false;
		*to++ = (char)(high << 4 | low);
		from += 2;
	}
	*to = '\0';
	document->text_bytes = (uint32_t)(to - document->text);
	return true;
}

static void key_take(struct document *document)
{
	document->page->keys++;
	if (document->text_cut) {
		refuse(document, -EPROTO);
		return;
	}
	if (document->encoded && !decode(document))
		return; /* not ours */
	if (document->text_bytes >= S3_KEY_BYTES ||
	    !document->on_key(document->arg, document->text))
		refuse(document, -EPROTO);
}

static void page_ended(struct document *document)
{
	static const char root[] = "ListBucketResult";
	struct s3_page *page = document->page;

	if (at(document, root, "Contents", "Key"))
		key_take(document);
	else if (at(document, root, NULL, "IsTruncated"))
		page->truncated = strcmp(document->text, "true") == 0;
	else if (at(document, root, NULL, "NextContinuationToken") && !document->text_cut &&
		 document->text_bytes < sizeof(page->token))
		memcpy(page->token, document->text, document->text_bytes + 1);
	else
		error_ended(document);
}

static void deleted_ended(struct document *document)
{
	static const char root[] = "DeleteResult";

	if (at(document, root, "Error", "Key")) {
		if (document->text_cut || document->text_bytes >= sizeof(document->key))
			refuse(document, -EPROTO);
		else
			memcpy(document->key, document->text, document->text_bytes + 1);
	} else if (at(document, root, "Error", "Code")) {
		code_take(document, &document->failure);
	} else if (at(document, root, NULL, "Error")) {
		if (!document->on_failed(document->arg, document->key, &document->failure))
			refuse(document, -EPROTO);
		document->key[0] = '\0';
		document->failure.code[0] = '\0';
	} else {
		error_ended(document);
	}
}

/* Whether all of it is a document with that root; else -EPROTO, -EREMOTEIO or -ENOMEM. */
static int parse(struct document *document, const void *from, uint32_t bytes, const char *root)
{
	enum XML_Status status;

	document->error->code[0] = '\0';
	if (bytes == 0)
		return -EPROTO;
	document->parser = XML_ParserCreate(NULL);
	if (document->parser == NULL)
		return -ENOMEM;
	XML_SetUserData(document->parser, document);
	XML_SetElementHandler(document->parser, on_start, on_end);
	XML_SetCharacterDataHandler(document->parser, on_text);
	XML_SetStartDoctypeDeclHandler(document->parser, on_doctype);
	status = XML_Parse(document->parser, from, (int)bytes, XML_TRUE);
	if (!document->bad && status != XML_STATUS_OK)
		document->err = XML_GetErrorCode(document->parser) == XML_ERROR_NO_MEMORY ? -ENOMEM
											  : -EPROTO;
	XML_ParserFree(document->parser);
	if (document->error->code[0] != '\0')
		return -EREMOTEIO;
	if (document->err != 0)
		return document->err;
	return strcmp(document->names[0], root) == 0 ? 0 : -EPROTO;
}

int s3_error_parse(const void *from, uint32_t bytes, struct s3_error *out)
{
	struct document document = {.ended = error_ended, .error = out};

	return parse(&document, from, bytes, "Error") == -EREMOTEIO ? 0 : -EPROTO;
}

int s3_page_parse(const void *from, uint32_t bytes, struct s3_page *out, struct s3_error *error,
		  s3_key_fn *key, void *arg)
{
	static const char encoded[] = "<EncodingType>url</EncodingType>";
	struct document document = {
		.ended = page_ended, .error = error, .page = out, .on_key = key, .arg = arg};

	memset(out, 0, sizeof(*out));
	/* Some servers say so behind the keys. */
	document.encoded = bytes > 0 && memmem(from, bytes, encoded, strlen(encoded)) != NULL;
	return parse(&document, from, bytes, "ListBucketResult");
}

int s3_deleted_parse(const void *from, uint32_t bytes, struct s3_error *error, s3_failed_fn *failed,
		     void *arg)
{
	struct document document = {
		.ended = deleted_ended, .error = error, .on_failed = failed, .arg = arg};

	return parse(&document, from, bytes, "DeleteResult");
}
