use super::*;
use crate::command::{AddActor, Command};
use crate::error::ErrorKind;
use crate::event::{ActorRemove, ActorUpdate, GroupMode, GroupUpdate, Role};
use crate::id::Seq;
use crate::rule::desk::{Desk, Done};
use crate::rule::{policy, presence};

fn asking(subject: &str) -> Command {
    Command::OpenApproval {
        subject: subject.into(),
        tool: Some("Bash".into()),
        input: Some("{\"command\":\"make\"}".into()),
        within: Duration::from_secs(60),
        client_id: None,
    }
}

fn ask(desk: &mut Desk, by: &str) -> ApprovalId {
    ApprovalId(desk.run(by, asking("Run the build")).unwrap().seq())
}

fn decide_it(desk: &mut Desk, by: &str, approval: ApprovalId, allow: bool) -> Result<Done> {
    desk.run(by, Command::DecideApproval { approval, allow, reason: "because".into() })
}

fn close_it(desk: &mut Desk, by: &str, approval: ApprovalId) -> Result<Done> {
    desk.run(by, Command::CloseApproval { approval, reason: String::new() })
}

fn setting(value: Value) -> Command {
    let settings = [(BY_FOREMAN.to_owned(), value)].into();
    Command::UpdateGroup(GroupUpdate { settings, ..GroupUpdate::default() })
}

/// A group in which the foreman decides as well.
fn led() -> Desk {
    let mut desk = Desk::with(&["lead", "alice", "bob"]);
    desk.run("user", setting(true.into())).unwrap();
    desk
}

fn remove(desk: &mut Desk, id: &str) -> Done {
    let removal = ActorRemove { actor_id: id.parse().unwrap(), reason: "left".into(), successor: None };
    desk.run("user", Command::RemoveActor(removal)).unwrap()
}

fn shown(desk: &Desk, id: ApprovalId) -> ApprovalView {
    show(desk.state(), desk.event(id.seq()).unwrap(), &desk.facts(id.seq()), desk.now).unwrap()
}

fn refusal(done: Result<Done>) -> (ErrorKind, String) {
    let error = done.expect_err("to be refused");
    (error.kind(), error.to_string())
}

/// Every way from one standing to another, and what each leaves to be done about it.
#[test]
fn each_way_a_request_can_go() {
    use ApprovalStanding::{Allowed, Denied, Expired, Open, Over, Withdrawn};
    type Act = fn(&mut Desk, ApprovalId);
    let cases: [(&str, Act, ApprovalStanding, &[&str]); 9] = [
        ("nothing", |_, _| {}, Open, &["lead", "user"]),
        ("the user allows it", |d, a| _ = decide_it(d, "user", a, true).unwrap(), Allowed, &[]),
        ("the foreman denies it", |d, a| _ = decide_it(d, "lead", a, false).unwrap(), Denied, &[]),
        ("it is withdrawn", |d, a| _ = close_it(d, "alice", a).unwrap(), Withdrawn, &[]),
        ("who asked is removed", |d, _| _ = remove(d, "alice"), Withdrawn, &[]),
        ("the foreman is removed", |d, _| _ = remove(d, "lead"), Open, &["user"]),
        (
            "the foreman is another",
            |d, _| {
                let role = Some(Role::Foreman);
                let update = ActorUpdate { role, ..ActorUpdate::of("bob".parse().unwrap()) };
                d.run("user", Command::UpdateActor(update)).unwrap();
            },
            Open,
            &["user"],
        ),
        ("its time passes", |d, _| d.wait(61), Over, &["lead", "user"]),
        (
            "its time passes, and that is written down",
            |d, a| {
                d.wait(61);
                close_it(d, "system", a).unwrap();
            },
            Expired,
            &[],
        ),
    ];
    for (name, act, expected, waiting) in cases {
        let mut desk = led();
        let id = ask(&mut desk, "alice");
        act(&mut desk, id);
        assert_eq!(shown(&desk, id).standing, expected, "{name}");
        let owed: Vec<String> = waiting.iter().map(|who| format!("{who} approval {}", id.seq())).collect();
        let mut found = desk.owed();
        found.sort();
        assert_eq!(found, owed, "{name}");
        let open = matches!(expected, Open | Over);
        assert_eq!(desk.state().approvals().contains_key(&id), open, "{name}");
        assert_eq!(desk.state().decided_approvals().contains(&id), !open, "{name}");
        assert_eq!(&desk.rebuilt(), desk.state(), "{name}");
        if expected == Open {
            continue;
        }
        // What is over takes no other verdict.
        for (by, allow) in [("user", true), ("user", false), ("lead", true), ("lead", false)] {
            let before = desk.state().clone();
            let view = shown(&desk, id);
            let word = if allow { Allowed } else { Denied };
            let repeats =
                view.standing == word && view.decided_by.as_ref().is_some_and(|who| who.to_string() == by);
            match decide_it(&mut desk, by, id, allow) {
                Ok(done) => assert!(repeats && done.events.is_empty(), "{name}: {by} {allow}"),
                Err(error) => {
                    assert!(!repeats, "{name}: {by} {allow}: {error}");
                    let kind = if expected == Over { ErrorKind::Refused } else { ErrorKind::Conflict };
                    assert_eq!(error.kind(), kind, "{name}: {error}");
                }
            }
            assert_eq!(desk.state(), &before, "{name}");
        }
        assert_eq!(shown(&desk, id).standing, expected, "{name}");
    }
}

