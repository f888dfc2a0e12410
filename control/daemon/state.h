/* SPDX-License-Identifier: Apache-2.0 */
/*
 * state.h - what was configured, kept in files so that a restart takes it up again
 *
 * One directory, for its owner alone, with one file an object: gateways/NAME.json, ports/NAME.json, and
 * fdb/GATEWAY,MAC.json for static entries. A file holds the parameters of the method that adds the object. It is
 * written beside and renamed, so it is whole or not there. A lock file keeps a second podswitchd out. For one thread.
 */
#ifndef PODSWITCH_STATE_H
#define PODSWITCH_STATE_H

#include "tap/base/failure.h"

#include <jansson.h>
#include <stdbool.h>

enum state_kind { STATE_GATEWAY, STATE_PORT, STATE_FDB, STATE_KINDS };

struct state;

/*
 * Makes the directory when it is missing and locks it. -EBUSY when another process has it, named in the text; else
 * what the kernel said. Key "state_dir".
 */
int state_open(const char *path, struct state **out, struct failure *why);

/* Unlocks; NULL is accepted. */
void state_close(struct state *state);

/*
 * Writes or removes the file of one object. `name` has no '/' and does not start with '.', as names of objects do not.
 * 0 or a negative errno with key "state_dir"; removing what is not there succeeds.
 */
int state_put(struct state *state, enum state_kind kind, const char *name, const json_t *params, struct failure *why);
int state_remove(struct state *state, enum state_kind kind, const char *name, struct failure *why);

/*
 * Hands every object to `restore`, gateways first, then ports, then entries, each kind by name. What cannot be read,
 * or what `restore` refuses with an error, is renamed to NAME.json.bad with a warning. How many were taken up.
 */
typedef int state_restore(void *context, enum state_kind kind, const char *name, json_t *params, struct failure *why);
unsigned state_load(struct state *state, state_restore *restore, void *context);

/* Removes every object of a kind for which `keep` says no. 0 or the first error. */
int state_prune(struct state *state, enum state_kind kind, bool (*keep)(void *context, const char *name), void *context,
		struct failure *why);

#endif
