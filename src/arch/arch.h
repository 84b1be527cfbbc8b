/*
 * arch.h - an architecture: a name, a table of configuration keys, parameters declared by path, and
 * a forward pass written in ops.  Loading, saving, training, cached decoding and tests are written
 * once, for all architectures.
 */
#ifndef AT_ARCH_H
#define AT_ARCH_H
#include "arch/bank.h"
#include "conf/conf.h"
#include "tensor/store.h"

/** The sizes other parts need. */
typedef struct at_dims {
    int64_t vocab, context, layers, width;
    int64_t inputs;        /* numbers of a row, or of an image, that it reads; 0: it reads ids */
    bool text;             /* they are the bytes of a text (features.h)         */
    int64_t cache_width;   /* values in k, and in v, for a token and a layer    */
    int64_t head_size;     /* of attention                                      */
    bool one_cache;        /* keys are values: k and v of the cache may be one  */
    bool any_length;       /* no position is learnt: context only limits memory */
    bool history;          /* at_pass.history is read                           */
    bool answers;          /* each expert of the last bank makes logits         */
    int64_t module_layers; /* of each module (at_modules), one after the other; 0: there are none */
} at_dims;

/** The modules of a model: a pass runs some of them and leaves out the others (at_input.modules). */
typedef struct at_modules {
    char *const *name; /* [n] */
    int n;
    bool common;           /* there is one more, the last, which is meant to be always run */
    double common_dropout; /* share of the training steps that leave it out */
} at_modules;
enum { AT_MODULES_MAX = 63 }; /* without the common one */
/** The name of the common one. */
#define AT_MODULE_COMMON "common"

typedef struct at_arch {
    const char *name;     /* "arch" of a recipe, and of config.json "model_type"     */
    const char *type;     /* "model_type" where it is another; NULL: the name        */
    const char *hf_class; /* "architectures" of config.json                          */
    const char *source;   /* paper                                                   */
    const char *prefix;   /* part of paths that a checkpoint may leave out, or ""    */
    const at_key *keys;   /* of config.json and of a recipe's model section          */
    size_t config_bytes;  /* of the struct the keys fill                             */
    const char *part;     /* a section in it that has another architecture's keys; NULL: none */
    size_t part_offset;   /* its at_config in the struct                             */
    struct {
        const char *all, *by_layer;
    } experts[AT_LAYER_KINDS]; /* keys that say how many slots its banks have; NULL: it has none */
    /** Refuses invalid and unsupported settings; messages name the key.  NULL: there are none. */
    at_status (*check)(at_ctx *c, const at_conf *f, const char *section, const void *config);
    /** Declare parameters; *model from the heap. */
    at_status (*init)(at_store *s, const void *config, void **model);
    /** The same of all that is between embedding and head.  NULL: it cannot be a trunk. */
    at_status (*trunk_init)(at_store *s, const void *config, void **model);
    void (*close)(void *model);
    at_input_kind reads;
    /** Last hidden states [B*T, C], after the final norm.  at_model_hidden (read.h) comes here. */
    at_tensor *(*hidden)(at_run *r, void *model, const at_input *in, at_pass *p);
    /** The same from the embeddings x [B*T, C] of the tokens; `in` says where they stand.  It is what
        `hidden` does after the embedding, and needs no more than trunk_init made. */
    at_tensor *(*trunk)(at_run *r, void *model, at_tensor *x, const at_input *in, at_pass *p);
    /** Output embedding [V, C].  NULL: what it calls hidden states are logits [B, V]; of an ensemble, while the run
        trains, [B, K, V], each member with a loss of its own. */
    at_tensor *(*head)(void *model);
    /** The banks of its mixture layers, see bank.h; NULL: it has none. */
    at_banks *(*banks)(void *model);
    void (*dims)(const void *config, at_dims *out);
    /** Its modules; NULL: passes run all of it. */
    void (*modules)(const void *config, at_modules *out);
    /** The auxiliary loss of the routers by the configuration: fills weight[] and returns the
        weight of their weighted sum, below 0 when there are no routers.  NULL: there never are. */
    double (*aux)(const void *config, at_aux *out);
    /** What of this configuration the programs of its authors cannot read; NULL, or returns NULL:
        nothing. */
    const char *(*foreign)(const void *config);
    /** Whether a tensor of a checkpoint is no parameter but a buffer, to be skipped. */
    bool (*ignore)(const char *name);
} at_arch;

/* The table of architectures. */
#define AT_ARCHS(X)    \
    X(conv_moe)        \
    X(gpt2)            \
    X(mlp_moe)         \
    X(moduleformer)    \
    X(tabm)            \
    X(text_classifier) \
    X(trunks)
#define AT_ARCH_DECLARE(name) extern const at_arch at_arch_##name;
AT_ARCHS(AT_ARCH_DECLARE)

/** A configuration: an architecture, and the struct that its keys fill. */
typedef struct at_config {
    const at_arch *arch; /* NULL: there is none */
    void *values;        /* owned; its strings, too */
} at_config;

/** NULL-terminated. */
extern const at_arch *const at_archs[];
/** By name, or model_type; AT_CONFIG lists the known ones. */
const at_arch *at_arch_find(at_ctx *c, const char *name);

#endif
