//! Messages, and what recipients and senders say about them.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::error::{Error, Result};
use crate::id::{EventId, GroupId, Principal, Seq, TaskId};
use crate::time::Timestamp;

/// How a message's text is written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Format {
    /// As it is.
    #[default]
    Plain,
    /// Markdown.
    Markdown,
}

/// How much of the recipient's attention a message may take.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema,
)]
#[serde(rename_all = "snake_case")]
pub enum Priority {
    /// Never pushed, never wakes; read when the recipient looks.
    Low,
    /// Pushed when the recipient is free.
    #[default]
    Normal,
    /// May interrupt, and asks for an acknowledgement.
    Attention,
}

/// A file that goes with a message; its bytes lie in the group's blobs under their digest.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Attachment {
    /// SHA-256 of the bytes, in lower-case hex.
    pub sha256: String,
    /// How many bytes.
    pub bytes: u64,
    /// The file's name, without directories.
    pub name: String,
    /// Its media type.
    pub media_type: String,
}

/// A precondition that is checked when the message is handed over; if it holds, the message is withheld.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case", tag = "when")]
pub enum NotIf {
    /// A task was closed meanwhile.
    TaskClosed {
        /// The task.
        task_id: String,
    },
    /// Another message was superseded meanwhile.
    Superseded {
        /// That message.
        event_id: EventId,
    },
    /// Another message was retracted meanwhile.
    Retracted {
        /// That message.
        event_id: EventId,
    },
    /// The message's own deadline is over.
    DeadlineOver,
}

/// As people write it: `task-closed:t5`, `superseded:5-bcdfghjk`, `retracted:5-bcdfghjk`, `deadline-over`.
impl std::str::FromStr for NotIf {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        let (when, what) = text.split_once(':').unwrap_or((text, ""));
        Ok(match when {
            "task-closed" => Self::TaskClosed { task_id: what.parse::<TaskId>()?.to_string() },
            "superseded" => Self::Superseded { event_id: what.parse()? },
            "retracted" => Self::Retracted { event_id: what.parse()? },
            "deadline-over" if what.is_empty() => Self::DeadlineOver,
            _ => {
                return Err(Error::invalid(format!("{text:?} is no precondition"))
                    .hint("write task-closed:T, superseded:EVENT, retracted:EVENT or deadline-over"));
            }
        })
    }
}

/// `chat.message`: somebody says something to somebody.
///
/// `format`, `priority`, `root` and `depth` are always written, which also makes every message long
/// enough for its data to be replaced by its hash in place (redaction).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ChatMessage {
    /// What is said; 1 byte to 1 MiB.
    pub text: String,
    /// How the text is written.
    #[serde(default)]
    pub format: Format,
    /// The addresses as the sender gave them.
    pub to: Vec<String>,
    /// Whom that meant when the message was appended, in order of id. History never changes with membership.
    pub recipients: Vec<Principal>,
    /// Low, normal or attention.
    #[serde(default)]
    pub priority: Priority,
    /// Whether each recipient owes a reply.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub reply_required: bool,
    /// When an obligation from this message is overdue, not counting time the group is paused.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub due_at: Option<Timestamp>,
    /// The message this answers.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reply_to: Option<EventId>,
    /// What of that message is answered.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub quote: Option<String>,
    /// On a reply: not the answer yet, but word that it is being worked on.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub progress: bool,
    /// What the message is for; free, `task result question ack ping` are known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub intent: Option<String>,
    /// What it refers to: paths, URLs, events.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub refs: Vec<String>,
    /// Files that go with it.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub attachments: Vec<Attachment>,
    /// The sender's own key: the same key with the same content is the same message.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub client_id: Option<String>,
    /// After this it is not handed over any more.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expires_at: Option<Timestamp>,
    /// The own earlier message that this replaces.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub supersedes: Option<EventId>,
    /// Preconditions at handoff; any that holds withholds the message.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub not_if: Vec<NotIf>,
    /// The answers among which a question asks to choose. One of its recipients does, the first.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub options: Vec<String>,
    /// On a reply to such a question: the option that it chooses, as the question has it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub choice: Option<String>,
    /// The message that began this thread (itself, if it answers nothing).
    pub root: Seq,
    /// How many answers in a row, since the user last spoke or its sender got on with a task.
    pub depth: u32,
    /// The recipients to whom it is not pushed, because of how much its sender writes to them, or because
    /// of its depth. They read it when they look.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub quiet: Vec<Principal>,
    /// The task it belongs to.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub task_id: Option<String>,
    /// The other groups that it is for, as they were found when it was sent.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub relay_to: Vec<RelayTarget>,
    /// Where it was relayed from: the group.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub src_group_id: Option<String>,
    /// Where it was relayed from: what people call that group.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub src_group_title: Option<String>,
    /// Where it was relayed from: the event there.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub src_event_id: Option<String>,
}

