/* lab_json.c - labs. */
#include "lab/lab_json.h"
#include "api/api.h"
#include "lab/lab.h"
#include <string.h>

artel_status at_json_labs(artel *a, artel_emit emit, void *user) {
    artel_status s = ARTEL_OK;
    for (int i = 0; at_labs[i] && s == ARTEL_OK; i++) {
        const at_lab *l = at_labs[i];
        at_json j;
        at_json_open(&j, &a->ctx);
        at_json_put_string(&j, "lab", l->name);
        at_json_put_string(&j, "title", l->title);
        at_json_put_string(&j, "source", l->source);
        at_json_begin_list(&j, "claims");
        for (int k = 0; l->claims[k]; k++) at_json_put_string(&j, NULL, l->claims[k]);
        at_json_end(&j);
        s = at_emit(a, emit, user, &j);
    }
    return s;
}

typedef struct {
    artel *a;
    artel_emit emit;
    void *user;
} sink;

static at_status pass_on(void *user, at_json *j) {
    const sink *k = user;
    return (at_status)at_emit(k->a, k->emit, k->user, j);
}

static at_status scale_of(at_ctx *c, const char *name, at_lab_scale *out) {
    for (int i = 0; i < AT_LAB_SCALES; i++)
        if (!strcmp(name, at_lab_scale_name[i])) {
            *out = (at_lab_scale)i;
            return AT_OK;
        }
    return at_error(c, AT_ARG, "scale `%s`: expected quick or full", name);
}

artel_status at_json_lab(artel *a, const char *name, const at_json_lab_options *o, artel_emit emit,
                         void *user) {
    sink k = {a, emit, user};
    at_lab_options options = {.out = o->out,
                              .data = o->data,
                              .label = o->label,
                              .text = o->text,
                              .trees = o->trees,
                              .emit = pass_on,
                              .user = &k};
    at_status s = scale_of(&a->ctx, o->scale, &options.scale);
    return (artel_status)(s == AT_OK ? at_lab_run(&a->ctx, name, &options) : s);
}
