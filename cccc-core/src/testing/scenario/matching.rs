//! Comparing: whether an answer is what was expected of it.
//!
//! Objects match where the fields that are named match, lists where they are as long and match one by one,
//! anything else where it is equal. `null` also matches what is not there. An object with one field that
//! begins with `$` is a matcher of its own.

use serde_json::Value;

use super::read::duration;
use crate::time::Timestamp;

/// The matchers there are.
const MATCHERS: [&str; 7] = ["$contains", "$lacks", "$count", "$some", "$time", "$not", "$all"];

/// Whether `answer` is what is expected; else where they differ first.
pub(super) fn check(expected: &Value, answer: &Value, start: Timestamp) -> Result<(), String> {
    compare(expected, Some(answer), "", start)
}

/// Goes one step down: a field of an object, or an element of a list by its number from 0.
pub(super) fn step<'a>(value: &'a Value, part: &str) -> Option<&'a Value> {
    match value {
        Value::Array(values) => values.get(part.parse::<usize>().ok()?),
        other => other.get(part),
    }
}

fn compare(expected: &Value, answer: Option<&Value>, path: &str, start: Timestamp) -> Result<(), String> {
    let there = answer.filter(|answer| !answer.is_null());
    let place = if path.is_empty() { "the answer" } else { path };
    let came = || there.map_or_else(|| "nothing".to_owned(), Value::to_string);
    if let Some((name, operand)) = matcher(expected) {
        return matches(name, operand, there, path, start)
            .map_err(|why| format!("{place}: {why}, and there came {}", came()));
    }
    match (expected, there) {
        (Value::Null, None) => Ok(()),
        (Value::Object(fields), Some(Value::Object(answer))) => fields
            .iter()
            .try_for_each(|(name, expected)| compare(expected, answer.get(name), &below(path, name), start)),
        (Value::Array(expected), Some(Value::Array(answer))) if expected.len() == answer.len() => {
            expected.iter().zip(answer).enumerate().try_for_each(|(n, (expected, answer))| {
                compare(expected, Some(answer), &below(path, &n.to_string()), start)
            })
        }
        (Value::Array(expected), Some(Value::Array(answer))) => Err(format!(
            "{place}: {} elements were expected, and there came {}",
            expected.len(),
            answer.len()
        )),
        (expected, Some(answer)) if expected == answer => Ok(()),
        (expected, _) => Err(format!("{place}: {expected} was expected, and there came {}", came())),
    }
}

fn matches(
    name: &str,
    operand: &Value,
    there: Option<&Value>,
    path: &str,
    start: Timestamp,
) -> Result<(), String> {
    let found = || match (there, operand) {
        (Some(Value::String(text)), Value::String(piece)) => text.contains(piece.as_str()),
        (Some(Value::Array(values)), operand) => {
            values.iter().any(|value| compare(operand, Some(value), path, start).is_ok())
        }
        _ => false,
    };
    let holds = match name {
        "$contains" => found(),
        "$lacks" => !found(),
        "$count" => there.and_then(Value::as_array).map(|values| values.len() as u64) == operand.as_u64(),
        "$some" => there.is_some(),
        "$time" => {
            let time = operand.as_str().and_then(duration).map(|after| start.after(after).to_string());
            there.and_then(Value::as_str) == time.as_deref()
        }
        "$not" => compare(operand, there, path, start).is_err(),
        "$all" => {
            let all = operand.as_array().map(Vec::as_slice).unwrap_or_default();
            return all.iter().try_for_each(|one| compare(one, there, path, start));
        }
        _ => false,
    };
    if holds { Ok(()) } else { Err(format!("{name} {operand} was expected")) }
}

fn below(path: &str, part: &str) -> String {
    if path.is_empty() { part.to_owned() } else { format!("{path}.{part}") }
}

/// The matcher that a value is.
fn matcher(value: &Value) -> Option<(&str, &Value)> {
    let fields = value.as_object().filter(|fields| fields.len() == 1)?;
    let (name, operand) = fields.iter().next()?;
    name.starts_with('$').then_some((name.as_str(), operand))
}

/// Whether matchers are used as they can be: known, alone in their object, with an operand of their kind.
pub(super) fn well_formed(expected: &Value) -> Result<(), String> {
    match expected {
        Value::Array(values) => values.iter().try_for_each(well_formed),
        Value::Object(fields) => {
            if let Some(name) = fields.keys().find(|name| name.starts_with('$')) {
                let operand = fields.get(name).unwrap_or(&Value::Null);
                let fits = match name.as_str() {
                    _ if fields.len() != 1 => return Err(format!("{name} stands alone in its object")),
                    "$count" => operand.is_u64(),
                    "$some" => operand == &Value::Bool(true),
                    "$time" => operand.as_str().and_then(duration).is_some(),
                    "$all" => operand.is_array(),
                    "$contains" | "$lacks" | "$not" => true,
                    _ => return Err(format!("there is no {name}; there are {}", MATCHERS.join(", "))),
                };
                if !fits {
                    return Err(format!("{name} cannot be {operand}"));
                }
            }
            fields.values().try_for_each(well_formed)
        }
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn what_is_named_must_match_and_what_is_not_may_be_anything() {
        let answer = json!({
            "a": 1, "text": "one two", "list": [{"x": 1, "y": 2}, {"x": 3}], "none": null,
            "at": "2026-01-05T09:15:00.000Z",
        });
        for (expected, why) in [
            (json!({}), None),
            (json!({"a": 1, "none": null, "missing": null}), None),
            (json!({"a": 2}), Some("a: 2 was expected, and there came 1")),
            (json!({"a": null}), Some("a: null was expected")),
            (json!({"missing": 1}), Some("there came nothing")),
            (json!({"list": [{"x": 1}, {"x": 3}]}), None),
            (json!({"list": [{"x": 1}]}), Some("list: 1 elements were expected, and there came 2")),
            (json!({"list": [{"x": 1}, {"x": 4}]}), Some("list.1.x: 4")),
            (json!({"list": {"$contains": {"x": 3}}}), None),
            (json!({"list": {"$lacks": {"x": 3}}}), Some("list: $lacks")),
            (json!({"list": {"$count": 2}}), None),
            (json!({"list": {"$count": 3}}), Some("$count 3")),
            (json!({"text": {"$contains": "two"}}), None),
            (json!({"text": {"$all": [{"$contains": "two"}, {"$lacks": "one"}]}}), Some("$lacks")),
            (json!({"a": {"$some": true}, "none": {"$not": {"$some": true}}}), None),
            (json!({"none": {"$some": true}}), Some("$some")),
            (json!({"a": {"$not": 1}}), Some("$not 1")),
            (json!({"at": {"$time": "15m"}}), None),
            (json!({"at": {"$time": "14m59s"}}), Some("$time")),
        ] {
            well_formed(&expected).unwrap();
            let start = super::super::START.parse().unwrap();
            match (check(&expected, &answer, start), why) {
                (Ok(()), None) => {}
                (Err(error), Some(why)) => assert!(error.contains(why), "{expected}: {error}"),
                (result, _) => panic!("{expected}: {result:?}"),
            }
        }
        for bad in [json!({"x": {"$contain": 1}}), json!({"$count": "1"}), json!({"$time": "soon"})] {
            assert!(well_formed(&bad).is_err(), "{bad}");
        }
        assert!(well_formed(&json!({"$count": 1, "x": 1})).is_err());
    }
}
