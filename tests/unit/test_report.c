/* test_report.c - pages: escaping, axes, charts of too little data, specs with mistakes. */
#include "check.h"
/* before the rest */
#include "report/axis.h"
#include "report/grid.h"
#include "report/html.h"
#include "report/points.h"
#include "report/report.h"
#include "report/svg.h"
#include <math.h>
#include <stdio.h>

#define BAD "\xEF\xBF\xBD"

static int occurrences(const char *s, const char *part) {
    int n = 0;
    for (const char *p = s; (p = strstr(p, part)) != NULL; p += strlen(part)) n++;
    return n;
}

static void text_grows_and_fails_once(void **state) {
    (void)state;
    at_ctx c;
    at_ctx_init(&c, 1);
    at_text t;
    at_text_init(&t, &c, 0);
    for (int i = 0; i < 1000; i++) at_textf(&t, "%d,", i);
    at_text_bytes(&t, "\0x", 2);
    assert_int_equal(t.n, 10 * 2 + 90 * 3 + 900 * 4 + 2);
    char *s = at_text_take(&t);
    assert_non_null(s);
    assert_memory_equal(s, "0,1,2,", 6);
    at_free(s);
    s = at_text_take(&t); /* nothing appended: the empty string */
    assert_string_equal(s, "");
    at_free(s);
    at_text_init(&t, &c, 5);
    at_text_add(&t, "123");
    at_text_add(&t, "456"); /* does not fit, and neither does what comes after */
    at_text_add(&t, "7");
    assert_int_equal(t.failed, AT_UNSUPPORTED);
    assert_string_equal(t.s, "123");
    assert_null(at_text_take(&t));
    at_text_init(&t, &c, 0);
    c.fail_after = 1;
    at_text_add(&t, "x");
    c.fail_after = 0;
    at_text_add(&t, "y");
    assert_int_equal(t.failed, AT_OOM);
    assert_null(at_text_take(&t));
}

static void nothing_from_outside_is_markup(void **state) {
    (void)state;
    at_ctx c;
    at_ctx_init(&c, 1);
    const struct {
        const char *in, *out;
        size_t n;
    } rows[] = {
        {"<b a=\"x\" c='y'>&amp;", "&lt;b a=&quot;x&quot; c=&#39;y&#39;&gt;&amp;amp;", 20},
        {"\xC3\xA9\n\t\xF0\x9F\x90\x99", "\xC3\xA9\n\t\xF0\x9F\x90\x99", 8},
        {"a\xFF\xC3", "a" BAD BAD, 3},           /* never UTF-8; cut short */
        {"\xED\xA0\x80", BAD BAD BAD, 3},        /* a surrogate            */
        {"\xC0\xAF", BAD BAD, 2},                /* overlong               */
        {"\x1B[0m\0\x7F", BAD "[0m" BAD BAD, 6}, /* control characters     */
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        at_text t;
        at_text_init(&t, &c, 0);
        at_html_escape_bytes(&t, rows[i].in, rows[i].n);
        char *s = at_text_take(&t);
        assert_string_equal(s, rows[i].out);
        at_free(s);
    }
    const char *const evil = "<script>alert('&')</script>";
    const double one[4] = {1, 2, 3, 4};
    const at_series series = {evil, one, one, 4, false};
    const at_chart chart = {
        .title = evil, .x_label = evil, .y_label = evil, .series = &series, .n_series = 1};
    const char *const pair[] = {evil, evil};
    const at_bars bars = {evil, evil, 2, 2, pair, pair, one};
    at_text t;
    at_text_init(&t, &c, 0);
    at_html_begin(&t, evil, evil);
    at_html_heading(&t, evil);
    at_html_text(&t, evil);
    at_html_figures(&t, 1, &evil, &evil);
    at_html_table(&t, evil, 1, &evil, 1, &evil);
    at_html_sample(&t, evil, evil, evil);
    at_html_listing(&t, evil, evil);
    at_svg_chart(&t, &chart);
    at_svg_bars(&t, &bars);
    at_svg_confusion(&t, evil, 2, pair, one);
    at_html_end(&t);
    char *s = at_text_take(&t);
    assert_int_equal(occurrences(s, "<script"), 0);
    assert_true(occurrences(s, "&lt;script&gt;") > 20);
    assert_int_equal(occurrences(s, "://"), 0); /* nothing is fetched from anywhere */
    assert_int_equal(occurrences(s, "@import"), 0);
    assert_int_equal(occurrences(s, "url("), 0);
    assert_non_null(strstr(s, "default-src 'none'"));
    at_free(s);
}