#[test]
fn who_may_ask_and_who_may_decide() {
    for (by, allowed) in
        [("alice", true), ("lead", true), ("user", false), ("system", false), ("svc:x", false)]
    {
        assert_eq!(led().run(by, asking("x")).is_ok(), allowed, "{by}");
    }
    for (of_foreman, asker, by, allowed) in [
        (false, "alice", "user", true),
        (false, "alice", "lead", false),
        (false, "alice", "alice", false),
        (false, "alice", "bob", false),
        (false, "alice", "system", false),
        (false, "alice", "svc:x", false),
        (true, "alice", "user", true),
        (true, "alice", "lead", true),
        (true, "alice", "alice", false),
        (true, "alice", "bob", false),
        (true, "lead", "lead", false),
        (true, "lead", "user", true),
    ] {
        let mut desk = if of_foreman { led() } else { Desk::with(&["lead", "alice", "bob"]) };
        let id = ask(&mut desk, asker);
        for allow in [true, false] {
            let done = decide_it(&mut desk.clone(), by, id, allow);
            assert_eq!(done.is_ok(), allowed, "{of_foreman} {asker} {by}: {done:?}");
            assert!(allowed || done.unwrap_err().kind() == ErrorKind::Refused);
        }
    }
    // What was settled when it was opened does not grow.
    let mut desk = Desk::with(&["lead", "alice"]);
    let id = ask(&mut desk, "alice");
    desk.run("user", setting(true.into())).unwrap();
    assert_eq!(refusal(decide_it(&mut desk, "lead", id, true)).0, ErrorKind::Refused);
    // And a foreman that is none any more decides nothing.
    let mut desk = led();
    let id = ask(&mut desk, "alice");
    let role = Some(Role::Peer);
    let update = ActorUpdate { role, ..ActorUpdate::of("lead".parse().unwrap()) };
    desk.run("user", Command::UpdateActor(update)).unwrap();
    assert_eq!(refusal(decide_it(&mut desk, "lead", id, true)).0, ErrorKind::Refused);
}

#[test]
fn who_decides_is_for_the_user_to_say() {
    let mut desk = Desk::with(&["lead", "alice"]);
    for (by, value, kind) in [
        ("lead", Value::Bool(true), ErrorKind::Refused),
        ("alice", Value::Bool(true), ErrorKind::Refused),
        ("user", "yes".into(), ErrorKind::Invalid),
    ] {
        assert_eq!(refusal(desk.run(by, setting(value))).0, kind, "{by}");
    }
    desk.run("user", setting(Value::Bool(true))).unwrap();
    assert_eq!(refusal(desk.run("lead", setting(Value::Null))).0, ErrorKind::Refused);
    desk.run("user", setting(Value::Null)).unwrap();
    let settings = [("approval.everybody".to_owned(), Value::Bool(true))].into();
    let other = Command::UpdateGroup(GroupUpdate { settings, ..GroupUpdate::default() });
    assert_eq!(refusal(desk.run("user", other)).0, ErrorKind::Invalid);
}

