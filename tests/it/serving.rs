//! Services by the real binary, and what `atalaya jobs` says of them.

#![expect(clippy::unwrap_used, reason = "tests")]

use std::path::Path;
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;

/// What anything is waited for at most; nothing is measured by it.
pub const PATIENCE: Duration = Duration::from_secs(90);
/// What a service promises for its end.
const END: Duration = Duration::from_secs(10);

pub fn home(jobs: &str) -> tempfile::TempDir {
    let home = tempfile::tempdir().unwrap();
    configure(home.path(), jobs);
    home
}

pub fn configure(home: &Path, jobs: &str) {
    let file = home.join(".config/atalaya/config.toml");
    std::fs::create_dir_all(file.parent().unwrap()).unwrap();
    let text = format!(
        "[ingest]\ndiscover = false\n[service]\nlease_seconds = 2\n{jobs}\n[jobs.git_sync]\nenabled = false\n"
    );
    std::fs::write(file, text).unwrap();
}

/// Every second on this host; the others once a day.
pub const EACH_SECOND: &str = "[jobs.health_sample]\nschedule = \"1s\"\n";

pub fn atalaya(home: &Path, arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_atalaya"));
    command
        .args(arguments)
        .env_clear()
        .env("HOME", home)
        .env("PATH", std::env::var_os("PATH").unwrap_or_default())
        // Services of several tests run at the same time.
        .env("ATALAYA_API__LISTEN", "127.0.0.1:0")
        .current_dir(home)
        .stdin(Stdio::null());
    command
}

pub fn run(home: &Path, arguments: &[&str]) -> Output {
    atalaya(home, arguments).output().unwrap()
}

pub fn json(home: &Path, arguments: &[&str]) -> Value {
    let output = run(home, arguments);
    assert!(output.status.success(), "{arguments:?}: {output:?}");
    serde_json::from_slice(&output.stdout).unwrap()
}

pub fn error_of(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

/// A service that ends with its test.
pub struct Service(Child);

impl Service {
    pub fn start(home: &Path) -> Self {
        Self::of(atalaya(home, &["serve"]))
    }

    pub fn of(mut command: Command) -> Self {
        Self(
            command
                .stdout(Stdio::null())
                .stderr(Stdio::piped())
                .spawn()
                .unwrap(),
        )
    }

    pub fn pid(&self) -> u32 {
        self.0.id()
    }

    pub fn signal(&self, signal: Signal) {
        let pid = Pid::from_raw(i32::try_from(self.pid()).unwrap()).unwrap();
        kill_process(pid, signal).unwrap();
    }

    pub fn kill(&mut self) {
        self.0.kill().unwrap();
        self.0.wait().unwrap();
    }

    /// Tells it to end; what it said, when it did so in time.
    pub fn end(mut self) -> String {
        let begin = Instant::now();
        self.signal(Signal::TERM);
        let status = self.0.wait().unwrap();
        assert!(begin.elapsed() < END, "it took {:?}", begin.elapsed());
        assert!(status.success(), "{status}");
        let mut said = String::new();
        std::io::Read::read_to_string(&mut self.0.stderr.take().unwrap(), &mut said).unwrap();
        said
    }
}

impl Drop for Service {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

pub fn wait_for<T>(what: &str, mut look: impl FnMut() -> Option<T>) -> T {
    let begin = Instant::now();
    loop {
        if let Some(found) = look() {
            return found;
        }
        assert!(begin.elapsed() < PATIENCE, "waited for {what} in vain");
        std::thread::sleep(Duration::from_millis(50));
    }
}

pub fn history(home: &Path, job: &str) -> Vec<Value> {
    let found = json(
        home,
        &["jobs", "history", job, "--limit", "100000", "--json"],
    );
    found.as_array().unwrap().clone()
}

pub fn results(home: &Path, job: &str, result: &str) -> usize {
    let runs = history(home, job);
    runs.iter().filter(|run| run["result"] == result).count()
}

/// Fence and process of each lease that is held, of those whose name begins so.
pub fn holder(home: &Path, lease: &str) -> Option<(i64, u32)> {
    let view = json(home, &["jobs", "list", "--json"]);
    let now = view["at"].as_str().unwrap();
    let held = view["leases"].as_array().unwrap().iter().find(|known| {
        known["name"].as_str().unwrap().starts_with(lease)
            && known["expires_at"].as_str().unwrap() > now
    })?;
    let pid = held["holder"]["pid"].as_u64().unwrap();
    Some((held["fence"].as_i64().unwrap(), u32::try_from(pid).unwrap()))
}
