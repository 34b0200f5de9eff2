// The server, driven by the official TypeScript client libraries, old and new, and by the official inspector in its
// command-line mode.
//
// `cargo xtask clients` runs this: CCCC_PROGRAM is the program, CCCC_CLIENTS the directory in which the packages are
// installed, the working directory has a group with the actors lead, alice and bob. Each check is a line, `ok NAME` or
// `not ok NAME: why`.

import { execFile, spawn } from "node:child_process";
import { writeFileSync } from "node:fs";
import { createRequire } from "node:module";
import { setTimeout as sleep } from "node:timers/promises";
import { fileURLToPath, pathToFileURL } from "node:url";
import { promisify } from "node:util";

const PROGRAM = process.env.CCCC_PROGRAM;
const require = createRequire(`${process.env.CCCC_CLIENTS}/package.json`);
const PATIENCE = 30_000;
const PACKS = ["history", "labels", "files", "project", "diagnostics", "memory", "memory-admin"];
let failed = false;

function check(name, passed, why) {
  failed ||= !passed;
  console.log(passed ? `ok ${name}` : `not ok ${name}: ${JSON.stringify(why)}`);
}

const load = (name) => import(pathToFileURL(require.resolve(name)).href);

/** Makes clients of one library. */
async function library(kind) {
  if (kind === "sdk") {
    const { Client } = await load("@modelcontextprotocol/sdk/client/index.js");
    const { StdioClientTransport } = await load("@modelcontextprotocol/sdk/client/stdio.js");
    return { Client, StdioClientTransport, options: {}, isOlder: true };
  }
  const { Client } = await load("@modelcontextprotocol/client");
  const { StdioClientTransport } = await load("@modelcontextprotocol/client/stdio");
  const versionNegotiation = { mode: kind === "client-new" ? "auto" : "legacy" };
  return { Client, StdioClientTransport, options: { versionNegotiation } };
}

async function connect({ Client, StdioClientTransport, options, isOlder }, actor, packs = []) {
  const client = Object.assign(new Client({ name: "drive", version: "1" }, options), { isOlder });
  const args = ["mcp", "--as", actor, ...packs.flatMap((pack) => ["--pack", pack])];
  await client.connect(new StdioClientTransport({ command: PROGRAM, args, env: process.env, stderr: "inherit" }));
  return client;
}

async function call(client, name, args = {}, options = undefined) {
  const params = { name, arguments: args };
  // The older library takes the schema of results in between.
  const more = client.isOlder ? [undefined, options] : [options];
  const result = await client.callTool(params, ...more);
  if (result.isError) throw new Error(`${name}: ${JSON.stringify(result)}`);
  return result.structuredContent;
}

async function rejected(promise) {
  try {
    await promise;
  } catch (error) {
    return error;
  }
  return undefined;
}

