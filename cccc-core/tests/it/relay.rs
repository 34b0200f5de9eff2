//! Messages between groups of one home: there and back, what is refused, and what fails in between.

use std::sync::Arc;
use std::time::Duration;

use cccc_core::command::{RemoteAudience, SendMessage};
use cccc_core::event::GroupMode;
use cccc_core::{
    Command, DeliveryWord, Effect, ErrorKind, EventId, Group, Home, HomeOptions, ManualClock, ObligationWord,
    Principal, Receipt, Timestamp, block_on,
};

/// Two groups of one home, each with a lead; alice and carol are in the second.
struct Town {
    dir: tempfile::TempDir,
    clock: Arc<ManualClock>,
    home: Home,
    here: Group,
    there: Group,
}

impl Town {
    async fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let clock = Arc::new(ManualClock::at(Timestamp::from_millis(1_800_000_000_000)));
        let home = open(&dir, &clock).await;
        let (here, there) =
            (home.create_group("app").await.unwrap(), home.create_group("infra").await.unwrap());
        here.add_actor("lead").await.unwrap();
        here.add_actor("bob").await.unwrap();
        there.add_actor("chief").await.unwrap();
        there.add_actor("alice").label("reviewer").await.unwrap();
        there.add_actor("carol").label("reviewer").await.unwrap();
        Self { dir, clock, home, here, there }
    }

    /// The same home as another process sees it.
    async fn again(&self) -> (Home, Group, Group) {
        let home = open(&self.dir, &self.clock).await;
        let here = home.group(self.here.id()).await.unwrap();
        let there = home.group(self.there.id()).await.unwrap();
        (home, here, there)
    }

    /// A name in the other group.
    fn at(&self, who: &str) -> String {
        format!("{who}@{}", self.there.id())
    }

    /// A message that stands here, and whose sender died before it was copied.
    async fn stranded(&self, by: &Group, to: &str) -> EventId {
        let found = vec![self.at(to).parse().unwrap()];
        let seq = self.there.position().await.unwrap().seq;
        let remote =
            RemoteAudience { address: self.at(to), group_id: self.there.id().clone(), seq, found: Ok(found) };
        let message = SendMessage {
            text: "please".into(),
            to: vec![self.at(to)],
            reply_required: true,
            remote: vec![remote],
            ..SendMessage::default()
        };
        by.execute(Command::Send(message)).await.unwrap().events[0].id
    }

    async fn inbox_there(&self, who: &str) -> Vec<cccc_core::Message> {
        self.there.bind(who).await.unwrap().inbox().peek().await.unwrap().messages
    }
}

async fn open(dir: &tempfile::TempDir, clock: &Arc<ManualClock>) -> Home {
    let mut options = HomeOptions::default();
    options.clock = clock.clone();
    Home::open_with(dir.path().join("home"), options).await.unwrap()
}

fn copy_directory(from: &std::path::Path, to: &std::path::Path) {
    std::fs::create_dir_all(to).unwrap();
    for entry in std::fs::read_dir(from).unwrap().map(Result::unwrap) {
        let to = to.join(entry.file_name());
        if entry.path().is_dir() {
            copy_directory(&entry.path(), &to);
        } else {
            std::fs::copy(entry.path(), &to).unwrap();
        }
    }
}

async fn receipt(group: &Group, message: EventId) -> Receipt {
    group.receipts(message).await.unwrap().remove(0)
}

