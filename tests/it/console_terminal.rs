//! The console in a real pseudo terminal: it gives the terminal back on every way out (R34), survives
//! being stopped (R35), and ends when the terminal is gone (R36).

use std::io::{Read, Write};
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Condvar, Mutex};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use portable_pty::{Child, CommandBuilder, MasterPty, PtySize, native_pty_system};

/// Generous: the machine may be busy. Nothing waits this long unless it fails.
const LIMIT: Duration = Duration::from_secs(30);

struct Console {
    master: Option<Box<dyn MasterPty + Send>>,
    writer: Option<Box<dyn Write + Send>>,
    child: Box<dyn Child + Send + Sync>,
    screen: Arc<(Mutex<vt100::Parser>, Condvar)>,
    closing: Arc<AtomicBool>,
    reading: Option<JoinHandle<()>>,
    termios: String,
    _dir: tempfile::TempDir,
}

fn termios_of(master: &dyn MasterPty) -> String {
    format!("{:?}", master.get_termios().unwrap())
}

impl Console {
    fn start() -> Self {
        Self::start_with(|program, arguments| {
            let mut command = CommandBuilder::new(program);
            command.args(arguments);
            command
        })
    }

    fn start_with(make: impl Fn(&Path, &[String]) -> CommandBuilder) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let config = dir.path().join("config.toml");
        std::fs::write(&config, "[ingest]\ndiscover = false\n").unwrap();
        let data = dir.path().join("data");
        let size = PtySize { rows: 24, cols: 80, pixel_width: 0, pixel_height: 0 };
        let pair = native_pty_system().openpty(size).unwrap();
        let termios = termios_of(&*pair.master);
        let arguments =
            ["--config", config.to_str().unwrap(), "--data-dir", data.to_str().unwrap()].map(str::to_owned);
        let mut command = make(Path::new(env!("CARGO_BIN_EXE_atalaya")), &arguments);
        command.env("TERM", "xterm-256color");
        command.env("COLORTERM", "truecolor");
        command.env("LC_ALL", "C.UTF-8");
        command.env_remove("NO_COLOR");
        // The message of a panic stays on the screen only without a long backtrace after it.
        command.env("RUST_BACKTRACE", "0");
        command.env_remove("TMUX");
        command.env("HOME", dir.path());
        command.cwd(dir.path());
        let child = pair.slave.spawn_command(command).unwrap();
        drop(pair.slave);
        let mut reader = pair.master.try_clone_reader().unwrap();
        let writer = pair.master.take_writer().unwrap();
        let screen = Arc::new((
            Mutex::new(vt100::Parser::new(24.try_into().unwrap(), 80.try_into().unwrap(), 0)),
            Condvar::new(),
        ));
        let shared = Arc::clone(&screen);
        let closing = Arc::new(AtomicBool::new(false));
        let flag = Arc::clone(&closing);
        let reading = std::thread::spawn(move || {
            let mut bytes = [0; 4096];
            while let Ok(length @ 1..) = reader.read(&mut bytes) {
                shared.0.lock().unwrap().process(&bytes[..length]);
                shared.1.notify_all();
                if flag.load(Ordering::SeqCst) {
                    break;
                }
            }
        });
        Self {
            master: Some(pair.master),
            writer: Some(writer),
            child,
            screen,
            closing,
            reading: Some(reading),
            termios,
            _dir: dir,
        }
    }

    fn send(&mut self, keys: &str) {
        let writer = self.writer.as_mut().unwrap();
        writer.write_all(keys.as_bytes()).unwrap();
        writer.flush().unwrap();
    }

    /// Waits until what the terminal shows fulfils `wanted`.
    fn wait(&self, what: &str, wanted: impl Fn(&vt100::Screen) -> bool) {
        let deadline = Instant::now() + LIMIT;
        let mut parser = self.screen.0.lock().unwrap();
        while !wanted(parser.screen()) {
            let left = deadline.saturating_duration_since(Instant::now());
            assert!(!left.is_zero(), "waited for {what}; the screen is:\n{}", parser.screen().contents());
            parser = self.screen.1.wait_timeout(parser, left.min(Duration::from_millis(200))).unwrap().0;
        }
    }

    fn wait_for_text(&self, text: &str) {
        self.wait(text, |screen| screen.contents().contains(text));
    }

    fn opened() -> Self {
        let console = Self::start();
        console.wait_for_text("No records yet");
        console
    }

    /// Closes the terminal as a lost connection does: every descriptor of the master's side.
    fn hang_up(&mut self) {
        self.closing.store(true, Ordering::SeqCst);
        // Something to read, so that the reading thread wakes, sees the flag and lets go.
        self.send("?");
        self.reading.take().unwrap().join().unwrap();
        self.writer = None;
        self.master = None;
    }

    fn pid(&self) -> i32 {
        i32::try_from(self.child.process_id().unwrap()).unwrap()
    }

    fn signal(&self, signal: rustix::process::Signal) {
        let pid = rustix::process::Pid::from_raw(self.pid()).unwrap();
        rustix::process::kill_process(pid, signal).unwrap();
    }

    /// State letter and CPU ticks of the process; `Z` before it is waited for.
    fn stat(&self) -> (char, u64) {
        let stat = std::fs::read_to_string(format!("/proc/{}/stat", self.pid())).unwrap();
        let fields: Vec<&str> = stat.rsplit_once(')').unwrap().1.split_whitespace().collect();
        let ticks = fields[11].parse::<u64>().unwrap() + fields[12].parse::<u64>().unwrap();
        (fields[0].chars().next().unwrap(), ticks)
    }

    fn wait_for_state(&self, wanted: char, limit: Duration) -> Duration {
        let begin = Instant::now();
        while self.stat().0 != wanted {
            assert!(begin.elapsed() < limit, "the process is in state {}, not {wanted}", self.stat().0);
            std::thread::yield_now();
        }
        begin.elapsed()
    }

    fn assert_restored(&self) {
        self.wait("the terminal being given back", |screen| {
            !screen.alternate_screen()
                && !screen.hide_cursor()
                && !screen.bracketed_paste()
                && screen.mouse_protocol_mode() == vt100::MouseProtocolMode::None
        });
        assert_eq!(termios_of(&**self.master.as_ref().unwrap()), self.termios, "the line settings");
    }
}

