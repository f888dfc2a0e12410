/* SPDX-License-Identifier: Apache-2.0 */
/* test_cni_install.c - a node's configuration with our entry and without: nothing else in it changes by a byte */
#include "control/cni/install.c"

#include "control/cni/conffile.c"

#include "control/cni/conf_scan.c"
#include "control/cni/confdir.c"
#include "control/cni/own_list.c"

#include <limits.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>

#include <cmocka.h>
#undef fail /* cmocka has a macro of the name of our function */

#include "tests/unit/shell.h"

struct fixture {
	char top[64], bin[80], conf[80], socket[96];
	struct cni_install options;
	struct failure why;
};

static int set_up(void **state)
{
	struct fixture *f = calloc(1, sizeof(*f));
	char self[PATH_MAX];

	strcpy(f->top, "/dev/shm/podswitch-install-XXXXXX");
	assert_non_null(mkdtemp(f->top));
	snprintf(f->bin, sizeof(f->bin), "%s/bin", f->top);
	snprintf(f->conf, sizeof(f->conf), "%s/conf", f->top);
	snprintf(f->socket, sizeof(f->socket), "%s/run/control.sock", f->top);
	assert_int_equal(shell_status(f->top, "mkdir $D/bin $D/conf $D/run"), 0);
	/* Not /proc/$PPID/exe: where another program runs this one, that is the other. */
	assert_non_null(realpath("/proc/self/exe", self));
	setenv("SELF", self, 1);
	f->options = (struct cni_install){.bin_dir = f->bin, .conf_dir = f->conf, .socket = f->socket};
	*state = f;
	return 0;
}

static int tear_down(void **state)
{
	struct fixture *f = *state;

	assert_int_equal(shell_status(f->top, "rm -rf $D"), 0);
	free(f);
	return 0;
}

static void sh(const struct fixture *f, const char *command)
{
	if (shell_status(f->top, command))
		assert_string_equal(command, "to succeed");
}

static void write_conf(const struct fixture *f, const char *name, const char *text)
{
	char path[160];

	snprintf(path, sizeof(path), "%s/%s", f->conf, name);
	FILE *file = fopen(path, "w");
	assert_non_null(file);
	fputs(text, file);
	fclose(file);
}

static void expect_conf(const struct fixture *f, const char *name, const char *expected)
{
	char path[160];
	char *text = NULL;
	size_t size;

	snprintf(path, sizeof(path), "%s/%s", f->conf, name);
	(void)file_read(AT_FDCWD, path, 0, 1 << 20, &text, &size, NULL);
	if (expected) {
		assert_non_null(text);
		assert_string_equal(text, expected);
	} else {
		assert_null(text);
	}
	free(text);
}

static void install(struct fixture *f)
{
	if (cni_install(&f->options, &f->why))
		assert_string_equal(f->why.text, "");
}

static void uninstall(struct fixture *f)
{
	if (cni_uninstall(&f->options, &f->why))
		assert_string_equal(f->why.text, "");
}

static void expect_refused(struct fixture *f, int code, const char *piece)
{
	assert_int_equal(cni_install(&f->options, &f->why), code);
	if (!strstr(f->why.text, piece))
		assert_string_equal(f->why.text, piece);
}

/* Then the entry goes into the file that Multus calls, and that is the next one. */
static void behind_multus(const struct fixture *f)
{
	write_conf(f, "00-multus.conf", "{\"cniVersion\":\"1.0.0\",\"name\":\"m\",\"type\":\"multus-shim\"}");
}

/* The part of an entry that says what to do while nobody can be asked. */
#define ALONE                                                                                                          \
	"\"skip_namespaces\": \"kube-system,podswitch\", \"known\": \"/var/lib/podswitch/known.json\", "               \
	"\"fail_status\": false, \"capabilities\": {\"io.kubernetes.cri.pod-annotations\": true}"
#define ENTRY                                                                                                          \
	"{\"type\": \"podswitch-cni\", \"socket\": \"/run/s/c.sock\", \"ifname\": \"vx0\", \"timeout\": 20, " ALONE "}"

