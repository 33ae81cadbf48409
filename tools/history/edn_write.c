// SPDX-License-Identifier: Apache-2.0
/*
 * edn_write.c - histories as EDN, for checkers that read Jepsen's: docs/history.md says what
 * becomes what, edn_read.c reads it back.
 *
 * Each line becomes two maps, an invocation and a completion, and all of them stand in the order of
 * their times. Lines that overlap get different processes; a process whose transaction has an
 * unknown outcome is not used again, as Jepsen has it.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "tools/history/names.h"
#include "tools/history/history.h"

struct line {
	const char *text;
	size_t len;
	uint32_t process;
};

/* One end of a line. */
struct moment {
	uint64_t at_us;
	uint32_t line;
	bool completes;
};

struct writing {
	FILE *out;
	char *error;
	const char *path;
	char **texts; /* of each file */
	size_t text_count;
	struct line *lines; /* T */
	size_t line_count, line_cap;
	struct line *finals; /* F */
	size_t final_count, final_cap;
	uint32_t *idle; /* processes that may invoke again */
	size_t idle_count, idle_cap;
	uint32_t processes;
	uint64_t first_us, index;
};

static int complain(struct writing *w, int err, const char *why)
{
	snprintf(w->error, 256, "%s: %s", w->path, why ? why : strerror(-err));
	return err;
}

/* A whole file, NUL-terminated. */
static int load(struct writing *w)
{
	FILE *file = fopen(w->path, "re");
	size_t len = 0, cap = 0, n;
	char *text = NULL;
	int err = 0;

	if (!file)
		return complain(w, -errno, NULL);
	do {
		err = check_grow((void **)&text, &cap, len + (1u << 16), 1);
		n = err ? 0 : fread(text + len, 1, cap - len - 1, file);
		len += n;
	} while (n);
	if (!err && ferror(file))
		err = -EIO;
	fclose(file);
	if (err) {
		free(text);
		return complain(w, err, NULL);
	}
	text[len] = '\0'; /* lines have no zero bytes, check_read() refuses them */
	w->texts[w->text_count++] = text;
	return 0;
}

static int take_line(struct writing *w, const char *text, size_t len)
{
	struct line line = {text, len, 0};
	struct history_line parsed;
	const char *why;

	if (history_parse(text, len, &parsed, &why))
		return complain(w, -EBADMSG, why);
	if (parsed.kind == 'F') {
		if (check_grow((void **)&w->finals, &w->final_cap, w->final_count + 1,
			       sizeof(*w->finals)))
			return complain(w, -ENOMEM, NULL);
		w->finals[w->final_count++] = line;
	} else if (parsed.kind == 'T') {
		if (check_grow((void **)&w->lines, &w->line_cap, w->line_count + 1,
			       sizeof(*w->lines)))
			return complain(w, -ENOMEM, NULL);
		w->lines[w->line_count++] = line;
	}
	return 0;
}

static int take_lines(struct writing *w)
{
	const char *at, *end;
	int err = load(w);

	if (err)
		return err;
	at = w->texts[w->text_count - 1];
	for (; !err && (end = strchr(at, '\n')); at = end + 1)
		err = take_line(w, at, (size_t)(end - at));
	return err;
}

static int moment_compare(const void *a, const void *b)
{
	const struct moment *x = a, *y = b;

	if (x->at_us != y->at_us)
		return x->at_us < y->at_us ? -1 : 1;
	if (x->completes != y->completes) /* what touches overlaps */
		return x->completes ? 1 : -1;
	return x->line == y->line ? 0 : x->line < y->line ? -1 : 1;
}

/* As an EDN string; `len` bytes without control characters. */
static void put_string(FILE *out, const char *text, size_t len)
{
	putc('"', out);
	for (size_t i = 0; i < len; i++) {
		if (text[i] == '"' || text[i] == '\\')
			putc('\\', out);
		putc(text[i], out);
	}
	putc('"', out);
}

static void put_version(FILE *out, struct abaft_version version)
{
	if (version.time)
		fprintf(out, "\"%" PRIu64 ".%" PRIu32 "\"", version.time, version.origin);
	else
		fputs("\"-\"", out);
}

/* Who wrote it stands for a value: ID/STEP.ATTEMPT.SEQ. */
static void put_value(FILE *out, const struct abaft_id *id, struct tag_number number)
{
	char text[ABAFT_ID_TEXT_BYTES];

	tag_id_text(id, text);
	fprintf(out, "\"%s/%u.%u.%" PRIu32 "\"", text, number.step, number.attempt, number.seq);
}

static void put_op(FILE *out, const struct history_line *line, const struct history_op *op,
		   bool completes)
{
	fprintf(out, "[:%c ", op->kind == 'r' ? 'r' : 'w');
	put_string(out, op->key, op->key_len);
	putc(' ', out);
	if (op->kind == 'w')
		put_value(out, &line->id, op->number);
	else if (op->kind == 'd' || !completes || op->seen == HISTORY_SEEN_NONE)
		fputs("nil", out);
	else if (op->seen == HISTORY_SEEN_UNTAGGED)
		fputs("\"?\"", out);
	else
		put_value(out, &op->tag.id, op->tag.number);
	putc(']', out);
}

/* What of an operation Jepsen has no place for. */
static void put_details(FILE *out, const struct history_op *op)
{
	putc('[', out);
	if (op->kind != 'r') {
		fprintf(out, "\"%u.%u.%" PRIu32 "\" %" PRIu64 "]", op->number.step,
			op->number.attempt, op->number.seq, op->time_us);
		return;
	}
	put_version(out, op->version);
	putc(' ', out);
	if (op->seen == HISTORY_SEEN_TAGGED)
		put_string(out, op->tag.body, op->tag.body_len);
	else
		fputs(op->seen == HISTORY_SEEN_NONE ? "\"-\"" : "\"?\"", out);
	putc(']', out);
}

