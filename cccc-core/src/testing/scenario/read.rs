//! Reading scenarios, strictly: what is not understood is an error with its place.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use serde::Deserialize;
use serde_json::{Map, Value};

use super::values::{names, repetition};
use super::verbs::Verb;
use super::{COUNT, Expectation, MAIN, Newcomer, Scenario, Step, matching};

/// The doors that `not_through` may name.
const DOORS: [&str; 5] = ["library", "cli", "mcp", "python", "node"];

/// A file as it is written.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    title: String,
    why: String,
    #[serde(default)]
    not_through: BTreeMap<String, String>,
    #[serde(default)]
    actors: Vec<String>,
    #[serde(default)]
    groups: BTreeMap<String, Vec<String>>,
    #[serde(default)]
    files: BTreeMap<String, String>,
    /// Read one by one, so that an error can say which.
    steps: Vec<Value>,
}

/// A step as it is written.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct StepForm {
    at: Option<String>,
    #[serde(rename = "as")]
    by: String,
    #[serde(rename = "in")]
    group: Option<String>,
    #[serde(rename = "do")]
    verb: String,
    #[serde(default)]
    with: Map<String, Value>,
    times: Option<u64>,
    save: Option<String>,
    expect: Option<Value>,
    refused: Option<RefusalForm>,
    /// A remark for people.
    #[serde(rename = "note")]
    _note: Option<String>,
}

/// A refusal as it is written. The hint is always said: a piece of it, or null where there is none.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RefusalForm {
    kind: String,
    message: String,
    #[serde(deserialize_with = "Option::deserialize")]
    hint: Option<String>,
}

pub(super) fn parse(name: &str, text: &str) -> Result<Scenario, String> {
    let wrong = |why: String| format!("{name}.json: {why}");
    let file: File = serde_json::from_str(text).map_err(|e| wrong(e.to_string()))?;
    if file.title.trim().is_empty() || file.why.trim().is_empty() {
        return Err(wrong("title and why say something".into()));
    }
    if let Some(door) = file.not_through.keys().find(|door| !DOORS.contains(&door.as_str())) {
        return Err(wrong(format!("there is no door {door:?}; there are {}", DOORS.join(", "))));
    }
    let mut groups = file.groups;
    if groups.insert(MAIN.into(), file.actors).is_some() {
        return Err(wrong(format!("the actors of {MAIN} are said by `actors`")));
    }
    let mut reader =
        Reader { known: groups.keys().cloned().chain([COUNT.to_owned()]).collect(), at: Duration::ZERO };
    let mut steps = Vec::new();
    for (n, step) in file.steps.into_iter().enumerate() {
        let step = reader.step(step, &groups, &file.files);
        steps.push(step.map_err(|why| format!("{name}.json, step {}: {why}", n + 1))?);
    }
    if !steps.iter().any(|step| !matches!(step.expect, Expectation::Answer(None))) {
        return Err(wrong("nothing is expected of any step".into()));
    }
    let groups =
        groups.into_iter().map(|(name, actors)| (name, actors.iter().map(|actor| newcomer(actor)).collect()));
    Ok(Scenario {
        name: name.to_owned(),
        title: file.title,
        why: file.why,
        not_through: file.not_through,
        groups: groups.collect(),
        files: file.files,
        steps,
    })
}

/// `alice #reviewer #docs`
fn newcomer(text: &str) -> Newcomer {
    let mut words = text.split_whitespace();
    let id = words.next().unwrap_or_default().to_owned();
    let label = |word: &str| word.strip_prefix('#').unwrap_or(word).to_owned();
    Newcomer { id, labels: words.map(label).collect() }
}

/// What the steps so far have said.
struct Reader {
    /// Names that may be referred to.
    known: BTreeSet<String>,
    /// The time it is.
    at: Duration,
}

impl Reader {
    fn step(
        &mut self,
        step: Value,
        groups: &BTreeMap<String, Vec<String>>,
        files: &BTreeMap<String, String>,
    ) -> Result<Step, String> {
        let form: StepForm = serde_json::from_value(step).map_err(|e| e.to_string())?;
        if let Some(at) = &form.at {
            let at = duration(at).ok_or_else(|| format!("{at:?} is no time like 90s, 15m, 1h30m, 2d"))?;
            if at < self.at {
                return Err("time goes forward: `at` is counted from the beginning".into());
            }
            self.at = at;
        }
        let group = form.group.unwrap_or_else(|| MAIN.into());
        // One that a step made is known by the name of the answer.
        if !groups.contains_key(&group) && !self.known.contains(&group) {
            return Err(format!("there is no group {group:?}"));
        }
        let verb = Verb::named(&form.verb).ok_or_else(|| format!("there is no operation {:?}", form.verb))?;
        for (name, value) in &form.with {
            argument(verb, name, value, files)?;
        }
        let expect = match (form.expect, form.refused) {
            (Some(_), Some(_)) => return Err("`expect` and `refused` do not go together".into()),
            (expect, None) => Expectation::Answer(expect),
            (None, Some(_)) if form.save.is_some() => return Err("a refusal leaves nothing to save".into()),
            (None, Some(refusal)) if refusal.message.is_empty() || refusal.hint.as_deref() == Some("") => {
                return Err("a refusal says a piece of its message, and of its hint or null".into());
            }
            (None, Some(RefusalForm { kind, message, hint })) => {
                Expectation::Refusal { kind, message: message.into(), hint: hint.into() }
            }
        };
        self.references(&form.with.clone().into())?;
        match &expect {
            Expectation::Answer(Some(expected)) => {
                matching::well_formed(expected)?;
                self.references(expected)?;
            }
            Expectation::Refusal { message, hint, .. } => {
                self.references(message)?;
                self.references(hint)?;
            }
            Expectation::Answer(None) => {}
        }
        if let Some(name) = &form.save
            && !self.known.insert(name.clone())
        {
            return Err(format!("{name:?} is saved already"));
        }
        let times = form.times.unwrap_or(1);
        Ok(Step { at: self.at, by: form.by, group, verb, with: form.with, times, save: form.save, expect })
    }