#[test]
fn the_first_verdict_stands_and_all_are_told() {
    let mut desk = led();
    let opened = desk.run("alice", asking("Run the build")).unwrap();
    assert_eq!(opened.kinds(), ["approval.open", "system.notify", "system.notify"], "both are told");
    let id = ApprovalId(opened.seq());
    let done = decide_it(&mut desk, "lead", id, true).unwrap();
    assert_eq!(done.kinds(), ["approval.decide", "system.notify"], "whoever asked is told");
    let view = shown(&desk, id);
    let (by, at) = (view.decided_by.unwrap().to_string(), view.decided_at.unwrap());
    assert_eq!((by.as_str(), at, view.reason.as_str()), ("lead", done.events[0].ts, "because"));
    assert_eq!((view.tool.as_deref(), view.input.as_deref()), (Some("Bash"), Some("{\"command\":\"make\"}")));
    let (kind, said) = refusal(decide_it(&mut desk, "user", id, false));
    assert_eq!(kind, ErrorKind::Conflict);
    for part in ["by lead", &at.to_string(), "allowed", &done.events[0].id.to_string()] {
        assert!(said.contains(part), "{said}");
    }
    let again = decide_it(&mut desk, "lead", id, true).unwrap();
    assert_eq!((again.events.len(), again.duplicate), (0, Some(done.events[0].id)));
    assert_eq!(refusal(close_it(&mut desk, "alice", id)).0, ErrorKind::Conflict);
    assert_eq!(refusal(decide_it(&mut desk, "user", ApprovalId(Seq(1)), true)).0, ErrorKind::Invalid);
    assert_eq!(refusal(decide_it(&mut desk, "user", ApprovalId(Seq(99)), true)).0, ErrorKind::NotFound);
}

#[test]
fn only_who_asked_withdraws_and_time_is_for_anybody_to_say() {
    let mut desk = led();
    let id = ask(&mut desk, "alice");
    for by in ["user", "lead", "bob", "system", "svc:host"] {
        assert_eq!(refusal(close_it(&mut desk, by, id)).0, ErrorKind::Refused, "{by}");
    }
    desk.mode(GroupMode::Paused);
    desk.wait(1_000);
    assert!(presence::due(desk.state(), &presence::Facts::default(), desk.now).is_empty());
    desk.mode(GroupMode::Active);
    desk.wait(60);
    let next = presence::next_deadline(desk.state(), desk.now).unwrap();
    assert_eq!(next, desk.now.after(Duration::from_millis(1)));
    desk.now = next;
    let (kind, said) = refusal(decide_it(&mut desk, "user", id, true));
    assert!(kind == ErrorKind::Refused && said.contains("was not decided by then"), "{said}");
    // Nobody is reminded beside.
    let effects = policy::due(desk.state(), desk.now);
    let [policy::Effect::Keep(keeping)] = effects.as_slice() else { panic!("{effects:?}") };
    let command = keeping.upkeep.command();
    let done = desk.run("system", command.clone()).unwrap();
    assert_eq!(done.kinds(), ["approval.decide", "system.notify"]);
    assert_eq!(desk.run("system", command).unwrap().duplicate, Some(done.events[0].id));
    assert_eq!(shown(&desk, id).standing, ApprovalStanding::Expired);
}

