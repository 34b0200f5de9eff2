//! `cccc schema`

use cccc_core::answer::{ActorAnswer, Done, JoinAnswer};
use cccc_core::event::Body;
use cccc_core::ledger::file::Stats;
use cccc_core::{ErrorKind, GroupSummary, Member, Message, ObligationView, PersonView, Receipt, Sent};
use clap::Args;
use schemars::{JsonSchema, Schema, schema_for};
use serde::Serialize;
use serde_json::{Map, Value, json};

use super::attach::AttachAnswer;
use super::doctor::DoctorAnswer;
use super::group::{DeleteAnswer, ScopeAnswer};
use super::groups::{GroupLine, UseAnswer};
use super::ledger::{DamageAnswer, ExportAnswer, PathAnswer, RepairAnswer, VerifyAnswer};
use super::statusline::StatuslineAnswer;
use super::version::VersionAnswer;
use super::who::WhoamiAnswer;
use crate::context::Context;
use crate::hook::trouble::Trouble;
use crate::output::Outcome;

/// Print the JSON schemas of all events and answers, as one JSON document
///
/// `events` has the schema of `data` for each kind, `envelope` that of what is around it, `answers` what
/// each command prints on --json (for those marked `lines`, each line of it), `error` what is printed on
/// standard error.
#[derive(Args, Debug)]
#[command(after_help = "Examples:
  cccc schema > cccc.schema.json
  cccc schema | jq '.events[\"chat.message\"]'")]
pub(crate) struct SchemaArgs {}

/// What a refusal looks like on `--json`.
#[derive(Debug, Serialize, JsonSchema)]
struct ErrorLine {
    error: ErrorBody,
}

#[derive(Debug, Serialize, JsonSchema)]
struct ErrorBody {
    kind: ErrorKind,
    message: String,
    /// What to do next.
    hint: Option<String>,
    /// After how long a retry is worth it.
    retry_after_ms: Option<u64>,
}

pub(crate) fn cmd_schema(context: &Context, _: &SchemaArgs) -> Outcome {
    let document = document();
    if context.out.is_json() {
        return context.out.json(&document);
    }
    context.out.line(format!("{document:#}"))
}

fn document() -> Value {
    let events: Map<String, Value> =
        Body::schemas().into_iter().map(|(kind, schema)| (kind.to_owned(), schema.into())).collect();
    let sent = || one(schema_for!(Sent));
    let mut document = json!({
        "version": env!("CARGO_PKG_VERSION"),
        "envelope": envelope(),
        "events": events,
        "answers": {
            "attach": one(schema_for!(AttachAnswer)),
            "status": one(schema_for!(GroupSummary)),
            "who": lines(schema_for!(Member)),
            "join": one(schema_for!(JoinAnswer)),
            "leave": done(),
            "whoami": one(schema_for!(WhoamiAnswer)),
            "hook": lines(schema_for!(Trouble)),
            "statusline": one(schema_for!(StatuslineAnswer)),
            "version": one(schema_for!(VersionAnswer)),
            "groups": lines(schema_for!(GroupLine)),
            "use": one(schema_for!(UseAnswer)),
            "group create": one(schema_for!(AttachAnswer)),
            "group show": one(schema_for!(GroupSummary)),
            "group update": done(),
            "group pause": done(),
            "group state": done(),
            "group resume": done(),
            "group archive": done(),
            "group delete": one(schema_for!(DeleteAnswer)),
            "group scope add": one(schema_for!(ScopeAnswer)),
            "group scope remove": one(schema_for!(ScopeAnswer)),
            "actor add": one(schema_for!(ActorAnswer)),
            "actor list": lines(schema_for!(Member)),
            "actor update": done(),
            "actor remove": done(),
            "person add": one(schema_for!(PersonView)),
            "person list": lines(schema_for!(PersonView)),
            "person remove": done(),
            "send": sent(),
            "reply": sent(),
            "ack": done(),
            "read": done(),
            "cancel": done(),
            "retract": done(),
            "retry": done(),
            "redact": done(),
            "inbox": lines(schema_for!(Message)),
            "receipts": lines(schema_for!(Receipt)),
            "obligations": lines(schema_for!(ObligationView)),
            "ledger verify": json!({
                "schema": schema_for!(VerifyAnswer),
                "failed": schema_for!(DamageAnswer),
            }),
            "ledger repair": one(schema_for!(RepairAnswer)),
            "ledger stats": one(schema_for!(Stats)),
            "ledger export": one(schema_for!(ExportAnswer)),
            "ledger path": one(schema_for!(PathAnswer)),
            "doctor": one(schema_for!(DoctorAnswer)),
            "demo": one(schema_for!(crate::demo::DemoAnswer)),
        },
        "error": schema_for!(ErrorLine),
    });
    if let Some(answers) = document.get_mut("answers").and_then(Value::as_object_mut) {
        let of_families = [
            super::context::answers(),
            super::reserve::answers(),
            super::vote::answers(),
            super::question::answers(),
            super::approval::answers(),
            super::pin::answers(),
            super::label::answers(),
            super::task::answers(),
            super::waits::answers(),
            super::policy::answers(),
            super::notices::answers(),
            super::schedule::answers(),
            super::relay::answers(),
            super::bundle::answers(),
            super::setup::answers(),
            super::runtime::answers(),
            super::memory::answers(),
        ];
        answers.extend(of_families.into_iter().flatten().map(|(name, answer)| (name.to_owned(), answer)));
    }
    document
}

