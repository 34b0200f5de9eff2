use std::time::Duration;

use super::*;
use crate::command::{AddActor, Command};
use crate::error::ErrorKind;
use crate::event::{ActorRemove, GroupMode, Priority};
use crate::id::ActorId;
use crate::rule::desk::{Desk, Done, event, message, who};

const MINUTE: Duration = Duration::from_secs(60);

fn asking(to: &[&str], options: &[&str]) -> SendMessage {
    SendMessage {
        options: options.iter().map(|option| (*option).to_owned()).collect(),
        ..message("Deploy now?", to)
    }
}

fn ask(desk: &mut Desk, by: &str, to: &[&str]) -> Seq {
    desk.send(by, asking(to, &["yes", "no"]))
}

fn answer(desk: &mut Desk, by: &str, question: Seq, choice: &str) -> Result<Done> {
    let reply =
        SendMessage { reply_to: Some(event(question)), choice: Some(choice.into()), ..message("", &[]) };
    desk.run(by, Command::Send(reply))
}

fn shown(desk: &Desk, question: Seq) -> QuestionView {
    show(desk.state(), desk.event(question).unwrap(), &desk.facts(question), desk.now).unwrap()
}

fn standing(desk: &Desk, question: Seq) -> QuestionStanding {
    shown(desk, question).standing
}

fn close_it(desk: &mut Desk, by: &str, question: Seq) -> Result<Done> {
    desk.run(by, Command::CloseQuestion { question: event(question) })
}

fn remove(desk: &mut Desk, id: &str, successor: Option<&str>) {
    let of = |id: &str| ActorId::new(id).unwrap();
    let removal = ActorRemove { actor_id: of(id), reason: "left".into(), successor: successor.map(of) };
    desk.run("user", Command::RemoveActor(removal)).unwrap();
}

fn refusal(done: Result<Done>) -> (ErrorKind, String) {
    let error = done.expect_err("to be refused");
    (error.kind(), format!("{error}"))
}

