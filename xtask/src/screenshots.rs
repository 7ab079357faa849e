//! `cargo xtask screenshots`: the demo in a real terminal (tmux), each screen kept as an SVG.

use std::path::Path;
use std::process::Command;
use std::thread::sleep;
use std::time::Duration;

use anyhow::{Context, bail};

use xtask::tools::{self, Tool, cargo, root, step};

/// A screen: file name, terminal size, and the keys that lead to it from the start.
const SCREENS: [Screen; 6] = [
    Screen {
        name: "dora",
        size: (120, 34),
        keys: &["1"],
    },
    Screen {
        name: "logs",
        size: (120, 34),
        keys: &["2"],
    },
    Screen {
        name: "logs-80x24",
        size: (80, 24),
        keys: &["2"],
    },
    Screen {
        name: "trace",
        size: (120, 34),
        keys: &["2", ":", "req req-7f3a9c", "Enter"],
    },
    Screen {
        name: "infra",
        size: (120, 34),
        keys: &["3"],
    },
    Screen {
        name: "pdca",
        size: (120, 34),
        keys: &["4"],
    },
];
const SESSION: &str = "atalaya-screenshots";
/// Time for the console to answer a key from its stores; pictures only, nothing is asserted on it.
const SETTLE: Duration = Duration::from_millis(1_500);

struct Screen {
    name: &'static str,
    size: (u16, u16),
    keys: &'static [&'static str],
}

pub fn run() -> anyhow::Result<()> {
    tools::require(&[Tool {
        program: "tmux",
        package: "tmux",
        used_for: "the terminal of the pictures",
    }])?;
    // A picture shows no speed: the profile that the tests have built already is enough.
    step("build", cargo().args(["build", "--quiet"]))?;
    let docs = root().join("docs");
    std::fs::create_dir_all(&docs)?;
    for screen in &SCREENS {
        let styled = capture(screen)?;
        let path = docs.join(format!("{}.svg", screen.name));
        std::fs::write(&path, anstyle_svg::Term::new().render_svg(&styled))
            .with_context(|| format!("cannot write {}", path.display()))?;
        eprintln!("wrote docs/{}.svg", screen.name);
    }
    Ok(())
}

/// The screen as text with colour sequences.
fn capture(screen: &Screen) -> anyhow::Result<String> {
    // A session left over from an interrupted run; it is no error when there is none.
    let _ = tmux(&["kill-session", "-t", SESSION]);
    let (columns, rows) = (screen.size.0.to_string(), screen.size.1.to_string());
    let program = root().join("target/debug/atalaya");
    let command = format!("COLORTERM=truecolor TZ=UTC {} demo", quoted(&program));
    tmux(&[
        "new-session",
        "-d",
        "-s",
        SESSION,
        "-x",
        &columns,
        "-y",
        &rows,
        &command,
    ])?;
    sleep(SETTLE * 2);
    for key in screen.keys {
        tmux(&["send-keys", "-t", SESSION, key])?;
        sleep(SETTLE);
    }
    let styled = tmux(&["capture-pane", "-e", "-p", "-t", SESSION])?;
    tmux(&["kill-session", "-t", SESSION])?;
    Ok(styled)
}

fn quoted(path: &Path) -> String {
    format!("'{}'", path.display().to_string().replace('\'', r"'\''"))
}

fn tmux(arguments: &[&str]) -> anyhow::Result<String> {
    let output = Command::new("tmux")
        .args(arguments)
        .output()
        .context("cannot start tmux")?;
    if !output.status.success() {
        bail!(
            "tmux {}: {}",
            arguments.join(" "),
            String::from_utf8_lossy(&output.stderr).trim()
        );
    }
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}
