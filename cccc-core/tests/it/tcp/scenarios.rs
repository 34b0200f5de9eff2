//! The scenarios, over a server.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use cccc_core::event::GroupCreate;
use cccc_core::presence::Presence;
use cccc_core::testing::scenario::{MAIN, Scenario};
use cccc_core::{Blobs, Command, Group, GroupId, block_on};

use super::client::TcpLedger;
use super::keeper::Keeper;
use crate::scenario::{LibraryDoor, directory, run_all};

/// Those of one group: several need a home, which relays between its groups, and so does a group that is imported.
fn is_of_one_group(scenario: &Scenario) -> bool {
    scenario.groups.keys().all(|name| name == MAIN)
        && scenario.steps.iter().all(|step| step.verb.name != "group import")
}

#[test]
fn a_group_far_away_answers_like_one_in_a_home() {
    let scenarios = Scenario::all(&directory()).unwrap_or_else(|error| panic!("{error}"));
    let all = scenarios.len();
    let through: Vec<Scenario> = scenarios
        .into_iter()
        .filter(|one| !one.not_through.contains_key("library") && is_of_one_group(one))
        .collect();
    assert!(through.len() * 10 >= all * 9, "{} of {all}", through.len());
    let keeper = Keeper::start(Duration::from_micros(100));
    let number = AtomicU64::new(0);
    let door = || {
        let id = format!("s{}", number.fetch_add(1, Ordering::Relaxed));
        let server = keeper.dir().to_owned();
        LibraryDoor::new(Some(Box::new(move |title, clock, dir| {
            let ledger = TcpLedger::open(&server, GroupId::new(&id)?)?;
            block_on(ledger.create())?;
            let (blobs, presence) = (dir.join("blobs"), dir.join("presence"));
            let (blobs, presence) = (Blobs::in_directory(blobs), Presence::in_directory(presence));
            let group = Group::over_with(Arc::new(ledger), blobs, clock, presence);
            let create = GroupCreate { title: title.into(), ..GroupCreate::default() };
            block_on(group.execute(Command::CreateGroup(create)))?;
            Ok(group)
        })))
    };
    run_all(&through, door);
}
