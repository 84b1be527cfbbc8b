/* cmd_data.c - artel data build, show, cluster. */
#include "artel.h"
#include "opt.h"
#include "printable.h"
#include "table.h"
#include "ui.h"
#include "verbs.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* ---- build ---- */

typedef struct table {
    int rows;
} table;

/* "left out: 3 not utf8; dropped: 120 duplicates, 40 too short" */
static void draw_left(const cJSON *row, const char *key, const char *title) {
    const cJSON *v;
    int n = 0;
    cJSON_ArrayForEach(v, cJSON_GetObjectItemCaseSensitive(row, key)) {
        if (v->valuedouble <= 0 || strstr(v->string, "_bytes")) continue;
        printf("%s%.0f ", n++ ? ", " : title, v->valuedouble);
        for (const char *p = v->string; *p; p++) putchar(*p == '_' ? ' ' : *p);
    }
    if (n) printf("\n");
}

static void draw_row(table *t, const cJSON *row) {
    static const column columns[] = {
        {"domain", "domain", -12, CELL_TEXT, 0, 0, NULL},
        {"documents", "documents", 10, CELL_NUMBER, 0, 0, NULL},
        {"bytes", "bytes", 10, CELL_BYTES, 0, 0, NULL},
        {"characters", "chars", 10, CELL_COUNT, 0, 0, NULL},
        {"words", "words", 10, CELL_COUNT, 0, 0, NULL},
        {"splits.train.tokens", "train tok", 12, CELL_NUMBER, 0, 0, NULL},
        {"splits.validation.tokens", "valid. tok", 12, CELL_NUMBER, 0, 0, NULL},
        {"splits.test.tokens", "test tok", 12, CELL_NUMBER, 0, 0, NULL},
        {0},
    };
    if (t->rows++ == 0) table_head(columns);
    if (cJSON_HasObjectItem(row, "ood")) printf("out of domain:\n");
    table_row(columns, row);
    draw_left(row, "files_left_out", "    files left out: ");
    const double alone =
        row_number(cJSON_GetObjectItemCaseSensitive(row, "read"), "documents_unaligned");
    if (alone > 0) printf("    documents left out: %.0f not in all aligned domains\n", alone);
    draw_left(row, "paragraphs_dropped", "    paragraphs dropped: ");
    const cJSON *o = cJSON_GetObjectItemCaseSensitive(row, "overlap_with_training");
    if (row_number(o, "validation") + row_number(o, "test") > 0)
        printf("    in the training text, too: %.2f %% of validation, %.2f %% of test\n",
               100 * row_number(o, "validation"), 100 * row_number(o, "test"));
}

/* The unit that was balanced first, then what follows from it in the others. */
static void draw_reached(const cJSON *o) {
    const cJSON *all = cJSON_GetObjectItemCaseSensitive(o, "reached_percent_by_unit"), *r;
    const char *unit = row_text(o, "unit");
    for (int others = 0; others < 2; others++) cJSON_ArrayForEach(r, all) {
            if ((strcmp(r->string, unit) != 0) != others) continue;
            printf("%s%s: train %.2f %%, validation %.2f %%, test %.2f %%\n",
                   others ? "    in " : "largest above smallest domain, in ", r->string,
                   row_number(r, "train"), row_number(r, "validation"), row_number(r, "test"));
        }
}

static void draw_build(void *user, const char *json) {
    cJSON *o = printable_row(json, stdout);
    if (cJSON_GetObjectItemCaseSensitive(o, "domain")) {
        draw_row(user, o);
    } else {
        draw_reached(o);
        printf("%s: %.0f tokens in the vocabulary, tokenizer %.12s, %.1f s\n", row_text(o, "data"),
               row_number(o, "vocab"), row_text(o, "tokenizer"), row_number(o, "seconds"));
    }
    cJSON_Delete(o);
}

/* "0.9,0.05,0.05" */
static bool parse_split(const char *s, double share[3]) {
    char *end;
    for (int i = 0; i < 3; i++) {
        share[i] = strtod(s, &end);
        if (end == s || *end != (i < 2 ? ',' : 0)) return false;
        s = end + 1;
    }
    return true;
}

static bool parse_near(const char *s, double *out) {
    char *end;
    *out = 0;
    if (strcmp(s, "off") == 0) return true;
    *out = strtod(s, &end);
    return end != s && !*end && *out >= 0.5 && *out <= 1;
}

