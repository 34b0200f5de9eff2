//! Working together through the tools: that what is asked for reaches core, and what comes back is shown.

use serde_json::{Value, json};

use crate::support::{Agent, Place};

#[tokio::test]
async fn a_task_goes_its_way() {
    let place = Place::new().await;
    let (lead, alice) = (place.agent("lead").await, place.agent("alice").await);
    let task = json!({"title": "Parser", "outcome": "tests pass", "requires": ["commit"], "checklist": ["read", "write"]});
    let sent = lead
        .call("cccc_message_send", json!({"text": "Fix it", "to": "alice", "task": task, "client_id": "k"}))
        .await;
    let id = sent["task"].as_str().unwrap().to_owned();
    let again = json!({"text": "Fix it", "to": "alice", "client_id": "k", "task": task});
    assert_eq!(lead.call("cccc_message_send", again).await["duplicate"], true);
    let inbox = alice.call("cccc_inbox_list", json!({})).await;
    assert_eq!(inbox["messages"][0]["task"], json!(id));
    let step = |action: &'static str, more: Value| {
        let mut arguments = json!({"action": action, "task": id});
        arguments.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        alice.call("cccc_task", arguments)
    };
    assert_eq!(step("start", json!({})).await["task"]["status"], "active");
    step("check", json!({"item": 1})).await;
    let refused = alice.refused("cccc_task", json!({"action": "done", "task": id})).await;
    assert_eq!(refused["kind"], "refused");
    step("check", json!({"item": 2})).await;
    let done = step("done", json!({"text": "fixed", "evidence": {"commit": "0123abc"}})).await;
    assert_eq!(done["task"]["status"], "done");
    let owed = &lead.call("cccc_inbox_list", json!({})).await["you"]["owed"][0];
    let (tool, arguments) = owed["call"].as_str().unwrap().split_once(' ').unwrap();
    let accepted = lead.call(tool, serde_json::from_str(arguments).unwrap()).await;
    assert_eq!(accepted["task"]["accepted"], true);
    let shown = alice.call("cccc_task", json!({"action": "list", "status": "done"})).await;
    assert_eq!(shown["tasks"].as_array().unwrap().len(), 1);
}

#[tokio::test]
async fn paths_are_reserved_and_votes_cast() {
    let place = Place::new().await;
    let (alice, bob) = (place.agent("alice").await, place.agent("bob").await);
    let coordinate = |agent: &Agent, arguments: Value| {
        let peer = agent.client.peer().clone();
        async move {
            let arguments = arguments.as_object().unwrap().clone();
            let params =
                rmcp::model::CallToolRequestParams::new("cccc_coordination").with_arguments(arguments);
            peer.call_tool(params).await.unwrap().structured_content.unwrap()
        }
    };
    let taken =
        coordinate(&alice, json!({"action": "reserve", "paths": "src/**", "purpose": "split", "for": "10m"}))
            .await;
    let id = taken["reservations"][0]["reservation_id"].clone();
    let conflict = coordinate(&bob, json!({"action": "reserve", "paths": ["src/a.rs"]})).await;
    assert_eq!(conflict["kind"], "conflict");
    assert!(conflict["message"].as_str().unwrap().contains("alice"), "{conflict}");
    assert!(conflict["retry_after_ms"].as_u64().unwrap() > 500_000, "{conflict}");
    let holder = coordinate(&bob, json!({"action": "reservations", "path": "src/b.rs"})).await;
    assert_eq!(holder["reservations"][0]["holder"], "alice");
    coordinate(&alice, json!({"action": "extend", "reservation": id, "for": "1h"})).await;
    coordinate(&alice, json!({"action": "release", "reservation": id})).await;
    assert_eq!(coordinate(&bob, json!({"action": "reservations"})).await["reservations"], json!([]));

    let opened = json!({"action": "vote_open", "subject": "Merge?", "voters": ["alice", "bob"]});
    coordinate(&alice, opened).await;
    for agent in [&alice, &bob] {
        let standing = coordinate(agent, json!({"action": "owed"})).await;
        let owed = &standing["you"]["owed"][0];
        let (_, arguments) = owed["call"].as_str().unwrap().split_once(' ').unwrap();
        let arguments = arguments.replace("yes|no|abstain", "yes");
        let vote = coordinate(agent, serde_json::from_str(&arguments).unwrap()).await;
        assert!(vote.get("kind").is_none(), "{vote}");
    }
    let events = place.user.history().kind("vote.close").await.unwrap().events;
    assert_eq!(events.len(), 1);
    coordinate(&alice, json!({"action": "decide", "text": "We merge"})).await;
    let decided = bob.call("cccc_context_get", json!({"key": "decisions"})).await;
    assert_eq!(decided["entries"][0]["by"], "alice");
    for missing in ["receipts", "decide", "extend", "vote", "vote_open", "cancel"] {
        let error = coordinate(&alice, json!({"action": missing})).await;
        assert_eq!(error["kind"], "invalid", "{missing}: {error}");
    }
}

