/* SPDX-License-Identifier: Apache-2.0 */
/*
 * config.c - the table of keys and everything that is made from it.
 */
#include "control/config.h"

#include <ctype.h>
#include <errno.h>
#include <getopt.h>
#include <ini.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include <abaft/limits.h>

#include "control/endpoint.h"

enum key_type {
	KEY_TEXT,
	KEY_COUNT,
	KEY_BYTES,
	KEY_TIME,
	KEY_BOOL,
	KEY_LEVEL,
	KEY_FORMAT,
	KEY_ACK
};

struct key {
	const char *name;
	enum key_type type;
	size_t offset;
	uint64_t min, max;
	const char *value; /* the default */
	const char *text;  /* lines of at most 90 characters */
};

#define AT(field) offsetof(struct config, field)
#define KIB	  (UINT64_C(1) << 10)
#define MIB	  (UINT64_C(1) << 20)
#define GIB	  (UINT64_C(1) << 30)
#define TIB	  (UINT64_C(1) << 40)
static const struct key keys[] = {
	{"port", KEY_TEXT, AT(port), 1, 0, "afxdp:lo",
	 "The network port to serve on: afxdp:INTERFACE for any interface of the kernel's, "
	 "pci:ADDRESS\n"
	 "for a NIC bound to vfio-pci, memif:ARGS and others for tests; docs/ports.md has them "
	 "all.\n"
	 "Several queues: afxdp:eth0,queues=4."},
	{"addresses", KEY_TEXT, AT(addresses), 1, 0, "127.0.0.1,::1",
	 "The IPv4 and IPv6 addresses to answer on, with commas between."},
	{"udp-port", KEY_COUNT, AT(udp_port), 1, 65535, "7400",
	 "The first UDP port; worker w listens on this one + w."},
	{"workers", KEY_COUNT, AT(workers), 1, ABAFT_WORKERS_MAX, "1",
	 "Worker threads. Each has a log of its own; the number may change between runs."},
	{"node", KEY_COUNT, AT(node), 0, (1u << 24) - 1, "0",
	 "This node's number: it names the node in versions and must differ between nodes."},
	{"data-dir", KEY_TEXT, AT(data_dir), 1, 0, "/var/lib/abaft",
	 "Where the commit logs live. Made if it is not there; one daemon at a time. Not used when "
	 "a\n"
	 "storage engine has them (engine, engine-ack)."},
	{"memory", KEY_BYTES, AT(memory_bytes), 4 * MIB, 16 * TIB, "256M",
	 "Memory for values and versions, all workers together, taken at start."},
	{"cache", KEY_BYTES, AT(cache_bytes), 0, 16 * TIB, "0",
	 "Bytes of values larger than 152 bytes to keep in `memory`; the others are read from the "
	 "log\n"
	 "when they are asked for. 0: as many as fit beside keys, versions and small values."},
	{"keys", KEY_COUNT, AT(keys), 64, UINT64_C(1) << 36, "1048576",
	 "Keys that the index can hold; about 64 bytes each, beside `memory`."},
	{"txns", KEY_COUNT, AT(txns), 1, ABAFT_TXNS_MAX, "4096",
	 "Open transactions of one worker; beyond it clients are told BUSY."},
	{"outcomes", KEY_COUNT, AT(outcomes), 64, UINT64_C(1) << 30, "1048576",
	 "Outcomes one worker remembers, so that a retry gets the first outcome again."},
	{"window", KEY_TIME, AT(window_ms), 1000, 86400000, "10m",
	 "How long an outcome is remembered; older transaction ids are refused."},
	{"skew", KEY_TIME, AT(skew_ms), 0, 86400000, "5s",
	 "How far a client's clock may be ahead of ours."},
	{"deadline", KEY_TIME, AT(deadline_ms), 1, ABAFT_TXN_DEADLINE_MS_MAX, "30s",
	 "Life of a transaction after its last packet, unless the client asks otherwise."},
	{"segment-size", KEY_BYTES, AT(segment_bytes), 2 * ABAFT_LOG_GROUP_BYTES_MAX,
	 ABAFT_LOG_SEGMENT_BYTES_MAX, "64M",
	 "Size of one file of a commit log; cleaning frees whole ones. Each is kept open: abaftd "
	 "raises\n"
	 "its limit of open files (LimitNOFILE) as far as it may."},
	{"log-bytes-max", KEY_BYTES, AT(log_bytes_max), 0, 1024 * TIB, "0",
	 "Bytes all logs together may take on disk; then commits get NO_SPACE until cleaning has "
	 "made\n"
	 "room. 0: the disk's end. Checkpoints come on top."},
	{"checkpoint", KEY_BYTES, AT(checkpoint_bytes), 0, 1024 * TIB, "256M",
	 "Write a checkpoint when the logs have grown by this, or by four times the last one's\n"
	 "size if that is more: a restart reads one checkpoint and about so much of the logs.\n"
	 "0: none; then nothing is cleaned and a restart reads all logs."},
	{"clean-below", KEY_COUNT, AT(clean_below), 0, 95, "70",
	 "Clean segments while less than so many percent of the logs are live data. Higher saves "
	 "disk\n"
	 "space and writes more. 0: never clean."},
	{"clean-rate", KEY_BYTES, AT(clean_rate), 0, TIB, "64M",
	 "Bytes per second that cleaning may read while there is room on the disk. 0: no limit."},
	{"engine", KEY_TEXT, AT(engine), 1, 0, "embedded",
	 "Where commits are kept: `embedded`, in data-dir, or a storage engine: "
	 "redis://HOST:PORT/PREFIX,\n"
	 "rediss:// (TLS), s3://BUCKET/PREFIX?endpoint=URL, dynamodb://TABLE/PREFIX?endpoint=URL. "
	 "Only one\n"
	 "node writes below a prefix. docs/engines.md says what each one promises."},
	{"engine-ack", KEY_ACK, AT(engine_ack), 0, 0, "storage",
	 "With an engine, when a commit is acknowledged. `storage`: when the engine has it; "
	 "data-dir "
	 "is\n"
	 "not used. `log`: when it is in the log in data-dir; the engine gets it a little later."},
	{"engine-credentials", KEY_TEXT, AT(engine_credentials), 0, 0, "",
	 "File with what the engine wants to know us by, which only its owner may read: user, "
	 "password,\n"
	 "access-key, secret-key. Empty: the environment has it, or nothing is needed."},
	{"engine-lag", KEY_BYTES, AT(engine_lag), 2 * ABAFT_LOG_GROUP_BYTES_MAX, TIB, "64M",
	 "With engine-ack = log: bytes of each log that the engine may lack. Beyond it clients are "
	 "told\n"
	 "BUSY."},
	{"engine-delete-rate", KEY_COUNT, AT(engine_delete_rate), 0, 1000000, "5000",
	 "Objects per second that are removed from the engine when nothing needs them any more. 0: "
	 "no\n"
	 "limit."},
	{"engine-timeout", KEY_TIME, AT(engine_timeout_ms), 100, 600000, "10s",
	 "How long one request to the engine may take before it is tried again."},
	{"sync", KEY_BOOL, AT(sync), 0, 1, "yes",
	 "Acknowledge commits only after fdatasync. `no` loses commits: for benchmarks alone."},
	{"dsync", KEY_BOOL, AT(dsync), 0, 1, "no",
	 "Make each log write durable by itself (RWF_DSYNC) instead of an fdatasync behind it.\n"
	 "Faster where cores are free beside the workers, far slower where not: measure."},
	{"huge-pages", KEY_BOOL, AT(huge_pages), 0, 1, "no",
	 "Use huge pages for packets and values; they must have been set aside."},
	{"poll", KEY_BOOL, AT(poll), 0, 1, "no",
	 "Workers never sleep: the lowest latency, at the price of a whole core each."},
	{"verify-checksums", KEY_BOOL, AT(verify_checksums), 0, 1, "no",
	 "Judge UDP checksums on lo, veth, tun and dummy interfaces, too, where senders on this "
	 "machine\n"
	 "leave them unfinished unless told not to: docs/ports.md. Elsewhere they always are."},
	{"cores", KEY_TEXT, AT(cores), 0, 0, "",
	 "CPUs to pin workers to, worker 0's first, with commas between (2,3). Empty: not pinned."},
	{"pin-dir", KEY_TEXT, AT(pin_dir), 1, 0, "/sys/fs/bpf/abaft",
	 "Where the BPF program and maps are pinned, on a BPF file system."},
	{"state-dir", KEY_TEXT, AT(state_dir), 1, 0, "/run/abaft",
	 "Remembers what was changed on the interface, so that it can be undone after a crash."},
	{"telemetry", KEY_BOOL, AT(telemetry), 0, 1, "yes",
	 "Latency histograms, slow transactions, and the maps and BPF programs of "
	 "docs/operations.md,\n"
	 "pinned in pin-dir. `no`: counters only, and only by `abaft status`."},
	{"watch", KEY_BOOL, AT(watch), 0, 1, "yes",
	 "With telemetry: watch the kernel's side, too, with BPF programs: io_uring and disk, who "
	 "takes\nworkers' cores and for how long, softirqs on cores that `cores` names. They run "
	 "at each\n"
	 "context switch."},
	{"slow", KEY_TIME, AT(slow_ms), 1, 3600000, "100ms",
	 "Requests that take longer than this in the node are kept for `abaft slow`."},
	{"metrics", KEY_TEXT, AT(metrics), 1, 0, "127.0.0.1",
	 "The address on which Prometheus finds /metrics by HTTP, with /healthz and /readyz: "
	 "ADDRESS,\n"
	 "ADDRESS:PORT or [IPV6]:PORT. Without a port that of udp-port, by TCP. `no`: not served."},
	{"log-format", KEY_FORMAT, AT(log_format), 0, 0, "text",
	 "How it is told: text, or json, one object a line."},
	{"log-level", KEY_LEVEL, AT(log_level), 0, 0, "info",
	 "How much is told on standard error: error, warning, info or debug."},
};