/* Odd on purpose: numbers that a printer would change, escapes, blanks, a key twice, something behind the list. */
#define ODD_HEAD "{" ODD_TAIL_OF_HEAD
#define ODD_TAIL_OF_HEAD                                                                                               \
	" \"x\":1.50, \"big\" : 12345678901234567890123,\n\t\"name\":\"prim\\u0061ry\",\"cniVersion\":\"0.4.0\",\r\n"  \
	"  \"plugins\" : [ {\"type\":\"bridge\", \"mtu\": 1e3 ,\"a\":[]},\n      "                                     \
	"{\"type\":\"portmap\",\"type\":\"portmap\"}"
#define ODD_TAIL "\t] , \"disableCheck\": true}\n\n"

static void test_chain(void **state)
{
	struct fixture *f = *state;

	f->options.socket = "/run/s/c.sock";
	behind_multus(f);
	write_conf(f, "10-first.conflist", ODD_HEAD ODD_TAIL);
	write_conf(f, "20-second.conflist", ODD_HEAD ODD_TAIL);
	write_conf(f, "05-not.conflist.bak", "garbage");
	sh(f, "mkdir $D/conf/01-directory.conflist; chmod 640 $D/conf/10-first.conflist");
	install(f);
	expect_conf(f, "10-first.conflist", ODD_HEAD ",\n      " ENTRY ODD_TAIL);
	expect_conf(f, "20-second.conflist", ODD_HEAD ODD_TAIL);
	sh(f, "cmp $SELF $D/bin/podswitch-cni && test $(stat -c %a $D/bin/podswitch-cni) = 755");
	sh(f, "test $(stat -c %a $D/conf/10-first.conflist) = 640; ls -A $D/bin | wc -l | grep -qx 1");
	/* Again: not even touched. Other values: only they. */
	sh(f, "stat -c '%i %y' $D/conf/10-first.conflist >$D/before");
	install(f);
	sh(f, "stat -c '%i %y' $D/conf/10-first.conflist | cmp - $D/before");
	f->options.timeout = 7;
	f->options.ifname = "vx9";
	install(f);
	expect_conf(f, "10-first.conflist",
		    ODD_HEAD
		    ",\n      {\"type\": \"podswitch-cni\", \"socket\": \"/run/s/c.sock\", \"ifname\": \"vx9\", "
		    "\"timeout\": 7, " ALONE "}" ODD_TAIL);
	f->options.socket = f->socket;
	sh(f, "mkdir $D/run/tombstones && echo x >$D/run/tombstones/.x && echo x >$D/run/tombstones/y");
	uninstall(f);
	expect_conf(f, "10-first.conflist", ODD_HEAD ODD_TAIL);
	sh(f, "test $(stat -c %a $D/conf/10-first.conflist) = 640");
	sh(f, "test -z \"$(ls -A $D/run)\" && test -x $D/bin/podswitch-cni");
	sh(f, "test \"$(ls -A $D/conf | tr '\\n' ' ')\" = "
	      "'00-multus.conf 01-directory.conflist 05-not.conflist.bak 10-first.conflist 20-second.conflist '");
	/* Without Multus nobody deletes a pod by what was in force when it was made. */
	sh(f, "rm $D/conf/00-multus.conf");
	uninstall(f);
	sh(f, "test -z \"$(ls -A $D/bin)\"");
}

/* Others may have changed the file meanwhile, ours may have keys of an administrator, and stand elsewhere. */
static void test_changed_meanwhile(void **state)
{
	struct fixture *f = *state;

	f->options.socket = "/run/s/c.sock";
	behind_multus(f);
	write_conf(f, "1.conflist",
		   "{\"cniVersion\":\"1.0.0\",\"name\":\"n\",\"plugins\":[{\"type\":\"a\"},{\"gateway\":\"vpn.media\","
		   "\"type\":\"podswitch-cni\",\"timeout\":5.0}, {\"type\":\"b\"}]}");
	install(f);
	expect_conf(
		f, "1.conflist",
		"{\"cniVersion\":\"1.0.0\",\"name\":\"n\",\"plugins\":[{\"type\":\"a\"},{\"gateway\": \"vpn.media\", "
		"\"type\": \"podswitch-cni\", \"timeout\": 20, \"socket\": \"/run/s/c.sock\", \"ifname\": "
		"\"vx0\", " ALONE "}, "
		"{\"type\":\"b\"}]}");
	uninstall(f);
	expect_conf(f, "1.conflist",
		    "{\"cniVersion\":\"1.0.0\",\"name\":\"n\",\"plugins\":[{\"type\":\"a\"}, {\"type\":\"b\"}]}");
}

