/*
 * model.h - an architecture with its configuration and parameters: made from a recipe, read from
 * and written to a Hugging-Face-shaped folder (config.json, model.safetensors, tokenizer.json).
 */
#ifndef AT_MODEL_H
#define AT_MODEL_H
#include "arch/arch.h"
#include "base/json.h"
#include "io/checkpoint.h"

typedef struct at_model {
    at_ctx *ctx;
    const at_arch *arch;
    void *config; /* the architecture's own struct             */
    void *impl;   /* what arch->init made                      */
    at_store store;
    at_dims dims;
    at_weights weights; /* open while parameters are borrowed  */
    cJSON *source;      /* the configuration it was read from, or NULL */
    char *path;         /* folder it came from, or NULL        */
    char *tokenizer;    /* hex hash of its tokenizer, or NULL  */
    bool finite;        /* every value of the files was looked at, see at_model_finite */
} at_model;

/** Fresh parameters from the section of a recipe ("model"), keyed by seed; vocab stands in where
    vocab_size is 0. */
at_status at_model_new(at_ctx *c, at_conf *f, const char *section, int64_t vocab, uint64_t seed,
                       at_model **out);
/** Parameters declared with the sizes of a recipe, but no values: for plan. */
at_status at_model_outline(at_ctx *c, at_conf *f, const char *section, int64_t vocab,
                           at_model **out);
/** From a folder. train: own copies of the values; otherwise they lie in the mapped file, matrices
    in BF16 as they are. */
at_status at_model_load(at_ctx *c, const char *dir, bool train, at_model **out);
/** From one configuration object and one weights file: an expert of a modular model. */
at_status at_model_load_parts(at_ctx *c, const char *name, const cJSON *config, const char *weights,
                              at_model **out);
void at_model_close(at_model *m);
/** AT_NUMERIC names file, tensor and place when a parameter is infinite or NaN.  Loading asks it of
    every model but those whose files hold more than 1 GiB and stay mapped; of these, those who use
    all of them ask it before they begin. */
at_status at_model_finite(at_model *m);
/** Why it computes infinities or NaN: AT_NUMERIC as above, or that its numbers are too large. */
at_status at_model_diagnose(at_model *m);

/** The token that separates texts, for config.json, where it is not set yet. */
void at_model_end_token(at_model *m, int64_t id);

/** config.json, model.safetensors and, when given, a copy of the tokenizer; the folder appears
    whole or not at all. source_tokenizer: a tokenizer.json, or NULL.  A folder of that name with the
    same files is left alone, another one is moved to "DIR.kept-N" with a warning.  AT_NUMERIC: a
    parameter is not finite, nothing is written. */
at_status at_model_save(at_ctx *c, const at_model *m, const char *dir,
                        const char *source_tokenizer);
/** The same files into a folder that is there: a checkpoint in the making. */
at_status at_model_write(at_ctx *c, const at_model *m, const char *dir,
                         const char *source_tokenizer);
/** Its configuration into an open object, as a Hugging Face config.json, for values saved in float32;
    keys of the one it was read from that nobody here knows stay. */
void at_model_config(const at_model *m, at_json *j);
/** The configuration it was read from, but for the type of the values: "float32", "bfloat16". */
void at_model_source(const at_model *m, const char *type, at_json *j);
/** The whole number of this key of the configuration; `otherwise` where there is none or it is -1. */
int64_t at_model_number(const at_model *m, const char *key, int64_t otherwise);
/** How its architecture reads a checkpoint. */
at_load_options at_model_load_options(const at_model *m, bool borrow);

/** Number of parameters. */
int64_t at_model_numel(const at_model *m);

#endif
