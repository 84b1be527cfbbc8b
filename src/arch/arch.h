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
    int64_t cache_width; /* values in k, and in v, for a token and a layer    */
    int64_t head_size;   /* of attention                                      */
    bool one_cache;      /* keys are values: k and v of the cache may be one  */
    bool any_length;     /* no position is learnt: context only limits memory */
    bool history;        /* at_pass.history is read                           */
} at_dims;

typedef struct at_arch {
    const char *name;     /* "model_type" of config.json, "arch" of a recipe         */
    const char *hf_class; /* "architectures" of config.json                          */
    const char *source;   /* paper                                                   */
    const char *prefix;   /* part of paths that a checkpoint may leave out, or ""    */
    const at_key *keys;   /* of config.json and of a recipe's model section          */
    size_t config_bytes;  /* of the struct the keys fill                             */
    /** Refuses invalid and unsupported settings; messages name the key.  NULL: there are none. */
    at_status (*check)(at_ctx *c, const at_conf *f, const char *section, const void *config);
    /** Declare parameters; *model from the heap. */
    at_status (*init)(at_store *s, const void *config, void **model);
    void (*close)(void *model);
    at_input_kind reads;
    /** Last hidden states [B*T, C], after the final norm.  at_model_hidden (read.h) comes here. */
    at_tensor *(*hidden)(at_run *r, void *model, const at_input *in, at_pass *p);
    /** Output embedding [V, C]. */
    at_tensor *(*head)(void *model);
    /** The banks of its mixture layers, see bank.h; NULL: it has none. */
    at_banks *(*banks)(void *model);
    void (*dims)(const void *config, at_dims *out);
    /** The auxiliary loss of the routers by the configuration: fills weight[] and returns the
        weight of their weighted sum.  NULL: this architecture has no routers. */
    double (*aux)(const void *config, at_aux *out);
    /** Whether a tensor of a checkpoint is no parameter but a buffer, to be skipped. */
    bool (*ignore)(const char *name);
} at_arch;

/* The table of architectures. */
#define AT_ARCHS(X) \
    X(gpt2)         \
    X(moduleformer)
#define AT_ARCH_DECLARE(name) extern const at_arch at_arch_##name;
AT_ARCHS(AT_ARCH_DECLARE)

/** NULL-terminated. */
extern const at_arch *const at_archs[];
/** By name; AT_CONFIG lists the known ones. */
const at_arch *at_arch_find(at_ctx *c, const char *name);

#endif
