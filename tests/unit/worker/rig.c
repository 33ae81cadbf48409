/* SPDX-License-Identifier: Apache-2.0 */
/*
 * rig.c - see rig.h.
 */
#include "tests/unit/worker/rig.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

#include "dataplane/core/node.h"
#include "dataplane/core/place.h"
#include "dataplane/log/log.h"
#include "dataplane/xcore/handover.h"
#include "tests/lib/core_packet.h"

#define FRAME_ROOM 2048
#define HEADERS	   (14 + 20 + 8)
#define WAIT_MS	   5000
/* Before the first record: 0 is no place. */
#define FILE_BEGIN 96

static void poke(int fd)
{
	uint64_t one = 1;

	assert_int_equal(write(fd, &one, sizeof(one)), sizeof(one));
}

static void drain(int fd)
{
	uint64_t count;

	if (read(fd, &count, sizeof(count)) < 0)
		return; /* nothing was there */
}

int log_error(const struct log *log)
{
	return __atomic_load_n(&log->error, __ATOMIC_ACQUIRE);
}

uint8_t *log_reserve(struct log *log, uint32_t bytes)
{
	return log_error(log) == 0 && bytes <= sizeof(log->file) - log->used ? log->file + log->used
									     : NULL;
}

uint64_t log_place(const struct log *log)
{
	return log->place;
}

uint64_t log_append(struct log *log, uint32_t bytes, uint8_t type)
{
	pthread_mutex_lock(&log->lock);
	log->place = place_make(0, 0, log->used);
	log->used += (bytes + 7) & ~7u;
	log->appended++;
	pthread_mutex_unlock(&log->lock);
	return log->appended;
}

void log_submit(struct log *log, struct now now)
{
}

uint64_t log_poll(struct log *log)
{
	pthread_mutex_lock(&log->lock);
	drain(log->fd);
	if (!log->held && log_error(log) == 0)
		log->durable = log->appended;
	while (!log->reads_held && log->ended < log->wanted) {
		const struct log_read *read = &log->reads[log->ended++ % ABAFT_FETCHES_MAX];

		memcpy(read->to, log->file + place_offset(read->place), read->bytes);
	}
	pthread_mutex_unlock(&log->lock);
	return log->durable;
}

int log_read(struct log *log, const struct log_read *read)
{
	uint64_t end = (uint64_t)place_offset(read->place) + read->bytes;

	if (log->wanted - log->taken == ABAFT_FETCHES_MAX)
		return -EAGAIN;
	if (place_log(read->place) != 0 || place_segment(read->place) != 0)
		return -ESTALE;
	if (place_offset(read->place) < FILE_BEGIN || end > log->used)
		return -EINVAL;
	log->reads[log->wanted++ % ABAFT_FETCHES_MAX] = *read;
	return 0;
}

uint32_t log_read_done(struct log *log, struct log_read_done *done, uint32_t max)
{
	uint32_t count = 0;

	while (count < max && log->taken < log->ended)
		done[count++] = (struct log_read_done){
			.tag = log->reads[log->taken++ % ABAFT_FETCHES_MAX].tag};
	return count;
}

void log_mark(const struct log *log, struct log_mark *out)
{
	*out = (struct log_mark){.record = log_durable(log)};
}

uint64_t log_durable(const struct log *log)
{
	return log->durable;
}

uint64_t log_given_ns(const struct log *log, uint64_t record)
{
	(void)log;
	(void)record;
	return 0;
}

bool log_busy(const struct log *log)
{
	return log_error(log) == 0 && log->durable != log->appended;
}

uint64_t log_stalled_us(const struct log *log)
{
	return __atomic_load_n(&log->held, __ATOMIC_RELAXED) && log_busy(log) ? RIG_STALLED_US : 0;
}

int log_sleep_fd(const struct log *log)
{
	return log->fd;
}

void log_stats(const struct log *log, struct log_stats *out)
{
	memset(out, 0, sizeof(*out));
	out->no_room = log_error(log) == -ENOSPC ? -EDQUOT : 0;
}

void rig_hold(struct rig *rig, uint32_t worker, bool held)
{
	struct log *log = &rig->log[worker];

	pthread_mutex_lock(&log->lock);
	__atomic_store_n(&log->held, held, __ATOMIC_RELAXED);
	poke(log->fd);
	pthread_mutex_unlock(&log->lock);
}

void rig_hold_reads(struct rig *rig, uint32_t worker, bool held)
{
	struct log *log = &rig->log[worker];

	pthread_mutex_lock(&log->lock);
	log->reads_held = held;
	poke(log->fd);
	pthread_mutex_unlock(&log->lock);
}

