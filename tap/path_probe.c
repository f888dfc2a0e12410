/* SPDX-License-Identifier: Apache-2.0 */
/*
 * path_probe.c - questions to an address behind the gateway, as whole frames
 *
 *     icmp   echo request, identifier and sequence number (RFC 792)     ->   echo reply with both, from the target
 *     tcp    SYN from a port of its own, random sequence (RFC 9293)     ->   SYN-ACK of that sequence, from the target
 *
 * The pod's kernel sees the answers too. It ignores an echo reply that no process waits for, and resets a connection
 * that it has not opened: that is what ends the half-open one at the target. So a SYN's source port must not be one
 * that the kernel may have given to a connection.
 *
 * The last PATH_QUESTIONS questions can be answered, whatever the interval: an answer that took longer than that is
 * still one.
 */
#include "tap/path_probe.h"

#include "tap/base/checksum.h"
#include "tap/base/wire.h"

#include <string.h>
#include <sys/socket.h>

enum {
	ECHO_REQUEST = 8,
	ECHO_REPLY = 0,
	ECHO_ID = 4,
	ECHO_SEQUENCE = 6,
	ECHO_LENGTH = ICMP_HEADER + 8, /* as much as some firewalls want to see */
	PROBE_TTL = 64,
	SYN_OPTIONS = 4, /* the MSS, without which some servers do not answer */
	SYN_LENGTH = TCP_HEADER + SYN_OPTIONS,
	SYN_WINDOW = 1024,
	TCP_ACK_FLAG = 0x10,
	TCP_SYN_ACK = TCP_SYN | TCP_ACK_FLAG,
	MSS_OPTION = 0x02040000 | 536, /* kind, length, and the smallest that every host takes */
};

_Static_assert(ETH_HEADER + IP4_HEADER + SYN_LENGTH <= PATH_FRAME, "a SYN fits");
_Static_assert(ETH_HEADER + IP4_HEADER + ECHO_LENGTH <= PATH_FRAME, "an echo request fits");

static uint64_t path_probe_random(struct path_probe *probe)
{
	probe->random ^= probe->random << 13;
	probe->random ^= probe->random >> 7;
	probe->random ^= probe->random << 17;
	return probe->random;
}

void path_probe_init(struct path_probe *probe, const struct path_target *target, struct path_ports ports, uint64_t seed)
{
	*probe = (struct path_probe){.target = *target, .ports = ports, .random = seed ? seed : 1};
	for (int i = 0; i < 8; i++)
		(void)path_probe_random(probe);
	probe->id = (uint16_t)(path_probe_random(probe) >> 32);
	probe->number = (uint16_t)(path_probe_random(probe) >> 32);
}

struct path_ports path_ports_beside(unsigned low, unsigned high)
{
	const unsigned least = 256;

	if (high < UINT16_MAX - least)
		return (struct path_ports){(uint16_t)(high + 1), (uint16_t)(UINT16_MAX - high)};
	if (low > 1024 + least && low <= UINT16_MAX)
		return (struct path_ports){1024, (uint16_t)(low - 1024)};
	/* There is no room beside it: few connections are in its last ports. */
	return (struct path_ports){(uint16_t)(UINT16_MAX - least), (uint16_t)least};
}

static uint8_t path_protocol(const struct path_probe *probe)
{
	return probe->target.kind == PATH_TCP ? PROTO_TCP : PROTO_ICMP4;
}

