#!/usr/bin/env python3
"""What gradient-boosted trees reach on the rows that artel trains and tests with: scikit-learn's HistGradientBoosting.

    python bench/peers/trees.py [--artel build/artel] [--tables DIR] [--seeds 5] [--first 1] [--small] [NAME...]

For each table of DIR/tables.tsv (tools/tables.sh) and each seed, `artel train` makes the split and `artel predict --inputs`
writes it: trees read the same numbers of the same rows.  --small learns from as few rows as the lab does (ROWS below).  The
number of trees and of leaves a tree is chosen by validation accuracy, and the test rows are asked once.  Prints a JSON line a
table: mean and standard deviation over seeds of accuracy, or of R2 where the label is a number.  Needs scikit-learn.
"""
import argparse
import csv
import json
import os
import statistics
import subprocess
import sys
import tempfile

os.environ.setdefault("OMP_NUM_THREADS", "1")  # before it is loaded: threads that wait spin
import numpy
from sklearn.ensemble import HistGradientBoostingClassifier, HistGradientBoostingRegressor

ROWS = {"digits": 300, "segment": 300, "satellite": 600, "dna": 600, "letter": 2000, "fashion-mnist": 3000}
LEAVES = (7, 31)
TREES = 200


def parts(o, row, seed):
    with tempfile.TemporaryDirectory() as work:
        path = os.path.join(o.tables, row["file"])
        run = [o.artel, "train", path, "--label", row["label"], "-o", os.path.join(work, "run"), "-q", "--threads", "1",
               "--set", f"seed={seed}", "--set", "train.steps=1", "--set", "table.evaluate=0"]
        if row["classes"] == "0":
            run.append("--regress")
        if row["ignore"] != "-":
            run += ["--set", f"table.ignore=[{row['ignore']}]"]
        if o.small and row["name"] in ROWS:
            run += ["--set", f"table.rows={ROWS[row['name']]}"]
        subprocess.run(run, check=True, stdout=subprocess.DEVNULL)
        text = subprocess.run([o.artel, "predict", os.path.join(work, "run", "model"), path, "--inputs", "-q"],
                              check=True, stdout=subprocess.PIPE, text=True).stdout
    lines = list(csv.reader(text.splitlines()))[1:]
    found = []
    for part in ("train", "validation", "test"):
        mine = [line for line in lines if line[0] == part]
        y = [line[1] for line in mine]
        y = numpy.array(y if row["classes"] != "0" else [float(v) for v in y])
        found.append((numpy.array([line[2:] for line in mine], numpy.float32), y))
    return found


def score(model, x, y, classes):
    """The score after each number of trees."""
    for said in model.staged_predict(x):
        yield (said == y).mean() if classes else 1 - ((said - y) ** 2).sum() / ((y - y.mean()) ** 2).sum()


def best_of(row, seed, data):
    (x, y), (vx, vy), (tx, ty) = data
    classes = row["classes"] != "0"
    kind = HistGradientBoostingClassifier if classes else HistGradientBoostingRegressor
    best = None
    for leaves in LEAVES:
        model = kind(max_iter=TREES, max_leaf_nodes=leaves, early_stopping=False, random_state=seed).fit(x, y)
        scores = list(score(model, vx, vy, classes))
        at = max(range(len(scores)), key=lambda i: scores[i])
        if best is None or scores[at] > best[0]:
            best = scores[at], list(score(model, tx, ty, classes))[at]
    return best[1]


def main():
    arguments = argparse.ArgumentParser()
    arguments.add_argument("--artel", default="build/artel")
    arguments.add_argument("--tables", default=os.path.expanduser("~/.cache/artel/tables"))
    arguments.add_argument("--seeds", type=int, default=5)
    arguments.add_argument("--first", type=int, default=1)
    arguments.add_argument("--small", action="store_true")
    arguments.add_argument("names", nargs="*")
    o = arguments.parse_args()
    with open(os.path.join(o.tables, "tables.tsv")) as f:
        rows = {row["name"]: row for row in csv.DictReader(f, delimiter="\t")}
    for name in o.names or rows:
        if name not in rows:
            sys.exit(f"trees: {o.tables}/tables.tsv has no table {name}: tools/tables.sh -o {o.tables} {name}")
        found = [best_of(rows[name], seed, parts(o, rows[name], seed)) for seed in range(o.first, o.first + o.seeds)]
        print(json.dumps({"name": name, "seeds": len(found), "mean": round(statistics.mean(found), 4),
                          "deviation": round(statistics.stdev(found), 4) if len(found) > 1 else None,
                          "what": "R2" if rows[name]["classes"] == "0" else "accuracy"}), flush=True)


if __name__ == "__main__":
    main()