#define SINGLE "{\n \"name\": \"net\", \"type\": \"bridge\",\n \"cniVersion\": \"0.3.1\", \"mtu\": 1.50 }\n"
#define SINGLE_LIST                                                                                                    \
	"{\n  \"cniVersion\": \"0.3.1\",\n  \"name\": \"net\",\n  \"plugins\": [\n"                                    \
	"    {\n \"name\": \"net\", \"type\": \"bridge\",\n \"cniVersion\": \"0.3.1\", \"mtu\": 1.50 }"

static void test_single(void **state)
{
	struct fixture *f = *state;

	f->options.socket = "/run/s/c.sock";
	behind_multus(f);
	write_conf(f, "10-net.conf", SINGLE);
	write_conf(f, "99-loopback.conf", "{\"cniVersion\":\"0.3.1\",\"type\":\"loopback\"}");
	sh(f, "chmod 600 $D/conf/10-net.conf");
	for (int i = 0; i < 3; i++) {
		install(f);
		expect_conf(f, "10-net.conflist", SINGLE_LIST ",\n    " ENTRY "\n  ]\n}\n");
		expect_conf(f, "10-net.conf", NULL);
		expect_conf(f, "10-net.conf.podswitch-saved", SINGLE);
		sh(f, "test $(stat -c %a $D/conf/10-net.conflist) = 600");
		if (i == 0) /* as if stopped before the last step */
			sh(f, "mv $D/conf/10-net.conf.podswitch-saved $D/conf/10-net.conf");
	}
	uninstall(f);
	expect_conf(f, "10-net.conf", SINGLE);
	sh(f, "test \"$(ls -A $D/conf | tr '\\n' ' ')\" = '00-multus.conf 10-net.conf 99-loopback.conf '");
	sh(f, "test $(stat -c %a $D/conf/10-net.conf) = 600");
	/* Changed meanwhile: the list stays, without us, and the original beside it. */
	install(f);
	sh(f, "sed -i s/bridge/ipvlan/ $D/conf/10-net.conflist");
	uninstall(f);
	sh(f, "grep -q ipvlan $D/conf/10-net.conflist && ! grep podswitch $D/conf/10-net.conflist");
	expect_conf(f, "10-net.conf.podswitch-saved", SINGLE);
	/* The list removed by somebody: the original comes back. */
	sh(f, "rm $D/conf/10-net.conflist");
	uninstall(f);
	expect_conf(f, "10-net.conf", SINGLE);
	/* Somebody writes the single file anew, perhaps otherwise: that one counts. */
	install(f);
	write_conf(f, "10-net.conf", "{\"name\":\"new\",\"type\":\"x\",\"cniVersion\":\"1.0.0\"}");
	install(f);
	sh(f, "grep -q '\"new\"' $D/conf/10-net.conflist && grep -q podswitch-cni $D/conf/10-net.conflist");
	/* A list that is somebody else's is not overwritten. */
	sh(f, "rm $D/conf/*saved");
	write_conf(f, "10-net.conf", SINGLE);
	write_conf(f, "10-net.conflist", "{\"plugins\":[{\"type\":\"z\"}]}");
	expect_refused(f, -EEXIST, "is in the way of a list made of 10-net.conf");
	expect_conf(f, "10-net.conflist", "{\"plugins\":[{\"type\":\"z\"}]}");
}

