//! How a trace is drawn: header, gaps, and for each row its offset, lane, bar and message.

use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use ratatui::style::Style;

use super::search::Search;
use super::trace::Trace;
use crate::service::trace::{TraceEvent, TraceRow};
use crate::tui::tab::Context;
use crate::tui::theme::Role;
use crate::tui::widgets::{clock, empty, safe_text};
use atalaya_domain::record::Level;
use atalaya_domain::time::Timestamp;

pub struct TraceLook<'a> {
    pub scroll: usize,
    pub search: Option<&'a Search>,
    pub focused: bool,
}

/// Widths: lane, bar.
fn columns(width: u16) -> (usize, usize) {
    match width {
        0..=99 => (12, 18),
        100..=159 => (16, 32),
        _ => (20, 60),
    }
}

/// `+4.20 ms` after the first record, `-2 min 05` before it.
fn offset(at: Timestamp, begin: Timestamp) -> String {
    match at.cmp(&begin) {
        std::cmp::Ordering::Less => format!("-{}", clock::precise(begin.since(at))),
        std::cmp::Ordering::Equal => "0".to_owned(),
        std::cmp::Ordering::Greater => format!("+{}", clock::precise(at.since(begin))),
    }
}

pub fn render(
    trace: &Trace,
    area: Rect,
    buffer: &mut Buffer,
    context: &Context<'_>,
    look: &TraceLook<'_>,
) {
    let theme = context.theme;
    let Some((begin, length)) = trace.scale() else {
        return nothing(trace, area, buffer, context);
    };
    let (lane_width, bar_width) = columns(area.width);
    let far = clock::precise(length);
    let header = format!(
        " {:>10} L {} 0{far:>columns$} message",
        "offset",
        safe_text::fit("lane", lane_width),
        columns = bar_width - 1
    );
    safe_text::put_within(
        buffer,
        area.x,
        area.y,
        header,
        usize::from(area.width),
        theme.style(Role::Muted),
    );
    let list = Rect {
        y: area.y + 1,
        height: area.height.saturating_sub(1),
        ..area
    };
    let axis = Axis {
        begin,
        length: length.as_micros().max(1),
        columns: bar_width,
    };
    let mut y = list.y;
    for index in trace.top..trace.len() {
        if let Some(gap) = trace.gap(index)
            && y < list.bottom()
        {
            let dash = if context.unicode { "──" } else { "--" };
            let text = format!(" {dash} {} {dash}", clock::precise(gap));
            safe_text::put_within(
                buffer,
                list.x,
                y,
                text,
                usize::from(list.width),
                theme.style(Role::Muted),
            );
            y += 1;
        }
        if y >= list.bottom() {
            break;
        }
        row(
            trace,
            index,
            Rect {
                y,
                height: 1,
                ..list
            },
            buffer,
            context,
            look,
            &axis,
        );
        y += 1;
    }
}

/// Why there are no rows.
fn nothing(trace: &Trace, area: Rect, buffer: &mut Buffer, context: &Context<'_>) {
    let ids = trace
        .ids
        .iter()
        .map(|id| safe_text::first_line(id.as_str(), 60))
        .collect::<Vec<_>>()
        .join(", ");
    let (message, hint) = match (&trace.failed, trace.read_at) {
        (Some(reason), _) => (
            format!("the trace could not be read: {reason}"),
            "F5 tries again".to_owned(),
        ),
        (None, None) => ("reading the trace …".to_owned(), ids),
        (None, Some(_)) => (
            "no record and no metrics event carries this id".to_owned(),
            ids,
        ),
    };
    empty::render(area, buffer, context.theme, &message, &[hint]);
}

fn row(
    trace: &Trace,
    index: usize,
    line: Rect,
    buffer: &mut Buffer,
    context: &Context<'_>,
    look: &TraceLook<'_>,
    axis: &Axis,
) {
    let (theme, y) = (context.theme, line.y);
    let (_, bar_width) = columns(line.width);
    let Some((row, span)) = trace.data.rows.get(index).zip(trace.spans.get(index)) else {
        return;
    };
    let selected = index == trace.focus;
    let base = match (selected, look.focused) {
        (true, true) => theme.style(Role::Selection),
        (true, false) => theme.style(Role::SelectionIdle),
        _ => Style::new(),
    };
    if selected {
        safe_text::put(buffer, line.x, y, " ".repeat(usize::from(line.width)), base);
    }
    let over = |role: Role| theme.style(role).patch(base);
    let at = offset(row.at, axis.begin);
    let mut x = begin(row, &at, line, base, buffer, context, selected);
    let record = matches!(row.event, TraceEvent::Record(_));
    let bad = row.event.level() >= Level::Error;
    let style = match (bad, record) {
        (true, true) => theme.style(Role::Error),
        (true, false) => theme.style(Role::Bad),
        (false, _) => theme.lane(row.lane),
    };
    let quiet = theme.style(Role::Faint).patch(base);
    if record {
        axis.bar(
            span.start,
            row.at,
            x,
            y,
            buffer,
            context,
            (style.patch(base), quiet),
        );
    } else {
        axis.mark(row.at, x, y, buffer, context, (style.patch(base), quiet));
    }
    x += u16::try_from(bar_width + 1).unwrap_or(0);
    let rest = Rect {
        x,
        width: line.right().saturating_sub(x),
        ..line
    };
    message(
        &row.event,
        rest,
        over(Role::Text),
        buffer,
        context,
        look,
        selected,
    );
}

