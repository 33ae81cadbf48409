/* SPDX-License-Identifier: Apache-2.0 */
/* campaign.c - see campaign.h. */
#include "tests/sim/world/campaign.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

struct campaign *campaign_create(void)
{
	struct campaign *campaign = mmap(NULL, sizeof(*campaign), PROT_READ | PROT_WRITE,
					 MAP_SHARED | MAP_ANONYMOUS, -1, 0);

	if (campaign == MAP_FAILED) {
		perror("world: no shared memory");
		abort();
	}
	return campaign;
}

void campaign_destroy(struct campaign *campaign)
{
	munmap(campaign, sizeof(*campaign));
}

static void add(struct world_counts *sum, const struct world_counts *one)
{
	const uint64_t *from = (const uint64_t *)one;
	uint64_t *to = (uint64_t *)sum;

	for (size_t i = 0; i < sizeof(*sum) / sizeof(uint64_t); i++)
		to[i] += from[i];
}

/* The child: returns if all went well. */
static void run_seeds(struct campaign *campaign, const struct world_options *options,
		      uint64_t count)
{
	struct world_options one = *options;

	/* It does not outlive its parent. Nodes touch little of their memory, and many are made. */
	prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0);
	prctl(PR_SET_THP_DISABLE, 1, 0, 0, 0);
	one.report = &campaign->report;
	for (uint64_t i = 0; i < count; i++) {
		struct world_counts counts;

		memset(&counts, 0, sizeof(counts));
		one.seed = options->seed + i;
		campaign->seed = one.seed;
		alarm(CAMPAIGN_RUN_S);
		if (one.quiet && !freopen("/dev/null", "w", stderr))
			abort();
		world_run(&one, &counts, &campaign->trace);
		alarm(0);
		add(&campaign->counts, &counts);
		campaign->seeds++;
	}
}

/* What the child did not report itself: an assertion, a sanitizer, a fault. */
static void name_end(struct world_report *report, int status)
{
	if (report->rule[0])
		return;
	if (WIFSIGNALED(status))
		snprintf(report->rule, sizeof(report->rule), "%s",
			 WTERMSIG(status) == SIGALRM ? "too slow" : strsignal(WTERMSIG(status)));
	else
		snprintf(report->rule, sizeof(report->rule), "exit %d", WEXITSTATUS(status));
	snprintf(report->reason, sizeof(report->reason), "the run's process ended by it");
}

bool campaign_run(struct campaign *campaign, const struct world_options *options, uint64_t count)
{
	struct rusage usage;
	int status = 0;
	pid_t child;

	memset(&campaign->report, 0, sizeof(campaign->report));
	fflush(NULL);
	child = fork();
	if (child < 0) {
		perror("world: no process for the run");
		abort();
	}
	if (child == 0) {
		run_seeds(campaign, options, count);
		fflush(NULL);
		exit(0); /* sanitizers look for leaks now */
	}
	while (wait4(child, &status, 0, &usage) < 0 && errno == EINTR)
		;
	campaign->cpu_us +=
		(uint64_t)usage.ru_utime.tv_sec * 1000000 + (uint64_t)usage.ru_utime.tv_usec +
		(uint64_t)usage.ru_stime.tv_sec * 1000000 + (uint64_t)usage.ru_stime.tv_usec;
	if (WIFEXITED(status) && WEXITSTATUS(status) == 0)
		return true;
	name_end(&campaign->report, status);
	return false;
}
