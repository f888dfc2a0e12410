/* SPDX-License-Identifier: Apache-2.0 */
/* switch_config.c - what is a name */
#include "vswitch/base/switch_config.h"

#include <ctype.h>
#include <errno.h>
#include <string.h>

bool switch_name_valid(const char *name)
{
	size_t length = strlen(name);
	if (!length || length >= SWITCH_NAME || name[0] == '.' || name[0] == '-')
		return false;
	for (size_t i = 0; i < length; i++)
		if (!isalnum((unsigned char)name[i]) && !strchr("._:@-", name[i]))
			return false;
	return true;
}

int switch_check_name(const char *name, struct failure *why)
{
	if (switch_name_valid(name))
		return 0;
	return fail(why, -EINVAL, "name",
		    "a name is 1 to 191 of A-Z a-z 0-9 . _ : @ - and does not start with '.' or '-'");
}