void rig_damage(struct rig *rig, uint32_t worker)
{
	struct log *log = &rig->log[worker];

	pthread_mutex_lock(&log->lock);
	for (uint32_t at = FILE_BEGIN; at < log->used; at++)
		log->file[at] ^= 1;
	pthread_mutex_unlock(&log->lock);
}

void rig_fail(struct rig *rig, uint32_t worker, int error)
{
	__atomic_store_n(&rig->log[worker].error, error, __ATOMIC_RELEASE);
	poke(rig->log[worker].fd);
}

static unsigned int port_rx(struct port *port, struct frame *frames, unsigned int n)
{
	struct rig_port *p = (struct rig_port *)port;
	uint32_t count;

	pthread_mutex_lock(&p->lock);
	count = p->waiting_count - p->taken;
	count = count < n ? count : n;
	memcpy(frames, p->waiting + p->taken, count * sizeof(*frames));
	p->taken += count;
	if (p->taken == p->waiting_count)
		drain(p->fd);
	pthread_mutex_unlock(&p->lock);
	return count;
}

static void port_tx(struct port *port, const struct frame *frames, unsigned int n)
{
	struct rig_port *p = (struct rig_port *)port;

	pthread_mutex_lock(&p->lock);
	memcpy(p->sent + p->sent_count, frames, n * sizeof(*frames));
	p->sent_count += n;
	pthread_mutex_unlock(&p->lock);
}

static void port_release(struct port *port, const struct frame *frame)
{
	struct rig_port *p = (struct rig_port *)port;

	pthread_mutex_lock(&p->lock);
	p->gone++;
	pthread_mutex_unlock(&p->lock);
	free(frame->handle);
}

static int port_sleep_fd(struct port *port)
{
	return ((struct rig_port *)port)->fd;
}

static const struct port_ops ops = {port_rx, port_tx, port_release, port_sleep_fd};

void rig_frame_room(struct rig *rig, uint32_t bytes)
{
	assert_true(bytes <= FRAME_ROOM);
	rig->frame_room = bytes;
}

void rig_send_frame(struct rig *rig, const uint8_t *bytes, uint32_t count, uint32_t flags)
{
	struct rig_port *p = &rig->port;
	struct frame frame = {.len = count, .room = rig->frame_room, .flags = flags};

	frame.handle = malloc(FRAME_ROOM);
	frame.data = frame.handle;
	memcpy(frame.data, bytes, count);
	pthread_mutex_lock(&p->lock);
	assert_true(p->waiting_count < RIG_FRAMES_MAX);
	p->waiting[p->waiting_count++] = frame;
	p->made++;
	poke(p->fd);
	pthread_mutex_unlock(&p->lock);
}

void rig_send(struct rig *rig, uint16_t udp_port, const uint8_t *payload, uint32_t bytes)
{
	uint8_t frame[FRAME_ROOM] = {2, 0, 0, 0, 0, 1, 2, 0, 0, 0, 0, 2, 8, 0, 0x45};
	uint8_t *ip = frame + 14, *udp = ip + 20;

	ip[2] = (uint8_t)((bytes + 28) >> 8);
	ip[3] = (uint8_t)(bytes + 28);
	ip[8] = 64;
	ip[9] = 17;
	memcpy(ip + 12, "\x0a\x00\x00\x02\x0a\x00\x00\x01", 8);
	udp[0] = 0x30;
	udp[2] = (uint8_t)(udp_port >> 8);
	udp[3] = (uint8_t)udp_port;
	udp[4] = (uint8_t)((bytes + 8) >> 8);
	udp[5] = (uint8_t)(bytes + 8);
	memcpy(udp + 8, payload, bytes);
	rig_send_frame(rig, frame, HEADERS + bytes, FRAME_CHECKSUM_GOOD);
}

