//! What happens to a request: answered here, refused by name, sent to the servers of its keys, or divided among them.

use std::borrow::Cow;

use bytes::Bytes;
use redis_protocol::resp2::types::{BytesFrame, Resp2Frame};

use super::commands::{Command, Keys};
use super::connection::Coming;
use super::pool::Pool;
use super::reply;
use super::request::Request;
use super::server::UnderWay;

/// A request under way.
#[derive(Debug)]
pub(crate) enum Pending {
    /// Answered.
    Ready(Bytes),
    /// The last answer of this client.
    Last(Bytes),
    /// At the servers of its keys.
    Sent(Sent),
    /// Divided among servers.
    Divided { parts: Vec<Part>, join: Join },
}

/// A request at the servers of its keys.
#[derive(Debug)]
pub(crate) struct Sent {
    pub(crate) request: Request,
    pub(crate) keys: Vec<Bytes>,
    pub(crate) writes: bool,
    /// The servers that were asked, in the order in which they hold the keys.
    pub(crate) asked: Vec<(usize, Coming)>,
    /// Held until it is noted what came of a write.
    pub(crate) under_way: Vec<UnderWay>,
    /// Servers that hold the keys too, for a read that fails.
    pub(crate) others: Vec<usize>,
    /// Why nobody was asked.
    pub(crate) why_none: String,
}

/// One server's part of a divided request.
#[derive(Debug)]
pub(crate) struct Part {
    /// Which of the keys of the whole request it is about.
    pub(crate) places: Vec<usize>,
    pub(crate) sent: Sent,
}

/// How the answers to parts become one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Join {
    /// Each part answers a list, in the order of its keys.
    Lists,
    /// Each part answers a number.
    Sum,
    /// Each part answers `OK`.
    Ok,
}

/// Commands that are divided where their keys lie on several servers.
const DIVIDED: [(&str, Join); 6] = [
    ("mget", Join::Lists),
    ("mset", Join::Ok),
    ("del", Join::Sum),
    ("unlink", Join::Sum),
    ("exists", Join::Sum),
    ("touch", Join::Sum),
];

/// Commands whose outcome differs from server to server, so that two copies would.
const UNREPEATABLE: [&str; 4] = ["spop", "eval", "evalsha", "fcall"];

/// Bytes of a part of a divided request, beside those of its arguments.
const PART_COST: usize = 64;

/// Sends a request on its way.
pub(crate) async fn route(pool: &Pool, request: Request) -> Pending {
    let name = request.name();
    if let Some(answer) = answer_here(&name, &request) {
        return answer;
    }
    let commands = pool.commands();
    if commands.is_empty() {
        return Pending::Ready(reply::error("no server has been reached yet"));
    }
    let Some(command) = commands.get(&name) else {
        let shown = &name[..name.len().min(128)];
        return Pending::Ready(reply::coded_error(
            "ERR",
            &format!("unknown command '{shown}'"),
        ));
    };
    if let Err(refusal) = check(pool, &name, command, &request) {
        return Pending::Ready(refusal);
    }
    if name == "command" {
        return forward_to_any(pool, request).await;
    }
    let positions = match command.keys {
        Keys::Asked => match ask_positions(pool, &request).await {
            Ok(positions) => positions,
            Err(refusal) => return Pending::Ready(refusal),
        },
        keys => keys.positions(&request),
    };
    if positions.is_empty() {
        return Pending::Ready(reply::error(&format!(
            "{} is of no key, and is not answered for several servers at once",
            name.to_ascii_uppercase()
        )));
    }
    route_by_keys(pool, &name, command, request, &positions).await
}

