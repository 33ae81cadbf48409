/* SPDX-License-Identifier: Apache-2.0 */
/*
 * frame_fuzz.c - arbitrary frames into the packet path: steering, parse, answer, host.
 *
 * Input: a byte of choices, then the frame, which stands at the end of its memory. What must hold:
 * what parses for a port of ours is ours in steering's eyes too, and the other way round but for
 * senders that cannot be answered; an answer parses, with its checksums right and its ends changed;
 * what a host answers is no longer than what it may be.
 */
#include <stdlib.h>
#include <string.h>

#include "bpf/decide.h"
#include "dataplane/net/frame.h"
#include "dataplane/net/host.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* Longer frames than any port hands over. */
#define FRAME_BYTES_MAX	    4096
#define ADVERTISEMENT_BYTES 86
#define BASE		    7400
#define WORKERS		    4

enum choice {
	CHOOSE_TRUST = 1,
	CHOOSE_ROOM = 2,   /* as much room behind the frame as a port gives */
	CHOOSE_LONGER = 4, /* an answer longer than the request */
};

static void must(bool holds)
{
	if (!holds)
		abort();
}

static void check_verdict(const struct frame *frame, enum frame_result trusted,
			  const struct frame_view *view)
{
	static const struct steer_rules rules = {.port_base = BASE, .workers = WORKERS};
	struct steer_about about;
	enum steer_verdict verdict =
		steer_decide(frame->data, frame->data + frame->len, &rules, &about);

	must(verdict < STEER_VERDICTS && verdict != STEER_pass_no_socket);
	if (trusted == FRAME_OK && view->port_to >= BASE && view->port_to < BASE + WORKERS)
		must(verdict == STEER_redirected || verdict >= STEER_drop_short);
	if (verdict == STEER_redirected)
		must(trusted == FRAME_OK || trusted == FRAME_NOT_OURS);
}

static void check_answer(struct frame *frame, struct frame_view *view, bool longer)
{
	struct frame_view before = *view, after;
	uint16_t len = (uint16_t)(view->payload_len + (longer ? 33 : 0));

	if (frame_reply(frame, view, len)) {
		must(len > frame_reply_room(frame, view));
		return;
	}
	must(frame->len <= frame->room);
	must(frame_parse(frame, false, &after) == FRAME_OK || !before.port_to);
	if (!before.port_to)
		return;
	must(after.payload_len == len && after.port_from == before.port_to &&
	     after.port_to == before.port_from &&
	     !memcmp(after.address_from, before.address_to, before.address_bytes) &&
	     !memcmp(after.address_to, before.address_from, before.address_bytes));
}

static void check_host(struct frame *frame)
{
	struct host host = {.mac = {2, 0, 0, 0, 0, 1}};
	uint32_t before = frame->len;
	enum host_result result;

	must(!host_add(&host, "10.1.2.4") && !host_add(&host, "fd07::1"));
	result = host_answer(&host, frame);
	must(frame->len <= frame->room);
	if (result == HOST_ND)
		must(frame->len >= ADVERTISEMENT_BYTES && frame->len <= ADVERTISEMENT_BYTES + 8);
	else
		must(frame->len <= before);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct frame frame = {0};
	struct frame_view view = {0};
	enum frame_result result;
	uint8_t choice;

	if (size < 1 || size > FRAME_BYTES_MAX)
		return 0;
	choice = data[0];
	frame.len = (uint32_t)size - 1;
	frame.room = frame.len + (choice & CHOOSE_ROOM ? 2048 : 0);
	frame.data = malloc(frame.room ? frame.room : 1);
	must(frame.data);
	memcpy(frame.data, data + 1, frame.len);
	result = frame_parse(&frame, true, &view);
	check_verdict(&frame, result, &view);
	if (!(choice & CHOOSE_TRUST))
		result = frame_parse(&frame, false, &view);
	if (result == FRAME_OK)
		check_answer(&frame, &view, choice & CHOOSE_LONGER);
	else
		check_host(&frame);
	free(frame.data);
	return 0;
}
