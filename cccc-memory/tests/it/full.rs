//! A memory with as many notes as it may have. Takes a while, so it is run by hand:
//! `cargo test -p cccc-memory --test it full -- --ignored --nocapture`.

use std::fmt::Write;
use std::time::Instant;

use cccc_core::{ErrorKind, block_on};
use cccc_memory::{Draft, MAX_NOTES, Memory, Query};

use crate::support::Place;

/// An export with this many notes of about 300 bytes, out of some 5,000 words.
fn export(notes: u64) -> String {
    let mut text = "{\"cccc_memory\":1,\"group_id\":\"g1\"}\n".to_owned();
    let mut state = 1_u64;
    let mut next = move || {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        // Some words are frequent, most are rare.
        let n = state >> 40;
        if n.is_multiple_of(3) { n % 50 } else { n % 5000 }
    };
    for id in 1..=notes {
        let words: Vec<String> = (0..40).map(|_| format!("word{}", next())).collect();
        writeln!(
            text,
            "{{\"note_id\":\"n{id}\",\"text\":\"note{id} {}\",\"tags\":[\"t{}\"],\"author\":\"user\",\
             \"version\":1,\"edited_by\":\"user\",\"created_at\":\"2026-11-21T08:00:00Z\",\
             \"updated_at\":\"2026-11-21T08:00:00Z\"}}",
            words.join(" "),
            id % 100
        )
        .unwrap();
    }
    writeln!(text, "{{\"end\":true,\"notes\":{notes}}}").unwrap();
    text
}

#[expect(clippy::print_stdout, reason = "it is run by hand, for what it prints")]
fn timed<T>(what: &str, work: impl FnOnce() -> T) -> T {
    let begun = Instant::now();
    let done = work();
    println!("{what}: {:.1} ms", begun.elapsed().as_secs_f64() * 1000.0);
    done
}

#[test]
#[ignore = "takes a minute"]
fn it_holds_what_it_may_and_is_fast_enough() {
    let place = Place::new();
    let user: Memory = place.memory("user");
    timed("first note", || block_on(user.add(Draft::new("first"))).unwrap());
    timed("second note", || block_on(user.add(Draft::new("second"))).unwrap());
    let text = export(MAX_NOTES - 3);
    let done = timed("import", || block_on(user.import(text.as_bytes(), false)).unwrap());
    assert_eq!(done.added, MAX_NOTES - 3);
    let file = place.file().metadata().unwrap().len();
    timed(&format!("{} MB of lines are a file of {} MB", text.len() >> 20, file >> 20), || ());
    timed("last note", || block_on(user.add(Draft::new("last"))).unwrap());
    let error = timed("one too many", || block_on(user.add(Draft::new("too many"))).unwrap_err());
    assert_eq!(error.kind(), ErrorKind::TooLarge);
    for query in ["note77777", "word4711", "word7 word11", "word1 word2 word3 word4", "word nothing", "first"]
    {
        let found = timed(query, || block_on(user.search(&Query::text(query))).unwrap());
        assert!(!found.hits.is_empty() || query.contains("nothing"));
    }
    let mut deep = Query::text("word7");
    deep.skip = 20_000;
    timed("word7, page 1000", || block_on(user.search(&deep)).unwrap());
    timed("list", || block_on(user.list(&Query::new())).unwrap());
    timed("list of a tag", || {
        let query = Query { tags: vec!["t7".parse().unwrap()], ..Query::default() };
        block_on(user.list(&query)).unwrap()
    });
    timed("stats", || block_on(user.stats()).unwrap());
    assert!(timed("verify", || block_on(user.verify()).unwrap()).ok);
    timed("rebuild", || block_on(user.rebuild()).unwrap());
    timed("export", || block_on(user.export(std::io::sink())).unwrap());
    timed("compact", || block_on(user.compact()).unwrap());
}
