/* SPDX-License-Identifier: (BSD-2-Clause OR GPL-2.0) */
/*
 * log_uring.bpf.c - how long io_uring takes for what the commit logs submit.
 *
 * What a worker's thread submits is its log's: writes, syncs, and reads of values; nobody else's
 * requests are looked at, nor the keeper's. A request is known by its address while it is in
 * flight, and by its ring: the kernel uses a request's memory again, also for others.
 *
 * A write and its sync are submitted together, as a chain, and a write that went well leaves no
 * completion (dataplane/log/logdev_uring.c). So its end is when the sync begins: the kernel gives
 * syncs to a thread that may block, which is a tracepoint, and does so when what they are linked
 * to has ended. Or, if it comes before that, when its memory is used again.
 *
 * control/watchers.c loads it. Needs BTF and the tracepoints below, under one of their names.
 */
#include <linux/bpf.h>
#include <linux/io_uring.h>
#include <bpf/bpf_helpers.h>
#include <bpf/bpf_tracing.h>

#include "bpf/watched.h"

#define FLIGHTS_MAX 8192

enum kind { KIND_WRITE, KIND_SYNC, KIND_READ };

struct flight {
	__u64 ring;
	__u64 start_ns;
	__u64 after; /* of a sync: the request it waits for */
	__u32 worker;
	__u8 kind;
	__u8 begun; /* of a sync: it waits no more */
	__u8 reserved[2];
};

/* LRU: a request that is cancelled without a completion stays behind. */
struct {
	__uint(type, BPF_MAP_TYPE_LRU_HASH);
	__uint(max_entries, FLIGHTS_MAX);
	__type(key, __u64);
	__type(value, struct flight);
} uring_flights SEC(".maps");

WATCHED_HISTOGRAM(uring_write);
WATCHED_HISTOGRAM(uring_sync);
WATCHED_HISTOGRAM(uring_read);

static __always_inline void add(const struct flight *flight, __u64 now_ns)
{
	__u64 ns = now_ns - flight->start_ns;

	if (flight->kind == KIND_WRITE)
		watched_add(&uring_write, flight->worker, ns);
	else if (flight->kind == KIND_READ)
		watched_add(&uring_read, flight->worker, ns);
	else
		watched_add(&uring_sync, flight->worker, ns);
}

static __always_inline int submit(struct io_kiocb *req)
{
	struct task_struct *task = bpf_get_current_task_btf();
	struct worker_thread *thread = watched_thread((__u32)task->pid);
	struct flight flight = {0}, *old;
	__u64 key = (__u64)req;

	if (!thread)
		return 0;
	switch (req->opcode) {
	case IORING_OP_WRITE:
	case IORING_OP_WRITE_FIXED:
	case IORING_OP_WRITEV:
		flight.kind = KIND_WRITE;
		break;
	case IORING_OP_FSYNC:
		flight.kind = KIND_SYNC;
		break;
	case IORING_OP_READ:
	case IORING_OP_READ_FIXED:
	case IORING_OP_READV:
		flight.kind = KIND_READ;
		break;
	default:
		return 0;
	}
	flight.ring = (__u64)req->ctx;
	flight.worker = thread->worker;
	flight.start_ns = bpf_ktime_get_ns();
	/* One that failed would have left a completion; a sync is still here if it was cancelled.
	 */
	old = bpf_map_lookup_elem(&uring_flights, &key);
	if (old && old->kind == KIND_WRITE && old->ring == flight.ring)
		add(old, flight.start_ns);
	bpf_map_update_elem(&uring_flights, &key, &flight, BPF_ANY);
	return 0;
}

SEC("tp_btf/io_uring_submit_req")
int BPF_PROG(uring_submit_req, struct io_kiocb *req)
{
	return submit(req);
}

/* Its name before Linux 6.5. */
SEC("tp_btf/io_uring_submit_sqe")
int BPF_PROG(uring_submit_sqe, struct io_kiocb *req)
{
	return submit(req);
}

SEC("tp_btf/io_uring_link")
int BPF_PROG(uring_link, struct io_kiocb *req, struct io_kiocb *before)
{
	__u64 key = (__u64)req;
	struct flight *flight = bpf_map_lookup_elem(&uring_flights, &key);

	if (flight && flight->kind == KIND_SYNC)
		flight->after = (__u64)before;
	return 0;
}

SEC("tp_btf/io_uring_queue_async_work")
int BPF_PROG(uring_queue_async_work, struct io_kiocb *req)
{
	__u64 key = (__u64)req, now_ns, before;
	struct flight *flight = bpf_map_lookup_elem(&uring_flights, &key), *write;

	if (!flight || flight->kind != KIND_SYNC || flight->begun)
		return 0;
	now_ns = bpf_ktime_get_ns();
	before = flight->after;
	write = before ? bpf_map_lookup_elem(&uring_flights, &before) : NULL;
	/* What was submitted later than the sync is another request at the same address. */
	if (write && write->ring == flight->ring && write->kind == KIND_WRITE &&
	    write->start_ns <= flight->start_ns) {
		add(write, now_ns);
		bpf_map_delete_elem(&uring_flights, &before);
	}
	flight->start_ns = now_ns;
	flight->begun = 1;
	return 0;
}

/* Arguments of later kernels differ from the third on. */
SEC("tp_btf/io_uring_complete")
int BPF_PROG(uring_complete, void *ring, void *req)
{
	__u64 key = (__u64)req;
	struct flight *flight = bpf_map_lookup_elem(&uring_flights, &key);

	if (!flight)
		return 0;
	/* A sync that never began was cancelled with its write. */
	if (flight->ring == (__u64)ring && !(flight->after && !flight->begun))
		add(flight, bpf_ktime_get_ns());
	bpf_map_delete_elem(&uring_flights, &key);
	return 0;
}

char _license[] SEC("license") = "Dual BSD/GPL";
