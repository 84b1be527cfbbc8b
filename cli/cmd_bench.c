/* cmd_bench.c - artel bench kernel|step|decode|data. */
#include "artel.h"
#include "bench/bench.h"
#include "printable.h"
#include "recipe_args.h"
#include "table.h"
#include "verbs.h"
#include <stdio.h>

/* One line for each measurement: name, speed, percent of the limit, ratio to the baseline. */
static void draw_kernel(void *user, const char *json) {
    (void)user;
    cJSON *o = printable_row(json, stdout);
    const double median = row_number(cJSON_GetObjectItemCaseSensitive(o, "seconds"), "median");
    const double bytes = row_number(o, "gbytes_per_s");
    printf("%-27s %-34s %2.0f thread%s", row_text(o, "name"), row_text(o, "shape"),
           row_number(o, "threads"), row_number(o, "threads") > 1 ? "s" : " ");
    if (median > 0)
        printf(" %10.1f us", 1e6 * median);
    else
        printf(" %13s", "");
    printf(" %8.1f %s %5.1f%% of peak", bytes > 0 ? bytes : row_number(o, "gflops"),
           bytes > 0 ? "GB/s   " : "GFLOP/s", row_number(o, "percent_of_peak"));
    if (*row_text(o, "baseline"))
        printf("  %6.2fx %s", row_number(o, "ratio"), row_text(o, "baseline"));
    printf("\n");
    (void)fflush(stdout);
    cJSON_Delete(o);
}

static int bench_kernel(int argc, char **argv) {
    ui u = {0};
    const opt table[] = {UI_OPTIONS(&u), {0}};
    const opt_verb verb = {"bench kernel",
                           "",
                           0,
                           0,
                           "The inner loops against the peak of this machine, measured first, and "
                           "against a baseline\nin the same process.  Run it on a machine that "
                           "does nothing else.  ARTEL_CPU=avx2 lowers\nour instruction set, "
                           "OPENBLAS_CORETYPE=Haswell chooses the kernels of OpenBLAS.",
                           table};
    const int rc = opt_parse(&verb, &argc, argv);
    if (rc >= 0) return rc;
    if (!ui_open(&u, "bench kernel")) return 1;
    return ui_close(&u, at_json_bench_kernel(u.a, u.json ? ui_json : draw_kernel, &u));
}

static void draw_step(void *user, const char *json) {
    (void)user;
    cJSON *o = printable_row(json, stdout);
    const cJSON *t = cJSON_GetObjectItemCaseSensitive(o, "seconds");
    printf("%s: %s (%s parameters), %.0f threads\n", row_text(o, "arch"), row_text(o, "shape"),
           ui_count(row_number(o, "parameters")), row_number(o, "threads"));
    printf("  %.1f ms a step (best %.1f), %.0f tokens/s\n", 1e3 * row_number(t, "median"),
           1e3 * row_number(t, "min"), row_number(o, "tokens_per_s"));
    printf("  %.1f GFLOP/s, %.1f%% of the multiply-add peak of %.1f\n", row_number(o, "gflops"),
           row_number(o, "percent_of_peak"), row_number(o, "peak_gflops"));
    cJSON_Delete(o);
}

static int bench_step(int argc, char **argv) {
    ui u = {0};
    recipe_args r = {0};
    int64_t steps = 0;
    const opt table[] = {
        {"steps", 0, OPT_INT, &steps, "8", "N", "timed steps, after 2 that are not", 1, 1000},
        {"set", 0, OPT_APPEND, &r.set, NULL, "A.B=V", "change a size, as model.n_layer=12", 0, 0},
        UI_OPTIONS(&u),
        {0},
    };
    const opt_verb verb = {"bench step",
                           "[RECIPE]",
                           0,
                           1,
                           "Whole training steps on random tokens: forward, backward, clipping, "
                           "AdamW.\nThe sections model and train of RECIPE give the sizes; without "
                           "it a gpt2 of 6 layers,\nwidth 384, 6 heads, context 256, batch 8.  The "
                           "vocabulary is 8192, or model.vocab_size where\nthat is smaller.",
                           table};
    int rc = opt_parse(&verb, &argc, argv);
    if (rc < 0 && !ui_open(&u, "bench step")) rc = 1;
    if (rc < 0) {
        artel_status s = ARTEL_OOM;
        if (recipe_ready(&r, &u, argc > 0 ? argv[0] : NULL))
            s = at_json_bench_step(u.a, &r.recipe, steps, u.json ? ui_json : draw_step, &u);
        rc = ui_close(&u, s);
    }
    recipe_free(&r);
    return rc;
}

