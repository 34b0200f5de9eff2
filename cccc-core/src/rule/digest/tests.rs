use proptest::prelude::*;

use super::*;
use crate::command::{Appendix, Command};
use crate::event::{ContextValue, Service};
use crate::id::ContextKey;
use crate::rule::desk::Desk;

fn set(desk: &mut Desk, key: &str, text: &str) {
    let value = Some(ContextValue::Text(text.into()));
    let key = ContextKey::new(key).unwrap();
    desk.run("lead", Command::SetContext { key, base: None, value }).unwrap();
}

fn note(desk: &mut Desk, section: Appendix, text: &str) {
    desk.run("lead", Command::AppendContext { section, text: text.into() }).unwrap();
}

#[test]
fn it_says_everything_in_order_if_there_is_room() {
    let mut desk = Desk::with(&["lead", "alice"]);
    assert_eq!(digest(desk.state(), 1000, desk.now), "");
    set(&mut desk, "zoo", "animals");
    set(&mut desk, "brief", "Build it.");
    // By number, not by spelling: 10 comes after 9.
    for n in 0..6 {
        note(&mut desk, Appendix::Decision, &format!("decision {n}"));
    }
    note(&mut desk, Appendix::Note, "the tests are slow");
    let api = ContextValue::Service(Service {
        kind: "http".into(),
        address: "http://localhost:1".into(),
        owner: Some("alice".parse().unwrap()),
    });
    let key = ContextKey::new("services/api").unwrap();
    desk.run("lead", Command::SetContext { key, base: None, value: Some(api) }).unwrap();
    let until = desk.now.after(std::time::Duration::from_secs(60));
    let word = Command::SetAgentState {
        waiting_for: None,
        actor_id: None,
        focus: Some("auth".into()),
        next: Some("docs".into()),
        blocker: None,
        until: Some(until),
        base: None,
    };
    desk.run("alice", word).unwrap();
    desk.wait(61);
    let expected = format!(
        "## brief (set by lead, version 5)\nBuild it.\n\
         ## decisions\n- decision 5 (lead, 11)\n- decision 4 (lead, 10)\n- decision 3 (lead, 9)\n\
         - decision 2 (lead, 8)\n- decision 1 (lead, 7)\n- decision 0 (lead, 6)\n\
         ## who is at what\n- alice: auth; next: docs; until {until} (over)\n\
         ## services\n- api: http at http://localhost:1, owner alice\n\
         ## notes\n- the tests are slow (lead, 12)\n\
         ## zoo (set by lead, version 4)\nanimals\n"
    );
    assert_eq!(digest(desk.state(), 8000, desk.now), expected);
    assert_eq!(digest(desk.state(), expected.len(), desk.now), expected);
    let less = digest(desk.state(), expected.len() - 1, desk.now);
    assert!(less.contains("(more: `cccc context show"), "{less}");
}

#[test]
fn what_is_long_is_cut_and_what_is_short_stays() {
    let mut desk = Desk::with(&["lead"]);
    set(&mut desk, "brief", &"Long words. ".repeat(500));
    set(&mut desk, "vision", "Short.");
    for n in 0..50 {
        note(&mut desk, Appendix::Note, &format!("note number {n}"));
    }
    let text = digest(desk.state(), 1000, desk.now);
    assert!(text.len() <= 1000);
    assert!(text.contains("\nShort.\n"), "{text}");
    assert!(text.contains("(more: `cccc context show brief`)"), "{text}");
    // The newest notes.
    assert!(text.contains("note number 49 ") && !text.contains("note number 0 "), "{text}");
    assert!(text.contains("(more: `cccc context show notes`)"), "{text}");
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 100, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn it_is_never_longer_than_asked_for(
        texts in prop::collection::vec(("[a-c]", "[a-zä€😀 \n]{1,200}"), 0..12),
        notes in prop::collection::vec("[a-zä€😀]{1,60}", 0..8),
        max_bytes in 0..2500_usize,
    ) {
        let mut desk = Desk::with(&["lead"]);
        for (key, text) in &texts {
            let value = Some(ContextValue::Text(format!("x{text}")));
            let _ = desk.run("lead", Command::SetContext { key: ContextKey::new(key).unwrap(), base: None, value });
        }
        for text in &notes {
            note(&mut desk, Appendix::Note, text);
        }
        let all = digest(desk.state(), usize::MAX, desk.now);
        let some = digest(desk.state(), max_bytes, desk.now);
        prop_assert!(some.len() <= max_bytes, "{} > {max_bytes}", some.len());
        if all.len() <= max_bytes {
            prop_assert_eq!(some, all);
        } else {
            prop_assert!(max_bytes < 400 || !some.is_empty());
        }
    }

    #[test]
    fn shares_are_fair(sizes in prop::collection::vec(0..1000_usize, 0..10), total in 0..3000_usize) {
        let shares = shares(&sizes, total);
        let given: usize = shares.iter().sum();
        prop_assert!(given <= total);
        prop_assert!(shares.iter().zip(&sizes).all(|(share, size)| share <= size));
        if sizes.iter().sum::<usize>() <= total {
            prop_assert_eq!(shares, sizes);
        }
    }
}
