#!/bin/sh
# The whole life of a modular model on a few kilobytes: data, teacher, experts, router, composition,
# evaluation, generation; then what must be refused.
. tests/cli/lib.sh
cd "$work" || exit 1

# ---- two languages nobody speaks: words of other letters -----------------------------------------
two_languages

cat >teacher.yaml <<'Y'
seed: 7
model: {arch: gpt2, n_layer: 2, n_embd: 32, n_head: 2, n_positions: 64}
data: {train: data}
train: {steps: 20, batch: 4, context: 32, lr: 3e-3, eval_every: 10, eval_windows: 4, save_every: 5}
Y
cat >expert.yaml <<'Y'
model: {arch: gpt2, n_layer: 1, n_embd: 32, n_head: 2, n_positions: 64}
data: {train: data}
train: {steps: 10, batch: 4, context: 32, lr: 3e-3}
distill: {teacher: teacher/model, temperature: 2.0, alpha: 0.5}
Y

# ---- the same bits: for 1, 2, 3 threads, and across kill and resume --------------------------------
run 0 "$ARTEL" train teacher.yaml -o teacher --threads 1
prints "20 steps"
check "report" test -s teacher/report.html
check "recipe" grep -q '^seed: 7$' teacher/recipe.yaml
check "no stray folders" test "$(ls teacher/checkpoints | wc -l)" -eq 2
for threads in 1 2 3; do
    "$ARTEL" train teacher.yaml -o killed$threads -q --threads $threads >/dev/null 2>&1 &
    pid=$!
    while [ ! -d killed$threads/checkpoints/step-00000010 ] && kill -0 $pid 2>/dev/null; do :; done
    kill -9 $pid 2>/dev/null
    wait $pid 2>/dev/null
    rm -rf killed$threads/model # should it have got so far
    run 0 "$ARTEL" train teacher.yaml -o killed$threads -q --resume --threads $threads
    check "killed and resumed with $threads threads: other bits" \
        cmp -s teacher/model/model.safetensors killed$threads/model/model.safetensors
    check "each step is logged once" \
        test "$(grep -c grad_norm killed$threads/metrics.jsonl)" -eq 20
done

# a finished run has nothing left to do; one whose checkpoint was altered does not go on
run 0 "$ARTEL" train teacher.yaml -o teacher --resume --json
prints '"loss":null'
cp -r teacher spoilt
latest=spoilt/checkpoints/step-00000020
sed 's/"step":.*,/"step": 19,/' teacher/checkpoints/step-00000020/state.json >$latest/state.json
run 1 "$ARTEL" train teacher.yaml -o spoilt --resume
says "$latest/state.json: field \"step\""
sed 's/"loss_mean":.*,/"loss_mean": "much",/' teacher/checkpoints/step-00000020/state.json >$latest/state.json
run 1 "$ARTEL" train teacher.yaml -o spoilt --resume
says 'field "loss_mean": expected a finite number, found "much"'
cp teacher/checkpoints/step-00000020/state.json $latest/
printf '\377' | dd of=$latest/adam_v.safetensors bs=1 seek=9000 conv=notrunc 2>/dev/null
run 1 "$ARTEL" train teacher.yaml -o spoilt --resume
says "$latest/adam_v.safetensors: "
rm $latest/adam_v.safetensors
run 1 "$ARTEL" train teacher.yaml -o spoilt --resume
says "$latest/adam_v.safetensors: cannot open"

# ---- Ctrl-C saves and exits 130 ---------------------------------------------------------------------
# A shell starts background commands with SIGINT ignored; the program must ask for it all the same.
"$ARTEL" train teacher.yaml -o stopped -q --set train.steps=100000 --set train.save_every=0 \
    --set train.eval_every=0 >/dev/null 2>"$work/.err" &
pid=$!
while [ ! -s stopped/metrics.jsonl ]; do sleep 0.05; done
kill -INT $pid
wait $pid
rc=$?
check "Ctrl-C: exit code $rc, not 130" test $rc -eq 130
says "--resume"
check "Ctrl-C: nothing saved" test -n "$(ls stopped/checkpoints)"

