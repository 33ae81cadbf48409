/* SPDX-License-Identifier: Apache-2.0 */
/* crc.h - CRC32C (iSCSI's), of values in memory and of all that stands on disk. "123456789" has
 * 0xe3069283. */
#ifndef ABAFT_CORE_CRC_H
#define ABAFT_CORE_CRC_H

#include <isa-l/crc.h>
#include <stdint.h>

/* Up to 2 GiB: ISA-L takes an int. It does not write to `data`, whatever its declaration says. */
static inline uint32_t crc32c(const uint8_t *data, uint64_t bytes)
{
	return ~crc32_iscsi((unsigned char *)(uintptr_t)data, (int)bytes, ~0u);
}

#endif
