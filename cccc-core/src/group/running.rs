//! Finding the session that an agent's program has running already, so that whatever the program starts
//! (a server of tools, a hook, a command) is that session and not another one.

use std::collections::BTreeSet;

use super::{Group, SessionView};
use crate::blocking::off_thread;
use crate::error::Result;
use crate::id::{ActorId, Principal};
use crate::presence::{Process, Sighting};
use crate::rule::presence::Condition;

/// An agent's program as seen by something that it has started.
#[derive(Clone, Debug, Default)]
pub struct Agent {
    /// The program (`claude`, `codex`...).
    pub runtime: String,
    /// The program's own id of its session, if it says so.
    pub agent_session_id: Option<String>,
    /// Its process.
    pub process: Option<Process>,
    /// The processes above, nearest first, with that process.
    pub above: Vec<Process>,
    /// Whether each process of this program is one session, so that a new session of the program in the same
    /// process is the same agent with its context cleared. Else only the session's id tells who it is.
    pub one_session: bool,
    /// Whether it says that this is a new session, and none that goes on.
    pub fresh: bool,
}

/// A session that an agent's program has running.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Running {
    /// Whose it is.
    pub actor_id: ActorId,
    /// The session, as the actor's newest is now.
    pub newest: SessionView,
    /// Its id.
    pub session: String,
    /// Whether it would go on without the programs of ours that hold its lock.
    pub stands_alone: bool,
}

impl Running {
    /// Whether a newer session has taken its place: it receives nothing any more.
    #[must_use]
    pub fn is_replaced(&self) -> bool {
        self.newest.session != self.session || !self.newest.open
    }

    /// Whether the program's own id of its session is written down for it.
    #[must_use]
    pub fn is_known_as(&self, agent_session_id: Option<&str>) -> bool {
        agent_session_id.is_none() || self.newest.agent_session_id.as_deref() == agent_session_id
    }
}

impl Group {
    /// The same group in the name of an actor that is known to be there, without looking.
    #[must_use]
    pub fn of_actor(&self, id: &ActorId) -> Self {
        Self { by: id.clone().into(), ..self.clone() }
    }

    /// The running session that an agent's program is in this group: the one with its own id of it; else the
    /// only one of its process, where each process is one session.
    ///
    /// # Errors
    /// `Unavailable` if the disk refuses.
    pub async fn running(&self, agent: &Agent) -> Result<Option<Running>> {
        self.settle_joins().await?;
        let mut sightings = self.sightings().await?;
        let held: Vec<String> =
            sightings.iter().filter(|one| one.held).map(|one| one.record.session.clone()).collect();
        sightings.retain(|one| one.condition == Condition::Present && is_of(agent, one));
        if sightings.is_empty() {
            return if agent.process.is_none() { self.said_to_run(agent, &held).await } else { Ok(None) };
        }
        let found = |state: &crate::state::GroupState| {
            let mut found: Vec<(bool, Running)> = Vec::new();
            for sighting in &sightings {
                let Some(id) = sighting.record.principal.actor() else { continue };
                let Some(newest) = state.actor(id).and_then(|actor| actor.session.as_ref()) else { continue };
                // Of one that was replaced it is not known any more of which program it was.
                if newest.session == sighting.record.session && newest.runtime != agent.runtime {
                    continue;
                }
                let nearest = agent.process.is_some() && sighting.record.process == agent.process;
                match found.iter_mut().find(|(_, one)| one.session == sighting.record.session) {
                    Some((near, one)) => {
                        *near |= nearest;
                        one.stands_alone |= !sighting.held;
                    }
                    None => found.push((
                        nearest,
                        Running {
                            actor_id: id.clone(),
                            newest: SessionView::from(newest),
                            session: sighting.record.session.clone(),
                            stands_alone: !sighting.held,
                        },
                    )),
                }
            }
            found
        };
        let found = self.shared.engine.query(found).await?;
        Ok(chosen(agent, found))
    }

    /// Finds out, of each session that somebody was joining with who is gone since, whether it has begun, and has that
    /// known: it is a session like any other, or nothing is left of it. So however often a program is stopped while
    /// it joins, it is one session.
    ///
    /// # Errors
    /// `Unavailable` if the disk refuses.
    pub(crate) async fn settle_joins(&self) -> Result<()> {
        let half_made: Vec<String> = self
            .sightings()
            .await?
            .into_iter()
            .filter_map(|one| one.half_made.then_some(one.record.session))
            .collect();
        if half_made.is_empty() {
            return Ok(());
        }
        // The dead write nothing more, but what they wrote last need not be durable yet.
        self.shared.engine.settle().await?;
        let begun = self.shared.engine.query(|state| {
            let newest = |id: &ActorId| state.actor(id)?.session.as_ref().filter(|session| session.open);
            let actors = state.actors().keys();
            actors.filter_map(|id| Some((id.clone().into(), newest(id)?.session.clone()))).collect()
        });
        let begun: BTreeSet<(Principal, String)> = begun.await?;
        let presence = self.shared.presence.clone();
        off_thread("settling who has joined", move || {
            presence.settle(&half_made, |record| {
                begun.contains(&(record.principal.clone(), record.session.clone()))
            })
        })
        .await
    }

