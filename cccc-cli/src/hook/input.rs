//! What a hook is told on its standard input. Of all that agents write there, only what is needed is kept.

use std::io::Read;
use std::path::PathBuf;

use cccc_core::{Error, Result};
use serde::Deserialize;
use serde_json::Value;

/// The most bytes that are read. A tool's whole answer may be in it.
const MAX_BYTES: u64 = 16 << 20;
/// The longest word that is kept: ids, names, reasons.
const MAX_WORD_BYTES: usize = 1024;

/// What a hook is told.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Input {
    /// The agent's own id of its session.
    pub(crate) session: Option<String>,
    /// Where it works.
    pub(crate) cwd: Option<PathBuf>,
    /// The agent's own name of the event.
    pub(crate) event: Option<String>,
    /// How a session begins: anew, or as one that goes on.
    pub(crate) source: Option<String>,
    /// Why it ends.
    pub(crate) reason: Option<String>,
    /// The turn.
    pub(crate) turn: Option<String>,
    /// The tool.
    pub(crate) tool: Option<String>,
    /// The call of the tool.
    pub(crate) tool_use: Option<String>,
    /// What the tool is given.
    pub(crate) tool_input: Value,
    /// Whether the turn goes on because a hook put off its end.
    pub(crate) goes_on: bool,
    /// Whether this happens within an agent that the agent has started for a part of its work.
    pub(crate) subagent: bool,
}

/// The fields by all the names that agents give them. Unknown ones are skipped without being kept, and those of
/// another type than is expected are as good as absent.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
#[expect(non_snake_case, reason = "as agents write them")]
struct Raw {
    session_id: Value,
    sessionId: Value,
    conversation_id: Value,
    cwd: Value,
    workspace_roots: Value,
    hook_event_name: Value,
    hookEventName: Value,
    source: Value,
    reason: Value,
    turn_id: Value,
    prompt_id: Value,
    generation_id: Value,
    tool_name: Value,
    toolName: Value,
    tool_input: Value,
    toolArgs: Value,
    tool_use_id: Value,
    toolUseId: Value,
    tool_call_id: Value,
    stop_hook_active: Value,
    stopHookActive: Value,
    loop_count: Value,
    agent_id: Value,
    agentId: Value,
}

impl Input {
    /// Reads it.
    ///
    /// # Errors
    /// `TooLarge` beyond the bound, `Invalid` for what is no JSON object.
    pub(crate) fn read(from: impl Read) -> Result<Self> {
        let mut bytes = Vec::new();
        from.take(MAX_BYTES + 1)
            .read_to_end(&mut bytes)
            .map_err(|e| Error::unavailable(format!("standard input cannot be read: {e}")))?;
        if bytes.len() as u64 > MAX_BYTES {
            return Err(Error::new(
                cccc_core::ErrorKind::TooLarge,
                format!("a hook is told at most {} MiB", MAX_BYTES >> 20),
            ));
        }
        Self::parse(&bytes)
    }

    fn parse(bytes: &[u8]) -> Result<Self> {
        if bytes.iter().all(u8::is_ascii_whitespace) {
            return Ok(Self::default());
        }
        // A list could be taken for the fields in their order.
        if bytes.iter().find(|byte| !byte.is_ascii_whitespace()) != Some(&b'{') {
            return Err(Error::invalid("standard input is not what a hook is told: it is no JSON object"));
        }
        let raw: Raw = serde_json::from_slice(bytes).map_err(|e| {
            Error::invalid(format!("standard input is not what a hook is told: {}", place(&e)))
        })?;
        let roots = raw.workspace_roots.get(0).cloned().unwrap_or_default();
        Ok(Self {
            session: word([&raw.session_id, &raw.sessionId, &raw.conversation_id]),
            cwd: word([&raw.cwd, &roots]).map(PathBuf::from),
            event: word([&raw.hook_event_name, &raw.hookEventName]).filter(|name| is_name(name)),
            source: word([&raw.source]),
            reason: word([&raw.reason]),
            turn: word([&raw.turn_id, &raw.prompt_id, &raw.generation_id]),
            tool: word([&raw.tool_name, &raw.toolName]),
            tool_use: word([&raw.tool_use_id, &raw.toolUseId, &raw.tool_call_id]),
            tool_input: arguments(raw.tool_input).or_else(|| arguments(raw.toolArgs)).unwrap_or_default(),
            goes_on: [&raw.stop_hook_active, &raw.stopHookActive].contains(&&Value::Bool(true))
                || raw.loop_count.as_u64().is_some_and(|count| count > 0),
            subagent: word([&raw.agent_id, &raw.agentId]).is_some(),
        })
    }

