/* SPDX-License-Identifier: Apache-2.0 */
/*
 * credentials.c - the API server's token and CA certificates, which the kubelet keeps current in files
 *
 * Tokens live about an hour, and authorities are rotated, both while the pod runs. So before each transfer stat(2)
 * tells whether a file changed, and every KUBE_REFRESH_MS, or after a 401, it is read in any case. A file that cannot
 * be read or used leaves what it held before in force; that is logged once. `generation` counts the tokens, so that a
 * request that got a 401 can tell whether there is a newer one than its own.
 *
 * One thread.
 */
#include "control/kube/credentials.h"
#include "control/kube/api.h"
#include "tap/base/file.h"
#include "tap/base/log.h"

#include <fcntl.h>
#include <stdlib.h>
#include <string.h>

#define MAX_TOKEN 65536
#define MAX_CA (1u << 20)

/* A token becomes a header line, so nothing in it may end that line. */
static bool trim_token(char *text, size_t *length)
{
	while (*length && strchr(" \t\r\n", text[*length - 1]))
		text[--*length] = '\0';
	for (size_t i = 0; i < *length; i++)
		if (text[i] <= ' ' || text[i] > '~')
			return false;
	return *length > 0;
}

static bool usable(const struct credentials_file *file, char *text, size_t *length)
{
	return strcmp(file->key, "token_file") ? *length > 0 : trim_token(text, length);
}

/* 1 when the contents changed, 0 when not, or a negative errno, with the old contents kept. */
static int file_load(struct credentials_file *file)
{
	struct stat seen;
	size_t length;
	char *text = NULL;

	int error = file_read(AT_FDCWD, file->path, 0, file->max, &text, &length, &seen);
	if (!error && !usable(file, text, &length))
		error = -EBADMSG;
	if (error) {
		free(text);
		return error;
	}
	bool same = file->text && file->length == length && !memcmp(file->text, text, length);
	free(file->text);
	file->text = text;
	file->length = length;
	file->seen = seen;
	return !same;
}

static bool looks_same(const struct credentials_file *file)
{
	struct stat now;

	return !stat(file->path, &now) && file_unchanged(&now, &file->seen);
}

/* Returns whether the contents changed. */
static bool file_refresh(struct credentials_file *file, bool force)
{
	if (!file->path || (!force && looks_same(file)))
		return false;
	int error = file_load(file);
	if (error < 0 && !file->complained)
		log_line(LOG_WARNING, "%s: %s: what it held before is still used", file->path, strerror(-error));
	file->complained = error < 0;
	return error > 0;
}

static int file_open(struct credentials_file *file, const char *path, const char *key, size_t max, struct failure *why)
{
	*file = (struct credentials_file){.key = key, .max = max};
	if (!path || !*path)
		return 0;
	file->path = strdup(path);
	if (!file->path)
		return fail(why, -ENOMEM, key, "out of memory");
	int error = file_load(file);
	if (error == -EBADMSG)
		return fail(why, error, key, "%s is empty, or not what it should be", path);
	if (error < 0)
		return fail(why, error, key, "cannot read %s: %s", path, strerror(-error));
	return 0;
}

int credentials_open(struct credentials *credentials, const char *token_file, const char *ca_file, uint64_t now,
		     struct failure *why)
{
	*credentials = (struct credentials){.read_at = now};
	int error = file_open(&credentials->token, token_file, "token_file", MAX_TOKEN, why);
	if (!error)
		error = file_open(&credentials->ca, ca_file, "ca_file", MAX_CA, why);
	if (error)
		credentials_close(credentials);
	return error;
}

void credentials_refresh(struct credentials *credentials, uint64_t now, bool force)
{
	if (now - credentials->read_at >= KUBE_REFRESH_MS)
		force = true;
	if (force)
		credentials->read_at = now;
	if (file_refresh(&credentials->token, force))
		credentials->generation++;
	file_refresh(&credentials->ca, force);
}

static void file_close(struct credentials_file *file)
{
	free(file->path);
	free(file->text);
	*file = (struct credentials_file){0};
}

void credentials_close(struct credentials *credentials)
{
	file_close(&credentials->token);
	file_close(&credentials->ca);
}
