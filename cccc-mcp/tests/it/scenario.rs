//! All scenarios of `cccc-core/tests/scenarios` through the real server: every actor has a server of its own, and
//! whatever it does goes through a tool. What is the person's or a host's goes through the library, with the door
//! that core's own tests use.

#[path = "../../../cccc-core/tests/it/scenario/arguments.rs"]
mod arguments;
#[path = "../../../cccc-core/tests/it/scenario/door.rs"]
mod door;
#[path = "../../../cccc-core/tests/it/scenario/message.rs"]
mod message;
#[path = "../../../cccc-core/tests/it/scenario/together.rs"]
mod together;

mod elsewhere;
mod render;
mod said;
mod server_door;

use std::collections::BTreeSet;
use std::path::Path;
use std::sync::Mutex;

use cccc_core::testing::scenario::Scenario;

use elsewhere::EXCEPTIONS;
use server_door::ServerDoor;

#[test]
fn every_scenario_holds_through_the_server() {
    let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("../cccc-core/tests/scenarios");
    let scenarios = Scenario::all(&directory).unwrap_or_else(|error| panic!("{error}"));
    let wanted = std::env::var("CCCC_SCENARIO").unwrap_or_default();
    let through: Vec<&Scenario> = scenarios
        .iter()
        .filter(|one| !one.not_through.contains_key("mcp") && one.name.contains(&wanted))
        .collect();
    let (next, wrong) = (Mutex::new(through.iter()), Mutex::new(Vec::new()));
    let used: Mutex<BTreeSet<&str>> = Mutex::default();
    std::thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                loop {
                    let Some(scenario) = next.lock().unwrap().next() else { break };
                    let mut door = ServerDoor::new(scenario);
                    let run = std::panic::AssertUnwindSafe(|| scenario.run(&mut door));
                    match std::panic::catch_unwind(run) {
                        Ok(Ok(_)) => {}
                        Ok(Err(error)) => wrong.lock().unwrap().push(error),
                        Err(_) => wrong.lock().unwrap().push(format!("{}.json: it panics", scenario.name)),
                    }
                    used.lock().unwrap().extend(door.end());
                }
            });
        }
    });
    let mut wrong = wrong.into_inner().unwrap();
    wrong.sort();
    assert!(
        wrong.is_empty(),
        "{} of {} scenarios fail:\n\n{}",
        wrong.len(),
        through.len(),
        wrong.join("\n\n")
    );
    if wanted.is_empty() {
        let used = used.into_inner().unwrap();
        let unused: Vec<&str> =
            EXCEPTIONS.iter().map(|one| one.reason).filter(|reason| !used.contains(reason)).collect();
        assert!(unused.is_empty(), "no scenario needs these exceptions:\n{}", unused.join("\n"));
    }
}
