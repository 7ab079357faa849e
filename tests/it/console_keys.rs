//! Every key of the console, typed into a real terminal on real files: what it does is seen.
//!
//! [`DRIVEN`] names the test that drives each key; a key of the key map that no row names fails, so
//! that none is added without being driven.

use std::collections::{BTreeMap, BTreeSet};
use std::process::{Command, Stdio};

use atalaya::tui::registry::keymap;
use atalaya::tui::tabs::TABS;
use base64::Engine as _;
use vt100::Screen;

use crate::console_first_run::{BROKEN, Machine, WHOLE, cursor_on, moves_to, opened, shows};
use crate::pty::Pty;

const UP: &str = "\x1b[A";
const DOWN: &str = "\x1b[B";
const RIGHT: &str = "\x1b[C";
const LEFT: &str = "\x1b[D";
const HOME: &str = "\x1b[H";
const END: &str = "\x1b[F";
const PAGE_UP: &str = "\x1b[5~";
const PAGE_DOWN: &str = "\x1b[6~";
const DELETE: &str = "\x1b[3~";
const F2: &str = "\x1bOQ";
const F5: &str = "\x1b[15~";
const SHIFT_TAB: &str = "\x1b[Z";
const CTRL_B: &str = "\x02";
const CTRL_C: &str = "\x03";
const CTRL_D: &str = "\x04";
const CTRL_F: &str = "\x06";
const CTRL_L: &str = "\x0c";
const CTRL_R: &str = "\x12";
const CTRL_S: &str = "\x13";
const CTRL_U: &str = "\x15";
const ESC: &str = "\x1b";

/// Scope, keys separated by blanks, and the test that types them.
const DRIVEN: &[(&str, &str, &str)] = &[
    (
        "Moving",
        "j Down k Up Ctrl-d Ctrl-u PgDn PgUp Ctrl-f Ctrl-b g G Home End",
        "console_keys::the_list_is_moved_through",
    ),
    (
        "Moving",
        "h l Left Right Enter",
        "console_keys::the_list_is_moved_through",
    ),
    (
        "Logs",
        "f / n N e E W t r o m u U i",
        "console_first_run::the_keys_of_the_logs_do_what_help_says",
    ),
    (
        "Logs",
        "Space",
        "console_first_run::a_paused_list_stays_and_counts_what_comes",
    ),
    (
        "Logs",
        "w O p c F T z Z < > x y Y",
        "console_keys::the_list_is_looked_into",
    ),
    (
        "Logs",
        "P b B",
        "console_keys::messages_are_folded_and_queries_kept",
    ),
    (
        "Saved queries",
        "x Del",
        "console_keys::messages_are_folded_and_queries_kept",
    ),
    ("Details", "f", "console_keys::the_list_is_looked_into"),
    (
        "Trace",
        "s S a / n N y Y",
        "console_keys::a_trace_is_walked_through",
    ),
    (
        "DORA",
        "d D S x f t w y X",
        "console_keys::a_figure_is_followed_to_its_records",
    ),
    (
        "Infra",
        "f x H R",
        "console_keys::a_file_leads_to_its_records",
    ),
    (
        "Alerts",
        "a A s t d x",
        "console_alerts::an_alert_is_explained_followed_acknowledged_and_silenced",
    ),
    (
        "PDCA",
        "a e s c D t",
        "console_keys::a_cycle_is_planned_edited_started_checked_and_decided",
    ),
    (
        "Everywhere",
        "1 2 3 4 5 Tab Shift-Tab Esc q [ ] : ? L",
        "console_keys::keys_that_hold_everywhere",
    ),
    (
        "Everywhere",
        "F5 Ctrl-r",
        "console_keys::a_figure_is_followed_to_its_records",
    ),
    (
        "Everywhere",
        "F2 Ctrl-l Ctrl-c",
        "console_keys::keys_that_hold_everywhere",
    ),
    (
        "Everywhere",
        "Ctrl-z",
        "console_terminal::a_shell_stops_it_and_brings_it_back_fifty_times",
    ),
];

