//! Tasks: making, looking, changing, and sending one with its message.

use std::path::PathBuf;
use std::time::Duration;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::awaited::awaited_by_run;
use super::{Group, IntoEventRef, SendRequest, Sent, appended};
use crate::command::{AddTask, Command, UpdateTask};
use crate::error::{Error, Result};
use crate::event::{Evidence, EvidenceKind, TaskOp};
use crate::id::{EventRef, Principal, Seq, TaskId};
use crate::rule::task::no_task;
use crate::rule::task::view::{self, TaskFilter, TaskView};
use crate::state::TaskStatus;

/// Anything that names a task: an id, `"t42"`, `"42"`, a task that was shown.
pub trait IntoTaskId {
    /// The task that is meant.
    fn into_task_id(self) -> Result<TaskId>;
}

impl IntoTaskId for TaskId {
    fn into_task_id(self) -> Result<TaskId> {
        Ok(self)
    }
}

impl IntoTaskId for &str {
    fn into_task_id(self) -> Result<TaskId> {
        self.parse()
    }
}

impl IntoTaskId for &TaskView {
    fn into_task_id(self) -> Result<TaskId> {
        Ok(self.task_id)
    }
}

impl Group {
    /// Makes a task: `group.task_add("Fix the parser").owner("alice").await?`. Awaited, it gives the task.
    ///
    /// # Errors
    /// `Invalid` or `TooLarge` for its fields; `NotFound` for an owner or a dependency that does not exist;
    /// `Refused` for a dependency that will not be done, and beyond 1,000 open tasks; `Conflict` for a reused
    /// client_id.
    pub fn task_add(&self, title: impl Into<String>) -> AddTaskRequest<'_> {
        let task = AddTask { title: title.into(), ..AddTask::default() };
        AddTaskRequest { group: self, task, invalid: None }
    }

    /// The tasks that are going on, oldest first; or others.
    pub fn tasks(&self) -> TasksRequest<'_> {
        TasksRequest { group: self, filter: TaskFilter::default(), invalid: None }
    }

    /// A task of any age, with its notes and its evidence.
    ///
    /// # Errors
    /// `NotFound` if there is none of this id.
    pub async fn task(&self, task: impl IntoTaskId) -> Result<TaskView> {
        let id = task.into_task_id()?;
        let engine = &self.shared.engine;
        let begin = engine.event_at(id.seq()).await?.ok_or_else(|| no_task(id, None))?;
        let now = engine.clock().now();
        let shown = engine.query_facts(id.seq(), |state, facts| view::show(state, &begin, facts, now));
        shown.await?.ok_or_else(|| no_task(id, Some(&begin)))
    }

    /// Changes a task, with one or more changes of which all are made or none:
    /// `group.task_update("t5").evidence(commit).done("Fixed").await?`. Awaited, it gives the task.
    ///
    /// # Errors
    /// `Refused` if this principal may not, if the task is closed, if it waits for others, or if it is to be
    /// done without the evidence that is asked for; `NotFound` if there is none of this id; `Conflict` if it
    /// is no longer at the version given with [`base_version`](UpdateTaskRequest::base_version).
    pub fn task_update(&self, task: impl IntoTaskId) -> UpdateTaskRequest<'_> {
        UpdateTaskRequest {
            group: self,
            task: task.into_task_id(),
            base_version: None,
            steps: Vec::new(),
            invalid: None,
        }
    }

    /// Makes a task and sends the message that says so to the one who shall do it: both, or neither.
    ///
    /// # Errors
    /// Those of [`send`](Self::send) and [`task_add`](Self::task_add); `Refused` if the message is not for
    /// exactly one.
    pub fn tracked_send(&self, text: impl Into<String>, title: impl Into<String>) -> TrackedSendRequest<'_> {
        let task = AddTask { title: title.into(), ..AddTask::default() };
        TrackedSendRequest { send: self.send(text), task, invalid: None }
    }
}

