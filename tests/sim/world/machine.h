/* SPDX-License-Identifier: Apache-2.0 */
/*
 * machine.h - the node's process and what it runs on: workers on ports of the simulated network,
 * real logs and the keeper on simulated disks (tests/lib/keeper_bed.h opens, crashes and restarts
 * these), a scheduler that runs one thing at a time, a clock that may be off, and crashes.
 *
 * Each worker is stepped by an event of its own: a pass, then a pause drawn from STREAM_SCHEDULE,
 * short while it has work, up to what worker_pass() wants when it has none; a frame or a peer's
 * hand-over wakes it, perhaps late. The keeper is stepped likewise. Crashes come at random times,
 * and at the n-th step of a disk's work; the node is down for a while, then restarts.
 *
 * What it asks of the node, whatever happens (the rules of world_fail()):
 *
 * | rule | what |
 * |---|---|
 * | start     | disks that keep their word let every start succeed, and no checkpoint is damaged |
 * | durable   | what a log called durable is in it after the next start |
 * | frames    | each frame taken is sent or released, once; after an orderly end none is missing |
 * | lost wake-up | nobody sleeps on while a peer's request or answer waits for him |
 * | stop      | an orderly end ends |
 */
#ifndef ABAFT_TESTS_MACHINE_H
#define ABAFT_TESTS_MACHINE_H

#include <stdbool.h>
#include <stdint.h>

struct machine;
struct world;

/* Empty disks; nothing runs yet. One at a time in a process. */
struct machine *machine_create(struct world *world);
void machine_destroy(struct machine *machine);
/* Starts it, and plans its crashes; from then on everything happens by events. A start that is
 * refused fails the run: the disks keep their word (W4). */
void machine_begin(struct machine *machine);
/* The world heals: disks work, the clock runs true from here on; if it is down or its log has
 * failed it is started anew. Called once, with world->healing set. */
void machine_heal(struct machine *machine);
/* At the very end, nothing being in flight: an end in good order (even) or a power cut (odd), and a
 * start. Then reads must bring what they brought before. Counts what is left to be counted. */
void machine_restart(struct machine *machine, uint32_t how);
bool machine_is_up(const struct machine *machine);
/* How often it was started. */
uint32_t machine_lives(const struct machine *machine);
/* All is at rest: no frame in a worker, nothing waits for a log. */
bool machine_is_idle(const struct machine *machine);
/* Failed logs, full disks, failed reads may have come: a request may be given up for that reason.
 */
bool machine_had_faults(const struct machine *machine);
/* What its workers have counted in this life, where it is not 0, for who looks for a reason. */
void machine_print(const struct machine *machine);

#endif
