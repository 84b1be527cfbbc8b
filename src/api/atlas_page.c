/* atlas_page.c - what the page says: in short, a map for each router, experts with their tokens, and
   which of them are chosen together. */
#include "api/atlas_page.h"
#include "base/file.h"
#include "base/maths.h"
#include "report/html.h"
#include "report/svg.h"
#include <math.h>
#include <stdio.h>
#include <string.h>

enum { TOGETHER = 12, MOST_TOKENS = 32 };

typedef struct {
    at_ctx *c;
    const at_atlas_page *p;
    at_text t;
    int domains; /* that were read */
} page;

char *at_atlas_token(at_ctx *c, const at_tokenizer *t, int32_t id) {
    at_text text;
    size_t n = 0;
    const char *bytes = t ? at_tokenizer_bytes(t, id, &n) : NULL;
    at_text_init(&text, c, 0);
    if (bytes)
        at_text_utf8(&text, bytes, n);
    else
        at_textf(&text, "%d", (int)id);
    return at_text_take(&text);
}

/* ---- in short ---- */

static int64_t unused(const at_atlas_router *r) {
    int64_t n = 0;
    for (int64_t e = 0; e < r->e; e++) n += !(r->both[e * r->e + e] > 0);
    return n;
}

static void figures(page *g) {
    const at_atlas *a = g->p->atlas;
    double tokens = 0, information = 0, experts = 0, idle = 0;
    for (int d = 0; d < a->data->n_domains; d++) tokens += (double)a->tokens[d];
    for (int64_t i = 0; i < a->n; i++) {
        information += at_atlas_information(a, &a->router[i]) / (double)a->n;
        experts += (double)a->router[i].e;
        idle += (double)unused(&a->router[i]);
    }
    static const char *const label[] = {"tokens read", "routers", "experts", "unused experts",
                                        "information, of at most"};
    char value[5][48];
    const char *v[5];
    (void)snprintf(value[0], sizeof value[0], "%.0f", tokens);
    (void)snprintf(value[1], sizeof value[1], "%lld", (long long)a->n);
    (void)snprintf(value[2], sizeof value[2], "%.0f", experts);
    (void)snprintf(value[3], sizeof value[3], "%.0f", idle);
    (void)snprintf(value[4], sizeof value[4], "%.3f / %.3f nats", information,
                   at_ln((double)g->domains));
    for (int i = 0; i < 5; i++) v[i] = value[i];
    at_html_figures(&g->t, 5, label, v);
}

static void introduction(page *g) {
    at_html_text(
        &g->t, "A router chooses some experts for each token. A map below has a row for each "
               "domain and a column for each expert: the darker a cell, the larger the expert's "
               "share of what the tokens of this domain chose. Rows that look alike belong to "
               "domains that use the experts alike; a column with one dark cell is an expert that "
               "one domain has for itself. Point at a cell for its share, the 95 % interval of it, "
               "and the count.\n\n"
               "Information is that between expert and domain, each domain with equal weight: 0 "
               "when knowing the expert says nothing of the domain, the limit when it says all. "
               "Experts of a mixture that was trained jointly are usually not topical; read the "
               "number before the names.");
    const at_atlas *a = g->p->atlas;
    at_text_add(&g->t, "<p>Read: ");
    bool first = true;
    for (int d = 0; d < a->data->n_domains; d++) {
        if (!a->windows[d]) continue;
        if (!first) at_text_add(&g->t, ", ");
        first = false;
        at_html_escape(&g->t, a->data->domain[d].name);
        at_textf(&g->t, " %lld tokens in %lld windows", (long long)a->tokens[d],
                 (long long)a->windows[d]);
    }
    at_text_add(&g->t, ".</p>\n");
}

/* ---- a router ---- */

typedef struct {
    const char **row;
    char (*number)[24], (*hint)[96];
    const char **column, **note;
    double *value;
} map_memory;

static bool map_open(at_ctx *c, int rows, int64_t e, map_memory *m) {
    const size_t n = (size_t)rows * (size_t)e;
    *m = (map_memory){.row = at_calloc(c, (size_t)rows, sizeof *m->row),
                      .number = at_calloc(c, (size_t)e, sizeof *m->number),
                      .hint = at_calloc(c, n, sizeof *m->hint),
                      .column = at_calloc(c, (size_t)e, sizeof *m->column),
                      .note = at_calloc(c, n, sizeof *m->note),
                      .value = at_calloc(c, n, sizeof *m->value)};
    return m->row && m->number && m->hint && m->column && m->note && m->value;
}
static void map_close(map_memory *m) {
    at_free(m->row);
    at_free(m->number);
    at_free(m->hint);
    at_free(m->column);
    at_free(m->note);
    at_free(m->value);
}

static void fill_cell(const at_atlas *a, const at_atlas_router *r, int domain, int64_t e,
                      double *value, char *hint, size_t size) {
    double share, half;
    at_atlas_expert(a, r, e, domain, &share, &half);
    *value = 100 * share;
    (void)snprintf(hint, size, "expert %lld: %.2f %%, \xC2\xB1 %.2f, %.0f choices", (long long)e,
                   100 * share, 100 * half, r->slots[domain * r->e + e]);
}

