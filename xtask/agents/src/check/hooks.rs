//! That a message reaches the model through our hooks, in the moment that is claimed and once, and that the ledger
//! knows.
//!
//! Mail waits for an actor that the environment names, and comes with the start of its session. Then a session that
//! nobody named: urgent mail comes while a tool works; mail comes when the turn is about to end; mail waits when it is
//! told the next thing. It is sent to whom our tools say that the session is, so it only comes if the hooks and the
//! server of tools are the same actor; what was urgent is acknowledged with our tools, which nobody else can.

use std::sync::{Arc, Mutex, PoisonError};

use serde_json::{Value, json};

use super::mail::Mail;
use super::tools::{Found, TURN, always, found, have};
use super::{Proofs, ensure};
use crate::Failure;
use crate::catalog::{Drive, Path};
use crate::model::request::{Request, field};
use crate::model::{Model, Script, Step};
use crate::place::Place;
use crate::session::{Session, Stage};

/// A message and the request in which it must be.
#[derive(Clone)]
struct Expected {
    path: Path,
    mail: Mail,
    request: usize,
}

/// Sends what the claimed paths are to bring, and remembers it for the proof.
#[derive(Clone)]
struct Sender {
    place: Arc<Place>,
    claims: Vec<Path>,
    sent: Arc<Mutex<Vec<Result<Expected, Failure>>>>,
}

impl Sender {
    /// Sends it, if the path is claimed; it must be in the request of this number.
    fn send(&self, path: Path, to: &str, request: usize, more: &[&str]) -> Option<u64> {
        if !self.claims.contains(&path) {
            return None;
        }
        let mail = Mail::send(&self.place, to, path.name(), more);
        let seq = mail.as_ref().ok().map(|mail| mail.seq);
        let expected = mail.map(|mail| Expected { path, mail, request });
        self.sent.lock().unwrap_or_else(PoisonError::into_inner).push(expected);
        seq
    }
}

/// Whom the environment names.
const NAMED: &str = "zoe";

/// Proves each path that is claimed.
pub(crate) fn prove(proofs: &mut Proofs, stage: Stage<'_>, model: &Model) {
    if !proofs.prove("hooks set up", || set_up(stage)) {
        return;
    }
    let claims = stage.agent.paths.clone();
    let sender = Sender { place: stage.place.clone(), claims, sent: Arc::default() };
    if stage.agent.claims(Path::Start) {
        proofs.prove("begins", || begins(stage, model, &sender));
    }
    proofs.prove("works", || works(stage, model, &sender));
    if stage.agent.claims(Path::Prompt) && stage.agent.drive == Drive::Once {
        proofs.prove("goes on", || goes_on(stage, model, &sender));
    }
    let all = std::mem::take(&mut *sender.sent.lock().unwrap_or_else(PoisonError::into_inner));
    for one in all {
        match one {
            Ok(expected) => {
                proofs.prove(expected.path.name(), || expected.arrived(stage, model));
            }
            Err(why) => {
                proofs.prove("mail", || Err(why));
            }
        }
    }
}

impl Expected {
    fn arrived(&self, stage: Stage<'_>, model: &Model) -> Result<String, Failure> {
        let copies = stage.agent.copies.get(self.path.name()).copied().unwrap_or(1);
        let first = self.mail.arrived_once(stage.place, model, "hook", copies)?;
        ensure(first.request == self.request, || {
            format!("it came with request {}, not {}", first.request + 1, self.request + 1)
        })?;
        let receipt = self.mail.receipt(stage.place)?;
        if self.path == Path::Tool {
            let ack = receipt.get("ack").and_then(Value::as_str);
            ensure(ack == Some("met"), || format!("it was acknowledged with our tools, but: {receipt}"))?;
        }
        let evidence = receipt.get("evidence").map(ToString::to_string).unwrap_or_default();
        Ok(format!("exactly once, in request {}; evidence {evidence}", first.request + 1))
    }
}

fn set_up(stage: Stage<'_>) -> Result<String, Failure> {
    let path = stage.tools.path(stage.name, stage.agent);
    stage.place.cccc_beside(&["setup", "--runtime", stage.name, "--hooks"], &path)?;
    stage.place.cccc_beside(&["setup", "--runtime", stage.name, "--hooks", "--check"], &path)?;
    Ok(String::new())
}

