/* recipe_args.h - shared by verbs that take a recipe: the file, --set, --seed, --print-config. */
#ifndef CLI_RECIPE_ARGS_H
#define CLI_RECIPE_ARGS_H
#include "artel.h"
#include "opt.h"
#include "ui.h"

typedef struct recipe_args {
    opt_list set;
    bool print;
    int defaults; /* the first so many of set */
    artel_recipe recipe;
} recipe_args;

#define RECIPE_OPTIONS(r)                                                                     \
    {"set", 0, OPT_APPEND, &(r)->set, NULL, "A.B=V", "change a value of the recipe", 0, 0}, { \
        "print-config", 0, OPT_FLAG, &(r)->print, NULL, NULL,                                 \
            "print the effective recipe with where each value came from, and stop", 0, 0      \
    }

/** One more "key=value" on top of --set; `from` says where it came from. False: out of memory. */
bool recipe_set(recipe_args *r, const char *key, const char *value, const char *from);
/** The same below --set, and above what was put there before. */
bool recipe_default(recipe_args *r, const char *key, const char *value, const char *from);
/** Fills r->recipe from the arguments; --seed counts as --set seed=N. False: out of memory. */
bool recipe_ready(recipe_args *r, const ui *u, const char *path);
/** Answers --print-config. */
artel_status recipe_print(const recipe_args *r, const ui *u, artel_task task);
void recipe_free(recipe_args *r);

#endif
