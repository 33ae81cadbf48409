/* SPDX-License-Identifier: Apache-2.0 */
/*
 * rtt.h - how long answers take, for the first pause before a resend (RFC 6298's estimator).
 *
 * An answer to a packet that was sent several times measures nothing (Karn's rule): the pause that
 * was reached is kept instead, until a packet is answered at its first send.
 *
 * Commits wait for the node's disk and have an estimate of their own; or every slow sync would be
 * asked for again in vain.
 */
#ifndef ABAFT_CLIENT_RTT_H
#define ABAFT_CLIENT_RTT_H

#include <stdint.h>

struct rtt {
	uint64_t mean_us; /* smoothed; 0: nothing measured yet */
	uint64_t deviation_us;
	uint64_t held_us; /* the last pause that was too short; until something is measured */
};

static inline void rtt_add(struct rtt *rtt, uint64_t sample_us)
{
	uint64_t off =
		sample_us > rtt->mean_us ? sample_us - rtt->mean_us : rtt->mean_us - sample_us;

	rtt->held_us = 0;
	if (rtt->mean_us == 0) {
		rtt->mean_us = sample_us + 1;
		rtt->deviation_us = sample_us / 2;
		return;
	}
	rtt->deviation_us = (3 * rtt->deviation_us + off) / 4;
	rtt->mean_us = (7 * rtt->mean_us + sample_us) / 8 + 1;
}

/* Long enough for nearly all answers: at least least_us more than their mean. */
static inline uint64_t rtt_pause_us(const struct rtt *rtt, uint64_t least_us)
{
	uint64_t spread_us = 4 * rtt->deviation_us;

	spread_us = rtt->mean_us + (spread_us > least_us ? spread_us : least_us);
	return spread_us > rtt->held_us ? spread_us : rtt->held_us;
}

#endif
