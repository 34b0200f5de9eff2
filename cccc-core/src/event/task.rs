//! Tasks: what is to be done, by whom, and what happens to it.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::id::{EventId, Principal, Seq, TaskId};
use crate::time::Timestamp;

/// `task.create`: something is to be done. The task's id is `t` and the number of this event; who wrote it is the
/// asker.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct TaskCreate {
    /// What is to be done, in a line.
    pub title: String,
    /// How one sees that it is done; may be empty.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub outcome: String,
    /// Who is to do it; absent: whoever takes it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub owner: Option<Principal>,
    /// What must be done before, by id.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub depends_on: Vec<TaskId>,
    /// Its steps.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub checklist: Vec<String>,
    /// The kinds of evidence without which it is not done, in order.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub requires: Vec<EvidenceKind>,
    /// When it is due, not counting time the group is paused.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub due_at: Option<Timestamp>,
    /// The asker's own key: the same key with the same content is the same task.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub client_id: Option<String>,
}

/// `task.update`: one change of a task.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct TaskUpdate {
    /// The task.
    pub task_id: TaskId,
    /// The task's version after this: 1 when it is made, and one more with every change.
    pub version: u64,
    /// What changed.
    #[serde(flatten)]
    pub change: TaskOp,
}

/// What may change of a task.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case", tag = "op", content = "value")]
#[non_exhaustive]
pub enum TaskOp {
    /// Title, outcome, or evidence asked for; what is absent stays.
    Edit {
        /// The new title.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        title: Option<String>,
        /// The new outcome.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        outcome: Option<String>,
        /// All kinds of evidence that are now asked for.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        requires: Option<Vec<EvidenceKind>>,
    },
    /// The owner has begun.
    Start {},
    /// The owner has laid it aside: it is planned again.
    Plan {},
    /// It is somebody's to do now, or nobody's.
    Assign {
        /// Whose.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        owner: Option<Principal>,
        /// Why, for people.
        #[serde(default, skip_serializing_if = "String::is_empty")]
        reason: String,
    },
    /// Somebody else is who asked for it, and accepts it: the former asker has left.
    Ask {
        /// Who.
        asker: Principal,
        /// Why, for people.
        #[serde(default, skip_serializing_if = "String::is_empty")]
        reason: String,
    },
    /// One more step.
    AddItem {
        /// The step.
        text: String,
    },
    /// A step is done, or not any more.
    Check {
        /// Which, from 1.
        item: u32,
        /// Whether it is done.
        done: bool,
    },
    /// A note.
    Note {
        /// What it says.
        text: String,
    },
    /// Something by which one sees that it is done.
    Evidence(Evidence),
    /// Somebody outside has looked at a piece of evidence.
    Checked {
        /// Where it was given: the number of that event.
        evidence: Seq,
        /// Whether it is as was said. What does not hold is as good as not given.
        holds: bool,
        /// What was found, for people.
        #[serde(default, skip_serializing_if = "String::is_empty")]
        found: String,
    },
    /// The owner offers it to somebody, who has to accept.
    Offer {
        /// To whom.
        to: Principal,
    },
    /// Who it was offered to owns it now.
    Take {},
    /// It stays with its owner.
    Keep {
        /// Why, for people.
        #[serde(default, skip_serializing_if = "String::is_empty")]
        reason: String,
    },
    /// It waits for another task.
    Depend {
        /// Which.
        on: TaskId,
    },
    /// It no longer waits for another task.
    Undepend {
        /// Which.
        on: TaskId,
    },
    /// The owner says that it is done.
    Done {
        /// What came of it.
        #[serde(default, skip_serializing_if = "String::is_empty")]
        text: String,
    },
    /// The owner will not do it.
    Decline {
        /// Why, for people.
        #[serde(default, skip_serializing_if = "String::is_empty")]
        reason: String,
    },
    /// The asker agrees that it is done.
    Accept {
        /// A word about it.
        #[serde(default, skip_serializing_if = "String::is_empty")]
        text: String,
    },
    /// It is to be done after all, or again. Evidence has to be given anew.
    Reopen {
        /// Why, for people.
        #[serde(default, skip_serializing_if = "String::is_empty")]
        reason: String,
    },
    /// It need not be done any more.
    Cancel {
        /// Why, for people.
        #[serde(default, skip_serializing_if = "String::is_empty")]
        reason: String,
    },
}

