/* cmd_tokenizer.c - artel tokenizer train | encode | decode | stats. */
#include "artel.h"
#include "opt.h"
#include "printable.h"
#include "table.h"
#include "ui.h"
#include "verbs.h"
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* ---- train ---- */

static void draw_trained(void *user, const char *json) {
    (void)user;
    cJSON *o = printable_row(json, stdout);
    printf("%s: %.0f tokens, ", row_text(o, "tokenizer"), row_number(o, "vocab"));
    if (row_number(o, "characters") > 0)
        printf("%.0f of them characters, ", row_number(o, "characters"));
    printf("%.0f of them merges, from %s in %.0f files\nhash %.16s\n", row_number(o, "merges"),
           ui_bytes(row_number(o, "bytes")), row_number(o, "files"), row_text(o, "hash"));
    cJSON_Delete(o);
}

static int tokenizer_train(int argc, char **argv) {
    ui u = {0};
    artel_tokenizer_training o = {0};
    bool across = false, digits = false, single = false;
    const opt table[] = {
        {"vocab", 'n', OPT_INT, &o.vocab, "8192", "N",
         "tokens in all: 256 bytes, special ones, characters, merges", 257, 1 << 22},
        {"output", 'o', OPT_STRING, &o.output, OPT_REQUIRED, "FILE", "the tokenizer.json to write",
         0, 0},
        {"min-count", 0, OPT_INT, &o.min_count, "2", "N", "rarer pairs are not merged", 1, 1e15},
        {"max-piece", 0, OPT_INT, &o.max_piece, "64", "BYTES",
         "longer words and runs are cut before counting", 1, 1e6},
        {"kind", 'k', OPT_STRING, &o.kind, "bytes", "KIND",
         "bytes: byte-level, as GPT-2's; sentencepiece: characters and bytes, as Llama's", 0, 0},
        {"across-words", 0, OPT_FLAG, &across, NULL, NULL,
         "sentencepiece: tokens may hold several words; they end with a line", 0, 0},
        {"split-digits", 0, OPT_FLAG, &digits, NULL, NULL, "sentencepiece: each digit is a token",
         0, 0},
        {"single-spaces", 0, OPT_FLAG, &single, NULL, NULL,
         "sentencepiece: no tokens for runs of spaces", 0, 0},
        {"coverage", 0, OPT_REAL, &o.coverage, NULL, "PCT",
         "sentencepiece: percent of the characters that get a token, rarer ones are bytes (99.95)",
         0.01, 100},
        {"sample", 0, OPT_INT, &o.sample, NULL, "BYTES",
         "across words: learn from so much of the different lines (64 MiB)", 65536, 1 << 30},
        UI_OPTIONS(&u),
        {0}};
    const opt_verb verb = {
        "tokenizer train",
        "INPUT...",
        1,
        -1,
        "Learns a BPE from text files, or folders of them.  The result depends on the text alone,\n"
        "not on its order, the seed or the machine.",
        table};
    int rc = opt_parse(&verb, &argc, argv);
    const bool sp = o.kind && !strcmp(o.kind, "sentencepiece");
    if (rc < 0 && o.kind && !sp && strcmp(o.kind, "bytes") != 0)
        rc = ui_usage(verb.name, "--kind: expected bytes or sentencepiece, found `%s`", o.kind);
    if (rc < 0 && !sp && (across || digits || single || o.coverage > 0))
        rc = ui_usage(verb.name, "--across-words, --split-digits, --single-spaces and --coverage "
                                 "need --kind sentencepiece");
    if (rc < 0 && !across && o.sample) rc = ui_usage(verb.name, "--sample needs --across-words");
    if (rc >= 0) return rc;
    if (!ui_open(&u, "tokenizer train")) return 1;
    o.across_words = across;
    o.split_digits = digits;
    o.single_spaces = single;
    o.input = (const char *const *)argv;
    o.n_input = argc;
    return ui_close(&u, artel_tokenizer_train(u.a, &o, u.json ? ui_json : draw_trained, &u));
}

/* ---- input ---- */

typedef struct input {
    const char *name;
    FILE *f;
    char *text; /* one line with its newline, or all */
    size_t cap;
    bool whole;
} input;

static bool input_open(input *in, ui *u, const char *path) {
    in->name = path ? path : "standard input";
    in->f = path ? fopen(path, "rb") : stdin;
    if (!in->f) (void)ui_fail(u->verb, "%s: %s", path, strerror(errno));
    return in->f != NULL;
}

