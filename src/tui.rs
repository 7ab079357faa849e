//! The console: the run loop, and around it the terminal, the app and its tabs.
//!
//! Reading order: [`ask`], [`action`] and [`keymap`] (the words), [`tab`] (what a tab is, and how to
//! build one), [`tabs`] (those that there are), [`registry`] and [`runner`] (their work, done in
//! tasks), [`app`] (routing), [`terminal`] and [`input`] (the tty, taken and given back), [`theme`]
//! and [`widgets`].
//!
//! Promises: the first frame is drawn before any store has answered; nothing is drawn when nothing
//! changed, and never more than 20 frames a second; no key waits for a store; and the terminal is
//! given back on every way out.

pub mod action;
pub mod app;
pub mod ask;
pub mod clipboard;
pub mod event;
pub mod input;
pub mod keymap;
pub mod registry;
pub mod runner;
mod signals;
pub mod state;
pub mod tab;
pub mod tabs;
pub mod terminal;
pub mod theme;
pub mod widgets;

use atalaya_domain::error_class::ErrorClass;
use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use ratatui::Terminal;
use ratatui::backend::CrosstermBackend;
use tokio::sync::{mpsc, watch};
use tokio::time::{Instant, MissedTickBehavior, interval, interval_at};

use self::app::{App, Request, Setup, TabSetup};
use self::ask::Notice;
use self::event::AppEvent;
use self::input::Input;
use self::keymap::KeymapError;
use self::runner::Runner;
use self::signals::{Caught, Signals};
use self::state::Saved;
use self::tab::Configured;
use self::tabs::TABS;
use self::terminal::{Canvas, Output, TerminalGuard};
use self::theme::{ColorDepth, Theme, ThemeError};
use crate::service::Stores;
use crate::service::alerts::{AlertSettings, Firing};
use crate::service::dora::{ReportRequest, SyncRequest};
use crate::service::jobs::JobInfo;
use crate::service::pdca::PdcaSettings;
use atalaya_domain::health::Health;
use atalaya_domain::time::Timestamp;
use atalaya_ingest::accounts::IngestStatus;
use atalaya_query::Zone;

/// At most 20 frames a second: more than a person can read over ssh only costs bytes.
const FRAME: Duration = Duration::from_millis(50);
/// Answers that may wait for the loop; a task that finds it full waits.
const ANSWERS: usize = 64;

/// What the console needs of the rest of the program.
pub struct ConsoleInput {
    pub stores: Stores,
    /// The ingest of this process, when it runs one.
    pub ingest: Option<watch::Receiver<IngestStatus>>,
    /// Measurements of host and stores, when somebody makes them.
    pub health: Option<watch::Receiver<Health>>,
    /// How many alerts fire, when somebody counts them.
    pub firing: Option<watch::Receiver<Firing>>,
    pub theme: String,
    pub themes_dir: Option<PathBuf>,
    pub zone: Zone,
    pub mouse: bool,
    /// Where the console's own state is kept and where a copy too large for the clipboard goes.
    pub data_dir: PathBuf,
    pub host: String,
    /// The stores hold made-up data, and the header says so.
    pub demo: bool,
    /// What the DORA tab reports on at first.
    pub dora: ReportRequest,
    /// The folder that the console was started in, and how a repository there is read.
    pub sync: Option<(PathBuf, SyncRequest)>,
    /// How the PDCA tab judges.
    pub pdca: PdcaSettings,
    /// The rules that the Alerts tab shows.
    pub alerts: Option<Arc<AlertSettings>>,
    /// What the service does by a schedule; empty where nobody does it.
    pub jobs: Arc<[JobInfo]>,
    /// Action name to keys separated by blanks.
    pub keys: BTreeMap<String, String>,
}

/// How the console ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ended {
    Quit,
    /// SIGTERM, SIGINT or SIGHUP, by its number.
    Signal(i32),
    /// The terminal is gone.
    HungUp,
}

