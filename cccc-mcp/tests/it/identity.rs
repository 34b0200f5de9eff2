//! Who a server is: told, known again, or new; and never somebody else.

use serde_json::{Value, json};

use crate::support::{Agent, Place, process};

#[tokio::test]
async fn nobody_is_disturbed_by_a_server_that_is_only_started() {
    let place = Place::new().await;
    let working = place.agent("alice").await;
    working.who().await;
    let events = place.user.summary().await.unwrap().events;
    let probe = place.agent("alice").await;
    probe.tools().await;
    probe.client.list_all_resources().await.unwrap();
    probe.client.list_all_prompts().await.unwrap();
    assert!(probe.call("cccc_help", json!({})).await.get("you").is_none(), "help needs nobody");
    probe.go().await;
    assert_eq!(place.user.summary().await.unwrap().events, events, "nothing was written");
    working.texts().await;
}

#[tokio::test]
async fn the_same_program_in_the_same_directory_is_the_same_again() {
    let place = Place::new().await;
    let first = place.stranger("codex-mcp-client").await;
    let otter = first.who().await;
    let member =
        place.user.who().await.unwrap().into_iter().find(|m| m.actor.actor_id.as_str() == otter).unwrap();
    assert!(member.actor.ephemeral);
    assert_eq!(member.actor.runtime.as_deref(), Some("codex"));
    // The context is cleared and the same server goes on.
    assert_eq!(first.who().await, otter);
    // A second session in the same directory is somebody else, with a mailbox of its own.
    let second = place.stranger("codex-mcp-client").await;
    let heron = second.who().await;
    assert_ne!(heron, otter);
    place.user.send("for the first").to(&otter).await.unwrap();
    place.user.send("for the second").to(&heron).await.unwrap();
    assert_eq!(second.texts().await, ["for the second"]);
    assert_eq!(first.texts().await, ["for the first"]);
    // The program starts its server anew, and mail has waited.
    first.go().await;
    place.user.send("while away").to(&otter).await.unwrap();
    let again = place.stranger("codex-mcp-client").await;
    assert_eq!(again.who().await, otter);
    assert_eq!(again.texts().await, ["for the first", "while away"]);
    // Another program in the same directory is somebody else.
    second.go().await;
    let other = place.stranger("gemini-cli-mcp-client").await;
    let gecko = other.who().await;
    assert!(gecko != otter && gecko != heron);
}

#[tokio::test]
async fn a_program_whose_process_is_one_session_keeps_its_actor_though_servers_overlap() {
    let place = Place::new().await;
    let started_by = |pid: u32| {
        let mut options = place.options();
        options.program = Some(process(pid));
        options.above = vec![process(pid), process(1)];
        options
    };
    let first = Agent::start(started_by(10), "claude-code").await;
    let otter = first.who().await;
    let reconnected = Agent::start(started_by(10), "claude-code").await;
    assert_eq!(reconnected.who().await, otter);
    let other = Agent::start(started_by(20), "claude-code").await;
    assert_ne!(other.who().await, otter, "another process in the same directory");
    // The replaced server is told, whatever it asks.
    place.user.send("x").to(&otter).await.unwrap();
    let error = first.refused("cccc_inbox_list", json!({})).await;
    assert_eq!(error["kind"], "refused");
    assert!(error["message"].as_str().unwrap().contains("replaced by a newer one"), "{error}");
    assert!(error["you"]["session"].as_str().unwrap().contains("replaced"), "{error}");
    assert_eq!(reconnected.texts().await, ["x"]);
}

#[tokio::test]
async fn an_environment_that_is_shared_makes_nobody_somebody_else() {
    let place = Place::new().await;
    // One background process starts the servers of all, with the environment of the first.
    let of_daemon = || {
        let mut options = place.options();
        options.inherited_actor = Some("alice".into());
        options.program = Some(process(10));
        options.above = vec![process(10), process(1)];
        options
    };
    let first = Agent::start(of_daemon(), "codex-mcp-client").await;
    assert_eq!(first.who().await, "alice");
    place.user.send("for alice").to("alice").await.unwrap();
    let second = Agent::start(of_daemon(), "codex-mcp-client").await;
    for tool in ["cccc_bootstrap", "cccc_inbox_list"] {
        let error = second.refused(tool, json!({})).await;
        assert_eq!(error["kind"], "refused", "{error}");
        assert!(error["hint"].as_str().unwrap().contains("{\"as\":\"auto\"}"), "{error}");
    }
    let joined = second.call("cccc_bootstrap", json!({"as": "auto"})).await;
    assert_ne!(joined["actor"], "alice");
    assert_eq!(second.texts().await, [""; 0]);
    assert_eq!(first.texts().await, ["for alice"]);
    // An agent that alice starts for a task inherits her environment too.
    let mut nested = of_daemon();
    nested.program = Some(process(30));
    nested.above = vec![process(30), process(10), process(1)];
    let nested = Agent::start(nested, "codex-mcp-client").await;
    assert_eq!(nested.refused("cccc_inbox_list", json!({})).await["kind"], "refused");
    // When alice is gone the id is free again.
    first.go().await;
    let heir = Agent::start(of_daemon(), "codex-mcp-client").await;
    assert_eq!(heir.who().await, "alice");
}

