/* grow_page.c - the report of the lab of adding languages. */
#include "lab/grow_lab.h"
#include "lab/lab_page.h"
#include "lab/lab_table.h"
#include <stdio.h>

static void ways(grow *m) {
    at_page_section(m->l, "Every way",
                    "Mean \xc2\xb1 standard deviation over seeds, nats a token. Learning: "
                    "parameters that are trained "
                    "to add a language. Old languages: before anything is added, and after both.");
    at_page_table(m->l, NULL,
                  "way|learning (M)|old languages before|after|forgotten|first new language|second "
                  "new language");
    for (int w = 0; w < GROW_WAYS; w++) {
        double before[GROW_SEEDS_MAX], after[GROW_SEEDS_MAX], lost[GROW_SEEDS_MAX],
            first[GROW_SEEDS_MAX], second[GROW_SEEDS_MAX];
        char cell[5][AT_CELL];
        const int64_t n = m->scale->seeds;
        for (int64_t k = 0; k < n; k++) {
            before[k] = grow_old(m, (grow_way)w, 0, k);
            after[k] = grow_old(m, (grow_way)w, GROW_STAGES, k);
            lost[k] = after[k] - before[k];
            first[k] = grow_new(m, (grow_way)w, 1, k);
            second[k] = grow_new(m, (grow_way)w, 2, k);
        }
        at_page_row(m->l, "%s|%.3f|%s|%s|%s|%s|%s", grow_title[w], 1e-6 * m->trained[w],
                    at_page_spread(cell[0], before, n, 4), at_page_spread(cell[1], after, n, 4),
                    at_page_spread(cell[2], lost, n, 4), at_page_spread(cell[3], first, n, 4),
                    at_page_spread(cell[4], second, n, 4));
    }
}

/* The losses of each language after each stage, of one way: cells where it was learnt, or was there. */
static void map(grow *m, grow_way way) {
    static const char *const row[GROW_STAGES + 1] = {"at first", "first added", "second added"};
    const char *column[GROW_DOMAINS_MAX];
    double mean[(GROW_STAGES + 1) * GROW_DOMAINS_MAX];
    for (int i = 0; i < m->domains; i++) column[i] = grow_domain(m, i);
    for (int stage = 0; stage <= GROW_STAGES; stage++)
        for (int i = 0; i < m->domains; i++) {
            double sum = 0;
            for (int64_t k = 0; k < m->scale->seeds; k++) sum += m->loss[way][stage][k][i];
            mean[stage * m->domains + i] = sum / (double)m->scale->seeds;
        }
    at_page_section(m->l, NULL, NULL);
    at_page_heat(m->l, grow_title[way], GROW_STAGES + 1, row, m->domains, column, mean);
}

static void setup(grow *m) {
    const grow_scale *z = m->scale;
    char text[800];
    (void)snprintf(
        text, sizeof text,
        "%d layers of width %d; mixture: %d attention and %d feed-forward experts, two of each a "
        "token; a module adds %d "
        "and %d; dense models and trunks have the mixture's active size. %lld steps of %lld x %lld "
        "tokens on the %d "
        "old languages, %lld on each new one; learning rate %g, of what goes on %g, cosine. %lld "
        "seeds. Losses are those "
        "of %lld windows of each language of the test split; of trunks by the language's own.",
        z->shape.layers, z->shape.width, z->shape.att, z->shape.ffn, z->att_more, z->ffn_more,
        (long long)z->steps, (long long)z->batch, (long long)z->context, m->old,
        (long long)grow_stage_steps(m), z->lr, z->lr_more, (long long)z->seeds,
        (long long)z->windows);
    at_page_section(m->l, "Sizes", text);
}

void grow_page(grow *m) {
    char text[400];
    (void)snprintf(
        text, sizeof text,
        "A model of %d languages learns %s, then %s. In a mixture and in a model of trunks what "
        "was "
        "there is frozen; with the new part left out they answer as before, to the bit, which the "
        "program "
        "proves at each step. What happens with the new part taken along is measured here.",
        m->old, grow_domain(m, m->old), grow_domain(m, m->old + 1));
    at_page_section(m->l, NULL, text);
    at_page_figures(m->l);
    at_page_holding(m->l);
    at_page_warnings(m->l);
    at_page_claims(m->l);
    ways(m);
    for (int w = GROW_TUNED; w <= GROW_TUNED_MIX; w++) map(m, (grow_way)w);
    setup(m);
}
