/* SPDX-License-Identifier: Apache-2.0 */
/*
 * port_flow.c - has a NIC bring each worker's UDP port to that worker's queue.
 */
#include "dataplane/net/port_device.h"

#include <string.h>

#include <rte_byteorder.h>
#include <rte_flow.h>

static bool add_rule(uint16_t ethdev, enum rte_flow_item_type ip, uint16_t udp_port, uint16_t queue)
{
	struct rte_flow_attr attr = {.ingress = 1};
	struct rte_flow_item_udp udp = {.hdr.dst_port = rte_cpu_to_be_16(udp_port)};
	struct rte_flow_item_udp mask = {.hdr.dst_port = 0xffff};
	struct rte_flow_item pattern[] = {
		{.type = RTE_FLOW_ITEM_TYPE_ETH},
		{.type = ip},
		{.type = RTE_FLOW_ITEM_TYPE_UDP, .spec = &udp, .mask = &mask},
		{.type = RTE_FLOW_ITEM_TYPE_END},
	};
	struct rte_flow_action_queue to = {.index = queue};
	struct rte_flow_action actions[] = {
		{.type = RTE_FLOW_ACTION_TYPE_QUEUE, .conf = &to},
		{.type = RTE_FLOW_ACTION_TYPE_END},
	};
	struct rte_flow_error error;

	memset(&error, 0, sizeof(error));
	return !rte_flow_validate(ethdev, &attr, pattern, actions, &error) &&
	       rte_flow_create(ethdev, &attr, pattern, actions, &error);
}

uint32_t port_flow_rules(uint16_t ethdev, const struct port_device_config *config, uint32_t queues)
{
	uint32_t taken = 0;

	for (uint32_t w = 0; w < config->workers; w++) {
		uint16_t udp_port = (uint16_t)(config->port_base + w);
		uint16_t queue = (uint16_t)(w % queues);

		taken += add_rule(ethdev, RTE_FLOW_ITEM_TYPE_IPV4, udp_port, queue);
		taken += add_rule(ethdev, RTE_FLOW_ITEM_TYPE_IPV6, udp_port, queue);
	}
	return taken;
}
