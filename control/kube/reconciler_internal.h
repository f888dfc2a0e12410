/* SPDX-License-Identifier: Apache-2.0 */
/*
 * reconciler_internal.h - what the files of the reconciler share
 *
 * From the top down; each calls only those below it:
 *
 *     agent_methods.c    the plugin's questions            reconciler.c   the turns
 *     running_pods.c     pods not started by the plugin    adopt.c        ports that podswitchd has already
 *     proofread.c        annotations that mean nothing
 *     retire.c           attachments whose pod or sandbox is gone
 *     reconcile.c        one attachment: from what the cluster says to what podswitchd has
 *     same_address.c     a pod elsewhere with the same static address
 *     gateway_path.c     whether an endpoint forwards, as one pod of the node has found out
 *     first_interface.c  the networks that stay on pods' first interface
 *     namespace_check.c  what the API server says of a namespace now, before a pod starts without a gateway
 *     guard.c            whose allow list an endpoint is under, whichever Service names it
 *     attachments.c      the list, and what is asked about its entries
 */
#ifndef PODSWITCH_RECONCILER_INTERNAL_H
#define PODSWITCH_RECONCILER_INTERNAL_H

#include "control/kube/attachment.h"
#include "control/kube/gateway_lookup.h"
#include "control/kube/guard.h"
#include "control/kube/pod_survey.h"
#include "control/kube/podswitchd_ports.h"
#include "control/kube/reconciler.h"
#include "control/kube/seen_pods.h"

#define RECONCILER_PERIOD 5000 /* ms between passes over all attachments when nothing happens */
#define RECONCILER_UNFOUND 64  /* pods whose processes were not found, so that /proc is not read at every change */
#define RECONCILER_REMOVED 256 /* ports that were removed lately, for a plugin that asks late */

/* What stays on pods' first interface. */
struct first_interface {
	struct kept_networks kept; /* in force */
	bool found;                /* they have been, once */
	unsigned version;          /* cluster_networks_version() at that time */
	bool unnamed;              /* pods of this node are in none of those that the cluster names */
	struct pod_survey survey;  /* so that others' are looked for */
	unsigned surveys;          /* its version at that time */
	uint64_t began;            /* ms, since when they could have been found; 0: not yet */
	uint64_t due;              /* ms: they are not found again before */
	uint64_t narrower;         /* ms, since when less than what is in force would do; 0: all of it is needed */
	size_t said;               /* how many are left out, as the log has it */
};

enum path_verdict { PATH_UNKNOWN, PATH_UP, PATH_DOWN };

/* One endpoint of a gateway whose Service has podswitch.io/probe or probe-interval. */
struct gateway_path {
	struct gateway_path *next;
	char at[NAMES_SIZE];     /* the gateway's name in podswitchd */
	char gateway[136];       /* "NAMESPACE/NAME" */
	char prober[NAMES_SIZE]; /* the port whose report counts */
	char target[PATH_TARGET_TEXT];
	struct address endpoint;
	enum path_verdict verdict;
	bool lacks_router; /* when it is down: not even ARP is answered */
	bool news;         /* the verdict has changed, and not all of its pods have been told */
	uint64_t elected;  /* ms, when the prober was */
	uint64_t down_at;  /* ms, when it was last found down */
};

struct reconciler {
	struct reconciler_config config;
	struct podswitchd_ports ports;
	struct first_interface first;
	struct attachment *attachments;
	struct gateway_path *paths;
	json_t *told; /* UID of a pod and topic -> what its owner was told last */
	struct gateway_lookup lookup;
	struct guards guards;
	struct namespace_check *checks;
	char removed[RECONCILER_REMOVED][NAMES_SIZE];
	unsigned next_removed;
	struct unfound {
		uint64_t pod, until; /* hash of the UID; ms */
	} unfound[RECONCILER_UNFOUND];
	unsigned next_unfound;
	bool pass_wanted; /* something changed since the last pass began */
	struct {
		uint64_t number; /* attachments have that of the last pass that has been at them */
		bool begun, period;
		uint64_t took;  /* ms, until now */
		uint64_t slice; /* ms of it in one turn; one attachment at least */
	} pass;
	bool adopted;          /* podswitchd's ports have been read since it was last away */
	unsigned epoch;        /* podswitchd_epoch() at that time */
	uint64_t now;          /* ms, of this turn */
	uint64_t passed;       /* ms, when the last periodic pass began */
	uint64_t paused_until; /* ms of the real clock: no pass before, but the periodic one */
	uint64_t lost;
	struct histogram seconds;
	struct seen_pods seen;
	uint64_t bypassed, uncalled; /* see reconciler_counters */
	uint64_t looked;             /* ms, of the first look at the pods that run */
	char looked_at[32];          /* the same, as the API server writes times; "": not yet */
	uint64_t called;             /* ms, when the plugin asked last; 0: never */
	uint64_t complained;         /* ms, of the last Event that says that the plugin is not called; 0: none */
};

/* attachments.c */

/* The attachment of a port by that name, or NULL. */
struct attachment *reconciler_find(const struct reconciler *reconciler, const char *port);

/* Appends an attachment that was just made; owns it from here on. */
void reconciler_add(struct reconciler *reconciler, struct attachment *attachment);

/* Takes it off the list and frees it. */
void reconciler_drop(struct reconciler *reconciler, struct attachment *attachment);

