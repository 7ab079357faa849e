//! The real program, killed at each step at which the spool and the checkpoint make something
//! durable: every line is in the store exactly once.

use std::fs::{self, File};
use std::io::Write;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use atalaya::ingest::crash;
use atalaya::store::health::StoreHealth as _;
use atalaya::store::sqlite::chunks::SqliteChunkStore;

use crate::ingest_kill::messages;

/// How often the point is passed before it kills: at once, at once again (in the middle of coming
/// back), and later.
const PASSES: [u32; 3] = [0, 0, 2];
const LIMIT: Duration = Duration::from_secs(60);

fn start(dir: &Path, points: Option<String>) -> Child {
    let mut command = Command::new(env!("CARGO_BIN_EXE_atalaya"));
    command
        .arg("--data-dir")
        .arg(dir.join("data"))
        .args(["ingest", "--follow", "--format", "plain"])
        .arg(dir.join("x.log"))
        .env("XDG_CONFIG_HOME", dir.join("config"))
        .env("ATALAYA_INGEST__SPOOL__ENABLED", "true")
        // Segments are closed and removed as soon as they are through.
        .env("ATALAYA_INGEST__SPOOL__KEEP_SECONDS", "0")
        .env_remove("ATALAYA_CONFIG")
        .env_remove("FAILPOINTS")
        .stdout(Stdio::null())
        .stderr(
            File::options()
                .create(true)
                .append(true)
                .open(dir.join("stderr"))
                .unwrap(),
        );
    if let Some(points) = points {
        command.env("FAILPOINTS", points);
    }
    command.spawn().unwrap()
}

fn line(number: u64) -> String {
    format!("line {number:06} that must come through")
}

fn write_lines(dir: &Path, written: &mut u64, count: u64) {
    let text: String = (*written..*written + count)
        .map(|number| line(number) + "\n")
        .collect();
    let mut file = File::options()
        .create(true)
        .append(true)
        .open(dir.join("x.log"))
        .unwrap();
    file.write_all(text.as_bytes()).unwrap();
    *written += count;
}

fn kill_at(point: &str) {
    let dir = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
    fs::create_dir(dir.path().join("data")).unwrap();
    let mut written = 0;
    write_lines(dir.path(), &mut written, 2_500);
    let said = || fs::read_to_string(dir.path().join("stderr")).unwrap_or_default();
    for passes in PASSES {
        let action = if passes == 0 {
            "return".to_owned()
        } else {
            format!("{passes}*off->return")
        };
        let mut child = start(dir.path(), Some(format!("{point}={action}")));
        let began = Instant::now();
        // There is always more to do, until the program dies of it.
        let ended = loop {
            if let Some(ended) = child.try_wait().unwrap() {
                break ended;
            }
            assert!(
                began.elapsed() < LIMIT,
                "{point} was not reached after {passes} passes\n{}",
                said()
            );
            write_lines(dir.path(), &mut written, 20);
            std::thread::sleep(Duration::from_millis(40));
        };
        assert!(
            ended.code().is_none(),
            "{point}: ended by itself with {ended}\n{}",
            said()
        );
    }
    write_lines(dir.path(), &mut written, 100);

    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    let mut child = start(dir.path(), None);
    let store = runtime
        .block_on(SqliteChunkStore::open(&dir.path().join("data/logs.db")))
        .unwrap();
    let began = Instant::now();
    while runtime.block_on(store.stats()).unwrap().records < written {
        let stored = runtime.block_on(store.stats()).unwrap().records;
        assert!(
            began.elapsed() < LIMIT,
            "{point}: {stored} of {written} lines came\n{}",
            said()
        );
        std::thread::sleep(Duration::from_millis(20));
    }
    // Long enough for a line that would come twice.
    std::thread::sleep(Duration::from_millis(700));
    child.kill().unwrap();
    child.wait().unwrap();
    let mut found = runtime.block_on(messages(&store));
    found.sort_unstable();
    let wanted: Vec<String> = (0..written).map(line).collect();
    assert!(
        found == wanted,
        "{point}: {} records of {written} lines\n{}",
        found.len(),
        said()
    );
}

/// Several tests, so that they share the cores.
fn kill_at_some(part: usize) {
    for point in crash::POINTS.iter().skip(part).step_by(4) {
        kill_at(point);
    }
}

/// R3: killed at each durable step.
#[test]
fn killed_at_each_durable_step_nothing_is_lost_or_doubled_1() {
    kill_at_some(0);
}

#[test]
fn killed_at_each_durable_step_nothing_is_lost_or_doubled_2() {
    kill_at_some(1);
}

#[test]
fn killed_at_each_durable_step_nothing_is_lost_or_doubled_3() {
    kill_at_some(2);
}

#[test]
fn killed_at_each_durable_step_nothing_is_lost_or_doubled_4() {
    kill_at_some(3);
}
