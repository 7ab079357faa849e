//! The console as somebody meets it: a fresh home, a configuration of two log files, a git
//! repository, and keys typed into a real terminal (specification, section 15).

use std::fs::OpenOptions;
use std::io::Write;
use std::path::PathBuf;

use chrono::{DateTime, TimeDelta, Utc};
use vt100::Screen;

use crate::git_source::{commit, git};
use crate::pty::{Pty, console};

/// A request that crosses the access log and the log of the application.
pub const BROKEN: &str = "7f3a9c0de1b24c5f8a6b7c8d9e0f1a2b";
/// One that only the application knows.
pub const WHOLE: &str = "1b24c5f87f3a9c0de6b7c8d9e0f1a2b8";

/// What the access log has of another year.
const OLD_ACCESS: &str = "\
192.0.2.54 - - [12/Mar/2011:21:04:26 +0000] \"GET /shop/opening HTTP/1.0\" 200 134 \"-\" \"Lantern/0.9\"
192.0.2.54 - - [12/Mar/2011:21:04:29 +0000] \"GET /shop/pictures/front.png HTTP/1.0\" 404 46210 \"-\" \"Lantern/0.9\"
192.0.2.54 - - [12/Mar/2011:21:04:29 +0000] \"GET /shop/pictures/door.png HTTP/1.0\" 200 78929 \"-\" \"Lantern/0.9\"
";

/// Records of the application's log at first, and lines of the access log.
const APP: usize = 24;
const ACCESS: usize = 5;

/// A machine on which nothing of the console was run yet.
pub struct Machine {
    pub home: tempfile::TempDir,
    now: DateTime<Utc>,
}

impl Machine {
    pub fn new() -> Self {
        let machine = Self {
            home: tempfile::tempdir().unwrap(),
            now: Utc::now(),
        };
        machine.write_logs();
        machine.write_repository();
        let logs = machine.logs();
        let config = machine.home.path().join(".config/atalaya/config.toml");
        std::fs::create_dir_all(config.parent().unwrap()).unwrap();
        let files = ["access.log", "shop.json"]
            .map(|name| format!("[[ingest.files]]\npath = '{}'\n", logs.join(name).display()));
        std::fs::write(
            &config,
            format!("[ingest]\ndiscover = false\n\n{}", files.join("\n")),
        )
        .unwrap();
        machine
    }

    fn logs(&self) -> PathBuf {
        self.home.path().join("logs")
    }

    /// So many seconds ago.
    pub fn ago(&self, seconds: i64) -> DateTime<Utc> {
        self.now - TimeDelta::seconds(seconds)
    }

    fn write_logs(&self) {
        std::fs::create_dir_all(self.logs()).unwrap();
        std::fs::write(self.logs().join("access.log"), OLD_ACCESS).unwrap();
        self.append_access(
            300,
            "GET /cart HTTP/1.1",
            200,
            "5e6f708192a3b4c5d6e7f8091a2b3c4d",
        );
        self.append_access(118, "POST /checkout HTTP/1.1", 502, BROKEN);
        let mut lines = Vec::new();
        for number in 0..16 {
            lines.push(self.line(
                600 - number * 20,
                "INFO",
                &format!("stock of article {number:02} read"),
                "",
            ));
        }
        lines.push(self.line(200, "WARNING", "payment provider is slow", WHOLE));
        lines.push(self.line(199, "INFO", "payment accepted", WHOLE));
        lines.push(self.line(120, "INFO", "checkout begins", BROKEN));
        lines.push(self.line(
            119,
            "ERROR",
            "payment provider closed the connection",
            BROKEN,
        ));
        lines.push(self.line(118, "INFO", "checkout ends with 502", BROKEN));
        lines.push(self.line(90, "ERROR", "mail could not be sent", ""));
        lines.push(self.line(60, "INFO", "cache warmed", ""));
        lines.push(self.line(30, "INFO", "health check passed", ""));
        assert_eq!(lines.len(), APP);
        std::fs::write(self.logs().join("shop.json"), lines.concat()).unwrap();
    }