#[test]
fn a_question_goes_there_and_the_answer_comes_back() {
    block_on(async {
        let town = Town::new().await;
        let lead = town.here.bind("lead").await.unwrap();
        let asked = lead
            .send("Is the cluster up?")
            .to("alice@infra")
            .to("bob")
            .reply_within(Duration::from_secs(900))
            .await
            .unwrap();
        assert_eq!(asked.relays, []);
        let names: Vec<String> = asked.recipients.iter().map(ToString::to_string).collect();
        assert_eq!(names, ["bob".to_owned(), town.at("alice")]);

        // There it is unread and owed, and says who asks.
        let alice = town.there.bind("alice").await.unwrap();
        let inbox = alice.inbox().await.unwrap();
        let copy = &inbox.messages[0];
        assert_eq!(copy.by.to_string(), format!("lead@{}", town.here.id()));
        assert_eq!(copy.content.src_group_id.as_deref(), Some(town.here.id().as_str()));
        assert_eq!(copy.content.src_event_id, Some(asked.event_id.to_string()));
        assert_eq!(copy.content.src_group_title.as_deref(), Some("app"));
        assert_eq!(copy.content.to, ["alice"]);
        assert_eq!(copy.content.due_at, lead.event(&asked).await.unwrap().message().unwrap().due_at);
        assert_eq!(alice.obligations().mine().await.unwrap().len(), 1);
        assert_eq!(lead.obligations().await.unwrap().len(), 1, "here only bob owes");

        // Here it has arrived, and what becomes of it there is seen.
        let seen = lead.receipts(&asked).await.unwrap();
        let of_alice = seen.iter().find(|receipt| receipt.recipient.to_string() == town.at("alice")).unwrap();
        assert_eq!(of_alice.delivery.state, DeliveryWord::Accepted);
        let evidence = of_alice.delivery.evidence.as_ref().unwrap();
        assert_eq!(evidence["event_id"], copy.event_id.to_string());
        assert_eq!(evidence["group_id"], town.there.id().as_str());
        assert!(!of_alice.read && of_alice.reply == ObligationWord::Open && !of_alice.overdue);
        town.clock.set(town.clock_now().after(Duration::from_secs(1000)));
        let late = lead.receipts(&asked).await.unwrap();
        assert!(late.iter().all(|receipt| receipt.overdue));
        alice.read(copy.event_id).await.unwrap();
        assert!(lead.receipts(&asked).await.unwrap()[1].read);

        // The answer comes back as an answer to the question.
        let answer = alice.reply(copy, "It is").await.unwrap();
        assert_eq!(answer.recipients[0].to_string(), format!("lead@{}", town.here.id()));
        assert!(alice.obligations().mine().await.unwrap().is_empty());
        let came = lead.inbox().await.unwrap().messages.remove(0);
        assert_eq!((came.by.to_string(), came.content.reply_to), (town.at("alice"), Some(asked.event_id)));
        assert_eq!((came.content.root, came.content.depth), (asked.seq, 1));
        assert_eq!(lead.receipts(&asked).await.unwrap()[1].reply, ObligationWord::Met);
        assert_eq!(receipt(&alice, answer.event_id).await.delivery.state, DeliveryWord::Accepted);

        // And so on: the thread is one in both groups.
        let thanks = lead.reply(&came, "Thanks").await.unwrap();
        assert_eq!(receipt(&lead, thanks.event_id).await.delivery.state, DeliveryWord::Accepted);
        let last = alice.inbox().await.unwrap().messages.remove(0);
        assert_eq!((last.content.reply_to, last.content.depth), (Some(answer.event_id), 2));
        // A word after one's own question follows it there.
        lead.reply(&asked, "And the registry?").await.unwrap();
        let more = alice.inbox().await.unwrap().messages.pop().unwrap();
        assert_eq!(more.content.reply_to, Some(copy.event_id));
        assert!(
            town.here.relays().await.unwrap().is_empty() && town.there.relays().await.unwrap().is_empty()
        );
    });
}

impl Town {
    fn clock_now(&self) -> Timestamp {
        use cccc_core::Clock;
        self.clock.now()
    }
}

