//! Tasks that are still going on, and the newest of those that are over.
//!
//! Of a task that was closed long ago nothing is left here; its id says where on the ledger it began, and
//! everything that became of it is found from there.

use std::collections::{BTreeMap, BTreeSet};

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{GroupState, Obligation, ObligationKind};
use crate::event::{Event, EvidenceKind, TaskCreate, TaskOp, TaskUpdate};
use crate::id::{EventId, Principal, Seq, TaskId};
use crate::time::Timestamp;

/// How many settled tasks are remembered, newest first to stay.
pub const MAX_SETTLED_TASKS: usize = 100;

/// How many pieces of evidence of one task wait to be looked at.
pub const MAX_UNCHECKED: usize = 16;

/// How far a task got.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum TaskStatus {
    /// Not begun.
    #[default]
    Planned,
    /// Its owner is at it.
    Active,
    /// Its owner says that it is done.
    Done,
    /// Its owner will not do it.
    Declined,
    /// It need not be done any more.
    Cancelled,
}

impl TaskStatus {
    /// The status as it is written in JSON.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Planned => "planned",
            Self::Active => "active",
            Self::Done => "done",
            Self::Declined => "declined",
            Self::Cancelled => "cancelled",
        }
    }

    /// Whether nobody works on it any more.
    #[must_use]
    pub fn is_closed(self) -> bool {
        matches!(self, Self::Done | Self::Declined | Self::Cancelled)
    }
}

/// A step of a task.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct CheckItem {
    /// What it is.
    pub text: String,
    /// Whether it is done.
    pub done: bool,
}

/// A task, without its notes and its evidence: those are on the ledger.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Task {
    /// Its id.
    pub id: TaskId,
    /// The event that made it.
    pub created: EventId,
    /// What is to be done.
    pub title: String,
    /// How one sees that it is done.
    pub outcome: String,
    /// Who asked for it.
    pub asker: Principal,
    /// Who is to do it.
    pub owner: Option<Principal>,
    /// How far it got.
    pub status: TaskStatus,
    /// Whether the asker agreed that it is done.
    pub accepted: bool,
    /// Counts its changes, from 1.
    pub version: u64,
    /// What must be done before.
    pub depends_on: BTreeSet<TaskId>,
    /// Those of them that are not done: it is blocked while there are any.
    pub waits_for: BTreeSet<TaskId>,
    /// Its steps.
    pub checklist: Vec<CheckItem>,
    /// The kinds of evidence without which it is not done.
    pub requires: BTreeSet<EvidenceKind>,
    /// Those that were given since it was made or reopened, with how many pieces have not been refuted.
    pub evidenced: BTreeMap<EvidenceKind, u32>,
    /// Where evidence stands that nobody outside has looked at, with its kind; the newest [`MAX_UNCHECKED`].
    pub unchecked: BTreeMap<Seq, EvidenceKind>,
    /// To whom its owner offers it.
    pub offered_to: Option<Principal>,
    /// When it is due, not counting pauses since it was made.
    pub due_at: Option<Timestamp>,
    /// For how long the group had been paused before it was made.
    pub paused_before_ms: u64,
    /// Why it was last declined, cancelled, reopened or moved; may be empty.
    pub reason: String,
    /// Who changed it last, and when.
    pub changed: (Principal, Timestamp),
}

impl Task {
    /// The task that an event makes, before any change. What it waits for is not known from that alone.
    #[must_use]
    pub fn begin(event: &Event, create: &TaskCreate, paused_before_ms: u64) -> Self {
        Self {
            id: TaskId(event.seq),
            created: event.id,
            title: create.title.clone(),
            outcome: create.outcome.clone(),
            asker: event.by.clone(),
            owner: create.owner.clone(),
            status: TaskStatus::Planned,
            accepted: false,
            version: 1,
            depends_on: create.depends_on.iter().copied().collect(),
            waits_for: BTreeSet::new(),
            checklist: create
                .checklist
                .iter()
                .map(|text| CheckItem { text: text.clone(), done: false })
                .collect(),
            requires: create.requires.iter().copied().collect(),
            evidenced: BTreeMap::new(),
            unchecked: BTreeMap::new(),
            offered_to: None,
            due_at: create.due_at,
            paused_before_ms,
            reason: String::new(),
            changed: (event.by.clone(), event.ts),
        }
    }

