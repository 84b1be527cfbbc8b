#!/usr/bin/env python3
"""Writes tests/golden/runs/expected.json: whole training runs, worked out a second time from their recipes.

    python3 -m venv /tmp/venv && /tmp/venv/bin/pip install numpy scipy autograd pyyaml
    /tmp/venv/bin/python tools/reference_runs.py [--only NAME]
    /tmp/venv/bin/python tools/reference_runs.py --data build/artel      makes tests/golden/runs/data anew

A run is done in float64 from nothing but its recipe and the data set: initial values, windows, dropout, choices of experts,
losses, gradients (autograd), clipping, learning rates, AdamW, validation, evaluation.  tests/unit/test_runs.c has artel do
the same runs and compares every line of metrics, the final parameters, the evaluations.  Every key of the sections train,
distill, losses and table has a run that differs from its base in this key, so that a key that were ignored is noticed.

Choices of experts are steps: where two experts are nearly as probable, float32 may choose the other one and the runs part.
So no run may come nearer to such a tie than MARGIN; take another seed where one does.
"""
import argparse
import copy
import fnmatch
import json
import pathlib
import random
import shutil
import subprocess
import tempfile

import autograd
import autograd.numpy as np
import numpy
import yaml

from reference_cases import CASES, PLANS
from reference_model import (COMMON, DROPOUT, OWN_TEXT, POLICY, SAMPLE, Data, Model, Pass, Sampler, eval_windows,
                             log_softmax, rand64, uniform)
from reference_tables import table_run
from autograd.tracer import getval

ROOT = pathlib.Path(__file__).resolve().parent.parent
RUNS = ROOT / "tests" / "golden" / "runs"
MARGIN = 1e-5  # in log-probability, a tenth of it where experts are drawn; float32 is off by less than a tenth of either
CALM = 2e-3    # nats between a loss and the limit of the spike guard

DEFAULTS = {
    "train": dict(steps=0, tokens=0, batch=8, context=256, history=0, stretch=0, windows="auto", pool_min=1, pool_max=0, accumulate=1, optimizer="adamw", lr=6e-4,
                  schedule="cosine", warmup=0.05, floor=0.1, weight_decay=0.1, beta1=0.9, beta2=0.95, eps=1e-8,
                  momentum=0.95, muon_scale=0.2, clip=1.0, spike=3.0, eval_every=200, eval_windows=32, save_every=200,
                  keep=2),
    "distill": dict(loss="forward_kl", warmup_loss="forward_kl", warmup_steps=0, token_weight="none", temperature=2.0,
                    skew=0.1, alpha=0.5, alpha_rule="fixed", alpha_end=1.0, schedule="combined", on_policy=0.0, on_policy_prompt=0, scope="step",
                    alpha_sees="past"),
    "losses": dict(mutual_information=0.0, concentration=0.0, switch=0.0, z=0.0, attention=1.0, feed_forward=1.0,
                   scope="micro_batch", mutual_distillation=0.0, mutual_end=1.0, mutual_form="variance",
                   mutual_temperature=1.0, mutual_detach=True, mutual_layers=[],
                   mutual_extra=0, expert_label=0.0),
}


def read_recipe(path, assignments):
    recipe = yaml.safe_load((RUNS / path).read_text())
    for a in assignments:
        key, value = a.split("=", 1)
        section = recipe
        *parents, name = key.split(".")
        for parent in parents:
            section = section.setdefault(parent, {})
        if value == "":  # back to the default
            section.pop(name, None)
        else:
            section[name] = yaml.safe_load(value)
    for section in recipe.values():  # YAML 1.1 takes 1e-3 for text
        for k, v in section.items() if isinstance(section, dict) else ():
            if isinstance(v, str):
                try:
                    section[k] = float(v)
                except ValueError:
                    pass
    return recipe


# ---- losses ---------------------------------------------------------------------------------------------------------


def cross_entropy(logp, label):
    return -np.mean(logp[numpy.arange(label.size), label.reshape(-1)])


def token_weights(student, teacher, kind, tau, label):
    """How hard each token is, without a gradient."""
    at = numpy.arange(label.size), label.reshape(-1)
    if kind == "surprise":
        return -log_softmax(getval(student))[at]
    return 1 - numpy.exp(log_softmax(teacher / tau)[at]) if kind == "teacher" else numpy.ones(label.size)


