/* SPDX-License-Identifier: Apache-2.0 */
/*
 * txn_id.h - transaction ids: their time, and their hash. Clients choose ids, so the hash is
 * seeded: nobody outside can choose many that share a chain.
 */
#ifndef ABAFT_CORE_TXN_ID_H
#define ABAFT_CORE_TXN_ID_H

#include <stdint.h>
#define XXH_INLINE_ALL
#include <xxhash.h>

#include "dataplane/core/bytes.h"

/* Milliseconds since 1970 in a UUIDv7. */
static inline uint64_t txn_id_ms(const uint8_t id[16])
{
	return (uint64_t)load_be32(id) << 16 | (uint64_t)id[4] << 8 | id[5];
}

static inline uint64_t txn_id_hash(const uint8_t id[16], uint64_t seed)
{
	return XXH3_64bits_withSeed(id, 16, seed);
}

static inline bool txn_id_equal(const uint8_t a[16], const uint8_t b[16])
{
	return load_le64(a) == load_le64(b) && load_le64(a + 8) == load_le64(b + 8);
}

#endif
