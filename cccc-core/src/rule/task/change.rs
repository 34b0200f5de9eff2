//! What each change of a task requires: who may make it, and when.
//!
//! The owner (or the user in its place) works: starts, checks off, hands over, says that it is done or
//! declines. The asker (or the user, or the foreman where a peer asked) decides: edits, assigns, accepts,
//! reopens, cancels. Anybody in the group may take what nobody owns, and add notes and evidence.

use std::collections::BTreeSet;

use crate::error::{Error, Result};
use crate::event::{Body, Evidence, EvidenceKind, TaskOp, TaskUpdate};
use crate::id::{Principal, Seq, TaskId};
use crate::rule::permission::{self, Rank};
use crate::rule::{Call, MAX_REASON_BYTES, Resolved, bounded, few, policy};
use crate::state::{GroupState, Task, TaskStatus};

use super::{
    MAX_DEPENDENCIES, MAX_ITEM_BYTES, MAX_ITEMS, MAX_NOTE_BYTES, MAX_OUTCOME_BYTES, check_item, check_live,
    check_member, check_room, check_title, dependable, sorted_kinds,
};

/// The event that a change names as evidence, or as having given it.
pub(super) fn evidenced_event(op: &TaskOp) -> Option<Seq> {
    match op {
        TaskOp::Evidence(Evidence::Event { event_id }) => Some(event_id.seq),
        TaskOp::Checked { evidence, .. } => Some(*evidence),
        _ => None,
    }
}

