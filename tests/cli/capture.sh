# capture: a teacher's logits on disk; students of them and of the teacher himself agree; what does not
# fit is refused with words.
. tests/cli/lib.sh
cd "$work" || exit 1
two_languages
cat >teacher.yaml <<'X'
model: {arch: gpt2, n_layer: 1, n_embd: 32, n_head: 2, n_positions: 32}
data: {train: data}
train: {steps: 60, batch: 4, context: 32, lr: 3e-3}
X
cat >student.yaml <<'X'
seed: 2
model: {arch: gpt2, n_layer: 1, n_embd: 16, n_head: 2, n_positions: 32}
data: {train: data}
train: {steps: 8, batch: 4, context: 32, lr: 1e-3, save_every: 4, windows: aligned}
distill: {teacher: run/model}
X
run 0 "$ARTEL" train teacher.yaml -o run -q

# ---- the store -------------------------------------------------------------------------------------------
run 0 "$ARTEL" capture run/model --data data -o top --context 32 --json
prints '"top_k":32,"bits":16,"temperatures":[1,2],'
prints '"found":0,'
check "132 bytes a token and a little" sh -c "sed 's/.*bytes_per_token\":\([0-9.]*\),.*/\1/' .out | awk '{ exit !(\$1 > 132 && \$1 < 133) }'"
says "MB are free"
run 0 "$ARTEL" capture run/model --data data -o one --context 32 --threads 1 --domains aa
prints "top 32, 132."
prints "left over at temperature 2: 0."
check "the same bytes for every number of threads" cmp -s top/aa.train.logits one/aa.train.logits
check "a lock is left behind" test ! -e top/.artel-lock
run 0 "$ARTEL" capture run/model --data data -o one --context 32 --domains bb
check "a domain more, and the manifest has both" sh -c "test \$(grep -c '\"name\"' one/manifest.json) = 2 && cmp -s top/manifest.json one/manifest.json"
run 0 env ARTEL_CPU=ref "$ARTEL" capture run/model --data data -o ref --context 32 -q
check "the same bytes of every instruction set" cmp -s top/bb.train.logits ref/bb.train.logits

# Cut off in the middle, it is gone on with to the same bytes.
mkdir half
cp top/aa.train.logits half/
head -c 100000 top/bb.train.logits >half/bb.train.logits.part
run 1 "$ARTEL" distill student.yaml -o x --set distill.teacher=half
says "half: the capture was not finished (no manifest.json); the same \`artel capture\` goes on with it"
run 0 "$ARTEL" capture run/model --data data -o half --context 32 --json
check "most of it was found" sh -c "grep -q '\"found\":18[0-9]*,' .out"
check "other bytes than in one go" cmp -s top/bb.train.logits half/bb.train.logits
run 0 "$ARTEL" capture run/model --data data -o half --context 32 --json
check "nothing was left to do" sh -c "test \$(sed 's/.*\"tokens\":\([0-9]*\),\"found\":\1,.*/same/' .out) = same"

run 0 "$ARTEL" inspect top
prints "kind: logits"
prints "    name: bb"
run 1 "$ARTEL" inspect x
run 0 "$ARTEL" inspect half --json

