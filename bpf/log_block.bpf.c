/* SPDX-License-Identifier: (BSD-2-Clause OR GPL-2.0) */
/*
 * log_block.bpf.c - how long block devices take for what the commit logs ask of them.
 *
 * What a worker's thread asks, or io_uring's threads for it, is its log's; a direct write or read
 * is asked in the thread that submits it. Measured are bios, which is what a file system asks, from
 * their request's issue to the device until their end. Where no request carries the bio itself (a
 * device on top of others, or the front of one that was split) and for flushes, which the block
 * layer gathers into requests of its own, from when it was asked. A flush of a device without a
 * volatile cache ends before it gets here.
 *
 * The sync of a write with RWF_DSYNC comes from a kernel worker, which has the write's struct
 * iomap_dio at hand: so who wrote by which of these is remembered.
 *
 * control/watchers.c loads it. Needs BTF and the tracepoints below.
 */
#include <linux/bpf.h>
#include <bpf/bpf_core_read.h>
#include <bpf/bpf_helpers.h>
#include <bpf/bpf_tracing.h>

#include "bpf/watched.h"

#define FLIGHTS_MAX 8192
#define WRITES_MAX  8192
#define BIOS_MAX    16 /* of one request that are looked at */

/* bio.bi_opf; the same for long. */
#define OP_MASK	 0xff
#define OP_READ	 0
#define OP_WRITE 1

enum kind { KIND_WRITE, KIND_FLUSH, KIND_READ };

struct flight {
	__u64 start_ns;
	__u32 worker;
	__u8 kind;
	__u8 issued;
	__u8 reserved[2];
};

/* LRU: bios of a device that is torn out may never end. */
struct {
	__uint(type, BPF_MAP_TYPE_LRU_HASH);
	__uint(max_entries, FLIGHTS_MAX);
	__type(key, __u64); /* the bio */
	__type(value, struct flight);
} block_flights SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_LRU_HASH);
	__uint(max_entries, WRITES_MAX);
	__type(key, __u64);   /* its struct iomap_dio */
	__type(value, __u32); /* worker */
} block_writes SEC(".maps");

WATCHED_HISTOGRAM(block_write);
WATCHED_HISTOGRAM(block_flush);
WATCHED_HISTOGRAM(block_read);

static __always_inline bool is_flush(struct bio *bio)
{
	__u64 bit = bpf_core_enum_value(enum req_flag_bits, __REQ_PREFLUSH);

	return bio->bi_iter.bi_size == 0 && (bio->bi_opf >> bit & 1);
}

/* The file system's own, which a sync may have to write first. */
static __always_inline bool is_meta(struct bio *bio)
{
	return bio->bi_opf >> bpf_core_enum_value(enum req_flag_bits, __REQ_META) & 1;
}

/* Of a kernel worker that completes a direct write: whose write. */
static __always_inline __u32 *writer_of(struct task_struct *task)
{
	struct kthread *kthread = task->worker_private;
	struct worker *worker = BPF_CORE_READ(kthread, data);
	__u64 work = (__u64)BPF_CORE_READ(worker, current_work);
	__u64 dio = work - (__u64)bpf_core_field_offset(struct iomap_dio, aio.work);

	return work ? bpf_map_lookup_elem(&block_writes, &dio) : NULL;
}

SEC("tp_btf/block_bio_queue")
int BPF_PROG(block_bio_queue, struct bio *bio)
{
	struct task_struct *task = bpf_get_current_task_btf();
	struct worker_thread *thread = watched_current(task);
	__u64 key = (__u64)bio, private = (__u64)bio->bi_private;
	__u32 op = bio->bi_opf & OP_MASK, *writer;
	struct flight flight = {0};

	/* A bio that is asked while another is being: of a device under the one that was asked. */
	if (task->bio_list)
		return 0;
	if (is_flush(bio))
		flight.kind = KIND_FLUSH;
	else if (op == OP_READ)
		flight.kind = KIND_READ;
	else if (op == OP_WRITE && !is_meta(bio))
		flight.kind = KIND_WRITE;
	else
		return 0;
	if (thread) {
		flight.worker = thread->worker;
		if (flight.kind == KIND_WRITE)
			bpf_map_update_elem(&block_writes, &private, &flight.worker, BPF_ANY);
	} else if (flight.kind == KIND_FLUSH && (task->flags & PF_WQ_WORKER)) {
		writer = writer_of(task);
		if (!writer)
			return 0;
		flight.worker = *writer;
	} else {
		/* Memory that was a worker's, of a write or of a bio whose end went unseen (there
		 * are kernels that hide what happens in some threads), is now another's. */
		if (flight.kind == KIND_WRITE && bpf_map_lookup_elem(&block_writes, &private))
			bpf_map_delete_elem(&block_writes, &private);
		if (bpf_map_lookup_elem(&block_flights, &key))
			bpf_map_delete_elem(&block_flights, &key);
		return 0;
	}
	flight.start_ns = bpf_ktime_get_ns();
	bpf_map_update_elem(&block_flights, &key, &flight, BPF_ANY);
	return 0;
}

SEC("tp_btf/block_rq_issue")
int BPF_PROG(block_rq_issue, struct request *request)
{
	struct bio *bio = request->bio;

	for (int i = 0; i < BIOS_MAX && bio; i++) {
		__u64 key = (__u64)bio;
		struct flight *flight = bpf_map_lookup_elem(&block_flights, &key);

		/* Once only: what a busy device gave back is issued again. */
		if (flight && !flight->issued) {
			flight->start_ns = bpf_ktime_get_ns();
			flight->issued = 1;
		}
		bio = bio->bi_next;
	}
	return 0;
}

static __always_inline void end(struct bio *bio)
{
	__u64 key = (__u64)bio, ns;
	struct flight *flight = bpf_map_lookup_elem(&block_flights, &key);

	if (!flight)
		return;
	ns = bpf_ktime_get_ns() - flight->start_ns;
	if (flight->kind == KIND_WRITE)
		watched_add(&block_write, flight->worker, ns);
	else if (flight->kind == KIND_READ)
		watched_add(&block_read, flight->worker, ns);
	else
		watched_add(&block_flush, flight->worker, ns);
	bpf_map_delete_elem(&block_flights, &key);
}

/* The device may end a request piece by piece. */
SEC("tp_btf/block_rq_complete")
int BPF_PROG(block_rq_complete, struct request *request, __u8 error, unsigned int bytes)
{
	struct bio *bio = request->bio;

	for (int i = 0; i < BIOS_MAX && bio; i++) {
		__u32 size = bio->bi_iter.bi_size;

		if (size > bytes)
			break;
		bytes -= size;
		end(bio);
		bio = bio->bi_next;
	}
	return 0;
}

/* Of devices that know no requests; for others the kernel leaves this one out. */
SEC("tp_btf/block_bio_complete")
int BPF_PROG(block_bio_complete, struct request_queue *queue, struct bio *bio)
{
	end(bio);
	return 0;
}

char _license[] SEC("license") = "Dual BSD/GPL";