#[test]
fn every_key_of_the_key_map_is_driven() {
    let keymap = keymap(TABS, &BTreeMap::new()).unwrap();
    let mut bound = BTreeSet::new();
    for scope in keymap.scopes() {
        // Each by itself: an inner scope hides keys of an outer one.
        for (of, lines) in keymap.help(&[scope]) {
            for key in lines.iter().flat_map(|(keys, _)| keys.split(' ')) {
                bound.insert((of.title(), key.to_owned()));
            }
        }
    }
    let driven: BTreeSet<(&str, String)> = DRIVEN
        .iter()
        .flat_map(|(scope, keys, _)| keys.split(' ').map(|key| (*scope, key.to_owned())))
        .collect();
    let missing: Vec<_> = bound.difference(&driven).collect();
    assert!(missing.is_empty(), "no test types {missing:?}");
    // A key that two inner scopes hide from Everywhere is still typed there.
    let gone: Vec<_> = driven.difference(&bound).collect();
    assert!(gone.is_empty(), "no such key: {gone:?}");
    for (_, _, test) in DRIVEN {
        let (module, name) = test.split_once("::").unwrap();
        let path = format!("{}/tests/it/{module}.rs", env!("CARGO_MANIFEST_DIR"));
        let text = std::fs::read_to_string(path).unwrap();
        assert!(
            text.contains(&format!("#[test]\nfn {name}()")),
            "{test} is gone"
        );
    }
}

/// The row of the list that has the cursor, of how many.
fn row_of(screen: &Screen) -> Option<(usize, usize)> {
    let text = screen.contents();
    let at = text.find("row ")?;
    let mut words = text[at..].split_whitespace().skip(1);
    let row = words.next()?.parse().ok()?;
    words.next().filter(|word| *word == "of")?;
    Some((row, words.next()?.trim_end_matches('+').parse().ok()?))
}

/// Types `keys` and waits until the cursor is on a row that `wanted` takes; returns it.
#[track_caller]
fn row_after(pty: &mut Pty, keys: &str, wanted: impl Fn(usize) -> bool) -> usize {
    pty.send(keys);
    pty.wait(&format!("{keys:?} to move the cursor"), |screen| {
        row_of(screen).is_some_and(|(row, _)| wanted(row))
    });
    pty.look(row_of).unwrap().0
}

/// Types `keys` and waits until `text` is gone.
#[track_caller]
fn hides(pty: &mut Pty, keys: &str, text: &str) {
    pty.send(keys);
    pty.wait_until_gone(text);
}

/// What the last OSC 52 sequence put into the clipboard.
fn clipboard(pty: &Pty) -> String {
    let bytes = pty.bytes();
    let start = memchr::memmem::rfind(&bytes, b"\x1b]52;c;").expect("an OSC 52 sequence") + 7;
    let length = bytes[start..]
        .iter()
        .position(|&byte| byte == 0x07)
        .expect("its end");
    let decoded = base64::engine::general_purpose::STANDARD
        .decode(&bytes[start..start + length])
        .unwrap();
    String::from_utf8(decoded).unwrap()
}

fn quit(mut pty: Pty) {
    pty.send(":q\r");
    assert!(pty.ended().success());
    pty.assert_restored();
}

/// A small terminal on the machine's files, with every record read.
fn small(machine: &Machine) -> Pty {
    let pty = machine.open(24, 80);
    pty.wait_for_text("row 29 of 29");
    pty.wait_for_text("● following");
    pty
}

