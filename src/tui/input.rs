//! From the bytes of the terminal to keys, and the watch for its end.
//!
//! crossterm's own reader is not used: it blocks inside an unfinished sequence and spins for ever
//! once the terminal is gone while `SIGHUP` is ignored (crossterm 0.29, issue 793). Here one
//! thread polls the descriptor; a hang-up is the poll's own answer, and that thread then makes
//! sure that the process ends even when the rest of it hangs.

use std::fs::File;
use std::io::{self, IsTerminal};
use std::os::fd::OwnedFd;
use std::time::Duration;

use crossterm::event::{
    Event, KeyCode, KeyEvent, KeyModifiers, MouseButton, MouseEvent, MouseEventKind,
};
use rustix::event::{PollFd, PollFlags, Timespec};
use tokio::sync::mpsc;

use super::terminal;

/// After this long without more bytes, a lone ESC is the Esc key and not the start of a sequence.
const ESCAPE_WAIT: Duration = Duration::from_millis(30);
/// How long a lost terminal leaves for an orderly end before the process is ended.
const HANG_UP_GRACE: Duration = Duration::from_millis(500);
/// A paste beyond this is cut: it goes to a one-line prompt.
const PASTE_LIMIT: usize = 64 * 1024;

/// What the terminal says.
#[derive(Clone, Debug, PartialEq)]
pub enum Input {
    Event(Event),
    /// The terminal is gone.
    HungUp,
}

/// Starts the reading thread. The channel is bounded: a console that cannot keep up lets the
/// kernel keep the keys.
pub fn start() -> io::Result<mpsc::Receiver<Input>> {
    let tty: OwnedFd = if io::stdin().is_terminal() {
        rustix::io::dup(rustix::stdio::stdin())?
    } else {
        File::open("/dev/tty")?.into()
    };
    let (sender, receiver) = mpsc::channel(64);
    std::thread::Builder::new()
        .name("keys".into())
        .spawn(move || read_until_gone(&tty, &sender))?;
    Ok(receiver)
}

fn read_until_gone(tty: &OwnedFd, sender: &mpsc::Sender<Input>) {
    let mut parser = Parser::default();
    let mut buffer = [0_u8; 1024];
    loop {
        let wait = parser
            .is_pending()
            .then_some(ESCAPE_WAIT)
            .and_then(|wait| Timespec::try_from(wait).ok());
        let mut polled = [PollFd::new(tty, PollFlags::IN)];
        match rustix::event::poll(&mut polled, wait.as_ref()) {
            Err(rustix::io::Errno::INTR) => continue,
            Err(_) => return hung_up(sender),
            Ok(0) => {
                for event in parser.timed_out() {
                    if sender.blocking_send(Input::Event(event)).is_err() {
                        return;
                    }
                }
                continue;
            }
            Ok(_) => {}
        }
        let events = polled[0].revents();
        if events.intersects(PollFlags::HUP | PollFlags::ERR | PollFlags::NVAL) {
            return hung_up(sender);
        }
        match rustix::io::read(tty, &mut buffer) {
            Ok(0) => return hung_up(sender),
            Ok(length) => {
                for event in parser.feed(&buffer[..length]) {
                    if sender.blocking_send(Input::Event(event)).is_err() {
                        return;
                    }
                }
            }
            Err(rustix::io::Errno::INTR | rustix::io::Errno::AGAIN) => {}
            Err(_) => return hung_up(sender),
        }
    }
}

/// Tells the loop, and ends the process should the loop not do so by itself.
fn hung_up(sender: &mpsc::Sender<Input>) {
    let _ = sender.try_send(Input::HungUp);
    std::thread::sleep(HANG_UP_GRACE);
    terminal::restore();
    std::process::exit(1);
}

/// Cuts bytes into events. Unknown sequences are swallowed whole, so that none of their bytes is
/// taken for a key.
#[derive(Debug, Default)]
pub struct Parser {
    pending: Vec<u8>,
    paste: Option<Vec<u8>>,
}