static void test_links(void **state)
{
	struct fixture *f = *state;

	behind_multus(f);
	sh(f, "mkdir $D/far; cd $D/far; printf '%s' '" SINGLE "' >s; ln -s $D/far/s $D/conf/2.conf");
	write_conf(f, "../far/l", "{\"cniVersion\":\"1.0.0\",\"name\":\"n\",\"plugins\":[{\"type\":\"a\"}]}");
	sh(f, "ln -s ../far/l $D/conf/1.conflist");
	install(f);
	sh(f, "test -L $D/conf/1.conflist && grep -q podswitch-cni $D/far/l");
	uninstall(f);
	sh(f, "test -L $D/conf/1.conflist && ! grep podswitch-cni $D/far/l && rm $D/conf/1.conflist");
	install(f);
	sh(f, "test -f $D/conf/2.conflist && test -L $D/conf/2.conf.podswitch-saved");
	uninstall(f);
	sh(f, "test ! -e $D/conf/2.conflist && test -L $D/conf/2.conf");
	sh(f, "ls -A $D/far | tr '\\n' ' ' | grep -qx 'l s '");
}

static void test_refusals(void **state)
{
	struct fixture *f = *state;
	static const struct {
		const char *text;
		int code;
		const char *piece;
	} cases[] = {
		{"", -EBADMSG, "is not a network configuration"},
		{"{\"plugins\":[", -EBADMSG, "is not a network configuration"},
		{"[]", -EBADMSG, "not an object"},
		{"{\"cniVersion\":\"1.0.0\"}", -EBADMSG, "has no plugins"},
		{"{\"cniVersion\":\"1.0.0\",\"plugins\":[]}", -EBADMSG, "has no plugins"},
		{"{\"cniVersion\":\"1.0.0\",\"plugins\":5}", -EBADMSG, "has no plugins"},
		{"{\"cniVersion\":\"0.2.0\",\"plugins\":[{\"type\":\"a\"}]}", -EPROTONOSUPPORT, "cniVersion 0.2.0"},
		{"{\"cniVersion\":\"1.2.0\",\"plugins\":[{\"type\":\"a\"}]}", -EPROTONOSUPPORT, "cniVersion 1.2.0"},
		{"{\"plugins\":[{\"type\":\"a\"}]}", -EPROTONOSUPPORT, "cniVersion (none)"},
		{"{\"cniVersion\":\"1.0.0\",\"plugins\":[{\"type\":\"podswitch-cni\"},{\"type\":\"a\"}]}", -EEXIST,
		 "as its first plugin"},
		{"{\"cniVersion\":\"1.0.0\",\"pl\\u0075gins\":[{\"type\":\"a\"}]}", -EPROTO, "edit it by hand"},
	};

	expect_refused(f, -ENOENT, "no network configuration in ");
	write_conf(f, "99-loopback.conflist", "{\"cniVersion\":\"1.0.0\",\"plugins\":[{\"type\":\"loopback\"}]}");
	expect_refused(f, -ENOENT, "has the cluster's network been installed?");
	for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
		write_conf(f, "1.conflist", cases[i].text);
		expect_refused(f, cases[i].code, cases[i].piece);
		expect_conf(f, "1.conflist", cases[i].text);
	}
	sh(f, "test \"$(ls -A $D/conf | tr '\\n' ' ')\" = '1.conflist 99-loopback.conflist '");
	f->options.timeout = 111;
	expect_refused(f, -EINVAL, "timeout: ");
	f->options = (struct cni_install){.bin_dir = f->bin, .conf_dir = f->conf, .ifname = "a/b"};
	expect_refused(f, -EINVAL, "ifname: ");
	f->options = (struct cni_install){.bin_dir = f->bin, .conf_dir = f->conf, .socket = "x"};
	expect_refused(f, -EINVAL, "socket: ");
	f->options = (struct cni_install){.bin_dir = f->bin, .conf_dir = f->conf, .conf_file = "../x.conflist"};
	expect_refused(f, -EINVAL, "conf_file: ");
	f->options = (struct cni_install){.bin_dir = "/nonexistent", .conf_dir = f->conf};
	expect_refused(f, -ENOENT, "bin_dir: no directory /nonexistent");
	f->options = (struct cni_install){.bin_dir = f->bin, .conf_dir = "/nonexistent", .socket = f->socket};
	expect_refused(f, -ENOENT, "no network configuration in /nonexistent");
	uninstall(f);
}

