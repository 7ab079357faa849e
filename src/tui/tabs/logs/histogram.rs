//! The histogram over the list: counts by level from the store, in a range that can be moved and
//! zoomed, with the deployments of that time.

use std::time::Duration;

use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use ratatui::style::Style;

use crate::tui::ask::Question;
use crate::tui::tab::Context;
use crate::tui::theme::Role;
use crate::tui::widgets::{clock, safe_text};
use atalaya_domain::delivery::{Deployment, DeploymentResult};
use atalaya_domain::record::{Level, LevelCounts, Record};
use atalaya_domain::time::{TimeRange, Timestamp};
use atalaya_store::engine::Histogram;

const MINUTE: u64 = 60;
const HOUR: u64 = 60 * MINUTE;
const DAY: u64 = 24 * HOUR;

/// What `z` and `Z` go through, in seconds.
const RANGES: [u64; 10] = [
    15 * MINUTE,
    30 * MINUTE,
    HOUR,
    3 * HOUR,
    6 * HOUR,
    12 * HOUR,
    DAY,
    3 * DAY,
    7 * DAY,
    30 * DAY,
];
/// Widths of a bin, in seconds; whole minutes, which the store counts without reading records.
const BINS: [u64; 12] = [
    MINUTE,
    2 * MINUTE,
    5 * MINUTE,
    10 * MINUTE,
    15 * MINUTE,
    30 * MINUTE,
    HOUR,
    2 * HOUR,
    3 * HOUR,
    6 * HOUR,
    12 * HOUR,
    DAY,
];

/// How much of it is drawn.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Size {
    #[default]
    Small,
    Large,
    Hidden,
}

impl Size {
    #[must_use]
    pub fn next(self) -> Self {
        match self {
            Self::Small => Self::Large,
            Self::Large => Self::Hidden,
            Self::Hidden => Self::Small,
        }
    }

    pub const fn name(self) -> &'static str {
        match self {
            Self::Small => "small",
            Self::Large => "large",
            Self::Hidden => "hidden",
        }
    }

    pub fn from_name(name: &str) -> Option<Self> {
        [Self::Small, Self::Large, Self::Hidden]
            .into_iter()
            .find(|size| size.name() == name)
    }
}

#[derive(Debug)]
pub struct Chart {
    pub size: Size,
    /// Index into [`RANGES`].
    zoom: usize,
    /// The end of the range; `None` follows the clock.
    end: Option<Timestamp>,
    pub data: Option<Histogram>,
    pub deployments: Vec<Deployment>,
    pub question: Question,
    pub loading: bool,
    pub failed: Option<String>,
}

impl Default for Chart {
    fn default() -> Self {
        Self {
            size: Size::default(),
            zoom: 2,
            end: None,
            data: None,
            deployments: Vec::new(),
            question: Question::default(),
            loading: false,
            failed: None,
        }
    }
}

impl Chart {
    pub fn of_size(size: Size) -> Self {
        Self {
            size,
            ..Self::default()
        }
    }

    fn length(&self) -> Duration {
        Duration::from_secs(RANGES[self.zoom])
    }

    /// The range and number of bins to ask for, when `columns` are to be drawn.
    pub fn wanted(&self, now: Timestamp, columns: usize) -> (TimeRange, usize) {
        let seconds = RANGES[self.zoom];
        let width = bin_seconds(seconds, columns);
        // Bins end at whole multiples of their width, so that a bar stays itself while time goes on.
        let end = self
            .end
            .unwrap_or(now)
            .micros()
            .div_euclid(1_000_000)
            .saturating_add(1);
        let width_signed = i64::try_from(width).unwrap_or(1);
        let until = end
            .div_euclid(width_signed)
            .saturating_add(i64::from(end.rem_euclid(width_signed) > 0))
            * width_signed;
        let bins = seconds / width;
        let from = until - i64::try_from(bins * width).unwrap_or(0);
        (
            TimeRange::new(
                Timestamp::from_seconds(from),
                Timestamp::from_seconds(until),
            ),
            usize::try_from(bins).unwrap_or(1),
        )
    }

