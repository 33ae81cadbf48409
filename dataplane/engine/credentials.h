/* SPDX-License-Identifier: Apache-2.0 */
/*
 * credentials.h - who we are to the storage, from a file that only its owner can read, or from the
 * environment; never from a command line or a URL, which others can see.
 *
 * The file has lines `key = value`, and comments that begin with # or ; in a line of their own. All
 * behind the = is the value, without the blanks at its ends. What the file does not say is asked of
 * the environment, but what belongs together comes from one place:
 *
 *	user, password				 ABAFT_ENGINE_USER, ABAFT_ENGINE_PASSWORD
 *	access-key, secret-key, session-token	 AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY,
 *						 AWS_SESSION_TOKEN
 *	ca-file					 ABAFT_ENGINE_CA_FILE
 *	certificate-file, key-file		 ABAFT_ENGINE_CERTIFICATE_FILE,
 *						 ABAFT_ENGINE_KEY_FILE
 */
#ifndef ABAFT_ENGINE_CREDENTIALS_H
#define ABAFT_ENGINE_CREDENTIALS_H

#include "dataplane/engine/driver.h"

/*
 * `file` may be NULL or "". 0; -EACCES when group or others may use the file, or it is somebody
 * else's; -EINVAL for all else that is wrong with it, -ENOMEM. Then `why` (ENGINE_WHY_BYTES) has a
 * sentence, which names files, lines and keys, but never shows a value. The caller wipes.
 */
int engine_credentials_load(struct engine_credentials *out, const char *file, char *why)
	__attribute__((warn_unused_result));
void engine_credentials_wipe(struct engine_credentials *credentials);

#endif