/// The answers of a family of commands, by command.
pub(crate) type Answers = Vec<(&'static str, Value)>;

/// A command that answers with one object.
pub(crate) fn one(schema: Schema) -> Value {
    json!({ "schema": schema })
}

/// A command that answers with objects, one a line.
pub(crate) fn lines(schema: Schema) -> Value {
    json!({ "lines": true, "schema": schema })
}

/// A command that answers with [`Done`].
pub(crate) fn done() -> Value {
    one(schema_for!(Done))
}

/// A line of a ledger, which is what `tail`, `show` and `ledger export` print. The order of the fields is
/// part of the format, see docs/ledger-format.md.
fn envelope() -> Value {
    json!({
        "type": "object",
        "required": ["v", "seq", "id", "ts", "kind", "group_id", "scope_key", "by", "data", "chain"],
        "properties": {
            "v": {"const": 1},
            "seq": {"type": "integer", "minimum": 1},
            "id": {"type": "string"},
            "ts": {"type": "string", "format": "date-time"},
            "kind": {"type": "string"},
            "group_id": {"type": "string"},
            "scope_key": {"type": "string"},
            "by": {"type": "string"},
            "via": {"type": "object", "properties": {
                "door": {"type": "string"}, "session": {"type": "string"},
            }, "required": ["door"]},
            "must": {"type": "boolean"},
            "b": {"type": "integer", "minimum": 0},
            "u": {"type": "integer", "minimum": 0},
            "data": {"type": "object"},
            "chain": {"type": "string", "pattern": "^[0-9a-f]{20}$"},
        },
    })
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use clap::{Command, CommandFactory};

    use super::*;

    /// Commands without an answer of their own: they print events, whose schemas are under `envelope` and
    /// `events`, text that is the same with and without `--json`, or, for `mcp`, another protocol.
    const OTHERS: [&str; 5] = ["show", "tail", "completions", "schema", "mcp"];

    /// The commands that do something, by their full names.
    fn leaves(command: &Command, name: &str, into: &mut BTreeSet<String>) {
        for sub in command.get_subcommands().filter(|sub| !sub.is_hide_set()) {
            let full = format!("{name} {}", sub.get_name());
            match sub.has_subcommands() {
                true => leaves(sub, &full, into),
                false => drop(into.insert(full.trim().to_owned())),
            }
        }
    }

    #[test]
    fn every_command_has_its_answer_in_the_document() {
        let mut commands = BTreeSet::new();
        leaves(&crate::cli::Cli::command(), "", &mut commands);
        let document = document();
        let answers = document.get("answers").and_then(Value::as_object).map(|answers| answers.keys());
        let answers: BTreeSet<&str> = answers.into_iter().flatten().map(String::as_str).collect();
        let missing: Vec<&String> = commands
            .iter()
            .filter(|name| !answers.contains(name.as_str()) && !OTHERS.contains(&name.as_str()))
            .collect();
        assert!(missing.is_empty(), "without a schema: {missing:?}");
        // Where an answer depends on a flag, that is named behind the command.
        let unknown: Vec<&&str> = answers
            .iter()
            .filter(|name| !commands.contains(name.split(" --").next().unwrap_or_default()))
            .collect();
        assert!(unknown.is_empty(), "schemas of commands that are not there: {unknown:?}");
    }
}
