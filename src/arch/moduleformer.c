/*
 * moduleformer.c - ModuleFormer: every layer is a mixture of stick-breaking attention heads, then a
 * mixture of feed-forward experts (Shen et al. 2023, arXiv 2306.04640).
 *
 * Parameters have the names and the layout of the published checkpoints (experts stacked
 * [E, in, out]), so that these are used without conversion.  There are no position embeddings: the
 * order of tokens enters through the attention alone, and texts of any length can be read.
 *
 * Variants for comparison: softmax attention with rotary positions in place of stick-breaking; and
 * a mixture with a single expert is a plain layer without a router, so that with one expert
 * everywhere the model is dense.
 */
#include "arch/arch.h"
#include "arch/closed.h"
#include "arch/layer.h"
#include <stdio.h>
#include <string.h>

typedef struct {
    int64_t vocab_size, n_embd, n_layer, n_head, att_hidden, ffd_hidden, n_att_experts, k_att,
        n_mlp_experts, k_mlp, gating_size, block_size, history_length, sample_topk, bos_token_id,
        eos_token_id;
    int activation, norm, gate_type, aux_loss_type, att_func;
    double aux_loss_weight, layer_norm_epsilon, initializer_range, resid_pdrop, embd_pdrop,
        moe_pdrop, attn_pdrop, rope_theta;
    bool tie_word_embeddings, renormalise_gates, pre_norm, universal;
    at_ints att_experts_by_layer, mlp_experts_by_layer;
    at_strings closed_experts;
} config;

enum { GATE_MLP, GATE_LINEAR, GATE_GMM };
enum { AUX_MI, AUX_SWITCH };
enum { GELU_NEW = AT_GELU_TANH, GELU = AT_GELU_ERF, SWIGLU };
enum { NORM_LAYER, NORM_RMS };
enum { STICKBREAKING, SOFTMAX };
enum { LONGEST = 1 << 15 }; /* tokens; an arbitrary limit: the model has none */