    /// Whether a session begins that is none that goes on.
    pub(crate) fn begins_anew(&self) -> bool {
        self.source.as_deref().is_none_or(|source| matches!(source, "startup" | "new"))
    }

    /// Whether a session ends only for another to go on in its place.
    pub(crate) fn goes_over(&self) -> bool {
        self.reason.as_deref().is_some_and(|reason| matches!(reason, "clear" | "resume"))
    }
}

/// Where JSON is wrong, without what stands there.
fn place(error: &serde_json::Error) -> String {
    let what = if error.is_eof() { "it ends too early" } else { "it is malformed" };
    format!("{what} (line {}, column {})", error.line(), error.column())
}

/// The first of these that is a word.
fn word<const N: usize>(values: [&Value; N]) -> Option<String> {
    let mut words = values.into_iter().filter_map(Value::as_str);
    words.find(|word| !word.is_empty() && word.len() <= MAX_WORD_BYTES).map(str::to_owned)
}

/// Whether an event's name may be repeated in the answer.
fn is_name(name: &str) -> bool {
    name.len() <= 64 && name.chars().all(|c| c.is_ascii_alphanumeric())
}

/// What a tool is given, which some agents write as JSON within JSON.
fn arguments(value: Value) -> Option<Value> {
    match value {
        Value::Null => None,
        Value::String(text) => Some(serde_json::from_str(&text).unwrap_or(Value::String(text))),
        value => Some(value),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_is_understood_however_an_agent_says_it() {
        let claude = br#"{"session_id":"s","cwd":"/w","hook_event_name":"PostToolUse","tool_name":"Edit",
            "tool_input":{"file_path":"a"},"tool_use_id":"t","tool_response":{"big":[1,2]},"permission_mode":"x"}"#;
        let copilot = br#"{"sessionId":"s","cwd":"/w","hookEventName":"PostToolUse","toolName":"Edit",
            "toolArgs":"{\"file_path\":\"a\"}","toolUseId":"t","timestamp":17}"#;
        let cursor =
            br#"{"conversation_id":"s","workspace_roots":["/w","/x"],"hook_event_name":"PostToolUse",
            "tool_name":"Edit","tool_input":"{\"file_path\":\"a\"}","tool_use_id":"t"}"#;
        let expected = Input::parse(claude).unwrap();
        assert_eq!((expected.session.as_deref(), expected.tool.as_deref()), (Some("s"), Some("Edit")));
        for other in [copilot.as_slice(), cursor] {
            assert_eq!(Input::parse(other).unwrap(), expected);
        }
        assert!(Input::parse(br#"{"stop_hook_active":true}"#).unwrap().goes_on);
        assert!(Input::parse(br#"{"loop_count":2}"#).unwrap().goes_on);
        assert!(Input::parse(br#"{"agent_id":"a"}"#).unwrap().subagent);
        assert_eq!(Input::parse(b" \n").unwrap(), Input::default());
        assert_eq!(Input::parse(br#"{"cwd":7,"session_id":["x"]}"#).unwrap(), Input::default());
        assert_eq!(Input::parse(br#"{"hook_event_name":"a\"b"}"#).unwrap().event, None);
    }

    #[test]
    fn what_is_malformed_is_named_by_its_place_alone() {
        for (input, place) in [
            ("{\"secret", "line 1"),
            ("{\"cwd\":\"a\"} secret", "line 1"),
            ("[]", "no JSON object"),
            ("secret", "no JSON object"),
        ] {
            let error = Input::parse(input.as_bytes()).unwrap_err().to_string();
            assert!(error.contains(place) && !error.contains("secret"), "{error}");
        }
        let endless = std::io::repeat(b' ');
        assert_eq!(Input::read(endless).unwrap_err().kind(), cccc_core::ErrorKind::TooLarge);
    }
}
