//! The memory through its tools.

use cccc_mcp::MAX_ANSWER_BYTES;
use serde_json::{Value, json};

use crate::support::{Agent, Place};

async fn with_memory(place: &Place, id: &str, packs: &[&str]) -> Agent {
    let mut options = place.options();
    options.actor = Some(id.to_owned());
    options.packs = packs.iter().map(|pack| (*pack).to_owned()).collect();
    Agent::start(options, "test-client").await
}

fn ids(answer: &Value) -> Vec<&str> {
    answer["notes"].as_array().unwrap().iter().map(|note| note["note"].as_str().unwrap()).collect()
}

#[tokio::test]
async fn an_agent_remembers_and_another_finds_it() {
    let place = Place::new().await;
    let sent = place.user.send("The tests need the database").to("alice").await.unwrap();
    let alice = with_memory(&place, "alice", &["memory"]).await;
    let args = json!({"action": "add", "text": "Tests need `just db`", "tags": ["#tests", "setup"],
        "sources": sent.seq, "client_id": "k1"});
    let added = alice.call("cccc_memory", args.clone()).await;
    assert_eq!((&added["note"]["note"], &added["changed"]), (&json!("n1"), &json!(true)));
    assert_eq!(added["you"]["actor"], "alice");
    assert_eq!(alice.call("cccc_memory", args).await["changed"], false);
    alice.call("cccc_memory", json!({"action": "add", "text": "I am at step 3", "own": true})).await;
    let bob = with_memory(&place, "bob", &["memory"]).await;
    let found = bob.call("cccc_memory", json!({"action": "search", "text": "which tests need a db"})).await;
    assert_eq!((ids(&found), &found["matched"]), (vec!["n1"], &json!("any")));
    let note = &found["notes"][0];
    assert_eq!(note["from"], "from peer alice (not the user)");
    assert_eq!(note["sources"], json!([format!("{} (chat.message) from the user", sent.seq)]));
    assert_eq!(ids(&bob.call("cccc_memory", json!({"action": "list"})).await), ["n1"]);
    let own = alice.call("cccc_memory", json!({"action": "list", "own": true})).await;
    assert_eq!((ids(&own), &own["notes"][0]["own"]), (vec!["n2"], &json!(true)));
    for filter in [json!({"tags": "tests"}), json!({"author": "@alice"}), json!({"within": "1h"})] {
        let mut args = filter.clone();
        args["action"] = "list".into();
        assert_eq!(ids(&bob.call("cccc_memory", args).await), ["n1"], "{filter}");
    }
    let error = bob.refused("cccc_memory", json!({"action": "edit", "note": "n1", "text": "x"})).await;
    assert_eq!(error["kind"], "refused");
    let error = bob.refused("cccc_memory", json!({"action": "show", "note": "n2"})).await;
    assert_eq!(error["kind"], "not_found");
    for (args, kind) in [
        (json!({"action": "search"}), "invalid"),
        (json!({"action": "add", "text": "x", "sources": [999]}), "not_found"),
        (json!({"action": "add", "text": "x", "tags": ["No Tag"]}), "invalid"),
        (json!({"action": "show", "note": "first"}), "invalid"),
        (json!({"action": "add", "text": "x".repeat(9000)}), "too_large"),
        (json!({"action": "remember"}), "invalid"),
    ] {
        assert_eq!(bob.refused("cccc_memory", args.clone()).await["kind"], kind, "{args}");
    }
    let args = json!({"action": "edit", "note": "n1", "text": "Tests need `just db up`", "base": 1});
    assert_eq!(alice.call("cccc_memory", args).await["note"]["version"], 2);
    let forgotten = alice.call("cccc_memory", json!({"action": "forget", "note": "n1"})).await;
    assert_eq!(forgotten["changed"], true);
    assert!(ids(&bob.call("cccc_memory", json!({"action": "search", "text": "db"})).await).is_empty());
}