#define AT(field) offsetof(config, field)
static const at_key keys[] = {
    {"vocab_size", AT_KEY_INT, AT(vocab_size), "0", 0, 1 << 24, NULL, "tokens; 0: the data's"},
    {"n_embd", AT_KEY_INT, AT(n_embd), "1024", 1, 1 << 16, NULL, "width"},
    {"n_layer", AT_KEY_INT, AT(n_layer), "24", 1, 1024, NULL, "blocks"},
    {"n_head", AT_KEY_INT, AT(n_head), "1", 1, 1024, NULL, "heads inside an attention expert"},
    {"att_hidden", AT_KEY_INT, AT(att_hidden), "1024", 1, 1 << 16, NULL,
     "width of an attention expert, all its heads together"},
    {"ffd_hidden", AT_KEY_INT, AT(ffd_hidden), "2048", 1, 1 << 18, NULL,
     "hidden width of a feed-forward expert"},
    {"n_att_experts", AT_KEY_INT, AT(n_att_experts), "16", 1, 65536, NULL, "attention experts"},
    {"k_att", AT_KEY_INT, AT(k_att), "2", 1, 65536, NULL, "attention experts a token uses"},
    {"n_mlp_experts", AT_KEY_INT, AT(n_mlp_experts), "32", 1, 65536, NULL, "feed-forward experts"},
    {"k_mlp", AT_KEY_INT, AT(k_mlp), "2", 1, 65536, NULL, "feed-forward experts a token uses"},
    {"att_experts_by_layer", AT_KEY_INTS, AT(att_experts_by_layer), "", 1, 65536, NULL,
     "attention experts of each layer, where they differ, in place of n_att_experts"},
    {"mlp_experts_by_layer", AT_KEY_INTS, AT(mlp_experts_by_layer), "", 1, 65536, NULL,
     "feed-forward experts of each layer, in place of n_mlp_experts"},
    {"closed_experts", AT_KEY_STRINGS, AT(closed_experts), "", 0, 0, NULL,
     "experts that are not there and not chosen, though routers count them, as feed_forward.2.5"},
    {"gate_type", AT_KEY_CHOICE, AT(gate_type), "mlp", 0, 0, "mlp|linear|gmm",
     "router: two layers, one, or cosines with a centroid an expert"},
    {"gating_size", AT_KEY_INT, AT(gating_size), "256", 1, 1 << 16, NULL,
     "hidden width of the router"},
    {"renormalise_gates", AT_KEY_BOOL, AT(renormalise_gates), "false", 0, 0, NULL,
     "divide the gates of the chosen experts by their sum"},
    {"aux_loss_type", AT_KEY_CHOICE, AT(aux_loss_type), "mi", 0, 0, "mi|switch",
     "auxiliary loss of training where a recipe names none: mutual information, or load balance "
     "with 0.1 z-loss"},
    {"aux_loss_weight", AT_KEY_REAL, AT(aux_loss_weight), "0", 0, 1e6, NULL,
     "of the sum over all routers"},
    {"activation_function", AT_KEY_CHOICE, AT(activation), "gelu_new", 0, 0, "gelu_new|gelu|swiglu",
     "of the feed-forward experts; swiglu doubles their first matrix"},
    {"norm", AT_KEY_CHOICE, AT(norm), "layer", 0, 0, "layer|rms",
     "before each branch and the output"},
    {"layer_norm_epsilon", AT_KEY_REAL, AT(layer_norm_epsilon), "1e-5", 1e-12, 1, NULL,
     "added to the variance"},
    {"initializer_range", AT_KEY_REAL, AT(initializer_range), "0.02", 0, 10, NULL,
     "standard deviation of fresh weights; experts are uniform within 1/(their input width)"},
    {"resid_pdrop", AT_KEY_REAL, AT(resid_pdrop), "0", 0, 0.99, NULL, "dropout of each branch"},
    {"embd_pdrop", AT_KEY_REAL, AT(embd_pdrop), "0", 0, 0.99, NULL, "dropout of the embedding"},
    {"moe_pdrop", AT_KEY_REAL, AT(moe_pdrop), "0", 0, 0.99, NULL, "dropout inside an mlp router"},
    {"attn_pdrop", AT_KEY_REAL, AT(attn_pdrop), "0", 0, 0.99, NULL,
     "kept for other programs; the authors' code applies it nowhere"},
    {"tie_word_embeddings", AT_KEY_BOOL, AT(tie_word_embeddings), "false", 0, 0, NULL,
     "the output uses the input embedding"},
    {"block_size", AT_KEY_INT, AT(block_size), "512", 1, 1 << 20, NULL,
     "tokens of a block in the authors' training; kept for other programs"},
    {"history_length", AT_KEY_INT, AT(history_length), "512", 0, 1 << 20, NULL,
     "tokens before the block in the authors' training; kept for other programs, see "
     "train.history"},
    {"sample_topk", AT_KEY_INT, AT(sample_topk), "0", 0, 65536, NULL,
     "of the experts a token uses, so many are drawn at random in training"},
    {"att_func", AT_KEY_CHOICE, AT(att_func), "stickbreaking", 0, 0, "stickbreaking|softmax",
     "kind of attention; softmax has rotary positions, which stick-breaking does without"},
    {"rope_theta", AT_KEY_REAL, AT(rope_theta), "10000", 1, 1e12, NULL,
     "of rotary positions: the slowest pair of a head turns about 1/theta a token"},
    {"pre_norm", AT_KEY_BOOL, AT(pre_norm), "true", 0, 0, NULL, "only true is supported"},
    {"universal", AT_KEY_BOOL, AT(universal), "false", 0, 0, NULL,
     "one block for all layers; only false is supported"},
    {"bos_token_id", AT_KEY_INT, AT(bos_token_id), "-1", -1, 1 << 24, NULL,
     "token a text begins with; -1: none"},
    {"eos_token_id", AT_KEY_INT, AT(eos_token_id), "-1", -1, 1 << 24, NULL,
     "token a text ends with; -1: the tokenizer's"},
    {0},
};

static bool is_attention(at_layer_kind kind) { return kind == AT_LAYER_ATTENTION; }
static int64_t chosen(const config *c, at_layer_kind kind) {
    return is_attention(kind) ? c->k_att : c->k_mlp;
}
static int64_t experts_of(const config *c, at_router_id id) {
    const at_ints *by = is_attention(id.kind) ? &c->att_experts_by_layer : &c->mlp_experts_by_layer;
    if (by->n) return by->item[id.layer];
    return is_attention(id.kind) ? c->n_att_experts : c->n_mlp_experts;
}