static void samples_show_the_prompt_once(void **state) {
    (void)state;
    at_ctx c;
    at_ctx_init(&c, 1);
    at_text t;
    at_text_init(&t, &c, 0);
    at_html_sample(&t, NULL, "ab", "abcd");
    at_html_sample(&t, NULL, "ab", "cd");
    char *s = at_text_take(&t);
    assert_int_equal(occurrences(s, "<span class=\"prompt\">ab</span>cd"), 2);
    at_free(s);
    at_text_init(&t, &c, 0);
    at_html_text(&t, "one\n\n\n two\nthree\n\n");
    s = at_text_take(&t);
    assert_string_equal(s, "<p>one</p>\n<p> two\nthree</p>\n");
    at_free(s);
}

static void ticks_are_round(void **state) {
    (void)state;
    at_axis a;
    char s[32];
    at_axis_init(&a, 0.3, 9.7, false, 0, 100, 5);
    assert_int_equal(a.n_ticks, 4);
    assert_true(a.tick[0] == 2 && a.tick[3] == 8);
    at_axis_label(&a, a.tick[0], s, sizeof s);
    assert_string_equal(s, "2");
    assert_true(fabs(at_axis_place(&a, 5) - 50) < 1e-9);
    at_axis_init(&a, 0, 20, false, 0, 1, 5); /* steps of 1, 2 and 5 */
    assert_true(a.n_ticks == 5 && a.tick[1] == 5);
    at_axis_init(&a, 0, 10, false, 0, 1, 5);
    assert_true(a.n_ticks == 6 && a.tick[1] == 2);
    at_axis_init(&a, 0, 5, false, 0, 1, 5);
    assert_true(a.n_ticks == 6 && a.tick[1] == 1);
    at_axis_init(&a, 0, 50, false, 0, 1, 5);
    assert_true(a.n_ticks == 6 && a.tick[1] == 10);
    at_axis_init(&a, 0, 2.9e6, false, 0, 1, 6);
    at_axis_label(&a, 500000, s, sizeof s);
    assert_string_equal(s, "0.5M");
    at_axis_init(&a, 1, 1000, true, 0, 3, 5);
    assert_true(fabs(at_axis_place(&a, 10) - 1) < 1e-12);
    at_axis_init(&a, 2, 2, false, 0, 10, 5); /* one value: in the middle */
    assert_true(fabs(at_axis_place(&a, 2) - 5) < 1e-9);
    assert_true(a.n_ticks >= 2);
    at_axis_init(&a, NAN, 1, false, 0, 1, 5);
    assert_true(a.lo < a.hi && a.n_ticks >= 2);
    at_axis_init(&a, 0, 5, true, 0, 1, 5); /* 0 has no logarithm */
    assert_false(a.log);
    at_axis_init(&a, 1e-300, 1e300, true, 0, 1, 5);
    assert_true(a.n_ticks <= AT_TICKS_MAX);
    at_axis_init(&a, -1e308, 1e308, false, 0, 1, 5);
    assert_true(a.n_ticks <= AT_TICKS_MAX);
    at_short_number(38123456, s, sizeof s);
    assert_string_equal(s, "38.12M");
}

static char *drawn(at_ctx *c, const at_chart *chart) {
    at_text t;
    at_text_init(&t, c, 0);
    at_svg_chart(&t, chart);
    char *s = at_text_take(&t);
    assert_non_null(s);
    assert_null(strstr(s, "nan"));
    assert_null(strstr(s, "inf"));
    return s;
}

