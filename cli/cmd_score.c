/* cmd_score.c - artel score TEXT --reference FILE. */
#include "artel.h"
#include "opt.h"
#include "table.h"
#include "ui.h"
#include "verbs.h"
#include <stdio.h>

static void draw(void *user, const char *json) {
    (void)user;
    cJSON *o = cJSON_Parse(json);
    const cJSON *p = cJSON_GetObjectItemCaseSensitive(o, "precisions");
    printf("BLEU %.2f  (precisions", row_number(o, "bleu"));
    for (int i = 0; i < 4; i++)
        printf("%s%.1f", i ? "/" : " ", cJSON_GetNumberValue(cJSON_GetArrayItem(p, i)));
    printf(", brevity %.3f, %.0f words for %.0f)\nchrF %.2f\n%.0f lines\n",
           row_number(o, "brevity_penalty"), row_number(o, "words"),
           row_number(o, "reference_words"), row_number(o, "chrf"), row_number(o, "lines"));
    cJSON_Delete(o);
}

int cmd_score(int argc, char **argv) {
    ui u = {0};
    const char *reference = NULL;
    const opt table[] = {
        {"reference", 'r', OPT_STRING, &reference, OPT_REQUIRED, "FILE", "what it should be", 0, 0},
        UI_OPTIONS(&u),
        {0},
    };
    const opt_verb verb = {
        "score",
        "TEXT",
        1,
        1,
        "BLEU and chrF of a text, a translation for instance, against a reference that has\n"
        "as many lines.  Both are those of sacreBLEU: tokens of mteval-v13a, exponential\n"
        "smoothing, chrF2 of 1 to 6 characters.  Files may be .gz or .zst.",
        table};
    const int rc = opt_parse(&verb, &argc, argv);
    if (rc >= 0) return rc;
    if (!ui_open(&u, "score")) return 1;
    return ui_close(&u, artel_score(u.a, argv[0], reference, u.json ? ui_json : draw, NULL));
}
