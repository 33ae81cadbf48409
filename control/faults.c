/* SPDX-License-Identifier: Apache-2.0 */
/* faults.c - see faults.h. */
#include "control/faults.h"

#include <errno.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "dataplane/core/place.h"

/* Values come in crowds: they are told at most this often. */
#define VALUES_US UINT64_C(60000000)

__attribute__((format(printf, 3, 4))) static void
say(struct faults *faults, enum report_level level, const char *format, ...)
{
	char text[FAULTS_TEXT_BYTES];
	va_list args;

	va_start(args, format);
	vsnprintf(text, sizeof(text), format, args);
	va_end(args);
	faults->say(faults->arg, level, text);
}

/* What has the logs. */
static const char *holder(const struct faults_seen *seen)
{
	return seen->engine.url == NULL || seen->engine.behind ? "disk" : "storage engine";
}

static void look_at_log(struct faults *faults, const struct faults_seen *seen)
{
	int before = faults->told.log_error, now = seen->log_error;

	if (now == before && (now != -ENOSPC || seen->no_room == faults->told.no_room))
		return;
	if (seen->engine.lost != 0) /* look_at_engine() says it */
		return;
	if (now == 0)
		say(faults, REPORT_INFO, "the commit log has room again: commits go on");
	else if (now == -ENOSPC && seen->no_room != -ENOSPC)
		say(faults, REPORT_ERROR,
		    "the commit log cannot be made longer (%s): reads go on, commits get "
		    "NO_SPACE; it goes on by itself when that is put right",
		    strerror(-seen->no_room));
	else if (now == -ENOSPC)
		say(faults, REPORT_ERROR,
		    "the commit log is full: reads go on, commits get NO_SPACE; they go on by "
		    "themselves when cleaning has made room, or disk space is free again; if there "
		    "is nothing to clean, raise log-bytes-max and restart");
	else if (now == -ESTALE && seen->engine.url != NULL)
		say(faults, REPORT_ERROR,
		    "another node has taken over the commit logs in %.256s: reads go on, all "
		    "commits get LOG_FAILED, and what was acknowledged is there for the other one; "
		    "stop this node, or give each a prefix of its own",
		    seen->engine.url);
	else
		say(faults, REPORT_ERROR,
		    "a commit log failed (%s): reads go on, all commits get LOG_FAILED, and "
		    "nothing more of it is called durable; check the %s, then restart",
		    strerror(-now), holder(seen));
}

/* An engine that does not answer is told of by itself. */
static void look_at_stall(struct faults *faults, const struct faults_seen *seen)
{
	if (faults->engine && !faults->stalled)
		return;
	if (seen->stalled_us != 0 && !faults->stalled)
		say(faults, REPORT_WARNING,
		    "the %s has not ended a write for %.1f s: commits wait, reads of what is in "
		    "memory go on; check the %s if this lasts",
		    holder(seen), (double)seen->stalled_us / 1e6, holder(seen));
	else if (seen->stalled_us == 0 && faults->stalled)
		say(faults, REPORT_INFO, "the %s ended a write that took %.1f s or more",
		    holder(seen), (double)faults->told.stalled_us / 1e6);
	faults->stalled = seen->stalled_us != 0;
}

static void say_lost(struct faults *faults, const struct faults_engine *engine)
{
	say(faults, REPORT_ERROR,
	    "%.256s has lost what it had acknowledged: the object node/id %s; nothing more is "
	    "built on that, so %s; restore its objects, then restart",
	    engine->url, engine->lost == -ENOENT ? "is gone" : "is another node's",
	    engine->behind ? "commits go on until engine-lag is used up, then get BUSY"
			   : "commits get LOG_FAILED");
}

const char *faults_engine_does(int error)
{
	switch (error) {
	case -ENOSPC:
		return "is full";
	case -EACCES:
		return "refuses us";
	case -EBUSY:
		return "is asked too much";
	case -EPROTO:
		return "does not answer as it should";
	default:
		return "does not answer";
	}
}

static void say_failing(struct faults *faults, const struct faults_engine *engine)
{
	say(faults, REPORT_ERROR,
	    "the storage engine %s since %.0f s: %s; %s, reads of what is in memory go on; it goes "
	    "on by itself when the engine is well again",
	    faults_engine_does(engine->error), (double)engine->failing_us / 1e6, engine->why,
	    engine->behind ? "commits go on until engine-lag is used up, then get BUSY"
			   : "commits wait, and more of them get BUSY");
}

