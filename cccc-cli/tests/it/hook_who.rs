//! Whose session a hook belongs to: the identity mix-ups that there are in this field, each tried.
#![cfg(target_os = "linux")]

use std::io::{BufRead, BufReader, Write};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};

use serde_json::{Value, json};

use crate::hook::{messages, send, text};
use crate::support::Place;

/// An agent's program with a process of its own: a shell that somebody types into runs what it starts.
struct Program<'a> {
    place: &'a Place,
    child: Child,
    stdin: Option<ChildStdin>,
    stdout: BufReader<ChildStdout>,
    runtime: &'a str,
}

impl<'a> Program<'a> {
    fn start(place: &'a Place, runtime: &'a str) -> Self {
        Self::start_with(place, runtime, &[])
    }

    fn start_with(place: &'a Place, runtime: &'a str, variables: &[(&str, &str)]) -> Self {
        let mut command = Command::new("bash");
        command.arg("--norc").env_clear().env("CCCC_HOME", place.home()).env("HOME", place.path());
        command.env("PATH", std::env::var_os("PATH").unwrap()).envs(variables.iter().copied());
        command.current_dir(place.project()).stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut child = command.spawn().unwrap();
        let stdin = child.stdin.take();
        let stdout = BufReader::new(child.stdout.take().unwrap());
        Self { place, child, stdin, stdout, runtime }
    }

    /// Runs a command line and answers what it prints.
    fn run(&mut self, line: &str) -> String {
        writeln!(self.stdin.as_mut().unwrap(), "{line}\necho __END").unwrap();
        let mut printed = String::new();
        loop {
            let mut line = String::new();
            assert!(self.stdout.read_line(&mut line).unwrap() > 0, "{printed}");
            if line == "__END\n" {
                return printed;
            }
            printed += &line;
        }
    }

    fn cccc(&mut self, args: &str) -> String {
        self.run(&format!("{} {args}", env!("CARGO_BIN_EXE_cccc")))
    }

    fn hook(&mut self, event: &str, session: &str, more: &Value) -> Option<Value> {
        let mut told = json!({"session_id": session, "cwd": self.place.project()});
        for (key, value) in more.as_object().unwrap() {
            told[key] = value.clone();
        }
        let line = format!("hook {event} --runtime {} <<'__INPUT'\n{told}\n__INPUT", self.runtime);
        let printed = self.cccc(&line);
        (!printed.is_empty()).then(|| serde_json::from_str(&printed).unwrap())
    }

    /// Begins a session; answers who that is.
    fn begin(&mut self, session: &str, source: &str) -> String {
        let said = text(self.hook("start", session, &json!({"source": source})));
        let brief: Value = serde_json::from_str(said.lines().nth(1).unwrap()).unwrap();
        brief["actor"].as_str().unwrap().to_owned()
    }

    fn prompt(&mut self, session: &str) -> Vec<String> {
        let said = self.hook("prompt", session, &json!({}));
        said.map(|said| messages(&text(Some(said)))).unwrap_or_default()
    }

    /// Starts a server of tools, as whom programs call themselves there.
    fn serve(&mut self, client: &str) {
        self.run(&format!("coproc {} mcp", env!("CARGO_BIN_EXE_cccc")));
        let info = json!({"name": client, "version": "1"});
        let params = json!({"protocolVersion": "2025-11-25", "capabilities": {}, "clientInfo": info});
        self.say(&json!({"jsonrpc": "2.0", "id": 0, "method": "initialize", "params": params}));
        self.run("read -r LINE <&${COPROC[0]}");
        self.say(&json!({"jsonrpc": "2.0", "method": "notifications/initialized"}));
    }

    fn say(&mut self, line: &Value) {
        self.run(&format!("echo '{line}' >&${{COPROC[1]}}"));
    }

    /// What the server answers to a call, which may say which session of the program makes it.
    fn call(&mut self, tool: &str, thread: Option<&str>) -> Value {
        self.call_with(tool, &json!({}), thread)
    }

    fn call_with(&mut self, tool: &str, arguments: &Value, thread: Option<&str>) -> Value {
        let mut params = json!({"name": tool, "arguments": arguments});
        if let Some(thread) = thread {
            let key = if self.runtime == "droid" { "assemblySessionId" } else { "threadId" };
            params["_meta"] = json!({ key: thread });
        }
        self.say(&json!({"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": params}));
        let answer = self.run("read -r LINE <&${COPROC[0]}; echo \"$LINE\"");
        let answer: Value = serde_json::from_str(&answer).unwrap();
        answer["result"]["structuredContent"].clone()
    }

