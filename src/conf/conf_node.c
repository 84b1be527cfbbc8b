/* conf_node.c - the tree: making, finding by path, naming places. */
#include "conf/conf_internal.h"
#include <stdlib.h>
#include <string.h>

at_node *at_node_new(at_ctx *c, at_node_kind kind) {
    at_node *n = at_calloc(c, 1, sizeof *n);
    if (n) n->kind = kind;
    return n;
}

void at_node_free(at_node *n) {
    if (!n) return;
    for (at_node *k = n->child, *next; k; k = next) {
        next = k->next;
        at_node_free(k); /* no deeper than AT_CONF_DEPTH_MAX */
    }
    at_free(n->key);
    at_free(n->text);
    at_free(n->origin);
    at_free(n);
}

void at_node_append(at_node *parent, at_node *child) {
    if (parent->last)
        parent->last->next = child;
    else
        parent->child = child;
    parent->last = child;
}

/* Digits only: an index; -1 otherwise. */
static int64_t index_of(const char *s, size_t n) {
    int64_t i = 0;
    if (n == 0 || n > 9) return -1;
    for (size_t k = 0; k < n; k++) {
        if (s[k] < '0' || s[k] > '9') return -1;
        i = 10 * i + (s[k] - '0');
    }
    return i;
}

at_node *at_node_child(const at_node *n, const char *name, size_t bytes) {
    int64_t i = n->kind == AT_NODE_LIST ? index_of(name, bytes) : 0;
    if (n->kind == AT_NODE_SCALAR || i < 0) return NULL;
    for (at_node *k = n->child; k; k = k->next) {
        if (n->kind == AT_NODE_LIST && i-- == 0) return k;
        if (k->key && strlen(k->key) == bytes && !memcmp(k->key, name, bytes)) return k;
    }
    return NULL;
}

at_node *at_node_find(at_node *n, const char *path, bool mark) {
    while (n && *path) {
        const size_t bytes = strcspn(path, ".");
        n = at_node_child(n, path, bytes);
        if (n && mark) n->used = true;
        path += bytes + (path[bytes] == '.');
    }
    return n;
}

bool at_node_is_null(const at_node *n) {
    return n->kind == AT_NODE_SCALAR && n->plain &&
           (!*n->text || !strcmp(n->text, "~") || !strcmp(n->text, "null"));
}

const char *at_node_says(const at_node *n, char *buffer, size_t bytes) {
    if (n->kind == AT_NODE_LIST) return "a list";
    if (n->kind == AT_NODE_MAP) return "a section";
    if (at_node_is_null(n)) return "nothing";
    (void)snprintf(buffer, bytes, "`%.80s`", n->text);
    return buffer;
}

void at_node_place(const at_conf *f, const at_node *n, bool of_key, char place[AT_PLACE_MAX]) {
    const bool key = of_key && n->key;
    if (n->origin)
        (void)snprintf(place, AT_PLACE_MAX, "%.300s", n->origin);
    else
        (void)snprintf(place, AT_PLACE_MAX, "%.280s:%d:%d", f->name, key ? n->key_line : n->line,
                       key ? n->key_column : n->column);
}
