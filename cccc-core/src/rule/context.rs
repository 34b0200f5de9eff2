//! The shared context: what the group knows, kept under keys, and what each agent is doing.
//!
//! | key | what | who changes it |
//! |---|---|---|
//! | `brief`, `vision`, `sketch`, `milestones`, any other | one text | everyone |
//! | `decisions/<n>`, `notes/<n>` | texts that are added, never overwritten by adding | its author, the foreman, the user |
//! | `services/<name>` | kind, address, owner | its owner or author, the foreman, the user |
//!
//! The version of an entry is the number of the event that set it. Whoever changes one says which version
//! it has read, or had set it itself; else the change is refused with what has changed meanwhile. Setting
//! what is set already writes nothing.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::error::{Error, Result};
use crate::event::{AgentState, Body, ContextSet, ContextValue, Service, WaitingFor};
use crate::id::{ActorId, ContextKey, Principal, Seq};
use crate::ledger::Draft;
use crate::rule::permission::{self, Rank, lead};
use crate::rule::{Call, Decision, Resolved, bounded};
use crate::state::{AgentWord, Entry, EntryValue, GroupState, TaskStatus};
use crate::time::Timestamp;

/// Most entries.
pub const MAX_ENTRIES: usize = 512;
/// Longest entry, in bytes.
pub const MAX_ENTRY_BYTES: usize = 16 << 10;
/// All entries together, in bytes.
pub const MAX_CONTEXT_BYTES: usize = 256 << 10;
/// Longest word of an agent on what it is doing, each, in bytes.
pub const MAX_AGENT_BYTES: usize = 512;
/// How much of a change a refusal quotes, in bytes.
const MAX_CHANGE_BYTES: usize = 400;

/// The section of decisions.
pub const DECISIONS: &str = "decisions";
/// The section of notes.
pub const NOTES: &str = "notes";
/// The section of services.
pub const SERVICES: &str = "services";

/// An entry as it is shown.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[non_exhaustive]
pub struct EntryView {
    /// Its key.
    pub key: ContextKey,
    /// Its version: the number of the event that set it. To change it, say that this is what was read.
    pub version: Seq,
    /// What it says.
    pub value: ContextValue,
    /// Who set it.
    pub by: Principal,
    /// When.
    pub at: Timestamp,
}

/// What an agent is doing, as it is shown.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[non_exhaustive]
pub struct AgentView {
    /// Who.
    pub actor_id: ActorId,
    /// What it is at; may be empty.
    pub focus: String,
    /// What it will do then; may be empty.
    pub next: String,
    /// What keeps it from going on; may be empty.
    pub blocker: String,
    /// What it waits for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub waiting_for: Option<WaitingFor>,
    /// How long that holds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub until: Option<Timestamp>,
    /// Whether that time is over.
    pub stale: bool,
    /// The version: the number of the event that said so.
    pub version: Seq,
    /// When it was said.
    pub at: Timestamp,
}

/// The entries, by key; of one section or with one key if `of` says so.
#[must_use]
pub fn list(state: &GroupState, of: Option<&ContextKey>) -> Vec<EntryView> {
    let wanted = |key: &ContextKey| {
        of.is_none_or(|of| key == of || (of.item().is_none() && key.section() == of.section()))
    };
    let entries = state.context().iter().filter(|(key, _)| wanted(key));
    entries.map(|(key, entry)| view(key, entry)).collect()
}

fn view(key: &ContextKey, entry: &Entry) -> EntryView {
    EntryView {
        key: key.clone(),
        version: entry.version(),
        value: (&entry.value).into(),
        by: entry.by.clone(),
        at: entry.at,
    }
}

/// What agents say they are doing, by id; those that say nothing are left out.
#[must_use]
pub fn agents(state: &GroupState, now: Timestamp) -> Vec<AgentView> {
    let show = |(id, word): (&ActorId, &AgentWord)| AgentView {
        actor_id: id.clone(),
        focus: word.focus.clone(),
        next: word.next.clone(),
        blocker: word.blocker.clone(),
        waiting_for: word.waiting_for.clone(),
        until: word.until,
        stale: word.until.is_some_and(|until| now > until),
        version: word.set_by_event.seq,
        at: word.at,
    };
    state.agents().iter().map(show).collect()
}

/// Most of what is shown of an actor at a glance, in bytes.
const MAX_SUMMARY_BYTES: usize = 160;

