//! What a scenario may do: every operation with its arguments, by the names that the CLI gives them.
//!
//! One table for all doors. The CLI's door makes a command line of it, others call what answers to the name;
//! none knows an operation or an argument that is not in here, so a misspelt one cannot pass in silence.

use serde_json::Value;

/// What an argument looks like in JSON.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Shape {
    /// A string.
    Text,
    /// A list of strings.
    Texts,
    /// `true`, or it is left out.
    Flag,
    /// A whole number.
    Number,
    /// A list of whole numbers.
    Numbers,
    /// A duration like `90s`, `15m`, `1h30m`, `2d`.
    Time,
    /// A list of names of the scenario's own files.
    Files,
    /// An object of settings: any JSON value by name.
    Settings,
}

impl Shape {
    /// In words, for documentation and for errors.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Text => "text",
            Self::Texts => "list of texts",
            Self::Flag => "true",
            Self::Number => "number",
            Self::Numbers => "list of numbers",
            Self::Time => "time",
            Self::Files => "list of files",
            Self::Settings => "object",
        }
    }

    /// Whether a value may stand for it. A reference (`$name`) may stand for anything but a flag.
    pub(super) fn fits(self, value: &Value) -> bool {
        let reference = |value: &Value| value.as_str().is_some_and(|text| text.starts_with('$'));
        let each = |one: fn(&Value) -> bool| {
            value.as_array().is_some_and(|values| values.iter().all(|value| one(value) || reference(value)))
        };
        match self {
            Self::Flag => value == &Value::Bool(true),
            _ if reference(value) => true,
            Self::Text => value.is_string(),
            Self::Time => value.as_str().is_some_and(|text| super::read::duration(text).is_some()),
            Self::Number => value.is_u64(),
            Self::Texts | Self::Files => each(Value::is_string),
            Self::Numbers => each(Value::is_u64),
            Self::Settings => value.is_object(),
        }
    }
}

/// An argument of an operation.
#[derive(Clone, Copy, Debug)]
pub struct Argument {
    /// Its name in scenarios; the CLI's flag has `-` for `_`.
    pub name: &'static str,
    /// What it looks like.
    pub shape: Shape,
    /// Whether it has a place of its own on the command line instead of a flag.
    pub positional: bool,
}

/// What an operation answers with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Answer {
    /// One object.
    One,
    /// A list: the CLI prints one object a line.
    List,
}

/// An operation.
#[derive(Clone, Copy, Debug)]
pub struct Verb {
    /// Its name in scenarios.
    pub name: &'static str,
    /// The words of the CLI's command; none for what only a host does.
    pub command: Option<&'static str>,
    /// Its arguments, those with a place first and in their order.
    pub arguments: &'static [Argument],
    /// What it answers with.
    pub answer: Answer,
}

impl Verb {
    /// The operation of this name.
    #[must_use]
    pub fn named(name: &str) -> Option<&'static Self> {
        VERBS.iter().find(|verb| verb.name == name)
    }

    /// Its argument of this name.
    #[must_use]
    pub fn argument(&self, name: &str) -> Option<&'static Argument> {
        self.arguments.iter().find(|argument| argument.name == name)
    }
}

const fn at(name: &'static str, shape: Shape) -> Argument {
    Argument { name, shape, positional: true }
}

const fn flag(name: &'static str, shape: Shape) -> Argument {
    Argument { name, shape, positional: false }
}

const fn verb(name: &'static str, answer: Answer, arguments: &'static [Argument]) -> Verb {
    Verb { name, command: Some(name), arguments, answer }
}

const fn host(name: &'static str, answer: Answer, arguments: &'static [Argument]) -> Verb {
    Verb { name, command: None, arguments, answer }
}

use Answer::{List, One};
use Shape::{Files, Flag, Number, Numbers, Settings, Text, Texts, Time};

const EVENT: &[Argument] = &[at("event", Text)];
const EVENT_REASON: &[Argument] = &[at("event", Text), flag("reason", Text)];
const REASON: &[Argument] = &[flag("reason", Text)];
const TASK_TEXT: &[Argument] = &[at("task", Text), at("text", Text)];
const ID: &[Argument] = &[at("id", Text)];

