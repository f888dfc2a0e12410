/* SPDX-License-Identifier: Apache-2.0 */
/* main.c - podswitch-webhook */
int main(void)
{
	return 0;
}
