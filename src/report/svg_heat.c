/* svg_heat.c - a confusion matrix: the share of a cell in its row as its shade, the count as a
   number. */
#include "report/html.h"
#include "report/svg.h"
#include <math.h>
#include <stdio.h>

enum { CELL_WIDE = 96, CELL_HIGH = 56, LEFT = 120, TOP = 48 };

static void cell(at_text *t, int row, int column, double count, double share) {
    const double x = LEFT + column * CELL_WIDE, y = TOP + row * CELL_HIGH;
    /* a dark cell has light text; even a single error has a visible shade */
    const char *on = share > 0.55 ? " on" : "";
    const double shade = share > 0 ? 0.06 + 0.94 * share : 0;
    at_textf(t, "<rect class=\"back\" rx=\"4\" x=\"%.0f\" y=\"%.0f\" width=\"%d\" height=\"%d\"/>",
             x, y, CELL_WIDE - 4, CELL_HIGH - 4);
    at_textf(t,
             "<rect class=\"heat\" rx=\"4\" x=\"%.0f\" y=\"%.0f\" width=\"%d\" height=\"%d\" "
             "opacity=\"%.3f\"/>",
             x, y, CELL_WIDE - 4, CELL_HIGH - 4, shade);
    at_textf(t, "<text class=\"cell%s\" x=\"%.0f\" y=\"%.0f\">%.6g</text>", on,
             x + (CELL_WIDE - 4) / 2.0, y + (count > 0 ? 24 : 31), count);
    if (count > 0)
        at_textf(t, "<text class=\"share%s\" x=\"%.0f\" y=\"%.0f\">%.*f %%</text>", on,
                 x + (CELL_WIDE - 4) / 2.0, y + 41, share < 0.995 && share > 0.0995 ? 1 : 2,
                 100 * share);
    at_text_add(t, "\n");
}

void at_svg_confusion(at_text *t, const char *title, int n, const char *const *label,
                      const double *count) {
    at_text_add(t, "<figure class=\"scroll\">\n");
    if (title) {
        at_text_add(t, "<figcaption>");
        at_html_escape(t, title);
        at_text_add(t, "</figcaption>\n");
    }
    const int wide = LEFT + n * CELL_WIDE, high = TOP + n * CELL_HIGH;
    at_textf(t,
             "<svg viewBox=\"0 0 %d %d\" style=\"max-width:%dpx\" role=\"img\" "
             "aria-label=\"confusion matrix\">\n",
             wide, high, wide);
    at_textf(t, "<text class=\"mid\" x=\"%.0f\" y=\"14\">predicted</text>",
             LEFT + n * CELL_WIDE / 2.0);
    at_textf(t, "<text class=\"end\" x=\"%d\" y=\"%d\">true</text>\n", LEFT - 12, TOP - 12);
    for (int i = 0; i < n; i++) {
        at_textf(t, "<text class=\"mid name\" x=\"%.0f\" y=\"%d\">",
                 LEFT + i * CELL_WIDE + (CELL_WIDE - 4) / 2.0, TOP - 12);
        at_html_escape(t, label[i]);
        at_textf(t, "</text><text class=\"end name\" x=\"%d\" y=\"%.0f\">", LEFT - 12,
                 TOP + i * CELL_HIGH + CELL_HIGH / 2.0 + 2);
        at_html_escape(t, label[i]);
        at_text_add(t, "</text>\n");
    }
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
