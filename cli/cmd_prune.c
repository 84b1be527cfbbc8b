/* cmd_prune.c - artel prune MODEL -o OUT --data DIR --keep fr,py, or --frontier. */
#include "artel.h"
#include "opt.h"
#include "printable.h"
#include "table.h"
#include "ui.h"
#include "verbs.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const column domains[] = {{"domain", "domain", -16, CELL_TEXT, 16, 0, NULL},
                                 {"tokens", "tokens", 9, CELL_NUMBER, 0, 0, NULL},
                                 {"loss_before", "before", 9, CELL_NUMBER, 4, 0, NULL},
                                 {"loss_after", "after", 9, CELL_NUMBER, 4, 0, NULL},
                                 {"increase", "increase", 10, CELL_NUMBER, 4, 0, NULL},
                                 {"increase_low", "from", 9, CELL_NUMBER, 4, 0, NULL},
                                 {"increase_high", "to", 9, CELL_NUMBER, 4, 0, NULL},
                                 {0}};
static const column points[] = {{"score", "score", -7, CELL_TEXT, 7, 0, NULL},
                                {"share", "share", 8, CELL_NUMBER, 1, 100, " %"},
                                {"experts", "experts", 8, CELL_NUMBER, 0, 0, NULL},
                                {"bytes", "file", 10, CELL_BYTES, 0, 0, NULL},
                                {"domain", "domain", -16, CELL_TEXT, 16, 0, NULL},
                                {"loss", "loss", 9, CELL_NUMBER, 4, 0, NULL},
                                {"increase", "increase", 10, CELL_NUMBER, 4, 0, NULL},
                                {"increase_low", "from", 9, CELL_NUMBER, 4, 0, NULL},
                                {"increase_high", "to", 9, CELL_NUMBER, 4, 0, NULL},
                                {0}};

static void draw(void *user, const char *json) {
    (void)user;
    cJSON *o = printable_row(json, stdout);
    table_draw(domains, cJSON_GetObjectItemCaseSensitive(o, "domains"));
    printf("%s: %.0f of %.0f experts are left, %s of %s\n", row_text(o, "model"),
           row_number(o, "experts_after"), row_number(o, "experts_before"),
           ui_bytes(row_number(o, "bytes_after")), ui_bytes(row_number(o, "bytes_before")));
    if (!strcmp(row_text(o, "certificate"), "bit-identical"))
        printf("certificate: every answer on the text of the domains that are kept is the same to "
               "the bit\n");
    else
        printf("certificate: measured, on the split %s; intervals of 95 %% over documents\n",
               row_text(o, "measured_on"));
    cJSON_Delete(o);
}

static void draw_point(void *user, const char *json) {
    bool *begun = user;
    cJSON *o = printable_row(json, stdout);
    if (!*begun) table_head(points);
    *begun = true;
    table_row(points, o);
    cJSON_Delete(o);
}

/* "60MB" -> bytes, 0 for none; below 0: it is no size. */
static double read_bytes(const char *text) {
    static const struct {
        const char *unit;
        double factor;
    } units[] = {{"", 1},     {"B", 1},       {"kB", 1e3},      {"KB", 1e3},          {"MB", 1e6},
                 {"GB", 1e9}, {"KiB", 1024.}, {"MiB", 1048576}, {"GiB", 1073741824.0}};
    if (!*text) return 0;
    char *end;
    const double v = strtod(text, &end);
    while (*end == ' ') end++;
    for (size_t i = 0; i < sizeof units / sizeof *units && end != text && v > 0; i++)
        if (!strcmp(end, units[i].unit)) return v * units[i].factor;
    return -1;
}

/* "1%" -> 0.01, 0 for none; below 0: it is no percentage. */
static double read_percent(const char *text) {
    if (!*text) return 0;
    char *end;
    const double v = strtod(text, &end);
    return end != text && v > 0 && !strcmp(end, "%") ? v / 100 : -1;
}

typedef struct {
    ui u;
    artel_prune_options o;
    const char *data, *out, *budget, *most;
    opt_list keep, require;
    bool frontier, renormalise;
} given;

static int check(given *g) {
    g->o.budget = read_bytes(g->budget);
    g->o.max_loss_increase = read_percent(g->most);
    if (g->o.budget < 0)
        return ui_usage("prune", "--budget %s: expected a size such as 60MB", g->budget);
    if (g->o.max_loss_increase < 0)
        return ui_usage("prune", "--max-loss-increase %s: expected a percentage such as 1%%",
                        g->most);
    if (!g->frontier && !*g->out) return ui_usage("prune", "--output: a folder for the new model");
    if (g->frontier && g->require.n)
        return ui_usage("prune", "--frontier makes no model: no --require");
    return -1;
}

