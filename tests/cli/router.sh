# artel router: train, eval, explain on a small data set made here; refusals.
. tests/cli/lib.sh

# Three "languages" of their own words, 40 documents each.
words() { # words FOLDER WORD...
    folder=$1
    shift
    mkdir -p "$folder"
    awk -v list="$*" -v dir="$folder" 'BEGIN {
        n = split(list, w, " ")
        seed = n * 7 + length(list)
        for (d = 0; d < 40; d++) {
            file = dir "/" d ".txt"
            for (p = 0; p < 4; p++) {
                line = ""
                for (i = 0; i < 30; i++) {
                    seed = (seed * 1103515245 + 12345) % 2147483648
                    line = line w[int(seed / 65536) % n + 1] (i % 9 == 8 ? ". " : " ")
                }
                print line "number " d " " p "!\n" >file
            }
            close(file)
        }
    }'
}
words "$work/text/en" the house and a small river under old trees with green water near stone walls
words "$work/text/fr" la maison et une petite riviere sous les vieux arbres avec eau verte pres des murs
words "$work/text/de" das haus und ein kleiner fluss unter alten baeumen mit gruenem wasser nahe mauern
run 0 "$ARTEL" data build --domain en="$work/text/en" --domain fr="$work/text/fr" \
    --domain de="$work/text/de" --vocab 400 --split 0.8,0.1,0.1 -o "$work/data" --quiet

run 0 "$ARTEL" router train "$work/data" -o "$work/router" --seed 3
prints "3 classes"
prints "confusion"
check "a router file" test -s "$work/router/router.safetensors"
check "its tokenizer beside it" cmp -s "$work/data/tokenizer.json" "$work/router/tokenizer.json"
run 0 "$ARTEL" router train "$work/data" -o "$work/again" --seed 3 --threads 1 --quiet
check "the same bytes for any number of threads" \
    cmp -s "$work/router/router.safetensors" "$work/again/router.safetensors"

run 0 "$ARTEL" router eval "$work/router" --data "$work/data" --split test --length 16 --json
prints '"split":"test"'
prints '"accuracy":1'
prints '"f1":1'
prints '"confusion":[['
prints '"per_class":[{"class":'
prints '"per_length":[{"length":8'
check "one line" test "$(wc -l <"$work/.out")" -eq 1
prints '"weighted_f1":1'
prints '"ece":'
run 0 "$ARTEL" router eval "$work/router/router.safetensors" --data "$work/data"
prints "precision"
prints "ece at 1"

# The lengths that are asked for; one that a split is too short for is said.
run 0 "$ARTEL" router eval "$work/router" --data "$work/data" --lengths 12,100000 --json
prints '"per_length":[{"length":12,'
prints '"short":[]},{"length":100000,"sequences":0,"short":["en","fr","de"]}]'
run 0 "$ARTEL" router eval "$work/router" --data "$work/data" --lengths 12,100000
prints "100000 tokens: the test split is shorter for en fr de: not measured"
check "one row" test "$(grep -c '^12  *1.0000' "$work/.out")" -eq 1
run 2 "$ARTEL" router eval "$work/router" --data "$work/data" --lengths 8,x
says "--lengths"

# The temperature of training is in the file, and in what is said.
run 0 "$ARTEL" router train "$work/data" -o "$work/again" --seed 3 --json
temperature=$(sed -n 's/.*"temperature":\([0-9.]*\),"seconds".*/\1/p' "$work/.out")
check "fitted: not 1" test "$temperature" != 1
run 0 "$ARTEL" router eval "$work/router" --data "$work/data" --json
prints "\"temperature\":$temperature,"
before=$(sed -n 's/.*"ece_before":\([0-9.e-]*\),"classes".*/\1/p' "$work/.out")
after=$(sed -n 's/.*"temperature":[^,]*,"ece":\([0-9.e-]*\),.*/\1/p' "$work/.out")
check "calibration error $before falls to $after" awk "BEGIN { exit !($after < $before) }"

run 0 "$ARTEL" router explain "$work/router" "die alten baeume und das haus"
prints "de "
prints "tokens known"
run 0 "$ARTEL" router explain "$work/router" "sous les vieux arbres" --json --top 2
prints '{"class":"fr","probabilities":{'
prints '"reasons":[{"token":'
check "tempered: all but certain" \
    awk 'match($0, /"fr":[0-9.e-]+/) { exit !(substr($0, RSTART + 5, RLENGTH - 5) > 0.9999) }' "$work/.out"
