//! What an agent may want to know beyond the schemas, by topic.

use cccc_core::{Error, Result};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{Call, Effect, PackInfo, Tool, packs};

/// The topics with their texts.
pub(crate) const TOPICS: [(&str, &str); 11] = [
    ("rules", include_str!("../text/rules.txt")),
    ("messages", include_str!("../text/help/messages.txt")),
    ("inbox", include_str!("../text/help/inbox.txt")),
    ("receipts", include_str!("../text/help/receipts.txt")),
    ("tasks", include_str!("../text/help/tasks.txt")),
    ("context", include_str!("../text/help/context.txt")),
    ("coordination", include_str!("../text/help/coordination.txt")),
    ("roles", include_str!("../text/help/roles.txt")),
    ("identity", include_str!("../text/help/identity.txt")),
    ("automation", include_str!("../text/help/automation.txt")),
    ("memory", include_str!("../text/help/memory.txt")),
];

/// `cccc_help`
#[derive(Debug)]
pub(crate) enum Help {}

#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct HelpArgs {
    /// rules, messages, inbox, receipts, tasks, context, coordination, roles, identity, automation, memory, packs
    topic: Option<String>,
}

#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct Helped {
    text: String,
    topics: Vec<&'static str>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    packs: Vec<PackLine>,
}

#[derive(Debug, Serialize, JsonSchema)]
struct PackLine {
    name: &'static str,
    about: &'static str,
    tools: Vec<&'static str>,
}

impl Tool for Help {
    const NAME: &'static str = "cccc_help";
    const ABOUT: &'static str = "How to work in the group, by topic.";
    const EFFECT: Effect = Effect::Reads;
    type Args = HelpArgs;
    type Answer = Helped;

    async fn run(_: &Call, args: HelpArgs) -> Result<Helped> {
        let topics: Vec<&str> = TOPICS.iter().map(|(name, _)| *name).chain(["packs"]).collect();
        let topic = args.topic.as_deref().unwrap_or("rules");
        if topic == "packs" {
            let text =
                "More tools, off until you switch them on: cccc_bootstrap {\"packs\":[\"history\"]}.".into();
            return Ok(Helped { text, topics, packs: packs().iter().map(line).collect() });
        }
        let Some((_, text)) = TOPICS.iter().find(|(name, _)| *name == topic) else {
            return Err(Error::not_found(format!("there is no topic {topic:?}"))
                .hint(format!("topics: {}", topics.join(", "))));
        };
        Ok(Helped { text: (*text).to_owned(), topics, packs: Vec::new() })
    }
}

fn line(pack: &PackInfo) -> PackLine {
    let tools = super::ALL.iter().filter(|spec| spec.offer == super::Offer::Pack(pack.name));
    PackLine { name: pack.name, about: pack.about, tools: tools.map(|spec| spec.name).collect() }
}
