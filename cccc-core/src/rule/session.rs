//! Sessions: which running process embodies an actor.
//!
//! Of two live sessions of one actor the newest receives. Whether a session still runs is not on the
//! ledger: it holds a lock of the operating system.

use crate::command::{Command, OpenSession};
use crate::error::{Error, Result};
use crate::event::{SessionClose, SessionOpen};
use crate::id::{ActorId, Principal};
use crate::ledger::Draft;
use crate::rule::permission::{self, Rank};
use crate::rule::{Call, Decision, MAX_REASON_BYTES, bounded};
use crate::state::{GroupState, Session};

/// Longest id of a session, in bytes.
pub const MAX_SESSION_BYTES: usize = 256;

/// An actor begins a session, which is its next generation. Beginning the current one again writes nothing.
pub(super) fn open(state: &GroupState, call: &Call, open: &OpenSession) -> Result<Decision> {
    let Some(actor_id) = call.by.actor() else {
        return Err(Error::refused(format!("{} is no actor, and only actors have sessions", call.by)));
    };
    Ok(Decision::write(open_of(state, actor_id, open)?))
}

/// Opens a session of an actor, which may be added by the same decision.
pub(super) fn open_of(state: &GroupState, actor_id: &ActorId, open: &OpenSession) -> Result<Vec<Draft>> {
    if open.session.is_empty() {
        return Err(Error::invalid("a session needs an id"));
    }
    bounded("the session's id", &open.session, MAX_SESSION_BYTES)?;
    bounded("the runtime", &open.runtime, MAX_SESSION_BYTES)?;
    bounded("the program's session id", open.agent_session_id.as_deref().unwrap_or_default(), 1024)?;
    bounded("the working directory", &open.cwd, 4096)?;
    bounded("the branch", open.branch.as_deref().unwrap_or_default(), 1024)?;
    let current = |session: &&Session| session.open && session.session == open.session;
    let holder = state.actors().iter().find(|(_, other)| other.session.as_ref().filter(current).is_some());
    match holder {
        Some((holder, actor)) if holder == actor_id => {
            let goes_on = actor.session.as_ref().and_then(|session| goes_on(actor_id, session, open));
            return Ok(goes_on.map(Draft::from).into_iter().collect());
        }
        Some((holder, _)) => {
            return Err(Error::conflict(format!("session {} belongs to {holder}", open.session)));
        }
        None => {}
    }
    let mailbox = state.mailbox(&Principal::Actor(actor_id.clone()));
    let generation = mailbox.map_or(0, |mailbox| mailbox.generation);
    Ok(vec![Draft::from(SessionOpen {
        actor_id: actor_id.clone(),
        session: open.session.clone(),
        generation: generation.saturating_add(1),
        runtime: open.runtime.clone(),
        agent_session_id: open.agent_session_id.clone(),
        cwd: open.cwd.clone(),
        branch: open.branch.clone(),
    })])
}

/// A session goes on when its program begins another one of its own in the same process (`/clear`): that is
/// written down, so that the actor is known again by it, and is no new generation.
fn goes_on(actor_id: &ActorId, session: &Session, open: &OpenSession) -> Option<SessionOpen> {
    let known = open.agent_session_id.is_none() || session.agent_session_id == open.agent_session_id;
    (!known).then(|| SessionOpen {
        actor_id: actor_id.clone(),
        session: session.session.clone(),
        generation: session.generation,
        runtime: session.runtime.clone(),
        agent_session_id: open.agent_session_id.clone(),
        cwd: session.cwd.clone(),
        branch: session.branch.clone(),
    })
}

/// Refuses what hands messages over to a session that is not its actor's newest any more: of two live
/// sessions the newest receives, and the older is told so.
pub(super) fn fence(state: &GroupState, call: &Call, session: &str, command: &Command) -> Result<()> {
    match command {
        Command::Pull { .. } | Command::Take { .. } | Command::SeeNotices { .. } => {
            current(state, &call.by, session)
        }
        // Whoever carries it, it is the recipient's session that shall receive.
        Command::Claim { recipient, .. } => current(state, recipient, session),
        _ => Ok(()),
    }
}

/// Refuses a session that is not its actor's newest any more. Services are not counted in generations.
pub(crate) fn current(state: &GroupState, by: &Principal, session: &str) -> Result<()> {
    let Some((id, actor)) = by.actor().and_then(|id| Some((id, state.actor(id)?))) else { return Ok(()) };
    match &actor.session {
        Some(newest) if newest.session == session => Ok(()),
        Some(newest) if newest.open => Err(Error::refused(format!(
            "session {session} of {id} was replaced by a newer one ({} in {})",
            newest.session, newest.cwd
        ))
        .hint("messages go to the newest session; `cccc join` here makes this the newest again")),
        _ => {
            Err(Error::refused(format!("session {session} of {id} is over"))
                .hint("`cccc join` begins a new one"))
        }
    }
}

