#!/usr/bin/env python3
"""Who may include whom, no circles among files, JSON written by the builder alone.

Names the line of every breach and exits 1.
"""
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
    "examples": [],
}


# A function or an object that other files may see, at its definition.
DEFINED = re.compile(r"^(?!static\b|typedef\b|extern\b|#)[a-z_][\w \*]*?\b(\w+)(?:\([^;{}]*\)\s*\{|(?:\[\w*\])*\s*=)", re.M)


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
    """cli/, bench/, lab/ and examples/: programs over the library."""
    breaches = 0
    for own, allowed in PROGRAMS.items():
        for path in sorted(pathlib.Path(root, own).rglob("*.[ch]")):
            for number, name in includes(path):
                folder = name.split("/")[0] if "/" in name else None
                if name in ("artel.h", "artel_version.h") or name in allowed or folder in allowed or folder == own:
                    continue
                if folder is None and pathlib.Path(root, own, name).exists():
                    continue
                print(f"{path}:{number}: {own}/ may not include {name}")
                breaches += 1
    return breaches


def sources(root):
    return sorted(p for d in ("src", *PROGRAMS) for p in pathlib.Path(root, d).rglob("*.[ch]"))


def check_op(root):
    """An operation never sees a parameter store."""
    breaches = 0
    for path in sorted(pathlib.Path(root, "src/op").glob("*.[ch]")):
        for number, name in includes(path):
            if name in ("tensor/store.h", "tensor/optim.h"):
                print(f"{path}:{number}: op/ may not include {name}")
                breaches += 1
    return breaches


def code(path):
    """The text of a C file without comments and strings."""
    text = re.sub(r"/\*.*?\*/", lambda m: re.sub(r"[^\n]", " ", m[0]), path.read_text(), flags=re.S)
    return re.sub(r'"(\\.|[^"\\\n])*"', '""', text)


def check_circles(root):
    """No file comes back to itself by what it calls of others, whichever header says so; nor by what headers include."""
    texts = {path: code(path) for path in sources(root)}
    owners = {}  # what one file alone defines -> that file
    for path, text in texts.items():
        if path.suffix == ".c":
            for name in DEFINED.findall(text):
                owners[name] = None if name in owners else path.stem
    uses = {}
    for path, text in texts.items():
        if path.suffix == ".c":
            for number, line in enumerate(text.splitlines(), 1):
                for name in re.findall(r"\b[a-z]\w+\b", line):
                    if owners.get(name) not in (None, path.stem):
                        uses.setdefault(path.stem, {}).setdefault(owners[name], f"{path}:{number}: {name}")
        else:
            for number, name in includes(path):
                if name != path.name:
                    uses.setdefault(path.name, {}).setdefault(pathlib.Path(name).name, f"{path}:{number}: {name}")
    breaches, done = 0, set()

    def walk(file, way):
        nonlocal breaches
        for other, line in sorted(uses.get(file, {}).items()):
            if other in way:
                print(f"{line}: a circle: {' -> '.join([*way[way.index(other):], other])}")
                breaches += 1
            elif other not in done:
                walk(other, [*way, other])
        done.add(file)

    for file in sorted(uses):
        if file not in done:
            walk(file, [file])
    return breaches


def check_json(root):
    """What makes or prints values of cJSON leaves out what finds no memory: base/json.h has a builder instead."""
    breaches = 0
    for path in sources(root):
        reads = "Parse|Minify" if not path.is_relative_to(pathlib.Path(root, "cli")) else "Minify"
        if path == pathlib.Path(root, "src/base/json.c"):
            continue
        for number, line in enumerate(path.read_text().splitlines(), 1):
            found = re.search(rf"\bcJSON_(Add|Create|Print|Duplicate|Insert|Replace|Set|{reads})\w*", line)
            if found:
                print(f"{path}:{number}: {found[0]}: JSON is read by at_json_parse and written by at_json_put_...")
                breaches += 1
    return breaches


def main(root):
    breaches = check_source(root) + check_programs(root) + check_op(root) + check_circles(root) + check_json(root)
    names = {}
    for path in sources(root):
        if path.name in names:
            print(f"{path}: the name {path.name} is taken by {names[path.name]}")
            breaches += 1
        names[path.name] = path
    return 1 if breaches else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1] if len(sys.argv) > 1 else "."))
