/* lab_missing.c - see lab_missing.h. */
#include "lab/lab_missing.h"
#include "lab/lab_probe.h"
#include <math.h>

typedef struct {
    at_lab_session *l;
    at_model *m;
    at_probe_spec spec;
} reading;

static at_status loss_of(const reading *r, double *loss) {
    double nats = 0, tokens = 0;
    at_status s = AT_OK;
    for (int d = 0; d < r->l->data->n_domains && s == AT_OK; d++) {
        at_probe p;
        s = at_probe_run(&r->l->cp, r->m, &r->l->data->domain[d].shard[AT_TEST], &r->spec, NULL,
                         &p);
        for (int64_t i = 0; s == AT_OK && i < p.windows; i++) nats += p.nats[i];
        tokens += (double)(p.windows * p.per_bucket);
        at_probe_close(&p);
    }
    *loss = nats / tokens;
    return s;
}

/* The loss without one expert; afterwards it is there again. */
static at_status without(const reading *r, at_bank *b, int64_t slot, double *loss) {
    at_status s = at_bank_use(r->l->c, b, slot, AT_SLOT_EXCLUDED);
    if (s == AT_OK) s = loss_of(r, loss);
    const at_status back = at_bank_use(r->l->c, b, slot, AT_SLOT_OPEN);
    return s == AT_OK ? back : s;
}

at_status at_lab_missing(at_lab_session *l, at_model *m, int64_t context, int64_t windows,
                         at_json *j) {
    const reading r = {
        .l = l,
        .m = m,
        .spec = {
            .context = context, .stride = context, .buckets = 1, .limit = windows, .spread = true}};
    const at_banks *banks = m->arch->banks ? m->arch->banks(m->impl) : NULL;
    double whole = 0, sum = 0, worst = -(double)INFINITY, loss = 0;
    int64_t experts = 0;
    at_status s = banks ? loss_of(&r, &whole) : AT_OK;
    for (int64_t i = 0; banks && i < banks->n; i++) {
        at_bank *b = &banks->bank[i];
        for (int64_t slot = 0; b->row && at_bank_open(b) > b->k && slot < b->n && s == AT_OK;
             slot++) {
            if (!at_bank_is_open(b, slot)) continue;
            s = without(&r, b, slot, &loss);
            sum += loss - whole;
            worst = fmax(worst, loss - whole);
            experts++;
        }
    }
    if (s != AT_OK || !experts) return s;
    at_json_begin_object(j, "missing");
    at_json_put_number(j, "windows", (double)windows);
    at_json_put_number(j, "loss", whole);
    at_json_put_number(j, "mean", sum / (double)experts);
    at_json_put_number(j, "worst", worst);
    at_json_put_number(j, "experts", (double)experts);
    at_json_end(j);
    return AT_OK;
}
