/* arch.c - the table of architectures. */
#include "arch/arch.h"
#include <stdio.h>
#include <string.h>

#define ROW(name) &at_arch_##name,
const at_arch *const at_archs[] = {AT_ARCHS(ROW) NULL};

const at_arch *at_arch_find(at_ctx *c, const char *name) {
    char known[256] = "";
    for (int i = 0; at_archs[i]; i++) {
        const char *type = at_archs[i]->type;
        if (!strcmp(at_archs[i]->name, name) || (type && !strcmp(type, name))) return at_archs[i];
        const size_t n = strlen(known);
        (void)snprintf(known + n, sizeof known - n, "%s%s", i ? ", " : "", at_archs[i]->name);
    }
    (void)at_error(c, AT_CONFIG, "architecture `%s` is unknown; known: %s", name, known);
    return NULL;
}
