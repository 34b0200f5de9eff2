//! Tasks: making them, changing them, and whom that concerns.
//!
//! A task has an asker, who wrote it down and accepts it, and at most one owner, who does it. While it is
//! open the owner owes the asker the task; once the owner says that it is done, the asker owes the owner
//! its acceptance (or reopens it). Who does what it asked for itself owes nobody.
//!
//! A task is blocked while one that it depends on is not done; that is derived, never stored by anybody.
//! What is done too early, with steps that are not checked off, or without the evidence that the asker wants, is
//! refused. Everything that concerns
//! somebody else than who caused it is accompanied by a notice in the same append. What each change
//! requires is decided in `task/change.rs`, what is shown in `task/view.rs`.

mod change;
mod notice;
pub mod view;

use std::collections::BTreeSet;
use std::time::Duration;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::command::{AddTask, SendMessage, UpdateTask};
use crate::error::{Error, Result};
use crate::event::{Body, Event, EvidenceKind, TaskCreate, TaskOp, TaskUpdate};
use crate::id::{Principal, Seq, TaskId};
use crate::ledger::Draft;
use crate::rule::address::{self, Address};
use crate::rule::message::{self, KEY_RETENTION, MAX_AHEAD, MAX_CLIENT_ID_BYTES, MAX_OWED};
use crate::rule::{Call, Decision, Needs, Resolved, bounded, few, permission};
use crate::state::{Departure, GroupState, Task, TaskStatus};

/// Most tasks that are going on at a time; those that are done and not accepted are among them.
pub const MAX_TASKS: usize = 1_000;
/// Longest title, in bytes.
pub const MAX_TITLE_BYTES: usize = 256;
/// Longest outcome, in bytes.
pub const MAX_OUTCOME_BYTES: usize = 2 << 10;
/// Most steps.
pub const MAX_ITEMS: usize = 32;
/// Longest step, in bytes.
pub const MAX_ITEM_BYTES: usize = 200;
/// Most tasks that one may depend on.
pub const MAX_DEPENDENCIES: usize = 32;
/// Longest note, or text of evidence, in bytes.
pub const MAX_NOTE_BYTES: usize = 4 << 10;
/// Most changes in one command.
pub const MAX_CHANGES: usize = 64;
/// Most checks in one answer.
const MAX_CHECKS: usize = 256;
/// Most changes of one task in its life.
pub const MAX_VERSION: u64 = 10_000;

/// Tasks that are no longer remembered are read from where they began.
fn read_tasks(state: &GroupState, ids: impl IntoIterator<Item = TaskId>, needs: &mut Needs) {
    let forgotten = ids.into_iter().filter(|id| state.task(*id).is_none()).map(TaskId::seq);
    let forgotten: BTreeSet<Seq> = forgotten.collect();
    needs.events.extend(&forgotten);
    needs.facts_of.extend(forgotten);
}

pub(super) fn needs_of_new(state: &GroupState, call: &Call, add: &AddTask) -> Needs {
    let mut needs = Needs::default();
    read_tasks(state, add.depends_on.iter().copied().take(MAX_DEPENDENCIES), &mut needs);
    needs.key = add.client_id.as_deref().map(|key| crate::event::key_hash(&call.by, key));
    needs
}

pub(super) fn needs_of_update(state: &GroupState, update: &UpdateTask) -> Needs {
    let mut needs = Needs::default();
    let depends = |op: &TaskOp| if let TaskOp::Depend { on } = op { Some(*on) } else { None };
    let changes = || update.changes.iter().take(MAX_CHANGES);
    read_tasks(state, changes().filter_map(depends).chain([update.task_id]), &mut needs);
    needs.events.extend(changes().filter_map(change::evidenced_event));
    if update.base_version.is_some() && state.task(update.task_id).is_some() {
        needs.facts_of.push(update.task_id.seq());
    }
    needs
}

