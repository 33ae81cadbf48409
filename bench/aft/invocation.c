/* SPDX-License-Identifier: Apache-2.0 */
/*
 * invocation.c - see invocation.h.
 */
#include "bench/aft/invocation.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

int invocation_carry(struct invocation_message *message, struct invocation_note note,
		     const void *data)
{
	uint32_t at = message->head.carried_bytes;

	if (sizeof(note) + note.bytes > INVOCATION_CARRIED_MAX - at)
		return -ENOSPC;
	memcpy(message->carried + at, &note, sizeof(note));
	if (note.bytes)
		memcpy(message->carried + at + sizeof(note), data, note.bytes);
	message->head.carried_bytes = at + (uint32_t)sizeof(note) + note.bytes;
	return 0;
}

bool invocation_carried(const struct invocation_message *message, uint32_t *at,
			struct invocation_note *note, const uint8_t **data)
{
	uint32_t left = message->head.carried_bytes - *at;

	if (left < sizeof(*note))
		return false;
	memcpy(note, message->carried + *at, sizeof(*note));
	if (note->bytes > left - sizeof(*note))
		return false;
	*data = message->carried + *at + sizeof(*note);
	*at += (uint32_t)sizeof(*note) + note->bytes;
	return true;
}

size_t invocation_key(uint32_t rank, char key[INVOCATION_KEY_BYTES])
{
	return (size_t)snprintf(key, INVOCATION_KEY_BYTES, "k%u", rank);
}

static int send_all(int fd, const void *data, size_t bytes)
{
	const char *at = data;

	while (bytes > 0) {
		ssize_t n = write(fd, at, bytes);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return -errno;
		at += n;
		bytes -= (size_t)n;
	}
	return 0;
}

static int receive_all(int fd, void *data, size_t bytes)
{
	char *at = data;

	while (bytes > 0) {
		ssize_t n = read(fd, at, bytes);

		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return n < 0 ? -errno : -EPIPE;
		at += n;
		bytes -= (size_t)n;
	}
	return 0;
}

int invocation_send(int fd, const struct invocation_message *message)
{
	return send_all(fd, message, sizeof(message->head) + message->head.carried_bytes);
}

int invocation_receive(int fd, struct invocation_message *message)
{
	struct invocation *head = &message->head;
	int err = receive_all(fd, head, sizeof(*head));

	if (err)
		return err;
	if (head->carried_bytes > INVOCATION_CARRIED_MAX || head->ops > INVOCATION_OPS_MAX ||
	    head->steps > INVOCATION_STEPS_MAX || head->step >= head->steps)
		return -EMSGSIZE;
	for (int i = 0; i < head->steps; i++)
		if (head->first[i] > head->first[i + 1] || head->first[i + 1] > head->ops)
			return -EMSGSIZE;
	return receive_all(fd, message->carried, head->carried_bytes);
}

int reply_send(int fd, const struct reply *reply)
{
	return send_all(fd, reply, sizeof(*reply));
}

int reply_receive(int fd, struct reply *reply)
{
	return receive_all(fd, reply, sizeof(*reply));
}

static void become(char *const argv[], int in, int out, pid_t parent)
{
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	if (getppid() == parent && dup2(in, STDIN_FILENO) >= 0 && dup2(out, STDOUT_FILENO) >= 0)
		execv(argv[0], argv);
	_exit(127);
}

int function_start(struct function_process *process, char *const argv[])
{
	int down[2], up[2], err;
	pid_t parent = getpid(), pid;

	if (pipe2(down, O_CLOEXEC))
		return -errno;
	if (pipe2(up, O_CLOEXEC)) {
		err = -errno;
		goto close_down;
	}
	/* A whole invocation of the base transaction fits, so that nobody waits to hand it over. */
	(void)fcntl(down[1], F_SETPIPE_SZ, 64 << 10);
	pid = fork();
	if (pid == 0)
		become(argv, down[0], up[1], parent);
	if (pid < 0) {
		err = -errno;
		goto close_up;
	}
	close(down[0]);
	close(up[1]);
	*process = (struct function_process){.to = down[1], .from = up[0], .pid = pid};
	return 0;
close_up:
	close(up[0]);
	close(up[1]);
close_down:
	close(down[0]);
	close(down[1]);
	return err;
}

void function_stop(struct function_process *process)
{
	if (!process->pid)
		return;
	close(process->to);
	close(process->from);
	while (waitpid(process->pid, NULL, 0) < 0 && errno == EINTR)
		;
	process->pid = 0;
}
