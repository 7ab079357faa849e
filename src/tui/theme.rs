//! Meaning -> style. Screens ask for a [`Role`] and never name a colour.
//!
//! Themes are TOML files of `themes/`, four of them built in, more from the user's directory. They
//! are written in truecolor and brought down to what the terminal can show: 256, 16, or none.
//! With none, every cell keeps the terminal's default colours, because even an empty colour
//! command resets bold and reverse in some terminals; only modifiers are left, and each role that
//! must stand out has one. Colour is never the only signal: a level is also a letter.

use crate::text_file;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use ratatui::style::{Color, Modifier, Style};
use serde::Deserialize;

macro_rules! roles {
    ($($(#[$doc:meta])* $name:ident = $word:literal,)*) => {
        /// What a piece of the screen means.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum Role { $($(#[$doc])* $name,)* }

        impl Role {
            pub const ALL: &'static [Self] = &[$(Self::$name,)*];

            /// The name in a theme file.
            pub const fn name(self) -> &'static str {
                match self { $(Self::$name => $word,)* }
            }
        }
    };
}

roles! {
    Text = "text",
    /// Labels, units, hints: read second.
    Muted = "muted",
    /// Rules, empty tracks, separators: hardly read.
    Faint = "faint",
    Title = "title",
    /// The one accent: what is chosen or alive.
    Accent = "accent",
    TabActive = "tab_active",
    Border = "border",
    BorderFocused = "border_focused",
    /// The row under the cursor of the panel that has the keys.
    Selection = "selection",
    /// The row under the cursor of another panel.
    SelectionIdle = "selection_idle",
    /// What the search found.
    Hit = "hit",
    HitCurrent = "hit_current",
    Debug = "debug",
    Info = "info",
    Warning = "warning",
    Error = "error",
    Critical = "critical",
    Good = "good",
    Bad = "bad",
    /// Deployments, bookmarks.
    Mark = "mark",
    /// A key in a hint.
    Key = "key",
    Banner = "banner",
    BannerError = "banner_error",
    Demo = "demo",
    Source = "source",
    /// Ids that lead somewhere: request ids, deployments.
    Link = "link",
}

impl Role {
    pub const fn of_level(level: atalaya_domain::record::Level) -> Self {
        use atalaya_domain::record::Level;
        match level {
            Level::Debug => Self::Debug,
            Level::Info => Self::Info,
            Level::Warning => Self::Warning,
            Level::Error => Self::Error,
            Level::Critical => Self::Critical,
        }
    }
}

/// How many colours the terminal shows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ColorDepth {
    /// No colour command is ever written.
    Mono,
    Ansi16,
    Ansi256,
    True,
}

impl ColorDepth {
    /// From `NO_COLOR`, `COLORTERM` and `TERM`, as `variable` gives them.
    pub fn detect(variable: impl Fn(&str) -> Option<String>) -> Self {
        let set = |name: &str| variable(name).filter(|value| !value.is_empty());
        let term = set("TERM").unwrap_or_default();
        if set("NO_COLOR").is_some()
            || term == "dumb"
            || term.ends_with("-m")
            || term.starts_with("vt")
        {
            Self::Mono
        } else if set("COLORTERM")
            .is_some_and(|value| matches!(value.as_str(), "truecolor" | "24bit"))
            || term.contains("direct")
        {
            Self::True
        } else if term.contains("256") || set("COLORTERM").is_some() {
            Self::Ansi256
        } else {
            Self::Ansi16
        }
    }
}

/// Why a theme cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum ThemeError {
    #[error("there is no theme `{name}`; there are {known}")]
    Unknown { name: String, known: String },
    #[error("cannot read the theme {}", path.display())]
    Unreadable {
        path: PathBuf,
        source: std::io::Error,
    },
    #[error("theme {origin}: {reason}")]
    Wrong { origin: String, reason: String },
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    #[serde(default)]
    name: Option<String>,
    roles: BTreeMap<String, Paint>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct Paint {
    fg: Option<String>,
    bg: Option<String>,
    #[serde(default)]
    bold: bool,
    #[serde(default)]
    dim: bool,
    #[serde(default)]
    reverse: bool,
    #[serde(default)]
    underline: bool,
    #[serde(default)]
    italic: bool,
}

/// Styles by role, ready for the terminal at hand.
#[derive(Clone, Debug, PartialEq)]
pub struct Theme {
    pub name: String,
    pub depth: ColorDepth,
    styles: Vec<Style>,
}

/// A palette of the user's own is a few lines.
const MOST_BYTES: u64 = 1 << 18;

