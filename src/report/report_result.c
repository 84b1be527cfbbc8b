/* report_result.c - figures, the confusion of classes, calibration. */
#include "report/report_result.h"
#include "base/file.h"
#include "base/json.h"
#include "report/html.h"
#include "report/svg.h"
#include <math.h>
#include <stdio.h>

enum { CLASSES = 40, BINS = 100, FIGURES = 6, VALUE = 64 };

static double number(const cJSON *o, const char *key) {
    const cJSON *x = cJSON_GetObjectItemCaseSensitive(o, key);
    return cJSON_IsNumber(x) ? x->valuedouble : (double)NAN;
}

static void percent(char to[VALUE], double share) {
    (void)snprintf(to, VALUE, "%.2f %%", 100 * share);
}

static void figures_of_classes(at_text *t, const cJSON *o) {
    static const char *const label[FIGURES] = {
        "Right",    "95 % interval", "Always the most frequent",
        "Macro F1", "Log loss",      "Calibration error"};
    const cJSON *interval = cJSON_GetObjectItemCaseSensitive(o, "interval");
    const cJSON *low = cJSON_GetArrayItem(interval, 0), *high = cJSON_GetArrayItem(interval, 1);
    char text[FIGURES][VALUE];
    const char *value[FIGURES];
    percent(text[0], number(o, "accuracy"));
    (void)snprintf(text[1], VALUE, "%.2f to %.2f %%",
                   100 * (cJSON_IsNumber(low) ? low->valuedouble : 0),
                   100 * (cJSON_IsNumber(high) ? high->valuedouble : 0));
    percent(text[2], number(o, "baseline"));
    (void)snprintf(text[3], VALUE, "%.4f", number(o, "macro_f1"));
    (void)snprintf(text[4], VALUE, "%.4f", number(o, "log_loss"));
    (void)snprintf(text[5], VALUE, "%.4f", number(o, "ece"));
    for (int i = 0; i < FIGURES; i++) value[i] = text[i];
    at_html_figures(t, FIGURES, label, value);
}

static void figures_of_numbers(at_text *t, const cJSON *o) {
    static const char *const label[3] = {"RMSE", "Mean absolute error", "R2"};
    static const char *const key[3] = {"rmse", "mae", "r2"};
    char text[3][VALUE];
    const char *value[3];
    for (int i = 0; i < 3; i++) {
        (void)snprintf(text[i], VALUE, "%.6g", number(o, key[i]));
        value[i] = text[i];
    }
    at_html_figures(t, 3, label, value);
}

/* Where the classes are few enough to be read. */
static at_status confusion(at_ctx *c, at_text *t, const cJSON *o) {
    const cJSON *names = cJSON_GetObjectItemCaseSensitive(o, "classes"),
                *rows = cJSON_GetObjectItemCaseSensitive(o, "confusion"), *row = NULL, *x = NULL;
    const int n = cJSON_GetArraySize(names);
    const char *label[CLASSES];
    if (n < 2 || n > CLASSES || cJSON_GetArraySize(rows) != n) return AT_OK;
    double *count = at_calloc(c, (size_t)(n * n), sizeof *count);
    if (!count) return AT_OOM;
    int i = 0, at = 0;
    cJSON_ArrayForEach(x, names) label[i++] = cJSON_IsString(x) ? x->valuestring : "";
    cJSON_ArrayForEach(row, rows) {
        int k = 0;
        cJSON_ArrayForEach(x, row) {
            if (k++ < n && cJSON_IsNumber(x)) count[at * n + k - 1] = x->valuedouble;
        }
        at++;
    }
    at_svg_confusion(t, "Test rows: what they are, and what was said", n, label, count);
    at_free(count);
    return AT_OK;
}

static void calibration(at_text *t, const cJSON *o) {
    double said[BINS], right[BINS];
    int64_t n = 0;
    const cJSON *x = NULL;
    cJSON_ArrayForEach(x, cJSON_GetObjectItemCaseSensitive(o, "calibration")) {
        if (n == BINS) break;
        said[n] = number(x, "probability");
        right[n++] = number(x, "right");
    }
    const double ideal[2] = {0, 1};
    const at_series series[2] = {{.name = "rows", .x = said, .y = right, .n = n},
                                 {.name = "as sure as right", .x = ideal, .y = ideal, .n = 2}};
    const at_chart chart = {.title = "How often it is right by how sure it is",
                            .x_label = "probability of what was said",
                            .y_label = "share right",
                            .series = series,
                            .n_series = 2};
    if (n > 1) at_svg_chart(t, &chart);
}

/* Of a model that translates. */
static void directions(at_text *t, const cJSON *all) {
    const cJSON *d = NULL;
    cJSON_ArrayForEach(d, all) {
        static const char *const label[3] = {"Pairs", "Tokens of translations",
                                             "Loss for each of them"};
        char text[3][VALUE], heading[160];
        const char *value[3] = {text[0], text[1], text[2]};
        const cJSON *name = cJSON_GetObjectItemCaseSensitive(d, "direction");
        (void)snprintf(heading, sizeof heading, "Test pairs, %.100s",
                       cJSON_IsString(name) ? name->valuestring : "");
        at_html_heading(t, heading);
        (void)snprintf(text[0], VALUE, "%.0f", number(d, "pairs"));
        (void)snprintf(text[1], VALUE, "%.0f", number(d, "tokens"));
        (void)snprintf(text[2], VALUE, "%.4f", number(d, "loss"));
        at_html_figures(t, 3, label, value);
    }
}

at_status at_report_result(at_ctx *c, at_text *t, const char *run_dir) {
    char *path = at_join(c, run_dir, "result.json");
    if (!path) return AT_OOM;
    at_status s = AT_OK;
    cJSON *o = at_exists(path) ? at_json_read(c, path) : NULL;
    if (!o && at_exists(path)) s = c->status;
    const bool classes = cJSON_HasObjectItem(o, "accuracy"),
               numbers = cJSON_HasObjectItem(o, "rmse");
    if (classes || numbers) {
        char text[160];
        const cJSON *label = cJSON_GetObjectItemCaseSensitive(o, "label");
        (void)snprintf(text, sizeof text, "On %.0f rows that were held back: %.100s",
                       number(o, "rows"), cJSON_IsString(label) ? label->valuestring : "");
        at_html_heading(t, text);
    }
    directions(t, cJSON_GetObjectItemCaseSensitive(o, "directions"));
    if (numbers) figures_of_numbers(t, o);
    if (classes) {
        figures_of_classes(t, o);
        s = confusion(c, t, o);
        calibration(t, o);
    }
    cJSON_Delete(o);
    at_free(path);
    return s;
}