def divergence(student, teacher, kind, tau, skew, weight):
    p, q = log_softmax(student / tau), log_softmax(teacher / tau)

    def kl(x, y):
        return np.exp(x) * (x - y)

    def mixed(x, y, share):
        return np.logaddexp(x + np.log(share), y + np.log(1 - share))

    each = {
        "forward_kl": lambda: kl(q, p),
        "reverse_kl": lambda: kl(p, q),
        "soft_ce": lambda: -np.exp(q) * p,
        "js": lambda: (kl(p, mixed(p, q, 0.5)) + kl(q, mixed(p, q, 0.5))) / 2,
        "skew_kl": lambda: kl(q, mixed(q, p, skew)),
        "skew_reverse_kl": lambda: kl(p, mixed(p, q, skew)),
    }[kind]()
    return tau * tau * np.sum(weight * np.sum(each, 1)) / np.sum(weight)


def of_top(student, teacher, kind, tau, skew, k, weight):
    """The same of a teacher whose k most probable tokens are known: the rest is one token, or spread evenly over the others."""
    V = teacher.shape[1]
    p, q = log_softmax(student / tau), log_softmax(teacher / tau)
    order = numpy.argsort(-teacher, axis=1, kind="stable")
    top = numpy.zeros(teacher.shape, bool)
    numpy.put_along_axis(top, order[:, :k], True, 1)
    left = numpy.log(numpy.sum(numpy.where(top, 0, numpy.exp(q)), 1)) if k < V else None
    if kind not in ("forward_kl", "soft_ce"):
        spread = q if k == V else numpy.where(top, q, (left - numpy.log(V - k))[:, None])
        return divergence(student, tau * spread, kind, tau, skew, weight)
    own = 1 if kind == "forward_kl" else 0
    each = np.sum(numpy.where(top, numpy.exp(q), 0) * (own * q - p), 1)
    if k < V:
        each = each + numpy.exp(left) * (own * left - np.log(np.sum(np.where(top, 0, np.exp(p)), 1)))
    return tau * tau * np.sum(weight * each) / np.sum(weight)


def router_loss(weights, kind, probability, logp, logits, pick):
    """Weighted sum of the four losses of one router over the tokens given."""
    E, load = probability.shape[1], np.mean(probability, 0)
    share = numpy.bincount(pick.reshape(-1), minlength=E) / pick.size
    lse = (logits - logp)[:, 0]
    values = {
        "mutual_information": lambda: np.sum(load * np.log(load + 1e-8)) - np.mean(np.sum(probability * logp, 1)),
        "concentration": lambda: -np.sum(load * np.log(np.where(load > 0, load, 1))),
        "switch": lambda: E * np.sum(load * share),
        "z": lambda: np.mean(lse**2),
    }
    return weights[kind] * sum(weights[k] * f() for k, f in values.items() if weights[k])


def peers_loss(weights, experts):
    """Mutual distillation, mean over the layers that have it; every output against every other one, or a teacher."""
    still = getval if weights["mutual_detach"] else lambda x: x
    form, tau, values = weights["mutual_form"], weights["mutual_temperature"], []
    for layer, (y, gates) in enumerate(experts):
        if weights["mutual_layers"] and layer not in weights["mutual_layers"]:
            continue
        k, C = y.shape[1:]
        share = (gates / np.sum(gates, 1, keepdims=True))[:, :, None]
        kappa = 4.0 if k == 2 else 1.0
        if form == "kl":
            p = log_softmax(y / tau)
            teacher = still(p)
            values.append(tau * tau * sum(np.mean(np.sum(np.exp(teacher[:, i]) * (teacher[:, i] - p[:, j]), 1))
                                          for i in range(k) for j in range(k) if i != j) / (k * (k - 1)))
        elif form in ("variance", "centred"):  # over pairs
            z = y - np.mean(y, 2, keepdims=True) if form == "centred" else y
            values.append(kappa * sum(np.mean((z[:, i] - z[:, j]) ** 2) for i in range(k) for j in range(i)) / k**2)
        elif form == "gated":
            values.append(kappa * np.mean((1 - still(share)) * (y - still(np.mean(y, 1, keepdims=True))) ** 2))
        else:
            values.append(kappa * np.mean((y - still(np.sum(share * y, 1, keepdims=True))) ** 2))
    return sum(values) / len(values) if values else 0.0


