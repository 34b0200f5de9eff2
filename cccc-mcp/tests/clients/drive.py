"""The server, driven by the official Python client library.

`cargo xtask clients` runs this: CCCC_PROGRAM is the program, the working directory has a group with the actors
lead, alice and bob. Each check is a line, `ok NAME` or `not ok NAME: why`.
"""

import asyncio
import json
import os
import signal
import subprocess
import sys
import time
import traceback
import warnings

import anyio
from mcp import Client, StdioServerParameters
from mcp.client.stdio import stdio_client
from mcp.shared.exceptions import MCPError

PROGRAM = os.environ["CCCC_PROGRAM"]
ALL_PACKS = ["history", "labels", "files", "project", "diagnostics", "memory", "memory-admin"]
PATIENCE = 30
failed = False
# What older protocols have and the newest has not is tried as well.
warnings.simplefilter("ignore", UserWarning)


def check(name, passed, why=""):
    global failed
    failed = failed or not passed
    print(f"ok {name}" if passed else f"not ok {name}: {why}", flush=True)


def client(actor, mode, packs=(), **more):
    args = ["mcp", "--as", actor]
    for pack in packs:
        args += ["--pack", pack]
    server = StdioServerParameters(command=PROGRAM, args=args, env=dict(os.environ))
    return Client(stdio_client(server), mode=mode, read_timeout_seconds=PATIENCE, **more)


async def call(session, tool, **arguments):
    result = await session.call_tool(tool, arguments)
    assert not result.is_error, f"{tool} {arguments}: {result}"
    return result.structured_content


async def initialized(mode):
    async with client("alice", mode) as alice:
        info, version = alice.server_info, alice.protocol_version
        check("initialize", info.name == "cccc" and (version == "2026-07-28") == (mode == "auto"), version)
        check("instructions", "cccc_bootstrap" in alice.instructions, alice.instructions)
        tools = (await alice.list_tools()).tools
        check("tools of a peer", len(tools) == 11 and all(tool.output_schema for tool in tools), len(tools))
        you = await call(alice, "cccc_bootstrap")
        check("bootstrap", you["actor"] == "alice" and you["role"] == "peer", you)
        prompts = (await alice.list_prompts()).prompts
        text = (await alice.get_prompt("join")).messages[0].content.text
        check("prompts", len(prompts) == 2 and "cccc_bootstrap" in text, text)


async def conversation(mode):
    async with client("alice", mode) as alice, client("bob", mode) as bob:
        sent = await call(alice, "cccc_message_send", to=["bob"], text=f"Ready? {mode}", reply_required=True)
        inbox = await call(bob, "cccc_inbox_list", after=sent["seq"] - 1, wait_seconds=PATIENCE)
        message = next(one for one in inbox["messages"] if one["seq"] == sent["seq"])
        check("inbox of another", message["from"] == "from peer alice (not the user)", message)
        calls = [owed["call"].split()[0] for owed in inbox["you"]["owed"]]
        check("what is owed is named", "cccc_message_reply" in calls, inbox["you"])
        await call(bob, "cccc_message_reply", seq=sent["seq"], text=f"Yes {mode}")
        receipts = await call(alice, "cccc_coordination", action="receipts", seq=sent["seq"])
        check("receipts", receipts["receipts"][0]["reply"] == "met", receipts)
        answer = (await call(alice, "cccc_inbox_list", read_through=sent["seq"]))["messages"][-1]
        check("reply", answer["text"] == f"Yes {mode}" and answer["reply_to"] == sent["seq"], answer)


async def resources(mode):
    updated = asyncio.Event()

    async def told(message):
        if type(message).__name__ == "ResourceUpdatedNotification":
            updated.set()

    async with client("alice", mode, message_handler=told) as alice, client("bob", mode) as bob:
        uri = (await alice.list_resources()).resources[0].uri
        with anyio.fail_after(PATIENCE):
            if mode == "legacy":
                await alice.subscribe_resource(uri)
                await call(bob, "cccc_message_send", to=["alice"], text="look")
                await updated.wait()
            else:
                async with alice.listen(resource_subscriptions=[uri]) as stream:
                    await call(alice, "cccc_bootstrap")
                    await call(bob, "cccc_message_send", to=["alice"], text="look")
                    async for event in stream:
                        assert str(event.uri) == str(uri), event
                        break
        check("the inbox says that it changed", True)
        inbox = json.loads((await alice.read_resource(uri)).contents[0].text)
        check("the inbox is read", inbox["messages"][-1]["text"] == "look", inbox)


async def mistakes(mode):
    async with client("alice", mode) as alice:
        await alice.list_tools()
        for arguments in [{"text": "x", "to": ["nobody"]}, {"txt": "x"}, {"text": 5}]:
            result = await alice.call_tool("cccc_message_send", arguments)
            kind = result.structured_content["kind"]
            check(f"a mistake is an answer: {kind}", result.is_error and kind in ("invalid", "not_found"), result)
        for what in (lambda: alice.call_tool("no_such_tool", {}), lambda: alice.read_resource("cccc://nothing")):
            try:
                await what()
                check("what is not there is an error", False, "no error")
            except MCPError as error:
                check("what is not there is an error", error.code in (-32602, -32002), error)


