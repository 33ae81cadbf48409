/* SPDX-License-Identifier: Apache-2.0 */
/*
 * endpoint.c - see endpoint.h.
 */
#include "control/endpoint.h"

#include <arpa/inet.h>
#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static int wrong(char *why, size_t why_bytes, const char *text)
{
	snprintf(why, why_bytes, "%s", text);
	return -EINVAL;
}

static bool parse_port(const char *text, uint16_t *out)
{
	unsigned long number;
	char *end;

	if (text[0] < '0' || text[0] > '9' || strlen(text) > 5)
		return false;
	number = strtoul(text, &end, 10);
	*out = (uint16_t)number;
	return *end == '\0' && number >= 1 && number <= 65535;
}

static bool parse_address(struct endpoint *out, const char *text, uint16_t port)
{
	struct in_addr ipv4;
	struct in6_addr ipv6;

	memset(out, 0, sizeof(*out));
	if (inet_pton(AF_INET, text, &ipv4) == 1) {
		out->bytes = sizeof(out->address.ipv4);
		out->address.ipv4.sin_family = AF_INET;
		out->address.ipv4.sin_port = htons(port);
		out->address.ipv4.sin_addr = ipv4;
		return true;
	}
	if (inet_pton(AF_INET6, text, &ipv6) == 1) {
		out->bytes = sizeof(out->address.ipv6);
		out->address.ipv6.sin6_family = AF_INET6;
		out->address.ipv6.sin6_port = htons(port);
		out->address.ipv6.sin6_addr = ipv6;
		return true;
	}
	return false;
}

int endpoint_parse(struct endpoint *out, const char *text, uint16_t port, char *why,
		   size_t why_bytes)
{
	char address[INET6_ADDRSTRLEN] = "";
	const char *end, *behind;
	bool brackets = text[0] == '[';
	size_t bytes;

	*out = (struct endpoint){0};
	if (strcmp(text, "no") == 0 || (!brackets && parse_address(out, text, port)))
		return 0;
	if (brackets) {
		text++;
		end = strchr(text, ']');
		if (end == NULL)
			return wrong(why, why_bytes, "has no ] behind its IPv6 address");
		behind = end + 1;
	} else {
		end = strchr(text, ':');
		end = end == NULL ? text + strlen(text) : end;
		behind = end;
	}
	bytes = (size_t)(end - text);
	if (bytes < sizeof(address))
		memcpy(address, text, bytes);
	if (behind[0] != '\0' && (behind[0] != ':' || !parse_port(behind + 1, &port)))
		return wrong(why, why_bytes,
			     "has no port from 1 to 65535 behind its address; an IPv6 address "
			     "before a port stands in brackets: [::1]:7400");
	if (!parse_address(out, address, port) ||
	    brackets != (out->address.any.sa_family == AF_INET6)) {
		*out = (struct endpoint){0};
		return wrong(why, why_bytes,
			     "is no numeric address: give ADDRESS, ADDRESS:PORT, [IPV6]:PORT, or "
			     "`no`");
	}
	return 0;
}

void endpoint_text(const struct endpoint *endpoint, char *text)
{
	char address[INET6_ADDRSTRLEN] = "";

	if (endpoint->bytes == 0) {
		snprintf(text, ENDPOINT_TEXT_BYTES, "no");
	} else if (endpoint->address.any.sa_family == AF_INET6) {
		inet_ntop(AF_INET6, &endpoint->address.ipv6.sin6_addr, address, sizeof(address));
		snprintf(text, ENDPOINT_TEXT_BYTES, "[%s]:%u", address,
			 ntohs(endpoint->address.ipv6.sin6_port));
	} else {
		inet_ntop(AF_INET, &endpoint->address.ipv4.sin_addr, address, sizeof(address));
		snprintf(text, ENDPOINT_TEXT_BYTES, "%s:%u", address,
			 ntohs(endpoint->address.ipv4.sin_port));
	}
}
