#!/usr/bin/env python3
"""One training step of a GPT-2 shaped model in PyTorch on the CPU: the baseline of `artel bench step`.

    python bench/peers/torch_gpt2.py --threads 2 [--steps 8] [--warmup 2] [--compile] [--layers 6 --width 384 ...]

The model is the same as artel's: learned positions, pre-norm blocks, tanh GELU, one packed query-key-value product,
fused causal attention, head tied to the embedding, mean cross entropy.  A step is zero gradients, forward, backward,
clip the gradient's norm at 1, AdamW (decay on matrices only).  float32 throughout, dropout 0, random token ids.
Prints one JSON object; needs torch and nothing else.
"""
import argparse
import json
import statistics
import sys
import time

import torch
from torch import nn
from torch.nn import functional as F


class Block(nn.Module):
    def __init__(self, width, heads):
        super().__init__()
        self.heads = heads
        self.norm_att = nn.LayerNorm(width)
        self.qkv = nn.Linear(width, 3 * width)
        self.out = nn.Linear(width, width)
        self.norm_mlp = nn.LayerNorm(width)
        self.up = nn.Linear(width, 4 * width)
        self.down = nn.Linear(4 * width, width)

    def forward(self, x):
        B, T, C = x.shape
        packed = self.qkv(self.norm_att(x)).view(B, T, 3, self.heads, C // self.heads)
        q, k, v = packed.permute(2, 0, 3, 1, 4)
        y = F.scaled_dot_product_attention(q, k, v, is_causal=True)
        x = x + self.out(y.transpose(1, 2).reshape(B, T, C))
        return x + self.down(F.gelu(self.up(self.norm_mlp(x)), approximate="tanh"))


class Model(nn.Module):
    def __init__(self, vocab, positions, width, layers, heads):
        super().__init__()
        self.token = nn.Embedding(vocab, width)
        self.place = nn.Embedding(positions, width)
        self.blocks = nn.ModuleList(Block(width, heads) for _ in range(layers))
        self.norm = nn.LayerNorm(width)
        for p in self.parameters():
            if p.dim() >= 2:
                nn.init.normal_(p, std=0.02)

    def forward(self, ids, labels):
        x = self.token(ids) + self.place.weight[: ids.shape[1]]
        for block in self.blocks:
            x = block(x)
        logits = F.linear(self.norm(x), self.token.weight)
        return F.cross_entropy(logits.flatten(0, 1), labels.flatten())


def options():
    o = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    o.add_argument("--threads", type=int, default=2)
    o.add_argument("--steps", type=int, default=8, help="timed steps")
    o.add_argument("--warmup", type=int, default=2, help="steps before the clock starts")
    o.add_argument("--layers", type=int, default=6)
    o.add_argument("--width", type=int, default=384)
    o.add_argument("--heads", type=int, default=6)
    o.add_argument("--context", type=int, default=256)
    o.add_argument("--vocab", type=int, default=8192)
    o.add_argument("--batch", type=int, default=8)
    o.add_argument("--compile", action="store_true", help="torch.compile the model first (needs a C++ compiler)")
    return o.parse_args()


def main():
    o = options()
    torch.set_num_threads(o.threads)
    torch.manual_seed(7)
    model = Model(o.vocab, o.context, o.width, o.layers, o.heads)
    matrices = [p for p in model.parameters() if p.dim() >= 2]
    others = [p for p in model.parameters() if p.dim() < 2]
    optimiser = torch.optim.AdamW([{"params": matrices, "weight_decay": 0.1}, {"params": others, "weight_decay": 0.0}],
                                  lr=6e-4, fused=True)
    run = torch.compile(model) if o.compile else model
    batches = [torch.randint(0, o.vocab, (o.batch, o.context + 1)) for _ in range(4)]

    def step(i):
        ids = batches[i % len(batches)]
        optimiser.zero_grad()
        loss = run(ids[:, :-1], ids[:, 1:])
        loss.backward()
        nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimiser.step()
        return loss.item()

    for i in range(o.warmup):
        step(i)
    seconds = []
    for i in range(o.steps):
        start = time.perf_counter()
        loss = step(i)
        seconds.append(time.perf_counter() - start)
    tokens, median = o.batch * o.context, statistics.median(seconds)
    print(json.dumps({
        "name": "torch_gpt2" + ("_compiled" if o.compile else ""), "torch": torch.__version__,
        "capability": torch.backends.cpu.get_cpu_capability(),
        "shape": {"n_layer": o.layers, "n_embd": o.width, "n_head": o.heads, "context": o.context,
                  "vocab": o.vocab, "batch": o.batch},
        "threads": o.threads, "steps": o.steps, "loss": round(loss, 4),
        "seconds": {"min": min(seconds), "median": median},
        "seconds_per_step": median, "tokens_per_s": tokens / median}))
    return 0


if __name__ == "__main__":
    sys.exit(main())
