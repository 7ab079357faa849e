//! The figures as a person reads them: one table, then the names behind its counts.

use std::fmt::Write as _;

use super::Figures;
use super::tree::{self, Long};

const COLUMNS: [&str; 12] = [
    "tree",
    "files / lines",
    "file median, p90, max",
    "files > 600",
    "fn",
    "fn median, p95, max",
    "fn > 60, > 80",
    "fields > 15",
    "comments, docs %",
    "chars / line",
    "repeated %",
    "circles",
];

pub fn render(figures: &Figures) -> String {
    let mut rows: Vec<Vec<String>> = vec![COLUMNS.map(str::to_owned).to_vec()];
    rows.extend(figures.trees.iter().map(|tree| row(tree).to_vec()));
    let mut text = aligned(&rows);
    // The last tree is all of them together, with the names in full.
    if let Some(tree) = figures.trees.last() {
        list(&mut text, "files over 600 lines", &tree.long_files);
        list(
            &mut text,
            "functions over 60 lines",
            &tree.functions_over_60,
        );
        list(
            &mut text,
            "structs of more than 15 fields",
            &tree.large_structs,
        );
        for circle in &tree.circles {
            _ = write!(
                text,
                "\n\ncircle of {} files\n  {}",
                circle.len(),
                circle.join("\n  ")
            );
        }
        _ = write!(
            text,
            "\n\ntests: {} functions, median {}, p95 {}, max {} lines, {} over 60",
            tree.test_functions.count,
            tree.test_functions.median,
            tree.test_functions.p95,
            tree.test_functions.max,
            tree.test_functions_over_60
        );
    }
    if let Some(crates) = &figures.crates {
        _ = write!(
            text,
            "\ncrates: {} direct, {} in all",
            crates.direct, crates.total
        );
    }
    match &figures.binary {
        Some(binary) => {
            let stripped = binary
                .stripped
                .map_or_else(|| "not measured (no strip)".into(), megabytes);
            _ = write!(
                text,
                "\nbinary: {}, stripped {stripped}",
                megabytes(binary.plain)
            );
        }
        None if figures.crates.is_some() => {
            text.push_str("\nbinary: not built (cargo build --release)");
        }
        None => {}
    }
    if let Some(build) = &figures.build {
        _ = write!(
            text,
            "\nbuild: release from nothing {:.0} s; one line of src/tui changed: release {:.1} s, debug {:.1} s",
            build.clean_release, build.warm_release, build.warm_debug
        );
    }
    if let Some(seconds) = figures.test_seconds {
        _ = write!(text, "\ncargo xtask test: {seconds:.0} s");
    }
    text
}

fn row(tree: &tree::Figures) -> [String; 12] {
    let circles: Vec<String> = tree
        .circles
        .iter()
        .map(|circle| circle.len().to_string())
        .collect();
    [
        tree.tree.clone(),
        format!("{} / {}", tree.files.count, tree.lines),
        format!(
            "{}, {}, {}",
            tree.files.median, tree.files.p90, tree.files.max
        ),
        tree.long_files.len().to_string(),
        tree.functions.count.to_string(),
        format!(
            "{}, {}, {}",
            tree.functions.median, tree.functions.p95, tree.functions.max
        ),
        format!(
            "{}, {}",
            tree.functions_over_60.len(),
            tree.functions_over_80
        ),
        tree.large_structs.len().to_string(),
        format!(
            "{:.1}, {:.1}",
            tree.text.comment_share * 100.0,
            tree.text.doc_share * 100.0
        ),
        format!("{:.1}", tree.text.chars_per_line),
        format!("{:.1}", tree.text.repeated_share * 100.0),
        if circles.is_empty() {
            "none".to_owned()
        } else {
            circles.join(", ")
        },
    ]
}

fn list(text: &mut String, title: &str, long: &[Long]) {
    if !long.is_empty() {
        _ = write!(text, "\n\n{title}");
        for one in long {
            _ = write!(text, "\n  {:>5}  {}", one.size, one.name);
        }
    }
}

/// Columns as wide as their widest cell.
fn aligned(rows: &[Vec<String>]) -> String {
    let width = |column: usize| {
        rows.iter()
            .filter_map(|row| row.get(column))
            .map(|cell| cell.chars().count())
            .max()
            .unwrap_or(0)
    };
    let lines = rows.iter().map(|row| {
        let cells = row
            .iter()
            .enumerate()
            .map(|(column, cell)| format!("{cell:<0$}", width(column)));
        cells.collect::<Vec<_>>().join("  ").trim_end().to_owned()
    });
    lines.collect::<Vec<_>>().join("\n")
}

fn megabytes(bytes: u64) -> String {
    format!("{:.1} MB", bytes as f64 / 1e6)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_are_aligned() {
        let rows = [["a", "b"], ["long", "x"]].map(|row| row.map(str::to_owned).to_vec());
        assert_eq!(aligned(&rows), "a     b\nlong  x");
    }
}