#[test]
fn every_address_means_there_what_it_means_there() {
    block_on(async {
        let town = Town::new().await;
        let prefix = &town.there.id().as_str()[..9];
        for (to, recipients) in [
            ("@foreman@infra", "chief"),
            ("#reviewer@infra", "alice carol"),
            ("role:reviewer@infra", "alice carol"),
            ("@all@infra", "alice carol chief"),
            ("@peers@infra", "alice carol"),
            ("user@infra", "user"),
            (format!("alice@{prefix}").as_str(), "alice"),
            ("@alice@infra", "alice"),
        ] {
            let sent = town.here.send("x").to(to).await.unwrap();
            let expected: Vec<String> = recipients.split(' ').map(|who| town.at(who)).collect();
            let found: Vec<String> = sent.recipients.iter().map(ToString::to_string).collect();
            assert_eq!(found, expected, "{to}");
        }
        // The group itself may be named as well.
        let own = town.here.send("x").to("bob@app").await.unwrap();
        assert_eq!(own.recipients, ["bob".parse::<Principal>().unwrap()]);
        // A retry is the same message, and no second copy.
        let key = |text: &'static str| town.here.send(text).to("carol@infra").client_id("k");
        let first = key("once").await.unwrap();
        let before = town.inbox_there("carol").await.len();
        let second = key("once").await.unwrap();
        assert!(second.duplicate && second.event_id == first.event_id);
        assert_eq!(town.inbox_there("carol").await.len(), before);
        assert_eq!(key("other").await.unwrap_err().kind(), ErrorKind::Conflict);
        // Also when the other group is no longer there.
        town.there.set_state(GroupMode::Archived, "done").await.unwrap();
        town.home.delete_group(town.there.id()).await.unwrap();
        let by_id = town.here.send("once").to(town.at("carol")).client_id("k").await.unwrap();
        assert!(by_id.duplicate);
    });
}

#[test]
fn what_cannot_arrive_is_refused_before_anything_is_written() {
    block_on(async {
        let town = Town::new().await;
        let (lead, bob) = (town.here.bind("lead").await.unwrap(), town.here.bind("bob").await.unwrap());
        let head = town.here.position().await.unwrap();
        for (to, kind, word) in [
            ("alcie@infra", ErrorKind::NotFound, "did you mean alice"),
            ("#writer@infra", ErrorKind::NotFound, "label writer"),
            ("alice@nowhere", ErrorKind::NotFound, "no group nowhere"),
            ("alice@g", ErrorKind::Conflict, "several groups"),
            ("alice@infra@infra", ErrorKind::Invalid, "two groups"),
        ] {
            let error = lead.send("x").to(to).await.unwrap_err();
            assert!(error.kind() == kind && error.to_string().contains(word), "{to}: {error}");
        }
        // Whom a peer may oblige is the same wherever they are.
        let error = bob.send("x").to("#reviewer@infra").reply_required().await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Refused);
        let not_if = cccc_core::event::NotIf::Retracted { event_id: town.here.event(1).await.unwrap().id };
        let error = lead.send("x").to("alice@infra").not_if(not_if).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Invalid);
        let error = lead.tracked_send("x", "x").to("alice@infra").await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Unsupported);
        town.there.set_state(GroupMode::Archived, "done").await.unwrap();
        let error = lead.send("x").to("alice@infra").await.unwrap_err();
        assert!(error.kind() == ErrorKind::Refused && error.to_string().contains("archived"), "{error}");
        assert_eq!(town.here.position().await.unwrap(), head);

        let alone = Group::in_memory("alone").await.unwrap();
        let error = alone.send("x").to("alice@infra").await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Unsupported);
    });
}

#[test]
fn nobody_can_speak_as_somebody_of_another_group() {
    block_on(async {
        let town = Town::new().await;
        let from = format!("lead@{}", town.here.id());
        assert_eq!(town.there.bind(&from).await.unwrap_err().kind(), ErrorKind::Refused);
        let sent = town.here.send("x").to("alice@infra").await.unwrap();
        let event = town.here.event(&sent).await.unwrap();
        let copy = cccc_core::command::RelayCopy {
            src_group_id: town.here.id().clone(),
            src_group_title: String::new(),
            src_event_id: sent.event_id,
            message: event.message().unwrap().clone(),
            to: Vec::new(),
            recipients: vec!["carol".parse().unwrap()],
            seq: town.there.position().await.unwrap().seq,
            reply_to: None,
            supersedes: None,
        };
        for by in ["user", "alice", "system", "svc:x"] {
            let there = town.there.bind(by).await.unwrap();
            let error = there.execute(Command::Relay(Box::new(copy.clone()))).await.unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Refused, "{by}");
        }
        let settle = Command::SettleRelay {
            event: sent.event_id.into(),
            group: town.there.id().clone(),
            outcome: cccc_core::command::RelayOutcome::Failed("no".into()),
        };
        assert_eq!(town.here.execute(settle).await.unwrap_err().kind(), ErrorKind::Refused);
    });
}

