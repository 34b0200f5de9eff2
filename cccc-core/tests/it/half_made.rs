//! Programs that are stopped while they join: whoever of the same agent comes next finds one session, or none.

use cccc_core::command::{Arrival, JoinGroup, OpenSession};
use cccc_core::presence::{Presence, Record};
use cccc_core::{ActorId, Agent, Command, Group, Home, Process, block_on};

struct Place {
    _dir: tempfile::TempDir,
    home: Home,
    user: Group,
    presence: Presence,
    me: Process,
}

impl Place {
    /// `None` where this system does not tell processes apart.
    async fn new() -> Option<Self> {
        let me = Process::of(std::process::id())?;
        let dir = tempfile::tempdir().unwrap();
        let home = Home::open(dir.path().join("home")).await.unwrap();
        let user = home.create_group("g").await.unwrap();
        user.add_actor("lead").await.unwrap();
        let presence = Presence::in_directory(home.path().join("presence").join(user.id().as_str()));
        Some(Self { _dir: dir, home, user, presence, me })
    }

    /// What a program leaves that is killed before the ledger says, or before the record says, that it has joined.
    async fn stopped(&self, id: &str, session: &str, has_begun: bool) {
        let record = Record {
            principal: id.parse().unwrap(),
            session: session.into(),
            process: Some(self.me.clone()),
            program: None,
            deliverer: false,
            joining: true,
        };
        let held = self.presence.hold(record).unwrap();
        if has_begun {
            let mut open = OpenSession::default();
            (open.session, open.runtime) = (session.into(), "claude".into());
            open.agent_session_id = Some("c1".into());
            let join = JoinGroup { session: open, arrival: Arrival::New, ..JoinGroup::default() };
            let actor: ActorId = id.parse().unwrap();
            self.user.of_actor(&actor).execute(Command::Join(join)).await.unwrap();
        }
        drop(held);
    }

    fn agent(&self) -> Agent {
        Agent {
            runtime: "claude".into(),
            agent_session_id: Some("c1".into()),
            process: Some(self.me.clone()),
            above: vec![self.me.clone()],
            one_session: true,
            fresh: true,
        }
    }

    async fn join(&self) -> String {
        let request = self.user.join().runtime("claude").agent_session("c1").process(self.me.clone());
        let joined = request.await.unwrap();
        joined.session.hand_over().await.unwrap();
        joined.actor_id.to_string()
    }

    /// As whom a command of this program speaks.
    async fn speaks_as(&self) -> Vec<String> {
        let found = self.home.embodied(std::slice::from_ref(&self.me)).await.unwrap();
        found.into_iter().map(|(_, record)| record.principal.to_string()).collect()
    }

    async fn actors(&self) -> usize {
        self.user.actors().await.unwrap().len()
    }
}

#[test]
fn who_was_stopped_before_it_joined_is_nobody() {
    block_on(async {
        let Some(place) = Place::new().await else { return };
        place.stopped("ghost", "s1", false).await;
        place.stopped("lead", "s2", false).await;
        assert_eq!(place.speaks_as().await, [""; 0]);
        assert!(place.presence.look().unwrap().is_empty(), "nothing is left of it");
        // Nor is it taken for one that was replaced.
        place.stopped("lead", "s3", false).await;
        assert_eq!(place.user.running(&place.agent()).await.unwrap(), None);
        place.stopped("ghost", "s4", false).await;
        let id = place.join().await;
        assert_eq!((place.speaks_as().await, place.actors().await), (vec![id], 2));
    });
}

#[test]
fn who_was_stopped_when_it_had_joined_is_one_session() {
    block_on(async {
        for look_first in [false, true] {
            let Some(place) = Place::new().await else { return };
            place.stopped("otter", "s1", true).await;
            if look_first {
                assert_eq!(place.speaks_as().await, ["otter"]);
            }
            let running = place.user.running(&place.agent()).await.unwrap().unwrap();
            assert_eq!((running.actor_id.as_str(), running.session.as_str()), ("otter", "s1"));
            assert!(running.stands_alone && !running.is_replaced());
            // It is stopped again, as it goes on with that session.
            place.stopped("otter", "s1", false).await;
            assert_eq!(place.join().await, "otter");
            assert_eq!((place.speaks_as().await, place.actors().await), (vec!["otter".to_owned()], 2));
        }
    });
}

#[test]
fn who_is_just_joining_is_left_alone() {
    block_on(async {
        let Some(place) = Place::new().await else { return };
        let record = Record {
            principal: "otter".parse().unwrap(),
            session: "s1".into(),
            process: Some(place.me.clone()),
            program: None,
            deliverer: false,
            joining: true,
        };
        let held = place.presence.hold(record).unwrap();
        assert_eq!(place.speaks_as().await, ["otter"], "not the user, whom it would be taken for else");
        assert_eq!(place.user.running(&place.agent()).await.unwrap(), None);
        assert_eq!(place.presence.look().unwrap().len(), 1);
        drop(held);
        assert_eq!(place.speaks_as().await, [""; 0]);
    });
}
