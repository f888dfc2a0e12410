/* SPDX-License-Identifier: Apache-2.0 */
/* drops.c - names of the drop reasons */
#include "vswitch/base/drops.h"

static const char *const keys[] = {
#define DROP(name, key, text) #key,
#include "vswitch/base/drops.def"
#undef DROP
};

_Static_assert(sizeof(keys) / sizeof(keys[0]) == DROP_COUNT, "a key for every reason");

const char *drop_name(enum drop reason)
{
	return reason < DROP_COUNT ? keys[reason] : "none";
}
