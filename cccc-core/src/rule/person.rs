//! People beside the home's owner: who belongs to the group, and what becomes of what they owe.
//!
//! The user adds them, and nobody else does. A person stands below the user: they send, read and answer, decide what
//! they are asked to decide, do tasks and reserve paths as anybody does, and may oblige as many as the foreman, since
//! people do not flood. They do not run the group. They are treated as people are: never reminded, never limited,
//! and they still read while no agent runs.
//!
//! That somebody is added stands on the ledger with `must`: an older version does not know how people are written, and
//! is not to write to a group that has any.

use crate::command::AddPerson;
use crate::error::{Error, Result};
use crate::event::{PersonAdd, PersonRemove};
use crate::id::Principal;
use crate::ledger::Draft;
use crate::rule::actor::departure;
use crate::rule::group::check_title;
use crate::rule::permission::{self, Rank, owner};
use crate::rule::{Call, Decision, MAX_REASON_BYTES, Resolved, bounded, few};
use crate::state::GroupState;

/// Most people at a time, the user not counted.
pub const MAX_PEOPLE: usize = 256;

/// Adding one who is there changes nothing, or gives them another title.
pub(super) fn add(state: &GroupState, call: &Call, add: &AddPerson) -> Result<Decision> {
    owner(state, call, "add a person")?;
    let there = state.person(&add.person_id);
    let title = add.title.as_deref().or(there.map(|person| person.title.as_str())).unwrap_or_default();
    check_title(title)?;
    match there {
        Some(person) if person.title == title => return Ok(Decision::nothing()),
        Some(_) => {}
        None => few("people", state.people().len() + 1, MAX_PEOPLE)?,
    }
    let added = PersonAdd { person_id: add.person_id.clone(), title: title.to_owned() };
    Ok(Decision::write([Draft { body: added.into(), must: true }]))
}

/// Removing one who has been removed writes nothing.
pub(super) fn remove(
    state: &GroupState,
    call: &Call,
    remove: &PersonRemove,
    resolved: &Resolved,
) -> Result<Decision> {
    let PersonRemove { person_id, reason, successor } = remove;
    bounded("the reason", reason, MAX_REASON_BYTES)?;
    let gone = Principal::Person(person_id.clone());
    if call.by != gone && permission::rank(state, &call.by) != Rank::Owner {
        return Err(Error::refused(format!("{} may not remove {gone}", call.by))
            .hint("the user may, and people may leave by themselves"));
    }
    if state.person(person_id).is_none() {
        let known = state.tombstones().iter().any(|tombstone| tombstone.who == gone);
        return if known {
            Ok(Decision::nothing())
        } else {
            Err(permission::unknown_person(state, person_id))
        };
    }
    if let Some(successor) = successor {
        if *successor == gone {
            return Err(Error::invalid(format!("{gone} cannot succeed itself")));
        }
        permission::present(state, successor)?;
        if state.mailbox(successor).is_none() {
            return Err(Error::invalid(format!("{successor} takes nothing over"))
                .hint("name an actor or a person of the group"));
        }
    }
    Ok(Decision::write(departure(state, call, remove.clone(), None, resolved)))
}

#[cfg(test)]
mod tests;
