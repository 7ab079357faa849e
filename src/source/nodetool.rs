//! Cassandra's own command, as it is configured: what CQL cannot do.
//!
//! Its output is untrusted text of any length: lines are cut, and nothing of it is interpreted but
//! the progress of a repair.

use std::process::Stdio;

use tokio::io::{AsyncBufRead, AsyncBufReadExt as _, BufReader};
use tokio::process::Command;
use tokio_util::sync::CancellationToken;

use crate::process_group::ProcessGroup;

/// What stands in the configured words for the node's address.
pub const NODE: &str = "{node}";
/// Of one line of output.
const MOST_LINE_BYTES: usize = 2_000;

/// Why the command did not do it.
#[derive(Debug, thiserror::Error)]
pub enum NodetoolError {
    #[error("`{program}` cannot be started; look at stores.cassandra.nodetool")]
    NotStarted {
        program: String,
        source: std::io::Error,
    },
    #[error("`{command}` on {node} ended with {status}")]
    Failed {
        command: String,
        node: String,
        status: std::process::ExitStatus,
    },
    #[error("`{command}` on {node} was ended")]
    Cancelled { command: String, node: String },
}

/// Runs one subcommand against one node, and gives each line of both outputs to `told`. The command
/// and everything that it started end when `cancel` is cancelled.
///
/// # Errors
/// It cannot be started, or does not succeed.
pub async fn run(
    configured: &[String],
    node: &str,
    arguments: &[&str],
    cancel: &CancellationToken,
    told: impl Fn(&str) + Sync,
) -> Result<(), NodetoolError> {
    let words: Vec<String> = configured
        .iter()
        .map(|word| word.replace(NODE, node))
        .collect();
    let (program, first) = match words.split_first() {
        Some((program, first)) => (program.clone(), first),
        None => (String::new(), &[][..]),
    };
    let command = arguments.join(" ");
    let mut child = Command::new(&program)
        .args(first)
        .args(arguments)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        // It is not the service that systemd asks.
        .env_remove("NOTIFY_SOCKET")
        .env_remove("WATCHDOG_USEC")
        .kill_on_drop(true)
        // A group of its own: what it starts ends with it.
        .process_group(0)
        .spawn()
        .map_err(|source| NodetoolError::NotStarted { program, source })?;
    // Also what it left behind ends, however this ends.
    let _group = ProcessGroup::of(&child);
    let (out, err) = (child.stdout.take(), child.stderr.take());
    let reading = async {
        tokio::join!(
            lines(out.map(BufReader::new), &told),
            lines(err.map(BufReader::new), &told)
        );
        child.wait().await
    };
    let node = node.to_owned();
    tokio::select! {
        status = reading => match status {
            Ok(status) if status.success() => Ok(()),
            Ok(status) => Err(NodetoolError::Failed { command, node, status }),
            Err(source) => Err(NodetoolError::NotStarted { program: command, source }),
        },
        () = cancel.cancelled() => Err(NodetoolError::Cancelled { command, node }),
    }
}

/// Each line, cut; whatever is no text in it is replaced.
async fn lines(reader: Option<impl AsyncBufRead + Unpin>, told: &(impl Fn(&str) + Sync)) {
    let Some(mut reader) = reader else { return };
    let mut line = Vec::new();
    while let Ok(bytes) = reader.fill_buf().await {
        if bytes.is_empty() {
            break;
        }
        let end = bytes.iter().position(|byte| *byte == b'\n');
        let part = &bytes[..end.unwrap_or(bytes.len())];
        let room = MOST_LINE_BYTES.saturating_sub(line.len());
        line.extend_from_slice(&part[..part.len().min(room)]);
        let used = end.map_or(bytes.len(), |end| end + 1);
        reader.consume(used);
        if end.is_some() {
            told(&String::from_utf8_lossy(&line));
            line.clear();
        }
    }
    if !line.is_empty() {
        told(&String::from_utf8_lossy(&line));
    }
}

/// How far a repair says that it is, in percent.
pub fn progress(line: &str) -> Option<u8> {
    let rest = line.split_once("progress: ")?.1;
    let number = rest.split('%').next()?.trim();
    number.parse().ok().filter(|percent| *percent <= 100)
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests")]

    use std::sync::Mutex;
    use std::time::Duration;

    use super::*;

    fn shell(script: &str) -> Vec<String> {
        ["sh", "-c", script, "nodetool", NODE]
            .map(str::to_owned)
            .to_vec()
    }

    #[tokio::test]
    async fn lines_of_both_outputs_are_told_and_a_failure_is_one() {
        let told = Mutex::new(Vec::new());
        let tell = |line: &str| told.lock().unwrap().push(line.to_owned());
        let script =
            shell("echo \"$1 $2\"; printf 'half\\377' >&2; head -c 9999 /dev/zero | tr '\\0' x");
        run(
            &script,
            "10.0.0.7",
            &["info"],
            &CancellationToken::new(),
            tell,
        )
        .await
        .unwrap();
        let mut lines = told.lock().unwrap().clone();
        lines.sort();
        assert_eq!(lines[0], "10.0.0.7 info");
        assert_eq!(lines[1], "half\u{fffd}");
        assert_eq!(lines[2].len(), MOST_LINE_BYTES);
        let failed = run(
            &shell("exit 3"),
            "n",
            &["repair", "-pr"],
            &CancellationToken::new(),
            |_| {},
        )
        .await;
        assert_eq!(
            failed.unwrap_err().to_string(),
            "`repair -pr` on n ended with exit status: 3"
        );
        let missing = run(
            &["/no/such".to_owned()],
            "n",
            &[],
            &CancellationToken::new(),
            |_| {},
        )
        .await;
        assert!(matches!(missing, Err(NodetoolError::NotStarted { .. })));
    }

    #[tokio::test]
    async fn what_it_started_ends_with_it() {
        let folder = tempfile::tempdir().unwrap();
        let mark = folder.path().join("pid");
        let script = shell(&format!("sleep 600 & echo $! > {}; wait", mark.display()));
        let cancel = CancellationToken::new();
        let running = run(&script, "n", &[], &cancel, |_| {});
        let ending = async {
            while std::fs::read_to_string(&mark).map_or(true, |text| text.trim().is_empty()) {
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
            cancel.cancel();
        };
        let (ended, ()) = tokio::join!(running, ending);
        assert!(matches!(ended, Err(NodetoolError::Cancelled { .. })));
        let pid = std::fs::read_to_string(&mark).unwrap();
        let state = format!("/proc/{}/stat", pid.trim());
        loop {
            let stat = std::fs::read_to_string(&state).unwrap_or_default();
            // Gone, or dead and not collected by whoever inherited it.
            if stat.is_empty() || stat.contains(") Z ") {
                break;
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }

    #[test]
    fn the_progress_of_a_repair_is_read() {
        let line =
            "[2026-08-01 10:00:00,000] Repair session 1 for range [(1,2]] finished (progress: 45%)";
        assert_eq!(progress(line), Some(45));
        assert_eq!(progress("progress: 300%"), None);
        assert_eq!(progress("done"), None);
    }
}
