//! The protocol at its edges, by raw lines: what is malformed, huge, or cut off does no harm.

use cccc_core::Group;
use serde_json::{Value, json};
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader, DuplexStream, ReadHalf, WriteHalf};
use tokio::task::JoinHandle;

use crate::support::{PATIENCE, Place};

struct Raw {
    reader: BufReader<ReadHalf<DuplexStream>>,
    writer: WriteHalf<DuplexStream>,
    server: JoinHandle<cccc_core::Result<()>>,
}

impl Raw {
    fn start(place: &Place) -> Self {
        Self::start_with(place.options())
    }

    fn start_with(options: cccc_mcp::Options) -> Self {
        let (ours, theirs) = tokio::io::duplex(1 << 16);
        let (reader, writer) = tokio::io::split(theirs);
        let server = tokio::spawn(cccc_mcp::serve(options, reader, writer));
        let (reader, writer) = tokio::io::split(ours);
        Self { reader: BufReader::new(reader), writer, server }
    }

    async fn write(&mut self, text: &str) {
        self.writer.write_all(text.as_bytes()).await.unwrap();
        self.writer.write_all(b"\n").await.unwrap();
    }

    async fn send(&mut self, message: Value) {
        self.write(&message.to_string()).await;
    }

    async fn read(&mut self) -> Value {
        let mut line = String::new();
        let read = self.reader.read_line(&mut line);
        tokio::time::timeout(PATIENCE, read).await.unwrap().unwrap();
        serde_json::from_str(&line).unwrap_or_else(|error| panic!("{error}: {line:?}"))
    }

    async fn ask(&mut self, id: u64, method: &str, params: Value) -> Value {
        self.send(json!({"jsonrpc": "2.0", "id": id, "method": method, "params": params})).await;
        loop {
            let answer = self.read().await;
            if answer["id"] == id {
                return answer;
            }
            // What is JSON and no message is said to be invalid, without a number.
            assert_eq!((&answer["id"], &answer["error"]["code"]), (&Value::Null, &json!(-32600)), "{answer}");
        }
    }

    async fn initialize(&mut self, version: &str) -> Value {
        let params = json!({"protocolVersion": version, "capabilities": {}, "clientInfo": {"name": "raw", "version": "1"}});
        let answer = self.ask(1, "initialize", params).await;
        self.send(json!({"jsonrpc": "2.0", "method": "notifications/initialized"})).await;
        answer
    }

    async fn end(self) {
        drop((self.reader, self.writer));
        tokio::time::timeout(PATIENCE, self.server).await.unwrap().unwrap().unwrap();
    }
}

async fn messages(group: &Group) -> usize {
    group.history().kind("chat.message").await.unwrap().events.len()
}

/// What each request of the newest protocol says of its sender.
fn meta() -> Value {
    json!({
        "io.modelcontextprotocol/protocolVersion": "2026-07-28",
        "io.modelcontextprotocol/clientInfo": {"name": "claude-code", "version": "2"},
        "io.modelcontextprotocol/clientCapabilities": {},
    })
}

#[tokio::test]
async fn both_ways_of_coming_in_work() {
    let place = Place::new().await;
    let mut raw = Raw::start(&place);
    let found = raw.ask(0, "server/discover", json!({"_meta": meta()})).await;
    let versions = found["result"]["supportedVersions"].as_array().unwrap_or_else(|| panic!("{found}"));
    assert!(versions.contains(&json!("2026-07-28")) && versions.contains(&json!("2024-11-05")), "{found}");
    assert!(found["result"]["capabilities"]["tools"].is_object(), "{found}");
    assert!(found["result"]["instructions"].as_str().unwrap().contains("cccc_bootstrap"));
    // Whoever has looked may still shake hands, as programs do that know only that.
    let answer = raw.initialize("2024-11-05").await;
    assert_eq!(answer["result"]["serverInfo"]["name"], "cccc");
    assert!(answer["result"]["instructions"].as_str().unwrap().contains("cccc_bootstrap"));
    raw.end().await;
    for (asked, given) in
        [("2025-06-18", "2025-06-18"), ("1999-01-01", "2025-11-25"), ("2026-07-28", "2025-11-25")]
    {
        let mut other = Raw::start(&place);
        assert_eq!(other.initialize(asked).await["result"]["protocolVersion"], given);
        other.end().await;
    }

    // Without any handshake, each request saying what it needs: the newest protocol.
    let mut newest = Raw::start(&place);
    let answer = newest
        .ask(5, "tools/call", json!({"name": "cccc_bootstrap", "arguments": {}, "_meta": meta()}))
        .await;
    let actor = answer["result"]["structuredContent"]["actor"].as_str().unwrap().to_owned();
    let known = place.user.actors().await.unwrap();
    let known = known.iter().find(|known| known.actor_id.as_str() == actor).unwrap();
    assert_eq!(known.runtime.as_deref(), Some("claude"));
    newest.end().await;

    // Where a channel is to be used, the way on which it was seen to work is the only one.
    let mut options = place.options();
    options.channel = true;
    let mut channel = Raw::start_with(options);
    let answer = channel.ask(0, "server/discover", json!({"_meta": meta()})).await;
    assert_eq!(answer["error"]["code"], -32601, "{answer}");
    assert_eq!(channel.initialize("2025-11-25").await["result"]["serverInfo"]["name"], "cccc");
    channel.end().await;
}

