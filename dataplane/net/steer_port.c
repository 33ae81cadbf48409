/* SPDX-License-Identifier: Apache-2.0 */
/*
 * steer_port.c - loads bpf/steer_port.bpf.c into librte_bpf.
 *
 * I1. librte_bpf's verifier has been told that STEER_WINDOW_BYTES can be read at the frame's start,
 *     and it checks nothing while the program runs: a frame whose buffer is smaller goes to the
 *     same decision compiled as C, which needs no more than the frame.
 */
#include "dataplane/net/steer_port.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include <rte_bpf.h>
#include <rte_errno.h>

#include "bpf/steer_port.h"
#include "dataplane/net/port_why.h"

static const uint8_t object_bytes[] = {
#include "bpf/steer_port.bytes.h"
};

struct steer_port {
	struct steer_port_input input;
	struct rte_bpf *bpf;
	struct rte_bpf_jit jit;
	struct steer_counters counters;
	struct steer_bytes bytes;
};

/* librte_bpf reads its object from a path: a file in memory has one. */
static int object_file(char path[32])
{
	int fd = memfd_create("steer_port", MFD_CLOEXEC);

	if (fd < 0)
		return -errno;
	if (write(fd, object_bytes, sizeof(object_bytes)) != (ssize_t)sizeof(object_bytes)) {
		close(fd);
		return -EIO;
	}
	snprintf(path, 32, "/proc/self/fd/%d", fd);
	return fd;
}

int steer_port_open(struct steer_port **out, const struct steer_rules *rules, char *why)
{
	struct steer_port *steer = calloc(1, sizeof(*steer));
	struct rte_bpf_xsym input = {.name = "steer_port_input", .type = RTE_BPF_XTYPE_VAR};
	struct rte_bpf_prm prm = {.xsym = &input, .nb_xsym = 1};
	char path[32];
	int fd;

	*out = NULL;
	if (!steer)
		return port_say(why, -ENOMEM, "no memory for the steering program");
	steer->input.rules = *rules;
	input.var.val = &steer->input;
	input.var.desc.type = RTE_BPF_ARG_PTR;
	input.var.desc.size = sizeof(steer->input);
	prm.prog_arg.type = RTE_BPF_ARG_PTR;
	prm.prog_arg.size = STEER_WINDOW_BYTES;
	fd = object_file(path);
	if (fd < 0) {
		free(steer);
		return port_say(why, fd, "cannot make a file in memory: %s", strerror(-fd));
	}
	steer->bpf = rte_bpf_elf_load(&prm, path, "steer_port");
	close(fd);
	if (!steer->bpf || rte_bpf_get_jit(steer->bpf, &steer->jit) || !steer->jit.func) {
		steer_port_close(steer);
		return port_say(why, -EINVAL, "librte_bpf refused the steering program: %s",
				rte_strerror(rte_errno));
	}
	*out = steer;
	return 0;
}

void steer_port_close(struct steer_port *steer)
{
	if (!steer)
		return;
	if (steer->bpf)
		rte_bpf_destroy(steer->bpf);
	free(steer);
}

enum steer_verdict steer_port_decide(struct steer_port *steer, const struct frame *frame)
{
	enum steer_verdict verdict;
	struct steer_about about;

	if (frame->room < STEER_WINDOW_BYTES) {
		verdict = steer_decide(frame->data, frame->data + frame->len, &steer->input.rules,
				       &about);
	} else {
		steer->input.len = frame->len;
		verdict = (enum steer_verdict)steer->jit.func(frame->data);
	}
	switch (verdict) {
#define STEER_COUNT(name, text)                                                                    \
	case STEER_##name:                                                                         \
		steer->counters.name++;                                                            \
		steer->bytes.name += frame->len;                                                   \
		break;
		ABAFT_STEER_COUNTERS(STEER_COUNT)
#undef STEER_COUNT
	case STEER_VERDICTS:
		break;
	}
	return verdict;
}

const struct steer_counters *steer_port_counters(const struct steer_port *steer)
{
	return &steer->counters;
}

const struct steer_bytes *steer_port_bytes(const struct steer_port *steer)
{
	return &steer->bytes;
}
