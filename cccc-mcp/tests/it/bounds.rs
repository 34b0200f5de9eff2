//! However much there is, an answer stays within its bounds and says how the one who asks stands.

use std::time::Duration;

use cccc_core::event::{EvidenceKind, Priority};
use cccc_mcp::MAX_ANSWER_BYTES;
use serde_json::{Value, json};

use crate::support::{Agent, Place};

async fn bounded(agent: &Agent, tool: &str, arguments: Value) {
    let said = arguments.to_string();
    let result = agent.result(tool, arguments).await;
    let value = result.structured_content.unwrap();
    let size = value.to_string().len();
    assert!(size <= MAX_ANSWER_BYTES, "{tool} {said}: {size} bytes");
    // What pages does so itself; only what has no pages may be cut.
    let whole = ["cccc_task", "cccc_group", "cccc_project", "cccc_debug"].contains(&tool);
    assert!(whole || value.get("truncated").is_none(), "{tool} {said} was cut");
    let text = result.content[0].as_text().unwrap();
    assert_eq!(text.text, value.to_string(), "the text says the same");
    let you = &value["you"];
    assert!(you["actor"] == "alice" && you["unread"].is_number(), "{tool}: {you}");
    assert!(you["owed"].as_array().unwrap().len() <= 3, "{tool}: {you}");
}

#[tokio::test]
async fn every_answer_is_bounded_in_a_crowded_group() {
    let place = Place::new().await;
    let (user, long) = (&place.user, "ä\"\n".repeat(5_000));
    let line = long.replace('\n', "_");
    for n in 0..40 {
        user.add_actor(format!("a{n}")).title(&line[..256]).label(format!("l{n}")).await.unwrap();
    }
    let alice = user.bind("alice").await.unwrap();
    let file = place.project().join("f.txt");
    std::fs::write(&file, &long).unwrap();
    let mut first = None;
    for n in 0..40 {
        let message = user.send(format!("{n} {long}")).to("alice").to("bob").attach(&file);
        let message = (0..20).fold(message, |message, n| message.reference(format!("{n}{}", &line[..900])));
        let sent = message.priority(Priority::Attention).reply_within(Duration::from_secs(60)).await.unwrap();
        first.get_or_insert(sent.seq);
        user.task_add(format!("task {n}"))
            .outcome(&long[..2000])
            .owner("alice")
            .requires(EvidenceKind::Commit)
            .await
            .unwrap();
        user.set_context(format!("e{n}/x"), &long[..4000]).await.unwrap();
        alice.reserve([format!("dir{n}/**")]).purpose(&line[..256]).await.unwrap();
        user.schedule_notice(&long[..2000]).to("alice").every(Duration::from_secs(3600)).await.unwrap();
    }
    let task = user.tasks().await.unwrap()[0].task_id;
    for n in 0..20 {
        user.task_update(task).note(&long[..3000]).await.unwrap();
        user.open_vote(format!("{n} {}", &long[..3000])).await.unwrap();
    }
    let mut options = place.options();
    options.actor = Some("alice".into());
    options.packs = cccc_mcp::packs().iter().map(|pack| pack.name.to_owned()).collect();
    let agent = Agent::start(options, "x").await;
    let task = task.to_string();
    for (tool, arguments) in [
        ("cccc_bootstrap", json!({})),
        ("cccc_inbox_list", json!({})),
        ("cccc_inbox_list", json!({"seq": first})),
        ("cccc_message_send", json!({"text": "x", "to": ["nobody-of-that-name"]})),
        ("cccc_message_send", json!({"text": "x".repeat(2_000_000), "to": ["bob"]})),
        ("cccc_message_send", json!({"x".repeat(100_000): 1})),
        ("cccc_task", json!({"action": "list"})),
        ("cccc_task", json!({"action": "show", "task": task})),
        ("cccc_task", json!({"action": "done", "task": task})),
        ("cccc_context_get", json!({})),
        ("cccc_context_get", json!({"key": "e1"})),
        ("cccc_context_get", json!({"key": "agents"})),
        ("cccc_coordination", json!({"action": "who"})),
        ("cccc_coordination", json!({"action": "owed"})),
        ("cccc_coordination", json!({"action": "waits"})),
        ("cccc_coordination", json!({"action": "votes"})),
        ("cccc_coordination", json!({"action": "reservations"})),
        ("cccc_coordination", json!({"action": "receipts", "seq": first})),
        ("cccc_group", json!({"action": "show"})),
        ("cccc_actor", json!({"action": "list"})),
        ("cccc_automation", json!({"action": "list"})),
        ("cccc_history", json!({})),
        ("cccc_history", json!({"from": 1})),
        ("cccc_labels", json!({})),
        ("cccc_file", json!({"seq": first})),
        ("cccc_project", json!({})),
        ("cccc_debug", json!({})),
        ("cccc_memory", json!({"action": "list"})),
    ] {
        bounded(&agent, tool, arguments).await;
    }
    for (topic, _) in [("rules", ()), ("messages", ()), ("tasks", ()), ("packs", ())] {
        bounded(&agent, "cccc_help", json!({"topic": topic})).await;
    }
    // Whatever has pages is shown whole, page by page.
    for (tool, arguments, list, count) in [
        ("cccc_task", json!({"action": "list", "owner": "alice"}), "tasks", 40),
        ("cccc_coordination", json!({"action": "who"}), "members", 43),
        ("cccc_coordination", json!({"action": "votes"}), "votes", 20),
        ("cccc_coordination", json!({"action": "reservations"}), "reservations", 40),
        ("cccc_coordination", json!({"action": "receipts", "seq": first}), "receipts", 2),
        ("cccc_actor", json!({"action": "list"}), "actors", 43),
        ("cccc_automation", json!({"action": "list"}), "schedules", 40),
        ("cccc_labels", json!({}), "labels", 40),
    ] {
        let (mut items, mut arguments, mut pages) = (Vec::new(), arguments, 0);
        loop {
            let page = agent.call(tool, arguments).await;
            items.extend(page[list].as_array().unwrap().iter().map(Value::to_string));
            pages += 1;
            let Some(next) = page["next"].as_str() else { break };
            let (same, rest) = next.split_once(' ').unwrap();
            assert_eq!(same, tool);
            arguments = serde_json::from_str(rest).unwrap();
        }
        items.sort();
        items.dedup();
        assert_eq!((items.len(), pages > 1), (count, count > 2), "{tool} {list}");
    }
    let (mut text, mut arguments) = (String::new(), json!({"key": "e1/x"}));
    loop {
        let page = agent.call("cccc_context_get", arguments).await;
        text.push_str(page["entries"][0]["value"].as_str().unwrap());
        let Some(next) = page["next"].as_str() else { break };
        arguments = serde_json::from_str(next.strip_prefix("cccc_context_get ").unwrap()).unwrap();
    }
    assert_eq!(text, long[..4000]);
    let you = agent.call("cccc_inbox_list", json!({})).await["you"].clone();
    assert!(you["owed_more"].as_u64().unwrap() > 50, "{you}");
}
