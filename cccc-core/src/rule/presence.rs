//! What has to be put in order: claims of dead deliverers, sessions that ended without a word, actors that stay
//! away, and votes, questions and requests for approval whose time is over.
//!
//! Whether a session runs is found outside and comes in as [`Facts`]. What has to be done comes out as
//! [`Upkeep`], each a command for whoever keeps the group; doing one twice, or by two hosts, does it once.
//! Of what cannot be told, nothing follows.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::command::{Command, Outcome};
use crate::error::Result;
use crate::event::{ActorRemove, GroupMode};
use crate::id::{ActorId, ApprovalId, EventId, VoteId};
use crate::rule::actor::departure;
use crate::rule::delivery::DELIVERER_DIED;
use crate::rule::permission::owner;
use crate::rule::{Call, Decision, Resolved, approval, question, vote};
use crate::state::{Actor, GroupState};
use crate::time::Timestamp;

/// An ephemeral actor that was not seen for so long is retired.
pub const RETIRE_AFTER: Duration = Duration::from_secs(24 * 60 * 60);

/// Most things to do that are named at a time; what is beyond is named the next time.
pub const MAX_UPKEEP: usize = 1_000;

/// Whether a session runs.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema,
)]
#[serde(rename_all = "snake_case")]
pub enum Condition {
    /// It left a trace, and nothing of it runs any more.
    Absent,
    /// That cannot be told from here.
    #[default]
    Unknown,
    /// It runs.
    Present,
}

/// What was found out about sessions.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Facts(BTreeMap<String, Condition>);

impl Facts {
    /// Adds what one trace of a session says: a session is present if any process of it is.
    pub fn add(&mut self, session: String, condition: Condition) {
        let known = self.0.entry(session).or_insert(condition);
        *known = (*known).max(condition);
    }

    /// Whether a session runs.
    #[must_use]
    pub fn condition(&self, session: &str) -> Condition {
        self.0.get(session).copied().unwrap_or_default()
    }

    /// Whether an actor is present: its newest session runs.
    #[must_use]
    pub fn of_actor(&self, actor: &Actor) -> Condition {
        match &actor.session {
            Some(session) if session.open => self.condition(&session.session),
            _ => Condition::Absent,
        }
    }
}

/// Something that has to be done.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case", tag = "upkeep")]
pub enum Upkeep {
    /// The deliverer has died before it said how a delivery ended.
    LoseClaim {
        /// The claim.
        delivery: EventId,
    },
    /// A session's process has ended, and the session did not say so.
    CloseSession {
        /// Which.
        session: String,
    },
    /// An ephemeral actor stayed away.
    Retire {
        /// Which.
        actor_id: ActorId,
    },
    /// The time of a vote is over.
    EndVote {
        /// Which.
        vote: VoteId,
    },
    /// The time of a request for approval is over.
    EndApproval {
        /// Which.
        approval: ApprovalId,
    },
    /// The time of a question is over, and nobody has answered it.
    EndQuestion {
        /// The message that asks.
        question: EventId,
    },
}

impl Upkeep {
    /// The command that does it; the system gives it.
    #[must_use]
    pub fn command(&self) -> Command {
        match self {
            Self::LoseClaim { delivery } => {
                Command::Settle { delivery: *delivery, outcome: Outcome::Ambiguous(DELIVERER_DIED.into()) }
            }
            Self::CloseSession { session } => Command::CloseSession {
                session: session.clone(),
                reason: Some("its process has ended".into()),
            },
            Self::Retire { actor_id } => Command::RetireActor { actor_id: actor_id.clone() },
            Self::EndVote { vote } => Command::CloseVote { vote: *vote, reason: String::new() },
            Self::EndApproval { approval } => {
                Command::CloseApproval { approval: *approval, reason: String::new() }
            }
            Self::EndQuestion { question } => Command::CloseQuestion { question: (*question).into() },
        }
    }

    /// Since when it has to be done; where that is not known, `now`.
    pub(super) fn due_at(&self, state: &GroupState, now: Timestamp) -> Timestamp {
        let known = match self {
            Self::LoseClaim { .. } | Self::CloseSession { .. } => None,
            Self::Retire { actor_id } => {
                state.actor(actor_id).map(|actor| actor.last_seen.after(RETIRE_AFTER))
            }
            Self::EndVote { vote } => state.votes().get(vote).map(|vote| vote::over_at(state, vote, now)),
            Self::EndApproval { approval } => {
                state.approvals().get(approval).map(|one| approval::over_at(state, one, now))
            }
            Self::EndQuestion { question } => {
                let open = state.questions().get(&question.seq);
                open.and_then(|question| question::over_at(state, question, now))
            }
        };
        known.unwrap_or(now)
    }
}