#[test]
fn what_was_left_between_the_two_appends_is_copied_once() {
    block_on(async {
        let town = Town::new().await;
        let lead = town.here.bind("lead").await.unwrap();
        // The sender died after the first append.
        let message = town.stranded(&lead, "alice").await;
        let waiting = lead.relays().await.unwrap();
        assert_eq!((waiting[0].event_id, waiting[0].tries), (message, 0));
        assert_eq!(receipt(&lead, message).await.delivery.state, DeliveryWord::Pending);
        let due = || town.here.due();
        assert!(due().await.unwrap().is_empty(), "its sender has a moment to do it");
        town.clock.set(town.clock_now().after(Duration::from_secs(11)));
        let effects = due().await.unwrap();
        assert!(matches!(effects.as_slice(), [Effect::Relay(_)]), "{effects:?}");

        // Several processes find it at once.
        let mut homes = Vec::new();
        for _ in 0..4 {
            homes.push(town.again().await);
        }
        std::thread::scope(|threads| {
            for (_, here, _) in &homes {
                let effect = &effects[0];
                threads.spawn(move || block_on(here.carry_out(effect)).unwrap());
            }
        });
        assert_eq!(town.inbox_there("alice").await.len(), 1);
        assert!(town.here.relays().await.unwrap().is_empty() && due().await.unwrap().is_empty());
        let facts = lead.history().kind("runtime.delivery").await.unwrap();
        assert_eq!(facts.lines.len(), 1, "and it is said once");
    });
}

#[test]
fn what_died_before_it_was_said_that_it_arrived_is_not_copied_again() {
    block_on(async {
        let town = Town::new().await;
        let lead = town.here.bind("lead").await.unwrap();
        let message = town.stranded(&lead, "alice").await;
        // As the files were when the copy was durable, and what comes after it was not.
        let dir = town.home.group_path(town.here.id());
        let saved = town.dir.path().join("saved");
        copy_directory(&dir, &saved);
        lead.retry_relays(None).await.unwrap();
        assert_eq!(town.inbox_there("alice").await.len(), 1);
        std::fs::rename(&dir, town.dir.path().join("lost")).unwrap();
        std::fs::rename(&saved, &dir).unwrap();

        let (home, here, _) = town.again().await;
        assert_eq!(here.relays().await.unwrap()[0].event_id, message);
        let there = home.group(town.there.id()).await.unwrap();
        let before = there.position().await.unwrap();
        assert!(here.retry_relays(None).await.unwrap().is_empty());
        assert_eq!(there.position().await.unwrap(), before, "the other group knew it");
        assert_eq!(receipt(&here, message).await.delivery.state, DeliveryWord::Accepted);
    });
}

#[test]
fn what_failed_is_shown_and_tried_again_ever_more_rarely() {
    block_on(async {
        let town = Town::new().await;
        let lead = town.here.bind("lead").await.unwrap();
        let message = town.stranded(&lead, "alice").await;
        town.there.set_state(GroupMode::Archived, "over").await.unwrap();
        let mut tries = 0;
        // A month in which a host does what is due.
        for _ in 0..40 {
            let Some(at) = town.here.next_deadline().await.unwrap() else { break };
            town.clock.set(at.max(town.clock_now()));
            for effect in town.here.due().await.unwrap() {
                town.here.carry_out(&effect).await.unwrap();
                tries += 1;
            }
        }
        assert_eq!(tries, 8, "and then no more by itself");
        let seen = receipt(&lead, message).await;
        assert_eq!(seen.delivery.state, DeliveryWord::Failed);
        assert!(seen.delivery.reason.as_ref().unwrap().contains("archived"), "{seen}");
        let waiting = lead.relays().await.unwrap();
        assert_eq!((waiting[0].tries, waiting[0].next_at), (8, None));
        assert!(lead.retry_relays(Some(message)).await.unwrap()[0].reason.is_some());

        town.there.set_state(GroupMode::Active, "again").await.unwrap();
        assert!(lead.retry_relays(Some(message)).await.unwrap().is_empty());
        assert_eq!(town.inbox_there("alice").await.len(), 1);
        let seen = receipt(&lead, message).await;
        assert_eq!((seen.delivery.state, seen.delivery.reason), (DeliveryWord::Accepted, None));
    });
}