static void charts_of_too_little(void **state) {
    (void)state;
    at_ctx c;
    at_ctx_init(&c, 1);
    const double x[] = {1, 2, 3, 4, 5}, gap[] = {1, 2, NAN, 4, INFINITY}, none[] = {NAN, NAN},
                 negative[] = {-1, 10, 0, 100, 1000};
    at_series series = {"s", x, gap, 5, false};
    at_chart chart = {.series = &series, .n_series = 1};
    char *s = drawn(&c, &chart);
    assert_int_equal(occurrences(s, "<circle"), 3);
    const char *line = strstr(s, "class=\"line s0\" d=\"M5"); /* 5..: not the legend's M1 */
    assert_non_null(line);
    assert_int_equal(occurrences(line, "M"), 2); /* the gap starts a new stroke */
    at_free(s);
    series = (at_series){"s", none, none, 2, true};
    s = drawn(&c, &chart);
    assert_non_null(strstr(s, "No data"));
    at_free(s);
    series = (at_series){"s", NULL, NULL, 0, false};
    s = drawn(&c, &chart);
    assert_non_null(strstr(s, "No data"));
    at_free(s);
    chart.n_series = 0;
    s = drawn(&c, &chart);
    assert_non_null(strstr(s, "No data"));
    at_free(s);
    chart.n_series = 1;
    series = (at_series){NULL, x, x, 1, true};
    s = drawn(&c, &chart);
    assert_int_equal(occurrences(s, "<circle"), 1);
    at_free(s);
    series = (at_series){"s", x, negative, 5, false};
    chart.log_y = true;
    s = drawn(&c, &chart);
    assert_int_equal(occurrences(s, "<circle"), 3); /* -1 and 0 have no place */
    at_free(s);
    at_text t;
    at_text_init(&t, &c, 0);
    const char *const one[] = {"a"};
    const double nothing[] = {NAN};
    const at_bars bars = {NULL, NULL, 1, 1, one, one, nothing};
    at_svg_bars(&t, &bars);
    at_svg_confusion(&t, NULL, 1, one, nothing);
    s = at_text_take(&t);
    assert_null(strstr(s, "nan"));
    at_free(s);
}

static void thinning_keeps_the_picture(void **state) {
    (void)state;
    at_ctx c;
    at_ctx_init(&c, 1);
    at_points p = {0};
    for (int i = 0; i < 10000; i++)
        assert_int_equal(at_points_add(&c, &p, i, i == 7777 ? 50 : sin(i / 500.0)), AT_OK);
    at_points_thin(&p, 600);
    assert_int_equal(p.n, 600);
    assert_true(p.x[0] == 0 && p.x[599] == 9999);
    bool spike = false;
    for (int i = 0; i < 600; i++) {
        spike = spike || p.y[i] == 50;
        if (i) assert_true(p.x[i] > p.x[i - 1]);
    }
    assert_true(spike);
    at_points_thin(&p, 600);
    assert_int_equal(p.n, 600);
    at_points_free(&p);
}

/* ---- files ---- */

static at_ctx ctx;
static char dir[256];

static const char *in_dir(const char *name) {
    static char path[2][512];
    static int turn;
    turn = !turn;
    (void)snprintf(path[turn], sizeof path[turn], "%s/%s", dir, name);
    return path[turn];
}

static void write(const char *name, const char *text) {
    assert_int_equal(at_write_file(&ctx, in_dir(name), text, strlen(text)), AT_OK);
}

static char *page_of(const char *name) {
    size_t n;
    char *s = at_read_file(&ctx, in_dir(name), 1 << 20, &n);
    assert_non_null(s);
    assert_non_null(strstr(s, "</html>"));
    return s;
}

static int make_dir(void **state) {
    (void)state;
    at_ctx_init(&ctx, 1);
    (void)snprintf(dir, sizeof dir, "%s", temporary_folder());
    return 0;
}

static int drop_dir(void **state) {
    (void)state;
    return at_remove_tree(&ctx, dir);
}

static const char metrics[] =
    "{\"step\":1,\"tokens\":100,\"loss\":4.5,\"lr\":0.001,\"tok_s\":5000,\"other\":0.5}\n"
    "\n"
    "{\"step\":2,\"tokens\":200,\"loss\":4.0,\"lr\":0.001,\"tok_s\":5100,\"other\":0.4,\"alpha\":0."
    "5}\n"
    "{\"step\":2,\"val_loss\":4.2,\"domain\":\"all\"}\n"
    "{\"step\":2,\"val_loss\":4.1,\"domain\":\"en\"}\n"
    "{\"step\":2,\"val_loss\":4.3,\"domain\":\"fr\"}\n"
    "{\"step\":3,\"tokens\":300,\"loss\":null,\"lr\":0.001}\n"
    "{\"step\":4,\"tok"; /* the run was killed here */

