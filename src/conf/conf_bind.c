/*
 * conf_bind.c - converts text of the tree to typed fields.  Defaults are converted the same way as
 * values, so that a table cannot have a default that it would refuse itself.
 */
#include "base/nearest.h"
#include "conf/conf_internal.h"
#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

/* One key being bound. */
typedef struct binding {
    at_ctx *c;
    at_conf *f;
    const at_key *key;
    const char *path;    /* "train.lr"               */
    const at_node *node; /* NULL: the default        */
    at_text shown;       /* the value as YAML        */
    void *to;
} binding;

static at_status wrong(const binding *b, const char *expected, const char *text) {
    char place[AT_PLACE_MAX], says[120];
    if (!b->node)
        return at_error(b->c, AT_ARG, "default of `%s`: expected %s, found `%s`", b->path, expected,
                        text);
    at_node_place(b->f, b->node, false, place);
    if (b->node->kind == AT_NODE_SCALAR) (void)snprintf(says, sizeof says, "`%.80s`", text);
    return at_error(
        b->c, AT_CONFIG, "%s: `%.200s`: expected %s, found %s", place, b->path, expected,
        b->node->kind == AT_NODE_SCALAR ? says : at_node_says(b->node, says, sizeof says));
}

/* ---- numbers ------------------------------------------------------------------------------ */

static void expected_number(const at_key *k, char *text, size_t bytes) {
    const char *what = k->kind == AT_KEY_REAL ? "a number" : "a whole number";
    if (k->lo == 0 && k->hi == 0)
        (void)snprintf(text, bytes, "%s", what);
    else if (isinf(k->hi))
        (void)snprintf(text, bytes, "%s of at least %.15g", what, k->lo);
    else
        (void)snprintf(text, bytes, "%s in [%.15g, %.15g]", what, k->lo, k->hi);
}

static at_status put_number(binding *b, const char *text) {
    const at_key *k = b->key;
    char expected[120];
    bool whole = false;
    expected_number(k, expected, sizeof expected);
    if (strlen(text) > 60 || !at_yaml_number(text, &whole)) return wrong(b, expected, text);
    const double d = strtod(text, NULL);
    const bool limited = k->lo != 0 || k->hi != 0;
    if (!isfinite(d) || (limited && (d < k->lo || d > k->hi))) return wrong(b, expected, text);
    if (k->kind == AT_KEY_REAL) {
        memcpy(b->to, &d, sizeof d);
        char shown[40];
        for (int digits_kept = 6; digits_kept <= 17; digits_kept++) {
            (void)snprintf(shown, sizeof shown, "%.*g", digits_kept, d);
            if (!(strtod(shown, NULL) < d) && !(strtod(shown, NULL) > d)) break;
        }
        at_text_add(&b->shown, shown);
        return AT_OK;
    }
    int64_t i;
    if (whole) { /* not through a double: all 63 bits are kept */
        errno = 0;
        i = strtoll(text, NULL, 10);
        if (errno) return wrong(b, expected, text);
    } else {
        if (fabs(d) > 0x1p53 || d != floor(d)) return wrong(b, expected, text);
        i = (int64_t)d;
    }
    memcpy(b->to, &i, sizeof i);
    at_textf(&b->shown, "%lld", (long long)i);
    return AT_OK;
}

/* ---- words -------------------------------------------------------------------------------- */

static at_status put_bool(binding *b, const char *text) {
    static const char *const words[] = {"false", "true", "no", "yes", "off", "on"};
    for (int i = 0; i < 6; i++) {
        if (!at_yaml_same_word(text, words[i])) continue;
        const bool v = i & 1;
        memcpy(b->to, &v, sizeof v);
        at_text_add(&b->shown, v ? "true" : "false");
        return AT_OK;
    }
    return wrong(b, "true or false", text);
}

/* Index of `text` among "a|b|c", or -1; the names for a message go to `all`. */
static int choice_index(const char *choices, const char *text, at_text *all) {
    int n = 0, found = -1;
    for (const char *s = choices; *s; n++) {
        const size_t len = strcspn(s, "|");
        if (strlen(text) == len && !memcmp(text, s, len)) found = n;
        at_text_add(all, n ? ", " : "");
        at_text_bytes(all, s, len);
        s += len + (s[len] == '|');
    }
    return found;
}

