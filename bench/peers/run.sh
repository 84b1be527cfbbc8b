#!/bin/sh
# artel against PyTorch on one training step, in turns: A B A B ..., same shapes, same threads, one after the other.
#
#     PYTHON=/tmp/venv/bin/python bench/peers/run.sh [--peer gpt2|moduleformer|mode|kernel] [--level avx2|avx512]
#                                                    [--rounds N] [--threads N] [-- OPTIONS]
#
# OPTIONS go to the peer, for instance --compile (gpt2), --tuned, --grouped (moduleformer).  --level holds artel and every
# library beside it to one instruction set.  Prints processor, instruction sets and versions, then every measurement as one
# JSON line, then the ratio of the medians: above 1, artel is faster.  --peer kernel is `artel bench kernel` against OpenBLAS at
# that level; it needs no Python.  --peer mode is 20 small
# mixtures on tables (mode.sh), --threads of them side by side; its JSON lines have seconds.  Run it on a machine that does nothing else.
set -eu
cd "$(dirname "$0")/../.."

usage() {
    echo "usage: bench/peers/run.sh [--peer gpt2|moduleformer|mode|kernel] [--level avx2|avx512] [--rounds N] [--threads N]" \
        "[-- OPTIONS]" >&2
    exit 2
}
peer=gpt2
level=""
rounds=3
threads=$(nproc)
while [ $# -gt 0 ]; do
    case $1 in
    --) shift; break ;;
    --peer | --level | --rounds | --threads) [ $# -gt 1 ] || usage ;;
    *) usage ;;
    esac
    case $1 in
    --peer) peer=$2 ;;
    --level) level=$2 ;;
    --rounds) rounds=$2 ;;
    --threads) threads=$2 ;;
    esac
    shift 2
done
case $peer in
gpt2 | kernel | mode) recipe="" ;;
moduleformer) recipe=bench/peers/moduleformer.yaml ;;
*) usage ;;
esac
python=${PYTHON:-python3}
artel=${ARTEL:-build/artel}

# What each library calls the level.  MKL takes its word on Intel's processors alone; on others it uses AVX2 anyway.
vendor=$(sed -n 's/^vendor_id[^:]*: *//p' /proc/cpuinfo | head -n 1)
case $level in
"") ;;
avx2)
    export ATEN_CPU_CAPABILITY=avx2 ONEDNN_MAX_CPU_ISA=AVX2 MKL_ENABLE_INSTRUCTIONS=AVX2
    if [ "$vendor" = AuthenticAMD ]; then export OPENBLAS_CORETYPE=Zen; else export OPENBLAS_CORETYPE=Haswell; fi
    ;;
avx512)
    export ATEN_CPU_CAPABILITY=avx512 ONEDNN_MAX_CPU_ISA=AVX512_CORE MKL_ENABLE_INSTRUCTIONS=AVX512
    export OPENBLAS_CORETYPE=SkylakeX
    ;;
*) usage ;;
esac
if [ -n "$level" ]; then
    export ARTEL_CPU="$level"
    has=$("$artel" --version | sed -n 's/^ *cpu *//p')
    [ "$has" = "$level" ] || { echo "run.sh: this processor, or this build of artel, has no $level: it has $has" >&2; exit 1; }
fi

echo "# $(sed -n 's/^model name[^:]*: *//p' /proc/cpuinfo | head -n 1), family" \
    "$(sed -n 's/^cpu family[^:]*: *//p' /proc/cpuinfo | head -n 1), $(nproc) cores, on threads: $threads"
"$artel" --version | sed 's/^ */# /'
for name in ARTEL_CPU ATEN_CPU_CAPABILITY ONEDNN_MAX_CPU_ISA MKL_ENABLE_INSTRUCTIONS OPENBLAS_CORETYPE; do
    eval "echo \"# $name=\${$name:-}\""
done
if [ "$peer" = kernel ]; then
    exec "$artel" bench kernel --threads "$threads"
fi
"$python" - <<'PY'
import torch
print("# torch", torch.__version__, "uses", torch.backends.cpu.get_cpu_capability())
for line in torch.__config__.show().splitlines():
    if "Library" in line or "MKL-DNN" in line:
        print("#" + line.strip(" -").join((" ", "")))
PY
if [ "$peer" = mode ]; then
    exec sh bench/peers/mode.sh "$rounds" "$threads"
fi
results=$(mktemp)
trap 'rm -f "$results"' EXIT

round=0
while [ $round -lt "$rounds" ]; do
    "$artel" bench step $recipe --json --threads "$threads" | grep '"tokens_per_s"' | sed 's/^/A /'
    "$python" "bench/peers/torch_$peer.py" --threads "$threads" "$@" | sed 's/^/B /'
    round=$((round + 1))
done | tee "$results"

"$python" - "$results" <<'PY'
import json, statistics, sys
speed, name = {"A": [], "B": []}, ""
for line in open(sys.argv[1]):
    result = json.loads(line[2:])
    speed[line[0]].append(result["tokens_per_s"])
    name = result["name"]
a, b = (statistics.median(speed[k]) for k in "AB")
print(f"artel {a:.0f} tokens/s, {name} {b:.0f} tokens/s, ratio {a / b:.2f} (medians of {len(speed['A'])})")
PY
