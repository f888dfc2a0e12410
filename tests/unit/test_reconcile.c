/* SPDX-License-Identifier: Apache-2.0 */
/*
 * test_reconcile.c - pods, gateways and endpoints come, change and go: what podswitchd is told, what the plugin and
 * people
 *
 * The cluster is the real cluster.c with watches that the test fills; podswitchd is a record behind the real control
 * socket; time is what the test says it is. Events go into a list, and pods' network namespaces come from a variable.
 */
#include "control/kube/adopt.c"
#include "control/kube/agent_methods.c"
#include "control/kube/attachments.c"
#include "control/kube/first_interface.c"
#include "control/kube/gateway_path.c"
#include "control/kube/namespace_check.c"
#include "control/kube/reconcile.c"
#include "control/kube/reconciler.c"
#include "control/kube/retire.c"
#include "control/kube/running_pods.c"
#include "control/kube/same_address.c"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#undef fail /* cmocka has a macro of the name of our function */

#include "tests/unit/fake_podswitchd.h"
#include "tests/unit/fake_watch.h"
#include "tests/unit/shell.h"

#define PODS "pods of this node"
#define C1 "c1c1c1c1c1c1c1c1c1c1"
#define C2 "c2c2c2c2c2c2c2c2c2c2"
#define UID "0123456789ab-cdef-0123"
#define TV "media.tv@c1c1c1c1c1c1"
#define VPN(ip) "media.vpn@" ip

static char told[8192]; /* "REASON POD|" of each Event */
static char last_message[1024];
static const char *netns_answer;
static unsigned searches;

void events_send(struct kube *kube, const char *node, const json_t *pod, bool warning, const char *reason,
		 const char *message)
{
	size_t used = strlen(told);

	(void)kube;
	(void)warning;
	assert_string_equal(node, "n1");
	snprintf(told + used, sizeof(told) - used, "%s %s|", reason,
		 fake_text(json_object_get(pod, "metadata"), "name"));
	snprintf(last_message, sizeof(last_message), "%s", message);
}

static struct kube_request surveyed; /* the last request of a survey, or for pods with the same address */
static char surveyed_path[512];

int kube_request(struct kube *kube, const struct kube_request *request, struct failure *why)
{
	(void)kube;
	(void)why;
	surveyed = *request;
	snprintf(surveyed_path, sizeof(surveyed_path), "%s", request->path);
	return 0;
}

void kube_cancel(struct kube *kube, const void *context)
{
	(void)kube;
	(void)context;
}

int find_netns(const char *uid, char *out, size_t size)
{
	searches++;
	if (!netns_answer)
		return -ENOENT;
	assert_true(*uid);
	snprintf(out, size, "%s", netns_answer);
	return 0;
}

static bool namespace_is_there = true;

bool find_is_namespace(const char *path)
{
	assert_true(*path);
	return namespace_is_there;
}

void find_netns_of_runtime(const char *path, int runtime, char *out, size_t size)
{
	snprintf(out, size, "%s%s", runtime == 77 ? "/proc/77/root" : "", path);
}

struct fixture {
	char directory[64], tombstones[96], memory[96], socket[96];
	struct fake_podswitchd p;
	struct cluster *cluster;
	struct podswitchd *daemon;
	struct choose_policy policy;
	struct reconciler_config config;
	struct reconciler *attach;
	uint64_t now;
	json_t *result;
	struct failure why;
	int code;
};

static void on_change(void *context)
{
	struct fixture *f = context;

	if (f->attach)
		reconciler_wake(f->attach);
}

/* ---- the cluster ---- */

static void put_pod(const char *namespace, const char *name, const char *uid, const char *annotations)
{
	char text[1024];

	snprintf(text, sizeof(text),
		 "{'metadata':{'namespace':'%s','name':'%s','uid':'%s','annotations':{%s}},"
		 "'spec':{'containers':[{'name':'app'}]},'status':{'phase':'Running'}}",
		 namespace, name, uid, annotations);
	watch_say(PODS, text);
}

static void put_namespace(const char *name, const char *annotations)
{
	char text[512];

	snprintf(text, sizeof(text), "{'metadata':{'name':'%s','annotations':{%s}}}", name, annotations);
	watch_say("namespaces", text);
}

static void put_service(const char *name, const char *annotations)
{
	char text[1024];

	snprintf(text, sizeof(text),
		 "{'metadata':{'namespace':'media','name':'%s','annotations':{%s}},"
		 "'spec':{'clusterIP':'None','selector':{'app':'%s'}}}",
		 name, annotations, name);
	watch_say("services", text);
}

/* Ready endpoints of a Service of `media`, blanks between. */
static void put_endpoints(const char *service, const char *addresses)
{
	char text[2048];
	int used = snprintf(text, sizeof(text),
			    "{'metadata':{'namespace':'media','name':'%s-1','labels':{'kubernetes.io/service-name':"
			    "'%s'}},'endpoints':[",
			    service, service);

	for (const char *at = addresses; *at; at += strspn(at, " ")) {
		int length = (int)strcspn(at, " ");
		used += snprintf(text + used, sizeof(text) - (size_t)used, "%s{'addresses':['%.*s']}",
				 at == addresses ? "" : ",", length, at);
		at += length;
	}
	snprintf(text + used, sizeof(text) - (size_t)used, "],'ports':[{'protocol':'UDP','port':8472}]}");
	watch_say("endpointslices", text);
}

#define ASKS_VPN "'podswitch.io/gateway':'vpn'"

static void fill_cluster(void)
{
	watch_fill(PODS, "[]");
	watch_fill("namespaces", "[{'metadata':{'name':'media'}},{'metadata':{'name':'games'}}]");
	watch_fill("services", "[]");
	watch_fill("endpointslices", "[]");
	watch_fill("nodes", "[{'metadata':{'name':'n1'},'spec':{'podCIDR':'10.244.1.0/24'}}]");
	put_service("vpn", "");
	put_endpoints("vpn", "10.244.2.7");
}

/* ---- opening, closing, time ---- */

static void open_agent(struct fixture *f)
{
	f->daemon = podswitchd_new(f->p.path);
	f->config.podswitchd = f->daemon;
	assert_int_equal(reconciler_open(&f->config, &f->attach, &f->why), 0);
}

static void close_agent(struct fixture *f)
{
	reconciler_close(f->attach);
	f->attach = NULL;
	podswitchd_free(f->daemon);
}

static void open_cluster(struct fixture *f)
{
	const struct cluster_config config = {.node = "n1", .changed = on_change, .context = f};

	assert_int_equal(cluster_open(NULL, &config, &f->cluster, &f->why), 0);
	f->config.cluster = f->cluster;
}

static int set_up(void **state)
{
	struct fixture *f = calloc(1, sizeof(*f));

	log_set_level(LOG_ERROR);
	told[0] = '\0';
	netns_answer = NULL;
	strcpy(f->directory, "/dev/shm/podswitch-attach-XXXXXX");
	assert_non_null(mkdtemp(f->directory));
	snprintf(f->tombstones, sizeof(f->tombstones), "%s/tombstones", f->directory);
	snprintf(f->socket, sizeof(f->socket), "%s/control.sock", f->directory);
	snprintf(f->memory, sizeof(f->memory), "%s/configured", f->directory);
	fake_podswitchd_open(&f->p, f->directory);
	f->policy = (struct choose_policy){.pod_annotations = true, .cluster_domain = "cluster.local"};
	f->config = (struct reconciler_config){.node = "n1",
					       .policy = &f->policy,
					       .underlay = "pod",
					       .probe = 10,
					       .running = true,
					       .socket = f->socket,
					       .memory = f->memory};
	f->now = 1000000;
	open_cluster(f);
	open_agent(f);
	*state = f;
	return 0;
}

static int set_up_filled(void **state)
{
	int error = set_up(state);

	fill_cluster();
	return error;
}

static int tear_down(void **state)
{
	struct fixture *f = *state;

	close_agent(f);
	cluster_close(f->cluster);
	fake_podswitchd_close(&f->p);
	json_decref(f->result);
	assert_int_equal(shell_status(f->directory, "rm -rf $D"), 0);
	free(f);
	return 0;
}

/* Pauses after what took long are of real time: on a busy machine anything may have. */
static void turn(struct fixture *f, unsigned milliseconds)
{
	f->now += milliseconds;
	f->attach->paused_until = f->attach->first.due = 0;
	do
		reconciler_turn(f->attach, f->now);
	while (reconciler_goes_on(f->attach));
}

/* Turns until podswitchd's news has come, which it does by another thread. */
static void hear_news(struct fixture *f, const char *port, const char *event)
{
	struct pollfd news = {.fd = podswitchd_events_fd(f->daemon), .events = POLLIN};

	assert_true(news.fd >= 0);
	podswitchd_event(&f->p, event, port);
	assert_int_equal(poll(&news, 1, 20000), 1);
	turn(f, 1);
}

/* ---- asking, and what came of it ---- */

static bool is_ready(void *context, const char **reason)
{
	struct fixture *f = context;
	return reconciler_ready(f->attach, reason);
}

static const char *call_agent(struct fixture *f, const char *method, json_t *params)
{
	json_decref(f->result);
	f->result = NULL;
	f->why = (struct failure){0};
	struct agent_methods methods = {.reconciler = f->attach, .instance = "new", .ready = is_ready, .context = f};
	f->code = agent_methods_call(&methods, NULL, method, params, &f->result, &f->why);
	json_decref(params);
	if (f->code)
		return f->code == -32020 ? "refused" : "failed";
	assert_non_null(f->result);
	return fake_text(f->result, "state");
}

static json_t *question(const char *container, const char *namespace, const char *pod)
{
	return json_pack("{s:s, s:s, s:s, s:s, s:s, s:s}", "container_id", container, "ifname", "vx0", "netns",
			 "/run/netns/x", "namespace", namespace, "pod", pod, "uid", "");
}

static const char *add(struct fixture *f, const char *container, const char *pod)
{
	return call_agent(f, "attachment.add", question(container, "media", pod));
}

static const char *add_configured(struct fixture *f, const char *container, const char *pod, const char *gateway)
{
	json_t *params = question(container, "media", pod);

	json_object_set_new(params, "gateway", json_string(gateway));
	return call_agent(f, "attachment.add", params);
}

static const char *check(struct fixture *f, const char *container, const char *pod)
{
	return call_agent(f, "attachment.check", question(container, "media", pod));
}

static const char *reason_of(const struct fixture *f)
{
	return fake_text(f->result, "reason");
}

static json_t *port_of(struct fixture *f, const char *name)
{
	return json_object_get(f->p.ports, name);
}

/* The gateway that podswitchd's port is at; "" when there is no port. */
static const char *place_of(struct fixture *f, const char *name)
{
	return fake_text(port_of(f, name), "gateway");
}

/* Whether podswitchd was given this network for the port's first interface. */
static bool port_keeps(struct fixture *f, const char *port, const char *network)
{
	const json_t *list = json_object_get(port_of(f, port), "keep");

	for (size_t i = 0; i < json_array_size(list); i++)
		if (!strcmp(json_string_value(json_array_get(list, i)), network))
			return true;
	return false;
}

static unsigned times_told(const char *what)
{
	unsigned n = 0;

	for (const char *at = told; (at = strstr(at, what)); at++)
		n++;
	return n;
}

/* How often podswitchd was told this. */
static unsigned times_ordered(const struct fixture *f, const char *what)
{
	unsigned n = 0;
	size_t i;
	const json_t *line;

	json_array_foreach(f->p.log, i, line)
	{
		n += !strcmp(json_string_value(line), what);
	}
	return n;
}

/* A pod of media that asks for vpn and is at it. */
static void make_ready(struct fixture *f)
{
	put_pod("media", "tv", UID, ASKS_VPN);
	turn(f, 1);
	assert_string_equal(add(f, C1, "tv"), "ready");
}

/* ---- ADD ---- */

static void without_gateway(void **state)
{
	struct fixture *f = *state;

	put_pod("media", "tv", UID, "");
	turn(f, 1);
	assert_string_equal(add(f, C1, "tv"), "none");
	turn(f, RECONCILER_PERIOD);
	assert_int_equal(json_object_size(f->p.ports), 0);
	assert_int_equal(f->p.changes, 0);
	assert_string_equal(told, "");
	assert_string_equal(check(f, C1, "tv"), "none");
	assert_null(f->attach->attachments);
}

