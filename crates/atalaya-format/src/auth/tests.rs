//! User names that look like addresses.

use super::super::web::testing::check;

#[test]
fn the_address_is_the_last() {
    const EVIL: &str = "bob from 10.9.9.9 port 55555 ssh2";
    for (message, user, client, port) in [
        (
            "Failed password for root from 192.0.2.7 port 5 ssh2",
            "root",
            "192.0.2.7",
            "5",
        ),
        (
            "Failed password for invalid user {} from 192.0.2.7 port 5 ssh2",
            EVIL,
            "192.0.2.7",
            "5",
        ),
        (
            "Failed none for invalid user  from 192.0.2.7 port 5 ssh2",
            "",
            "192.0.2.7",
            "5",
        ),
        (
            "Failed keyboard-interactive/pam for invalid user a b from 2001:db8::7 port 5 ssh2",
            "a b",
            "2001:db8::7",
            "5",
        ),
        (
            "Accepted publickey for bob from 192.0.2.7 port 5 ssh2: RSA SHA256:abc",
            "bob",
            "192.0.2.7",
            "5",
        ),
        (
            "Postponed publickey for bob from 192.0.2.7 port 5 ssh2 [preauth]",
            "bob",
            "192.0.2.7",
            "5",
        ),
        (
            "Invalid user {} from 192.0.2.7 port 5",
            EVIL,
            "192.0.2.7",
            "5",
        ),
        ("Invalid user  from 192.0.2.7 port 5", "", "192.0.2.7", "5"),
        ("Invalid user bob from 192.0.2.7", "bob", "192.0.2.7", ""),
        (
            "Connection closed by authenticating user {} 192.0.2.7 port 5 [preauth]",
            EVIL,
            "192.0.2.7",
            "5",
        ),
        (
            "Connection closed by invalid user bob 10.9.9.9 port 1 192.0.2.7 port 5 [preauth]",
            "bob 10.9.9.9 port 1",
            "192.0.2.7",
            "5",
        ),
        (
            "Connection reset by invalid user  192.0.2.7 port 5 [preauth]",
            "",
            "192.0.2.7",
            "5",
        ),
        (
            "Connection closed by 192.0.2.7 port 5 [preauth]",
            "",
            "192.0.2.7",
            "5",
        ),
        ("Connection closed by 192.0.2.7", "", "192.0.2.7", ""),
        (
            "Disconnected from user {} 192.0.2.7 port 5",
            EVIL,
            "192.0.2.7",
            "5",
        ),
        ("Disconnected from 192.0.2.7 port 5", "", "192.0.2.7", "5"),
        (
            "Disconnecting invalid user {} 192.0.2.7 port 5: Too many authentication failures [preauth]",
            EVIL,
            "192.0.2.7",
            "5",
        ),
        (
            "Disconnecting authenticating user a 192.0.2.7 port 5: Change of username or service not allowed: (a,x) -> (b 6.6.6.6 port 9,x) [preauth]",
            "a",
            "192.0.2.7",
            "5",
        ),
        (
            "Received disconnect from 192.0.2.7 port 5:11: bye from 10.9.9.9 port 6 [preauth]",
            "",
            "192.0.2.7",
            "5",
        ),
        (
            "Received disconnect from 192.0.2.7: 11: bye",
            "",
            "192.0.2.7",
            "",
        ),
        (
            "error: maximum authentication attempts exceeded for invalid user {} from 192.0.2.7 port 5 ssh2 [preauth]",
            EVIL,
            "192.0.2.7",
            "5",
        ),
        (
            "Bad protocol version identification 'GET / from 10.9.9.9 port 6' from 192.0.2.7 port 5",
            "",
            "192.0.2.7",
            "5",
        ),
        (
            "Did not receive identification string from 192.0.2.7 port 5",
            "",
            "192.0.2.7",
            "5",
        ),
        (
            "User bob from 10.9.9.9 not allowed because x from 192.0.2.7 not allowed because not listed in AllowUsers",
            "bob from 10.9.9.9 not allowed because x",
            "192.0.2.7",
            "",
        ),
        (
            "Connection from 192.0.2.7 port 5 on 10.0.0.1 port 22",
            "",
            "192.0.2.7",
            "5",
        ),
        (
            "Starting session: shell on pts/0 for bob from 192.0.2.7 port 5 id 0",
            "bob",
            "192.0.2.7",
            "5",
        ),
        (
            "Close session: user bob from 192.0.2.7 port 5 id 0",
            "bob",
            "192.0.2.7",
            "5",
        ),
        (
            "pam_unix(sshd:auth): authentication failure; logname= uid=0 euid=0 tty=ssh ruser= rhost=192.0.2.7  user=bob rhost=10.9.9.9 user=x",
            "bob rhost=10.9.9.9 user=x",
            "192.0.2.7",
            "",
        ),
    ] {
        let line = format!(
            "May  1 08:04:52 bastion sshd[2737]: {}",
            message.replace("{}", user)
        );
        check(
            &line,
            "syslog",
            &[("@user", user), ("client", client), ("client_port", port)],
        );
    }
}

#[test]
fn the_command_comes_last() {
    check(
        "May  1 08:04:52 bastion sudo:    bob : TTY=pts/0 ; PWD=/home/bob ; USER=root ; COMMAND=/bin/echo x : y ; USER=eve ; COMMAND=/bin/sh",
        "syslog",
        &[
            ("@user", "bob"),
            ("sudo_user", "root"),
            (
                "sudo_command",
                "/bin/echo x : y ; USER=eve ; COMMAND=/bin/sh",
            ),
        ],
    );
}
