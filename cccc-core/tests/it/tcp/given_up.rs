//! What is given up while it is on its way to a server.

use std::future::poll_fn;
use std::pin::pin;
use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;

use cccc_core::event::GroupCreate;
use cccc_core::ledger::TokioExecutor;
use cccc_core::{Blobs, Command, ErrorKind, Group, GroupId, Seq, SystemClock, block_on};

use super::client::TcpLedger;
use super::keeper::Keeper;

fn runtime() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap()
}

/// A group with one actor.
async fn founded(keeper: &Keeper, executor: TokioExecutor) -> Group {
    let ledger = TcpLedger::on(executor, keeper.dir(), GroupId::new("g").unwrap());
    ledger.create().await.unwrap();
    let user = Group::over(Arc::new(ledger), Blobs::in_memory(), Arc::new(SystemClock));
    user.execute(Command::CreateGroup(GroupCreate::default())).await.unwrap();
    user.add_actor("lead").await.unwrap();
    user
}

#[test]
fn a_command_whose_caller_gives_up_is_carried_out() {
    let keeper = Keeper::start(Duration::from_millis(20));
    let both = async {
        let user = founded(&keeper, TokioExecutor::here().unwrap()).await;
        for n in 0..3 {
            let mut send = Box::pin(user.send(format!("{n}")).to("lead").into_future());
            let begun = poll_fn(|context| Poll::Ready(send.as_mut().poll(context))).await;
            assert!(begun.is_pending());
            drop(send);
            // Two events made the group.
            assert_eq!(user.ledger().wait(Seq(n + 2)).await.unwrap().seq, Seq(n + 3));
        }
    };
    runtime().block_on(async { tokio::time::timeout(Duration::from_secs(60), both).await.unwrap() });
}

#[test]
fn a_look_whose_caller_gives_up_harms_nobody() {
    let keeper = Keeper::start(Duration::from_millis(20));
    runtime().block_on(async {
        let user = founded(&keeper, TokioExecutor::here().unwrap()).await;
        {
            let mut look = pin!(user.summary());
            let begun = poll_fn(|context| Poll::Ready(look.as_mut().poll(context))).await;
            assert!(begun.is_pending());
        }
        assert_eq!(user.summary().await.unwrap().actors.len(), 1);
        user.send("Hello").to("lead").await.unwrap();
    });
}

#[test]
fn a_store_whose_runtime_has_ended_says_so() {
    let keeper = Keeper::start(Duration::ZERO);
    let runtime = runtime();
    let user = block_on(founded(&keeper, runtime.handle().clone().into()));
    runtime.shutdown_background();
    assert_eq!(block_on(user.summary()).unwrap_err().kind(), ErrorKind::Unavailable);
    assert_eq!(block_on(user.send("Hello").to("lead")).unwrap_err().kind(), ErrorKind::Unknown);
}
