#!/usr/bin/env python3
"""Golden ids for tests/unit/test_tokenizer.c, by the `tokenizers` package (0.20 or later, PyPI).

    python tools/golden_tokenizer.py build/artel tests/golden/tokenizer

Writes train.txt, one tokenizer.json a kind (three of them trained by artel itself), cases.json (texts,
and for every tokenizer the ids the package gives them) and word.json (which characters are part of
a word).
"""
import json
import pathlib
import subprocess
import sys
import unicodedata

from tokenizers import Regex, Tokenizer, decoders, models, normalizers, pre_tokenizers, trainers

MARK = "\u2581"
CL100K = (r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}"
          r"| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+")

PROSE = {
    "en": "The keeper of the lighthouse doesn't sleep when the weather is bad. She'll climb the "
          "stairs, count the ships, and write their names in the book; that's her whole evening. "
          "When the weather is good, she sleeps, and the book stays where it's always been. "
          "\"We've seen worse,\" she says, and the ships that she has counted say so too.",
    "fr": "Le gardien du phare ne dort pas quand le temps est mauvais. Il monte l'escalier, compte "
          "les navires et écrit leurs noms dans le cahier ; c'est toute sa soirée. Aujourd'hui, "
          "à l'été finissant, le cœur léger, il s'endort près de la fenêtre où l'on voit la mer.",
    "de": "Die Wärterin des Leuchtturms schläft nicht, wenn das Wetter schlecht ist. Sie steigt "
          "die Treppe hinauf, zählt die Schiffe und schreibt ihre Namen in das große Buch; das ist "
          "ihr ganzer Abend. Übermüdet, aber fröhlich, hört sie den Regen auf den Straßen.",
    "py": "def count_ships(names, seen=None):\n    \"\"\"Count the names that are new.\"\"\"\n"
          "    seen = set() if seen is None else seen\n    for name in names:\n"
          "        if name not in seen:\n            seen.add(name)\n"
          "    return len(seen)\n\n\nclass Book:\n    def __init__(self, names):\n"
          "        self.names = list(names)\n\n    def __len__(self):\n"
          "        return len(self.names)\n",
}

TEXTS = list(PROSE.values()) + [
    "",
    " ",
    "a",
    "I'm, you're, he'd, THEY'LL, it'S, we’ve, O'Neil's, 'tis",
    "\U0001F469\u200D\U0001F469\u200D\U0001F467\u200D\U0001F466 \U0001F1EB\U0001F1F7 "
    "\U0001F44D\U0001F3FD ok\u2764\uFE0F",
    "燈塔看守人，晚安。灯台守は眠らない。등대지기는 배를 센다. ไฟประภาคาร מגדלור منارة",
    "e\u0301 a\u0308 o\u0302\u0323 n\u0303 \u0915\u093f\u0924\u093e\u092c",
    "x" + " " * 37 + "y" + "\t" * 9 + "z" + "\n" * 5 + "  \n  end   ",
    "line one\r\nline two\r\n\r\n  line three\r",
    "no\u00a0break\u202fspace \u180e vowel\u180esign next\u0085line em\u2003space "
    "ideographic\u3000space zero\u200bwidth line\u2028separator",
    "1 12 123 1234 12345 3.14159 1e-9 0xFF \u0663\u0664 \u00bd\u2167\u2460 10,000.50 2026-11-22",
    "snake_case camelCase kebab-case a+b==c != d; /* note */ #!$%&()[]{}<>~`^|\\\"'",
    "<|endoftext|>begin<|endoftext|><|endoftext|> end <|endoftext",
    "\ufeffbom \u0000nul \u007fdel \u0301alone \uffff \U0010ffff",
    "Straße STRASSE ſ 'ſ ǅ İi ıI ﬁ Ω Ω",
    MARK + "mark" + MARK + MARK + " two",
    "the " * 40 + "ships" * 20,
    "   leading and trailing   ",
]


# Trained by artel.  In the last two U+2581 of a text is encoded by its bytes, which the package
# cannot: there such a text has no ids to compare.
OURS = {
    "artel": "--vocab 380",
    "artel_words": "--vocab 420 --kind sentencepiece",
    "artel_lines": "--vocab 420 --kind sentencepiece --across-words --split-digits --coverage 99.5",
}


def pretend(path, tokenizer, change):
    """Write tokenizer.json with changes that the package's own writer would not make."""
    data = json.loads(tokenizer.to_str())
    change(data)
    path.write_text(json.dumps(data, ensure_ascii=False, indent=0) + "\n", encoding="utf-8")


def train(tokenizer, files, vocab, special, alphabet):
    trainer = trainers.BpeTrainer(vocab_size=vocab, special_tokens=special, show_progress=False,
                                  initial_alphabet=alphabet, max_token_length=16)
    tokenizer.train(files, trainer)


def byte_level(pre, normalizer=None, vocab=420):
    t = Tokenizer(models.BPE())
    t.pre_tokenizer, t.decoder = pre, decoders.ByteLevel()
    if normalizer:
        t.normalizer = normalizer
    return t, vocab, ["<|endoftext|>"], pre_tokenizers.ByteLevel.alphabet()


