/* features_file.c - features as JSON, within the configuration of a model. */
#include "data/features.h"
#include <stdio.h>
#include <string.h>

enum { MOST = 1 << 24 };

static void put_names(at_json *j, const char *key, const at_levels *l) {
    at_json_begin_list(j, key);
    for (int64_t i = 0; i < l->n; i++) at_json_put_string(j, NULL, l->name[i]);
    at_json_end(j);
}

void at_features_write(const at_features *f, at_json *j) {
    at_json_put_string(j, "label", f->label);
    if (f->classes.n) {
        put_names(j, "classes", &f->classes);
        at_json_put_number(j, "majority", (double)f->majority);
    } else {
        at_json_put_number(j, "mean", f->mean);
        at_json_put_number(j, "spread", f->spread);
    }
    at_json_begin_list(j, "columns");
    for (int64_t i = 0; i < f->n; i++) {
        const at_feature *x = &f->feature[i];
        at_json_begin_object(j, NULL);
        at_json_put_string(j, "name", x->name);
        if (x->text) {
            at_json_put_number(j, "text", (double)x->width);
        } else if (x->of_levels) {
            put_names(j, "levels", &x->levels);
        } else {
            at_json_put_number(j, "shift", x->shift);
            at_json_put_number(j, "scale", x->scale);
            if (x->knot) at_json_put_numbers(j, "quantiles", x->knot, x->knots);
            if (x->image.height)
                at_json_put_numbers(j, "image",
                                    (double[]){(double)x->image.height, (double)x->image.width,
                                               (double)x->image.channels},
                                    3);
        }
        at_json_put_bool(j, "missing", x->indicator);
        at_json_end(j);
    }
    at_json_end(j);
}

static at_status get_names(at_ctx *c, const char *name, const cJSON *o, const char *key,
                           at_levels *l) {
    const cJSON *list, *x;
    at_status s = at_json_array(c, name, o, key, &list);
    if (s) return s;
    cJSON_ArrayForEach(x, list) {
        const char *text = cJSON_GetStringValue(x);
        const int64_t before = l->n;
        if (!text)
            return at_error(c, AT_FORMAT, "%s: field \"%s\": expected a list of strings", name,
                            key);
        if (at_levels_add(c, l, text, strlen(text)) < 0) return c->status;
        if (l->n == before)
            return at_error(c, AT_FORMAT, "%s: field \"%s\": `%.80s` stands there twice", name, key,
                            text);
    }
    return l->n ? AT_OK : at_error(c, AT_FORMAT, "%s: field \"%s\": an empty list", name, key);
}

static at_status get_knots(at_ctx *c, const char *name, const cJSON *o, at_feature *f) {
    const cJSON *list, *x;
    if (!cJSON_HasObjectItem(o, "quantiles")) return AT_OK;
    at_status s = at_json_array(c, name, o, "quantiles", &list);
    if (s) return s;
    const int n = cJSON_GetArraySize(list);
    if (!(f->knot = at_calloc(c, (size_t)n, sizeof *f->knot))) return AT_OOM;
    cJSON_ArrayForEach(x, list) {
        const double v = cJSON_IsNumber(x) ? x->valuedouble : 0;
        if (!cJSON_IsNumber(x) || (f->knots && v < f->knot[f->knots - 1]))
            return at_error(c, AT_FORMAT, "%s: field \"quantiles\": expected ascending numbers",
                            name);
        f->knot[f->knots++] = v;
    }
    return n > 1 ? AT_OK
                 : at_error(c, AT_FORMAT, "%s: field \"quantiles\": expected two numbers or more",
                            name);
}

static at_status get_image(at_ctx *c, const char *name, const cJSON *o, at_image_size *out) {
    const cJSON *list, *x;
    int64_t size[3], n = 0;
    if (!cJSON_HasObjectItem(o, "image")) return AT_OK;
    at_status s = at_json_array(c, name, o, "image", &list);
    if (s) return s;
    cJSON_ArrayForEach(x, list) {
        const double v = cJSON_IsNumber(x) ? x->valuedouble : 0;
        if (n == 3 || !(v >= 1 && v <= 1 << 20)) n = 4;
        if (n > 3) break;
        size[n++] = (int64_t)v;
    }
    if (n != 3 || (double)size[0] * (double)size[1] * (double)size[2] > MOST)
        return at_error(c, AT_FORMAT, "%s: field \"image\": expected height, width and channels",
                        name);
    *out = (at_image_size){size[0], size[1], size[2]};
    return AT_OK;
}

static at_status get_feature(at_ctx *c, const char *name, const cJSON *o, at_feature *f) {
    const char *text;
    at_status s = at_json_string(c, name, o, "name", &text);
    if (!s && !(f->name = at_strdup(c, text))) s = AT_OOM;
    if (!s && cJSON_HasObjectItem(o, "text")) {
        f->text = true;
        f->scale = 1;
        return at_json_int(c, name, o, "text", 1, MOST, &f->width);
    }
    f->of_levels = cJSON_HasObjectItem(o, "levels");
    f->indicator = cJSON_IsTrue(cJSON_GetObjectItemCaseSensitive(o, "missing"));
    if (!s && f->of_levels) s = get_names(c, name, o, "levels", &f->levels);
    if (!s && !f->of_levels) s = at_json_number(c, name, o, "shift", &f->shift);
    if (!s && !f->of_levels) s = at_json_number(c, name, o, "scale", &f->scale);
    if (!s && !f->of_levels) s = get_knots(c, name, o, f);
    if (!s && !f->of_levels) s = get_image(c, name, o, &f->image);
    f->width = f->image.height ? at_image_numel(f->image)
                               : (f->of_levels ? f->levels.n : 1) + f->indicator;
    return s;
}

at_status at_features_read(at_ctx *c, const char *name, const cJSON *o, at_features *out) {
    const char *label;
    const cJSON *list, *x;
    *out = (at_features){.spread = 1};
    at_status s = at_json_string(c, name, o, "label", &label);
    if (!s && !(out->label = at_strdup(c, label))) s = AT_OOM;
    if (!s && cJSON_HasObjectItem(o, "classes")) {
        s = get_names(c, name, o, "classes", &out->classes);
        if (!s) s = at_json_int(c, name, o, "majority", 0, out->classes.n - 1, &out->majority);
    } else if (!s) {
        s = at_json_number(c, name, o, "mean", &out->mean);
        if (!s) s = at_json_number(c, name, o, "spread", &out->spread);
    }
    if (!s) s = at_json_array(c, name, o, "columns", &list);
    if (!s) cJSON_ArrayForEach(x, list) {
            if (s || !at_reserve(c, &out->feature, &out->cap, out->n + 1, sizeof *out->feature)) {
                s = s ? s : AT_OOM;
                break;
            }
            at_feature *f = &out->feature[out->n++];
            *f = (at_feature){0};
            s = get_feature(c, name, x, f);
            f->at = out->inputs;
            out->inputs += f->width;
        }
    if (!s && !out->n) s = at_error(c, AT_FORMAT, "%s: field \"columns\": an empty list", name);
    for (int64_t i = 0; i < out->n && !s && out->n > 1; i++)
        if (out->feature[i].text)
            s = at_error(c, AT_FORMAT, "%s: field \"text\": a text among other columns", name);
    if (!s && out->inputs > MOST)
        s = at_error(c, AT_UNSUPPORTED, "%s: %lld inputs", name, (long long)out->inputs);
    if (s) at_features_close(out);
    return s;
}
