/*
 * conf_yaml.c - builds the tree from libyaml's events.  Anchors, aliases, tags and a second
 * document are refused, as are keys given twice and trees that are too deep.
 */
#include "conf/conf_internal.h"
#include <string.h>
#include <yaml.h>

typedef struct reader {
    at_ctx *c;
    const char *name, *origin;
    yaml_parser_t parser;
} reader;

static at_status refuse(const reader *r, yaml_mark_t at, const char *what) {
    if (r->origin) return at_error(r->c, AT_CONFIG, "%s: %s", r->origin, what);
    return at_error(r->c, AT_CONFIG, "%s:%zu:%zu: %s", r->name, at.line + 1, at.column + 1, what);
}

static at_status syntax_error(const reader *r) {
    const yaml_parser_t *p = &r->parser;
    char what[300];
    if (p->error == YAML_MEMORY_ERROR)
        return at_error(r->c, AT_OOM, "%s: no memory to read it", r->name);
    if (p->error == YAML_READER_ERROR)
        return at_error(r->c, AT_FORMAT, "%s: byte %zu: %s", r->origin ? r->origin : r->name,
                        p->problem_offset, p->problem ? p->problem : "not text");
    (void)snprintf(what, sizeof what, "not YAML: %s%s%s", p->problem ? p->problem : "unreadable",
                   p->context ? ", " : "", p->context ? p->context : "");
    return refuse(r, p->problem_mark, what);
}

static at_status next(reader *r, yaml_event_t *e) {
    return yaml_parser_parse(&r->parser, e) ? AT_OK : syntax_error(r);
}

/* Text of a scalar event from the heap. */
static at_status take_text(reader *r, const yaml_event_t *e, char **out) {
    const char *s = (const char *)e->data.scalar.value;
    const size_t n = e->data.scalar.length;
    if (memchr(s, 0, n)) return refuse(r, e->start_mark, "a NUL character in a value");
    *out = at_malloc(r->c, n + 1);
    if (!*out) return r->c->status;
    memcpy(*out, s, n);
    (*out)[n] = 0;
    return AT_OK;
}

static at_status check_plain_data(const reader *r, const yaml_event_t *e) {
    const yaml_char_t *anchor = NULL, *tag = NULL;
    switch (e->type) {
    case YAML_ALIAS_EVENT: return refuse(r, e->start_mark, "aliases (*name) are not supported");
    case YAML_SCALAR_EVENT:
        anchor = e->data.scalar.anchor;
        tag = e->data.scalar.tag;
        break;
    case YAML_SEQUENCE_START_EVENT:
        anchor = e->data.sequence_start.anchor;
        tag = e->data.sequence_start.tag;
        break;
    case YAML_MAPPING_START_EVENT:
        anchor = e->data.mapping_start.anchor;
        tag = e->data.mapping_start.tag;
        break;
    default: break;
    }
    if (anchor) return refuse(r, e->start_mark, "anchors (&name) are not supported");
    return tag ? refuse(r, e->start_mark, "tags (!name) are not supported") : AT_OK;
}

static at_status read_node(reader *r, const yaml_event_t *e, int depth, at_node **out);

static at_status read_item(reader *r, const yaml_event_t *e, int depth, at_node *list) {
    at_node *n = NULL;
    const at_status s = read_node(r, e, depth, &n);
    if (!s) at_node_append(list, n);
    return s;
}

/* `e` is the key; the value follows. */
static at_status read_pair(reader *r, const yaml_event_t *e, int depth, at_node *map) {
    char what[300], *key = NULL;
    if (e->type != YAML_SCALAR_EVENT || e->data.scalar.anchor || e->data.scalar.tag)
        return refuse(r, e->start_mark, "a key must be a plain word");
    at_status s = take_text(r, e, &key);
    if (s) return s;
    const at_node *twin = at_node_child(map, key, strlen(key));
    if (twin) {
        (void)snprintf(what, sizeof what, "key `%.100s` is given twice (first on line %d)", key,
                       twin->key_line);
        at_free(key);
        return refuse(r, e->start_mark, what);
    }
    yaml_event_t value;
    at_node *n = NULL;
    s = next(r, &value);
    if (!s) {
        s = read_node(r, &value, depth, &n);
        yaml_event_delete(&value);
    }
    if (s) {
        at_free(key);
        return s;
    }
    n->key = key;
    n->key_line = (int)e->start_mark.line + 1;
    n->key_column = (int)e->start_mark.column + 1;
    at_node_append(map, n);
    return AT_OK;
}

