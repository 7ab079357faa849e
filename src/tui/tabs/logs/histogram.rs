//! How the chart over the list is drawn: bars by level, the scale, the time axis with its marks.

use std::time::Duration;

use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use ratatui::style::Style;

use super::chart::{Chart, DAY, SCALE};
use crate::tui::tab::Context;
use crate::tui::theme::Role;
use crate::tui::widgets::{clock, safe_text};
use atalaya_domain::delivery::{Deployment, DeploymentResult};
use atalaya_domain::record::{Level, LevelCounts};
use atalaya_domain::time::{TimeRange, Timestamp};
use atalaya_store::engine::Histogram;

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
        safe_text::put_within(
            buffer,
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
    let (muted, faint) = (theme.style(Role::Muted), theme.style(Role::Faint));
    safe_text::put(buffer, area.x, bars.y, label(short(most)), muted);
    let lowest = bars.bottom() - 1;
    safe_text::put(buffer, area.x, lowest, label("0".into()), faint);
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
            let bar = symbol.repeat(drawn);
            let Ok(x) = u16::try_from(x) else { continue };
            let room = usize::from(bars.right().saturating_sub(x));
            let y = bars.bottom() - 1 - row;
            safe_text::put_within(buffer, x, y, bar, room, style);
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

/// Where an alert began to fire.
const FIRED: &str = "!";

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
    let deployed = if context.unicode { "▲" } else { "^" };
    for (mark, role, count, word) in [
        (
            deployed,
            Role::Mark,
            chart.marks.deployments.len(),
            "deployment",
        ),
        (FIRED, Role::Error, chart.marks.fired.len(), "alert"),
    ] {
        if count > 0 {
            let plural = if count == 1 { "" } else { "s" };
            parts.push((theme.style(role), mark.into()));
            parts.push((
                theme.style(Role::Muted),
                format!(" {count} {word}{plural}  "),
            ));
        }
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
        x = safe_text::put_within(
            buffer,
            x,
            row.y,
            &text,
            usize::from(row.right().saturating_sub(x)),
            style,
        );
    }
}

/// The time axis under the bars: from which time to which, over which columns.
struct Axis {
    range: TimeRange,
    row: Rect,
    /// Columns that bars stand over, at least one.
    used: u16,
}

impl Axis {
    fn length(&self) -> u128 {
        self.range.length().as_micros().max(1)
    }

    fn column(&self, at: Timestamp) -> u16 {
        let used = u128::from(self.used);
        let offset = at.since(self.range.from).as_micros() * used / self.length();
        self.row.x
            + u16::try_from(offset)
                .unwrap_or(0)
                .min(self.used.saturating_sub(1))
    }

    fn time(&self, column: u16) -> Timestamp {
        let offset = u128::from(column.saturating_sub(self.row.x));
        let micros = self.length() * offset / u128::from(self.used.max(1));
        let micros = u64::try_from(micros).unwrap_or(0);
        self.range
            .from
            .saturating_add(Duration::from_micros(micros))
    }

    /// Writes times where no mark stands: they give way to marks.
    fn times(&self, taken: &[u16], buffer: &mut Buffer, context: &Context<'_>) {
        let pattern = if self.range.length() > Duration::from_secs(DAY) {
            "%m-%d %H:%M"
        } else {
            "%H:%M"
        };
        let (row, used) = (self.row, usize::from(self.used));
        let style = context.theme.style(Role::Muted);
        let until = clock::format(self.range.until, context.zone, pattern);
        let width = u16::try_from(until.len()).unwrap_or(0);
        let is_free = |from: u16| !taken.iter().any(|mark| (from..from + width).contains(mark));
        let mut free_until = row.x + self.used;
        let end = free_until.saturating_sub(width).max(row.x);
        if is_free(end) {
            safe_text::put(buffer, end, row.y, &until, style);
            free_until = end.saturating_sub(1);
        }
        let labels = (used / 22).clamp(1, 8);
        let step = u16::try_from(used / labels).unwrap_or(0);
        for index in 0..labels {
            let x = row.x + u16::try_from(index * used / labels).unwrap_or(0);
            // Moved aside it says the time of where it stands.
            let place = (x..x + step.saturating_sub(width))
                .find(|&place| is_free(place) && place + width <= free_until);
            let Some(place) = place else { continue };
            let text = clock::format(self.time(place), context.zone, pattern);
            safe_text::put(buffer, place, row.y, text, style);
        }
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
    safe_text::put(
        buffer,
        row.x,
        row.y,
        line.repeat(used),
        theme.style(Role::Faint),
    );
    let axis = Axis {
        range: data.range,
        row,
        used: u16::try_from(used).unwrap_or(0),
    };
    let deployments: Vec<&Deployment> = chart
        .marks
        .deployments
        .iter()
        .filter(|deployment| data.range.contains(deployment.finished_at))
        .collect();
    let focus = focus.filter(|at| data.range.contains(*at));
    // A mark never hides a time, nor a time a mark.
    let fired = chart.marks.fired.iter().copied();
    let fired: Vec<Timestamp> = fired.filter(|at| data.range.contains(*at)).collect();
    let marked = deployments
        .iter()
        .map(|deployment| deployment.finished_at)
        .chain(fired.iter().copied())
        .chain(focus);
    let taken: Vec<u16> = marked.map(|at| axis.column(at)).collect();
    axis.times(&taken, buffer, context);
    for deployment in deployments {
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
        let x = axis.column(deployment.finished_at);
        safe_text::put(buffer, x, row.y, mark, theme.style(role));
    }
    // An alert of the same column is what one came for.
    for at in fired {
        safe_text::put(
            buffer,
            axis.column(at),
            row.y,
            FIRED,
            theme.style(Role::Error),
        );
    }
    if let Some(at) = focus {
        let mark = if context.unicode { "◆" } else { "o" };
        safe_text::put(
            buffer,
            axis.column(at),
            row.y,
            mark,
            theme.style(Role::Accent),
        );
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
}
