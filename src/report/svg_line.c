/* svg_line.c - line charts. */
#include "report/axis.h"
#include "report/html.h"
#include "report/svg.h"
#include <math.h>

enum { WIDTH = 760, HEIGHT = 320, SMALL_WIDTH = 440, SMALL_HEIGHT = 230 };
enum { LEFT = 58, RIGHT = 14, TOP = 22, BOTTOM = 44, COLOURS = 8 };
enum { MARKED = 40 }; /* up to so many points get a dot each */

typedef struct range {
    double lo, hi, least; /* least above 0 */
} range;

static void widen(range *r, double v) {
    if (v < r->lo) r->lo = v;
    if (v > r->hi) r->hi = v;
    if (v > 0 && v < r->least) r->least = v;
}

static bool drawable(const at_chart *c, double x, double y) {
    return isfinite(x) && isfinite(y) && (!c->log_x || x > 0) && (!c->log_y || y > 0);
}

static void caption(at_text *t, const char *title) {
    if (!title) return;
    at_text_add(t, "<figcaption>");
    at_html_escape(t, title);
    at_text_add(t, "</figcaption>\n");
}

/* Names with the last value of each. */
static void legend(at_text *t, const at_chart *c) {
    at_text_add(t, "<ul class=\"legend\">");
    for (int k = 0; k < c->n_series; k++) {
        const at_series *s = &c->series[k];
        at_textf(t,
                 "<li><svg viewBox=\"0 0 26 10\" aria-hidden=\"true\"><path class=\"line s%d\" "
                 "d=\"M1 5H25\"/></svg>",
                 k % COLOURS);
        at_html_escape(t, s->name ? s->name : "");
        for (int64_t i = s->n - 1; i >= 0; i--)
            if (drawable(c, s->x[i], s->y[i])) {
                char last[32];
                at_short_number(s->y[i], last, sizeof last);
                at_textf(t, "<b>%s</b>", last);
                break;
            }
        at_text_add(t, "</li>");
    }
    at_text_add(t, "</ul>\n");
}

static void grid(at_text *t, const at_chart *c, const at_axis *x, const at_axis *y) {
    const int right = (int)x->to, bottom = (int)y->from;
    char label[32];
    for (int i = 0; i < y->n_ticks; i++) {
        const double at = at_axis_place(y, y->tick[i]);
        at_axis_label(y, y->tick[i], label, sizeof label);
        at_textf(t,
                 "<path class=\"grid\" d=\"M%d %.1fH%d\"/><text class=\"end\" x=\"%d\" "
                 "y=\"%.1f\">%s</text>\n",
                 LEFT, at, right, LEFT - 8, at + 4, label);
    }
    for (int i = 0; i < x->n_ticks; i++) {
        const double at = at_axis_place(x, x->tick[i]);
        at_axis_label(x, x->tick[i], label, sizeof label);
        at_textf(t,
                 "<path class=\"axis\" d=\"M%.1f %dv4\"/><text class=\"mid\" x=\"%.1f\" "
                 "y=\"%d\">%s</text>\n",
                 at, bottom, at, bottom + 18, label);
    }
    at_textf(t, "<path class=\"axis\" d=\"M%d %dH%d\"/>\n", LEFT, bottom, right);
    if (c->x_label) {
        at_textf(t, "<text class=\"end\" x=\"%d\" y=\"%d\">", right, bottom + BOTTOM - 6);
        at_html_escape(t, c->x_label);
        at_text_add(t, "</text>\n");
    }
    if (c->y_label) {
        at_textf(t, "<text x=\"%d\" y=\"%d\">", 0, TOP - 10);
        at_html_escape(t, c->y_label);
        at_text_add(t, "</text>\n");
    }
}

/* Weighted mean of the drawable values within `half` places on either side, near ones counting
   more. Towards the ends the window shrinks symmetrically, so that the line is not biased. */
static double around(const at_chart *c, const at_series *s, int64_t i, int64_t half) {
    if (i < half) half = i;
    if (s->n - 1 - i < half) half = s->n - 1 - i;
    double sum = 0, weights = 0;
    for (int64_t j = i - half; j <= i + half; j++) {
        if (!drawable(c, s->x[j], s->y[j])) continue;
        const double weight = (double)(half + 1 - (j < i ? i - j : j - i));
        sum += weight * s->y[j];
        weights += weight;
    }
    return sum / weights;
}