/// Every way from one standing to another, and what each leaves owed.
#[test]
fn each_way_a_question_can_go() {
    use QuestionStanding::{Answered, Cancelled, Expired, Open, Over, Replied, Withdrawn};
    type Act = fn(&mut Desk, Seq);
    fn words(desk: &mut Desk, by: &str, question: Seq) {
        desk.reply(by, question, false);
    }
    fn cancel(desk: &mut Desk, question: Seq, whom: &[&str]) {
        let recipients = whom.iter().map(|id| who(id)).collect();
        let cancel = Command::Cancel { event: event(question), recipients, reason: String::new() };
        desk.run("lead", cancel).unwrap();
    }
    let cases: [(&str, Act, QuestionStanding, &[&str]); 17] = [
        ("nothing", |_, _| {}, Open, &["alice", "user"]),
        ("an agent chooses", |d, q| _ = answer(d, "alice", q, "yes").unwrap(), Answered, &[]),
        ("the person chooses", |d, q| _ = answer(d, "user", q, "no").unwrap(), Answered, &[]),
        ("word of progress", |d, q| _ = d.reply("alice", q, true), Open, &["alice", "user"]),
        ("one replies in words", |d, q| words(d, "alice", q), Open, &["user"]),
        (
            "one replies in words, then the other chooses",
            |d, q| {
                words(d, "alice", q);
                answer(d, "user", q, "yes").unwrap();
            },
            Answered,
            &[],
        ),
        (
            "one replies in words, and then chooses after all",
            |d, q| {
                words(d, "alice", q);
                answer(d, "alice", q, "yes").unwrap();
            },
            Answered,
            &[],
        ),
        (
            "all reply in words",
            |d, q| {
                words(d, "alice", q);
                words(d, "user", q);
            },
            Replied,
            &[],
        ),
        ("one is excused", |d, q| cancel(d, q, &["user"]), Open, &["alice"]),
        ("it is called off", |d, q| cancel(d, q, &[]), Cancelled, &[]),
        (
            "it is retracted",
            |d, q| {
                _ = d.run("lead", Command::Retract { event: event(q), reason: String::new() }).unwrap();
            },
            Withdrawn,
            &[],
        ),
        (
            "it is replaced",
            |d, q| {
                let newer = SendMessage { supersedes: Some(event(q)), ..message("never mind", &["alice"]) };
                d.send("lead", newer);
            },
            Withdrawn,
            &[],
        ),
        ("its time passes", |d, _| d.wait(61), Over, &["alice", "user"]),
        (
            "its time passes, and that is written down",
            |d, q| {
                d.wait(61);
                close_it(d, "system", q).unwrap();
            },
            Expired,
            &[],
        ),
        (
            "one is excused, and the other leaves",
            |d, q| {
                cancel(d, q, &["user"]);
                remove(d, "alice", None);
            },
            Cancelled,
            &[],
        ),
        ("who asked leaves", |d, _| remove(d, "lead", None), Cancelled, &[]),
        ("one leaves it to a successor", |d, _| remove(d, "alice", Some("bob")), Open, &["bob", "user"]),
    ];
    for (name, act, expected, waiting) in cases {
        let mut desk = Desk::with(&["lead", "alice", "bob"]);
        let asks = SendMessage { reply_within: Some(MINUTE), ..asking(&["alice", "user"], &["yes", "no"]) };
        let question = desk.send("lead", asks);
        act(&mut desk, question);
        let view = shown(&desk, question);
        assert_eq!(view.standing, expected, "{name}: {}", view.reason);
        let mut owes: Vec<String> = view.waiting.iter().map(ToString::to_string).collect();
        owes.sort();
        let owed = waiting.iter().map(|who| format!("{who} reply {question}")).collect::<Vec<_>>();
        assert_eq!(
            (owes, desk.owed().len()),
            (waiting.iter().map(ToString::to_string).collect(), owed.len()),
            "{name}"
        );
        assert!(owed.iter().all(|one| desk.owed().contains(one)), "{name}: {:?}", desk.owed());
        assert_eq!(desk.state().questions().contains_key(&question), !waiting.is_empty(), "{name}");
        assert_eq!(&desk.rebuilt(), desk.state(), "{name}");
        // What is over stays as it ended, and takes no answer.
        if waiting.is_empty() || expected == Over {
            let mut there = vec!["alice", "user"];
            there.retain(|by| desk.state().mailbox(&who(by)).is_some());
            for by in there {
                for choice in ["yes", "no"] {
                    let before = desk.state().clone();
                    let first = shown(&desk, question).answer;
                    let repeats = first.is_some_and(|first| first.by == who(by) && first.choice == choice);
                    match answer(&mut desk, by, question, choice) {
                        Ok(done) => assert!(repeats && done.events.is_empty(), "{name}: {by} {choice}"),
                        Err(error) => {
                            assert!(!repeats, "{name}: {by} {choice}: {error}");
                            let late = matches!(expected, Over | Expired);
                            let kind = if late { ErrorKind::Refused } else { ErrorKind::Conflict };
                            assert_eq!(error.kind(), kind, "{name}: {error}");
                        }
                    }
                    assert_eq!(desk.state(), &before, "{name}");
                }
            }
            assert_eq!(standing(&desk, question), expected, "{name}");
        }
    }
}

