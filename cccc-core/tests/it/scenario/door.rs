//! The library as a door: a real home in a directory of its own, and a clock that stands where it is set.

use std::collections::BTreeMap;
use std::fs::File;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use cccc_core::answer::{ActorAnswer, Done, DueAnswer, JoinAnswer};
use cccc_core::command::When;
use cccc_core::event::{GroupMode, GroupUpdate, JoinPolicy, Role, Wish};
use cccc_core::testing::scenario::{Call, Door, duration, host};
use cccc_core::{Error, Group, Home, HomeOptions, ManualClock, Process, Timestamp, block_on};
use serde::Serialize;
use serde_json::{Value, json};

use super::arguments::Arguments;
use super::{message, together};

/// What an operation gives: its answer in JSON.
pub(super) type Answered = Result<Value, Error>;

pub(crate) struct LibraryDoor {
    pub(super) dir: tempfile::TempDir,
    pub(super) clock: Arc<ManualClock>,
    pub(super) home: Home,
    /// Makes groups somewhere else than in the home.
    maker: Option<Maker>,
    /// Those that it made.
    elsewhere: BTreeMap<String, Group>,
}

/// Makes a group, given a title, a clock and a directory of its own.
pub(crate) type Maker = Box<dyn Fn(&str, Arc<ManualClock>, &Path) -> Result<Group, Error> + Send>;

impl LibraryDoor {
    /// A door to groups in a home, or to those that are made somewhere else.
    pub(crate) fn new(maker: Option<Maker>) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let clock = Arc::new(ManualClock::default());
        let mut options = HomeOptions::default();
        options.clock = clock.clone();
        let home = block_on(Home::open_with(dir.path().join("home"), options)).unwrap();
        Self { dir, clock, home, maker, elsewhere: BTreeMap::new() }
    }

    async fn carry_out(&self, call: &Call<'_>) -> Answered {
        let group = match self.elsewhere.get(call.group) {
            Some(group) => group.clone(),
            None => self.home.group(&call.group.parse()?).await?,
        };
        // Who only looks need not say who it is.
        let looks = matches!(
            call.verb.name,
            "status"
                | "who"
                | "receipts"
                | "show"
                | "tail"
                | "waits"
                | "policy due"
                | "reservations"
                | "pins"
        ) || call.verb.name.ends_with(" list")
            || call.verb.name.ends_with(" show")
            || matches!(call.verb.name, "context digest" | "agent-states" | "join" | "group export")
            || call.arguments.contains_key("dry_run")
            || call.arguments.contains_key("all");
        let group = if looks { group } else { group.bind(call.by).await? };
        match call.verb.command {
            None => host::perform(&group, call).await,
            Some(_) => self.dispatch(&group, call).await,
        }
    }

    async fn dispatch(&self, group: &Group, call: &Call<'_>) -> Answered {
        let with = Arguments::of(call);
        if let Some(answer) = message::perform(group, call.verb.name, with, self.dir.path()).await {
            return answer;
        }
        if let Some(answer) = together::perform(group, call.verb.name, with, self.dir.path()).await {
            return answer;
        }
        match call.verb.name {
            "status" => of(&group.summary().await?),
            "who" => of(&group.who().await?),
            "group update" => done(group.update(update(with)).await),
            "group pause" => set(group, GroupMode::Paused, with).await,
            "group resume" => set(group, GroupMode::Active, with).await,
            "group archive" => set(group, GroupMode::Archived, with).await,
            "group state" => set(group, mode_named(with.needed("state")), with).await,
            "group export" => {
                let file = File::create_new(self.dir.path().join(with.needed("file"))).unwrap();
                of(&group.export(file).await?)
            }
            "group import" => {
                let name = with.needed("file");
                let file = File::open(self.dir.path().join(name)).unwrap();
                of(&self.home.import_group(file, name).await?)
            }
            "group gc" if with.flag("dry_run") => of(&group.collectable_blobs().await?),
            "group gc" => of(&group.collect_blobs().await?),
            "actor add" => {
                let mut request = group.add_actor(with.needed("id"));
                for label in with.texts("label") {
                    request = request.label(label);
                }
                if let Some(title) = with.text("title") {
                    request = request.title(title);
                }
                if let Some(runtime) = with.text("runtime") {
                    request = request.runtime(runtime);
                }
                if let Some(role) = with.text("role") {
                    request = request.role(role_named(role));
                }
                of(&ActorAnswer::from(request.await?))
            }
            "actor update" => {
                let mut request = group.update_actor(with.needed("id"));
                if with.value("label").is_some() {
                    request = request.labels(with.texts("label"));
                }
                if let Some(title) = with.text("title") {
                    request = request.title(title);
                }
                if let Some(runtime) = with.text("runtime") {
                    request = request.runtime(runtime);
                }
                if let Some(role) = with.text("role") {
                    request = request.role(role_named(role));
                }
                done(request.await)
            }
            "actor remove" => {
                let request = group.remove_actor(with.needed("id"));
                let request = request.reason(with.text("reason").unwrap_or_default());
                done(match with.text("successor") {
                    Some(successor) => request.successor(successor).await,
                    None => request.await,
                })
            }
            "person add" => {
                let request = group.add_person(with.needed("id"));
                of(&match with.text("title") {
                    Some(title) => request.title(title).await?,
                    None => request.await?,
                })
            }
            "person remove" => {
                let request = group.remove_person(with.needed("id"));
                let request = request.reason(with.text("reason").unwrap_or_default());
                done(match with.text("successor") {
                    Some(successor) => request.successor(successor).await,
                    None => request.await,
                })
            }
            "person list" => of(&group.people().await?),
            "join" => {
                let mut request = group.join().title(with.text("title").unwrap_or_default());
                request = request.directory(self.dir.path());
                for label in with.texts("label") {
                    request = request.label(label);
                }
                if let Some(id) = with.text("id").or((call.by != "nobody").then_some(call.by)) {
                    request = request.id(id);
                }
                if let Some(runtime) = with.text("runtime") {
                    request = request.runtime(runtime);
                }
                if let Some(session) = with.text("agent_session") {
                    request = request.agent_session(session);
                }
                // As with `cccc join`, the session lasts as long as the process that asked: this one.
                if let Some(process) = Process::of(std::process::id()) {
                    request = request.process(process);
                }
                let joined = request.await?;
                let answer = of(&JoinAnswer::of(&joined));
                joined.session.hand_over().await?;
                answer
            }
            "leave" => done(group.leave(with.text("reason").unwrap_or_default()).await),
            "policy show" => of(&group.policies().await?),
            "policy set" => {
                let after = match with.needed("after") {
                    "default" => None,
                    "off" => Some(Duration::ZERO),
                    time => Some(duration(time).unwrap()),
                };
                done(group.set_policy(with.needed("policy"), after).await)
            }
            "policy run" => of(&group.carry_out_due().await?),
            "policy due" => of(&DueAnswer::of(group).await?),
            "waits" => of(&group.waits().await?),
            "schedule add" => schedule(group, with).await,
            "schedule list" => of(&group.schedules().await?),
            "schedule enable" => done(group.enable_schedule(with.needed("id")).await),
            "schedule disable" => done(group.disable_schedule(with.needed("id")).await),
            "schedule remove" => done(group.remove_schedule(with.needed("id")).await),
            "schedule clear" => done(group.clear_schedules().await),
            other => panic!("the library's door lacks {other}"),
        }
    }
}

