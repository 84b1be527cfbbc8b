"""What a run of artel is made of, written a second time: draws, data, architectures, in float64 with gradients by autograd.

Nothing here is translated from src/: formulas come from the papers and from the comments of src/op/op.h, layouts from
docs/format.md, draws from Philox4x32-10 as published.  tools/reference_runs.py says how to run it.
"""
import fractions
import json
import math
import pathlib

import autograd.numpy as np
import numpy
from autograd.scipy.special import erf
from autograd.tracer import getval

# ---- draws ----------------------------------------------------------------------------------------------------------

INIT, BATCH, DROPOUT, SAMPLE, ROUTE, COMMON, POLICY, OWN_TEXT, POOL = 1, 2, 3, 4, 7, 9, 11, 12, 15  # streams
WORD = (1 << 64) - 1


def philox(seed, stream, index):
    """Four words of 32 bits for each index (an array)."""
    index = numpy.atleast_1d(numpy.asarray(index, dtype=numpy.uint64))
    low, high = numpy.uint64(0xFFFFFFFF), numpy.uint64(32)
    c0, c1 = index & low, index >> high
    c2 = numpy.full_like(index, stream & 0xFFFFFFFF)
    c3 = numpy.full_like(index, stream >> 32 & 0xFFFFFFFF)
    k0, k1 = seed & 0xFFFFFFFF, seed >> 32
    for _ in range(10):
        a, b = c0 * numpy.uint64(0xD2511F53), c2 * numpy.uint64(0xCD9E8D57)
        c0, c1, c2, c3 = (b >> high) ^ c1 ^ numpy.uint64(k0), b & low, (a >> high) ^ c3 ^ numpy.uint64(k1), a & low
        k0, k1 = (k0 + 0x9E3779B9) & 0xFFFFFFFF, (k1 + 0xBB67AE85) & 0xFFFFFFFF
    return c0, c1, c2, c3


def rand64(seed, stream, index):
    c = philox(seed & WORD, stream & WORD, [index & WORD])
    return int(c[1][0]) << 32 | int(c[0][0])


def unit(high, low):
    return (((high << numpy.uint64(32) | low) >> numpy.uint64(11)).astype(float) + 0.5) * 2.0**-53


def uniform(seed, stream, index):
    c = philox(seed, stream & WORD, index)
    return unit(c[1], c[0])


def normal(seed, stream, index):
    c = philox(seed, stream & WORD, index)
    return numpy.sqrt(-2 * numpy.log(unit(c[1], c[0]))) * numpy.cos(2 * numpy.pi * unit(c[3], c[2]))


def below(n, seed, stream, index):
    return rand64(seed, stream, index) * n >> 64


def hash_path(path):
    h = 0xCBF29CE484222325
    for byte in path.encode():
        h = (h ^ byte) * 0x100000001B3 & WORD
    return h


# ---- data -----------------------------------------------------------------------------------------------------------

SPLITS = ("train", "validation", "test")


class Data:
    def __init__(self, folder):
        folder = pathlib.Path(folder)
        manifest = json.loads((folder / "manifest.json").read_text())
        self.names = [d["name"] for d in manifest["domains"]]
        self.tokens = {(n, s): self.shard(folder / f"{n}.{s}.bin") for n in self.names for s in SPLITS}
        tokenizer = json.loads((folder / "tokenizer.json").read_text())
        # In a byte-level vocabulary each byte is written as one character.
        self.bytes = {i: len(t) for t, i in tokenizer["model"]["vocab"].items()}
        for added in tokenizer["added_tokens"]:
            self.bytes[added["id"]] = 0  # stands for no text
        self.vocab = max(self.bytes) + 1

    @staticmethod
    def shard(path):
        head = numpy.fromfile(path, "<u8", 18)
        width, tokens = int(head[1] >> numpy.uint64(32)), int(head[2])
        return numpy.memmap(path, "<u2" if width == 2 else "<u4", "r", 4096, (tokens,)).astype(int)


