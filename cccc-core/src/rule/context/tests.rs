use super::*;
use crate::command::{Appendix, Command};
use crate::error::ErrorKind;
use crate::rule::desk::{Desk, Done};

fn key(text: &str) -> ContextKey {
    ContextKey::new(text).unwrap()
}

fn set(name: &str, base: Option<u64>, text: &str) -> Command {
    let value = Some(ContextValue::Text(text.into()));
    Command::SetContext { key: key(name), base: base.map(Seq), value }
}

fn unset(name: &str, base: Option<u64>) -> Command {
    Command::SetContext { key: key(name), base: base.map(Seq), value: None }
}

fn service(name: &str, address: &str, owner: Option<&str>) -> Command {
    let owner = owner.map(|id| ActorId::new(id).unwrap());
    let value = ContextValue::Service(Service { kind: "http".into(), address: address.into(), owner });
    Command::SetContext { key: key(name), base: None, value: Some(value) }
}

fn append(section: Appendix, text: &str) -> Command {
    Command::AppendContext { section, text: text.into() }
}

fn says(desk: &Desk, name: &str) -> Option<String> {
    list(desk.state(), Some(&key(name))).first().map(|view| match &view.value {
        ContextValue::Text(text) => text.clone(),
        ContextValue::Service(service) => service.address.clone(),
    })
}

fn run(desk: &mut Desk, by: &str, command: Command) -> Done {
    desk.run(by, command).expect("to be allowed")
}

#[test]
fn a_stale_update_is_refused_with_what_changed() {
    let mut desk = Desk::with(&["lead", "alice", "bob"]);
    let first = run(&mut desk, "lead", set("brief", None, "Build it.\nIn Rust.")).seq();
    let second = run(&mut desk, "alice", set("brief", Some(first.0), "Build it.\nIn Zig.")).seq();
    let before = desk.state().position();
    for (base, parts) in [
        (
            Some(first.0),
            &["set by alice since version 5", "version 6", "gone is \"In Rust.\"", "new is \"In Zig.\""][..],
        ),
        (None, &["set by alice", "it says \"Build it.\\nIn Zig.\"", "--base 6"]),
        (Some(0), &["since version 0", "it says"]),
        (Some(1), &["since version 1", "it says"]),
        (Some(999), &["since version 999"]),
    ] {
        let error = desk.run("bob", set("brief", base, "Build it.\nIn C.")).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Conflict);
        for part in parts {
            assert!(error.to_string().contains(part), "{base:?} {part}: {error}");
        }
    }
    assert_eq!(desk.state().position(), before);
    assert_eq!(says(&desk, "brief").unwrap(), "Build it.\nIn Zig.");
    // Whoever set it last need not say so; what it says already is not written again, whatever the base.
    run(&mut desk, "alice", set("brief", None, "Ship it."));
    let again = run(&mut desk, "bob", set("brief", Some(second.0), "Ship it."));
    assert!(again.events.is_empty());
    // Removing is changing; what was removed is set anew without a base.
    assert!(desk.run("bob", unset("brief", None)).is_err());
    run(&mut desk, "bob", unset("brief", Some(7)));
    assert_eq!(says(&desk, "brief"), None);
    assert!(run(&mut desk, "lead", unset("brief", None)).events.is_empty());
    assert_eq!(desk.run("lead", set("brief", Some(7), "x")).unwrap_err().kind(), ErrorKind::Conflict);
    run(&mut desk, "lead", set("brief", None, "x"));
    assert_eq!(desk.rebuilt(), *desk.state());
}

#[test]
fn a_new_bearer_of_a_name_has_not_set_what_the_old_one_did() {
    let mut desk = Desk::with(&["lead", "alice"]);
    run(&mut desk, "alice", set("brief", None, "one"));
    run(&mut desk, "alice", append(Appendix::Note, "mine"));
    let alice = ActorId::new("alice").unwrap();
    let remove =
        crate::event::ActorRemove { actor_id: alice.clone(), reason: String::new(), successor: None };
    run(&mut desk, "user", Command::RemoveActor(remove));
    run(&mut desk, "user", Command::AddActor(crate::command::AddActor::new(alice)));
    assert_eq!(desk.run("alice", set("brief", None, "two")).unwrap_err().kind(), ErrorKind::Conflict);
    assert_eq!(desk.run("alice", set("notes/5", Some(5), "two")).unwrap_err().kind(), ErrorKind::Refused);
    assert_eq!(run(&mut desk, "alice", append(Appendix::Note, "mine")).events.len(), 1);
}

