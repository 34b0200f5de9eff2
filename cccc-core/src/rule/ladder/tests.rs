use super::*;
use std::collections::BTreeMap;

use crate::event::{LaterState, Transport, WithholdReason};
use crate::rule::desk::who;

/// A step, by a word; `told` and `seen` are the two ways of being accepted.
fn step(word: &str) -> RuntimeDelivery {
    let (evidence, reason) = (serde_json::Value::from(word), word.to_owned());
    let state = match word {
        "claimed" => DeliveryState::Claimed,
        "handed" => DeliveryState::Handed { evidence },
        "queued" => DeliveryState::Queued { evidence },
        "told" => DeliveryState::Accepted { by: None, evidence },
        "seen" => DeliveryState::Accepted { by: Some(Witness::Transcript), evidence },
        "answered" => DeliveryState::Answered { by: None, evidence },
        "held" => DeliveryState::Held { reason },
        "refused" => DeliveryState::Refused { reason },
        "withdrawn" => DeliveryState::Withdrawn { reason },
        "failed" => DeliveryState::Failed { reason },
        "ambiguous" => DeliveryState::Ambiguous { reason },
        "bounced" => DeliveryState::Bounced { reason },
        "later" => DeliveryState::Unknown(LaterState { state: "later".into(), rest: BTreeMap::new() }),
        other => panic!("{other}"),
    };
    RuntimeDelivery {
        delivery_id: None,
        actor_id: who("alice"),
        generation: 0,
        event_ids: Vec::new(),
        again: Vec::new(),
        state,
        transport: Transport::Push,
    }
}

#[test]
fn what_each_step_adds_to_each() {
    // News (N), nothing (-), or a contradiction (!); after the word at the left comes the one above.
    let table = "
                handed queued told seen answered held refused withdrawn failed ambiguous bounced
        claimed    N      N     N    N     N      N      N        N        N       N        N
        handed     -      N     N    N     N      N      N        N        N       N        N
        queued     -      -     N    N     N      N      N        N        N       N        N
        told       -      -     -    N     N      !      !        N        !       !        !
        seen       -      -     -    -     N      !      !        N        !       !        !
        answered   -      -     -    -     -      !      !        !        !       !        !
        held       N      N     N    N     N      -      N        N        N       N        N
        refused    !      !     !    !     !      !      -        !        !       !        !
        withdrawn  N      N     N    N     N      !      !        -        !       !        !
        failed     !      !     !    !     !      !      !        !        -       !        !
        ambiguous  N      N     N    N     N      N      N        N        N       -        N
        bounced    !      !     !    !     !      !      !        !        !       !        -
        later      N      N     N    N     N      N      N        N        N       N        N";
    let mut lines = table.trim().lines().map(|line| line.split_whitespace().collect::<Vec<_>>());
    let above = lines.next().unwrap();
    let mut checked = 0;
    for line in lines {
        for (next, expected) in above.iter().zip(&line[1..]) {
            let found = match adds(&step(line[0]), &step(next)) {
                Adds::News => "N",
                Adds::Nothing => "-",
                Adds::Contradiction => "!",
            };
            assert_eq!(found, *expected, "{next} after {}", line[0]);
            checked += 1;
        }
    }
    assert_eq!(checked, 13 * 11);
}

#[test]
fn the_state_of_a_later_version_is_kept_as_it_was_written() {
    let known = serde_json::json!({
        "actor_id": "alice", "generation": 3, "event_ids": ["5-bcdfghjk"], "transport": "push",
        "state": "dreamt", "evidence": {"turn": 7}, "more": [1],
    });
    let delivery: RuntimeDelivery = serde_json::from_value(known.clone()).unwrap();
    let DeliveryState::Unknown(words) = &delivery.state else { panic!("{delivery:?}") };
    assert_eq!((words.state.as_str(), words.rest.len()), ("dreamt", 2));
    assert_eq!(serde_json::to_value(&delivery).unwrap(), known);
}

#[test]
fn a_known_state_that_lacks_a_member_is_none_of_a_later_version() {
    for word in [
        "claimed",
        "handed",
        "queued",
        "answered",
        "held",
        "refused",
        "withdrawn",
        "failed",
        "ambiguous",
        "bounced",
    ] {
        let event = |mut data: serde_json::Value| {
            data["actor_id"] = "alice".into();
            data["event_ids"] = serde_json::json!(["5-bcdfghjk"]);
            data["transport"] = "push".into();
            serde_json::from_value::<RuntimeDelivery>(data).map(|delivery| delivery.state)
        };
        let whole = event(serde_json::json!({ "state": word, "reason": "x", "evidence": "x" })).unwrap();
        assert!(!matches!(whole, DeliveryState::Unknown(_)), "{word}");
        let bare = event(serde_json::json!({ "state": word }));
        assert_eq!(bare.is_ok(), word == "claimed", "{word}: {bare:?}");
    }
}

#[test]
fn old_events_keep_their_meaning() {
    for (transport, by, is_proof) in [
        ("pull", "pull", true),
        ("hook", "hook", false),
        ("push", "runtime", false),
        ("channel", "runtime", false),
        ("relay", "ledger", false),
    ] {
        let delivery: RuntimeDelivery = serde_json::from_value(serde_json::json!({
            "actor_id": "alice", "event_ids": ["5-bcdfghjk"], "transport": transport,
            "state": "accepted", "evidence": "x",
        }))
        .unwrap();
        let witness = delivery.witness().unwrap();
        assert_eq!((witness.as_str(), witness.is_proof()), (by, is_proof), "{transport}");
    }
    let withheld = RuntimeDelivery {
        state: DeliveryState::Withheld { reason: WithholdReason::Expired },
        ..step("claimed")
    };
    assert_eq!(withheld.witness(), None);
}
