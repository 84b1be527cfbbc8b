/*
 * classify_bayes.c - multinomial naive Bayes and its complement, on TF-IDF vectors as if they were counts:
 *
 *     bayes:             w_cj = ln (N_cj + alpha) / (N_c + alpha m),  b_c = ln (rows of c / rows)
 *     complement bayes:  w_cj = -ln (N'_cj + alpha) / (N'_c + alpha m), b_c = 0
 *
 * with N_cj the sum of column j over rows of c, N' over the rows of all other classes, N_c its sum over
 * the m columns, alpha = 1 / C.  (Rennie, Shih, Teevan and Karger 2003, "Tackling the poor assumptions of
 * naive Bayes text classifiers", sections 2 and 3.)
 */
#include "base/maths.h"
#include "route/classifier.h"

static void add_rows(const at_fit *f, double *w, int64_t *rows) {
    for (int64_t i = 0; i < f->x->n; i++) {
        at_row_add(f->x, i, 1, w + f->label[i] * (f->x->columns + 1));
        rows[f->label[i]]++;
    }
}

/* Every class's sums become those of the others. */
static void complement(const at_fit *f, double *w) {
    const int64_t m = f->x->columns;
    for (int64_t j = 0; j < m; j++) {
        double all = 0;
        for (int k = 0; k < f->n_classes; k++) all += w[k * (m + 1) + j];
        for (int k = 0; k < f->n_classes; k++) w[k * (m + 1) + j] = all - w[k * (m + 1) + j];
    }
}

static at_status fit(at_ctx *c, const at_fit *f, bool others, double *w) {
    const int64_t m = f->x->columns;
    int64_t *rows = at_calloc(c, (size_t)f->n_classes, sizeof *rows);
    if (!rows) return AT_OOM;
    add_rows(f, w, rows);
    if (others) complement(f, w);
    for (int k = 0; k < f->n_classes; k++) {
        double *of = w + k * (m + 1), sum = 0;
        for (int64_t j = 0; j < m; j++) {
            if (of[j] < 0) of[j] = 0; /* a difference of equal sums, rounded */
            sum += of[j] + 1 / f->c;
        }
        const double log_sum = at_ln(sum);
        for (int64_t j = 0; j < m; j++) {
            const double v = at_ln(of[j] + 1 / f->c) - log_sum;
            of[j] = others ? -v : v;
        }
        of[m] = others ? 0 : at_ln((double)rows[k] / (double)f->x->n);
    }
    at_free(rows);
    return AT_OK;
}

static at_status fit_bayes(at_ctx *c, const at_fit *f, double *w) { return fit(c, f, false, w); }
static at_status fit_complement(at_ctx *c, const at_fit *f, double *w) {
    return fit(c, f, true, w);
}

const at_classifier at_classifier_bayes = {.name = "bayes",
                                           .help = "multinomial naive Bayes",
                                           .link = AT_LINK_SOFTMAX,
                                           .c = 1,
                                           .fit = fit_bayes};
const at_classifier at_classifier_complement_bayes = {.name = "complement-bayes",
                                                      .help = "complement naive Bayes",
                                                      .link = AT_LINK_SOFTMAX,
                                                      .c = 1,
                                                      .fit = fit_complement};