/* Only a restart ends it. */
static void look_behind(struct faults *faults, const struct faults_engine *engine)
{
	int *told = &faults->told.engine.behind_error;

	if (engine->behind_error != 0 && *told == 0)
		say(faults, REPORT_ERROR,
		    "the storage engine gets no more of the commit logs (%s): commits go on until "
		    "engine-lag is used up, then get BUSY; put it right, then restart",
		    engine->behind_error == -ESTALE ? "another node writes there"
						    : strerror(-engine->behind_error));
	*told = engine->behind_error;
}

static void look_at_engine(struct faults *faults, const struct faults_engine *engine)
{
	struct faults_engine *told = &faults->told.engine;

	if (engine->lost != told->lost)
		say_lost(faults, engine);
	told->lost = engine->lost;
	if (engine->lost != 0)
		return;
	look_behind(faults, engine);
	if (engine->failing_us >= FAULTS_ENGINE_US && !faults->engine) {
		say_failing(faults, engine);
		faults->engine = true;
	} else if (engine->failing_us == 0 && faults->engine) {
		say(faults, REPORT_INFO,
		    "the storage engine is well again, after %.0f s or more: commits go on",
		    (double)told->failing_us / 1e6);
		faults->engine = false;
	}
	told->failing_us = engine->failing_us;
}

static void say_damage(struct faults *faults, uint64_t values, const struct node_damage *one)
{
	char key[4 * NODE_DAMAGE_KEY_BYTES + 1];
	size_t at = 0;

	key[0] = '\0';
	for (uint32_t i = 0; i < one->key_bytes && i < NODE_DAMAGE_KEY_BYTES; i++)
		at += (size_t)snprintf(key + at, sizeof(key) - at,
				       one->key[i] >= 0x20 && one->key[i] < 0x7f ? "%c" : "\\x%02x",
				       one->key[i]);
	say(faults, REPORT_ERROR,
	    "%" PRIu64 " values that were read are damaged on disk: they get CORRUPT, all else "
	    "goes on; one stands in log-%03u segment %08x at byte %u, key \"%s\"; write these keys "
	    "again, or restore a backup",
	    values, place_log(one->place), place_segment(one->place), place_offset(one->place),
	    key);
}

static void look_at_values(struct faults *faults, const struct faults_seen *seen)
{
	uint64_t corrupt = seen->corrupt - faults->told.corrupt;
	uint64_t unread = seen->unread - faults->told.unread;

	if (corrupt == 0 && unread == 0)
		return;
	if (faults->values_us != 0 && seen->mono_us - faults->values_us < VALUES_US)
		return; /* counted with the next ones */
	if (corrupt != 0)
		say_damage(faults, corrupt, &seen->damage);
	if (unread != 0)
		say(faults, REPORT_ERROR,
		    "%" PRIu64 " values could not be read from disk: their readers get "
		    "READ_FAILED and may try again; check the disk",
		    unread);
	faults->values_us = seen->mono_us;
	faults->told.corrupt = seen->corrupt;
	faults->told.unread = seen->unread;
}

static void look_at_checkpoints(struct faults *faults, const struct faults_seen *seen)
{
	bool failing = seen->checkpoint_error != 0;

	if (failing && !faults->checkpoints)
		say(faults, REPORT_WARNING,
		    "a checkpoint could not be written (%s): the next restart reads more log, and "
		    "nothing is cleaned beyond the last one; it is tried again",
		    strerror(-seen->checkpoint_error));
	else if (!failing && faults->checkpoints)
		say(faults, REPORT_INFO, "checkpoints are written again");
	faults->checkpoints = failing;
}

/* Only a restart ends it. */
static void look_at_cleaning(struct faults *faults, const struct faults_seen *seen)
{
	if (seen->kept_error != 0 && faults->told.kept_error == 0)
		say(faults, REPORT_ERROR,
		    "the log of what cleaning keeps failed (%s): reads and commits go on, but "
		    "nothing more is cleaned, so the logs grow until they are full; check the "
		    "disk, then restart",
		    strerror(-seen->kept_error));
	faults->told.kept_error = seen->kept_error;
}

void faults_look(struct faults *faults, const struct faults_seen *seen)
{
	look_at_engine(faults, &seen->engine);
	look_at_log(faults, seen);
	look_at_stall(faults, seen);
	look_at_values(faults, seen);
	look_at_checkpoints(faults, seen);
	look_at_cleaning(faults, seen);
	faults->told.log_error = seen->log_error;
	faults->told.no_room = seen->no_room;
	faults->told.stalled_us = seen->stalled_us;
}