static void draw_decode(void *user, const char *json) {
    (void)user;
    cJSON *o = printable_row(json, stdout);
    const cJSON *t = cJSON_GetObjectItemCaseSensitive(o, "seconds");
    const cJSON *d = cJSON_GetObjectItemCaseSensitive(o, "sampling_seconds");
    const cJSON *m = cJSON_GetObjectItemCaseSensitive(o, "resident");
    printf("%s: %s (%s parameters, %s active), %.0f threads\n", row_text(o, "arch"),
           row_text(o, "shape"), ui_count(row_number(o, "parameters")),
           ui_count(row_number(o, "active_parameters")), row_number(o, "threads"));
    printf("  opened in %.3f s, %.0f prompt tokens in %.3f s\n", row_number(o, "load_seconds"),
           row_number(o, "prompt_tokens"), row_number(o, "prompt_seconds"));
    printf("  %.2f ms a token (best %.2f), %.2f to draw it from %.0f (best %.2f): %.1f tokens/s\n",
           1e3 * row_number(t, "median"), 1e3 * row_number(t, "min"), 1e3 * row_number(d, "median"),
           row_number(o, "vocab"), 1e3 * row_number(d, "min"), row_number(o, "tokens_per_s"));
    printf("  %s a token: %.1f GB/s, %.1f%% of the %.1f tokens/s that memory allows (%.1f GB/s)\n",
           ui_bytes(row_number(o, "bytes_per_token")), row_number(o, "gbytes_per_s"),
           row_number(o, "percent_of_bound"), row_number(o, "bound_tokens_per_s"),
           row_number(o, "read_peak"));
    if (m)
        printf("  resident: %s of files, %s of its own\n", ui_bytes(row_number(m, "file")),
               ui_bytes(row_number(m, "anonymous")));
    cJSON_Delete(o);
}

static int bench_decode(int argc, char **argv) {
    ui u = {0};
    recipe_args r = {0};
    int64_t tokens = 0;
    const opt table[] = {
        {"tokens", 'n', OPT_INT, &tokens, "128", "N", "timed tokens, after 8 that are not", 1,
         4096},
        {"set", 0, OPT_APPEND, &r.set, NULL, "A.B=V", "change a size, as model.n_layer=12", 0, 0},
        UI_OPTIONS(&u),
        {0},
    };
    const opt_verb verb = {
        "bench decode",
        "MODEL|RECIPE",
        1,
        1,
        "Continuing a text, a token at a time, against the speed at which memory "
        "delivers what a token needs.\nRandom tokens; a RECIPE's section model "
        "gives the sizes of random parameters.  Drawing a\ntoken is measured beside "
        "the model, as generate does it by default (temperature 0.8, top-k 40).",
        table};
    int rc = opt_parse(&verb, &argc, argv);
    if (rc < 0 && !ui_open(&u, "bench decode")) rc = 1;
    if (rc < 0) {
        artel_status s = ARTEL_OOM;
        u.seed = -1; /* of a recipe, which this measurement does not ask for */
        if (recipe_ready(&r, &u, argv[0]))
            s = at_json_bench_decode(u.a, &r.recipe, tokens, u.json ? ui_json : draw_decode, &u);
        rc = ui_close(&u, s);
    }
    recipe_free(&r);
    return rc;
}

static void draw_data(void *user, const char *json) {
    (void)user;
    cJSON *o = printable_row(json, stdout);
    printf("%-8s %8.1f MB %8.2f s of processor time %8.1f MB/s\n", row_text(o, "step"),
           row_number(o, "bytes") / 1e6, row_number(o, "cpu_seconds"),
           row_number(o, "mbytes_per_s"));
    cJSON_Delete(o);
}

static int bench_data(int argc, char **argv) {
    ui u = {0};
    const opt table[] = {UI_OPTIONS(&u), {0}};
    const opt_verb verb = {"bench data",
                           "PATH",
                           1,
                           1,
                           "What `data build` does with a file or folder of text before it is "
                           "tokenised: digest and read\n(check, filter, deduplicate, stage), which "
                           "every build does, then near copies and overlap.",
                           table};
    const int rc = opt_parse(&verb, &argc, argv);
    if (rc >= 0) return rc;
    if (!ui_open(&u, verb.name)) return 1;
    return ui_close(&u, at_json_bench_data(u.a, argv[0], u.json ? ui_json : draw_data, &u));
}

int cmd_bench(int argc, char **argv) {
    static const opt_sub subs[] = {
        {"kernel", "matrix products, attention, optimiser", bench_kernel},
        {"step", "one training step", bench_step},
        {"data", "text on its way into a data set", bench_data},
        {"decode", "continuing a text, a token at a time", bench_decode},
        {NULL, NULL, NULL},
    };
    return opt_dispatch("artel bench", subs, argc, argv);
}