/* The defaults above that limits.h names; unit tests hold the table to its text. */
_Static_assert(ABAFT_UDP_PORT_DEFAULT == 7400, "udp-port");
_Static_assert(ABAFT_KEYS_DEFAULT == 1048576 && ABAFT_OUTCOMES_DEFAULT == 1048576,
	       "keys, outcomes");
_Static_assert(ABAFT_OUTCOME_WINDOW_MS == 10 * 60000, "window");
_Static_assert(ABAFT_CLOCK_SKEW_MS == 5 * 1000, "skew");
_Static_assert(ABAFT_TXN_DEADLINE_MS_DEFAULT == 30 * 1000, "deadline");
_Static_assert(ABAFT_LOG_SEGMENT_BYTES_DEFAULT == 64 * MIB, "segment-size");

#define KEYS (sizeof(keys) / sizeof(keys[0]))
_Static_assert(KEYS <= CONFIG_KEYS_MAX, "room to note each key's line");

static const char *const levels[] = {"error", "warning", "info", "debug", NULL};
static const char *const formats[] = {"text", "json", NULL};
static const char *const acks[] = {"storage", "log", NULL};

static const char *type_text(enum key_type type)
{
	switch (type) {
	case KEY_TEXT:
		return "text";
	case KEY_COUNT:
		return "a whole number";
	case KEY_BYTES:
		return "a size such as 4096, 64K, 256M or 2G";
	case KEY_TIME:
		return "a time such as 500ms, 30s or 10m";
	case KEY_BOOL:
		return "yes or no";
	case KEY_LEVEL:
		return "error, warning, info or debug";
	case KEY_FORMAT:
		return "text or json";
	case KEY_ACK:
		return "storage or log";
	}
	return "";
}