    /// Lets the server go, and waits until it has ended.
    fn close(&mut self) {
        self.run("SERVER=$COPROC_PID; exec {COPROC[1]}>&-; wait $SERVER");
    }

    /// Ends without a word.
    fn die(mut self) {
        drop(self.stdin.take());
        let _ = self.child.kill();
        self.child.wait().unwrap();
    }
}

impl Drop for Program<'_> {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn inbox(answer: &Value) -> Vec<String> {
    assert!(answer["messages"].is_array(), "{answer}");
    answer["messages"]
        .as_array()
        .unwrap()
        .iter()
        .map(|one| one["text"].as_str().unwrap().to_owned())
        .collect()
}

/// How many sessions an actor has had.
fn generation(place: &Place, id: &str) -> Value {
    let members = place.lines(&["--as", "user", "who"]);
    members.into_iter().find(|one| one["actor_id"] == id).unwrap()["session"]["generation"].clone()
}

fn presence(place: &Place, id: &str) -> Value {
    let members = place.lines(&["--as", "user", "who"]);
    members.into_iter().find(|one| one["actor_id"] == id).unwrap()["presence"].clone()
}

#[test]
fn a_hook_and_then_a_server_are_the_same_session() {
    let place = Place::with_actors();
    let mut claude = Program::start(&place, "claude");
    let me = claude.begin("c1", "startup");
    send(&place, "lead", &me, "one", &[]);
    assert_eq!(claude.prompt("c1"), ["one"]);
    send(&place, "lead", &me, "two", &[]);
    claude.serve("claude-code");
    assert_eq!(claude.call("cccc_bootstrap", None)["actor"], me);
    // It is a list of what is unread, and hands over what the hook had not.
    assert_eq!(inbox(&claude.call("cccc_inbox_list", None)), ["one", "two"]);
    claude.close();
    assert_eq!(generation(&place, &me), 1);
    // The server is gone, and the agent's session is not.
    assert_eq!(presence(&place, &me), "present");
    assert_eq!(claude.prompt("c1"), [""; 0], "the server has handed it over");
    send(&place, "lead", &me, "three", &[]);
    assert_eq!(claude.prompt("c1"), ["three"]);
    assert_eq!(generation(&place, &me), 1);
}

#[test]
fn a_server_and_then_a_hook_are_the_same_session() {
    let place = Place::with_actors();
    let mut claude = Program::start(&place, "claude");
    claude.serve("claude-code");
    let me = claude.call("cccc_bootstrap", None)["actor"].as_str().unwrap().to_owned();
    send(&place, "lead", &me, "one", &[]);
    // The hook of a program that was not there when its session began.
    assert_eq!(claude.prompt("c1"), ["one"]);
    assert_eq!(claude.begin("c1", "compact"), me);
    assert_eq!(generation(&place, &me), 1);
    send(&place, "lead", &me, "two", &[]);
    assert_eq!(inbox(&claude.call("cccc_inbox_list", None)), ["one", "two"], "it is not refused its inbox");
    assert_eq!(claude.prompt("c1"), [""; 0]);
    // The context is cleared: another session of the program, the same agent.
    assert_eq!(claude.begin("c2", "clear"), me);
    assert_eq!(inbox(&claude.call("cccc_inbox_list", None)), ["one", "two"]);
    assert_eq!(generation(&place, &me), 1);
    // The server ends; the session goes on.
    claude.close();
    assert_eq!(presence(&place, &me), "present");
    send(&place, "lead", &me, "three", &[]);
    assert_eq!(claude.prompt("c2"), ["three"]);
    // Resumed in another process it is known by what it was last.
    claude.die();
    let mut again = Program::start(&place, "claude");
    assert_eq!(again.begin("c2", "resume"), me);
    assert_eq!(generation(&place, &me), 2);
}

#[test]
fn what_a_cleared_context_has_lost_is_told_again_as_a_list() {
    let place = Place::with_actors();
    let mut claude = Program::start(&place, "claude");
    let me = claude.begin("c1", "startup");
    let long = "x".repeat(5000);
    send(&place, "lead", &me, &long, &["--reply-required"]);
    assert_eq!(claude.prompt("c1").len(), 1);
    let said = text(claude.hook("start", "c2", &json!({"source": "clear"})));
    assert!(said.contains("shown to this session before") && said.contains("cccc_message_reply"), "{said}");
    assert_eq!(messages(&said).len(), 1);
    assert!(messages(&said)[0].len() < 200);
    assert_eq!(claude.prompt("c2"), [""; 0]);
}

