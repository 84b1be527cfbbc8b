/* conf.c - reading, overriding, and looking up what there is. */
#include "conf/conf.h"
#include "conf/conf_internal.h"
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

static const char *found(const at_node *n) {
    return n->kind == AT_NODE_LIST ? "a list" : "a single value";
}

at_status at_conf_parse(at_ctx *c, const char *name, const char *text, size_t bytes,
                        at_conf **out) {
    *out = NULL;
    at_conf *f = at_calloc(c, 1, sizeof *f);
    if (!f) return c->status;
    f->name = at_strdup(c, name);
    at_status s = f->name ? at_yaml_read(c, name, text, bytes, NULL, &f->root) : c->status;
    if (!s && f->root && at_node_is_null(f->root)) { /* a lone "---" is an empty document, too */
        at_node_free(f->root);
        f->root = NULL;
    }
    if (!s && !f->root && !(f->root = at_node_new(c, AT_NODE_MAP))) s = c->status;
    if (!s && f->root->kind != AT_NODE_MAP)
        s = at_error(c, AT_CONFIG, "%s:%d:%d: expected `key: value` lines, found %s", name,
                     f->root->line, f->root->column, found(f->root));
    if (s)
        at_conf_close(f);
    else
        *out = f;
    return s;
}

at_status at_conf_read(at_ctx *c, const char *path, at_conf **out) {
    *out = NULL;
    size_t bytes;
    char *text = at_read_file(c, path, AT_CONF_BYTES_MAX, &bytes);
    if (!text) return c->status;
    const at_status s = at_conf_parse(c, path, text, bytes, out);
    at_free(text);
    return s;
}

void at_conf_close(at_conf *f) {
    if (!f) return;
    for (int64_t i = 0; i < f->n_bound; i++) {
        at_free(f->bound[i].path);
        at_free(f->bound[i].value);
        at_free(f->bound[i].origin);
    }
    for (int64_t i = 0; i < f->n_lists; i++) at_free(f->lists[i].item);
    for (int64_t i = 0; i < f->n_numbers; i++) at_free(f->numbers[i].item);
    at_free(f->numbers);
    at_free(f->lists);
    at_free(f->bound);
    at_list_free(&f->known);
    at_list_free(&f->owned);
    at_node_free(f->root);
    at_free(f->name);
    at_free(f);
}

/* ---- assignments -------------------------------------------------------------------------- */

/* Puts the content of b into a, which keeps its name and neighbours; a's content is freed. */
static void replace(at_node *a, at_node *b) {
    at_node *next = a->next;
    char *key = a->key;
    a->key = NULL;
    at_node old = *a;
    *a = *b;
    *b = old;
    a->key = key;
    a->next = next;
    b->next = NULL;
    at_node_free(b);
}

static at_node *new_child(at_ctx *c, at_node *parent, const char *name, size_t bytes,
                          const char *origin) {
    at_node *n = at_node_new(c, AT_NODE_MAP);
    if (!n) return NULL;
    n->key = at_malloc(c, bytes + 1);
    n->origin = at_strdup(c, origin);
    if (!n->key || !n->origin) {
        at_node_free(n);
        return NULL;
    }
    memcpy(n->key, name, bytes);
    n->key[bytes] = 0;
    at_node_append(parent, n);
    return n;
}

/* The node of a path of `bytes` bytes; missing sections are made. */
static at_status reach(at_ctx *c, at_conf *f, const char *path, size_t bytes, const char *origin,
                       at_node **out) {
    at_node *n = f->root;
    int depth = 1;
    for (size_t at = 0; at < bytes;) {
        size_t step = strcspn(path + at, ".=");
        if (at + step > bytes) step = bytes - at;
        if (step == 0 || ++depth > AT_CONF_DEPTH_MAX)
            return at_error(c, AT_ARG, "%s: `%.*s` is not a key", origin, (int)bytes, path);
        if (at_node_is_null(n)) n->kind = AT_NODE_MAP;
        if (n->kind == AT_NODE_SCALAR)
            return at_error(c, AT_CONFIG, "%s: `%.*s` is a value, it has no key `%.*s`", origin,
                            (int)(at ? at - 1 : 0), path, (int)step, path + at);
        at_node *k = at_node_child(n, path + at, step);
        if (!k && n->kind == AT_NODE_LIST)
            return at_error(c, AT_CONFIG, "%s: the list has no item `%.*s`", origin,
                            (int)(at + step), path);
        if (!k && !(k = new_child(c, n, path + at, step, origin))) return c->status;
        n = k;
        at += step + 1;
        if (at == bytes) /* a dot at the end */
            return at_error(c, AT_ARG, "%s: `%.*s` is not a key", origin, (int)bytes, path);
    }
    *out = n;
    return AT_OK;
}

