/* SPDX-License-Identifier: Apache-2.0 */
/*
 * scheme.c - the table of schemes.
 */
#include "dataplane/engine/scheme.h"

#include <stdio.h>
#include <string.h>

static const struct engine_scheme schemes[] = {
	{"redis", ENGINE_FORM_SERVER, redis_driver_create},
	{"rediss", ENGINE_FORM_SERVER, redis_driver_create},
	{"s3", ENGINE_FORM_BEHIND, s3_driver_create},
	{"dynamodb", ENGINE_FORM_BEHIND, dynamodb_driver_create},
	{"memory", ENGINE_FORM_OPTIONS, memory_driver_create},
};

#define SCHEMES (sizeof(schemes) / sizeof(schemes[0]))

const struct engine_scheme *engine_scheme_find(const char *name)
{
	for (size_t i = 0; i < SCHEMES; i++)
		if (strcmp(schemes[i].name, name) == 0)
			return &schemes[i];
	return NULL;
}

void engine_scheme_names(char *to, size_t bytes)
{
	size_t used = 0;

	to[0] = '\0';
	for (size_t i = 0; i < SCHEMES && used < bytes; i++)
		used += (size_t)snprintf(to + used, bytes - used, "%s%s", i > 0 ? ", " : "",
					 schemes[i].name);
}

int engine_driver_create(struct engine_driver **out, const struct engine_url *url,
			 const struct engine_credentials *credentials,
			 const struct engine_config *config, char *why)
{
	/* Only what engine_url_parse() has found in the table comes here. */
	return engine_scheme_find(url->scheme)->create(out, url, credentials, config, why);
}
