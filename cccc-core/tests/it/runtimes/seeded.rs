//! Random histories of pushes, turns, crashes and looks into the inbox: no receipt claims more than happened, and no
//! message is told twice without a word.

use std::collections::BTreeMap;
use std::task::{Context, Poll, Waker};

use cccc_core::testing::Random;
use cccc_core::testing::runtime::{AGAIN, Way};
use cccc_core::{DeliveryWord, EventId, Sent, block_on};

use super::{Stage, begin};
use cccc_core::runtime::Runtime;

#[test]
fn receipts_are_true_whatever_happens() {
    let seeds = std::env::var("CCCC_SIM_SEEDS").ok().and_then(|seeds| seeds.parse().ok()).unwrap_or(40);
    let mut reached = BTreeMap::new();
    for seed in 0..seeds {
        block_on(history(seed, &mut reached));
    }
    for word in ["queued", "handed", "answered", "held", "withdrawn", "failed", "ambiguous", "refused"] {
        assert!(reached.contains_key(word), "no receipt was ever {word}: {reached:?}");
    }
    assert!(reached["told again"] > 0);
}

async fn history(seed: u64, reached: &mut BTreeMap<&'static str, usize>) {
    let mut random = Random::new(seed);
    let mut stage = Stage::new().await;
    let mut sent: Vec<Sent> = Vec::new();
    let mut pulled: Vec<EventId> = Vec::new();
    let mut sessions = vec!["s1".to_owned()];
    for step in 0..30 {
        let name = stage.session.id().to_owned();
        match random.below(12) {
            0 | 1 => sent.push(stage.send(&format!("message {step}.")).await),
            2..=4 if !sent.is_empty() => {
                let one = &sent[random.index(sent.len())];
                drop(stage.push(one).await);
            }
            5 => {
                let ways = [Way::Queues, Way::Hands, Way::Accepts, Way::Holds, Way::Refuses, Way::Fails];
                stage.runtime.set_way(&name, random.pick(&ways));
            }
            6 | 7 => stage.runtime.take_turn(&name),
            8 => stage.runtime.clear_queue(&name),
            9 if !sent.is_empty() => {
                let one = &sent[random.index(sent.len())];
                let _ = stage.user.retry(one, "alice").await;
            }
            10 if random.chance(300_000) => {
                let inbox = stage.session.group().inbox().await.unwrap();
                pulled.extend(inbox.messages.iter().map(|message| message.event_id));
            }
            11 if random.chance(700_000) => {
                match random.chance(500_000) {
                    true => stage.end().await,
                    // Nobody hears of what was on its way.
                    false => stage.runtime.crash(&name),
                }
                let next = format!("s{}", sessions.len() + 1);
                stage.session = begin(&stage.user, &stage.runtime, &next).await;
                sessions.push(next);
            }
            _ => {}
        }
        record(&stage).await;
        check(&stage, &sent, &pulled, &sessions, reached).await;
    }
}

/// Writes down what the runtime has seen so far.
async fn record(stage: &Stage) {
    let mut evidence = stage.runtime.evidence(stage.session.id());
    let mut context = Context::from_waker(Waker::noop());
    while let Poll::Ready(Some((delivery, outcome))) = evidence.as_mut().poll_next(&mut context) {
        // What was repeated adds nothing, and what was overtaken contradicts.
        let _ = stage.host.report(delivery, outcome).await;
    }
}

async fn check(
    stage: &Stage,
    sent: &[Sent],
    pulled: &[EventId],
    sessions: &[String],
    reached: &mut BTreeMap<&'static str, usize>,
) {
    let heard: Vec<Vec<String>> = sessions.iter().map(|name| stage.runtime.heard_by(name)).collect();
    let times = |text: &str| -> Vec<usize> {
        heard.iter().map(|one| one.iter().filter(|line| *line == text).count()).collect()
    };
    for one in sent {
        let receipt = stage.receipt(one).await;
        let word = receipt.delivery.state;
        *reached.entry(word.as_str()).or_default() += 1;
        let text = stage.user.event(one.event_id).await.unwrap().message().unwrap().text.clone();
        let first: usize = times(&text).iter().sum();
        let again: usize = times(&format!("{AGAIN}{text}")).iter().sum();
        *reached.entry("told again").or_default() += again;
        let was_pulled = pulled.contains(&one.event_id);
        // Another session knows nothing of what an earlier one was told.
        let most = times(&text).into_iter().max().unwrap_or(0);
        assert!(most <= 1, "{most} copies without a word that it is sent again: {receipt}");
        if word.is_delivered() {
            assert!(first + again > 0 || was_pulled, "nobody has heard it: {receipt}");
        }
        use DeliveryWord::{Failed, Pending, Refused, Withdrawn};
        if matches!(word, Pending | Failed | Refused | Withdrawn) {
            assert_eq!(first + again, 0, "it was heard: {receipt}");
        }
    }
}
