/* SPDX-License-Identifier: Apache-2.0 */
/*
 * audit.c - fills the demonstration's shop, and afterwards reads everything back: from the counts
 * which orders are whole and what took effect more than once, from the checker what readers saw.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tools/command/command.h"
#include "tools/demo/demo.h"
#include "tools/history/model.h"

/* One after another, outside the functions: fills or reads back each order in a transaction. */
struct audit {
	const struct demo_store *store;
	struct abaft *client;
	struct shop shop;
};

static int audit_open(struct audit *audit, const struct demo_store *store)
{
	struct abaft_config config = {
		.address = store->address, .port = store->port, .timeout_ms = store->timeout_ms};
	int err;

	audit->store = store;
	audit->shop.store = store;
	if (store->kind == DEMO_PLAIN)
		err = plain_open(&audit->shop.plain, store->port) ? ABAFT_NETWORK : ABAFT_OK;
	else
		err = abaft_open(&audit->client, &config);
	if (err)
		command_failed("reaching the demonstration's store", err);
	return err;
}

static void audit_close(struct audit *audit)
{
	plain_close(audit->shop.plain);
	if (audit->client)
		abaft_close(audit->client);
	history_close(audit->shop.history);
	free(audit);
}

static int audit_order(struct audit *audit, unsigned int order,
		       int (*body)(struct shop *shop, void *arg), void *arg)
{
	struct shop *shop = &audit->shop;
	int err;

	shop->order = order;
	shop->notes_count = 0;
	shop->next = (struct tag_number){0};
	abaft_id_new(&shop->id);
	if (!audit->client)
		return body(shop, arg);
	err = abaft_begin(audit->client, &(struct abaft_begin){.id = &shop->id}, &shop->txn);
	if (err)
		return err;
	err = body(shop, arg);
	if (!err)
		err = abaft_commit(shop->txn);
	abaft_end(shop->txn);
	return err;
}

static int fill_body(struct shop *shop, void *arg)
{
	struct history_head *head = arg;
	char stock[SHOP_TEXT_BYTES], balance[SHOP_TEXT_BYTES];
	int err;

	snprintf(stock, sizeof(stock), "%d", SHOP_STOCK);
	snprintf(balance, sizeof(balance), "%d", SHOP_BALANCE);
	head->id = shop->id;
	head->start_us = shop_now_us();
	err = shop_put(shop, SHOP_ITEM_A, stock);
	if (!err)
		err = shop_put(shop, SHOP_ITEM_B, stock);
	if (!err)
		err = shop_put(shop, SHOP_ACCOUNT, balance);
	head->end_us = shop_now_us();
	return err;
}

int demo_shop_fill(const struct demo_options *options, const struct demo_store *store,
		   const char *history)
{
	struct history_head head = {.client = "fill", .whole = true, .outcome = HISTORY_COMMITTED};
	struct audit *audit = calloc(1, sizeof(*audit));
	int err = ABAFT_NO_MEMORY;

	if (!audit || history_open(&audit->shop.history, history) || audit_open(audit, store))
		goto out;
	for (unsigned int order = 0; order < options->requests; order++) {
		err = audit_order(audit, order, fill_body, &head);
		if (err)
			break;
		shop_tell(&audit->shop, &head);
	}
out:
	if (err)
		command_failed("filling the demonstration's shop", err);
	if (audit)
		audit_close(audit);
	return err ? -1 : 0;
}

/* What stands in the store of one order. */
struct found {
	long taken[2]; /* of each item */
	long charged;
	bool order;
};

static int read_body(struct shop *shop, void *arg)
{
	struct found *found = arg;

	for (int part = 0; part < SHOP_PARTS; part++) {
		char text[SHOP_TEXT_BYTES];
		int err = shop_get(shop, (enum shop_part)part, text);

		if (err && (err != ABAFT_NOT_FOUND || part != SHOP_ORDER))
			return err;
		if (part == SHOP_ORDER)
			found->order = !err;
		else if (part == SHOP_ACCOUNT)
			found->charged = (SHOP_BALANCE - strtol(text, NULL, 10)) / SHOP_PRICE;
		else
			found->taken[part] = SHOP_STOCK - strtol(text, NULL, 10);
	}
	return ABAFT_OK;
}

static uint32_t beyond_one(long times)
{
	return times > 1 ? (uint32_t)(times - 1) : 0;
}

static void judge_order(const struct found *found, struct demo_result *result)
{
	int parts =
		(found->taken[0] > 0) + (found->taken[1] > 0) + (found->charged > 0) + found->order;

	result->orders_whole += parts == SHOP_PARTS;
	result->orders_half += parts > 0 && parts < SHOP_PARTS;
	result->effects_duplicate += beyond_one(found->taken[0]) + beyond_one(found->taken[1]) +
				     beyond_one(found->charged);
}

static int read_back(const struct demo_options *options, const struct demo_store *store,
		     const char *history, struct demo_result *result)
{
	struct audit *audit = calloc(1, sizeof(*audit));
	int err = -1;

	if (!audit || history_open(&audit->shop.history, history) || audit_open(audit, store))
		goto out;
	for (unsigned int order = 0; order < options->requests; order++) {
		struct found found = {0};

		err = audit_order(audit, order, read_body, &found);
		if (err) {
			command_failed("reading an order back", err);
			result->orders_unreadable++;
			continue;
		}
		judge_order(&found, result);
		shop_tell_final(&audit->shop);
	}
	err = 0;
out:
	if (audit)
		audit_close(audit);
	return err;
}

static int judge(const char *history, struct demo_result *result)
{
	struct check *check = check_create(0);
	int err = -1;

	if (!check)
		return -1;
	if (check_read(check, history)) {
		fprintf(stderr, "abaft: the demonstration's history: %s\n", check->error);
	} else if (check_judge(check)) {
		fputs("abaft: out of memory for checking the history\n", stderr);
	} else {
		result->reads_fractured = check->transactions[CHECK_fractured_forward] +
					  check->transactions[CHECK_fractured_backward];
		result->reads_dirty = check->transactions[CHECK_dirty_read] +
				      check->transactions[CHECK_aborted_read];
		result->check_duplicates = check->transactions[CHECK_duplicate_effect];
		result->check_partial = check->transactions[CHECK_partial_commit];
		result->anomalies = check_anomalies(check);
		err = 0;
	}
	check_destroy(check);
	return err;
}

int demo_audit(const struct demo_options *options, const struct demo_store *store,
	       const char *history, struct demo_result *result)
{
	if (read_back(options, store, history, result))
		return -1;
	return judge(history, result);
}
