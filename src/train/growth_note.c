/* growth_note.c - digests of a module after its first steps, and a passport held against what is made again. */
#include "base/file.h"
#include "train/growth_internal.h"
#include <stdio.h>
#include <string.h>

static const char FILE_NAME[] = "digests.json";

/* 1, 2, 5, 10, 20, 50, ... */
static bool is_mark(int64_t step) {
    while (step >= 10 && step % 10 == 0) step /= 10;
    return step == 1 || step == 2 || step == 5;
}

static int64_t step_of(const cJSON *e) {
    const cJSON *v = cJSON_GetObjectItemCaseSensitive(e, "step");
    return cJSON_IsNumber(v) ? (int64_t)v->valuedouble : 0;
}

static const char *digest_of(const cJSON *e) {
    const cJSON *v = cJSON_GetObjectItemCaseSensitive(e, "digest");
    return cJSON_IsString(v) ? v->valuestring : "";
}

/* ---- what is noted ------------------------------------------------------------------------------- */

static at_status load(growth *w, const char *path) {
    cJSON *o = at_json_read(w->c, path);
    const at_status s = o ? AT_OK : w->c->status;
    cJSON_Delete(w->digests);
    w->digests = cJSON_DetachItemFromObjectCaseSensitive(o, "digests");
    cJSON_Delete(o);
    return s;
}

at_status growth_note_open(growth *w) {
    char *run = at_join(w->c, w->run, "checkpoints"), *path = at_join(w->c, w->run, FILE_NAME);
    at_status s = run && path ? AT_OK : AT_OOM;
    if (s == AT_OK && at_is_dir(run) && at_exists(path)) s = load(w, path);
    if (s == AT_OK && !w->digests && !(w->digests = at_json_list(w->c))) s = AT_OOM;
    at_free(run);
    at_free(path);
    return s;
}

/* The list with the digest of one more step; those of this step and later ones are made anew. */
static at_status keep(growth *w, int64_t step, const at_digest *d) {
    char *path = at_join(w->c, w->run, FILE_NAME);
    const cJSON *e = NULL;
    at_json j;
    at_json_open_file(&j, w->c);
    at_json_begin_list(&j, "digests");
    cJSON_ArrayForEach(e, w->digests) if (step_of(e) < step) at_json_put_value(&j, NULL, e);
    at_json_begin_object(&j, NULL);
    at_json_put_number(&j, "step", (double)step);
    at_json_put_string(&j, "digest", d->hex);
    at_json_end(&j);
    at_json_end(&j);
    at_status s = path ? at_json_save(&j, path) : AT_OOM;
    if (!path) at_json_close(&j);
    if (s == AT_OK) s = load(w, path);
    at_free(path);
    return s;
}

static const cJSON *recorded(const growth *w) {
    const cJSON *created = cJSON_GetObjectItemCaseSensitive(w->told->passport, "created");
    return cJSON_GetObjectItemCaseSensitive(created, "digests");
}

static at_status as_recorded(const growth *w, int64_t step, const at_digest *d) {
    const cJSON *e = NULL;
    const char *then = "nothing";
    cJSON_ArrayForEach(e, recorded(w)) if (step_of(e) == step) then = digest_of(e);
    if (!strcmp(then, d->hex)) return AT_OK;
    return at_error(w->c, AT_MISMATCH,
                    "%s: after step %lld its passport has digest %.12s, the module made again has "
                    "%.12s: it does not come of this recipe, seed, base and data",
                    w->file, (long long)step, then, d->hex);
}

at_status growth_note(void *user, at_model *m, int64_t step, int64_t of) {
    growth *w = user;
    at_digest d;
    const at_banks *old = at_model_banks(w->m);
    step += w->before;
    if (!is_mark(step)) return AT_OK;
    int64_t *first = at_calloc(w->c, (size_t)old->n, sizeof *first);
    at_status s = first ? AT_OK : AT_OOM;
    for (int64_t b = 0; first && b < old->n; b++) first[b] = old->bank[b].n;
    /* what it says of itself, before there is more to do */
    if (s == AT_OK && w->told && step == 1) {
        w->steps = of + w->k.review;
        s = growth_check_passport(w, w->file);
    }
    if (s == AT_OK) s = at_digest_member(w->c, &m->store, at_model_banks(m), first, w->more, &d);
    if (s == AT_OK && w->told) s = as_recorded(w, step, &d);
    if (s == AT_OK) s = keep(w, step, &d);
    at_free(first);
    return s;
}