pub(super) fn add(state: &GroupState, call: &Call, add: &AddTask, resolved: &Resolved) -> Result<Decision> {
    check_new(add)?;
    let owner: Option<Address> = add.owner.as_deref().map(str::parse).transpose()?;
    if let Some(key) = &add.client_id
        && let Some((event, create)) = earlier(state, call, key, resolved)
    {
        return match same(event, create, add) && may_mean(owner.as_ref(), create.owner.as_ref()) {
            true => Ok(Decision::done_by(event.id)),
            false => Err(reused(key, event)),
        };
    }
    let owner = owner.map(|address| address::one(state, &call.by, &address)).transpose()?;
    let create = create(state, call, add, owner, resolved)?;
    let told = notice::of_new(state, call, &create);
    Ok(Decision::write(std::iter::once(Draft::from(create)).chain(told)))
}

/// Makes a task and sends its message: the task stands right before the message.
pub(super) fn tracked_send(
    state: &GroupState,
    call: &Call,
    add: &AddTask,
    send: &SendMessage,
    resolved: &Resolved,
) -> Result<Decision> {
    if add.owner.is_some() || add.client_id.is_some() {
        return Err(Error::invalid("the task's owner and key are those of its message")
            .hint("say `to` and `client_id` of the message only"));
    }
    if !send.options.is_empty() || send.choice.is_some() {
        return Err(Error::invalid("a message with a task neither asks with options nor answers so")
            .hint("send the question, or the answer, as a message of its own"));
    }
    let add = AddTask { client_id: send.client_id.clone(), ..add.clone() };
    let mut send = send.clone();
    send.intent.get_or_insert_with(|| "task".into());
    check_new(&add)?;
    let id = TaskId(state.position().seq.next());
    let mut decision = message::compose(state, call, &send, resolved, Some(id))?;
    if decision.duplicate.is_some() {
        let key = add.client_id.as_deref().unwrap_or_default();
        let found = earlier(state, call, key, resolved);
        return match found {
            Some((event, create)) if !same(event, create, &add) => Err(reused(key, event)),
            _ => Ok(decision),
        };
    }
    let recipients = decision.drafts.iter().find_map(|draft| match &draft.body {
        Body::ChatMessage(message) => Some(message.recipients.clone()),
        _ => None,
    });
    let owner = address::only(recipients.unwrap_or_default())?;
    let create = create(state, call, &add, Some(owner), resolved)?;
    decision.drafts.insert(0, Draft::from(create));
    Ok(decision)
}

/// What depends on the command alone.
fn check_new(add: &AddTask) -> Result<()> {
    check_title(&add.title)?;
    bounded("the outcome", &add.outcome, MAX_OUTCOME_BYTES)?;
    few("steps", add.checklist.len(), MAX_ITEMS)?;
    add.checklist.iter().try_for_each(|item| check_item(item))?;
    few("dependencies", add.depends_on.len(), MAX_DEPENDENCIES)?;
    if add.due_within.is_some_and(|within| within.is_zero() || within > MAX_AHEAD) {
        return Err(Error::invalid("due_within must be more than nothing and at most ten years"));
    }
    if let Some(key) = &add.client_id {
        bounded("the client_id", key, MAX_CLIENT_ID_BYTES)?;
        if key.is_empty() {
            return Err(Error::invalid("the client_id is empty").hint("leave it out, or give it a value"));
        }
    }
    Ok(())
}

fn check_title(title: &str) -> Result<()> {
    bounded("the title", title, MAX_TITLE_BYTES)?;
    if title.trim().is_empty() || title.chars().any(char::is_control) {
        return Err(Error::invalid("a task's title must be one line that says something")
            .hint("put the details into the outcome, the checklist or a note"));
    }
    Ok(())
}

fn check_item(item: &str) -> Result<()> {
    bounded("a step", item, MAX_ITEM_BYTES)?;
    if item.trim().is_empty() || item.chars().any(char::is_control) {
        return Err(Error::invalid("a step must be one line that says something"));
    }
    Ok(())
}

fn sorted_kinds(kinds: &[EvidenceKind]) -> Vec<EvidenceKind> {
    kinds.iter().copied().collect::<BTreeSet<_>>().into_iter().collect()
}

