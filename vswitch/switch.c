/* SPDX-License-Identifier: Apache-2.0 */
/*
 * switch.c - the switch as a whole: start, stop, housekeeping
 *
 *    podswitchd's main loop                                          workers
 *    epoll: switch_wakeup_fd() = vs->attention
 *       +-- wakeup (eventfd)       <--- worker_wake_control() ---    a TAP is lost, the FDB is crowded,
 *       +-- alarm (timerfd): a gateway client has something due      a train was refused, a pod has become busy
 *       +-- packet sockets of gateway clients
 *
 *    switch_tick(), then and once a second:
 *       ports whose TAP or namespace is gone     port_gone()
 *       queues of busy pods                      pod_queues_turn()
 *       gateway clients                          pod_network_turn()
 *       ways out of the node, and of busy pods   egress_turn(), pod_egress_turn()
 *       hubs that are short of remotes           hub_make_room()
 *       claims to a hub's table entries          claims_ask()
 *       what the kernel refused somewhere        refusals_log()
 *       MACs learned, for the listener           the workers' rings of struct worker_learned
 *       a crowded FDB                            fdb_reserve(), workers parked
 *       once a second                            hub_log(), claims_log()
 *       ten times in an ageing period            expired FDB entries, remotes of hubs (workers parked)
 *
 * All of it is the control thread's. vs->woken keeps workers from writing to the eventfd again before the tick. It is
 * cleared after the eventfd was read and before anything is looked at: who comes before that writes nothing, and what
 * it has to say is seen in this tick. The other way round, a wake-up in between would be read away and leave `woken`
 * set, and nobody would be heard for a second.
 */
#include "vswitch/switch.h"

#include "tap/base/clock.h"
#include "tap/base/log.h"
#include "tap/steering.h"
#include "tap/tap_endings.h"
#include "vswitch/base/kernel.h"
#include "vswitch/claims.h"
#include "vswitch/gateway.h"
#include "vswitch/housekeeping.h"
#include "vswitch/hub.h"
#include "vswitch/path/egress.h"
#include "vswitch/path/parking.h"
#include "vswitch/path/remote.h"
#include "vswitch/path/worker.h"
#include "vswitch/paths.h"
#include "vswitch/pod_egress.h"
#include "vswitch/pod_network.h"
#include "vswitch/pod_queues.h"
#include "vswitch/port.h"
#include "vswitch/refusals.h"
#include "vswitch/silence.h"

#include <sched.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/random.h>
#include <sys/timerfd.h>
#include <sys/utsname.h>
#include <unistd.h>

#define AUTO_WORKERS 4         /* at most */
#define ENDINGS_PATIENCE 10000 /* ms for the TAPs that are left at the end; a thousand take 2 s on two busy cores */

/* Start and stop */

static void *map_lazily(size_t size)
{
	/* Pages cost memory only once they are used. */
	void *memory = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	return memory == MAP_FAILED ? NULL : memory;
}

static int open_tables(struct vswitch *vs, struct failure *why)
{
	const struct fdb_limits limits = {.ageing = vs->options.ageing,
					  .gateway = vs->options.fdb_gateway_limit,
					  .place = vs->options.fdb_remote_limit};
	if (getrandom(vs->secret, sizeof(vs->secret), 0) != sizeof(vs->secret))
		return fail(why, -EIO, NULL, "getrandom: no random bytes for the hash secret");
	vs->ports = map_lazily(MAX_PORTS * sizeof(struct port *));
	vs->remotes = map_lazily(MAX_REMOTES * sizeof(struct remote));
	vs->workers = calloc(vs->options.workers, sizeof(struct worker));
	vs->demux = demux_new(0, vs->secret, sizeof(vs->secret));
	if (!vs->ports || !vs->remotes || !vs->workers || !vs->demux ||
	    fdb_open(&vs->fdb, &limits, vs->secret, sizeof(vs->secret)))
		return fail(why, -ENOMEM, NULL, "out of memory");
	return 0;
}

