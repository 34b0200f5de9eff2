//! Joining: which actor an agent is that a person started itself, and how it comes in.
//!
//! By its own word (an id, or the environment's), else whoever it was before, else under a readable name
//! that nobody has or had. What comes in by itself is a peer, and ephemeral.

use crate::command::{AddActor, Arrival, JoinGroup, OpenSession};
use crate::error::{Error, Result};
use crate::id::ActorId;
use crate::rule::presence::{Condition, Facts};
use crate::rule::{Call, Decision, actor, permission, session};
use crate::state::{GroupState, Session};

const FIRST: [&str; 32] = [
    "amber", "bold", "brave", "brisk", "bright", "calm", "clever", "coral", "crisp", "deft", "eager", "fair",
    "fleet", "gentle", "glad", "golden", "hardy", "jolly", "keen", "kind", "lively", "lucid", "mellow",
    "merry", "nimble", "quick", "quiet", "rapid", "sharp", "silver", "steady", "sunny",
];

const SECOND: [&str; 32] = [
    "badger", "beaver", "bison", "condor", "crane", "dolphin", "eagle", "falcon", "ferret", "finch", "fox",
    "gecko", "heron", "ibis", "jaguar", "kestrel", "lark", "lynx", "marten", "otter", "owl", "panda",
    "puffin", "raven", "robin", "seal", "sparrow", "swift", "tapir", "tern", "weasel", "wren",
];

/// Joins the caller to the group: adds it if it is not there, and opens its session.
pub(super) fn join(state: &GroupState, call: &Call, join: &JoinGroup) -> Result<Decision> {
    let Some(id) = call.by.actor() else {
        return Err(Error::refused(format!("{} joins no group: actors do", call.by))
            .hint("`cccc join --id NAME`, or without a name to be given one"));
    };
    let known = state.actor(id).is_some();
    match join.arrival {
        Arrival::New if known => return Err(Error::conflict(format!("{id} is taken"))),
        Arrival::Returning if !known => return Err(permission::unknown_actor(state, id)),
        Arrival::Named | Arrival::Returning | Arrival::New => {}
    }
    let mut decision = Decision::nothing();
    if !known {
        let add = AddActor {
            title: join.title.clone(),
            labels: join.labels.clone(),
            runtime: Some(join.session.runtime.clone()).filter(|runtime| !runtime.is_empty()),
            ephemeral: true,
            ..AddActor::new(id.clone())
        };
        decision = actor::add(state, call, &add)?;
    }
    decision.drafts.extend(session::open_of(state, id, &join.session)?);
    Ok(decision)
}

/// The actor that a session was before: the one whose newest session was of the same program, the same
/// session of that program, and the same directory. Where programs do not tell their sessions apart, one
/// that still runs is somebody else.
#[must_use]
pub fn returning<'a>(state: &'a GroupState, facts: &Facts, open: &OpenSession) -> Option<&'a ActorId> {
    let same = |before: &Session| {
        before.runtime == open.runtime
            && before.agent_session_id == open.agent_session_id
            && before.cwd == open.cwd
            && (open.agent_session_id.is_some()
                || !before.open
                || facts.condition(&before.session) == Condition::Absent)
    };
    let before = state.actors().iter().filter(|(_, actor)| actor.session.as_ref().is_some_and(same));
    before.max_by_key(|(_, actor)| actor.last_seen).map(|(id, _)| id)
}