/// The event that makes the task.
fn create(
    state: &GroupState,
    call: &Call,
    add: &AddTask,
    owner: Option<Principal>,
    resolved: &Resolved,
) -> Result<TaskCreate> {
    check_live(state)?;
    let depends_on: BTreeSet<TaskId> = add.depends_on.iter().copied().collect();
    depends_on.iter().try_for_each(|id| dependable(state, *id, resolved))?;
    if let Some(owner) = &owner {
        check_room(state, owner)?;
    }
    Ok(TaskCreate {
        title: add.title.clone(),
        outcome: add.outcome.clone(),
        owner,
        depends_on: depends_on.into_iter().collect(),
        checklist: add.checklist.clone(),
        requires: sorted_kinds(&add.requires),
        due_at: add.due_within.map(|within: Duration| call.now.after(within)),
        client_id: add.client_id.clone(),
    })
}

fn check_live(state: &GroupState) -> Result<()> {
    if state.live_tasks() >= MAX_TASKS {
        return Err(Error::refused(format!("{MAX_TASKS} tasks are going on, which is the most"))
            .hint("accept what is done and cancel what is not needed; `cccc task list` shows them"));
    }
    Ok(())
}

fn check_room(state: &GroupState, owner: &Principal) -> Result<()> {
    let owed = state.mailbox(owner).map_or(0, |mailbox| mailbox.owed.len());
    if owed >= MAX_OWED {
        return Err(Error::refused(format!(
            "{owner} owes {owed} things already, and {MAX_OWED} is the most"
        ))
        .hint("let somebody else do it, or cancel what is no longer needed"));
    }
    Ok(())
}

/// Refuses an id that no task of the group has.
pub(super) fn exists(id: TaskId, resolved: &Resolved) -> Result<()> {
    match resolved.events.get(&id.seq()).map(|known| &known.event) {
        Some(Event { body: Body::TaskCreate(_), .. }) => Ok(()),
        begin => Err(no_task(id, begin)),
    }
}

/// The error for an id that no task has; `begin` is what stands where it would begin.
pub(crate) fn no_task(id: TaskId, begin: Option<&Event>) -> Error {
    begin.and_then(Event::lost).unwrap_or_else(|| {
        Error::not_found(format!("there is no task {id} in this group")).hint("`cccc task list` shows them")
    })
}

/// A task as it stands, also one that is no longer remembered.
fn known(state: &GroupState, id: TaskId, resolved: &Resolved) -> Result<Task> {
    if let Some(task) = state.task(id) {
        return Ok(task.clone());
    }
    let begin = resolved.events.get(&id.seq()).map(|known| &known.event);
    begin.and_then(|begin| replay(begin, resolved.facts_of(id.seq()))).ok_or_else(|| no_task(id, begin))
}

/// The task that an event made, with all that later events say of it.
fn replay(begin: &Event, facts: &[Event]) -> Option<Task> {
    let Body::TaskCreate(create) = &begin.body else { return None };
    let mut task = Task::begin(begin, create, 0);
    for fact in facts {
        if let Body::TaskUpdate(update) = &fact.body
            && update.task_id == task.id
        {
            task.change(fact.seq, update.version, &update.change, &fact.by, fact.ts);
        }
    }
    Some(task)
}

/// Refuses what nothing can wait for: what is not there, and what will not be done.
fn dependable(state: &GroupState, id: TaskId, resolved: &Resolved) -> Result<()> {
    let task = known(state, id, resolved)?;
    match task.status {
        TaskStatus::Planned | TaskStatus::Active | TaskStatus::Done => Ok(()),
        TaskStatus::Declined | TaskStatus::Cancelled => {
            Err(Error::refused(format!("task {id} was {}, so nothing can wait for it", task.status.as_str()))
                .hint(format!("reopen it (`cccc task reopen {id}`), or leave it out")))
        }
    }
}

/// The task that the caller's key was used for, if that is remembered, for as long as a message's.
fn earlier<'a>(
    state: &GroupState,
    call: &Call,
    key: &str,
    resolved: &'a Resolved,
) -> Option<(&'a Event, &'a TaskCreate)> {
    resolved.keyed.iter().find_map(|event| match &event.body {
        Body::TaskCreate(create)
            if create.client_id.as_deref() == Some(key)
                && event.by == call.by
                && state.present_since(&call.by, event.seq)
                && (call.now.since(event.ts) <= KEY_RETENTION || state.remembers_key_at(event.seq)) =>
        {
            Some((event, create))
        }
        _ => None,
    })
}