const parts = {
  async initialized(lib, kind) {
    const alice = await connect(lib, "alice");
    const newest = alice.getNegotiatedProtocolVersion?.() === "2026-07-28";
    check("initialize", alice.getServerVersion().name === "cccc" && newest === (kind === "client-new"), newest);
    check("instructions", alice.getInstructions().includes("cccc_bootstrap"));
    const { tools } = await alice.listTools();
    check("tools of a peer", tools.length === 11 && tools.every((tool) => tool.outputSchema), tools.length);
    const you = await call(alice, "cccc_bootstrap");
    check("bootstrap", you.actor === "alice" && you.role === "peer", you);
    const prompts = (await alice.listPrompts()).prompts;
    const { messages } = await alice.getPrompt({ name: "join" });
    check("prompts", prompts.length === 2 && messages[0].content.text.includes("cccc_bootstrap"), messages);
    await alice.close();
  },

  async conversation(lib, kind) {
    const [alice, bob] = [await connect(lib, "alice"), await connect(lib, "bob")];
    const sent = await call(alice, "cccc_message_send", { to: ["bob"], text: kind, reply_required: true });
    const inbox = await call(bob, "cccc_inbox_list", { after: sent.seq - 1, wait_seconds: 30 });
    const message = inbox.messages.find((one) => one.seq === sent.seq);
    check("inbox of another", message?.from === "from peer alice (not the user)", message);
    await call(bob, "cccc_message_reply", { seq: sent.seq, text: `Yes ${kind}` });
    const { receipts } = await call(alice, "cccc_coordination", { action: "receipts", seq: sent.seq });
    check("receipts", receipts[0].reply === "met", receipts);
    const answers = (await call(alice, "cccc_inbox_list", { read_through: sent.seq })).messages;
    check("reply", answers.at(-1).text === `Yes ${kind}` && answers.at(-1).reply_to === sent.seq, answers);
    await Promise.all([alice.close(), bob.close()]);
  },

  async resources(lib, kind) {
    const [alice, bob] = [await connect(lib, "alice"), await connect(lib, "bob")];
    const { uri } = (await alice.listResources()).resources[0];
    const updated = new Promise((resolve) => {
      if (kind === "sdk") alice.fallbackNotificationHandler = async (told) => resolve(told);
      else alice.setNotificationHandler("notifications/resources/updated", (told) => resolve(told));
    });
    let stream;
    if (kind === "client-new") stream = await alice.listen({ resourceSubscriptions: [uri] });
    else await alice.subscribeResource({ uri });
    await call(alice, "cccc_bootstrap");
    await call(bob, "cccc_message_send", { to: ["alice"], text: "look" });
    const told = await Promise.race([updated, sleep(PATIENCE, undefined, { ref: false })]);
    check("the inbox says that it changed", told?.params?.uri === uri, told);
    const inbox = JSON.parse((await alice.readResource({ uri })).contents[0].text);
    check("the inbox is read", inbox.messages.at(-1).text === "look", inbox);
    await stream?.close?.();
    await Promise.all([alice.close(), bob.close()]);
  },

  async mistakes(lib) {
    const alice = await connect(lib, "alice");
    await alice.listTools();
    for (const args of [{ text: "x", to: ["nobody"] }, { txt: "x" }, { text: 5 }]) {
      const result = await alice.callTool({ name: "cccc_message_send", arguments: args });
      const { kind } = result.structuredContent;
      check(`a mistake is an answer: ${kind}`, result.isError && ["invalid", "not_found"].includes(kind), result);
    }
    const error = await rejected(alice.readResource({ uri: "cccc://nothing" }));
    check("what is not there is an error", [-32602, -32002].includes(error?.code), String(error));
    await alice.close();
  },

  async everyTool(lib, kind) {
    writeFileSync("notes.md", "notes");
    const lead = await connect(lib, "lead", PACKS);
    const tools = (await lead.listTools()).tools.map((tool) => tool.name);
    const sent = await call(lead, "cccc_message_send", { to: ["alice"], text: "see", files: ["notes.md"] });
    const actions = ["who", "owed", "waits", "votes", "reservations"];
    const calls = [
      ["cccc_bootstrap", { packs: ["history"] }],
      ["cccc_help", { topic: "packs" }],
      ["cccc_inbox_list", {}],
      ["cccc_inbox_mark_read", { through: sent.seq }],
      ["cccc_message_send", { to: ["bob"], text: "x", priority: "attention" }],
      ["cccc_task", { action: "add", title: "Try", owner: "alice", outcome: "tried" }],
      ["cccc_task", { action: "list" }],
      ["cccc_context_sync", { changes: [{ key: "brief", text: `Build it ${kind}` }] }],
      ["cccc_context_get", {}],
      ["cccc_context_get", { key: "brief" }],
      ...actions.map((action) => ["cccc_coordination", { action }]),
      ["cccc_coordination", { action: "reserve", paths: [`${kind}/**`], for: "10m" }],
      ["cccc_agent_state", { focus: "trying" }],
      ["cccc_group", { action: "show" }],
      ["cccc_actor", { action: "list" }],
      ["cccc_automation", { action: "list" }],
      ["cccc_history", {}],
      ["cccc_labels", { add: ["docs"] }],
      ["cccc_file", { seq: sent.seq }],
      ["cccc_project", {}],
      ["cccc_debug", {}],
      ["cccc_memory", { action: "add", text: `It was tried (${kind})` }],
      ["cccc_memory", { action: "search", text: "tried" }],
      ["cccc_memory_admin", { action: "stats" }],
    ];
    for (const [tool, args] of calls) await call(lead, tool, args);
    const called = new Set(["cccc_message_reply", "cccc_message_ack", ...calls.map(([tool]) => tool)]);
    const missing = tools.filter((tool) => !called.has(tool));
    check("answers are as their schemas say", missing.length === 0, missing);
    await lead.close();
  },

  async cancelled(lib) {
    const [alice, bob] = [await connect(lib, "alice"), await connect(lib, "bob")];
    const last = (await call(bob, "cccc_message_send", { to: ["alice"], text: "mark" })).seq;
    const controller = new AbortController();
    const wait = rejected(
      call(bob, "cccc_inbox_list", { after: last, wait_seconds: 60 }, { signal: controller.signal }),
    );
    await sleep(500);
    controller.abort("no longer wanted");
    check("a call is cancelled", (await wait) !== undefined);
    const sent = await call(alice, "cccc_message_send", { to: ["bob"], text: "after the wait" });
    await call(bob, "cccc_help");
    const { receipts } = await call(alice, "cccc_coordination", { action: "receipts", seq: sent.seq });
    check("a cancelled wait takes nothing", receipts[0].delivery === "pending", receipts);
    const { messages } = await call(bob, "cccc_inbox_list", { after: last });
    check("and the next call is answered", messages.at(-1).text === "after the wait", messages);
    await Promise.all([alice.close(), bob.close()]);
  },

  async concurrent(lib, kind) {
    const alice = await connect(lib, "alice");
    const send = (_, n) =>
      call(alice, "cccc_message_send", { to: ["bob"], text: `${n}`, client_id: `${kind}${n}` });
    const answers = await Promise.all(Array.from({ length: 20 }, send));
    check("calls at the same time", new Set(answers.map((answer) => answer.seq)).size === 20, answers);
    await alice.close();
  },

  async killed(lib, kind) {
    const child = spawn(process.execPath, [fileURLToPath(import.meta.url), "dies", kind], { stdio: "inherit" });
    const signal = await new Promise((resolve) => child.on("exit", (_, signal) => resolve(signal)));
    let presence;
    for (const until = Date.now() + PATIENCE; presence !== "absent" && Date.now() < until; await sleep(50)) {
      const { stdout } = await promisify(execFile)(PROGRAM, ["--as", "user", "--json", "who"]);
      const members = stdout.trim().split("\n").map((line) => JSON.parse(line));
      presence = members.find((member) => member.actor_id === "bob").presence;
    }
    const gone = signal === "SIGKILL" && presence === "absent";
    check("a client that is killed leaves no session", gone, [signal, presence]);
  },
};

