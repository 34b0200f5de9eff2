//! An operation of a scenario, as the calls of tools that carry it out.

use cccc_core::testing::scenario::{Call, duration};
use serde_json::{Map, Value, json};

/// A tool with its arguments.
pub(super) type Said = (&'static str, Value);

/// The arguments of an operation, to be given other names.
#[derive(Clone, Copy)]
struct With<'a>(&'a Map<String, Value>);

impl With<'_> {
    fn get(self, name: &str) -> Option<Value> {
        self.0.get(name).cloned()
    }

    fn has(self, name: &str) -> bool {
        self.0.contains_key(name)
    }

    fn texts(self, name: &str) -> Vec<String> {
        let list = self.0.get(name).and_then(Value::as_array).into_iter().flatten();
        list.map(|one| one.as_str().unwrap().to_owned()).collect()
    }

    /// The arguments that are there, by the names of the tool: `tool` or `tool=scenario`.
    fn named(self, fixed: Value, names: &[&str]) -> Value {
        let Value::Object(mut map) = fixed else { panic!("{fixed} is no object") };
        for name in names {
            let (theirs, ours) = name.split_once('=').unwrap_or((name, name));
            if let Some(value) = self.get(ours) {
                map.insert(theirs.to_owned(), value);
            }
        }
        Value::Object(map)
    }
}

/// The calls of tools that do what is to be done, one after the other.
pub(super) fn said(call: &Call<'_>) -> Vec<Said> {
    let with = With(&call.arguments);
    let (noun, action) = call.verb.name.split_once(' ').unwrap_or((call.verb.name, ""));
    vec![match (noun, action) {
        ("task", action) => return task(action, with),
        ("policy", "set") => ("cccc_group", policy(with)),
        ("group", action) => ("cccc_group", group(action, with)),
        ("actor", action) => (
            "cccc_actor",
            with.named(
                json!({"action": action}),
                &["actor=id", "title", "labels=label", "role", "runtime", "successor", "reason"],
            ),
        ),
        ("label", action) => ("cccc_labels", with.named(json!({}), &[&format!("{action}=labels"), "actor"])),
        ("send" | "reply" | "answer", _) => message(with),
        ("tracked-send", _) => ("cccc_message_send", tracked(with)),
        ("ack", _) => ("cccc_message_ack", with.named(json!({}), &["seq=event"])),
        ("read", _) if with.has("through") => ("cccc_inbox_mark_read", json!({"through": with.get("event")})),
        ("read", _) => ("cccc_inbox_mark_read", json!({"seqs": [with.get("event")]})),
        ("inbox", _) => ("cccc_inbox_list", with.named(json!({}), &["after", "limit"])),
        ("notices", _) => ("cccc_inbox_list", json!({"limit": 0})),
        ("show", _) => {
            let event = with.get("event").unwrap();
            let number = event.as_str().unwrap().split('-').next().unwrap().parse::<u64>().unwrap();
            ("cccc_history", json!({"from": number, "limit": 1}))
        }
        ("context", "show") => ("cccc_context_get", with.named(json!({}), &["key"])),
        ("context", "set") => ("cccc_context_sync", json!({"changes": [entry(with)]})),
        ("agent-state", _) => (
            "cccc_agent_state",
            with.named(
                json!({}),
                &["focus", "next", "blocker", "waiting_for", "lasting=for", "base", "actor"],
            ),
        ),
        ("schedule", action) => ("cccc_automation", schedule(action, with)),
        (noun, action) => ("cccc_coordination", coordination(noun, action, with)),
    }]
}

/// What sends and replies have in common.
const MESSAGE: [&str; 14] = [
    "text",
    "to",
    "reply_required",
    "reply_within",
    "options=option",
    "choice",
    "intent",
    "refs=ref",
    "files=file",
    "format",
    "expires_in=expires",
    "not_if",
    "client_id",
    "supersedes",
];

