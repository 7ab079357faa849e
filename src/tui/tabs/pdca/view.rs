//! Drawing of the PDCA tab.

use ratatui::buffer::Buffer;
use ratatui::layout::Rect;

use super::{PdcaTab, ShownCourse, chart};
use crate::tui::tab::Context;
use crate::tui::theme::Role;
use crate::tui::widgets::{clock, empty, frame, safe_text};
use atalaya_domain::pdca::effect::show_p;
use atalaya_domain::pdca::{Effect, Evidence, Look, Measure, PdcaCycle, State, Verdict};
use atalaya_domain::time::Timestamp;

/// Rows of the chart where the room is small, and where it is not.
const LOW_CHART: usize = 6;
const HIGH_CHART: usize = 12;

/// From this width on the cycle under the cursor stands beside the list.
const WIDE: u16 = 140;
const LIST_WIDTH: u16 = 76;
/// Rows that one cycle takes in the list: what, from where to where, what was found.
const ROWS: usize = 3;

pub(super) fn render(tab: &PdcaTab, area: Rect, buffer: &mut Buffer, context: &Context<'_>) {
    match &tab.cycles {
        None => empty::render(
            area,
            buffer,
            context.theme,
            "PDCA cycles are not loaded yet.",
            &[],
        ),
        Some(cycles) if cycles.is_empty() && tab.broken.is_empty() => {
            nothing(tab, area, buffer, context);
        }
        Some(cycles) if area.width >= WIDE => {
            let left = Rect {
                width: LIST_WIDTH,
                ..area
            };
            let right = Rect {
                x: area.x + LIST_WIDTH + 1,
                width: area.width - LIST_WIDTH - 1,
                ..area
            };
            list(tab, cycles, left, buffer, context);
            detail(tab, right, buffer, context);
        }
        Some(_) if tab.opened.is_some() => detail(tab, area, buffer, context),
        Some(cycles) => list(tab, cycles, area, buffer, context),
    }
    if let Some(editor) = &tab.editor {
        editor.render(area, buffer, context.theme);
    }
}

fn nothing(tab: &PdcaTab, area: Rect, buffer: &mut Buffer, context: &Context<'_>) {
    let mut hints: Vec<String> = tab
        .proposals
        .iter()
        .map(|proposal| {
            let unit = proposal.metric.unit();
            format!(
                "{} misses its target: {} against {}",
                proposal.metric.title(),
                unit.show(proposal.current),
                unit.show(proposal.target)
            )
        })
        .collect();
    hints.push("a plans one".to_owned());
    empty::render(
        area,
        buffer,
        context.theme,
        "There are no PDCA cycles.",
        &hints,
    );
}

const fn role_of(state: State) -> Role {
    match state {
        State::Plan => Role::Muted,
        State::Do | State::Check => Role::Info,
        State::Act => Role::Warning,
        State::Applied => Role::Good,
        State::Reverted => Role::Bad,
    }
}

pub(super) const fn role_of_evidence(evidence: Evidence) -> Role {
    match evidence {
        Evidence::Insufficient | Evidence::NoEvidence => Role::Muted,
        Evidence::Worse => Role::Bad,
        Evidence::Better => Role::Good,
    }
}

fn value_of(cycle: &PdcaCycle, value: Option<f64>) -> String {
    value.map_or_else(
        || "N/A".to_owned(),
        |value| cycle.plan.metric.unit().show(value),
    )
}

/// What is known now, or what it waits for.
fn now_of(cycle: &PdcaCycle, context: &Context<'_>) -> (Role, String) {
    if let Some(effect) = cycle.last_look().and_then(Look::primary) {
        // The counts are in the detail; here the interval matters more than they.
        let shown = effect.show();
        let figures = shown
            .rsplit_once(", n ")
            .map_or(shown.as_str(), |(figures, _)| figures);
        return (
            role_of_evidence(effect.evidence),
            format!("{}: {figures}", effect.evidence),
        );
    }
    waiting(cycle, context)
}

fn waiting(cycle: &PdcaCycle, context: &Context<'_>) -> (Role, String) {
    match cycle.next_look_at() {
        Some((look, due_at)) if due_at <= context.now => (
            Role::Warning,
            format!("look {} ({}) is due", look.number, look.title()),
        ),
        Some((look, due_at)) => {
            let left = clock::coarse(due_at.since(context.now));
            (
                Role::Muted,
                format!("look {} ({}) in {left}", look.number, look.title()),
            )
        }
        None if cycle.applied.is_none() => (Role::Muted, "not started".to_owned()),
        None => (Role::Muted, "no look left".to_owned()),
    }
}

