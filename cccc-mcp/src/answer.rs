//! What every answer has in common: its bound, what went wrong, and at its end how the one who asks stands.

use cccc_core::{Error, ErrorKind, Group, ObligationKind, ObligationView, Principal, Seq, Timestamp};
use rmcp::model::{CallToolResult, ContentBlock};
use schemars::JsonSchema;
use serde::Serialize;
use serde_json::{Map, Value};

use crate::bounds::{MAX_ANSWER_BYTES, head, size, trim};
use crate::calls::calls;
use crate::seat::Seated;

/// How much of what is owed is named.
const MAX_OWED: usize = 3;
/// The longest sentence about what went wrong.
const MAX_ERROR_BYTES: usize = 3000;

/// How the one who asks stands.
#[derive(Debug, Serialize)]
pub(crate) struct You {
    actor: Principal,
    unread: u64,
    /// The most urgent of what it owes.
    owed: Vec<Owed>,
    /// How much it owes beyond that.
    #[serde(skip_serializing_if = "Option::is_none")]
    owed_more: Option<u64>,
    /// Why this session does not receive, if it does not.
    #[serde(skip_serializing_if = "Option::is_none")]
    session: Option<String>,
    /// That the ledger is another than at the last answer, if it is.
    #[serde(skip_serializing_if = "Option::is_none")]
    ledger: Option<&'static str>,
}

/// What is said of a ledger that was cut or replaced since the last answer.
const REPLACED: &str = "the group's ledger was replaced since your last call (a repair or a restored copy): what you \
    know of events, tasks and messages may be wrong; look again";

/// Something owed, and the call that settles it.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct Owed {
    seq: Seq,
    kind: ObligationKind,
    from: Principal,
    #[serde(skip_serializing_if = "Option::is_none")]
    due_at: Option<Timestamp>,
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    overdue: bool,
    call: String,
}

impl From<&ObligationView> for Owed {
    fn from(owed: &ObligationView) -> Self {
        Self {
            seq: owed.source.seq,
            kind: owed.kind,
            from: owed.creditor.clone(),
            due_at: owed.due_at,
            overdue: owed.overdue,
            call: settling(owed),
        }
    }
}

/// The call that settles what is owed.
fn settling(owed: &ObligationView) -> String {
    let seq = owed.source.seq;
    match owed.kind {
        ObligationKind::Ack => format!("cccc_message_ack {{\"seq\":{seq}}}"),
        ObligationKind::Reply if owed.choice => {
            format!("cccc_message_reply {{\"seq\":{seq},\"choice\":\"...\"}}")
        }
        ObligationKind::Reply => format!("cccc_message_reply {{\"seq\":{seq},\"text\":\"...\"}}"),
        ObligationKind::Task => format!("cccc_task {{\"action\":\"done\",\"task\":\"t{seq}\"}}"),
        ObligationKind::Acceptance => format!("cccc_task {{\"action\":\"accept\",\"task\":\"t{seq}\"}}"),
        ObligationKind::Vote => {
            format!(
                "cccc_coordination {{\"action\":\"vote\",\"vote\":\"v{seq}\",\"choice\":\"yes|no|abstain\"}}"
            )
        }
        ObligationKind::Approval => {
            let arguments = format!("\"approval\":\"a{seq}\",\"choice\":\"yes|no\"");
            format!("cccc_coordination {{\"action\":\"approval_decide\",{arguments}}}")
        }
        _ => format!("cccc_inbox_list {{\"seq\":{seq}}}"),
    }
}

/// What is owed by whoever a group is bound to, the most urgent first.
pub(crate) async fn owed(group: &Group, limit: usize) -> cccc_core::Result<Vec<Owed>> {
    Ok(group.standing(limit).await?.owed.iter().map(Owed::from).collect())
}

