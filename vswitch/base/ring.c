/* SPDX-License-Identifier: Apache-2.0 */
/*
 * ring.c - ring.h, but for the calls of the kernel, which are a backend's (ring_backend.h)
 *
 * Watches live in a table that only grows, so that a handle is a place in it. Transmissions, their pieces and their
 * headers are taken from three arrays, from the front, and all of them are free again after a push.
 */
#include "vswitch/base/ring_backend.h"

#include <netinet/udp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define ROUND_BYTES (512 << 10) /* a common level-2 cache has 0.5 to 2 MiB */
#define SHORT_BYTES (128 << 10) /* of a round in a hurry: 0.1 ms at 10 Gbit/s */
#define SHORT_LEAST 2
#define SHORT_ROUNDS 64 /* that follow on one with small and large frames */

/* Opening */

int ring_open(struct ring **out, const struct ring_options *options, struct failure *why)
{
	const struct ring_backend *backend = options->io == IO_EPOLL ? &epoll_backend : &uring_backend;
	struct ring *ring = calloc(1, backend->size);
	if (!ring)
		return fail(why, -ENOMEM, NULL, "out of memory");
	ring->backend = backend;
	ring->options = *options;
	int error = backend->open(ring, why);
	if (error) {
		ring_close(ring);
		return error;
	}
	*out = ring;
	return 0;
}

void ring_load_take(struct ring_load *load, uint32_t length)
{
	load->n++;
	load->bytes += length;
	load->large |= length > RING_SMALL;
	load->small |= length <= RING_SMALL;
}

unsigned ring_load_next(struct ring_load *load, unsigned most, bool hurry)
{
	if (hurry && load->small && load->large)
		load->mixed = SHORT_ROUNDS;
	else if (load->mixed)
		load->mixed--;
	uint64_t bytes = load->mixed ? SHORT_BYTES : ROUND_BYTES,
		 fit = load->bytes ? bytes * load->n / load->bytes : most;
	unsigned least = load->mixed ? SHORT_LEAST : ROUND_LEAST;
	*load = (struct ring_load){.mixed = load->mixed};
	return fit < least ? least : fit < most ? (unsigned)fit : most;
}

int ring_choose(enum io_choice asked, struct ring_choice *out, struct failure *why)
{
	struct failure lack = {0};
	int error = asked == IO_EPOLL ? 0 : uring_try(&lack);
	if (error && asked == IO_URING)
		return fail(why, error, "io", "%.220s, or take --io auto", lack.text);
	*out = (struct ring_choice){.io = error || asked == IO_EPOLL ? IO_EPOLL : IO_URING};
	const char *reason = error ? lack.text : asked == IO_AUTO ? "io_uring works here" : "as --io says";
	snprintf(out->why, sizeof(out->why), "%s", reason);
	return 0;
}

void ring_close(struct ring *ring)
{
	if (!ring)
		return;
	ring->backend->close(ring);
	free(ring->watches);
	free(ring);
}

/* Watches */

static int grow_watches(struct ring *ring)
{
	uint32_t n = ring->n_watches ? ring->n_watches * 2 : 16;
	struct watched *watches = realloc(ring->watches, n * sizeof(*watches));
	if (!watches)
		return -ENOMEM;
	memset(watches + ring->n_watches, 0, (n - ring->n_watches) * sizeof(*watches));
	ring->watches = watches;
	ring->n_watches = n;
	return 0;
}

int ring_watch(struct ring *ring, enum ring_kind kind, int fd, uint64_t tag)
{
	uint32_t slot = 0;
	while (slot < ring->n_watches && ring->watches[slot].active)
		slot++;
	if (slot == ring->n_watches && grow_watches(ring))
		return -ENOMEM;
	struct watched *watched = &ring->watches[slot];
	*watched = (struct watched){
		.fd = fd, .generation = watched->generation + 1, .tag = tag, .kind = kind, .active = true};
	int error = ring->backend->watch(ring, slot);
	if (!error)
		return (int)slot;
	watched->active = false;
	return error;
}

void ring_unwatch(struct ring *ring, int handle)
{
	if (handle < 0 || (uint32_t)handle >= ring->n_watches || !ring->watches[handle].active)
		return;
	ring->backend->unwatch(ring, (uint32_t)handle);
	ring->watches[handle].active = false;
}

