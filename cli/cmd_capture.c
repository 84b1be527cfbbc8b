/* cmd_capture.c - artel capture MODEL --data DIR -o LOGITS. */
#include "artel.h"
#include "opt.h"
#include "printable.h"
#include "table.h"
#include "ui.h"
#include "verbs.h"
#include <stdio.h>
#include <stdlib.h>

enum { TEMPERATURES = 8 };

static void draw(void *user, const char *json) {
    (void)user;
    cJSON *o = printable_row(json, stdout);
    const cJSON *tau = cJSON_GetObjectItemCaseSensitive(o, "temperatures");
    const cJSON *left = cJSON_GetObjectItemCaseSensitive(o, "left");
    printf("%s: %s tokens in windows of %.0f, top %.0f, %.1f bytes a token, %s, %.1f s\n",
           row_text(o, "logits"), ui_count(row_number(o, "tokens")), row_number(o, "context"),
           row_number(o, "top_k"), row_number(o, "bytes_per_token"),
           ui_bytes(row_number(o, "bytes")), row_number(o, "seconds"));
    for (int i = 0; i < cJSON_GetArraySize(tau); i++)
        printf("left over at temperature %g: %.4f of the probability\n",
               cJSON_GetArrayItem(tau, i)->valuedouble, cJSON_GetArrayItem(left, i)->valuedouble);
    cJSON_Delete(o);
}

/* Numbers of a list; the number of the first that is none, or -1. */
static int read_numbers(const opt_list *l, double *out) {
    for (int i = 0; i < l->n; i++) {
        char *end = NULL;
        const double x = i < TEMPERATURES ? strtod(l->item[i], &end) : 0;
        if (!end || end == l->item[i] || *end) return i;
        out[i] = x;
    }
    return -1;
}

int cmd_capture(int argc, char **argv) {
    ui u = {0};
    const char *data = NULL, *out = NULL, *split = NULL;
    opt_list domains = {0}, temperatures = {0};
    double tau[TEMPERATURES];
    int64_t bits = 16;
    artel_capture_options o = {0};
    const opt table[] = {
        {"data", 'd', OPT_STRING, &data, OPT_REQUIRED, "DIR", "data set folder", 0, 0},
        {"output", 'o', OPT_STRING, &out, OPT_REQUIRED, "LOGITS", "folder of the logits", 0, 0},
        {"top-k", 'k', OPT_INT, &o.top_k, "32", "K", "tokens kept of each row; 0: all", 0, 1e9},
        {"context", 0, OPT_INT, &o.context, "0", "T",
         "tokens of a window, as in the students' recipes; 0: 256, or what the teacher takes", 0,
         1 << 20},
        {"domains", 0, OPT_LIST, &domains, NULL, "A,B", "these alone; others may follow", 0, 0},
        {"split", 0, OPT_STRING, &split, "train", "NAME", "train, validation or test", 0, 0},
        {"temperatures", 0, OPT_LIST, &temperatures, NULL, "X,Y",
         "ascending; those that students may have; default 1,2", 0, 0},
        {"bits", 0, OPT_INT, &bits, "16", "N", "of a stored number: 16 or 32", 16, 32},
        UI_OPTIONS(&u),
        {0},
    };
    const opt_verb verb = {
        "capture",
        "MODEL",
        1,
        1,
        "What a teacher says of each token of a data set, computed once and used by every\n"
        "recipe with `distill: {teacher: LOGITS}`.  A row of a token keeps the K most probable\n"
        "next tokens and how much is left for all others.  The text is read in windows of T\n"
        "tokens, one after the other, and so do the students (train.context: T).\n"
        "Ctrl-C keeps what is done; the same command goes on.",
        table};
    int rc = opt_parse(&verb, &argc, argv);
    if (rc < 0 && (!opt_list_split(&domains) || !opt_list_split(&temperatures)))
        rc = ui_fail("capture", "out of memory");
    const int odd = rc < 0 ? read_numbers(&temperatures, tau) : -1;
    if (odd >= 0)
        rc = ui_usage("capture", "--temperatures: expected at most %d numbers, found `%s`",
                      TEMPERATURES, temperatures.item[odd]);
    if (rc < 0 && !ui_open(&u, "capture")) rc = 1;
    if (rc < 0) {
        o.domains = (const char *const *)domains.item;
        o.n_domains = domains.n;
        o.split = split;
        o.bits = (int)bits;
        o.temperatures = tau;
        o.n_temperatures = temperatures.n;
        rc = ui_close(&u, artel_capture(u.a, argv[0], data, out, &o, u.json ? ui_json : draw, &u));
    }
    opt_list_free(&domains);
    opt_list_free(&temperatures);
    return rc;
}
