/* probe_lm.c - passes over the same windows: one as the model is, one without each slot. */
#include "infer/probe_lm.h"
#include "base/clock.h"
#include "base/maths.h"
#include "data/batch.h"
#include <math.h>

typedef struct {
    at_compute *cp;
    at_arena arena;
    at_model *m;
    const at_dataset *d;
    at_split split;
    at_lm_probe *out;
    int32_t *window;      /* [context + 1] */
    at_head_report *each; /* [context] of the tokens of a window */
    int32_t **first;      /* [banks of out] the most probable expert of each of them, [context] */
    at_usage usage;
    double began;
    int64_t done, all; /* passes over all windows */
} probing;

static at_probed_bank *bank_of(const at_lm_probe *p, at_router_id id, int64_t *at) {
    for (int64_t i = 0; i < p->n; i++)
        if (p->bank[i].id.layer == id.layer && p->bank[i].id.kind == id.kind) {
            if (at) *at = i;
            return &p->bank[i];
        }
    return NULL;
}

static void see(void *user, at_run *r, at_router_id id, const at_routing *ro) {
    const probing *p = user;
    int64_t at;
    (void)r;
    if (!bank_of(p->out, id, &at)) return;
    for (int64_t i = 0; i < ro->n; i++) p->first[at][i] = ro->pick[i * ro->k];
}

static void experts(void *user, at_run *r, at_router_id id, const at_tensor *x,
                    const at_tensor *gates) {
    const probing *p = user;
    at_probed_bank *b = bank_of(p->out, id, NULL);
    const int64_t k = x->dim[1], c = x->dim[2];
    (void)r;
    (void)gates;
    for (int64_t i = 0; b && k > 1 && i < x->dim[0]; i++)
        for (int64_t t = 0; t < c; t++) {
            const at_real *v = x->data + i * k * c + t;
            double mean = 0;
            for (int64_t j = 0; j < k; j++) mean += (double)v[j * c] / (double)k;
            for (int64_t j = 0; j < k; j++) {
                b->off += ((double)v[j * c] - mean) * ((double)v[j * c] - mean);
                b->size += (double)v[j * c] * (double)v[j * c];
            }
        }
}

/* Losses of the tokens to the domains of all banks. */
static void share_out(const probing *p, int64_t n) {
    for (int64_t b = 0; b < p->out->n; b++)
        for (int64_t i = 0; i < n; i++) {
            at_probed_slot *s = &p->out->bank[b].slot[p->first[b][i]];
            s->tokens++;
            s->loss += p->each[i].ce;
        }
}

/* A window of n tokens, of which n - 1 are predicted; watched: token by token. */
static at_status window(probing *p, int64_t n, bool watched, double *nats) {
    const at_watch watch = {.see = see, .experts = experts, .user = p};
    const at_input in = {.ids = p->window, .B = 1, .T = n - 1};
    at_head_report whole = {0};
    const at_readout what = {
        .label = p->window + 1, .parts = watched ? n - 1 : 1, .report = watched ? p->each : &whole};
    at_pass pass = {.watch = watched ? &watch : NULL, .usage = watched ? &p->usage : NULL};
    const at_status s = at_model_read(p->cp, &p->arena, p->m, &in, &pass, &what);
    if (s != AT_OK) return s;
    *nats += whole.ce * (double)whole.n_labels;
    for (int64_t i = 0; watched && i < n - 1; i++) *nats += p->each[i].ce;
    if (watched) share_out(p, n - 1);
    return AT_OK;
}

/* The loss over all windows; watched: all that is counted besides. */
static at_status pass(probing *p, bool watched, double *loss) {
    at_ctx *c = p->cp->ctx;
    at_lm_probe *o = p->out;
    double sum = 0;
    int64_t tokens = 0;
    at_status s = AT_OK;
    for (int64_t i = 0; i < p->d->n_domains && s == AT_OK; i++) {
        const at_shard *shard = &p->d->domain[i].shard[p->split];
        const int64_t n = shard->n_tokens < 2 ? 0 : at_eval_windows(shard, o->context, o->windows);
        for (int64_t w = 0; w < n && s == AT_OK; w++) {
            int64_t start, len;
            double nats = 0;
            if (at_interrupted(c)) s = at_error(c, AT_INTERRUPTED, "interrupted");
            at_eval_window(shard, o->context, o->windows, w, &start, &len);
            if (s != AT_OK || len < 2) continue;
            at_shard_read(shard, start, len, p->window);
            s = at_dataset_error(c, p->d, window(p, len, watched, &nats));
            sum += nats;
            tokens += len - 1;
            if (!watched) continue;
            o->domain_loss[i] += nats;
            o->domain_tokens[i] += len - 1;
        }
    }
    if (s == AT_OK && !tokens)
        s = at_error(c, AT_ARG, "%s: the split %s is empty", p->d->path, at_split_name[p->split]);
    if (watched) o->tokens = tokens;
    *loss = sum / (double)tokens;
    p->done++;
    const double left = (at_now() - p->began) / (double)p->done * (double)(p->all - p->done);
    at_log(c, AT_LOG_PROGRESS, "probing: pass %lld of %lld  eta %d:%02d", (long long)p->done,
           (long long)p->all, (int)(left / 60), (int)left % 60);
    return s;
}