/* ---- two passports -------------------------------------------------------------------------------- */

typedef struct {
    at_ctx *c;
    const char *file, *without[3];
    char where[400];
} held;

/* What differs of two texts of several lines. */
static void first_lines(const char **a, const char **b) {
    for (;;) {
        const size_t n = strcspn(*a, "\n");
        if (strncmp(*a, *b, n) != 0 || (*b)[n] != (*a)[n] || !(*a)[n]) return;
        *a += n + 1;
        *b += n + 1;
    }
}

static void show(const cJSON *v, char *text, size_t size) {
    const char *end = "";
    if (cJSON_IsString(v))
        (void)snprintf(text, size, "`%.*s`", (int)strcspn(v->valuestring, "\n"), v->valuestring);
    else if (cJSON_IsNumber(v))
        (void)snprintf(text, size, "%.17g", v->valuedouble);
    else
        end = !v ? "nothing" : cJSON_IsBool(v) ? (cJSON_IsTrue(v) ? "true" : "false") : "a list";
    if (*end) (void)snprintf(text, size, "%s", end);
}

static at_status differs(const held *h, const cJSON *told, const cJSON *made) {
    char a[160], b[160];
    cJSON x = told ? *told : (cJSON){0}, y = made ? *made : (cJSON){0};
    if (cJSON_IsString(told) && cJSON_IsString(made)) {
        const char *p = told->valuestring, *q = made->valuestring;
        first_lines(&p, &q);
        x.valuestring = (char *)(uintptr_t)p;
        y.valuestring = (char *)(uintptr_t)q;
    }
    show(told ? &x : NULL, a, sizeof a);
    show(made ? &y : NULL, b, sizeof b);
    return at_error(
        h->c, AT_MISMATCH,
        "%s: its passport was edited, or this is not what it was made of: %s is %s, made "
        "again it is %s",
        h->file, h->where[0] ? h->where : "all of it", a, b);
}

static bool left_out(const held *h) {
    for (size_t i = 0; i < sizeof h->without / sizeof *h->without; i++)
        if (h->without[i] && !strcmp(h->where, h->without[i])) return true;
    return false;
}

static at_status equal(held *h, const cJSON *told, const cJSON *made);

static at_status members_equal(held *h, const cJSON *told, const cJSON *made, bool list) {
    const size_t n = strlen(h->where);
    at_status s = AT_OK;
    const cJSON *a = told->child, *b = made->child;
    for (int i = 0; (a || b) && s == AT_OK; i++) {
        const cJSON *x = a ? a : b;
        const cJSON *other =
            list ? b : cJSON_GetObjectItemCaseSensitive(a ? made : told, x->string);
        if (list)
            (void)snprintf(h->where + n, sizeof h->where - n, "[%d]", i);
        else
            (void)snprintf(h->where + n, sizeof h->where - n, "%s%.60s", n ? "." : "", x->string);
        if (!left_out(h)) s = a ? equal(h, a, other) : equal(h, list ? NULL : other, b);
        if (s == AT_OK) h->where[n] = 0;
        /* of an object first what is told, then what was made */
        if (list || !a) b = b ? b->next : NULL;
        if (a) a = a->next;
    }
    return s;
}

static at_status equal(held *h, const cJSON *told, const cJSON *made) {
    if (!told || !made || (told->type & 0xff) != (made->type & 0xff)) return differs(h, told, made);
    if (cJSON_IsArray(told) || cJSON_IsObject(told))
        return members_equal(h, told, made, cJSON_IsArray(told));
    return cJSON_Compare(told, made, true) ? AT_OK : differs(h, told, made);
}

at_status growth_compare(at_ctx *c, const char *file, const cJSON *told, const cJSON *made) {
    held h = {.c = c, .file = file};
    return equal(&h, told, made);
}

at_status growth_check_passport(growth *w, const char *slots) {
    held h = {.c = w->c, .file = w->file, .without = {"evaluation", "created.digests"}};
    cJSON *made = growth_passport(w, slots, false);
    const at_status s = made ? equal(&h, w->told->passport, made) : w->c->status;
    cJSON_Delete(made);
    return s;
}
