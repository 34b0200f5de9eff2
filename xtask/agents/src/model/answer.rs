//! What the model says, in the agent's protocol: a text that ends the turn, or the call of a tool.

use serde_json::{Value, json};

use super::request::{Api, Offered};

/// What the model says.
#[derive(Clone, Debug)]
pub(crate) enum Said {
    /// A text; the turn ends.
    Text(String),
    /// The call of a tool, with the number that makes its id.
    Call(u64, Offered, Value),
}

impl Said {
    /// The body of the answer and its type.
    pub(crate) fn body(&self, api: Api, stream: bool, number: u64) -> (String, &'static str) {
        let events = match api {
            Api::Messages => self.messages(number),
            Api::Responses => self.responses(number),
            Api::Chat => self.chat(number),
            Api::Gemini => vec![self.gemini()],
        };
        if !stream {
            return (self.whole(api, number).to_string(), "application/json");
        }
        let mut body = String::new();
        for event in events {
            // The first two name their events in a line of their own, the others don't have names.
            if let (Api::Messages | Api::Responses, Some(kind)) =
                (api, event.get("type").and_then(Value::as_str))
            {
                body.push_str(&format!("event: {kind}\n"));
            }
            body.push_str(&format!("data: {event}\n\n"));
        }
        if api == Api::Chat {
            body.push_str("data: [DONE]\n\n");
        }
        (body, "text/event-stream")
    }

    /// The answer in one piece.
    fn whole(&self, api: Api, number: u64) -> Value {
        match api {
            Api::Messages => {
                let mut message = message(number);
                if let Some(map) = message.as_object_mut() {
                    map.insert("content".into(), json!([self.block()]));
                    map.insert("stop_reason".into(), self.stop_reason().into());
                }
                message
            }
            Api::Responses => response(number, "completed", vec![self.item(number)]),
            Api::Chat => {
                let (message, reason) = self.chat_message();
                json!({
                    "id": format!("chat-{number}"), "object": "chat.completion", "created": 1, "model": "fake",
                    "choices": [{"index": 0, "message": message, "finish_reason": reason}],
                    "usage": {"prompt_tokens": 10, "completion_tokens": 5, "total_tokens": 15},
                })
            }
            Api::Gemini => self.gemini(),
        }
    }

    fn stop_reason(&self) -> &'static str {
        if matches!(self, Self::Text(_)) { "end_turn" } else { "tool_use" }
    }

    fn block(&self) -> Value {
        match self {
            Self::Text(text) => json!({"type": "text", "text": text}),
            Self::Call(id, tool, arguments) => {
                json!({"type": "tool_use", "id": format!("toolu_{id}"), "name": tool.name, "input": arguments})
            }
        }
    }

    fn messages(&self, number: u64) -> Vec<Value> {
        let (start, delta) = match self {
            Self::Text(text) => {
                (json!({"type": "text", "text": ""}), json!({"type": "text_delta", "text": text}))
            }
            Self::Call(id, tool, arguments) => (
                json!({"type": "tool_use", "id": format!("toolu_{id}"), "name": tool.name, "input": {}}),
                json!({"type": "input_json_delta", "partial_json": arguments.to_string()}),
            ),
        };
        vec![
            json!({"type": "message_start", "message": message(number)}),
            json!({"type": "content_block_start", "index": 0, "content_block": start}),
            json!({"type": "content_block_delta", "index": 0, "delta": delta}),
            json!({"type": "content_block_stop", "index": 0}),
            json!({
                "type": "message_delta",
                "delta": {"stop_reason": self.stop_reason(), "stop_sequence": null},
                "usage": {"output_tokens": 5},
            }),
            json!({"type": "message_stop"}),
        ]
    }

    fn item(&self, number: u64) -> Value {
        match self {
            Self::Text(text) => json!({
                "type": "message", "id": format!("msg_{number}"), "role": "assistant", "status": "completed",
                "content": [{"type": "output_text", "text": text, "annotations": []}],
            }),
            Self::Call(id, tool, arguments) => {
                let mut item = json!({
                    "type": "function_call", "id": format!("fc_{number}"), "call_id": format!("call_{id}"),
                    "status": "completed", "name": tool.name, "arguments": arguments.to_string(),
                });
                if let (Some(map), Some(namespace)) = (item.as_object_mut(), &tool.namespace) {
                    map.insert("namespace".into(), namespace.as_str().into());
                }
                item
            }
        }
    }

    fn responses(&self, number: u64) -> Vec<Value> {
        let item = self.item(number);
        vec![
            json!({"type": "response.created", "response": response(number, "in_progress", vec![])}),
            json!({"type": "response.output_item.added", "output_index": 0, "item": item}),
            json!({"type": "response.output_item.done", "output_index": 0, "item": item}),
            json!({"type": "response.completed", "response": response(number, "completed", vec![item])}),
        ]
    }

    fn chat_message(&self) -> (Value, &'static str) {
        match self {
            Self::Text(text) => (json!({"role": "assistant", "content": text}), "stop"),
            Self::Call(id, tool, arguments) => (
                json!({"role": "assistant", "content": null, "tool_calls": [{
                    "index": 0, "id": format!("call_{id}"), "type": "function",
                    "function": {"name": tool.name, "arguments": arguments.to_string()},
                }]}),
                "tool_calls",
            ),
        }
    }

    fn chat(&self, number: u64) -> Vec<Value> {
        let (delta, reason) = self.chat_message();
        let chunk = |delta: Value, reason: Value| {
            json!({
                "id": format!("chat-{number}"), "object": "chat.completion.chunk", "created": 1, "model": "fake",
                "choices": [{"index": 0, "delta": delta, "finish_reason": reason}],
            })
        };
        let usage = json!({
            "id": format!("chat-{number}"), "object": "chat.completion.chunk", "created": 1, "model": "fake",
            "choices": [], "usage": {"prompt_tokens": 10, "completion_tokens": 5, "total_tokens": 15},
        });
        vec![chunk(delta, Value::Null), chunk(json!({}), reason.into()), usage]
    }

    fn gemini(&self) -> Value {
        let part = match self {
            Self::Text(text) => json!({"text": text}),
            Self::Call(id, tool, arguments) => {
                json!({"functionCall": {"id": format!("call_{id}"), "name": tool.name, "args": arguments}})
            }
        };
        json!({
            "candidates": [{"index": 0, "finishReason": "STOP", "content": {"role": "model", "parts": [part]}}],
            "usageMetadata": {"promptTokenCount": 10, "candidatesTokenCount": 5, "totalTokenCount": 15},
            "modelVersion": "fake",
        })
    }
}

fn message(number: u64) -> Value {
    json!({
        "id": format!("msg_{number}"), "type": "message", "role": "assistant", "model": "fake", "content": [],
        "stop_reason": null, "stop_sequence": null, "usage": {"input_tokens": 10, "output_tokens": 1},
    })
}

fn response(number: u64, status: &str, output: Vec<Value>) -> Value {
    json!({
        "id": format!("resp_{number}"), "object": "response", "created_at": 1, "model": "fake", "status": status,
        "output": output, "error": null,
        "usage": {
            "input_tokens": 10, "input_tokens_details": {"cached_tokens": 0}, "output_tokens": 5,
            "output_tokens_details": {"reasoning_tokens": 0}, "total_tokens": 15,
        },
    })
}