/* Without each slot that is open in turn; at most as many as are left are chosen.  Where one alone is open it
   cannot be missing. */
static at_status lessen(probing *p, at_bank *b, at_probed_bank *to) {
    const int64_t k = b->k, open = at_bank_open(b);
    at_status s = AT_OK;
    to->mean_without = open > 1 ? 0 : (double)NAN;
    to->worst_without = open > 1 ? -(double)INFINITY : (double)NAN;
    b->k = k < open - 1 || open < 2 ? k : open - 1;
    for (int64_t i = 0; i < b->n && s == AT_OK; i++) {
        to->slot[i].without = (double)NAN;
        if (open < 2 || !at_bank_is_open(b, i)) continue;
        s = at_bank_use(p->cp->ctx, b, i, AT_SLOT_EXCLUDED);
        if (s == AT_OK) s = pass(p, false, &to->slot[i].without);
        if (s == AT_OK) s = at_bank_use(p->cp->ctx, b, i, AT_SLOT_OPEN);
        to->mean_without += to->slot[i].without / (double)open;
        if (to->slot[i].without > to->worst_without) to->worst_without = to->slot[i].without;
    }
    b->k = k;
    return s;
}

static at_status open_banks(probing *p, const at_banks *banks) {
    at_ctx *c = p->cp->ctx;
    at_lm_probe *o = p->out;
    const size_t most = (size_t)banks->n;
    o->bank = at_calloc(c, most, sizeof *o->bank);
    p->first = at_calloc(c, most, sizeof *p->first);
    if (!o->bank || !p->first) return AT_OOM;
    for (int64_t i = 0; i < banks->n; i++) {
        const at_bank *b = &banks->bank[i];
        if (b->n < 2) continue;
        at_probed_bank *to = &o->bank[o->n];
        *to = (at_probed_bank){.id = b->id, .n = b->n, .k = b->k};
        to->slot = at_calloc(c, (size_t)b->n, sizeof *to->slot);
        p->first[o->n++] = at_calloc(c, (size_t)o->context, sizeof **p->first);
        if (!to->slot || !p->first[o->n - 1]) return AT_OOM;
        p->all += at_bank_open(b);
    }
    return AT_OK;
}

/* Sums become means. */
static at_status finish(probing *p) {
    at_lm_probe *o = p->out;
    for (int64_t i = 0; i < p->d->n_domains; i++)
        if (o->domain_tokens[i]) o->domain_loss[i] /= (double)o->domain_tokens[i];
    for (int64_t i = 0; i < o->n; i++) {
        at_probed_bank *b = &o->bank[i];
        const at_router_usage *u = at_usage_of(p->cp->ctx, &p->usage, b->id, b->n);
        int64_t most = 0;
        if (!u) return p->cp->ctx->status;
        for (int64_t j = 0; j < b->n; j++) {
            at_probed_slot *s = &b->slot[j];
            s->share = u->slots[j] / (double)(u->tokens * b->k);
            s->loss = s->tokens ? s->loss / (double)s->tokens : (double)NAN;
            most = s->tokens > most ? s->tokens : most;
            if (s->share > 0) b->load_entropy -= s->share * at_ln(s->share) / at_ln((double)b->n);
        }
        b->gate_entropy = u->entropy / (double)u->tokens / at_ln((double)b->n);
        b->largest = (double)most / (double)o->tokens;
        b->spread = b->size > 0 ? b->off / b->size : (double)NAN;
    }
    return AT_OK;
}

