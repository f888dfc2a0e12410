/* SPDX-License-Identifier: Apache-2.0 */
/*
 * parking.c - holding every worker between two rounds while the control thread changes what they read
 *
 *   control thread                             each worker
 *
 *   workers_park()
 *     parking_wanted = true
 *     post worker_park() to each  ---mail--->  ends its round: flush, settle
 *     wait until parked == workers             worker_park(): parked++
 *                                 <-signal---  wait while parking_wanted
 *   change gateways, ports, ...                     :
 *   workers_resume()                                :
 *     parking_wanted = false      --signal-->  parked--
 *     wait until parked == 0      <-signal---  next round
 *
 * workers_resume() waits for the last worker to leave, so that the next workers_park() never finds one that still
 * waits from before and counts it twice.
 */
#include "vswitch/path/parking.h"

#include "vswitch/path/mail.h"

static void worker_park(struct worker *worker, void *argument)
{
	struct vswitch *vs = argument;
	(void)worker;
	pthread_mutex_lock(&vs->parking);
	vs->parked++;
	pthread_cond_broadcast(&vs->parked_or_resumed);
	while (vs->parking_wanted)
		pthread_cond_wait(&vs->parked_or_resumed, &vs->parking);
	vs->parked--;
	pthread_cond_broadcast(&vs->parked_or_resumed);
	pthread_mutex_unlock(&vs->parking);
}

void workers_park(struct vswitch *vs)
{
	vs->parking_wanted = true; /* without the mutex: no worker is parked, so none reads it */
	for (unsigned i = 0; i < vs->options.workers; i++)
		mail_post(&vs->workers[i], worker_park, vs);
	pthread_mutex_lock(&vs->parking);
	while (vs->parked < vs->options.workers)
		pthread_cond_wait(&vs->parked_or_resumed, &vs->parking);
	pthread_mutex_unlock(&vs->parking);
}

void workers_resume(struct vswitch *vs)
{
	pthread_mutex_lock(&vs->parking);
	vs->parking_wanted = false;
	pthread_cond_broadcast(&vs->parked_or_resumed);
	while (vs->parked)
		pthread_cond_wait(&vs->parked_or_resumed, &vs->parking);
	pthread_mutex_unlock(&vs->parking);
}