const PASTE_START: &[u8] = b"\x1b[200~";
const PASTE_END: &[u8] = b"\x1b[201~";

enum Step {
    /// More bytes are needed.
    Wait,
    /// This many bytes are done with.
    Took(usize, Option<Event>),
}

impl Parser {
    fn is_pending(&self) -> bool {
        !self.pending.is_empty() && self.paste.is_none()
    }

    pub fn feed(&mut self, bytes: &[u8]) -> Vec<Event> {
        self.pending.extend_from_slice(bytes);
        let mut events = Vec::new();
        loop {
            if let Some(paste) = &mut self.paste {
                let Some(end) = memchr::memmem::find(&self.pending, PASTE_END) else {
                    // The end mark may be cut by the read; keep what could be its beginning.
                    let safe = self.pending.len().saturating_sub(PASTE_END.len() - 1);
                    paste.extend(self.pending.drain(..safe));
                    paste.truncate(PASTE_LIMIT);
                    break;
                };
                paste.extend_from_slice(&self.pending[..end]);
                paste.truncate(PASTE_LIMIT);
                events.push(Event::Paste(String::from_utf8_lossy(paste).into_owned()));
                self.pending.drain(..end + PASTE_END.len());
                self.paste = None;
                continue;
            }
            if self.pending.is_empty() {
                break;
            }
            if self.pending.starts_with(PASTE_START) {
                self.pending.drain(..PASTE_START.len());
                self.paste = Some(Vec::new());
                continue;
            }
            match step(&self.pending) {
                Step::Wait => break,
                Step::Took(length, event) => {
                    self.pending.drain(..length);
                    events.extend(event);
                }
            }
        }
        events
    }

    /// No more bytes came: a lone ESC was the key.
    pub fn timed_out(&mut self) -> Vec<Event> {
        let lone = self.pending == [0x1b];
        self.pending.clear();
        if lone {
            vec![key(KeyCode::Esc, KeyModifiers::NONE)]
        } else {
            Vec::new()
        }
    }
}

fn key(code: KeyCode, modifiers: KeyModifiers) -> Event {
    Event::Key(KeyEvent::new(code, modifiers))
}

fn step(bytes: &[u8]) -> Step {
    match bytes[0] {
        0x1b => escape(bytes),
        _ => plain(bytes, KeyModifiers::NONE),
    }
}

/// One key that is not an escape sequence: a control byte or a character.
fn plain(bytes: &[u8], modifiers: KeyModifiers) -> Step {
    let control = |letter: u8| {
        Step::Took(
            1,
            Some(key(
                KeyCode::Char(char::from(letter)),
                modifiers | KeyModifiers::CONTROL,
            )),
        )
    };
    match bytes[0] {
        b'\r' | b'\n' => Step::Took(1, Some(key(KeyCode::Enter, modifiers))),
        b'\t' => Step::Took(1, Some(key(KeyCode::Tab, modifiers))),
        0x7f | 0x08 => Step::Took(1, Some(key(KeyCode::Backspace, modifiers))),
        0 => control(b' '),
        byte @ 0x01..=0x1a => control(byte - 1 + b'a'),
        byte @ 0x1c..=0x1f => control(byte - 0x1c + b'4'),
        first => {
            let length = match first {
                0x00..=0x7f => 1,
                0xc0..=0xdf => 2,
                0xe0..=0xef => 3,
                0xf0..=0xf7 => 4,
                _ => return Step::Took(1, None),
            };
            if bytes.len() < length {
                return Step::Wait;
            }
            match std::str::from_utf8(&bytes[..length])
                .ok()
                .and_then(|text| text.chars().next())
            {
                Some(character) => {
                    let shift = if character.is_uppercase() {
                        KeyModifiers::SHIFT
                    } else {
                        KeyModifiers::NONE
                    };
                    Step::Took(
                        length,
                        Some(key(KeyCode::Char(character), modifiers | shift)),
                    )
                }
                None => Step::Took(1, None),
            }
        }
    }
}