    /// One line of the application's log.
    pub fn line(&self, seconds_ago: i64, level: &str, message: &str, request: &str) -> String {
        let mut line = serde_json::json!({
            "timestamp": self.ago(seconds_ago).to_rfc3339(),
            "level": level,
            "logger": "shop.checkout",
            "message": message,
        });
        if !request.is_empty() {
            line["request_id"] = request.into();
        }
        format!("{line}\n")
    }

    pub fn append(&self, name: &str, text: &str) {
        let mut file = OpenOptions::new()
            .append(true)
            .open(self.logs().join(name))
            .unwrap();
        file.write_all(text.as_bytes()).unwrap();
    }

    fn append_access(&self, seconds_ago: i64, request: &str, status: u16, id: &str) {
        let stamp = self.ago(seconds_ago).format("%d/%b/%Y:%H:%M:%S %z");
        let line = format!(
            "192.0.2.7 - - [{stamp}] \"{request}\" {status} 512 \"-\" \"curl/8.5.0\" {id}\n"
        );
        self.append("access.log", &line);
    }

    /// As a service that is running does: a record of this moment.
    pub fn append_now(&self, message: &str) {
        let seconds = (self.now - Utc::now()).num_seconds();
        self.append("shop.json", &self.line(seconds, "INFO", message, ""));
    }

    pub fn repository(&self) -> PathBuf {
        self.home.path().join("shop")
    }

    /// Two versions: nine and four days ago.
    fn write_repository(&self) {
        let shop = self.repository();
        // The helper counts hours from its own day.
        let today = (self.now.timestamp() - crate::git_source::EPOCH) / 3_600;
        let days = |days: i64| today - days * 24;
        git(self.home.path(), days(11), &["init", "--quiet", "shop"]);
        commit(&shop, days(10), "The shop opens");
        git(&shop, days(9), &["tag", "-a", "v1.0.0", "-m", "first"]);
        commit(&shop, days(6), "Pay by card");
        commit(&shop, days(5), "Mail the invoice");
        git(&shop, days(4), &["tag", "-a", "v1.1.0", "-m", "second"]);
    }

    pub fn open(&self, rows: u16, cols: u16) -> Pty {
        self.open_with(rows, cols, |_| {})
    }

    pub fn open_with(
        &self,
        rows: u16,
        cols: u16,
        change: impl Fn(&mut portable_pty::CommandBuilder),
    ) -> Pty {
        let mut command = console(self.home.path());
        command.cwd(self.repository());
        command.env("TZ", "UTC");
        change(&mut command);
        Pty::start(command, rows, cols)
    }
}

/// The rows of the screen that hold `text`.
pub fn rows_with(screen: &Screen, text: &str) -> Vec<String> {
    screen
        .contents()
        .lines()
        .filter(|row| row.contains(text))
        .map(str::to_owned)
        .collect()
}

/// The row of the list that has the cursor holds `text`.
pub fn cursor_on(screen: &Screen, text: &str) -> bool {
    screen
        .contents()
        .lines()
        .any(|row| row.starts_with(['▸', '◈']) && row.contains(text))
}

/// Types `keys` and waits until the row under the cursor holds `text`.
#[track_caller]
pub fn moves_to(pty: &mut Pty, keys: &str, text: &str) {
    pty.send(keys);
    pty.wait(&format!("{keys} to lead to `{text}`"), |screen| {
        cursor_on(screen, text)
    });
}

/// Types `keys` and waits for `text`.
#[track_caller]
pub fn shows(pty: &mut Pty, keys: &str, text: &str) {
    pty.send(keys);
    pty.wait_for_text(text);
}

