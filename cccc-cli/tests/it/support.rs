//! The program run in a throwaway home, and what it says.

use std::fs;
use std::io::Write;
use std::path::PathBuf;
use std::process::{Command, Output, Stdio};

use serde_json::Value;

pub(crate) use crate::shared::Place;

impl Place {
    /// A group with the foreman `lead` and the peers `alice` (#reviewer) and `bob`.
    pub(crate) fn with_actors() -> Self {
        let place = Self::bare();
        place.ok(&["attach"]);
        place.ok(&["actor", "add", "lead"]);
        place.ok(&["actor", "add", "alice", "--label", "reviewer"]);
        place.ok(&["actor", "add", "bob"]);
        place
    }

    /// The program in the project directory, with no environment but the home and the search path.
    pub(crate) fn command(&self, args: &[&str]) -> Command {
        let mut command = self.program(env!("CARGO_BIN_EXE_cccc"));
        command.args(args).stdin(Stdio::null());
        command
    }

    pub(crate) fn run(&self, args: &[&str]) -> Output {
        self.command(args).output().unwrap()
    }

    /// Runs with something on standard input.
    pub(crate) fn fed(&self, args: &[&str], input: &[u8]) -> Output {
        let mut command = self.command(args);
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().unwrap();
        let mut stdin = child.stdin.take().unwrap();
        // The program may stop reading what is too long; then the pipe breaks, as it should.
        let _ = stdin.write_all(input);
        drop(stdin);
        child.wait_with_output().unwrap()
    }

    /// What it prints when it does what is asked.
    pub(crate) fn ok(&self, args: &[&str]) -> String {
        succeeded(&self.run(args), args)
    }

    /// The one object it prints on `--json`.
    pub(crate) fn json(&self, args: &[&str]) -> Value {
        let lines = self.lines(args);
        assert_eq!(lines.len(), 1, "{args:?}: {lines:?}");
        lines[0].clone()
    }

    /// The objects it prints on `--json`, one a line.
    pub(crate) fn lines(&self, args: &[&str]) -> Vec<Value> {
        let output = self.ok(&[args, &["--json"]].concat());
        output.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
    }

    /// The error it reports on `--json` when it refuses or fails.
    pub(crate) fn refused(&self, args: &[&str]) -> Value {
        refusal(&self.run(&[args, &["--json"]].concat()), args)
    }

    /// A file in the project.
    pub(crate) fn file(&self, name: &str, content: impl AsRef<[u8]>) -> PathBuf {
        let path = self.project().join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(&path, content).unwrap();
        path
    }
}

pub(crate) fn succeeded(output: &Output, args: &[&str]) -> String {
    let errors = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(0), "{args:?}: {errors}");
    assert_eq!(errors, "", "{args:?}");
    String::from_utf8(output.stdout.clone()).unwrap()
}

/// The error of a run that must have ended with exit code 1, nothing on standard output, and one line of
/// JSON with a kind, a message and a hint on standard error.
pub(crate) fn refusal(output: &Output, args: &[&str]) -> Value {
    let errors = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(1), "{args:?}: {errors}");
    assert_eq!(String::from_utf8_lossy(&output.stdout), "", "{args:?}");
    assert_eq!(errors.lines().count(), 1, "{args:?}: {errors}");
    let line: Value = serde_json::from_str(&errors).unwrap();
    let error = line["error"].clone();
    assert!(error["kind"].is_string() && error["message"].is_string(), "{line}");
    assert!(error.get("hint").is_some(), "{line}");
    error
}

/// The names of an object's fields.
pub(crate) fn fields(value: &Value) -> Vec<&str> {
    value.as_object().unwrap().keys().map(String::as_str).collect()
}

/// Asserts that these fields are there; more may be.
pub(crate) fn has(value: &Value, names: &[&str]) {
    for name in names {
        assert!(fields(value).contains(name), "{name} is missing in {value}");
    }
}
