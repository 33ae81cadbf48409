/* SPDX-License-Identifier: Apache-2.0 */
/*
 * remote.h - a node's commit logs and checkpoints on a storage engine: the devices (logdev.h,
 * filedev.h) that log.c and checkpoint.c run over when there is an engine in the place of a disk.
 *
 * What AFT (EuroSys'20, §3.3) writes as one object for each version and one for the commit record
 * is here one object for each group of the log: the records of one or many transactions with their
 * values, written by one PUT_NEW. Its bytes are the group's, as format.h says, behind the id of who
 * wrote it. A group too large for one object of the engine is written as AFT does it: first the
 * parts behind the first, all of them waited for, then the first, which makes it count.
 *
 *	dir               leaf                     object
 *	node              id                       identity: format, node id, part size
 *	logs              LLL                      log L may be there
 *	log-LLL           SSSSSSSS-IIIIIIII-BBBBBBBBBB  segment S of log L is there, made by
 *	                                           incarnation I of the log, B bytes long; B = 0:
 *	                                           it is being removed
 *	log-LLL-SSSSSSSS-IIIIIIII  OOOOOOOO        group at block O of it (first part)
 *	log-LLL-SSSSSSSS-IIIIIIII  OOOOOOOO-PPPP   its part P, from 1 up; P = ffff: it may be a
 *	                                           seal by which somebody opened the log
 *	checkpoints       NNNNNNNN-IIIIIIII-BBBBBBBBBB   checkpoint N is whole, B bytes long; made
 *	                                           by incarnation I of the kept log
 *	checkpoint-NNNNNNNN  IIIIIIII-CCCCCCCC     its piece C
 *
 * All numbers are in hexadecimal, with leading zeros, but L, which is decimal as in a directory.
 * So the names of a log sort by time, and users' keys never become part of a name.
 *
 * E1. A group counts if its first part is there. What is there of one whose first part is not, is
 *     an orphan, and goes with its segment.
 * E2. Who opens a log first writes a seal where the next group would go, by PUT_NEW (log.c, F1 to
 *     F5). If somebody else still writes this log, his next group goes to that very name: one of
 *     both is refused (-ESTALE), and his log has failed before he acknowledges anything.
 * E3. A segment is named by its number and by the incarnation that the seal before it was of. Of
 *     several of one number that of the highest incarnation counts; the others are what a writer
 *     that was shut out had made ahead, and are removed.
 * E4. What was sent may land at any time, so the seal of E2 has to stay where it is for ever: also
 *     when its segment goes. A start leaves two objects of each log behind, of a hundred bytes.
 * E5. That a segment goes is written before anything of it is removed, and stays until its marker
 *     has gone.
 * E6. Who opens a log looks, when his seal stands, whether the log is still the one that he
 *     recovered. While he did others may have written and even cleaned so much that the seal's
 *     place was free again. Then something is there behind it that was not, or the segment that it
 *     stands in has gone, or is about to (E5).
 */
#ifndef ABAFT_REMOTE_REMOTE_H
#define ABAFT_REMOTE_REMOTE_H

#include <stddef.h>
#include <stdint.h>

#include <abaft/limits.h>

#include "dataplane/log/filedev.h"
#include "dataplane/log/logdev.h"

#define REMOTE_FORMAT 1

struct engine;
struct remote;

struct remote_config {
	struct engine *engine; /* stays the caller's, and outlives the remote */
	uint8_t writer[16];    /* random: tells what this process wrote */
	/* The identity, if there is none yet: random, or that of the data directory beside it. */
	uint8_t node_id[16];
	uint32_t call_ms; /* how long one call may wait for the engine; 0: 30000 */
};

/*
 * Reads the identity, or makes it. Waits for the engine as long as a call may. 0, -EBADMSG (what
 * stands there is no identity, or of a later format), -EINVAL (the engine's objects are too small),
 * -ENOMEM, or as engine.h says; `why` gets a sentence.
 */
int remote_open(struct remote **out, const struct remote_config *config, char *why,
		size_t why_bytes) __attribute__((warn_unused_result));
/* All devices are destroyed. */
void remote_close(struct remote *remote);

/* As it stands in the engine. */
const uint8_t *remote_node_id(const struct remote *remote);
/* The logs that have segments, ascending; as datadir.h's. Returns how many, or a negative errno. */
int remote_logs(struct remote *remote, uint32_t logs[ABAFT_LOGS_MAX])
	__attribute__((warn_unused_result));

/* The device of log `number`. Any thread. 0, -EAGAIN (too many channels) or -ENOMEM. */
int remote_logdev(struct remote *remote, uint32_t number, struct logdev **out)
	__attribute__((warn_unused_result));
int remote_filedev(struct remote *remote, struct filedev **out) __attribute__((warn_unused_result));

#endif
