/* SPDX-License-Identifier: Apache-2.0 */
/* stray.c - who sends VXLAN datagrams that belong to no gateway here */
#include "vswitch/path/stray.h"

static bool stray_is_same(const struct stray *a, const struct stray *b)
{
	return a->vni == b->vni && a->port == b->port && a->gateway == b->gateway &&
	       address_equal(&a->source, &b->source);
}

static unsigned stray_place(const struct strays *strays, const struct stray *stray)
{
	unsigned oldest = 0;
	for (unsigned i = 0; i < STRAYS; i++) {
		if (stray_is_same(&strays->entry[i], stray))
			return i;
		if (strays->entry[i].seen < strays->entry[oldest].seen)
			oldest = i;
	}
	return oldest;
}

void stray_note(struct strays *strays, const struct stray *stray)
{
	unsigned i = stray_place(strays, stray);
	atomic_uint *version = &strays->version[i];
	/* A flood from one sender writes once a second. */
	if (stray_is_same(&strays->entry[i], stray) && strays->entry[i].seen == stray->seen)
		return;
	atomic_fetch_add_explicit(version, 1, memory_order_acq_rel);
	strays->entry[i] = *stray;
	atomic_fetch_add_explicit(version, 1, memory_order_release);
}

bool stray_read(struct strays *strays, unsigned i, struct stray *out)
{
	unsigned before = atomic_load_explicit(&strays->version[i], memory_order_acquire);
	*out = strays->entry[i];
	atomic_thread_fence(memory_order_acquire);
	return !(before & 1) && before && before == atomic_load_explicit(&strays->version[i], memory_order_relaxed);
}
