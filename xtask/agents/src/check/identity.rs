//! That an agent which comes again is who it was, and that two which are there at once are two.

use std::time::{Duration, Instant};

use serde_json::{Value, json};

use super::tools::{Found, TURN, always, found, have};
use super::{Proofs, ensure};
use crate::Failure;
use crate::model::request::field;
use crate::model::{Model, Script, Step};
use crate::session::{Session, Stage};

/// How long a session may take to be over.
const LEAVING: Duration = Duration::from_secs(30);

/// Proves it of an agent that was this actor before.
pub(crate) fn prove(proofs: &mut Proofs, stage: Stage<'_>, model: &Model, actor: &str, thread: Option<&str>) {
    let at_once = stage.agent.long().is_some();
    proofs.prove("comes back", || {
        left(stage, actor)?;
        let mut first = Session::open_long(stage, thread)?;
        let again = joined(&mut first, model)?;
        // One that says which session it is, is known again by that; a new session is somebody else.
        let known = thread.is_some() || !stage.agent.told;
        ensure((again == actor) == known, || format!("it was {actor} and comes back as {again}"))?;
        if !at_once {
            first.close();
            return Ok(format!("as {again}"));
        }
        let mut second = Session::open_long(stage, None)?;
        let other = joined(&mut second, model)?;
        second.close();
        first.close();
        ensure(other != again, || format!("two sessions at once are both {again}"))?;
        Ok(format!("as {again}; a second one beside it is {other}"))
    });
}

/// Waits until the session before is over: a program may end a moment before the server that it started does.
fn left(stage: Stage<'_>, actor: &str) -> Result<(), Failure> {
    let until = Instant::now() + LEAVING;
    loop {
        let who = stage.place.json(&["who"])?;
        let member =
            who.into_iter().find(|member| member.get("actor_id").and_then(Value::as_str) == Some(actor));
        let presence = member.and_then(|member| Some(member.get("presence")?.as_str()?.to_owned()));
        if presence.as_deref() == Some("absent") {
            return Ok(());
        }
        ensure(Instant::now() < until, || format!("{actor} has left, but is {presence:?}"))?;
        std::thread::sleep(Duration::from_millis(50));
    }
}

/// Has a session join; as whom.
fn joined(session: &mut Session<'_>, model: &Model) -> Result<String, Failure> {
    let actor: Found<String> = Found::default();
    let joined = actor.clone();
    let look: Script = Box::new(move |request| {
        if let Some(Value::String(id)) = request.last_tool().and_then(|answer| field(answer, "actor")) {
            found(&joined, id);
        }
        Step::say("I am here.")
    });
    model.steps(vec![always(Step::call("cccc_bootstrap", json!({}))), look]);
    session.prompt("Join the group of this directory.", TURN)?;
    have(&actor, "bootstrap").map_err(|why| format!("{why}; it said:\n{}", session.said()))
}
