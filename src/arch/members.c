/* members.c - see members.h. */
#include "arch/members.h"
#include "base/file.h"
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* ---- the record ---------------------------------------------------------------------------------- */

void at_members_close(at_members *l) {
    cJSON_Delete(l->record);
    at_free(l->path);
    at_free(l->owner);
    *l = (at_members){0};
}

int at_member_find(const at_members *l, const char *name) {
    for (int i = 0; i < l->n; i++)
        if (!strcmp(l->item[i].name, name)) return i;
    return -1;
}

/* Lists of whole numbers, one a layer. */
static at_status check_slots(at_ctx *c, const char *path, const at_member *m) {
    const cJSON *slots = NULL, *list = NULL, *v = NULL;
    at_status s = at_json_object(c, path, m->entry, "slots", &slots);
    for (int k = 0; k < AT_LAYER_KINDS && s == AT_OK; k++) {
        s = at_json_array(c, path, slots, at_layer_kind_name[k], &list);
        if (s != AT_OK) break;
        cJSON_ArrayForEach(v, list) {
            const double n = cJSON_IsNumber(v) ? v->valuedouble : -1;
            if (n < 0 || n > 65536 || n != (double)(int64_t)n)
                return at_error(c, AT_FORMAT, "%s: module `%s`: slots.%s: expected whole numbers",
                                path, m->name, at_layer_kind_name[k]);
        }
    }
    return s;
}

static at_status read_member(at_ctx *c, const char *path, const cJSON *e, at_members *l) {
    at_member *m = &l->item[l->n];
    *m = (at_member){.entry = e};
    at_status s = at_json_string(c, path, e, "name", &m->name);
    if (s == AT_OK) s = at_json_string(c, path, e, "file", &m->file);
    if (s == AT_OK) s = at_json_int(c, path, e, "id", 1, INT64_C(1) << 52, &m->id);
    if (s != AT_OK) return s;
    if (!at_name_ok(m->name) || at_member_find(l, m->name) >= 0)
        return at_error(c, AT_FORMAT, "%s: module `%.80s`: expected a name that occurs once", path,
                        m->name);
    if (strstr(m->file, "..") || m->file[0] == '/')
        return at_error(c, AT_FORMAT, "%s: module `%s`: expected a file in this folder, found `%s`",
                        path, m->name, m->file);
    for (int i = 0; i < l->n; i++)
        if (l->item[i].id == m->id)
            return at_error(c, AT_FORMAT, "%s: modules `%s` and `%s` both have id %" PRId64, path,
                            l->item[i].name, m->name, m->id);
    s = check_slots(c, path, m);
    if (s == AT_OK) l->n++;
    return s;
}

at_status at_members_parse(at_ctx *c, const char *path, cJSON *record, at_members *l) {
    const cJSON *list = NULL, *e = NULL;
    int64_t ids = 0;
    *l = (at_members){.record = record};
    at_status s = record && (l->path = at_strdup(c, path)) ? AT_OK : AT_OOM;
    if (s == AT_OK) s = at_json_array(c, path, record, "modules", &list);
    if (s == AT_OK) s = at_json_int(c, path, record, "ids", 0, INT64_C(1) << 52, &ids);
    if (s == AT_OK && cJSON_GetArraySize(list) > AT_MEMBERS_MAX)
        s = at_error(c, AT_UNSUPPORTED, "%s: expected at most %d modules, found %d", path,
                     AT_MEMBERS_MAX, cJSON_GetArraySize(list));
    for (e = s == AT_OK ? list->child : NULL; e && s == AT_OK; e = e->next) {
        s = read_member(c, path, e, l);
        if (s == AT_OK && l->item[l->n - 1].id > ids)
            s = at_error(c, AT_FORMAT,
                         "%s: module `%s` has id %" PRId64 ", but `ids`, the last that was given, "
                         "is %" PRId64,
                         path, l->item[l->n - 1].name, l->item[l->n - 1].id, ids);
    }
    if (s != AT_OK) at_members_close(l);
    return s;
}

