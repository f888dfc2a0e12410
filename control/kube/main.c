/* SPDX-License-Identifier: Apache-2.0 */
/*
 * main.c - podswitch-agent: gives this node's pods the gateways that their annotations name
 *
 * One thread, one loop: it sleeps in kube_wait() for the API server, the plugin's questions, podswitchd's news, HTTP
 * and signals, then lets each do what it has to do.
 */
#include "control/base/confinement.h"
#include "control/base/rpc.h"
#include "control/cni/install.h"
#include "control/kube/agent_methods.h"
#include "control/kube/chain.h"
#include "control/kube/events.h"
#include "control/kube/health.h"
#include "control/kube/kept_networks.h"
#include "control/kube/known_namespaces.h"
#include "control/kube/leftovers.h"
#include "control/kube/metrics.h"
#include "control/kube/runtime_folders.h"
#include "control/kube/settings.h"
#include "control/kube/succession.h"
#include "tap/base/clock.h"
#include "tap/base/signals.h"

#include <assert.h>
#include <libgen.h>
#include <limits.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/signalfd.h>
#include <time.h>
#include <unistd.h>

#define NAP 1000             /* ms: the longest sleep of the loop */
#define SHORT_NAP 20         /* ms while a pass waits for its turn */
#define LISTEN_TRIES 100     /* 20 ms each: the agent before gives up its HTTP port within a turn of its loop */
#define PODSWITCHD_END 10000 /* ms that podswitchd may take to end after us, when both are uninstalled */
#define HINDSIGHT 500        /* ms to wait after SIGTERM for the news that the DaemonSet is deleted */

struct agent {
	struct settings settings;
	struct choose_policy policy;
	char socket[PATH_MAX], memory[PATH_MAX], note[PATH_MAX];
	int signals;
	struct kube *kube;
	struct cluster *cluster;
	struct podswitchd *podswitchd;
	struct reconciler *reconciler;
	struct rpc *rpc;
	struct health *health;
	struct chain *chain;
	struct known_namespaces known;
	struct agent_methods methods;
	struct succession succession;
	bool succeeded; /* by another agent */
	uint64_t ticked;
};

/* ---- rights ---- */

/*
 * CAP_SYS_PTRACE: which network namespace a pod's processes are in (find.c), the runtime's folders (runtime_folders.c).
 * CAP_DAC_OVERRIDE: CNI folders that are not root's (chain.c). CAP_NET_BIND_SERVICE: --listen with a port below 1024.
 */
#define AGENT_CAPABILITIES                                                                                             \
	(CAPABILITY(CAP_SYS_PTRACE) | CAPABILITY(CAP_DAC_OVERRIDE) | CAPABILITY(CAP_NET_BIND_SERVICE))

/* chain.c; conffile.c, which keeps a file's owner where it may. */
static const char *const agent_folders[] = {"inotify_init1", "inotify_add_watch", "inotify_rm_watch",
					    "lchown",        "fchownat",          NULL};

static int agent_confine(const struct settings *settings, struct failure *why)
{
	static const char *const *const allowed[] = {call_filter_base,    call_filter_waiting, call_filter_files,
						     call_filter_sockets, agent_folders,       NULL};
	/* libc loads a library when it is asked for a name. */
	static const struct call_filter calls = {.allowed = allowed, .load_code = true};
	const struct confinement rights = {.capabilities = AGENT_CAPABILITIES,
					   .calls = settings->seccomp ? &calls : NULL};
	return confine(&rights, why);
}

/* ---- starting ---- */

/* The agent's socket and files are beside podswitchd's socket. */
static void name_paths(struct agent *agent)
{
	char copy[PATH_MAX];
	snprintf(copy, sizeof(copy), "%s", agent->settings.socket);
	const char *directory = dirname(copy);
	snprintf(agent->memory, sizeof(agent->memory), "%.4000s/configured", directory);
	snprintf(agent->note, sizeof(agent->note), "%.4000s/cni-installed", directory);
	if (agent->settings.agent_socket)
		snprintf(agent->socket, sizeof(agent->socket), "%s", agent->settings.agent_socket);
	else
		snprintf(agent->socket, sizeof(agent->socket), "%.4000s/agent.sock", directory);
}

static void agent_cluster_changed(void *context)
{
	struct agent *agent = context;
	agent->known.changed = true;
	if (agent->reconciler)
		reconciler_wake(agent->reconciler);
}

static bool agent_is_ready(void *context, const char **reason)
{
	const struct agent *agent = context;
	return reconciler_ready(agent->reconciler, reason) && chain_ready(agent->chain, reason);
}