/// The console with every record of both files on its screen, at its newest end.
#[track_caller]
pub fn opened(machine: &Machine) -> Pty {
    let pty = machine.open(40, 120);
    let all = format!("row {0} of {0}", APP + ACCESS);
    pty.wait_for_text(&all);
    pty.wait_for_text("● following");
    pty
}

#[test]
fn a_first_run_shows_the_configured_files_and_the_deployments_of_the_repository() {
    let machine = Machine::new();
    let mut pty = machine.open(40, 120);

    // It opens on the logs: both files, in the order of time, the newest under the cursor.
    pty.wait("the records of both files", |screen| {
        let text = screen.contents();
        text.contains("stock of article 00 read")
            && text.contains("GET /shop/pictures/front.png")
            && cursor_on(screen, "health check passed")
    });
    let checkout = pty.look(|screen| {
        rows_with(screen, &BROKEN[..11])
            .iter()
            .map(|row| row.contains("access"))
            .collect::<Vec<_>>()
    });
    assert_eq!(
        checkout,
        [false, false, true, false],
        "a request through both files, in the order of time"
    );

    shows(&mut pty, "1", "S reads its deployments");
    shows(&mut pty, "S", "shop@v1.1.0");
    pty.wait("the frequency and both deployments", |screen| {
        screen.contents().contains("shop@v1.0.0") && screen.contents().contains("2.0/month n 2")
    });
    let frequency = pty.look(|screen| {
        let text = screen.contents();
        let at = text
            .lines()
            .position(|row| row.contains("Deployment frequency"))
            .unwrap();
        text.lines()
            .nth(at + 1)
            .unwrap()
            .chars()
            .take(25)
            .collect::<String>()
    });
    assert!(!frequency.contains("N/A"), "{frequency}");

    shows(&mut pty, "3", "Ingest · 2 files");
    for (file, records) in [("access.log", ACCESS), ("shop.json", APP)] {
        pty.wait(
            &format!("{file} to be live with its {records} records"),
            |screen| {
                rows_with(screen, file).iter().any(|row| {
                    row.trim_start().starts_with("live")
                        && row.split_whitespace().nth(3) == Some(&records.to_string())
                })
            },
        );
    }

    pty.send("2");
    pty.wait_for_text("● following");
    machine.append_now("an order came in while somebody watched");
    pty.wait("the new record, under the cursor", |screen| {
        cursor_on(screen, "an order came in while somebody watched")
    });
    shows(&mut pty, "3", "30 records stored by this run");
    pty.send(":q\r");
    assert!(pty.ended().success());
    pty.assert_restored();
}

