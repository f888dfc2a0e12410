/* SPDX-License-Identifier: Apache-2.0 */
/* fuzz_handed.c - any bytes from another podswitchd that hands over: lines, with a few descriptors beside them */
#include "control/daemon/handed.h"
#include "tap/base/clock.h"

#include <assert.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* What is read goes here instead of into a switch. */
void handover_learn(struct vswitch *vs, const char *gateway, const struct mac *mac, const char *port,
		    const struct endpoint *remote, unsigned age)
{
	(void)vs;
	(void)gateway;
	(void)age;
	assert(mac_is_unicast(mac) && !port != !remote);
}

void handover_count_port(struct vswitch *vs, const char *name, const struct port_counters *counters)
{
	(void)vs;
	(void)counters;
	assert(*name);
}

void handover_count_gateway(struct vswitch *vs, const char *name, const struct gateway_counters *counters)
{
	(void)vs;
	(void)counters;
	assert(*name);
}

void handover_count_drops(struct vswitch *vs, const uint64_t drops[static DROP_COUNT])
{
	(void)vs;
	(void)drops;
}

static void read_line(const json_t *line, struct fd_stream *stream)
{
	const struct switch_options options = SWITCH_OPTIONS_DEFAULT;
	struct handed_port_line port;
	struct underlay *host = NULL;
	char name[SWITCH_NAME];
	bool pod;
	const json_t *value;
	if ((value = json_object_get(line, "host")) && !handed_read_host(value, stream, &options, &host, NULL))
		underlay_close(host);
	if ((value = json_object_get(line, "gateway")) && !handed_read_gateway(value, name, &pod, NULL))
		assert(switch_name_valid(name));
	if ((value = json_object_get(line, "port")) && !handed_read_port(value, stream, &options, &port, NULL)) {
		assert(switch_name_valid(port.name) && port.port.n_vteps <= HANDED_VTEPS && port.port.tap >= 0);
		handed_port_close(&port.port);
	}
	if ((value = json_object_get(line, "learned")))
		handed_read_learned(value, NULL);
	if ((value = json_object_get(line, "counted")))
		handed_read_counted(value, NULL);
}

/* The first byte is the number of descriptors, up to 15. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	int ends[2], fds[15];
	json_t *line;
	if (size < 2 || size > 60000 || socketpair(AF_UNIX, SOCK_STREAM, 0, ends))
		return 0;
	struct fd_stream stream = {.socket = ends[0], .deadline = clock_ms() + 1000};
	for (int i = 0; i < 15; i++)
		fds[i] = ends[0];
	union {
		struct cmsghdr header;
		char bytes[CMSG_SPACE(sizeof(fds))];
	} control = {0};
	size_t n = data[0] & 15;
	const uint8_t *text = data + 1;
	struct iovec piece = {.iov_len = size - 1};
	memcpy(&piece.iov_base, &text, sizeof(text));
	struct msghdr message = {.msg_iov = &piece, .msg_iovlen = 1};
	if (n) {
		message.msg_control = control.bytes;
		message.msg_controllen = CMSG_SPACE(n * sizeof(int));
		control.header = (struct cmsghdr){
			.cmsg_level = SOL_SOCKET, .cmsg_type = SCM_RIGHTS, .cmsg_len = CMSG_LEN(n * sizeof(int))};
		memcpy(CMSG_DATA(&control.header), fds, n * sizeof(int));
	}
	(void)sendmsg(ends[1], &message, MSG_DONTWAIT | MSG_NOSIGNAL);
	close(ends[1]);
	while (!fd_stream_receive(&stream, &line, NULL)) {
		read_line(line, &stream);
		json_decref(line);
	}
	fd_stream_close(&stream);
	return 0;
}
