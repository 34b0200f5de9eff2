//! Core names the commands of its command line; a model has tools. Here each command becomes the call that does the
//! same, so that no answer tells an agent to type something. What no tool does is said to be the user's to run.
//!
//! Only words of core are rewritten, never what somebody has written.

use serde_json::{Map, Value, json};

/// What the user is told to do is left as it is.
const TOLD_THE_USER: [&str; 2] = ["the user to run ", "the user can open it again with "];

/// Flags of commands that are followed by no value.
const SWITCHES: [&str; 6] = ["reply-required", "all-steps", "remove", "all", "mine", "help"];

/// Flags that core names alone, with the arguments of tools.
const ARGUMENTS: [(&str, &str); 7] = [
    ("to", "to"),
    ("file", "files"),
    ("remove", "remove"),
    ("base", "base"),
    ("actor", "actor"),
    ("at", "at"),
    ("label", "labels"),
];

/// A text of core with calls in the place of the commands that stand in backquotes.
pub(crate) fn calls(text: &str) -> String {
    let mut said = String::with_capacity(text.len());
    let mut rest = text;
    while let Some((before, after)) = rest.split_once('`') {
        let Some((quoted, after)) = after.split_once('`') else { break };
        said.push_str(before);
        let theirs = TOLD_THE_USER.iter().any(|words| before.ends_with(words));
        match (quoted.starts_with("cccc "), theirs) {
            (true, false) => match call(quoted) {
                Some(call) => said.push_str(&format!("`{call}`")),
                None => said.push_str(&format!("`{quoted}` (for the user to run)")),
            },
            _ => said.push_str(&format!("`{}`", argument(quoted).unwrap_or_else(|| quoted.to_owned()))),
        }
        rest = after;
    }
    said + rest
}

/// A text that core has put together of what others wrote: only the lines that are core's own are rewritten.
pub(crate) fn calls_in_digest(text: &str) -> String {
    let line = |line: &str| if line.starts_with("(more: `cccc ") { calls(line) } else { line.to_owned() };
    text.split_inclusive('\n').map(line).collect()
}

/// The call that does what a command does, if a tool does it.
pub(crate) fn call(command: &str) -> Option<String> {
    let (tool, arguments) = Command::parsed(command.strip_prefix("cccc ")?).call()?;
    Some(format!("{tool} {arguments}"))
}

/// A flag that stands alone, as the argument of a tool.
fn argument(quoted: &str) -> Option<String> {
    let (name, value) = quoted.strip_prefix("--")?.split_once(' ').unwrap_or((quoted.get(2..)?, ""));
    let (_, argument) = ARGUMENTS.iter().find(|(flag, _)| *flag == name)?;
    Some(match value {
        "" => (*argument).to_owned(),
        value => format!("{argument}: {value}"),
    })
}

/// A command, taken apart.
#[derive(Debug, Default)]
struct Command {
    words: Vec<String>,
    flags: Map<String, Value>,
}

impl Command {
    fn parsed(text: &str) -> Self {
        let mut command = Self::default();
        let mut words = words(text).into_iter();
        while let Some(word) = words.next() {
            match word.strip_prefix("--") {
                Some(flag) if SWITCHES.contains(&flag) => {
                    command.flags.insert(flag.to_owned(), true.into());
                }
                Some(flag) => {
                    let value = words.next().unwrap_or_default();
                    command.flags.insert(flag.to_owned(), value.into());
                }
                None => command.words.push(word),
            }
        }
        command
    }

    fn flag(&self, name: &str) -> Option<&str> {
        self.flags.get(name).and_then(Value::as_str)
    }

    fn switch(&self, name: &str) -> bool {
        self.flags.contains_key(name)
    }

