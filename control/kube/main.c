/* SPDX-License-Identifier: Apache-2.0 */
/* main.c - podswitch-agent */
#include <stdio.h>

int main(void)
{
	puts("podswitch-agent " PODSWITCH_VERSION);
	return 0;
}