#[test]
fn the_first_answer_wins_and_the_second_is_told_the_first() {
    let mut desk = Desk::with(&["lead", "alice", "bob"]);
    let asks = SendMessage { priority: Priority::Attention, ..asking(&["user", "alice"], &["yes", "no"]) };
    let question = desk.send("lead", asks);
    let done = answer(&mut desk, "user", question, "2").unwrap();
    assert_eq!(done.kinds(), ["chat.message", "chat.cancel"]);
    let reply = done.events[0].message().unwrap();
    assert_eq!((reply.choice.as_deref(), reply.text.as_str()), (Some("no"), "no"));
    assert_eq!(reply.recipients, [who("lead")]);
    let Body::ChatCancel(cancel) = &done.events[1].body else { panic!() };
    assert_eq!(
        (cancel.recipients.clone(), &cancel.cause),
        (vec![who("alice")], &Some(CancelCause::Answered))
    );
    assert!(desk.owed().is_empty(), "neither an answer nor an acknowledgement");
    assert!(desk.receipt(question, "alice").ends_with("reply cancelled (user has answered)"));
    assert!(desk.receipt(question, "user").ends_with("reply met"));
    let first = shown(&desk, question).answer.unwrap();
    let expected = AnswerView {
        event_id: done.events[0].id,
        by: who("user"),
        at: done.events[0].ts,
        choice: "no".into(),
    };
    assert_eq!(first, expected);
    desk.wait(5);
    for (by, choice) in [("alice", "yes"), ("alice", "no"), ("user", "yes")] {
        let (kind, said) = refusal(answer(&mut desk, by, question, choice));
        assert_eq!(kind, ErrorKind::Conflict);
        for part in ["user answered", &first.at.to_string(), "\"no\"", &first.event_id.to_string()] {
            assert!(said.contains(part), "{said}");
        }
    }
    let again = answer(&mut desk, "user", question, "No").unwrap();
    assert_eq!((again.events.len(), again.duplicate), (0, Some(done.events[0].id)));
}

#[test]
fn who_may_answer_and_what() {
    let mut desk = Desk::with(&["lead", "alice", "bob"]);
    let question = ask(&mut desk, "alice", &["bob"]);
    for (by, choice, kind, part) in [
        ("bob", "maybe", ErrorKind::Invalid, "no option"),
        ("bob", "3", ErrorKind::Invalid, "no option"),
        ("bob", "0", ErrorKind::Invalid, "no option"),
        ("bob", "", ErrorKind::Invalid, "no option"),
        ("alice", "yes", ErrorKind::Refused, "not addressed"),
        ("lead", "yes", ErrorKind::Refused, "not addressed"),
        ("user", "yes", ErrorKind::Refused, "not addressed"),
        ("svc:x", "yes", ErrorKind::Refused, "not addressed"),
    ] {
        let (found, said) = refusal(answer(&mut desk, by, question, choice));
        assert!(found == kind && said.contains(part), "{by} {choice}: {said}");
    }
    let plain = desk.send("alice", message("x", &["bob"]));
    let (kind, said) = refusal(answer(&mut desk, "bob", plain, "yes"));
    assert!(kind == ErrorKind::Invalid && said.contains("no options"), "{said}");
    // Another of the same name was not asked.
    remove(&mut desk, "bob", None);
    desk.run("user", Command::AddActor(AddActor::new("bob".parse().unwrap()))).unwrap();
    assert_eq!(refusal(answer(&mut desk, "bob", question, "yes")).0, ErrorKind::Refused);
}

#[test]
fn options_are_named_by_text_or_number() {
    let words: Vec<String> = ["Use the lexer", "No"].map(Into::into).into();
    let numbers: Vec<String> = ["2", "4", "8"].map(Into::into).into();
    for (options, choice, expected) in [
        (&words, "Use the lexer", Some("Use the lexer")),
        (&words, " no ", Some("No")),
        (&words, "1", Some("Use the lexer")),
        (&words, "2", Some("No")),
        (&words, "3", None),
        (&words, "lexer", None),
        // Where options are numbers, a number is an option and never a place.
        (&numbers, "2", Some("2")),
        (&numbers, "4", Some("4")),
        (&numbers, "1", None),
        (&numbers, "3", None),
    ] {
        assert_eq!(chosen(options, choice), expected, "{choice:?}");
    }
}