static void curves_skip_what_does_not_belong(void **state) {
    (void)state;
    write("metrics.jsonl", metrics);
    at_curve curve[] = {{.x = "tokens", .y = "loss"},
                        {.x = "step", .y = "val_loss"},
                        {.x = "step", .y = "val_loss", .domain = "fr"},
                        {.x = "step", .y = "nothing"}};
    assert_int_equal(at_curves_read(&ctx, in_dir("metrics.jsonl"), curve, 4), AT_OK);
    assert_int_equal(curve[0].points.n, 2);
    assert_true(curve[0].points.x[1] == 200 && curve[0].points.y[1] == 4.0);
    assert_int_equal(curve[1].points.n, 1);
    assert_true(curve[1].points.y[0] == 4.2);
    assert_true(curve[2].points.n == 1 && curve[2].points.y[0] == 4.3);
    assert_int_equal(curve[3].points.n, 0);
    for (int i = 0; i < 4; i++) at_points_free(&curve[i].points);
    write("bad.jsonl", "{\"a\":1}\n{oops}\n{\"a\":2}\n");
    assert_int_equal(at_curves_read(&ctx, in_dir("bad.jsonl"), curve, 1), AT_FORMAT);
    expect_says(&ctx, "bad.jsonl:2");
    write("bad.jsonl", "[1]\n");
    assert_int_equal(at_curves_read(&ctx, in_dir("bad.jsonl"), curve, 1), AT_FORMAT);
    expect_says(&ctx, "bad.jsonl:1: expected an object");
    assert_int_equal(at_curves_read(&ctx, in_dir("missing.jsonl"), curve, 1), AT_IO);
    expect_says(&ctx, "missing.jsonl");
}

static void a_run_has_its_page(void **state) {
    (void)state;
    write("metrics.jsonl", metrics);
    write("recipe.yaml", "seed: 7 # <here>\n");
    assert_int_equal(at_report_run(&ctx, dir), AT_OK);
    char *s = page_of("report.html");
    assert_non_null(strstr(s, "Loss"));
    assert_non_null(strstr(s, "Validation loss by domain"));
    assert_non_null(strstr(s, "Learning rate"));
    assert_non_null(strstr(s, "Alpha, the weight of the cross-entropy"));
    assert_non_null(strstr(s, "<figcaption>other</figcaption>"));
    assert_non_null(strstr(s, "seed: 7 # &lt;here&gt;"));
    assert_non_null(strstr(s, "66.69")); /* exp(4.2) */
    at_free(s);
    write("metrics.jsonl", "");
    assert_int_equal(at_report_run(&ctx, dir), AT_OK);
    s = page_of("report.html");
    assert_non_null(strstr(s, "No data"));
    at_free(s);
    assert_int_equal(at_report_run(&ctx, in_dir("nowhere")), AT_IO);
}

static void a_spec_becomes_a_page(void **state) {
    (void)state;
    write("metrics.jsonl", metrics);
    write("a.jsonl", "{\"domain\":\"en\",\"ppl\":12.5,\"tokens\":12345}\n"
                     "{\"domain\":\"fr\",\"ppl\":101.25,\"tokens\":99}\n");
    write("b.jsonl", "{\"domain\":\"fr\",\"ppl\":7}\n");
    write("r.json", "{\"classes\":[\"en\",\"fr\"],\"confusion\":[[90,10],[0,7]]}\n");
    write("sample.txt", "Il \xFF fait <beau>");
    write("spec.json",
          "{\"title\":\"T & T\",\"subtitle\":\"s\",\"sections\":["
          "{\"heading\":\"H\",\"text\":\"p\",\"figures\":{\"n\":1234567,\"f\":0.5,\"w\":\"x\"},"
          "\"chart\":{\"title\":\"C\",\"x\":\"t\",\"y\":\"l\",\"series\":["
          "{\"name\":\"m\",\"metrics\":\"metrics.jsonl\",\"x\":\"tokens\",\"y\":\"loss\"},"
          "{\"name\":\"p\",\"points\":[[0,1],[1,null],[2,3]],\"smooth\":true}]},"
          "\"bars\":{\"title\":\"B\",\"key\":\"domain\",\"from\":["
          "{\"title\":\"A\",\"file\":\"a.jsonl\",\"field\":\"ppl\"}]},"
          "\"table\":{\"key\":\"domain\",\"from\":["
          "{\"title\":\"A\",\"file\":\"a.jsonl\",\"field\":\"ppl\"},"
          "{\"title\":\"B\",\"file\":\"b.jsonl\",\"field\":\"ppl\"},"
          "{\"title\":\"N\",\"file\":\"a.jsonl\",\"field\":\"tokens\"}]},"
          "\"confusion\":{\"file\":\"r.json\"},"
          "\"samples\":[{\"label\":\"fr\",\"prompt\":\"Il\",\"file\":\"sample.txt\"}]},"
          "{\"table\":{\"columns\":[\"a\",\"b\"],\"rows\":[[\"x\",1.5],[null,true]]}},"
          "{\"confusion\":{\"labels\":[\"p\"],\"counts\":[[3]]},"
          "\"heat\":{\"title\":\"after "
          "each\",\"rows\":[\"first\",\"second\"],\"columns\":[\"a\",\"b\",\"c\"],"
          "\"values\":[[2,4,null],[3,2.5,6]]}}]}");
    assert_int_equal(at_report_spec(&ctx, in_dir("spec.json"), in_dir("out.html")), AT_OK);
    char *s = page_of("out.html");
    const char *const parts[] = {"<h1>T &amp; T</h1>",
                                 "1,234,567",
                                 "class=\"line s1\"",
                                 ">12.5</td>",
                                 ">101.2</td>",
                                 ">12,345</td>",
                                 ">\xE2\x80\x93</td>",
                                 "90.0 %",
                                 "<span class=\"prompt\">Il</span> " BAD " fait &lt;beau&gt;",
                                 ">yes</td>",
                                 "opacity=\"0.530\"",
                                 "\"cell\" x=\"262\" y=\"135\">2.5</text>",
                                 "\"cell on\" x=\"358\" y=\"135\">6</text>"};
    for (size_t i = 0; i < sizeof parts / sizeof *parts; i++)
        if (!strstr(s, parts[i])) fail_msg("the page lacks %s", parts[i]);
    at_free(s);
}

