/* SPDX-License-Identifier: Apache-2.0 */
/* main.c - podswitch-cni: a CNI plugin, and what puts it on a node */
#include "control/base/option.h"
#include "control/cni/install.h"
#include "control/cni/plugin.h"

#include <signal.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/signalfd.h>
#include <unistd.h>

enum { EXIT_DONE = 0, EXIT_REFUSED = 1, EXIT_USAGE = 2 };

#define DEFAULT_WAIT 60 /* seconds */

struct request_line {
	struct cni_install install;
	bool help;
};

enum { INSTALL = 1, UNINSTALL = 2 };

#define OPTIONS struct request_line
#define BOTH .commands = (INSTALL | UNINSTALL)
#define INSTALL_ALONE .commands = INSTALL
static const struct option_spec cni_options[] = {
	OPTION_TEXT("bin-dir", 0, "DIR", install.bin_dir, "the node's CNI plugins (/opt/cni/bin)", BOTH),
	OPTION_TEXT("conf-dir", 0, "DIR", install.conf_dir, "the node's network configuration (/etc/cni/net.d)", BOTH),
	OPTION_TEXT("socket", 's', "SOCKET", install.socket,
		    "podswitchd's, with podswitch-agent's beside it (/run/podswitch/control.sock)", BOTH),
	OPTION_FLAG("help", 'h', help, "print this help", BOTH),
	OPTION_TEXT("conf-file", 0, "NAME", install.conf_file,
		    "the file in the configuration to chain in (the first, as the runtime takes it)", INSTALL_ALONE),
	OPTION_TEXT("ifname", 0, "NAME", install.ifname, "the interface in pods (vx0)", INSTALL_ALONE),
	OPTION_TEXT("skip-namespaces", 0, "NAME,...", install.skip,
		    "namespaces whose pods start without a question (kube-system,podswitch)", INSTALL_ALONE),
	OPTION_TEXT("known", 0, "FILE", install.known,
		    "where podswitch-agent keeps which namespaces ask for a gateway (/var/lib/podswitch/known.json)",
		    INSTALL_ALONE),
	OPTION_SWITCH("fail-status", install.fail_status,
		      "let STATUS fail, and the node with it, while no gateway can be given (off)", INSTALL_ALONE),
	OPTION_NUMBER("timeout", 0, "SECONDS", install.timeout, 1, 110,
		      "how long a pod's start waits for its gateway, 1 to 110 (20)", INSTALL_ALONE),
	OPTION_NUMBER("wait", 0, "SECONDS", install.wait, 0, 86400,
		      "how long to wait for a network configuration to appear, 0 to 86400 (60)", INSTALL_ALONE),
	{0},
};
#undef OPTIONS

static void print_help(FILE *out)
{
	fputs("usage: podswitch-cni install [OPTIONS]      copy this program and chain it behind the node's network\n"
	      "       podswitch-cni uninstall [OPTIONS]    take both out again\n"
	      "       podswitch-cni --help | --version\n"
	      "       CNI_COMMAND=ADD|DEL|CHECK|GC|STATUS|VERSION podswitch-cni    as container runtimes run it\n\n",
	      out);
	option_help(cni_options, INSTALL | UNINSTALL, 26, out);
	fputs("\ninstall alone:\n", out);
	option_help(cni_options, INSTALL, 26, out);
}

/* Readable from the first stop signal on. Everything but an ADD ends within seconds anyway. */
static int open_stop(void)
{
	sigset_t stop;

	sigemptyset(&stop);
	sigaddset(&stop, SIGINT);
	sigaddset(&stop, SIGTERM);
	sigaddset(&stop, SIGHUP);
	sigprocmask(SIG_BLOCK, &stop, NULL);
	return signalfd(-1, &stop, SFD_CLOEXEC | SFD_NONBLOCK);
}

static int run_plugin(void)
{
	const struct variables variables = {
		.command = getenv("CNI_COMMAND"),
		.container_id = getenv("CNI_CONTAINERID"),
		.netns = getenv("CNI_NETNS"),
		.ifname = getenv("CNI_IFNAME"),
		.args = getenv("CNI_ARGS"),
	};

	if (!variables.command && isatty(STDIN_FILENO)) {
		print_help(stderr);
		return EXIT_USAGE;
	}
	return plugin_run(&variables, STDIN_FILENO, open_stop(), stdout, stderr);
}

static int administer(char **words, bool install)
{
	struct request_line given = {.install.wait = DEFAULT_WAIT};
	struct option_line line = {.next = words, .program = "podswitch-cni"};
	struct failure why = {0};

	if (option_read_line(cni_options, install ? INSTALL : UNINSTALL, &line, &given, &why)) {
		fprintf(stderr, "podswitch-cni: %s\n", why.text);
		return EXIT_USAGE;
	}
	if (given.help)
		print_help(stdout);
	if (given.help || !(install ? cni_install(&given.install, &why) : cni_uninstall(&given.install, &why)))
		return EXIT_DONE;
	fprintf(stderr, "podswitch-cni: %s\n", why.text);
	return EXIT_REFUSED;
}

int main(int argc, char **argv)
{
	const char *word = argc > 1 ? argv[1] : "";

	signal(SIGPIPE, SIG_IGN);
	if (argc < 2)
		return run_plugin();
	if (!strcmp(word, "install") || !strcmp(word, "uninstall"))
		return administer(argv + 2, word[0] == 'i');
	if (!strcmp(word, "--help") || !strcmp(word, "-h")) {
		print_help(stdout);
		return ferror(stdout) || fflush(stdout) ? EXIT_REFUSED : EXIT_DONE;
	}
	if (!strcmp(word, "--version"))
		return puts("podswitch-cni " PODSWITCH_VERSION) < 0 || fflush(stdout) ? EXIT_REFUSED : EXIT_DONE;
	fprintf(stderr, "podswitch-cni: '%.64s' is not known here; see podswitch-cni --help\n", word);
	return EXIT_USAGE;
}