/// Whether a change that the caller may make has to be written; not if it is so already.
pub(super) fn is_needed(
    state: &GroupState,
    call: &Call,
    task: &Task,
    op: &TaskOp,
    resolved: &Resolved,
) -> Result<bool> {
    let caller = Caller { state, call, task };
    match op {
        TaskOp::Edit { title, outcome, requires } => {
            caller.asks("edit")?;
            caller.open()?;
            title.as_deref().map_or(Ok(()), check_title)?;
            bounded("the outcome", outcome.as_deref().unwrap_or_default(), MAX_OUTCOME_BYTES)?;
            let kinds = |kinds: &Vec<EvidenceKind>| sorted_kinds(kinds).iter().eq(&task.requires);
            Ok(!(title.as_ref().is_none_or(|title| *title == task.title)
                && outcome.as_ref().is_none_or(|outcome| *outcome == task.outcome)
                && requires.as_ref().is_none_or(kinds)))
        }
        TaskOp::Start {} => {
            caller.works("start")?;
            caller.open()?;
            caller.unblocked("started")?;
            Ok(task.status != TaskStatus::Active)
        }
        TaskOp::Plan {} => {
            caller.works("lay aside")?;
            caller.open()?;
            Ok(task.status == TaskStatus::Active)
        }
        TaskOp::Assign { owner, reason } => {
            bounded("the reason", reason, MAX_REASON_BYTES)?;
            let takes = task.owner.is_none() && owner.as_ref() == Some(&call.by);
            if !takes {
                caller.asks("assign")?;
            }
            caller.open()?;
            if let Some(owner) = owner.as_ref().filter(|owner| task.owner.as_ref() != Some(*owner)) {
                check_member(state, owner)?;
                check_room(state, owner)?;
            }
            Ok(*owner != task.owner)
        }
        TaskOp::Ask { .. } => Err(Error::invalid("who asked for a task changes only when the asker leaves")
            .hint("cancel it, and let the other make one")),
        TaskOp::AddItem { text } => {
            caller.either("add steps to")?;
            caller.open()?;
            check_item(text)?;
            bounded("a step", text, MAX_ITEM_BYTES)?;
            few("steps", task.checklist.len() + 1, MAX_ITEMS)?;
            Ok(true)
        }
        TaskOp::Check { item, done } => {
            caller.works("check off steps of")?;
            caller.open()?;
            let index = usize::try_from(*item).unwrap_or(usize::MAX).wrapping_sub(1);
            match task.checklist.get(index) {
                Some(item) => Ok(item.done != *done),
                None => Err(Error::not_found(format!("task {} has no step {item}", task.id))
                    .hint(format!("it has {}, counted from 1", task.checklist.len()))),
            }
        }
        TaskOp::Note { text } => {
            check_text("the note", text)?;
            Ok(true)
        }
        TaskOp::Evidence(evidence) => {
            check_evidence(evidence, resolved)?;
            if task.status.is_closed() && task.status != TaskStatus::Done {
                return Err(caller.closed());
            }
            Ok(true)
        }
        TaskOp::Checked { evidence, found, .. } => {
            bounded("what was found", found, MAX_NOTE_BYTES)?;
            policy::host(state, call, "say whether evidence holds")?;
            let given = resolved.events.get(evidence).map(|known| &known.event.body);
            let here = match given {
                Some(Body::TaskUpdate(TaskUpdate { task_id, change: TaskOp::Evidence(_), .. })) => {
                    *task_id == task.id
                }
                _ => false,
            };
            if !here {
                return Err(Error::not_found(format!(
                    "event {evidence} gave no evidence for task {}",
                    task.id
                ))
                .hint(format!("`cccc task show {}` shows what was given, and where", task.id)));
            }
            // It is looked at once, and what was given before the task was reopened counts no more.
            Ok(task.unchecked.contains_key(evidence))
        }
        TaskOp::Offer { to } => {
            caller.works("hand over")?;
            caller.open()?;
            check_member(state, to)?;
            if task.owner.as_ref() == Some(to) {
                return Err(Error::refused(format!("task {} is {to}'s already", task.id)));
            }
            Ok(task.offered_to.as_ref() != Some(to))
        }
        TaskOp::Take {} => {
            caller.open()?;
            if task.owner.as_ref() == Some(&call.by) {
                return Ok(false);
            }
            if task.offered_to.as_ref() != Some(&call.by) {
                return Err(Error::refused(format!("task {} was not offered to {}", task.id, call.by))
                    .hint("its owner offers it with `cccc task handoff`; its asker can assign it"));
            }
            check_room(state, &call.by)?;
            Ok(true)
        }
        TaskOp::Keep { reason } => {
            bounded("the reason", reason, MAX_REASON_BYTES)?;
            if task.offered_to.as_ref() != Some(&call.by) {
                caller.works("keep")?;
            }
            Ok(task.offered_to.is_some())
        }
        TaskOp::Depend { on } => {
            caller.either("add dependencies to")?;
            caller.open()?;
            if task.depends_on.contains(on) {
                return Ok(false);
            }
            few("dependencies", task.depends_on.len() + 1, MAX_DEPENDENCIES)?;
            dependable(state, *on, resolved)?;
            acyclic(state, task.id, *on)?;
            Ok(true)
        }
        TaskOp::Undepend { on } => {
            caller.either("drop dependencies of")?;
            caller.open()?;
            Ok(task.depends_on.contains(on))
        }
        TaskOp::Done { text } => {
            bounded("the text", text, MAX_NOTE_BYTES)?;
            caller.works("finish")?;
            if task.status == TaskStatus::Done {
                return Ok(false);
            }
            caller.open()?;
            caller.unblocked("done")?;
            caller.stepped()?;
            caller.evidenced()?;
            Ok(true)
        }
        TaskOp::Decline { reason } => {
            bounded("the reason", reason, MAX_REASON_BYTES)?;
            caller.works("decline")?;
            if task.status == TaskStatus::Declined {
                return Ok(false);
            }
            caller.open()?;
            Ok(true)
        }
        TaskOp::Accept { text } => {
            bounded("the text", text, MAX_NOTE_BYTES)?;
            caller.asks("accept")?;
            if call.by != task.asker && task.owner.as_ref() == Some(&call.by) && call.by != Principal::User {
                return Err(Error::refused(format!("{} may not accept its own work", call.by))
                    .hint(format!("{} may, and the user", task.asker)));
            }
            if task.status != TaskStatus::Done {
                return Err(Error::refused(format!(
                    "task {} is not done: it is {}",
                    task.id,
                    task.status.as_str()
                ))
                .hint("its owner says so with `cccc task done`"));
            }
            Ok(!task.accepted && !task.is_settled())
        }
        TaskOp::Reopen { reason } => {
            bounded("the reason", reason, MAX_REASON_BYTES)?;
            // The owner may take back its own word while nobody has relied on it.
            let own_word = task.owner.as_ref() == Some(&call.by) && !task.accepted;
            if !(own_word && matches!(task.status, TaskStatus::Done | TaskStatus::Declined)) {
                caller.asks("reopen")?;
            }
            if task.is_settled() {
                check_live(state)?;
            }
            Ok(task.status.is_closed())
        }
        TaskOp::Cancel { reason } => {
            bounded("the reason", reason, MAX_REASON_BYTES)?;
            caller.asks("cancel")?;
            if task.status == TaskStatus::Done {
                return Err(
                    Error::refused(format!("task {} is done", task.id)).hint("accept it, or reopen it first")
                );
            }
            Ok(task.status != TaskStatus::Cancelled)
        }
    }
}

/// Who wants to change which task.
struct Caller<'a> {
    state: &'a GroupState,
    call: &'a Call,
    task: &'a Task,
}

