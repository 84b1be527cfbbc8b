/* table_scores.c - figures, then the confusion of classes where they are few. */
#include "table_scores.h"
#include "table.h"
#include <stdio.h>
#include <string.h>

enum { FEW = 12, WIDTH = 24 };

static int width_of(const cJSON *classes) {
    int w = 5;
    const cJSON *x = NULL;
    cJSON_ArrayForEach(x, classes) {
        const int n = cJSON_IsString(x) ? (int)strlen(x->valuestring) : 0;
        w = n > w ? n : w;
    }
    return w < WIDTH ? w : WIDTH;
}

/* Rows are the truth. */
static void confusion(const cJSON *classes, const cJSON *counts) {
    const int w = width_of(classes);
    const cJSON *x = NULL, *row = classes ? classes->child : NULL;
    printf("%-*s", w + 2, "said:");
    cJSON_ArrayForEach(x, classes) printf(" %*.*s", w, WIDTH, x->valuestring);
    printf("\n");
    cJSON_ArrayForEach(x, counts) {
        const cJSON *n = NULL;
        printf("  %-*.*s", w, WIDTH, row ? row->valuestring : "");
        cJSON_ArrayForEach(n, x) printf(" %*.0f", w, n->valuedouble);
        printf("\n");
        row = row ? row->next : NULL;
    }
}

int scores_draw(const cJSON *o) {
    const cJSON *classes = cJSON_GetObjectItemCaseSensitive(o, "classes"),
                *counts = cJSON_GetObjectItemCaseSensitive(o, "confusion"),
                *interval = cJSON_GetObjectItemCaseSensitive(o, "interval");
    const double rows = row_number(o, "rows");
    if (cJSON_HasObjectItem(o, "rmse")) {
        printf("`%s` of %.0f rows held back: RMSE %.6g, mean absolute error %.6g, R2 %.4f\n",
               row_text(o, "label"), rows, row_number(o, "rmse"), row_number(o, "mae"),
               row_number(o, "r2"));
        return 1;
    }
    if (!cJSON_HasObjectItem(o, "accuracy") || !interval) return 0;
    printf(
        "`%s` of %.0f rows held back: %.2f %% right (95 %% interval %.2f to %.2f; always the most "
        "frequent: %.2f)\n",
        row_text(o, "label"), rows, 100 * row_number(o, "accuracy"),
        100 * cJSON_GetArrayItem(interval, 0)->valuedouble,
        100 * cJSON_GetArrayItem(interval, 1)->valuedouble, 100 * row_number(o, "baseline"));
    printf("macro F1 %.4f  log loss %.4f  calibration error %.4f\n", row_number(o, "macro_f1"),
           row_number(o, "log_loss"), row_number(o, "ece"));
    if (cJSON_GetArraySize(classes) <= FEW) confusion(classes, counts);
    return 1;
}
