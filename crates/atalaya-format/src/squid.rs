//! Native access log of Squid: `time elapsed client code/status bytes method URL user hierarchy/peer
//! type`, times in seconds since 1970 and milliseconds.
//!
//! Names: `client`, `cache_result` (`TCP_MISS`), `status` (000 when nothing was sent), `bytes`,
//! `method`, `path` (the URL), `hierarchy`, `upstream` (the peer), `content_type`, `rest`.
//!
//! Source: <https://wiki.squid-cache.org/Features/LogFormat#squid-native-accesslog-format>.

use atalaya_domain::record::{Layer, Level};

use super::web::{self, Scan};
use super::{Begins, Format, FormatMismatch, FormatSpec, Lines, Opens, Parsed, TimeHint, time};

#[derive(Clone, Copy, Debug)]
pub struct Squid;

impl Format for Squid {
    fn spec(&self) -> &'static FormatSpec {
        static SPEC: FormatSpec = FormatSpec {
            name: "squid-access",
            source: "squid/access",
            layer: Layer::Infrastructure,
            begins: Begins::DIGITS,
            lines: Lines::One,
            traces: false,
            named_ids: false,
        };
        &SPEC
    }

    fn opens(&self, line: &str) -> Opens {
        match line.as_bytes() {
            [_, _, _, _, _, _, _, _, _, _, b'.', _, _, _, b' ', ..] => Opens::Parsed,
            _ => Opens::No,
        }
    }

    fn parse<'a>(
        &self,
        text: &'a str,
        hint: &TimeHint,
        out: &mut Parsed<'a>,
    ) -> Result<(), FormatMismatch> {
        parse(text, hint, out).ok_or_else(|| self.mismatch("not the native line of Squid"))
    }
}

fn parse<'a>(text: &'a str, hint: &TimeHint, out: &mut Parsed<'a>) -> Option<()> {
    let cut = time::epoch(text, hint)?;
    let mut scan = Scan(cut.rest.trim_start_matches(' '));
    let elapsed = scan.token().filter(|elapsed| web::is_number(elapsed))?;
    let client = scan.token().filter(|client| !client.is_empty())?;
    let (result, status) = scan.token()?.split_once('/')?;
    let number = web::status_of(status)?;
    let is_result = result
        .bytes()
        .all(|byte| byte.is_ascii_uppercase() || byte == b'_');
    let bytes = scan.token().filter(|bytes| web::is_number(bytes))?;
    let requested = scan.0;
    let method = scan.token().filter(|method| web::is_method(method))?;
    let (url, user, peer, kind) = tail(&mut scan)?;
    if result.is_empty() || !is_result {
        return None;
    }
    out.set_time(cut.instant);
    out.zoned = true;
    out.duration_ms = elapsed.parse().ok();
    out.level = Level::from_http_status(number);
    out.message = requested.get(..method.len() + 1 + url.len())?.into();
    web::put_client(client, out);
    out.put("cache_result", result);
    out.put("status", status);
    out.put("bytes", bytes);
    out.put("method", method);
    out.put("path", url);
    if user != "-" {
        out.user_id = Some(user.into());
    }
    out.put("hierarchy", peer.0);
    out.put("upstream", peer.1);
    out.put("content_type", kind);
    out.put("rest", scan.0);
    Some(())
}

/// URL, user, hierarchy with peer, and type. A URL has no blanks, unless Squid was told to leave
/// them; then the hierarchy tells where it ends.
fn tail<'a>(scan: &mut Scan<'a>) -> Option<(&'a str, &'a str, (&'a str, &'a str), &'a str)> {
    let whole = scan.0;
    let mut words = *scan;
    let mut end = 0;
    loop {
        let word = words.token()?;
        let after = words;
        let mut next = words;
        let (user, peer) = (next.token()?, next.token()?);
        end += word.len();
        if let Some((hierarchy, peer)) = peer.split_once('/')
            && !hierarchy.is_empty()
            && hierarchy
                .bytes()
                .all(|byte| byte.is_ascii_uppercase() || byte == b'_')
        {
            let kind = next.token().unwrap_or("");
            *scan = next;
            return Some((&whole[..end], user, (hierarchy, peer), kind));
        }
        end += 1;
        words = after;
    }
}

#[cfg(test)]
mod tests;