/// Implements what a new task and a tracked message have in common.
macro_rules! task_fields {
    ($request:ident) => {
        impl $request<'_> {
            /// How one sees that it is done.
            pub fn outcome(mut self, outcome: impl Into<String>) -> Self {
                self.task.outcome = outcome.into();
                self
            }

            /// Adds a step to its checklist.
            pub fn item(mut self, text: impl Into<String>) -> Self {
                self.task.checklist.push(text.into());
                self
            }

            /// Adds a kind of evidence without which it is not done.
            pub fn requires(mut self, kind: EvidenceKind) -> Self {
                self.task.requires.push(kind);
                self
            }

            /// Adds a task that must be done before.
            pub fn depends_on(mut self, task: impl IntoTaskId) -> Self {
                match task.into_task_id() {
                    Ok(id) => self.task.depends_on.push(id),
                    Err(error) => self.invalid = self.invalid.or(Some(error)),
                }
                self
            }

            /// Within what time it is due, not counting time the group is paused. Default: whenever.
            pub fn due_within(mut self, time: Duration) -> Self {
                self.task.due_within = Some(time);
                self
            }
        }
    };
}

/// A task being written; awaiting it makes it. Made by [`Group::task_add`].
#[derive(Debug)]
#[must_use = "nothing is made until this is awaited"]
pub struct AddTaskRequest<'a> {
    group: &'a Group,
    task: AddTask,
    /// The first malformed argument, reported when awaited.
    invalid: Option<Error>,
}

task_fields!(AddTaskRequest);

impl AddTaskRequest<'_> {
    /// Who is to do it: an address that means one. Default: whoever takes it.
    pub fn owner(mut self, address: impl Into<String>) -> Self {
        self.task.owner = Some(address.into());
        self
    }

    /// A key of one's own, which makes a retry safe, as for messages.
    pub fn client_id(mut self, key: impl Into<String>) -> Self {
        self.task.client_id = Some(key.into());
        self
    }

    async fn run(self) -> Result<TaskView> {
        if let Some(error) = self.invalid {
            return Err(error);
        }
        let done = self.group.execute(Command::AddTask(self.task)).await?;
        self.group.task(TaskId(appended(&done)?.seq)).await
    }
}

/// A message that goes with a task; awaiting it makes and sends both. Made by [`Group::tracked_send`].
#[derive(Debug)]
#[must_use = "nothing is sent until this is awaited"]
pub struct TrackedSendRequest<'a> {
    send: SendRequest<'a>,
    task: AddTask,
    invalid: Option<Error>,
}

task_fields!(TrackedSendRequest);

/// A message that went with a task.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[non_exhaustive]
pub struct Tracked {
    /// The task.
    pub task_id: TaskId,
    /// The message.
    #[serde(flatten)]
    pub sent: Sent,
}

impl<'a> TrackedSendRequest<'a> {
    /// To whom: an address that means one, who shall do it. Default: as for any message.
    pub fn to(self, address: impl Into<String>) -> Self {
        self.message(|message| message.to(address))
    }

    /// A key of one's own, which makes a retry safe: it is one task and one message.
    pub fn client_id(self, key: impl Into<String>) -> Self {
        self.message(|message| message.client_id(key))
    }

    /// Anything else about the message: `.message(|m| m.priority(Priority::Attention))`.
    pub fn message(mut self, change: impl FnOnce(SendRequest<'a>) -> SendRequest<'a>) -> Self {
        self.send = change(self.send);
        self
    }

    async fn run(self) -> Result<Tracked> {
        if let Some(error) = self.invalid {
            return Err(error);
        }
        let group = self.send.group();
        let (message, durability) = self.send.ready().await?;
        let command = Command::TrackedSend { task: self.task, message };
        let done = group.execute_with(command, durability).await?;
        let is_message = |event: &&crate::event::Event| event.message().is_some();
        let event = done.events.iter().find(is_message).or(done.duplicate.as_ref());
        let event = event.ok_or_else(|| Error::conflict("the command changed nothing"))?;
        let task_id = event.message().and_then(|message| message.task_id.as_deref()).unwrap_or_default();
        Ok(Tracked { task_id: task_id.parse()?, sent: Sent::of(event, done.duplicate.is_some()) })
    }
}

/// A question for tasks; awaiting it asks. Made by [`Group::tasks`].
#[derive(Debug)]
#[must_use = "nothing is asked until this is awaited"]
pub struct TasksRequest<'a> {
    group: &'a Group,
    filter: TaskFilter,
    invalid: Option<Error>,
}

