//! The console in a real pseudo terminal: it gives the terminal back on every way out (R34), survives
//! being stopped (R35), and ends when the terminal is gone (R36).
//!
//! CPU time is measured of the process alone and does not depend on what else the machine does; wall
//! time does, so the best of a few tries counts.

use std::ops::{Deref, DerefMut};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use portable_pty::CommandBuilder;

use crate::pty::{LIMIT, Pty, console, settled, with_args};

/// R34: how long the terminal may take to be as it was.
const GIVEN_BACK_WITHIN: Duration = Duration::from_millis(500);
/// R36: how long the process may live on without a terminal, and what it may cost.
const ENDED_WITHIN: Duration = Duration::from_secs(1);
const CPU_WITHIN: Duration = Duration::from_millis(100);
/// Tries of which the quickest counts: one may have met a busy machine.
const TRIES: usize = 3;

/// A console on empty stores in a small terminal.
struct Console {
    pty: Pty,
    dir: tempfile::TempDir,
}

impl Console {
    fn start() -> Self {
        Self::start_from(console)
    }

    /// `command` makes what is started; the arguments of the console come behind its own.
    fn start_from(command: impl Fn(&std::path::Path) -> CommandBuilder) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let config = dir.path().join("config.toml");
        std::fs::write(&config, "[ingest]\ndiscover = false\n").unwrap();
        let data = dir.path().join("data");
        let arguments = [
            "--config".as_ref(),
            config.as_os_str(),
            "--data-dir".as_ref(),
            data.as_os_str(),
        ];
        let pty = Pty::start(with_args(command(dir.path()), arguments), 24, 80);
        Self { pty, dir }
    }

    fn opened() -> Self {
        let console = Self::start();
        console.wait_for_text("No records yet");
        console
    }
}

impl Deref for Console {
    type Target = Pty;

    fn deref(&self) -> &Pty {
        &self.pty
    }
}

impl DerefMut for Console {
    fn deref_mut(&mut self) -> &mut Pty {
        &mut self.pty
    }
}

/// Runs `attempt` a few times and asserts on the quickest.
#[track_caller]
fn assert_quick(what: &str, limit: Duration, mut attempt: impl FnMut() -> Duration) {
    let mut best = Duration::MAX;
    for _ in 0..TRIES {
        best = best.min(attempt());
        if best <= limit {
            return;
        }
    }
    panic!("{what} took {best:?} at best, and {limit:?} was promised");
}

#[test]
fn takes_the_terminal_and_gives_it_back_on_quit() {
    assert_quick("quitting", GIVEN_BACK_WITHIN, || {
        let mut console = Console::opened();
        console.wait("the alternate screen", |screen| {
            screen.alternate_screen() && screen.bracketed_paste()
        });
        let begin = Instant::now();
        console.send("q");
        console.assert_restored();
        let took = begin.elapsed();
        let status = console.ended();
        assert!(status.success(), "{status:?}");
        console.assert_restored();
        took
    });
}

#[test]
fn gives_the_terminal_back_on_every_signal() {
    use rustix::process::Signal;
    for signal in [
        Signal::TERM,
        Signal::INT,
        Signal::HUP,
        Signal::QUIT,
        Signal::ABORT,
        Signal::USR1,
        Signal::USR2,
    ] {
        assert_quick("ending on a signal", GIVEN_BACK_WITHIN, || {
            let mut console = Console::opened();
            console.send("\x1bOQ");
            console.wait("the mouse", |screen| {
                screen.mouse_protocol_mode() != vt100::MouseProtocolMode::None
            });
            let begin = Instant::now();
            console.signal(signal);
            console.assert_restored();
            let took = begin.elapsed();
            let status = console.ended();
            assert!(!status.success(), "{status:?}");
            console.assert_restored();
            took
        });
    }
}

/// `:panic` exists in debug builds only, which is what tests run.
#[test]
#[cfg(debug_assertions)]
fn gives_the_terminal_back_before_the_message_of_a_panic() {
    // In the loop itself, in a task of the runtime, in a thread beside it, and an error that is
    // handed up.
    for (command, message) in [
        (":panic\r", "asked for with :panic"),
        (":panic task\r", "asked for with :panic task"),
        (":panic thread\r", "asked for with :panic thread"),
        (":panic error\r", "asked for with :panic error"),
    ] {
        assert_quick(message, GIVEN_BACK_WITHIN, || {
            let mut console = Console::opened();
            console.send("\x1bOQ");
            console.wait("the mouse", |screen| {
                screen.mouse_protocol_mode() != vt100::MouseProtocolMode::None
            });
            let begin = Instant::now();
            console.send(command);
            console.assert_restored();
            let took = begin.elapsed();
            let status = console.ended();
            assert!(!status.success(), "{message}: {status:?}");
            console.assert_restored();
            console.wait_for_text(message);
            took
        });
    }
}

