#!/bin/sh
# artel against PyTorch on one training step, in turns: A B A B ..., same shapes, same threads, one after the other.
#
#     PYTHON=/tmp/venv/bin/python bench/peers/run.sh [--peer gpt2|moduleformer] [--rounds N] [--threads N] [-- OPTIONS]
#
# OPTIONS go to the peer, for instance --compile (gpt2) or --tuned (moduleformer).  Prints every measurement as one JSON
# line, then the ratio of the medians: above 1, artel is faster.  Run it on a machine that does nothing else.
set -eu
cd "$(dirname "$0")/../.."

peer=gpt2
rounds=3
threads=$(nproc)
while [ $# -gt 0 ]; do
    case $1 in
    --peer) peer=$2; shift ;;
    --rounds) rounds=$2; shift ;;
    --threads) threads=$2; shift ;;
    --) shift; break ;;
    *) peer=unknown; break ;;
    esac
    shift
done
case $peer in
gpt2) recipe="" ;;
moduleformer) recipe=bench/peers/moduleformer.yaml ;;
*) echo "usage: bench/peers/run.sh [--peer gpt2|moduleformer] [--rounds N] [--threads N] [-- OPTIONS]" >&2; exit 2 ;;
esac
python=${PYTHON:-python3}
artel=${ARTEL:-build/artel}
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
speed = {"A": [], "B": []}
for line in open(sys.argv[1]):
    speed[line[0]].append(json.loads(line[2:])["tokens_per_s"])
a, b = (statistics.median(speed[k]) for k in "AB")
print(f"artel {a:.0f} tokens/s, torch {b:.0f} tokens/s, ratio {a / b:.2f} (medians of {len(speed['A'])})")
PY