#[test]
fn decisions_and_notes_are_added_once_and_changed_by_their_author() {
    let mut desk = Desk::with(&["lead", "alice", "bob"]);
    let first = run(&mut desk, "alice", append(Appendix::Decision, "use tabs"));
    assert_eq!(
        list(desk.state(), Some(&key("decisions")))[0].key,
        key(&format!("decisions/{}", first.seq()))
    );
    let again = run(&mut desk, "alice", append(Appendix::Decision, "use tabs"));
    assert_eq!((again.events.len(), again.seq()), (0, first.seq()));
    let other = run(&mut desk, "bob", append(Appendix::Decision, "use tabs"));
    assert_eq!((other.events.len(), list(desk.state(), Some(&key("decisions"))).len()), (1, 2));
    let name = format!("decisions/{}", first.seq());
    let base = Some(first.seq().0);
    assert_eq!(desk.run("bob", set(&name, base, "use spaces")).unwrap_err().kind(), ErrorKind::Refused);
    assert_eq!(desk.run("bob", unset(&name, base)).unwrap_err().kind(), ErrorKind::Refused);
    let changed = run(&mut desk, "lead", set(&name, base, "use two tabs")).seq();
    // It is still its author's.
    run(&mut desk, "alice", unset(&name, Some(changed.0)));
    assert_eq!(list(desk.state(), None).len(), 1);
}

#[test]
fn services_are_entries_with_an_owner() {
    let mut desk = Desk::with(&["lead", "alice", "bob", "carol"]);
    run(&mut desk, "alice", service("services/api", "http://localhost:1", Some("bob")));
    run(&mut desk, "alice", service("services/api", "http://localhost:2", Some("bob")));
    let at_2 = desk.state().position().seq.0;
    let moved = |name: &str| match service(name, "http://localhost:3", Some("bob")) {
        Command::SetContext { key, value, .. } => Command::SetContext { key, base: Some(Seq(at_2)), value },
        other => other,
    };
    assert_eq!(desk.run("carol", moved("services/api")).unwrap_err().kind(), ErrorKind::Refused);
    run(&mut desk, "bob", moved("services/api"));
    assert_eq!(says(&desk, "services/api").unwrap(), "http://localhost:3");
}

#[test]
fn what_is_refused() {
    let mut desk = Desk::with(&["lead"]);
    let long = "x".repeat(MAX_ENTRY_BYTES + 1);
    for (command, kind) in [
        (set("brief", None, ""), ErrorKind::Invalid),
        (set("brief", None, " \n"), ErrorKind::Invalid),
        (set("brief", None, &long), ErrorKind::TooLarge),
        (set("brief", Some(1), "x"), ErrorKind::Conflict),
        (set("decisions", None, "x"), ErrorKind::Invalid),
        (set("notes/7", None, "x"), ErrorKind::Invalid),
        (set("services/api", None, "x"), ErrorKind::Invalid),
        (service("services", "http://x", None), ErrorKind::Invalid),
        (service("services/api", "", None), ErrorKind::Invalid),
        (service("brief", "http://x", None), ErrorKind::Invalid),
        (append(Appendix::Note, ""), ErrorKind::Invalid),
        (append(Appendix::Note, &long), ErrorKind::TooLarge),
    ] {
        let error = desk.run("lead", command.clone()).unwrap_err();
        assert_eq!(error.kind(), kind, "{command:?}: {error}");
        assert!(error.hint_text().is_some(), "{error}");
    }
    for name in ["", "a/b/c", "A", "a/", "/a", "a b"] {
        assert!(ContextKey::new(name).is_err(), "{name:?}");
    }
}

#[test]
fn the_context_is_bounded_in_number_and_size() {
    let mut desk = Desk::with(&["lead"]);
    for n in 0..MAX_ENTRIES {
        run(&mut desk, "lead", append(Appendix::Note, &format!("note {n}")));
    }
    let error = desk.run("lead", set("brief", None, "x")).unwrap_err();
    assert!(error.to_string().contains("512 entries"), "{error}");
    let one = list(desk.state(), None)[0].key.to_string();
    run(&mut desk, "lead", unset(&one, None));
    run(&mut desk, "lead", set("brief", None, "x"));

    let mut desk = Desk::with(&["lead"]);
    let large = "x".repeat(MAX_ENTRY_BYTES);
    for n in 0..MAX_CONTEXT_BYTES / MAX_ENTRY_BYTES {
        run(&mut desk, "lead", set(&format!("k{n}"), None, &large));
    }
    assert_eq!(desk.run("lead", set("more", None, "x")).unwrap_err().kind(), ErrorKind::TooLarge);
    // Replacing is not adding.
    run(&mut desk, "lead", set("k0", None, "small"));
    run(&mut desk, "lead", set("more", None, "x"));
}

fn word(focus: Option<&str>, blocker: Option<&str>, until: Option<Timestamp>) -> Command {
    Command::SetAgentState {
        waiting_for: None,
        actor_id: None,
        focus: focus.map(Into::into),
        next: None,
        blocker: blocker.map(Into::into),
        until,
        base: None,
    }
}

