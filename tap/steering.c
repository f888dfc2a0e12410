/* SPDX-License-Identifier: Apache-2.0 */
/*
 * steering.c - which queue of a TAP gets a frame that the pod sends
 *
 * The programs are of the kind BPF_PROG_TYPE_SOCKET_FILTER, which reads a packet by LD_ABS and LD_IND: a load behind
 * its end ends the program with 0, the first queue. The kernel takes the result modulo the number of queues.
 *
 * A loader (libbpf) and a compiler would be more than these instructions are.
 */
#include "tap/steering.h"

#include "tap/base/wire.h"

#include <linux/bpf.h>
#include <linux/if_tun.h>
#include <stdint.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/syscall.h>
#include <unistd.h>

/* By linux/bpf.h a load clobbers R1 to R5; R6 has to be the packet. */
#define MOVE(to, from)                                                                                                 \
	{                                                                                                              \
		.code = BPF_ALU64 | BPF_MOV | BPF_X, .dst_reg = (to), .src_reg = (from)                                \
	}
#define SET(to, value)                                                                                                 \
	{                                                                                                              \
		.code = BPF_ALU64 | BPF_MOV | BPF_K, .dst_reg = (to), .imm = (value)                                   \
	}
#define LOAD(size, at)                                                                                                 \
	{                                                                                                              \
		.code = BPF_LD | BPF_ABS | (size), .imm = (at)                                                         \
	}
#define LOAD_BEHIND(size, reg, at)                                                                                     \
	{                                                                                                              \
		.code = BPF_LD | BPF_IND | (size), .src_reg = (reg), .imm = (at)                                       \
	}
#define CALCULATE(operation, to, value)                                                                                \
	{                                                                                                              \
		.code = BPF_ALU | (operation) | BPF_K, .dst_reg = (to), .imm = (value)                                 \
	}
#define SKIP_IF(operation, reg, value, n)                                                                              \
	{                                                                                                              \
		.code = BPF_JMP | (operation) | BPF_K, .dst_reg = (reg), .off = (n), .imm = (value)                    \
	}
#define SKIP(n)                                                                                                        \
	{                                                                                                              \
		.code = BPF_JMP | BPF_JA, .off = (n)                                                                   \
	}
#define RETURN                                                                                                         \
	{                                                                                                              \
		.code = BPF_JMP | BPF_EXIT                                                                             \
	}

enum { RESULT = BPF_REG_0, PACKET = BPF_REG_6, HASH = BPF_REG_7, BEHIND = BPF_REG_8 };

/* Takes what was loaded into the hash: three instructions. */
#define MIX                                                                                                            \
	CALCULATE(BPF_MUL, HASH, 31), {.code = BPF_ALU | BPF_XOR | BPF_X, .dst_reg = HASH, .src_reg = RESULT},         \
		CALCULATE(BPF_ADD, HASH, 1)
#define LOAD_MIX(at) LOAD(BPF_W, at), MIX /* four */

#define IP4 ETH_HEADER
#define IP6 ETH_HEADER
#define FRAGMENT_BITS 0x3fff /* the offset, and that more follow */
#define GOLDEN ((int32_t)0x9e3779b1)

/* clang-format off */
static const struct bpf_insn first_code[] = {SET(RESULT, 0), RETURN};

static const struct bpf_insn spread_code[] = {
	MOVE(PACKET, BPF_REG_1),
	SET(HASH, 0),
	LOAD(BPF_H, ETH_TYPE),
	SKIP_IF(BPF_JEQ, RESULT, ETHERTYPE_IP6, 19), /* to IPv6 */
	SKIP_IF(BPF_JEQ, RESULT, ETHERTYPE_IP4, 2),
	SET(RESULT, 0),
	RETURN,
	/* IPv4; the ports are behind its options, and only a fragment's first packet has them: none of them is used */
	LOAD_MIX(IP4 + IP4_SRC),
	LOAD_MIX(IP4 + IP4_DST),
	LOAD(BPF_B, IP4),
	CALCULATE(BPF_AND, RESULT, 0xf),
	CALCULATE(BPF_LSH, RESULT, 2),
	MOVE(BEHIND, RESULT),
	LOAD(BPF_H, IP4 + IP4_FRAGMENT),
	SKIP_IF(BPF_JSET, RESULT, FRAGMENT_BITS, 42), /* to the end */
	LOAD(BPF_B, IP4 + IP4_PROTOCOL),
	SKIP(34), /* to the ports */
	/* IPv6; behind extension headers there are ports that are not looked for */
	LOAD_MIX(IP6 + IP6_SRC), LOAD_MIX(IP6 + IP6_SRC + 4), LOAD_MIX(IP6 + IP6_SRC + 8), LOAD_MIX(IP6 + IP6_SRC + 12),
	LOAD_MIX(IP6 + IP6_DST), LOAD_MIX(IP6 + IP6_DST + 4), LOAD_MIX(IP6 + IP6_DST + 8), LOAD_MIX(IP6 + IP6_DST + 12),
	SET(BEHIND, IP6_HEADER),
	LOAD(BPF_B, IP6 + IP6_NEXT),
	/* The ports. */
	SKIP_IF(BPF_JEQ, RESULT, PROTO_TCP, 1),
	SKIP_IF(BPF_JNE, RESULT, PROTO_UDP, 4), /* to the end */
	LOAD_BEHIND(BPF_W, BEHIND, ETH_HEADER), MIX,
	/* The end: the upper bits of a product depend on all bits of its factor. */
	CALCULATE(BPF_MUL, HASH, GOLDEN),
	CALCULATE(BPF_RSH, HASH, 16),
	MOVE(RESULT, HASH),
	RETURN,
};
/* clang-format on */

static int first_program = -1, spread_program = -1;

static int steering_load(const struct bpf_insn *program, size_t n)
{
	union bpf_attr attributes = {.prog_type = BPF_PROG_TYPE_SOCKET_FILTER,
				     .insn_cnt = (uint32_t)n,
				     .insns = (uintptr_t)program,
				     .license = (uintptr_t) "Apache-2.0"};
	long fd = syscall(SYS_bpf, BPF_PROG_LOAD, &attributes, sizeof(attributes));
	return fd < 0 ? -errno : (int)fd;
}

int steering_open(struct failure *why)
{
	first_program = steering_load(first_code, sizeof(first_code) / sizeof(first_code[0]));
	spread_program = steering_load(spread_code, sizeof(spread_code) / sizeof(spread_code[0]));
	int error = first_program < 0 ? first_program : spread_program;
	if (error >= 0)
		return 0;
	return fail(why, error, NULL, "bpf() is refused: %s", strerror(-error));
}

bool steering_works(void)
{
	return first_program >= 0 && spread_program >= 0;
}

int steering_set(int fd, bool spread)
{
	int program = spread ? spread_program : first_program;
	return ioctl(fd, TUNSETSTEERINGEBPF, &program) ? -errno : 0;
}
