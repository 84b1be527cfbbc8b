/* test_base_wires.c - random draws are those of Philox; sizes that overflow are refused; a rewind
   of an arena keeps memory before the mark; a file that cannot be written completely does not
   appear. */
#include "base/arena.h"
#include "base/rng.h"
#include "check.h"
#include <signal.h>
#include <sys/resource.h>

static at_ctx ctx;

static int setup(void **state) {
    (void)state;
    at_ctx_init(&ctx, 2);
    return 0;
}

/* ---- random numbers ---- */

/* The known answers of Random123 for philox4x32-10; the counter is index and stream. */
static void draws_are_those_of_philox(void **state) {
    (void)state;
    const uint64_t ones = UINT64_MAX;
    assert_true(at_rand64(0, 0, 0) == UINT64_C(0xe169c58d6627e8d5));
    assert_true(at_rand64(ones, ones, ones) == UINT64_C(0x41c83b0e408f276d));
    assert_true(at_rand64(UINT64_C(0x299f31d0a4093822), UINT64_C(0x0370734413198a2e),
                          UINT64_C(0x85a308d3243f6a88)) == UINT64_C(0x94fdccebd16cfe09));
}

/* The upper half of r n, bit by bit. */
static uint64_t high_of_product(uint64_t r, uint64_t n) {
    uint64_t hi = 0, lo = 0;
    for (int bit = 63; bit >= 0; bit--) {
        hi = hi << 1 | lo >> 63;
        lo <<= 1;
        if (!(n >> bit & 1)) continue;
        lo += r;
        hi += lo < r;
    }
    return hi;
}

static void draws_below_a_bound_are_exact(void **state) {
    (void)state;
    static const uint64_t bound[] = {
        1, 2, 3, 1000, UINT32_MAX, UINT64_C(1) << 32, UINT64_C(0xFFFFFFFF00000001), UINT64_MAX};
    for (size_t k = 0; k < sizeof bound / sizeof *bound; k++)
        for (uint64_t i = 0; i < 200; i++) {
            const uint64_t got = at_rand_below(bound[k], 1, AT_STREAM_TEST, i);
            const uint64_t r = at_rand64(1, AT_STREAM_TEST, i);
            assert_true(got < bound[k] && got == high_of_product(r, bound[k]));
        }
}

static void hashes_are_fnv_1a(void **state) {
    (void)state;
    assert_true(at_hash_path("") == UINT64_C(0xcbf29ce484222325));
    assert_true(at_hash_path("a") == UINT64_C(0xaf63dc4c8601ec8c));
    assert_true(at_hash_path("foobar") == UINT64_C(0x85944171f73967e8));
}

/* ---- memory ---- */

/* A product whose lower 64 bits are 16. */
static void sizes_that_do_not_fit_are_refused(void **state) {
    (void)state;
    const size_t many = SIZE_MAX / 16 + 2;
    at_error_clear(&ctx);
    assert_null(at_calloc(&ctx, many, 16));
    assert_int_equal(ctx.status, AT_OOM);
    at_error_clear(&ctx);
    void *items = NULL;
    int64_t cap = 0;
    assert_false(at_reserve(&ctx, &items, &cap, (int64_t)many, 16));
    assert_int_equal(ctx.status, AT_OOM);
    assert_null(items);
    assert_int_equal(cap, 0);
}

static void rewinding_keeps_what_came_before(void **state) {
    (void)state;
    at_arena a;
    at_arena_init(&a, &ctx);
    unsigned char *kept = at_arena_alloc(&a, 1000);
    assert_non_null(kept);
    memset(kept, 7, 1000);
    const at_mark mark = at_arena_mark(&a);
    unsigned char *dead = at_arena_alloc(&a, 1000);
    assert_non_null(dead);
    assert_non_null(at_arena_alloc(&a, 64 << 20)); /* a chunk of its own */
    at_arena_rewind(&a, mark);
    assert_int_equal(a.used, mark.used);
    unsigned char *again = at_arena_alloc(&a, 1000);
    assert_ptr_equal(again, dead);
    memset(again, 8, 1000);
    for (int i = 0; i < 1000; i++) assert_int_equal(kept[i], 7);
    at_arena_close(&a);
}

/* ---- files ---- */

/* A limit on the size of files plays a full disk: flushing stdio's buffer fails. */
static void a_full_disk_leaves_the_old_file(void **state) {
    (void)state;
    char *dir = temporary_folder(), path[300], text[3000];
    (void)snprintf(path, sizeof path, "%s/kept", dir);
    memset(text, 'x', sizeof text);
    OK(at_write_file(&ctx, path, "old", 3));
    struct rlimit was, little;
    void (*handler)(int) = signal(SIGXFSZ, SIG_IGN);
    assert_int_equal(getrlimit(RLIMIT_FSIZE, &was), 0);
    little = was;
    little.rlim_cur = 1000;
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &little), 0);
    const at_status s = at_write_file(&ctx, path, text, sizeof text);
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &was), 0);
    (void)signal(SIGXFSZ, handler);
    assert_int_equal(s, AT_IO);
    expect_says(&ctx, path);
    size_t n = 0;
    char *now = at_read_file(&ctx, path, 1 << 20, &n);
    assert_int_equal(n, 3);
    assert_memory_equal(now, "old", 3);
    at_free(now);
    at_list l;
    OK(at_list_tree(&ctx, dir, &l));
    assert_int_equal(l.n, 1); /* and no temporary */
    at_list_free(&l);
    OK(at_remove_tree(&ctx, dir));
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(draws_are_those_of_philox),
        cmocka_unit_test(draws_below_a_bound_are_exact),
        cmocka_unit_test(hashes_are_fnv_1a),
        cmocka_unit_test(sizes_that_do_not_fit_are_refused),
        cmocka_unit_test(rewinding_keeps_what_came_before),
        cmocka_unit_test(a_full_disk_leaves_the_old_file),
    };
    return cmocka_run_group_tests_name("base_wires", tests, setup, NULL);
}
