//! The server from outside: the real program, spoken to over its standard streams, beside what the machine and the
//! library take for the same. From start to initialized is measured with the program itself, in `cccc-cli`.
//!
//! The program is the one that lies beside this benchmark: `cargo xtask bench` builds both.
#![expect(
    clippy::indexing_slicing,
    clippy::print_stdout,
    clippy::unwrap_used,
    reason = "a benchmark prints, and may stop at any surprise"
)]

#[expect(dead_code, reason = "a table that other benchmarks fill too")]
#[path = "../../cccc-core/benches/targets/report.rs"]
mod report;

#[expect(dead_code, reason = "limits that other benchmarks use too")]
#[path = "../../cccc-core/benches/targets/raw.rs"]
mod raw;

use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, ChildStdout, Command, ExitCode, Stdio};
use std::time::Duration;

use cccc_core::{Group, Home, block_on};
use criterion::Criterion;
use serde_json::{Value, json};

use raw::RawFile;
use report::Report;

fn main() -> ExitCode {
    let wanted: Vec<String> = std::env::args().skip(1).filter(|arg| !arg.starts_with('-')).collect();
    let program = beside();
    if !program.is_file() {
        println!("{} is not there: cargo build --release --package cccc-cli", program.display());
        return ExitCode::FAILURE;
    }
    let mut report = Report::new(Criterion::default().without_plots(), wanted);
    for (what, run) in [
        ("a send, through the server", send as fn(&mut Report, &str, &Path)),
        ("an inbox of 20, through the server", inbox),
    ] {
        if report.wants(what) {
            run(&mut report, what, &program);
        }
    }
    report.print();
    ExitCode::SUCCESS
}

/// The program, built with the same profile.
fn beside() -> PathBuf {
    let this = std::env::current_exe().unwrap();
    this.parent().and_then(Path::parent).unwrap().join("cccc")
}

/// A send is durable when it is answered: the limit is an append with its sync.
fn send(report: &mut Report, what: &str, program: &Path) {
    let dir = raw::directory();
    let mut file = RawFile::new(dir.path());
    let limit = report.measure("raw append and sync, beside a send", || file.append()).median();
    let alice = group(dir.path());
    let library = report.measure("a send, by the library", || {
        block_on(async { alice.send("hello").to("bob").await }).unwrap();
    });
    let mut server = Server::start(program, dir.path());
    let arguments = json!({"text": "hello", "to": ["bob"]});
    let ours = report.measure(what, || {
        server.call("cccc_message_send", &arguments);
    });
    let ours = ours.median();
    let bound = limit * 2 + Duration::from_millis(1);
    report.time(what, limit, ours, "<= 2x append and sync, + 1 ms", bound);
    let beyond = ours.saturating_sub(library.median());
    report.fact(
        "  of it beyond the library",
        format!("{beyond:.1?}"),
        "<= 1 ms",
        beyond <= Duration::from_millis(1),
    );
    server.end();
}

/// An inbox whose messages were handed over before writes nothing: the limit is the library's look at it.
fn inbox(report: &mut Report, what: &str, program: &Path) {
    let dir = raw::directory();
    let alice = group(dir.path());
    block_on(async {
        let bob = alice.bind("bob").await.unwrap();
        for n in 0..20 {
            bob.send(format!("message {n} of a usual length, which is about a line"))
                .to("alice")
                .await
                .unwrap();
        }
    });
    let mut server = Server::start(program, dir.path());
    let shown = server.call("cccc_inbox_list", &json!({}));
    assert_eq!(shown["messages"].as_array().map(Vec::len), Some(20), "{shown}");
    let library = report.measure("an inbox of 20, by the library", || {
        let inbox = block_on(async { alice.inbox().peek().await }).unwrap();
        assert_eq!(inbox.messages.len(), 20);
    });
    let ours = report.measure(what, || {
        server.call("cccc_inbox_list", &json!({}));
    });
    report.time(what, library.median(), ours.median(), "<= 2 ms", Duration::from_millis(2));
    server.end();
}

/// A group with alice and bob; the handle is alice's.
fn group(dir: &Path) -> Group {
    block_on(async {
        let home = Home::open(dir.join("home")).await.unwrap();
        let user = home.attach(dir).await.unwrap();
        for id in ["lead", "alice", "bob"] {
            user.add_actor(id).await.unwrap();
        }
        user.bind("alice").await.unwrap()
    })
}

struct Server {
    child: Child,
    stdin: ChildStdin,
    stdout: BufReader<ChildStdout>,
    line: String,
}

impl Server {
    fn start(program: &Path, dir: &Path) -> Self {
        let mut command = Command::new(program);
        command.args(["mcp", "--as", "alice"]).current_dir(dir).env("CCCC_HOME", dir.join("home"));
        let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
        let stdin = child.stdin.take().unwrap();
        let stdout = BufReader::new(child.stdout.take().unwrap());
        let mut server = Self { child, stdin, stdout, line: String::new() };
        let client = json!({"name": "bench", "version": "1"});
        let params = json!({"protocolVersion": "2025-11-25", "capabilities": {}, "clientInfo": client});
        server.ask("initialize", &params);
        writeln!(server.stdin, r#"{{"jsonrpc":"2.0","method":"notifications/initialized"}}"#).unwrap();
        server.call("cccc_bootstrap", &json!({}));
        server
    }

    fn ask(&mut self, method: &str, params: &Value) -> Value {
        let message = json!({"jsonrpc": "2.0", "id": 1, "method": method, "params": params});
        writeln!(self.stdin, "{message}").unwrap();
        self.line.clear();
        self.stdout.read_line(&mut self.line).unwrap();
        serde_json::from_str(&self.line).unwrap()
    }

    fn call(&mut self, tool: &str, arguments: &Value) -> Value {
        let answer = self.ask("tools/call", &json!({"name": tool, "arguments": arguments}));
        assert_eq!(answer["result"]["isError"], false, "{answer}");
        answer["result"]["structuredContent"].clone()
    }

    fn end(self) {
        let Self { mut child, stdin, .. } = self;
        drop(stdin);
        child.wait().unwrap();
    }
}
