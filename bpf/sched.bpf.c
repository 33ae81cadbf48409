/* SPDX-License-Identifier: (BSD-2-Clause OR GPL-2.0) */
/*
 * sched.bpf.c - how long workers' threads wait for their CPU, and who has it meanwhile.
 *
 * A thread waits from its wake-up (run_delay), or from when it was switched out although it could
 * have gone on (preempted: also when it yielded to another), until it runs. What runs on that CPU
 * meanwhile is a thief: its time goes to `thieves`, slice by slice. A waiting thread that is moved
 * to another CPU ends its wait there; thieves are those of the CPU where it began to wait.
 *
 * I1. A CPU's list of waiting workers changes with the lock of its run queue held: all tracepoints
 *     here are hit under it, but for the wake-up of a thread that runs, which I2 leaves out.
 * I2. struct run of a worker says whether its thread runs. A list may name workers that wait no
 *     more or elsewhere; their struct run decides.
 * I3. A switch may go unseen (there are kernels that hide those from some threads): a thread that
 *     is switched out while it waits was switched in so. Its wait is then known until the last
 *     switch that was seen on its CPU.
 * I4. A worker's histograms and thieves have one writer at a time: the CPU it waits for, or has.
 *
 * control/watchers.c loads it. Needs BTF and Linux 5.18, whose sched_switch tells the state.
 */
#include <linux/bpf.h>
#include <bpf/bpf_core_read.h>
#include <bpf/bpf_helpers.h>
#include <bpf/bpf_tracing.h>

#include "bpf/watched.h"

#define THIEVES_MAX 4096
/* Workers that wait for one CPU; the thieves of what are more are not told. */
#define WAITING_MAX 8

struct run {
	__u64 wait_ns; /* since when it waits; 0: does not */
	__u32 cpu;     /* for this one */
	__u8 runs;
	__u8 was_preempted;
	__u8 reserved[2];
};

struct cpu {
	__u64 since_ns;		   /* since when its thread runs; 0: unknown */
	__u32 waiting;		   /* entries of `worker` that are not 0, or were not */
	__u32 worker[WAITING_MAX]; /* number + 1; 0: free */
} __attribute__((aligned(64)));

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, ABAFT_WORKERS_MAX);
	__type(key, __u32);
	__type(value, struct run);
} sched_runs SEC(".maps");

/* As many entries as CPUs: its loader says how many. */
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct cpu);
} sched_cpus SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_LRU_HASH);
	__uint(max_entries, THIEVES_MAX);
	__type(key, struct thief_key);
	__type(value, struct thief);
} thieves SEC(".maps");

WATCHED_HISTOGRAM(run_delay);
WATCHED_HISTOGRAM(preempted);

static __always_inline struct run *run_of(__u32 worker)
{
	return bpf_map_lookup_elem(&sched_runs, &worker);
}

/* I1. */
static __always_inline void wait_begin(struct run *run, __u32 worker, __u32 at, __u64 now_ns)
{
	struct cpu *cpu = bpf_map_lookup_elem(&sched_cpus, &at);

	run->wait_ns = now_ns;
	run->cpu = at;
	if (!cpu)
		return;
	for (int i = 0; i < WAITING_MAX; i++)
		if (cpu->worker[i] == worker + 1)
			return;
	for (int i = 0; i < WAITING_MAX; i++) {
		if (!cpu->worker[i]) {
			cpu->worker[i] = worker + 1;
			cpu->waiting++;
			return;
		}
	}
}

/* Counts a slice of a thread that ran while a worker waited. */
static __always_inline void steal(__u32 worker, struct task_struct *by, __u64 ns)
{
	struct thief_key key = {.worker = worker, .pid = (__u32)by->pid};
	struct thief *thief = bpf_map_lookup_elem(&thieves, &key), first = {0};

	if (!thief) {
		BPF_CORE_READ_STR_INTO(&first.comm, by, comm);
		first.count = 1;
		first.ns = ns;
		bpf_map_update_elem(&thieves, &key, &first, BPF_NOEXIST);
		return;
	}
	BPF_CORE_READ_STR_INTO(&thief->comm, by, comm); /* it may have changed, as by exec */
	thief->count++;					/* I4 */
	thief->ns += ns;
}

/* I2. The slice of `prev` ends; it goes to all who waited for it. `own`: the worker that it is. */
static __always_inline void slice_end(struct cpu *cpu, __u32 at, struct task_struct *prev,
				      __u32 own, __u64 now_ns)
{
	__u32 left = cpu->waiting;

	for (int i = 0; i < WAITING_MAX && left; i++) {
		__u32 number = cpu->worker[i];
		struct run *run = number ? run_of(number - 1) : NULL;
		__u64 since_ns;

		if (!run)
			continue;
		left--;
		if (number - 1 == own)
			continue;
		since_ns = run->wait_ns;
		if (!since_ns || run->cpu != at) {
			cpu->worker[i] = 0;
			cpu->waiting--;
			continue;
		}
		if (cpu->since_ns > since_ns)
			since_ns = cpu->since_ns;
		if (now_ns > since_ns)
			steal(number - 1, prev, now_ns - since_ns);
	}
}

static __always_inline void add(void *histograms, __u32 worker, __u64 ns)
{
	struct histogram *histogram = bpf_map_lookup_elem(histograms, &worker);

	if (histogram)
		histogram_add(histogram, ns); /* I4 */
}

static __always_inline void wait_end(struct run *run, __u32 worker, __u64 now_ns)
{
	if (run->wait_ns && now_ns > run->wait_ns && run->was_preempted)
		add(&preempted, worker, now_ns - run->wait_ns);
	else if (run->wait_ns && now_ns > run->wait_ns)
		add(&run_delay, worker, now_ns - run->wait_ns);
	run->wait_ns = 0;
}

SEC("tp_btf/sched_switch")
int BPF_PROG(sched_switch, bool preempt, struct task_struct *prev, struct task_struct *next,
	     unsigned int prev_state)
{
	__u32 at = bpf_get_smp_processor_id();
	struct cpu *cpu = bpf_map_lookup_elem(&sched_cpus, &at);
	struct worker_thread *out = watched_thread((__u32)prev->pid);
	struct worker_thread *in = watched_thread((__u32)next->pid);
	struct run *run;
	__u64 now_ns = bpf_ktime_get_ns();

	if (!cpu)
		return 0;
	if (cpu->waiting)
		slice_end(cpu, at, prev, out ? out->worker : ABAFT_WORKERS_MAX, now_ns);
	run = in ? run_of(in->worker) : NULL;
	if (run) {
		wait_end(run, in->worker, now_ns);
		run->runs = 1;
	}
	run = out ? run_of(out->worker) : NULL;
	if (run) {
		wait_end(run, out->worker, run->cpu == at ? cpu->since_ns : 0); /* I3 */
		run->runs = 0;
		run->was_preempted = 1;
		if (preempt || prev_state == 0)
			wait_begin(run, out->worker, at, now_ns);
	}
	cpu->since_ns = now_ns;
	return 0;
}

SEC("tp_btf/sched_wakeup")
int BPF_PROG(sched_wakeup, struct task_struct *task)
{
	struct worker_thread *thread = watched_thread((__u32)task->pid);
	struct run *run = thread ? run_of(thread->worker) : NULL;

	if (!run || run->runs || run->wait_ns)
		return 0;
	run->was_preempted = 0;
	wait_begin(run, thread->worker, task->thread_info.cpu, bpf_ktime_get_ns());
	return 0;
}

char _license[] SEC("license") = "Dual BSD/GPL";
