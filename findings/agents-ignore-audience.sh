#!/usr/bin/env bash
# What a tool marks as meant for the person goes to the model, and what is meant for the model may not: Claude Code
# 2.1.332, Codex 0.171.0, Gemini CLI 0.61.0, OpenCode 1.18.33.
#
# Guess: a block of an answer with `annotations.audience: ["user"]` is kept from the model, and a `resource_link` is shown
#   to it in some form.
# Seen: all four show the model what is for the user alone, with nothing that tells it apart. OpenCode leaves a resource link
#   out without a trace, so an answer of links alone is an empty string; Gemini CLI leaves out its description.
# So audience is no way to keep a receipt, a secret or a notice from a model, and a link needs a text beside it.
set -euo pipefail
source "$(dirname "$0")/agents/install.sh"
{
    echo "one block for the user, one for the model"
    told '{"content":[{"type":"text","text":"USER","annotations":{"audience":["user"]}},{"type":"text","text":"MODEL","annotations":{"audience":["assistant"]}}]}'
    echo "a link"
    told '{"content":[{"type":"resource_link","uri":"x://1","name":"NAME","description":"ABOUT"}]}'
} | tee "$work/out"
as_seen "$work/out" <<'SEEN'
one block for the user, one for the model
claude   USER | MODEL
codex    Wall time: T seconds\nOutput: | USER | MODEL
gemini   {"output": "<untrusted_context>\nUSER\n</untrusted_context>\n<untrusted_context>\nMODEL\n</untrusted_context>"}
opencode USER\n\nMODEL
a link
claude   [Resource link: NAME] x://1 (ABOUT)
codex    Wall time: T seconds\nOutput: | {"type":"resource_link","uri":"x://1","name":"NAME","description":"ABOUT"}
gemini   {"output": "Resource Link: NAME at x://1"}
opencode 
SEEN
echo "as it was seen"