fn message(with: With<'_>) -> Said {
    let mut arguments = with.named(json!({}), &MESSAGE);
    let fields = arguments.as_object_mut().unwrap();
    for (flag, word) in [("low", "low"), ("attention", "attention")] {
        if with.has(flag) {
            fields.insert("priority".into(), word.into());
        }
    }
    let Some(answered) = with.get("event").or_else(|| with.get("reply_to")) else {
        return ("cccc_message_send", arguments);
    };
    fields.insert("seq".into(), answered);
    for name in ["progress", "quote"] {
        fields.extend(with.get(name).map(|value| (name.to_owned(), value)));
    }
    ("cccc_message_reply", arguments)
}

fn tracked(with: With<'_>) -> Value {
    let fields = ["title", "outcome", "requires=evidence", "depends_on", "checklist=item", "due_within=due"];
    let task = with.named(json!({}), &fields);
    with.named(json!({"task": task}), &["text", "to", "client_id"])
}

fn group(action: &str, with: With<'_>) -> Value {
    let action = match (action, with.get("state")) {
        ("state", Some(state)) => match state.as_str().unwrap() {
            "active" => "resume",
            "paused" => "pause",
            "stopped" => "stop",
            "archived" => "archive",
            other => return json!({"action": other}),
        },
        (action, _) => action,
    };
    with.named(json!({"action": action}), &["title", "default_to", "join", "settings=set", "reason"])
}

fn policy(with: With<'_>) -> Value {
    let (name, after) = (with.get("policy").unwrap(), with.get("after").unwrap());
    let after = match after.as_str().unwrap() {
        "default" => Value::Null,
        "off" => json!(0),
        time => json!(u64::try_from(duration(time).unwrap().as_millis()).unwrap()),
    };
    json!({"action": "update", "settings": {format!("policy.{}_ms", name.as_str().unwrap()): after}})
}

fn entry(with: With<'_>) -> Value {
    let entry = with.named(json!({}), &["key", "text", "base"]);
    if with.has("text") {
        return entry;
    }
    let Value::Object(mut entry) = entry else { panic!("{entry} is no object") };
    if with.has("kind") {
        entry.insert("service".into(), with.named(json!({}), &["kind", "address", "owner"]));
    } else {
        entry.insert("remove".into(), true.into());
    }
    Value::Object(entry)
}

fn schedule(action: &str, with: With<'_>) -> Value {
    let wish = ["start", "stop", "restart"].into_iter().find(|wish| with.has(wish));
    let fixed = match (action, wish) {
        ("add", Some(wish)) => json!({"action": "control", "actor": with.get(wish), "wish": wish}),
        ("add", None) if with.has("set_state") => json!({"action": "state"}),
        ("add", None) => json!({"action": "notice"}),
        (action, _) => json!({"action": action}),
    };
    let fixed = if action == "add" && (with.has("cron") || with.has("at")) && !with.has("tz") {
        let Value::Object(mut fixed) = fixed else { panic!("{fixed} is no object") };
        fixed.insert("tz".into(), "UTC".into());
        Value::Object(fixed)
    } else {
        fixed
    };
    with.named(fixed, &["id", "text", "to", "state=set_state", "every", "cron", "at", "tz"])
}

fn coordination(noun: &str, action: &str, with: With<'_>) -> Value {
    let (action, names): (&str, &[&str]) = match (noun, action) {
        ("who", _) => ("who", &[]),
        ("person", _) => ("people", &[]),
        ("waits", _) => ("waits", &[]),
        ("leave", _) => ("leave", &["reason"]),
        ("receipts" | "cancel" | "retract" | "retry", _) => (noun, &["seq=event", "reason", "to"]),
        ("obligations", _) => ("owed", &["all"]),
        ("context", word) => (word, &["text"]),
        ("reserve", _) if with.has("extend") => ("extend", &["reservation=extend", "for"]),
        ("reserve", _) => ("reserve", &["paths=globs", "for", "purpose"]),
        ("reservations", _) => ("reservations", &["path"]),
        ("release", _) => ("release", &["reservation=id", "reason"]),
        ("vote", "open") => ("vote_open", &["subject=question", "voters=voter", "for"]),
        ("vote", "cast") => ("vote", &["vote", "choice", "reason"]),
        ("vote", "show" | "list") => ("votes", &["vote", "all"]),
        ("vote", "close") => ("vote_close", &["vote", "reason"]),
        ("question", _) => ("questions", &["seq=event"]),
        ("approval", "open") => ("approval_open", &["subject", "for"]),
        ("approval", "allow" | "deny") => {
            let choice = if action == "allow" { "yes" } else { "no" };
            let fixed = json!({"action": "approval_decide", "choice": choice});
            return with.named(fixed, &["approval", "reason"]);
        }
        ("approval", "show" | "list") => ("approvals", &["approval", "all"]),
        ("approval", "close") => ("approval_close", &["approval", "reason"]),
        ("pin", _) => ("pin", &["seq=event", "reason=note"]),
        ("unpin", _) => ("unpin", &["seq=event", "reason"]),
        ("pins", _) => ("pins", &[]),
        _ => panic!("no tool does {noun} {action}"),
    };
    with.named(json!({"action": action}), names)
}

