//! Level words in the places where programs put them, and in prose.

use super::*;

#[test]
fn words_with_trimmings_are_read() {
    for (word, level) in [
        ("debug2", Some(Level::Debug)),
        ("trace8", Some(Level::Debug)),
        ("[WARN]", Some(Level::Warning)),
        ("INFO:", Some(Level::Info)),
        ("emerg", Some(Level::Critical)),
        ("SCHWERWIEGEND", Some(Level::Error)),
        ("Avertissement", Some(Level::Warning)),
        ("INFORMAÇÕES", Some(Level::Info)),
        ("[警告]", Some(Level::Warning)),
        ("VRB", Some(Level::Debug)),
        ("FATA", Some(Level::Critical)),
        ("invalid", None),
        ("", None),
        ("8", None),
    ] {
        assert_eq!(from_word(word), level, "{word}");
    }
}

#[test]
fn a_guess_takes_what_stands_like_a_level() {
    let mut wrong = Vec::new();
    for (text, level) in [
        ("2016-06-30 12:00:07 fatal fatalmessage", Level::Critical),
        ("ERROR something broke", Level::Error),
        ("app.py: WARNING: old call", Level::Warning),
        ("Traceback (most recent call last):", Level::Error),
        ("14:03:55.120 - ERR : no such table", Level::Error),
        ("14:03:55.120 - WRN: slow", Level::Warning),
        ("[14:03:55 ERR Billing.Worker] invoice lost", Level::Error),
        ("2024-03-02 11:00:00.000 [E] disk gone", Level::Error),
        ("2024-03-02 11:00:00|W|cache cold", Level::Warning),
        ("E/MediaCodec( 4021): buffer lost", Level::Error),
        (
            "03-02 11:00:00.120  1201  1333 W ActivityTask: slow start",
            Level::Warning,
        ),
        (
            "2024-03-02T11:00:00.120+0100 E STORAGE  [conn7] cannot read",
            Level::Error,
        ),
        (
            "E, [2024-03-02T11:00:00.120 #77] ERROR -- : boom",
            Level::Error,
        ),
        (
            "Mar  2 11:00:00 fw1 <daemon.err> ntpd: no route",
            Level::Error,
        ),
        ("<error> cannot open", Level::Error),
        (
            "ts=2024-03-02T11:00:00Z caller=main.go:7 level=error msg=\"lost\"",
            Level::Error,
        ),
        (
            "ts=2024-03-02T11:00:00Z msg=\"error while reading\" lvl=warn",
            Level::Warning,
        ),
        (
            "worker 7 {\"time\":\"x\",\"level\":\"error\",\"msg\":\"gone\"}",
            Level::Error,
        ),
        ("job 7 failed, severity: ERROR", Level::Error),
        (
            "[2024-03-02 11:00:00] staging.ERROR: Undefined array key",
            Level::Error,
        ),
        (
            "[2024-03-02 11:00:00] production.CRITICAL: out of disk",
            Level::Critical,
        ),
        (
            "PHP Fatal error:  Uncaught TypeError: x in /srv/a.php:3",
            Level::Critical,
        ),
        (
            "[02-Mar-2024 11:00:00 UTC] PHP Fatal error:  Uncaught Exception: x",
            Level::Critical,
        ),
        (
            "[02-Mar-2024 11:00:00 UTC] PHP Warning:  Undefined variable $a",
            Level::Warning,
        ),
        (
            "[02-Mar-2024 11:00:00 UTC] PHP Parse error:  syntax error",
            Level::Error,
        ),
        (
            "[02-Mar-2024 11:00:00 UTC] PHP Deprecated:  old call",
            Level::Warning,
        ),
        (
            "panic: runtime error: invalid memory address",
            Level::Critical,
        ),
        (
            "2024/03/02 11:00:00 panic: assignment to entry in nil map",
            Level::Critical,
        ),
        (
            "Unhandled exception. System.InvalidOperationException: no element",
            Level::Error,
        ),
        (
            "Exception in thread \"main\" java.lang.IllegalStateException: x",
            Level::Error,
        ),
        (
            "11:00:00.1 Uncaught ReferenceError: total is not defined",
            Level::Error,
        ),
        (
            "java.net.SocketTimeoutException: Read timed out",
            Level::Error,
        ),
        ("MapException[cannot merge]", Level::Error),
        ("shop: debug: cart is empty", Level::Debug),
        (
            "TypeError: Cannot read properties of undefined",
            Level::Error,
        ),
        ("Error: listen EADDRINUSE", Level::Error),
        ("deploy ERROR: could not copy", Level::Error),
        (
            "fatal error: all goroutines are asleep - deadlock!",
            Level::Critical,
        ),
        (
            "2024-05-16T11:37:43.347Z warning netd[33781B70] [Origin sub=x] late",
            Level::Warning,
        ),
        (
            "2024-05-16T11:37:43.347Z verbose netd[33781B70] polled",
            Level::Debug,
        ),
        ("fail: Shop.Web.Startup[0]", Level::Error),
        ("crit: Shop.Web.Startup[0]", Level::Critical),
        ("dbug: Shop.Web.Startup[0]", Level::Debug),
        ("ERRO[0012] cannot pull", Level::Error),
        ("INFO[0012] pulled despite ERROR before", Level::Info),
        (
            "02-Mrz-2024 11:00:00.5 SCHWERWIEGEND [main] de.firma.Start.run",
            Level::Error,
        ),
        (
            "mars 02, 2024 11:00:00 AM fr.firme.Main run\nAVERTISSEMENT: lent",
            Level::Warning,
        ),
        (
            "02-mar-2024 11:00:00.5 GRAVE [main] es.firma.Inicio.run",
            Level::Error,
        ),
        ("2024-03-02 11:00:00;FEHLER;kein Platz", Level::Error),
        (
            "11:00:00 [Server thread/WARN]: cannot keep up",
            Level::Warning,
        ),
        (
            "[2024-03-02 11:00:00,000: ERROR/ForkPoolWorker-2] task failed",
            Level::Error,
        ),
        ("--- FAIL: TestTotal (0.00s)", Level::Error),
        (
            "[Sat Mar 02 11:00:00 2024] [proxy:error] [pid 7] no backend",
            Level::Error,
        ),
        ("error connecting to 10.0.0.7", Level::Error),
        (
            "W0302 11:00:00.120000       1 pod.go:191] late",
            Level::Warning,
        ),
        (
            "E20240302 11:00:00.120000  77 flush.cc:8] lost",
            Level::Error,
        ),
        ("kernel: I/O error, dev sdb, sector 77", Level::Error),
    ] {
        if guess(text) != level {
            wrong.push((text, guess(text)));
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}

#[test]
fn the_glance_lets_every_level_word_pass() {
    let words = "debug trace verbose finest finer fine dbug dbg trc trce vrb verb debu trac silly notset fein info \
                 information informational notice note log system success stats config inf infos hinweis warning \
                 warn deprecation wrn warni deprecated warnung avertissement advertencia avvertenza avviso aviso \
                 advertência waarschuwing error err eror severe erro fail fehler schwerwiegend erreur grave errore \
                 fout critical crit fatal panic alert emerg emergency dpanic fatl ftl crt fata pani kritisch \
                 critique crítico critico panik 警告 エラー level lvl severity sev loglevel log_level levelname";
    for word in words.split_whitespace() {
        assert!(may_be_level(word.as_bytes()), "{word}");
        assert!(is_key(word) || from_word(word).is_some(), "{word}");
        assert!(is_key(word) || of_any_word(word).is_some(), "{word}");
    }
}

#[test]
fn prose_and_names_are_no_level() {
    let mut wrong = Vec::new();
    for text in [
        "",
        "it went well and there was not a single error",
        "no errors found",
        "no error found",
        "0 errors, 0 warnings",
        "done with 0 error(s)",
        "build done without error",
        "error_log configured",
        "error=0 retries=3",
        "[GetJoin:354] Query(): ERROR_FILE_NOT_FOUND (2/0):",
        "reading /etc/nginx/error.conf",
        "wrote /var/log/error.log",
        "errors: 0",
        "error: null",
        "error rate is 0.1 %",
        "alert manager started",
        "sending a panic button to ops",
        "system is up",
        "LOG rotated",
        "a non-fatal condition was met",
        "2024-03-02 11:00:00 I am here",
        "A plan B is needed",
        "log level: debug",
        "stack trace saved",
        "Information about the release",
        "Stack trace:",
        "additional info: none of it matters",
    ] {
        if guess(text) != Level::Info {
            wrong.push((text, guess(text)));
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}

#[test]
fn a_level_at_the_start_begins_a_record() {
    let mut wrong = Vec::new();
    for (text, want) in [
        ("ERROR cannot open", Some((Level::Error, "cannot open"))),
        ("ERROR", Some((Level::Error, ""))),
        ("[error] cannot open", Some((Level::Error, "cannot open"))),
        ("[ WARN ] slow", Some((Level::Warning, "slow"))),
        ("WARN: slow", Some((Level::Warning, "slow"))),
        ("ERR : lost", Some((Level::Error, "lost"))),
        ("<3>lost", Some((Level::Error, "lost"))),
        ("<13>lost", None),
        ("[E] lost", Some((Level::Error, "lost"))),
        ("[7] lost", None),
        ("level=error msg=lost", Some((Level::Error, "msg=lost"))),
        (
            "level=\"warning\" msg=lost",
            Some((Level::Warning, "msg=lost")),
        ),
        ("severity: ERROR - lost", Some((Level::Error, "- lost"))),
        ("level=30 msg=x", None),
        ("levels are high", None),
        (
            "ERRO[0012] cannot pull",
            Some((Level::Error, "[0012] cannot pull")),
        ),
        ("WARNING|cache|cold", Some((Level::Warning, "cache|cold"))),
        ("info: Shop.Web[0]", Some((Level::Info, "Shop.Web[0]"))),
        (
            "error: mismatched types",
            Some((Level::Error, "mismatched types")),
        ),
        ("Warning: old call", Some((Level::Warning, "old call"))),
        ("Error: lost", None),
        ("Error lost", None),
        ("error lost", None),
        ("E lost", None),
        (
            "E/Radio( 77): lost",
            Some((Level::Error, "Radio( 77): lost")),
        ),
        ("E/Radio is a tag", None),
        ("NOTE that this is prose", None),
        ("note: run it again", None),
        ("LOG rotated", None),
        ("LOG:  rotated", Some((Level::Info, "rotated"))),
        ("SCHWERWIEGEND: kaputt", Some((Level::Error, "kaputt"))),
        (
            "=ERROR REPORT==== 2-Mar-2024::11:00:00 ===",
            Some((Level::Error, "2-Mar-2024::11:00:00 ===")),
        ),
        (
            "PHP Warning:  lost in /a.php",
            Some((Level::Warning, "lost in /a.php")),
        ),
        ("PHP is a language", None),
        ("ERROR_CODE 7", None),
        ("ERRORS: 7", None),
        ("error::Kind", None),
        ("  ERROR indented", None),
        ("", None),
    ] {
        if at_start(text) != want {
            wrong.push((text, at_start(text)));
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}

mod never {
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn no_text_crashes_the_guess(text in "[\\[\\]<>(){}:=|/,. \\-_\"'EWIaerolvfwn0-9é警\n]{0,60}|.{0,300}") {
            super::guess(&text);
            if let Some((_, rest)) = super::at_start(&text) {
                prop_assert!(text.ends_with(rest));
            }
        }
    }
}
