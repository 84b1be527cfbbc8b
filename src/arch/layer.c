/* layer.c - see layer.h. */
#include "arch/layer.h"

at_norm at_norm_init(at_store *s, const char *path, int64_t width, bool shift) {
    at_norm n = {0};
    n.g = at_param(s, AT_INIT_ONE, 0, 1, &width, "%s.weight", path);
    if (shift) n.b = at_param(s, AT_INIT_ZERO, 0, 1, &width, "%s.bias", path);
    return n;
}

at_affine at_affine_init(at_store *s, const char *path, int64_t rows, int64_t cols, int64_t outputs,
                         double std) {
    at_affine l;
    l.w = at_param(s, AT_INIT_NORMAL, std, 2, (int64_t[]){rows, cols}, "%s.weight", path);
    l.b = at_param(s, AT_INIT_ZERO, 0, 1, &outputs, "%s.bias", path);
    return l;
}

at_tensor *at_words_init(at_store *s, const char *path, int64_t vocab, int64_t width, double std) {
    const int64_t dim[] = {vocab, width};
    return at_param_table(at_param(s, AT_INIT_NORMAL, std, 2, dim, "%s", path));
}
