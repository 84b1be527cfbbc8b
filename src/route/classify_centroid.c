/*
 * classify_centroid.c - the class whose mean is nearest: |x - m_c|^2 = |x|^2 - 2 (m_c . x - |m_c|^2 / 2),
 * of which the first term is the same for all classes, so that w_c = m_c and b_c = -|m_c|^2 / 2.
 */
#include "route/classifier.h"

static at_status fit(at_ctx *c, const at_fit *f, double *w) {
    const int64_t m = f->x->columns;
    (void)c;
    for (int k = 0; k < f->n_classes; k++) {
        double *mean = w + k * (m + 1), square = 0;
        int64_t rows = 0;
        for (int64_t i = 0; i < f->x->n; i++) {
            if (f->label[i] != k) continue;
            at_row_add(f->x, i, 1, mean);
            rows++;
        }
        for (int64_t j = 0; j < m; j++) {
            mean[j] /= (double)rows;
            square += mean[j] * mean[j];
        }
        mean[m] = -square / 2;
    }
    return AT_OK;
}

const at_classifier at_classifier_centroid = {.name = "centroid",
                                              .help = "the class whose mean is nearest",
                                              .link = AT_LINK_SOFTMAX,
                                              .c = 1,
                                              .fit = fit};
