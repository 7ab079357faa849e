//! The console in a real pseudo terminal: it gives the terminal back on every way out (R34), survives
//! being stopped (R35), and ends when the terminal is gone (R36).

use std::ops::{Deref, DerefMut};
use std::time::Duration;

use portable_pty::CommandBuilder;

use crate::pty::{LIMIT, Pty, console, settled, with_args};

/// A console on empty stores in a small terminal.
struct Console {
    pty: Pty,
    _dir: tempfile::TempDir,
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
        let arguments = ["--config".as_ref(), config.as_os_str(), "--data-dir".as_ref(), data.as_os_str()];
        let pty = Pty::start(with_args(command(dir.path()), arguments), 24, 80);
        Self { pty, _dir: dir }
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

#[test]
fn takes_the_terminal_and_gives_it_back_on_quit() {
    let mut console = Console::opened();
    console.wait("the alternate screen", |screen| screen.alternate_screen() && screen.bracketed_paste());
    console.send("q");
    let status = console.ended();
    assert!(status.success(), "{status:?}");
    console.assert_restored();
}

#[test]
fn gives_the_terminal_back_on_every_signal() {
    use rustix::process::Signal;
    for signal in [Signal::TERM, Signal::INT, Signal::HUP] {
        let mut console = Console::opened();
        console.send("\x1bOQ");
        console.wait("the mouse", |screen| screen.mouse_protocol_mode() != vt100::MouseProtocolMode::None);
        console.signal(signal);
        console.ended();
        console.assert_restored();
    }
}

/// `:panic` exists in debug builds only, which is what tests run.
#[test]
#[cfg(debug_assertions)]
fn gives_the_terminal_back_before_the_message_of_a_panic() {
    let mut console = Console::opened();
    console.send(":panic\r");
    let status = console.ended();
    assert!(!status.success());
    console.assert_restored();
    console.wait_for_text("asked for with :panic");
}

#[test]
fn stops_and_comes_back_fifty_times() {
    let mut console = Console::opened();
    for round in 0..50 {
        console.send("\x1a");
        console.wait_for_state('T', LIMIT);
        console.assert_restored();
        console.signal(rustix::process::Signal::CONT);
        console.wait(&format!("round {round}"), |screen| {
            screen.alternate_screen()
                && screen.bracketed_paste()
                && screen.contents().contains("No records yet")
        });
    }
    console.send("q");
    assert!(console.ended().success());
    console.assert_restored();
}

#[test]
fn ends_within_a_second_without_spinning_when_the_terminal_is_gone() {
    for ignored in [false, true] {
        let mut console = if ignored {
            Console::start_from(|home| {
                let mut command = CommandBuilder::new("sh");
                command.args(["-c", "trap '' HUP; exec \"$0\" \"$@\"", env!("CARGO_BIN_EXE_atalaya")]);
                settled(command, home)
            })
        } else {
            Console::start()
        };
        console.wait_for_text("No records yet");
        console.hang_up();
        let before = console.stat().1;
        console.wait_for_state('Z', Duration::from_secs(3));
        // 100 ticks a second: 0.2 s, twice what a quiet machine needs for an orderly end.
        let ticks = console.stat().1 - before;
        assert!(ticks <= 20, "{ticks} ticks of CPU after the terminal was gone");
    }
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
}