static void input_close(input *in) {
    if (in->f && in->f != stdin) (void)fclose(in->f);
    free(in->text);
}

/* Reads the rest of the input; -1 at the end. */
static long long input_rest(input *in) {
    size_t n = 0;
    for (;;) {
        if (in->cap - n < 2) {
            char *more = realloc(in->text, in->cap ? in->cap * 2 : 1 << 16);
            if (!more) return -1;
            in->text = more;
            in->cap = in->cap ? in->cap * 2 : 1 << 16;
        }
        const size_t got = fread(in->text + n, 1, in->cap - n - 1, in->f);
        if (!got) break;
        n += got;
    }
    if (n) in->text[n] = 0;
    return n ? (long long)n : -1;
}

/* Bytes of the next text, newline included; -1 at the end. */
static long long input_next(input *in) {
    return in->whole ? input_rest(in) : (long long)getline(&in->text, &in->cap, in->f);
}

/* The exit code at the end of the input; reports a read error. */
static int input_done(input *in, ui *u) {
    if (feof(in->f) && !ferror(in->f)) return 0;
    return ui_fail(u->verb, "%s: cannot be read: %s", in->name, strerror(errno));
}

/* Reports the error of a line and returns the exit code. */
static int failed(ui *u, const input *in, long long line, artel_status s) {
    (void)ui_fail(u->verb, "%s: line %lld: %s", in->name, line, artel_error(u->a));
    return s == ARTEL_INTERRUPTED ? 130 : 1;
}

/* ---- encode ---- */

static void print_ids(const ui *u, const int32_t *id, int64_t n, bool newline) {
    if (u->json) printf("{\"ids\":[");
    for (int64_t i = 0; i < n; i++) printf(i ? (u->json ? ",%d" : " %d") : "%d", (int)id[i]);
    if (u->json)
        printf(newline ? "]}\n" : "],\"newline\":false}\n");
    else if (newline)
        putchar('\n');
}

static int encode_all(ui *u, const artel_tokenizer *t, input *in, bool plain) {
    long long line = 0;
    for (long long n; (n = input_next(in)) >= 0;) {
        line++;
        const bool newline = in->whole || in->text[n - 1] == '\n';
        if (newline && !in->whole) n--;
        int32_t *id;
        int64_t count;
        const artel_status s =
            artel_tokenizer_encode(u->a, t, in->text, (size_t)n, !plain, &id, &count);
        if (s) return failed(u, in, line, s);
        print_ids(u, id, count, newline);
        artel_free(id);
    }
    return input_done(in, u);
}

static int tokenizer_encode(int argc, char **argv) {
    ui u = {0};
    input in = {0};
    bool plain = false;
    const opt table[] = {{"plain", 0, OPT_FLAG, &plain, NULL, NULL,
                          "special tokens in the text (<|endoftext|>) are text", 0, 0},
                         {"whole", 0, OPT_FLAG, &in.whole, NULL, NULL,
                          "the input is one text, newlines and all; decode with --whole", 0, 0},
                         UI_OPTIONS(&u),
                         {0}};
    const opt_verb verb = {
        "tokenizer encode",
        "TOKENIZER [FILE]",
        1,
        2,
        "Prints the token ids of every line of FILE (standard input): a line of ids for each line\n"
        "of text, the newline not encoded; {\"ids\":[...]} with --json.  The last line ends with "
        "a\n"
        "newline only where the text does (\"newline\":false with --json), so that `tokenizer\n"
        "decode` gives back every byte.",
        table};
    int rc = opt_parse(&verb, &argc, argv);
    if (rc >= 0) return rc;
    if (!ui_open(&u, "tokenizer encode")) return 1;
    artel_tokenizer *t;
    const artel_status s = artel_tokenizer_open(u.a, argv[0], &t);
    if (s) return ui_close(&u, s);
    rc = input_open(&in, &u, argc > 1 ? argv[1] : NULL) ? encode_all(&u, t, &in, plain) : 1;
    input_close(&in);
    artel_tokenizer_close(t);
    (void)ui_close(&u, ARTEL_OK); /* what failed has been said, with its line */
    return rc;
}

/* ---- decode ---- */

typedef struct ids {
    int32_t *id;
    int64_t n, cap;
} ids;

