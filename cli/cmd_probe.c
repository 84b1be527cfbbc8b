/* cmd_probe.c - artel probe MODEL --data FILE. */
#include "artel.h"
#include "opt.h"
#include "printable.h"
#include "table.h"
#include "ui.h"
#include "verbs.h"
#include <stdio.h>

static void draw(void *user, const char *json) {
    cJSON *o = printable_row(json, stdout);
    const cJSON *e = NULL;
    int i = 0;
    (void)user;
    printf("`%s` of %.0f rows: the mixture is right in %.2f %%\n", row_text(o, "label"),
           row_number(o, "rows"), 100 * row_number(o, "mixture"));
    printf("experts alone: in their own domain %.2f %%, in others' %.2f %%, everywhere %.2f %%\n",
           100 * row_number(o, "own_domain"), 100 * row_number(o, "other_domains"),
           100 * row_number(o, "all_rows"));
    printf("recall of the gate %.2f %%  no expert is right %.2f %%  they disagree %.2f %%\n",
           100 * row_number(o, "recall"), 100 * row_number(o, "none_right"),
           100 * row_number(o, "disagreement"));
    printf("spread of outputs %.4f  entropy of the gate %.4f  largest domain %.2f %%\n",
           row_number(o, "spread"), row_number(o, "gate_entropy"),
           100 * row_number(o, "largest_domain"));
    printf("expert       rows   own domain     all rows\n");
    cJSON_ArrayForEach(e, cJSON_GetObjectItemCaseSensitive(o, "by_expert"))
        printf("%-8d %8.0f %10.2f %% %10.2f %%\n", i++, row_number(e, "rows"),
               100 * row_number(e, "own_domain"), 100 * row_number(e, "all_rows"));
    cJSON_Delete(o);
}

int cmd_probe(int argc, char **argv) {
    ui u = {0};
    const char *data = NULL, *split = NULL;
    const opt table[] = {
        {"data", 'd', OPT_STRING, &data, OPT_REQUIRED, "FILE", "rows with labels", 0, 0},
        {"split", 0, OPT_STRING, &split, NULL, "NAME",
         "train, validation or test (what is taken without it)", 0, 0},
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
        "better here, whether it learnt more or not.",
        table};
    const int rc = opt_parse(&verb, &argc, argv);
    if (rc >= 0) return rc;
    if (!ui_open(&u, "probe")) return 1;
    return ui_close(&u, artel_probe(u.a, argv[0], data, split, u.json ? ui_json : draw, &u));
}
