/* test_partial.c - outputs in the making: their names, other files are not touched, leftovers of
   killed processes are removed, targets that cannot be made are reported at once. */
#include "base/partial.h"
#include "check.h"
#include <signal.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

static at_ctx c;
static char *root;

static int setup(void **state) {
    (void)state;
    at_ctx_init(&c, 1);
    root = temporary_folder();
    return 0;
}

static int teardown(void **state) {
    (void)state;
    return at_remove_tree(&c, root) ? -1 : 0;
}

static const char *in(const char *name) {
    static char path[8][600];
    static int next;
    char *p = path[next++ % 8];
    (void)snprintf(p, sizeof path[0], "%s/%s", root, name);
    return p;
}

static void put(const char *name, const char *text) {
    assert_int_equal(at_write_file(&c, in(name), text, strlen(text)), AT_OK);
}

static bool holds(const char *name, const char *text) {
    char *is = at_read_file(&c, in(name), 1000, NULL);
    const bool same = is && strcmp(is, text) == 0;
    at_free(is);
    return same;
}

/* The names in root with `part` in them; the first into `name`. */
static int count(const char *part, char name[300]) {
    at_list l = {0};
    int n = 0;
    assert_int_equal(at_list_names(&c, root, &l), AT_OK);
    for (int64_t i = 0; i < l.n; i++)
        if (strstr(l.item[i], part) && n++ == 0 && name)
            (void)snprintf(name, 300, "%.299s", l.item[i]);
    at_list_free(&l);
    return n;
}

static void names_are_its_own(void **state) {
    (void)state;
    char *a, *b;
    assert_int_equal(at_make_dir(&c, in("out.partial")), AT_OK);
    put("out.partial/notes.txt", "mine");
    put("out.tmp", "mine");
    assert_int_equal(at_partial_dir(&c, in("out"), &a), AT_OK);
    assert_int_equal(at_partial_dir(&c, in("out"), &b), AT_OK);
    assert_string_not_equal(a, b);
    assert_int_equal(strncmp(a + strlen(root), "/.out.artel-partial-", 20), 0);
    assert_int_equal(at_partial_commit(&c, a, in("out")), AT_OK);
    at_partial_drop(&c, a);
    assert_true(at_is_dir(in("out")));
    put("out/x", "first");
    at_partial_drop(&c, b);
    assert_true(holds("out.partial/notes.txt", "mine") && holds("out.tmp", "mine"));
    nothing_in_the_making(&c, root);
}

static void a_taken_name_is_not_overwritten(void **state) {
    (void)state;
    char *a;
    assert_int_equal(at_partial_dir(&c, in("taken"), &a), AT_OK);
    assert_int_equal(at_make_dir(&c, in("taken")), AT_OK);
    put("taken/theirs", "kept");
    assert_int_equal(at_partial_commit(&c, a, in("taken")), AT_IO);
    at_partial_drop(&c, a);
    assert_true(holds("taken/theirs", "kept"));
    nothing_in_the_making(&c, root);
}

static void a_folder_is_exchanged(void **state) {
    (void)state;
    char *a;
    assert_int_equal(at_make_dir(&c, in("set.old")), AT_OK);
    put("set.old/mine", "mine");
    for (int i = 0; i < 2; i++) {
        char text[2] = {(char)('0' + i), 0};
        assert_int_equal(at_partial_dir(&c, in("set"), &a), AT_OK);
        char *file = at_join(&c, a, "n");
        assert_int_equal(at_write_file(&c, file, text, 1), AT_OK);
        at_free(file);
        assert_int_equal(at_replace_dir(&c, a, in("set")), AT_OK);
        at_partial_drop(&c, a);
        assert_true(holds("set/n", text));
    }
    assert_true(holds("set.old/mine", "mine"));
    nothing_in_the_making(&c, root);
}

/* A process makes a folder and a file for "killed", moves "was" aside, and dies of SIGKILL. */
static pid_t killed_at_work(void) {
    const pid_t child = fork();
    if (child == 0) {
        char *dir, *file;
        int fd;
        if (at_partial_dir(&c, in("killed"), &dir) || at_partial_file(&c, in("killed"), &fd, &file))
            _exit(1);
        (void)kill(getpid(), SIGKILL);
        _exit(2);
    }
    int status;
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_true(WIFSIGNALED(status));
    return child;
}

