"""What an agent's model is told of a tool's answer.

    told.py BIN AGENT ANSWER

Starts the agent's own program (from the directory BIN) in a fresh home, against a model of ours on 127.0.0.1 that calls
the tool `look` once, and an MCP server of ours that answers it with ANSWER (a CallToolResult as JSON). Prints what the
model's second request says about the call, without what changes from run to run.
"""
import http.server
import json
import os
import pathlib
import re
import subprocess
import sys
import tempfile
import threading

SERVER = """
import json, os, sys
tool = {"name": "look", "description": "Looks.", "inputSchema": {"type": "object"}}
for line in sys.stdin:
    message = json.loads(line)
    method, message_id = message.get("method"), message.get("id")
    def say(**outcome):
        print(json.dumps({"jsonrpc": "2.0", "id": message_id, **outcome}), flush=True)
    if method == "initialize":
        version = message["params"]["protocolVersion"]
        say(result={"protocolVersion": version, "capabilities": {"tools": {}}, "serverInfo": {"name": "eye", "version": "1"}})
    elif method == "tools/list":
        say(result={"tools": [tool]})
    elif method == "tools/call":
        say(result=json.loads(os.environ["ANSWER"]))
    elif message_id is not None and method:
        say(error={"code": -32601, "message": "Method not found"})
"""


class Model(http.server.BaseHTTPRequestHandler):
    """Calls the tool, then is content. Speaks as much of four APIs as the agents need."""

    protocol_version = "HTTP/1.1"
    told = []

    def log_message(self, *_):
        pass

    def do_GET(self):
        self.give({"data": [], "models": []})

    do_HEAD = do_GET

    def do_POST(self):
        if self.headers.get("transfer-encoding") == "chunked":
            body = b""
            while size := int(self.rfile.readline().strip() or b"0", 16):
                body += self.rfile.read(size)
                self.rfile.readline()
            self.rfile.readline()
        else:
            body = self.rfile.read(int(self.headers.get("content-length") or 0))
        asked = json.loads(body or b"{}")
        if "count" in self.path:
            self.give({"input_tokens": 1, "totalTokens": 1})
        elif "/messages" in self.path:
            self.anthropic(asked)
        elif "/responses" in self.path:
            self.openai(asked)
        elif "chat/completions" in self.path:
            self.chat(asked)
        elif "enerateContent" in self.path:
            self.gemini(asked)
        else:
            self.give({})

    def give(self, value, kind="application/json"):
        body = value if isinstance(value, bytes) else json.dumps(value).encode()
        self.send_response(200)
        self.send_header("content-type", kind)
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def stream(self, events):
        named = (f"event: {event['type']}\n" if "type" in event else "" for event in events)
        lines = (name + f"data: {json.dumps(event)}\n\n" for name, event in zip(named, events))
        self.give("".join(lines).encode(), "text/event-stream")

    @staticmethod
    def tool(names):
        return next((name for name in names if name == "look" or name.endswith("_look")), None)

    def anthropic(self, asked):
        parts = [p for m in asked.get("messages", []) if isinstance(m["content"], list) for p in m["content"]]
        results = [p for p in parts if p["type"] == "tool_result"]
        Model.told += results
        name = self.tool(tool["name"] for tool in asked.get("tools", []))
        if name and not results:
            block, stop = {"type": "tool_use", "id": "toolu_1", "name": name, "input": {}}, "tool_use"
            delta = {"type": "input_json_delta", "partial_json": "{}"}
        else:
            block, stop = {"type": "text", "text": ""}, "end_turn"
            delta = {"type": "text_delta", "text": "done"}
        message = {"id": "m", "type": "message", "role": "assistant", "model": asked.get("model"), "content": [],
                   "stop_reason": None, "stop_sequence": None, "usage": {"input_tokens": 1, "output_tokens": 1}}
        if not asked.get("stream"):
            return self.give({**message, "content": [{"type": "text", "text": "done"}], "stop_reason": "end_turn"})
        self.stream([
            {"type": "message_start", "message": message},
            {"type": "content_block_start", "index": 0, "content_block": block},
            {"type": "content_block_delta", "index": 0, "delta": delta},
            {"type": "content_block_stop", "index": 0},
            {"type": "message_delta", "delta": {"stop_reason": stop, "stop_sequence": None}, "usage": {"output_tokens": 1}},
            {"type": "message_stop"},
        ])

    def openai(self, asked):
        results = [item for item in asked.get("input", []) if item.get("type") == "function_call_output"]
        Model.told += results
        named = [(group.get("name"), tool.get("name", "")) for group in asked.get("tools", []) for tool in group.get("tools", [])]
        hit = next(((space, name) for space, name in named if self.tool([name])), None)
        if hit and not results:
            item = {"type": "function_call", "id": "fc", "call_id": "c", "namespace": hit[0], "name": hit[1], "arguments": "{}"}
        else:
            text = {"type": "output_text", "text": "done", "annotations": []}
            item = {"type": "message", "id": "m", "role": "assistant", "content": [text]}
        item["status"] = "completed"
        usage = {"input_tokens": 1, "output_tokens": 1, "total_tokens": 2, "input_tokens_details": {"cached_tokens": 0},
                 "output_tokens_details": {"reasoning_tokens": 0}}
        self.stream([
            {"type": "response.created", "response": {"id": "r", "object": "response", "status": "in_progress", "output": []}},
            {"type": "response.output_item.done", "output_index": 0, "item": item},
            {"type": "response.completed", "response": {"id": "r", "object": "response", "status": "completed", "output": [item], "usage": usage}},
        ])

    def chat(self, asked):
        results = [message for message in asked.get("messages", []) if message["role"] == "tool"]
        Model.told += results
        name = self.tool(tool["function"]["name"] for tool in asked.get("tools", []))
        call = name and not results
        function = {"index": 0, "id": "c", "type": "function", "function": {"name": name, "arguments": "{}"}}
        said = {"role": "assistant", **({"tool_calls": [function]} if call else {"content": "done"})}
        chunk = {"id": "x", "object": "chat.completion.chunk", "created": 1, "model": asked.get("model")}
        end = {"index": 0, "delta": {}, "finish_reason": "tool_calls" if call else "stop"}
        self.stream([{**chunk, "choices": [{"index": 0, "delta": said, "finish_reason": None}]}, {**chunk, "choices": [end]}])

    def gemini(self, asked):
        parts = [part for content in asked.get("contents", []) for part in content.get("parts", [])]
        results = [part["functionResponse"] for part in parts if "functionResponse" in part]
        Model.told += results
        name = self.tool(f["name"] for tools in asked.get("tools", []) for f in tools.get("functionDeclarations", []))
        part = {"functionCall": {"name": name, "args": {}}} if name and not results else {"text": "done"}
        content = {"content": {"role": "model", "parts": [part]}, "finishReason": "STOP", "index": 0}
        self.stream([{"candidates": [content], "usageMetadata": {"promptTokenCount": 1, "totalTokenCount": 2}}])


