//! Access log of Traefik in its common form: the combined line, then the count of requests, the
//! router (frontend), the server (backend) and the duration in milliseconds.
//!
//! Source: <https://doc.traefik.io/traefik/observability/access-logs/#format>.

use crate::domain::record::Layer;

use super::{Begins, Format, FormatMismatch, FormatSpec, Lines, Parsed, TimeHint, web};

#[derive(Clone, Copy, Debug)]
pub struct Traefik;

impl Format for Traefik {
    fn spec(&self) -> &'static FormatSpec {
        static SPEC: FormatSpec = FormatSpec {
            name: "traefik-access",
            source: "traefik/access",
            layer: Layer::Infrastructure,
            begins: Begins::ANY,
            lines: Lines::One,
            traces: false,
            named_ids: false,
        };
        &SPEC
    }

    fn parse<'a>(&self, text: &'a str, hint: &TimeHint, out: &mut Parsed<'a>) -> Result<(), FormatMismatch> {
        parse(text, hint, out).map_err(|reason| self.mismatch(reason))
    }
}

fn parse<'a>(text: &'a str, hint: &TimeHint, out: &mut Parsed<'a>) -> Result<(), &'static str> {
    const SHORT: &str = "no request count, router, server and duration";
    let common = web::common(text, hint)?;
    let mut fields = common.head.split(' ');
    let (client, identity, user) = (fields.next(), fields.next(), fields.next());
    let (Some(client), Some(identity), Some(user), None) = (client, identity, user, fields.next()) else {
        return Err("the line does not begin with client, identity and user");
    };
    out.put("client", client);
    out.put("identity", identity);
    if user != "-" {
        out.user_id = Some(user.into());
    }
    common.put(out);
    let mut scan = common.rest;
    if scan.is_empty() {
        return Ok(());
    }
    web::put_referrer_and_agent(&mut scan, out)?;
    let count = scan.token().filter(|count| count.bytes().all(|byte| byte.is_ascii_digit())).ok_or(SHORT)?;
    out.put("request_count", count);
    out.put("router", scan.quoted_or_token().ok_or(SHORT)?);
    out.put("server", scan.quoted_or_token().ok_or(SHORT)?);
    let duration = scan.token().and_then(|duration| duration.strip_suffix("ms")).ok_or(SHORT)?;
    out.duration_ms = Some(duration.parse().map_err(|_| SHORT)?);
    Ok(())
}
