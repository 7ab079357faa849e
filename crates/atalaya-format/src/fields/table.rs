//! The table of names.

use super::levels::Scale;
use super::names::{Found, ID_STEP, LONGEST, Note, Slot, folded};
use super::shape::Shape;

/// Ranks of the status that Traefik gave, and of the one that it got.
pub(super) const DOWNSTREAM: u16 = 0;
pub(super) const ORIGIN: u16 = 5;

/// What an undotted name stands for (or a dotted one that is known as a whole).
///
/// Sources: the documentation of the loggers named, and the samples of the shared test data.
#[rustfmt::skip]
#[expect(clippy::match_same_arms, reason = "a line for each kind of name is found sooner")]
pub(super) fn direct(name: &str) -> Option<Found> {
    let mut buffer = [0; LONGEST];
    let key = folded(name, &mut buffer)?;
    // By length first: most names are metadata, and this finds that out in few comparisons.
    let found = match key.len() {
        1 => match key {
            "t" => (Slot::Time, 4),
            "m" if name == "@m" || name == "M" => (Slot::Message, 4),
            "l" if name == "@l" || name == "L" => (Slot::Level(Scale::Usual), 6),
            "s" => (Slot::Level(Scale::Mongo), 8),
            "x" if name == "@x" => (Slot::Trace, 2),
            _ => return None,
        },
        2 => match key {
            "ts" => (Slot::Time, 2),
            "mt" if name == "@mt" => (Slot::Message, 6),
            _ => return None,
        },
        3 => match key {
            "msg" => (Slot::Message, 1),
            "lvl" => (Slot::Level(Scale::Usual), 2),
            "sev" => (Slot::Level(Scale::Severity), 5),
            "rid" => (Slot::Request(Shape::Whole), 3 * ID_STEP + 8),
            "uri" | "url" => (Slot::Noted(Note::Path), 1),
            _ => return None,
        },
        4 => match key {
            "time" => (Slot::Time, 1),
            "date" => (Slot::Time, 6),
            "name" => (Slot::Logger, 3),
            "text" | "body" => (Slot::Message, 7),
            // Nginx's seconds with milliseconds, and others' epochs.
            "msec" | "tsms" | "tsns" => (Slot::Time, 6),
            "took" => (Slot::Duration(0.0), 3),
            // syslog-ng; in other spellings it may be a header of HTTP.
            "host" if name == "HOST" => (Slot::Noted(Note::Host), 1),
            "path" => (Slot::Noted(Note::Path), 2),
            _ => return None,
        },
        5 => match key {
            "level" => (Slot::Level(Scale::Usual), 1),
            "event" => (Slot::Message, 2),
            "epoch" => (Slot::Time, 6),
            "spans" => (Slot::Noted(Note::Spans), 0),
            "reqid" => (Slot::Request(Shape::Whole), ID_STEP),
            "stack" => (Slot::Trace, 3),
            "tdate" if name == "t.$date" => (Slot::Time, 4),
            "usrid" => (Slot::User, 2 * ID_STEP),
            "trace" => (Slot::Request(Shape::Google), 7 * ID_STEP),
            _ => return None,
        },
        6 => match key {
            "logger" => (Slot::Logger, 0),
            "caller" => (Slot::Logger, 5),
            "target" => (Slot::Logger, 3),
            "userid" => (Slot::User, 0),
            "tookms" => (Slot::Duration(1.0), 1),
            "millis" => (Slot::Duration(1.0), 2),
            "method" => (Slot::Noted(Note::Method), 1),
            "status" => (Slot::Noted(Note::Status), 2),
            "module" if name == "@module" => (Slot::Logger, 1),
            "scopes" => (Slot::Noted(Note::Spans), 1),
            "result" => (Slot::Noted(Note::Status), 12),
            "requrl" => (Slot::Noted(Note::Path), 1),
            _ => return None,
        },
        7 => match key {
            "message" => (Slot::Message, 0),
            "asctime" => (Slot::Time, 2),
            "logtime" | "logdate" => (Slot::Time, 3),
            "channel" => (Slot::Logger, 4),
            "traceid" => (Slot::Request(Shape::Whole), 5 * ID_STEP),
            "elapsed" | "latency" => (Slot::Duration(0.0), 3),
            "service" => (Slot::Duration(0.0), 5),
            "excinfo" | "exctext" => (Slot::Trace, 1),
            "levelno" => (Slot::Level(Scale::Python), 9),
            "outcome" => (Slot::Noted(Note::Status), 11),
            "request" => (Slot::Noted(Note::Path), 5),
            "reqpath" | "urlpath" | "httpurl" => (Slot::Noted(Note::Path), 2),
            _ => return None,
        },
        8 => match key {
            // Bunyan, pino; `host.name` of ECS.
            "hostname" => (Slot::Noted(Note::Host), 0),
            "computer" if name == "Computer" => (Slot::Noted(Note::Host), 1),
            "datetime" => (Slot::Time, 3),
            "severity" => (Slot::Level(Scale::Severity), 4),
            "loglevel" if name == "LogLevel" => (Slot::Level(Scale::DotNet), 3),
            "loglevel" => (Slot::Level(Scale::Usual), 3),
            "intlevel" | "levelint" => (Slot::Level(Scale::Log4j), 9),
            "levelstr" => (Slot::Level(Scale::Usual), 3),
            "duration" => (Slot::Duration(0.0), 3),
            "errstack" => (Slot::Trace, 0),
            "category" if name == "Category" => (Slot::Logger, 4),
            "priority" if name == "PRIORITY" => (Slot::Level(Scale::Severity), 5),
            "startutc" => (Slot::Time, 4),
            "csmethod" => (Slot::Noted(Note::Method), 2),
            "scstatus" => (Slot::Noted(Note::Status), 2),
            "httppath" => (Slot::Noted(Note::Path), 3),
            _ => return suffixed(name, key),
        },
        9 => match key {
            "timestamp" => (Slot::Time, 0),
            "eventtime" => (Slot::Time, 3),
            "startedat" | "starttime" | "createdat" => (Slot::Time, 7),
            "timelocal" | "localtime" => (Slot::Time, 5),
            "levelname" => (Slot::Level(Scale::Usual), 0),
            "leveltext" => (Slot::Level(Scale::Usual), 2),
            "loglogger" => (Slot::Logger, 1),
            "requestid" => (Slot::Request(Shape::Whole), 0),
            "sessionid" => (Slot::Session, 0),
            "exception" => (Slot::Trace, 4),
            "traceback" => (Slot::Trace, 0),
            "backtrace" => (Slot::Trace, 1),
            "timetaken" => (Slot::Duration(0.0), 3),
            "enduserid" => (Slot::User, ID_STEP),
            "reqmethod" => (Slot::Noted(Note::Method), 1),
            "resstatus" => (Slot::Noted(Note::Status), 1),
            "csuristem" => (Slot::Noted(Note::Path), 2),
            _ => return suffixed(name, key),
        },
        10 => match key {
            "loggername" => (Slot::Logger, 1),
            "stacktrace" | "errorstack" => (Slot::Trace, 0),
            "timemillis" => (Slot::Time, 3),
            "startlocal" => (Slot::Time, 8),
            "jsessionid" => (Slot::Session, ID_STEP),
            "logmessage" => (Slot::Message, 3),
            "levelvalue" => (Slot::Level(Scale::Usual), 9),
            "httpmethod" => (Slot::Noted(Note::Method), 1),
            "httpstatus" => (Slot::Noted(Note::Status), 1),
            "statuscode" => (Slot::Noted(Note::Status), 1),
            "requesturi" | "requesturl" => (Slot::Noted(Note::Path), 0),
            "httptarget" => (Slot::Noted(Note::Path), 3),
            _ => return suffixed(name, key),
        },
        11 => match key {
            "textpayload" => (Slot::Message, 1),
            "elapsedtime" => (Slot::Duration(0.0), 3),
            "fullmessage" => (Slot::LongText, 5),
            "timeiso8601" => (Slot::Time, 3),
            "timegenerated" | "timecreated" => (Slot::Time, 4),
            "machinename" => (Slot::Noted(Note::Host), 1),
            "levelnumber" => (Slot::Level(Scale::Python), 9),
            "traceparent" => (Slot::Request(Shape::Traceparent), 6 * ID_STEP),
            "ubertraceid" => (Slot::Request(Shape::Jaeger), 6 * ID_STEP),
            // Seconds with milliseconds, as nginx writes its variable of this name.
            "requesttime" => (Slot::Duration(1000.0), 3),
            "requestpath" => (Slot::Noted(Note::Path), 0),
            "requestline" => (Slot::Noted(Note::Path), 5),
            "urloriginal" => (Slot::Noted(Note::Path), 1),
            _ => return suffixed(name, key),
        },
        12 => match key {
            "shortmessage" => (Slot::Message, 3),
            "severitycode" => (Slot::Level(Scale::Severity), 6),
            "severitytext" | "severityname" => (Slot::Level(Scale::Usual), 4),
            "timeunixnano" => (Slot::Time, 1),
            // Pino's and Kibana's camel case is documented as milliseconds; other spellings are not.
            "responsetime" if name == "responseTime" => (Slot::Duration(1.0), 2),
            "responsetime" => (Slot::Duration(0.0), 3),
            "errorverbose" => (Slot::Trace, 4),
            "eventoutcome" => (Slot::Noted(Note::Status), 11),
            "responsecode" => (Slot::Noted(Note::Status), 1),
            "originstatus" => (Slot::Noted(Note::Status), ORIGIN),
            _ => return suffixed(name, key),
        },
        13 => match key {
            "sourcecontext" => (Slot::Logger, 2),
            "eventduration" if name == "event.duration" => (Slot::Duration(0.000_001), 2),
            "executiontime" => (Slot::Duration(0.0), 3),
            "correlationid" => (Slot::Request(Shape::Whole), 4 * ID_STEP),
            "errorseverity" => (Slot::Level(Scale::Usual), 5),
            "requestmethod" => (Slot::Noted(Note::Method), 0),
            _ => return suffixed(name, key),
        },
        14 => match key {
            "severitynumber" => (Slot::Level(Scale::Otel), 6),
            "syslogseverity" => (Slot::Level(Scale::Severity), 5),
            "responsestatus" => (Slot::Noted(Note::Status), 1),
            "upstreamstatus" => (Slot::Noted(Note::Status), 6),
            _ => return suffixed(name, key),
        },
        15 => match key {
            "messagetemplate" => (Slot::Message, 6),
            "logeventmessage" | "renderedmessage" => (Slot::Message, 1),
            "errorstacktrace" => (Slot::Trace, 0),
            "resresponsetime" => (Slot::Duration(1.0), 3),
            _ => return suffixed(name, key),
        },
        16 => match key {
            "formattedmessage" => (Slot::Message, 1),
            // Windows, as `Get-WinEvent` gives it.
            "leveldisplayname" => (Slot::Level(Scale::Usual), 0),
            "downstreamstatus" => (Slot::Noted(Note::Status), DOWNSTREAM),
            "latenciesrequest" => (Slot::Duration(1.0), 1),
            _ => return suffixed(name, key),
        },
        17 => match key {
            "realtimetimestamp" => (Slot::Time, 3),
            "httprequestmethod" => (Slot::Noted(Note::Method), 0),
            "httprequeststatus" => (Slot::Noted(Note::Status), 1),
            _ => return suffixed(name, key),
        },
        18 if key == "extendedstacktrace" => (Slot::Trace, 0),
        18 if key == "httpresponsestatus" => (Slot::Noted(Note::Status), 1),
        18 if key == "xcloudtracecontext" => (Slot::Request(Shape::CloudContext), 6 * ID_STEP),
        18 if key == "syslogseveritycode" => (Slot::Level(Scale::Severity), 6),
        18 if key == "instantepochsecond" => (Slot::EpochSecond, 5),
        19 if key == "instantnanoofsecond" => (Slot::NanoOfSecond, 0),
        19 if key == "exceptionstacktrace" => (Slot::Trace, 0),
        20 if key == "observedtimeunixnano" => (Slot::Time, 8),
        23 if key == "thrownextendedstacktrace" => (Slot::Trace, 0),
        25 if key == "logginggoogleapiscomtrace" => (Slot::Request(Shape::Google), 5 * ID_STEP),
        _ => return suffixed(name, key),
    };
    Some(found)
}

