/* SPDX-License-Identifier: Apache-2.0 */
/*
 * engine_seen.c - see engine_seen.h. state-dir/engine has two lines: the engine's URL, and the
 * object's bytes in hexadecimal.
 */
#include "control/engine_seen.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define FILE_NAME "engine"
#define HEX_BYTES (2 * ENGINE_SEEN_BYTES + 1)
#define WAIT_MS	  1000

static void prepare(struct engine_seen *seen, uint8_t *to)
{
	seen->item = (struct engine_item){
		.name = {.dir = "node", .leaf = "id"}, .to = to, .bytes = ENGINE_SEEN_BYTES};
	seen->op = (struct engine_op){
		.verb = ENGINE_GET, .count = 1, .items = &seen->item, .until_us = ENGINE_FOREVER};
}

int engine_seen_read(struct engine_seen *seen, struct engine *engine, char *why)
{
	struct engine_channel *channel;
	int err = engine_channel_open(engine, &channel);

	seen->id_bytes = 0;
	prepare(seen, seen->id);
	if (err == 0) {
		err = engine_call(channel, &seen->op);
		engine_channel_close(channel);
	}
	if (err == 0)
		seen->id_bytes = seen->item.got;
	if (err == 0 || err == -ENOENT)
		return 0;
	snprintf(why, ENGINE_SEEN_WHY_BYTES,
		 "the storage engine's object node/id cannot be read: %s", strerror(-err));
	return err;
}

static void hex_of(const struct engine_seen *seen, char hex[HEX_BYTES])
{
	hex[0] = '\0';
	for (uint32_t i = 0; i < seen->id_bytes; i++)
		snprintf(hex + (size_t)2 * i, 3, "%02x", seen->id[i]);
}

static void path_of(const struct config *config, const char *suffix,
		    char path[CONFIG_TEXT_BYTES + 16])
{
	snprintf(path, CONFIG_TEXT_BYTES + 16, "%s/" FILE_NAME "%s", config->state_dir, suffix);
}

/* What the file says of this engine; false: nothing. */
static bool read_note(const struct config *config, const char *path, char hex[HEX_BYTES])
{
	char url[CONFIG_TEXT_BYTES + 1];
	FILE *file = fopen(path, "re");
	bool ours = false;

	if (file == NULL)
		return false;
	if (fgets(url, sizeof(url), file) != NULL && fgets(hex, HEX_BYTES, file) != NULL) {
		url[strcspn(url, "\n")] = '\0';
		hex[strcspn(hex, "\n")] = '\0';
		ours = strcmp(url, config->engine) == 0;
	}
	fclose(file);
	return ours;
}

int engine_seen_check(const struct engine_seen *seen, const struct config *config, char *why)
{
	char path[CONFIG_TEXT_BYTES + 16], before[HEX_BYTES], now[HEX_BYTES];

	path_of(config, "", path);
	hex_of(seen, now);
	if (!read_note(config, path, before) || strcmp(before, now) == 0)
		return 0;
	snprintf(why, ENGINE_SEEN_WHY_BYTES,
		 "%.160s has lost what it had acknowledged: %s, as %.160s says; restore its "
		 "objects, or remove that file%s",
		 config->engine,
		 seen->id_bytes == 0
			 ? "nothing is there, but this node's commits were"
			 : "another node's commits are there in the place of this one's",
		 path,
		 seen->id_bytes == 0
			 ? ", and whatever is left under the prefix, to begin with nothing"
			 : " to begin with those");
	return -EBADMSG;
}

static int write_note(int fd, const char *text)
{
	size_t bytes = strlen(text);
	int err = 0;

	errno = EIO;
	if (write(fd, text, bytes) != (ssize_t)bytes || fsync(fd) < 0)
		err = -errno;
	if (close(fd) < 0 && err == 0)
		err = -errno;
	return err;
}

int engine_seen_note(const struct engine_seen *seen, const struct config *config, char *why)
{
	char path[CONFIG_TEXT_BYTES + 16], path_new[CONFIG_TEXT_BYTES + 16];
	char hex[HEX_BYTES], text[CONFIG_TEXT_BYTES + HEX_BYTES + 2];
	int fd, err = 0;

	path_of(config, "", path);
	path_of(config, ".new", path_new);
	hex_of(seen, hex);
	snprintf(text, sizeof(text), "%s\n%s\n", config->engine, hex);
	if (mkdir(config->state_dir, 0755) < 0 && errno != EEXIST)
		err = -errno;
	fd = err == 0 ? open(path_new, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644) : -1;
	if (err == 0)
		err = fd < 0 ? -errno : write_note(fd, text);
	if (err == 0 && rename(path_new, path) < 0)
		err = -errno;
	if (err != 0)
		snprintf(why, ENGINE_SEEN_WHY_BYTES, "state-dir: %s cannot be written: %s", path,
			 strerror(-err));
	return err;
}

int engine_seen_begin(struct engine_seen *seen, struct engine *engine)
{
	return engine_channel_open(engine, &seen->channel);
}

static int judge(const struct engine_seen *seen)
{
	if (seen->op.result == -ENOENT)
		return -ENOENT;
	if (seen->op.result != 0) /* nothing was learnt */
		return 0;
	return seen->item.got == seen->id_bytes && memcmp(seen->now, seen->id, seen->id_bytes) == 0
		       ? 0
		       : -ESTALE;
}

int engine_seen_look(struct engine_seen *seen, uint64_t mono_us)
{
	struct engine_op *ended;

	if (seen->asking) {
		if (engine_poll(seen->channel, &ended, 1) == 0)
			return 0;
		seen->asking = false;
		seen->next_us = mono_us + ENGINE_SEEN_LOOK_US;
		return judge(seen);
	}
	if (mono_us >= seen->next_us) {
		prepare(seen, seen->now);
		seen->asking = engine_begin(seen->channel, &seen->op) == 0;
	}
	return 0;
}

void engine_seen_end(struct engine_seen *seen)
{
	struct engine_op *ended;

	if (seen->channel == NULL)
		return;
	while (seen->asking && engine_poll(seen->channel, &ended, 1) == 0)
		(void)engine_wait(seen->channel, WAIT_MS);
	engine_channel_close(seen->channel);
	*seen = (struct engine_seen){.channel = NULL};
}
