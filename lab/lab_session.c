/* lab_session.c - where the files of a run are. */
#include "lab/lab_session.h"
#include "base/text.h"

char *at_lab_path(at_lab_session *l, const at_trial *t, const char *part) {
    at_text x;
    at_text_init(&x, l->c, 0);
    at_textf(&x, "%s/runs/%s%s%s", l->o->out, t->name, part ? "/" : "", part ? part : "");
    return at_text_take(&x);
}
