/* SPDX-License-Identifier: Apache-2.0 */
/* drops_advice.h - what the kernel's reasons to drop a datagram mean to who runs clients, and what
 * to do about each. */
#ifndef ABAFT_TOOLS_TELEMETRY_DROPS_ADVICE_H
#define ABAFT_TOOLS_TELEMETRY_DROPS_ADVICE_H

/* One line for people; never NULL: of a reason without one of its own, how to find out more. */
const char *drops_advice(const char *reason);

#endif
