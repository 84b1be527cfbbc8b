/* check.h - shared by the unit tests: the headers of cmocka in their order, checks, temporary
   folders. */
#ifndef CHECK_H
#define CHECK_H
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/file.h"
#include "base/json.h"

/** The kept sentence contains `part`; says both when it does not. */
#define expect_says(ctx, part)                                             \
    do {                                                                   \
        if (!strstr((ctx)->message, (part)))                               \
            fail_msg("expected \"%s\" in \"%s\"", (part), (ctx)->message); \
    } while (0)

/** For files with a static `at_ctx ctx`: the call succeeds, or the test fails with its message. */
#define OK(call)                                                     \
    do {                                                             \
        if ((call) != AT_OK) fail_msg("%s: %s", #call, ctx.message); \
    } while (0)

/** A new empty folder; remove it with at_remove_tree. */
static inline char *temporary_folder(void) {
    const char *base = getenv("TMPDIR");
    static char path[256];
    (void)snprintf(path, sizeof path, "%s/artel-test-XXXXXX", base ? base : "/tmp");
    assert_non_null(mkdtemp(path));
    return path;
}

/** A value as a file on many lines. */
static inline void write_json(at_ctx *c, const char *path, const cJSON *o) {
    at_json j;
    at_json_open_file(&j, c);
    at_json_put_members(&j, o, "");
    if (at_json_save(&j, path) != AT_OK) fail_msg("%s", c->message);
}

/** The folder has no temporary file of base/partial.h. */
static inline void nothing_in_the_making(at_ctx *c, const char *folder) {
    at_list l = {0};
    if (at_list_names(c, folder, &l) != AT_OK) fail_msg("%s", c->message);
    for (int64_t i = 0; i < l.n; i++)
        if (strstr(l.item[i], ".artel-")) fail_msg("left behind: %s", l.item[i]);
    at_list_free(&l);
}

#endif