/* The factor a unit stands for; 0: no such unit. */
static uint64_t unit_of(enum key_type type, const char *unit)
{
	static const struct {
		enum key_type type;
		const char *unit;
		uint64_t factor;
	} units[] = {
		{KEY_BYTES, "", 1},	  {KEY_BYTES, "B", 1},	 {KEY_BYTES, "K", KIB},
		{KEY_BYTES, "M", MIB},	  {KEY_BYTES, "G", GIB}, {KEY_BYTES, "T", TIB},
		{KEY_TIME, "ms", 1},	  {KEY_TIME, "s", 1000}, {KEY_TIME, "m", 60000},
		{KEY_TIME, "h", 3600000}, {KEY_COUNT, "", 1},
	};

	for (size_t i = 0; i < sizeof(units) / sizeof(units[0]); i++)
		if (units[i].type == type && strcmp(units[i].unit, unit) == 0)
			return units[i].factor;
	return 0;
}

static bool parse_number(enum key_type type, const char *text, uint64_t *out)
{
	char *end;
	uint64_t factor;
	unsigned long long number;

	if (!isdigit((unsigned char)text[0]))
		return false;
	errno = 0;
	number = strtoull(text, &end, 10);
	factor = unit_of(type, end);
	if (errno != 0 || factor == 0)
		return false;
	return !__builtin_mul_overflow((uint64_t)number, factor, out);
}

