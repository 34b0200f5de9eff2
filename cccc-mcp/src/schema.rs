//! Schemas in as few bytes as say the same: every byte of `tools/list` is in every context of every agent.
//!
//! Definitions are put where they are used, and what tells a model nothing goes: titles, formats of numbers,
//! `null` as one more way to leave a thing out.

use rmcp::model::JsonObject;
use schemars::JsonSchema;
use schemars::generate::SchemaSettings;
use serde_json::{Map, Value, json};

/// How deep the schema of an answer goes: what is below says only its type.
const ANSWER_DEPTH: usize = 1;

/// The schema of what a tool takes.
pub(crate) fn of_arguments<T: JsonSchema>() -> JsonObject {
    let mut schema = generated::<T>(SchemaSettings::draft2020_12());
    schema.remove("description");
    schema
}

/// The schema of what a tool answers: its fields and their types. Nothing is required, as an error is an answer too,
/// and `you`, which stands in every answer, is not said of each.
pub(crate) fn of_answer<T: JsonSchema>() -> JsonObject {
    let mut value = Value::Object(generated::<T>(SchemaSettings::draft2020_12().for_serialize()));
    shallow(&mut value, 0);
    let Value::Object(schema) = value else { return JsonObject::new() };
    schema
}

fn generated<T: JsonSchema>(settings: SchemaSettings) -> JsonObject {
    let schema = settings.with(|settings| settings.inline_subschemas = true).into_generator();
    let mut value = Value::from(schema.into_root_schema_for::<T>());
    compact(&mut value);
    let Value::Object(mut schema) = value else { return JsonObject::new() };
    schema.entry("type").or_insert_with(|| "object".into());
    schema.entry("properties").or_insert_with(|| json!({}));
    schema
}

/// Removes what tells nothing.
fn compact(value: &mut Value) {
    if value == &Value::Bool(true) {
        *value = json!({});
    }
    let Value::Object(map) = value else { return };
    for noise in ["$schema", "title", "format", "default", "minimum", "additionalProperties"] {
        map.remove(noise);
    }
    not_null(map);
    words(map);
    for (key, inner) in map.iter_mut() {
        match (key.as_str(), inner) {
            ("properties", Value::Object(fields)) => fields.values_mut().for_each(compact),
            ("anyOf" | "oneOf" | "allOf", Value::Array(each)) => each.iter_mut().for_each(compact),
            ("items", inner) => compact(inner),
            _ => {}
        }
    }
}

/// What may be left out need not say that it may be `null` as well.
fn not_null(map: &mut Map<String, Value>) {
    if let Some(Value::Array(types)) = map.get_mut("type") {
        types.retain(|one| one != "null");
        if let [one] = types.as_slice() {
            let one = one.clone();
            map.insert("type".into(), one);
        }
    }
    if let Some(Value::Array(choices)) = map.get_mut("enum") {
        choices.retain(|one| !one.is_null());
    }
    if let Some(Value::Array(any)) = map.get_mut("anyOf") {
        any.retain(|one| one.get("type") != Some(&Value::from("null")));
        if let [Value::Object(one)] = any.as_slice() {
            let one = one.clone();
            map.remove("anyOf");
            for (key, value) in one {
                map.entry(key).or_insert(value);
            }
        }
    }
}

/// A choice of words is written as a list of words.
fn words(map: &mut Map<String, Value>) {
    let Some(Value::Array(each)) = map.get("oneOf") else { return };
    let of_one = |one: &Value| match (one.get("const"), one.get("enum")) {
        (Some(word), _) => Some(vec![word.clone()]),
        (None, Some(Value::Array(words))) => Some(words.clone()),
        _ => None,
    };
    let words: Option<Vec<Vec<Value>>> = each.iter().map(of_one).collect();
    if let Some(words) = words.map(|words| words.concat()) {
        map.remove("oneOf");
        map.insert("type".into(), "string".into());
        map.insert("enum".into(), words.into());
    }
}

/// Leaves of what is deep only its type, and of nothing its description.
fn shallow(value: &mut Value, depth: usize) {
    let Value::Object(map) = value else { return };
    map.remove("description");
    map.remove("required");
    if let Some(Value::Object(fields)) = map.get_mut("properties") {
        if depth >= ANSWER_DEPTH {
            map.remove("properties");
        } else {
            fields.values_mut().for_each(|field| shallow(field, depth + 1));
        }
    }
    // What a list holds is seen in the list.
    map.remove("items");
    // Below the top, a choice of shapes says less than it takes.
    if ["anyOf", "oneOf", "allOf"].iter().any(|key| map.contains_key(*key)) {
        map.clear();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(JsonSchema)]
    #[expect(dead_code, reason = "only its schema is looked at")]
    struct Inner {
        /// Deep.
        deep: u64,
    }

    #[derive(JsonSchema)]
    #[expect(dead_code, reason = "only its schema is looked at")]
    enum Word {
        One,
        /// With a word about it.
        Two,
    }

    /// Not to be seen.
    #[derive(JsonSchema)]
    #[expect(dead_code, reason = "only its schema is looked at")]
    struct Given {
        /// Many.
        list: Vec<Inner>,
        count: Option<u32>,
        word: Option<Word>,
    }

    #[test]
    fn what_is_left_says_the_same() {
        assert_eq!(
            Value::Object(of_arguments::<Given>()),
            json!({
                "type": "object",
                "properties": {
                    "list": {
                        "type": "array",
                        "description": "Many.",
                        "items": {
                            "type": "object",
                            "properties": {"deep": {"type": "integer", "description": "Deep."}},
                            "required": ["deep"],
                        },
                    },
                    "count": {"type": "integer"},
                    "word": {"type": "string", "enum": ["One", "Two"]},
                },
                "required": ["list"],
            })
        );
        assert_eq!(
            Value::Object(of_answer::<Given>()),
            json!({
                "type": "object",
                "properties": {
                    "list": {"type": "array"},
                    "count": {"type": "integer"},
                    "word": {"type": "string", "enum": ["One", "Two"]},
                },
            })
        );
    }
}
