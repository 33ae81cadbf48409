/* SPDX-License-Identifier: Apache-2.0 */
/*
 * client.h - a client's process: libabaft's protocol code (client/txn.h, driven by client/drive.h
 * as client/client.c does it) over the simulated network and clock instead of a socket and the
 * system's.
 *
 * It has an address, a clock of its own (which may be off, drift and jump), and can die: then all
 * it knew is gone, and what was on its way to it is lost. How it is configured (window, pauses,
 * size of packets, time allowed) is drawn for each client.
 *
 * Operations are prepared by abaft_prep_*(), contexts made by abaft_export(): both are pure. The
 * other functions of abaft.h take a real client's transactions only.
 */
#ifndef ABAFT_TESTS_SIM_CLIENT_H
#define ABAFT_TESTS_SIM_CLIENT_H

#include <stdbool.h>
#include <stdint.h>

#include <abaft/abaft.h>

struct world;
struct sim_client;

#define SIM_CLIENT_TXNS	  16
/* WORLD_CLIENT_CLOCK: how far a clock is off as a rule, and now and then: then its ids may be
 * refused, as they are too new. */
#define SIM_CLIENT_OFF_US 2000000
#define SIM_CLIENT_FAR_US 60000000

/* `number` is below NET_CLIENTS_MAX; one client of each number at a time. */
struct sim_client *sim_client_create(struct world *world, uint32_t number);
void sim_client_destroy(struct sim_client *client);
/* Its clock: microseconds since 1970 (the true time once the world heals), and since some moment of
 * its own. */
uint64_t sim_client_wall_us(const struct sim_client *client);
uint64_t sim_client_mono_us(const struct sim_client *client);
/* A new id by its clock, as abaft_id_new() makes them, but out of that random number: the
 * request's own (W3), or leaving one request out would give all others new ids. */
void sim_client_id(const struct sim_client *client, uint64_t random, struct abaft_id *id);

/* As abaft_begin(); *txn stays valid until sim_client_end() or until the client dies. `begin` must
 * name an id or a context. BUSY beyond SIM_CLIENT_TXNS. */
int sim_client_begin(struct sim_client *client, const struct abaft_begin *begin,
		     struct abaft_txn **txn) __attribute__((warn_unused_result));
/* As abaft_submit(), of what was prepared by abaft_prep_*(): `done` is called from an event. */
int sim_client_submit(struct sim_client *client, struct abaft_txn *txn, abaft_done_fn done,
		      void *arg) __attribute__((warn_unused_result));
/* As abaft_end(): a pending callback gets CANCELLED, at once. */
void sim_client_end(struct sim_client *client, struct abaft_txn *txn);

/* Its process is killed, and a new one starts at once: same host, no memory, as a rule another
 * port. No callback is called any more for what it did. Also out of a callback. */
void sim_client_die(struct sim_client *client);
/* How often it died. */
uint32_t sim_client_deaths(const struct sim_client *client);

#endif
