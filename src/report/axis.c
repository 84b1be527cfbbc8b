/* axis.c - nice ticks: steps of 1, 2 or 5 times a power of ten; decades on logarithmic axes. */
#include "report/axis.h"
#include <math.h>
#include <stdio.h>
#include <string.h>

static void linear_ticks(at_axis *a, int wanted) {
    const double rough = (a->hi - a->lo) / (wanted > 1 ? wanted : 1);
    const double power = pow(10, floor(log10(rough)));
    const double lead = rough / power;
    a->step = (lead <= 1 ? 1 : lead <= 2 ? 2 : lead <= 5 ? 5 : 10) * power;
    /* multiples of the step by multiplication, so that zero is 0 and not 1e-17 */
    const double first = ceil(a->lo / a->step - 1e-9);
    while (a->n_ticks < AT_TICKS_MAX) {
        const double v = (first + a->n_ticks) * a->step;
        if (v > a->hi + 1e-9 * a->step) break;
        a->tick[a->n_ticks++] = v;
    }
}

static void log_ticks(at_axis *a) {
    const int first = (int)floor(log10(a->lo)), last = (int)ceil(log10(a->hi));
    const int stride = (last - first) / 8 + 1;
    const bool between = last - first <= 3; /* room for 2 and 5 */
    for (int e = first; e <= last; e += stride)
        for (int m = 1; m <= (between ? 5 : 1); m = m == 1 ? 2 : m + 3) {
            const double v = m * pow(10, e);
            if (v >= a->lo * (1 - 1e-9) && v <= a->hi * (1 + 1e-9) && a->n_ticks < AT_TICKS_MAX)
                a->tick[a->n_ticks++] = v;
        }
}

void at_axis_init(at_axis *a, double lo, double hi, bool log, double from, double to, int ticks) {
    *a = (at_axis){.from = from, .to = to};
    if (!(lo <= hi) || !isfinite(lo) || !isfinite(hi)) lo = 0, hi = 1;
    a->log = log && lo > 0;
    if (hi - lo <= fabs(hi) * 1e-9) { /* a single value sits in the middle */
        const double pad = lo != 0 ? fabs(lo) * 0.1 : 1;
        lo = a->log ? lo / 2 : lo - pad;
        hi = a->log ? hi * 2 : hi + pad;
    }
    a->lo = lo;
    a->hi = hi;
    if (a->log) log_ticks(a);
    if (a->n_ticks < 2) { /* less than a decade: linear ticks */
        a->n_ticks = 0;
        linear_ticks(a, ticks);
    }
}

double at_axis_place(const at_axis *a, double v) {
    const double share =
        a->log ? log(v / a->lo) / log(a->hi / a->lo) : (v - a->lo) / (a->hi - a->lo);
    return a->from + share * (a->to - a->from);
}

static const char *unit(double v, double *scale) {
    static const char *const name[] = {"", "k", "M", "G", "T"};
    int i = 0;
    *scale = 1;
    while (fabs(v) / *scale >= 1000 && i < 4) {
        *scale *= 1000;
        i++;
    }
    return name[i];
}

void at_axis_label(const at_axis *a, double v, char *out, size_t size) {
    if (v == 0) {
        (void)snprintf(out, size, "0");
        return;
    }
    const double most = fmax(fabs(a->lo), fabs(a->hi));
    double scale = 1;
    const char *suffix = "";
    if (a->step > 0) {
        if (most >= 10000) suffix = unit(most, &scale);
        if (most < 1e-3 || most >= 1e16) {
            (void)snprintf(out, size, "%.3g", v);
            return;
        }
        const double digits = ceil(-log10(a->step / scale) - 1e-9);
        (void)snprintf(out, size, "%.*f%s", digits > 0 ? (int)fmin(digits, 9) : 0, v / scale,
                       suffix);
        return;
    }
    if (v >= 1000) suffix = unit(v, &scale);
    (void)snprintf(out, size, "%.3g%s", v / scale, suffix);
}

void at_short_number(double v, char *out, size_t size) {
    double scale = 1;
    const char *suffix = fabs(v) >= 10000 && isfinite(v) ? unit(v, &scale) : "";
    (void)snprintf(out, size, "%.4g%s", v / scale, suffix);
}