static void test_named_file(void **state)
{
	struct fixture *f = *state;

	write_conf(f, "1.conflist", "{\"cniVersion\":\"1.0.0\",\"name\":\"n\",\"plugins\":[{\"type\":\"a\"}]}");
	write_conf(f, "2.conflist", "{\"cniVersion\":\"1.0.0\",\"name\":\"n\",\"plugins\":[{\"type\":\"a\"}]}");
	f->options.conf_file = "2.conflist";
	install(f);
	sh(f, "grep -q podswitch-cni $D/conf/2.conflist && ! grep podswitch-cni $D/conf/1.conflist");
	uninstall(f);
	sh(f, "cmp $D/conf/1.conflist $D/conf/2.conflist");
}

/* Half a file that may have our entry: pods could still need the program. */
static void test_unreadable(void **state)
{
	struct fixture *f = *state;

	behind_multus(f);
	write_conf(f, "1.conflist", "{\"cniVersion\":\"1.0.0\",\"name\":\"n\",\"plugins\":[{\"type\":\"a\"}]}");
	install(f);
	sh(f, "cp $D/conf/1.conflist $D/whole; truncate -s -1 $D/conf/1.conflist; rm $D/conf/00-multus.conf");
	assert_int_equal(cni_uninstall(&f->options, &f->why), -EBADMSG);
	sh(f, "test -e $D/bin/podswitch-cni && cp $D/whole $D/conf/1.conflist; echo x >$D/conf/2.conf");
	uninstall(f);
	sh(f, "test ! -e $D/bin/podswitch-cni && ! grep podswitch-cni $D/conf/1.conflist");
	/* A network of podswitch alone was made by somebody else. */
	write_conf(f, "3.conflist", "{\"cniVersion\":\"1.0.0\",\"plugins\":[{\"type\":\"podswitch-cni\"}]}");
	uninstall(f);
	expect_conf(f, "3.conflist", "{\"cniVersion\":\"1.0.0\",\"plugins\":[{\"type\":\"podswitch-cni\"}]}");
}

static void *appear(void *argument)
{
	struct fixture *f = argument;
	static const struct timespec pause = {.tv_nsec = 300000000};

	nanosleep(&pause, NULL);
	write_conf(f, "1.conflist", "{\"cniVersion\":");
	nanosleep(&pause, NULL);
	write_conf(f, ".new", "{\"cniVersion\":\"1.0.0\",\"name\":\"n\",\"plugins\":[{\"type\":\"a\"}]}");
	sh(f, "mv $D/conf/.new $D/conf/1.conflist");
	return NULL;
}

static void test_wait(void **state)
{
	struct fixture *f = *state;
	pthread_t thread;

	f->options.wait = 1;
	uint64_t started = clock_ms();
	expect_refused(f, -ENOENT, "after 1 s: is this the node's, mounted here");
	assert_in_range(clock_ms() - started, 1000, 3000);
	f->options.wait = 20;
	pthread_create(&thread, NULL, appear, f);
	install(f);
	pthread_join(thread, NULL);
	sh(f, "grep -q podswitch-cni $D/conf/00-podswitch.conflist && ! grep podswitch-cni $D/conf/1.conflist");
}

static void *do_install(void *argument)
{
	struct failure why;

	return cni_install(argument, &why) ? argument : NULL;
}

/* Several at once: one entry, and nothing left of the ways there. */
static void test_at_once(void **state)
{
	struct fixture *f = *state;
	pthread_t threads[4];
	void *result;

	write_conf(f, "1.conflist", "{\"cniVersion\":\"1.0.0\",\"name\":\"n\",\"plugins\":[{\"type\":\"a\"}]}");
	f->options.wait = 20;
	for (int i = 0; i < 4; i++)
		pthread_create(&threads[i], NULL, do_install, &f->options);
	for (int i = 0; i < 4; i++) {
		pthread_join(threads[i], &result);
		assert_null(result);
	}
	sh(f, "test $(grep -o podswitch-cni $D/conf/00-podswitch.conflist | wc -l) = 1");
	sh(f, "test \"$(ls -A $D/conf | tr '\\n' ' ')\" = '00-podswitch.conflist 1.conflist '");
}

