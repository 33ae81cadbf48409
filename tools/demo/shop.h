/* SPDX-License-Identifier: Apache-2.0 */
/*
 * shop.h - the data of the demonstration's shop, and one way to reach it in either store.
 *
 * An order touches four keys: the stock of two items, the customer's account, the order itself.
 * Each order has items and a customer of its own. That is on purpose: read atomic isolation does
 * not keep two orders that change the same count at the same time from losing one change, and the
 * plain store does not either; the demonstration is about failures and retries, so nothing here
 * goes wrong for that other reason, in either store.
 *
 * I1. Before an order: stock SHOP_STOCK of each item, SHOP_BALANCE on the account, no order.
 * I2. After it, once: SHOP_STOCK - 1 of each, SHOP_BALANCE - SHOP_PRICE, the order.
 * So a count tells how often a function took effect.
 */
#ifndef ABAFT_TOOLS_DEMO_SHOP_H
#define ABAFT_TOOLS_DEMO_SHOP_H

#include <stdbool.h>
#include <stdint.h>

#include <abaft/abaft.h>

#include "tools/demo/plain.h"
#include "tools/history/history.h"

#define SHOP_STOCK   100
#define SHOP_BALANCE 1000
#define SHOP_PRICE   10

enum shop_part { SHOP_ITEM_A, SHOP_ITEM_B, SHOP_ACCOUNT, SHOP_ORDER, SHOP_PARTS };

enum demo_kind { DEMO_PLAIN, DEMO_ABAFT };

/* Where a store is. */
struct demo_store {
	enum demo_kind kind;
	const char *address; /* of the node */
	uint16_t port;
	uint32_t timeout_ms;
	uint32_t run; /* names this run's keys: the store of a node outlives it */
};

#define SHOP_KEY_BYTES	64
#define SHOP_TEXT_BYTES 64

void shop_key(const struct demo_store *store, unsigned int order, enum shop_part part,
	      char key[SHOP_KEY_BYTES]);

/* One transaction's (or, without transactions, one request's) way to the shop. It notes what it
 * read and wrote, so that the history can tell. */
struct shop {
	const struct demo_store *store;
	unsigned int order;
	struct plain *plain;   /* one of the two */
	struct abaft_txn *txn; /* borrowed */
	struct abaft_id id;    /* the request */
	struct tag_number next;
	struct history_writer *history; /* may be NULL */
	struct shop_note {
		enum shop_part part;
		bool write;
		struct tag_number number;
		uint64_t time_us;
		struct abaft_version version;
		bool found;
		char value[PLAIN_VALUE_BYTES_MAX]; /* of a read */
		size_t value_bytes;
	} notes[2 * SHOP_PARTS];
	unsigned int notes_count;
};

/* These return an enum abaft_error for either store. Reading: `text` without the tag, "" and
 * NOT_FOUND if there is none. */
ABAFT_MUST_CHECK int shop_get(struct shop *shop, enum shop_part part, char text[SHOP_TEXT_BYTES]);
ABAFT_MUST_CHECK int shop_put(struct shop *shop, enum shop_part part, const char *text);
/* Adds to a count. */
ABAFT_MUST_CHECK int shop_add(struct shop *shop, enum shop_part part, long change);

/* Writes the history's line of what was noted. */
void shop_tell(const struct shop *shop, const struct history_head *head);
/* Adds the reads noted to the line begun (for final states too, one line each). */
void shop_tell_final(const struct shop *shop);

/* Time spent on something else than the store, as functions do: up to `max_us`. */
void shop_work(unsigned int *seed, unsigned int max_us);
uint64_t shop_now_us(void);

#endif
