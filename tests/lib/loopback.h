/* SPDX-License-Identifier: Apache-2.0 */
/*
 * loopback.h - a network namespace of this process's own, whose loopback is up: tests of sockets
 * happen in there. It goes with the process.
 */
#ifndef ABAFT_TESTS_LOOPBACK_H
#define ABAFT_TESTS_LOOPBACK_H

#include <net/if.h>
#include <sched.h>
#include <stdbool.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

/* Before any thread is there. */
static inline bool loopback_enter(void)
{
	struct ifreq request = {.ifr_flags = IFF_UP | IFF_RUNNING};
	bool up = false;
	int fd;

	if (unshare(geteuid() == 0 ? CLONE_NEWNET : CLONE_NEWUSER | CLONE_NEWNET) != 0)
		return false;
	fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return false;
	memcpy(request.ifr_name, "lo", sizeof("lo"));
	up = ioctl(fd, SIOCSIFFLAGS, &request) == 0;
	close(fd);
	return up;
}

#endif