/** Runs in a process of its own, which is killed in the middle of a call. */
async function dies(kind) {
  const bob = await connect(await library(kind), "bob");
  const last = (await call(bob, "cccc_message_send", { to: ["alice"], text: "going" })).seq;
  void rejected(call(bob, "cccc_inbox_list", { after: last + 1000, wait_seconds: 60 }));
  await sleep(500);
  process.kill(process.pid, "SIGKILL");
}

/** The inspector, one method a run. */
async function inspector() {
  const program = require.resolve("@modelcontextprotocol/inspector/package.json");
  const launcher = program.replace("package.json", "clients/launcher/build/index.js");
  const inspect = async (...args) => {
    const all = [launcher, "--cli", PROGRAM, "mcp", "--as", "alice", ...args];
    const { stdout } = await promisify(execFile)(process.execPath, all, { maxBuffer: 1 << 24, timeout: 2 * PATIENCE });
    return JSON.parse(stdout);
  };
  const { tools } = await inspect("--method", "tools/list");
  check("tools/list", tools.length === 11, tools);
  const strict = await rejected(inspect("--method", "tools/list", "--strict"));
  check("tools/list, strict: schemas are portable", strict === undefined, String(strict?.stderr ?? strict));
  const tool = (name, ...pairs) =>
    inspect("--method", "tools/call", "--tool-name", name, ...pairs.flatMap((pair) => ["--tool-arg", pair]));
  const sent = await tool("cccc_message_send", "text=from the inspector", 'to=["bob"]');
  check("tools/call", sent.structuredContent.recipients[0] === "bob", sent);
  const { resources } = await inspect("--method", "resources/list");
  const read = await inspect("--method", "resources/read", "--uri", resources[0].uri);
  check("resources/read", JSON.parse(read.contents[0].text).actor === "alice", read);
  const { prompts } = await inspect("--method", "prompts/list");
  const prompt = await inspect("--method", "prompts/get", "--prompt-name", prompts[0].name);
  check("prompts/get", prompt.messages.length === 1, prompt);
}

async function attempt(name, run) {
  try {
    const late = sleep(4 * PATIENCE, undefined, { ref: false }).then(() => Promise.reject(new Error("too late")));
    await Promise.race([run(), late]);
  } catch (error) {
    check(name, false, error?.stack ?? String(error));
  }
}

if (process.argv[2] === "dies") await dies(process.argv[3]);
for (const kind of ["sdk", "client-old", "client-new"]) {
  console.log(`-- TypeScript, ${kind}`);
  const lib = await library(kind);
  for (const [name, part] of Object.entries(parts)) await attempt(`${name} (${kind})`, () => part(lib, kind));
}
console.log("-- inspector");
await attempt("inspector", inspector);
process.exit(failed ? 1 : 0);
