//! Finding: words, phrases, beginnings, scripts without spaces; and whatever text.

use std::sync::{LazyLock, Mutex};

use cccc_core::block_on;
use cccc_memory::{Draft, MAX_LIMIT, Matched, Memory, Query, Scope};
use proptest::prelude::*;

use crate::support::{Place, add, found, listed, tagged};

#[test]
fn words_phrases_and_beginnings_are_found() {
    let place = Place::new();
    let alice = place.memory("alice");
    for text in [
        "Deployment to staging needs the VPN",
        "Run `just db` before the tests; it starts the database",
        "Größe und Café: src/auth.rs checks the token",
        "部署到生产环境之前要先跑测试",
        "テストの前にデータベースを起動する",
        "สวัสดีชาวโลก",
        "테스트는 데이터베이스가 필요하다",
    ] {
        add(&alice, Draft::new(text));
    }
    for (query, ids) in [
        ("staging", &["n1"][..]),
        ("STAGING vpn", &["n1"]),
        ("deploy", &["n1"]),
        ("\"just db\"", &["n2"]),
        ("\"db just\"", &[]),
        ("da*", &["n2"]),
        ("database tests", &["n2"]),
        ("cafe grosse", &["n3"]),
        ("auth.rs", &["n3"]),
        ("src/auth", &["n3"]),
        ("部署", &["n4"]),
        ("产", &["n4"]),
        ("署部", &[]),
        ("データベース", &["n5"]),
        ("ชาว", &["n6"]),
        ("데이터베이스", &["n7"]),
        ("nothing-like-this", &[]),
        ("", &[]),
        ("?!", &[]),
    ] {
        assert_eq!(found(&alice, query), ids, "{query}");
    }
}

#[test]
fn all_words_come_before_any() {
    let place = Place::new();
    let alice = place.memory("alice");
    for text in ["red apple", "red pear", "green pear"] {
        add(&alice, Draft::new(text));
        place.later(1);
    }
    let ask = |text: &str| block_on(alice.search(&Query::text(text))).unwrap();
    assert_eq!((ask("red pear").matched, found(&alice, "red pear")), (Matched::All, vec!["n2".to_owned()]));
    let any = ask("blue pear");
    assert_eq!((any.matched, any.hits.len()), (Matched::Any, 2));
    assert_eq!(ask("blue").matched, Matched::None);
    assert_eq!(found(&alice, "pear"), ["n3", "n2"], "of equals the newest first");
    // The pages of a search are of one kind, to the end.
    let mut query = Query::text("blue pear");
    query.limit = 1;
    query.skip = 2;
    let end = block_on(alice.search(&query)).unwrap();
    assert_eq!((end.matched, end.hits.len(), end.next), (Matched::Any, 0, None));
}

#[test]
fn what_a_note_is_about_is_found_as_well() {
    let place = Place::new();
    let (alice, bob) = (place.memory("alice"), place.memory("bob"));
    add(&alice, tagged("one", &["api", "ports"]));
    place.later(60);
    add(&bob, tagged("two", &["api"]));
    let middle = cccc_core::Clock::now(&*place.clock);
    place.later(60);
    add(&bob, Draft::own("three"));
    assert_eq!(found(&alice, "api").len(), 2);
    let query = |change: &dyn Fn(&mut Query)| {
        let mut query = Query::new();
        change(&mut query);
        query
    };
    let tags = |names: &[&str]| names.iter().map(|name| name.parse().unwrap()).collect::<Vec<_>>();
    for (expected, query) in [
        (&["n3", "n2", "n1"][..], Query::new()),
        (&["n2", "n1"], query(&|query| query.tags = tags(&["api"]))),
        (&["n1"], query(&|query| query.tags = tags(&["api", "ports"]))),
        (&["n3", "n2"], query(&|query| query.author = Some("bob".parse().unwrap()))),
        (&["n3", "n2"], query(&|query| query.since = Some(middle))),
        (&["n1"], query(&|query| query.until = Some(middle))),
        (&["n3"], query(&|query| query.scope = Some(Scope::Own))),
        (&["n2", "n1"], query(&|query| query.scope = Some(Scope::Group))),
        (&["n2"], query(&|query| (query.limit, query.skip) = (1, 1))),
    ] {
        assert_eq!(listed(&bob, &query), expected, "{query:?}");
    }
    let mut text = query(&|query| query.tags = tags(&["ports"]));
    text.text = "api".to_owned();
    assert_eq!(block_on(bob.search(&text)).unwrap().hits.len(), 1, "a search keeps to them too");
}