/* Kernel features that were found, then the offloads in force. */
static void note_features(struct vswitch *vs)
{
	const struct ring_features *ring = ring_features(vs->workers[0].ring);
	const struct switch_feature features[] = {
		{"io_uring", vs->io.io == IO_URING},
		{"read_multishot", ring->read_multishot},
		{"defer_taskrun", ring->defer_taskrun},
		{"tap_gso", vs->offloads.tap_gso},
		{"udp_gso", vs->offloads.udp_gso},
		{"udp_gro", vs->offloads.udp_gro},
		{"trains", vs->offloads.trains && vs->offloads.udp_gso},
		{"tap_gro", vs->offloads.tap_gro},
		{"underlay_tap", vs->offloads.underlay_tap},
		{"tap_queues", vs->options.tap_queues > 1 && steering_works()},
		{NULL, false},
	};
	_Static_assert(sizeof(features) <= sizeof(vs->features), "room for every feature");
	memcpy(vs->features, features, sizeof(features));
}

static uint64_t tick_egress(struct vswitch *vs)
{
	bool before = vs->offloads.underlay_tap;
	uint64_t due = egress_turn(vs, clock_ms()), of_pods = pod_egress_turn(vs, clock_ms());
	if (vs->offloads.underlay_tap != before)
		note_features(vs);
	return due < of_pods ? due : of_pods;
}

/* `release` is uname()'s. */
static void choose_udp_gso(struct vswitch *vs, const char *release)
{
	vs->offloads.udp_gso = kernel_udp_gso(vs->options.udp_gso, release);
	vs->trains_garbled = !vs->offloads.udp_gso && vs->options.udp_gso == UDP_GSO_AUTO;
	if (vs->trains_garbled)
		log_line(LOG_WARNING,
			 "udp_gso is off: Linux 7.0 to 7.1.4 may garble trains of datagrams, and this is %s; "
			 "--udp-gso on overrides",
			 release);
}

static int choose_io(struct vswitch *vs, struct failure *why)
{
	int error = ring_choose(vs->options.io, &vs->io, why);
	if (!error && vs->options.io == IO_AUTO && vs->io.io == IO_EPOLL)
		log_line(LOG_INFO, "epoll is used for I/O: %s", vs->io.why);
	return error;
}

static int open_attention(struct vswitch *vs, struct failure *why)
{
	struct epoll_event event = {.events = EPOLLIN, .data.u32 = ATTENTION_OTHER};
	vs->wakeup = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	vs->alarm = timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC | TFD_NONBLOCK);
	vs->attention = epoll_create1(EPOLL_CLOEXEC);
	if (vs->wakeup < 0 || vs->alarm < 0 || vs->attention < 0 ||
	    epoll_ctl(vs->attention, EPOLL_CTL_ADD, vs->wakeup, &event) ||
	    epoll_ctl(vs->attention, EPOLL_CTL_ADD, vs->alarm, &event))
		return fail(why, -errno, NULL, "eventfd, timerfd and epoll: %s", strerror(errno));
	return 0;
}

static void watch_changes(const struct vswitch *vs)
{
	const int fds[] = {vs->outlet.changes.routes, vs->outlet.changes.filters};
	struct epoll_event event = {.events = EPOLLIN, .data.u32 = ATTENTION_OTHER};
	for (size_t i = 0; i < sizeof(fds) / sizeof(fds[0]); i++)
		if (fds[i] >= 0)
			(void)epoll_ctl(vs->attention, EPOLL_CTL_ADD, fds[i], &event);
}

/*
 * A worker that is full keeps another processor full, with what the pods and the kernel have to do for its packets.
 * Each port counts for each worker, so there is an end to it.
 */
unsigned switch_workers_auto(void)
{
	cpu_set_t processors;
	if (sched_getaffinity(0, sizeof(processors), &processors))
		return 1; /* more than a cpu_set_t holds */
	unsigned half = (unsigned)CPU_COUNT(&processors) / 2;
	return half < 1 ? 1 : half > AUTO_WORKERS ? AUTO_WORKERS : half;
}

