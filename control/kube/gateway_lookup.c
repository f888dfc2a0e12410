/* SPDX-License-Identifier: Apache-2.0 */
/* gateway_lookup.c - a gateway's Service, read for choose() */
#include "control/kube/gateway_lookup.h"

#include <stdio.h>

const struct gateway_spec *gateway_lookup_find(const char *namespace, const char *name, const char **error,
					       void *context)
{
	struct gateway_lookup *lookup = context;
	struct failure why = {0};
	const json_t *service = cluster_service(lookup->cluster, namespace, name);
	spec_free(&lookup->spec);
	if (!service)
		return NULL;
	if (!spec_read(service, &lookup->spec, &why))
		return &lookup->spec;
	snprintf(lookup->error, sizeof(lookup->error), "%s", why.text);
	*error = lookup->error;
	return NULL;
}

void gateway_lookup_free(struct gateway_lookup *lookup)
{
	spec_free(&lookup->spec);
}