#[tokio::test]
async fn an_agent_says_who_it_is_and_takes_back_what_is_its_own() {
    let place = Place::new().await;
    let agent = place.stranger("opencode").await;
    let name = agent.who().await;
    let answer = agent.call("cccc_bootstrap", json!({"as": "bob"})).await;
    assert_eq!((&answer["actor"], &answer["role"]), (&json!("bob"), &json!("peer")));
    assert_eq!(agent.who().await, "bob");
    let presence = |id: String| {
        let user = place.user.clone();
        async move {
            let member =
                user.who().await.unwrap().into_iter().find(|m| m.actor.actor_id.as_str() == id).unwrap();
            serde_json::to_value(member.presence).unwrap()
        }
    };
    assert_eq!(presence(name).await, "absent");
    assert_eq!(presence("bob".into()).await, "present");

    let newer = place.agent("bob").await;
    let took = newer.call("cccc_bootstrap", json!({})).await;
    assert!(took["note"].as_str().unwrap().contains("took over"), "{took}");
    // Asking who one is takes nothing back; saying it does.
    let told = agent.call("cccc_bootstrap", json!({})).await;
    assert!(told["note"].as_str().unwrap().contains("{\"as\":\"bob\"}"), "{told}");
    assert_eq!(newer.call("cccc_inbox_list", json!({})).await["messages"], json!([]));
    agent.call("cccc_bootstrap", json!({"as": "bob"})).await;
    agent.call("cccc_inbox_list", json!({})).await;
    assert_eq!(newer.refused("cccc_inbox_list", json!({})).await["kind"], "refused");

    // One that left, or was removed, comes back when it is called again.
    agent.call("cccc_coordination", json!({"action": "leave"})).await;
    assert_eq!(presence("bob".into()).await, "absent");
    assert_eq!(agent.who().await, "bob");
    assert_eq!(presence("bob".into()).await, "present");
    agent.go().await;
    assert_eq!(presence("bob".into()).await, "absent");
}

#[tokio::test]
async fn a_session_that_was_replaced_may_speak_but_receives_nothing() {
    let place = Place::new().await;
    let older = place.agent("alice").await;
    older.who().await;
    let newer = place.agent("alice").await;
    newer.who().await;
    place.user.send("for alice").to("alice").await.unwrap();
    // What it says is still alice's, and it is told with the answer that it is not the one who receives.
    let sent = older.call("cccc_message_send", json!({"text": "half done", "to": ["bob"]})).await;
    assert!(sent["you"]["session"].as_str().unwrap().contains("was replaced"), "{sent}");
    older.call("cccc_agent_state", json!({"focus": "winding up"})).await;
    for arguments in [json!({}), json!({"wait_seconds": 60}), json!({"limit": 0})] {
        let error = older.refused("cccc_inbox_list", arguments).await;
        assert!(error["message"].as_str().unwrap().contains("was replaced"), "{error}");
        assert!(error["hint"].as_str().unwrap().contains("cccc_bootstrap {\"as\":"), "{error}");
    }
    assert_eq!(newer.texts().await, ["for alice"]);
    let event = place.user.event(sent["seq"].as_u64().unwrap()).await.unwrap();
    assert_eq!(event.by.to_string(), "alice");
}

#[tokio::test]
async fn names_that_are_none_and_groups_that_are_not_there() {
    let place = Place::new().await;
    let agent = place.stranger("x").await;
    for id in ["user", "Not An Id", ""] {
        let error = agent.refused("cccc_bootstrap", json!({"as": id})).await;
        assert!(["invalid", "refused"].contains(&error["kind"].as_str().unwrap()), "{id}: {error}");
    }
    let mut options = place.options();
    options.directory = place.dir.path().to_owned();
    let lost = Agent::start(options, "x").await;
    let error = lost.refused("cccc_bootstrap", json!({})).await;
    assert_eq!(error["kind"], "not_found");
    assert!(error["hint"].as_str().unwrap().contains("cccc attach"), "{error}");
    assert!(lost.client.list_all_resources().await.unwrap().is_empty());
    // It is found as soon as it is there.
    cccc_core::Home::open(place.dir.path().join("home"))
        .await
        .unwrap()
        .attach(place.dir.path())
        .await
        .unwrap();
    lost.who().await;
    let mut options = place.options();
    options.group = Some("gnothing00000".into());
    let error = Agent::start(options, "x").await.refused("cccc_inbox_list", json!({})).await;
    assert_eq!(error["kind"], "not_found");
}

#[tokio::test]
async fn calls_at_the_same_time_join_once() {
    let place = Place::new().await;
    let agent = place.stranger("x").await;
    let calls = (0..16).map(|_| agent.call("cccc_inbox_list", json!({})));
    let answers: Vec<Value> = futures_join(calls).await;
    let names: std::collections::BTreeSet<&str> =
        answers.iter().map(|answer| answer["you"]["actor"].as_str().unwrap()).collect();
    assert_eq!(names.len(), 1);
    assert_eq!(place.user.actors().await.unwrap().len(), 4);
}

/// All of them, at the same time.
async fn futures_join<F: Future<Output = Value>>(calls: impl Iterator<Item = F>) -> Vec<Value> {
    let mut calls: Vec<_> = calls.map(Box::pin).collect();
    let mut answers: Vec<Option<Value>> = calls.iter().map(|_| None).collect();
    std::future::poll_fn(|context| {
        for (call, answer) in calls.iter_mut().zip(&mut answers) {
            if answer.is_none()
                && let std::task::Poll::Ready(value) = call.as_mut().poll(context)
            {
                *answer = Some(value);
            }
        }
        if answers.iter().all(Option::is_some) {
            std::task::Poll::Ready(())
        } else {
            std::task::Poll::Pending
        }
    })
    .await;
    answers.into_iter().flatten().collect()
}
