/* test_self.c - the program by its file, the processor by its name. */
#include "base/cpu.h"
#include "check.h"
#include "lab/lab_self.h"

static at_ctx ctx;

static void test_program(void **state) {
    (void)state;
    char got[AT_SHA256_TEXT], again[AT_SHA256_TEXT], file[AT_SHA256_TEXT];
    OK(at_self_program(&ctx, got));
    OK(at_self_program(&ctx, again));
    assert_int_equal(strlen(got), 64);
    assert_string_equal(got, again);
    if (!at_exists("/proc/self/exe")) skip();
    OK(at_sha256_file(&ctx, "/proc/self/exe", file));
    assert_string_equal(got, file);
}

/* The instruction set is part of the name: it decides the speed. */
static void test_processor(void **state) {
    (void)state;
    char best[AT_PROCESSOR_MAX], plain[AT_PROCESSOR_MAX];
    at_ctx lowered = ctx;
    lowered.cpu = 0;
    at_self_processor(&ctx, best);
    at_self_processor(&lowered, plain);
    assert_non_null(strstr(best, at_cpu_name(ctx.cpu)));
    assert_non_null(strstr(plain, ", ref"));
    assert_true(strstr(plain, ", ref") > plain); /* a name before it */
    assert_null(strchr(plain, '\n'));
}

int main(void) {
    at_ctx_init(&ctx, 1);
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_program),
                                       cmocka_unit_test(test_processor)};
    return cmocka_run_group_tests_name("self", tests, NULL, NULL);
}
