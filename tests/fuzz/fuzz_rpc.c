/* SPDX-License-Identifier: Apache-2.0 */
/*
 * fuzz_rpc.c - any bytes on the control socket: server, envelopes and methods, over a switch without packets
 *
 * The first byte chooses the size of the pieces in which the rest arrives.
 */
#define FAKE_MAX 16 /* a switch is made for each input, and cleared */

#include "control/base/rpc.h"
#include "control/daemon/methods.h"
#include "tests/unit/fake_switch.h"

#include <poll.h>
#include <sys/socket.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static struct config config = CONFIG_DEFAULT;
static struct methods methods = {.config = &config};

static void open_once(void)
{
	char path[64];
	struct failure why = {0};

	snprintf(path, sizeof(path), "/tmp/podswitch-fuzz-%ld.sock", (long)getpid());
	if (rpc_open(path, methods_call, &methods, &methods.rpc, &why))
		abort();
	unlink(path); /* clients are handed over instead */
}

static void settle(int fd)
{
	struct pollfd ready = {.fd = rpc_fd(methods.rpc), .events = POLLIN};
	static char scrap[65536];

	for (int turns = 0; poll(&ready, 1, 0) > 0; turns++) {
		if (turns > 100000)
			abort(); /* it spins */
		rpc_serve(methods.rpc);
		while (recv(fd, scrap, sizeof(scrap), MSG_DONTWAIT) > 0)
			;
	}
}

static void deliver(int fd, const uint8_t *data, size_t size, size_t piece)
{
	while (size) {
		size_t length = size < piece ? size : piece;
		ssize_t sent = send(fd, data, length, MSG_DONTWAIT | MSG_NOSIGNAL);
		if (sent < 0 && errno != EAGAIN)
			return;
		settle(fd);
		if (sent > 0) {
			data += sent;
			size -= (size_t)sent;
		}
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct failure why = {0};
	int pair[2];

	if (!methods.rpc)
		open_once();
	if (!size || switch_open(&config.options, &methods.vs, &why) ||
	    socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, pair))
		return 0;
	switch_listen(methods.vs, methods_event, &methods);
	if (rpc_adopt(methods.rpc, pair[0]))
		abort();
	deliver(pair[1], data + 1, size - 1, data[0] ? data[0] : 1 << 20);
	shutdown(pair[1], SHUT_WR);
	settle(pair[1]);
	rpc_tick(methods.rpc);
	close(pair[1]);
	settle(-1);
	rpc_tick(methods.rpc);
	if (rpc_clients(methods.rpc))
		abort(); /* a client that is gone is still held */
	switch_close(methods.vs);
	return 0;
}
