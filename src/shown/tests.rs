use proptest::prelude::*;

use super::*;

fn line(raw: &str) -> String {
    Shown::line(raw).as_str().to_owned()
}

#[test]
fn plain_text_is_borrowed() {
    for raw in [
        "",
        "GET /index.html 200",
        "größe",
        "日本語",
        "naïve e\u{301}",
    ] {
        let shown = Shown::line(raw);
        assert!(matches!(shown.text, Cow::Borrowed(_)), "{raw}");
        assert_eq!(shown.as_str(), raw);
        assert!(!shown.is_altered());
    }
}

#[test]
fn what_acts_becomes_visible() {
    for (raw, shown) in [
        ("\x1b[31mred\x1b[0m", "␛[31mred␛[0m"),
        ("a\0b\x07\x08\x7f", "a␀b␇␈␡"),
        ("\u{9b}31m\u{80}", "\\x9b31m\\x80"),
        ("a\tb", "a   b"),
        ("日\tb", "日  b"),
        ("a\r\nb", "a␍␤b"),
        ("user\u{202e}txt.exe", "user⟨202E⟩txt.exe"),
        (
            "\u{61c}\u{2066}\u{2069}\u{200e}",
            "⟨061C⟩⟨2066⟩⟨2069⟩⟨200E⟩",
        ),
        (
            "pass\u{200b}word\u{feff}\u{2060}",
            "pass⟨200B⟩word⟨FEFF⟩⟨2060⟩",
        ),
        ("👨\u{200d}👩", "👨⟨200D⟩👩"),
        ("x\u{e0041}\u{e007f}", "x⟨E0041⟩⟨E007F⟩"),
        ("a\u{2028}b\u{2029}", "a⟨2028⟩b⟨2029⟩"),
        ("\u{e000}\u{f8ff}\u{10fffd}", "⟨E000⟩⟨F8FF⟩⟨10FFFD⟩"),
        ("\u{ffff}\u{fdd0}\u{378}", "⟨FFFF⟩⟨FDD0⟩⟨0378⟩"),
        ("\u{ad}\u{34f}\u{3164}\u{115f}", "⟨00AD⟩⟨034F⟩⟨3164⟩⟨115F⟩"),
        ("a\u{e0100}", "a⟨E0100⟩"),
        ("❤\u{fe0f}", "❤\u{fe0f}"),
        ("\u{301}a", "◌\u{301}a"),
        ("\x1b\u{301}", "␛◌\u{301}"),
        (
            "a\u{301}\u{301}\u{301}\u{301}",
            "a\u{301}\u{301}\u{301}\u{301}",
        ),
        (
            "a\u{301}\u{301}\u{301}\u{301}\u{301}\u{301}b",
            "a\u{301}\u{301}\u{301}\u{301}⟨+2⟩b",
        ),
    ] {
        assert_eq!(line(raw), shown, "{raw:?}");
    }
    assert!(Shown::line("\x1b").is_altered());
    assert!(!Shown::line("a\tb\nc").is_altered());
}

/// Payloads of the advisories that log viewers and terminals have had.
const PAYLOADS: [&str; 16] = [
    "GET /\x1b]2;owned\x07\x0a HTTP/1.1", // CVE-2009-4487: nginx access log
    "\x1b[2J\x1b[1;1Hspoofed kubectl output", // CVE-2021-25743
    "\x1b]8;;http://evil.example/\x07click\x1b]8;;\x07", // CVE-2022-46663: less -R
    "name\x1b[31m\x1b[2K\x1b]0;x\x07.txt", // CVE-2024-43785: gitoxide
    "\x1b]0;calc\x07\x1b]52;c;Y2FsYw==\x07", // CVE-2025-55754: Tomcat console
    "user=\x1b[31;1mroot\x1b[0m",         // CVE-2025-58160: tracing-subscriber
    "if (a\u{202e} \u{2066}// admin\u{2069} \u{2066})", // CVE-2021-42574: Trojan Source
    "\x1b]0;;id;\x07\x1b[21t",            // CVE-2003-0063: xterm title report
    "\x1bP$q\"p\ncommand\n\x1b\\",        // CVE-2008-2383: DECRQSS
    "\x1b]50;i$(touch /x)\x07\x1b]50;?\x07", // CVE-2022-45063: xterm font
    "\x1bP$q;touch x;\x1b\\",             // CVE-2022-45872: iTerm2
    "\x1b[20t\x1b]1337;ReportVariable=Zg==\x07", // CVE-2024-38396: iTerm2
    "\x1b]7;file://host/%0acmd\x1b\\",    // CVE-2022-47583: mintty
    "\u{9d}0;x\u{9c}\u{9b}21t",           // CVE-2022-46387: ConEmu, 8-bit
    "\x1b]2;\u{7f}; rm\x1b\\\x1b[21t",    // CVE-2024-56803: Ghostty
    "\x1b_G a=T\x1b\\\x1b^pm\x1b\\\x1bXsos\x1b\\\x1bPdcs", // APC, PM, SOS, DCS unterminated
];

