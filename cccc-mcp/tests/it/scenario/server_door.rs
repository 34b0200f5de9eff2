//! The server as a door: an agent with a server of its own for each actor, all with the scenario's clock.

use std::collections::{BTreeMap, BTreeSet};

use cccc_core::testing::scenario::{Call, Door, Scenario};
use cccc_core::{Group, Timestamp, block_on};
use cccc_mcp::Options;
use rmcp::model::{ReadResourceRequestParams, ResourceContents};
use serde_json::{Value, json};

use super::door::LibraryDoor;
use super::elsewhere::{self, Situation};
use super::{render, said};
use crate::support::Agent;

/// A group and an actor.
type Who = (String, String);

pub(super) struct ServerDoor {
    library: LibraryDoor,
    runtime: tokio::runtime::Runtime,
    agents: BTreeMap<Who, Agent>,
    /// Who comes in by itself in the course of the scenario: their servers are not started before.
    joins: BTreeSet<String>,
    /// Who is there from the beginning, by the titles of the groups.
    actors: BTreeMap<String, Vec<String>>,
    /// The groups whose actors' servers are not started yet.
    waiting: BTreeMap<String, String>,
    /// Notices that came with an inbox, for when they are asked for.
    told: BTreeMap<Who, Vec<Value>>,
    /// Why steps were taken elsewhere.
    used: BTreeSet<&'static str>,
}

impl ServerDoor {
    pub(super) fn new(scenario: &Scenario) -> Self {
        let joining = scenario.steps.iter().filter(|step| step.verb.name == "join");
        let joins = joining.flat_map(|step| {
            [Some(step.by.clone()), step.with.get("id").and_then(Value::as_str).map(str::to_owned)]
        });
        let mut runtime = tokio::runtime::Builder::new_current_thread();
        Self {
            library: LibraryDoor::new(None),
            runtime: runtime.enable_all().build().unwrap(),
            agents: BTreeMap::new(),
            joins: joins.flatten().collect(),
            actors: scenario.groups.iter().map(|(name, all)| (name.clone(), ids(all))).collect(),
            waiting: BTreeMap::new(),
            told: BTreeMap::new(),
            used: BTreeSet::new(),
        }
    }

