//! Who may do what: the table of roles, and what refuses every command alike.
//!
//! `by` is attribution and roles are guard rails among cooperating processes of one person. They do
//! not hold against hostile code of the same user.

use std::fmt;

use crate::command::Command;
use crate::error::{Error, Result};
use crate::event::{GroupMode, Role};
use crate::id::{ActorId, PersonId, Principal};
use crate::rule::{Call, suggest};
use crate::state::GroupState;

/// What a principal is to the group, highest first.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Rank {
    /// The home's owner, or the library on their behalf: may do everything.
    Owner,
    /// Any other person: speaks, decides and works for themselves, and is not bounded as agents are. Does not run
    /// the group.
    Person,
    /// The actor that leads.
    Foreman,
    /// Any other actor.
    Peer,
    /// Something that writes to the group: may send and deliver. Also whoever speaks from another group.
    Service,
}

impl fmt::Display for Rank {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Owner => "the user",
            Self::Person => "a person",
            Self::Foreman => "the foreman",
            Self::Peer => "a peer",
            Self::Service => "a service",
        })
    }
}

/// The rank of a principal that is in the group.
#[must_use]
pub fn rank(state: &GroupState, principal: &Principal) -> Rank {
    match principal {
        Principal::User | Principal::System => Rank::Owner,
        Principal::Person(_) => Rank::Person,
        Principal::Actor(id) if state.role(id) == Role::Foreman => Rank::Foreman,
        Principal::Actor(_) => Rank::Peer,
        Principal::Service(_) | Principal::Remote(_) => Rank::Service,
    }
}

/// What refuses any command: a group that is not there, is read-only, or was written to by a version
/// whose events this one does not know; a caller that is not there.
pub(super) fn admit(state: &GroupState, call: &Call, command: &Command) -> Result<()> {
    if let Some((seq, kind)) = state.unsupported() {
        return Err(Error::unsupported(format!(
            "event {seq} ({kind}) is of a newer version, and writing without knowing it would break its rules"
        ))
        .hint("upgrade cccc, then try again"));
    }
    if !state.is_created() {
        // A repair may have cut its beginning off; then whoever owns it gives it another.
        return match command {
            Command::CreateGroup(_) | Command::UpdateGroup(_) => Ok(()),
            _ => Err(Error::refused("the group has not been created").hint(
                "the user sets it up again with `cccc attach`, or with `cccc group update --title TITLE`",
            )),
        };
    }
    if let Principal::Remote(remote) = &call.by
        && !matches!(command, Command::Relay(_) | Command::Cancel { .. } | Command::Retract { .. })
    {
        return Err(Error::refused(format!("{remote} is not in this group: its messages are relayed here"))
            .hint(format!("`cccc --group {} send`", remote.group())));
    }
    if let Principal::Actor(id) = &call.by
        && state.actor(id).is_none()
        && !matches!(command, Command::AddActor(add) if add.actor_id == *id)
        && !matches!(command, Command::Join(_))
    {
        return Err(unknown_actor(state, id));
    }
    if matches!(call.by, Principal::Person(_)) {
        present(state, &call.by)?;
    }
    if state.mode() == GroupMode::Archived && !matches!(command, Command::SetState(_)) {
        return Err(read_only());
    }
    Ok(())
}

/// The user or the system, in a group that may change.
pub(crate) fn may_collect(state: &GroupState, by: &Principal) -> Result<()> {
    if let Some((seq, kind)) = state.unsupported() {
        return Err(
            Error::unsupported(format!("event {seq} ({kind}) is of a newer version")).hint("upgrade cccc")
        );
    }
    may_change(state)?;
    match rank(state, by) {
        Rank::Owner => Ok(()),
        _ => Err(Error::refused(format!("{by} may not remove attachments: that is for the user"))
            .hint("ask with `cccc send --to user`")),
    }
}

/// Refuses what would change an archived group.
pub(crate) fn may_change(state: &GroupState) -> Result<()> {
    if state.mode() == GroupMode::Archived { Err(read_only()) } else { Ok(()) }
}

fn read_only() -> Error {
    Error::refused("the group is archived, and so read-only")
        .hint("the user can open it again with `cccc group resume`")
}

/// Refuses an actor that is not in the group.
pub(crate) fn member(state: &GroupState, id: &ActorId) -> Result<()> {
    state.actor(id).map(drop).ok_or_else(|| unknown_actor(state, id))
}

