//! What `sshd`, `sudo`, `useradd` and `groupadd` say in their messages about who did what, as
//! metadata. The message itself stays whole.

use super::Parsed;

/// Reads a message of one of these processes; any other is left alone.
pub fn put<'a>(process: &str, message: &'a str, out: &mut Parsed<'a>) {
    match process {
        "sshd" | "sshd-session" => put_ssh(message, out),
        "sudo" => put_sudo(message, out),
        "useradd" => put_account(message, "new user: ", out),
        "groupadd" => put_account(message, "new group: ", out),
        _ => {}
    }
}

/// `Accepted publickey for vagrant from 10.0.2.2 port 63673 ssh2: RSA …`, `Failed password for
/// [invalid user ]root from …`, `Invalid user test from …`, `Did not receive identification …`.
fn put_ssh<'a>(message: &'a str, out: &mut Parsed<'a>) {
    if let Some(address) = message.strip_prefix("Did not receive identification string from ") {
        out.put("client", first_word(address));
        return;
    }
    if message.starts_with("pam_") || message.starts_with("PAM ") {
        put_pam(message, out);
        return;
    }
    let Some((event, rest)) = message.split_once(' ') else { return };
    let rest = match event {
        "Accepted" | "Failed" => {
            let Some((method, rest)) = rest.split_once(" for ") else { return };
            if method.contains(' ') {
                return;
            }
            out.put("ssh_event", event);
            out.put("ssh_method", method);
            rest.strip_prefix("invalid user ").unwrap_or(rest)
        }
        "Invalid" => {
            let Some(rest) = rest.strip_prefix("user ") else { return };
            out.put("ssh_event", event);
            rest
        }
        _ => return,
    };
    let Some((user, rest)) = rest.split_once(" from ") else { return };
    if !user.is_empty() {
        out.user_id = Some(user.into());
    }
    out.put("client", first_word(rest));
    if let Some((_, rest)) = rest.split_once(" port ") {
        out.put("client_port", first_word(rest));
        if let Some((_, signature)) = rest.split_once(": ") {
            out.put("ssh_signature", signature);
        }
    }
}

/// `pam_succeed_if(sshd:auth): requirement … not met by user "root"`, `… rhost=10.0.2.2  user=root`.
fn put_pam<'a>(message: &'a str, out: &mut Parsed<'a>) {
    let user = match message.split_once(" by user \"") {
        Some((_, user)) => user.split_once('"').map_or(user, |(user, _)| user),
        None => message.rsplit_once(" user=").map_or("", |(_, user)| first_word(user)),
    };
    if !user.is_empty() {
        out.user_id = Some(user.into());
    }
    if let Some((_, client)) = message.split_once(" rhost=") {
        out.put("client", first_word(client));
    }
}

/// `vagrant : [error ; ]TTY=pts/0 ; PWD=/home/vagrant ; USER=root ; COMMAND=/bin/ls`.
fn put_sudo<'a>(message: &'a str, out: &mut Parsed<'a>) {
    let Some((user, rest)) = message.split_once(" : ") else { return };
    if user.trim().is_empty() || !rest.contains("COMMAND=") {
        return;
    }
    out.user_id = Some(user.trim().into());
    // The command comes last and may hold anything.
    let (fields, command) = rest.split_once("COMMAND=").unwrap_or((rest, ""));
    for field in fields.split(" ; ").map(|field| field.trim_matches([' ', ';'])) {
        match field.split_once('=') {
            Some(("TTY", value)) => out.put("sudo_tty", value),
            Some(("PWD", value)) => out.put("sudo_pwd", value),
            Some(("USER", value)) => out.put("sudo_user", value),
            Some(_) => {}
            None => out.put("sudo_error", field),
        }
    }
    out.put("sudo_command", command);
}

/// `new user: name=apache, UID=48, GID=48, home=/usr/share/httpd, shell=/sbin/nologin`.
fn put_account<'a>(message: &'a str, head: &str, out: &mut Parsed<'a>) {
    let Some(rest) = message.strip_prefix(head) else { return };
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