# ---- students -----------------------------------------------------------------------------------------------
figures() { # of metrics.jsonl: loss and kd of each step
    sed -n 's/.*"loss":\([^,]*\),"ce".*"kd":\([^,]*\),.*/\1 \2/p' "$1/metrics.jsonl"
}
within() { # WHAT BOUND RUN RUN: relative, of every figure
    check "$1" sh -c "paste -d' ' '$work/$3.f' '$work/$4.f' | awk -v b=$2 '
        { for (i = 1; i <= 2; i++) { d = \$i - \$(i + 2); if (d < 0) d = -d; if (d > b * \$i) bad++ } }
        END { exit !(NR == 8 && !bad) }'"
}
student() { # NAME, --set ...
    name=$1
    shift
    run 0 "$ARTEL" distill student.yaml -o "$name" -q "$@"
    figures "$name" >"$name.f"
}
run 0 "$ARTEL" capture run/model --data data -o whole --context 32 -k 0 --bits 32 -q
run 0 "$ARTEL" capture run/model --data data -o near --context 32 -k 300 -q
student online
student whole-s --set distill.teacher=whole
student near-s --set distill.teacher=near
student top-s --set distill.teacher=top
student auto-s --set distill.teacher=top --set train.windows=auto
student threads-s --set distill.teacher=top --threads 1
within "all tokens with all digits: what the teacher himself says, to rounding" 1e-5 online whole-s
within "all tokens with 16 bits" 5e-3 online near-s
check "less is known of a top: its divergence is below, but there" sh -c "paste -d' ' online.f top-s.f |
    awk 'NR == 1 && \$4 < \$2 && \$4 > 0.1 * \$2 { good = 1 } END { exit !good }'"
check "a student of captured logits reads aligned windows by itself" cmp -s top-s/model/model.safetensors auto-s/model/model.safetensors
check "one thread, other bytes" cmp -s top-s/model/model.safetensors threads-s/model/model.safetensors
for loss in soft_ce reverse_kl js skew_kl skew_reverse_kl; do
    student "online-$loss" --set distill.loss=$loss
    student "whole-$loss" --set distill.teacher=whole --set distill.loss=$loss
    within "$loss of all tokens" 1e-4 "online-$loss" "whole-$loss"
    student "top-$loss" --set distill.teacher=top --set distill.loss=$loss
done

# Stopped and continued: the same bits.
run 0 "$ARTEL" distill student.yaml -o again -q --set distill.teacher=top
rm -rf again/model again/checkpoints/step-00000008
run 0 "$ARTEL" distill student.yaml -o again -q --set distill.teacher=top --resume
check "a resumed run has other bits" cmp -s top-s/model/model.safetensors again/model/model.safetensors

# ---- several teachers -------------------------------------------------------------------------------------
run 0 "$ARTEL" train teacher.yaml -o run2 -q --set seed=5 --set train.steps=30
student split --set distill.teacher= --set "distill.teachers=[{model: top, domains: [aa]}, {model: run/model, domains: [bb]}]"
student mixed --set distill.teacher= --set "distill.teachers=[{model: run/model}, {model: run2/model, weight: 0.2}]"
student same --set distill.teacher= --set "distill.teachers=[{model: run/model, domains: [aa]}, {model: run/model, domains: [bb]}]"
check "a teacher for each domain, both the same: one for all" cmp -s online/model/model.safetensors same/model/model.safetensors
check "a second teacher is heard" sh -c "! cmp -s online.f mixed.f && ! cmp -s online.f split.f"
run 0 "$ARTEL" plan student.yaml --json
run 0 "$ARTEL" plan student.yaml --set distill.teacher=top
run 1 "$ARTEL" distill student.yaml -o x --set distill.teacher= --set "distill.teachers=[{model: run/model, domains: [aa]}]"
says 'distill.teachers: nobody teaches domain "bb"'
run 1 "$ARTEL" distill student.yaml -o x --set distill.teacher= --set "distill.teachers=[{model: run/model, domains: [zz]}]"
says 'teacher run/model: no domain "zz" in the data set data'
run 1 "$ARTEL" distill student.yaml -o x --set data.domains=[aa] --set distill.teacher= \
    --set "distill.teachers=[{model: run/model}, {model: run2/model, domains: [bb]}]"
says 'teacher run2/model: none of its domains is read (data.domains)'
run 1 "$ARTEL" distill student.yaml -o x --set "distill.teachers=[{model: run/model}]"
says 'give either `teacher` or `teachers`, not both'
run 1 "$ARTEL" distill student.yaml -o x --set distill.teacher=
says 'expected `teacher: FOLDER`, or `teachers`'
run 1 "$ARTEL" distill student.yaml -o x --set distill.teacher= --set "distill.teachers=[{model: run/model, weigth: 2}]"
says 'unknown key `distill.teachers.0.weigth`'

