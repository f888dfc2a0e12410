/* SPDX-License-Identifier: Apache-2.0 */
/*
 * fuzz_state.c - any files in podswitchd's state directory, at two starts, over a switch without packets
 *
 * The input is cut at its NULs into files: g, p or f for the folder, the name up to the line's end, and the contents.
 * Whatever they hold, podswitchd starts, no file is lost (it stays, or is set aside), and the second start finds what
 * the first one did.
 */
#define FAKE_MAX 16 /* a switch is made for each input, and cleared */

#include "control/daemon/methods.h"
#include "tests/fuzz/quiet.h"
#include "tests/unit/fake_switch.h"

#include <assert.h>
#include <dirent.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <sys/stat.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const char *const folders[] = {"gateways", "ports", "fdb"};
static char root[64];

/* ---- the files ---- */

static void remove_all(void)
{
	char path[PATH_MAX];
	for (int kind = 0; kind < STATE_KINDS; kind++) {
		snprintf(path, sizeof(path), "%s/%s", root, folders[kind]);
		DIR *stream = opendir(path);
		for (const struct dirent *entry; stream && (entry = readdir(stream));)
			if (entry->d_type != DT_DIR)
				unlinkat(dirfd(stream), entry->d_name, 0);
		if (stream)
			closedir(stream);
		rmdir(path);
	}
	snprintf(path, sizeof(path), "%s/lock", root);
	unlink(path);
	rmdir(root);
}

static void begin(void)
{
	char path[PATH_MAX];
	if (!*root) {
		snprintf(root, sizeof(root), "/dev/shm/podswitch-fuzz-state-%ld", (long)getpid());
		atexit(remove_all);
	}
	mkdir(root, 0700);
	for (int kind = 0; kind < STATE_KINDS; kind++) {
		snprintf(path, sizeof(path), "%s/%s", root, folders[kind]);
		mkdir(path, 0700);
	}
}

/* Names of at most 200 bytes, as podswitchd's own are: a longer one has no room for what is put behind it. */
static void keep_file(const char *text, size_t size)
{
	const char *end = memchr(text, '\n', size);
	char path[PATH_MAX];
	if (size < 3 || !end || end - text < 2 || end - text > 200 || text[1] == '.' ||
	    memchr(text, '/', (size_t)(end - text)))
		return;
	int kind = *text == 'g' ? STATE_GATEWAY : *text == 'p' ? STATE_PORT : STATE_FDB;
	snprintf(path, sizeof(path), "%s/%s/%.*s.json", root, folders[kind], (int)(end - text - 1), text + 1);
	int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
	if (fd < 0)
		return;
	size_t length = size - (size_t)(end + 1 - text);
	assert(write(fd, end + 1, length) == (ssize_t)length);
	close(fd);
}

static void keep_files(const char *text, size_t size)
{
	while (size) {
		const char *end = memchr(text, '\0', size);
		size_t length = end ? (size_t)(end - text) : size;
		keep_file(text, length);
		length += end != NULL;
		text += length;
		size -= length;
	}
}

static unsigned count_files(void)
{
	char path[PATH_MAX];
	unsigned n = 0;
	for (int kind = 0; kind < STATE_KINDS; kind++) {
		snprintf(path, sizeof(path), "%s/%s", root, folders[kind]);
		DIR *stream = opendir(path);
		assert(stream);
		for (const struct dirent *entry; (entry = readdir(stream));)
			n += entry->d_name[0] != '.';
		closedir(stream);
	}
	return n;
}

/* ---- a start ---- */

static unsigned start(void)
{
	struct failure why = {0};
	struct config config = CONFIG_DEFAULT;
	struct methods methods = {.config = &config};
	assert(!switch_open(&config.options, &methods.vs, &why));
	assert(!state_open(root, &methods.state, &why));
	unsigned before = count_files(), restored = methods_restore(&methods);
	size_t there = methods.vs->n_gateways + methods.vs->n_ports + methods.vs->n_entries;
	assert(restored <= before && count_files() == before);
	assert(there <= restored); /* an entry can be in two files */
	methods_retry(&methods);
	assert(count_files() == before);
	for (size_t i = 0; i < methods.vs->n_gateways; i++)
		assert(switch_name_valid(methods.vs->gateways[i].name));
	for (size_t i = 0; i < methods.vs->n_ports; i++)
		assert(switch_name_valid(methods.vs->ports[i].config.name));
	state_close(methods.state);
	switch_close(methods.vs);
	return restored;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	begin();
	keep_files((const char *)data, size);
	unsigned first = start(), second = start();
	assert(first == second);
	remove_all();
	return 0;
}