    /// Takes a change into account that `by` made at `at`, in the event `seq`.
    pub fn change(&mut self, seq: Seq, version: u64, op: &TaskOp, by: &Principal, at: Timestamp) {
        self.version = version;
        self.changed = (by.clone(), at);
        match op {
            TaskOp::Edit { title, outcome, requires } => {
                if let Some(title) = title {
                    self.title.clone_from(title);
                }
                if let Some(outcome) = outcome {
                    self.outcome.clone_from(outcome);
                }
                if let Some(requires) = requires {
                    self.requires = requires.iter().copied().collect();
                }
            }
            TaskOp::Start {} => self.status = TaskStatus::Active,
            TaskOp::Plan {} => self.status = TaskStatus::Planned,
            TaskOp::Assign { owner, reason } => {
                self.hand(owner.clone());
                self.reason.clone_from(reason);
            }
            TaskOp::Ask { asker, reason } => {
                self.asker = asker.clone();
                self.reason.clone_from(reason);
            }
            TaskOp::AddItem { text } => self.checklist.push(CheckItem { text: text.clone(), done: false }),
            TaskOp::Check { item, done } => {
                let index = usize::try_from(*item).unwrap_or(usize::MAX).wrapping_sub(1);
                if let Some(item) = self.checklist.get_mut(index) {
                    item.done = *done;
                }
            }
            TaskOp::Note { .. } => {}
            TaskOp::Evidence(evidence) => {
                if evidence.counts() {
                    let given = self.evidenced.entry(evidence.kind()).or_default();
                    *given = given.saturating_add(1);
                    if evidence.can_be_checked() {
                        self.unchecked.insert(seq, evidence.kind());
                        if self.unchecked.len() > MAX_UNCHECKED {
                            self.unchecked.pop_first();
                        }
                    }
                }
            }
            TaskOp::Checked { evidence, holds, .. } => {
                if let Some(kind) = self.unchecked.remove(evidence)
                    && !holds
                    && let Some(given) = self.evidenced.get_mut(&kind)
                {
                    *given = given.saturating_sub(1);
                    self.evidenced.retain(|_, given| *given > 0);
                }
            }
            TaskOp::Offer { to } => self.offered_to = Some(to.clone()),
            TaskOp::Take {} => {
                let taker = self.offered_to.take().or_else(|| Some(by.clone()));
                self.hand(taker);
            }
            TaskOp::Keep { reason } => {
                self.offered_to = None;
                self.reason.clone_from(reason);
            }
            TaskOp::Depend { on } => {
                self.depends_on.insert(*on);
            }
            TaskOp::Undepend { on } => {
                self.depends_on.remove(on);
                self.waits_for.remove(on);
            }
            TaskOp::Done { .. } => self.close(TaskStatus::Done),
            TaskOp::Decline { reason } => {
                self.close(TaskStatus::Declined);
                self.reason.clone_from(reason);
            }
            TaskOp::Accept { .. } => self.accepted = true,
            TaskOp::Reopen { reason } => {
                self.status = TaskStatus::Planned;
                self.accepted = false;
                self.evidenced.clear();
                self.unchecked.clear();
                self.reason.clone_from(reason);
            }
            TaskOp::Cancel { reason } => {
                self.close(TaskStatus::Cancelled);
                self.reason.clone_from(reason);
            }
        }
    }

    /// It is another's now, who has not begun.
    fn hand(&mut self, owner: Option<Principal>) {
        self.owner = owner;
        self.offered_to = None;
        if self.status == TaskStatus::Active {
            self.status = TaskStatus::Planned;
        }
    }

    fn close(&mut self, status: TaskStatus) {
        self.status = status;
        self.offered_to = None;
    }

    /// Whether it waits for other tasks.
    #[must_use]
    pub fn is_blocked(&self) -> bool {
        !self.status.is_closed() && !self.waits_for.is_empty()
    }

    /// The kinds of evidence that are asked for and were not given.
    pub fn missing(&self) -> impl Iterator<Item = EvidenceKind> {
        self.requires.iter().filter(|kind| !self.evidenced.contains_key(kind)).copied()
    }

    /// Whether nobody owes anything for it any more. Who does what it asked for itself accepts it by that.
    #[must_use]
    pub fn is_settled(&self) -> bool {
        match self.status {
            TaskStatus::Planned | TaskStatus::Active => false,
            TaskStatus::Done => self.debt().is_none(),
            TaskStatus::Declined | TaskStatus::Cancelled => true,
        }
    }

