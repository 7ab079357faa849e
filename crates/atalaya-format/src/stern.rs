//! Lines of several pods in one output: `kubectl logs --prefix` (`[pod/web-7d9f/app] text`),
//! kubetail (`[web-6f9c7d5b8-x2x9z app] text`) and stern with a bar (`web-7d9f › app │ text`).
//!
//! Stern's own form, `pod container text`, has nothing that tells it from words.
//!
//! Source: <https://kubernetes.io/docs/reference/kubectl/generated/kubectl_logs/>,
//! <https://github.com/stern/stern>, <https://github.com/johanhaleby/kubetail>.

use super::{
    Begins, Envelope, FormatMismatch, FormatSpec, Inside, Lines, Parsed, TimeHint, stream_of, time,
};
use atalaya_domain::record::Layer;

/// `pod-prefix`.
#[derive(Clone, Copy, Debug)]
pub struct PodPrefix;

impl Envelope for PodPrefix {
    fn spec(&self) -> &'static FormatSpec {
        static SPEC: FormatSpec = FormatSpec {
            name: "pod-prefix",
            source: "kubernetes",
            layer: Layer::Application,
            begins: Begins::LETTERS.or(Begins::these(b"[")),
            lines: Lines::Trace,
            traces: true,
            named_ids: true,
        };
        &SPEC
    }

    fn open<'a>(
        &self,
        line: &'a str,
        hint: &TimeHint,
        out: &mut Parsed<'a>,
    ) -> Result<Inside, FormatMismatch> {
        let (pod, container, text) = match line.strip_prefix('[') {
            Some(rest) => bracketed(rest),
            None => barred(line),
        }
        .ok_or_else(|| self.mismatch("no pod in front"))?;
        out.put("pod", pod);
        if !container.is_empty() {
            out.logger = Some(container.into());
        }
        out.message = match stamp(text, hint) {
            Some(cut) => {
                out.set_time(cut.instant);
                out.zoned = true;
                cut.rest.strip_prefix(' ').unwrap_or(cut.rest)
            }
            None => text,
        }
        .into();
        Ok(Inside::line(stream_of(&[pod, container]), false))
    }
}

/// The stamp of `--timestamps`: nine decimals.
fn stamp<'a>(text: &'a str, hint: &TimeHint) -> Option<time::Cut<'a>> {
    let bytes = text.as_bytes();
    let nine = bytes.get(10) == Some(&b'T') && bytes.get(28).is_some_and(u8::is_ascii_digit);
    if nine { time::iso(text, hint) } else { None }
}

/// Names of pods are not longer.
const LONGEST: usize = 253;

fn is_name(word: &str) -> bool {
    !word.is_empty()
        && word.len() <= LONGEST
        && word.bytes().all(|byte| {
            byte.is_ascii_lowercase() || byte.is_ascii_digit() || matches!(byte, b'-' | b'.')
        })
}

/// The name of a pod that a deployment made: `web-6f9c7d5b8-x2x9z`.
fn is_pod(word: &str) -> bool {
    let mut parts = word.rsplitn(3, '-');
    let (Some(random), Some(hash), Some(name)) = (parts.next(), parts.next(), parts.next()) else {
        return false;
    };
    // The letters that Kubernetes makes names of: no vowels, nothing that looks like another.
    let of_names = |text: &str| {
        text.bytes()
            .all(|byte| b"bcdfghjklmnpqrstvwxz2456789".contains(&byte))
    };
    is_name(name)
        && random.len() == 5
        && of_names(random)
        && (6..=10).contains(&hash.len())
        && is_name(hash)
}

/// `pod/web-7d9f/app] text`, `web-6f9c7d5b8-x2x9z app] text`: pod, container, text.
fn bracketed(rest: &str) -> Option<(&str, &str, &str)> {
    let (inside, text) = rest.split_once(']')?;
    let text = if text.is_empty() {
        text
    } else {
        text.strip_prefix(' ')?
    };
    if let Some(names) = inside.strip_prefix("pod/") {
        let (pod, container) = names.split_once('/')?;
        return (is_name(pod) && is_name(container)).then_some((pod, container, text));
    }
    let (pod, container) = inside.split_once(' ').unwrap_or((inside, ""));
    (is_pod(pod) && (container.is_empty() || is_name(container))).then_some((pod, container, text))
}

/// `web-7d9f › app │ text`.
fn barred(line: &str) -> Option<(&str, &str, &str)> {
    // Both signs begin with this byte, which nearly no line has near its start.
    memchr::memchr(0xe2, line.as_bytes().get(..line.len().min(LONGEST))?)?;
    let (head, text) = line.split_once(" │")?;
    let (pod, container) = head.split_once(" › ")?;
    let container = container.trim_ascii();
    let text = text.strip_prefix(' ').unwrap_or(text);
    (is_name(pod) && is_name(container)).then_some((pod, container, text))
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests")]

    use super::super::python::ANY_HINT;
    use super::*;

    #[test]
    fn pods_and_containers() {
        for (line, pod, container, text) in [
            ("[pod/web-7d9f/app] GET /", "web-7d9f", "app", "GET /"),
            (
                "[pod/web-7d9f/app] 2024-05-01T08:00:00.123456789Z GET /",
                "web-7d9f",
                "app",
                "GET /",
            ),
            (
                "[pod/web-7d9f/app] 2024-05-01T08:00:00Z GET /",
                "web-7d9f",
                "app",
                "2024-05-01T08:00:00Z GET /",
            ),
            (
                "[web-6f9c7d5b8-x2x9z] GET /",
                "web-6f9c7d5b8-x2x9z",
                "",
                "GET /",
            ),
            (
                "[web-6f9c7d5b8-x2x9z app] GET /",
                "web-6f9c7d5b8-x2x9z",
                "app",
                "GET /",
            ),
            ("web-0 › app │ GET /", "web-0", "app", "GET /"),
        ] {
            let mut out = Parsed::default();
            PodPrefix.open(line, &ANY_HINT, &mut out).unwrap();
            assert_eq!(
                (out.logger.as_deref().unwrap_or(""), out.message.as_ref()),
                (container, text),
                "{line}"
            );
            assert_eq!(out.metadata, [("pod".into(), pod.into())]);
        }
        for line in [
            "[main] x",
            "[http-nio-8080-exec-1] x",
            "[pool-1-thread-12345] x",
            "[pod/web] x",
            "[pod/web/app]x",
            "+ web-0 › app",
            "web-0 app x",
            "a │ b",
            "[",
        ] {
            assert!(
                PodPrefix
                    .open(line, &ANY_HINT, &mut Parsed::default())
                    .is_err(),
                "{line}"
            );
        }
    }
}
