/*
 * opt.c - options described by a table, parsed by getopt_long.  Values are converted the same way
 * whether they come from the default, the environment or an option.
 */
#include "opt.h"
#include "artel.h"
#include "opt_internal.h"
#include "ui.h"
#include <ctype.h>
#include <errno.h>
#include <getopt.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { OPTIONS_MAX = 64, FIRST = 256 }; /* FIRST: above every letter */

/* ---- values ------------------------------------------------------------------------------- */

void opt_list_free(opt_list *l) {
    for (int i = 0; i < l->n; i++) {
        free(l->item[i]);
        if (l->from) free(l->from[i]);
    }
    free(l->item);
    free(l->from);
    *l = (opt_list){0};
}

bool opt_list_split(opt_list *l) {
    opt_list out = {0};
    for (int i = 0; i < l->n; i++)
        for (const char *p = l->item[i]; *p;) {
            const size_t n = strcspn(p, ",");
            char **grown = realloc(out.item, (size_t)(out.n + 1) * sizeof *grown);
            if (grown) out.item = grown;
            char *name = grown ? malloc(n + 1) : NULL;
            if (!name) {
                opt_list_free(&out);
                return false;
            }
            memcpy(name, p, n);
            name[n] = 0;
            out.item[out.n++] = name;
            p += n + (p[n] == ',');
        }
    opt_list_free(l);
    *l = out;
    return true;
}

static char *copy(const char *s, size_t n) {
    char *p = malloc(n + 1);
    if (!p) return NULL;
    memcpy(p, s, n);
    p[n] = 0;
    return p;
}

static bool list_add(opt_list *l, const char *s, size_t n, const char *from) {
    char **item = realloc(l->item, (size_t)(l->n + 1) * sizeof *item);
    if (item) l->item = item;
    char **origin = realloc(l->from, (size_t)(l->n + 1) * sizeof *origin);
    if (origin) l->from = origin;
    if (!item || !origin) return false;
    char *value = copy(s, n), *where = copy(from, strlen(from));
    if (!value || !where) {
        free(value);
        free(where);
        return false;
    }
    item[l->n] = value;
    origin[l->n++] = where;
    return true;
}

/* "1/0, true/false, yes/no, on/off"; -1 when it is none of them. */
static int truth(const char *s) {
    static const char *const words[] = {"0", "1", "false", "true", "no", "yes", "off", "on"};
    for (int i = 0; i < 8; i++)
        if (!strcmp(s, words[i])) return i & 1;
    return *s ? -1 : 0;
}

static int put_number(const opt_verb *v, const opt *o, const char *s, const char *from) {
    char *end;
    errno = 0;
    const double d = strtod(s, &end);
    const bool whole = o->kind == OPT_INT;
    if (end == s || *end || !isfinite(d) || strpbrk(s, "xX \t\n") ||
        (whole && (d != floor(d) || fabs(d) > 9007199254740992.0)))
        return ui_usage(v->name, "%s: expected a %snumber, found `%s`", from, whole ? "whole " : "",
                        s);
    if ((o->lo != 0 || o->hi != 0) && (d < o->lo || d > o->hi))
        return ui_usage(v->name, "%s: expected a %snumber in [%.16g, %.16g], found `%s`", from,
                        whole ? "whole " : "", o->lo, o->hi, s);
    if (whole)
        *(int64_t *)o->to = (int64_t)d;
    else
        *(double *)o->to = d;
    return -1;
}

/* -1: stored. */
static int put(const opt_verb *v, const opt *o, const char *s, const char *from) {
    if (o->kind == OPT_INT || o->kind == OPT_REAL) return put_number(v, o, s, from);
    if (o->kind == OPT_FLAG) {
        const int yes = truth(s);
        if (yes < 0) return ui_usage(v->name, "%s: expected yes or no, found `%s`", from, s);
        *(bool *)o->to = yes > 0;
        return -1;
    }
    if (o->kind == OPT_STRING) {
        *(const char **)o->to = s;
        return -1;
    }
    return list_add(o->to, s, strlen(s), from) ? -1 : ui_fail(v->name, "out of memory");
}

static int put_environment(const opt_verb *v, const opt *o, bool *given) {
    char name[64], from[96];
    opt_env_name(o, name);
    const char *s = getenv(name);
    if (!s || (!*s && o->kind != OPT_STRING)) return -1;
    (void)snprintf(from, sizeof from, "environment %s", name);
    *given = true;
    if (o->kind != OPT_LIST && o->kind != OPT_APPEND) return put(v, o, s, from);
    while (*s) {
        const size_t n = strcspn(s, ";\n");
        if (n && !list_add(o->to, s, n, from)) return ui_fail(v->name, "out of memory");
        s += n + (s[n] != 0);
    }
    return -1;
}

/* ---- the command line --------------------------------------------------------------------- */