    pub fn zoom(&mut self, closer: bool, focus: Option<Timestamp>, now: Timestamp) -> bool {
        let before = self.zoom;
        self.zoom = if closer {
            self.zoom.saturating_sub(1)
        } else {
            (self.zoom + 1).min(RANGES.len() - 1)
        };
        if let (Some(at), true) = (focus, self.zoom != before) {
            self.show(at, now);
        }
        self.zoom != before
    }

    /// Moves the range by half its length.
    pub fn shift(&mut self, later: bool, now: Timestamp) {
        let half = self.length() / 2;
        let end = self.end.unwrap_or(now);
        let moved = if later {
            end.saturating_add(half)
        } else {
            end.saturating_sub(half)
        };
        self.end = (moved < now).then_some(moved);
    }

    /// Moves the range so that a time is in it: as it is when it is in already, else around it.
    pub fn show(&mut self, at: Timestamp, now: Timestamp) -> bool {
        let range = TimeRange::ending(
            self.end
                .unwrap_or(now)
                .saturating_add(Duration::from_secs(1)),
            self.length(),
        );
        if range.contains(at) {
            return false;
        }
        let end = at.saturating_add(self.length() / 2);
        self.end = (end < now).then_some(end);
        true
    }

    pub fn follows_clock(&self) -> bool {
        self.end.is_none()
    }

    /// The range on the screen has been overtaken by the clock.
    pub fn is_behind(&self, now: Timestamp) -> bool {
        self.end.is_none()
            && !self.loading
            && self
                .data
                .as_ref()
                .is_some_and(|data| now >= data.range.until)
    }

    /// Counts arrivals without asking the store again.
    pub fn count<'a>(&mut self, arrivals: impl Iterator<Item = &'a Record>) {
        let Some(data) = &mut self.data else { return };
        let width = data.bin_width.as_micros().max(1);
        for record in arrivals.filter(|record| data.range.contains(record.entry.timestamp)) {
            let index =
                usize::try_from(record.entry.timestamp.since(data.range.from).as_micros() / width)
                    .unwrap_or(usize::MAX);
            if let Some(bin) = data.bins.get_mut(index) {
                bin.add(record.entry.level);
            }
        }
    }

    pub const fn height(&self, body: u16) -> u16 {
        match self.size {
            Size::Hidden => 0,
            _ if body < 14 => 0,
            Size::Small if body >= 40 => 9,
            Size::Small => 6,
            Size::Large => body / 2,
        }
    }
}

fn bin_seconds(range: u64, columns: usize) -> u64 {
    let least = range / (columns.max(1) as u64);
    BINS.into_iter()
        .find(|width| *width >= least && range.is_multiple_of(*width))
        .unwrap_or(DAY)
}

/// Columns that bars may take: all but the scale at the left.
pub fn columns(area: Rect) -> usize {
    usize::from(area.width.saturating_sub(SCALE))
}

const SCALE: u16 = 7;

/// One cell of the chart: which levels its lower and its upper half show.
fn halves(counts: &LevelCounts, most: u32, rows: u16) -> Vec<Option<Level>> {
    let slots = usize::from(rows) * 2;
    let mut filled = vec![None; slots];
    let total = counts.total();
    if total == 0 || most == 0 {
        return filled;
    }
    let height =
        ((u64::from(total) * slots as u64).div_ceil(u64::from(most)) as usize).clamp(1, slots);
    // Worst at the bottom, where bars of all heights have a place; each level that occurs gets
    // at least one half cell as long as there is room, because one error matters among thousands.
    let mut at = 0;
    let present: Vec<Level> = Level::ALL
        .into_iter()
        .rev()
        .filter(|level| counts.of(*level) > 0)
        .collect();
    for (index, level) in present.iter().enumerate() {
        let rest = present.len() - index - 1;
        let share = (u64::from(counts.of(*level)) * height as u64 / u64::from(total)) as usize;
        let room = height
            .saturating_sub(at)
            .saturating_sub(rest.min(height.saturating_sub(at).saturating_sub(1)));
        let size = if rest == 0 {
            height - at
        } else {
            share.clamp(1, room.max(1))
        };
        for slot in filled.iter_mut().skip(at).take(size) {
            *slot = Some(*level);
        }
        at = (at + size).min(height);
        if at >= height {
            break;
        }
    }
    filled
}