/// Answers what is about the connection and not about keys.
fn answer_here(name: &str, request: &Request) -> Option<Pending> {
    let ready = |bytes| Some(Pending::Ready(bytes));
    let argument = request.arguments.get(1);
    match name {
        "ping" => {
            ready(argument.map_or_else(|| reply::status("PONG"), |text| reply::bulk(text.clone())))
        }
        "echo" if request.arguments.len() == 2 => ready(reply::bulk(request.arguments[1].clone())),
        "quit" => Some(Pending::Last(reply::status("OK"))),
        "select" if request.has_word(1, "0") => ready(reply::status("OK")),
        "select" => ready(reply::error("only database 0 lies on several servers")),
        "hello" if argument.is_none() || request.has_word(1, "2") => ready(reply::hello()),
        "hello" => ready(reply::coded_error(
            "NOPROTO",
            "unsupported protocol version",
        )),
        "client"
            if ["setname", "setinfo"]
                .iter()
                .any(|word| request.has_word(1, word)) =>
        {
            ready(reply::status("OK"))
        }
        "client" => ready(reply::error(
            "of CLIENT only SETNAME and SETINFO are answered",
        )),
        _ => None,
    }
}

/// Refuses what cannot work over several servers.
fn check(pool: &Pool, name: &str, command: &Command, request: &Request) -> Result<(), Bytes> {
    let count = request.arguments.len() as i64;
    let fits = if command.arity < 0 {
        count >= -command.arity
    } else {
        count == command.arity
    };
    if !fits {
        let message = format!("wrong number of arguments for '{name}' command");
        return Err(reply::coded_error("ERR", &message));
    }
    let upper = name.to_ascii_uppercase();
    // `MIGRATE` has a server call whatever address it names.
    if command.is_administration || name == "migrate" {
        return Err(reply::error(&format!(
            "{upper} is for one server; ask it directly"
        )));
    }
    let names_database = || (3..request.arguments.len()).any(|at| request.has_word(at, "db"));
    if name == "move" || name == "copy" && names_database() {
        return Err(reply::error("only database 0 lies on several servers"));
    }
    let waits = !name.starts_with("xread")
        || (0..request.arguments.len()).any(|at| request.has_word(at, "block"));
    if command.blocks && waits {
        return Err(reply::error(&format!(
            "{upper} waits, and would hold up all that share the connection to its server"
        )));
    }
    if pool.copies > 1 && UNREPEATABLE.contains(&name) {
        return Err(reply::error(&format!(
            "{upper} may do something else on each copy"
        )));
    }
    Ok(())
}

async fn forward_to_any(pool: &Pool, request: Request) -> Pending {
    let Some(connection) = pool.any() else {
        return Pending::Ready(reply::error("no server is in"));
    };
    match connection.ask(&request).await {
        Ok(answer) => Pending::Ready(answer.raw),
        Err(lost) => Pending::Ready(reply::error(&lost.to_string())),
    }
}

/// Asks a server where the keys of a request stand.
async fn ask_positions(pool: &Pool, request: &Request) -> Result<Vec<usize>, Bytes> {
    let Some(connection) = pool.any() else {
        return Err(reply::error("no server is in"));
    };
    let words = ["COMMAND", "GETKEYS"].map(str::as_bytes);
    let question = words
        .into_iter()
        .chain(request.arguments.iter().map(|argument| &argument[..]));
    let question = Request::of(question);
    let lease = pool.budget.take(question.cost()).await;
    let lease = lease.map_err(|short| reply::error(&short.to_string()))?;
    let answer = connection.ask(&question.holding(lease)).await;
    let answer = answer.map_err(|lost| reply::error(&lost.to_string()))?;
    let BytesFrame::Array(keys) = answer.frame() else {
        return Err(answer.raw);
    };
    let mut positions = Vec::with_capacity(keys.len());
    for key in &keys {
        let key = key.as_bytes().unwrap_or_default();
        let stands = |at: &usize| request.arguments[*at] == key && !positions.contains(at);
        let at = (1..request.arguments.len()).find(stands);
        positions.extend(at);
    }
    Ok(positions)
}

