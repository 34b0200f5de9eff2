//! Two agents of different makers answer each other: two real programs at once in one project, each with a model of
//! its own that answers what came in.
//!
//! Every message but the last asks for a reply. At the end nobody owes anything, and each text reached the other's
//! model once.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use serde_json::{Value, json};

use super::mail::sent_with;
use super::{Proofs, ensure, set_up, verified};
use crate::catalog::Agent;
use crate::install::Tools;
use crate::model::request::{Request, field};
use crate::model::{Model, Script, Step};
use crate::place::Place;
use crate::session::{Session, Stage};
use crate::{CONVERSATION, Failure, print};

/// Who talks, in which program: the first begins.
const TALKERS: [(&str, &str); 2] = [("ann", "claude"), ("ben", "codex")];
/// How many messages ask for a reply.
const TURNS: u64 = 10;
/// How long all of it may take.
const BOUND: Duration = Duration::from_secs(180);
/// How often one looks into an inbox that has nothing, each time waiting [`WAIT_SECONDS`].
const PATIENCE: u32 = 8;
const WAIT_SECONDS: u64 = 15;

/// Holds it.
pub(crate) fn hold(tools: &Tools, cccc: &Path, agents: &BTreeMap<String, Agent>) -> Result<Proofs, Failure> {
    let mut proofs = Proofs::new(CONVERSATION);
    let place = Arc::new(Place::new(CONVERSATION, cccc)?);
    let mut stages = Vec::new();
    let mut models = Vec::new();
    for (actor, name) in TALKERS {
        let agent = agents.get(name).ok_or_else(|| format!("agents.toml has no {name}"))?;
        tools.install(name, agent)?;
        models.push(Model::start(place.root().join("model").join(actor))?);
        stages.push((name, agent));
    }
    let stages: Vec<Stage<'_>> = stages
        .into_iter()
        .zip(&models)
        .map(|((name, agent), model)| Stage {
            tools,
            place: &place,
            name,
            agent,
            port: model.port(),
            actor: None,
        })
        .collect();
    if proofs.prove("setup", || prepared(&place, &stages)) && proofs.prove("talk", || talk(&stages, &models))
    {
        proofs.prove("all met", || met(&place));
        proofs.prove("exactly once", || once(&place, &models));
    }
    proofs.prove("ledger", || verified(&place));
    if proofs.failed() {
        print(&format!("   everything of this run is in {}\n", place.root().display()));
        place.keep();
    }
    Ok(proofs)
}

