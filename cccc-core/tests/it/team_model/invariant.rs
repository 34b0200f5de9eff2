//! The sentences that must hold whatever happens.

use super::World;

impl World {
    pub(super) fn expect_sentences(&self) {
        self.model.expect_no_orphans();
        self.model.expect_undecided();
        self.model.expect_one_holder();
        self.model.expect_rate_notices();
    }
}
