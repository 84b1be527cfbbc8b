/*
 * checkpoint.h - parameters of a store from and to safetensors, by path.
 *
 * Loading is strict: every parameter is found once with its shape, every tensor of the files is
 * used or known to be ignorable; otherwise AT_FORMAT names file, tensor and reason.
 */
#ifndef AT_CHECKPOINT_H
#define AT_CHECKPOINT_H
#include "io/safetensors.h"
#include "nn/store.h"

enum { AT_SHARDS_MAX = 4096 };

/** The open files of a checkpoint: one, or those of an index. */
typedef struct at_weights {
    at_st **file;
    int64_t n;
} at_weights;

/** path: a .safetensors file, a model.safetensors.index.json, or a folder with either.  Hashes
    written by artel are verified unless the file is above verify_below bytes. */
at_status at_weights_open(at_ctx *c, const char *path, size_t verify_below, at_weights *out);
void at_weights_close(at_weights *w);
const at_st_tensor *at_weights_find(const at_weights *w, const char *name, const at_st **file);

typedef struct at_load {
    const char *prefix;               /* a name may come without it; "" for none          */
    bool (*ignore)(const char *name); /* tensors that are no parameters; may be NULL      */
    bool borrow; /* point parameters into the files where type and alignment allow: the
                    files must stay open, the values must not be written                  */
} at_load;
/** Values of all parameters.  The store must be allocated unless every one can be borrowed. */
at_status at_checkpoint_load(at_ctx *c, at_store *s, const at_weights *w, const at_load *how);

typedef enum at_slab { AT_SLAB_VALUE, AT_SLAB_M, AT_SLAB_V } at_slab;
/** Metadata pairs: key, value, key, value, ..., NULL.  Frozen parameters have no moments. */
at_status at_checkpoint_save(at_ctx *c, const at_store *s, at_slab what, const char *path,
                             const char *const *meta);
/** Moments from a file written by at_checkpoint_save. */
at_status at_checkpoint_load_slab(at_ctx *c, at_store *s, at_slab what, const char *path);

#endif