#[test]
fn the_keys_of_the_logs_do_what_help_says() {
    let machine = Machine::new();
    let mut pty = opened(&machine);

    // A filter that is wrong says so and changes nothing; one that is right filters.
    shows(&mut pty, "flevel:loud\r", " ! ");
    pty.wait("the list to stay", |screen| {
        screen.contents().contains("stock of article 00 read")
    });
    pty.send("\x1b");
    pty.wait_until_gone("level:loud");
    pty.wait_for_text("· all records");
    shows(&mut pty, "flevel>=error\r", "row 3 of 3");
    pty.wait_until_gone("stock of article");
    pty.send("\x1b");
    pty.wait_for_text("row 29 of 29");

    // Search hides nothing and counts.
    shows(&mut pty, "/payment\r", "/3 /payment");
    let neighbours = pty.look(|screen| screen.contents().contains("stock of article 15 read"));
    assert!(neighbours, "the neighbours of a hit stay in sight");
    moves_to(&mut pty, "g", "GET /shop/opening");
    pty.wait_for_text("-/3 /payment");
    for (keys, counter, text) in [
        ("n", "1/3 /payment", "payment provider is slow"),
        ("n", "2/3 /payment", "payment accepted"),
        ("n", "3/3 /payment", "payment provider closed"),
        ("N", "2/3 /payment", "payment accepted"),
    ] {
        moves_to(&mut pty, keys, text);
        pty.wait_for_text(counter);
    }
    pty.send("\x1b");
    pty.wait_until_gone("/payment");

    // By level and by request.
    moves_to(&mut pty, "e", "payment provider closed");
    moves_to(&mut pty, "e", "POST /checkout");
    moves_to(&mut pty, "e", "mail could not be sent");
    moves_to(&mut pty, "E", "POST /checkout");
    moves_to(&mut pty, "W", "payment provider is slow");
    moves_to(&mut pty, "o", "payment accepted");
    moves_to(&mut pty, "e", "payment provider closed");

    // Details, and one level back.
    shows(&mut pty, "\r", "shop.checkout");
    pty.wait_for_text(BROKEN);
    pty.send("\x1b");
    pty.wait_until_gone("shop.checkout");

    // The trace crosses both files.
    pty.send("t");
    pty.wait("the trace with the records of both files", |screen| {
        screen.contents().contains(BROKEN)
            && [
                "checkout begins",
                "POST /checkout",
                "checkout ends with 502",
            ]
            .iter()
            .all(|text| screen.contents().contains(text))
            && !screen.contents().contains("mail could not be sent")
    });
    pty.send("\x1b");
    pty.wait_for_text("mail could not be sent");
    pty.wait("the place from which the trace was opened", |screen| {
        cursor_on(screen, "payment provider closed")
    });

    shows(&mut pty, "r", "of 4");
    pty.wait_until_gone("mail could not be sent");
    pty.send("\x1b");
    pty.wait_for_text("mail could not be sent");

    // Bookmarks.
    moves_to(&mut pty, "G", "health check passed");
    moves_to(&mut pty, "E", "mail could not be sent");
    shows(&mut pty, "m", "bookmarked; 1 in all");
    moves_to(&mut pty, "g", "GET /shop/opening");
    shows(&mut pty, "m", "bookmarked; 2 in all");
    moves_to(&mut pty, "u", "mail could not be sent");
    moves_to(&mut pty, "U", "GET /shop/opening");
    moves_to(&mut pty, "U", "mail could not be sent");

    // The histogram has three sizes and comes back to the first.
    let rows = |pty: &Pty| {
        pty.look(|screen| {
            screen
                .contents()
                .lines()
                .position(|row| row.contains("· all records"))
                .unwrap()
        })
    };
    let first = rows(&pty);
    let mut sizes = vec![first];
    for _ in 0..3 {
        let before = *sizes.last().unwrap();
        pty.send("i");
        pty.wait("another size of the histogram", |screen| {
            screen
                .contents()
                .lines()
                .position(|row| row.contains("· all records"))
                .is_some_and(|row| row != before)
        });
        sizes.push(rows(&pty));
    }
    assert_eq!(sizes[3], first, "{sizes:?}");
    assert!(
        sizes.contains(&1),
        "hidden, the list begins under the header: {sizes:?}"
    );

    // Help is built from the key map; Esc closes it.
    shows(&mut pty, "?", "Keys of this screen");
    pty.wait_for_text("trace of the request under the cursor");
    pty.send("\x1b");
    pty.wait_until_gone("Keys of this screen");

    // The zone of the times.
    shows(&mut pty, "L", " UTC ");
    pty.send("q");
    assert!(pty.ended().success());
    pty.assert_restored();
}