    /// Where processes cannot be told apart: the session that has the program's own id of it and has not said
    /// that it ended.
    async fn said_to_run(&self, agent: &Agent, held: &[String]) -> Result<Option<Running>> {
        let same = |session: &&crate::state::Session| {
            session.open
                && session.runtime == agent.runtime
                && agent.agent_session_id.is_some()
                && session.agent_session_id == agent.agent_session_id
        };
        let found = |state: &crate::state::GroupState| {
            state.actors().iter().find_map(|(id, actor)| {
                let session = actor.session.as_ref().filter(same)?;
                Some(Running {
                    actor_id: id.clone(),
                    newest: SessionView::from(session),
                    session: session.session.clone(),
                    stands_alone: !held.contains(&session.session),
                })
            })
        };
        self.shared.engine.query(found).await
    }
}

/// Whether this may be a session of the agent's program: that process, or one that started it.
fn is_of(agent: &Agent, sighting: &Sighting) -> bool {
    let is = |process: &Option<Process>| process.as_ref().is_some_and(|one| agent.above.contains(one));
    is(&sighting.record.process) || is(&sighting.record.program)
}

/// Of the sessions that may be meant (each with whether it is of the very process), the one that is.
fn chosen(agent: &Agent, mut found: Vec<(bool, Running)>) -> Option<Running> {
    // Those that receive come first.
    found.sort_by_key(|(_, one)| one.is_replaced());
    if let Some(id) = agent.agent_session_id.as_deref()
        && let Some(at) = found.iter().position(|(_, one)| one.newest.agent_session_id.as_deref() == Some(id))
    {
        return Some(found.swap_remove(at).1);
    }
    if !agent.one_session {
        return None;
    }
    found.retain(|(nearest, one)| {
        let other = agent.fresh && agent.agent_session_id.is_some() && one.newest.agent_session_id.is_some();
        *nearest && !other
    });
    let receives = found.iter().filter(|(_, one)| !one.is_replaced()).count();
    if receives > 1 {
        return None;
    }
    found.into_iter().next().map(|(_, one)| one)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn running(name: &str, agent: Option<&str>) -> Running {
        let newest = SessionView {
            session: name.into(),
            generation: 1,
            runtime: "claude".into(),
            agent_session_id: agent.map(Into::into),
            cwd: String::new(),
            branch: None,
            open: true,
        };
        Running { actor_id: "otter".parse().unwrap(), newest, session: name.into(), stands_alone: true }
    }

    #[test]
    fn the_sessions_own_id_tells_and_else_the_process_if_it_is_one_session() {
        let one = || vec![(true, running("s1", Some("c1")))];
        let two = || vec![(true, running("s1", Some("c1"))), (true, running("s2", Some("c2")))];
        let unknown = || vec![(true, running("s1", None))];
        let above = || vec![(false, running("s1", None))];
        let mut replaced = running("s0", Some("c1"));
        replaced.newest.session = "s9".into();
        let old = || vec![(true, replaced.clone()), (true, running("s1", Some("c1")))];
        let gone = || vec![(true, replaced.clone())];
        for (found, id, one_session, fresh, expected) in [
            (one(), Some("c1"), true, true, Some("s1")),
            (one(), Some("c1"), false, true, Some("s1")),
            // Its context was cleared, or a session beside it began.
            (one(), Some("c2"), true, false, Some("s1")),
            (one(), Some("c2"), true, true, None),
            (one(), Some("c2"), false, false, None),
            (one(), None, true, true, Some("s1")),
            (two(), Some("c2"), true, false, Some("s2")),
            (two(), Some("c3"), true, false, None),
            (two(), None, true, false, None),
            (unknown(), Some("c1"), true, true, Some("s1")),
            (unknown(), Some("c1"), false, true, None),
            (above(), Some("c1"), true, false, None),
            (old(), Some("c1"), true, false, Some("s1")),
            (gone(), Some("c1"), true, false, Some("s0")),
        ] {
            let agent =
                Agent { agent_session_id: id.map(Into::into), one_session, fresh, ..Agent::default() };
            let got = chosen(&agent, found.clone()).map(|one| one.session);
            assert_eq!(got.as_deref(), expected, "{id:?} {one_session} {fresh} {found:?}");
        }
    }
}
