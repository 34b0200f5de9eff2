//! Whether what an agent has registered really starts a server.
//!
//! The command is run as the agent would run it, and greeted as a client greets. No tool is called, so it
//! joins nobody.

use std::path::Path;
use std::time::{Duration, Instant};

use cccc_core::{Error, Result};
use schemars::JsonSchema;
use serde::Serialize;
use serde_json::{Value, json};

use super::catalog::Scope;
use super::entry::{NAME, Registered};
use super::talk::Talk;

/// How long a server may take to answer.
const WITHIN: Duration = Duration::from_secs(5);

/// The version of the protocol that is asked for; a server answers with the one it has.
const PROTOCOL: &str = "2025-06-18";

/// What came of starting what is registered.
#[derive(Clone, Debug, Serialize, JsonSchema)]
pub(crate) struct Start {
    /// Whose configuration registers it.
    pub(crate) scope: Scope,
    /// Whether it answers as this server does.
    pub(crate) ok: bool,
    /// How long it took to answer, in milliseconds.
    pub(crate) ms: u64,
    /// The version it says it has.
    pub(crate) version: Option<String>,
    /// What is wrong.
    pub(crate) detail: Option<String>,
}

/// Starts it and greets it.
pub(crate) fn start(scope: Scope, registered: &Registered) -> Start {
    let started = Instant::now();
    let greeted = greet(registered);
    let ms = u64::try_from(started.elapsed().as_millis()).unwrap_or(u64::MAX);
    let (version, error) = match greeted {
        Ok(version) => (Some(version), None),
        Err(error) => (None, Some(format!("{}: {error}", registered.command))),
    };
    Start { scope, ok: error.is_none(), ms, version, detail: error }
}

/// The version of the server.
fn greet(registered: &Registered) -> Result<String> {
    let program = Path::new(&registered.command);
    let mut talk = Talk::begin(program, &registered.args, &registered.env, WITHIN)?;
    let client = json!({ "name": "cccc-doctor", "version": env!("CARGO_PKG_VERSION") });
    let params = json!({ "protocolVersion": PROTOCOL, "capabilities": {}, "clientInfo": client });
    let answer = talk.call("initialize", &params)?;
    let said = |key: &str| answer.pointer(key).and_then(Value::as_str).unwrap_or_default().to_owned();
    let name = said("/serverInfo/name");
    if name != NAME {
        return Err(Error::refused(format!("it is another server, `{name}`")));
    }
    talk.say("notifications/initialized")?;
    Ok(said("/serverInfo/version"))
}
