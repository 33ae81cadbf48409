/* SPDX-License-Identifier: Apache-2.0 */
/*
 * function.c - the demonstration's two functions, as a user of libabaft writes them.
 *
 * A platform runs each function as a process of its own (`abaft demo-function`), may kill it at
 * any point, and runs it again with the same id and a later attempt. What makes that safe stands
 * in run_on_abaft(): the request's id is the transaction's id, the function's number is the step,
 * the run's number is the attempt, and the last function commits. The bodies (order_reserve(),
 * order_charge()) are the same for the plain store. docs/functions.md explains it in words.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "tools/command/command.h"
#include "tools/demo/demo.h"
#include "tools/demo/shop.h"

/* Longest time between two accesses to the store. */
#define WORK_US 2000

struct function {
	struct demo_store store;
	struct abaft_id id;
	uint16_t step;	     /* 1 or 2 */
	uint16_t attempt;    /* counts up on each retry */
	const char *context; /* what function 1 printed, for function 2 */
	const char *history;
	unsigned int order;
};

/* Function 1: takes one of each of the order's two items from the stock. */
static int order_reserve(struct shop *shop, unsigned int *seed)
{
	int err = shop_add(shop, SHOP_ITEM_A, -1);

	if (err)
		return err;
	shop_work(seed, WORK_US);
	return shop_add(shop, SHOP_ITEM_B, -1);
}

/* Function 2: charges the customer and writes the order. */
static int order_charge(struct shop *shop, unsigned int *seed)
{
	int err = shop_add(shop, SHOP_ACCOUNT, -SHOP_PRICE);

	if (err)
		return err;
	shop_work(seed, WORK_US);
	return shop_put(shop, SHOP_ORDER, "1 of item a, 1 of item b");
}

static int run_body(const struct function *function, struct shop *shop)
{
	unsigned int seed = (unsigned int)getpid();
	int err;

	shop->store = &function->store;
	shop->order = function->order;
	shop->id = function->id;
	shop->next = (struct tag_number){function->step, function->attempt, 0};
	shop_work(&seed, WORK_US);
	err = function->step == 1 ? order_reserve(shop, &seed) : order_charge(shop, &seed);
	shop_work(&seed, WORK_US);
	return err;
}

static int run_on_abaft(const struct function *function, struct shop *shop,
			struct history_head *head)
{
	struct abaft_config config = {.address = function->store.address,
				      .port = function->store.port,
				      .timeout_ms = function->store.timeout_ms};
	struct abaft_begin begin = {.id = &function->id,
				    .context = function->context,
				    .step = function->step,
				    .attempt = function->attempt};
	struct abaft_result committed = {0};
	char context[ABAFT_CONTEXT_BYTES];
	struct abaft *client;
	int err;

	err = abaft_open(&client, &config);
	if (err)
		return err;
	err = abaft_begin(client, &begin, &shop->txn);
	if (!err)
		err = run_body(function, shop);
	if (!err && function->step == 1) {
		/* Not the last function: hand the transaction on, open. */
		err = abaft_export(shop->txn, context);
		if (!err)
			puts(context);
		head->outcome = HISTORY_OPEN;
	} else if (!err) {
		err = abaft_prep_commit(shop->txn, &committed);
		if (!err)
			err = abaft_run(shop->txn);
		head->outcome = committed.repeat ? HISTORY_REPEATED : HISTORY_COMMITTED;
		head->version = committed.version;
	}
	/* An earlier run of this request was killed after its commit: then all is done. */
	if (err == ABAFT_COMMITTED) {
		head->outcome = HISTORY_REPEATED;
		err = ABAFT_OK;
	}
	/* Closing ends the client's side only: a later attempt goes on with the transaction. */
	abaft_close(client);
	return err;
}

static int run_on_plain(const struct function *function, struct shop *shop,
			struct history_head *head)
{
	int err;

	if (plain_open(&shop->plain, function->store.port))
		return ABAFT_NETWORK;
	err = run_body(function, shop);
	plain_close(shop->plain);
	head->outcome = function->step == 1 ? HISTORY_OPEN : HISTORY_COMMITTED;
	if (!err)
		puts("plain");
	return err;
}

static int function_run(const struct function *function)
{
	struct history_head head = {.id = function->id,
				    .client = "function",
				    .step = function->step,
				    .attempt = function->attempt,
				    .start_us = shop_now_us()};
	struct shop shop = {0};
	int err;

	if (*function->history && history_open(&shop.history, function->history))
		return command_failed("opening the history", ABAFT_INVALID);
	err = function->store.kind == DEMO_ABAFT ? run_on_abaft(function, &shop, &head)
						 : run_on_plain(function, &shop, &head);
	head.end_us = shop_now_us();
	/* A failed commit may still have happened; any other failure leaves the step undone. */
	if (err)
		head.outcome = function->step == 2 && abaft_retry_of(err) == ABAFT_RETRY_SAME
				       ? HISTORY_UNKNOWN
				       : HISTORY_FAILED;
	shop_tell(&shop, &head);
	history_close(shop.history);
	return err ? command_failed("demo-function", err) : COMMAND_OK;
}

/* Only `abaft demo` calls this, with all arguments in this order. */
int command_demo_function(int argc, char **argv)
{
	struct function function = {0};
	uint64_t port, timeout, run, order, step, attempt;

	if (argc != 12 || abaft_id_parse(&function.id, argv[6]) ||
	    !command_number("port", argv[3], 1, UINT16_MAX, &port) ||
	    !command_number("timeout", argv[4], 1, UINT32_MAX, &timeout) ||
	    !command_number("run", argv[5], 0, UINT32_MAX, &run) ||
	    !command_number("order", argv[7], 0, UINT32_MAX, &order) ||
	    !command_number("step", argv[8], 1, 2, &step) ||
	    !command_number("attempt", argv[9], 0, UINT16_MAX, &attempt)) {
		fputs("abaft: demo-function is started by `abaft demo`\n", stderr);
		return COMMAND_USAGE;
	}
	function.store = (struct demo_store){
		.kind = strcmp(argv[1], "plain") ? DEMO_ABAFT : DEMO_PLAIN,
		.address = argv[2],
		.port = (uint16_t)port,
		.timeout_ms = (uint32_t)timeout,
		.run = (uint32_t)run,
	};
	function.order = (unsigned int)order;
	function.step = (uint16_t)step;
	function.attempt = (uint16_t)attempt;
	function.context = *argv[10] ? argv[10] : NULL;
	function.history = argv[11];
	return function_run(&function);
}
