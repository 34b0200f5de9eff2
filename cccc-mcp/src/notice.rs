//! Notices as an agent sees them: what has happened or is due, with the call that shows more.
//!
//! They are shown once, so none is counted as seen that was not shown.

use cccc_core::{Group, NoticeView, Result};

use crate::bounds::{fitting, head};
use crate::calls::calls;

/// The notice that says what somebody else has written.
const WRITTEN: &str = "schedule";
/// The longest notice.
const WORDS_BYTES: usize = 1000;

/// The oldest notices that were not shown yet, as many as fit into so many bytes, and at least one.
pub(crate) async fn fit(group: &Group, max_bytes: usize) -> Result<Vec<NoticeView>> {
    let mut notices: Vec<NoticeView> = group.notices(false).await?.into_iter().map(shown).collect();
    let most = fitting(&notices, max_bytes).max(1);
    notices.truncate(most);
    Ok(notices)
}

fn shown(mut notice: NoticeView) -> NoticeView {
    if notice.notice != WRITTEN {
        notice.words = calls(&notice.words);
    }
    if let (kept, false) = head(&notice.words, WORDS_BYTES) {
        notice.words = format!("{kept}… (cccc_history {{\"from\":{},\"limit\":1}} shows all)", notice.seq);
    }
    notice
}
