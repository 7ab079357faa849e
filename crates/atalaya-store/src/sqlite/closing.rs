//! Closes what is open, whatever way its owner ends.
//!
//! SQLite takes what it keeps beside a file (`-wal`, `-shm`) away when the last connection is closed.
//! A process that simply ends leaves both there, and the next reader of a disk that it cannot write
//! has to do without locks (`reading.rs`).

use std::sync::{Arc, LazyLock, Mutex, Weak};

use sqlx::sqlite::SqlitePool;
use tokio::runtime::Handle;
use tokio_util::task::TaskTracker;
use tokio_util::task::task_tracker::TaskTrackerToken;

use crate::sync::lock;

/// The pools of a file, closed when its last owner is gone.
#[derive(Debug)]
pub(super) struct Closing<T: Pools>(Mutex<T>);

/// What has connections.
pub(super) trait Pools: Clone + Send + 'static {
    /// Readers first: the writer's end then finds nobody else.
    fn pools(&self) -> Vec<SqlitePool>;
}

/// The files that this process has open.
static OPEN: Mutex<Vec<Weak<dyn Open>>> = Mutex::new(Vec::new());
/// What has connections of its own and ends soon: a file that is being opened, one that was dropped
/// and is being closed, a check.
static BUSY: LazyLock<TaskTracker> = LazyLock::new(TaskTracker::new);

trait Open: Send + Sync {
    fn open(&self) -> Vec<SqlitePool>;
}

impl<T: Pools> Open for Closing<T> {
    fn open(&self) -> Vec<SqlitePool> {
        lock(&self.0).pools()
    }
}

impl<T: Pools> Closing<T> {
    pub(super) fn new(pools: T) -> Arc<Self> {
        let closing = Arc::new(Self(Mutex::new(pools)));
        let weak = Arc::downgrade(&closing);
        let mut open = lock(&OPEN);
        open.retain(|file| file.strong_count() > 0);
        open.push(weak);
        closing
    }

    pub(super) fn get(&self) -> T {
        lock(&self.0).clone()
    }

    /// Puts others in their place. Who still reads with these goes on with them.
    pub(super) fn replace(&self, pools: T) {
        *lock(&self.0) = pools;
    }
}

impl<T: Pools> Drop for Closing<T> {
    fn drop(&mut self) {
        // Without a runtime there is nobody to wait for it either.
        if let Ok(runtime) = Handle::try_current() {
            BUSY.spawn_on(close(lock(&self.0).pools()), &runtime);
        }
    }
}

pub(super) async fn close(pools: Vec<SqlitePool>) {
    for pool in pools {
        pool.close().await;
    }
}

/// Until it is dropped, [`close_all`] waits.
pub(super) fn busy() -> TaskTrackerToken {
    BUSY.token()
}

/// Closes every file that this process has open, and waits for what is being opened or closed. For
/// its end: what is asked of a store after it is refused.
pub async fn close_all() {
    BUSY.close();
    loop {
        let open: Vec<_> = lock(&OPEN).drain(..).collect();
        for file in open.iter().filter_map(Weak::upgrade) {
            close(file.open()).await;
        }
        BUSY.wait().await;
        // What was being opened meanwhile.
        if lock(&OPEN).is_empty() {
            return;
        }
    }
}
