/* rows_measure.c - the probe, and row by row what experts say. */
#include "lab/rows_measure.h"
#include "lab/lab_rows.h"

/* Of each row the expert of its domain, and which experts are right, as characters. */
static at_status rows_of(at_ctx *c, const at_heard *h, const int32_t *class_of, at_json *j) {
    char *dominant = at_calloc(c, (size_t)h->n + 1, 1), *right = at_calloc(c, (size_t)h->n + 1, 1);
    const at_status s = dominant && right ? AT_OK : AT_OOM;
    for (int64_t i = 0; i < h->n && s == AT_OK; i++) {
        int mask = 0;
        for (int64_t e = 0; e < h->e; e++)
            if (h->said[i * h->e + e] == class_of[i]) mask |= 1 << e;
        dominant[i] = (char)('0' + h->domain[i]);
        right[i] = (char)('0' + mask);
    }
    if (s == AT_OK) at_json_put_string(j, "dominant", dominant);
    if (s == AT_OK) at_json_put_string(j, "right", right);
    at_free(dominant);
    at_free(right);
    return s;
}

at_status at_rows_probe(at_compute *cp, at_model *m, const at_table_rows *train,
                        const at_table_rows *test, at_json *j) {
    const at_probe_with with = {.train = train, .missing = true};
    at_expert_probe p;
    at_heard h = {0};
    at_status s = at_expert_probe_with(cp, m, test, &with, &p);
    if (s != AT_OK) return s;
    at_json_begin_object(j, "probe");
    at_expert_probe_write(&p, j);
    at_json_end(j);
    if (p.experts > AT_ROWS_EXPERTS)
        s = at_error(cp->ctx, AT_ARG, "%lld experts, and %d are probed at most",
                     (long long)p.experts, AT_ROWS_EXPERTS);
    at_expert_probe_close(&p);
    if (s == AT_OK) s = at_hear_experts(cp, m, test, false, &h);
    if (s == AT_OK) s = rows_of(cp->ctx, &h, test->class, j);
    at_heard_close(&h);
    return s;
}
