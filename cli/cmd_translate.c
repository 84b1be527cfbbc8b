/* cmd_translate.c - artel translate MODEL [FILE]. */
#include "artel.h"
#include "opt.h"
#include "printable.h"
#include "table.h"
#include "ui.h"
#include "verbs.h"
#include <errno.h>
#include <stdio.h>
#include <string.h>

static printable written;

static void put_text(void *user, const char *bytes, size_t n) {
    (void)user;
    printable_bytes(&written, bytes, n);
}

static void draw(void *user, const char *json) {
    static const column columns[] = {
        {"direction", "direction", -12, CELL_TEXT, 0, 0, NULL},
        {"pairs", "pairs", 8, CELL_NUMBER, 0, 0, NULL},
        {"tokens", "tokens", 9, CELL_NUMBER, 0, 0, NULL},
        {"loss", "loss", 8, CELL_NUMBER, 4, 0, NULL},
        {"bleu", "BLEU", 7, CELL_NUMBER, 2, 0, NULL},
        {"chrf", "chrF", 7, CELL_NUMBER, 2, 0, NULL},
        {"copy_bleu", "BLEU copied", 12, CELL_NUMBER, 2, 0, NULL},
        {"copy_chrf", "chrF copied", 12, CELL_NUMBER, 2, 0, NULL},
        {0},
    };
    int *rows = user;
    cJSON *o = printable_row(json, stdout);
    if ((*rows)++ == 0) table_head(columns);
    table_row(columns, o);
    cJSON_Delete(o);
}

/* All of stdin as a file without a name, since lines are read from files; NULL after a message. */
static FILE *standard_input(char *path, size_t room) {
    char piece[1 << 14];
    FILE *f = tmpfile();
    bool good = f != NULL;
    for (size_t n; good && (n = fread(piece, 1, sizeof piece, stdin)) > 0;)
        good = fwrite(piece, 1, n, f) == n;
    good = good && !ferror(stdin) && fflush(f) == 0;
    if (!good) {
        (void)ui_fail("translate", "cannot keep what comes from stdin: %s", strerror(errno));
        if (f) (void)fclose(f);
        return NULL;
    }
    (void)snprintf(path, room, "/dev/fd/%d", fileno(f));
    return f;
}

int cmd_translate(int argc, char **argv) {
    ui u = {0};
    const char *data = NULL;
    artel_translate_options o = {0};
    const opt table[] = {
        {"direction", 'd', OPT_STRING, &o.direction, NULL, "NAME",
         "of a model of several: en-fr, for instance", 0, 0},
        {"tokens", 'n', OPT_INT, &o.tokens, "0", "N",
         "most tokens of a translation; 0: twice those of the text, and 16 more", 0, 1e9},
        {"data", 0, OPT_STRING, &data, NULL, "DIR",
         "in place of FILE, a data set of pairs: loss, BLEU and chrF of each direction", 0, 0},
        {"split", 0, OPT_STRING, &o.split, NULL, "NAME", "of the data set (test)", 0, 0},
        {"pairs", 0, OPT_INT, &o.pairs, "0", "N", "of a direction of it, evenly spread; 0: all", 0,
         9e15},
        UI_OPTIONS(&u),
        {0},
    };
    const opt_verb verb = {
        "translate",
        "MODEL [FILE]",
        1,
        2,
        "Translates each line of FILE, or of stdin, into a line on stdout, by a model that was\n"
        "trained with task: translate.  The most probable token comes next, always.\n"
        "With --data it says how good the translations of a data set are, and what the texts\n"
        "themselves would score.",
        table};
    const int rc = opt_parse(&verb, &argc, argv);
    if (rc >= 0) return rc;
    if (data && argc > 1) return ui_usage("translate", "either FILE or --data DIR");
    if (!data && (o.split || o.pairs))
        return ui_usage("translate", "--split and --pairs are of use with --data alone");
    if (!ui_open(&u, "translate")) return 1;
    int rows = 0;
    char path[64];
    FILE *in = data || argc > 1 ? NULL : standard_input(path, sizeof path);
    if (!data && argc < 2 && !in) return ui_close(&u, ARTEL_OK) | 1;
    const artel_status s =
        data ? artel_translate_eval(u.a, argv[0], data, &o, u.json ? ui_json : draw, &rows)
             : artel_translate(u.a, argv[0], in ? path : argv[1], &o, u.json ? NULL : put_text,
                               ui_json, NULL);
    if (in) (void)fclose(in);
    if (!data && !u.json) printable_end(&written);
    return ui_close(&u, s);
}