/// The classes of R30, by their own words, not by the table under test.
fn is_forbidden(character: char) -> bool {
    character.is_control()
        || matches!(character,
            '\u{61c}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}'
            | '\u{feff}' | '\u{e000}'..='\u{f8ff}' | '\u{e0000}'..='\u{10ffff}' | '\u{fdd0}'..='\u{fdef}'
            | '\u{fff9}'..='\u{fffb}' | '\u{fffe}' | '\u{ffff}')
}

fn is_clean(text: &str) -> bool {
    let mut marks = 0;
    text.chars().all(|character| {
        marks = if character.width() == Some(0) {
            marks + 1
        } else {
            0
        };
        !is_forbidden(character) && marks <= MAX_MARKS
    })
}

/// R30: what comes from outside cannot act; R31: shown, not dropped.
#[test]
fn known_attacks_are_inert_and_still_readable() {
    for raw in PAYLOADS {
        let shown = Shown::line(raw);
        assert!(
            is_clean(shown.as_str()) && shown.is_altered(),
            "{raw:?} → {shown}"
        );
        assert!(
            raw.chars()
                .filter(char::is_ascii_graphic)
                .all(|kept| shown.as_str().contains(kept)),
            "{shown}"
        );
        assert!(is_clean(Shown::escaped(raw).as_str()));
    }
    assert_eq!(
        Shown::escaped("a\x1b[0m\u{9b}\u{202e}\n\\").as_str(),
        "a\\x1b[0m\\x9b\\u{202e}\\n\\\\"
    );
}

#[test]
fn lines_are_split_and_widths_counted() {
    let lines = Shown::lines("a\tb\n日本\r\n\ne\u{301}\n");
    let seen: Vec<(&str, usize)> = lines
        .iter()
        .map(|line| (line.as_str(), line.width()))
        .collect();
    assert_eq!(seen, [("a   b", 5), ("日本", 4), ("", 0), ("e\u{301}", 1)]);
}

#[test]
fn cutting_and_scrolling_keep_characters_whole() {
    assert_eq!(Shown::line("abcdef").fit(4).as_str(), "abc…");
    assert_eq!(Shown::line("abcd").fit(4).as_str(), "abcd");
    assert_eq!(Shown::line("日本語").fit(4).as_str(), "日…");
    assert_eq!(Shown::line("日本語").fit(0).as_str(), "");
    assert_eq!(Shown::line("日").padded(4).as_str(), "日  ");
    assert_eq!(Shown::line("日本語x").window(1, 4).as_str(), " 本 ");
    assert_eq!(Shown::line("日本語x").window(2, 5).as_str(), "本語x");
    assert_eq!(Shown::line("ab").window(5, 5).as_str(), "");
    let long = "x\u{301}".repeat(100_000);
    assert_eq!(Shown::line_within(&long, 10).width(), 10);
}

#[test]
fn hits_in_the_raw_text_are_found_on_the_screen() {
    let raw = "\x1b[1m\tgröße 日本 end";
    let at = |needle: &str| {
        raw.find(needle)
            .map(|start| start..start + needle.len())
            .unwrap_or_default()
    };
    let shown = Shown::line(raw);
    for needle in ["größe", "日本", "end", "\x1b[1m"] {
        let columns = Shown::columns(raw, &[at(needle)]).remove(0);
        let part = shown.window(columns.start, columns.len());
        assert_eq!(part.as_str(), Shown::line(needle).as_str());
    }
}

fn hostile() -> impl Strategy<Value = String> {
    prop_oneof![
        any::<String>(),
        prop::collection::vec(any::<u8>(), 0..60)
            .prop_map(|bytes| String::from_utf8_lossy(&bytes).into_owned()),
        prop::collection::vec(any::<char>(), 0..40).prop_map(String::from_iter),
        "[a日é\u{301}\u{302}\u{fe0f}\u{200d}\u{202e}\u{1f468}\u{1f3fb}\u{1f1e6}\u{1100}\u{1161}\u{644}\u{627}\u{93f}\t\n\x1b\u{9b}]{0,40}",
    ]
}