/// An actor ends its session; the user or the system ends any, for example of a process that died.
pub(super) fn close(
    state: &GroupState,
    call: &Call,
    session: &str,
    reason: Option<&str>,
) -> Result<Decision> {
    bounded("the reason", reason.unwrap_or_default(), MAX_REASON_BYTES)?;
    let owner = permission::rank(state, &call.by) == Rank::Owner;
    let mine = |id: &ActorId| owner || call.by.actor() == Some(id);
    let found = state.actors().iter().filter(|(id, _)| mine(id)).find_map(|(id, actor)| {
        let current = actor.session.as_ref().filter(|current| current.session == session)?;
        Some((id, current))
    });
    match found {
        Some((_, current)) if !current.open => Ok(Decision::nothing()),
        Some((actor_id, current)) => Ok(Decision::write([Draft::from(SessionClose {
            actor_id: actor_id.clone(),
            session: session.to_owned(),
            generation: current.generation,
            reason: reason.map(str::to_owned),
        })])),
        None => Err(Error::not_found(format!("{session:?} is not the newest session of {}", call.by))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::command::Command;
    use crate::error::ErrorKind;
    use crate::event::Body;
    use crate::rule::desk::{Desk, message};

    #[test]
    fn sessions_are_counted_and_the_newest_is_the_actors() {
        let mut desk = Desk::with(&["lead", "alice"]);
        let opening =
            |name: &str| Command::OpenSession(OpenSession { session: name.into(), ..OpenSession::default() });
        let closing = |name: &str| Command::CloseSession { session: name.into(), reason: None };
        let generation = |done: crate::rule::desk::Done| match &done.events[0].body {
            Body::SessionOpen(open) => open.generation,
            body => panic!("{body:?}"),
        };
        assert_eq!(generation(desk.run("alice", opening("s1")).unwrap()), 1);
        assert!(desk.run("alice", opening("s1")).unwrap().events.is_empty());
        assert_eq!(desk.run("lead", opening("s1")).unwrap_err().kind(), ErrorKind::Conflict);
        assert_eq!(desk.run("user", opening("s2")).unwrap_err().kind(), ErrorKind::Refused);
        assert_eq!(desk.run("alice", opening("")).unwrap_err().kind(), ErrorKind::Invalid);
        assert_eq!(generation(desk.run("alice", opening("s2")).unwrap()), 2);
        for (by, name, kind) in [("alice", "s1", ErrorKind::NotFound), ("lead", "s2", ErrorKind::NotFound)] {
            assert_eq!(desk.run(by, closing(name)).unwrap_err().kind(), kind, "{by} {name}");
        }
        assert_eq!(desk.clone().run("user", closing("s2")).unwrap().kinds(), ["session.close"]);
        // Its program begins another session of its own in the same process.
        let going = |id: &str| {
            let agent_session_id = Some(id.to_owned());
            let session = "s2".into();
            Command::OpenSession(OpenSession { session, agent_session_id, ..OpenSession::default() })
        };
        for (id, events, known) in [("c1", 1, "c1"), ("c1", 0, "c1"), ("c2", 1, "c2")] {
            let done = desk.run("alice", going(id)).unwrap();
            assert_eq!(done.events.len(), events, "{id}");
            let alice = desk.state().actor(&"alice".parse().unwrap()).unwrap();
            let session = alice.session.clone().unwrap();
            assert_eq!((session.agent_session_id.as_deref(), session.generation), (Some(known), 2));
        }
        assert!(
            desk.run("alice", opening("s2")).unwrap().events.is_empty(),
            "who does not say it takes nothing"
        );
        assert_eq!(desk.rebuilt(), *desk.state());
        let within = |session: &str, command: Command| Command::InSession {
            session: session.into(),
            command: Box::new(command),
        };
        let pull = || Command::Pull { events: Vec::new(), mark_read: false };
        let error = desk.run("alice", within("s1", pull())).unwrap_err();
        assert!(error.to_string().contains("replaced by a newer one (s2"), "{error}");
        assert!(desk.run("alice", within("s2", pull())).is_ok());
        assert!(desk.run("alice", within("s1", Command::Send(message("x", &["lead"])))).is_ok());
        desk.run("alice", closing("s2")).unwrap();
        assert!(desk.run("alice", closing("s2")).unwrap().events.is_empty());
        assert_eq!(generation(desk.run("alice", opening("s2")).unwrap()), 3, "opened again, it is a new one");
    }
}
