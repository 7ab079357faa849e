//! Closes what is open, whatever way its owner ends.
//!
//! SQLite takes what it keeps beside a file (`-wal`, `-shm`) away when the last connection is closed.
//! A process that simply ends leaves both there, and the next reader of a disk that it cannot write
//! has to do without locks (`reading.rs`).

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, LazyLock, Mutex, PoisonError, Weak};

use sqlx::sqlite::SqlitePool;
use tokio::runtime::Handle;
use tokio_util::task::TaskTracker;
use tokio_util::task::task_tracker::TaskTrackerToken;

use super::errors::refused;
use crate::error::StoreError;
use crate::sync::lock;

/// The pools of a file, closed when its last owner is gone.
#[derive(Debug)]
pub(super) struct Closing<T: Pools> {
    pools: Mutex<T>,
    /// Until [`close_all`] has closed them. One whose last owner just went is not found any more, and
    /// not yet being closed: it is waited for by this.
    open: Mutex<Option<TaskTrackerToken>>,
}

/// What has connections.
pub(super) trait Pools: Clone + Send + 'static {
    /// Readers first: the writer's end then finds nobody else.
    fn pools(&self) -> Vec<SqlitePool>;
}

/// The files that this process has open.
static OPEN: Mutex<Vec<Weak<dyn Open>>> = Mutex::new(Vec::new());
/// What has connections: an open file, one that is being opened, one that was dropped and is being
/// closed, a check.
static BUSY: LazyLock<TaskTracker> = LazyLock::new(TaskTracker::new);
/// The process is leaving: nothing is opened any more.
static LEAVING: AtomicBool = AtomicBool::new(false);

trait Open: Send + Sync {
    fn open(&self) -> Vec<SqlitePool>;
    /// It was closed: nobody waits for it any more.
    fn release(&self);
}

impl<T: Pools> Open for Closing<T> {
    fn open(&self) -> Vec<SqlitePool> {
        lock(&self.pools).pools()
    }

    fn release(&self) {
        lock(&self.open).take();
    }
}

impl<T: Pools> Closing<T> {
    /// # Errors
    /// The process is leaving.
    pub(super) async fn new(pools: T) -> Result<Arc<Self>, StoreError> {
        let found = pools.pools();
        let closing = Arc::new(Self {
            pools: Mutex::new(pools),
            open: Mutex::new(Some(BUSY.token())),
        });
        let weak = Arc::downgrade(&closing);
        let is_known = {
            let mut open = lock(&OPEN);
            open.retain(|file| file.strong_count() > 0);
            // Who leaves looks at the list afterwards: it is there, or refused.
            let may_stay = !LEAVING.load(Ordering::SeqCst);
            if may_stay {
                open.push(weak);
            }
            may_stay
        };
        if is_known {
            return Ok(closing);
        }
        close(found).await;
        Err(leaving())
    }

    pub(super) fn get(&self) -> T {
        lock(&self.pools).clone()
    }

    /// Puts others in their place. Who still reads with these goes on with them.
    pub(super) fn replace(&self, pools: T) {
        *lock(&self.pools) = pools;
    }
}

impl<T: Pools> Drop for Closing<T> {
    fn drop(&mut self) {
        // Without a runtime there is nobody to wait for it either.
        if let Ok(runtime) = Handle::try_current() {
            let pools = self.pools.get_mut().unwrap_or_else(PoisonError::into_inner);
            BUSY.spawn_on(close(pools.pools()), &runtime);
        }
    }
}

pub(super) async fn close(pools: Vec<SqlitePool>) {
    for pool in pools {
        pool.close().await;
    }
}

/// For whoever makes connections: until it is dropped, [`close_all`] waits.
///
/// # Errors
/// The process is leaving.
pub(super) fn busy() -> Result<TaskTrackerToken, StoreError> {
    let token = BUSY.token();
    // Looked at while it is held: who leaves either sees it or is seen.
    if LEAVING.load(Ordering::SeqCst) {
        return Err(leaving());
    }
    Ok(token)
}

fn leaving() -> StoreError {
    refused("the program is ending".to_owned())
}

/// Closes every file that this process has open, and waits for what is being opened or closed. For
/// its end: what is asked of a store after it is refused.
pub async fn close_all() {
    LEAVING.store(true, Ordering::SeqCst);
    BUSY.close();
    loop {
        let files: Vec<_> = lock(&OPEN).iter().filter_map(Weak::upgrade).collect();
        let mut were_closed = true;
        for file in files {
            let pools = file.open();
            were_closed &= pools.iter().all(SqlitePool::is_closed);
            close(pools).await;
            file.release();
        }
        BUSY.wait().await;
        // Others may have been put in their place meanwhile.
        if were_closed {
            return;
        }
    }
}
