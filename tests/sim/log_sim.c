/* SPDX-License-Identifier: Apache-2.0 */
/*
 * log_sim.c - a whole node over simulated disks that misbehave: real nodes, logs, kept log, keeper,
 * checkpoints and restarts, in one thread, against a model of what may and must survive.
 *
 * Each seed chooses a configuration and switches on some of the faults of log_sim.h, then lives
 * several lives with an end and a restart behind each. Two seeds of three have disks that keep
 * their word, whatever fails; the others' lie. What is asked for then:
 *
 * C1. A transaction is there after a restart if and only if its record is in its log up to the end
 *     that recovery found (log_model.h, M1): wholly, under its first outcome and version.
 * C2. A disk that keeps its word: every start succeeds, and each acknowledged transaction is there.
 * C3. A disk that lies: a start may be refused, with a sentence. If it succeeds, what was
 *     acknowledged may only be missing where docs/log-format.md says that it cannot be seen: the
 *     last groups, at most CANNOT_SEE, of a log whose disk did lie. How often is counted.
 * C5. A checkpoint that was written meanwhile may hold a part of what such a log lost: then
 *atomicity is gone too, as docs/log-format.md says. The run ends there; how often is counted. C4.
 *What is read is what the model says, never older, never in part, never other bytes; or it is an
 *error, which must have a cause. Reads go on when logs have failed or are full.
 *
 *	log_sim [--seed FIRST] [--seeds COUNT]
 *
 * ABAFT_SEED and ABAFT_SEEDS say the same; ABAFT_VERBOSE prints why starts were refused. All that
 * happens follows from the seed.
 */
#include <errno.h>
#include <inttypes.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <unistd.h>

#include "dataplane/log/checkpoint.h"
#include "dataplane/log/recover.h"
#include "tests/sim/log_sim.h"

#define CANNOT_SEE   (ABAFT_LOG_WRITES_IN_FLIGHT + 1)
#define PASSES_MAX   6000
#define OUTCOMES_MAX MODEL_TXNS_MAX

static const char *const fault_text[] = {
#define FAULT_TEXT(name, text) text,
	LOG_SIM_FAULTS(FAULT_TEXT)
#undef FAULT_TEXT
};

static struct log_sim sim;

uint32_t log_sim_roll(struct log_sim *s, uint32_t limit)
{
	return (uint32_t)sim_random(&s->random, limit);
}

void log_sim_note(struct log_sim *s, uint64_t what)
{
	s->hash = (s->hash ^ what) * 0x100000001b3u;
}

void log_sim_fail(const struct log_sim *s, const char *format, ...)
{
	char text[512];
	va_list args;

	va_start(args, format);
	vsnprintf(text, sizeof(text), format, args);
	va_end(args);
	fprintf(stderr, "seed %" PRIu64 ", life %u, pass %u%s: %s\n", s->seed, s->life, s->pass,
		s->lying ? ", lying disk" : "", text);
	abort();
}

/* Also where a check of the product or of a simulated disk aborts. */
static void on_abort(int number)
{
	char text[128];
	int n = snprintf(text, sizeof(text), "replay: tests/sim/log_sim --seed %" PRIu64 "\n",
			 sim.seed);

	if (write(STDERR_FILENO, text, (size_t)n) != n)
		_exit(1);
	signal(number, SIG_DFL);
	raise(number);
}

/* The disks, chosen by the seed. */

static struct sim_disk *any_disk(struct log_sim *s)
{
	uint32_t n = log_sim_roll(s, s->bed.workers + 1);

	return s->bed.disk[n == s->bed.workers ? ABAFT_LOG_KEPT : n];
}

static bool any_is_dead(const struct log_sim *s)
{
	for (uint32_t n = 0; n < ABAFT_LOGS_MAX; n++)
		if (s->bed.disk[n] && sim_disk_is_dead(s->bed.disk[n]))
			return true;
	return false;
}

bool log_sim_damaged(const struct log_sim *s)
{
	uint64_t damage = s->flips + sim_files_lies(s->bed.files);

	for (uint32_t n = 0; n < ABAFT_LOGS_MAX; n++)
		for (uint32_t i = 0; s->bed.disk[n] && i < SIM_DISK_LIES; i++)
			damage += sim_disk_fired(s->bed.disk[n])->lies[i];
	return damage > 0;
}

