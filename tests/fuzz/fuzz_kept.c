/* SPDX-License-Identifier: Apache-2.0 */
/*
 * fuzz_kept.c - any contents of the small files that our programs read at their start or while others write them
 *
 * The first byte chooses whose file the rest is.
 */
#include "control/kube/runtime_folders.c"
#include "control/webhook/hook.c"

#include "control/cni/known.h"
#include "control/cni/tombstone.h"
#include "control/daemon/config.h"
#include "control/kube/credentials.h"
#include "control/kube/memory.h"
#include "tests/fuzz/quiet.h"

#include <assert.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static char folder[64], path[96], notes[96], socket_path[96];

static void remove_folder(void)
{
	unlink(path);
	rmdir(notes);
	rmdir(folder);
}

static void begin(void)
{
	snprintf(folder, sizeof(folder), "/dev/shm/podswitch-fuzz-kept-%ld", (long)getpid());
	snprintf(socket_path, sizeof(socket_path), "%s/control.sock", folder);
	snprintf(notes, sizeof(notes), "%s/tombstones", folder);
	snprintf(path, sizeof(path), "%s/note", notes);
	assert(!mkdir(folder, 0700) && !mkdir(notes, 0700));
	atexit(remove_folder);
}

static void put(const uint8_t *data, size_t size)
{
	int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
	assert(fd >= 0 && write(fd, data, size) == (ssize_t)size);
	close(fd);
}

/* ---- whose file it is ---- */

static void read_known(const char *text, size_t size)
{
	char why[256] = "";
	json_t *annotations = json_pack("{s:s}", "setGateway", "false");
	(void)text, (void)size;
	bool free_pod = known_pod_is_free(path, "default", annotations, why, sizeof(why));
	assert(memchr(why, '\0', sizeof(why)) && (free_pod || *why));
	json_decref(annotations);
}

static int take_note(void *context, const char *port, const json_t *content)
{
	assert(!strcmp(port, "note") && json_is_object(content));
	++*(int *)context;
	return 1;
}

static void read_notes(const char *text, size_t size)
{
	int n = 0;
	(void)text, (void)size;
	assert(tombstone_each(socket_path, take_note, &n) == n);
	assert(!access(path, F_OK) == (n == 1)); /* what is no note is gone */
}

static void read_memory(const char *text, size_t size)
{
	char gateway[64] = "untouched";
	(void)text;
	int error = memory_recall(notes, "note", gateway, sizeof(gateway));
	assert(error == (size < sizeof(gateway) ? 0 : -EIO));
	assert(error ? !strcmp(gateway, "untouched") : !memcmp(gateway, text, size) && !gateway[size]);
}

static void read_profiles(const char *text, size_t size)
{
	struct profiles *profiles = NULL;
	struct failure why = {0};
	(void)text, (void)size;
	int error = profiles_load(path, &profiles, &why);
	assert(error ? *why.text && !profiles : profiles != NULL);
	if (!error)
		assert(profiles_find(profiles, "", "") && profiles_find(profiles, "g", "vpn"));
	profiles_free(profiles);
}

static void read_config(const char *text, size_t size)
{
	struct config config = CONFIG_DEFAULT, before = config;
	struct failure why = {0};
	(void)text, (void)size;
	if (!config_read_file(&config, path, &why))
		assert(config.socket[0] && config.state_dir[0]);
	else /* nothing of it is in force */
		assert(*why.text && !strcmp(config.socket, before.socket) &&
		       !strcmp(config.state_dir, before.state_dir) && config.log_level == before.log_level);
}

static void read_token(const char *text, size_t size)
{
	struct credentials credentials;
	struct failure why = {0};
	(void)text, (void)size;
	if (credentials_open(&credentials, path, "", 1, &why)) {
		assert(*why.text);
		return;
	}
	for (const char *c = credentials.token.text; *c; c++)
		assert(*c > ' ' && *c <= '~'); /* it goes into a header */
	credentials_refresh(&credentials, 1000000, true);
	credentials_close(&credentials);
}

static void read_resolv_conf(const char *text, size_t size)
{
	json_t *servers = read_nameservers(path);
	(void)text, (void)size;
	assert(json_array_size(servers) <= MAX_CLUSTER_DNS);
	json_decref(servers);
}

static void read_containerd(const char *text, size_t size)
{
	char out[32];
	read_toml(text, "conf_dir", "/etc/cni/net.d", out, sizeof(out));
	read_toml(text, "bin_dirs", out, out, sizeof(out));
	assert(memchr(out, '\0', sizeof(out)));
	const char *config = config_of(text, size);
	assert(!strcmp(config, USUAL_CONFIG) || (config >= text && config <= text + size));
}

static void (*const readers[])(const char *text, size_t size) = {
	read_known, read_notes, read_memory, read_profiles, read_config, read_token, read_resolv_conf, read_containerd,
};

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	if (!*folder)
		begin();
	if (!size)
		return 0;
	char *text = malloc(size);
	assert(text);
	memcpy(text, data + 1, size - 1);
	text[size - 1] = '\0';
	put(data + 1, size - 1);
	readers[data[0] % (sizeof(readers) / sizeof(readers[0]))](text, size - 1);
	free(text);
	return 0;
}
