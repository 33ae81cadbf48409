/* SPDX-License-Identifier: Apache-2.0 */
/*
 * endpoint.h - an address and a TCP port to serve on, from text.
 *
 * Pure; any thread.
 */
#ifndef ABAFT_CONTROL_ENDPOINT_H
#define ABAFT_CONTROL_ENDPOINT_H

#include <netinet/in.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/socket.h>

/* Longest text of an endpoint: "[", an IPv6 address, "]:65535", NUL. */
#define ENDPOINT_TEXT_BYTES 64

struct endpoint {
	socklen_t bytes; /* of the address; 0: `no`, serve nowhere */
	union {
		struct sockaddr any;
		struct sockaddr_in ipv4;
		struct sockaddr_in6 ipv6;
	} address;
};

/*
 * ADDRESS, ADDRESS:PORT, [IPV6], [IPV6]:PORT or `no`; an address is numeric, a port 1 to 65535, and
 * `port` if there is none. 0, or -EINVAL with what is wrong in why[why_bytes]: the end of a
 * sentence that begins with the text.
 */
int endpoint_parse(struct endpoint *out, const char *text, uint16_t port, char *why,
		   size_t why_bytes) __attribute__((warn_unused_result));
/* As endpoint_parse() reads it, in text[ENDPOINT_TEXT_BYTES]. */
void endpoint_text(const struct endpoint *endpoint, char *text);

#endif
