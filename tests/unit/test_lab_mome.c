/* test_lab_mome.c - what is forgotten, worked out by hand; what a run's metrics say of its steadiness. */
#include "check.h"
#include "lab/mome_lab.h"
#include <math.h>

static at_ctx ctx;
static const char *folder;

static void near(double got, double want) {
    if (!(fabs(got - want) < 1e-12)) fail_msg("got %.15g, expected %.15g", got, want);
}

/* Three languages, learnt in the order 1 2 0. */
static void test_forgetting(void **state) {
    (void)state;
    const at_forget_matrix m = {.stages = 3,
                                .n = 3,
                                .learnt = {1, 2, 0},
                                .r = {{5, 2, 6}, {4.5, 3.5, 2.5}, {1.5, 3, 3.25}}};
    const at_forget f = at_forget_of(&m);
    near(f.forgetting[0], 0);    /* learnt last */
    near(f.forgetting[1], 1);    /* 3 after 2, though 3.5 between */
    near(f.forgetting[2], 0.75); /* 3.25 after 2.5 */
    near(f.mean, 0.875);         /* without the last */
    near(f.worst, 1);
    near(f.backward, ((2 - 3) + (2.5 - 3.25)) / 2);
    near(f.end, (1.5 + 3 + 3.25) / 3);
}

/* A language may gain by what comes after it: then nothing is forgotten, and the transfer is above 0.
   And the least loss may be that of a stage before its own. */
static void test_transfer(void **state) {
    (void)state;
    const at_forget_matrix m = {
        .stages = 3, .n = 3, .learnt = {0, 1, 2}, .r = {{3, 1, 9}, {2.5, 2, 8}, {2, 4, 7}}};
    const at_forget f = at_forget_of(&m);
    near(f.forgetting[0], 0);
    near(f.forgetting[1], 3);
    near(f.mean, 1.5);
    near(f.worst, 3);
    near(f.backward, ((3 - 2) + (2 - 4)) / 2.0);
}

/* All at once: every language counts, and none has a stage of its own. */
static void test_session(void **state) {
    (void)state;
    const at_forget_matrix m = {
        .stages = 3, .n = 2, .learnt = {-1, -1, -1}, .r = {{3, 5}, {2, 4}, {2.5, 3}}};
    const at_forget f = at_forget_of(&m);
    near(f.mean, 0.25);
    near(f.worst, 0.5);
    near(f.backward, 0);
    near(f.end, 2.75);
}

static const char *write(const char *text) {
    static char path[400];
    (void)snprintf(path, sizeof path, "%s/metrics.jsonl", folder);
    OK(at_write_file(&ctx, path, text, strlen(text)));
    return path;
}

/* The second half of eight steps; lines of a validation do not count. */
static void test_curve(void **state) {
    (void)state;
    static const double norm[8] = {9, 9, 9, 9, 1, 2, 3, 6}, loss[8] = {9, 1, 8, 1, 5, 4, 6, 5};
    static const double ce[8] = {9, 9, 9, 9, 4, 5, 5, 6},
                        alpha[8] = {0.5, 0.7, 0.2, 1, 0, 1, 0.3, 1};
    char text[2048] = "", *at = text;
    for (int i = 0; i < 8; i++)
        at += sprintf(
            at,
            "{\"step\":%d,\"wall\":%d,\"loss\":%g,\"ce\":%g,\"alpha\":%g,\"grad_norm\":%g}\n"
            "{\"step\":%d,\"domain\":\"a\",\"val_loss\":7}\n",
            i + 1, i, loss[i], ce[i], alpha[i], norm[i], i + 1);
    mome_curve v;
    OK(mome_curve_of(&ctx, write(text), &v));
    near(v.norm_sd, sqrt(14.0 / 3)); /* 1 2 3 6: mean 3, squares 4 1 0 9 */
    near(v.loss_sd, sqrt(3));        /* differences -1 2 -1: mean 0, squares 1 4 1 */
    near(v.text_sd, sqrt(1.0 / 3));  /* differences 1 0 1: mean 2/3, squares 1/9 4/9 1/9 */
    near(v.alpha_lo, 0);
    near(v.alpha_hi, 1);
}

int main(void) {
    at_ctx_init(&ctx, 1);
    folder = temporary_folder();
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_forgetting),
        cmocka_unit_test(test_transfer),
        cmocka_unit_test(test_session),
        cmocka_unit_test(test_curve),
    };
    const int failed = cmocka_run_group_tests_name("mome", tests, NULL, NULL);
    (void)at_remove_tree(&ctx, folder);
    return failed;
}