static void what_the_killed_left_goes(void **state) {
    (void)state;
    char *a, left[300], name[400], host[16];
    const pid_t child = killed_at_work();
    assert_int_equal(count(".killed.artel-partial-", left), 2);
    assert_non_null(strstr(left, "partial-"));
    long pid;
    assert_int_equal(sscanf(strstr(left, "partial-"), "partial-%ld-%8[0-9a-f]-", &pid, host), 2);
    assert_int_equal(pid, child);
    /* not ours to remove: a living process, another machine, another target, other names */
    const char *const kept[] = {
        ".killed.artel-partial-%ld-%s-7x", ".killed.artel-partial-%ld-%s",
        ".killed.artel-partial-x%ld-%s-1", ".killed.artel-partials-%ld-%s-1",
        "killed.artel-partial-%ld-%s-1",   ".other.artel-partial-%ld-%s-1"};
    for (size_t i = 0; i < sizeof kept / sizeof *kept; i++) {
        (void)snprintf(name, sizeof name, kept[i], pid, host);
        put(name, "kept");
    }
    (void)snprintf(name, sizeof name, ".killed.artel-partial-%ld-%s-1", (long)getppid(), host);
    put(name, "kept");
    (void)snprintf(name, sizeof name, ".killed.artel-partial-%ld-%08x-1", pid, 0x12345678U);
    put(name, "kept");
    assert_int_equal(at_partial_dir(&c, in("killed"), &a), AT_OK);
    at_partial_drop(&c, a);
    assert_int_equal(count("artel-partial", NULL), 8);
    for (size_t i = 0; i < sizeof kept / sizeof *kept; i++) {
        (void)snprintf(name, sizeof name, kept[i], pid, host);
        assert_true(holds(name, "kept"));
        assert_int_equal(unlink(in(name)), 0);
    }
    /* a file's writer clears as well */
    assert_int_equal(killed_at_work() > 0, 1);
    put("killed", "whole");
    assert_int_equal(count(".killed.artel-partial-", NULL), 2); /* the two kept above */

    /* killed between the two renames of an exchange: the old one comes back, once */
    (void)snprintf(name, sizeof name, ".was.artel-old-%ld-%s-0", pid, host);
    assert_int_equal(at_make_dir(&c, in(name)), AT_OK);
    (void)snprintf(name, sizeof name, ".was.artel-old-%ld-%s-0/n", pid, host);
    put(name, "before");
    assert_int_equal(at_partial_dir(&c, in("was"), &a), AT_OK);
    assert_true(holds("was/n", "before"));
    at_partial_drop(&c, a);
    assert_int_equal(count("artel-old", NULL), 0);
    while (count(".killed.artel-", left)) assert_int_equal(unlink(in(left)), 0);
}

static void long_names_are_shortened(void **state) {
    (void)state;
    char name[256];
    char *a;
    memset(name, 'n', 255);
    name[255] = 0;
    assert_int_equal(at_partial_dir(&c, in(name), &a), AT_OK);
    assert_int_equal(at_partial_commit(&c, a, in(name)), AT_OK);
    at_partial_drop(&c, a);
    assert_true(at_is_dir(in(name)));
}

static void a_link_to_a_folder_stays(void **state) {
    (void)state;
    assert_int_equal(at_make_dir(&c, in("real")), AT_OK);
    assert_int_equal(symlink("real", in("link")), 0);
    char *p = at_path_trim(&c, in("link//"));
    assert_string_equal(p, in("real"));
    at_free(p);
    p = at_path_trim(&c, "a/b///");
    assert_string_equal(p, "a/b");
    at_free(p);
    p = at_path_trim(&c, "///");
    assert_string_equal(p, "/");
    at_free(p);
    assert_int_equal(at_check_new_dir(&c, in("link/")), AT_ARG);
    assert_int_equal(symlink("nowhere", in("broken")), 0);
    assert_int_equal(at_check_new_dir(&c, in("broken/")), AT_ARG);
    assert_int_equal(at_check_out_dir(&c, in("broken")), AT_ARG);
}

static void a_link_to_a_file_stays(void **state) {
    (void)state;
    put("target", "old");
    assert_int_equal(symlink("target", in("one")), 0);
    assert_int_equal(symlink("one", in("two")), 0);
    assert_int_equal(symlink("later", in("three")), 0);
    put("two", "new");
    put("three", "made");
    struct stat st;
    assert_true(lstat(in("one"), &st) == 0 && S_ISLNK(st.st_mode));
    assert_true(lstat(in("two"), &st) == 0 && S_ISLNK(st.st_mode));
    assert_true(lstat(in("three"), &st) == 0 && S_ISLNK(st.st_mode));
    assert_true(holds("target", "new") && holds("later", "made"));
    assert_int_equal(at_check_out_file(&c, in("one")), AT_OK);
    put("target", "");
    assert_int_equal(unlink(in("later")), 0);
    nothing_in_the_making(&c, root);
}

