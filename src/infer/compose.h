/* compose.h - puts experts and a router into one model folder. */
#ifndef AT_COMPOSE_H
#define AT_COMPOSE_H
#include "infer/lm.h"

/** What a recipe's `mode` may be; btx is made by train/branches.h. */
#define AT_COMPOSE_MODES "ple|jeet|moe-ce|btx|ensemble"
#define AT_COMPOSE_MODES_HELP                                                                  \
    "whole models; trunks of one; trunks with a common one; dense models as the experts of a " \
    "mixture; whole models that answer together"

/**
 * Recipe:  mode: ple;  router: FOLDER or FILE;  experts: [{name, model}, ...], model a plain folder, or a
 *          composed one that has an expert of this name.
 * Or:      mode: ensemble;  k: 2, how many of them answer together;  router: FOLDER or FILE, none: all weigh
 *          the same;  experts as above.
 * Or:      mode: jeet, or moe-ce, whose model has a common trunk;  router: FOLDER or FILE;  model: FOLDER.
 * Every expert must share the tokenizer, every name must be a class of the router.
 * The folder `out` appears whole or not at all.
 */
at_status at_compose(at_ctx *c, at_conf *recipe, const char *out);

#endif
