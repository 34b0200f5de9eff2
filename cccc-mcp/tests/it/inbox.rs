//! Mail: shown, paged, waited for, marked.

use std::time::{Duration, Instant};

use rmcp::model::{CallToolRequestParams, ClientRequest, Request};
use rmcp::service::PeerRequestOptions;
use serde_json::{Value, json};
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};

use crate::support::{PATIENCE, Place};

#[tokio::test]
async fn a_message_is_shown_with_its_sender_answered_and_settled() {
    let place = Place::new().await;
    let (lead, alice) = (place.agent("lead").await, place.agent("alice").await);
    let sent =
        lead.call("cccc_message_send", json!({"text": "Review?", "to": ["alice"], "reply_within": "15m"}));
    let sent = sent.await;
    assert_eq!(sent["recipients"], json!(["alice"]));
    place.user.send("and this").to("alice").await.unwrap();

    let inbox = alice.call("cccc_inbox_list", json!({})).await;
    let (first, second) = (&inbox["messages"][0], &inbox["messages"][1]);
    assert_eq!(first["from"], "from foreman lead (not the user)");
    assert_eq!(second["from"], "from the user");
    assert_eq!(first["owed"], json!(["reply"]));
    assert!(first["asks"][0].as_str().unwrap().starts_with("reply by 20"), "{first}");
    let owed = &inbox["you"]["owed"][0];
    assert_eq!((&owed["seq"], &owed["from"]), (&sent["seq"], &json!("lead")));
    let call = format!("cccc_message_reply {{\"seq\":{},\"text\":\"...\"}}", sent["seq"]);
    assert_eq!(owed["call"], Value::from(call));

    let receipts = |what: &'static str| {
        let call = lead.call("cccc_coordination", json!({"action": "receipts", "seq": sent["seq"]}));
        async move {
            let answer = call.await;
            answer["receipts"][0].get(what).cloned().unwrap_or_else(|| panic!("{answer}"))
        }
    };
    assert_eq!((receipts("delivery").await, receipts("evidence").await), (json!("accepted"), json!("inbox")));
    assert_eq!((receipts("read").await, receipts("reply").await), (json!(false), json!("open")));
    let answer = alice.call("cccc_message_reply", json!({"seq": sent["seq"], "text": "Fine"})).await;
    assert_eq!(answer["you"]["owed"], json!([]));
    assert_eq!(answer["you"]["unread"], 1);
    assert_eq!((receipts("read").await, receipts("reply").await), (json!(true), json!("met")));
    assert_eq!(lead.texts().await, ["Fine"]);
    alice.go().await;
    lead.go().await;
}

#[tokio::test]
async fn a_page_read_through_makes_way_for_the_next() {
    let place = Place::new().await;
    let alice = place.agent("alice").await;
    for n in 0..25 {
        place.user.send(format!("{n}")).to("alice").await.unwrap();
    }
    let first = alice.call("cccc_inbox_list", json!({})).await;
    assert_eq!(first["messages"].as_array().unwrap().len(), 20);
    assert_eq!(first["unread"], 25);
    let last = first["messages"][19]["seq"].clone();
    assert!(first["next"].as_str().unwrap().contains(&last.to_string()), "{first}");
    let after = alice.call("cccc_inbox_list", json!({"after": last})).await;
    assert_eq!((after["messages"].as_array().unwrap().len(), &after["unread"]), (5, &json!(25)));
    let second = alice.call("cccc_inbox_list", json!({"read_through": last})).await;
    assert_eq!((second["messages"].as_array().unwrap().len(), &second["unread"]), (5, &json!(5)));
    assert_eq!(second["messages"][0]["text"], "20");
    let done = alice.call("cccc_inbox_mark_read", json!({"seqs": [second["messages"][0]["seq"]]})).await;
    assert_eq!(done["you"]["unread"], 4);
    let through = second["messages"][4]["seq"].clone();
    let done = alice.call("cccc_inbox_mark_read", json!({"through": through})).await;
    assert_eq!((&done["changed"], &done["you"]["unread"]), (&json!(true), &json!(0)));
    for both in [json!({}), json!({"seqs": [1], "through": 2})] {
        assert_eq!(alice.refused("cccc_inbox_mark_read", both).await["kind"], "invalid");
    }
}

