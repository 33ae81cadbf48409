/* SPDX-License-Identifier: Apache-2.0 */
/*
 * scheme.h - the kinds of storage that there are, by the scheme of their URLs: the one table that a
 * new driver adds its row to (scheme.c).
 */
#ifndef ABAFT_ENGINE_SCHEME_H
#define ABAFT_ENGINE_SCHEME_H

#include "dataplane/engine/driver.h"

/* What stands behind the scheme's colon. */
enum engine_form {
	ENGINE_FORM_SERVER,  /* //HOST:PORT[/PREFIX] */
	ENGINE_FORM_BEHIND,  /* //NAME[/PREFIX]?endpoint=URL[&region=R] */
	ENGINE_FORM_OPTIONS, /* [NAME][?OPTIONS], the driver's to read */
};

struct engine_scheme {
	const char *name;
	enum engine_form form;
	int (*create)(struct engine_driver **out, const struct engine_url *url,
		      const struct engine_credentials *credentials,
		      const struct engine_config *config, char *why);
};

/* NULL: there is none of that name. */
const struct engine_scheme *engine_scheme_find(const char *name);
/* Writes all names, with commas between. */
void engine_scheme_names(char *to, size_t bytes);

/* The driver of a URL that engine_url_parse() has read: what its create() says. */
int engine_driver_create(struct engine_driver **out, const struct engine_url *url,
			 const struct engine_credentials *credentials,
			 const struct engine_config *config, char *why)
	__attribute__((warn_unused_result));

#endif
