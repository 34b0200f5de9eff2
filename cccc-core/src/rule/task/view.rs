//! Tasks as they are shown.

use std::fmt;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::event::{Body, Event, Evidence, EvidenceKind, TaskOp};
use crate::id::{EventId, Principal, Seq, TaskId};
use crate::state::{CheckItem, GroupState, Task, TaskStatus};
use crate::time::Timestamp;

/// A task, as it is shown.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[non_exhaustive]
pub struct TaskView {
    /// Its id.
    pub task_id: TaskId,
    /// The event that made it.
    pub event_id: EventId,
    /// What is to be done.
    pub title: String,
    /// How one sees that it is done; may be empty.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub outcome: String,
    /// Who asked for it.
    pub asker: Principal,
    /// Who is to do it; absent: whoever takes it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub owner: Option<Principal>,
    /// How far it got.
    pub status: TaskStatus,
    /// Whether the asker agreed that it is done.
    pub accepted: bool,
    /// Whether it waits for other tasks.
    pub blocked: bool,
    /// For which.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub waits_for: Vec<TaskId>,
    /// What must be done before.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub depends_on: Vec<TaskId>,
    /// Its steps.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub checklist: Vec<CheckItem>,
    /// The kinds of evidence without which it is not done.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub requires: Vec<EvidenceKind>,
    /// Those of them that are missing.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub missing: Vec<EvidenceKind>,
    /// To whom its owner offers it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub offered_to: Option<Principal>,
    /// When it is due, moved by the pauses so far; absent: whenever.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub due_at: Option<Timestamp>,
    /// Whether that is over, and the task open.
    pub overdue: bool,
    /// Why it was last declined, cancelled, reopened or moved.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub reason: String,
    /// Counts its changes, from 1.
    pub version: u64,
    /// Who changed it last.
    pub changed_by: Principal,
    /// When.
    pub changed_at: Timestamp,
    /// What was noted, oldest first; only where one task is shown.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub notes: Vec<NoteView>,
    /// What was given as evidence, oldest first; only where one task is shown.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub evidence: Vec<EvidenceView>,
}

/// A note of a task.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[non_exhaustive]
pub struct NoteView {
    /// Who wrote it.
    pub by: Principal,
    /// When.
    pub at: Timestamp,
    /// What it says.
    pub text: String,
}

/// Evidence that was given for a task.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[non_exhaustive]
pub struct EvidenceView {
    /// Who gave it.
    pub by: Principal,
    /// When.
    pub at: Timestamp,
    /// The event that gave it.
    pub seq: Seq,
    /// Whether somebody outside found that it holds; absent: nobody has looked.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub holds: Option<bool>,
    /// What was found then.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub found: String,
    /// What it is.
    #[serde(flatten)]
    pub evidence: Evidence,
}

/// One line for people: `t5 Fix the parser: active, alice for lead (blocked by t3)`.
impl fmt::Display for TaskView {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let owner = self.owner.as_ref().map_or_else(|| "nobody".to_owned(), ToString::to_string);
        write!(f, "{} {}: {}, {owner} for {}", self.task_id, self.title, self.state_word(), self.asker)?;
        if self.blocked {
            let ids: Vec<String> = self.waits_for.iter().map(ToString::to_string).collect();
            write!(f, " (blocked by {})", ids.join(", "))?;
        }
        f.write_str(if self.overdue { " (overdue)" } else { "" })
    }
}

impl TaskView {
    /// How far it got, with whether that was accepted.
    #[must_use]
    pub fn state_word(&self) -> &'static str {
        match (self.status, self.accepted) {
            (TaskStatus::Done, true) => "accepted",
            (status, _) => status.as_str(),
        }
    }
}

/// Which tasks are wanted; what is absent does not matter.
#[derive(Clone, Debug, Default)]
pub struct TaskFilter {
    /// Those of this owner.
    pub owner: Option<Principal>,
    /// Those that this principal asked for.
    pub asker: Option<Principal>,
    /// Those that nobody owns.
    pub unowned: bool,
    /// Those of this status.
    pub status: Option<TaskStatus>,
    /// Also those that are settled, as far as they are remembered; implied by a status that closes.
    pub settled: bool,
}

/// The tasks that are wanted, oldest first, without notes and evidence.
#[must_use]
pub fn list(state: &GroupState, filter: &TaskFilter, now: Timestamp) -> Vec<TaskView> {
    let closed = filter.status.is_some_and(TaskStatus::is_closed);
    state
        .tasks()
        .filter(|task| filter.settled || closed || !task.is_settled())
        .filter(|task| filter.status.is_none_or(|status| task.status == status))
        .filter(|task| filter.owner.is_none() || task.owner == filter.owner)
        .filter(|task| filter.asker.as_ref().is_none_or(|asker| task.asker == *asker))
        .filter(|task| !filter.unowned || task.owner.is_none())
        .map(|task| view(state, task, now))
        .collect()
}

/// A task of any age, from the event that made it and those that target it; `None` if that is no task.
#[must_use]
pub fn show(state: &GroupState, begin: &Event, facts: &[Event], now: Timestamp) -> Option<TaskView> {
    let replayed = super::replay(begin, facts)?;
    let mut shown = view(state, state.task(replayed.id).unwrap_or(&replayed), now);
    for fact in facts {
        let Body::TaskUpdate(update) = &fact.body else { continue };
        if update.task_id != replayed.id {
            continue;
        }
        let (by, at) = (fact.by.clone(), fact.ts);
        match &update.change {
            TaskOp::Note { text } => shown.notes.push(NoteView { by, at, text: text.clone() }),
            TaskOp::Done { text } | TaskOp::Accept { text } if !text.is_empty() => {
                shown.notes.push(NoteView { by, at, text: text.clone() });
            }
            TaskOp::Evidence(evidence) => {
                let (seq, evidence) = (fact.seq, evidence.clone());
                shown.evidence.push(EvidenceView {
                    by,
                    at,
                    seq,
                    holds: None,
                    found: String::new(),
                    evidence,
                });
            }
            TaskOp::Checked { evidence, holds, found } => {
                if let Some(given) = shown.evidence.iter_mut().find(|given| given.seq == *evidence) {
                    given.holds = Some(*holds);
                    given.found.clone_from(found);
                }
            }
            _ => {}
        }
    }
    Some(shown)
}

fn view(state: &GroupState, task: &Task, now: Timestamp) -> TaskView {
    let paused_before = std::time::Duration::from_millis(task.paused_before_ms);
    let paused = state.paused_until(now).saturating_sub(paused_before);
    let due_at = task.due_at.map(|due| due.after(paused));
    TaskView {
        task_id: task.id,
        event_id: task.created,
        title: task.title.clone(),
        outcome: task.outcome.clone(),
        asker: task.asker.clone(),
        owner: task.owner.clone(),
        status: task.status,
        accepted: task.accepted,
        blocked: task.is_blocked(),
        waits_for: task.waits_for.iter().copied().collect(),
        depends_on: task.depends_on.iter().copied().collect(),
        checklist: task.checklist.clone(),
        requires: task.requires.iter().copied().collect(),
        missing: task.missing().collect(),
        offered_to: task.offered_to.clone(),
        due_at,
        overdue: !task.status.is_closed() && due_at.is_some_and(|due| now > due),
        reason: task.reason.clone(),
        version: task.version,
        changed_by: task.changed.0.clone(),
        changed_at: task.changed.1,
        notes: Vec::new(),
        evidence: Vec::new(),
    }
}