#[test]
fn stops_and_comes_back_fifty_times() {
    let mut console = Console::opened();
    for round in 0..50 {
        console.send("\x1a");
        console.wait_for_state('T', LIMIT);
        console.assert_restored();
        let written = console.bytes().len();
        console.signal(rustix::process::Signal::CONT);
        console.wait(&format!("round {round}"), |screen| {
            screen.alternate_screen()
                && screen.bracketed_paste()
                && screen.contents().contains("No records yet")
        });
        // The screen of before may have outlived the stop: what counts is that it was drawn again.
        console.wait_for_bytes("records", written);
    }
    console.send("q");
    assert!(console.ended().success());
    console.assert_restored();
}

/// A shell with job control, as people have it: Ctrl-Z gives its prompt back, `fg` the console.
#[test]
fn a_shell_stops_it_and_brings_it_back_fifty_times() {
    let mut shell = Console::start_from(|home| {
        let mut command = CommandBuilder::new("sh");
        command.args(["-c", "exec env -u ENV PS1='ready> ' sh -i"]);
        command.env("ATALAYA", env!("CARGO_BIN_EXE_atalaya"));
        settled(command, home)
    });
    shell.wait_for_text("ready>");
    let stty = |shell: &mut Console, round: usize| {
        shell.send(&format!("clear; echo \"stty {round} [$(stty -g)]\"\r"));
        let begins = format!("stty {round} [");
        shell.wait(&begins, |screen| {
            screen
                .contents()
                .lines()
                .any(|line| line.starts_with(&begins) && line.contains(']'))
        });
        let text = shell.text();
        let line = text.lines().find(|line| line.starts_with(&begins)).unwrap();
        line[begins.len()..].to_owned()
    };
    let before = stty(&mut shell, 999);
    assert!(before.contains(':'), "{before}");
    let start = "\"$ATALAYA\" --config config.toml --data-dir data\r";
    shell.send(start);
    for round in 0..50 {
        shell.wait(&format!("the console, round {round}"), |screen| {
            screen.alternate_screen()
                && screen.bracketed_paste()
                && screen.contents().contains("No records yet")
        });
        shell.send("\x1a");
        shell.wait(&format!("the prompt, round {round}"), |screen| {
            // Its words come after the console's last ones; what is typed earlier may be lost.
            let text = screen.contents();
            !screen.alternate_screen()
                && !screen.hide_cursor()
                && !screen.bracketed_paste()
                && text.contains("Stopped")
                && text.trim_end().ends_with("ready>")
        });
        let after = stty(&mut shell, round);
        assert_eq!(after, before, "round {round}");
        shell.send("fg\r");
    }
    shell.wait("the console", |screen| {
        screen.alternate_screen() && screen.contents().contains("No records yet")
    });
    shell.send("q");
    shell.wait("the prompt", |screen| {
        !screen.alternate_screen()
            && screen.contents().trim_end().lines().last() == Some("ready> ".trim_end())
    });
    assert_eq!(stty(&mut shell, 998), before);
    shell.send("exit\r");
    shell.ended();
}

#[test]
fn ends_within_a_second_without_spinning_when_the_terminal_is_gone() {
    for ignored in [false, true] {
        assert_quick("ending after a hang-up", ENDED_WITHIN, || {
            let mut console = if ignored {
                Console::start_from(|home| {
                    let mut command = CommandBuilder::new("sh");
                    command.args([
                        "-c",
                        "trap '' HUP; exec \"$0\" \"$@\"",
                        env!("CARGO_BIN_EXE_atalaya"),
                    ]);
                    settled(command, home)
                })
            } else {
                Console::start()
            };
            console.wait_for_text("No records yet");
            let before = console.cpu();
            console.hang_up();
            let took = console.wait_for_state('Z', LIMIT);
            let cost = console.cpu().saturating_sub(before);
            assert!(
                cost <= CPU_WITHIN,
                "{cost:?} of CPU after the terminal was gone"
            );
            took
        });
    }
}

