//! The forms in which agents' hooks read and answer. A form is code; which agent uses which is data.
//!
//! `docs/hooks.md` says how each was found out. What a form cannot carry at a moment is not claimed there: it
//! waits for a moment, or a door, that can.

use serde_json::{Value, json};

use super::Event;

/// How an agent's hooks are answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Form {
    /// Claude Code, and those that took it over: Codex, Qwen Code, Droid...
    Claude,
    /// Gemini CLI.
    Gemini,
    /// Copilot CLI.
    Copilot,
    /// Cursor.
    Cursor,
    /// Auggie: as Claude Code's, but for the end of a turn.
    Auggie,
    /// Kimi Code.
    Kimi,
}

/// The forms, by the names by which they are asked for.
pub(crate) const FORMS: [(&str, Form); 6] = [
    ("claude", Form::Claude),
    ("gemini", Form::Gemini),
    ("copilot", Form::Copilot),
    ("cursor", Form::Cursor),
    ("auggie", Form::Auggie),
    ("kimi", Form::Kimi),
];

impl Form {
    /// A form by its name.
    pub(crate) fn named(name: &str) -> Option<Self> {
        FORMS.iter().find(|(known, _)| *known == name).map(|(_, form)| *form)
    }

    /// Whether a text can be put before the model at this moment.
    pub(crate) fn carries(self, event: Event) -> bool {
        match (self, event) {
            (_, Event::End) => false,
            // What these say at a prompt is not shown to the model.
            (Self::Copilot | Self::Cursor | Self::Auggie, Event::Prompt) => false,
            // Here it does not wait for what hooks say.
            (Self::Kimi, Event::Start | Event::Tool) => false,
            _ => true,
        }
    }

    /// The answer that puts a text before the model: beside what it is about to see, or, at the end of a turn,
    /// as what makes it go on. `name` is the agent's own name of the event, if it said one.
    pub(crate) fn says(self, event: Event, name: Option<&str>, text: &str) -> Value {
        match (self, event) {
            (Self::Claude | Self::Copilot, Event::Stop) => json!({"decision": "block", "reason": text}),
            (Self::Gemini, Event::Stop) => json!({"decision": "deny", "reason": text}),
            (Self::Cursor, Event::Stop) => json!({"followup_message": text}),
            (Self::Auggie, Event::Stop) => json!({"hookSpecificOutput": {
                "hookEventName": self.name_of(event),
                "decision": "block",
                "reason": text,
            }}),
            (Self::Kimi, Event::Stop) => self.denies(name.or(Some("Stop")), text),
            (Self::Kimi, _) => json!({"message": text}),
            (Self::Claude | Self::Gemini | Self::Auggie, _) => json!({"hookSpecificOutput": {
                "hookEventName": name.unwrap_or_else(|| self.name_of(event)),
                "additionalContext": text,
            }}),
            (Self::Copilot, _) => json!({"additionalContext": text}),
            (Self::Cursor, _) => json!({"additional_context": text}),
        }
    }

    /// The answer that keeps a tool from being used, with the reason that the model is given.
    pub(crate) fn denies(self, name: Option<&str>, text: &str) -> Value {
        match self {
            Self::Claude | Self::Auggie | Self::Kimi => json!({"hookSpecificOutput": {
                "hookEventName": name.unwrap_or_else(|| self.name_of(Event::BeforeTool)),
                "permissionDecision": "deny",
                "permissionDecisionReason": text,
            }}),
            Self::Gemini => json!({"decision": "deny", "reason": text}),
            Self::Copilot => json!({"permissionDecision": "deny", "permissionDecisionReason": text}),
            Self::Cursor => json!({"permission": "deny", "agent_message": text}),
        }
    }

    /// What agents of this form call an event.
    fn name_of(self, event: Event) -> &'static str {
        match (self, event) {
            (Self::Gemini, Event::Prompt) => "BeforeAgent",
            (Self::Gemini, Event::BeforeTool) => "BeforeTool",
            (Self::Gemini, Event::Tool) => "AfterTool",
            (Self::Gemini, Event::Stop) => "AfterAgent",
            (_, Event::Start) => "SessionStart",
            (_, Event::Prompt) => "UserPromptSubmit",
            (_, Event::BeforeTool) => "PreToolUse",
            (_, Event::Tool) => "PostToolUse",
            (_, Event::Stop) => "Stop",
            (_, Event::End) => "SessionEnd",
        }
    }
}
