/* lm_data.c - see lm_data.h. */
#include "train/lm_data.h"
#include "base/file.h"
#include "data/dataset.h"
#include "infer/lm.h"

at_status at_lm_data_open(at_ctx *c, const at_recipe *r, at_data *out) {
    at_dataset *set = NULL;
    at_status s = at_dataset_open_checked(c, r->data.train, &set);
    if (s != AT_OK) return s;
    *out = (at_data){.set = set, .outputs = set->vocab};
    out->parts = r->data.domains.n ? r->data.domains.n : set->n_domains;
    if (!(out->part = at_calloc(c, (size_t)out->parts, sizeof *out->part))) return AT_OOM;
    for (int64_t i = 0; i < out->parts; i++)
        out->part[i] =
            r->data.domains.n ? r->data.domains.item[i] : (char *)(uintptr_t)set->domain[i].name;
    char *manifest = at_join(c, r->data.train, "manifest.json");
    out->tokenizer = at_join(c, r->data.train, "tokenizer.json");
    s = manifest && out->tokenizer ? at_sha256_file(c, manifest, out->hash) : AT_OOM;
    at_free(manifest);
    if (out->tokenizer && !at_exists(out->tokenizer)) {
        at_free(out->tokenizer);
        out->tokenizer = NULL;
    }
    return s;
}

void at_lm_data_close(at_data *d) {
    at_dataset_close(d->set);
    at_free(d->tokenizer);
    at_free(d->part);
    *d = (at_data){0};
}

at_status at_lm_data_check(at_ctx *c, const at_recipe *r, const at_data *d, const at_model *m,
                           const char *what) {
    const at_dataset *set = d->set;
    return at_lm_check_data(c, what, m->tokenizer, m->dims.vocab, r->data.train,
                            set->tokenizer_hash, set->vocab);
}

at_status at_lm_data_sign(at_ctx *c, const at_data *d, at_model *m) {
    const at_dataset *set = d->set;
    at_tokenizer *t = NULL;
    at_free(m->tokenizer);
    if (!(m->tokenizer = at_strdup(c, set->tokenizer_hash))) return AT_OOM;
    if (!d->tokenizer) return AT_OK;
    const at_status s = at_tokenizer_load(c, d->tokenizer, &t);
    if (s == AT_OK) at_model_end_token(m, at_tokenizer_eot(t));
    at_tokenizer_close(t);
    return s;
}