#[test]
fn the_list_is_moved_through() {
    let machine = Machine::new();
    let mut pty = small(&machine);
    let is = |wanted: usize| move |row: usize| row == wanted;
    row_after(&mut pty, "g", is(1));
    row_after(&mut pty, "j", is(2));
    row_after(&mut pty, DOWN, is(3));
    row_after(&mut pty, "k", is(2));
    row_after(&mut pty, UP, is(1));
    let half = row_after(&mut pty, CTRL_D, |row| row > 2);
    row_after(&mut pty, CTRL_U, is(1));
    let page = row_after(&mut pty, PAGE_DOWN, |row| row > half);
    row_after(&mut pty, PAGE_UP, is(1));
    row_after(&mut pty, CTRL_F, is(page));
    row_after(&mut pty, CTRL_B, is(1));
    row_after(&mut pty, "G", is(29));
    pty.wait_for_text("● following");
    row_after(&mut pty, HOME, is(1));
    pty.wait_for_text("‖ paused");
    row_after(&mut pty, END, is(29));
    row_after(&mut pty, "gg", is(1));

    // To the side; what is read stays there when new records come.
    pty.wait_for_text("stock of article 00 read");
    for (there, back) in [("l", "h"), (RIGHT, LEFT)] {
        hides(&mut pty, there, "stock of article 00");
        pty.wait_for_text("icle 00 read");
        machine.append_now("something new");
        pty.wait("a record to be counted", |screen| {
            screen.contents().contains("paused, ")
        });
        pty.wait_for_text("icle 00 read");
        shows(&mut pty, back, "stock of article 00 read");
    }
    moves_to(&mut pty, "jjj", "stock of article 00 read");
    shows(&mut pty, "\r", "shop.checkout");
    quit(pty);
}

/// R33: copies are safe.
#[test]
fn the_list_is_looked_into() {
    let machine = Machine::new();
    let mut pty = opened(&machine);
    moves_to(&mut pty, "g", "GET /shop/opening");
    moves_to(&mut pty, "w", "front.png");
    moves_to(&mut pty, "w", "payment provider is slow");
    shows(&mut pty, "w", "no warning after this one");
    // The records of one request, forwards and backwards.
    moves_to(&mut pty, "o", "payment accepted");
    moves_to(&mut pty, "O", "payment provider is slow");

    // Details beside the list, which keeps the keys; the panels change with Tab.
    shows(&mut pty, "p", "Details · ");
    moves_to(&mut pty, "j", "payment accepted");
    pty.wait("the details of the next record", |screen| {
        screen.contents().matches("payment accepted").count() > 1
    });
    // In the details, the field under the cursor goes into the filter.
    shows(&mut pty, "\t", "Tab panel");
    shows(&mut pty, "gjjjf", "filter source:app/json");
    pty.send(ESC);
    pty.wait("the prompt to go", |screen| {
        !screen
            .contents()
            .lines()
            .last()
            .unwrap()
            .trim_start()
            .starts_with("filter ")
    });
    hides(&mut pty, "p", "Details · ");

    // Neighbours of a record in spite of a filter.
    shows(&mut pty, "flevel:warning payment\r", "row 1 of 1");
    pty.wait_until_gone("payment accepted");
    shows(&mut pty, "c", "Context of ");
    pty.wait_for_text("payment accepted");
    // The whole frame: what is waited for next stands in the one before.
    pty.wait_until_gone("row 1 of 1");
    shows(&mut pty, ESC, "row 1 of 1");
    shows(&mut pty, "x", "row 29 of 29");

    // Follow off and on.
    pty.wait_for_text("● following");
    shows(&mut pty, "F", "‖ paused");
    shows(&mut pty, "F", "● following");

    // A time: the nearest records are under the cursor, and the list stands still there.
    shows(&mut pty, "T", "14:32 · 14:32:07");
    pty.send("-150s\r");
    pty.wait("the records of that time", |screen| {
        ["payment accepted", "checkout begins"]
            .iter()
            .any(|text| cursor_on(screen, text))
    });
    pty.wait_for_text("‖ paused");

    // The range of the histogram.
    pty.wait_for_text(" a bar ");
    let range = |screen: &Screen| {
        screen
            .contents()
            .lines()
            .find(|line| line.contains(" a bar "))
            .map(|line| line.split(" a bar ").next().unwrap().trim().to_owned())
    };
    let first = pty.look(range);
    for (there, back) in [("z", "Z"), ("<", ">")] {
        pty.send(there);
        pty.wait(&format!("{there} to change the range"), |screen| {
            range(screen).is_some_and(|now| Some(now) != first)
        });
        let moved = pty.look(range);
        pty.send(back);
        pty.wait(&format!("{back} to change it back"), |screen| {
            range(screen).is_some_and(|now| Some(now) != moved)
        });
        pty.send("ii");
        pty.send("i");
    }

    // Copies: the record, and the note with its neighbours.
    moves_to(&mut pty, "G", "health check passed");
    moves_to(&mut pty, "E", "mail could not be sent");
    shows(&mut pty, "y", "the record copied to the clipboard");
    assert!(clipboard(&pty).contains("mail could not be sent"));
    assert!(!clipboard(&pty).contains("checkout begins"));
    shows(&mut pty, "Y", "the incident note copied");
    let note = clipboard(&pty);
    assert!(
        note.starts_with('#')
            && note.contains("mail could not be sent")
            && note.contains("checkout begins"),
        "{note}"
    );
    quit(pty);
}

