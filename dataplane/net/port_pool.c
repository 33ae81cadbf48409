/* SPDX-License-Identifier: Apache-2.0 */
/*
 * port_pool.c - the frame buffers of a device.
 *
 * DPDK's AF_XDP driver shares the pool's memory with the kernel, and takes for its size the number
 * of buffers times the bytes of one. DPDK, however, lays buffers so that none crosses a page: of
 * 2368 bytes only one fits into a page of 4096, and where there are no huge pages four buffers of
 * ten lie behind the end of what is shared. The kernel throws such a one away without a word when
 * it comes to it in the fill ring, so a busy port becomes deaf as soon as it has gone through its
 * pool. Therefore:
 *
 * I1. A buffer of an afxdp port is one page, header and all, and the memory begins with a page:
 *     number times bytes is then all of it. It suits drivers that let the NIC write there, too, as
 *     these cannot use a buffer across two pages.
 *
 * The driver also fills a queue's fill ring before it asks the kernel for the queue, and forgets
 * the 2048 buffers when it does not get it. While a killed run's queue is not free yet we ask again
 * and again. Therefore:
 *
 * I2. A try that failed leaves the pool as it was: it is emptied of what is left, and gets what it
 * had.
 */
#include "dataplane/net/port_device.h"

#include <stdlib.h>
#include <unistd.h>

#include <rte_errno.h>
#include <rte_mbuf.h>
#include <rte_mbuf_pool_ops.h>
#include <rte_memzone.h>

#include "dataplane/net/port_why.h"

#define BUFFERS_PER_QUEUE 8191
#define POOL_CACHE	  128
#define POOLS_MAX	  256

static void free_memory(struct rte_mempool_memhdr *chunk, void *memory)
{
	(void)chunk;
	(void)rte_memzone_free(memory);
}

/* Bytes of an element that fill a page together with what the pool adds. */
static uint32_t page_element(uint32_t page)
{
	struct rte_mempool_objsz size;

	(void)rte_mempool_calc_obj_size(page / 2, RTE_MEMPOOL_F_NO_SPREAD, &size);
	return page - (size.total_size - page / 2);
}

static int fill_paged(struct rte_mempool *pool, const char *name, uint32_t buffers, uint32_t page)
{
	struct rte_pktmbuf_pool_private head = {0};
	const struct rte_memzone *memory;
	int err;

	head.mbuf_data_room_size = (uint16_t)(pool->elt_size - sizeof(struct rte_mbuf));
	err = rte_mempool_set_ops_byname(pool, rte_mbuf_best_mempool_ops(), NULL);
	if (err)
		return err;
	rte_pktmbuf_pool_init(pool, &head);
	memory = rte_memzone_reserve_aligned(name, (size_t)buffers * page, SOCKET_ID_ANY, 0, page);
	if (!memory)
		return -rte_errno;
	/* The kernel moves the bytes or maps them for the NIC itself: no bus addresses here. */
	err = rte_mempool_populate_iova(pool, memory->addr, RTE_BAD_IOVA, memory->len, free_memory,
					(void *)(uintptr_t)memory);
	if (err < 0) {
		(void)rte_memzone_free(memory);
		return err;
	}
	return (uint32_t)err == buffers ? 0 : -ENOMEM;
}

/* I1. NULL with rte_errno set. */
static struct rte_mempool *paged_pool(const char *name, uint32_t buffers)
{
	uint32_t page = (uint32_t)getpagesize();
	struct rte_mempool *pool = rte_mempool_create_empty(
		name, buffers, page_element(page), POOL_CACHE,
		sizeof(struct rte_pktmbuf_pool_private), SOCKET_ID_ANY, RTE_MEMPOOL_F_NO_SPREAD);
	int err;

	if (!pool)
		return NULL;
	err = fill_paged(pool, name, buffers, page);
	if (err) {
		rte_mempool_free(pool);
		rte_errno = -err;
		return NULL;
	}
	rte_mempool_obj_iter(pool, rte_pktmbuf_init, NULL);
	return pool;
}

int port_pool_make(struct port_device *device, const struct port_device_config *config, char *why)
{
	uint32_t buffers =
		config->buffers ? config->buffers : device->spec.queues * BUFFERS_PER_QUEUE;
	char name[RTE_MEMPOOL_NAMESIZE];

	for (int i = 0; i < POOLS_MAX; i++) {
		snprintf(name, sizeof(name), "abaft-frames-%d", i);
		if (!rte_mempool_lookup(name))
			break;
	}
	device->pool = device->spec.kind == PORT_AFXDP
			       ? paged_pool(name, buffers)
			       : rte_pktmbuf_pool_create(name, buffers, POOL_CACHE, 0,
							 RTE_MBUF_DEFAULT_BUF_SIZE, SOCKET_ID_ANY);
	if (!device->pool)
		return port_say(why, -rte_errno,
				"no memory for %u frame buffers (%u MiB): %s; give DPDK more "
				"memory or ask for fewer",
				buffers, buffers / (1048576 / PORT_BUFFER_BYTES) + 1,
				rte_strerror(rte_errno));
	return 0;
}

/* Takes all that is free, and at most `max` of it. */
static uint32_t take_free(struct rte_mempool *pool, void **buffers, uint32_t max)
{
	uint32_t count = 0;

	while (count < max && !rte_mempool_get(pool, &buffers[count]))
		count++;
	return count;
}

static void put_free(struct rte_mempool *pool, void *const *buffers, uint32_t count)
{
	for (uint32_t i = 0; i < count; i++)
		rte_mempool_put(pool, buffers[i]);
}

int port_pool_note(struct rte_mempool *pool, struct port_pool_note *note)
{
	note->count = 0;
	note->buffers = calloc(pool->size, sizeof(*note->buffers));
	if (!note->buffers)
		return -ENOMEM;
	note->count = take_free(pool, note->buffers, pool->size);
	put_free(pool, note->buffers, note->count);
	return 0;
}

/* I2. */
void port_pool_restore(struct rte_mempool *pool, const struct port_pool_note *note)
{
	void *left;

	while (!rte_mempool_get(pool, &left))
		;
	put_free(pool, note->buffers, note->count);
}

void port_pool_forget(struct port_pool_note *note)
{
	free(note->buffers);
	*note = (struct port_pool_note){0};
}