static at_status put_choice(binding *b, const char *text) {
    at_text all;
    at_text_init(&all, b->c, 0);
    at_text_add(&all, "one of ");
    const int i = choice_index(b->key->choices, text, &all);
    char *expected = at_text_take(&all);
    if (!expected) return b->c->status;
    at_status s = AT_OK;
    if (i < 0) {
        s = wrong(b, expected, text);
    } else {
        memcpy(b->to, &i, sizeof i);
        at_yaml_show(&b->shown, text);
    }
    at_free(expected);
    return s;
}

/* A copy that lives as long as the conf. */
static char *keep(const binding *b, const char *s) {
    return at_list_add(b->c, &b->f->owned, s) ? NULL : b->f->owned.item[b->f->owned.n - 1];
}

static at_status put_string(binding *b, const char *text) {
    char *s = NULL;
    const bool absent = !b->node && !*text;
    if (!absent && !(s = keep(b, text))) return b->c->status;
    memcpy(b->to, &s, sizeof s);
    if (absent)
        at_text_add(&b->shown, "null");
    else
        at_yaml_show(&b->shown, text);
    return AT_OK;
}

static at_status add_string(binding *b, at_strings *v, const char *text) {
    if (!(v->item[v->n] = keep(b, text))) return b->c->status;
    if (v->n++) at_text_add(&b->shown, ", ");
    at_yaml_show(&b->shown, text);
    return AT_OK;
}

static at_status put_strings(binding *b, const char *text) {
    at_conf *f = b->f;
    const bool list = b->node && b->node->kind == AT_NODE_LIST;
    int64_t n = !list && *text != 0;
    if (list)
        for (const at_node *k = b->node->child; k; k = k->next) n++;
    if (!at_reserve(b->c, &f->lists, &f->cap_lists, f->n_lists + 1, sizeof *f->lists))
        return b->c->status;
    at_strings *v = &f->lists[f->n_lists];
    *v = (at_strings){.item = at_calloc(b->c, (size_t)n, sizeof *v->item)};
    if (!v->item) return b->c->status;
    f->n_lists++;
    at_status s = AT_OK;
    at_text_add(&b->shown, "[");
    if (!list && n) s = add_string(b, v, text);
    for (at_node *k = list ? b->node->child : NULL; k && !s; k = k->next) {
        k->used = true;
        if (k->kind != AT_NODE_SCALAR) return wrong(b, "a list of words", "");
        s = add_string(b, v, k->text);
    }
    at_text_add(&b->shown, "]");
    memcpy(b->to, v, sizeof *v);
    return s;
}

static at_status put_ints(binding *b) {
    at_conf *f = b->f;
    int64_t n = 0;
    for (const at_node *k = b->node ? b->node->child : NULL; k; k = k->next) n++;
    if (!at_reserve(b->c, &f->numbers, &f->cap_numbers, f->n_numbers + 1, sizeof *f->numbers))
        return b->c->status;
    at_ints *v = &f->numbers[f->n_numbers];
    *v = (at_ints){.item = at_calloc(b->c, (size_t)n, sizeof *v->item)};
    if (!v->item) return b->c->status;
    f->n_numbers++;
    at_status s = AT_OK;
    at_text_add(&b->shown, "[");
    for (at_node *k = n ? b->node->child : NULL; k && !s; k = k->next) {
        k->used = true;
        if (k->kind != AT_NODE_SCALAR) return wrong(b, "a list of whole numbers", "");
        if (v->n) at_text_add(&b->shown, ", ");
        binding one = *b;
        one.node = k;
        one.to = &v->item[v->n++];
        s = put_number(&one, k->text);
        b->shown = one.shown;
    }
    at_text_add(&b->shown, "]");
    memcpy(b->to, v, sizeof *v);
    return s;
}

/* ---- keys and sections -------------------------------------------------------------------- */

static at_status put(binding *b) {
    const at_key *k = b->key;
    const char *text = b->node ? b->node->text : k->fallback;
    if (k->kind == AT_KEY_STRINGS && b->node && b->node->kind == AT_NODE_MAP)
        return wrong(b, "a list of words", "");
    if (k->kind == AT_KEY_INTS && b->node && b->node->kind != AT_NODE_LIST)
        return wrong(b, "a list of whole numbers", text);
    if (k->kind != AT_KEY_STRINGS && k->kind != AT_KEY_INTS && b->node &&
        b->node->kind != AT_NODE_SCALAR)
        return wrong(b,
                     k->kind == AT_KEY_BOOL     ? "true or false"
                     : k->kind == AT_KEY_STRING ? "a word"
                     : k->kind == AT_KEY_CHOICE ? "one word"
                                                : "a number",
                     "");
    switch (k->kind) {
    case AT_KEY_INT:
    case AT_KEY_REAL: return put_number(b, text);
    case AT_KEY_BOOL: return put_bool(b, text);
    case AT_KEY_STRING: return put_string(b, text);
    case AT_KEY_CHOICE: return put_choice(b, text);
    case AT_KEY_STRINGS: return put_strings(b, text);
    case AT_KEY_INTS: return put_ints(b);
    }
    return at_error(b->c, AT_ARG, "`%s`: unknown kind of key %d", b->path, (int)k->kind);
}

