//! The real service, from a line in a file to a message at a receiver.

use std::collections::BTreeSet;
use std::io::Write as _;
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use super::receiver::{Got, OK, Receiver, Reply};

/// A folder with a configuration, a followed file, and a service on both.
struct Service {
    folder: tempfile::TempDir,
    child: Option<Child>,
}

impl Service {
    fn new(receiver: &Receiver) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let log = folder.path().join("shop.log");
        std::fs::write(&log, "").unwrap();
        let port = receiver.port;
        let config = format!(
            r#"
[service]
lease_seconds = 2
[ingest]
discover = false
[[ingest.files]]
path = "{log}"
source = "shop"
format = "json"
[alerts]
evaluate = "1s"
allow_hosts = ["127.0.0.1"]
disable = ["errors", "backup-disk"]
[alerts.heartbeat]
url = "http://127.0.0.1:{port}/alive"
[[alerts.rules]]
name = "shop-errors"
measure = {{ kind = "count", query = "level>=error source:shop", window = "5m" }}
when = ">= 10"
severity = "critical"
[alerts.channels.hook]
kind = "webhook"
url = "http://127.0.0.1:{port}/hook"
"#,
            log = log.display()
        );
        std::fs::write(folder.path().join("config.toml"), config).unwrap();
        Self {
            folder,
            child: None,
        }
    }

    fn start(&mut self) {
        let child = Command::new(env!("CARGO_BIN_EXE_atalaya"))
            .current_dir(self.folder.path())
            .env_clear()
            .env("HOME", self.folder.path())
            .env("PATH", "/usr/bin:/bin")
            .args(["--config", "config.toml", "--data-dir", "data", "serve"])
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        self.child = Some(child);
    }

    /// SIGKILL, and gone.
    fn kill(&mut self) {
        if let Some(mut child) = self.child.take() {
            let _ = child.kill();
            child.wait().unwrap();
        }
    }

    fn errors(&self, count: usize) {
        let mut file = std::fs::OpenOptions::new()
            .append(true)
            .open(self.folder.path().join("shop.log"))
            .unwrap();
        for number in 0..count {
            let now = atalaya::domain::time::Timestamp::now().to_rfc3339();
            writeln!(
                file,
                "{{\"timestamp\":\"{now}\",\"level\":\"ERROR\",\"message\":\"order {number} failed\",\"request_id\":\"req-{number}\"}}"
            )
            .unwrap();
        }
    }
}

impl Drop for Service {
    fn drop(&mut self) {
        self.kill();
    }
}

fn hooks(receiver: &Receiver) -> Vec<Got> {
    let mut got = receiver.got();
    got.retain(|got| got.head.starts_with("POST /hook"));
    got
}

/// Waits as long as it takes; the test's own time limit ends what never comes.
fn until<T>(mut look: impl FnMut() -> Option<T>) -> T {
    loop {
        if let Some(found) = look() {
            return found;
        }
        std::thread::sleep(Duration::from_millis(50));
    }
}

#[test]
fn ten_error_lines_become_a_message_and_the_heart_beats() {
    let receiver = Receiver::start();
    let mut service = Service::new(&receiver);
    service.start();
    service.errors(10);
    let message = until(|| hooks(&receiver).pop()).json();
    let notice = &message["notices"][0];
    assert_eq!(
        (&notice["rule"], &notice["kind"]),
        (&"shop-errors".into(), &"firing".into())
    );
    assert_eq!(notice["value"], 10.0);
    assert!(notice["evidence"]["request_ids"].as_array().unwrap().len() == 10);
    until(|| {
        receiver
            .got()
            .into_iter()
            .find(|got| got.head.starts_with("GET /alive"))
    });
}

/// SIGKILL when the receiver has the message and the service does not know it: the same message once
/// more, by its key, and then the next ones.
#[test]
fn killed_between_sending_and_recording_it_repeats_at_most_once() {
    let receiver = Receiver::start();
    let mut service = Service::new(&receiver);
    let victim = Arc::new(Mutex::new(None::<u32>));
    let target = Arc::clone(&victim);
    receiver.answers(move |got| {
        if got.head.starts_with("POST /hook")
            && let Some(pid) = target.lock().unwrap().take()
        {
            let pid = rustix::process::Pid::from_raw(pid.try_into().unwrap()).unwrap();
            rustix::process::kill_process(pid, rustix::process::Signal::KILL).unwrap();
            return Reply::HangUp;
        }
        OK
    });
    service.start();
    *victim.lock().unwrap() = service.child.as_ref().map(Child::id);
    service.errors(10);
    until(|| hooks(&receiver).pop());
    service.kill();
    service.start();
    until(|| (hooks(&receiver).len() >= 2).then_some(()));
    // Something else to tell: the end of the alert is five minutes away, so a rule is added.
    let rule = "name = \"second\"\nmeasure = { kind = \"health\", measure = \"health.failing_checks\" }\nwhen = \">= 0\"\n";
    std::fs::write(service.folder.path().join("rule.toml"), rule).unwrap();
    let added = Command::new(env!("CARGO_BIN_EXE_atalaya"))
        .current_dir(service.folder.path())
        .args([
            "--config",
            "config.toml",
            "--data-dir",
            "data",
            "alerts",
            "rules",
            "--add",
            "rule.toml",
        ])
        .output()
        .unwrap();
    assert!(
        added.status.success(),
        "{}",
        String::from_utf8_lossy(&added.stderr)
    );
    let all = until(|| {
        let all = hooks(&receiver);
        let told = |got: &Got| got.json()["notices"][0]["rule"] == "second";
        all.iter().any(told).then_some(all)
    });
    let keys: Vec<&str> = all
        .iter()
        .map(|got| got.header("idempotency-key").unwrap())
        .collect();
    assert_eq!(keys.len(), 3, "{keys:?}");
    assert_eq!(keys[0], keys[1], "the same message has the same key");
    assert_eq!(all[0].body, all[1].body);
    assert_eq!(keys.iter().collect::<BTreeSet<_>>().len(), 2);
}
