/* SPDX-License-Identifier: Apache-2.0 */
/* switch.c - the switch as a whole: start, stop, parking the workers, housekeeping */
#include "tap/base/log.h"
#include "vswitch/path/model.h"
#include "vswitch/pod_network.h"

#include <ctype.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/random.h>
#include <sys/timerfd.h>
#include <time.h>
#include <unistd.h>

#define SETTLING 2 /* seconds after the start */

bool switch_name_valid(const char *name)
{
	size_t length = strlen(name);
	if (!length || length >= SWITCH_NAME || name[0] == '.' || name[0] == '-')
		return false;
	for (size_t i = 0; i < length; i++)
		if (!isalnum((unsigned char)name[i]) && !strchr("._:@-", name[i]))
			return false;
	return true;
}

uint32_t switch_now(void)
{
	struct timespec now;
	clock_gettime(CLOCK_MONOTONIC_COARSE, &now);
	return (uint32_t)now.tv_sec + 1;
}

bool switch_settling(const struct vswitch *vs)
{
	static const struct timespec moment = {.tv_nsec = 10000000};
	if (switch_now() - vs->started > SETTLING)
		return false;
	nanosleep(&moment, NULL);
	return true;
}

/* Parking */

static void worker_park(struct worker *worker, void *argument)
{
	struct vswitch *vs = argument;
	(void)worker;
	pthread_mutex_lock(&vs->parking);
	vs->parked++;
	pthread_cond_broadcast(&vs->parked_or_resumed);
	while (vs->parking_wanted)
		pthread_cond_wait(&vs->parked_or_resumed, &vs->parking);
	vs->parked--;
	pthread_cond_broadcast(&vs->parked_or_resumed);
	pthread_mutex_unlock(&vs->parking);
}

void switch_park_workers(struct vswitch *vs)
{
	vs->parking_wanted = true; /* nobody is parked, so nobody looks */
	for (unsigned i = 0; i < vs->options.workers; i++)
		worker_post(&vs->workers[i], worker_park, vs);
	pthread_mutex_lock(&vs->parking);
	while (vs->parked < vs->options.workers)
		pthread_cond_wait(&vs->parked_or_resumed, &vs->parking);
	pthread_mutex_unlock(&vs->parking);
}

void switch_resume_workers(struct vswitch *vs)
{
	pthread_mutex_lock(&vs->parking);
	vs->parking_wanted = false;
	pthread_cond_broadcast(&vs->parked_or_resumed);
	while (vs->parked)
		pthread_cond_wait(&vs->parked_or_resumed, &vs->parking);
	pthread_mutex_unlock(&vs->parking);
}

/* Start and stop */