static void with_gateway(void **state)
{
	struct fixture *f = *state;
	struct reconciler_counters counters;

	make_ready(f);
	assert_string_equal(fake_text(f->result, "name"), TV);
	assert_string_equal(fake_text(f->result, "gateway"), "media/vpn");
	assert_string_equal(fake_text(f->result, "router"), "172.16.0.1");
	assert_string_equal(fake_text(f->result, "ifname"), "vx0");
	assert_int_equal(json_integer_value(json_object_get(f->result, "mtu")), 1400);
	assert_string_equal(json_string_value(json_array_get(json_object_get(f->result, "addresses"), 0)),
			    "172.16.0.57/24");
	const json_t *port = port_of(f, TV);
	assert_string_equal(fake_text(port, "netns"), "/run/netns/x");
	assert_string_equal(fake_text(port, "hostname"), "tv");
	assert_string_equal(fake_text(port, "dns"), "cluster");
	assert_false(json_is_true(json_object_get(port, "inbound")));
	assert_true(json_is_true(json_object_get(port, "own_addresses")));
	assert_string_equal(fake_text(port, "network"), "none");
	assert_string_equal(fake_text(port, "gateway"), VPN("10.244.2.7"));
	assert_string_equal(fake_text(port, "mac"), fake_text(f->result, "mac"));
	assert_true(json_is_true(json_object_get(port, "exclusive")));
	assert_true(json_is_true(json_object_get(port, "dhcp")));
	assert_int_equal(json_integer_value(json_object_get(port, "probe")), 10);
	assert_true(port_keeps(f, TV, "10.244.1.0/24") && port_keeps(f, TV, "169.254.0.0/17"));
	const json_t *gateway = json_object_get(f->p.gateways, VPN("10.244.2.7"));
	assert_int_equal(json_integer_value(json_object_get(gateway, "vni")), 42);
	assert_int_equal(json_integer_value(json_object_get(gateway, "port")), 8472);
	assert_string_equal(json_string_value(json_array_get(json_object_get(gateway, "remote"), 0)), "10.244.2.7");
	unsigned changes = f->p.changes;
	assert_string_equal(add(f, C1, "tv"), "ready");
	turn(f, RECONCILER_PERIOD);
	turn(f, RECONCILER_PERIOD);
	assert_int_equal(f->p.changes, changes);
	assert_string_equal(told, "GatewayAttached tv|");
	reconciler_count(f->attach, &counters);
	assert_int_equal(counters.ready, 1);
	assert_int_equal(counters.seconds->n, 1);
}

static void static_address(void **state)
{
	struct fixture *f = *state;

	put_pod("media", "tv", UID, ASKS_VPN ",'podswitch.io/address':'172.16.0.10'");
	turn(f, 1);
	assert_string_equal(add(f, C1, "tv"), "ready");
	const json_t *port = port_of(f, TV);
	assert_true(json_is_false(json_object_get(port, "dhcp")));
	assert_string_equal(fake_text(port, "address"), "172.16.0.10/24");
	assert_string_equal(fake_text(port, "default_via"), "172.16.0.1");
	/* Live: by DHCP from now on. */
	put_pod("media", "tv", UID, ASKS_VPN);
	turn(f, 1);
	assert_true(json_is_true(json_object_get(port_of(f, TV), "dhcp")));
	assert_string_equal(fake_text(port_of(f, TV), "address"), "none");
	assert_string_equal(fake_text(port_of(f, TV), "default_via"), "none");
}

static void unknown_gateway_appears(void **state)
{
	struct fixture *f = *state;

	put_pod("media", "tv", UID, "'podswitch.io/gateway':'late'");
	turn(f, 1);
	assert_string_equal(add(f, C1, "tv"), "pending");
	assert_non_null(strstr(reason_of(f), "there is no Service late"));
	assert_string_equal(add(f, C1, "tv"), "pending");
	turn(f, RECONCILER_PERIOD);
	assert_string_equal(told, "GatewayNotFound tv|");
	assert_int_equal(f->p.changes, 0);
	put_service("late", "");
	assert_string_equal(add(f, C1, "tv"), "pending");
	assert_non_null(strstr(reason_of(f), "no ready endpoint"));
	put_endpoints("late", "10.244.2.9");
	assert_string_equal(add(f, C1, "tv"), "ready");
	assert_string_equal(told, "GatewayNotFound tv|GatewayNotReady tv|GatewayAttached tv|");
}

static void malformed_service_waits(void **state)
{
	struct fixture *f = *state;

	put_service("vpn", "'podswitch.io/vni':'many'");
	put_pod("media", "tv", UID, ASKS_VPN);
	turn(f, 1);
	assert_string_equal(add(f, C1, "tv"), "pending");
	assert_non_null(strstr(reason_of(f), "podswitch.io/vni"));
	assert_int_equal(times_told("GatewayMalformed"), 1);
}

static void not_allowed(void **state)
{
	struct fixture *f = *state;
	struct reconciler_counters counters;

	put_service("vpn", "'podswitch.io/allow-namespaces':'office'");
	put_pod("games", "quake", UID, "'podswitch.io/gateway':'vpn.media'");
	turn(f, 1);
	for (int i = 0; i < 2; i++)
		assert_string_equal(call_agent(f, "attachment.add", question(C1, "games", "quake")), "refused");
	assert_non_null(strstr(f->why.text, "does not take pods of namespace games"));
	assert_string_equal(told, "GatewayNotAllowed quake|");
	assert_int_equal(f->p.changes, 0);
	reconciler_count(f->attach, &counters);
	assert_int_equal(counters.refused, 1);
}

/* By a Service of its own namespace, with an EndpointSlice made by hand: the list of the gateway's Service holds. */
static void not_allowed_by_another_service(void **state)
{
	struct fixture *f = *state;

	put_pod("games", "quake", UID, "'podswitch.io/gateway':'mine'");
	watch_say("services", "{'metadata':{'namespace':'games','name':'mine'},'spec':{'clusterIP':'None'}}");
	watch_say("endpointslices",
		  "{'metadata':{'namespace':'games','name':'mine-1','labels':{'kubernetes.io/service-name':'mine'}},"
		  "'endpoints':[{'addresses':['10.244.2.7']}],'ports':[{'protocol':'UDP','port':8472}]}");
	turn(f, 1);
	assert_string_equal(call_agent(f, "attachment.add", question(C1, "games", "quake")), "ready");
	told[0] = '\0';
	put_service("vpn", "'podswitch.io/allow-namespaces':'office'");
	turn(f, 1);
	assert_string_equal(place_of(f, "games.quake@c1c1c1c1c1c1"), "none");
	assert_string_equal(told, "GatewayNotAllowed quake|");
	assert_string_equal(call_agent(f, "attachment.add", question(C1, "games", "quake")), "refused");
	assert_string_equal(f->why.text,
			    "the endpoint 10.244.2.7 of games/mine belongs to the gateway media/vpn, which does not "
			    "take pods of namespace games: name it in that Service's podswitch.io/allow-namespaces");
	put_service("vpn", "'podswitch.io/allow-namespaces':'office games'");
	turn(f, 1);
	assert_string_equal(call_agent(f, "attachment.add", question(C1, "games", "quake")), "ready");
}

static void malformed(void **state)
{
	struct fixture *f = *state;

	put_pod("media", "tv", UID, "'podswitch.io/gateway':'v p n'");
	turn(f, 1);
	assert_string_equal(add(f, C1, "tv"), "refused");
	assert_string_equal(told, "GatewayMalformed tv|");
	assert_int_equal(f->p.changes, 0);
}

static void silent_gateway(void **state)
{
	struct fixture *f = *state;

	podswitchd_client(&f->p, VPN("10.244.2.7"), "waiting");
	put_pod("media", "tv", UID, ASKS_VPN);
	turn(f, 1);
	assert_string_equal(add(f, C1, "tv"), "pending");
	assert_non_null(strstr(reason_of(f), "has given no address by DHCP yet"));
	assert_string_equal(told, "");
	turn(f, 7001); /* it may be another reason that is found meanwhile */
	assert_string_equal(add(f, C1, "tv"), "pending");
	assert_string_equal(told, "");
	turn(f, 1001);
	assert_string_equal(add(f, C1, "tv"), "pending");
	assert_string_equal(add(f, C1, "tv"), "pending");
	assert_string_equal(told, "GatewayNotReady tv|");
	podswitchd_client(&f->p, VPN("10.244.2.7"), "probing");
	assert_string_equal(add(f, C1, "tv"), "pending");
	assert_non_null(strstr(reason_of(f), "does not answer ARP"));
	podswitchd_client(&f->p, VPN("10.244.2.7"), "ready");
	assert_string_equal(add(f, C1, "tv"), "ready");
	/* 5 s and more, but less than 10. */
	assert_int_equal(f->attach->seconds.n, 1);
	assert_int_equal(f->attach->seconds.buckets[14], 0);
	assert_int_equal(f->attach->seconds.buckets[15], 1);
}

/* Both endpoints' clients are `client`. For `patience` ms the pod stays where it came first, which is put into `first`.
 */
static void stays_at_first(struct fixture *f, const char *client, unsigned patience, char first[static NAMES_SIZE])
{
	put_endpoints("vpn", "10.244.2.7 10.244.2.8");
	put_pod("media", "tv", UID, ASKS_VPN);
	turn(f, 1);
	podswitchd_client(&f->p, VPN("10.244.2.7"), client);
	podswitchd_client(&f->p, VPN("10.244.2.8"), client);
	assert_string_equal(add(f, C1, "tv"), "pending");
	strcpy(first, place_of(f, TV));
	/* Asked again and again, as the plugin does: it has its time. */
	for (unsigned i = 0; i < patience / 200; i++) {
		assert_string_equal(place_of(f, TV), first);
		turn(f, 200);
		assert_string_equal(add(f, C1, "tv"), "pending");
	}
}

static void silent_endpoint_is_left(void **state)
{
	struct fixture *f = *state;
	char first[NAMES_SIZE];

	stays_at_first(f, "waiting", SILENCE_LIMIT, first);
	turn(f, 200);
	(void)add(f, C1, "tv");
	assert_string_not_equal(place_of(f, TV), first);
	/* The other one is as silent: by the time that its own patience is over, nothing is better. */
	char second[NAMES_SIZE];
	strcpy(second, place_of(f, TV));
	for (unsigned i = 0; i < 4; i++) {
		turn(f, RECONCILER_PERIOD);
		assert_string_equal(place_of(f, TV), second);
	}
	/* When the first is forgiven, it is tried again. */
	for (unsigned i = 0; i < 12 && !strcmp(place_of(f, TV), second); i++)
		turn(f, RECONCILER_PERIOD);
	assert_string_equal(place_of(f, TV), first);
	assert_int_equal(times_told("GatewayLost"), 0);
}

/* A gateway that has lost its leases gives another address, while the pod runs. */
static void another_address_is_told(void **state)
{
	struct fixture *f = *state;

	put_pod("media", "tv", UID, ASKS_VPN);
	turn(f, 1);
	assert_string_equal(add(f, C1, "tv"), "ready");
	assert_null(strstr(last_message, "before"));
	turn(f, RECONCILER_PERIOD);
	assert_int_equal(times_told("GatewayAttached tv|"), 1);
	f->p.leased = "172.16.0.60/24";
	hear_news(f, TV, "port.ready");
	turn(f, RECONCILER_PERIOD);
	assert_int_equal(times_told("GatewayAttached tv|"), 2);
	assert_non_null(strstr(last_message, "172.16.0.60/24 by DHCP through media/vpn"));
	assert_non_null(strstr(last_message, "before, the pod had 172.16.0.57/24"));
}

/* Its server may have others to serve first. */
static void busy_endpoint_is_waited_for(void **state)
{
	struct fixture *f = *state;
	char first[NAMES_SIZE];

	stays_at_first(f, "busy", LEASE_LIMIT, first);
	assert_string_equal(fake_text(port_of(f, TV), "expect_router"), "172.16.0.1");
	assert_non_null(strstr(reason_of(f), "answers ARP, and has given no address by DHCP yet"));
	/* Another one may have addresses to give. */
	turn(f, 200);
	(void)add(f, C1, "tv");
	assert_string_not_equal(place_of(f, TV), first);
}

/* The lease comes late, and for a moment the router has not answered from its address yet. */
static void late_lease_is_used(void **state)
{
	struct fixture *f = *state;
	char first[NAMES_SIZE];

	stays_at_first(f, "busy", LEASE_LIMIT - 2000, first);
	podswitchd_client(&f->p, first, "probing");
	for (unsigned i = 0; i < SILENCE_LIMIT / 200; i++) {
		turn(f, 200);
		assert_string_equal(add(f, C1, "tv"), "pending");
		assert_string_equal(place_of(f, TV), first);
	}
	/* It has that time once: a server that gives leases again and again, and no more, is left. */
	podswitchd_client(&f->p, first, "waiting");
	turn(f, 200);
	podswitchd_client(&f->p, first, "probing");
	turn(f, 200);
	(void)add(f, C1, "tv");
	assert_string_not_equal(place_of(f, TV), first);
}

/* Each one has its time, also after others had theirs. */
static void silent_endpoints_are_left_in_turn(void **state)
{
	struct fixture *f = *state;
	static const char *const all[] = {VPN("10.244.2.7"), VPN("10.244.2.8"), VPN("10.244.2.9")};
	unsigned moves = 0, since = 0;

	put_endpoints("vpn", "10.244.2.7 10.244.2.8 10.244.2.9");
	put_pod("media", "tv", UID, ASKS_VPN);
	turn(f, 1);
	for (size_t i = 0; i < 3; i++)
		podswitchd_client(&f->p, all[i], "probing");
	assert_string_equal(add(f, C1, "tv"), "pending");
	for (unsigned i = 0; i < 3 * SILENCE_LIMIT / 200; i++) {
		char before[NAMES_SIZE];
		strcpy(before, place_of(f, TV));
		turn(f, 200);
		(void)add(f, C1, "tv");
		since += 200;
		if (!strcmp(before, place_of(f, TV)))
			continue;
		assert_in_range(since, SILENCE_LIMIT, SILENCE_LIMIT + 400);
		since = 0;
		moves++;
	}
	assert_int_equal(moves, 2);
}

