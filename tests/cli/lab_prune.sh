# lab prune at the scale of seconds: its runs are what they are called, what is cut from them is what `artel prune`
# cuts, and its claims follow from the numbers of the runs.
. tests/cli/lib.sh
cd "$work" || exit 1
two_languages
# the number under a key of "pruned" of a run
number() { sed -n "s/.*\"name\":\"$1\".*\"$2\":\([^,}]*\)[,}].*/\1/p" lab/results.jsonl; }
told() { sed -n "/\"claim\":\"$1/s/.*\"by_seed\":\[\([^]]*\)\].*/\1/p" lab/claims.jsonl | tr , '\n' | sed -n "$2p"; }
same() { awk -v a="$1" -v b="$2" 'BEGIN { d = a - b; exit !(a != "" && b != "" && d < 1e-9 && d > -1e-9) }'; }
recipe() { tr -d '\n' <"lab/runs/$1/recipe.yaml" | tr -s ' ' | grep -q "$2"; }

run 0 "$ARTEL" lab prune -o lab --data data --scale tiny --json --threads 2
check "seven claims" test "$(grep -c '"claim":' .out)" -eq 7
# with two seeds: each kind, and all but trunks again for each of two languages
check "20 runs, not $(wc -l <lab/results.jsonl)" test "$(wc -l <lab/results.jsonl)" -eq 20
check "a mixture" recipe information-s1 'n_att_experts: 8 .*n_mlp_experts: 8 '
check "with its loss" recipe information-s1 'mutual_information: 0.001 '
check "not in pools" recipe information-s1 'pool_max: 0 '
check "in pools" recipe pools-s1 'pool_max: 8 '
check "fine-tuned in pools" recipe pools-aa-s1 'pool_max: 8 '
check "fine-tuned: on one domain" recipe information-bb-s2 'domains: \[bb\] '
check "from the model of its seed" recipe information-bb-s2 'init: [^ ]*information-s2/model'
check "with the loss that concentrates" recipe information-bb-s2 'concentration: 0.05 '
check "a dense one has none" sh -c '! grep -q "concentration: 0.05" lab/runs/dense-bb-s2/recipe.yaml'
check "a dense model" recipe dense-s1 'n_att_experts: 1 .*n_mlp_experts: 1 '
check "trunks" recipe trunks-s1 'arch: trunks'

# ---- what is cut ------------------------------------------------------------------------------------
# sizes of all models are nearly the same, and those of what is left in order
size() { number "$1" "aa $2 parameters"; }
for name in dense-s1 trunks-s1; do
    check "$name is about as large as the mixture" awk -v a="$(size $name 'whole 100')" -v b="$(size information-s1 'whole 100')" \
        'BEGIN { exit !(a > 0.93 * b && a < 1.01 * b) }'
done
# of the dense model's parameters without 2048 weights of matrices
whole=$(size dense-s1 'whole 100')
for left in "50 1024" "25 512" "12.5 256"; do
    share=${left% *}
    check "$share % of the weights are left" test "$(size dense-s1 "magnitude $share")" -eq $((whole - 2048 + ${left#* }))
done
check "one trunk of two is left" awk -v a="$(size trunks-s1 'own 50')" -v b="$(size trunks-s1 'whole 100')" 'BEGIN { exit !(a > 0 && a < b) }'
check "which costs nothing" same "$(number trunks-s1 'aa own 50 loss')" "$(number trunks-s1 'aa whole 100 loss')"
check "fine-tuned on a domain: no other is looked at" test -z "$(number information-bb-s1 'aa whole 100 loss')"
for score in use reap norm loss random; do
    for share in 50 25 12.5; do
        check "by $score, $share %" test -n "$(number information-aa-s2 "aa $score $share loss")"
    done
done
losses=$(for score in use reap random; do number information-s1 "bb $score 50 loss"; done | sort -u | wc -l)
check "three scores keep three sets of experts, not $losses" test "$losses" -eq 3
# artel prune takes the same experts: as many parameters, and other losses than with another score
run 0 "$ARTEL" prune lab/runs/information-s1/model -o cut --data data --keep bb --score reap --share 0.25 --context 16 --windows 2 --json
left=$(number information-s1 'bb reap 25 parameters')
prints "\"parameters_after\":$left,"

# ---- claims ---------------------------------------------------------------------------------------
both() { # name of the runs with % for a domain, key with %
    for d in aa bb; do number "$(echo "$1" | sed "s/%/$d/")" "$(echo "$2" | sed "s/%/$d/")"; done | awk '{ s += $1 / 2 } END { printf "%.17g", s }'
}
minus() { awk -v a="$1" -v b="$2" 'BEGIN { printf "%.17g", a - b }'; }
lost() { minus "$(both "$1" "$2")" "$(both "$1" '% whole 100 loss')"; }
for seed in 1 2; do
    i=information-s$seed f=information-%-s$seed
    check "REAP and use, seed $seed" same "$(told 'half of the experts: REAP loses less than use' $seed)" \
        "$(minus "$(lost $i '% reap 50 loss')" "$(lost $i '% use 50 loss')")"
    check "fine-tuned, seed $seed" same "$(told 'a quarter of the experts: less is lost after fine-tuning' $seed)" \
        "$(minus "$(lost $f '% reap 25 loss')" "$(lost $i '% reap 25 loss')")"
    check "pools, seed $seed" same "$(told 'a quarter of the experts: less is lost of a mixture' $seed)" \
        "$(minus "$(lost pools-s$seed '% reap 25 loss')" "$(lost $i '% reap 25 loss')")"
    check "trunks, seed $seed" same "$(told "a domain's trunk is better" $seed)" \
        "$(minus "$(both trunks-s$seed '% own 50 loss')" "$(both $i '% reap 25 loss')")"
    check "dense, seed $seed" same "$(told 'a quarter, both fine-tuned' $seed)" \
        "$(minus "$(both $f '% reap 25 loss')" "$(both dense-%-s$seed '% magnitude 25 loss')")"
done
for word in "Loss against size" "Every score" "smallest weights gone, fine-tuned" "labels: a trunk each"; do
    check "report: $word" grep -q "$word" lab/report.html
done

# ---- again ----------------------------------------------------------------------------------------
cp lab/claims.jsonl first
rm -r lab/runs/dense-bb-s2
run 0 "$ARTEL" lab prune -o lab --data data --scale tiny --json --threads 1
check "one run alone was made" test "$(grep -c ': test loss ' .err)" -eq 1
check "the same is said" cmp -s first lab/claims.jsonl
done_testing
