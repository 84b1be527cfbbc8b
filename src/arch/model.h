/*
 * model.h - an architecture with its configuration and parameters: made from a recipe, read from
 * and written to a Hugging-Face-shaped folder (config.json, model.safetensors, tokenizer.json).
 */
#ifndef AT_MODEL_H
#define AT_MODEL_H
#include "arch/members.h"

typedef struct at_model {
    const at_arch *arch;
    void *config; /* the architecture's own struct             */
    void *impl;   /* what arch->init made                      */
    at_store store;
    at_dims dims;
    at_weights weights; /* the open files, while parameters are borrowed from them */
    cJSON *source;      /* the configuration it was read from, or NULL */
    at_members members; /* of a mixture that was extended; their slots are in the configuration */
    char *path;         /* folder it came from, or NULL        */
    char *tokenizer;    /* hex hash of its tokenizer, or NULL  */
    atomic_bool finite; /* all values have been checked, see at_model_finite */
} at_model;

/** A model with random parameters, from a section of a recipe ("model") and the seed; vocab is used
    where vocab_size is 0. */
at_status at_model_new(at_ctx *c, at_conf *f, const char *section, int64_t vocab, uint64_t seed,
                       at_model **out);
/** Parameters declared with the sizes of a recipe, but no values: for plan. */
at_status at_model_outline(at_ctx *c, at_conf *f, const char *section, int64_t vocab,
                           at_model **out);
/** Loads a model folder.  train: values are copied (and widened); otherwise they are borrowed from
    the mapped file, matrices in BF16 as they are. */
at_status at_model_load(at_ctx *c, const char *dir, bool train, at_model **out);
/** The base alone of a mixture that was extended; of any other folder what at_model_load gives. */
at_status at_model_load_base(at_ctx *c, const char *dir, at_model **out);
/** From one configuration object and the files, n of them, that have its parameters: an expert of a
    modular model.  n = 0: without values, for its sizes. */
at_status at_model_load_parts(at_ctx *c, const char *name, const cJSON *config,
                              const char *const *file, int64_t n, at_model **out);
void at_model_close(at_model *m);
/** AT_NUMERIC names file, tensor and index when a parameter is infinite or NaN.  Loading checks
    this, except for borrowed parameters of files above 1 GiB; whoever reads all of those checks it
    first. */
at_status at_model_finite(at_ctx *c, at_model *m);
/** For a model that has computed infinities or NaN: AT_NUMERIC with the parameter at fault, or that
    its values are too large. */
at_status at_model_diagnose(at_ctx *c, at_model *m);

/** Sets the end-of-text token in the configuration, where it is not set yet. */
void at_model_end_token(at_model *m, int64_t id);

/** Writes config.json, model.safetensors and, when given, a copy of the tokenizer; the folder
    appears complete or not at all.  source_tokenizer: a tokenizer.json, or NULL.  An existing
    folder with the same files is left alone, any other one is renamed to "DIR.kept-N" with a
    warning.  AT_NUMERIC: a parameter is not finite; nothing is written. */
at_status at_model_save(at_ctx *c, const at_model *m, const char *dir,
                        const char *source_tokenizer);
/** Writes the same files into an existing folder (of a checkpoint being made). */
at_status at_model_write(at_ctx *c, const at_model *m, const char *dir,
                         const char *source_tokenizer);
/** Writes the configuration into an open object, as in a Hugging Face config.json, for values saved
    in float32.  Unknown keys of the one it was read from are kept. */
void at_model_config(const at_model *m, at_json *j);
/** The configuration it was read from, but for the type of the values: "float32", "bfloat16". */
void at_model_source(const at_model *m, const char *type, at_json *j);
/** The integer of this key of the configuration; `otherwise` when there is no such key, or it is
    -1. */
int64_t at_model_number(const at_model *m, const char *key, int64_t otherwise);
/** Its modules; n = 0: there are none. */
at_modules at_model_modules(const at_model *m);
/** Number of the module of this name, the common one included, or -1. */
int at_model_module(const at_model *m, const char *name);
/** The banks of its mixture layers, or NULL. */
at_banks *at_model_banks(const at_model *m);
/** at_arch.aux; below 0: it has no routers. */
double at_model_aux(const at_model *m, at_aux *a);
/** The bank each of whose experts makes an answer by itself, of which the model's is a mixture; NULL: there
    is none. */
at_bank *at_model_answers(const at_model *m);
/** How its architecture reads a checkpoint. */
at_load_options at_model_load_options(const at_model *m, bool borrow);

/** Number of parameters; what is absent does not count. */
int64_t at_model_numel(const at_model *m);

#endif