/// What an actor is at, on one line: its own word, while that holds, else the first task that it has begun.
#[must_use]
pub fn summary(state: &GroupState, id: &ActorId, now: Timestamp) -> Option<String> {
    let holds = |word: &&AgentWord| !word.focus.is_empty() && word.until.is_none_or(|until| now <= until);
    let said = state.agents().get(id).filter(holds).map(|word| word.focus.clone());
    let begun = || {
        let own = |task: &&crate::state::Task| {
            task.status == TaskStatus::Active && task.owner.as_ref().and_then(Principal::actor) == Some(id)
        };
        state.tasks().find(own).map(|task| format!("{}: {}", task.id, task.title))
    };
    let line = said.or_else(begun)?.split_whitespace().collect::<Vec<_>>().join(" ");
    Some(clipped(&line, MAX_SUMMARY_BYTES))
}

/// Sets an entry, or removes it (`value` is `None`).
pub(super) fn set(
    state: &GroupState,
    call: &Call,
    key: &ContextKey,
    base: Option<Seq>,
    value: Option<&ContextValue>,
    resolved: &Resolved,
) -> Result<Decision> {
    let present = state.context().get(key);
    if let Some(value) = value {
        check_kind(key, value, present.is_some())?;
        check_value(key, value)?;
    }
    match (present, value.map(EntryValue::from)) {
        (Some(entry), Some(value)) if entry.value == value => {
            return Ok(Decision::done_by(entry.set_by_event));
        }
        (None, None) => return Ok(Decision::nothing()),
        _ => {}
    }
    fresh(state, call, key, base, resolved)?;
    if let Some(entry) = present {
        may_change(state, call, key, entry)?;
    }
    if let Some(value) = value {
        check_room(state, key, value)?;
    }
    Ok(Decision::write([Draft::from(ContextSet {
        key: key.clone(),
        base_version: present.map(Entry::version).unwrap_or_default(),
        value: value.cloned(),
    })]))
}

/// Adds a decision or a note, under the number of the event that adds it. What the caller has added and
/// what still says the same is not added twice.
pub(super) fn append(state: &GroupState, call: &Call, section: &str, text: &str) -> Result<Decision> {
    let same = |(key, entry): &(&ContextKey, &Entry)| {
        key.section() == section
            && entry.by == call.by
            && matches!(&entry.value, EntryValue::Text(present) if present == text)
            && state.present_since(&call.by, entry.version())
    };
    if let Some((_, entry)) = state.context().iter().find(same) {
        return Ok(Decision::done_by(entry.set_by_event));
    }
    let key = ContextKey::new(format!("{section}/{}", state.position().seq.next()))?;
    let value = ContextValue::Text(text.to_owned());
    check_value(&key, &value)?;
    check_room(state, &key, &value)?;
    Ok(Decision::write([Draft::from(ContextSet { key, base_version: Seq(0), value: Some(value) })]))
}

/// Whether the key takes such a value.
fn check_kind(key: &ContextKey, value: &ContextValue, exists: bool) -> Result<()> {
    let wrong = |what: String, hint: &str| Err(Error::invalid(what).hint(hint));
    match (key.section(), value) {
        (DECISIONS | NOTES, _) if !exists => wrong(
            format!("there is no {key}: decisions and notes are added, and get their numbers by that"),
            "`cccc context decide TEXT` or `cccc context note TEXT`",
        ),
        (SERVICES, ContextValue::Service(_)) if key.item().is_some() => Ok(()),
        (SERVICES, _) => wrong(
            format!("{key} is no service: a service has a name, a kind and an address"),
            "`cccc context set services/api --kind http --address http://localhost:8080`",
        ),
        (_, ContextValue::Service(_)) => {
            wrong(format!("{key} holds text"), "services have their place under services/<name>")
        }
        _ => Ok(()),
    }
}

fn check_value(key: &ContextKey, value: &ContextValue) -> Result<()> {
    let size = EntryValue::from(value).len();
    if size > MAX_ENTRY_BYTES {
        return Err(Error::too_large(format!(
            "{key} would have {size} bytes; at most {MAX_ENTRY_BYTES} fit"
        ))
        .hint("put it into a file, and the path here"));
    }
    let filled = match value {
        ContextValue::Text(text) => !text.trim().is_empty(),
        ContextValue::Service(Service { kind, address, .. }) => !kind.is_empty() && !address.is_empty(),
    };
    if !filled {
        return Err(Error::invalid(format!("{key} would say nothing"))
            .hint("give it a text (a service: kind and address), or remove it with `--remove`"));
    }
    Ok(())
}

