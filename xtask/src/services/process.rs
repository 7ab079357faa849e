//! A server process: started apart from its caller, recognised later, ended cleanly or at once.

use std::fs::File;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant};

use anyhow::{Context, bail};
use rustix::process::{Pid, Signal, kill_process};
use serde::{Deserialize, Serialize};

const POLL: Duration = Duration::from_millis(50);

/// Closes every descriptor but the standard three, leaves the caller's session, and becomes the
/// program. A caller's lock files would otherwise stay locked for as long as the server lives.
const APART: &str = r#"
for fd in /proc/self/fd/*; do
  fd=${fd##*/}
  if [ "$fd" -gt 2 ]; then eval "exec $fd>&-"; fi
done
exec setsid "$@"
"#;

/// Waits until its caller is gone (the pipe ends), then kills the server.
const WATCH: &str = r#"read -r _; kill -KILL "$1""#;

/// A process as it is recognised after the program that started it has ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Process {
    pub pid: i32,
    /// Clock ticks from boot to its start (field 22 of `/proc/PID/stat`): process ids are reused,
    /// the pair is not.
    pub started: u64,
}

impl Process {
    fn of(pid: i32) -> anyhow::Result<Self> {
        let (_, started) = stat(pid).with_context(|| format!("process {pid} ended at once"))?;
        Ok(Self { pid, started })
    }

    /// Whether this very process still runs. One that ended and was not collected does not.
    pub fn is_running(self) -> bool {
        stat(self.pid).is_some_and(|(state, started)| started == self.started && state != "Z")
    }

    /// Sends the signal unless the process is gone.
    pub fn signal(self, signal: Signal) -> anyhow::Result<()> {
        if !self.is_running() {
            return Ok(());
        }
        let pid = Pid::from_raw(self.pid).context("process ids start at 1")?;
        kill_process(pid, signal).with_context(|| format!("cannot signal process {}", self.pid))
    }

    /// Asks the process to end and waits for it; one that does not end within `limit` is killed.
    /// Returns whether it ended by itself.
    pub fn stop(self, limit: Duration) -> anyhow::Result<bool> {
        self.signal(Signal::TERM)?;
        if self.wait(limit) {
            return Ok(true);
        }
        self.signal(Signal::KILL)?;
        if !self.wait(limit) {
            bail!("process {} does not end", self.pid);
        }
        Ok(false)
    }

    fn wait(self, limit: Duration) -> bool {
        let deadline = Instant::now() + limit;
        while self.is_running() {
            if Instant::now() > deadline {
                return false;
            }
            sleep(POLL);
        }
        true
    }
}

/// State letter and start time, or nothing when there is no such process.
fn stat(pid: i32) -> Option<(String, u64)> {
    let text = std::fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    // The second field is the program's name in brackets and may hold spaces.
    let mut fields = text.rsplit_once(") ")?.1.split(' ');
    let state = fields.next()?.to_owned();
    Some((state, fields.nth(18)?.parse().ok()?))
}

/// Starts a server that outlives its caller, with both outputs appended to `log`.
pub fn start(command: &Command, log: &Path) -> anyhow::Result<(Child, Process)> {
    let output = File::options()
        .create(true)
        .append(true)
        .open(log)
        .with_context(|| format!("{}", log.display()))?;
    let mut apart = Command::new("bash");
    apart
        .args(["-c", APART, "services"])
        .arg(command.get_program())
        .args(command.get_args());
    if let Some(folder) = command.get_current_dir() {
        apart.current_dir(folder);
    }
    let child = apart
        .stdin(Stdio::null())
        .stdout(output.try_clone()?)
        .stderr(output)
        .spawn()
        .with_context(|| format!("cannot start {}", command.get_program().to_string_lossy()))?;
    let process = Process::of(i32::try_from(child.id())?)?;
    Ok((child, process))
}

/// A server that ends with its owner: on drop, and also when the owner's process is killed.
#[derive(Debug)]
pub struct Owned {
    child: Child,
    pub process: Process,
    watch: Child,
}

impl Owned {
    pub fn start(command: &Command, log: &Path) -> anyhow::Result<Self> {
        let (child, process) = start(command, log)?;
        let watch = Command::new("bash")
            .args([
                "-c",
                APART,
                "services",
                "bash",
                "-c",
                WATCH,
                "watch",
                &process.pid.to_string(),
            ])
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .context("cannot start the watch of a server")?;
        Ok(Self {
            child,
            process,
            watch,
        })
    }

    /// SIGKILL, and the process collected: when this returns its ports are free.
    pub fn kill(mut self) {
        self.end();
    }

    /// SIGTERM and the wait for a clean end.
    pub fn stop(mut self, limit: Duration) -> anyhow::Result<bool> {
        let outcome = self.process.stop(limit);
        self.end();
        outcome
    }

    fn end(&mut self) {
        // The watch first: once the server is collected, its process id may be another's.
        let _ = self.watch.kill();
        let _ = self.watch.wait();
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Drop for Owned {
    fn drop(&mut self) {
        self.end();
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests")]

    use super::*;

    fn sleeper() -> Command {
        let mut command = Command::new("sleep");
        command.arg("600");
        command
    }

    #[test]
    fn a_started_process_is_recognised_and_another_with_its_id_is_not() {
        let folder = tempfile::tempdir().unwrap();
        let owned = Owned::start(&sleeper(), &folder.path().join("log")).unwrap();
        let process = owned.process;
        assert!(process.is_running());
        assert!(
            !Process {
                started: process.started + 1,
                ..process
            }
            .is_running()
        );
        owned.kill();
        assert!(!process.is_running());
    }

    #[test]
    fn a_server_inherits_no_descriptor_but_the_standard_three() {
        let folder = tempfile::tempdir().unwrap();
        let lock = folder.path().join("lock");
        // A lock file that children inherit, as that of a wrapper around cargo is.
        let held = File::create(&lock).unwrap();
        rustix::io::fcntl_setfd(&held, rustix::io::FdFlags::empty()).unwrap();
        let owned = Owned::start(&sleeper(), &folder.path().join("log")).unwrap();
        let deadline = Instant::now() + Duration::from_secs(10);
        let name = format!("/proc/{}/comm", owned.process.pid);
        while std::fs::read_to_string(&name).unwrap().trim() != "sleep" {
            assert!(Instant::now() < deadline, "the program did not start");
            sleep(POLL);
        }
        let open: Vec<String> = std::fs::read_dir(format!("/proc/{}/fd", owned.process.pid))
            .unwrap()
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .collect();
        assert!(
            open.iter().all(|fd| ["0", "1", "2"].contains(&fd.as_str())),
            "{open:?}"
        );
        drop(held);
    }

    #[test]
    fn stopping_asks_first() {
        let folder = tempfile::tempdir().unwrap();
        let owned = Owned::start(&sleeper(), &folder.path().join("log")).unwrap();
        assert!(owned.stop(Duration::from_secs(10)).unwrap());
    }
}
