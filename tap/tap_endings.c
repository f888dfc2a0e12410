/* SPDX-License-Identifier: Apache-2.0 */
/*
 * tap_endings.c - TAPs that are on their way out of their pods
 *
 *     add:   not persistent any more --> link events watched --> closer thread (late_close.h)
 *                                              |                       |
 *     turn:                    RTM_DELLINK: "gone"                   closed: "gone", if it was not before; forgotten
 *
 * In close(2) the kernel takes the device out of its namespace, tells so by RTM_DELLINK, and then waits until nobody
 * uses its memory. A pod that moves its TAP to another namespace, or that floods us with events of other links, makes
 * us miss the message. Then "closed" is as good, only later.
 */
#include "tap/tap_endings.h"

#include "tap/base/clock.h"
#include "tap/late_close.h"
#include "tap/tap.h"

#include <linux/netlink.h>
#include <linux/rtnetlink.h>
#include <net/if.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>

#define ENDINGS_MAX LATE_CLOSE_MAX
#define ENDING_EVENTS 32 /* of a watch, in one turn */

struct tap_ending {
	struct tap_ending *next;
	uint64_t number;
	struct netns netns; /* without its descriptor */
	char ifname[IFNAMSIZ];
	int ifindex, watch; /* watch -1: it is not watched, or gone */
	bool gone;
	atomic_bool closed;
};

struct tap_endings {
	struct tap_ending *first;
	unsigned n, pending;
	uint64_t last;     /* number */
	int epoll, closed; /* closed: an eventfd, with NULL in the epoll set */
};

int tap_endings_open(struct tap_endings **out, struct failure *why)
{
	struct epoll_event event = {.events = EPOLLIN, .data.ptr = NULL};
	struct tap_endings *endings = calloc(1, sizeof(*endings));

	if (!endings)
		return fail(why, -ENOMEM, NULL, "out of memory");
	endings->epoll = epoll_create1(EPOLL_CLOEXEC);
	endings->closed = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (endings->epoll < 0 || endings->closed < 0 ||
	    epoll_ctl(endings->epoll, EPOLL_CTL_ADD, endings->closed, &event)) {
		int error = errno;
		tap_endings_close(endings, 0);
		return fail(why, -error, NULL, "epoll and eventfd: %s", strerror(error));
	}
	*out = endings;
	return 0;
}

/* In the TAP's namespace. */
static int open_ending_watch(struct tap_ending *ending)
{
	const struct sockaddr_nl links = {.nl_family = AF_NETLINK, .nl_groups = RTMGRP_LINK};

	ending->ifindex = (int)if_nametoindex(ending->ifname);
	if (!ending->ifindex)
		return -1;
	int fd = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC | SOCK_NONBLOCK, NETLINK_ROUTE);
	if (fd >= 0 && bind(fd, (const struct sockaddr *)&links, sizeof(links))) {
		close(fd);
		return -1;
	}
	return fd;
}

static void close_ending_watch(struct tap_ending *ending)
{
	if (ending->watch >= 0)
		close(ending->watch);
	ending->watch = -1;
}

static void watch_ending(const struct tap_endings *endings, struct tap_ending *ending, const struct netns *netns,
			 const struct netns *home)
{
	struct epoll_event event = {.events = EPOLLIN, .data.ptr = ending};

	if (netns_enter(netns, NULL))
		return;
	ending->watch = open_ending_watch(ending);
	netns_return(home);
	if (ending->watch >= 0 && epoll_ctl(endings->epoll, EPOLL_CTL_ADD, ending->watch, &event))
		close_ending_watch(ending);
}

uint64_t tap_endings_add(struct tap_endings *endings, int tap, const struct netns *netns, const struct netns *home)
{
	char ifname[IFNAMSIZ];

	if (tap < 0)
		return 0;
	struct tap_ending *ending =
		tap_forsake(tap, ifname) || endings->n == ENDINGS_MAX ? NULL : calloc(1, sizeof(*ending));
	if (!ending) {
		close(tap);
		return 0;
	}
	ending->number = ++endings->last;
	ending->netns = (struct netns){-1, netns->dev, netns->ino};
	memcpy(ending->ifname, ifname, IFNAMSIZ);
	ending->watch = -1;
	ending->next = endings->first;
	endings->first = ending;
	endings->n++;
	endings->pending++;
	watch_ending(endings, ending, netns, home);
	late_close_tap(tap, &ending->closed, endings->closed);
	return ending->number;
}