/* Whether a layer of this kind has a router. */
static bool is_routed(const config *c, at_layer_kind kind) {
    bool any = false;
    for (int64_t i = 0; i < c->n_layer; i++) any |= experts_of(c, (at_router_id){i, kind}) > 1;
    return any;
}

/* Every layer has the experts that a token chooses. */
static at_status check_experts(at_ctx *c, const at_conf *f, const char *section, const config *g,
                               at_layer_kind kind) {
    const char *const name[2][3] = {{"n_att_experts", "att_experts_by_layer", "k_att"},
                                    {"n_mlp_experts", "mlp_experts_by_layer", "k_mlp"}};
    const char *const *key = name[kind];
    const at_ints *by = is_attention(kind) ? &g->att_experts_by_layer : &g->mlp_experts_by_layer;
    const long long k = chosen(g, kind);
    char path[128];
    (void)snprintf(path, sizeof path, "%s%s%s", section, *section ? "." : "", key[by->n ? 1 : 2]);
    if (by->n && by->n != g->n_layer)
        return at_conf_error(c, f, path, "expected a number for each of n_layer = %lld, found %lld",
                             (long long)g->n_layer, (long long)by->n);
    for (int64_t i = 0; i < g->n_layer; i++) {
        const long long n = experts_of(g, (at_router_id){i, kind});
        if (k > n && by->n)
            return at_conf_error(c, f, path, "layer %lld has %lld experts, but %s = %lld",
                                 (long long)i, n, key[2], k);
        if (k > n)
            return at_conf_error(c, f, path, "%lld experts a token, but %s = %lld", k, key[0], n);
    }
    return AT_OK;
}

static at_bank_size size_of(const void *cfg, at_router_id id) {
    return (at_bank_size){experts_of(cfg, id), chosen(cfg, id.kind)};
}

static at_status check_closed(at_ctx *c, const at_conf *f, const char *section, const config *g) {
    char path[128];
    (void)snprintf(path, sizeof path, "%s%sclosed_experts", section, *section ? "." : "");
    return at_closed_check(c, f, path, &g->closed_experts, g->n_layer, size_of, g);
}

static at_status check(at_ctx *c, const at_conf *f, const char *section, const void *cfg) {
    const config *g = cfg;
    char path[128];
#define REFUSE(key, ...)                                                                \
    do {                                                                                \
        (void)snprintf(path, sizeof path, "%s%s%s", section, *section ? "." : "", key); \
        return at_conf_error(c, f, path, __VA_ARGS__);                                  \
    } while (0)
    if (g->att_hidden % g->n_head)
        REFUSE("n_head", "att_hidden = %lld is not a multiple of n_head = %lld",
               (long long)g->att_hidden, (long long)g->n_head);
    at_status s = check_experts(c, f, section, g, AT_LAYER_ATTENTION);
    if (s == AT_OK) s = check_experts(c, f, section, g, AT_LAYER_FEED_FORWARD);
    if (s == AT_OK) s = check_closed(c, f, section, g);
    if (s != AT_OK) return s;
    if (g->att_func == SOFTMAX && g->att_hidden / g->n_head % 2)
        REFUSE("att_hidden", "heads of %lld values have no pairs for rotary positions",
               (long long)(g->att_hidden / g->n_head));
    if ((is_routed(g, AT_LAYER_ATTENTION) && g->sample_topk > g->k_att) ||
        (is_routed(g, AT_LAYER_FEED_FORWARD) && g->sample_topk > g->k_mlp))
        REFUSE("sample_topk", "%lld experts drawn, but k_att = %lld and k_mlp = %lld",
               (long long)g->sample_topk, (long long)g->k_att, (long long)g->k_mlp);
    if (!g->pre_norm) REFUSE("pre_norm", "only true is supported");
    if (g->universal) REFUSE("universal", "only false is supported");
#undef REFUSE
    return AT_OK;
}

