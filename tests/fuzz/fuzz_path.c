/* SPDX-License-Identifier: Apache-2.0 */
/* fuzz_path.c - any frames to who waits for an answer from behind the gateway; and any text as a target */
#include "tap/base/wire.h"
#include "tap/path_probe.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define TCP 1         /* of the first byte: what is asked by */
#define MEND_ENDS 1   /* of a step: from the target to the pod */
#define MEND_NUMBER 2 /* the answer is to the last question */
#define ASK 4         /* another question before it */
#define FORGET 8

static const struct mac own = {{0x02, 0, 0, 0, 0, 0x10}}, router = {{0x02, 0, 0, 0, 0, 0x99}};

static void mend(const struct path_probe *probe, const struct path_ends *ends, const uint8_t *asked, uint8_t *frame,
		 size_t length, unsigned flags)
{
	uint8_t *ip = frame + ETH_HEADER, *inner = ip + IP4_HEADER;
	const uint8_t *question = asked + ETH_HEADER + IP4_HEADER;

	if (length < ETH_HEADER + IP4_HEADER + TCP_HEADER)
		return;
	if (flags & MEND_ENDS) {
		memcpy(frame + ETH_DST, own.bytes, 6);
		store16(frame + ETH_TYPE, ETHERTYPE_IP4);
		memcpy(ip + IP4_SRC, probe->target.address.bytes, 4);
		memcpy(ip + IP4_DST, ends->own.bytes, 4);
		ip[IP4_PROTOCOL] = probe->target.kind == PATH_TCP ? PROTO_TCP : PROTO_ICMP4;
	}
	if (flags & MEND_NUMBER && probe->target.kind == PATH_ICMP) {
		memcpy(inner + 4, question + 4, 4);
	} else if (flags & MEND_NUMBER) {
		memcpy(inner + TCP_SRC, question + TCP_DST, 2);
		memcpy(inner + TCP_DST, question + TCP_SRC, 2);
		store32(inner + TCP_ACK, load32(question + TCP_SEQ) + 1);
	}
}

/* What is taken comes from the target, is for the pod, and is whole. */
static void check(const struct path_probe *probe, const struct path_ends *ends, const uint8_t *frame, size_t length)
{
	const uint8_t *ip = frame + ETH_HEADER;

	assert(length >= ETH_HEADER + IP4_HEADER + 8);
	assert(!memcmp(ip + IP4_SRC, probe->target.address.bytes, 4) && !memcmp(ip + IP4_DST, ends->own.bytes, 4));
	assert(!memcmp(frame + ETH_DST, own.bytes, 6) && load16(frame + ETH_TYPE) == ETHERTYPE_IP4);
	assert(!(load16(ip + IP4_FRAGMENT) & IP4_MF_AND_OFFSET));
}

static void read_target(const uint8_t *data, size_t size)
{
	char text[80], again[PATH_TARGET_TEXT];
	struct path_target target, same;

	memcpy(text, data, size < sizeof(text) ? size : sizeof(text) - 1);
	text[size < sizeof(text) ? size : sizeof(text) - 1] = '\0';
	if (path_target_parse(text, &target))
		return;
	path_target_format(&target, again);
	assert(!path_target_parse(again, &same) && path_target_equal(&target, &same));
}

/* A step is flags, the length of a frame, and the frame. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct path_ends ends = {own, router, {.family = AF_INET, .bytes = {172, 16, 0, 9}}};
	struct path_target target;
	struct path_probe probe;
	uint8_t asked[PATH_FRAME];
	uint64_t took;
	unsigned open = 1;

	read_target(data, size);
	assert(!path_target_parse(size && data[0] & TCP ? "tcp:198.51.100.1:443" : "icmp:198.51.100.1", &target));
	path_probe_init(&probe, &target, path_ports_beside(32768, 60999), 42);
	assert(path_probe_ask(&probe, &ends, 1, asked) <= sizeof(asked));
	for (size = size ? (data++, size - 1) : 0; size >= 3;) {
		unsigned flags = data[0];
		size_t length = load16(data + 1);
		data += 3;
		size -= 3;
		length = length < size ? length : size;
		if (flags & ASK && ++open)
			(void)path_probe_ask(&probe, &ends, 1, asked);
		if (flags & FORGET)
			path_probe_forget(&probe);
		open = flags & FORGET ? 0 : open < PATH_QUESTIONS ? open : PATH_QUESTIONS;
		uint8_t *frame = malloc(length ? length : 1);
		memcpy(frame, data, length);
		mend(&probe, &ends, asked, frame, length, flags);
		while (path_probe_answers(&probe, &ends, 2, frame, length, &took)) {
			check(&probe, &ends, frame, length);
			assert(took == 1 && open > 0);
			open--;
		}
		free(frame);
		data += length;
		size -= length;
	}
	return 0;
}
