/* SPDX-License-Identifier: Apache-2.0 */
/*
 * http.c - libcurl's multi interface by its sockets: libcurl says which it waits for and when it
 * wants to be called, epoll says which are ready. See http.h.
 *
 * A slot is one of libcurl's easy handles, kept for its life; kept connections are the multi
 * handle's, so any slot continues on any of them.
 */
#include "dataplane/engine/http.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/epoll.h>
#include <time.h>
#include <unistd.h>

#include <curl/curl.h>

#define NEVER	     UINT64_MAX
#define EVENTS_MAX   64
#define GROW_FIRST   4096u
/* Of libcurl's buffers, each slot's. */
#define BUFFER_BYTES (128L << 10)

struct http_slot {
	CURL *easy;
	struct http *http;
	struct http_request *request;
	struct http_slot *next_free;
	/* libcurl's list, without its allocations: "Expect:" and, of a body, "Content-Type:" are to
	 * be left out. */
	struct curl_slist lines[HTTP_LINES_MAX + 2];
	char error[CURL_ERROR_SIZE];
};

struct http {
	CURLM *multi;
	int epoll_fd;
	int wake_fd; /* in the set; -1: none */
	bool pipe_blocked;
	uint64_t timer_us;		   /* libcurl wants to be called then */
	uint64_t soonest_us;		   /* no request's time is over before */
	struct http_request *first, **end; /* those that wait */
	struct http_request *late;	   /* their time is over, and done() is called next */
	struct http_slot *free;
	uint32_t slots_count;
	struct http_slot slots[];
};

static uint64_t now_us(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * 1000000 + (uint64_t)now.tv_nsec / 1000;
}

static int on_socket(CURL *easy, curl_socket_t fd, int what, void *arg, void *known)
{
	struct http *http = arg;
	struct epoll_event event = {.data.fd = fd};

	(void)easy;
	if (what == CURL_POLL_REMOVE) {
		epoll_ctl(http->epoll_fd, EPOLL_CTL_DEL, fd, NULL);
		curl_multi_assign(http->multi, fd, NULL);
		return 0;
	}
	if (what & CURL_POLL_IN)
		event.events |= EPOLLIN;
	if (what & CURL_POLL_OUT)
		event.events |= EPOLLOUT;
	/* Any pointer that is not NULL says that it is in the set. */
	if (epoll_ctl(http->epoll_fd, known == NULL ? EPOLL_CTL_ADD : EPOLL_CTL_MOD, fd, &event))
		return -1;
	curl_multi_assign(http->multi, fd, http);
	return 0;
}

static int on_timer(CURLM *multi, long ms, void *arg)
{
	struct http *http = arg;

	(void)multi;
	http->timer_us = ms < 0 ? NEVER : now_us() + (uint64_t)ms * 1000;
	return 0;
}

static size_t on_head(char *line, size_t size, size_t count, void *arg)
{
	struct http_slot *slot = arg;
	struct http_request *request = slot->request;
	size_t bytes = size * count, name, from, end;

	request->own.head_bytes += (uint32_t)bytes;
	if (request->own.head_bytes > HTTP_HEAD_BYTES_MAX) {
		request->own.broken = -EMSGSIZE;
		return 0;
	}
	request->own.head_whole = line[0] == '\r' || line[0] == '\n';
	if (bytes >= 5 && memcmp(line, "HTTP/", 5) == 0) /* another begins: the last counts */
		for (uint32_t i = 0; i < request->fields_count; i++)
			request->fields[i].value[0] = '\0';
	for (uint32_t i = 0; i < request->fields_count; i++) {
		struct http_field *field = &request->fields[i];

		name = strlen(field->name);
		if (bytes <= name || line[name] != ':' || strncasecmp(line, field->name, name) != 0)
			continue;
		for (from = name + 1; from < bytes && (line[from] == ' ' || line[from] == '\t');)
			from++;
		for (end = bytes; end > from && strchr(" \t\r\n", line[end - 1]) != NULL;)
			end--;
		snprintf(field->value, sizeof(field->value), "%.*s", (int)(end - from),
			 line + from);
	}
	return bytes;
}

/* The final head is whole. */
static void answered(struct http_slot *slot)
{
	struct http_request *request = slot->request;
	long status = 0;

	if (request->own.answered)
		return;
	request->own.answered = true;
	curl_easy_getinfo(slot->easy, CURLINFO_RESPONSE_CODE, &status);
	request->status = (uint32_t)status;
	if (request->answer != NULL)
		request->answer(request);
}