#[tokio::test]
async fn what_is_not_shown_does_not_count_as_delivered() {
    let place = Place::new().await;
    let alice = place.agent("alice").await;
    let text = "\u{1}".repeat(300) + &"x".repeat(3000);
    let mut sent = Vec::new();
    for _ in 0..8 {
        sent.push(place.user.send(&text).to("alice").await.unwrap());
    }
    let inbox = alice.call("cccc_inbox_list", json!({})).await;
    let shown = inbox["messages"].as_array().unwrap().len();
    assert!((1..8).contains(&shown), "{shown}");
    for (n, message) in sent.iter().enumerate() {
        let receipt = place.user.receipts(message).await.unwrap().remove(0);
        let word = receipt.delivery.state.as_str();
        assert_eq!(word, if n < shown { "accepted" } else { "pending" }, "message {n} of {shown}");
    }
}

#[tokio::test]
async fn a_long_text_is_read_in_parts() {
    let place = Place::new().await;
    let alice = place.agent("alice").await;
    let text: String = (0..4000).map(|n| format!("{n} äöü\n")).collect();
    place.user.send(&text).to("alice").await.unwrap();
    let inbox = alice.call("cccc_inbox_list", json!({})).await;
    let message = &inbox["messages"][0];
    let mut read = message["text"].as_str().unwrap().to_owned();
    let mut more = message["more"].as_str().map(str::to_owned);
    while let Some(call) = more {
        let arguments = call.strip_prefix("cccc_inbox_list ").unwrap();
        let part = alice.call("cccc_inbox_list", serde_json::from_str(arguments).unwrap()).await;
        let message = &part["messages"][0];
        read.push_str(message["text"].as_str().unwrap());
        more = message["more"].as_str().map(str::to_owned);
    }
    assert_eq!(read, text);
}

#[tokio::test]
async fn one_message_by_its_number_is_handed_over_too() {
    let place = Place::new().await;
    let alice = place.agent("alice").await;
    let first = place.user.send("first").to("alice").await.unwrap();
    let second = place.user.send("second").to("alice").await.unwrap();
    let state = |sent: &cccc_core::Sent| {
        let (user, id) = (place.user.clone(), sent.event_id);
        async move { user.receipts(id).await.unwrap().remove(0).delivery.state.as_str() }
    };
    let shown = alice.call("cccc_inbox_list", json!({"seq": second.seq})).await;
    assert_eq!(shown["messages"][0]["text"], "second");
    assert_eq!((state(&first).await, state(&second).await), ("pending", "accepted"));
    // One that was for somebody else is shown, and nothing follows from that.
    let other = place.user.send("to bob").to("bob").await.unwrap();
    alice.call("cccc_inbox_list", json!({"seq": other.seq})).await;
    assert_eq!(state(&other).await, "pending");
    // Nor from one that may no longer be handed over.
    let task = place.user.task_add("t").await.unwrap();
    let not_if = cccc_core::event::NotIf::TaskClosed { task_id: task.task_id.to_string() };
    let late = place.user.send("late").to("alice").not_if(not_if).await.unwrap();
    place.user.task_update(&task).cancel("no").await.unwrap();
    alice.call("cccc_inbox_list", json!({"seq": late.seq})).await;
    assert_ne!(state(&late).await, "accepted");
}

#[tokio::test]
async fn waiting_ends_when_something_comes() {
    let place = Place::new().await;
    let alice = place.agent("alice").await;
    alice.who().await;
    let started = Instant::now();
    let wait = alice.call("cccc_inbox_list", json!({"wait_seconds": 60}));
    let send = async {
        // What does not concern alice does not end it.
        place.user.send("to another").to("bob").await.unwrap();
        place.user.send("now").to("alice").await.unwrap();
    };
    let (inbox, ()) = tokio::join!(wait, send);
    assert_eq!(inbox["messages"][0]["text"], "now");
    assert!(started.elapsed() < PATIENCE);
    // Nothing comes after this one: the time is over.
    let none =
        alice.call("cccc_inbox_list", json!({"after": inbox["messages"][0]["seq"], "wait_seconds": 1})).await;
    assert_eq!((none["messages"].as_array().unwrap().len(), &none["unread"]), (0, &json!(1)));
}

