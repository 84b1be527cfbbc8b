/* test_file.c - maps, whole files, atomic writes, folders, and what the system refuses. */
#include "base/sha256.h"
#include "check.h"
#include <sys/stat.h>
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

static char *in(const char *name) {
    char *p = at_join(&c, root, name);
    assert_non_null(p);
    return p;
}

static int64_t files_below(const char *path) {
    at_list l;
    assert_int_equal(at_list_tree(&c, path, &l), AT_OK);
    const int64_t n = l.n;
    at_list_free(&l);
    return n;
}

static void written_bytes_come_back(void **state) {
    (void)state;
    char *p = in("a");
    const char data[] = "one\0two";
    assert_int_equal(at_write_file(&c, p, data, sizeof data), AT_OK);
    size_t n = 0;
    char *back = at_read_file(&c, p, 100, &n);
    assert_non_null(back);
    assert_int_equal(n, sizeof data);
    assert_memory_equal(back, data, n);
    assert_int_equal(back[n], 0);
    at_free(back);
    at_map m;
    assert_int_equal(at_map_open(&c, p, &m), AT_OK);
    assert_int_equal(m.bytes, sizeof data);
    assert_memory_equal(m.data, data, m.bytes);
    at_map_close(&m);
    assert_null(at_read_file(&c, p, 3, &n));
    assert_int_equal(c.status, AT_FORMAT);
    expect_says(&c, p);
    assert_int_equal(files_below(root), 1); /* no temporary is left */
    at_free(p);
}

static void an_empty_file_is_a_file(void **state) {
    (void)state;
    char *p = in("empty");
    assert_int_equal(at_write_file(&c, p, NULL, 0), AT_OK);
    at_map m;
    assert_int_equal(at_map_open(&c, p, &m), AT_OK);
    assert_null(m.data);
    assert_int_equal(m.bytes, 0);
    at_map_close(&m);
    size_t n = 7;
    char *text = at_read_file(&c, p, 0, &n);
    assert_non_null(text);
    assert_int_equal(n, 0);
    assert_string_equal(text, "");
    at_free(text);
    at_free(p);
}

static void abandoned_output_leaves_the_old_file(void **state) {
    (void)state;
    char *p = in("kept");
    assert_int_equal(at_write_file(&c, p, "old", 3), AT_OK);
    at_out o;
    assert_int_equal(at_out_open(&c, p, &o), AT_OK);
    assert_int_equal(at_out_write(&c, &o, "new", 3), AT_OK);
    assert_int_equal(files_below(root), 2);
    at_out_close(&o);
    at_out_close(&o); /* harmless */
    assert_int_equal(files_below(root), 1);
    size_t n;
    char *text = at_read_file(&c, p, 10, &n);
    assert_non_null(text);
    assert_string_equal(text, "old");
    at_free(text);
    at_free(p);
}

static void refusals_name_path_and_reason(void **state) {
    (void)state;
    char *gone = in("gone/x"), *taken = in("taken");
    at_map m;
    assert_int_equal(at_map_open(&c, gone, &m), AT_IO);
    expect_says(&c, gone);
    expect_says(&c, "No such file");
    assert_int_equal(at_write_file(&c, gone, "x", 1), AT_IO);
    expect_says(&c, gone);
    expect_says(&c, "No such file");
    assert_null(at_read_file(&c, root, 10, NULL));
    expect_says(&c, "found a folder");
    assert_int_equal(at_write_file(&c, root, "x", 1), AT_IO);
    expect_says(&c, "folder of this name");
    assert_int_equal(at_write_file(&c, taken, "x", 1), AT_OK);
    char *below = at_join(&c, taken, "deeper");
    assert_int_equal(at_make_dir(&c, below), AT_IO);
    expect_says(&c, "File exists");
    at_list l;
    assert_int_equal(at_list_tree(&c, below, &l), AT_IO);
    assert_int_equal(l.n, 0);
    at_free(below);
    at_free(gone);
    at_free(taken);
}

static void a_full_disk_is_an_error(void **state) {
    (void)state;
    if (!at_exists("/dev/full")) skip();
    char *big = at_calloc(&c, 1, 1 << 20);
    assert_non_null(big);
    assert_int_equal(at_write_file(&c, "/dev/full", big, 1 << 20), AT_IO);
    expect_says(&c, "/dev/full");
    expect_says(&c, "No space left");
    assert_int_equal(at_write_file(&c, "/dev/full", big, 10), AT_IO); /* seen at flush only */
    expect_says(&c, "No space left");
    struct stat st;
    assert_int_equal(stat("/dev/full", &st), 0);
    assert_true(S_ISCHR(st.st_mode)); /* still the device */
    at_free(big);
}