/* A bank and its router, of which the rows are the bank's: [E, R], centroids for gmm; linear: [E, C]. */
typedef struct {
    at_bank *bank;    /* parts IN and OUT: [E, C, F], swiglu [E, C, 2 F]; [E, F, C] */
    at_affine hidden; /* [R, C]; none of a linear router                            */
    at_tensor *temperature;
} mixture;
enum { IN, OUT, PARTS };
typedef struct {
    at_norm ln_1, ln_2;
    mixture attn, ffn;
    at_affine key, value; /* none where the hidden states are keys and values */
} block;
typedef struct {
    config c;
    at_tensor *wte, *head;
    at_norm ln_f;
    block *h;
    at_banks banks; /* of each block, attention first */
} moduleformer;

/* Whether hidden states are used as keys and values; the rule is the authors'. */
static bool identity_keys(const config *c) { return c->att_hidden == c->n_embd && c->n_head == 1; }

/* Root-mean-square norms have no shift. */
static at_norm norm_init(at_store *s, const config *c, const char *path) {
    return at_norm_init(s, path, c->n_embd, c->norm == NORM_LAYER);
}

static at_tensor *matrix(at_store *s, const char *path, const char *name, int64_t out, int64_t in,
                         double std) {
    return at_param(s, AT_INIT_NORMAL, std, 2, (int64_t[]){out, in}, "%s.%s.weight", path, name);
}

/* Weights are [out, in]. */
static at_affine linear_init(at_store *s, const char *path, const char *name, int64_t out,
                             int64_t in, double std) {
    char full[96];
    (void)snprintf(full, sizeof full, "%s.%s", path, name);
    return at_affine_init(s, full, out, in, out, std);
}

/* A part of every expert: experts.<i>.<part>, in files `name`. */
static at_stack *part_init(at_store *s, const char *path, const char *name, const char *part,
                           at_init init, double std, int rank, const int64_t *dim) {
    char whole[128], bank[96];
    (void)snprintf(whole, sizeof whole, "%s.%s", path, name);
    (void)snprintf(bank, sizeof bank, "%s.experts", path);
    return at_param_stack(s, init, std, rank, dim, (at_stack_names){whole, bank, part}, rank == 2);
}

static void router_init(at_store *s, const config *c, const char *path, mixture *m) {
    const double std = c->initializer_range;
    const int64_t C = c->n_embd, R = c->gating_size, one = 1, direct[2] = {m->bank->n, C},
                  rows[2] = {m->bank->n, R};
    const at_stack **row = &m->bank->row;
    if (c->gate_type == GATE_LINEAR) {
        *row = part_init(s, path, "gate.w_gate.0.weight", "row", AT_INIT_NORMAL, std, 2, direct);
    } else if (c->gate_type == GATE_MLP) {
        m->hidden = linear_init(s, path, "gate.w_gate.0", R, C, std);
        *row = part_init(s, path, "gate.w_gate.3.weight", "row", AT_INIT_NORMAL, std, 2, rows);
    } else {
        m->hidden.w = matrix(s, path, "gate.w_gate", R, C, std);
        *row = part_init(s, path, "gate.expert_centroids", "row", AT_INIT_NORMAL, 1, 2, rows);
        m->temperature = at_param(s, AT_INIT_ZERO, 0, 1, &one, "%s.gate.temperature", path);
    }
}

static mixture mixture_init(at_store *s, const config *c, const char *path, at_bank *bank,
                            at_router_id id) {
    const bool attention = is_attention(id.kind);
    const int64_t C = c->n_embd, F = attention ? c->att_hidden : c->ffd_hidden,
                  E = experts_of(c, id);
    const int64_t wide = !attention && c->activation == SWIGLU ? 2 * F : F;
    const int64_t in[3] = {E, C, wide}, out[3] = {E, F, C};
    mixture m = {.bank = bank};
    *bank = (at_bank){.id = id, .n = E, .k = chosen(c, id.kind), .parts = PARTS};
    bank->part[IN] =
        part_init(s, path, "experts.weight", "in", AT_INIT_UNIFORM, 1 / (double)C, 3, in);
    bank->part[OUT] =
        part_init(s, path, "output_experts.weight", "out", AT_INIT_UNIFORM, 1 / (double)F, 3, out);
    if (E > 1) router_init(s, c, path, &m);
    return m;
}