/// The glyph of a level where colour cannot speak.
const fn shade(level: Level, unicode: bool) -> &'static str {
    match (level, unicode) {
        (Level::Critical | Level::Error, true) => "█",
        (Level::Warning, true) => "▓",
        (Level::Info, true) => "▒",
        (Level::Debug, true) => "░",
        (Level::Critical | Level::Error, false) => "E",
        (Level::Warning, false) => "W",
        (Level::Info, false) => "#",
        (Level::Debug, false) => ".",
    }
}

/// Draws the chart. `focus` is the time of the record under the cursor.
pub fn render(
    chart: &Chart,
    area: Rect,
    buffer: &mut Buffer,
    context: &Context<'_>,
    focus: Option<Timestamp>,
) {
    if area.height < 3 || area.width < SCALE + 10 {
        return;
    }
    let theme = context.theme;
    let Some(data) = &chart.data else {
        let text = chart.failed.clone().unwrap_or_else(|| "counting …".into());
        buffer.set_stringn(
            area.x + 1,
            area.y,
            text,
            usize::from(area.width) - 1,
            theme.style(Role::Muted),
        );
        return;
    };
    title(chart, data, Rect { height: 1, ..area }, buffer, context);
    let rows = area.height - 2;
    let bars = Rect {
        x: area.x + SCALE,
        y: area.y + 1,
        width: area.width - SCALE,
        height: rows,
    };
    let most = data.bins.iter().map(LevelCounts::total).max().unwrap_or(0);
    let label = |text: String| format!("{text:>5} ");
    buffer.set_string(area.x, bars.y, label(short(most)), theme.style(Role::Muted));
    buffer.set_string(
        area.x,
        bars.bottom() - 1,
        label("0".into()),
        theme.style(Role::Faint),
    );
    let bar_width = (usize::from(bars.width) / data.bins.len().max(1)).max(1);
    for (index, counts) in data.bins.iter().enumerate() {
        let x = usize::from(bars.x) + index * bar_width;
        let slots = halves(counts, most, rows);
        // One column stays free between wide bars: they read as bars then.
        let drawn = if bar_width > 2 {
            bar_width - 1
        } else {
            bar_width
        };
        for row in 0..rows {
            let low = slots[usize::from(row) * 2];
            let high = slots[usize::from(row) * 2 + 1];
            let (symbol, style) = cell(low, high, context);
            for column in 0..drawn {
                let Ok(x) = u16::try_from(x + column) else {
                    continue;
                };
                if x < bars.right() {
                    buffer.set_string(x, bars.bottom() - 1 - row, symbol, style);
                }
            }
        }
    }
    axis(
        chart,
        data,
        Rect {
            x: bars.x,
            y: area.bottom() - 1,
            width: bars.width,
            height: 1,
        },
        bar_width,
        buffer,
        context,
        focus,
    );
}

fn cell(low: Option<Level>, high: Option<Level>, context: &Context<'_>) -> (&'static str, Style) {
    let theme = context.theme;
    // A level's own colour, without the background that its letter may have.
    let color = |level: Level| {
        let style = theme.style(Role::of_level(level));
        if level == Level::Critical {
            style.bg.or(style.fg)
        } else {
            style.fg
        }
    };
    match (low, high) {
        (None, _) => (" ", Style::new()),
        (Some(level), None) if theme.has_color() && context.unicode => (
            "▄",
            color(level).map_or(Style::new(), |fg| Style::new().fg(fg)),
        ),
        (Some(low), Some(high)) if theme.has_color() && context.unicode => {
            if low == high {
                (
                    "█",
                    color(low).map_or(Style::new(), |fg| Style::new().fg(fg)),
                )
            } else {
                let mut style = Style::new();
                style.fg = color(low);
                style.bg = color(high);
                ("▄", style)
            }
        }
        (Some(low), _) => (shade(low, context.unicode), Style::new()),
    }
}

