#!/usr/bin/env python3
"""Who may include whom.  Names the line of every breach and exits 1."""
import pathlib
import re
import sys

MAY = {  # folder under src/ -> folders it may include besides itself
    "base": [],
    "kernel": ["base"],
    "tensor": ["base", "kernel"],
    "op": ["base", "kernel", "tensor"],
    "conf": ["base"],
    "token": ["base"],
    "data": ["base", "token"],
    "io": ["base", "tensor"],
    "arch": ["base", "tensor", "op", "conf", "io"],
    "route": ["base", "token", "data", "io"],
    "report": ["base"],
    "infer": ["base", "tensor", "op", "arch", "conf", "io", "token", "data", "route"],
    "train": ["base", "kernel", "tensor", "op", "arch", "conf", "token", "data", "io", "route", "infer", "report"],
    "api": ["base", "conf", "token", "data", "io", "tensor", "arch", "route", "report", "infer", "train"],
}

PROGRAMS = {  # folder of programs over the library -> what it may include besides artel.h and itself
    "cli": ["bench/bench.h", "lab/lab_json.h"],
    "bench": list(MAY),
    "lab": [*MAY, "bench"],
}


def includes(path):
    for number, line in enumerate(path.read_text().splitlines(), 1):
        found = re.match(r'\s*#\s*include\s+"([^"]+)"', line)
        if found:
            yield number, found[1]


def check_source(root):
    """src/: each folder includes the folders of its row."""
    breaches = 0
    source = pathlib.Path(root, "src")
    for path in sorted(source.rglob("*.[ch]")):
        own = path.relative_to(source).parts[0]
        if own not in MAY:
            print(f"{path}: folder {own}/ has no row in {__file__}")
            breaches += 1
            continue
        for number, name in includes(path):
            folder = name.split("/")[0] if "/" in name else own
            if folder != own and folder not in MAY[own]:
                print(f"{path}:{number}: {own}/ may not include {folder}/")
                breaches += 1
    return breaches


def check_programs(root):
    """cli/, bench/ and lab/: programs over the library."""
    breaches = 0
    for own, allowed in PROGRAMS.items():
        for path in sorted(pathlib.Path(root, own).rglob("*.[ch]")):
            for number, name in includes(path):
                folder = name.split("/")[0] if "/" in name else None
                if name == "artel.h" or name in allowed or folder in allowed or folder == own:
                    continue
                if folder is None and pathlib.Path(root, own, name).exists():
                    continue
                print(f"{path}:{number}: {own}/ may not include {name}")
                breaches += 1
    return breaches


def main(root):
    breaches = check_source(root) + check_programs(root)
    names = {}
    for path in sorted(p for d in ("src", *PROGRAMS) for p in pathlib.Path(root, d).rglob("*.[ch]")):
        if path.name in names:
            print(f"{path}: the name {path.name} is taken by {names[path.name]}")
            breaches += 1
        names[path.name] = path
    return 1 if breaches else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1] if len(sys.argv) > 1 else "."))