#[test]
fn messages_are_folded_and_queries_kept() {
    let machine = Machine::new();
    let mut pty = opened(&machine);
    shows(&mut pty, "P", "Patterns · ");
    pty.wait_for_text("16 I ");
    pty.wait_for_text("stock of article <n> read");
    pty.wait_for_text("pattern 1 of ");
    shows(&mut pty, "j", "pattern 2 of ");
    shows(&mut pty, "k", "pattern 1 of ");
    // Enter shows its records.
    shows(&mut pty, "\r", "row 16 of 16");
    pty.wait_until_gone("mail could not be sent");
    shows(&mut pty, "B", "save the filter as");
    shows(&mut pty, "stock\r", "query `stock` saved");
    shows(&mut pty, "x", "row 29 of 29");
    shows(&mut pty, "flevel>=error\r", "row 3 of 3");
    shows(
        &mut pty,
        ":save the bad ones\r",
        "query `the bad ones` saved",
    );
    shows(&mut pty, ESC, "row 29 of 29");
    shows(&mut pty, "b", "Saved queries, then earlier filters");
    pty.wait_for_text("the bad ones");
    moves_to(&mut pty, "j", "the bad ones");
    moves_to(&mut pty, "k", "stock");
    shows(&mut pty, "\r", "row 16 of 16");
    quit(pty);

    // Kept between runs; removed only after a yes.
    let mut pty = machine.open(40, 120);
    pty.wait_for_text("row 16 of 16");
    shows(&mut pty, "b", "the bad ones");
    shows(&mut pty, "x", "Remove the saved query `stock`?");
    shows(&mut pty, "n", "not done");
    pty.wait_for_text("stock ");
    shows(&mut pty, DELETE, "Remove the saved query `stock`?");
    shows(&mut pty, "y", "removed");
    pty.wait("the other one under the cursor", |screen| {
        cursor_on(screen, "the bad ones")
    });
    shows(&mut pty, ESC, "row 16 of 16");
    quit(pty);
}

#[test]
fn a_trace_is_walked_through() {
    let machine = Machine::new();
    let slow = "0e1f2a3b4c5d6e7f8091a2b3c4d5e6f7";
    for (seconds, text) in [
        (410, "order begins"),
        (405, "order waits"),
        (400, "order ends"),
    ] {
        machine.append("shop.json", &machine.line(seconds, "INFO", text, slow));
    }
    let mut pty = machine.open(40, 120);
    pty.wait_for_text("row 32 of 32");
    shows(&mut pty, &format!(":req {slow}\r"), "order ends");
    pty.wait_for_text("2 gaps");
    pty.send("g");
    pty.wait_for_text("row 1 of 3");
    shows(&mut pty, "s", "row 2 of 3");
    shows(&mut pty, "s", "row 3 of 3");
    shows(&mut pty, "S", "row 2 of 3");
    shows(&mut pty, "/order\r", "/3 /order");
    pty.wait_for_text("2/3 /order");
    shows(&mut pty, "n", "3/3 /order");
    shows(&mut pty, "N", "2/3 /order");
    shows(&mut pty, "y", "the record copied");
    assert!(clipboard(&pty).contains("order waits"));
    shows(&mut pty, "Y", "the incident note copied");
    assert!(clipboard(&pty).contains("order begins") && clipboard(&pty).contains("order ends"));
    shows(&mut pty, "a", "add request id");
    shows(&mut pty, &format!("{WHOLE}\r"), "payment accepted");
    pty.wait_for_text("of 5");
    pty.send(ESC);
    pty.wait_until_gone("payment accepted");
    quit(pty);
}

