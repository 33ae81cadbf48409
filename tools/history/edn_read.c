// SPDX-License-Identifier: Apache-2.0
/*
 * edn_read.c - histories in EDN, as Jepsen and Elle keep them, into memory.
 *
 * A history is a row of maps (or one vector of them), an operation's invocation and its completion
 * each, told apart by :process. What edn_write.c wrote has keys of ours (:abaft/...) beside
 * Jepsen's and comes back unchanged. Anything else is a foreign history: transactions over
 * registers with unique values, [:r key value] and [:w key value], or over lists, [:append key
 * element] and
 * [:r key [element ...]] (edn_list.c). Both become lines of our own
 * format, so that there is one set of rules and refusals. docs/history.md says what becomes what.
 *
 * I1. Two passes: the first finds the maps and pairs them, the second makes lines. Only places in
 *     the text are kept between them.
 * I2. Nothing that is put into a line holds a space or a control character.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include "tools/history/edn.h"
#include "tools/history/edn_list.h"
#include "tools/history/read.h"

#define MAPS_MAX (1u << 30)

/* Keys of a map that mean something to us. */
enum field {
	TYPE,
	PROCESS,
	FUNCTION,
	VALUE,
	TIME,
	ID,
	CLIENT,
	PART,
	ATTEMPT,
	START,
	END,
	OUTCOME,
	VERSION,
	OPS,
	FIELDS,
};

static const char *const field_names[FIELDS] = {
	[TYPE] = "type",
	[PROCESS] = "process",
	[FUNCTION] = "f",
	[VALUE] = "value",
	[TIME] = "time",
	[ID] = "abaft/id",
	[CLIENT] = "abaft/client",
	[PART] = "abaft/part",
	[ATTEMPT] = "abaft/attempt",
	[START] = "abaft/start",
	[END] = "abaft/end",
	[OUTCOME] = "abaft/outcome",
	[VERSION] = "abaft/version",
	[OPS] = "abaft/ops",
};

/* An invocation or a completion: a map of the text. */
struct event {
	struct edn_form form;
	uint64_t at_us;
	uint32_t process; /* a number in edn->processes */
	char type;	  /* 'i'nvoke, 'o'k, 'f'ail, '?': info */
	bool ours;
};

/* A transaction: CHECK_NONE where one of the two is missing. */
struct pair {
	uint32_t invoked, completed;
};

/* Who wrote a value to a key of a foreign history. */
struct write {
	uint32_t pair, seq;
	bool again; /* another one did too */
};

struct reading {
	struct check *check;
	struct check_list events, pairs, writes;
	struct check_names processes, values;
	struct edn_lists lists;
	struct check_list open; /* uint32_t: pair + 1 that a process has open */
	bool timed;		/* every event has a time */
	char *line;		/* being made */
	size_t len, cap;
	char *name; /* of a value, for the search in `values` */
	size_t name_cap;
	uint32_t at;	 /* line of the file */
	const char *why; /* -EBADMSG */
};

static int bad(struct reading *r, uint32_t line, const char *why)
{
	r->at = line;
	r->why = why;
	return -EBADMSG;
}

static int next(struct reading *r, struct edn *edn, struct edn_form *form)
{
	int err = edn_next(edn, form, &r->why);

	r->at = err ? edn->line : form->line ? form->line : edn->line;
	return err;
}

static int add(struct reading *r, const char *text, size_t len)
{
	if (r->len + len > HISTORY_LINE_BYTES_MAX)
		return bad(r, r->at, "a transaction is longer than 4 MiB");
	if (check_grow((void **)&r->line, &r->cap, r->len + len, 1))
		return -ENOMEM;
	memcpy(r->line + r->len, text, len);
	r->len += len;
	return 0;
}

__attribute__((format(printf, 2, 3))) static int addf(struct reading *r, const char *format, ...)
{
	char text[160];
	va_list args;
	int n;

	va_start(args, format);
	n = vsnprintf(text, sizeof(text), format, args);
	va_end(args);
	return n < 0 ? -EBADMSG : add(r, text, (size_t)n);
}

