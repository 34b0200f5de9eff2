//! What a person may have an agent do with one word.

use rmcp::model::{ErrorData, GetPromptResult, Prompt, PromptMessage, Role};

/// Name, what it is for, text.
const PROMPTS: [(&str, &str, &str); 2] = [
    (
        "join",
        "Join the group of this project",
        "Call cccc_bootstrap and follow its rules. Then read your mail with cccc_inbox_list, settle what you owe, say \
         with cccc_agent_state what you will do, and tell me in two sentences who you are and what is open.",
    ),
    (
        "report",
        "Report to the user how things stand",
        "Look at cccc_inbox_list, cccc_task {\"action\":\"list\"}, cccc_coordination {\"action\":\"owed\"} and \
         cccc_context_get. Then tell me in at most ten lines: what is done, with its evidence; what is open and who \
         waits for whom; what you need from me.",
    ),
];

pub(crate) fn list() -> Vec<Prompt> {
    PROMPTS.iter().map(|(name, about, _)| Prompt::new(*name, Some(*about), None)).collect()
}

pub(crate) fn get(name: &str) -> Result<GetPromptResult, ErrorData> {
    let Some((_, about, text)) = PROMPTS.iter().find(|(known, ..)| *known == name) else {
        return Err(ErrorData::invalid_params(format!("there is no prompt {name:?}"), None));
    };
    let message = PromptMessage::new_text(Role::User, *text);
    Ok(GetPromptResult::new(vec![message]).with_description(*about))
}
