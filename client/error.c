/* SPDX-License-Identifier: Apache-2.0 */
/*
 * error.c - texts, names and retry advice of the error codes, all from the list in abaft/error.h.
 *
 * Pure; any thread may call it. Codes that are not in the list get an answer too, because a caller
 * prints what it was given.
 */
#include <abaft/abaft.h>

const char *abaft_strerror(int err)
{
	switch (err) {
#define ERROR_TEXT(name, code, retry, text)                                                        \
	case ABAFT_##name:                                                                         \
		return text;
		ABAFT_ERRORS(ERROR_TEXT)
#undef ERROR_TEXT
	}
	return "not an error code of abaft";
}

const char *abaft_error_name(int err)
{
	switch (err) {
#define ERROR_NAME(name, code, retry, text)                                                        \
	case ABAFT_##name:                                                                         \
		return #name;
		ABAFT_ERRORS(ERROR_NAME)
#undef ERROR_NAME
	}
	return "?";
}

enum abaft_retry abaft_retry_of(int err)
{
	switch (err) {
#define ERROR_RETRY(name, code, retry, text)                                                       \
	case ABAFT_##name:                                                                         \
		return ABAFT_RETRY_##retry;
		ABAFT_ERRORS(ERROR_RETRY)
#undef ERROR_RETRY
	}
	return ABAFT_RETRY_NO;
}
