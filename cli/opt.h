/*
 * opt.h - options: parsing and help from one table of names, types, defaults and descriptions.
 *
 *   int64_t n = 0;
 *   const char *out = NULL;
 *   opt_list sets = {0};
 *   const opt table[] = {
 *       {"count", 'n', OPT_INT, &n, "100", "N", "how many", 1, 1e9},
 *       {"output", 'o', OPT_STRING, &out, OPT_REQUIRED, "DIR", "where the result goes"},
 *       {"set", 0, OPT_APPEND, &sets, NULL, "A.B=V", "change the recipe"},
 *       UI_OPTIONS(&u), {0}};
 *   const opt_verb verb = {"train", "RECIPE", 1, 1, "a model from scratch", table};
 *   int rc = opt_parse(&verb, &argc, argv);
 *   if (rc >= 0) return rc;          (--help: 0, wrong usage: 2; the message is already out)
 *   ... argv[0] .. argv[argc - 1] are now the arguments without options
 *
 * Every option can also be given in the environment: --top-k as ARTEL_TOP_K.  An option overrides
 * the environment, which overrides the default.  Lists in the environment are separated by newlines
 * or semicolons.
 */
#ifndef CLI_OPT_H
#define CLI_OPT_H
#include <stdbool.h>
#include <stdint.h>

typedef enum opt_kind {
    OPT_FLAG,   /* bool: no value; in the environment 1/0, true/false, yes/no, on/off */
    OPT_INT,    /* int64_t; 1e6 is accepted                                           */
    OPT_REAL,   /* double                                                             */
    OPT_STRING, /* const char *                                                       */
    OPT_LIST,   /* opt_list: may be repeated; options replace those of the environment */
    OPT_APPEND  /* opt_list: may be repeated; options follow those of the environment  */
} opt_kind;

typedef struct opt_list {
    char **item; /* owned: opt_list_free                        */
    char **from; /* where each came from: "option --set"        */
    int n;
} opt_list;
void opt_list_free(opt_list *l);
/** "a,b" and repeated options alike: every name becomes an item of its own.  False: out of memory. */
bool opt_list_split(opt_list *l);

#define OPT_REQUIRED "\1" /* as default: must be given */

typedef struct opt {
    const char *name; /* long name, without dashes                              */
    char letter;      /* short name or 0                                        */
    opt_kind kind;
    void *to;             /* variable of the kind's type                            */
    const char *fallback; /* default as text; NULL: the variable stays as it is     */
    const char *metavar;  /* "N", "DIR"                                             */
    const char *help;
    double lo, hi; /* range of numbers, both 0: any                          */
} opt;             /* tables end with a row whose name is NULL               */

typedef struct opt_verb {
    const char *name;       /* "train", "data build"                     */
    const char *args;       /* "RECIPE", or ""                           */
    int min_args, max_args; /* how many; max -1: any number           */
    const char *about;      /* one or more lines                         */
    const opt *table;
} opt_verb;

/** -1: go on, argv[0..*argc) hold the arguments.  Otherwise the exit code to return. */
int opt_parse(const opt_verb *v, int *argc, char **argv);

/** Verbs and sub-verbs. */
typedef struct opt_sub {
    const char *name, *about;
    int (*run)(int argc, char **argv); /* argv[0] is the name */
} opt_sub;
/** Runs the row named by argv[1]; also answers `help`, and unknown or missing names.  `prefix` is
    the command so far: "artel", "artel data".  Tables end with a row whose name is NULL. */
int opt_dispatch(const char *prefix, const opt_sub *table, int argc, char **argv);

#endif