static void pod_not_seen(void **state)
{
	struct fixture *f = *state;

	turn(f, 1);
	assert_string_equal(add(f, C1, "tv"), "pending");
	assert_non_null(strstr(reason_of(f), "not reported the pod to this node"));
	/* Nor is an earlier pod of the name this one. */
	put_pod("media", "tv", UID, "");
	json_t *params = question(C1, "media", "tv");
	json_object_set_new(params, "uid", json_string("fedcba98-7654"));
	assert_string_equal(call_agent(f, "attachment.add", json_incref(params)), "pending");
	put_pod("media", "tv", "fedcba98-7654", "");
	assert_string_equal(call_agent(f, "attachment.add", params), "none");
}

/* The kubelet gives the runtime the UID of the file, and the API a pod of its own UID. */
static void static_pod(void **state)
{
	struct fixture *f = *state;
	json_t *params = question(C1, "media", "tv");

	put_pod("media", "tv", UID, ASKS_VPN ",'kubernetes.io/config.mirror':'00ff00ff00ff'");
	turn(f, 1);
	json_object_set_new(params, "uid", json_string("00ff00ff00ff"));
	assert_string_equal(call_agent(f, "attachment.add", params), "ready");
}

static void namespace_decides(void **state)
{
	struct fixture *f = *state;

	put_namespace("media", ASKS_VPN);
	put_pod("media", "tv", UID, "");
	put_pod("media", "radio", UID "2", "'podswitch.io/gateway':'none'");
	put_pod("unheard", "x", UID "3", "");
	turn(f, 1);
	assert_string_equal(add(f, C1, "tv"), "ready");
	assert_string_equal(add(f, C2, "radio"), "none");
	assert_string_equal(call_agent(f, "attachment.add", question(C1, "unheard", "x")), "pending");
	assert_non_null(strstr(reason_of(f), "has not been seen yet"));
}

/* The namespace may be annotated by now, and the pod be younger than that: it must not start without. */
static void namespaces_are_not_heard(void **state)
{
	struct fixture *f = *state;

	put_pod("media", "tv", UID, "");
	turn(f, 1);
	watch_of("namespaces")->live = false;
	assert_string_equal(add(f, C1, "tv"), "pending");
	assert_non_null(strstr(reason_of(f), "namespaces"));
	put_namespace("media", ASKS_VPN);
	watch_of("namespaces")->live = true;
	assert_string_equal(add(f, C1, "tv"), "ready");
	/* With the API server away altogether nothing is newer, and life goes on. */
	put_pod("games", "quake", UID "2", "");
	watch_of("namespaces")->live = watch_of(PODS)->live = false;
	assert_string_equal(call_agent(f, "attachment.add", question(C2, "games", "quake")), "none");
}

static void read_namespace(long status, const char *annotations)
{
	char text[256];

	assert_non_null(surveyed.done);
	snprintf(text, sizeof(text), "{'metadata':{'name':'media','annotations':{%s}}}", annotations);
	json_t *answer = status == 200 ? json_of(text) : NULL;
	struct kube_request request = surveyed;
	surveyed = (struct kube_request){0};
	request.done(request.context, status, answer, "");
	json_decref(answer);
}

static void open_with_kube(struct fixture *f)
{
	f->config.kube = (struct kube *)f;
	close_agent(f);
	open_agent(f);
	turn(f, 1);
	surveyed = (struct kube_request){0};
}

/* The annotation is older than the pod, and comes later: the namespaces' stream trails, and is up. */
static void namespaces_trail(void **state)
{
	struct fixture *f = *state;

	open_with_kube(f);
	put_pod("media", "tv", UID, "");
	turn(f, 1);
	assert_string_equal(add(f, C1, "tv"), "pending");
	assert_string_equal(surveyed_path, "/api/v1/namespaces/media");
	assert_string_equal(add(f, C1, "tv"), "pending"); /* asked once */
	read_namespace(200, ASKS_VPN);
	assert_string_equal(add(f, C1, "tv"), "pending");
	assert_false(json_is_true(json_object_get(f->result, "unknown"))); /* what the plugin has on disk is older */
	assert_null(surveyed.done);
	put_namespace("media", ASKS_VPN);
	assert_string_equal(add(f, C1, "tv"), "ready");
}

/* It was annotated, and is not any more when the stream has said neither. */
static void annotation_comes_and_goes(void **state)
{
	struct fixture *f = *state;

	open_with_kube(f);
	put_pod("media", "tv", UID, "");
	turn(f, 1);
	assert_string_equal(add(f, C1, "tv"), "pending");
	read_namespace(200, ASKS_VPN);
	assert_string_equal(add(f, C1, "tv"), "pending");
	turn(f, CHECK_AGAIN);
	assert_string_equal(add(f, C1, "tv"), "pending");
	read_namespace(200, "");
	assert_string_equal(add(f, C1, "tv"), "none");
}

/* An answer serves all pods that were there when it was asked for, and none that comes later. */
static void answer_serves_earlier_pods(void **state)
{
	struct fixture *f = *state;

	open_with_kube(f);
	put_pod("media", "tv", UID, "");
	put_pod("media", "radio", UID "2", "");
	put_pod("media", "own", UID "3", "'podswitch.io/gateway':'none'");
	turn(f, 1);
	assert_string_equal(add(f, "c3c3c3c3c3c3", "own"), "none"); /* whatever its namespace says */
	assert_null(surveyed.done);
	assert_string_equal(add(f, C1, "tv"), "pending");
	assert_string_equal(add(f, C2, "radio"), "pending");
	read_namespace(200, "");
	assert_string_equal(add(f, C1, "tv"), "none");
	assert_string_equal(add(f, C2, "radio"), "none");
	put_pod("media", "late", UID "4", "");
	turn(f, 1);
	assert_string_equal(add(f, "c4c4c4c4c4c4", "late"), "pending");
	assert_non_null(surveyed.done);
	read_namespace(404, "");
	assert_string_equal(add(f, "c4c4c4c4c4c4", "late"), "none");
	turn(f, CHECK_LIFE);
	turn(f, 1);
	put_pod("media", "later", UID "5", "");
	assert_string_equal(add(f, "c5c5c5c5c5c5", "later"), "pending");
}

/* A server that does not answer this question while it sends pods is waited for, and not for ever. */
static void namespace_cannot_be_read(void **state)
{
	struct fixture *f = *state;

	open_with_kube(f);
	put_pod("media", "tv", UID, "");
	turn(f, 1);
	for (unsigned waited = 0; waited < CHECK_PATIENCE; waited += 1000) {
		assert_string_equal(add(f, C1, "tv"), "pending");
		read_namespace(waited % 2000 ? -ETIMEDOUT : 500, "");
		turn(f, 1000);
	}
	assert_string_equal(add(f, C1, "tv"), "none");
	/* When the server is away altogether, nobody waits. */
	put_pod("games", "quake", UID "2", "");
	turn(f, 1);
	watch_of("namespaces")->live = watch_of(PODS)->live = false;
	assert_string_equal(call_agent(f, "attachment.add", question(C2, "games", "quake")), "none");
}

/* ---- what stays on the first interface ---- */

static void put_node(const char *name, const char *address)
{
	char text[256];

	snprintf(text, sizeof(text),
		 "{'metadata':{'name':'%s'},'status':{'addresses':[{'type':'InternalIP','address':'%s'}]}}", name,
		 address);
	watch_say("nodes", text);
}

static void keeps_as_many_networks_as_fit(void **state)
{
	struct fixture *f = *state;
	struct prefix keep[70];
	char name[16], address[32], not_routed[1024] = "'podswitch.io/not-routed':'192.0.2.0/24";
	struct reconciler_counters counters;

	for (unsigned i = 0; i < 70; i++)
		keep[i] = (struct prefix){{{203, 0, 113, (uint8_t)(2 * i)}, AF_INET}, 32};
	for (unsigned i = 0; i < 31; i++)
		snprintf(not_routed + strlen(not_routed), sizeof(not_routed) - strlen(not_routed), ",198.18.%u.0/24",
			 2 * i);
	strcat(not_routed, "'");
	f->config.keep = keep;
	f->config.n_keep = 70;
	close_agent(f);
	open_agent(f);
	put_service("vpn", not_routed);
	for (unsigned i = 0; i < 100; i++) {
		snprintf(name, sizeof(name), "n%u", i);
		snprintf(address, sizeof(address), "34.%u.0.1", i);
		put_node(name, address);
	}
	make_ready(f);
	const json_t *list = json_object_get(port_of(f, TV), "keep");
	assert_in_range(json_array_size(list), 32 + 24 + 1 + 48, PODSWITCHD_PORTS_MAX_KEEP);
	/* What the gateway's owner asked for has the first place. */
	assert_string_equal(json_string_value(json_array_get(list, 0)), "192.0.2.0/24");
	reconciler_count(f->attach, &counters);
	assert_int_equal(counters.kept_networks, json_array_size(list) - 32);
	assert_int_equal(counters.left_out, 70 - 24 + 99 - 48);
}

/* More is kept at once; less only after a while. */
static void networks_come_and_go(void **state)
{
	struct fixture *f = *state;

	make_ready(f);
	unsigned changes = f->p.changes;
	put_node("n2", "192.168.7.2");
	turn(f, 1);
	assert_true(port_keeps(f, TV, "192.168.7.2/32"));
	assert_int_equal(f->p.changes, changes + 1);
	watch_take("nodes", "{'metadata':{'name':'n2'}}");
	turn(f, 1);
	turn(f, LINGER - 1000);
	assert_true(port_keeps(f, TV, "192.168.7.2/32"));
	/* It comes back, and goes again: the time begins anew. */
	put_node("n2", "192.168.7.2");
	turn(f, 1);
	watch_take("nodes", "{'metadata':{'name':'n2'}}");
	turn(f, 1);
	turn(f, LINGER - 1000);
	assert_true(port_keeps(f, TV, "192.168.7.2/32"));
	assert_int_equal(f->p.changes, changes + 1);
	turn(f, 2000);
	turn(f, RECONCILER_PERIOD);
	assert_false(port_keeps(f, TV, "192.168.7.2/32"));
	assert_int_equal(f->p.changes, changes + 2);
}

/* Pods come and go in a block, and no port is changed for it. */
static void pods_in_a_block(void **state)
{
	struct fixture *f = *state;

	make_ready(f);
	watch_say(PODS, "{'metadata':{'namespace':'games','name':'a'},'spec':{},'status':{'podIP':'10.99.7.66'}}");
	turn(f, 1);
	assert_true(port_keeps(f, TV, "10.99.7.64/26"));
	unsigned changes = f->p.changes;
	watch_say(PODS, "{'metadata':{'namespace':'games','name':'b'},'spec':{},'status':{'podIP':'10.99.7.67'}}");
	turn(f, 1);
	watch_take(PODS, "{'metadata':{'namespace':'games','name':'a'}}");
	turn(f, 1);
	assert_int_equal(f->p.changes, changes);
}

/* An agent that starts anew waits for what not every cluster has: else pods would lose networks for a moment. */
static void waits_for_optional_networks(void **state)
{
	struct fixture *f = *state;
	const char *reason;

	make_ready(f);
	watch_fill("Calico's ippools", "[{'metadata':{'name':'a'},'spec':{'cidr':'10.42.0.0/16'}}]");
	turn(f, 1);
	assert_true(port_keeps(f, TV, "10.42.0.0/16"));
	close_agent(f);
	cluster_close(f->cluster);
	open_cluster(f);
	open_agent(f);
	fill_cluster();
	put_pod("media", "tv", UID, ASKS_VPN);
	watch_of("Calico's ippools")->unanswered = true;
	turn(f, 1);
	assert_true(port_keeps(f, TV, "10.42.0.0/16"));
	assert_string_equal(add(f, C1, "tv"), "pending");
	assert_true(reconciler_ready(f->attach, &reason));
	turn(f, PATIENCE - 1);
	assert_true(port_keeps(f, TV, "10.42.0.0/16"));
	watch_fill("Calico's ippools", "[{'metadata':{'name':'a'},'spec':{'cidr':'10.42.0.0/15'}}]");
	turn(f, 1);
	assert_true(port_keeps(f, TV, "10.42.0.0/15"));
	assert_string_equal(add(f, C1, "tv"), "ready");
}

static void does_not_wait_for_ever(void **state)
{
	struct fixture *f = *state;

	watch_of("ciliumnodes")->unanswered = true;
	put_pod("media", "tv", UID, ASKS_VPN);
	turn(f, 1);
	assert_string_equal(add(f, C1, "tv"), "pending");
	turn(f, PATIENCE);
	assert_string_equal(add(f, C1, "tv"), "ready");
}

static void own_address_is_not_kept(void **state)
{
	struct fixture *f = *state;

	make_ready(f);
	assert_int_equal(times_told("NetworkNotKept"), 0);
	watch_say(PODS, "{'metadata':{'namespace':'media','name':'tv','uid':'" UID "','annotations':{" ASKS_VPN "}},"
			"'spec':{'containers':[]},'status':{'phase':'Running','podIP':'10.244.1.9','podIPs':"
			"[{'ip':'10.244.1.9'},{'ip':'2001:db8::9'}]}}");
	turn(f, 1);
	turn(f, RECONCILER_PERIOD);
	assert_int_equal(times_told("NetworkNotKept tv|"), 1);
	assert_non_null(strstr(last_message, "the pod's own address 2001:db8::9 is in none of the kept networks"));
	assert_non_null(strstr(last_message, "set PODSWITCH_KEEP"));
	/* Once per pod, whatever comes. */
	put_node("n7", "192.168.7.7");
	turn(f, RECONCILER_PERIOD);
	assert_int_equal(times_told("NetworkNotKept"), 1);
}