/* A key of a foreign history: the form as it stands. */
static int add_key(struct reading *r, const struct edn_form *key)
{
	static const size_t piece = 256;
	char text[3 * 256];
	int err = 0;

	for (size_t at = 0; !err && at < key->all_len; at += piece) {
		size_t bytes = key->all_len - at < piece ? key->all_len - at : piece;
		ssize_t n = tag_escape(text, sizeof(text), key->all + at, bytes);

		err = n < 0 ? (int)n : add(r, text, (size_t)n);
	}
	return err;
}

/* A field of ours, as it belongs into a line. */
static int add_field(struct reading *r, const struct edn_form *form)
{
	int err = 0;

	if (form->kind != EDN_STRING && form->kind != EDN_NUMBER && form->kind != EDN_KEYWORD)
		return bad(r, form->line ? form->line : r->at,
			   "an :abaft/ field is missing, or no text, keyword or number");
	for (size_t i = 0; !err && i < form->len; i++) {
		if ((unsigned char)form->text[i] <= ' ') /* I2 */
			return bad(r, form->line, "there is a space in an :abaft/ field");
		if (form->kind == EDN_STRING && form->text[i] == '\\' && i + 1 < form->len)
			i++;
		err = add(r, &form->text[i], 1);
	}
	return err;
}

static int read_map(struct reading *r, const struct edn_form *map, struct edn_form fields[FIELDS])
{
	struct edn edn = edn_inside(map);
	struct edn_form key, value;
	int err = 0;

	memset(fields, 0, FIELDS * sizeof(*fields));
	while (!(err = next(r, &edn, &key)) && key.kind != EDN_NONE) {
		err = next(r, &edn, &value);
		if (err)
			return err;
		if (value.kind == EDN_NONE)
			return bad(r, key.line, "a key has no value");
		for (int i = 0; i < FIELDS; i++)
			if (edn_is(&key, EDN_KEYWORD, field_names[i]))
				fields[i] = value;
	}
	return err;
}

static uint64_t number_of(const struct edn_form *form)
{
	uint64_t number;

	return form->kind == EDN_NUMBER && tag_u64_parse(form->text, form->len, &number) == 0
		       ? number
		       : UINT64_MAX;
}

static int type_of(struct reading *r, const struct edn_form *form, char *type)
{
	*type = edn_is(form, EDN_KEYWORD, "invoke") ? 'i'
		: edn_is(form, EDN_KEYWORD, "ok")   ? 'o'
		: edn_is(form, EDN_KEYWORD, "fail") ? 'f'
		: edn_is(form, EDN_KEYWORD, "info") ? '?'
						    : '\0';
	return *type ? 0
		     : bad(r, r->at, "an operation's :type is not :invoke, :ok, :fail or :info");
}

/* Opens a transaction or completes the one that its process has open. */
static int pair_up(struct reading *r, uint32_t number, const struct event *event)
{
	static const uint32_t none;
	struct pair pair = {CHECK_NONE, CHECK_NONE};
	uint32_t *open;
	int err = 0;

	while (!err && r->open.count <= event->process)
		err = check_list_add(&r->open, &none, sizeof(none));
	if (err)
		return err;
	open = (uint32_t *)r->open.data + event->process;
	if (event->type != 'i' && *open) {
		((struct pair *)r->pairs.data)[*open - 1].completed = number;
		*open = 0;
		return 0;
	}
	if (event->type == 'i' && *open)
		return bad(r, event->form.line, "a process invokes before its last one completed");
	if (event->type == 'i') {
		pair.invoked = number;
		*open = (uint32_t)r->pairs.count + 1;
	} else {
		pair.completed = number;
	}
	return check_list_add(&r->pairs, &pair, sizeof(pair));
}

/* What is done by no client (a nemesis) means nothing to us. */
static bool by_client(const struct edn_form fields[FIELDS])
{
	return fields[PROCESS].kind == EDN_NUMBER || fields[ID].kind != EDN_NONE;
}

