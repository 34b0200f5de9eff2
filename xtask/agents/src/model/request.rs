//! What an agent asked its model, in one form for all protocols: who said what, and which tools are offered.

use serde_json::Value;

/// How agents talk to models.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Api {
    /// Anthropic's Messages.
    Messages,
    /// OpenAI's Responses.
    Responses,
    /// OpenAI's chat completions.
    Chat,
    /// Google's generateContent.
    Gemini,
}

/// Who speaks in a part of a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum From {
    System,
    User,
    /// The model itself, earlier: an echo that proves nothing.
    Model,
    /// The answer of a tool.
    Tool,
}

/// One thing that somebody said.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Part {
    pub(crate) from: From,
    pub(crate) text: String,
}

/// A tool as the agent offers it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Offered {
    pub(crate) namespace: Option<String>,
    pub(crate) name: String,
}

/// A request to the model.
#[derive(Clone, Debug)]
pub(crate) struct Request {
    /// Which request of the session itself it is, from 0.
    pub(crate) number: usize,
    pub(crate) parts: Vec<Part>,
    pub(crate) tools: Vec<Offered>,
}

impl Request {
    pub(crate) fn of(api: Api, body: &Value) -> Self {
        let mut parts = Parts::default();
        match api {
            Api::Messages => parts.messages(body),
            Api::Responses => parts.responses(body),
            Api::Chat => parts.chat(body),
            Api::Gemini => parts.gemini(body),
        }
        Self { number: 0, parts: parts.0, tools: tools(body) }
    }

    /// The offered tool that is meant by a name without the agent's own prefix.
    pub(crate) fn tool(&self, name: &str) -> Option<&Offered> {
        let exact = self.tools.iter().find(|tool| tool.name == name);
        exact.or_else(|| self.tools.iter().find(|tool| is_prefixed(&tool.name, name)))
    }

    /// The full name of a tool that is only named, for the model to look it up before it can call it.
    pub(crate) fn deferred(&self, name: &str) -> Option<&str> {
        self.finder()?;
        let is_word = |c: char| c.is_ascii_alphanumeric() || c == '_' || c == '-';
        let texts = self.parts.iter().filter(|part| part.from != From::Model);
        texts.flat_map(|part| part.text.split(|c| !is_word(c))).find(|word| is_prefixed(word, name))
    }

    /// The tool with which a model looks up others.
    pub(crate) fn finder(&self) -> Option<&Offered> {
        self.tools.iter().find(|tool| matches!(tool.name.as_str(), "tool_search" | "ToolSearch"))
    }

    /// Whether our tools are offered. What an agent asks its model on the side (a title, a check of its quota)
    /// comes without them.
    pub(crate) fn is_main(&self) -> bool {
        self.tool("cccc_bootstrap").is_some() || self.deferred("cccc_bootstrap").is_some()
    }

    /// What the last tool said.
    pub(crate) fn last_tool(&self) -> Option<&str> {
        self.parts.iter().rev().find(|part| part.from == From::Tool).map(|part| part.text.as_str())
    }

    /// How often a text stands in what was not said by the model itself.
    pub(crate) fn count(&self, text: &str) -> usize {
        self.parts
            .iter()
            .filter(|part| part.from != From::Model)
            .map(|part| part.text.matches(text).count())
            .sum()
    }
}

/// Whether a name is another behind an agent's prefix.
fn is_prefixed(full: &str, name: &str) -> bool {
    full.strip_suffix(name).is_some_and(|prefix| prefix.ends_with(['_', '-']))
}

/// The names of the offered tools, in whichever form.
fn tools(body: &Value) -> Vec<Offered> {
    let mut found = Vec::new();
    for tool in list(body.get("tools")) {
        let declared = tool.get("functionDeclarations").or_else(|| tool.get("function_declarations"));
        if tool.get("type").and_then(Value::as_str) == Some("namespace") {
            let namespace = word(tool, "name");
            for inner in list(tool.get("tools")) {
                found.extend(word(inner, "name").map(|name| Offered { namespace: namespace.clone(), name }));
            }
        } else if let Some(declared) = declared {
            let names = list(Some(declared)).filter_map(|one| word(one, "name"));
            found.extend(names.map(|name| Offered { namespace: None, name }));
        } else {
            let name = word(tool, "name").or_else(|| word(tool.get("function")?, "name"));
            found.extend(name.map(|name| Offered { namespace: None, name }));
        }
    }
    found
}

