#!/usr/bin/env python3
"""The sequence router beside detectors of languages, on the same texts.

    python3 bench/peers/languages.py DATA ROUTER [--artel build/artel] [--windows N] [--lengths 8,16,32,64,128]
                                     [--domains en,fr,de] [--cld2 libcld2.so.0]

Windows of the test split of DATA, evenly spread over each domain, are decoded, and every program gets the same
text.  py3langid and lingua are told which languages there can be; CLD2 and the router cannot be: whatever else
they answer is wrong, and the router has more classes than these.  Needs py3langid and lingua-language-detector;
CLD2 (Debian: apt-get download libcld2-0 && dpkg -x libcld2-0_*.deb DIR) is left out where its library is not found.

Prints processor and versions, then a line a program and length: share of right answers, and texts a second.  The
router's speed is that of a process a text, which reads router and tokenizer each time; `artel router eval --speed`
is what it does once they are read.
"""
import argparse
import ctypes
import importlib.metadata
import json
import pathlib
import struct
import subprocess
import time


class Shard:
    def __init__(self, path):
        data = path.read_bytes()
        width, n = struct.unpack_from("<IQ", data, 12)
        offset = struct.unpack_from("<Q", data, 56)[0]
        self.n, self.id = n, memoryview(data)[offset : offset + width * n].cast({2: "H", 4: "I"}[width])


def byte_of_letter():
    """GPT-2's letters of a byte-level vocabulary."""
    plain = [*range(33, 127), *range(161, 173), *range(174, 256)]
    letter = {b: chr(b) for b in plain}
    letter.update((b, chr(256 + i)) for i, b in enumerate(b for b in range(256) if b not in plain))
    return {c: b for b, c in letter.items()}


def reader(folder):
    tokenizer = json.loads((folder / "tokenizer.json").read_text())
    added = {t["id"] for t in tokenizer["added_tokens"]}
    byte = byte_of_letter()
    piece = {i: bytes(byte[c] for c in s) for s, i in tokenizer["model"]["vocab"].items() if i not in added}
    return lambda ids: b"".join(piece.get(i, b"\n") for i in ids).decode("utf-8", "ignore").strip()


def router(artel, folder):
    def ask(text):
        done = subprocess.run([artel, "router", "explain", folder, "--json", "--", text], capture_output=True, check=True)
        return json.loads(done.stdout)["class"]
    return ask


def py3langid(languages):
    from py3langid.langid import MODEL_FILE, LanguageIdentifier
    detector = LanguageIdentifier.from_model_file(MODEL_FILE)
    detector.set_languages(languages)
    return lambda text: detector.classify(text)[0]


def lingua(languages):
    from lingua import IsoCode639_1, LanguageDetectorBuilder
    codes = [getattr(IsoCode639_1, c.upper()) for c in languages]
    detector = LanguageDetectorBuilder.from_iso_codes_639_1(*codes).build()

    def ask(text):
        found = detector.detect_language_of(text)
        return found.iso_code_639_1.name.lower() if found else None
    return ask


def cld2(path):
    """CLD2::DetectLanguage and CLD2::LanguageCode by their names in the library."""
    library = ctypes.CDLL(path)
    detect = library["_ZN4CLD214DetectLanguageEPKcibPb"]
    detect.argtypes = [ctypes.c_char_p, ctypes.c_int, ctypes.c_bool, ctypes.POINTER(ctypes.c_bool)]
    code = library["_ZN4CLD212LanguageCodeENS_8LanguageE"]
    code.restype, code.argtypes = ctypes.c_char_p, [ctypes.c_int]

    def ask(text):
        data, sure = text.encode(), ctypes.c_bool()
        return code(detect(data, len(data), True, ctypes.byref(sure))).decode()
    return ask


def version(package):
    try:
        return f"{package} {importlib.metadata.version(package)}"
    except importlib.metadata.PackageNotFoundError:
        return f"{package} (not installed)"


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("data", type=pathlib.Path)
    parser.add_argument("router")
    parser.add_argument("--artel", default="build/artel")
    parser.add_argument("--windows", type=int, default=300)
    parser.add_argument("--lengths", default="8,16,32,64,128")
    parser.add_argument("--domains", default="en,fr,de")
    parser.add_argument("--cld2", default="libcld2.so.0")
    o = parser.parse_args()
    domains, read = o.domains.split(","), reader(o.data)
    programs = {"artel": router(o.artel, o.router), "py3langid": py3langid(domains), "lingua": lingua(domains)}
    try:
        programs["CLD2"] = cld2(o.cld2)
    except OSError as e:
        print(f"CLD2 is left out: {e}")
    cpu = [line.split(":")[1].strip() for line in open("/proc/cpuinfo") if line.startswith("model name")]
    print(f"{cpu[0] if cpu else 'unknown processor'}; {version('py3langid')}, {version('lingua-language-detector')}")
    shards = {d: Shard(o.data / f"{d}.test.bin") for d in domains}
    for length in map(int, o.lengths.split(",")):
        texts = []
        for d, s in shards.items():
            whole = s.n // length
            use = min(whole, o.windows)
            texts += [(d, read(s.id[i * whole // use * length :][:length])) for i in range(use)]
        texts = [(d, t) for d, t in texts if t]
        for name, ask in programs.items():
            begun = time.perf_counter()
            right = sum(ask(t) == d for d, t in texts)
            seconds = time.perf_counter() - begun
            print(f"{length:5d} tokens  {name:10s} {100 * right / len(texts):6.2f} % of {len(texts)} texts  "
                  f"{len(texts) / seconds:8.0f} texts/s", flush=True)


if __name__ == "__main__":
    main()
