#!/bin/sh
# Builds everything and runs every test.
set -eu
cd "$(dirname "$0")"
cmake --preset release >/dev/null
cmake --build build -j "$(nproc)"
ctest --test-dir build --output-on-failure
