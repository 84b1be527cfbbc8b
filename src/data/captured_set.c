/* captured_set.c - manifest.json of captured logits and the files it names. */
#include "data/captured_set.h"
#include "base/json.h"
#include <string.h>

#define FORMAT   "artel-logits"
#define MANIFEST "manifest.json"

char *at_captured_path(at_ctx *c, const char *dir, const char *domain, at_split split) {
    char leaf[AT_CAPTURED_NAME + 40];
    (void)snprintf(leaf, sizeof leaf, "%s.%s.logits", domain, at_split_name[split]);
    return at_join(c, dir, leaf);
}

/* ---- writing ---- */

static void put_domains(at_json *j, const at_captured_plan *plan, int n) {
    at_json_begin_list(j, "domains");
    for (int i = 0; i < n; i++) {
        char shard[20];
        (void)snprintf(shard, sizeof shard, "%016llx", (unsigned long long)plan[i].shard);
        at_json_begin_object(j, NULL);
        at_json_put_string(j, "name", plan[i].domain);
        at_json_put_number(j, "tokens", (double)(plan[i].windows * plan[i].context));
        at_json_put_number(j, "bytes", at_captured_bytes(&plan[i]));
        at_json_put_string(j, "shard", shard);
        at_json_end(j);
    }
    at_json_end(j);
}

at_status at_captured_manifest(at_ctx *c, const char *dir, const at_captured_plan *plan, int n,
                               const at_captured_summary *more) {
    char *path = at_join(c, dir, MANIFEST);
    at_json j;
    if (!path) return c->status;
    at_json_open_file(&j, c);
    at_json_put_string(&j, "format", FORMAT);
    at_json_put_number(&j, "version", 1);
    at_json_begin_object(&j, "teacher");
    at_json_put_string(&j, "path", more->teacher);
    at_json_put_string(&j, "digest", plan->teacher);
    at_json_end(&j);
    at_json_begin_object(&j, "tokenizer");
    at_json_put_string(&j, "sha256", plan->tokenizer);
    at_json_put_number(&j, "vocab", (double)plan->vocab);
    at_json_end(&j);
    at_json_put_string(&j, "data", more->data);
    at_json_put_string(&j, "split", at_split_name[plan->split]);
    at_json_put_number(&j, "context", (double)plan->context);
    at_json_put_number(&j, "top_k", (double)plan->n);
    at_json_put_number(&j, "bits", plan->bits);
    at_json_put_numbers(&j, "temperatures", plan->tau, plan->n_tau);
    at_json_put_numbers(&j, "left", more->left, plan->n_tau);
    at_json_put_string(&j, "arithmetic", more->arithmetic);
    put_domains(&j, plan, n);
    const at_status s = at_json_save(&j, path);
    at_free(path);
    return s;
}

/* ---- reading ---- */

bool at_captured_is(at_ctx *c, const char *dir) {
    bool is = false;
    at_list names = {0};
    at_ctx quiet = *c;
    quiet.fail_after = 0;
    if (!at_is_dir(dir) || at_list_names(&quiet, dir, &names) != AT_OK) return false;
    for (int64_t i = 0; i < names.n; i++) is |= strstr(names.item[i], ".logits") != NULL;
    at_list_free(&names);
    return is;
}

static at_status read_manifest(at_ctx *c, const char *path, at_captured *s, const cJSON **domains,
                               const cJSON *m) {
    const char *format, *teacher;
    const cJSON *about;
    int64_t version;
    at_status st = at_json_string(c, path, m, "format", &format);
    if (st == AT_OK && strcmp(format, FORMAT) != 0)
        st =
            at_error(c, AT_FORMAT, "%s: field \"format\": expected \"" FORMAT "\", found \"%.80s\"",
                     path, format);
    if (st == AT_OK) st = at_json_int(c, path, m, "version", 1, 1, &version);
    if (st == AT_OK) st = at_json_object(c, path, m, "teacher", &about);
    if (st == AT_OK) st = at_json_string(c, path, about, "path", &teacher);
    if (st == AT_OK && !(s->teacher = at_strdup(c, teacher))) st = c->status;
    if (st == AT_OK) st = at_json_array(c, path, m, "domains", domains);
    return st;
}

