/* SPDX-License-Identifier: Apache-2.0 */
/* kernel.c - faults of kernel versions that show nowhere else */
#include "vswitch/base/kernel.h"

#include <ctype.h>

#define VERSION(major, minor, patch) ((major)*1000000L + (minor)*1000L + (patch))

/* The number at *text, up to 999, and what follows a dot behind it; 0 where there is none. */
static long next_number(const char **text)
{
	long number = 0;
	for (; isdigit((unsigned char)**text); ++*text)
		number = number < 100 ? number * 10 + (**text - '0') : 999;
	if (**text == '.')
		++*text;
	return number;
}

bool kernel_garbles_trains(const char *release)
{
	long major = next_number(&release), minor = next_number(&release), patch = next_number(&release);
	long version = VERSION(major, minor, patch);
	return version >= VERSION(7, 0, 0) && version <= VERSION(7, 1, 4);
}

bool kernel_udp_gso(enum udp_gso_choice choice, const char *release)
{
	switch (choice) {
	case UDP_GSO_AUTO:
		return !kernel_garbles_trains(release);
	case UDP_GSO_ON:
		return true;
	case UDP_GSO_OFF:
		return false;
	}
	return false;
}
