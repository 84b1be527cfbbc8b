/* cmd_probe.c - artel probe MODEL --data DATA. */
#include "artel.h"
#include "opt.h"
#include "printable.h"
#include "table.h"
#include "ui.h"
#include "verbs.h"
#include <stdio.h>

static double percent(const cJSON *o, const char *key) { return 100 * row_number(o, key); }

/* A figure of an expert, which may be missing, or not asked for. */
static void figure(const cJSON *e, const char *key, int width) {
    const cJSON *x = cJSON_GetObjectItemCaseSensitive(e, key);
    if (cJSON_IsNumber(x))
        printf("%*.2f %%", width - 2, 100 * x->valuedouble);
    else if (x)
        printf("%*s", width, "-");
}

static void draw_experts(const cJSON *o) {
    const cJSON *e = NULL;
    const bool refit = cJSON_HasObjectItem(o, "refit"),
               base = cJSON_HasObjectItem(o, "common_domains");
    int i = 0;
    printf("expert       rows   own domain     all rows  mixture without%s%s\n",
           refit ? "    fresh head" : "", base ? "  common domain" : "");
    cJSON_ArrayForEach(e, cJSON_GetObjectItemCaseSensitive(o, "by_expert")) {
        printf("%-8d %8.0f", i++, row_number(e, "rows"));
        figure(e, "own_domain", 13);
        figure(e, "all_rows", 13);
        figure(e, "without", 17);
        figure(e, "refit", 14);
        figure(e, "common_domain", 15);
        printf("\n");
    }
    if (row_number(o, "small_domains") > 0)
        printf("experts with fewer than 10 rows, left out of means over experts: %.0f\n",
               row_number(o, "small_domains"));
}

static void draw_table(const cJSON *o) {
    printf("`%s` of %.0f rows: the mixture is right in %.2f %%\n", row_text(o, "label"),
           row_number(o, "rows"), percent(o, "mixture"));
    printf("experts alone: in their own domain %.2f %%, in others' %.2f %%, everywhere %.2f %%\n",
           percent(o, "own_domain"), percent(o, "other_domains"), percent(o, "all_rows"));
    if (cJSON_HasObjectItem(o, "refit"))
        printf("fresh heads on what they compute: in their own domain %.2f %%\n",
               percent(o, "refit"));
    if (cJSON_HasObjectItem(o, "common_domains"))
        printf(
            "on the domains of the baseline %.2f %%, its own experts %.2f %%; %.2f %% of the rows "
            "are in the same domain\n",
            percent(o, "common_domains"), percent(o, "baseline_own_domain"),
            percent(o, "shared_domain"));
    printf("without one expert: %.2f %% on average, %.2f %% without the one that matters most\n",
           percent(o, "without"), percent(o, "worst_without"));
    printf("recall of the gate %.2f %%  no expert is right %.2f %%, another one is %.2f %%  they "
           "disagree %.2f %%\n",
           percent(o, "recall"), percent(o, "none_right"), percent(o, "gate_wrong"),
           percent(o, "disagreement"));
    printf("spread of outputs %.4f  entropy of the gate %.4f  largest domain %.2f %%\n",
           row_number(o, "spread"), row_number(o, "gate_entropy"), percent(o, "largest_domain"));
    draw_experts(o);
    printf("note: %s\n", row_text(o, "note"));
}

/* ---- language models ---- */

static void nats(const cJSON *o, const char *key) {
    const cJSON *x = cJSON_GetObjectItemCaseSensitive(o, key);
    if (cJSON_IsNumber(x))
        printf(" %10.4f", x->valuedouble);
    else
        printf(" %10s", "-");
}

