/* SPDX-License-Identifier: Apache-2.0 */
/*
 * port_sim.h - a worker's port (dataplane/net/port.h) on the simulated network: a receive queue of
 * bounded length, and frames in memory of its own.
 *
 * Each frame that a worker takes must come back once, sent or released: whoever gives one back
 * twice, or one that is none, fails the run. What is given back is overwritten at once, so that
 * nobody goes on reading it unseen. At a crash all frames come back, wherever they are.
 */
#ifndef ABAFT_TESTS_PORT_SIM_H
#define ABAFT_TESTS_PORT_SIM_H

#include <stdbool.h>
#include <stdint.h>

struct audit;
struct net_packet;
struct port;
struct port_sim;
struct world;

/* Of that worker, whose frames the audit hears of. `trusts`: as on lo, where checksums are not
 * judged. `room`: frames that can wait; more are lost. */
struct port_sim *port_sim_create(struct world *world, bool trusts, uint32_t room,
				 struct audit *audit, uint32_t worker);
void port_sim_destroy(struct port_sim *port);
struct port *port_sim_port(struct port_sim *port);
/* A packet has arrived. False: the queue is full, it is lost. */
bool port_sim_arrive(struct port_sim *port, const struct net_packet *packet);
/* The process is gone: all frames are back. */
void port_sim_crash(struct port_sim *port);
/* Frames that wait in the queue, and that a worker has taken and not given back. */
uint32_t port_sim_waiting(const struct port_sim *port);
uint32_t port_sim_held(const struct port_sim *port);

#endif
