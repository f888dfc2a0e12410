/* SPDX-License-Identifier: Apache-2.0 */
/* port_config.h - what was asked for of a port: whether it makes sense, and whether it is the same as before */
#ifndef PODSWITCH_PORT_CONFIG_H
#define PODSWITCH_PORT_CONFIG_H

#include "vswitch/path/model.h"

/* Refuses with -EINVAL what cannot be, without looking at other ports or the pod. */
int port_check_config(const struct port_config *config, struct failure *why);

/* The link as it was asked for: without the MAC and MTU that we derive where none are given. */
struct link_config port_wanted_link(const struct port_config *config);

/* Whether `config` asks for what was asked for when the port was added or last changed. */
bool port_is_same(const struct port *port, const struct port_config *config);

#endif