static int add_map(struct reading *r, const struct edn_form *map)
{
	struct edn_form fields[FIELDS];
	struct event event = {.form = *map, .at_us = r->events.count};
	uint64_t time_ns;
	bool final;
	int err;

	if (map->kind != EDN_MAP)
		return bad(r, map->line, "an operation is no map");
	err = read_map(r, map, fields);
	r->at = map->line;
	if (err || !by_client(fields))
		return err;
	final = edn_is(&fields[FUNCTION], EDN_KEYWORD, "final") && fields[OPS].kind == EDN_LIST;
	if (!final && fields[FUNCTION].kind != EDN_NONE &&
	    !edn_is(&fields[FUNCTION], EDN_KEYWORD, "txn"))
		return bad(r, map->line, "an operation is no transaction (:f :txn)");
	err = type_of(r, &fields[TYPE], &event.type);
	if (!err)
		err = check_names_add(&r->processes, fields[PROCESS].all, fields[PROCESS].all_len,
				      &event.process);
	if (err)
		return err;
	event.ours = fields[ID].kind != EDN_NONE || final;
	time_ns = number_of(&fields[TIME]);
	r->timed &= time_ns != UINT64_MAX;
	if (r->timed)
		event.at_us = time_ns / 1000;
	if (r->events.count == MAPS_MAX)
		return -E2BIG;
	err = check_list_add(&r->events, &event, sizeof(event));
	return err ? err : pair_up(r, (uint32_t)r->events.count - 1, &event);
}

static int add_maps(struct reading *r, struct edn edn)
{
	struct edn_form form;
	int err;

	while (!(err = next(r, &edn, &form)) && form.kind != EDN_NONE) {
		struct edn inside = edn_inside(&form);
		struct edn_form map;

		if (form.kind != EDN_LIST) {
			err = add_map(r, &form);
		} else { /* all of them in one vector */
			while (!(err = next(r, &inside, &map)) && map.kind != EDN_NONE) {
				err = add_map(r, &map);
				if (err)
					break;
			}
		}
		if (err)
			return err;
	}
	return err;
}

/* [:r key value]: 'r', 'w', or 'a' for an append. */
static int take_op(struct reading *r, struct edn *ops, char *kind, struct edn_form *key,
		   struct edn_form *value)
{
	struct edn_form op, name;
	struct edn edn;
	int err = next(r, ops, &op);

	*kind = '\0';
	if (err || op.kind == EDN_NONE)
		return err;
	edn = edn_inside(&op);
	err = next(r, &edn, &name);
	if (!err)
		err = next(r, &edn, key);
	if (!err)
		err = next(r, &edn, value);
	if (err)
		return err;
	if (op.kind != EDN_LIST || value->kind == EDN_NONE)
		return bad(r, op.line,
			   "a transaction's operation is not [:r key value] or "
			   "[:w key value]");
	*kind = edn_is(&name, EDN_KEYWORD, "r")	       ? 'r'
		: edn_is(&name, EDN_KEYWORD, "w")      ? 'w'
		: edn_is(&name, EDN_KEYWORD, "append") ? 'a'
						       : '\0';
	return *kind ? 0 : bad(r, op.line, "an operation is neither :r nor :w nor :append");
}

/* The value of (key, value) among those that were written. */
static int name_value(struct reading *r, const struct edn_form *key, const struct edn_form *value,
		      uint32_t *number)
{
	size_t bytes = key->all_len + 1 + value->all_len;

	if (check_grow((void **)&r->name, &r->name_cap, bytes, 1))
		return -ENOMEM;
	memcpy(r->name, key->all, key->all_len);
	r->name[key->all_len] = '\0';
	memcpy(r->name + key->all_len + 1, value->all, value->all_len);
	return check_names_add(&r->values, r->name, bytes, number);
}

