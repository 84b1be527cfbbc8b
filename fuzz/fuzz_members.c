/* fuzz_members.c - any bytes as the artel.json of a mixture: what is read fits a base of two layers, or is refused
   with a reason. */
#include "arch/model.h"
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const char config[] =
    "{\"model_type\":\"moduleformer\",\"n_layer\":2,\"n_embd\":4,\"n_head\":1,"
    "\"att_hidden\":4,\"ffd_hidden\":4,\"gating_size\":2,\"n_att_experts\":2,"
    "\"n_mlp_experts\":2,\"k_att\":1,\"k_mlp\":1,\"vocab_size\":8}";

/* Slots of the modules, and with the base's the model of all of them. */
static void widen(at_ctx *c, const at_members *l, const at_model *base) {
    int64_t more[4];
    const at_banks *banks = at_model_banks(base);
    at_model *all = NULL;
    if (at_members_count(c, l, banks, more) != AT_OK) {
        if (!*c->message) abort();
        return;
    }
    for (int i = 0; i < 4; i++)
        if (more[i] < 0) abort();
    if (more[0] + more[1] + more[2] + more[3] > 1000) return; /* these take a while to declare */
    cJSON *o = at_members_widen(c, base->arch, banks, base->source, more);
    if (!o || at_model_load_parts(c, "fuzz", o, NULL, 0, &all) != AT_OK) abort();
    for (int i = 0; i < 4; i++)
        if (at_model_banks(all)->bank[i].n != 2 + more[i]) abort();
    at_model_close(all);
    cJSON_Delete(o);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    at_ctx c;
    at_members l;
    at_model *base = NULL;
    at_ctx_init(&c, 1);
    cJSON *o = at_json_parse(&c, "fuzz", (const char *)data, size);
    if (!o) return 0;
    cJSON *k = at_json_parse(&c, "config", config, sizeof config - 1);
    if (!k || at_model_load_parts(&c, "config", k, NULL, 0, &base) != AT_OK) abort();
    if (at_members_parse(&c, "fuzz", o, &l) == AT_OK)
        widen(&c, &l, base);
    else if (!*c.message)
        abort();
    at_members_close(&l);
    at_model_close(base);
    cJSON_Delete(k);
    return 0;
}
