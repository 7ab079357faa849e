//! The pictures of a cycle as rows of text: its metric week by week, and a forest plot of all
//! metrics and guards. Shapes and words carry the meaning; colour only repeats it.

use crate::tui::theme::Role;
use crate::tui::widgets::safe_text;
use atalaya_domain::dora::{Metric, Unit};
use atalaya_domain::pdca::looks::LOOKS;
use atalaya_domain::pdca::{Course, CoursePoint, Effect, Evidence, Look, Measure, PdcaCycle};
use atalaya_domain::stats::Interval;

/// One row.
pub(super) type Line = (Role, String);

/// Width of the scale at the left of the chart.
const SCALE: usize = 12;
/// Columns that a week takes at most.
const WIDEST_WEEK: usize = 7;
/// Per cent at both ends of the forest plot.
const REACH: f64 = 100.0;

/// The signs of a terminal that knows Unicode, or of one that does not.
struct Signs {
    point: char,
    level: char,
    change: char,
    band: char,
    left: char,
    right: char,
    bar: char,
}

const fn signs(unicode: bool) -> Signs {
    if unicode {
        Signs {
            point: '●',
            level: '┈',
            change: '│',
            band: '░',
            left: '◂',
            right: '▸',
            bar: '─',
        }
    } else {
        Signs {
            point: 'o',
            level: '.',
            change: '|',
            band: ':',
            left: '<',
            right: '>',
            bar: '-',
        }
    }
}

/// The metric before and after the change; `rows` are those of the picture itself. Empty while
/// there is nothing to draw.
pub(super) fn course(
    cycle: &PdcaCycle,
    course: &Course,
    width: usize,
    rows: usize,
    unicode: bool,
) -> Vec<Line> {
    let Some((low, high)) = course.bounds() else {
        return vec![(Role::Muted, "  no week with a release to draw".to_owned())];
    };
    let metric = cycle.plan.metric;
    let band = cycle.last_look().and_then(|look| band(cycle, look));
    let top = band.map_or(high, |band| high.max(band.high.min(2.0 * high)));
    let bottom = if metric.unit() == Unit::Ratio {
        0.0
    } else {
        low.min(0.0)
    };
    let grid = Grid {
        rows: rows.max(2),
        top: if top > bottom { top } else { bottom + 1.0 },
        bottom,
    };
    // As many weeks before the change as there is room for, and always all looks after it.
    let after_weeks = (LOOKS[LOOKS.len() - 1].hours / (7 * 24)) as usize;
    let room = width.saturating_sub(SCALE + 1);
    let week = (room / (course.before.len() + after_weeks).max(1)).clamp(2, WIDEST_WEEK);
    let kept = (room / week).saturating_sub(after_weeks);
    let before = &course.before[course.before.len().saturating_sub(kept)..];
    let picture = Picture {
        signs: signs(unicode),
        grid,
        week,
        before,
        after: &course.after,
        after_weeks,
        level: cycle.plan.baseline.value,
        band,
    };
    let mut lines = picture.lines(metric);
    lines.push((Role::Muted, picture.axis(cycle)));
    lines.push((Role::Muted, legend(cycle, &picture.signs, band.is_some())));
    lines
}

fn legend(cycle: &PdcaCycle, signs: &Signs, has_band: bool) -> String {
    let unit = cycle.plan.metric.unit();
    let baseline = cycle
        .plan
        .baseline
        .value
        .map_or_else(|| "N/A".to_owned(), |value| unit.show(value));
    let mut text = format!(
        "  {} a week  {} baseline {baseline}  {} change",
        signs.point, signs.level, signs.change
    );
    if has_band {
        text.push_str(&format!("  {} 95 % interval of after", signs.band));
    }
    text
}

/// Where "after" is by the latest look: its interval laid on the baseline, in the metric's unit.
fn band(cycle: &PdcaCycle, look: &Look) -> Option<Interval> {
    let base = cycle.plan.baseline.value?;
    let interval = look.primary()?.interval?;
    let at = |percent: f64| {
        let sign = if cycle.plan.metric.more_is_better() {
            1.0
        } else {
            -1.0
        };
        (base * (1.0 + sign * percent / 100.0)).max(0.0)
    };
    let (one, other) = (at(interval.low), at(interval.high));
    Some(Interval::new(one.min(other), one.max(other)))
}

/// Rows from `top` to `bottom`, in the metric's unit.
struct Grid {
    rows: usize,
    top: f64,
    bottom: f64,
}

impl Grid {
    fn row_of(&self, value: f64) -> usize {
        let share = ((self.top - value) / (self.top - self.bottom)).clamp(0.0, 1.0);
        (share * (self.rows - 1) as f64).round() as usize
    }

    fn value_at(&self, row: usize) -> f64 {
        self.top - (self.top - self.bottom) * row as f64 / (self.rows - 1) as f64
    }
}

struct Picture<'a> {
    signs: Signs,
    grid: Grid,
    week: usize,
    before: &'a [CoursePoint],
    after: &'a [CoursePoint],
    after_weeks: usize,
    level: Option<f64>,
    band: Option<Interval>,
}

