/* cmd_eval.c - artel eval MODEL --data DIR. */
#include "artel.h"
#include "opt.h"
#include "ui.h"
#include "verbs.h"
#include <cjson/cJSON.h>
#include <stdio.h>

static double number(const cJSON *o, const char *key) {
    const cJSON *v = cJSON_GetObjectItemCaseSensitive(o, key);
    return cJSON_IsNumber(v) ? v->valuedouble : -1;
}

static void draw(void *user, const char *json) {
    (void)user;
    cJSON *o = cJSON_Parse(json);
    const cJSON *domain = cJSON_GetObjectItemCaseSensitive(o, "domain");
    if (cJSON_IsString(domain)) {
        const double bpb = number(o, "bits_per_byte");
        printf("%-16s %10.0f tokens  loss %.4f  ppl %8.2f", domain->valuestring,
               number(o, "tokens"), number(o, "loss"), number(o, "ppl"));
        if (bpb >= 0) printf("  %.3f bits/byte", bpb);
        const cJSON *e = NULL;
        cJSON_ArrayForEach(e, cJSON_GetObjectItemCaseSensitive(o, "usage"))
            printf("  %s %.1f%%", e->string, 100 * e->valuedouble);
        printf("\n");
    }
    cJSON_Delete(o);
}

int cmd_eval(int argc, char **argv) {
    ui u = {0};
    const char *data = NULL, *split = NULL;
    bool usage = false;
    artel_eval_options o = {0};
    const opt table[] = {
        {"data", 'd', OPT_STRING, &data, OPT_REQUIRED, "DIR", "data set folder", 0, 0},
        {"split", 0, OPT_STRING, &split, "test", "NAME", "train, validation or test", 0, 0},
        {"context", 0, OPT_INT, &o.context, "0", "N",
         "tokens of a window; 0: what the model takes, at most 1024", 0, 1 << 20},
        {"windows", 0, OPT_INT, &o.windows, "0", "N", "most windows a domain; 0: all", 0, 1e12},
        {"usage", 0, OPT_FLAG, &usage, NULL, NULL, "also which expert answered how often", 0, 0},
        UI_OPTIONS(&u),
        {0},
    };
    const opt_verb verb = {"eval",
                           "MODEL",
                           1,
                           1,
                           "Loss and perplexity of a model on each domain of a data set.\n"
                           "A composed model routes every window to one of its experts.",
                           table};
    const int rc = opt_parse(&verb, &argc, argv);
    if (rc >= 0) return rc;
    if (!ui_open(&u, "eval")) return 1;
    o.split = split;
    o.usage = usage;
    return ui_close(&u, artel_eval(u.a, argv[0], data, &o, u.json ? ui_json : draw, &u));
}