#[tokio::test]
async fn an_agent_chooses_asks_for_approval_and_pins() {
    let place = Place::new().await;
    let (alice, bob) = (place.agent("alice").await, place.agent("bob").await);
    let ask = json!({"to": ["bob", "user"], "text": "Which?", "options": ["one", "two"]});
    let asked = alice.call("cccc_message_send", ask).await["seq"].clone();
    let shown = bob.call("cccc_inbox_list", json!({})).await;
    assert_eq!(shown["messages"][0]["options"], json!(["one", "two"]));
    let call = shown["you"]["owed"][0]["call"].as_str().unwrap().replace("...", "2");
    let (tool, arguments) = call.split_once(' ').unwrap();
    assert_eq!(tool, "cccc_message_reply");
    bob.call("cccc_message_reply", serde_json::from_str(arguments).unwrap()).await;
    let refused = bob.refused("cccc_message_reply", json!({"seq": asked, "choice": "one"})).await;
    assert!(refused["message"].as_str().unwrap().starts_with("bob answered question"), "{refused}");
    let questions = alice.call("cccc_coordination", json!({"action": "questions", "seq": asked})).await;
    assert_eq!(questions["questions"][0]["answer"]["choice"], "two");
    assert_eq!(alice.call("cccc_inbox_list", json!({})).await["messages"][0]["choice"], "two");

    let request = json!({"action": "approval_open", "subject": "Push", "for": "5m"});
    let opened = alice.call("cccc_coordination", request).await;
    let id = opened["approvals"][0]["approval_id"].clone();
    let own = json!({"action": "approval_decide", "approval": id, "choice": "yes"});
    assert_eq!(alice.refused("cccc_coordination", own).await["kind"], "refused");
    place.user.decide_approval(id.as_str().unwrap(), true, "go on").await.unwrap();
    let decided = alice.call("cccc_coordination", json!({"action": "approvals", "approval": id})).await;
    assert_eq!(decided["approvals"][0]["standing"], "allowed");

    bob.call("cccc_coordination", json!({"action": "pin", "seq": asked, "reason": "the choice"})).await;
    let pins = alice.call("cccc_coordination", json!({"action": "pins"})).await;
    assert_eq!(
        (&pins["pins"][0]["pinned_by"], &pins["pins"][0]["note"]),
        (&json!("bob"), &json!("the choice"))
    );
    assert_eq!(
        alice.refused("cccc_coordination", json!({"action": "unpin", "seq": asked})).await["kind"],
        "refused"
    );
    bob.call("cccc_coordination", json!({"action": "unpin", "seq": asked})).await;
    for missing in ["approval_open", "approval_decide", "approval_close", "pin", "unpin"] {
        let error = alice.refused("cccc_coordination", json!({"action": missing})).await;
        assert_eq!(error["kind"], "invalid", "{missing}: {error}");
    }
}