impl Caller<'_> {
    fn is_owner(&self) -> bool {
        let owner = self.task.owner.as_ref();
        owner == Some(&self.call.by) || permission::rank(self.state, &self.call.by) == Rank::Owner
    }

    fn is_asker(&self) -> bool {
        let asker = &self.task.asker;
        let peer = matches!(asker, Principal::Actor(_)) && permission::rank(self.state, asker) == Rank::Peer;
        match permission::rank(self.state, &self.call.by) {
            Rank::Owner => true,
            Rank::Foreman => *asker == self.call.by || peer,
            Rank::Person | Rank::Peer | Rank::Service => *asker == self.call.by,
        }
    }

    /// The owner.
    fn works(&self, what: &str) -> Result<()> {
        let id = self.task.id;
        let Some(owner) = &self.task.owner else {
            return Err(Error::refused(format!("task {id} is nobody's to {what}"))
                .hint(format!("take it first: `cccc task update {id} --owner {}`", self.call.by)));
        };
        if self.is_owner() {
            return Ok(());
        }
        Err(Error::refused(format!("{} may not {what} task {id}, which is {owner}'s", self.call.by))
            .hint(format!("ask with `cccc send --to {owner}`")))
    }

    /// The asker.
    fn asks(&self, what: &str) -> Result<()> {
        if self.is_asker() {
            return Ok(());
        }
        let (id, asker) = (self.task.id, &self.task.asker);
        Err(Error::refused(format!("{} may not {what} task {id}, which {asker} asked for", self.call.by))
            .hint(format!("ask with `cccc send --to {asker}`")))
    }

    fn either(&self, what: &str) -> Result<()> {
        if self.is_owner() { Ok(()) } else { self.asks(what) }
    }

    fn open(&self) -> Result<()> {
        if self.task.status.is_closed() { Err(self.closed()) } else { Ok(()) }
    }

    fn closed(&self) -> Error {
        let id = self.task.id;
        Error::refused(format!("task {id} is {}", self.task.status.as_str()))
            .hint(format!("it can be opened again with `cccc task reopen {id}`"))
    }

    fn unblocked(&self, what: &str) -> Result<()> {
        let Some(first) = self.task.waits_for.first() else { return Ok(()) };
        let id = self.task.id;
        let names: Vec<String> = self.task.waits_for.iter().map(|on| self.waited_for(*on)).collect();
        Err(Error::refused(format!("task {id} cannot be {what}: it waits for {}", names.join(", ")))
            .hint(format!("if it need not wait: `cccc task update {id} --no-longer-depends-on {first}`")))
    }

    fn waited_for(&self, id: TaskId) -> String {
        match self.state.task(id) {
            Some(Task { owner: Some(owner), status, .. }) => format!("{id} ({owner}, {})", status.as_str()),
            Some(Task { owner: None, status, .. }) => format!("{id} ({})", status.as_str()),
            None => id.to_string(),
        }
    }

    fn stepped(&self) -> Result<()> {
        let open = self.task.checklist.iter().enumerate().filter(|(_, item)| !item.done);
        let open: Vec<String> = open.map(|(n, item)| format!("{}. {}", n + 1, item.text)).collect();
        if open.is_empty() {
            return Ok(());
        }
        let id = self.task.id;
        Err(Error::refused(format!("task {id} is not done while steps are open: {}", open.join("; "))).hint(
            format!("check them off (`cccc task check {id} N`), or all: `cccc task done {id} --all-steps`"),
        ))
    }

    fn evidenced(&self) -> Result<()> {
        let missing: Vec<&str> = self.task.missing().map(EvidenceKind::as_str).collect();
        let Some(first) = missing.first() else { return Ok(()) };
        let id = self.task.id;
        Err(Error::refused(format!(
            "task {id} is not done without evidence: {} is asked for and was not given",
            missing.join(" and ")
        ))
        .hint(format!("give it: `cccc task done {id} --evidence {first}:...`")))
    }
}

/// Refuses a dependency by which a task would wait for itself.
fn acyclic(state: &GroupState, id: TaskId, on: TaskId) -> Result<()> {
    let (mut seen, mut next) = (BTreeSet::from([on]), vec![on]);
    while let Some(at) = next.pop() {
        if at == id {
            return Err(Error::refused(format!("task {on} waits for {id}, so {id} cannot wait for it")));
        }
        let further = state.task(at).into_iter().flat_map(|task| task.depends_on.iter().copied());
        next.extend(further.filter(|id| seen.insert(*id)));
    }
    Ok(())
}

fn check_text(what: &str, text: &str) -> Result<()> {
    bounded(what, text, MAX_NOTE_BYTES)?;
    if text.trim().is_empty() {
        return Err(Error::invalid(format!("{what} is empty")));
    }
    Ok(())
}

fn check_evidence(evidence: &Evidence, resolved: &Resolved) -> Result<()> {
    let hex = |text: &str, from, to| {
        (from..=to).contains(&text.len()) && text.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'))
    };
    match evidence {
        Evidence::Text { text } => check_text("the text", text),
        Evidence::Event { event_id } => resolved.known(&(*event_id).into()).map(drop),
        Evidence::File { path, sha256 } => {
            check_text("the path", path)?;
            if hex(sha256, 64, 64) {
                return Ok(());
            }
            Err(Error::invalid(format!("{sha256:?} is not a SHA-256 in lower-case hex")))
        }
        Evidence::Commit { commit } => {
            if hex(commit, 7, 64) {
                return Ok(());
            }
            Err(Error::invalid(format!("{commit:?} is not the hash of a commit"))
                .hint("give at least 7 of its lower-case hex digits"))
        }
        Evidence::Command { command, output, .. } => {
            check_text("the command", command)?;
            bounded("the output", output, MAX_NOTE_BYTES)
        }
    }
}
