//! That a message reaches the model through our hooks, in the moment that is claimed and once, and that the ledger
//! knows.
//!
//! One session: mail waits when it starts; urgent mail comes while a tool works; mail comes when the turn is about
//! to end; mail waits when it is told the next thing. The mail that was urgent is acknowledged with our tools, which
//! only the actor to whom the hooks gave it can do.

use std::sync::{Arc, Mutex, PoisonError};

use serde_json::{Value, json};

use super::mail::Mail;
use super::tools::{TURN, always};
use super::{Proofs, ensure};
use crate::Failure;
use crate::catalog::{Drive, Path};
use crate::model::{Model, Script, Step};
use crate::session::{Session, Stage};

/// A message and the request in which it must be.
#[derive(Clone)]
struct Expected {
    path: Path,
    mail: Mail,
    request: usize,
}

/// What was sent, as the script sends it.
type Sent = Arc<Mutex<Vec<Result<Expected, Failure>>>>;

/// Proves each path that is claimed.
pub(crate) fn prove(proofs: &mut Proofs, stage: Stage<'_>, model: &Model, actor: &str) {
    if !proofs.prove("hooks set up", || set_up(stage)) {
        return;
    }
    let sent = Sent::default();
    if !proofs.prove("told by hooks", || told(stage, model, actor, &sent)) {
        return;
    }
    let all = std::mem::take(&mut *sent.lock().unwrap_or_else(PoisonError::into_inner));
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
        let first = self.mail.arrived_once(stage.place, model, "hook")?;
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

/// Holds the session.
fn told(stage: Stage<'_>, model: &Model, actor: &str, sent: &Sent) -> Result<String, Failure> {
    let Some(native) = &stage.agent.native else {
        return Err("agents.toml names no tool of its own".to_owned());
    };
    let arguments: Value = serde_json::from_str(&stage.place.filled(&native.arguments, stage.port))
        .map_err(|e| format!("agents.toml: the arguments of {}: {e}", native.tool))?;
    let tool = native.tool.clone();
    let begin = model.log(|log| log.requests());
    // Sends what the claimed path is to bring, with the request in which it must be.
    let send = |path: Path, request: usize, more: &'static [&'static str]| {
        let (place, actor, sent) = (stage.place.clone(), actor.to_owned(), sent.clone());
        let claimed = stage.agent.claims(path);
        move || {
            if claimed {
                let mail = Mail::send(&place, &actor, path.name(), more);
                let expected = mail.map(|mail| Expected { path, mail, request });
                sent.lock().unwrap_or_else(PoisonError::into_inner).push(expected);
            }
        }
    };
    send(Path::Start, begin, &[])();
    let during = send(Path::Tool, begin + 1, &["--attention"]);
    let ending = send(Path::Stop, begin + 2, &[]);
    let urgent = sent.clone();
    let mut steps: Vec<Script> = vec![
        Box::new(move |_| {
            during();
            Step::call(&tool, arguments.clone())
        }),
        Box::new(move |_| {
            ending();
            Step::say("I think that I am done.")
        }),
    ];
    steps.push(Box::new(move |_| match urgent_seq(&urgent) {
        Some(seq) => Step::call("cccc_message_ack", json!({"seq": seq})),
        None => Step::say("I am done."),
    }));
    steps.push(always(Step::say("Now I am done.")));
    model.steps(steps);
    let mut session = Session::open(stage)?;
    session.prompt("Look around.", TURN)?;
    if stage.agent.claims(Path::Prompt) && stage.agent.long().is_some() {
        if stage.agent.drive == Drive::Once {
            // A session of many prompts is another one, and what its start brings comes with the first.
            session.close();
            model.steps(vec![always(Step::say("I am here."))]);
            session = Session::open_long(stage)?;
            session.prompt("Are you here?", TURN)?;
        }
        send(Path::Prompt, model.log(|log| log.requests()), &[])();
        model.steps(vec![always(Step::say("I see."))]);
        session.prompt("Look around again.", TURN)?;
    }
    session.close();
    Ok(format!("{} requests", model.log(|log| log.requests()) - begin))
}

fn urgent_seq(sent: &Sent) -> Option<u64> {
    let sent = sent.lock().unwrap_or_else(PoisonError::into_inner);
    sent.iter().flatten().find(|one| one.path == Path::Tool).map(|one| one.mail.seq)
}
