/* api_convert.c - a model folder in another shape. */
#include "api/api.h"
#include "infer/convert.h"
#include <string.h>

static at_status read_to(at_ctx *c, const char *to, at_convert_to *out) {
    *out = to && !strcmp(to, "artel") ? AT_TO_ARTEL : AT_TO_HF;
    if (to && !strcmp(to, "gguf"))
        return at_error(c, AT_UNSUPPORTED, "gguf is not supported yet: hf and artel are");
    if (to && (!strcmp(to, "hf") || !strcmp(to, "artel"))) return AT_OK;
    return at_error(c, AT_ARG, "`%.40s`: expected hf or artel", to ? to : "");
}

static at_status read_type(at_ctx *c, const char *type, at_dtype *out) {
    *out = AT_DT_COUNT;
    if (!type) return AT_OK;
    *out = !strcmp(type, "bf16") ? AT_DT_BF16 : AT_DT_F32;
    if (!strcmp(type, "f32") || !strcmp(type, "bf16")) return AT_OK;
    return at_error(c, AT_ARG, "type `%.40s`: expected f32 or bf16", type);
}

artel_status artel_convert(artel *a, const char *model, const char *out,
                           const artel_convert_options *o, artel_emit emit, void *user) {
    at_ctx *c = &a->ctx;
    at_compute cp;
    at_convert_to to;
    at_dtype type;
    at_conversion r;
    at_status s = read_to(c, o->to, &to);
    if (s == AT_OK) s = read_type(c, o->type, &type);
    if (s == AT_OK) s = at_compute_open(&cp, c);
    if (s != AT_OK) return (artel_status)s;
    s = at_convert(&cp, model, out, to, type, o->seed, &r);
    at_compute_close(&cp);
    if (s != AT_OK) return at_answer(a, s);
    at_json j;
    at_json_open(&j, c);
    at_json_put_string(&j, "source", model);
    at_json_put_string(&j, "target", out);
    at_json_put_string(&j, "to", o->to);
    at_json_put_string(&j, "type", o->type ? o->type : "as it was");
    at_json_put_number(&j, "files", (double)r.files);
    at_json_put_number(&j, "tensors_read", (double)r.read);
    at_json_put_number(&j, "tensors_written", (double)r.written);
    at_json_put_number(&j, "left_out", (double)r.left_out);
    at_json_put_number(&j, "bytes", r.bytes);
    at_json_begin_object(&j, "logits");
    at_json_put_number(&j, "ids", (double)r.ids);
    at_json_put_number(&j, "difference", r.difference);
    at_json_put_number(&j, "largest", r.largest);
    at_json_put_number(&j, "allowed", r.allowed);
    at_json_end(&j);
    at_json_put_number(&j, "seconds", r.seconds);
    return at_emit(a, emit, user, &j);
}