static bool parse_bool(const char *text, bool *out)
{
	bool yes = strcmp(text, "yes") == 0 || strcmp(text, "true") == 0 || strcmp(text, "1") == 0;
	bool no = strcmp(text, "no") == 0 || strcmp(text, "false") == 0 || strcmp(text, "0") == 0;

	*out = yes;
	return yes || no;
}

/* What such a key can be; NULL: anything. */
static const char *const *words_of(enum key_type type)
{
	switch (type) {
	case KEY_LEVEL:
		return levels;
	case KEY_FORMAT:
		return formats;
	case KEY_ACK:
		return acks;
	default:
		return NULL;
	}
}

static bool is_one_of(const char *text, const char *const *words)
{
	for (; *words != NULL; words++)
		if (strcmp(text, *words) == 0)
			return true;
	return false;
}

static const struct key *key_find(const char *name)
{
	for (size_t i = 0; i < KEYS; i++)
		if (strcmp(keys[i].name, name) == 0)
			return &keys[i];
	return NULL;
}

static int set_number(const struct key *key, uint64_t *field, const char *value, const char *where,
		      char *why)
{
	uint64_t number;

	if (!parse_number(key->type, value, &number)) {
		snprintf(why, CONFIG_WHY_BYTES, "%s: %s: \"%s\" is not %s", where, key->name, value,
			 type_text(key->type));
		return -EINVAL;
	}
	if (number < key->min || number > key->max) {
		snprintf(why, CONFIG_WHY_BYTES,
			 "%s: %s: \"%s\" is out of range: %" PRIu64 " to %" PRIu64 "%s", where,
			 key->name, value, key->min, key->max,
			 key->type == KEY_TIME	  ? " ms"
			 : key->type == KEY_BYTES ? " bytes"
						  : "");
		return -EINVAL;
	}
	*field = number;
	return 0;
}

/* Whether a file could say it: a flag can also bring what ends a line, is cut off or begins a
 * comment there, and config_print() would then write another configuration. */
static bool text_is_plain(const char *text)
{
	for (const char *at = text; *at != '\0'; at++)
		if (iscntrl((unsigned char)*at) || (*at == ';' && (at == text || at[-1] == ' ')) ||
		    (*at == ' ' && (at == text || at[1] == '\0')))
			return false;
	return true;
}