/// Runs the command line on the console's own stores.
fn atalaya(machine: &Machine, arguments: &[&str]) {
    let mut command = Command::new(env!("CARGO_BIN_EXE_atalaya"));
    command
        .args(arguments)
        .current_dir(machine.repository())
        .env("HOME", machine.home.path());
    for name in ["XDG_CONFIG_HOME", "XDG_DATA_HOME", "XDG_STATE_HOME"] {
        command.env_remove(name);
    }
    let output = command.stdin(Stdio::null()).output().unwrap();
    assert!(
        output.status.success(),
        "{arguments:?}: {}",
        String::from_utf8_lossy(&output.stderr)
    );
}

fn record(machine: &Machine, phase: &str, decision: &str, cycle: &str, more: &[&str]) {
    let mut arguments = vec![
        "dora",
        "record",
        "--feature",
        "FEAT-1",
        "--phase",
        phase,
        "--decision",
        decision,
        "--cycle",
        cycle,
        "--service",
        "pay",
    ];
    arguments.extend(more);
    atalaya(machine, &arguments);
}

#[test]
fn a_figure_is_followed_to_its_records() {
    let machine = Machine::new();
    record(&machine, "testing", "go", "c-7", &["--duration", "12m"]);
    record(
        &machine,
        "deployment",
        "success",
        "c-7",
        &["--duration", "95s", "--request-id", BROKEN],
    );
    let mut pty = opened(&machine);
    shows(&mut pty, "1", "c-7/deployment#1");
    // The repository here is new to the store: it is read when somebody says so.
    pty.wait_for_text("S reads its deployments");
    shows(&mut pty, "S", "shop@v1.1.0");
    pty.wait_for_text("30 days");
    shows(&mut pty, "D", "this window has deployments");

    // The window goes round.
    shows(&mut pty, "d", "90 days");
    shows(&mut pty, "d", "7 days");
    shows(&mut pty, "d", "30 days");

    // A deployment with its cycle; back and forward in the history.
    shows(&mut pty, "g\r", "Deployment c-7/deployment#1");
    pty.wait_for_text("Cycle c-7");
    pty.wait_for_text("testing");
    hides(&mut pty, "[", "Cycle c-7");
    shows(&mut pty, "]", "Cycle c-7");
    hides(&mut pty, ESC, "Cycle c-7");
    shows(&mut pty, "j\r", "Deployment shop@v1.1.0");
    hides(&mut pty, "q", "Deployment shop@v1.1.0");

    // The number explains itself: of the card that has the cursor.
    shows(
        &mut pty,
        "x",
        "Deployment frequency: where the number comes from",
    );
    pty.wait_for_text("The rule");
    hides(&mut pty, ESC, "The rule");
    shows(
        &mut pty,
        "lx",
        "Change lead time: where the number comes from",
    );
    hides(&mut pty, ESC, "The rule");
    shows(
        &mut pty,
        "hx",
        "Deployment frequency: where the number comes from",
    );
    hides(&mut pty, ESC, "The rule");
    // Tab changes between the cards and the deployments.
    shows(&mut pty, "\t\r", "Deployment shop@v1.1.0");
    hides(&mut pty, ESC, "Deployment shop@v1.1.0");
    shows(&mut pty, "w", "Weekly review");
    hides(&mut pty, ESC, "Weekly review");

    // To the records of its request, and back.
    shows(&mut pty, "gt", "checkout begins");
    pty.wait_for_text("POST /checkout");
    // The whole of it is drawn: what is typed now does not meet what is looked for.
    pty.wait_until_gone("c-7/deployment#1");
    shows(&mut pty, ESC, "c-7/deployment#1");

    // Of one service only.
    shows(&mut pty, "f", "show ");
    shows(&mut pty, "\x15service:shop\r", "shop, production");
    pty.wait_until_gone("c-7/deployment#1");
    pty.send("f");
    pty.wait_for_text("show service:shop");
    shows(&mut pty, "\x15env:production\r", "c-7/deployment#1");

    shows(&mut pty, "gy", "the deployment's id copied");
    assert_eq!(clipboard(&pty), "c-7/deployment#1");
    shows(&mut pty, "X", "write to dora-");
    shows(&mut pty, "\r", "wrote dora-");
    let report = std::fs::read_dir(machine.repository())
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .find(|path| path.extension().is_some_and(|extension| extension == "md"))
        .expect("the report");
    let report = std::fs::read_to_string(report).unwrap();
    assert!(
        report.contains("Deployment frequency") && report.contains("c-7"),
        "{report}"
    );

    // What others record is there when it is read again.
    for (key, cycle) in [(CTRL_R, "c-8"), (F5, "c-9")] {
        record(
            &machine,
            "deployment",
            "success",
            cycle,
            &["--duration", "5s"],
        );
        shows(&mut pty, key, &format!("{cycle}/deployment#1"));
    }
    quit(pty);
}

