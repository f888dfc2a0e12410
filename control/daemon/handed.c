/* SPDX-License-Identifier: Apache-2.0 */
/* handed.c - the lines by which one podswitchd hands its switch over to another */
#include "control/daemon/handed.h"

#include "control/base/json.h"

#include <string.h>

/* ---- writing ---- */

static json_t *sockets_json(const struct underlay *underlay, int fds[static FD_STREAM_MAX], size_t *n)
{
	struct underlay_shape shape;
	_Static_assert(UNDERLAY_MAX_FDS + 2 <= FD_STREAM_MAX, "a port's descriptors fit one line");
	*n += underlay_descriptors(underlay, &shape, fds + *n);
	return json_pack("{s:i, s:i, s:i, s:b}", "port", shape.port, "receivers", (int)shape.receivers, "sources",
			 (int)shape.sources, "ip6", shape.has[UNDERLAY_IP6]);
}

json_t *handed_host_line(const struct underlay *host, int fds[static FD_STREAM_MAX], size_t *n)
{
	*n = 0;
	return json_pack("{s:o}", "host", sockets_json(host, fds, n));
}

json_t *handed_gateway_line(const struct handed_gateway *gateway)
{
	return json_pack("{s:{s:s, s:b}}", "gateway", "name", gateway->name, "pod_underlay", gateway->pod_underlay);
}

static json_t *time_json(uint64_t ms)
{
	return json_integer(ms > INT64_MAX ? -1 : (json_int_t)ms);
}

static json_t *lease_json(const struct dhcp_lease *lease)
{
	char address[ADDRESS_TEXT], router[ADDRESS_TEXT], server[ADDRESS_TEXT], mac[MAC_TEXT];
	return json_pack("{s:s, s:s, s:s, s:s, s:i, s:I, s:o, s:o, s:o}", "address",
			 prefix_format(&lease->address, address), "router", address_format(&lease->router, router),
			 "server", address_format(&lease->server, server), "server_mac",
			 mac_format(&lease->server_mac, mac), "mtu", (int)lease->mtu, "seconds",
			 (json_int_t)lease->seconds, "renew_at", time_json(lease->renew_at), "rebind_at",
			 time_json(lease->rebind_at), "expires_at", time_json(lease->expires_at));
}

static json_t *handed_client_json(const struct gateway_client_status *client)
{
	json_t *object = json_pack("{s:b, s:o, s:o, s:I}", "ready", client->state == CLIENT_READY, "answered_at",
				   time_json(client->answered_at), "path_answered_at",
				   time_json(client->path_answered_at), "path_took", (json_int_t)client->path_took);
	if (client->has_lease)
		json_object_set_new(object, "lease", lease_json(&client->lease));
	return object;
}

json_t *handed_port_line(const struct handed_port *port, int fds[static FD_STREAM_MAX], size_t *n)
{
	char text[ADDRESS_TEXT];
	json_t *vteps = json_array();
	for (unsigned i = 0; i < port->n_vteps; i++)
		json_array_append_new(vteps, json_string(address_format(&port->vteps[i], text)));
	json_t *object =
		json_pack("{s:s, s:b, s:o}", "name", port->name, "refuses_tso", port->refuses_tso, "vteps", vteps);
	fds[0] = port->tap;
	fds[1] = port->netns;
	*n = 2;
	if (port->underlay)
		json_object_set_new(object, "sockets", sockets_json(port->underlay, fds, n));
	if (port->has_client)
		json_object_set_new(object, "client", handed_client_json(&port->client));
	return json_pack("{s:o}", "port", object);
}

json_t *handed_learned_line(const struct fdb_status *entry)
{
	char mac[MAC_TEXT], remote[ADDRESS_TEXT];
	json_t *object = json_pack("{s:s, s:s, s:i}", "gateway", entry->gateway, "mac", mac_format(&entry->mac, mac),
				   "age", (int)entry->age);
	if (entry->port)
		json_object_set_new(object, "port", json_string(entry->port));
	else if (entry->remote)
		json_object_set_new(object, "remote", json_string(endpoint_format(entry->remote, remote)));
	return json_pack("{s:o}", "learned", object);
}