impl Door for LibraryDoor {
    fn name(&self) -> &'static str {
        "library"
    }

    fn create_group(&mut self, now: Timestamp, title: &str) -> Result<String, Value> {
        self.clock.set(now);
        let made = match &self.maker {
            Some(maker) => {
                let dir = self.dir.path().join(format!("group{}", self.elsewhere.len()));
                maker(title, self.clock.clone(), &dir)
            }
            None => block_on(self.home.create_group(title)),
        };
        let group = made.map_err(|error| error.to_json())?;
        let id = group.id().to_string();
        if self.maker.is_some() {
            self.elsewhere.insert(id.clone(), group);
        }
        Ok(id)
    }

    fn write_file(&mut self, name: &str, text: &str) {
        let path = self.dir.path().join(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, text).unwrap();
    }

    fn perform(&mut self, call: &Call<'_>) -> Result<Value, Value> {
        self.clock.set(call.now);
        block_on(self.carry_out(call)).map_err(|error| error.to_json())
    }
}

pub(super) fn of<T: Serialize + ?Sized>(answer: &T) -> Answered {
    Ok(serde_json::to_value(answer).unwrap())
}

pub(super) fn done(executed: cccc_core::Result<cccc_core::Executed>) -> Answered {
    of(&Done::of(&executed?))
}

async fn set(group: &Group, mode: GroupMode, with: Arguments<'_>) -> Answered {
    done(group.set_state(mode, with.text("reason").unwrap_or_default()).await)
}

fn role_named(name: &str) -> Role {
    serde_json::from_value(json!(name)).unwrap()
}

fn mode_named(name: &str) -> GroupMode {
    serde_json::from_value(json!(name)).unwrap()
}

fn update(with: Arguments<'_>) -> GroupUpdate {
    let addresses = || with.texts("default_to").into_iter().filter(|text| !text.is_empty());
    let settings = with.value("set").and_then(Value::as_object).cloned().unwrap_or_default();
    GroupUpdate {
        title: with.text("title").map(str::to_owned),
        default_to: with.value("default_to").map(|_| addresses().map(str::to_owned).collect()),
        join: with.text("join").map(|join| serde_json::from_value::<JoinPolicy>(json!(join)).unwrap()),
        settings: settings.into_iter().collect(),
    }
}

async fn schedule(group: &Group, with: Arguments<'_>) -> Answered {
    let wishes = [("start", Wish::Start), ("stop", Wish::Stop), ("restart", Wish::Restart)];
    let wish = wishes.into_iter().find_map(|(name, wish)| Some((with.text(name)?, wish)));
    let mut request = match (with.text("set_state"), wish) {
        (Some(state), _) => group.schedule_state(mode_named(state)),
        (None, Some((actor, wish))) => group.schedule_control(actor, wish),
        (None, None) => group.schedule_notice(with.needed("text")),
    };
    for address in with.texts("to") {
        request = request.to(address);
    }
    if let Some(id) = with.text("id") {
        request = request.named(id);
    }
    let tz = || Some(with.text("tz").unwrap_or("UTC").to_owned());
    let when = match (with.time("every"), with.text("cron"), with.text("at")) {
        (Some(every), ..) => When::Every(every),
        (_, Some(expr), _) => When::Cron { expr: expr.to_owned(), tz: tz() },
        (.., Some(time)) if time.len() <= 5 => When::AtTime { time: time.to_owned(), tz: tz() },
        (.., Some(time)) => When::At(time.parse()?),
        (None, None, None) => panic!("a schedule needs a time"),
    };
    of(&request.when(when).await?)
}
