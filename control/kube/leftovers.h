/* SPDX-License-Identifier: Apache-2.0 */
/*
 * leftovers.h - what podswitch has made beside its sockets on a node, to be removed when it is uninstalled
 */
#ifndef PODSWITCH_LEFTOVERS_H
#define PODSWITCH_LEFTOVERS_H

/*
 * Removes podswitchd's socket at `socket`, the agent's at `agent_socket`, and of the folder that the first is in
 * nothing but what has the name of something of ours: podswitchd's state, the plugin's notes, the agent's memory. The
 * folder may be /run itself. It stays, as it may be a mount. Any thread.
 */
void leftovers_remove(const char *socket, const char *agent_socket);

#endif
