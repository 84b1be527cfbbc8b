/* cmd_atlas.c - artel atlas MODEL --data DIR [-o PAGE.html]. */
#include "artel.h"
#include "opt.h"
#include "printable.h"
#include "table.h"
#include "ui.h"
#include "verbs.h"
#include <stdio.h>
#include <string.h>

enum { SHOWN = 4 }; /* experts of a router */

/* The experts whose home uses them most, as "3 fr 92 %". */
static void draw_specialists(const cJSON *router, double domains) {
    const cJSON *list = cJSON_GetObjectItemCaseSensitive(router, "by_expert"), *e, *best;
    double below = 2;
    for (int i = 0; i < SHOWN; i++) {
        best = NULL;
        cJSON_ArrayForEach(e, list) {
            const double part = row_number(e, "part");
            if (part >= below || part * domains < 1.5) continue;
            if (!best || part > row_number(best, "part")) best = e;
        }
        if (!best) break;
        below = row_number(best, "part");
        printable_print(stdout, "%s %.0f %s %.0f %%", i ? "," : "", row_number(best, "expert"),
                        row_text(best, "home"), 100 * below);
    }
}

static void draw(void *user, const char *json) {
    (void)user;
    cJSON *o = cJSON_Parse(json);
    const cJSON *read = cJSON_GetObjectItemCaseSensitive(o, "read"), *d;
    if (read) {
        printf("read:");
        cJSON_ArrayForEach(d, read)
            printable_print(stdout, " %s %.0f tokens in %.0f windows%s", row_text(d, "domain"),
                            row_number(d, "tokens"), row_number(d, "windows"), d->next ? "," : "");
        printf("\n");
        if (*row_text(o, "page")) printable_print(stdout, "%s\n", row_text(o, "page"));
    } else {
        const cJSON *list = cJSON_GetObjectItemCaseSensitive(o, "by_expert");
        const double domains = cJSON_GetArraySize(
            cJSON_GetObjectItemCaseSensitive(cJSON_GetArrayItem(list, 0), "use"));
        printf("layer %2.0f  %-12s  information %.3f of %.3f nats  unused %d of %.0f ",
               row_number(o, "layer"), row_text(o, "kind"), row_number(o, "information"),
               row_number(o, "information_limit"),
               cJSON_GetArraySize(cJSON_GetObjectItemCaseSensitive(o, "unused")),
               row_number(o, "experts"));
        draw_specialists(o, domains);
        printf("\n");
    }
    cJSON_Delete(o);
}

int cmd_atlas(int argc, char **argv) {
    ui u = {0};
    const char *data = NULL;
    artel_atlas_options o = {0};
    const opt table[] = {
        {"data", 'd', OPT_STRING, &data, OPT_REQUIRED, "DIR", "data set folder", 0, 0},
        {"output", 'o', OPT_STRING, &o.page, NULL, "FILE", "also a self-contained HTML page", 0, 0},
        {"split", 0, OPT_STRING, &o.split, "test", "NAME", "train, validation or test", 0, 0},
        {"context", 0, OPT_INT, &o.context, "0", "N",
         "tokens of a window; 0: what the model takes, at most 1024", 0, 1 << 20},
        {"windows", 0, OPT_INT, &o.windows, "0", "N", "most windows a domain; 0: all", 0, 1e12},
        {"tokens", 0, OPT_INT, &o.tokens, "8", "N", "tokens told of each expert", 1, 32},
        UI_OPTIONS(&u),
        {0},
    };
    const opt_verb verb = {
        "atlas",
        "MODEL",
        1,
        1,
        "Which experts of a mixture read which domain, and which tokens.\n"
        "A line a router: the information between expert and domain (0: all domains use the\n"
        "experts alike; the limit: no two share one), and experts that one domain uses most,\n"
        "with its part of their use.  The page has it all, with counts and intervals.",
        table};
    const int rc = opt_parse(&verb, &argc, argv);
    if (rc >= 0) return rc;
    if (!ui_open(&u, "atlas")) return 1;
    return ui_close(&u, artel_atlas(u.a, argv[0], data, &o, u.json ? ui_json : draw, NULL));
}
