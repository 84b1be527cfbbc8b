/*
 * mergekit.h - recipes in the words of mergekit-moe:
 *
 *     base_model: FOLDER
 *     gate_mode: hidden | cheap_embed | random
 *     experts_per_token: 2
 *     dtype: float32
 *     experts:
 *       - source_model: FOLDER
 *         positive_prompts: ["Bonjour"]
 *         negative_prompts: ["Hello"]
 *
 * They make a mixture as mode btx does: feed-forward parts are experts, all else is the base's, gates are
 * divided by their sum.  An expert may have a name, too; else it is e0, e1, ...
 */
#ifndef AT_MERGEKIT_H
#define AT_MERGEKIT_H
#include "conf/conf.h"

enum { AT_MERGEKIT_MOST = 64 };
typedef enum at_mergekit_gate {
    AT_MERGEKIT_HIDDEN,
    AT_MERGEKIT_CHEAP_EMBED,
    AT_MERGEKIT_RANDOM
} at_mergekit_gate;

typedef struct at_mergekit_expert {
    char *name, *model;
    at_strings positive, negative;
    char own[16]; /* the name, where none is given */
} at_mergekit_expert;

typedef struct at_mergekit {
    char *base, *dtype;
    int gate; /* at_mergekit_gate */
    int64_t k;
    int n;
    at_mergekit_expert expert[AT_MERGEKIT_MOST];
} at_mergekit;

/** Whether the recipe has the key base_model. */
bool at_mergekit_is(const at_conf *f);
/** AT_CONFIG: what is missing, or a key of mergekit's that is not supported, with a reason. */
at_status at_mergekit_read(at_ctx *c, at_conf *f, at_mergekit *out);

#endif