fn escape(bytes: &[u8]) -> Step {
    match bytes.get(1) {
        None => Step::Wait,
        Some(b'[') => csi(bytes),
        Some(b'O') => match bytes.get(2) {
            None => Step::Wait,
            Some(&last) => Step::Took(
                3,
                letter_key(last).map(|code| key(code, KeyModifiers::NONE)),
            ),
        },
        // A second ESC: the first was the key.
        Some(0x1b) => Step::Took(1, Some(key(KeyCode::Esc, KeyModifiers::NONE))),
        Some(_) => match plain(&bytes[1..], KeyModifiers::ALT) {
            Step::Wait => Step::Wait,
            Step::Took(length, event) => Step::Took(length + 1, event),
        },
    }
}

fn letter_key(last: u8) -> Option<KeyCode> {
    Some(match last {
        b'A' => KeyCode::Up,
        b'B' => KeyCode::Down,
        b'C' => KeyCode::Right,
        b'D' => KeyCode::Left,
        b'H' => KeyCode::Home,
        b'F' => KeyCode::End,
        b'P' => KeyCode::F(1),
        b'Q' => KeyCode::F(2),
        b'R' => KeyCode::F(3),
        b'S' => KeyCode::F(4),
        b'Z' => KeyCode::BackTab,
        _ => return None,
    })
}

fn csi(bytes: &[u8]) -> Step {
    // Parameter bytes 0x30-0x3f, intermediate 0x20-0x2f, final 0x40-0x7e (ECMA-48, 5.4).
    let body = &bytes[2..];
    // The Linux console sends ESC [ [ A for F1 to F5.
    if body.first() == Some(&b'[') {
        return match body.get(1) {
            None => Step::Wait,
            Some(&last @ b'A'..=b'E') => Step::Took(
                4,
                Some(key(KeyCode::F(last - b'A' + 1), KeyModifiers::NONE)),
            ),
            Some(_) => Step::Took(4, None),
        };
    }
    let Some(end) = body.iter().position(|byte| !(0x20..=0x3f).contains(byte)) else {
        // Longer than any real sequence: drop it rather than collect without end.
        return if body.len() > 64 {
            Step::Took(bytes.len(), None)
        } else {
            Step::Wait
        };
    };
    let last = body[end];
    let length = 2 + end + 1;
    if !(0x40..=0x7e).contains(&last) {
        return Step::Took(length - 1, None);
    }
    let parameters = std::str::from_utf8(&body[..end]).unwrap_or_default();
    if let Some(mouse) = parameters.strip_prefix('<') {
        return Step::Took(length, mouse_event(mouse, last));
    }
    let mut numbers = parameters
        .split(';')
        .map(|number| number.parse::<u16>().unwrap_or(0));
    let first = numbers.next().unwrap_or(0);
    let modifiers = modifiers_of(numbers.next().unwrap_or(1));
    let code = if last == b'~' {
        match first {
            1 | 7 => KeyCode::Home,
            2 => KeyCode::Insert,
            3 => KeyCode::Delete,
            4 | 8 => KeyCode::End,
            5 => KeyCode::PageUp,
            6 => KeyCode::PageDown,
            11..=15 => KeyCode::F((first - 10) as u8),
            17..=21 => KeyCode::F((first - 11) as u8),
            23 | 24 => KeyCode::F((first - 12) as u8),
            _ => return Step::Took(length, None),
        }
    } else {
        match letter_key(last) {
            Some(code) => code,
            None => return Step::Took(length, None),
        }
    };
    Step::Took(length, Some(key(code, modifiers)))
}

fn modifiers_of(parameter: u16) -> KeyModifiers {
    let bits = parameter.saturating_sub(1);
    let mut modifiers = KeyModifiers::NONE;
    modifiers.set(KeyModifiers::SHIFT, bits & 1 != 0);
    modifiers.set(KeyModifiers::ALT, bits & 2 != 0);
    modifiers.set(KeyModifiers::CONTROL, bits & 4 != 0);
    modifiers
}

