/* SPDX-License-Identifier: Apache-2.0 */
/*
 * host_underlay.c - the node's own sockets, which gateways share, and the choice between them and a pod's
 *
 * All gateways of one UDP port on the host underlay share one set of sockets, a `struct host`. It is opened for the
 * first such gateway and closed after the last. Each worker's ring watches a receiver of its own, or several.
 *
 *    UNDERLAY_POD                        each port has sockets in its pod's namespace (port_binding.c)
 *    UNDERLAY_HOST, UNDERLAY_AUTO
 *      another gateway has this VNI      -EEXIST        The demux could not tell the two apart.
 *      there?
 *      a host of this UDP port is open?  use it
 *      the port belongs to a vxlan       -EADDRINUSE    A kernel device that is only about to be made would fail.
 *      device, or is 8472?
 *      else open it
 *    UNDERLAY_AUTO: after -EEXIST or -EADDRINUSE, the pod underlay
 *
 * Control thread.
 */
#include "vswitch/host_underlay.h"

#include "tap/base/log.h"
#include "tap/link.h"
#include "vswitch/housekeeping.h"
#include "vswitch/overruns.h"
#include "vswitch/path/worker.h"

#include <string.h>

#define KERNEL_VXLAN_PORT 8472 /* Linux's default before IANA assigned 4789; flannel and Cilium use it */

static struct host *host_find(struct vswitch *vs, uint16_t port)
{
	for (int i = 0; i < MAX_HOSTS; i++)
		if (vs->hosts[i].underlay && vs->hosts[i].underlay->port == port)
			return &vs->hosts[i];
	return NULL;
}

/* Refuses a UDP port that a kernel vxlan device uses or will use: with it, the node's own network would not come up. */
static int host_check_port(uint16_t port, struct failure *why)
{
	char device[IFNAMSIZ];
	if (port == KERNEL_VXLAN_PORT)
		return fail(
			why, -EADDRINUSE, "port",
			"UDP port 8472 is reserved for the node's own network (flannel, Cilium); use --underlay pod");
	int used = link_vxlan_on_port(port, device, why);
	if (used > 0)
		return fail(why, -EADDRINUSE, "port",
			    "UDP port %u is used by the node's vxlan device %s; use --underlay pod or another --port",
			    port, device);
	return used;
}

/* There are more receivers than workers when they are those of another podswitchd, which had more (handover.h). */
static struct worker *receiving_worker(const struct vswitch *vs, unsigned receiver)
{
	return &vs->workers[receiver % vs->options.workers];
}

static void host_close(struct vswitch *vs, struct host *host)
{
	for (unsigned i = 0; i < host->underlay->receivers; i++)
		for (int f = 0; f < UNDERLAY_FAMILIES; f++)
			worker_unwatch(receiving_worker(vs, i), host->watch[i][f]);
	overruns_count_host(vs, host->underlay);
	underlay_close(host->underlay);
	host->underlay = NULL;
}

/* Watches the receivers from this one on. */
static int host_watch(struct vswitch *vs, struct host *host, unsigned first)
{
	uint64_t tag = make_tag(TAG_HOST, (uint32_t)(host - vs->hosts));
	for (unsigned i = first; i < host->underlay->receivers; i++) {
		for (int f = 0; f < UNDERLAY_FAMILIES; f++) {
			int fd = host->underlay->family[f].receive[i];
			if (fd < 0)
				continue;
			host->watch[i][f] = worker_watch(receiving_worker(vs, i), RING_UDP, fd, tag);
			if (host->watch[i][f] < 0)
				return host->watch[i][f];
		}
	}
	return 0;
}

/* A slot that is free. NULL: there is none. */
static struct host *host_new(struct vswitch *vs, struct failure *why)
{
	for (int i = 0; i < MAX_HOSTS; i++) {
		struct host *host = &vs->hosts[i];
		if (host->underlay)
			continue;
		memset(host->watch, 0xff, sizeof(host->watch));
		return host;
	}
	fail(why, -ENOSPC, "port", "more than %d UDP ports on the host underlay; use --underlay pod", MAX_HOSTS);
	return NULL;
}

