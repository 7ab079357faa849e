//! A machine that is busy with something else: both cores and the disk. What holds only on a quiet
//! one does not hold.

use std::fs::File;
use std::io::{Seek as _, Write as _};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;

use anyhow::Context as _;

/// How much is written between two syncs: long enough that others wait for the disk.
const BURST: usize = 8 << 20;

/// Keeps the machine busy until it is dropped.
#[derive(Debug)]
pub struct Load {
    stop: Arc<AtomicBool>,
    threads: Vec<JoinHandle<()>>,
}

impl Load {
    /// One busy thread for each core, and one that writes and syncs without end.
    ///
    /// # Errors
    /// No temporary file can be made.
    pub fn start() -> anyhow::Result<Self> {
        let stop = Arc::new(AtomicBool::new(false));
        let cores = std::thread::available_parallelism().map_or(2, usize::from);
        let mut threads: Vec<_> = (0..cores)
            .map(|_| {
                let stop = Arc::clone(&stop);
                std::thread::spawn(move || {
                    let mut number = 1_u64;
                    while !stop.load(Ordering::Relaxed) {
                        for _ in 0..10_000 {
                            number = std::hint::black_box(
                                number.wrapping_mul(6_364_136_223_846_793_005),
                            );
                        }
                    }
                })
            })
            .collect();
        let file = tempfile::tempfile().context("a file for the load on the disk")?;
        let stopped = Arc::clone(&stop);
        threads.push(std::thread::spawn(move || write_and_sync(file, &stopped)));
        Ok(Self { stop, threads })
    }
}

fn write_and_sync(mut file: File, stop: &AtomicBool) {
    let bytes = vec![0x5a; BURST];
    while !stop.load(Ordering::Relaxed) {
        // A full disk is load enough.
        let _ = file.rewind();
        let _ = file.write_all(&bytes);
        let _ = file.sync_all();
    }
}

impl Drop for Load {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        for thread in self.threads.drain(..) {
            let _ = thread.join();
        }
    }
}