/// Whether a task is what is to be made now.
fn same(event: &Event, create: &TaskCreate, add: &AddTask) -> bool {
    let depends_on: BTreeSet<TaskId> = add.depends_on.iter().copied().collect();
    create.title == add.title
        && create.outcome == add.outcome
        && depends_on.iter().eq(&create.depends_on)
        && create.checklist == add.checklist
        && create.requires == sorted_kinds(&add.requires)
        && create.due_at == add.due_within.map(|within| event.ts.after(within))
}

/// Whether an address may have meant this owner; a selector may have meant anybody.
fn may_mean(address: Option<&Address>, owner: Option<&Principal>) -> bool {
    match address {
        None => owner.is_none(),
        Some(Address::User) => owner == Some(&Principal::User),
        Some(Address::Person(name)) => owner == Some(&Principal::Person(name.clone())),
        Some(Address::Actor(id)) => owner.and_then(Principal::actor) == Some(id),
        Some(_) => owner.is_some(),
    }
}

fn reused(key: &str, event: &Event) -> Error {
    let id = TaskId(event.seq);
    Error::conflict(format!("client_id {key:?} was used for something else, task {id}"))
        .hint(format!("use another client_id; `cccc task show {id}` shows that task"))
}

pub(super) fn update(
    state: &GroupState,
    call: &Call,
    update: &UpdateTask,
    resolved: &Resolved,
) -> Result<Decision> {
    let id = update.task_id;
    if update.changes.is_empty() {
        return Err(Error::invalid("nothing is to be changed").hint("say what"));
    }
    few("changes", update.changes.len(), MAX_CHANGES)?;
    let Some(before) = state.task(id) else {
        let task = known(state, id, resolved)?;
        return Err(Error::refused(format!("task {id} was {} long ago", task.status.as_str()))
            .hint("make a new one; its events stay on the ledger"));
    };
    check_base(before, update, resolved)?;
    let mut writing = Writing { state, call, task: before.clone(), drafts: Vec::new() };
    for op in &update.changes {
        if change::is_needed(state, call, &writing.task, op, resolved)? {
            writing.write(op.clone());
        }
        if matches!(op, TaskOp::Reopen { .. }) {
            writing.find_asker();
        }
        if let (TaskOp::Reopen { .. }, Some(owner)) = (op, writing.task.owner.clone())
            && state.mailbox(&owner).is_none()
        {
            writing.write(TaskOp::Assign { owner: None, reason: format!("{owner} is no longer here") });
        }
    }
    if writing.task.version > MAX_VERSION {
        return Err(Error::refused(format!("task {id} was changed {MAX_VERSION} times, which is the most"))
            .hint("cancel it and make new ones"));
    }
    let mut told = notice::of_change(state, call, before, &writing.task);
    if writing.drafts.iter().any(|draft| is_refutation(&draft.body)) {
        told.extend(notice::of_refutation(state, call, &writing.task));
    }
    Ok(Decision::write(writing.drafts.into_iter().chain(told)))
}

fn is_refutation(body: &Body) -> bool {
    matches!(body, Body::TaskUpdate(TaskUpdate { change: TaskOp::Checked { holds: false, .. }, .. }))
}

/// A piece of evidence that somebody outside may look at: whether the commit is there, the file has that
/// hash, the command succeeds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[non_exhaustive]
pub struct Check {
    /// The task.
    pub task_id: TaskId,
    /// The event that gave it, in which it is found.
    pub evidence: Seq,
    /// Its kind.
    pub kind: EvidenceKind,
}

/// The evidence of tasks that are not settled which nobody outside has looked at, by task; at most 256.
/// Nothing waits for it: whoever can look records what it finds by [`TaskOp::Checked`].
#[must_use]
pub fn checks(state: &GroupState) -> Vec<Check> {
    let open = state.tasks().filter(|task| !task.is_settled());
    let of = |task: &Task| {
        let task_id = task.id;
        let check = move |(evidence, kind): (&Seq, &EvidenceKind)| Check {
            task_id,
            evidence: *evidence,
            kind: *kind,
        };
        task.unchecked.iter().map(check).collect::<Vec<_>>()
    };
    open.flat_map(of).take(MAX_CHECKS).collect()
}