static int run(given *g, const char *model) {
    bool begun = false;
    artel_status s = ARTEL_OOM;
    if (!ui_open(&g->u, "prune")) return 1;
    g->o.renormalise = g->renormalise;
    g->o.seed = g->u.seed < 0 ? 0 : (uint64_t)g->u.seed;
    if (opt_list_split(&g->keep) && opt_list_split(&g->require)) {
        g->o.keep = (const char *const *)g->keep.item;
        g->o.n_keep = g->keep.n;
        g->o.require = (const char *const *)g->require.item;
        g->o.n_require = g->require.n;
        s = g->frontier
                ? artel_prune_frontier(g->u.a, model, g->data, &g->o, *g->out ? g->out : NULL,
                                       g->u.json ? ui_json : draw_point, &begun)
                : artel_prune(g->u.a, model, g->data, &g->o, g->out, g->u.json ? ui_json : draw,
                              NULL);
    }
    return ui_close(&g->u, s);
}

int cmd_prune(int argc, char **argv) {
    given g = {0};
    const opt table[] = {
        {"output", 'o', OPT_STRING, &g.out, "", "OUT",
         "folder of the new model; --frontier: a page, or none", 0, 0},
        {"data", 'd', OPT_STRING, &g.data, OPT_REQUIRED, "DIR", "data set folder", 0, 0},
        {"keep", 0, OPT_APPEND, &g.keep, NULL, "DOMAIN,...",
         "domains that the model is to be good at; none: all", 0, 0},
        {"threshold", 0, OPT_REAL, &g.o.threshold, "0", "F", "experts with a score below F go", 0,
         1e12},
        {"experts", 0, OPT_REAL, &g.o.experts, "0", "N", "N experts of each layer stay", 0, 65536},
        {"share", 0, OPT_REAL, &g.o.share, "0", "S", "this share of all experts stays", 0, 1},
        {"budget", 0, OPT_STRING, &g.budget, "", "BYTES",
         "so many go that model.safetensors fits into 60MB", 0, 0},
        {"max-loss-increase", 0, OPT_STRING, &g.most, "", "P%",
         "of each kept domain, to the end of its interval; alone: as many go as it allows", 0, 0},
        {"score", 0, OPT_STRING, &g.o.score, NULL, "NAME",
         "use (what is taken without it), reap, norm, loss or random; --frontier: several, or all",
         0, 0},
        {"how", 0, OPT_STRING, &g.o.how, "remove", "remove|forbid",
         "forbid: rows of routers stay in the softmax, without experts", 0, 0},
        {"renormalise", 0, OPT_FLAG, &g.renormalise, NULL, NULL,
         "gates of what is left are divided by their sum", 0, 0},
        {"require", 0, OPT_APPEND, &g.require, NULL, "PROMISE",
         "bit-identical, or fr:+1%: no model unless it holds", 0, 0},
        {"frontier", 0, OPT_FLAG, &g.frontier, NULL, NULL,
         "no model, but losses at 100, 50, 25 and 12.5 % of the experts for every score", 0, 0},
        {"calibrate", 0, OPT_STRING, &g.o.calibrate, "validation", "NAME", "split for the scores",
         0, 0},
        {"split", 0, OPT_STRING, &g.o.split, "test", "NAME", "split for the losses", 0, 0},
        {"context", 0, OPT_INT, &g.o.context, "256", "N", "tokens of a window, and of a document",
         1, 1 << 20},
        {"windows", 0, OPT_INT, &g.o.windows, "0", "N",
         "most windows of a domain for the scores; 0: all", 0, 1e12},
        {"documents", 0, OPT_INT, &g.o.documents, "0", "N",
         "most documents of a domain for the losses; 0: all", 0, 1e12},
        UI_OPTIONS(&g.u),
        {0},
    };
    const opt_verb verb = {
        "prune",
        "MODEL",
        1,
        1,
        "A mixture for some domains, without the experts that these can do without.\n"
        "Without --threshold, --experts, --share or --budget those go that the kept domains never\n"
        "choose; with --how forbid their answers then stay the same to the bit.  The lowest "
        "scores\n"
        "go first, over all layers; each layer keeps what a token uses.  What stays the same is\n"
        "checked, what changes is measured, and OUT/certificate.json says both.  MODEL is never\n"
        "changed.",
        table};
    int rc = opt_parse(&verb, &argc, argv);
    if (rc < 0) rc = check(&g);
    if (rc < 0) rc = run(&g, argv[0]);
    opt_list_free(&g.keep);
    opt_list_free(&g.require);
    return rc;
}
