#!/usr/bin/env python3
"""A checkpoint of random weights in the shape of the published MoLM models, for trying what is large.

    make_molm.py DIR [--layers 24] [--k 2] [--width 1024] [--vocab 50295] [--seed 0] ...

Writes config.json and model.safetensors (BF16, with the leftover buffers attn.mask and attn.cum_weight, as the
published files have them).  The defaults are MoLM-350M-4B: 4,142,526,464 parameters, 8,360,550,400 bytes of tensors.
Needs numpy alone; memory stays below 200 MB.

Values are cut at random places from a pool of normal draws, scaled so that activations stay near 1, logits are
finite and every expert is chosen now and then.  They are not independent of one another: good for measuring, not
for statistics.
"""
import argparse
import json
import os
import struct
import sys

import numpy as np

POOL = 1 << 22


def bf16(x):
    """Bits of the nearest bfloat16, ties to even."""
    bits = np.ascontiguousarray(x, np.float32).view(np.uint32)
    return ((bits + 0x7FFF + ((bits >> 16) & 1)) >> 16).astype("<u2")


class Values:
    def __init__(self, seed):
        self.rng = np.random.default_rng(seed)
        self.normal = self.rng.standard_normal(POOL, np.float32)
        self.pools = {}

    def write(self, f, count, std):
        pool = self.pools.get(std)
        if pool is None:
            pool = self.pools[std] = np.tile(bf16(self.normal * np.float32(std)), 2)
        while count > 0:
            at, n = int(self.rng.integers(POOL)), min(count, POOL)
            f.write(pool[at:at + n].data)
            count -= n


def tensors(a):
    """(name, dtype, shape, standard deviation or a constant as ('=', value))"""
    d, hidden, ffd, r = a.width, a.att_hidden, a.ffd_hidden, a.gating
    c = a.block + a.history
    one, zero = ("=", 1.0), ("=", 0.0)
    yield "transformer.wte.weight", "BF16", [a.vocab, d], 1.0
    for i in range(a.layers):
        h = f"transformer.h.{i}."
        for ln in ("ln_1", "ln_2"):
            yield h + ln + ".weight", "BF16", [d], one
            yield h + ln + ".bias", "BF16", [d], zero
        yield h + "attn.mask", "I8", [c, c], "mask"
        yield h + "attn.cum_weight", "BF16", [c, c], "cum_weight"
        for part, experts, width in (("attn.q_proj", a.att_experts, hidden), ("mlpf", a.mlp_experts, ffd)):
            p = h + part
            yield p + ".experts.weight", "BF16", [experts, d, width], d ** -0.5
            yield p + ".output_experts.weight", "BF16", [experts, width, d], width ** -0.5
            yield p + ".gate.w_gate.0.weight", "BF16", [r, d], d ** -0.5
            yield p + ".gate.w_gate.0.bias", "BF16", [r], 0.1
            yield p + ".gate.w_gate.3.weight", "BF16", [experts, r], 4 * r ** -0.5
        if hidden != d:
            for name in ("k_proj", "v_proj"):
                yield h + f"attn.{name}.weight", "BF16", [hidden, d], d ** -0.5
                yield h + f"attn.{name}.bias", "BF16", [hidden], zero
    yield "transformer.ln_f.weight", "BF16", [d], one
    yield "transformer.ln_f.bias", "BF16", [d], zero
    yield "lm_head.weight", "BF16", [a.vocab, d], 2 * d ** -0.5


def config(a):
    out = {
        "_name_or_path": os.path.basename(os.path.normpath(a.dir)), "activation_function": "gelu_new",
        "architectures": ["ModuleFormerForCausalLM"], "att_func": "stickbreaking", "att_hidden": a.att_hidden,
        "attn_pdrop": 0, "aux_loss_type": "mi", "aux_loss_weight": 0, "block_size": a.block,
        "bos_token_id": min(50256, a.vocab - 1), "embd_pdrop": 0, "eos_token_id": min(50256, a.vocab - 1),
        "ffd_hidden": a.ffd_hidden, "gate_type": "mlp", "gating_size": a.gating, "history_length": a.history,
        "initializer_range": 0.02, "k_att": a.k, "k_mlp": a.k, "layer_norm_epsilon": 1e-05, "local_size": 1,
        "model_type": "moduleformer", "moe_pdrop": 0, "moe_type": "moe", "n_att_experts": a.att_experts,
        "n_ctx": a.history * a.layers, "n_embd": a.width, "n_head": 1, "n_layer": a.layers,
        "n_mlp_experts": a.mlp_experts, "resid_pdrop": 0, "sample_topk": 0, "tie_word_embeddings": False,
        "torch_dtype": "bfloat16", "transformers_version": "4.28.1", "universal": False, "use_cache": True,
        "vocab_size": a.vocab, "world_size": None,
    }
    return json.dumps(out, indent=2, sort_keys=True) + "\n"


def write_tensor(f, values, dtype, shape, what):
    count = int(np.prod(shape))
    if what == "mask":
        f.write(np.tril(np.ones(shape, np.int8)).tobytes())
    elif what == "cum_weight":
        f.write(bf16(np.tril(np.ones(shape, np.float32), -1)).tobytes())
    elif isinstance(what, tuple):
        f.write(bf16(np.full(count, what[1])).tobytes())
    else:
        values.write(f, count, what)


def main():
    p = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    p.add_argument("dir")
    for name, default in (("layers", 24), ("k", 2), ("width", 1024), ("att-hidden", 1024), ("ffd-hidden", 2048),
                          ("att-experts", 16), ("mlp-experts", 32), ("gating", 256), ("vocab", 50295),
                          ("block", 512), ("history", 512), ("seed", 0)):
        p.add_argument("--" + name, type=int, default=default)
    a = p.parse_args()
    # wide types first, then by name, as the safetensors package lays them out
    entries = sorted(tensors(a), key=lambda t: (t[1] != "BF16", t[0]))
    head, at, parameters = {"__metadata__": {"format": "pt"}}, 0, 0
    for name, dtype, shape, what in entries:
        count = int(np.prod(shape))
        n = count * (2 if dtype == "BF16" else 1)
        head[name] = {"dtype": dtype, "shape": shape, "data_offsets": [at, at + n]}
        at += n
        parameters += 0 if what in ("mask", "cum_weight") else count
    text = json.dumps(head, separators=(",", ":")).encode()
    text += b" " * (-len(text) % 8)
    os.makedirs(a.dir, exist_ok=True)
    values = Values(a.seed)
    with open(os.path.join(a.dir, "model.safetensors"), "wb") as f:
        f.write(struct.pack("<Q", len(text)) + text)
        for name, dtype, shape, what in entries:
            write_tensor(f, values, dtype, shape, what)
    with open(os.path.join(a.dir, "config.json"), "w") as f:
        f.write(config(a))
    print(f"{a.dir}: {len(entries)} tensors, {parameters} parameters, {at} bytes of tensors", file=sys.stderr)


if __name__ == "__main__":
    main()