/* A segment that is there; false: none is. */
static bool any_segment(struct log_sim *s, struct sim_disk *disk, uint32_t *number, uint64_t *bytes)
{
	uint32_t there[1024], count = 0;

	for (uint32_t i = 0; i < 4096 && count < 1024; i++)
		if (sim_disk_segment(disk, i, bytes))
			there[count++] = i;
	if (count == 0)
		return false;
	/* The newest ones often: there recovery reads. */
	*number = there[log_sim_roll(s, 2) ? log_sim_roll(s, count)
					   : count - 1 - log_sim_roll(s, count < 4 ? count : 4)];
	return sim_disk_segment(disk, *number, bytes) != NULL;
}

static void flip_segment(struct log_sim *s, struct sim_disk *disk, enum log_sim_fault fault)
{
	uint32_t number;
	uint64_t bytes;

	if (!any_segment(s, disk, &number, &bytes))
		return;
	sim_disk_flip(disk, number, sim_random(&s->random, bytes * 8));
	s->counts.fault[fault]++;
	s->flips++;
}

static void flip_checkpoint(struct log_sim *s)
{
	uint32_t numbers[ABAFT_CHECKPOINTS_MAX];
	int count =
		checkpoint_list(sim_files_filedev(s->bed.files), numbers, ABAFT_CHECKPOINTS_MAX);
	uint64_t bytes;
	uint32_t which;
	uint8_t *at;

	if (count <= 0)
		return;
	which = numbers[log_sim_roll(s, (uint32_t)count)];
	at = sim_files_bytes(s->bed.files, which, &bytes);
	s->flipped |= UINT64_C(1) << which % 64;
	at[sim_random(&s->random, bytes)] ^= (uint8_t)(1u << log_sim_roll(s, 8));
	s->counts.fault[FAULT_FLIP_CHECKPOINT]++;
	s->flips++;
}

static void break_block(struct log_sim *s, struct sim_disk *disk)
{
	uint32_t number;
	uint64_t bytes;

	if (!any_segment(s, disk, &number, &bytes))
		return;
	sim_disk_bad_block(disk, number, log_sim_roll(s, (uint32_t)(bytes / 4096)));
	s->counts.fault[FAULT_BAD_BLOCK]++;
}

/* What the disks did, for the table. */
static void count_fired(struct log_sim *s, struct sim_disk *disk)
{
	const struct sim_disk_fired *fired = sim_disk_fired(disk);
	uint64_t *fault = s->counts.fault;

	fault[FAULT_CUT_RECYCLE] += fired->cut_recycles;
	fault[FAULT_CUT_RESTART] += fired->deaths;
	fault[FAULT_WRITE] += fired->writes;
	fault[FAULT_SYNC] += fired->syncs;
	fault[FAULT_FULL] += fired->creates;
	fault[FAULT_FETCH] += fired->fetches;
	fault[FAULT_SHORT_FETCH] += fired->short_fetches;
	fault[FAULT_FLIP_FETCH] += fired->flipped_fetches;
	fault[FAULT_LOST] += fired->lies[SIM_DISK_LOST];
	fault[FAULT_TORN] += fired->lies[SIM_DISK_TORN];
	fault[FAULT_ELSEWHERE] += fired->lies[SIM_DISK_ELSEWHERE];
}

/* Faults while it serves. */

static void fail_files(struct log_sim *s)
{
	static const enum sim_file_call calls[] = {SIM_FILE_CREATE, SIM_FILE_APPEND,
						   SIM_FILE_FINISH, SIM_FILE_REMOVE};

	sim_files_fail(s->bed.files, calls[log_sim_roll(s, 4)], 1 + log_sim_roll(s, 3),
		       log_sim_roll(s, 2) ? -EIO : -ENOSPC);
}