static at_status read_split(at_ctx *c, const char *manifest, const cJSON *m, at_split *out) {
    const char *split;
    const at_status st = at_json_string(c, manifest, m, "split", &split);
    if (st != AT_OK) return st;
    for (int k = 0; k < AT_SPLITS; k++)
        if (!strcmp(split, at_split_name[k])) {
            *out = (at_split)k;
            return AT_OK;
        }
    return at_error(c, AT_FORMAT, "%s: field \"split\": found \"%.40s\"", manifest, split);
}

static bool same_settings(const at_captured_plan *a, const at_captured_plan *b) {
    return a->bits == b->bits && a->n_tau == b->n_tau && a->split == b->split && a->n == b->n &&
           a->vocab == b->vocab && a->context == b->context &&
           !memcmp(a->tau, b->tau, sizeof a->tau) && !strcmp(a->teacher, b->teacher) &&
           !strcmp(a->tokenizer, b->tokenizer);
}

/* The file of a domain that the data set has, too. */
static at_status open_file(at_ctx *c, at_captured *s, const at_dataset *d, int i, at_split split) {
    at_captured_file *f = &s->file[i];
    char *path = at_captured_path(c, s->path, d->domain[i].name, split);
    at_status st = path ? at_captured_open(c, path, f) : c->status;
    at_free(path);
    if (st != AT_OK) return st;
    const at_captured_plan *p = &f->plan;
    if (strcmp(p->tokenizer, d->tokenizer_hash) != 0 || p->vocab != d->vocab)
        return at_error(
            c, AT_MISMATCH,
            "%s: captured with tokenizer %.12s of %lld ids, but %s was made with %.12s of "
            "%lld: logits can only be compared over the same vocabulary",
            f->path, p->tokenizer, (long long)p->vocab, d->path, d->tokenizer_hash,
            (long long)d->vocab);
    const int64_t tokens = d->domain[i].shard[split].n_tokens;
    if (strcmp(p->domain, d->domain[i].name) != 0 || p->split != split ||
        p->shard != at_dataset_sum(d, i, split) ||
        p->windows != at_captured_windows(tokens, p->context))
        return at_error(
            c, AT_MISMATCH,
            "%s: captured over other text than the %s split of \"%s\" in %s; capture it "
            "again",
            f->path, at_split_name[split], d->domain[i].name, d->path);
    if (!s->plan.n) s->plan = *p;
    if (same_settings(&s->plan, p)) return AT_OK;
    return at_error(c, AT_MISMATCH, "%s: of another capture than the files beside it", f->path);
}

static at_status open_files(at_ctx *c, at_captured *s, const at_dataset *d, const cJSON *m,
                            const char *manifest, const cJSON *domains) {
    const char *name = NULL;
    at_split split = AT_TRAIN;
    at_status st = read_split(c, manifest, m, &split);
    const cJSON *e = NULL;
    cJSON_ArrayForEach(e, domains) {
        if (st == AT_OK) st = at_json_string(c, manifest, e, "name", &name);
        const int i = st == AT_OK ? at_dataset_domain(d, name) : -1;
        if (i >= 0 && !s->file[i].path) st = open_file(c, s, d, i, split);
    }
    if (st == AT_OK && !s->plan.n)
        st = at_error(c, AT_MISMATCH, "%s: none of its domains is in the data set %s", manifest,
                      d->path);
    return st;
}

/* ---- checking ---- */

