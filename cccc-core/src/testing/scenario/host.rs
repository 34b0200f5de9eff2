//! What a host does, for scenarios: policies and schedules that are due, deliveries, upkeep.
//!
//! No frontend has commands for these, because a running host does them by itself. Where a door is a
//! frontend of another process, the test plays the host: it opens the same home, as a host would.

use serde_json::{Map, Value, json};

use super::Call;
use crate::command::{Command, Outcome};
use crate::engine::Executed;
use crate::error::{Error, Result};
use crate::event::Event;
use crate::group::Group;

/// Carries out an operation of a host (one without a command). The group is bound to whoever does it.
///
/// # Errors
/// What the rules refuse; `Invalid` for an operation that is none of a host's.
pub async fn perform(group: &Group, call: &Call<'_>) -> Result<Value> {
    let text = |name: &str| call.arguments.get(name).and_then(Value::as_str).unwrap_or_default();
    match call.verb.name {
        "host due" => due(group).await,
        "host upkeep" => Ok(json!(group.upkeep().await?)),
        "host claim" => {
            let events = call.arguments.get("events").and_then(Value::as_array).into_iter().flatten();
            let events = events.filter_map(Value::as_str).map(str::parse).collect::<Result<_>>()?;
            let transport = match text("transport") {
                "" => json!("push"),
                name => json!(name),
            };
            let transport = serde_json::from_value(transport).map_err(|e| unknown("transport", &e))?;
            let recipient = text("recipient").parse()?;
            done(&group.execute(Command::Claim { recipient, events, transport }).await?)
        }
        "host settle" => {
            let reason = text("reason").to_owned();
            let evidence = call.arguments.get("reason").cloned().unwrap_or_default();
            let by = Some(text("by")).filter(|by| !by.is_empty()).map(|by| by.to_owned().into());
            let outcome = match text("outcome") {
                "handed" => Outcome::Handed(evidence),
                "queued" => Outcome::Queued(evidence),
                "accepted" => Outcome::Accepted { by, evidence },
                "answered" => Outcome::Answered { by, evidence },
                "held" => Outcome::Held(reason),
                "refused" => Outcome::Refused(reason),
                "withdrawn" => Outcome::Withdrawn(reason),
                "failed" => Outcome::Failed(reason),
                "ambiguous" => Outcome::Ambiguous(reason),
                "bounced" => Outcome::Bounced(reason),
                other => return Err(unknown("outcome", &other)),
            };
            let delivery = text("delivery").parse()?;
            done(&group.execute(Command::Settle { delivery, outcome }).await?)
        }
        other => Err(unknown("operation of a host", &other)),
    }
}

fn unknown(what: &str, value: &dyn std::fmt::Display) -> Error {
    Error::invalid(format!("scenarios know no such {what}: {value}"))
}

/// Carries out all that is due, as two hosts would that look at the same time: the second finds it done.
/// Answers with the events that came of it.
async fn due(group: &Group) -> Result<Value> {
    let mut events = Vec::new();
    let effects = group.due().await?;
    for effect in effects.iter().chain(&effects) {
        for event in group.carry_out(effect).await?.events {
            events.push(of_event(&event)?);
        }
    }
    Ok(Value::Array(events))
}

fn of_event(event: &Event) -> Result<Value> {
    let unreadable = |e| Error::invalid("an event cannot be read back").source(e);
    let mut fields = Map::new();
    fields.insert("kind".into(), json!(event.body.kind()));
    fields.insert("data".into(), serde_json::from_str(&event.body.data_json()?).map_err(unreadable)?);
    Ok(Value::Object(fields))
}

fn done(executed: &Executed) -> Result<Value> {
    serde_json::to_value(crate::answer::Done::of(executed))
        .map_err(|e| Error::invalid("the answer cannot be written as JSON").source(e))
}
