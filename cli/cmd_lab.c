/* cmd_lab.c - artel lab [NAME -o DIR]. */
#include "artel.h"
#include "lab/lab_json.h"
#include "opt.h"
#include "printable.h"
#include "table.h"
#include "ui.h"
#include "verbs.h"
#include <math.h>
#include <stdio.h>
#include <string.h>

static double value(const cJSON *v) { return cJSON_IsNumber(v) ? v->valuedouble : (double)NAN; }

static void draw_lab(void *user, const char *json) {
    (void)user;
    cJSON *o = printable_row(json, stdout);
    const cJSON *claim;
    printf("%s: %s\n  %s\n", row_text(o, "lab"), row_text(o, "title"), row_text(o, "source"));
    cJSON_ArrayForEach(claim, cJSON_GetObjectItemCaseSensitive(o, "claims"))
        printf("  - %s\n", claim->valuestring);
    cJSON_Delete(o);
}

/* "at least " or "at most ", before an effect that is a limit. */
static const char *before(const char *bound) {
    return !strcmp(bound, "at_least")  ? "at least "
           : !strcmp(bound, "at_most") ? "at most "
           : !strcmp(bound, "mixed")   ? "of mixed limits: "
                                       : "";
}

/* A claim: whether it holds, its text, the effect. */
static void draw_claim(const cJSON *o) {
    const cJSON *ci = cJSON_GetObjectItemCaseSensitive(o, "ci");
    const double lo = value(cJSON_GetArrayItem(ci, 0)), hi = value(cJSON_GetArrayItem(ci, 1));
    const bool holds = cJSON_IsTrue(cJSON_GetObjectItemCaseSensitive(o, "holds"));
    printf("%-14s %s\n", holds ? "holds" : "does not hold", row_text(o, "claim"));
    printf("%14s %s%.4g", "", before(row_text(o, "bound")),
           value(cJSON_GetObjectItemCaseSensitive(o, "effect")));
    if (!isnan(lo)) printf(" (%.4g to %.4g)", lo, hi);
    printf(" %s; ", row_text(o, "unit"));
    const double p = value(cJSON_GetObjectItemCaseSensitive(o, "p"));
    const double holm = value(cJSON_GetObjectItemCaseSensitive(o, "p_holm"));
    if (!isnan(p)) printf("p = %.2g, corrected %.2g, ", p, holm);
    printf("%.0f %s\n", value(cJSON_GetObjectItemCaseSensitive(o, "n")),
           cJSON_HasObjectItem(o, "sample") ? row_text(o, "sample") : "seeds");
}

static void draw(void *user, const char *json) {
    (void)user;
    cJSON *o = printable_row(json, stdout);
    if (cJSON_HasObjectItem(o, "claim"))
        draw_claim(o);
    else
        printf("%.0f runs, %.0f s; everything is in %s\n",
               value(cJSON_GetObjectItemCaseSensitive(o, "runs")),
               value(cJSON_GetObjectItemCaseSensitive(o, "seconds")), row_text(o, "report"));
    cJSON_Delete(o);
}

int cmd_lab(int argc, char **argv) {
    ui u = {0};
    at_json_lab_options o = {0};
    const opt table[] = {
        {"output", 'o', OPT_STRING, &o.out, NULL, "DIR", "runs, results and report", 0, 0},
        {"data", 0, OPT_STRING, &o.data, NULL, "PATH",
         "data set, the demo's if none is named (./demo.sh); of mode: tables of tools/tables.sh, "
         "or "
         "one CSV",
         0, 0},
        {"label", 0, OPT_STRING, &o.label, NULL, "COLUMN", "of mode: what is told from a CSV", 0,
         0},
        {"trees", 0, OPT_STRING, &o.trees, NULL, "FILE",
         "of mode: what bench/peers/trees.py printed, to be shown beside", 0, 0},
        {"text", 0, OPT_STRING, &o.text, NULL, "DIR", "of mode: data set of its part on text", 0,
         0},
        {"scale", 0, OPT_STRING, &o.scale, "quick", "SCALE",
         "quick: half an hour on two cores; full: hours", 0, 0},
        UI_OPTIONS(&u),
        {0}};
    const opt_verb verb = {
        "lab",
        "[NAME]",
        0,
        1,
        "Tries the claims of a paper on real data: trains what they compare with "
        "several seeds,\nmeasures, and says which hold.  Without NAME: the labs "
        "there are.  Nothing else should\nrun meanwhile.  After an interrupt the "
        "same command goes on.",
        table};
    const int rc = opt_parse(&verb, &argc, argv);
    if (rc >= 0) return rc;
    if (argc > 0 && !o.out) return ui_usage("lab", "--output DIR is required");
    if (!ui_open(&u, "lab")) return 1;
    const artel_status s = argc > 0 ? at_json_lab(u.a, argv[0], &o, u.json ? ui_json : draw, &u)
                                    : at_json_labs(u.a, u.json ? ui_json : draw_lab, &u);
    return ui_close(&u, s);
}