    fn references(&self, value: &Value) -> Result<(), String> {
        let mut used = Vec::new();
        names(value, &mut used);
        match used.iter().find(|name| !self.known.contains(*name)) {
            Some(name) => Err(format!("nothing was saved as {name:?} before")),
            None => Ok(()),
        }
    }
}

fn argument(verb: &Verb, name: &str, value: &Value, files: &BTreeMap<String, String>) -> Result<(), String> {
    let Some(argument) = verb.argument(name) else {
        let known: Vec<&str> = verb.arguments.iter().map(|argument| argument.name).collect();
        return Err(format!("`{}` takes no {name:?}; it takes {}", verb.name, known.join(", ")));
    };
    if !argument.shape.fits(value) && repetition(value).is_none() {
        return Err(format!("{name:?} of `{}` is a {}, not {value}", verb.name, argument.shape.as_str()));
    }
    if argument.shape == super::Shape::Files {
        let named = value.as_array().into_iter().flatten().filter_map(Value::as_str);
        if let Some(name) = named.into_iter().find(|name| !files.contains_key(*name)) {
            return Err(format!("{name:?} is not among `files`"));
        }
    }
    Ok(())
}

/// A duration: whole numbers with units, added up: `90s`, `1h30m`.
#[must_use]
pub fn duration(text: &str) -> Option<Duration> {
    let (mut rest, mut total) = (text, Duration::ZERO);
    while !rest.is_empty() {
        let digits = rest.bytes().take_while(u8::is_ascii_digit).count();
        let (number, after) = rest.split_at_checked(digits)?;
        let letters = after.bytes().take_while(u8::is_ascii_alphabetic).count();
        let (unit, after) = after.split_at_checked(letters)?;
        let millis = match unit {
            "ms" => 1,
            "s" => 1_000,
            "m" => 60_000,
            "h" => 3_600_000,
            "d" => 86_400_000,
            "w" => 604_800_000,
            _ => return None,
        };
        let part = number.parse::<u64>().ok()?.checked_mul(millis)?;
        total = total.checked_add(Duration::from_millis(part))?;
        rest = after;
    }
    (!text.is_empty()).then_some(total)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn read(steps: Value) -> Result<Scenario, String> {
        let file = json!({"title": "t", "why": "w", "actors": ["lead", "alice #x"], "steps": steps});
        parse("sample", &file.to_string())
    }

    #[test]
    fn what_is_not_understood_is_an_error_with_its_place() {
        let good = json!({"as": "user", "do": "who", "expect": [{}, {}]});
        let scenario = read(json!([good])).unwrap();
        assert_eq!(scenario.groups[MAIN][1].labels, ["x"]);
        for (step, why) in [
            (json!({"as": "user", "do": "whom"}), "no operation \"whom\""),
            (json!({"as": "user", "do": "who", "expects": 1}), "unknown field `expects`"),
            (json!({"do": "who"}), "missing field `as`"),
            (json!({"as": "user", "do": "send", "with": {"txt": "x"}}), "takes no \"txt\""),
            (json!({"as": "user", "do": "send", "with": {"text": "x", "to": "a"}}), "a list of texts, not"),
            (json!({"as": "user", "do": "send", "with": {"text": "x", "low": false}}), "is a true, not"),
            (json!({"as": "user", "do": "send", "with": {"text": "x", "expires": "soon"}}), "is a time"),
            (json!({"as": "user", "do": "send", "with": {"text": "x", "file": ["f"]}}), "not among `files`"),
            (json!({"as": "user", "do": "ack", "with": {"event": "$m"}}), "nothing was saved as \"m\""),
            (json!({"as": "user", "do": "who", "expect": [{"x": {"$is": 1}}]}), "there is no $is"),
            (
                json!({"as": "user", "do": "who", "refused": {"kind": "x", "message": "y", "hint": ""}}),
                "a piece of its message, and of its hint",
            ),
            (json!({"as": "user", "do": "who", "at": "soon"}), "is no time"),
            (json!({"as": "user", "do": "who", "in": "b"}), "no group \"b\""),
            (
                json!({"as": "user", "do": "who", "refused": {"kind": "x", "message": "y"}}),
                "missing field `hint`",
            ),
        ] {
            let error = read(json!([good, step])).unwrap_err();
            assert!(error.starts_with("sample.json, step 2: ") && error.contains(why), "{step}: {error}");
        }
        assert!(read(json!([{"as": "user", "do": "who"}])).unwrap_err().contains("nothing is expected"));
        let backwards =
            json!([{"as": "user", "do": "who", "at": "2m"}, {"as": "user", "do": "who", "at": "1m"}]);
        assert!(read(backwards).unwrap_err().contains("time goes forward"));
        let unknown = r#"{"title": "t", "why": "w", "step": []}"#;
        assert!(parse("sample", unknown).unwrap_err().contains("sample.json: unknown field `step`"));
    }

    #[test]
    fn durations() {
        for (text, millis) in [
            ("0s", Some(0)),
            ("1h30m", Some(5_400_000)),
            ("5ms", Some(5)),
            ("2d", Some(172_800_000)),
            ("", None),
            ("5", None),
            ("m", None),
            ("1y", None),
        ] {
            assert_eq!(duration(text), millis.map(Duration::from_millis), "{text}");
        }
    }
}