static void path(at_text *t, const at_chart *c, const at_series *s, const char *class, int colour,
                 int64_t half, const at_axis *x, const at_axis *y) {
    bool down = false;
    at_textf(t, "<path class=\"%s s%d\" d=\"", class, colour);
    for (int64_t i = 0; i < s->n; i++) {
        if (!drawable(c, s->x[i], s->y[i])) {
            down = false;
            continue;
        }
        at_textf(t, "%c%.1f %.1f", down ? 'L' : 'M', at_axis_place(x, s->x[i]),
                 at_axis_place(y, around(c, s, i, half)));
        down = true;
    }
    at_text_add(t, "\"/>\n");
}

static void dots(at_text *t, const at_chart *c, const at_series *s, int colour, const at_axis *x,
                 const at_axis *y) {
    for (int64_t i = 0; i < s->n; i++) {
        if (!drawable(c, s->x[i], s->y[i])) continue;
        char at[32], value[32];
        at_short_number(s->x[i], at, sizeof at);
        at_short_number(s->y[i], value, sizeof value);
        at_textf(t, "<circle class=\"f%d\" r=\"3\" cx=\"%.1f\" cy=\"%.1f\"><title>", colour,
                 at_axis_place(x, s->x[i]), at_axis_place(y, s->y[i]));
        at_html_escape(t, s->name ? s->name : "");
        at_textf(t, " (%s, %s)</title></circle>\n", at, value);
    }
}

static void plot(at_text *t, const at_chart *c, const range *rx, const range *ry) {
    at_axis x, y;
    const int wide = c->small ? SMALL_WIDTH : WIDTH, high = c->small ? SMALL_HEIGHT : HEIGHT;
    const double pad = c->log_y ? 0 : 0.04 * (ry->hi - ry->lo);
    double low = ry->lo - pad;
    if (ry->lo >= 0 && low < 0)
        low = 0; /* no negative part of the axis for values that are never negative */
    at_axis_init(&x, rx->lo, rx->hi, c->log_x, LEFT, wide - RIGHT, c->small ? 4 : 7);
    at_axis_init(&y, low, ry->hi + pad, c->log_y, high - BOTTOM, TOP, c->small ? 4 : 5);
    at_textf(t, "<svg viewBox=\"0 0 %d %d\" role=\"img\" aria-label=\"", wide, high);
    at_html_escape(t, c->title ? c->title : "line chart");
    at_text_add(t, "\">\n");
    grid(t, c, &x, &y);
    for (int k = 0; k < c->n_series; k++) {
        const at_series *s = &c->series[k];
        const bool smooth = s->smooth && s->n > MARKED;
        if (smooth) path(t, c, s, "raw", k % COLOURS, 0, &x, &y);
        path(t, c, s, "line", k % COLOURS, smooth ? 2 + s->n / 40 : 0, &x, &y);
        if (s->n <= MARKED) dots(t, c, s, k % COLOURS, &x, &y);
    }
    at_text_add(t, "</svg>\n");
}

void at_svg_chart(at_text *t, const at_chart *given) {
    at_chart c = *given;
    range rx = {(double)INFINITY, -(double)INFINITY, (double)INFINITY}, ry = rx;
    /* a logarithmic axis leaves out values that are not above 0; if none is, the axis is linear */
    for (int k = 0; k < c.n_series; k++)
        for (int64_t i = 0; i < c.series[k].n; i++)
            if (isfinite(c.series[k].x[i]) && isfinite(c.series[k].y[i])) {
                widen(&rx, c.series[k].x[i]);
                widen(&ry, c.series[k].y[i]);
            }
    if (c.log_x && isfinite(rx.least))
        rx.lo = rx.least;
    else
        c.log_x = false;
    if (c.log_y && isfinite(ry.least))
        ry.lo = ry.least;
    else
        c.log_y = false;
    at_text_add(t, "<figure>\n");
    caption(t, c.title);
    legend(t, &c);
    if (rx.lo <= rx.hi)
        plot(t, &c, &rx, &ry);
    else
        at_text_add(t, "<p class=\"sub\">No data.</p>\n");
    at_text_add(t, "</figure>\n");
}