fn list(value: Option<&Value>) -> impl Iterator<Item = &Value> {
    value.and_then(Value::as_array).into_iter().flatten()
}

fn word(value: &Value, key: &str) -> Option<String> {
    value.get(key)?.as_str().map(ToOwned::to_owned)
}

#[derive(Default)]
struct Parts(Vec<Part>);

impl Parts {
    fn add(&mut self, from: From, text: impl Into<String>) {
        self.0.push(Part { from, text: text.into() });
    }

    /// A text, or a list of pieces with texts.
    fn content(&mut self, from: From, content: Option<&Value>) {
        match content {
            Some(Value::String(text)) => self.add(from, text.as_str()),
            Some(Value::Array(pieces)) => {
                for piece in pieces {
                    if let Some(text) = word(piece, "text") {
                        self.add(from, text);
                    }
                }
            }
            Some(Value::Null) | None => {}
            Some(other) => self.add(from, other.to_string()),
        }
    }

    fn messages(&mut self, body: &Value) {
        self.content(From::System, body.get("system"));
        for message in list(body.get("messages")) {
            let role = match message.get("role").and_then(Value::as_str) {
                Some("assistant") => From::Model,
                Some("system") => From::System,
                _ => From::User,
            };
            let Some(Value::Array(blocks)) = message.get("content") else {
                self.content(role, message.get("content"));
                continue;
            };
            for block in blocks {
                match block.get("type").and_then(Value::as_str) {
                    Some("text") => self.add(role, word(block, "text").unwrap_or_default()),
                    Some("tool_result") => self.content(From::Tool, block.get("content")),
                    Some("tool_use") => self.add(From::Model, block.to_string()),
                    _ => self.add(role, block.to_string()),
                }
            }
        }
    }

    fn responses(&mut self, body: &Value) {
        self.content(From::System, body.get("instructions"));
        if let Some(Value::String(text)) = body.get("input") {
            self.add(From::User, text.as_str());
        }
        for item in list(body.get("input")) {
            match item.get("type").and_then(Value::as_str).unwrap_or("message") {
                "message" => {
                    let role = match item.get("role").and_then(Value::as_str) {
                        Some("assistant") => From::Model,
                        Some("system" | "developer") => From::System,
                        _ => From::User,
                    };
                    self.content(role, item.get("content"));
                }
                "function_call_output" | "custom_tool_call_output" => {
                    self.content(From::Tool, item.get("output"));
                }
                _ => self.add(From::Model, item.to_string()),
            }
        }
    }

    fn chat(&mut self, body: &Value) {
        for message in list(body.get("messages")) {
            let role = match message.get("role").and_then(Value::as_str) {
                Some("assistant") => From::Model,
                Some("system" | "developer") => From::System,
                Some("tool") => From::Tool,
                _ => From::User,
            };
            self.content(role, message.get("content"));
            for call in list(message.get("tool_calls")) {
                self.add(From::Model, call.to_string());
            }
        }
    }

    fn gemini(&mut self, body: &Value) {
        let system = body.get("systemInstruction").or_else(|| body.get("system_instruction"));
        self.content(From::System, system.and_then(|system| system.get("parts")));
        for content in list(body.get("contents")) {
            let model = content.get("role").and_then(Value::as_str) == Some("model");
            let role = if model { From::Model } else { From::User };
            for part in list(content.get("parts")) {
                if let Some(text) = word(part, "text") {
                    self.add(role, text);
                } else if let Some(response) = part.get("functionResponse") {
                    self.add(From::Tool, response.get("response").unwrap_or(response).to_string());
                } else {
                    self.add(role, part.to_string());
                }
            }
        }
    }
}