impl TaskOp {
    /// Whether somebody has got on with the task by it, or shown something for it.
    pub(crate) fn is_progress(&self) -> bool {
        matches!(
            self,
            Self::Start {} | Self::Check { done: true, .. } | Self::Evidence(_) | Self::Done { .. }
        )
    }

    /// Whom it names.
    pub(crate) fn names(&self) -> impl Iterator<Item = &Principal> {
        let named = match self {
            Self::Assign { owner, .. } => owner.as_ref(),
            Self::Ask { asker, .. } => Some(asker),
            Self::Offer { to } => Some(to),
            _ => None,
        };
        named.into_iter()
    }

    /// What it is called, as written.
    #[must_use]
    pub fn as_str(&self) -> &'static str {
        match self {
            Self::Edit { .. } => "edit",
            Self::Start {} => "start",
            Self::Plan {} => "plan",
            Self::Assign { .. } => "assign",
            Self::Ask { .. } => "ask",
            Self::AddItem { .. } => "add_item",
            Self::Check { .. } => "check",
            Self::Note { .. } => "note",
            Self::Evidence(_) => "evidence",
            Self::Checked { .. } => "checked",
            Self::Offer { .. } => "offer",
            Self::Take {} => "take",
            Self::Keep { .. } => "keep",
            Self::Depend { .. } => "depend",
            Self::Undepend { .. } => "undepend",
            Self::Done { .. } => "done",
            Self::Decline { .. } => "decline",
            Self::Accept { .. } => "accept",
            Self::Reopen { .. } => "reopen",
            Self::Cancel { .. } => "cancel",
        }
    }
}

/// Something by which one sees that a task is done. It is what its giver says; a host may check it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case", tag = "kind")]
#[non_exhaustive]
pub enum Evidence {
    /// Words.
    Text {
        /// What they say.
        text: String,
    },
    /// An event of this group: a message, for example.
    Event {
        /// Which.
        event_id: EventId,
    },
    /// A file, as it was then.
    File {
        /// Where it lies.
        path: String,
        /// SHA-256 of its bytes, in lower-case hex.
        sha256: String,
    },
    /// A commit.
    Commit {
        /// Its hash, or the beginning of it.
        commit: String,
    },
    /// A command that was run, and how it ended; it counts if that was 0.
    Command {
        /// The command line.
        command: String,
        /// What it exited with.
        exit_code: i32,
        /// What is worth knowing of its output.
        #[serde(default, skip_serializing_if = "String::is_empty")]
        output: String,
    },
}

/// The kinds of [`Evidence`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum EvidenceKind {
    /// Words.
    Text,
    /// An event.
    Event,
    /// A file with its hash.
    File,
    /// A commit.
    Commit,
    /// A command that succeeded.
    Command,
}

impl EvidenceKind {
    /// All of them.
    pub const ALL: [Self; 5] = [Self::Text, Self::Event, Self::File, Self::Commit, Self::Command];

    /// The kind as it is written in JSON.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Text => "text",
            Self::Event => "event",
            Self::File => "file",
            Self::Commit => "commit",
            Self::Command => "command",
        }
    }
}

impl Evidence {
    /// Its kind.
    #[must_use]
    pub fn kind(&self) -> EvidenceKind {
        match self {
            Self::Text { .. } => EvidenceKind::Text,
            Self::Event { .. } => EvidenceKind::Event,
            Self::File { .. } => EvidenceKind::File,
            Self::Commit { .. } => EvidenceKind::Commit,
            Self::Command { .. } => EvidenceKind::Command,
        }
    }

    /// Whether somebody outside can look whether it is as is said: a commit, a file, a command.
    #[must_use]
    pub fn can_be_checked(&self) -> bool {
        matches!(self, Self::Commit { .. } | Self::File { .. } | Self::Command { .. })
    }

    /// Whether it speaks for the task being done.
    #[must_use]
    pub fn counts(&self) -> bool {
        !matches!(self, Self::Command { exit_code, .. } if *exit_code != 0)
    }
}
