//! Access log of Traefik in its common form: the combined line, then the count of requests, the
//! router (1.x: the frontend), the server (1.x: the backend) and the duration in milliseconds.
//!
//! Names: those of [`super::nginx_access`], `request_count`, `router`, `server`.
//!
//! Source: <https://doc.traefik.io/traefik/observability/access-logs/#format>.

use atalaya_domain::record::Layer;

use super::web::{self, Scan};
use super::{Format, FormatMismatch, FormatSpec, Lines, Opens, Parsed, Signs, TimeHint};

#[derive(Clone, Copy, Debug)]
pub struct Traefik;

impl Format for Traefik {
    fn spec(&self) -> &'static FormatSpec {
        static SPEC: FormatSpec = FormatSpec {
            name: "traefik-access",
            source: "traefik/access",
            layer: Layer::Infrastructure,
            begins: web::CLIENT_BEGINS,
            lines: Lines::One,
            traces: false,
            named_ids: false,
        };
        &SPEC
    }

    fn needs(&self) -> Signs {
        Signs::these(b"[")
    }

    fn opens(&self, line: &str) -> Opens {
        if web::has_stamp(line) {
            Opens::Parsed
        } else {
            Opens::No
        }
    }

    fn parse<'a>(
        &self,
        text: &'a str,
        hint: &TimeHint,
        out: &mut Parsed<'a>,
    ) -> Result<(), FormatMismatch> {
        parse(text, hint, out).map_err(|reason| self.mismatch(reason))
    }
}

fn parse<'a>(text: &'a str, hint: &TimeHint, out: &mut Parsed<'a>) -> Result<(), &'static str> {
    const SHORT: &str = "no request count, router, server and duration";
    let common = web::common(text, hint)?;
    if web::put_head(common.head, out)? {
        return Err("a virtual host before the client");
    }
    common.put(out);
    if common.rest.is_empty() {
        return Ok(());
    }
    // An agent may hold quotes, so the fields of Traefik's own are cut from the end.
    let (before, router, server, duration) = tail(common.rest.0).ok_or(SHORT)?;
    let (before, count) = before
        .rsplit_once(' ')
        .filter(|(_, count)| web::is_number(count))
        .ok_or(SHORT)?;
    let mut scan = Scan(before);
    let referrer = scan.quoted_or_token().ok_or("no referrer")?;
    out.put("referrer", referrer);
    out.put(
        "user_agent",
        scan.0
            .strip_prefix('"')
            .and_then(|agent| agent.strip_suffix('"'))
            .unwrap_or(scan.0),
    );
    out.put("request_count", count);
    out.put("router", router);
    out.put("server", server);
    out.duration_ms = duration.parse().ok();
    Ok(())
}

/// Whether the text ends as a line of Traefik does: two fields in quotes and milliseconds.
pub fn is_tail(text: &str) -> bool {
    tail(text).is_some_and(|(before, ..)| {
        before
            .bytes()
            .next_back()
            .is_some_and(|byte| byte.is_ascii_digit())
    })
}

/// Whether a line is Traefik's for sure, told from its end and its quotes: each of the five texts in
/// quotes has its two, and what stands between them is what stands there in each line.
///
/// The formats that are asked before refuse it for its tail, once they have read it.
pub fn is_whole(line: &str) -> bool {
    const QUOTES: usize = 10;
    if !line.ends_with("ms") || memchr::memchr(b'\\', line.as_bytes()).is_some() {
        return false;
    }
    let mut quotes = [0; QUOTES];
    let mut count = 0;
    for at in memchr::memchr_iter(b'"', line.as_bytes()) {
        let Some(place) = quotes.get_mut(count) else {
            return false;
        };
        *place = at;
        count += 1;
    }
    let [
        _,
        request,
        referrer,
        referrer_end,
        agent,
        agent_end,
        router,
        router_end,
        server,
        server_end,
    ] = quotes;
    let between = |from: usize, to: usize| line.get(from + 1..to).unwrap_or("");
    let short_number = |text: &str| web::is_number(text) && text.len() < 16;
    let blanks = |text: &str| memchr::memchr_iter(b' ', text.as_bytes()).count();
    let parted = |text: &str| text.strip_prefix(' ').is_some_and(short_number);
    count == QUOTES
        && blanks(between(request, referrer)) == 3
        && between(referrer_end, agent) == " "
        && between(agent_end, router)
            .strip_suffix(' ')
            .is_some_and(parted)
        && between(router_end, server) == " "
        && between(server_end, line.len())
            .strip_suffix("ms")
            .is_some_and(parted)
}

/// What stands before the last fields; then the router, the server and the milliseconds.
fn tail(text: &str) -> Option<(&str, &str, &str, &str)> {
    let (before, duration) = text.strip_suffix("ms")?.rsplit_once(' ')?;
    if !web::is_number(duration) {
        return None;
    }
    let (before, server) = last_field(before)?;
    let (before, router) = last_field(before)?;
    Some((before, router, server, duration))
}

/// The last field, in quotes or `-`, and what stands before it and its space.
fn last_field(text: &str) -> Option<(&str, &str)> {
    match text.strip_suffix('"') {
        Some(open) => open.rsplit_once(" \""),
        None => text.rsplit_once(' ').filter(|(_, field)| *field == "-"),
    }
}
