// SPDX-License-Identifier: Apache-2.0
/* world.c - see world.h. */
#include "tests/unit/history/world.h"

#include <string.h>

static int pick(struct zipf_random *random, int below)
{
	return (int)(zipf_random_u64(random) % (unsigned)below);
}

bool world_may_be_visible(const struct txn *txn)
{
	return txn->outcome == HISTORY_COMMITTED || txn->outcome == HISTORY_UNKNOWN;
}

const struct op *world_last_write(const struct txn *txn, int key)
{
	for (int i = txn->count - 1; i >= 0; i--)
		if (txn->op[i].kind != 'r' && txn->op[i].key == key)
			return &txn->op[i];
	return NULL;
}

/* What a reader at a snapshot would see; txn `limit` and later ones are not visible. */
static void read_honestly(const struct world *world, int limit, struct op *op)
{
	op->writer = -1;
	for (int i = limit - 1; i >= 0; i--) {
		const struct op *write = world_last_write(&world->txn[i], op->key);

		if (!world_may_be_visible(&world->txn[i]) || !write)
			continue;
		if (write->kind == 'w') {
			op->writer = i;
			op->seq = write->seq;
		}
		return;
	}
}

/* A write of the key by anybody at all, or nothing. */
static void read_lie(const struct world *world, struct zipf_random *random, struct op *op)
{
	for (int tries = 0; tries < 20; tries++) {
		int t = pick(random, TXNS);
		const struct op *write = &world->txn[t].op[pick(random, OPS)];

		if (write->kind == 'w' && write->key == op->key) {
			op->writer = t;
			op->seq = write->seq;
			return;
		}
	}
	op->writer = -1;
}

void world_make(struct world *world, struct zipf_random *random)
{
	int lies = pick(random, 3); /* none, some, many */
	int deletes = pick(random, 2);
	int apart = pick(random, 2) ? 100 : 5;

	memset(world, 0, sizeof(*world));
	world->versions = pick(random, 2);
	world->bare = !world->versions && pick(random, 2);
	for (int t = 0; t < TXNS; t++) {
		struct txn *txn = &world->txn[t];
		int outcome = pick(random, 8);

		txn->outcome = outcome == 0   ? HISTORY_ABORTED
			       : outcome == 1 ? HISTORY_UNKNOWN
			       : outcome == 2 ? HISTORY_FAILED
					      : HISTORY_COMMITTED;
		txn->version = 10 * (t + 1);
		/* t is in the last digits of every time of this transaction. */
		txn->start = (apart * t + pick(random, 150)) * 100 + t;
		txn->end = txn->start + (51 + pick(random, 150)) * 100;
		txn->count = OPS;
		for (int i = 0; i < OPS; i++) {
			struct op *op = &txn->op[i];

			op->kind = pick(random, 2) ? 'r' : deletes && !pick(random, 5) ? 'd' : 'w';
			op->key = pick(random, KEYS);
			op->seq = i + 1;
		}
	}
	for (int t = 0; t < TXNS; t++) {
		int limit = pick(random, 3) ? t : pick(random, TXNS + 1);

		for (int i = 0; i < OPS; i++) {
			struct op *op = &world->txn[t].op[i];
			bool own = false;

			if (op->kind != 'r')
				continue;
			for (int j = i - 1; j >= 0 && !own; j--) {
				const struct op *write = &world->txn[t].op[j];

				own = write->kind != 'r' && write->key == op->key;
				if (own) {
					op->writer = write->kind == 'w' ? t : -1;
					op->seq = write->kind == 'w' ? write->seq : 0;
				}
			}
			if (!own)
				read_honestly(world, limit, op);
			if (lies && pick(random, lies == 1 ? 12 : 3) == 0)
				read_lie(world, random, op);
		}
	}
	world->with_final = pick(random, 2) && world->versions;
	for (int k = 0; k < KEYS; k++) {
		world->final[k] = (struct op){.kind = 'r', .key = k};
		read_honestly(world, TXNS, &world->final[k]);
		if (lies && pick(random, 4) == 0)
			read_lie(world, random, &world->final[k]);
	}
}

int world_write_time(const struct world *world, int txn, int seq)
{
	return world->bare ? 0 : world->txn[txn].start + 1000 * seq;
}

static void print_id(FILE *file, int txn)
{
	fprintf(file, "00000000-0000-7000-8000-0000000000%02d", txn);
}

static void print_read(const struct world *world, FILE *file, const struct op *op)
{
	fprintf(file, " r,k%d,", op->key);
	if (op->writer < 0) {
		fprintf(file, "-,-");
		return;
	}
	if (world->versions)
		fprintf(file, "%d.1,", world->txn[op->writer].version);
	else
		fprintf(file, "-,");
	print_id(file, op->writer);
	fprintf(file, "/0.0.%d/%d/k%d/", op->seq, world_write_time(world, op->writer, op->seq),
		op->key);
}

void world_print(const struct world *world, FILE *file)
{
	for (int t = 0; t < TXNS; t++) {
		const struct txn *txn = &world->txn[t];

		fprintf(file, "T ");
		print_id(file, t);
		fprintf(file, " c all 0 %d %d %s ", txn->start, txn->end,
			history_outcome_name(txn->outcome));
		if (world->versions && txn->outcome == HISTORY_COMMITTED)
			fprintf(file, "%d.1", txn->version);
		else
			fprintf(file, "-");
		for (int i = 0; i < txn->count; i++) {
			const struct op *op = &txn->op[i];

			if (op->kind == 'r')
				print_read(world, file, op);
			else
				fprintf(file, " %c,k%d,0.0.%d,%d", op->kind, op->key, op->seq,
					world_write_time(world, t, op->seq));
		}
		fprintf(file, "\n");
	}
	for (int k = 0; world->with_final && k < KEYS; k++) {
		fprintf(file, "F");
		print_read(world, file, &world->final[k]);
		fprintf(file, "\n");
	}
}
