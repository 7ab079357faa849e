//! A server that speaks like GitHub about a made-up repository, as unfriendly as a test wants it.

use std::io::{BufRead as _, BufReader, Write as _};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex};

use serde_json::{Value, json};

use super::world::World;
use crate::heads;

/// One request as it came.
#[derive(Clone, Debug)]
pub struct Got {
    /// Path and query.
    pub place: String,
    pub head: String,
}

impl Got {
    pub fn header(&self, name: &str) -> Option<&str> {
        heads::header(&self.head, name)
    }

    fn query(&self, name: &str) -> Option<&str> {
        let (_, query) = self.place.split_once('?')?;
        query.split('&').find_map(|pair| {
            let (known, value) = pair.split_once('=')?;
            (known == name).then_some(value)
        })
    }
}

/// What it does in place of an answer.
#[derive(Clone, Debug)]
pub enum Fault {
    /// Status line, further headers (each with its line end) and body.
    Http(&'static str, String, String),
    /// Says how long the answer is and sends the half.
    Half,
    /// Half of the answer without a word about its length.
    HalfOpen,
    HangUp,
    /// The right answer, with a further link to the next page.
    NextAt(String),
}

pub fn http(status: &'static str, headers: &str) -> Fault {
    Fault::Http(
        status,
        headers.to_owned(),
        json!({"message": "no"}).to_string(),
    )
}

type Script = Box<dyn FnMut(&Got, usize, &mut World) -> Option<Fault> + Send>;

struct State {
    world: World,
    got: Vec<Got>,
    script: Script,
}

/// Listens on this machine until the test process ends.
#[derive(Clone)]
pub struct Github {
    port: u16,
    state: Arc<Mutex<State>>,
}

impl Github {
    pub fn start(world: World) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let github = Self {
            port: listener.local_addr().unwrap().port(),
            state: Arc::new(Mutex::new(State {
                world,
                got: Vec::new(),
                script: Box::new(|_, _, _| None),
            })),
        };
        let (state, port) = (Arc::clone(&github.state), github.port);
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let state = Arc::clone(&state);
                std::thread::spawn(move || serve(stream, &state, port));
            }
        });
        github
    }

    pub fn url(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }

    /// From now on this is asked before each answer: with the request, how many came before it
    /// since now, and the world, which it may change.
    pub fn script(
        &self,
        script: impl FnMut(&Got, usize, &mut World) -> Option<Fault> + Send + 'static,
    ) {
        let mut state = self.state.lock().unwrap();
        state.got.clear();
        state.script = Box::new(script);
    }

    pub fn friendly(&self) {
        self.script(|_, _, _| None);
    }

    pub fn got(&self) -> Vec<Got> {
        self.state.lock().unwrap().got.clone()
    }

    pub fn world<T>(&self, change: impl FnOnce(&mut World) -> T) -> T {
        change(&mut self.state.lock().unwrap().world)
    }
}

fn serve(stream: TcpStream, state: &Mutex<State>, port: u16) {
    let mut reader = BufReader::new(stream);
    let mut head = String::new();
    loop {
        let mut line = String::new();
        match reader.read_line(&mut line) {
            Ok(0) | Err(_) => return,
            Ok(_) if line == "\r\n" => break,
            Ok(_) => head.push_str(&line),
        }
    }
    let place = head.split(' ').nth(1).unwrap_or_default().to_owned();
    let got = Got { place, head };
    let answer = {
        let mut guard = state.lock().unwrap();
        let State {
            world,
            got: all,
            script,
        } = &mut *guard;
        let before = all.len();
        all.push(got.clone());
        let fault = script(&got, before, world);
        let (status, headers, body) = answer(&got, world, port);
        match fault {
            None => framed(status, &headers, &body),
            Some(Fault::Http(status, headers, body)) => framed(status, &headers, &body),
            Some(Fault::NextAt(url)) => {
                framed(status, &format!("Link: <{url}>; rel=\"next\"\r\n"), &body)
            }
            Some(Fault::HangUp) => Vec::new(),
            Some(Fault::Half) => {
                let whole = framed(status, &headers, &body);
                whole[..whole.len() - body.len().div_ceil(2)].to_vec()
            }
            Some(Fault::HalfOpen) => {
                let half = body
                    .chars()
                    .take(body.chars().count() / 2)
                    .collect::<String>();
                format!("HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n{half}").into_bytes()
            }
        }
    };
    let stream = reader.get_mut();
    let _ = stream.write_all(&answer);
    let _ = stream.flush();
}

