/* SPDX-License-Identifier: Apache-2.0 */
/*
 * pod_survey.h - where the pods of other nodes are, in clusters that do not name their pods' networks
 *
 * An agent follows the pods of its own node only: those of thousands of nodes would be too many. Where the own pods are
 * in none of the networks that the cluster names, it reads the addresses of some of the others now and then: what
 * kubelets have reported, so that nobody else can make them up. One thread, that of kube_turn().
 */
#ifndef PODSWITCH_POD_SURVEY_H
#define PODSWITCH_POD_SURVEY_H

#include "control/kube/api.h"
#include "control/kube/network_set.h"

#define POD_SURVEY_PAGE 100      /* pods in an answer, of about 10 kB each */
#define POD_SURVEY_PAGES 20      /* more are not asked for */
#define POD_SURVEY_PERIOD 300000 /* ms from one survey to the next, at least; and longer the more nodes there are: */
#define POD_SURVEY_PER_NODE 1000 /* ms, so that all agents together ask for less than 20 pages a second */

/* Zero-initialise it, but for `kube` and `node`; with kube NULL nothing is asked. */
struct pod_survey {
	struct kube *kube;
	const char *node;         /* the own one */
	struct network_set seen;  /* of the last survey that came to its end: addresses */
	struct network_set fresh; /* of the present one, so far */
	unsigned version;         /* counts the surveys that came to their end, well or not */
	unsigned pages;           /* of the present one, asked for */
	bool asking;
	uint64_t due; /* ms */
};

/* Asks if it is time to. `nodes`: how many there are in the cluster. */
void pod_survey_turn(struct pod_survey *survey, uint64_t now, size_t nodes);

/* Cancels what is under way and frees what was seen. */
void pod_survey_close(struct pod_survey *survey);

#endif