/// What has to be done now.
#[must_use]
pub fn due(state: &GroupState, facts: &Facts, now: Timestamp) -> Vec<Upkeep> {
    if state.mode() == GroupMode::Archived {
        return Vec::new();
    }
    let claims: BTreeSet<EventId> = state
        .mailboxes()
        .values()
        .flat_map(|mailbox| mailbox.flights.values())
        .filter(|flight| flight.state.is_open())
        .filter(|flight| {
            let session = flight.session.as_deref();
            session.is_some_and(|session| facts.condition(session) == Condition::Absent)
        })
        .map(|flight| flight.delivery)
        .collect();
    let ended = state.actors().values().filter_map(|actor| {
        let session = actor.session.as_ref().filter(|session| session.open)?;
        let gone = facts.condition(&session.session) == Condition::Absent;
        gone.then(|| Upkeep::CloseSession { session: session.session.clone() })
    });
    let stayed_away = state.actors().iter().filter(|(_, actor)| may_retire(state, actor, now));
    let over = state.votes().values().filter(|vote| may_end(state) && vote::over_at(state, vote, now) <= now);
    let undecided = state
        .approvals()
        .values()
        .filter(|approval| may_end(state) && approval::over_at(state, approval, now) <= now);
    let unanswered = state.questions().values().filter(|question| {
        may_end(state) && question::over_at(state, question, now).is_some_and(|over| over <= now)
    });
    claims
        .into_iter()
        .map(|delivery| Upkeep::LoseClaim { delivery })
        .chain(over.map(|vote| Upkeep::EndVote { vote: vote.id() }))
        .chain(undecided.map(|approval| Upkeep::EndApproval { approval: approval.id() }))
        .chain(unanswered.map(|question| Upkeep::EndQuestion { question: question.event_id }))
        .chain(ended)
        .chain(stayed_away.map(|(id, _)| Upkeep::Retire { actor_id: id.clone() }))
        .take(MAX_UPKEEP)
        .collect()
}

/// Of sessions that are known to be dead, those of which nothing is to be said on the ledger: all but the open
/// ones of actors, which are closed first.
#[must_use]
pub fn leftovers(state: &GroupState, mut dead: Vec<String>) -> Vec<String> {
    if state.mode() == GroupMode::Archived {
        return Vec::new();
    }
    let open = |session: &String| {
        let newest = state.actors().values().filter_map(|actor| actor.session.as_ref());
        newest.filter(|newest| newest.open).any(|newest| newest.session == *session)
    };
    dead.retain(|session| !open(session));
    dead
}

/// When [`due`] may next say something new although nothing happens.
#[must_use]
pub fn next_deadline(state: &GroupState, now: Timestamp) -> Option<Timestamp> {
    let leaves = |actor: &&Actor| actor.ephemeral && actor.session.as_ref().is_none_or(|s| !s.open);
    let awaited = matches!(state.mode(), GroupMode::Active | GroupMode::Idle);
    let latest =
        state.actors().values().filter(leaves).map(|actor| actor.last_seen.after(RETIRE_AFTER)).min();
    let votes = state.votes().values().map(|vote| vote::over_at(state, vote, now));
    let questions = state.questions().values().filter_map(|question| question::over_at(state, question, now));
    let approvals = state.approvals().values().map(|approval| approval::over_at(state, approval, now));
    let over = votes.chain(questions).chain(approvals).min();
    latest.filter(|_| awaited).into_iter().chain(over.filter(|_| may_end(state))).min()
}

/// Whether votes, questions and requests come to their end: not while their clocks stand still, and nothing is written to an archive.
fn may_end(state: &GroupState) -> bool {
    !matches!(state.mode(), GroupMode::Paused | GroupMode::Archived)
}

/// Whether an actor came by itself, has no session, and was not seen for a day. Rest of the whole group is
/// not held against it.
fn may_retire(state: &GroupState, actor: &Actor, now: Timestamp) -> bool {
    actor.ephemeral
        && matches!(state.mode(), GroupMode::Active | GroupMode::Idle)
        && actor.session.as_ref().is_none_or(|session| !session.open)
        && now.since(actor.last_seen) >= RETIRE_AFTER
}

