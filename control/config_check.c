/* SPDX-License-Identifier: Apache-2.0 */
/*
 * config_check.c - what one key alone cannot tell: keys that contradict each other, lists, and what
 * follows from several keys.
 */
#include "control/config.h"

#include <arpa/inet.h>
#include <ctype.h>
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include <abaft/limits.h>

#include "control/endpoint.h"
#include "dataplane/engine/url.h"

/* The kept log's: one to write, one ready, one while the one before is being freed. */
#define RESERVE_SEGMENTS 3

int config_core(const struct config *config, uint32_t w)
{
	const char *at = config->cores;
	char *end;
	unsigned long core;

	if (at[0] == '\0')
		return -1;
	for (uint32_t i = 0;; i++) {
		if (!isdigit((unsigned char)at[0]))
			return -EINVAL;
		core = strtoul(at, &end, 10);
		if (core >= 4096 || (*end != ',' && *end != '\0'))
			return -EINVAL;
		if (i == w)
			return (int)core;
		if (*end == '\0')
			return -EINVAL;
		at = end + 1;
	}
}

static int check_addresses(const struct config *config, char *why)
{
	char text[CONFIG_TEXT_BYTES], *rest = text, *one;
	uint8_t raw[16];

	memcpy(text, config->addresses, sizeof(text));
	while ((one = strsep(&rest, ",")) != NULL) {
		if (inet_pton(AF_INET, one, raw) == 1 || inet_pton(AF_INET6, one, raw) == 1)
			continue;
		snprintf(why, CONFIG_WHY_BYTES,
			 "addresses: \"%s\" is neither an IPv4 nor an IPv6 address", one);
		return -EINVAL;
	}
	return 0;
}

static int check_metrics(const struct config *config, char *why)
{
	struct endpoint endpoint;
	char text[192];

	if (endpoint_parse(&endpoint, config->metrics, (uint16_t)config->udp_port, text,
			   sizeof(text)) == 0)
		return 0;
	snprintf(why, CONFIG_WHY_BYTES, "metrics: \"%s\" %s", config->metrics, text);
	return -EINVAL;
}

bool config_keeps(const struct config *config)
{
	return config->checkpoint_bytes != 0;
}

uint64_t config_log_reserve(const struct config *config)
{
	return config_keeps(config) ? RESERVE_SEGMENTS * config->segment_bytes : 0;
}

/* Room for a segment to write and one made ahead for each log; for marks behind which one can clean
 * while the next two checkpoints come. */
static int check_log_bytes(const struct config *config, char *why)
{
	uint64_t least = 2 * config->workers * config->segment_bytes + config_log_reserve(config);

	if (config->log_bytes_max == 0)
		return 0;
	if (config->log_bytes_max < least) {
		snprintf(why, CONFIG_WHY_BYTES,
			 "log-bytes-max: %" PRIu64 " is too little: two segments of %" PRIu64
			 " for each of %" PRIu64 " workers%s take %" PRIu64
			 "; raise it or lower segment-size",
			 config->log_bytes_max, config->segment_bytes, config->workers,
			 config_keeps(config) ? " and three for cleaning" : "", least);
		return -EINVAL;
	}
	if (config->checkpoint_bytes > config->log_bytes_max / 4) {
		snprintf(why, CONFIG_WHY_BYTES,
			 "checkpoint: %" PRIu64 " is more than a quarter of log-bytes-max (%" PRIu64
			 "): the logs would be full before anything can be cleaned; lower it",
			 config->checkpoint_bytes, config->log_bytes_max);
		return -EINVAL;
	}
	return 0;
}

enum config_place config_place(const struct config *config)
{
	if (strcmp(config->engine, "embedded") == 0)
		return CONFIG_EMBEDDED;
	return strcmp(config->engine_ack, "log") == 0 ? CONFIG_BOTH : CONFIG_ENGINE;
}

bool config_forgets(const struct config *config)
{
	return strncmp(config->engine, "memory:", strlen("memory:")) == 0 &&
	       config_place(config) == CONFIG_ENGINE;
}

static int check_no_engine(const struct config *config, char *why)
{
	if (strcmp(config->engine_ack, "log") == 0) {
		snprintf(why, CONFIG_WHY_BYTES,
			 "engine-ack: log says that an engine may get commits later, but there is "
			 "none: engine = embedded acknowledges from the log in data-dir anyway; "
			 "leave engine-ack out, or set engine");
		return -EINVAL;
	}
	if (config->engine_credentials[0] != '\0') {
		snprintf(why, CONFIG_WHY_BYTES,
			 "engine-credentials: there is no engine to know us by them: engine = "
			 "embedded; leave them out, or set engine");
		return -EINVAL;
	}
	return 0;
}

static int check_engine(const struct config *config, char *why)
{
	struct engine_url url;
	char text[ENGINE_WHY_BYTES];

	if (config_place(config) == CONFIG_EMBEDDED)
		return check_no_engine(config, why);
	if (engine_url_parse(&url, config->engine, text) != 0) {
		snprintf(why, CONFIG_WHY_BYTES, "engine: %.*s", CONFIG_WHY_BYTES - 16, text);
		return -EINVAL;
	}
	if (!config->sync && config_place(config) == CONFIG_ENGINE) {
		snprintf(why, CONFIG_WHY_BYTES,
			 "sync: no contradicts engine-ack = storage, which waits for the engine in "
			 "any case; leave it out");
		return -EINVAL;
	}
	return 0;
}

int config_check(const struct config *config, char *why)
{
	if (config->udp_port + config->workers > 65536) {
		snprintf(why, CONFIG_WHY_BYTES,
			 "udp-port: %" PRIu64 " leaves no room for %" PRIu64
			 " workers below 65536; take a lower one",
			 config->udp_port, config->workers);
		return -EINVAL;
	}
	if (config->deadline_ms > config->window_ms) {
		snprintf(why, CONFIG_WHY_BYTES,
			 "deadline: %" PRIu64 " ms is longer than window (%" PRIu64
			 " ms): an id must be remembered at least as long as its transaction lives",
			 config->deadline_ms, config->window_ms);
		return -EINVAL;
	}
	if (config->segment_bytes % ABAFT_LOG_BLOCK_BYTES != 0) {
		snprintf(why, CONFIG_WHY_BYTES, "segment-size: %" PRIu64 " is no multiple of %u",
			 config->segment_bytes, ABAFT_LOG_BLOCK_BYTES);
		return -EINVAL;
	}
	if (config->cache_bytes > config->memory_bytes) {
		snprintf(why, CONFIG_WHY_BYTES,
			 "cache: %" PRIu64 " is more than memory (%" PRIu64
			 "), of which it is a part",
			 config->cache_bytes, config->memory_bytes);
		return -EINVAL;
	}
	if (check_log_bytes(config, why) != 0)
		return -EINVAL;
	if (config_core(config, (uint32_t)config->workers - 1) == -EINVAL) {
		snprintf(why, CONFIG_WHY_BYTES,
			 "cores: \"%s\" must name %" PRIu64
			 " CPUs, one a worker, with commas between",
			 config->cores, config->workers);
		return -EINVAL;
	}
	if (check_metrics(config, why) != 0 || check_engine(config, why) != 0)
		return -EINVAL;
	return check_addresses(config, why);
}
