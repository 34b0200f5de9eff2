//! The first example of the README: a message that asks for an answer, the answer, and the receipts.
//!
//!     cargo run -p cccc-examples --bin quickstart
#![expect(clippy::print_stdout, reason = "a program that shows what it does")]

use std::process::Command;
use std::time::Duration;

use cccc_core::{Home, Result};

/// Set where the example itself runs.
const INSIDE: &str = "QUICKSTART_INSIDE";

#[tokio::main]
async fn main() -> Result<()> {
    // The example speaks of the person's home and of the working directory. So that running it leaves no
    // trace in yours, it runs in a process of its own in which both are empty.
    if std::env::var_os(INSIDE).is_none() {
        return run_apart();
    }

    let home = Home::open(Home::default_path()?).await?;
    let user = home.attach(".").await?; // the group of this directory, bound to the user
    user.add_actor("lead").await?; // the first actor becomes the foreman
    user.add_actor("alice").label("reviewer").await?;
    let lead = user.bind("lead").await?; // an actor that does not exist is an error
    let alice = user.bind("alice").await?;

    let sent = lead
        .send("Review src/auth.rs")
        .to("#reviewer")
        .reply_within(Duration::from_secs(900))
        .client_id("review-1") // sent again under this key, it is still one message
        .await?; // durable when this returns
    for m in &alice.inbox().limit(20).await?.messages {
        alice.reply(m, "Reading it").progress().await?;
        alice.reply(m, "Two findings").attach("findings.md").await?;
    }
    for receipt in lead.receipts(&sent).await? {
        println!("{receipt}");
    }
    let mut events = lead.watch(sent.position()); // everything since, and then what comes
    println!("{}", events.next().await?.body.kind());

    check(&lead, &sent).await
}

/// What the example claims.
async fn check(lead: &cccc_core::Group, sent: &cccc_core::Sent) -> Result<()> {
    let again = lead
        .send("Review src/auth.rs")
        .to("#reviewer")
        .reply_within(Duration::from_secs(900))
        .client_id("review-1")
        .await?;
    assert!(again.duplicate && again.event_id == sent.event_id, "sent twice: {again}");
    assert!(lead.obligations().all().await?.is_empty(), "the reply was given, so nothing is owed");
    let replies = lead.inbox().await?.messages;
    assert_eq!(replies.len(), 2, "word that it is being read, and the answer");
    let attached = replies.iter().flat_map(|m| &m.content.attachments).collect::<Vec<_>>();
    assert!(matches!(attached.as_slice(), [file] if file.name == "findings.md"), "{attached:?}");
    let nobody = lead.bind("bob").await.expect_err("there is no bob");
    assert_eq!(nobody.kind(), cccc_core::ErrorKind::NotFound);
    Ok(())
}

/// Runs this program again, in an empty directory and with an empty home.
fn run_apart() -> Result<()> {
    let place = tempfile::tempdir().expect("a temporary directory");
    std::fs::write(place.path().join("findings.md"), "1. unchecked token\n2. unbounded cache\n")
        .expect("a file to attach");
    let status = Command::new(std::env::current_exe().expect("the path of this program"))
        .current_dir(place.path())
        .env("CCCC_HOME", place.path().join("home"))
        .env(INSIDE, "1")
        .status()
        .expect("this program again");
    assert!(status.success(), "the example ended with {status}");
    Ok(())
}
