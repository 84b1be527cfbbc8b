/* opt_help.c - help texts made from the tables, and the dispatch of verbs. */
#include "artel.h"
#include "opt_internal.h"
#include "printable.h"
#include "ui.h"
#include <ctype.h>
#include <stdio.h>
#include <string.h>

enum { COLUMN = 26, NAMES_MAX = 64 };

void opt_env_name(const opt *o, char name[64]) {
    int n = snprintf(name, 64, "ARTEL_%s", o->name);
    for (int i = 0; i < n && i < 63; i++)
        name[i] = name[i] == '-' ? '_' : (char)toupper((unsigned char)name[i]);
}

/* A default of -1 means "not given" and is not shown. */
static void help_row(const opt *o) {
    char left[80];
    const int n = snprintf(left, sizeof left, "  %c%c%c --%s%s%s", o->letter ? '-' : ' ',
                           o->letter ? o->letter : ' ', o->letter ? ',' : ' ', o->name,
                           o->metavar ? " " : "", o->metavar ? o->metavar : "");
    printf("%-*s", COLUMN, left);
    if (n >= COLUMN) printf("\n%*s", COLUMN, "");
    printf(" %s", o->help);
    if (o->fallback && !strcmp(o->fallback, OPT_REQUIRED))
        printf(" (required)");
    else if (o->fallback && *o->fallback && o->kind != OPT_FLAG && strcmp(o->fallback, "-1") != 0)
        printf(" (default: %s)", o->fallback);
    else if (o->kind == OPT_LIST || o->kind == OPT_APPEND)
        printf(" (may be repeated)");
    printf("\n");
}

int opt_help(const opt_verb *v) {
    printf("usage: artel %s [options]%s%s\n\n%s\n\noptions:\n", v->name, *v->args ? " " : "",
           v->args, v->about);
    for (const opt *o = v->table; o->name; o++) help_row(o);
    printf("  -h, --help%*s this text\n", COLUMN - 12, "");
    if (v->table->name) {
        char name[64];
        opt_env_name(v->table, name);
        printf("\nEvery option can be given in the environment, too: --%s as %s.\n"
               "An option overrides the environment, that the recipe, that the default.\n",
               v->table->name, name);
    }
    return 0;
}

/* ---- verbs -------------------------------------------------------------------------------- */

static void list_verbs(FILE *f, const char *prefix, const opt_sub *table) {
    fprintf(f, "usage: %s <verb> [options] [arguments]\n\nverbs:\n", prefix);
    for (const opt_sub *t = table; t->name; t++) fprintf(f, "  %-12s %s\n", t->name, t->about);
    fprintf(f, "\n`%s <verb> --help` tells more", prefix);
    if (!strchr(prefix, ' ')) fprintf(f, ", `%s --version` what this is", prefix);
    fprintf(f, ".\n");
}

static int unknown_verb(const char *prefix, const opt_sub *table, const char *word) {
    const char *known[NAMES_MAX];
    int n = 0;
    for (const opt_sub *t = table; t->name && n < NAMES_MAX; t++) known[n++] = t->name;
    const char *near = artel_nearest(word, known, n);
    printable_print(stderr, "%s: unknown %s `%s`", prefix, *word == '-' ? "option" : "verb", word);
    if (near) fprintf(stderr, ", did you mean `%s`?", near);
    fprintf(stderr, "\nTry `%s --help`.\n", prefix);
    return 2;
}

static const opt_sub *find(const opt_sub *table, const char *name) {
    for (; table->name; table++)
        if (!strcmp(table->name, name)) return table;
    return NULL;
}

/* "help train" is "train --help"; "help data build" is "data build --help". */
static int help_on(const char *prefix, const opt_sub *table, int argc, char **argv) {
    static char flag[] = "--help";
    char *args[4];
    int n = 0;
    for (; n < argc && n < 2; n++) args[n] = argv[n];
    args[n] = flag;
    args[n + 1] = NULL;
    const opt_sub *t = find(table, args[0]);
    return t ? t->run(n + 1, args) : unknown_verb(prefix, table, args[0]);
}

int opt_dispatch(const char *prefix, const opt_sub *table, int argc, char **argv) {
    if (argc < 2) {
        list_verbs(stderr, prefix, table);
        return 2;
    }
    if (!strcmp(argv[1], "--help") || !strcmp(argv[1], "-h") || !strcmp(argv[1], "help")) {
        if (argc > 2) return help_on(prefix, table, argc - 2, argv + 2);
        list_verbs(stdout, prefix, table);
        return 0;
    }
    const opt_sub *t = find(table, argv[1]);
    return t ? t->run(argc - 1, argv + 1) : unknown_verb(prefix, table, argv[1]);
}
