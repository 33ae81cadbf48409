/* SPDX-License-Identifier: Apache-2.0 */
/*
 * port_why.h - within the ports' sources: one line for a person when something fails.
 */
#ifndef ABAFT_NET_PORT_WHY_H
#define ABAFT_NET_PORT_WHY_H

#include <stdarg.h>
#include <stdio.h>

#include "dataplane/net/port_dpdk.h"

/* Writes the line, returns err. */
__attribute__((format(printf, 3, 4))) static inline int port_say(char *why, int err,
								 const char *format, ...)
{
	va_list args;

	va_start(args, format);
	vsnprintf(why, PORT_WHY_BYTES, format, args);
	va_end(args);
	return err;
}

#endif