fn prepared(place: &Place, stages: &[Stage<'_>]) -> Result<String, Failure> {
    place.cccc(&["attach"])?;
    for (actor, name) in TALKERS {
        place.cccc(&["actor", "add", actor, "--runtime", name])?;
    }
    for stage in stages {
        set_up(*stage)?;
    }
    Ok("one home, one project, two programs".to_owned())
}

/// Both work at the same time.
fn talk(stages: &[Stage<'_>], models: &[Model]) -> Result<String, Failure> {
    for (model, (number, (actor, _))) in models.iter().zip(TALKERS.iter().enumerate()) {
        let other = TALKERS.get(1 - number).map_or("", |(other, _)| other);
        model.follow(script(actor, other, number == 0));
    }
    let outcomes: Vec<Result<(), Failure>> = std::thread::scope(|scope| {
        let talkers: Vec<_> = stages
            .iter()
            .map(|stage| {
                scope.spawn(move || {
                    let mut session = Session::open(*stage)?;
                    session.prompt("Talk with your colleague until you are done.", BOUND)?;
                    session.close();
                    Ok(())
                })
            })
            .collect();
        talkers
            .into_iter()
            .map(|talker| talker.join().unwrap_or_else(|_| Err("a thread of the suite failed".to_owned())))
            .collect()
    });
    for ((actor, _), outcome) in TALKERS.iter().zip(outcomes) {
        outcome.map_err(|why| format!("{actor}: {why}"))?;
    }
    let requests: Vec<String> =
        models.iter().map(|model| model.log(|log| log.requests()).to_string()).collect();
    Ok(format!("{} requests to the models", requests.join(" and ")))
}

/// The text of a turn.
fn text_of(turn: u64) -> String {
    format!("This is turn {turn:02} of our talk")
}

/// Which turn a text is.
fn turn_of(text: &str) -> Option<u64> {
    (1..=TURNS + 1).find(|turn| text.contains(&text_of(*turn)))
}

/// Where a talker is.
enum Next {
    Join,
    Begin,
    Wait,
    Read,
    Done,
}

/// The model of one talker: it joins, perhaps begins, and answers what it finds in its inbox.
fn script(actor: &'static str, other: &'static str, begins: bool) -> Script {
    let mut next = Next::Join;
    let mut empty = 0;
    let look = || Step::call("cccc_inbox_list", json!({"wait_seconds": WAIT_SECONDS}));
    Box::new(move |request: &Request| match next {
        Next::Join => {
            next = if begins { Next::Begin } else { Next::Wait };
            Step::call("cccc_bootstrap", json!({"as": actor}))
        }
        Next::Begin => {
            next = Next::Wait;
            Step::call(
                "cccc_message_send",
                json!({"to": [other], "text": text_of(1), "reply_required": true}),
            )
        }
        Next::Wait => {
            next = Next::Read;
            look()
        }
        Next::Read => {
            let answer = request.last_tool().unwrap_or_default();
            let Some(message) = field(answer, "messages").and_then(|list| list.as_array()?.first().cloned())
            else {
                empty += 1;
                return if empty > PATIENCE { Step::say(&format!("Nothing came: {answer}")) } else { look() };
            };
            let (seq, turn) =
                (message.get("seq").cloned(), message.get("text").and_then(Value::as_str).and_then(turn_of));
            let (Some(seq), Some(turn)) = (seq, turn) else {
                return Step::say(&format!("What is this? {message}"));
            };
            if turn > TURNS {
                next = Next::Done;
                return Step::call("cccc_inbox_mark_read", json!({"seqs": [seq]}));
            }
            next = if turn < TURNS { Next::Wait } else { Next::Done };
            let reply = json!({"seq": seq, "text": text_of(turn + 1), "reply_required": turn < TURNS});
            Step::call("cccc_message_reply", reply)
        }
        Next::Done => Step::say("We are done."),
    })
}

/// That each message asked and was answered, and that nobody owes anything.
fn met(place: &Place) -> Result<String, Failure> {
    for turn in 1..=TURNS {
        let sent = sent_with(place, &text_of(turn))?;
        let [(by, event)] = sent.as_slice() else {
            return Err(format!("turn {turn} is {} times on the ledger", sent.len()));
        };
        let expected =
            TALKERS.iter().cycle().nth(usize::try_from(turn).unwrap_or(0) + 1).map_or("", |(actor, _)| actor);
        ensure(by == expected, || format!("turn {turn} is from {by}, not from {expected}"))?;
        let seq = event.get("seq").map(ToString::to_string).unwrap_or_default();
        let receipts = place.json(&["receipts", &seq])?;
        let reply = receipts.first().and_then(|receipt| receipt.get("reply")?.as_str());
        ensure(reply == Some("met"), || format!("the reply to turn {turn} is {reply:?}: {receipts:?}"))?;
    }
    let owed = place.json(&["obligations", "--all"])?;
    ensure(owed.is_empty(), || format!("something is still owed: {owed:?}"))?;
    Ok(format!("{TURNS} messages asked, {TURNS} were answered"))
}

/// That each text reached the other's model once, and nobody's twice.
fn once(place: &Place, models: &[Model]) -> Result<String, Failure> {
    for turn in 1..=TURNS + 1 {
        let text = text_of(turn);
        let receiver = usize::from(turn % 2 == 1);
        for (number, (model, (actor, _))) in models.iter().zip(TALKERS).enumerate() {
            let times = model.log(|log| log.reached(&text)).times;
            let expected = usize::from(number == receiver);
            ensure(times == expected, || {
                format!("turn {turn} reached {actor} {times} times, not {expected}")
            })?;
        }
        ensure(sent_with(place, &text)?.len() == 1, || format!("turn {turn} was sent twice"))?;
    }
    Ok(format!("{} texts, each once", TURNS + 1))
}
