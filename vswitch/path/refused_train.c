/* SPDX-License-Identifier: Apache-2.0 */
/* refused_train.c - a train that the kernel refused: was it the train, or would it refuse any datagram? */
#include "vswitch/path/refused_train.h"

#include "vswitch/path/mail.h"

/* Errors that a train may get where a datagram would pass. With a late one (no frame), the bytes are gone. */
static bool may_be_about_trains(const struct ring_tx *tx, int error)
{
	return tx->count > 1 && tx->frame && !tx->by_tap &&
	       (error == -EIO || error == -EINVAL || error == -EOPNOTSUPP || error == -EMSGSIZE);
}

/* The message of datagram `index` of the train: equally many pieces each, and no segment size, which comes last. */
static struct msghdr single_of(const struct ring_tx *tx, uint32_t index)
{
	struct msghdr message = tx->message;
	size_t pieces = message.msg_iovlen / tx->count;
	message.msg_iov += index * pieces;
	message.msg_iovlen = pieces;
	message.msg_controllen -= CMSG_SPACE(sizeof(uint16_t));
	if (!message.msg_controllen)
		message.msg_control = NULL;
	return message;
}

static uint64_t message_length(const struct msghdr *message)
{
	uint64_t length = 0;
	for (size_t i = 0; i < message->msg_iovlen; i++)
		length += message->msg_iov[i].iov_len;
	return length;
}

uint32_t refused_train_send(struct worker *worker, const struct ring_tx *tx, int *error, uint64_t *bytes)
{
	uint32_t sent = 0;
	int refusal = *error;
	*bytes = 0;
	for (uint32_t i = 0; may_be_about_trains(tx, refusal) && i < tx->count; i++) {
		struct msghdr single = single_of(tx, i);
		int result = ring_send_now(tx->fd, &single);
		if (result) {
			*error = result;
			/* What the first one meets, the others would meet as well. */
			if (!i)
				return 0;
			continue;
		}
		sent++;
		*bytes += message_length(&single);
	}
	if (sent && ban_impose(train_ban(tx->port, tx->remote), refusal, worker->now)) {
		atomic_store(&worker->vs->banned, true);
		mail_wake_control(worker);
	}
	return sent;
}