static void block_init(at_store *s, const config *c, int layer, block *b, at_bank *bank) {
    const double std = c->initializer_range;
    char path[64];
#define PATH(name) ((void)snprintf(path, sizeof path, "transformer.h.%d.%s", layer, name), path)
    b->ln_1 = norm_init(s, c, PATH("ln_1"));
    b->attn = mixture_init(s, c, PATH("attn.q_proj"), &bank[0],
                           (at_router_id){layer, AT_LAYER_ATTENTION});
    if (!identity_keys(c)) {
        b->key = linear_init(s, PATH("attn"), "k_proj", c->att_hidden, c->n_embd, std);
        b->value = linear_init(s, PATH("attn"), "v_proj", c->att_hidden, c->n_embd, std);
    }
    b->ln_2 = norm_init(s, c, PATH("ln_2"));
    b->ffn =
        mixture_init(s, c, PATH("mlpf"), &bank[1], (at_router_id){layer, AT_LAYER_FEED_FORWARD});
#undef PATH
}

static void moduleformer_close(void *model) {
    moduleformer *m = model;
    if (!m) return;
    at_banks_close(&m->banks);
    at_free(m->h);
    at_free(m);
}

static at_status moduleformer_trunk_init(at_store *s, const void *cfg, void **model) {
    const config *c = cfg;
    moduleformer *m = at_calloc(s->ctx, 1, sizeof *m);
    const size_t layers = (size_t)c->n_layer;
    if (!m || !(m->h = at_calloc(s->ctx, layers, sizeof *m->h)) ||
        !(m->banks.bank = at_calloc(s->ctx, 2 * layers, sizeof *m->banks.bank))) {
        moduleformer_close(m);
        return AT_OOM;
    }
    m->c = *c;
    m->banks.n = 2 * c->n_layer;
    for (int i = 0; i < c->n_layer; i++) block_init(s, c, i, &m->h[i], &m->banks.bank[2 * i]);
    m->ln_f = norm_init(s, c, "transformer.ln_f");
    if (s->status == AT_OK) s->status = at_closed_apply(s->ctx, &m->banks, &c->closed_experts);
    *model = m;
    return s->status;
}

static at_status moduleformer_init(at_store *s, const void *cfg, void **model) {
    const config *c = cfg;
    at_tensor *wte =
        at_words_init(s, "transformer.wte.weight", c->vocab_size, c->n_embd, c->initializer_range);
    const at_status status = moduleformer_trunk_init(s, cfg, model);
    if (status != AT_OK) return status;
    moduleformer *m = *model;
    m->wte = wte;
    m->head = c->tie_word_embeddings ? wte
                                     : at_words_init(s, "lm_head.weight", c->vocab_size, c->n_embd,
                                                     c->initializer_range);
    return s->status;
}

static at_tensor *router_logits(at_run *r, const config *c, const mixture *m, at_tensor *x,
                                const at_pass *p) {
    at_tensor *rows = (at_tensor *)(uintptr_t)&m->bank->row->t;
    if (m->hidden.w) x = at_linear(r, x, m->hidden.w, m->hidden.b);
    if (c->gate_type == GATE_MLP) {
        x = at_gelu(r, x, AT_GELU_ERF);
        x = at_dropout(r, x, c->moe_pdrop);
    } else if (c->gate_type == GATE_GMM) {
        x = at_l2norm(r, x, 1e-12);
        rows = at_l2norm(r, rows, 1e-12);
    }
    at_pass_features(r, p, m->bank->id, x);
    x = at_linear(r, x, rows, NULL);
    return m->temperature ? at_exp_scale(r, x, m->temperature) : x;
}

static at_tensor *normalise(at_run *r, const config *c, const at_norm *n, at_tensor *x) {
    return c->norm == NORM_RMS ? at_rmsnorm(r, x, n->g, c->layer_norm_epsilon)
                               : at_layernorm(r, x, n->g, n->b, c->layer_norm_epsilon);
}

/* The chosen experts and their gates [N, k]; gates are NULL with a single expert, whose gate is
   1. */
typedef struct {
    at_tensor *gates;
    at_routing ro;
    bool one;
} choice;

/* Routes the tokens and reports the choice to the pass. */
static choice choose(at_run *r, const config *c, const mixture *m, at_tensor *x, at_pass *p) {
    choice h = {.one = m->bank->n == 1};
    if (h.one) return h;
    at_tensor *logits = router_logits(r, c, m, x, p);
    h.gates = at_bank_route(r, p, m->bank, logits, c->sample_topk, c->renormalise_gates, &h.ro);
    return h;
}

