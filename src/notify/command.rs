//! A program that is given the message: JSON on its standard input, nothing of it in its arguments
//! or in a shell. Its environment holds no secret of ours.

use std::process::{ExitStatus, Stdio};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWriteExt as _};
use tokio::process::Command;
use tokio::task::JoinHandle;
use tokio::time::timeout;

use super::{SendError, cut, json_line};
use crate::process_group::ProcessGroup;
use atalaya_domain::alert::Message;

/// Of what it prints that is kept; the rest is read and dropped.
const OUTPUT_BYTES: usize = 4 << 10;
/// What it is told of where it is.
const VARIABLES: [&str; 6] = ["PATH", "HOME", "USER", "LANG", "LC_ALL", "TZ"];
/// How long output is waited for when the program is gone.
const OUTPUT_WAIT: Duration = Duration::from_secs(1);

pub(super) async fn run(
    command: &[String],
    limit: Duration,
    message: &Message,
) -> Result<(), SendError> {
    let input = json_line(message)? + "\n";
    let Some((program, arguments)) = command.split_first() else {
        return Err(SendError::later("the command is empty"));
    };
    let mut spawned = Command::new(program)
        .args(arguments)
        .env_clear()
        .envs(
            VARIABLES
                .iter()
                .filter_map(|name| Some((name, std::env::var_os(name)?))),
        )
        .env("ATALAYA_MESSAGE_KEY", &message.key)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .process_group(0)
        .kill_on_drop(true)
        .spawn()
        .map_err(|error| SendError::later(format!("{program}: {error}")))?;
    let group = ProcessGroup::of(&spawned);
    if let Some(mut stdin) = spawned.stdin.take() {
        // It may end without having read: then its exit code speaks.
        tokio::spawn(async move {
            let _ = stdin.write_all(input.as_bytes()).await;
        });
    }
    let output = spawned.stdout.take().map(|pipe| tokio::spawn(kept(pipe)));
    let errors = spawned.stderr.take().map(|pipe| tokio::spawn(kept(pipe)));
    let ended = timeout(limit, spawned.wait()).await;
    // Also what it left behind.
    drop(group);
    let status: ExitStatus = match ended {
        Ok(ended) => ended.map_err(|error| SendError::later(format!("{program}: {error}")))?,
        Err(_) => {
            let _ = spawned.wait().await;
            let seconds = limit.as_secs();
            return Err(SendError::later(format!(
                "{program}: not done within {seconds} s, killed"
            )));
        }
    };
    let said = format!("{} {}", text(errors).await, text(output).await);
    if status.success() {
        return Ok(());
    }
    let said = said.split_whitespace().collect::<Vec<_>>().join(" ");
    Err(SendError::later(cut(&format!(
        "{program}: {status}: {said}"
    ))))
}

async fn kept(mut pipe: impl AsyncRead + Unpin) -> Vec<u8> {
    let mut kept = Vec::new();
    let mut part = [0; 4096];
    while let Ok(read @ 1..) = pipe.read(&mut part).await {
        let room = OUTPUT_BYTES - kept.len();
        kept.extend_from_slice(&part[..read.min(room)]);
    }
    kept
}

async fn text(task: Option<JoinHandle<Vec<u8>>>) -> String {
    let Some(mut task) = task else {
        return String::new();
    };
    match timeout(OUTPUT_WAIT, &mut task).await {
        Ok(Ok(bytes)) => String::from_utf8_lossy(&bytes).into_owned(),
        Ok(Err(_)) => String::new(),
        Err(_) => {
            // Something that left its group holds the pipe.
            task.abort();
            String::new()
        }
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests")]

    use super::*;
    use crate::notify::text::tests::message_saying;

    fn shell(script: &str) -> Vec<String> {
        ["/bin/sh", "-c", script].map(str::to_owned).to_vec()
    }

    #[tokio::test]
    async fn it_gets_the_message_and_nothing_acts_in_it() {
        let folder = tempfile::tempdir().unwrap();
        let got = folder.path().join("got");
        let message = message_saying("$(touch pwned) `id` '; \u{1b}[2J");
        let script = format!("cat > {}", got.display());
        run(&shell(&script), Duration::from_secs(10), &message)
            .await
            .unwrap();
        let text = std::fs::read_to_string(&got).unwrap();
        let back: Message = serde_json::from_str(&text).unwrap();
        assert_eq!(back, message);
        assert!(!text.contains('\u{1b}'), "nothing acts on a terminal");
    }

    #[tokio::test]
    async fn a_failure_says_what_the_program_said_and_floods_nobody() {
        let message = message_saying("x");
        let script = "echo out of order >&2; head -c 10000000 /dev/zero; exit 3";
        let error = run(&shell(script), Duration::from_secs(60), &message)
            .await
            .unwrap_err();
        assert!(
            error.answer.contains("out of order") && error.answer.contains('3'),
            "{error}"
        );
        assert!(error.answer.len() < 3_000);
        let missing = ["/nowhere/page".to_owned()];
        let error = run(&missing, Duration::from_secs(1), &message)
            .await
            .unwrap_err();
        assert!(error.answer.contains("/nowhere/page"), "{error}");
    }

    #[tokio::test]
    async fn at_the_limit_the_program_and_its_children_are_killed() {
        let folder = tempfile::tempdir().unwrap();
        let pid = folder.path().join("pid");
        let script = format!("sleep 1000 & echo $! > {}; wait", pid.display());
        let error = run(
            &shell(&script),
            Duration::from_secs(1),
            &message_saying("x"),
        )
        .await
        .unwrap_err();
        assert!(error.answer.contains("killed"), "{error}");
        let child: i32 = std::fs::read_to_string(&pid)
            .unwrap()
            .trim()
            .parse()
            .unwrap();
        let gone = || {
            let stat = std::fs::read_to_string(format!("/proc/{child}/stat")).unwrap_or_default();
            stat.is_empty() || stat.contains(") Z ")
        };
        while !gone() {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }
}