/// R30 at length: pieces of the known attacks, of every class and of raw bytes, put together anew.
/// A hundred thousand texts; `ATALAYA_TEST_LONG=1` makes it ten million.
#[test]
fn nothing_dangerous_is_left_of_very_many_texts() {
    const PIECES: [&str; 24] = [
        "\x1b",
        "\x1b[",
        "\x1b]52;c;",
        "\x1bP",
        "\x07",
        "\x1b\\",
        "\u{9b}",
        "\u{9d}",
        "\u{9c}",
        "\u{202e}",
        "\u{2066}",
        "\u{61c}",
        "\u{200b}",
        "\u{feff}",
        "\u{e0041}",
        "\u{2028}",
        "\u{e000}",
        "e\u{301}\u{302}\u{303}\u{304}\u{305}",
        "日本",
        "👨\u{200d}👩\u{fe0f}",
        "\t",
        "\r\n",
        "plain text ",
        "\0\x7f\x08",
    ];
    let cases = if std::env::var_os("ATALAYA_TEST_LONG").is_some() {
        10_000_000
    } else {
        100_000
    };
    // splitmix64: the same texts in every run.
    let mut state = 0x0a7a_1a7a_u64;
    let mut next = move |below: usize| {
        state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = (state ^ (state >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        ((mixed ^ (mixed >> 31)) % below as u64) as usize
    };
    let mut bytes = Vec::new();
    for case in 0..cases {
        bytes.clear();
        for _ in 0..=next(5) {
            match next(4) {
                0 => {
                    let payload = PAYLOADS[next(PAYLOADS.len())].as_bytes();
                    let from = next(payload.len());
                    bytes.extend_from_slice(&payload[from..from + next(payload.len() - from + 1)]);
                }
                1 => bytes.extend((0..next(12)).map(|_| next(256) as u8)),
                _ => bytes.extend_from_slice(PIECES[next(PIECES.len())].as_bytes()),
            }
        }
        let raw = String::from_utf8_lossy(&bytes);
        let shown = Shown::line(&raw);
        assert!(is_clean(shown.as_str()), "case {case}: {raw:?} → {shown:?}");
        assert_eq!(
            shown.width(),
            width_of(shown.as_str()),
            "case {case}: {raw:?}"
        );
        let escaped = Shown::escaped(&raw);
        assert!(
            is_clean(escaped.as_str()),
            "case {case}: {raw:?} → {escaped:?}"
        );
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2_000))]

    #[test]
    fn nothing_dangerous_is_left(raw in hostile()) {
        let shown = Shown::line(&raw);
        prop_assert!(is_clean(shown.as_str()), "{shown:?}");
        prop_assert_eq!(shown.width(), width_of(shown.as_str()));
        let again = Shown::line(shown.as_str());
        prop_assert_eq!(again.as_str(), shown.as_str(), "showing twice is showing once");
        for line in Shown::lines(&raw) {
            prop_assert!(is_clean(line.as_str()));
        }
        prop_assert!(is_clean(Shown::escaped(&raw).as_str()));
    }

    #[test]
    fn cutting_never_exceeds(raw in hostile(), width in 0_usize..30, offset in 0_usize..30) {
        let whole = Shown::line(&raw);
        let fitted = whole.clone().fit(width);
        prop_assert!(width_of(fitted.as_str()) <= width && fitted.width() == width_of(fitted.as_str()));
        let within = Shown::line_within(&raw, width);
        prop_assert_eq!(within.as_str(), fitted.as_str());
        let padded = whole.clone().padded(width);
        prop_assert_eq!(width_of(padded.as_str()), width);
        let window = whole.window(offset, width);
        prop_assert!(window.width() <= width && window.width() == width_of(window.as_str()));
    }

    #[test]
    fn columns_lie_within(raw in hostile(), from in 0_usize..60, length in 0_usize..20) {
        let columns = Shown::columns(&raw, std::slice::from_ref(&(from..from + length))).remove(0);
        prop_assert!(columns.start <= columns.end || length == 0);
        prop_assert!(columns.end <= Shown::line(&raw).width());
    }
}