impl Drop for Console {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[test]
fn takes_the_terminal_and_gives_it_back_on_quit() {
    let mut console = Console::opened();
    console.wait("the alternate screen", |screen| screen.alternate_screen() && screen.bracketed_paste());
    console.send("q");
    let status = console.child.wait().unwrap();
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
        console.child.wait().unwrap();
        console.assert_restored();
    }
}

/// `:panic` exists in debug builds only, which is what tests run.
#[test]
#[cfg(debug_assertions)]
fn gives_the_terminal_back_before_the_message_of_a_panic() {
    let mut console = Console::opened();
    console.send(":panic\r");
    let status = console.child.wait().unwrap();
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
    assert!(console.child.wait().unwrap().success());
    console.assert_restored();
}

#[test]
fn ends_within_a_second_without_spinning_when_the_terminal_is_gone() {
    for ignored in [false, true] {
        let mut console = if ignored {
            Console::start_with(|program, arguments| {
                let mut command = CommandBuilder::new("sh");
                command.args(["-c", "trap '' HUP; exec \"$0\" \"$@\""]);
                command.arg(program);
                command.args(arguments);
                command
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
    let resize = |console: &Console, rows: u16, cols: u16| {
        console
            .screen
            .0
            .lock()
            .unwrap()
            .screen_mut()
            .set_size(rows.try_into().unwrap(), cols.try_into().unwrap());
        let size = PtySize { rows, cols, pixel_width: 0, pixel_height: 0 };
        console.master.as_ref().unwrap().resize(size).unwrap();
    };
    resize(&console, 10, 40);
    console.wait_for_text("Atalaya needs 60x15");
    resize(&console, 50, 160);
    console.wait("the large screen", |screen| {
        screen.contents().contains("No records yet") && screen.rows(0, 160).count() == 50
    });
    console.send("?");
    console.wait_for_text("Keys of this screen");
    console.send("\x1b");
    console.send("\x03\x03");
    assert!(console.child.wait().unwrap().success());
    console.assert_restored();
}
