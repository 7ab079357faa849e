//! The one progress bar: on standard error, only on a terminal, gone when the work is done.

use std::time::Duration;

use indicatif::{ProgressBar, ProgressStyle};

/// Often enough to look alive.
const TICK: Duration = Duration::from_millis(200);

/// Bytes of a whole that is known, or of a stream that is not.
pub fn bytes(total: Option<u64>) -> ProgressBar {
    match total {
        Some(total) => styled(
            ProgressBar::new(total),
            "{bar:30} {bytes}/{total_bytes} {msg} {eta}",
        ),
        None => styled(ProgressBar::new_spinner(), "{spinner} {bytes} {msg}"),
    }
}

/// One bar for work of several stages, some in bytes and some in records; it begins anew with each.
pub fn staged() -> ProgressBar {
    styled(ProgressBar::new(0), STAGE_OF_RECORDS)
}

const STAGE_OF_RECORDS: &str = "{msg} {bar:30} {human_pos}/{human_len} {per_sec} {eta}";
const STAGE_OF_BYTES: &str = "{msg} {bar:30} {bytes}/{total_bytes} {bytes_per_sec} {eta}";

/// Shows how far a stage is.
pub fn show_stage(bar: &ProgressBar, stage: &'static str, is_bytes: bool, done: u64, total: u64) {
    if bar.message() != stage {
        let template = if is_bytes {
            STAGE_OF_BYTES
        } else {
            STAGE_OF_RECORDS
        };
        if let Ok(style) = ProgressStyle::with_template(template) {
            bar.set_style(style);
        }
        bar.reset();
        bar.set_message(stage);
    }
    bar.set_length(total.max(done));
    bar.set_position(done);
}

/// Rows or records; the total is told while they are counted. `what` stands before the stage.
pub fn rows(what: &str) -> ProgressBar {
    let bar = ProgressBar::new(0).with_prefix(what.to_owned());
    styled(
        bar,
        "{prefix} {msg} {bar:30} {human_pos}/{human_len} {per_sec} {eta}",
    )
}

/// Things of a kind that nobody has counted yet.
pub fn counted(message: String, things: &str) -> ProgressBar {
    let bar = ProgressBar::new_spinner().with_message(message);
    styled(
        bar,
        &format!("{{spinner}} {{msg}}: {{human_pos}} {things}, {{elapsed}}"),
    )
}

fn styled(bar: ProgressBar, template: &str) -> ProgressBar {
    // A template that is not understood leaves the bar as the library draws it.
    if let Ok(style) = ProgressStyle::with_template(template) {
        bar.set_style(style);
    }
    bar.enable_steady_tick(TICK);
    bar
}
