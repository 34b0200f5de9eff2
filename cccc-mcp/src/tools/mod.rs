//! The tools, a file per family: what each takes, one call into core, what it answers.

mod actor;
mod agent_state;
mod automation;
mod bootstrap;
mod context;
mod coordination;
mod files;
mod group;
mod help;
mod inbox;
mod labels;
mod memory;
mod message;
mod project;
mod task;

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;

use cccc_core::event::Role;
use cccc_core::{Executed, Result, Seq};
use rmcp::model::{JsonObject, RequestId, Tool as ToolSchema, ToolAnnotations};
use schemars::JsonSchema;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use tokio_util::sync::CancellationToken;

use crate::answer;
use crate::arrival::Shown;
use crate::schema;
use crate::seat::Seated;
use crate::server::Server;

/// To whom a tool is offered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Offer {
    Everyone,
    /// Peers would only be refused.
    Foreman,
    /// Whoever has this pack on.
    Pack(&'static str),
}

/// What a client may rely on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Effect {
    /// Nothing is changed.
    Reads,
    /// Something is added; doing it again adds it again.
    Adds,
    /// Doing it again changes nothing more.
    Settles,
    /// Something may be taken away.
    Changes,
}

/// A tool.
pub(crate) trait Tool {
    const NAME: &'static str;
    /// For the model: what it is for and what to know; the arguments speak for themselves.
    const ABOUT: &'static str;
    const OFFER: Offer = Offer::Everyone;
    const EFFECT: Effect;
    type Args: DeserializeOwned + JsonSchema;
    type Answer: Serialize + JsonSchema;

    fn run(call: &Call, args: Self::Args) -> impl Future<Output = Result<Self::Answer>> + Send;
}

/// A call of a tool.
#[derive(Debug)]
pub(crate) struct Call {
    pub(crate) server: Server,
    /// Its id.
    pub(crate) request: RequestId,
    /// Cancelled when the client no longer wants the answer, or is gone.
    pub(crate) cancelled: CancellationToken,
}

impl Call {
    /// Whose call it is; joins if that is not settled yet.
    pub(crate) async fn seated(&self) -> Result<Arc<Seated>> {
        self.server.seat().seated().await
    }

    /// The answer to it hands this over.
    pub(crate) async fn shows(&self, shown: Shown) -> Result<()> {
        self.server.arrivals().expect(&self.request, shown).await
    }
}

type Running<'a> = Pin<Box<dyn Future<Output = Result<Value>> + Send + 'a>>;

/// A tool, without its types.
#[derive(Clone, Copy)]
pub(crate) struct Spec {
    pub(crate) name: &'static str,
    about: &'static str,
    pub(crate) offer: Offer,
    effect: Effect,
    takes: fn() -> JsonObject,
    answers: fn() -> JsonObject,
    run: for<'a> fn(&'a Call, Value) -> Running<'a>,
}

impl Spec {
    const fn of<T: Tool>() -> Self {
        Self {
            name: T::NAME,
            about: T::ABOUT,
            offer: T::OFFER,
            effect: T::EFFECT,
            takes: schema::of_arguments::<T::Args>,
            answers: schema::of_answer::<T::Answer>,
            run: run::<T>,
        }
    }

    pub(crate) fn run<'a>(&self, call: &'a Call, arguments: Value) -> Running<'a> {
        (self.run)(call, arguments)
    }

    /// The tool as it is listed.
    pub(crate) fn schema(&self) -> ToolSchema {
        let annotations = ToolAnnotations::new().open_world(false);
        let annotations = match self.effect {
            Effect::Reads => annotations.read_only(true),
            Effect::Adds => annotations.destructive(false),
            Effect::Settles => annotations.destructive(false).idempotent(true),
            Effect::Changes => annotations.destructive(true),
        };
        ToolSchema::new(self.name, self.about, Arc::new((self.takes)()))
            .with_raw_output_schema(Arc::new((self.answers)()))
            .with_annotations(annotations)
    }

    /// Whether it is offered to somebody of this role with these packs.
    pub(crate) fn is_for(&self, role: Role, has: impl Fn(&str) -> bool) -> bool {
        match self.offer {
            Offer::Everyone => true,
            Offer::Foreman => role == Role::Foreman,
            Offer::Pack(pack) => has(pack),
        }
    }
}