at_status at_members_read(at_ctx *c, const char *dir, at_members *l) {
    *l = (at_members){0};
    char *path = at_join(c, dir, AT_RECORD_FILE);
    if (!path) return AT_OOM;
    at_status s = AT_OK;
    if (at_exists(path)) {
        cJSON *o = at_json_read(c, path);
        if (!o)
            s = c->status;
        else if (cJSON_HasObjectItem(o, "modules"))
            s = at_members_parse(c, path, o, l);
        else
            cJSON_Delete(o); /* of a composed folder */
    }
    at_free(path);
    return s;
}

static const cJSON *counts_of(const at_member *m, at_layer_kind kind) {
    return cJSON_GetObjectItemCaseSensitive(cJSON_GetObjectItemCaseSensitive(m->entry, "slots"),
                                            at_layer_kind_name[kind]);
}

int64_t at_member_slots(const at_member *m, at_router_id id) {
    const cJSON *v = cJSON_GetArrayItem(counts_of(m, id.kind), (int)id.layer);
    return v ? (int64_t)v->valuedouble : 0;
}

static int64_t slots_of(const at_members *l, int from, at_router_id id) {
    int64_t n = 0;
    for (int i = from; i < l->n; i++) n += at_member_slots(&l->item[i], id);
    return n;
}

int64_t at_member_first(const at_members *l, int i, const at_bank *b) {
    return b->n - slots_of(l, i, b->id);
}

/* ---- from the base to all of it ------------------------------------------------------------------- */

static bool even(const at_banks *banks, const int64_t *more, at_layer_kind kind, int64_t *n) {
    bool same = true;
    *n = -1;
    for (int64_t i = 0; i < banks->n; i++) {
        if (banks->bank[i].id.kind != kind) continue;
        const int64_t x = banks->bank[i].n + more[i];
        if (*n < 0) *n = x;
        same &= x == *n;
    }
    return same;
}

cJSON *at_members_widen(at_ctx *c, const at_arch *arch, const at_banks *banks, const cJSON *source,
                        const int64_t *more) {
    const cJSON *e = NULL;
    at_json j;
    at_json_open(&j, c);
    cJSON_ArrayForEach(e, source) {
        bool counts = false;
        for (int k = 0; k < AT_LAYER_KINDS; k++)
            counts |= !strcmp(e->string, arch->experts[k].all) ||
                      !strcmp(e->string, arch->experts[k].by_layer);
        if (!counts) at_json_put_value(&j, e->string, e);
    }
    for (int k = 0; k < AT_LAYER_KINDS; k++) {
        int64_t n = 0;
        const bool same = even(banks, more, (at_layer_kind)k, &n);
        if (n >= 0) at_json_put_number(&j, arch->experts[k].all, (double)n);
        if (same) continue;
        at_json_begin_list(&j, arch->experts[k].by_layer);
        for (int64_t i = 0; i < banks->n; i++)
            if (banks->bank[i].id.kind == (at_layer_kind)k)
                at_json_put_number(&j, NULL, (double)(banks->bank[i].n + more[i]));
        at_json_end(&j);
    }
    return at_json_value(&j, "config.json");
}

at_status at_members_count(at_ctx *c, const at_members *l, const at_banks *banks, int64_t *more) {
    for (int i = 0; i < l->n; i++)
        for (int k = 0; k < AT_LAYER_KINDS; k++) {
            const int n = cJSON_GetArraySize(counts_of(&l->item[i], (at_layer_kind)k));
            int64_t layers = 0;
            for (int64_t b = 0; b < banks->n; b++)
                layers += banks->bank[b].id.kind == (at_layer_kind)k;
            if (n != layers)
                return at_error(c, AT_FORMAT,
                                "%s: module `%s`: slots.%s: expected %lld numbers, one a layer of "
                                "the base, found %d",
                                l->path, l->item[i].name, at_layer_kind_name[k], (long long)layers,
                                n);
        }
    for (int64_t b = 0; b < banks->n; b++) {
        more[b] = slots_of(l, 0, banks->bank[b].id);
        if (more[b] && !banks->bank[b].row)
            return at_error(c, AT_FORMAT,
                            "%s: modules have slots in the %s bank of layer %lld, where the base "
                            "has a single expert and no router",
                            l->path, at_layer_kind_name[banks->bank[b].id.kind],
                            (long long)banks->bank[b].id.layer);
    }
    return AT_OK;
}