/* The headers of Ethernet and IPv4 around `length` bytes. */
static void wrap_question(const struct path_probe *probe, const struct path_ends *ends, size_t length, uint8_t *frame)
{
	uint8_t *ip = frame + ETH_HEADER;

	memcpy(frame + ETH_DST, ends->router_mac.bytes, 6);
	memcpy(frame + ETH_SRC, ends->own_mac.bytes, 6);
	store16(frame + ETH_TYPE, ETHERTYPE_IP4);
	ip[IP4_VERSION_IHL] = 0x45;
	store16(ip + IP4_LENGTH, (uint16_t)(IP4_HEADER + length));
	store16(ip + IP4_FRAGMENT, IP4_DF);
	ip[IP4_TTL] = PROBE_TTL;
	ip[IP4_PROTOCOL] = path_protocol(probe);
	memcpy(ip + IP4_SRC, ends->own.bytes, 4);
	memcpy(ip + IP4_DST, probe->target.address.bytes, 4);
	store_word(ip + IP4_CHECKSUM, checksum_finish(checksum_add(0, ip, IP4_HEADER)));
}

static size_t write_echo(const struct path_probe *probe, const struct path_question *question, uint8_t *icmp)
{
	icmp[ICMP_TYPE] = ECHO_REQUEST;
	store16(icmp + ECHO_ID, probe->id);
	store16(icmp + ECHO_SEQUENCE, question->number);
	store_word(icmp + ICMP_CHECKSUM, checksum_finish(checksum_add(0, icmp, ECHO_LENGTH)));
	return ECHO_LENGTH;
}

static size_t write_syn(const struct path_probe *probe, const struct path_question *question,
			const struct path_ends *ends, uint8_t *tcp)
{
	uint32_t sum = checksum_pseudo4(ends->own.bytes, probe->target.address.bytes, PROTO_TCP, SYN_LENGTH);

	store16(tcp + TCP_SRC, question->number);
	store16(tcp + TCP_DST, probe->target.port);
	store32(tcp + TCP_SEQ, question->sequence);
	tcp[TCP_OFFSET] = SYN_LENGTH / 4 << 4;
	tcp[TCP_FLAGS] = TCP_SYN;
	store16(tcp + TCP_WINDOW, SYN_WINDOW);
	store32(tcp + TCP_HEADER, MSS_OPTION);
	store_word(tcp + TCP_CHECKSUM, checksum_finish(checksum_add(sum, tcp, SYN_LENGTH)));
	return SYN_LENGTH;
}

size_t path_probe_ask(struct path_probe *probe, const struct path_ends *ends, uint64_t now,
		      uint8_t frame[static PATH_FRAME])
{
	bool tcp = probe->target.kind == PATH_TCP;
	struct path_question *question = &probe->questions[probe->number % PATH_QUESTIONS];
	uint16_t number = probe->number++;

	*question = (struct path_question){
		.open = true,
		.number = tcp ? (uint16_t)(probe->ports.first + number % probe->ports.n) : number,
		.sequence = (uint32_t)(path_probe_random(probe) >> 32),
		.sent = now,
	};
	memset(frame, 0, PATH_FRAME);
	uint8_t *inner = frame + ETH_HEADER + IP4_HEADER;
	size_t length = tcp ? write_syn(probe, question, ends, inner) : write_echo(probe, question, inner);
	wrap_question(probe, ends, length, frame);
	return ETH_HEADER + IP4_HEADER + length;
}

/* What is inside of a whole IPv4 packet of the target to the pod; NULL: it is none. *length is that of the frame. */
static const uint8_t *unwrap_answer(const struct path_probe *probe, const struct path_ends *ends, const uint8_t *frame,
				    size_t *length)
{
	const uint8_t *ip = frame + ETH_HEADER;

	if (*length < ETH_HEADER + IP4_HEADER || memcmp(frame + ETH_DST, ends->own_mac.bytes, 6) != 0 ||
	    load16(frame + ETH_TYPE) != ETHERTYPE_IP4 || ip[IP4_VERSION_IHL] >> 4 != 4)
		return NULL;
	size_t header = (size_t)(ip[IP4_VERSION_IHL] & 15) * 4, packet = load16(ip + IP4_LENGTH);
	if (header < IP4_HEADER || packet < header || packet > *length - ETH_HEADER ||
	    ip[IP4_PROTOCOL] != path_protocol(probe) || load16(ip + IP4_FRAGMENT) & IP4_MF_AND_OFFSET ||
	    memcmp(ip + IP4_SRC, probe->target.address.bytes, 4) != 0 || memcmp(ip + IP4_DST, ends->own.bytes, 4) != 0)
		return NULL;
	*length = packet - header;
	return ip + header;
}