static int build(int argc, char **argv) {
    ui u = {0};
    artel_data d;
    artel_data_defaults(&d);
    opt_list domains = {0}, licences = {0}, ood = {0};
    const char *split = NULL;
    const char *near = NULL;
    bool all = false, strict = false, language = false;
    const opt table_of[] = {
        {"domain", 'd', OPT_LIST, &domains, NULL, "NAME=[KIND:]PATH",
         "a domain and where its text is (repeat; the same name adds); KIND: text, jsonl, html, "
         "source, pairs",
         0, 0},
        {"output", 'o', OPT_STRING, &d.out, OPT_REQUIRED, "DIR", "the data set folder to make", 0,
         0},
        {"vocab", 0, OPT_INT, &d.vocab, NULL, "N", "train a tokenizer of N tokens on this text", 1,
         1 << 24},
        {"tokenizer-kind", 0, OPT_STRING, &d.tokenizer_kind, NULL, "KIND",
         "of the one trained: bytes, sentencepiece (bytes)", 0, 0},
        {"tokenizer", 0, OPT_STRING, &d.tokenizer, NULL, "FILE", "or use this tokenizer.json", 0,
         0},
        {"unit", 0, OPT_STRING, &d.unit, NULL, "UNIT",
         "what is balanced: tokens, bytes, chars, docs, words", 0, 0},
        {"max-diff", 0, OPT_REAL, &d.max_diff, NULL, "PCT",
         "percent the largest domain may be above the smallest (5)", 0, 1000},
        {"share", 0, OPT_STRING, &d.share, NULL, "NAME=N,...",
         "sizes of the domains relative to each other, as en=70,fr=30; otherwise all the same", 0,
         0},
        {"aligned", 0, OPT_STRING, &d.aligned, NULL, "NAME,...",
         "keep only documents that all of these domains have (translations); all: every domain", 0,
         0},
        {"no-balance", 0, OPT_FLAG, &all, NULL, NULL, "keep everything", 0, 0},
        {"limit", 0, OPT_INT, &d.limit, NULL, "N", "at most N units of training text a domain", 0,
         9e15},
        {"split", 0, OPT_STRING, &split, "0.9,0.05,0.05", "A,B,C",
         "shares of train, validation and test", 0, 0},
        {"ood", 0, OPT_LIST, &ood, NULL, "NAME=[KIND:]PATH",
         "text of another kind, held out to be tested on as split `ood` (repeat)", 0, 0},
        {"licence", 0, OPT_LIST, &licences, NULL, "NAME=SPDX",
         "licence of a domain, for the manifest (else of a file LICENCE in its folder)", 0, 0},
        {"min-chars", 0, OPT_INT, &d.min_chars, NULL, "N",
         "drop shorter paragraphs of prose (40); 0: keep all", 0, 1e9},
        {"min-letters", 0, OPT_REAL, &d.min_letters, NULL, "X",
         "drop paragraphs of prose with a smaller share of letters and blanks (0.7)", 0, 1},
        {"near-dup", 0, OPT_STRING, &near, "off", "X|off",
         "drop paragraphs this much like another one, from 0.5 to 1 (0.8 is usual)", 0, 0},
        {"language-filter", 0, OPT_FLAG, &language, NULL, NULL,
         "drop paragraphs in the language of another domain", 0, 0},
        {"text-field", 0, OPT_STRING, &d.text_field, NULL, "NAME", "text of a JSON line (text)", 0,
         0},
        {"strict", 0, OPT_FLAG, &strict, NULL, NULL, "fail on text that is not UTF-8", 0, 0},
        UI_OPTIONS(&u),
        {0}};
    const opt_verb verb = {
        "data build",
        "",
        0,
        0,
        "Text files, folders, JSON lines (.gz, .zst), web pages and program sources\n"
        "become a deduplicated, split, balanced, tokenised data set.  All of a text file goes "
        "into\n"
        "one split, unless files are too few, which is said.  Pipes and devices are not read.",
        table_of};
    int rc = opt_parse(&verb, &argc, argv);
    if (rc < 0 && domains.n == 0)
        rc = ui_usage(verb.name, "expected at least one --domain NAME=PATH");
    if (rc < 0 && !d.vocab == !d.tokenizer)
        rc = ui_usage(verb.name, "expected either --vocab N or --tokenizer FILE");
    if (rc < 0 && d.tokenizer && d.tokenizer_kind)
        rc = ui_usage(verb.name, "--tokenizer-kind is for a tokenizer that is trained: --vocab N");
    if (rc < 0 && !parse_split(split, d.split))
        rc = ui_usage(verb.name, "--split: expected three shares as 0.9,0.05,0.05, found `%s`",
                      split);
    if (rc < 0 && !parse_near(near, &d.near_dup))
        rc = ui_usage(verb.name,
                      "--near-dup: expected a likeness from 0.5 to 1 or `off`, found `%s`", near);
    if (rc < 0 && !ui_open(&u, verb.name)) rc = 1;
    if (rc < 0) {
        d.language_filter = language;
        d.domain = (const char *const *)domains.item;
        d.n_domain = domains.n;
        d.licence = (const char *const *)licences.item;
        d.n_licence = licences.n;
        d.ood = (const char *const *)ood.item;
        d.n_ood = ood.n;
        d.no_balance = all;
        d.strict = strict;
        if (u.seed >= 0) d.seed = u.seed;
        table t = {0};
        rc = ui_close(&u, artel_data_build(u.a, &d, u.json ? ui_json : draw_build, &t));
    }
    opt_list_free(&domains);
    opt_list_free(&licences);
    opt_list_free(&ood);
    return rc;
}

/* ---- show ---- */

