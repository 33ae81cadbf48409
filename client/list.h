/* SPDX-License-Identifier: Apache-2.0 */
/*
 * list.h - a doubly linked ring of links that stand inside what they link.
 *
 * Any link can be taken out of whatever list it is in, in one step: a transaction may end while it
 * waits to be sent, to be sent again, or to be called back.
 */
#ifndef ABAFT_CLIENT_LIST_H
#define ABAFT_CLIENT_LIST_H

#include <stdbool.h>
#include <stddef.h>

struct link {
	struct link *prev, *next;
};

#define link_owner(link_, type, member) ((type *)((char *)(link_)-offsetof(type, member)))

static inline void link_init(struct link *link)
{
	link->prev = link;
	link->next = link;
}

static inline bool link_alone(const struct link *link)
{
	return link->next == link;
}

static inline void link_remove(struct link *link)
{
	link->prev->next = link->next;
	link->next->prev = link->prev;
	link_init(link);
}

/* Moves `link` to the end of `list`, from wherever it was. */
static inline void link_append(struct link *list, struct link *link)
{
	link_remove(link);
	link->prev = list->prev;
	link->next = list;
	list->prev->next = link;
	list->prev = link;
}

#endif