impl You {
    /// How a session's actor stands; `None` if that cannot be told, which is no reason to answer nothing.
    pub(crate) async fn of(seated: &Seated, is_replaced: bool) -> Option<Self> {
        let standing = seated.group().standing(MAX_OWED).await.ok()?;
        let named = u64::try_from(standing.owed.len()).unwrap_or(u64::MAX);
        Some(Self {
            actor: standing.principal,
            unread: standing.unread,
            owed: standing.owed.iter().map(Owed::from).collect(),
            owed_more: Some(standing.owed_count.saturating_sub(named)).filter(|more| *more > 0),
            session: seated.session().check().await.err().map(|error| said(&error).0),
            ledger: is_replaced.then_some(REPLACED),
        })
    }
}

/// An answer, with how the one who asks stands at its end.
pub(crate) fn done(mut answer: Value, you: Option<&You>) -> CallToolResult {
    let you = you.and_then(|you| serde_json::to_value(you).ok());
    let room = MAX_ANSWER_BYTES - you.as_ref().map_or(0, |you| size(you) + 8) - 20;
    let cut = trim(&mut answer, room);
    let Value::Object(mut map) = answer else {
        return finished(Map::from_iter([("answer".to_owned(), answer)]), you, false);
    };
    if cut {
        map.insert("truncated".into(), true.into());
    }
    finished(map, you, false)
}

/// What went wrong: `error`, `kind`, `message`, `hint`. A refusal is an answer that the model can read, never an
/// error of the protocol. Codex and OpenCode do not pass `isError` on to their model, so the answer says it itself.
pub(crate) fn failed(error: &Error, you: Option<&You>) -> CallToolResult {
    let (message, hint) = said(error);
    let mut map = Map::new();
    map.insert("error".into(), true.into());
    map.insert("kind".into(), error.kind().as_str().into());
    map.insert("message".into(), message.into());
    map.extend(hint.map(|hint| ("hint".to_owned(), hint.into())));
    if let Some(Value::Number(after)) = error.to_json().get("retry_after_ms") {
        map.insert("retry_after_ms".into(), after.clone().into());
    }
    finished(map, you.and_then(|you| serde_json::to_value(you).ok()), true)
}

/// Puts `you` last, whatever order maps are in: it is what the next step follows from.
fn finished(map: Map<String, Value>, you: Option<Value>, is_error: bool) -> CallToolResult {
    let mut value = Value::Object(map);
    if let (Value::Object(map), Some(you)) = (&mut value, you) {
        map.insert("you".into(), you);
    }
    let text = vec![ContentBlock::text(value.to_string())];
    let mut result = if is_error { CallToolResult::error(text) } else { CallToolResult::success(text) };
    result.structured_content = Some(value);
    result
}

/// The sentence of an error and its hint, with calls in the place of commands.
fn said(error: &Error) -> (String, Option<String>) {
    let json = error.to_json();
    let text = |key: &str| json.get(key).and_then(Value::as_str).map(calls);
    let short = |text: String| head(&text, MAX_ERROR_BYTES).0.to_owned();
    (text("message").map(short).unwrap_or_default(), text("hint").map(short))
}

/// The answer to arguments that no tool could make sense of.
pub(crate) fn malformed(tool: &str, error: &serde_json::Error) -> Error {
    Error::new(ErrorKind::Invalid, format!("{tool}: {error}"))
        .hint("the tool's schema says what it takes; cccc_help explains it")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_error_is_an_answer_within_bounds() {
        let error = Error::refused("x".repeat(100_000)).hint("`cccc task show t5` shows it");
        let answer = failed(&error, None);
        assert_eq!(answer.is_error, Some(true));
        let text = answer.content.first().and_then(|block| block.as_text()).unwrap();
        assert!(text.text.starts_with(r#"{"error":true,"#), "it is said first, in words");
        let value = answer.structured_content.unwrap();
        assert_eq!(serde_json::from_str::<Value>(&text.text).unwrap(), value, "whichever form is shown");
        assert_eq!(value["kind"], "refused");
        assert_eq!(value["hint"], "`cccc_task {\"action\":\"show\",\"task\":\"t5\"}` shows it");
        assert!(size(&value) <= MAX_ANSWER_BYTES);
    }
}
