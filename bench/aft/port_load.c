/* SPDX-License-Identifier: Apache-2.0 */
/*
 * port_load - `abaft load` over any DPDK port instead of the kernel's sockets: for what a node does
 * when its clients are no limit. Its options are those of `abaft load`, histories included; one
 * thread. The port is told by the environment, see port_socket.c.
 */
#include <stdio.h>

#include "tools/command/command.h"

int main(int argc, char **argv)
{
	int code = command_load(argc, argv);

	if (fflush(stdout) || ferror(stdout))
		return COMMAND_FAILED;
	return code;
}