    /// Ends all servers; says why steps were taken elsewhere.
    pub(super) fn end(mut self) -> BTreeSet<&'static str> {
        for (_, agent) in std::mem::take(&mut self.agents) {
            self.runtime.block_on(agent.go());
        }
        self.used
    }

    fn options(&self, group: &str) -> Options {
        let dir = self.library.dir.path();
        let mut options = Options::new(dir.join("home"), dir);
        options.home_options.clock = self.library.clock.clone();
        options.group = Some(group.to_owned());
        options.packs = cccc_mcp::packs().iter().map(|pack| pack.name.to_owned()).collect();
        options
    }

    /// Starts the servers of a group's actors before the first step: whoever has a server has a session from the
    /// beginning.
    fn start(&mut self, call: &Call<'_>) {
        let Some(title) = self.waiting.get(call.group) else { return };
        let actors = self.actors.get(title).cloned().unwrap_or_default();
        let there: Vec<String> =
            block_on(self.group(call).actors()).unwrap().iter().map(|one| one.actor_id.to_string()).collect();
        if actors.iter().any(|id| !there.contains(id)) {
            return;
        }
        self.waiting.remove(call.group);
        for id in actors.into_iter().filter(|id| !self.joins.contains(id)).collect::<Vec<_>>() {
            self.agent(&(call.group.to_owned(), id));
        }
    }

    /// The agent that is this actor, started if it was not.
    fn agent(&mut self, who: &Who) -> &Agent {
        if !self.agents.contains_key(who) {
            let mut options = self.options(&who.0);
            options.actor = Some(who.1.clone());
            let agent = self.runtime.block_on(async {
                let agent = Agent::start(options, "scenario").await;
                agent.who().await;
                agent
            });
            self.agents.insert(who.clone(), agent);
        }
        &self.agents[who]
    }

    /// The group in the library, bound to an actor or not.
    fn group(&self, call: &Call<'_>) -> Group {
        let group = block_on(self.library.home.group(&call.group.parse().unwrap())).unwrap();
        block_on(group.bind(call.by)).unwrap_or(group)
    }

    /// What a tool answers; an error as it is.
    fn ask(&mut self, who: &Who, tool: &'static str, arguments: Value) -> Result<Value, Value> {
        self.agent(who);
        let agent = &self.agents[who];
        let mut result = self.runtime.block_on(agent.result(tool, arguments.clone()));
        let over = result.structured_content.as_ref().unwrap()["message"].as_str();
        if over.is_some_and(|message| message.starts_with("session ") && message.ends_with("is over")) {
            // It was removed and has been added again, and does what it is told to.
            self.runtime.block_on(agent.call("cccc_bootstrap", json!({"as": who.1})));
            result = self.runtime.block_on(agent.result(tool, arguments.clone()));
        }
        let value = result.structured_content.unwrap();
        // Who was removed is nobody any more.
        let you = value.get("you").map(|you| you["actor"].as_str());
        assert!(you.is_none_or(|you| you == Some(&who.1)), "{tool} {arguments}: {value}");
        assert_no_command(&value);
        if result.is_error == Some(true) { Err(value) } else { Ok(value) }
    }

    /// Carries a step out through tools.
    fn through_tools(&mut self, call: &Call<'_>, who: &Who) -> Result<Value, Value> {
        if call.verb.name == "inbox" && self.limit(call) > 20 {
            return self.pages(call, who);
        }
        let peek = call.arguments.contains_key("peek");
        if peek && matches!(call.verb.name, "inbox" | "notices") {
            return Ok(self.look(call, who));
        }
        let mut answer = Value::Null;
        for (tool, arguments) in said::said(call) {
            answer = self.ask(who, tool, arguments)?;
        }
        let fresh = answer.get("notices").and_then(Value::as_array).cloned().unwrap_or_default();
        let group = self.group(call);
        Ok(match call.verb.name {
            "inbox" => {
                self.told.entry(who.clone()).or_default().extend(fresh);
                let messages = render::messages(&group, &answer["messages"], true);
                let seqs: Vec<Value> =
                    messages.as_array().unwrap().iter().map(|one| one["seq"].clone()).collect();
                if call.arguments.contains_key("mark_read") && !seqs.is_empty() {
                    self.ask(who, "cccc_inbox_mark_read", json!({"seqs": seqs}))?;
                }
                messages
            }
            "notices" => {
                let mut notices = self.told.remove(who).unwrap_or_default();
                notices.extend(fresh);
                Value::Array(notices)
            }
            _ => render::answer(call, &group, &answer),
        })
    }

    fn limit(&self, call: &Call<'_>) -> u64 {
        call.arguments.get("limit").and_then(Value::as_u64).unwrap_or_default()
    }

    /// More than a page of the inbox, page by page.
    fn pages(&mut self, call: &Call<'_>, who: &Who) -> Result<Value, Value> {
        let (mut all, mut after) = (Vec::new(), 0);
        loop {
            let page = self.ask(who, "cccc_inbox_list", json!({"after": after}))?;
            let messages = render::messages(&self.group(call), &page["messages"], true);
            all.extend(messages.as_array().unwrap().iter().cloned());
            match page.get("next") {
                Some(_) => after = all.last().unwrap()["seq"].as_u64().unwrap(),
                None => return Ok(Value::Array(all)),
            }
        }
    }

    /// Looks at the inbox without taking anything: the resource.
    fn look(&mut self, call: &Call<'_>, who: &Who) -> Value {
        let uri = format!("cccc://group/{}/inbox", who.0);
        self.agent(who);
        let agent = &self.agents[who];
        let read = agent.client.read_resource(ReadResourceRequestParams::new(uri));
        let read = self.runtime.block_on(read).unwrap();
        let ResourceContents::TextResourceContents { text, .. } = &read.contents[0] else {
            panic!("{read:?}")
        };
        let inbox: Value = serde_json::from_str(text).unwrap();
        assert_no_command(&inbox);
        if call.verb.name == "inbox" {
            return render::messages(&self.group(call), &inbox["messages"], false);
        }
        let mut notices = self.told.get(who).cloned().unwrap_or_default();
        notices.extend(inbox["notices"].as_array().unwrap().iter().cloned());
        Value::Array(notices)
    }

    /// An agent comes in: with a name or without, and possibly in the place of one that is there.
    fn join(&mut self, call: &Call<'_>) -> Result<Value, Value> {
        let text = |name: &str| call.arguments.get(name).and_then(Value::as_str).map(str::to_owned);
        let mut options = self.options(call.group);
        options.actor = text("id").or_else(|| (call.by != "nobody").then(|| call.by.to_owned()));
        options.runtime = text("runtime");
        options.agent_session = text("agent_session");
        let group = self.group(call);
        let before = block_on(group.who()).unwrap();
        let (agent, result) = self.runtime.block_on(async {
            let agent = Agent::start(options, "scenario").await;
            let mut arguments = json!({});
            for (name, theirs) in [("title", "title"), ("labels", "label")] {
                if let Some(value) = call.arguments.get(theirs) {
                    arguments[name] = value.clone();
                }
            }
            let result = agent.result("cccc_bootstrap", arguments).await;
            (agent, result)
        });
        let value = result.structured_content.unwrap();
        assert_no_command(&value);
        if result.is_error == Some(true) {
            self.runtime.block_on(agent.go());
            return Err(value);
        }
        let actor = value["actor"].as_str().unwrap().to_owned();
        let who = (call.group.to_owned(), actor.clone());
        if let Some(older) = self.agents.insert(who, agent) {
            self.runtime.block_on(older.go());
        }
        let known = |members: Vec<cccc_core::Member>| {
            members.into_iter().find(|member| member.actor.actor_id.as_str() == actor)
        };
        let earlier = known(before);
        let now = known(block_on(group.who()).unwrap()).unwrap().session.unwrap();
        let replaced = earlier.as_ref().and_then(|member| member.session.as_ref());
        let replaced = replaced.filter(|session| session.open).map(|session| session.session.clone());
        let noted = value["note"].as_str().is_some_and(|note| note.contains("took over"));
        assert_eq!(noted, replaced.is_some(), "{value}");
        Ok(json!({
            "actor_id": actor,
            "group_id": call.group,
            "added": earlier.is_none(),
            "session": now.session,
            "generation": now.generation,
            "replaced": replaced,
        }))
    }
}