static void own_address_is_only_in_a_block(void **state)
{
	struct fixture *f = *state;

	make_ready(f);
	watch_say(PODS, "{'metadata':{'namespace':'media','name':'tv','uid':'" UID "','annotations':{" ASKS_VPN "}},"
			"'spec':{'containers':[]},'status':{'phase':'Running','podIP':'10.42.77.70'}}");
	turn(f, 1);
	turn(f, 1);
	assert_true(port_keeps(f, TV, "10.42.77.64/26"));
	assert_int_equal(times_told("NetworkNotKept tv|"), 1);
	assert_non_null(strstr(last_message, "the pod's own address 10.42.77.70 is in none of the kept networks"));
	assert_non_null(strstr(last_message, "10.42.77.64/26"));
	assert_non_null(strstr(last_message, "set PODSWITCH_KEEP"));
}

/* Where nobody names the pods' networks, others' pods are looked for, and before anything is changed. */
static void pods_of_other_nodes_are_looked_for(void **state)
{
	struct fixture *f = *state;

	f->config.kube = (struct kube *)f;
	surveyed = (struct kube_request){0};
	close_agent(f);
	open_agent(f);
	watch_say(PODS, "{'metadata':{'namespace':'media','name':'tv','uid':'" UID "','annotations':{" ASKS_VPN "}},"
			"'spec':{'containers':[]},'status':{'phase':'Running','podIP':'10.42.77.70'}}");
	turn(f, 1);
	assert_string_equal(add(f, C1, "tv"), "pending");
	assert_non_null(surveyed.done);
	json_t *answer = json_of("{'metadata':{},'items':[{'status':{'podIP':'10.42.3.7'}}]}");
	surveyed.done(surveyed.context, 200, answer, "");
	json_decref(answer);
	turn(f, 1);
	assert_string_equal(add(f, C1, "tv"), "ready");
	assert_true(port_keeps(f, TV, "10.42.77.64/26") && port_keeps(f, TV, "10.42.3.0/26"));
	surveyed = (struct kube_request){0};
	turn(f, POD_SURVEY_PERIOD);
	assert_non_null(surveyed.done);
	answer = json_of("{'metadata':{},'items':[{'status':{'podIP':'10.42.4.7'}}]}");
	surveyed.done(surveyed.context, 200, answer, "");
	json_decref(answer);
	turn(f, 1);
	assert_true(port_keeps(f, TV, "10.42.4.0/26"));
}

/* One static address in a Deployment's template, and its pods on two nodes. */
static void same_address_on_another_node(void **state)
{
	static const struct {
		const char *other; /* what differs in it */
		bool told;
	} rows[] = {
		{"'annotations':{" ASKS_VPN ",'podswitch.io/address':'172.16.0.10/24'}},'spec':{'nodeName':'n2'}",
		 false},
		{"'annotations':{" ASKS_VPN "}},'spec':{'nodeName':'n2'}", false},
		{"'annotations':{'podswitch.io/gateway':'none','podswitch.io/address':'172.16.0.9'}},"
		 "'spec':{'nodeName':'n2'}",
		 false},
		{"'annotations':{" ASKS_VPN ",'podswitch.io/address':'172.16.0.9'}},'spec':{}", false},
		{"'annotations':{" ASKS_VPN ",'podswitch.io/address':'172.16.0.9'},'deletionTimestamp':'now'},"
		 "'spec':{'nodeName':'n2'}",
		 false},
		{"'annotations':{" ASKS_VPN ",'podswitch.io/address':'172.16.0.9'}},'spec':{'nodeName':'n2'}", true},
	};
	struct fixture *f = *state;
	char text[512];

	f->config.kube = (struct kube *)f;
	close_agent(f);
	open_agent(f);
	put_pod("media", "tv", UID, ASKS_VPN ",'podswitch.io/address':'172.16.0.9'");
	turn(f, 1);
	assert_string_equal(add(f, C1, "tv"), "ready");
	assert_string_equal(surveyed_path,
			    "/api/v1/namespaces/media/pods?limit=500&fieldSelector=spec.nodeName%21%3Dn1");
	surveyed.done(surveyed.context, 500, NULL, "not today");
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		snprintf(text, sizeof(text), "{'items':[{'metadata':{'namespace':'media','name':'tw',%s}]}",
			 rows[i].other);
		json_t *answer = json_of(text);
		surveyed.done(surveyed.context, 200, answer, "");
		surveyed.done(surveyed.context, 200, answer, "");
		json_decref(answer);
		assert_int_equal(times_told("AddressShared tv|"), rows[i].told);
	}
	assert_non_null(strstr(last_message, "pod tw on node n2 has the address 172.16.0.9 of media/vpn, too"));
}

/* A Service's annotation does not take what is kept. */
static void gateway_network_is_kept(void **state)
{
	struct fixture *f = *state;

	put_service("vpn", "'podswitch.io/network':'10.244.1.0/25'");
	put_pod("media", "tv", UID, ASKS_VPN);
	turn(f, 1);
	assert_string_equal(add(f, C1, "tv"), "refused");
	assert_non_null(strstr(f->why.text, "10.244.1.0/25"));
	assert_non_null(strstr(f->why.text, "10.244.1.0/24"));
	assert_non_null(strstr(f->why.text, "podswitch.io/network"));
	assert_non_null(strstr(f->why.text, "PODSWITCH_KEEP"));
	assert_int_equal(times_told("NetworkOverlaps tv|"), 1);
	assert_null(port_of(f, TV));
	put_service("vpn", "'podswitch.io/network':'172.17.0.0/24'");
	turn(f, 1);
	assert_string_equal(add(f, C1, "tv"), "ready");
	/* A running pod's port stays as it is when a node comes that is in the way. */
	unsigned changes = f->p.changes;
	put_node("n2", "172.17.0.9");
	turn(f, 1);
	assert_int_equal(times_told("NetworkOverlaps tv|"), 2);
	assert_non_null(strstr(last_message, "172.17.0.9/32"));
	assert_int_equal(f->p.changes, changes);
	assert_false(port_keeps(f, TV, "172.17.0.9/32"));
}

/* What a lease will be, an unmodified gateway's Service does not say: podswitchd looks at the lease. */
static void gateway_network_is_not_given(void **state)
{
	struct fixture *f = *state;

	put_node("n2", "172.16.0.9");
	make_ready(f);
	put_pod("media", "tv", UID, ASKS_VPN ",'podswitch.io/address':'172.16.0.10/24'");
	turn(f, 1);
	assert_int_equal(times_told("NetworkOverlaps tv|"), 1);
	put_pod("media", "tv", UID, ASKS_VPN);
	put_service("vpn", "'podswitch.io/mode':'static'");
	turn(f, 1);
	assert_non_null(reconciler_find(f->attach, TV));
	assert_int_not_equal(reconciler_find(f->attach, TV)->state, ATTACHMENT_READY);
}

/* Half of the Internet, or all of it: never silently, and not over the gateway's own network. */
static void configured_network_is_huge(void **state)
{
	struct fixture *f = *state;
	const struct prefix keep = {{{128}, AF_INET}, 1};

	f->config.keep = &keep;
	f->config.n_keep = 1;
	close_agent(f);
	open_agent(f);
	put_service("vpn", "'podswitch.io/network':'172.16.0.0/24'");
	put_pod("media", "tv", UID, ASKS_VPN);
	turn(f, 1);
	assert_string_equal(add(f, C1, "tv"), "refused");
	assert_non_null(strstr(f->why.text, "128.0.0.0/1"));
}

static void wrong_questions(void **state)
{
	struct fixture *f = *state;
	static const char *const questions[] = {
		"{}",
		"{'container_id':'c1','ifname':'vx0','namespace':'media'}",
		"{'container_id':'c1','ifname':'vx0','namespace':'media','pod':7}",
		"{'container_id':'../x','ifname':'vx0','namespace':'media','pod':'tv','netns':'/run/netns/x'}",
		"{'container_id':'c1','ifname':'a/b','namespace':'media','pod':'tv','netns':'/run/netns/x'}",
		"{'container_id':'c1','ifname':'vx0','namespace':'Media','pod':'tv','netns':'/run/netns/x'}",
		"{'container_id':'c1','ifname':'vx0','namespace':'media','pod':'tv'}",
		"{'container_id':'c1','ifname':'vx0','namespace':'media','pod':'tv','netns':''}",
	};

	turn(f, 1);
	for (size_t i = 0; i < sizeof(questions) / sizeof(questions[0]); i++) {
		call_agent(f, "attachment.add", json_of(questions[i]));
		assert_int_equal(f->code, JSONRPC_INVALID_PARAMS);
		assert_true(*f->why.text);
	}
	call_agent(f, "attachment.remove", json_of(questions[1]));
	assert_int_equal(f->code, JSONRPC_INVALID_PARAMS);
	call_agent(f, "attachment.check", json_of(questions[1]));
	assert_int_equal(f->code, JSONRPC_INVALID_PARAMS);
	call_agent(f, "attachment.gc", json_of("{'valid':7}"));
	assert_int_equal(f->code, JSONRPC_INVALID_PARAMS);
	call_agent(f, "attachment.steal", NULL);
	assert_int_equal(f->code, JSONRPC_UNKNOWN_METHOD);
	assert_null(f->attach->attachments);
	char long_name[300];
	memset(long_name, 'a', sizeof(long_name) - 1);
	long_name[sizeof(long_name) - 1] = '\0';
	add_configured(f, C1, "tv", long_name);
	assert_int_equal(f->code, JSONRPC_INVALID_PARAMS);
}

/* ---- changes under a running pod ---- */

static void moves_to_another_gateway(void **state)
{
	struct fixture *f = *state;

	make_ready(f);
	put_service("other", "'podswitch.io/vni':'7'");
	put_endpoints("other", "10.244.3.3");
	put_pod("media", "tv", UID, "'podswitch.io/gateway':'other'");
	turn(f, 1);
	assert_string_equal(place_of(f, TV), "media.other@10.244.3.3");
	assert_int_equal(times_ordered(f, "port.remove " TV), 0);
	assert_int_equal(times_ordered(f, "port.add " TV), 1);
	assert_string_equal(told, "GatewayAttached tv|GatewayAttached tv|");
	assert_string_equal(add(f, C1, "tv"), "ready");
	assert_string_equal(fake_text(f->result, "gateway"), "media/other");
	/* The first one is nobody's any more. */
	json_object_set_new(f->p.gateways, "by-hand", json_object());
	turn(f, RECONCILER_PERIOD);
	assert_null(json_object_get(f->p.gateways, VPN("10.244.2.7")));
	assert_non_null(json_object_get(f->p.gateways, "media.other@10.244.3.3"));
	assert_non_null(json_object_get(f->p.gateways, "by-hand"));
	/* And is made again when it is wanted. */
	put_pod("media", "tv", UID, ASKS_VPN);
	turn(f, 1);
	assert_string_equal(place_of(f, TV), VPN("10.244.2.7"));
}

static void stays_while_the_new_gateway_is_not_there(void **state)
{
	struct fixture *f = *state;

	make_ready(f);
	unsigned changes = f->p.changes;
	put_pod("media", "tv", UID, "'podswitch.io/gateway':'nowhere'");
	turn(f, 1);
	put_pod("media", "tv", UID, "'podswitch.io/gateway':'no where'");
	turn(f, RECONCILER_PERIOD);
	put_service("nowhere", "");
	put_pod("media", "tv", UID, "'podswitch.io/gateway':'nowhere'");
	turn(f, RECONCILER_PERIOD);
	assert_string_equal(place_of(f, TV), VPN("10.244.2.7"));
	assert_int_equal(f->p.changes, changes);
	assert_string_equal(told, "GatewayAttached tv|GatewayNotFound tv|GatewayMalformed tv|GatewayLost tv|");
}

static void service_and_namespace_go(void **state)
{
	struct fixture *f = *state;

	make_ready(f);
	unsigned changes = f->p.changes;
	watch_take("services", "{'metadata':{'namespace':'media','name':'vpn'}}");
	watch_take("endpointslices", "{'metadata':{'namespace':'media','name':'vpn-1'}}");
	watch_take("namespaces", "{'metadata':{'name':'media'}}");
	turn(f, RECONCILER_PERIOD);
	turn(f, RECONCILER_PERIOD);
	assert_int_equal(f->p.changes, changes);
	assert_string_equal(check(f, C1, "tv"), "lost");
	assert_string_equal(told, "GatewayAttached tv|GatewayNotFound tv|");
}

static void opts_out_and_in(void **state)
{
	struct fixture *f = *state;

	make_ready(f);
	put_pod("media", "tv", UID, "'podswitch.io/gateway':'none'");
	turn(f, 1);
	assert_null(port_of(f, TV));
	assert_string_equal(told, "GatewayAttached tv|GatewayDetached tv|");
	assert_string_equal(check(f, C1, "tv"), "none");
	turn(f, RECONCILER_PERIOD);
	assert_int_equal(json_object_size(f->p.gateways), 0);
	put_pod("media", "tv", UID, ASKS_VPN);
	turn(f, 1);
	assert_string_equal(place_of(f, TV), VPN("10.244.2.7"));
	assert_string_equal(check(f, C1, "tv"), "ready");
	assert_string_equal(told, "GatewayAttached tv|GatewayDetached tv|GatewayAttached tv|");
}