/* The operations of a transaction: as completed if it was, else as invoked. */
static int open_ops(struct reading *r, const struct pair *pair, struct edn *ops)
{
	const struct event *event = r->events.data;
	struct edn_form fields[FIELDS];
	uint32_t first = pair->completed, second = pair->invoked;
	int err;

	if (first == CHECK_NONE || (second != CHECK_NONE && event[first].type != 'o'))
		first = pair->invoked, second = pair->completed;
	err = read_map(r, &event[first].form, fields);
	if (!err && fields[VALUE].kind != EDN_LIST && second != CHECK_NONE)
		err = read_map(r, &event[second].form, fields);
	if (err)
		return err;
	if (fields[VALUE].kind != EDN_LIST && fields[VALUE].kind != EDN_NIL)
		return bad(r, event[first].form.line, "a transaction has no :value [...]");
	*ops = fields[VALUE].kind == EDN_LIST ? edn_inside(&fields[VALUE]) : (struct edn){0};
	return 0;
}

static bool is_ours(const struct reading *r, const struct pair *pair)
{
	const struct event *event = r->events.data;

	return pair->completed != CHECK_NONE && event[pair->completed].ours;
}

/* Who wrote what, so that reads can be told from whom they have it. */
static int index_writes(struct reading *r)
{
	const struct pair *pair = r->pairs.data;
	int err = 0;

	for (uint32_t i = 0; i < r->pairs.count; i++) {
		struct edn_form key, value;
		struct edn ops;
		char kind;

		if (is_ours(r, &pair[i]))
			continue;
		err = open_ops(r, &pair[i], &ops);
		for (uint32_t seq = 1; !err; seq++) {
			struct write write = {i, seq, false};
			uint32_t number;

			err = take_op(r, &ops, &kind, &key, &value);
			if (err || !kind)
				break;
			if (kind == 'r' || value.kind == EDN_NIL)
				continue;
			err = kind == 'a' ? edn_lists_note(&r->lists, &key) : 0;
			if (!err)
				err = name_value(r, &key, &value, &number);
			if (!err && number < r->writes.count)
				((struct write *)r->writes.data)[number].again = true;
			else if (!err)
				err = check_list_add(&r->writes, &write, sizeof(write));
		}
		if (err)
			return err;
	}
	return 0;
}

/* Made of the file's number, and the transaction's in it. */
static int add_id(struct reading *r, uint32_t pair)
{
	return addf(r, "00000000-%04" PRIx32 "-8000-8000-0000%08" PRIx32, r->check->file_count - 1,
		    pair);
}

/* The last element of a list; of kind NIL if it is empty, and only then. */
static int last_of(struct reading *r, const struct edn_form *list, struct edn_form *last)
{
	struct edn edn = edn_inside(list);
	struct edn_form element;
	int err;

	*last = *list;
	last->kind = EDN_NIL;
	while (!(err = next(r, &edn, &element)) && element.kind != EDN_NONE) {
		*last = element;
		last->kind = element.kind == EDN_NIL ? EDN_ATOM : element.kind;
	}
	return err;
}

/* Of a list the last element, as its order tells the others; `pair` reads it as operation `op`. */
static int open_list(struct reading *r, const struct edn_form *key, struct edn_form *value,
		     uint32_t pair, uint32_t op)
{
	struct edn_form list = *value;
	uint32_t number;
	int err = edn_lists_find(&r->lists, key, &number);

	if (err || number == CHECK_NONE || value->kind == EDN_NIL)
		return err;
	if (value->kind != EDN_LIST)
		return bad(r, value->line, "a key is a list here and a register there");
	err = edn_lists_read(&r->lists, number, pair, &list, op);
	return err ? err : last_of(r, &list, value);
}

