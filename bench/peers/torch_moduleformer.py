#!/usr/bin/env python3
"""One training step of a ModuleFormer in plain PyTorch on the CPU: the baseline of `artel bench step` on a mixture.

    python bench/peers/torch_moduleformer.py --threads 2 [--steps 6] [--warmup 2] [--layers 6 --width 256 ...]
    python bench/peers/torch_moduleformer.py --check MODEL --ids IDS.safetensors --logits LOGITS.safetensors

The model is the same as artel's, written as its authors wrote it: slots sorted by expert, then one product an expert
on the rows gathered for it, results scattered back (with --grouped PyTorch's own grouped_mm in place of these products, as
transformers uses it on a CPU); stick-breaking weights of all pairs at once from sigmoid, logsigmoid
and a cumulative sum (by a product with a triangle, as theirs, or by `--cumulate cumsum`); mutual information of every
router added to the mean cross entropy.  With --tuned what PyTorch does faster is used: weights as one exponential of
scores masked once, and rows gathered by index_select, whose gradient is cheaper.  Either way products write into one
buffer and gradients of experts into one tensor, AdamW is the fused one, denormals are flushed.  A step is zero
gradients, forward, backward, clip the gradient's norm at 1, AdamW (decay on matrices only).  float32 throughout (where
this PyTorch has grouped_mm for BF16 alone, experts compute in BF16 with --grouped, and the result says so), dropout 0, random token ids.  Prints one JSON object; needs torch and nothing else.

--check loads a model folder and compares with what `artel logits MODEL --ids IDS -o LOGITS` wrote: it is the same
model.  That needs the package safetensors.
"""
import argparse
import json
import statistics
import sys
import time

import torch
from torch import nn
from torch.nn import functional as F


class Grouped(torch.autograd.Function):
    """Rows sorted by expert, sizes[e] of them for matrix e: y = x W[e]."""

    @staticmethod
    def forward(ctx, x, weight, sizes):
        y = x.new_empty(x.shape[0], weight.shape[2])
        for e, (rows, to) in enumerate(zip(x.split(sizes), y.split(sizes))):
            torch.mm(rows, weight[e], out=to)
        ctx.save_for_backward(x, weight)
        ctx.sizes = sizes
        return y

    @staticmethod
    def backward(ctx, dy):
        x, weight = ctx.saved_tensors
        dx, dweight = torch.empty_like(x), torch.empty_like(weight)
        parts = zip(x.split(ctx.sizes), dy.split(ctx.sizes), dx.split(ctx.sizes))
        for e, (rows, given, to) in enumerate(parts):
            torch.mm(given, weight[e].t(), out=to)
            torch.mm(rows.t(), given, out=dweight[e])
        return dx, dweight, None


def grouped_type():
    """The type in which grouped_mm of this PyTorch works on the CPU, backward too; None: in none."""
    why = "there is no torch.nn.functional.grouped_mm"
    for dtype in (torch.float32, torch.bfloat16) if hasattr(F, "grouped_mm") else ():
        x = torch.ones(16, 8, dtype=dtype, requires_grad=True)
        w = torch.ones(2, 8, 8, dtype=dtype, requires_grad=True)
        try:
            y = F.grouped_mm(x, w, offs=torch.tensor([8, 16], dtype=torch.int32))
            y.backward(torch.ones(16, 8, dtype=dtype))
            return dtype
        except (RuntimeError, NotImplementedError) as e:
            why = str(e).splitlines()[0]
    print(f"torch {torch.__version__} cannot train with grouped_mm on this CPU ({why}): "
          "experts are measured with one product each, as without --grouped", file=sys.stderr)
    return None


class Experts(nn.Module):
    def __init__(self, experts, width_in, width_out, grouped):
        super().__init__()
        self.grouped = grouped
        self.weight = nn.Parameter(torch.empty(experts, width_in, width_out).uniform_(-1 / width_in, 1 / width_in))

    def forward(self, x, sizes):
        if self.grouped is None:
            return Grouped.apply(x, self.weight, sizes)
        return F.grouped_mm(x.to(self.grouped), self.weight.to(self.grouped), offs=sizes).to(x.dtype)


class Gate(nn.Module):
    def __init__(self, o, experts):
        super().__init__()
        self.w_gate = nn.Sequential(nn.Linear(o.width, o.gating), nn.GELU(), nn.Identity(),
                                    nn.Linear(o.gating, experts, bias=False))