static void start_fault(struct log_sim *s, enum log_sim_fault fault)
{
	struct sim_disk *disk = any_disk(s);
	uint32_t soon = 1 + log_sim_roll(s, 12);

	switch (fault) {
	case FAULT_CUT_FINISH:
		sim_files_cut_in_finish(s->bed.files);
		s->counts.fault[fault]++;
		break;
	case FAULT_CUT_RECYCLE:
		sim_disk_cut_recycle(disk, 1 + log_sim_roll(s, 3));
		break;
	case FAULT_DELAY:
		sim_disk_delay(disk, log_sim_roll(s, 30));
		s->counts.fault[fault]++;
		break;
	case FAULT_STUCK:
		sim_disk_delay(disk, 400);
		s->counts.fault[fault]++;
		break;
	case FAULT_WRITE:
		sim_disk_fail_write(disk, soon);
		break;
	case FAULT_SYNC:
		sim_disk_fail_sync(disk, soon);
		break;
	case FAULT_FULL:
		sim_disk_fail_create(disk, log_sim_roll(s, 2) ? -ENOSPC : -EDQUOT);
		break;
	case FAULT_FILES:
		fail_files(s);
		break;
	case FAULT_FETCH:
		sim_disk_fail_fetch(disk, soon);
		break;
	case FAULT_SHORT_FETCH:
		sim_disk_short_fetch(disk, soon);
		break;
	case FAULT_FLIP_FETCH:
		sim_disk_flip_fetch(disk, soon);
		break;
	case FAULT_BAD_BLOCK:
		break_block(s, disk);
		break;
	case FAULT_HELD:
		s->bed.held = true;
		s->counts.fault[fault]++;
		break;
	case FAULT_LOST:
	case FAULT_TORN:
	case FAULT_ELSEWHERE:
		sim_disk_lie(disk, (enum sim_disk_lie)(fault - FAULT_LOST), soon);
		break;
	case FAULT_FLIP_LOG:
		flip_segment(s, s->bed.disk[log_sim_roll(s, s->bed.workers)], fault);
		break;
	case FAULT_FLIP_KEPT:
		flip_segment(s, s->bed.disk[ABAFT_LOG_KEPT], fault);
		break;
	case FAULT_FLIP_CHECKPOINT:
		flip_checkpoint(s);
		break;
	case FAULT_FILES_LIE:
		sim_files_lie(s->bed.files, (enum sim_file_lie)log_sim_roll(s, 3), soon);
		break;
	default:
		break;
	}
}

/* Those that would only end a life come seldom. */
static bool is_due(struct log_sim *s, enum log_sim_fault fault)
{
	switch (fault) {
	case FAULT_WRITE:
	case FAULT_SYNC:
	case FAULT_CUT_FINISH:
	case FAULT_CUT_RECYCLE:
		return log_sim_roll(s, 400) == 0;
	case FAULT_LOST:
	case FAULT_TORN:
	case FAULT_ELSEWHERE:
	case FAULT_FLIP_LOG:
	case FAULT_FLIP_KEPT:
	case FAULT_FLIP_CHECKPOINT:
	case FAULT_FILES_LIE:
		return log_sim_roll(s, 300) == 0;
	default:
		return log_sim_roll(s, 60) == 0;
	}
}

/* What lasts ends by itself at some time. */
static void end_faults(struct log_sim *s, bool all)
{
	for (uint32_t n = 0; n < ABAFT_LOGS_MAX; n++) {
		struct sim_disk *disk = s->bed.disk[n];

		if (!disk || (!all && log_sim_roll(s, 60)))
			continue;
		sim_disk_delay(disk, 4);
		sim_disk_fail_create(disk, 0);
		sim_disk_bad_block(disk, UINT32_MAX, 0);
		if (!all)
			continue;
		sim_disk_fail_write(disk, 0);
		sim_disk_fail_sync(disk, 0);
		sim_disk_fail_fetch(disk, 0);
		sim_disk_short_fetch(disk, 0);
		sim_disk_flip_fetch(disk, 0);
		sim_disk_cut_recycle(disk, 0);
		sim_disk_lie(disk, 0, 0);
		sim_disk_die(disk, 0);
	}
	if (all || log_sim_roll(s, 40) == 0)
		s->bed.held = false;
	for (uint32_t call = 0; all && call < SIM_FILE_CALLS; call++)
		sim_files_fail(s->bed.files, call, 0, 0);
	if (all)
		sim_files_lie(s->bed.files, SIM_FILE_LOST, 0);
}

static void maybe_faults(struct log_sim *s)
{
	for (uint32_t fault = 0; fault < FAULTS; fault++)
		if (log_sim_has(s, fault) && is_due(s, fault))
			start_fault(s, fault);
}

/* Passes. */

