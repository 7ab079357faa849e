//! What `sshd`, `sudo`, `useradd` and `groupadd` say in their messages about who did what, as
//! metadata. The message itself stays whole.
//!
//! Anybody may type a user name at `sshd`, blanks, addresses and ports included. So messages are
//! read from the right, where `sshd` itself writes the address: what stands before it is the user.
//!
//! Source: `auth.c`, `packet.c` and `session.c` of <https://github.com/openssh/openssh-portable>, and
//! <https://www.sudo.ws/docs/man/sudoers.man/#LOG_FORMAT>.

use super::Parsed;
use super::web::is_number;

/// Whether strangers, or a user at a shell, type parts of what these processes say.
pub fn is_typed(process: &str) -> bool {
    matches!(
        process,
        "sshd" | "sshd-session" | "sshd-auth" | "sudo" | "su" | "login" | "doas"
    )
}

/// Reads a message of one of these processes, or of PAM in any; others are left alone.
pub fn put<'a>(process: &str, message: &'a str, out: &mut Parsed<'a>) {
    match process {
        "sshd" | "sshd-session" | "sshd-auth" => put_ssh(message, out),
        _ if message.starts_with("pam_unix(") => put_pam(message, out),
        "sudo" => put_sudo(message, out),
        "useradd" => put_account(message, "new user: ", out),
        "groupadd" => put_account(message, "new group: ", out),
        _ => {}
    }
}

/// `Accepted publickey for vagrant from 10.0.2.2 port 63673 ssh2: RSA …`, `Failed password for
/// [invalid user ]root from …`, `Invalid user test from …`, `Connection closed by …` and others.
fn put_ssh<'a>(message: &'a str, out: &mut Parsed<'a>) {
    if message.starts_with("pam_") || message.starts_with("PAM ") {
        put_pam(message, out);
        return;
    }
    let bare = message.strip_suffix(" [preauth]").unwrap_or(message);
    let bare = bare
        .strip_prefix("error: ")
        .or_else(|| bare.strip_prefix("fatal: "))
        .unwrap_or(bare);
    if put_login(bare, out) || put_peer_first(bare, out) {
        return;
    }
    put_peer_last(bare, out);
}

/// Who tried to log in, and how.
fn put_login<'a>(message: &'a str, out: &mut Parsed<'a>) -> bool {
    let Some((event, rest)) = message.split_once(' ') else {
        return false;
    };
    let rest = match event {
        "Accepted" | "Failed" | "Postponed" => {
            let Some((method, rest)) = rest.split_once(" for ") else {
                return false;
            };
            if method.contains(' ') {
                return false;
            }
            out.put("ssh_event", event);
            out.put("ssh_method", method);
            without_invalid(rest)
        }
        "Invalid" => {
            let Some(rest) = rest.strip_prefix("user ") else {
                return false;
            };
            out.put("ssh_event", event);
            rest
        }
        "maximum" => {
            let Some(rest) = rest.strip_prefix("authentication attempts exceeded for ") else {
                return false;
            };
            without_invalid(rest)
        }
        _ => return false,
    };
    if let Some((user, client, rest)) = peer(rest, " from ", ends_a_login) {
        put_user(user, out);
        put_client(client, out);
        if let Some((_, signature)) = rest.split_once(": ") {
            out.put("ssh_signature", signature);
        }
    } else if let Some((user, client)) = rest.rsplit_once(" from ") {
        // Before OpenSSH 7.2 an invalid user's line ends with the address.
        put_user(user, out);
        out.put("client", first_word(client));
    }
    true
}

fn without_invalid(rest: &str) -> &str {
    rest.strip_prefix("invalid user ")
        .or_else(|| rest.strip_prefix("illegal user "))
        .unwrap_or(rest)
}

/// What stands behind the port of a login: nothing, or the protocol and the key.
fn ends_a_login(rest: &str) -> bool {
    let Some(key) = rest
        .strip_prefix(" ssh2")
        .or_else(|| rest.strip_prefix(" ssh1"))
    else {
        return rest.is_empty();
    };
    key.is_empty() || key.starts_with(": ")
}

/// An address with its port.
#[derive(Clone, Copy)]
struct Client<'a> {
    address: &'a str,
    port: &'a str,
}

