/* SPDX-License-Identifier: Apache-2.0 */
/*
 * redis_resolve.c - see redis_resolve.h.
 */
#include "dataplane/engine/redis_resolve.h"

#include <errno.h>
#include <netdb.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define HOST_BYTES 256

struct redis_resolve {
	struct gaicb request;
	struct addrinfo hints;
	char host[HOST_BYTES];
	char port[8];
};

int redis_resolve_begin(struct redis_resolve **out, const char *host, uint16_t port)
{
	struct redis_resolve *resolve = calloc(1, sizeof(*resolve));
	struct gaicb *list[1];
	int err;

	if (resolve == NULL)
		return -ENOMEM;
	snprintf(resolve->host, sizeof(resolve->host), "%s", host);
	snprintf(resolve->port, sizeof(resolve->port), "%u", port);
	resolve->hints.ai_socktype = SOCK_STREAM;
	resolve->hints.ai_flags = AI_NUMERICHOST | AI_NUMERICSERV;
	resolve->request.ar_name = resolve->host;
	resolve->request.ar_service = resolve->port;
	resolve->request.ar_request = &resolve->hints;
	*out = resolve;
	if (getaddrinfo(resolve->host, resolve->port, &resolve->hints,
			&resolve->request.ar_result) == 0)
		return 0;
	resolve->hints.ai_flags = AI_NUMERICSERV;
	resolve->request.ar_result = NULL;
	list[0] = &resolve->request;
	err = getaddrinfo_a(GAI_NOWAIT, list, 1, NULL);
	if (err == 0)
		return 0;
	free(resolve);
	return err == EAI_MEMORY ? -ENOMEM : -EAGAIN;
}

int redis_resolve_poll(struct redis_resolve *resolve, char *why, size_t why_bytes)
{
	int err;

	if (resolve->request.ar_result != NULL && resolve->hints.ai_flags & AI_NUMERICHOST)
		return 0;
	err = gai_error(&resolve->request);
	if (err == EAI_INPROGRESS)
		return -EAGAIN;
	if (err == 0 && resolve->request.ar_result != NULL)
		return 0;
	snprintf(why, why_bytes, "%s", gai_strerror(err));
	return -ENOENT;
}

uint32_t redis_resolve_count(const struct redis_resolve *resolve)
{
	uint32_t count = 0;

	for (const struct addrinfo *a = resolve->request.ar_result; a != NULL; a = a->ai_next)
		count++;
	return count;
}

socklen_t redis_resolve_address(const struct redis_resolve *resolve, uint32_t index,
				struct sockaddr_storage *out)
{
	const struct addrinfo *address = resolve->request.ar_result;

	for (index %= redis_resolve_count(resolve); index > 0; index--)
		address = address->ai_next;
	memcpy(out, address->ai_addr, address->ai_addrlen);
	return address->ai_addrlen;
}

void redis_resolve_end(struct redis_resolve *resolve)
{
	if (resolve == NULL)
		return;
	if (!(resolve->hints.ai_flags & AI_NUMERICHOST) &&
	    gai_error(&resolve->request) == EAI_INPROGRESS &&
	    gai_cancel(&resolve->request) == EAI_NOTCANCELED)
		return;
	if (resolve->request.ar_result != NULL)
		freeaddrinfo(resolve->request.ar_result);
	free(resolve);
}
