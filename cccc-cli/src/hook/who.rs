//! As whom a hook speaks: the session that the agent's program has running, found by its process and by its own
//! id of it; else, when a session begins, by joining.

use cccc_core::rule::briefing::Moment;
use cccc_core::{ActorId, Agent, ErrorKind, Group, Process, Result};

use super::Ask;
use super::input::Input;
use crate::setup::catalog;

/// The session that a hook belongs to.
#[derive(Debug)]
pub(crate) struct Seat {
    /// The group, bound to the session's actor.
    pub(crate) group: Group,
    /// The session.
    pub(crate) session: String,
}

/// Who it is.
#[derive(Debug)]
pub(crate) enum Found {
    /// This session.
    Seat(Seat),
    /// One that receives nothing any more, with what may be said of it.
    Replaced(String),
    /// Nobody that is known here.
    Nobody,
}

/// What the hook can tell of the program that runs it.
fn agent(ask: &Ask, input: &Input) -> Agent {
    Agent {
        runtime: ask.runtime.clone(),
        agent_session_id: input.session.clone(),
        process: Process::caller(),
        above: Process::ancestors(),
        one_session: false,
        fresh: false,
    }
}

/// Whether each process of the agent's program is one session.
fn is_one_session(ask: &Ask) -> bool {
    let known = catalog::runtimes(&ask.home);
    known.iter().any(|one| one.name == ask.runtime && one.one_session)
}

/// Finds out who it is; `moment` is `None` where nothing is to be begun.
pub(crate) async fn find(ask: &Ask, input: &Input, group: &Group, moment: Option<Moment>) -> Result<Found> {
    let mut agent = agent(ask, input);
    agent.fresh = moment == Some(Moment::Start) && input.begins_anew();
    let named = |id: &str| ask.named.as_deref().is_none_or(|named| named == id);
    let mut running = group.running(&agent).await?;
    // The catalog is only read where the session's own id does not tell.
    if running.is_none() && is_one_session(ask) {
        agent.one_session = true;
        running = group.running(&agent).await?;
    }
    let running = running.filter(|one| named(one.actor_id.as_str()));
    let starts = moment == Some(Moment::Start);
    let running = match running {
        Some(one) if one.is_replaced() && one.newest.open => {
            return Ok(Found::Replaced(format!(
                "This session was {} in the group of this directory until a newer one ({}) took its place: mail goes there. \
                 cccc_bootstrap {{\"as\":\"{0}\"}} takes it back; {{\"as\":\"auto\"}} goes on under another name.",
                one.actor_id, one.newest.cwd
            )));
        }
        // It said that it ended.
        Some(one) if one.is_replaced() => None,
        running => running,
    };
    if moment.is_none() {
        return Ok(running.map_or(Found::Nobody, |one| seat(group, &one.actor_id, &one.session)));
    }
    let mut request = group.join().runtime(&agent.runtime).directory(ask.directory(input));
    if let Some(id) = &agent.agent_session_id {
        request = request.agent_session(id);
    }
    if let Some(process) = &agent.process {
        request = request.process(process.clone());
    }
    let request = match (running, &ask.named, &ask.inherited) {
        (Some(one), ..) => {
            // So that it is known again, and goes on when the server of tools that began it does not.
            let whole = one.stands_alone && one.is_known_as(agent.agent_session_id.as_deref());
            if whole || agent.process.is_none() {
                return Ok(seat(group, &one.actor_id, &one.session));
            }
            request.id(one.actor_id.as_str()).session(one.session)
        }
        (None, Some(id), _) => request.id(id),
        (None, None, Some(id)) => request.inherited_id(id, agent.above.clone()),
        (None, None, None) if starts || agent.agent_session_id.is_some() => request,
        (None, None, None) => return Ok(Found::Nobody),
    };
    match if starts { request.await } else { request.quietly().await } {
        Ok(joined) => {
            let session = joined.session;
            let found = seat(group, &joined.actor_id, session.id());
            // It lasts as long as the agent's process, and this program is gone in a moment.
            session.hand_over().await?;
            Ok(found)
        }
        Err(error) if !starts && matches!(error.kind(), ErrorKind::NotFound | ErrorKind::Conflict) => {
            Ok(Found::Nobody)
        }
        Err(error) => Err(error),
    }
}

fn seat(group: &Group, actor: &ActorId, session: &str) -> Found {
    Found::Seat(Seat { group: group.of_actor(actor), session: session.to_owned() })
}