fn title(chart: &Chart, data: &Histogram, row: Rect, buffer: &mut Buffer, context: &Context<'_>) {
    let theme = context.theme;
    let mut totals = LevelCounts::default();
    data.bins.iter().for_each(|bin| totals.merge(bin));
    let length = clock::coarse(data.range.length())
        .replace(" h 00", " h")
        .replace(" d 0 h", " d");
    let bin = clock::coarse(data.bin_width)
        .replace(" h 00", " h")
        .replace(" d 0 h", " d");
    let ending = if chart.follows_clock() {
        String::new()
    } else {
        format!(
            " to {}",
            clock::format(data.range.until, context.zone, "%m-%d %H:%M")
        )
    };
    let mut parts = vec![
        (theme.style(Role::Title), format!(" {length}{ending}")),
        (theme.style(Role::Muted), format!(" · {bin} a bar  ")),
    ];
    for level in Level::ALL
        .into_iter()
        .rev()
        .filter(|level| totals.of(*level) > 0)
    {
        parts.push((
            theme.style(Role::of_level(level)),
            level.name()[..1].to_owned(),
        ));
        parts.push((
            theme.style(Role::Text),
            format!(" {}  ", clock::count(totals.of(level).into())),
        ));
    }
    if !chart.deployments.is_empty() {
        let mark = if context.unicode { "▲" } else { "^" };
        parts.push((theme.style(Role::Mark), mark.into()));
        let word = if chart.deployments.len() == 1 {
            "deployment"
        } else {
            "deployments"
        };
        parts.push((
            theme.style(Role::Muted),
            format!(" {} {word}", chart.deployments.len()),
        ));
    }
    if chart.failed.is_some() {
        // The banner says why, and that it is tried again.
        parts.push((
            theme.style(Role::Error),
            "  ! as of the last count".to_owned(),
        ));
    } else if chart.loading {
        parts.push((theme.style(Role::Muted), "  counting …".into()));
    }
    let mut x = row.x;
    for (style, text) in parts {
        x = buffer
            .set_stringn(
                x,
                row.y,
                &text,
                usize::from(row.right().saturating_sub(x)),
                style,
            )
            .0;
    }
}

fn axis(
    chart: &Chart,
    data: &Histogram,
    row: Rect,
    bar_width: usize,
    buffer: &mut Buffer,
    context: &Context<'_>,
    focus: Option<Timestamp>,
) {
    let theme = context.theme;
    let used = (data.bins.len() * bar_width).min(usize::from(row.width));
    let line = if context.unicode { "─" } else { "-" };
    buffer.set_string(row.x, row.y, line.repeat(used), theme.style(Role::Faint));
    let length = data.range.length().as_micros().max(1);
    let column = |at: Timestamp| {
        let offset = at.since(data.range.from).as_micros() * used as u128 / length;
        row.x
            + u16::try_from(offset)
                .unwrap_or(0)
                .min(u16::try_from(used.saturating_sub(1)).unwrap_or(0))
    };
    let pattern = if data.range.length() > Duration::from_secs(DAY) {
        "%m-%d %H:%M"
    } else {
        "%H:%M"
    };
    let deployments = || {
        chart
            .deployments
            .iter()
            .filter(|deployment| data.range.contains(deployment.finished_at))
    };
    // A mark never hides a time, nor a time a mark: times give way.
    let mut taken: Vec<u16> = deployments()
        .map(|deployment| column(deployment.finished_at))
        .collect();
    let focus = focus.filter(|at| data.range.contains(*at)).map(column);
    taken.extend(focus);
    let mut free_until = row.x + u16::try_from(used).unwrap_or(0);
    let until = clock::format(data.range.until, context.zone, pattern);
    let width = u16::try_from(until.len()).unwrap_or(0);
    let is_free = |from: u16| !taken.iter().any(|mark| (from..from + width).contains(mark));
    let end = free_until.saturating_sub(width).max(row.x);
    if is_free(end) {
        buffer.set_string(end, row.y, &until, theme.style(Role::Muted));
        free_until = end.saturating_sub(1);
    }
    let labels = (used / 22).clamp(1, 8);
    let step = u16::try_from(used / labels).unwrap_or(0);
    for x in (0..labels).map(|index| row.x + u16::try_from(index * used / labels).unwrap_or(0)) {
        // Moved aside it says the time of where it stands.
        let place = (x..x + step.saturating_sub(width))
            .find(|&place| is_free(place) && place + width <= free_until);
        let Some(place) = place else { continue };
        let micros = length * u128::from(place - row.x) / (used.max(1) as u128);
        let at = data
            .range
            .from
            .saturating_add(Duration::from_micros(u64::try_from(micros).unwrap_or(0)));
        buffer.set_string(
            place,
            row.y,
            clock::format(at, context.zone, pattern),
            theme.style(Role::Muted),
        );
    }
    for deployment in deployments() {
        let failed = matches!(
            deployment.result,
            DeploymentResult::Failed | DeploymentResult::RolledBack
        );
        let mark = match (failed, context.unicode) {
            (true, true) => "▼",
            (false, true) => "▲",
            (true, false) => "v",
            (false, false) => "^",
        };
        let role = if failed { Role::Bad } else { Role::Mark };
        buffer.set_string(
            column(deployment.finished_at),
            row.y,
            mark,
            theme.style(role),
        );
    }
    if let Some(x) = focus {
        let mark = if context.unicode { "◆" } else { "o" };
        buffer.set_string(x, row.y, mark, theme.style(Role::Accent));
    }
}