uint64_t tap_endings_find(const struct tap_endings *endings, const char *spec, const char *ifname)
{
	for (const struct tap_ending *ending = endings->first; ending; ending = ending->next)
		if (!ending->gone && !strcmp(ending->ifname, ifname) && netns_is(spec, &ending->netns))
			return ending->number;
	return 0;
}

unsigned tap_endings_pending(const struct tap_endings *endings)
{
	return endings->pending;
}

int tap_endings_fd(const struct tap_endings *endings)
{
	return endings->epoll;
}

static bool is_dellink(const uint8_t *bytes, size_t length, int ifindex)
{
	struct nlmsghdr header;
	struct ifinfomsg link;

	if (length < NLMSG_HDRLEN + sizeof(link))
		return false;
	memcpy(&header, bytes, sizeof(header));
	memcpy(&link, bytes + NLMSG_HDRLEN, sizeof(link));
	return header.nlmsg_type == RTM_DELLINK && link.ifi_index == ifindex;
}

/*
 * An error is ENOBUFS, with which messages are lost. Each comes in a datagram of its own; those that the pod sends, who
 * may, have its number in the place of the kernel's, which is 0.
 */
static bool hears_end(struct tap_ending *ending)
{
	uint8_t bytes[256];

	for (int i = 0; i < ENDING_EVENTS && ending->watch >= 0; i++) {
		struct sockaddr_nl from = {.nl_pid = 1};
		socklen_t size = sizeof(from);
		ssize_t got =
			recvfrom(ending->watch, bytes, sizeof(bytes), MSG_DONTWAIT, (struct sockaddr *)&from, &size);
		if (got < 0 && errno == EAGAIN)
			return false;
		if (got < 0)
			close_ending_watch(ending);
		else if (!from.nl_pid && is_dellink(bytes, (size_t)got, ending->ifindex))
			return true;
	}
	return false;
}

static void note_gone(struct tap_endings *endings, struct tap_ending *ending, void (*gone)(void *, uint64_t),
		      void *context)
{
	close_ending_watch(ending);
	if (ending->gone)
		return;
	ending->gone = true;
	endings->pending--;
	if (gone)
		gone(context, ending->number);
}

static void take_closed(struct tap_endings *endings, void (*gone)(void *, uint64_t), void *context)
{
	uint64_t count;
	ssize_t ignored = read(endings->closed, &count, sizeof(count));

	(void)ignored;
	for (struct tap_ending **at = &endings->first, *ending; (ending = *at);) {
		if (!atomic_load(&ending->closed)) {
			at = &ending->next;
			continue;
		}
		*at = ending->next;
		endings->n--;
		note_gone(endings, ending, gone, context);
		free(ending);
	}
}

void tap_endings_turn(struct tap_endings *endings, void (*gone)(void *context, uint64_t number), void *context)
{
	struct epoll_event events[64];
	bool closed = false;

	int n = epoll_wait(endings->epoll, events, sizeof(events) / sizeof(events[0]), 0);
	for (int i = 0; i < n; i++) {
		struct tap_ending *ending = events[i].data.ptr;
		if (!ending)
			closed = true;
		else if (hears_end(ending))
			note_gone(endings, ending, gone, context);
	}
	if (closed) /* last, as it frees some */
		take_closed(endings, gone, context);
}

void tap_endings_close(struct tap_endings *endings, unsigned patience)
{
	if (!endings)
		return;
	struct pollfd closed = {.fd = endings->closed, .events = POLLIN};
	for (uint64_t end = clock_ms() + patience, now = end - patience; endings->n && now < end; now = clock_ms()) {
		(void)poll(&closed, 1, (int)(end - now));
		take_closed(endings, NULL, NULL);
	}
	late_close_told();
	if (endings->n) /* the closers still have them */
		return;
	if (endings->epoll >= 0)
		close(endings->epoll);
	if (endings->closed >= 0)
		close(endings->closed);
	free(endings);
}