static int put_ops(struct writing *w, const struct history_line *line, bool completes)
{
	const char *why, *space = "";
	struct history_line rest = *line;
	struct history_op op;
	int n;

	fputs(" :value [", w->out);
	for (; (n = history_next(&rest, &op, &why)) == 1; space = " ") {
		fputs(space, w->out);
		put_op(w->out, line, &op, completes);
	}
	putc(']', w->out);
	if (n == 0 && completes) {
		fputs(", :abaft/ops [", w->out);
		for (rest = *line, space = ""; (n = history_next(&rest, &op, &why)) == 1;
		     space = " ") {
			fputs(space, w->out);
			put_details(w->out, &op);
		}
		putc(']', w->out);
	}
	return n < 0 ? complain(w, n, why) : 0;
}

static void put_head(struct writing *w, const struct history_line *line)
{
	char id[ABAFT_ID_TEXT_BYTES];

	tag_id_text(&line->id, id);
	fprintf(w->out, " :abaft/id \"%s\", :abaft/client ", id);
	put_string(w->out, line->client, line->client_len);
	if (line->whole)
		fputs(", :abaft/part :all", w->out);
	else
		fprintf(w->out, ", :abaft/part %u", line->step);
	fprintf(w->out,
		", :abaft/attempt %u, :abaft/start %" PRIu64 ", :abaft/end %" PRIu64
		", :abaft/outcome :%s, :abaft/version ",
		line->attempt, line->start_us, line->end_us, history_outcome_name(line->outcome));
	put_version(w->out, line->version);
	putc(',', w->out);
}

static const char *type_name(enum history_outcome outcome)
{
	switch (outcome) {
	case HISTORY_COMMITTED:
		return "ok";
	case HISTORY_REPEATED: /* this attempt is not the one that took effect */
	case HISTORY_ABORTED:
	case HISTORY_FAILED:
		return "fail";
	default:
		return "info";
	}
}

static int take_process(struct writing *w, uint32_t *process)
{
	if (w->idle_count) {
		*process = w->idle[--w->idle_count];
		return 0;
	}
	*process = w->processes++;
	return check_grow((void **)&w->idle, &w->idle_cap, w->processes, sizeof(*w->idle));
}

static int put_moment(struct writing *w, const struct moment *moment)
{
	struct line *line = &w->lines[moment->line];
	uint64_t since_us = moment->at_us - w->first_us;
	struct history_line parsed;
	const char *why, *type = "invoke";
	int err = history_parse(line->text, line->len, &parsed, &why);

	if (!err && !moment->completes)
		err = take_process(w, &line->process);
	if (err)
		return complain(w, err, NULL);
	if (moment->completes) {
		type = type_name(parsed.outcome);
		if (strcmp(type, "info") != 0)
			w->idle[w->idle_count++] = line->process;
	}
	fprintf(w->out,
		"{:type :%s, :process %" PRIu32 ", :time %" PRIu64 ", :index %" PRIu64 ", :f :txn,",
		type, line->process, since_us > INT64_MAX / 1000 ? INT64_MAX : since_us * 1000,
		w->index++);
	if (moment->completes)
		put_head(w, &parsed);
	err = put_ops(w, &parsed, moment->completes);
	fputs("}\n", w->out);
	return err;
}

static int put_finals(struct writing *w)
{
	struct history_line parsed;
	const char *why;
	int err = 0;

	for (size_t i = 0; !err && i < w->final_count; i++) {
		err = history_parse(w->finals[i].text, w->finals[i].len, &parsed, &why);
		if (err)
			return complain(w, err, why);
		fprintf(w->out, "{:type :ok, :process %" PRIu32 ", :index %" PRIu64 ", :f :final,",
			w->processes, w->index++);
		err = put_ops(w, &parsed, true);
		fputs("}\n", w->out);
	}
	return err;
}

static int put_all(struct writing *w)
{
	struct moment *moments = calloc(2 * w->line_count + 1, sizeof(*moments));
	struct history_line parsed;
	const char *why;
	int err = moments ? 0 : complain(w, -ENOMEM, NULL);

	for (uint32_t i = 0; !err && i < w->line_count; i++) {
		err = history_parse(w->lines[i].text, w->lines[i].len, &parsed, &why);
		moments[2 * i] = (struct moment){parsed.start_us, i, false};
		moments[2 * i + 1] = (struct moment){parsed.end_us, i, true};
	}
	if (!err)
		qsort(moments, 2 * w->line_count, sizeof(*moments), moment_compare);
	w->first_us = err ? 0 : moments[0].at_us;
	for (size_t i = 0; !err && i < 2 * w->line_count; i++)
		err = put_moment(w, &moments[i]);
	free(moments);
	return err ? err : put_finals(w);
}

int history_to_edn(const char *const paths[], size_t count, FILE *out, char error[256])
{
	struct writing w = {.out = out, .error = error, .path = ""};
	int err = 0;

	w.texts = calloc(count + 1, sizeof(*w.texts));
	if (!w.texts)
		return complain(&w, -ENOMEM, NULL);
	for (size_t i = 0; !err && i < count; i++) {
		w.path = paths[i];
		err = take_lines(&w);
	}
	if (!err)
		err = put_all(&w);
	for (size_t i = 0; i < w.text_count; i++)
		free(w.texts[i]);
	free(w.texts);
	free(w.lines);
	free(w.finals);
	free(w.idle);
	return err;
}
