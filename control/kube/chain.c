/* SPDX-License-Identifier: Apache-2.0 */
/* chain.c - keeps podswitch-cni on its node: its entry in the network configuration, and its program */
#include "control/kube/chain.h"
#include "control/cni/install.h"
#include "control/kube/events.h"
#include "control/kube/mounted.h"
#include "control/kube/runtime_folders.h"
#include "tap/base/file.h"

#include <fcntl.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/inotify.h>
#include <unistd.h>

#define REWRITES 3         /* in MINUTE, when another program had taken us out */
#define UPDATES 6          /* in MINUTE, when the network's own file had changed */
#define MINUTE 60000       /* ms */
#define LOOK_PERIOD 5000   /* ms between two looks when nothing happens */
#define CHECK_PERIOD 20000 /* ms between two looks at the program, whose bytes are compared */
#define REMIND 600000      /* ms between two Events about the same */
#define CHANGES (IN_CLOSE_WRITE | IN_MOVED_TO | IN_MOVED_FROM | IN_DELETE)

/* When the last `most` of something happened, as a ring; 0: not yet. */
struct ration {
	uint64_t at[UPDATES]; /* ms */
	unsigned next, most;
};

struct chain {
	char program[PATH_MAX];
	struct cni_install install;
	chain_report *report;
	void *context;
	int inotify;
	struct mounted bin, conf;
	bool outdated; /* one of the two */
	struct chain_counters counters;
	struct ration rewrites, updates;
	uint64_t looked, checked, compared; /* ms, when last: the configuration, the program, the runtime's folders */
	bool told_folders;
	uint64_t reminded;  /* ms, of the last Event about a contest; 0: none */
	char reported[512]; /* its text */
	char trouble[512];  /* why pods could start past us; "" */
	char said[512];     /* the last error in the log, to say each once */
};

/* The program comes with the agent: it is beside it. */
static void find_program(struct chain *chain, const struct settings *settings)
{
	char own[PATH_MAX];
	ssize_t length = readlink("/proc/self/exe", own, sizeof(own) - 1);

	own[length > 0 ? length : 0] = '\0';
	if (settings->cni_program)
		snprintf(chain->program, sizeof(chain->program), "%s", settings->cni_program);
	else if (file_beside(own, "podswitch-cni", chain->program, sizeof(chain->program)) ||
		 access(chain->program, R_OK))
		snprintf(chain->program, sizeof(chain->program), "%.4000s/podswitch-cni", settings->cni_bin_dir);
}

/* Without the init container nothing is to be kept; but what it did may have been undone while we were away. */
static bool was_installed(const struct chain *chain, const char *note)
{
	char path[PATH_MAX];
	struct confdir_look look;

	snprintf(path, sizeof(path), "%.4000s/podswitch-cni", chain->install.bin_dir);
	(void)cni_install_look(&chain->install, &look, NULL);
	return !access(path, F_OK) || !access(note, F_OK) || *look.scan.own;
}

static void leave_note(const char *note)
{
	char temporary[PATH_MAX];

	if (snprintf(temporary, sizeof(temporary), "%s.new", note) < PATH_MAX && access(note, F_OK))
		(void)file_replace(AT_FDCWD, temporary, note, "", 0, 0600);
}

