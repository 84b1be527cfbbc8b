/* layer.h - declares the parameters that all architectures have: norms, affine maps, tables of words. */
#ifndef AT_LAYER_H
#define AT_LAYER_H
#include "tensor/store.h"

typedef struct at_norm {
    at_tensor *g, *b; /* [C]; b NULL without a shift */
} at_norm;
typedef struct at_affine {
    at_tensor *w, *b; /* matrix; bias [outputs], NULL for none */
} at_affine;

/** "<path>.weight" of ones and, when `shift`, "<path>.bias" of zeros. */
at_norm at_norm_init(at_store *s, const char *path, int64_t width, bool shift);
/** "<path>.weight" [rows, cols], normal with `std`, and "<path>.bias" [outputs] of zeros; outputs
    is rows or cols, as the layout of the matrix has it. */
at_affine at_affine_init(at_store *s, const char *path, int64_t rows, int64_t cols, int64_t outputs,
                         double std);
/** Table [vocab, width] of an embedding or a head, normal with `std`, at this path. */
at_tensor *at_words_init(at_store *s, const char *path, int64_t vocab, int64_t width, double std);

#endif
