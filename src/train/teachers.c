/* teachers.c - see teachers.h. */
#include "train/teachers.h"
#include "base/file.h"
#include "infer/lm.h"
#include <string.h>

/* ---- opening --------------------------------------------------------------------------- */

static at_status same_tokenizer(at_ctx *c, const char *path, const at_model *m,
                                const at_dataset *d) {
    if (m->tokenizer && *d->tokenizer_hash && strcmp(m->tokenizer, d->tokenizer_hash) != 0)
        return at_error(
            c, AT_MISMATCH,
            "the teacher %s has tokenizer %.12s, the data set %s %.12s: the same ids mean other "
            "text, so their logits cannot be compared.  Ways out: a teacher with the student's "
            "tokenizer, whose vocabulary may be longer by padding; or, with any teacher, text that "
            "he writes (artel generate), made into a data set with the student's tokenizer and "
            "learnt as text",
            path, m->tokenizer, d->path, d->tokenizer_hash);
    return at_lm_check_data(c, path, m->tokenizer, m->dims.vocab, d->path, d->tokenizer_hash,
                            d->vocab);
}

static at_status check_logits(at_ctx *c, const at_recipe *r, at_tutor *t) {
    const at_captured_plan *p = &t->logits->plan;
    char said[200] = "";
    t->tau = at_captured_tau(p, r->distill.temperature);
    for (int i = 0; i < p->n_tau; i++) {
        const size_t n = strlen(said);
        (void)snprintf(said + n, sizeof said - n, "%s%g", i ? ", " : "", p->tau[i]);
    }
    if (p->split != AT_TRAIN)
        return at_error(c, AT_CONFIG, "%s: captured of the split %s, but training reads train",
                        t->path, at_split_name[p->split]);
    if (p->context != r->train.context)
        return at_error(c, AT_CONFIG,
                        "train.context is %lld, but %s was captured in windows of %lld",
                        (long long)r->train.context, t->path, (long long)p->context);
    if (r->train.windows == AT_WINDOWS_SHIFTED)
        return at_error(c, AT_CONFIG,
                        "train.windows: shifted windows are at other places in each epoch, but %s "
                        "was captured in aligned ones",
                        t->path);
    if (t->tau < 0)
        return at_error(c, AT_CONFIG,
                        "distill.temperature is %g, but %s was captured at %s: capture it with "
                        "--temperatures %g too",
                        r->distill.temperature, t->path, said, r->distill.temperature);
    return AT_OK;
}

static at_status choose_domains(at_ctx *c, const at_dataset *d, const at_recipe_teacher *of,
                                at_tutor *t) {
    for (int i = 0; i < d->n_domains && !of->domains.n; i++) t->domain[i] = true;
    for (int64_t i = 0; i < of->domains.n; i++) {
        const int k = at_dataset_domain(d, of->domains.item[i]);
        if (k < 0)
            return at_error(c, AT_CONFIG, "teacher %s: no domain \"%s\" in the data set %s",
                            t->path, of->domains.item[i], d->path);
        t->domain[k] = true;
    }
    return AT_OK;
}

static at_status open_one(at_ctx *c, const at_recipe *r, const at_dataset *d,
                          const at_recipe_teacher *of, at_tutor *t) {
    t->path = of->model;
    t->weight = of->weight;
    at_status s = choose_domains(c, d, of, t);
    if (s != AT_OK) return s;
    if (at_captured_is(c, t->path)) {
        s = at_captured_set_open(c, t->path, d, &t->logits);
        return s == AT_OK ? check_logits(c, r, t) : s;
    }
    s = at_model_load(c, t->path, false, &t->model);
    return s == AT_OK ? same_tokenizer(c, t->path, t->model, d) : s;
}

at_status at_teachers_open(at_ctx *c, const at_recipe *r, const at_dataset *d, at_teachers *t) {
    *t = (at_teachers){.data = d};
    at_status s = AT_OK;
    for (int i = 0; i < r->n_teachers && s == AT_OK; i++)
        s = open_one(c, r, d, &r->teacher[i], &t->one[t->n++]);
    return s;
}

void at_teachers_close(at_teachers *t) {
    for (int i = 0; i < t->n; i++) {
        at_model_close(t->one[i].model);
        at_captured_set_close(t->one[i].logits);
    }
    *t = (at_teachers){0};
}

/* ---- teaching ----------------------------------------------------------------------------- */

/* Text that is in no shard is spoken about by all who can read it. */
static bool teaches(const at_tutor *t, const at_lesson *l, int64_t b) {
    return l->domain ? t->domain[l->domain[b]] : t->model != NULL;
}

