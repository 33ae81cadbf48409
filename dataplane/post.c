/* SPDX-License-Identifier: Apache-2.0 */
/* post.c - see post.h. */
#include "dataplane/post.h"

#include <stdatomic.h>

void post_ask(struct post *post, enum post_question question)
{
	uint32_t asked = atomic_load_explicit(&post->asked, memory_order_relaxed);

	post->question = question;
	/* Release: pairs with the acquire in post_serve(). */
	atomic_store_explicit(&post->asked, asked + 1, memory_order_release);
}

bool post_answered(const struct post *post)
{
	/* Acquire: pairs with the release in post_serve(). */
	return atomic_load_explicit(&post->answered, memory_order_acquire) ==
	       atomic_load_explicit(&post->asked, memory_order_relaxed);
}

bool post_serve(struct post *post, const struct node *node, const struct log *log)
{
	uint32_t asked = atomic_load_explicit(&post->asked, memory_order_acquire);

	if (asked == atomic_load_explicit(&post->answered, memory_order_relaxed))
		return false;
	switch (post->question) {
	case POST_MARK:
		log_mark(log, &post->mark);
		post->time = node_time(node);
		post->log_error = log_error(log);
		break;
	case POST_OUTCOMES_NEXT:
		post->bytes = node_snapshot_outcomes(node, &post->cursor, post->outcomes,
						     sizeof(post->outcomes));
		/* Behind the outcomes: who left meanwhile is below it. */
		post->horizon_ms = node_horizon_ms(node);
		break;
	}
	atomic_store_explicit(&post->answered, asked, memory_order_release);
	return true;
}
