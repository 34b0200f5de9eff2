//! Letting an agent trust the hooks that were entered for it.
//!
//! Codex runs a hook only after its person has trusted it as it is, and says nothing where it does not. The
//! person has just asked for these hooks, so the agent is asked to trust them, by the way its own screen for
//! that takes: it lists them with what it knows each by, and is given that back. What is not ours is not
//! trusted, but what was trusted before and only stands elsewhere in the file now stays so.

use std::io::{BufRead, BufReader, Read, Write};
use std::path::Path;
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::mpsc::{self, Receiver};
use std::time::{Duration, Instant};

use cccc_core::{Error, Result};
use serde_json::{Map, Value, json};

use super::hooks::Wanted;

/// How long a whole conversation may take.
const WITHIN: Duration = Duration::from_secs(15);

/// How long it may take to end after that.
const GRACE: Duration = Duration::from_secs(2);

/// The longest line that is read.
const LINE: u64 = 4 << 20;

/// What an agent knows of its hooks.
#[derive(Debug)]
pub(super) struct Trust {
    hooks: Vec<Hook>,
}

#[derive(Debug)]
struct Hook {
    /// Where it is, as the agent says.
    key: String,
    /// What it is, as the agent says.
    hash: String,
    trusted: bool,
    ours: bool,
}

impl Trust {
    /// Whether there are some of ours, and all of them are trusted.
    pub(super) fn all_of_ours(&self) -> bool {
        let mut ours = self.hooks.iter().filter(|hook| hook.ours).peekable();
        ours.peek().is_some() && ours.all(|hook| hook.trusted)
    }
}

/// What an agent trusts.
///
/// # Errors
/// `Unavailable` if its program does not answer as expected in time.
pub(super) fn ask(program: &Path, args: &[String], here: &Path) -> Result<Trust> {
    let mut talk = Talk::begin(program, args)?;
    talk.list(here)
}

/// Lets it trust what is ours, and what it trusted before; says whether it does.
///
/// # Errors
/// As [`ask`].
pub(super) fn give(program: &Path, args: &[String], here: &Path, before: Option<Trust>) -> Result<bool> {
    let mut talk = Talk::begin(program, args)?;
    let now = talk.list(here)?;
    let before = before.map(|before| before.hooks).unwrap_or_default();
    let was = |hook: &Hook| before.iter().any(|old| old.trusted && old.hash == hook.hash);
    let wanted = now.hooks.iter().filter(|hook| !hook.trusted && (hook.ours || was(hook)));
    let states: Map<String, Value> =
        wanted.map(|hook| (hook.key.clone(), json!({ "trusted_hash": hook.hash }))).collect();
    if states.is_empty() {
        return Ok(now.all_of_ours());
    }
    let edit = json!({ "keyPath": "hooks.state", "value": states, "mergeStrategy": "upsert" });
    talk.call("config/batchWrite", &json!({ "edits": [edit], "reloadUserConfig": true }))?;
    Ok(talk.list(here)?.all_of_ours())
}

/// A conversation with the agent's server, a JSON object a line.
struct Talk {
    child: Child,
    /// Given up to let it end.
    input: Option<ChildStdin>,
    lines: Receiver<Value>,
    until: Instant,
    calls: u64,
}

impl Talk {
    fn begin(program: &Path, args: &[String]) -> Result<Self> {
        let mut command = Command::new(program);
        command.args(args).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null());
        let mut child = command.spawn().map_err(|e| Error::io("run", program, e))?;
        let (Some(input), Some(output)) = (child.stdin.take(), child.stdout.take()) else {
            return Err(Error::unavailable("its program has no input and output"));
        };
        let (sender, lines) = mpsc::sync_channel(64);
        // On a thread, because a pipe cannot be waited for with a bound.
        std::thread::spawn(move || {
            let mut output = BufReader::new(output);
            let mut line = Vec::new();
            while let Ok(1..) = output.by_ref().take(LINE).read_until(b'\n', &mut line) {
                let sent = serde_json::from_slice(&line).map(|value| sender.send(value).is_ok());
                if matches!(sent, Ok(false)) {
                    break;
                }
                line.clear();
            }
        });
        let mut talk = Self { child, input: Some(input), lines, until: Instant::now() + WITHIN, calls: 0 };
        let client = json!({ "name": "cccc", "title": "CCCC", "version": env!("CARGO_PKG_VERSION") });
        talk.call("initialize", &json!({ "clientInfo": client }))?;
        talk.say(&json!({ "method": "initialized" }))?;
        Ok(talk)
    }

    fn say(&mut self, what: &Value) -> Result<()> {
        let Some(input) = &mut self.input else { return Err(Error::unavailable("the conversation is over")) };
        let said = writeln!(input, "{what}").and_then(|()| input.flush());
        said.map_err(|e| Error::unavailable(format!("its program does not listen: {e}")))
    }

    fn call(&mut self, method: &str, params: &Value) -> Result<Value> {
        self.calls += 1;
        let id = self.calls;
        self.say(&json!({ "id": id, "method": method, "params": params }))?;
        loop {
            let left = self.until.saturating_duration_since(Instant::now());
            let answer = self.lines.recv_timeout(left).map_err(|_| {
                Error::unavailable(format!(
                    "its program did not answer `{method}` within {} s",
                    WITHIN.as_secs()
                ))
            })?;
            if answer.get("id").and_then(Value::as_u64) != Some(id) {
                continue;
            }
            return match (answer.get("result"), answer.pointer("/error/message")) {
                (Some(result), _) => Ok(result.clone()),
                (None, why) => Err(Error::unavailable(format!(
                    "`{method}` failed: {}",
                    why.and_then(Value::as_str).unwrap_or("it does not say why")
                ))),
            };
        }
    }

    fn list(&mut self, here: &Path) -> Result<Trust> {
        let answer = self.call("hooks/list", &json!({ "cwds": [here] }))?;
        let places = answer.get("data").and_then(Value::as_array);
        let places = places.ok_or_else(|| Error::unavailable("it lists no hooks"))?;
        let hooks = places.iter().flat_map(|place| place.get("hooks").and_then(Value::as_array)).flatten();
        let text = |hook: &Value, key: &str| hook.get(key).and_then(Value::as_str).map(str::to_owned);
        let hooks = hooks.filter_map(|hook| {
            Some(Hook {
                key: text(hook, "key")?,
                hash: text(hook, "currentHash")?,
                trusted: matches!(text(hook, "trustStatus")?.as_str(), "trusted" | "managed"),
                ours: text(hook, "command").is_some_and(|command| Wanted::is_ours(&command)),
            })
        });
        Ok(Trust { hooks: hooks.collect() })
    }
}

impl Drop for Talk {
    fn drop(&mut self) {
        // What started the server for us ends with it, where it is given the time.
        self.input = None;
        let until = Instant::now() + GRACE;
        while matches!(self.child.try_wait(), Ok(None)) && Instant::now() < until {
            std::thread::sleep(Duration::from_millis(5));
        }
        // It may have ended by itself just now.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
