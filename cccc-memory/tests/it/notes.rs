//! Adding, changing and forgetting; and who sees what.

use cccc_core::{ErrorKind, EventRef, block_on};
use cccc_memory::{
    Change, Draft, MAX_CLIENT_ID_BYTES, MAX_SOURCES, MAX_TAGS, MAX_TEXT_BYTES, Memory, Query, Scope, Which,
};

use crate::support::{Place, add, found, listed, tagged};

#[test]
fn a_note_is_kept_with_where_it_comes_from() {
    let place = Place::new();
    let sent = block_on(place.user.send("The port is 8080\0".trim_end_matches('\0')).to("alice")).unwrap();
    let alice = place.memory("alice");
    let mut draft = tagged("The port is 8080", &["ports", "api", "api"]);
    draft.sources = vec![EventRef::from(sent.event_id), "3".parse().unwrap()];
    let note = block_on(alice.add(draft)).unwrap().note;
    assert_eq!(note.note_id.to_string(), "n1");
    assert_eq!(note.tags.iter().map(|tag| tag.as_str()).collect::<Vec<_>>(), ["api", "ports"]);
    assert_eq!((note.version, note.scope, note.created_at), (1, Scope::Group, note.updated_at));
    assert_eq!(note.from, "from peer alice (not the user)");
    let said: Vec<_> =
        note.sources.iter().map(|source| (source.kind.as_str(), source.from.as_str())).collect();
    assert_eq!(said, [("actor.add", "from the user"), ("chat.message", "from the user")]);
    assert_eq!(block_on(alice.get(note.note_id)).unwrap(), note);
    let user = block_on(place.memory("user").get(note.note_id)).unwrap();
    assert_eq!(user.from, "from peer alice");
    let json = serde_json::to_value(&note).unwrap();
    assert_eq!((&json["note_id"], &json["scope"], json.get("owner")), (&"n1".into(), &"group".into(), None));
}

#[test]
fn what_is_not_on_the_ledger_is_no_source() {
    let place = Place::new();
    let alice = place.memory("alice");
    for source in ["999", "3-zzzzzzzz"] {
        let mut draft = Draft::new("x");
        draft.sources = vec![source.parse().unwrap()];
        assert_eq!(block_on(alice.add(draft)).unwrap_err().kind(), ErrorKind::NotFound, "{source}");
    }
    assert!(!place.file().exists(), "nothing was written");
}

#[test]
fn a_note_is_added_once() {
    let place = Place::new();
    let (alice, bob) = (place.memory("alice"), place.memory("bob"));
    let draft = |text: &str, key: &str| {
        let mut draft = Draft::new(text);
        draft.client_id = Some(key.to_owned());
        draft
    };
    let first = block_on(alice.add(draft("one", "k"))).unwrap();
    assert!(!first.duplicate);
    let again = block_on(alice.add(draft("one", "k"))).unwrap();
    assert_eq!((again.duplicate, &again.note), (true, &first.note));
    let error = block_on(alice.add(draft("two", "k"))).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Conflict);
    assert!(error.to_string().contains("n1"), "{error}");
    // The same key of another author is another key, the same text the same note.
    assert_eq!(add(&bob, draft("two", "k")), "n2");
    assert!(block_on(bob.add(Draft::new(" one\n"))).unwrap().duplicate);
    // Under the same key it is the same note even when it was changed since.
    let mut change = Change::default();
    change.text = Some("one, changed".to_owned());
    block_on(alice.edit(first.note.note_id, change)).unwrap();
    let again = block_on(alice.add(draft("one", "k"))).unwrap();
    assert_eq!((again.duplicate, again.note.text.as_str()), (true, "one, changed"));
    // An own note is another than one of the group.
    assert!(!block_on(alice.add(Draft::own("two"))).unwrap().duplicate);
}

#[test]
fn nobody_overwrites_blindly() {
    let place = Place::new();
    let (alice, lead) = (place.memory("alice"), place.memory("lead"));
    let id = block_on(alice.add(Draft::new("one"))).unwrap().note.note_id;
    let text = |text: &str, base| {
        let mut change = Change::default();
        change.text = Some(text.to_owned());
        change.base = base;
        change
    };
    place.later(60);
    let changed = block_on(alice.edit(id, text("two", None))).unwrap();
    assert_eq!((changed.changed, changed.note.version), (true, 2));
    assert!(changed.note.updated_at > changed.note.created_at);
    assert!(!block_on(alice.edit(id, text("two", Some(2)))).unwrap().changed, "nothing to change");
    let error = block_on(lead.edit(id, text("three", None))).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Conflict);
    assert!(error.to_string().contains("version 2"), "{error}");
    let changed = block_on(lead.edit(id, text("three", Some(2)))).unwrap();
    assert_eq!(changed.note.edited_by.map(|by| by.to_string()).as_deref(), Some("lead"));
    let error = block_on(alice.edit(id, text("four", Some(2)))).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Conflict);
    assert!(error.to_string().contains("changed by lead"), "{error}");
    assert_eq!(found(&alice, "three"), ["n1"]);
    assert!(found(&alice, "two").is_empty());
    let other = add(&alice, Draft::new("five"));
    let error = block_on(alice.edit(other.parse().unwrap(), text("three", None))).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Conflict, "it would say the same as another");
    assert_eq!(block_on(alice.edit(id, Change::default())).unwrap_err().kind(), ErrorKind::Invalid);
}