static void mistakes_in_a_spec_are_named(void **state) {
    (void)state;
    write("a.jsonl", "{\"domain\":\"en\",\"ppl\":12.5}\n");
    const struct {
        const char *section, *says;
    } rows[] = {
        {"{\"chrt\":{}}", "sections[0]: unknown field \"chrt\""},
        {"7", "sections[0]: expected an object"},
        {"{\"heading\":7}", "\"heading\""},
        {"{\"chart\":{\"title\":\"x\"}}", "sections[0].chart: field \"series\""},
        {"{\"chart\":{\"series\":[]}}", "\"series\": 0 elements"},
        {"{\"chart\":{\"series\":[{\"name\":\"x\"}]}}", "chart.series[0]: expected either"},
        {"{\"chart\":{\"series\":[{\"points\":[[1]]}]}}", "series[0]: field \"points[0]\""},
        {"{\"chart\":{\"series\":[{\"points\":[[1,\"2\"]]}]}}", "\"points[0]\""},
        {"{\"chart\":{\"series\":[{\"points\":[],\"smooth\":1}]}}", "\"smooth\""},
        {"{\"chart\":{\"series\":[{\"metrics\":\"a.jsonl\",\"y\":\"ppl\"}]}}", "\"x\""},
        {"{\"chart\":{\"series\":[{\"metrics\":\"no.jsonl\",\"x\":\"a\",\"y\":\"b\"}]}}",
         "no.jsonl"},
        {"{\"table\":{\"columns\":[],\"rows\":[]}}", "\"columns\""},
        {"{\"table\":{\"columns\":[\"a\"],\"rows\":[[1],[1,2]]}}", "\"rows[1]\""},
        {"{\"table\":{\"columns\":[1],\"rows\":[]}}", "\"columns[0]\""},
        {"{\"table\":{\"key\":\"domain\"}}", "\"from\""},
        {"{\"table\":{\"key\":\"d\",\"from\":[{\"title\":\"t\",\"file\":\"a.jsonl\",\"field\":"
         "\"ppl\"}]}}",
         "no line has a string under \"d\""},
        {"{\"bars\":{\"key\":\"domain\",\"from\":[{\"title\":\"t\",\"file\":\"a.jsonl\",\"field\":"
         "\"pl\"}]}}",
         "no line has a number under \"pl\""},
        {"{\"bars\":{\"key\":\"domain\",\"from\":[{\"title\":\"t\",\"file\":\"a.jsonl\"}]}}",
         "bars.from[0]: field \"field\""},
        {"{\"confusion\":{\"labels\":[\"a\",\"b\"],\"counts\":[[1,2]]}}", "\"counts\": 1 rows"},
        {"{\"confusion\":{\"labels\":[\"a\"],\"counts\":[[-1]]}}", "\"counts[0]\""},
        {"{\"confusion\":{\"labels\":[\"a\"],\"counts\":[[1,2]]}}", "\"counts[0]\""},
        {"{\"heat\":{\"rows\":[\"a\"],\"columns\":[\"b\"],\"values\":[]}}",
         "\"values\": 0 rows for 1"},
        {"{\"heat\":{\"rows\":[\"a\"],\"columns\":[\"b\"],\"values\":[[1,2]]}}", "\"values[0]\""},
        {"{\"heat\":{\"rows\":[\"a\"],\"columns\":[\"b\"],\"values\":[[\"x\"]]}}", "\"values[0]\""},
        {"{\"heat\":{\"rows\":[\"a\"],\"values\":[[1]]}}", "columns"},
        {"{\"confusion\":{\"file\":\"a.jsonl\"}}", "no line has a field \"confusion\""},
        {"{\"samples\":{}}", "samples: expected an array"},
        {"{\"samples\":[{\"label\":\"x\"}]}", "samples[0]: expected either"},
        {"{\"samples\":[{\"file\":\"no.txt\"}]}", "no.txt"},
        {"{\"figures\":{\"a\":[]}}", "\"a\""},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        char spec[1024];
        (void)snprintf(spec, sizeof spec, "{\"title\":\"t\",\"sections\":[%s]}", rows[i].section);
        write("spec.json", spec);
        const at_status s = at_report_spec(&ctx, in_dir("spec.json"), in_dir("none.html"));
        if (!s) fail_msg("accepted: %s", rows[i].section);
        expect_says(&ctx, rows[i].says);
        expect_says(&ctx, "spec.json: sections[0]");
    }
    assert_false(at_exists(in_dir("none.html")));
    write("spec.json", "{\"title\":\"t\"}");
    assert_int_equal(at_report_spec(&ctx, in_dir("spec.json"), in_dir("none.html")), AT_FORMAT);
    expect_says(&ctx, "\"sections\"");
    write("spec.json", "{\"title\":\"t\",\"sections\":[]");
    assert_int_equal(at_report_spec(&ctx, in_dir("spec.json"), in_dir("none.html")), AT_FORMAT);
    write("spec.json", "{\"title\":\"t\",\"sections\":[]}");
    assert_int_equal(at_report_spec(&ctx, in_dir("spec.json"), in_dir("no/where.html")), AT_IO);
}

