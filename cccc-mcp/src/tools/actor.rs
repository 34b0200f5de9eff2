//! Actors, for the foreman.

use cccc_core::event::Role;
use cccc_core::{ActorView, Result};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{Call, Done, Effect, Offer, Tool, needed};
use crate::args::names;
use crate::bounds::page;

/// Names, if any were given: an empty list says that there shall be none.
fn some_names<'de, D: serde::Deserializer<'de>>(deserializer: D) -> Result<Option<Vec<String>>, D::Error> {
    names(deserializer).map(Some)
}

/// `cccc_actor`
#[derive(Debug)]
pub(crate) enum Actor {}

#[derive(Clone, Copy, Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
enum Action {
    List,
    Add,
    Update,
    Remove,
}

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct ActorArgs {
    action: Action,
    actor: Option<String>,
    title: Option<String>,
    /// add: those it has; update: all that it shall have
    #[serde(default, deserialize_with = "some_names")]
    labels: Option<Vec<String>>,
    /// update: a former foreman becomes a peer
    role: Option<Role>,
    /// The program, like codex
    runtime: Option<String>,
    /// remove: who takes over what it owes [it returns to who asked]
    successor: Option<String>,
    reason: Option<String>,
    /// Of a list: leave out the first so many
    skip: Option<usize>,
}

#[derive(Debug, Default, Serialize, JsonSchema)]
pub(crate) struct Acted {
    #[serde(skip_serializing_if = "Option::is_none")]
    actor: Option<ActorView>,
    #[serde(skip_serializing_if = "Option::is_none")]
    actors: Option<Vec<ActorView>>,
    #[serde(skip_serializing_if = "Option::is_none", flatten)]
    done: Option<Done>,
    /// The call that shows what follows.
    #[serde(skip_serializing_if = "Option::is_none")]
    next: Option<String>,
}

impl Tool for Actor {
    const NAME: &'static str = "cccc_actor";
    const ABOUT: &'static str = "The actors of the group: list, add, change, remove.";
    const OFFER: Offer = Offer::Foreman;
    const EFFECT: Effect = Effect::Changes;
    type Args = ActorArgs;
    type Answer = Acted;

    async fn run(call: &Call, args: ActorArgs) -> Result<Acted> {
        let seated = call.seated().await?;
        let group = seated.group();
        let id = |action| needed(args.actor.as_deref().map(|id| id.trim_start_matches('@')), action, "actor");
        match args.action {
            Action::List => {
                let page = page(group.actors().await?, args.skip);
                let next = page.call(Self::NAME, "\"action\":\"list\"");
                Ok(Acted { actors: Some(page.items), next, ..Acted::default() })
            }
            Action::Add => {
                let mut request = group.add_actor(id("add")?);
                for label in args.labels.unwrap_or_default() {
                    request = request.label(label);
                }
                if let Some(title) = args.title {
                    request = request.title(title);
                }
                if let Some(role) = args.role {
                    request = request.role(role);
                }
                if let Some(runtime) = args.runtime {
                    request = request.runtime(runtime);
                }
                Ok(Acted { actor: Some(request.await?), ..Acted::default() })
            }
            Action::Update => {
                let mut request = group.update_actor(id("update")?);
                if let Some(labels) = args.labels {
                    request = request.labels(labels);
                }
                if let Some(title) = args.title {
                    request = request.title(title);
                }
                if let Some(role) = args.role {
                    request = request.role(role);
                }
                if let Some(runtime) = args.runtime {
                    request = request.runtime(runtime);
                }
                Ok(Acted { done: Some(request.await?.into()), ..Acted::default() })
            }
            Action::Remove => {
                let mut request = group.remove_actor(id("remove")?);
                if let Some(successor) = args.successor {
                    request = request.successor(successor);
                }
                if let Some(reason) = args.reason {
                    request = request.reason(reason);
                }
                Ok(Acted { done: Some(request.await?.into()), ..Acted::default() })
            }
        }
    }
}