struct chain *chain_open(const struct settings *settings, const char *note, chain_report *report, void *context)
{
	struct chain *chain = calloc(1, sizeof(*chain));
	if (!chain || !settings->cni_bin_dir || !settings->cni_conf_dir) {
		free(chain);
		return NULL;
	}
	find_program(chain, settings);
	chain->rewrites.most = REWRITES;
	chain->updates.most = UPDATES;
	chain->report = report;
	chain->context = context;
	chain->install = (struct cni_install){
		.bin_dir = settings->cni_bin_dir,
		.conf_dir = settings->cni_conf_dir,
		.conf_file = settings->cni_conf_file,
		.program = chain->program,
		.socket = settings->socket,
		.ifname = settings->cni_ifname,
		.timeout = settings->cni_timeout,
		.skip = settings->skip_namespaces,
		.known = settings->known,
		.fail_status = settings->cni_fail_status,
	};
	chain->inotify = inotify_init1(IN_NONBLOCK | IN_CLOEXEC);
	if (chain->inotify < 0 || !was_installed(chain, note)) {
		chain_close(chain);
		return NULL;
	}
	leave_note(note);
	mounted_note(&chain->bin, settings->cni_bin_dir);
	mounted_note(&chain->conf, settings->cni_conf_dir);
	chain->counters.kept = chain->counters.in_force = true;
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

/* Each text once, until there is another. */
static void chain_say(struct chain *chain, enum log_level level, const char *text)
{
	if (strcmp(chain->said, text) != 0)
		log_line(level, "%s", text);
	snprintf(chain->said, sizeof(chain->said), "%s", text);
}

/* ---- the contest ---- */

static bool ration_left(const struct ration *ration, uint64_t now)
{
	uint64_t oldest = ration->at[ration->next];

	return !oldest || now - oldest >= MINUTE;
}

static bool ration_untouched(const struct ration *ration, uint64_t now)
{
	uint64_t latest = ration->at[(ration->next + ration->most - 1) % ration->most];

	return !latest || now - latest >= MINUTE;
}

static void ration_take(struct ration *ration, uint64_t now)
{
	ration->at[ration->next++] = now;
	ration->next %= ration->most;
}

/* Nobody signs what is changed in the folder: we go by what Cilium leaves behind, and by whose network it is. */
static void name_contest(struct chain *chain, const struct conf_scan *scan)
{
	bool cilium = *scan->taken || strstr(scan->primary, "cilium");

	snprintf(
		chain->trouble, sizeof(chain->trouble),
		"%s takes podswitch-cni out of the network configuration in %.100s, again and again (the network there "
		"is %.80s), so pods start without their gateways: %s",
		cilium ? "Cilium" : "another program", chain->install.conf_dir, *scan->primary ? scan->primary : "none",
		cilium ? "give Cilium cni.exclusive=false"
		       : "let it leave other files alone (cni.exclusive=false, where it is Cilium)");
}

static void chain_contest(struct chain *chain, const struct conf_scan *scan, uint64_t now)
{
	name_contest(chain, scan);
	chain->counters.contested = true;
	if (chain->reminded && now - chain->reminded < REMIND && !strcmp(chain->reported, chain->trouble))
		return;
	chain->reminded = now;
	memcpy(chain->reported, chain->trouble, sizeof(chain->reported));
	log_line(LOG_ERROR, "%s", chain->trouble);
	chain->report(chain->context, true, EVENT_CNI_CONTESTED, chain->trouble);
}

static void chain_settle(struct chain *chain, uint64_t now)
{
	if (!chain->counters.contested || !ration_untouched(&chain->rewrites, now))
		return;
	chain->counters.contested = false;
	chain->reminded = 0;
	log_line(LOG_INFO, "podswitch-cni has been in the network configuration for a minute: nobody takes it out now");
	chain->report(chain->context, false, EVENT_CNI_SETTLED,
		      "podswitch-cni is in the node's network configuration again, and stays there");
}

/* ---- the entry ---- */

static void chain_rewrite(struct chain *chain)
{
	struct failure why = {0};

	chain->counters.rewrites++;
	if (cni_install(&chain->install, &why))
		chain_say(chain, LOG_ERROR, why.text);
	else
		log_line(LOG_INFO, "the network configuration in %s had changed: podswitch-cni is in it again",
			 chain->install.conf_dir);
}

/* What was found, for readiness. A contest goes on saying its own. */
static void note_state(struct chain *chain, const struct confdir_look *look, const struct failure *why)
{
	chain->counters.in_force = look->in_force;
	if (look->in_force)
		chain->trouble[0] = '\0';
	else if (look->scan.multus_copy)
		snprintf(chain->trouble, sizeof(chain->trouble),
			 "Multus's %.80s holds a copy of its delegate's list without podswitch-cni, so pods start "
			 "without their "
			 "gateways: restart Multus on this node",
			 look->scan.multus);
	else if (!chain->counters.contested)
		snprintf(chain->trouble, sizeof(chain->trouble),
			 "podswitch-cni is not in the network configuration in %.100s, so pods start without their "
			 "gateways%s%.200s",
			 chain->install.conf_dir, *why->text ? ": " : "", why->text);
	if (*why->text || look->scan.multus_copy)
		chain_say(chain, LOG_WARNING, *why->text ? why->text : chain->trouble);
}

static void chain_look(struct chain *chain, uint64_t now)
{
	struct confdir_look look;
	struct failure why = {0};

	int error = cni_install_look(&chain->install, &look, &why);
	struct ration *ration = look.in_force ? &chain->updates : &chain->rewrites;
	if (!error && !look.fresh && ration_left(ration, now)) {
		ration_take(ration, now);
		chain_rewrite(chain);
		error = cni_install_look(&chain->install, &look, &why);
	}
	note_state(chain, &look, error ? &why : &(struct failure){0});
	if (!error && !look.fresh && !look.in_force && !ration_left(&chain->rewrites, now))
		chain_contest(chain, &look.scan, now);
	else if (look.in_force && look.fresh)
		chain_settle(chain, now);
}

/* ---- the program, and the folders ---- */

static void chain_check_program(struct chain *chain)
{
	struct failure why = {0};
	bool put = false;

	if (cni_install_program(&chain->install, &put, &why)) {
		chain_say(chain, LOG_ERROR, why.text);
	} else if (put) {
		chain->counters.programs++;
		log_line(LOG_WARNING, "%s had no podswitch-cni, or another one: it is put back",
			 chain->install.bin_dir);
	}
}

/* Once, until it is mended. */
static void chain_compare_folders(struct chain *chain)
{
	char text[600];
	bool differ = runtime_folders_differ(chain->install.conf_dir, chain->install.bin_dir, text, sizeof(text));

	chain->counters.astray = differ;
	if (differ && !chain->told_folders) {
		log_line(LOG_ERROR, "%s", text);
		chain->report(chain->context, true, EVENT_CNI_NOT_CALLED, text);
	}
	chain->told_folders = differ;
}

/* By the path each time: the folder may be another one by now. */
static void watch_folder(struct chain *chain)
{
	(void)inotify_add_watch(chain->inotify, chain->install.conf_dir, CHANGES);
}

void chain_turn(struct chain *chain, uint64_t now)
{
	char events[4096];

	if (!chain)
		return;
	/* Our own change wakes us as well; then there is nothing to do. */
	bool changed = !chain->looked;
	while (read(chain->inotify, events, sizeof(events)) > 0)
		changed = true;
	if (!chain->checked || now - chain->checked >= CHECK_PERIOD) {
		chain->checked = now;
		chain_check_program(chain);
	}
	if (!chain->compared || now - chain->compared >= MINUTE / 2) {
		chain->compared = now;
		chain_compare_folders(chain);
	}
	if (!changed && now - chain->looked < LOOK_PERIOD)
		return;
	chain->looked = now;
	chain->outdated = mounted_changed(&chain->bin) || mounted_changed(&chain->conf);
	watch_folder(chain);
	chain_look(chain, now);
}

bool chain_outdated(const struct chain *chain)
{
	return chain && chain->outdated;
}

bool chain_ready(const struct chain *chain, const char **reason)
{
	*reason = chain ? chain->trouble : "";
	return !**reason;
}

void chain_count(const struct chain *chain, struct chain_counters *out)
{
	*out = chain ? chain->counters : (struct chain_counters){0};
}
