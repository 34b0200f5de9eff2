//! Actors: who joins, who leads, who leaves, and what becomes of what they owe.
//!
//! The foreman is a stored role. An actor that is added by somebody else, without a role being named,
//! becomes the foreman if the group has none; one that joins by itself is a peer.

use std::collections::BTreeSet;

use crate::command::AddActor;
use crate::error::{Error, Result};
use crate::event::{ActorAdd, ActorRemove, ActorUpdate, Body, JoinPolicy, Role};
use crate::id::{ActorId, Label, Principal, VoteId};
use crate::ledger::Draft;
use crate::rule::group::check_title;
use crate::rule::permission::{self, Rank, lead};
use crate::rule::{Call, Decision, MAX_REASON_BYTES, Resolved, approval, bounded, estate, few, task, vote};
use crate::state::{Departure, GroupState};

/// Most actors at a time.
pub const MAX_ACTORS: usize = 1_000;
/// Most labels of one actor.
pub const MAX_LABELS: usize = 32;
/// Words that became addresses when there were ledgers already on which an actor may bear one: nobody new does.
const ADDRESSES: [&str; 1] = ["users"];
/// Longest name of a runtime, runner, profile or waking policy, in bytes.
pub const MAX_FIELD_BYTES: usize = 256;

pub(super) fn add(state: &GroupState, call: &Call, add: &AddActor) -> Result<Decision> {
    let AddActor { actor_id, title, labels, role, runtime, ephemeral } = add;
    let joins = call.by.actor() == Some(actor_id);
    if joins && state.actor(actor_id).is_some() {
        return Ok(Decision::nothing());
    }
    if joins {
        may_join(state, actor_id, *role)?;
    } else {
        lead(state, call, "add an actor")?;
    }
    if state.actor(actor_id).is_some() {
        return Err(Error::conflict(format!("{actor_id} is in the group already"))
            .hint(format!("change it with `cccc actor update {actor_id}`, or take another id")));
    }
    check_new(actor_id)?;
    few("actors", state.actors().len() + 1, MAX_ACTORS)?;
    check_title(title)?;
    check_field("runtime", runtime.as_deref())?;
    let default = if joins || state.foreman().is_some() { Role::Peer } else { Role::Foreman };
    Ok(Decision::write([Draft::from(ActorAdd {
        actor_id: actor_id.clone(),
        title: title.clone(),
        labels: sorted(labels)?,
        role: role.unwrap_or(default),
        runtime: runtime.clone(),
        runner: None,
        profile: None,
        wake: None,
        ephemeral: *ephemeral,
    })]))
}

/// Refuses what would no longer be understood as the name of an actor.
pub(super) fn check_new(id: &ActorId) -> Result<()> {
    if ADDRESSES.contains(&id.as_str()) {
        return Err(Error::invalid(format!("{:?} is reserved and cannot name an actor", id.as_str()))
            .hint("@users addresses people; take another id"));
    }
    Ok(())
}

/// Whether an actor may come by itself.
fn may_join(state: &GroupState, id: &ActorId, role: Option<Role>) -> Result<()> {
    if role == Some(Role::Foreman) {
        return Err(Error::refused("nobody makes itself the foreman")
            .hint("join as a peer; the user or the foreman can hand the role over"));
    }
    let by_whom = format!("ask the user to run `cccc actor add {id}`");
    match state.join() {
        JoinPolicy::Open => Ok(()),
        JoinPolicy::Ask => {
            Err(Error::refused(format!("{id} may join only when the user or the foreman agrees"))
                .hint(by_whom))
        }
        JoinPolicy::Closed => Err(Error::refused("nobody joins this group by itself").hint(by_whom)),
    }
}

fn check_field(what: &str, value: Option<&str>) -> Result<()> {
    let value = value.unwrap_or_default();
    bounded(&format!("the {what}"), value, MAX_FIELD_BYTES)?;
    if value.chars().any(char::is_control) {
        return Err(Error::invalid(format!("the {what} may have no control characters")));
    }
    Ok(())
}

fn sorted(labels: &[Label]) -> Result<Vec<Label>> {
    let labels: BTreeSet<Label> = labels.iter().cloned().collect();
    few("labels", labels.len(), MAX_LABELS)?;
    Ok(labels.into_iter().collect())
}

