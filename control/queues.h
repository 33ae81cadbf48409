/* SPDX-License-Identifier: Apache-2.0 */
/*
 * queues.h - how many receive queues the kernel spreads an interface's packets over. A node that
 * listens on fewer never sees the rest.
 */
#ifndef ABAFT_CONTROL_QUEUES_H
#define ABAFT_CONTROL_QUEUES_H

#include <stdint.h>

/* In this network namespace. 0 when the interface cannot tell (lo has one queue and no answer). */
uint32_t queues_of(const char *interface);

#endif
