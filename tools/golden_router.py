#!/usr/bin/env python3
"""Writes tests/golden/router.json: what scikit-learn makes of small id sequences.

Oracle: TfidfVectorizer (defaults, ids as words) and one LogisticRegression(solver="liblinear") per
class.  Run with scikit-learn installed:  python3 tools/golden_router.py
"""
import json
import pathlib
import warnings

import numpy
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.linear_model import LogisticRegression
from sklearn.multiclass import OneVsRestClassifier

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


if __name__ == "__main__":
    main()