static int grow(struct http_request *request, uint32_t bytes)
{
	uint32_t held = request->own.held > 0 ? request->own.held : GROW_FIRST;
	uint8_t *to;

	if (bytes <= request->own.held)
		return 0;
	while (held < bytes)
		held *= 2; /* bytes are HTTP_BODY_BYTES_MAX at most */
	to = realloc(request->to, held);
	if (to == NULL)
		return -ENOMEM;
	request->to = to;
	request->own.held = held;
	return 0;
}

/* A piece of the body. */
static int take(struct http_request *request, const char *from, size_t bytes)
{
	uint64_t begin = request->bytes;
	size_t drop, fits;

	request->bytes += bytes;
	if (request->bytes > HTTP_BODY_BYTES_MAX)
		return -EMSGSIZE;
	drop = begin < request->skip ? request->skip - begin : 0;
	if (drop >= bytes)
		return 0;
	from += drop;
	bytes -= drop;
	fits = request->room - request->got;
	if (fits > bytes)
		fits = bytes;
	if (fits < bytes && !request->cut)
		return -EMSGSIZE;
	if (request->grow && grow(request, request->got + (uint32_t)fits) != 0)
		return -ENOMEM;
	if (fits > 0)
		memcpy(request->to + request->got, from, fits);
	request->got += (uint32_t)fits;
	return 0;
}

static size_t on_body(char *from, size_t size, size_t count, void *arg)
{
	struct http_slot *slot = arg;
	struct http_request *request = slot->request;

	answered(slot);
	request->own.broken = take(request, from, size * count);
	return request->own.broken == 0 ? size * count : 0;
}

/* What is the same for all requests. */
static int slot_init(struct http *http, struct http_slot *slot, const struct http_config *config)
{
	CURL *easy = curl_easy_init();
	CURLcode code;

	if (easy == NULL)
		return -ENOMEM;
	slot->easy = easy;
	slot->http = http;
	curl_easy_setopt(easy, CURLOPT_PRIVATE, slot);
	curl_easy_setopt(easy, CURLOPT_ERRORBUFFER, slot->error);
	curl_easy_setopt(easy, CURLOPT_NOSIGNAL, 1L);
	curl_easy_setopt(easy, CURLOPT_HTTP_VERSION, (long)CURL_HTTP_VERSION_1_1);
	curl_easy_setopt(easy, CURLOPT_FOLLOWLOCATION, 0L);
	curl_easy_setopt(easy, CURLOPT_PATH_AS_IS, 1L);
	curl_easy_setopt(easy, CURLOPT_TCP_NODELAY, 1L);
	curl_easy_setopt(easy, CURLOPT_TCP_KEEPALIVE, 1L);
	curl_easy_setopt(easy, CURLOPT_BUFFERSIZE, BUFFER_BYTES);
	curl_easy_setopt(easy, CURLOPT_UPLOAD_BUFFERSIZE, BUFFER_BYTES);
	curl_easy_setopt(easy, CURLOPT_HEADERFUNCTION, on_head);
	curl_easy_setopt(easy, CURLOPT_HEADERDATA, slot);
	curl_easy_setopt(easy, CURLOPT_WRITEFUNCTION, on_body);
	curl_easy_setopt(easy, CURLOPT_WRITEDATA, slot);
	/* These copy: they may fail. */
	code = curl_easy_setopt(easy, CURLOPT_PROTOCOLS_STR, "http,https");
	if (code == CURLE_OK)
		code = curl_easy_setopt(easy, CURLOPT_PROXY, "");
	if (code == CURLE_OK)
		code = curl_easy_setopt(easy, CURLOPT_USERAGENT, "abaft");
	if (code == CURLE_OK && config->ca_file != NULL && config->ca_file[0] != '\0')
		code = curl_easy_setopt(easy, CURLOPT_CAINFO, config->ca_file);
	if (code != CURLE_OK)
		return code == CURLE_OUT_OF_MEMORY ? -ENOMEM : -EINVAL;
	slot->next_free = http->free;
	http->free = slot;
	return 0;
}

