# Installs the agents' own programs, pinned, in a folder that goes away; sets `bin`. Sourced by the findings.
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
(cd "$work" && npm install --silent --no-fund --no-audit \
    @anthropic-ai/claude-code@2.1.332 @openai/codex@0.171.0 @google/gemini-cli@0.61.0 opencode-ai@1.18.33)
bin=$work/node_modules/.bin
export TMPDIR=$work

# told ANSWER: what each agent's model is told of it.
told() {
    for agent in claude codex gemini opencode; do
        printf '%-9s' "$agent"
        python3 "$(dirname "$0")/agents/told.py" "$bin" "$agent" "$1" 2>> "$work/stderr"
    done
}

# as_seen FILE: compares it with standard input.
as_seen() {
    diff - "$1" || { echo "this has changed"; tail -n 20 "$work/stderr"; exit 1; }
}