static void removal_that_is_refused_is_tried_again(void **state)
{
	struct fixture *f = *state;

	make_ready(f);
	f->p.refuse = "port.remove";
	put_pod("media", "tv", UID, "");
	turn(f, 1);
	assert_non_null(port_of(f, TV));
	assert_int_equal(times_told("GatewayDetached"), 0);
	assert_string_equal(check(f, C1, "tv"), "lost");
	f->p.refuse = NULL;
	turn(f, RECONCILER_PERIOD);
	assert_null(port_of(f, TV));
}

static void permission_is_revoked(void **state)
{
	struct fixture *f = *state;
	char place[NAMES_SIZE];

	put_endpoints("vpn", "10.244.2.7 10.244.2.8");
	put_pod("games", "quake", UID, "'podswitch.io/gateway':'vpn.media'");
	turn(f, 1);
	assert_string_equal(call_agent(f, "attachment.add", question(C1, "games", "quake")), "ready");
	strcpy(place, place_of(f, "games.quake@c1c1c1c1c1c1"));
	put_service("vpn", "'podswitch.io/allow-namespaces':'office'");
	f->p.refuse = "port.set";
	turn(f, 1);
	assert_string_equal(place_of(f, "games.quake@c1c1c1c1c1c1"), place);
	f->p.refuse = NULL;
	turn(f, RECONCILER_PERIOD);
	assert_string_equal(place_of(f, "games.quake@c1c1c1c1c1c1"), "none");
	assert_non_null(port_of(f, "games.quake@c1c1c1c1c1c1"));
	unsigned orders = times_ordered(f, "port.set games.quake@c1c1c1c1c1c1");
	turn(f, RECONCILER_PERIOD);
	assert_int_equal(times_ordered(f, "port.set games.quake@c1c1c1c1c1c1"), orders);
	assert_int_equal(times_told("GatewayNotAllowed"), 1);
	/* An agent that starts meanwhile leaves it cut off. */
	close_agent(f);
	open_agent(f);
	turn(f, RECONCILER_PERIOD);
	assert_string_equal(place_of(f, "games.quake@c1c1c1c1c1c1"), "none");
	put_service("vpn", "'podswitch.io/allow-namespaces':'office games'");
	turn(f, 1);
	assert_string_equal(place_of(f, "games.quake@c1c1c1c1c1c1"), place);
	/* That nobody answers who is cut off speaks against no endpoint. */
	put_service("vpn", "'podswitch.io/allow-namespaces':'office'");
	turn(f, 1);
	put_service("vpn", "'podswitch.io/allow-namespaces':'*'");
	turn(f, 1);
	assert_string_equal(place_of(f, "games.quake@c1c1c1c1c1c1"), place);
}

static void gateway_changes_its_network(void **state)
{
	struct fixture *f = *state;

	make_ready(f);
	put_service("vpn", "'podswitch.io/vni':'77','podswitch.io/port':'4789'");
	turn(f, 1);
	const json_t *gateway = json_object_get(f->p.gateways, VPN("10.244.2.7"));
	assert_int_equal(json_integer_value(json_object_get(gateway, "vni")), 77);
	assert_int_equal(json_integer_value(json_object_get(gateway, "port")), 4789);
	assert_int_equal(times_ordered(f, "gateway.set " VPN("10.244.2.7")), 1);
	assert_int_equal(times_ordered(f, "gateway.remove " VPN("10.244.2.7")), 0);
	turn(f, RECONCILER_PERIOD);
	assert_int_equal(times_ordered(f, "gateway.set " VPN("10.244.2.7")), 1);
}

static void gateway_removed_by_hand(void **state)
{
	struct fixture *f = *state;

	make_ready(f);
	podswitchd_forget(&f->p);
	turn(f, RECONCILER_PERIOD);
	turn(f, RECONCILER_PERIOD);
	assert_string_equal(place_of(f, TV), VPN("10.244.2.7"));
}

/* ---- endpoints ---- */

static void endpoint_goes(void **state)
{
	struct fixture *f = *state;

	make_ready(f);
	put_endpoints("vpn", "10.244.2.8 10.244.2.9");
	turn(f, 1);
	assert_string_not_equal(place_of(f, TV), VPN("10.244.2.7"));
	char second[NAMES_SIZE];
	strcpy(second, place_of(f, TV));
	/* It stays there, whoever comes. */
	put_endpoints("vpn", "10.244.2.1 10.244.2.2 10.244.2.3 10.244.2.7 10.244.2.8 10.244.2.9");
	turn(f, RECONCILER_PERIOD);
	assert_string_equal(place_of(f, TV), second);
	/* The last one goes, and comes back. */
	put_endpoints("vpn", "");
	turn(f, 1);
	assert_string_equal(place_of(f, TV), second);
	assert_string_equal(check(f, C1, "tv"), "lost");
	turn(f, RECONCILER_PERIOD);
	put_endpoints("vpn", strchr(second, '@') + 1);
	turn(f, 1);
	assert_string_equal(check(f, C1, "tv"), "ready");
	assert_string_equal(told, "GatewayAttached tv|GatewayAttached tv|GatewayLost tv|GatewayRecovered tv|");
}

static void endpoints_share_the_pods(void **state)
{
	struct fixture *f = *state;
	unsigned at[2] = {0};

	put_endpoints("vpn", "10.244.2.7 10.244.2.8");
	for (int i = 0; i < 40; i++) {
		char name[16], container[16], port[64];
		snprintf(name, sizeof(name), "p%d", i);
		snprintf(container, sizeof(container), "aaaabbbb%04d", i);
		put_pod("media", name, name, ASKS_VPN);
		turn(f, 1);
		assert_string_equal(add(f, container, name), "ready");
		snprintf(port, sizeof(port), "media.%s@%s", name, container);
		at[!strcmp(place_of(f, port), VPN("10.244.2.7"))]++;
	}
	assert_in_range(at[0], 8, 32);
	assert_int_equal(at[0] + at[1], 40);
}

/* At which of the two endpoints it is, and what the other is. */
static const char *other_than(const char *place)
{
	return strcmp(place, VPN("10.244.2.7")) != 0 ? VPN("10.244.2.7") : VPN("10.244.2.8");
}

static void lost_endpoint(void **state)
{
	struct fixture *f = *state;
	char first[NAMES_SIZE], second[NAMES_SIZE];

	put_endpoints("vpn", "10.244.2.7 10.244.2.8");
	make_ready(f);
	strcpy(first, place_of(f, TV));
	strcpy(second, other_than(first));
	podswitchd_client(&f->p, first, "lost");
	hear_news(f, TV, "port.lost");
	assert_string_equal(place_of(f, TV), second);
	assert_string_equal(told, "GatewayAttached tv|GatewayLost tv|GatewayRecovered tv|");
	assert_int_equal(f->attach->lost, 1);
	assert_string_equal(check(f, C1, "tv"), "ready");
	/* Not back to the suspect, also when the second is lost ... */
	podswitchd_client(&f->p, second, "lost");
	hear_news(f, TV, "port.lost");
	assert_string_equal(place_of(f, TV), second);
	assert_string_equal(check(f, C1, "tv"), "lost");
	assert_int_equal(f->attach->lost, 2);
	/* ... until it is forgiven. */
	podswitchd_client(&f->p, first, "ready");
	for (unsigned i = 0; i < 13; i++)
		turn(f, RECONCILER_PERIOD);
	assert_string_equal(place_of(f, TV), first);
	assert_string_equal(check(f, C1, "tv"), "ready");
}

static void single_endpoint_is_lost(void **state)
{
	struct fixture *f = *state;

	make_ready(f);
	podswitchd_client(&f->p, VPN("10.244.2.7"), "lost");
	hear_news(f, TV, "port.lost");
	hear_news(f, TV, "port.changed");
	turn(f, RECONCILER_PERIOD);
	assert_string_equal(place_of(f, TV), VPN("10.244.2.7"));
	assert_string_equal(told, "GatewayAttached tv|GatewayLost tv|");
	assert_int_equal(f->attach->lost, 1);
	/* A further endpoint is better at once. */
	put_endpoints("vpn", "10.244.2.7 10.244.2.8");
	turn(f, 1);
	assert_string_equal(place_of(f, TV), VPN("10.244.2.8"));
	assert_string_equal(told, "GatewayAttached tv|GatewayLost tv|GatewayRecovered tv|");
}

static void news_is_missed(void **state)
{
	struct fixture *f = *state;
	char first[NAMES_SIZE];

	put_endpoints("vpn", "10.244.2.7 10.244.2.8");
	make_ready(f);
	strcpy(first, place_of(f, TV));
	podswitchd_client(&f->p, first, "lost");
	turn(f, RECONCILER_PERIOD);
	assert_string_equal(place_of(f, TV), other_than(first));
	assert_string_equal(told, "GatewayAttached tv|GatewayLost tv|GatewayRecovered tv|");
}

/* No lease any more, of which there is no news. */
static void lease_is_lost(void **state)
{
	struct fixture *f = *state;

	make_ready(f);
	podswitchd_client(&f->p, VPN("10.244.2.7"), "waiting");
	turn(f, RECONCILER_PERIOD);
	assert_string_equal(check(f, C1, "tv"), "lost");
	turn(f, RECONCILER_PERIOD);
	turn(f, RECONCILER_PERIOD);
	assert_string_equal(told, "GatewayAttached tv|GatewayLost tv|");
	podswitchd_client(&f->p, VPN("10.244.2.7"), "ready");
	hear_news(f, TV, "port.ready");
	assert_string_equal(told, "GatewayAttached tv|GatewayLost tv|GatewayRecovered tv|");
}

/* ---- what is behind an endpoint, asked by one pod for all ---- */

#define RADIO "media.radio@c2c2c2c2c2c2"
#define WATCHED "'podswitch.io/probe':'icmp:198.51.100.1','podswitch.io/probe-interval':'100ms'"
#define FIRST VPN("10.244.2.7")
#define SECOND VPN("10.244.2.8")

/* Two pods at one endpoint; radio is the later one. */
static void make_two(struct fixture *f)
{
	put_service("vpn", WATCHED);
	put_pod("media", "tv", UID, ASKS_VPN);
	put_pod("media", "radio", "1123456789ab-cdef-0123", ASKS_VPN);
	turn(f, 1);
	(void)add(f, C1, "tv");
	(void)add(f, C2, "radio");
}

static bool asks(struct fixture *f, const char *port)
{
	return !strcmp(fake_text(port_of(f, port), "probe_target"), "icmp:198.51.100.1") &&
	       json_integer_value(json_object_get(port_of(f, port), "probe_interval")) == 100;
}

static unsigned ports_at(struct fixture *f, const char *gateway)
{
	const char *key;
	json_t *port;
	unsigned n = 0;

	json_object_foreach(f->p.ports, key, port)
	{
		n += !strcmp(fake_text(port, "gateway"), gateway);
	}
	return n;
}

static bool asks_nothing(struct fixture *f, const char *port)
{
	return !strcmp(fake_text(port_of(f, port), "probe_target"), "none") &&
	       !json_integer_value(json_object_get(port_of(f, port), "probe_interval"));
}

static void note_path(void *context, const char *gateway, const struct address *endpoint, bool up)
{
	char text[ADDRESS_TEXT];
	size_t used = strlen(context);

	snprintf((char *)context + used, 200 - used, "%s@%s %s|", gateway, address_format(endpoint, text),
		 up ? "up" : "down");
}

static const char *paths_of(const struct fixture *f)
{
	static char text[200];

	text[0] = '\0';
	reconciler_visit_paths(f->attach, note_path, text);
	return text;
}

static void one_pod_asks_for_all(void **state)
{
	struct fixture *f = *state;

	make_two(f);
	assert_true(asks(f, TV) && asks_nothing(f, RADIO));
	assert_string_equal(check(f, C2, "radio"), "ready");
	assert_string_equal(paths_of(f), "media/vpn@10.244.2.7 up|");
	unsigned changes = f->p.changes;
	turn(f, RECONCILER_PERIOD);
	turn(f, RECONCILER_PERIOD);
	assert_int_equal(f->p.changes, changes);
	/* The next agent finds the one that there is. */
	close_agent(f);
	open_agent(f);
	turn(f, 1);
	turn(f, RECONCILER_PERIOD);
	assert_true(asks(f, TV) && asks_nothing(f, RADIO));
	assert_int_equal(f->p.changes, changes);
	assert_int_equal(times_told("Gateway"), 2);
	/* Another one does when it is gone. */
	call_agent(f, "attachment.remove", question(C1, "media", "tv"));
	turn(f, RECONCILER_PERIOD);
	assert_true(asks(f, RADIO));
	assert_string_equal(check(f, C2, "radio"), "ready");
	/* And nobody, when the Service does not want it any more. */
	put_service("vpn", "");
	turn(f, 1);
	assert_true(asks_nothing(f, RADIO));
	assert_string_equal(paths_of(f), "");
}

static void pods_wait_for_the_one_that_asks(void **state)
{
	struct fixture *f = *state;

	podswitchd_path(&f->p, FIRST, "probing");
	make_two(f);
	assert_string_equal(add(f, C1, "tv"), "pending");
	assert_non_null(strstr(reason_of(f), "answers ARP, and nothing answers behind it: icmp:198.51.100.1"));
	assert_string_equal(add(f, C2, "radio"), "pending");
	assert_non_null(strstr(reason_of(f), "is being asked, by " TV));
	assert_string_equal(paths_of(f), "");
	podswitchd_path(&f->p, FIRST, "ready");
	hear_news(f, TV, "port.ready");
	assert_string_equal(told, "GatewayAttached tv|GatewayAttached radio|");
}

