/* cmd_doctor.c - artel doctor MODEL. */
#include "artel.h"
#include "printable.h"
#include "table.h"
#include "ui.h"
#include "verbs.h"
#include <stdio.h>

static void draw(void *user, const char *json) {
    cJSON *o = printable_row(json, stdout);
    (void)user;
    if (cJSON_HasObjectItem(o, "finding")) {
        printf("%-7s %-13s %s\n", row_text(o, "severity"), row_text(o, "finding"),
               row_text(o, "where"));
        printf("        measured: %s\n", row_text(o, "measured"));
        printf("        to do:    %s\n", row_text(o, "advice"));
    } else {
        printf("%s: %.0f tensors, %.0f routers, %.0f tokens (%s): %.0f errors, %.0f warnings\n",
               row_text(o, "model"), row_number(o, "tensors"), row_number(o, "routers"),
               row_number(o, "tokens"), row_text(o, "text"), row_number(o, "errors"),
               row_number(o, "warnings"));
    }
    cJSON_Delete(o);
}

int cmd_doctor(int argc, char **argv) {
    ui u = {0};
    artel_doctor_options o = {0};
    const opt table[] = {
        {"data", 'd', OPT_STRING, &o.data, NULL, "DIR",
         "data set folder; without it token ids drawn at random are read, and who is chosen how "
         "often is not judged",
         0, 0},
        {"split", 0, OPT_STRING, &o.split, "test", "NAME", "train, validation or test", 0, 0},
        {"context", 0, OPT_INT, &o.context, "256", "N", "tokens of a window", 2, 1 << 20},
        {"windows", 0, OPT_INT, &o.windows, "32", "N", "most windows a domain; 0: all", 0, 1e12},
        UI_OPTIONS(&u),
        {0},
    };
    const opt_verb verb = {
        "doctor",
        "MODEL",
        1,
        1,
        "What is silently wrong with a mixture: routers that the language loss does not reach,\n"
        "gates normalised twice or not as the configuration says, dead and duplicated experts,\n"
        "experts that the data never choose, an auxiliary loss that is thrown away, more experts\n"
        "a token than are alive, tensors of zeros, NaN or infinities.  Each finding has what was\n"
        "measured, and what to do.  Exit code 0: nothing was found; 1: something was, or the\n"
        "model cannot be read.",
        table};
    const int rc = opt_parse(&verb, &argc, argv);
    if (rc >= 0) return rc;
    if (!ui_open(&u, "doctor")) return 1;
    o.seed = u.seed > 0 ? (uint64_t)u.seed : 0;
    return ui_close(&u, artel_doctor(u.a, argv[0], &o, u.json ? ui_json : draw, NULL));
}