static int set_text(const struct key *key, char *field, const char *value, const char *where,
		    char *why)
{
	size_t bytes = strlen(value);

	if (bytes < key->min || bytes >= CONFIG_TEXT_BYTES) {
		snprintf(why, CONFIG_WHY_BYTES, "%s: %s: must have %" PRIu64 " to %d characters",
			 where, key->name, key->min, CONFIG_TEXT_BYTES - 1);
		return -EINVAL;
	}
	if (!text_is_plain(value)) {
		snprintf(why, CONFIG_WHY_BYTES,
			 "%s: %s: control characters, blanks at its ends and \" ;\" cannot stand "
			 "in it",
			 where, key->name);
		return -EINVAL;
	}
	/* All of it, so that equal configurations are equal bytes. */
	memset(field, 0, CONFIG_TEXT_BYTES);
	memcpy(field, value, bytes);
	return 0;
}

static int set(struct config *config, const struct key *key, const char *value, const char *where,
	       char *why)
{
	void *field = (char *)config + key->offset;

	switch (key->type) {
	case KEY_TEXT:
		return set_text(key, field, value, where, why);
	case KEY_COUNT:
	case KEY_BYTES:
	case KEY_TIME:
		return set_number(key, field, value, where, why);
	case KEY_BOOL:
		if (parse_bool(value, field))
			return 0;
		break;
	case KEY_LEVEL:
	case KEY_FORMAT:
	case KEY_ACK:
		if (is_one_of(value, words_of(key->type)))
			return set_text(key, field, value, where, why);
		break;
	}
	snprintf(why, CONFIG_WHY_BYTES, "%s: %s: \"%s\" is not %s", where, key->name, value,
		 type_text(key->type));
	return -EINVAL;
}

int config_set(struct config *config, const char *name, const char *value, const char *where,
	       char *why)
{
	const struct key *key = key_find(name);

	if (key == NULL) {
		snprintf(why, CONFIG_WHY_BYTES, "%s: %s: there is no such key; see abaftd --help",
			 where, name);
		return -EINVAL;
	}
	return set(config, key, value, where, why);
}

void config_defaults(struct config *config)
{
	char why[CONFIG_WHY_BYTES];

	memset(config, 0, sizeof(*config));
	for (size_t i = 0; i < KEYS; i++)
		if (set(config, &keys[i], keys[i].value, "default", why) != 0)
			abort(); /* the table contradicts itself: config_test finds it */
}

/* One file being read: inih does not say which line a pair stands on, so the reader counts. */
struct reading {
	struct config *config;
	FILE *file;
	const char *path;
	char *why;
	uint32_t line;
	int err;
};

static void refuse(struct reading *r, const char *text)
{
	if (r->err == 0)
		snprintf(r->why, CONFIG_WHY_BYTES, "%s:%u: %s", r->path, r->line, text);
	r->err = -EINVAL;
}

/* inih's reader: one line without leading blanks (it would take them for a continuation). */
static char *read_line(char *line, int room, void *arg)
{
	struct reading *r = arg;
	char whole[CONFIG_LINE_BYTES + 2];
	size_t blanks, bytes;

	memset(whole, ' ', sizeof(whole)); /* so that the last NUL in it is fgets's own */
	if (r->err != 0 || fgets(whole, sizeof(whole), r->file) == NULL)
		return NULL;
	r->line++;
	bytes = strlen(whole);
	if (memrchr(whole, '\0', sizeof(whole)) != whole + bytes) {
		refuse(r, "the line holds a NUL: this is no text file");
		return NULL;
	}
	if (whole[bytes - 1] != '\n' && !feof(r->file)) {
		refuse(r, "the line is too long");
		return NULL;
	}
	blanks = strspn(whole, " \t");
	if (bytes - blanks + 1 > (size_t)room) {
		refuse(r, "the line is too long");
		return NULL;
	}
	memcpy(line, whole + blanks, bytes - blanks + 1);
	if (line[0] == '[')
		refuse(r, "sections are not used here: write `key = value` lines");
	else if (strchr("#;\n\r", line[0]) == NULL && strpbrk(line, "=:") == NULL)
		refuse(r, "neither a comment nor `key = value`");
	return line;
}

