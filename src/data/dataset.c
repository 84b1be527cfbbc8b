/* dataset.c - manifest.json and the shards it names. */
#include "data/dataset.h"
#include "base/file.h"
#include "base/json.h"
#include <stdio.h>
#include <string.h>

const char *const at_split_name[AT_SPLITS] = {"train", "validation", "test"};

at_status at_split_find(at_ctx *c, const char *name, at_split *out) {
    for (int i = 0; i < AT_SPLITS; i++)
        if (!strcmp(name, at_split_name[i])) {
            *out = (at_split)i;
            return AT_OK;
        }
    return at_error(c, AT_ARG, "split `%s`: expected train, validation or test", name);
}

enum { DOMAINS_MAX = 64 };

typedef struct own {
    at_shard_file file[DOMAINS_MAX][AT_SPLITS];
    char *shard_path[DOMAINS_MAX][AT_SPLITS];
    char *text[2 * DOMAINS_MAX + 2]; /* names, tags, path, hash */
    at_domain *domain;               /* all, out-of-domain sets last */
    int n_domains;
    int n_text;
} own;

static const char *keep(at_ctx *c, own *o, const char *s) {
    return o->text[o->n_text++] = at_strdup(c, s);
}

void at_dataset_close(at_dataset *d) {
    if (!d) return;
    own *o = d->own;
    for (int i = 0; o && i < DOMAINS_MAX; i++)
        for (int k = 0; k < AT_SPLITS; k++) {
            at_shard_close(&o->file[i][k]);
            at_free(o->shard_path[i][k]);
        }
    for (int i = 0; o && i < o->n_text; i++) at_free(o->text[i]);
    at_free(o ? o->domain : NULL);
    at_free(o);
    at_free(d);
}

static at_status shard_load(at_ctx *c, at_dataset *d, const char *manifest, const cJSON *splits,
                            int domain, int split, bool ood) {
    own *o = d->own;
    const char *name = o->domain[domain].name;
    const cJSON *entry;
    int64_t tokens, documents;
    at_status s = at_json_object(c, manifest, splits, at_split_name[split], &entry);
    if (!s) s = at_json_int(c, manifest, entry, "tokens", 0, INT64_MAX, &tokens);
    if (!s) s = at_json_int(c, manifest, entry, "documents", 0, INT64_MAX, &documents);
    if (s) return s;
    char leaf[128];
    (void)snprintf(leaf, sizeof leaf, "%s.%s.bin", name, ood ? "ood" : at_split_name[split]);
    char *path = o->shard_path[domain][split] = at_join(c, d->path, leaf);
    if (!path) return c->status;
    at_shard_file *f = &o->file[domain][split];
    if ((s = at_shard_open(c, path, f))) return s;
    if (f->view.n_tokens != tokens || f->view.n_docs != documents)
        return at_error(
            c, AT_MISMATCH,
            "%s: the manifest names %lld tokens in %lld documents, the shard holds %lld "
            "in %lld",
            path, (long long)tokens, (long long)documents, (long long)f->view.n_tokens,
            (long long)f->view.n_docs);
    if (strcmp(f->tokenizer, d->tokenizer_hash) != 0 || f->vocab != d->vocab)
        return at_error(
            c, AT_MISMATCH,
            "%s: made with tokenizer %.12s of %lld ids, the manifest names %.12s of %lld", path,
            f->tokenizer, (long long)f->vocab, d->tokenizer_hash, (long long)d->vocab);
    o->domain[domain].shard[split] = f->view;
    return AT_OK;
}

static at_status domain_load(at_ctx *c, at_dataset *d, const char *manifest, const cJSON *entry,
                             bool ood) {
    own *o = d->own;
    const char *name, *tag = NULL;
    const cJSON *splits;
    at_status s = at_json_string(c, manifest, entry, "name", &name);
    if (s) return s;
    if (!at_name_ok(name))
        return at_error(c, AT_FORMAT,
                        "%s: a domain name is made of letters, digits and ._-+, found \"%.80s\"",
                        manifest, name);
    for (int i = 0; i < o->n_domains; i++)
        if (strcmp(o->domain[i].name, name) == 0)
            return at_error(c, AT_FORMAT, "%s: domain \"%s\" appears twice", manifest, name);
    const int i = o->n_domains;
    if (!(o->domain[i].name = keep(c, o, name))) return c->status;
    o->n_domains++;
    o->domain[i].pairs = cJSON_IsTrue(cJSON_GetObjectItemCaseSensitive(entry, "pairs"));
    if (cJSON_HasObjectItem(entry, "tag")) s = at_json_string(c, manifest, entry, "tag", &tag);
    if (!s && tag && !(o->domain[i].tag = keep(c, o, tag))) s = c->status;
    if (!s) s = at_json_object(c, manifest, entry, "splits", &splits);
    for (int k = ood ? AT_TEST : 0; !s && k < AT_SPLITS; k++)
        s = shard_load(c, d, manifest, splits, i, k, ood);
    return s;
}

