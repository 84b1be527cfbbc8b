/*
 * config.h - configurations: from a section of a recipe or a config.json to the struct of an
 * architecture, and back.
 *
 * A configuration may have another one inside, of the architecture that it is made of (at_arch.part):
 * that has no keys for what is outside of it, the vocabulary and the embeddings.
 */
#ifndef AT_CONFIG_H
#define AT_CONFIG_H
#include "arch/arch.h"
#include "base/json.h"

/** Reads a section, of a recipe (`arch`) or of config.json (`model_type`); vocab is used where
    vocab_size is 0.  Values are checked (at_arch.check).  Closed in any case. */
at_status at_config_bind(at_ctx *c, at_conf *f, const char *section, bool recipe, int64_t vocab,
                         at_config *out);
void at_config_close(at_config *k);
/** The architecture that a section of a recipe names. */
at_status at_config_arch(at_ctx *c, at_conf *f, const char *section, const at_arch **out);

/** Sets an integer key if it still has the value `unset`. */
void at_config_fill(const at_config *k, const char *key, int64_t unset, int64_t value);
/** at_arch.aux of a configuration: below 0 where there are no routers. */
double at_config_aux(const at_config *k, at_aux *a);
/** An integer key; `otherwise` when there is no such key, or it is -1. */
int64_t at_config_number(const at_config *k, const char *key, int64_t otherwise);

/** Writes everything into an open object: keys of `source`, which it was read from (NULL: it was not),
    in their order, unknown ones as they are, then what is missing there.  k NULL: `source` alone.
    type: of the values, "float32". */
void at_config_put(at_json *j, const at_config *k, const cJSON *source, const char *type);

#endif