static int take_pair(void *arg, const char *section, const char *name, const char *value)
{
	struct reading *r = arg;
	const struct key *key = key_find(name);
	char where[CONFIG_TEXT_BYTES + 16];
	uint32_t *line;

	if (r->err != 0)
		return 0;
	snprintf(where, sizeof(where), "%.255s:%u", r->path, r->line);
	r->err = config_set(r->config, name, value, where, r->why);
	if (r->err != 0 || key == NULL)
		return 0;
	line = &r->config->line[key - keys];
	if (*line != 0) {
		snprintf(r->why, CONFIG_WHY_BYTES, "%s: %s: given twice, first in line %u", where,
			 name, *line);
		r->err = -EINVAL;
	}
	*line = r->line;
	return 1;
}

int config_read(struct config *config, const char *path, char *why)
{
	struct reading r = {.config = config, .path = path, .why = why};
	int line;

	r.file = fopen(path, "re");
	if (r.file == NULL) {
		r.err = -errno;
		snprintf(why, CONFIG_WHY_BYTES, "%s: cannot be read: %s", path, strerror(errno));
		return r.err;
	}
	memset(config->line, 0, sizeof(config->line));
	line = ini_parse_stream(read_line, &r, take_pair, &r);
	if (line != 0 && r.err == 0) {
		r.line = line > 0 ? (uint32_t)line : r.line;
		refuse(&r, "neither a comment nor `key = value`");
	}
	fclose(r.file);
	return r.err;
}

bool config_metrics(const struct config *config, struct endpoint *out)
{
	char why[192];

	if (endpoint_parse(out, config->metrics, (uint16_t)config->udp_port, why, sizeof(why)) != 0)
		out->bytes = 0; /* config_check() refuses it */
	return strcmp(config->metrics, key_find("metrics")->value) != 0;
}

enum { FLAG_CONFIG = 1000, FLAG_CHECK, FLAG_EXAMPLE, FLAG_HELP, FLAG_VERSION };

/* Long options: one a key, then our own. A yes-or-no key may stand without a value. */
static void flags_of(struct option *options)
{
	static const struct option own[] = {
		{"config", required_argument, NULL, FLAG_CONFIG},
		{"check-config", no_argument, NULL, FLAG_CHECK},
		{"print-example", no_argument, NULL, FLAG_EXAMPLE},
		{"help", no_argument, NULL, FLAG_HELP},
		{"version", no_argument, NULL, FLAG_VERSION},
		{NULL, 0, NULL, 0},
	};

	for (size_t i = 0; i < KEYS; i++)
		options[i] = (struct option){
			.name = keys[i].name,
			.has_arg = keys[i].type == KEY_BOOL ? optional_argument : required_argument,
			.val = (int)i,
		};
	memcpy(options + KEYS, own, sizeof(own));
}

static int flag_refused(const char *flag, int reason, char *why)
{
	snprintf(why, CONFIG_WHY_BYTES, "%s: %s; see abaftd --help", flag,
		 reason == ':' ? "needs a value" : "there is no such flag, or it takes no value");
	return -EINVAL;
}

/* One walk over the flags. `keys_now` false: only what main asks for; true: only the keys. */
static int walk_flags(struct config *config, int argc, char **argv, struct config_asked *asked,
		      bool keys_now, char *why)
{
	struct option options[CONFIG_KEYS_MAX + 8];
	int flag, err;

	flags_of(options);
	optind = 1;
	opterr = 0;
	while ((flag = getopt_long(argc, argv, "+:hVc:", options, NULL)) != -1) {
		err = 0;
		if (flag >= 0 && flag < (int)KEYS && keys_now)
			err = set(config, &keys[flag], optarg == NULL ? "yes" : optarg,
				  "command line", why);
		else if (flag == FLAG_CONFIG || flag == 'c')
			asked->file = optarg;
		else if (flag == FLAG_CHECK)
			asked->check = true;
		else if (flag == FLAG_EXAMPLE)
			asked->example = true;
		else if (flag == FLAG_HELP || flag == 'h')
			asked->help = true;
		else if (flag == FLAG_VERSION || flag == 'V')
			asked->version = true;
		else if (flag == ':' || flag == '?')
			err = flag_refused(argv[optind - 1], flag, why);
		if (err != 0)
			return err;
	}
	if (optind < argc) {
		snprintf(why, CONFIG_WHY_BYTES, "%s: only flags are understood; see abaftd --help",
			 argv[optind]);
		return -EINVAL;
	}
	return 0;
}

