/* SPDX-License-Identifier: Apache-2.0 */
/*
 * silence.c - a gateway that sends nothing back: since when, and what is known of the cause
 *
 *    silence_check(), once a second
 *      gateway heard          -> forget; log that it answers again
 *      nothing sent           -> nothing to know
 *      sent, and not heard    -> silent: INQUIRE seconds apart ask the network
 *                                silence_judge(): the reason; a new one is logged
 *
 * Control thread.
 */
#include "vswitch/silence.h"

#include "tap/base/clock.h"
#include "tap/base/log.h"
#include "vswitch/inquiry.h"
#include "vswitch/switch.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

/* Seconds */
#define EVIDENT 2 /* of silence until evidence is believed: a gateway that has just moved is silent for a moment */
#define NOTHING 6 /* until nothing at all says something: dnsmasq looks for 3 whether an address is free */
#define INQUIRE 5 /* between two inquiries */
#define FRESH 10  /* what a stray older than this says may be over */
#define RETRY 30  /* `auto`: until the underlay is changed once more, when neither has worked */

/* The sums over all workers. */
static void silence_count(const struct vswitch *vs, const struct gateway *gateway, uint64_t *rx, uint64_t *tx)
{
	*rx = *tx = 0;
	for (unsigned w = 0; w < vs->options.workers; w++) {
		*rx += counted(&gateway->counters[w].rx_datagrams);
		*tx += counted(&gateway->counters[w].tx_datagrams);
	}
}

static void close_inquiry(struct silence *silence)
{
	if (silence->inquiry > 0)
		close(silence->inquiry);
	silence->inquiry = -1;
}

static void silence_end(struct silence *silence)
{
	close_inquiry(silence);
	silence->since = 0;
	silence->sent = 0;
	silence->reason = SILENCE_NONE;
	silence->icmp = NULL;
}

void silence_forget(const struct vswitch *vs, struct gateway *gateway)
{
	silence_end(&gateway->silence);
	silence_count(vs, gateway, &gateway->silence.rx, &gateway->silence.tx);
	gateway->silence.heard = 0;
	gateway->silence.asked = 0;
}

void silence_close(struct gateway *gateway)
{
	close_inquiry(&gateway->silence);
}

/* Evidence */

/* Whether the stray arrived where this gateway's answers would. */
static bool is_on_its_underlay(const struct gateway *gateway, const struct stray *stray)
{
	return gateway->pod_underlay ? stray->gateway == gateway->id
				     : !stray->gateway && stray->port == gateway->config.port;
}

/* A late answer to a port that was there before is nobody's masquerading. */
static bool is_another_gateway(struct vswitch *vs, const struct gateway *gateway, const struct stray *stray)
{
	for (unsigned i = 0; i < vs->n_gateways; i++)
		if (gateway_at(vs, i) != gateway && gateway_find_remote(gateway_at(vs, i), &stray->source))
			return true;
	return false;
}

static enum silence_reason judge_stray(const struct gateway *gateway, const struct stray *stray)
{
	bool known = gateway_find_remote(gateway, &stray->source), same = stray->vni == gateway->config.vni;
	return known && !same ? SILENCE_OTHER_VNI : !known && same ? SILENCE_OTHER_SOURCE : SILENCE_NONE;
}

/* The best explanation by strays: another source counts more than another VNI. */
static enum silence_reason find_stray(struct vswitch *vs, const struct gateway *gateway, uint32_t now,
				      struct stray *found)
{
	enum silence_reason best = SILENCE_NONE;
	struct stray stray;
	for (unsigned w = 0; w < vs->options.workers; w++) {
		for (unsigned i = 0; i < STRAYS; i++) {
			if (!stray_read(&vs->workers[w].strays, i, &stray) || stray.seen + FRESH < now ||
			    stray.seen + EVIDENT < gateway->silence.since || !is_on_its_underlay(gateway, &stray) ||
			    is_another_gateway(vs, gateway, &stray))
				continue;
			enum silence_reason reason = judge_stray(gateway, &stray);
			if (reason == SILENCE_NONE || (best != SILENCE_NONE && reason > best))
				continue;
			best = reason;
			*found = stray;
		}
	}
	return best;
}

/* Where its datagrams come from; NULL: wherever the kernel chooses. */
static const struct address *silence_vtep(const struct vswitch *vs, const struct gateway *gateway, sa_family_t family)
{
	for (int i = 0; !gateway->pod_underlay && i < 2; i++)
		if (vs->options.vtep[i].family == family)
			return &vs->options.vtep[i];
	return NULL;
}

/* In the network namespace from which the gateway's datagrams leave. Nobody waits for the answer without ports. */
static void inquire(struct vswitch *vs, struct gateway *gateway, uint32_t now)
{
	struct silence *silence = &gateway->silence;
	const struct port *port = gateway->n_ports ? gateway->ports[0] : NULL;
	const struct remote *remote = gateway->remotes[0];
	if (!port)
		close_inquiry(silence);
	if (now - silence->asked < INQUIRE || !port)
		return;
	silence->asked = now;
	close_inquiry(silence);
	if (gateway->pod_underlay && netns_enter(&port->netns, NULL))
		return;
	silence->inquiry = inquiry_send(&remote->to, silence_vtep(vs, gateway, remote->to.ss_family));
	if (gateway->pod_underlay)
		netns_return(&vs->home);
}