async def every_tool(mode):
    """The client checks each answer against the schema that the tool was listed with."""
    with open("notes.md", "w") as file:
        file.write("notes")
    async with client("lead", mode, ALL_PACKS) as lead:
        tools = {tool.name for tool in (await lead.list_tools()).tools}
        sent = await call(lead, "cccc_message_send", to=["alice"], text="see", files=["notes.md"])
        task = await call(lead, "cccc_task", action="add", title="Try", owner="alice", outcome="tried")
        calls = [
            ("cccc_bootstrap", {"packs": ["history"]}),
            ("cccc_help", {"topic": "packs"}),
            ("cccc_inbox_list", {}),
            ("cccc_inbox_mark_read", {"through": sent["seq"]}),
            ("cccc_message_send", {"to": ["bob"], "text": "x", "priority": "attention"}),
            ("cccc_task", {"action": "list"}),
            ("cccc_task", {"action": "show", "task": task["task"]["task_id"]}),
            ("cccc_context_sync", {"changes": [{"key": "brief", "text": f"Build it {mode}"}]}),
            ("cccc_context_get", {}),
            ("cccc_context_get", {"key": "brief"}),
            *(("cccc_coordination", {"action": action}) for action in ("who", "owed", "waits", "votes", "reservations")),
            ("cccc_coordination", {"action": "reserve", "paths": [f"{mode}/**"], "for": "10m"}),
            ("cccc_agent_state", {"focus": "trying"}),
            ("cccc_group", {"action": "show"}),
            ("cccc_actor", {"action": "list"}),
            ("cccc_automation", {"action": "list"}),
            ("cccc_history", {}),
            ("cccc_labels", {"add": ["docs"]}),
            ("cccc_file", {"seq": sent["seq"]}),
            ("cccc_project", {}),
            ("cccc_debug", {}),
            ("cccc_memory", {"action": "add", "text": f"It was tried ({mode})"}),
            ("cccc_memory", {"action": "search", "text": "tried"}),
            ("cccc_memory_admin", {"action": "stats"}),
        ]
        for tool, arguments in calls:
            answer = await call(lead, tool, **arguments)
            assert answer is not None and (tool == "cccc_help" or answer["you"]["actor"] == "lead"), (tool, answer)
        await lead.call_tool("cccc_message_reply", {"seq": sent["seq"], "text": "own"})
        await lead.call_tool("cccc_message_ack", {"seq": sent["seq"]})
        called = {tool for tool, _ in calls} | {"cccc_message_reply", "cccc_message_ack"}
        check("answers are as their schemas say", tools <= called, tools - called)


async def cancelled(mode):
    async with client("bob", mode) as bob, client("alice", mode) as alice:
        last = (await call(bob, "cccc_message_send", to=["alice"], text="mark"))["seq"]
        begun = time.monotonic()
        with anyio.move_on_after(1):
            await call(bob, "cccc_inbox_list", after=last, wait_seconds=60)
        sent = await call(alice, "cccc_message_send", to=["bob"], text="after the wait")
        await call(bob, "cccc_help")
        receipts = await call(alice, "cccc_coordination", action="receipts", seq=sent["seq"])
        state = receipts["receipts"][0]["delivery"]
        check("a cancelled wait takes nothing", state == "pending" and time.monotonic() - begun < 20, state)
        inbox = await call(bob, "cccc_inbox_list", after=last)
        check("and the next call is answered", inbox["messages"][-1]["text"] == "after the wait", inbox)


async def concurrent(mode):
    async with client("alice", mode) as alice:
        sends = (call(alice, "cccc_message_send", to=["bob"], text=str(n), client_id=f"{mode}{n}") for n in range(20))
        answers = await asyncio.gather(*sends)
        check("calls at the same time", len({answer["seq"] for answer in answers}) == 20, answers)


async def dies(mode):
    """Runs in a process of its own, which is killed in the middle of a call."""
    async with client("bob", mode) as bob:
        last = (await call(bob, "cccc_message_send", to=["alice"], text="going"))["seq"]
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(lambda: call(bob, "cccc_inbox_list", after=last + 1000, wait_seconds=60))
            await anyio.sleep(0.5)
            os.kill(os.getpid(), signal.SIGKILL)


async def killed(mode):
    child = subprocess.run([sys.executable, __file__, "dies", mode], timeout=PATIENCE)
    presence, until = None, time.monotonic() + PATIENCE
    while presence != "absent" and time.monotonic() < until:
        lines = subprocess.run([PROGRAM, "--as", "user", "--json", "who"], capture_output=True, text=True, check=True)
        members = [json.loads(line) for line in lines.stdout.splitlines()]
        presence = next(member for member in members if member["actor_id"] == "bob")["presence"]
        await anyio.sleep(0.05)
    check("a client that is killed leaves no session", child.returncode == -9 and presence == "absent", presence)


async def main():
    for mode in ("legacy", "auto"):
        print(f"-- Python, {mode}", flush=True)
        for part in (initialized, conversation, resources, mistakes, every_tool, cancelled, concurrent, killed):
            try:
                await asyncio.wait_for(part(mode), 2 * PATIENCE)
            except BaseException as error:
                traceback.print_exc()
                check(f"{part.__name__} ({mode})", False, repr(error))


if len(sys.argv) == 3 and sys.argv[1] == "dies":
    asyncio.run(dies(sys.argv[2]))
asyncio.run(main())
sys.exit(1 if failed else 0)
