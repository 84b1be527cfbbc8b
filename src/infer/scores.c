/* scores.c - sums over rows, taken in their order. */
#include "infer/scores.h"
#include "base/maths.h"
#include <math.h>

at_status at_scores_open(at_ctx *c, int64_t classes, at_scores *out) {
    *out = (at_scores){.classes = classes};
    out->confusion = at_calloc(c, (size_t)(classes * classes), sizeof *out->confusion);
    out->p = at_calloc(c, (size_t)classes, sizeof *out->p);
    return out->confusion && out->p ? AT_OK : AT_OOM;
}

void at_scores_close(at_scores *s) {
    at_free(s->confusion);
    at_free(s->p);
    *s = (at_scores){0};
}

int64_t at_class_probabilities(const at_real *logits, int64_t n, double *p) {
    int64_t best = 0;
    double sum = 0;
    for (int64_t i = 1; i < n; i++)
        if (logits[i] > logits[best]) best = i;
    for (int64_t i = 0; i < n; i++) sum += p[i] = at_exp((double)logits[i] - (double)logits[best]);
    for (int64_t i = 0; i < n; i++) p[i] /= sum;
    return best;
}

void at_scores_class(at_scores *s, const at_real *logits, int32_t truth) {
    const int64_t best = at_class_probabilities(logits, s->classes, s->p);
    int bin = (int)(s->p[best] * AT_SCORE_BINS);
    if (bin >= AT_SCORE_BINS) bin = AT_SCORE_BINS - 1;
    s->n++;
    s->bin_n[bin]++;
    s->bin_p[bin] += s->p[best];
    s->bin_right[bin] += best == truth;
    if (truth < 0) {
        s->unknown++;
        return;
    }
    s->confusion[truth * s->classes + best]++;
    s->accuracy += best == truth;
    s->loss -= at_ln(s->p[truth] > 1e-300 ? s->p[truth] : 1e-300);
}

void at_scores_number(at_scores *s, double found, double truth) {
    const double off = found - truth, from = truth - s->truth_mean;
    s->n++;
    s->loss += off * off;
    s->mae += fabs(off);
    s->truth_mean += from / (double)s->n;
    s->truth_squares += from * (truth - s->truth_mean);
}

/* Wilson's interval of a share. */
static void interval(double share, double n, double *low, double *high) {
    const double z = 1.959963984540054, w = z * z / n;
    const double middle = (share + w / 2) / (1 + w);
    const double half = z / (1 + w) * sqrt(share * (1 - share) / n + w / n / 4);
    *low = middle > half ? middle - half : 0;
    *high = middle + half < 1 ? middle + half : 1;
}

static double macro_f1(const at_scores *s) {
    const int64_t C = s->classes;
    double sum = 0;
    int64_t some = 0;
    for (int64_t i = 0; i < C; i++) {
        int64_t row = 0, column = 0;
        for (int64_t j = 0; j < C; j++) {
            row += s->confusion[i * C + j];
            column += s->confusion[j * C + i];
        }
        if (!(row + column)) continue;
        sum += 2 * (double)s->confusion[i * C + i] / (double)(row + column);
        some++;
    }
    return some ? sum / (double)some : 0;
}

void at_scores_finish(at_scores *s) {
    const double n = (double)s->n, known = (double)(s->n - s->unknown);
    if (!s->n) return;
    if (!s->classes) {
        s->r2 = s->truth_squares > 0 ? 1 - s->loss / s->truth_squares : 0;
        s->loss /= n;
        s->rmse = sqrt(s->loss);
        s->mae /= n;
        return;
    }
    s->accuracy /= n;
    s->loss = known > 0 ? s->loss / known : 0;
    interval(s->accuracy, n, &s->low, &s->high);
    s->macro_f1 = macro_f1(s);
    for (int b = 0; b < AT_SCORE_BINS; b++) {
        if (!s->bin_n[b]) continue;
        s->ece += fabs(s->bin_right[b] - s->bin_p[b]) / n;
        s->bin_right[b] /= (double)s->bin_n[b];
        s->bin_p[b] /= (double)s->bin_n[b];
    }
}

static void put_bins(const at_scores *s, at_json *j) {
    at_json_begin_list(j, "calibration");
    for (int b = 0; b < AT_SCORE_BINS; b++) {
        if (!s->bin_n[b]) continue;
        at_json_begin_object(j, NULL);
        at_json_put_number(j, "rows", (double)s->bin_n[b]);
        at_json_put_number(j, "probability", s->bin_p[b]);
        at_json_put_number(j, "right", s->bin_right[b]);
        at_json_end(j);
    }
    at_json_end(j);
}

void at_scores_write(const at_scores *s, char *const *names, at_json *j) {
    at_json_put_number(j, "rows", (double)s->n);
    if (!s->classes) {
        at_json_put_number(j, "rmse", s->rmse);
        at_json_put_number(j, "mae", s->mae);
        at_json_put_number(j, "r2", s->r2);
        return;
    }
    at_json_put_number(j, "accuracy", s->accuracy);
    at_json_put_numbers(j, "interval", (double[]){s->low, s->high}, 2);
    at_json_put_number(j, "macro_f1", s->macro_f1);
    at_json_put_number(j, "log_loss", s->loss);
    at_json_put_number(j, "ece", s->ece);
    at_json_put_number(j, "unknown_class", (double)s->unknown);
    at_json_begin_list(j, "classes");
    for (int64_t i = 0; i < s->classes; i++) at_json_put_string(j, NULL, names[i]);
    at_json_end(j);
    at_json_begin_list(j, "confusion");
    for (int64_t i = 0; i < s->classes; i++) {
        at_json_begin_list(j, NULL);
        for (int64_t k = 0; k < s->classes; k++)
            at_json_put_number(j, NULL, (double)s->confusion[i * s->classes + k]);
        at_json_end(j);
    }
    at_json_end(j);
    put_bins(s, j);
}
