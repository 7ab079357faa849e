//! Many files and few descriptors, through the real thread and task.

use std::collections::HashMap;
use std::fs::{self, File};
use std::io::Write;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use async_trait::async_trait;
use atalaya_domain::record::{Frame, OriginId};
use atalaya_ingest::{FrameSink, Ingest, IngestConfig, IngestInput, Mode, format};
use atalaya_store::error::StoreError;
use tokio_util::sync::CancellationToken;

#[derive(Debug, Default)]
struct Memory {
    lines: Mutex<HashMap<String, u32>>,
    watermarks: Mutex<HashMap<OriginId, u64>>,
}

#[async_trait]
impl FrameSink for Memory {
    async fn append(&self, frames: Arc<[Frame]>) -> Result<u64, StoreError> {
        let mut records = 0;
        for frame in &*frames {
            let mut marks = self.watermarks.lock().unwrap();
            marks.insert(frame.origin.id, frame.until);
            for entry in &frame.entries {
                let message = entry.message.to_string();
                *self.lines.lock().unwrap().entry(message).or_default() += 1;
                records += 1;
            }
        }
        Ok(records)
    }

    async fn watermark(&self, origin: OriginId) -> Result<Option<u64>, StoreError> {
        Ok(self.watermarks.lock().unwrap().get(&origin).copied())
    }
}

fn run(files: usize, open_files: usize) {
    let dir = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
    let logs = dir.path().join("logs");
    fs::create_dir(&logs).unwrap();
    for file in 0..files {
        fs::write(
            logs.join(format!("{file}.log")),
            format!("first of {file}\n"),
        )
        .unwrap();
    }
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(1)
        .enable_all()
        .build()
        .unwrap();
    let sink = Arc::new(Memory::default());
    let wait_for = |count: usize| {
        let began = Instant::now();
        while sink.lines.lock().unwrap().len() < count {
            assert!(
                began.elapsed() < Duration::from_secs(60),
                "{} of {count}",
                sink.lines.lock().unwrap().len()
            );
            std::thread::sleep(Duration::from_millis(10));
        }
        began.elapsed()
    };
    let input = IngestInput {
        format: format::by_name("plain"),
        ..IngestInput::detected(logs.join("*.log").to_string_lossy())
    };
    let mut config = IngestConfig::new(vec![input], dir.path().join("state"), "host", Mode::Follow);
    config.limits.open_files = open_files;
    let handle = {
        let _inside = runtime.enter();
        Ingest::start(config, sink.clone(), CancellationToken::new()).unwrap()
    };
    let first = wait_for(files);
    let mut took = Duration::ZERO;
    for round in 0..2 {
        std::thread::sleep(Duration::from_millis(1_500));
        for file in 0..files {
            let path = logs.join(format!("{file}.log"));
            let mut log = File::options().append(true).open(path).unwrap();
            writeln!(log, "line {round} of {file}").unwrap();
        }
        took = wait_for(files * (round + 2));
    }
    println!("{files} files, {open_files} open: first {first:?}, one more line of each {took:?}");
    runtime.block_on(handle.stop()).unwrap();
    assert!(sink.lines.lock().unwrap().values().all(|times| *times == 1));
}

/// 5,000 of them, each with one more line: 4 s in a debug build. Fewer here, for a busy machine.
///
/// R43: long lines take little memory.
#[test]
fn many_files_are_followed() {
    let files = if std::env::var_os("ATALAYA_TEST_LONG").is_some() {
        5_000
    } else {
        1_000
    };
    run(files, 16_384);
}

/// R43: long lines take little memory.
#[test]
fn more_files_than_descriptors_are_followed() {
    run(300, 40);
}
