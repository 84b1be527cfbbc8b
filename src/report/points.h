/* points.h - reads curves from a metrics file and thins them for drawing. */
#ifndef AT_POINTS_H
#define AT_POINTS_H
#include "base/ctx.h"

enum { AT_POINTS_DRAWN = 600 }; /* more cannot be seen on a chart */

typedef struct at_points {
    double *x, *y;
    int64_t n, x_cap, y_cap;
} at_points;

/** One curve to read: y over x in the lines of a domain ("domain" field).  domain NULL: lines that
    name none, or "all". */
typedef struct at_curve {
    const char *x, *y, *domain;
    at_points points;
} at_curve;

at_status at_points_add(at_ctx *c, at_points *p, double x, double y);
void at_points_free(at_points *p);
/** Reads all curves in one pass over the file, adding to the points they have.  Lines without both
    numbers are skipped. */
at_status at_curves_read(at_ctx *c, const char *path, at_curve *curve, int n);
/** At most `most` points, first and last included, chosen so that the picture stays the same
    (largest triangles: S. Steinarsson, "Downsampling time series for visual representation"). */
void at_points_thin(at_points *p, int64_t most);

#endif
