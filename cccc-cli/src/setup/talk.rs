//! A short conversation with a program that answers a JSON object a line: an MCP server, an agent's own server.
//!
//! It has a bound as a whole, and the program is ended with it. Whatever the program does wrong becomes an
//! error that says what it did.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{BufRead, BufReader, ErrorKind as IoKind, Read, Seek, SeekFrom, Write};
use std::path::Path;
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::mpsc::{self, Receiver, RecvTimeoutError};
use std::time::{Duration, Instant};

use cccc_core::{Error, Result};
use serde_json::{Value, json};

/// The longest line that is read.
const LINE: u64 = 4 << 20;

/// How many lines may wait to be read.
const AHEAD: usize = 64;

/// How long the program may take to end by itself, once nobody talks to it any more.
const GRACE: Duration = Duration::from_secs(2);

/// How much of what it complained of is looked at, from the end.
const COMPLAINTS: u64 = 4 << 10;

/// How much of what it said is quoted.
const QUOTED: usize = 120;

/// A program that is talked to.
#[derive(Debug)]
pub(super) struct Talk {
    child: Child,
    /// Given up to let it end.
    input: Option<ChildStdin>,
    lines: Receiver<std::result::Result<Value, String>>,
    /// What it prints on standard error.
    complaints: File,
    within: Duration,
    until: Instant,
    calls: u64,
}

impl Talk {
    /// Starts a program with these variables beside those of this process.
    ///
    /// # Errors
    /// `NotFound` if it is not there, `Unavailable` if it cannot be started.
    pub(super) fn begin(
        program: &Path,
        args: &[String],
        env: &BTreeMap<String, String>,
        within: Duration,
    ) -> Result<Self> {
        let failed = |e: std::io::Error| match e.kind() {
            IoKind::NotFound => Error::not_found(format!("{} is not there", program.display())),
            _ => Error::io("run", program, e),
        };
        // A file and no pipe: however much it complains, it is not held up.
        let complaints = tempfile::tempfile().map_err(failed)?;
        let errors = complaints.try_clone().map_err(failed)?;
        let mut command = Command::new(program);
        command.args(args).envs(env).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(errors);
        let mut child = command.spawn().map_err(failed)?;
        let (Some(input), Some(output)) = (child.stdin.take(), child.stdout.take()) else {
            return Err(Error::unavailable(format!("{} has no input and output", program.display())));
        };
        let (sender, lines) = mpsc::sync_channel(AHEAD);
        // On a thread, because a pipe cannot be waited for with a bound.
        std::thread::spawn(move || {
            let mut output = BufReader::new(output);
            let mut line = Vec::new();
            while let Ok(1..) = output.by_ref().take(LINE).read_until(b'\n', &mut line) {
                let said = serde_json::from_slice(&line)
                    .map_err(|_| String::from_utf8_lossy(&line).trim().chars().take(QUOTED).collect());
                if sender.send(said).is_err() {
                    break;
                }
                line.clear();
            }
        });
        let until = Instant::now() + within;
        Ok(Self { child, input: Some(input), lines, complaints, within, until, calls: 0 })
    }

    /// Says something that is not answered.
    pub(super) fn say(&mut self, method: &str) -> Result<()> {
        self.send(&json!({ "jsonrpc": "2.0", "method": method }))
    }

    /// Asks, and waits for the answer.
    ///
    /// # Errors
    /// `Unavailable` if there is none in time, or it is an error.
    pub(super) fn call(&mut self, method: &str, params: &Value) -> Result<Value> {
        self.calls += 1;
        let id = self.calls;
        self.send(&json!({ "jsonrpc": "2.0", "id": id, "method": method, "params": params }))?;
        let mut rubbish = None;
        loop {
            let left = self.until.saturating_duration_since(Instant::now());
            let answer = match self.lines.recv_timeout(left) {
                Ok(Ok(answer)) => answer,
                Ok(Err(line)) => {
                    rubbish = rubbish.or(Some(line));
                    continue;
                }
                Err(why) => return Err(self.silence(method, why, rubbish)),
            };
            // What it asks or tells of its own accord has ids of its own.
            if answer.get("method").is_some() || answer.get("id").and_then(Value::as_u64) != Some(id) {
                continue;
            }
            return match (answer.get("result"), answer.pointer("/error/message")) {
                (Some(result), _) => Ok(result.clone()),
                (None, why) => Err(Error::unavailable(format!(
                    "it refuses `{method}`: {}",
                    why.and_then(Value::as_str).unwrap_or("it does not say why")
                ))),
            };
        }
    }

    fn send(&mut self, message: &Value) -> Result<()> {
        let Some(input) = &mut self.input else { return Err(Error::unavailable("the conversation is over")) };
        match writeln!(input, "{message}").and_then(|()| input.flush()) {
            Ok(()) => Ok(()),
            // It ended already; what it said before is the reason.
            Err(_) => Err(self.silence("anything", RecvTimeoutError::Disconnected, None)),
        }
    }

    /// Why there is no answer.
    fn silence(&mut self, method: &str, why: RecvTimeoutError, rubbish: Option<String>) -> Error {
        let mut what = match why {
            RecvTimeoutError::Timeout => {
                format!("it did not answer `{method}` within {} s", self.within.as_secs_f64())
            }
            RecvTimeoutError::Disconnected => match self.ended() {
                Some(status) => format!("it ended ({status}) without answering `{method}`"),
                None => format!("it closed its output without answering `{method}`"),
            },
        };
        if let Some(line) = rubbish {
            what += &format!(", but said `{line}`");
        }
        if let Some(line) = self.last_complaint() {
            what += &format!("; its last words were `{line}`");
        }
        Error::unavailable(what)
    }

    /// How it ended, if it did; it may be about to.
    fn ended(&mut self) -> Option<std::process::ExitStatus> {
        let until = Instant::now() + GRACE.min(self.within);
        loop {
            match self.child.try_wait() {
                Ok(Some(status)) => return Some(status),
                Ok(None) if Instant::now() < until => std::thread::sleep(Duration::from_millis(2)),
                _ => return None,
            }
        }
    }

    fn last_complaint(&mut self) -> Option<String> {
        let end = self.complaints.seek(SeekFrom::End(0)).ok()?;
        self.complaints.seek(SeekFrom::Start(end.saturating_sub(COMPLAINTS))).ok()?;
        let mut text = Vec::new();
        Read::by_ref(&mut self.complaints).take(COMPLAINTS).read_to_end(&mut text).ok()?;
        let text = String::from_utf8_lossy(&text).into_owned();
        let line = text.lines().map(str::trim).rfind(|line| !line.is_empty())?;
        Some(line.chars().take(QUOTED).collect())
    }
}

impl Drop for Talk {
    fn drop(&mut self) {
        // A program that only started the one that answers cannot end that: its closed input can.
        self.input = None;
        if self.ended().is_none() {
            // It may have ended by itself just now.
            let _ = self.child.kill();
            let _ = self.child.wait();
        }
    }
}
