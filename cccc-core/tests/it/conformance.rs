//! Every ledger passes the one suite.

use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use cccc_core::disk::{Disk, RealDisk};
use cccc_core::ledger::file::Options as FileOptions;
use cccc_core::ledger::{FileLedger, Ledger, MemoryLedger};
use cccc_core::testing::conformance::{self, Factory};
use cccc_core::testing::sim::{World, block_on};
use cccc_core::{GroupId, Result};

/// File ledgers under one directory.
struct Files {
    disk: Arc<dyn Disk>,
    home: PathBuf,
    options: FileOptions,
}

#[async_trait]
impl Factory for Files {
    async fn create(&self, group_id: &GroupId) -> Result<Arc<dyn Ledger>> {
        let dir = self.home.join(group_id.as_str());
        FileLedger::create(self.disk.clone(), dir, group_id.clone(), self.options)?;
        self.open(group_id).await
    }

    async fn open(&self, group_id: &GroupId) -> Result<Arc<dyn Ledger>> {
        let dir = self.home.join(group_id.as_str());
        Ok(Arc::new(FileLedger::open(self.disk.clone(), dir, group_id.clone(), self.options)?))
    }
}

/// Memory ledgers by group; handles to one are clones.
#[derive(Default)]
struct Memory(Mutex<HashMap<GroupId, MemoryLedger>>);

#[async_trait]
impl Factory for Memory {
    async fn create(&self, group_id: &GroupId) -> Result<Arc<dyn Ledger>> {
        self.0.lock().unwrap().insert(group_id.clone(), MemoryLedger::new(group_id.clone()));
        self.open(group_id).await
    }

    async fn open(&self, group_id: &GroupId) -> Result<Arc<dyn Ledger>> {
        Ok(Arc::new(self.0.lock().unwrap()[group_id].clone()))
    }
}

#[tokio::test]
async fn memory() {
    let memory = Memory::default();
    let check = conformance::check(&memory);
    tokio::time::timeout(Duration::from_secs(60), check).await.unwrap().unwrap();
}

#[tokio::test]
async fn files_on_a_real_disk() {
    for segment_bytes in [1000, 64 << 20] {
        let home = tempfile::tempdir().unwrap();
        let options = FileOptions::default().segment_bytes(segment_bytes);
        let files = Files { disk: Arc::new(RealDisk::new()), home: home.path().into(), options };
        let check = conformance::check(&files);
        tokio::time::timeout(Duration::from_secs(60), check).await.unwrap().unwrap();
    }
}

#[test]
fn files_on_a_simulated_disk() {
    for (seed, segment_bytes) in [(1, 1000), (2, 64 << 20)] {
        let world = World::new(seed);
        let process = world.process();
        let disk: Arc<dyn Disk> = Arc::new(process.clone());
        world.spawn(&process, "conformance", move || {
            let options = FileOptions::default().segment_bytes(segment_bytes);
            let files = Files { disk, home: "/home".into(), options };
            block_on(conformance::check(&files)).unwrap();
        });
        assert_eq!(world.run().failure, None);
    }
}