/* ---- reading ---- */

static int refuse_line(const char *what, struct failure *why)
{
	return fail(why, -EPROTO, NULL, "the other podswitchd describes %s in a way that makes no sense", what);
}

/* The integer member `key`, or -1 where it is none or not from 0 to `most`. */
static long long number_of(const json_t *object, const char *key, long long most)
{
	const json_t *value = json_object_get(object, key);
	long long number = json_is_integer(value) ? json_integer_value(value) : -1;
	return number < 0 || number > most ? -1 : number;
}

static bool handed_name(const json_t *object, const char *key, char out[static SWITCH_NAME])
{
	const char *name = json_text(object, key);
	if (!switch_name_valid(name))
		return false;
	memcpy(out, name, strlen(name) + 1);
	return true;
}

static bool is_true(const json_t *object, const char *key)
{
	return json_is_true(json_object_get(object, key));
}

static int read_handed_sockets(const json_t *sockets, struct fd_stream *stream, const struct address vtep[2], bool gro,
			       struct underlay **out, struct failure *why)
{
	long long port = number_of(sockets, "port", 65535), has = number_of(sockets, "receivers", SWITCH_MAX_WORKERS),
		  sources = number_of(sockets, "sources", UNDERLAY_HOST_SOURCES);
	int fds[UNDERLAY_MAX_FDS];
	if (port < 1 || has < 1 || sources < 1)
		return refuse_line("sockets", why);
	struct underlay_shape shape = {.port = (uint16_t)port,
				       .receivers = (unsigned)has,
				       .sources = (unsigned)sources,
				       .has = {true, is_true(sockets, "ip6")}};
	size_t n = (size_t)(has + sources + 1) * (shape.has[UNDERLAY_IP6] ? 2 : 1);
	int error = fd_stream_take(stream, fds, n, why);
	return error ? error : underlay_assemble(out, &shape, fds, n, vtep, gro, why);
}

int handed_read_host(const json_t *line, struct fd_stream *stream, const struct switch_options *options,
		     struct underlay **out, struct failure *why)
{
	return read_handed_sockets(line, stream, options->vtep, options->offloads.udp_gro, out, why);
}

int handed_read_gateway(const json_t *line, char name[static SWITCH_NAME], bool *pod_underlay, struct failure *why)
{
	*pod_underlay = is_true(line, "pod_underlay");
	return handed_name(line, "name", name) ? 0 : refuse_line("a gateway", why);
}

static uint64_t time_of(const json_t *object, const char *key)
{
	long long ms = number_of(object, key, INT64_MAX);
	return ms < 0 ? UINT64_MAX : (uint64_t)ms;
}

/* 0 for never, as in a gateway_client_status. */
static uint64_t moment_of(const json_t *object, const char *key)
{
	uint64_t ms = time_of(object, key);
	return ms == UINT64_MAX ? 0 : ms;
}

static bool read_lease(const json_t *object, struct dhcp_lease *out)
{
	long long mtu = number_of(object, "mtu", 65535), seconds = number_of(object, "seconds", UINT32_MAX);
	*out = (struct dhcp_lease){.mtu = mtu < 0 ? 0 : (unsigned)mtu,
				   .seconds = seconds < 0 ? 0 : (uint32_t)seconds,
				   .renew_at = time_of(object, "renew_at"),
				   .rebind_at = time_of(object, "rebind_at"),
				   .expires_at = time_of(object, "expires_at")};
	(void)address_parse(json_text(object, "router"), &out->router);
	(void)mac_parse(json_text(object, "server_mac"), &out->server_mac);
	return seconds > 0 && !prefix_parse(json_text(object, "address"), &out->address) &&
	       !address_parse(json_text(object, "server"), &out->server) && out->address.address.family == AF_INET &&
	       out->server.family == AF_INET && (!out->router.family || out->router.family == AF_INET);
}

