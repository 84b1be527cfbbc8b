/* tensor.h - dense, row-major tensors: dim[0] varies slowest.  A view has another shape, never
   another layout. */
#ifndef AT_TENSOR_H
#define AT_TENSOR_H
#include "base/real.h"
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { AT_RANK_MAX = 4 };

typedef struct at_tensor {
    at_real *data;        /* numel values; NULL: they are in bf16                  */
    at_real *grad;        /* same shape; NULL until a gradient arrives            */
    const uint16_t *bf16; /* values in BF16, in a mapped file, or NULL          */
    int64_t dim[AT_RANK_MAX];
    int rank;
    bool need_grad;         /* a parameter in training, or depends on one   */
    bool keep_grad;         /* the owner keeps .grad past backward          */
    bool has_grad;          /* a gradient has flowed into it; see at_store_zero_grad */
    struct at_tensor *base; /* a view's gradient lives in its base; or NULL */
    const char *name;       /* dotted path for messages; may be NULL        */
} at_tensor;

int64_t at_numel(const at_tensor *t);
/** A tensor seen as a matrix [rows, cols]: cols is the last dimension. */
int64_t at_rows(const at_tensor *t);
int64_t at_cols(const at_tensor *t);
/** The tensor that owns the gradient: t, or what t is a view of. */
at_tensor *at_root(at_tensor *t);
/** "[2,3,4]" into text (at least 96 bytes); returns text. */
char *at_shape_text(const at_tensor *t, char *text);

#endif
