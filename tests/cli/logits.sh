# logits: against the golden values, and every way its input can be wrong.
. tests/cli/lib.sh
golden=tests/golden/gpt2
ids=$golden/golden.safetensors

run 0 "$ARTEL" logits "$golden" --ids "$ids:input_ids" -o "$work/out.safetensors"
silent
run 0 "$ARTEL" inspect "$work/out.safetensors"
prints "hashes: hold"
check "one tensor [2,19,97]" grep -q 'logits  *F32  *2 x 19 x 97 ' "$work/.out"

# The values: data begins after 8 bytes of length and the header; offsets are in the header.
length() { od -An -t u8 -N 8 "$1" | tr -d ' '; }
offsets() { # of tensor $2 in file $1
    tail -c +9 "$1" | head -c "$(length "$1")" | tr -d ' ' |
        sed 's/.*"'"$2"'":{"dtype":"F32","shape":\[[0-9,]*\],"data_offsets":\[\([0-9]*\),\([0-9]*\)\].*/\1 \2/'
}
values() {
    # shellcheck disable=SC2046 # two numbers
    set -- "$1" $(offsets "$1" "$2")
    tail -c +$((9 + $(length "$1") + $2)) "$1" | head -c $(($3 - $2)) | od -An -v -t f4 -w4
}
values "$work/out.safetensors" logits >"$work/got"
values "$ids" logits >"$work/want"
command_line="logits, compared with golden values"
check "3686 values" test "$(wc -l <"$work/want")" -eq 3686
check "logits differ from the golden values by more than 1e-5" sh -c "paste '$work/got' '$work/want' |
    awk '{ d += (\$1 - \$2)^2; n += \$2^2 } END { exit !(NR == 3686 && n > 0 && sqrt(d / n) < 1e-5) }'"

run 0 "$ARTEL" logits "$golden" --ids "$ids" -o "$work/again.safetensors" --threads 1
check "the default name, one thread: other bytes" cmp -s "$work/out.safetensors" "$work/again.safetensors"
run 0 "$ARTEL" logits "$golden" --ids "$ids:labels" -o "$work/again.safetensors"

