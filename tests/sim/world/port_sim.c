/* SPDX-License-Identifier: Apache-2.0 */
/* port_sim.c - see port_sim.h. Out of memory aborts: it is a test. */
#include "tests/sim/world/port_sim.h"

#include <stdlib.h>
#include <string.h>

#include "dataplane/net/port.h"
#include "tests/sim/world/audit.h"
#include "tests/sim/world/net.h"
#include "tests/sim/world/world.h"

#define FRAME_ROOM 2048
/* More than all requests that a worker may hold (worker.h, I2): who has more loses them. */
#define FRAMES_MAX 16384
#define FREED	   0xdb

enum where { FREE, WAITING, HELD };

struct port_frame {
	struct port_frame *next; /* of the free ones, or of those that wait */
	enum where where;
	uint32_t bytes;
	struct audit_frame audit;
	uint8_t data[FRAME_ROOM];
};

struct port_sim {
	struct port port;
	struct world *world;
	struct port_frame **frames; /* all of them */
	uint32_t count, frames_room;
	struct port_frame *free;
	struct port_frame *first, *last; /* that wait */
	uint32_t waiting, held, room;
	struct audit *audit;
	uint32_t worker;
};

static void *must(void *memory)
{
	if (!memory)
		abort();
	return memory;
}

static struct port_sim *of(struct port *port)
{
	return (struct port_sim *)port;
}

static void put_free(struct port_sim *p, struct port_frame *f)
{
	memset(f->data, FREED, f->bytes);
	f->where = FREE;
	f->bytes = 0;
	f->next = p->free;
	p->free = f;
}

static struct port_frame *take_free(struct port_sim *p)
{
	struct port_frame *f = p->free;

	if (f) {
		p->free = f->next;
		return f;
	}
	if (p->count == FRAMES_MAX)
		world_fail(p->world, "frames", "a worker holds %u frames", p->held);
	if (p->count == p->frames_room) {
		p->frames_room = p->frames_room ? 2 * p->frames_room : 64;
		p->frames = must(realloc(p->frames, p->frames_room * sizeof(*p->frames)));
	}
	f = must(malloc(sizeof(*f)));
	p->frames[p->count++] = f;
	return f;
}

static unsigned int sim_rx(struct port *port, struct frame *frames, unsigned int n)
{
	struct port_sim *p = of(port);
	unsigned int count = 0;

	while (count < n && p->first) {
		struct port_frame *f = p->first;

		p->first = f->next;
		f->where = HELD;
		audit_received(p->audit, p->worker, f->data, f->bytes, &f->audit);
		frames[count++] = (struct frame){.data = f->data,
						 .len = f->bytes,
						 .room = FRAME_ROOM,
						 .arrival_ns = f->audit.arrival_ns,
						 .handle = f};
	}
	p->waiting -= count;
	p->held += count;
	return count;
}

/* The frame comes back. */
static void take_back(struct port_sim *p, const struct frame *frame)
{
	struct port_frame *f = frame->handle;

	if (f->where != HELD || frame->data != f->data || frame->len > FRAME_ROOM)
		world_fail(p->world, "frames", "a frame comes back that was not taken");
	p->held--;
	if (frame->len > f->bytes)
		f->bytes = frame->len; /* all of it gets overwritten */
	put_free(p, f);
}

static void sim_tx(struct port *port, const struct frame *frames, unsigned int n)
{
	struct port_sim *p = of(port);

	for (unsigned int i = 0; i < n; i++) {
		const struct port_frame *f = frames[i].handle;

		audit_sent(p->audit, p->worker, frames[i].data, frames[i].len, &f->audit);
		world_note_bytes(p->world, frames[i].data, frames[i].len);
		net_send_frame(p->world->net, frames[i].data, frames[i].len);
		take_back(p, &frames[i]);
	}
}

static void sim_release(struct port *port, const struct frame *frame)
{
	take_back(of(port), frame);
}

static int sim_sleep_fd(struct port *port)
{
	return -1;
}

static const struct port_ops sim_ops = {sim_rx, sim_tx, sim_release, sim_sleep_fd};

struct port_sim *port_sim_create(struct world *world, bool trusts, uint32_t room,
				 struct audit *audit, uint32_t worker)
{
	struct port_sim *p = must(calloc(1, sizeof(*p)));

	p->port.ops = &sim_ops;
	p->port.local_senders = trusts;
	p->world = world;
	p->room = room;
	p->audit = audit;
	p->worker = worker;
	return p;
}

void port_sim_destroy(struct port_sim *p)
{
	if (!p)
		return;
	for (uint32_t i = 0; i < p->count; i++)
		free(p->frames[i]);
	free(p->frames);
	free(p);
}

struct port *port_sim_port(struct port_sim *p)
{
	return &p->port;
}

bool port_sim_arrive(struct port_sim *p, const struct net_packet *packet)
{
	struct port_frame *f;

	if (p->waiting == p->room || packet->frame_bytes > FRAME_ROOM)
		return false;
	f = take_free(p);
	f->where = WAITING;
	f->bytes = packet->frame_bytes;
	f->audit.arrival_ns = audit_arrived(p->audit);
	f->next = NULL;
	memcpy(f->data, packet->frame, f->bytes);
	if (p->first)
		p->last->next = f;
	else
		p->first = f;
	p->last = f;
	p->waiting++;
	return true;
}

void port_sim_crash(struct port_sim *p)
{
	p->free = NULL;
	p->first = NULL;
	for (uint32_t i = p->count; i-- > 0;)
		put_free(p, p->frames[i]);
	p->waiting = 0;
	p->held = 0;
}

uint32_t port_sim_waiting(const struct port_sim *p)
{
	return p->waiting;
}

uint32_t port_sim_held(const struct port_sim *p)
{
	return p->held;
}
