/* who_args.h - shared by verbs that ask a model of several experts: which of them answer. */
#ifndef CLI_WHO_ARGS_H
#define CLI_WHO_ARGS_H
#include "artel.h"
#include "opt.h"

typedef struct who_args {
    opt_list experts, modules, exclude, licences, average;
    const char *common;
} who_args;

#define WHO_OPTIONS(w)                                                                           \
    {"experts", 0, OPT_LIST, &(w)->experts, NULL, "A,B", "only these experts may answer", 0, 0}, \
        {"modules",                                                                              \
         0,                                                                                      \
         OPT_LIST,                                                                               \
         &(w)->modules,                                                                          \
         NULL,                                                                                   \
         "A,B",                                                                                  \
         "of an extended mixture the base and these modules alone; none: the base",              \
         0,                                                                                      \
         0},                                                                                     \
        {"exclude",                                                                              \
         0,                                                                                      \
         OPT_LIST,                                                                               \
         &(w)->exclude,                                                                          \
         NULL,                                                                                   \
         "A,B",                                                                                  \
         "these experts, or modules, may not answer",                                            \
         0,                                                                                      \
         0},                                                                                     \
        {"licence-allow",                                                                        \
         0,                                                                                      \
         OPT_LIST,                                                                               \
         &(w)->licences,                                                                         \
         NULL,                                                                                   \
         "GLOB,..",                                                                              \
         "modules alone whose data have these licences, by their passports",                     \
         0,                                                                                      \
         0},                                                                                     \
        {"average",                                                                              \
         0,                                                                                      \
         OPT_LIST,                                                                               \
         &(w)->average,                                                                          \
         NULL,                                                                                   \
         "A,B",                                                                                  \
         "these trunks answer together, whatever the router says; all: all of them",             \
         0,                                                                                      \
         0},                                                                                     \
    {                                                                                            \
        "common", 0, OPT_STRING, &(w)->common, "on", "on|off|only",                              \
            "the common trunk, if there is one: with the others, left out, alone", 0, 0          \
    }

/** Splits lists at commas and fills `out`, which borrows from w.  False: out of memory. */
bool who_ready(who_args *w, artel_who *out);
void who_free(who_args *w);

#endif
