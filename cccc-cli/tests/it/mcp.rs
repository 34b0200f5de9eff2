//! `cccc mcp`, the program: started, spoken to by lines, piped into, killed. What its tools do is tested in
//! `cccc-mcp`.

use std::io::{BufRead, BufReader, Write};
use std::process::{Child, ChildStdin, Stdio};
use std::sync::mpsc;
use std::time::Duration;

use serde_json::{Value, json};

use crate::support::{Place, succeeded};

/// How long an answer may take.
const PATIENCE: Duration = Duration::from_secs(30);

struct Server {
    child: Child,
    stdin: Option<ChildStdin>,
    lines: mpsc::Receiver<String>,
    id: u64,
}

impl Drop for Server {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn initialize(client: &str) -> Value {
    json!({"jsonrpc": "2.0", "id": 1, "method": "initialize", "params": {
        "protocolVersion": "2025-11-25", "capabilities": {}, "clientInfo": {"name": client, "version": "1"},
    }})
}

fn call(id: u64, tool: &str, arguments: &Value) -> Value {
    json!({"jsonrpc": "2.0", "id": id, "method": "tools/call", "params": {"name": tool, "arguments": arguments}})
}

impl Server {
    fn start(place: &Place, args: &[&str], variables: &[(&str, &str)], client: &str) -> Self {
        let mut command = place.command(&[&["mcp"], args].concat());
        command.envs(variables.iter().copied()).stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut child = command.spawn().unwrap();
        let stdin = child.stdin.take();
        let stdout = BufReader::new(child.stdout.take().unwrap());
        let (sender, lines) = mpsc::channel();
        std::thread::spawn(move || {
            for line in stdout.lines().map_while(Result::ok) {
                if sender.send(line).is_err() {
                    break;
                }
            }
        });
        let mut server = Self { child, stdin, lines, id: 1 };
        server.write(&initialize(client));
        let answer = server.read();
        assert_eq!(answer["result"]["serverInfo"]["name"], "cccc", "{answer}");
        server.write(&json!({"jsonrpc": "2.0", "method": "notifications/initialized"}));
        server
    }

    fn write(&mut self, message: &Value) {
        writeln!(self.stdin.as_mut().unwrap(), "{message}").unwrap();
    }

    fn read(&self) -> Value {
        serde_json::from_str(&self.lines.recv_timeout(PATIENCE).unwrap()).unwrap()
    }

    fn call(&mut self, tool: &str, arguments: &Value) -> Value {
        self.id += 1;
        self.write(&call(self.id, tool, arguments));
        let answer = self.read();
        assert_eq!(answer["id"], self.id, "{answer}");
        answer["result"]["structuredContent"].clone()
    }

    fn who(&mut self) -> String {
        let answer = self.call("cccc_bootstrap", &json!({}));
        answer["actor"].as_str().unwrap_or_else(|| panic!("{answer}")).to_owned()
    }

