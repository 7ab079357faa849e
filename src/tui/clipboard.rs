//! OSC 52: the clipboard of the terminal that the user sits at, also over ssh.
//!
//! Text is made safe first, so what is pasted later carries no control character, and the size is
//! limited, because terminals cut or refuse longer ones. tmux and screen need the sequence wrapped.
//! Definition: xterm's control sequences, "Manipulate Selection Data".

use base64::Engine;
use base64::engine::general_purpose::STANDARD;

/// Terminals take about 100,000 encoded bytes, tmux 74,994; R33 asks for at most this much.
const LIMIT: usize = 64 * 1024;

/// What stands between this process and the terminal.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Wrap {
    None,
    Tmux,
    Screen,
}

impl Wrap {
    pub fn detect(variable: impl Fn(&str) -> Option<String>) -> Self {
        if variable("TMUX").is_some_and(|value| !value.is_empty()) {
            Self::Tmux
        } else if variable("TERM").is_some_and(|term| term.starts_with("screen")) {
            Self::Screen
        } else {
            Self::None
        }
    }
}

/// The sequence that puts `text` into the clipboard; `None` when it is too large.
pub fn sequence(text: &str, wrap: Wrap) -> Option<String> {
    let safe: Vec<String> = text
        .split('\n')
        .map(super::widgets::safe_text::line)
        .collect();
    let encoded = STANDARD.encode(safe.join("\n"));
    if encoded.len() > LIMIT {
        return None;
    }
    let plain = format!("\x1b]52;c;{encoded}\x07");
    Some(match wrap {
        Wrap::None => plain,
        Wrap::Tmux => format!("\x1bPtmux;{}\x1b\\", plain.replace('\x1b', "\x1b\x1b")),
        // screen passes at most 768 bytes of one such string.
        Wrap::Screen => {
            let pieces: Vec<&str> = plain
                .as_bytes()
                .chunks(700)
                .filter_map(|piece| std::str::from_utf8(piece).ok())
                .collect();
            pieces
                .iter()
                .map(|piece| format!("\x1bP{piece}\x1b\\"))
                .collect()
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn is_wrapped_for_what_stands_between() {
        assert_eq!(
            sequence("hi", Wrap::None).as_deref(),
            Some("\x1b]52;c;aGk=\x07")
        );
        assert_eq!(
            sequence("hi", Wrap::Tmux).as_deref(),
            Some("\x1bPtmux;\x1b\x1b]52;c;aGk=\x07\x1b\\")
        );
        assert_eq!(
            sequence("hi", Wrap::Screen).as_deref(),
            Some("\x1bP\x1b]52;c;aGk=\x07\x1b\\")
        );
    }

    /// R33: copies are safe.
    #[test]
    fn carries_no_control_character_and_no_flood() {
        let sequence_of = |text: &str| sequence(text, Wrap::None).unwrap_or_default();
        let encoded = sequence_of("rm\u{1b}[31m\n");
        let body = encoded
            .trim_start_matches("\x1b]52;c;")
            .trim_end_matches('\x07');
        let decoded =
            String::from_utf8(STANDARD.decode(body).unwrap_or_default()).unwrap_or_default();
        assert_eq!(decoded, "rm␛[31m\n");
        assert_eq!(sequence(&"x".repeat(70_000), Wrap::None), None);
    }
}