static at_status read_children(reader *r, int depth, at_node *n) {
    at_status s = AT_OK;
    for (bool more = true; more && !s;) {
        yaml_event_t e;
        s = next(r, &e);
        if (s) break;
        if (e.type == YAML_SEQUENCE_END_EVENT || e.type == YAML_MAPPING_END_EVENT)
            more = false;
        else if (n->kind == AT_NODE_LIST)
            s = read_item(r, &e, depth, n);
        else
            s = read_pair(r, &e, depth, n);
        yaml_event_delete(&e);
    }
    return s;
}

static at_status read_node(reader *r, const yaml_event_t *e, int depth, at_node **out) {
    at_status s = check_plain_data(r, e);
    if (s) return s;
    if (depth > AT_CONF_DEPTH_MAX) return refuse(r, e->start_mark, "nested deeper than 32 levels");
    at_node *n = at_node_new(r->c, e->type == YAML_MAPPING_START_EVENT    ? AT_NODE_MAP
                                   : e->type == YAML_SEQUENCE_START_EVENT ? AT_NODE_LIST
                                                                          : AT_NODE_SCALAR);
    if (!n) return r->c->status;
    n->line = (int)e->start_mark.line + 1;
    n->column = (int)e->start_mark.column + 1;
    if (r->origin) {
        n->origin = at_strdup(r->c, r->origin);
        if (!n->origin) s = r->c->status;
    }
    if (!s && n->kind == AT_NODE_SCALAR) {
        n->plain = e->data.scalar.style == YAML_PLAIN_SCALAR_STYLE;
        s = take_text(r, e, &n->text);
    } else if (!s) {
        s = read_children(r, depth + 1, n);
    }
    if (s)
        at_node_free(n);
    else
        *out = n;
    return s;
}

/* The whole stream: nothing, or one document. */
static at_status read_stream(reader *r, at_node **out) {
    at_status s = AT_OK;
    for (bool more = true; more && !s;) {
        yaml_event_t e;
        s = next(r, &e);
        if (s) break;
        if (e.type == YAML_STREAM_END_EVENT)
            more = false;
        else if (e.type == YAML_DOCUMENT_START_EVENT && *out)
            s = refuse(r, e.start_mark, "a second document: one is expected");
        else if (e.type != YAML_STREAM_START_EVENT && e.type != YAML_DOCUMENT_START_EVENT &&
                 e.type != YAML_DOCUMENT_END_EVENT)
            s = read_node(r, &e, 1, out);
        yaml_event_delete(&e);
    }
    return s;
}

at_status at_yaml_read(at_ctx *c, const char *name, const char *text, size_t bytes,
                       const char *origin, at_node **out) {
    *out = NULL;
    reader r = {.c = c, .name = name, .origin = origin};
    if (bytes > AT_CONF_BYTES_MAX)
        return at_error(c, AT_FORMAT, "%s: %zu bytes, a recipe has at most %d", name, bytes,
                        AT_CONF_BYTES_MAX);
    if (!yaml_parser_initialize(&r.parser))
        return at_error(c, AT_OOM, "%s: no memory to read it", name);
    yaml_parser_set_input_string(&r.parser, (const unsigned char *)text, bytes);
    yaml_parser_set_encoding(&r.parser, YAML_UTF8_ENCODING);
    const at_status s = read_stream(&r, out);
    yaml_parser_delete(&r.parser);
    if (s) {
        at_node_free(*out);
        *out = NULL;
    }
    return s;
}