static struct path_question *find_question(struct path_probe *probe, uint16_t number)
{
	for (size_t i = 0; i < PATH_QUESTIONS; i++)
		if (probe->questions[i].open && probe->questions[i].number == number)
			return &probe->questions[i];
	return NULL;
}

static struct path_question *match_echo(struct path_probe *probe, const uint8_t *icmp, size_t length)
{
	if (length < ICMP_HEADER || icmp[ICMP_TYPE] != ECHO_REPLY || icmp[ICMP_CODE] ||
	    load16(icmp + ECHO_ID) != probe->id)
		return NULL;
	return find_question(probe, load16(icmp + ECHO_SEQUENCE));
}

static struct path_question *match_syn(struct path_probe *probe, const uint8_t *tcp, size_t length)
{
	if (length < TCP_HEADER || (tcp[TCP_FLAGS] & (TCP_FIN | TCP_SYN | TCP_RST | TCP_ACK_FLAG)) != TCP_SYN_ACK ||
	    load16(tcp + TCP_SRC) != probe->target.port)
		return NULL;
	struct path_question *question = find_question(probe, load16(tcp + TCP_DST));
	return question && load32(tcp + TCP_ACK) == question->sequence + 1 ? question : NULL;
}

bool path_probe_answers(struct path_probe *probe, const struct path_ends *ends, uint64_t now, const uint8_t *frame,
			size_t length, uint64_t *took)
{
	const uint8_t *inner = unwrap_answer(probe, ends, frame, &length);

	if (!inner)
		return false;
	struct path_question *question =
		probe->target.kind == PATH_TCP ? match_syn(probe, inner, length) : match_echo(probe, inner, length);
	if (!question)
		return false;
	question->open = false;
	*took = now > question->sent ? now - question->sent : 0;
	return true;
}

void path_probe_forget(struct path_probe *probe)
{
	memset(probe->questions, 0, sizeof(probe->questions));
}

unsigned short path_probe_filter(const struct path_probe *probe, struct sock_filter code[static PATH_FILTER])
{
	bool tcp = probe->target.kind == PATH_TCP;
	const struct sock_filter program[] = {
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS, ETH_HEADER + IP4_SRC),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, load32(probe->target.address.bytes), 0, 8),
		BPF_STMT(BPF_LD | BPF_B | BPF_ABS, ETH_HEADER + IP4_PROTOCOL),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, path_protocol(probe), 0, 6),
		BPF_STMT(BPF_LDX | BPF_B | BPF_MSH, ETH_HEADER),
		/* The flags of a SYN-ACK; or type and code, both 0, of an echo reply. */
		BPF_STMT((tcp ? BPF_LD | BPF_B : BPF_LD | BPF_H) | BPF_IND,
			 ETH_HEADER + (tcp ? (unsigned)TCP_FLAGS : (unsigned)ICMP_TYPE)),
		BPF_STMT(BPF_ALU | BPF_AND | BPF_K, tcp ? TCP_SYN_ACK : 0xffff),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, tcp ? TCP_SYN_ACK : ECHO_REPLY, 0, 2),
		BPF_STMT(BPF_LD | BPF_H | BPF_IND, ETH_HEADER + (tcp ? (unsigned)TCP_SRC : (unsigned)ECHO_ID)),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, tcp ? probe->target.port : probe->id, 1, 0),
		BPF_STMT(BPF_RET | BPF_K, 0),
		BPF_STMT(BPF_RET | BPF_K, UINT16_MAX),
	};

	_Static_assert(sizeof(program) == PATH_FILTER * sizeof(code[0]), "all of it");
	memcpy(code, program, sizeof(program));
	return PATH_FILTER;
}
