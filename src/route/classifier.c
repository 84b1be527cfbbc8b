/* classifier.c - the table of classifiers. */
#include "route/classifier.h"
#include <stdio.h>
#include <string.h>

#define X(name) &at_classifier_##name,
const at_classifier *const at_classifiers[] = {AT_CLASSIFIERS(X) NULL};
#undef X

at_status at_classifier_find(at_ctx *c, const char *name, const at_classifier **out) {
    char list[256] = "";
    size_t used = 0;
    for (int i = 0; at_classifiers[i]; i++) {
        *out = at_classifiers[i];
        if (!strcmp((*out)->name, name)) return AT_OK;
        used +=
            (size_t)snprintf(list + used, sizeof list - used, "%s%s", i ? ", " : "", (*out)->name);
        if (used >= sizeof list) used = sizeof list - 1;
    }
    *out = NULL;
    return at_error(c, AT_ARG, "router: classifier \"%.40s\": expected one of %s", name, list);
}
