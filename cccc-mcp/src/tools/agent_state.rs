//! What one says one is doing.

use cccc_core::{Result, Seq};
use schemars::JsonSchema;
use serde::Deserialize;

use super::{Call, Done, Effect, Tool};
use crate::args::Time;

/// `cccc_agent_state`
#[derive(Debug)]
pub(crate) enum AgentState {}

#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct AgentStateArgs {
    /// What you are at
    focus: Option<String>,
    /// What you will do then
    next: Option<String>,
    /// What keeps you from going on
    blocker: Option<String>,
    /// A task, vote or reservation you wait for: t5, v9, r7
    waiting_for: Option<String>,
    /// How long that holds, like 30m; until then you are not reminded
    lasting: Option<Time>,
    /// Of whom, for the foreman [you]
    actor: Option<String>,
    /// The version you read
    base: Option<u64>,
}

impl Tool for AgentState {
    const NAME: &'static str = "cccc_agent_state";
    const ABOUT: &'static str =
        "Say what you are doing, for the others. What is left out stays; an empty text clears.";
    const EFFECT: Effect = Effect::Settles;
    type Args = AgentStateArgs;
    type Answer = Done;

    async fn run(call: &Call, args: AgentStateArgs) -> Result<Done> {
        let seated = call.seated().await?;
        let mut request = seated.group().set_agent_state();
        if let Some(actor) = args.actor {
            request = request.of(actor);
        }
        if let Some(text) = args.focus {
            request = request.focus(text);
        }
        if let Some(text) = args.next {
            request = request.next(text);
        }
        if let Some(text) = args.blocker {
            request = request.blocker(text);
        }
        if let Some(what) = args.waiting_for {
            request = request.waiting_for(what);
        }
        if let Some(base) = args.base {
            request = request.base(Seq(base));
        }
        if let Some(Time(time)) = args.lasting {
            request = request.lasting(time);
        }
        Ok(request.await?.into())
    }
}
