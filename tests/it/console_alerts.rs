//! The Alerts tab in a real terminal, over an alert that fires because of what a file says.

use crate::console_first_run::{BROKEN, Machine, shows};

const ESC: &str = "\x1b";

#[test]
fn an_alert_is_explained_followed_acknowledged_and_silenced() {
    let machine = Machine::new();
    for number in 0..12 {
        let line = machine.line(1, "ERROR", &format!("payment {number} failed"), BROKEN);
        machine.append("shop.json", &line);
    }
    let mut pty = machine.open_with(40, 120, |command| {
        command.env("ATALAYA_ALERTS__EVALUATE", "1s");
        command.env("ATALAYA_ALERTS__LATE", "0s");
    });
    pty.wait_for_text("● following");
    shows(&mut pty, "5", "FIRING");
    pty.wait_for_text(" firing ");
    pty.wait_for_text("what to do");

    // The whole of what is known, and back.
    pty.send("x");
    pty.wait_until_gone("Tab: rules");
    pty.wait_for_text("payment");
    shows(&mut pty, ESC, "Tab: rules");

    // The records behind it, and their request.
    for (key, text) in [("\r", "level>=error"), ("t", "16 records")] {
        pty.send(key);
        pty.wait_until_gone("Tab: rules");
        pty.wait_for_text(text);
        shows(&mut pty, ESC, "Tab: rules");
    }

    shows(&mut pty, "d", "no deployment is known before it");
    shows(&mut pty, "alooking at it\r", "errors is acknowledged");
    pty.wait_for_text("looking at it");
    shows(&mut pty, "A\r", "until worse than");
    shows(&mut pty, "sthe provider is down\r", "errors is silent");
    shows(&mut pty, "\t", "Tab: alerts");
    pty.wait_for_text("cassandra-node-down");
    pty.send(":q\r");
    assert!(pty.ended().success());
}