fn check_room(state: &GroupState, key: &ContextKey, value: &ContextValue) -> Result<()> {
    let others = || state.context().iter().filter(|(other, _)| *other != key);
    let hint = "remove what is no longer needed: `cccc context set KEY --remove`";
    if others().count() >= MAX_ENTRIES {
        return Err(Error::too_large(format!(
            "the shared context has {MAX_ENTRIES} entries, which is the most"
        ))
        .hint(hint));
    }
    let size = EntryValue::from(value).len() + others().map(|(_, entry)| entry.value.len()).sum::<usize>();
    if size > MAX_CONTEXT_BYTES {
        return Err(Error::too_large(format!(
            "the shared context would have {size} bytes; at most {MAX_CONTEXT_BYTES} fit"
        ))
        .hint(hint));
    }
    Ok(())
}

/// Refuses a change by somebody who has not seen what it replaces.
fn fresh(
    state: &GroupState,
    call: &Call,
    key: &ContextKey,
    base: Option<Seq>,
    resolved: &Resolved,
) -> Result<()> {
    let present = state.context().get(key);
    let version = present.map(Entry::version).unwrap_or_default();
    let seen = match (base, present) {
        (Some(base), _) => base == version,
        (None, Some(entry)) => entry.by == call.by && state.present_since(&call.by, entry.version()),
        (None, None) => true,
    };
    if seen {
        return Ok(());
    }
    let Some(entry) = present else {
        return Err(Error::conflict(format!("{key} is not there any more, or never was"))
            .hint("leave the version out, or say 0, to set it anew"));
    };
    let read = base.and_then(|base| match &resolved.events.get(&base)?.event.body {
        Body::ContextSet(set) if set.key == *key => set.value.as_ref().map(EntryValue::from),
        _ => None,
    });
    let changed = match (read, base) {
        (Some(read), _) => changes(&words(&read), &words(&entry.value)),
        (None, _) => format!("it says {:?}", clipped(&words(&entry.value), MAX_CHANGE_BYTES)),
    };
    let since = base.map_or_else(String::new, |base| format!(" since version {base}"));
    Err(Error::conflict(format!("{key} was set by {}{since}, in version {version}: {changed}", entry.by))
        .hint(format!("bring both together and set it with `--base {version}`")))
}

/// An entry as text.
pub(super) fn words(value: &EntryValue) -> String {
    match value {
        EntryValue::Text(text) => text.clone(),
        EntryValue::Service(kind, address, owner) => {
            let owner = owner.as_ref().map_or_else(String::new, |owner| format!(", owner {owner}"));
            format!("{kind} at {address}{owner}")
        }
    }
}

/// Which lines have gone and which are new, in one line.
fn changes(old: &str, new: &str) -> String {
    let lines = |text: &str, other: &str| {
        let gone: Vec<&str> = text.lines().filter(|line| !other.lines().any(|l| l == *line)).collect();
        clipped(&gone.join(" / "), MAX_CHANGE_BYTES / 2)
    };
    match (lines(old, new), lines(new, old)) {
        (gone, added) if gone.is_empty() && added.is_empty() => "its lines are in another order".to_owned(),
        (gone, added) if gone.is_empty() => format!("new is {added:?}"),
        (gone, added) if added.is_empty() => format!("gone is {gone:?}"),
        (gone, added) => format!("gone is {gone:?}, new is {added:?}"),
    }
}

/// The beginning of a text, at most so many bytes, with an ellipsis if that is not all.
pub(super) fn clipped(text: &str, max_bytes: usize) -> String {
    if text.len() <= max_bytes {
        return text.to_owned();
    }
    let end = text.floor_char_boundary(max_bytes.saturating_sub('…'.len_utf8()));
    format!("{}…", text.get(..end).unwrap_or_default())
}

/// What is signed is for its author to change, and for those who lead.
fn may_change(state: &GroupState, call: &Call, key: &ContextKey, entry: &Entry) -> Result<()> {
    if !matches!(key.section(), DECISIONS | NOTES | SERVICES)
        || matches!(permission::rank(state, &call.by), Rank::Owner | Rank::Foreman)
    {
        return Ok(());
    }
    let (author, since) = &entry.author;
    let owner = match &entry.value {
        EntryValue::Service(_, _, owner) => owner.as_ref(),
        EntryValue::Text(_) => None,
    };
    let own = *author == call.by && state.present_since(author, Seq(since.0.saturating_add(1)));
    if own || (owner.is_some() && call.by.actor() == owner) {
        return Ok(());
    }
    Err(Error::refused(format!("{key} is from {author}, and not {}'s to change", call.by))
        .hint("add a note of your own, or ask the foreman"))
}

