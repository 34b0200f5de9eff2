//! Who waits for whom.

use super::Group;
use crate::error::Result;
use crate::rule::wait::{self, WaitGraph};

impl Group {
    /// Who waits for whom over everything that is owed, and where that goes round in a circle.
    ///
    /// It is displayed as text; [`WaitGraph::to_dot`] draws it for Graphviz.
    pub async fn waits(&self) -> Result<WaitGraph> {
        let now = self.shared.engine.clock().now();
        self.shared.engine.query(|state| wait::graph(state, now)).await
    }
}
