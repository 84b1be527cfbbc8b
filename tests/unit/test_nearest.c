/* test_nearest.c - distances, and when silence is the better suggestion. */
#include "base/nearest.h"
#include "check.h"

static void distances(void **state) {
    (void)state;
    assert_int_equal(at_edit_distance("", ""), 0);
    assert_int_equal(at_edit_distance("abc", ""), 3);
    assert_int_equal(at_edit_distance("", "abc"), 3);
    assert_int_equal(at_edit_distance("kitten", "sitting"), 3);
    assert_int_equal(at_edit_distance("thredas", "threads"), 1);
    assert_int_equal(at_edit_distance("steps", "stepz"), 1);
    char word[100];
    memset(word, 'a', sizeof word - 1);
    word[99] = 0;
    assert_true(at_edit_distance(word, "a") > 99);
    assert_true(at_edit_distance("a", word) > 99);
}

static void the_nearest_or_none(void **state) {
    (void)state;
    const char *const known[] = {"train", "eval", "distill", "data"};
    assert_string_equal(at_nearest("trian", known, 4), "train");
    assert_string_equal(at_nearest("evla", known, 4), "eval");
    assert_string_equal(at_nearest("destil", known, 4), "distill");
    assert_null(at_nearest("zzzzz", known, 4));
    assert_null(at_nearest("", known, 4));
    assert_null(at_nearest("train", known, 0));
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(distances),
                                       cmocka_unit_test(the_nearest_or_none)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
