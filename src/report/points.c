/* points.c - reading and thinning curves. */
#include "report/points.h"
#include "report/jsonl.h"
#include <math.h>
#include <string.h>

at_status at_points_add(at_ctx *c, at_points *p, double x, double y) {
    if (!at_reserve(c, &p->x, &p->x_cap, p->n + 1, sizeof *p->x) ||
        !at_reserve(c, &p->y, &p->y_cap, p->n + 1, sizeof *p->y))
        return AT_OOM;
    p->x[p->n] = x;
    p->y[p->n++] = y;
    return AT_OK;
}

void at_points_free(at_points *p) {
    at_free(p->x);
    at_free(p->y);
    *p = (at_points){0};
}

static bool of_domain(const cJSON *line, const char *domain) {
    const char *found = at_jsonl_string(line, "domain");
    if (!domain) return !found || !strcmp(found, "all");
    return found && !strcmp(found, domain);
}

at_status at_curves_read(at_ctx *c, const char *path, at_curve *curve, int n) {
    at_jsonl j;
    at_status s = at_jsonl_open(c, path, &j);
    while (!s) {
        cJSON *line;
        s = at_jsonl_next(c, &j, &line);
        if (s || !line) break;
        for (int k = 0; !s && k < n; k++) {
            double x, y;
            if (of_domain(line, curve[k].domain) && at_jsonl_number(line, curve[k].x, &x) &&
                at_jsonl_number(line, curve[k].y, &y))
                s = at_points_add(c, &curve[k].points, x, y);
        }
        cJSON_Delete(line);
    }
    at_jsonl_close(&j);
    return s;
}

void at_points_thin(at_points *p, int64_t most) {
    if (p->n <= most || most < 3) return;
    const double width = (double)(p->n - 2) / (double)(most - 2); /* points a bucket */
    int64_t kept = 1;                                             /* in place: kept <= first */
    for (int64_t b = 0; b < most - 2; b++) {
        const int64_t first = 1 + (int64_t)((double)b * width);
        const int64_t next = 1 + (int64_t)((double)(b + 1) * width);
        const int64_t after = b + 2 < most - 1 ? 1 + (int64_t)((double)(b + 2) * width) : p->n;
        double mx = 0, my = 0; /* the middle of the bucket after this one */
        for (int64_t i = next; i < after; i++) mx += p->x[i], my += p->y[i];
        mx /= (double)(after - next);
        my /= (double)(after - next);
        const double ax = p->x[kept - 1], ay = p->y[kept - 1];
        int64_t best = first;
        double largest = -1;
        for (int64_t i = first; i < next; i++) {
            const double area = fabs((ax - mx) * (p->y[i] - ay) - (ax - p->x[i]) * (my - ay));
            if (area > largest) largest = area, best = i;
        }
        p->x[kept] = p->x[best];
        p->y[kept++] = p->y[best];
    }
    p->x[kept] = p->x[p->n - 1];
    p->y[kept++] = p->y[p->n - 1];
    p->n = kept;
}
