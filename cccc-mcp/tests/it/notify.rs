//! What a client is told without asking.

use cccc_core::ledger::file::RepairOptions;
use cccc_core::testing;
use rmcp::model::{
    ReadResourceRequestParams, ResourceContents, SubscribeRequestParams, UnsubscribeRequestParams,
};
use serde_json::{Value, json};

use crate::support::{Agent, Place, Told};

#[tokio::test]
#[expect(deprecated, reason = "what clients of all versions but the newest use")]
async fn the_inbox_is_a_resource_that_says_when_it_changes() {
    let place = Place::new().await;
    let mut alice = place.agent("alice").await;
    let uri = alice.client.list_all_resources().await.unwrap().remove(0).uri;
    assert_eq!(uri, format!("cccc://group/{}/inbox", place.user.id()));
    alice.client.subscribe(SubscribeRequestParams::new(&uri)).await.unwrap();
    place.user.send("to another").to("bob").await.unwrap();
    let sent = place.user.send("look").to("alice").await.unwrap();
    assert_eq!(alice.told().await, Told::Updated(uri.clone()));
    let read = alice.client.read_resource(ReadResourceRequestParams::new(&uri)).await.unwrap();
    let ResourceContents::TextResourceContents { text, .. } = &read.contents[0] else { panic!("{read:?}") };
    let inbox: Value = serde_json::from_str(text).unwrap();
    assert_eq!((&inbox["actor"], &inbox["messages"][0]["text"]), (&json!("alice"), &json!("look")));
    let receipt = place.user.receipts(&sent).await.unwrap().remove(0);
    assert_eq!(receipt.delivery.state.as_str(), "pending", "nothing says that an agent was shown it");

    alice.client.unsubscribe(UnsubscribeRequestParams::new(&uri)).await.unwrap();
    place.user.send("unheard").to("alice").await.unwrap();
    assert_eq!(alice.texts().await, ["look", "unheard"]);
    assert!(alice.is_told_nothing());
    for bad in ["cccc://group/other/inbox", "file:///etc/passwd", ""] {
        assert!(alice.client.subscribe(SubscribeRequestParams::new(bad)).await.is_err(), "{bad}");
        assert!(alice.client.read_resource(ReadResourceRequestParams::new(bad)).await.is_err(), "{bad}");
    }
}

#[tokio::test]
async fn a_channel_rings_and_delivers_nothing() {
    let place = Place::new().await;
    let mut options = place.options();
    options.actor = Some("alice".into());
    options.channel = true;
    let mut alice = Agent::start(options, "claude-code").await;
    let info = alice.client.peer_info().unwrap();
    assert!(info.capabilities.experimental.as_ref().unwrap().contains_key("claude/channel"));
    alice.who().await;
    place.user.send("later").to("alice").priority(cccc_core::event::Priority::Low).await.unwrap();
    let lead = place.user.bind("lead").await.unwrap();
    let sent = lead.send("secret text").to("alice").await.unwrap();
    let Told::Custom(method, params) = alice.told().await else { panic!("not through the channel") };
    assert_eq!(method, "notifications/claude/channel");
    let content = params["content"].as_str().unwrap();
    assert!(content.contains("from foreman lead (not the user)") && !content.contains("secret"), "{content}");
    assert_eq!(params["meta"]["seq"], sent.seq.to_string(), "low priority does not ring");
    assert!(params["meta"].as_object().unwrap().values().all(Value::is_string), "{params}");
    let receipt = place.user.receipts(&sent).await.unwrap().remove(0);
    assert_eq!(receipt.delivery.state.as_str(), "pending");

    let silent = place.agent("bob").await;
    assert!(silent.client.peer_info().unwrap().capabilities.experimental.is_none());
}

