//! What happens by itself after a while, through the handle.

use std::sync::Arc;
use std::time::Duration;

use cccc_core::command::When;
use cccc_core::event::{FiredResult, GroupMode, Transport, Wish};
use cccc_core::rule::rate::RATE;
use cccc_core::{Body, Command, Effect, ErrorKind, Group, ManualClock, Timestamp, block_on};

const MINUTE: Duration = Duration::from_secs(60);

async fn team() -> (Group, Group, Group, Arc<ManualClock>) {
    let clock = Arc::new(ManualClock::at("2026-11-21T08:00:00Z".parse().unwrap()));
    let user = Group::in_memory_with_clock("team", clock.clone()).await.unwrap();
    user.add_actor("lead").await.unwrap();
    user.add_actor("alice").await.unwrap();
    let (lead, alice) = (user.bind("lead").await.unwrap(), user.bind("alice").await.unwrap());
    (user, lead, alice, clock)
}

fn at(text: &str) -> Timestamp {
    text.parse().unwrap()
}

#[test]
fn a_host_sleeps_until_the_next_deadline_and_misses_nothing() {
    block_on(async {
        let (user, lead, alice, clock) = team().await;
        let asked = lead.send("Done?").to("alice").reply_within(30 * MINUTE).await.unwrap();
        lead.schedule_notice("stand up").to("@all").every(40 * MINUTE).named("standup").await.unwrap();
        let host = user.bind("system").await.unwrap();
        let mut said = Vec::new();
        // Two hosts look, and both carry out what they saw.
        while let Some(next) =
            host.next_deadline().await.unwrap().filter(|next| *next < at("2026-11-21T09:30:00Z"))
        {
            clock.set(next);
            let due = host.due().await.unwrap();
            assert!(!due.is_empty());
            for effect in due.iter().chain(&due) {
                for event in host.carry_out(effect).await.unwrap().events {
                    if let Body::SystemNotify(notice) = event.body {
                        said.push(format!(
                            "{} {} {}",
                            &event.ts.to_string()[11..16],
                            notice.target.unwrap(),
                            notice.notice
                        ));
                    }
                }
            }
        }
        assert_eq!(
            said,
            [
                "08:15 alice unread",
                "08:30 alice reply",
                "08:40 alice schedule",
                "08:40 lead schedule",
                "08:45 lead reply",
                "09:20 alice schedule",
                "09:20 lead schedule"
            ]
        );
        alice.reply(&asked, "Yes").await.unwrap();
        assert!(host.due().await.unwrap().is_empty());
    });
}

#[test]
fn only_hosts_carry_out() {
    block_on(async {
        let (user, lead, alice, clock) = team().await;
        lead.send("Look").to("alice").await.unwrap();
        clock.set(at("2026-11-21T09:00:00Z"));
        let due = lead.due().await.unwrap();
        assert!(matches!(due.as_slice(), [Effect::Notify(reminder)] if reminder.policy == "unread"));
        for actor in [&lead, &alice] {
            assert_eq!(actor.carry_out(&due[0]).await.unwrap_err().kind(), ErrorKind::Refused);
        }
        assert_eq!(user.carry_out(&due[0]).await.unwrap().events.len(), 1);
        assert_eq!(alice.inbox().await.unwrap().messages.len(), 1, "a notice is not mail");
    });
}

#[test]
fn schedules_are_made_rest_and_go() {
    block_on(async {
        let (user, lead, alice, clock) = team().await;
        let made =
            user.schedule_notice("report").to("@peers").cron("0 9 * * 1-5", "Europe/Paris").await.unwrap();
        assert_eq!(made.next_at, Some(at("2026-11-23T08:00:00Z")), "it is a Saturday");
        let once = lead.schedule_state(GroupMode::Idle).at_time("17:00", "Europe/Paris").named("evening");
        assert_eq!(once.await.unwrap().next_at, Some(at("2026-11-21T16:00:00Z")));
        lead.schedule_control("alice", Wish::Stop).at(at("2026-11-21T16:00:00Z")).await.unwrap();
        let error = alice.schedule_notice("x").to("alice").await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Invalid, "no time: {error}");
        let error = alice.schedule_notice("x").to("alice").named("A B").every(MINUTE).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Invalid, "no name: {error}");
        let error =
            alice.schedule_control("Bad Name", Wish::Stop).when(When::Every(MINUTE)).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Invalid);
        assert_eq!(alice.disable_schedule("evening").await.unwrap_err().kind(), ErrorKind::Refused);

        clock.set(at("2026-11-21T16:00:00Z"));
        for effect in user.due().await.unwrap() {
            user.carry_out(&effect).await.unwrap();
        }
        assert_eq!(user.summary().await.unwrap().state, GroupMode::Idle);
        let history = user.history().kind("actor.stop").await.unwrap();
        assert_eq!(history.events.len(), 1);
        let all = user.schedules().await.unwrap();
        let shown: Vec<_> =
            all.iter().map(|s| (s.schedule_id.as_str(), s.completed, s.result.clone())).collect();
        let done = || Some(FiredResult::Done);
        assert_eq!(
            shown,
            [("evening", true, done()), (made.schedule_id.as_str(), false, None), (shown[2].0, true, done())]
        );
        user.clear_schedules().await.unwrap();
        user.remove_schedule(&made.schedule_id.to_string()).await.unwrap();
        assert!(user.schedules().await.unwrap().is_empty());
    });
}

#[test]
fn thanks_for_ever_are_kept_and_not_pushed() {
    block_on(async {
        let (user, _, alice, _) = team().await;
        let (mut pushed, mut last) = (0, None);
        for _ in 0..RATE * 3 {
            let thanks = alice.send("Thank you!").to("lead");
            let sent = match &last {
                Some(last) => thanks.reply_to(last),
                None => thanks,
            };
            let sent = sent.await.unwrap();
            let claim = Command::Claim {
                recipient: "lead".parse().unwrap(),
                events: vec![sent.event_id.into()],
                transport: Transport::Hook,
            };
            pushed += usize::from(user.bind("system").await.unwrap().execute(claim).await.is_ok());
            last = Some(sent);
        }
        assert_eq!(pushed, RATE);
        let notices = user.history().kind("system.notify").await.unwrap().events;
        assert_eq!(notices.len(), 1);
        let inbox = user.bind("lead").await.unwrap().inbox().limit(1000).await.unwrap();
        assert_eq!(inbox.unread, u64::try_from(RATE * 3).unwrap());
    });
}

#[test]
fn waits_are_drawn() {
    block_on(async {
        let (user, lead, alice, _) = team().await;
        let first = lead.send("Which branch?").to("alice").reply_required().await.unwrap();
        alice.send("Which release?").to("lead").reply_required().await.unwrap();
        let graph = user.waits().await.unwrap();
        assert_eq!(graph.cycles.len(), 1);
        assert!(graph.to_string().contains("alice can break it: cccc reply"), "{graph}");
        assert!(graph.to_dot().contains("color=red"), "{}", graph.to_dot());
        alice.reply(&first, "main").await.unwrap();
        assert!(user.waits().await.unwrap().cycles.is_empty());
    });
}
