//! Traces of all run-times, in lines as a decoder joins them.

use super::*;

/// Joins lines as a decoder does, and gives the records.
fn records(text: &str) -> Vec<String> {
    let mut out: Vec<String> = Vec::new();
    for line in text.lines() {
        match out.last_mut() {
            Some(last) if line.is_empty() || continues_after(last, line) => {
                last.push('\n');
                last.push_str(line);
            }
            _ => out.push(line.to_owned()),
        }
    }
    out
}

fn begin_of(text: &str) -> Option<&str> {
    begin(text).map(|at| text[at..].lines().next().unwrap_or(""))
}

const TRACES: &[(&str, &str)] = &[
    (
        "python",
        "Traceback (most recent call last):\n  File \"a.py\", line 1, in <module>\n    f(\n    ^^\nValueError: bad\n\nDuring handling of the above exception, another exception occurred:\n\nTraceback (most recent call last):\n  File \"a.py\", line 3, in g\n    h()\nsocket.gaierror: [Errno -2] no name",
    ),
    (
        "python group",
        "Traceback (most recent call last):\n  + Exception Group Traceback (most recent call last):\n  |   File \"a.py\", line 1, in f\n  |     g()\n  | ExceptionGroup: two (2 sub-exceptions)\n  +-+---------------- 1 ----------------\n    | ValueError: a\n    +------------------------------------",
    ),
    (
        "python with blanks",
        "Traceback (most recent call last):\n\n  File \"/srv/run.py\", line 72, in <module>\n\n    value = a.b\n\nAttributeError: no b",
    ),
    (
        "java",
        "java.lang.IllegalStateException: x\n\tat a.B.c(B.java:1)\n\tat d.E$1.f(Unknown Source)\n\t... 12 more\nCaused by: java.io.IOException: y\n\tat d.E.f(E.java:2)\n\tSuppressed: g.H: z\n\t\tat g.H.i(H.java:3)\n\t... 40 common frames omitted",
    ),
    (
        "java at the margin",
        "java.lang.Boom: x\nat a.B.c(B.java:1)\nat a.B.d(B.java:2)",
    ),
    (
        "dotnet",
        "System.InvalidOperationException: x\n ---> System.IO.IOException: y\n   at A.B() in C:\\src\\A.cs:line 70\n   --- End of inner exception stack trace ---\n   at A.C()\n--- End of stack trace from previous location ---\n   at A.D()",
    ),
    (
        "go",
        "panic: runtime error: index out of range [5] with length 3\n[signal SIGSEGV: segmentation violation code=0x1 addr=0x0 pc=0x4a]\n\ngoroutine 1 [running]:\nmain.lookup(...)\n\t/src/app/main.go:21\nmain.(*pool).wait({0xc0000a0000?, 0x1})\n\t/src/app/pool.go:40 +0x5a\n\ngoroutine 18 [chan receive]:\npanic({0x1, 0x2})\n\t/usr/go/panic.go:8 +0x1\ncreated by main.newPool in goroutine 1\n\t/src/app/pool.go:22 +0x96\nexit status 2",
    ),
    (
        "go deadlock",
        "fatal error: all goroutines are asleep - deadlock!\n\ngoroutine 1 [chan receive]:\nmain.main()\n\t/src/main.go:8 +0x1d",
    ),
    (
        "rust",
        "thread 'main' panicked at src/main.rs:2:5:\nindex out of bounds\nstack backtrace:\n   0: main\n             at ./main.rs:2:5\nnote: run with `RUST_BACKTRACE=full`",
    ),
    (
        "node",
        "Error: no route\n    at charge (/srv/pay.js:7:11)\n    at async /srv/index.js:3:5 {\n  code: 'ECONNREFUSED',\n  [cause]: Error: y\n      at f (/srv/a.js:1:1)\n}\n\nNode.js v20.1.0",
    ),
    (
        "php",
        "PHP Fatal error:  Uncaught Boom: x in /srv/a.php:12\nStack trace:\n#0 /srv/b.php(9): A->take(3)\n#1 {main}\n\nNext Other: y in /srv/a.php:14\nStack trace:\n#0 {main}\n  thrown in /srv/a.php on line 14",
    ),
    (
        "ruby",
        "a.rb:3:in 'charge': no route (RuntimeError)\n\tfrom a.rb:7:in 'run'\n\tfrom a.rb:9:in '<main>'",
    ),
    (
        "ruby, older",
        "Traceback (most recent call last):\n\t1: from a.rb:7:in `<main>'\na.rb:3:in `charge': no route (RuntimeError)",
    ),
    (
        "rails",
        "ActiveRecord::RecordNotFound (no order):\n  \napp/models/order.rb:12:in `find'\napp/controllers/a.rb:3:in `show'",
    ),
    (
        "elixir",
        "** (RuntimeError) no route\n    (depot 1.0.0) lib/pay.ex:12: Depot.Pay.charge/2\n    (stdlib 3.15) gen_server.erl:1123: :gen_server.handle/6",
    ),
];

