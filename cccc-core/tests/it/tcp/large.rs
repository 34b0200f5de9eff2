//! A large group on a server opens by one journey for each megabyte, and by its checkpoint with a few.
#![expect(clippy::disallowed_methods, reason = "it says how long it took")]

use std::sync::Arc;
use std::time::{Duration, Instant};

use cccc_core::disk::RealDisk;
use cccc_core::event::GroupCreate;
use cccc_core::id::Nonce;
use cccc_core::ledger::file::Options;
use cccc_core::ledger::{Draft, Durability, Encoder, FileLedger, Ledger, Stamp};
use cccc_core::{Blobs, Group, GroupId, Principal, SystemClock, Timestamp, block_on};

use super::client::TcpLedger;
use super::keeper::Keeper;

/// How many messages there are, if not a hundred thousand. A million take 20 seconds in a test build.
const EVENTS: &str = "CCCC_TEST_EVENTS";

/// Messages in one append.
const BATCH: u64 = 5_000;

/// Writes messages to a ledger's files, as fast as they take them.
fn fill(ledger: &FileLedger, group: &Group, count: u64) {
    block_on(async {
        group.execute(cccc_core::Command::CreateGroup(GroupCreate::default())).await.unwrap();
        group.add_actor("lead").await.unwrap();
        let sent = group.send("To be read").to("lead").await.unwrap();
        let message = group.event(&sent).await.unwrap().body;
        let stamp =
            Stamp { ts: Timestamp::from_millis(0), by: Principal::User, via: None, scope_key: "".into() };
        for first in (0..count).step_by(BATCH as usize) {
            let turn = ledger.turn().await.unwrap();
            let mut encoder = Encoder::new(ledger.group_id().clone(), turn.tip(), turn.durable().seq);
            for n in first..count.min(first + BATCH) {
                let draft = Draft { body: message.clone(), must: false };
                encoder.push(vec![draft], &stamp, || Nonce::from_bits(n)).unwrap();
            }
            turn.append(&encoder.finish(), Durability::Durable).await.unwrap();
        }
    });
}

#[test]
fn a_large_group_opens_over_tcp() {
    let count: u64 = std::env::var(EVENTS).map_or(100_000, |count| count.parse().unwrap());
    let keeper = Keeper::start(Duration::from_millis(5));
    let id = GroupId::new("g").unwrap();
    let files =
        FileLedger::create(Arc::new(RealDisk::new()), keeper.dir().join("g"), id.clone(), Options::default());
    let files = Arc::new(files.unwrap());
    let clock = Arc::new(SystemClock);
    let started = Instant::now();
    fill(&files, &Group::over(files.clone(), Blobs::in_memory(), clock.clone()), count);
    println!("{count} messages written in {:?}", started.elapsed());

    let open = || {
        let ledger = TcpLedger::open(keeper.dir(), id.clone()).unwrap();
        let journeys = ledger.journeys();
        let group = Group::over(Arc::new(ledger), Blobs::in_memory(), clock.clone());
        let started = Instant::now();
        let lead = block_on(group.bind("lead")).unwrap();
        let inbox = block_on(lead.inbox().peek()).unwrap();
        assert_eq!((inbox.unread, inbox.messages.len()), (count + 1, 20));
        println!("opened by {} journeys in {:?}", journeys(), started.elapsed());
        journeys()
    };
    let bytes = block_on(files.verify()).unwrap();
    let cccc_core::ledger::Verdict::Sound { bytes, .. } = bytes else { panic!("{bytes:?}") };
    let first = open();
    // One for each megabyte, and four to save and index each eight.
    assert!(first <= (bytes >> 20) * 3 / 2 + 20, "{first} journeys for {bytes} bytes");
    let next = open();
    assert!(next <= 10, "{next} journeys with a checkpoint");
}
