/* SPDX-License-Identifier: Apache-2.0 */
/* drops.h - the reasons of drops.def as an enum and as names */
#ifndef PODSWITCH_DROPS_H
#define PODSWITCH_DROPS_H

enum drop {
#define DROP(name, key, text) DROP_##name,
#include "vswitch/base/drops.def"
#undef DROP
	DROP_COUNT,
	DROP_NONE = DROP_COUNT /* not dropped */
};

/* The JSON key ("unknown_vni"), valid for the life of the process. Any thread. */
const char *drop_name(enum drop reason);

#endif
