//! Looking after the memory.

use std::time::Duration;

use cccc_core::{ErrorKind, block_on};
use cccc_memory::{Draft, Heir, Query, Which};

use crate::support::{Place, add, found, listed, tagged};

#[test]
fn what_is_purged_is_gone_from_the_file() {
    let place = Place::new();
    let [user, lead, alice] = ["user", "lead", "alice"].map(|who| place.memory(who));
    let word = "xylophonequartz";
    for n in 0..40 {
        add(&alice, tagged(&format!("{word} {n} {}", "filling ".repeat(200)), &["music"]));
    }
    let kept = add(&alice, Draft::new("kept"));
    let has = |what: &str| {
        let bytes = std::fs::read(place.file()).unwrap();
        bytes.windows(what.len()).any(|window| window == what.as_bytes())
    };
    assert!(has(word));
    for n in 1..=40 {
        block_on(alice.forget(format!("n{n}").parse().unwrap(), None)).unwrap();
    }
    assert_eq!(block_on(alice.purge(Duration::ZERO)).unwrap_err().kind(), ErrorKind::Refused);
    assert_eq!(block_on(lead.purge(Duration::from_secs(60))).unwrap().notes, 0, "not so soon");
    let purged = block_on(lead.purge(Duration::ZERO)).unwrap();
    assert_eq!((purged.notes, purged.compacted), (40, true));
    assert!(!has(word), "nothing of it is left");
    assert_eq!(listed(&user, &Query { which: Which::All, ..Query::default() }), [kept]);
    assert_eq!(add(&alice, Draft::new("next")), "n42", "ids are not used again");
    let stats = block_on(user.stats()).unwrap();
    assert_eq!((stats.current, stats.superseded, stats.forgotten), (2, 0, 0));
    let compacted = block_on(alice.compact()).unwrap();
    assert!(compacted.bytes <= compacted.bytes_before);
    assert!(block_on(user.verify()).unwrap().ok);
}

#[test]
fn the_notes_of_one_who_left_are_handed_over() {
    let place = Place::new();
    let [user, lead, bob] = ["user", "lead", "bob"].map(|who| place.memory(who));
    let alice = place.memory("alice");
    add(&alice, Draft::own("the parser is fast"));
    add(&alice, Draft::own("both know this"));
    add(&bob, Draft::own("both know this"));
    let id = "alice".parse().unwrap();
    let to_bob = Heir::Actor("bob".parse().unwrap());
    let error = block_on(lead.hand_over(&id, &to_bob)).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Refused, "alice is there");
    assert_eq!(block_on(bob.hand_over(&id, &to_bob)).unwrap_err().kind(), ErrorKind::Refused);
    block_on(place.user.remove_actor("alice")).unwrap();
    let nobody = Heir::Actor("carol".parse().unwrap());
    assert_eq!(block_on(lead.hand_over(&id, &nobody)).unwrap_err().kind(), ErrorKind::NotFound);
    assert!(!block_on(user.stats()).unwrap().own.iter().find(|own| own.owner == id).unwrap().here);
    let done = block_on(lead.hand_over(&id, &to_bob)).unwrap();
    assert_eq!((done.notes, done.merged), (2, 1));
    assert_eq!(found(&bob, "parser"), ["n1"]);
    assert_eq!(found(&bob, "both"), ["n3"]);
    assert!(found(&lead, "parser").is_empty());
    // The user may hand over those of one who is there as well; and to the group.
    let done = block_on(user.hand_over(&"bob".parse().unwrap(), &Heir::Group)).unwrap();
    assert_eq!(done.notes, 3);
    assert_eq!(found(&lead, "parser"), ["n1"]);
    assert!(block_on(user.verify()).unwrap().ok);
}

#[test]
fn one_who_is_back_gets_what_it_had() {
    let place = Place::new();
    add(&place.memory("alice"), Draft::own("the parser is fast"));
    block_on(place.user.remove_actor("alice")).unwrap();
    block_on(place.user.add_actor("alice")).unwrap();
    let [user, alice] = ["user", "alice"].map(|who| place.memory(who));
    add(&alice, Draft::own("new"));
    let id: cccc_core::ActorId = "alice".parse().unwrap();
    assert_eq!(block_on(user.hand_over(&id, &Heir::Actor(id.clone()))).unwrap().notes, 1);
    assert_eq!(listed(&alice, &Query::new()).len(), 2);
    assert_eq!(block_on(user.hand_over(&id, &Heir::Actor(id.clone()))).unwrap().notes, 0);
}

#[test]
fn who_may_look_after_it() {
    let place = Place::new();
    let [lead, alice] = ["lead", "alice"].map(|who| place.memory(who));
    add(&alice, Draft::own("mine"));
    add(&alice, Draft::new("ours"));
    assert!(block_on(alice.stats()).is_ok() && block_on(alice.rebuild()).is_ok());
    assert_eq!(block_on(alice.export(Vec::new())).unwrap_err().kind(), ErrorKind::Refused);
    let mut exported = Vec::new();
    assert_eq!(block_on(lead.export(&mut exported)).unwrap().notes, 1, "the group's");
    let error = block_on(lead.import(exported.as_slice(), false)).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Refused);
}