static void draw_bank(const cJSON *b, double loss) {
    const cJSON *e = NULL;
    int i = 0;
    printf("\nlayer %.0f, %s: %.0f of %.0f experts a token\n", row_number(b, "layer"),
           row_text(b, "kind"), row_number(b, "experts_a_token"), row_number(b, "experts"));
    printf("entropy of the gate %.4f, of the load %.4f  largest domain %.2f %%",
           row_number(b, "gate_entropy"), row_number(b, "load_entropy"),
           percent(b, "largest_domain"));
    if (cJSON_IsNumber(cJSON_GetObjectItemCaseSensitive(b, "spread")))
        printf("  spread of outputs %.4f", row_number(b, "spread"));
    printf(
        "\nwithout one expert %+.4f nats on average, %+.4f without the one that is missed most\n",
        row_number(b, "without_loss") - loss, row_number(b, "worst_without_loss") - loss);
    printf("expert        share       domain  its loss  without it\n");
    cJSON_ArrayForEach(e, cJSON_GetObjectItemCaseSensitive(b, "by_expert")) {
        printf("%-8d %8.2f %% %10.2f %%", i++, percent(e, "share"), percent(e, "domain"));
        nats(e, "domain_loss");
        nats(e, "without_loss");
        printf("\n");
    }
}

static void draw_lm(const cJSON *o) {
    const cJSON *x = NULL;
    printf("%.0f tokens in windows of %.0f: %.4f nats a token\n", row_number(o, "tokens"),
           row_number(o, "context"), row_number(o, "loss"));
    cJSON_ArrayForEach(x, cJSON_GetObjectItemCaseSensitive(o, "domains"))
        printf("%-12s %8.0f tokens %10.4f\n", row_text(x, "domain"), row_number(x, "tokens"),
               row_number(x, "loss"));
    cJSON_ArrayForEach(x, cJSON_GetObjectItemCaseSensitive(o, "banks"))
        draw_bank(x, row_number(o, "loss"));
    printf("\nThe domain of an expert: the tokens for which it is the most probable one.  None of "
           "them "
           "predicts\nby itself, so the gate has no recall.\n");
}

static void draw(void *user, const char *json) {
    cJSON *o = printable_row(json, stdout);
    (void)user;
    if (cJSON_HasObjectItem(o, "banks"))
        draw_lm(o);
    else
        draw_table(o);
    cJSON_Delete(o);
}

int cmd_probe(int argc, char **argv) {
    ui u = {0};
    const char *data = NULL;
    artel_probe_options o = {0};
    const opt table[] = {
        {"data", 'd', OPT_STRING, &data, OPT_REQUIRED, "DATA",
         "a file of rows with labels, or a data set", 0, 0},
        {"split", 0, OPT_STRING, &o.split, NULL, "NAME",
         "train, validation or test (what is taken without it)", 0, 0},
        {"baseline", 0, OPT_STRING, &o.baseline, NULL, "MODEL0",
         "another model, on the domains of whose experts these are measured as well", 0, 0},
        {"context", 0, OPT_INT, &o.context, "0", "N", "of text: tokens of a window; 0: 128", 0,
         1 << 24},
        {"windows", 0, OPT_INT, &o.windows, "0", "N", "of text: most windows a domain; 0: 16", 0,
         1 << 30},
        UI_OPTIONS(&u),
        {0}};
    const opt_verb verb = {
        "probe",
        "MODEL",
        1,
        1,
        "Asks each expert of a classifier of tables alone.  The domain of an expert is the\n"
        "rows for which it has the largest gate.  In a mixture whose gates are soft no\n"
        "expert was ever trained to answer alone: one that agrees with the mixture looks\n"
        "better here, whether it learnt more or not.  Therefore also: fresh heads on what\n"
        "experts compute, the domains of another model, and the mixture without an expert.\n"
        "Of a language model with mixtures: how the experts of each layer share the tokens,\n"
        "and the loss without each of them.",
        table};
    const int rc = opt_parse(&verb, &argc, argv);
    if (rc >= 0) return rc;
    if (!ui_open(&u, "probe")) return 1;
    return ui_close(&u, artel_probe(u.a, argv[0], data, &o, u.json ? ui_json : draw, &u));
}