int http_create(struct http **out, const struct http_config *config)
{
	uint32_t count = config->connections;
	struct http *http;
	int err = -ENOMEM;

	if (count == 0 || count > HTTP_CONNECTIONS_MAX)
		return -EINVAL;
	if (curl_global_init(CURL_GLOBAL_DEFAULT) != CURLE_OK)
		return -ENOMEM;
	http = calloc(1, sizeof(*http) + count * sizeof(http->slots[0]));
	if (http == NULL) {
		curl_global_cleanup();
		return -ENOMEM;
	}
	http->slots_count = count;
	http->end = &http->first;
	http->wake_fd = -1;
	http->timer_us = http->soonest_us = NEVER;
	http->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
	if (http->epoll_fd < 0) {
		err = -errno;
		goto fail;
	}
	http->multi = curl_multi_init();
	if (http->multi == NULL)
		goto fail;
	curl_multi_setopt(http->multi, CURLMOPT_SOCKETFUNCTION, on_socket);
	curl_multi_setopt(http->multi, CURLMOPT_SOCKETDATA, http);
	curl_multi_setopt(http->multi, CURLMOPT_TIMERFUNCTION, on_timer);
	curl_multi_setopt(http->multi, CURLMOPT_TIMERDATA, http);
	curl_multi_setopt(http->multi, CURLMOPT_MAXCONNECTS, (long)count);
	curl_multi_setopt(http->multi, CURLMOPT_PIPELINING, (long)CURLPIPE_NOTHING);
	for (uint32_t i = count; i-- > 0;) {
		err = slot_init(http, &http->slots[i], config);
		if (err != 0)
			goto fail;
	}
	*out = http;
	return 0;
fail:
	http_destroy(http);
	return err;
}

void http_destroy(struct http *http)
{
	if (http == NULL)
		return;
	for (uint32_t i = 0; i < http->slots_count; i++)
		if (http->slots[i].easy != NULL)
			curl_easy_cleanup(http->slots[i].easy);
	if (http->multi != NULL)
		curl_multi_cleanup(http->multi);
	if (http->epoll_fd >= 0)
		close(http->epoll_fd);
	free(http);
	curl_global_cleanup();
}

void http_begin(struct http *http, struct http_request *request)
{
	memset(&request->own, 0, sizeof(request->own));
	request->own.open = true;
	request->error = 0;
	request->status = 0;
	request->got = 0;
	request->bytes = 0;
	request->why[0] = '\0';
	for (uint32_t i = 0; i < request->fields_count; i++)
		request->fields[i].value[0] = '\0';
	*http->end = request;
	http->end = &request->own.next;
	if (request->until_us < http->soonest_us)
		http->soonest_us = request->until_us;
}

/* A slot is free again, whatever became of its request. */
static void slot_free(struct http_slot *slot)
{
	struct http *http = slot->http;

	curl_multi_remove_handle(http->multi, slot->easy);
	slot->request->own.slot = NULL;
	slot->request = NULL;
	slot->next_free = http->free;
	http->free = slot;
}

static void unqueue(struct http *http, struct http_request *request)
{
	struct http_request **at = &http->first;

	while (*at != NULL && *at != request)
		at = &(*at)->own.next;
	if (*at == NULL)
		for (at = &http->late; *at != NULL && *at != request;)
			at = &(*at)->own.next;
	if (*at == NULL)
		return;
	*at = request->own.next;
	if (http->end == &request->own.next)
		http->end = at;
}

void http_cancel(struct http *http, struct http_request *request)
{
	if (!request->own.open)
		return;
	request->own.open = false;
	if (request->own.slot != NULL)
		slot_free(request->own.slot);
	else
		unqueue(http, request);
}

static void explain(struct http_request *request, const char *why)
{
	snprintf(request->why, sizeof(request->why), "%s", why);
}

/* Its slot or its place in the queue was given back before. */
static void finish(struct http_request *request, int error)
{
	request->own.open = false;
	request->error = error;
	request->done(request);
}

static void line_add(struct curl_slist **at, char *text)
{
	(*at)->data = text;
	(*at)->next = *at + 1;
	(*at)++;
}

static CURLcode slot_set(struct http_slot *slot, const struct http_request *request)
{
	static const char *const methods[] = {"GET", "PUT", "POST", "DELETE"};
	static char no_expect[] = "Expect:", no_type[] = "Content-Type:";
	bool body = request->method == HTTP_PUT || request->method == HTTP_POST;
	struct curl_slist *line = slot->lines;
	CURL *easy = slot->easy;
	CURLcode code;

	if (body) {
		line_add(&line, no_expect);
		line_add(&line, no_type);
	}
	for (uint32_t i = 0; i < request->lines_count && i < HTTP_LINES_MAX; i++)
		line_add(&line, (char *)(uintptr_t)request->lines[i]); /* read only */
	if (line > slot->lines)
		line[-1].next = NULL;
	curl_easy_setopt(easy, CURLOPT_HTTPHEADER, line > slot->lines ? slot->lines : NULL);
	if (body) {
		curl_easy_setopt(easy, CURLOPT_POST, 1L);
		curl_easy_setopt(easy, CURLOPT_POSTFIELDSIZE_LARGE,
				 (curl_off_t)request->body_bytes);
		curl_easy_setopt(easy, CURLOPT_POSTFIELDS,
				 request->body_bytes > 0 ? request->body : "");
	} else {
		curl_easy_setopt(easy, CURLOPT_HTTPGET, 1L);
	}
	curl_easy_setopt(easy, CURLOPT_FRESH_CONNECT, request->own.again ? 1L : 0L);
	code = curl_easy_setopt(easy, CURLOPT_CUSTOMREQUEST, methods[request->method]);
	if (code == CURLE_OK)
		code = curl_easy_setopt(easy, CURLOPT_URL, request->url);
	return code;
}

