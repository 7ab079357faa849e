//! What comes from outside stays inert on its way to the terminal, and costs few bytes.

use super::*;

/// What an attacker may send: each must stay inert and leave the layout whole (R30, R32).
const HOSTILE: [&str; 12] = [
    "\x1b]0;owned\x07title",
    "\x1b[2J\x1b[Hcleared",
    "\x1b]52;c;cm0gLXJm\x07clipboard",
    "\u{9b}31mC1 colour \u{9d}0;x\u{9c}",
    "\x1bP+q544e\x1b\\dcs",
    "bidi \u{202e}gnp.exe\u{2066} \u{61c}end",
    "zero\u{200b}width\u{feff} tag\u{e0041} sep\u{2028}x",
    "wide 日本語テキスト 日本語テキスト 日本語テキスト",
    "family 👩‍👩‍👧‍👦 flag 🇪🇸 heart ❤️",
    "a\u{301}\u{301}\u{301}\u{301}\u{301}\u{301}\u{301}\u{301}\u{301}\u{301} stacked",
    "cr\rover\nnew\tline\x08\x7f",
    "private \u{e000} \u{f8ff} nul \0 end",
];

/// R30: what comes from outside cannot act; R32: the layout holds.
#[test]
fn hostile_text_is_inert_and_leaves_the_layout_whole() {
    for depth in [ColorDepth::True, ColorDepth::Mono] {
        let mut records = company();
        let hostile = Arc::new(Origin {
            id: OriginId::from_u128(9),
            layer: Layer::Application,
            source: "app/\x1b[31m\u{202e}x".into(),
            host: "h\x1b]0;x\x07".into(),
        });
        for (index, text) in HOSTILE.iter().enumerate() {
            let entry = Entry {
                timestamp: Timestamp::from_seconds(NOW - 12 + i64::try_from(index).unwrap()),
                position: index as u64,
                message: (*text).into(),
                logger: Some((*text).into()),
                request_id: Some(RequestId::new(*text)),
                metadata: vec![((*text).into(), (*text).into())],
                traceback: Some((*text).into()),
                ..Entry::default()
            };
            records.push(Record {
                origin: hostile.clone(),
                entry,
            });
        }
        for keys in ["", "\r", "kkkk\r", "t", "c", "/\u{9b}", "r", "\rGf", "llll"] {
            let mut stage = Stage::new((100, 30), depth, records.clone());
            stage.keys(keys);
            let grid = stage.screen();
            let bytes = stage.bytes();
            assert_only_own_sequences(&bytes, keys);
            // A terminal that reads these bytes shows the grid that was drawn.
            let mut terminal =
                vt100::Parser::new(30.try_into().unwrap(), 100.try_into().unwrap(), 0);
            terminal.process(&bytes);
            for (row, (expected, shown)) in
                grid.lines().zip(terminal.screen().rows(0, 100)).enumerate()
            {
                let plain = |text: &str| text.trim_end().to_owned();
                assert!(
                    plain(expected) == plain(&shown) || expected.contains(['👩', '🇪', '❤']),
                    "row {row} after {keys:?}:\n{expected}\n{shown}"
                );
            }
        }
    }
}

/// R30: SGR, cursor moves and modes, and no character that acts or hides.
fn assert_only_own_sequences(bytes: &[u8], keys: &str) {
    let text = std::str::from_utf8(bytes).unwrap();
    let mut rest = text;
    while let Some(at) = rest.find('\x1b') {
        let (plain, sequence) = rest.split_at(at);
        assert_inert(plain, keys);
        let body = sequence
            .strip_prefix("\x1b[")
            .unwrap_or_else(|| panic!("foreign sequence after {keys:?}: {sequence:?}"));
        let end = body
            .find(|character: char| ('\x40'..='\x7e').contains(&character))
            .unwrap();
        let last = &body[end..=end];
        let known = matches!(last, "m" | "H") || matches!(&body[..=end], "?25l" | "?25h");
        assert!(known, "foreign sequence {:?} after {keys:?}", &body[..=end]);
        rest = &body[end + 1..];
    }
    assert_inert(rest, keys);
}

fn assert_inert(text: &str, keys: &str) {
    for character in text.chars() {
        let acts = character.is_control()
            || matches!(character, '\u{200b}'..='\u{200c}' | '\u{200e}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}'
                | '\u{feff}' | '\u{61c}' | '\u{e000}'..='\u{f8ff}' | '\u{e0000}'..='\u{e007f}');
        assert!(!acts, "{character:?} reached the terminal after {keys:?}");
    }
}

/// A live list at four updates a second stays far below 20 KB/s at 80x24, because only what
/// changed is written.
#[test]
fn an_update_of_the_live_list_costs_few_bytes() {
    let mut stage = small();
    let viewport = ratatui::Viewport::Fixed(Rect::new(0, 0, 80, 24));
    let mut out = Vec::new();
    {
        let options = ratatui::TerminalOptions { viewport };
        let mut terminal =
            Terminal::with_options(CrosstermBackend::new(&mut out), options).unwrap();
        terminal.draw(|frame| stage.app.render(frame)).unwrap();
        let question = crate::tui::ask::Question::default().next();
        for update in 0..8_i64 {
            let mut record = stage.records[usize::try_from(update).unwrap()].clone();
            record.entry.timestamp = Timestamp::from_seconds(NOW + update);
            record.entry.position = 1_000_000 + u64::try_from(update).unwrap();
            let follower = Follower::from_cursor(Query::everything(), ArrivalCursor::new(0_i64));
            let answer = LogsAnswer::Arrived {
                question,
                follower,
                result: Ok(vec![record]),
            };
            stage
                .app
                .on_event(AppEvent::Answer(Answer::of::<LogsTab>(answer)), stage.now);
            terminal.draw(|frame| stage.app.render(frame)).unwrap();
        }
    }
    assert!(
        stage.screen().contains("of 128"),
        "the arrivals are on the screen"
    );
    // One first frame and eight updates; at four updates a second this is two seconds.
    assert!(out.len() < 30_000, "{} bytes", out.len());
}