    fn call(&self) -> Option<(&'static str, Value)> {
        // Other groups are other servers'.
        if self.switch("group") {
            return None;
        }
        let words: Vec<&str> = self.words.iter().map(String::as_str).collect();
        let (first, rest) = words.split_first()?;
        Some(match (*first, rest) {
            ("inbox", []) => ("cccc_inbox_list", json!({})),
            ("show", [event]) => ("cccc_inbox_list", json!({"seq": number(event)})),
            ("tail", []) => ("cccc_history", json!({})),
            ("ack", [event]) => ("cccc_message_ack", json!({"seq": number(event)})),
            ("answer", [event, "CHOICE"]) => {
                ("cccc_message_reply", json!({"seq": number(event), "choice": "..."}))
            }
            ("reply", [event, ..]) => ("cccc_message_reply", json!({"seq": number(event), "text": "..."})),
            ("send", _) => ("cccc_message_send", self.send()),
            ("join", []) => ("cccc_bootstrap", json!({"as": self.flag("id").unwrap_or("your actor id")})),
            ("agent-state", []) => match self.flag("waiting-for") {
                Some(what) => ("cccc_agent_state", json!({"waiting_for": what})),
                None => ("cccc_context_get", json!({"key": "agents"})),
            },
            ("actor", ["list"]) => ("cccc_coordination", json!({"action": "who"})),
            ("actor", [action, id]) => ("cccc_actor", self.actor(action, id)),
            ("group", [action @ ("update" | "resume" | "show")]) => ("cccc_group", json!({"action": action})),
            ("schedule", ["add"]) if self.switch("help") => ("cccc_help", json!({"topic": "automation"})),
            ("schedule", ["add"]) => ("cccc_automation", json!({"action": "notice"})),
            ("schedule", [action @ ("list" | "clear")]) => ("cccc_automation", json!({"action": action})),
            ("schedule", ["remove", id]) => ("cccc_automation", json!({"action": "remove", "id": id})),
            ("context", rest) => self.context(rest)?,
            ("task", rest) => ("cccc_task", self.task(rest)?),
            ("memory", rest) => memory(rest)?,
            _ => ("cccc_coordination", coordination(first, rest)?),
        })
    }

    fn send(&self) -> Value {
        let mut arguments = json!({"text": "..."});
        if let (Value::Object(arguments), Some(to)) = (&mut arguments, self.flag("to")) {
            arguments.insert("to".into(), json!([to]));
            if self.switch("reply-required") {
                arguments.insert("reply_required".into(), true.into());
            }
        }
        arguments
    }

    fn actor(&self, action: &str, id: &str) -> Value {
        let mut arguments = Map::from_iter([("action".into(), action.into()), ("actor".into(), id.into())]);
        if let Some(label) = self.flag("label") {
            arguments.insert("labels".into(), json!([label]));
        }
        if let Some(role) = self.flag("role") {
            arguments.insert("role".into(), role.into());
        }
        Value::Object(arguments)
    }

    fn context(&self, rest: &[&str]) -> Option<(&'static str, Value)> {
        Some(match rest {
            ["show"] => ("cccc_context_get", json!({})),
            ["show", key] => ("cccc_context_get", json!({"key": key})),
            [action @ ("decide" | "note"), _] => {
                ("cccc_coordination", json!({"action": action, "text": "..."}))
            }
            ["set", key] if self.switch("remove") => {
                ("cccc_context_sync", json!({"changes": [{"key": key, "remove": true}]}))
            }
            ["set", key] => match (self.flag("kind"), self.flag("address")) {
                (Some(kind), Some(address)) => {
                    let service = json!({"kind": kind, "address": address});
                    ("cccc_context_sync", json!({"changes": [{"key": key, "service": service}]}))
                }
                _ => ("cccc_context_sync", json!({"changes": [{"key": key, "text": "..."}]})),
            },
            _ => return None,
        })
    }

    fn task(&self, rest: &[&str]) -> Option<Value> {
        Some(match rest {
            ["list"] => json!({"action": "list"}),
            // Somebody is told how to take what was offered; without a task, how one offers it.
            ["handoff", task] => json!({"action": "take", "task": task}),
            ["handoff"] => json!({"action": "handoff", "task": "...", "owner": "..."}),
            ["check", task, step] => json!({"action": "check", "task": task, "items": [number(step)]}),
            ["update", task] => match (self.flag("owner"), self.flag("no-longer-depends-on")) {
                (Some(owner), _) => json!({"action": "assign", "task": task, "owner": owner}),
                (None, Some(before)) => {
                    json!({"action": "undepend", "task": task, "depends_on": [before]})
                }
                (None, None) => json!({"action": "edit", "task": task}),
            },
            ["done", task] => match self.flag("evidence").and_then(|given| given.split_once(':')) {
                Some((kind, _)) => json!({"action": "done", "task": task, "evidence": {kind: "..."}}),
                None if self.switch("all-steps") => {
                    json!({"action": "done", "task": task, "all_steps": true})
                }
                None => json!({"action": "done", "task": task}),
            },
            ["done"] => json!({"action": "done", "task": "..."}),
            [action @ ("show" | "accept" | "reopen" | "cancel" | "decline"), task] => {
                json!({"action": action, "task": task})
            }
            _ => return None,
        })
    }
}

fn memory(rest: &[&str]) -> Option<(&'static str, Value)> {
    Some(match rest {
        ["add"] => ("cccc_memory", json!({"action": "add", "text": "..."})),
        ["list"] => ("cccc_memory", json!({"action": "list"})),
        [action @ ("show" | "forget"), id] => ("cccc_memory", json!({"action": action, "note": id})),
        [action @ ("stats" | "verify" | "rebuild" | "purge" | "compact")] => {
            ("cccc_memory_admin", json!({"action": action}))
        }
        _ => return None,
    })
}

