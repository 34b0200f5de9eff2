//! Who is told of what becomes of a task: whoever it concerns and did not do it itself.

use crate::event::{SystemNotify, TaskCreate};
use crate::id::{Principal, TaskId};
use crate::ledger::Draft;
use crate::rule::Call;
use crate::state::{GroupState, Task, TaskStatus};

/// A notice, if there is somebody to tell. A task tells nobody the same thing twice in one version.
fn tell(
    state: &GroupState,
    notice: &str,
    target: Option<&Principal>,
    batch: &str,
    about: TaskId,
) -> Option<Draft> {
    let target = target.filter(|target| state.mailbox(target).is_some())?;
    let mut notify = SystemNotify::new(notice, target.clone(), batch, 1);
    notify.related = vec![about.seq()];
    Some(Draft::from(notify))
}

/// The owner learns that there is something to do.
pub(super) fn of_new(state: &GroupState, call: &Call, create: &TaskCreate) -> Option<Draft> {
    let owner = create.owner.as_ref().filter(|owner| **owner != call.by);
    let id = TaskId(state.position().seq.next());
    tell(state, "task_assigned", owner, &format!("{id}.1"), id)
}

pub(super) fn of_change(state: &GroupState, call: &Call, before: &Task, after: &Task) -> Vec<Draft> {
    let id = after.id;
    let batch = format!("{id}.{}", after.version);
    let other = |whom: Option<&'_ Principal>| whom.filter(|whom| **whom != call.by).cloned();
    let mut told = Vec::new();
    let mut say = |notice: &str, target: Option<Principal>| {
        told.extend(tell(state, notice, target.as_ref(), &batch, id));
    };
    if before.owner != after.owner {
        if !after.status.is_closed() {
            say("task_assigned", other(after.owner.as_ref()));
        }
        say("task_moved", other(before.owner.as_ref()));
    }
    if before.offered_to != after.offered_to {
        say("task_offered", other(after.offered_to.as_ref()));
    }
    if before.status != after.status {
        match after.status {
            TaskStatus::Done => say("task_done", other(Some(&after.asker))),
            TaskStatus::Declined => say("task_declined", other(Some(&after.asker))),
            TaskStatus::Cancelled => say("task_cancelled", other(after.owner.as_ref())),
            TaskStatus::Planned if before.status.is_closed() && before.owner == after.owner => {
                say("task_reopened", other(after.owner.as_ref()));
            }
            TaskStatus::Planned | TaskStatus::Active => {}
        }
    }
    if after.accepted && !before.accepted {
        say("task_accepted", other(after.owner.as_ref()));
    }
    if before.is_blocked() && !after.is_blocked() && !after.status.is_closed() {
        say("task_ready", other(after.owner.as_ref().or(Some(&after.asker))));
    }
    told.extend(of_dependents(state, before, after));
    told
}

/// Evidence does not hold: who does the task and who asked for it learn that.
pub(super) fn of_refutation(state: &GroupState, call: &Call, after: &Task) -> Vec<Draft> {
    let mut concerned: Vec<&Principal> = after.owner.iter().chain([&after.asker]).collect();
    concerned.dedup();
    let others = concerned.into_iter().filter(|whom| **whom != call.by);
    let batch = format!("{}.{}", after.id, after.version);
    others.filter_map(|whom| tell(state, "task_refuted", Some(whom), &batch, after.id)).collect()
}

/// Whoever has to do what waited for this task is told that it can begin, or that it cannot.
fn of_dependents(state: &GroupState, before: &Task, after: &Task) -> Vec<Draft> {
    let id = after.id;
    let notice = match after.status {
        status if status == before.status => return Vec::new(),
        TaskStatus::Done => "task_ready",
        TaskStatus::Declined | TaskStatus::Cancelled => "task_stuck",
        TaskStatus::Planned | TaskStatus::Active => return Vec::new(),
    };
    let waiting = state.tasks().filter(|task| task.is_blocked() && task.waits_for.contains(&id));
    let concerned = waiting.filter(|task| after.status != TaskStatus::Done || task.waits_for.len() == 1);
    let told = concerned.filter_map(|task| {
        let target = task.owner.as_ref().unwrap_or(&task.asker);
        tell(state, notice, Some(target), &format!("{}-{id}.{}", task.id, after.version), task.id)
    });
    told.collect()
}

/// Who takes over what somebody left, or gets it back.
pub(super) fn of_departure(state: &GroupState, call: &Call, before: &Task, after: &Task) -> Option<Draft> {
    let batch = format!("{}.{}", after.id, after.version);
    let other = |whom: &&Principal| **whom != call.by;
    if after.owner.is_some() && after.owner != before.owner {
        tell(state, "task_assigned", after.owner.as_ref().filter(other), &batch, after.id)
    } else if after.owner.is_none() && before.owner.is_some() {
        tell(state, "task_returned", Some(&after.asker).filter(other), &batch, after.id)
    } else {
        None
    }
}
