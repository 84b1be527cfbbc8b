#!/usr/bin/env python3
"""Golden file for test_bleu: two texts made here, line by line, and what sacreBLEU says of them.

    golden_bleu.py FOLDER       writes text.txt, reference.txt and expected.json
    golden_bleu.py TEXT REFERENCE   prints what sacreBLEU says of two files
"""
import json
import random
import sys

import sacrebleu

WORDS = ("le la un une der die das und the a of to file fichier Datei Café naïve Größe 日本語 42 3.14 1,000 10-12 U.S.A. "
         "e.g. «x» \"q\" it's l'eau --all foo/bar &amp; &lt;b&gt; x&quot;y a_b {z} [k] c:\\d 50% $5 ... !? ;-) — … ½").split()


def line(rng):
    words = [rng.choice(WORDS) for _ in range(rng.randrange(0, 14))]
    for i in range(len(words)):
        if rng.random() < 0.15:
            words[i] += rng.choice([".", ",", "!", "-", "'", ":"])
    return rng.choice([" ", " ", "  ", "\u00a0", "\t"]).join(words)


def worse(rng, text):
    words = text.split(" ")
    for _ in range(rng.randrange(0, 4)):
        i = rng.randrange(len(words))
        words[i] = rng.choice(WORDS) if rng.random() < 0.6 else ""
    return " ".join(words)


def judge(text, reference):
    b = sacrebleu.corpus_bleu(text, [reference])
    lines = [{"bleu": sacrebleu.corpus_bleu([t], [[r]]).score, "chrf": sacrebleu.corpus_chrf([t], [[r]]).score}
             for t, r in zip(text, reference)]
    return {"bleu": b.score, "brevity": b.bp, "precision": b.precisions, "words": b.sys_len, "reference_words": b.ref_len,
            "chrf": sacrebleu.corpus_chrf(text, [reference]).score, "lines": lines}


def read(path):
    with open(path, encoding="utf-8", newline="\n") as f:
        return f.read().rstrip("\n").split("\n")


if len(sys.argv) == 3:
    result = judge(read(sys.argv[1]), read(sys.argv[2]))
    del result["lines"]
    print(json.dumps(result))
else:
    rng = random.Random(5)
    reference = [line(rng) for _ in range(60)]
    text = [worse(rng, r) for r in reference]
    for name, lines in (("text.txt", text), ("reference.txt", reference)):
        with open(f"{sys.argv[1]}/{name}", "w", encoding="utf-8", newline="\n") as f:
            f.write("\n".join(lines) + "\n")
    with open(f"{sys.argv[1]}/expected.json", "w", encoding="utf-8") as f:
        json.dump(judge(text, reference), f, indent=0)