# ---- experts, router, one model -----------------------------------------------------------------------
for d in aa bb; do run 0 "$ARTEL" distill expert.yaml -o expert-$d -q --set "data.domains=[$d]"; done
run 0 "$ARTEL" router train data -o router -q
# ---- in BF16, a teacher and a judge say what they say with the same values expanded
run 0 "$ARTEL" train teacher.yaml -o wide -q --set model.n_embd=128 --set model.n_layer=1 \
    --set train.steps=2 --set train.eval_every=0
run 0 "$ARTEL" convert wide/model -o narrow --to hf --dtype bf16
run 0 "$ARTEL" convert narrow -o expanded --to hf --dtype f32
for m in narrow expanded; do
    run 0 "$ARTEL" distill expert.yaml -o from-$m -q --set distill.teacher=$m --set train.steps=3
    run 0 "$ARTEL" eval $m --data data --json
    cp "$work/.out" $m.eval
    run 0 "$ARTEL" generate $m -p "mino" -n 20 --seed 4 -q
    cp "$work/.out" $m.text
done
check "another student" cmp -s from-narrow/model/model.safetensors from-expanded/model/model.safetensors
check "another loss" cmp -s narrow.eval expanded.eval
check "another text" cmp -s narrow.text expanded.text
printf '%s\n' 'init: narrow' 'data: {train: data}' 'train: {steps: 1, batch: 4, context: 32}' >tune.yaml
run 0 "$ARTEL" train tune.yaml -o tuned -q
check "values are F32 now" grep -q '"torch_dtype":[[:space:]]*"float32"' tuned/model/config.json

cat >compose.yaml <<'Y'
mode: ple
router: router
experts:
  - {name: aa, model: expert-aa/model}
  - {name: bb, model: expert-bb/model}
Y
run 0 "$ARTEL" compose compose.yaml -o model
run 0 "$ARTEL" eval model --data data --json --usage
prints '"domain":"all"'
prints '"usage":{"aa":1,"bb":0}'
prints '"route_on":32'
prints '"bits_per_byte":'
# ---- the same tokens are scored of a composed and of a plain model; the router reads what is before them
run 0 "$ARTEL" eval model --data data --context 40 --windows 5 --route-on 8 --json
prints '"domain":"aa","tokens":165,"route_on":8,'
run 0 "$ARTEL" eval teacher/model --data data --context 40 --windows 5 --route-on 8 --json
prints '"domain":"aa","tokens":165,"route_on":8,'
run 0 "$ARTEL" eval model --data data --context 40 --windows 5 --json
prints '"domain":"aa","tokens":105,"route_on":20,'
run 0 "$ARTEL" eval model --data data --context 40 --windows 5 --route-on -1 --json
prints '"domain":"aa","tokens":200,"route_on":0,'
run 0 "$ARTEL" eval model --data data --context 40 --windows 5 --route-on 40
prints "Of each window 40 tokens are read"
run 2 "$ARTEL" eval model --data data --context 40 --route-on 41
says "the first 41 tokens of a window are not to be scored"
run 0 "$ARTEL" eval teacher/model --data data --split validation
# ---- how texts read: those that generate writes, of a plain and of a composed model -------------------
run 0 "$ARTEL" eval model --data data --generate --samples 3 --tokens 12 --prompt-tokens 8 --json
check "a line for the documents and each temperature of each domain" test "$(wc -l <.out)" -eq 8
prints '{"domain":"aa","temperature":null,"texts":1,"prompt_tokens":8,"new_tokens":12,"ended":0,'
prints '{"domain":"bb","temperature":0.3,"texts":3,'
prints '"verdict":{"aa":1}'
prints '"verdict":{"bb":1}'
cp .out texts
run 0 "$ARTEL" eval model --data data --generate --samples 3 --tokens 12 --prompt-tokens 8 --json --threads 1
check "another thread, another text" test "$(sed 's/,"tokens_per.*//' .out)" = "$(sed 's/,"tokens_per.*//' texts)"
run 0 "$ARTEL" eval teacher/model --data data --generate --split train --samples 2 --tokens 9 --temperatures 0,2
prints "aa             documents        0.0 %      100.0 %            -       18"
prints "said before: runs of four words"
run 0 "$ARTEL" eval teacher/model --data data --generate --samples 2 --tokens 9 --temperatures 2 --json
check "a verdict without a router" sh -c "! grep -q verdict .out"
prints '"language":null'
run 0 "$ARTEL" eval teacher/model --data data --generate --samples 2 --tokens 9 --router router --json
prints '"language":1,"verdict":{"bb":1}'
run 2 "$ARTEL" eval teacher/model --data data --generate --temperatures 1,warm
says "--temperatures 1,warm: expected up to 16 numbers such as 0.3,0.8"
run 2 "$ARTEL" eval teacher/model --data data --generate --prompt-tokens 99999
says "no document of domain aa in the split test has more than the 99999 tokens of a prompt"
run 1 "$ARTEL" eval teacher/model --data data --generate --router nowhere
says "nowhere"
run 0 "$ARTEL" generate model -p "mino take lora" -n 8
says "expert aa"
run 0 "$ARTEL" generate model -p "zuvog drikep" -n 8 --json
prints '"expert":"bb"'
prints '"new_tokens":8'
run 0 "$ARTEL" generate model -p "zuvog drikep" -n 4 --exclude bb
says "expert aa"
run 0 "$ARTEL" generate model -p "zuvog" -n 100 --experts bb # beyond the context of 64
# Where the router is not sure enough, nobody answers, or the one who is named.
run 0 "$ARTEL" router explain model "mino zuvog" --json
sure=$(sed 's/.*"probabilities":{"aa":\([0-9.e-]*\),"bb":\([0-9.e-]*\)}.*/\1 \2/' "$work/.out" |
    awk '{ print ($1 > $2 ? $1 : $2) }')
