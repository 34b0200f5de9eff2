//! Tasks, each answered from its own list of changes: the last one that says something about it counts.

use std::collections::BTreeSet;

use cccc_core::event::{Body, Event, EvidenceKind, TaskCreate, TaskOp, TaskUpdate};
use cccc_core::{ObligationKind, Principal, Seq, TaskId, TaskStatus, Timestamp};

use super::model::Model;

/// A task as it stood at some time.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Task {
    pub(super) id: TaskId,
    pub(super) made_at: Timestamp,
    pub(super) due: Option<Timestamp>,
    pub(super) asker: Principal,
    pub(super) owner: Option<Principal>,
    pub(super) status: TaskStatus,
    pub(super) accepted: bool,
    pub(super) offered_to: Option<Principal>,
    pub(super) depends_on: BTreeSet<TaskId>,
    pub(super) steps: Vec<bool>,
    pub(super) missing: Vec<EvidenceKind>,
    pub(super) version: u64,
    pub(super) changed: (Principal, Timestamp),
}

impl Task {
    /// Who owes what to whom for it.
    pub(super) fn debt(&self) -> Option<(Principal, ObligationKind, Principal)> {
        let owner = self.owner.clone().filter(|owner| *owner != self.asker)?;
        let asker = self.asker.clone();
        match self.status {
            TaskStatus::Planned | TaskStatus::Active => Some((owner, ObligationKind::Task, asker)),
            TaskStatus::Done if self.accepted || matches!(asker, Principal::Service(_)) => None,
            TaskStatus::Done => Some((asker, ObligationKind::Acceptance, owner)),
            TaskStatus::Declined | TaskStatus::Cancelled => None,
        }
    }

    /// Who does it, or would have to find somebody.
    pub(super) fn doer(&self) -> Principal {
        self.owner.clone().unwrap_or_else(|| self.asker.clone())
    }

    pub(super) fn is_over(&self) -> bool {
        self.status.is_closed() && self.debt().is_none()
    }
}

impl Model {
    pub(super) fn task_ids(&self) -> impl Iterator<Item = TaskId> {
        self.made.iter().copied()
    }

    pub(super) fn tasks(&self) -> impl Iterator<Item = Task> {
        self.task_ids().map(|id| self.task(id))
    }

    pub(super) fn task(&self, id: TaskId) -> Task {
        self.task_at(id, Seq(u64::MAX))
    }

    /// The task after the event at `upto`.
    pub(super) fn task_at(&self, id: TaskId, upto: Seq) -> Task {
        let made = self.event(id.seq()).expect("a task");
        let Body::TaskCreate(create) = &made.body else { panic!("{id} is a {}", made.body.kind()) };
        let updates: Vec<_> = self.updates(id).filter(|(event, _)| event.seq <= upto).collect();
        let ops: Vec<(&Principal, &TaskOp)> = updates.iter().map(|(event, op)| (&event.by, *op)).collect();
        let seqs: Vec<Seq> = updates.iter().map(|(event, _)| event.seq).collect();
        let reopened = ops.iter().rposition(|(_, op)| matches!(op, TaskOp::Reopen { .. }));
        let since = reopened.map_or(0, |at| at + 1);
        let ops_since = &ops[since..];
        let last = updates.last().map_or(made, |(event, _)| event);
        Task {
            id,
            made_at: made.ts,
            due: create.due_at,
            asker: ops.iter().rev().find_map(|(_, op)| asker(op)).unwrap_or_else(|| made.by.clone()),
            owner: ops
                .iter()
                .rev()
                .find_map(|(by, op)| owner(by, op))
                .unwrap_or_else(|| create.owner.clone()),
            status: status(&ops),
            accepted: ops_since.iter().any(|(_, op)| matches!(op, TaskOp::Accept { .. })),
            offered_to: ops.iter().rev().find_map(|(_, op)| offer(op)).flatten(),
            depends_on: depends_on(create, &ops),
            steps: steps(create, &ops),
            missing: missing(create, &ops, ops_since, &seqs[since..]),
            version: 1 + u64::try_from(ops.len()).unwrap(),
            changed: (last.by.clone(), last.ts),
        }
    }

    /// What a task waits for: what it depends on and is not done.
    pub(super) fn waits_for(&self, task: &Task) -> Vec<TaskId> {
        task.depends_on.iter().copied().filter(|id| !self.is_done(*id)).collect()
    }

    /// A task is done when nothing of it is left open, and only its first look at evidence counts.
    pub(super) fn expect_change(&self, update: &TaskUpdate) {
        let task = self.task(update.task_id);
        match &update.change {
            TaskOp::Done { .. } => {
                assert!(task.steps.iter().all(|done| *done), "steps are open: {task:?}");
                assert_eq!(task.missing, [], "without evidence: {task:?}");
                assert_eq!(self.waits_for(&task), [], "{task:?}");
            }
            TaskOp::Checked { evidence, .. } => {
                let same = |(_, op): &(&Event, &TaskOp)| match op {
                    TaskOp::Checked { evidence: before, .. } => before == evidence,
                    _ => false,
                };
                assert_eq!(
                    self.updates(update.task_id).filter(same).count(),
                    0,
                    "looked at twice: {update:?}"
                );
            }
            _ => {}
        }
    }

