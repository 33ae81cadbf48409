/* SPDX-License-Identifier: Apache-2.0 */
/*
 * cases.h - the cases of conformance.c that need many objects, directories or threads (cases.c).
 */
#ifndef ABAFT_TESTS_ENGINE_CASES_H
#define ABAFT_TESTS_ENGINE_CASES_H

#include "tests/engine/bed.h"

extern struct bed bed;
/* Each larger than value_max and 128 KiB. */
extern uint8_t *buffer_ours, *buffer_theirs;

void batches_of_all_sizes(void **state);
void batches_of_large_objects(void **state);
void names_at_the_limit(void **state);
void lists_are_in_order(void **state);
void lists_come_in_pages(void **state);
void lists_show_what_is_there(void **state);
void lists_keep_to_their_directory(void **state);
void many_in_flight(void **state);
void racers_have_one_winner(void **state);
void channels_at_once(void **state);

#endif
