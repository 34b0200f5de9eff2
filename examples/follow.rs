//! Following a group: everything in order, without a gap, stopped and taken up again where it was left.
//!
//!     cargo run -p cccc-examples --bin follow
#![expect(clippy::print_stdout, reason = "a program that shows what it does")]

use cccc_core::{ErrorKind, Group, Home, Position, Result};

#[tokio::main]
async fn main() -> Result<()> {
    let place = tempfile::tempdir().expect("a temporary directory");
    let home = Home::open(place.path().join("home")).await?;
    let user = home.attach(place.path()).await?;
    user.add_actor("lead").await?;
    for n in 1..=3 {
        user.send(format!("before {n}")).to("lead").await?;
    }

    // From the very beginning...
    let mut events = user.watch(Position::start(user.id()));
    let end = user.position().await?;
    while events.position() != end {
        let event = events.next().await?;
        println!("{:>3} {:14} by {}", event.seq, event.body.kind(), event.by);
    }
    // ...to a bookmark, which is a short text. It names the place and the history that led there.
    let bookmark = events.position().to_string();
    drop(events);

    // While nobody follows, others go on; here, concurrently.
    let sender = user.clone();
    let sending = tokio::spawn(async move {
        for n in 1..=100 {
            sender.send(format!("after {n}")).to("lead").await?;
        }
        Ok::<(), cccc_core::Error>(())
    });

    let texts = follow(&user, bookmark.parse()?, 100).await?;
    sending.await.expect("a task that does not panic")?;
    let expected: Vec<String> = (1..=100).map(|n| format!("after {n}")).collect();
    assert_eq!(texts, expected, "each once, in order");
    println!("taken up at {bookmark}: {} more messages, each once, in order", texts.len());

    // A bookmark of another history is refused rather than continued with something that does not follow.
    let other = home.create_group("another").await?;
    let stray = Position { chain: Position::start(other.id()).chain, ..bookmark.parse()? };
    let refused = user.watch(stray).next().await.expect_err("this history never was");
    assert_eq!(refused.kind(), ErrorKind::Diverged, "{refused}");
    println!("a bookmark of another ledger: {refused}");
    Ok(())
}

/// The texts of the next `count` messages after a place.
async fn follow(group: &Group, after: Position, count: usize) -> Result<Vec<String>> {
    let mut events = group.watch(after);
    let mut texts = Vec::with_capacity(count);
    while texts.len() < count {
        let event = events.next().await?;
        texts.extend(event.message().map(|m| m.text.clone()));
    }
    Ok(texts)
}