static void silence_judge(struct vswitch *vs, struct gateway *gateway, uint32_t now)
{
	struct silence *silence = &gateway->silence;
	struct inquiry_answer answer;
	struct stray stray = {.vni = 0};
	enum silence_reason reason = find_stray(vs, gateway, now, &stray);
	if (reason != SILENCE_NONE) {
		silence->from = stray.source;
		silence->vni = stray.vni;
		silence->reason = reason;
	} else if (silence->inquiry > 0 && inquiry_read(silence->inquiry, &answer)) {
		silence->from = answer.from;
		silence->icmp = answer.meaning;
		silence->reason = SILENCE_ICMP;
	} else if (silence->reason == SILENCE_NONE && !silence->heard && now - silence->since >= NOTHING) {
		silence->reason = SILENCE_NOTHING;
	}
}

/* Reports */

static const char *const silence_names[] = {
	[SILENCE_NONE] = NULL,   [SILENCE_OTHER_SOURCE] = "other_source", [SILENCE_OTHER_VNI] = "other_vni",
	[SILENCE_ICMP] = "icmp", [SILENCE_NOTHING] = "nothing",
};

static void silence_explain(const struct gateway *gateway, char *out, size_t size)
{
	const struct silence *silence = &gateway->silence;
	const struct gateway_config *config = &gateway->config;
	char from[ADDRESS_TEXT], remote[ADDRESS_TEXT] = "?";
	address_format(&silence->from, from);
	if (atomic_load(&gateway->n_remotes))
		address_format(&gateway->remotes[0]->endpoint.address, remote);
	switch (silence->reason) {
	case SILENCE_NONE:
		snprintf(out, size, "%s", "");
		return;
	case SILENCE_OTHER_SOURCE:
		snprintf(out, size,
			 "its VNI %u comes from %s instead of %s: something on the way replaces the address (NAT); %s",
			 config->vni, from, remote,
			 gateway->pod_underlay ? "give the remote the address that answers"
					       : "use --underlay pod, or the address that answers as the remote");
		return;
	case SILENCE_OTHER_VNI:
		snprintf(out, size, "%s answers with VNI %u instead of %u: set --vni %u, here or there", from,
			 silence->vni, config->vni, silence->vni);
		return;
	case SILENCE_ICMP:
		snprintf(out, size,
			 "%s refuses datagrams to %s, UDP port %u (ICMP: %s): is --port the one on which its vxlan "
			 "device listens, and does a firewall let it through?",
			 from, remote, config->port, silence->icmp);
		return;
	case SILENCE_NOTHING:
		snprintf(out, size,
			 "nothing has come back from %s: a firewall drops UDP port %u from %s, its vxlan device has "
			 "another port or VNI than %u, or it is not there",
			 remote, config->port, gateway->pod_underlay ? "the pod's address" : "this node's address",
			 config->vni);
		return;
	}
}

void silence_report(const struct gateway *gateway, uint32_t now, struct silence_status *out)
{
	const struct silence *silence = &gateway->silence;
	*out = (struct silence_status){.reason = silence_names[silence->reason], .icmp = ""};
	if (!out->reason)
		return;
	out->seconds = now > silence->since ? now - silence->since : 0;
	out->sent = silence->sent;
	if (silence->reason != SILENCE_NOTHING)
		out->from = silence->from;
	if (silence->reason == SILENCE_OTHER_VNI)
		out->vni = silence->vni;
	if (silence->reason == SILENCE_ICMP)
		out->icmp = silence->icmp;
	silence_explain(gateway, out->text, sizeof(out->text));
}

/* Turns */

bool silence_wants_other_underlay(const struct gateway *gateway, uint32_t now)
{
	const struct silence *silence = &gateway->silence;
	return silence->reason != SILENCE_NONE && gateway->config.underlay == UNDERLAY_AUTO && !silence->heard &&
	       (!silence->tried || now - silence->tried >= RETRY);
}

static void silence_end_heard(struct gateway *gateway, uint32_t now)
{
	struct silence *silence = &gateway->silence;
	if (silence->reason != SILENCE_NONE)
		log_line(LOG_INFO, "gateway %s answers", gateway->config.name);
	silence->heard = now;
	silence_end(silence);
}

static void check_silent(struct vswitch *vs, struct gateway *gateway, uint32_t now)
{
	struct silence *silence = &gateway->silence;
	enum silence_reason was = silence->reason;
	char text[320];
	inquire(vs, gateway, now);
	if (now - silence->since < EVIDENT)
		return;
	silence_judge(vs, gateway, now);
	if (silence->reason == SILENCE_NONE)
		return;
	silence_explain(gateway, text, sizeof(text));
	if (silence->reason != was)
		log_line(LOG_WARNING, "gateway %s is silent: %s", gateway->config.name, text);
}

static void silence_look(struct vswitch *vs, struct gateway *gateway, uint32_t now)
{
	struct silence *silence = &gateway->silence;
	uint64_t rx, tx;
	silence_count(vs, gateway, &rx, &tx);
	uint64_t sent = tx - silence->tx;
	bool heard = rx != silence->rx;
	silence->rx = rx;
	silence->tx = tx;
	if (heard) {
		silence_end_heard(gateway, now);
		return;
	}
	/* A refused send takes back what it has counted, so that the difference may be negative for a moment. */
	if ((int64_t)sent > 0)
		silence->sent += sent;
	if (!silence->sent)
		return;
	if (!silence->since)
		silence->since = now;
	check_silent(vs, gateway, now);
}

void silence_check(struct vswitch *vs, uint32_t now)
{
	for (unsigned i = 0; i < vs->n_gateways; i++) {
		struct gateway *gateway = gateway_at(vs, i);
		/* A hub learns its remotes from what they send: it cannot be spoken to before. */
		if (!gateway->is_hub && atomic_load(&gateway->n_remotes))
			silence_look(vs, gateway, now);
	}
}
