/* SPDX-License-Identifier: Apache-2.0 */
/* main.c - podswitch-cni: a CNI plugin, and what puts it on a node */
#include "control/cni/install.h"
#include "control/cni/plugin.h"

#include <getopt.h>
#include <signal.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/signalfd.h>
#include <unistd.h>

enum { EXIT_DONE = 0, EXIT_REFUSED = 1, EXIT_USAGE = 2 };

#define DEFAULT_WAIT 60 /* seconds */

static const char usage[] =
	"usage: podswitch-cni install [OPTIONS]      copy this program and chain it behind the node's network\n"
	"       podswitch-cni uninstall [OPTIONS]    take both out again\n"
	"       podswitch-cni --help | --version\n"
	"       CNI_COMMAND=ADD|DEL|CHECK|GC|STATUS|VERSION podswitch-cni    as container runtimes run it\n"
	"\n"
	"  --bin-dir DIR       the node's CNI plugins (/opt/cni/bin)\n"
	"  --conf-dir DIR      the node's network configuration (/etc/cni/net.d)\n"
	"  --socket PATH       podswitchd's socket; podswitch-agent's is agent.sock beside it\n"
	"                      (/run/podswitch/control.sock)\n"
	"install alone:\n"
	"  --conf-file NAME    the file in the configuration to chain in (the first, as the runtime takes it)\n"
	"  --ifname NAME       the interface in pods (vx0)\n"
	"  --timeout SECONDS   how long a pod's start waits for its gateway, 1 to 110 (20)\n"
	"  --wait SECONDS      how long to wait for a network configuration to appear, 0 to 86400 (60)\n";

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
		fputs(usage, stderr);
		return EXIT_USAGE;
	}
	return plugin_run(&variables, STDIN_FILENO, open_stop(), stdout, stderr);
}

static bool parse_seconds(const char *option, const char *text, unsigned least, unsigned most, unsigned *out)
{
	char *end = NULL;
	unsigned long number = strtoul(text, &end, 10);

	if (*text < '0' || *text > '9' || *end || number < least || number > most) {
		fprintf(stderr, "podswitch-cni: --%s: '%.32s' is not a number of seconds from %u to %u; see --help\n",
			option, text, least, most);
		return false;
	}
	*out = (unsigned)number;
	return true;
}

/* Options of both commands first; `install` knows all of them. */
enum { BIN_DIR = 256, CONF_DIR, SOCKET, CONF_FILE, IFNAME, TIMEOUT, WAIT };
static const struct option options[] = {
	{"bin-dir", required_argument, NULL, BIN_DIR},
	{"conf-dir", required_argument, NULL, CONF_DIR},
	{"socket", required_argument, NULL, SOCKET},
	{"help", no_argument, NULL, 'h'},
	{"conf-file", required_argument, NULL, CONF_FILE},
	{"ifname", required_argument, NULL, IFNAME},
	{"timeout", required_argument, NULL, TIMEOUT},
	{"wait", required_argument, NULL, WAIT},
	{0},
};

static bool take_option(int option, struct cni_install *out)
{
	switch (option) {
	case BIN_DIR:
		out->bin_dir = optarg;
		return true;
	case CONF_DIR:
		out->conf_dir = optarg;
		return true;
	case SOCKET:
		out->socket = optarg;
		return true;
	case CONF_FILE:
		out->conf_file = optarg;
		return true;
	case IFNAME:
		out->ifname = optarg;
		return true;
	case TIMEOUT:
		return parse_seconds("timeout", optarg, 1, 110, &out->timeout);
	case WAIT:
		return parse_seconds("wait", optarg, 0, 86400, &out->wait);
	default:
		return false; /* getopt has said which */
	}
}

/* 0, EXIT_USAGE, or -1: help is wanted. */
static int parse(int argc, char **argv, bool install, struct cni_install *out)
{
	for (int option; (option = getopt_long(argc, argv, "h", options, NULL)) != -1;) {
		if (option == 'h')
			return -1;
		if (!install && option >= CONF_FILE) {
			fputs("podswitch-cni: uninstall knows --bin-dir, --conf-dir and --socket; see --help\n",
			      stderr);
			return EXIT_USAGE;
		}
		if (!take_option(option, out))
			return EXIT_USAGE;
	}
	if (optind == argc)
		return 0;
	fprintf(stderr, "podswitch-cni: '%.64s' is too much; see --help\n", argv[optind]);
	return EXIT_USAGE;
}

static int administer(int argc, char **argv, bool install)
{
	struct cni_install all = {.wait = DEFAULT_WAIT};
	struct failure why = {0};

	int status = parse(argc, argv, install, &all);
	if (status < 0)
		fputs(usage, stdout);
	if (status)
		return status < 0 ? EXIT_DONE : status;
	if (!(install ? cni_install(&all, &why) : cni_uninstall(&all, &why)))
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
	if (!strcmp(word, "install") || !strcmp(word, "uninstall")) {
		argv[1] = argv[0]; /* as getopt's texts begin with it */
		return administer(argc - 1, argv + 1, word[0] == 'i');
	}
	if (!strcmp(word, "--help") || !strcmp(word, "-h"))
		return fputs(usage, stdout) < 0 || fflush(stdout) ? EXIT_REFUSED : EXIT_DONE;
	if (!strcmp(word, "--version"))
		return puts("podswitch-cni " PODSWITCH_VERSION) < 0 || fflush(stdout) ? EXIT_REFUSED : EXIT_DONE;
	fprintf(stderr, "podswitch-cni: '%.64s' is not known here; see podswitch-cni --help\n", word);
	return EXIT_USAGE;
}