static at_status lists_load(at_ctx *c, at_dataset *d, const char *manifest, const cJSON *domains,
                            const cJSON *ood) {
    own *o = d->own;
    const int n = cJSON_GetArraySize(domains), others = ood ? cJSON_GetArraySize(ood) : 0;
    if (n < 1 || n > DOMAINS_MAX || others > DOMAINS_MAX - n)
        return at_error(c, AT_FORMAT, "%s: expected 1 to %d domains, found %d", manifest,
                        DOMAINS_MAX, n + others);
    o->domain = at_calloc(c, (size_t)(n + others), sizeof *o->domain);
    if (!o->domain) return c->status;
    at_status s = AT_OK;
    const cJSON *entry;
    cJSON_ArrayForEach(entry, domains) if (!s) s = domain_load(c, d, manifest, entry, false);
    cJSON_ArrayForEach(entry, ood) if (!s) s = domain_load(c, d, manifest, entry, true);
    d->domain = o->domain;
    d->n_domains = n;
    d->ood = o->domain + n;
    d->n_ood = others;
    return s;
}

static at_status manifest_load(at_ctx *c, at_dataset *d, const char *path, const cJSON *m) {
    const char *format, *hash;
    int64_t version;
    const cJSON *tokenizer, *domains, *ood = NULL;
    at_status s = at_json_string(c, path, m, "format", &format);
    if (!s && strcmp(format, "artel-data") != 0)
        s = at_error(c, AT_FORMAT, "%s: field \"format\": expected \"artel-data\", found \"%.80s\"",
                     path, format);
    if (!s) s = at_json_int(c, path, m, "version", 1, 1, &version);
    if (!s) s = at_json_object(c, path, m, "tokenizer", &tokenizer);
    if (!s) s = at_json_string(c, path, tokenizer, "sha256", &hash);
    if (!s) s = at_json_int(c, path, tokenizer, "vocab", 1, INT32_MAX, &d->vocab);
    if (!s && strlen(hash) != AT_HASH_HEX)
        s = at_error(c, AT_FORMAT, "%s: field \"sha256\": expected %d hex digits, found %zu", path,
                     AT_HASH_HEX, strlen(hash));
    if (!s && !(d->tokenizer_hash = keep(c, d->own, hash))) s = c->status;
    if (!s) s = at_json_array(c, path, m, "domains", &domains);
    if (!s && (ood = cJSON_GetObjectItemCaseSensitive(m, "ood"))) /* only where there are some */
        s = at_json_array(c, path, m, "ood", &ood);
    return s ? s : lists_load(c, d, path, domains, ood);
}

at_status at_dataset_open(at_ctx *c, const char *path, at_dataset **out) {
    *out = NULL;
    char *manifest = at_join(c, path, "manifest.json");
    at_dataset *d = at_calloc(c, 1, sizeof *d);
    if (d) d->own = at_calloc(c, 1, sizeof(own));
    if (!manifest || !d || !d->own || !(d->path = keep(c, d->own, path))) {
        at_free(manifest);
        at_dataset_close(d);
        return c->status;
    }
    at_status s = AT_OK;
    cJSON *m = NULL;
    if (!at_exists(path))
        s = at_error(c, AT_IO, "%s: no such data set folder", path);
    else if (!at_exists(manifest))
        s = at_error(c, AT_FORMAT, "%s: not a data set: it has no manifest.json", path);
    else if (!(m = at_json_read(c, manifest)))
        s = c->status;
    else
        s = manifest_load(c, d, manifest, m);
    cJSON_Delete(m);
    at_free(manifest);
    if (s)
        at_dataset_close(d);
    else
        *out = d;
    return s;
}

at_status at_dataset_check(at_ctx *c, const at_dataset *d) {
    const own *o = d->own;
    for (int i = 0; i < o->n_domains; i++)
        for (int k = 0; k < AT_SPLITS; k++) {
            if (!o->shard_path[i][k]) continue;
            const at_status s = at_shard_check(c, o->shard_path[i][k], &o->file[i][k]);
            if (s) return s;
        }
    return AT_OK;
}

at_status at_dataset_open_checked(at_ctx *c, const char *path, at_dataset **out) {
    at_status s = at_dataset_open(c, path, out);
    if (s) return s;
    int64_t bytes = 0;
    const own *o = (*out)->own;
    for (int i = 0; i < o->n_domains; i++)
        for (int k = 0; k < AT_SPLITS; k++) bytes += (int64_t)o->file[i][k].map.bytes;
    if (bytes <= AT_CHECK_BYTES) s = at_dataset_check(c, *out);
    if (s) {
        at_dataset_close(*out);
        *out = NULL;
    }
    return s;
}

at_status at_dataset_error(at_ctx *c, const at_dataset *d, at_status s) {
    if (s != AT_ARG) return s;
    (void)at_error_in(c, d->path);
    return c->status = AT_FORMAT;
}

at_status at_dataset_show(at_ctx *c, at_dataset *d, const char *split, at_split *out) {
    if (strcmp(split, "ood") != 0) return at_split_find(c, split, out);
    if (d->n_ood == 0)
        return at_error(c, AT_ARG, "%s: the data set was built without out-of-domain sets (--ood)",
                        d->path);
    d->domain = d->ood;
    d->n_domains = d->n_ood;
    *out = AT_TEST;
    return AT_OK;
}

uint64_t at_dataset_sum(const at_dataset *d, int domain, at_split split) {
    const own *o = d->own;
    return o ? o->file[domain][split].body : 0;
}

int at_dataset_domain(const at_dataset *d, const char *name) {
    for (int i = 0; i < d->n_domains; i++)
        if (strcmp(d->domain[i].name, name) == 0) return i;
    return -1;
}
