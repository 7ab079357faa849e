//! Ways from one screen to another: an id leads to its trace from every place that shows it,
//! whatever is in it.

use super::*;
use crate::tui::tabs::{dora, pdca};
use atalaya_ingest::accounts::FileAccount;

/// Ids as applications may write them: blanks, quotes, line breaks, signs of the query language.
const IDS: [&str; 9] = [
    "req 42",
    " led and trailed ",
    "a\"b",
    "a\nb",
    "a\tb\r",
    "a\\nb, (c or -d) *",
    "level>=error",
    "\u{1b}[2J \u{202e}x",
    "日本 👩‍👩‍👧‍👦",
];

/// Two records of the request among those of the company.
fn records_of(id: &str) -> Vec<Record> {
    let mut records = company();
    for record in records.iter_mut().rev().take(2) {
        record.entry.request_id = Some(RequestId::new(id));
    }
    records
}

#[track_caller]
fn assert_traced(stage: &mut Stage, id: &str, place: &str) {
    let screen = stage.screen();
    assert!(
        screen.contains("· 2 records"),
        "{id:?} from {place}:\n{screen}"
    );
}

#[test]
fn from_everything_that_the_logs_tab_shows() {
    for id in IDS {
        for (place, keys) in [
            ("the list", "t"),
            ("the details", "\rt"),
            ("the context", "ct"),
            ("a trace", "tt"),
            ("the details in a trace", "t\rt"),
            ("the list filtered by it", "rt"),
            ("the history", "t\x1b["),
        ] {
            let mut stage = large();
            stage.records = records_of(id);
            stage.keys("\x12");
            stage.keys(keys);
            if place == "the history" {
                stage.keys("]");
            }
            assert_traced(&mut stage, id, place);
        }
    }
}

#[test]
fn from_the_filter_by_it() {
    for id in IDS {
        let mut stage = large();
        stage.records = records_of(id);
        stage.keys("\x12r");
        let screen = stage.screen();
        assert!(screen.contains("row 2 of 2"), "{id:?}:\n{screen}");
    }
}

#[test]
fn from_the_prompt_in_quotes() {
    for id in IDS {
        let mut stage = large();
        stage.records = records_of(id);
        let quoted = id
            .replace('\\', "\\\\")
            .replace('"', "\\\"")
            .replace('\n', "\\n")
            .replace('\t', "\\t")
            .replace('\r', "\\r");
        // Text without what acts, as a terminal would type it.
        if quoted.chars().any(char::is_control) {
            continue;
        }
        stage.keys(&format!(":req \"{quoted}\"\r"));
        assert_traced(&mut stage, id, "`:req`");
        stage.keys("\x1bE");
        stage.keys(&format!("ta\"{quoted}\"\r"));
        let screen = stage.screen();
        assert!(
            screen.contains("· 5 records"),
            "{id:?} added to a trace:\n{screen}"
        );
    }
}

#[test]
fn from_a_delivery_and_all_that_is_known_of_it() {
    for id in IDS {
        let mut facts = dora::screens::facts();
        for deployment in &mut facts.deployments {
            deployment.request_id = Some(RequestId::new(id));
        }
        for incident in &mut facts.incidents {
            incident.request_id = Some(RequestId::new(id));
        }
        for (place, keys) in [
            ("the list of deployments", "1gt"),
            ("the page of a deployment", "1jj\rt"),
            ("a row of an explanation", "1llxGt"),
        ] {
            let mut stage = Stage::at(dora::screens::now(), (200, 60), ColorDepth::True);
            stage.records = records_of(id);
            stage.facts = facts.clone();
            stage.settle();
            stage.keys(&keys[..1]);
            stage.keys(&keys[1..keys.len() - 1]);
            // The rows that lead to a request stand between others.
            let mut found = false;
            for _ in 0..80 {
                stage.keys("t");
                if stage.app.active() == LOGS {
                    found = true;
                    break;
                }
                stage.keys("k");
            }
            assert!(found, "{place} leads nowhere:\n{}", stage.screen());
            assert_traced(&mut stage, id, place);
            stage.keys("\x1b");
            assert_eq!(stage.app.active(), DORA, "{id:?} back to {place}");
        }
    }
}

#[test]
fn from_a_cycle() {
    for id in IDS {
        let mut stage = Stage::at(pdca::tests::day(44), (200, 60), ColorDepth::True);
        stage.records = records_of(id);
        stage.cycles = pdca::tests::cycles();
        for applied in stage
            .cycles
            .iter_mut()
            .filter_map(|cycle| cycle.applied.as_mut())
        {
            applied.request_id = Some(id.to_owned());
        }
        stage.settle();
        stage.keys("4");
        stage.keys("\rt");
        assert_traced(&mut stage, id, "a cycle");
        stage.keys("\x1b");
        assert_eq!(stage.app.active(), PDCA);
    }
}

#[test]
fn from_a_file_to_its_records() {
    for source in IDS {
        let mut stage = large();
        stage.records = company();
        let hostile = origin(source, Layer::Application);
        for record in stage.records.iter_mut().take(3) {
            record.origin = hostile.clone();
        }
        let mut ingest = infra_status();
        ingest.files[0].source = Some(source.into());
        stage
            .app
            .on_event(AppEvent::Ingest(Arc::new(ingest)), stage.now);
        stage.keys("3f");
        let screen = stage.screen();
        assert!(screen.contains("row 3 of 3"), "{source:?}:\n{screen}");
        stage.keys("\x1b");
        assert_eq!(stage.app.active(), INFRA);
    }
}

fn infra_status() -> IngestStatus {
    let mut ingest = crate::tui::tabs::infra::tests::ingest();
    let file: FileAccount = ingest.files[0].clone();
    ingest.files = vec![file];
    ingest.unread.clear();
    ingest
}

#[test]
fn a_time_is_gone_to_from_the_cursor_on() {
    let mut stage = large();
    stage.keys("g:+5m\r");
    let screen = stage.screen();
    assert!(!screen.contains("is not a time"), "{screen}");
    // The first record is ten minutes old.
    let at = Timestamp::from_seconds(NOW - 300);
    let shown = crate::tui::widgets::clock::millis(at, Zone::Utc);
    let focused = screen.lines().find(|line| line.starts_with('▸'));
    assert!(
        focused.is_some_and(|line| line.contains(&shown)),
        "{shown}:\n{screen}"
    );
}

#[test]
fn what_has_no_key_is_in_the_palette() {
    let mut stage = large();
    stage.keys(":next theme\r");
    assert!(stage.screen().contains("theme light"));
    stage.keys(":quit\r");
    assert!(stage.app.should_quit());
}
