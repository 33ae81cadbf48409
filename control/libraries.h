/* SPDX-License-Identifier: Apache-2.0 */
/*
 * libraries.h - what DPDK and libbpf have to say, by way of report(), so that their lines look like
 * ours and are as easy to read for a program. Main thread, once, before either is used.
 */
#ifndef ABAFT_CONTROL_LIBRARIES_H
#define ABAFT_CONTROL_LIBRARIES_H

#include "control/report.h"

/* `report` must outlive the process's use of the two. What DPDK does not call an error, and libbpf
 * no warning, is told to who asks for debug. */
void libraries_tell(const struct report *report);

#endif