#[test]
fn a_trace_is_one_record_and_the_next_line_another() {
    for (name, trace) in TRACES {
        for next in ["next line", "INFO next line", "ERROR: next", "done in 7 ms"] {
            let found = records(&format!("{trace}\n{next}"));
            assert_eq!(found.len(), 2, "{name}: {found:#?}");
            assert_eq!(found[1], next, "{name}");
        }
    }
}

#[test]
fn a_trace_behind_a_header_begins_at_its_first_line() {
    for (name, trace) in TRACES {
        let text = format!("it broke\n{trace}");
        let first = trace.lines().next().unwrap_or("");
        let want = match *name {
            // Their first lines are the message.
            "php" => "Stack trace:",
            "ruby" => "\tfrom a.rb:7:in 'run'",
            "rails" => "app/models/order.rb:12:in `find'",
            "go deadlock" => "goroutine 1 [chan receive]:",
            _ => first,
        };
        assert_eq!(begin_of(&text), Some(want), "{name}");
    }
    assert_eq!(
        begin_of("m\njava.lang.Exception: x\nand more text\n\tat a.B.c(B.java:1)"),
        Some("java.lang.Exception: x")
    );
    assert_eq!(
        begin_of("m\nmore text\n\tat a.B.c(B.java:1)"),
        Some("\tat a.B.c(B.java:1)")
    );
    assert_eq!(
        begin_of("m\nNote: it is\nmore text\n\tat a.B.c(B.java:1)"),
        Some("\tat a.B.c(B.java:1)")
    );
    assert_eq!(
        begin_of("m\ndepot.(*Pay).charge\n\t/src/pay.go:7"),
        Some("depot.(*Pay).charge")
    );
    assert_eq!(begin_of("m\n\tticketStore=<x\n\t>"), None);
    assert_eq!(begin_of("one line"), None);
}

#[test]
fn ordinary_lines_do_not_join() {
    for (pending, line) in [
        ("GET / 200\n  detail", "Error: x"),
        ("text", "#1 in the charts"),
        ("text", "Next week"),
        ("text", "a.rb:3:in 'f': x (E)"),
        ("text", "main.go(1)"),
        (
            "Traceback (most recent call last):\n  File \"a.py\", line 1, in f\n    g()",
            "WARNING: root",
        ),
        ("listening", "panic: boom"),
        ("text", "}"),
    ] {
        assert!(!continues_after(pending, line), "{pending:?} {line:?}");
    }
}

#[test]
fn a_long_record_costs_no_more_than_its_end() {
    let pending = format!("ERROR x\n{}", "\tat a.B.c(B.java:1)\n".repeat(100_000));
    let start = std::time::Instant::now();
    for _ in 0..10_000 {
        assert!(!continues_after(&pending, "ordinary text"));
    }
    assert!(start.elapsed().as_secs() < 5);
}