static void pass(struct log_sim *s)
{
	s->pass++;
	client_pass(s);
	keeper_bed_pass(&s->bed);
	for (uint32_t n = 0; n < ABAFT_LOGS_MAX; n++)
		if (s->bed.log[n])
			log_mark(s->bed.log[n], &s->mark[n]);
}

static void read_any(struct log_sim *s)
{
	uint32_t keys[GETS_MAX], count = 1 + log_sim_roll(s, GETS_MAX);

	for (uint32_t i = 0; i < count; i++)
		keys[i] = log_sim_roll(s, s->model.keys);
	/* Beside what its transaction wrote. */
	if (count > 1 && s->model.last[keys[0]] != MODEL_NONE)
		keys[1] = model_txn_of(&s->model, s->model.last[keys[0]])->write[0].key;
	if (count > 1 && keys[1] == keys[0])
		count = 1;
	(void)client_read(s, keys, count);
}

/* The last writes of a life, of which nothing behind them says that they were durable. */
static void lie_last(struct log_sim *s)
{
	for (uint32_t fault = FAULT_LOST; fault <= FAULT_ELSEWHERE; fault++)
		if (log_sim_has(s, fault) && log_sim_roll(s, 3) == 0)
			sim_disk_lie(any_disk(s), (enum sim_disk_lie)(fault - FAULT_LOST),
				     1 + log_sim_roll(s, 3));
	if (log_sim_roll(s, 3) == 0)
		keeper_ask_checkpoint(s->bed.keeper);
	for (uint32_t i = log_sim_roll(s, 16); i > 0 && !any_is_dead(s); i--) {
		if (log_sim_roll(s, 3) == 0)
			(void)client_commit_any(s);
		pass(s);
	}
}

static void serve(struct log_sim *s, uint32_t passes)
{
	uint32_t load = 1 + log_sim_roll(s, 6);

	for (uint32_t i = 0; i < passes && !any_is_dead(s); i++) {
		maybe_faults(s);
		end_faults(s, false);
		for (uint32_t n = log_sim_roll(s, 2 * load); n > 0; n--)
			(void)client_commit_any(s);
		for (uint32_t n = log_sim_roll(s, 4); n > 0; n--)
			read_any(s);
		if (log_sim_roll(s, 8) == 0)
			client_repeat(s);
		pass(s);
	}
	lie_last(s);
}

/* Until every request has its answer. */
static void drain(struct log_sim *s)
{
	for (uint32_t i = 0; client_waits(s); i++) {
		pass(s);
		if (i == PASSES_MAX)
			log_sim_fail(s, "some request never gets an answer");
	}
}

static void read_all(struct log_sim *s)
{
	drain(s);
	for (uint32_t key = 0; key < s->model.keys; key++)
		while (!client_read(s, &key, 1))
			pass(s);
	drain(s);
}

/* Ends and restarts. */

static void count_life(struct log_sim *s)
{
	struct keeper_stats stats;

	keeper_bed_stats(&s->bed, &stats);
	s->counts.damaged += stats.damaged_segments;
	for (uint32_t n = 0; n < ABAFT_LOGS_MAX; n++)
		if (s->bed.log[n] && log_error(s->bed.log[n]) &&
		    log_error(s->bed.log[n]) != -ENOSPC)
			s->counts.logs_failed++;
	if (stats.damaged_segments && !log_sim_damaged(s) && !log_sim_has(s, FAULT_BAD_BLOCK) &&
	    !log_sim_has(s, FAULT_CUT_RECYCLE))
		log_sim_fail(s, "the keeper calls a segment damaged that is not");
}

/* What only the disks and files suffer: the node is gone. */
static void crash_disks(struct log_sim *s, bool power)
{
	for (uint32_t n = 0; n < ABAFT_LOGS_MAX; n++)
		if (s->bed.disk[n])
			power ? sim_disk_power_cut(s->bed.disk[n]) : sim_disk_kill(s->bed.disk[n]);
	power ? sim_files_power_cut(s->bed.files) : sim_files_kill(s->bed.files);
}