const BUILT_IN: [(&str, &str); 4] = [
    ("dark", include_str!("../../themes/dark.toml")),
    ("light", include_str!("../../themes/light.toml")),
    (
        "high-contrast",
        include_str!("../../themes/high-contrast.toml"),
    ),
    ("monochrome", include_str!("../../themes/monochrome.toml")),
];

impl Theme {
    /// The theme called `name`: of the user's directory, else built in. Without colours it is the
    /// monochrome one, whatever was asked for.
    pub fn load(
        name: &str,
        user_dir: Option<&Path>,
        depth: ColorDepth,
    ) -> Result<Self, ThemeError> {
        if depth == ColorDepth::Mono {
            return Self::parse(BUILT_IN[3].1, "monochrome", depth);
        }
        // A name, never a path: `:theme ../../etc/passwd` has nothing to find.
        let plain = name
            .chars()
            .all(|character| character.is_alphanumeric() || "-_".contains(character));
        if let Some(path) = user_dir
            .filter(|_| plain)
            .map(|dir| dir.join(format!("{name}.toml")))
            .filter(|path| path.is_file())
        {
            let text =
                text_file::read(&path, MOST_BYTES).map_err(|source| ThemeError::Unreadable {
                    path: path.clone(),
                    source,
                })?;
            return Self::parse(&text, &path.display().to_string(), depth).map(|theme| Self {
                name: name.into(),
                ..theme
            });
        }
        match BUILT_IN.iter().find(|(known, _)| *known == name) {
            Some((_, text)) => Self::parse(text, name, depth),
            None => Err(ThemeError::Unknown {
                name: name.into(),
                known: Self::names(user_dir).join(", "),
            }),
        }
    }

    /// The dark theme in truecolor: what tests draw with.
    pub fn plain() -> Self {
        Self::parse(BUILT_IN[0].1, "dark", ColorDepth::True).unwrap_or_else(|_| Self {
            name: "dark".into(),
            depth: ColorDepth::True,
            styles: vec![Style::new(); Role::ALL.len()],
        })
    }

    /// Names that `load` knows: the built-in ones, then the user's.
    pub fn names(user_dir: Option<&Path>) -> Vec<String> {
        let mut names: Vec<String> = BUILT_IN
            .iter()
            .map(|(name, _)| (*name).to_owned())
            .collect();
        let entries = user_dir.and_then(|dir| std::fs::read_dir(dir).ok());
        let mut own: Vec<String> = entries
            .into_iter()
            .flatten()
            .filter_map(|entry| {
                entry
                    .ok()?
                    .file_name()
                    .to_str()?
                    .strip_suffix(".toml")
                    .map(str::to_owned)
            })
            .filter(|name| !names.contains(name))
            .take(100)
            .collect();
        own.sort();
        names.append(&mut own);
        names
    }

    fn parse(text: &str, origin: &str, depth: ColorDepth) -> Result<Self, ThemeError> {
        let wrong = |reason: String| ThemeError::Wrong {
            origin: origin.to_owned(),
            reason,
        };
        let file: File = toml::from_str(text).map_err(|error| wrong(error.to_string()))?;
        let mut styles = vec![Style::new(); Role::ALL.len()];
        for (name, paint) in &file.roles {
            let Some(index) = Role::ALL.iter().position(|role| role.name() == name) else {
                return Err(wrong(format!(
                    "`{name}` is not a role; see themes/dark.toml for all of them"
                )));
            };
            styles[index] = paint.style(depth).map_err(&wrong)?;
        }
        Ok(Self {
            name: file.name.unwrap_or_else(|| origin.to_owned()),
            depth,
            styles,
        })
    }

    pub fn style(&self, role: Role) -> Style {
        self.styles.get(role as usize).copied().unwrap_or_default()
    }

    /// Whether the screen may speak by colour (beside letters and shapes).
    pub fn has_color(&self) -> bool {
        self.depth != ColorDepth::Mono
    }

    /// A style for the n-th of several equals (lanes of a trace).
    pub fn lane(&self, index: usize) -> Style {
        const LANES: [u32; 6] = [
            0x006c_b6ff,
            0x00d2_a8ff,
            0x007e_c699,
            0x00e3_b341,
            0x0079_c0c9,
            0x00f0_883e,
        ];
        if self.has_color() {
            Style::new().fg(adapt(rgb(LANES[index % LANES.len()]), self.depth))
        } else {
            Style::new()
        }
    }
}