static bool add(ids *x, long long v) {
    if (x->n == x->cap) {
        const int64_t cap = x->cap ? x->cap * 2 : 256;
        int32_t *more = realloc(x->id, (size_t)cap * sizeof *more);
        if (!more) return false;
        x->id = more;
        x->cap = cap;
    }
    x->id[x->n++] = v < -1 || v > INT32_MAX ? -1 : (int32_t)v; /* -1 is refused by decode */
    return true;
}

/* "1 2 3" -> ids; NULL, or what is wrong. */
static const char *parse_numbers(char *line, ids *x) {
    for (char *s = line, *end;; s = end) {
        while (*s == ' ' || *s == '\t' || *s == '\r' || *s == '\n') s++;
        if (!*s) return NULL;
        errno = 0;
        const long long v = strtoll(s, &end, 10);
        if (end == s || !strchr(" \t\r\n", *end)) return "expected token ids separated by spaces";
        if (!add(x, errno ? -1 : v)) return "out of memory";
    }
}

/* {"ids":[1,2,3]} -> ids, and whether a newline follows. */
static const char *parse_json(const char *line, ids *x, bool *newline) {
    const char *wrong = NULL;
    cJSON *o = cJSON_Parse(line);
    const cJSON *list = cJSON_GetObjectItemCaseSensitive(o, "ids"), *v;
    if (!cJSON_IsArray(list)) wrong = "expected {\"ids\":[...]}";
    cJSON_ArrayForEach(v, list) {
        const double d = cJSON_IsNumber(v) ? v->valuedouble : -1;
        if (!add(x, d >= 0 && d <= INT32_MAX && d == (double)(int32_t)d ? (int32_t)d : -1))
            wrong = "out of memory";
    }
    *newline = *newline && !cJSON_IsFalse(cJSON_GetObjectItemCaseSensitive(o, "newline"));
    cJSON_Delete(o);
    return wrong;
}

static int decode_all(ui *u, const artel_tokenizer *t, input *in, bool whole) {
    ids x = {0};
    int rc = -1;
    printable out = {0};
    long long line = 0;
    for (long long n; rc < 0 && (n = input_next(in)) >= 0;) {
        line++;
        bool newline = in->text[n - 1] == '\n';
        x.n = 0;
        const char *start = in->text + strspn(in->text, " \t");
        const char *wrong =
            *start == '{' ? parse_json(start, &x, &newline) : parse_numbers(in->text, &x);
        if (!wrong && strlen(in->text) != (size_t)n) wrong = "a NUL byte among token ids";
        if (wrong) {
            rc = ui_fail(u->verb, "%s: line %lld: %s", in->name, line, wrong);
            break;
        }
        char *text;
        size_t bytes;
        const artel_status s = artel_tokenizer_decode(u->a, t, x.id, x.n, &text, &bytes);
        if (s) {
            rc = failed(u, in, line, s);
            break;
        }
        printable_bytes(&out, text, bytes); /* main checks stdout for errors */
        if (newline || whole) printable_end(&out);
        if (newline && !whole) putchar('\n');
        artel_free(text);
    }
    printable_end(&out);
    free(x.id);
    return rc >= 0 ? rc : input_done(in, u);
}

static int tokenizer_decode(int argc, char **argv) {
    ui u = {0};
    input in = {0};
    bool whole = false;
    const opt table[] = {{"whole", 0, OPT_FLAG, &whole, NULL, NULL,
                          "no newline after each line of ids: for ids from encode --whole", 0, 0},
                         UI_OPTIONS(&u),
                         {0}};
    const opt_verb verb = {
        "tokenizer decode",
        "TOKENIZER [FILE]",
        1,
        2,
        "Prints the text of every line of ids in FILE (standard input), as `tokenizer encode` has\n"
        "written them, numbers or JSON (with or without --json), and a newline where the line has\n"
        "one.  On a terminal, control characters are shown as \\x1b; into a file or a pipe they "
        "go\n"
        "as they are.",
        table};
    int rc = opt_parse(&verb, &argc, argv);
    if (rc >= 0) return rc;
    if (!ui_open(&u, "tokenizer decode")) return 1;
    artel_tokenizer *t;
    const artel_status s = artel_tokenizer_open(u.a, argv[0], &t);
    if (s) return ui_close(&u, s);
    rc = input_open(&in, &u, argc > 1 ? argv[1] : NULL) ? decode_all(&u, t, &in, whole) : 1;
    input_close(&in);
    artel_tokenizer_close(t);
    (void)ui_close(&u, ARTEL_OK); /* what failed has been said, with its line */
    return rc;
}

