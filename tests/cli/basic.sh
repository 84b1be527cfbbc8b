# Help, version, unknown names, options and environment variables, exit codes.
. tests/cli/lib.sh
tensors=$PWD/tests/golden/tensors.safetensors

run 2 "$ARTEL"
says "usage: artel <verb>"
silent
for how in --help -h help; do
    run 0 "$ARTEL" $how
    prints "usage: artel <verb>"
    prints "inspect"
done
run 0 "$ARTEL" --version
prints "artel 0."
prints "cpu"
prints "blas"
prints "arithmetic fma16."
run 0 "$ARTEL" --version --json
prints '"commit":"'
run 2 "$ARTEL" --version --jsn
run 2 "$ARTEL" inspekt
says 'unknown verb `inspekt`, did you mean `inspect`?'
run 2 "$ARTEL" help inspekt
says 'did you mean `inspect`?'
run 2 "$ARTEL" zzzzzzzz
says 'unknown verb `zzzzzzzz`'
check "no suggestion for nonsense" sh -c '! grep -q "did you mean" "$1"' - "$work/.err"
run 2 "$ARTEL" --bogus
says 'unknown option `--bogus`'

# Every verb explains itself on stdout and succeeds; every help names the environment.
for verb in $("$ARTEL" help | sed -n 's/^  \([a-z]*\)  .*/\1/p'); do
    run 0 "$ARTEL" "$verb" --help
    prints "usage: artel $verb"
    run 0 "$ARTEL" help "$verb"
    prints "usage: artel $verb"
    run 2 "$ARTEL" "$verb" --no-such-option
    silent
done
run 0 "$ARTEL" inspect --help
prints "ARTEL_DIGEST"
prints "--json"

# Options: anywhere, long, short, attached, unknown, without value, out of range.
run 0 "$ARTEL" inspect --json "$tensors"
prints '"kind":"tensors"'
run 0 "$ARTEL" inspect "$tensors" --json --threads 1 -q
prints '{"tensor":"matrix","dtype":"F32","shape":[2,3],"bytes":24}'
run 0 env POSIXLY_CORRECT=1 "$ARTEL" inspect "$tensors" --json
prints '"kind":"tensors"'
run 0 "$ARTEL" inspect --threads=1 -- "$tensors"
prints "matrix"
run 2 "$ARTEL" inspect --jsn "$tensors"
says 'unknown option `--jsn`, did you mean `--json`?'
silent
run 2 "$ARTEL" inspect "$tensors" --threads
says 'option `--threads` needs a value'
run 2 "$ARTEL" inspect "$tensors" --threads two
says 'option --threads: expected a whole number, found `two`'
run 2 "$ARTEL" inspect "$tensors" --threads 0x2
run 2 "$ARTEL" inspect "$tensors" --threads 1.5
run 2 "$ARTEL" inspect "$tensors" --threads -1
says 'in [0, 4096], found `-1`'
run 2 "$ARTEL" inspect -z "$tensors"
says 'unknown option `-z`'
run 2 "$ARTEL" inspect
says "expected PATH, found 0 arguments"
run 2 "$ARTEL" inspect a b
says 'unexpected argument `b`'

# The environment: below options, above defaults.
run 0 env ARTEL_JSON=1 "$ARTEL" inspect "$tensors"
prints '"kind":"tensors"'
run 0 env ARTEL_JSON=no "$ARTEL" inspect "$tensors"
prints "kind: tensors"
run 2 env ARTEL_JSON=perhaps "$ARTEL" inspect "$tensors"
says 'environment ARTEL_JSON: expected yes or no, found `perhaps`'
run 2 env ARTEL_THREADS=many "$ARTEL" inspect "$tensors"
says 'environment ARTEL_THREADS: expected a whole number, found `many`'

# Bad files: exit 1, the path, the reason; nothing on stdout.
run 1 "$ARTEL" inspect --json "$work/none"
says "$work/none: cannot open: No such file"
silent
: >"$work/empty"
run 1 "$ARTEL" inspect "$work/empty"
says "$work/empty: 0 bytes are too few for a tensor file"
echo "hello, this is no tensor file" >"$work/text"
run 1 "$ARTEL" inspect "$work/text"
says "$work/text: not a tensor file"
head -c 690 "$tensors" >"$work/cut"
run 1 "$ARTEL" inspect "$work/cut"
says 'are outside the 90 bytes of data (is the file truncated?)'
mkdir "$work/folder"
run 1 "$ARTEL" inspect "$work/folder"
says "$work/folder: expected a model (config.json)"
printf '{"domains":{"en":{"tokens":12}}' >"$work/folder/manifest.json"
run 1 "$ARTEL" inspect "$work/folder"
says "manifest.json: byte 31: the JSON text ends too early"
printf '{"domains":{"en":{"tokens":12}}}' >"$work/folder/manifest.json"
run 1 "$ARTEL" inspect "$work/folder"
says "$work/folder/manifest.json: "
mkdir "$work/text.d"
for i in 1 2 3 4 5 6 7 8 9; do
    echo "The quick brown fox number $i jumps over the lazy dog of house number $i and is glad." \
        >"$work/text.d/$i.txt"
done
run 0 "$ARTEL" data build -q --domain en="$work/text.d" --vocab 300 -o "$work/data"
run 0 "$ARTEL" inspect --json "$work/data"
prints '"kind":"dataset"'
prints '"vocab":'
run 0 "$ARTEL" inspect "$work/data"
prints "kind: dataset"
mkdir "$work/model"
printf '{"model_type":"other"}' >"$work/model/config.json"
cp "$tensors" "$work/model/model.safetensors"
run 0 "$ARTEL" inspect --json "$work/model"
prints '"kind":"model"'
prints '"config":{"model_type":"other"}'
prints '"parameters":23'
prints '"tokenizer":false'
cp "$work/cut" "$work/model/more.safetensors"
run 1 "$ARTEL" inspect --json "$work/model"
says "$work/model/more.safetensors: tensor"
silent
mkdir "$work/run"
printf '{"step":1}\n{"step":2}\n{"st' >"$work/run/metrics.jsonl"
run 0 "$ARTEL" inspect --json "$work/run"
prints '"lines":2,"last":{"step":2}'

# A result that cannot be delivered is a failure.
if [ -c /dev/full ]; then
    run 1 sh -c '"$1" inspect "$2" >/dev/full' - "$ARTEL" "$tensors"
    says "cannot write to stdout"
fi
done_testing
