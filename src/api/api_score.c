/* api_score.c - a text against a reference. */
#include "api/api.h"
#include "data/bleu.h"
#include "data/lines.h"

enum { LONGEST = 1 << 24 }; /* bytes of a line */

static at_status count(at_ctx *c, at_bleu_counts *o, const char *text, const char *reference) {
    at_lines *l[2] = {NULL, NULL};
    at_status s = at_lines_open(c, text, LONGEST, &l[0]);
    if (s == AT_OK) s = at_lines_open(c, reference, LONGEST, &l[1]);
    while (s == AT_OK) {
        const char *line[2];
        size_t n[2];
        if (at_interrupted(c)) s = at_error(c, AT_INTERRUPTED, "interrupted");
        for (int i = 0; i < 2 && s == AT_OK; i++) s = at_lines_next(c, l[i], &line[i], &n[i]);
        if (s != AT_OK || (!line[0] && !line[1])) break;
        if (!line[0] || !line[1])
            s = at_error(
                c, AT_MISMATCH,
                "%s has %lld lines, %s has more: each line of one is compared with the line "
                "of the other",
                line[0] ? reference : text, (long long)o->lines, line[0] ? text : reference);
        else
            s = at_bleu_add(o, line[0], n[0], line[1], n[1]);
    }
    at_lines_close(l[0]);
    at_lines_close(l[1]);
    if (s == AT_OK && !o->lines) s = at_error(c, AT_FORMAT, "%s: there is no line in it", text);
    return s;
}

artel_status artel_score(artel *a, const char *text, const char *reference, artel_emit emit,
                         void *user) {
    at_bleu_counts o;
    at_bleu b;
    at_bleu_init(&o, &a->ctx);
    at_status s = count(&a->ctx, &o, text, reference);
    if (s == AT_OK) {
        at_json j;
        at_bleu_score(&o, &b);
        at_json_open(&j, &a->ctx);
        at_json_put_number(&j, "lines", (double)o.lines);
        at_json_put_number(&j, "bleu", b.score);
        at_json_put_number(&j, "brevity_penalty", b.brevity);
        at_json_put_numbers(&j, "precisions", b.precision, AT_BLEU_ORDER);
        at_json_put_number(&j, "words", (double)o.words);
        at_json_put_number(&j, "reference_words", (double)o.reference_words);
        at_json_put_number(&j, "chrf", at_chrf_score(&o));
        s = (at_status)at_emit(a, emit, user, &j);
    }
    at_bleu_close(&o);
    return at_answer(a, s);
}