at_status at_lm_probe_measure(at_compute *cp, at_model *m, const at_dataset *d, at_split split,
                              at_lm_probe *out) {
    at_ctx *c = cp->ctx;
    const at_banks *banks = m->arch->banks ? m->arch->banks(m->impl) : NULL;
    if (!banks)
        return at_error(c, AT_UNSUPPORTED,
                        "%s: architecture %s has no mixture whose experts could "
                        "be asked",
                        m->path ? m->path : "the model", m->arch->name);
    if (out->context < 1 || out->context > m->dims.context) out->context = m->dims.context;
    probing p = {.cp = cp, .m = m, .d = d, .split = split, .out = out, .all = 1, .began = at_now()};
    const size_t domains = (size_t)d->n_domains, context = (size_t)out->context;
    at_arena_init(&p.arena, c);
    out->domains = d->n_domains;
    out->domain_loss = at_calloc(c, domains, sizeof *out->domain_loss);
    out->domain_tokens = at_calloc(c, domains, sizeof *out->domain_tokens);
    p.window = at_calloc(c, context + 1, sizeof *p.window);
    p.each = at_calloc(c, context, sizeof *p.each);
    at_status s = out->domain_loss && out->domain_tokens && p.window && p.each ? AT_OK : AT_OOM;
    if (s == AT_OK) s = open_banks(&p, banks);
    if (s == AT_OK && !out->n)
        s = at_error(c, AT_UNSUPPORTED, "%s: no layer has two or more experts",
                     m->path ? m->path : "the model");
    if (s == AT_OK) s = pass(&p, true, &out->loss);
    if (s == AT_OK) s = finish(&p);
    for (int64_t i = 0, at = 0; i < banks->n && s == AT_OK; i++)
        if (banks->bank[i].n > 1) s = lessen(&p, &banks->bank[i], &out->bank[at++]);
    for (int64_t i = 0; p.first && i < out->n; i++) at_free(p.first[i]);
    at_free(p.first);
    at_free(p.window);
    at_free(p.each);
    at_usage_close(&p.usage);
    at_arena_close(&p.arena);
    if (s != AT_OK) at_lm_probe_close(out);
    return s;
}

void at_lm_probe_close(at_lm_probe *p) {
    for (int64_t i = 0; i < p->n; i++) at_free(p->bank[i].slot);
    at_free(p->bank);
    at_free(p->domain_loss);
    at_free(p->domain_tokens);
    *p = (at_lm_probe){0};
}

/* ---- JSON ---- */

static void put(at_json *j, const char *key, double x) {
    if (isnan(x))
        at_json_put_null(j, key);
    else
        at_json_put_number(j, key, x);
}

static void write_bank(const at_lm_probe *p, const at_probed_bank *b, at_json *j) {
    at_json_begin_object(j, NULL);
    put(j, "layer", (double)b->id.layer);
    at_json_put_string(j, "kind", at_layer_kind_name[b->id.kind]);
    put(j, "experts", (double)b->n);
    put(j, "experts_a_token", (double)b->k);
    put(j, "gate_entropy", b->gate_entropy);
    put(j, "load_entropy", b->load_entropy);
    put(j, "largest_domain", b->largest);
    put(j, "spread", b->spread);
    put(j, "without_loss", b->mean_without);
    put(j, "worst_without_loss", b->worst_without);
    at_json_begin_list(j, "by_expert");
    for (int64_t i = 0; i < b->n; i++) {
        const at_probed_slot *s = &b->slot[i];
        at_json_begin_object(j, NULL);
        put(j, "share", s->share);
        put(j, "domain", (double)s->tokens / (double)p->tokens);
        put(j, "domain_loss", s->loss);
        put(j, "without_loss", s->without);
        at_json_end(j);
    }
    at_json_end(j);
    at_json_end(j);
}

void at_lm_probe_write(const at_lm_probe *p, const at_dataset *d, at_json *j) {
    put(j, "tokens", (double)p->tokens);
    put(j, "context", (double)p->context);
    put(j, "loss", p->loss);
    at_json_put_null(j, "recall");
    at_json_begin_list(j, "domains");
    for (int i = 0; i < d->n_domains; i++) {
        if (!p->domain_tokens[i]) continue;
        at_json_begin_object(j, NULL);
        at_json_put_string(j, "domain", d->domain[i].name);
        put(j, "tokens", (double)p->domain_tokens[i]);
        put(j, "loss", p->domain_loss[i]);
        at_json_end(j);
    }
    at_json_end(j);
    at_json_begin_list(j, "banks");
    for (int64_t i = 0; i < p->n; i++) write_bank(p, &p->bank[i], j);
    at_json_end(j);
}