#[test]
fn a_file_leads_to_its_records() {
    let machine = Machine::new();
    let mut pty = opened(&machine);
    shows(&mut pty, "3", "Ingest · 2 files");
    pty.wait_for_text("shop.json");
    shows(&mut pty, "j\r", "Account of the file");
    pty.wait_for_text("shop.json");
    pty.wait_for_text("app/json");
    hides(&mut pty, ESC, "Account of the file");
    // What was measured explains itself.
    pty.wait_for_text("SQLite in");
    shows(&mut pty, "x", "What was checked");
    hides(&mut pty, ESC, "What was checked");
    shows(&mut pty, "f", "· source:app/json");
    pty.wait_for_text("row 24 of 24");
    pty.wait_until_gone("GET /cart");
    // Esc leads back to where it was opened.
    shows(&mut pty, ESC, "Ingest · 2 files");

    // The measures over time, and a job that runs because somebody says so.
    shows(&mut pty, "H", "Measures of the last 24 hours");
    shows(&mut pty, "H", "Measures of the last 7 days");
    hides(&mut pty, ESC, "Measures of the last");
    pty.wait_for_text("health_sample");
    pty.send("\t");
    shows(&mut pty, "R", "run alerts now?");
    shows(&mut pty, "n", "not done");
    shows(&mut pty, "R", "run alerts now?");
    shows(&mut pty, "y", "alerts runs as soon as");
    shows(&mut pty, "\r", "Job alerts");
    pty.wait_for_text("(request)");
    hides(&mut pty, ESC, "Job alerts");
    quit(pty);
}