/// The last `HEAD ADDRESS port NUMBER` behind which `ends` holds: what stands before, the address,
/// and what stands behind.
fn peer<'a>(
    text: &'a str,
    head: &str,
    ends: impl Fn(&str) -> bool,
) -> Option<(&'a str, Client<'a>, &'a str)> {
    memchr::memmem::rfind_iter(text.as_bytes(), b" port ").find_map(|at| {
        let (before, after) = (&text[..at], &text[at + 6..]);
        let digits = after.bytes().take_while(u8::is_ascii_digit).count();
        let (port, rest) = after.split_at(digits);
        if digits == 0 || digits > 5 || !ends(rest) {
            return None;
        }
        let start = memchr::memrchr(b' ', before.as_bytes()).map_or(0, |space| space + 1);
        let address = &before[start..];
        // The blanks between the user, which may be empty, and the address are the head's.
        let user = before.get(..start)?.strip_suffix(head)?;
        (!address.is_empty()).then_some((user, Client { address, port }, rest))
    })
}

/// Messages in which the address comes before anything that the other side typed:
/// `Received disconnect from 10.0.0.1 port 5:11: bye`, `Connection from … port …`.
fn put_peer_first<'a>(message: &'a str, out: &mut Parsed<'a>) -> bool {
    const HEADS: [&str; 11] = [
        "Received disconnect from ",
        "Did not receive identification string from ",
        "Unable to negotiate with ",
        "Timeout before authentication for connection from ",
        "Timeout before authentication for ",
        "Protocol major versions differ for ",
        "banner exchange: Connection from ",
        "ssh_dispatch_run_fatal: Connection from ",
        "Connection from ",
        "Bad packet length from ",
        "Connection reset by peer ",
    ];
    let Some(rest) = HEADS.iter().find_map(|head| message.strip_prefix(head)) else {
        return false;
    };
    let is_user = |text: &str| {
        text.starts_with("user ")
            || text.starts_with("invalid user ")
            || text.starts_with("authenticating user ")
    };
    if is_user(rest) {
        return false;
    }
    let address = first_word(rest);
    let behind = rest.get(address.len()..).unwrap_or("");
    let Some(port) = behind.strip_prefix(" port ") else {
        // Older: `Received disconnect from 10.0.0.1: 11: bye`.
        out.put("client", address.trim_end_matches([':', ',']));
        return true;
    };
    let digits = port.bytes().take_while(u8::is_ascii_digit).count();
    out.put("client", address);
    out.put("client_port", &port[..digits]);
    true
}

/// Messages that end with the user and the address: `Connection closed by authenticating user bob
/// 10.0.0.1 port 5`, `Disconnecting invalid user bob 10.0.0.1 port 5: Too many …`, `Bad protocol
/// version identification '…' from 10.0.0.1 port 5`, `User bob from host not allowed because …`.
fn put_peer_last<'a>(message: &'a str, out: &mut Parsed<'a>) {
    const HEADS: [&str; 7] = [
        "Connection closed by ",
        "Connection reset by ",
        "Disconnected from ",
        "Disconnecting ",
        "ssh_dispatch_run_fatal: Connection from ",
        "Starting session: ",
        "Close session: ",
    ];
    const KINDS: [&str; 3] = ["invalid user ", "authenticating user ", "user "];
    let ends = |rest: &str| {
        rest.is_empty()
            || rest.starts_with(": Too many authentication failures")
            || rest.starts_with(": Change of username or service not allowed")
            || (rest.starts_with(": ") && message.starts_with("ssh_dispatch_run_fatal"))
            || (rest.starts_with(" id ") && is_number(&rest[4..]))
    };
    if let Some(rest) = HEADS.iter().find_map(|head| message.strip_prefix(head)) {
        if let Some(user) = KINDS.iter().find_map(|kind| rest.strip_prefix(kind)) {
            if let Some((user, client, _)) = peer(user, " ", ends) {
                let at_end = message.starts_with("Close session: ");
                put_user(
                    if at_end {
                        user.strip_suffix(" from").unwrap_or(user)
                    } else {
                        user
                    },
                    out,
                );
                put_client(client, out);
            }
        } else if let Some((user, client, _)) = peer(rest, " from ", ends) {
            if let Some((_, user)) = user.rsplit_once(" for ") {
                put_user(user, out);
            }
            put_client(client, out);
        } else if let Some((_, client, _)) = peer(rest, "", ends) {
            put_client(client, out);
        } else if message.starts_with("Connection ") {
            out.put("client", first_word(rest));
        }
        return;
    }
    if let Some(rest) = message.strip_prefix("User ")
        && let Some((before, _)) = rest.rsplit_once(" not allowed because ")
        && let Some((user, client)) = before.rsplit_once(" from ")
    {
        put_user(user, out);
        out.put("client", client);
        return;
    }
    if let Some((_, rest)) = message
        .strip_prefix("PAM: ")
        .and_then(|rest| rest.split_once(" for "))
        && let Some((user, client)) = without_invalid(rest).rsplit_once(" from ")
    {
        put_user(user, out);
        out.put("client", client);
        return;
    }
    if let Some(user) = message.strip_prefix("input_userauth_request: invalid user ") {
        put_user(user, out);
    }
    if message.starts_with("Bad protocol version identification '")
        && let Some((_, client, _)) = peer(message, " from ", str::is_empty)
    {
        put_client(client, out);
    }
}

