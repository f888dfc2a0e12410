/* SPDX-License-Identifier: Apache-2.0 */
/* main.c - podswitch-cni */
#include <stdio.h>

int main(void)
{
	puts("podswitch-cni " PODSWITCH_VERSION);
	return 0;
}
