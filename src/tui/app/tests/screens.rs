//! Snapshots of every screen at 80x24 and at 200x60, in colour and with `NO_COLOR`.
//!
//! A snapshot holds the text, then the styles: a legend, and for each row that has any its runs of
//! equally styled cells (`a12 .3 b*` is twelve cells of `a`, three without a style, the rest `b`).

use std::fmt::Write as _;

use ratatui::buffer::Cell;
use ratatui::style::Style;

use super::*;
use crate::tui::tabs::{dora, infra, pdca};

const SIZES: [(u16, u16); 2] = [(80, 24), (200, 60)];

/// What is on the stage before the keys.
#[derive(Clone, Copy, Debug)]
enum Scene {
    Nothing,
    Records,
    /// The store is lost after the first page.
    Lost,
    Facts,
    Machine,
    Cycles,
}

/// Name, scene, keys. Every screen that there is: tabs, what opens from them, and what lies over them.
const SCREENS: &[(&str, Scene, &str)] = &[
    ("logs_list", Scene::Records, ""),
    ("logs_empty", Scene::Nothing, ""),
    ("logs_lost_store", Scene::Lost, "\x12"),
    ("logs_paused", Scene::Records, "kkkkmk"),
    ("logs_filtered", Scene::Records, "flevel>=error\r"),
    ("logs_nothing_matches", Scene::Records, "fno such words\r"),
    ("logs_search", Scene::Records, "/slow\r"),
    ("logs_details", Scene::Records, "E\r"),
    ("logs_context", Scene::Records, "Ec"),
    ("logs_trace", Scene::Records, "Et"),
    ("logs_histogram_small", Scene::Records, "i"),
    ("logs_patterns", Scene::Records, "P"),
    (
        "logs_saved_queries",
        Scene::Records,
        "flevel>=error\r:save the bad ones\rb",
    ),
    ("prompt_filter", Scene::Records, "flevel>="),
    ("prompt_filter_wrong", Scene::Records, "flevel>=nonsense"),
    ("prompt_time", Scene::Records, "T"),
    ("help_logs", Scene::Records, "?"),
    ("help_scrolled", Scene::Records, "?jjj"),
    ("palette", Scene::Records, ":theme"),
    (
        "confirm",
        Scene::Records,
        "flevel>=error\r:save the bad ones\rbx",
    ),
    ("notice", Scene::Records, ":goto never\r"),
    ("dora_overview", Scene::Facts, "1"),
    ("dora_empty", Scene::Nothing, "1"),
    ("dora_deployment", Scene::Facts, "1jj\r"),
    ("dora_explanation", Scene::Facts, "1llx"),
    ("dora_review", Scene::Facts, "1w"),
    ("help_dora", Scene::Facts, "1?"),
    ("infra_overview", Scene::Machine, "3"),
    ("infra_account", Scene::Machine, "3\r"),
    ("infra_not_measured", Scene::Nothing, "3"),
    ("pdca_list", Scene::Cycles, "4"),
    ("pdca_empty", Scene::Nothing, "4"),
    ("pdca_detail", Scene::Cycles, "4\r"),
    (
        "pdca_plan_form",
        Scene::Cycles,
        "4aSmaller changes\tSmall ones wait less",
    ),
    ("pdca_edit_form", Scene::Cycles, "4je"),
];

fn stage(scene: Scene, size: (u16, u16), depth: ColorDepth) -> Stage {
    let now = match scene {
        Scene::Nothing | Scene::Records | Scene::Lost => Timestamp::from_seconds(NOW),
        Scene::Facts => dora::screens::now(),
        Scene::Machine => infra::tests::now(),
        Scene::Cycles => pdca::tests::day(44),
    };
    let mut stage = Stage::at(now, size, depth);
    match scene {
        Scene::Nothing => {}
        Scene::Records | Scene::Lost => stage.records = company(),
        Scene::Facts => stage.facts = dora::screens::facts(),
        Scene::Machine => {
            stage
                .app
                .on_event(AppEvent::Health(Arc::new(infra::tests::health(None))), now);
            stage
                .app
                .on_event(AppEvent::Ingest(Arc::new(infra::tests::ingest())), now);
        }
        Scene::Cycles => stage.cycles = pdca::tests::cycles(),
    }
    stage.settle();
    stage.broken = matches!(scene, Scene::Lost);
    stage
}