/// Why the console could not run, or had to stop.
#[derive(Debug, thiserror::Error)]
pub enum ConsoleError {
    #[error("the console needs a terminal; for pipes use `atalaya logs`, which prints")]
    NoTerminal(#[source] io::Error),
    #[error("[console.keys] of the configuration")]
    Keys(#[from] KeymapError),
    #[error("[console] theme of the configuration")]
    Theme(#[from] ThemeError),
    #[error("writing to the terminal failed")]
    Terminal(#[from] io::Error),
    #[error("a part of the program panicked; the message is above")]
    Panicked,
}

impl ConsoleError {
    /// Who has to do what before the same succeeds.
    pub const fn class(&self) -> ErrorClass {
        match self {
            Self::NoTerminal(_) | Self::Keys(_) | Self::Theme(_) => ErrorClass::Usage,
            Self::Terminal(_) | Self::Panicked => ErrorClass::Broken,
        }
    }
}

/// Runs the console until it is quit. Call it from `block_on`, not from a worker task: a slow
/// terminal makes a frame's write wait.
pub async fn run(input: ConsoleInput) -> Result<Ended, ConsoleError> {
    match run_on_terminal(input).await {
        // Whoever sees it first, the frame or the reader of keys: it is one end.
        Err(ConsoleError::Terminal(error)) if is_gone(&error) => Ok(Ended::HungUp),
        ended => ended,
    }
}

/// What a terminal answers whose other side was closed.
fn is_gone(error: &io::Error) -> bool {
    error.raw_os_error() == Some(rustix::io::Errno::IO.raw_os_error())
        || error.kind() == io::ErrorKind::BrokenPipe
}

async fn run_on_terminal(input: ConsoleInput) -> Result<Ended, ConsoleError> {
    let (saved, trouble) = state::load(&input.data_dir, |saved| registry::readable(TABS, saved));
    let setup = setup(&input, &saved)?;
    let mut signals = Signals::new()?;
    // Until the terminal was given back: that may wait for it as well.
    let _unstuck = signals::end_when_stuck()?;
    let guard = TerminalGuard::take(input.mouse).map_err(ConsoleError::NoTerminal)?;
    let mut inputs = input::start()?;
    let mut terminal = Terminal::new(CrosstermBackend::new(Output::default()))?;
    let size = crossterm::terminal::size()?;
    let mut app = App::new(Setup { size, ..setup }, &saved);
    if let Some(trouble) = trouble {
        app.notify(Notice::trouble(widgets::safe_text::line(&trouble)));
    }
    draw(&mut terminal, &mut app)?;

    let (sender, mut answers) = mpsc::channel(ANSWERS);
    let logs = input.stores.logs.clone();
    let mut runner = Runner::new(input.stores, sender);
    let mut ingest = input.ingest;
    let mut health = input.health;
    let mut firing = input.firing;
    let mut frame_tick = interval(FRAME);
    frame_tick.set_missed_tick_behavior(MissedTickBehavior::Delay); // the default saves up frames while idle
    let mut clock = interval_at(
        Instant::now() + Duration::from_secs(1),
        Duration::from_secs(1),
    );
    clock.set_missed_tick_behavior(MissedTickBehavior::Skip);

    let ended = loop {
        for order in app.take_orders() {
            runner.take(order);
        }
        for request in app.take_requests() {
            attend(request, &guard, &mut terminal, &mut app, &input.data_dir).await?;
        }
        if app.should_quit() {
            break Ended::Quit;
        }
        tokio::select! {
            key = inputs.recv() => match key {
                Some(Input::Event(event)) => app.on_event(AppEvent::Input(event), Timestamp::now()),
                Some(Input::HungUp) | None => break Ended::HungUp,
            },
            Some(answer) = answers.recv() => app.on_event(AppEvent::Answer(answer), Timestamp::now()),
            status = changed(&mut ingest) => app.on_event(AppEvent::Ingest(Arc::new(status)), Timestamp::now()),
            count = changed(&mut firing) => app.on_event(AppEvent::Firing(count), Timestamp::now()),
            fresh = changed(&mut health) => app.on_event(AppEvent::Health(Arc::new(fresh)), Timestamp::now()),
            caught = signals.next() => {
                if let Some(ended) = on_signal(&caught, &guard, &mut terminal, &mut app)? {
                    break ended;
                }
            }
            () = terminal::panicked() => {
                runner.stop();
                return Err(ConsoleError::Panicked);
            },
            _ = clock.tick() => {
                app.on_event(AppEvent::Troubles(logs.store().troubles()), Timestamp::now());
                app.on_event(AppEvent::Tick, Timestamp::now());
            }
            _ = frame_tick.tick(), if app.is_dirty() => draw(&mut terminal, &mut app)?,
        }
    };
    runner.stop();
    drop(guard);
    // After the terminal is back: a full disk is worth a message, not a failed end.
    if let Err(error) = state::save(&input.data_dir, &app.saved()) {
        tracing::warn!(%error, "the state of the console could not be saved");
    }
    Ok(ended)
}

/// How the console begins, in a terminal whose size is not known yet.
fn setup(input: &ConsoleInput, saved: &Saved) -> Result<Setup, ConsoleError> {
    let variable = |name: &str| std::env::var(name).ok();
    let depth = ColorDepth::detect(variable);
    Ok(Setup {
        tabs: TabSetup {
            registered: TABS,
            first: tabs::FIRST,
            configured: Configured {
                report: input.dora.clone(),
                sync: input.sync.clone(),
                pdca: input.pdca.clone(),
                alerts: input.alerts.clone(),
                jobs: Arc::clone(&input.jobs),
            },
        },
        keymap: registry::keymap(TABS, &input.keys)?,
        theme: chosen_theme(input, saved, depth)?,
        configured_theme: input.theme.clone(),
        themes_dir: input.themes_dir.clone(),
        depth,
        zone: input.zone,
        unicode: is_utf8(variable),
        mouse: input.mouse,
        demo: input.demo,
        host: widgets::safe_text::line(&input.host),
        data_dir: input.data_dir.clone(),
        now: Timestamp::now(),
        size: (0, 0),
    })
}

/// The theme that was chosen in the console over the configured one, else that.
fn chosen_theme(
    input: &ConsoleInput,
    saved: &Saved,
    depth: ColorDepth,
) -> Result<Theme, ThemeError> {
    let chosen = saved
        .theme
        .as_ref()
        .filter(|(_, over)| *over == input.theme)
        .map_or(&input.theme, |(name, _)| name);
    let themes = input.themes_dir.as_deref();
    Theme::load(chosen, themes, depth).or_else(|error| {
        // A theme chosen once and deleted since must not keep the console from starting.
        if *chosen == input.theme {
            Err(error)
        } else {
            Theme::load(&input.theme, themes, depth)
        }
    })
}

/// What a signal asks for; `Some`: the end.
fn on_signal(
    caught: &Caught,
    guard: &TerminalGuard,
    terminal: &mut Canvas,
    app: &mut App,
) -> io::Result<Option<Ended>> {
    match caught {
        Caught::Resized => {
            let (columns, rows) = crossterm::terminal::size()?;
            app.on_event(AppEvent::Resized(columns, rows), Timestamp::now());
            // Also when it is the size of the last frame again: what was cut off meanwhile is gone.
            wipe(terminal)?;
        }
        Caught::Stop => resume_after(guard, terminal, app)?,
        Caught::Continued => {
            // Continued without having been stopped by us: the screen may be anyone's.
            wipe(terminal)?;
            app.repaint();
        }
        Caught::End(number) => return Ok(Some(Ended::Signal(*number))),
    }
    Ok(None)
}

fn draw(terminal: &mut Canvas, app: &mut App) -> io::Result<()> {
    let started = Instant::now();
    // The signal that tells of a new size may come later than the frame in it.
    let size = crossterm::terminal::size()?;
    if size != app.size() {
        app.on_event(AppEvent::Resized(size.0, size.1), Timestamp::now());
    }
    terminal.draw(|frame| app.render(frame))?;
    app.drawn();
    tracing::trace!(target: "atalaya::frame", micros = started.elapsed().as_micros() as u64);
    Ok(())
}

/// Forgets what is on the screen, so that the next frame writes all of it.
///
/// Not `Terminal::clear`: that asks the terminal for its cursor, and the answer would come to our
/// own reader of keys.
fn wipe(terminal: &mut Canvas) -> io::Result<()> {
    let (columns, rows) = crossterm::terminal::size()?;
    terminal.resize(ratatui::layout::Rect::new(0, 0, columns, rows))
}

fn resume_after(guard: &TerminalGuard, terminal: &mut Canvas, app: &mut App) -> io::Result<()> {
    guard.suspend()?;
    let (columns, rows) = crossterm::terminal::size()?;
    app.on_event(AppEvent::Resized(columns, rows), Timestamp::now());
    wipe(terminal)?;
    app.repaint();
    Ok(())
}

/// Carries out what only the owner of the terminal can.
async fn attend(
    request: Request,
    guard: &TerminalGuard,
    terminal: &mut Canvas,
    app: &mut App,
    data_dir: &Path,
) -> io::Result<()> {
    match request {
        #[cfg(debug_assertions)]
        Request::Fault(fault) => break_on_purpose(fault)?,
        Request::Mouse(on) => guard.set_mouse(on)?,
        Request::Suspend => resume_after(guard, terminal, app)?,
        Request::Redraw => {
            wipe(terminal)?;
            app.repaint();
        }
        Request::Copy { text, what } => {
            match clipboard::sequence(
                &text,
                clipboard::Wrap::detect(|name| std::env::var(name).ok()),
            ) {
                Some(sequence) => {
                    guard.write_sequence(&sequence)?;
                    app.notify(Notice::plain(format!(
                        "{what} copied to the clipboard (OSC 52)"
                    )));
                }
                None => {
                    let path = data_dir.join("clipboard.txt");
                    let notice = match tokio::fs::write(&path, &text).await {
                        Ok(()) => Notice::plain(format!(
                            "{what} is too large for the clipboard; it is in {}",
                            path.display()
                        )),
                        Err(error) => {
                            Notice::trouble(format!("cannot write {}: {error}", path.display()))
                        }
                    };
                    app.notify(notice);
                }
            }
        }
        Request::WriteFile { path, text } => {
            let notice = match write_new(Path::new(&path), &text).await {
                Ok(()) => Notice::plain(format!("wrote {}", widgets::safe_text::line(&path))),
                Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
                    Notice::trouble(format!(
                        "{} exists already; give another name",
                        widgets::safe_text::line(&path)
                    ))
                }
                Err(error) => Notice::trouble(format!(
                    "cannot write {}: {error}",
                    widgets::safe_text::line(&path)
                )),
            };
            app.notify(notice);
        }
    }
    Ok(())
}

/// What a task, a thread or the terminal may do at any time, asked for by a test.
#[cfg(debug_assertions)]
fn break_on_purpose(fault: app::Fault) -> io::Result<()> {
    match fault {
        app::Fault::Task => {
            tokio::spawn(async { panic!("asked for with :panic task") });
        }
        app::Fault::Thread => {
            std::thread::Builder::new().spawn(|| panic!("asked for with :panic thread"))?;
        }
        app::Fault::Error => return Err(io::Error::other("asked for with :panic error")),
    }
    Ok(())
}

/// Never over a file that is there: a slip of the finger must not cost one.
async fn write_new(path: &Path, text: &str) -> io::Result<()> {
    use tokio::io::AsyncWriteExt;
    let mut file = tokio::fs::OpenOptions::new()
        .write(true)
        .create_new(true)
        .open(path)
        .await?;
    file.write_all(text.as_bytes()).await?;
    file.flush().await
}

/// The next value of a watch; never, when there is none or its sender is gone.
async fn changed<T: Clone>(receiver: &mut Option<watch::Receiver<T>>) -> T {
    if let Some(open) = receiver {
        if open.changed().await.is_ok() {
            return open.borrow_and_update().clone();
        }
        *receiver = None;
    }
    std::future::pending().await
}

/// Whether the locale writes UTF-8; else bars are drawn in ASCII.
fn is_utf8(variable: impl Fn(&str) -> Option<String>) -> bool {
    let locale = ["LC_ALL", "LC_CTYPE", "LANG"]
        .into_iter()
        .find_map(|name| variable(name).filter(|value| !value.is_empty()));
    // No locale at all is how containers are run, and their terminals do UTF-8.
    locale.is_none_or(|value| {
        let value = value.to_ascii_lowercase();
        value.contains("utf-8") || value.contains("utf8") || value == "c" || value == "posix"
    })
}
