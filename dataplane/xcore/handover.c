/* SPDX-License-Identifier: Apache-2.0 */
/*
 * handover.c - the rings and the sleepers' flags. The proof of both stands in handover.h.
 */
#include "dataplane/xcore/handover.h"

#include <ck_pr.h>
#include <ck_ring.h>
#include <errno.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <abaft/limits.h>

#include "dataplane/core/spsc.h"

#define CACHE_LINE 64

/* One direction between two workers. `lent` is the lender's own count (I2). */
struct lane {
	struct ck_ring requests; /* from -> to: lent */
	struct ck_ring returns;	 /* from -> to: given back */
	uint32_t lent;
	uint32_t pad[15];
	struct ck_ring_buffer request_slots[ABAFT_HANDOVER_RING];
	struct ck_ring_buffer return_slots[ABAFT_HANDOVER_RING];
};

struct sleeper {
	uint32_t sleeping;
	int fd;
	uint8_t pad[CACHE_LINE - 8];
};

struct handover {
	uint32_t workers;
	struct sleeper *sleepers;
	struct lane *lanes; /* lane (from, to) at from * workers + to */
};

_Static_assert((ABAFT_HANDOVER_RING & (ABAFT_HANDOVER_RING - 1)) == 0, "ck_ring wants a power");

static struct lane *lane(struct handover *handover, uint32_t from, uint32_t to)
{
	return &handover->lanes[from * handover->workers + to];
}

static int sleepers_create(struct handover *handover)
{
	handover->sleepers =
		aligned_alloc(CACHE_LINE, handover->workers * sizeof(*handover->sleepers));
	if (handover->sleepers == NULL)
		return -ENOMEM;
	for (uint32_t w = 0; w < handover->workers; w++)
		handover->sleepers[w] = (struct sleeper){.fd = -1};
	for (uint32_t w = 0; w < handover->workers; w++) {
		handover->sleepers[w].fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
		if (handover->sleepers[w].fd < 0)
			return -errno;
	}
	return 0;
}

int handover_create(struct handover **out, uint32_t workers)
{
	struct handover *handover;
	int err;

	if (workers == 0 || workers > ABAFT_WORKERS_MAX)
		return -EINVAL;
	handover = calloc(1, sizeof(*handover));
	if (handover == NULL)
		return -ENOMEM;
	handover->workers = workers;
	err = sleepers_create(handover);
	if (err != 0)
		goto fail;
	handover->lanes = calloc((size_t)workers * workers, sizeof(*handover->lanes));
	if (handover->lanes == NULL) {
		err = -ENOMEM;
		goto fail;
	}
	for (uint32_t i = 0; i < workers * workers; i++) {
		ck_ring_init(&handover->lanes[i].requests, ABAFT_HANDOVER_RING);
		ck_ring_init(&handover->lanes[i].returns, ABAFT_HANDOVER_RING);
	}
	*out = handover;
	return 0;
fail:
	handover_destroy(handover);
	return err;
}

void handover_destroy(struct handover *handover)
{
	if (handover == NULL)
		return;
	for (uint32_t w = 0; handover->sleepers != NULL && w < handover->workers; w++)
		if (handover->sleepers[w].fd >= 0)
			close(handover->sleepers[w].fd);
	free(handover->sleepers);
	free(handover->lanes);
	free(handover);
}

bool handover_lend(struct handover *handover, uint32_t self, uint32_t to, void *item)
{
	struct lane *l = lane(handover, self, to);

	if (l->lent >= ABAFT_HANDOVER_RING - 1)
		return false;
	if (!spsc_give(&l->requests, l->request_slots, item))
		return false;
	l->lent++;
	return true;
}

void *handover_borrow(struct handover *handover, uint32_t self, uint32_t from)
{
	struct lane *l = lane(handover, from, self);

	return spsc_take(&l->requests, l->request_slots);
}

void handover_give_back(struct handover *handover, uint32_t self, uint32_t to, void *item)
{
	struct lane *l = lane(handover, self, to);

	if (!spsc_give(&l->returns, l->return_slots, item))
		abort(); /* I2 broken: losing the frame in silence would hide it */
}

void *handover_take_back(struct handover *handover, uint32_t self, uint32_t from)
{
	struct lane *l = lane(handover, from, self);
	void *item = spsc_take(&l->returns, l->return_slots);

	if (item != NULL)
		lane(handover, self, from)->lent--;
	return item;
}

void handover_kick(struct handover *handover, uint32_t w)
{
	uint64_t one = 1;

	/* A full counter (EAGAIN) polls readable just as well. */
	if (write(handover->sleepers[w].fd, &one, sizeof(one)) < 0)
		return;
}

void handover_wake(struct handover *handover, uint64_t mask)
{
	if (mask == 0)
		return;
	ck_pr_fence_memory(); /* I4: our ring stores before the look at the flags */
	for (; mask != 0; mask &= mask - 1) {
		uint32_t w = (uint32_t)__builtin_ctzll(mask);

		if (ck_pr_load_32(&handover->sleepers[w].sleeping) != 0)
			handover_kick(handover, w);
	}
}

static bool anything_waits(struct handover *handover, uint32_t self)
{
	for (uint32_t from = 0; from < handover->workers; from++) {
		const struct lane *l = lane(handover, from, self);

		if (ck_ring_size(&l->requests) != 0 || ck_ring_size(&l->returns) != 0)
			return true;
	}
	return false;
}

bool handover_sleep_begin(struct handover *handover, uint32_t self)
{
	struct sleeper *sleeper = &handover->sleepers[self];

	ck_pr_store_32(&sleeper->sleeping, 1);
	ck_pr_fence_memory(); /* I4: our flag before the look into the rings */
	if (!anything_waits(handover, self))
		return true;
	ck_pr_store_32(&sleeper->sleeping, 0);
	return false;
}

void handover_sleep_end(struct handover *handover, uint32_t self)
{
	struct sleeper *sleeper = &handover->sleepers[self];
	uint64_t count;

	ck_pr_store_32(&sleeper->sleeping, 0);
	/* Empty (EAGAIN) when something else woke us. */
	if (read(sleeper->fd, &count, sizeof(count)) < 0)
		return;
}

int handover_sleep_fd(const struct handover *handover, uint32_t self)
{
	return handover->sleepers[self].fd;
}