/// R36: what is ingested by another process goes on without the console.
#[test]
fn an_ingest_beside_the_console_outlives_its_terminal() {
    let home = tempfile::tempdir().unwrap();
    let log = home.path().join("app.log");
    let data = home.path().join("data");
    let line = |number: usize| format!("{{\"level\":\"INFO\",\"message\":\"line {number}\"}}\n");
    std::fs::write(&log, (0..100).map(line).collect::<String>()).unwrap();
    std::fs::write(
        home.path().join("config.toml"),
        "[ingest]\ndiscover = false\n",
    )
    .unwrap();
    let atalaya = || {
        let mut command = Command::new(env!("CARGO_BIN_EXE_atalaya"));
        command
            .args(["--config", "config.toml", "--data-dir", "data"])
            .current_dir(home.path());
        command
            .env("HOME", home.path())
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        command
    };
    let stored = || {
        let output = atalaya()
            .args(["logs", "line", "--limit", "1000", "--json"])
            .output()
            .unwrap();
        String::from_utf8(output.stdout).unwrap().lines().count()
    };
    let wait_for = |wanted: usize| {
        let begin = Instant::now();
        while stored() != wanted {
            assert!(
                begin.elapsed() < LIMIT,
                "{} of {wanted} lines are stored",
                stored()
            );
        }
    };
    let mut ingest = atalaya()
        .args(["ingest", "--follow"])
        .arg(&log)
        .stdout(Stdio::null())
        .spawn()
        .unwrap();
    wait_for(100);
    let arguments = ["--config", "config.toml", "--data-dir"].map(std::ffi::OsStr::new);
    let mut console = Pty::start(
        with_args(
            console(home.path()),
            arguments.into_iter().chain([data.as_os_str()]),
        ),
        24,
        80,
    );
    console.wait_for_text("line 99");
    console.hang_up();
    console.wait_for_state('Z', LIMIT);
    let mut file = std::fs::OpenOptions::new().append(true).open(&log).unwrap();
    std::io::Write::write_all(
        &mut file,
        (100..200).map(line).collect::<String>().as_bytes(),
    )
    .unwrap();
    wait_for(200);
    assert!(ingest.try_wait().unwrap().is_none(), "the ingest runs on");
    ingest.kill().unwrap();
    ingest.wait().unwrap();
}

#[test]
fn follows_the_size_of_the_terminal() {
    let mut console = Console::opened();
    console.resize(10, 40);
    console.wait_for_text("Atalaya needs 60x15");
    console.resize(50, 160);
    console.wait("the large screen", |screen| {
        screen.contents().contains("No records yet") && screen.rows(0, 160).count() == 50
    });
    console.send("?");
    console.wait_for_text("Keys of this screen");
    console.send("\x1b");
    console.send("\x03\x03");
    assert!(console.ended().success());
    console.assert_restored();
    assert!(console.dir.path().join("data").exists());
}

/// R34, R36: a terminal that takes no bytes, as behind a stopped multiplexer, holds no end up.
#[test]
fn a_signal_ends_it_while_nobody_reads_its_terminal() {
    use std::io::{Read as _, Write as _};
    let home = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
    let size = portable_pty::PtySize {
        rows: 60,
        cols: 200,
        pixel_width: 0,
        pixel_height: 0,
    };
    let pair = portable_pty::native_pty_system().openpty(size).unwrap();
    let mut child = pair.slave.spawn_command(console(home.path())).unwrap();
    drop(pair.slave);
    let mut keys = pair.master.take_writer().unwrap();
    let pid = child.process_id().unwrap();
    // Frames until the writing of one waits: system call 1 on descriptor 1, and it stays that.
    let mut waiting = 0;
    let begin = Instant::now();
    while waiting < 50 {
        assert!(begin.elapsed() < LIMIT, "its terminal never became full");
        let _ = keys.write_all(b"1234");
        std::thread::sleep(Duration::from_millis(5));
        let call = std::fs::read_to_string(format!("/proc/{pid}/syscall")).unwrap();
        waiting = if call.starts_with("1 0x1 ") {
            waiting + 1
        } else {
            0
        };
    }
    let process = rustix::process::Pid::from_raw(pid.try_into().unwrap()).unwrap();
    rustix::process::kill_process(process, rustix::process::Signal::TERM).unwrap();
    let begin = Instant::now();
    let ended = loop {
        if let Some(ended) = child.try_wait().unwrap() {
            break ended;
        }
        if begin.elapsed() > LIMIT {
            child.kill().unwrap();
            panic!("it did not end");
        }
        std::thread::sleep(Duration::from_millis(10));
    };
    assert_eq!(ended.exit_code(), 128 + 15);
    // It was stuck indeed: it could not give the screen back.
    let mut reader = pair.master.try_clone_reader().unwrap();
    let mut written = Vec::new();
    let _ = reader.read_to_end(&mut written);
    assert!(memchr::memmem::find(&written, b"\x1b[?1049h").is_some());
    assert!(memchr::memmem::find(&written, b"\x1b[?1049l").is_none());
}
