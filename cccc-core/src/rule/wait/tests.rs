use super::*;
use crate::command::{AddTask, Command, SendMessage};
use crate::rule::desk::{Desk, event, message};

fn ask(desk: &mut Desk, by: &str, to: &str, about: Option<Seq>) -> Seq {
    let reply_to = about.map(event);
    // Asking back is no final answer.
    let progress = reply_to.is_some();
    desk.send(by, SendMessage { reply_required: true, reply_to, progress, ..message("?", &[to]) })
}

fn circles(desk: &Desk) -> Vec<String> {
    let graph = graph(desk.state(), desk.now);
    graph.cycles.iter().map(|cycle| cycle.to_string().lines().next().unwrap_or_default().to_owned()).collect()
}

#[test]
fn two_that_ask_each_other_wait_in_a_circle() {
    let mut desk = Desk::with(&["lead", "alice", "bob"]);
    let first = ask(&mut desk, "alice", "bob", None);
    assert_eq!(circles(&desk), [""; 0]);
    let second = ask(&mut desk, "bob", "alice", None);
    assert_eq!(circles(&desk), ["cycle: alice -> bob -> alice"]);
    let found = graph(desk.state(), desk.now);
    let breakers: Vec<(String, &str)> =
        found.cycles[0].breakers.iter().map(|b| (b.who.to_string(), b.call.as_str())).collect();
    let expect = |who: &str, call: String| assert!(breakers.contains(&(who.into(), &call)), "{who} {call}");
    expect("bob", format!("cccc reply {first} TEXT"));
    expect("alice", format!("cccc reply {second} TEXT"));
    expect("alice", format!("cccc cancel {first}"));
    expect("lead", format!("cccc cancel {second}"));
    expect("user", format!("cccc cancel {second}"));
    for (by, command) in [
        ("alice", Command::Cancel { event: event(first), recipients: Vec::new(), reason: String::new() }),
        ("lead", Command::Cancel { event: event(second), recipients: Vec::new(), reason: String::new() }),
    ] {
        let mut broken = desk.clone();
        broken.run(by, command).unwrap();
        assert_eq!(circles(&broken), [""; 0], "what is said to break it does");
    }
    desk.reply("bob", first, false);
    assert_eq!(circles(&desk), [""; 0]);
}

#[test]
fn a_clarifying_question_is_no_circle() {
    let mut desk = Desk::with(&["lead", "alice", "bob", "carol"]);
    let asked = ask(&mut desk, "alice", "bob", None);
    let back = ask(&mut desk, "bob", "alice", Some(asked));
    assert_eq!(circles(&desk), [""; 0]);
    let waits = graph(desk.state(), desk.now).waits;
    assert_eq!(
        waits.iter().map(|wait| (wait.source, wait.behind)).collect::<Vec<_>>(),
        [(asked, Some(back)), (back, None)]
    );
    // Over three corners neither, as long as it is one thread.
    let mut three = Desk::with(&["lead", "alice", "bob", "carol"]);
    let asked = ask(&mut three, "alice", "bob", None);
    let on = ask(&mut three, "bob", "carol", Some(asked));
    ask(&mut three, "carol", "alice", Some(on));
    assert_eq!(circles(&three), [""; 0]);
    // The answer to the question brings the wait back to where it was.
    desk.reply("alice", back, false);
    assert_eq!(graph(desk.state(), desk.now).waits[0].behind, None);
    // Another thread is another matter.
    ask(&mut desk, "bob", "alice", None);
    assert_eq!(circles(&desk), ["cycle: alice -> bob -> alice"]);
}

#[test]
fn each_knot_is_named_once_by_its_shortest_circle() {
    let mut desk = Desk::with(&["lead", "a", "b", "c", "d", "e", "f"]);
    for (by, to) in
        [("a", "b"), ("b", "c"), ("c", "a"), ("c", "d"), ("d", "e"), ("e", "f"), ("f", "e"), ("a", "b")]
    {
        ask(&mut desk, by, to, None);
    }
    assert_eq!(circles(&desk), ["cycle: a -> b -> c -> a", "cycle: e -> f -> e"]);
}

