/* SPDX-License-Identifier: Apache-2.0 */
/* failure.c - why a verb was refused */
#include "tap/base/failure.h"

#include <stdarg.h>
#include <stdio.h>

int fail(struct failure *why, int code, const char *key, const char *format, ...)
{
	if (!why)
		return code;
	why->code = code;
	snprintf(why->key, sizeof(why->key), "%s", key ? key : "");
	va_list args;
	va_start(args, format);
	vsnprintf(why->text, sizeof(why->text), format, args);
	va_end(args);
	return code;
}
