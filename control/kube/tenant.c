/* SPDX-License-Identifier: Apache-2.0 */
/* tenant.c - a pod that has, or is to have, a port */
#include "control/kube/tenant.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct tenant *tenant_new(const char *namespace, const char *pod, const char *id, const char *ifname)
{
	struct tenant *tenant = calloc(1, sizeof(*tenant));
	if (!tenant)
		return NULL;
	if (port_name(tenant->port, namespace, pod, id, ifname)) {
		free(tenant);
		return NULL;
	}
	snprintf(tenant->namespace, sizeof(tenant->namespace), "%s", namespace);
	snprintf(tenant->pod, sizeof(tenant->pod), "%s", pod);
	snprintf(tenant->id, sizeof(tenant->id), "%.*s", NAMES_ID, id);
	snprintf(tenant->ifname, sizeof(tenant->ifname), "%s", ifname);
	return tenant;
}

void tenant_free(struct tenant *tenant)
{
	if (!tenant)
		return;
	json_decref(tenant->status);
	free(tenant->applied);
	free(tenant);
}

void tenant_suspect(struct tenant *tenant, uint64_t now)
{
	if (!tenant->endpoint.family)
		return;
	struct suspect *suspect = NULL;
	for (unsigned i = 0; i < TENANT_SUSPECTS && !suspect; i++)
		if (address_equal(&tenant->suspects[i].address, &tenant->endpoint))
			suspect = &tenant->suspects[i];
	if (!suspect)
		suspect = &tenant->suspects[tenant->next_suspect++ % TENANT_SUSPECTS];
	*suspect = (struct suspect){tenant->endpoint, now + TENANT_SUSPICION};
}

bool tenant_suspects(const struct tenant *tenant, const struct address *address, uint64_t now)
{
	for (unsigned i = 0; i < TENANT_SUSPECTS; i++) {
		const struct suspect *suspect = &tenant->suspects[i];
		if (suspect->until > now && address_equal(&suspect->address, address))
			return true;
	}
	return false;
}

const char *tenant_client(const struct tenant *tenant, const char *member)
{
	const char *text = json_string_value(json_object_get(json_object_get(tenant->status, "client"), member));
	return text ? text : "";
}