static void end_life(struct log_sim *s)
{
	bool cut = log_sim_has(s, FAULT_POWER_CUT) || log_sim_has(s, FAULT_CUT_FINISH) ||
		   any_is_dead(s);
	bool kill = log_sim_has(s, FAULT_KILL);

	count_life(s);
	s->clean = !any_is_dead(s) && !(log_sim_has(s, FAULT_CUT_FINISH)) &&
		   ((!cut && !kill) || log_sim_roll(s, 4) == 0);
	log_sim_note(s, s->clean);
	if (s->clean) {
		end_faults(s, true);
		if (log_sim_roll(s, 2))
			drain(s);
		keeper_bed_close(&s->bed);
		s->counts.closes++;
	} else if (kill && (!cut || (!any_is_dead(s) && log_sim_roll(s, 2)))) {
		keeper_bed_kill(&s->bed);
		s->counts.fault[FAULT_KILL]++;
	} else {
		keeper_bed_power_cut(&s->bed);
		s->counts.fault[FAULT_POWER_CUT]++;
	}
	end_faults(s, true);
	client_forget(s);
}

/* Rot while nobody looks. */
static void rot(struct log_sim *s)
{
	for (uint32_t fault = FAULT_FLIP_LOG; fault <= FAULT_FLIP_CHECKPOINT; fault++)
		if (log_sim_has(s, fault) && log_sim_roll(s, 3) == 0)
			start_fault(s, fault);
}

/* All that is wrong is one of the checkpoints there are: while there is but one, nothing is
 * cleaned. */
static bool one_checkpoint_damaged(const struct log_sim *s)
{
	uint32_t numbers[ABAFT_CHECKPOINTS_MAX], damaged = 0;
	int count =
		checkpoint_list(sim_files_filedev(s->bed.files), numbers, ABAFT_CHECKPOINTS_MAX);

	if (s->faults >> FAULTS_LYING != 1u << (FAULT_FLIP_CHECKPOINT - FAULTS_LYING))
		return false;
	for (int i = 0; i < count; i++)
		damaged += s->flipped >> numbers[i] % 64 & 1;
	return damaged == 1;
}

static void count_refusal(struct log_sim *s, int err)
{
	const char *why = s->bed.why;
	struct log_sim_counts *c = &s->counts;

	s->refused = true;
	c->refused++;
	if (!log_sim_damaged(s))
		log_sim_fail(s, "a start is refused (%s): %s", strerror(-err), why);
	if (one_checkpoint_damaged(s))
		log_sim_fail(s, "one damaged checkpoint is enough to refuse a start: %s", why);
	if (err != -EBADMSG || why[0] == '\0')
		log_sim_fail(s, "a start fails (%s): %s", strerror(-err), why);
	if (strstr(why, "no checkpoint is valid"))
		c->refused_checkpoints++;
	else if (strstr(why, "corruption in"))
		c->refused_corruption++;
	else if (strstr(why, "missing"))
		c->refused_missing++;
	else if (strstr(why, "belongs to") || strstr(why, "holds segment"))
		c->refused_place++;
	else
		c->refused_other++;
	if (getenv("ABAFT_VERBOSE"))
		fprintf(stderr, "seed %" PRIu64 ": refused: %s\n", s->seed, why);
}

/* C3: no more was lost of a log than nobody can see. */
static void check_tails(struct log_sim *s)
{
	bool lost = false;

	for (uint32_t n = 0; n < ABAFT_LOGS_MAX; n++) {
		const struct log_tail *tail = s->bed.restart.tails[n];
		uint64_t group = tail ? tail->group : 0;

		if (!s->bed.disk[n] || s->mark[n].group <= group)
			continue;
		lost = true;
		log_sim_note(s, group);
		if (!log_sim_damaged(s))
			log_sim_fail(s, "log %u lost its end, group %" PRIu64 " of %" PRIu64, n,
				     group, s->mark[n].group);
		if (s->mark[n].group - group > CANNOT_SEE)
			log_sim_fail(s, "log %u lost %" PRIu64 " groups and nobody saw it", n,
				     s->mark[n].group - group);
	}
	s->counts.tails += lost;
	s->tail_lost = lost;
}

/* A start, which perhaps the power ends: again, then. */
static int start(struct log_sim *s)
{
	bool interrupt = log_sim_has(s, FAULT_CUT_RESTART) && log_sim_roll(s, 2);
	int err;

	do {
		if (interrupt)
			sim_disk_die(any_disk(s), 1 + log_sim_roll(s, 20));
		interrupt = log_sim_roll(s, 2);
		err = keeper_bed_open(&s->bed);
		if (!any_is_dead(s))
			break;
		if (err)
			crash_disks(s, log_sim_roll(s, 2));
		else if (log_sim_roll(s, 2))
			keeper_bed_power_cut(&s->bed);
		else
			keeper_bed_kill(&s->bed);
		interrupt &= log_sim_has(s, FAULT_CUT_RESTART);
		end_faults(s, true);
		err = -EAGAIN;
	} while (err);
	end_faults(s, true);
	return err;
}

