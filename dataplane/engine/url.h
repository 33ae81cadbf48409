/* SPDX-License-Identifier: Apache-2.0 */
/*
 * url.h - reads what a user wrote as engine_config.url.
 */
#ifndef ABAFT_ENGINE_URL_H
#define ABAFT_ENGINE_URL_H

#include "dataplane/engine/driver.h"

/*
 * 0, or -EINVAL with a sentence in `why` (ENGINE_WHY_BYTES). The sentence shows of the URL only
 * what cannot be a secret: where an @ stands, nothing.
 */
int engine_url_parse(struct engine_url *out, const char *text, char *why)
	__attribute__((warn_unused_result));

#endif
