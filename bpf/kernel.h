/* SPDX-License-Identifier: (BSD-2-Clause OR GPL-2.0) */
/*
 * kernel.h - the few members of the kernel's structures that the watching programs read.
 *
 * Only names and types count: libbpf finds where a member lies in the running kernel when it loads
 * a program (preserve_access_index), so that one build works from Debian 12's 6.1 on. Each member
 * here is in all of these kernels; a program that needs one that a kernel lacks is refused by the
 * kernel, and its loader says so.
 */
#ifndef ABAFT_BPF_KERNEL_H
#define ABAFT_BPF_KERNEL_H

#include <stdbool.h>

#include <linux/types.h>

/* task_struct.flags; the same since 5.12. */
#define PF_IO_WORKER 0x10
#define PF_WQ_WORKER 0x20

#pragma clang attribute push(__attribute__((preserve_access_index)), apply_to = record)

struct thread_info {
	__u32 cpu;
};
struct bio_list;
struct task_struct {
	struct thread_info thread_info;
	unsigned int flags;
	int pid; /* thread id, of the first pid namespace */
	void *worker_private;
	char comm[16];
	struct bio_list *bio_list;
};
/* What worker_private is of a kernel thread; `data` is the struct worker of a kworker. */
struct kthread {
	void *data;
};
struct work_struct;
struct worker {
	struct work_struct *current_work;
};

struct io_ring_ctx;
struct io_kiocb {
	__u8 opcode;
	struct io_ring_ctx *ctx;
};

struct bvec_iter {
	unsigned int bi_size;
};
struct bio {
	struct bio *bi_next;
	unsigned int bi_opf;
	struct bvec_iter bi_iter;
	void *bi_private;
};
struct request_queue;
struct request {
	struct bio *bio;
};
enum req_flag_bits { __REQ_META = 12, __REQ_PREFLUSH = 18 };
struct work_struct {
	void (*func)(struct work_struct *work);
};
/* A direct write or read of a file: the bi_private of its bios. */
struct iomap_dio {
	union {
		struct {
			struct work_struct work;
		} aio;
	};
};

struct sock;
struct sk_buff {
	__be16 protocol;
	__u16 network_header;
	unsigned char *head;
};

#pragma clang attribute pop

#endif