fn coordination(first: &str, rest: &[&str]) -> Option<Value> {
    Some(match (first, rest) {
        ("who", []) => json!({"action": "who"}),
        ("person", ["list"]) => json!({"action": "people"}),
        ("obligations", []) => json!({"action": "owed"}),
        ("waits", []) => json!({"action": "waits"}),
        ("reservations", []) => json!({"action": "reservations"}),
        ("receipts" | "cancel" | "retract", [event]) => json!({"action": first, "seq": number(event)}),
        ("reserve", [glob]) => json!({"action": "reserve", "paths": [glob]}),
        ("release", [id]) => json!({"action": "release", "reservation": id}),
        ("vote", ["list"]) => json!({"action": "votes"}),
        ("vote", ["show", id]) => json!({"action": "votes", "vote": id}),
        ("vote", ["cast", id, choice]) => {
            let choice = if *choice == "CHOICE" { "yes|no|abstain" } else { choice };
            json!({"action": "vote", "vote": id, "choice": choice})
        }
        ("vote", ["close"]) => json!({"action": "vote_close", "vote": "..."}),
        ("vote", ["close", id]) => json!({"action": "vote_close", "vote": id}),
        ("question", ["list"]) => json!({"action": "questions"}),
        ("question", ["show", event]) => json!({"action": "questions", "seq": number(event)}),
        ("approval", ["list"]) => json!({"action": "approvals"}),
        ("approval", ["show", id]) => json!({"action": "approvals", "approval": id}),
        ("approval", ["open", subject]) => json!({"action": "approval_open", "subject": subject}),
        ("approval", ["deny", id]) => json!({"action": "approval_decide", "approval": id, "choice": "no"}),
        ("approval", ["close"]) => json!({"action": "approval_close", "approval": "..."}),
        ("approval", ["close", id]) => json!({"action": "approval_close", "approval": id}),
        ("pins", []) => json!({"action": "pins"}),
        ("unpin", [event]) => json!({"action": "unpin", "seq": number(event)}),
        ("vote", ["open", subject]) => json!({"action": "vote_open", "subject": subject}),
        _ => return None,
    })
}

/// A number as one, anything else as it stands.
fn number(word: &str) -> Value {
    word.parse::<u64>().map_or_else(|_| word.into(), Value::from)
}