#[test]
fn a_cycle_is_planned_edited_started_checked_and_decided() {
    let machine = Machine::new();
    let mut pty = opened(&machine);
    shows(&mut pty, "4", "0 cycles");
    // Esc in a form that was written into asks first.
    shows(&mut pty, "a", "New cycle");
    shows(&mut pty, "x", "> title      x");
    shows(&mut pty, ESC, "Throw away what was written here?");
    shows(&mut pty, "n", "not done");
    shows(&mut pty, ESC, "Throw away");
    hides(&mut pty, "y", "New cycle");

    shows(&mut pty, "a", "New cycle");
    pty.send("Smaller changes\tSmall ones wait less.\rThey are read sooner.\tAt most 200 lines\t");
    shows(&mut pty, "25\tshop\tana\t", "> metric");
    let metric = |screen: &Screen| {
        screen
            .contents()
            .lines()
            .find(|line| line.contains("> metric"))
            .map(str::to_owned)
    };
    let before = pty.look(metric);
    pty.send(RIGHT);
    pty.wait("another metric", |screen| {
        metric(screen) != before && metric(screen).is_some()
    });
    pty.send(LEFT);
    pty.wait("the first metric again", |screen| metric(screen) == before);
    shows(&mut pty, SHIFT_TAB, "> owner");
    pty.send(CTRL_S);
    pty.wait_for_text("1 cycles, 1 open");
    pty.wait_for_text("Smaller changes · shop");

    shows(&mut pty, "\r", "25 % better");
    pty.wait_for_text("They are read sooner.");
    pty.wait_for_text("owner       ana");
    pty.wait_for_text("not started");

    shows(&mut pty, "e", "Edit ");
    pty.send(" every day");
    shows(&mut pty, CTRL_S, "Smaller changes every day");
    pty.wait_until_gone("Edit ");

    shows(&mut pty, "s", "what was applied");
    shows(&mut pty, "the limit is on\r", "the limit is on");
    // Started by hand, it has no request that could be traced.
    shows(&mut pty, "t", "this cycle carries no request id");
    // A look before its time would be chosen by its result.
    shows(&mut pty, "c", "is due at");
    shows(&mut pty, "D", "decision and why");
    shows(&mut pty, "revert it was too strict\r", "Record REVERT for ");
    shows(&mut pty, "n", "not done");
    shows(&mut pty, "D", "decision and why");
    shows(&mut pty, "revert it was too strict\r", "Record REVERT for ");
    pty.send("y");
    pty.wait_for_text("reverted");
    pty.wait_for_text("it was too strict");
    shows(&mut pty, "e", "a closed cycle is not changed");
    hides(&mut pty, "q", "not started");
    quit(pty);
}

