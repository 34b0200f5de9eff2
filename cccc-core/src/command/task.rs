//! What a caller may ask about tasks.

use std::time::Duration;

use crate::event::{EvidenceKind, TaskOp};
use crate::id::TaskId;

/// See [`Command::AddTask`](super::Command::AddTask).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct AddTask {
    /// What is to be done, in a line.
    pub title: String,
    /// How one sees that it is done.
    pub outcome: String,
    /// An address that means one: who is to do it; by default whoever takes it.
    pub owner: Option<String>,
    /// What must be done before.
    pub depends_on: Vec<TaskId>,
    /// Its steps.
    pub checklist: Vec<String>,
    /// The kinds of evidence without which it is not done.
    pub requires: Vec<EvidenceKind>,
    /// Within what time, not counting pauses.
    pub due_within: Option<Duration>,
    /// The asker's own key.
    pub client_id: Option<String>,
}

/// See [`Command::UpdateTask`](super::Command::UpdateTask).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UpdateTask {
    /// The task.
    pub task_id: TaskId,
    /// The version that the caller has seen; if it changed since, the update is refused with what changed.
    pub base_version: Option<u64>,
    /// What is to change, in this order: all of it or nothing.
    pub changes: Vec<TaskOp>,
}
