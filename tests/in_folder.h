/*
 * in_folder.h - for tests that work in a folder of their own: a context of two threads, the folder, and
 * paths in it.
 *
 *     cmocka_run_group_tests_name("name", tests, setup, teardown)
 */
#ifndef IN_FOLDER_H
#define IN_FOLDER_H
#include "check.h"
#include <stdio.h>

static at_ctx ctx;
static char *dir;

static inline int setup(void **state) {
    (void)state;
    at_ctx_init(&ctx, 2);
    dir = temporary_folder();
    return 0;
}

static inline int teardown(void **state) {
    (void)state;
    return at_remove_tree(&ctx, dir) ? -1 : 0;
}

/** dir/rel; the last eight stay valid. */
static inline const char *in(const char *rel) {
    static char path[8][600];
    static int turn;
    char *p = path[turn++ % 8];
    (void)snprintf(p, sizeof path[0], "%s/%s", dir, rel);
    return p;
}

#endif