#[test]
fn what_may_be_asked() {
    let mut desk = Desk::with(&["lead", "a", "b", "c", "d", "e"]);
    let long = "x".repeat(MAX_OPTION_BYTES + 1);
    let many: Vec<String> = (0..=MAX_OPTIONS).map(|n| format!("option {n}")).collect();
    let many: Vec<&str> = many.iter().map(String::as_str).collect();
    for (options, kind) in [
        (&["yes"][..], ErrorKind::Invalid),
        (&["yes", "Yes "], ErrorKind::Invalid),
        (&["yes", " "], ErrorKind::Invalid),
        (&["yes", "n\no"], ErrorKind::Invalid),
        (&["yes", &long], ErrorKind::TooLarge),
        (&many, ErrorKind::TooLarge),
    ] {
        let (found, said) = refusal(desk.run("lead", Command::Send(asking(&["a"], options))));
        assert_eq!(found, kind, "{said}");
    }
    let question = ask(&mut desk, "lead", &["a"]);
    let answers =
        SendMessage { reply_to: Some(event(question)), choice: Some("yes".into()), ..message("", &[]) };
    for (wrong, part) in [
        (SendMessage { reply_to: None, ..answers.clone() }, "answers none"),
        (SendMessage { progress: true, ..answers.clone() }, "final"),
        (SendMessage { options: vec!["x".into(), "y".into()], ..answers.clone() }, "asks nothing"),
    ] {
        let (kind, said) = refusal(desk.run("a", Command::Send(wrong)));
        assert!(kind == ErrorKind::Invalid && said.contains(part), "{said}");
    }
    // Whom a peer may oblige it may ask, and no more.
    for (by, to, allowed) in [
        ("a", &["b", "c", "d", "e"][..], true),
        ("a", &["@all"], false),
        ("lead", &["@all"], true),
        ("a", &["user", "b"], true),
    ] {
        assert_eq!(
            desk.clone().run(by, Command::Send(asking(to, &["1", "2"]))).is_ok(),
            allowed,
            "{by} {to:?}"
        );
    }
    for _ in 0..MAX_QUESTIONS_OF_PEER {
        ask(&mut desk, "a", &["b"]);
    }
    let (kind, said) = refusal(desk.run("a", Command::Send(asking(&["b"], &["1", "2"]))));
    assert!(kind == ErrorKind::Refused && said.contains("a has asked 16 questions"), "{said}");
    for _ in MAX_QUESTIONS_OF_PEER + 1..MAX_QUESTIONS {
        ask(&mut desk, "user", &["c"]);
    }
    let (_, said) = refusal(desk.run("user", Command::Send(asking(&["b"], &["1", "2"]))));
    assert!(said.contains("256 open questions"), "{said}");
}

#[test]
fn a_deadline_ends_it_pauses_do_not_count_and_all_are_told() {
    let mut desk = Desk::with(&["lead", "alice", "bob"]);
    let asks = SendMessage { reply_within: Some(MINUTE), ..asking(&["user", "bob"], &["yes", "no"]) };
    let question = desk.send("alice", asks);
    desk.mode(GroupMode::Paused);
    desk.wait(1_000);
    assert!(
        crate::rule::presence::due(desk.state(), &crate::rule::presence::Facts::default(), desk.now)
            .is_empty()
    );
    desk.mode(GroupMode::Active);
    desk.wait(60);
    let (kind, said) = refusal(close_it(&mut desk, "svc:host", question));
    assert!(kind == ErrorKind::Refused && said.contains("is open until"), "{said}");
    let next = crate::rule::presence::next_deadline(desk.state(), desk.now).unwrap();
    assert_eq!(next, desk.now.after(Duration::from_millis(1)));
    desk.now = next;
    // Nobody is reminded beside: it is over.
    let effects = crate::rule::policy::due(desk.state(), desk.now);
    let [crate::rule::policy::Effect::Keep(keeping)] = effects.as_slice() else { panic!("{effects:?}") };
    assert_eq!((keeping.due_at, standing(&desk, question)), (desk.now, QuestionStanding::Over));
    let (kind, said) = refusal(answer(&mut desk, "bob", question, "yes"));
    assert!(kind == ErrorKind::Refused && said.contains("was not answered by then"), "{said}");
    let command = keeping.upkeep.command();
    let done = desk.run("system", command.clone()).unwrap();
    assert_eq!(done.kinds(), ["chat.cancel", "system.notify", "system.notify", "system.notify"]);
    assert!(desk.owed().is_empty());
    assert_eq!(desk.run("system", command).unwrap().duplicate, Some(done.events[0].id));
    let why = "reply cancelled (its time was over, and nobody had answered)";
    assert!(desk.receipt(question, "bob").ends_with(why), "{}", desk.receipt(question, "bob"));
    // Word that comes late is still word.
    desk.reply("bob", question, false);
    assert_eq!(standing(&desk, question), QuestionStanding::Expired);
}