#[test]
fn an_agent_says_what_it_is_at() {
    let mut desk = Desk::with(&["lead", "alice", "bob"]);
    let until = desk.now.after(std::time::Duration::from_secs(60));
    let first = run(&mut desk, "alice", word(Some("auth"), None, Some(until)));
    let said = |desk: &Desk| {
        agents(desk.state(), desk.now)
            .iter()
            .map(|a| format!("{} {} {} {}", a.actor_id, a.focus, a.blocker, a.stale))
            .collect::<Vec<_>>()
    };
    assert_eq!(said(&desk), ["alice auth  false"]);
    assert!(run(&mut desk, "alice", word(Some("auth"), None, Some(until))).events.is_empty());
    desk.wait(61);
    assert_eq!(said(&desk), ["alice auth  true"]);
    // What is not said stays, except until when it holds.
    run(&mut desk, "alice", word(None, Some("no key"), None));
    assert_eq!(said(&desk), ["alice auth no key false"]);
    assert_eq!(desk.run("alice", word(Some("x"), None, Some(until))).unwrap_err().kind(), ErrorKind::Invalid);
    let stale = Command::SetAgentState {
        waiting_for: None,
        actor_id: None,
        focus: Some("db".into()),
        next: None,
        blocker: None,
        until: None,
        base: Some(first.seq()),
    };
    let error = desk.run("alice", stale).unwrap_err();
    assert!(error.to_string().contains("blocker \"no key\""), "{error}");
    run(&mut desk, "alice", word(Some(""), Some(""), None));
    assert!(said(&desk).is_empty());
    let of = |id: &str, focus: &str| Command::SetAgentState {
        waiting_for: None,
        actor_id: Some(ActorId::new(id).unwrap()),
        focus: Some(focus.into()),
        next: None,
        blocker: None,
        until: None,
        base: None,
    };
    let long = "x".repeat(MAX_AGENT_BYTES + 1);
    for (by, command, kind) in [
        ("bob", of("alice", "x"), Some(ErrorKind::Refused)),
        ("user", of("carol", "x"), Some(ErrorKind::NotFound)),
        ("user", word(Some("x"), None, None), Some(ErrorKind::Invalid)),
        ("bob", word(Some(&long), None, None), Some(ErrorKind::TooLarge)),
        (
            "bob",
            word(None, None, Some(desk.now.after(std::time::Duration::from_secs(9)))),
            Some(ErrorKind::Invalid),
        ),
        ("lead", of("alice", "x"), None),
    ] {
        let error = desk.run(by, command).err();
        assert_eq!(error.as_ref().map(Error::kind), kind, "{by}: {error:?}");
    }
    let gone = ActorId::new("alice").unwrap();
    let remove = crate::event::ActorRemove { actor_id: gone, reason: String::new(), successor: None };
    run(&mut desk, "user", Command::RemoveActor(remove));
    assert!(said(&desk).is_empty());
}

#[test]
fn at_a_glance_an_actors_own_word_comes_before_its_task() {
    let mut desk = Desk::with(&["lead", "alice"]);
    let alice: ActorId = "alice".parse().unwrap();
    let glance = |desk: &Desk| summary(desk.state(), &alice, desk.now);
    assert_eq!(glance(&desk), None);
    let add = crate::command::AddTask {
        title: "The parser".into(),
        owner: Some("alice".into()),
        ..Default::default()
    };
    let task_id = crate::id::TaskId(desk.run("lead", Command::AddTask(add)).unwrap().seq());
    assert_eq!(glance(&desk), None, "not begun");
    let start = crate::command::UpdateTask {
        task_id,
        base_version: None,
        changes: vec![crate::event::TaskOp::Start {}],
    };
    desk.run("alice", Command::UpdateTask(start)).unwrap();
    assert_eq!(glance(&desk), Some(format!("{task_id}: The parser")));
    let say = |focus: String, until| Command::SetAgentState {
        waiting_for: None,
        actor_id: None,
        focus: Some(focus),
        next: None,
        blocker: None,
        until,
        base: None,
    };
    desk.run("alice", say(format!("the\nlexer {}", "x".repeat(400)), None)).unwrap();
    let long = glance(&desk).unwrap();
    assert!(long.starts_with("the lexer xxx") && long.len() <= 160 && long.ends_with('…'), "{long}");
    let until = Some(desk.now.after(std::time::Duration::from_secs(10)));
    desk.run("alice", say("the lexer".into(), until)).unwrap();
    assert_eq!(glance(&desk).as_deref(), Some("the lexer"));
    desk.wait(11);
    assert_eq!(glance(&desk), Some(format!("{task_id}: The parser")), "its word no longer holds");
}