/// The words of a command, as a shell takes them apart.
fn words(text: &str) -> Vec<String> {
    let (mut words, mut word, mut quote, mut begun) = (Vec::new(), String::new(), None, false);
    for c in text.chars() {
        match (c, quote) {
            (c, Some(q)) if c == q => quote = None,
            ('"' | '\'', None) => {
                quote = Some(c);
                begun = true;
            }
            (c, None) if c.is_whitespace() => {
                if std::mem::take(&mut begun) {
                    words.push(std::mem::take(&mut word));
                }
            }
            (c, _) => {
                word.push(c);
                begun = true;
            }
        }
    }
    if begun {
        words.push(word);
    }
    words
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;
    use std::path::Path;

    use super::*;

    /// What no tool does: it is outside of the group, or the user's.
    const FOR_THE_USER: [&str; 14] = [
        "--group",
        "attach",
        "doctor",
        "group create",
        "group delete",
        "group export",
        "groups",
        "ledger repair",
        "ledger verify",
        "memory export",
        "memory import",
        "person add",
        "relay list",
        "relay retry",
    ];

    #[test]
    fn commands_become_calls_and_the_rest_is_the_users() {
        for (hint, expected) in [
            ("`cccc inbox` lists what was", "`cccc_inbox_list {}` lists what was"),
            (
                "ask lead with `cccc send --to lead`",
                "ask lead with `cccc_message_send {\"text\":\"...\",\"to\":[\"lead\"]}`",
            ),
            (
                "`cccc receipts 5` shows who has",
                "`cccc_coordination {\"action\":\"receipts\",\"seq\":5}` shows who has",
            ),
            (
                "run `cccc attach`, or `cccc who`",
                "run `cccc attach` (for the user to run), or `cccc_coordination {\"action\":\"who\"}`",
            ),
            ("ask the user to run `cccc actor add x`", "ask the user to run `cccc actor add x`"),
            (
                "for example `cccc vote open \"Merge now?\"`",
                "for example `cccc_coordination {\"action\":\"vote_open\",\"subject\":\"Merge now?\"}`",
            ),
            ("name a recipient with `--to`", "name a recipient with `to`"),
            ("address the user with `--to user`", "address the user with `to: user`"),
            ("`cccc inbox", "`cccc inbox"),
            ("cccc inbox and `x`", "cccc inbox and `x`"),
        ] {
            assert_eq!(calls(hint), expected);
        }
        assert_eq!(
            call("cccc agent-state --waiting-for ''").as_deref(),
            Some("cccc_agent_state {\"waiting_for\":\"\"}")
        );
    }

    #[test]
    fn a_digest_keeps_what_others_wrote() {
        let text = "## notes\n- run `cccc inbox` (alice, 1)\n(more: `cccc context show notes`)\n";
        let expected =
            "## notes\n- run `cccc inbox` (alice, 1)\n(more: `cccc_context_get {\"key\":\"notes\"}`)\n";
        assert_eq!(calls_in_digest(text), expected);
    }

    #[test]
    fn every_command_that_core_names_has_a_call_or_is_the_users() {
        let mut commands = BTreeSet::new();
        commands_in(&Path::new(env!("CARGO_MANIFEST_DIR")).join("../cccc-core/src"), &mut commands);
        commands_in(&Path::new(env!("CARGO_MANIFEST_DIR")).join("../cccc-memory/src"), &mut commands);
        assert!(commands.len() > 60, "{commands:?}");
        let (mut theirs, mut missing) = (BTreeSet::new(), Vec::new());
        for command in &commands {
            let known = FOR_THE_USER.iter().find(|start| command[5..].starts_with(**start));
            match (call(command), known) {
                (Some(call), None) => assert_valid(command, &call),
                (None, Some(start)) => {
                    theirs.insert(*start);
                }
                (Some(_), Some(_)) => panic!("{command} has a call, and is listed as the user's"),
                (None, None) => missing.push(command),
            }
        }
        assert!(missing.is_empty(), "no calls for {missing:#?}");
        assert_eq!(theirs.len(), FOR_THE_USER.len(), "listed and never named: only {theirs:?} are");
    }

    /// Whether a tool takes these arguments.
    fn assert_valid(command: &str, call: &str) {
        let (tool, arguments) = call.split_once(' ').unwrap();
        let tool = crate::tools::find(tool).unwrap_or_else(|| panic!("{command}: {call}")).schema();
        let arguments: Map<String, Value> = serde_json::from_str(arguments).unwrap();
        let fields = tool.input_schema["properties"].as_object().unwrap();
        for (name, value) in &arguments {
            let field = fields.get(name).unwrap_or_else(|| panic!("{command}: {call}: no {name}"));
            let words = field.get("enum").and_then(Value::as_array);
            let choice = words.is_none_or(|words| words.contains(value) || value == "yes|no|abstain");
            assert!(choice, "{command}: {call}: {name}");
        }
        let required = tool.input_schema.get("required").and_then(Value::as_array);
        for name in required.into_iter().flatten() {
            assert!(arguments.contains_key(name.as_str().unwrap()), "{command}: {call}: {name}");
        }
    }

    /// The commands in the texts of a source file, with a number in the place of what is put in.
    fn commands_in(path: &Path, into: &mut BTreeSet<String>) {
        if path.is_dir() {
            std::fs::read_dir(path).unwrap().for_each(|entry| commands_in(&entry.unwrap().path(), into));
            return;
        }
        let name = path.file_name().unwrap().to_string_lossy().into_owned();
        if !name.ends_with(".rs")
            || name == "tests.rs"
            || path.components().any(|c| c.as_os_str() == "testing")
        {
            return;
        }
        let source = std::fs::read_to_string(path).unwrap();
        let source = source.split("\nmod tests {").next().unwrap();
        let code: Vec<&str> = source.lines().filter(|line| !line.trim_start().starts_with("//")).collect();
        let code = code.join("\n").replace("\\\"", "'");
        for (start, end) in [("`cccc ", '`'), ("\"cccc ", '"')] {
            for (at, _) in code.match_indices(start) {
                let text = &code[at + 1..];
                let command = &text[..text.find(end).unwrap()];
                // Names of threads look like commands and stand in calls of their own.
                if ["turn", "import", "export", "blob", "hash", "{group_id}"].contains(&&command[5..]) {
                    continue;
                }
                into.insert(filled(command));
            }
        }
    }

    fn filled(command: &str) -> String {
        let (mut text, mut inside) = (String::new(), false);
        for c in command.chars() {
            match c {
                '{' => inside = true,
                '}' => {
                    inside = false;
                    text.push('5');
                }
                c if !inside => text.push(c),
                _ => {}
            }
        }
        text
    }
}
