//! Looking back and around: history, the project, the state of this server.

use cccc_core::event::Body;
use cccc_core::{GroupSummary, Principal, Result, Seq, Timestamp};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::{Call, Effect, Nothing, Offer, Tool};
use crate::args::names;
use crate::bounds::{MAX_ITEMS, page};
use crate::message::View;

/// How much history shows of a message.
const LINE_BYTES: usize = 600;

/// `cccc_history`
#[derive(Debug)]
pub(crate) enum History {}

#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct HistoryArgs {
    /// Before this number [the latest]
    before: Option<u64>,
    /// From this number on
    from: Option<u64>,
    /// Only these kinds: chat.message, task, vote...
    #[serde(deserialize_with = "names")]
    kinds: Vec<String>,
    /// Only what this actor wrote or was told
    involving: Option<String>,
    limit: Option<usize>,
}

#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct HistoryPage {
    events: Vec<Past>,
    /// The call that shows more in the same direction.
    #[serde(skip_serializing_if = "Option::is_none")]
    next: Option<String>,
}

#[derive(Debug, Serialize, JsonSchema)]
#[serde(untagged)]
enum Past {
    Message(Box<View>),
    Other { seq: Seq, at: Timestamp, kind: String, by: Principal, data: Value },
}

impl Past {
    fn seq(&self) -> Seq {
        match self {
            Self::Message(view) => view.seq,
            Self::Other { seq, .. } => *seq,
        }
    }
}

impl Tool for History {
    const NAME: &'static str = "cccc_history";
    const ABOUT: &'static str = "What was said and done in the group, from its ledger.";
    const OFFER: Offer = Offer::Pack("history");
    const EFFECT: Effect = Effect::Reads;
    type Args = HistoryArgs;
    type Answer = HistoryPage;

    async fn run(call: &Call, args: HistoryArgs) -> Result<HistoryPage> {
        let seated = call.seated().await?;
        let group = seated.group();
        let mut request = group.history().limit(args.limit.unwrap_or(MAX_ITEMS).clamp(1, MAX_ITEMS));
        if let Some(from) = args.from {
            request = request.from(Seq(from));
        }
        if let Some(before) = args.before {
            request = request.before(Seq(before));
        }
        for kind in args.kinds {
            request = request.kind(kind);
        }
        if let Some(principal) = args.involving {
            request = request.involving(principal.trim_start_matches('@').parse()?);
        }
        let history = request.await?;
        let voices = group.voices().await?;
        let mut events: Vec<Past> = history
            .events
            .iter()
            .map(|event| match (View::from_place(event, &voices, 0, LINE_BYTES), &event.body) {
                (Some(view), Body::ChatMessage(_)) => Past::Message(Box::new(view)),
                (_, body) => Past::Other {
                    seq: event.seq,
                    at: event.ts,
                    kind: body.kind().to_owned(),
                    by: event.by.clone(),
                    data: short(body),
                },
            })
            .collect();
        // Looking back, the page ends with the newest: what does not fit is cut at the old end.
        let forwards = args.from.is_some();
        if !forwards {
            events.reverse();
        }
        let page = page(events, None);
        let (mut events, whole) = (page.items, page.next.is_none());
        let next = match (whole, forwards) {
            (true, true) => history.next.map(|next| format!("cccc_history {{\"from\":{next}}}")),
            (true, false) => history.next.map(|next| format!("cccc_history {{\"before\":{next}}}")),
            (false, true) => events.last().map(|e| format!("cccc_history {{\"from\":{}}}", e.seq().next())),
            (false, false) => events.last().map(|e| format!("cccc_history {{\"before\":{}}}", e.seq())),
        };
        if !forwards {
            events.reverse();
        }
        Ok(HistoryPage { events, next })
    }
}

/// The data of an event, cut.
fn short(body: &Body) -> Value {
    let json = body.data_json().ok();
    let mut data = json.and_then(|json| serde_json::from_str(&json).ok()).unwrap_or_default();
    crate::bounds::trim(&mut data, 600);
    data
}

/// `cccc_project`
#[derive(Debug)]
pub(crate) enum Project {}

#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct ProjectShown {
    group: GroupSummary,
    /// Where each session works.
    places: Vec<Place>,
    /// Where you work.
    directory: String,
}

#[derive(Debug, Serialize, JsonSchema)]
struct Place {
    actor: cccc_core::ActorId,
    presence: cccc_core::rule::presence::Condition,
    cwd: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    branch: Option<String>,
    runtime: String,
}

impl Tool for Project {
    const NAME: &'static str = "cccc_project";
    const ABOUT: &'static str = "The group, its directories, and where everybody works.";
    const OFFER: Offer = Offer::Pack("project");
    const EFFECT: Effect = Effect::Reads;
    type Args = Nothing;
    type Answer = ProjectShown;

    async fn run(call: &Call, _: Nothing) -> Result<ProjectShown> {
        let seated = call.seated().await?;
        let group = seated.group();
        let mut summary = group.summary().await?;
        summary.actors.truncate(MAX_ITEMS);
        let place = |member: cccc_core::Member| {
            let session = member.session?;
            Some(Place {
                actor: member.actor.actor_id,
                presence: member.presence,
                cwd: session.cwd,
                branch: session.branch,
                runtime: session.runtime,
            })
        };
        let places = group.who().await?.into_iter().filter_map(place).take(MAX_ITEMS).collect();
        let directory = call.server.seat().options().directory.display().to_string();
        Ok(ProjectShown { group: summary, places, directory })
    }
}

/// `cccc_debug`
#[derive(Debug)]
pub(crate) enum Debug {}

#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct DebugShown {
    version: &'static str,
    home: String,
    ledger: Option<Value>,
    session: String,
    /// Why the session does not receive, if it does not.
    #[serde(skip_serializing_if = "Option::is_none")]
    session_error: Option<String>,
    packs: Vec<String>,
    channel: bool,
    /// What has to be done about sessions that ended and actors that stay away.
    upkeep_due: usize,
    /// What policies and schedules find due.
    policies_due: usize,
}

impl Tool for Debug {
    const NAME: &'static str = "cccc_debug";
    const ABOUT: &'static str =
        "The state of this server, its home and its ledger, for finding out what is wrong.";
    const OFFER: Offer = Offer::Pack("diagnostics");
    const EFFECT: Effect = Effect::Reads;
    type Args = Nothing;
    type Answer = DebugShown;

    async fn run(call: &Call, _: Nothing) -> Result<DebugShown> {
        let seated = call.seated().await?;
        let group = seated.group();
        let seat = call.server.seat();
        let ledger = match group.files() {
            Some(files) => serde_json::to_value(files.stats().await?).ok(),
            None => None,
        };
        Ok(DebugShown {
            version: env!("CARGO_PKG_VERSION"),
            home: seat.home().await?.path().display().to_string(),
            ledger,
            session: seated.session().id().to_owned(),
            session_error: seated.session().check().await.err().map(|error| error.to_string()),
            packs: seat.packs().into_iter().collect(),
            channel: seat.options().channel,
            upkeep_due: group.upkeep_due().await?.len(),
            policies_due: group.due().await?.len(),
        })
    }
}
