//! The program from outside: how long a whole `cccc send` takes beside the start of any process, and how
//! large the program is.
#![expect(
    clippy::indexing_slicing,
    clippy::print_stdout,
    clippy::unwrap_used,
    reason = "a benchmark prints, and may stop at any surprise"
)]

#[expect(dead_code, reason = "a table that other benchmarks fill too")]
#[path = "../../cccc-core/benches/targets/report.rs"]
mod report;

use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

use criterion::Criterion;

use report::Report;

const PROGRAM: &str = env!("CARGO_BIN_EXE_cccc");

/// What an agent says first.
const INITIALIZE: &str = r#"{"jsonrpc":"2.0","id":1,"method":"initialize","params":{"protocolVersion":"2025-11-25","capabilities":{},"clientInfo":{"name":"bench","version":"1"}}}"#;

fn main() {
    let wanted: Vec<String> = std::env::args().skip(1).filter(|arg| !arg.starts_with('-')).collect();
    let mut report = Report::new(Criterion::default().without_plots(), wanted);
    let what = "`cccc send`, whole process";
    if report.wants(what) {
        send(&mut report, what);
    }
    let what = "`cccc hook tool`, nothing to say";
    if report.wants(what) {
        hook(&mut report, what);
    }
    let what = "`cccc mcp`, from start to initialized";
    if report.wants(what) {
        mcp(&mut report, what);
    }
    let what = "size of the program";
    if report.wants(what) {
        let megabytes = std::fs::metadata(PROGRAM).unwrap().len() / 1_000_000;
        report.fact(what, format!("{megabytes} MB"), "<= 15 MB", megabytes <= 15);
    }
    report.print();
}

fn send(report: &mut Report, what: &str) {
    let dir = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
    let cccc = |args: &[&str]| run(Command::new(PROGRAM).args(args), dir.path());
    cccc(&["attach"]);
    cccc(&["actor", "add", "lead"]);
    cccc(&["actor", "add", "alice"]);
    let limit =
        report.measure("start of the smallest process", || run(&mut Command::new("true"), dir.path()));
    let ours = report.measure(what, || cccc(&["send", "hello", "--to", "alice"]));
    report.time(what, limit.median(), ours.median(), "<= 5 ms", Duration::from_millis(5));
}

fn hook(report: &mut Report, what: &str) {
    let dir = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
    let cccc = |args: &[&str]| run(Command::new(PROGRAM).args(args), dir.path());
    cccc(&["attach"]);
    cccc(&["actor", "add", "lead"]);
    let told = format!("{{\"session_id\":\"c1\",\"cwd\":{:?},\"tool_name\":\"Bash\"}}", dir.path());
    let fed = |command: &mut Command| {
        let command = command.current_dir(dir.path()).env("CCCC_HOME", dir.path().join("home"));
        let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
        child.stdin.take().unwrap().write_all(told.as_bytes()).unwrap();
        let output = child.wait_with_output().unwrap();
        assert!(output.status.success());
        output.stdout.len()
    };
    let limit = report.measure("start of `wc`, which reads all", || {
        fed(&mut Command::new("wc"));
    });
    // It is somebody, who has nothing to be told.
    assert!(fed(Command::new(PROGRAM).args(["hook", "start", "--runtime", "claude"])) > 0);
    let ours = report.measure(what, || {
        assert_eq!(fed(Command::new(PROGRAM).args(["hook", "tool", "--runtime", "claude"])), 0);
    });
    report.time(what, limit.median(), ours.median(), "<= 5 ms", Duration::from_millis(5));
}

fn mcp(report: &mut Report, what: &str) {
    let dir = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
    let limit = report
        .measure("start of `cat`, to its first line", || first_line(&mut Command::new("cat"), dir.path()));
    let ours = report.measure(what, || first_line(Command::new(PROGRAM).arg("mcp"), dir.path()));
    report.time(what, limit.median(), ours.median(), "<= 5 ms", Duration::from_millis(5));
}

/// Starts a program, writes what an agent writes first, and reads one line of what it answers.
fn first_line(command: &mut Command, dir: &Path) {
    let command = command.current_dir(dir).env("CCCC_HOME", dir.join("home"));
    let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
    let mut stdin = child.stdin.take().unwrap();
    writeln!(stdin, "{INITIALIZE}").unwrap();
    let mut line = String::new();
    BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
    assert!(line.contains("protocolVersion"), "{line}");
    drop(stdin);
    child.kill().unwrap();
    child.wait().unwrap();
}

fn run(command: &mut Command, dir: &Path) {
    let command = command.current_dir(dir).env("CCCC_HOME", dir.join("home")).args(["--as", "user"]);
    let status = command.stdout(Stdio::null()).status().unwrap();
    assert!(status.success());
}