at_status at_members_own(at_ctx *c, at_members *l, at_banks *banks) {
    int64_t n = 0;
    for (int64_t b = 0; b < banks->n; b++) n += banks->bank[b].n;
    uint8_t *next = l->owner = at_calloc(c, (size_t)n + 1, 1);
    if (!next) return AT_OOM;
    for (int64_t b = 0; b < banks->n; b++) {
        at_bank *x = &banks->bank[b];
        for (int i = 0; i < l->n; i++) {
            const int64_t slots = at_member_slots(&l->item[i], x->id);
            memset(next + at_member_first(l, i, x), i + 1, (size_t)slots);
        }
        x->owner = next;
        next += x->n;
    }
    return AT_OK;
}

/* ---- names in a module's file ---------------------------------------------------------------------- */

/* "<bank>.<slot>." of a path "<bank>.<slot>.<part>": where the slot's number begins, and ends. */
static const char *number_of(const char *path, const char **end) {
    const char *dot = strrchr(path, '.'), *start = dot;
    while (start > path && start[-1] != '.') start--;
    *end = dot;
    return start;
}

typedef struct {
    at_ctx *c;
    const at_members *l;
    int i;
    const at_banks *banks;
    const char *file;
} place;

/* The path in the model of a tensor of a module's file. */
static char *path_in_model(void *user, const char *name) {
    const place *p = user;
    const char *plus = strstr(name, ".+"), *end = NULL;
    char *stop = NULL;
    const long long slot =
        plus && plus[2] >= '0' && plus[2] <= '9' ? strtoll(plus + 2, &stop, 10) : -1;
    for (int64_t b = 0; slot >= 0 && *stop == '.' && b < p->banks->n; b++) {
        const at_bank *x = &p->banks->bank[b];
        const char *first = at_param_of(x->part[0]->slot[0])->path, *at = number_of(first, &end);
        const size_t n = (size_t)(plus + 1 - name);
        if ((size_t)(at - first) != n || strncmp(first, name, n) != 0) continue;
        if (slot >= at_member_slots(&p->l->item[p->i], x->id)) break;
        at_text t;
        at_text_init(&t, p->c, 0);
        at_text_bytes(&t, name, n);
        at_textf(&t, "%lld%s", (long long)at_member_first(p->l, p->i, x) + slot, stop);
        return at_text_take(&t);
    }
    (void)at_error(p->c, AT_FORMAT, "%s: tensor `%.200s` is of no slot that module `%s` has here",
                   p->file, name, p->l->item[p->i].name);
    return NULL;
}

/* Each of its slots has all its parts; that no other tensor is there is known from the names. */
static at_status check_complete(at_ctx *c, const at_members *l, int i, const at_banks *banks,
                                const at_st *st) {
    int64_t n = 0;
    for (int64_t b = 0; b < banks->n; b++)
        n += at_member_slots(&l->item[i], banks->bank[b].id) * (banks->bank[b].parts + 1);
    if (at_st_count(st) == n) return AT_OK;
    return at_error(c, AT_FORMAT,
                    "%s: expected %lld tensors for the slots of module `%s`, found %lld",
                    at_st_path(st), (long long)n, l->item[i].name, (long long)at_st_count(st));
}