pub(super) fn update(state: &GroupState, call: &Call, update: &ActorUpdate) -> Result<Decision> {
    let id = &update.actor_id;
    let Some(actor) = state.actor(id) else { return Err(permission::unknown_actor(state, id)) };
    let ActorUpdate { title, labels, role, runtime, runner, profile, wake, ephemeral, .. } = update;
    let own_words = role.is_none()
        && ephemeral.is_none()
        && [runtime, runner, profile, wake].iter().all(|field| field.is_none());
    if call.by.actor() != Some(id) {
        lead(state, call, "change another actor")?;
    } else if !own_words {
        lead(state, call, "change more of itself than title and labels")?;
    }
    check_title(title.as_deref().unwrap_or_default())?;
    for (what, field) in [("runtime", runtime), ("runner", runner), ("profile", profile), ("wake", wake)] {
        check_field(what, field.as_deref())?;
    }
    let labels = labels.as_deref().map(sorted).transpose()?;
    let kept = |new: &Option<String>, old: &Option<String>| new.is_none() || new == old;
    let same = title.as_ref().is_none_or(|title| *title == actor.title)
        && labels.as_ref().is_none_or(|labels| labels.iter().eq(&actor.labels))
        && role.is_none_or(|role| role == state.role(id))
        && ephemeral.is_none_or(|ephemeral| ephemeral == actor.ephemeral)
        && kept(runtime, &actor.runtime)
        && kept(runner, &actor.runner)
        && kept(profile, &actor.profile)
        && kept(wake, &actor.wake);
    if same {
        return Ok(Decision::nothing());
    }
    Ok(Decision::write([Draft::from(ActorUpdate { labels, ..update.clone() })]))
}

/// Removing what has been removed writes nothing.
pub(super) fn remove(
    state: &GroupState,
    call: &Call,
    remove: &ActorRemove,
    resolved: &Resolved,
) -> Result<Decision> {
    let ActorRemove { actor_id, reason, successor } = remove;
    bounded("the reason", reason, MAX_REASON_BYTES)?;
    let itself = call.by.actor() == Some(actor_id);
    let allowed = itself || matches!(permission::rank(state, &call.by), Rank::Owner | Rank::Foreman);
    if !allowed {
        return Err(Error::refused(format!("{} may remove nobody but itself", call.by))
            .hint("ask the foreman or the user"));
    }
    if state.actor(actor_id).is_none() {
        let gone = state.tombstones().iter().any(|tombstone| tombstone.who.actor() == Some(actor_id));
        return if gone { Ok(Decision::nothing()) } else { Err(permission::unknown_actor(state, actor_id)) };
    }
    if let Some(successor) = successor {
        if successor == actor_id {
            return Err(Error::invalid(format!("{actor_id} cannot succeed itself")));
        }
        if state.mailbox(&Principal::Actor(successor.clone())).is_none() {
            return Err(permission::unknown_actor(state, successor));
        }
    }
    Ok(Decision::write(departure(state, call, remove.clone(), None, resolved)))
}

