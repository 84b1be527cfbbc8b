/* router_text.c - artel router explain | segment: what a router makes of a text. */
#include "router_text.h"
#include "artel.h"
#include "opt.h"
#include "printable.h"
#include "table.h"
#include "ui.h"
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Tokens with their white space made visible. */
static void draw_token(const char *s) {
    putchar('"');
    for (; *s; s++) {
        if (*s == '\n')
            printf("\\n");
        else if (*s == '\t')
            printf("\\t");
        else if (*s == '\r')
            printf("\\r");
        else if ((unsigned char)*s < 0x20 || *s == 0x7F)
            printf("\\x%02x", (unsigned)*s);
        else
            putchar(*s);
    }
    putchar('"');
}

static void draw_reasons(void *user, const char *json) {
    (void)user;
    cJSON *o = printable_row(json, stdout);
    const cJSON *v;
    printf("%s\n\n", row_text(o, "class"));
    cJSON_ArrayForEach(v, cJSON_GetObjectItemCaseSensitive(o, "probabilities"))
        printf("%-12.12s %7.2f %%\n", v->string, 100 * v->valuedouble);
    printf("\n%.0f of %.0f tokens known; those that said most (+ for %s, - against)\n",
           row_number(o, "known"), row_number(o, "tokens"),
           row_text(o, cJSON_HasObjectItem(o, "best") ? "best" : "class"));
    cJSON_ArrayForEach(v, cJSON_GetObjectItemCaseSensitive(o, "reasons")) {
        printf("%+9.4f  %3.0f x ", row_number(v, "contribution"), row_number(v, "count"));
        draw_token(row_text(v, "token"));
        printf("\n");
    }
    cJSON_Delete(o);
}

int router_explain(int argc, char **argv) {
    ui u = {0};
    artel_router_text o = {0};
    const opt table[] = {{"tokenizer", 't', OPT_STRING, &o.tokenizer, NULL, "FILE",
                          "tokenizer.json; else the one beside the router", 0, 0},
                         {"top", 'n', OPT_INT, &o.top, "10", "N", "tokens to show", 1, 1e6},
                         {"abstain", 0, OPT_REAL, &o.abstain, "0", "P",
                          "below this probability the answer is: unknown", 0, 1},
                         UI_OPTIONS(&u),
                         {0}};
    const opt_verb verb = {"router explain",
                           "ROUTER TEXT",
                           2,
                           2,
                           "The class of a text, the probabilities, and the tokens that decided.",
                           table};
    const int rc = opt_parse(&verb, &argc, argv);
    if (rc >= 0) return rc;
    if (!ui_open(&u, "router explain")) return 1;
    return ui_close(&u, artel_router_explain(u.a, argv[0], argv[1], strlen(argv[1]), &o,
                                             u.json ? ui_json : draw_reasons, &u));
}

/* ---- segment ---- */

/* One line a part, its text cut short. */
static void draw_part(void *user, const char *json) {
    enum { SHOWN = 60 };
    (void)user;
    cJSON *o = printable_row(json, stdout);
    const char *text = row_text(o, "text");
    size_t n = 0, characters = 0; /* whole characters of UTF-8 */
    for (; text[n] && (characters < SHOWN || ((unsigned char)text[n] & 0xC0) == 0x80); n++)
        characters += ((unsigned char)text[n] & 0xC0) != 0x80;
    char start[4 * SHOWN + 1];
    if (n > sizeof start - 1) n = sizeof start - 1;
    memcpy(start, text, n);
    start[n] = 0;
    printf("%8.0f %8.0f  %-12s %7.2f %%  ", row_number(o, "begin"), row_number(o, "end"),
           row_text(o, "class"), 100 * row_number(o, "probability"));
    draw_token(start);
    printf(text[n] ? " ...\n" : "\n");
    cJSON_Delete(o);
}

/* All of a file, or of standard input; NULL after a message. */
static char *read_all(const char *path, size_t *n) {
    FILE *f = path ? fopen(path, "rb") : stdin;
    char *text = NULL;
    size_t room = 0;
    bool fine = f != NULL;
    for (*n = 0; fine && !feof(f);) {
        if (*n == room) {
            char *more = realloc(text, room = room ? 2 * room : 1 << 16);
            if (!more) break;
            text = more;
        }
        *n += fread(text + *n, 1, room - *n, f);
        fine = !ferror(f);
    }
    fine = fine && feof(f);
    if (!fine) {
        (void)ui_fail("router segment", "%s: cannot be read: %s", path ? path : "standard input",
                      strerror(errno));
        free(text);
        text = NULL;
    }
    if (f && path) (void)fclose(f);
    return text;
}

int router_segment(int argc, char **argv) {
    ui u = {0};
    artel_router_text o = {0};
    const opt table[] = {{"tokenizer", 't', OPT_STRING, &o.tokenizer, NULL, "FILE",
                          "tokenizer.json; else the one beside the router", 0, 0},
                         {"window", 0, OPT_INT, &o.window, "16", "N",
                          "tokens that a token is weighed among", 1, 1 << 20},
                         {"penalty", 0, OPT_REAL, &o.penalty, "4", "X",
                          "nats that a change of class must be worth", 1e-9, 1e9},
                         {"abstain", 0, OPT_REAL, &o.abstain, "0", "P",
                          "a part below this probability is: unknown", 0, 1},
                         UI_OPTIONS(&u),
                         {0}};
    const opt_verb verb = {
        "router segment",
        "ROUTER [FILE]",
        1,
        2,
        "Cuts a mixed text into parts of one class each: where they begin and end, "
        "in bytes, the class\nand its probability.  FILE: else standard input.",
        table};
    const int rc = opt_parse(&verb, &argc, argv);
    if (rc >= 0) return rc;
    size_t n = 0;
    char *text = read_all(argc > 1 ? argv[1] : NULL, &n);
    if (!text) return 1;
    const bool open = ui_open(&u, "router segment");
    const int code = open ? ui_close(&u, artel_router_segment(u.a, argv[0], text, n, &o,
                                                              u.json ? ui_json : draw_part, &u))
                          : 1;
    free(text);
    return code;
}
