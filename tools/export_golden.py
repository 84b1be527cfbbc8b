#!/usr/bin/env python3
"""Writes the golden files of the architecture gpt2: tests/golden/gpt2 and tests/golden/gpt2_untied.

Needs torch, transformers, safetensors (any recent versions; the files carry the versions used):

    python3 -m venv /tmp/venv && /tmp/venv/bin/pip install torch transformers safetensors
    /tmp/venv/bin/python tools/export_golden.py

Each folder is a Hugging Face model folder (config.json, model.safetensors) with golden.safetensors beside it:

    input_ids, labels  I64 [B,T]    labels are the ids themselves; the shift by one is inside the loss
    logits             F32 [B,T,V]
    loss               F32 []       mean cross entropy of the next token, nats, over B*(T-1) positions
    losses             F32 [10]     loss before each of the ten steps (losses[0] is loss)
    grad.<name>        gradient of loss with respect to the parameter <name> of model.safetensors
    step10.<name>      the parameter after ten AdamW steps on this same batch

AdamW: lr 1e-3 constant, betas 0.9 and 0.999, eps 1e-8, decay 0.1 on tensors of rank 2, none on the others, no clipping.
The model starts from the float32 parameters of model.safetensors; everything after is computed in double and rounded once
when it is stored, so what the files hold is the truth to float32, not one float32 order of summation.

One trap for whoever compares.  Adding the same vector to every key changes no attention weight, so the gradient of the key
third of `attn.c_attn.bias` is zero in exact arithmetic and rounding noise in float32.  AdamW divides noise by noise, and
after ten steps two correct float32 programs may be 1e-2 apart there.  Compare grad there against the norm of the
whole tensor, and leave entries [C, 2C) of step10.*.attn.c_attn.bias out.  `float32_gap` in the metadata is the largest
relative distance (by norm, per tensor, that third left out) between this file and torch itself run in float32.
"""
import hashlib
import json
import pathlib
import sys

import torch
import transformers
from safetensors.torch import load_file, save_file

ROOT = pathlib.Path(__file__).resolve().parent.parent / "tests" / "golden"
STEPS, BATCH, CONTEXT = 10, 2, 19
VARIANTS = {
    "gpt2": dict(vocab_size=97, n_positions=32, n_embd=24, n_layer=3, n_head=3,
                 activation_function="gelu_new", tie_word_embeddings=True),
    "gpt2_untied": dict(vocab_size=89, n_positions=24, n_embd=16, n_layer=2, n_head=2, n_inner=40,
                        activation_function="gelu", tie_word_embeddings=False),
}


def build(settings, seed):
    """A tiny model whose every parameter, bias and norm included, is far from its usual starting value."""
    config = transformers.GPT2Config(
        resid_pdrop=0.0, embd_pdrop=0.0, attn_pdrop=0.0, layer_norm_epsilon=1e-5,
        bos_token_id=0, eos_token_id=0, attn_implementation="eager", **settings)
    model = transformers.GPT2LMHeadModel(config)
    draw = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for name, p in model.named_parameters():
            centre = 1.0 if ".ln_" in name and name.endswith("weight") else 0.0
            p.copy_(centre + 0.2 * torch.randn(p.shape, generator=draw))
    return model.train()


def ten_steps(folder, ids, dtype):
    """Everything the golden file holds, computed in `dtype` from the parameters on disk."""
    model = transformers.GPT2LMHeadModel.from_pretrained(folder, attn_implementation="eager").to(dtype).train()
    named = dict(model.named_parameters())
    groups = [{"params": [p for p in named.values() if p.dim() >= 2], "weight_decay": 0.1},
              {"params": [p for p in named.values() if p.dim() < 2], "weight_decay": 0.0}]
    optimiser = torch.optim.AdamW(groups, lr=1e-3, betas=(0.9, 0.999), eps=1e-8)
    kept, losses = {}, []
    for step in range(STEPS):
        logits = model(ids).logits
        # Written out rather than left to the library, which lowers the logits to float32 for its own loss.
        loss = torch.nn.functional.cross_entropy(logits[:, :-1].flatten(0, 1), ids[:, 1:].flatten())
        optimiser.zero_grad()
        loss.backward()
        losses.append(loss.detach())
        if step == 0:
            kept["logits"], kept["loss"] = logits.detach().clone(), loss.detach().clone()
            kept.update({f"grad.{n}": p.grad.clone() for n, p in named.items()})
        optimiser.step()
    kept["losses"] = torch.stack(losses)
    kept.update({f"step10.{n}": p.detach().clone() for n, p in named.items()})
    return kept


def gap(exact, rough, width):
    """The largest relative distance by norm between two runs, and the tensor that has it."""
    worst = (0.0, "")
    for name, e in exact.items():
        r = rough[name].double()
        if name.startswith("step10.") and name.endswith("attn.c_attn.bias"):
            keep = torch.cat([torch.arange(width), torch.arange(2 * width, 3 * width)])
            e, r = e[keep], r[keep]
        worst = max(worst, (float((e - r).norm() / e.norm()), name))
    return worst


def export(name, settings, seed):
    folder = ROOT / name
    folder.mkdir(parents=True, exist_ok=True)
    for old in folder.iterdir():
        old.unlink()
    model = build(settings, seed)
    draw = torch.Generator().manual_seed(seed + 1)
    ids = torch.randint(0, settings["vocab_size"], (BATCH, CONTEXT), generator=draw)
    library_loss = float(model(ids, labels=ids).loss.detach())
    model.save_pretrained(folder)
    (folder / "generation_config.json").unlink(missing_ok=True)

    exact = ten_steps(folder, ids, torch.float64)
    assert abs(library_loss - float(exact["loss"])) < 1e-5, "not the library's own loss"
    distance, where = gap(exact, ten_steps(folder, ids, torch.float32), settings["n_embd"])
    stored = set(load_file(folder / "model.safetensors"))
    assert {n[5:] for n in exact if n.startswith("grad.")} == stored, "parameters and file disagree"

    tensors = {k: v.float().contiguous() for k, v in exact.items()}
    tensors["input_ids"] = ids
    tensors["labels"] = ids.clone()
    script = hashlib.sha256(pathlib.Path(__file__).read_bytes()).hexdigest()
    save_file(tensors, folder / "golden.safetensors", metadata={
        "script_sha256": script, "torch": torch.__version__, "transformers": transformers.__version__,
        "adamw": json.dumps({"lr": 1e-3, "beta1": 0.9, "beta2": 0.999, "eps": 1e-8,
                             "weight_decay": 0.1, "steps": STEPS}),
        "float32_gap": f"{distance:.2e} ({where})"})
    for f in folder.iterdir():
        f.chmod(0o644)
    size = sum(f.stat().st_size for f in folder.iterdir())
    print(f"{folder}: {size} bytes, loss {float(exact['loss']):.6f} -> {float(exact['losses'][-1]):.6f}, "
          f"torch in float32 is within {distance:.1e} ({where})")


def main():
    torch.manual_seed(0)
    torch.set_num_threads(1)
    for i, (name, settings) in enumerate(VARIANTS.items()):
        export(name, settings, 100 + 10 * i)
    return 0


if __name__ == "__main__":
    sys.exit(main())
