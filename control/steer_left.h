/* SPDX-License-Identifier: Apache-2.0 */
/*
 * steer_left.h - what steering leaves on the machine besides the program: pins, sysctls, one file.
 *
 * steer.c's other half. The kernel takes the program off an interface when its process ends,
 * however it ends; these three it does not. Written down in the state file before they are changed,
 * so that a later run can put them right.
 */
#ifndef ABAFT_CONTROL_STEER_LEFT_H
#define ABAFT_CONTROL_STEER_LEFT_H

#include <stdbool.h>

#include "control/steer.h"

#define STEER_PINS 6
extern const char *const steer_pin_names[STEER_PINS];

/* The two sysctls of a loopback interface; -1: not touched. */
struct steer_left {
	char pin_dir[STEER_PATH_BYTES];
	int old[2];
	int pid;
};

/* state_dir/steer-NETNS-IFACE: namespaces have interfaces of the same name. */
int steer_left_path(char path[STEER_PATH_BYTES], const char *state_dir, const char *interface);
/* 0, -ENOENT, -EBADMSG (not our file), other negative errno. */
int steer_left_read(struct steer_left *left, const char *path);
/* Makes the folder if needed and replaces the file in one step. */
int steer_left_write(const struct steer_left *left, const char *path);

int steer_sysctl_get(const char *interface, int which);
int steer_sysctl_set(const char *interface, int which, int value);
const char *steer_sysctl_name(int which);

/* Removes our pins in a folder, and the folder if it is empty then. Number removed or neg. errno.
 */
int steer_pins_remove(const char *pin_dir);
/* Is the program pinned there attached to some interface? 1, 0, negative errno. */
int steer_pins_in_use(const char *pin_dir);
/* Makes the folder on a bpffs, mounting it where the system has not. 0 or negative errno. */
int steer_pins_folder(const char *pin_dir);

#endif