/// An actor or a person goes: their tasks and their unread mail find another first, and what can no longer be
/// decided without them ends after; then whoever would not notice otherwise is told. `decided` is a vote that is
/// closed already. What they have reserved and what they owe for messages passes on by the removal itself.
pub(super) fn departure<R>(
    state: &GroupState,
    call: &Call,
    remove: R,
    decided: Option<VoteId>,
    resolved: &Resolved,
) -> Vec<Draft>
where
    R: Into<Body>,
    for<'r> Departure: From<&'r R>,
{
    let departure = Departure::from(&remove);
    let ended = vote::ended_by_removal(state, call, &departure.who, decided);
    let mut drafts = task::departure(state, call, &departure);
    let moved = estate::moved(state, &departure, resolved);
    let told = estate::told(state, call, &departure, moved.as_ref(), resolved);
    drafts.extend(moved.map(Draft::from));
    drafts.push(Draft::from(remove));
    drafts.extend(ended);
    drafts.extend(approval::ended_by_removal(state, &departure.who));
    drafts.extend(told);
    drafts
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::command::{Command, OpenSession};
    use crate::error::ErrorKind;
    use crate::event::GroupUpdate;
    use crate::rule::desk::{Desk, message};

    fn id(text: &str) -> ActorId {
        text.parse().unwrap()
    }

    fn adding(text: &str) -> Command {
        Command::AddActor(AddActor::new(id(text)))
    }

    fn removing(text: &str, successor: Option<&str>) -> Command {
        Command::RemoveActor(ActorRemove {
            actor_id: id(text),
            reason: String::new(),
            successor: successor.map(id),
        })
    }

    #[test]
    fn the_first_one_added_leads_and_one_that_joins_does_not() {
        let mut desk = Desk::with(&[]);
        let role = |done: crate::rule::desk::Done| match &done.events[0].body {
            Body::ActorAdd(add) => add.role,
            body => panic!("{body:?}"),
        };
        assert_eq!(role(desk.run("early", adding("early")).unwrap()), Role::Peer);
        assert_eq!(role(desk.run("user", adding("lead")).unwrap()), Role::Foreman);
        assert_eq!(role(desk.run("lead", adding("alice")).unwrap()), Role::Peer);
        assert!(desk.run("alice", adding("alice")).unwrap().events.is_empty(), "joining twice is joining");
        assert_eq!(desk.run("user", adding("alice")).unwrap_err().kind(), ErrorKind::Conflict);
        assert_eq!(desk.run("alice", adding("bob")).unwrap_err().kind(), ErrorKind::Refused);
        let as_foreman = AddActor { role: Some(Role::Foreman), ..AddActor::new(id("boss")) };
        assert_eq!(desk.run("boss", Command::AddActor(as_foreman)).unwrap_err().kind(), ErrorKind::Refused);
        for (join, open) in [(JoinPolicy::Open, true), (JoinPolicy::Ask, false), (JoinPolicy::Closed, false)]
        {
            let update = GroupUpdate { join: Some(join), ..GroupUpdate::default() };
            desk.run("user", Command::UpdateGroup(update)).unwrap();
            assert_eq!(desk.clone().run("x", adding("x")).is_ok(), open, "{join:?}");
        }
    }

    #[test]
    fn the_role_moves_by_event() {
        let mut desk = Desk::with(&["lead", "alice"]);
        let role = |of: &str, role| {
            Command::UpdateActor(ActorUpdate { role: Some(role), ..ActorUpdate::of(id(of)) })
        };
        assert_eq!(desk.run("alice", role("alice", Role::Foreman)).unwrap_err().kind(), ErrorKind::Refused);
        desk.run("lead", role("alice", Role::Foreman)).unwrap();
        assert_eq!(desk.state().foreman(), Some(&id("alice")));
        assert_eq!(desk.run("lead", role("lead", Role::Foreman)).unwrap_err().kind(), ErrorKind::Refused);
        assert!(desk.run("user", role("alice", Role::Foreman)).unwrap().events.is_empty());
        desk.run("user", role("alice", Role::Peer)).unwrap();
        assert_eq!(desk.state().foreman(), None);
    }

    #[test]
    fn a_peer_changes_its_own_words_only() {
        let mut desk = Desk::with(&["lead", "alice", "bob"]);
        let update = |of: &str| ActorUpdate::of(id(of));
        let labels = Some(vec!["b".parse().unwrap(), "a".parse().unwrap(), "b".parse().unwrap()]);
        let own = ActorUpdate { labels: labels.clone(), title: Some("Al".into()), ..update("alice") };
        desk.run("alice", Command::UpdateActor(own.clone())).unwrap();
        assert!(desk.run("alice", Command::UpdateActor(own)).unwrap().events.is_empty(), "nothing new");
        assert_eq!(desk.state().actor(&id("alice")).unwrap().labels.len(), 2);
        for (update, kind) in [
            (ActorUpdate { runtime: Some("x".into()), ..update("alice") }, ErrorKind::Refused),
            (ActorUpdate { ephemeral: Some(true), ..update("alice") }, ErrorKind::Refused),
            (ActorUpdate { title: Some("B".into()), ..update("bob") }, ErrorKind::Refused),
            (ActorUpdate { title: Some("x".repeat(257)), ..update("alice") }, ErrorKind::TooLarge),
            (ActorUpdate { title: Some("x\ny".into()), ..update("alice") }, ErrorKind::Invalid),
            (ActorUpdate { title: Some("B".into()), ..update("alcie") }, ErrorKind::NotFound),
        ] {
            assert_eq!(desk.run("alice", Command::UpdateActor(update)).unwrap_err().kind(), kind);
        }
        let runtime = ActorUpdate { runtime: Some("x".into()), ..update("alice") };
        desk.run("lead", Command::UpdateActor(runtime)).unwrap();
    }

    #[test]
    fn leaving_and_coming_back_as_another() {
        let mut desk = Desk::with(&["lead", "alice", "bob"]);
        for (by, whom, successor, kind) in [
            ("alice", "bob", None, ErrorKind::Refused),
            ("user", "alcie", None, ErrorKind::NotFound),
            ("user", "alice", Some("alice"), ErrorKind::Invalid),
            ("user", "alice", Some("nobody"), ErrorKind::NotFound),
        ] {
            assert_eq!(desk.run(by, removing(whom, successor)).unwrap_err().kind(), kind, "{by} {whom}");
        }
        let open = OpenSession { session: "s".into(), ..OpenSession::default() };
        desk.run("alice", Command::OpenSession(open)).unwrap();
        let sent = desk.send("lead", message("x", &["alice"]));
        desk.run("alice", removing("alice", Some("bob"))).unwrap();
        assert!(desk.run("user", removing("alice", None)).unwrap().events.is_empty(), "gone is gone");
        let error = desk.run("alice", Command::Send(message("x", &["lead"]))).unwrap_err();
        assert!(error.to_string().contains("alice was removed"), "{error}");
        assert!(desk.receipt(sent, "alice").starts_with("alice: moved to bob, pending, unread"));
        desk.run("user", adding("alice")).unwrap();
        assert!(desk.unread("alice").is_empty());
        assert_eq!(desk.state().mailbox(&id("alice").into()).unwrap().generation, 0);
        assert!(desk.receipt(sent, "alice").starts_with("alice: moved to bob"), "that was another");
        desk.run("lead", removing("lead", None)).unwrap();
        assert_eq!(desk.state().foreman(), None);
    }
}
