//! What is kept of a run's output: its beginning and its end, within a bound.

/// How much of a run's output is kept, in bytes.
pub const OUTPUT_BYTES: usize = 64 * 1024;
/// Room for the line that says how much is missing.
const MARK_BYTES: usize = 64;

/// A text that grows to [`OUTPUT_BYTES`] and then loses its middle. What it was about is said at
/// the beginning, and what became of it at the end.
#[derive(Clone, Debug, Default)]
pub struct Bounded {
    head: String,
    tail: String,
    left_out: usize,
    pushed: u64,
}

const HEAD_BYTES: usize = OUTPUT_BYTES / 2;
const TAIL_BYTES: usize = OUTPUT_BYTES - HEAD_BYTES - MARK_BYTES;

impl Bounded {
    pub fn push(&mut self, text: &str) {
        let mut rest = text;
        self.pushed += text.len() as u64;
        if self.tail.is_empty() && self.left_out == 0 {
            let room = HEAD_BYTES - self.head.len();
            let cut = floor_boundary(rest, room);
            self.head.push_str(&rest[..cut]);
            rest = &rest[cut..];
        }
        if rest.len() > TAIL_BYTES {
            let from = ceil_boundary(rest, rest.len() - TAIL_BYTES);
            self.left_out += self.tail.len() + from;
            self.tail.clear();
            rest = &rest[from..];
        }
        self.tail.push_str(rest);
        if self.tail.len() > TAIL_BYTES {
            let from = ceil_boundary(&self.tail, self.tail.len() - TAIL_BYTES);
            self.left_out += from;
            self.tail.drain(..from);
        }
    }

    pub fn push_line(&mut self, line: &str) {
        self.push(line);
        self.push("\n");
    }

    /// Bytes that were ever added: it grows with each change.
    pub const fn pushed(&self) -> u64 {
        self.pushed
    }

    pub fn is_empty(&self) -> bool {
        self.head.is_empty() && self.tail.is_empty()
    }

    /// At most [`OUTPUT_BYTES`] bytes.
    pub fn text(&self) -> String {
        if self.left_out == 0 {
            return format!("{}{}", self.head, self.tail);
        }
        format!(
            "{}\n… {} bytes left out …\n{}",
            self.head, self.left_out, self.tail
        )
    }
}

fn floor_boundary(text: &str, at: usize) -> usize {
    let mut at = at.min(text.len());
    while !text.is_char_boundary(at) {
        at -= 1;
    }
    at
}

fn ceil_boundary(text: &str, at: usize) -> usize {
    let mut at = at.min(text.len());
    while !text.is_char_boundary(at) {
        at += 1;
    }
    at
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn it_is_bounded_and_loses_only_the_middle(
            parts in prop::collection::vec(("\\PC{0,40}", 1_usize..3_000), 0..40),
        ) {
            let mut kept = Bounded::default();
            let mut whole = String::new();
            for (part, times) in &parts {
                let part = part.repeat(*times);
                kept.push(&part);
                whole.push_str(&part);
            }
            let text = kept.text();
            prop_assert!(text.len() <= OUTPUT_BYTES);
            if whole.len() <= HEAD_BYTES + TAIL_BYTES - 8 {
                prop_assert_eq!(text, whole);
            } else {
                let (head, tail) = text.split_once("\n… ").map_or((text.as_str(), ""), |cut| cut);
                prop_assert!(whole.starts_with(head));
                let tail = tail.split_once("…\n").map_or("", |cut| cut.1);
                if kept.left_out > 0 {
                    prop_assert!(whole.ends_with(tail));
                    prop_assert_eq!(head.len() + tail.len() + kept.left_out, whole.len());
                }
            }
        }
    }
}