static int add_foreign_read(struct reading *r, const struct edn_form *key,
			    const struct edn_form *value)
{
	const struct write *write = NULL;
	uint32_t number;
	int err = name_value(r, key, value, &number);

	if (err)
		return err;
	if (number < r->writes.count && !((struct write *)r->writes.data)[number].again)
		write = (struct write *)r->writes.data + number;
	err = add(r, " r,", 3);
	if (!err)
		err = add_key(r, key);
	if (!err && !write)
		return add(r, value->kind == EDN_NIL ? ",-,-" : ",-,?", 4);
	if (!err)
		err = add(r, ",-,", 3);
	if (!err)
		err = add_id(r, write->pair);
	if (!err)
		err = addf(r, "/0.0.%" PRIu32 "/0/", write->seq);
	if (!err)
		err = add_key(r, key);
	return err ? err : add(r, "/", 1);
}

static int add_foreign_write(struct reading *r, char kind, const struct edn_form *key,
			     const struct edn_form *value, uint32_t pair, uint32_t seq)
{
	uint32_t number;
	int err = edn_lists_find(&r->lists, key, &number);

	if (!err && kind == 'w' && number != CHECK_NONE)
		return bad(r, key->line, "a key is a list here and a register there");
	if (!err && kind == 'a' && value->kind == EDN_NIL)
		return bad(r, key->line, "nil cannot be appended");
	if (!err && kind == 'a')
		edn_lists_append(&r->lists, number, pair);
	if (!err)
		err = add(r, value->kind == EDN_NIL ? " d," : " w,", 3);
	if (!err)
		err = add_key(r, key);
	return err ? err : addf(r, ",0.0.%" PRIu32 ",0", seq);
}

static int add_foreign_ops(struct reading *r, uint32_t number, bool ok)
{
	uint32_t op = (uint32_t)r->check->ops_count; /* which it will be */
	struct edn_form key, value;
	struct edn ops;
	char kind;
	int err = open_ops(r, (struct pair *)r->pairs.data + number, &ops);

	for (uint32_t seq = 1; !err; seq++) {
		err = take_op(r, &ops, &kind, &key, &value);
		if (err || !kind)
			return err;
		if (kind != 'r') {
			err = add_foreign_write(r, kind, &key, &value, number, seq);
			op++;
		} else if (ok) { /* of what did not complete nobody knows what it read */
			err = open_list(r, &key, &value, number, op++);
			if (!err)
				err = add_foreign_read(r, &key, &value);
		}
	}
	return err;
}

static int make_foreign(struct reading *r, uint32_t number)
{
	const struct pair *pair = (struct pair *)r->pairs.data + number;
	const struct event *event = r->events.data;
	const struct event *done = pair->completed == CHECK_NONE ? NULL : &event[pair->completed];
	const struct event *from = pair->invoked == CHECK_NONE ? done : &event[pair->invoked];
	const char *outcome = !done		  ? "unknown"
			      : done->type == 'o' ? "committed"
			      : done->type == 'f' ? "failed"
						  : "unknown";
	/* Without times, the order of the operations in the file is one. */
	uint64_t start_us = r->timed ? from->at_us : (uint64_t)(from - event);
	uint64_t end_us = !done ? UINT64_MAX : r->timed ? done->at_us : (uint64_t)(done - event);
	size_t bytes;
	const char *process = check_names_get(&r->processes, from->process, &bytes);
	int err;

	r->len = 0;
	err = add(r, "T ", 2);
	if (!err)
		err = add_id(r, number);
	if (!err)
		err = addf(r, " process-%.*s all 0 %" PRIu64 " %" PRIu64 " %s -",
			   bytes < 32 ? (int)bytes : 32, process, start_us,
			   end_us < start_us ? start_us : end_us, outcome);
	return err ? err : add_foreign_ops(r, number, done && done->type == 'o');
}

