#!/usr/bin/env python3
"""Every op of the list AT_OPS has its own file and is gradient-checked.  Names what is missing and exits 1.

For X(name) in src/op/op.h there must be src/op/name.c and, in tests/op_rows.h, a row whose
first string is "name" or "name/variant".  An op that is defined in src/op/ but not listed is named too.
"""
import pathlib
import re
import sys


def listed(header):
    """The names of the X-macro list AT_OPS, which may run over many lines ending in a backslash."""
    text = re.sub(r"/\*.*?\*/", "", header.read_text().replace("\\\n", " "), flags=re.S)
    found = re.search(r"#\s*define\s+AT_OPS\s*\(\s*X\s*\)(.*)", text)
    return re.findall(r"\bX\s*\(\s*(\w+)", found[1]) if found else []


def main(root):
    root = pathlib.Path(root)
    folder = root / "src" / "op"
    table = root / "tests" / "op_rows.h"
    names = listed(folder / "op.h")
    if not names:
        print(f"{folder / 'op.h'}: no list AT_OPS(X) with X(name) entries")
        return 1
    rows = set(re.findall(r'\{\s*"(\w+)(?:/[^"]*)?"', table.read_text())) if table.exists() else set()
    faults = []
    for name in names:
        if not (folder / f"{name}.c").exists():
            faults.append(f"{folder / name}.c: missing, though op.h lists {name}")
        if name not in rows:
            faults.append(f'{table}: no row "{name}" or "{name}/..."')
    if len(set(names)) != len(names):
        faults.append("op.h: a name stands twice in AT_OPS")
    for path in sorted(folder.glob("*.c")):
        for defined in re.findall(r'\bat_op\s+\w+\s*=\s*\{\s*"(\w+)"', path.read_text()):
            if defined not in names:
                faults.append(f"{path}: defines {defined}, which AT_OPS of op.h does not list")
    print("\n".join(faults) if faults else f"{len(names)} ops, each with a file and a gradient check")
    return 1 if faults else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1] if len(sys.argv) > 1 else "."))
