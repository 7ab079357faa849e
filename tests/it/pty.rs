//! A program in a real pseudo terminal, and the screen that its bytes make.
//!
//! Nothing here sleeps: a test names what it waits for, and when that does not come it fails with
//! the screen printed.

use std::ffi::OsStr;
use std::io::{Read, Write};
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Condvar, Mutex};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use portable_pty::{Child, CommandBuilder, MasterPty, PtySize, native_pty_system};

/// Generous: the machine may be busy. Nothing waits this long unless it fails.
pub const LIMIT: Duration = Duration::from_secs(30);

/// What came out of the program: the screen and the bytes that made it.
struct Output {
    parser: vt100::Parser,
    bytes: Vec<u8>,
}

/// A running program and its terminal; it is killed when this is dropped.
pub struct Pty {
    master: Option<Box<dyn MasterPty + Send>>,
    writer: Option<Box<dyn Write + Send>>,
    child: Box<dyn Child + Send + Sync>,
    output: Arc<(Mutex<Output>, Condvar)>,
    closing: Arc<AtomicBool>,
    reading: Option<JoinHandle<()>>,
    termios: String,
}

fn termios_of(master: &dyn MasterPty) -> String {
    format!("{:?}", master.get_termios().unwrap())
}

/// The console's binary in an environment that is the same on every machine: nothing of the user's
/// configuration, a terminal of true colours.
pub fn console(home: &Path) -> CommandBuilder {
    settled(CommandBuilder::new(env!("CARGO_BIN_EXE_atalaya")), home)
}

/// `command` in the environment of [`console`].
pub fn settled(mut command: CommandBuilder, home: &Path) -> CommandBuilder {
    command.env("TERM", "xterm-256color");
    command.env("COLORTERM", "truecolor");
    command.env("LC_ALL", "C.UTF-8");
    // The message of a panic stays on the screen only without a long backtrace after it.
    command.env("RUST_BACKTRACE", "0");
    for name in [
        "NO_COLOR",
        "TMUX",
        "STY",
        "XDG_CONFIG_HOME",
        "XDG_DATA_HOME",
        "XDG_STATE_HOME",
    ] {
        command.env_remove(name);
    }
    let inherited = std::env::vars_os().map(|(name, _)| name);
    for name in inherited.filter(|name| name.to_string_lossy().starts_with("ATALAYA_")) {
        command.env_remove(name);
    }
    command.env("HOME", home);
    command.cwd(home);
    command
}

/// Adds arguments to a command.
pub fn with_args<I: IntoIterator<Item = S>, S: AsRef<OsStr>>(
    mut command: CommandBuilder,
    arguments: I,
) -> CommandBuilder {
    command.args(arguments);
    command
}

