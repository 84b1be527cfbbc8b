# convert, and generate without a tokenizer: models as other programs write them.
. tests/cli/lib.sh
golden=$PWD/tests/golden
cd "$work" || exit 1

run 0 "$ARTEL" convert "$golden/moduleformer/molm" -o hf --to hf --json
prints '"tensors_written":36'
prints '"left_out":0'
prints '"difference":0'
check "another configuration" cmp -s hf/config.json "$golden/moduleformer/molm/config.json"
run 0 "$ARTEL" convert hf -o own --to artel
prints "4 tensors are no parameters"
prints "agree to the last bit"
run 0 "$ARTEL" convert own -o small --to hf --dtype bf16
prints "differ by"
run 0 "$ARTEL" inspect small
prints "torch_dtype: bfloat16"
run 0 "$ARTEL" logits small --ids "$golden/moduleformer/molm/golden.safetensors" -o logits.safetensors

run 2 "$ARTEL" convert hf -o own --to artel
says "exists already"
run 1 "$ARTEL" convert hf -o x --to gguf
says "not supported yet"
run 2 "$ARTEL" convert hf -o x --to onnx
says "--to"
run 2 "$ARTEL" convert hf -o x --to hf --dtype f64
says "--dtype"
run 2 "$ARTEL" convert hf --to hf
mkdir pickled
cp hf/config.json pickled
echo '{}' >pickled/pytorch_model.bin.index.json
run 1 "$ARTEL" convert pickled -o x --to hf
says "save_file"
sed '1s/{/{"universal": true,/' hf/config.json >pickled/config.json
run 1 "$ARTEL" convert pickled -o x --to hf
says "universal"
check "a refused conversion leaves a folder" test -z "$(ls -d x .*.artel-* 2>/dev/null)"

run 0 "$ARTEL" generate small --ids 1,2,3 -n 6 --seed 1 -q
first=$(cat "$work/.out")
check "six ids" test "$(wc -w <"$work/.out")" -eq 6
run 0 "$ARTEL" generate small --ids "1, 2 3" -n 6 --seed 1 --json
prints "\"ids\":[$(echo "$first" | tr ' ' ,)]"
prints '"prompt_tokens":3'
sed 's/"eos_token_id":[^,]*/"eos_token_id": null/' small/config.json >config.json && mv config.json small
run 0 "$ARTEL" generate small --ids 1 -n 300 --seed 1 -q # longer than the room at first
check "300 ids" test "$(wc -w <"$work/.out")" -eq 300
run 2 "$ARTEL" generate small -p hello
says "tokenizer.json"
run 2 "$ARTEL" generate small --ids 1,61
says "id 61 at position 1"
run 2 "$ARTEL" generate small --ids 1,x
says "--ids"
run 2 "$ARTEL" generate small --ids 1 -p hello
says "either"
done_testing