above=$(awk "BEGIN { print $sure + (1 - $sure) / 2 }") below=$(awk "BEGIN { print $sure * 0.99 }")
run 2 "$ARTEL" generate model -p "mino zuvog" -n 4 --abstain "$above"
says "model: unknown: the router's first choice is"
silent
run 0 "$ARTEL" generate model -p "mino zuvog" -n 4 --abstain "$below"
for name in aa bb; do
    run 0 "$ARTEL" generate model -p "mino zuvog" -n 4 --abstain "$above" --fallback $name
    says "expert $name"
done
run 2 "$ARTEL" generate model -p "mino zuvog" --abstain 0.5 --fallback cc
says 'no expert is called `cc`'
run 2 "$ARTEL" generate model -p mino --fallback aa
says "--fallback is of use with --abstain alone"
run 0 "$ARTEL" generate teacher/model -p mino -n 2 --abstain 1 # a plain model has no doubts
run 0 "$ARTEL" eval model --data data --context 40 --windows 5 --route-on 1 --abstain 0.5 --json
prints '"abstained":0'
run 0 "$ARTEL" eval model --data data --context 40 --windows 5 --route-on 1 --abstain 1 --json
check "some windows are not answered: fewer tokens are scored" awk '/"domain":"all"/ {
    match($0, /"abstained":[0-9.]+/); share = substr($0, RSTART + 12, RLENGTH - 12)
    match($0, /"tokens":[0-9]+/); tokens = substr($0, RSTART + 9, RLENGTH - 9)
    exit !(share + 0 > 0 && tokens + 0 < 390)
}' "$work/.out"
run 0 "$ARTEL" eval model --data data --context 40 --windows 5 --route-on 1 --abstain 1
prints "unknown 100.0%, nothing is scored"
prints "unknown 80.0%"
run 2 "$ARTEL" generate model -p x --experts cc
says 'no expert `cc`'
run 2 "$ARTEL" generate model -p x --exclude aa,bb
says "excluded"
run 0 "$ARTEL" generate teacher/model -p "mino" -n 12 --seed 3
cp .out first
run 0 "$ARTEL" generate teacher/model -p "mino" -n 12 --seed 3 --threads 1
check "the same seed gives another text" cmp -s .out first
run 0 "$ARTEL" generate teacher/model -p "mino" -n 12 --seed 3 --repeat-penalty 1
check "a penalty of 1 is one" cmp -s .out first
run 0 "$ARTEL" generate teacher/model -p "mino" -n 12 --seed 3 --repeat-penalty 1e6
check "a penalty is none" test "$(cat .out)" != "$(cat first)"
run 2 "$ARTEL" generate teacher/model -p "mino" --repeat-penalty 0.5
says "repeat-penalty"
# hot enough, every byte comes: JSON stays UTF-8
run 0 "$ARTEL" generate model -p "zuvog" -n 200 --temperature 50 --top-k 0 --json
prints '"text":"'
check "U+FFFD for what is no character" grep -q "$(printf '\357\277\275')" .out
check "a line that is not UTF-8" sh -c "iconv -f UTF-8 -t UTF-8 .out >/dev/null"
run 0 "$ARTEL" inspect model
run 0 "$ARTEL" inspect teacher
run 0 "$ARTEL" plan teacher.yaml --json
prints '"parameters":'
prints '"doubts":['