# ---- the student's own text ---------------------------------------------------------------------------------
own="--set distill.on_policy=0.5 --set train.windows=auto"
run 0 "$ARTEL" distill student.yaml -o own -q $own
check "some steps are of the student's text, without ce" sh -c "n=\$(grep -c '\"own_text\":true,\"kd\"' own/metrics.jsonl)
    test \$n -gt 0 && test \$n -lt 8 && test \$(grep -c '\"ce\"' own/metrics.jsonl) = \$((8 - n))"
run 0 "$ARTEL" distill student.yaml -o own1 -q $own --threads 1
check "one thread, other bytes" cmp -s own/model/model.safetensors own1/model/model.safetensors
rm -rf own1/model own1/checkpoints/step-00000008
run 0 "$ARTEL" distill student.yaml -o own1 -q $own --resume
check "a resumed run has other bits" cmp -s own/model/model.safetensors own1/model/model.safetensors
run 0 "$ARTEL" distill student.yaml -o own2 -q $own --set data.domains= \
    --set distill.teacher= --set "distill.teachers=[{model: run/model, domains: [aa]}, {model: run/model, domains: [bb]}]"
check "who speaks of a prompt speaks of what follows" cmp -s own/model/model.safetensors own2/model/model.safetensors
run 0 "$ARTEL" plan student.yaml $own
run 1 "$ARTEL" distill student.yaml -o x $own --set distill.teacher=top
says "distill.on_policy: what the student will write is not among the captured logits top; give the model itself"
run 1 "$ARTEL" distill student.yaml -o x $own --set distill.on_policy_prompt=32
says "of 32 tokens the student is given 32: nothing is left to write"

# ---- what does not fit ------------------------------------------------------------------------------------
run 1 "$ARTEL" distill student.yaml -o x --set distill.teacher=top --set distill.temperature=1.5
says "distill.temperature is 1.5, but top was captured at 1, 2: capture it with --temperatures 1.5 too"
run 1 "$ARTEL" distill student.yaml -o x --set distill.teacher=top --set train.context=16
says "train.context is 16, but top was captured in windows of 32"
run 1 "$ARTEL" distill student.yaml -o x --set distill.teacher=top --set train.windows=shifted
says "train.windows: shifted windows are at other places in each epoch, but top was captured in aligned ones"
run 0 "$ARTEL" capture run/model --data data -o held --context 32 --split validation -q
run 1 "$ARTEL" distill student.yaml -o x --set distill.teacher=held
says "held: captured of the split validation, but training reads train"
run 0 "$ARTEL" capture run/model --data data -o aa-only --context 32 --domains aa -q
run 1 "$ARTEL" distill student.yaml -o x --set distill.teacher=aa-only
says 'aa-only: domain "bb" was not captured; the same `artel capture` adds it with --domains bb'
run 1 "$ARTEL" capture run2/model --data data -o top --context 32
says "top/aa.train.logits: is of another teacher, text or setting"
run 1 "$ARTEL" capture run/model --data data -o top --context 16
says "top/aa.train.logits: is of another teacher, text or setting"
run 2 "$ARTEL" capture run/model --data data -o data --context 32
says "data: holds \`"
says "which is no part of captured logits: left as it is"
run 2 "$ARTEL" capture run/model --data data -o x --context 64
says "context 64: the teacher takes at most 32 tokens"
run 1 "$ARTEL" capture run/model --data data -o x --domains aa,zz
says 'data: no domain "zz" in this data set'
run 2 "$ARTEL" capture run/model --data data -o x --domains aa,aa
says 'domain "aa" is named twice'
run 2 "$ARTEL" capture run/model --data data -o x --bits 20
says "expected numbers of 16 or 32 bits, found 20"
run 2 "$ARTEL" capture run/model --data data -o x --temperatures 2,1
says "expected ascending temperatures"
run 2 "$ARTEL" capture run/model --data data -o x --split dev
says 'split `dev`: expected train, validation or test'
run 2 "$ARTEL" capture run/model --data data -o x --temperatures 1,hot
says 'expected at most 8 numbers, found `hot`'
run 2 "$ARTEL" capture run/model --data data
says "--output"
check "a refused capture leaves something behind" test ! -e x

