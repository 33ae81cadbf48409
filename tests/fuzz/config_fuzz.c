/* SPDX-License-Identifier: Apache-2.0 */
/*
 * config_fuzz.c - arbitrary files and flags into the daemon's configuration.
 *
 * Input: a byte, the number of flags modulo 8; the flags, each with a NUL behind it; the file, any
 * bytes. What must hold: what is refused has a sentence that fits its buffer; what is accepted and
 * printed can be read again, and is then the same configuration, which is accepted like the first.
 * (A flag may be longer than a line can be: then reading it again says that.)
 */
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "control/config.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define FLAGS_MAX  8
#define PRINT_ROOM (CONFIG_KEYS_MAX * (CONFIG_TEXT_BYTES + 64))

static void must(bool holds)
{
	if (!holds)
		abort();
}

/* The file, where a path leads to it. */
static const char *file_of(const void *text, size_t bytes)
{
	static char path[32];
	static int fd = -1;

	if (fd < 0) {
		fd = memfd_create("config", MFD_CLOEXEC);
		must(fd >= 0);
		snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	}
	must(ftruncate(fd, 0) == 0);
	must(pwrite(fd, text, bytes, 0) == (ssize_t)bytes);
	return path;
}

/* Whether it could name another file than ours. */
static bool names_a_file(const char *flag)
{
	if (strncmp(flag, "--", 2) == 0)
		return strncmp(flag, "--co", 4) == 0;
	return flag[0] == '-' && strchr(flag, 'c');
}

/* Splits the input; returns where the file begins, NULL if a flag is not for us. */
static const uint8_t *flags_of(const uint8_t *data, const uint8_t *end, char **argv, int *argc)
{
	for (int left = *data++ % FLAGS_MAX; left > 0; left--) {
		const uint8_t *nul = memchr(data, 0, (size_t)(end - data));

		if (!nul)
			return NULL;
		argv[*argc] = strdup((const char *)data);
		must(argv[*argc]);
		if (names_a_file(argv[(*argc)++]))
			return NULL;
		data = nul + 1;
	}
	return data;
}

static void check_sentence(const char *why)
{
	size_t bytes = strnlen(why, CONFIG_WHY_BYTES);

	must(bytes > 10 && bytes < CONFIG_WHY_BYTES);
}

/* The longest line of what was printed, with its newline. */
static size_t longest(const char *text)
{
	size_t most = 0;

	for (size_t bytes; *text; text += bytes) {
		bytes = strcspn(text, "\n") + 1;
		most = bytes > most ? bytes : most;
	}
	return most;
}

static void check_again(struct config *config)
{
	static char text[PRINT_ROOM], why[CONFIG_WHY_BYTES];
	static struct config again;
	FILE *to = fmemopen(text, sizeof(text), "w");
	const char *path;
	int first, second;

	must(to);
	config_print(config, to);
	must(fflush(to) == 0 && ftell(to) < PRINT_ROOM);
	path = file_of(text, (size_t)ftell(to));
	fclose(to);
	config_defaults(&again);
	first = config_read(&again, path, why);
	if (longest(text) > CONFIG_LINE_BYTES + 1) {
		must(first && strstr(why, "the line is too long"));
		return;
	}
	must(first == 0);
	memset(config->line, 0, sizeof(config->line));
	memset(again.line, 0, sizeof(again.line));
	must(memcmp(config, &again, sizeof(again)) == 0);
	why[0] = '\0';
	first = config_check(config, why);
	if (first)
		check_sentence(why);
	second = config_check(&again, why);
	must(first == second);
}

static void check(int argc, char **argv)
{
	static char why[CONFIG_WHY_BYTES];
	struct config_asked asked;
	struct config config;
	int error;

	memset(why, 0, sizeof(why));
	error = config_flags(&config, argc, argv, &asked, why);
	if (error) {
		check_sentence(why);
		return;
	}
	for (uint32_t w = 0; w < config.workers; w++)
		must(config_core(&config, w) < 4096);
	check_again(&config);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static char program[] = "abaftd", option[] = "--config";
	char path[64], *argv[FLAGS_MAX + 4] = {program, option, path};
	const uint8_t *file;
	int argc = 3;

	if (size < 1 || size > 1 << 14)
		return 0;
	file = flags_of(data, data + size, argv, &argc);
	if (file) {
		snprintf(path, sizeof(path), "%s", file_of(file, (size_t)(data + size - file)));
		check(argc, argv);
	}
	for (int i = 3; i < argc; i++)
		free(argv[i]);
	return 0;
}
