/* SPDX-License-Identifier: Apache-2.0 */
/* log_fake.c - see log_fake.h. */
#include "tests/lib/log_fake.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

int log_fake_init(struct log_fake *log, uint64_t records_max, uint64_t bytes_max)
{
	memset(log, 0, sizeof(*log));
	log->records_max = records_max;
	log->bytes_max = bytes_max;
	log->records = calloc(records_max, sizeof(*log->records));
	log->space = malloc(bytes_max);
	log->shelf = log;
	log->shelf_logs = 1;
	log->reads_max = LOG_FAKE_READS;
	if (log->records && log->space)
		return 0;
	log_fake_fini(log);
	return -ENOMEM;
}

void log_fake_fini(struct log_fake *log)
{
	free(log->records);
	free(log->space);
	log->records = NULL;
	log->space = NULL;
}

static uint8_t *reserve(void *arg, uint32_t bytes)
{
	struct log_fake *log = arg;

	log->reserves++;
	if (log->busy || log->error || log->reserve_error || log->count == log->records_max ||
	    log->used + bytes > log->bytes_max) {
		log->refused++;
		if (log->reserve_error)
			log->error = log->reserve_error;
		return NULL;
	}
	log->reserved = bytes;
	return log->space + log->used;
}

static uint64_t append(void *arg, uint32_t bytes, uint8_t type, uint64_t *place)
{
	struct log_fake *log = arg;
	uint64_t at = log->used + LOG_FAKE_FIRST_BYTES;

	if (bytes == 0 || bytes > log->reserved)
		abort(); /* an append without a reservation that holds it */
	*place = place_make(log->number, (uint32_t)(at / LOG_FAKE_SEGMENT_BYTES),
			    (uint32_t)(at % LOG_FAKE_SEGMENT_BYTES));
	log->records[log->count++] = (struct log_fake_record){
		.data = log->space + log->used, .place = *place, .bytes = bytes, .type = type};
	log->used += (bytes + 7) & ~7u;
	log->reserved = 0;
	return log->count;
}

static int error(void *arg)
{
	return ((struct log_fake *)arg)->error;
}

/* The bytes of a place, or NULL. */
static const uint8_t *bytes_at(const struct log_fake *log, uint64_t place, uint32_t bytes)
{
	uint64_t at = (uint64_t)place_segment(place) * LOG_FAKE_SEGMENT_BYTES + place_offset(place);
	const struct log_fake *of = &log->shelf[place_log(place)];

	if (place_log(place) >= log->shelf_logs || at < LOG_FAKE_FIRST_BYTES ||
	    at - LOG_FAKE_FIRST_BYTES + bytes > of->used)
		return NULL;
	return of->space + (at - LOG_FAKE_FIRST_BYTES);
}

static int begin_read(void *arg, const struct node_read *read)
{
	struct log_fake *log = arg;

	log->reads_asked++;
	if (log->read_refused)
		return log->read_refused;
	if (log->stale > 0) {
		log->stale--;
		return -ESTALE;
	}
	if (log->reading >= log->reads_max)
		return -EAGAIN;
	if (!bytes_at(log, read->place, read->bytes))
		abort(); /* a place where nothing was written */
	log->reads[log->reading++] = *read;
	return 0;
}

int log_fake_read(struct log_fake *log, uint32_t which, uint64_t *tag)
{
	struct node_read read = log->reads[which];

	log->reading--;
	memmove(&log->reads[which], &log->reads[which + 1],
		(log->reading - which) * sizeof(log->reads[0]));
	*tag = read.tag;
	if (log->read_error)
		return log->read_error;
	memcpy(read.to, bytes_at(log, read.place, read.bytes), read.bytes);
	if (log->read_damage > 0) {
		log->read_damage--;
		read.to[read.bytes / 2] ^= 4;
	}
	return 0;
}

struct node_log log_fake_ops(struct log_fake *log)
{
	return (struct node_log){.log = log,
				 .reserve = reserve,
				 .append = append,
				 .error = error,
				 .read = begin_read};
}

uint64_t log_fake_sync(struct log_fake *log, uint64_t n)
{
	uint64_t left = log->count - log->durable;

	log->durable += n < left ? n : left;
	return log->durable;
}

void log_fake_crash(struct log_fake *log)
{
	log->count = log->durable;
	log->used = 0;
	if (log->count > 0) {
		const struct log_fake_record *last = &log->records[log->count - 1];

		log->used = ((uint64_t)(last->data - log->space) + last->bytes + 7) & ~7ull;
	}
	log->reserved = 0;
	log->reading = 0;
}

int log_fake_replay(const struct log_fake *log, uint32_t number, uint64_t from,
		    struct node *nodes[], uint32_t workers)
{
	for (uint64_t i = from; i < log->durable; i++) {
		const struct log_fake_record *r = &log->records[i];
		int err =
			node_recover(nodes, workers, number, r->type, r->place, r->data, r->bytes);

		if (err)
			return err;
	}
	return 0;
}