/// What an agent says of itself; what is `None` stays, except that the time it holds until is of this word.
#[derive(Debug)]
pub(super) struct Word<'a> {
    pub(super) focus: Option<&'a str>,
    pub(super) next: Option<&'a str>,
    pub(super) blocker: Option<&'a str>,
    pub(super) waiting_for: Option<&'a str>,
    pub(super) until: Option<Timestamp>,
    pub(super) base: Option<Seq>,
}

pub(super) fn set_agent(
    state: &GroupState,
    call: &Call,
    actor_id: Option<&ActorId>,
    word: &Word<'_>,
) -> Result<Decision> {
    let Some(id) = actor_id.or(call.by.actor()) else {
        return Err(Error::invalid(format!("{} is no actor, and only actors have a state", call.by))
            .hint("name the actor with `--actor`"));
    };
    permission::member(state, id)?;
    if call.by.actor() != Some(id) {
        lead(state, call, "speak for another actor")?;
    }
    let present = state.agents().get(id);
    let version = present.map(|word| word.set_by_event.seq).unwrap_or_default();
    if let Some(base) = word.base
        && base != version
    {
        let now = present.map_or_else(
            || "it says nothing".to_owned(),
            |word| {
                format!("it says focus {:?}, next {:?}, blocker {:?}", word.focus, word.next, word.blocker)
            },
        );
        return Err(Error::conflict(format!("the state of {id} has changed since version {base}: {now}"))
            .hint(format!("look again, and name version {version}")));
    }
    let kept = |new: Option<&str>, old: fn(&AgentWord) -> &String| {
        new.map_or_else(|| present.map(old).cloned().unwrap_or_default(), |new| new.trim().to_owned())
    };
    let waiting_for = match word.waiting_for.map(str::trim) {
        None => present.and_then(|word| word.waiting_for.clone()),
        Some("") => None,
        Some(text) => Some(awaited(state, id, text.parse()?)?),
    };
    let said = AgentState {
        actor_id: id.clone(),
        focus: kept(word.focus, |word| &word.focus),
        next: kept(word.next, |word| &word.next),
        blocker: kept(word.blocker, |word| &word.blocker),
        waiting_for,
        until: word.until,
    };
    for (what, text) in
        [("the focus", &said.focus), ("what is next", &said.next), ("the blocker", &said.blocker)]
    {
        bounded(what, text, MAX_AGENT_BYTES)?;
    }
    let nothing = said.is_empty();
    if let Some(until) = said.until {
        if nothing {
            return Err(Error::invalid("until when it holds is said, but not what").hint("say a focus"));
        }
        if until <= call.now {
            return Err(Error::invalid(format!("until {until} is over already")));
        }
    }
    match present {
        None if nothing => Ok(Decision::nothing()),
        Some(word)
            if (&word.focus, &word.next, &word.blocker, &word.waiting_for, word.until)
                == (&said.focus, &said.next, &said.blocker, &said.waiting_for, said.until) =>
        {
            Ok(Decision::done_by(word.set_by_event))
        }
        _ => Ok(Decision::write([Draft::from(said)])),
    }
}

/// Refuses to wait for what is not there, and for oneself.
fn awaited(state: &GroupState, id: &ActorId, what: WaitingFor) -> Result<WaitingFor> {
    match &what {
        WaitingFor::Reservation(reservation) if !state.reservations().contains_key(reservation) => {
            return Err(Error::not_found(format!("there is no reservation {reservation}, or it is over"))
                .hint("then nothing is to be waited for; `cccc reservations` lists them"));
        }
        WaitingFor::Task(task) if state.is_task_closed(*task) => {
            return Err(Error::not_found(format!("no task {task} is going on"))
                .hint("then nothing is to be waited for; `cccc task list` lists them"));
        }
        WaitingFor::Actor(other @ (Principal::Actor(_) | Principal::Person(_))) => {
            permission::present(state, other)?;
        }
        WaitingFor::Actor(other @ (Principal::System | Principal::Service(_))) => {
            return Err(Error::invalid(format!("{other} is nobody to wait for"))
                .hint("name an actor, a person, a task or a reservation"));
        }
        _ => {}
    }
    let own = match &what {
        WaitingFor::Reservation(one) => state.reservations().get(one).map(|one| one.holder.clone()),
        WaitingFor::Task(_) => None,
        WaitingFor::Actor(other) => Some(other.clone()),
    };
    if own.as_ref().and_then(Principal::actor) == Some(id) {
        return Err(Error::refused(format!("{what} is {id}'s own to wait for: nobody else can end that"))
            .hint("say the blocker in words"));
    }
    Ok(what)
}

#[cfg(test)]
mod tests;