/// Another group that a message is for.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct RelayTarget {
    /// The group.
    pub group_id: GroupId,
    /// The last event there when its actors were looked up: one that joins later, under the same name too,
    /// is not meant.
    pub seq: Seq,
}

/// `chat.read`: single messages, or everything up to a place.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ChatRead {
    /// Who has read.
    pub actor_id: Principal,
    /// The messages read one by one.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub event_ids: Vec<EventId>,
    /// Everything up to and including this seq is read.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub through_seq: Option<Seq>,
}

/// `chat.ack`: the recipient has taken note.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ChatAck {
    /// Who acknowledges.
    pub actor_id: Principal,
    /// The message.
    pub event_id: EventId,
}

words_that_grow! {
    /// Why something is no longer owed, where a rule brought that about.
    CancelCause {
        /// Another of those who were asked has answered the question.
        Answered = "answered",
        /// Nobody had answered the question when its time was over.
        Expired = "expired",
    }
}

/// `chat.cancel`: what the message asked for is no longer owed; the message stays readable.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ChatCancel {
    /// The message.
    pub event_id: EventId,
    /// Whose obligations end.
    pub recipients: Vec<Principal>,
    /// Why, for programs; absent: somebody called it off.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cause: Option<CancelCause>,
    /// Why, for people.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub reason: String,
}

/// `chat.retract`: the message is withdrawn from those who have not read it, and nothing is owed for it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ChatRetract {
    /// The message.
    pub event_id: EventId,
    /// Those who had not read it: for them it is withheld.
    pub recipients: Vec<Principal>,
    /// Where the message stands that replaces it, if it was superseded.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub superseded_by: Option<Seq>,
    /// Why, for people.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub reason: String,
}

/// `chat.move`: what somebody who leaves has not read passes to a successor, for whom it is unread.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ChatMove {
    /// Who leaves.
    pub from: Principal,
    /// Who takes it over.
    pub to: Principal,
    /// The messages, oldest first.
    pub event_ids: Vec<EventId>,
}

/// `chat.pin`: the group keeps a message in sight.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ChatPin {
    /// The message.
    pub event_id: EventId,
    /// Why, for people.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub note: String,
}

/// `chat.unpin`: it no longer does.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ChatUnpin {
    /// The message.
    pub event_id: EventId,
    /// Why, for people.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub reason: String,
}

/// `chat.redact`: the user had an event's data removed. Implies what a retraction implies.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ChatRedact {
    /// The event.
    pub event_id: EventId,
    /// BLAKE3 of the data that was removed, in hex: the ledger verifies with it.
    pub data_hash: String,
    /// Whom the message had been for, and had not read it.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub recipients: Vec<Principal>,
    /// Who had written it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub author: Option<Principal>,
    /// The message it had answered, which stays answered.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub answered: Option<EventId>,
    /// Whether that answer was only word that it is being worked on.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub progress: bool,
    /// Whether that answer had chosen an option of the question.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub chose: bool,
    /// The hash under which its client_id is found, in 16 hex digits: a retry must not send it again.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub key: Option<String>,
    /// Blobs removed with it, by SHA-256.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub blobs: Vec<String>,
    /// Why, for people.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub reason: String,
}