static void no_permission_is_an_error(void **state) {
    (void)state;
    char *p = in("locked");
    assert_int_equal(at_make_dir(&c, p), AT_OK);
    char *f = at_join(&c, p, "f");
    assert_int_equal(at_write_file(&c, f, "x", 1), AT_OK);
    assert_int_equal(chmod(f, 0), 0);
    assert_int_equal(chmod(p, 0500), 0);
    const bool root_user = geteuid() == 0; /* root may write anywhere: be somebody else */
    if (root_user) {
        assert_int_equal(chmod(root, 0755), 0);
        assert_int_equal(chmod(p, 0555), 0);
        if (seteuid(65534) != 0) skip();
    }
    at_map m;
    const at_status written = at_write_file(&c, f, "y", 1);
    const bool says = strstr(c.message, f) && strstr(c.message, "Permission denied");
    const at_status mapped = at_map_open(&c, f, &m);
    const bool says_too = strstr(c.message, f) && strstr(c.message, "Permission denied");
    if (root_user) assert_int_equal(seteuid(0), 0);
    assert_int_equal(chmod(p, 0700), 0);
    assert_int_equal(written, AT_IO);
    assert_int_equal(mapped, AT_IO);
    assert_true(says && says_too);
    at_free(f);
    at_free(p);
}

static void folders_are_made_listed_and_removed(void **state) {
    (void)state;
    char *deep = in("t/b/c//d"), *t = in("t");
    assert_int_equal(at_make_dir(&c, deep), AT_OK);
    assert_int_equal(at_make_dir(&c, deep), AT_OK);
    assert_true(at_is_dir(deep));
    const char *names[] = {"t/b/z", "t/b/c/.hidden", "t/a", "t/b.x"};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        char *p = in(names[i]);
        assert_int_equal(at_write_file(&c, p, "1", 1), AT_OK);
        at_free(p);
    }
    char *link_file = in("t/link"), *link_up = in("t/b/up");
    assert_int_equal(symlink("a", link_file), 0);
    assert_int_equal(symlink("../..", link_up), 0); /* a circle: not followed */
    at_list l;
    assert_int_equal(at_list_tree(&c, t, &l), AT_OK);
    const char *want[] = {"a", "b.x", "b/c/.hidden", "b/z", "link"};
    assert_int_equal(l.n, 5);
    for (int i = 0; i < 5; i++) assert_string_equal(l.item[i], want[i]);
    at_list_free(&l);
    assert_int_equal(at_remove_tree(&c, t), AT_OK);
    assert_false(at_exists(t));
    assert_true(at_exists(root)); /* the link up was removed, not followed */
    assert_int_equal(at_remove_tree(&c, t), AT_OK);
    at_free(deep);
    at_free(t);
    at_free(link_file);
    at_free(link_up);
}

static void out_of_memory_is_said(void **state) {
    (void)state;
    char *p = in("m");
    for (int n = 1; n <= 2; n++) {
        c.fail_after = n;
        assert_int_equal(at_write_file(&c, p, "x", 1), AT_OOM);
        c.fail_after = 0;
        assert_false(at_exists(p));
    }
    at_free(p);
}

static void sha256_of_known_texts(void **state) {
    (void)state;
    static const char *known[][2] = {
        {"", "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"},
        {"abc", "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"},
        {"abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq",
         "248d6a61d20638b8e5c026930c3e6039a33ce45964ff2167f6ecedd419db06c1"}};
    char text[AT_SHA256_TEXT];
    for (int i = 0; i < 3; i++) {
        at_sha256_text(known[i][0], strlen(known[i][0]), text);
        assert_string_equal(text, known[i][1]);
    }
    /* A million letters a, in pieces of every length up to 200. */
    at_sha256 s;
    unsigned char digest[AT_SHA256_BYTES];
    char letters[200];
    memset(letters, 'a', sizeof letters);
    at_sha256_init(&s);
    for (size_t left = 1000000, n = 1; left > 0; n = n % 200 + 1) {
        const size_t take = n < left ? n : left;
        at_sha256_update(&s, letters, take);
        left -= take;
    }
    at_sha256_final(&s, digest);
    at_sha256_hex(digest, text);
    assert_string_equal(text, "cdc76e5c9914fb9281a1c7e284d73e67f1809a48a497200e046d39ccc7112cd0");
    char *p = in("h");
    assert_int_equal(at_write_file(&c, p, "abc", 3), AT_OK);
    assert_int_equal(at_sha256_file(&c, p, text), AT_OK);
    assert_string_equal(text, known[1][1]);
    at_free(p);
    p = in("none");
    assert_int_equal(at_sha256_file(&c, p, text), AT_IO);
    expect_says(&c, p);
    at_free(p);
}

#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
int main(void) {
    const struct CMUnitTest tests[] = {
        T(written_bytes_come_back),
        T(an_empty_file_is_a_file),
        T(abandoned_output_leaves_the_old_file),
        T(refusals_name_path_and_reason),
        T(a_full_disk_is_an_error),
        T(no_permission_is_an_error),
        T(folders_are_made_listed_and_removed),
        T(out_of_memory_is_said),
        T(sha256_of_known_texts),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
