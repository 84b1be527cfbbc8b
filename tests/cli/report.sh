# artel report: a page from a description and from a run's folder; usage and failures.
. tests/cli/lib.sh

mkdir "$work/run"
cat >"$work/run/metrics.jsonl" <<'END'
{"step":1,"tokens":100,"loss":4.5,"lr":0.001,"tok_s":5000}
{"step":2,"tokens":200,"loss":4.0,"lr":0.001,"tok_s":5100}
{"step":2,"tokens":200,"val_loss":4.2,"domain":"all"}
END
run 0 "$ARTEL" report "$work/run"
prints "$work/run/report.html"
check "a run's page has its loss" grep -q "<figcaption>Loss" "$work/run/report.html"
check "nothing is fetched" sh -c '! grep -qE "https?:|<script|url\(" "$1"' - "$work/run/report.html"

cat >"$work/spec.json" <<'END'
{"title": "A <b>title</b>", "sections": [{"heading": "Curves", "chart": {"series": [
  {"name": "loss", "metrics": "run/metrics.jsonl", "x": "tokens", "y": "loss"}]}}]}
END
run 0 "$ARTEL" report "$work/spec.json" -o "$work/page.html" --json
prints '{"report":"'
check "markup in a title is text" grep -q "<h1>A &lt;b&gt;title&lt;/b&gt;</h1>" "$work/page.html"
cp "$work/page.html" "$work/first.html"
run 0 "$ARTEL" report "$work/spec.json" -o "$work/page.html"
check "the same page again" cmp -s "$work/page.html" "$work/first.html"

run 2 "$ARTEL" report
run 2 "$ARTEL" report "$work/spec.json"
says "-o FILE"
silent
run 2 "$ARTEL" report "$work/run" -o "$work/x.html"
run 1 "$ARTEL" report "$work/none.json" -o "$work/x.html"
says "none.json"
run 1 "$ARTEL" report "$work" 
says "metrics.jsonl"
sed 's/"y"/"why"/' "$work/spec.json" >"$work/bad.json"
run 1 "$ARTEL" report "$work/bad.json" -o "$work/x.html"
says 'sections[0].chart.series[0]: unknown field "why"'
run 1 "$ARTEL" report "$work/spec.json" -o "$work/no/such/folder.html"
says "folder.html"
check "nothing is left after a failure" test ! -e "$work/x.html"
done_testing
