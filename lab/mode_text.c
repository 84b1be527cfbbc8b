/* mode_text.c - language models whose experts distil each other, on text of several languages. */
#include "base/file.h"
#include "base/text.h"
#include "lab/lab_page.h"
#include "lab/mode_lab.h"
#include <stdio.h>

const double mode_text_alpha[MODE_TEXT_ARMS] = {0, 0.01, 0.1};

void mode_text_group(int arm, char out[64]) {
    (void)snprintf(out, 64, "text-mutual%g", mode_text_alpha[arm]);
}

static at_status declare(mode *m, const char *data, int arm, int64_t seed) {
    const int64_t steps = m->scale->text_steps;
    char group[64];
    at_text t;
    at_text_init(&t, m->l->c, 0);
    at_textf(
        &t,
        "seed: %lld\nmodel: {arch: moduleformer, n_layer: 2, n_embd: 64, n_head: 1, att_hidden: "
        "64, ffd_hidden: 64, n_att_experts: 1, k_att: 1, n_mlp_experts: 4, k_mlp: 2, gate_type: "
        "linear, tie_word_embeddings: true}\ndata: {train: %s}\n",
        (long long)seed, data);
    at_textf(&t,
             "train: {steps: %lld, batch: 8, context: 64, lr: 3e-3, schedule: cosine, clip: 1.0, "
             "eval_every: 0, save_every: 0, keep: 1, spike: 0}\n",
             (long long)steps);
    if (arm) at_textf(&t, "losses: {mutual_distillation: %g}\n", mode_text_alpha[arm]);
    mode_text_group(arm, group);
    const at_status s = t.failed ? AT_OOM : at_lab_declare(m->l, group, seed, 0, t.s);
    at_text_close(&t);
    return s;
}

static at_status declare_all(mode *m, const char *folder) {
    at_json path;
    at_json_open_value(&path, m->l->c);
    at_json_put_string(&path, NULL, folder);
    char *quoted = at_json_take(&path);
    at_status s = quoted ? AT_OK : AT_OOM;
    for (int a = 0; a < MODE_TEXT_ARMS; a++)
        for (int k = 0; k < m->scale->text_seeds && s == AT_OK; k++)
            s = declare(m, quoted, a, k + 1);
    at_free(quoted);
    return s;
}

at_status mode_text(mode *m) {
    at_lab_session *l = m->l;
    const char *folder = l->o->text ? l->o->text : AT_LAB_DATA;
    char *manifest = at_join(l->c, folder, "manifest.json");
    if (!manifest) return AT_OOM;
    const bool there = at_exists(manifest);
    at_free(manifest);
    if (!there && l->o->text)
        return at_error(l->c, AT_IO, "%s: there is no data set; `artel data build` makes them",
                        folder);
    if (!there)
        return at_lab_warn(l,
                           "nothing is said of language models: there is no data set in %s "
                           "(./demo.sh makes it, --text names another)",
                           folder);
    at_status s = at_dataset_open_checked(l->c, folder, &l->data);
    m->text = s == AT_OK;
    l->windows = 64;
    l->sides = l->c->threads;
    if (s == AT_OK) s = declare_all(m, folder);
    return s == AT_OK ? at_lab_train(l, 0) : s;
}