int config_flags(struct config *config, int argc, char **argv, struct config_asked *asked,
		 char *why)
{
	int err;

	memset(asked, 0, sizeof(*asked));
	config_defaults(config);
	err = walk_flags(config, argc, argv, asked, false, why);
	if (err == 0 && asked->file != NULL)
		err = config_read(config, asked->file, why);
	if (err == 0)
		err = walk_flags(config, argc, argv, asked, true, why);
	return err;
}

/* The key's text, each line behind `indent`. */
static void print_text(const struct key *key, const char *indent, FILE *to)
{
	const char *at = key->text;

	while (*at != '\0') {
		size_t bytes = strcspn(at, "\n");

		fprintf(to, "%s%.*s\n", indent, (int)bytes, at);
		at += bytes + (at[bytes] == '\n');
	}
}

void config_print_help(FILE *to)
{
	fprintf(to, "Usage: abaftd [--config FILE] [--KEY VALUE]...\n\n"
		    "Serves read-atomic, durable, exactly-once transactions over UDP.\n\n"
		    "  -c, --config FILE   read `key = value` lines from FILE; flags lie over it\n"
		    "      --check-config  check file and flags, print the result, start nothing\n"
		    "      --print-example print a commented file with every key\n"
		    "  -h, --help          print this\n"
		    "  -V, --version       print the version\n\n"
		    "Keys, in the file and as flags:\n");
	for (size_t i = 0; i < KEYS; i++) {
		fprintf(to, "\n  --%s %s (default: %s)\n", keys[i].name,
			keys[i].type == KEY_TEXT ? "TEXT" : "VALUE",
			keys[i].value[0] == '\0' ? "none" : keys[i].value);
		print_text(&keys[i], "        ", to);
	}
}

void config_print_example(FILE *to)
{
	fprintf(to,
		"# abaft.conf - every key of the daemon with its default. abaftd --print-example\n"
		"# writes this file; `abaftd --config FILE --check-config` checks yours.\n"
		"# Sizes: K, M, G, T. Times: ms, s, m, h. A flag --key lies over the file.\n");
	for (size_t i = 0; i < KEYS; i++) {
		fprintf(to, "\n");
		print_text(&keys[i], "# ", to);
		fprintf(to, "#%s =%s%s\n", keys[i].name, keys[i].value[0] == '\0' ? "" : " ",
			keys[i].value);
	}
}

void config_print(const struct config *config, FILE *to)
{
	for (size_t i = 0; i < KEYS; i++) {
		const void *field = (const char *)config + keys[i].offset;

		switch (keys[i].type) {
		case KEY_TEXT:
		case KEY_LEVEL:
		case KEY_FORMAT:
		case KEY_ACK:
			fprintf(to, "%s = %s\n", keys[i].name, (const char *)field);
			break;
		case KEY_BOOL:
			fprintf(to, "%s = %s\n", keys[i].name, *(const bool *)field ? "yes" : "no");
			break;
		case KEY_TIME:
			fprintf(to, "%s = %" PRIu64 "ms\n", keys[i].name, *(const uint64_t *)field);
			break;
		case KEY_COUNT:
		case KEY_BYTES:
			fprintf(to, "%s = %" PRIu64 "\n", keys[i].name, *(const uint64_t *)field);
			break;
		}
	}
}