/* Applies to every slot the matrix of its expert. */
static at_tensor *experts(at_run *r, const choice *h, at_tensor *x, const mixture *m, int part) {
    at_tensor *const *w = m->bank->part[part]->slot;
    return h->one ? at_linear_io(r, x, w[0], NULL) : at_expert_linear(r, x, w, &h->ro);
}

/* The gated sum over the slots of each token -> [N, C], then dropout. */
static at_tensor *join(at_run *r, const config *c, const choice *h, at_tensor *y) {
    if (!h->one) y = at_expert_sum(r, y, h->gates);
    return at_dropout(r, y, c->resid_pdrop);
}

/* Softmax attention with rotary positions of queries and keys. */
static at_tensor *softmax(at_run *r, const config *c, at_tensor *q, at_tensor *k, at_tensor *v,
                          const at_input *in, int64_t slots, int64_t layer,
                          const at_angles *angles) {
    const int heads = (int)c->n_head;
    q = at_rope(r, q, slots, angles);
    k = at_rope(r, k, 1, angles);
    return in->spans.n ? at_attention_slots_cached(r, q, k, v, &in->spans, layer, slots, heads)
                       : at_attention_slots(r, q, k, v, in->B, in->T, slots, heads);
}

/* Attention: a token has a query for each of its experts; all of them see the same keys and
   values. */
static at_tensor *attend(at_run *r, const moduleformer *m, const block *b, at_tensor *x,
                         const at_input *in, at_pass *p, const at_angles *angles) {
    const config *c = &m->c;
    const int64_t layer = b - m->h, k = b->attn.bank->k;
    const choice h = choose(r, c, &b->attn, x, p);
    at_tensor *key = x, *value = x;
    if (b->key.w) {
        key = at_linear(r, x, b->key.w, b->key.b);
        value = at_linear(r, x, b->value.w, b->value.b);
    }
    const bool one = key == value;
    key = at_history_join(r, p->history, layer, 0, key);
    value = one ? key : at_history_join(r, p->history, layer, 1, value);
    const int32_t *from = p->history ? p->history->from : in->first;
    at_tensor *y = experts(r, &h, x, &b->attn, IN);
    if (c->att_func == SOFTMAX)
        y = softmax(r, c, y, key, value, in, k, layer, angles);
    else if (in->spans.n)
        y = at_stickbreak_cached(r, y, key, value, &in->spans, layer, k, (int)c->n_head);
    else
        y = at_stickbreak_from(r, y, key, value, in->B, in->T, k, (int)c->n_head, from);
    y = experts(r, &h, y, &b->attn, OUT);
    if (!h.one) at_pass_experts(r, p, b->attn.bank->id, y, h.gates, NULL);
    return join(r, c, &h, y);
}

/* What the chosen feed-forward experts say of each token. */
static at_tensor *answers(at_run *r, const config *c, const choice *h, at_tensor *x,
                          const block *b) {
    x = experts(r, h, x, &b->ffn, IN);
    x = c->activation == SWIGLU ? at_swiglu(r, x) : at_gelu(r, x, (at_gelu_form)c->activation);
    return experts(r, h, x, &b->ffn, OUT);
}

static at_tensor *feed_forward(at_run *r, const moduleformer *m, const block *b, at_tensor *x,
                               at_pass *p) {
    const config *c = &m->c;
    const choice h = choose(r, c, &b->ffn, x, p);
    choice others = {0};
    at_tensor *y = answers(r, c, &h, x, b), *more = NULL;
    if (h.one) return join(r, c, &h, y);
    if (at_bank_others(r, p, b->ffn.bank, &h.ro, &others.ro)) more = answers(r, c, &others, x, b);
    at_pass_experts(r, p, b->ffn.bank->id, y, h.gates, more);
    return join(r, c, &h, y);
}

