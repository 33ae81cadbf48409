/* SPDX-License-Identifier: Apache-2.0 */
/*
 * port_eal.c - starts and ends DPDK's environment.
 *
 * Without huge pages DPDK excludes --in-memory, so --no-shconf keeps it from leaving files; with
 * them --in-memory does.
 */
#include "dataplane/net/port_device.h"
#include "dataplane/net/port_why.h"

#include <errno.h>
#include <sched.h>
#include <string.h>

#include <rte_eal.h>
#include <rte_errno.h>

#define EAL_ARGS_MAX   20
#define EAL_TEXT_BYTES 1024

/* One lcore that may run wherever this thread may: "0@(0,1)". */
static int lcores_anywhere(char *text, size_t bytes)
{
	cpu_set_t set;
	size_t at = 0;

	if (sched_getaffinity(0, sizeof(set), &set) < 0)
		return -errno;
	at = (size_t)snprintf(text, bytes, "0@(");
	for (int cpu = 0; cpu < CPU_SETSIZE && at + 8 < bytes; cpu++)
		if (CPU_ISSET((size_t)cpu, &set))
			at += (size_t)snprintf(text + at, bytes - at, "%d,", cpu);
	text[at - 1] = ')';
	return 0;
}

int port_eal_start(const struct eal_config *config, char *why)
{
	char lcores[EAL_TEXT_BYTES], memory[16], prefix[64];
	char *args[EAL_ARGS_MAX];
	int n = 0, err = 0;

	if (config->lcores)
		snprintf(lcores, sizeof(lcores), "%s", config->lcores);
	else
		err = lcores_anywhere(lcores, sizeof(lcores));
	if (err)
		return port_say(why, err, "cannot tell this process's CPUs: %s", strerror(-err));
	snprintf(memory, sizeof(memory), "%u", config->memory_mib ? config->memory_mib : 256);
	snprintf(prefix, sizeof(prefix), "%s", config->prefix ? config->prefix : "abaft");
	/* DPDK's argv is not const, but it only reads. */
	args[n++] = (char *)(uintptr_t) "abaft";
	args[n++] = (char *)(uintptr_t) "--lcores";
	args[n++] = lcores;
	args[n++] = (char *)(uintptr_t) "--file-prefix";
	args[n++] = prefix;
	args[n++] = (char *)(uintptr_t) "--no-telemetry";
	if (config->huge_pages) {
		args[n++] = (char *)(uintptr_t) "--in-memory";
		/* memif's zero-copy and vhost-user hand memory to peers as few files. */
		args[n++] = (char *)(uintptr_t) "--single-file-segments";
	} else {
		args[n++] = (char *)(uintptr_t) "--no-huge";
		args[n++] = (char *)(uintptr_t) "--no-shconf";
		args[n++] = (char *)(uintptr_t) "-m";
		args[n++] = memory;
	}
	if (config->pci) {
		args[n++] = (char *)(uintptr_t) "-a";
		args[n++] = (char *)(uintptr_t)config->pci;
		if (port_pci_interrupts(config->pci)) {
			args[n++] = (char *)(uintptr_t) "--vfio-intr";
			args[n++] = (char *)(uintptr_t)port_pci_interrupts(config->pci);
		}
	} else {
		args[n++] = (char *)(uintptr_t) "--no-pci";
	}
	if (!config->verbose)
		args[n++] = (char *)(uintptr_t) "--log-level=error";
	if (rte_eal_init(n, args) < 0) {
		err = rte_errno ? -rte_errno : -EINVAL;
		return port_say(why, err, "DPDK does not start: %s%s", rte_strerror(-err),
				config->huge_pages ? "; are huge pages reserved and free? (see "
						     "docs/ports.md, or run without them)"
						   : "");
	}
	return 0;
}

void port_eal_stop(void)
{
	(void)rte_eal_cleanup();
}