def aux_weights(recipe, model):
    """Those of the recipe, or else of the model's configuration."""
    if "losses" in recipe:
        return {**DEFAULTS["losses"], **recipe["losses"]}
    w = dict(DEFAULTS["losses"])
    if model.arch == "moduleformer":
        c = model.c
        own = {"mutual_information": 1.0} if c["aux_loss_type"] == "mi" else {"switch": 1.0, "z": 0.1}
        w.update({k: v * c["aux_loss_weight"] for k, v in own.items()})
    return w


def aux_loss(weights, passes):
    """Of all micro-batches of a step."""
    if weights["scope"] == "step":
        together = [[np.concatenate(x, 0) for x in zip(*(r.routers[i][1:] for r in passes))]
                    for i in range(len(passes[0].routers))]
        return sum((router_loss(weights, passes[0].routers[i][0], *x) for i, x in enumerate(together)), 0.0)
    return sum((router_loss(weights, *router) for r in passes for router in r.routers), 0.0) / len(passes)


# ---- alpha ----------------------------------------------------------------------------------------------------------


def follower(values, k):
    """Exponential mean: what is k values old has about a seventh of the newest one's weight."""
    out = [values[0]]
    for x in values[1:]:
        out.append(out[-1] + 2 / (k + 1) * (x - out[-1]))
    return out


