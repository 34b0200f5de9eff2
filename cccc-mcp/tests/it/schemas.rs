//! The tools as they are listed, as committed in `tools.json`; and how much of a context they take.
//!
//! After a wanted change: `CCCC_REFRESH=1 cargo test -p cccc-mcp schemas`.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use serde_json::Value;

use crate::support::{Agent, Place};

/// The most that the list of tools of a peer may take.
const PEER_BYTES: usize = 14_000;
/// The most that the list of tools of a foreman with every pack may take.
const ALL_BYTES: usize = 24_000;

#[test]
fn schemas_are_as_committed() {
    let all = serde_json::to_string_pretty(&cccc_mcp::catalogue()).unwrap() + "\n";
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/it/tools.json");
    if std::env::var_os("CCCC_REFRESH").is_some() {
        fs::write(&path, &all).unwrap();
    }
    let committed = fs::read_to_string(&path).unwrap_or_default();
    assert!(committed == all, "the tools have changed; see the head of this file for how to refresh them");
}

#[tokio::test]
async fn the_list_of_tools_leaves_room_for_work() {
    let place = Place::new().await;
    for (id, packs, tools, most) in [("alice", false, 11, PEER_BYTES), ("lead", true, 22, ALL_BYTES)] {
        let mut options = place.options();
        options.actor = Some(id.into());
        if packs {
            options.packs = cccc_mcp::packs().iter().map(|pack| pack.name.to_owned()).collect();
        }
        let agent = Agent::start(options, "x").await;
        let list = agent.client.list_tools(None).await.unwrap();
        assert_eq!(list.tools.len(), tools, "{id}");
        let size = serde_json::to_string(&list).unwrap().len();
        assert!(size <= most, "{id}: {size} bytes");
    }
}

#[test]
fn every_tool_says_what_it_does_and_takes_what_clients_understand() {
    let mut names = BTreeSet::new();
    for tool in cccc_mcp::catalogue() {
        let name = tool.schema.name.to_string();
        // A prefix of our own, so that no name of a host's own tools is taken.
        assert!(name.starts_with("cccc_") && names.insert(name.clone()), "{name}");
        assert!(name.len() < 40, "some clients put a prefix before it and allow 64");
        assert!(tool.schema.description.is_some_and(|about| about.len() > 20), "{name}");
        let annotations = tool.schema.annotations.unwrap();
        assert_eq!(annotations.open_world_hint, Some(false), "{name}");
        for schema in [&tool.schema.input_schema, tool.schema.output_schema.as_ref().unwrap()] {
            let schema = Value::Object(schema.as_ref().clone());
            assert_eq!(schema["type"], "object", "{name}");
            understood(&name, &schema);
        }
    }
}

/// Not every client follows references, or knows that a type may be a list.
fn understood(name: &str, schema: &Value) {
    let map = schema.as_object().unwrap();
    for word in
        ["$ref", "$defs", "anyOf", "oneOf", "allOf", "const", "title", "format", "nullable", "default"]
    {
        assert!(!map.contains_key(word), "{name}: {word} in {schema}");
    }
    assert!(map.get("type").is_none_or(Value::is_string), "{name}: {schema}");
    if let Some(fields) = map.get("properties") {
        fields.as_object().unwrap().values().for_each(|field| understood(name, field));
    }
    if let Some(items) = map.get("items") {
        understood(name, items);
    }
}
