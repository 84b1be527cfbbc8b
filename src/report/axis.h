/* axis.h - maps numbers to positions in a drawing, and chooses round numbers as ticks. */
#ifndef AT_AXIS_H
#define AT_AXIS_H
#include <stdbool.h>
#include <stddef.h>

enum { AT_TICKS_MAX = 24 };

typedef struct at_axis {
    bool log;
    double lo, hi;   /* range of the data, widened; lo < hi                    */
    double from, to; /* positions of lo and hi in the drawing                  */
    double tick[AT_TICKS_MAX];
    int n_ticks;
    double step; /* between ticks; 0 on a logarithmic axis                 */
} at_axis;

/** Widens an empty range or a single point; log falls back to linear unless 0 < lo. */
void at_axis_init(at_axis *a, double lo, double hi, bool log, double from, double to, int ticks);
double at_axis_place(const at_axis *a, double v);
/** "0.25", "1.5k", "30M": with as many digits as distinguish neighbouring ticks. */
void at_axis_label(const at_axis *a, double v, char *out, size_t size);
/** A number for readers: 4 significant digits, k M G T above 10,000. */
void at_short_number(double v, char *out, size_t size);

#endif