class Mixture(nn.Module):
    def __init__(self, o, experts, k, hidden):
        super().__init__()
        self.k, self.n, self.tuned, self.grouped = k, experts, o.tuned, o.grouped_type is not None
        self.gate = Gate(o, experts)
        self.experts = Experts(experts, o.width, hidden, o.grouped_type)
        self.output_experts = Experts(experts, hidden, o.width, o.grouped_type)

    def route(self, x):
        logits = self.gate.w_gate(x)
        log_p = F.log_softmax(logits, 1)
        p = log_p.exp()
        gates, pick = p.topk(self.k, 1)
        self.slot = pick.flatten().argsort(stable=True)
        self.token = self.slot // self.k
        counts = pick.flatten().bincount(minlength=self.n)
        self.sizes = counts.cumsum(0, dtype=torch.int32) if self.grouped else counts.tolist()
        self.gates = gates.flatten()[self.slot].unsqueeze(1)
        load = p.mean(0)
        return (load * (load + 1e-8).log()).sum() - (p * log_p).sum(1).mean()

    def give(self, x):
        return self.experts(x.index_select(0, self.token) if self.tuned else x[self.token], self.sizes)

    def take(self, y, like):
        y = self.output_experts(y, self.sizes) * self.gates
        if self.grouped:  # back into the order of tokens, then the sum over each one's experts
            return y.index_select(0, self.slot.argsort()).view(-1, self.k, y.shape[1]).sum(1)
        return torch.zeros_like(like).index_add(0, self.token, y)