static void read_handed_client(const json_t *object, struct handed_port *out)
{
	const json_t *lease = json_object_get(object, "lease");
	out->has_client = json_is_object(object);
	out->client = (struct gateway_client_status){
		.state = is_true(object, "ready") ? CLIENT_READY : CLIENT_PROBING,
		.answered_at = moment_of(object, "answered_at"),
		.path_answered_at = moment_of(object, "path_answered_at"),
		.path_took = moment_of(object, "path_took"),
	};
	out->client.has_lease = lease && read_lease(lease, &out->client.lease);
}

int handed_read_port(const json_t *line, struct fd_stream *stream, const struct switch_options *options,
		     struct handed_port_line *out, struct failure *why)
{
	static const struct address any[2];
	const json_t *sockets = json_object_get(line, "sockets"), *vteps = json_object_get(line, "vteps");
	int fds[2];
	*out = (struct handed_port_line){.port = {.tap = -1, .netns = -1}};
	if (!handed_name(line, "name", out->name))
		return refuse_line("a port", why);
	int error = fd_stream_take(stream, fds, 2, why);
	if (error)
		return error;
	struct handed_port *port = &out->port;
	*port = (struct handed_port){.tap = fds[0], .netns = fds[1], .refuses_tso = is_true(line, "refuses_tso")};
	for (size_t i = 0; i < json_array_size(vteps) && port->n_vteps < HANDED_VTEPS; i++) {
		const char *text = json_string_value(json_array_get(vteps, i));
		if (text && !address_parse(text, &out->vteps[port->n_vteps]))
			port->n_vteps++;
	}
	read_handed_client(json_object_get(line, "client"), port);
	if (sockets)
		error = read_handed_sockets(sockets, stream, any, options->offloads.udp_gro, &port->underlay, why);
	if (error)
		handed_port_close(port);
	return error;
}

void handed_read_learned(const json_t *line, struct vswitch *vs)
{
	struct mac mac;
	struct endpoint remote;
	const char *port = json_text(line, "port");
	long long age = number_of(line, "age", UINT32_MAX);
	bool is_remote = !endpoint_parse(json_text(line, "remote"), &remote);
	if (age >= 0 && !mac_parse(json_text(line, "mac"), &mac) && mac_is_unicast(&mac) && is_remote == !*port)
		handover_learn(vs, json_text(line, "gateway"), &mac, is_remote ? NULL : port,
			       is_remote ? &remote : NULL, (unsigned)age);
}

/* ---- counters ---- */

static uint64_t counter_of(const json_t *object, const char *key)
{
	long long count = number_of(object, key, INT64_MAX);
	return count < 0 ? 0 : (uint64_t)count;
}

static void read_drops(const json_t *object, uint64_t drops[static DROP_COUNT])
{
	const json_t *reasons = json_object_get(object, "drops");
	for (int reason = 0; reason < DROP_COUNT; reason++)
		drops[reason] = counter_of(reasons, drop_name((enum drop)reason));
}

void handed_read_counted(const json_t *line, struct vswitch *vs)
{
	struct port_counters port = {counter_of(line, "rx_frames"),
				     counter_of(line, "rx_bytes"),
				     counter_of(line, "tx_frames"),
				     counter_of(line, "tx_bytes"),
				     {0}};
	struct gateway_counters gateway = {
		.encap_frames = counter_of(line, "encap_frames"),
		.encap_bytes = counter_of(line, "encap_bytes"),
		.tx_datagrams = counter_of(line, "tx_datagrams"),
		.tx_bytes = counter_of(line, "tx_bytes"),
		.rx_datagrams = counter_of(line, "rx_datagrams"),
		.rx_bytes = counter_of(line, "rx_bytes"),
		.held_moves = counter_of(line, "held_moves"),
		.evicted_macs = counter_of(line, "evicted_macs"),
		.evicted_remotes = counter_of(line, "evicted_remotes"),
	};
	uint64_t drops[DROP_COUNT];
	read_drops(line, drops);
	memcpy(port.drops, drops, sizeof(drops));
	memcpy(gateway.drops, drops, sizeof(drops));
	if (*json_text(line, "port"))
		handover_count_port(vs, json_text(line, "port"), &port);
	else if (*json_text(line, "gateway"))
		handover_count_gateway(vs, json_text(line, "gateway"), &gateway);
	else
		handover_count_drops(vs, drops);
}