#[test]
fn who_has_left_misses_it_also_when_somebody_has_come_under_the_name() {
    block_on(async {
        let town = Town::new().await;
        let lead = town.here.bind("lead").await.unwrap();
        let gone = town.stranded(&lead, "alice").await;
        town.there.remove_actor("alice").await.unwrap();
        town.there.add_actor("alice").await.unwrap();
        assert!(lead.retry_relays(None).await.unwrap().is_empty(), "there is nothing to try again");
        let seen = receipt(&lead, gone).await;
        assert_eq!((seen.delivery.state, seen.reply), (DeliveryWord::Bounced, ObligationWord::Returned));
        assert!(town.inbox_there("alice").await.is_empty());

        // An answer to one who has left goes where answers without anybody go: to the group's own.
        let asked = lead.send("?").to("alice@infra").reply_required().await.unwrap();
        town.here.remove_actor("lead").await.unwrap();
        let alice = town.there.bind("alice").await.unwrap();
        let copy = alice.inbox().await.unwrap().messages.remove(0);
        assert_eq!(copy.content.src_event_id, Some(asked.event_id.to_string()));
        let answer = alice.reply(&copy, "here").await.unwrap();
        assert_eq!(answer.recipients, ["chief".parse::<Principal>().unwrap()]);
        assert!(alice.obligations().mine().await.unwrap().is_empty());
    });
}

#[test]
fn states_of_both_groups_are_respected() {
    block_on(async {
        let town = Town::new().await;
        let lead = town.here.bind("lead").await.unwrap();
        // Nothing leaves a paused group.
        town.here.set_state(GroupMode::Paused, "").await.unwrap();
        let sent = lead.send("x").to("alice@infra").await.unwrap();
        assert_eq!(sent.relays.len(), 1);
        assert!(town.inbox_there("alice").await.is_empty());
        assert_eq!(lead.retry_relays(None).await.unwrap_err().kind(), ErrorKind::Unavailable);
        town.clock.set(town.clock_now().after(Duration::from_secs(60)));
        assert!(town.here.due().await.unwrap().is_empty());
        town.here.set_state(GroupMode::Active, "").await.unwrap();
        assert!(!town.here.due().await.unwrap().is_empty());
        // A paused group stores what comes, and hands nothing over.
        town.there.set_state(GroupMode::Paused, "").await.unwrap();
        assert!(lead.retry_relays(None).await.unwrap().is_empty());
        assert_eq!(town.inbox_there("alice").await.len(), 1);
        let alice = town.there.bind("alice").await.unwrap();
        assert_eq!(alice.inbox().await.unwrap_err().kind(), ErrorKind::Unavailable);
    });
}

#[test]
fn what_is_withdrawn_or_expires_before_it_goes_does_not_go() {
    block_on(async {
        let town = Town::new().await;
        let lead = town.here.bind("lead").await.unwrap();
        town.here.set_state(GroupMode::Paused, "").await.unwrap();
        let withdrawn = lead.send("x").to("alice@infra").reply_required().await.unwrap();
        let replaced = lead.send("x").to("alice@infra").await.unwrap();
        let late = lead.send("x").to("alice@infra").expires_in(Duration::from_secs(5)).await.unwrap();
        lead.retract(&withdrawn, "").await.unwrap();
        let newer = lead.send("y").to("alice@infra").supersedes(&replaced).await.unwrap();
        town.clock.set(town.clock_now().after(Duration::from_secs(6)));
        town.here.set_state(GroupMode::Active, "").await.unwrap();
        assert!(lead.retry_relays(None).await.unwrap().is_empty());
        let inbox = town.inbox_there("alice").await;
        assert_eq!(inbox.len(), 1);
        assert_eq!(inbox[0].content.src_event_id, Some(newer.event_id.to_string()));
        for (message, word) in [(withdrawn, "retracted"), (replaced, "superseded"), (late, "expired")] {
            let seen = receipt(&lead, message.event_id).await;
            assert_eq!(seen.delivery.state, DeliveryWord::Withheld, "{word}");
            assert_eq!(seen.delivery.reason.as_deref(), Some(word));
        }
    });
}