static void agent_report(void *context, bool warning, const char *reason, const char *message)
{
	const struct agent *agent = context;
	events_send_node(agent->kube, agent->settings.node, warning, reason, message);
}

static void write_metrics(void *context, FILE *out)
{
	const struct agent *agent = context;
	struct chain_counters chain;
	struct health_counters health;
	chain_count(agent->chain, &chain);
	health_count(agent->health, &health);
	metrics_write(out, agent->reconciler, agent->cluster, agent->kube, agent->podswitchd);
	metrics_write_chain(out, &chain);
	metrics_write_health(out, &health);
}

static int agent_open_cluster(struct agent *agent, struct failure *why)
{
	const struct settings *settings = &agent->settings;
	/* client-go backs off for up to a minute, to spare servers with many clients. There is one agent per node. */
	const struct kube_options api = {.server = settings->api,
					 .token_file = settings->token_file,
					 .ca_file = settings->ca_file,
					 .backoff_max_ms = 5000};
	const struct cluster_config config = {.node = settings->node,
					      .daemonset = settings->daemonset,
					      .changed = agent_cluster_changed,
					      .context = agent};
	int error = kube_open(&api, &agent->kube, why);
	return error ? error : cluster_open(agent->kube, &config, &agent->cluster, why);
}

static int agent_open_reconciler(struct agent *agent, struct failure *why)
{
	const struct settings *settings = &agent->settings;
	static_assert(SETTINGS_MAX_KEEP == KEPT_NETWORKS_CONFIGURED, "none of them is left out");
	agent->policy = (struct choose_policy){
		.default_gateway = settings->default_gateway,
		.set_gateway_default = settings->set_gateway_default,
		.pod_annotations = settings->pod_annotations,
		.inbound = settings->inbound,
		.cluster_domain = settings->cluster_domain,
	};
	const struct reconciler_config config = {
		.kube = agent->kube,
		.cluster = agent->cluster,
		.podswitchd = agent->podswitchd,
		.node = settings->node,
		.policy = &agent->policy,
		.keep = settings->keep,
		.n_keep = settings->n_keep,
		.underlay = settings_underlays[settings->underlay],
		.keep_metadata = settings->keep_metadata,
		.probe = settings->probe,
		.skip = settings->skip_namespaces,
		.report = agent->chain ? agent_report : NULL, /* else nobody expects the plugin to be called */
		.report_context = agent,
		.running = settings->attach,
		.socket = settings->socket,
		.memory = agent->memory,
	};
	return reconciler_open(&config, &agent->reconciler, why);
}

/* At the socket there is somebody at any time: `taken` from the agent before, which removes nothing of ours. */
static int agent_open_socket(struct agent *agent, bool taken, struct failure *why)
{
	agent->methods = (struct agent_methods){.reconciler = agent->reconciler,
						.instance = agent->settings.instance,
						.ready = agent_is_ready,
						.context = agent};
	if (!taken)
		return rpc_open(agent->socket, agent_methods_call, &agent->methods, &agent->rpc, why);
	int error = rpc_open_beside(agent->socket, agent_methods_call, &agent->methods, &agent->rpc, why);
	return error ? error : rpc_appear(agent->rpc, why);
}

static int agent_open_health(struct agent *agent, bool taken, struct failure *why)
{
	static const struct timespec moment = {.tv_nsec = 20000000};
	const struct health_config health = {
		.listen = agent->settings.listen, .ready = agent_is_ready, .metrics = write_metrics, .context = agent};
	if (!agent->settings.listen)
		return 0;
	int error = health_open(&health, &agent->health, why);
	for (int i = 0; taken && error == -EADDRINUSE && i < LISTEN_TRIES; i++) {
		nanosleep(&moment, NULL);
		error = health_open(&health, &agent->health, why);
	}
	return error;
}

/* All that this node's pods, plugin and probes have of us. `taken`: there was another agent until now. */
static int agent_serve(struct agent *agent, bool taken, struct failure *why)
{
	agent->chain = chain_open(&agent->settings, agent->note, agent_report, agent);
	int error = agent_open_reconciler(agent, why);
	if (!error)
		error = agent_open_socket(agent, taken, why);
	succession_end(&agent->succession);
	if (!error)
		error = agent_open_health(agent, taken, why);
	agent->known = (struct known_namespaces){
		.path = agent->settings.known, .cluster = agent->cluster, .policy = &agent->policy, .changed = true};
	/* What has changed while we were away, before anything else is asked for. */
	if (!error)
		chain_turn(agent->chain, clock_ms());
	return error;
}