static void all_leave_what_forwards_nothing(void **state)
{
	struct fixture *f = *state;
	char name[32], port[64], container[32];

	make_two(f);
	put_endpoints("vpn", "10.244.2.7 10.244.2.8");
	turn(f, 1);
	told[0] = '\0';
	podswitchd_path(&f->p, FIRST, "lost");
	hear_news(f, TV, "port.lost");
	assert_string_equal(place_of(f, TV), SECOND);
	assert_string_equal(place_of(f, RADIO), SECOND);
	assert_int_equal(times_told("GatewayLost"), 2);
	assert_int_equal(times_told("GatewayRecovered"), 2);
	assert_string_equal(check(f, C2, "radio"), "ready");
	assert_int_equal(asks(f, TV) + asks(f, RADIO), 1);
	assert_int_equal(asks_nothing(f, TV) + asks_nothing(f, RADIO), 1);
	assert_non_null(strstr(paths_of(f), "media/vpn@10.244.2.7 down|"));
	assert_non_null(strstr(paths_of(f), "media/vpn@10.244.2.8 up|"));
	/* New pods do not begin there, either; of six some would. */
	for (int i = 0; i < 6; i++) {
		snprintf(name, sizeof(name), "new%d", i);
		snprintf(container, sizeof(container), "d%dd%dd%dd%dd%dd%d", i, i, i, i, i, i);
		snprintf(port, sizeof(port), "media.%s@%.12s", name, container);
		put_pod("media", name, name, ASKS_VPN);
		turn(f, 1);
		assert_string_equal(add(f, container, name), "ready");
		assert_string_equal(place_of(f, port), SECOND);
	}
	/* Not back, when the second is lost as well: both are suspected. */
	podswitchd_path(&f->p, SECOND, "lost");
	hear_news(f, asks(f, TV) ? TV : RADIO, "port.lost");
	for (int i = 0; i < 2; i++)
		turn(f, RECONCILER_PERIOD);
	assert_string_equal(place_of(f, TV), SECOND);
	assert_string_equal(place_of(f, RADIO), SECOND);
	assert_string_equal(check(f, C2, "radio"), "lost");
	/* After a while one of them tries the first again; as that is no better, the others stay. */
	turn(f, RECONCILER_PERIOD);
	assert_int_equal(ports_at(f, FIRST), 1);
	assert_int_equal(ports_at(f, SECOND), 7);
	/* What answers again is noticed there. */
	podswitchd_path(&f->p, SECOND, "ready");
	turn(f, RECONCILER_PERIOD);
	assert_string_equal(check(f, C2, "radio"), "ready");
	/* And the first is forgotten when nobody has been there for a while. */
	for (int i = 0; i < 13; i++)
		turn(f, RECONCILER_PERIOD);
	assert_string_equal(paths_of(f), "media/vpn@10.244.2.8 up|");
	assert_string_equal(place_of(f, TV), SECOND);
}

static void single_endpoint_forwards_nothing(void **state)
{
	struct fixture *f = *state;

	make_two(f);
	told[0] = '\0';
	podswitchd_path(&f->p, FIRST, "lost");
	hear_news(f, TV, "port.lost");
	turn(f, RECONCILER_PERIOD);
	assert_string_equal(place_of(f, TV), FIRST);
	assert_string_equal(place_of(f, RADIO), FIRST);
	assert_true(!strcmp(told, "GatewayLost tv|GatewayLost radio|"));
	assert_non_null(strstr(last_message,
			       "gateway media/vpn at 10.244.2.7 answers ARP, and nothing answers behind it: "
			       "icmp:198.51.100.1"));
	assert_string_equal(check(f, C2, "radio"), "lost");
	assert_string_equal(paths_of(f), "media/vpn@10.244.2.7 down|");
	/* Nor does a new pod start. */
	put_pod("media", "new", "2123456789ab-cdef-0123", ASKS_VPN);
	turn(f, 1);
	assert_string_equal(add(f, "d3d3d3d3d3d3", "new"), "pending");
	podswitchd_path(&f->p, FIRST, "ready");
	hear_news(f, TV, "port.ready");
	assert_int_equal(times_told("GatewayRecovered"), 2);
	assert_string_equal(add(f, "d3d3d3d3d3d3", "new"), "ready");
}

/* The pod that asks has a fault of its own: another one takes over, in which all is well. */
static void pod_that_asks_is_at_fault(void **state)
{
	struct fixture *f = *state;

	make_two(f);
	podswitchd_lone(&f->p, TV, "lost");
	hear_news(f, TV, "port.lost");
	assert_string_equal(check(f, C2, "radio"), "lost");
	turn(f, RECONCILER_PERIOD);
	turn(f, 1);
	assert_true(asks(f, RADIO) && asks_nothing(f, TV));
	assert_string_equal(check(f, C2, "radio"), "ready");
	assert_string_equal(check(f, C1, "tv"), "lost");
	assert_string_equal(paths_of(f), "media/vpn@10.244.2.7 up|");
}

/* What did not answer this pod a while ago, and does forward for another one, is better than what forwards nothing. */
static void suspect_is_better_than_nothing(void **state)
{
	struct fixture *f = *state;

	char name[32], container[32], first[NAMES_SIZE];

	put_service("vpn", WATCHED);
	put_endpoints("vpn", "10.244.2.7 10.244.2.8");
	make_ready(f);
	strcpy(first, place_of(f, TV));
	for (int i = 0; i < 9 && !ports_at(f, other_than(first)); i++) {
		snprintf(name, sizeof(name), "new%d", i);
		snprintf(container, sizeof(container), "d%dd%dd%dd%dd%dd%d", i, i, i, i, i, i);
		put_pod("media", name, name, ASKS_VPN);
		turn(f, 1);
		assert_string_equal(add(f, container, name), "ready");
	}
	assert_int_equal(ports_at(f, other_than(first)), 1);
	struct suspect *suspect = &reconciler_find(f->attach, TV)->suspects[0];
	address_parse(strchr(other_than(first), '@') + 1, &suspect->address);
	suspect->until = f->now + ATTACHMENT_SUSPICION;
	podswitchd_path(&f->p, first, "lost");
	hear_news(f, TV, "port.lost");
	assert_string_equal(place_of(f, TV), other_than(first));
	assert_string_equal(check(f, C1, "tv"), "ready");
}

/* A node has many pods: not even a pause after a long pass may keep them there. */
static void pods_leave_during_a_pause(void **state)
{
	struct fixture *f = *state;

	make_two(f);
	put_endpoints("vpn", "10.244.2.7 10.244.2.8");
	turn(f, 1);
	f->attach->paused_until = clock_ms() + 60000;
	podswitchd_path(&f->p, FIRST, "lost");
	hear_news(f, TV, "port.lost");
	assert_string_equal(place_of(f, RADIO), SECOND);
}

/* Whoever else the agent's thread serves need not wait until all ports are made or moved. */
static void a_long_pass_is_cut(void **state)
{
	struct fixture *f = *state;

	make_two(f);
	put_endpoints("vpn", "10.244.2.8");
	f->attach->pass.slice = 0;
	f->attach->paused_until = 0;
	f->attach->pass_wanted = true;
	reconciler_turn(f->attach, ++f->now);
	assert_true(reconciler_goes_on(f->attach));
	assert_int_not_equal(!strcmp(place_of(f, RADIO), SECOND), !strcmp(place_of(f, TV), SECOND));
	reconciler_turn(f->attach, ++f->now);
	assert_string_equal(place_of(f, RADIO), SECOND);
	assert_string_equal(place_of(f, TV), SECOND);
	reconciler_turn(f->attach, ++f->now);
	assert_false(reconciler_goes_on(f->attach));
}

/* ---- DEL and the end of pods ---- */

static void removed_before_it_is_ready(void **state)
{
	struct fixture *f = *state;

	podswitchd_client(&f->p, VPN("10.244.2.7"), "waiting");
	put_pod("media", "tv", UID, ASKS_VPN);
	turn(f, 1);
	assert_string_equal(add(f, C1, "tv"), "pending");
	call_agent(f, "attachment.remove", question(C1, "media", "tv"));
	assert_int_equal(f->code, 0);
	assert_null(port_of(f, TV));
	assert_string_equal(add(f, C1, "tv"), "failed");
	assert_int_equal(f->code, JSONRPC_REFUSED);
	turn(f, RECONCILER_PERIOD);
	assert_null(port_of(f, TV));
	/* Twice is no error, and a further sandbox of the pod is another matter. */
	call_agent(f, "attachment.remove", question(C1, "media", "tv"));
	assert_int_equal(f->code, 0);
	podswitchd_client(&f->p, VPN("10.244.2.7"), "ready");
	assert_string_equal(add(f, C2, "tv"), "ready");
}

static void removed_before_it_is_asked_for(void **state)
{
	struct fixture *f = *state;

	put_pod("media", "tv", UID, ASKS_VPN);
	call_agent(f, "attachment.remove", question(C1, "media", "tv"));
	turn(f, 1);
	assert_string_equal(add(f, C1, "tv"), "failed");
	assert_int_equal(f->p.changes, 0);
}

static void second_sandbox(void **state)
{
	struct fixture *f = *state;

	make_ready(f);
	assert_string_equal(add(f, C2, "tv"), "ready");
	/* It may still run: it stays in, and gets no other way. */
	assert_string_equal(place_of(f, TV), "none");
	assert_string_equal(place_of(f, "media.tv@c2c2c2c2c2c2"), VPN("10.244.2.7"));
	/* A plugin of the first that still asks does not take it back. */
	assert_string_equal(add(f, C1, "tv"), "failed");
	turn(f, RECONCILER_PERIOD);
	assert_string_equal(place_of(f, TV), "none");
	assert_string_equal(place_of(f, "media.tv@c2c2c2c2c2c2"), VPN("10.244.2.7"));
	unsigned changes = f->p.changes;
	turn(f, RECONCILER_PERIOD);
	assert_string_equal(add(f, C2, "tv"), "ready");
	assert_int_equal(f->p.changes, changes);
	json_object_set_new(f->p.states, TV, json_string("gone"));
	turn(f, RECONCILER_PERIOD);
	assert_null(port_of(f, TV));
	/* One that is gone already is in nobody's way. */
	json_object_set_new(f->p.states, "media.tv@c2c2c2c2c2c2", json_string("gone"));
	assert_string_equal(add(f, "c3c3c3c3c3c3", "tv"), "ready");
	assert_null(port_of(f, "media.tv@c2c2c2c2c2c2"));
	call_agent(f, "attachment.remove", question("c3c3c3c3c3c3", "media", "tv"));
	assert_string_equal(add(f, "c4c4c4c4c4c4", "tv"), "ready");
	/* Another interface of the pod is not an earlier one. */
	json_t *params = question("c4c4c4c4c4c4", "media", "tv");
	json_object_set_new(params, "ifname", json_string("net1"));
	assert_string_equal(call_agent(f, "attachment.add", params), "ready");
	assert_string_equal(place_of(f, "media.tv@c4c4c4c4c4c4"), VPN("10.244.2.7"));
	assert_non_null(port_of(f, "media.tv@c4c4c4c4c4c4.net1"));
}

static void pod_goes_without_del(void **state)
{
	struct fixture *f = *state;

	make_ready(f);
	watch_take(PODS, "{'metadata':{'namespace':'media','name':'tv'}}");
	for (unsigned waited = 0; waited < ORPHAN_AGE; waited += RECONCILER_PERIOD) {
		turn(f, RECONCILER_PERIOD);
		assert_string_equal(place_of(f, TV), VPN("10.244.2.7"));
	}
	turn(f, RECONCILER_PERIOD);
	turn(f, RECONCILER_PERIOD);
	/* Its processes may have a long grace period, in which they get no other way out. */
	assert_string_equal(place_of(f, TV), "none");
	turn(f, 100 * ORPHAN_AGE);
	assert_string_equal(place_of(f, TV), "none");
	json_object_set_new(f->p.states, TV, json_string("gone"));
	turn(f, RECONCILER_PERIOD);
	assert_null(port_of(f, TV));
	assert_null(f->attach->attachments);
	turn(f, RECONCILER_PERIOD);
	assert_int_equal(json_object_size(f->p.gateways), 0);
}

/* As after a relist that came too early: it is there again before its time is over. */
static void pod_is_away_for_a_moment(void **state)
{
	struct fixture *f = *state;

	make_ready(f);
	for (int i = 0; i < 3; i++) {
		watch_take(PODS, "{'metadata':{'namespace':'media','name':'tv'}}");
		turn(f, ORPHAN_AGE - RECONCILER_PERIOD);
		put_pod("media", "tv", UID, ASKS_VPN);
		turn(f, RECONCILER_PERIOD);
	}
	assert_string_equal(check(f, C1, "tv"), "ready");
}

static void port_is_gone(void **state)
{
	struct fixture *f = *state;

	make_ready(f);
	json_object_set_new(f->p.states, TV, json_string("gone"));
	hear_news(f, TV, "port.gone");
	watch_take(PODS, "{'metadata':{'namespace':'media','name':'tv'}}");
	turn(f, RECONCILER_PERIOD);
	assert_null(port_of(f, TV));
}