static void told_before_the_work(void **state) {
    (void)state;
    put("file", "x");
    static const struct {
        const char *path;
        at_status dir, file;
    } rows[] = {
        {"new", AT_OK, AT_OK},     {"new/", AT_OK, AT_ARG},      {"new/deeper", AT_OK, AT_IO},
        {"new/.", AT_ARG, AT_ARG}, {"file/below", AT_IO, AT_IO}, {"file", AT_ARG, AT_OK},
        {"file/", AT_ARG, AT_ARG}, {"real", AT_OK, AT_IO},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        if (at_check_out_dir(&c, in(rows[i].path)) != rows[i].dir)
            fail_msg("folder %s: %s", rows[i].path, c.message);
        at_error_clear(&c);
        if (at_check_out_file(&c, in(rows[i].path)) != rows[i].file)
            fail_msg("file %s: %s", rows[i].path, c.message);
        at_error_clear(&c);
    }
    static const char *const none[] = {"", "/", ".", ".."};
    for (size_t i = 0; i < 4; i++) {
        assert_int_equal(at_check_out_dir(&c, none[i]), AT_ARG);
        assert_int_equal(at_check_out_file(&c, none[i]), AT_ARG);
    }
    assert_int_equal(at_check_out_file(&c, "/dev/null"), AT_OK);
    assert_int_equal(at_check_out_dir(&c, "/proc/none"), geteuid() ? AT_IO : AT_OK);
    if (geteuid() == 0) return; /* to whom everything is allowed */
    assert_int_equal(at_make_dir(&c, in("locked")), AT_OK);
    assert_int_equal(chmod(in("locked"), 0500), 0);
    assert_int_equal(at_check_out_dir(&c, in("locked/x")), AT_IO);
    assert_int_equal(at_check_out_file(&c, in("locked/x")), AT_IO);
}

static void only_what_is_known(void **state) {
    (void)state;
    static const char *const name[] = {"a", "b"};
    assert_int_equal(at_check_replaceable(&c, in("none"), "thing", name, 2), AT_OK);
    assert_int_equal(at_make_dir(&c, in("things")), AT_OK);
    assert_int_equal(at_check_replaceable(&c, in("things"), "thing", NULL, 0), AT_OK);
    put("things/a", "");
    assert_int_equal(at_check_replaceable(&c, in("things"), "thing", name, 2), AT_OK);
    assert_int_equal(at_check_replaceable(&c, in("things"), "thing", NULL, 0), AT_ARG);
    assert_int_equal(at_make_dir(&c, in("things/mine")), AT_OK);
    assert_int_equal(at_check_replaceable(&c, in("things"), "thing", name, 2), AT_ARG);
    expect_says(&c, "`mine`");
    assert_int_equal(at_check_replaceable(&c, in("things/a"), "thing", name, 2), AT_ARG);
}

/* None of these calls waits or goes on for ever. */
static void pipes_and_devices_are_no_files(void **state) {
    (void)state;
    assert_int_equal(mkfifo(in("pipe"), 0600), 0);
    const char *const path[] = {in("pipe"), "/dev/zero", "/dev/tty", root};
    static const char *const what[] = {"a pipe", "a device", NULL, "a folder"};
    for (int i = 0; i < 4; i++) {
        at_map m;
        FILE *f;
        assert_int_equal(at_map_open(&c, path[i], &m), AT_IO);
        assert_int_equal(at_file_open(&c, path[i], &f), AT_IO);
        assert_null(at_read_file(&c, path[i], 1 << 20, NULL));
        assert_int_equal(c.status, AT_IO);
        if (what[i]) expect_says(&c, what[i]);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(names_are_its_own),
        cmocka_unit_test(a_taken_name_is_not_overwritten),
        cmocka_unit_test(a_folder_is_exchanged),
        cmocka_unit_test(what_the_killed_left_goes),
        cmocka_unit_test(long_names_are_shortened),
        cmocka_unit_test(a_link_to_a_folder_stays),
        cmocka_unit_test(a_link_to_a_file_stays),
        cmocka_unit_test(told_before_the_work),
        cmocka_unit_test(only_what_is_known),
        cmocka_unit_test(pipes_and_devices_are_no_files),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
