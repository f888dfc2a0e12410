/* SPDX-License-Identifier: Apache-2.0 */
/*
 * flood.c - UDP packets of one flow: how many arrive, and which share of them is lost
 *
 * Each packet carries its number and its length. The receiver counts what recvmmsg() copied out in a window that opens
 * some time after the first packet, when the queues on the way are as full as they get; what is missing among the
 * numbers of that window was lost. What queues hide at its edges is less than they hold.
 *
 * At a rate, the sender sleeps between bursts of BURST_NS worth of packets: spinning would take a core from whom is
 * measured. At rate 0 it sends as fast as the system lets it.
 */
#include "bench/load.h"

#include <errno.h>
#include <inttypes.h>
#include <linux/sock_diag.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#define BATCH 32
#define MAX_BYTES 65507
#define BURST_NS 50000
#define PATIENCE (2 * NS_PER_SECOND)
#define RECEIVE_BUFFER (8 << 20)
#define READ_BYTES 2048

struct stamp {
	uint64_t number;
	uint64_t length;
};

struct batch {
	struct mmsghdr messages[BATCH];
	struct iovec pieces[BATCH];
	uint8_t *bytes;
};

struct tally {
	uint64_t packets, first, last, reordered, malformed;
};

static void batch_open(struct batch *batch, size_t each)
{
	memset(batch, 0, sizeof(*batch));
	batch->bytes = load_allocate(BATCH, each);
	for (unsigned i = 0; i < BATCH; i++) {
		batch->pieces[i] = (struct iovec){.iov_base = batch->bytes + i * each, .iov_len = each};
		batch->messages[i].msg_hdr.msg_iov = &batch->pieces[i];
		batch->messages[i].msg_hdr.msg_iovlen = 1;
	}
}

static void batch_number(struct batch *batch, uint64_t next, unsigned count)
{
	for (unsigned i = 0; i < count; i++) {
		const struct stamp stamp = {.number = next + i, .length = batch->pieces[i].iov_len};
		memcpy(batch->pieces[i].iov_base, &stamp, sizeof(stamp));
	}
}

/* How many packets are due now, at most BATCH; sleeps when none is. */
static unsigned due(uint64_t begin, uint64_t rate, uint64_t numbered)
{
	if (!rate)
		return BATCH;
	for (;;) {
		uint64_t now = load_now();
		uint64_t wanted = (uint64_t)((double)(now - begin) * (double)rate / (double)NS_PER_SECOND) + 1;
		if (wanted > numbered)
			return wanted - numbered > BATCH ? BATCH : (unsigned)(wanted - numbered);
		load_sleep_until(now + BURST_NS);
		if (load_stopped)
			return 0;
	}
}

/* ECONNREFUSED is the receiver that has left, ENOBUFS a full queue: the packet counts as sent, as on any network. */
static bool is_loss(int error)
{
	return error == ECONNREFUSED || error == ENOBUFS || error == EAGAIN || error == EINTR;
}

int flood_send(char **argv)
{
	unsigned long bytes = load_number(argv[2]), rate = load_number(argv[3]);
	uint64_t numbered = 0, refused = 0;
	struct batch batch;

	if (bytes < sizeof(struct stamp) || bytes > MAX_BYTES) {
		errno = ERANGE;
		load_die(argv[2]);
	}
	int fd = load_connect(SOCK_DGRAM, argv[0], argv[1]);
	batch_open(&batch, bytes);
	uint64_t begin = load_now();
	while (!load_stopped) {
		unsigned count = due(begin, rate, numbered);
		batch_number(&batch, numbered, count);
		int sent = count ? sendmmsg(fd, batch.messages, count, 0) : 0;
		if (sent < 0 && !is_loss(errno))
			load_die("sendmmsg");
		refused += sent < 0;
		numbered += sent < 0 ? 1 : (unsigned)sent;
	}
	double seconds = (double)(load_now() - begin) / (double)NS_PER_SECOND;
	printf("{\"offered\": %" PRIu64 ", \"refused\": %" PRIu64 ", \"seconds\": %.6f}\n", numbered, refused, seconds);
	free(batch.bytes);
	return 0;
}

static void tally_packet(struct tally *tally, const void *data, size_t length)
{
	struct stamp stamp;

	if (length < sizeof(stamp)) {
		tally->malformed++;
		return;
	}
	memcpy(&stamp, data, sizeof(stamp));
	if (stamp.length != length) {
		tally->malformed++;
		return;
	}
	if (!tally->packets++)
		tally->first = tally->last = stamp.number;
	else if (stamp.number < tally->last)
		tally->reordered++;
	else
		tally->last = stamp.number;
}

/* Counts until `end`; whether anything came. */
static bool tally_until(struct tally *tally, int fd, struct batch *batch, uint64_t end)
{
	bool any = false;

	for (;;) {
		int count = recvmmsg(fd, batch->messages, BATCH, MSG_WAITFORONE, NULL);
		for (int i = 0; i < count; i++)
			tally_packet(tally, batch->pieces[i].iov_base, batch->messages[i].msg_len);
		any = any || count > 0;
		if (load_now() >= end || load_stopped)
			return any;
	}
}

/* What our own socket had no room for: loss that is the receiver's and nobody else's. */
static uint32_t overflow(int fd)
{
	uint32_t info[SK_MEMINFO_VARS] = {0};
	socklen_t length = sizeof(info);

	return getsockopt(fd, SOL_SOCKET, SO_MEMINFO, info, &length) ? 0 : info[SK_MEMINFO_DROPS];
}

int flood_receive(char **argv)
{
	uint64_t warm = load_seconds(argv[1]), window = load_seconds(argv[2]);
	struct tally tally = {0};
	struct batch batch;
	const int room = RECEIVE_BUFFER;
	int fd = load_bind(SOCK_DGRAM, argv[0]);

	setsockopt(fd, SOL_SOCKET, SO_RCVBUFFORCE, &room, sizeof(room));
	batch_open(&batch, READ_BYTES);
	load_set_timeout(fd, PATIENCE);
	load_say("ready");
	tally_until(&tally, fd, &batch, 0); /* the first packet, or patience ends */
	load_set_timeout(fd, NS_PER_SECOND / 10);
	tally_until(&tally, fd, &batch, load_now() + warm);
	tally = (struct tally){0};
	load_say("start");
	uint64_t begin = load_now();
	tally_until(&tally, fd, &batch, begin + window);
	double seconds = (double)(load_now() - begin) / (double)NS_PER_SECOND;
	uint64_t offered = tally.packets ? tally.last - tally.first + 1 : 0;
	printf("{\"packets\": %" PRIu64 ", \"seconds\": %.6f, \"lost\": %" PRIu64 ", \"reordered\": %" PRIu64
	       ", \"malformed\": %" PRIu64 ", \"overflow\": %u}\n",
	       tally.packets, seconds, offered > tally.packets ? offered - tally.packets : 0, tally.reordered,
	       tally.malformed, overflow(fd));
	free(batch.bytes);
	return 0;
}
