//! A window that is dragged: every screen through random sizes down to one cell, while records come
//! in. The kernel tells of a new size later than the terminal has it, so frames are drawn in between.

use crate::console_first_run::{Machine, opened, shows};

/// Sizes that each screen goes through.
const STEPS: usize = 30;

/// Opens the form of a new cycle.
const FORM: &str = "4a";

/// The keys that open each screen from the list of the logs.
const SCREENS: &[&str] = &[
    "", "\r", "p", "Et", "Et\r", "Ec", "P", "b", "i", "f", "flevel>=", "/pay", "?", ":", ":the",
    "1", "1\r", "1x", "1w", "1?", "3", "3\r", "3x", "4", FORM,
];

/// The same numbers in each run, so that what failed fails again (xorshift).
struct Dice(u64);

impl Dice {
    fn below(&mut self, limit: u16) -> u16 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        u16::try_from(self.0 % u64::from(limit)).unwrap()
    }

    /// Mostly sizes of a window, now and then hardly any.
    fn size(&mut self) -> (u16, u16) {
        match self.below(6) {
            0 => (1 + self.below(3), 1 + self.below(5)),
            1 => (1 + self.below(15), 1 + self.below(60)),
            _ => (10 + self.below(50), 40 + self.below(160)),
        }
    }
}

/// R32: the layout holds.
#[test]
fn every_screen_is_dragged_through_random_sizes() {
    let machine = Machine::new();
    let mut pty = opened(&machine);
    let mut dice = Dice(0x5eed_0f51_2e5a_77e1);
    for keys in SCREENS {
        pty.send(keys);
        for step in 0..STEPS {
            let (rows, columns) = dice.size();
            pty.resize(rows, columns);
            if step % 5 == 0 {
                machine.append_now(&format!("dragged {step}"));
                // Nothing is written into the form: Esc would ask whether to throw it away.
                pty.send(if *keys == FORM { "\t" } else { "j" });
            }
        }
        pty.resize(1, 1);
        pty.resize(40, 120);
        pty.wait_for_text(" Atalaya ");
        // The last Esc takes the `2` behind it for a key with Alt, which does nothing.
        shows(&mut pty, "\x1b\x1b\x1b\x1b22", " a bar ");
    }
    pty.send(":q\r");
    assert!(pty.ended().success());
    pty.assert_restored();
}