/// `12`, `3.4k`, `120k`, `1.2M`: four columns at most.
fn short(number: u32) -> String {
    let text = match number {
        0..=999 => number.to_string(),
        1_000..=9_999 => format!("{:.1}k", f64::from(number) / 1e3),
        10_000..=999_499 => format!("{:.0}k", f64::from(number) / 1e3),
        _ => format!("{:.1}M", f64::from(number) / 1e6),
    };
    safe_text::cut(&text, 5)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn seconds(at: i64) -> Timestamp {
        Timestamp::from_seconds(at)
    }

    #[test]
    fn the_range_ends_on_a_whole_bin_after_now() {
        let chart = Chart::default();
        let (range, bins) = chart.wanted(seconds(7_230), 73);
        assert_eq!(
            (bins, range.until, range.length()),
            (60, seconds(7_260), Duration::from_secs(3_600))
        );
    }

    #[test]
    fn zoom_and_shift_move_within_bounds() {
        let mut chart = Chart::default();
        let now = seconds(1_000_000);
        while chart.zoom(false, None, now) {}
        assert_eq!(chart.length(), Duration::from_secs(30 * DAY));
        while chart.zoom(true, None, now) {}
        assert_eq!(chart.length(), Duration::from_secs(15 * MINUTE));
        chart.shift(false, now);
        assert!(!chart.follows_clock());
        chart.shift(true, now);
        assert!(chart.follows_clock(), "the future has no records");
    }

    #[test]
    fn one_error_among_thousands_is_still_drawn() {
        let mut counts = LevelCounts([0, 5_000, 3, 1, 0]);
        let drawn = halves(&counts, 5_004, 4);
        assert_eq!(drawn[0], Some(Level::Error));
        assert_eq!(drawn[1], Some(Level::Warning));
        assert!(drawn[2..].iter().all(|slot| *slot == Some(Level::Info)));
        counts = LevelCounts([0, 0, 0, 1, 0]);
        assert_eq!(halves(&counts, 5_000, 4).iter().flatten().count(), 1);
        assert_eq!(
            halves(&LevelCounts::default(), 0, 4)
                .iter()
                .flatten()
                .count(),
            0
        );
    }

    #[test]
    fn arrivals_are_counted_where_they_belong() {
        let record = super::super::rows::tests::record(90);
        let mut chart = Chart {
            data: Some(Histogram {
                range: TimeRange::new(seconds(0), seconds(120)),
                bin_width: Duration::from_secs(60),
                bins: vec![LevelCounts::default(); 2],
                scanned: atalaya_store::engine::Scanned::default(),
            }),
            ..Chart::default()
        };
        chart.count([&record].into_iter());
        assert_eq!(
            chart
                .data
                .map(|data| data.bins.iter().map(LevelCounts::total).collect::<Vec<_>>()),
            Some(vec![0, 1])
        );
    }
}
