# labs all-in-one and clock, whole, at the scale of seconds: their runs are what they are called, and their claims follow
# from the numbers of the runs.
. tests/cli/lib.sh
cd "$work" || exit 1
two_languages
number() { sed -n "s/.*\"name\":\"$2\".*\"$3\":\([^,}]*\)[,}].*/\1/p" "$1/results.jsonl"; }
told() { sed -n "/\"claim\":\"$2/s/.*\"by_seed\":\[\([^]]*\)\].*/\1/p" "$1/claims.jsonl" | tr , '\n' | sed -n "$3p"; }
same() { awk -v a="$1" -v b="$2" 'BEGIN { d = a - b; exit !(a != "" && b != "" && d < 1e-9 && d > -1e-9) }'; }
recipe() { grep -q "$2" "$1/recipe.yaml"; }

# ---- all three papers together --------------------------------------------------------------------
run 0 "$ARTEL" lab all-in-one -o all --data data --scale tiny --json --threads 2
check "seven claims" test "$(grep -c '"claim":' .out)" -eq 7
# a teacher, three alphas, eight arms with two seeds
check "20 runs, not $(wc -l <all/results.jsonl)" test "$(wc -l <all/results.jsonl)" -eq 20
for arm in none m t mt p mp tp mtp; do
    r=all/runs/$arm-s2
    case $arm in
    *m*) att=3 func=stickbreaking mi=0.001 switch=0 ;;
    *) att=1 func=softmax mi=0 switch=0.01 ;;
    esac
    check "$arm: $att attention experts" recipe $r "n_att_experts: $att\$"
    check "$arm: $func" recipe $r "att_func: $func\$"
    check "$arm: mutual information $mi" recipe $r "mutual_information: $mi\$"
    check "$arm: switch balance $switch" recipe $r " switch: $switch\$"
    case $arm in *t*) check "$arm: a teacher" recipe $r 'teacher: .*teacher-s1/model' ;; *) check "$arm: no teacher" sh -c "! grep -q teacher: $r/recipe.yaml" ;; esac
    case $arm in *p*) check "$arm: peers" sh -c "! grep -q 'mutual_distillation: 0\$' $r/recipe.yaml" ;; *) check "$arm: no peers" recipe $r 'mutual_distillation: 0$' ;; esac
done
check "alphas are chosen without the test split" sh -c '! grep "\"name\":\"tune-" all/results.jsonl | grep -q test_loss'
best=$(grep '"name":"tune-' all/results.jsonl | sed 's/.*"name":"tune-alpha-\(.*\)-s101".*"val_loss":\([^,]*\),.*/\2 \1/' | sort -g | sed -n '1s/.* //p')
check "the best alpha, $best, is used" recipe all/runs/mtp-s1 "mutual_distillation: $best\$"
for seed in 1 2; do
    want=$(for arm in none t p tp m mt mp mtp; do number all $arm-s$seed test_loss; done |
        awk '{ s += (NR > 4 ? $1 : -$1) / 4 } END { printf "%.17g", s }')
    check "effect of the ModuleFormer, seed $seed" same "$(told all "a ModuleFormer is better" $seed)" "$want"
    want=$(for arm in none m t mt p mp tp mtp; do sed -n "s/.*\"name\":\"$arm-s$seed\".*\"missing\":{[^}]*\"mean\":\([^,]*\),.*/\1/p" all/results.jsonl; done |
        awk '{ s += (NR > 4 ? $1 : -$1) / 4 } END { printf "%.17g", s }')
    check "missing experts, seed $seed" same "$(told all "experts that teach each other: less is lost when one" $seed)" "$want"
    want=$({ number all mtp-s$seed test_loss; for arm in mt mp tp; do number all $arm-s$seed test_loss; done; } |
        awk 'NR == 1 { a = $1 } NR == 2 || NR > 2 && $1 < b { b = $1 } END { printf "%.17g", a - b }')
    check "all against two, seed $seed" same "$(told all "all three together" $seed)" "$want"