#[test]
fn a_paused_list_stays_and_counts_what_comes() {
    let machine = Machine::new();
    let mut pty = opened(&machine);
    shows(&mut pty, " ", "‖ paused");
    // With their places: the list has room left, and not even that may shift them.
    let places = |screen: &Screen| -> Vec<(usize, String)> {
        let text = screen.contents();
        let rows = text
            .lines()
            .map(|row| row.trim_end().to_owned())
            .enumerate();
        rows.filter(|(_, row)| row.contains("app/json") && !row.contains("late record"))
            .collect()
    };
    let before = pty.look(places);
    assert_eq!(before.len(), APP);
    for number in 0..3 {
        machine.append_now(&format!("late record {number}"));
    }
    pty.wait_for_text("‖ paused, 3 new");
    assert_eq!(
        pty.look(places),
        before,
        "nothing moves while somebody reads"
    );
    pty.send("G");
    pty.wait("the newest record", |screen| {
        cursor_on(screen, "late record 2")
    });
    pty.wait_for_text("● following");
    pty.wait_for_text("late record 0");
    pty.send(":q\r");
    assert!(pty.ended().success());
}

#[test]
fn tab_filter_and_theme_are_kept_between_runs() {
    let machine = Machine::new();
    let mut pty = opened(&machine);
    let colours = |screen: &Screen| {
        let cell = screen.cell(0, 1).unwrap();
        (cell.fgcolor(), cell.bgcolor())
    };
    let dark = pty.look(colours);
    pty.send(":theme light\r");
    pty.wait("other colours", |screen| colours(screen) != dark);
    let light = pty.look(colours);
    assert!(
        !colour_codes(&pty.bytes()).is_empty(),
        "with colours there are codes to be found"
    );
    shows(&mut pty, "flevel>=error\r", "row 3 of 3");
    shows(&mut pty, "3", "Ingest · 2 files");
    pty.send("q");
    assert!(pty.ended().success());

    let mut pty = machine.open(40, 120);
    pty.wait_for_text("Ingest · 2 files");
    assert_eq!(pty.look(colours), light, "the theme");
    shows(&mut pty, "2", "· level>=error");
    pty.wait_for_text("row 3 of 3");
    assert!(!pty.text().contains("stock of article"));
    pty.send(":q\r");
    assert!(pty.ended().success());
}

#[test]
fn without_colour_the_selection_is_still_seen() {
    let machine = Machine::new();
    let mut pty = machine.open_with(40, 120, |command| command.env("NO_COLOR", "1"));
    pty.wait_for_text("● following");
    moves_to(&mut pty, "E", "mail could not be sent");
    pty.wait("the row under the cursor to be reversed", |screen| {
        let row = screen
            .contents()
            .lines()
            .position(|row| row.starts_with('▸'));
        row.and_then(|row| screen.cell(u16::try_from(row).unwrap(), 50))
            .is_some_and(vt100::Cell::inverse)
    });
    for (tab, text) in [
        ("1", "S reads its deployments"),
        ("S", "shop@v1.1.0"),
        ("3", "Ingest · 2 files"),
        ("4", "0 cycles"),
        ("2", "mail could not be sent"),
    ] {
        shows(&mut pty, tab, text);
    }
    shows(&mut pty, "?", "Keys of this screen");
    pty.send("\x1b");
    pty.wait_until_gone("Keys of this screen");
    pty.send(":q\r");
    assert!(pty.ended().success());
    let bytes = pty.bytes();
    let coloured: Vec<String> = colour_codes(&bytes);
    assert!(coloured.is_empty(), "{coloured:?}");
    assert!(
        String::from_utf8_lossy(&bytes).contains("\x1b["),
        "it drew something"
    );
}

/// The SGR sequences that set a colour other than the terminal's own.
fn colour_codes(bytes: &[u8]) -> Vec<String> {
    let sgr = regex::bytes::Regex::new(r"\x1b\[([0-9;:]*)m").unwrap();
    let sets_colour = |codes: &str| {
        codes
            .split([';', ':'])
            .filter_map(|code| code.parse::<u16>().ok())
            .any(|code| matches!(code, 30..=38 | 40..=48 | 58 | 90..=97 | 100..=107))
    };
    sgr.captures_iter(bytes)
        .map(|found| String::from_utf8_lossy(&found[1]).into_owned())
        .filter(|codes| sets_colour(codes))
        .collect()
}