/* Every window of a file, which must be as the manifest has it. */
static at_status check_file(at_ctx *c, const char *dir, const char *manifest, const cJSON *m,
                            const cJSON *entry, at_split split) {
    const cJSON *teacher;
    const char *name, *digest;
    int64_t tokens, context, top;
    at_captured_file f;
    at_status st = at_json_string(c, manifest, entry, "name", &name);
    if (st == AT_OK && !at_name_ok(name))
        st = at_error(c, AT_FORMAT, "%s: field \"name\": found \"%.80s\"", manifest, name);
    if (st == AT_OK) st = at_json_int(c, manifest, entry, "tokens", 0, INT64_MAX, &tokens);
    if (st == AT_OK) st = at_json_int(c, manifest, m, "context", 1, INT32_MAX, &context);
    if (st == AT_OK) st = at_json_int(c, manifest, m, "top_k", 1, INT32_MAX, &top);
    if (st == AT_OK) st = at_json_object(c, manifest, m, "teacher", &teacher);
    if (st == AT_OK) st = at_json_string(c, manifest, teacher, "digest", &digest);
    char *path = st == AT_OK ? at_captured_path(c, dir, name, split) : NULL;
    if (st == AT_OK) st = path ? at_captured_open(c, path, &f) : c->status;
    at_free(path);
    if (st != AT_OK) return st;
    const at_captured_plan *p = &f.plan;
    if (p->context != context || p->n != top || p->windows * p->context != tokens ||
        strcmp(p->teacher, digest) != 0 || strcmp(p->domain, name) != 0 || p->split != split)
        st = at_error(c, AT_FORMAT, "%s: is not what %s says of it", f.path, manifest);
    const int64_t bytes = at_captured_window_bytes(p);
    for (int64_t w = 0; w < p->windows && st == AT_OK; w++)
        if (!at_captured_window_ok(p, f.check, w, f.map.data + AT_CAPTURED_HEAD + w * bytes))
            st = at_error(c, AT_FORMAT, "%s: altered: the checksum of window %lld does not hold",
                          f.path, (long long)w);
    at_captured_close(&f);
    return st;
}

at_status at_captured_set_check(at_ctx *c, const char *dir) {
    char *manifest = at_join(c, dir, MANIFEST);
    cJSON *m = manifest ? at_json_read(c, manifest) : NULL;
    at_captured s = {0};
    const cJSON *domains = NULL, *e = NULL;
    at_split split = AT_TRAIN;
    at_status st = m ? read_manifest(c, manifest, &s, &domains, m) : c->status;
    if (st == AT_OK) st = read_split(c, manifest, m, &split);
    cJSON_ArrayForEach(e, domains) {
        if (st == AT_OK) st = check_file(c, dir, manifest, m, e, split);
    }
    at_free(s.teacher);
    cJSON_Delete(m);
    at_free(manifest);
    return st;
}

/* ---- a data set's ---- */

at_status at_captured_set_open(at_ctx *c, const char *dir, const at_dataset *d, at_captured **out) {
    *out = NULL;
    char *manifest = at_join(c, dir, MANIFEST);
    at_captured *s = at_calloc(c, 1, sizeof *s);
    const cJSON *domains = NULL;
    cJSON *m = NULL;
    at_status st = manifest && s ? AT_OK : c->status;
    if (st == AT_OK) {
        s->n_domains = d->n_domains;
        s->path = at_strdup(c, dir);
        s->file = at_calloc(c, (size_t)d->n_domains, sizeof *s->file);
        if (!s->path || !s->file) st = c->status;
    }
    if (st == AT_OK && !at_exists(manifest))
        st = at_error(c, AT_CONFIG,
                      "%s: the capture was not finished (no " MANIFEST
                      "); the same `artel capture` goes on with it",
                      dir);
    if (st == AT_OK && !(m = at_json_read(c, manifest))) st = c->status;
    if (st == AT_OK) st = read_manifest(c, manifest, s, &domains, m);
    if (st == AT_OK) st = open_files(c, s, d, m, manifest, domains);
    cJSON_Delete(m);
    at_free(manifest);
    if (st == AT_OK)
        *out = s;
    else
        at_captured_set_close(s);
    return st;
}

void at_captured_set_close(at_captured *s) {
    if (!s) return;
    for (int i = 0; s->file && i < s->n_domains; i++) at_captured_close(&s->file[i]);
    at_free(s->file);
    at_free(s->path);
    at_free(s->teacher);
    at_free(s);
}
