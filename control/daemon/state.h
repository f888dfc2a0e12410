/* SPDX-License-Identifier: Apache-2.0 */
/*
 * state.h - the configuration, kept in files so that a restart restores it
 *
 * One directory, for its owner alone, with one file per object: gateways/NAME.json, ports/NAME.json, and
 * fdb/GATEWAY,MAC.json for static entries. A file has the parameters of the method that adds the object. A lock file
 * keeps a second podswitchd out. One thread.
 */
#ifndef PODSWITCH_STATE_H
#define PODSWITCH_STATE_H

#include "tap/base/failure.h"

#include <jansson.h>
#include <stdbool.h>

enum state_kind { STATE_GATEWAY, STATE_PORT, STATE_FDB, STATE_KINDS };

struct state;

/*
 * Makes the directory if needed, and locks it. 0, -EBUSY (another process holds it; the text has its id), or what the
 * kernel says. Key "state_dir".
 */
int state_open(const char *path, struct state **out, struct failure *why);

/*
 * The same with the lock of another process, which it gives up to us: its descriptor from state_lock_fd(), taken in any
 * case. -EXDEV: it is the lock of another directory. state_own() then writes our id into it.
 */
int state_open_locked(const char *path, int lock, struct state **out, struct failure *why);
int state_lock_fd(const struct state *state);
int state_own(struct state *state, struct failure *why);

/* Unlocks; NULL is accepted. */
void state_close(struct state *state);

/*
 * Writes or removes the file of one object. `name` has no '/' and does not start with '.': names of objects do not. 0
 * or a negative errno with key "state_dir"; removing a missing file succeeds.
 */
int state_put(struct state *state, enum state_kind kind, const char *name, const json_t *params, struct failure *why);
int state_remove(struct state *state, enum state_kind kind, const char *name, struct failure *why);

/*
 * Calls `restore` for every object: gateways first, then ports, then FDB entries, each kind sorted by name. A file that
 * cannot be understood (damaged, or `restore` says -EINVAL) is renamed to NAME.json.bad with a warning. One that fails
 * for any other reason, as for want of memory, of descriptors or of a port that somebody else has, stays and waits for
 * state_retry(). Returns how many were restored.
 */
typedef int state_restore(void *context, enum state_kind kind, const char *name, json_t *params, struct failure *why);
unsigned state_load(struct state *state, state_restore *restore, void *context);

/*
 * Tries those again that wait, in the same order. Writing or removing an object takes it off the list. Returns how many
 * were restored.
 */
unsigned state_retry(struct state *state, state_restore *restore, void *context);

/* Whether an object waits to be restored. */
bool state_waits(const struct state *state, enum state_kind kind, const char *name);

/* Removes the objects of a kind for which `keep` returns false, but for those that wait. 0 or the first error. */
int state_prune(struct state *state, enum state_kind kind, bool (*keep)(void *context, const char *name), void *context,
		struct failure *why);

#endif