fn color(color: Color) -> String {
    match color {
        Color::Rgb(red, green, blue) => format!("#{red:02x}{green:02x}{blue:02x}"),
        other => other.to_string().to_ascii_lowercase(),
    }
}

fn described(style: Style) -> String {
    let mut words = Vec::new();
    if let Some(fg) = style.fg.filter(|fg| *fg != Color::Reset) {
        words.push(color(fg));
    }
    if let Some(bg) = style.bg.filter(|bg| *bg != Color::Reset) {
        words.push(format!("on {}", color(bg)));
    }
    for (name, _) in style.add_modifier.iter_names() {
        words.push(name.to_ascii_lowercase());
    }
    words.join(" ")
}

/// The styles of a buffer, as the module header says.
fn styles(buffer: &Buffer) -> String {
    let letters: Vec<char> = ('a'..='z').chain('A'..='Z').chain('0'..='9').collect();
    let mut known: Vec<String> = Vec::new();
    let mut rows = String::new();
    let width = usize::from(buffer.area.width);
    for (y, cells) in buffer.content().chunks(width).enumerate() {
        let of = |cell: &Cell| described(cell.style());
        let mut runs: Vec<(String, usize)> = Vec::new();
        for cell in cells {
            let style = of(cell);
            match runs.last_mut() {
                Some((last, length)) if *last == style => *length += 1,
                _ => runs.push((style, 1)),
            }
        }
        if runs.len() == 1 && runs[0].0.is_empty() {
            continue;
        }
        let count = runs.len();
        let shown = runs
            .into_iter()
            .enumerate()
            .map(|(index, (style, length))| {
                let letter = if style.is_empty() {
                    '.'
                } else {
                    let at = known
                        .iter()
                        .position(|other| *other == style)
                        .unwrap_or_else(|| {
                            known.push(style);
                            known.len() - 1
                        });
                    letters[at]
                };
                match length {
                    _ if index + 1 == count => format!("{letter}*"),
                    1 => letter.to_string(),
                    _ => format!("{letter}{length}"),
                }
            });
        let shown: Vec<String> = shown.collect();
        writeln!(rows, "{y:>2} {}", shown.join(" ")).unwrap();
    }
    let mut out = String::new();
    for (letter, style) in letters.iter().zip(&known) {
        writeln!(out, "{letter} = {style}").unwrap();
    }
    out + &rows
}

#[test]
fn every_screen_in_both_sizes_with_and_without_colour() {
    for &(name, scene, keys) in SCREENS {
        for size in SIZES {
            let drawn = |depth| {
                let mut stage = stage(scene, size, depth);
                stage.keys(keys);
                stage.draw()
            };
            let (coloured, mono) = (drawn(ColorDepth::True), drawn(ColorDepth::Mono));
            assert!(
                mono.content()
                    .iter()
                    .all(|cell| cell.fg == Color::Reset && cell.bg == Color::Reset),
                "{name}: a colour in spite of NO_COLOR"
            );
            let mut text = format!("{}--- in colour\n{}", text_of(&coloured), styles(&coloured));
            // Where colour said it all, the text without it says more.
            if text_of(&mono) != text_of(&coloured) {
                text = format!("{text}--- text with NO_COLOR\n{}", text_of(&mono));
            }
            text = format!("{text}--- with NO_COLOR\n{}", styles(&mono));
            insta::assert_snapshot!(format!("{name}_{}x{}", size.0, size.1), text);
        }
    }
}

/// The terminal may have another size than the last event told of: what is drawn then is another
/// layout, and never a panic.
#[test]
fn every_screen_is_drawn_in_whatever_size_the_terminal_has() {
    // The edges of the layouts.
    let columns = [1, 59, 60, 99, 120, 200];
    let rows = [1, 14, 15, 16, 24, 60];
    for &(name, scene, keys) in SCREENS {
        for told in [(60, 15), (200, 60)] {
            let mut stage = stage(scene, told, ColorDepth::True);
            stage.keys(keys);
            for size in columns
                .iter()
                .flat_map(|x| rows.iter().map(move |y| (*x, *y)))
            {
                let mut terminal = Terminal::new(TestBackend::new(size.0, size.1)).unwrap();
                let drawn = terminal.draw(|frame| stage.app.render(frame));
                assert!(drawn.is_ok(), "{name} at {size:?}");
            }
        }
    }
}
