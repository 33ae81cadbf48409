/* SPDX-License-Identifier: Apache-2.0 */
/*
 * client.h - a client's process: libabaft's protocol code (client/txn.h, as client/client.c drives
 * it) over the simulated network and clock instead of a socket and the system's.
 *
 * It has an address, a clock of its own (which may be off, drift and jump), and can die: then all
 * it knew is gone, and what was on its way to it is lost.
 */
#ifndef ABAFT_TESTS_SIM_CLIENT_H
#define ABAFT_TESTS_SIM_CLIENT_H

#include <stdbool.h>
#include <stdint.h>

#include <abaft/abaft.h>

struct world;
struct sim_client;

#define SIM_CLIENT_TXNS 16

struct sim_client *sim_client_create(struct world *world, uint32_t number);
void sim_client_destroy(struct sim_client *client);
/* Its clock: microseconds since 1970, and since some moment of its own. */
uint64_t sim_client_wall_us(const struct sim_client *client);
uint64_t sim_client_mono_us(const struct sim_client *client);
/* A new id by its clock, as abaft_id_new() makes them but with the run's randomness. */
void sim_client_id(struct sim_client *client, struct abaft_id *id);

/* As abaft_begin(); *txn stays valid until sim_client_end() or until the client dies. */
int sim_client_begin(struct sim_client *client, const struct abaft_begin *begin,
		     struct abaft_txn **txn) __attribute__((warn_unused_result));
/* As abaft_submit(), of what was prepared by abaft_prep_*(): `done` is called from an event. */
int sim_client_submit(struct sim_client *client, struct abaft_txn *txn, abaft_done_fn done,
		      void *arg) __attribute__((warn_unused_result));
void sim_client_end(struct sim_client *client, struct abaft_txn *txn);

/* Its process is killed, and a new one starts at once: same host, no memory, another port. No
 * callback is called any more for what it did. */
void sim_client_die(struct sim_client *client);

#endif