fn list(
    tab: &PdcaTab,
    cycles: &[PdcaCycle],
    area: Rect,
    buffer: &mut Buffer,
    context: &Context<'_>,
) {
    let theme = context.theme;
    frame::rule(
        Rect { height: 1, ..area },
        buffer,
        theme,
        "Cycles: baseline → target, now",
        tab.opened.is_none(),
    );
    let unreadable = u16::try_from(tab.broken.len() * 2)
        .unwrap_or(u16::MAX)
        .min(area.height / 3);
    let body = Rect {
        y: area.y + 1,
        height: area.height.saturating_sub(1 + unreadable),
        ..area
    };
    let below = Rect {
        y: body.bottom(),
        height: unreadable,
        ..area
    };
    broken(tab, below, buffer, context);
    let visible = (usize::from(body.height) / ROWS).max(1);
    let at = tab.position();
    let first = at.saturating_sub(visible - 1);
    let width = usize::from(body.width);
    for (row, cycle) in cycles.iter().enumerate().skip(first).take(visible) {
        let y = body.y + u16::try_from((row - first) * ROWS).unwrap_or(u16::MAX);
        if y >= body.bottom() {
            break;
        }
        let plan = &cycle.plan;
        let service = plan
            .service
            .as_deref()
            .map_or_else(|| "all services".to_owned(), safe_text::line);
        let head = format!(
            "{:<8}  {} · {service}",
            cycle.state.name(),
            safe_text::first_line(&plan.title, width)
        );
        let style = if row != at {
            theme.style(role_of(cycle.state))
        } else if tab.opened.is_some() {
            theme.style(Role::SelectionIdle)
        } else {
            theme.style(Role::Selection)
        };
        safe_text::put(buffer, body.x, y, safe_text::fit(&head, width), style);
        if y + 1 < body.bottom() {
            let (role, now) = now_of(cycle, context);
            let figures = format!(
                "          {} {} → {}",
                plan.title_of_metric(),
                value_of(cycle, plan.baseline.value),
                value_of(cycle, plan.target())
            );
            safe_text::put(
                buffer,
                body.x,
                y + 1,
                safe_text::cut(&figures, width),
                theme.style(Role::Muted),
            );
            if y + 2 < body.bottom() {
                let now = safe_text::cut(&format!("          {now}"), width);
                safe_text::put(buffer, body.x, y + 2, now, theme.style(role));
            }
        }
    }
}

/// Cycles whose history cannot be read, below the others.
fn broken(tab: &PdcaTab, area: Rect, buffer: &mut Buffer, context: &Context<'_>) {
    let width = usize::from(area.width);
    let rows = tab.broken.iter().flat_map(|cycle| {
        let title = cycle.title.as_deref().unwrap_or("no plan that can be read");
        [
            format!(
                "unreadable {} · {}",
                safe_text::line(&cycle.id),
                safe_text::line(title)
            ),
            format!("          {}", safe_text::line(&cycle.reason)),
        ]
    });
    for (row, y) in rows.zip(area.y..area.bottom()) {
        let style = context.theme.style(Role::Bad);
        safe_text::put(buffer, area.x, y, safe_text::cut(&row, width), style);
    }
}

fn detail(tab: &PdcaTab, area: Rect, buffer: &mut Buffer, context: &Context<'_>) {
    let Some(cycle) = tab.current() else { return };
    let title = format!("{} · {}", safe_text::line(&cycle.id), cycle.state);
    frame::rule(
        Rect { height: 1, ..area },
        buffer,
        context.theme,
        &title,
        tab.opened.is_some(),
    );
    let body = Rect {
        y: area.y + 1,
        height: area.height.saturating_sub(1),
        ..area
    };
    let width = usize::from(body.width);
    let pictures = Pictures {
        course: tab.course.as_ref().filter(|course| course.id == cycle.id),
        rows: if body.height >= 40 {
            HIGH_CHART
        } else {
            LOW_CHART
        },
        first: context.area.width >= WIDE,
    };
    let lines = lines_of(cycle, &pictures, width, context);
    let furthest = lines.len().saturating_sub(usize::from(body.height));
    let first = tab.opened.unwrap_or(0).min(furthest);
    for ((role, text), y) in lines.iter().skip(first).zip(body.y..body.bottom()) {
        safe_text::put(
            buffer,
            body.x,
            y,
            safe_text::cut(text, width),
            context.theme.style(*role),
        );
    }
}

