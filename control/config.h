/* SPDX-License-Identifier: Apache-2.0 */
/*
 * config.h - what the daemon is told: a file of `key = value` lines, flags of the same names over
 * it, and one table that both are checked against.
 *
 * The table in config.c is the only list of keys: the parser, --help, the commented example file
 * (control/abaft.conf.example) and its test are made from it. Every refusal is a sentence that
 * names where (file and line, or flag), the key, and what would be right. Called by main before
 * anything starts; no thread.
 */
#ifndef ABAFT_CONTROL_CONFIG_H
#define ABAFT_CONTROL_CONFIG_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

/* Longest text a key can have, with its NUL. */
#define CONFIG_TEXT_BYTES 256
/* Longest line of a file; inih's own bound is 200 with the newline. */
#define CONFIG_LINE_BYTES 198
/* Longest sentence about an error. */
#define CONFIG_WHY_BYTES  512
#define CONFIG_KEYS_MAX	  48

struct config {
	char port[CONFIG_TEXT_BYTES];
	char addresses[CONFIG_TEXT_BYTES];
	char data_dir[CONFIG_TEXT_BYTES];
	char pin_dir[CONFIG_TEXT_BYTES];
	char state_dir[CONFIG_TEXT_BYTES];
	char cores[CONFIG_TEXT_BYTES];
	char log_level[CONFIG_TEXT_BYTES];
	char log_format[CONFIG_TEXT_BYTES];
	char metrics[CONFIG_TEXT_BYTES];
	char engine[CONFIG_TEXT_BYTES];
	char engine_ack[CONFIG_TEXT_BYTES];
	char engine_credentials[CONFIG_TEXT_BYTES];
	uint64_t udp_port;
	uint64_t workers;
	uint64_t node;
	uint64_t memory_bytes;
	uint64_t cache_bytes;
	uint64_t keys;
	uint64_t txns;
	uint64_t outcomes;
	uint64_t window_ms;
	uint64_t skew_ms;
	uint64_t deadline_ms;
	uint64_t segment_bytes;
	uint64_t log_bytes_max;
	uint64_t checkpoint_bytes;
	uint64_t clean_below; /* percent */
	uint64_t clean_rate;
	uint64_t slow_ms;
	uint64_t engine_lag;
	uint64_t engine_delete_rate;
	uint64_t engine_timeout_ms;
	bool sync;
	bool dsync;
	bool huge_pages;
	bool verify_checksums;
	bool poll;
	bool telemetry;
	bool watch;
	/* Where each key of the table was set: a line of the file, 0 = not there. */
	uint32_t line[CONFIG_KEYS_MAX];
};

/* Fills in every default. */
void config_defaults(struct config *config);
/* Reads a file over it. 0, or -errno / -EINVAL with a sentence in why[CONFIG_WHY_BYTES]. */
int config_read(struct config *config, const char *path, char *why)
	__attribute__((warn_unused_result));
/* Sets one key from text; `where` is how the place is named ("command line", "abaft.conf:3"). */
int config_set(struct config *config, const char *key, const char *value, const char *where,
	       char *why) __attribute__((warn_unused_result));
/* Checks what one key alone cannot tell: keys that contradict each other, addresses, cores. */
int config_check(const struct config *config, char *why) __attribute__((warn_unused_result));

/* Whether there is a keeper, which has a log, and what of log_bytes_max only that log may take. */
bool config_keeps(const struct config *config);
uint64_t config_log_reserve(const struct config *config);

/* Where the commit logs are. */
enum config_place {
	CONFIG_EMBEDDED, /* in data-dir */
	CONFIG_ENGINE,	 /* in the engine; nothing is in data-dir */
	CONFIG_BOTH,	 /* in data-dir, and in the engine a little later */
};
enum config_place config_place(const struct config *config);
/* How much of the logs, which the engine holds in this process's memory, is lost at its end: all.
 */
bool config_forgets(const struct config *config);

/* Where metrics are served; nowhere if endpoint.bytes is 0. Whether somebody chose that: it is not
 * the default. */
struct endpoint;
bool config_metrics(const struct config *config, struct endpoint *out);

/* What main asked for besides a configuration. */
struct config_asked {
	const char *file;
	bool check;
	bool example;
	bool help;
	bool version;
};
/* Flags: the file named by --config is read first, then the flags lie over it. */
int config_flags(struct config *config, int argc, char **argv, struct config_asked *asked,
		 char *why) __attribute__((warn_unused_result));

void config_print_help(FILE *to);
void config_print_example(FILE *to);
/* The configuration in force, as a file that would make it. */
void config_print(const struct config *config, FILE *to);

/* The CPU of worker `w` out of `cores`, -1 when no cores are given, -EINVAL if it is no list or
 * too short. */
int config_core(const struct config *config, uint32_t w);

#endif