/// Names known by how they end: ids, codes of a status, durations with a unit.
fn suffixed(name: &str, key: &str) -> Option<Found> {
    if key.ends_with("id") {
        return id(key);
    }
    if key.ends_with("statuscode") {
        // A balancer names its own status and that of the server behind it.
        let rank = if key.starts_with("target") || key.starts_with("upstream") {
            6
        } else {
            3
        };
        return Some((Slot::Noted(Note::Status), rank));
    }
    measured(name, key)
}

/// Ids, which hide behind prefixes: `http.request.id`, `span.user_id`, `invapptracingrequestid`.
fn id(key: &str) -> Option<Found> {
    if let Some(before) = key.strip_suffix("requestid") {
        // A parent's request is another request.
        return (!before.ends_with("parent")).then_some((Slot::Request(Shape::Whole), 2 * ID_STEP));
    }
    if matches!(key, "xreqid" | "requestuuid" | "requestguid" | "httpreqid") {
        return Some((Slot::Request(Shape::Whole), 2 * ID_STEP));
    }
    if matches!(key, "xcorrelationid" | "operationid") {
        return Some((
            Slot::Request(Shape::Whole),
            if key.starts_with('x') { 4 } else { 6 } * ID_STEP,
        ));
    }
    if let Some(before) = key.strip_suffix("traceid") {
        let shape = if before == "xamzn" {
            Shape::Amazon
        } else {
            Shape::Whole
        };
        return matches!(
            before,
            "x" | "xb3"
                | "b3"
                | "dd"
                | "otel"
                | "xamzn"
                | "span"
                | "datadog"
                | "elastic"
                | "apm"
                | "newrelic"
                | "tracing"
                | "root"
                | "request"
                | "log"
        )
        .then_some((Slot::Request(shape), 6 * ID_STEP));
    }
    match key {
        "xuserid" | "currentuserid" | "authuserid" => Some((Slot::User, 2 * ID_STEP)),
        "xsessionid" | "usersessionid" | "httpsessionid" => Some((Slot::Session, 2 * ID_STEP)),
        _ => None,
    }
}