fn framed(status: &str, headers: &str, body: &str) -> Vec<u8> {
    format!(
        "HTTP/1.1 {status}\r\n{headers}Content-Length: {}\r\nConnection: close\r\n\r\n{body}",
        body.len()
    )
    .into_bytes()
}

/// Status line, headers and body.
fn answer(got: &Got, world: &World, port: u16) -> (&'static str, String, String) {
    let path = got.place.split('?').next().unwrap_or_default();
    let Some(rest) = path.strip_prefix("/repos/acme/shop/") else {
        return missing();
    };
    let parts: Vec<&str> = rest.split('/').collect();
    let whole = match parts.as_slice() {
        ["deployments"] => Some((None, world.deployments())),
        ["deployments", id, "statuses"] => world.statuses(id).map(|list| (None, list)),
        ["actions", "workflows", "deploy.yml", "runs"] => {
            Some((Some("workflow_runs"), world.runs()))
        }
        ["actions", "runs", id, "jobs"] => world.jobs(id).map(|list| (Some("jobs"), list)),
        ["issues"] => Some((
            None,
            world.issues(got.query("labels").unwrap(), got.query("since").unwrap()),
        )),
        ["pulls"] => Some((None, world.pulls())),
        ["pulls", number, "commits"] => world.pull_commits(number).map(|list| (None, list)),
        ["pulls", number, "reviews"] => world.reviews(number).map(|list| (None, list)),
        ["compare", range] => world.compare(range).map(|list| (Some("commits"), list)),
        ["actions", "runs", id] => return one(got, world.run(id)),
        ["commits", sha] => return one(got, world.commit(sha)),
        _ => None,
    };
    let Some((field, list)) = whole else {
        return missing();
    };
    let size: usize = got.query("per_page").unwrap().parse().unwrap();
    let size = size.min(world.page_size);
    let page: usize = got.query("page").map_or(1, |page| page.parse().unwrap());
    let things: Vec<Value> = list
        .iter()
        .skip((page - 1) * size)
        .take(size)
        .cloned()
        .collect();
    let mut headers = String::new();
    if page * size < list.len() {
        let base = got.place.split("&page=").next().unwrap_or_default();
        headers = format!(
            "Link: <http://127.0.0.1:{port}{base}&page={}>; rel=\"next\", <http://127.0.0.1:{port}{base}&page=99>; rel=\"last\"\r\n",
            page + 1
        );
    }
    let body = match field {
        None => Value::Array(things),
        Some("commits") => {
            let range = parts[1];
            json!({"commits": things, "merge_base_commit": world.joint(range)})
        }
        Some(field) => json!({"total_count": list.len(), field: things}),
    };
    tagged(got, &headers, &body)
}

fn one(got: &Got, thing: Option<Value>) -> (&'static str, String, String) {
    match thing {
        Some(thing) => tagged(got, "", &thing),
        None => missing(),
    }
}

fn tagged(got: &Got, headers: &str, body: &Value) -> (&'static str, String, String) {
    let body = body.to_string();
    let hash = hash_of(&format!("{headers}{body}"));
    let etag = format!("\"{hash}\"");
    let headers = format!("{headers}ETag: {etag}\r\nX-RateLimit-Remaining: 4999\r\n");
    if got.header("if-none-match") == Some(&etag) {
        return ("304 Not Modified", headers, String::new());
    }
    ("200 OK", headers, body)
}

fn missing() -> (&'static str, String, String) {
    (
        "404 Not Found",
        String::new(),
        json!({"message": "Not Found"}).to_string(),
    )
}

fn hash_of(text: &str) -> String {
    use std::hash::{DefaultHasher, Hash as _, Hasher as _};
    let mut hasher = DefaultHasher::new();
    text.hash(&mut hasher);
    format!("{:016x}", hasher.finish())
}