typedef struct parse {
    const opt_verb *verb;
    struct option longs[OPTIONS_MAX + 2];
    char shorts[3 * OPTIONS_MAX + 4];
    bool given[OPTIONS_MAX], by_option[OPTIONS_MAX];
    int n;
} parse;

static void fill_getopt(parse *p) {
    char *s = p->shorts;
    *s++ = '-'; /* return arguments in order, even with POSIXLY_CORRECT     */
    *s++ = ':'; /* distinguish a missing value from an unknown option       */
    for (const opt *o = p->verb->table; o->name && p->n < OPTIONS_MAX; o++, p->n++) {
        const int has = o->kind == OPT_FLAG ? no_argument : required_argument;
        p->longs[p->n] = (struct option){o->name, has, NULL, FIRST + p->n};
        if (!o->letter) continue;
        *s++ = o->letter;
        if (has == required_argument) *s++ = ':';
    }
    p->longs[p->n] = (struct option){"help", no_argument, NULL, 'h'};
    *s++ = 'h';
    *s = 0;
}

static int unknown_option(const parse *p, const char *word) {
    const char *known[OPTIONS_MAX + 1];
    char name[128];
    for (int i = 0; i <= p->n; i++) known[i] = p->longs[i].name;
    const size_t dashes = strspn(word, "-");
    (void)snprintf(name, sizeof name, "%.*s", (int)strcspn(word + dashes, "="), word + dashes);
    const char *near = dashes > 1 ? artel_nearest(name, known, p->n + 1) : NULL;
    if (near)
        return ui_usage(p->verb->name, "unknown option `--%s`, did you mean `--%s`?", name, near);
    return ui_usage(p->verb->name, "unknown option `%s`", word);
}

static int which(const parse *p, int code) {
    if (code >= FIRST) return code - FIRST;
    for (int i = 0; i < p->n; i++)
        if (p->verb->table[i].letter == code) return i;
    return -1;
}

static int put_option(parse *p, int i, const char *value) {
    const opt *o = &p->verb->table[i];
    char from[96];
    (void)snprintf(from, sizeof from, "option --%s", o->name);
    if (o->kind == OPT_LIST && !p->by_option[i]) opt_list_free(o->to);
    p->given[i] = p->by_option[i] = true;
    return put(p->verb, o, o->kind == OPT_FLAG ? "1" : value, from);
}

/* Moves the arguments to the front of argv and counts them. */
static int read_options(parse *p, int argc, char **argv, int *n_args) {
    opterr = 0;
    optind = 0; /* glibc: start over */
    for (;;) {
        const int at = optind ? optind : 1;
        const int code = getopt_long(argc, argv, p->shorts, p->longs, NULL);
        if (code == -1) break;
        int rc = -1;
        if (code == 1)
            argv[(*n_args)++] = optarg;
        else if (code == 'h' && which(p, 'h') < 0)
            return opt_help(p->verb);
        else if (code == ':')
            rc = ui_usage(p->verb->name, "option `%s` needs a value", argv[optind - 1]);
        else if (code == '?')
            rc = unknown_option(p, argv[at < argc ? at : argc - 1]);
        else
            rc = put_option(p, which(p, code), optarg);
        if (rc >= 0) return rc;
    }
    while (optind < argc) argv[(*n_args)++] = argv[optind++]; /* after "--" */
    return -1;
}

static int check_complete(const parse *p, int n_args, char **argv) {
    const opt_verb *v = p->verb;
    for (int i = 0; i < p->n; i++)
        if (v->table[i].fallback && !strcmp(v->table[i].fallback, OPT_REQUIRED) && !p->given[i])
            return ui_usage(v->name, "option --%s is missing (%s)", v->table[i].name,
                            v->table[i].help);
    if (n_args < v->min_args)
        return ui_usage(v->name, "expected %s, found %d argument%s", v->args, n_args,
                        n_args == 1 ? "" : "s");
    if (v->max_args >= 0 && n_args > v->max_args)
        return ui_usage(v->name, "unexpected argument `%s`", argv[v->max_args]);
    return -1;
}

int opt_parse(const opt_verb *v, int *argc, char **argv) {
    parse p = {.verb = v};
    fill_getopt(&p);
    int rc = -1, n_args = 0;
    for (int i = 1; i < *argc; i++) /* help works whatever else is wrong */
        if (!strcmp(argv[i], "--"))
            break;
        else if (!strcmp(argv[i], "--help"))
            return opt_help(v);
    for (int i = 0; rc < 0 && i < p.n; i++) {
        const char *fallback = v->table[i].fallback;
        if (fallback && strcmp(fallback, OPT_REQUIRED) != 0)
            rc = put(v, &v->table[i], fallback, "default");
        if (rc < 0) rc = put_environment(v, &v->table[i], &p.given[i]);
    }
    if (rc < 0) rc = read_options(&p, *argc, argv, &n_args);
    if (rc < 0) rc = check_complete(&p, n_args, argv);
    *argc = n_args;
    return rc;
}