# Other text of the same names, another tokenizer.
mkdir other
for k in aa bb; do
    mkdir other/$k
    for f in "$k"/*.txt; do tr 'mz' 'kd' <"$f" >"other/$f"; done
done
run 0 "$ARTEL" data build --domain aa=other/aa --domain bb=other/bb --tokenizer data/tokenizer.json -o data2 -q
run 1 "$ARTEL" distill student.yaml -o x --set distill.teacher=top --set data.train=data2
says 'top/aa.train.logits: captured over other text than the train split of "aa" in data2; capture it again'
run 0 "$ARTEL" data build --domain aa=other/aa --domain bb=other/bb --vocab 290 -o data3 -q
run 1 "$ARTEL" distill student.yaml -o x --set distill.teacher=top --set data.train=data3
says "top/aa.train.logits: captured with tokenizer "
run 1 "$ARTEL" capture run/model --data data3 -o x --context 32
says "the same ids mean other text"
run 1 "$ARTEL" distill student.yaml -o x --set data.train=data3
says "the teacher run/model has tokenizer "
says "Ways out: a teacher with the student's tokenizer, whose vocabulary may be longer by padding; or"
says "text that he writes (artel generate)"

# A vocabulary padded at its end is no other one.
run 0 "$ARTEL" train teacher.yaml -o padded -q --set model.vocab_size=320
student padded-s --set distill.teacher=padded/model
run 0 "$ARTEL" capture padded/model --data data -o padded-top --context 32 -q
student padded-top-s --set distill.teacher=padded-top
student longer-s --set distill.teacher=padded-top --set model.vocab_size=310

# ---- damage --------------------------------------------------------------------------------------------------
hurt() { # a copy of the store with one byte changed, of file $1 at offset $2
    rm -rf hurt
    cp -r top hurt
    printf '\377' | dd of="hurt/$1" bs=1 seek="$2" conv=notrunc 2>/dev/null
}
hurt aa.train.logits 500000
run 1 "$ARTEL" inspect hurt
says "hurt/aa.train.logits: altered: the checksum of window 117 does not hold"
cp -r top odd
sed -i 's/"tokens":\t/"tokens":\t1/' odd/manifest.json
run 1 "$ARTEL" inspect odd
says "odd/aa.train.logits: is not what odd/manifest.json says of it"
hurt aa.train.logits 40
run 1 "$ARTEL" distill student.yaml -o x --set distill.teacher=hurt
says "hurt/aa.train.logits: the header was altered (its checksum does not hold)"
rm -rf hurt
cp -r top hurt
for i in 1 3 5 7 9 11 13 15 17 19 21 23 25 27 29; do
    printf '\377' | dd of=hurt/aa.train.logits bs=1 seek=$((4096 + i * 79000 + 11)) conv=notrunc 2>/dev/null
done
run 1 "$ARTEL" distill student.yaml -o x --set distill.teacher=hurt --set train.steps=400
says "hurt/aa.train.logits: altered: the checksum of window "
rm -rf hurt x
cp -r top hurt
head -c 200000 top/bb.train.logits >hurt/bb.train.logits
run 1 "$ARTEL" distill student.yaml -o x --set distill.teacher=hurt
says "hurt/bb.train.logits: cut short: "
cp one/aa.train.logits hurt/bb.train.logits
run 1 "$ARTEL" distill student.yaml -o x --set distill.teacher=hurt
says 'hurt/bb.train.logits: captured over other text than the train split of "bb" in data'
sed -i 's/artel-logits/artel-data/' hurt/manifest.json
run 1 "$ARTEL" distill student.yaml -o x --set distill.teacher=hurt
says 'hurt/manifest.json: field "format": expected "artel-logits", found "artel-data"'
done_testing
