//! What stands before the stamp of an access line: virtual host, addresses, identity, user.

use std::net::IpAddr;

use super::super::Parsed;
use super::{Scan, is_address, is_number, split_port};

/// Reads `[vhost] clients identity user` from the left: only the user, which comes last, is typed
/// by a stranger, and may hold blanks, brackets and addresses. `Ok(true)` when a virtual host
/// stands before a single client.
///
/// The clients are one address or name, a list with commas (what proxies pass on), a list in
/// quotes, or such a list and the address of the peer.
pub fn put_head<'a>(head: &'a str, out: &mut Parsed<'a>) -> Result<bool, &'static str> {
    let mut scan = Scan(head);
    let first = list(&mut scan).ok_or("nothing before the time")?;
    // Nearly all lines begin so.
    if let Some(user) = scan.0.strip_prefix("- ")
        && is_plain_v4(first)
    {
        out.put("client", first);
        put_user(user, out);
        return Ok(false);
    }
    if !is_client(first) {
        return Err("no address before the time");
    }
    let mut vhost = "";
    let mut clients = first;
    if next_is_address(scan) {
        if !is_list(first) && first != "-" && !is_address(first) {
            vhost = first;
            clients = list(&mut scan).unwrap_or("");
        }
        while next_is_address(scan) {
            list(&mut scan);
        }
        // Both are cut from `head`, so everything between them is clients.
        let begin = head.len() - head[vhost.len()..].trim_start_matches(' ').len();
        clients = head
            .get(begin..head.len() - scan.0.len())
            .unwrap_or(clients)
            .trim_end_matches(' ');
    } else if let Some(client) = named_client(scan) {
        (vhost, clients) = (first, client);
        scan.token();
    }
    out.put("vhost", vhost);
    put_clients(clients, out);
    let identity = scan.token().unwrap_or("");
    let user = scan.0;
    let is_prose =
        user.contains(' ') || (user.is_empty() && !identity.is_empty() && !is_address(clients));
    if identity != "-" && is_prose {
        return Err("text before the time");
    }
    out.put("identity", identity);
    put_user(user, out);
    Ok(!vhost.is_empty() && !is_list(clients))
}

fn put_user<'a>(user: &'a str, out: &mut Parsed<'a>) {
    if !user.is_empty() && user != "-" {
        out.user_id = Some(user.into());
    }
}

fn is_plain_v4(text: &str) -> bool {
    text.len() >= 7
        && text
            .bytes()
            .all(|byte| byte.is_ascii_digit() || byte == b'.')
}

/// `vhost client.name - user`: a name where the identity would be, and the identity behind it.
fn named_client(mut scan: Scan<'_>) -> Option<&str> {
    let client = scan.token().filter(|client| *client != "-")?;
    (scan.token()? == "-" && !scan.is_empty()).then_some(client)
}

/// One token, the ones that a comma joins to it, or text in quotes.
fn list<'a>(scan: &mut Scan<'a>) -> Option<&'a str> {
    if scan.0.starts_with('"') {
        let whole = scan.0;
        let inside = scan.quoted()?;
        return whole.get(..inside.len() + 2);
    }
    let whole = scan.0;
    let mut token = scan.token()?;
    let mut length = token.len();
    while token.ends_with(',') && !scan.is_empty() {
        token = scan.token()?;
        length += 1 + token.len();
    }
    whole.get(..length)
}

fn is_list(text: &str) -> bool {
    text.contains([',', '"', ' '])
}

fn next_is_address(mut scan: Scan<'_>) -> bool {
    // Nearly always the identity follows, which is `-`.
    if scan.0.starts_with("- ") {
        return false;
    }
    if scan.0.starts_with('"') {
        return scan
            .quoted()
            .is_some_and(|text| text.split([',', ' ']).any(is_address));
    }
    scan.token()
        .is_some_and(|token| is_address(token.trim_end_matches(',')))
}

/// An address, a host's name with or without its port, or a list.
fn is_client(text: &str) -> bool {
    if text.is_empty() {
        return false;
    }
    let mut colons = 0;
    for byte in text.bytes() {
        match byte {
            b':' => colons += 1,
            b',' | b'"' => return true,
            _ if byte.is_ascii_alphanumeric() || byte >= 0x80 => {}
            b'.' | b'-' | b'_' | b'[' | b']' | b'%' | b'*' | b'~' => {}
            _ => return text.starts_with("unix:"),
        }
    }
    match colons {
        0 => true,
        1 => text
            .split_once(':')
            .is_some_and(|(_, port)| port.is_empty() || is_number(port)),
        _ => is_address(text.split('%').next().unwrap_or(text)),
    }
}

/// One client, with its port where it has one.
pub fn put_client<'a>(client: &'a str, out: &mut Parsed<'a>) {
    if let Some((address, port)) = split_port(client)
        && (client.starts_with('[') || !address.contains(':'))
        && is_address(address)
    {
        out.put("client", address);
        out.put("client_port", port);
        return;
    }
    out.put("client", client);
}

/// Client and its proxies: `client` is the first address that is not of a private network (else
/// the first), `addresses` the whole list when there are several.
pub fn put_clients<'a>(list: &'a str, out: &mut Parsed<'a>) {
    if !is_list(list) {
        put_client(list, out);
        return;
    }
    let parts = || {
        list.split([',', ' ', '"'])
            .filter(|part| !part.is_empty() && *part != "-")
    };
    let public = parts().find(|part| {
        part.parse::<IpAddr>()
            .is_ok_and(|address| is_public(&address))
    });
    if let Some(client) = public.or_else(|| parts().next()) {
        put_client(client, out);
    }
    out.put_cow("addresses", parts().collect::<Vec<_>>().join(","));
}

fn is_public(address: &IpAddr) -> bool {
    match address {
        IpAddr::V4(v4) => {
            !(v4.is_private() || v4.is_loopback() || v4.is_link_local() || v4.is_unspecified())
        }
        IpAddr::V6(v6) => {
            !(v6.is_loopback()
                || v6.is_unique_local()
                || v6.is_unicast_link_local()
                || v6.is_unspecified())
        }
    }
}