fn task(action: &str, with: With<'_>) -> Vec<Said> {
    let id = with.get("task");
    let does = |action: &str| json!({"action": action, "task": id});
    let one = |arguments: Value| vec![("cccc_task", arguments)];
    match action {
        "add" => one(with.named(
            json!({"action": "add"}),
            &[
                "title",
                "outcome",
                "owner",
                "requires=evidence",
                "checklist=item",
                "depends_on",
                "due_within=due",
                "client_id",
            ],
        )),
        "check" => one(with.named(does(if with.has("undo") { "uncheck" } else { "check" }), &["items"])),
        "handoff" if with.has("to") => one(with.named(does("handoff"), &["owner=to"])),
        "handoff" if with.has("refuse") => one(with.named(does("keep"), &["text=refuse"])),
        "handoff" => one(does("take")),
        "done" => {
            let mut given: Vec<Value> = with.texts("evidence").iter().map(|text| evidence(text)).collect();
            let mut last = with.named(does("done"), &["text", "all_steps"]);
            if let Some(evidence) = given.pop() {
                last.as_object_mut().unwrap().insert("evidence".into(), evidence);
            }
            let before = given.into_iter().map(|evidence| merged(does("evidence"), "evidence", evidence));
            before.chain([last]).map(|arguments| ("cccc_task", arguments)).collect()
        }
        "update" => update(with),
        action => one(with.named(does(action), &["text"])),
    }
}

/// Several changes at once are several calls.
fn update(with: With<'_>) -> Vec<Said> {
    let id = with.get("task");
    let does = |action: &str| json!({"action": action, "task": id});
    let mut calls = Vec::new();
    if with.has("title") || with.has("outcome") {
        calls.push(with.named(does("edit"), &["title", "outcome"]));
    }
    if with.has("owner") {
        calls.push(with.named(does("assign"), &["owner"]));
    }
    if with.has("no_owner") {
        calls.push(merged(does("assign"), "owner", json!("")));
    }
    if with.has("no_longer_depends_on") {
        calls.push(with.named(does("undepend"), &["depends_on=no_longer_depends_on"]));
    }
    if with.has("depends_on") {
        calls.push(with.named(does("depend"), &["depends_on"]));
    }
    for flag in ["start", "plan"] {
        if with.has(flag) {
            calls.push(does(flag));
        }
    }
    for kind in ["item", "note"] {
        calls.extend(with.texts(kind).into_iter().map(|text| merged(does(kind), "text", json!(text))));
    }
    let given = with.texts("evidence");
    calls.extend(given.iter().map(|text| merged(does("evidence"), "evidence", evidence(text))));
    if calls.is_empty() {
        calls.push(does("edit"));
    }
    if let (Some(version), Some(first)) = (with.get("base_version"), calls.first_mut()) {
        *first = merged(first.clone(), "base_version", version);
    }
    calls.into_iter().map(|arguments| ("cccc_task", arguments)).collect()
}

fn merged(mut arguments: Value, name: &str, value: Value) -> Value {
    arguments.as_object_mut().unwrap().insert(name.to_owned(), value);
    arguments
}

/// `commit:1a2b3c4`
fn evidence(text: &str) -> Value {
    let (kind, value) = text.split_once(':').unwrap();
    match kind {
        "command" => json!({"command": value, "exit_code": 0}),
        kind => json!({kind: value}),
    }
}