static void *map_lazily(size_t size)
{
	/* Only the pages that are used cost memory. */
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

/* Those of the kernel that were found, then the knobs as they are in force. */
static void note_features(struct vswitch *vs)
{
	const struct ring_features *ring = ring_features(vs->workers[0].ring);
	const struct switch_feature features[] = {
		{"io_uring", true},
		{"read_multishot", ring->read_multishot},
		{"defer_taskrun", ring->defer_taskrun},
		{"tap_gso", vs->offloads.tap_gso},
		{"udp_gso", vs->offloads.udp_gso},
		{"udp_gro", vs->offloads.udp_gro},
		{"trains", vs->offloads.trains && vs->offloads.udp_gso},
		{"tap_gro", vs->offloads.tap_gro},
		{"underlay_tap", vs->offloads.underlay_tap},
		{NULL, false},
	};
	_Static_assert(sizeof(features) <= sizeof(vs->features), "room for every feature");
	memcpy(vs->features, features, sizeof(features));
}

static void check_offloads(struct vswitch *vs)
{
	if (!atomic_exchange(&vs->trains_refused, false) || !vs->offloads.udp_gso)
		return;
	switch_park_workers(vs);
	vs->offloads.udp_gso = false;
	switch_resume_workers(vs);
	log_line(LOG_WARNING, "udp_gso is off from now on: the kernel refused a train of datagrams");
	note_features(vs);
}

static void check_egress(struct vswitch *vs, uint32_t now)
{
	bool before = vs->offloads.underlay_tap;
	egress_check(vs, now);
	if (vs->offloads.underlay_tap != before)
		note_features(vs);
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

int switch_open(const struct switch_options *options, struct vswitch **out, struct failure *why)
{
	struct vswitch *vs = calloc(1, sizeof(*vs));
	if (!vs)
		return fail(why, -ENOMEM, NULL, "out of memory");
	vs->options = *options;
	vs->offloads = options->offloads;
	vs->home.fd = vs->wakeup = vs->alarm = vs->attention = -1;
	vs->last_port = &vs->first_port;
	vs->started = vs->expired_at = switch_now();
	pthread_mutex_init(&vs->parking, NULL);
	pthread_cond_init(&vs->parked_or_resumed, NULL);
	int error = open_attention(vs, why);
	if (!error)
		error = netns_open_own(&vs->home, why);
	if (!error)
		error = open_tables(vs, why);
	for (unsigned i = 0; !error && i < options->workers; i++)
		error = worker_start(&vs->workers[i], vs, i, why);
	if (error) {
		switch_close(vs);
		return error;
	}
	egress_open(vs);
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
		gateway_free(vs->gateways[vs->gateway_order[i]]);
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
	netns_close(&vs->home);
	pthread_cond_destroy(&vs->parked_or_resumed);
	pthread_mutex_destroy(&vs->parking);
	free(vs);
}

/* Wiring */

/* Whether `own`, an own side, has this address: on the node, or in a pod of it. */
static bool hub_has_address(const struct gateway *hub, const struct address *address)
{
	if (!hub->pod_underlay)
		return link_has_address(address, NULL) > 0;
	for (unsigned i = 0; i < hub->n_ports; i++)
		for (unsigned a = 0; a < hub->ports[i]->n_vteps; a++)
			if (address_equal(&hub->ports[i]->vteps[a], address))
				return true;
	return false;
}

/*
 * The own side on this node that a remote of `client` stands for, or 0. One that allows only some is reached by the
 * wire, which shows where a frame comes from.
 */
static uint16_t find_local_hub(const struct vswitch *vs, const struct gateway *client, const struct remote *remote)
{
	for (unsigned i = 0; i < vs->n_gateways; i++) {
		const struct gateway *hub = vs->gateways[vs->gateway_order[i]];
		if (hub->is_hub && !hub->config.n_allow && hub->config.vni == client->config.vni &&
		    hub->config.port == remote->endpoint.port && hub_has_address(hub, &remote->endpoint.address))
			return hub->id;
	}
	return 0;
}

static int build_demux(const struct vswitch *vs, struct demux **out)
{
	size_t entries = vs->n_gateways;
	for (unsigned i = 0; i < vs->n_gateways; i++)
		entries += vs->gateways[vs->gateway_order[i]]->config.n_remotes;
	struct demux *demux = demux_new(entries, vs->secret, sizeof(vs->secret));
	if (!demux)
		return -ENOMEM;
	for (unsigned i = 0; i < vs->n_gateways; i++) {
		const struct gateway *gateway = vs->gateways[vs->gateway_order[i]];
		const struct gateway_config *config = &gateway->config;
		if (gateway->pod_underlay)
			continue;
		/* Gateways that would share an entry were refused, or given the pod underlay. */
		if (gateway->is_hub)
			(void)demux_add(demux, config->port, NULL, config->vni, gateway->id, 0, NULL);
		unsigned n = gateway->is_hub ? 0 : atomic_load(&gateway->n_remotes);
		for (unsigned r = 0; r < n; r++)
			(void)demux_add(demux, config->port, &gateway->remotes[r]->endpoint.address, config->vni,
					gateway->id, gateway->remotes[r]->id, NULL);
	}
	*out = demux;
	return 0;
}

/* Notes at each own side which gateways here have a remote that stands for it. Frozen. */
static void note_peer(struct vswitch *vs, const struct gateway *client, uint16_t hub_id)
{
	struct gateway *hub = vs->gateways[hub_id];
	for (unsigned i = 0; i < hub->n_peers; i++)
		if (hub->peers[i] == client->id)
			return;
	uint16_t *peers = realloc(hub->peers, (hub->n_peers + 1) * sizeof(*peers));
	if (!peers)
		return; /* its broadcasts miss these clients until the next change */
	hub->peers = peers;
	hub->peers[hub->n_peers++] = client->id;
}

int switch_rewire(struct vswitch *vs, struct failure *why)
{
	struct demux *fresh, *old = vs->demux;
	if (build_demux(vs, &fresh))
		return fail(why, -ENOMEM, NULL, "out of memory");
	/* Asking for addresses takes a while: before the workers are parked. One slot a remote that is in use. */
	uint16_t *local = calloc(MAX_REMOTES, sizeof(*local));
	if (!local) {
		demux_free(fresh);
		return fail(why, -ENOMEM, NULL, "out of memory");
	}
	for (unsigned i = 0; i < vs->n_gateways; i++) {
		const struct gateway *client = vs->gateways[vs->gateway_order[i]];
		for (unsigned r = 0; !client->is_hub && r < atomic_load(&client->n_remotes); r++)
			local[client->remotes[r]->id] = find_local_hub(vs, client, client->remotes[r]);
	}
	switch_park_workers(vs);
	vs->demux = fresh;
	for (unsigned i = 0; i < vs->n_gateways; i++)
		vs->gateways[vs->gateway_order[i]]->n_peers = 0;
	for (unsigned i = 0; i < vs->n_gateways; i++) {
		const struct gateway *client = vs->gateways[vs->gateway_order[i]];
		for (unsigned r = 0; !client->is_hub && r < atomic_load(&client->n_remotes); r++) {
			client->remotes[r]->local_hub = local[client->remotes[r]->id];
			if (client->remotes[r]->local_hub)
				note_peer(vs, client, client->remotes[r]->local_hub);
		}
	}
	switch_resume_workers(vs);
	free(local);
	demux_free(old);
	return 0;
}

/* Housekeeping */

void switch_notify(const struct vswitch *vs, const char *what, const char *name, const struct mac *mac)
{
	if (vs->listener)
		vs->listener(vs->listener_context, what, name, mac);
}

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

void switch_alarm(const struct vswitch *vs, uint64_t at)
{
	struct itimerspec when = {0};
	if (at != UINT64_MAX)
		when.it_value = (struct timespec){(time_t)(at / 1000), (long)(at % 1000) * 1000000 + 1};
	(void)timerfd_settime(vs->alarm, TFD_TIMER_ABSTIME, &when, NULL);
}

static void report_learned(struct vswitch *vs, struct worker *worker)
{
	unsigned out = atomic_load_explicit(&worker->news_out, memory_order_relaxed);
	unsigned in = atomic_load_explicit(&worker->news_in, memory_order_acquire);
	for (; out != in; out++) {
		const struct worker_learned *news = &worker->news[out % WORKER_NEWS];
		const struct gateway *gateway = vs->gateways[news->gateway];
		if (gateway)
			switch_notify(vs, news->moved ? "fdb.moved" : "fdb.learned", gateway->config.name, &news->mac);
	}
	atomic_store_explicit(&worker->news_out, out, memory_order_release);
}

static void check_ports(struct vswitch *vs)
{
	for (struct port *port = vs->first_port; port; port = port->next) {
		if (port->tap < 0)
			continue;
		if (atomic_exchange(&port->lost, 0))
			port_gone(vs, port, "its interface was removed");
		else if (!netns_is(port->config.netns, &port->netns))
			port_gone(vs, port, "its network namespace was removed");
	}
}

/* Own sides forget remotes from which nothing came for as long as a table entry lasts. */
static void expire_remotes(struct vswitch *vs, uint32_t now)
{
	for (unsigned i = 0; i < vs->n_gateways; i++) {
		struct gateway *gateway = vs->gateways[vs->gateway_order[i]];
		bool frozen = false;
		for (unsigned r = atomic_load(&gateway->n_remotes); gateway->is_hub && r-- > 0;) {
			struct remote *remote = gateway->remotes[r];
			uint32_t seen = atomic_load(&remote->seen);
			if (!remote->learned || seen >= now || now - seen <= vs->options.ageing)
				continue;
			if (!frozen)
				switch_park_workers(vs);
			frozen = true;
			remote_release(vs, remote);
		}
		if (frozen)
			switch_resume_workers(vs);
	}
}

void switch_tick(struct vswitch *vs)
{
	uint64_t wakeups;
	uint32_t now = switch_now();
	atomic_store(&vs->woken, false);
	/* Either may have nothing to say; both are told off. */
	ssize_t ignored = read(vs->wakeup, &wakeups, sizeof(wakeups)) + read(vs->alarm, &wakeups, sizeof(wakeups));
	(void)ignored;
	check_ports(vs);
	pod_network_turn(vs);
	check_offloads(vs);
	for (unsigned i = 0; i < vs->options.workers; i++)
		report_learned(vs, &vs->workers[i]);
	if (fdb_crowded(vs->fdb)) {
		switch_park_workers(vs);
		if (fdb_reserve(vs->fdb))
			log_line(LOG_WARNING, "the table has no memory to grow; new addresses are not learned");
		switch_resume_workers(vs);
	}
	if (now != vs->ticked) {
		vs->ticked = now;
		check_egress(vs, now);
	}
	uint32_t pause = vs->options.ageing / 10 + 1;
	if (now - vs->expired_at < pause)
		return;
	vs->expired_at = now;
	fdb_expire(vs->fdb, now);
	expire_remotes(vs, now);
}