#[tokio::test]
async fn the_foreman_runs_the_group_and_peers_are_refused() {
    let place = Place::new().await;
    let (lead, alice) = (place.agent("lead").await, place.agent("alice").await);
    for (tool, arguments) in [
        ("cccc_actor", json!({"action": "add", "actor": "carol", "labels": "docs", "runtime": "codex"})),
        ("cccc_group", json!({"action": "pause", "reason": "lunch"})),
        ("cccc_group", json!({"action": "resume"})),
        ("cccc_group", json!({"action": "update", "title": "Team"})),
        ("cccc_actor", json!({"action": "update", "actor": "carol", "title": "Carol"})),
        ("cccc_actor", json!({"action": "remove", "actor": "carol", "successor": "alice"})),
    ] {
        assert_eq!(alice.refused(tool, arguments.clone()).await["kind"], "refused", "{tool} {arguments}");
        lead.call(tool, arguments).await;
    }
    let group = lead.call("cccc_group", json!({"action": "show"})).await;
    assert_eq!(group["group"]["title"], "Team");
    let made = lead
        .call("cccc_automation", json!({"action": "notice", "id": "daily", "text": "stand up", "to": "@peers", "cron": "0 9 * * 1-5", "tz": "Europe/Paris"}))
        .await;
    assert_eq!(made["schedules"][0]["schedule_id"], "daily");
    lead.call("cccc_automation", json!({"action": "disable", "id": "daily"})).await;
    lead.call("cccc_automation", json!({"action": "remove", "id": "daily"})).await;
    let error = lead.refused("cccc_automation", json!({"action": "notice", "text": "x"})).await;
    assert_eq!(error["kind"], "invalid");
    let changes = json!([{"key": "brief", "text": "Build it"},
        {"key": "services/api", "service": {"kind": "http", "address": "localhost:1"}}]);
    lead.call("cccc_context_sync", json!({"changes": changes})).await;
    let text = alice.call("cccc_context_get", json!({})).await["text"].as_str().unwrap().to_owned();
    assert!(text.contains("Build it") && text.contains("localhost:1"), "{text}");
    alice.call("cccc_agent_state", json!({"focus": "parser", "lasting": "30m"})).await;
    let agents = lead.call("cccc_context_get", json!({"key": "agents"})).await;
    assert_eq!(agents["agents"][0]["focus"], "parser");
    assert_eq!(
        lead.refused("cccc_context_sync", json!({"changes": [{"key": "brief"}]})).await["kind"],
        "invalid"
    );
}

#[tokio::test]
async fn files_come_with_messages_and_are_read_in_parts() {
    let place = Place::new().await;
    let mut options = place.options();
    options.actor = Some("alice".into());
    options.packs = vec!["files".into(), "history".into()];
    let alice = Agent::start(options, "x").await;
    let bob = place.agent("bob").await;
    let content: String = (0..3000).map(|n| format!("{n} é\n")).collect();
    std::fs::write(place.project().join("notes.md"), &content).unwrap();
    std::fs::write(place.project().join("raw.bin"), [0, 159, 146, 150]).unwrap();
    let sent = bob
        .call("cccc_message_send", json!({"text": "see", "to": "alice", "files": ["notes.md", "raw.bin"]}))
        .await;
    let mut arguments = json!({"seq": sent["seq"], "name": "notes.md"});
    let mut read = String::new();
    loop {
        let part = alice.call("cccc_file", arguments).await;
        read.push_str(part["text"].as_str().unwrap());
        let Some(next) = part["next"].as_str() else { break };
        arguments = serde_json::from_str(next.strip_prefix("cccc_file ").unwrap()).unwrap();
    }
    assert_eq!(read, content);
    let raw = alice.call("cccc_file", json!({"seq": sent["seq"], "name": "raw.bin"})).await;
    assert!(raw.get("text").is_none() && raw["path"].is_string(), "{raw}");
    for (arguments, kind) in
        [(json!({"seq": sent["seq"]}), "invalid"), (json!({"seq": sent["seq"], "name": "x"}), "not_found")]
    {
        assert_eq!(alice.refused("cccc_file", arguments).await["kind"], kind);
    }
    let error =
        bob.refused("cccc_message_send", json!({"text": "x", "to": "alice", "files": "missing"})).await;
    assert_eq!(error["kind"], "not_found");

    // Backwards page by page, everything comes once.
    let (mut seen, mut arguments) = (Vec::new(), json!({}));
    loop {
        let page = alice.call("cccc_history", arguments).await;
        seen.extend(
            page["events"].as_array().unwrap().iter().rev().map(|event| event["seq"].as_u64().unwrap()),
        );
        let Some(next) = page["next"].as_str() else { break };
        arguments = serde_json::from_str(next.strip_prefix("cccc_history ").unwrap()).unwrap();
    }
    seen.reverse();
    assert_eq!(seen, (1..=place.user.summary().await.unwrap().events).collect::<Vec<_>>());
}