fn put_user<'a>(user: &'a str, out: &mut Parsed<'a>) {
    if !user.is_empty() {
        out.user_id = Some(user.into());
    }
}

fn put_client<'a>(client: Client<'a>, out: &mut Parsed<'a>) {
    out.put("client", client.address);
    out.put("client_port", client.port);
}

/// `pam_succeed_if(sshd:auth): requirement … not met by user "root"`, `… rhost=10.0.2.2  user=root`.
fn put_pam<'a>(message: &'a str, out: &mut Parsed<'a>) {
    if let Some((_, rest)) = message.split_once(" rhost=") {
        let client = first_word(rest);
        out.put("client", client);
        // The user comes last and is typed by the stranger.
        if let Some((_, user)) = rest[client.len()..].split_once(" user=") {
            put_user(user, out);
        }
        return;
    }
    let user = match message.split_once(" by user \"") {
        Some((_, user)) => user
            .strip_suffix('"')
            .or_else(|| Some(user.rsplit_once('"')?.0))
            .unwrap_or(user),
        None => message.rsplit_once(" user=").map_or("", |(_, user)| user),
    };
    put_user(user, out);
}

/// `vagrant : [error ; ]TTY=pts/0 ; PWD=/home/vagrant ; USER=root ; COMMAND=/bin/ls`.
fn put_sudo<'a>(message: &'a str, out: &mut Parsed<'a>) {
    let Some((user, rest)) = message.split_once(" : ") else {
        return;
    };
    // The command comes last and may hold anything.
    let Some((fields, command)) = rest
        .strip_prefix("COMMAND=")
        .map(|command| ("", command))
        .or_else(|| rest.split_once(" ; COMMAND="))
        .filter(|_| !user.trim().is_empty())
    else {
        return;
    };
    out.user_id = Some(user.trim().into());
    for field in fields
        .split(" ; ")
        .map(|field| field.trim_matches([' ', ';']))
    {
        match field.split_once('=') {
            Some(("TTY", value)) => out.put("sudo_tty", value),
            Some(("PWD", value)) => out.put("sudo_pwd", value),
            Some(("USER", value)) => out.put("sudo_user", value),
            Some(("GROUP", value)) => out.put("sudo_group", value),
            Some(_) => {}
            None => out.put("sudo_error", field),
        }
    }
    out.put("sudo_command", command);
}

/// `new user: name=apache, UID=48, GID=48, home=/usr/share/httpd, shell=/sbin/nologin`.
fn put_account<'a>(message: &'a str, head: &str, out: &mut Parsed<'a>) {
    let Some(rest) = message.strip_prefix(head) else {
        return;
    };
    let of_group = head == "new group: ";
    for field in rest.split(", ") {
        match field.split_once('=') {
            Some(("name", value)) if of_group => out.put("group_name", value),
            Some(("name", value)) if !value.is_empty() => out.user_id = Some(value.into()),
            Some(("UID", value)) => out.put("uid", value),
            Some(("GID", value)) => out.put("gid", value),
            Some(("home", value)) => out.put("home", value),
            Some(("shell", value)) => out.put("shell", value),
            _ => {}
        }
    }
}

fn first_word(text: &str) -> &str {
    text.split_once(' ').map_or(text, |(word, _)| word)
}

#[cfg(test)]
mod tests;