#[test]
fn it_is_drawn() {
    let mut desk = Desk::with(&["lead", "alice", "bob"]);
    assert_eq!(graph(desk.state(), desk.now).to_string(), "nobody waits");
    let asked = ask(&mut desk, "alice", "bob", None);
    let back = ask(&mut desk, "bob", "alice", Some(asked));
    let urgent = std::time::Duration::from_secs(60);
    let due = desk.now.after(urgent);
    let third = desk.send("lead", SendMessage { reply_within: Some(urgent), ..message("?", &["bob"]) });
    desk.wait(61);
    let graph = graph(desk.state(), desk.now);
    assert_eq!(
        graph.to_string(),
        format!(
            "alice waits for bob: reply {asked}, behind {back}\n\
             bob waits for alice: reply {back}\n\
             lead waits for bob: reply {third}, overdue since {due}"
        )
    );
    assert_eq!(
        graph.to_dot(),
        format!(
            "digraph waits {{\n  \"alice\" -> \"bob\" [label=\"reply {asked}\", style=dashed];\n  \
             \"bob\" -> \"alice\" [label=\"reply {back}\"];\n  \
             \"lead\" -> \"bob\" [label=\"reply {third} overdue\"];\n}}\n"
        )
    );
}

#[test]
fn a_task_waits_for_what_it_depends_on() {
    let mut desk = Desk::with(&["lead", "alice", "bob"]);
    let task = |desk: &mut Desk, owner: &str, depends_on: &[Seq]| {
        let add = AddTask {
            title: "x".into(),
            owner: Some(owner.into()),
            depends_on: depends_on.iter().copied().map(TaskId).collect(),
            ..AddTask::default()
        };
        desk.run("lead", Command::AddTask(add)).unwrap().seq()
    };
    let first = task(&mut desk, "bob", &[]);
    let second = task(&mut desk, "alice", &[first]);
    let shown: Vec<String> = graph(desk.state(), desk.now).waits.iter().map(ToString::to_string).collect();
    assert_eq!(
        shown,
        [
            format!("lead waits for bob: task {first}"),
            format!("alice waits for bob: dependency {first}"),
            format!("lead waits for alice: task {second}, behind {first}"),
        ]
    );
    // Each has something to begin with, so dependencies the other way are no circle.
    let third = task(&mut desk, "alice", &[]);
    task(&mut desk, "bob", &[third]);
    assert_eq!(circles(&desk), [""; 0]);
    // But who does the first waits for a word of who waits for it.
    ask(&mut desk, "bob", "alice", None);
    assert_eq!(circles(&desk), ["cycle: alice -> bob -> alice"]);
}

#[test]
fn a_question_about_a_task_is_no_circle() {
    let mut desk = Desk::with(&["lead", "alice"]);
    let task = AddTask { title: "x".into(), ..AddTask::default() };
    let message = message("do it", &["alice"]);
    let done = desk.run("lead", Command::TrackedSend { task, message }).unwrap();
    let sent = done.events.iter().find(|event| event.message().is_some()).unwrap().seq;
    ask(&mut desk, "alice", "lead", Some(sent));
    assert_eq!(circles(&desk), [""; 0]);
    ask(&mut desk, "alice", "lead", None);
    assert_eq!(circles(&desk), [""; 0], "the lead waits behind the question in the thread");
}

#[test]
fn who_votes_on_its_own_question_does_not_wait_for_itself() {
    let mut desk = Desk::with(&["lead", "alice"]);
    let within = std::time::Duration::from_secs(60);
    desk.run("lead", Command::OpenVote { subject: "Now?".into(), voters: vec![], within }).unwrap();
    let found = graph(desk.state(), desk.now);
    assert_eq!(found.cycles, []);
    assert_eq!(found.waits.iter().map(|wait| wait.on.to_string()).collect::<Vec<_>>(), ["alice"]);
}

fn waits_for(desk: &mut Desk, by: &str, what: &str) -> crate::Result<()> {
    let said = Command::SetAgentState {
        actor_id: None,
        focus: None,
        next: None,
        blocker: None,
        waiting_for: Some(what.into()),
        until: Some(desk.now.after(std::time::Duration::from_secs(7200))).filter(|_| !what.is_empty()),
        base: None,
    };
    desk.run(by, said).map(drop)
}

fn reserve(desk: &mut Desk, by: &str, glob: &str) -> crate::id::ReservationId {
    let lease = std::time::Duration::from_secs(3600);
    let take = Command::Reserve { globs: vec![glob.into()], purpose: String::new(), lease };
    crate::id::ReservationId(desk.run(by, take).unwrap().seq())
}

