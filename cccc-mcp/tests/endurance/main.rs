//! Whether a server's memory is bounded: by what is sent to it, and over many calls.
//!
//! Memory is that of a process, so this test is a program of its own: started by itself with a variable it is the
//! server, on its standard streams; else it starts that and measures. That is why it has no test harness.
#![expect(clippy::unwrap_used, clippy::print_stdout, clippy::indexing_slicing, reason = "a test")]

use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Child, ChildStdin, ChildStdout, Command, ExitCode, Stdio};

use cccc_core::{Home, block_on};
use cccc_mcp::Options;
use serde_json::{Value, json};

/// The variable that makes this test the server, with the directory of the home.
const AS_SERVER: &str = "CCCC_TEST_AS_SERVER_IN";
/// How many calls are made, and after how many of them the memory is looked at first.
const CALLS: u64 = 10_000;
const WARM: u64 = 2_000;
/// The most by which memory may grow between these. What grows with the ledger is in it.
const MAX_GROWTH_KB: u64 = 3_000;
/// The most by which lines without end may raise it: one line of the longest that is read, with room to parse it.
const MAX_LINE_KB: u64 = 64_000;

fn main() -> ExitCode {
    if let Ok(dir) = std::env::var(AS_SERVER) {
        let dir = Path::new(&dir);
        let mut options = Options::new(dir.join("home"), dir);
        options.actor = Some("alice".into());
        return match cccc_mcp::serve_stdio(options) {
            Ok(()) => ExitCode::SUCCESS,
            Err(_) => ExitCode::FAILURE,
        };
    }
    if std::env::args().any(|argument| argument == "--list") {
        return ExitCode::SUCCESS;
    }
    if !Path::new("/proc/self/status").exists() {
        println!("endurance: not here, as the memory of a process cannot be seen");
        return ExitCode::SUCCESS;
    }
    let dir = tempfile::tempdir().unwrap();
    block_on(async {
        let home = Home::open(dir.path().join("home")).await.unwrap();
        let user = home.attach(dir.path()).await.unwrap();
        for id in ["lead", "alice", "bob"] {
            user.add_actor(id).await.unwrap();
        }
    });
    lines_without_end_are_passed_over(dir.path());
    many_calls_take_no_more_memory(dir.path());
    ExitCode::SUCCESS
}

/// A hundred megabytes in one line: of text, of brackets, in a call that is never ended.
fn lines_without_end_are_passed_over(dir: &Path) {
    let mut server = Server::start(dir);
    server.call("cccc_inbox_list", &json!({}));
    let before = server.peak_kb();
    let piece = vec![b'x'; 1 << 20];
    let brackets = vec![b'['; 1 << 20];
    for (begin, piece) in [
        (
            r#"{"jsonrpc":"2.0","id":7,"method":"tools/call","params":{"name":"cccc_message_send","arguments":{"text":""#,
            &piece,
        ),
        ("", &piece),
        ("", &brackets),
    ] {
        let stdin = server.stdin.as_mut().unwrap();
        stdin.write_all(begin.as_bytes()).unwrap();
        for _ in 0..100 {
            stdin.write_all(piece).unwrap();
        }
        stdin.write_all(b"\n").unwrap();
        server.call("cccc_inbox_list", &json!({}));
    }
    let grown = server.peak_kb() - before;
    println!("endurance: three lines of 100 MB took {grown} kB");
    assert!(grown < MAX_LINE_KB, "lines of 100 MB took {grown} kB");
    server.end();
}

fn many_calls_take_no_more_memory(dir: &Path) {
    let mut server = Server::start(dir);
    let mut warm = 0;
    for n in 0..CALLS {
        if n == WARM {
            warm = server.memory_kb();
        }
        match n % 20 {
            0 => server.call("cccc_message_send", &json!({"text": n.to_string(), "to": ["bob"]})),
            1 => server.call("cccc_agent_state", &json!({"focus": n.to_string()})),
            2..10 => server.call("cccc_inbox_list", &json!({})),
            10..15 => server.call("cccc_coordination", &json!({"action": "who"})),
            15..19 => server.call("cccc_context_get", &json!({})),
            _ => server.refused("cccc_message_ack", &json!({"seq": 1})),
        };
    }
    let (now, after) = (server.memory_kb(), CALLS - WARM);
    println!("endurance: {warm} kB after {WARM} calls, {now} kB after {after} more");
    assert!(now < warm + MAX_GROWTH_KB, "{after} calls took {} kB", now - warm);
    server.end();
}

struct Server {
    child: Child,
    stdin: Option<ChildStdin>,
    stdout: BufReader<ChildStdout>,
    id: u64,
}

impl Server {
    fn start(dir: &Path) -> Self {
        let mut command = Command::new(std::env::current_exe().unwrap());
        command.env(AS_SERVER, dir).stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut child = command.spawn().unwrap();
        let stdin = child.stdin.take();
        let stdout = BufReader::new(child.stdout.take().unwrap());
        let mut server = Self { child, stdin, stdout, id: 0 };
        let client = json!({"name": "endurance", "version": "1"});
        let params = json!({"protocolVersion": "2025-11-25", "capabilities": {}, "clientInfo": client});
        server.ask("initialize", &params);
        server.write(&json!({"jsonrpc": "2.0", "method": "notifications/initialized"}));
        server
    }

    fn write(&mut self, message: &Value) {
        writeln!(self.stdin.as_mut().unwrap(), "{message}").unwrap();
    }

    fn ask(&mut self, method: &str, params: &Value) -> Value {
        self.id += 1;
        let id = self.id;
        self.write(&json!({"jsonrpc": "2.0", "id": id, "method": method, "params": params}));
        loop {
            let mut line = String::new();
            assert_ne!(self.stdout.read_line(&mut line).unwrap(), 0, "the server has ended");
            let answer: Value = serde_json::from_str(&line).unwrap();
            if answer["id"] == id {
                return answer;
            }
        }
    }

    fn call(&mut self, tool: &str, arguments: &Value) {
        let answer = self.ask("tools/call", &json!({"name": tool, "arguments": arguments}));
        assert_eq!(answer["result"]["isError"], false, "{answer}");
    }

    fn refused(&mut self, tool: &str, arguments: &Value) {
        let answer = self.ask("tools/call", &json!({"name": tool, "arguments": arguments}));
        assert_eq!(answer["result"]["isError"], true, "{answer}");
    }

    fn memory_kb(&self) -> u64 {
        self.status("VmRSS:")
    }

    fn peak_kb(&self) -> u64 {
        self.status("VmHWM:")
    }

    fn status(&self, field: &str) -> u64 {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.child.id())).unwrap();
        let line = status.lines().find_map(|line| line.strip_prefix(field)).unwrap();
        line.trim().trim_end_matches(" kB").parse().unwrap()
    }

    fn end(mut self) {
        drop(self.stdin.take());
        assert!(self.child.wait().unwrap().success());
    }
}