static int agent_start(struct agent *agent, struct failure *why)
{
	int error = 0;
	agent->signals = signals_open();
	agent->podswitchd = podswitchd_new(agent->settings.socket);
	if (agent->signals < 0 || !agent->podswitchd)
		return fail(why, -ENOMEM, NULL, "out of descriptors or memory");
	/* An older version is stopped from here, which our rights do not allow later. */
	if (agent->settings.takeover)
		error = succession_begin(&agent->succession, agent->socket, why);
	if (!error)
		error = agent_confine(&agent->settings, why);
	if (!error)
		error = agent_open_cluster(agent, why);
	if (!error && !agent->succession.waits)
		error = agent_serve(agent, false, why);
	return error;
}

/* All but the socket: there is no moment without one. */
static void agent_give_up(struct agent *agent)
{
	chain_close(agent->chain);
	health_close(agent->health);
	reconciler_close(agent->reconciler);
	known_namespaces_free(&agent->known);
	cluster_close(agent->cluster);
	kube_close(agent->kube);
	podswitchd_free(agent->podswitchd);
	agent->chain = NULL;
	agent->health = NULL;
	agent->reconciler = NULL;
	agent->cluster = NULL;
	agent->kube = NULL;
	agent->podswitchd = NULL;
}

/* Accepts what agent_start() left half done. */
static void agent_stop(struct agent *agent)
{
	succession_end(&agent->succession);
	agent_give_up(agent);
	rpc_close(agent->rpc);
	if (agent->signals >= 0)
		close(agent->signals);
}

/* ---- the loop ---- */

/* While another agent serves. -1: we have its place, and cannot serve. */
static int wait_for_place(struct agent *agent)
{
	struct failure why = {0};
	if (!cluster_synced(agent->cluster) || !succession_claim(&agent->succession, agent->socket, clock_ms()))
		return 0;
	int error = agent_serve(agent, true, &why);
	if (error)
		log_line(LOG_ERROR, "%s", why.text);
	else
		log_line(LOG_INFO, "serves in the other one's place");
	return error ? -1 : 0;
}

static void agent_turn(struct agent *agent)
{
	uint64_t now = clock_ms();
	reconciler_turn(agent->reconciler, now);
	rpc_serve(agent->rpc);
	if (agent->known.path)
		known_namespaces_turn(&agent->known, now);
	if (agent->health)
		health_turn(agent->health, now);
	if (!cluster_uninstalled(agent->cluster))
		chain_turn(agent->chain, now);
	if (now - agent->ticked >= 1000) {
		agent->ticked = now;
		rpc_tick(agent->rpc);
	}
}

/* ms that the loop may sleep. */
static int agent_nap(const struct agent *agent)
{
	if (agent->succession.waits)
		return NAP;
	if (reconciler_goes_on(agent->reconciler))
		return 0;
	return reconciler_waits(agent->reconciler) ? SHORT_NAP : NAP;
}

/* True: another agent has our place. */
static bool make_way(struct agent *agent)
{
	int connection = agent->rpc ? rpc_released(agent->rpc) : -1;
	if (connection < 0)
		return false;
	log_line(LOG_INFO, "another podswitch-agent takes this one's place");
	agent->succeeded = true;
	agent_give_up(agent);
	succession_let_go(connection);
	rpc_close(agent->rpc);
	agent->rpc = NULL;
	return true;
}

/* Where a supervisor would start us again, and with that take the place back, we stay until we are stopped. */
static void wait_to_be_stopped(const struct agent *agent)
{
	struct pollfd stop = {.fd = agent->signals, .events = POLLIN};
	log_line(LOG_INFO, "waiting to be stopped");
	while (poll(&stop, 1, -1) < 1)
		continue;
}

/* Returns the exit status. */
static int agent_loop(struct agent *agent)
{
	struct signalfd_siginfo signal;
	for (;;) {
		struct curl_waitfd fds[] = {
			{.fd = agent->signals, .events = CURL_WAIT_POLLIN},
			{.fd = agent->rpc ? rpc_fd(agent->rpc) : -1, .events = CURL_WAIT_POLLIN},
			{.fd = agent->health ? health_fd(agent->health) : -1, .events = CURL_WAIT_POLLIN},
			{.fd = chain_fd(agent->chain), .events = CURL_WAIT_POLLIN},
			{.fd = podswitchd_events_fd(agent->podswitchd), .events = CURL_WAIT_POLLIN},
		};
		(void)kube_wait(agent->kube, fds, sizeof(fds) / sizeof(fds[0]), agent_nap(agent));
		kube_turn(agent->kube);
		if (!agent->succession.waits)
			agent_turn(agent);
		else if (wait_for_place(agent))
			return 1;
		if (make_way(agent) || read(agent->signals, &signal, sizeof(signal)) == sizeof(signal))
			return 0;
		if (chain_outdated(agent->chain)) {
			log_line(LOG_WARNING,
				 "the node has exchanged a folder of its CNI plugins or configuration: this "
				 "container starts again, to have the new one mounted");
			return 1;
		}
	}
}

