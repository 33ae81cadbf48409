/* SPDX-License-Identifier: Apache-2.0 */
/*
 * s3_bed.h - the driver for S3 over a fake that can be told to do what none should, and tries of
 * operations one at a time. All asserts; all names are in directory "dir", keys begin with
 * a/b/dir/.
 */
#ifndef ABAFT_TESTS_S3_BED_H
#define ABAFT_TESTS_S3_BED_H

#include "dataplane/engine/driver.h"
#include "tests/lib/s3_fake.h"

#define LONG_US 10000000
#define SECRET	"verysecretkey"
#define TOKEN	"verysecrettoken"
#define ITEMS	1024

extern struct s3_fake *fake;
extern struct engine_driver *driver;
extern struct engine_counters counters;
extern uint32_t ended; /* operations */
extern struct engine_item items[ITEMS];
extern uint8_t bytes[ITEMS][64];

int setup(void **state);
int teardown(void **state);
/* Another fake, with ways of its own. */
void restart(const struct s3_fake_ways *ways);
/* Another driver; the one before must be gone. */
int create(uint16_t port, const char *bucket, uint32_t connections);

uint64_t now_us(void);
void name_set(struct engine_item *item, const char *leaf);
void begin(struct engine_op *op);
/* Until so many operations have ended. */
void wait_for(uint32_t count);
/* One try; its result. Of items[0 .. count), all to be sent; or of items[0] alone. */
int try_items(enum engine_verb verb, uint32_t count);
int try_put(enum engine_verb verb, const char *leaf, const char *text);
int try_get(const char *leaf, uint32_t offset, uint32_t count);
/* Sets items: leaves "0000", …, with their bytes. */
void batch(uint32_t count);
void rule(const char *method, uint32_t count, enum s3_fake_do what, int status, const char *text);

#define CASE(test) cmocka_unit_test_setup_teardown(test, setup, teardown)

#endif