#[tokio::test]
async fn the_newest_protocol_tells_of_what_comes_on_streams() {
    let place = Place::new().await;
    let mut options = place.options();
    options.actor = Some("alice".into());
    let mut raw = Raw::start_with(options);
    let uri = format!("cccc://group/{}/inbox", place.user.id());
    let listed = raw.ask(1, "resources/list", json!({"_meta": meta()})).await;
    assert_eq!(listed["result"]["resources"][0]["uri"], uri.as_str());
    raw.ask(2, "tools/list", json!({"_meta": meta()})).await;
    let filter =
        json!({"toolsListChanged": true, "resourceSubscriptions": [uri], "promptsListChanged": true});
    let listen = |id: &str, filter: Value| {
        json!({"jsonrpc": "2.0", "id": id, "method": "subscriptions/listen",
            "params": {"notifications": filter, "_meta": meta()}})
    };
    raw.send(listen("s", filter)).await;
    let told = raw.read().await;
    assert_eq!(told["method"], "notifications/subscriptions/acknowledged", "{told}");
    assert_eq!(
        told["params"]["notifications"],
        json!({"toolsListChanged": true, "resourceSubscriptions": [uri]})
    );
    let stream = |told: &Value| told["params"]["_meta"]["io.modelcontextprotocol/subscriptionId"].clone();
    assert_eq!(stream(&told), "s");
    // The one who listens has joined, and so may be written to; whoever waits for its answer knows that.
    raw.ask(3, "tools/call", json!({"name": "cccc_inbox_list", "arguments": {}, "_meta": meta()})).await;
    place.user.send("to another").to("bob").await.unwrap();
    place.user.send("look").to("alice").await.unwrap();
    let told = raw.read().await;
    assert_eq!(
        (&told["method"], &told["params"]["uri"]),
        (&json!("notifications/resources/updated"), &json!(uri))
    );
    assert_eq!(stream(&told), "s");
    let packs = json!({"name": "cccc_bootstrap", "arguments": {"packs": ["history"]}, "_meta": meta()});
    raw.send(json!({"jsonrpc": "2.0", "id": 4, "method": "tools/call", "params": packs})).await;
    let (one, other) = (raw.read().await, raw.read().await);
    let (told, answer) = if one.get("method").is_some() { (one, other) } else { (other, one) };
    assert_eq!((&told["method"], stream(&told)), (&json!("notifications/tools/list_changed"), json!("s")));
    assert_eq!(answer["id"], 4);
    // What the newest protocol no longer has, and what is no resource of this server.
    let gone = raw.ask(5, "resources/subscribe", json!({"uri": uri, "_meta": meta()})).await;
    assert_eq!(gone["error"]["code"], -32601, "{gone}");
    raw.send(listen("t", json!({"resourceSubscriptions": ["file:///etc/passwd"]}))).await;
    raw.read().await;
    let refused = raw.read().await;
    assert!(refused["id"] == "t" && refused["error"].is_object(), "{refused}");
    // A stream that is cancelled is told nothing more.
    let cancel = json!({"requestId": "s", "_meta": meta()});
    raw.send(json!({"jsonrpc": "2.0", "method": "notifications/cancelled", "params": cancel})).await;
    raw.ask(6, "tools/call", json!({"name": "cccc_help", "arguments": {}, "_meta": meta()})).await;
    place.user.send("unheard").to("alice").await.unwrap();
    let answer =
        raw.ask(7, "tools/call", json!({"name": "cccc_inbox_list", "arguments": {}, "_meta": meta()})).await;
    assert_eq!(answer["result"]["structuredContent"]["unread"], 2);
    raw.end().await;
}

