/*
 * safetensors.h - named tensors in one file: 64-bit length, JSON header, raw little-endian data.
 *
 * Reading maps the file; tensors point into the map.  Everything in the header is checked before
 * use: length, dtype, shape products, ranges that tile the data without hole or overlap, duplicate
 * names.  Errors name the path, the tensor and the reason.
 */
#ifndef AT_SAFETENSORS_H
#define AT_SAFETENSORS_H
#include "base/ctx.h"

enum { AT_ST_RANK_MAX = 8 };

typedef enum at_dtype {
    AT_DT_BOOL,
    AT_DT_U8,
    AT_DT_I8,
    AT_DT_F8_E4M3,
    AT_DT_F8_E5M2,
    AT_DT_I16,
    AT_DT_U16,
    AT_DT_F16,
    AT_DT_BF16,
    AT_DT_I32,
    AT_DT_U32,
    AT_DT_F32,
    AT_DT_I64,
    AT_DT_U64,
    AT_DT_F64,
    AT_DT_COUNT
} at_dtype;

const char *at_dtype_name(at_dtype d); /* "F32" */
size_t at_dtype_size(at_dtype d);

typedef struct at_st_tensor {
    const char *name;
    at_dtype dtype;
    int rank;
    int64_t dim[AT_ST_RANK_MAX];
    const void *data; /* into the map; may be unaligned for its dtype */
    size_t bytes;
} at_st_tensor;

typedef struct at_st at_st;

/** Map and check. */
at_status at_st_open(at_ctx *c, const char *path, at_st **out);
/** The same over bytes in memory (borrowed); `name` stands for the path in messages. */
at_status at_st_open_bytes(at_ctx *c, const char *name, const void *data, size_t bytes,
                           at_st **out);
void at_st_close(at_st *st);
const char *at_st_path(const at_st *st);
int64_t at_st_count(const at_st *st);
const at_st_tensor *at_st_at(const at_st *st, int64_t i);          /* in the order of the data */
const at_st_tensor *at_st_find(const at_st *st, const char *name); /* NULL when absent */
/** Value of a __metadata__ key, or NULL. */
const char *at_st_meta(const at_st *st, const char *key);
int64_t at_st_meta_count(const at_st *st);
void at_st_meta_at(const at_st *st, int64_t i, const char **key, const char **value);

/** Compares the content with the hashes in the metadata (AT_ST_HASH_KEY): AT_FORMAT names path and
    tensor when a byte, a name, a shape or a metadata value is not what was written.  A file without
    hashes (another program's) passes.  Reads all data, which at_st_open does not. */
at_status at_st_verify(at_ctx *c, const at_st *st);
#define AT_ST_HASH_KEY "artel.hash"

/** count values of a floating tensor (F16, BF16, F32, F64) as float, or as double. */
at_status at_st_to_f32(at_ctx *c, const at_st_tensor *t, float *out);
at_status at_st_to_f64(at_ctx *c, const at_st_tensor *t, double *out);
/** Integer tensor (any width) as int64; AT_FORMAT when it is not one or a U64 does not fit. */
at_status at_st_to_i64(at_ctx *c, const at_st_tensor *t, int64_t *out);

/* Writing: add all tensors, then commit.  The file appears under its name at commit (temporary,
   fsync, rename), or not at all.  Same calls, same bytes.  Data begins at a multiple of 64 in the
   file, wide types first, so that every tensor is aligned for its type; "format": "pt" and the
   hashes of at_st_verify are always among the metadata. */
typedef struct at_st_writer at_st_writer;
at_status at_st_writer_open(at_ctx *c, const char *path, at_st_writer **out);
at_status at_st_writer_meta(at_ctx *c, at_st_writer *w, const char *key, const char *value);
/** data is borrowed and read at commit. */
at_status at_st_writer_add(at_ctx *c, at_st_writer *w, const char *name, at_dtype d, int rank,
                           const int64_t *dim, const void *data);
/** The same for a tensor of another file, converted to dtype d as it is written: rounded to nearest
    where d is narrower.  AT_ARG unless both types are floating. */
at_status at_st_writer_add_as(at_ctx *c, at_st_writer *w, const char *name, at_dtype d,
                              const at_st_tensor *from);
/** The same with the values of several tensors, one after the other: for a stack whose parts are
    not contiguous.  AT_SHAPE when the number of values is not that of the shape. */
at_status at_st_writer_add_parts(at_ctx *c, at_st_writer *w, const char *name, at_dtype d, int rank,
                                 const int64_t *dim, const at_st_tensor *part, int64_t parts);
/** Lets an interrupt end the commit between two tensors, with AT_INTERRUPTED: for files that can be
    made again.  By default commit ignores interrupts, so that a run can save its state when it is
    interrupted. */
void at_st_writer_interruptible(at_st_writer *w);
/** Write all and rename. */
at_status at_st_writer_commit(at_ctx *c, at_st_writer *w);
/** Frees; removes the temporary when not committed.  Accepts NULL. */
void at_st_writer_close(at_st_writer *w);

#endif
