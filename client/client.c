/* SPDX-License-Identifier: Apache-2.0 */
/*
 * client.c - opening and closing clients and transactions, and the loop that drives them.
 *
 * I1. Callbacks are called out of drive_call_back() only (its I1), or by abaft_end().
 * I2. All memory but for the operations of transactions is allocated by abaft_open().
 */
#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <time.h>
#include <unistd.h>

#include "client/client.h"
#include "client/drive.h"

#define WINDOW_MAX 256u
#define TXNS_MAX   (1u << 20)

uint64_t client_now_us(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * 1000000 + (uint64_t)now.tv_nsec / 1000;
}

static uint32_t or_default(uint32_t value, uint32_t standard)
{
	return value ? value : standard;
}

static int shared_create(struct abaft *client, const struct abaft_config *config)
{
	struct txn_shared *shared = &client->shared;
	uint32_t txns = client->txns_max + 1;

	shared->timeout_us = or_default(config->timeout_ms, 5000) * 1000ull;
	shared->resend_us = or_default(config->resend_us, 5000);
	shared->window = or_default(config->window, 16);
	shared->packet_bytes = or_default(config->packet_bytes, ABAFT_PACKET_BYTES_MAX);
	shared->workers = 1;
	if (shared->window > WINDOW_MAX || shared->packet_bytes < ABAFT_PACKET_BYTES_MIN ||
	    shared->packet_bytes > ABAFT_PACKET_BYTES_MAX)
		return ABAFT_INVALID;
	if (getrandom(&shared->random, sizeof(shared->random), 0) != sizeof(shared->random))
		return ABAFT_NETWORK;
	shared->generation = (uint32_t)(shared->random >> 32);
	shared->random |= 1;
	shared->flights_max = txns * shared->window;
	shared->flights = calloc(shared->flights_max, sizeof(*shared->flights));
	client->txns = calloc(txns, sizeof(*client->txns));
	if (!shared->flights || !client->txns ||
	    timers_create(&shared->timers, shared->flights_max + txns))
		return ABAFT_NO_MEMORY;
	txn_setup(shared, client->txns, txns);
	for (uint32_t i = 0; i < client->txns_max; i++)
		link_append(&client->free, &client->txns[i].link);
	return ABAFT_OK;
}

int abaft_open(struct abaft **out, const struct abaft_config *config)
{
	static const struct abaft_config none;
	struct abaft *client;
	int err;

	if (!config)
		config = &none;
	if (!out || config->txns_max > TXNS_MAX)
		return ABAFT_INVALID;
	client = calloc(1, sizeof(*client));
	if (!client)
		return ABAFT_NO_MEMORY;
	client->fd = -1;
	client->port = config->port ? config->port : ABAFT_UDP_PORT_DEFAULT;
	client->txns_max = or_default(config->txns_max, 1024);
	link_init(&client->free);
	err = shared_create(client, config);
	if (!err)
		err = client_connect(client, config);
	if (err) {
		abaft_close(client);
		return err;
	}
	*out = client;
	return ABAFT_OK;
}

void abaft_close(struct abaft *client)
{
	if (!client)
		return;
	for (uint32_t i = 0; client->txns && i <= client->txns_max; i++) {
		abaft_end(&client->txns[i]);
		txn_destroy(&client->txns[i]);
	}
	if (client->fd >= 0)
		close(client->fd);
	timers_destroy(&client->shared.timers);
	free(client->shared.flights);
	free(client->txns);
	free(client);
}

int abaft_begin(struct abaft *client, const struct abaft_begin *begin, struct abaft_txn **out)
{
	struct abaft_id id = {{0}};
	struct abaft_txn *txn;
	int err;

	if (!client || !out)
		return ABAFT_INVALID;
	if (link_alone(&client->free))
		return ABAFT_BUSY;
	if (!begin || (!begin->id && !begin->context))
		abaft_id_new(&id);
	txn = link_owner(client->free.next, struct abaft_txn, link);
	err = txn_take_up(txn, begin, &id);
	if (err)
		return err;
	link_remove(&txn->link);
	client->txns_open++;
	*out = txn;
	return ABAFT_OK;
}