def run(programs, agent, answer):
    work = pathlib.Path(tempfile.mkdtemp())
    home, project, server = work / "home", work / "project", work / "server.py"
    home.mkdir(), project.mkdir(), server.write_text(SERVER)
    model = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Model)
    threading.Thread(target=model.serve_forever, daemon=True).start()
    base = f"http://127.0.0.1:{model.server_port}"
    env = {"PATH": os.environ["PATH"], "HOME": str(home), "TERM": "dumb"}
    mcp = {"command": sys.executable, "args": [str(server)], "env": {"ANSWER": answer}}

    def write(name, text):
        path = home / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text if isinstance(text, str) else json.dumps(text))
        return str(path)

    if agent == "claude":
        config = write("mcp.json", {"mcpServers": {"eye": mcp}})
        env |= {"ANTHROPIC_BASE_URL": base, "ANTHROPIC_API_KEY": "none", "CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC": "1",
                "DISABLE_AUTOUPDATER": "1", "IS_SANDBOX": "1", "ENABLE_TOOL_SEARCH": "false"}
        words = ["claude", "-p", "look", "--mcp-config", config, "--dangerously-skip-permissions"]
    elif agent == "codex":
        table = lambda values: "".join(f"{k} = {json.dumps(v)}\n" for k, v in values.items())
        provider = {"name": "fake", "base_url": f"{base}/v1", "wire_api": "responses", "env_key": "KEY", "supports_websockets": False}
        top = {"model": "gpt-5", "model_provider": "fake", "approval_policy": "never", "sandbox_mode": "danger-full-access"}
        server_table = {"command": mcp["command"], "args": mcp["args"]}
        write(".codex/config.toml", table(top) + "[model_providers.fake]\n" + table(provider) + "[mcp_servers.eye]\n"
              + table(server_table) + "[mcp_servers.eye.env]\n" + table(mcp["env"]))
        env |= {"KEY": "none"}
        words = ["codex", "exec", "--skip-git-repo-check", "look"]
    elif agent == "gemini":
        write(".gemini/settings.json", {"security": {"auth": {"selectedType": "gemini-api-key"}}, "privacy": {"usageStatisticsEnabled": False},
              "general": {"enableAutoUpdate": False}, "mcpServers": {"eye": {**mcp, "trust": True}}})
        env |= {"GEMINI_API_KEY": "none", "GOOGLE_GEMINI_BASE_URL": base, "GEMINI_CLI_TRUST_WORKSPACE": "true"}
        words = ["gemini", "-p", "look", "--yolo", "-m", "gemini-2.5-pro"]
    else:
        models = {"npm": "@ai-sdk/openai-compatible", "name": "fake", "options": {"baseURL": f"{base}/v1", "apiKey": "none"}, "models": {"m": {"name": "m"}}}
        local = {"type": "local", "command": [mcp["command"], *mcp["args"]], "environment": mcp["env"], "enabled": True}
        write(".config/opencode/opencode.json", {"provider": {"fake": models}, "model": "fake/m", "small_model": "fake/m",
              "autoupdate": False, "share": "disabled", "mcp": {"eye": local}})
        words = ["opencode", "run", "look"]
    words[0] = str(pathlib.Path(programs) / words[0])
    subprocess.run(words, cwd=project, env=env, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
                   stderr=subprocess.DEVNULL, timeout=120)
    result = Model.told[-1]
    seen = result.get("content", result.get("output", result.get("response")))
    if isinstance(seen, list):
        seen = " | ".join(part.get("text", part["type"]) for part in seen)
    text = seen if isinstance(seen, str) else json.dumps(seen)
    text = re.sub(r"Wall time: [0-9.]+ seconds", "Wall time: T seconds", text).replace("\n", "\\n")
    return text + ("  (is_error)" if result.get("is_error") else "")


if __name__ == "__main__":
    print(run(*sys.argv[1:]))