/// Durations whose name ends in a unit: `duration_ms`, `elapsedSeconds`, `latency_us`.
fn measured(name: &str, key: &str) -> Option<Found> {
    const STEMS: [&str; 21] = [
        "duration",
        "durationin",
        "elapsed",
        "elapsedtime",
        "elapsedin",
        "took",
        "latency",
        "responsetime",
        "responselatency",
        "requesttime",
        "requestduration",
        "requestlatency",
        "responseduration",
        "httpduration",
        "queryduration",
        "querytime",
        "executiontime",
        "processingtime",
        "totaltime",
        "totalduration",
        "eventduration",
    ];
    if !matches!(key.as_bytes().last(), Some(b's' | b'c')) {
        return None;
    }
    let (unit, milliseconds) = STEMS.iter().find_map(|stem| {
        let unit = key.strip_prefix(stem)?;
        let milliseconds = match unit {
            "ms" | "msec" | "millis" | "milliseconds" => 1.0,
            "us" | "usec" | "micros" | "microseconds" => 0.001,
            "ns" | "nsec" | "nanos" | "nanoseconds" => 0.000_001,
            "s" | "sec" | "secs" | "seconds" => 1000.0,
            _ => return None,
        };
        Some((unit, milliseconds))
    })?;
    // `durations` is a plural.
    if unit == "s"
        && !name.ends_with('S')
        && !["_s", "-s", ".s"].iter().any(|end| name.ends_with(end))
    {
        return None;
    }
    // Milliseconds are preferred: most programs that give two units round the others.
    Some((
        Slot::Duration(milliseconds),
        if unit.starts_with("mil") || unit.starts_with("ms") {
            1
        } else {
            2
        },
    ))
}