async fn route_by_keys(
    pool: &Pool,
    name: &str,
    command: &Command,
    request: Request,
    positions: &[usize],
) -> Pending {
    let holders: Vec<Vec<usize>> = positions
        .iter()
        .map(|&at| pool.holders(&request.arguments[at]))
        .collect();
    let keys = || {
        positions
            .iter()
            .map(|&at| request.arguments[at].clone())
            .collect()
    };
    if holders.iter().all(|other| *other == holders[0]) {
        let keys = keys();
        return Pending::Sent(send(pool, request, keys, &holders[0], command.writes).await);
    }
    let Some(&(_, join)) = DIVIDED.iter().find(|(divided, _)| *divided == name) else {
        return Pending::Ready(reply::coded_error(
            "CROSSSLOT",
            &format!(
                "gleaner: the keys of {} lie on several servers; keys with the same {{tag}} lie on one",
                name.to_ascii_uppercase()
            ),
        ));
    };
    let mut groups: Vec<(&Vec<usize>, Vec<usize>)> = Vec::new();
    for (place, holder) in holders.iter().enumerate() {
        match groups.iter_mut().find(|(known, _)| *known == holder) {
            Some((_, places)) => places.push(place),
            None => groups.push((holder, vec![place])),
        }
    }
    // Each part has bytes of its own.
    let mut lease = match pool
        .budget
        .take(request.cost() + PART_COST * groups.len())
        .await
    {
        Ok(lease) => lease,
        Err(short) => return Pending::Ready(reply::error(&short.to_string())),
    };
    let mut parts = Vec::with_capacity(groups.len());
    for (holders, places) in groups {
        let at: Vec<usize> = places.iter().map(|&place| positions[place]).collect();
        let part = part_of(&request, join, &at);
        let cost = part.cost();
        let part = part.holding(lease.split(cost));
        let keys = at.iter().map(|&at| request.arguments[at].clone()).collect();
        let sent = send(pool, part, keys, holders, command.writes).await;
        parts.push(Part { places, sent });
    }
    Pending::Divided { parts, join }
}

/// Returns the same request for the keys that stand at `at`.
fn part_of(request: &Request, join: Join, at: &[usize]) -> Request {
    let values = if join == Join::Ok { 2 } else { 1 };
    let arguments = at
        .iter()
        .flat_map(|&at| &request.arguments[at..(at + values).min(request.arguments.len())]);
    Request::of(std::iter::once(&request.arguments[0]).chain(arguments))
}

/// Sends a request to the servers of its keys: a write to all of them, a read to the first that is in.
pub(crate) async fn send(
    pool: &Pool,
    request: Request,
    keys: Vec<Bytes>,
    holders: &[usize],
    writes: bool,
) -> Sent {
    let mut sent = Sent {
        keys,
        writes,
        asked: Vec::with_capacity(holders.len()),
        under_way: Vec::new(),
        others: Vec::new(),
        why_none: String::new(),
        request,
    };
    if writes {
        send_write(pool, &mut sent, holders).await;
        return sent;
    }
    let mut holders = holders.iter();
    for &at in holders.by_ref() {
        match pool.servers[at].connection() {
            Ok(connection) => {
                let coming = connection.send(sent.request.raw.clone()).await;
                sent.asked.push((at, coming));
                break;
            }
            Err(why) => sent.why_none = out(pool, at, &why).into_owned(),
        }
    }
    sent.others.extend(holders);
    sent
}

async fn send_write(pool: &Pool, sent: &mut Sent, holders: &[usize]) {
    let mut out_now = Vec::new();
    for &at in holders {
        match pool.servers[at].connection_for_write() {
            Ok((connection, under_way)) => {
                sent.under_way.push(under_way);
                let coming = connection.send(sent.request.raw.clone()).await;
                sent.asked.push((at, coming));
            }
            Err(why) => {
                sent.why_none = out(pool, at, &why).into_owned();
                out_now.push(at);
            }
        }
    }
    if sent.asked.is_empty() || pool.copies == 1 {
        return;
    }
    // Only now, behind the writes to the others: a server that comes in meanwhile has copied a value of before.
    for at in out_now {
        if let Some((connection, under_way)) = pool.servers[at].connection_or_missed(&sent.keys) {
            sent.under_way.push(under_way);
            let coming = connection.send(sent.request.raw.clone()).await;
            sent.asked.push((at, coming));
        }
    }
}

/// Says that a server is out.
pub(crate) fn out<'a>(pool: &Pool, at: usize, why: &str) -> Cow<'a, str> {
    format!("{} is out: {why}", pool.servers[at].name).into()
}