def strings(files, path):
    """GPT-2 as files were written for years: merges as "a b", no ignore_merges."""
    t, *rest = byte_level(pre_tokenizers.ByteLevel(add_prefix_space=False))
    train(t, files, *rest)

    def old(data):
        data["model"]["merges"] = [" ".join(m) for m in data["model"]["merges"]]
        for key in ("ignore_merges", "byte_fallback"):
            data["model"].pop(key, None)
        for i, run in enumerate(["    ", "   ", "  ", "\t\t"]):  # as CodeGen's
            data["added_tokens"].append(dict(id=420 + i, content=run, single_word=False,
                                             lstrip=False, rstrip=False, normalized=True,
                                             special=False))
    pretend(path, t, old)


def cl100k(files, path):
    pre = pre_tokenizers.Sequence([pre_tokenizers.Split(Regex(CL100K), "isolated"),
                                   pre_tokenizers.ByteLevel(False, use_regex=False)])
    t, *rest = byte_level(pre)
    train(t, files, *rest)

    def more(data):
        data["model"]["ignore_merges"] = True
        flags = [("<left>", "lstrip"), ("<right>", "rstrip"), ("ships", "single_word")]
        for i, (content, flag) in enumerate(flags):
            token = dict(id=420 + i, content=content, single_word=False, lstrip=False,
                         rstrip=False, normalized=False, special=False)
            token[flag] = True
            data["added_tokens"].append(token)
    pretend(path, t, more)


def digits_nfc(files, path):
    pre = pre_tokenizers.Sequence([pre_tokenizers.Digits(True),
                                   pre_tokenizers.ByteLevel(add_prefix_space=False)])
    t, *rest = byte_level(pre, normalizers.NFC())
    train(t, files, *rest)
    t.save(str(path), pretty=False)


def sentencepiece(files, path):
    """As Llama 2: no pre_tokenizer, so merges run over the whole text."""
    t = Tokenizer(models.BPE(unk_token="<unk>", fuse_unk=True, byte_fallback=True))
    t.pre_tokenizer = pre_tokenizers.Metaspace()  # to train by words
    special = ["<unk>", "<s>", "</s>"] + ["<0x%02X>" % b for b in range(256)]
    train(t, files, 520, special, [])

    def whole(data):
        data["pre_tokenizer"] = None
        data["added_tokens"] = data["added_tokens"][:3]
        data["normalizer"] = json.loads(normalizers.Sequence(
            [normalizers.Prepend(MARK), normalizers.Replace(" ", MARK)]).__getstate__())
        data["decoder"] = json.loads(decoders.Sequence(
            [decoders.Replace(MARK, " "), decoders.ByteFallback(), decoders.Fuse(),
             decoders.Strip(" ", 1, 0)]).__getstate__())
    pretend(path, t, whole)


def metaspace(files, path):
    """Newer SentencePiece files: Metaspace, words apart, no byte fallback."""
    t = Tokenizer(models.BPE(unk_token="<unk>"))
    t.pre_tokenizer = pre_tokenizers.Metaspace(prepend_scheme="first")
    t.decoder = decoders.Metaspace(prepend_scheme="first")
    train(t, files, 320, ["<unk>", "<s>", "</s>"], [])
    t.save(str(path), pretty=False)


def extend(ranges, p):
    if ranges and ranges[-1] == p - 1:
        ranges[-1] = p
    else:
        ranges += [p, p]


def word_ranges(path):
    """First and last of every run of characters that are part of a word: beside them a token with
    single_word is none.  All of Unicode, asked of the package; and the characters that Python knows,
    because later ones are told apart by the age of a table alone."""
    t = Tokenizer.from_file(str(path))
    ships = t.token_to_id("ships")
    word, known = [], []
    points = [p for p in range(1, 0x110000) if not 0xD800 <= p < 0xE000]
    for begin in range(0, len(points), 1 << 14):
        piece = points[begin:begin + (1 << 14)]
        found = t.encode_batch([chr(p) + "ships" for p in piece], add_special_tokens=False)
        for p, e in zip(piece, found):
            if ships not in e.ids:
                extend(word, p)
            if unicodedata.category(chr(p)) != "Cn":
                extend(known, p)
    return {"word": word, "known": known}


def main(artel, folder):
    folder = pathlib.Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    source = folder / "train.txt"
    source.write_text("\n\n".join(PROSE.values()) + "\n", encoding="utf-8")
    for name, options in OURS.items():
        subprocess.run([artel, "tokenizer", "train", "--quiet", *options.split(), "-o",
                        str(folder / f"{name}.json"), str(source)], check=True)
    kinds = dict(strings=strings, cl100k=cl100k, digits_nfc=digits_nfc,
                 sentencepiece=sentencepiece, metaspace=metaspace)
    for name, make in kinds.items():
        make([str(source)], folder / f"{name}.json")
    cases = {"texts": [t.replace("\0", "") for t in TEXTS]
             + ["a <left> b <right>  c ships shipsx xships (ships)"], "ids": {}}
    for name in [*OURS, *kinds]:
        t = Tokenizer.from_file(str(folder / f"{name}.json"))
        cases["ids"][name] = [None if "artel_" in name and MARK in text
                              else t.encode(text, add_special_tokens=False).ids
                              for text in cases["texts"]]
    (folder / "cases.json").write_text(
        json.dumps(cases, ensure_ascii=False, separators=(",", ":")) + "\n", encoding="utf-8")
    (folder / "word.json").write_text(json.dumps(word_ranges(folder / "cl100k.json"),
                                                 separators=(",", ":")) + "\n")


if __name__ == "__main__":
    main(*sys.argv[1:3])
