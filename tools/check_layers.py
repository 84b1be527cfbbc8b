#!/usr/bin/env python3
"""Who may include whom.  Names the line of every breach and exits 1."""
import pathlib
import re
import sys

ENGINE = ["base", "tensor", "kernel", "run", "op", "nn"]
MAY = {  # folder under src/ -> folders it may include besides itself
    "base": [],
    "kernel": ["base"],
    "tensor": ["base"],
    "run": ["base", "tensor", "kernel"],
    "op": ["base", "tensor", "kernel", "run"],
    "nn": ["base", "tensor", "run", "op", "kernel"],
    "conf": ["base"],
    "token": ["base"],
    "data": ["base", "token"],
    "io": ["base", "tensor", "nn"],
    "arch": ["base", "tensor", "run", "op", "nn", "conf", "io"],
    "route": ["base", "token", "data", "io"],
    "report": ["base"],
    "infer": ["base", "tensor", "run", "op", "nn", "arch", "conf", "io", "token", "data", "route"],
    "train": ["base", "tensor", "kernel", "run", "op", "nn", "arch", "conf", "token", "data", "io", "route", "infer", "report"],
    "bench": ["base", "tensor", "kernel", "run", "op", "nn", "arch", "conf", "data", "io", "train", "infer"],
    "lab": ["base", "tensor", "run", "op", "arch", "conf", "data", "infer", "train", "report", "bench"],
    "api": None,  # everything
}


def includes(path):
    for number, line in enumerate(path.read_text().splitlines(), 1):
        found = re.match(r'\s*#\s*include\s+"([^"]+)"', line)
        if found:
            yield number, found[1]


def main(root):
    breaches = 0
    source = pathlib.Path(root, "src")
    for path in sorted(source.rglob("*.[ch]")):
        own = path.relative_to(source).parts[0]
        if own not in MAY:
            print(f"{path}: folder {own}/ has no row in {__file__}")
            breaches += 1
            continue
        allowed = MAY[own]
        for number, name in includes(path):
            folder = name.split("/")[0] if "/" in name else None
            if folder is None or folder == own or allowed is None:
                continue
            if folder not in allowed:
                print(f"{path}:{number}: {own}/ may not include {folder}/")
                breaches += 1
    for path in sorted(pathlib.Path(root, "cli").rglob("*.[ch]")):
        for number, name in includes(path):
            if name != "artel.h" and not pathlib.Path(root, "cli", name).exists():
                print(f"{path}:{number}: cli/ sees artel.h only, not {name}")
                breaches += 1
    names = {}
    for path in sorted(p for d in ("src", "cli") for p in pathlib.Path(root, d).rglob("*.[ch]")):
        if path.name in names:
            print(f"{path}: the name {path.name} is taken by {names[path.name]}")
            breaches += 1
        names[path.name] = path
    return 1 if breaches else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1] if len(sys.argv) > 1 else "."))