/*
 * Sends an Event on the pod, and logs it, unless it is what was said last of that `topic` ("" or "/word"). Of the
 * attachment's pod, in the second form.
 */
void reconciler_tell(struct reconciler *reconciler, const json_t *pod, const char *topic, bool warning,
		     const char *reason, const char *message);
void reconciler_report(struct reconciler *reconciler, struct attachment *attachment, bool warning, const char *reason,
		       const char *message);

/* Forgets what was said of pods that are gone. */
void reconciler_forget_told(struct reconciler *reconciler);

/* choose() for a pod; `configured` is the gateway of the CNI configuration, "" or NULL: none. */
void reconciler_choose(struct reconciler *reconciler, const json_t *pod, const char *namespace, const char *configured,
		       struct choice *out);

/* The same with a namespace (a v1 Namespace) as it is given. */
void reconciler_choose_in(struct reconciler *reconciler, const json_t *pod, const json_t *namespace,
			  const char *configured, struct choice *out);

/* The pod that the attachment is of, and not an earlier or later one of its name; NULL: it is not known. */
const json_t *attachment_pod(const struct reconciler *reconciler, const struct attachment *attachment);

const char *pod_uid(const json_t *pod); /* "" when there is none */
bool pod_has_uid(const json_t *pod, const char *uid);
bool pod_is_ending(const json_t *pod);

/*
 * The name for which a gateway may have reserved an address (pod-gateway's nat.conf): spec.hostname, else the owner's,
 * a Deployment's rather than its ReplicaSet's, else the pod's own; its first label.
 */
void pod_hostname(const json_t *pod, char out[static 64]);

/* same_address.c */

/* Looks, once, for a pod of another node that has the attachment's static address; tells people. */
void same_address_ask(struct reconciler *reconciler, const struct attachment *attachment);
void same_address_close(struct reconciler *reconciler);

/* namespace_check.c */

/*
 * Whether the attachment's pod, which has no gateway by what the cluster's streams have said, has none by what the API
 * server says now, either. False: not known yet, or it has one; ask again.
 */
bool namespace_check_none(struct reconciler *reconciler, const struct attachment *attachment);
void namespace_checks_close(struct reconciler *reconciler);

/* first_interface.c */

/* Finds the networks again if that is due. */
void first_interface_turn(struct reconciler *reconciler);

/* Whether they are known: before, pods would be given less than they had. */
bool first_interface_is_known(const struct reconciler *reconciler);

/* Whether the gateway's network, as its Service gives it, is one of them; fills `out` with what to do about it. */
bool first_interface_refuses(const struct reconciler *reconciler, const struct choice *choice, char *out, size_t size);

/* Says once, in an Event, that the pod's own address is in none that the cluster names. */
void first_interface_check_pod(struct reconciler *reconciler, struct attachment *attachment);

/* gateway_path.c; `at` is a gateway's name in podswitchd. */

/* Whether one port of the node is to probe each endpoint of that gateway. */
bool gateway_path_is_watched(const struct gateway_spec *spec);

/* NULL: nobody probes there. */
const struct gateway_path *gateway_path_find(const struct reconciler *reconciler, const char *at);

/* Whether the attachment's port, which is to be at that endpoint, is the one that probes it. */
bool gateway_path_elect(struct reconciler *reconciler, const struct attachment *attachment,
			const struct gateway_spec *spec, const struct address *endpoint);

/* There is a report of the attachment's port, which says something if it is the one. */
void gateway_path_note(struct reconciler *reconciler, const struct attachment *attachment);

/* Fills in the next endpoint whose verdict is news to its pods. */
bool gateway_path_next(struct reconciler *reconciler, char at[static NAMES_SIZE]);

/* What was found at that endpoint; PATH_UNKNOWN: nothing lately. */
enum path_verdict gateway_path_verdict(const struct reconciler *reconciler, const struct gateway_spec *spec,
				       const struct address *endpoint);

/* Forgets endpoints that nobody is at, and that are not suspected any more; all of them. */
void gateway_path_sweep(struct reconciler *reconciler);
void gateway_path_free(struct reconciler *reconciler);

/* reconcile.c: applies the difference between what is wanted and what is in force. What is in force may stay. */
enum attachment_state reconcile(struct reconciler *reconciler, struct attachment *attachment);

/* adopt.c: makes an attachment of every port that podswitchd has. False when it does not answer. */
bool adopt_ports(struct reconciler *reconciler);

/* proofread.c: tells the owners of this node's pods of annotations that mean nothing. */
void proofread_pods(struct reconciler *reconciler);

/* running_pods.c */
void attach_running_pods(struct reconciler *reconciler);

/* retire.c */
void removed_remember(struct reconciler *reconciler, const char *port);
bool removed_recently(const struct reconciler *reconciler, const char *port);

/* Removes the port and its attachment, if there are any. The pod gets no way out back. */
int attachment_remove(struct reconciler *reconciler, const char *port, struct failure *why);

/* Retires the attachments of earlier sandboxes of the same pod. */
void remove_earlier(struct reconciler *reconciler, const struct attachment *newest);

/* Retires attachments whose pod is gone, carries out tombstones, removes gateways that no port uses. */
void reconciler_sweep(struct reconciler *reconciler);

#endif