/* The sequences of one teacher, gathered, and which row speaks of which; false: he has none. */
static bool gather(at_run *r, const at_tutor *t, const at_lesson *l, at_input *in,
                   at_head_teacher *out) {
    const at_input *all = l->in;
    int64_t n = 0;
    for (int64_t b = 0; b < all->B; b++) n += teaches(t, l, b);
    *in = *all;
    in->modules = 0; /* those of the student */
    *out = (at_head_teacher){.weight = t->weight};
    if (n == 0 || n == all->B) return n > 0;
    int32_t *ids = at_run_alloc(r, (size_t)(n * all->T) * sizeof *ids);
    int64_t *row = at_run_alloc(r, (size_t)(all->B * all->T) * sizeof *row);
    if (!ids || !row) return false;
    in->B = 0;
    for (int64_t b = 0; b < all->B; b++) {
        const bool mine = teaches(t, l, b);
        for (int64_t i = 0; i < all->T; i++) row[b * all->T + i] = mine ? in->B * all->T + i : -1;
        if (!mine) continue;
        memcpy(ids + in->B * all->T, all->ids + b * all->T, (size_t)all->T * sizeof *ids);
        in->B++;
    }
    in->ids = ids;
    out->row = row;
    return true;
}

/* Rows of captured logits, in the order of the sequences gathered. */
static const at_top *look_up(at_run *r, const at_tutor *t, const at_lesson *l, int64_t n) {
    const at_captured_plan *p = &t->logits->plan;
    const int64_t T = p->context;
    at_top *top = at_run_alloc(r, sizeof *top);
    int32_t *id = at_run_alloc(r, (size_t)(n * T * p->n) * sizeof *id);
    at_real *logq = at_run_alloc(r, (size_t)(n * T * p->n) * sizeof *logq);
    at_real *left = at_run_alloc(r, (size_t)(n * T) * sizeof *left);
    if (!top || !id || !logq || !left) return NULL;
    *top = (at_top){.n = p->n, .v = p->vocab, .id = id, .logq = logq, .left = left};
    int64_t at = 0;
    for (int64_t b = 0; b < l->in->B; b++) {
        if (!teaches(t, l, b)) continue;
        const at_captured_file *f = &t->logits->file[l->domain[b]];
        const at_status s = at_captured_read(r->ctx, f, l->start[b] / T, t->tau, id + at * T * p->n,
                                             logq + at * T * p->n, left + at * T);
        if (s != AT_OK) return at_fail(r, s, "%s", r->ctx->message);
        at++;
    }
    return top;
}

static void give(const at_teacher *source, at_run *r, const at_lesson *l, at_head_spec *spec) {
    const at_teachers *t = source->state;
    at_head_teacher *out = at_run_alloc(r, (size_t)t->n * sizeof *out);
    if (!out) return;
    spec->teacher = out;
    spec->n_teachers = 0;
    for (int i = 0; i < t->n; i++) {
        at_head_teacher *h = &out[spec->n_teachers];
        at_input in;
        if (!gather(r, &t->one[i], l, &in, h)) continue;
        if (t->one[i].model) {
            h->x = at_model_hidden(t->one[i].model, r, &in, &(at_pass){.still = true});
            h->w = at_model_head(t->one[i].model);
        } else {
            h->top = look_up(r, &t->one[i], l, in.B);
        }
        if (r->status != AT_OK) return;
        spec->n_teachers++;
    }
}

/* Of the domains that are read. */
static at_status begin(const at_teacher *source, at_ctx *c, const at_recipe *r, at_sampler *s) {
    const at_teachers *t = source->state;
    bool used[AT_TEACHERS_MAX] = {0};
    for (int i = 0; i < s->n_domains; i++) {
        const int d = s->domain[i];
        const char *name = s->data->domain[d].name;
        bool taught = false;
        for (int k = 0; k < t->n; k++) {
            const at_tutor *one = &t->one[k];
            if (!one->domain[d]) continue;
            taught = used[k] = true;
            if (one->logits && !one->logits->file[d].path)
                return at_error(c, AT_CONFIG,
                                "%s: domain \"%s\" was not captured; the same `artel capture` adds "
                                "it with --domains %s",
                                one->path, name, name);
        }
        if (!taught)
            return at_error(c, AT_CONFIG, "distill.teachers: nobody teaches domain \"%s\"", name);
    }
    for (int k = 0; k < t->n; k++) {
        const at_tutor *one = &t->one[k];
        s->aligned |= one->logits != NULL;
        if (one->logits && r->distill.on_policy > 0)
            return at_error(c, AT_CONFIG,
                            "distill.on_policy: what the student will write is not among the "
                            "captured logits %s; give the model itself",
                            one->path);
        if (!used[k])
            return at_error(c, AT_CONFIG, "teacher %s: none of its domains is read (data.domains)",
                            one->path);
        if (one->model && one->model->arch->modules)
            return at_error(c, AT_CONFIG,
                            "the teacher is a model of trunks, which has no answer of its own "
                            "for a text: teach with one network");
        if (one->model && r->train.context > one->model->dims.context)
            return at_error(
                c, AT_CONFIG, "train.context is %lld, but the teacher %s takes at most %lld tokens",
                (long long)r->train.context, one->path, (long long)one->model->dims.context);
    }
    return AT_OK;
}

static const at_teacher_kind kind = {"recipe", "models that read along, and captured logits", give,
                                     begin};

at_teacher at_teachers_source(at_teachers *t) { return (at_teacher){.kind = &kind, .state = t}; }
