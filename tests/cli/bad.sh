# bad.sh - bad models, bad data, missing permissions, full disks.  Each gives a message of one sentence
# that names the file, exit code 1, and leaves no partial output.
. tests/cli/lib.sh
golden=$PWD/tests/golden
cd "$work" || exit 1
ids=$golden/gpt2/golden.safetensors

# A good model, text, data set and tokenizer, which are damaged below.
mkdir good text
cp "$golden/gpt2/config.json" "$golden/gpt2/model.safetensors" good/
i=0
while [ $i -lt 60 ]; do
    i=$((i + 1))
    echo "The quick brown fox number $i jumps over the lazy dog of house $i and is glad $i$i." >text/$i.txt
done
run 0 "$ARTEL" data build -q -d en=text --vocab 300 -o data
cat >r.yaml <<'Y'
model: {arch: gpt2, n_layer: 1, n_embd: 16, n_head: 2, n_positions: 64}
data: {train: data}
train: {steps: 2, batch: 2, context: 16}
Y
run 0 "$ARTEL" train r.yaml -o run -q
run 0 "$ARTEL" logits good --ids "$ids" -o out.safetensors

# ---- config.json ----------------------------------------------------------------------------------
mkdir m
spoil() { # key and value that take the place of the key's line; then what stderr says
    cp "$golden/gpt2/model.safetensors" m/
    sed "s/^  \"$1\":.*/  \"$1\": $2,/" "$golden/gpt2/config.json" >m/config.json
    run 1 "$ARTEL" logits m --ids "$ids" -o x.safetensors
    says "m/"
    says "$3"
    check "a file is left behind" test ! -e x.safetensors
}
spoil n_embd 25 '`n_head`: n_embd = 25 is not a multiple of n_head = 3'
spoil n_embd 1e15 '`n_embd`: expected a whole number in [1, 65536], found `1e15`'
spoil n_embd 24.5 'found `24.5`'
spoil n_embd 48 'expected shape [97,48], found [97,24]'
spoil n_layer 0 '`n_layer`: expected a whole number in [1, 1024]'
spoil n_layer 4 'tensor `transformer.h.3.ln_1.weight` is missing'
spoil n_layer 2 'belongs to no parameter of this model'
spoil n_head -3 '`n_head`: expected a whole number'
spoil n_positions 1e999 '`n_positions`: expected'
spoil n_positions 9223372036854775808 '`n_positions`: expected'
spoil model_type '"gpt9"' '`model_type`: architecture `gpt9` is unknown; known: '
spoil activation_function '"gelu_nwe"' '`activation_function`: expected one of'
spoil n_layer '[3]' 'n_layer'
spoil vocab_size ',' 'm/config.json: byte '

file() { # stderr of `logits m` after config.json was made by the caller
    run 1 "$ARTEL" logits m --ids "$ids" -o x.safetensors
    says "m/config.json: $1"
}
: >m/config.json
file 'expected JSON, found nothing (0 bytes)'
printf '{"model_type": "gpt2\377"}' >m/config.json
file 'byte 20: not UTF-8'
printf '{"model_type": gpt2}' >m/config.json
file 'byte '
awk 'BEGIN { for (i = 0; i < 100000; i++) printf "{\"a\":" }' >m/config.json
file 'byte 320: nested deeper than 64 levels'
awk 'BEGIN { for (i = 0; i < 100000; i++) printf "[" }' >m/config.json
file 'byte 64: nested deeper than 64 levels'
rm m/config.json
file 'cannot open: No such file'

# ---- weights, tokenizer -------------------------------------------------------------------------------
cp good/config.json m/
: >m/model.safetensors
run 1 "$ARTEL" logits m --ids "$ids" -o x.safetensors
says "m/model.safetensors: 0 bytes are too few"
rm m/model.safetensors
run 1 "$ARTEL" logits m --ids "$ids" -o x.safetensors
says "m: expected model.safetensors or"
rm -r m
cp -r run/model m
awk 'BEGIN { for (i = 0; i < 100000; i++) printf "{\"a\":" }' >m/tokenizer.json
run 1 "$ARTEL" generate m -p x
says "m/tokenizer.json: byte 320: nested deeper than 64 levels"
printf '\377' >m/tokenizer.json
run 1 "$ARTEL" generate m -p x
says "m/tokenizer.json: byte 0: not UTF-8"
: >m/tokenizer.json
run 1 "$ARTEL" generate m -p x
says "m/tokenizer.json: expected JSON, found nothing"
cp "$golden/tokenizer/artel.json" m/tokenizer.json
run 1 "$ARTEL" generate m -p x
says "m: tokenizer.json has ids up to 379, the model only 300"
"$ARTEL" data build -q -d en=text --vocab 290 -o other >/dev/null 2>&1
cp other/tokenizer.json m/tokenizer.json
run 1 "$ARTEL" generate m -p x
says "m: the weights were trained with tokenizer"
rm m/tokenizer.json
run 2 "$ARTEL" generate m -p x
says "m has no tokenizer.json"