int client_begin_own(struct abaft *client, const struct abaft_id *id, struct abaft_txn **out)
{
	struct abaft_txn *txn = &client->txns[client->txns_max];

	if (client->driving || txn->state != TXN_FREE)
		return ABAFT_BUSY;
	*out = txn;
	return txn_take_up(txn, NULL, id);
}

void abaft_end(struct abaft_txn *txn)
{
	struct abaft *client;

	if (!txn || txn->state == TXN_FREE || txn->state == TXN_ENDING)
		return;
	client = client_of(txn);
	drive_end(txn);
	if (txn == &client->txns[client->txns_max])
		return;
	client->txns_open--;
	link_append(&client->free, &txn->link);
}

const struct abaft_id *abaft_txn_id(const struct abaft_txn *txn)
{
	return &txn->id;
}

int abaft_submit(struct abaft_txn *txn, abaft_done_fn done, void *arg)
{
	int err;

	if (!txn)
		return ABAFT_INVALID;
	err = txn_start(txn, client_now_us());
	if (err)
		return err;
	txn->done = done;
	txn->arg = arg;
	return ABAFT_OK;
}

/* Sleeps until something can be done, or `until_us`. */
static int sleep_until(struct abaft *client, uint64_t until_us, uint64_t now_us)
{
	const struct timer *timer = timers_first(&client->shared.timers);
	struct pollfd fd = {.fd = client->fd, .events = POLLIN};
	struct timespec pause;
	uint64_t pause_us;

	if (client->blocked)
		fd.events |= POLLOUT;
	if (timer && timer->due_us < until_us)
		until_us = timer->due_us;
	pause_us = until_us > now_us ? until_us - now_us : 0;
	pause.tv_sec = (time_t)(pause_us / 1000000);
	pause.tv_nsec = (long)(pause_us % 1000000 * 1000);
	if (ppoll(&fd, 1, &pause, NULL) < 0 && errno != EINTR)
		return -ABAFT_NETWORK;
	return 0;
}

int abaft_poll(struct abaft *client, uint64_t timeout_us)
{
	uint64_t now_us = client_now_us(), until_us;
	int ended, err;

	if (client->driving)
		return -ABAFT_INVALID;
	until_us = timeout_us > UINT64_MAX - now_us ? UINT64_MAX : now_us + timeout_us;
	client->driving = true;
	for (;;) {
		client_receive(client, now_us);
		drive_timers(&client->shared, now_us);
		ended = drive_call_back(&client->shared);
		client_send(client, now_us);
		if (ended || now_us >= until_us)
			break;
		err = sleep_until(client, until_us, now_us);
		if (err) {
			ended = err;
			break;
		}
		now_us = client_now_us();
	}
	client->driving = false;
	return ended;
}

int abaft_wait(struct abaft_txn *txn)
{
	struct abaft *client;
	uint64_t submits;
	int n;

	if (!txn || txn->state == TXN_FREE || txn->state == TXN_ENDING)
		return ABAFT_INVALID;
	client = client_of(txn);
	if (client->driving)
		return ABAFT_INVALID;
	submits = txn->submits;
	while (txn->state == TXN_RUNNING && txn->submits == submits) {
		n = abaft_poll(client, UINT64_MAX);
		if (n < 0)
			return -n;
	}
	return txn->err;
}

int abaft_run(struct abaft_txn *txn)
{
	int err;

	if (!txn || client_of(txn)->driving)
		return ABAFT_INVALID;
	err = abaft_submit(txn, NULL, NULL);
	return err ? err : abaft_wait(txn);
}

int abaft_fd(const struct abaft *client)
{
	return client->fd;
}

uint64_t abaft_next_timeout_us(const struct abaft *client)
{
	const struct timer *timer = timers_first(&client->shared.timers);
	uint64_t now_us = client_now_us();
	bool unsent = !link_alone(&client->shared.ready) || !link_alone(&client->shared.resend);

	if ((unsent && !client->blocked) || !link_alone(&client->shared.done))
		return 0;
	if (!timer)
		return UINT64_MAX;
	return timer->due_us > now_us ? timer->due_us - now_us : 0;
}

void abaft_client_stats(const struct abaft *client, struct abaft_client_stats *out)
{
	*out = client->stats;
	out->busy = client->shared.busy;
}