static void tombstones_are_carried_out(void **state)
{
	struct fixture *f = *state;

	make_ready(f);
	assert_int_equal(shell_status(f->tombstones, "mkdir $D && echo '{}' >$D/" TV " && echo x >$D/.half"), 0);
	f->p.refuse = "port.remove";
	turn(f, RECONCILER_PERIOD);
	assert_int_equal(shell_status(f->tombstones, "test -e $D/" TV), 0);
	assert_non_null(port_of(f, TV));
	f->p.refuse = NULL;
	turn(f, RECONCILER_PERIOD);
	assert_null(port_of(f, TV));
	assert_int_equal(shell_status(f->tombstones, "test ! -e $D/" TV " && test -e $D/.half"), 0);
	assert_string_equal(add(f, C1, "tv"), "failed");
}

static json_t *valid(const char *container)
{
	return json_pack("{s:[{s:s, s:s}, i, {}]}", "valid", "container_id", container, "ifname", "eth0", 7);
}

static void garbage(void **state)
{
	struct fixture *f = *state;

	make_ready(f);
	call_agent(f, "attachment.gc", valid(C1));
	assert_int_equal(json_integer_value(json_object_get(f->result, "removed")), 0);
	/* Another network's list: the pod is there, and stays where it is. */
	call_agent(f, "attachment.gc", valid(C2));
	assert_int_equal(json_integer_value(json_object_get(f->result, "removed")), 0);
	watch_take(PODS, "{'metadata':{'namespace':'media','name':'tv'}}");
	call_agent(f, "attachment.gc", valid(C1));
	assert_int_equal(json_integer_value(json_object_get(f->result, "removed")), 0);
	call_agent(f, "attachment.gc", valid(C2));
	assert_int_equal(json_integer_value(json_object_get(f->result, "removed")), 1);
	assert_null(port_of(f, TV));
}

/* ---- starting anew ---- */

static void agent_starts_anew(void **state)
{
	struct fixture *f = *state;

	make_ready(f);
	turn(f, RECONCILER_PERIOD);
	unsigned changes = f->p.changes;
	cluster_close(f->cluster);
	close_agent(f);
	open_cluster(f);
	open_agent(f);
	for (int i = 0; i < 10; i++)
		turn(f, RECONCILER_PERIOD);
	assert_string_equal(add(f, C1, "tv"), "pending");
	assert_string_equal(check(f, C1, "tv"), "failed");
	/* All but the pods are known: still nothing may be concluded. */
	fill_cluster();
	watch_of(PODS)->synced = false;
	turn(f, ORPHAN_AGE);
	assert_string_equal(add(f, C1, "tv"), "pending");
	call_agent(f, "attachment.gc", valid(C2));
	turn(f, ORPHAN_AGE);
	assert_int_equal(f->p.changes, changes);
	put_pod("media", "tv", UID, ASKS_VPN);
	watch_of(PODS)->synced = true;
	turn(f, 1);
	turn(f, RECONCILER_PERIOD);
	assert_string_equal(add(f, C1, "tv"), "ready");
	assert_string_equal(check(f, C1, "tv"), "ready");
	assert_int_equal(f->p.changes, changes);
	assert_string_equal(told, "GatewayAttached tv|");
}

static void agent_starts_anew_in_the_middle(void **state)
{
	struct fixture *f = *state;

	podswitchd_client(&f->p, VPN("10.244.2.7"), "waiting");
	put_pod("media", "tv", UID, ASKS_VPN);
	turn(f, 1);
	assert_string_equal(add(f, C1, "tv"), "pending");
	close_agent(f);
	open_agent(f);
	turn(f, 1);
	assert_string_equal(add(f, C1, "tv"), "pending");
	podswitchd_client(&f->p, VPN("10.244.2.7"), "ready");
	assert_string_equal(add(f, C1, "tv"), "ready");
	assert_string_equal(told, "GatewayAttached tv|");
}

/* A lost gateway of which an earlier agent has told: what comes is its recovery, and by name. */
static void agent_starts_anew_at_a_lost_gateway(void **state)
{
	struct fixture *f = *state;

	make_ready(f);
	podswitchd_client(&f->p, VPN("10.244.2.7"), "lost");
	close_agent(f);
	open_agent(f);
	turn(f, 1);
	assert_string_equal(told, "GatewayAttached tv|GatewayLost tv|");
	assert_non_null(strstr(last_message, "media/vpn at 10.244.2.7"));
	podswitchd_client(&f->p, VPN("10.244.2.7"), "ready");
	turn(f, RECONCILER_PERIOD);
	assert_int_equal(times_told("GatewayRecovered"), 1);
}

/* A gateway that the CNI configuration names and nothing else: the next agent still knows. */
static void configured_gateway_outlives_the_agent(void **state)
{
	struct fixture *f = *state;

	put_pod("media", "tv", UID, "");
	turn(f, 1);
	assert_string_equal(add_configured(f, C1, "tv", "vpn.media"), "ready");
	unsigned changes = f->p.changes;
	close_agent(f);
	open_agent(f);
	turn(f, 1);
	turn(f, RECONCILER_PERIOD);
	assert_non_null(port_of(f, TV));
	assert_int_equal(f->p.changes, changes);
	assert_string_equal(check(f, C1, "tv"), "ready");
	/* What cannot be read is not "none". */
	close_agent(f);
	assert_int_equal(shell_status(f->memory, "rm $D/" TV " && mkdir $D/" TV), 0);
	open_agent(f);
	turn(f, RECONCILER_PERIOD);
	assert_non_null(port_of(f, TV));
	assert_int_equal(shell_status(f->memory, "rmdir $D/" TV " && echo -n vpn.media >$D/" TV), 0);
	close_agent(f);
	open_agent(f);
	turn(f, 1);
	/* The pod's own word still wins. */
	put_pod("media", "tv", UID, "'podswitch.io/gateway':'none'");
	turn(f, 1);
	assert_null(port_of(f, TV));
	call_agent(f, "attachment.remove", question(C1, "media", "tv"));
	assert_int_equal(shell_status(f->memory, "rmdir $D"), 0);
}

static void configured_gateway_cannot_be_kept(void **state)
{
	struct fixture *f = *state;

	put_pod("media", "tv", UID, "");
	assert_int_equal(shell_status(f->memory, ": >$D"), 0);
	turn(f, 1);
	assert_string_equal(add_configured(f, C1, "tv", "vpn.media"), "failed");
	assert_int_equal(f->p.changes, 0);
}

/* The port's name holds only a part of the pod's. */
static void long_name_is_taken_up(void **state)
{
	struct fixture *f = *state;
	char name[250];

	memset(name, 'a', sizeof(name) - 1);
	for (size_t i = 50; i < sizeof(name) - 1; i += 50)
		name[i] = '.';
	name[sizeof(name) - 1] = '\0';
	put_pod("media", name, UID, ASKS_VPN);
	turn(f, 1);
	assert_string_equal(add(f, C1, name), "ready");
	unsigned changes = f->p.changes;
	close_agent(f);
	open_agent(f);
	for (int i = 0; i < 10; i++)
		turn(f, RECONCILER_PERIOD);
	assert_int_equal(f->p.changes, changes);
	assert_string_equal(check(f, C1, name), "ready");
}

static void ports_of_others_are_left_alone(void **state)
{
	struct fixture *f = *state;

	json_object_set_new(f->p.gateways, "lab", json_object());
	json_object_set_new(
		f->p.ports, "by-hand",
		json_pack("{s:s, s:s, s:s, s:s}", "name", "by-hand", "gateway", "lab", "netns", "x", "ifname", "vx0"));
	json_object_set_new(
		f->p.ports, "No@Pod",
		json_pack("{s:s, s:s, s:s, s:s}", "name", "No@Pod", "gateway", "lab", "netns", "x", "ifname", "vx0"));
	for (int i = 0; i < 10; i++)
		turn(f, RECONCILER_PERIOD);
	assert_int_equal(json_object_size(f->p.ports), 2);
	assert_null(f->attach->attachments);
}

/* ---- podswitchd comes and goes ---- */

static void podswitchd_loses_its_state(void **state)
{
	struct fixture *f = *state;

	make_ready(f);
	podswitchd_stop(&f->p);
	turn(f, 1);
	assert_string_equal(add(f, C1, "tv"), "ready"); /* nothing says otherwise */
	podswitchd_forget(&f->p);
	podswitchd_start(&f->p);
	/* By its news alone, long before the period is over. */
	for (int i = 0; i < 3; i++)
		turn(f, 1);
	assert_string_equal(place_of(f, TV), VPN("10.244.2.7"));
	assert_non_null(json_object_get(f->p.gateways, VPN("10.244.2.7")));
	assert_string_equal(told, "GatewayAttached tv|");
}

static void podswitchd_keeps_its_state(void **state)
{
	struct fixture *f = *state;

	make_ready(f);
	unsigned changes = f->p.changes;
	podswitchd_stop(&f->p);
	for (int i = 0; i < 10; i++)
		turn(f, RECONCILER_PERIOD);
	podswitchd_start(&f->p);
	for (int i = 0; i < 3; i++)
		turn(f, RECONCILER_PERIOD);
	assert_int_equal(f->p.changes, changes);
	assert_string_equal(told, "GatewayAttached tv|");
	assert_string_equal(check(f, C1, "tv"), "ready");
	/* Or has an older one. */
	podswitchd_stop(&f->p);
	json_object_set_new(port_of(f, TV), "probe", json_integer(99));
	podswitchd_start(&f->p);
	for (int i = 0; i < 3; i++)
		turn(f, RECONCILER_PERIOD);
	assert_int_equal(json_integer_value(json_object_get(port_of(f, TV), "probe")), 10);
}

/* It forgot, and the first that notices is an order for another gateway. */
static void podswitchd_forgets_between_two_orders(void **state)
{
	struct fixture *f = *state;

	make_ready(f);
	podswitchd_stop(&f->p);
	podswitchd_forget(&f->p);
	podswitchd_start(&f->p);
	put_service("other", "");
	put_endpoints("other", "10.244.3.3");
	put_pod("media", "radio", UID "2", "'podswitch.io/gateway':'other'");
	assert_string_equal(add(f, C2, "radio"), "ready");
	put_pod("media", "film", UID "3", ASKS_VPN);
	assert_string_equal(add(f, "c3c3c3c3c3c3", "film"), "ready");
}

static void podswitchd_is_away(void **state)
{
	struct fixture *f = *state;
	const char *reason;

	podswitchd_stop(&f->p);
	put_pod("media", "tv", UID, ASKS_VPN);
	turn(f, 1);
	assert_string_equal(add(f, C1, "tv"), "pending");
	assert_non_null(strstr(reason_of(f), "podswitchd does not answer"));
	assert_string_equal(check(f, C1, "tv"), "failed");
	assert_false(reconciler_ready(f->attach, &reason));
	assert_string_equal(reason, "podswitchd does not answer");
	call_agent(f, "agent.status", NULL);
	assert_true(json_is_true(json_object_get(f->result, "synced")));
	assert_true(json_is_false(json_object_get(f->result, "switch")));
	assert_true(json_is_false(json_object_get(f->result, "ready")));
	assert_string_equal(reason_of(f), "podswitchd does not answer");
	assert_string_equal(fake_text(f->result, "instance"), "new");
	assert_true(json_is_true(json_object_get(f->result, "hands_over")));
	assert_string_equal(call_agent(f, "attachment.remove", question(C2, "media", "x")), "failed");
	podswitchd_start(&f->p);
	turn(f, 1);
	assert_string_equal(add(f, C1, "tv"), "ready");
	assert_true(reconciler_ready(f->attach, &reason));
	call_agent(f, "agent.status", NULL);
	assert_true(json_is_true(json_object_get(f->result, "ready")));
	podswitchd_stop(&f->p);
	put_pod("media", "radio", UID "2", ASKS_VPN);
	assert_string_equal(add(f, C2, "radio"), "pending");
	assert_non_null(strstr(reason_of(f), "podswitchd does not answer"));
}

static void podswitchd_refuses(void **state)
{
	struct fixture *f = *state;

	f->p.refuse = "port.add";
	put_pod("media", "tv", UID, ASKS_VPN);
	turn(f, 1);
	assert_string_equal(add(f, C1, "tv"), "pending");
	assert_non_null(strstr(reason_of(f), "podswitchd refuses: not today"));
	assert_string_equal(told, "");
	f->now += REFUSED_LIMIT;
	turn(f, 1);
	for (int i = 0; i < 2; i++)
		assert_string_equal(add(f, C1, "tv"), "pending");
	assert_string_equal(told, "GatewayNotReady tv|");
	assert_non_null(strstr(last_message, "podswitchd refuses: not today"));
	f->p.refuse = "gateway.add";
	assert_string_equal(add(f, C1, "tv"), "pending");
	f->p.refuse = NULL;
	assert_string_equal(add(f, C1, "tv"), "ready");
}

static void starts_before_all_is_known(void **state)
{
	struct fixture *f = *state;
	const char *reason;

	turn(f, 1);
	assert_string_equal(add(f, C1, "tv"), "pending");
	assert_true(json_is_true(json_object_get(f->result, "unknown")));
	assert_non_null(strstr(reason_of(f), "starting"));
	assert_false(reconciler_ready(f->attach, &reason));
	assert_non_null(strstr(reason, "API server"));
	assert_int_equal(json_array_size(f->p.log), 0);
	call_agent(f, "agent.status", NULL);
	assert_true(json_is_false(json_object_get(f->result, "synced")));
}

/* ---- pods without the plugin ---- */

