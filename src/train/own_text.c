/* own_text.c - see own_text.h. */
#include "train/own_text.h"
#include "base/rng.h"
#include "infer/sample.h"
#include "infer/session.h"

bool at_own_text_step(uint64_t seed, double share, int64_t step) {
    return at_uniform(seed, AT_STREAM_POLICY, (uint64_t)step) < share;
}

/* ---- writing ----------------------------------------------------------------------------- */

typedef struct {
    at_session *session; /* [B] */
    at_session_part *part;
    at_pick *scratch; /* [2 V] */
    int64_t open;
} desk;

static void desk_close(desk *d) {
    for (int64_t b = 0; b < d->open; b++) at_session_close(&d->session[b]);
    at_free(d->session);
    at_free(d->part);
    at_free(d->scratch);
}

static at_status desk_open(at_compute *cp, at_model *m, int64_t B, int64_t T, desk *d) {
    at_ctx *c = cp->ctx;
    *d = (desk){.session = at_calloc(c, (size_t)B, sizeof *d->session),
                .part = at_calloc(c, (size_t)B, sizeof *d->part),
                .scratch = at_malloc(c, 2 * (size_t)m->dims.vocab * sizeof *d->scratch)};
    at_status s = d->session && d->part && d->scratch ? AT_OK : c->status;
    while (s == AT_OK && d->open < B) {
        s = at_session_open(cp, m, T, &d->session[d->open]);
        if (s == AT_OK) d->open++;
    }
    return s;
}

at_status at_own_text_write(at_compute *cp, at_model *m, uint64_t seed, int64_t first, int64_t B,
                            int64_t T, int64_t prompt, int32_t *ids) {
    desk d;
    at_status s = desk_open(cp, m, B, T, &d);
    for (int64_t t = prompt; t < T && s == AT_OK; t++) {
        const int64_t n = t == prompt ? prompt : 1; /* read since the last token was drawn */
        for (int64_t b = 0; b < B; b++)
            d.part[b] = (at_session_part){&d.session[b], ids + b * T + t - n, n, NULL};
        s = at_session_feed_all(d.part, B);
        for (int64_t b = 0; b < B && s == AT_OK; b++) {
            const at_sampling how = {
                .temperature = 1,
                .top_p = 1,
                .seed = at_rand64(seed, AT_STREAM_OWN_TEXT, (uint64_t)(first + b))};
            s = at_sample(cp->ctx, d.part[b].logits, m->dims.vocab, &how, (uint64_t)t, d.scratch,
                          &ids[b * T + t]);
        }
    }
    desk_close(&d);
    return s;
}

/* ---- what is said of it --------------------------------------------------------------------- */

void at_own_text_rows(at_run *r, int64_t B, int64_t T, int64_t prompt, const int32_t *ids,
                      int32_t *label, at_head_spec *spec) {
    at_head_teacher *one = at_run_alloc(r, (size_t)(spec->n_teachers + 1) * sizeof *one);
    if (!one) return;
    int n = 0;
    if (spec->teacher_x)
        one[n++] = (at_head_teacher){.x = spec->teacher_x, .w = spec->teacher_w, .weight = 1};
    for (int i = 0; i < spec->n_teachers && !spec->teacher_x; i++) one[n++] = spec->teacher[i];
    for (int i = 0; i < n; i++) {
        int64_t *row = at_run_alloc(r, (size_t)(B * T) * sizeof *row);
        if (!row) return;
        for (int64_t j = 0; j < B * T; j++) {
            const int64_t t = j % T;
            const bool written = t >= prompt - 1 && t < T - 1;
            row[j] = !written ? -1 : one[i].row ? one[i].row[j] : j;
        }
        one[i].row = row;
    }
    for (int64_t j = 0; j < B * T; j++) {
        const int64_t t = j % T;
        label[j] = t >= prompt - 1 && t < T - 1 ? ids[j + 1] : -1;
    }
    spec->teacher_x = spec->teacher_w = NULL;
    spec->teacher = one;
    spec->n_teachers = n;
}
