/* levels.c - an array of texts and a hash table of their numbers. */
#include "data/levels.h"
#include "data/cells.h"
#include <stdlib.h>
#include <string.h>

enum { MOST = 1 << 24 };

/* Where the text is in the table, or the free slot where it belongs. */
static int64_t place(const at_levels *l, const char *text, size_t bytes) {
    uint64_t h = 0xcbf29ce484222325u;
    for (size_t i = 0; i < bytes; i++) h = (h ^ (unsigned char)text[i]) * 0x100000001b3u;
    int64_t at = (int64_t)(h & (uint64_t)(l->slots - 1));
    for (;; at = (at + 1) & (l->slots - 1)) {
        if (!l->slot[at]) return at;
        const char *s = l->name[l->slot[at] - 1];
        if (strlen(s) == bytes && !memcmp(s, text, bytes)) return at;
    }
}

int32_t at_levels_find(const at_levels *l, const char *text, size_t bytes) {
    return l->slots ? l->slot[place(l, text, bytes)] - 1 : -1;
}

/* Keeps half of the slots free. */
static bool widen(at_ctx *c, at_levels *l) {
    if (2 * l->n < l->slots) return true;
    at_levels wide = *l;
    wide.slots = l->slots ? 2 * l->slots : 16;
    if (!(wide.slot = at_calloc(c, (size_t)wide.slots, sizeof *wide.slot))) return false;
    for (int32_t i = 0; i < (int32_t)l->n; i++)
        wide.slot[place(&wide, l->name[i], strlen(l->name[i]))] = i + 1;
    at_free(l->slot);
    *l = wide;
    return true;
}

int32_t at_levels_add(at_ctx *c, at_levels *l, const char *text, size_t bytes) {
    const int32_t known = at_levels_find(l, text, bytes);
    if (known >= 0) return known;
    if (l->n >= MOST) {
        (void)at_error(c, AT_UNSUPPORTED, "more than %d different texts in a column", (int)MOST);
        return -1;
    }
    if (!widen(c, l) || !at_reserve(c, &l->name, &l->cap, l->n + 1, sizeof *l->name)) return -1;
    char *s = at_malloc(c, bytes + 1);
    if (!s) return -1;
    if (bytes) memcpy(s, text, bytes);
    s[bytes] = 0;
    l->name[l->n] = s;
    l->slot[place(l, s, bytes)] = (int32_t)++l->n;
    return (int32_t)l->n - 1;
}

typedef struct {
    char *name;
    double value;
    int32_t was;
} item;

static int by_value(const void *a, const void *b) {
    const item *x = a, *y = b;
    return x->value < y->value ? -1 : x->value > y->value ? 1 : strcmp(x->name, y->name);
}
static int by_name(const void *a, const void *b) {
    return strcmp(((const item *)a)->name, ((const item *)b)->name);
}

at_status at_levels_sort(at_ctx *c, at_levels *l, int32_t *to) {
    item *x = at_calloc(c, (size_t)l->n, sizeof *x);
    bool numbers = true;
    if (!x) return AT_OOM;
    for (int32_t i = 0; i < (int32_t)l->n; i++) {
        x[i] = (item){.name = l->name[i], .was = i};
        numbers &= at_cell_number(x[i].name, strlen(x[i].name), &x[i].value);
    }
    if (l->n > 1) qsort(x, (size_t)l->n, sizeof *x, numbers ? by_value : by_name);
    if (l->slots) memset(l->slot, 0, (size_t)l->slots * sizeof *l->slot);
    for (int32_t i = 0; i < (int32_t)l->n; i++) {
        l->name[i] = x[i].name;
        to[x[i].was] = i;
    }
    for (int32_t i = 0; i < (int32_t)l->n; i++)
        l->slot[place(l, l->name[i], strlen(l->name[i]))] = i + 1;
    at_free(x);
    return AT_OK;
}

void at_levels_close(at_levels *l) {
    for (int64_t i = 0; i < l->n; i++) at_free(l->name[i]);
    at_free(l->name);
    at_free(l->slot);
    *l = (at_levels){0};
}
