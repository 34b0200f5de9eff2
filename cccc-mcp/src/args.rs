//! Arguments that models write in more than one way.

use std::borrow::Cow;
use std::time::Duration;

use cccc_core::{EventRef, Result};
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Deserializer};

/// An event, by its number; also as text, and as an id.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Event(pub(crate) String);

impl Event {
    pub(crate) fn reference(&self) -> Result<EventRef> {
        self.0.trim_start_matches('#').parse()
    }
}

impl<'de> Deserialize<'de> for Event {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        #[derive(Deserialize)]
        #[serde(untagged, expecting = "expected the number of a message, like 42")]
        enum Given {
            Number(u64),
            Text(String),
        }
        Ok(Self(match Given::deserialize(deserializer)? {
            Given::Number(number) => number.to_string(),
            Given::Text(text) => text,
        }))
    }
}

impl JsonSchema for Event {
    fn schema_name() -> Cow<'static, str> {
        "Event".into()
    }

    fn inline_schema() -> bool {
        true
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({"type": "integer"})
    }
}

/// A duration, like `15m`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Time(pub(crate) Duration);

impl<'de> Deserialize<'de> for Time {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        cccc_core::duration::parse(text.trim()).map(Self).map_err(serde::de::Error::custom)
    }
}

impl JsonSchema for Time {
    fn schema_name() -> Cow<'static, str> {
        "Time".into()
    }

    fn inline_schema() -> bool {
        true
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({"type": "string"})
    }
}

/// Names: one, or a list of them.
pub(crate) fn names<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<String>, D::Error> {
    #[derive(Deserialize)]
    #[serde(untagged, expecting = "expected a list of names")]
    enum Given {
        One(String),
        Many(Vec<String>),
        Nothing(()),
    }
    Ok(match Given::deserialize(deserializer)? {
        Given::One(name) => vec![name],
        Given::Many(names) => names,
        Given::Nothing(()) => Vec::new(),
    })
}

/// Numbers: one, or a list of them.
pub(crate) fn numbers<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<u32>, D::Error> {
    #[derive(Deserialize)]
    #[serde(untagged, expecting = "expected a list of numbers")]
    enum Given {
        One(u32),
        Many(Vec<u32>),
        Nothing(()),
    }
    Ok(match Given::deserialize(deserializer)? {
        Given::One(number) => vec![number],
        Given::Many(numbers) => numbers,
        Given::Nothing(()) => Vec::new(),
    })
}

/// Events: one, or a list of them.
pub(crate) fn events<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<Event>, D::Error> {
    #[derive(Deserialize)]
    #[serde(untagged, expecting = "expected a list of numbers of messages")]
    enum Given {
        One(Event),
        Many(Vec<Event>),
        Nothing(()),
    }
    Ok(match Given::deserialize(deserializer)? {
        Given::One(event) => vec![event],
        Given::Many(events) => events,
        Given::Nothing(()) => Vec::new(),
    })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[derive(Debug, Deserialize, PartialEq)]
    struct Given {
        event: Event,
        time: Time,
        #[serde(default, deserialize_with = "names")]
        to: Vec<String>,
        #[serde(default, deserialize_with = "events")]
        seqs: Vec<Event>,
    }

    #[test]
    fn whatever_a_model_writes_it_means_the_same() {
        let expected = Given {
            event: Event("42".into()),
            time: Time(Duration::from_secs(900)),
            to: vec!["bob".into()],
            seqs: vec![Event("7".into())],
        };
        for given in [
            json!({"event": 42, "time": "15m", "to": ["bob"], "seqs": [7]}),
            json!({"event": "42", "time": " 15m ", "to": "bob", "seqs": 7}),
            json!({"event": 42, "time": "900s", "to": ["bob"], "seqs": ["7"]}),
        ] {
            assert_eq!(serde_json::from_value::<Given>(given).unwrap(), expected);
        }
        for bad in [json!({"event": -1, "time": "15m"}), json!({"event": 1, "time": "soon"})] {
            assert!(serde_json::from_value::<Given>(bad).is_err());
        }
        assert!(Event("#42".into()).reference().is_ok());
        assert!(Event("x y".into()).reference().is_err());
    }
}