int switch_open(const struct switch_options *options, struct vswitch **out, struct failure *why)
{
	struct vswitch *vs = calloc(1, sizeof(*vs));
	if (!vs)
		return fail(why, -ENOMEM, NULL, "out of memory");
	vs->options = *options;
	vs->offloads = options->offloads;
	struct utsname kernel = {0};
	uname(&kernel);
	choose_udp_gso(vs, kernel.release);
	vs->home.fd = vs->wakeup = vs->alarm = vs->attention = -1;
	vs->outlet = (struct outlet)OUTLET_NONE;
	vs->last_port = &vs->first_port;
	vs->started = vs->expired_at = clock_seconds();
	pthread_mutex_init(&vs->parking, NULL);
	pthread_cond_init(&vs->parked_or_resumed, NULL);
	int error = open_attention(vs, why);
	if (!error)
		error = tap_endings_open(&vs->endings, why);
	if (!error)
		error = netns_open_own(&vs->home, why);
	if (!error)
		error = open_tables(vs, why);
	if (!error)
		error = choose_io(vs, why);
	for (unsigned i = 0; !error && i < options->workers; i++)
		error = worker_start(&vs->workers[i], vs, i, why);
	if (error) {
		switch_close(vs);
		return error;
	}
	egress_open(vs);
	watch_changes(vs);
	note_features(vs);
	*out = vs;
	return 0;
}

void switch_close(struct vswitch *vs)
{
	if (!vs)
		return;
	for (unsigned i = 0; vs->workers && i < vs->options.workers; i++)
		worker_stop(&vs->workers[i]);
	for (struct port *port = vs->first_port, *next; port; port = next) {
		next = port->next;
		port_free(port);
	}
	for (unsigned i = 0; i < vs->n_gateways; i++)
		gateway_free(gateway_at(vs, i));
	for (int i = 0; i < MAX_HOSTS; i++)
		underlay_close(vs->hosts[i].underlay);
	egress_close(vs);
	fdb_close(vs->fdb);
	demux_free(vs->demux);
	free(vs->workers);
	if (vs->ports)
		munmap(vs->ports, MAX_PORTS * sizeof(struct port *));
	if (vs->remotes)
		munmap(vs->remotes, MAX_REMOTES * sizeof(struct remote));
	for (int i = 0; i < 3; i++) {
		int fd = (int[]){vs->attention, vs->alarm, vs->wakeup}[i];
		if (fd >= 0)
			close(fd);
	}
	tap_endings_close(vs->endings, ENDINGS_PATIENCE);
	netns_close(&vs->home);
	pthread_cond_destroy(&vs->parked_or_resumed);
	pthread_mutex_destroy(&vs->parking);
	free(vs);
}

/* Housekeeping */

void switch_listen(struct vswitch *vs, switch_listener *listener, void *context)
{
	vs->listener = listener;
	vs->listener_context = context;
	for (unsigned i = 0; i < vs->options.workers; i++)
		atomic_store(&vs->workers[i].listening, listener != NULL);
}

int switch_wakeup_fd(const struct vswitch *vs)
{
	return vs->attention;
}

int switch_endings_fd(const struct vswitch *vs)
{
	return tap_endings_fd(vs->endings);
}

unsigned switch_end_taps(struct vswitch *vs, void (*gone)(void *context, uint64_t number), void *context)
{
	tap_endings_turn(vs->endings, gone, context);
	return tap_endings_pending(vs->endings);
}

uint64_t switch_port_waits_for(const struct vswitch *vs, const struct port_config *config)
{
	return tap_endings_find(vs->endings, config->netns, config->ifname);
}

static void report_learned(struct vswitch *vs, struct worker *worker)
{
	unsigned out = atomic_load_explicit(&worker->learned_out, memory_order_relaxed);
	unsigned in = atomic_load_explicit(&worker->learned_in, memory_order_acquire);
	for (; out != in; out++) {
		const struct worker_learned *learned = &worker->learned[out % WORKER_LEARNED];
		const struct gateway *gateway = vs->gateways[learned->gateway];
		if (gateway)
			switch_notify(vs, learned->moved ? "fdb.moved" : "fdb.learned", gateway->config.name,
				      &learned->mac);
	}
	atomic_store_explicit(&worker->learned_out, out, memory_order_release);
}

static void check_interfaces(struct vswitch *vs)
{
	for (struct port *port = vs->first_port; port; port = port->next)
		if (port->tap >= 0 && atomic_exchange(&port->lost, 0))
			port_gone(vs, port, "its interface was removed");
}