impl TasksRequest<'_> {
    fn principal(mut self, text: &str, set: impl FnOnce(&mut TaskFilter, Principal)) -> Self {
        match text.parse() {
            Ok(principal) => set(&mut self.filter, principal),
            Err(error) => self.invalid = self.invalid.or(Some(error)),
        }
        self
    }

    /// Only those of this owner.
    pub fn owner(self, principal: impl AsRef<str>) -> Self {
        self.principal(principal.as_ref(), |filter, owner| filter.owner = Some(owner))
    }

    /// Only those that this principal asked for.
    pub fn asker(self, principal: impl AsRef<str>) -> Self {
        self.principal(principal.as_ref(), |filter, asker| filter.asker = Some(asker))
    }

    /// Only those that nobody owns.
    pub fn unowned(mut self) -> Self {
        self.filter.unowned = true;
        self
    }

    /// Only those of this status.
    pub fn status(mut self, status: TaskStatus) -> Self {
        self.filter.status = Some(status);
        self
    }

    /// Also the last 100 that were settled. Older ones are found by their id.
    pub fn settled(mut self) -> Self {
        self.filter.settled = true;
        self
    }

    async fn run(self) -> Result<Vec<TaskView>> {
        if let Some(error) = self.invalid {
            return Err(error);
        }
        let engine = &self.group.shared.engine;
        let now = engine.clock().now();
        engine.query(|state| view::list(state, &self.filter, now)).await
    }
}

/// A change that may need a look outside before it can be asked for.
#[derive(Debug)]
enum Step {
    Op(TaskOp),
    /// Evidence: a file, to be hashed.
    File(PathBuf),
    /// Evidence: an event, to be found.
    Event(EventRef),
}

/// A task about to be changed; awaiting it changes it. Made by [`Group::task_update`].
#[derive(Debug)]
#[must_use = "nothing is changed until this is awaited"]
pub struct UpdateTaskRequest<'a> {
    group: &'a Group,
    task: Result<TaskId>,
    base_version: Option<u64>,
    steps: Vec<Step>,
    invalid: Option<Error>,
}