class Alpha:
    """Weight of the text, from all losses so far."""

    def __init__(self, distill, steps):
        self.d, self.steps, self.ce, self.kd, self.norms = distill, steps, [], [], []

    def observe(self, ces, kds, norms):
        one = self.d["scope"] == "micro_batch"
        self.ce += ces if one else [numpy.mean(ces)]
        self.kd += kds if one else [numpy.mean(kds)]
        self.norms += norms if one else [numpy.mean(norms, 0)]

    def gradient_norm(self, first):
        if not self.norms:
            return first
        ce, kd = follower(self.norms, max(20, self.steps // 100))[-1]
        return first / ce / (first / ce + (1 - first) / kd)

    def adaptive(self, first):
        k = max(20, self.steps // 100)
        if len(self.ce) < k:
            return first
        w = [1 - numpy.clip((h[-1] - h[-k]) / numpy.mean(h[-k:]), 0, 1) for h in (self.ce, self.kd)]
        return w[0] / sum(w) if any(w) else 0.5

    def slopes(self, first):
        k, change = max(20, self.steps // 10), []
        for h in (self.ce, self.kd):
            if not h:
                return first
            u = follower(h, k)
            v = follower(u, k)[-1]
            change.append(numpy.clip(2 * k / (k - 1) * (u[-1] - v) / v, -1, 1))
        odds = first * numpy.exp(change[0]) / (1 - first) / numpy.exp(change[1])
        return odds / (1 + odds)

    def at(self, step, own, index):
        d, first = self.d, self.d["alpha"]
        if d["schedule"] == "alternating":
            return 1.0 - (own if d["scope"] == "step" else index) % 2
        if d["alpha_rule"] == "anneal":
            return first + (d["alpha_end"] - first) * step / (self.steps - 1)
        rules = {"fixed": lambda a: a, "adaptive": self.adaptive, "slopes": self.slopes, "gradient_norm": self.gradient_norm}
        return rules[d["alpha_rule"]](first)


# ---- a run ----------------------------------------------------------------------------------------------------------


def schedule(t, step):
    up = t["warmup"] * t["steps"]
    if step < up:
        return (step + 1) / (up + 1)
    done = min((step - up) / (t["steps"] - up), 1) if t["steps"] > up else 1
    if t["schedule"] == "constant":
        return 1.0
    left = 1 - done if t["schedule"] == "linear" else (1 + numpy.cos(numpy.pi * done)) / 2
    return t["floor"] + (1 - t["floor"]) * left


TABLES = ("wte", "wpe", "lm_head", "embed", "head")  # embeddings, positions, heads


def muon(t, lr, p, u):
    """By singular values: what five iterations of products make of each of them."""
    left, s, right = numpy.linalg.svd(u, full_matrices=False)
    s = s / numpy.linalg.norm(s)
    for _ in range(5):
        s = 3.4445 * s - 4.7750 * s**3 + 2.0315 * s**5
    return p - lr * t["weight_decay"] * p - lr * t["muon_scale"] * numpy.sqrt(max(p.shape)) * (left * s) @ right


class Teachers:
    """What those of a recipe say of a batch, as logits at its temperature."""

    def __init__(self, distill, models, capture):
        one = dict(model=distill.get("teacher"), weight=1.0, domains=[])
        self.all = [{**one, **t} for t in distill.get("teachers", [one])]
        for t in self.all:
            t["net"] = models[t["model"].lstrip("@")]
        self.tau, self.top = distill["temperature"], capture and capture["top_k"]

    def logits(self, ids, domains):
        if len(self.all) == 1 and not self.all[0]["domains"]:
            net = self.all[0]["net"]
            return net.logits(Pass(False), net.p, ids)
        out = []
        for row, name in zip(ids, domains):
            speak = [t for t in self.all if not t["domains"] or name in t["domains"]]
            q = sum(t["weight"] * numpy.exp(log_softmax(t["net"].logits(Pass(False), t["net"].p, row[None]) / self.tau))
                    for t in speak) / sum(t["weight"] for t in speak)
            out.append(self.tau * numpy.log(q))
        return numpy.concatenate(out)

    def flops(self, ids):
        """Of a batch in which every domain has its share."""
        r = Pass(False)
        self.all[0]["net"].logits(r, self.all[0]["net"].p, ids)
        return r.flops


class Run:
    def __init__(self, recipe, data, models, capture=None):
        self.recipe, self.data, self.margin = recipe, data, numpy.inf
        self.seed = recipe.get("seed", 0)
        self.domains = recipe["data"].get("domains") or data.names
        t = self.t = {**DEFAULTS["train"], **recipe["train"]}
        self.per_step = t["batch"] * t["context"] * t["accumulate"]
        t["steps"] = t["steps"] or -(-t["tokens"] // self.per_step)
        if "init" in recipe:
            source = models[recipe["init"]]
            self.model = Model({"arch": source.arch, **source.c}, data.vocab)
            self.model.p = {k: v.astype(numpy.float32).astype(float) for k, v in source.p.items()}
        else:
            own = {"modules": self.domains} if recipe["model"]["arch"] == "trunks" else {}
            self.model = Model({**own, **recipe["model"]}, data.vocab)
            self.model.randomise(self.seed)
        self.d = {**DEFAULTS["distill"], **recipe["distill"]} if "distill" in recipe else None
        self.teacher = Teachers(self.d, models, capture) if self.d else None
        self.turns = self.d and self.d["schedule"] == "alternating"
        self.alpha = Alpha(self.d, t["steps"]) if self.d else None
        self.weights = aux_weights(recipe, self.model)
        globs = recipe.get("freeze", [])
        self.frozen = {k for k in self.model.p if any(fnmatch.fnmatchcase(k, g) for g in globs)}
        self.trunks = self.model.arch == "trunks"
        turns = self.trunks or recipe["data"].get("mix") == "turns"
        self.lanes = t["batch"] * t["accumulate"] if t["history"] else 0
        stretch = t["stretch"] or 4 * -(-t["history"] // t["context"])
        self.sampler = Sampler(data, self.domains, self.seed, t["batch"], t["context"], self.lanes, stretch,
                               recipe["data"].get("weights"), t["accumulate"] if turns else 0,
                               t["windows"] == "aligned" or (t["windows"] == "auto" and capture))
        self.stepped = dict.fromkeys(self.model.p, 0)
        self.history = [{} for _ in range(t["accumulate"])]
        self.m = {k: numpy.zeros_like(v) for k, v in self.model.p.items()}
        self.v = {k: numpy.zeros_like(v) for k, v in self.model.p.items()}
        self.mean = 0.0
        self.seen = 0  # steps whose loss is in the mean

    def active(self, step):
        """The trunk of the step's domain and the common one, which some steps leave out."""
        if not self.trunks:
            return None
        c = self.model.c
        common = c["common"] and not uniform(self.seed, COMMON, [step])[0] < c["common_dropout"]
        return [self.sampler.own(step)[0]] + ["common"] * common

    def write(self, ids, prompt, index):
        """The model goes on after the first tokens of each sequence, one draw a token."""
        ids = numpy.array(ids)
        for b, row in enumerate(ids):
            seed = rand64(self.seed, OWN_TEXT, index * len(ids) + b)
            for t in range(prompt, len(row)):
                logits = self.model.logits(Pass(False), self.model.p, row[None, :t])[-1]
                order = numpy.argsort(-logits, kind="stable")
                reach = numpy.cumsum(numpy.exp(log_softmax(logits[None])[0][order]))
                draw = uniform(seed, SAMPLE, [t])[0]
                assert numpy.min(abs(reach - draw)) > 1e-6, "float32 could draw another token"
                row[t] = order[numpy.searchsorted(reach, draw)]
        return ids

    def aux_of(self, passes, step, report):
        """What routers and experts add to the loss of a step."""
        aux, w = aux_loss(self.weights, passes), self.weights
        if w["mutual_distillation"]:
            mutual = sum(peers_loss(w, r.experts) for r in passes) / len(passes)
            left = 1 + (w["mutual_end"] - 1) * step / (self.t["steps"] - 1)
            aux = aux + w["mutual_distillation"] * left * mutual
            report.update(mutual=float(getval(mutual)))
        return aux

    def done(self):
        return False

    def conclude(self):
        pass

    def step_loss(self, p, step, report):
        t, passes, losses, ces, kds, alphas, norms = self.t, [], [], [], [], [], []
        trial = copy.deepcopy(self.alpha)
        for i in range(t["accumulate"]):
            index = step * t["accumulate"] + i
            ids, label, walked = self.sampler.batch_at(index)
            rows = slice(None)
            if report["own_text"]:
                prompt = self.d["on_policy_prompt"] or max(1, t["context"] // 4)
                ids = self.write(ids, prompt, index)
                label = ids[:, prompt:]
                rows = numpy.arange(ids.size).reshape(ids.shape)[:, prompt - 1:-1].reshape(-1)
            r = Pass(True, rand64(self.seed, DROPOUT, index))
            r.pool = (t["pool_min"], t["pool_max"], t["batch"]) if t["pool_max"] else None
            r.active = self.active(step)
            if self.weights["mutual_distillation"]:
                r.others, r.other_layers = self.weights["mutual_extra"], self.weights["mutual_layers"]
            if t["history"]:
                kept = [min(w * t["context"], t["history"]) for w in walked]
                r.history = dict(length=t["history"], kept=kept, now=self.history[i], new={})
            logits = self.model.logits(r, p, ids)[rows]
            ce, kd = cross_entropy(log_softmax(logits), label), 0.0
            loss = ce
            if self.teacher:
                own = self.sampler.own(step)[1] if self.sampler.step else step
                turn = (step, own, own * t["accumulate"] + i)
                if self.turns and self.alpha.at(*turn) == 1 and not report["own_text"]:  # the text's turn
                    kd = None
                    alphas.append(1.0)
                else:
                    taught = self.teacher.logits(ids, self.sampler.domains_at(index))[rows]
                    kind = self.d["loss" if step >= self.d["warmup_steps"] else "warmup_loss"]
                    weight = token_weights(logits, taught, self.d["token_weight"], self.d["temperature"], label)
                    numbers = self.d["temperature"], self.d["skew"]
                    of_kd = lambda z: (of_top(z, taught, kind, *numbers, self.teacher.top, weight) if self.teacher.top else
                                       divergence(z, taught, kind, *numbers, weight))
                    of_ce = lambda z: cross_entropy(log_softmax(z), label)
                    norms.append(numpy.array([numpy.linalg.norm(autograd.grad(f)(getval(logits))) for f in (of_ce, of_kd)]))
                    kd = of_kd(logits)
                    if self.d["alpha_sees"] == "own":
                        trial.observe([getval(ce)], [getval(kd)], norms[-1:])
                    alphas.append(0.0 if report["own_text"] else trial.at(*turn))
                    loss = alphas[-1] * ce + (1 - alphas[-1]) * kd
            passes.append(r)
            losses.append(loss)
            ces.append(getval(ce))
            kds += [] if kd is None else [getval(kd)]
        aux = self.aux_of(passes, step, report)
        report.update(ce=float(np.mean(ces)), kd=float(np.mean(kds)) if kds else None, aux=float(getval(aux)),
                      passes=passes)
        if self.teacher:  # the guard against spikes sees the loss as if alpha had stayed
            report.update(alpha=float(numpy.mean(alphas)), ces=ces, kds=kds, norms=norms)
            if not self.turns:
                by_first = [(self.d["alpha"] - a) * (c - k) for a, c, k in zip(alphas, ces, kds)]
                report.update(by_first=float(numpy.mean(by_first)))
            else:  # the text's
                report.update(steady=report["ce"] + report["aux"])
        return sum(losses) / len(losses) + aux

    def update(self, gradient, norm, lr, step):
        t = self.t
        scale = t["clip"] / norm if 0 < t["clip"] < norm else 1.0
        for k, p in self.model.p.items():
            if k in self.frozen or (self.trunks and k.startswith("trunks.") and k.split(".")[1] not in self.active(step)):
                continue
            if k.endswith(".combine") and len(self.active(step)) == 1:
                continue
            self.stepped[k] += 1
            g = gradient[k] * scale
            if t["optimizer"] == "muon" and p.ndim >= 2 and not any(x in k for x in TABLES):
                for i in range(len(p)) if p.ndim == 3 else [...]:
                    if numpy.any(g[i]):
                        self.m[k][i] = t["momentum"] * self.m[k][i] + g[i]
                        self.model.p[k][i] = muon(t, lr, p[i], g[i] + t["momentum"] * self.m[k][i])
                continue
            self.m[k] = t["beta1"] * self.m[k] + (1 - t["beta1"]) * g
            self.v[k] = t["beta2"] * self.v[k] + (1 - t["beta2"]) * g * g
            decay = lr * t["weight_decay"] * p if p.ndim >= 2 else 0.0
            m = self.m[k] / (1 - t["beta1"] ** self.stepped[k])
            v = self.v[k] / (1 - t["beta2"] ** self.stepped[k])
            self.model.p[k] = p - decay - lr * m / (numpy.sqrt(v) + t["eps"])

    def log(self, step, loss, report, lr, norm):
        line = dict(step=step + 1, tokens=(step + 1) * self.per_step, loss=loss)
        if self.teacher:
            line.update({"own_text": True} if report["own_text"] else dict(ce=report["ce"]), alpha=report["alpha"])
            line.update({} if report["kd"] is None else dict(kd=report["kd"]))
        kinds = [self.weights[k] * self.weights[f] for k in ("mutual_information", "concentration", "switch", "z")
                 for f in ("attention", "feed_forward")]
        if any(kinds):
            line.update(ce=report["ce"], aux=report["aux"])
        for key in ("mutual", "expert_label"):
            if key in report:
                line.update({"ce": report["ce"], "aux": report["aux"], key: report[key]})
        passes = report["passes"]
        if passes[0].routers:
            entropy, dead = 0.0, 0
            for i, router in enumerate(passes[0].routers):
                E = router[1].shape[1]
                share = sum(numpy.bincount(r.routers[i][4].reshape(-1), minlength=E) for r in passes)
                share = share / share.sum()
                some = share[share > 0]
                entropy -= float(numpy.sum(some * numpy.log(some))) / numpy.log(E) / len(passes[0].routers)
                dead += int(numpy.sum(share < 0.01 / E))
            line.update(load_entropy=entropy, dead_experts=dead)
        return dict(line, lr=lr, grad_norm=norm)

    def loss_of(self, tokens, context, limit, active=None):
        """Sum of nats, tokens predicted, bytes they stand for."""
        nats, count, size = 0.0, 0, 0
        for w in eval_windows(tokens, context, limit):
            if len(w) < 2:
                continue
            r = Pass(False)
            r.active = active
            logp = log_softmax(self.model.logits(r, self.model.p, w[None, :-1]))
            self.margin = min(self.margin, r.margin)
            nats += float(cross_entropy(logp, w[1:])) * (len(w) - 1)
            count += len(w) - 1
            size += sum(self.data.bytes[int(i)] for i in w[1:])
        return numpy.array([nats, count, size])

    def reach(self, context):
        context = context or 1024
        c = self.model.c.get("trunk", self.model.c)
        return min(context, c.get("n_positions", context))

    def validate(self, step):
        t, out, all_of = self.t, [], numpy.zeros(3)
        for name in self.domains:
            active = [name] + ["common"] * self.model.c["common"] if self.trunks else None
            e = self.loss_of(self.data.tokens[name, "validation"], self.reach(t["context"]), t["eval_windows"], active)
            out.append(dict(step=step, tokens=step * self.per_step, domain=name, val_loss=e[0] / e[1]))
            all_of += e
        return out + [dict(step=step, tokens=step * self.per_step, domain="all", val_loss=all_of[0] / all_of[1])]

    def evaluate(self, split, context, windows):
        out, all_of = [], numpy.zeros(3)
        for name in self.data.names + ["all"]:
            e = all_of
            if name != "all":
                e = self.loss_of(self.data.tokens[name, split], self.reach(context), windows)
                all_of = all_of + e
            out.append(dict(domain=name, tokens=int(e[1]), route_on=0, loss=e[0] / e[1], ppl=float(numpy.exp(e[0] / e[1])),
                            bits_per_byte=e[0] / numpy.log(2) / e[2]))
        return out

    def run(self, whole=False, show=False):
        t, metrics, saved = self.t, [], []
        for step in range(t["steps"]):
            if self.done():
                break
            report = dict(own_text=bool(self.d) and uniform(self.seed, POLICY, [step])[0] < self.d["on_policy"])
            loss, gradient = autograd.value_and_grad(self.step_loss)(self.model.p, step, report)
            loss = float(loss)
            norm = float(numpy.sqrt(sum(numpy.sum(g * g) for k, g in gradient.items() if k not in self.frozen)))
            self.margin = min([self.margin] + [r.margin for r in report["passes"]])
            steady = report.get("steady", loss + report.get("by_first", 0.0))
            above = steady - self.mean - t["spike"]
            if show:
                print(f"  {step + 1:4d}  loss {loss:.4f}  norm {norm:.3f}  above the mean {steady - self.mean:+.4f}"
                      f"  alpha {report.get('alpha', 1):.4f}")
            if t["spike"] > 0 and self.seen >= 20 and not report["own_text"]:
                assert abs(above) > CALM, f"step {step + 1}: {above} from the limit of the spike guard"
                if above > 0:
                    return dict(status="spike", metrics=metrics, checkpoints=saved[-t["keep"]:])
            lr = t["lr"] * float(schedule(t, step))
            self.update(gradient, norm, lr, step)
            if t["history"]:
                for i, r in enumerate(report["passes"]):
                    self.history[i] = r.history["new"]
            if not report["own_text"]:
                self.seen += 1
                self.mean += (steady - self.mean) / min(self.seen, 50)
            if self.teacher and not self.turns and not report["own_text"]:
                self.alpha.observe(report["ces"], report["kds"], report["norms"])
            metrics.append(self.log(step, loss, report, lr, norm))
            last = step + 1 == t["steps"]
            if last or (t["eval_every"] and (step + 1) % t["eval_every"] == 0):
                metrics += self.validate(step + 1)
            if last or (t["save_every"] and (step + 1) % t["save_every"] == 0):
                saved.append(step + 1)
        self.conclude()
        return dict(status="ok", metrics=metrics, checkpoints=saved[-t["keep"]:], loss_mean=self.mean,
                    parameters=self.sketch(whole))

    def sketch(self, whole):
        """Of each parameter its norm, and its share along a direction that tells one place from another; or of all together."""
        one = {k: [float(numpy.linalg.norm(v)), float(numpy.dot(v.reshape(-1), w) / numpy.linalg.norm(w))]
                for k, v, w in ((k, v, numpy.arange(v.size) % 7 - 2.0) for k, v in sorted(self.model.p.items()))}
        if whole:
            one = {"all": [float(numpy.linalg.norm([x[0] for x in one.values()])), float(sum(x[1] for x in one.values()))]}
        return one


# ---- what a step costs ----------------------------------------------------------------------------------------------


def plan(recipe, data, models):
    """Multiplications and additions of the products of one run, counted where they are done: forward once, backward twice."""
    run = Run(recipe, data, models)
    t, r = run.t, Pass(False)
    r.active = run.active(0)
    if t["history"]:
        width, B = run.model.c["att_hidden"], t["batch"]
        now = {(i, j): numpy.zeros((B, t["history"], width)) for i in range(run.model.c["n_layer"]) for j in range(2)}
        r.history = dict(length=t["history"], kept=[t["history"]] * B, now=now, new={})
    ids = numpy.zeros((t["batch"], t["context"]), int)
    run.model.logits(r, run.model.p, ids)
    flops = 3 * r.flops
    if run.teacher:
        flops += run.teacher.flops(ids)
    return dict(parameters=run.model.numel(), steps=t["steps"], tokens=t["steps"] * run.per_step,
                flops=float(flops * t["accumulate"] * t["steps"]))


# ---- data -----------------------------------------------------------------------------------------------------------


def make_data(artel):
    """Three languages nobody speaks, each with syllables of its own and some of all."""
    shared = "an to re li".split()
    own = {"aa": "mi no ta ke lo ra su".split(), "bb": "zu vog dri kep fal wix bru".split(),
           "cc": "sha que pli ost enn ack ouv".split()}
    draw = random.Random(7)
    with tempfile.TemporaryDirectory() as work:
        for name, syllables in own.items():
            folder = pathlib.Path(work) / name
            folder.mkdir()
            words = ["".join(draw.choices(syllables + shared, k=draw.randint(1, 3))) for _ in range(60)]
            for i in range(60):
                lines = [" ".join(draw.choices(words, k=draw.randint(12, 20))).capitalize() + "." for _ in range(2)]
                (folder / f"{i:02d}.txt").write_text("\n\n".join(lines) + "\n")
        shutil.rmtree(RUNS / "data", ignore_errors=True)
        domains = [x for name in own for x in ("--domain", f"{name}={name}")]
        subprocess.run([pathlib.Path(artel).resolve(), "data", "build", *domains, "--vocab", "320", "--split", "0.6,0.2,0.2",
                        "--seed", "3", "-q", "-o", RUNS / "data"], check=True, cwd=work)


# ---- all of them ----------------------------------------------------------------------------------------------------


def rounded(x):
    if isinstance(x, dict):
        return {k: rounded(v) for k, v in x.items()}
    if isinstance(x, list):
        return [rounded(v) for v in x]
    return float(f"{x:.8g}") if isinstance(x, float) else x


def main():
    o = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    o.add_argument("--data", metavar="ARTEL", help="make the data set anew with this program")
    o.add_argument("--only", metavar="NAME", help="show one run, write nothing")
    o = o.parse_args()
    if o.data:
        make_data(o.data)
    data, models, cases, plans = Data(RUNS / "data"), {}, [], []
    for case in CASES:
        recipe = read_recipe(case["recipe"], case["set"])
        if recipe.get("task") in ("classify", "regress"):
            run = table_run(Run)(recipe, ROOT, aux_weights, DEFAULTS["train"])
        else:
            run = Run(recipe, data, models, case.get("capture"))
        case["models"] = {k: v for k, v in (("init", recipe.get("init")),
                                            ("distill.teacher", recipe.get("distill", {}).get("teacher"))) if v}
        expect = run.run(case["base"] is not None, case["name"] == o.only)
        assert run.margin > MARGIN, f"{case['name']}: an expert was chosen by {run.margin}"
        if expect["status"] == "ok":
            models[case["name"]] = run.model
            expect["eval"] = [run.evaluate(*e) for e in case.get("eval", [])]
        cases.append(dict(case, expect=expect))
        last = [m for m in expect["metrics"] if "loss" in m][-1]
        print(f"{case['name']:24s} {expect['status']:6s} loss {last['loss']:.4f} norm {last['grad_norm']:.3f}"
              f" margin {run.margin:.1e}", flush=True)
    if o.only:
        return
    for p in PLANS:
        recipe = read_recipe(p["recipe"], p["set"])
        if "distill" in recipe:
            p["models"] = {"distill.teacher": recipe["distill"]["teacher"]}
        plans.append(dict(p, expect=plan(recipe, data, models)))
    lines = ",\n".join(json.dumps(rounded(c), separators=(",", ":")) for c in cases)
    planned = ",\n".join(json.dumps(rounded(p), separators=(",", ":")) for p in plans)
    defaults = json.dumps(DEFAULTS, separators=(",", ":"))
    (RUNS / "expected.json").write_text(f'{{"defaults":{defaults},\n"cases":[\n{lines}],\n"plans":[\n{planned}]}}\n')
    print(f"{len(cases)} runs, {len(plans)} plans, {(RUNS / 'expected.json').stat().st_size} bytes")


if __name__ == "__main__":
    main()