/// How the pictures of a cycle are shown.
struct Pictures<'a> {
    course: Option<&'a ShownCourse>,
    rows: usize,
    /// Above the text, where there is room for both; else where the looks are.
    first: bool,
}

impl Pictures<'_> {
    fn lines(&self, cycle: &PdcaCycle, width: usize, unicode: bool) -> Vec<(Role, String)> {
        let title = format!("WEEKS  {}", measured(cycle));
        let mut lines = vec![(Role::Title, title)];
        let trouble = self.course.and_then(|course| course.trouble.as_ref());
        if let Some(reason) = trouble {
            let text = format!("  cannot be read: {}", safe_text::line(reason));
            lines.push((Role::Bad, text));
        }
        match self.course.and_then(|course| course.read.as_ref()) {
            Some(course) => {
                lines.extend(chart::course(cycle, course, width, self.rows, unicode));
            }
            None if trouble.is_none() => {
                lines.push((Role::Muted, "  reading its weeks".to_owned()));
            }
            None => {}
        }
        if let Some(look) = cycle.last_look() {
            let title = format!("EFFECTS  by look {} (95 % intervals)", look.number);
            lines.push((Role::Title, title));
            lines.extend(chart::forest(look, width, unicode));
        }
        lines
    }
}

/// What the plan's metric is measured by.
fn measured(cycle: &PdcaCycle) -> &'static str {
    match cycle.plan.baseline.measure {
        Measure::Standard => cycle.plan.title_of_metric(),
        Measure::CycleTime => "Cycle time (no commits known)",
    }
}

/// The four phases as rows of safe text.
fn lines_of(
    cycle: &PdcaCycle,
    pictures: &Pictures<'_>,
    width: usize,
    context: &Context<'_>,
) -> Vec<(Role, String)> {
    let mut lines = Vec::new();
    let when = |at: Timestamp| clock::format(at, context.zone, "%Y-%m-%d %H:%M");
    if pictures.first {
        lines.extend(pictures.lines(cycle, width, context.unicode));
    }
    plan(&mut lines, cycle, width, &when);
    lines.push((Role::Title, "DO".to_owned()));
    match &cycle.applied {
        None => lines.push((Role::Muted, "  not started (s starts it)".to_owned())),
        Some(applied) => {
            wrapped(&mut lines, &when(applied.applied_at), &applied.what, width);
            for (name, value) in [
                ("request", &applied.request_id),
                ("commit", &applied.commit),
            ] {
                if let Some(value) = value {
                    wrapped(&mut lines, name, value, width);
                }
            }
        }
    }
    lines.push((Role::Title, "CHECK".to_owned()));
    if !pictures.first {
        lines.extend(pictures.lines(cycle, width, context.unicode));
    }
    for checked in &cycle.looks {
        look(&mut lines, &checked.look, width, &when);
    }
    if cycle.applied.is_some() && !cycle.state.is_closed() {
        let (role, text) = waiting(cycle, context);
        lines.push((role, format!("  next: {text}")));
    }
    lines.push((Role::Title, "ACT".to_owned()));
    for decided in &cycle.decisions {
        let text = format!(
            "{} by {}: {}",
            decided.act.verdict, decided.by, decided.act.why
        );
        wrapped(&mut lines, &when(decided.at), &text, width);
    }
    if cycle.decisions.is_empty() {
        lines.push((Role::Muted, "  nothing decided (D decides)".to_owned()));
    }
    for note in &cycle.notes {
        wrapped(
            &mut lines,
            &when(note.at),
            &format!("{}: {}", note.by, note.text),
            width,
        );
    }
    lines
}

