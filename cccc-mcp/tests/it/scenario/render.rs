//! The answers of tools in the form in which scenarios expect them: what a tool leaves out as an agent does not need
//! it (ids of events, mostly) is looked up in the ledger by what the tool did say.

use cccc_core::testing::scenario::Call;
use cccc_core::{Event, Group, Seq, block_on};
use serde_json::{Map, Value, json};

/// The answer to an operation whose last call was answered so.
pub(super) fn answer(call: &Call<'_>, group: &Group, said: &Value) -> Value {
    let field = |name: &str| said.get(name).cloned().unwrap_or_else(|| panic!("no {name} in {said}"));
    match call.verb.name {
        "send" | "reply" | "answer" | "tracked-send" => {
            let mut sent = Map::new();
            sent.insert("event_id".into(), json!(event(group, said).unwrap().id));
            for (name, theirs) in
                [("seq", "seq"), ("recipients", "recipients"), ("task_id", "task"), ("relays", "relays")]
            {
                sent.extend(said.get(theirs).map(|value| (name.to_owned(), value.clone())));
            }
            sent.insert("duplicate".into(), said.get("duplicate").cloned().unwrap_or(json!(false)));
            Value::Object(sent)
        }
        "show" => {
            let shown = &said["events"][0]["seq"];
            let seq = Seq(shown.as_u64().unwrap_or_else(|| panic!("nothing is shown: {said}")));
            let page = block_on(async { group.history().from(seq).limit(1).await }).unwrap();
            let line: &str = page.lines[0].as_ref();
            serde_json::from_str(line).unwrap()
        }
        "context set" => done(group, &said["changes"][0]),
        "context show" => field("entries"),
        "receipts" => field("receipts"),
        "obligations" => {
            let mut all = field("obligations").as_array().unwrap().clone();
            if call.arguments.contains_key("mine") {
                all.retain(|one| one["debtor"] == call.by);
            }
            Value::Array(all)
        }
        "reserve" => said["reservations"][0].clone(),
        "vote open" | "vote cast" | "vote show" => said["votes"][0].clone(),
        "question show" => said["questions"][0].clone(),
        "question list" => field("questions"),
        "approval list" => field("approvals"),
        "approval open" | "approval allow" | "approval deny" | "approval show" => {
            said["approvals"][0].clone()
        }
        "pins" => field("pins"),
        "schedule add" => said["schedules"][0].clone(),
        "actor add" => field("actor"),
        "person list" => field("people"),
        "notices" => said.get("notices").cloned().unwrap_or(json!([])),
        verb if verb.starts_with("task ") => field("task"),
        "label add" | "label remove" => json!({"changed": field("changed")}),
        _ => done(group, said),
    }
}

/// What became of a command that writes at most one fact.
fn done(group: &Group, said: &Value) -> Value {
    let id = event(group, said).map(|event| event.id);
    json!({"event_id": id, "seq": said.get("seq"), "changed": said["changed"]})
}

fn event(group: &Group, said: &Value) -> Option<Event> {
    let seq = said.get("seq")?.as_u64()?;
    Some(block_on(group.event(seq)).unwrap())
}

/// Messages as the inbox has them, of those that a tool has shown.
pub(super) fn messages(group: &Group, shown: &Value, handed_over: bool) -> Value {
    let message = |view: &Value| {
        let event = event(group, view).unwrap();
        let content = event.message().unwrap();
        let (from, text) = (view["from"].as_str().unwrap(), view["text"].as_str().unwrap());
        let user = event.by.to_string() == "user";
        assert_eq!(from == "from the user", user, "{view}");
        let by = event.by.to_string();
        let name = by.split('@').next().unwrap();
        assert!(user || from.contains("not the user") && from.contains(name), "{view}");
        assert!(content.text.starts_with(text), "{view}");
        let Value::Object(mut message) = serde_json::to_value(content).unwrap() else {
            panic!("a message is an object")
        };
        let delivery = if handed_over { json!("accepted") } else { json!(standing(group, &event)) };
        message.extend([
            ("event_id".to_owned(), json!(event.id)),
            ("seq".to_owned(), json!(event.seq)),
            ("by".to_owned(), json!(event.by)),
            ("delivery".to_owned(), delivery),
            ("owed".to_owned(), view.get("owed").cloned().unwrap_or(json!([]))),
        ]);
        Value::Object(message)
    };
    Value::Array(shown.as_array().unwrap().iter().map(message).collect())
}

/// How far a message has come that was only looked at.
fn standing(group: &Group, event: &Event) -> String {
    let receipts = block_on(group.receipts(event)).unwrap();
    let mine = receipts.iter().find(|receipt| receipt.recipient == *group.by());
    mine.map(|receipt| receipt.delivery.state.as_str().to_owned()).unwrap_or_default()
}