# ---- a modular model that lies -------------------------------------------------------------------------
mkdir modular
lie() { # config.json; what stderr says
    printf '%s' "$1" >modular/config.json
    run 1 "$ARTEL" generate modular -p x
    says "$2"
}
lie '{"model_type":"artel-modular"}' 'modular/config.json: field "experts": expected an array'
lie '{"model_type":"artel-modular","experts":[]}' 'modular/config.json: `experts` is empty'
lie '{"model_type":"artel-modular","experts":[1]}' 'modular/config.json: field "name"'
lie '{"model_type":"artel-modular","experts":[{"name":"a","file":"../m/model.safetensors","config":{}}]}' \
    'expected a path in this folder'
lie '{"model_type":"artel-modular","experts":[{"name":"a","file":"x","config":{"model_type":"gpt2","n_embd":-1}}]}' \
    '`n_embd`: expected a whole number'

# ---- data that was altered ---------------------------------------------------------------------------------
cp -r data bad
printf '\377\377' | dd of=bad/en.train.bin bs=1 seek=4106 conv=notrunc 2>/dev/null
wrong='bad/en.train.bin: token 5 is 65535, expected an id below 300'
run 1 "$ARTEL" train r.yaml -o x -q --set data.train=bad
says "$wrong"
check "a refused run leaves a folder" test ! -e x
run 1 "$ARTEL" eval run/model --data bad
says "$wrong"
run 1 "$ARTEL" data show bad
says "$wrong"
rm -r bad
cp -r data bad # another token of the vocabulary
printf '\1\0' | dd of=bad/en.train.bin bs=1 seek=4106 conv=notrunc 2>/dev/null
cmp -s data/en.train.bin bad/en.train.bin &&
    printf '\2\0' | dd of=bad/en.train.bin bs=1 seek=4106 conv=notrunc 2>/dev/null
run 1 "$ARTEL" eval run/model --data bad --split train
says "bad/en.train.bin: altered"

# ---- a disk that is full: a limit on the size of files plays it ----------------------------------------------
full() { # the command line behind "$ARTEL"; its output is called x
    run 1 sh -c "ulimit -f 1; trap '' XFSZ; exec \"\$@\"" - "$ARTEL" "$@"
    says "File too large"
    says "x"
    check "something is left behind" sh -c '! ls -d x* 2>/dev/null | grep .'
}
cat >compose.yaml <<'Y'
router: router
experts: [{name: en, model: run/model}, {name: fr, model: run/model}]
Y
mkdir fr
for f in text/*; do tr a-z n-za-m <"$f" >"fr/${f#text/}"; done
run 0 "$ARTEL" data build -q -d en=text -d fr=fr --tokenizer data/tokenizer.json -o two
run 0 "$ARTEL" router train two -o router -q
run 0 "$ARTEL" compose compose.yaml -o modular2
full data build -q -d en=text --vocab 300 -o x
full compose compose.yaml -o x
full logits good --ids "$ids" -o x.safetensors
full tokenizer train --vocab 300 -o x.json text/1.txt text/2.txt
if [ -c /dev/full ]; then
    run 1 sh -c '"$0" generate "$1" -p x -n 5 -q >/dev/full' "$ARTEL" run/model
    says "cannot write to stdout"
fi

# ---- permissions: root has them all, so it becomes nobody ------------------------------------------------------
as_nobody=
if [ "$(id -u)" -eq 0 ]; then
    if command -v setpriv >/dev/null 2>&1; then
        as_nobody="setpriv --reuid=65534 --regid=65534 --clear-groups"
        cp "$ARTEL" artel && chmod 755 "$work" artel && ARTEL=$work/artel
        $as_nobody "$ARTEL" --version >/dev/null 2>&1 || as_nobody=none # a mount without exec, say
    else
        as_nobody=none
    fi
fi
if [ "$as_nobody" != none ]; then
    mkdir locked
    chmod 555 locked
    denied() { # what stderr says; command line behind "$ARTEL"
        part=$1
        shift
        # shellcheck disable=SC2086 # words
        run 1 $as_nobody "$ARTEL" "$@"
        says "$part"
        says "Permission denied"
        check "something was written" test -z "$(ls locked)"
    }
    run 0 $as_nobody "$ARTEL" inspect run/model
    denied locked/x train r.yaml -o locked/x
    denied locked/x data build -q -d en=text --vocab 300 -o locked/x
    denied locked/x compose compose.yaml -o locked/x
    denied locked/x.safetensors logits good --ids "$ids" -o locked/x.safetensors
    denied locked/x router train two -o locked/x
    denied locked/x.json tokenizer train --vocab 300 -o locked/x.json text/1.txt
    chmod 000 m/config.json
    denied m/config.json inspect m
    chmod 644 m/config.json
    chmod 000 m/model.safetensors
    denied m/model.safetensors eval m --data data
    chmod 000 data/en.test.bin
    denied data/en.test.bin eval run/model --data data
    chmod 000 r.yaml
    denied r.yaml train r.yaml -o locked/x
    chmod 000 text
    mkdir open
    chmod 777 open
    denied text data build -q -d en=text --vocab 300 -o open/x
    check "something was written" test -z "$(ls open)"
    chmod 755 text
else
    echo "permissions were not tested: this is root and cannot become anybody else"
fi
done_testing