/// A task being changed, and the events that do it.
struct Writing<'a> {
    state: &'a GroupState,
    call: &'a Call,
    task: Task,
    drafts: Vec<Draft>,
}

impl Writing<'_> {
    fn write(&mut self, op: TaskOp) {
        let version = self.task.version + 1;
        // Where the event will stand does not matter for what is decided here.
        self.task.change(Seq(0), version, &op, &self.call.by, self.call.now);
        if let TaskOp::Depend { on } = &op
            && self.state.task(*on).is_some_and(|task| task.status != TaskStatus::Done)
        {
            self.task.waits_for.insert(*on);
        }
        self.drafts.push(Draft::from(TaskUpdate { task_id: self.task.id, version, change: op }));
    }
}

impl Writing<'_> {
    /// Of a task that is opened again, who had asked for it may have left meanwhile.
    fn find_asker(&mut self) {
        let gone = &self.task.asker;
        let of_the_group = matches!(gone, Principal::Actor(_) | Principal::Person(_));
        if of_the_group && self.state.mailbox(gone).is_none() {
            let reason = format!("{gone} is no longer here");
            let asker = self.state.foreman().cloned().map_or(Principal::User, Principal::Actor);
            self.write(TaskOp::Ask { asker, reason });
        }
    }
}

/// Refuses a change that was made in ignorance of others, and says which.
fn check_base(task: &Task, update: &UpdateTask, resolved: &Resolved) -> Result<()> {
    let Some(base) = update.base_version.filter(|base| *base != task.version) else { return Ok(()) };
    let (id, version) = (task.id, task.version);
    if base > version {
        return Err(Error::invalid(format!("task {id} is at version {version}, not at {base}")));
    }
    let since = resolved.facts_of(id.seq()).iter().filter_map(|fact| match &fact.body {
        Body::TaskUpdate(update) if update.task_id == id && update.version > base => {
            Some(format!("{} by {}", update.change.as_str(), fact.by))
        }
        _ => None,
    });
    let since: Vec<String> = since.collect();
    Err(Error::conflict(format!(
        "task {id} is at version {version} and no longer at {base}: {}",
        since.join(", ")
    ))
    .hint(format!("look at it (`cccc task show {id}`), then decide again")))
}

/// What becomes of somebody's tasks when they leave: those they own go to the successor, or back; those they
/// asked for are the successor's to accept, or the foreman's, or the user's. To be written before the
/// removal itself.
pub(super) fn departure(state: &GroupState, call: &Call, departure: &Departure) -> Vec<Draft> {
    let Departure { who: gone, successor, reason } = departure;
    let foreman = state.foreman().cloned().map(Principal::Actor).filter(|foreman| foreman != gone);
    let asker = successor.clone().or(foreman).unwrap_or(Principal::User);
    let reason = match reason.as_str() {
        "" => format!("{gone} was removed"),
        reason => format!("{gone} was removed: {reason}"),
    };
    let mut drafts = Vec::new();
    for before in state.tasks().filter(|task| !task.is_settled()) {
        let mut writing = Writing { state, call, task: before.clone(), drafts: Vec::new() };
        if before.asker == *gone {
            writing.write(TaskOp::Ask { asker: asker.clone(), reason: reason.clone() });
        }
        if before.owner.as_ref() == Some(gone) {
            writing.write(TaskOp::Assign { owner: successor.clone(), reason: reason.clone() });
        } else if before.offered_to.as_ref() == Some(gone) {
            writing.write(TaskOp::Keep { reason: reason.clone() });
        }
        if !writing.drafts.is_empty() {
            drafts.append(&mut writing.drafts);
            drafts.extend(notice::of_departure(state, call, before, &writing.task));
        }
    }
    drafts
}

/// Refuses a principal that tasks cannot be given to.
fn check_member(state: &GroupState, principal: &Principal) -> Result<()> {
    match principal {
        Principal::User => Ok(()),
        Principal::Person(_) | Principal::Actor(_) => permission::present(state, principal),
        Principal::System | Principal::Service(_) | Principal::Remote(_) => {
            Err(Error::invalid(format!("{principal} does no tasks")).hint("name an actor or a person"))
        }
    }
}

#[cfg(test)]
mod tests;
