#!/usr/bin/env bash
# A failed tool call that looks like a good one: Codex 0.171.0 and OpenCode 1.18.33 (beside Claude Code 2.1.332 and
# Gemini CLI 0.61.0, which do say it).
#
# Guess: `isError` of an MCP tool's answer is passed on to the model, by a flag or by a word.
# Seen: Codex and OpenCode give the model the bare text, exactly as that of a call that went well. With no text at all,
#   Codex shows an empty output: a failure without any trace.
# So an answer that says a failure must say so in its own words: "no actor alise" reads like a result, and a list of what
# failed like a list of what was done.
set -euo pipefail
source "$(dirname "$0")/agents/install.sh"
{
    echo "a failure"
    told '{"content":[{"type":"text","text":"3 of 4"}],"isError":true}' | grep -v ^gemini
    echo "the same, not a failure"
    told '{"content":[{"type":"text","text":"3 of 4"}]}' | grep -v ^gemini
    echo "a failure without a text"
    told '{"content":[],"isError":true}' | grep -v ^gemini
} | tee "$work/out"
as_seen "$work/out" <<'SEEN'
a failure
claude   3 of 4  (is_error)
codex    Wall time: T seconds\nOutput: | 3 of 4
opencode 3 of 4
the same, not a failure
claude   3 of 4
codex    Wall time: T seconds\nOutput: | 3 of 4
opencode 3 of 4
a failure without a text
claude   Unknown error  (is_error)
codex    Wall time: T seconds\nOutput:
opencode MCP tool returned an error
SEEN
echo "as it was seen"