/// Removes an ephemeral actor that stayed away. If it has come back meanwhile, nothing is written.
pub(super) fn retire(state: &GroupState, call: &Call, id: &ActorId, resolved: &Resolved) -> Result<Decision> {
    owner(state, call, "retire an actor")?;
    match state.actor(id) {
        Some(actor) if may_retire(state, actor, call.now) => {
            let remove = ActorRemove {
                actor_id: id.clone(),
                reason: "it stayed away for a day".into(),
                successor: None,
            };
            Ok(Decision::write(departure(state, call, remove, None, resolved)))
        }
        _ => Ok(Decision::nothing()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::command::{JoinGroup, OpenSession};
    use crate::error::ErrorKind;
    use crate::rule::desk::{Desk, message};

    const DAY: u64 = 24 * 60 * 60;

    fn facts(of: &[(&str, Condition)]) -> Facts {
        let mut facts = Facts::default();
        of.iter().for_each(|(session, condition)| facts.add((*session).into(), *condition));
        facts
    }

    fn joined(desk: &mut Desk, id: &str, session: &str) {
        let open = OpenSession { session: session.into(), ..OpenSession::default() };
        desk.run(id, Command::Join(JoinGroup { session: open, ..JoinGroup::default() })).unwrap();
    }

    /// Does what is due, as the system; answers what that was.
    fn keep(desk: &mut Desk, facts: &Facts) -> Vec<Upkeep> {
        let due = due(desk.state(), facts, desk.now);
        for upkeep in &due {
            desk.run("system", upkeep.command()).unwrap();
        }
        due
    }

    #[test]
    fn one_process_of_a_session_is_enough() {
        let facts = facts(&[("s", Condition::Absent), ("s", Condition::Present), ("s", Condition::Unknown)]);
        assert_eq!(facts.condition("s"), Condition::Present);
        assert_eq!(facts.condition("other"), Condition::Unknown);
    }

    #[test]
    fn an_ephemeral_actor_is_retired_a_day_after_it_was_last_seen() {
        let mut desk = Desk::with(&["lead"]);
        joined(&mut desk, "guest", "s");
        let sent = desk.send("lead", message("x", &["guest"]));
        desk.wait(3 * DAY);
        for condition in [Condition::Present, Condition::Unknown] {
            assert!(keep(&mut desk, &facts(&[("s", condition)])).is_empty(), "{condition:?}");
        }
        let gone = facts(&[("s", Condition::Absent)]);
        assert_eq!(keep(&mut desk, &gone), [Upkeep::CloseSession { session: "s".into() }]);
        assert!(keep(&mut desk, &gone).is_empty(), "the day begins when it was seen to be gone");
        let deadline = next_deadline(desk.state(), desk.now).unwrap();
        assert_eq!(deadline, desk.now.after(RETIRE_AFTER));
        desk.wait(DAY - 1);
        assert!(keep(&mut desk, &gone).is_empty());
        desk.wait(1);
        let guest = "guest".parse().unwrap();
        assert_eq!(keep(&mut desk, &gone), [Upkeep::Retire { actor_id: guest }]);
        assert!(keep(&mut desk, &gone).is_empty());
        assert!(desk.receipt(sent, "guest").starts_with("guest: bounced (guest was removed"));
        assert_eq!(next_deadline(desk.state(), desk.now), None);
    }

    #[test]
    fn whoever_comes_back_or_was_added_by_others_stays() {
        let mut desk = Desk::with(&["lead"]);
        joined(&mut desk, "guest", "s");
        desk.run("guest", Command::CloseSession { session: "s".into(), reason: None }).unwrap();
        desk.wait(DAY);
        let nobody = Facts::default();
        let late = due(desk.state(), &nobody, desk.now);
        assert_eq!(late.len(), 1, "the lead was added by the user, and stays");
        joined(&mut desk, "guest", "t");
        assert!(desk.run("system", late[0].command()).unwrap().events.is_empty(), "back in time");
        let retire = late[0].command();
        assert_eq!(desk.run("lead", retire).unwrap_err().kind(), ErrorKind::Refused);
        desk.run("guest", Command::CloseSession { session: "t".into(), reason: None }).unwrap();
        desk.wait(DAY);
        desk.mode(GroupMode::Paused);
        assert!(due(desk.state(), &nobody, desk.now).is_empty(), "nobody is expected in a paused group");
    }
}