/// Cursor, offset, letter and lane; returns the column after them.
fn begin(
    row: &TraceRow,
    at: &str,
    line: Rect,
    base: Style,
    buffer: &mut Buffer,
    context: &Context<'_>,
    selected: bool,
) -> u16 {
    let (theme, y) = (context.theme, line.y);
    let over = |role: Role| theme.style(role).patch(base);
    let mark = match (selected, context.unicode) {
        (true, true) => "▸",
        (true, false) => ">",
        (false, _) => " ",
    };
    safe_text::put(buffer, line.x, y, mark, over(Role::Accent));
    safe_text::put(
        buffer,
        line.x + 1,
        y,
        format!("{at:>10}"),
        over(Role::Muted),
    );
    let mut x = line.x + 12;
    let bad = row.event.level() >= Level::Error;
    let (letter, role) = match &row.event {
        TraceEvent::Record(record) => (
            &record.entry.level.name()[..1],
            Role::of_level(record.entry.level),
        ),
        _ => ("M", if bad { Role::Bad } else { Role::Good }),
    };
    safe_text::put(buffer, x, y, letter, over(role));
    x += 2;
    let (lane_width, _) = columns(line.width);
    let lane = safe_text::fit(&safe_text::first_line(row.event.source(), 40), lane_width);
    let style = theme.lane(row.lane).patch(base);
    safe_text::put(buffer, x, y, lane, style);
    x + u16::try_from(lane_width + 1).unwrap_or(0)
}

/// What the row says, with what is searched for in it.
fn message(
    event: &TraceEvent,
    line: Rect,
    style: Style,
    buffer: &mut Buffer,
    context: &Context<'_>,
    look: &TraceLook<'_>,
    selected: bool,
) {
    let (theme, x, y) = (context.theme, line.x, line.y);
    let room = usize::from(line.right().saturating_sub(x));
    let text = match event {
        TraceEvent::Record(record) => {
            safe_text::first_line(&record.entry.message, look.scroll + room)
        }
        event => safe_text::first_line(&event.message(), look.scroll + room),
    };
    let visible = safe_text::window(&text, look.scroll, room);
    safe_text::put(buffer, x, y, &visible, style);
    if let Some(search) = look.search {
        for range in search.ranges(&visible) {
            let before = u16::try_from(safe_text::width(&visible[..range.start])).unwrap_or(0);
            let width = u16::try_from(safe_text::width(&visible[range])).unwrap_or(0);
            let role = if selected {
                Role::HitCurrent
            } else {
                Role::Hit
            };
            buffer.set_style(
                Rect {
                    x: x + before,
                    y,
                    width,
                    height: 1,
                }
                .intersection(line),
                theme.style(role),
            );
        }
    }
}

/// The time axis of the bars.
struct Axis {
    begin: Timestamp,
    /// In microseconds, at least one.
    length: u128,
    columns: usize,
}

impl Axis {
    fn place(&self, at: Timestamp) -> u16 {
        let last = self.columns.saturating_sub(1);
        let column = at.since(self.begin).as_micros() * last as u128 / self.length;
        u16::try_from(usize::try_from(column).unwrap_or(last).min(last)).unwrap_or(0)
    }

    fn track(&self, x: u16, y: u16, buffer: &mut Buffer, context: &Context<'_>, quiet: Style) {
        safe_text::put(
            buffer,
            x,
            y,
            (if context.unicode { "·" } else { "." }).repeat(self.columns),
            quiet,
        );
    }

    /// The work of a record; `styles` are those of the bar and of what lies beside it.
    #[expect(
        clippy::too_many_arguments,
        reason = "a bar, and where and how it is drawn"
    )]
    fn bar(
        &self,
        start: Timestamp,
        at: Timestamp,
        x: u16,
        y: u16,
        buffer: &mut Buffer,
        context: &Context<'_>,
        (style, quiet): (Style, Style),
    ) {
        let (full, point) = if context.unicode {
            ("━", "●")
        } else {
            ("=", "o")
        };
        self.track(x, y, buffer, context, quiet);
        let (from, to) = (self.place(start), self.place(at));
        safe_text::put(
            buffer,
            x + from,
            y,
            full.repeat(usize::from(to.saturating_sub(from))),
            style,
        );
        safe_text::put(buffer, x + to, y, point, style);
    }

    /// A metrics event: one mark, at the edge when it lies before or after the records.
    fn mark(
        &self,
        at: Timestamp,
        x: u16,
        y: u16,
        buffer: &mut Buffer,
        context: &Context<'_>,
        (style, quiet): (Style, Style),
    ) {
        let after = at.since(self.begin).as_micros() > self.length;
        let mark = match (at < self.begin, after, context.unicode) {
            (true, _, true) => "«",
            (true, _, false) => "<",
            (_, true, true) => "»",
            (_, true, false) => ">",
            (_, _, true) => "◆",
            (_, _, false) => "#",
        };
        self.track(x, y, buffer, context, quiet);
        safe_text::put(buffer, x + self.place(at), y, mark, style);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_lies_outside_of_the_records_stands_at_the_edges() {
        assert_eq!(
            offset(Timestamp::from_seconds(0), Timestamp::from_seconds(10)),
            "-10.0 s"
        );
        let axis = Axis {
            begin: Timestamp::from_seconds(10),
            length: 2_000_000,
            columns: 21,
        };
        let places = [0, 10, 11, 12, 2_172].map(|at| axis.place(Timestamp::from_seconds(at)));
        assert_eq!(places, [0, 0, 10, 20, 20]);
    }
}
