#!/usr/bin/env bash
# Which half of an MCP tool's answer the model sees: Claude Code 2.1.332, Codex 0.171.0, Gemini CLI 0.61.0, OpenCode 1.18.33.
#
# Guess: a model sees `content`, and `structuredContent` is for programs; or it sees both.
# Seen: Claude Code and Codex show `structuredContent` alone and drop every text of `content`; Gemini CLI and OpenCode
#   show `content` alone. Of an answer that has only `structuredContent`, Gemini CLI shows nothing at all, and the call
#   looks as if it had been answered with silence. For an answer with `isError` Claude Code changes sides and shows the
#   text, and Codex does not: it drops the sentence that says what went wrong.
# So both halves must say all of it, an error too, or say only `content`.
set -euo pipefail
source "$(dirname "$0")/agents/install.sh"
{
    echo "both halves"
    told '{"content":[{"type":"text","text":"TEXT"}],"structuredContent":{"form":"STRUCTURED"}}'
    echo "structured only"
    told '{"content":[],"structuredContent":{"form":"STRUCTURED"}}'
    echo "an error with both halves"
    told '{"content":[{"type":"text","text":"TEXT"}],"structuredContent":{"form":"STRUCTURED"},"isError":true}' | grep -v ^gemini
} | tee "$work/out"
as_seen "$work/out" <<'SEEN'
both halves
claude   {"form":"STRUCTURED"}
codex    Wall time: T seconds\nOutput:\n{"form":"STRUCTURED"}
gemini   {"output": "<untrusted_context>\nTEXT\n</untrusted_context>"}
opencode TEXT
structured only
claude   {"form":"STRUCTURED"}
codex    Wall time: T seconds\nOutput:\n{"form":"STRUCTURED"}
gemini   {}
opencode {"form":"STRUCTURED"}
an error with both halves
claude   TEXT  (is_error)
codex    Wall time: T seconds\nOutput:\n{"form":"STRUCTURED"}
opencode TEXT
SEEN
echo "as it was seen"