/* Whoever changed the file since we read it is not overwritten. */
static void test_overtaken(void **state)
{
	struct fixture *f = *state;
	struct conffile file;

	write_conf(f, "1.conflist", "{\"a\": 1}");
	assert_int_equal(conffile_read(f->conf, "1.conflist", &file, &f->why), 0);
	write_conf(f, "1.conflist", "{\"a\": 2}");
	assert_int_equal(conffile_write(&file, file.path, "{}", &f->why), -EAGAIN);
	expect_conf(f, "1.conflist", "{\"a\": 2}");
	sh(f, "test \"$(ls -A $D/conf)\" = 1.conflist");
	conffile_free(&file);
}

/* ---- our own list ---- */

#define OWN_HEAD(file, types) "{\n  \"podswitch.io/made-from\": {\"file\": \"" file "\", \"plugins\": [" types "]},"
#define PRIMARY "{\"cniVersion\":\"1.0.0\",\"name\":\"n\",\"plugins\":[{\"type\":\"a\"}, {\"type\":\"b\"}]}"
#define PRIMARY_CHANGED "{\"cniVersion\":\"1.0.0\",\"name\":\"n\",\"plugins\":[{\"type\":\"a\",\"mtu\":9}]}"

static void expect_look(const struct fixture *f, bool in_force, bool fresh)
{
	struct confdir_look look;

	(void)cni_install_look(&f->options, &look, NULL);
	assert_int_equal(look.in_force, in_force);
	assert_int_equal(look.fresh, fresh);
}

static void expect_files(const struct fixture *f, const char *files)
{
	char command[300];

	snprintf(command, sizeof(command), "test \"$(ls -A $D/conf | tr '\\n' ' ')\" = '%s'", files);
	sh(f, command);
}

static void test_own_list(void **state)
{
	struct fixture *f = *state;

	f->options.socket = "/run/s/c.sock";
	write_conf(f, "10-first.conflist", ODD_HEAD ODD_TAIL);
	write_conf(f, "20-second.conflist", "garbage");
	sh(f, "chmod 640 $D/conf/10-first.conflist");
	expect_look(f, false, false);
	expect_files(f, "10-first.conflist 20-second.conflist ");
	install(f);
	expect_conf(f, "00-podswitch.conflist",
		    OWN_HEAD("10-first.conflist", "\"bridge\", \"portmap\"") ODD_TAIL_OF_HEAD
		    ",\n      " ENTRY ODD_TAIL);
	expect_conf(f, "10-first.conflist", ODD_HEAD ODD_TAIL);
	sh(f, "test $(stat -c %a $D/conf/00-podswitch.conflist) = 640");
	expect_look(f, true, true);
	/* Again: not even touched. Printed anew by another program: neither. */
	sh(f, "stat -c '%i %y' $D/conf/00-podswitch.conflist >$D/before");
	install(f);
	sh(f, "stat -c '%i %y' $D/conf/00-podswitch.conflist | cmp - $D/before");
	sh(f, "cd $D/conf; jq -S . 00-podswitch.conflist >.x && cat .x >00-podswitch.conflist && rm .x");
	expect_look(f, true, true);
	/* Whose names are like ours. */
	sh(f, "mv $D/conf/10-first.conflist $D/conf/00-a.conflist");
	expect_look(f, false, false);
	install(f);
	expect_files(f, "0-podswitch.conflist 00-a.conflist 20-second.conflist ");
	sh(f, "mv $D/conf/00-a.conflist $D/conf/10-first.conflist");
	install(f);
	expect_files(f, "00-podswitch.conflist 10-first.conflist 20-second.conflist ");
	uninstall(f);
	expect_files(f, "10-first.conflist 20-second.conflist ");
	expect_conf(f, "10-first.conflist", ODD_HEAD ODD_TAIL);
}