/* Looks at a path for each port. Once a second: while pods start together, ticks are many. */
static void check_namespaces(struct vswitch *vs)
{
	for (struct port *port = vs->first_port; port; port = port->next)
		if (port->tap >= 0 && !netns_is(port->config.netns, &port->netns))
			port_gone(vs, port, "its network namespace was removed");
}

/* Hubs forget remotes from which nothing came for as long as an FDB entry lasts. */
static void expire_remotes(struct vswitch *vs, uint32_t now)
{
	for (unsigned i = 0; i < vs->n_gateways; i++) {
		struct gateway *gateway = gateway_at(vs, i);
		bool parked = false;
		for (unsigned r = atomic_load(&gateway->n_remotes); gateway->is_hub && r-- > 0;) {
			struct remote *remote = gateway->remotes[r];
			uint32_t seen = atomic_load(&remote->seen);
			if (!remote->learned || seen >= now || now - seen <= vs->options.ageing)
				continue;
			if (!parked)
				workers_park(vs);
			parked = true;
			remote_release(vs, remote);
		}
		if (parked)
			workers_resume(vs);
	}
}

/* With --underlay auto, a gateway that is not heard on one underlay is tried on the other. */
static void follow_silence(struct vswitch *vs, uint32_t now)
{
	for (unsigned i = 0; i < vs->n_gateways; i++) {
		struct gateway *gateway = gateway_at(vs, i);
		struct failure why = {0};
		bool pod = !gateway->pod_underlay;
		if (!silence_wants_other_underlay(gateway, now))
			continue;
		gateway->silence.tried = now;
		if (gateway_change_underlay(vs, gateway, pod, &why))
			log_line(LOG_INFO, "gateway %s keeps its underlay: %s", gateway->config.name, why.text);
		else
			log_line(LOG_INFO, "gateway %s tries the %s underlay now (--underlay auto)",
				 gateway->config.name, pod ? "pod" : "host");
	}
}

/*
 * What has a time of its own. What strangers cause is done in steps that are apart, so that they cannot keep this
 * thread busy; nor do they put off what the pods' clients have due.
 */
static void tick_timed(struct vswitch *vs, uint32_t now)
{
	const uint64_t due[] = {pod_network_turn(vs), tick_egress(vs), hub_make_room(vs, now, clock_ms()),
				claims_ask(vs, now, clock_ms())};
	uint64_t first = UINT64_MAX;
	for (size_t i = 0; i < sizeof(due) / sizeof(due[0]); i++)
		first = due[i] < first ? due[i] : first;
	switch_alarm(vs, first);
}

void switch_tick(struct vswitch *vs)
{
	uint64_t wakeups;
	uint32_t now = clock_seconds();
	/* Drain both; an empty one returns EAGAIN. */
	ssize_t ignored = read(vs->wakeup, &wakeups, sizeof(wakeups)) + read(vs->alarm, &wakeups, sizeof(wakeups));
	(void)ignored;
	atomic_store(&vs->woken, false);
	check_interfaces(vs);
	if (now != vs->ticked)
		check_namespaces(vs);
	pod_queues_turn(vs, clock_ms(), now != vs->ticked);
	tick_timed(vs, now);
	refusals_log(vs, now);
	for (unsigned i = 0; i < vs->options.workers; i++)
		report_learned(vs, &vs->workers[i]);
	if (fdb_crowded(vs->fdb)) {
		workers_park(vs);
		if (fdb_reserve(vs->fdb))
			log_line(LOG_WARNING, "no memory for a larger forwarding table; new addresses are not learned");
		workers_resume(vs);
	}
	if (now != vs->ticked) {
		vs->ticked = now;
		paths_check(vs, now);
		silence_check(vs, now);
		follow_silence(vs, now);
		hub_log(vs, now);
		claims_log(vs, now);
	}
	uint32_t pause = vs->options.ageing / 10 + 1;
	if (now - vs->expired_at < pause)
		return;
	vs->expired_at = now;
	fdb_expire(vs->fdb, now);
	expire_remotes(vs, now);
}
