/* SPDX-License-Identifier: Apache-2.0 */
/*
 * exporter.c - does with a BPF object what Cloudflare's ebpf_exporter does, as far as BPF goes:
 *loads it by libbpf, attaches every program, asks each map named for values of 8 bytes, and reads
 *it key by key. For exporter_test.py, as ebpf_exporter itself is not in Debian.
 *
 *	exporter OBJECT MAP...		prints "MAP KEY(hex) VALUE" lines, then "end"
 */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <bpf/bpf.h>
#include <bpf/libbpf.h>

#define KEY_BYTES_MAX 64
#define KEYS_MAX      100000

static int fail(const char *what, const char *name)
{
	fprintf(stderr, "exporter: %s %s: %s\n", what, name, strerror(errno));
	return 1;
}

static int print_map(const struct bpf_object *object, const char *name)
{
	struct bpf_map *map = bpf_object__find_map_by_name(object, name);
	uint8_t key[KEY_BYTES_MAX], *last = NULL;
	uint64_t value;

	if (map == NULL)
		return fail("there is no map", name);
	if (bpf_map__value_size(map) != sizeof(value) || bpf_map__key_size(map) > sizeof(key)) {
		errno = EPROTO;
		return fail("values are not of 8 bytes:", name);
	}
	for (uint32_t n = 0; n < KEYS_MAX; n++) {
		if (bpf_map_get_next_key(bpf_map__fd(map), last, key) < 0)
			return errno == ENOENT ? 0 : fail("reading keys of", name);
		last = key;
		if (bpf_map_lookup_elem(bpf_map__fd(map), key, &value) < 0)
			return fail("reading a value of", name);
		printf("%s ", name);
		for (uint32_t i = 0; i < bpf_map__key_size(map); i++)
			printf("%02x", key[i]);
		printf(" %" PRIu64 "\n", value);
	}
	errno = E2BIG;
	return fail("too many keys in", name);
}

int main(int argc, char **argv)
{
	struct bpf_object *object;
	struct bpf_program *program;
	int failed = 0;

	if (argc < 2)
		return 2;
	object = bpf_object__open_file(argv[1], NULL);
	if (object == NULL)
		return fail("opening", argv[1]);
	if (bpf_object__load(object) != 0)
		return fail("loading", argv[1]);
	bpf_object__for_each_program(program, object)
	{
		if (bpf_program__attach(program) == NULL)
			return fail("attaching", bpf_program__name(program));
	}
	for (int i = 2; i < argc && failed == 0; i++)
		failed = print_map(object, argv[i]);
	if (failed == 0)
		puts("end");
	return failed;
}