/// Every operation there is.
pub const VERBS: &[Verb] = &[
    // The group and who is in it.
    verb("status", One, &[]),
    verb("who", List, &[]),
    verb(
        "group update",
        One,
        &[flag("title", Text), flag("default_to", Texts), flag("join", Text), flag("set", Settings)],
    ),
    verb("group pause", One, REASON),
    verb("group resume", One, REASON),
    verb("group archive", One, REASON),
    verb("group state", One, &[at("state", Text), flag("reason", Text)]),
    verb("group export", One, &[at("file", Text)]),
    verb("group import", One, &[at("file", Text)]),
    verb("group gc", One, &[flag("dry_run", Flag)]),
    verb(
        "actor add",
        One,
        &[
            at("id", Text),
            flag("label", Texts),
            flag("title", Text),
            flag("runtime", Text),
            flag("role", Text),
        ],
    ),
    verb(
        "actor update",
        One,
        &[
            at("id", Text),
            flag("label", Texts),
            flag("title", Text),
            flag("runtime", Text),
            flag("role", Text),
        ],
    ),
    verb("actor remove", One, &[at("id", Text), flag("successor", Text), flag("reason", Text)]),
    verb("person add", One, &[at("id", Text), flag("title", Text)]),
    verb("person remove", One, &[at("id", Text), flag("successor", Text), flag("reason", Text)]),
    verb("person list", List, &[]),
    verb("label add", One, &[at("labels", Texts), flag("actor", Text)]),
    verb("label remove", One, &[at("labels", Texts), flag("actor", Text)]),
    verb("label list", List, &[]),
    verb(
        "join",
        One,
        &[
            flag("id", Text),
            flag("title", Text),
            flag("label", Texts),
            flag("runtime", Text),
            flag("agent_session", Text),
        ],
    ),
    verb("leave", One, REASON),
    // Messages.
    verb(
        "send",
        One,
        &[
            at("text", Text),
            flag("reply_to", Text),
            flag("supersedes", Text),
            flag("to", Texts),
            flag("low", Flag),
            flag("attention", Flag),
            flag("reply_required", Flag),
            flag("reply_within", Time),
            flag("option", Texts),
            flag("intent", Text),
            flag("quote", Text),
            flag("format", Text),
            flag("file", Files),
            flag("ref", Texts),
            flag("client_id", Text),
            flag("expires", Time),
            flag("not_if", Texts),
        ],
    ),
    verb(
        "reply",
        One,
        &[
            at("event", Text),
            at("text", Text),
            flag("progress", Flag),
            flag("to", Texts),
            flag("low", Flag),
            flag("attention", Flag),
            flag("reply_required", Flag),
            flag("reply_within", Time),
            flag("option", Texts),
            flag("intent", Text),
            flag("quote", Text),
            flag("format", Text),
            flag("file", Files),
            flag("ref", Texts),
            flag("client_id", Text),
            flag("expires", Time),
            flag("not_if", Texts),
        ],
    ),
    verb("answer", One, &[at("event", Text), at("choice", Text), at("text", Text), flag("client_id", Text)]),
    verb("question list", List, &[]),
    verb("question show", One, EVENT),
    verb("question close", One, EVENT),
    verb("pin", One, &[at("event", Text), at("note", Text)]),
    verb("unpin", One, EVENT_REASON),
    verb("pins", List, &[]),
    verb("ack", One, EVENT),
    verb("read", One, &[at("event", Text), flag("through", Flag)]),
    verb("cancel", One, EVENT_REASON),
    verb("retry", One, &[at("event", Text), flag("to", Text)]),
    verb("retract", One, EVENT_REASON),
    verb("redact", One, EVENT_REASON),
    verb(
        "inbox",
        List,
        &[flag("limit", Number), flag("after", Number), flag("mark_read", Flag), flag("peek", Flag)],
    ),
    verb("receipts", List, EVENT),
    verb("obligations", List, &[flag("mine", Flag), flag("all", Flag)]),
    verb("show", One, EVENT),
    verb("tail", List, &[flag("lines", Number), flag("kind", Text)]),
    verb("notices", List, &[flag("peek", Flag)]),
    verb("relay list", List, &[]),
    verb("relay retry", List, EVENT),
    // Working together.
    verb(
        "task add",
        One,
        &[
            at("title", Text),
            flag("owner", Text),
            flag("client_id", Text),
            flag("outcome", Text),
            flag("evidence", Texts),
            flag("depends_on", Texts),
            flag("item", Texts),
            flag("due", Time),
        ],
    ),
    verb(
        "task list",
        List,
        &[
            flag("owner", Text),
            flag("asker", Text),
            flag("unowned", Flag),
            flag("status", Text),
            flag("all", Flag),
        ],
    ),
    verb("task show", One, &[at("task", Text)]),
    verb(
        "task update",
        One,
        &[
            at("task", Text),
            flag("base_version", Number),
            flag("title", Text),
            flag("outcome", Text),
            flag("start", Flag),
            flag("plan", Flag),
            flag("owner", Text),
            flag("no_owner", Flag),
            flag("item", Texts),
            flag("note", Texts),
            flag("evidence", Texts),
            flag("depends_on", Texts),
            flag("no_longer_depends_on", Texts),
        ],
    ),
    verb("task check", One, &[at("task", Text), at("items", Numbers), flag("undo", Flag)]),
    verb(
        "task handoff",
        One,
        &[at("task", Text), flag("to", Text), flag("accept", Flag), flag("refuse", Text)],
    ),
    verb(
        "task done",
        One,
        &[at("task", Text), at("text", Text), flag("all_steps", Flag), flag("evidence", Texts)],
    ),
    verb(
        "task verify",
        One,
        &[at("task", Text), at("evidence", Number), flag("fails", Flag), flag("found", Text)],
    ),
    verb("task decline", One, TASK_TEXT),
    verb("task accept", One, TASK_TEXT),
    verb("task reopen", One, TASK_TEXT),
    verb("task cancel", One, TASK_TEXT),
    verb(
        "tracked-send",
        One,
        &[
            at("text", Text),
            flag("to", Text),
            flag("title", Text),
            flag("client_id", Text),
            flag("outcome", Text),
            flag("evidence", Texts),
            flag("depends_on", Texts),
            flag("item", Texts),
            flag("due", Time),
        ],
    ),
    verb("context show", List, &[at("key", Text)]),
    Verb {
        name: "context digest",
        command: Some("context show"),
        arguments: &[flag("digest", Number)],
        answer: One,
    },
    verb(
        "context set",
        One,
        &[
            at("key", Text),
            at("text", Text),
            flag("base", Number),
            flag("remove", Flag),
            flag("kind", Text),
            flag("address", Text),
            flag("owner", Text),
        ],
    ),
    verb("context decide", One, &[at("text", Text)]),
    verb("context note", One, &[at("text", Text)]),
    verb(
        "agent-state",
        One,
        &[
            flag("focus", Text),
            flag("next", Text),
            flag("blocker", Text),
            flag("waiting_for", Text),
            flag("for", Time),
            flag("base", Number),
            flag("actor", Text),
        ],
    ),
    Verb {
        name: "agent-states",
        command: Some("agent-state"),
        arguments: &[flag("actor", Text)],
        answer: List,
    },
    verb(
        "reserve",
        One,
        &[at("globs", Texts), flag("for", Time), flag("purpose", Text), flag("extend", Text)],
    ),
    verb("reservations", List, &[flag("path", Text)]),
    verb("release", One, &[at("id", Text), flag("reason", Text)]),
    verb("vote open", One, &[at("question", Text), flag("voter", Texts), flag("for", Time)]),
    verb("vote cast", One, &[at("vote", Text), at("choice", Text), flag("reason", Text)]),
    verb("vote show", One, &[at("vote", Text)]),
    verb("vote list", List, &[flag("all", Flag)]),
    verb("vote close", One, &[at("vote", Text), flag("reason", Text)]),
    verb(
        "approval open",
        One,
        &[
            at("subject", Text),
            flag("tool", Text),
            flag("input", Text),
            flag("for", Time),
            flag("client_id", Text),
        ],
    ),
    verb("approval allow", One, &[at("approval", Text), flag("reason", Text)]),
    verb("approval deny", One, &[at("approval", Text), flag("reason", Text)]),
    verb("approval show", One, &[at("approval", Text)]),
    verb("approval list", List, &[flag("all", Flag)]),
    verb("approval close", One, &[at("approval", Text), flag("reason", Text)]),
    // Time.
    verb("waits", One, &[]),
    verb("policy show", List, &[]),
    verb("policy set", One, &[at("policy", Text), at("after", Text)]),
    verb("policy due", One, &[]),
    verb("policy run", List, &[]),
    verb(
        "schedule add",
        One,
        &[
            at("text", Text),
            flag("set_state", Text),
            flag("start", Text),
            flag("stop", Text),
            flag("restart", Text),
            flag("to", Texts),
            flag("every", Time),
            flag("cron", Text),
            flag("at", Text),
            flag("tz", Text),
            flag("id", Text),
        ],
    ),
    verb("schedule list", List, &[]),
    verb("schedule enable", One, ID),
    verb("schedule disable", One, ID),
    verb("schedule remove", One, ID),
    verb("schedule clear", One, &[]),
    // What a host does. See `host`.
    host("host due", List, &[]),
    host("host upkeep", List, &[]),
    host("host claim", One, &[at("recipient", Text), at("events", Texts), flag("transport", Text)]),
    host(
        "host settle",
        One,
        &[at("delivery", Text), at("outcome", Text), flag("reason", Text), flag("by", Text)],
    ),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_name_stands_for_two_things_and_places_come_first() {
        for (n, verb) in VERBS.iter().enumerate() {
            assert!(VERBS.iter().skip(n + 1).all(|other| other.name != verb.name), "{}", verb.name);
            let mut names: Vec<&str> = verb.arguments.iter().map(|argument| argument.name).collect();
            names.sort_unstable();
            names.dedup();
            assert_eq!(names.len(), verb.arguments.len(), "{}", verb.name);
            assert!(verb.arguments.is_sorted_by_key(|argument| !argument.positional), "{}", verb.name);
        }
    }
}