/* One operation of ours, from [:w "key" value] and what :abaft/ops has beside it. */
static int add_own_op(struct reading *r, char kind, const struct edn_form *key,
		      const struct edn_form *value, struct edn *details)
{
	struct edn_form detail, first, second;
	struct edn edn;
	int err = next(r, details, &detail);

	if (err)
		return err;
	edn = edn_inside(&detail);
	if (detail.kind == EDN_LIST)
		err = next(r, &edn, &first);
	if (!err && detail.kind == EDN_LIST)
		err = next(r, &edn, &second);
	if (err)
		return err;
	if (detail.kind != EDN_LIST)
		return bad(r, detail.line, ":abaft/ops has less than :value");
	err = addf(r, " %c,", kind == 'w' && value->kind == EDN_NIL ? 'd' : kind);
	if (!err)
		err = add_field(r, key);
	if (!err)
		err = add(r, ",", 1);
	if (!err)
		err = add_field(r, &first);
	if (!err)
		err = add(r, ",", 1);
	return err ? err : add_field(r, &second);
}

static int make_own(struct reading *r, const struct event *event)
{
	static const enum field head[] = {ID, CLIENT, PART, ATTEMPT, START, END, OUTCOME, VERSION};
	struct edn_form fields[FIELDS], key, value;
	struct edn ops, details;
	char kind;
	int err = read_map(r, &event->form, fields);
	bool final = fields[ID].kind == EDN_NONE;

	r->len = 0;
	r->at = event->form.line;
	if (!err)
		err = add(r, final ? "F" : "T", 1);
	for (size_t i = 0; !err && !final && i < sizeof(head) / sizeof(head[0]); i++) {
		err = add(r, " ", 1);
		if (!err)
			err = add_field(r, &fields[head[i]]);
	}
	if (err)
		return err;
	if (fields[VALUE].kind != EDN_LIST || fields[OPS].kind != EDN_LIST)
		return bad(r, event->form.line,
			   "a transaction of abaft lacks :value or :abaft/ops");
	ops = edn_inside(&fields[VALUE]);
	details = edn_inside(&fields[OPS]);
	for (;;) {
		err = take_op(r, &ops, &kind, &key, &value);
		if (err || !kind)
			return err;
		err = add_own_op(r, kind, &key, &value, &details);
		if (err)
			return err;
	}
}

static int make_lines(struct reading *r)
{
	const struct pair *pair = r->pairs.data;
	const struct event *event = r->events.data;
	int err = 0;

	for (uint32_t i = 0; !err && i < r->pairs.count; i++) {
		bool ours = is_ours(r, &pair[i]);
		uint32_t line =
			pair[i].completed != CHECK_NONE ? pair[i].completed : pair[i].invoked;

		err = ours ? make_own(r, &event[pair[i].completed]) : make_foreign(r, i);
		if (err)
			break;
		r->at = event[line].form.line;
		err = check_read_line(r->check, r->line, r->len, r->at, &r->why);
	}
	return err;
}

/* edn_list_who: who appended it. */
static int find_writer(void *arg, const struct edn_form *key, const struct edn_form *element,
		       uint32_t *txn)
{
	struct reading *r = arg;
	const struct write *write;
	struct abaft_id id;
	uint32_t number;
	int err = name_value(r, key, element, &number);

	*txn = CHECK_NONE;
	if (err || number >= r->writes.count)
		return err;
	write = (struct write *)r->writes.data + number;
	if (write->again)
		return 0;
	r->len = 0;
	err = add_id(r, write->pair);
	if (!err && tag_id_parse(r->line, r->len, &id))
		return -EBADMSG;
	return err ? err : check_names_add(&r->check->txn_ids, id.bytes, sizeof(id.bytes), txn);
}

int check_read_edn(struct check *check, const char *text, size_t bytes, const char *name)
{
	struct reading r = {.check = check, .timed = true, .why = ""};
	int err = add_maps(&r, (struct edn){text, text + bytes, 1});

	if (!err)
		err = index_writes(&r);
	if (!err)
		err = make_lines(&r);
	if (!err)
		err = edn_lists_settle(&r.lists, check, find_writer, &r);
	if (err)
		check_complain(check, name, r.at, err, r.why);
	free(r.events.data);
	free(r.pairs.data);
	free(r.writes.data);
	free(r.open.data);
	edn_lists_free(&r.lists);
	free(r.line);
	free(r.name);
	check_names_free(&r.processes);
	check_names_free(&r.values);
	return err;
}
