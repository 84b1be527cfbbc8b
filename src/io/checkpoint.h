/*
 * checkpoint.h - parameters of a store from and to safetensors, by path.
 *
 * Loading is strict: every parameter is found once with its shape, every tensor of the files is
 * used or known to be ignorable; otherwise AT_FORMAT names file, tensor and reason.
 */
#ifndef AT_CHECKPOINT_H
#define AT_CHECKPOINT_H
#include "io/safetensors.h"
#include "tensor/store.h"

enum { AT_SHARDS_MAX = 4096 };

/** The open files of a checkpoint: one, or those of an index. */
typedef struct at_weights {
    at_st **file;
    char ***as; /* [n] of a file whose tensors have other names here these names; else NULL */
    int64_t n;
} at_weights;

/** path: a .safetensors file, a model.safetensors.index.json, or a folder with either.  Hashes
    written by artel are verified unless the file is above verify_below bytes. */
at_status at_weights_open(at_ctx *c, const char *path, size_t verify_below, at_weights *out);
/** One more file. */
at_status at_weights_add(at_ctx *c, at_weights *w, const char *path, size_t verify_below);
/** From now on the tensors of the last file have the names that `name` gives them, from the heap; NULL:
    it failed.  Its hashes are those of the names it was written with. */
at_status at_weights_rename(at_ctx *c, at_weights *w,
                            char *(*name)(void *user, const char *written), void *user);
/** The name of tensor i of a file here. */
const char *at_weights_name(const at_weights *w, int64_t file, int64_t i);
void at_weights_close(at_weights *w);
/** Bytes of all their tensors. */
size_t at_weights_bytes(const at_weights *w);
/** Writes all their tensors into one file, straight from the maps; metadata is the first file's.
    choose (NULL: all as they are) may leave out a tensor (false), or change its name and dtype.  An
    interrupt between two tensors gives AT_INTERRUPTED, and there is no file. */
at_status at_weights_save(at_ctx *c, const at_weights *w, const char *path,
                          bool (*choose)(void *user, const at_st_tensor *t, at_st_tensor *as),
                          void *user);
const at_st_tensor *at_weights_find(const at_weights *w, const char *name, const at_st **file);

typedef struct at_load_options {
    const char *prefix;               /* a name may come without it; "" for none          */
    bool (*ignore)(const char *name); /* tensors that are no parameters; may be NULL      */
    bool borrow;  /* point parameters into the files where type and alignment allow: those of the
                    type of at_real, and matrices in BF16 (t->bf16, t->data NULL).  The files
                    must stay open, the values must not be written                        */
    bool partial; /* slots that are not in the files become absent; otherwise an error     */
} at_load_options;
/** Values of all parameters; a store without a slab gets one for what is not borrowed.  Files have
    a stack as one tensor or its slots one by one. */
at_status at_checkpoint_load(at_ctx *c, at_store *s, const at_weights *w,
                             const at_load_options *how);

/** The parameter, or stack, that a tensor of a file belongs to. */
typedef struct at_checkpoint_entry {
    const char *path;           /* its full name                        */
    const at_stack *stack;      /* all of a stack                       */
    const at_param_entry *slot; /* or, stack being NULL, one slot of it */
} at_checkpoint_entry;
/** False: a tensor of this name belongs to no parameter. */
bool at_checkpoint_find(const at_store *s, const at_load_options *how, const char *name,
                        at_checkpoint_entry *out);

typedef enum at_slab { AT_SLAB_VALUE, AT_SLAB_M, AT_SLAB_V } at_slab;
/** The values, or a moment, of a parameter as a tensor of a file; they must exist. */
at_st_tensor at_checkpoint_tensor(const at_store *s, const at_param_entry *e, at_slab what);
/** Values of such a tensor in at_real. */
at_status at_checkpoint_read(at_ctx *c, const at_st_tensor *t, at_real *out);
/** One tensor of a file: its name, type and shape, and the parts that have its values. */
typedef at_status (*at_tensor_fn)(void *user, const at_st_tensor *t, const at_st_tensor *part,
                                  int64_t parts);
/** Calls f for every tensor of a file with these values.  A complete stack is one tensor; otherwise
    (absent slots have no values, frozen ones no moments) each slot is one.  Stops at the first
    failure. */
at_status at_checkpoint_each(at_ctx *c, const at_store *s, at_slab what, at_tensor_fn f,
                             void *user);
/** Metadata pairs: key, value, key, value, ..., NULL. */
at_status at_checkpoint_save(at_ctx *c, const at_store *s, at_slab what, const char *path,
                             const char *const *meta);
/** Moments from a file written by at_checkpoint_save. */
at_status at_checkpoint_load_slab(at_ctx *c, at_store *s, at_slab what, const char *path);

#endif