#[tokio::test]
async fn what_does_not_fit_comes_on_the_next_page() {
    let place = Place::new().await;
    let alice = with_memory(&place, "alice", &["memory"]).await;
    let long = "ä\"\n".repeat(1500);
    for n in 0..45 {
        let args = json!({"action": "add", "text": format!("note {n} {long}"), "tags": ["t"]});
        alice.call("cccc_memory", args).await;
    }
    for args in [json!({"action": "list", "tags": ["t"]}), json!({"action": "search", "text": "\"note\""})] {
        let (mut seen, mut args) = (std::collections::BTreeSet::new(), args);
        loop {
            let answer = alice.call("cccc_memory", args.clone()).await;
            assert!(answer.to_string().len() <= MAX_ANSWER_BYTES && answer.get("truncated").is_none());
            seen.extend(ids(&answer).into_iter().map(str::to_owned));
            let Some(next) = answer.get("next") else { break };
            let call = next.as_str().unwrap().strip_prefix("cccc_memory ").unwrap();
            args = serde_json::from_str(call).unwrap();
        }
        assert_eq!(seen.len(), 45, "{args}");
    }
    let (mut text, mut from) = (String::new(), Some(0));
    while let Some(at) = from {
        let answer =
            alice.call("cccc_memory", json!({"action": "show", "note": "n1", "text_from": at})).await;
        text += answer["note"]["text"].as_str().unwrap();
        let call =
            answer["note"].get("more").map(|more| more.as_str().unwrap()["cccc_memory ".len()..].to_owned());
        from = call.map(|call| serde_json::from_str::<Value>(&call).unwrap()["text_from"].as_u64().unwrap());
    }
    assert_eq!(text, format!("note 0 {long}"));
}

#[tokio::test]
async fn looking_after_it_is_for_the_foreman_and_whom_the_home_allows() {
    let place = Place::new().await;
    let alice = with_memory(&place, "alice", &["memory", "memory-admin"]).await;
    assert!(!alice.tools().await.contains(&"cccc_memory_admin".to_owned()));
    let error = alice.refused("cccc_memory_admin", json!({"action": "stats"})).await;
    assert_eq!(error["kind"], "refused");
    alice.call("cccc_memory", json!({"action": "add", "text": "mine", "own": true})).await;
    alice.call("cccc_memory", json!({"action": "add", "text": "wrong"})).await;
    alice.call("cccc_memory", json!({"action": "forget", "note": "n2"})).await;
    let lead = with_memory(&place, "lead", &["memory", "memory-admin"]).await;
    let admin = async |args| lead.call("cccc_memory_admin", args).await["result"].clone();
    let stats = admin(json!({"action": "stats"})).await;
    assert_eq!((&stats["current"], &stats["forgotten"]), (&json!(1), &json!(1)));
    assert_eq!(admin(json!({"action": "verify"})).await["ok"], true);
    assert_eq!(admin(json!({"action": "rebuild"})).await["notes"], 1);
    let forgotten = lead.call("cccc_memory_admin", json!({"action": "forgotten"})).await;
    assert_eq!(ids(&forgotten), ["n2"]);
    assert_eq!(admin(json!({"action": "purge", "older_than": "1h"})).await["notes"], 0);
    assert_eq!(admin(json!({"action": "purge"})).await["notes"], 1);
    assert!(admin(json!({"action": "compact"})).await["bytes"].as_u64().unwrap() > 0);
    let handover = json!({"action": "handover", "from": "alice", "to": "lead"});
    assert_eq!(lead.refused("cccc_memory_admin", handover.clone()).await["kind"], "refused", "alice is here");
    for args in [json!({"action": "handover", "from": "alice"}), json!({"action": "handover", "to": "lead"})]
    {
        assert_eq!(lead.refused("cccc_memory_admin", args).await["kind"], "invalid");
    }
    place.user.remove_actor("alice").await.unwrap();
    assert_eq!(admin(handover).await["notes"], 1);
    assert_eq!(ids(&lead.call("cccc_memory", json!({"action": "search", "text": "mine"})).await), ["n1"]);
    // Whom the home allows sees how things stand; what it may change is not the home's to say.
    std::fs::write(place.dir.path().join("home/mcp.json"), r#"{"allow": {"memory-admin": ["bob"]}}"#)
        .unwrap();
    let bob = with_memory(&place, "bob", &["memory-admin"]).await;
    assert_eq!(bob.call("cccc_memory_admin", json!({"action": "verify"})).await["result"]["ok"], true);
    let error = bob.refused("cccc_memory_admin", json!({"action": "purge"})).await;
    assert_eq!(error["kind"], "refused");
    lead.refused("cccc_memory_admin", json!({"action": "stats"})).await;
}
