/* SPDX-License-Identifier: Apache-2.0 */
/*
 * credentials.h - the API server's token and CA certificates, which the kubelet keeps current in files. One thread.
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
	char *text;      /* its contents, with a NUL behind them */
	size_t length;
	struct stat seen; /* as it was when it was read */
	bool complained;  /* logged that it cannot be read */
};

struct credentials {
	struct credentials_file token, ca;
	uint64_t read_at;    /* ms */
	unsigned generation; /* one more with each new token */
};

/* An empty or NULL path: there is none. 0, or a negative errno with key "token_file" or "ca_file". */
int credentials_open(struct credentials *credentials, const char *token_file, const char *ca_file, uint64_t now,
		     struct failure *why);

/* Reads the files that look changed; both when `force`, or when they were read KUBE_REFRESH_MS ago. `now` in ms. */
void credentials_refresh(struct credentials *credentials, uint64_t now, bool force);

void credentials_close(struct credentials *credentials);

#endif
