//! The start and the end of a request.

use super::super::web::testing::{check, read};

#[test]
fn started_and_completed() {
    for (line, fields) in [
        (
            r#"Started GET "/x" for 192.0.2.4 at 2024-05-01 08:00:00 +0200"#,
            &[
                ("method", "GET"),
                ("path", "/x"),
                ("client", "192.0.2.4"),
                ("@time", "2024-05-01T06:00:00.000000Z"),
            ][..],
        ),
        (
            r#"Started GET "/x" for 6.6.6.6 at 2024-01-01 00:00:00 +0000" for 192.0.2.4 at 2024-05-01 08:00:00 +0200"#,
            &[("client", "192.0.2.4")],
        ),
        (
            "Completed 500 Internal Server Error in 12ms (ActiveRecord: 2.0ms)",
            &[
                ("status", "500"),
                ("@level", "ERROR"),
                ("@ms", "12"),
                ("reason", "Internal Server Error"),
            ],
        ),
        (
            "[0f3b6c1e-2d77-4f4c-9a39-2b8f6c1d0e55] Completed 200 OK in 12.5ms (Views: 2.0ms)",
            &[
                ("@id", "0f3b6c1e-2d77-4f4c-9a39-2b8f6c1d0e55"),
                ("@ms", "12.5"),
            ],
        ),
    ] {
        check(line, "rails", fields);
    }
    assert_ne!(read("Completed 200 jobs in the night").0, "rails");
    assert_ne!(read("Started GET without end").0, "rails");
}