#[tokio::test]
async fn calls_that_are_cancelled_leave_the_others_alone() {
    let place = Place::new().await;
    let mut options = place.options();
    options.actor = Some("alice".into());
    let mut raw = Raw::start_with(options);
    raw.initialize("2025-11-25").await;
    for id in 100..150 {
        let waits = json!({"name": "cccc_inbox_list", "arguments": {"wait_seconds": 60}});
        let sends =
            json!({"name": "cccc_message_send", "arguments": {"text": id.to_string(), "to": ["bob"]}});
        let params = if id % 2 == 0 { waits } else { sends };
        raw.send(json!({"jsonrpc": "2.0", "id": id, "method": "tools/call", "params": params})).await;
    }
    for id in (100..150).step_by(2) {
        let params = json!({"requestId": id, "reason": "no longer wanted"});
        raw.send(json!({"jsonrpc": "2.0", "method": "notifications/cancelled", "params": params})).await;
    }
    // A call that was never made, and one twice.
    for id in [100, 9999] {
        raw.send(json!({"jsonrpc": "2.0", "method": "notifications/cancelled", "params": {"requestId": id}}))
            .await;
    }
    let mut answered = std::collections::BTreeSet::new();
    while answered.len() < 25 {
        let answer = raw.read().await;
        assert_eq!(answer["result"]["isError"], false, "{answer}");
        answered.insert(answer["id"].as_u64().unwrap());
    }
    assert!(answered.iter().all(|id| id % 2 == 1), "{answered:?}");
    assert_eq!(place.user.history().kind("chat.message").limit(100).await.unwrap().events.len(), 25);
    let sent = place.user.send("still there").to("alice").await.unwrap();
    assert_eq!(place.user.receipts(&sent).await.unwrap()[0].delivery.state.as_str(), "pending");
    let inbox = raw.ask(200, "tools/call", json!({"name": "cccc_inbox_list", "arguments": {}})).await;
    assert_eq!(inbox["result"]["structuredContent"]["messages"][0]["text"], "still there");
    raw.end().await;
}

#[tokio::test]
async fn malformed_requests_are_answered_or_passed_over_and_the_next_is_served() {
    let place = Place::new().await;
    let mut raw = Raw::start(&place);
    raw.initialize("2025-11-25").await;
    for rubbish in ["", "{", "\u{0}\u{1}", "[]]", "not json", "\"text", "{\"jsonrpc\":"] {
        raw.write(rubbish).await;
    }
    raw.writer.write_all(&[0xff, 0xfe, b'\n']).await.unwrap();
    assert!(raw.ask(2, "ping", json!({})).await.get("result").is_some());
    let unknown = raw.ask(3, "no/such/method", json!({})).await;
    assert_eq!(unknown["error"]["code"], -32601);
    let unknown = raw.ask(4, "tools/call", json!({"name": "no_such_tool", "arguments": {}})).await;
    assert_eq!(unknown["error"]["code"], -32602);
    for (id, arguments) in [
        json!({"seq": {}}),
        json!({"seq": -1}),
        json!({"seq": 1.5}),
        json!({"limit": "many"}),
        json!({"limit": 18_446_744_073_709_551_615_u64, "wait_seconds": -1}),
        json!({"unknown": true}),
        json!({"seq": "x".repeat(1000)}),
        json!({"seq": 999_999}),
        json!({"seq": 0}),
    ]
    .into_iter()
    .enumerate()
    {
        let said = arguments.to_string();
        let answer =
            raw.ask(10 + id as u64, "tools/call", json!({"name": "cccc_inbox_list", "arguments": arguments}));
        let answer = answer.await;
        assert_eq!(answer["result"]["isError"], true, "{said}: {answer}");
        let content = &answer["result"]["structuredContent"];
        assert!(["invalid", "not_found"].contains(&content["kind"].as_str().unwrap()), "{said}: {content}");
        assert!(content["message"].is_string());
    }
    let bare = raw.ask(50, "tools/call", json!({"name": "cccc_inbox_list"})).await;
    assert_ne!(bare["result"]["isError"], true, "no arguments are as good as empty ones: {bare}");
    raw.end().await;
}

