/* SPDX-License-Identifier: Apache-2.0 */
/*
 * cert.h - podswitch-webhook cert: the webhook's certificate, where nothing like cert-manager makes it
 *
 * Keeps a certificate for the Service's names in a Secret, and its authority in the MutatingWebhookConfiguration. What
 * is good stays, so it can run as often as one likes, and in several places at once.
 */
#ifndef PODSWITCH_CERT_H
#define PODSWITCH_CERT_H

#include "control/webhook/usage.h"

/*
 * Does it once, or every usage->every seconds until `signals` (a signalfd) can be read; then failures are logged and
 * retried. 0, or a negative errno.
 */
int cert_run(const struct usage *usage, int signals, struct failure *why);

#endif