run 0 "$ARTEL" router explain "$work/router/router.safetensors" "" --json
prints '"tokens":0'

# Below a probability there is no answer; how much that leaves, and how fast it goes.
run 0 "$ARTEL" router train "$work/data" -o "$work/unsure" --lengths 1,2 --windows 60 --quiet
run 0 "$ARTEL" router eval "$work/unsure" --data "$work/data" --length 1 --lengths 1 --json
check "without abstaining nothing of it is said" awk '/coverage|abstain|risk|tokens_per/ { exit 1 }' "$work/.out"
all=$(sed -n 's/.*"length":1,"sequences":\([0-9]*\),"accuracy":\([0-9.]*\).*/\1 \2/p' "$work/.out")
run 0 "$ARTEL" router eval "$work/unsure" --data "$work/data" --length 1 --lengths 1 --abstain 0.9 --speed --json
sure=$(sed -n 's/^[^[]*"length":1,"sequences":\([0-9]*\),"accuracy":\([0-9.]*\).*"abstain":0.9[0-9]*,"coverage":\([0-9.]*\),"risk".*/\1 \2 \3/p' "$work/.out")
check "fewer are answered, and better: $all, then $sure" awk "BEGIN {
    split(\"$all\", a, \" \"); split(\"$sure\", s, \" \")
    exit !(s[1] > 0 && s[1] < a[1] && s[2] > a[2] && s[3] > 0 && s[3] < 1)
}"
prints '"risk":[{"threshold":0,"coverage":1,"error":'
prints '{"threshold":0.9'
prints '"tokens_per_second":'
check "rows have it, too" grep -q '"per_length":\[{.*"coverage":0' "$work/.out"
run 0 "$ARTEL" router eval "$work/unsure" --data "$work/data" --length 1 --abstain 0.9 --speed
prints "answered at a probability of at least 0.9: "
prints "tokens/s routed by one thread, in sequences of 1"
run 0 "$ARTEL" router explain "$work/router" "le mur" --abstain 1
prints "unknown"
run 0 "$ARTEL" router explain "$work/unsure" "x" --abstain 0.999 --json
prints '{"class":"unknown","best":"'
run 0 "$ARTEL" router explain "$work/router" "sous les vieux arbres" --abstain 0.9 --json
prints '{"class":"fr","best":"fr"'

# Text of other domains is measured, too, by the names of the router's classes.
run 0 "$ARTEL" data build --domain en="$work/text/en" --domain fr="$work/text/fr" --ood de="$work/text/de" \
    --tokenizer "$work/data/tokenizer.json" -o "$work/ood" --quiet
run 0 "$ARTEL" router eval "$work/router" --data "$work/ood" --split ood --json
prints '"accuracy":1,'
prints '"confusion":[[0,0,0],[0,0,0],[0,0,'
prints '"split":"ood"'

# Other classifiers, other features.
run 0 "$ARTEL" router compare "$work/data" --lengths 8,32 --split validation
prints "classifier                 C       s       8      32"
for name in logistic softmax svm sgd-hinge sgd-modified-huber sgd-log ridge bayes complement-bayes centroid; do
    prints "$name "
done
check "each has its own C" test "$(awk '$1 == "logistic" || $1 == "svm" { printf "%s ", $2 }' "$work/.out")" = "10 1 "
check "all of them are good" awk 'NR > 2 && $NF < 95 { exit 1 }' "$work/.out"
run 0 "$ARTEL" router compare "$work/data" --classifier svm --classifier bayes --C 3 --json
check "two lines" test "$(wc -l <"$work/.out")" -eq 2
prints '"classifier":"svm"'
prints '"C":3,'
prints '"fit_seconds":'
run 0 "$ARTEL" router train "$work/data" -o "$work/pairs" --classifier softmax --C auto --ngrams 2 --hash-bits 12
prints "C 0.1 "
prints "softmax, C "
run 0 "$ARTEL" router train "$work/data" -o "$work/again" --classifier softmax --C auto --ngrams 2 --hash-bits 12 \
    --threads 1 --quiet
check "the same bytes for any number of threads" \
    cmp -s "$work/pairs/router.safetensors" "$work/again/router.safetensors"