#[tokio::test]
async fn huge_inputs_are_refused_and_nothing_is_written() {
    let place = Place::new().await;
    let mut raw = Raw::start(&place);
    raw.initialize("2025-11-25").await;
    let call =
        |text: String| json!({"name": "cccc_message_send", "arguments": {"text": text, "to": ["bob"]}});
    let answer = raw.ask(2, "tools/call", call("x".repeat(3 << 20))).await;
    assert_eq!(answer["result"]["structuredContent"]["kind"], "too_large", "{answer}");
    // Beyond what is read at all: passed over, and the next is served.
    raw.send(
        json!({"jsonrpc": "2.0", "id": 3, "method": "tools/call", "params": call("x".repeat(13 << 20))}),
    )
    .await;
    assert!(raw.ask(4, "ping", json!({})).await.get("result").is_some());
    let deep = format!("{}1{}", "[".repeat(5000), "]".repeat(5000));
    raw.write(&format!(r#"{{"jsonrpc":"2.0","id":5,"method":"tools/call","params":{deep}}}"#)).await;
    assert!(raw.ask(6, "ping", json!({})).await.get("result").is_some());
    assert_eq!(messages(&place.user).await, 0);
    let answer = raw.ask(7, "tools/call", call("fits".into())).await;
    assert_eq!(answer["result"]["isError"], false);
    assert_eq!(messages(&place.user).await, 1);
    raw.end().await;
}

#[tokio::test]
async fn a_client_that_dies_in_a_call_leaves_all_or_nothing_and_no_session() {
    let place = Place::new().await;
    for n in 0..10 {
        let mut raw = Raw::start(&place);
        raw.initialize("2025-11-25").await;
        let call = json!({"name": "cccc_message_send", "arguments": {"text": n.to_string(), "to": ["bob"], "client_id": n.to_string()}});
        raw.send(json!({"jsonrpc": "2.0", "id": 2, "method": "tools/call", "params": call})).await;
        raw.send(json!({"jsonrpc": "2.0", "id": 3, "method": "tools/call",
            "params": {"name": "cccc_inbox_list", "arguments": {"wait_seconds": 60}}}))
            .await;
        raw.end().await;
    }
    // What was read was done; a message is there once or not at all.
    assert!(messages(&place.user).await <= 10);
    for member in place.user.who().await.unwrap() {
        assert_ne!(serde_json::to_value(member.presence).unwrap(), "present", "{member:?}");
    }
    // A line that was cut off is no message.
    let before = messages(&place.user).await;
    let mut raw = Raw::start(&place);
    raw.initialize("2025-11-25").await;
    raw.writer
        .write_all(br#"{"jsonrpc":"2.0","id":2,"method":"tools/call","params":{"name":"cccc_m"#)
        .await
        .unwrap();
    raw.end().await;
    assert_eq!(messages(&place.user).await, before);
    // One that goes before it has said anything, and one that says something else first.
    Raw::start(&place).end().await;
    let mut odd = Raw::start(&place);
    odd.send(json!({"jsonrpc": "2.0", "method": "notifications/cancelled", "params": {"requestId": 0}}))
        .await;
    drop((odd.reader, odd.writer));
    let ended = tokio::time::timeout(PATIENCE, odd.server).await.unwrap().unwrap();
    assert!(ended.is_err(), "said so");
}

#[tokio::test]
async fn many_calls_at_the_same_time_are_all_answered() {
    let place = Place::new().await;
    let mut raw = Raw::start(&place);
    raw.initialize("2025-11-25").await;
    for id in 100..200 {
        let call = json!({"name": "cccc_message_send", "arguments": {"text": id.to_string(), "to": ["bob"]}});
        raw.send(json!({"jsonrpc": "2.0", "id": id, "method": "tools/call", "params": call})).await;
    }
    let mut answered = std::collections::BTreeSet::new();
    for _ in 100..200 {
        let answer = raw.read().await;
        assert_eq!(answer["result"]["isError"], false, "{answer}");
        answered.insert(answer["id"].as_u64().unwrap());
    }
    assert_eq!(answered, (100..200).collect());
    let sent = place.user.history().kind("chat.message").limit(1000).await.unwrap().events;
    assert_eq!(sent.len(), 100);
    raw.end().await;
}