fn run<T: Tool>(call: &Call, arguments: Value) -> Running<'_> {
    Box::pin(async move {
        let args = serde_json::from_value(arguments).map_err(|error| answer::malformed(T::NAME, &error))?;
        let answer = T::run(call, args).await?;
        serde_json::to_value(answer)
            .map_err(|error| cccc_core::Error::invalid("the answer cannot be written as JSON").source(error))
    })
}

/// All tools, in the order in which they are listed.
pub(crate) const ALL: [Spec; 22] = [
    Spec::of::<bootstrap::Bootstrap>(),
    Spec::of::<help::Help>(),
    Spec::of::<inbox::List>(),
    Spec::of::<inbox::MarkRead>(),
    Spec::of::<message::Send>(),
    Spec::of::<message::Reply>(),
    Spec::of::<message::Ack>(),
    Spec::of::<task::Task>(),
    Spec::of::<context::Get>(),
    Spec::of::<coordination::Coordination>(),
    Spec::of::<agent_state::AgentState>(),
    Spec::of::<group::Group>(),
    Spec::of::<actor::Actor>(),
    Spec::of::<automation::Automation>(),
    Spec::of::<context::Sync>(),
    Spec::of::<project::History>(),
    Spec::of::<labels::Labels>(),
    Spec::of::<files::File>(),
    Spec::of::<project::Project>(),
    Spec::of::<project::Debug>(),
    Spec::of::<memory::Memory>(),
    Spec::of::<memory::Admin>(),
];

/// The tool of this name.
pub(crate) fn find(name: &str) -> Option<&'static Spec> {
    ALL.iter().find(|spec| spec.name == name)
}

/// A pack of tools.
#[derive(Clone, Debug, Serialize)]
#[non_exhaustive]
pub struct PackInfo {
    /// Its name.
    pub name: &'static str,
    /// What it is for.
    pub about: &'static str,
}

/// The packs there are.
#[must_use]
pub fn packs() -> Vec<PackInfo> {
    [
        ("history", "look back at what was said and done"),
        ("labels", "take and drop labels, which are topics"),
        ("files", "read files that came with messages"),
        ("project", "the group, its directories, who is here and on which branch"),
        ("diagnostics", "the state of this server, its home and its ledger"),
        ("memory", "notes that outlive sessions, searched by text"),
        ("memory-admin", "look after the memory; for the foreman"),
    ]
    .map(|(name, about)| PackInfo { name, about })
    .into()
}

/// A tool, for documentation and for tests.
#[derive(Clone, Debug, Serialize)]
#[non_exhaustive]
pub struct ToolInfo {
    /// To whom it is offered: `everyone`, `foreman`, or a pack.
    pub offered_to: &'static str,
    /// As it is listed.
    #[serde(flatten)]
    pub schema: ToolSchema,
}

/// Every tool there is.
#[must_use]
pub fn catalogue() -> Vec<ToolInfo> {
    let info = |spec: &Spec| ToolInfo {
        offered_to: match spec.offer {
            Offer::Everyone => "everyone",
            Offer::Foreman => "foreman",
            Offer::Pack(pack) => pack,
        },
        schema: spec.schema(),
    };
    ALL.iter().map(info).collect()
}

/// A tool that takes nothing.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Nothing {}

/// What became of a call that writes at most one fact.
#[derive(Debug, Default, Serialize, JsonSchema)]
pub(crate) struct Done {
    /// Whether anything was written now.
    changed: bool,
    /// The event that says so.
    #[serde(skip_serializing_if = "Option::is_none")]
    seq: Option<Seq>,
}

impl From<Executed> for Done {
    fn from(done: Executed) -> Self {
        Self { changed: !done.events.is_empty(), seq: done.event().map(|event| event.seq) }
    }
}

/// An action's argument that it does not go without.
pub(crate) fn needed<T>(value: Option<T>, action: &str, name: &str) -> Result<T> {
    value.ok_or_else(|| cccc_core::Error::invalid(format!("{action} needs `{name}`")))
}