done
# three attention experts of which two are used, in one layer, and four feed-forward ones
check "seven experts can be missing" test "$(grep -c '"missing":{"windows":2,.*"experts":7}' all/results.jsonl)" -eq 8
check "four without attention experts" test "$(grep -c '"missing":{"windows":2,.*"experts":4}' all/results.jsonl)" -eq 8
check "the worst is at least the mean" sh -c "sed -n 's/.*\"mean\":\([^,]*\),\"worst\":\([^,]*\),.*/\1 \2/p' all/results.jsonl | awk '{ n++; if (\$2 < \$1) exit 1 } END { if (n != 16) exit 1 }'"
for word in "What each part changes" "all three" "one missing" "Alpha of mutual distillation"; do
    check "report: $word" grep -q "$word" all/report.html
done
cp all/claims.jsonl first
rm -r all/runs/p-s1
run 0 "$ARTEL" lab all-in-one -o all --data data --scale tiny --json --threads 1
check "one run alone was made" test "$(grep -c ': [a-z]* loss ' .err)" -eq 1
check "the same is said" cmp -s first all/claims.jsonl

# ---- small mixtures against time ------------------------------------------------------------------
run 0 "$ARTEL" lab clock -o clock --data data --scale tiny --json --threads 2
check "five claims" test "$(grep -c '"claim":' .out)" -eq 5
# three rates of four models; three horizons of them with two seeds
check "36 runs, not $(wc -l <clock/results.jsonl)" test "$(wc -l <clock/results.jsonl)" -eq 36
check "half as many steps" recipe clock/runs/total-half-s1 ' steps: 4$'
check "twice as many" recipe clock/runs/total-twice-s1 ' steps: 16$'
for model in mixture active middle total; do
    best=$(grep "\"name\":\"tune-$model-" clock/results.jsonl | sed 's/.*"name":"tune-[a-z]*-\(.\)-s101".*"val_loss":\([^,]*\),.*/\2 \1/' | sort -g | sed -n '1s/.* //p')
    rate=$(sed -n 's/^  lr: //p' "clock/runs/tune-$model-$best-s101/recipe.yaml")
    check "$model: its best rate, $rate" recipe clock/runs/$model-s2 " lr: $rate\$"
done
for seed in 1 2; do
    want=$(awk -v a="$(number clock mixture-s$seed test_loss)" -v b="$(number clock total-s$seed test_loss)" 'BEGIN { printf "%.17g", a - b }')
    check "equal tokens, seed $seed" same "$(told clock "with equal tokens a mixture is worse" $seed)" "$want"
done
# the loss in the mixture's time again: tokens over measured speeds, a line in the logarithm of time
speed() { tr -d '", \t' <clock/speed.json | awk -F: -v n="$1" '$1 == "name" { is = $2 == n } $1 == "train" && is { print $2; exit }'; }
want=$(awk -v vm="$(speed mixture-s1)" -v v="$(speed active-s1)" -v m="$(number clock mixture-s1 test_loss)" \
    -v l0="$(number clock active-half-s1 test_loss)" -v l1="$(number clock active-s1 test_loss)" -v l2="$(number clock active-twice-s1 test_loss)" \
    'BEGIN { t = 8 * 32 / vm; a = 4 * 32 / v; b = 8 * 32 / v; if (b < t) { a = b; b *= 2; l0 = l1; l1 = l2 }
        x = log(t / a) / log(b / a); printf "%.17g", m - ((1 - x) * l0 + x * l1) }')
check "equal time: $(told clock "in equal time a mixture is better than a dense model of equal active" 1), not $want" \
    same "$(told clock "in equal time a mixture is better than a dense model of equal active" 1)" "$want"
for word in "Loss against seconds" "equal total size" "Learning rates"; do
    check "report: $word" grep -q "$word" clock/report.html
done
done_testing