static void running_pod_is_attached(void **state)
{
	struct fixture *f = *state;
	static const char port[] = "media.tv@0123456789ab";

	put_pod("media", "tv", UID, ASKS_VPN);
	turn(f, 1);
	assert_int_equal(f->p.changes, 0); /* no process is seen */
	searches = 0;
	for (int i = 0; i < 20; i++) {
		reconciler_wake(f->attach);
		turn(f, 1);
	}
	assert_int_equal(searches, 0);
	netns_answer = "/proc/77/ns/net";
	watch_say(PODS, "{'metadata':{'namespace':'media','name':'radio','uid':'0123456789ac','annotations':{" ASKS_VPN
			"}},'status':{'phase':'Pending'}}");
	turn(f, RECONCILER_PERIOD);
	assert_string_equal(place_of(f, port), VPN("10.244.2.7"));
	assert_string_equal(fake_text(port_of(f, port), "netns"), "/proc/77/ns/net");
	assert_int_equal(json_object_size(f->p.ports), 1);
	/* It had its gateway from the start, and ran. */
	assert_string_equal(told, "GatewayBypassed tv|GatewayAttached tv|");
	assert_int_equal(f->attach->bypassed, 1);
	unsigned changes = f->p.changes;
	/* It is not the plugin's, so that the runtime's list says nothing of it. */
	call_agent(f, "attachment.gc", valid(C2));
	close_agent(f);
	open_agent(f);
	turn(f, 1);
	call_agent(f, "attachment.gc", valid(C2));
	turn(f, RECONCILER_PERIOD);
	assert_int_equal(f->p.changes, changes);
	/* The plugin's own takes its place. */
	assert_string_equal(add(f, C1, "tv"), "ready");
	assert_string_equal(place_of(f, port), "none");
	assert_non_null(port_of(f, TV));
}

/* The kubelet waits for the plugin before it takes the pod away. */
static void deleted_while_it_waits(void **state)
{
	struct fixture *f = *state;

	put_pod("media", "tv", UID, "'podswitch.io/gateway':'late'");
	turn(f, 1);
	assert_string_equal(add(f, C1, "tv"), "pending");
	watch_say(PODS, "{'metadata':{'namespace':'media','name':'tv','uid':'" UID "','deletionTimestamp':'2026',"
			"'annotations':{'podswitch.io/gateway':'late'}}}");
	assert_string_equal(add(f, C1, "tv"), "refused");
}

static void running_pods_are_not_attached(void **state)
{
	struct fixture *f = *state;

	netns_answer = "/proc/77/ns/net";
	put_pod("media", "plain", "0123456789aa", "");
	put_pod("unheard", "x", "0123456789ab", "");
	watch_say(PODS,
		  "{'metadata':{'namespace':'media','name':'ends','uid':'0123456789ac','deletionTimestamp':'2026','"
		  "annotations':{" ASKS_VPN "}},'status':{'phase':'Running'}}");
	watch_say(PODS, "{'metadata':{'namespace':'media','name':'host','uid':'0123456789ad','annotations':{" ASKS_VPN
			"}},'spec':{'hostNetwork':true},'status':{'phase':'Running'}}");
	turn(f, 1);
	turn(f, RECONCILER_PERIOD);
	assert_int_equal(f->p.changes, 0);
	/* One that opted in after the plugin had let it go. */
	assert_string_equal(add(f, C1, "plain"), "none");
	assert_null(f->attach->attachments);
	put_pod("media", "plain", "0123456789aa", ASKS_VPN);
	turn(f, 1);
	assert_null(strstr(told, "GatewayBypassed"));
	assert_string_equal(place_of(f, "media.plain@0123456789aa"), VPN("10.244.2.7"));
	f->config.running = false;
	close_agent(f);
	podswitchd_forget(&f->p);
	open_agent(f);
	turn(f, 1);
	assert_int_equal(json_object_size(f->p.ports), 0);
	/* That it went past its gateway is said all the same, once. */
	turn(f, RECONCILER_PERIOD);
	assert_non_null(strstr(told, "GatewayBypassed plain|"));
	assert_int_equal(f->attach->bypassed, 1);
}

static char node_told[256], node_message[700];

static void tell_node(void *context, bool warning, const char *reason, const char *message)
{
	(void)context;
	assert_true(warning);
	snprintf(node_told + strlen(node_told), 128, "%s|", reason);
	snprintf(node_message, sizeof(node_message), "%s", message);
}

static void put_new_pod(const char *name, const char *uid, const char *status)
{
	char text[512];

	snprintf(text, sizeof(text),
		 "{'metadata':{'namespace':'media','name':'%s','uid':'%s','annotations':{" ASKS_VPN "}},"
		 "'spec':{},'status':{%s}}",
		 name, uid, status);
	watch_say(PODS, text);
}

/* Pods start, and nobody asks about them: the node's folders are not ours. */
static void plugin_is_not_called(void **state)
{
	struct fixture *f = *state;

	close_agent(f);
	f->config.report = tell_node;
	f->config.skip = "kube-system";
	node_told[0] = '\0';
	open_agent(f);
	netns_answer = "/proc/77/ns/net";
	/* A sandbox may have been made before we came, and not be reported yet. */
	put_new_pod("early", "0123456789ae", "'phase':'Pending'");
	turn(f, 1);
	put_new_pod("early", "0123456789ae", "'phase':'Pending','podIP':'10.1.1.9'");
	/* But not of one that was made after that. */
	watch_say(PODS, "{'metadata':{'namespace':'media','name':'new','uid':'0123456789af','creationTimestamp':"
			"'2999-01-01T00:00:00Z'},'status':{'phase':'Pending'}}");
	turn(f, 1);
	watch_say(PODS, "{'metadata':{'namespace':'media','name':'new','uid':'0123456789af','creationTimestamp':"
			"'2999-01-01T00:00:00Z'},'status':{'phase':'Running'}}");
	turn(f, 1);
	assert_string_equal(node_told, "CNIPluginNotCalled|");
	assert_int_equal(f->attach->uncalled, 1);
	node_told[0] = '\0';
	f->attach->complained = f->attach->uncalled = 0;
	turn(f, TIME_TO_REPORT);
	put_new_pod("tv", UID, "'phase':'Pending'");
	turn(f, 1);
	assert_string_equal(node_told, "");
	/* Its init container runs. */
	put_new_pod("tv", UID, "'phase':'Pending','podIP':'10.1.1.1'");
	turn(f, 1);
	assert_string_equal(node_told, "CNIPluginNotCalled|");
	assert_non_null(strstr(node_message, "nor for any other one"));
	assert_non_null(strstr(told, "GatewayBypassed tv|"));
	assert_int_equal(f->attach->uncalled, 1);
	turn(f, RECONCILER_PERIOD);
	assert_string_equal(node_told, "CNIPluginNotCalled|");
	/* One that it was called for, and one that was there before us. */
	put_new_pod("radio", "0123456789ac", "'phase':'Pending'");
	turn(f, 1);
	(void)add(f, C2, "radio");
	put_new_pod("radio", "0123456789ac", "'phase':'Running','podIP':'10.1.1.2'");
	put_new_pod("old", "0123456789ad", "'phase':'Running','podIP':'10.1.1.3'");
	turn(f, 1);
	assert_int_equal(f->attach->uncalled, 1);
	assert_null(strstr(told, "GatewayBypassed radio|"));
}

/* Namespaces whose pods the plugin lets through without a question. */
static void skipped_namespace_gets_nothing(void **state)
{
	struct fixture *f = *state;

	close_agent(f);
	f->config.skip = "kube-system, media";
	open_agent(f);
	netns_answer = "/proc/77/ns/net";
	put_pod("media", "tv", UID, ASKS_VPN);
	put_pod("media", "plain", "0123456789aa", "");
	turn(f, 1);
	turn(f, RECONCILER_PERIOD);
	assert_int_equal(f->p.changes, 0);
	assert_string_equal(told, "GatewayNamespaceSkipped tv|");
}

/* The way to its namespace led through a process that is gone, as the runtime's after a restart. */
static void namespace_is_found_again(struct fixture *f)
{
	namespace_is_there = false;
	netns_answer = "/proc/88/ns/net";
	turn(f, RECONCILER_PERIOD);
	assert_string_equal(fake_text(port_of(f, TV), "netns"), "/proc/77/root/far/away/x"); /* the port is well */
	json_object_set_new(f->p.states, TV, json_string("gone"));
	turn(f, RECONCILER_PERIOD);
	turn(f, RECONCILER_PERIOD);
	assert_string_equal(fake_text(port_of(f, TV), "netns"), "/proc/88/ns/net");
	namespace_is_there = true;
}

static void namespace_by_the_runtime(void **state)
{
	struct fixture *f = *state;

	put_pod("media", "tv", UID, ASKS_VPN);
	turn(f, 1);
	call_agent(f, "attachment.add",
		   json_pack("{s:s, s:s, s:s, s:s, s:s, s:s, s:i}", "container_id", C1, "ifname", "vx0", "namespace",
			     "media", "pod", "tv", "uid", UID, "netns", "/far/away/x", "runtime", 77));
	assert_string_equal(fake_text(port_of(f, TV), "netns"), "/proc/77/root/far/away/x");
	namespace_is_found_again(f);
}

/* Without podswitchd, who has no gateway starts. Who may have one waits, whatever older word the plugin has on disk. */
static void no_switch_is_needed(void **state)
{
	struct fixture *f = *state;

	put_pod("media", "plain", "0123456789aa", "");
	put_pod("media", "tv", UID, ASKS_VPN);
	f->attach->adopted = false;
	assert_string_equal(add(f, C2, "plain"), "none");
	f->attach->adopted = false;
	assert_string_equal(add(f, C1, "tv"), "pending");
	assert_false(json_is_true(json_object_get(f->result, "unknown")));
	assert_string_equal(add(f, C1, "unseen"), "pending");
	assert_false(json_is_true(json_object_get(f->result, "unknown")));
}

int main(void)
{
#define TEST(test) cmocka_unit_test_setup_teardown(test, set_up_filled, tear_down)
	const struct CMUnitTest tests[] = {
		TEST(without_gateway),
		TEST(with_gateway),
		TEST(static_address),
		TEST(unknown_gateway_appears),
		TEST(malformed_service_waits),
		TEST(not_allowed),
		TEST(not_allowed_by_another_service),
		TEST(malformed),
		TEST(silent_gateway),
		TEST(silent_endpoint_is_left),
		TEST(another_address_is_told),
		TEST(busy_endpoint_is_waited_for),
		TEST(late_lease_is_used),
		TEST(silent_endpoints_are_left_in_turn),
		TEST(pod_not_seen),
		TEST(static_pod),
		TEST(namespace_decides),
		TEST(namespaces_are_not_heard),
		TEST(namespaces_trail),
		TEST(annotation_comes_and_goes),
		TEST(answer_serves_earlier_pods),
		TEST(namespace_cannot_be_read),
		TEST(keeps_as_many_networks_as_fit),
		TEST(networks_come_and_go),
		TEST(pods_in_a_block),
		TEST(waits_for_optional_networks),
		TEST(does_not_wait_for_ever),
		TEST(own_address_is_not_kept),
		TEST(own_address_is_only_in_a_block),
		TEST(pods_of_other_nodes_are_looked_for),
		TEST(same_address_on_another_node),
		TEST(gateway_network_is_kept),
		TEST(gateway_network_is_not_given),
		TEST(configured_network_is_huge),
		TEST(wrong_questions),
		TEST(moves_to_another_gateway),
		TEST(stays_while_the_new_gateway_is_not_there),
		TEST(service_and_namespace_go),
		TEST(opts_out_and_in),
		TEST(removal_that_is_refused_is_tried_again),
		TEST(permission_is_revoked),
		TEST(gateway_changes_its_network),
		TEST(gateway_removed_by_hand),
		TEST(endpoint_goes),
		TEST(endpoints_share_the_pods),
		TEST(lost_endpoint),
		TEST(single_endpoint_is_lost),
		TEST(news_is_missed),
		TEST(lease_is_lost),
		TEST(one_pod_asks_for_all),
		TEST(pods_wait_for_the_one_that_asks),
		TEST(all_leave_what_forwards_nothing),
		TEST(single_endpoint_forwards_nothing),
		TEST(pod_that_asks_is_at_fault),
		TEST(suspect_is_better_than_nothing),
		TEST(pods_leave_during_a_pause),
		TEST(a_long_pass_is_cut),
		TEST(removed_before_it_is_ready),
		TEST(removed_before_it_is_asked_for),
		TEST(second_sandbox),
		TEST(pod_goes_without_del),
		TEST(pod_is_away_for_a_moment),
		TEST(port_is_gone),
		TEST(tombstones_are_carried_out),
		TEST(garbage),
		TEST(agent_starts_anew),
		TEST(agent_starts_anew_in_the_middle),
		TEST(agent_starts_anew_at_a_lost_gateway),
		TEST(configured_gateway_outlives_the_agent),
		TEST(configured_gateway_cannot_be_kept),
		TEST(long_name_is_taken_up),
		TEST(ports_of_others_are_left_alone),
		TEST(podswitchd_loses_its_state),
		TEST(podswitchd_keeps_its_state),
		TEST(podswitchd_forgets_between_two_orders),
		TEST(podswitchd_is_away),
		TEST(podswitchd_refuses),
		cmocka_unit_test_setup_teardown(starts_before_all_is_known, set_up, tear_down),
		TEST(running_pod_is_attached),
		TEST(deleted_while_it_waits),
		TEST(running_pods_are_not_attached),
		TEST(plugin_is_not_called),
		TEST(skipped_namespace_gets_nothing),
		TEST(no_switch_is_needed),
		TEST(namespace_by_the_runtime),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
