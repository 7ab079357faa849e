//! One line about the spool above the table of files: how full it is, what waits, and why.

use ratatui::buffer::Buffer;
use ratatui::layout::Rect;

use crate::service::advice;
use crate::tui::tab::Context;
use crate::tui::theme::Role;
use crate::tui::widgets::{clock, gauge, safe_text};
use atalaya_ingest::spool::status::size;
use atalaya_ingest::spool::{SpoolState, SpoolStatus};

const LABEL: u16 = 8;

/// Draws the line into the second row of `area` (the first is its rule) and returns what is left,
/// so that its own second row comes below.
pub fn render(
    spool: Option<&SpoolStatus>,
    area: Rect,
    buffer: &mut Buffer,
    context: &Context<'_>,
) -> Rect {
    let Some(spool) = spool.filter(|_| area.height > 3) else {
        return area;
    };
    let y = area.y + 1;
    let (text, role) = line(spool, context);
    safe_text::put(
        buffer,
        area.x + 1,
        y,
        "spool",
        context.theme.style(Role::Muted),
    );
    let width = (area.width / 8).min(16);
    let bar = (area.x + 1 + LABEL, y);
    gauge::render(
        bar,
        width,
        buffer,
        context.theme,
        spool.fill(),
        role,
        context.unicode,
    );
    let x = bar.0 + width + 1;
    if x < area.right() {
        let shown = safe_text::cut(&text, usize::from(area.right() - x));
        safe_text::put(buffer, x, y, shown, context.theme.style(role));
    }
    Rect {
        y,
        height: area.height - 1,
        ..area
    }
}

fn line(spool: &SpoolStatus, context: &Context<'_>) -> (String, Role) {
    let fill = format!("{:.0} % of {}", spool.fill() * 100.0, size(spool.max_bytes));
    let mut pieces = Vec::new();
    let role = match (&spool.stuck, &spool.state) {
        (Some(why), _) => {
            pieces.push(format!("takes no more: {}", safe_text::line(why)));
            Role::Error
        }
        (None, SpoolState::Away { since, reason }) => {
            let since = clock::format(*since, context.zone, "%H:%M:%S");
            pieces.push(format!(
                "spooling since {since}: {}",
                safe_text::line(&advice::say(reason))
            ));
            Role::Warning
        }
        (None, SpoolState::Draining) => {
            pieces.push("catching up".to_owned());
            Role::Text
        }
        (None, SpoolState::Passing) => Role::Muted,
    };
    pieces.push(fill);
    if spool.waiting_records > 0 && role != Role::Muted {
        let oldest = spool.oldest_waiting.map_or_else(String::new, |oldest| {
            format!(
                ", the oldest for {}",
                clock::coarse(context.now.since(oldest))
            )
        });
        pieces.push(format!(
            "{} records wait{oldest}",
            clock::count(spool.waiting_records)
        ));
    }
    let mut role = role;
    for (records, what) in [
        (spool.quarantined, "refused, kept in its quarantine"),
        (spool.damaged, "damaged on disk"),
    ] {
        if records > 0 {
            pieces.push(format!("{} {what}", clock::count(records)));
            role = if role == Role::Error {
                role
            } else {
                Role::Warning
            };
        }
    }
    (pieces.join(" · "), role)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tui::theme::Theme;
    use atalaya_domain::time::Timestamp;
    use atalaya_query::Zone;
    use atalaya_store::error::Reason;

    fn shown(spool: &SpoolStatus) -> String {
        let theme = Theme::plain();
        let area = Rect::new(0, 0, 200, 6);
        let context = Context {
            now: Timestamp::from_seconds(43_400),
            zone: Zone::Utc,
            area,
            theme: &theme,
            unicode: true,
        };
        let mut buffer = Buffer::empty(area);
        let left = render(Some(spool), area, &mut buffer, &context);
        assert_eq!((left.y, left.height), (1, 5));
        (0..area.width)
            .map(|x| buffer[(x, 1)].symbol())
            .collect::<String>()
            .trim_end()
            .to_owned()
    }

    #[test]
    fn it_says_since_when_and_why_records_gather() {
        let mut spool = SpoolStatus {
            bytes: 129 << 20,
            max_bytes: 1 << 30,
            ..SpoolStatus::default()
        };
        assert!(
            shown(&spool).ends_with(" 13 % of 1 GiB"),
            "{}",
            shown(&spool)
        );
        spool.state = SpoolState::Away {
            since: Timestamp::from_seconds(43_390),
            reason: Reason::plain("Cassandra is unreachable at 10.0.0.1:9042 \u{1b}[2J".to_owned()),
        };
        spool.waiting_records = 3_400;
        spool.oldest_waiting = Some(Timestamp::from_seconds(43_388));
        let text = shown(&spool);
        assert!(
            text.contains("spooling since 12:03:10: Cassandra is unreachable at 10.0.0.1:9042"),
            "{text}"
        );
        assert!(
            text.contains("· 3,400 records wait, the oldest for 12 s"),
            "{text}"
        );
        assert!(!text.contains('\u{1b}'));
        spool.quarantined = 7;
        assert!(
            shown(&spool).contains("7 refused, kept in its quarantine"),
            "{}",
            shown(&spool)
        );
    }

    #[test]
    fn without_a_spool_nothing_moves() {
        let theme = Theme::plain();
        let area = Rect::new(0, 0, 80, 6);
        let context = Context {
            now: Timestamp::from_seconds(1),
            zone: Zone::Utc,
            area,
            theme: &theme,
            unicode: true,
        };
        let mut buffer = Buffer::empty(area);
        assert_eq!(render(None, area, &mut buffer, &context), area);
        assert_eq!(buffer, Buffer::empty(area));
    }
}