fn plan(
    lines: &mut Vec<(Role, String)>,
    cycle: &PdcaCycle,
    width: usize,
    when: &dyn Fn(Timestamp) -> String,
) {
    let plan = &cycle.plan;
    let unit = plan.metric.unit();
    lines.push((Role::Title, format!("PLAN  {}", measured(cycle))));
    wrapped(lines, "title", &plan.title, width);
    let interval = plan.baseline.interval.map_or_else(String::new, |interval| {
        format!(
            ", 95 % {} to {}",
            unit.show(interval.low),
            unit.show(interval.high)
        )
    });
    let baseline = format!(
        "{} (n {}{interval}), {} to {}",
        value_of(cycle, plan.baseline.value),
        plan.baseline.samples,
        when(plan.baseline.window.from),
        when(plan.baseline.window.until)
    );
    wrapped(lines, "baseline", &baseline, width);
    let target = format!(
        "{} ({:.0} % better)",
        value_of(cycle, plan.target()),
        plan.expected_percent
    );
    wrapped(lines, "target", &target, width);
    if let Some(forecast) = &plan.baseline.forecast {
        for (name, sentence) in ["to expect", "", ""]
            .into_iter()
            .zip(forecast.sentences(plan.metric, plan.baseline.measure))
        {
            wrapped(lines, name, &sentence, width);
        }
    }
    for (name, text) in [
        ("hypothesis", &plan.hypothesis),
        ("change", &plan.change),
        ("owner", &plan.owner),
    ] {
        if !text.is_empty() {
            wrapped(lines, name, text, width);
        }
    }
    let guards: Vec<&str> = plan.guards.iter().map(|guard| guard.title()).collect();
    wrapped(
        lines,
        "guards",
        if guards.is_empty() { "none" } else { "" },
        width,
    );
    if let (Some(last), false) = (lines.last_mut(), guards.is_empty()) {
        last.1.push_str(&guards.join(", "));
    }
    for warning in &plan.baseline.warnings {
        wrapped(lines, "note", warning, width);
    }
}

fn look(
    lines: &mut Vec<(Role, String)>,
    look: &Look,
    width: usize,
    when: &dyn Fn(Timestamp) -> String,
) {
    lines.push((
        role_of_evidence(look.evidence),
        format!(
            "  look {} to {}: {}",
            look.number,
            when(look.after.until),
            look.evidence
        ),
    ));
    for effect in &look.effects {
        lines.push((
            role_of_evidence(effect.evidence),
            format!("    {}", effect_line(effect)),
        ));
        if let Some(spread) = &effect.spread {
            lines.push((Role::Muted, format!("      {}", spread.show())));
        }
        lines.extend(
            effect
                .flags
                .iter()
                .map(|flag| (Role::Muted, format!("      {}", safe_text::line(flag)))),
        );
    }
    for guard in &look.guards {
        let worse = look.guards_worse.contains(&guard.metric);
        let (role, state) = match guard.evidence {
            _ if worse => (Role::Bad, "WORSE"),
            Evidence::Insufficient => (Role::Muted, "unknown, too few"),
            _ => (Role::Muted, "holds"),
        };
        let text = format!(
            "    guard {} {state}, n {}/{}",
            guard.title(),
            guard.n_base,
            guard.n_post
        );
        lines.push((role, text));
    }
    let role = if look.proposed == Verdict::Continue {
        Role::Text
    } else {
        Role::Warning
    };
    let start = lines.len();
    wrapped(
        lines,
        "proposed",
        &format!("{}: {}", look.proposed, look.reason),
        width,
    );
    for line in &mut lines[start..] {
        line.0 = role;
    }
    if let (Some(score), Some(verdict)) = (look.seeds_score, look.seeds_rule_decision) {
        let text = format!("{verdict} on point estimates alone (score {score:+.1})");
        wrapped(lines, "plain rule", &text, width);
    }
}

fn effect_line(effect: &Effect) -> String {
    let p = effect
        .p_adjusted
        .map_or_else(String::new, |p| format!(", p {}", show_p(p)));
    format!(
        "{}: {} [{}{p}]",
        effect.title(),
        effect.show(),
        effect.test.name()
    )
}

/// A name and somebody's text, made safe, wrapped at words under each other.
fn wrapped(lines: &mut Vec<(Role, String)>, name: &str, text: &str, width: usize) {
    let indent = name.len().max(10) + 4;
    let room = width.saturating_sub(indent).max(10);
    let mut row = format!("  {name:<10}  ");
    let mut used = 0;
    for word in text.split_whitespace().map(safe_text::line) {
        let wide = safe_text::width(&word);
        if used > 0 && used + 1 + wide > room {
            lines.push((Role::Text, std::mem::replace(&mut row, " ".repeat(indent))));
            used = 0;
        }
        if used > 0 {
            row.push(' ');
            used += 1;
        }
        row.push_str(&word);
        used += wide;
    }
    lines.push((Role::Text, row));
}