static void restart(struct log_sim *s)
{
	int err = start(s);

	s->counts.restarts++;
	log_sim_note(s, (uint64_t)-err);
	if (err) {
		count_refusal(s, err);
		return;
	}
	if (s->bed.restart.note[0]) {
		s->counts.notes++;
		if (!log_sim_damaged(s))
			log_sim_fail(s, "a whole checkpoint is passed over: %s",
				     s->bed.restart.note);
	}
	check_tails(s);
	memset(s->mark, 0, sizeof(s->mark));
	client_resolve(s);
	if (s->refused)
		return;
	read_all(s);
	client_retry(s);
}

/* Seeds. */

static void choose_faults(struct log_sim *s)
{
	uint32_t last = s->lying ? FAULTS : FAULTS_LYING;

	/* Swarm: a half of them, or few. */
	for (uint32_t fault = 0; fault < last; fault++)
		if (log_sim_roll(s, 3) == 0)
			s->faults |= 1u << fault;
	if (!s->lying)
		return;
	/* Damaged checkpoints alone often: with one of two damaged every start must succeed. */
	if (log_sim_roll(s, 3) == 0)
		s->faults = (s->faults & ((1u << FAULTS_LYING) - 1)) | 1u << FAULT_FLIP_CHECKPOINT;
	else
		s->faults |= 1u << (FAULTS_LYING + log_sim_roll(s, FAULTS - FAULTS_LYING));
}

static void choose_size(struct log_sim *s)
{
	struct keeper_bed *bed = &s->bed;
	uint32_t keys = 60 + log_sim_roll(s, 380), use = 30 + log_sim_roll(s, 60);
	uint64_t live;

	model_begin(&s->model, s->seed, keys);
	s->model.big = log_sim_has(s, FAULT_BIG);
	s->model.value_bytes_max = log_sim_roll(s, 2) ? 1000 : 300;
	live = keys * (uint64_t)(s->model.value_bytes_max / 3 + 80 + (s->model.big ? 190 : 0));
	bed->segment_bytes = 16384u << log_sim_roll(s, 2);
	bed->bytes_max = live * 100 / use / bed->segment_bytes * bed->segment_bytes;
	if (bed->bytes_max < 24 * bed->segment_bytes)
		bed->bytes_max = 24 * bed->segment_bytes;
	bed->reserve = 2 * bed->segment_bytes;
	bed->config.room_bytes = (4 + log_sim_roll(s, 6)) * bed->segment_bytes;
	bed->config.checkpoint_bytes = (2 + log_sim_roll(s, 5)) * bed->segment_bytes;
	bed->config.use_percent = 70 + log_sim_roll(s, 30);
	bed->step_us = 2000u << log_sim_roll(s, 4);
	bed->memory_bytes = 8 << 20;
	bed->cache_bytes = log_sim_has(s, FAULT_TINY_CACHE) ? 4096 : 0;
	bed->outcomes_max = OUTCOMES_MAX;
	s->counts.fault[FAULT_TINY_CACHE] += log_sim_has(s, FAULT_TINY_CACHE);
	s->counts.fault[FAULT_BIG] += s->model.big;
}

static void begin(struct log_sim *s, uint64_t seed)
{
	memset(s, 0, offsetof(struct log_sim, bed));
	memset(s->flight, 0, sizeof(*s) - offsetof(struct log_sim, flight));
	s->seed = seed;
	s->random = seed * 0x9e3779b97f4a7c15u + 7;
	s->hash = 0xcbf29ce484222325u;
	s->lying = seed % 3 == 0;
	keeper_bed_begin(&s->bed, seed, 1 + log_sim_roll(s, 3));
	s->bed.done = client_done;
	s->bed.again = client_again;
	s->bed.client = s;
	choose_faults(s);
	choose_size(s);
	s->counts.seeds = 1;
	s->counts.lying_seeds = s->lying;
}