impl Picture<'_> {
    fn lines(&self, metric: Metric) -> Vec<Line> {
        (0..self.grid.rows)
            .map(|row| {
                let scale = if row == 0 || row + 1 == self.grid.rows || row == self.grid.rows / 2 {
                    metric.unit().show(self.grid.value_at(row))
                } else {
                    String::new()
                };
                let mut text = format!("{scale:>SCALE$} ");
                for point in self.before {
                    self.cell(&mut text, row, Some(point), false);
                }
                text.push(self.signs.change);
                for week in 0..self.after_weeks {
                    self.cell(&mut text, row, self.after.get(week), true);
                }
                (Role::Text, text.trim_end().to_owned())
            })
            .collect()
    }

    /// One week of one row: the point in its middle, on the band or the baseline's level.
    fn cell(&self, text: &mut String, row: usize, point: Option<&CoursePoint>, is_after: bool) {
        let on_band = is_after
            && self.band.is_some_and(|band| {
                (self.grid.row_of(band.high)..=self.grid.row_of(band.low)).contains(&row)
            });
        let on_level = self
            .level
            .is_some_and(|level| self.grid.row_of(level) == row);
        let ground = match (on_level, on_band) {
            (true, _) => self.signs.level,
            (_, true) => self.signs.band,
            _ => ' ',
        };
        let value = point.and_then(|point| point.value);
        let has_point = value.is_some_and(|value| self.grid.row_of(value) == row);
        for column in 0..self.week {
            text.push(if has_point && column == self.week / 2 {
                self.signs.point
            } else {
                ground
            });
        }
    }

    /// The numbers of the looks where they are due; those that were taken in brackets.
    fn axis(&self, cycle: &PdcaCycle) -> String {
        let start = SCALE + 1 + self.before.len() * self.week + 1;
        let mut text = format!("{:>SCALE$} {}", "", "before");
        for look in LOOKS {
            let days = look.hours as usize / 24;
            let taken = cycle
                .looks
                .iter()
                .any(|taken| taken.look.number == look.number);
            let mark = if taken {
                format!("[{}]", look.number)
            } else {
                look.number.to_string()
            };
            let column = start + days * self.week / 7;
            let at = column.saturating_sub(mark.chars().count() / 2 + 1);
            let written = safe_text::width(&text);
            if at >= written {
                text.push_str(&" ".repeat(at - written));
            } else if look.number > 1 {
                text.push(' ');
            }
            text.push_str(&mark);
        }
        text.push_str("  looks");
        text
    }
}

/// Metrics and guards of a look with their intervals, better to the right of the line of no effect.
pub(super) fn forest(look: &Look, width: usize, unicode: bool) -> Vec<Line> {
    const NAME: usize = 23;
    const WORDS: usize = 30;
    let signs = signs(unicode);
    let axis = width.saturating_sub(NAME + WORDS + 4).clamp(9, 61) | 1;
    let mut lines = vec![(
        Role::Muted,
        format!(
            "  {:<NAME$}{:<half$}{}{:>half$}",
            "",
            "worse",
            signs.change,
            "better",
            half = axis / 2
        ),
    )];
    let guards = look.guards.iter().map(|guard| (guard, true));
    for (effect, is_guard) in look
        .effects
        .iter()
        .map(|effect| (effect, false))
        .chain(guards)
    {
        let name = if is_guard {
            format!("guard {}", short(effect))
        } else {
            short(effect).to_owned()
        };
        let row = format!(
            "  {name:<NAME$}{}  {}",
            bar(effect, axis, &signs),
            in_words(effect)
        );
        lines.push((super::view::role_of_evidence(effect.evidence), row));
    }
    lines
}

const fn short(effect: &Effect) -> &'static str {
    match effect.metric {
        Metric::DeploymentFrequency => "frequency",
        Metric::ChangeLeadTime if matches!(effect.measure, Measure::CycleTime) => "cycle time",
        Metric::ChangeLeadTime => "lead time",
        Metric::ChangeFailureRate => "failure rate",
        Metric::RecoveryTime => "recovery time",
        Metric::ReworkRate => "rework rate",
    }
}

fn in_words(effect: &Effect) -> String {
    match (effect.percent, effect.evidence) {
        (_, Evidence::Insufficient) | (None, _) => {
            format!("too few (n {}/{})", effect.n_base, effect.n_post)
        }
        (Some(percent), evidence) => format!("{percent:+.0} % {evidence}"),
    }
}

/// The interval with the estimate in it; arrows where it goes on beyond the ends.
fn bar(effect: &Effect, width: usize, signs: &Signs) -> String {
    let middle = width / 2;
    let column = |percent: f64| {
        let share = (percent.clamp(-REACH, REACH) + REACH) / (2.0 * REACH);
        (share * (width - 1) as f64).round() as usize
    };
    let mut cells: Vec<char> = vec![' '; width];
    let shown = effect.evidence != Evidence::Insufficient;
    if let Some(interval) = effect.interval.filter(|_| shown) {
        let (from, to) = (column(interval.low), column(interval.high));
        for cell in &mut cells[from..=to] {
            *cell = signs.bar;
        }
        if interval.low < -REACH {
            cells[0] = signs.left;
        }
        if interval.high > REACH {
            cells[width - 1] = signs.right;
        }
    }
    cells[middle] = signs.change;
    if let Some(percent) = effect.percent.filter(|_| shown) {
        cells[column(percent)] = signs.point;
    }
    cells.into_iter().collect()
}
