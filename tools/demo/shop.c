/* SPDX-License-Identifier: Apache-2.0 */
/*
 * shop.c - the data of the demonstration's shop, and one way to reach it in either store.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "tools/demo/shop.h"

static const char *const part_names[SHOP_PARTS] = {
	[SHOP_ITEM_A] = "stock-a",
	[SHOP_ITEM_B] = "stock-b",
	[SHOP_ACCOUNT] = "account",
	[SHOP_ORDER] = "order",
};

void shop_key(const struct demo_store *store, unsigned int order, enum shop_part part,
	      char key[SHOP_KEY_BYTES])
{
	snprintf(key, SHOP_KEY_BYTES, "demo-%u:%s:%u", store->run, part_names[part], order);
}

uint64_t shop_now_us(void)
{
	struct timespec now;

	clock_gettime(CLOCK_REALTIME, &now);
	return (uint64_t)now.tv_sec * 1000000 + (uint64_t)now.tv_nsec / 1000;
}

void shop_work(unsigned int *seed, unsigned int max_us)
{
	unsigned int us = (unsigned int)rand_r(seed) % (max_us + 1);
	struct timespec pause = {.tv_nsec = (long)us * 1000};

	nanosleep(&pause, NULL);
}

/* The plain store's errors as those of the library. */
static int plain_error(int err)
{
	switch (err) {
	case 0:
		return ABAFT_OK;
	case -ENOENT:
		return ABAFT_NOT_FOUND;
	case -ENOSPC:
		return ABAFT_NO_SPACE;
	case -ETIMEDOUT:
		return ABAFT_TIMEOUT;
	default:
		return ABAFT_NETWORK;
	}
}

static struct shop_note *shop_note(struct shop *shop, enum shop_part part, bool write)
{
	struct shop_note *note;

	/* A function touches each part at most twice: to read and to write it. */
	if (shop->notes_count == sizeof(shop->notes) / sizeof(shop->notes[0]))
		abort();
	note = &shop->notes[shop->notes_count++];
	*note = (struct shop_note){
		.part = part, .write = write, .number = shop->next, .time_us = shop_now_us()};
	shop->next.seq++;
	return note;
}

int shop_get(struct shop *shop, enum shop_part part, char text[SHOP_TEXT_BYTES])
{
	struct shop_note *note = shop_note(shop, part, false);
	struct abaft_result result = {0};
	char key[SHOP_KEY_BYTES];
	const char *body;
	int err;

	text[0] = '\0';
	note->value_bytes = sizeof(note->value);
	shop_key(shop->store, shop->order, part, key);
	if (shop->plain) {
		err = plain_error(plain_get(shop->plain, key, note->value, &note->value_bytes));
	} else {
		err = abaft_prep_get(shop->txn, key, strlen(key), note->value, sizeof(note->value),
				     &result);
		if (!err)
			err = abaft_run(shop->txn);
		if (!err)
			err = result.status;
		note->version = result.version;
		note->value_bytes = result.len;
	}
	if (err && err != ABAFT_NOT_FOUND)
		shop->notes_count--;
	if (err)
		return err;
	note->found = true;
	body = memchr(note->value, ';', note->value_bytes);
	if (!body)
		return ABAFT_PROTOCOL;
	snprintf(text, SHOP_TEXT_BYTES, "%.*s", (int)(note->value + note->value_bytes - body - 1),
		 body + 1);
	return ABAFT_OK;
}

/* Tag, then text: whoever reads the value knows who wrote it, and what belongs to it. */
static int tagged(const struct shop *shop, const struct shop_note *note, const char *text,
		  char *value, size_t *bytes)
{
	char keys[SHOP_PARTS][SHOP_KEY_BYTES];
	struct tag_key with[SHOP_PARTS];
	struct tag_source source = {
		.id = &shop->id, .number = note->number, .time_us = note->time_us, .with = with};
	ssize_t tag;

	for (unsigned int part = 0; part < SHOP_PARTS; part++) {
		struct tag_key *at = part == note->part ? &source.key : &with[source.with_count++];

		shop_key(shop->store, shop->order, part, keys[part]);
		*at = (struct tag_key){keys[part], strlen(keys[part])};
	}
	tag = tag_write(value, *bytes, &source);
	if (tag < 0 || (size_t)tag + strlen(text) > *bytes)
		return ABAFT_TOO_LARGE;
	memcpy(value + tag, text, strlen(text));
	*bytes = (size_t)tag + strlen(text);
	return ABAFT_OK;
}

int shop_put(struct shop *shop, enum shop_part part, const char *text)
{
	struct shop_note *note = shop_note(shop, part, true);
	char key[SHOP_KEY_BYTES], value[PLAIN_VALUE_BYTES_MAX];
	size_t bytes = sizeof(value);
	int err = tagged(shop, note, text, value, &bytes);

	if (err)
		return err;
	shop_key(shop->store, shop->order, part, key);
	if (shop->plain)
		return plain_error(plain_put(shop->plain, key, value, bytes));
	return abaft_put(shop->txn, key, strlen(key), value, bytes);
}

int shop_add(struct shop *shop, enum shop_part part, long change)
{
	char text[SHOP_TEXT_BYTES];
	int err = shop_get(shop, part, text);

	if (err)
		return err;
	snprintf(text, sizeof(text), "%ld", strtol(text, NULL, 10) + change);
	return shop_put(shop, part, text);
}

static void tell_read(const struct shop *shop, const struct shop_note *note)
{
	char key[SHOP_KEY_BYTES];

	shop_key(shop->store, shop->order, note->part, key);
	history_read(shop->history, key, strlen(key), note->version,
		     note->found ? note->value : NULL, note->value_bytes);
}

static void tell_end(const struct shop *shop)
{
	int err = history_finish(shop->history);

	if (err)
		fprintf(stderr, "abaft: writing the demonstration's history: %s\n", strerror(-err));
}

void shop_tell(const struct shop *shop, const struct history_head *head)
{
	if (!shop->history)
		return;
	history_begin(shop->history, head);
	for (unsigned int i = 0; i < shop->notes_count; i++) {
		const struct shop_note *note = &shop->notes[i];
		char key[SHOP_KEY_BYTES];

		if (!note->write) {
			tell_read(shop, note);
			continue;
		}
		shop_key(shop->store, shop->order, note->part, key);
		history_write(shop->history, key, strlen(key), note->number, note->time_us);
	}
	tell_end(shop);
}

void shop_tell_final(const struct shop *shop)
{
	for (unsigned int i = 0; shop->history && i < shop->notes_count; i++) {
		history_begin_final(shop->history);
		tell_read(shop, &shop->notes[i]);
		tell_end(shop);
	}
}