static void test_own_list_follows(void **state)
{
	struct fixture *f = *state;

	write_conf(f, "10-p.conflist", PRIMARY);
	install(f);
	write_conf(f, "10-p.conflist", PRIMARY_CHANGED);
	expect_look(f, true, false);
	install(f);
	sh(f, "cd $D/conf; test \"$(jq -c '[.plugins[].type], .plugins[0].mtu' 00* | xargs)\" = '[a,podswitch-cni] 9'");
	/* Emptied for a moment, or for good; gone: what we have is kept. */
	write_conf(f, "10-p.conflist", "");
	expect_refused(f, -EBADMSG, "is not a network configuration");
	expect_look(f, true, false);
	sh(f, "rm $D/conf/10-p.conflist");
	expect_refused(f, -ENOENT, "no network configuration");
	expect_look(f, true, false);
	expect_files(f, "00-podswitch.conflist ");
	/* Another network, in a file with one plugin. */
	write_conf(f, "05-q.conf", SINGLE);
	install(f);
	sh(f, "cd $D/conf; test \"$(jq -c '[.plugins[].type], .name, .cniVersion' 00* | xargs)\" ="
	      " '[bridge,podswitch-cni] net 0.3.1'");
	expect_files(f, "00-podswitch.conflist 05-q.conf ");
	/* Ours damaged, emptied, or without its marker. */
	static const char *const damages[] = {
		"truncate -s -5 $D/conf/00*", "truncate -s 0 $D/conf/00*",
		"cd $D/conf; jq 'del(.\"podswitch.io/made-from\")' 00* >.x; mv .x 00-podswitch.conflist",
		"cd $D/conf; jq '.plugins |= .[:1]' 00* >.x; mv .x 00-podswitch.conflist", "rm $D/conf/00*"};
	sh(f, "jq -S . $D/conf/00* >$D/good");
	for (size_t i = 0; i < sizeof(damages) / sizeof(*damages); i++) {
		sh(f, damages[i]);
		expect_look(f, i < 3, false);
		install(f);
		sh(f, "jq -S . $D/conf/00* | cmp - $D/good");
	}
	uninstall(f);
	expect_files(f, "05-q.conf ");
}

/* A mesh's installer takes the first file that it finds: ours. */
static void test_own_list_foreign(void **state)
{
	struct fixture *f = *state;

	write_conf(f, "10-p.conflist", PRIMARY);
	install(f);
	sh(f, "cd $D/conf; jq '.plugins += [{type: \"mesh\", x: 1.5}]' 00* >.x; mv .x 00-podswitch.conflist");
	expect_look(f, true, true);
	write_conf(f, "10-p.conflist", PRIMARY_CHANGED);
	install(f);
	sh(f, "cd $D/conf; test \"$(jq -c '[.plugins[].type]' 00* | xargs)\" = '[a,podswitch-cni,mesh]'");
	expect_look(f, true, true);
	/* It changes its mind about the place, and chains itself into the primary's, too. */
	sh(f, "cd $D/conf; jq '.plugins |= [.[0], .[2], .[1]]' 00* >.x; mv .x 00-podswitch.conflist");
	expect_look(f, true, true);
	sh(f, "cd $D/conf; jq '.plugins += [{type: \"mesh\", x: 1.5}]' 10* >.x; mv .x 10-p.conflist");
	install(f);
	sh(f, "cd $D/conf; test \"$(jq -c '[.plugins[].type] | sort' 00* | xargs)\" = '[a,mesh,podswitch-cni]'");
}

/* What an earlier version has left: the entry in the primary's own file. */
static void test_own_list_upgrade(void **state)
{
	struct fixture *f = *state;

	f->options.socket = "/run/s/c.sock";
	write_conf(f, "10-p.conflist",
		   ODD_HEAD ",\n      {\"type\": \"podswitch-cni\", \"gateway\": \"vpn.a\"}" ODD_TAIL);
	expect_look(f, true, false);
	install(f);
	expect_conf(f, "10-p.conflist", ODD_HEAD ODD_TAIL);
	sh(f, "grep -q vpn.a $D/conf/00-podswitch.conflist");
	expect_look(f, true, true);
	f->options.keep_program = true;
	uninstall(f);
	sh(f, "test -x $D/bin/podswitch-cni && ! grep -r podswitch-cni $D/conf");
	f->options.keep_program = false;
	uninstall(f);
	sh(f, "test ! -e $D/bin/podswitch-cni");
	sh(f, "rm $D/conf/*");
	write_conf(f, "10-net.conf.podswitch-saved", SINGLE);
	write_conf(f, "10-net.conflist", SINGLE_LIST ",\n    " ENTRY "\n  ]\n}\n");
	install(f);
	expect_files(f, "00-podswitch.conflist 10-net.conf ");
	expect_conf(f, "10-net.conf", SINGLE);
	sh(f, "grep -q '\"file\": \"10-net.conf\"' $D/conf/00-podswitch.conflist");
	expect_look(f, true, true);
}