#[tokio::test]
async fn a_cancelled_wait_takes_nothing() {
    let place = Place::new().await;
    let alice = place.agent("alice").await;
    alice.who().await;
    let arguments = json!({"wait_seconds": 60}).as_object().unwrap().clone();
    let params = CallToolRequestParams::new("cccc_inbox_list").with_arguments(arguments);
    let request = ClientRequest::CallToolRequest(Request::new(params));
    let handle =
        alice.client.send_cancellable_request(request, PeerRequestOptions::no_options()).await.unwrap();
    handle.cancel(Some("not interested".into())).await.unwrap();
    // The server reads in order, so it knows of the cancellation before this.
    alice.who().await;
    let sent = place.user.send("later").to("alice").await.unwrap();
    alice.who().await;
    assert_eq!(place.user.receipts(&sent).await.unwrap()[0].delivery.state.as_str(), "pending");
    assert_eq!(alice.texts().await, ["later"]);
    // An agent that goes while it waits does not keep its server.
    place.user.bind("alice").await.unwrap().read_through(sent.event_id).await.unwrap();
    let started = Instant::now();
    let waiting = alice.client.peer().clone();
    let wait = tokio::spawn(async move {
        let arguments = json!({"wait_seconds": 60}).as_object().unwrap().clone();
        waiting.call_tool(CallToolRequestParams::new("cccc_inbox_list").with_arguments(arguments)).await
    });
    tokio::task::yield_now().await;
    alice.go().await;
    assert!(started.elapsed() < Duration::from_secs(4), "{:?}", started.elapsed());
    drop(wait.await);
}

#[tokio::test]
async fn a_paused_group_hands_nothing_over() {
    let place = Place::new().await;
    let alice = place.agent("alice").await;
    place.user.send("x").to("alice").await.unwrap();
    place.user.set_state(cccc_core::event::GroupMode::Paused, "lunch").await.unwrap();
    let error = alice.refused("cccc_inbox_list", json!({"wait_seconds": 60})).await;
    assert_eq!(error["kind"], "unavailable");
    assert!(error["message"].as_str().unwrap().contains("paused"), "{error}");
    assert_eq!(error["you"]["unread"], 1);
}

#[tokio::test]
async fn notices_are_shown_once_and_a_wait_ends_with_one() {
    let place = Place::new().await;
    let alice = place.agent("alice").await;
    alice.who().await;
    let wait = alice.call("cccc_inbox_list", json!({"wait_seconds": 60}));
    let assign = async { place.user.task_add("Fix it").owner("alice").await.unwrap() };
    let (inbox, task) = tokio::join!(wait, assign);
    let notice = &inbox["notices"][0];
    let show = format!("`cccc_task {{\"action\":\"show\",\"task\":\"{}\"}}`", task.task_id);
    assert_eq!(notice["notice"], "task_assigned");
    assert!(notice["words"].as_str().unwrap().ends_with(&show), "{notice}");
    assert_eq!((&inbox["messages"], &inbox["unread"]), (&json!([]), &json!(0)));
    assert!(alice.call("cccc_inbox_list", json!({})).await.get("notices").is_none(), "once");
    // What an author wrote is not rewritten, and what is long is cut with the call that shows all.
    let user = &place.user;
    user.schedule_notice("run `cccc inbox`").to("alice").every(Duration::from_secs(60)).await.unwrap();
    user.schedule_notice("x".repeat(4000)).to("alice").every(Duration::from_secs(60)).await.unwrap();
    let later = cccc_core::ManualClock::at(cccc_core::Timestamp::from_millis(i64::MAX / 1_000_000));
    let mut options = cccc_core::HomeOptions::default();
    options.clock = std::sync::Arc::new(later);
    let host = cccc_core::Home::open_with(place.dir.path().join("home"), options).await.unwrap();
    let host = host.group(user.id()).await.unwrap();
    host.carry_out_due().await.unwrap();
    let mut told = Vec::new();
    while told.len() < 2 {
        let inbox = alice.call("cccc_inbox_list", json!({"limit": 0})).await;
        let notices = inbox["notices"].as_array().unwrap_or_else(|| panic!("only {told:?}")).clone();
        told.extend(notices.into_iter().filter(|one| one["notice"] == "schedule"));
    }
    let words: Vec<&str> = told.iter().map(|one| one["words"].as_str().unwrap()).collect();
    assert!(words.contains(&"run `cccc inbox`"), "{words:?}");
    assert!(
        words.iter().any(|words| words.len() < 1200 && words.contains("cccc_history {\"from\":")),
        "{words:?}"
    );
}