impl Paint {
    fn style(&self, depth: ColorDepth) -> Result<Style, String> {
        let mut style = Style::new();
        if depth != ColorDepth::Mono {
            if let Some(text) = &self.fg {
                style = style.fg(adapt(color(text)?, depth));
            }
            if let Some(text) = &self.bg {
                style = style.bg(adapt(color(text)?, depth));
            }
        }
        for (set, modifier) in [
            (self.bold, Modifier::BOLD),
            (self.dim, Modifier::DIM),
            (self.reverse, Modifier::REVERSED),
            (self.underline, Modifier::UNDERLINED),
            (self.italic, Modifier::ITALIC),
        ] {
            if set {
                style = style.add_modifier(modifier);
            }
        }
        Ok(style)
    }
}

const fn rgb(value: u32) -> Color {
    Color::Rgb((value >> 16) as u8, (value >> 8) as u8, value as u8)
}

const NAMES: [(&str, Color); 16] = [
    ("black", Color::Black),
    ("red", Color::Red),
    ("green", Color::Green),
    ("yellow", Color::Yellow),
    ("blue", Color::Blue),
    ("magenta", Color::Magenta),
    ("cyan", Color::Cyan),
    ("gray", Color::Gray),
    ("dark-gray", Color::DarkGray),
    ("light-red", Color::LightRed),
    ("light-green", Color::LightGreen),
    ("light-yellow", Color::LightYellow),
    ("light-blue", Color::LightBlue),
    ("light-magenta", Color::LightMagenta),
    ("light-cyan", Color::LightCyan),
    ("white", Color::White),
];

fn color(text: &str) -> Result<Color, String> {
    if let Some((_, color)) = NAMES.iter().find(|(name, _)| *name == text) {
        return Ok(*color);
    }
    text.strip_prefix('#')
        .filter(|digits| digits.len() == 6)
        .and_then(|digits| u32::from_str_radix(digits, 16).ok())
        .map(rgb)
        .ok_or_else(|| {
            format!("`{text}` is not a colour; one looks like `#6cb6ff` or `light-cyan`")
        })
}

/// The nearest colour that the terminal has.
fn adapt(color: Color, depth: ColorDepth) -> Color {
    let Color::Rgb(red, green, blue) = color else {
        return color;
    };
    match depth {
        ColorDepth::True => color,
        ColorDepth::Ansi256 => Color::Indexed(nearest_256(red, green, blue)),
        ColorDepth::Ansi16 => nearest_16(red, green, blue),
        ColorDepth::Mono => Color::Reset,
    }
}

fn distance(left: (u8, u8, u8), right: (u8, u8, u8)) -> u32 {
    let square = |one: u8, two: u8| u32::from(one.abs_diff(two)).pow(2);
    // Weights near to how bright each primary looks; enough to choose among few colours.
    3 * square(left.0, right.0) + 6 * square(left.1, right.1) + square(left.2, right.2)
}

/// The colour cube (16 to 231) or the grey ramp (232 to 255) of xterm, whichever is nearer.
fn nearest_256(red: u8, green: u8, blue: u8) -> u8 {
    const STEPS: [u8; 6] = [0, 95, 135, 175, 215, 255];
    let step = |value: u8| {
        (0_u8..6)
            .min_by_key(|index| STEPS[usize::from(*index)].abs_diff(value))
            .unwrap_or(0)
    };
    let (r, g, b) = (step(red), step(green), step(blue));
    let cube = (
        STEPS[usize::from(r)],
        STEPS[usize::from(g)],
        STEPS[usize::from(b)],
    );
    let average = ((u16::from(red) + u16::from(green) + u16::from(blue)) / 3) as u8;
    let ramp = (average.saturating_sub(3) / 10).min(23);
    let grey = 8 + ramp * 10;
    if distance((red, green, blue), (grey, grey, grey)) < distance((red, green, blue), cube) {
        232 + ramp
    } else {
        16 + 36 * r + 6 * g + b
    }
}