    /// Nothing is left with somebody who has gone.
    pub(super) fn expect_no_orphans(&self) {
        for task in self.tasks().filter(|task| !task.is_over()) {
            let here = |who: &Principal| self.is_here(who) || matches!(who, Principal::Service(_));
            assert!(here(&task.asker), "who asked for it has gone: {task:?}");
            assert!(task.owner.as_ref().is_none_or(here), "who owns it has gone: {task:?}");
            assert!(task.offered_to.as_ref().is_none_or(here), "whom it is offered to has gone: {task:?}");
        }
    }
}

fn asker(op: &TaskOp) -> Option<Principal> {
    match op {
        TaskOp::Ask { asker, .. } => Some(asker.clone()),
        _ => None,
    }
}

fn owner(by: &Principal, op: &TaskOp) -> Option<Option<Principal>> {
    match op {
        TaskOp::Assign { owner, .. } => Some(owner.clone()),
        TaskOp::Take {} => Some(Some(by.clone())),
        _ => None,
    }
}

/// Whether an offer stands after this.
fn offer(op: &TaskOp) -> Option<Option<Principal>> {
    match op {
        TaskOp::Offer { to } => Some(Some(to.clone())),
        TaskOp::Take {}
        | TaskOp::Keep { .. }
        | TaskOp::Assign { .. }
        | TaskOp::Done { .. }
        | TaskOp::Decline { .. }
        | TaskOp::Cancel { .. } => Some(None),
        _ => None,
    }
}

fn status(ops: &[(&Principal, &TaskOp)]) -> TaskStatus {
    for (at, (_, op)) in ops.iter().enumerate().rev() {
        return match op {
            // Whoever it is handed to has not begun; what is over stays over.
            TaskOp::Assign { .. } | TaskOp::Take {} => match status(&ops[..at]) {
                TaskStatus::Active => TaskStatus::Planned,
                status => status,
            },
            TaskOp::Start {} => TaskStatus::Active,
            TaskOp::Plan {} | TaskOp::Reopen { .. } => TaskStatus::Planned,
            TaskOp::Done { .. } => TaskStatus::Done,
            TaskOp::Decline { .. } => TaskStatus::Declined,
            TaskOp::Cancel { .. } => TaskStatus::Cancelled,
            _ => continue,
        };
    }
    TaskStatus::Planned
}

fn depends_on(create: &TaskCreate, ops: &[(&Principal, &TaskOp)]) -> BTreeSet<TaskId> {
    let named = ops.iter().filter_map(|(_, op)| match op {
        TaskOp::Depend { on } | TaskOp::Undepend { on } => Some(*on),
        _ => None,
    });
    let last_word = |id: &TaskId| {
        let about = ops.iter().rev().find_map(|(_, op)| match op {
            TaskOp::Depend { on } if on == id => Some(true),
            TaskOp::Undepend { on } if on == id => Some(false),
            _ => None,
        });
        about.unwrap_or_else(|| create.depends_on.contains(id))
    };
    create.depends_on.iter().copied().chain(named).filter(last_word).collect()
}

fn steps(create: &TaskCreate, ops: &[(&Principal, &TaskOp)]) -> Vec<bool> {
    let added = ops.iter().filter(|(_, op)| matches!(op, TaskOp::AddItem { .. })).count();
    let last_word = |step: usize| {
        let about = ops.iter().rev().find_map(|(_, op)| match op {
            TaskOp::Check { item, done } if usize::try_from(*item).unwrap() == step => Some(*done),
            _ => None,
        });
        about.unwrap_or(false)
    };
    (1..=create.checklist.len() + added).map(last_word).collect()
}

/// What is asked for, and was not given since the task was last opened.
fn missing(
    create: &TaskCreate,
    ops: &[(&Principal, &TaskOp)],
    ops_since: &[(&Principal, &TaskOp)],
    seqs: &[Seq],
) -> Vec<EvidenceKind> {
    let edited = ops.iter().rev().find_map(|(_, op)| match op {
        TaskOp::Edit { requires: Some(requires), .. } => Some(requires),
        _ => None,
    });
    let refuted = |seq: Seq| {
        ops_since.iter().any(|(_, op)| match op {
            TaskOp::Checked { evidence, holds: false, .. } => *evidence == seq,
            _ => false,
        })
    };
    let given = |kind: EvidenceKind| {
        ops_since.iter().zip(seqs).any(|((_, op), seq)| match op {
            TaskOp::Evidence(evidence) => evidence.kind() == kind && evidence.counts() && !refuted(*seq),
            _ => false,
        })
    };
    let asked = edited.unwrap_or(&create.requires);
    EvidenceKind::ALL.into_iter().filter(|kind| asked.contains(kind) && !given(*kind)).collect()
}