static void draw_document(void *user, const char *json) {
    (void)user;
    cJSON *o = printable_row(json, stdout);
    printf("---- %s %s %.0f (%.0f tokens)\n%s\n", row_text(o, "domain"), row_text(o, "split"),
           row_number(o, "document"), row_number(o, "tokens"), row_text(o, "text"));
    cJSON_Delete(o);
}

static int show(int argc, char **argv) {
    ui u = {0};
    const char *domain = NULL, *split = NULL;
    int64_t first = 0, count = 0;
    const opt table_of[] = {
        {"domain", 'd', OPT_STRING, &domain, NULL, "NAME", "of this domain only", 0, 0},
        {"split", 0, OPT_STRING, &split, "train", "NAME", "train, validation, test or ood", 0, 0},
        {"first", 0, OPT_INT, &first, "0", "N", "number of the first document", 0, 9e15},
        {"count", 'n', OPT_INT, &count, "1", "N", "how many of each domain", 0, 9e15},
        UI_OPTIONS(&u),
        {0}};
    const opt_verb verb = {"data show",
                           "DIR",
                           1,
                           1,
                           "Prints documents of a data set as text, decoded from their tokens.",
                           table_of};
    const int rc = opt_parse(&verb, &argc, argv);
    if (rc >= 0) return rc;
    if (!ui_open(&u, verb.name)) return 1;
    return ui_close(&u, artel_data_show(u.a, argv[0], domain, split, first, count,
                                        u.json ? ui_json : draw_document, &u));
}

/* ---- cluster ---- */

/* "c0.jsonl  512 documents  1.2 MB  (en 510, fr 2): the, of, and" */
static void draw_cluster(void *user, const char *json) {
    (void)user;
    cJSON *o = printable_row(json, stdout);
    const cJSON *v;
    int n = 0;
    if (cJSON_GetObjectItemCaseSensitive(o, "cluster")) {
        printf("%-10s %8.0f documents %10s", row_text(o, "file"), row_number(o, "documents"),
               ui_bytes(row_number(o, "bytes")));
        cJSON_ArrayForEach(v, cJSON_GetObjectItemCaseSensitive(o, "labels")) if (v->valuedouble > 0)
            printf("%s%s %.0f", n++ ? ", " : "  (", v->string, v->valuedouble);
        printf("%s", n ? ")" : "");
        n = 0;
        cJSON_ArrayForEach(v, cJSON_GetObjectItemCaseSensitive(o, "words"))
            printf("%s%s", n++ ? ", " : ": ", v->valuestring);
        printf("\n");
    } else {
        if (cJSON_GetObjectItemCaseSensitive(o, "nmi"))
            printf("purity %.3f, normalised mutual information %.3f with the names\n",
                   row_number(o, "purity"), row_number(o, "nmi"));
        printf("%s: %.0f documents, mean likeness %.3f after %.0f rounds, %.1f s\n",
               row_text(o, "out"), row_number(o, "documents"), row_number(o, "likeness"),
               row_number(o, "rounds"), row_number(o, "seconds"));
    }
    cJSON_Delete(o);
}

static int cluster(int argc, char **argv) {
    ui u = {0};
    artel_cluster d;
    artel_cluster_defaults(&d);
    const opt table_of[] = {
        {"clusters", 'k', OPT_INT, &d.k, OPT_REQUIRED, "N", "how many", 2, 64},
        {"output", 'o', OPT_STRING, &d.out, OPT_REQUIRED, "DIR", "the folder to make", 0, 0},
        {"min-chars", 0, OPT_INT, &d.min_chars, NULL, "N",
         "drop shorter paragraphs of prose (40); 0: keep all", 0, 1e9},
        {"min-letters", 0, OPT_REAL, &d.min_letters, NULL, "X",
         "drop paragraphs of prose with a smaller share of letters and blanks (0.7)", 0, 1},
        {"text-field", 0, OPT_STRING, &d.text_field, NULL, "NAME", "text of a JSON line (text)", 0,
         0},
        UI_OPTIONS(&u),
        {0}};
    const opt_verb verb = {
        "data cluster",
        "[NAME=]PATH...",
        1,
        -1,
        "Domains discovered without labels: documents in N groups of about equal number, by their "
        "words.\nDIR gets c0.jsonl, c1.jsonl, ..., which `data build -d NAME=DIR/c0.jsonl` takes.  "
        "Where sources\nare named, the groups are compared with the names.",
        table_of};
    const int rc = opt_parse(&verb, &argc, argv);
    if (rc >= 0) return rc;
    if (!ui_open(&u, verb.name)) return 1;
    d.source = (const char *const *)argv;
    d.n_source = argc;
    if (u.seed >= 0) d.seed = u.seed;
    return ui_close(&u, artel_data_cluster(u.a, &d, u.json ? ui_json : draw_cluster, NULL));
}

int cmd_data(int argc, char **argv) {
    static const opt_sub subs[] = {
        {"build", "text -> a balanced, deduplicated, split, tokenised data set", build},
        {"show", "documents of a data set as text", show},
        {"cluster", "domains discovered in text without labels", cluster},
        {NULL, NULL, NULL}};
    return opt_dispatch("artel data", subs, argc, argv);
}