#[test]
fn keys_that_hold_everywhere() {
    let machine = Machine::new();
    let mut pty = opened(&machine);
    for (key, text) in [
        ("1", "S reads its deployments"),
        ("S", "shop@v1.1.0"),
        ("3", "Ingest · 2 files"),
        ("4", "0 cycles"),
        ("5", "11 rules"),
        ("2", "● following"),
    ] {
        shows(&mut pty, key, text);
    }
    for (command, text) in [
        (":dora\r", "shop@v1.1.0"),
        (":infra\r", "Ingest · 2 files"),
        (":pdca\r", "0 cycles"),
        (":alerts\r", "11 rules"),
        (":logs\r", "● following"),
    ] {
        shows(&mut pty, command, text);
    }
    // Esc never quits, however often.
    row_after(&mut pty, &format!("{ESC}{ESC}{ESC}{UP}"), |row| row == 28);
    row_after(&mut pty, "G", |row| row == 29);
    shows(&mut pty, "?", "Keys of this screen");
    hides(&mut pty, ESC, "Keys of this screen");

    // Help scrolls, and says that there is more.
    pty.resize(24, 80);
    shows(&mut pty, "?", "lines below: j");
    shows(&mut pty, "j", "1 above: k");
    hides(&mut pty, "k", "above: k");
    hides(&mut pty, "q", "Keys of this screen");
    pty.resize(40, 120);
    pty.wait_for_text("row 29 of 29");

    // Panels.
    shows(&mut pty, "p", "Details · ");
    pty.send("\t");
    pty.wait("the details to have the keys", |screen| {
        screen.contents().contains("Tab panel")
    });
    hides(&mut pty, SHIFT_TAB, "Tab panel");
    hides(&mut pty, "q", "Details · ");

    // History: back to the filter before, and forward again.
    shows(&mut pty, "flevel>=error\r", "row 3 of 3");
    shows(&mut pty, "[", "row 29 of 29");
    shows(&mut pty, "]", "row 3 of 3");
    shows(&mut pty, "q", "row 29 of 29");

    // Zones, by key and by command.
    shows(&mut pty, "L", "times are shown in");
    shows(&mut pty, ":utc\r", " UTC ");
    pty.send(":local\r");
    shows(&mut pty, "L", "times are shown in UTC");

    // The mouse: off at first; on, its wheel and its click move the cursor.
    let mouse = |screen: &Screen| screen.mouse_protocol_mode() != vt100::MouseProtocolMode::None;
    assert!(!pty.look(mouse), "off unless asked for");
    shows(&mut pty, F2, "mouse on");
    pty.wait("the mouse", mouse);
    row_after(&mut pty, "\x1b[<64;20;20M", |row| row == 26);
    row_after(&mut pty, "\x1b[<65;20;20M", |row| row == 29);
    let target = pty.look(|screen| {
        let text = screen.contents();
        text.lines()
            .position(|line| line.contains("checkout begins"))
            .unwrap()
    });
    pty.send(&format!("\x1b[<0;30;{}M", target + 1));
    pty.wait("the row that was clicked", |screen| {
        cursor_on(screen, "checkout begins")
    });
    shows(&mut pty, F2, "mouse off");
    pty.wait("no mouse", |screen| !mouse(screen));
    shows(&mut pty, ":mouse\r", "mouse on");
    shows(&mut pty, ":mouse\r", "mouse off");

    // Times, requests, filters and files by command.
    row_after(&mut pty, "G", |row| row == 29);
    pty.send(":-150s\r");
    pty.wait("the records of that time", |screen| {
        ["payment accepted", "checkout begins"]
            .iter()
            .any(|text| cursor_on(screen, text))
    });
    let clock = machine.ago(150).format("%Y-%m-%dT%H:%M:%S");
    row_after(&mut pty, "G", |row| row == 29);
    pty.send(&format!(":goto {clock}\r"));
    pty.wait("the records of that time", |screen| {
        ["payment accepted", "checkout begins"]
            .iter()
            .any(|text| cursor_on(screen, text))
    });
    shows(&mut pty, ":goto never\r", "`never` is not a time");
    shows(
        &mut pty,
        &format!(":req {BROKEN} {WHOLE}\r"),
        "payment accepted",
    );
    pty.wait_for_text("of 6");
    hides(&mut pty, ESC, "of 6");
    shows(&mut pty, ":filter level>=error\r", "row 3 of 3");
    shows(&mut pty, ":w out.txt\r", "wrote out.txt");
    let written = std::fs::read_to_string(machine.repository().join("out.txt")).unwrap();
    assert_eq!(written.lines().count(), 3, "{written}");
    shows(&mut pty, ":w out.txt\r", "out.txt exists already");
    shows(&mut pty, ":filter level:loud\r", " ! ");
    shows(&mut pty, "x", "row 29 of 29");

    // The palette: letters find, Tab completes, arrows choose; a paste is text.
    shows(&mut pty, ":theli", "theme light");
    shows(&mut pty, "\r", "theme light");
    shows(&mut pty, ":preverr", "previous error");
    pty.send("\r");
    pty.wait("the last error", |screen| {
        cursor_on(screen, "mail could not be sent")
    });
    shows(&mut pty, ":infr\t", ":infra");
    shows(&mut pty, "\r", "Ingest · 2 files");
    shows(&mut pty, ":logs\r", "mail could not be sent");
    shows(&mut pty, ":zzzzzz\r", "no such command");
    shows(&mut pty, &format!(":{DOWN}{UP}"), "Commands");
    hides(&mut pty, ESC, "Commands");
    pty.send("\x1b[200~:q\rq\x1b[201~");
    shows(&mut pty, "f", "filter ");
    shows(
        &mut pty,
        "\x1b[200~level>=error\x1b[201~",
        "filter level>=error",
    );
    pty.send(ESC);

    // The screen anew; and Ctrl-C first cancels.
    pty.wait("no prompt", |screen| {
        !screen.contents().contains("filter level>=error")
    });
    let written = pty.bytes().len();
    pty.send(CTRL_L);
    pty.wait_for_bytes("Atalaya", written);
    shows(&mut pty, "f", " Tab  level>=");
    shows(&mut pty, CTRL_C, "cancelled; Ctrl-C again quits");
    pty.send("j");
    pty.wait_until_gone("cancelled");
    pty.send(CTRL_C);
    pty.wait_for_text("cancelled; Ctrl-C again quits");
    pty.send(CTRL_C);
    assert!(pty.ended().success());
    pty.assert_restored();

    // `q` at the top quits.
    let mut pty = opened(&machine);
    pty.send("q");
    assert!(pty.ended().success());
    pty.assert_restored();
}
