/* SPDX-License-Identifier: Apache-2.0 */
/* port_config.h - a port as it was asked for: is it valid, and is it the same as before? Any thread. */
#ifndef PODSWITCH_PORT_CONFIG_H
#define PODSWITCH_PORT_CONFIG_H

#include "vswitch/path/model.h"

/* 0, or -EINVAL for an invalid configuration. Does not look at other ports or at the pod. */
int port_check_config(const struct port_config *config, struct failure *why);

/* Between probes of the port's router, ms; 0: no probes. */
unsigned port_probe_interval(const struct port_config *config);

/* Whether `config` asks for the same as when the port was added or last changed. */
bool port_is_same(const struct port *port, const struct port_config *config);

#endif