/// Finds a field in the answer of a tool, however deep: agents wrap answers in other JSON, in texts, in both.
pub(crate) fn field(text: &str, key: &str) -> Option<Value> {
    text.match_indices(['{', '[']).take(64).find_map(|(at, _)| {
        let rest = text.get(at..)?;
        let value = serde_json::Deserializer::from_str(rest).into_iter::<Value>().next()?.ok()?;
        inside(&value, key)
    })
}

fn inside(value: &Value, key: &str) -> Option<Value> {
    match value {
        Value::Object(map) => {
            map.get(key).cloned().or_else(|| map.values().find_map(|inner| inside(inner, key)))
        }
        Value::Array(values) => values.iter().find_map(|inner| inside(inner, key)),
        Value::String(text) if text.contains('{') => field(text, key),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn said(request: &Request) -> Vec<(From, &str)> {
        request.parts.iter().map(|part| (part.from, part.text.as_str())).collect()
    }

    #[test]
    fn the_four_protocols_say_the_same() {
        let messages = json!({
            "system": [{"type": "text", "text": "rules"}],
            "messages": [
                {"role": "user", "content": "hello"},
                {"role": "assistant", "content": [{"type": "tool_use", "id": "1", "name": "t", "input": {}}]},
                {"role": "user", "content": [{"type": "tool_result", "content": [{"type": "text", "text": "word"}]}]},
            ],
            "tools": [{"name": "mcp__cccc__cccc_bootstrap"}],
        });
        let responses = json!({
            "instructions": "rules",
            "input": [
                {"type": "message", "role": "user", "content": [{"type": "input_text", "text": "hello"}]},
                {"type": "function_call", "name": "t", "arguments": "{}"},
                {"type": "function_call_output", "output": [{"type": "input_text", "text": "word"}]},
            ],
            "tools": [{"type": "namespace", "name": "mcp__cccc", "tools": [{"name": "cccc_bootstrap"}]}],
        });
        let chat = json!({
            "messages": [
                {"role": "system", "content": "rules"},
                {"role": "user", "content": [{"type": "text", "text": "hello"}]},
                {"role": "assistant", "content": null, "tool_calls": [{"id": "1"}]},
                {"role": "tool", "content": "word"},
            ],
            "tools": [{"type": "function", "function": {"name": "cccc_cccc_bootstrap"}}],
        });
        let gemini = json!({
            "systemInstruction": {"parts": [{"text": "rules"}]},
            "contents": [
                {"role": "user", "parts": [{"text": "hello"}]},
                {"role": "model", "parts": [{"functionCall": {"name": "t"}}]},
                {"role": "user", "parts": [{"functionResponse": {"response": {"output": "word"}}}]},
            ],
            "tools": [{"functionDeclarations": [{"name": "mcp_cccc_cccc_bootstrap"}]}],
        });
        for (api, body) in
            [(Api::Messages, messages), (Api::Responses, responses), (Api::Chat, chat), (Api::Gemini, gemini)]
        {
            let request = Request::of(api, &body);
            let [(From::System, "rules"), (From::User, "hello"), (From::Model, _), (From::Tool, word)] =
                said(&request)[..]
            else {
                panic!("{api:?}: {request:?}");
            };
            assert!(word.contains("word"), "{api:?}");
            assert!(request.is_main(), "{api:?}: {request:?}");
            assert_eq!((request.count("word"), request.count("functionCall")), (1, 0), "{api:?}");
        }
    }

    #[test]
    fn a_field_is_found_however_it_is_wrapped() {
        let answer = json!({"messages": [{"seq": 7}], "you": {"actor": "alice"}}).to_string();
        for text in [
            answer.clone(),
            format!("Wall time: 0.1 s [not JSON]\nOutput:\n{answer}"),
            json!({"output": answer}).to_string(),
            json!([{"type": "text", "text": answer}]).to_string(),
        ] {
            assert_eq!(field(&text, "actor"), Some(json!("alice")), "{text}");
            assert_eq!(field(&text, "seq"), Some(json!(7)), "{text}");
        }
        assert_eq!(field("nothing {here", "actor"), None);
    }
}