    /// Closes its input and waits until it has ended.
    fn end(mut self) {
        drop(self.stdin.take());
        while self.lines.recv_timeout(PATIENCE).is_ok() {}
        assert!(self.child.wait().unwrap().success());
    }
}

/// What `who` says of an actor.
fn member(place: &Place, id: &str) -> Value {
    place.lines(&["who"]).into_iter().find(|member| member["actor_id"] == id).unwrap()
}

#[test]
fn an_agent_talks_and_the_command_line_sees_it() {
    let place = Place::with_actors();
    let mut alice = Server::start(&place, &["--as", "alice"], &[], "x");
    assert_eq!(member(&place, "alice")["presence"], "absent", "it has not asked for anything");
    let sent = alice.call("cccc_message_send", &json!({"text": "from alice", "to": "user"}));
    assert_eq!(member(&place, "alice")["presence"], "present");
    let event = place.json(&["show", &sent["seq"].to_string()]);
    assert_eq!((&event["by"], &event["via"]["door"]), (&json!("alice"), &json!("mcp")));
    place.ok(&["send", "answer", "--to", "alice"]);
    let inbox = alice.call("cccc_inbox_list", &json!({"wait_seconds": 60}));
    assert_eq!(inbox["messages"][0]["text"], "answer");
    alice.end();
    let member = member(&place, "alice");
    assert_eq!((&member["presence"], &member["session"]["open"]), (&json!("absent"), &json!(false)));
}

#[test]
fn calls_that_are_piped_in_are_all_carried_out() {
    let place = Place::with_actors();
    let mut input = format!("{}\n", initialize("x"));
    for id in 2..12 {
        input +=
            &format!("{}\n", call(id, "cccc_message_send", &json!({"text": id.to_string(), "to": "bob"})));
    }
    let args = ["mcp", "--as", "alice"];
    let output = succeeded(&place.fed(&args, input.as_bytes()), &args);
    assert_eq!(output.lines().count(), 11, "{output}");
    assert!(!output.contains("\"isError\":true"), "{output}");
    assert_eq!(place.lines(&["--as", "bob", "inbox"]).len(), 10);
    assert_eq!(member(&place, "alice")["session"]["open"], false);
    // Nothing at all, and nothing that makes sense.
    assert_eq!(succeeded(&place.fed(&["mcp"], b""), &["mcp"]), "");
    assert_eq!(succeeded(&place.fed(&["mcp"], b"rubbish\n{\n"), &["mcp"]), "");
}

#[test]
fn one_that_is_killed_leaves_its_actor_to_the_next() {
    let place = Place::with_actors();
    let mut first = Server::start(&place, &[], &[], "codex-mcp-client");
    let mut second = Server::start(&place, &[], &[], "codex-mcp-client");
    let (otter, heron) = (first.who(), second.who());
    assert_ne!(otter, heron, "two sessions in one directory");
    place.ok(&["send", "kept", "--to", &otter]);
    first.write(&call(99, "cccc_inbox_list", &json!({"after": 1_000_000, "wait_seconds": 60})));
    first.child.kill().unwrap();
    first.child.wait().unwrap();
    assert_eq!(member(&place, &otter)["presence"], "absent");
    let mut again = Server::start(&place, &[], &[], "codex-mcp-client");
    assert_eq!(again.who(), otter);
    let inbox = again.call("cccc_inbox_list", &json!({}));
    assert_eq!(inbox["messages"][0]["text"], "kept");
    assert_eq!(second.call("cccc_inbox_list", &json!({}))["messages"], json!([]));
}

#[cfg(target_os = "linux")]
#[test]
fn one_environment_is_not_two_agents() {
    let place = Place::with_actors();
    let variables = [("CCCC_ACTOR_ID", "alice")];
    // Both are started by this process, as some programs start the servers of all their sessions.
    let mut first = Server::start(&place, &[], &variables, "codex-mcp-client");
    let mut second = Server::start(&place, &[], &variables, "codex-mcp-client");
    assert_eq!(first.who(), "alice");
    let refused = second.call("cccc_bootstrap", &json!({}));
    assert_eq!(refused["kind"], "refused", "{refused}");
    assert_ne!(second.call("cccc_bootstrap", &json!({"as": "auto"}))["actor"], "alice");
    // What was said for one server alone counts.
    let mut third = Server::start(&place, &["--as", "bob"], &variables, "codex-mcp-client");
    assert_eq!(third.who(), "bob");
    assert_eq!(first.who(), "alice");
}

#[cfg(target_os = "linux")]
#[test]
fn commands_that_the_same_program_gives_are_in_the_name_of_its_session() {
    let place = Place::with_actors();
    // This process is the agent's program, of which each process is one session.
    let mut claude = Server::start(&place, &[], &[], "claude-code");
    let name = claude.who();
    assert_eq!(place.json(&["whoami"])["principal"], json!(name));
    place.ok(&["send", "by command", "--to", "bob"]);
    assert_eq!(place.lines(&["--as", "bob", "inbox"])[0]["by"], json!(name));
    let mut reconnected = Server::start(&place, &[], &[], "claude-code");
    assert_eq!(reconnected.who(), name);
    reconnected.end();
    claude.end();
    assert_ne!(place.json(&["whoami"])["principal"], json!(name));
}
