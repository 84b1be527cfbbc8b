/* api_recipe.c - from the public description of a recipe to a conf. */
#include "api/api_recipe.h"
#include <string.h>

at_status at_recipe_open(artel *a, const artel_recipe *r, at_conf **out) {
    at_ctx *c = &a->ctx;
    at_status s = r->path ? at_conf_read(c, r->path, out) : at_conf_parse(c, "recipe", "", 0, out);
    for (int i = 0; i < r->n_set && s == AT_OK; i++)
        s = at_conf_set(c, *out, r->set[i], r->from ? r->from[i] : "assignment");
    if (s != AT_OK) {
        at_conf_close(*out);
        *out = NULL;
    }
    return s;
}
