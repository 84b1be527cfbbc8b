"""Runs on tables, written a second time: rows to numbers, splits, epochs, a mixture of perceptrons, the best validation.

Formulas come from docs/tables.md and the comments of src/data/features.h, src/data/split.h, src/train/task.h.
"""
import csv
import hashlib

import autograd.numpy as np
import numpy
from autograd.tracer import getval

from reference_model import DROPOUT, WORD, Pass, below, hash_path, log_softmax, normal, permute, rand64, uniform, INIT, ROUTE

BATCH, SPLIT = 2, 10  # streams
MISSING = {"", "?", "na", "n/a", "nan", "null"}
DEFAULTS = dict(label=None, categories=[], ignore=[], scale="standard", validation=0.2, test_share=0.2, split_seed=-1, rows=0,
                epochs=100, evaluate=1, patience=20, best="accuracy")
MLP = dict(hidden_size=32, n_layer=1, n_experts=4, k=0, activation_function="relu", gate_type="softmax", gate_temperature=1.0,
           hidden_pdrop=0.0, mixes="logits", initializer_range=1.0)


def rounded(share, n, most):
    return min(int(numpy.floor(share * n + 0.5)), most)


class Table:
    """The rows of a CSV file with a header, for a label."""

    def __init__(self, path, t, seed, classes):
        cells = list(csv.reader(path.open()))
        names, rows = cells[0], cells[1:]
        label = names.index(t["label"]) if t["label"] else len(names) - 1
        numbers = [not any(r[j].lower() not in MISSING and not self.number(r[j]) for r in rows) for j in range(len(names))]
        of = [r[label] for r in rows]
        seed = seed if t["split_seed"] < 0 else t["split_seed"]
        parts = self.split(of if classes else ["0"] * len(rows), t, seed)
        self.classes = sorted({of[i] for i in parts[0]}) if classes else []
        columns = []
        for j, name in enumerate(names):
            if j == label or name in t["ignore"]:
                continue
            levels = name in t["categories"] or not numbers[j]
            columns += self.column([r[j] for r in rows], parts[0], levels, t["scale"])
        x = numpy.stack(columns, 1).astype(numpy.float32).astype(float)
        if classes:
            y = numpy.array([self.classes.index(v) if v in self.classes else -1 for v in of])
        else:
            y = numpy.array([float(v) for v in of])
            mean, spread = y[parts[0]].mean(), y[parts[0]].std()
            y = ((y - mean) / spread).astype(numpy.float32).astype(float)
        self.part = [(x[p], y[p]) for p in parts]
        self.inputs, self.outputs = x.shape[1], len(self.classes) or 1

    @staticmethod
    def number(s):
        try:
            return float(s) is not None
        except ValueError:
            return False

    @staticmethod
    def split(of, t, seed):
        """Training, validation, test; class by class in a drawn order."""
        train, validation, test = [], [], []
        for c in sorted(set(of)):
            if c.lower() in MISSING:
                continue
            rows = sorted((i for i, v in enumerate(of) if v == c), key=lambda i: rand64(seed, SPLIT, i))
            n = len(rows)
            a = rounded(t["test_share"], n, n - 1)
            b = rounded(t["validation"], n, n - 1 - a)
            test += rows[:a]
            validation += rows[a:a + b]
            left = rows[a + b:]
            train += [((k + 0.5) / len(left), i) for k, i in enumerate(left)]
        train = [i for _, i in sorted(train)][:t["rows"] or None]
        return sorted(train), sorted(validation), sorted(test)

    @staticmethod
    def column(cells, train, levels, scale):
        gone = numpy.array([c.lower() in MISSING for c in cells])
        missing = [gone.astype(float)] if any(gone[train]) else []
        if levels:
            known = sorted({cells[i] for i in train if not gone[i]})
            return [numpy.array([float(c == k and not g) for c, g in zip(cells, gone)]) for k in known] + missing
        v = numpy.array([0.0 if g else float(c) for c, g in zip(cells, gone)])
        there = numpy.sort(numpy.array([v[i] for i in train if not gone[i]]))
        if scale == "quantile":
            n = min(101, len(there))
            knots = numpy.array([there[i * (len(there) - 1) // (n - 1)] for i in range(n)])
            low, high = numpy.searchsorted(knots, v, "left"), numpy.searchsorted(knots, v, "right")
            between = numpy.clip(low - 1, 0, n - 2)
            step = (v - knots[between]) / numpy.where(knots[between + 1] > knots[between], knots[between + 1] - knots[between], 1)
            at = numpy.where(low == high, numpy.where(low == 0, 0, numpy.where(low == n, n - 1, low - 1 + step)),
                             (low + high - 1) / 2)
            v = (2 * at / (n - 1) - 1) * numpy.sqrt(3)
        elif scale == "standard":
            v = (v - there.mean()) / there.std()
        return [numpy.where(gone, 0, v)] + missing


class Mixture:
    """Perceptrons and a gate over them."""
    arch = "mlp_moe"

    def __init__(self, section, inputs, outputs, seed):
        c = self.c = {**MLP, **{k: v for k, v in section.items() if k != "arch"}}
        assert c["n_experts"] > 1 and c["gate_type"] == "softmax" and c["hidden_pdrop"] == 0
        E, sizes = c["n_experts"], [inputs] + [c["hidden_size"]] * c["n_layer"] + [outputs]
        self.p = {}
        for i, (a, b) in enumerate(zip(sizes, sizes[1:])):
            six = c["activation_function"] == "relu" and i < c["n_layer"]
            self.draw(seed, f"mlp.experts.{i}.weight", (E, a, b), c["initializer_range"] * numpy.sqrt((6 if six else 3) / a))
            self.p[f"mlp.experts.{i}.bias"] = numpy.zeros((E, b))
        self.draw(seed, "mlp.gate.weight", (E, inputs), c["initializer_range"] * numpy.sqrt(1 / inputs), even=False)
        self.p["mlp.gate.bias"] = numpy.zeros(E)

    def draw(self, seed, path, shape, spread, even=True):
        n, stream = int(numpy.prod(shape)), INIT ^ (hash_path(path) << 8 & WORD)
        x = 2 * uniform(seed, stream, numpy.arange(n)) - 1 if even else normal(seed, stream, numpy.arange(n))
        self.p[path] = (spread * x).astype(numpy.float32).astype(float).reshape(shape)

    def forward(self, r, p, x, others=0):
        """Logits; r keeps what the experts of each row say, those that do not answer last."""
        c, E = self.c, self.c["n_experts"]
        logits = (np.dot(x, np.transpose(p["mlp.gate.weight"])) + p["mlp.gate.bias"]) / c["gate_temperature"]
        logp = log_softmax(logits)
        order = numpy.argsort(-numpy.asarray(getval(logp)), 1, kind="stable")
        k = c["k"] or E
        pick = order[:, :k]
        if k < E:
            ranked = numpy.take_along_axis(numpy.asarray(getval(logp)), order, 1)
            r.margin = min(r.margin, float(numpy.min(ranked[:, k - 1] - ranked[:, k])))
        rows = numpy.arange(len(x))[:, None]
        chosen = np.exp(logp)[rows, pick]
        gates = chosen / np.sum(chosen, 1, keepdims=True)
        r.routers.append(("feed_forward", np.exp(logp), logp, logits, pick))
        h = np.stack([x] * E, 0)
        for i in range(c["n_layer"] + 1):
            h = np.einsum("eni,eio->eno", h, p[f"mlp.experts.{i}.weight"]) + p[f"mlp.experts.{i}.bias"][:, None, :]
            if i < c["n_layer"]:
                assert c["activation_function"] == "relu"
                if r.train:  # at 0 the gradient jumps
                    r.margin = min(r.margin, 5 * float(numpy.min(numpy.abs(numpy.asarray(getval(h))))))
                h = np.maximum(h, 0)
        h = np.transpose(h, (1, 0, 2))
        said = h[rows, pick]
        r.answers = said
        held = said, gates
        if others:
            r.draws += 1
            more = numpy.zeros((len(x), others), int)
            for i, row in enumerate(pick):
                left = [j for j in range(E) if j not in row]
                for t in range(others):
                    more[i, t] = left.pop(below(len(left), r.seed, ROUTE + (r.draws << 8), i * others + t))
            held = np.concatenate([said, h[rows, more]], 1), np.concatenate([gates, numpy.zeros(more.shape)], 1)
        r.experts.append(held)
        if c["mixes"] == "probabilities":
            return np.log(np.sum(gates[:, :, None] * np.exp(log_softmax(said)), 1))
        return np.sum(gates[:, :, None] * said, 1)


def table_run(base):
    """A Run (of reference_runs.py) whose data are rows."""

    class TableRun(base):
        def __init__(self, recipe, root, aux_weights, defaults):
            self.recipe, self.seed, self.margin = recipe, recipe.get("seed", 0), numpy.inf
            self.classify = recipe["task"] == "classify"
            w = self.table = {**DEFAULTS, **recipe.get("table", {})}
            t = self.t = {**defaults, **recipe["train"]}
            self.rows = Table(root / recipe["data"]["train"], w, self.seed, self.classify)
            self.model = Mixture(recipe["model"], self.rows.inputs, self.rows.outputs, self.seed)
            self.n = len(self.rows.part[0][0])
            self.per_step = t["batch"] * t["accumulate"]
            epoch = -(-self.n // self.per_step)
            t["steps"] = t["steps"] or w["epochs"] * epoch
            if w["evaluate"]:
                t["eval_every"] = w["evaluate"] * epoch
            self.weights = aux_weights(recipe, self.model)
            self.d = self.teacher = self.turns = self.alpha = self.trunks = None
            self.frozen = set()
            self.stepped = dict.fromkeys(self.model.p, 0)
            self.m = {k: numpy.zeros_like(v) for k, v in self.model.p.items()}
            self.v = {k: numpy.zeros_like(v) for k, v in self.model.p.items()}
            self.mean, self.seen, self.kept, self.since = 0.0, 0, None, 0

        def batch_at(self, index):
            at = []
            for g in range(index * self.t["batch"], (index + 1) * self.t["batch"]):
                at.append(permute(g % self.n, self.n, rand64(self.seed, BATCH, g // self.n), BATCH))
            x, y = self.rows.part[0]
            return x[at], y[at]

        def loss_of_answers(self, answers, y):
            if self.classify:
                return -np.mean(log_softmax(answers)[numpy.arange(len(y)), y])
            return np.mean((answers[:, 0] - y) ** 2)

        def step_loss(self, p, step, report):
            passes, ces, alone = [], [], []
            w = self.weights
            for i in range(self.t["accumulate"]):
                index = step * self.t["accumulate"] + i
                x, y = self.batch_at(index)
                r = Pass(True, rand64(self.seed, DROPOUT, index))
                out = self.model.forward(r, p, x, w["mutual_extra"] if w["mutual_distillation"] else 0)
                ces.append(self.loss_of_answers(out, y))
                alone.append(sum(self.loss_of_answers(r.answers[:, j], y) for j in range(r.answers.shape[1])) / r.answers.shape[1])
                passes.append(r)
            aux, alone, ce = self.aux_of(passes, step, report), sum(alone) / len(alone), sum(ces) / len(ces)
            if w["expert_label"]:
                aux = aux + w["expert_label"] * alone
                report.update(expert_label=float(getval(alone)))
            report.update(ce=float(getval(ce)), kd=None, aux=float(getval(aux)), passes=passes)
            return ce + aux

        def validate(self, step):
            x, y = self.rows.part[1]
            r = Pass(False)
            out = numpy.asarray(self.model.forward(r, self.model.p, x))
            self.margin = min(self.margin, r.margin)
            loss, score = float(self.loss_of_answers(out, y)), float(numpy.mean(numpy.argmax(out, 1) == y)) if self.classify else 0.0
            mark = (score if self.table["best"] == "accuracy" else 0, -loss)
            self.since += 1
            if self.kept is None or mark > self.kept[0]:
                self.kept, self.since = (mark, {k: v.copy() for k, v in self.model.p.items()}), 0
            line = dict(step=step, tokens=step * self.per_step, domain="all", val_loss=loss)
            return [dict(line, val_accuracy=score) if self.classify else line]

        def done(self):
            return 0 < self.table["patience"] <= self.since

        def conclude(self):
            if self.kept:
                self.model.p = self.kept[1]

    return TableRun
