/* SPDX-License-Identifier: Apache-2.0 */
/* scratch.h - a directory of its own for each case: cmocka's set-up and tear-down; *state is its
 * path. It lies under $TMPDIR or /var/tmp, which unlike /tmp is never a file system in memory. */
#ifndef ABAFT_TESTS_SCRATCH_H
#define ABAFT_TESTS_SCRATCH_H

#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

static inline int scratch_remove_one(const char *path, const struct stat *st, int flag,
				     struct FTW *ftw)
{
	return remove(path);
}

static inline int scratch_setup(void **state)
{
	const char *base = getenv("TMPDIR");
	char *path = NULL;

	if (asprintf(&path, "%s/abaft-test-XXXXXX", base ? base : "/var/tmp") < 0)
		return -1;
	*state = path;
	return mkdtemp(path) ? 0 : -1;
}

static inline int scratch_teardown(void **state)
{
	int error = nftw(*state, scratch_remove_one, 16, FTW_DEPTH | FTW_PHYS);

	free(*state);
	return error;
}

#endif