# ---- what must be refused ------------------------------------------------------------------------------
run 2 "$ARTEL" train teacher.yaml
says "RUN"
run 2 "$ARTEL" train teacher.yaml -o teacher
says "--resume"
run 1 "$ARTEL" train missing.yaml -o x
says "missing.yaml"
run 1 "$ARTEL" train teacher.yaml -o x --set train.stepz=1
says 'did you mean `train.steps`'
run 1 "$ARTEL" train teacher.yaml -o x --set train.lr=fast
says "train.lr"
run 1 "$ARTEL" train teacher.yaml -o x --set model.n_head=3
says "n_head"
run 1 "$ARTEL" train teacher.yaml -o x --set model.n_embd=99999999
says "n_embd"
run 1 "$ARTEL" train teacher.yaml -o x --set train.context=65
says "at most 64"
run 1 "$ARTEL" train teacher.yaml -o x --set data.train=nowhere
says "nowhere"
run 1 "$ARTEL" train teacher.yaml -o x --set 'data.domains=[cc]'
says "cc"
check "a refused run leaves a folder" test ! -e x
run 1 "$ARTEL" train teacher.yaml -o teacher --resume --set train.lr=1e-4
says "recipe"
run 1 "$ARTEL" train teacher.yaml -o wild -q --set train.lr=10 --set train.clip=0 --set train.warmup=0 \
    --set train.steps=400 --set train.spike=1
says "step"
check "a run that exploded keeps its last checkpoint" test -n "$(ls wild/checkpoints)"
run 1 "$ARTEL" train teacher.yaml -o x --set train.steps=1 --set 'freeze=[nothing.*]'
says "nothing.*"
run 0 "$ARTEL" data build --domain aa=aa --domain bb=bb --vocab 280 -o other -q
run 1 "$ARTEL" eval teacher/model --data other
says "tokenizer"
run 1 "$ARTEL" distill expert.yaml -o x --set data.train=other
says "tokenizer"
run 1 "$ARTEL" eval nowhere --data data
says "nowhere"
run 2 "$ARTEL" compose compose.yaml -o model
says "exists"
run 1 "$ARTEL" compose compose.yaml -o x --set mode=mean
says "\`mode\`: expected one of ple, jeet, moe-ce, btx, ensemble, found"

mv data data.kept
cp -r other data
run 1 "$ARTEL" train teacher.yaml -o teacher --resume
says "the data set has changed"
rm -r data
mv data.kept data

# truncated, altered: path, tensor and reason
cp -r teacher/model cut
size=$(wc -c <cut/model.safetensors)
head -c $((size - 100)) teacher/model/model.safetensors >cut/model.safetensors
run 1 "$ARTEL" eval cut --data data
says "cut/model.safetensors"
cp teacher/model/model.safetensors cut/model.safetensors
printf '\377' | dd of=cut/model.safetensors bs=1 seek=$((size - 50)) conv=notrunc 2>/dev/null
run 1 "$ARTEL" eval cut --data data
says "cut/model.safetensors"
says "transformer."

# no permission (root writes everywhere), disk full
mkdir locked
chmod 555 locked
[ "$(id -u)" -eq 0 ] || { run 1 "$ARTEL" train teacher.yaml -o locked/run; says "locked"; }
run 1 sh -c "ulimit -f 8; trap '' XFSZ; exec '$ARTEL' train teacher.yaml -o small -q"
says "small/"
check "a torn checkpoint was left" test -z "$(ls small/checkpoints)"
done_testing