#[test]
fn an_own_note_is_seen_by_its_actor_and_the_user() {
    let place = Place::new();
    let [user, lead, alice, bob] = ["user", "lead", "alice", "bob"].map(|who| place.memory(who));
    let id = add(&alice, Draft::own("the secret of the parser"));
    let id = id.parse().unwrap();
    for (memory, sees) in [(&user, true), (&alice, true), (&lead, false), (&bob, false)] {
        assert_eq!(!found(memory, "parser").is_empty(), sees, "{memory:?}");
        assert_eq!(!listed(memory, &Query::new()).is_empty(), sees, "{memory:?}");
        match block_on(memory.get(id)) {
            Ok(note) => assert!(sees && note.owner.is_some_and(|owner| owner.as_str() == "alice")),
            Err(error) => assert!(!sees && error.kind() == ErrorKind::NotFound, "{error}"),
        }
    }
    for memory in [&lead, &bob] {
        assert_eq!(block_on(memory.forget(id, None)).unwrap_err().kind(), ErrorKind::NotFound);
    }
    assert_eq!(block_on(user.add(Draft::own("mine"))).unwrap_err().kind(), ErrorKind::Refused);
    // An actor that was added again is another.
    block_on(place.user.remove_actor("alice")).unwrap();
    assert_eq!(block_on(alice.list(&Query::new())).unwrap_err().kind(), ErrorKind::NotFound);
    block_on(place.user.add_actor("alice")).unwrap();
    assert!(found(&place.memory("alice"), "parser").is_empty());
    assert_eq!(found(&user, "parser"), ["n1"]);
}

#[test]
fn peers_change_what_they_wrote() {
    let place = Place::new();
    let [user, lead, alice, bob] = ["user", "lead", "alice", "bob"].map(|who| place.memory(who));
    for (author, memory, may) in
        [(&alice, &bob, false), (&alice, &lead, true), (&alice, &user, true), (&user, &bob, false)]
    {
        let id = add(author, Draft::new(format!("{author:?} {memory:?}"))).parse().unwrap();
        match block_on(memory.forget(id, None)) {
            Ok(changed) => assert!(may && changed.changed),
            Err(error) => assert!(!may && error.kind() == ErrorKind::Refused, "{error}"),
        }
    }
}

#[test]
fn what_is_forgotten_is_told_no_more() {
    let place = Place::new();
    let [user, lead, alice, bob] = ["user", "lead", "alice", "bob"].map(|who| place.memory(who));
    let id = block_on(alice.add(Draft::new("the port is 80"))).unwrap().note.note_id;
    let error = block_on(alice.forget(id, Some(7))).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Conflict);
    assert!(block_on(alice.forget(id, Some(1))).unwrap().changed);
    assert!(!block_on(alice.forget(id, None)).unwrap().changed, "again is nothing more");
    assert_eq!(block_on(bob.forget(id, None)).unwrap_err().kind(), ErrorKind::NotFound);
    let forgotten = Query { which: Which::Forgotten, ..Query::default() };
    for (memory, sees) in [(&user, true), (&lead, true), (&alice, false), (&bob, false)] {
        assert!(found(memory, "port").is_empty() && listed(memory, &Query::new()).is_empty());
        assert_eq!(!listed(memory, &forgotten).is_empty(), sees, "{memory:?}");
    }
    let mut change = Change::default();
    change.text = Some("x".to_owned());
    change.base = Some(1);
    assert_eq!(block_on(lead.edit(id, change)).unwrap_err().kind(), ErrorKind::Refused);
    assert_eq!(add(&bob, Draft::new("the port is 80")), "n2", "it may be said again");
}