/// A session that is named by its environment begins, with mail.
fn begins(stage: Stage<'_>, model: &Model, sender: &Sender) -> Result<String, Failure> {
    stage.place.cccc(&["actor", "add", NAMED])?;
    sender.send(Path::Start, NAMED, model.log(|log| log.requests()), &[]);
    model.steps(vec![always(Step::say("I have begun."))]);
    let mut session = Session::open(Stage { actor: Some(NAMED), ..stage })?;
    session.prompt("Look around.", TURN)?;
    session.close();
    Ok(format!("as {NAMED}"))
}

/// A session that nobody named works; where it can be told more, it is.
fn works(stage: Stage<'_>, model: &Model, sender: &Sender) -> Result<String, Failure> {
    let Some(native) = &stage.agent.native else {
        return Err("agents.toml names no tool of its own".to_owned());
    };
    let tool = native.tool.clone();
    let arguments: Value = serde_json::from_str(&stage.place.filled(&native.arguments, stage.port))
        .map_err(|e| format!("agents.toml: the arguments of {tool}: {e}"))?;
    let (actor, urgent): (Found<String>, Found<u64>) = Default::default();
    let (during, ending) = (sender.clone(), sender.clone());
    let (known, seq) = (actor.clone(), urgent.clone());
    model.steps(vec![
        always(Step::call("cccc_bootstrap", json!({}))),
        learning(&actor, move |request, id| {
            if let Some(number) = during.send(Path::Tool, id, request.number + 1, &["--attention"]) {
                found(&seq, number);
            }
            Step::call(&tool, arguments.clone())
        }),
        Box::new(move |request| {
            if let Ok(id) = have(&known, "bootstrap") {
                ending.send(Path::Stop, &id, request.number + 1, &[]);
            }
            Step::say("I think that I am done.")
        }),
        Box::new(move |_| match have(&urgent, "its tool") {
            Ok(seq) => Step::call("cccc_message_ack", json!({"seq": seq})),
            Err(_) => Step::say("I am done."),
        }),
        always(Step::say("Now I am done.")),
    ]);
    let mut session = Session::open(stage)?;
    session.prompt("Look around.", TURN)?;
    let id = have(&actor, "bootstrap").map_err(|why| format!("{why}; it said:\n{}", session.said()))?;
    if stage.agent.drive != Drive::Once {
        told_more(&mut session, model, sender, &id)?;
    }
    session.close();
    Ok(format!("as {id}"))
}

/// A session of many prompts, for agents that are mostly run for one.
fn goes_on(stage: Stage<'_>, model: &Model, sender: &Sender) -> Result<String, Failure> {
    let actor: Found<String> = Found::default();
    model.steps(vec![
        always(Step::call("cccc_bootstrap", json!({}))),
        learning(&actor, |_, _| Step::say("I am here.")),
    ]);
    let mut session = Session::open_long(stage, None)?;
    session.prompt("Join the group of this directory.", TURN)?;
    let id = have(&actor, "bootstrap").map_err(|why| format!("{why}; it said:\n{}", session.said()))?;
    told_more(&mut session, model, sender, &id)?;
    session.close();
    Ok(format!("as {id}"))
}

/// Tells the agent the next thing, with mail that waits.
fn told_more(session: &mut Session<'_>, model: &Model, sender: &Sender, id: &str) -> Result<(), Failure> {
    model.steps(vec![always(Step::say("I see."))]);
    sender.send(Path::Prompt, id, model.log(|log| log.requests()), &[]);
    session.prompt("Look around again.", TURN)
}

/// The step that learns from our tools who the session is, and then takes the next.
fn learning(actor: &Found<String>, then: impl Fn(&Request, &str) -> Step + Send + 'static) -> Script {
    let actor = actor.clone();
    Box::new(move |request| match request.last_tool().and_then(|text| field(text, "actor")) {
        Some(Value::String(id)) => {
            found(&actor, id.clone());
            then(request, &id)
        }
        _ => Step::say("I don't know who I am."),
    })
}
