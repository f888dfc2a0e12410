/* SPDX-License-Identifier: Apache-2.0 */
/* tunnel_offload.c - whether a tunnel super-frame leaves the node whole */
#include "tap/tunnel_offload.h"

#include "tap/netlink.h"

#include <linux/ethtool.h>
#include <linux/rtnetlink.h>
#include <linux/sockios.h>
#include <net/if.h>
#include <netlink/attr.h>
#include <netlink/msg.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#define MAX_FEATURES 512 /* Linux has 64 today */

/* ---- the device ---- */

static bool take_device(void *context, struct nlmsghdr *raw)
{
	struct nlattr *device;
	if (raw->nlmsg_type == RTM_NEWROUTE && nlmsg_valid_hdr(raw, sizeof(struct rtmsg)) &&
	    (device = nlmsg_find_attr(raw, sizeof(struct rtmsg), RTA_OIF)))
		*(unsigned *)context = nla_get_u32(device);
	return true;
}

/* Of the route that the kernel would take, whatever rules chose it. */
static int find_device(const struct sockaddr_storage *to, unsigned *device)
{
	bool ip6 = to->ss_family == AF_INET6;
	const void *address = ip6 ? (const void *)&((const struct sockaddr_in6 *)to)->sin6_addr
				  : (const void *)&((const struct sockaddr_in *)to)->sin_addr;
	size_t size = ip6 ? 16 : 4;
	struct rtmsg head = {.rtm_family = (uint8_t)to->ss_family, .rtm_dst_len = (uint8_t)(8 * size)};
	struct netlink nl;
	int code = netlink_open(&nl, NULL);
	if (code)
		return code;
	struct nl_msg *msg = netlink_message(RTM_GETROUTE, 0, &head, sizeof(head));
	netlink_put(&msg, RTA_DST, address, size);
	code = netlink_ask(&nl, msg, take_device, device);
	netlink_close(&nl);
	return code ? code : *device ? 0 : -ENETUNREACH;
}

/* ---- its features ---- */

static int ask_ethtool(int fd, const char *name, void *request)
{
	struct ifreq interface = {.ifr_data = request};
	memcpy(interface.ifr_name, name, IFNAMSIZ);
	return ioctl(fd, SIOCETHTOOL, &interface) ? -errno : 0;
}

/* Their numbers are the kernel's own business; only their names are fixed. */
struct feature_names {
	struct ethtool_gstrings head;
	char names[MAX_FEATURES][ETH_GSTRING_LEN];
};

struct feature_bits {
	struct ethtool_gfeatures head;
	struct ethtool_get_features_block blocks[MAX_FEATURES / 32];
};

static int read_features(int fd, const char *device, struct feature_names *names, struct feature_bits *bits)
{
	struct {
		struct ethtool_sset_info head;
		uint32_t count;
	} set = {.head = {.cmd = ETHTOOL_GSSET_INFO, .sset_mask = 1ULL << ETH_SS_FEATURES}};
	names->head = (struct ethtool_gstrings){.cmd = ETHTOOL_GSTRINGS, .string_set = ETH_SS_FEATURES};
	bits->head = (struct ethtool_gfeatures){.cmd = ETHTOOL_GFEATURES, .size = MAX_FEATURES / 32};
	int error = ask_ethtool(fd, device, &set);
	if (!error && set.count > MAX_FEATURES)
		error = -EOPNOTSUPP;
	if (!error)
		error = ask_ethtool(fd, device, names);
	return error ? error : ask_ethtool(fd, device, bits);
}

static bool is_on(const struct feature_names *names, const struct feature_bits *bits, const char *feature)
{
	for (uint32_t i = 0; i < names->head.len && i < MAX_FEATURES; i++)
		if (!strncmp(names->names[i], feature, ETH_GSTRING_LEN))
			return bits->blocks[i / 32].active >> i % 32 & 1;
	return false;
}

/* As skb_gso_ok() and harmonize_features() of the kernel see a super-frame of TCP over IPv4 in such a tunnel. */
static bool takes_tunnels(const struct feature_names *names, const struct feature_bits *bits)
{
	bool checksums = is_on(names, bits, "tx-checksum-ip-generic") ||
			 (is_on(names, bits, "tx-checksum-ipv4") && is_on(names, bits, "tx-checksum-ipv6"));
	return checksums && is_on(names, bits, "tx-scatter-gather") && is_on(names, bits, "tx-tcp-segmentation") &&
	       is_on(names, bits, "tx-udp_tnl-csum-segmentation");
}

static int ask_device(const char *device)
{
	struct feature_names *names = calloc(1, sizeof(*names));
	struct feature_bits *bits = calloc(1, sizeof(*bits));
	int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0), result = fd < 0 ? -errno : -ENOMEM;
	if (fd >= 0 && names && bits)
		result = read_features(fd, device, names, bits);
	if (!result)
		result = takes_tunnels(names, bits);
	if (fd >= 0)
		close(fd);
	free(names);
	free(bits);
	return result;
}

int tunnel_offload(const struct sockaddr_storage *to)
{
	char name[IFNAMSIZ] = "";
	unsigned device = 0;
	int error = find_device(to, &device);
	if (error)
		return error;
	return if_indextoname(device, name) ? ask_device(name) : -errno;
}