#[test]
fn what_closes_nothing() {
    let mut desk = Desk::with(&["lead", "alice"]);
    let question = ask(&mut desk, "lead", &["alice"]);
    let (kind, said) = refusal(close_it(&mut desk, "lead", question));
    assert!(kind == ErrorKind::Refused && said.contains("until somebody answers it"), "{said}");
    answer(&mut desk, "alice", question, "yes").unwrap();
    let (kind, said) = refusal(close_it(&mut desk, "lead", question));
    assert!(kind == ErrorKind::Conflict && said.contains("answered"), "{said}");
    assert_eq!(refusal(close_it(&mut desk, "lead", Seq(1))).0, ErrorKind::Invalid);
    assert_eq!(refusal(close_it(&mut desk, "lead", Seq(99))).0, ErrorKind::NotFound);
}

#[test]
fn a_successor_answers_and_a_redacted_answer_stays_one() {
    let mut desk = Desk::with(&["lead", "alice", "bob"]);
    let question = ask(&mut desk, "lead", &["alice", "user"]);
    remove(&mut desk, "alice", Some("bob"));
    let done = answer(&mut desk, "bob", question, "yes").unwrap();
    let reply = done.events[0].seq;
    desk.run("user", Command::Redact { event: event(reply), reason: String::new() }).unwrap();
    desk.forget(reply);
    assert_eq!(&desk.rebuilt(), desk.state());
    let view = shown(&desk, question);
    assert_eq!((view.standing, view.answer), (QuestionStanding::Answered, None));
    let (kind, said) = refusal(answer(&mut desk, "user", question, "no"));
    assert!(kind == ErrorKind::Conflict && said.contains("bob has answered"), "{said}");
    let left = ask(&mut desk, "user", &["bob"]);
    remove(&mut desk, "bob", None);
    assert_eq!(standing(&desk, left), QuestionStanding::Returned);
    desk.run("user", Command::AddActor(AddActor::new("bob".parse().unwrap()))).unwrap();
    // A question of which the text is gone is none any more.
    let other = ask(&mut desk, "lead", &["bob"]);
    desk.run("user", Command::Redact { event: event(other), reason: String::new() }).unwrap();
    desk.forget(other);
    assert_eq!(&desk.rebuilt(), desk.state());
    assert!(desk.state().questions().is_empty());
    assert_eq!(refusal(answer(&mut desk, "bob", other, "yes")).0, ErrorKind::Refused);
}

#[test]
fn a_key_makes_asking_and_answering_safe_to_repeat() {
    let mut desk = Desk::with(&["lead", "alice"]);
    let asks = SendMessage { client_id: Some("q".into()), ..asking(&["alice"], &["yes", "no"]) };
    let question = desk.send("lead", asks.clone());
    assert_eq!(
        desk.run("lead", Command::Send(asks.clone())).unwrap().duplicate.map(|id| id.seq),
        Some(question)
    );
    let other = SendMessage { options: vec!["yes".into(), "never".into()], ..asks };
    assert_eq!(refusal(desk.run("lead", Command::Send(other))).0, ErrorKind::Conflict);
    let answers = |choice: &str| {
        Command::Send(SendMessage {
            reply_to: Some(event(question)),
            choice: Some(choice.into()),
            client_id: Some("a".into()),
            ..message("", &[])
        })
    };
    let first = desk.run("alice", answers("1")).unwrap().seq();
    assert_eq!(desk.run("alice", answers("yes")).unwrap().duplicate.map(|id| id.seq), Some(first));
    let (kind, said) = refusal(desk.run("alice", answers("no")));
    assert!(kind == ErrorKind::Conflict && said.contains("client_id"), "{said}");
}
