/* SPDX-License-Identifier: Apache-2.0 */
/*
 * mail.h - calls of the control thread that run on a worker's thread, and the worker's way to wake the control thread
 *
 * Only the thread that opened a ring may use it, and a worker's state has no locks. So what the control thread wants of
 * a worker is a call that the worker makes between two rounds. Parking (parking.h) is such a call.
 */
#ifndef PODSWITCH_MAIL_H
#define PODSWITCH_MAIL_H

#include "vswitch/path/model.h"

/* Runs `call` on the worker's thread between two rounds and waits until it has returned. Control thread. */
void mail_run(struct worker *worker, void (*call)(struct worker *worker, void *argument), void *argument);

/* The same without waiting for the end. Waits for an earlier call to end first. */
void mail_post(struct worker *worker, void (*call)(struct worker *worker, void *argument), void *argument);

/* Makes the control thread call switch_tick() soon. Repeated calls cost nothing until it has. From a worker. */
void mail_wake_control(const struct worker *worker);

/* Makes the call that waits, if there is one. Worker, between two rounds. */
void mail_read(struct worker *worker);

#endif
