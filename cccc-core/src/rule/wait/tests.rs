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