void rig_id(struct rig *rig, uint8_t id[16], uint32_t worker)
{
	struct timespec now;

	clock_gettime(CLOCK_REALTIME, &now);
	packet_id(id, (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000, ++rig->ids,
		  worker == 0 ? 0 : UINT32_MAX);
	assert_int_equal(node_owner(id, rig->workers), worker);
}

uint32_t rig_wait_sent(struct rig *rig, uint32_t count)
{
	struct rig_port *p = &rig->port;
	uint32_t sent = 0;

	for (int ms = 0; ms < WAIT_MS && sent < count; ms++) {
		pthread_mutex_lock(&p->lock);
		sent = p->sent_count;
		pthread_mutex_unlock(&p->lock);
		if (sent < count)
			usleep(1000);
	}
	return sent;
}

bool rig_ask(struct rig *rig, enum post_question question)
{
	post_ask(&rig->post, question);
	handover_kick(rig->handover, 0);
	for (int ms = 0; ms < WAIT_MS && !post_answered(&rig->post); ms++)
		usleep(1000);
	return post_answered(&rig->post);
}

int rig_status(struct rig *rig, uint32_t i)
{
	const struct frame *frame = &rig->port.sent[i];
	struct reply_result result;
	struct reply reply;
	int status;

	if (frame->len < HEADERS ||
	    !reply_open(&reply, frame->data + HEADERS, frame->len - HEADERS))
		return -1;
	status = reply.status;
	while (reply_next(&reply, &result))
		status = result.status;
	return status;
}

uint32_t rig_count(struct rig *rig, int status)
{
	uint32_t count = 0;

	for (uint32_t i = 0; i < rig->port.sent_count; i++)
		count += rig_status(rig, i) == status;
	return count;
}

static void log_start(struct log *log)
{
	memset(log, 0, sizeof(*log));
	log->used = FILE_BEGIN;
	pthread_mutex_init(&log->lock, NULL);
	log->fd = eventfd(0, EFD_NONBLOCK);
	assert_true(log->fd >= 0);
}

static void worker_start(struct rig *rig, uint32_t w)
{
	struct node_config node = {.worker = w,
				   .origin = w,
				   .txns_max = 4096,
				   .outcomes_max = 8192,
				   .window_ms = 600000,
				   .skew_ms = 60000,
				   .instance_seed = 7,
				   .telemetry = &rig->telemetry[w].telemetry};
	struct worker_config config = {.number = w,
				       .workers = rig->workers,
				       .udp_port = RIG_UDP_PORT,
				       .port = w == 0 ? &rig->port.port : NULL,
				       .log = &rig->log[w],
				       .handover = rig->handover,
				       .post = w == 0 ? &rig->post : NULL,
				       .group = &rig->group,
				       .telemetry = &rig->telemetry[w].telemetry,
				       .version = "test"};

	log_start(&rig->log[w]);
	telemetry_memory_init(&rig->telemetry[w], RIG_SLOW_NS);
	assert_int_equal(node_create(&rig->node[w], rig->store, &node), 0);
	config.node = rig->node[w];
	assert_int_equal(worker_create(&rig->worker[w], &config), 0);
}

struct run {
	struct worker *worker;
	int *ended;
};

static void *run_worker(void *arg)
{
	struct run run = *(struct run *)arg;

	free(arg);
	*run.ended = worker_run(run.worker);
	return NULL;
}

static void start(struct rig *rig, uint32_t workers, uint64_t cache_bytes)
{
	struct store_config store = {.workers = workers,
				     .keys_max = 16384,
				     .memory_bytes = 64 << 20,
				     .cache_bytes = cache_bytes,
				     .seed = 5};

	memset(rig, 0, sizeof(*rig));
	rig->workers = workers;
	rig->frame_room = FRAME_ROOM;
	rig->port.port.ops = &ops;
	pthread_mutex_init(&rig->port.lock, NULL);
	rig->port.fd = eventfd(0, EFD_NONBLOCK);
	assert_true(rig->port.fd >= 0);
	assert_int_equal(store_create(&rig->store, &store), 0);
	assert_int_equal(handover_create(&rig->handover, workers), 0);
	for (uint32_t w = 0; w < workers; w++)
		worker_start(rig, w);
	for (uint32_t w = 0; w < workers; w++) {
		struct run *run = malloc(sizeof(*run));

		*run = (struct run){rig->worker[w], &rig->ended[w]};
		assert_int_equal(pthread_create(&rig->thread[w], NULL, run_worker, run), 0);
	}
}

void rig_start(struct rig *rig, uint32_t workers)
{
	start(rig, workers, 0);
}

void rig_start_cold(struct rig *rig, uint32_t workers)
{
	start(rig, workers, 1);
}

void rig_stop(struct rig *rig)
{
	worker_group_stop(&rig->group, rig->handover, rig->workers);
	for (uint32_t w = 0; w < rig->workers; w++) {
		pthread_join(rig->thread[w], NULL);
		assert_int_equal(rig->ended[w], 0);
	}
	assert_int_equal(rig->port.sent_count + rig->port.gone, rig->port.taken);
	for (uint32_t i = 0; i < rig->port.sent_count; i++)
		free(rig->port.sent[i].handle);
	for (uint32_t i = rig->port.taken; i < rig->port.waiting_count; i++)
		free(rig->port.waiting[i].handle);
	for (uint32_t w = 0; w < rig->workers; w++) {
		rig->counters[w] = *worker_counters(rig->worker[w]);
		rig->node_counters[w] = *node_counters(rig->node[w]);
		worker_destroy(rig->worker[w]);
		node_destroy(rig->node[w]);
		close(rig->log[w].fd);
	}
	store_destroy(rig->store);
	handover_destroy(rig->handover);
	close(rig->port.fd);
}