static void end(struct log_sim *s)
{
	s->counts.checkpoints = s->bed.checkpoints;
	s->counts.cleaned = s->bed.cleaned_segments;
	for (uint32_t n = 0; n < ABAFT_LOGS_MAX; n++)
		if (s->bed.disk[n])
			count_fired(s, s->bed.disk[n]);
	s->counts.fault[FAULT_FILES] = sim_files_failures(s->bed.files);
	s->counts.fault[FAULT_FILES_LIE] = sim_files_lies(s->bed.files);
	log_sim_note(s, s->bed.cleaned_segments);
	log_sim_note(s, s->bed.checkpoints);
	keeper_bed_end(&s->bed);
}

/* Returns the trace's hash. */
static uint64_t run(struct log_sim *s, uint64_t seed)
{
	uint32_t lives;

	begin(s, seed);
	lives = 2 + log_sim_roll(s, 4);
	if (start(s))
		log_sim_fail(s, "an empty directory: %s", s->bed.why);
	for (s->life = 0; s->life < lives && !s->refused; s->life++) {
		s->pass = 0;
		serve(s, 20 + log_sim_roll(s, log_sim_roll(s, 3) ? 120 : 400));
		end_life(s);
		rot(s);
		restart(s);
	}
	end(s);
	return s->hash;
}

static void add(struct log_sim_counts *sum, const struct log_sim_counts *one)
{
	const uint64_t *from = (const uint64_t *)one;
	uint64_t *to = (uint64_t *)sum;

	for (size_t i = 0; i < sizeof(*sum) / sizeof(uint64_t); i++)
		to[i] += from[i];
}

static void print_table(const struct log_sim_counts *c)
{
	for (uint32_t i = 0; i < FAULTS; i++)
		printf("# %10" PRIu64 "  %s\n", c->fault[i], fault_text[i]);
	printf("#\n");
#define COUNT_LINE(name, text) printf("# %10" PRIu64 "  %s\n", c->name, text);
	LOG_SIM_COUNTS(COUNT_LINE)
#undef COUNT_LINE
}

/* The first fault that never came; NULL: all did. */
static const char *missing_fault(const struct log_sim_counts *c)
{
	for (uint32_t i = 0; i < FAULTS; i++)
		if (c->fault[i] == 0)
			return fault_text[i];
	if (c->refused == 0)
		return "restarts refused";
	if (c->corrupt == 0)
		return "reads answered CORRUPT";
	return c->retries && c->survivors && c->cold && c->cleaned ? NULL : "crashed transactions";
}

static uint64_t number_of(const char *text, const char *variable, uint64_t other)
{
	text = text ? text : getenv(variable);
	return text ? strtoull(text, NULL, 0) : other;
}

/* The value behind `name`, or NULL. */
static const char *option(int argc, char **argv, const char *name)
{
	for (int i = 1; i + 1 < argc; i++)
		if (strcmp(argv[i], name) == 0)
			return argv[i + 1];
	return NULL;
}

int main(int argc, char **argv)
{
	const char *one = option(argc, argv, "--seed"), *many = option(argc, argv, "--seeds");
	uint64_t first = number_of(one, "ABAFT_SEED", 1);
	uint64_t count = number_of(many, "ABAFT_SEEDS", 1);
	struct log_sim_counts sum = {{0}};
	const char *missing;
	uint64_t hash = 0;

	/* Nodes touch little of their memory, and thousands are made. */
	prctl(PR_SET_THP_DISABLE, 1, 0, 0, 0);
	signal(SIGABRT, on_abort);
	signal(SIGSEGV, on_abort);
	signal(SIGTERM, on_abort);
	printf("1..3\n");
	for (uint64_t seed = first; seed < first + count; seed++) {
		hash = run(&sim, seed);
		add(&sum, &sim.counts);
	}
	printf("ok 1 - seeds %" PRIu64 " to %" PRIu64 "\n", first, first + count - 1);
	print_table(&sum);
	if (run(&sim, first + count - 1) != hash)
		log_sim_fail(&sim, "a second run of the seed goes another way");
	printf("ok 2 - a seed replays: trace %016" PRIx64 "\n", hash);
	missing = count >= 100 ? missing_fault(&sum) : NULL;
	printf("%sok 3 - all that can happen did%s%s\n", missing ? "not " : "",
	       missing ? ", but for " : "", missing ? missing : "");
	return missing != NULL;
}
