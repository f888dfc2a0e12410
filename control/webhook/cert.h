/* SPDX-License-Identifier: Apache-2.0 */
/*
 * cert.h - podswitch-webhook cert: the webhook's certificate, where nothing like cert-manager makes it
 *
 * Keeps a certificate for the Service's names in a Secret and its authority in the MutatingWebhookConfiguration. What
 * is good is left alone, so that it may be run as often as one likes, and by several at once.
 */
#ifndef PODSWITCH_CERT_H
#define PODSWITCH_CERT_H

#include "control/webhook/usage.h"

/*
 * Does it once, or every usage->every seconds until `signals` (a signalfd) can be read; then failures are logged and
 * tried again. 0, or a negative errno.
 */
int cert_run(const struct usage *usage, int signals, struct failure *why);

#endif