static void test_multus(void **state)
{
	struct fixture *f = *state;

	/* Empty, as after some boots. */
	write_conf(f, "00-multus.conf", "");
	write_conf(f, "10-a.conflist", PRIMARY);
	write_conf(f, "20-b.conflist", "{\"cniVersion\":\"1.0.0\",\"name\":\"b\",\"plugins\":[{\"type\":\"b\"}]}");
	install(f);
	sh(f, "grep -q podswitch-cni $D/conf/10-a.conflist; ! test -s $D/conf/00-multus.conf");
	/* It calls another file. */
	write_conf(f, "00-multus.conf",
		   "{\"cniVersion\":\"1.0.0\",\"name\":\"m\",\"plugins\":[{\"type\":\"multus-shim\","
		   "\"clusterNetwork\":\"/host/etc/cni/net.d/20-b.conflist\"},{\"type\":\"x\"}]}");
	expect_look(f, false, false);
	install(f);
	sh(f, "grep -q podswitch-cni $D/conf/20-b.conflist && ! grep podswitch-cni $D/conf/00-multus.conf");
	expect_look(f, true, true);
	/* It has a copy of the list of a network of that name, from before. */
	write_conf(f, "00-multus.conf",
		   "{\"cniVersion\":\"1.0.0\",\"name\":\"m\",\"type\":\"multus\",\"delegates\":[{\"name\":\"n\","
		   "\"plugins\":"
		   "[{\"type\":\"a\"}]}]}");
	expect_look(f, false, true);
	sh(f, "grep -q podswitch-cni $D/conf/10-a.conflist");
	uninstall(f);
	sh(f, "! grep -r podswitch-cni $D/conf");
	/* It came later than we, and has found our list. */
	sh(f, "rm $D/conf/00-multus.conf");
	install(f);
	write_conf(f, "00-multus.conf",
		   "{\"cniVersion\":\"1.0.0\",\"name\":\"m\",\"type\":\"multus\","
		   "\"clusterNetwork\":\"/etc/cni/net.d/00-podswitch.conflist\"}");
	expect_look(f, true, true);
	expect_files(f, "00-multus.conf 00-podswitch.conflist 10-a.conflist 20-b.conflist ");
	/* It goes on calling that file, without us in it. */
	uninstall(f);
	expect_conf(f, "00-podswitch.conflist", PRIMARY);
	/* And deletes the pods of before with our program. */
	sh(f, "test -x $D/bin/podswitch-cni");
	sh(f, "rm $D/conf/00-multus.conf");
	install(f);
	expect_look(f, true, true);
	uninstall(f);
	expect_files(f, "10-a.conflist 20-b.conflist ");
}

/* Cilium's exclusive mode. */
static void test_taken(void **state)
{
	struct fixture *f = *state;
	struct confdir_look look;

	write_conf(f, "05-cilium.conflist", PRIMARY);
	install(f);
	sh(f, "mv $D/conf/00-podswitch.conflist $D/conf/00-podswitch.conflist.cilium_bak");
	(void)cni_install_look(&f->options, &look, NULL);
	assert_string_equal(look.scan.taken, "00-podswitch.conflist.cilium_bak");
	assert_false(look.in_force || look.fresh);
	uninstall(f);
	expect_files(f, "05-cilium.conflist ");
}

#define test(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		test(test_chain),
		test(test_changed_meanwhile),
		test(test_single),
		test(test_links),
		test(test_refusals),
		test(test_named_file),
		test(test_wait),
		test(test_at_once),
		test(test_overtaken),
		test(test_unreadable),
		test(test_own_list),
		test(test_own_list_follows),
		test(test_own_list_foreign),
		test(test_own_list_upgrade),
		test(test_multus),
		test(test_taken),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
