//! That an agent is set up by us in a fresh home, starts our server, and uses our tools when its model says so.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use serde_json::{Value, json};

use super::mail::{LEAD, Mail, from_a_tool, sent_with};
use super::{Proofs, ensure, set_up};
use crate::catalog::{Drive, Path};
use crate::model::request::{Request, field};
use crate::model::{Model, Script, Step};
use crate::place::Place;
use crate::session::{Session, Stage};
use crate::{Failure, process};

/// How long a turn may take.
pub(crate) const TURN: Duration = Duration::from_secs(180);
/// How long it may take an agent to list its servers.
const LISTING: Duration = Duration::from_secs(90);

/// What the agent says to the lead.
const HELLO: &str = "Hello, I am here";

/// Something that a script finds out, for the proof to look at afterwards.
pub(crate) type Found<T> = Arc<Mutex<Option<T>>>;

/// Puts it down.
pub(crate) fn found<T>(place: &Found<T>, value: T) {
    *place.lock().unwrap_or_else(PoisonError::into_inner) = Some(value);
}

/// What was found out.
pub(crate) fn have<T: Clone>(place: &Found<T>, what: &str) -> Result<T, Failure> {
    let value = place.lock().unwrap_or_else(PoisonError::into_inner).clone();
    value.ok_or_else(|| format!("the agent never got to {what}"))
}

/// A step that always says the same.
pub(crate) fn always(step: Step) -> Script {
    Box::new(move |_| step.clone())
}

/// Proves it all. The answer is the actor that the agent became, and its own word for the session, if it says one.
pub(crate) fn prove(
    proofs: &mut Proofs,
    stage: Stage<'_>,
    model: &Model,
) -> Option<(String, Option<String>)> {
    let prepared = || {
        stage.place.cccc(&["attach"])?;
        stage.place.cccc(&["actor", "add", LEAD])?;
        set_up(stage)
    };
    if !proofs.prove("setup", prepared) {
        return None;
    }
    if stage.agent.list.is_some() {
        proofs.prove("its mcp list", || listed(stage));
    }
    if stage.agent.drive == Drive::None {
        return None;
    }
    let (actor, mail, thread) = (Found::default(), Found::default(), Found::default());
    let script = first_script(stage.place, &actor, &mail);
    if !proofs.prove("calls our tools", || called(stage, model, script, &actor, &thread)) {
        return None;
    }
    proofs.prove("inbox", || {
        let mail: Mail = have(&mail, "its inbox")??;
        let first = mail.arrived_once(stage.place, model, "pull", stage.agent.copies(Path::Inbox))?;
        from_a_tool(&first)?;
        Ok(format!("exactly once, in request {}", first.request + 1))
    });
    Some((have(&actor, "bootstrap").ok()?, have(&thread, "its session").ok()))
}

/// That the agent itself says that it reaches our server.
fn listed(stage: Stage<'_>) -> Result<String, Failure> {
    let Some(list) = &stage.agent.list else { return Ok(String::new()) };
    let ended = process::run(stage.command(&list.args, ""), LISTING)?;
    // One that is asked for our server alone does not name it again in the line that says so.
    let names_it = list.args.iter().any(|word| word == "cccc");
    let says_so = |line: &&str| line.contains(&list.connected) && (names_it || line.contains("cccc"));
    let line = ended.said.lines().find(says_so);
    let line = line.ok_or_else(|| format!("it does not say {:?}:\n{}", list.connected, ended.said))?;
    let near = line.find(&list.connected).and_then(|at| line.get(at..)).unwrap_or(line);
    Ok(near.chars().take(60).collect())
}

/// It joins, sends, gets mail, looks into its inbox.
fn first_script(
    place: &Arc<Place>,
    actor: &Found<String>,
    mail: &Found<Result<Mail, Failure>>,
) -> Vec<Script> {
    let (place, actor, mail) = (place.clone(), actor.clone(), mail.clone());
    let joined = actor.clone();
    vec![
        always(Step::call("cccc_bootstrap", json!({}))),
        Box::new(move |request| {
            let answer = request.last_tool().unwrap_or_default();
            match field(answer, "actor") {
                Some(Value::String(id)) => found(&joined, id),
                _ => return Step::say(&format!("No actor in {answer:?}")),
            }
            Step::call("cccc_message_send", json!({"to": [LEAD], "text": HELLO, "reply_required": true}))
        }),
        Box::new(move |_: &Request| {
            let sent = have(&actor, "bootstrap").and_then(|id| Mail::send(&place, &id, "inbox", &[]));
            found(&mail, sent);
            Step::call("cccc_inbox_list", json!({"wait_seconds": 10}))
        }),
        always(Step::say("I have read it.")),
    ]
}

/// That the agent did as its model said, in its own name.
fn called(
    stage: Stage<'_>,
    model: &Model,
    script: Vec<Script>,
    actor: &Found<String>,
    thread: &Found<String>,
) -> Result<String, Failure> {
    model.steps(script);
    let mut session = Session::open(stage)?;
    session.prompt("Join the group of this directory and greet the lead.", TURN)?;
    let id = have(actor, "bootstrap").map_err(|why| format!("{why}; it said:\n{}", session.said()))?;
    if let Some(id) = session.thread() {
        found(thread, id.to_owned());
    }
    session.close();
    let sent = sent_with(stage.place, HELLO)?;
    let [(by, event)] = sent.as_slice() else {
        return Err(format!("its greeting is {} times on the ledger", sent.len()));
    };
    ensure(*by == id, || format!("{id} sent it, but it is on the ledger from {by}"))?;
    let who = stage.place.json(&["who"])?;
    let member = who.iter().find(|member| member.get("actor_id").and_then(Value::as_str) == Some(&id));
    let runtime = member.and_then(|member| member.get("runtime")?.as_str()).unwrap_or_default();
    ensure(runtime == stage.name, || format!("{id} is listed as running {runtime:?}, not {}", stage.name))?;
    let door = event.pointer("/via/door").and_then(Value::as_str).unwrap_or_default();
    ensure(door == "mcp", || format!("it came through the door {door:?}"))?;
    Ok(format!("as {id}, {} requests", model.log(|log| log.requests())))
}
