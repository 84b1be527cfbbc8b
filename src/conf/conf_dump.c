/*
 * conf_dump.c - prints the effective recipe: bound keys, in the order of binding, are made into a
 * tree again.  A section whose keys are 0, 1, 2, ... is a list.
 */
#include "conf/conf_internal.h"
#include <string.h>

/* Adds one bound key to the tree, with the sections above it. */
static at_status insert(at_ctx *c, at_node *root, const at_bound *b) {
    at_node *n = root;
    for (const char *s = b->path; *s;) {
        const size_t bytes = strcspn(s, ".");
        at_node *k = at_node_child(n, s, bytes);
        if (!k) {
            k = at_node_new(c, AT_NODE_MAP);
            if (!k) return c->status;
            at_node_append(n, k);
            k->key = at_malloc(c, bytes + 1);
            if (!k->key) return c->status;
            memcpy(k->key, s, bytes);
            k->key[bytes] = 0;
        }
        n = k;
        s += bytes + (s[bytes] == '.');
    }
    n->text = at_strdup(c, b->value);
    n->origin = at_strdup(c, b->origin);
    return n->text && n->origin ? AT_OK : c->status;
}

static bool is_list(const at_node *n) {
    int64_t i = 0;
    for (const at_node *k = n->child; k; k = k->next, i++) {
        char want[24];
        (void)snprintf(want, sizeof want, "%lld", (long long)i);
        if (strcmp(k->key, want) != 0) return false;
    }
    return i > 0;
}

static void print(at_text *t, const at_node *n, int depth, bool origins) {
    const bool list = is_list(n);
    for (const at_node *k = n->child; k; k = k->next) {
        at_textf(t, "%*s", 2 * depth, "");
        if (list) {
            at_text_add(t, "-");
        } else {
            at_yaml_show(t, k->key);
            at_text_add(t, ":");
        }
        if (k->text) {
            at_textf(t, " %s", k->text);
            if (origins) at_textf(t, "  # %s", k->origin);
        }
        at_text_add(t, "\n");
        if (!k->text) print(t, k, depth + 1, origins);
    }
}

char *at_conf_dump(at_ctx *c, const at_conf *f, bool origins) {
    at_node *root = at_node_new(c, AT_NODE_MAP);
    if (!root) return NULL;
    at_status s = AT_OK;
    for (int64_t i = 0; i < f->n_bound && !s; i++) s = insert(c, root, &f->bound[i]);
    char *text = NULL;
    if (!s) {
        at_text t;
        at_text_init(&t, c, 0);
        print(&t, root, 0, origins);
        text = at_text_take(&t);
        at_text_close(&t);
    }
    at_node_free(root);
    return text;
}
