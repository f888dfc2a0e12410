/* SPDX-License-Identifier: Apache-2.0 */
/*
 * leftovers.h - what podswitch has made beside its sockets on a node, to be removed when it is uninstalled
 */
#ifndef PODSWITCH_LEFTOVERS_H
#define PODSWITCH_LEFTOVERS_H

#include <stdbool.h>

/*
 * Removes the agent's socket at `agent_socket`, podswitchd's at `socket`, and of the folder that this is in nothing but
 * what has the name of something of ours: podswitchd's state, the plugin's notes, the agent's memory. The folder may be
 * /run itself. It stays, as it may be a mount. `podswitchd_runs`: what is podswitchd's stays, too. Any thread.
 */
void leftovers_remove(const char *socket, const char *agent_socket, bool podswitchd_runs);

#endif