/// SGR mouse report (xterm 1006): `button;column;row`, final `M` for a press, `m` for a release.
fn mouse_event(parameters: &str, last: u8) -> Option<Event> {
    let mut numbers = parameters
        .split(';')
        .map(|number| number.parse::<u16>().ok());
    let button = numbers.next()??;
    let column = numbers.next()??.checked_sub(1)?;
    let row = numbers.next()??.checked_sub(1)?;
    let kind = match (button & 0b1100_0011, last) {
        (0, b'M') if button & 32 == 0 => MouseEventKind::Down(MouseButton::Left),
        (64, b'M') => MouseEventKind::ScrollUp,
        (65, b'M') => MouseEventKind::ScrollDown,
        _ => return None,
    };
    Some(Event::Mouse(MouseEvent {
        kind,
        column,
        row,
        modifiers: KeyModifiers::NONE,
    }))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn keys(bytes: &[u8]) -> Vec<Event> {
        Parser::default().feed(bytes)
    }

    #[test]
    fn reads_the_keys_that_terminals_send() {
        let none = KeyModifiers::NONE;
        for (bytes, expected) in [
            (&b"j"[..], key(KeyCode::Char('j'), none)),
            (b"G", key(KeyCode::Char('G'), KeyModifiers::SHIFT)),
            (b"\x04", key(KeyCode::Char('d'), KeyModifiers::CONTROL)),
            (b"\r", key(KeyCode::Enter, none)),
            (b"\x7f", key(KeyCode::Backspace, none)),
            (b"\x1b[A", key(KeyCode::Up, none)),
            (b"\x1bOB", key(KeyCode::Down, none)),
            (b"\x1b[5~", key(KeyCode::PageUp, none)),
            (b"\x1b[1;5C", key(KeyCode::Right, KeyModifiers::CONTROL)),
            (b"\x1b[12~", key(KeyCode::F(2), none)),
            (b"\x1b[Z", key(KeyCode::BackTab, none)),
            (b"\x1bx", key(KeyCode::Char('x'), KeyModifiers::ALT)),
            ("ñ".as_bytes(), key(KeyCode::Char('ñ'), none)),
        ] {
            assert_eq!(keys(bytes), [expected], "{bytes:?}");
        }
    }

    #[test]
    fn a_sequence_cut_by_the_read_is_one_key() {
        let mut parser = Parser::default();
        assert_eq!(parser.feed(b"\x1b"), []);
        assert_eq!(parser.feed(b"["), []);
        assert_eq!(parser.feed(b"B"), [key(KeyCode::Down, KeyModifiers::NONE)]);
    }

    #[test]
    fn a_lone_escape_is_the_key_once_nothing_follows() {
        let mut parser = Parser::default();
        assert_eq!(parser.feed(b"\x1b"), []);
        assert_eq!(parser.timed_out(), [key(KeyCode::Esc, KeyModifiers::NONE)]);
        assert_eq!(parser.timed_out(), []);
    }

    #[test]
    fn a_paste_is_one_event_and_never_keys() {
        let mut parser = Parser::default();
        assert_eq!(parser.feed(b"\x1b[200~:q\rrm \x1b[2"), []);
        assert_eq!(
            parser.feed(b"01~j"),
            [
                Event::Paste(":q\rrm ".into()),
                key(KeyCode::Char('j'), KeyModifiers::NONE)
            ]
        );
    }

    #[test]
    fn answers_of_the_terminal_are_not_taken_for_keys() {
        assert_eq!(keys(b"\x1b[?62;22c"), []);
        assert_eq!(
            keys(b"\x1b[?62;22cj"),
            [key(KeyCode::Char('j'), KeyModifiers::NONE)]
        );
        assert_eq!(keys(b"\x1b[<0;10;5M").len(), 1);
    }

    proptest::proptest! {
        #[test]
        fn never_panics_and_never_keeps_a_growing_rest(bytes in proptest::collection::vec(0_u8..=255, 0..300)) {
            let mut parser = Parser::default();
            for byte in bytes {
                parser.feed(&[byte]);
                proptest::prop_assert!(parser.pending.len() <= 80);
            }
        }
    }
}