run 0 "$ARTEL" router eval "$work/pairs" --data "$work/data" --split test --length 16 --json
prints '"accuracy":1'
run 0 "$ARTEL" router explain "$work/pairs" "die alten baeume und das haus" --top 30 --json
prints '"class":"de"'
check "two tokens in a row are a reason" grep -q '"token":" alten baeumen*"\|"token":" das haus"\|"token":" und das"' "$work/.out"
train_c() { "$ARTEL" router train "$work/data" -o "$work/again" --json "$@" | sed -n '1s/.*"C":\([0-9.]*\),.*"features":\([0-9]*\),.*/\1 \2/p'; }
all=$(train_c)
check "10 for logistic" test "${all% *}" = 10
check "1 for svm" test "$(train_c --classifier svm)" = "1 ${all#* }"
check "what is asked for" test "$(train_c --C 7)" = "7 ${all#* }"
check "ids of one digit left out" test "$(train_c --sklearn-ids)" != "$all"
digest() { cksum <"$work/again/router.safetensors"; }
train_c --classifier bayes >"$work/.out" && plain=$(digest)
train_c --classifier bayes --sublinear >"$work/.out"
check "sublinear counts are others" test "$(digest)" != "$plain"
# Single tokens leave doubts, so that values of C differ; the first of the best is kept.
run 0 "$ARTEL" router train "$work/data" -o "$work/again" --lengths 1,2 --windows 60 --C auto --json
sed -n '1s/.*"C":\([0-9.]*\),"sequences".*"trials":\(.*\)/\1 \2/p' "$work/.out" | tr -d '{}[]"' >"$work/trials"
check "C is the best of the trials" awk '{
    n = split($2, part, ",")
    for (i = 1; i <= n; i++) {
        split(part[i], pair, ":")
        if (pair[1] == "C") c = pair[2]
        if (pair[1] == "f1" && !(pair[2] + 0 <= best + 0)) { best = pair[2]; at = c }
        if (pair[1] == "f1" && pair[2] + 0 < best + 0) worse++
    }
    exit !(at == $1 && worse > 0)
}' "$work/trials"
run 2 "$ARTEL" router train "$work/data" -o "$work/r" --C ten
says "--C ten: expected auto or a number"
run 2 "$ARTEL" router train "$work/data" -o "$work/r" --C 0
says "--C 0: expected auto or a number"
run 2 "$ARTEL" router train "$work/data" -o "$work/r" --classifier forest
says "\"forest\": expected one of logistic, softmax, svm"
run 2 "$ARTEL" router compare "$work/data" --classifier svm --classifier tree
says "\"tree\""
run 2 "$ARTEL" router compare "$work/data" --lengths 8,x
says "--lengths"
run 2 "$ARTEL" router train "$work/data" -o "$work/r" --ngrams 9
says "ngrams"
run 0 "$ARTEL" data build --domain en="$work/text/en" --domain fr="$work/text/fr" --vocab 300 --split 1,0,0 \
    -o "$work/whole" --quiet
run 1 "$ARTEL" router train "$work/whole" -o "$work/r" --C auto
says "validation split is empty"

# What does not belong together.
run 0 "$ARTEL" data build --domain en="$work/text/en" --domain fr="$work/text/fr" --vocab 300 \
    -o "$work/other" --quiet
run 1 "$ARTEL" router eval "$work/router" --data "$work/other"
says "was trained with tokenizer"
run 1 "$ARTEL" router explain "$work/router" "le mur" --tokenizer "$work/other/tokenizer.json"
says "was trained with tokenizer"
run 1 "$ARTEL" router explain "$work/nowhere" "le mur"
says "nowhere"
run 1 "$ARTEL" router eval "$work/router" --data "$work/nowhere"
says "nowhere"
run 2 "$ARTEL" router eval "$work/router" --data "$work/data" --split tset
says "train, validation or test"
run 0 "$ARTEL" data build --domain en="$work/text/en" --vocab 300 -o "$work/one" --quiet
run 1 "$ARTEL" router train "$work/one" -o "$work/r"
says "at least two"
head -c 300 "$work/router/router.safetensors" >"$work/cut.safetensors"
run 1 "$ARTEL" router eval "$work/cut.safetensors" --data "$work/data"
says "cut.safetensors"
run 2 "$ARTEL" router train "$work/data"
says "output"
run 2 "$ARTEL" router train "$work/data" -o "$work/r" --lengths 8,x
says "--lengths"
run 2 "$ARTEL" router
run 2 "$ARTEL" router trian
says "train"
run 2 "$ARTEL" router explain "$work/router"
silent
done_testing