void ring_pause(struct ring *ring, bool pause)
{
	ring->paused = pause;
	ring->backend->pause(ring);
}

void ring_rest(struct ring *ring, int handle, bool rest)
{
	ring->watches[handle].resting = rest;
	ring->backend->pause(ring);
}

/* In */

uint64_t ring_now(void)
{
	struct timespec now;
	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * 1000000000U + (uint64_t)now.tv_nsec;
}

bool ring_spin(struct ring *ring, uint64_t nanoseconds)
{
	uint64_t end = ring_now() + nanoseconds;
	do {
		if (ring->backend->look(ring))
			return true;
	} while (ring_now() < end);
	return false;
}

int ring_wait(struct ring *ring)
{
	return ring->backend->wait(ring);
}

bool ring_next(struct ring *ring, struct ring_event *event)
{
	return ring->backend->next(ring, event);
}

static int cmsg_int(const struct cmsghdr *c)
{
	int value;
	memcpy(&value, CMSG_DATA(c), sizeof(value));
	return value;
}

void ring_read_control(struct ring_event *event, const struct cmsghdr *c)
{
	if (c->cmsg_level == SOL_UDP && c->cmsg_type == UDP_GRO && cmsg_int(c) > 0)
		event->gro_size = (uint32_t)cmsg_int(c);
	else if (c->cmsg_level == IPPROTO_IP && c->cmsg_type == IP_TOS)
		event->tos = *CMSG_DATA(c); /* IPv4 sends one byte, IPv6 an int */
	else if (c->cmsg_level == IPPROTO_IPV6 && c->cmsg_type == IPV6_TCLASS)
		event->tos = (uint8_t)cmsg_int(c);
}

bool ring_is_transient(enum ring_kind kind, int error)
{
	/* A socket reports ICMP errors of earlier datagrams, and still works. A watch is only cancelled by a pause. */
	return error == -ENOBUFS || error == -EINTR || error == -EAGAIN || error == -ECANCELED ||
	       (kind == RING_UDP && error != -EBADF);
}

/* Out */

void ring_push(struct ring *ring)
{
	ring->backend->push(ring);
	ring->n_tx = ring->n_iov = ring->n_bytes = 0;
}

static bool ring_has_room(const struct ring *ring, unsigned n_iov, unsigned n_bytes)
{
	return ring->n_tx < RING_TX && RING_IOV - ring->n_iov >= n_iov && RING_BYTES - ring->n_bytes >= n_bytes;
}

struct ring_tx *ring_tx(struct ring *ring, unsigned n_iov, unsigned n_bytes)
{
	if (!ring_has_room(ring, n_iov, n_bytes))
		ring_push(ring);
	if (!ring->n_tx)
		ring_settle(ring);
	struct ring_tx *tx = &ring->tx[ring->n_tx++];
	tx->message = (struct msghdr){.msg_iov = &ring->iov[ring->n_iov]};
	tx->bytes = &ring->bytes[ring->n_bytes];
	ring->n_iov += n_iov;
	ring->n_bytes += n_bytes;
	tx->vnet = (struct virtio_net_hdr){0};
	tx->port = tx->remote = NULL;
	tx->by_tap = false;
	tx->frame = NULL;
	tx->length = 0;
	tx->count = 0;
	tx->total = 0;
	return tx;
}

void ring_send(struct ring *ring, int fd, struct ring_tx *tx)
{
	tx->fd = fd;
	ring->backend->send(ring, fd, tx);
}

int ring_send_now(int fd, const struct msghdr *message)
{
	return sendmsg(fd, message, MSG_DONTWAIT | MSG_NOSIGNAL) < 0 ? -errno : 0;
}

void ring_write(struct ring *ring, int fd, struct ring_tx *tx)
{
	ring->backend->write(ring, fd, tx);
}

void ring_flush(struct ring *ring)
{
	ring_push(ring);
	ring->backend->flush(ring);
}

void ring_settle(struct ring *ring)
{
	ring->backend->settle(ring);
}

const struct ring_features *ring_features(const struct ring *ring)
{
	return &ring->features;
}

const struct ring_counters *ring_counters(const struct ring *ring)
{
	return &ring->counters;
}