#[test]
fn two_sessions_in_one_directory_are_two_agents() {
    let place = Place::with_actors();
    let (mut one, mut two) = (Program::start(&place, "claude"), Program::start(&place, "claude"));
    let (otter, heron) = (one.begin("c1", "startup"), two.begin("c2", "startup"));
    assert_ne!(otter, heron);
    send(&place, "lead", &otter, "for the first", &[]);
    send(&place, "lead", &heron, "for the second", &[]);
    assert_eq!(two.prompt("c2"), ["for the second"]);
    assert_eq!(one.prompt("c1"), ["for the first"]);
    // Also within one process, which says that it begins another one.
    let robin = one.begin("c3", "startup");
    assert!(robin != otter && robin != heron);
    send(&place, "lead", &robin, "for the third", &[]);
    assert_eq!((one.prompt("c1"), one.prompt("c3")), (vec![], vec!["for the third".to_owned()]));
}

#[test]
fn the_agent_that_an_agent_starts_is_somebody_else() {
    let place = Place::with_actors();
    let mut outer = Program::start_with(&place, "claude", &[("CCCC_ACTOR_ID", "alice")]);
    assert_eq!(outer.begin("c1", "startup"), "alice");
    send(&place, "lead", "alice", "for alice", &[]);
    // In a process of its own below the first one, with its environment.
    let told = json!({"session_id": "c2", "cwd": place.project(), "source": "startup"});
    let line = |event: &str| {
        format!("{} hook {event} --runtime claude <<'__INPUT'\n{told}\n__INPUT\n", env!("CARGO_BIN_EXE_cccc"))
    };
    let nested = |text: String| format!("bash --norc <<'__NESTED'\n{text}__NESTED");
    assert_eq!(outer.run(&nested(line("start") + &line("prompt"))), "", "that id is taken");
    assert!(place.ok(&["hook", "--troubles"]).contains("alice is at work already"));
    let printed = outer.run(&nested(format!("unset CCCC_ACTOR_ID\n{}{}", line("start"), line("prompt"))));
    assert!(
        printed.contains("You are") && !printed.contains("for alice") && !printed.contains("You are alice"),
        "{printed}"
    );
    assert_eq!(outer.prompt("c1"), ["for alice"]);
}

#[test]
fn a_subagents_hooks_take_nothing_from_its_agent() {
    let place = Place::with_actors();
    let mut claude = Program::start(&place, "claude");
    let me = claude.begin("c1", "startup");
    send(&place, "lead", &me, "look", &["--attention"]);
    for event in ["tool", "prompt", "stop", "start"] {
        assert_eq!(
            claude.hook(event, "c1", &json!({"agent_id": "a7", "source": "startup"})),
            None,
            "{event}"
        );
    }
    assert_eq!(messages(&text(claude.hook("tool", "c1", &json!({})))), ["look"]);
}

#[test]
fn one_process_with_several_sessions_tells_them_apart_by_their_ids() {
    let place = Place::with_actors();
    let mut codex = Program::start(&place, "codex");
    let (otter, heron) = (codex.begin("t1", "startup"), codex.begin("t2", "startup"));
    assert_ne!(otter, heron);
    send(&place, "lead", &otter, "for the first", &[]);
    send(&place, "lead", &heron, "for the second", &[]);
    assert_eq!(codex.prompt("t3"), [""; 0], "nobody's");
    codex.serve("codex-mcp-client");
    assert_eq!(codex.call("cccc_bootstrap", Some("t2"))["actor"], heron);
    assert_eq!(inbox(&codex.call("cccc_inbox_list", Some("t2"))), ["for the second"]);
    codex.close();
    assert_eq!((codex.prompt("t2"), codex.prompt("t1")), (vec![], vec!["for the first".to_owned()]));
    // A server that is not told which session it serves takes nobody's name.
    codex.serve("codex-mcp-client");
    let other = codex.call("cccc_bootstrap", None)["actor"].clone();
    assert!(other != otter && other != heron, "{other}");
    codex.close();
    // Resumed by another process, each is who it was.
    codex.die();
    let mut again = Program::start(&place, "codex");
    assert_eq!((again.begin("t2", "resume"), again.begin("t1", "resume")), (heron, otter));
}

