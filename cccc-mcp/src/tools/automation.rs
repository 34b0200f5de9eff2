//! Schedules, for the foreman.

use cccc_core::command::When;
use cccc_core::event::{GroupMode, Wish};
use cccc_core::{Error, Result, ScheduleRequest, ScheduleView, Timestamp};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{Call, Done, Effect, Offer, Tool, needed};
use crate::args::{Time, names};
use crate::bounds::page;

/// `cccc_automation`
#[derive(Debug)]
pub(crate) enum Automation {}

#[derive(Clone, Copy, Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
enum Action {
    List,
    Notice,
    State,
    Control,
    Enable,
    Disable,
    Remove,
    Clear,
}

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct AutomationArgs {
    action: Action,
    /// Its name; enable, disable, remove: which
    id: Option<String>,
    /// notice
    text: Option<String>,
    /// notice: addresses
    #[serde(default, deserialize_with = "names")]
    to: Vec<String>,
    /// state
    state: Option<GroupMode>,
    /// control
    actor: Option<String>,
    wish: Option<Wish>,
    /// When: again and again, like 15m
    every: Option<Time>,
    /// When: five fields
    cron: Option<String>,
    /// When, once: 17:00, or RFC 3339
    at: Option<String>,
    /// Of cron and at, like Europe/Paris [this machine's]
    tz: Option<String>,
    /// Of a list: leave out the first so many
    skip: Option<usize>,
}

#[derive(Debug, Default, Serialize, JsonSchema)]
pub(crate) struct Automated {
    #[serde(skip_serializing_if = "Option::is_none")]
    schedules: Option<Vec<ScheduleView>>,
    #[serde(skip_serializing_if = "Option::is_none", flatten)]
    done: Option<Done>,
    /// The call that shows what follows.
    #[serde(skip_serializing_if = "Option::is_none")]
    next: Option<String>,
}

impl Tool for Automation {
    const NAME: &'static str = "cccc_automation";
    const ABOUT: &'static str = "Schedules: tell somebody something (notice) at times to come; once, set the group's \
        state or wish that an actor start, stop or restart (control).";
    const OFFER: Offer = Offer::Foreman;
    const EFFECT: Effect = Effect::Changes;
    type Args = AutomationArgs;
    type Answer = Automated;

    async fn run(call: &Call, args: AutomationArgs) -> Result<Automated> {
        let seated = call.seated().await?;
        let group = seated.group();
        let id = |action| needed(args.id.as_deref(), action, "id");
        let done = match args.action {
            Action::List => {
                let page = page(group.schedules().await?, args.skip);
                let next = page.call(Self::NAME, "\"action\":\"list\"");
                return Ok(Automated { schedules: Some(page.items), next, done: None });
            }
            Action::Notice => {
                let mut request = group.schedule_notice(needed(args.text.clone(), "notice", "text")?);
                for address in args.to.clone() {
                    request = request.to(address);
                }
                return made(request, args).await;
            }
            Action::State => {
                return made(group.schedule_state(needed(args.state, "state", "state")?), args).await;
            }
            Action::Control => {
                let actor = needed(args.actor.as_deref(), "control", "actor")?;
                let wish = needed(args.wish, "control", "wish")?;
                return made(group.schedule_control(actor.trim_start_matches('@'), wish), args).await;
            }
            Action::Enable => group.enable_schedule(id("enable")?).await?,
            Action::Disable => group.disable_schedule(id("disable")?).await?,
            Action::Remove => group.remove_schedule(id("remove")?).await?,
            Action::Clear => group.clear_schedules().await?,
        };
        Ok(Automated { done: Some(done.into()), ..Automated::default() })
    }
}

async fn made(mut request: ScheduleRequest<'_>, args: AutomationArgs) -> Result<Automated> {
    let when = match (args.every, args.cron, args.at) {
        (Some(Time(every)), None, None) => When::Every(every),
        (None, Some(expr), None) => When::Cron { expr, tz: args.tz },
        (None, None, Some(at)) => match at.parse::<Timestamp>() {
            Ok(at) => When::At(at),
            Err(_) => When::AtTime { time: at, tz: args.tz },
        },
        _ => return Err(Error::invalid("a schedule needs one of `every`, `cron` and `at`")),
    };
    request = request.when(when);
    if let Some(id) = args.id {
        request = request.named(id);
    }
    Ok(Automated { schedules: Some(vec![request.await?]), ..Automated::default() })
}
