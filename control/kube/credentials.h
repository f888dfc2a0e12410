/* SPDX-License-Identifier: Apache-2.0 */
/*
 * credentials.h - the token and the authority certificates that the kubelet keeps current in files
 *
 * Both are replaced while a pod runs (tokens live for about an hour, authorities are rotated), so that each use looks
 * whether they have changed. What cannot be read any more stays as it was. One thread.
 */
#ifndef PODSWITCH_CREDENTIALS_H
#define PODSWITCH_CREDENTIALS_H

#include "tap/base/failure.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/stat.h>

struct credentials_file {
	char *path;      /* NULL: there is none */
	const char *key; /* "token_file", "ca_file" */
	size_t max;      /* bytes */
	char *text;      /* what it held, NUL after it */
	size_t length;
	struct stat seen; /* when it was read */
	bool complained;  /* the log knows that it cannot be read */
};

struct credentials {
	struct credentials_file token, ca;
	uint64_t read_at;    /* ms */
	unsigned generation; /* grows with each new token */
};

/* An empty or NULL path: none of that kind. 0, or a negative errno with key "token_file" or "ca_file". */
int credentials_open(struct credentials *credentials, const char *token_file, const char *ca_file, uint64_t now,
		     struct failure *why);

/* Reads what looks changed; all of it when `force` or when the last reading is KUBE_REFRESH_MS ago. */
void credentials_refresh(struct credentials *credentials, uint64_t now, bool force);

void credentials_close(struct credentials *credentials);

#endif