#[test]
fn bounds_and_keys() {
    let mut desk = led();
    let request = |subject: &str, input: &str, seconds: u64, key: Option<&str>| Command::OpenApproval {
        subject: subject.into(),
        tool: None,
        input: Some(input.into()),
        within: Duration::from_secs(seconds),
        client_id: key.map(str::to_owned),
    };
    let long = |bytes: usize| "x".repeat(bytes + 1);
    for (command, kind) in [
        (request(" ", "", 60, None), ErrorKind::Invalid),
        (request("x", "", 0, None), ErrorKind::Invalid),
        (request("x", "", 24 * 60 * 60 + 1, None), ErrorKind::Invalid),
        (request("x", "", 60, Some("")), ErrorKind::Invalid),
        (request(&long(MAX_SUBJECT_BYTES), "", 60, None), ErrorKind::TooLarge),
        (request("x", &long(MAX_INPUT_BYTES), 60, None), ErrorKind::TooLarge),
        (request("x", "", 60, Some(&long(MAX_CLIENT_ID_BYTES))), ErrorKind::TooLarge),
    ] {
        assert_eq!(refusal(desk.run("alice", command)).0, kind);
    }
    let first = desk.run("alice", request("x", "a", 60, Some("k"))).unwrap().events[0].id;
    assert_eq!(desk.run("alice", request("x", "a", 90, Some("k"))).unwrap().duplicate, Some(first));
    assert_eq!(refusal(desk.run("alice", request("x", "b", 60, Some("k")))).0, ErrorKind::Conflict);
    // Under its key it is the same request also when it has been decided.
    decide_it(&mut desk, "user", ApprovalId(first.seq), false).unwrap();
    assert_eq!(desk.run("alice", request("x", "a", 60, Some("k"))).unwrap().duplicate, Some(first));
    assert!(desk.run("bob", request("x", "b", 60, Some("k"))).unwrap().duplicate.is_none());
    for _ in 0..MAX_APPROVALS_OF_ACTOR {
        ask(&mut desk, "alice");
    }
    let (kind, said) = refusal(desk.run("alice", asking("one more")));
    assert!(kind == ErrorKind::Refused && said.contains("alice has 16 open requests"), "{said}");
    ask(&mut desk, "bob");
    // Another of the same name has asked for nothing.
    remove(&mut desk, "alice");
    desk.run("user", Command::AddActor(AddActor::new("alice".parse().unwrap()))).unwrap();
    assert!(desk.run("alice", request("y", "", 60, Some("k"))).unwrap().duplicate.is_none());
}

#[test]
fn a_verdict_that_only_a_later_version_knows_allows_nothing() {
    let mut desk = led();
    let id = ask(&mut desk, "alice");
    let data = format!(r#"{{"approval_id":"{id}","verdict":"allow_once"}}"#);
    let body = Body::parse("approval.decide", &data).unwrap();
    assert_eq!(body.data_json().unwrap(), data, "it is kept as it was written");
    let Body::ApprovalDecide(decide) = &body else { panic!("{body:?}") };
    let event = Event { body: body.clone(), ..desk.event(id.seq()).unwrap().clone() };
    let mut state = desk.state().clone();
    state.apply(&Event { seq: Seq(desk.state().position().seq.0 + 1), ..event.clone() });
    assert!(state.approvals().is_empty(), "it is decided");
    let view = show(&state, desk.event(id.seq()).unwrap(), &[event], desk.now).unwrap();
    assert_eq!(view.standing, ApprovalStanding::Unknown);
    assert_eq!(ApprovalStanding::from(&decide.verdict).as_str(), "unknown");
    desk.wait(1);
}

#[test]
fn a_circle_holds_only_where_nobody_can_end_it() {
    let mut desk = led();
    // Alice may not go on before the foreman or the user lets it; the foreman waits for Alice.
    ask(&mut desk, "alice");
    desk.send(
        "lead",
        crate::command::SendMessage { reply_required: true, ..crate::rule::desk::message("x", &["alice"]) },
    );
    let cycles = |desk: &Desk| crate::rule::wait::graph(desk.state(), desk.now).cycles.len();
    assert_eq!(cycles(&desk), 0, "the user is free to decide");
    desk.send(
        "user",
        crate::command::SendMessage { reply_required: true, ..crate::rule::desk::message("y", &["alice"]) },
    );
    assert_eq!(cycles(&desk), 1, "everybody who may decide waits for whoever asks");
}
