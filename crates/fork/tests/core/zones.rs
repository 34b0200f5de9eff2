//! A fork while other threads look up time zones.

use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

use cccc_core::Timestamp;
use cccc_core::state::Schedule;
use serde_json::json;

use crate::child::in_child;

/// So many children, each of which would hang that is forked at the wrong moment: with a cache that a child inherits,
/// one in ten or twenty.
const CHILDREN: usize = 300;

#[test]
fn a_child_knows_a_time_zone_while_its_parent_looks_up_others() {
    let at = |tz: &str| -> Schedule {
        let trigger = json!({"cron": {"expr": "* * * * *", "tz": tz}});
        let action = json!({"set_state": {"state": "active"}});
        serde_json::from_value(json!({
            "author": "user", "trigger": trigger, "action": action, "enabled": true, "since": Timestamp::default(),
            "fired_at": null, "result": null, "completed": false,
        }))
        .unwrap()
    };
    let comes = |schedule: &Schedule| schedule.next_after(Timestamp::default()).is_some();
    assert!(comes(&at("Europe/Paris")));
    let (nowhere, remote) = (at("No/Where"), at("Antarctica/Troll"));
    let done = AtomicBool::new(false);
    thread::scope(|scope| {
        for _ in 0..3 {
            scope.spawn(|| {
                while !done.load(Ordering::Relaxed) {
                    assert!(!comes(&nowhere));
                }
            });
        }
        // One that the parent never asks for, so that each child has to remember it.
        let hung = (0..CHILDREN).find(|_| !in_child(|| comes(&remote)));
        done.store(true, Ordering::Relaxed);
        assert_eq!(hung, None);
    });
}
