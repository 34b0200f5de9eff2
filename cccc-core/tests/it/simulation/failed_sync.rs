//! The case that is easiest to get wrong, written out: a sync fails while three processes are at work.

use std::sync::Arc;

use cccc_core::event::Body;
use cccc_core::id::Nonce;
use cccc_core::ledger::file::Options;
use cccc_core::ledger::{
    Appended, Draft, Durability, Encoder, FileLedger, Ledger, Position, ReadLimit, Stamp, Verdict,
};
use cccc_core::testing::sim::{SimDisk, World};
use cccc_core::{GroupId, Principal, Result, Seq, Timestamp, block_on};
use serde_json::value::RawValue;

const DIR: &str = "/g";

fn group_id() -> GroupId {
    GroupId::new("g").unwrap()
}

fn open(disk: &SimDisk) -> FileLedger {
    FileLedger::open(Arc::new(disk.clone()), DIR, group_id(), Options::default()).unwrap()
}

/// Appends one event; where it stands, if that was acknowledged.
fn append(ledger: &FileLedger, durability: Durability) -> Result<Option<Position>> {
    let turn = block_on(ledger.turn())?;
    let mut encoder = Encoder::new(group_id(), turn.tip(), turn.durable().seq);
    let data = RawValue::from_string("{}".into()).unwrap();
    let draft = Draft::from(Body::Unknown { kind: "x.event".into(), data });
    let stamp = Stamp { ts: Timestamp::default(), by: Principal::System, via: None, scope_key: "".into() };
    encoder.push(vec![draft], &stamp, || Nonce::from_bits(1))?;
    let batch = encoder.finish();
    let end = batch.end;
    let appended = block_on(turn.append(&batch, durability))?;
    Ok((appended == Appended::New).then_some(end))
}

#[test]
fn three_processes_survive_a_failed_sync_and_then_a_power_cut() {
    for seed in 0..200 {
        let world = World::new(seed);
        let disks = [world.process(), world.process(), world.process()];
        drop(FileLedger::create(Arc::new(disks[0].clone()), DIR, group_id(), Options::default()).unwrap());
        let [a, b, c] = disks.each_ref().map(open);
        let mut acked = vec![append(&a, Durability::Durable).unwrap().unwrap()];

        // `b` has written and not synced when the sync of `a` fails, and with it what `b` wrote may be gone.
        append(&b, Durability::Buffered).unwrap();
        world.fail_next_sync();
        acked.extend(append(&a, Durability::Durable).unwrap());
        // The kernel tells every open handle once. None of them may take its own success for the others'.
        for ledger in [&b, &c, &a] {
            acked.extend(append(ledger, Durability::Durable).unwrap());
        }
        // A process that comes later is told nothing by the kernel.
        let late = open(&world.process());
        acked.extend(append(&late, Durability::Durable).unwrap());
        assert!(acked.len() >= 4, "seed {seed}: {acked:?}");

        world.power_cut();
        let ledger = open(&world.process());
        drop(block_on(ledger.turn()).unwrap());
        for position in &acked {
            let page = block_on(ledger.read(position.seq, ReadLimit::ONE)).unwrap();
            let chain = page.lines().next().map(|line| line.chain());
            assert_eq!(chain, Some(Ok(position.chain)), "seed {seed}: {position}");
        }
        let verdict = block_on(ledger.verify()).unwrap();
        assert!(matches!(verdict, Verdict::Sound { head, .. } if head.seq >= Seq(4)), "{verdict:?}");
    }
}
