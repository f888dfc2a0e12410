/* SPDX-License-Identifier: Apache-2.0 */
/*
 * fuzz_confdir.c - any files in a node's folder of network configurations, with our entry put in and taken out again
 *
 * The input is cut at its NULs into files: the name up to the line's end, and the contents. Once our entry is in, there
 * is nothing more to do; once it is out again, every file is what it was, byte for byte. What names podswitch already
 * is left out: that would be ours.
 */
#include "control/cni/confdir.h"
#include "tap/base/file.h"

#include <assert.h>
#include <dirent.h>
#include <fcntl.h>
#include <limits.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define FILES 8

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

struct one_file {
	char path[PATH_MAX];
	const char *bytes;
	size_t size;
};

static char root[64];

static void remove_all(void)
{
	DIR *stream = opendir(root);
	for (const struct dirent *entry; stream && (entry = readdir(stream));)
		if (entry->d_type != DT_DIR)
			unlinkat(dirfd(stream), entry->d_name, 0);
	if (stream)
		closedir(stream);
	rmdir(root);
}

static void begin(void)
{
	if (!*root) {
		snprintf(root, sizeof(root), "/dev/shm/podswitch-fuzz-conf-%ld", (long)getpid());
		atexit(remove_all);
	}
	mkdir(root, 0700);
}

/* False: it is none, or there is one of that name. */
static bool put_file(const char *text, size_t size, struct one_file *out)
{
	const char *end = memchr(text, '\n', size);
	if (!end || end == text || end - text > 100 || *text == '.' || memchr(text, '/', (size_t)(end - text)))
		return false;
	out->bytes = end + 1;
	out->size = size - (size_t)(end + 1 - text);
	snprintf(out->path, sizeof(out->path), "%s/%.*s", root, (int)(end - text), text);
	int fd = open(out->path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
	if (fd < 0)
		return false;
	assert(write(fd, out->bytes, out->size) == (ssize_t)out->size);
	close(fd);
	return true;
}

static size_t put_files(const char *text, size_t size, struct one_file files[static FILES])
{
	size_t n = 0;
	while (size && n < FILES) {
		const char *end = memchr(text, '\0', size);
		size_t length = end ? (size_t)(end - text) : size;
		n += put_file(text, length, &files[n]);
		length += end != NULL;
		text += length;
		size -= length;
	}
	return n;
}

static void check_file(const struct one_file *file)
{
	char *bytes;
	size_t size;
	assert(!file_read(AT_FDCWD, file->path, 0, 1 << 20, &bytes, &size, NULL));
	assert(size == file->size && !memcmp(bytes, file->bytes, size));
	free(bytes);
}

static size_t count_files(void)
{
	DIR *stream = opendir(root);
	size_t n = 0;
	assert(stream);
	for (const struct dirent *entry; (entry = readdir(stream));)
		n += entry->d_name[0] != '.';
	closedir(stream);
	return n;
}

static void put_in(const json_t *entry)
{
	struct confdir_look look;
	struct failure why = {0};
	confdir_look(root, NULL, entry, &look, &why);
	if (confdir_chain(root, NULL, entry, &why)) {
		assert(*why.text);
		return;
	}
	assert(!confdir_look(root, NULL, entry, &look, &why));
	assert(look.fresh);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct one_file files[FILES];
	struct failure why = {0};
	if (memmem(data, size, "podswitch", 9) || memmem(data, size, "\\u00", 4))
		return 0;
	begin();
	size_t n = put_files((const char *)data, size, files);
	json_t *entry = json_pack("{s:s, s:s}", "type", "podswitch-cni", "socket", "/run/podswitch/control.sock");
	put_in(entry);
	assert(!confdir_unchain(root, &why));
	for (size_t i = 0; i < n; i++)
		check_file(&files[i]);
	assert(count_files() == n);
	json_decref(entry);
	remove_all();
	return 0;
}