static at_tensor *moduleformer_trunk(at_run *r, void *model, at_tensor *x, const at_input *in,
                                     at_pass *p) {
    const moduleformer *m = model;
    if (in->first && (m->c.att_func == SOFTMAX || p->history))
        return at_fail(r, AT_ARG,
                       "moduleformer: padding before a sequence is for stick-breaking "
                       "attention without history");
    x = at_dropout(r, x, m->c.embd_pdrop);
    const at_angles *angles = NULL;
    if (m->c.att_func == SOFTMAX)
        angles = at_rope_angles(r, at_input_positions(r, in), in->T, m->c.att_hidden / m->c.n_head,
                                m->c.rope_theta);
    for (int i = 0; i < m->c.n_layer; i++) {
        const block *b = &m->h[i];
        at_tensor *y = normalise(r, &m->c, &b->ln_1, x);
        y = attend(r, m, b, y, in, p, angles);
        x = at_add(r, x, y);
        y = normalise(r, &m->c, &b->ln_2, x);
        y = feed_forward(r, m, b, y, p);
        x = at_add(r, x, y);
    }
    return normalise(r, &m->c, &m->ln_f, x);
}

static at_tensor *moduleformer_hidden(at_run *r, void *model, const at_input *in, at_pass *p) {
    at_tensor *x = at_embed(r, ((moduleformer *)model)->wte, in->ids, in->B * in->T);
    return moduleformer_trunk(r, model, x, in, p);
}

static at_tensor *moduleformer_head(void *model) { return ((moduleformer *)model)->head; }
static at_banks *moduleformer_banks(void *model) { return &((moduleformer *)model)->banks; }

static void moduleformer_dims(const void *cfg, at_dims *d) {
    const config *c = cfg;
    *d = (at_dims){.vocab = c->vocab_size,
                   .context = LONGEST,
                   .layers = c->n_layer,
                   .width = c->n_embd,
                   .cache_width = c->att_hidden,
                   .head_size = c->att_hidden / c->n_head,
                   .one_cache = identity_keys(c) && c->att_func == STICKBREAKING,
                   .any_length = true,
                   .history = c->att_func == STICKBREAKING};
}

static double moduleformer_aux(const void *cfg, at_aux *a) {
    const config *c = cfg;
    *a = (at_aux){.factor = {1, 1}};
    if (c->aux_loss_type == AUX_MI) {
        a->weight[AT_AUX_MUTUAL] = 1;
    } else {
        a->weight[AT_AUX_SWITCH] = 1;
        a->weight[AT_AUX_Z] = 0.1;
    }
    return c->aux_loss_weight;
}

static const char *moduleformer_foreign(const void *cfg) {
    const config *c = cfg;
    for (int64_t i = 0; i < c->n_layer; i++)
        if (experts_of(c, (at_router_id){i, AT_LAYER_ATTENTION}) != c->n_att_experts ||
            experts_of(c, (at_router_id){i, AT_LAYER_FEED_FORWARD}) != c->n_mlp_experts)
            return "layers with different numbers of experts";
    return c->closed_experts.n ? "closed experts" : NULL;
}

static bool ends_with(const char *s, const char *tail) {
    const size_t n = strlen(s), m = strlen(tail);
    return n >= m && !strcmp(s + n - m, tail);
}

/* Buffers that the authors' code no longer uses, and a tied head that is stored as well. */
static bool moduleformer_ignore(const char *name) {
    return ends_with(name, ".attn.mask") || ends_with(name, ".attn.cum_weight") ||
           !strcmp(name, "lm_head.weight");
}

const at_arch at_arch_moduleformer = {
    .name = "moduleformer",
    .hf_class = "ModuleFormerForCausalLM",
    .source = "Shen et al. 2023, ModuleFormer: Modularity Emerges from Mixture-of-Experts, "
              "arXiv 2306.04640",
    .prefix = "transformer.",
    .keys = keys,
    .config_bytes = sizeof(config),
    .experts = {{"n_att_experts", "att_experts_by_layer"},
                {"n_mlp_experts", "mlp_experts_by_layer"}},
    .check = check,
    .init = moduleformer_init,
    .trunk_init = moduleformer_trunk_init,
    .close = moduleformer_close,
    .reads = AT_INPUT_IDS,
    .hidden = moduleformer_hidden,
    .trunk = moduleformer_trunk,
    .head = moduleformer_head,
    .banks = moduleformer_banks,
    .dims = moduleformer_dims,
    .aux = moduleformer_aux,
    .foreign = moduleformer_foreign,
    .ignore = moduleformer_ignore,
};