at_status at_member_open(at_ctx *c, const at_members *l, int i, const at_banks *banks,
                         const char *dir, size_t verify_below, at_weights *w) {
    char *path = at_join(c, dir, l->item[i].file);
    const char *hash = NULL, *base = NULL;
    place p = {c, l, i, banks, path};
    at_status s = path ? AT_OK : AT_OOM;
    if (s == AT_OK && !at_exists(path))
        s = at_error(c, AT_IO, "%s: the file of module `%s`, %s, is missing", dir, l->item[i].name,
                     l->item[i].file);
    if (s == AT_OK) s = at_weights_add(c, w, path, verify_below);
    if (s == AT_OK) s = at_weights_rename(c, w, path_in_model, &p);
    if (s == AT_OK) s = check_complete(c, l, i, banks, w->file[w->n - 1]);
    if (s == AT_OK) {
        hash = at_st_meta(w->file[w->n - 1], "artel.tokenizer");
        base = at_st_meta(w->file[0], "artel.tokenizer");
    }
    if (hash && base && strcmp(hash, base) != 0)
        s = at_error(c, AT_MISMATCH, "%s: trained with tokenizer %.12s, the base of %s with %.12s",
                     path, hash, dir, base);
    at_free(path);
    return s;
}

/* ---- writing one ------------------------------------------------------------------------------------ */

static at_status give_slot(const at_store *s, const at_bank *b, int64_t slot, int64_t as,
                           at_tensor_fn f, void *user) {
    at_param_entry *e[AT_BANK_PARTS + 1];
    char name[320];
    const int n = at_bank_slot(b, slot, e);
    at_status status = AT_OK;
    for (int i = 0; i < n && status == AT_OK; i++) {
        const char *end, *at = number_of(e[i]->path, &end);
        at_st_tensor t = at_checkpoint_tensor(s, e[i], AT_SLAB_VALUE);
        (void)snprintf(name, sizeof name, "%.*s+%lld%s", (int)(at - e[i]->path), e[i]->path,
                       (long long)as, end);
        t.name = name;
        status = f(user, &t, &t, 1);
    }
    return status;
}

at_status at_member_each(const at_store *s, const at_banks *banks, const int64_t *first,
                         const int64_t *n, at_tensor_fn f, void *user) {
    at_status status = AT_OK;
    for (int64_t b = 0; b < banks->n; b++)
        for (int64_t i = 0; i < n[b] && status == AT_OK; i++)
            status = give_slot(s, &banks->bank[b], first[b] + i, i, f, user);
    return status;
}

typedef struct {
    at_ctx *c;
    at_st_writer *w;
} writing;

static at_status add_tensor(void *user, const at_st_tensor *t, const at_st_tensor *part,
                            int64_t parts) {
    const writing *o = user;
    (void)parts;
    return at_st_writer_add(o->c, o->w, t->name, t->dtype, t->rank, t->dim, part->data);
}

at_status at_member_write(at_ctx *c, const at_store *s, const at_banks *banks, const int64_t *first,
                          const int64_t *n, const char *path, const char *const *meta) {
    at_st_writer *w = NULL;
    at_status status = at_st_writer_open(c, path, &w);
    for (; status == AT_OK && meta && meta[0]; meta += 2)
        status = at_st_writer_meta(c, w, meta[0], meta[1]);
    if (status == AT_OK) status = at_member_each(s, banks, first, n, add_tensor, &(writing){c, w});
    if (status == AT_OK) status = at_st_writer_commit(c, w);
    at_st_writer_close(w);
    return status;
}

/* ---- who is asked ----------------------------------------------------------------------------------- */

uint64_t at_members_mask(const at_members *l, const bool *use) {
    uint64_t mask = 1;
    for (int i = 0; i < l->n; i++)
        if (!use || use[i]) mask |= UINT64_C(2) << i;
    return mask;
}

at_status at_members_check(at_ctx *c, const at_members *l, const at_banks *banks, uint64_t mask,
                           const char *where) {
    for (int64_t b = 0; mask && b < banks->n; b++) {
        const at_bank *x = &banks->bank[b];
        int64_t left = x->n;
        for (int i = 0; i < l->n; i++)
            if (!(mask >> (i + 1) & 1)) left -= at_member_slots(&l->item[i], x->id);
        if (left < x->k)
            return at_error(c, AT_ARG,
                            "%s: in the %s bank of layer %lld a token uses %lld slots, but without "
                            "the modules left out only %lld are there",
                            where, at_layer_kind_name[x->id.kind], (long long)x->id.layer,
                            (long long)x->k, (long long)left);
    }
    return AT_OK;
}