#[tokio::test]
async fn packs_and_roles_change_the_list_of_tools() {
    let place = Place::new().await;
    let mut alice = place.agent("alice").await;
    let before = alice.tools().await;
    assert_eq!(before.len(), 11);
    let error = alice.refused("cccc_history", json!({})).await;
    assert!(error["hint"].as_str().unwrap().contains("\"packs\":[\"history\"]"), "{error}");
    let answer = alice.call("cccc_bootstrap", json!({"packs": ["history", "labels"]})).await;
    assert_eq!(answer["packs"], json!(["history", "labels"]));
    assert_eq!(alice.told().await, Told::Tools);
    assert_eq!(alice.tools().await[11..], ["cccc_history", "cccc_labels"]);
    alice.call("cccc_history", json!({})).await;
    assert_eq!(alice.refused("cccc_bootstrap", json!({"packs": ["nothing"]})).await["kind"], "not_found");

    // The home may forbid.
    let overlay = place.dir.path().join("home/mcp.json");
    std::fs::write(&overlay, r#"{"allow": {"history": ["foreman"]}, "on": {"bob": ["files"]}}"#).unwrap();
    assert_eq!(alice.refused("cccc_history", json!({})).await["kind"], "refused");
    let bob = place.agent("bob").await;
    assert_eq!(bob.refused("cccc_bootstrap", json!({"packs": ["history"]})).await["kind"], "refused");
    assert!(bob.tools().await.contains(&"cccc_file".to_owned()));
    std::fs::write(&overlay, "{").unwrap();
    assert_eq!(bob.refused("cccc_bootstrap", json!({})).await["kind"], "invalid");
    std::fs::remove_file(&overlay).unwrap();

    // Whoever becomes the foreman is offered more.
    let mut bob = bob;
    while !bob.is_told_nothing() {}
    bob.tools().await;
    place.user.update_actor("bob").role(cccc_core::event::Role::Foreman).await.unwrap();
    bob.texts().await;
    assert_eq!(bob.told().await, Told::Tools);
    assert!(bob.tools().await.contains(&"cccc_actor".to_owned()));
    // And whoever is known to be one is offered so from the beginning.
    let same = place.agent("bob").await;
    assert!(same.tools().await.contains(&"cccc_actor".to_owned()));
}

#[tokio::test]
async fn of_a_repair_that_leaves_a_gap_the_next_answer_says_so() {
    let place = Place::new().await;
    let alice = place.agent("alice").await;
    let spoilt = place.user.send("soon spoilt").to("alice").await.unwrap().seq;
    place.user.send("sound").to("alice").await.unwrap();
    let before = alice.call("cccc_inbox_list", json!({})).await;
    assert_eq!(before["you"]["unread"], 2, "{before}");
    let files = place.user.files().unwrap();
    let segment = files.path().join("ledger/00000000000000000001.jsonl");
    let text = std::fs::read_to_string(&segment).unwrap();
    std::fs::write(&segment, text.replace("soon spoilt", "SOON SPOILT")).unwrap();
    let report = files.repair(RepairOptions::default()).await.unwrap();
    assert_eq!(report.broken.iter().map(|one| one.lost).sum::<u64>(), 1, "{report:?}");
    let after = alice.call("cccc_inbox_list", json!({})).await;
    assert!(after["you"]["ledger"].as_str().unwrap().contains("was replaced"), "{after}");
    assert_eq!(after["you"]["unread"], 1, "{after}");
    let again = alice.call("cccc_inbox_list", json!({})).await;
    assert!(again["you"]["ledger"].is_null(), "{again}");
    for (tool, arguments) in [
        ("cccc_inbox_list", json!({"seq": spoilt})),
        ("cccc_message_ack", json!({"seq": spoilt})),
        ("cccc_message_reply", json!({"seq": spoilt, "text": "well"})),
        ("cccc_coordination", json!({"action": "receipts", "seq": spoilt})),
    ] {
        let error = alice.refused(tool, arguments).await;
        let lost = format!("event {spoilt} was lost and repaired away (gap)");
        assert_eq!((&error["kind"], &error["message"]), (&json!("not_found"), &json!(lost)), "{tool}");
    }
}

/// An agent that is told of its mail, which is at this address.
#[expect(deprecated, reason = "what clients of all versions but the newest use")]
async fn subscribed(place: &Place) -> (Agent, String) {
    let alice = place.agent("alice").await;
    let uri = alice.client.list_all_resources().await.unwrap().remove(0).uri;
    alice.client.subscribe(SubscribeRequestParams::new(&uri)).await.unwrap();
    (alice, uri)
}

#[tokio::test]
async fn of_a_ledger_that_was_replaced_the_next_answer_says_so_and_what_comes_is_told_of() {
    let place = Place::new().await;
    let (mut alice, uri) = subscribed(&place).await;
    alice.who().await;
    let path = place.user.files().unwrap().path().to_owned();
    let saved = place.dir.path().join("saved");
    testing::save(&path, &saved).unwrap();
    place.user.send("soon gone").to("alice").await.unwrap();
    assert_eq!(alice.told().await, Told::Updated(uri.clone()));
    let before = alice.call("cccc_inbox_list", json!({})).await;
    assert!(before["you"]["ledger"].is_null(), "{before}");

    testing::restore(&saved, &path).unwrap();
    let after = alice.call("cccc_inbox_list", json!({})).await;
    assert!(after["you"]["ledger"].as_str().unwrap().contains("was replaced"), "{after}");
    assert_eq!(after["you"]["unread"], 0, "{after}");
    let again = alice.call("cccc_inbox_list", json!({})).await;
    assert!(again["you"]["ledger"].is_null(), "{again}");
    place.user.send("new").to("alice").await.unwrap();
    assert_eq!(alice.told().await, Told::Updated(uri));
    assert_eq!(alice.texts().await, ["new"]);
}

#[tokio::test]
async fn who_is_told_of_mail_still_is_when_the_files_were_away() {
    let place = Place::new().await;
    let (mut alice, uri) = subscribed(&place).await;
    alice.who().await;
    let path = place.user.files().unwrap().path().to_owned();
    let (head, aside) = (path.join("head"), place.dir.path().join("aside"));
    for n in 0..3 {
        // As another file, so that whoever has it open has to open all anew.
        std::fs::rename(&head, &aside).unwrap();
        alice.client.list_all_tools().await.unwrap();
        std::fs::copy(&aside, &head).unwrap();
        place.user.send(format!("message {n}")).to("alice").await.unwrap();
        assert_eq!(alice.told().await, Told::Updated(uri.clone()));
    }
    assert_eq!(alice.texts().await, ["message 0", "message 1", "message 2"]);
}
