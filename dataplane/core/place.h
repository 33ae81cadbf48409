/* SPDX-License-Identifier: Apache-2.0 */
/*
 * place.h - where a write stands on disk: log, segment, byte. One word, so that whoever reads it
 * while cleaning moves the write gets the old place or the new one, never a mixture.
 *
 *	63      57 56                    30 29                     0
 *	log number |    segment number     | byte in the segment
 *
 * The byte is that of the write's own header (record.h); its key and its value follow. 0 is no
 * place: a group's header stands there.
 */
#ifndef ABAFT_CORE_PLACE_H
#define ABAFT_CORE_PLACE_H

#include <stdint.h>

#define PLACE_NONE	   UINT64_C(0)
#define PLACE_OFFSET_BITS  30
#define PLACE_SEGMENT_BITS 27

static inline uint64_t place_make(uint32_t log, uint32_t segment, uint32_t offset)
{
	return (uint64_t)log << (PLACE_OFFSET_BITS + PLACE_SEGMENT_BITS) |
	       (uint64_t)segment << PLACE_OFFSET_BITS | offset;
}

static inline uint32_t place_log(uint64_t place)
{
	return (uint32_t)(place >> (PLACE_OFFSET_BITS + PLACE_SEGMENT_BITS));
}

static inline uint32_t place_segment(uint64_t place)
{
	return (uint32_t)(place >> PLACE_OFFSET_BITS) & ((1u << PLACE_SEGMENT_BITS) - 1);
}

static inline uint32_t place_offset(uint64_t place)
{
	return (uint32_t)place & ((1u << PLACE_OFFSET_BITS) - 1);
}

#endif