#[tokio::test]
async fn notices_that_do_not_fit_wait_for_the_next_page() {
    let place = Place::new().await;
    let alice = place.agent("alice").await;
    alice.who().await;
    for n in 0..20 {
        place.user.task_add(format!("{n}")).owner("alice").await.unwrap();
    }
    for _ in 0..4 {
        place.user.send("x".repeat(3000)).to("alice").await.unwrap();
    }
    let (mut seen, mut pages) = (Vec::new(), 0);
    while seen.len() < 20 {
        let page = alice.call("cccc_inbox_list", json!({})).await;
        assert!(page.get("truncated").is_none(), "{page}");
        let notices = page["notices"].as_array().unwrap_or_else(|| panic!("only {seen:?}"));
        seen.extend(notices.iter().map(|notice| notice["seq"].as_u64().unwrap()));
        pages += 1;
    }
    assert!(pages > 1 && seen.is_sorted(), "{pages} pages: {seen:?}");
    seen.dedup();
    assert_eq!(seen.len(), 20, "each once");
}

/// What an answer shows counts when the answer was written, all of it.
#[tokio::test]
async fn an_answer_that_does_not_go_out_delivers_nothing() {
    let place = Place::new().await;
    let sent = place.user.send("long ".repeat(1000)).to("alice").await.unwrap();
    let mut news = place.user.watch(place.user.position().await.unwrap());
    let word = async || place.user.receipts(&sent).await.unwrap()[0].delivery.state.to_string();
    let mut options = place.options();
    options.actor = Some("alice".into());
    // More than it holds has to be read before the server can go on.
    let (ours, theirs) = tokio::io::duplex(64);
    let (reader, writer) = tokio::io::split(theirs);
    let server = tokio::spawn(cccc_mcp::serve(options, reader, writer));
    let (read, mut write) = tokio::io::split(ours);
    let mut lines = BufReader::with_capacity(1, read).lines();
    for line in [
        json!({"jsonrpc": "2.0", "id": 1, "method": "initialize", "params": {
            "protocolVersion": "2025-06-18", "capabilities": {},
            "clientInfo": {"name": "raw", "version": "1"}}}),
        json!({"jsonrpc": "2.0", "method": "notifications/initialized"}),
        json!({"jsonrpc": "2.0", "id": 2, "method": "tools/call",
            "params": {"name": "cccc_inbox_list", "arguments": {}}}),
    ] {
        write.write_all(format!("{line}\n").as_bytes()).await.unwrap();
        if line["id"] == 1 {
            lines.next_line().await.unwrap().unwrap();
        }
    }
    let begun = async {
        while word().await != "claimed" {
            news.next().await.unwrap();
        }
    };
    tokio::time::timeout(PATIENCE, begun).await.unwrap();
    drop((lines, write));
    tokio::time::timeout(PATIENCE, server).await.unwrap().unwrap().unwrap();
    assert_ne!(word().await, "accepted");
    assert!(!place.user.receipts(&sent).await.unwrap()[0].read);
    let alice = place.agent("alice").await;
    assert_eq!(alice.texts().await.len(), 1);
    assert_eq!(word().await, "accepted");
}
