/* test_io_wires.c - a checkpoint of another model, or with wrong files, is refused. */
#include "check.h"
#include "io/checkpoint.h"
#include <stdio.h>

enum { ROWS = 4, COLS = 6, N = ROWS * COLS };

static at_ctx ctx;
static char *dir;

static int setup(void **state) {
    (void)state;
    at_ctx_init(&ctx, 1);
    dir = temporary_folder();
    return 0;
}

static int teardown(void **state) {
    (void)state;
    return at_remove_tree(&ctx, dir) ? -1 : 0;
}

static const char *in(const char *name) {
    static char path[300];
    (void)snprintf(path, sizeof path, "%s/%s", dir, name);
    return path;
}

/* Two matrices; the names and the shape of the second may vary. */
static at_store store_of(const char *second, int64_t rows, int64_t cols) {
    at_store s;
    at_store_init(&s, &ctx);
    assert_non_null(at_param(&s, AT_INIT_NORMAL, 1, 2, (int64_t[]){ROWS, COLS}, "first"));
    assert_non_null(at_param(&s, AT_INIT_NORMAL, 1, 2, (int64_t[]){rows, cols}, "%s", second));
    OK(at_store_alloc(&s));
    at_store_randomise(&s, 1);
    return s;
}

static at_status load(at_store *s, const char *path) {
    at_weights w;
    OK(at_weights_open(&ctx, path, SIZE_MAX, &w));
    const at_status status = at_checkpoint_load(&ctx, s, &w, &(at_load_options){.prefix = ""});
    at_weights_close(&w);
    return status;
}

static void refused(const char *second, int64_t rows, int64_t cols, const char *says) {
    at_store s = store_of(second, rows, cols);
    at_error_clear(&ctx);
    assert_int_equal(load(&s, in("weights.safetensors")), AT_FORMAT);
    expect_says(&ctx, says);
    expect_says(&ctx, "weights.safetensors");
    at_store_close(&s);
}

/* A shape of as many values is another shape; a tensor too many is as wrong as one too few. */
static void only_its_own_checkpoint(void **state) {
    (void)state;
    at_store s = store_of("second", ROWS, COLS);
    OK(at_checkpoint_save(&ctx, &s, AT_SLAB_VALUE, in("weights.safetensors"), NULL));
    at_store same = store_of("second", ROWS, COLS);
    memset(same.value, 0, N * sizeof *same.value);
    OK(load(&same, in("weights.safetensors")));
    assert_memory_equal(same.p[0]->t.data, s.p[0]->t.data, N * sizeof(at_real));
    assert_memory_equal(same.p[1]->t.data, s.p[1]->t.data, N * sizeof(at_real));
    at_store_close(&same);
    refused("second", COLS, ROWS, "tensor `second`: expected shape");
    refused("third", ROWS, COLS, "tensor `third` is missing");
    at_store less;
    at_store_init(&less, &ctx);
    assert_non_null(at_param(&less, AT_INIT_ZERO, 0, 2, (int64_t[]){ROWS, COLS}, "first"));
    OK(at_store_alloc(&less));
    assert_int_equal(load(&less, in("weights.safetensors")), AT_FORMAT);
    expect_says(&ctx, "tensor `second` belongs to no parameter");
    at_store_close(&less);
    at_store_close(&s);
}

static void each_moment_for_itself(void **state) {
    (void)state;
    at_store s = store_of("second", ROWS, COLS), t = store_of("second", ROWS, COLS);
    OK(at_store_train(&s, true));
    OK(at_store_train(&t, true));
    for (int64_t i = 0; i < s.numel; i++) s.m[i] = (at_real)i, s.v[i] = (at_real)(1000 + i);
    OK(at_checkpoint_save(&ctx, &s, AT_SLAB_M, in("m.safetensors"), NULL));
    OK(at_checkpoint_save(&ctx, &s, AT_SLAB_V, in("v.safetensors"), NULL));
    OK(at_checkpoint_load_slab(&ctx, &t, AT_SLAB_M, in("m.safetensors")));
    OK(at_checkpoint_load_slab(&ctx, &t, AT_SLAB_V, in("v.safetensors")));
    for (int k = 0; k < 2; k++) {
        const int64_t at = s.p[k]->moment;
        assert_memory_equal(s.m + at, t.m + at, N * sizeof *s.m);
        assert_memory_equal(s.v + at, t.v + at, N * sizeof *s.v);
    }
    at_store_close(&s);
    at_store_close(&t);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(only_its_own_checkpoint),
        cmocka_unit_test(each_moment_for_itself),
    };
    return cmocka_run_group_tests_name("io_wires", tests, setup, teardown);
}
