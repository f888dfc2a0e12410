/* SPDX-License-Identifier: Apache-2.0 */
/* chain.c - keeps podswitch-cni behind the node's own plugins */
#include "control/kube/chain.h"
#include "control/cni/install.h"

#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/inotify.h>
#include <unistd.h>

struct chain {
	char program[PATH_MAX];
	struct cni_install install;
	int inotify;
};

struct chain *chain_open(const struct settings *settings)
{
	struct chain *chain = calloc(1, sizeof(*chain));
	if (!chain || !settings->cni_bin_dir || !settings->cni_conf_dir) {
		free(chain);
		return NULL;
	}
	snprintf(chain->program, sizeof(chain->program), "%.4000s/podswitch-cni", settings->cni_bin_dir);
	chain->install = (struct cni_install){
		.bin_dir = settings->cni_bin_dir,
		.conf_dir = settings->cni_conf_dir,
		.program = chain->program,
		.socket = settings->socket,
		.ifname = settings->cni_ifname,
		.timeout = settings->cni_timeout,
	};
	chain->inotify = inotify_init1(IN_NONBLOCK | IN_CLOEXEC);
	if (access(chain->program, X_OK) || chain->inotify < 0 ||
	    inotify_add_watch(chain->inotify, settings->cni_conf_dir, IN_CLOSE_WRITE | IN_MOVED_TO | IN_DELETE) < 0) {
		chain_close(chain);
		return NULL;
	}
	return chain;
}

void chain_close(struct chain *chain)
{
	if (!chain)
		return;
	if (chain->inotify >= 0)
		close(chain->inotify);
	free(chain);
}

int chain_fd(const struct chain *chain)
{
	return chain ? chain->inotify : -1;
}

void chain_turn(struct chain *chain)
{
	char events[4096];
	struct failure why = {0};
	bool changed = false;
	while (chain && read(chain->inotify, events, sizeof(events)) > 0)
		changed = true;
	/* Our own change wakes us as well; cni_install() then finds nothing to do. */
	if (changed && cni_install(&chain->install, &why))
		log_line(LOG_ERROR, "podswitch-cni is not in the node's network configuration: %s", why.text);
}