class Attention(nn.Module):
    def __init__(self, o):
        super().__init__()
        self.q_proj = Mixture(o, o.att_experts, o.k, o.att_hidden)
        self.cumulate, self.tuned = o.cumulate, o.tuned

    def sum_after(self, x, triangle):
        """Sums over the keys from each one to the last."""
        if self.cumulate == "matmul":
            return torch.matmul(x, triangle)
        return x.sum(2, keepdim=True) + x - x.cumsum(2)

    def weights(self, s, masked, triangle):
        beta = torch.sigmoid(s).masked_fill(masked, 0)
        rest = F.logsigmoid(-s).masked_fill(masked, 0)
        return beta * (self.sum_after(rest, triangle) - (rest if self.cumulate == "cumsum" else 0)).exp()

    def folded(self, s, masked, triangle):
        """log beta = s + log(1 - beta), so that the key itself joins the sum."""
        s = s.masked_fill(masked, -1e30)
        return (s + self.sum_after(F.logsigmoid(-s), triangle)).exp()

    def forward(self, x, B, masked, triangle):
        N, A = x.shape
        m, k = self.q_proj, x.view(B, N // B, A)
        loss = m.route(x)
        q = torch.empty(N * m.k, A).index_copy(0, m.slot, m.give(x))
        q = q.view(B, -1, A) * A ** -0.5
        s = torch.bmm(q, k.transpose(1, 2))
        a = self.folded(s, masked, triangle) if self.tuned else self.weights(s, masked, triangle)
        y = torch.bmm(a, k).view(N * m.k, A)
        y = y.index_select(0, m.slot) if self.tuned else y[m.slot]
        return m.take(y, x), loss


class Block(nn.Module):
    def __init__(self, o):
        super().__init__()
        self.ln_1 = nn.LayerNorm(o.width)
        self.attn = Attention(o)
        self.ln_2 = nn.LayerNorm(o.width)
        self.mlpf = Mixture(o, o.ffn_experts, o.k, o.hidden)

    def forward(self, x, *attention):
        y, first = self.attn(self.ln_1(x), *attention)
        x = x + y
        y = self.ln_2(x)
        second = self.mlpf.route(y)
        return x + self.mlpf.take(F.gelu(self.mlpf.give(y), approximate="tanh"), y), first + second


class Model(nn.Module):
    def __init__(self, o):
        super().__init__()
        self.transformer = nn.ModuleDict({
            "wte": nn.Embedding(o.vocab, o.width), "h": nn.ModuleList(Block(o) for _ in range(o.layers)),
            "ln_f": nn.LayerNorm(o.width)})
        self.lm_head = nn.Linear(o.width, o.vocab, bias=False)
        self.k, self.tuned = o.k, o.tuned
        for p in self.parameters():
            if p.dim() == 2:
                nn.init.normal_(p, std=0.02)

    def forward(self, ids):
        B, T = ids.shape
        later = torch.ones(T, T, dtype=torch.bool).triu(1).repeat_interleave(self.k, 0)
        triangle = torch.ones(T, T).tril(0 if self.tuned else -1)
        x, aux = self.transformer["wte"](ids).view(B * T, -1), 0
        for block in self.transformer["h"]:
            x, more = block(x, B, later, triangle)
            aux = aux + more
        return self.lm_head(self.transformer["ln_f"](x)), aux


def options():
    o = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    o.add_argument("--threads", type=int, default=2)
    o.add_argument("--steps", type=int, default=6, help="timed steps")
    o.add_argument("--warmup", type=int, default=2, help="steps before the clock starts")
    o.add_argument("--layers", type=int, default=6)
    o.add_argument("--width", type=int, default=256)
    o.add_argument("--att-hidden", type=int, default=256, help="the same as the width: keys are the hidden states")
    o.add_argument("--hidden", type=int, default=512)
    o.add_argument("--att-experts", type=int, default=8)
    o.add_argument("--ffn-experts", type=int, default=16)
    o.add_argument("--k", type=int, default=2)
    o.add_argument("--gating", type=int, default=128)
    o.add_argument("--context", type=int, default=512)
    o.add_argument("--vocab", type=int, default=8192)
    o.add_argument("--batch", type=int, default=4)
    o.add_argument("--mutual", type=float, default=0.01, help="weight of the mutual information")
    o.add_argument("--cumulate", choices=["cumsum", "matmul"], default="matmul")
    o.add_argument("--tuned", action="store_true", help="what PyTorch does faster than the authors' code")
    o.add_argument("--grouped", action="store_true", help="experts by PyTorch's grouped_mm")
    o.add_argument("--profile", action="store_true", help="tell what operators take, on stderr")
    o.add_argument("--check", metavar="MODEL")
    o.add_argument("--ids")
    o.add_argument("--logits")
    o = o.parse_args()
    o.grouped_type = grouped_type() if o.grouped else None
    return o


def check(o):
    from safetensors.torch import load_file
    c = json.load(open(o.check + "/config.json"))
    for name, key in [("layers", "n_layer"), ("width", "n_embd"), ("att_hidden", "att_hidden"), ("k", "k_att"),
                      ("hidden", "ffd_hidden"), ("att_experts", "n_att_experts"), ("ffn_experts", "n_mlp_experts"),
                      ("gating", "gating_size"), ("vocab", "vocab_size")]:
        setattr(o, name, c[key])
    model = Model(o)
    weights = load_file(o.check + "/model.safetensors")
    model.load_state_dict({k: v for k, v in weights.items() if not k.endswith((".mask", ".cum_weight"))})
    given = load_file(o.ids)
    ids = next(v for k, v in given.items() if k in ("ids", "input_ids")).long()
    want = load_file(o.logits)
    with torch.no_grad():
        logits, aux = model(ids)
    off = (logits.view_as(want["logits"]) - want["logits"]).norm() / want["logits"].norm()
    aux_off = ((aux - want["aux_loss"]) / aux).abs()
    print(json.dumps({"logits_off": off.item(), "aux_loss_off": aux_off.item()}))
    return 0 if off < 1e-5 and aux_off < 1e-5 else 1


def main():
    o = options()
    torch.set_num_threads(o.threads)
    torch.set_flush_denormal(True)
    torch.manual_seed(7)
    if o.check:
        return check(o)
    model = Model(o)
    matrices = [p for p in model.parameters() if p.dim() >= 2]
    others = [p for p in model.parameters() if p.dim() < 2]
    optimiser = torch.optim.AdamW([{"params": matrices, "weight_decay": 0.1}, {"params": others, "weight_decay": 0.0}],
                                  lr=6e-4, fused=True)
    batches = [torch.randint(0, o.vocab, (o.batch, o.context + 1)) for _ in range(4)]

    def step(i):
        ids = batches[i % len(batches)]
        optimiser.zero_grad()
        logits, aux = model(ids[:, :-1])
        loss = F.cross_entropy(logits, ids[:, 1:].flatten()) + o.mutual * aux
        loss.backward()
        nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimiser.step()
        return loss.item()

    for i in range(o.warmup):
        step(i)
    if o.profile:
        with torch.profiler.profile() as p:
            step(0)
        print(p.key_averages().table(sort_by="self_cpu_time_total", row_limit=25), file=sys.stderr)
    seconds = []
    for i in range(o.steps):
        start = time.perf_counter()
        loss = step(i)
        seconds.append(time.perf_counter() - start)
    tokens, median = o.batch * o.context, statistics.median(seconds)
    print(json.dumps({
        "name": "torch_moduleformer" + ("_tuned" if o.tuned else "") + ("_grouped_mm" if o.grouped_type else ""),
        "torch": torch.__version__, "capability": torch.backends.cpu.get_cpu_capability(),
        "experts_in": str(o.grouped_type or torch.float32).removeprefix("torch."),
        "shape": {"n_layer": o.layers, "n_embd": o.width, "n_att_experts": o.att_experts,
                  "n_mlp_experts": o.ffn_experts, "k": o.k, "context": o.context, "vocab": o.vocab, "batch": o.batch},
        "threads": o.threads, "steps": o.steps, "loss": round(loss, 4),
        "seconds": {"min": min(seconds), "median": median},
        "seconds_per_step": median, "tokens_per_s": tokens / median}))
    return 0


if __name__ == "__main__":
    sys.exit(main())
