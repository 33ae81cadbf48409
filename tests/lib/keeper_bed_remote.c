/* SPDX-License-Identifier: Apache-2.0 */
/* keeper_bed_remote.c - see keeper_bed_remote.h. */
#include "tests/lib/keeper_bed_remote.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "dataplane/core/place.h"
#include "dataplane/remote/remote_impl.h"

static int begin(void *arg, uint8_t node_id[16], uint32_t logs[ABAFT_LOGS_MAX], uint32_t *count,
		 char *why)
{
	struct keeper_bed_remote *over = arg;
	struct remote_config config = {.call_ms = 1000};
	uint32_t writer[2] = {over->number, ++over->writers};
	int found, error;

	memcpy(config.writer, writer, sizeof(writer));
	memset(config.node_id, 0x33, sizeof(config.node_id));
	over->engine = config.engine = fake_engine_open(over->store);
	error = remote_open(&over->remote, &config, why, RESTART_WHY_BYTES);
	if (!error)
		error = remote_filedev(over->remote, &over->files);
	found = error ? error : remote_logs(over->remote, logs);
	if (found < 0)
		return found;
	memcpy(node_id, remote_node_id(over->remote), 16);
	*count = (uint32_t)found;
	return 0;
}

static struct logdev *log_of(void *arg, uint32_t number)
{
	struct keeper_bed_remote *over = arg;
	struct logdev *dev;

	if (remote_logdev(over->remote, number, &dev))
		abort();
	dev->threads = false;
	return dev;
}

static struct filedev *files_of(void *arg)
{
	return ((struct keeper_bed_remote *)arg)->files;
}

static void kill_it(void *arg)
{
	engine_close(((struct keeper_bed_remote *)arg)->engine, 0);
}

static void end(void *arg)
{
	struct keeper_bed_remote *over = arg;

	if (over->files)
		over->files->ops->destroy(over->files);
	if (over->remote)
		remote_close(over->remote);
	if (over->engine)
		engine_destroy(over->engine);
	over->files = NULL;
	over->remote = NULL;
	over->engine = NULL;
}

/* Past the engine, so that a model can look while it is away, or at what it has lost. */
static void look_at(const struct keeper_bed_remote *over, const struct engine_item *item)
{
	uint32_t bytes = 0;
	const uint8_t *data = fake_store_find(over->store, item->name.dir, item->name.leaf, &bytes);

	for (uint32_t i = 0; data && i < item->bytes && item->offset + i < bytes; i++)
		item->to[i] = data[item->offset + i];
}

static bool look(void *arg, uint64_t place, uint8_t *to, uint32_t bytes)
{
	struct keeper_bed_remote *over = arg;
	struct engine_item items[REMOTE_PARTS_MAX + 4];
	const struct remote_segment *segment =
		remote_segment_find(over->remote, place_log(place), place_segment(place));
	int count;

	if (!segment || place_offset(place) + (uint64_t)bytes > segment->bytes)
		return false;
	count = remote_pieces(over->remote, place_log(place), segment, place_offset(place), bytes,
			      to, items, REMOTE_PARTS_MAX + 4);
	for (int i = 0; i < count; i++)
		look_at(over, &items[i]);
	return count >= 0;
}

void keeper_bed_remote(struct keeper_bed_remote *over, struct keeper_bed *bed,
		       struct fake_store *store, uint32_t number)
{
	*over = (struct keeper_bed_remote){.store = store, .number = number};
	bed->devices = (struct keeper_bed_devices){
		.arg = over,
		.begin = begin,
		.log = log_of,
		.files = files_of,
		.kill = kill_it,
		.end = end,
		.look = look,
	};
}