def permute(x, n, seed, stream):
    """A Feistel network of four rounds on the next power of four, walked until the value is below n."""
    half = 1
    while 4**half < n:
        half += 1
    mask = 2**half - 1
    while True:
        left, right = x >> half, x & mask
        for r in range(4):
            left, right = right, left ^ (rand64(seed, stream, r << 32 | right) & mask)
        x = left << half | right
        if x < n:
            return x


def window_start(seed, name, n_tokens, draw, length, aligned):
    fit = (n_tokens - 1) // length
    n = fit - 1 if fit > 1 and not aligned else fit
    stream = (hash_path(name) + BATCH) & WORD
    key = rand64(seed, stream, draw // n)
    offset = 0 if aligned else below(n_tokens - 1 - n * length + 1, key, stream, WORD)
    return offset + length * permute(draw % n, n, key, stream)


def turns(domains, weights):
    """The domains of a round: each turn goes to the one that lags most behind its share of all turns so far."""
    whole = sum(weights) // math.gcd(*weights)
    order = []
    for t in range(1, whole + 1):
        lag = [fractions.Fraction(t * w, sum(weights)) - order.count(d) for d, w in zip(domains, weights)]
        order.append(domains[lag.index(max(lag))])
    return order


class Sampler:
    """Windows drawn one by one, or (stretch above 0) sequences that read on; or (step above 0: its micro-batches) every step
    of one domain alone, which reads what it would read as the only one."""

    def __init__(self, data, domains, seed, batch, context, lanes=0, stretch=0, weights=None, step=0,
                 aligned=False):
        self.aligned = aligned
        self.step = step
        self.data, self.domains, self.seed, self.batch, self.context = data, domains, seed, batch, context
        self.turns = turns(domains, weights or [1] * len(domains))
        self.lanes = lanes
        if lanes:
            self.stretch = max(2, min([stretch] + [(len(data.tokens[d, "train"]) - 1) // context for d in domains]))

    def place(self, index, b):
        """Number of the draw, windows into it, windows read before."""
        if not self.lanes:
            return index * self.batch + b, 0, 0
        micro = self.lanes // self.batch
        step, lane = index // micro, index % micro * self.batch + b
        at = step + lane * self.stretch // self.lanes
        return at // self.stretch * self.lanes + lane, at % self.stretch, min(at % self.stretch, step)

    def own(self, turn):
        """Whose turn it is, and how many turns it had before."""
        name = self.turns[turn % len(self.turns)]
        return name, turn // len(self.turns) * self.turns.count(name) + self.turns[:turn % len(self.turns)].count(name)

    def domains_at(self, index):
        return [self.own(index // self.step if self.step else self.place(index, b)[0])[0] for b in range(self.batch)]

    def batch_at(self, index):
        rows = []
        length = self.context * (self.stretch if self.lanes else 1)
        for b in range(self.batch):
            draw, place, _ = self.place(index, b)
            name, own = self.own(index // self.step if self.step else draw)
            if self.step:
                own = (own * self.step + index % self.step) * self.batch + b
            tokens = self.data.tokens[name, "train"]
            start = window_start(self.seed, name, len(tokens), own, length, self.aligned) + place * self.context
            rows.append(tokens[start:start + self.context + 1])
        rows = numpy.array(rows)
        return rows[:, :-1], rows[:, 1:], [self.place(index, b)[2] for b in range(self.batch)]


def eval_windows(tokens, context, limit):
    """Consecutive windows, at most `limit` of them spread evenly."""
    total = 0 if len(tokens) < 2 else (len(tokens) - 2) // context + 1
    count = min(limit, total) if limit > 0 else total
    return [tokens[i * total // count * context:][:context + 1] for i in range(count)]


# ---- pieces of models -----------------------------------------------------------------------------------------------


class Pass:
    """One forward pass: its dropout, and what is counted on the way."""

    def __init__(self, train, seed=0):
        self.train, self.seed, self.draws = train, seed, 0
        self.flops, self.margin = 0, numpy.inf
        self.routers = []  # (kind, probabilities, log-sum-exp, choices) of each router
        self.experts = []  # (outputs [N, k, C], gates) of each feed-forward mixture
        self.others, self.other_layers = 0, []  # experts beside those of a token, in these layers (none: all)
        self.history = None
        self.pool = None  # smallest, largest, sequences
        self.active = None  # of the trunks of a model

    def dropout(self, x, p):
        if not self.train or p <= 0:
            return x
        self.draws += 1
        n = int(numpy.prod(x.shape))
        c = philox(self.seed, DROPOUT + (self.draws << 8), numpy.arange((n + 1) // 2))
        words = numpy.stack([c[0], c[1]], 1).reshape(-1)[:n].reshape(x.shape)
        return x * ((words >= numpy.uint64(int(p * 2.0**32))) / (1 - p))

    def product(self, x, w):
        """x [N, in], w [in, out]"""
        self.flops += 2 * x.shape[0] * w.shape[0] * w.shape[1]
        return np.dot(x, w)

    def scores(self, pairs, width):
        """A causal attention looks at so many pairs of query and key: one product for scores, one for values."""
        self.flops += 4 * pairs * width


def layernorm(x, g, b, eps):
    d = x - np.mean(x, -1, keepdims=True)
    return g * d / np.sqrt(np.mean(d * d, -1, keepdims=True) + eps) + b


def rmsnorm(x, g, eps):
    return g * x / np.sqrt(np.mean(x * x, -1, keepdims=True) + eps)


def gelu(x, form):
    if form == "gelu":
        return x / 2 * (1 + erf(x / np.sqrt(2.0)))
    return x / 2 * (1 + np.tanh(np.sqrt(2 / np.pi) * (x + 0.044715 * x**3)))


def log_softmax(x):
    m = np.max(x, -1, keepdims=True)
    return x - m - np.log(np.sum(np.exp(x - m), -1, keepdims=True))


def softplus(x):
    return np.logaddexp(0.0, x)


def l2norm(x):
    return x / np.sqrt(np.sum(x * x, -1, keepdims=True))


def hidden_pairs(B, T, past=0):
    return B * (T * (T + 1) // 2 + T * past)


# ---- gpt2 -----------------------------------------------------------------------------------------------------------


def gpt2_parameters(c, vocab):
    """(path, shape, kind, spread) of every parameter."""
    C, F, std = c["n_embd"], c["n_inner"] if c["n_inner"] > 0 else 4 * c["n_embd"], c["initializer_range"]
    residual = std / numpy.sqrt(2 * c["n_layer"])
    norm = lambda path: [(path + ".weight", (C,), "one", 0), (path + ".bias", (C,), "zero", 0)]
    affine = lambda path, i, o, s: [(path + ".weight", (i, o), "normal", s), (path + ".bias", (o,), "zero", 0)]
    out = [("transformer.wte.weight", (vocab, C), "normal", std),
           ("transformer.wpe.weight", (c["n_positions"], C), "normal", std)]
    for i in range(c["n_layer"]):
        h = f"transformer.h.{i}."
        out += norm(h + "ln_1") + affine(h + "attn.c_attn", C, 3 * C, std) + affine(h + "attn.c_proj", C, C, residual)
        out += norm(h + "ln_2") + affine(h + "mlp.c_fc", C, F, std) + affine(h + "mlp.c_proj", F, C, residual)
    out += norm("transformer.ln_f")
    if not c["tie_word_embeddings"]:
        out.append(("lm_head.weight", (vocab, C), "normal", std))
    return out


def gpt2_hidden(r, c, p, ids):
    return gpt2_trunk(r, c, p, p["transformer.wte.weight"][ids.reshape(-1)], *ids.shape)


def gpt2_trunk(r, c, p, x, B, T):
    C, H, eps = c["n_embd"], c["n_head"], c["layer_norm_epsilon"]
    D = C // H
    mask = numpy.where(numpy.tril(numpy.ones((T, T))) > 0, 0.0, -numpy.inf)
    x = r.dropout(x + p["transformer.wpe.weight"][numpy.tile(numpy.arange(T), B)], c["embd_pdrop"])
    for i in range(c["n_layer"]):
        h = f"transformer.h.{i}."
        g = lambda name: p[h + name]
        y = layernorm(x, g("ln_1.weight"), g("ln_1.bias"), eps)
        qkv = np.reshape(r.product(y, g("attn.c_attn.weight")) + g("attn.c_attn.bias"), (B, T, 3, H, D))
        q, k, v = (np.transpose(qkv[:, :, j], (0, 2, 1, 3)) for j in range(3))
        r.scores(hidden_pairs(B, T), C)
        a = np.exp(log_softmax(np.einsum("bhid,bhjd->bhij", q, k) / np.sqrt(D) + mask))
        y = np.reshape(np.transpose(np.einsum("bhij,bhjd->bhid", a, v), (0, 2, 1, 3)), (B * T, C))
        y = r.product(y, g("attn.c_proj.weight")) + g("attn.c_proj.bias")
        x = x + r.dropout(y, c["resid_pdrop"])
        y = layernorm(x, g("ln_2.weight"), g("ln_2.bias"), eps)
        y = gelu(r.product(y, g("mlp.c_fc.weight")) + g("mlp.c_fc.bias"), c["activation_function"])
        y = r.product(y, g("mlp.c_proj.weight")) + g("mlp.c_proj.bias")
        x = x + r.dropout(y, c["resid_pdrop"])
    return layernorm(x, p["transformer.ln_f.weight"], p["transformer.ln_f.bias"], eps)


# ---- moduleformer ---------------------------------------------------------------------------------------------------


def same_keys(c):
    return c["att_hidden"] == c["n_embd"] and c["n_head"] == 1


def moduleformer_parameters(c, vocab):
    C, R, std = c["n_embd"], c["gating_size"], c["initializer_range"]
    out = [("transformer.wte.weight", (vocab, C), "normal", std)]

    def norm(path):
        return [(path + ".weight", (C,), "one", 0)] + ([(path + ".bias", (C,), "zero", 0)] if c["norm"] == "layer" else [])

    def experts(kind, layer):
        return c[f"{kind}_experts_by_layer"][layer] if c[f"{kind}_experts_by_layer"] else c[f"n_{kind}_experts"]

    def mixture(path, E, F, wide):
        m = [(path + ".experts.weight", (E, C, wide * F), "uniform", 1 / C),
             (path + ".output_experts.weight", (E, F, C), "uniform", 1 / F)]
        if E == 1:
            return m
        if c["gate_type"] == "linear":
            return m + [(path + ".gate.w_gate.0.weight", (E, C), "normal", std)]
        if c["gate_type"] == "mlp":
            return m + [(path + ".gate.w_gate.0.weight", (R, C), "normal", std), (path + ".gate.w_gate.0.bias", (R,), "zero", 0),
                        (path + ".gate.w_gate.3.weight", (E, R), "normal", std)]
        return m + [(path + ".gate.w_gate.weight", (R, C), "normal", std), (path + ".gate.expert_centroids", (E, R), "normal", 1),
                    (path + ".gate.temperature", (1,), "zero", 0)]

    for i in range(c["n_layer"]):
        h = f"transformer.h.{i}."
        out += norm(h + "ln_1") + mixture(h + "attn.q_proj", experts("att", i), c["att_hidden"], 1)
        if not same_keys(c):
            for name in ("k_proj", "v_proj"):
                out += [(h + f"attn.{name}.weight", (c["att_hidden"], C), "normal", std),
                        (h + f"attn.{name}.bias", (c["att_hidden"],), "zero", 0)]
        wide = 2 if c["activation_function"] == "swiglu" else 1
        out += norm(h + "ln_2") + mixture(h + "mlpf", experts("mlp", i), c["ffd_hidden"], wide)
    out += norm("transformer.ln_f")
    if not c["tie_word_embeddings"]:
        out.append(("lm_head.weight", (vocab, C), "normal", std))
    return out


def in_pools(r, logits, value, k):
    """Log-sum-exp over each sequence's pool, and who is in it."""
    least, most, sequences = r.pool
    N, E = value.shape
    T, mask = N // sequences, numpy.zeros((N, E), bool)
    r.draws += 1
    low, high = max(min(least, E), k), max(min(most, E), k)
    for b in range(sequences):
        total = numpy.sum(value[b * T:(b + 1) * T], 0)
        order = numpy.argsort(-total, kind="stable")
        m = low + below(high - low + 1, r.seed, POOL + (r.draws << 8), b)
        if m < E:
            r.margin = min(r.margin, float(numpy.log(total[order[m - 1]] / total[order[m]])))
        mask[b * T:(b + 1) * T, order[:m]] = True
    top = numpy.max(numpy.asarray(getval(logits)), 1, keepdims=True)
    return top + np.log(np.sum(np.where(mask, np.exp(logits - top), 0), 1, keepdims=True)), mask


def choose(r, c, p, path, kind, x, k):
    """Gates [N, k] and choices [N, k]; what its router owes the loss is kept."""
    E = p[path + ".experts.weight"].shape[0]
    if E == 1:
        return None, numpy.zeros((x.shape[0], 1), int)
    gate = lambda name: p[path + ".gate." + name]
    if c["gate_type"] == "linear":
        logits = r.product(x, np.transpose(gate("w_gate.0.weight")))
    elif c["gate_type"] == "mlp":
        y = gelu(r.product(x, np.transpose(gate("w_gate.0.weight"))) + gate("w_gate.0.bias"), "gelu")
        logits = r.product(r.dropout(y, c["moe_pdrop"]), np.transpose(gate("w_gate.3.weight")))
    else:
        y = l2norm(r.product(x, np.transpose(gate("w_gate.weight"))))
        logits = np.exp(gate("temperature")) * r.product(y, np.transpose(l2norm(gate("expert_centroids"))))
    logp = log_softmax(logits)
    probability = np.exp(logp)
    if r.train and r.pool:
        lse, mask = in_pools(r, logits, numpy.asarray(getval(probability)), k)
        logp = logits - lse
        probability = np.where(mask, np.exp(np.where(mask, logp, 0)), 0)
    value = numpy.asarray(getval(probability))
    order = numpy.argsort(-value, 1, kind="stable")
    drawn = c["sample_topk"] if r.train else 0
    sure = k - drawn
    pick = order[:, :k].copy()
    ranked = numpy.where(value > 0, numpy.asarray(getval(logp)), -numpy.inf)
    ranked = numpy.take_along_axis(ranked, order, 1)
    if 0 < sure < E:
        r.margin = min(r.margin, float(numpy.min(ranked[:, sure - 1] - ranked[:, sure])))
    if drawn:
        r.draws += 1
        u = uniform(r.seed, ROUTE + (r.draws << 8), numpy.arange(len(value) * drawn + sure + drawn))
        for i in range(len(value)):
            for t in range(sure, k):
                left = [j for j in range(E) if j not in pick[i, :t]]
                weight = numpy.cumsum([value[i, j] + 1e-6 for j in left])
                at = u[i * drawn + t] * weight[-1]
                pick[i, t] = left[min(int(numpy.searchsorted(weight, at, "right")), len(left) - 1)]
                r.margin = min(r.margin, 10 * float(numpy.min(numpy.abs(weight[:-1] - at), initial=numpy.inf)))
    r.routers.append((kind, probability, logp, logits, pick))
    gates = probability[numpy.arange(len(value))[:, None], pick]
    if c["renormalise_gates"]:
        gates = gates / np.sum(gates, 1, keepdims=True)
    return gates, pick


def expert_linear(r, x, w, pick):
    """x [N, in] or [N, k, in] through the chosen matrices -> [N, k, out]."""
    r.flops += 2 * pick.size * w.shape[1] * w.shape[2]
    return np.einsum("nki,nkio->nko" if x.ndim == 3 else "ni,nkio->nko", x, w[pick])


def rotary(x, theta):
    """x [B, T, ..., D]"""
    T, D = x.shape[1], x.shape[-1]
    angle = numpy.arange(T)[:, None] * theta ** (-2.0 * numpy.arange(D // 2) / D)
    angle = angle.reshape((1, T) + (1,) * (x.ndim - 3) + (D // 2,))
    u, v = x[..., :D // 2], x[..., D // 2:]
    return np.concatenate([u * numpy.cos(angle) - v * numpy.sin(angle), v * numpy.cos(angle) + u * numpy.sin(angle)], -1)


def stick(s, seen):
    """Weights of stick-breaking: the newest key first.  s [..., S], seen of the same shape."""
    rest = np.where(seen, -softplus(s), 0.0)  # log (1 - sigmoid)
    after = np.cumsum(rest[..., ::-1], -1)[..., ::-1] - rest
    return np.where(seen, np.exp(after - softplus(-s)), 0.0)


def attend(r, c, p, h, x, B, T, layer):
    A, H, k = c["att_hidden"], c["n_head"], c["k_att"]
    D = A // H
    gates, pick = choose(r, c, p, h + "attn.q_proj", "attention", x, k)
    key = value = x
    if not same_keys(c):
        key, value = (r.product(x, np.transpose(p[h + f"attn.{n}.weight"])) + p[h + f"attn.{n}.bias"]
                      for n in ("k_proj", "v_proj"))
    key, value, past, begin = join_history(r, layer, key, value, B, T)
    S = past + T
    r.scores(hidden_pairs(B, T, past) * k, A)
    q = np.reshape(expert_linear(r, x, p[h + "attn.q_proj.experts.weight"], pick), (B, T, k, H, D))
    key, value = np.reshape(key, (B, S, H, D)), np.reshape(value, (B, S, H, D))
    if c["att_func"] == "softmax":
        q, key = rotary(q, c["rope_theta"]), rotary(key, c["rope_theta"])
    s = np.einsum("btkhd,bjhd->btkhj", q, key) / np.sqrt(D)
    place = numpy.arange(S)
    seen = (place[None, None] <= past + numpy.arange(T)[None, :, None]) & (place[None, None] >= begin[:, None, None])
    seen = numpy.broadcast_to(seen[:, :, None, None], s.shape)
    a = np.exp(log_softmax(np.where(seen, s, -numpy.inf))) if c["att_func"] == "softmax" else stick(s, seen)
    y = np.reshape(np.einsum("btkhj,bjhd->btkhd", a, value), (B * T, k, A))
    y = expert_linear(r, y, p[h + "attn.q_proj.output_experts.weight"], pick)
    return r.dropout(weigh(y, gates), c["resid_pdrop"])


def weigh(y, gates):
    return y[:, 0] if gates is None else np.sum(y * gates[:, :, None], 1)


def join_history(r, layer, key, value, B, T):
    """Keys and values of the tokens before, without gradient -> keys, values, how many, the first that counts."""
    past, begin = 0, numpy.zeros(B, int)
    if not r.history:
        return key, value, past, begin
    length, kept, now, new = r.history["length"], r.history["kept"], r.history["now"], r.history["new"]
    out = []
    if max(kept) > 0:
        past, begin = length, length - numpy.array(kept)
    for j, x in enumerate((key, value)):
        x = np.reshape(x, (B, T, x.shape[-1]))
        if past:
            x = np.concatenate([now[layer, j], x], 1)
        rows = numpy.asarray(getval(x))[:, -length:]
        new[layer, j] = numpy.concatenate([numpy.zeros((B, length - rows.shape[1], rows.shape[2])), rows], 1)
        out.append(np.reshape(x, (B * (past + T), x.shape[-1])))
    return out[0], out[1], past, begin


def answers(r, c, p, h, x, pick):
    y = expert_linear(r, x, p[h + "mlpf.experts.weight"], pick)
    if c["activation_function"] == "swiglu":
        F = y.shape[-1] // 2
        y = y[..., :F] / (1 + np.exp(-y[..., :F])) * y[..., F:]
    else:
        y = gelu(y, c["activation_function"])
    return expert_linear(r, y, p[h + "mlpf.output_experts.weight"], pick)


def not_chosen(r, pick, experts, n):
    """Of each token n other experts, drawn evenly, one after the other among those in order that are left."""
    r.draws += 1
    out = numpy.zeros((len(pick), n), int)
    for i, row in enumerate(pick):
        left = [j for j in range(experts) if j not in row]
        for t in range(n):
            out[i, t] = left.pop(below(len(left), r.seed, ROUTE + (r.draws << 8), i * n + t))
    return out


def feed_forward(r, c, p, h, x):
    gates, pick = choose(r, c, p, h + "mlpf", "feed_forward", x, c["k_mlp"])
    y = answers(r, c, p, h, x, pick)
    held = y, gates
    if r.train and r.others and (not r.other_layers or len(r.experts) in r.other_layers):
        more = not_chosen(r, pick, c["n_mlp_experts"], r.others)
        held = (np.concatenate([y, answers(r, c, p, h, x, more)], 1),
                np.concatenate([gates, numpy.zeros(more.shape)], 1))
    r.experts.append(held)
    return r.dropout(weigh(y, gates), c["resid_pdrop"])


def moduleformer_hidden(r, c, p, ids):
    return moduleformer_trunk(r, c, p, p["transformer.wte.weight"][ids.reshape(-1)], *ids.shape)


def moduleformer_trunk(r, c, p, x, B, T):
    norm = lambda path, x: (rmsnorm(x, p[path + ".weight"], c["layer_norm_epsilon"]) if c["norm"] == "rms" else
                            layernorm(x, p[path + ".weight"], p[path + ".bias"], c["layer_norm_epsilon"]))
    x = r.dropout(x, c["embd_pdrop"])
    for i in range(c["n_layer"]):
        h = f"transformer.h.{i}."
        x = x + attend(r, c, p, h, norm(h + "ln_1", x), B, T, i)
        x = x + feed_forward(r, c, p, h, norm(h + "ln_2", x))
    return norm("transformer.ln_f", x)


# ---- trunks ---------------------------------------------------------------------------------------------------------

ENDS = ("transformer.wte.weight", "lm_head.weight")


def trunk_names(c):
    return c["modules"] + ["common"] * c["common"]


def trunks_parameters(c, vocab):
    width, std = c["trunk"]["n_embd"], c["initializer_range"]
    out = [("embed", (vocab, width), "normal", std)]
    for name in trunk_names(c):
        inner = {"gpt2": gpt2_parameters, "moduleformer": moduleformer_parameters}[c["trunk"]["arch"]](c["trunk"], vocab)
        out += [(f"trunks.{name}.{path}", *rest) for path, *rest in inner if path not in ENDS]
        if c["combine"] == "learned":
            out.append((f"trunks.{name}.combine", (width,), "zero", 0))
    return out if c["tie_word_embeddings"] else out + [("head", (vocab, width), "normal", std)]


def trunks_hidden(r, c, p, ids):
    inner, x, h = {"gpt2": gpt2_trunk, "moduleformer": moduleformer_trunk}[c["trunk"]["arch"]], p["embed"][ids.reshape(-1)], []
    active = [name for name in trunk_names(c) if r.active is None or name in r.active]
    for name in active:
        before = f"trunks.{name}."
        own = {k[len(before):]: v for k, v in p.items() if k.startswith(before)}
        h.append(inner(r, c["trunk"], own, x, *ids.shape))
    r.experts = [(np.stack(h, 1), numpy.ones((ids.size, len(h))))] if len(h) > 1 else []  # they are peers, not what is in them
    if c["combine"] == "mean" or len(h) == 1:
        return sum(h) / len(h)
    score = np.stack([np.dot(y, p[f"trunks.{name}.combine"]) for name, y in zip(active, h)], 1)
    weight = np.exp(log_softmax(score))
    return sum(weight[:, k:k + 1] * y for k, y in enumerate(h))


# ---- any model ------------------------------------------------------------------------------------------------------

DEFAULTS = {
    "gpt2": dict(n_positions=1024, n_embd=768, n_layer=12, n_head=12, n_inner=-1, activation_function="gelu_new",
                 resid_pdrop=0.0, embd_pdrop=0.0, layer_norm_epsilon=1e-5, initializer_range=0.02, tie_word_embeddings=True),
    "moduleformer": dict(n_embd=1024, n_layer=24, n_head=1, att_hidden=1024, ffd_hidden=2048, n_att_experts=16, k_att=2,
                         att_experts_by_layer=(), mlp_experts_by_layer=(), n_mlp_experts=32, k_mlp=2, gate_type="mlp", gating_size=256, renormalise_gates=False,
                         aux_loss_type="mi", aux_loss_weight=0.0, activation_function="gelu_new", norm="layer",
                         layer_norm_epsilon=1e-5, initializer_range=0.02, resid_pdrop=0.0, embd_pdrop=0.0, moe_pdrop=0.0,
                         tie_word_embeddings=False, sample_topk=0, att_func="stickbreaking", rope_theta=10000.0),
    "trunks": dict(modules=[], common=False, combine="mean", common_dropout=0.0, initializer_range=0.02,
                   tie_word_embeddings=True),
}
KINDS = {"gpt2": (gpt2_parameters, gpt2_hidden, ENDS), "moduleformer": (moduleformer_parameters, moduleformer_hidden, ENDS),
         "trunks": (trunks_parameters, trunks_hidden, ("embed", "head"))}


class Model:
    def __init__(self, section, vocab):
        self.arch = section["arch"]
        self.c = {**DEFAULTS[self.arch], **{k: v for k, v in section.items() if k != "arch"}}
        if self.arch == "trunks":
            self.c["trunk"] = {**DEFAULTS[self.c["trunk"]["arch"]], **self.c["trunk"]}
        parameters, self.forward, self.ends = KINDS[self.arch]
        self.spec = parameters(self.c, vocab)
        self.p = {}

    def randomise(self, seed):
        for path, shape, kind, spread in self.spec:
            n, stream = int(numpy.prod(shape)), INIT ^ (hash_path(path) << 8 & WORD)
            x = {"one": lambda: numpy.ones(n), "zero": lambda: numpy.zeros(n),
                 "normal": lambda: spread * normal(seed, stream, numpy.arange(n)),
                 "uniform": lambda: spread * (2 * uniform(seed, stream, numpy.arange(n)) - 1)}[kind]()
            self.p[path] = x.astype(numpy.float32).astype(float).reshape(shape)

    def logits(self, r, p, ids):
        """-> [B*T, V]"""
        head = p[self.ends[not self.c["tie_word_embeddings"]]]
        return r.product(self.forward(r, self.c, p, ids), np.transpose(head))

    def numel(self):
        return sum(int(numpy.prod(shape)) for _, shape, _, _ in self.spec)