/* Those that wait, into free slots. */
static void start(struct http *http)
{
	while (http->first != NULL && http->free != NULL) {
		struct http_request *request = http->first;
		struct http_slot *slot = http->free;

		unqueue(http, request);
		http->free = slot->next_free;
		slot->request = request;
		slot->error[0] = '\0';
		request->own.slot = slot;
		if (slot_set(slot, request) == CURLE_OK &&
		    curl_multi_add_handle(http->multi, slot->easy) == CURLM_OK)
			continue;
		slot_free(slot);
		explain(request, "out of memory");
		finish(request, -ENOMEM);
	}
}

/* libcurl's reasons as ours. */
static int error_of(CURLcode code)
{
	switch (code) {
	case CURLE_COULDNT_CONNECT:
	case CURLE_COULDNT_RESOLVE_HOST:
	case CURLE_PARTIAL_FILE:
	case CURLE_GOT_NOTHING:
	case CURLE_SEND_ERROR:
	case CURLE_RECV_ERROR:
	case CURLE_SSL_CONNECT_ERROR:
	case CURLE_SEND_FAIL_REWIND:
		return -ENOTCONN;
	case CURLE_PEER_FAILED_VERIFICATION:
	case CURLE_SSL_CACERT_BADFILE:
	case CURLE_SSL_ISSUER_ERROR:
		return -EACCES;
	case CURLE_OPERATION_TIMEDOUT:
		return -ETIMEDOUT;
	case CURLE_OUT_OF_MEMORY:
		return -ENOMEM;
	default:
		return -EPROTO;
	}
}

/* What became of it, in our words or libcurl's. */
static int outcome(struct http_slot *slot, CURLcode code)
{
	struct http_request *request = slot->request;
	long os_error = 0;

	if (request->own.broken != 0) {
		explain(request, request->own.broken == -ENOMEM ? "out of memory"
								: "the answer is too long");
		return request->own.broken;
	}
	if (code == CURLE_COULDNT_CONNECT &&
	    curl_easy_getinfo(slot->easy, CURLINFO_OS_ERRNO, &os_error) == CURLE_OK &&
	    os_error != 0) {
		explain(request, strerrordesc_np((int)os_error));
		return -ENOTCONN;
	}
	if (code != CURLE_OK) {
		explain(request, slot->error[0] != '\0' ? slot->error : curl_easy_strerror(code));
		return error_of(code);
	}
	if (!request->own.head_whole) { /* libcurl thinks nothing of it */
		explain(request, "the connection ended within the head of the answer");
		return -ENOTCONN;
	}
	request->why[0] = '\0';
	answered(slot);
	return 0;
}

/*
 * H2. libcurl does that as well, but counts over the life of a handle, and after five times no more
 * (7.88: only curl_easy_reset() begins anew).
 */
static bool begin_again(struct http_slot *slot, int error)
{
	struct http_request *request = slot->request;
	struct http *http = slot->http;
	long connects = 1;

	curl_easy_getinfo(slot->easy, CURLINFO_NUM_CONNECTS, &connects);
	if (error != -ENOTCONN || connects > 0 || request->own.head_bytes > 0 || request->own.again)
		return false;
	slot_free(slot);
	request->own.again = true;
	request->own.next = http->first;
	if (http->first == NULL)
		http->end = &request->own.next;
	http->first = request;
	return true;
}