#[test]
fn pages_have_an_end() {
    let place = Place::new();
    let alice = place.memory("alice");
    for n in 0..45 {
        add(&alice, Draft::new(format!("note {n}")));
    }
    let (mut query, mut pages) = (Query::text("note"), Vec::new());
    loop {
        let page = block_on(alice.search(&query)).unwrap();
        pages.push(page.hits.len());
        match page.next {
            Some(next) => query.skip = next,
            None => break,
        }
    }
    assert_eq!(pages, [20, 20, 5]);
    query.skip = 0;
    query.limit = usize::MAX;
    assert_eq!(listed(&alice, &query).len(), 45.min(MAX_LIMIT));
}

#[test]
fn of_a_long_text_the_part_that_was_found_is_shown() {
    let place = Place::new();
    let alice = place.memory("alice");
    add(&alice, Draft::new(format!("{} the needle 在这里 {}", "hay ".repeat(500), "straw ".repeat(300))));
    add(&alice, Draft::new("x".repeat(8000)));
    add(&alice, Draft::new("short needle"));
    let hits = block_on(alice.search(&Query::text("needle"))).unwrap().hits;
    let long = hits.iter().find_map(|hit| hit.excerpt.as_deref()).unwrap();
    assert!(long.contains("needle 在这里") && long.len() <= 410, "{long}");
    assert_eq!(hits.iter().filter(|hit| hit.excerpt.is_none()).count(), 1);
    let hits = block_on(alice.search(&Query::text("xxx"))).unwrap().hits;
    assert!(hits[0].excerpt.as_ref().is_some_and(|part| part.len() <= 410));
}

/// One memory for all cases of a property: making one takes longer than asking it.
static FILLED: LazyLock<Mutex<(Place, Memory)>> = LazyLock::new(|| {
    let place = Place::new();
    let alice = place.memory("alice");
    for text in ["AND OR NOT NEAR", "a b c", "quote \" star * caret ^ colon : paren ( )", "部署 x"] {
        add(&alice, Draft::new(text));
    }
    Mutex::new((place, alice))
});

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]

    #[test]
    fn no_text_is_an_error(text in prop_oneof![
        any::<String>(),
        "[\"*^:(){}+\\-a-z 部\u{0}\u{1f}\u{301}ANDORTE]{0,40}",
    ]) {
        let filled = FILLED.lock().unwrap();
        let found = block_on(filled.1.search(&Query::text(text)));
        prop_assert!(found.is_ok(), "{found:?}");
    }

    /// Whatever text a note has, it is found by any of its words.
    #[test]
    fn a_word_of_a_note_finds_it(
        words in prop::collection::vec("[a-zäßé0-9]{1,12}|[一-三]{1,4}|[ぁ-こ]{1,4}", 1..12),
        pick in any::<prop::sample::Index>(),
    ) {
        let filled = FILLED.lock().unwrap();
        let text = words.join(" ");
        let id = block_on(filled.1.add(Draft::new(text))).unwrap().note.note_id;
        let mut query = Query::text(format!("\"{}\"", pick.get(&words)));
        query.limit = MAX_LIMIT;
        let found = block_on(filled.1.search(&query)).unwrap();
        prop_assert!(found.hits.iter().any(|hit| hit.note.note_id == id));
    }
}