# ---- tensor files by hand ----------------------------------------------------------------------------
tensors() { # FILE HEADER DATA-FOR-PRINTF
    n=${#2}
    {
        # shellcheck disable=SC2059 # octal escapes
        printf "\\$(printf %o $((n % 256)))\\$(printf %o $((n / 256)))\\0\\0\\0\\0\\0\\0"
        printf '%s' "$2"
        # shellcheck disable=SC2059
        printf "$3"
    } >"$1"
}
t=$work/t.safetensors
refuse() { # what stderr says, beside the path; exit 1 and no file
    rm -f "$work/x.safetensors"
    run 1 "$ARTEL" logits "$golden" --ids "$t" -o "$work/x.safetensors"
    says "$t: "
    says "$1"
    silent
    check "a file is left behind" sh -c "! ls '$work'/x.safetensors* 2>/dev/null | grep ."
}
tensors "$t" '{"input_ids":{"dtype":"U8","shape":[3],"data_offsets":[0,3]}}' '\1\2\140'
run 0 "$ARTEL" logits "$golden" --ids "$t" -o "$work/one.safetensors"
run 0 "$ARTEL" inspect "$work/one.safetensors"
check "[T] is a batch of one" grep -q 'logits  *F32  *1 x 3 x 97 ' "$work/.out"

# Padding: the real tokens get the logits they have alone, the others none.
two='{"input_ids":{"dtype":"U8","shape":[2,4],"data_offsets":[0,8]},'
mask() { tensors "$t" "$two\"attention_mask\":{\"dtype\":\"$1\",\"shape\":[$2],\"data_offsets\":[8,16]}}" "$3"; }
for model in "$golden" tests/golden/moduleformer/molm; do
    rows=97
    [ "$model" = "$golden" ] || rows=61
    tensors "$t" '{"input_ids":{"dtype":"U8","shape":[3],"data_offsets":[0,3]}}' '\1\2\3'
    run 0 "$ARTEL" logits "$model" --ids "$t" -o "$work/alone.safetensors"
    mask BOOL 2,4 '\7\1\2\3\1\2\3\7\0\1\1\1\1\1\1\0'
    run 0 "$ARTEL" logits "$model" --ids "$t" -o "$work/padded.safetensors"
    values "$work/alone.safetensors" logits >"$work/want"
    values "$work/padded.safetensors" logits >"$work/got"
    n=$((3 * rows))
    check "logits after padding" sh -c "sed -n '$((rows + 1)),$((rows + n))p' '$work/got' | paste - '$work/want' |
        awk '{ d = \$1 - \$2; bad += d > 1e-5 || d < -1e-5 } END { exit !(NR == $n && !bad) }'"
    check "logits before padding" sh -c "sed -n '$((4 * rows + 1)),$((4 * rows + n))p' '$work/got' |
        paste - '$work/want' | awk '{ d = \$1 - \$2; bad += d > 1e-5 || d < -1e-5 } END { exit !(NR == $n && !bad) }'"
    check "padding has none" sh -c "sed -n '1,${rows}p;$((7 * rows + 1)),$((8 * rows))p' '$work/got' |
        awk '\$1 != 0 { bad++ } END { exit !(NR == $((2 * rows)) && !bad) }'"
done
mask I8 2,4 '\7\1\2\3\1\2\3\7\0\1\0\1\1\1\1\0'
refuse 'sequence 0 has a hole at position 2'
mask I8 2,4 '\7\1\2\3\1\2\3\7\0\1\1\1\0\0\0\0'
refuse 'sequence 1 is nothing but padding'
mask I8 2,4 '\7\1\2\3\1\2\3\7\0\1\1\1\1\1\2\0'
refuse 'expected 0 or 1, found 2 in sequence 1'
mask I8 4,2 '\7\1\2\3\1\2\3\7\0\1\1\1\1\1\1\0'
refuse 'tensor `attention_mask`: expected the shape of `input_ids`'
mask F16 2,2 '\7\1\2\3\1\2\3\7\0\1\1\1\1\1\1\0'
refuse 'tensor `attention_mask`: expected the shape of `input_ids`'

tensors "$t" '{"input_ids":{"dtype":"U8","shape":[3],"data_offsets":[0,3]}}' '\1\2\141'
refuse 'tensor `input_ids`: id 97 at position 2 is outside [0,97)'
tensors "$t" '{"input_ids":{"dtype":"I8","shape":[1,3],"data_offsets":[0,3]}}' '\1\377\3'
refuse 'tensor `input_ids`: id -1 at position 1 is outside [0,97)'
tensors "$t" '{"input_ids":{"dtype":"I64","shape":[1],"data_offsets":[0,8]}}' '\1\0\0\0\1\0\0\0'
refuse 'id 4294967297 at position 0'
tensors "$t" '{"input_ids":{"dtype":"U64","shape":[1],"data_offsets":[0,8]}}' '\1\0\0\0\0\0\0\377'
refuse 'tensor `input_ids`'
tensors "$t" '{"input_ids":{"dtype":"F32","shape":[1],"data_offsets":[0,4]}}' '\0\0\0\0'
refuse 'tensor `input_ids`: expected integers, found F32'
tensors "$t" '{"ids":{"dtype":"U8","shape":[1],"data_offsets":[0,1]}}' '\1'
refuse 'no tensor `input_ids` in it'
tensors "$t" '{"input_ids":{"dtype":"U8","shape":[],"data_offsets":[0,1]}}' '\1'
refuse 'tensor `input_ids`: expected shape [B,T], found rank 0'
tensors "$t" '{"input_ids":{"dtype":"U8","shape":[1,1,1],"data_offsets":[0,1]}}' '\1'
refuse 'found rank 3'
tensors "$t" '{"input_ids":{"dtype":"U8","shape":[4,0],"data_offsets":[0,0]}}' ''
refuse 'tensor `input_ids` is empty'
tensors "$t" '{"input_ids":{"dtype":"U8","shape":[33],"data_offsets":[0,33]}}' \
    '\1\1\1\1\1\1\1\1\1\1\1\1\1\1\1\1\1\1\1\1\1\1\1\1\1\1\1\1\1\1\1\1\1'
refuse '33 tokens, the model takes at most 32'

# ---- headers that lie ----------------------------------------------------------------------------------
tensors "$t" '{"input_ids":{"dtype":"U8","shape":[3],"data_offsets":[0,9]}}' '\1\2\3'
refuse 'is the file truncated?'
tensors "$t" '{"input_ids":{"dtype":"U8","shape":[2],"data_offsets":[0,3]}}' '\1\2\3'
refuse 'tensor `input_ids`: its shape and dtype need 2 bytes, data_offsets span 3'
tensors "$t" '{"a":{"dtype":"U8","shape":[2],"data_offsets":[0,2]},"input_ids":{"dtype":"U8","shape":[2],"data_offsets":[1,3]}}' '\1\2\3'
refuse 'tensor `input_ids`: overlaps another one at byte 1'
tensors "$t" '{"input_ids":{"dtype":"U8","shape":[2],"data_offsets":[1,3]}}' '\1\2\3'
refuse 'tensor `input_ids`: leaves a hole before byte 1'
tensors "$t" '{"input_ids":{"dtype":"U7","shape":[3],"data_offsets":[0,3]}}' '\1\2\3'
refuse 'tensor `input_ids`: unknown dtype `U7`'
tensors "$t" '{"input_ids":{"dtype":"U8","shape":[9223372036854775807,2],"data_offsets":[0,3]}}' '\1\2\3'
refuse 'tensor `input_ids`: shape: expected a whole number from 0 to 2^53'
tensors "$t" '{"input_ids":{"dtype":"U8","shape":[4503599627370496,4503599627370496],"data_offsets":[0,3]}}' '\1\2\3'
refuse 'tensor `input_ids`: shape: the number of bytes does not fit 64 bits'
tensors "$t" '{"input_ids":{"dtype":"U8","shape":[-3],"data_offsets":[0,3]}}' '\1\2\3'
refuse 'found -3'
tensors "$t" "$(awk 'BEGIN { printf "{"; for (i = 0; i < 5000; i++) printf "\"a\":{" }')" ''
refuse 'nested deeper than 64'
printf '\377\377\377\377\377\377\377\177{}' >"$t"
refuse 'its header would be 9223372036854775807 bytes'
: >"$t"
refuse '0 bytes are too few'
rm "$t"
refuse 'No such file'
mkdir "$t"
refuse 'found a folder'

# ---- the rest of the command ------------------------------------------------------------------------------
run 1 "$ARTEL" logits "$work/nowhere" --ids "$ids" -o "$work/x.safetensors"
says "$work/nowhere: expected a model folder, found nothing"
run 1 "$ARTEL" logits "$golden" --ids "$ids" -o "$work/no/such/x.safetensors"
says "$work/no/such/x.safetensors: cannot create"
run 2 "$ARTEL" logits "$golden" --ids "$ids"
says "--output"
run 2 "$ARTEL" logits "$golden" -o "$work/x.safetensors"
says "--ids"
done_testing