impl Pty {
    /// Starts a program in a terminal of `rows` by `cols` cells.
    pub fn start(command: CommandBuilder, rows: u16, cols: u16) -> Self {
        let size = PtySize {
            rows,
            cols,
            pixel_width: 0,
            pixel_height: 0,
        };
        let pair = native_pty_system().openpty(size).unwrap();
        let termios = termios_of(&*pair.master);
        let child = pair.slave.spawn_command(command).unwrap();
        drop(pair.slave);
        let mut reader = pair.master.try_clone_reader().unwrap();
        let writer = pair.master.take_writer().unwrap();
        let parser = vt100::Parser::new(rows.try_into().unwrap(), cols.try_into().unwrap(), 0);
        let output = Arc::new((
            Mutex::new(Output {
                parser,
                bytes: Vec::new(),
            }),
            Condvar::new(),
        ));
        let shared = Arc::clone(&output);
        let closing = Arc::new(AtomicBool::new(false));
        let flag = Arc::clone(&closing);
        let reading = std::thread::spawn(move || {
            let mut bytes = [0; 4096];
            while let Ok(length @ 1..) = reader.read(&mut bytes) {
                let mut output = shared.0.lock().unwrap();
                output.parser.process(&bytes[..length]);
                output.bytes.extend_from_slice(&bytes[..length]);
                drop(output);
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
            output,
            closing,
            reading: Some(reading),
            termios,
        }
    }

    /// Types `keys`.
    pub fn send(&mut self, keys: &str) {
        let writer = self.writer.as_mut().unwrap();
        writer.write_all(keys.as_bytes()).unwrap();
        writer.flush().unwrap();
    }

    /// Waits until what the terminal shows fulfils `wanted`.
    #[track_caller]
    pub fn wait(&self, what: &str, wanted: impl Fn(&vt100::Screen) -> bool) {
        let deadline = Instant::now() + LIMIT;
        let mut output = self.output.0.lock().unwrap();
        while !wanted(output.parser.screen()) {
            let left = deadline.saturating_duration_since(Instant::now());
            if left.is_zero() {
                let screen = output.parser.screen().contents();
                drop(output);
                panic!("waited for {what}; the screen is:\n{screen}");
            }
            output = self
                .output
                .1
                .wait_timeout(output, left.min(Duration::from_millis(200)))
                .unwrap()
                .0;
        }
    }

    #[track_caller]
    pub fn wait_for_text(&self, text: &str) {
        self.wait(text, |screen| screen.contents().contains(text));
    }

    #[track_caller]
    pub fn wait_until_gone(&self, text: &str) {
        self.wait(&format!("`{text}` to go"), |screen| {
            !screen.contents().contains(text)
        });
    }

    /// Something of the screen as it is now.
    pub fn look<T>(&self, at: impl Fn(&vt100::Screen) -> T) -> T {
        at(self.output.0.lock().unwrap().parser.screen())
    }

    pub fn text(&self) -> String {
        self.look(vt100::Screen::contents)
    }

    /// Every byte that the program wrote so far.
    pub fn bytes(&self) -> Vec<u8> {
        self.output.0.lock().unwrap().bytes.clone()
    }

    /// Waits until `text` was written after the first `from` bytes.
    #[track_caller]
    pub fn wait_for_bytes(&self, text: &str, from: usize) {
        let deadline = Instant::now() + LIMIT;
        let mut output = self.output.0.lock().unwrap();
        while memchr::memmem::find(&output.bytes[from..], text.as_bytes()).is_none() {
            let left = deadline.saturating_duration_since(Instant::now());
            assert!(!left.is_zero(), "waited for `{text}` to be written");
            output = self
                .output
                .1
                .wait_timeout(output, left.min(Duration::from_millis(200)))
                .unwrap()
                .0;
        }
    }

    pub fn resize(&self, rows: u16, cols: u16) {
        let (rows_wanted, cols_wanted) = (rows.try_into().unwrap(), cols.try_into().unwrap());
        self.output
            .0
            .lock()
            .unwrap()
            .parser
            .screen_mut()
            .set_size(rows_wanted, cols_wanted);
        let size = PtySize {
            rows,
            cols,
            pixel_width: 0,
            pixel_height: 0,
        };
        self.master.as_ref().unwrap().resize(size).unwrap();
    }

    /// Waits for the end of the program.
    pub fn ended(&mut self) -> portable_pty::ExitStatus {
        self.child.wait().unwrap()
    }

    /// Closes the terminal as a lost connection does: every descriptor of the master's side.
    pub fn hang_up(&mut self) {
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

    pub fn signal(&self, signal: rustix::process::Signal) {
        let pid = rustix::process::Pid::from_raw(self.pid()).unwrap();
        rustix::process::kill_process(pid, signal).unwrap();
    }

    /// Fields of `/proc/PID/stat` behind the name; a process that ended keeps them until it is waited
    /// for.
    fn stat(&self) -> Vec<String> {
        let stat = std::fs::read_to_string(format!("/proc/{}/stat", self.pid())).unwrap();
        stat.rsplit_once(')')
            .unwrap()
            .1
            .split_whitespace()
            .map(str::to_owned)
            .collect()
    }

    /// State letter of the process; `Z` before it is waited for.
    fn state(&self) -> char {
        self.stat()[0].chars().next().unwrap()
    }

    /// CPU time of the process and all its threads, user and system, in steps of a tick (10 ms).
    pub fn cpu(&self) -> Duration {
        let fields = self.stat();
        let ticks = fields[11].parse::<u64>().unwrap() + fields[12].parse::<u64>().unwrap();
        Duration::from_millis(ticks * 10) // USER_HZ is 100 wherever Linux shows it
    }

    pub fn wait_for_state(&self, wanted: char, limit: Duration) -> Duration {
        let begin = Instant::now();
        while self.state() != wanted {
            assert!(
                begin.elapsed() < limit,
                "the process is in state {}, not {wanted}",
                self.state()
            );
            std::thread::yield_now();
        }
        begin.elapsed()
    }

    /// The terminal is as it was before the program.
    pub fn assert_restored(&self) {
        self.wait("the terminal being given back", |screen| {
            !screen.alternate_screen()
                && !screen.hide_cursor()
                && !screen.bracketed_paste()
                && screen.mouse_protocol_mode() == vt100::MouseProtocolMode::None
        });
        // They follow the last byte of the screen, and nothing tells when.
        let master = self.master.as_ref().unwrap();
        let begin = Instant::now();
        while termios_of(&**master) != self.termios && begin.elapsed() < LIMIT {
            std::thread::yield_now();
        }
        assert_eq!(termios_of(&**master), self.termios, "the line settings");
    }
}

impl Drop for Pty {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
