/* prune_page.c - a chart for each domain, then all numbers. */
#include "api/prune_page.h"
#include "base/file.h"
#include "report/html.h"
#include "report/svg.h"
#include <stdio.h>

static void draw_domain(at_text *t, const at_pruned *p, const at_prune_point *point, int64_t n,
                        int domain) {
    double x[AT_PRUNE_SCORES][AT_PRUNE_SHARES], y[AT_PRUNE_SCORES][AT_PRUNE_SHARES];
    at_series line[AT_PRUNE_SCORES];
    int lines = 0;
    for (int k = 0; k < AT_PRUNE_SCORES; k++) {
        int64_t m = 0;
        for (int64_t i = 0; i < n && m < AT_PRUNE_SHARES; i++) {
            if (point[i].domain != domain || (int)point[i].score != k) continue;
            x[k][m] = point[i].parameters;
            y[k][m++] = point[i].loss;
        }
        if (m) line[lines++] = (at_series){at_prune_score_name[k], x[k], y[k], m, false};
    }
    char title[120];
    (void)snprintf(title, sizeof title, "%.80s%s", p->domain[domain].name,
                   p->domain[domain].kept ? ", kept" : "");
    if (lines)
        at_svg_chart(t, &(at_chart){.title = title,
                                    .x_label = "parameters",
                                    .y_label = "loss, nats a token",
                                    .log_x = true,
                                    .small = true,
                                    .series = line,
                                    .n_series = lines});
}

static void draw_table(at_text *t, at_ctx *c, const at_pruned *p, const at_prune_point *point,
                       int64_t n) {
    enum { COLUMNS = 7 };
    static const char *const title[COLUMNS] = {
        "score", "share", "experts", "parameters", "domain", "loss", "increase, with interval"};
    char(*text)[64] = at_calloc(c, (size_t)n * COLUMNS + 1, sizeof *text);
    const char **cell = at_calloc(c, (size_t)n * COLUMNS + 1, sizeof *cell);
    for (int64_t i = 0; text && cell && i < n; i++) {
        const at_prune_point *q = &point[i];
        char(*to)[64] = text + i * COLUMNS;
        (void)snprintf(to[0], sizeof *to, "%s", at_prune_score_name[q->score]);
        (void)snprintf(to[1], sizeof *to, "%.1f %%", 100 * q->share);
        (void)snprintf(to[2], sizeof *to, "%lld", (long long)q->slots);
        (void)snprintf(to[3], sizeof *to, "%.0f", q->parameters);
        (void)snprintf(to[4], sizeof *to, "%.60s", p->domain[q->domain].name);
        (void)snprintf(to[5], sizeof *to, "%.4f", q->loss);
        (void)snprintf(to[6], sizeof *to, "%+.4f (%+.4f to %+.4f)", q->increase.mean,
                       q->increase.lo, q->increase.hi);
        for (int k = 0; k < COLUMNS; k++) cell[i * COLUMNS + k] = to[k];
    }
    if (text && cell) at_html_table(t, NULL, COLUMNS, title, (int)n, cell);
    if (!text || !cell) t->failed = AT_OOM;
    at_free(text);
    at_free(cell);
}

at_status at_prune_page_write(at_ctx *c, const at_pruned *p, const at_prune_point *point, int64_t n,
                              const char *path) {
    at_text t;
    char subtitle[512];
    at_text_init(&t, c, 0);
    (void)snprintf(subtitle, sizeof subtitle, "%.200s on %.200s", p->lm->path, p->data->path);
    at_html_begin(&t, "Loss against size, by pruning score", subtitle);
    at_html_text(
        &t,
        "Experts go in the order of a score, the lowest first, over all layers at once; every "
        "layer "
        "keeps those that a token uses. Scores are measured on text of the domains that are kept, "
        "losses on other text. Intervals are of 95 %, by the bootstrap over documents. Random is "
        "the "
        "control: a score that is no better says nothing.");
    at_html_row_begin(&t);
    for (int d = 0; d < p->data->n_domains; d++) draw_domain(&t, p, point, n, d);
    at_html_row_end(&t);
    draw_table(&t, c, p, point, n);
    at_html_end(&t);
    at_status s = t.failed;
    if (s == AT_OK) s = at_write_file(c, path, t.s, t.n);
    at_text_close(&t);
    return s;
}
