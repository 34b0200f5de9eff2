//! Notices as an agent sees them: what has happened or is due, with the call that shows more.
//!
//! They are shown once, so none is counted as seen that was not shown.

use cccc_core::NoticeView;

use crate::bounds::{fitting, head};
use crate::calls::calls;

/// The notice that says what somebody else has written.
const WRITTEN: &str = "schedule";
/// The longest notice.
const WORDS_BYTES: usize = 1000;

/// The first of these notices, as many as fit into so many bytes, and at least one.
pub(crate) fn fit(notices: impl IntoIterator<Item = NoticeView>, max_bytes: usize) -> Vec<NoticeView> {
    let mut notices: Vec<NoticeView> = notices.into_iter().map(shown).collect();
    let most = fitting(&notices, max_bytes).max(1);
    notices.truncate(most);
    notices
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
