//! What a child can do with what its parent opened.

use std::pin::pin;
use std::task::Poll;

use cccc_core::{Group, Home, HomeOptions, block_on};

use crate::child::{Child, Place, Signal, in_child, poll_once, says_what_to_do};

#[test]
fn handles_of_the_parent_say_what_to_do_and_opening_again_works() {
    let place = Place::new();
    let alice = place.join("alice");
    // Its notifier and its writer have threads, which a child does not have.
    let mut news = place.user.watch(block_on(place.user.position()).unwrap());
    {
        let mut next = pin!(news.next());
        while poll_once(next.as_mut()).is_ready() {}
    }
    let done = in_child(|| {
        let Place { home, user, .. } = &place;
        let refused = block_on(async {
            let refusals = [
                home.group(user.id()).await.map(drop),
                home.create_group("h").await.map(drop),
                user.send("Hello").to("lead").await.map(drop),
                alice.group().inbox().await.map(drop),
                user.who().await.map(drop),
                user.join().await.map(drop),
                user.position().await.map(drop),
                user.event(1).await.map(drop),
                user.blobs().put_bytes("x", vec![1]).await.map(drop),
                news.next().await.map(drop),
            ];
            refusals.into_iter().all(|result| result.is_err_and(|error| says_what_to_do(&error)))
        });
        // Without `block_on` a command goes to the writer's thread, which is not there.
        let mut send = pin!(user.send("Hello").to("lead").into_future());
        let at_once = matches!(poll_once(send.as_mut()), Poll::Ready(Err(error)) if says_what_to_do(&error));
        refused && at_once && place.works_when_opened_again("Hello from the child")
    });
    assert!(done);
    block_on(async {
        place.user.send("Hello from the parent").to("lead").await.unwrap();
        let texts = place.user.bind("lead").await.unwrap().inbox().await.unwrap().messages;
        assert_eq!(texts.len(), 3);
    });
}

#[test]
fn a_child_neither_keeps_nor_ends_the_presence_of_its_parent() {
    use cccc_core::rule::presence::Condition;
    let place = Place::new();
    let presence = async || {
        let who = place.again().await.who().await.unwrap();
        who.into_iter().find(|one| one.actor.actor_id.as_str() == "alice").unwrap().presence
    };
    let mut alice = Some(place.join("alice"));
    assert!(in_child(|| {
        // Let go of here, it is held there.
        drop(alice.take());
        block_on(presence()) == Condition::Present
    }));
    assert_eq!(block_on(presence()), Condition::Present);
    // A child that lives on when the parent lets go.
    let looked = Signal::new();
    let child = Child::forked(|| {
        looked.wait();
        true
    });
    drop(alice.take());
    let after = block_on(presence());
    looked.give();
    assert_eq!(after, Condition::Absent);
    assert!(child.said_yes());
}

#[test]
fn children_work_one_after_another_and_so_does_a_child_of_a_child() {
    let place = Place::new();
    for generation in ["first", "second", "third"] {
        assert!(in_child(|| place.works_when_opened_again(generation)), "{generation}");
    }
    assert!(in_child(|| {
        let (mine, mut news) = block_on(async {
            let mine = place.again().await;
            let news = mine.watch(mine.position().await.unwrap());
            (mine, news)
        });
        let works = place.works_when_opened_again("Hello from the child");
        works
            && in_child(|| {
                let refused = block_on(async {
                    [mine.send("Hello").to("lead").await.map(drop), news.next().await.map(drop)]
                });
                refused.iter().all(|result| result.as_ref().is_err_and(says_what_to_do))
                    && place.works_when_opened_again("Hello from its child")
            })
            && block_on(mine.send("Hello again").to("lead")).is_ok()
    }));
    assert!(place.works_when_opened_again("Hello from the parent"));
}

#[test]
fn options_of_the_parent_serve_in_the_child() {
    let dir = tempfile::tempdir().unwrap();
    let options = HomeOptions::default();
    let open = || block_on(Home::open_with(dir.path().join("home"), options.clone())).unwrap();
    let home = open();
    let user = block_on(home.create_group("g")).unwrap();
    block_on(user.add_actor("lead")).unwrap();
    let follow = |group: &Group| {
        let after = block_on(group.position()).unwrap();
        let mut news = group.watch(after);
        let mut next = pin!(news.next());
        let idle = poll_once(next.as_mut()).is_pending();
        block_on(group.send("Hello").to("lead")).unwrap();
        idle && block_on(next).is_ok()
    };
    assert!(follow(&user));
    assert!(in_child(|| follow(&block_on(open().group(user.id())).unwrap())));
}

#[test]
fn what_the_parent_waited_for_is_refused_in_the_child() {
    let place = Place::new();
    let mut news = place.user.watch(block_on(place.user.position()).unwrap());
    let mut next = pin!(news.next());
    assert!(poll_once(next.as_mut()).is_pending());
    let mut send = pin!(place.user.send("Hello").to("lead").into_future());
    assert!(poll_once(send.as_mut()).is_pending(), "it is for a thread of the pool");
    assert!(in_child(|| {
        let results = [block_on(send.as_mut()).map(drop), block_on(next.as_mut()).map(drop)];
        results.iter().all(|result| result.as_ref().is_err_and(says_what_to_do))
    }));
    // Here they come to their end.
    block_on(send).unwrap();
    block_on(next).unwrap();
}
