#!/usr/bin/env python3
"""Writes tests/golden/router.json and router_rivals.json: what scikit-learn makes of small id sequences.

Oracle: TfidfVectorizer (defaults, ids as words) and one LogisticRegression(solver="liblinear") per
class; for the rivals the estimators of `rivals` below.  Run with scikit-learn installed:

    python3 tools/golden_router.py
"""
import json
import pathlib
import warnings

import numpy
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.linear_model import LogisticRegression, RidgeClassifier
from sklearn.multiclass import OneVsRestClassifier
from sklearn.naive_bayes import ComplementNB, MultinomialNB
from sklearn.neighbors import NearestCentroid
from sklearn.svm import LinearSVC

warnings.simplefilter("ignore")
CLASSES, VOCAB, C, DROP = ["en", "fr", "py"], 48, 10.0, 0
draw = numpy.random.default_rng(5)
# every class has favourites, all share the rest; the last ids never occur in training
taste = draw.dirichlet(numpy.full(VOCAB - 4, 0.6), size=len(CLASSES)) * 0.7 + 0.3 / (VOCAB - 4)


def sequences(each, low, high, unseen):
    out, labels = [], []
    for k in range(len(CLASSES)):
        for _ in range(each):
            n = int(draw.integers(low, high))
            ids = draw.choice(VOCAB - 4, size=n, p=taste[k]).tolist()
            if unseen:
                ids[int(draw.integers(n))] = VOCAB - 1
            out.append(ids)
            labels.append(k)
    return out, labels


def main():
    train, train_label = sequences(24, 4, 24, False)
    test, test_label = sequences(4, 4, 24, True)
    test.append([DROP])  # nothing left: the biases decide
    test_label.append(0)
    words = TfidfVectorizer(analyzer=lambda ids: [i for i in ids if i != DROP])
    x = words.fit_transform(train)
    model = OneVsRestClassifier(LogisticRegression(solver="liblinear", C=C, tol=1e-10, max_iter=10000))
    model.fit(x, train_label)
    idf = numpy.zeros(VOCAB)
    weight = numpy.zeros((len(CLASSES), VOCAB))
    for token, column in words.vocabulary_.items():
        idf[token] = words.idf_[column]
        for k, e in enumerate(model.estimators_):
            weight[k, token] = e.coef_[0, column]
    golden = {
        "classes": CLASSES, "vocab": VOCAB, "C": C, "drop": DROP,
        "train": train, "train_label": train_label,
        "idf": [round(float(v), 9) for v in idf],
        "weight": [[round(float(v), 7) for v in row] for row in weight],
        "bias": [round(float(e.intercept_[0]), 7) for e in model.estimators_],
        "test": test,
        "probability": [[round(float(v), 7) for v in row] for row in model.predict_proba(words.transform(test))],
        "predicted": [int(v) for v in model.predict(words.transform(test))],
    }
    path = pathlib.Path(__file__).parent.parent / "tests/golden/router.json"
    path.write_text(json.dumps(golden, separators=(",", ":")) + "\n")
    print(path, path.stat().st_size, "bytes")


def rivals():
    """Name, estimator, its C."""
    yield "softmax", LogisticRegression(C=1, tol=1e-10, max_iter=100000), 1
    yield "softmax", LogisticRegression(C=100, tol=1e-10, max_iter=100000), 100
    yield "svm", LinearSVC(C=1, tol=1e-10, max_iter=1000000), 1
    yield "ridge", RidgeClassifier(alpha=0.5, tol=1e-12, solver="sparse_cg"), 2
    yield "bayes", MultinomialNB(alpha=0.25), 4
    yield "complement-bayes", ComplementNB(alpha=0.25), 4
    yield "centroid", NearestCentroid(), 1


def weights_of(name, e):
    """Weights and biases of the score w.x + b whose largest is the class."""
    if name == "bayes":
        return e.feature_log_prob_, e.class_log_prior_
    if name == "complement-bayes":
        return e.feature_log_prob_, numpy.zeros(len(CLASSES))
    if name == "centroid":
        return e.centroids_, -0.5 * (e.centroids_**2).sum(axis=1)
    return e.coef_, e.intercept_


def as_text(ids):
    return " ".join(map(str, ids))


def rows_of(words, weight):
    out = numpy.zeros((len(CLASSES), VOCAB))
    for token, column in words.vocabulary_.items():
        out[:, int(token)] = weight[:, column]
    return [[round(float(v), 7) for v in row] for row in out]


def write_rivals():
    """Unequal classes, ids as text through the default token pattern, which drops those of one digit."""
    global draw
    draw = numpy.random.default_rng(6)
    train, label = sequences(20, 4, 24, False)
    keep = [i for i, k in enumerate(label) if not (k == 2 and i % 2)]
    train, label = [train[i] for i in keep], [label[i] for i in keep]
    test, _ = sequences(6, 4, 24, True)
    words = TfidfVectorizer()
    x = words.fit_transform(map(as_text, train))
    golden = {"classes": CLASSES, "vocab": VOCAB, "train": train, "train_label": label, "test": test, "rivals": []}
    for name, e, c in rivals():
        given = x.toarray() if name == "centroid" else x
        e.fit(given, label)
        weight, bias = weights_of(name, e)
        y = words.transform(map(as_text, test))
        row = {
            "classifier": name, "C": c, "weight": rows_of(words, weight),
            "bias": [round(float(v), 7) for v in bias],
            "predicted": [int(v) for v in e.predict(y.toarray() if name == "centroid" else y)],
        }
        if name == "softmax":
            row["probability"] = [[round(float(v), 7) for v in p] for p in e.predict_proba(y)]
        golden["rivals"].append(row)
    # bigrams, sublinear: the weights lie in hashed cells, so that only answers are compared
    two = TfidfVectorizer(ngram_range=(1, 2), sublinear_tf=True, token_pattern=r"\d+")
    e = LogisticRegression(C=10, tol=1e-10, max_iter=100000).fit(two.fit_transform(map(as_text, train)), label)
    p = e.predict_proba(two.transform(map(as_text, test)))
    golden["bigrams"] = {"C": 10, "probability": [[round(float(v), 7) for v in row] for row in p]}
    path = pathlib.Path(__file__).parent.parent / "tests/golden/router_rivals.json"
    path.write_text(json.dumps(golden, separators=(",", ":")) + "\n")
    print(path, path.stat().st_size, "bytes")


if __name__ == "__main__":
    main()
    write_rivals()
