/* SPDX-License-Identifier: Apache-2.0 */
/* repair_impl.h - what the sources of repair.h share; nobody else includes it. */
#ifndef ABAFT_LOG_REPAIR_IMPL_H
#define ABAFT_LOG_REPAIR_IMPL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "dataplane/log/format.h"
#include "dataplane/log/repair.h"

/* A whole header that says how far its incarnation was durable; no later one says more. */
struct repair_proof {
	uint64_t offset, durable;
	uint32_t index, incarnation;
};

/* Where the next group stands, or should, and what it follows. */
struct repair_at {
	uint32_t index; /* of the segment */
	uint64_t offset;
	uint64_t group, record; /* the last ones */
	uint32_t crc;		/* of the last header */
	uint32_t incarnation;
	uint16_t version;
	bool known; /* what is before it */
};

/* A row of segments without a gap, walked as one. */
struct repair_walk {
	struct repair *repair;
	char *why;
	size_t why_bytes;
	struct repair_at at;
	uint32_t last; /* index of its last segment */
	/* Where it ends, if `ends`: the mark. */
	bool ends, closed;
	struct repair_at end;
	/* Of headers behind the first damage, from the end backwards. */
	bool have_proofs;
	struct repair_proof *proofs;
	size_t proofs_count;
};

struct repair_segment *repair_segment(const struct repair_walk *walk, uint32_t index);
enum format_verdict repair_header(const struct repair_walk *walk, uint32_t index, uint64_t offset,
				  struct group_header *out);
__attribute__((format(printf, 2, 3))) int repair_refuse(struct repair_walk *walk,
							const char *format, ...);
void repair_tell(struct repair_walk *walk, const struct repair_loss *loss);

/* repair_group.c */
/* Sums the group up, its header's checksum being `crc`: P2. `crc` NULL: whatever it comes to. */
void repair_finish(uint8_t *group, const uint32_t *crc);
/* The header is whole, and in its place: keeps the records that are whole (P1 is the caller's). */
void repair_salvage(struct repair_walk *walk, uint32_t index, uint64_t offset,
		    const struct group_header *header);
/* The header of the only group between here and `to` again, if all else of it is whole and the
 * chain proves it. */
bool repair_rebuild(struct repair_walk *walk, const struct repair_at *to);

/* repair_fill.c */
/* Fills what is between here and `to` with groups of lost records; what `to` follows is known. 0,
 * -EBADMSG, -ENOMEM. */
int repair_fill(struct repair_walk *walk, const struct repair_at *to, const char *what)
	__attribute__((warn_unused_result));
/* Nothing whole is in the walk, and nothing says what was. */
int repair_fill_all(struct repair_walk *walk, const struct repair_at *before)
	__attribute__((warn_unused_result));

#endif