#[test]
fn who_says_that_it_waits_for_something_is_in_the_graph_until_that_is_over() {
    let mut desk = Desk::with(&["lead", "alice", "bob"]);
    let task = AddTask { title: "x".into(), owner: Some("bob".into()), ..AddTask::default() };
    let task = crate::id::TaskId(desk.run("lead", Command::AddTask(task)).unwrap().seq());
    let reserved = reserve(&mut desk, "bob", "src/**");
    let of_alice = |desk: &Desk| {
        let waits = graph(desk.state(), desk.now).waits;
        let mine = waits.into_iter().filter(|wait| wait.waiter.to_string() == "alice");
        mine.map(|wait| format!("{} {} {}", wait.on, wait.kind.as_str(), wait.source)).collect::<Vec<_>>()
    };
    for (what, expected) in [
        (reserved.to_string(), format!("bob reservation {}", reserved.seq())),
        (task.to_string(), format!("bob task_of {}", task.seq())),
    ] {
        waits_for(&mut desk, "alice", &what).unwrap();
        assert_eq!(of_alice(&desk), [expected]);
    }
    waits_for(&mut desk, "alice", "bob").unwrap();
    let said = desk.state().position().seq;
    assert_eq!(of_alice(&desk), [format!("bob actor {said}")]);
    for wrong in ["r999", "t999", "nobody", "alice", "all"] {
        assert!(waits_for(&mut desk, "alice", wrong).is_err(), "{wrong}");
    }
    // It lapses with what it is about, and with its own time.
    waits_for(&mut desk, "alice", &reserved.to_string()).unwrap();
    let mut over = desk.clone();
    over.wait(3600);
    assert_eq!(of_alice(&over), [""; 0], "the lease is over");
    let release = Command::ReleaseReservation { reservation: reserved, reason: String::new() };
    let mut free = desk.clone();
    free.run("bob", release).unwrap();
    assert_eq!(of_alice(&free), [""; 0]);
    waits_for(&mut desk, "alice", &task.to_string()).unwrap();
    let change = |op| crate::command::UpdateTask { task_id: task, base_version: None, changes: vec![op] };
    let done = crate::event::TaskOp::Done { text: String::new() };
    desk.run("bob", Command::UpdateTask(change(done))).unwrap();
    assert_eq!(of_alice(&desk), [""; 0]);
    waits_for(&mut desk, "alice", "bob").unwrap();
    let mut without = desk.clone();
    let actor_id: crate::id::ActorId = "bob".parse().unwrap();
    let remove =
        crate::event::ActorRemove { actor_id: actor_id.clone(), reason: String::new(), successor: None };
    without.run("user", Command::RemoveActor(remove)).unwrap();
    without.run("user", Command::AddActor(crate::command::AddActor::new(actor_id))).unwrap();
    assert_eq!(of_alice(&without), [""; 0], "that is another Bob");
    waits_for(&mut desk, "alice", "").unwrap();
    assert_eq!(of_alice(&desk), [""; 0], "it waits no longer");
    assert_eq!(&desk.rebuilt(), desk.state());
}

#[test]
fn two_that_wait_for_what_the_other_has_reserved_are_in_a_circle() {
    let mut desk = Desk::with(&["lead", "alice", "bob"]);
    let (of_alice, of_bob) = (reserve(&mut desk, "alice", "a/**"), reserve(&mut desk, "bob", "b/**"));
    waits_for(&mut desk, "alice", &of_bob.to_string()).unwrap();
    assert_eq!(circles(&desk), [""; 0]);
    waits_for(&mut desk, "bob", &of_alice.to_string()).unwrap();
    assert_eq!(circles(&desk), ["cycle: alice -> bob -> alice"]);
    let text = graph(desk.state(), desk.now).to_string();
    for line in [
        format!("alice waits for bob: reservation {}", of_bob.seq()),
        format!("bob can break it: cccc release {of_bob}"),
        format!("lead can break it: cccc release {of_bob}"),
        "alice can break it: cccc agent-state --waiting-for ''".to_owned(),
    ] {
        assert!(text.contains(&line), "{line} in {text}");
    }
    let release = Command::ReleaseReservation { reservation: of_bob, reason: String::new() };
    desk.run("bob", release).unwrap();
    assert_eq!(circles(&desk), [""; 0]);
}
