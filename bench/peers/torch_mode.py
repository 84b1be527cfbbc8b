#!/usr/bin/env python3
"""Small mixtures of perceptrons on tables in plain PyTorch on the CPU: the baseline of many `artel train` of them.

    python bench/peers/torch_mode.py --data FOLDER [--jobs 2] [--check]

FOLDER has a file for each run, NAME.csv as `artel predict MODEL FILE --inputs` writes it and NAME.json with what
bench/peers/mode.sh says of the run: hidden, lr, epochs, alpha, seed, experts, batch.  So both learn from the same numbers, parted
alike.  Runs are shared among --jobs processes of one thread each; what is timed is training alone, from data in memory to
the test accuracy of the best validation, without importing PyTorch and reading files.  Prints one JSON object.

All experts are one product in the first layer and one batched product in the second; nothing loops over them.  AdamW is
the fused one, a validation follows each epoch, and the model of the best one is kept, as artel does it.
"""
import argparse
import glob
import json
import multiprocessing
import os
import time

import numpy
import torch
from torch import nn
from torch.nn import functional as F


class Mixture(nn.Module):
    def __init__(self, inputs, hidden, classes, experts):
        super().__init__()
        self.experts, self.hidden = experts, hidden
        self.first = nn.Linear(inputs, experts * hidden)
        self.second = nn.Parameter(torch.empty(experts, hidden, classes))
        self.bias = nn.Parameter(torch.zeros(experts, 1, classes))
        self.gate = nn.Linear(inputs, experts)
        with torch.no_grad():
            self.first.weight.uniform_(-1, 1).mul_((6 / inputs) ** 0.5)
            self.first.bias.zero_()
            self.second.uniform_(-1, 1).mul_((3 / hidden) ** 0.5)
            self.gate.weight.normal_().mul_(inputs ** -0.5)
            self.gate.bias.zero_()

    def forward(self, x):
        hidden = F.relu(self.first(x)).view(-1, self.experts, self.hidden).transpose(0, 1)
        said = torch.baddbmm(self.bias, hidden, self.second)  # [K, B, C]
        gates = torch.softmax(self.gate(x), 1).t().unsqueeze(2)
        return (gates * said).sum(0), said


def learn(run, parts):
    torch.manual_seed(run["seed"])
    (x, y), (vx, vy), (tx, ty) = parts
    model = Mixture(x.shape[1], run["hidden"], int(max(y.max(), vy.max(), ty.max())) + 1, run["experts"])
    optimiser = torch.optim.AdamW(model.parameters(), lr=run["lr"], betas=(0.9, 0.999), weight_decay=0, fused=True)
    steps, alpha, best, kept = 0, run["alpha"], None, None
    for _ in range(run["epochs"]):
        order = torch.randperm(len(y))
        for rows in order.split(run["batch"]):
            logits, said = model(x[rows])
            loss = F.cross_entropy(logits, y[rows])
            if alpha:
                loss = loss + alpha * (said - said.mean(0)).square().mean()
            optimiser.zero_grad()
            loss.backward()
            optimiser.step()
            steps += 1
        with torch.inference_mode():
            logits, _ = model(vx)
            score = ((logits.argmax(1) == vy).float().mean().item(), -F.cross_entropy(logits, vy).item())
        if best is None or score > best:
            best, kept = score, [p.detach().clone() for p in model.parameters()]
    with torch.inference_mode():
        for p, value in zip(model.parameters(), kept):
            p.copy_(value)
        return (model(tx)[0].argmax(1) == ty).float().mean().item(), steps


def read(path):
    table = numpy.loadtxt(path, delimiter=",", dtype=str, skiprows=1)
    classes = {c: i for i, c in enumerate(sorted(set(table[:, 1])))}
    y = torch.tensor([classes[c] for c in table[:, 1]])
    x = torch.from_numpy(table[:, 2:].astype(numpy.float32))
    return [(x[m], y[m]) for m in (torch.from_numpy(table[:, 0] == part) for part in ("train", "validation", "test"))]


def worker(names, ready, go, out):
    torch.set_num_threads(1)
    work = [(os.path.basename(n)[:-5], json.load(open(n)), read(n[:-5] + ".csv")) for n in names]
    learn(dict(work[0][1], epochs=1), work[0][2])  # what is made on first use
    ready.put(1)
    go.wait()
    for name, run, parts in work:
        out.put((name, *learn(run, parts)))


def main():
    arguments = argparse.ArgumentParser()
    arguments.add_argument("--data", required=True)
    arguments.add_argument("--jobs", type=int, default=2)
    o = arguments.parse_args()
    names = sorted(glob.glob(os.path.join(o.data, "*.json")))
    context = multiprocessing.get_context("spawn")
    ready, out, go = context.Queue(), context.Queue(), context.Event()
    jobs = [context.Process(target=worker, args=(names[i :: o.jobs], ready, go, out)) for i in range(o.jobs)]
    for j in jobs:
        j.start()
    for _ in jobs:
        ready.get()
    began = time.perf_counter()
    go.set()
    results = [out.get() for _ in names]
    seconds = time.perf_counter() - began
    for j in jobs:
        j.join()
    sets = {}
    for name, accuracy, _ in results:
        sets.setdefault(name.split("-")[0], []).append(accuracy)
    print(json.dumps({"name": "torch " + torch.__version__, "runs": len(results), "jobs": o.jobs, "seconds": round(seconds, 3),
                      "steps": sum(r[2] for r in results),
                      "accuracy": {k: round(sum(v) / len(v), 4) for k, v in sorted(sets.items())}}))


if __name__ == "__main__":
    main()
