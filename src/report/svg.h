/*
 * svg.h - drawings for a page of html.h, as <figure> with inline SVG: lines, bars, matrices.
 *
 * Colours come from the page's style sheet, so that one drawing serves light and dark.  Series are
 * told apart by colour and, from the fifth on, by dashes; at most 8 look different.  Values that
 * are not finite are gaps.  Titles and labels may be NULL.
 */
#ifndef AT_SVG_H
#define AT_SVG_H
#include "base/text.h"

typedef struct at_series {
    const char *name;
    const double *x, *y; /* [n], in drawing order                                     */
    int64_t n;
    bool smooth; /* draw the values thin and their moving average over them   */
} at_series;

typedef struct at_chart {
    const char *title, *x_label, *y_label;
    bool log_x, log_y; /* ignored where the data is not above 0 */
    bool small;        /* half as wide: two stand side by side in at_html_row_begin */
    const at_series *series;
    int n_series;
} at_chart;

void at_svg_chart(at_text *t, const at_chart *given);

typedef struct at_bars {
    const char *title, *label; /* label: what the length means         */
    int n_groups, n_series;
    const char *const *group;  /* [n_groups]                           */
    const char *const *series; /* [n_series]                           */
    const double *value;       /* [n_groups, n_series], NaN: no bar    */
} at_bars;

/** Horizontal, from 0; negative values have no bar, only their number. */
void at_svg_bars(at_text *t, const at_bars *bars);

/** count [n, n]: rows are the truth, columns the prediction; shares are of the row. */
void at_svg_confusion(at_text *t, const char *title, int n, const char *const *label,
                      const double *count);

typedef struct at_tiles {
    const char *title;
    int rows, columns;
    const char *const *row;    /* [rows]                                                   */
    const char *const *column; /* [columns]                                                */
    const double *value;       /* [rows, columns], not below 0                             */
    const char *const *hint;   /* [rows, columns] shown when a reader points there, or NULL */
} at_tiles;

/** Small tiles without numbers: the largest value is the darkest. */
void at_svg_tiles(at_text *t, const at_tiles *m);

typedef struct at_heat {
    const char *title;
    int rows, columns;
    const char *const *row;    /* [rows]    */
    const char *const *column; /* [columns] */
    const double *value;       /* [rows, columns], NaN: an empty cell */
} at_heat;

/** The larger a value, the darker its cell: from the least to the largest. */
void at_svg_heat(at_text *t, const at_heat *h);

#endif
