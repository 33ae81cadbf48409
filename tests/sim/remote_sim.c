/* SPDX-License-Identifier: Apache-2.0 */
/*
 * remote_sim.c - nodes that follow one another on one log over a storage engine, and overlap: who
 * was thought dead goes on, at once or much later, or what it had sent lands when it is long gone.
 *
 * What must hold is remote_bed.h's M1 to M4; it is checked there. A seed chooses the storage's
 * faults, the lengths of segments and objects, and what happens in what order. A seed over a
 * storage that forgets what it acknowledged counts what was lost: only ever the log's end.
 *
 *	remote_sim [--seed N] [--seeds N]
 */
#include <errno.h>
#include <getopt.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "dataplane/log/shelf.h"
#include "tests/lib/logdev_sim.h"
#include "tests/lib/remote_bed.h"

#define NODES 4

struct sim {
	struct remote_bed bed;
	struct remote_node node[NODES];
	bool paused[NODES];
	bool busy[NODES]; /* in a call that waits */
	uint64_t random;
	uint32_t bytes_max; /* of a record */
	uint32_t kills;	    /* one of so many starts is cut off; 0: none */
	bool cleans;
	uint64_t orphans;
};

static uint32_t roll(struct sim *sim, uint32_t limit)
{
	return (uint32_t)sim_random(&sim->random, limit);
}

static bool one_of(struct sim *sim, uint32_t n)
{
	return n > 0 && roll(sim, n) == 0;
}

static void choose(struct sim *sim)
{
	struct fake_faults *faults = fake_faults(sim->bed.store);
	bool good = one_of(sim, 5);

	faults->delay = one_of(sim, 4) ? 0 : 1 + roll(sim, 12);
	faults->list_delay = one_of(sim, 3) ? 200 : 0;
	faults->phantoms = one_of(sim, 3) ? 3 : 0;
	faults->lost_put = good ? 0 : one_of(sim, 2) ? 4 : 20;
	faults->lost_other = good ? 0 : 20;
	faults->late = one_of(sim, 3) ? 0 : 2;
	faults->late_ticks = one_of(sim, 2) ? 40 : 1500;
	faults->timed_out = good || one_of(sim, 2) ? 0 : 8;
	sim->bed.segment_bytes = one_of(sim, 2) ? 8 * 4096 : one_of(sim, 2) ? 64 << 10 : 1 << 20;
	sim->bed.ahead = 1 + roll(sim, 3);
	sim->bytes_max = sim->bed.segment_bytes < 1 << 20 ? 9000 : 300000;
	if (sim->bed.segment_bytes == 1 << 20)
		faults->value_max = one_of(sim, 2) ? 64 << 10 : 100001;
	sim->kills = one_of(sim, 3) ? 0 : 3;
	sim->cleans = !one_of(sim, 3);
	if (one_of(sim, 6)) {
		sim->bed.lying = true;
		faults->forgets = 30;
		faults->late = 0;
	}
}

static void work(struct sim *sim, uint32_t i)
{
	struct remote_node *node = &sim->node[i];
	uint32_t records = roll(sim, 4);

	sim->busy[i] = true;

	while (records-- > 0)
		(void)remote_node_append(node,
					 8 + roll(sim, one_of(sim, 6) ? sim->bytes_max : 300));
	remote_node_pass(node);
	if (one_of(sim, 4))
		remote_node_read(node);
	if (sim->cleans && one_of(sim, 10))
		remote_node_mark(node);
	if (sim->cleans && one_of(sim, 6))
		remote_node_free(node, 1 + roll(sim, 3));
	sim->busy[i] = false;
}

/* Whose process was ended meanwhile goes down. */
static void bury(struct sim *sim)
{
	for (uint32_t i = 0; i < NODES; i++)
		if (sim->node[i].up && !sim->busy[i] && fake_engine_dead(sim->node[i].engine))
			remote_node_kill(&sim->node[i]);
}

/* While somebody waits the others go on; nobody goes down. */
static void meanwhile(void *arg)
{
	struct sim *sim = arg;
	uint32_t i = roll(sim, NODES);

	if (one_of(sim, 2) && sim->node[i].up && sim->node[i].opened && !sim->paused[i] &&
	    !sim->busy[i] && !fake_engine_dead(sim->node[i].engine))
		work(sim, i);
}

/* Some request of somebody's is to be his last. */
static void cut(struct sim *sim)
{
	static const enum engine_verb verbs[] = {ENGINE_PUT, ENGINE_PUT_NEW, ENGINE_DELETE,
						 ENGINE_GET, ENGINE_LIST};

	fake_store_kill_at(sim->bed.store, verbs[roll(sim, 5)], 1 + roll(sim, 6));
}

static void start(struct sim *sim, uint32_t i)
{
	/* Who is not shut out as his seal was forgotten may write what he likes. */
	for (uint32_t k = 0; k < NODES && sim->bed.lying; k++)
		if (sim->node[k].up)
			remote_node_kill(&sim->node[k]);
	if (one_of(sim, sim->kills))
		cut(sim);
	sim->busy[i] = true;
	if (remote_node_start(&sim->node[i], &sim->bed, one_of(sim, 3)) == 0) {
		sim->paused[i] = false;
		if (one_of(sim, 3)) /* behind its seal */
			remote_node_mark(&sim->node[i]);
	}
	sim->busy[i] = false;
	bury(sim);
}