/* Records the value for the effective recipe; a key that is bound again replaces its old record. */
static at_status record(binding *b) {
    at_conf *f = b->f;
    char place[AT_PLACE_MAX] = "default";
    if (b->node) at_node_place(f, b->node, true, place);
    char *value = at_text_take(&b->shown), *origin = at_strdup(b->c, place);
    int64_t i = 0;
    while (i < f->n_bound && strcmp(f->bound[i].path, b->path) != 0) i++;
    at_status s = value && origin ? AT_OK : b->c->status;
    if (!s && i == f->n_bound) {
        char *path = at_strdup(b->c, b->path);
        if (path && at_reserve(b->c, &f->bound, &f->cap_bound, i + 1, sizeof *f->bound))
            f->bound[f->n_bound++] = (at_bound){.path = path};
        else {
            at_free(path);
            s = b->c->status;
        }
    }
    if (s) {
        at_free(value);
        at_free(origin);
        return s;
    }
    at_free(f->bound[i].value);
    at_free(f->bound[i].origin);
    f->bound[i].value = value;
    f->bound[i].origin = origin;
    return AT_OK;
}

static bool in_table(const at_key *keys, const char *name) {
    for (; keys->name; keys++)
        if (!strcmp(keys->name, name)) return true;
    return false;
}

/* The error for a required key that is missing; names a key that may be a misspelling of it. */
static at_status missing(const binding *b, const at_key *keys, const at_node *section) {
    for (const at_node *n = section ? section->child : NULL; n; n = n->next) {
        if (n->used || in_table(keys, n->key) || !at_nearest(n->key, &b->key->name, 1)) continue;
        char place[AT_PLACE_MAX];
        at_node_place(b->f, n, true, place);
        return at_error(b->c, AT_CONFIG, "%s: unknown key `%.*s%.200s`, did you mean `%.200s`?",
                        place, (int)(strlen(b->path) - strlen(b->key->name)), b->path, n->key,
                        b->path);
    }
    return at_error(b->c, AT_CONFIG, "%s: the key `%s` is missing%s%s", b->f->name, b->path,
                    b->key->help ? ": " : "", b->key->help ? b->key->help : "");
}

static at_status bind_key(binding *b, const at_key *keys, at_node *section) {
    at_node *n = section ? at_node_child(section, b->key->name, strlen(b->key->name)) : NULL;
    if (n) n->used = true;
    b->node = n && !at_node_is_null(n) ? n : NULL;
    if (!b->node && !b->key->fallback) return missing(b, keys, section);
    at_text_init(&b->shown, b->c, 0);
    at_status s = put(b);
    if (!s) s = record(b);
    at_text_close(&b->shown);
    return s;
}

at_status at_conf_bind(at_ctx *c, at_conf *f, const char *section, const at_key *keys, void *out) {
    at_node *n = at_node_find(f->root, section, true);
    if (n && at_node_is_null(n)) n = NULL;
    if (n && n->kind != AT_NODE_MAP) {
        char says[120];
        return at_conf_error(c, f, section, "expected a section (key: value), found %s",
                             at_node_says(n, says, sizeof says));
    }
    at_status s = *section ? at_list_add(c, &f->known, section) : AT_OK;
    for (const at_key *k = keys; k->name && !s; k++) {
        char path[AT_CONF_PATH_MAX];
        (void)snprintf(path, sizeof path, "%s%s%s", section, *section ? "." : "", k->name);
        s = at_list_add(c, &f->known, path);
    }
    for (const at_key *k = keys; k->name && !s; k++) {
        char path[AT_CONF_PATH_MAX];
        (void)snprintf(path, sizeof path, "%s%s%s", section, *section ? "." : "", k->name);
        binding b = {.c = c, .f = f, .key = k, .path = path, .to = (char *)out + k->offset};
        s = bind_key(&b, keys, n);
    }
    return s;
}
