# lab extend, whole, at the scale of seconds: two languages are added to a model of one in several ways.
. tests/cli/lib.sh
cd "$work" || exit 1
two_languages
mkdir cc && for f in aa/*; do tr a-m n-z <"$f" >"cc/${f#aa/}"; done
run 0 "$ARTEL" data build --domain aa=aa --domain bb=bb --domain cc=cc --vocab 300 -o three -q
run 0 "$ARTEL" lab extend -o grown --data three --scale tiny --json --threads 2
check "nine claims" test "$(grep -c '"claim":' .out)" -eq 9
# with each of two seeds: three first models, two of all languages, two ways of training on in two stages
check "18 runs, not $(wc -l <grown/results.jsonl)" test "$(wc -l <grown/results.jsonl)" -eq 18
check "twelve steps" test "$(ls -d grown/steps/*.run | wc -l)" -eq 12
check "a review" grep -q "\"review_tokens\":[[:space:]]*[1-9]" grown/steps/reviewed-1-s1/certificate.json
check "none without" sh -c "! grep -q review_tokens grown/steps/modules-1-s1/certificate.json"
recipe() { grep -q "$2" "grown/runs/$1/recipe.yaml"; }
# the first language of the data set and the last are added, as long as the first run has for each of its own
check "a stage goes on" recipe tuned-2-s2 'init: .*grown/runs/tuned-1-s2/model'
check "with the first language" recipe tuned-1-s1 'domains: \[aa\]'
check "then with the last" recipe tuned-2-s1 'domains: \[cc\]'
check "six steps" recipe tuned-2-s1 '^  steps: 6$'
check "18 steps of all" recipe joint-s1 '^  steps: 18$'
for seed in 1 2; do
    for step in modules-2-s$seed trunks-2-s$seed; do
        check "$step is proved" test -s grown/steps/$step/certificate.json
    done
    check "both modules" test "$(ls grown/steps/modules-2-s$seed/modules | tr '\n' ' ')" = "001-aa.safetensors 002-cc.safetensors "
done
in_domain() { sed -n "s/.*\"name\":\"$1\".*\"by_domain\":{[^}]*\"$2\":\([^,}]*\).*/\1/p" grown/results.jsonl; }
told() { sed -n "/\"claim\":\"$1/s/.*\"by_seed\":\[\([^]]*\)\].*/\1/p" grown/claims.jsonl | tr , '\n' | sed -n "$2p"; }
same() { awk -v a="$1" -v b="$2" 'BEGIN { d = a - b; exit !(a != "" && b != "" && d < 1e-9 && d > -1e-9) }'; }
for seed in 1 2; do
    want=$(awk -v a="$(in_domain tuned-2-s$seed bb)" -v b="$(in_domain base-dense-s$seed bb)" 'BEGIN { printf "%.17g", a - b }')
    check "a dense model forgets, seed $seed" same "$(told "a dense model trained on" $seed)" "$want"
    want=$(awk -v a="$(told "new experts, reviewed, forget less than a dense" $seed)" -v b="$want" 'BEGIN { printf "%.17g", a + b }')
    check "new experts forget, seed $seed" same "$(told "new experts, reviewed: the old languages" $seed)" "$want"
done
for word in "Every way" "mixture, new experts" "JEET, a new trunk" "second added"; do
    check "report: $word" grep -q "$word" grown/report.html
done
cp grown/claims.jsonl first
run 0 "$ARTEL" lab extend -o grown --data three --scale tiny --json --threads 1
check "nothing is made again" sh -c '! grep -q ": made" .err'
check "the same is said" cmp -s first grown/claims.jsonl
rm -r grown/steps/modules-2-s1 && echo other >grown/steps/trunks-1-s2.key
run 0 "$ARTEL" lab extend -o grown --data three --scale tiny --json --threads 1
check "what is missing, or of another making, is made" test "$(grep -c ': made' .err)" -eq 2
check "and comes to the same" cmp -s first grown/claims.jsonl
run 1 "$ARTEL" lab extend -o x --data data --scale tiny
says "data: this lab takes 3 to 8 domains"
done_testing
