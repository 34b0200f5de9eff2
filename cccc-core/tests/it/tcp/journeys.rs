//! What is asked of a ledger far away, in journeys there and back.

use std::sync::Arc;
use std::time::Duration;

use cccc_core::event::GroupCreate;
use cccc_core::ledger::TokioExecutor;
use cccc_core::{Blobs, Command, Group, GroupId, ManualClock};

use super::client::TcpLedger;
use super::keeper::Keeper;

/// A program of its own, as far as the ledger sees, and what counts its journeys.
fn program(keeper: &Keeper, id: &GroupId) -> (Group, impl Fn() -> u64 + use<>) {
    let ledger = TcpLedger::on(TokioExecutor::here().unwrap(), keeper.dir(), id.clone());
    let journeys = ledger.journeys();
    (Group::over(Arc::new(ledger), Blobs::in_memory(), Arc::<ManualClock>::default()), journeys)
}

/// What `work` costs.
async fn cost<T>(journeys: &impl Fn() -> u64, work: impl IntoFuture<Output = cccc_core::Result<T>>) -> u64 {
    let before = journeys();
    work.await.unwrap();
    journeys() - before
}

#[tokio::test]
async fn what_a_group_does_costs_few_journeys() {
    let keeper = Keeper::start(Duration::from_millis(5));
    let id = GroupId::new("g").unwrap();
    let ledger = TcpLedger::open(keeper.dir(), id.clone()).unwrap();
    ledger.create().await.unwrap();
    let (user, users) = program(&keeper, &id);
    user.execute(Command::CreateGroup(GroupCreate::default())).await.unwrap();
    user.add_actor("lead").await.unwrap();
    user.add_actor("peer").await.unwrap();
    assert_eq!(cost(&users, user.send("Hello").to("peer")).await, 1, "appended on what is known");
    assert_eq!(cost(&users, user.send("Hello").to("peer").client_id("k")).await, 1);
    assert_eq!(cost(&users, user.send("Hello").to("peer").client_id("k")).await, 2, "and the event is read");

    let (group, leads) = program(&keeper, &id);
    assert_eq!(cost(&leads, group.summary()).await, 2, "no checkpoint, and all there is");
    assert_eq!(cost(&leads, group.summary()).await, 1);
    let lead = group.bind("lead").await.unwrap();
    let mut last = None;
    for round in 0..3 {
        for n in 0..20 {
            last = Some(user.send(format!("{round}.{n}")).to("lead").await.unwrap());
        }
        let before = leads();
        let inbox = lead.inbox().mark_read().await.unwrap();
        assert_eq!(inbox.messages.len(), 20);
        assert_eq!(leads() - before, 3, "what is new, the messages, and that they were handed over");
    }
    assert_eq!(cost(&leads, lead.inbox()).await, 1, "there is nothing");
    let last = last.unwrap();
    assert_eq!(cost(&users, user.receipts(&last)).await, 3, "the message, what is new, what is said of it");
    // The lead has written meanwhile: that is found out, a turn is taken, and what was missed is read.
    user.summary().await.unwrap();
    lead.send("Done").to("user").await.unwrap();
    assert_eq!(cost(&users, user.send("Thanks").to("lead")).await, 4);
    assert_eq!(cost(&users, user.send("Bye").to("lead")).await, 2, "somebody else is at it: a turn first");
    assert_eq!(cost(&users, user.send("Bye").to("lead")).await, 1);
}

/// Commands that come while one is on its way share the next.
#[tokio::test]
async fn commands_share_journeys() {
    let keeper = Keeper::start(Duration::from_millis(5));
    let id = GroupId::new("g").unwrap();
    let (user, journeys) = program(&keeper, &id);
    TcpLedger::open(keeper.dir(), id.clone()).unwrap().create().await.unwrap();
    user.execute(Command::CreateGroup(GroupCreate::default())).await.unwrap();
    user.add_actor("lead").await.unwrap();
    let before = journeys();
    let sending: Vec<_> = (0..200)
        .map(|n| {
            let user = user.clone();
            tokio::spawn(async move { user.send(format!("{n}")).to("lead").await.unwrap() })
        })
        .collect();
    for one in sending {
        one.await.unwrap();
    }
    assert!(journeys() - before <= 10, "{} journeys for 200 commands", journeys() - before);
    let before = journeys();
    let looking: Vec<_> = (0..200)
        .map(|_| {
            let user = user.clone();
            tokio::spawn(async move { user.summary().await.unwrap() })
        })
        .collect();
    for one in looking {
        one.await.unwrap();
    }
    assert!(journeys() - before <= 10, "{} journeys for 200 looks", journeys() - before);
}