int host_adopt(struct vswitch *vs, struct underlay *underlay, struct failure *why)
{
	struct host *host = host_new(vs, why);
	if (!host) {
		underlay_close(underlay);
		return -ENOSPC;
	}
	host->underlay = underlay;
	int error = host_watch(vs, host, 0);
	if (!error)
		return 0;
	host_close(vs, host);
	return fail(why, error, NULL, "out of memory");
}

static int host_open(struct vswitch *vs, uint16_t port, struct host **out, struct failure *why)
{
	struct host *host = host_new(vs, why);
	if (!host)
		return -ENOSPC;
	int error = host_check_port(port, why);
	if (error)
		return error;
	do
		error = underlay_open(&host->underlay, port, vs->options.workers, UNDERLAY_HOST_SOURCES,
				      vs->options.vtep, vs->offloads.udp_gro, why);
	while (error == -EADDRINUSE && switch_settling(vs));
	if (error || !host->underlay)
		return error;
	error = host_watch(vs, host, 0);
	if (error) {
		host_close(vs, host);
		return fail(why, error, NULL, "out of memory");
	}
	*out = host;
	return 0;
}

/* Gateways that share sockets are told apart by source and VNI, so these must differ. */
static int host_check_distinct(const struct vswitch *vs, const struct gateway_config *config, struct failure *why)
{
	char text[ADDRESS_TEXT];
	for (unsigned i = 0; i < vs->n_gateways; i++) {
		const struct gateway *other = gateway_at(vs, i);
		if (other->pod_underlay || other->config.vni != config->vni || other->config.port != config->port ||
		    !strcmp(other->config.name, config->name))
			continue;
		if (!config->n_remotes && other->is_hub)
			return fail(why, -EEXIST, "vni",
				    "VNI %u on UDP port %u is that of hub '%s' already; use another "
				    "VNI or port, or --underlay pod",
				    config->vni, config->port, other->config.name);
		for (size_t a = 0; a < config->n_remotes; a++)
			for (size_t b = 0; b < other->config.n_remotes; b++)
				if (address_equal(&config->remotes[a].address, &other->config.remotes[b].address))
					return fail(why, -EEXIST, "remote",
						    "VNI %u of %s belongs to gateway '%s' already; use that one, or "
						    "--underlay pod",
						    config->vni, address_format(&config->remotes[a].address, text),
						    other->config.name);
	}
	return 0;
}

int underlay_choose(struct vswitch *vs, const struct gateway_config *config, struct underlay_choice *out,
		    struct failure *why)
{
	*out = (struct underlay_choice){.pod = true};
	if (config->underlay == UNDERLAY_POD)
		return 0;
	struct failure reason = {0};
	int error = host_check_distinct(vs, config, &reason);
	struct host *host = error ? NULL : host_find(vs, config->port);
	if (!error && !host)
		error = host_open(vs, config->port, &host, &reason);
	if (!error && host) {
		*out = (struct underlay_choice){.host = host->underlay};
		return 0;
	}
	if (config->underlay == UNDERLAY_AUTO && (error == -EADDRINUSE || error == -EEXIST)) {
		log_line(LOG_INFO, "gateway %s has the pod underlay: %s", config->name, reason.text);
		return 0;
	}
	*why = reason;
	return error;
}

void hosts_close_unused(struct vswitch *vs)
{
	for (int h = 0; h < MAX_HOSTS; h++) {
		struct host *host = &vs->hosts[h];
		bool used = false;
		for (unsigned i = 0; i < vs->n_gateways; i++)
			used |= gateway_at(vs, i)->host == host->underlay;
		if (host->underlay && !used)
			host_close(vs, host);
	}
}

/* So that each worker has one. Without, it works all the same. */
static void host_add_receivers(struct vswitch *vs, struct host *host)
{
	struct failure why = {0};
	unsigned had = host->underlay->receivers;
	int error = underlay_add_receivers(host->underlay, vs->options.workers, vs->options.vtep, &why);
	if (host_watch(vs, host, had) || error)
		log_line(LOG_WARNING, "not all workers receive on UDP port %u: %s", host->underlay->port, why.text);
}

void hosts_settle(struct vswitch *vs)
{
	hosts_close_unused(vs);
	for (int h = 0; h < MAX_HOSTS; h++)
		if (vs->hosts[h].underlay)
			host_add_receivers(vs, &vs->hosts[h]);
}