static void pages_survive_every_failed_allocation(void **state) {
    (void)state;
    write("metrics.jsonl", metrics);
    int64_t failures = 0;
    for (;; failures++) {
        at_ctx c;
        at_ctx_init(&c, 1);
        c.fail_after = failures + 1;
        const at_status s = at_report_run(&c, dir);
        if (!s) break;
        assert_int_equal(s, AT_OOM);
        assert_true(failures < 1000);
    }
    assert_true(failures > 10);
}

static void heat_survives_every_failed_allocation(void **state) {
    (void)state;
    write("spec.json",
          "{\"title\":\"T\",\"sections\":[{\"heat\":{\"rows\":[\"a\"],\"columns\":[\"b\",\"c\"],"
          "\"values\":[[1,2]]}}]}");
    int64_t failures = 0;
    for (at_status s = AT_OOM; s; failures++) {
        at_ctx c;
        at_ctx_init(&c, 1);
        c.fail_after = failures + 1;
        s = at_report_spec(&c, in_dir("spec.json"), in_dir("out.html"));
        assert_true(s == AT_OK || s == AT_OOM);
        assert_true(failures < 1000);
    }
    assert_true(failures > 10);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(text_grows_and_fails_once),
        cmocka_unit_test(nothing_from_outside_is_markup),
        cmocka_unit_test(samples_show_the_prompt_once),
        cmocka_unit_test(ticks_are_round),
        cmocka_unit_test(charts_of_too_little),
        cmocka_unit_test(thinning_keeps_the_picture),
        cmocka_unit_test_setup_teardown(curves_skip_what_does_not_belong, make_dir, drop_dir),
        cmocka_unit_test_setup_teardown(a_run_has_its_page, make_dir, drop_dir),
        cmocka_unit_test_setup_teardown(a_spec_becomes_a_page, make_dir, drop_dir),
        cmocka_unit_test_setup_teardown(mistakes_in_a_spec_are_named, make_dir, drop_dir),
        cmocka_unit_test_setup_teardown(pages_survive_every_failed_allocation, make_dir, drop_dir),
        cmocka_unit_test_setup_teardown(heat_survives_every_failed_allocation, make_dir, drop_dir),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
