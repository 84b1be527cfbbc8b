/* who_args.c - see who_args.h. */
#include "who_args.h"

bool who_ready(who_args *w, artel_who *out) {
    if (!opt_list_split(&w->experts) || !opt_list_split(&w->modules) ||
        !opt_list_split(&w->exclude) || !opt_list_split(&w->licences) ||
        !opt_list_split(&w->average))
        return false;
    *out = (artel_who){.experts = (const char *const *)w->experts.item,
                       .n_experts = w->experts.n,
                       .exclude = (const char *const *)w->exclude.item,
                       .n_exclude = w->exclude.n,
                       .average = (const char *const *)w->average.item,
                       .n_average = w->average.n,
                       .common = w->common,
                       .modules = (const char *const *)w->modules.item,
                       .n_modules = w->modules.n,
                       .licences = (const char *const *)w->licences.item,
                       .n_licences = w->licences.n};
    return true;
}

void who_free(who_args *w) {
    opt_list_free(&w->experts);
    opt_list_free(&w->modules);
    opt_list_free(&w->licences);
    opt_list_free(&w->exclude);
    opt_list_free(&w->average);
}
