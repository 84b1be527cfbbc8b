/* svg_bars.c - grouped horizontal bars, each with its number. */
#include "report/axis.h"
#include "report/html.h"
#include "report/svg.h"
#include <math.h>

enum { WIDTH = 760, LEFT = 110, RIGHT = 70, BAR = 18, GAP = 4, BETWEEN = 18, COLOURS = 8 };

static double longest(const at_bars *b) {
    double most = 0;
    for (int i = 0; i < b->n_groups * b->n_series; i++)
        if (isfinite(b->value[i]) && b->value[i] > most) most = b->value[i];
    return most;
}

static void bar(at_text *t, const at_bars *b, int group, int series, double top, double most) {
    const double v = b->value[group * b->n_series + series];
    char number[32] = "\xE2\x80\x93"; /* a dash for what was not measured */
    if (isfinite(v)) at_short_number(v, number, sizeof number);
    const double length = isfinite(v) && v > 0 ? v / most * (WIDTH - LEFT - RIGHT) : 0;
    at_textf(
        t, "<rect class=\"f%d\" rx=\"3\" x=\"%d\" y=\"%.1f\" width=\"%.1f\" height=\"%d\"><title>",
        series % COLOURS, LEFT, top, length, BAR);
    at_html_escape(t, b->group[group]);
    at_text_add(t, ", ");
    at_html_escape(t, b->series[series]);
    at_textf(t, ": %s</title></rect><text class=\"name\" x=\"%.1f\" y=\"%.1f\">%s</text>\n", number,
             LEFT + length + 6, top + 13, number);
}

void at_svg_bars(at_text *t, const at_bars *b) {
    const int block = b->n_series * (BAR + GAP) - GAP + BETWEEN;
    const double most = longest(b);
    at_text_add(t, "<figure>\n");
    if (b->title) {
        at_text_add(t, "<figcaption>");
        at_html_escape(t, b->title);
        at_text_add(t, "</figcaption>\n");
    }
    at_text_add(t, "<ul class=\"legend\">");
    for (int k = 0; k < b->n_series; k++) {
        at_textf(t,
                 "<li><svg viewBox=\"0 0 26 10\" aria-hidden=\"true\"><rect class=\"f%d\" rx=\"3\" "
                 "width=\"24\" height=\"10\"/></svg>",
                 k % COLOURS);
        at_html_escape(t, b->series[k]);
        at_text_add(t, "</li>");
    }
    at_text_add(t, "</ul>\n");
    at_textf(t, "<svg viewBox=\"0 0 %d %d\" role=\"img\" aria-label=\"", WIDTH,
             b->n_groups * block + (b->label ? 14 : 0));
    at_html_escape(t, b->title ? b->title : "bar chart");
    at_text_add(t, "\">\n");
    for (int i = 0; i < b->n_groups; i++) {
        const double top = i * block;
        at_textf(t, "<text class=\"end name\" x=\"%d\" y=\"%.1f\">", LEFT - 10,
                 top + (block - BETWEEN) / 2.0 + 4);
        at_html_escape(t, b->group[i]);
        at_text_add(t, "</text>\n");
        for (int k = 0; k < b->n_series; k++) bar(t, b, i, k, top + k * (BAR + GAP), most);
    }
    if (b->label) {
        at_textf(t, "<text x=\"%d\" y=\"%d\">", LEFT, b->n_groups * block + 8);
        at_html_escape(t, b->label);
        at_text_add(t, "</text>\n");
    }
    at_text_add(t, "</svg>\n</figure>\n");
}