    /// What is owed for it, as debtor, kind and creditor.
    fn debt(&self) -> Option<(&Principal, ObligationKind, &Principal)> {
        let owner = self.owner.as_ref().filter(|owner| **owner != self.asker)?;
        let can_accept = self.asker.is_person() || matches!(self.asker, Principal::Actor(_));
        match self.status {
            TaskStatus::Planned | TaskStatus::Active => Some((owner, ObligationKind::Task, &self.asker)),
            TaskStatus::Done if !self.accepted && can_accept => {
                Some((&self.asker, ObligationKind::Acceptance, owner))
            }
            TaskStatus::Done | TaskStatus::Declined | TaskStatus::Cancelled => None,
        }
    }
}

impl GroupState {
    pub(super) fn begin_task(&mut self, event: &Event, create: &TaskCreate) {
        let paused_ms = u64::try_from(self.paused_until(event.ts).as_millis()).unwrap_or(u64::MAX);
        let mut task = Task::begin(event, create, paused_ms);
        task.waits_for = create.depends_on.iter().copied().filter(|id| self.is_waited_for(*id)).collect();
        let id = task.id;
        self.tasks.insert(id, task);
        self.settle_task(id, None, id.seq());
    }

    pub(super) fn change_task(&mut self, event: &Event, update: &TaskUpdate) {
        let id = update.task_id;
        let blocks = matches!(&update.change, TaskOp::Depend { on } if self.is_waited_for(*on));
        let Some(task) = self.tasks.get_mut(&id) else { return };
        let before = task.clone();
        task.change(event.seq, update.version, &update.change, &event.by, event.ts);
        if let (TaskOp::Depend { on }, true) = (&update.change, blocks) {
            task.waits_for.insert(*on);
        }
        let done = task.status == TaskStatus::Done;
        if done != (before.status == TaskStatus::Done) {
            for dependent in self.tasks.values_mut().filter(|task| task.depends_on.contains(&id)) {
                if done {
                    dependent.waits_for.remove(&id);
                } else {
                    dependent.waits_for.insert(id);
                }
            }
        }
        self.settle_task(id, Some(&before), event.seq);
    }

    /// Whether a task that depends on this one has to wait for it. Of those that are no longer remembered
    /// only the done ones can be depended on.
    fn is_waited_for(&self, id: TaskId) -> bool {
        self.tasks.get(&id).is_some_and(|task| task.status != TaskStatus::Done)
    }

    /// Brings what is owed for a task into line with it, as of the event at `at`, and forgets the oldest of
    /// the settled ones.
    fn settle_task(&mut self, id: TaskId, before: Option<&Task>, at: Seq) {
        let Some(task) = self.tasks.get(&id) else { return };
        let (was, is) = (before.and_then(Task::debt), task.debt());
        if was != is {
            if let Some((debtor, kind, _)) = was
                && let Some(mailbox) = self.mailboxes.get_mut(debtor)
            {
                mailbox.owed.remove(&(id.seq(), kind));
            }
            if let Some((debtor, kind, creditor)) = is
                && let Some(mailbox) = self.mailboxes.get_mut(debtor)
            {
                let obligation = Obligation {
                    source: task.created,
                    creditor: creditor.clone(),
                    due_at: task.due_at.filter(|_| kind == ObligationKind::Task),
                    paused_before_ms: task.paused_before_ms,
                    lineages: vec![vec![(debtor.clone(), at)]],
                    // The message that a task is given out with comes right behind it, and begins the thread.
                    thread: id.seq().next(),
                    told: None,
                };
                mailbox.owed.insert((id.seq(), kind), obligation);
            }
        }
        let (was, is) = (before.is_some_and(Task::is_settled), task.is_settled());
        if was && !is {
            self.settled_tasks.retain(|settled| *settled != id);
        } else if is && !was {
            self.settled_tasks.push_back(id);
            if self.settled_tasks.len() > MAX_SETTLED_TASKS
                && let Some(oldest) = self.settled_tasks.pop_front()
            {
                self.tasks.remove(&oldest);
            }
        }
    }

    /// A task, if it is still going on or was among the last to be settled.
    #[must_use]
    pub fn task(&self, id: TaskId) -> Option<&Task> {
        self.tasks.get(&id)
    }

    /// All tasks that are still going on, and the last [`MAX_SETTLED_TASKS`] that were settled, by id.
    pub fn tasks(&self) -> impl Iterator<Item = &Task> {
        self.tasks.values()
    }

    /// How many tasks are still going on.
    #[must_use]
    pub fn live_tasks(&self) -> usize {
        self.tasks.len() - self.settled_tasks.len().min(self.tasks.len())
    }

    /// Whether nobody works on a task any more, of which it is known that it was made.
    #[must_use]
    pub fn is_task_closed(&self, id: TaskId) -> bool {
        self.tasks.get(&id).is_none_or(|task| task.status.is_closed())
    }
}
