//! The arguments of a call, by name. Their shapes were checked when the scenario was read.

use std::time::Duration;

use cccc_core::testing::scenario::{Call, duration};
use serde_json::{Map, Value};

/// Arguments that are asked for by name.
#[derive(Clone, Copy)]
pub(super) struct Arguments<'a>(&'a Map<String, Value>);

impl<'a> Arguments<'a> {
    pub(super) fn of(call: &'a Call<'_>) -> Self {
        Self(&call.arguments)
    }

    /// The argument of that name as JSON.
    pub(super) fn value(self, name: &str) -> Option<&'a Value> {
        self.0.get(name)
    }

    pub(super) fn text(self, name: &str) -> Option<&'a str> {
        self.0.get(name).map(|value| value.as_str().unwrap_or_else(|| panic!("{name} is no text: {value}")))
    }

    /// A text that the operation cannot do without.
    pub(super) fn needed(self, name: &str) -> &'a str {
        self.text(name).unwrap_or_else(|| panic!("{name} is missing"))
    }

    pub(super) fn texts(self, name: &str) -> Vec<&'a str> {
        self.list(name).map(|value| value.as_str().unwrap()).collect()
    }

    pub(super) fn flag(self, name: &str) -> bool {
        self.0.contains_key(name)
    }

    pub(super) fn number(self, name: &str) -> Option<u64> {
        self.0.get(name).map(|value| value.as_u64().unwrap())
    }

    pub(super) fn numbers(self, name: &str) -> Vec<u64> {
        self.list(name).map(|value| value.as_u64().unwrap()).collect()
    }

    pub(super) fn time(self, name: &str) -> Option<Duration> {
        self.text(name).map(|text| duration(text).unwrap())
    }

    fn list(self, name: &str) -> impl Iterator<Item = &'a Value> {
        self.0.get(name).and_then(Value::as_array).into_iter().flatten()
    }
}
