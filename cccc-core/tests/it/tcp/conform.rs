//! The suites, over a server.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use cccc_core::ledger::Ledger;
use cccc_core::testing::conformance::{self, Factory};
use cccc_core::{GroupId, Result, block_on};

use super::client::TcpLedger;
use super::keeper::Keeper;

/// Ledgers on one server.
struct OnServer(PathBuf);

#[async_trait]
impl Factory for OnServer {
    async fn create(&self, group_id: &GroupId) -> Result<Arc<dyn Ledger>> {
        let ledger = TcpLedger::open(&self.0, group_id.clone())?;
        ledger.create().await?;
        Ok(Arc::new(ledger))
    }

    async fn open(&self, group_id: &GroupId) -> Result<Arc<dyn Ledger>> {
        Ok(Arc::new(TcpLedger::open(&self.0, group_id.clone())?))
    }
}

#[tokio::test]
async fn a_ledger_on_a_server_conforms() {
    let keeper = Keeper::start(Duration::ZERO);
    let check = async { conformance::check(&OnServer(keeper.dir().into())).await };
    tokio::time::timeout(Duration::from_secs(60), check).await.unwrap().unwrap();
}

#[test]
fn it_conforms_where_the_program_has_no_runtime() {
    let keeper = Keeper::start(Duration::from_millis(1));
    block_on(conformance::check(&OnServer(keeper.dir().into()))).unwrap();
}