/* ---- stats ---- */

enum { LAST_MAX = 4096 };

static void draw_stats(void *user, const char *json) {
    bool *head = user;
    cJSON *o = printable_row(json, stdout);
    static const column columns[] = {
        {"file", "file", -32, CELL_TEXT, 0, 0, NULL},
        {"bytes", "bytes", 10, CELL_BYTES, 0, 0, NULL},
        {"tokens", "tokens", 10, CELL_COUNT, 0, 0, NULL},
        {"bytes_per_token", "bytes/token", 11, CELL_NUMBER, 3, 0, NULL},
        {"characters_per_token", "chars/token", 11, CELL_NUMBER, 3, 0, NULL},
        {"distinct", NULL, 8, CELL_NUMBER, 0, 0, NULL},
        {"used", "vocabulary used", 6, CELL_NUMBER, 1, 100, "%"},
        {"partial", "partial", 7, CELL_NUMBER, 2, 100, "%"},
        {"decoded_bytes", "decoded", 10, CELL_BYTES, 0, 0, NULL},
        {0},
    };
    if (!*head) table_head(columns);
    *head = true;
    table_row(columns, o);
    if (!cJSON_IsTrue(cJSON_GetObjectItemCaseSensitive(o, "exact")))
        printf("%s: decoding does not give back every byte\n", row_text(o, "file"));
    cJSON_Delete(o);
}

static void draw_top(void *user, const char *json) {
    char *last = user;
    cJSON *o = printable_row(json, stdout);
    if (strncmp(last, row_text(o, "file"), LAST_MAX - 1) != 0) {
        (void)snprintf(last, LAST_MAX, "%s", row_text(o, "file"));
        printf("\n%s\n   token    count   share  text\n", last);
    }
    printf("%8.0f %8.0f %6.2f%%  `", row_number(o, "token"), row_number(o, "count"),
           100 * row_number(o, "share"));
    for (const char *s = row_text(o, "text"); *s; s++)
        if (*s == '\n')
            printf("\\n");
        else
            putchar(*s);
    printf("`\n");
    cJSON_Delete(o);
}

static int tokenizer_stats(int argc, char **argv) {
    ui u = {0};
    int64_t top = 0;
    const opt table[] = {{"top", 0, OPT_INT, &top, NULL, "N",
                          "and the N most frequent tokens of each, as the text they stand for", 0,
                          1 << 22},
                         UI_OPTIONS(&u),
                         {0}};
    const opt_verb verb = {"tokenizer stats",
                           "TOKENIZER FILE...",
                           2,
                           -1,
                           "Bytes and characters per token on each file, or folder of files (a "
                           "domain), how much of\n"
                           "the vocabulary occurs in it, which share of the tokens are parts of "
                           "characters, and how\n"
                           "many bytes decoding gives back.",
                           table};
    const int rc = opt_parse(&verb, &argc, argv);
    if (rc >= 0) return rc;
    if (!ui_open(&u, "tokenizer stats")) return 1;
    artel_tokenizer *t;
    artel_status s = artel_tokenizer_open(u.a, argv[0], &t);
    bool head = false;
    if (!s)
        s = artel_tokenizer_stats(u.a, t, (const char *const *)argv + 1, argc - 1,
                                  u.json ? ui_json : draw_stats, &head);
    char last[LAST_MAX] = "";
    if (!s && top > 0)
        s = artel_tokenizer_top(u.a, t, (const char *const *)argv + 1, argc - 1, top,
                                u.json ? ui_json : draw_top, last);
    artel_tokenizer_close(t);
    return ui_close(&u, s);
}

int cmd_tokenizer(int argc, char **argv) {
    static const opt_sub subs[] = {
        {"train", "a BPE from text files", tokenizer_train},
        {"encode", "text to token ids", tokenizer_encode},
        {"decode", "token ids to text", tokenizer_decode},
        {"stats", "bytes per token, and how much of the vocabulary is used", tokenizer_stats},
        {NULL, NULL, NULL}};
    return opt_dispatch("artel tokenizer", subs, argc, argv);
}
