/* opt_internal.h - shared by opt.c and opt_help.c. */
#ifndef CLI_OPT_INTERNAL_H
#define CLI_OPT_INTERNAL_H
#include "opt.h"

/** "top-k" -> "ARTEL_TOP_K". */
void opt_env_name(const opt *o, char name[64]);
/** The help text of a verb to stdout; returns 0. */
int opt_help(const opt_verb *v);

#endif
