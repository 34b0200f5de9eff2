//! Letting an agent trust the hooks that were entered for it.
//!
//! Codex runs a hook only after its person has trusted it as it is, and says nothing where it does not. The
//! person has just asked for these hooks, so the agent is asked to trust them, by the way its own screen for
//! that takes: it lists them with what it knows each by, and is given that back. What is not ours is not
//! trusted, but what was trusted before and only stands elsewhere in the file now stays so.

use std::collections::BTreeMap;
use std::path::Path;
use std::time::Duration;

use cccc_core::{Error, Result};
use serde_json::{Value, json};

use super::hooks::Wanted;
use super::talk::Talk;

/// How long a whole conversation may take.
const WITHIN: Duration = Duration::from_secs(15);

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
    list(&mut begin(program, args)?, here)
}

/// Lets it trust what is ours, and what it trusted before; says whether it does. What it knew of ours that
/// is gone is forgotten.
///
/// # Errors
/// As [`ask`].
pub(super) fn give(program: &Path, args: &[String], here: &Path, before: Option<Trust>) -> Result<bool> {
    let mut talk = begin(program, args)?;
    let now = list(&mut talk, here)?;
    let before = before.map(|before| before.hooks).unwrap_or_default();
    let was = |hook: &Hook| before.iter().any(|old| old.trusted && old.hash == hook.hash);
    let wanted = now.hooks.iter().filter(|hook| !hook.trusted && (hook.ours || was(hook)));
    let trusted = wanted.map(|hook| (hook.key.as_str(), json!({ "trusted_hash": hook.hash })));
    let there = |key: &str| now.hooks.iter().any(|hook| hook.key == key);
    let gone = before.iter().filter(|hook| hook.ours && hook.trusted && !there(&hook.key));
    let edits: Vec<Value> = trusted
        .chain(gone.map(|hook| (hook.key.as_str(), Value::Null)))
        .map(|(key, value)| json!({ "keyPath": state_of(key), "value": value, "mergeStrategy": "replace" }))
        .collect();
    if edits.is_empty() {
        return Ok(now.all_of_ours());
    }
    talk.call("config/batchWrite", &json!({ "edits": edits, "reloadUserConfig": true }))?;
    Ok(list(&mut talk, here)?.all_of_ours())
}

/// Begins to talk with the agent's server.
fn begin(program: &Path, args: &[String]) -> Result<Talk> {
    let mut talk = Talk::begin(program, args, &BTreeMap::new(), WITHIN)?;
    let client = json!({ "name": "cccc", "title": "CCCC", "version": env!("CARGO_PKG_VERSION") });
    talk.call("initialize", &json!({ "clientInfo": client }))?;
    talk.say("initialized")?;
    Ok(talk)
}

fn list(talk: &mut Talk, here: &Path) -> Result<Trust> {
    let answer = talk.call("hooks/list", &json!({ "cwds": [here] }))?;
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

/// The path of what the agent keeps of a hook.
fn state_of(key: &str) -> String {
    format!("hooks.state.\"{}\"", key.replace('\\', "\\\\").replace('"', "\\\""))
}
