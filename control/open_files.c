/* SPDX-License-Identifier: Apache-2.0 */
/* open_files.c - see open_files.h. */
#include "control/open_files.h"

#include <stdio.h>
#include <sys/resource.h>

/* Sockets, rings, BPF maps, DPDK; and a segment's second handle, for writing, of each log. */
#define BESIDE 1024

uint64_t open_files_wanted(uint64_t log_bytes_max, uint64_t segment_bytes)
{
	return log_bytes_max == 0 ? UINT64_MAX : log_bytes_max / segment_bytes + BESIDE;
}

/* What the kernel gives a process at most. */
static uint64_t kernel_max(void)
{
	FILE *file = fopen("/proc/sys/fs/nr_open", "re");
	char text[32];
	uint64_t max = 0;

	if (file == NULL)
		return 0;
	if (fgets(text, sizeof(text), file) != NULL && sscanf(text, "%lu", &max) != 1)
		max = 0;
	fclose(file);
	return max;
}

static uint64_t least(uint64_t a, uint64_t b)
{
	return a < b ? a : b;
}

uint64_t open_files_raise(uint64_t wanted)
{
	struct rlimit limit, more;

	if (getrlimit(RLIMIT_NOFILE, &limit) < 0)
		return 0;
	if (limit.rlim_cur >= wanted)
		return limit.rlim_cur;
	more.rlim_cur = least(wanted, kernel_max());
	more.rlim_max = more.rlim_cur > limit.rlim_max ? more.rlim_cur : limit.rlim_max;
	if (more.rlim_cur > limit.rlim_cur && setrlimit(RLIMIT_NOFILE, &more) == 0)
		return more.rlim_cur;
	more.rlim_cur = least(wanted, limit.rlim_max);
	more.rlim_max = limit.rlim_max;
	return setrlimit(RLIMIT_NOFILE, &more) == 0 ? more.rlim_cur : limit.rlim_cur;
}