/* ---- the end ---- */

/* The kubelet may stop this pod a moment before the watch says that the DaemonSet is deleted. */
static bool is_uninstalled(struct agent *agent)
{
	uint64_t end = clock_ms() + HINDSIGHT;
	while (agent->settings.daemonset && !cluster_uninstalled(agent->cluster) && clock_ms() < end) {
		(void)kube_wait(agent->kube, NULL, 0, 50);
		kube_turn(agent->kube);
	}
	return cluster_uninstalled(agent->cluster);
}

/*
 * Whether podswitchd is there still. Its DaemonSet is deleted with ours, by the same command, and its pod may be told
 * to end a moment later. One that waits for a successor is told that there will be none.
 */
static bool podswitchd_runs(const struct agent *agent)
{
	static const struct timespec moment = {.tv_nsec = 100000000};
	uint64_t end = clock_ms() + PODSWITCHD_END;
	struct client client;
	while (!client_connect_to(&client, agent->settings.socket, "podswitchd", 1000, NULL)) {
		json_t *ignored = NULL;
		(void)client_call(&client, "takeover.nobody", NULL, &ignored, NULL);
		json_decref(ignored);
		client_disconnect(&client);
		if (clock_ms() >= end)
			return true;
		nanosleep(&moment, NULL);
	}
	return false;
}

/*
 * Uninstalls. Pods that have a gateway keep their interface, which is dead, and get no other way out: they must not
 * leak. Recreate them to run them without a gateway.
 */
static void clean_up(struct agent *agent)
{
	const struct settings *settings = &agent->settings;
	struct failure why = {0};
	if (agent->succeeded || !is_uninstalled(agent) || !settings->cni_bin_dir || !settings->cni_conf_dir)
		return;
	const struct cni_install config = {.bin_dir = settings->cni_bin_dir,
					   .conf_dir = settings->cni_conf_dir,
					   .socket = settings->socket,
					   .keep_program = !runtime_is_containerd()};
	if (cni_uninstall(&config, &why))
		log_line(LOG_ERROR, "the CNI plugin is not taken out: %s", why.text);
	else
		log_line(LOG_INFO, "the DaemonSet is deleted: the CNI plugin is taken out of this node%s",
			 config.keep_program ? "; its program stays, as no containerd is seen: others may call it to "
					       "delete the pods of before"
					     : "");
	if (agent->known.path)
		known_namespaces_remove(&agent->known);
	leftovers_remove(settings->socket, agent->socket, podswitchd_runs(agent));
}

/* For a probe, which shows people the reason. Returns the exit status. */
static int check(const struct agent *agent)
{
	struct failure why = {0};
	int error = succession_check(agent->socket, agent->settings.instance, &why);
	puts(error ? why.text : "ready");
	return error ? 1 : 0;
}

int main(int argc, char **argv)
{
	struct agent agent = {.signals = -1};
	struct failure why = {0};
	(void)argc;
	if (settings_read(argv + 1, &agent.settings, &why)) {
		fprintf(stderr, "podswitch-agent: %s\n", why.text);
		return 2;
	}
	if (agent.settings.help || agent.settings.version) {
		if (agent.settings.help)
			settings_help(stdout);
		else
			puts("podswitch-agent " PODSWITCH_VERSION);
		return 0;
	}
	log_set_level(agent.settings.log_level);
	name_paths(&agent);
	if (agent.settings.check)
		return check(&agent);
	int code = agent_start(&agent, &why) ? 1 : 0;
	if (code) {
		log_line(LOG_ERROR, "%s", why.text);
	} else {
		log_line(LOG_INFO, "version %s, node %s, socket %s", PODSWITCH_VERSION, agent.settings.node,
			 agent.socket);
		code = agent_loop(&agent);
		if (agent.succeeded)
			wait_to_be_stopped(&agent);
		else if (!code)
			clean_up(&agent);
	}
	agent_stop(&agent);
	return code;
}
