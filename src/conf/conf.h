/*
 * conf.h - recipes: YAML (and so JSON) text bound to typed C structs by tables of keys.
 *
 * A conf is a tree of scalars, each with the place it came from.  at_conf_bind reads a section into
 * a struct, applying defaults, types, ranges and choices.  at_conf_finish then refuses every key
 * that was not bound, naming file, line, column and the nearest known key.  The type of a plain
 * YAML scalar is the one its table asks for ("no" is a string where a string is asked for).
 */
#ifndef AT_CONF_H
#define AT_CONF_H
#include "base/ctx.h"

typedef enum at_key_kind {
    AT_KEY_INT,     /* int64_t                                                     */
    AT_KEY_REAL,    /* double                                                      */
    AT_KEY_BOOL,    /* bool: true/false/yes/no/on/off                              */
    AT_KEY_STRING,  /* char *, owned by the conf                                   */
    AT_KEY_CHOICE,  /* int: index into `choices` ("a|b|c")                         */
    AT_KEY_STRINGS, /* at_strings: a list, or one scalar taken as a list of one   */
    AT_KEY_INTS     /* at_ints: a list of whole numbers, each in the range         */
} at_key_kind;

typedef struct at_strings {
    char **item; /* owned by the conf */
    int64_t n;
} at_strings;

typedef struct at_ints {
    int64_t *item; /* owned by the conf */
    int64_t n;
} at_ints;

typedef struct at_key {
    const char *name; /* within the section                                   */
    at_key_kind kind;
    size_t offset;        /* in the struct                                        */
    const char *fallback; /* default as text; NULL: required; "" with STRING: NULL stored, with
                             STRINGS and INTS: an empty list                      */
    double lo, hi;        /* range of numbers, both 0: any; hi may be INFINITY    */
    const char *choices;  /* CHOICE only                                          */
    const char *help;
} at_key; /* tables end with a row whose name is NULL             */

typedef struct at_conf at_conf;

at_status at_conf_read(at_ctx *c, const char *path, at_conf **out);
at_status at_conf_parse(at_ctx *c, const char *name, const char *text, size_t bytes, at_conf **out);
void at_conf_close(at_conf *f);
/** Overrides a value: "a.b=value", where value is YAML, or nothing for the default.  Before the
    first bind.  origin is shown in messages: "option --set", "environment ARTEL_...".  AT_ARG when
    it is no assignment. */
at_status at_conf_set(at_ctx *c, at_conf *f, const char *assignment, const char *origin);
/** Whether there is such a key or section ("distill", "model.init"). */
bool at_conf_has(const at_conf *f, const char *path);
/** Reads a section into *out.  "" is the top level; "a.b" is b inside of a; a section that is
    absent gives all defaults. */
at_status at_conf_bind(at_ctx *c, at_conf *f, const char *section, const at_key *keys, void *out);
/** Number of items in a list of mappings ("experts"), which are the sections "experts.0", ... */
int64_t at_conf_count(const at_conf *f, const char *section);
/** Names of the keys of a mapping, in order; borrowed. */
at_status at_conf_keys(at_ctx *c, const at_conf *f, const char *section, at_strings *out);
/** AT_CONFIG for the first key that no table has: "file:line:col: unknown key ..., did you mean
    ...?" */
at_status at_conf_finish(at_ctx *c, at_conf *f);
/** AT_CONFIG with the place of the key in front: for a value that is refused after binding. */
at_status at_conf_error(at_ctx *c, const at_conf *f, const char *path, const char *fmt, ...)
    __attribute__((format(printf, 4, 5)));
/** The effective recipe as YAML, every bound key with its value; with origins as comments when
    asked.  From the heap. */
char *at_conf_dump(at_ctx *c, const at_conf *f, bool origins);

#endif