#[test]
fn taking_back_follows_the_copies() {
    block_on(async {
        let town = Town::new().await;
        let (lead, bob) = (town.here.bind("lead").await.unwrap(), town.here.bind("bob").await.unwrap());
        let alice = town.there.bind("alice").await.unwrap();
        let ask = || lead.send("please").to("alice@infra").to("carol@infra").reply_required();
        let owed = || async { alice.obligations().all().await.unwrap().len() };

        let cancelled = ask().await.unwrap();
        assert_eq!(owed().await, 2);
        let carol: Principal = town.at("carol").parse().unwrap();
        assert_eq!(bob.cancel(&cancelled, "").await.unwrap_err().kind(), ErrorKind::Refused);
        lead.cancel_of(&cancelled, vec![carol], "alice is enough").await.unwrap();
        assert_eq!(owed().await, 1);
        let done = town.here.cancel(&cancelled, "solved").await.unwrap();
        assert_eq!((done.events.len(), owed().await), (1, 0));
        assert!(lead.cancel(&cancelled, "again").await.unwrap().events.is_empty());
        for receipt in lead.receipts(&cancelled).await.unwrap() {
            assert_eq!(receipt.reply, ObligationWord::Cancelled);
        }
        assert_eq!(alice.inbox().mark_read().await.unwrap().messages.len(), 1, "it stays readable");

        let retracted = ask().await.unwrap();
        lead.retract(&retracted, "wrong").await.unwrap();
        assert_eq!((owed().await, alice.inbox().await.unwrap().messages.len()), (0, 0));

        // A copy replaces a copy; where the new one does not go, the old one is withdrawn.
        let first = ask().await.unwrap();
        let second = lead.send("better").to("alice@infra").supersedes(&first).await.unwrap();
        let inbox = alice.inbox().mark_read().await.unwrap().messages;
        assert_eq!((inbox.len(), inbox[0].content.text.as_str(), owed().await), (1, "better", 0));
        assert!(inbox[0].content.supersedes.is_some());
        let third = ask().await.unwrap();
        lead.send("for bob").to("bob").supersedes(&third).await.unwrap();
        assert_eq!((owed().await, alice.inbox().await.unwrap().messages.len()), (0, 0));

        // What was redacted is gone in both.
        town.here.redact(&second, "secret").await.unwrap();
        let copies = town.there.history().kind("chat.message").limit(100).await.unwrap().lines;
        assert!(copies.iter().all(|line| !line.contains("better")));

        // A copy that cannot be reached is an error, and it can be done again.
        let asked = ask().await.unwrap();
        town.there.set_state(GroupMode::Archived, "").await.unwrap();
        let error = lead.cancel(&asked, "").await.unwrap_err();
        assert!(error.to_string().contains("not with the copy in group"), "{error}");
        town.there.set_state(GroupMode::Active, "").await.unwrap();
        lead.cancel(&asked, "").await.unwrap();
        assert_eq!(owed().await, 0);
    });
}

#[test]
fn files_go_along() {
    block_on(async {
        let town = Town::new().await;
        let lead = town.here.bind("lead").await.unwrap();
        let file = town.dir.path().join("plan.md");
        std::fs::write(&file, "# The plan\n").unwrap();
        lead.send("see").to("alice@infra").attach(&file).await.unwrap();
        let copy = town.inbox_there("alice").await.remove(0);
        let attachment = &copy.content.attachments[0];
        let mut text = String::new();
        use std::io::Read;
        town.there.blobs().open(&attachment.sha256).unwrap().read_to_string(&mut text).unwrap();
        assert_eq!((text.as_str(), attachment.name.as_str()), ("# The plan\n", "plan.md"));
    });
}

#[test]
fn two_groups_that_answer_each_other_run_into_the_limits() {
    block_on(async {
        let town = Town::new().await;
        let lead = town.here.bind("lead").await.unwrap();
        let alice = town.there.bind("alice").await.unwrap();
        lead.send("ping").to("alice@infra").await.unwrap();
        let mut quiet = None;
        for round in 0..60 {
            let (me, depth) = if round % 2 == 0 { (&alice, round) } else { (&lead, round) };
            let mail = me.inbox().mark_read().await.unwrap().messages.remove(0);
            assert_eq!(mail.content.depth, depth, "the depth goes along");
            if !mail.content.quiet.is_empty() {
                quiet = Some(round);
                break;
            }
            me.reply(&mail, "pong").await.unwrap();
            // Slowly enough for the rate, so that only the depth counts.
            town.clock.set(town.clock_now().after(Duration::from_secs(60)));
        }
        assert_eq!(quiet, Some(41));
        // Without answering, the rate counts: of one sender in one group to one recipient in the other.
        for _ in 0..31 {
            lead.send("x").to("carol@infra").await.unwrap();
        }
        let carol = town.there.bind("carol").await.unwrap();
        let quiet = carol.inbox().limit(100).peek().await.unwrap().messages;
        assert_eq!(quiet.iter().filter(|message| !message.content.quiet.is_empty()).count(), 1);
    });
}

