#!/usr/bin/env python3
"""Compares a router with scikit-learn on real text: the same windows, drawn again here.

    artel router train DATA -o ROUTER --classifier softmax --C 1 --sklearn-ids
    artel router eval ROUTER --data DATA --split test --length 128 --json >EVAL
    python3 tools/compare_router.py DATA ROUTER EVAL

prints how far weights are apart, how many windows of the test split both put into the same class, and
whether the confusion of the router's file is the one that artel printed.  Exit 1: not within a thousandth,
less than 99.99 % the same, or another confusion.
"""
import json
import pathlib
import struct
import sys
import time

import numpy
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.linear_model import LogisticRegression

from reference_model import philox

DOCUMENT_START, FAR, SAME = 4, 1e-3, 0.9999


class Shard:
    def __init__(self, path):
        head = path.read_bytes()[:144]
        width, tokens, docs = struct.unpack_from("<IQQ", head, 12)
        offset, index = struct.unpack_from("<QQ", head, 56)
        self.id = numpy.fromfile(path, f"<u{width}", tokens, offset=offset).astype(numpy.int64)
        self.start = numpy.fromfile(path, "<u8", docs + 1, offset=index)


def hash_path(text):
    h = 0xCBF29CE484222325
    for b in text.encode():
        h = (h ^ b) * 0x100000001B3 & (1 << 64) - 1
    return h


def below(n, seed, stream, index):
    low, high = philox(seed, stream, index)[:2]
    return [(int(h) << 32 | int(l)) * n >> 64 for l, h in zip(low, high)]


def draw(shard, name, least, options):
    """Training windows of a domain, as src/route/router_data.c draws them."""
    seed = int(options["seed"])
    for length in map(int, options["lengths"]):
        room = max(len(shard.id) - length, 0)
        count = min(2 * (least // length) + 32, int(options["windows"]))
        stream = hash_path(f"router/{length}/{name}")
        i = numpy.arange(count, dtype=numpy.uint64) * 2
        anywhere = below(room + 1, seed, stream, i)
        document = below(len(shard.start) - 1, seed, stream, i + numpy.uint64(1))
        for k in range(count):
            begin = int(shard.start[document[k]]) if k % DOCUMENT_START == 0 else anywhere[k]
            yield shard.id[min(begin, room) : min(begin, room) + length]


def read_router(folder):
    data = (pathlib.Path(folder) / "router.safetensors").read_bytes()
    n = struct.unpack_from("<Q", data)[0]
    head = json.loads(data[8 : 8 + n])
    meta, out = head.pop("__metadata__"), {}
    for name, t in head.items():
        a, b = t["data_offsets"]
        kind = {"F32": "<f4", "I32": "<i4"}[t["dtype"]]
        out[name] = numpy.frombuffer(data[8 + n + a : 8 + n + b], kind).reshape(t["shape"])
    return meta, out


def main():
    data, folder, printed = pathlib.Path(sys.argv[1]), sys.argv[2], json.load(open(sys.argv[3]))
    meta, tensor = read_router(folder)
    options, classes = json.loads(meta["options"]), json.loads(meta["classes"])
    train = {c: Shard(data / f"{c}.train.bin") for c in classes}
    least = min(len(s.id) for s in train.values())
    drop = set(tensor["drop"].tolist())

    def words(ids):
        return [int(i) for i in ids if int(i) not in drop]

    text, label = [], []
    for k, c in enumerate(classes):
        for ids in draw(train[c], c, least, options):
            text.append(words(ids))
            label.append(k)
    begun = time.time()
    tfidf = TfidfVectorizer(analyzer=lambda x: x)
    x = tfidf.fit_transform(text)
    model = LogisticRegression(C=options["C"], tol=1e-8, max_iter=20000).fit(x, label)
    seconds = time.time() - begun
    column = numpy.array(sorted(tfidf.vocabulary_, key=tfidf.vocabulary_.get))
    mine = tensor["weight"][:, column].astype(float)
    apart = numpy.abs(mine - model.coef_) / (1 + numpy.abs(model.coef_))
    bias = numpy.abs(tensor["bias"] - model.intercept_).max()
    print(f"{len(text)} windows, {len(column)} features, scikit-learn {seconds:.1f} s, {model.n_iter_.max()} iterations")
    print(f"weights apart by at most {apart.max():.2e} (1 + |w|), biases by {bias:.2e}")

    length, test, truth = int(printed["length"]), [], []
    for k, c in enumerate(classes):
        ids = Shard(data / f"{c}.test.bin").id
        n = len(ids) // length
        for i in (int(i / n * n) for i in range(n)):  # rounded as artel rounds
            test.append(words(ids[i * length : (i + 1) * length]))
            truth.append(k)
    y = tfidf.transform(test)
    theirs, ours = model.predict(y), (y @ mine.T + tensor["bias"]).argmax(axis=1)
    same = (theirs == ours).mean()
    confusion = numpy.zeros((len(classes), len(classes)), int)
    numpy.add.at(confusion, (truth, ours), 1)
    order = [printed["classes"].index(c) for c in classes]
    as_printed = numpy.array(printed["confusion"])[numpy.ix_(order, order)]
    print(f"{len(test)} test windows of {length}: {100 * same:.3f} % in the same class, "
          f"scikit-learn right {100 * (theirs == truth).mean():.2f} %, the router {100 * (ours == truth).mean():.2f} %")
    equal = (confusion == as_printed).all()
    print("the confusion is", "the same as" if equal else "another than", "artel's")
    return not (apart.max() < FAR and bias < FAR and same >= SAME and equal)


if __name__ == "__main__":
    sys.exit(main())