impl Door for ServerDoor {
    fn name(&self) -> &'static str {
        "mcp"
    }

    fn create_group(&mut self, now: Timestamp, title: &str) -> Result<String, Value> {
        let group = self.library.create_group(now, title)?;
        self.waiting.insert(group.clone(), title.to_owned());
        Ok(group)
    }

    fn write_file(&mut self, name: &str, text: &str) {
        self.library.write_file(name, text);
    }

    fn perform(&mut self, call: &Call<'_>) -> Result<Value, Value> {
        self.library.clock.set(call.now);
        self.start(call);
        let who = (call.group.to_owned(), call.by.to_owned());
        let is_actor = self.is_actor(call);
        let situation = Situation { is_actor };
        if let Some(reason) = elsewhere::reason(call, &situation) {
            self.used.insert(reason);
            return self.library.perform(call);
        }
        let result = match call.verb.name {
            "join" => self.join(call),
            _ => self.through_tools(call, &who),
        };
        // A refusal writes nothing, so the library refuses as well; it must be for the same reason, but that calls
        // stand in the place of commands.
        result.map_err(|refused| match self.library.perform(call) {
            Err(error) if is_same(&refused, &error) => error,
            other => json!({"kind": "differs", "message": format!("{refused}, and the library: {other:?}")}),
        })
    }
}

impl ServerDoor {
    fn is_actor(&self, call: &Call<'_>) -> bool {
        let Ok(group) = call.group.parse() else { return false };
        let Ok(group) = block_on(self.library.home.group(&group)) else { return false };
        let actors = block_on(group.actors()).unwrap();
        actors.iter().any(|actor| actor.actor_id.as_str() == call.by)
    }
}

fn ids(newcomers: &[cccc_core::testing::scenario::Newcomer]) -> Vec<String> {
    newcomers.iter().map(|one| one.id.clone()).collect()
}

/// Whether two refusals are for the same reason.
fn is_same(refused: &Value, error: &Value) -> bool {
    let bare = |value: &Value, name: &str| value.get(name).and_then(Value::as_str).map(bare);
    refused["kind"] == error["kind"]
        && bare(refused, "message") == bare(error, "message")
        && bare(refused, "hint") == bare(error, "hint")
}

/// A text without what stands in backquotes, which is a command in one place and a call in the other.
fn bare(text: &str) -> String {
    let text = text.replace(" (for the user to run)", "");
    text.split('`').step_by(2).collect::<Vec<_>>().join("`")
}

/// Nobody is told to type a command but through the user.
fn assert_no_command(value: &Value) {
    match value {
        Value::String(text) => {
            for (at, _) in text.match_indices("cccc ") {
                let (before, after) = text.split_at(at);
                let users = before.ends_with("the user to run `")
                    || before.ends_with("the user can open it again with `")
                    || after
                        .split_once('`')
                        .is_some_and(|(_, rest)| rest.starts_with(" (for the user to run)"));
                assert!(users, "an agent is told to type a command: {text}");
            }
        }
        Value::Array(values) => values.iter().for_each(assert_no_command),
        Value::Object(fields) => fields.values().for_each(assert_no_command),
        _ => {}
    }
}
