/* doctor.c - the model that is examined. */
#include "infer/doctor.h"
#include "base/file.h"
#include "infer/lm.h"
#include <string.h>

/* A model whose values are its own and may be anything: loading refuses NaN, and that is a finding here. */
static at_status open_patient(at_ctx *c, const char *dir, at_model **out) {
    char *path = at_join(c, dir, "config.json");
    cJSON *o = path ? at_json_read(c, path) : NULL;
    const cJSON *type = cJSON_GetObjectItemCaseSensitive(o, "model_type");
    at_status s = o ? AT_OK : c->status;
    if (s == AT_OK && cJSON_IsString(type) && !strcmp(type->valuestring, AT_MODULAR_TYPE))
        s = at_error(
            c, AT_ARG,
            "%s is composed of whole models behind a router: examine the model of one of its "
            "experts (`artel inspect` names where each came from); of the router, `artel "
            "router eval`",
            dir);
    if (s == AT_OK) s = at_model_load_parts(c, path, o, NULL, 0, out);
    at_model *m = *out;
    if (s == AT_OK) s = (m->path = at_strdup(c, dir)) ? AT_OK : AT_OOM;
    if (s == AT_OK) s = at_store_alloc(&m->store);
    if (s == AT_OK) s = at_weights_open(c, dir, SIZE_MAX, &m->weights);
    if (s == AT_OK) {
        const at_load_options how = at_model_load_options(m, false);
        const char *hash = at_st_meta(m->weights.file[0], "artel.tokenizer");
        s = at_checkpoint_load(c, &m->store, &m->weights, &how);
        if (s == AT_OK && hash && !(m->tokenizer = at_strdup(c, hash))) s = AT_OOM;
        at_weights_close(&m->weights);
    }
    cJSON_Delete(o);
    at_free(path);
    return s;
}

at_status at_doctor(at_compute *cp, const char *dir, const at_doctor_options *o,
                    at_diagnosis *out) {
    at_ctx *c = cp->ctx;
    at_model *m = NULL;
    bool finite = false;
    *out = (at_diagnosis){0};
    at_status s = open_patient(c, dir, &m);
    if (s == AT_OK) s = at_doctor_look(c, m, out, &finite);
    if (s == AT_OK && finite) s = at_doctor_read(cp, m, o, out);
    at_model_close(m);
    if (s != AT_OK) at_diagnosis_close(out);
    return s;
}