fn nearest_16(red: u8, green: u8, blue: u8) -> Color {
    // By hue rather than by distance: a pale red must stay red, not become grey.
    let (high, low) = (red.max(green).max(blue), red.min(green).min(blue));
    if high - low < 40 {
        return match high {
            0..=50 => Color::Black,
            51..=139 => Color::DarkGray,
            140..=219 => Color::Gray,
            _ => Color::White,
        };
    }
    let middle = low + (high - low) / 2;
    let bright = high > 190;
    match (red > middle, green > middle, blue > middle) {
        (true, false, false) => {
            if bright {
                Color::LightRed
            } else {
                Color::Red
            }
        }
        (false, true, false) => {
            if bright {
                Color::LightGreen
            } else {
                Color::Green
            }
        }
        (false, false, true) => {
            if bright {
                Color::LightBlue
            } else {
                Color::Blue
            }
        }
        (true, true, false) => {
            if bright {
                Color::LightYellow
            } else {
                Color::Yellow
            }
        }
        (true, false, true) => {
            if bright {
                Color::LightMagenta
            } else {
                Color::Magenta
            }
        }
        (false, true, true) => {
            if bright {
                Color::LightCyan
            } else {
                Color::Cyan
            }
        }
        _ => Color::Gray,
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests")]
    use super::*;

    fn environment(values: &'static [(&'static str, &'static str)]) -> ColorDepth {
        ColorDepth::detect(|name| {
            values
                .iter()
                .find(|(known, _)| *known == name)
                .map(|(_, value)| (*value).to_owned())
        })
    }

    #[test]
    fn the_environment_says_how_many_colours_there_are() {
        assert_eq!(
            environment(&[("TERM", "xterm-256color"), ("COLORTERM", "truecolor")]),
            ColorDepth::True
        );
        assert_eq!(
            environment(&[("TERM", "xterm-256color")]),
            ColorDepth::Ansi256
        );
        assert_eq!(environment(&[("TERM", "xterm")]), ColorDepth::Ansi16);
        assert_eq!(environment(&[("TERM", "linux")]), ColorDepth::Ansi16);
        assert_eq!(
            environment(&[("NO_COLOR", "1"), ("COLORTERM", "truecolor")]),
            ColorDepth::Mono
        );
        assert_eq!(
            environment(&[("NO_COLOR", ""), ("TERM", "xterm-256color")]),
            ColorDepth::Ansi256
        );
        assert_eq!(environment(&[("TERM", "dumb")]), ColorDepth::Mono);
    }

    #[test]
    fn every_built_in_theme_gives_every_role_at_every_depth() {
        for (name, text) in BUILT_IN {
            let file: File = toml::from_str(text).unwrap();
            assert_eq!(file.roles.len(), Role::ALL.len(), "{name}");
            for depth in [ColorDepth::Ansi16, ColorDepth::Ansi256, ColorDepth::True] {
                Theme::load(name, None, depth).unwrap();
            }
        }
    }

    #[test]
    fn without_colour_no_role_names_one_and_the_selection_still_shows() {
        for (name, _) in BUILT_IN {
            let theme = Theme::load(name, None, ColorDepth::Mono).unwrap();
            for role in Role::ALL {
                let style = theme.style(*role);
                assert_eq!((style.fg, style.bg), (None, None), "{name} {role:?}");
            }
            assert!(
                theme
                    .style(Role::Selection)
                    .add_modifier
                    .contains(Modifier::REVERSED)
            );
        }
    }

    #[test]
    fn colours_come_down_to_what_there_is() {
        assert_eq!(adapt(rgb(0x00ff_7b72), ColorDepth::Ansi16), Color::LightRed);
        assert_eq!(
            adapt(rgb(0x006c_b6ff), ColorDepth::Ansi16),
            Color::LightCyan
        );
        assert_eq!(
            adapt(rgb(0x00ff_0000), ColorDepth::Ansi256),
            Color::Indexed(196)
        );
        assert_eq!(
            adapt(rgb(0x0080_8080), ColorDepth::Ansi256),
            Color::Indexed(244)
        );
    }

    #[test]
    fn a_user_theme_is_found_and_its_mistakes_are_named() {
        let dir = tempfile::tempdir().unwrap();
        std::fs::write(
            dir.path().join("mine.toml"),
            "[roles]\nerror = { fg = \"#ff0000\" }\n",
        )
        .unwrap();
        std::fs::write(
            dir.path().join("bad.toml"),
            "[roles]\nerror = { fg = \"reddish\" }\n",
        )
        .unwrap();
        let theme = Theme::load("mine", Some(dir.path()), ColorDepth::True).unwrap();
        assert_eq!(theme.style(Role::Error).fg, Some(Color::Rgb(255, 0, 0)));
        assert!(
            Theme::load("bad", Some(dir.path()), ColorDepth::True)
                .unwrap_err()
                .to_string()
                .contains("`reddish`")
        );
        let unknown = Theme::load("nope", Some(dir.path()), ColorDepth::True)
            .unwrap_err()
            .to_string();
        assert!(
            unknown.contains("high-contrast") && unknown.contains("mine"),
            "{unknown}"
        );
    }
}
