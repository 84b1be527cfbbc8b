/* svg_heat.c - matrices as coloured cells: a confusion matrix, whose shade is the share of a cell in
   its row; numbers, whose shade is their place between the least and the largest. */
#include "report/html.h"
#include "report/svg.h"
#include <math.h>
#include <stdio.h>

enum { CELL_WIDE = 96, CELL_HIGH = 56, LEFT = 120, TOP = 48 };

static void square(at_text *t, double x, double y, double shade) {
    at_textf(t, "<rect class=\"back\" rx=\"4\" x=\"%.0f\" y=\"%.0f\" width=\"%d\" height=\"%d\"/>",
             x, y, CELL_WIDE - 4, CELL_HIGH - 4);
    at_textf(t,
             "<rect class=\"heat\" rx=\"4\" x=\"%.0f\" y=\"%.0f\" width=\"%d\" height=\"%d\" "
             "opacity=\"%.3f\"/>",
             x, y, CELL_WIDE - 4, CELL_HIGH - 4, shade);
}

static void cell(at_text *t, int row, int column, double count, double share) {
    const double x = LEFT + column * CELL_WIDE, y = TOP + row * CELL_HIGH;
    /* a dark cell has light text; even a single error has a visible shade */
    const char *on = share > 0.55 ? " on" : "";
    square(t, x, y, share > 0 ? 0.06 + 0.94 * share : 0);
    at_textf(t, "<text class=\"cell%s\" x=\"%.0f\" y=\"%.0f\">%.6g</text>", on,
             x + (CELL_WIDE - 4) / 2.0, y + (count > 0 ? 24 : 31), count);
    if (count > 0)
        at_textf(t, "<text class=\"share%s\" x=\"%.0f\" y=\"%.0f\">%.*f %%</text>", on,
                 x + (CELL_WIDE - 4) / 2.0, y + 41, share < 0.995 && share > 0.0995 ? 1 : 2,
                 100 * share);
    at_text_add(t, "\n");
}

static void begin(at_text *t, const char *title, int rows, int columns, const char *what) {
    at_text_add(t, "<figure class=\"scroll\">\n");
    if (title) {
        at_text_add(t, "<figcaption>");
        at_html_escape(t, title);
        at_text_add(t, "</figcaption>\n");
    }
    const int wide = LEFT + columns * CELL_WIDE, high = TOP + rows * CELL_HIGH;
    at_textf(t,
             "<svg viewBox=\"0 0 %d %d\" style=\"max-width:%dpx\" role=\"img\" "
             "aria-label=\"%s\">\n",
             wide, high, wide, what);
}

/* Over the columns, or beside the rows. */
static void names(at_text *t, int n, const char *const *label, bool columns) {
    for (int i = 0; i < n; i++) {
        if (columns)
            at_textf(t, "<text class=\"mid name\" x=\"%.0f\" y=\"%d\">",
                     LEFT + i * CELL_WIDE + (CELL_WIDE - 4) / 2.0, TOP - 12);
        else
            at_textf(t, "<text class=\"end name\" x=\"%d\" y=\"%.0f\">", LEFT - 12,
                     TOP + i * CELL_HIGH + CELL_HIGH / 2.0 + 2);
        at_html_escape(t, label[i]);
        at_text_add(t, "</text>\n");
    }
}

void at_svg_confusion(at_text *t, const char *title, int n, const char *const *label,
                      const double *count) {
    begin(t, title, n, n, "confusion matrix");
    at_textf(t, "<text class=\"mid\" x=\"%.0f\" y=\"14\">predicted</text>",
             LEFT + n * CELL_WIDE / 2.0);
    at_textf(t, "<text class=\"end\" x=\"%d\" y=\"%d\">true</text>\n", LEFT - 12, TOP - 12);
    names(t, n, label, true);
    names(t, n, label, false);
    for (int i = 0; i < n; i++) {
        double sum = 0;
        for (int j = 0; j < n; j++)
            if (isfinite(count[i * n + j])) sum += count[i * n + j];
        for (int j = 0; j < n; j++) {
            const double v = isfinite(count[i * n + j]) ? count[i * n + j] : 0;
            cell(t, i, j, v, sum > 0 ? v / sum : 0);
        }
    }
    at_text_add(t, "</svg>\n</figure>\n");
}

void at_svg_heat(at_text *t, const at_heat *h) {
    const int n = h->rows * h->columns;
    double low = (double)INFINITY, high = -(double)INFINITY;
    for (int i = 0; i < n; i++) {
        if (!isfinite(h->value[i])) continue;
        low = fmin(low, h->value[i]);
        high = fmax(high, h->value[i]);
    }
    begin(t, h->title, h->rows, h->columns, "heat map");
    names(t, h->columns, h->column, true);
    names(t, h->rows, h->row, false);
    for (int i = 0; i < n; i++) {
        const double v = h->value[i], share = high > low ? (v - low) / (high - low) : 0;
        const double x = LEFT + i % h->columns * CELL_WIDE;
        const double y = TOP + (double)(i / h->columns) * CELL_HIGH;
        square(t, x, y, isfinite(v) ? 0.06 + 0.94 * share : 0);
        if (!isfinite(v)) continue;
        at_textf(t, "<text class=\"cell%s\" x=\"%.0f\" y=\"%.0f\">%.4g</text>\n",
                 share > 0.55 ? " on" : "", x + (CELL_WIDE - 4) / 2.0, y + 31, v);
    }
    at_text_add(t, "</svg>\n</figure>\n");
}