#[test]
fn a_better_note_takes_the_place_of_others() {
    let place = Place::new();
    let [lead, alice, bob] = ["lead", "alice", "bob"].map(|who| place.memory(who));
    let better = |text: &str, old: &[&str]| {
        let mut draft = Draft::new(text);
        draft.supersedes = old.iter().map(|id| id.parse().unwrap()).collect();
        draft
    };
    add(&alice, Draft::new("port 80"));
    add(&alice, Draft::new("port 81"));
    assert_eq!(block_on(bob.add(better("ports 80, 81", &["n1"]))).unwrap_err().kind(), ErrorKind::Refused);
    assert_eq!(listed(&bob, &Query::new()), ["n2", "n1"], "nothing was added");
    assert_eq!(add(&alice, better("ports 80, 81", &["n1", "n2"])), "n3");
    assert_eq!(found(&alice, "port"), ["n3"]);
    assert_eq!(block_on(bob.get("n1".parse().unwrap())).unwrap().superseded_by, Some("n3".parse().unwrap()));
    assert_eq!(listed(&bob, &Query { which: Which::Superseded, ..Query::default() }), ["n2", "n1"]);
    // Done again, it is so already.
    assert!(block_on(alice.add(better("ports 80, 81", &["n1", "n2"]))).unwrap().duplicate);
    let error = block_on(lead.add(better("ports", &["n1"]))).unwrap_err();
    assert!(error.kind() == ErrorKind::Refused && error.to_string().contains("n3"), "{error}");
    assert!(block_on(alice.add(better("ports 80, 81", &["n3"]))).is_err(), "not itself");
    add(&alice, Draft::own("my port"));
    assert_eq!(block_on(alice.add(better("all", &["n4"]))).unwrap_err().kind(), ErrorKind::Refused);
}

#[test]
fn everything_has_a_bound() {
    let place = Place::new();
    let alice = place.memory("alice");
    let refused = |draft: Draft| block_on(alice.add(draft)).unwrap_err().kind();
    assert_eq!(refused(Draft::new("")), ErrorKind::Invalid);
    assert_eq!(refused(Draft::new(" \n")), ErrorKind::Invalid);
    assert_eq!(refused(Draft::new("a\0b")), ErrorKind::Invalid);
    assert_eq!(refused(Draft::new("x".repeat(MAX_TEXT_BYTES + 1))), ErrorKind::TooLarge);
    let mut draft = Draft::new("x");
    draft.tags = (0..=MAX_TAGS).map(|n| format!("t{n}").parse().unwrap()).collect();
    assert_eq!(refused(draft), ErrorKind::TooLarge);
    let mut draft = Draft::new("x");
    draft.sources = (1..).take(MAX_SOURCES + 1).map(|n| n.to_string().parse().unwrap()).collect();
    assert_eq!(refused(draft), ErrorKind::TooLarge);
    for key in [String::new(), "k".repeat(MAX_CLIENT_ID_BYTES + 1)] {
        let mut draft = Draft::new("x");
        draft.client_id = Some(key);
        assert_eq!(refused(draft), ErrorKind::Invalid);
    }
    add(&alice, Draft::new("x".repeat(MAX_TEXT_BYTES)));
}

#[test]
fn an_archived_group_remembers_and_learns_nothing() {
    let place = Place::new();
    let alice = place.memory("alice");
    add(&alice, Draft::new("before"));
    block_on(place.user.set_state(cccc_core::event::GroupMode::Archived, "done")).unwrap();
    let error = block_on(alice.add(Draft::new("after"))).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Refused);
    assert_eq!(found(&alice, "before"), ["n1"]);
}

#[test]
fn a_group_that_is_not_in_files_has_none() {
    let group = block_on(cccc_core::Group::in_memory("test")).unwrap();
    assert_eq!(Memory::of(&group).unwrap_err().kind(), ErrorKind::Unsupported);
}

#[test]
fn looking_makes_no_file() {
    let place = Place::new();
    let alice = place.memory("alice");
    assert!(found(&alice, "x").is_empty() && listed(&alice, &Query::new()).is_empty());
    assert!(block_on(alice.get("n1".parse().unwrap())).is_err());
    assert!(block_on(alice.forget("n1".parse().unwrap(), None)).is_err());
    assert_eq!(block_on(alice.stats()).unwrap().bytes, 0);
    assert!(block_on(alice.verify()).unwrap().ok);
    assert!(!place.file().exists());
}

#[test]
#[cfg(unix)]
fn the_file_is_its_owners_and_goes_with_the_group() {
    use std::os::unix::fs::PermissionsExt;
    let place = Place::new();
    add(&place.memory("alice"), Draft::new("x"));
    let mode = place.file().metadata().unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
    let directory = place.file().parent().unwrap().to_owned();
    let names: Vec<_> = directory
        .read_dir()
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    let ours: Vec<_> = names.iter().filter(|name| name.contains("memory")).collect();
    assert_eq!(ours, ["memory.db"], "nothing else is left behind");
    block_on(place.user.set_state(cccc_core::event::GroupMode::Archived, "done")).unwrap();
    block_on(place.home.delete_group(place.user.id())).unwrap();
    assert!(!directory.exists());
    assert!(place.dir.path().exists());
}