/// `<home> <here> <there>`
const SENDER: &str = "CCCC_TEST_RELAY";

/// Sends from one group to the other until it is killed, if this process was started for that.
#[test]
#[ignore = "it is started by the other tests"]
fn sender() {
    let Ok(order) = std::env::var(SENDER) else { return };
    let words: Vec<&str> = order.split(' ').collect();
    block_on(async {
        let home = Home::open(words[0]).await.unwrap();
        let here = home.group_named(words[1]).await.unwrap();
        let to = format!("alice@{}", words[2]);
        loop {
            here.send("x").to(&to).await.unwrap();
        }
    });
}

#[test]
fn senders_that_are_killed_leave_nothing_lost_and_nothing_doubled() {
    use std::collections::BTreeSet;
    use std::process::{Command, Stdio};

    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("home");
    block_on(async {
        let home = Home::open(&path).await.unwrap();
        let (here, there) = (home.create_group("a").await.unwrap(), home.create_group("b").await.unwrap());
        there.add_actor("alice").await.unwrap();
        for round in 0..12 {
            let mut news = here.watch(here.position().await.unwrap());
            let mut child = Command::new(std::env::current_exe().unwrap())
                .args(["--exact", "relay::sender", "--ignored", "--nocapture", "--test-threads=1"])
                .env(SENDER, format!("{} {} {}", path.display(), here.id(), there.id()))
                .stdout(Stdio::null())
                .spawn()
                .unwrap();
            // As soon as a message stands here, at an ever other point of what follows.
            let mut messages = 0;
            while messages <= round % 4 {
                messages += usize::from(news.next().await.unwrap().message().is_some());
            }
            child.kill().unwrap();
            child.wait().unwrap();
            // Where the kill has hit is a matter of chance. So as not to depend on it, this is what a sender
            // leaves that dies between the two appends.
            let address = format!("alice@{}", there.id());
            let remote = RemoteAudience {
                found: Ok(vec![address.parse().unwrap()]),
                address: address.clone(),
                group_id: there.id().clone(),
                seq: there.position().await.unwrap().seq,
            };
            let send = SendMessage {
                text: "x".into(),
                to: vec![address],
                remote: vec![remote],
                ..SendMessage::default()
            };
            here.execute(cccc_core::Command::Send(send)).await.unwrap();
            assert!(!here.relays().await.unwrap().is_empty());
            // Two that tidy up at once.
            let other = crate::home::open_apart(&path).await.unwrap().group(here.id()).await.unwrap();
            std::thread::scope(|threads| {
                for group in [&here, &other] {
                    threads.spawn(|| block_on(group.retry_relays(None)).unwrap());
                }
            });
            assert!(here.relays().await.unwrap().is_empty());
        }
        let ids = |lines: Vec<String>| {
            lines.into_iter().map(|line| serde_json::from_str::<serde_json::Value>(&line).unwrap())
        };
        let sent = here.history().kind("chat.message").limit(1000).await.unwrap().lines;
        let sent: Vec<String> = ids(sent).map(|line| line["id"].as_str().unwrap().to_owned()).collect();
        let came = there.history().kind("chat.message").limit(1000).await.unwrap().lines;
        let came: Vec<String> =
            ids(came).map(|line| line["data"]["src_event_id"].as_str().unwrap().to_owned()).collect();
        assert!(sent.len() >= 12 && sent.len() < 1000, "{}", sent.len());
        assert_eq!(came.len(), sent.len());
        assert_eq!(came.iter().collect::<BTreeSet<_>>(), sent.iter().collect::<BTreeSet<_>>());
    });
}