static at_status draw_map(page *g, const at_atlas_router *r) {
    const at_atlas *a = g->p->atlas;
    map_memory m;
    char title[160];
    int rows = 0;
    if (!map_open(g->c, g->domains, r->e, &m)) {
        map_close(&m);
        return AT_OOM;
    }
    for (int64_t e = 0; e < r->e; e++) {
        (void)snprintf(m.number[e], sizeof m.number[e], "%lld", (long long)e);
        m.column[e] = m.number[e];
    }
    for (int d = 0; d < a->data->n_domains; d++) {
        if (!a->windows[d]) continue;
        m.row[rows] = a->data->domain[d].name;
        for (int64_t e = 0; e < r->e; e++) {
            const int64_t at = rows * r->e + e;
            fill_cell(a, r, d, e, &m.value[at], m.hint[at], sizeof m.hint[at]);
            m.note[at] = m.hint[at];
        }
        rows++;
    }
    (void)snprintf(title, sizeof title,
                   "Share of the choices, %%: information %.3f nats, %lld of %lld unused",
                   at_atlas_information(a, r), (long long)unused(r), (long long)r->e);
    at_svg_tiles(&g->t, &(at_tiles){.title = title,
                                    .rows = rows,
                                    .columns = (int)r->e,
                                    .row = m.row,
                                    .column = m.column,
                                    .value = m.value,
                                    .hint = m.note});
    map_close(&m);
    return AT_OK;
}

static void expert_row(page *g, const at_atlas_router *r, int64_t e) {
    const at_atlas *a = g->p->atlas;
    int32_t id[MOST_TOKENS];
    double part;
    const int home = at_atlas_home(a, r, e, &part);
    const int64_t want = g->p->tokens < MOST_TOKENS ? g->p->tokens : MOST_TOKENS;
    const int64_t n = at_atlas_tokens(a, r, e, want, id);
    at_textf(&g->t, "<tr><td class=\"num\">%lld</td><td>", (long long)e);
    at_html_escape(&g->t, home >= 0 ? a->data->domain[home].name : "nobody");
    at_textf(&g->t, "</td><td class=\"num\">%.0f %%</td><td class=\"num\">%.0f</td><td>",
             100 * part, r->both[e * r->e + e]);
    for (int64_t i = 0; i < n; i++) {
        char *token = at_atlas_token(g->c, g->p->tokenizer, id[i]);
        at_text_add(&g->t, i ? " <code>" : "<code>");
        if (token) at_html_escape(&g->t, token);
        at_text_add(&g->t, "</code>");
        at_free(token);
    }
    at_text_add(&g->t, "</td></tr>\n");
}

static void draw_experts(page *g, const at_atlas_router *r) {
    at_text_add(&g->t,
                "<details><summary>Its experts and the tokens that choose them beyond what is "
                "usual</summary><table>\n<thead><tr><th class=\"num\">expert</th><th>used "
                "most by</th><th class=\"num\">its part</th><th "
                "class=\"num\">tokens</th><th>tokens that choose it</th></tr></thead>\n<tbody>\n");
    for (int64_t e = 0; e < r->e; e++) expert_row(g, r, e);
    at_text_add(&g->t, "</tbody></table></details>\n");
}

/* The pairs that are chosen together most beyond chance. */
static void draw_company(page *g, const at_atlas_router *r) {
    struct {
        int64_t x, y;
        double lift;
    } best[TOGETHER];
    int n = 0;
    for (int64_t x = 0; x < r->e; x++)
        for (int64_t y = x + 1; y < r->e; y++) {
            const double lift = at_atlas_company(g->p->atlas, r, x, y);
            if (!(lift > 1) || r->both[x * r->e + y] < AT_ATLAS_SEEN) continue;
            if (n == TOGETHER && best[n - 1].lift >= lift) continue;
            int i = n < TOGETHER ? n++ : n - 1;
            for (; i > 0 && best[i - 1].lift < lift; i--) best[i] = best[i - 1];
            best[i].x = x;
            best[i].y = y;
            best[i].lift = lift;
        }
    if (!n) return;
    at_text_add(&g->t, "<p>Chosen together more often than by chance: ");
    for (int i = 0; i < n; i++)
        at_textf(&g->t, "%s%lld with %lld (%.1f times)", i ? ", " : "", (long long)best[i].x,
                 (long long)best[i].y, best[i].lift);
    at_text_add(&g->t, ".</p>\n");
}

static at_status draw_router(page *g, const at_atlas_router *r) {
    char title[96];
    (void)snprintf(title, sizeof title, "Layer %lld, %s: %lld of %lld experts a token",
                   (long long)r->id.layer,
                   r->id.kind == AT_LAYER_ATTENTION ? "attention" : "feed-forward", (long long)r->k,
                   (long long)r->e);
    at_html_heading(&g->t, title);
    const at_status s = draw_map(g, r);
    if (s != AT_OK) return s;
    if (r->k > 1) draw_company(g, r);
    draw_experts(g, r);
    return AT_OK;
}

at_status at_atlas_page_write(at_ctx *c, const at_atlas_page *p, const char *path) {
    page g = {.c = c, .p = p};
    char subtitle[512];
    at_status s = AT_OK;
    for (int d = 0; d < p->atlas->data->n_domains; d++) g.domains += p->atlas->windows[d] > 0;
    at_text_init(&g.t, c, 0);
    (void)snprintf(subtitle, sizeof subtitle, "%.200s on the %s split of %.200s", p->model,
                   p->split, p->atlas->data->path);
    at_html_begin(&g.t, "Atlas of experts", subtitle);
    figures(&g);
    introduction(&g);
    for (int64_t i = 0; i < p->atlas->n && s == AT_OK; i++)
        s = draw_router(&g, &p->atlas->router[i]);
    at_html_end(&g.t);
    if (s == AT_OK) s = g.t.failed;
    if (s == AT_OK) s = at_write_file(c, path, g.t.s, g.t.n);
    at_text_close(&g.t);
    return s;
}
