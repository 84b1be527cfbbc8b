/* svg_tiles.c - a matrix of many numbers as small tiles: the larger a value, the darker its tile. */
#include "report/html.h"
#include "report/svg.h"
#include <math.h>

enum { WIDE = 26, HIGH = 24, GAP = 2, LEFT = 110, TOP = 24 };

static void label(at_text *t, const char *class, int x, int y, const char *text) {
    at_textf(t, "<text class=\"%s\" x=\"%d\" y=\"%d\">", class, x, y);
    at_html_escape(t, text);
    at_text_add(t, "</text>\n");
}

/* A tile at the top of the scale is full; what is above zero can be seen. */
static void tile(at_text *t, int x, int y, double shade, const char *hint) {
    at_textf(t, "<g><title>");
    if (hint) at_html_escape(t, hint);
    at_textf(t, "</title><rect class=\"back\" x=\"%d\" y=\"%d\" width=\"%d\" height=\"%d\"/>", x, y,
             WIDE - GAP, HIGH - GAP);
    if (shade > 0)
        at_textf(t,
                 "<rect class=\"heat\" x=\"%d\" y=\"%d\" width=\"%d\" height=\"%d\" "
                 "opacity=\"%.3f\"/>",
                 x, y, WIDE - GAP, HIGH - GAP, 0.08 + 0.92 * shade);
    at_text_add(t, "</g>\n");
}

void at_svg_tiles(at_text *t, const at_tiles *m) {
    const int wide = LEFT + m->columns * WIDE, high = TOP + m->rows * HIGH;
    double most = 0;
    for (int i = 0; i < m->rows * m->columns; i++)
        if (isfinite(m->value[i])) most = fmax(most, m->value[i]);
    at_text_add(t, "<figure class=\"scroll\">\n");
    if (m->title) {
        at_text_add(t, "<figcaption>");
        at_html_escape(t, m->title);
        at_text_add(t, "</figcaption>\n");
    }
    at_textf(t,
             "<svg viewBox=\"0 0 %d %d\" style=\"width:%dpx\" role=\"img\" aria-label=\"tiles\">\n",
             wide, high, wide);
    for (int j = 0; j < m->columns; j++)
        label(t, "mid", LEFT + j * WIDE + (WIDE - GAP) / 2, TOP - 8, m->column[j]);
    for (int i = 0; i < m->rows; i++) {
        label(t, "end name", LEFT - 10, TOP + i * HIGH + HIGH / 2 + 3, m->row[i]);
        for (int j = 0; j < m->columns; j++) {
            const int at = i * m->columns + j;
            const double v = m->value[at];
            tile(t, LEFT + j * WIDE, TOP + i * HIGH, v > 0 && most > 0 ? v / most : 0,
                 m->hint ? m->hint[at] : NULL);
        }
    }
    at_text_add(t, "</svg>\n</figure>\n");
}