/// A readable name that no actor of the group has or is remembered to have had; `seed` is random.
///
/// # Errors
/// `Invalid` never, as all names are well-formed.
pub fn fresh_name(state: &GroupState, seed: u64) -> Result<ActorId> {
    let taken = |id: &ActorId| {
        state.actor(id).is_some()
            || state.tombstones().iter().any(|tombstone| tombstone.who.actor() == Some(id))
    };
    let word = |words: &[&'static str; 32], bits: u64| {
        usize::try_from(bits & 31).ok().and_then(|at| words.get(at).copied()).unwrap_or_default()
    };
    let mut n = seed;
    let mut round = 0_u64;
    loop {
        let name = format!("{}-{}", word(&FIRST, n), word(&SECOND, n >> 5));
        // After all pairs, with numbers: there are fewer actors than that, so this ends.
        let id = ActorId::new(if round < 1024 { name } else { format!("{name}-{round}") })?;
        if !taken(&id) {
            return Ok(id);
        }
        (n, round) = (n.wrapping_add(1), round + 1);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::command::Command;
    use crate::error::ErrorKind;
    use crate::event::{GroupUpdate, JoinPolicy};
    use crate::rule::desk::Desk;

    fn session(name: &str, agent_session_id: Option<&str>, cwd: &str) -> OpenSession {
        OpenSession {
            session: name.into(),
            runtime: "claude".into(),
            agent_session_id: agent_session_id.map(Into::into),
            cwd: cwd.into(),
            branch: None,
        }
    }

    fn joining(open: OpenSession, arrival: Arrival) -> Command {
        Command::Join(JoinGroup { session: open, arrival, ..JoinGroup::default() })
    }

    #[test]
    fn joining_adds_and_opens_in_one() {
        let mut desk = Desk::with(&["lead"]);
        let done = desk.run("otter", joining(session("s", None, "/a"), Arrival::New)).unwrap();
        assert_eq!(done.kinds(), ["actor.add", "session.open"]);
        let otter = desk.state().actor(&"otter".parse().unwrap()).unwrap();
        assert!(otter.ephemeral && otter.session.as_ref().is_some_and(|s| s.open && s.generation == 1));
        assert_eq!(otter.runtime.as_deref(), Some("claude"));
        for (by, name, arrival, expected) in [
            ("otter", "s", Arrival::Named, Ok(vec![])),
            ("otter", "t", Arrival::Named, Ok(vec!["session.open"])),
            ("lead", "l", Arrival::Returning, Ok(vec!["session.open"])),
            ("otter", "u", Arrival::New, Err(ErrorKind::Conflict)),
            ("heron", "u", Arrival::Returning, Err(ErrorKind::NotFound)),
            ("heron", "s", Arrival::New, Ok(vec!["actor.add", "session.open"])),
            ("robin", "t", Arrival::New, Err(ErrorKind::Conflict)),
            ("robin", "", Arrival::New, Err(ErrorKind::Invalid)),
            ("user", "u", Arrival::Named, Err(ErrorKind::Refused)),
        ] {
            let done = desk.run(by, joining(session(name, None, "/a"), arrival));
            let kinds = done.as_ref().map(crate::rule::desk::Done::kinds).map_err(Error::kind);
            assert_eq!(kinds, expected, "{by} {name} {arrival:?}");
        }
        assert!(!desk.state().actor(&"lead".parse().unwrap()).unwrap().ephemeral);
        for join in [JoinPolicy::Ask, JoinPolicy::Closed] {
            let update = GroupUpdate { join: Some(join), ..GroupUpdate::default() };
            desk.run("user", Command::UpdateGroup(update)).unwrap();
            let new = joining(session("z", None, ""), Arrival::New);
            assert_eq!(desk.clone().run("wren", new).unwrap_err().kind(), ErrorKind::Refused);
            let old = joining(session("z", None, ""), Arrival::Named);
            assert!(desk.clone().run("lead", old).is_ok(), "whoever was added comes in");
        }
        assert_eq!(desk.rebuilt(), *desk.state());
    }

    #[test]
    fn who_was_here_before_is_known_again() {
        let mut desk = Desk::with(&["lead"]);
        desk.run("otter", joining(session("s1", Some("c1"), "/a"), Arrival::New)).unwrap();
        desk.run("heron", joining(session("s2", None, "/b"), Arrival::New)).unwrap();
        let mut facts = Facts::default();
        facts.add("s1".into(), Condition::Present);
        facts.add("s2".into(), Condition::Present);
        let mut gone = Facts::default();
        gone.add("s2".into(), Condition::Absent);
        for (open, facts, expected) in [
            (session("n", Some("c1"), "/a"), &facts, Some("otter")),
            (session("n", Some("c2"), "/a"), &facts, None),
            (session("n", Some("c1"), "/b"), &facts, None),
            (session("n", None, "/a"), &facts, None),
            (session("n", None, "/b"), &facts, None),
            (session("n", None, "/b"), &Facts::default(), None),
            (session("n", None, "/b"), &gone, Some("heron")),
        ] {
            let found = returning(desk.state(), facts, &open).map(ActorId::as_str);
            assert_eq!(found, expected, "{open:?}");
        }
        desk.run("heron", Command::CloseSession { session: "s2".into(), reason: None }).unwrap();
        let found = returning(desk.state(), &facts, &session("n", None, "/b"));
        assert_eq!(found.map(ActorId::as_str), Some("heron"));
    }

    #[test]
    fn every_name_is_new_and_well_formed() {
        let mut desk = Desk::with(&["amber-badger"]);
        assert_eq!(fresh_name(desk.state(), 0).unwrap().as_str(), "bold-badger");
        for n in 0..40 {
            let id = fresh_name(desk.state(), 0).unwrap();
            let open = session(&format!("s{n}"), None, "");
            desk.run(id.as_str(), joining(open, Arrival::New)).unwrap();
        }
        let remove = crate::event::ActorRemove {
            actor_id: "bold-badger".parse().unwrap(),
            reason: String::new(),
            successor: None,
        };
        desk.run("user", Command::RemoveActor(remove)).unwrap();
        assert_ne!(fresh_name(desk.state(), 1).unwrap().as_str(), "bold-badger", "nobody takes its place");
        for first in FIRST {
            for second in SECOND {
                ActorId::new(format!("{first}-{second}")).unwrap();
            }
        }
    }
}