/// Refuses an actor or a person who is not in the group.
pub(crate) fn present(state: &GroupState, principal: &Principal) -> Result<()> {
    match principal {
        Principal::Actor(id) => member(state, id),
        Principal::Person(name) if state.person(name).is_none() => Err(unknown_person(state, name)),
        Principal::Person(_)
        | Principal::User
        | Principal::System
        | Principal::Service(_)
        | Principal::Remote(_) => Ok(()),
    }
}

/// The user, the system or the foreman.
pub(super) fn lead(state: &GroupState, call: &Call, what: &str) -> Result<()> {
    match rank(state, &call.by) {
        Rank::Owner | Rank::Foreman => Ok(()),
        Rank::Person | Rank::Peer | Rank::Service => {
            Err(Error::refused(format!("{} may not {what}: that is for the user and the foreman", call.by))
                .hint(match state.foreman() {
                    Some(foreman) => format!("ask {foreman} with `cccc send --to {foreman}`"),
                    None => "ask the user with `cccc send --to user`".into(),
                }))
        }
    }
}

/// The user or the system.
pub(super) fn owner(state: &GroupState, call: &Call, what: &str) -> Result<()> {
    match rank(state, &call.by) {
        Rank::Owner => Ok(()),
        _ => Err(Error::refused(format!("{} may not {what}: that is for the user", call.by))
            .hint("ask with `cccc send --to user`")),
    }
}

/// An actor that is not in the group: what became of it, or who may have been meant.
pub(super) fn unknown_actor(state: &GroupState, id: &ActorId) -> Error {
    if let Some(error) = removed(state, &id.clone().into(), &format!("`cccc actor add {id}`")) {
        return error;
    }
    let error = Error::not_found(format!("there is no actor {id} in this group"));
    match meant(state, id.as_str()) {
        Some(question) => error.hint(question),
        None if state.actors().is_empty() => error.hint(format!("add it with `cccc actor add {id}`")),
        None if state.gaps() > 0 => error.hint(format!(
            "events of this group are lost; if it was in the group, `cccc actor add {id}` brings it back"
        )),
        None => error.hint("`cccc actor list` shows who is there"),
    }
}

/// A person who is not in the group: what became of them, or who may have been meant.
pub(super) fn unknown_person(state: &GroupState, name: &PersonId) -> Error {
    let adding = format!("`cccc person add {name}`");
    if let Some(error) = removed(state, &name.clone().into(), &adding) {
        return error;
    }
    let error = Error::not_found(format!("there is no person {name} in this group"));
    match meant(state, name.as_str()) {
        Some(question) => error.hint(question),
        None if state.gaps() > 0 => error.hint(format!(
            "events of this group are lost; if they were in the group, the user brings them back with {adding}"
        )),
        None => error.hint(format!("the user adds them with {adding}")),
    }
}

/// What became of somebody who was removed, if that is remembered.
fn removed(state: &GroupState, who: &Principal, adding: &str) -> Option<Error> {
    let gone = state.tombstones().iter().rev().find(|tombstone| tombstone.who == *who)?;
    let why = if gone.reason.is_empty() { String::new() } else { format!(" ({})", gone.reason) };
    let error = Error::not_found(format!("{who} was removed from the group{why}"));
    Some(match (&gone.successor, who) {
        (Some(successor), _) => error.hint(format!("{successor} took over")),
        (None, Principal::Person(_)) => error.hint(format!("the user adds them again with {adding}")),
        (None, _) => error.hint(format!("add it again with {adding}")),
    })
}

/// The question whether one of the group's actors and people was meant, if the name is near one of theirs.
fn meant(state: &GroupState, name: &str) -> Option<String> {
    let actors = state.actors().keys().map(|id| (id.as_str(), id.to_string()));
    let people = state.people().keys().map(|name| (name.as_str(), format!("user:{name}")));
    let names: Vec<(&str, String)> = actors.chain(people).collect();
    let near = suggest::nearest(name, names.iter().map(|(name, _)| *name));
    let shown = |near: &str| {
        let bearers = names.iter().filter(|(name, _)| *name == near);
        bearers.map(|(_, shown)| shown.clone()).collect::<Vec<_>>()
    };
    let shown: Vec<String> = near.into_iter().flat_map(shown).collect();
    (!shown.is_empty()).then(|| format!("did you mean {}?", shown.join(" or ")))
}

#[cfg(test)]
mod tests;
