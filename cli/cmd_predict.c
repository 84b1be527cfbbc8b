/* cmd_predict.c - artel predict MODEL FILE. */
#include "artel.h"
#include "opt.h"
#include "printable.h"
#include "ui.h"
#include "verbs.h"

static void print(void *user, const char *bytes, size_t n) { printable_bytes(user, bytes, n); }

int cmd_predict(int argc, char **argv) {
    ui u = {0};
    printable out = {{0}, 0};
    bool inputs = false;
    const opt table[] = {
        {"inputs", 0, OPT_FLAG, &inputs, NULL, NULL,
         "what the model reads, in place of what it says: the part of the split that a row\n"
         "belongs to, its label, and every input",
         0, 0},
        UI_OPTIONS(&u),
        {0}};
    const opt_verb verb = {
        "predict",
        "MODEL FILE",
        2,
        2,
        "What a model of tables says of each row of FILE, as CSV on stdout: the class and\n"
        "the probability of every class, or the number.  FILE needs the columns that the\n"
        "model reads; it may have the label, which is not looked at.  Of a picture, or a\n"
        "folder of them, each file is named.",
        table};
    const int rc = opt_parse(&verb, &argc, argv);
    if (rc >= 0) return rc;
    if (!ui_open(&u, "predict")) return 1;
    const artel_status s = inputs ? artel_table_inputs(u.a, argv[0], argv[1], print, &out)
                                  : artel_predict(u.a, argv[0], argv[1], print, &out);
    printable_end(&out);
    return ui_close(&u, s);
}
