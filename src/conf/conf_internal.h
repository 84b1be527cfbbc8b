/*
 * conf_internal.h - the tree of a conf, shared by reading (conf_yaml.c), looking up (conf.c),
 * binding (conf_bind.c), checking for unknown keys (conf_unknown.c) and printing (conf_dump.c).
 */
#ifndef AT_CONF_INTERNAL_H
#define AT_CONF_INTERNAL_H
#include "base/file.h"
#include "base/text.h"
#include "conf/conf.h"

enum { AT_CONF_DEPTH_MAX = 32, AT_CONF_BYTES_MAX = 1 << 20, AT_CONF_PATH_MAX = 512 };

typedef enum at_node_kind { AT_NODE_SCALAR, AT_NODE_MAP, AT_NODE_LIST } at_node_kind;

typedef struct at_node {
    at_node_kind kind;
    bool plain;               /* a scalar without quotes                                 */
    bool used;                /* was bound or looked up                                  */
    bool wants_list;          /* asked for as a list, but it is none                     */
    char *key;                /* its name in a map; NULL in a list                       */
    char *text;               /* of a scalar                                             */
    char *origin;             /* "option --set"; NULL: the file                          */
    int line, column;         /* of the value, from 1                                    */
    int key_line, key_column; /* of the key                                              */
    struct at_node *child, *last, *next;
} at_node;

/* A bound key: one line of the effective recipe. */
typedef struct at_bound {
    char *path;   /* "train.lr"                                    */
    char *value;  /* as YAML                                       */
    char *origin; /* "r.yaml:3:5", "option --set", "default"       */
} at_bound;

struct at_conf {
    char *name;
    at_node *root; /* a map */
    at_bound *bound;
    int64_t n_bound, cap_bound;
    at_list known; /* paths of sections and keys that binds asked for             */
    at_list owned; /* strings given out by binds                                  */
    at_strings *lists;
    int64_t n_lists, cap_lists; /* arrays given out by binds, their items in owned */
    at_ints *numbers;
    int64_t n_numbers, cap_numbers;
};

/** One YAML document as a tree; origin NULL: name is a file. */
at_status at_yaml_read(at_ctx *c, const char *name, const char *text, size_t bytes,
                       const char *origin, at_node **out);

at_node *at_node_new(at_ctx *c, at_node_kind kind);
void at_node_free(at_node *n);
void at_node_append(at_node *parent, at_node *child);
/** Child by name, or by index in a list; NULL when there is none. */
at_node *at_node_child(const at_node *n, const char *name, size_t bytes);
/** By path from n; NULL when there is none.  mark: it and all above it count as used. */
at_node *at_node_find(at_node *n, const char *path, bool mark);
/** Nothing after the colon, ~ or null. */
bool at_node_is_null(const at_node *n);
/** "a list", "a section" or "`text`". */
const char *at_node_says(const at_node *n, char *buffer, size_t bytes);

/** [+-] digits [. digits] [e [+-] digits]; whole: digits alone. */
bool at_yaml_number(const char *s, bool *whole);
/** Whether two words differ only in the case of ASCII letters. */
bool at_yaml_same_word(const char *a, const char *b);
/** Writes a string so that every YAML reader takes it for this string: plain, or in double
    quotes. */
void at_yaml_show(at_text *t, const char *s);

enum { AT_PLACE_MAX = 320 };
/** Where a value (or its key) was given: "r.yaml:3:5", or its origin. */
void at_node_place(const at_conf *f, const at_node *n, bool of_key, char place[AT_PLACE_MAX]);

#endif