static void step(struct sim *sim)
{
	uint32_t i = roll(sim, NODES);
	struct remote_node *node = &sim->node[i];

	switch (roll(sim, 40)) {
	case 8: /* only this one does not reach it */
		if (node->up && one_of(sim, 6))
			fake_engine_hold(node->engine, roll(sim, 3000));
		return;
	case 7:
		fake_store_fail(sim->bed.store, ENGINE_GET, one_of(sim, 4) ? -EACCES : 0);
		return;
	case 6:
		if (one_of(sim, sim->kills))
			cut(sim);
		return;
	case 0: /* a new one, perhaps beside others */
		if (!node->up)
			start(sim, i);
		return;
	case 1:
		sim->paused[i] ^= node->up;
		return;
	case 2:
		if (node->up && one_of(sim, 3))
			remote_node_kill(node);
		return;
	case 3:
		sim->busy[i] = true;
		if (node->up && one_of(sim, 6))
			remote_node_close(node);
		sim->busy[i] = false;
		bury(sim);
		return;
	case 4:
		if (one_of(sim, 10))
			fake_store_outage(sim->bed.store, roll(sim, 400));
		return;
	case 5:
		if (one_of(sim, 10))
			fake_store_run(sim->bed.store, roll(sim, 2000));
		return;
	default:
		if (node->up && !sim->paused[i])
			work(sim, i);
		bury(sim);
	}
}

static void list_objects(const struct remote_bed *bed)
{
	struct engine_name name;
	uint32_t bytes;

	for (uint32_t i = 0; fake_store_at(bed->store, i, &name, &bytes); i++)
		printf("# %s/%s %u\n", name.dir, name.leaf, bytes);
}

/* All that was ever sent lands; then one that nobody disturbs must find the log and go on. */
static void settle(struct sim *sim)
{
	struct remote_bed *bed = &sim->bed;
	struct fake_faults *faults = fake_faults(bed->store);
	struct remote_node *last = &sim->node[0];
	int error;

	for (uint32_t i = 0; i < NODES; i++)
		if (sim->node[i].up)
			remote_node_kill(&sim->node[i]);
	fake_store_outage(bed->store, 0);
	fake_store_fail(bed->store, ENGINE_GET, 0);
	for (enum engine_verb verb = 0; verb < ENGINE_VERBS; verb++)
		fake_store_kill_at(bed->store, verb, 0);
	while (fake_store_flights(bed->store) > 0)
		fake_store_run(bed->store, 10);
	*faults = (struct fake_faults){.delay = 2, .value_max = faults->value_max};
	error = remote_node_start(last, bed, false);
	if (error == -EBADMSG && bed->lying)
		return;
	if (error && bed->verbose)
		list_objects(bed);
	if (error) {
		fprintf(stderr, "seed %" PRIu64 ": the last start ends in %d: %s\n", bed->seed,
			error, bed->why);
		abort();
	}
	for (int i = 0; i < 60; i++)
		work(sim, 0);
	if (!remote_node_drain(last)) {
		fprintf(stderr, "seed %" PRIu64 ": the last one's log failed\n", bed->seed);
		abort();
	}
	remote_node_drain_reads(last);
	remote_node_close(last);
	if (remote_node_start(last, bed, false) == 0) {
		remote_node_drain_reads(last);
		remote_node_close(last);
	} else if (!bed->lying) {
		abort();
	}
	sim->orphans = remote_bed_orphans(bed);
}

static void run(uint64_t seed, struct remote_bed_counts *total, uint64_t *orphans)
{
	struct sim *sim = calloc(1, sizeof(*sim));
	uint64_t *sum = (uint64_t *)total;

	if (!sim)
		abort();
	remote_bed_begin(&sim->bed, seed);
	sim->random = seed * 3 + 7;
	sim->bed.verbose = getenv("ABAFT_VERBOSE") != NULL;
	setvbuf(stdout, NULL, _IOLBF, 0);
	choose(sim);
	fake_store_meanwhile(sim->bed.store, meanwhile, sim);
	for (int i = 0; i < 600; i++)
		step(sim);
	fake_store_meanwhile(sim->bed.store, NULL, NULL);
	settle(sim);
	for (size_t i = 0; i < sizeof(*total) / sizeof(uint64_t); i++)
		sum[i] += ((const uint64_t *)&sim->bed.counts)[i];
	*orphans += sim->orphans;
	remote_bed_end(&sim->bed);
	free(sim);
}

/* What never came was not tested. */
static int report(const struct remote_bed_counts *total, uint64_t orphans, uint64_t seeds)
{
	int missing = 0;

#define COUNT(name, text)                                                                          \
	printf("# %10" PRIu64 " %s\n", total->name, text);                                         \
	missing += total->name == 0;
	REMOTE_BED_COUNTS(COUNT)
#undef COUNT
	printf("# %10" PRIu64 " objects left behind\n", orphans);
	printf("%sok 1 - %" PRIu64 " seeds\n", "", seeds);
	if (seeds < 300)
		missing = 0;
	printf("%sok 2 - everything that may happen did\n", missing ? "not " : "");
	return missing > 0;
}

int main(int argc, char **argv)
{
	static const struct option options[] = {{"seed", required_argument, NULL, 's'},
						{"seeds", required_argument, NULL, 'n'},
						{0}};
	struct remote_bed_counts total = {0};
	uint64_t first = 1, seeds = 300, orphans = 0;
	int option;

	while ((option = getopt_long(argc, argv, "", options, NULL)) != -1) {
		if (option == 's')
			first = strtoull(optarg, NULL, 10);
		else if (option == 'n')
			seeds = strtoull(optarg, NULL, 10);
		else
			return 2;
	}
	printf("1..2\n");
	fflush(stdout);
	for (uint64_t i = 0; i < seeds; i++)
		run(first + i, &total, &orphans);
	return report(&total, orphans, seeds);
}