impl UpdateTaskRequest<'_> {
    /// Any change.
    pub fn change(mut self, op: TaskOp) -> Self {
        self.steps.push(Step::Op(op));
        self
    }

    fn with<T>(mut self, value: Result<T>, change: impl FnOnce(T) -> Step) -> Self {
        match value {
            Ok(value) => self.steps.push(change(value)),
            Err(error) => self.invalid = self.invalid.or(Some(error)),
        }
        self
    }

    /// The version that was seen: if the task changed since, this is refused with what changed.
    /// Default: whatever its version.
    pub fn base_version(mut self, version: u64) -> Self {
        self.base_version = Some(version);
        self
    }

    /// A new title.
    pub fn title(self, title: impl Into<String>) -> Self {
        self.change(TaskOp::Edit { title: Some(title.into()), outcome: None, requires: None })
    }

    /// A new outcome.
    pub fn outcome(self, outcome: impl Into<String>) -> Self {
        self.change(TaskOp::Edit { title: None, outcome: Some(outcome.into()), requires: None })
    }

    /// All kinds of evidence that are asked for from now on.
    pub fn requires(self, kinds: impl IntoIterator<Item = EvidenceKind>) -> Self {
        let requires = Some(kinds.into_iter().collect());
        self.change(TaskOp::Edit { title: None, outcome: None, requires })
    }

    /// The owner begins.
    pub fn start(self) -> Self {
        self.change(TaskOp::Start {})
    }

    /// The owner lays it aside.
    pub fn plan(self) -> Self {
        self.change(TaskOp::Plan {})
    }

    /// It is this principal's to do. Whoever likes may take what nobody owns.
    pub fn assign(self, owner: impl AsRef<str>) -> Self {
        let owner = owner.as_ref().parse::<Principal>();
        self.with(owner, |owner| Step::Op(TaskOp::Assign { owner: Some(owner), reason: String::new() }))
    }

    /// It is nobody's to do any more.
    pub fn unassign(self) -> Self {
        self.change(TaskOp::Assign { owner: None, reason: String::new() })
    }

    /// Adds a step.
    pub fn item(self, text: impl Into<String>) -> Self {
        self.change(TaskOp::AddItem { text: text.into() })
    }

    /// A step, counted from 1, is done.
    pub fn check(self, item: u32) -> Self {
        self.change(TaskOp::Check { item, done: true })
    }

    /// A step, counted from 1, is not done after all.
    pub fn uncheck(self, item: u32) -> Self {
        self.change(TaskOp::Check { item, done: false })
    }

    /// Adds a note; at most 4 KiB.
    pub fn note(self, text: impl Into<String>) -> Self {
        self.change(TaskOp::Note { text: text.into() })
    }

    /// Adds evidence.
    pub fn evidence(self, evidence: Evidence) -> Self {
        self.change(TaskOp::Evidence(evidence))
    }

    /// Adds a file as evidence, with the hash that it has when this is awaited.
    pub fn evidence_file(mut self, path: impl Into<PathBuf>) -> Self {
        self.steps.push(Step::File(path.into()));
        self
    }

    /// Adds an event of this group as evidence.
    pub fn evidence_event(self, event: impl IntoEventRef) -> Self {
        self.with(event.into_event_ref(), Step::Event)
    }

    /// Says what was found of evidence that was given by the event `evidence`; for the user, the system and
    /// services. What does not hold is as good as not given, and owner and asker are told.
    pub fn checked(self, evidence: Seq, holds: bool, found: impl Into<String>) -> Self {
        self.change(TaskOp::Checked { evidence, holds, found: found.into() })
    }

    /// Offers it to somebody, who has to accept.
    pub fn handoff(self, to: impl AsRef<str>) -> Self {
        self.with(to.as_ref().parse::<Principal>(), |to| Step::Op(TaskOp::Offer { to }))
    }

    /// Accepts what was offered: it is this principal's now.
    pub fn take(self) -> Self {
        self.change(TaskOp::Take {})
    }

    /// Refuses what was offered, or takes the offer back: it stays with its owner.
    pub fn keep(self, reason: impl Into<String>) -> Self {
        self.change(TaskOp::Keep { reason: reason.into() })
    }

    /// It waits for another task.
    pub fn depends_on(self, task: impl IntoTaskId) -> Self {
        self.with(task.into_task_id(), |on| Step::Op(TaskOp::Depend { on }))
    }

    /// It no longer waits for another task.
    pub fn no_longer_depends_on(self, task: impl IntoTaskId) -> Self {
        self.with(task.into_task_id(), |on| Step::Op(TaskOp::Undepend { on }))
    }

    /// The owner says that it is done, and what came of it.
    pub fn done(self, text: impl Into<String>) -> Self {
        self.change(TaskOp::Done { text: text.into() })
    }

    /// The owner will not do it.
    pub fn decline(self, reason: impl Into<String>) -> Self {
        self.change(TaskOp::Decline { reason: reason.into() })
    }

    /// The asker agrees that it is done.
    pub fn accept(self, text: impl Into<String>) -> Self {
        self.change(TaskOp::Accept { text: text.into() })
    }

    /// It is to be done after all, or again.
    pub fn reopen(self, reason: impl Into<String>) -> Self {
        self.change(TaskOp::Reopen { reason: reason.into() })
    }

    /// It need not be done any more.
    pub fn cancel(self, reason: impl Into<String>) -> Self {
        self.change(TaskOp::Cancel { reason: reason.into() })
    }

    async fn run(self) -> Result<TaskView> {
        if let Some(error) = self.invalid {
            return Err(error);
        }
        let (group, task_id) = (self.group, self.task?);
        let mut changes = Vec::with_capacity(self.steps.len());
        for step in self.steps {
            changes.push(match step {
                Step::Op(op) => op,
                Step::File(path) => {
                    let sha256 = crate::blobs::hash_file(&path).await?;
                    let path = path.to_string_lossy().into_owned();
                    TaskOp::Evidence(Evidence::File { path, sha256 })
                }
                Step::Event(event) => {
                    let event_id = group.event(event).await?.id;
                    TaskOp::Evidence(Evidence::Event { event_id })
                }
            });
        }
        let update = UpdateTask { task_id, base_version: self.base_version, changes };
        group.execute(Command::UpdateTask(update)).await?;
        group.task(task_id).await
    }
}

awaited_by_run! {
    AddTaskRequest => TaskView;
    TrackedSendRequest => Tracked;
    TasksRequest => Vec<TaskView>;
    UpdateTaskRequest => TaskView;
}