/* What libcurl has done with, ours again. */
static bool harvest(struct http *http)
{
	struct http_request *request;
	struct http_slot *slot;
	struct CURLMsg *message;
	bool any = false;
	CURLcode code;
	int left, error;

	while ((message = curl_multi_info_read(http->multi, &left)) != NULL) {
		if (message->msg != CURLMSG_DONE)
			continue;
		code = message->data.result; /* the message goes with the handle */
		slot = NULL;
		curl_easy_getinfo(message->easy_handle, CURLINFO_PRIVATE, (char **)&slot);
		request = slot->request;
		error = outcome(slot, code);
		if (begin_again(slot, error))
			continue;
		slot_free(slot);
		finish(request, error);
		any = true;
	}
	return any;
}

static void kick(struct http *http)
{
	int running;

	if (http->timer_us > now_us())
		return;
	http->timer_us = NEVER; /* libcurl sets it again when it wants to */
	curl_multi_socket_action(http->multi, CURL_SOCKET_TIMEOUT, 0, &running);
}

static void late_add(struct http *http, struct http_request *request)
{
	request->own.next = http->late;
	http->late = request;
}

/* When the first of those that are left is over. */
static uint64_t soonest(const struct http *http)
{
	const struct http_request *request;
	uint64_t us = NEVER;

	for (uint32_t i = 0; i < http->slots_count; i++) {
		request = http->slots[i].request;
		if (request != NULL && request->until_us < us)
			us = request->until_us;
	}
	for (request = http->first; request != NULL; request = request->own.next)
		if (request->until_us < us)
			us = request->until_us;
	return us;
}

static void expire(struct http *http)
{
	struct http_request *request, **at = &http->first;
	uint64_t now = now_us();

	if (now < http->soonest_us)
		return;
	for (uint32_t i = 0; i < http->slots_count; i++) {
		request = http->slots[i].request;
		if (request == NULL || request->until_us > now)
			continue;
		slot_free(&http->slots[i]);
		late_add(http, request);
	}
	while ((request = *at) != NULL) {
		if (request->until_us > now) {
			at = &request->own.next;
			continue;
		}
		unqueue(http, request);
		late_add(http, request);
	}
	http->soonest_us = soonest(http);
	/* done() may begin others, and cancel any. */
	while ((request = http->late) != NULL) {
		http->late = request->own.next;
		explain(request, "no answer in time");
		finish(request, -ETIMEDOUT);
	}
}

static void watch(struct http *http, int wake_fd)
{
	struct epoll_event event = {.events = EPOLLIN, .data.fd = wake_fd};
	sigset_t pipe;

	if (!http->pipe_blocked) {
		sigemptyset(&pipe);
		sigaddset(&pipe, SIGPIPE);
		http->pipe_blocked = pthread_sigmask(SIG_BLOCK, &pipe, NULL) == 0;
	}
	if (http->wake_fd == wake_fd)
		return;
	if (http->wake_fd >= 0)
		epoll_ctl(http->epoll_fd, EPOLL_CTL_DEL, http->wake_fd, NULL);
	http->wake_fd = -1;
	if (wake_fd >= 0 && epoll_ctl(http->epoll_fd, EPOLL_CTL_ADD, wake_fd, &event) == 0)
		http->wake_fd = wake_fd;
}

/* How long epoll may wait, rounded up to its milliseconds. */
static int patience(const struct http *http, int timeout_ms)
{
	uint64_t until = http->timer_us < http->soonest_us ? http->timer_us : http->soonest_us;
	uint64_t now = now_us(), ms;

	if (until == NEVER)
		return timeout_ms;
	ms = until > now ? (until - now + 999) / 1000 : 0;
	if (timeout_ms >= 0 && ms > (uint64_t)timeout_ms)
		return timeout_ms;
	return ms > INT32_MAX ? INT32_MAX : (int)ms;
}

void http_run(struct http *http, int wake_fd, int timeout_ms)
{
	struct epoll_event events[EVENTS_MAX];
	int count, what, running;

	watch(http, wake_fd);
	start(http);
	kick(http);
	if (harvest(http))
		timeout_ms = 0;
	count = epoll_wait(http->epoll_fd, events, EVENTS_MAX, patience(http, timeout_ms));
	for (int i = 0; i < count; i++) {
		if (events[i].data.fd == http->wake_fd)
			continue;
		what = 0;
		if (events[i].events & EPOLLIN)
			what |= CURL_CSELECT_IN;
		if (events[i].events & EPOLLOUT)
			what |= CURL_CSELECT_OUT;
		if (events[i].events & (EPOLLERR | EPOLLHUP))
			what |= CURL_CSELECT_ERR;
		curl_multi_socket_action(http->multi, events[i].data.fd, what, &running);
	}
	kick(http);
	harvest(http);
	expire(http);
	start(http);
	kick(http);
}