at_status at_conf_set(at_ctx *c, at_conf *f, const char *assignment, const char *origin) {
    const char *equal = strchr(assignment, '=');
    if (!equal || equal == assignment)
        return at_error(c, AT_ARG, "%s: expected KEY=VALUE, found `%.200s`", origin, assignment);
    if (equal - assignment >= AT_CONF_PATH_MAX)
        return at_error(c, AT_ARG, "%s: the key is too long", origin);
    at_node *value = NULL, *place = NULL;
    at_status s = at_yaml_read(c, assignment, equal + 1, strlen(equal + 1), origin, &value);
    if (s) return s;
    if (!value) { /* "key=": back to the default */
        value = at_node_new(c, AT_NODE_SCALAR);
        if (!value) return c->status;
        value->plain = true;
        value->text = at_strdup(c, "");
        value->origin = at_strdup(c, origin);
        if (!value->text || !value->origin) s = c->status;
    }
    if (!s) s = reach(c, f, assignment, (size_t)(equal - assignment), origin, &place);
    if (s)
        at_node_free(value);
    else
        replace(place, value);
    return s;
}

/* ---- looking up --------------------------------------------------------------------------- */

bool at_conf_has(const at_conf *f, const char *path) {
    const at_node *n = at_node_find(f->root, path, false);
    return n && !at_node_is_null(n);
}

int64_t at_conf_count(const at_conf *f, const char *section) {
    at_node *n = at_node_find(f->root, section, false);
    if (!n || at_node_is_null(n)) return 0;
    if (n->kind != AT_NODE_LIST) {
        n->wants_list = true;
        return 0;
    }
    (void)at_node_find(f->root, section, true);
    int64_t count = 0;
    for (const at_node *k = n->child; k; k = k->next) count++;
    return count;
}

at_status at_conf_keys(at_ctx *c, const at_conf *f, const char *section, at_strings *out) {
    *out = (at_strings){0};
    at_node *n = at_node_find(f->root, section, true);
    if (!n || at_node_is_null(n)) return AT_OK;
    if (n->kind != AT_NODE_MAP)
        return at_conf_error(c, f, section, "expected a section, found %s", found(n));
    int64_t count = 0;
    for (const at_node *k = n->child; k; k = k->next) count++;
    at_conf *owner = (at_conf *)(uintptr_t)f; /* the array lives as long as the conf */
    if (!at_reserve(c, &owner->lists, &owner->cap_lists, f->n_lists + 1, sizeof *f->lists))
        return c->status;
    out->item = at_calloc(c, (size_t)count, sizeof *out->item);
    if (!out->item) return c->status;
    for (const at_node *k = n->child; k; k = k->next) out->item[out->n++] = k->key;
    owner->lists[owner->n_lists++] = *out;
    return AT_OK;
}

at_status at_conf_error(at_ctx *c, const at_conf *f, const char *path, const char *fmt, ...) {
    char what[AT_MESSAGE_MAX], place[AT_PLACE_MAX];
    va_list ap;
    va_start(ap, fmt);
    (void)vsnprintf(what, sizeof what, fmt, ap);
    va_end(ap);
    const at_node *n = at_node_find(f->root, path, false);
    if (n)
        at_node_place(f, n, false, place);
    else
        (void)snprintf(place, sizeof place, "%.300s", f->name);
    return at_error(c, AT_CONFIG, "%s: `%.200s`: %.400s", place, path, what);
}
