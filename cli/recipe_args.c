/* recipe_args.c - options that override values of a recipe. */
#include "recipe_args.h"
#include "printable.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static char *copy(const char *s) {
    const size_t n = strlen(s) + 1;
    char *p = malloc(n);
    if (p) memcpy(p, s, n);
    return p;
}

bool recipe_set(recipe_args *r, const char *key, const char *value, const char *from) {
    const size_t n = (size_t)r->set.n + 1, len = strlen(key) + strlen(value) + 2;
    char **items = realloc(r->set.item, n * sizeof *items);
    if (items) r->set.item = items;
    char **origins = items ? realloc(r->set.from, n * sizeof *origins) : NULL;
    if (origins) r->set.from = origins;
    char *text = origins ? malloc(len) : NULL;
    if (!text) return false;
    (void)snprintf(text, len, "%s=%s", key, value);
    items[n - 1] = text;
    origins[n - 1] = copy(from);
    r->set.n++;
    return origins[n - 1] != NULL;
}

/* Defaults lie side by side at the front. */
bool recipe_default(recipe_args *r, const char *key, const char *value, const char *from) {
    if (!recipe_set(r, key, value, from)) return false;
    const int last = r->set.n - 1;
    char *item = r->set.item[last], *origin = r->set.from[last];
    memmove(r->set.item + r->defaults + 1, r->set.item + r->defaults,
            (size_t)(last - r->defaults) * sizeof *r->set.item);
    memmove(r->set.from + r->defaults + 1, r->set.from + r->defaults,
            (size_t)(last - r->defaults) * sizeof *r->set.from);
    r->set.item[r->defaults] = item;
    r->set.from[r->defaults] = origin;
    r->defaults++;
    return true;
}

bool recipe_ready(recipe_args *r, const ui *u, const char *path) {
    char seed[32];
    (void)snprintf(seed, sizeof seed, "%lld", (long long)u->seed);
    if (u->seed >= 0 && !recipe_set(r, "seed", seed, "option --seed")) return false;
    r->recipe = (artel_recipe){.path = path,
                               .set = (const char *const *)r->set.item,
                               .from = (const char *const *)r->set.from,
                               .n_set = r->set.n};
    return true;
}

artel_status recipe_print(const recipe_args *r, const ui *u, artel_task task) {
    char *yaml = NULL;
    const artel_status s = artel_recipe_print(u->a, &r->recipe, task, &yaml);
    if (s == ARTEL_OK) printable_put(stdout, yaml);
    artel_free(yaml);
    return s;
}

void recipe_free(recipe_args *r) { opt_list_free(&r->set); }
