/* SPDX-License-Identifier: Apache-2.0 */
/* refusal.c - why a CNI command was refused, in CNI's terms; and the versions of CNI that we speak */
#include "control/cni/refusal.h"

#include <stdarg.h>
#include <stdio.h>

const char *const cni_versions[CNI_VERSIONS] = {"0.3.1", "0.4.0", "1.0.0", "1.1.0"};

enum cni_code refuse(struct refusal *why, enum cni_code code, const char *format, ...)
{
	va_list arguments;

	*why = (struct refusal){.code = code};
	va_start(arguments, format);
	vsnprintf(why->text, sizeof(why->text), format, arguments);
	va_end(arguments);
	return code;
}

void refuse_details(struct refusal *why, const char *details)
{
	snprintf(why->details, sizeof(why->details), "%s", details);
}
