//! How the Alerts tab looks: the list, and what is known of the row under the cursor, beside it on
//! a wide screen and below it on a narrow one.

use ratatui::buffer::Buffer;
use ratatui::layout::{Constraint, Layout, Rect};
use ratatui::style::Style;

use super::{AlertsTab, Panel, detail};
use crate::service::alerts::RuleView;
use crate::tui::tab::Context;
use crate::tui::theme::Role;
use crate::tui::widgets::{clock, empty, frame, safe_text};
use atalaya_domain::alert::{Alert, Severity, State, show_number};

/// From this width on the detail stands beside the list.
const WIDE: u16 = 140;

pub(super) fn render(tab: &AlertsTab, area: Rect, buffer: &mut Buffer, context: &Context<'_>) {
    if tab.board.is_none() {
        let message = "Alerts are not loaded yet.";
        empty::render(area, buffer, context.theme, message, &[]);
        return;
    }
    if tab.opened.is_some() && area.width < WIDE {
        detail::render(tab, area, buffer, context);
        return;
    }
    let [list, rest] = if area.width >= WIDE {
        Layout::horizontal([Constraint::Percentage(52), Constraint::Min(0)])
            .spacing(2)
            .areas(area)
    } else {
        Layout::vertical([Constraint::Percentage(48), Constraint::Min(0)]).areas(area)
    };
    match tab.panel {
        Panel::Alerts => alerts(tab, list, buffer, context),
        Panel::Rules => rules(tab, list, buffer, context),
    }
    detail::render(tab, rest, buffer, context);
}

/// A rule across the top, and the area below it.
fn titled(area: Rect, buffer: &mut Buffer, context: &Context<'_>, title: &str) -> Rect {
    frame::rule(area, buffer, context.theme, title, true);
    Rect {
        y: area.y + 1.min(area.height),
        height: area.height.saturating_sub(1),
        ..area
    }
}

/// A row for each item, the one under the cursor marked and in sight.
fn list<T>(
    items: &[T],
    cursor: usize,
    area: Rect,
    buffer: &mut Buffer,
    context: &Context<'_>,
    row_of: impl Fn(&T, Rect, &mut Buffer, &Context<'_>),
) {
    let first = (cursor + 1).saturating_sub(usize::from(area.height));
    for (y, (index, item)) in (area.y..area.bottom()).zip(items.iter().enumerate().skip(first)) {
        let row = Rect {
            y,
            height: 1,
            ..area
        };
        if index == cursor {
            buffer.set_style(row, context.theme.style(Role::Selection));
        }
        row_of(item, row, buffer, context);
    }
}

fn alerts(tab: &AlertsTab, area: Rect, buffer: &mut Buffer, context: &Context<'_>) {
    let inside = titled(area, buffer, context, "Alerts · Tab: rules");
    if tab.alerts().is_empty() {
        let hints = ["Tab shows the rules with their present values".to_owned()];
        empty::render(inside, buffer, context.theme, "No alert, ever.", &hints);
        return;
    }
    list(
        tab.alerts(),
        tab.position(),
        inside,
        buffer,
        context,
        alert_row,
    );
}

fn rules(tab: &AlertsTab, area: Rect, buffer: &mut Buffer, context: &Context<'_>) {
    let inside = titled(area, buffer, context, "Rules · Tab: alerts");
    if tab.rules().is_empty() {
        let message = "There are no rules: [alerts] is switched off.";
        empty::render(inside, buffer, context.theme, message, &[]);
        return;
    }
    list(
        tab.rules(),
        tab.position(),
        inside,
        buffer,
        context,
        rule_row,
    );
}

/// The word and its colour: never the colour alone.
pub(super) fn state_of(alert: &Alert) -> (&'static str, Role) {
    match (alert.state, alert.rule.severity) {
        (State::Firing, Severity::Critical) => ("FIRING", Role::Critical),
        (State::Firing, Severity::Warning) => ("FIRING", Role::Error),
        (State::Firing, Severity::Info) => ("firing", Role::Info),
        (State::Pending, _) => ("pending", Role::Warning),
        (State::Resolved, _) => ("over", Role::Muted),
    }
}

fn alert_row(alert: &Alert, line: Rect, buffer: &mut Buffer, context: &Context<'_>) {
    let (word, role) = state_of(alert);
    let mark = match (&alert.acknowledged, &alert.muted) {
        (Some(_), _) => "seen",
        (None, Some(_)) => "mute",
        (None, None) => "",
    };
    let value = alert.value.map_or_else(String::new, |value| {
        format!(
            "{} {} {}",
            show_number(value),
            alert.rule.when.sign(),
            show_number(alert.rule.threshold)
        )
    });
    let age = clock::coarse(context.now.since(alert.since()));
    let cells = [
        (role, safe_text::fit(word, 8)),
        (Role::Muted, safe_text::fit(alert.rule.severity.name(), 9)),
        (Role::Accent, safe_text::fit(mark, 5)),
    ];
    let fixed = 22;
    let tail = 16 + 10;
    let name = usize::from(line.width).saturating_sub(fixed + tail).max(8);
    let mut x = line.x;
    for (role, text) in &cells {
        x = put(buffer, line, x, text, context, *role);
    }
    let named = if alert.is_active() {
        Role::Text
    } else {
        Role::Muted
    };
    let name = safe_text::fit(&safe_text::line(&alert.rule.name), name);
    x = put(buffer, line, x, &name, context, named);
    let value = safe_text::fit(&safe_text::cut(&value, 15), 16);
    x = put(buffer, line, x, &value, context, Role::Text);
    put(buffer, line, x, &age, context, Role::Muted);
}

/// How far a value is from the threshold, in words.
fn distance_of(rule: &RuleView) -> (Role, String) {
    match (rule.state, rule.distance) {
        (Some(State::Firing), _) => (Role::Bad, "fires".to_owned()),
        (Some(State::Pending), _) => (Role::Warning, "pending".to_owned()),
        (_, Some(distance)) if distance >= 0.0 => (Role::Warning, "beyond".to_owned()),
        (_, Some(distance)) => (
            if distance > -0.2 {
                Role::Warning
            } else {
                Role::Good
            },
            format!("{:.0} % away", (-distance * 100.0).min(999.0)),
        ),
        (_, None) => (Role::Muted, "no data".to_owned()),
    }
}

fn rule_row(rule: &RuleView, line: Rect, buffer: &mut Buffer, context: &Context<'_>) {
    let (role, distance) = distance_of(rule);
    let value = rule.value.map_or_else(|| "–".to_owned(), show_number);
    let tail = 12 + 13;
    let name = usize::from(line.width).saturating_sub(9 + tail).max(8);
    let mut x = line.x;
    let severity = safe_text::fit(rule.severity.name(), 9);
    x = put(buffer, line, x, &severity, context, Role::Muted);
    let name = safe_text::fit(&safe_text::line(&rule.name), name);
    x = put(buffer, line, x, &name, context, Role::Text);
    let value = safe_text::fit(&safe_text::cut(&value, 11), 12);
    x = put(buffer, line, x, &value, context, Role::Text);
    put(buffer, line, x, &distance, context, role);
}

/// Text from a column on, cut to the row; the background of the row stays.
fn put(
    buffer: &mut Buffer,
    line: Rect,
    x: u16,
    text: &str,
    context: &Context<'_>,
    role: Role,
) -> u16 {
    if x >= line.right() {
        return x;
    }
    let style = Style {
        bg: None,
        ..context.theme.style(role)
    };
    safe_text::put(
        buffer,
        x,
        line.y,
        safe_text::cut(text, usize::from(line.right() - x)),
        style,
    )
}