#[test]
fn an_agent_that_says_another_name_is_that_one_for_its_hooks_too() {
    for (runtime, client, thread) in
        [("claude", "claude-code", None), ("codex", "codex-mcp-client", Some("s1"))]
    {
        let place = Place::with_actors();
        let mut program = Program::start(&place, runtime);
        let first = program.begin("s1", "startup");
        program.serve(client);
        let named = json!({"as": "reviewer"});
        assert_eq!(program.call_with("cccc_bootstrap", &named, thread)["actor"], "reviewer");
        send(&place, "lead", "reviewer", "one", &[]);
        assert_eq!(program.prompt("s1"), ["one"], "{runtime}");
        assert_eq!(presence(&place, &first), "absent", "{runtime}");
        // The same, when the server had gone on as whoever its hooks were.
        assert_eq!(program.call_with("cccc_bootstrap", &json!({"as": "critic"}), thread)["actor"], "critic");
        send(&place, "lead", "critic", "two", &[]);
        assert_eq!(program.prompt("s1"), ["two"], "{runtime}");
        assert_eq!(presence(&place, "reviewer"), "absent", "{runtime}");
        assert_eq!(generation(&place, "critic"), 1, "{runtime}");
    }
}

#[test]
fn a_session_that_was_replaced_is_told_and_given_nothing() {
    let place = Place::with_actors();
    let mut old = Program::start_with(&place, "claude", &[("CCCC_ACTOR_ID", "alice")]);
    assert_eq!(old.begin("c1", "startup"), "alice");
    let mut new = Program::start_with(&place, "claude", &[("CCCC_ACTOR_ID", "alice")]);
    assert_eq!(new.begin("c2", "startup"), "alice");
    send(&place, "lead", "alice", "for the newest", &["--attention"]);
    for event in ["tool", "prompt", "stop"] {
        assert_eq!(old.hook(event, "c1", &json!({})), None, "{event}");
    }
    let said = text(old.hook("start", "c1", &json!({"source": "compact"})));
    assert!(said.contains("until a newer one") && said.contains("{\"as\":\"alice\"}"), "{said}");
    assert_eq!(new.prompt("c2"), ["for the newest"]);
    // What ends is the older one's.
    old.hook("end", "c1", &json!({"reason": "other"}));
    assert_eq!(presence(&place, "alice"), "present");
    // And with the newer one gone, the older one does not take its place by working on.
    new.hook("end", "c2", &json!({"reason": "other"}));
    assert_eq!(presence(&place, "alice"), "absent");
}

#[test]
fn nobody_joins_but_at_a_beginning_and_where_a_group_is() {
    let place = Place::with_actors();
    let mut claude = Program::start(&place, "claude");
    for event in ["prompt", "tool", "stop", "end", "before-tool"] {
        assert_eq!(claude.hook(event, "c1", &json!({})), None, "{event}");
    }
    assert_eq!(place.lines(&["--as", "user", "who"]).len(), 3);
    let outside = place.path().join("elsewhere");
    std::fs::create_dir(&outside).unwrap();
    assert_eq!(claude.hook("start", "c1", &json!({"cwd": outside, "source": "startup"})), None);
    assert_eq!(place.lines(&["--as", "user", "who"]).len(), 3);
    assert_eq!(place.ok(&["hook", "--troubles"]), "nothing went wrong in hooks\n");
    place.ok(&["--as", "user", "group", "update", "--join", "closed"]);
    assert_eq!(claude.hook("start", "c1", &json!({"source": "startup"})), None);
    assert!(place.ok(&["hook", "--troubles"]).contains("refused"));
}

#[test]
fn a_server_learns_its_session_from_a_call_or_from_its_own_programs_environment() {
    let place = Place::with_actors();
    let mut droid = Program::start(&place, "droid");
    let me = droid.begin("d1", "startup");
    droid.serve("droid");
    assert_eq!(droid.call("cccc_bootstrap", Some("d1"))["actor"], me);
    let mut copilot = Program::start_with(&place, "copilot", &[("COPILOT_AGENT_SESSION_ID", "p1")]);
    let me = copilot.begin("p1", "startup");
    copilot.serve("copilot-cli");
    assert_eq!(copilot.call("cccc_bootstrap", None)["actor"], me);
    copilot.close();
    // What one program tells is nothing to another that it starts.
    copilot.serve("kimi");
    assert_ne!(copilot.call("cccc_bootstrap", None)["actor"], me);
}
