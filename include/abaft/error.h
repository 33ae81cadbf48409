/* SPDX-License-Identifier: Apache-2.0 */
/*
 * error.h - the one list of outcomes an operation can have, on the wire and in the client.
 *
 * X(name, wire code, retry, text). Codes never change their number. `retry` tells a client what is
 * safe: NO (same answer again), SAME (send the same packet again later), RESTART (run the whole
 * transaction again, with the same id and a later attempt), NEW (only a new id can work).
 */
#ifndef ABAFT_ERROR_H
#define ABAFT_ERROR_H

enum abaft_retry { ABAFT_RETRY_NO, ABAFT_RETRY_SAME, ABAFT_RETRY_RESTART, ABAFT_RETRY_NEW };

/* clang-format off */
/* What a node may answer beside OK, by code from 1 on, without gaps. */
#define ABAFT_NODE_ERRORS(X)                                                                       \
	X(NOT_FOUND,     1, NO,      "the key has no value that this transaction can see")         \
	X(SKIPPED,       2, NO,      "not executed, because an earlier operation failed")          \
	X(BUSY,          3, SAME,    "the node is at a limit; send again after a pause")           \
	X(IN_PROGRESS,   4, SAME,    "the commit is being made durable; ask again")                \
	X(TOO_LARGE,     5, NO,      "a key, value, packet or transaction is over its limit")      \
	X(UNKNOWN_TXN,   6, RESTART, "the node does not hold this transaction (any more)")         \
	X(EXPIRED,       7, NEW,     "the id is older than the node remembers outcomes")           \
	X(CLOCK_SKEW,    8, NEW,     "the id lies in the future; check the client's clock")        \
	X(MALFORMED,     9, NO,      "the packet breaks the protocol")                             \
	X(UNSUPPORTED,  10, NO,      "the node does not know this operation or version")           \
	X(ABORTED,      11, NEW,     "the transaction was aborted")                                \
	X(COMMITTED,    12, NO,      "the transaction is committed already")                       \
	X(STALE_ATTEMPT,13, NO,      "a later attempt of this step has begun")                     \
	X(INCOMPLETE,   14, SAME,    "a value still misses parts")                                 \
	X(NO_SPACE,     15, NO,      "the node's memory or log is full")                           \
	X(LOG_FAILED,   16, NO,      "the commit log failed; the node takes no commits")           \
	X(WRONG_NODE,   17, NEW,     "another node owns this transaction")                         \
	X(DENIED,       18, NO,      "the authenticator does not fit")                             \
	X(STOPPING,     19, SAME,    "the node is shutting down")                                  \
	X(READ_FAILED,  20, SAME,    "the disk did not give the value back")                       \
	X(CORRUPT,      21, NO,      "the value's bytes on disk are damaged")

/* What only the client library says. */
#define ABAFT_CLIENT_ERRORS(X)                                                                     \
	X(TIMEOUT,      64, SAME,    "no answer within the time allowed")                          \
	X(INVALID,      65, NO,      "the call's arguments are wrong")                             \
	X(NO_MEMORY,    66, NO,      "the client is out of memory")                                \
	X(NETWORK,      67, SAME,    "the socket failed; see errno")                               \
	X(PROTOCOL,     68, NO,      "the answer breaks the protocol")                             \
	X(CANCELLED,    69, NO,      "the client was closed first")

#define ABAFT_ERRORS(X)                                                                            \
	X(OK,            0, NO,      "done")                                                       \
	ABAFT_NODE_ERRORS(X)                                                                       \
	ABAFT_CLIENT_ERRORS(X)
/* clang-format on */

enum abaft_error {
#define ABAFT_ERROR_ENUM(name, code, retry, text) ABAFT_##name = (code),
	ABAFT_ERRORS(ABAFT_ERROR_ENUM)
#undef ABAFT_ERROR_ENUM
};

#endif
