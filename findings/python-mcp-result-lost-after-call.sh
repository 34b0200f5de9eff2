#!/usr/bin/env bash
# A tool call that was carried out and answered is reported as failed: Python `mcp` 2.3.0.
#
# Guess: `Client.call_tool` returns what the server answered, and its `read_timeout_seconds` bounds the wait.
# Seen: after a good answer to the first call of a tool that was not listed before, the client asks for `tools/list` by
#   itself, to learn the tool's output schema. If that listing fails, `call_tool` raises the listing's error and the answer
#   is dropped. If the listing stays unanswered, `call_tool` goes on waiting far beyond its own time limit, which is not
#   passed on. A tool that stands on the second page of the list is looked for again after every call.
# So for a caller an exception from `call_tool` does not mean that nothing happened: whoever repeats a send after one needs
# an idempotency key, and whoever serves such a client must answer `tools/list` whenever it answers calls.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" --quiet --disable-pip-version-check install 'mcp==2.3.0'

cat > "$work/server.py" <<'PY'
"""A server that answers calls at once; its list of tools is good, refused, unanswered, or in two pages."""
import json
import os
import sys

listing = os.environ["LISTING"]
log = open(os.environ["LOG"], "a", buffering=1)

def say(message_id, **outcome):
    print(json.dumps({"jsonrpc": "2.0", "id": message_id, **outcome}), flush=True)

for line in sys.stdin:
    message = json.loads(line)
    method, message_id = message.get("method"), message.get("id")
    log.write(f"{method}\n")
    if method == "initialize":
        version = message["params"]["protocolVersion"]
        info = {"name": "plain", "version": "1"}
        say(message_id, result={"protocolVersion": version, "capabilities": {"tools": {}}, "serverInfo": info})
    elif method == "tools/call":
        say(message_id, result={"content": [{"type": "text", "text": "sent"}]})
    elif method == "tools/list":
        tool = lambda name: {"name": name, "inputSchema": {"type": "object"}}
        if listing == "refused":
            say(message_id, error={"code": -32603, "message": "busy"})
        elif listing == "paged":
            say(message_id, result={"tools": [tool("other")], "nextCursor": "2"})
        elif listing == "good":
            say(message_id, result={"tools": [tool("send")]})
PY

cat > "$work/client.py" <<'PY'
import asyncio
import os
import sys
import time

from mcp import Client, StdioServerParameters, stdio_client

async def call(listing, times=1):
    log = os.path.join(os.path.dirname(__file__), f"{listing}.log")
    server = os.path.join(os.path.dirname(__file__), "server.py")
    env = {"LISTING": listing, "LOG": log}
    parameters = StdioServerParameters(command=sys.executable, args=[server], env=env)
    async with Client(stdio_client(parameters), mode="legacy") as client:
        begun = time.monotonic()
        for _ in range(times):
            try:
                call = client.call_tool("send", {}, read_timeout_seconds=1)
                outcome = (await asyncio.wait_for(call, 5)).content[0].text
            except Exception as error:
                outcome = f"{type(error).__name__}({error})"
        waited = time.monotonic() - begun
    lines = open(log).read().split()
    long = "beyond its limit" if waited > 4 else "at once"
    print(f"{listing}: {outcome}, {long}; calls {lines.count('tools/call')}, lists {lines.count('tools/list')}")

for listing, times in (("good", 3), ("refused", 1), ("unanswered", 1), ("paged", 3)):
    asyncio.run(call(listing, times))
PY

"$work/venv/bin/python" "$work/client.py" 2> "$work/stderr" | tee "$work/out"
diff - "$work/out" <<'SEEN' || { echo "this has changed"; cat "$work/stderr"; exit 1; }
good: sent, at once; calls 3, lists 1
refused: MCPError(busy), at once; calls 1, lists 1
unanswered: TimeoutError(), beyond its limit; calls 1, lists 1
paged: sent, at once; calls 3, lists 3
SEEN
echo "as it was seen with mcp 2.3.0"
