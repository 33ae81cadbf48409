/* SPDX-License-Identifier: Apache-2.0 */
/*
 * steer.h - the life of the steering program on a kernel interface.
 *
 * The daemon calls steer_attach() before it opens an afxdp port on the interface and
 * steer_detach() after it closed it. Touches: one XDP link, pins under pin_dir, on loopback two
 * sysctls, and one file under state_dir that remembers them. All of it is gone after
 * steer_detach(). After kill -9 the kernel itself takes the program off; pins, sysctls and the file
 * are put right by the next steer_attach() on that interface, or by steer_clean().
 *
 * `why` points to STEER_WHY_BYTES bytes that get one line for a person: what failed and what to do.
 * Main thread only; steer_read_counters() from any thread.
 */
#ifndef ABAFT_CONTROL_STEER_H
#define ABAFT_CONTROL_STEER_H

#include <stdbool.h>
#include <stdint.h>

#include <abaft/telemetry.h>

#define STEER_WHY_BYTES	 512
#define STEER_PATH_BYTES 192
#define STEER_PIN_DIR	 "/sys/fs/bpf/abaft"
#define STEER_STATE_DIR	 "/run/abaft"

struct xsk_def_steer; /* the skeleton; bpf/steer.bpf.c tells why it is called that */

struct steer_config {
	const char *interface;
	uint16_t port_base; /* ports base .. base + workers - 1 are ours */
	uint16_t workers;
	/* Own addresses as text, IPv4 or IPv6; none: every unicast address is ours. */
	const char *const *addresses;
	uint32_t addresses_count; /* up to STEER_ADDRESSES_MAX of bpf/decide.h */
	const char *pin_dir;	  /* on bpffs; NULL: STEER_PIN_DIR */
	const char *state_dir;	  /* NULL: STEER_STATE_DIR */
	bool generic;		  /* generic XDP even where the driver has its own */
};

/* The decision's rules (bpf/decide.h) from ports and addresses. 0, -EINVAL or -ENOSPC, with `why`.
 */
struct steer_rules;
__attribute__((warn_unused_result)) int
steer_rules_read(struct steer_rules *rules, const struct steer_config *config, char *why);

/* Filled by steer_attach(); the caller's memory. */
struct steer {
	struct xsk_def_steer *bpf;
	int link_fd;
	uint32_t ifindex;
	bool native;   /* attached in the driver; else generic */
	bool loopback; /* sysctls were set */
	bool cleaned;  /* leftovers of a killed run were found and removed; see `note` */
	int counters_fd;
	int cpus;
	char interface[16];
	char pin_dir[STEER_PATH_BYTES];
	char state_path[STEER_PATH_BYTES];
	char note[STEER_WHY_BYTES]; /* what was cleaned up, for the log; empty if nothing */
};

/*
 * Loads the program, gives it its rules, attaches it, pins program and maps, sets the sysctls.
 * 0, -ENOENT (no such interface), -EBUSY (another program is on it, or the pins are a running
 * node's), -EPERM, other negative errno; then nothing is left behind.
 */
__attribute__((warn_unused_result)) int steer_attach(struct steer *steer,
						     const struct steer_config *config, char *why);
/* Undoes all of it. 0, or the first negative errno: then `why` says what stayed and how to remove
 * it by hand. Harmless on a zeroed struct. */
int steer_detach(struct steer *steer, char *why);

/* Sums the CPUs' counters. 0 or negative errno. */
__attribute__((warn_unused_result)) int steer_read_counters(const struct steer *steer,
							    struct steer_counters *out);

/*
 * Removes what a killed run left on an interface (pins, sysctls, state file) without starting.
 * 1 if there was anything (`why` tells what), 0 if not, negative errno with `why`; -EBUSY if a node
 * is running there.
 */
__attribute__((warn_unused_result)) int steer_clean(const struct steer_config *config, char *why);

#endif
